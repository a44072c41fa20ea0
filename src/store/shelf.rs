//! One kind of thing that is kept: its queue, and the one write that is under way.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::files::{File, Files};
use super::hook::OpenHook;
use super::journal::Journals;
use super::persist::{Put, Trouble, persist};
use super::queue::{Batch, Queue};
use super::settings::Place;
use super::{local, s3};
use crate::failure::Failure;

/// Files put at the same time.
const SIDE_BY_SIDE: usize = 8;
/// Names that are tried for what is to be put, at most. So many are never taken: what answers that they are is no place for files.
const MOST_NAMES: usize = 1000;

/// See the module's header.
pub(super) struct Shelf {
    pub(super) queue: Queue,
    to: To,
    patience: Duration,
    writing: Option<Writing>,
    /// The time of day of what is being written, for its names, and how often these were others'.
    clock: i64,
    taken: usize,
}

/// Ends with the files whose names were taken.
type Writing = LocalBoxFuture<'static, Result<Vec<File>, Failure>>;

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").field("queue", &self.queue).field("writing", &self.writing.is_some()).finish_non_exhaustive()
    }
}

enum To {
    Files(Arc<OpenPlace>, Box<Files>),
    Hook(Arc<OpenHook>),
    Journals(Arc<Journals>),
}

/// A place that is ready to take files.
#[derive(Debug)]
pub(super) struct OpenPlace {
    /// What is kept there, in words.
    pub(super) what: &'static str,
    pub(super) prefix: String,
    pub(super) at: At,
}

#[derive(Debug)]
pub(super) enum At {
    Local(local::Folder),
    S3(s3::OpenBucket),
}

impl OpenPlace {
    /// Puts a file in its place, whole or not at all, for as long as patience lasts. Answers it again where its name is taken.
    async fn put(&self, file: File, patience: Duration) -> Result<Option<File>, Failure> {
        let put = persist(self.what, &self.words(), patience, async || match &self.at {
            At::Local(folder) => folder.put(&file).await,
            At::S3(bucket) => bucket.put(&file).await,
        })
        .await?;
        Ok((put == Put::Taken).then_some(file))
    }

    /// Puts files. Answers those whose names are taken.
    fn put_all(self: Arc<Self>, files: Vec<File>, patience: Duration) -> Writing {
        Box::pin(async move {
            let put = stream::iter(files).map(|file| self.put(file, patience));
            put.buffer_unordered(SIDE_BY_SIDE).try_filter_map(async |taken| Ok(taken)).try_collect().await
        })
    }

    fn words(&self) -> String {
        match &self.at {
            At::Local(folder) => folder.words(),
            At::S3(bucket) => bucket.words(),
        }
    }
}

impl Place {
    /// Where it is.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Local(path) => local::words(path),
            Self::S3(bucket) => s3::words(&bucket.name),
        }
    }

    /// Gets ready; nothing is sent yet.
    pub(super) fn open(&self, what: &'static str) -> Result<OpenPlace, Failure> {
        let at = match self {
            Self::Local(path) => At::Local(local::Folder::new(path)),
            Self::S3(bucket) => At::S3(s3::OpenBucket::new(bucket)?),
        };
        Ok(OpenPlace { what, prefix: self.prefix().to_owned(), at })
    }

    /// Puts a file, looks for it and takes it away again.
    pub(super) async fn probe(&self, what: &'static str, patience: Duration) -> Result<(), Failure> {
        let place = self.open(what)?;
        persist(what, &place.words(), patience, async || match &place.at {
            At::Local(folder) => folder.probe().await,
            At::S3(bucket) => bucket.probe(&place.prefix).await,
        })
        .await
    }
}

impl Shelf {
    pub(super) fn files(place: OpenPlace, files: Files, patience: Duration) -> Self {
        Self::new(To::Files(Arc::new(place), Box::new(files)), patience)
    }

    pub(super) fn hook(hook: OpenHook, patience: Duration) -> Self {
        Self::new(To::Hook(Arc::new(hook)), patience)
    }

    /// Journals are of this machine: what they refuse is not tried again.
    pub(super) fn journals(journals: Arc<Journals>) -> Self {
        Self::new(To::Journals(journals), Duration::ZERO)
    }

    fn new(to: To, patience: Duration) -> Self {
        Self { queue: Queue::default(), to, patience, writing: None, clock: 0, taken: 0 }
    }

    pub(super) const fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Begins to write what is due.
    pub(super) fn start(&mut self, now: Duration, clock: i64) {
        let Some(batch) = self.queue.seal(now) else { return };
        (self.clock, self.taken) = (clock, 0);
        self.writing = Some(self.write(batch));
    }

    fn write(&mut self, batch: Batch) -> Writing {
        let patience = self.patience;
        match &mut self.to {
            To::Files(place, files) => {
                let files = files.of(batch, &place.prefix, self.clock);
                Arc::clone(place).put_all(files, patience)
            }
            To::Hook(hook) => {
                let hook = Arc::clone(hook);
                Box::pin(async move { hook.send(batch, patience).await.map(|()| Vec::new()) })
            }
            To::Journals(journals) => {
                let journals = Arc::clone(journals);
                Box::pin(async move { journals.append(batch).await.map(|()| Vec::new()) })
            }
        }
    }

    /// Puts files whose names were taken by other names.
    fn write_renamed(&mut self, taken: Vec<File>) -> Result<(), Failure> {
        // What has no files is never told that a name is taken.
        let To::Files(place, files) = &mut self.to else { return Ok(()) };
        self.taken += 1;
        if self.taken == MOST_NAMES {
            return Err(Trouble::refused("every name is taken there").failure(place.what, &place.words()));
        }
        let files = taken.into_iter().map(|file| files.renamed(file, &place.prefix, self.clock)).collect();
        self.writing = Some(Arc::clone(place).put_all(files, self.patience));
        Ok(())
    }

    /// Goes on with the write that is under way; `None` while there is nothing to tell.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Option<Result<(), Failure>> {
        loop {
            let Poll::Ready(written) = self.writing.as_mut()?.as_mut().poll(context) else { return None };
            self.writing = None;
            match written {
                Ok(taken) if taken.is_empty() => {
                    self.queue.done();
                    return Some(Ok(()));
                }
                Ok(taken) => {
                    if let Err(failure) = self.write_renamed(taken) {
                        return Some(Err(failure));
                    }
                }
                Err(failure) => return Some(Err(failure)),
            }
        }
    }
}
