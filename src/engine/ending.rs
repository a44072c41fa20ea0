//! How a sync ends: the last chance of what waits for parents, a stop by the host, and what did not leave.
//!
//! Does not own what is deleted once all is settled (`mirror`), nor what is still to be kept (`keeping`).

use std::pin::pin;

use futures_util::StreamExt;

use super::conductor::{Ending, Goes, Input, Job, Queued, Running, Sync};
use super::execute::World;
use super::keeping::tell_not_kept;
use super::report::WaitingState;
use super::stop::{GRACE, GRACE_TO_KEEP, Stop};
use super::turns::{in_memory, queueing};
use crate::errors::Code;
use crate::failure::Failure;
use crate::objects::OBJECTS;
use crate::protocol::StateKind;

/// STATEs that did not leave and are explained one by one.
pub(super) const EXPLAINED: usize = 20;

impl Sync<'_> {
    /// The input has ended and nothing is queued or under way. Answers whether that was all.
    pub(super) fn finish(&mut self, world: &World<'_>) -> Result<bool, Failure> {
        if !self.lanes.is_empty() || self.last.len() > 0 {
            return Ok(false);
        }
        if let Input::Broken(failure) = &self.input {
            return Err(failure.clone());
        }
        let missing: Vec<String> = self
            .engine
            .bindings
            .iter()
            .zip(&self.complete)
            .filter(|(binding, complete)| binding.expects_complete && !**complete)
            .map(|(binding, _)| binding.id.to_string())
            .collect();
        if !missing.is_empty() {
            // The source failed in the middle: parents may still come with the next attempt, so that nothing that waits for
            // one is rejected now.
            return Err(incomplete(&missing));
        }
        if self.parking.is_empty() {
            return Ok(true);
        }
        // What others refer to comes first, as in the registry; what is alike, in the order it came.
        let bindings = &self.engine.bindings;
        let rank = |job: &Job| {
            let name = bindings.at(job.stream).object.resource().name;
            OBJECTS.iter().position(|object| object.resource().name == name)
        };
        let mut jobs = self.parking.all(|job| (rank(job), job.line))?;
        jobs.sort_unstable_by_key(|(order, _)| *order);
        self.last = jobs.into_iter().map(|(_, job)| job).collect::<Vec<_>>().into_iter();
        self.queue_last(world)?;
        Ok(false)
    }

    /// Queues what has its last chance, as far as there is room: all of it at once would be more than memory may hold.
    pub(super) fn queue_last(&mut self, world: &World<'_>) -> Result<(), Failure> {
        while self.has_room(world)
            && let Some(job) = self.last.next()
        {
            let bindings = &self.engine.bindings;
            let lanes = self.parking.look(&job, |job| queueing(world, bindings, job))?;
            self.queued_bytes += in_memory(&job);
            self.lanes.push(lanes, Queued { job, last_chance: true, was_tried: false });
        }
        Ok(())
    }

    /// Asked to end: what is under way is finished and what it lets go is emitted; nothing new is started, and so many imports are
    /// not waited for.
    pub(super) async fn drain(
        &mut self,
        world: &World<'_>,
        mut running: Running<'_>,
        imports: usize,
        stop: &Stop<'_>,
    ) -> Result<Ending, Failure> {
        tracing::info!(
            "asked to stop: nothing new is started; what is under way ({}) has {} s to be finished",
            running.len(),
            GRACE.as_secs()
        );
        if imports > 0 {
            tracing::info!(
                "a bulk import is not waited for: ChartMogul goes on with it, its records have no outcome, and the next attempt \
                 finds what it made"
            );
        }
        let mut over = pin!(stop.over(GRACE));
        let (mut late, mut broken) = (false, false);
        while !running.is_empty() && !late {
            let keeping = !broken && self.store.has_work();
            tokio::select! {
                biased;
                // What is kept by now lets STATEs go, however long the others take.
                kept = self.store.progress(), if keeping => match kept {
                    Ok(()) => self.let_go()?,
                    Err(failure) => {
                        tell_not_kept(&failure);
                        broken = true;
                    }
                },
                Some((group, goes)) = running.next() => match goes {
                    // The others under way are within the limit.
                    Err(failure) if failure.code == Code::DeleteLimit => self.halted = self.halted.take().or(Some(failure)),
                    goes => if let Goes::Ended = goes? {
                        self.ended(world, group)?;
                    },
                },
                () = &mut over => late = true,
            }
        }
        if !broken {
            tokio::select! {
                biased;
                kept = self.keep_all() => if let Err(failure) = kept {
                    tell_not_kept(&failure);
                },
                () = stop.over(GRACE_TO_KEEP) => {}
            }
        }
        self.halted.take().map_or(Ok(Ending::Interrupted), Err)
    }

    /// Says of every STATE that did not leave what it waits for.
    pub(super) fn explain_waiting(&self) {
        self.explain_held();
        let waiting = self.ledger.waiting();
        let told = waiting.iter().take(EXPLAINED).map(|waiting| match waiting.state.kind() {
            StateKind::Stream(id) => WaitingState { stream: Some(id.clone()), records: waiting.records },
            StateKind::Global | StateKind::Legacy => WaitingState { stream: None, records: waiting.records },
        });
        let mut report = self.engine.report.borrow_mut();
        let still_parked = self.parking.len() + self.last.len();
        (report.waiting, report.still_parked) = (told.collect(), still_parked);
        drop(report);
        if waiting.len() > EXPLAINED {
            tracing::warn!("{} STATEs did not leave; of these the first {EXPLAINED}:", waiting.len());
        }
        for waiting in waiting.into_iter().take(EXPLAINED) {
            let scope = waiting.state.kind();
            tracing::warn!(
                "a STATE of {scope} did not leave: {} records before it have no outcome, or are rejects that ended the sync ({} wait for parents)",
                waiting.records,
                still_parked
            );
        }
    }
}

pub(super) fn incomplete(streams: &[String]) -> Failure {
    Failure::transient(
        Code::InputIncomplete,
        format!(
            "The input ended before these streams were complete: {}. What came was written, and its STATEs stand. {}",
            streams.join(", "),
            Code::InputIncomplete.remedy()
        ),
    )
}
