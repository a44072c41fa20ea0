//! What is done of a replay, from the moment that it is settled until it is noted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::replay::{Entry, Replay};
use super::shelf::Shelf;
use super::{Mark, journal};

/// See the module's header.
#[derive(Debug)]
pub(super) struct Noting {
    entries: Arc<[Entry]>,
    /// Lines of the input that are settled, each with what has to be durable first. In the order in which they were settled, so
    /// that no mark is less far than those before it.
    waiting: VecDeque<(u64, Mark)>,
    pub(super) shelf: Shelf,
}

impl Noting {
    pub(super) fn new(replay: &Replay) -> Self {
        let shelf = Shelf::journals(Arc::clone(&replay.journals));
        Self { entries: Arc::clone(&replay.entries), waiting: VecDeque::new(), shelf }
    }

    /// Where the record on this line of the replay's input stood in its sync.
    pub(super) fn line(&self, line: u64) -> u64 {
        self.entry(line).map_or(line, |entry| entry.line)
    }

    /// The entry of a line, which is counted from 1.
    fn entry(&self, line: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(line.checked_sub(1)?).ok()?)
    }

    /// A line is settled. Answers how many are.
    pub(super) fn done(&mut self, line: u64, mark: Mark) -> u64 {
        self.waiting.push_back((line, mark));
        self.all()
    }

    /// How many are settled.
    pub(super) fn all(&self) -> u64 {
        self.shelf.queue.pushed() + self.waiting.len() as u64
    }

    /// Whether anything waits for more to be durable.
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Puts what waits for no more than this in the journals, at once.
    pub(super) fn note(&mut self, durable: Mark, now: Duration) {
        while let Some((line, mark)) = self.waiting.front().copied()
            && mark.receipts <= durable.receipts
            && mark.rejects <= durable.rejects
        {
            self.waiting.pop_front();
            let noted = self.entry(line).map(|entry| (entry.journal, journal::line(entry.raw_id)));
            let (journal, line) = noted.unwrap_or_default();
            self.shelf.queue.push(journal, &line, now);
        }
        let pushed = self.shelf.queue.pushed();
        self.shelf.queue.want(pushed);
    }
}
