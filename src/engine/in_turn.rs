//! When a record that was rejected as soon as it was read has its outcome: in its turn. Pure.
//!
//! A reject that needs no request is known long before the outcome of the records around it. Were it counted at once, the part of
//! the records that are rejected would be that of the rejects alone while the API is slow, and a limit on it would end a sync
//! that is mostly good. So it waits until the records of its stream that were read before it have their outcome, or wait for their
//! parents. Its STATE waits for these too, so that none leaves later for it.

use std::collections::VecDeque;

/// Records of a stream that are followed, at most; of what is read while the oldest of so many is under way, nothing waits for that.
const MOST: usize = 65_536;

/// A record's place among those of its stream that had no outcome when they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u64);

impl Place {
    /// That of a record nothing waits for.
    pub(super) const NONE: Place = Place(0);
}

/// The records of one stream; `T` is what waits.
#[derive(Debug)]
pub(super) struct InTurn<T> {
    /// The place of the oldest record under way.
    first: u64,
    /// From there on: whether it is under way no longer.
    ended: VecDeque<bool>,
    /// What waits for all before its place.
    waiting: VecDeque<(u64, T)>,
}

impl<T> Default for InTurn<T> {
    fn default() -> Self {
        Self { first: Place::NONE.0 + 1, ended: VecDeque::new(), waiting: VecDeque::new() }
    }
}

impl<T> InTurn<T> {
    /// A record is under way.
    pub(super) fn begins(&mut self) -> Place {
        if self.ended.len() == MOST {
            self.ended.pop_front();
            self.first += 1;
        }
        self.ended.push_back(false);
        Place(self.first + self.ended.len() as u64 - 1)
    }

    /// It is under way no longer.
    pub(super) fn ends(&mut self, place: Place) {
        let at = place.0.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        if let Some(ended) = at.and_then(|at| self.ended.get_mut(at)) {
            *ended = true;
        }
        while self.ended.pop_front_if(|ended| *ended).is_some() {
            self.first += 1;
        }
    }

    /// What waits until all before it have ended.
    pub(super) fn wait(&mut self, what: T) {
        self.waiting.push_back((self.first + self.ended.len() as u64, what));
    }

    /// The next of those whose turn it is.
    pub(super) fn next(&mut self) -> Option<T> {
        let first = self.first;
        self.waiting.pop_front_if(|(place, _)| *place <= first).map(|(_, what)| what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(stream: &mut InTurn<u32>) -> Vec<u32> {
        std::iter::from_fn(|| stream.next()).collect()
    }

    #[test]
    fn what_waits_comes_after_all_before_it_and_no_later() {
        let mut stream = InTurn::default();
        stream.wait(1);
        assert_eq!(all(&mut stream), [1], "nothing is before it");
        let [one, two] = [stream.begins(), stream.begins()];
        stream.wait(2);
        let three = stream.begins();
        stream.wait(3);
        stream.ends(two);
        assert!(all(&mut stream).is_empty());
        stream.ends(one);
        assert_eq!(all(&mut stream), [2]);
        stream.ends(Place::NONE);
        stream.ends(one);
        assert!(all(&mut stream).is_empty());
        stream.ends(three);
        assert_eq!(all(&mut stream), [3]);
        assert!(stream.ended.is_empty() && stream.waiting.is_empty());
    }

    #[test]
    fn so_many_are_followed_and_no_more() {
        let mut stream = InTurn::default();
        let stuck = stream.begins();
        stream.wait(1);
        for _ in 1..MOST {
            let place = stream.begins();
            stream.ends(place);
        }
        assert_eq!((all(&mut stream), stream.ended.len()), (vec![], MOST));
        let next = stream.begins();
        stream.ends(next);
        assert_eq!((all(&mut stream), stream.ended.len()), (vec![1], 0));
        stream.ends(stuck);
    }
}
