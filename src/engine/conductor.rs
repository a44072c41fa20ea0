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

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use smallvec::SmallVec;
use tokio::time::{Instant, sleep_until};

use super::bulk::{Batch, Group, pays};
use super::deletions::DeleteGuard;
use super::execute::{Family, Imported, Imports, Member, World, family, import_step, is_to_be_judged, judge, rest};
use super::in_turn::{InTurn, Place};
use super::intake::Intake;
use super::keeping::Held;
use super::lanes::Lanes;
use super::ledger::{Ledger, Ticket};
use super::mirror::{Attempt, Seen};
use super::parking::{Bounds, Kept, Parking};
use super::rejects::RejectLimit;
use super::report::{Report, Warnings};
use super::spill::Spill;
use super::stop::Stop;
use super::throttled::{Throttled, news};
use crate::account::Account;
use crate::binding::Bindings;
use crate::client::Client;
use crate::config::{BulkImport, Deletions, StopWhenRejected};
use crate::errors::Code;
use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::plan::{LaneKeys, Plan};
use crate::protocol::{Emitter, StateMessage};
use crate::store::{Origin, Store};

/// Plans under way at once: more than there are connections, since those that wait before a repetition hold none.
const MAX_RUNNING: usize = 256;
/// Records that go in one request, at most; how many the API takes is unknown, and a body of so many stays far below the
/// size that is sent.
pub(super) const MOST_JOINED: usize = 1000;

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
    /// How many rejected records end it.
    pub stop_when_rejected: StopWhenRejected,
    /// How much waits for parents.
    pub parking: Bounds,
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
    /// It waited, and was taken from among those that wait to go with another.
    pub(super) was_taken: bool,
    /// It goes since all was there to make the thing that it waited for: if it has to wait again, not for another like it.
    pub(super) was_tried: bool,
    /// Its place among the records of its stream that are under way.
    pub(super) place: Place,
}

/// A record that was rejected as soon as it was read.
#[derive(Debug)]
pub(super) struct Early {
    pub(super) ticket: Ticket,
    pub(super) line: u64,
    pub(super) origin: Option<Box<Origin>>,
    pub(super) key: String,
    pub(super) outcome: Outcome,
}

impl Early {
    /// Near enough: what is said of it is short.
    pub(super) fn bytes(&self) -> usize {
        512 + self.key.len() + self.origin.as_ref().map_or(0, |origin| origin.bytes())
    }
}

/// A record in the queue.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) job: Kept<Job>,
    /// Said here of what is put away.
    pub(super) last_chance: bool,
    /// The same.
    pub(super) was_tried: bool,
}

impl Job {
    /// One that has waited for nothing yet.
    pub(super) fn new(
        ticket: Ticket,
        (stream, line): (usize, u64),
        plan: Box<Plan>,
        origin: Option<Box<Origin>>,
        part: u64,
        place: Place,
    ) -> Self {
        let (last_chance, stood_behind, was_taken, was_tried) = (false, false, false, false);
        Self { ticket, stream, line, plan, origin, last_chance, part, stood_behind, was_taken, was_tried, place }
    }

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
pub(super) type Running<'w> = FuturesUnordered<One<'w>>;
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
        let stop = Stop::new(stop);
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
            in_turn: (0..self.bindings.len()).map(|_| InTurn::default()).collect(),
            early: 0,
            lanes: Lanes::default(),
            parking: Parking::new(self.parking, Spill::new(&self.bindings, self.parking.away)),
            last: Vec::new().into_iter(),
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
            rejects: RejectLimit::new(self.stop_when_rejected),
            halted: None,
            throttled: Throttled::default(),
        };
        let ending = sync.conduct(&world, intake, &stop).await;
        let ending = sync.keep_rest(ending, &stop).await;
        self.report.borrow_mut().client = self.client.stats();
        self.report.borrow_mut().all_is_kept = sync.store.is_durable(sync.store.mark());
        sync.explain_waiting();
        ending
    }
}

/// How far the input is.
#[derive(Debug)]
pub(super) enum Input {
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
    /// By stream: the rejects that wait for their turn.
    pub(super) in_turn: Vec<InTurn<Early>>,
    /// How many do.
    pub(super) early: usize,
    pub(super) lanes: Lanes<Queued>,
    pub(super) parking: Parking<Job, Spill>,
    /// What waited until the end and has its last chance, in the order in which it goes.
    pub(super) last: std::vec::IntoIter<Kept<Job>>,
    pub(super) complete: Vec<bool>,
    /// Streams of which records came after their COMPLETE.
    pub(super) late: Vec<bool>,
    started: Instant,
    /// What waits to go in an import.
    batch: Batch,
    pub(super) queued_bytes: usize,
    pub(super) state_bytes: usize,
    pub(super) store: Store,
    /// STATEs that wait until what is kept of their records is durable.
    pub(super) held: Held,
    pub(super) input: Input,
    pub(super) rejects: RejectLimit,
    /// Ends the sync once what is under way is finished.
    pub(super) halted: Option<Failure>,
    pub(super) throttled: Throttled,
}

impl Sync<'_> {
    async fn conduct(&mut self, world: &World<'_>, mut intake: Intake, stop: &Stop<'_>) -> Result<Ending, Failure> {
        let bindings = Arc::clone(&self.engine.bindings);
        let bindings = &*bindings;
        let mut running: Running<'_> = FuturesUnordered::new();
        // One at a time: how many the API takes at once is unknown.
        let mut importing: Importing<'_> = FuturesUnordered::new();
        let mut asked = pin!(stop.asked());
        if world.bulk.get() {
            tokio::select! {
                known = world.no_import_is_pending() => if !known? {
                    tracing::warn!("the data source does not show what is being processed: records are not imported in bulk");
                    world.bulk.set(false);
                },
                () = &mut asked => return Ok(Ending::Interrupted),
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
            self.queue_last(world)?;
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
            if running.is_empty() && importing.is_empty() {
                // What waits to go in an import has sent nothing yet: a sync that is to end leaves it.
                if let Some(failure) = self.halted.take() {
                    return Err(failure);
                }
            }
            if running.is_empty() && importing.is_empty() && self.batch.is_empty() {
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
                () = &mut asked => return self.drain(world, running, importing.len(), stop).await,
                () = news(self.engine.client, later) => later = self.tell_throttled()?,
                item = intake.next(), if reading => match item {
                    Some(item) => self.take(world, item)?,
                    None => self.input = Input::Ended,
                },
            }
        }
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
            let member = group.jobs[at].member(bindings);
            if is_to_be_judged(&member, &imported) {
                group.judged.push(at);
            }
            group.steps[at] = import_step(world, &member, imported);
            group.singly[at] = group.steps[at].is_none();
        }
        if again.is_empty() {
            return Ok(Some(take_turn(world, bindings, group)));
        }
        group.family = again;
        self.batch.put_back(self.started.elapsed(), group);
        Ok(None)
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
            rest(world, &members, &mut group.steps).await?;
            for at in std::mem::take(&mut group.judged) {
                judge(world, &members, &mut group.steps, &group.singly, at).await?;
            }
            Ok(Goes::Ended)
        }
        .await;
        drop(members);
        (group, goes)
    })
}
