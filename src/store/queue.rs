//! What waits to be kept, and how far all is kept. Pure: time is handed in, and nothing is written here.
//!
//! Everything put in has a number; one batch is written at a time, and holds all that was put in before it was sealed. So
//! what is durable is told by one number, and order is kept.

use std::collections::BTreeMap;
use std::time::Duration;

/// So many bytes are written without anything waiting for them.
const FULL: usize = 8 * 1024 * 1024;
/// Nothing waits longer than this for others to be written with.
const OLD: Duration = Duration::from_secs(30);

/// What is written at once: rows by the place that they go to.
pub(super) type Batch = Vec<(usize, Vec<u8>)>;

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Queue {
    open: BTreeMap<usize, Vec<u8>>,
    open_bytes: usize,
    /// When the oldest of what is open was put in.
    since: Option<Duration>,
    pushed: u64,
    /// What is being written: up to here, and its bytes.
    sealed: Option<(u64, usize)>,
    wanted: u64,
    durable: u64,
}

impl Queue {
    /// Puts in whole rows for a place.
    pub(super) fn push(&mut self, place: usize, row: &[u8], now: Duration) {
        self.open.entry(place).or_default().extend_from_slice(row);
        self.open_bytes += row.len();
        self.since.get_or_insert(now);
        self.pushed += 1;
    }

    /// How many were put in.
    pub(super) const fn pushed(&self) -> u64 {
        self.pushed
    }

    /// How many are durable: the first so many.
    pub(super) const fn durable(&self) -> u64 {
        self.durable
    }

    /// Bytes that wait or are being written.
    pub(super) fn bytes(&self) -> usize {
        self.open_bytes + self.sealed.map_or(0, |(_, bytes)| bytes)
    }

    /// The first so many are waited for.
    pub(super) fn want(&mut self, upto: u64) {
        self.wanted = self.wanted.max(upto);
    }

    /// When the next batch is to be written, if nothing else happens; `None` where nothing is open.
    pub(super) fn due_at(&self) -> Option<Duration> {
        let since = self.since?;
        let at_once = self.wanted > self.sealed.map_or(self.durable, |(upto, _)| upto) || self.open_bytes >= FULL;
        Some(if at_once { since } else { since + OLD })
    }

    /// Takes the next batch, if it is time and none is being written.
    pub(super) fn seal(&mut self, now: Duration) -> Option<Batch> {
        if self.sealed.is_some() || self.due_at().is_none_or(|due| due > now) {
            return None;
        }
        self.sealed = Some((self.pushed, std::mem::take(&mut self.open_bytes)));
        self.since = None;
        Some(std::mem::take(&mut self.open).into_iter().collect())
    }

    /// The batch that was taken is written.
    pub(super) fn done(&mut self) {
        if let Some((upto, _)) = self.sealed.take() {
            self.durable = upto;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Push(usize),
        Want(u64),
        Seal,
        Done,
        Wait(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0usize..3).prop_map(Step::Push),
            1 => (0u64..80).prop_map(Step::Want),
            2 => Just(Step::Seal),
            2 => Just(Step::Done),
            1 => (0u64..40).prop_map(Step::Wait),
        ];
        prop::collection::vec(step, 1..80)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]
        #[test]
        fn what_is_durable_was_in_a_batch_that_is_done_and_places_keep_their_order(steps in steps()) {
            let mut queue = Queue::default();
            let mut now = Duration::ZERO;
            let mut put: Vec<(usize, u8)> = Vec::new();
            let mut written: Vec<Vec<u8>> = vec![Vec::new(); 3];
            let mut writing: Option<Batch> = None;
            let mut upto = 0;
            let mut wanted = 0;
            for step in steps {
                match step {
                    Step::Push(place) => {
                        let row = put.len() as u8;
                        put.push((place, row));
                        queue.push(place, &[row], now);
                    }
                    Step::Want(mark) => {
                        // Nobody can want what was not put in.
                        wanted = wanted.max(mark.min(put.len() as u64));
                        queue.want(mark.min(put.len() as u64));
                    }
                    Step::Seal => {
                        let (before, due) = (writing.is_some(), queue.due_at());
                        if let Some(batch) = queue.seal(now) {
                            prop_assert!(!before, "one at a time");
                            prop_assert!(!batch.is_empty());
                            prop_assert!(wanted > queue.durable() || due.unwrap() <= now);
                            upto = put.len();
                            writing = Some(batch);
                        } else if !before && !put[queue.durable() as usize..].is_empty() {
                            prop_assert!(wanted <= queue.durable(), "what is waited for is written at once");
                        }
                    }
                    Step::Done => {
                        for (place, rows) in writing.take().into_iter().flatten() {
                            written[place].extend(rows);
                        }
                        queue.done();
                    }
                    Step::Wait(seconds) => now += Duration::from_secs(seconds),
                }
                prop_assert_eq!(queue.pushed(), put.len() as u64);
                let durable = queue.durable() as usize;
                prop_assert!(durable <= upto);
                for (place, rows) in written.iter().enumerate() {
                    let expected: Vec<u8> = put[..durable].iter().filter(|(at, _)| *at == place).map(|(_, row)| *row).collect();
                    prop_assert_eq!(rows, &expected, "durable is what was written, in order");
                }
                prop_assert_eq!(queue.bytes(), put.len() - durable);
            }
        }
    }

    #[test]
    fn what_nobody_waits_for_is_written_when_it_is_old_or_much() {
        let mut queue = Queue::default();
        queue.push(0, b"a", Duration::from_secs(5));
        assert_eq!((queue.due_at(), queue.seal(Duration::from_secs(34))), (Some(Duration::from_secs(35)), None));
        assert!(queue.seal(Duration::from_secs(35)).is_some());
        queue.push(0, &vec![b'x'; FULL], Duration::from_secs(36));
        assert_eq!(queue.seal(Duration::from_secs(36)), None, "one at a time");
        queue.done();
        assert!(queue.seal(Duration::from_secs(36)).is_some());
    }
}
