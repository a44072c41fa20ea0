//! What is kept of a record, and the STATEs that wait until it is.
//!
//! Owns the handing over to the store, and that no STATE leaves before every reject and receipt of the records it covers is
//! durable. Does not own when a STATE may leave for its records' sake (`ledger`), nor how things are kept (`store`).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::sleep;

use super::Ending;
use super::conductor::Sync;
use super::ending::EXPLAINED;
use super::execute::Wrote;
use super::ledger::{Ready, Ticket};
use super::report::Of;
use super::stop::{GRACE_TO_KEEP, Stop};
use crate::errors::Code;
use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::protocol::{Outbound, StateKind, StateMessage};
use crate::store::{Mark, Origin, Receipt};

/// A sync that failed waits no longer than this for the store, so that what it has to say is heard.
const LAST_WORDS: Duration = Duration::from_secs(60);

/// Where a record came from.
#[derive(Debug)]
pub(super) struct Came<'r> {
    pub(super) stream: usize,
    pub(super) line: u64,
    pub(super) origin: Option<&'r Origin>,
}

/// STATEs whose records all have their outcome.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// By scope: a stream's place, or all.
    scopes: BTreeMap<Option<usize>, Queue>,
    /// STATEs so far, so that those of several scopes leave in the order in which they came.
    came: u64,
}

#[derive(Debug, Default)]
struct Queue {
    states: VecDeque<(u64, Ready<StateMessage>)>,
    /// How far its last STATE goes. What leaves later must not go less far.
    mark: Mark,
}

impl Sync<'_> {
    /// A record has its outcome: it is noted, kept as the settings ask for, and given back to the ledger.
    pub(super) fn settle(
        &mut self,
        ticket: Ticket,
        came: &Came<'_>,
        of: &Of<'_>,
        outcome: Outcome,
        wrote: &Wrote,
    ) -> Result<(), Failure> {
        let Came { stream, line, origin } = *came;
        if let Some(uuid) = wrote.uuid.as_deref().filter(|_| outcome != Outcome::Deleted) {
            self.seen.stands(uuid);
        }
        let mut mark = match &outcome {
            Outcome::Rejected(rejection) => self.store.reject(stream, line, origin, rejection),
            _ => Mark::default(),
        };
        if self.store.keeps_receipts() {
            let object = self.engine.bindings.at(stream).object.resource().name;
            let Wrote { uuid, attempts, http_status } = wrote;
            let (key, uuid) = (of.key(), uuid.as_deref());
            let receipt =
                Receipt { line, object, key: &key, outcome: &outcome, uuid, attempts: *attempts, http_status: *http_status };
            mark = mark.and(self.store.receipt(stream, &receipt));
        }
        let rejected = outcome.is_rejected();
        if !rejected {
            mark = mark.and(self.store.done(line, mark));
        }
        self.engine.report.borrow_mut().settled(stream, line, of, outcome);
        if let Some(failure) = self.rejects.count(rejected, &self.engine.report.borrow()) {
            // Its STATE must not leave, so that the next attempt comes by it again.
            self.halted.get_or_insert(failure);
            return Ok(());
        }
        let ready = self.ledger.settle(ticket, rejected, mark);
        self.emit(ready)
    }

    /// Lets STATEs go, those whose records still have to be kept as soon as they are.
    pub(super) fn emit(&mut self, ready: Vec<Ready<StateMessage>>) -> Result<(), Failure> {
        if ready.is_empty() {
            return Ok(());
        }
        for mut ready in ready {
            let scope = match ready.state.kind() {
                StateKind::Global | StateKind::Legacy => None,
                StateKind::Stream(id) => self.engine.bindings.find(id.as_ref()),
            };
            let queue = self.held.scopes.entry(scope).or_default();
            queue.mark = queue.mark.and(ready.mark);
            ready.mark = queue.mark;
            self.store.want(ready.mark);
            queue.states.push_back((self.held.came, ready));
            self.held.came += 1;
        }
        self.let_go()
    }

    /// Emits the STATEs of which everything is kept.
    pub(super) fn let_go(&mut self) -> Result<(), Failure> {
        let mut ready: Vec<(u64, Option<usize>)> = Vec::new();
        for (scope, queue) in &self.held.scopes {
            // Within a scope none goes less far than the one before it.
            let durable = queue.states.iter().take_while(|(_, ready)| self.store.is_durable(ready.mark));
            ready.extend(durable.map(|(came, _)| (*came, *scope)));
        }
        ready.sort_unstable();
        for (_, scope) in ready {
            let Some((_, ready)) = self.held.scopes.get_mut(&scope).and_then(|queue| queue.states.pop_front()) else { continue };
            let Ready { state, loaded, rejected, .. } = ready;
            self.state_bytes = self.state_bytes.saturating_sub(state.line().len());
            self.engine.emitter.emit(&Outbound::State(state.stamped(loaded, rejected)))?;
            self.engine.report.borrow_mut().states_emitted += 1;
        }
        Ok(())
    }

    /// Waits until all that was put in is kept, and lets go what waited for it.
    pub(super) async fn keep_all(&mut self) -> Result<(), Failure> {
        let mark = self.store.mark();
        self.store.want(mark);
        while !self.store.is_durable(mark) {
            self.store.progress().await?;
            self.let_go()?;
        }
        Ok(())
    }

    /// At the end: what is not kept yet is, as far as there is time for it.
    pub(super) async fn keep_rest(&mut self, ended: Result<Ending, Failure>, stop: &Stop<'_>) -> Result<Ending, Failure> {
        match ended {
            Ok(Ending::Complete) => {
                let over = async {
                    stop.asked().await;
                    tracing::info!("asked to stop: what is still to be kept has {} s", GRACE_TO_KEEP.as_secs());
                    stop.over(GRACE_TO_KEEP).await;
                };
                tokio::select! {
                    biased;
                    kept = self.keep_all() => match kept {
                        Err(failure) if stop.was_asked() => {
                            tell_not_kept(&failure);
                            Ok(Ending::Interrupted)
                        }
                        kept => kept.map(|()| Ending::Complete),
                    },
                    () = over => Ok(Ending::Interrupted),
                }
            }
            // What could be kept within the grace was.
            Ok(Ending::Interrupted) => Ok(Ending::Interrupted),
            Err(failure) => {
                let in_vain = matches!(
                    failure.code,
                    Code::StoreRefused | Code::StoreUnavailable | Code::ReplayNotNoted | Code::StdoutClosed
                );
                if !in_vain {
                    let kept = tokio::select! {
                        biased;
                        kept = self.keep_all() => kept,
                        () = sleep(LAST_WORDS) => Err(too_slow()),
                        () = stop.over(GRACE_TO_KEEP) => Err(too_slow()),
                    };
                    if let Err(other) = kept {
                        tracing::warn!("{}: {}", other.code, other.message);
                    }
                }
                Err(failure)
            }
        }
    }

    /// Says of every STATE that waits for the store that it did not leave.
    pub(super) fn explain_held(&self) {
        let held = || self.held.scopes.iter().filter(|(_, queue)| !queue.states.is_empty());
        self.engine.report.borrow_mut().states_held = held().map(|(_, queue)| queue.states.len()).sum();
        for (_, queue) in held().take(EXPLAINED) {
            let many = queue.states.len();
            if let Some((_, first)) = queue.states.front() {
                let scope = first.state.kind();
                tracing::warn!("{many} STATEs of {scope} did not leave: rejects or receipts of their records were not kept");
            }
        }
        if let more @ 1.. = held().skip(EXPLAINED).count() {
            tracing::warn!("nor did STATEs of {more} more streams, for the same reason");
        }
    }
}

/// The store failed after the process was asked to end: it ends as it was asked to, and the STATEs stay in.
pub(super) fn tell_not_kept(failure: &Failure) {
    tracing::warn!("{}: {}", failure.code, failure.message);
}

fn too_slow() -> Failure {
    Failure::transient(Code::StoreUnavailable, "What is left of the rejects and receipts was not kept in time.")
}
