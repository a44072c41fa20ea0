//! What was done for a record, beside its outcome: what its receipt tells.

use std::cell::{Cell, RefCell};

use super::Turn;
use crate::client::{Call, Reply, Trial};
use crate::failure::Failure;

/// What a receipt tells of the writing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::engine) struct Wrote {
    /// ChartMogul's own name of the object, where it is known.
    pub(in crate::engine) uuid: Option<Box<str>>,
    /// Requests sent to write it, repetitions among them.
    pub(in crate::engine) attempts: u32,
    /// The status of the last answer of success.
    pub(in crate::engine) http_status: Option<u16>,
}

impl Wrote {
    /// No request was sent about this object.
    pub(super) fn nothing(uuid: Option<&str>) -> Self {
        Self { uuid: uuid.filter(|uuid| !uuid.is_empty()).map(Into::into), ..Self::default() }
    }

    /// The same object, without the requests.
    pub(super) fn only_named(&self) -> Self {
        Self::nothing(self.uuid.as_deref())
    }

    /// The same requests, for a record about something else.
    pub(super) fn of_another(&self) -> Self {
        Self { uuid: None, ..self.clone() }
    }
}

/// What is noted during a turn.
#[derive(Debug, Default)]
pub(super) struct Note {
    uuid: RefCell<Option<Box<str>>>,
    attempts: Cell<u32>,
    http_status: Cell<Option<u16>>,
}

impl Note {
    /// What was noted; the UUID, where none was seen, is this one.
    pub(super) fn wrote(&self, uuid: Option<Box<str>>) -> Wrote {
        Wrote { uuid: self.uuid.take().or(uuid), attempts: self.attempts.get(), http_status: self.http_status.get() }
    }
}

impl Turn<'_> {
    /// The object has this UUID.
    pub(super) fn note_uuid(&self, uuid: &str) {
        if let Some(note) = self.note.filter(|_| !uuid.is_empty()) {
            *note.uuid.borrow_mut() = Some(uuid.into());
        }
    }

    /// Sends a request that writes.
    pub(super) async fn deliver(&self, call: &Call, trial: &mut Trial) -> Result<Reply, Failure> {
        let before = trial.attempts();
        let sent = self.world.client.send(call, trial).await;
        if let Some(note) = self.note {
            note.attempts.set(note.attempts.get() + trial.attempts() - before);
            if let Ok(Reply::Done(answer)) = &sent {
                note.http_status.set(Some(answer.status));
            }
        }
        sent
    }
}
