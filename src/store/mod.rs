//! What must be kept: rejected records, and a receipt of every record.
//!
//! Owns where they go ([`Keeping`]), the shape they have there, that they are bundled instead of sent one by one, and how far
//! all is durable. Owns no order of records and no STATE: whoever lets a STATE go asks for a [`Mark`], and whether it is
//! durable. Knows outcomes and failures, nothing of how records are written.
//!
//! Laws: what is durable was written whole; a mark is durable only when everything put in before it is; nothing is written
//! for each record alone while another write is under way; what waits is bounded by whoever asks [`Store::has_room`]; of a
//! replay a record is noted as done only when what else is kept of it is durable.

mod files;
mod hook;
pub mod journal;
mod local;
mod names;
mod noting;
mod persist;
mod queue;
pub mod reader;
pub mod replay;
#[cfg(test)]
mod replay_tests;
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

use tokio::time::{Instant, sleep_until, timeout};
use uuid::Uuid;

pub use names::{FILE_NAME_FORMAT, PATH_FORMAT, check_file_name_format, check_path_format};
pub use rows::{Origin, Receipt};
pub use settings::{Access, Bucket, Format, Hook, Keeping, Place, Receipts, Rejects};

use crate::failure::Failure;
use crate::outcome::Rejection;
use files::Files;
use noting::Noting;
use persist::Trouble;
use replay::Replay;
use rows::Stamp;
use shelf::Shelf;

/// Bytes that wait to be written, at most, before no more records are read.
const MOST_WAITING: usize = 32 * 1024 * 1024;
/// What is kept, in words.
const REJECTS: &str = "rejected records";
const RECEIPTS: &str = "receipts";

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
    /// What has to be known of the catalog to write its records again, as a JSON object; empty where nothing is.
    pub catalog: Box<str>,
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
    done: u64,
}

impl Mark {
    /// Up to the receipt with this number.
    #[cfg(test)]
    pub(crate) fn of_receipt(number: u64) -> Self {
        Self { receipts: number, ..Self::default() }
    }

    /// The later of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            rejects: self.rejects.max(other.rejects),
            receipts: self.receipts.max(other.receipts),
            done: self.done.max(other.done),
        }
    }
}

/// See the module's header.
#[derive(Debug)]
pub struct Store {
    job: Job,
    rejects: Option<RejectShelf>,
    receipts: Option<Shelf>,
    noting: Option<Noting>,
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
                let shelf = Shelf::files(settings.place.open(REJECTS)?, files, keeping.patience);
                Some(RejectShelf { settings: settings.clone(), shelf })
            }
        };
        let receipts = match &keeping.receipts {
            None => None,
            Some(Receipts::Files(place)) => Some(Shelf::files(place.open(RECEIPTS)?, Files::of_receipts(&job), keeping.patience)),
            Some(Receipts::Webhook(hook)) => Some(Shelf::hook(hook.open(&job.ids)?, keeping.patience)),
        };
        Ok(Self { job, rejects, receipts, noting: None, began: Instant::now() })
    }

    /// The same for a replay: what is done is noted in its journals, so that it is not sent again.
    #[must_use]
    pub fn noting(mut self, replay: &Replay) -> Self {
        self.noting = Some(Noting::new(replay));
        self
    }

    /// A store that keeps nothing.
    pub fn nothing() -> Self {
        let job = Job { streams: Vec::new(), worker_job_id: None, clock: Arc::new(|| 0), ids: Arc::new(Uuid::nil) };
        Self { job, rejects: None, receipts: None, noting: None, began: Instant::now() }
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
        Mark { rejects: shelf.queue.pushed(), ..Mark::default() }
    }

    /// Puts in the receipt of a record of the stream with this number.
    pub fn receipt(&mut self, stream: usize, receipt: &Receipt<'_>) -> Mark {
        let now = self.began.elapsed();
        let Some(shelf) = &mut self.receipts else { return Mark::default() };
        let Some(facts) = self.job.streams.get(stream) else { return Mark::default() };
        // A replay's records are known by where they stood in their sync.
        let line = self.noting.as_ref().map_or(receipt.line, |noting| noting.line(receipt.line));
        // All streams go one way, so that they stay in order.
        shelf.queue.push(0, &rows::receipt(facts, &Receipt { line, ..*receipt }), now);
        Mark { receipts: shelf.queue.pushed(), ..Mark::default() }
    }

    /// The record on this line of the input is settled, not as rejected, and what is kept of it stands up to a mark. In a
    /// replay that is noted as soon as all up to the mark is durable.
    pub fn done(&mut self, line: u64, mark: Mark) -> Mark {
        let Some(noting) = &mut self.noting else { return Mark::default() };
        let done = noting.done(line, mark);
        self.want(mark);
        self.note();
        Mark { done, ..Mark::default() }
    }

    /// Notes of what is done all whose receipts are durable.
    fn note(&mut self) {
        let now = self.began.elapsed();
        let durable = Mark {
            rejects: self.rejects.as_ref().map_or(u64::MAX, |rejects| rejects.shelf.queue.durable()),
            receipts: self.receipts.as_ref().map_or(u64::MAX, |shelf| shelf.queue.durable()),
            done: 0,
        };
        if let Some(noting) = &mut self.noting {
            noting.note(durable, now);
        }
    }

    /// Up to where all stands that was put in.
    pub fn mark(&self) -> Mark {
        Mark {
            rejects: self.rejects.as_ref().map_or(0, |rejects| rejects.shelf.queue.pushed()),
            receipts: self.receipts.as_ref().map_or(0, |shelf| shelf.queue.pushed()),
            done: self.noting.as_ref().map_or(0, Noting::all),
        }
    }

    /// Whether all up to a mark is durable.
    pub fn is_durable(&self, mark: Mark) -> bool {
        let reached = |shelf: Option<&Shelf>, mark: u64| shelf.is_none_or(|shelf| shelf.queue.durable() >= mark);
        reached(self.rejects.as_ref().map(|rejects| &rejects.shelf), mark.rejects)
            && reached(self.receipts.as_ref(), mark.receipts)
            && reached(self.noting.as_ref().map(|noting| &noting.shelf), mark.done)
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
            || self.noting.as_ref().is_some_and(Noting::waits)
    }

    /// Goes on writing until something more is durable; never ends where nothing is to be written. May be dropped at any time:
    /// what is being written goes on with the next call.
    ///
    /// # Errors
    /// When something could not be kept, after all patience.
    pub async fn progress(&mut self) -> Result<(), Failure> {
        loop {
            let (now, clock) = (self.began.elapsed(), (self.job.clock)());
            self.note();
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
        let noting = self.noting.iter().map(|noting| &noting.shelf);
        self.rejects.iter().map(|rejects| &rejects.shelf).chain(&self.receipts).chain(noting)
    }

    fn shelves_mut(&mut self) -> impl Iterator<Item = &mut Shelf> {
        let noting = self.noting.iter_mut().map(|noting| &mut noting.shelf);
        self.rejects.iter_mut().map(|rejects| &mut rejects.shelf).chain(&mut self.receipts).chain(noting)
    }
}

/// When nothing is due.
fn far_away() -> Instant {
    Instant::now() + Duration::from_secs(24 * 60 * 60)
}

/// Finds out whether all that is asked for can be kept, and leaves nothing behind: a file is put and removed, a webhook gets
/// a batch without receipts. Answers all problems, after this time at the latest.
pub async fn probe(keeping: &Keeping, limit: Duration) -> Vec<Failure> {
    let rejects = async {
        let place = &keeping.rejects.as_ref()?.place;
        in_time(REJECTS, &place.words(), limit, place.probe(REJECTS, keeping.patience)).await
    };
    let receipts = async {
        match keeping.receipts.as_ref()? {
            Receipts::Files(place) => in_time(RECEIPTS, &place.words(), limit, place.probe(RECEIPTS, keeping.patience)).await,
            Receipts::Webhook(hook) => in_time(RECEIPTS, hook::PLACE, limit, hook.probe(keeping.patience)).await,
        }
    };
    let (rejects, receipts) = tokio::join!(rejects, receipts);
    rejects.into_iter().chain(receipts).collect()
}

/// The problem that a look at a place finds. That it does not come to its end is one too.
async fn in_time(what: &str, place: &str, limit: Duration, probe: impl Future<Output = Result<(), Failure>>) -> Option<Failure> {
    let late = |_| Err(Trouble::passing(format!("it did not answer within {} seconds", limit.as_secs())).failure(what, place));
    timeout(limit, probe).await.unwrap_or_else(late).err()
}
