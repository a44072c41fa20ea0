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
        self.lanes.push(lanes, Queued { job: Kept::Here(Box::new(job)), last_chance: false, was_tried: false });
    }

    /// A queued record, in memory from now on.
    fn fetch(&mut self, queued: Queued) -> Result<Job, Failure> {
        let Queued { job, last_chance, was_tried } = queued;
        let counted = in_memory(&job);
        let job = Job { last_chance, was_tried, ..self.parking.fetch(job)? };
        self.queued_bytes += job.bytes().saturating_sub(counted);
        Ok(job)
    }

    /// The next record that may start, with those right behind it that can go with it.
    pub(super) fn start(&mut self, world: &World<'_>, bindings: &Bindings) -> Result<Option<(JobId, Jobs)>, Failure> {
        while let Some((id, first)) = self.lanes.start() {
            let first = self.fetch(first)?;
            if let Some((lane, part)) = self.behind(&first, bindings) {
                if part == Part::Behind && first.plan.mode == Mode::Delete {
                    // What completes it would have come before: later rows are about what is made anew.
                    let jobs = self.parking.completed(&lane, |job| queueing(world, bindings, job))?;
                    let mut again = self.again(jobs, true, true);
                    let (last_chance, was_tried) = (first.last_chance, first.was_tried);
                    let lanes = world.lanes(bindings.at(first.stream).object, &first.plan);
                    again.push((lanes, Queued { job: Kept::Here(Box::new(first)), last_chance, was_tried }));
                    self.lanes.push_first(again);
                    self.lanes.done(id);
                    continue;
                }
                world.met(bindings.at(first.stream).object, &first.plan);
                self.queued_bytes = self.queued_bytes.saturating_sub(first.bytes());
                let was_tried = first.was_tried;
                if self.park(lane, part, Job { stood_behind: part == Part::Completing, ..first })? && !was_tried {
                    self.completed(world, &lane)?;
                }
                self.lanes.done(id);
                continue;
            }
            let object = bindings.at(first.stream).object;
            // A name that leads elsewhere since the record was queued: it keeps its place behind what is under way there.
            if world.account.names_moved() {
                let lanes = world.lanes(object, &first.plan);
                if !self.lanes.holds(id, &lanes) {
                    let (last_chance, was_tried) = (first.last_chance, first.was_tried);
                    self.lanes.push_first(vec![(lanes, Queued { job: Kept::Here(Box::new(first)), last_chance, was_tried })]);
                    self.lanes.done(id);
                    continue;
                }
            }
            let leader = first.member(bindings);
            let imports = world.bulk.get() && may_go(&leader);
            let fits = |next: &Job| leader.can_take(&next.member(bindings)) || (imports && may_go(&next.member(bindings)));
            let room = |others: &[Job]| MOST_JOINED.saturating_sub(1 + others.len());
            let mut others = Vec::new();
            if object.is_incomplete(&first.plan) {
                // What completes it stands right behind it, and must not lack room for all that waits besides.
                others = self.absorb(id, MOST_JOINED / 2, bindings, fits)?;
            }
            if let Some(key) = first.plan.target.key().filter(|_| !self.parking.is_empty()) {
                let lane = LaneKey::key(object.resource().name, key);
                let waiting = self.take_waiting(world, &lane, room(&others), fits)?;
                others.extend(waiting);
            }
            let behind = self.absorb(id, room(&others), bindings, fits)?;
            others.extend(behind);
            if imports {
                // Parts that wait for a whole which goes with it go with it too.
                let wholes: Vec<usize> = (0..others.len()).filter(|_| !self.parking.is_empty()).collect();
                for at in wholes {
                    let whole = others[at].member(bindings);
                    let Some(key) = whole.plan.target.key() else { continue };
                    let lane = LaneKey::key(whole.object.resource().name, key);
                    let parts = self.take_waiting(world, &lane, MOST_JOINED, |part| whole.can_take(&part.member(bindings)))?;
                    others.extend(parts);
                }
            } else {
                // The last value of a field counts, whether its record waited or not.
                others.sort_by_key(|job| job.line);
            }
            // What comes later about one of them keeps its place behind it.
            for job in others.iter().filter(|job| job.was_taken) {
                self.lanes.hold(id, &world.lanes(bindings.at(job.stream).object, &job.plan));
            }
            return Ok(Some((id, std::iter::once(first).chain(others).collect())));
        }
        Ok(None)
    }

    /// Takes over what stands right behind a started record and fits, unless an earlier record about the same waits elsewhere.
    fn absorb(&mut self, id: JobId, most: usize, bindings: &Bindings, fits: impl Fn(&Job) -> bool) -> Result<Vec<Job>, Failure> {
        let joins = |next: &Job| fits(next) && self.parking.holder(&next.own(bindings)).is_none();
        // What can not be read is told when its own turn comes.
        let wanted = |next: &Queued| self.parking.look(&next.job, joins).unwrap_or(false);
        let absorbed = self.lanes.absorb(id, most, wanted);
        absorbed.into_iter().map(|queued| self.fetch(queued)).collect()
    }

    /// Takes what waits on a lane and is wanted, to go now.
    fn take_waiting(
        &mut self,
        world: &World<'_>,
        lane: &LaneKey,
        most: usize,
        wanted: impl Fn(&Job) -> bool,
    ) -> Result<Vec<Job>, Failure> {
        let mut taken = self.parking.take(lane, most, wanted)?;
        for job in &mut taken {
            job.was_taken = true;
            self.queued_bytes += job.bytes();
            world.expect(self.engine.bindings.at(job.stream).object, &job.plan);
        }
        Ok(taken)
    }

    /// Where a record has to wait behind an earlier one about the same thing, and what it is to the thing of that lane.
    fn behind(&self, job: &Job, bindings: &Bindings) -> Option<(LaneKey, Part)> {
        if self.parking.is_empty() {
            return None;
        }
        let own = job.own(bindings);
        let lane = self.parking.holder(&own)?;
        let makes = matches!(job.plan.mode, Mode::Insert | Mode::Upsert);
        if !own.contains(&lane) {
            return Some((lane, Part::Other));
        }
        if !makes || !self.parking.is_incomplete(&lane) {
            return Some((lane, Part::Behind));
        }
        match bindings.at(job.stream).object.is_incomplete(&job.plan) {
            true if self.parking.is_followed(&lane) => Some((lane, Part::Behind)),
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
        let mut completed = LaneKeys::new();
        let mut again = Vec::new();
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
                        Waits::ForIt if self.may_complete(&job) => Part::Completing,
                        Waits::ForIt => Part::Other,
                    };
                    let was_tried = job.was_tried;
                    if job.was_taken {
                        again.push((lane, part, job));
                    } else if self.park(lane, part, job)? && !was_tried {
                        completed.push(lane);
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
        // What was taken from among those that wait stood before them.
        for (lane, part, job) in again.into_iter().rev() {
            let was_tried = job.was_tried;
            if self.park(lane, part, job)? && !was_tried {
                completed.push(lane);
            }
        }
        for lane in &there {
            self.arrived(world, lane)?;
        }
        for lane in &completed {
            self.completed(world, lane)?;
        }
        self.lanes.done(id);
        Ok(())
    }

    /// Whether a record that waits for a thing is what that thing waits for: only what is made completes it.
    fn may_complete(&self, job: &Job) -> bool {
        let makes = matches!(job.plan.mode, Mode::Insert | Mode::Upsert);
        makes && self.engine.bindings.at(job.stream).object.completes()
    }

    /// Puts a record aside. Answers whether all is there now to make the thing of the lane.
    fn park(&mut self, lane: LaneKey, part: Part, job: Job) -> Result<bool, Failure> {
        self.engine.report.borrow_mut().parked += 1;
        let (stream, place) = (job.stream, job.place);
        let all_is_there = match job.was_taken {
            true => self.parking.park_again(lane, part, Job { was_taken: false, ..job }),
            false => self.parking.park(lane, part, job),
        }?;
        self.ends(stream, place)?;
        Ok(all_is_there)
    }

    /// "Nothing there" holds for a child only when no earlier record that would make it waits: for the same parent, or with it.
    fn in_order(&self, job: &Job, step: Step) -> Step {
        match &step {
            Step::Settled(settled) if settled.outcome == Outcome::Skipped(Skip::NoMatch) && !job.last_chance => {
                let completes = self.engine.bindings.at(job.stream).object.completes();
                let may_come = |lane: &LaneKey| match self.parking.holder(&[*lane]) {
                    // What waits for its first part of this kind holds none; one by itself would have met it.
                    Some(at) if completes => at != *lane || !self.parking.is_incomplete(lane),
                    Some(_) => true,
                    // An earlier record about the very part, which has a key, is what it waits behind.
                    None if completes && job.plan.target.key().is_some() => false,
                    None => self.parking.waits_for(lane),
                };
                let waited_for = job.plan.parents().map(Reference::lane).find(may_come);
                waited_for.map_or(step, |lane| Step::Park(lane, Waits::ForIt))
            }
            _ => step,
        }
    }

    /// Children that waited for this parent go next, before what has not started.
    pub(super) fn arrived(&mut self, world: &World<'_>, parent: &LaneKey) -> Result<(), Failure> {
        let bindings = &self.engine.bindings;
        let jobs = self.parking.arrived(parent, |job| queueing(world, bindings, job))?;
        let again = self.again(jobs, false, false);
        self.lanes.push_first(again);
        Ok(())
    }

    /// A thing and what completes it go next.
    fn completed(&mut self, world: &World<'_>, thing: &LaneKey) -> Result<(), Failure> {
        let bindings = &self.engine.bindings;
        let jobs = self.parking.completed(thing, |job| queueing(world, bindings, job))?;
        let again = self.again(jobs, false, true);
        self.lanes.push_first(again);
        Ok(())
    }

    /// What comes back, to be queued.
    fn again(&mut self, jobs: Vec<(LaneKeys, Kept<Job>)>, last_chance: bool, was_tried: bool) -> Vec<(LaneKeys, Queued)> {
        self.queued_bytes += jobs.iter().map(|(_, job)| in_memory(job)).sum::<usize>();
        jobs.into_iter().map(|(lanes, job)| (lanes, Queued { job, last_chance, was_tried })).collect()
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
