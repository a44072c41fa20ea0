//! The one loop: reads items, gives records their turn, settles them, lets STATEs go.
//!
//! Owns all concurrency of a sync: plans run as futures of this one task, so that nothing here needs a lock. Owns the order
//! of work: what was read already is queued before anything starts, so that records that stand together can go together, and
//! what is finished is settled before more is waited for. What is in flight is bounded, so that a slow API stops the reading.
//! Does not own whose turn it is (`turns`).

use std::cell::RefCell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use smallvec::SmallVec;

use super::deletions::DeleteGuard;
use super::execute::{Member, Step, World, execute};
use super::intake::{Intake, Item, PlannedRecord};
use super::lanes::{JobId, Lanes};
use super::ledger::{Ledger, Ready, Scope, Ticket};
use super::parking::Parking;
use super::report::{Of, Report, Warnings};
use crate::account::Account;
use crate::binding::Bindings;
use crate::client::Client;
use crate::config::Deletions;
use crate::errors::Code;
use crate::failure::Failure;
use crate::objects::OBJECTS;
use crate::outcome::Outcome;
use crate::plan::{LaneKeys, Plan};
use crate::protocol::{Emitter, Outbound, StateKind, StateMessage, StreamStatus};

/// Records read ahead of the API, at most.
const MAX_JOBS: usize = 4096;
/// Bytes of plans read ahead of the API, at most.
const MAX_JOB_BYTES: usize = 64 * 1024 * 1024;
/// Plans under way at once: more than there are connections, since those that wait before a repetition hold none.
const MAX_RUNNING: usize = 256;
/// Records that go in one request, at most; how many the API takes is unknown, and a body of so many stays far below the
/// size that is sent.
pub(super) const MOST_JOINED: usize = 1000;
/// Bytes of plans that wait for their parents, at most.
const MAX_PARKED_BYTES: usize = 256 * 1024 * 1024;
/// Bytes of STATEs that wait, at most.
const MAX_STATE_BYTES: usize = 256 * 1024 * 1024;
/// STATEs that did not leave and are explained one by one.
const EXPLAINED: usize = 20;
/// After SIGTERM, how long requests under way may take.
const GRACE: Duration = Duration::from_secs(25);

/// How a sync ended that was not stopped by a [`Failure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All input was read and settled.
    Complete,
    /// We were asked to stop.
    Interrupted,
}

/// What a sync is made of.
#[derive(Debug)]
pub struct Engine<'e> {
    /// What the streams become.
    pub bindings: Arc<Bindings>,
    /// The road to the API.
    pub client: &'e Client,
    /// The configured data source.
    pub data_source: &'e str,
    /// The deletion policy.
    pub deletions: Deletions,
    /// Where STATEs go.
    pub emitter: &'e Emitter,
    /// Where what happened is noted; may be looked at while the sync runs.
    pub report: &'e RefCell<Report>,
}

/// A record on its way.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) ticket: Ticket,
    pub(super) stream: usize,
    pub(super) line: u64,
    pub(super) plan: Box<Plan>,
    pub(super) last_chance: bool,
    /// It waited for its turn behind a record of its own thing, that it was thought to complete.
    pub(super) stood_behind: bool,
}

impl Job {
    /// The names of the thing that it is about.
    pub(super) fn own(&self, bindings: &Bindings) -> LaneKeys {
        self.plan.own_lanes(bindings.at(self.stream).object.resource().name)
    }

    fn member<'j>(&'j self, bindings: &'j Bindings) -> Member<'j> {
        let binding = bindings.at(self.stream);
        Member { object: binding.object, how: binding.how(), plan: &self.plan, last_chance: self.last_chance }
    }

    pub(super) fn bytes(&self) -> usize {
        self.plan.bytes() + size_of::<Self>()
    }
}

/// Records under way together, mostly one.
pub(super) type Jobs = SmallVec<[Job; 1]>;
type Running<'w> = FuturesUnordered<Pin<Box<dyn Future<Output = (JobId, Jobs, Result<Vec<Step>, Failure>)> + 'w>>>;

impl Engine<'_> {
    /// Runs a sync to its end.
    ///
    /// `stop` resolves when the process is asked to end.
    ///
    /// # Errors
    /// What ended the sync. STATEs that were emitted before stand.
    pub async fn run(&self, intake: Intake, stop: impl Future<Output = ()>) -> Result<Ending, Failure> {
        let world = World {
            client: self.client,
            account: Account::new(self.client, self.data_source),
            deletions: RefCell::new(DeleteGuard::new(self.deletions)),
            warnings: Warnings::default(),
            brought: RefCell::default(),
        };
        for binding in self.bindings.iter() {
            world.account.types_are_said(binding.object, binding.said_types());
        }
        let mut sync = Sync {
            engine: self,
            ledger: Ledger::new(self.bindings.len()),
            lanes: Lanes::default(),
            parking: Parking::new(MAX_PARKED_BYTES),
            complete: vec![false; self.bindings.len()],
            late: vec![false; self.bindings.len()],
            queued_bytes: 0,
            state_bytes: 0,
            input: Input::Open,
            halted: None,
        };
        let ending = sync.conduct(&world, intake, stop).await;
        self.report.borrow_mut().client = self.client.stats();
        sync.explain_waiting();
        ending
    }
}

/// How far the input is.
#[derive(Debug)]
enum Input {
    Open,
    /// It ended, and everything in it was sound.
    Ended,
    /// It can not be read on; what was read before is finished, then the sync fails.
    Broken(Failure),
}

/// One sync under way.
pub(super) struct Sync<'e> {
    pub(super) engine: &'e Engine<'e>,
    ledger: Ledger<StateMessage>,
    pub(super) lanes: Lanes<Job>,
    pub(super) parking: Parking<Job>,
    complete: Vec<bool>,
    /// Streams of which records came after their COMPLETE.
    late: Vec<bool>,
    pub(super) queued_bytes: usize,
    state_bytes: usize,
    input: Input,
    /// Ends the sync once what is under way is finished.
    halted: Option<Failure>,
}

impl Sync<'_> {
    async fn conduct(
        &mut self,
        world: &World<'_>,
        mut intake: Intake,
        stop: impl Future<Output = ()>,
    ) -> Result<Ending, Failure> {
        let bindings = Arc::clone(&self.engine.bindings);
        let bindings = &*bindings;
        let mut running: Running<'_> = FuturesUnordered::new();
        let mut stop = pin!(stop);
        loop {
            // What is there already is taken before anything is started: records that stand together can go together.
            if self.may_read()
                && let Some(item) = intake.ready()
            {
                self.take(world, item)?;
                continue;
            }
            while self.halted.is_none()
                && running.len() < MAX_RUNNING
                && let Some((id, jobs)) = self.start(world, bindings)?
            {
                running.push(Box::pin(async move {
                    let members: Vec<Member<'_>> = jobs.iter().map(|job| job.member(bindings)).collect();
                    let steps = execute(world, &members).await;
                    (id, jobs, steps)
                }));
            }
            if running.is_empty() {
                if let Some(failure) = self.halted.take() {
                    return Err(failure);
                }
                if !matches!(self.input, Input::Open) && self.finish(world)? {
                    return Ok(Ending::Complete);
                }
                if !self.lanes.is_empty() {
                    continue;
                }
            }
            let reading = self.may_read();
            tokio::select! {
                biased;
                Some((id, jobs, steps)) = running.next(), if !running.is_empty() => match steps {
                    // The others under way are within the limit: they are finished, nothing new is started.
                    Err(failure) if failure.code == Code::DeleteLimit => self.halted = self.halted.take().or(Some(failure)),
                    steps => self.ended(world, id, jobs, steps?)?,
                },
                () = &mut stop => return self.drain(world, running).await,
                item = intake.next(), if reading => match item {
                    Some(item) => self.take(world, item)?,
                    None => self.input = Input::Ended,
                },
            }
        }
    }

    fn may_read(&self) -> bool {
        self.halted.is_none()
            && matches!(self.input, Input::Open)
            && self.lanes.len() < MAX_JOBS
            && self.queued_bytes < MAX_JOB_BYTES
    }

    fn take(&mut self, world: &World<'_>, item: Item) -> Result<(), Failure> {
        match item {
            Item::Record { line, stream, planned } => {
                self.engine.report.borrow_mut().read(stream);
                if self.complete[stream] && !std::mem::replace(&mut self.late[stream], true) {
                    let id = &self.engine.bindings.at(stream).id;
                    tracing::warn!("stream {id}: records came after its COMPLETE (line {line}); they are written all the same");
                }
                let ticket = self.ledger.admit(stream);
                match planned {
                    PlannedRecord::Settled(outcome, key) => self.settle(ticket, stream, line, &Of::Key(&key), outcome)?,
                    PlannedRecord::Plan(plan) => {
                        self.queue(world, Job { ticket, stream, line, plan, last_chance: false, stood_behind: false });
                    }
                }
            }
            Item::State(state) => {
                self.engine.report.borrow_mut().states_read += 1;
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
                    Err(super::ledger::MixedStates) => {
                        let text = format!("{} {}", Code::StateMixed.cause(), Code::StateMixed.remedy());
                        self.input = Input::Broken(Failure::system(Code::StateMixed, text));
                    }
                }
            }
            Item::Status(places, StreamStatus::Complete) => places.into_iter().for_each(|at| self.complete[at] = true),
            Item::Status(places, StreamStatus::Incomplete) => {
                let names: Vec<String> = places.iter().map(|at| self.engine.bindings.at(*at).id.to_string()).collect();
                self.input = Input::Broken(incomplete(&names));
            }
            Item::Status(..) => {}
            Item::UnknownType(kind) => self.engine.report.borrow_mut().unknown_type(kind),
            Item::Broken(failure) => self.input = Input::Broken(failure),
        }
        Ok(())
    }

    pub(super) fn settle(
        &mut self,
        ticket: Ticket,
        stream: usize,
        line: u64,
        of: &Of<'_>,
        outcome: Outcome,
    ) -> Result<(), Failure> {
        let rejected = outcome.is_rejected();
        self.engine.report.borrow_mut().settled(stream, line, of, outcome);
        let ready = self.ledger.settle(ticket, rejected);
        self.emit(ready)
    }

    fn emit(&mut self, ready: Vec<Ready<StateMessage>>) -> Result<(), Failure> {
        for Ready { state, loaded, rejected } in ready {
            self.state_bytes = self.state_bytes.saturating_sub(state.line().len());
            self.engine.emitter.emit(&Outbound::State(state.stamped(loaded, rejected)))?;
            self.engine.report.borrow_mut().states_emitted += 1;
        }
        Ok(())
    }

    /// The input has ended and nothing is queued or under way. Answers whether that was all.
    fn finish(&mut self, world: &World<'_>) -> Result<bool, Failure> {
        if !self.lanes.is_empty() {
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
        let mut jobs = self.parking.all();
        let rank = |job: &Job| {
            let name = self.engine.bindings.at(job.stream).object.resource().name;
            OBJECTS.iter().position(|object| object.resource().name == name)
        };
        jobs.sort_by_key(|job| (rank(job), job.line));
        for mut job in jobs {
            job.last_chance = true;
            self.queue(world, job);
        }
        Ok(false)
    }

    /// Asked to end: what is under way is finished and what it lets go is emitted; nothing new is started.
    async fn drain(&mut self, world: &World<'_>, mut running: Running<'_>) -> Result<Ending, Failure> {
        tracing::info!("asked to stop: {} requests are finished, nothing new is started", running.len());
        let mut grace = pin!(tokio::time::sleep(GRACE));
        while !running.is_empty() {
            match select(running.next(), &mut grace).await {
                Either::Left((Some((id, jobs, steps)), _)) => self.ended(world, id, jobs, steps?)?,
                Either::Left((None, _)) | Either::Right(_) => break,
            }
        }
        Ok(Ending::Interrupted)
    }

    /// Says of every STATE that did not leave what it waits for.
    fn explain_waiting(&self) {
        let waiting = self.ledger.waiting();
        if waiting.len() > EXPLAINED {
            tracing::warn!("{} STATEs did not leave; of these the first {EXPLAINED}:", waiting.len());
        }
        for waiting in waiting.into_iter().take(EXPLAINED) {
            let scope = match waiting.state.kind() {
                StateKind::Stream(id) => format!("stream {id}"),
                StateKind::Global => "all streams".to_owned(),
                StateKind::Legacy => "all streams (LEGACY)".to_owned(),
            };
            tracing::warn!(
                "a STATE of {scope} did not leave: {} records before it have no outcome ({} wait for parents)",
                waiting.records,
                self.parking.len()
            );
        }
    }
}

fn incomplete(streams: &[String]) -> Failure {
    Failure::transient(
        Code::InputIncomplete,
        format!(
            "The input ended before these streams were complete: {}. What came was written, and its STATEs stand. {}",
            streams.join(", "),
            Code::InputIncomplete.remedy()
        ),
    )
}
