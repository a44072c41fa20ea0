//! Plans that go together: parts of one thing in one request, parts of an invoice with its import, and runs of records about
//! one thing (`merged`).
//!
//! Each record has its own outcome. What is refused together is tried again one by one, so that the good records stand.

use super::merged::updates;
use super::{Settled, Step, Turn, Waits, World, Wrote, arrived, execute_one, known_uuid, refused};
use crate::account::{Found, Trouble};
use crate::failure::Failure;
use crate::objects::resource::Kind;
use crate::objects::{Existing, How, Object};
use crate::outcome::{Fault, Outcome, Rejection, Skip};
use crate::plan::{LaneKey, LaneKeys, Mode, Plan, Target};

/// One of the plans.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Member<'m> {
    pub(in crate::engine) object: &'static dyn Object,
    pub(in crate::engine) how: &'m How,
    pub(in crate::engine) plan: &'m Plan,
    pub(in crate::engine) last_chance: bool,
}

impl<'m> Member<'m> {
    pub(super) fn turn(&self, world: &'m World<'_>) -> Turn<'m> {
        let Member { object, how, plan, last_chance } = *self;
        Turn { world, object, how, plan, last_chance, seen: None, note: None }
    }

    /// Whether another member that stands behind this one can be carried out with it.
    pub(in crate::engine) fn can_take(&self, next: &Member<'_>) -> bool {
        let name = next.object.resource().name;
        let alike = name != self.object.resource().name || self.how == next.how;
        #[cfg(test)]
        let alike = alike && (super::merged::merges() || !self.is_about_the_same_as(next));
        alike && self.object.joins(self.plan, name, next.plan)
    }

    fn is_about_the_same_as(&self, next: &Member<'_>) -> bool {
        self.object.resource().name == next.object.resource().name && self.plan.is_about_the_same_as(next.plan)
    }

    /// The names of the thing that it is about.
    pub(super) fn own(&self) -> LaneKeys {
        self.plan.own_lanes(self.object.resource().name)
    }

    fn named(&self) -> (&'static str, &'m Plan) {
        (self.object.resource().name, self.plan)
    }
}

/// Carries out some plans, of which the later ones join the first.
///
/// # Errors
/// What ends the sync.
pub(in crate::engine) async fn execute(world: &World<'_>, members: &[Member<'_>]) -> Result<Vec<Step>, Failure> {
    let [first, others @ ..] = members else { return Ok(Vec::new()) };
    if others.is_empty() {
        return Ok(vec![execute_one(first.turn(world)).await?]);
    }
    // What has no parts and is none stands by itself.
    let has_parts = first.object.resource().fields.iter().any(|field| matches!(field.kind, Kind::List(_)));
    if !has_parts && first.plan.target != Target::Part {
        return in_turn(world, members).await;
    }
    if let Some(plan) = without_gone(world, first).await? {
        let members: Vec<Member<'_>> = std::iter::once(Member { plan: &plan, ..*first }).chain(others.iter().copied()).collect();
        return Box::pin(execute(world, &members)).await;
    }
    match standing(&first.turn(world)).await {
        Err(Trouble::Stop(failure)) => Err(failure),
        // What is there is changed in turn, so that each record learns what became of it.
        Ok(Standing::Absent) if first.plan.mode != Mode::Update => make(world, members).await,
        Ok(Standing::There | Standing::Absent) | Err(Trouble::Refused(_)) => in_turn(world, members).await,
        Ok(Standing::Whole(existing)) => change(world, members, &existing).await,
    }
}

/// Carries out those of some plans that have no step yet: in the order they stand, and together what can go together.
///
/// # Errors
/// What ends the sync.
pub(in crate::engine) async fn rest(
    world: &World<'_>,
    members: &[Member<'_>],
    steps: &mut [Option<Step>],
) -> Result<(), Failure> {
    let open: Vec<usize> = (0..members.len()).filter(|at| steps[*at].is_none()).collect();
    let mut waiting = Waiting::default();
    let mut at = 0;
    while let Some(first) = open.get(at) {
        let first = &members[*first];
        let run: Vec<Member<'_>> = std::iter::once(*first)
            .chain(open[at + 1..].iter().map(|next| members[*next]).take_while(|next| first.can_take(next)))
            .collect();
        let ended = match &run[..] {
            [one] => vec![waiting.turn_of(world, one).await?],
            run if run.iter().any(|member| waiting.holds(member).is_some()) => {
                let mut ended = Vec::with_capacity(run.len());
                for member in run {
                    ended.push(waiting.turn_of(world, member).await?);
                }
                ended
            }
            run => execute(world, run).await?,
        };
        for (member, step) in run.iter().zip(ended) {
            waiting.note(member, &step);
            steps[open[at]] = Some(step);
            at += 1;
        }
    }
    Ok(())
}

/// The plan of what is found by its key, since its UUID leads nowhere; `None` where it does, or is all that it is found by.
async fn without_gone(world: &World<'_>, first: &Member<'_>) -> Result<Option<Plan>, Failure> {
    let (Target::Uuid(uuid, Some(other)), Mode::Upsert) = (&first.plan.target, first.plan.mode) else { return Ok(None) };
    match first.turn(world).entry_or_read(&world.account.now(uuid)).await {
        Err(Trouble::Stop(failure)) => Err(failure),
        Ok(Some(Found::Absent)) => Ok(Some(Plan { target: (**other).clone(), ..first.plan.clone() })),
        _ => Ok(None),
    }
}

/// What the first plan of a group stands before.
enum Standing {
    /// Its object exists, or what it needs is not there.
    There,
    /// Its object is to be made.
    Absent,
    /// The thing that all of them change.
    Whole(Existing),
}

async fn standing(turn: &Turn<'_>) -> Result<Standing, Trouble> {
    let Ok(refs) = turn.resolve(false, |_| true).await? else { return Ok(Standing::There) };
    let at = turn.at(&refs);
    let look = turn.object.look(turn.plan, turn.other_target(), &at);
    Ok(match turn.locate(&at, look.as_ref(), false).await? {
        Found::Absent => Standing::Absent,
        Found::Present(existing) if turn.plan.target == Target::Part => Standing::Whole(existing),
        _ => Standing::There,
    })
}

async fn one_by_one(world: &World<'_>, members: &[Member<'_>]) -> Result<Vec<Step>, Failure> {
    let mut ended = Vec::with_capacity(members.len());
    let mut waiting = Waiting::default();
    for member in members {
        ended.push(waiting.turn_of(world, member).await?);
    }
    Ok(ended)
}

/// One after another, but those about one thing that stand together as one.
async fn in_turn(world: &World<'_>, members: &[Member<'_>]) -> Result<Vec<Step>, Failure> {
    let mut ended = Vec::with_capacity(members.len());
    let mut waiting = Waiting::default();
    while let [first, others @ ..] = &members[ended.len()..] {
        let more = others.iter().take_while(|next| first.is_about_the_same_as(next) && first.can_take(next)).count();
        if more == 0 || waiting.holds(first).is_some() {
            ended.push(waiting.turn_of(world, first).await?);
            continue;
        }
        let run = &members[ended.len()..=ended.len() + more];
        let steps = updates(world, run).await?;
        run.iter().zip(&steps).for_each(|(member, step)| waiting.note(member, step));
        ended.extend(steps);
    }
    Ok(ended)
}

/// What the members of a group that have to wait are about: what comes later about it waits with them.
#[derive(Default)]
struct Waiting(Vec<(LaneKeys, LaneKey, Waits)>);

impl Waiting {
    async fn turn_of(&mut self, world: &World<'_>, member: &Member<'_>) -> Result<Step, Failure> {
        if let Some((lane, waits)) = self.holds(member) {
            let waits = if member.object.is_incomplete(member.plan) { waits } else { Waits::ForIt };
            return Ok(Step::Park(lane, waits));
        }
        let step = execute_one(member.turn(world)).await?;
        self.note(member, &step);
        Ok(step)
    }

    /// Where an earlier one about the same thing waits.
    fn holds(&self, member: &Member<'_>) -> Option<(LaneKey, Waits)> {
        let own = member.own();
        let found = self.0.iter().find(|(held, ..)| held.iter().any(|name| own.contains(name)));
        found.map(|(_, lane, waits)| (*lane, *waits))
    }

    fn note(&mut self, member: &Member<'_>, step: &Step) {
        if let Step::Park(lane, waits) = step {
            self.0.push((member.own(), *lane, *waits));
        }
    }
}

/// Rows that change one thing: those that differ go in one request, with those behind them, since the last of two rows about
/// one value counts even where it says what is there already.
async fn change(world: &World<'_>, members: &[Member<'_>], existing: &Existing) -> Result<Vec<Step>, Failure> {
    let mut steps: Vec<Option<Step>> = Vec::with_capacity(members.len());
    for member in members {
        if member.plan.mode == Mode::Insert && member.object.is_there(member.plan, existing) {
            steps.push(Some(Step::Settled(Outcome::Skipped(Skip::Exists).into())));
            continue;
        }
        let turn = member.turn(world);
        let refs = match turn.resolve(false, |_| true).await {
            Ok(Ok(refs)) => refs,
            _ => return one_by_one(world, members).await,
        };
        steps.push(match turn.would_change(&turn.at(&refs), existing) {
            Ok(requests) if requests.is_empty() => Some(Step::Settled(Outcome::Unchanged.into())),
            Ok(_) => None,
            Err(faults) => Some(Step::Settled(refused(faults).into())),
        });
    }
    let first_open = steps.iter().position(Option::is_none).unwrap_or(steps.len());
    let goes = |at: &usize| match &steps[*at] {
        None => true,
        Some(Step::Settled(settled)) => settled.outcome == Outcome::Unchanged,
        Some(Step::Park(..)) => false,
    };
    let going: Vec<usize> = (first_open..steps.len()).filter(goes).collect();
    let fresh: Vec<Member<'_>> = going.iter().map(|at| members[*at]).collect();
    let written = match &fresh[..] {
        [] => Vec::new(),
        [one] => vec![execute_one(one.turn(world)).await?],
        [first, others @ ..] => match together(world, first, others).await? {
            Some(Step::Settled(settled)) if !settled.outcome.is_rejected() => {
                let own = |at: &usize| {
                    steps[*at].take().unwrap_or_else(|| share(world, &members[*at], &settled.outcome, &settled.wrote))
                };
                going.iter().map(own).collect()
            }
            _ => one_by_one(world, &fresh).await?,
        },
    };
    for (at, step) in going.into_iter().zip(written) {
        steps[at] = Some(step);
    }
    Ok(steps.into_iter().flatten().collect())
}

/// An object that is to be made, and parts of it.
async fn make(world: &World<'_>, members: &[Member<'_>]) -> Result<Vec<Step>, Failure> {
    let [first, others @ ..] = members else { return Ok(Vec::new()) };
    match together(world, first, others).await? {
        None => one_by_one(world, members).await,
        // They wait, the first for what it waits for and its parts for the first: where others of them wait, in their order.
        Some(Step::Park(lane, waits)) => {
            let same = |other: &Member<'_>| other.plan.target == first.plan.target;
            let name = first.object.resource().name;
            let whole = first.plan.target.key().map_or(lane, |key| LaneKey::key(name, key));
            let rest = others.iter().map(|other| match same(other) {
                true => Step::Park(lane, waits),
                false => Step::Park(whole, Waits::ForIt),
            });
            Ok(std::iter::once(Step::Park(lane, waits)).chain(rest).collect())
        }
        Some(Step::Settled(Settled { outcome: Outcome::Rejected(rejection), .. })) => apart(world, members, rejection).await,
        Some(Step::Settled(settled)) if settled.outcome == Outcome::Created => {
            let made = std::iter::once(share(world, first, &settled.outcome, &settled.wrote));
            let wrote = |other: &Member<'_>| match other.is_about_the_same_as(first) {
                true => settled.wrote.clone(),
                false => settled.wrote.of_another(),
            };
            let mut so_far = None;
            let rest = others
                .iter()
                .enumerate()
                .map(|(at, other)| share(world, other, &part_of(first, &mut so_far, &others[..at], other), &wrote(other)));
            Ok(made.chain(rest).collect())
        }
        // Somebody else made it meanwhile.
        Some(first) => {
            let mut steps = vec![first];
            steps.extend(in_turn(world, others).await?);
            Ok(steps)
        }
    }
}

/// What a member did to an object that the first one made: a part was made too, and a second row about the object itself changed
/// what the rows before it said, or did not. `so_far` is what those said, as one.
fn part_of(first: &Member<'_>, so_far: &mut Option<Plan>, earlier: &[Member<'_>], other: &Member<'_>) -> Outcome {
    let join = |plan: &Plan, others: &[(&str, &Plan)]| first.object.join(plan, others);
    let Some(before) = so_far.take().or_else(|| join(first.plan, &[])) else { return Outcome::Updated };
    let after = join(&before, &[other.named()]);
    let adds = after.as_ref().is_none_or(|after| !after.body.fields().eq(before.body.fields()));
    *so_far = after.or(Some(before));
    let own = other.own();
    let is_there = other.plan.target == first.plan.target
        || earlier.iter().any(|earlier| {
            earlier.object.resource().name == other.object.resource().name && earlier.own().iter().any(|name| own.contains(name))
        });
    match (is_there, adds) {
        (false, _) => Outcome::Created,
        (true, true) => Outcome::Updated,
        (true, false) => Outcome::Unchanged,
    }
}

/// What was refused together, tried apart: the object alone or with the first part that lets it be made, then the others.
async fn apart(world: &World<'_>, members: &[Member<'_>], rejection: Rejection) -> Result<Vec<Step>, Failure> {
    let [first, others @ ..] = members else { return Ok(Vec::new()) };
    let mut steps: Vec<Option<Step>> = members.iter().map(|_| None).collect();
    if first.object.is_incomplete(first.plan) {
        for (at, other) in others.iter().enumerate().filter(|(_, other)| other.object.completes()) {
            match together(world, first, std::slice::from_ref(other)).await? {
                Some(Step::Settled(Settled { outcome: Outcome::Rejected(rejection), .. })) => {
                    steps[at + 1] = Some(Step::Settled(Outcome::Rejected(of_part(first, rejection)).into()));
                }
                Some(Step::Settled(settled)) => {
                    steps[0] = Some(share(world, first, &settled.outcome, &settled.wrote));
                    steps[at + 1] = Some(share(world, other, &settled.outcome, &settled.wrote.of_another()));
                    break;
                }
                _ => {}
            }
        }
        // Where only parts of it were refused, it waits for better ones.
        if steps[0].is_none() && (first.last_chance || !rejection.faults.iter().all(|fault| in_part(first, fault).is_some())) {
            steps[0] = Some(Step::Settled(Outcome::Rejected(rejection).into()));
        }
    }
    let mut ended = Vec::with_capacity(members.len());
    let mut waiting = Waiting::default();
    for (member, step) in members.iter().zip(steps) {
        ended.push(match step {
            Some(step) => step,
            None => waiting.turn_of(world, member).await?,
        });
    }
    Ok(ended)
}

/// The field of a part that a fault of the whole names; `None` where it names none.
fn in_part<'f>(first: &Member<'_>, fault: &'f Fault) -> Option<&'f str> {
    let (list, field) = fault.field.as_deref()?.split_once('.')?;
    let list = list.split('[').next().and_then(|list| first.object.resource().field(list))?;
    matches!(list.kind, Kind::List(_)).then_some(field)
}

/// A refusal of a whole with one part, as that part's own.
fn of_part(first: &Member<'_>, rejection: Rejection) -> Rejection {
    let own = |fault: Fault| match in_part(first, &fault).map(str::to_owned) {
        Some(field) => Fault { field: Some(field), ..fault },
        None => fault,
    };
    Rejection { faults: rejection.faults.into_iter().map(own).collect(), ..rejection }
}

/// The first plan with what the others add to it, as one; `None` when they can not be one.
async fn together(world: &World<'_>, first: &Member<'_>, others: &[Member<'_>]) -> Result<Option<Step>, Failure> {
    let named: Vec<(&str, &Plan)> = others.iter().map(Member::named).collect();
    let Some(joined) = first.object.join(first.plan, &named) else { return Ok(None) };
    let turn = Member { plan: &joined, ..*first };
    Ok(Some(execute_one(turn.turn(world)).await?))
}

/// The outcome of a joined request as that of one of its records.
pub(super) fn share(world: &World<'_>, member: &Member<'_>, outcome: &Outcome, wrote: &Wrote) -> Step {
    let arrived = arrived(world, member.object, member.plan, outcome);
    let uuid = known_uuid(world, member.object, member.plan).or_else(|| wrote.uuid.clone());
    Step::Settled(Settled { outcome: outcome.clone(), arrived, wrote: Wrote { uuid, ..wrote.clone() } })
}
