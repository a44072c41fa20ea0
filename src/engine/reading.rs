//! What is read: how far ahead of the API, and what becomes of each item.
//!
//! Owns the bounds of what is queued. Does not own what is read ahead of that (`intake`), nor what waits for parents (`parking`).

use super::conductor::{Early, Input, Job, Sync};
use super::ending::incomplete;
use super::execute::{World, Wrote};
use super::in_turn::Place;
use super::intake::{Item, PlannedRecord};
use super::keeping::Came;
use super::ledger::{MixedStates, Scope};
use super::report::Of;
use crate::errors::Code;
use crate::failure::Failure;
use crate::protocol::{StateKind, StreamStatus};

/// Records read ahead of the API, at most.
const MAX_JOBS: usize = 4096;
/// The same where imports are used: what goes in one has to be read first.
const MAX_JOBS_IN_BULK: usize = 16_384;
/// Bytes of plans read ahead of the API, at most.
const MAX_JOB_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of STATEs that wait, at most.
const MAX_STATE_BYTES: usize = 256 * 1024 * 1024;

impl Sync<'_> {
    /// Whether more is read.
    pub(super) fn may_read(&self, world: &World<'_>) -> bool {
        matches!(self.input, Input::Open) && self.has_room(world)
    }

    /// Whether there is room in the queue.
    pub(super) fn has_room(&self, world: &World<'_>) -> bool {
        self.halted.is_none()
            && self.lanes.len() + self.early < if world.bulk.get() { MAX_JOBS_IN_BULK } else { MAX_JOBS }
            && self.queued_bytes < MAX_JOB_BYTES
            && self.store.has_room()
    }

    /// A record is under way no longer: those rejects that waited for it have their outcome.
    pub(super) fn ends(&mut self, stream: usize, place: Place) -> Result<(), Failure> {
        self.in_turn[stream].ends(place);
        self.settle_early(stream)
    }

    fn settle_early(&mut self, stream: usize) -> Result<(), Failure> {
        while let Some(early) = self.in_turn[stream].next() {
            self.queued_bytes = self.queued_bytes.saturating_sub(early.bytes());
            self.early -= 1;
            let Early { ticket, line, origin, key, outcome } = early;
            let came = Came { stream, line, origin: origin.as_deref() };
            self.settle(ticket, &came, &Of::Key(&key), outcome, &Wrote::default())?;
        }
        Ok(())
    }

    /// Takes one item in its turn.
    pub(super) fn take(&mut self, world: &World<'_>, item: Item) -> Result<(), Failure> {
        match item {
            Item::Record { line, stream, planned, origin, named } => {
                self.seen.take(stream, named.as_deref());
                self.engine.report.borrow_mut().read(stream);
                if self.complete[stream] && !std::mem::replace(&mut self.late[stream], true) {
                    let id = &self.engine.bindings.at(stream).id;
                    tracing::warn!("stream {id}: records came after its COMPLETE (line {line}); they are written all the same");
                }
                let ticket = self.ledger.admit(stream);
                match planned {
                    PlannedRecord::Settled(outcome, key) if outcome.is_rejected() && self.rejects.is_a_part() => {
                        let early = Early { ticket, line, origin, key, outcome };
                        self.queued_bytes += early.bytes();
                        self.early += 1;
                        self.in_turn[stream].wait(early);
                        self.settle_early(stream)?;
                    }
                    PlannedRecord::Settled(outcome, key) => {
                        let came = Came { stream, line, origin: origin.as_deref() };
                        self.settle(ticket, &came, &Of::Key(&key), outcome, &Wrote::default())?;
                    }
                    PlannedRecord::Plan(plan) => {
                        let part = self.engine.report.borrow().states_read;
                        let place = self.in_turn[stream].begins();
                        let job = Job::new(ticket, (stream, line), plan, origin, part, place);
                        self.queue(world, job);
                    }
                }
            }
            Item::State(state) => {
                let scope = match state.kind() {
                    StateKind::Global | StateKind::Legacy => Scope::All,
                    StateKind::Stream(id) => match self.engine.bindings.find(id.as_ref()) {
                        Some(stream) => Scope::Stream(stream),
                        None => {
                            tracing::warn!("a STATE of stream {id}, which is not in the catalog, is echoed as it came");
                            Scope::Foreign
                        }
                    },
                };
                self.state_bytes += state.line().len();
                match self.ledger.barrier(scope, state) {
                    Ok(ready) => {
                        self.engine.report.borrow_mut().states_read += 1;
                        self.emit(ready)?;
                        if self.state_bytes > MAX_STATE_BYTES {
                            let text = format!(
                                "STATEs of {} bytes wait for records that wait for parents. {}",
                                self.state_bytes,
                                Code::ParkingFull.remedy()
                            );
                            return Err(Failure::system(Code::ParkingFull, text));
                        }
                    }
                    Err(MixedStates) => {
                        let text = format!("{} {}", Code::StateMixed.cause(), Code::StateMixed.remedy());
                        self.input = Input::Broken(Failure::system(Code::StateMixed, text));
                    }
                }
            }
            Item::Status(places, StreamStatus::Complete) => {
                self.seen.complete(&places);
                places.into_iter().for_each(|at| self.complete[at] = true);
            }
            Item::Status(places, StreamStatus::Incomplete) => {
                let names: Vec<String> = places.iter().map(|at| self.engine.bindings.at(*at).id.to_string()).collect();
                self.input = Input::Broken(incomplete(&names));
            }
            Item::Status(places, StreamStatus::Started) => {
                // Where it may be any of several streams, it may well be one that had not begun.
                if let [at] = places[..] {
                    self.seen.started(at);
                    self.complete[at] = false;
                }
            }
            Item::Status(..) => {}
            Item::UnknownType(kind) => self.engine.report.borrow_mut().unknown_type(kind),
            Item::Broken(failure) => self.input = Input::Broken(failure),
        }
        Ok(())
    }
}
