//! One kind of thing that is kept: its queue, and the one write that is under way.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::files::Files;
use super::hook::OpenHook;
use super::journal::Journals;
use super::persist::persist;
use super::queue::{Batch, Queue};
use super::settings::Place;
use super::{local, s3};
use crate::failure::Failure;

/// Files put at the same time.
const SIDE_BY_SIDE: usize = 8;

/// See the module's header.
pub(super) struct Shelf {
    pub(super) queue: Queue,
    to: To,
    patience: Duration,
    writing: Option<LocalBoxFuture<'static, Result<(), Failure>>>,
}

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
    /// Puts a file in its place, whole or not at all, for as long as patience lasts.
    async fn put(&self, file: super::files::File, patience: Duration) -> Result<(), Failure> {
        persist(self.what, &self.words(), patience, async || match &self.at {
            At::Local(folder) => folder.put(&file).await,
            At::S3(bucket) => bucket.put(&file).await,
        })
        .await
    }

    fn words(&self) -> String {
        match &self.at {
            At::Local(folder) => folder.words(),
            At::S3(bucket) => bucket.words(),
        }
    }
}

impl Place {
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
        Self { queue: Queue::default(), to: To::Files(Arc::new(place), Box::new(files)), patience, writing: None }
    }

    pub(super) fn hook(hook: OpenHook, patience: Duration) -> Self {
        Self { queue: Queue::default(), to: To::Hook(Arc::new(hook)), patience, writing: None }
    }

    /// Journals are of this machine: what they refuse is not tried again.
    pub(super) fn journals(journals: Arc<Journals>) -> Self {
        Self { queue: Queue::default(), to: To::Journals(journals), patience: Duration::ZERO, writing: None }
    }

    pub(super) const fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Begins to write what is due.
    pub(super) fn start(&mut self, now: Duration, clock: i64) {
        let Some(batch) = self.queue.seal(now) else { return };
        self.writing = Some(self.write(batch, clock));
    }

    fn write(&mut self, batch: Batch, clock: i64) -> LocalBoxFuture<'static, Result<(), Failure>> {
        let patience = self.patience;
        match &mut self.to {
            To::Files(place, files) => {
                let place = Arc::clone(place);
                let files = files.of(batch, &place.prefix, clock);
                Box::pin(async move {
                    let put = stream::iter(files).map(|file| place.put(file, patience));
                    put.buffer_unordered(SIDE_BY_SIDE).try_collect::<()>().await
                })
            }
            To::Hook(hook) => {
                let hook = Arc::clone(hook);
                Box::pin(async move { hook.send(batch, patience).await })
            }
            To::Journals(journals) => {
                let journals = Arc::clone(journals);
                Box::pin(async move { journals.append(batch).await })
            }
        }
    }

    /// Goes on with the write that is under way; `None` while there is nothing to tell.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Option<Result<(), Failure>> {
        match self.writing.as_mut()?.as_mut().poll(context) {
            Poll::Pending => None,
            Poll::Ready(kept) => {
                self.writing = None;
                if kept.is_ok() {
                    self.queue.done();
                }
                Some(kept)
            }
        }
    }
}
