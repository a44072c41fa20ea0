//! What waits to go in a bulk import, and when it goes. Pure.
//!
//! Times are told from the start of the sync. Owns how much goes in one import and how long it waits for more. Does not own what fits into one (`objects::imports`), nor
//! how one is sent and what became of it (`execute::import`).

use std::collections::VecDeque;
use std::time::Duration;

use smallvec::SmallVec;

use super::conductor::Jobs;
use super::execute::{Family, Step};
use super::lanes::JobId;

/// Customers in one import, at most (advised on the page "Bulk Import": 100 to 1,000).
const MOST_CUSTOMERS: usize = 1_000;
/// Bytes of one import, at most. Documented: 5 MB, with some room for what frames the entries.
pub(super) const MOST_BYTES: usize = 4_900_000;
/// Fewer records than this go singly: an import costs a request, one or two to see its end and one for its count of failures.
const PAYS: usize = 8;
/// How long the first that waits lets others come. A STATE behind it waits as long, and no STATE may wait a minute: not even where
/// what is imported waits for what was imported before, plans, then customers, then what is theirs.
const PATIENCE: Duration = Duration::from_secs(15);

/// Records under way together, mostly one.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: JobId,
    pub(super) jobs: Jobs,
    /// What became of each so far.
    pub(super) steps: SmallVec<[Option<Step>; 1]>,
    /// Which of them do not go in an import whatever they are.
    pub(super) singly: SmallVec<[bool; 1]>,
    /// What of them goes in the next import.
    pub(super) family: Family,
    /// Of which an import made less than they say, for parts that are others' records: what the API says of them is asked once more.
    pub(super) judged: SmallVec<[usize; 1]>,
}

impl Group {
    pub(super) fn new(id: JobId, jobs: Jobs) -> Self {
        let count = jobs.len();
        let steps = std::iter::repeat_with(|| None).take(count).collect();
        Self { id, jobs, steps, singly: SmallVec::from_elem(false, count), family: Family::default(), judged: SmallVec::new() }
    }

    /// The same, with nothing that goes in an import.
    pub(super) fn singly(mut self) -> Self {
        self.singly.fill(true);
        self.family = Family::default();
        self
    }
}

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Batch {
    waiting: VecDeque<(Duration, Group)>,
    bytes: usize,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn add(&mut self, now: Duration, group: Group) {
        self.bytes += group.family.bytes();
        self.waiting.push_back((now, group));
    }

    /// When what waits has waited long enough.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.waiting.front().map(|(since, _)| *since + PATIENCE)
    }

    /// Whether what waits goes now. `alone`: nothing else is under way that could add to it, and nothing more is read.
    pub(super) fn is_due(&self, now: Duration, alone: bool) -> bool {
        let is_full = self.waiting.len() >= MOST_CUSTOMERS || self.bytes >= MOST_BYTES;
        let waited = self.deadline().is_some_and(|deadline| deadline <= now);
        is_full || waited || (alone && !self.is_empty())
    }

    /// What goes in the next import, first come first. Where not all goes it is cut where a STATE stood, as far as one did, so that
    /// no STATE waits for two imports that could wait for one: `part` tells groups of different parts of the input apart.
    pub(super) fn next(&mut self, part: impl Fn(&Group) -> u64) -> Vec<Group> {
        let mut bytes = 0;
        let fits = |(_, group): &&(Duration, Group)| {
            bytes += group.family.bytes();
            bytes <= MOST_BYTES
        };
        let mut count = self.waiting.iter().take(MOST_CUSTOMERS).take_while(fits).count().max(1).min(self.waiting.len());
        if let Some((_, left)) = self.waiting.get(count) {
            let after = part(left);
            let cut = self.waiting.iter().take(count).position(|(_, group)| part(group) >= after);
            count = cut.filter(|cut| *cut > 0).unwrap_or(count);
        }
        let groups: Vec<Group> = self.waiting.drain(..count).map(|(_, group)| group).collect();
        self.bytes -= groups.iter().map(|group| group.family.bytes()).sum::<usize>();
        groups
    }

    /// Puts back what has to go in another import, before all others.
    pub(super) fn put_back(&mut self, now: Duration, group: Group) {
        self.bytes += group.family.bytes();
        self.waiting.push_front((now, group));
    }
}

/// Whether so many groups are worth an import.
pub(super) fn pays(groups: &[Group]) -> bool {
    groups.iter().map(|group| group.family.records()).sum::<usize>() >= PAYS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(number: u64, bytes: usize) -> Group {
        let mut group = Group::new(JobId::of(number), Jobs::new());
        group.family = Family::of(bytes);
        group
    }

    fn numbers(groups: &[Group]) -> Vec<u64> {
        groups.iter().map(|group| group.id.number()).collect()
    }

    #[test]
    fn it_goes_when_it_is_full_or_has_waited_or_nothing_can_come() {
        let start = Duration::ZERO;
        let mut batch = Batch::default();
        assert!(!batch.is_due(start, true));
        batch.add(start, group(0, 10));
        assert!(!batch.is_due(start, false) && batch.is_due(start, true));
        assert!(!batch.is_due(start + PATIENCE - Duration::from_millis(1), false) && batch.is_due(start + PATIENCE, false));
        (1..MOST_CUSTOMERS as u64).for_each(|n| batch.add(start, group(n, 10)));
        assert!(batch.is_due(start, false));
        assert_eq!(batch.next(|_| 0).len(), MOST_CUSTOMERS);
        assert!(batch.is_empty() && batch.bytes == 0);
        batch.add(start, group(0, MOST_BYTES));
        assert!(batch.is_due(start, false));
    }

    #[test]
    fn it_stays_below_what_a_request_may_hold_and_keeps_the_order() {
        let mut batch = Batch::default();
        (0..5).for_each(|n| batch.add(Duration::ZERO, group(n, MOST_BYTES / 2 - 1)));
        assert_eq!(numbers(&batch.next(|_| 0)), [0, 1]);
        let again = batch.next(|_| 0).remove(0);
        batch.put_back(Duration::ZERO, again);
        assert_eq!(numbers(&batch.next(|_| 0)), [2, 4]);
        // A single one goes whatever its size: it was measured before.
        batch.add(Duration::ZERO, group(9, MOST_BYTES * 2));
        assert_eq!((numbers(&batch.next(|_| 0)), batch.bytes), (vec![9], 0));
    }

    #[test]
    fn it_is_cut_where_a_state_stood() {
        let mut batch = Batch::default();
        (0..6).for_each(|n| batch.add(Duration::ZERO, group(n, MOST_BYTES / 4)));
        let part = |group: &Group| group.id.number() / 3;
        assert_eq!(numbers(&batch.next(part)), [0, 1, 2]);
        assert_eq!(numbers(&batch.next(part)), [3, 4, 5]);
        // One part that is too large for one import goes in several.
        (0..6).for_each(|n| batch.add(Duration::ZERO, group(n, MOST_BYTES / 4)));
        assert_eq!(numbers(&batch.next(|_| 0)), [0, 1, 2, 3]);
    }
}
