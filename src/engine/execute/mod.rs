//! One plan, carried out: find what it refers to, find its object, decide, write, look at the answer.
//!
//! Owns the order of requests of one record. Does not own when a record has its turn ([`super::lanes`]), how a request
//! is sent and repeated (`client`), nor what is asked for (`objects`).

mod change;
mod create;
mod delete;
mod family;
mod group;
mod import;
mod imported;
mod locate;
mod made;
mod merged;
mod note;
mod resolve;
mod world;

pub(super) use family::{Family, family, may_go};
pub(super) use group::{Member, rest};
pub(super) use import::Imports;
pub(super) use imported::{Imported, import_step, is_to_be_judged, judge};
#[cfg(test)]
pub(super) use merged::one_by_one;
pub(super) use note::Wrote;
pub(super) use world::World;

use std::rc::Rc;

use serde_json::Value;

use self::create::Changed;
use self::note::Note;
use crate::account::{Found, Trouble};
use crate::client::{Answer, ApiFault, Call, Refusal, Trial};
use crate::errors::Code;
use crate::failure::Failure;
use crate::objects::{At, Existing, How, Object, Resolved};
use crate::outcome::{Fault, Outcome, Rejection, Skip};
use crate::plan::{Known, LaneKey, LaneKeys, Mode, Plan, Role, Target};

/// How a plan's turn ended.
#[derive(Debug)]
pub(super) enum Step {
    /// The record has its outcome.
    Settled(Settled),
    /// Something that it needs is not there yet.
    Park(LaneKey, Waits),
}

/// What a parked record waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    /// That the thing of its lane exists.
    ForIt,
    /// That parts come for the thing of its lane, which is its own.
    ForParts,
}

/// A record's outcome, and what the engine has to know beside it.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) outcome: Outcome,
    /// The lanes of what exists from now on.
    pub(super) arrived: LaneKeys,
    /// For the record's receipt.
    pub(super) wrote: Wrote,
}

impl From<Outcome> for Settled {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, arrived: LaneKeys::new(), wrote: Wrote::default() }
    }
}

/// Carries out one plan.
///
/// # Errors
/// What ends the sync.
async fn execute_one(turn: Turn<'_>) -> Result<Step, Failure> {
    let note = Note::default();
    let Turn { world, object, plan, .. } = turn;
    // What this run's import made in part is not what an insert leaves alone.
    let half_made = world.is_half_made(object, plan);
    let whole = (half_made && plan.mode == Mode::Insert).then(|| Plan { mode: Mode::Upsert, ..plan.clone() });
    let turn = Turn { note: Some(&note), plan: whole.as_ref().unwrap_or(plan), ..turn };
    let ended = match turn.run().await {
        Ok(Step::Settled(settled)) if nothing_there(&settled.outcome) => {
            world.account.assure_data_source().await.map(|()| Step::Settled(settled))
        }
        ended => ended,
    };
    match ended {
        Ok(Step::Settled(mut settled)) => {
            if half_made {
                world.is_said(object, plan);
                if matches!(settled.outcome, Outcome::Updated | Outcome::Unchanged) {
                    settled.outcome = Outcome::Created;
                }
            }
            settled.arrived = arrived(world, object, plan, &settled.outcome);
            settled.wrote = note.wrote(known_uuid(world, object, plan));
            Ok(Step::Settled(settled))
        }
        Ok(step) => Ok(step),
        Err(Trouble::Stop(failure)) => Err(failure),
        Err(Trouble::Refused(refusal)) => {
            let wrote = note.wrote(None);
            Ok(Step::Settled(Settled { wrote, ..rejected(refusal).into() }))
        }
    }
}

/// The UUID of a record's object, where its key tells it.
fn known_uuid(world: &World<'_>, object: &dyn Object, plan: &Plan) -> Option<Box<str>> {
    let look = object.look_by_key(plan.target.key()?, world.account.data_source())?;
    world.account.known(look.scope?)?.first().map(|known| known.uuid.clone())
}

/// The lanes of what exists now that a plan has its outcome.
fn arrived(world: &World<'_>, object: &dyn Object, plan: &Plan, outcome: &Outcome) -> LaneKeys {
    let nothing = outcome.is_rejected() || plan.mode == Mode::Delete || *outcome == Outcome::Skipped(Skip::NoMatch);
    if nothing {
        if *outcome == Outcome::Deleted {
            for lane in plan.own_lanes(object.resource().name) {
                world.brought.borrow_mut().remove(&lane);
            }
        }
        return LaneKeys::new();
    }
    let lanes = object.brings(plan);
    let account = &world.account;
    let own = plan.target.key().and_then(|key| object.look_by_key(key, account.data_source())?.scope);
    let is_known = own.and_then(|own| account.known(own)).is_some_and(|known| !known.is_empty());
    let names = plan.target.key().filter(|_| is_known).map(|key| LaneKey::key(object.resource().name, key));
    world.brought.borrow_mut().extend(lanes.iter().copied().filter(|lane| Some(*lane) != names));
    lanes
}

/// Whether an outcome rests on the absence of something.
fn nothing_there(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Skipped(Skip::NoMatch) => true,
        Outcome::Rejected(rejection) => rejection.code() == Code::ParentNotFound,
        _ => false,
    }
}

/// One plan's turn.
#[derive(Clone, Copy)]
struct Turn<'t> {
    world: &'t World<'t>,
    object: &'static dyn Object,
    how: &'t How,
    plan: &'t Plan,
    last_chance: bool,
    /// What was found a moment ago, where that is not kept otherwise.
    seen: Option<&'t Found<Existing>>,
    /// For the record's receipt.
    note: Option<&'t Note>,
}

/// What a turn came to that ends it, or what it goes on with.
type OrEnd<T> = Result<T, Step>;

impl Turn<'_> {
    async fn run(&self) -> Result<Step, Trouble> {
        if let (Target::Uuid(uuid, other), Mode::Upsert | Mode::Update) = (&self.plan.target, self.plan.mode) {
            // A UUID is used as it is; only what the record mentions has to be found for it.
            let refs = match self.resolve(false, |reference| reference.role == Role::Mention).await? {
                Ok(refs) => refs,
                Err(step) => return Ok(step),
            };
            let uuid = &self.world.account.now(uuid);
            let mut existing = Existing { uuid: uuid.clone(), known: None };
            let mut trial = Trial::default();
            let (mut lost, mut seen) = (false, self.seen);
            loop {
                existing.known = match seen.take() {
                    Some(Found::Present(seen)) => seen.known.clone(),
                    _ if lost => None,
                    _ => match self.entry_or_read(uuid).await? {
                        Some(Found::Present(known)) => Some(known),
                        Some(_) => break,
                        None => None,
                    },
                };
                if existing.known.is_none() && self.object.needs_known(self.plan) {
                    match self.world.account.read(self.object, uuid).await? {
                        Found::Present(known) => existing.known = Some(known),
                        _ => break,
                    }
                }
                match self.change(&self.at(&refs), &existing, None, &mut trial).await? {
                    Changed::Settled(outcome) => return Ok(Step::Settled(outcome.into())),
                    Changed::Gone => break,
                    // What was made already is seen when it is read again; where it is not read, nothing is made by a change.
                    Changed::Lost => lost = true,
                }
            }
            self.world.account.gone(uuid);
            // The UUID is gone: the object is looked for by what else the record says.
            let Some(other) = other else {
                return Ok(Step::Settled(match self.plan.mode {
                    Mode::Update => Outcome::Skipped(Skip::NoMatch).into(),
                    _ => Outcome::rejected(unknown_uuid()).into(),
                }));
            };
            let plan = Plan { target: (**other).clone(), ..self.plan.clone() };
            return Box::pin(Turn { plan: &plan, seen: None, ..*self }.run_fresh(true)).await;
        }
        self.run_fresh(false).await
    }

    /// What there is under a UUID; `None` where it can not be told. What may not be read may be written all the same, but for what
    /// must not be written over.
    pub(in crate::engine) async fn entry_or_read(&self, uuid: &str) -> Result<Option<Found<Rc<Known>>>, Trouble> {
        match self.world.account.entry_or_read(self.object, uuid).await {
            Err(Trouble::Refused(_)) if self.how.only_if_empty.is_empty() => Ok(None),
            found => found,
        }
    }

    /// With `look_again`, what is known of the object itself is not trusted.
    async fn run_fresh(&self, look_again: bool) -> Result<Step, Trouble> {
        // A parent's UUID may have gone stale since it was looked up: then it is looked up once more by its key.
        for fresh in [false, true] {
            let refs = match self.resolve(fresh, |_| true).await? {
                Ok(refs) => refs,
                Err(step) => return Ok(step),
            };
            let at = self.at(&refs);
            let look = self.object.look(self.plan, self.other_target(), &at);
            let _alone = match look.as_ref().and_then(|look| look.scope) {
                Some(scope) if self.needs_to_be_alone() => Some(self.world.account.alone_with(scope).await),
                _ => None,
            };
            let step = match self.plan.mode {
                Mode::Delete => self.delete(&at, look.as_ref()).await?,
                Mode::Insert if self.object.refuses_duplicates(self.plan) => self.insert(&at, look.as_ref()).await?,
                _ => self.write(&at, look.as_ref(), look_again).await?,
            };
            match step {
                Some(step) => return Ok(step),
                None if fresh => break,
                None => {}
            }
        }
        Ok(Step::Settled(match self.plan.mode {
            Mode::Update | Mode::Delete => Outcome::Skipped(Skip::NoMatch).into(),
            _ => Outcome::rejected(self.no_parent(self.plan.parents().next())).into(),
        }))
    }

    /// The object with its members, where the record says something of them and they have to be read.
    async fn with_members(&self, existing: &Existing) -> Result<Existing, Trouble> {
        let Some(known) = existing.known.as_ref().filter(|known| known.members().is_none()) else { return Ok(existing.clone()) };
        let Some(look) = self.object.look_at_members(self.plan, &existing.uuid) else { return Ok(existing.clone()) };
        let members = self.world.account.look(self.object, &look, true).await?;
        let members: Box<[Box<str>]> = members.iter().map(|member| member.uuid.clone()).collect();
        self.world.account.amend(&existing.uuid, |known| known.set_members(Some(members.clone())));
        let mut known = Rc::clone(known);
        Rc::make_mut(&mut known).set_members(Some(members));
        Ok(Existing { uuid: existing.uuid.clone(), known: Some(known) })
    }

    /// Whether nobody else may look or write in the scope of the object meanwhile: where the API would make a second one, and
    /// where all are looked for in one list, which is then read once.
    fn needs_to_be_alone(&self) -> bool {
        let looks = self.plan.mode != Mode::Insert && matches!(self.other_target(), Target::Name(_));
        looks || !self.object.refuses_duplicates(self.plan)
    }

    fn at<'a>(&'a self, refs: &'a [Resolved]) -> At<'a> {
        At { data_source: self.world.account.data_source(), refs, how: self.how }
    }

    /// How the object is found otherwise than by a UUID.
    fn other_target(&self) -> &Target {
        match &self.plan.target {
            Target::Uuid(_, Some(other)) => other,
            target => target,
        }
    }

    fn key_field(&self) -> &'static str {
        match &self.plan.target {
            Target::Uuid(..) => "uuid",
            Target::Key(_) | Target::Email { external_id: Some(_), .. } => "external_id",
            Target::Email { .. } => "email",
            Target::Name(_) => "name",
            Target::Equal(_) | Target::Part | Target::Always(_) => {
                self.plan.parents().next().map_or("external_id", |parent| parent.field)
            }
        }
    }
}

fn unknown_uuid() -> Fault {
    let text = "is of no object that exists, and the record gives no other key to make it by";
    Fault::field(Code::KeyMissing, "uuid", text)
}

fn ambiguous(field: &'static str, many: usize) -> Fault {
    Fault::field(Code::AmbiguousMatch, field, format!("matches {many} objects in the account"))
}

/// Faults that the object itself found, as the record's outcome.
fn refused(faults: Vec<Fault>) -> Outcome {
    Outcome::Rejected(Rejection::local(faults))
}

/// A refusal of the API as the record's outcome, in the API's own words.
fn rejected(refusal: Refusal) -> Outcome {
    let code = refusal.code;
    let mut faults: Vec<Fault> = refusal
        .faults
        .into_iter()
        .map(|ApiFault { param, code: api_code, message }| Fault {
            code,
            field: param,
            message: match api_code {
                Some(word) if !message.contains(&word) => format!("{message} ({word})"),
                _ => message,
            },
        })
        .collect();
    if faults.is_empty() {
        faults.push(Fault::record(code, code.cause()));
    }
    Outcome::Rejected(Rejection { faults, http_status: refusal.status })
}

/// The answer to a write; any 2xx is success, with or without a body.
fn read(answer: &Answer) -> Value {
    answer.json().unwrap_or(Value::Null)
}

/// The client hands back as lost only what may not be repeated.
fn never_lost(why: &str) -> Trouble {
    Failure::system(Code::Internal, "A harmless request was handed back as lost.").with_internal(why).into()
}
