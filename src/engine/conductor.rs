//! The one loop: reads items, gives records their turn, settles them, lets STATEs go.
//!
//! Owns all concurrency of a sync: plans run as futures of this one task, so that nothing here needs a lock. Owns the order
//! of work: what was read already is queued before anything starts, so that records that stand together can go together, and
//! what is finished is settled before more is waited for. What is in flight is bounded, so that a slow API stops the reading.
//! Does not own whose turn it is (`turns`).

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use smallvec::SmallVec;
use tokio::time::{Instant, sleep_until};

use super::bulk::{Batch, Group, pays};
use super::deletions::DeleteGuard;
use super::execute::{Family, Imported, Imports, Member, World, Wrote, family, import_step, rest};
use super::intake::{Intake, Item, PlannedRecord};
use super::keeping::{Came, Held};
use super::lanes::Lanes;
use super::ledger::{Ledger, Scope, Ticket};
use super::mirror::{Attempt, Seen};
use super::parking::Parking;
use super::report::{Of, Report, Warnings};
use super::throttled::{Throttled, news};
use crate::account::Account;
use crate::binding::Bindings;
use crate::client::Client;
use crate::config::{BulkImport, Deletions};
use crate::errors::Code;
use crate::failure::Failure;
use crate::objects::OBJECTS;
use crate::plan::{LaneKeys, Plan};
use crate::protocol::{Emitter, StateKind, StateMessage, StreamStatus};
use crate::store::{Origin, Store};

/// Records read ahead of the API, at most.
const MAX_JOBS: usize = 4096;
/// The same where imports are used: what goes in one has to be read first.
const MAX_JOBS_IN_BULK: usize = 16_384;
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
    /// Which attempt of the host this is.
    pub attempt: Attempt,
    /// Whether bulk imports are used.
    pub bulk_import: BulkImport,
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
    /// As it came, where rejected records are kept.
    pub(super) origin: Option<Box<Origin>>,
    pub(super) last_chance: bool,
    /// How many STATEs came before it.
    pub(super) part: u64,
    /// It waited for its turn behind a record of its own thing, that it was thought to complete.
    pub(super) stood_behind: bool,
}

impl Job {
    /// The names of the thing that it is about.
    pub(super) fn own(&self, bindings: &Bindings) -> LaneKeys {
        self.plan.own_lanes(bindings.at(self.stream).object.resource().name)
    }

    pub(super) fn member<'j>(&'j self, bindings: &'j Bindings) -> Member<'j> {
        let binding = bindings.at(self.stream);
        Member { object: binding.object, how: binding.how(), plan: &self.plan, last_chance: self.last_chance }
    }

    pub(super) fn bytes(&self) -> usize {
        self.plan.bytes() + self.origin.as_ref().map_or(0, |origin| origin.bytes()) + size_of::<Self>()
    }
}

/// Records under way together, mostly one.
pub(super) type Jobs = SmallVec<[Job; 1]>;
type Running<'w> = FuturesUnordered<One<'w>>;
type Importing<'w> = FuturesUnordered<Pin<Box<dyn Future<Output = (Vec<Group>, Result<Vec<Vec<Imported>>, Failure>)> + 'w>>>;

/// One turn under way.
type One<'w> = Pin<Box<dyn Future<Output = (Group, Result<Goes, Failure>)> + 'w>>;

/// How the turn of a group goes on.
pub(super) enum Goes {
    /// Each of its records has its step.
    Ended,
    /// Its family goes in an import.
    Imports,
}

impl Engine<'_> {
    /// Runs a sync to its end.
    ///
    /// `store` keeps rejects and receipts; `stop` resolves when the process is asked to end.
    ///
    /// # Errors
    /// What ended the sync. STATEs that were emitted before stand.
    pub async fn run(&self, intake: Intake, store: Store, stop: impl Future<Output = ()>) -> Result<Ending, Failure> {
        let world = World {
            client: self.client,
            account: Account::new(self.client, self.data_source),
            deletions: RefCell::new(DeleteGuard::new(self.deletions)),
            warnings: Warnings::default(),
            brought: RefCell::default(),
            bulk: Cell::new(self.bulk_import == BulkImport::Auto),
            imports: RefCell::new(Imports::default()),
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
            seen: Seen::new(&self.bindings),
            started: Instant::now(),
            batch: Batch::default(),
            queued_bytes: 0,
            state_bytes: 0,
            store,
            held: Held::default(),
            input: Input::Open,
            halted: None,
            throttled: Throttled::default(),
        };
        let ending = sync.conduct(&world, intake, stop).await;
        let ending = sync.keep_rest(ending).await;
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
    pub(super) ledger: Ledger<StateMessage>,
    /// What came, where what did not is to be deleted.
    pub(super) seen: Seen,
    pub(super) lanes: Lanes<Job>,
    pub(super) parking: Parking<Job>,
    pub(super) complete: Vec<bool>,
    /// Streams of which records came after their COMPLETE.
    late: Vec<bool>,
    started: Instant,
    /// What waits to go in an import.
    batch: Batch,
    pub(super) queued_bytes: usize,
    pub(super) state_bytes: usize,
    pub(super) store: Store,
    /// STATEs that wait until what is kept of their records is durable.
    pub(super) held: Held,
    input: Input,
    /// Ends the sync once what is under way is finished.
    halted: Option<Failure>,
    pub(super) throttled: Throttled,
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
        // One at a time: how many the API takes at once is unknown.
        let mut importing: Importing<'_> = FuturesUnordered::new();
        let mut stop = pin!(stop);
        if world.bulk.get() {
            tokio::select! {
                known = world.no_import_is_pending() => if !known? {
                    tracing::warn!("the data source does not show what is being processed: records are not imported in bulk");
                    world.bulk.set(false);
                },
                () = &mut stop => return Ok(Ending::Interrupted),
            }
        }
        // When there is more to be said of a pause.
        let mut later = None;
        loop {
            // What is there already is taken before anything is started: records that stand together can go together.
            if self.may_read(world)
                && let Some(item) = intake.ready()
            {
                self.take(world, item)?;
                continue;
            }
            while self.halted.is_none()
                && running.len() < MAX_RUNNING
                && let Some((id, jobs)) = self.start(world, bindings)?
            {
                running.push(take_turn(world, bindings, Group::new(id, jobs)));
            }
            let reading = self.may_read(world);
            if self.halted.is_none()
                && importing.is_empty()
                && self.batch.is_due(self.started.elapsed(), (running.is_empty() && !reading) || !world.bulk.get())
            {
                let groups = self.batch.next(|group| group.jobs.first().map_or(0, |job| job.part));
                if pays(&groups) && world.bulk.get() {
                    importing.push(Box::pin(async move {
                        let families: Vec<&Family> = groups.iter().map(|group| &group.family).collect();
                        let found = world.import(&families).await;
                        (groups, found)
                    }));
                } else {
                    groups.into_iter().for_each(|group| running.push(take_turn(world, bindings, group.singly())));
                }
                continue;
            }
            // What waits to go in an import has sent nothing yet: a sync that is to end leaves it.
            if running.is_empty() && importing.is_empty() && (self.batch.is_empty() || self.halted.is_some()) {
                if let Some(failure) = self.halted.take() {
                    return Err(failure);
                }
                if !matches!(self.input, Input::Open) && self.finish(world)? {
                    return self.mirror(world, stop).await;
                }
                if !self.lanes.is_empty() {
                    continue;
                }
            }
            let deadline = self
                .batch
                .deadline()
                .filter(|_| importing.is_empty() && self.halted.is_none())
                .map(|deadline| self.started + deadline);
            let keeping = self.store.has_work();
            tokio::select! {
                biased;
                kept = self.store.progress(), if keeping => {
                    kept?;
                    self.let_go()?;
                }
                Some((group, goes)) = running.next(), if !running.is_empty() => match goes {
                    // The others under way are within the limit: they are finished, nothing new is started.
                    Err(failure) if failure.code == Code::DeleteLimit => self.halted = self.halted.take().or(Some(failure)),
                    goes => match goes? {
                        Goes::Ended => self.ended(world, group)?,
                        Goes::Imports => self.batch.add(self.started.elapsed(), group),
                    },
                },
                Some((groups, found)) = importing.next(), if !importing.is_empty() => {
                    for (group, found) in groups.into_iter().zip(found?) {
                        running.extend(self.imported(world, bindings, group, found)?);
                    }
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {}
                () = &mut stop => return self.drain(world, running).await,
                () = news(self.engine.client, later) => later = self.tell_throttled()?,
                item = intake.next(), if reading => match item {
                    Some(item) => self.take(world, item)?,
                    None => self.input = Input::Ended,
                },
            }
        }
    }

    fn may_read(&self, world: &World<'_>) -> bool {
        self.halted.is_none()
            && matches!(self.input, Input::Open)
            && self.lanes.len() < if world.bulk.get() { MAX_JOBS_IN_BULK } else { MAX_JOBS }
            && self.queued_bytes < MAX_JOB_BYTES
            && self.store.has_room()
    }

    /// An import came to its end: records that it made have their outcome, the others go their way, which is what is answered.
    fn imported<'w>(
        &mut self,
        world: &'w World<'w>,
        bindings: &'w Bindings,
        mut group: Group,
        found: Vec<Imported>,
    ) -> Result<Option<One<'w>>, Failure> {
        let (spread, again) = std::mem::take(&mut group.family).spread(found);
        for (at, imported) in spread {
            group.steps[at] = import_step(world, &group.jobs[at].member(bindings), imported);
            group.singly[at] = group.steps[at].is_none();
        }
        if again.is_empty() {
            return Ok(Some(take_turn(world, bindings, group)));
        }
        group.family = again;
        self.batch.put_back(self.started.elapsed(), group);
        Ok(None)
    }

    fn take(&mut self, world: &World<'_>, item: Item) -> Result<(), Failure> {
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
                    PlannedRecord::Settled(outcome, key) => {
                        let came = Came { stream, line, origin: origin.as_deref() };
                        self.settle(ticket, &came, &Of::Key(&key), outcome, &Wrote::default())?;
                    }
                    PlannedRecord::Plan(plan) => {
                        let part = self.engine.report.borrow().states_read;
                        let job = Job { ticket, stream, line, plan, origin, last_chance: false, part, stood_behind: false };
                        self.queue(world, job);
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
    pub(super) async fn drain(&mut self, world: &World<'_>, mut running: Running<'_>) -> Result<Ending, Failure> {
        tracing::info!("asked to stop: {} requests are finished, nothing new is started", running.len());
        let mut grace = pin!(tokio::time::sleep(GRACE));
        let mut late = false;
        while !running.is_empty() && !late {
            tokio::select! {
                biased;
                Some((group, goes)) = running.next() => if let Goes::Ended = goes? {
                    self.ended(world, group)?;
                },
                () = &mut grace => late = true,
            }
        }
        tokio::select! {
            biased;
            kept = self.keep_all() => kept.unwrap_or_else(|failure| tracing::warn!("{}: {}", failure.code, failure.message)),
            () = &mut grace, if !late => {}
        }
        Ok(Ending::Interrupted)
    }

    /// Says of every STATE that did not leave what it waits for.
    fn explain_waiting(&self) {
        self.explain_held();
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

/// Carries out what of a group has no step yet, or says what of it goes in an import.
fn take_turn<'w>(world: &'w World<'w>, bindings: &'w Bindings, mut group: Group) -> One<'w> {
    Box::pin(async move {
        let members: Vec<Member<'_>> = group.jobs.iter().map(|job| job.member(bindings)).collect();
        let goes = async {
            if world.bulk.get() {
                let may_go = |at: usize| group.steps[at].is_none() && !group.singly[at];
                if let Some(family) = family(world, &members, may_go).await? {
                    group.family = family;
                    return Ok(Goes::Imports);
                }
            }
            rest(world, &members, &mut group.steps).await.map(|()| Goes::Ended)
        }
        .await;
        drop(members);
        (group, goes)
    })
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
