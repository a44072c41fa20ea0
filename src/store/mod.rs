//! What must be kept: rejected records, and a receipt of every record.
//!
//! Owns where they go ([`Keeping`]), the shape they have there, that they are bundled instead of sent one by one, and how far
//! all is durable. Owns no order of records and no STATE: whoever lets a STATE go asks for a [`Mark`], and whether it is
//! durable. Knows outcomes and failures, nothing of how records are written.
//!
//! Laws: what is durable was written whole; a mark is durable only when everything put in before it is; nothing is written
//! for each record alone while another write is under way; what waits is bounded by whoever asks [`Store::has_room`].

mod files;
mod hook;
mod local;
mod names;
mod persist;
mod queue;
pub mod reader;
mod role;
mod rows;
mod s3;
mod settings;
mod shelf;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

pub use names::{FILE_NAME_FORMAT, PATH_FORMAT, check_file_name_format, check_path_format};
pub use rows::{Origin, Receipt};
pub use settings::{Access, Bucket, Format, Hook, Keeping, Place, Receipts, Rejects};

use crate::failure::Failure;
use crate::outcome::Rejection;
use files::Files;
use rows::Stamp;
use shelf::Shelf;

/// Bytes that wait to be written, at most, before no more records are read.
const MOST_WAITING: usize = 32 * 1024 * 1024;

/// Milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Names that nothing else has.
pub type Ids = Arc<dyn Fn() -> Uuid + Send + Sync>;

/// Random ones.
pub fn random_ids() -> Ids {
    Arc::new(Uuid::new_v4)
}

/// A stream, as far as what is kept of it says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamFacts {
    /// The namespace; `None` where it has none.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
    /// The job that its records came with.
    pub sync_id: Option<i64>,
    /// The generation that its records belong to.
    pub generation_id: Option<i64>,
}

/// What a sync is, to the store.
#[derive(Clone)]
pub struct Job {
    /// The streams, in the order by which they are numbered.
    pub streams: Vec<StreamFacts>,
    /// The job's number in the platform's environment, where it has one.
    pub worker_job_id: Option<String>,
    /// The time of day.
    pub clock: Clock,
    /// For what needs a name of its own.
    pub ids: Ids,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("streams", &self.streams).field("worker_job_id", &self.worker_job_id).finish_non_exhaustive()
    }
}

impl Job {
    /// The folder of a stream's files: its job's number, else the platform's, else a fixed word.
    fn folder(&self, stream: &StreamFacts) -> String {
        let given = self.worker_job_id.as_deref().filter(|id| !id.is_empty());
        stream.sync_id.map_or_else(|| given.unwrap_or("sync").to_owned(), |id| id.to_string())
    }
}

/// How far something is put in: itself, and everything before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    rejects: u64,
    receipts: u64,
}

impl Mark {
    /// Up to the receipt with this number.
    #[cfg(test)]
    pub(crate) fn of_receipt(number: u64) -> Self {
        Self { rejects: 0, receipts: number }
    }

    /// The later of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { rejects: self.rejects.max(other.rejects), receipts: self.receipts.max(other.receipts) }
    }
}

/// See the module's header.
#[derive(Debug)]
pub struct Store {
    job: Job,
    rejects: Option<RejectShelf>,
    receipts: Option<Shelf>,
    began: Instant,
}

#[derive(Debug)]
struct RejectShelf {
    settings: Rejects,
    shelf: Shelf,
}

impl Store {
    /// Gets ready to keep what the settings ask for; nothing is written yet.
    ///
    /// # Errors
    /// `STORE_REFUSED` when no client can be made of the settings.
    pub fn open(keeping: &Keeping, job: Job) -> Result<Self, Failure> {
        let rejects = match &keeping.rejects {
            None => None,
            Some(settings) => {
                let files = Files::of_rejects(settings, &job);
                let shelf = Shelf::files(settings.place.open("rejected records")?, files, keeping.patience);
                Some(RejectShelf { settings: settings.clone(), shelf })
            }
        };
        let receipts = match &keeping.receipts {
            None => None,
            Some(Receipts::Files(place)) => {
                Some(Shelf::files(place.open("receipts")?, Files::of_receipts(&job), keeping.patience))
            }
            Some(Receipts::Webhook(hook)) => Some(Shelf::hook(hook.open(&job.ids)?, keeping.patience)),
        };
        Ok(Self { job, rejects, receipts, began: Instant::now() })
    }

    /// A store that keeps nothing.
    pub fn nothing() -> Self {
        let job = Job { streams: Vec::new(), worker_job_id: None, clock: Arc::new(|| 0), ids: Arc::new(Uuid::nil) };
        Self { job, rejects: None, receipts: None, began: Instant::now() }
    }

    /// Whether anything is kept.
    pub fn keeps_anything(&self) -> bool {
        self.rejects.is_some() || self.receipts.is_some()
    }

    /// Whether a receipt is wanted of every record.
    pub fn keeps_receipts(&self) -> bool {
        self.receipts.is_some()
    }

    /// Puts in a rejected record of the stream with this number.
    pub fn reject(&mut self, stream: usize, line: u64, origin: Option<&Origin>, rejection: &Rejection) -> Mark {
        let now = self.began.elapsed();
        let Some(RejectShelf { settings, shelf }) = &mut self.rejects else { return Mark::default() };
        let Some(facts) = self.job.streams.get(stream) else { return Mark::default() };
        let stamp = Stamp { raw_id: (self.job.ids)(), now: (self.job.clock)() };
        let row = rows::reject(settings, facts, line, origin, rejection, &stamp);
        shelf.queue.push(stream, &row, now);
        Mark { rejects: shelf.queue.pushed(), receipts: 0 }
    }

    /// Puts in the receipt of a record of the stream with this number.
    pub fn receipt(&mut self, stream: usize, receipt: &Receipt<'_>) -> Mark {
        let now = self.began.elapsed();
        let Some(shelf) = &mut self.receipts else { return Mark::default() };
        let Some(facts) = self.job.streams.get(stream) else { return Mark::default() };
        // All streams go one way, so that they stay in order.
        shelf.queue.push(0, &rows::receipt(facts, receipt), now);
        Mark { rejects: 0, receipts: shelf.queue.pushed() }
    }

    /// Up to where all stands that was put in.
    pub fn mark(&self) -> Mark {
        Mark {
            rejects: self.rejects.as_ref().map_or(0, |rejects| rejects.shelf.queue.pushed()),
            receipts: self.receipts.as_ref().map_or(0, |shelf| shelf.queue.pushed()),
        }
    }

    /// Whether all up to a mark is durable.
    pub fn is_durable(&self, mark: Mark) -> bool {
        let reached = |shelf: Option<&Shelf>, mark: u64| shelf.is_none_or(|shelf| shelf.queue.durable() >= mark);
        reached(self.rejects.as_ref().map(|rejects| &rejects.shelf), mark.rejects)
            && reached(self.receipts.as_ref(), mark.receipts)
    }

    /// Something waits for a mark: what stands before it is written next, however little it is.
    pub fn want(&mut self, mark: Mark) {
        if let Some(rejects) = &mut self.rejects {
            rejects.shelf.queue.want(mark.rejects);
        }
        if let Some(shelf) = &mut self.receipts {
            shelf.queue.want(mark.receipts);
        }
    }

    /// Whether more may be put in: what waits is bounded.
    pub fn has_room(&self) -> bool {
        self.shelves().map(|shelf| shelf.queue.bytes()).sum::<usize>() < MOST_WAITING
    }

    /// Whether anything waits or is being written.
    pub fn has_work(&self) -> bool {
        self.shelves().any(|shelf| shelf.queue.bytes() > 0 || shelf.is_writing())
    }

    /// Goes on writing until something more is durable; never ends where nothing is to be written. May be dropped at any time:
    /// what is being written goes on with the next call.
    ///
    /// # Errors
    /// When something could not be kept, after all patience.
    pub async fn progress(&mut self) -> Result<(), Failure> {
        loop {
            let (now, clock) = (self.began.elapsed(), (self.job.clock)());
            self.shelves_mut().for_each(|shelf| shelf.start(now, clock));
            let due = self.shelves().filter(|shelf| !shelf.is_writing()).filter_map(|shelf| shelf.queue.due_at()).min();
            let due = due.map_or_else(far_away, |due| self.began + due);
            tokio::select! {
                biased;
                kept = poll_fn(|context| {
                    self.shelves_mut().find_map(|shelf| shelf.poll(context)).map_or(Poll::Pending, Poll::Ready)
                }) => return kept,
                () = sleep_until(due) => {}
            }
        }
    }

    fn shelves(&self) -> impl Iterator<Item = &Shelf> {
        self.rejects.iter().map(|rejects| &rejects.shelf).chain(&self.receipts)
    }

    fn shelves_mut(&mut self) -> impl Iterator<Item = &mut Shelf> {
        self.rejects.iter_mut().map(|rejects| &mut rejects.shelf).chain(&mut self.receipts)
    }
}

/// When nothing is due.
fn far_away() -> Instant {
    Instant::now() + Duration::from_secs(24 * 60 * 60)
}

/// Finds out whether all that is asked for can be kept, and leaves nothing behind: a file is put and removed, a webhook gets
/// a batch without receipts. Answers all problems.
pub async fn probe(keeping: &Keeping) -> Vec<Failure> {
    let mut problems = Vec::new();
    if let Some(rejects) = &keeping.rejects {
        problems.extend(rejects.place.probe("rejected records", keeping.patience).await.err());
    }
    match &keeping.receipts {
        None => {}
        Some(Receipts::Files(place)) => problems.extend(place.probe("receipts", keeping.patience).await.err()),
        Some(Receipts::Webhook(hook)) => problems.extend(hook.probe(keeping.patience).await.err()),
    }
    problems
}
