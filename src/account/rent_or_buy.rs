//! Whether the next look is a single look-up or a page of the listing. Pure.
//!
//! A look-up tells of one key; a listing costs a page for every 200 entries and then tells of all. Which is cheaper is known
//! only afterwards, since keys come as they come. The rule: the first page is the first look; then keys are looked up one by
//! one until the look-ups spent and the keys that wait together come to what the rest of the listing costs, and then that
//! is bought. Where the API does not tell how many pages there are, one more page is read only as long as fewer were read
//! than look-ups were spent and keys wait. Either way never more than twice as many reads as the better choice.

/// The reads of one object's listing so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Pages read.
    pub(super) pages: usize,
    /// How many pages there are, as the first one told; `None` while that is not known.
    pub(super) total: Option<usize>,
    /// Single look-ups spent.
    pub(super) spent: usize,
    /// Whether the listing was read to its end.
    pub(super) complete: bool,
    /// Whether the rest is being bought.
    buying: bool,
}

/// What to read next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// A page of the listing.
    Page,
    /// The one key.
    Key,
}

impl Tally {
    /// What to read for a key that is not known, while so many distinct ones wait, this one among them.
    pub(super) fn next(&mut self, waiting: usize) -> Next {
        let wanted = self.spent + waiting.max(1);
        let page = match self.total {
            _ if self.pages == 0 || self.buying => true,
            Some(total) => wanted >= total.saturating_sub(self.pages),
            None => self.pages < wanted,
        };
        self.buying = page && self.pages > 0 && self.total.is_some();
        if page { Next::Page } else { Next::Key }
    }

    /// A page was read.
    pub(super) fn page(&mut self, total: Option<usize>, is_last: bool) {
        self.pages += 1;
        self.total = self.total.or(total);
        self.complete |= is_last;
    }

    /// A look-up is spent.
    pub(super) fn key(&mut self) {
        self.spent += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads for these keys, given by the page on which each stands (`None`: nowhere), of which so many come at once.
    fn reads(pages: usize, told: bool, keys: &[Option<usize>], bursts: &[usize]) -> usize {
        let mut tally = Tally::default();
        let mut open: Vec<Option<usize>> = Vec::new();
        let mut coming = keys.iter().copied();
        let mut sizes = bursts.iter().copied().cycle();
        let mut count = 0;
        loop {
            if open.is_empty() {
                open.extend(coming.by_ref().take(sizes.next().unwrap_or(1).max(1)));
            }
            // What a page showed, or its end, is known.
            open.retain(|at| !tally.complete && at.is_none_or(|at| at >= tally.pages));
            if open.is_empty() {
                if coming.len() == 0 {
                    return count;
                }
                continue;
            }
            count += 1;
            match tally.next(open.len()) {
                Next::Page => {
                    let total = (told && tally.pages == 0).then_some(pages);
                    tally.page(total, tally.pages + 1 >= pages);
                }
                Next::Key => {
                    tally.key();
                    open.pop();
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Whatever the size of the account, however many keys come and in whatever bursts, whether or not the API tells the
        /// number of pages.
        #[test]
        fn never_more_than_twice_the_better_choice(
            pages in 1usize..60,
            told in any::<bool>(),
            keys in prop::collection::vec(prop::option::of(0usize..60), 1..200),
            bursts in prop::collection::vec(1usize..100, 1..6),
        ) {
            let keys: Vec<Option<usize>> = keys.into_iter().map(|at| at.filter(|at| *at < pages)).collect();
            let reads = reads(pages, told, &keys, &bursts);
            prop_assert!(reads <= 2 * keys.len().min(pages), "{} reads for {} keys on {} pages", reads, keys.len(), pages);
        }

        /// With enough keys waiting the listing is read once and nothing else.
        #[test]
        fn with_enough_keys_waiting_it_costs_the_pages(pages in 1usize..40, told in any::<bool>(), more in 0usize..50) {
            let keys = vec![None; pages + more];
            prop_assert_eq!(reads(pages, told, &keys, &[pages + more]), pages);
        }
    }
}
