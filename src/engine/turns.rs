//! Whose turn it is: what keeps its place behind what, what goes together, and what waits for what.
//!
//! Owns the way of a record from the queue to its turn and, where it has to wait, back. Does not own the loop that reads and
//! settles (`conductor`), nor what a turn does (`execute`).

use super::bulk::Group;
use super::conductor::{Job, Jobs, MOST_JOINED, Queued, Sync};
use super::execute::{Settled, Step, Waits, World, may_go};
use super::keeping::Came;
use super::lanes::JobId;
use super::parking::{Kept, Part};
use super::report::Of;
use crate::binding::Bindings;
use crate::failure::Failure;
use crate::outcome::{Outcome, Skip};
use crate::plan::hide::Values;
use crate::plan::{LaneKey, LaneKeys, Mode, Reference};
use crate::protocol::{Level, Outbound};

impl Sync<'_> {
    pub(super) fn queue(&mut self, world: &World<'_>, job: Job) {
        self.queued_bytes += job.bytes();
        let lanes = queueing(world, &self.engine.bindings, &job);
        self.lanes.push(lanes, Queued { job: Kept::Here(Box::new(job)), last_chance: false });
    }

    /// A queued record, in memory from now on.
    fn fetch(&mut self, queued: Queued) -> Result<Job, Failure> {
        let Queued { job, last_chance } = queued;
        let counted = in_memory(&job);
        let job = Job { last_chance, ..self.parking.fetch(job)? };
        self.queued_bytes += job.bytes().saturating_sub(counted);
        Ok(job)
    }

    /// The next record that may start, with those right behind it that can go with it.
    pub(super) fn start(&mut self, world: &World<'_>, bindings: &Bindings) -> Result<Option<(JobId, Jobs)>, Failure> {
        while let Some((id, first)) = self.lanes.start() {
            let first = self.fetch(first)?;
            if let Some((lane, part)) = self.behind(&first, bindings) {
                world.met(bindings.at(first.stream).object, &first.plan);
                self.queued_bytes = self.queued_bytes.saturating_sub(first.bytes());
                if self.park(lane, part, Job { stood_behind: part == Part::Completing, ..first })? {
                    self.arrived(world, &lane)?;
                }
                self.lanes.done(id);
                continue;
            }
            let object = bindings.at(first.stream).object;
            // A name that leads elsewhere since the record was queued: it keeps its place behind what is under way there.
            if world.account.names_moved() {
                let lanes = world.lanes(object, &first.plan);
                if !self.lanes.holds(id, &lanes) {
                    let last_chance = first.last_chance;
                    self.lanes.push_first(vec![(lanes, Queued { job: Kept::Here(Box::new(first)), last_chance })]);
                    self.lanes.done(id);
                    continue;
                }
            }
            let leader = first.member(bindings);
            let imports = world.bulk.get() && may_go(&leader);
            let fits = |next: &Job| leader.can_take(&next.member(bindings)) || (imports && may_go(&next.member(bindings)));
            // What waits for it can go with it, unless an earlier record about the same waits elsewhere.
            let mut others = Vec::new();
            if let Some(key) = first.plan.target.key().filter(|_| !self.parking.is_empty()) {
                others = self.parking.take(&LaneKey::key(object.resource().name, key), MOST_JOINED - 1, fits)?;
                self.queued_bytes += others.iter().map(|job| job.bytes()).sum::<usize>();
                others.iter().for_each(|job| world.expect(bindings.at(job.stream).object, &job.plan));
            }
            let joins = |next: &Job| fits(next) && self.parking.holder(&next.own(bindings)).is_none();
            // What can not be read is told when its own turn comes.
            let wanted = |next: &Queued| self.parking.look(&next.job, joins).unwrap_or(false);
            let absorbed = self.lanes.absorb(id, MOST_JOINED.saturating_sub(1 + others.len()), wanted);
            for queued in absorbed {
                others.push(self.fetch(queued)?);
            }
            if imports {
                // Parts that wait for a whole which goes with it go with it too.
                let wholes: Vec<usize> = (0..others.len()).filter(|_| !self.parking.is_empty()).collect();
                for at in wholes {
                    let whole = others[at].member(bindings);
                    let Some(key) = whole.plan.target.key() else { continue };
                    let lane = LaneKey::key(whole.object.resource().name, key);
                    let parts = self.parking.take(&lane, MOST_JOINED, |part| whole.can_take(&part.member(bindings)))?;
                    self.queued_bytes += parts.iter().map(|job| job.bytes()).sum::<usize>();
                    parts.iter().for_each(|job| world.expect(bindings.at(job.stream).object, &job.plan));
                    others.extend(parts);
                }
            }
            return Ok(Some((id, std::iter::once(first).chain(others).collect())));
        }
        Ok(None)
    }

    /// Where a record has to wait behind an earlier one about the same thing, and what it is to the thing of that lane.
    fn behind(&self, job: &Job, bindings: &Bindings) -> Option<(LaneKey, Part)> {
        if self.parking.is_empty() {
            return None;
        }
        let own = job.own(bindings);
        let lane = self.parking.holder(&own)?;
        let makes = matches!(job.plan.mode, Mode::Insert | Mode::Upsert);
        if !makes || !own.contains(&lane) || !self.parking.is_incomplete(&lane) {
            return Some((lane, Part::Other));
        }
        match bindings.at(job.stream).object.is_incomplete(&job.plan) {
            true => Some((lane, Part::Incomplete)),
            // Together they are complete. Where they could not go together it goes alone.
            false => (!job.stood_behind).then_some((lane, Part::Completing)),
        }
    }

    /// The turn of some plans ended.
    pub(super) fn ended(&mut self, world: &World<'_>, group: Group) -> Result<(), Failure> {
        let Group { id, jobs, steps, .. } = group;
        if self.engine.emitter.is_closed() {
            // Told by whoever tries to write next.
            self.engine.emitter.emit(&Outbound::Log { level: Level::Info, message: "ended".to_owned() })?;
        }
        // All of them that have to wait are put aside before anything goes on, so that none is overtaken by what follows it.
        let mut there = LaneKeys::new();
        // What the API says of one of them may quote the others.
        let refused = |step: &Option<Step>| matches!(step, Some(Step::Settled(settled)) if settled.outcome.is_rejected());
        let all = (jobs.len() > 1 && steps.iter().any(refused)).then(|| Values::of(jobs.iter().map(|job| &*job.plan)));
        for (job, step) in jobs.into_iter().zip(steps.into_iter().flatten()) {
            self.queued_bytes = self.queued_bytes.saturating_sub(job.bytes());
            world.met(self.engine.bindings.at(job.stream).object, &job.plan);
            match self.in_order(&job, step) {
                Step::Park(lane, waits) => {
                    let part = match waits {
                        Waits::ForParts => Part::Incomplete,
                        Waits::ForIt if self.engine.bindings.at(job.stream).object.completes() => Part::Completing,
                        Waits::ForIt => Part::Other,
                    };
                    if self.park(lane, part, job)? {
                        there.push(lane);
                    }
                }
                Step::Settled(Settled { outcome, arrived, wrote }) => {
                    there.extend(arrived);
                    let Job { ticket, stream, line, plan, origin, place, .. } = job;
                    let came = Came { stream, line, origin: origin.as_deref() };
                    self.settle(ticket, &came, &Of::Plan(&plan, all.as_ref()), outcome, &wrote)?;
                    self.ends(stream, place)?;
                }
            }
        }
        for lane in &there {
            self.arrived(world, lane)?;
        }
        self.lanes.done(id);
        Ok(())
    }

    /// Puts a record aside. Answers whether all is there now to make the thing of the lane.
    fn park(&mut self, lane: LaneKey, part: Part, job: Job) -> Result<bool, Failure> {
        self.engine.report.borrow_mut().parked += 1;
        let (stream, place) = (job.stream, job.place);
        let all_is_there = self.parking.park(lane, part, job)?;
        self.ends(stream, place)?;
        Ok(all_is_there)
    }

    /// "Nothing there" holds for a child only when no earlier record that would make it waits for the same parent.
    fn in_order(&self, job: &Job, step: Step) -> Step {
        match &step {
            Step::Settled(settled) if settled.outcome == Outcome::Skipped(Skip::NoMatch) && !job.last_chance => {
                let waited_for = job.plan.parents().map(Reference::lane).find(|lane| self.parking.waits_for(lane));
                waited_for.map_or(step, |lane| Step::Park(lane, Waits::ForIt))
            }
            _ => step,
        }
    }

    /// Children that waited for this parent go next, before what has not started.
    pub(super) fn arrived(&mut self, world: &World<'_>, parent: &LaneKey) -> Result<(), Failure> {
        let bindings = &self.engine.bindings;
        let jobs = self.parking.arrived(parent, |job| queueing(world, bindings, job))?;
        self.queued_bytes += jobs.iter().map(|(_, job)| in_memory(job)).sum::<usize>();
        self.lanes.push_first(jobs.into_iter().map(|(lanes, job)| (lanes, Queued { job, last_chance: false })).collect());
        Ok(())
    }
}

/// A record is queued: the account hears what it will ask. Answers its lanes.
pub(super) fn queueing(world: &World<'_>, bindings: &Bindings, job: &Job) -> LaneKeys {
    let object = bindings.at(job.stream).object;
    world.expect(object, &job.plan);
    world.lanes(object, &job.plan)
}

/// Bytes of a record that is in memory.
pub(super) fn in_memory(job: &Kept<Job>) -> usize {
    match job {
        Kept::Here(job) => job.bytes(),
        Kept::Away(_) => 0,
    }
}
