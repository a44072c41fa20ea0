//! Records about one thing that wait together: the last value of each field in one request.
//!
//! Each record has the outcome that it would have had alone, in its place: what stands before it is what is known of the entry
//! with the earlier records laid over it. What it says and a later record says otherwise is never sent, and counts as written
//! all the same: a thing that is changed and changed back is `updated` twice, with no request at all where it ends as it was.
//!
//! A record stands by itself. One that could not be made or changed alone is rejected, whatever the others say, as far as that is
//! known without asking. Beyond that the outcomes are those of records sent one after another, but for these:
//!
//! - A value that only ChartMogul would refuse, and that a later record says otherwise, is never seen there: it is no reject.
//! - What the API sets by itself in a thing that is made counts as changed where a later record says the same.
//!
//! - Of a thing that is named by its UUID and that can not be read, nothing is known before the request: all that go in it are
//!   `updated`.
//!
//! What is refused together is sent one by one.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::rc::Rc;

use smallvec::SmallVec;

use super::change::{members, removed_keys};
use super::group::{Member, share};
use super::{Settled, Step, Turn, Waits, World, Wrote, execute_one, refused};
use crate::account::{Found, Trouble};
use crate::failure::Failure;
use crate::objects::request::{Request, Shows};
use crate::objects::resource::Resource;
use crate::objects::{At, Existing, Resolved};
use crate::outcome::Outcome;
use crate::plan::{Keeps, Known, Mode, Plan, Role, Target, unwrapped};

/// Bytes of what some records say together, at most: far below what is sent in one request.
const MOST_BYTES: usize = 1024 * 1024;

/// Carries out some records about one thing.
///
/// # Errors
/// What ends the sync.
pub(super) async fn updates(world: &World<'_>, members: &[Member<'_>]) -> Result<Vec<Step>, Failure> {
    let mut steps: Vec<Step> = Vec::with_capacity(members.len());
    let mut alone = 0;
    while let [first, others @ ..] = &members[steps.len()..] {
        let together = alone == 0 && !others.is_empty();
        let ended = match if together { run(world, &members[steps.len()..]).await? } else { Ran::Alone(1) } {
            Ran::Ended(ended) => ended,
            Ran::Alone(of) => {
                alone = alone.max(of) - 1;
                vec![execute_one(first.turn(world)).await?]
            }
        };
        steps.extend(ended);
        // They wait together, and what comes behind waits with them.
        let parked = steps.iter().find_map(|step| match step {
            Step::Park(lane, waits) => Some((*lane, *waits)),
            Step::Settled(_) => None,
        });
        if let Some((lane, waits)) = parked {
            let waits = |member: &Member<'_>| if member.object.is_incomplete(member.plan) { waits } else { Waits::ForIt };
            steps.extend(members[steps.len()..].iter().map(|member| Step::Park(lane, waits(member))));
        }
    }
    Ok(steps)
}

/// How some records went that are thought to go together.
enum Ran {
    /// These are the steps of the first of them.
    Ended(Vec<Step>),
    /// So many of the first of them go one by one.
    Alone(usize),
}

/// What a record of several is to the request that they share.
enum Share {
    /// Nothing is sent for it.
    Own(Outcome),
    /// It makes the thing.
    Makes,
    /// It changes the thing.
    Changes,
}

async fn run(world: &World<'_>, members: &[Member<'_>]) -> Result<Ran, Failure> {
    let Some(first) = members.first() else { return Ok(Ran::Ended(Vec::new())) };
    let (refs, found) = match standing(&first.turn(world)).await {
        Ok(Some(standing)) => standing,
        Ok(None) | Err(Trouble::Refused(_)) => return Ok(Ran::Alone(1)),
        Err(Trouble::Stop(failure)) => return Err(failure),
    };
    let Some(mut walk) = Walk::from(&found) else { return Ok(Ran::Alone(1)) };
    let turn = first.turn(world);
    let at = turn.at(&refs);
    for member in members {
        if !walk.goes_on(world, member, &at) {
            break;
        }
    }
    let Walk { shares, merged, going, said, .. } = walk;
    let nothing_sent = Wrote::nothing(match &found {
        Found::Present(existing) => Some(&existing.uuid),
        _ => None,
    });
    let steps_of = |outcome: &Outcome, wrote: &Wrote| -> Vec<Step> {
        let mut makes = *outcome == Outcome::Created && !shares.iter().any(|share| matches!(share, Share::Makes));
        let mut own = |own: &Share| match (own, outcome) {
            (Share::Own(own), _) => own.clone(),
            (Share::Makes, outcome) => outcome.clone(),
            (Share::Changes, Outcome::Skipped(skip)) => Outcome::Skipped(*skip),
            // It was gone: the first of them made it anew.
            (Share::Changes, Outcome::Created) if std::mem::take(&mut makes) => Outcome::Created,
            (Share::Changes, _) => Outcome::Updated,
        };
        let wrote = |of: &Share| match of {
            Share::Own(_) => wrote.only_named(),
            Share::Makes | Share::Changes => wrote.clone(),
        };
        members.iter().zip(&shares).map(|(member, of)| share(world, member, &own(of), &wrote(of))).collect()
    };
    let Some(merged) = merged else {
        return Ok(if shares.is_empty() { Ran::Alone(1) } else { Ran::Ended(steps_of(&Outcome::Unchanged, &nothing_sent)) });
    };
    if let (Found::Present(Existing { known: Some(known), .. }), true) = (&found, going > 1) {
        let Found::Present(existing) = &found else { return Ok(Ran::Alone(shares.len())) };
        let Ok(requests) = first.object.change(&merged, &at, existing) else { return Ok(Ran::Alone(shares.len())) };
        let resource = first.object.resource();
        if !says_enough(resource, &said, &requests, &merged, known) {
            return Ok(Ran::Alone(shares.len()));
        }
        if requests.is_empty() {
            return Ok(Ran::Ended(steps_of(&Outcome::Updated, &nothing_sent)));
        }
    }
    let turn = Turn { plan: &merged, seen: Some(&found), ..turn };
    Ok(match execute_one(turn).await? {
        Step::Park(lane, waits) => {
            let step = |(member, of): (&Member<'_>, &Share)| match of {
                Share::Own(outcome) => share(world, member, outcome, &nothing_sent),
                _ => Step::Park(lane, waits),
            };
            Ran::Ended(members.iter().zip(&shares).map(step).collect())
        }
        Step::Settled(settled) if settled.outcome.is_rejected() => {
            // Alone already: what stands behind it was judged by what it would have done.
            match shares.iter().position(|share| !matches!(share, Share::Own(_))).filter(|_| going == 1) {
                Some(refused) => {
                    let own = members.iter().zip(&shares).take(refused).filter_map(|(member, of)| match of {
                        Share::Own(outcome) => Some(share(world, member, outcome, &nothing_sent)),
                        _ => None,
                    });
                    Ran::Ended(own.chain([Step::Settled(settled)]).collect())
                }
                None => Ran::Alone(shares.len()),
            }
        }
        Step::Settled(Settled { outcome, wrote, .. }) => Ran::Ended(steps_of(&outcome, &wrote)),
    })
}

/// What the records find: what they refer to, and their thing. `None` where the first of them ends otherwise.
async fn standing(turn: &Turn<'_>) -> Result<Option<(Vec<Resolved>, Found<Existing>)>, Trouble> {
    let by_uuid = match &turn.plan.target {
        Target::Uuid(uuid, _) => Some(turn.world.account.now(uuid)),
        _ => None,
    };
    // As in a turn: a UUID is used as it is.
    let Ok(refs) = turn.resolve(false, |reference| by_uuid.is_none() || reference.role == Role::Mention).await? else {
        return Ok(None);
    };
    if let Some(uuid) = by_uuid {
        let known = match turn.entry_or_read(&uuid).await? {
            Some(Found::Present(known)) => Some(known),
            None if !turn.object.needs_known(turn.plan) => None,
            _ => return Ok(None),
        };
        let existing = turn.with_members(&Existing { uuid, known }).await?;
        return Ok(Some((refs, Found::Present(existing))));
    }
    let at = turn.at(&refs);
    let look = turn.object.look(turn.plan, turn.other_target(), &at);
    let alone = match look.as_ref().and_then(|look| look.scope) {
        Some(scope) if turn.needs_to_be_alone() => Some(turn.world.account.alone_with(scope).await),
        _ => None,
    };
    let found = turn.locate(&at, look.as_ref(), false).await?;
    drop(alone);
    let found = match found {
        Found::Present(existing) => Found::Present(turn.with_members(&existing).await?),
        found => found,
    };
    Ok(Some((refs, found)))
}

/// A walk over records in their order, with what stands before each of them.
struct Walk {
    /// The thing, with what was said so far laid over it; `None` while it is to be made. Twice: the API may keep all that it is
    /// given or less, and a record of which that decides what it comes to does not go with those before it.
    there: Option<[(Existing, Keeps); 2]>,
    shares: SmallVec<[Share; 8]>,
    /// All that is to be sent, as one.
    merged: Option<Plan>,
    /// How many records that is.
    going: usize,
    /// What the records would have sent one by one.
    said: BTreeSet<String>,
    /// Nothing more can be told of what stands there.
    ended: bool,
}

impl Walk {
    fn from(found: &Found<Existing>) -> Option<Self> {
        let there = match found {
            // What the API says against it is told by a turn of its own.
            Found::Present(Existing { known: Some(known), .. }) if !known.is_sound => return None,
            Found::Present(existing) => Some(either(existing)),
            Found::Absent => None,
            Found::Ambiguous(_) => return None,
        };
        Some(Self { there, shares: SmallVec::new(), merged: None, going: 0, said: BTreeSet::new(), ended: false })
    }

    /// Takes in the next record. Answers `false` where it can not go with those before it.
    fn goes_on(&mut self, world: &World<'_>, member: &Member<'_>, at: &At<'_>) -> bool {
        if self.ended {
            return false;
        }
        let Member { object, plan, how, .. } = *member;
        let brought = match world.account.as_known(object, plan, how.nulls) {
            Ok(brought) => brought,
            // What is not there is not changed, whatever is wrong with the change.
            Err(_) if self.there.is_none() && plan.mode == Mode::Update => Cow::Borrowed(plan),
            Err(faults) => {
                self.shares.push(Share::Own(refused(faults)));
                return true;
            }
        };
        let plan = &*brought;
        let may_make = plan.mode == Mode::Upsert;
        // Should its UUID be gone, it would be made by what else it says.
        let other = matches!(plan.target, Target::Uuid(_, Some(_)));
        let made = if may_make && (self.there.is_none() || other) { object.create(plan, at) } else { Ok(None) };
        let (share, requests) = match (&self.there, made) {
            (None, Err(faults)) => (Share::Own(refused(faults)), Vec::new()),
            (None, Ok(Some(request))) => (Share::Makes, vec![request]),
            (None, Ok(None)) if may_make => return false,
            (None, Ok(None)) => (Share::Changes, Vec::new()),
            (Some(_), Err(_) | Ok(None)) if may_make && other => return false,
            (Some([(existing, _), (less, _)]), _) => {
                let least = object.change(plan, at, less).map(|requests| requests.is_empty());
                match object.change(plan, at, existing) {
                    asked if asked.as_ref().map(Vec::is_empty).ok() != least.ok() => return false,
                    Err(faults) => (Share::Own(refused(faults)), Vec::new()),
                    Ok(requests) if requests.is_empty() => {
                        member.turn(world).tell_held_back(existing);
                        (Share::Own(Outcome::Unchanged), requests)
                    }
                    Ok(requests) => (Share::Changes, requests),
                }
            }
        };
        if !matches!(share, Share::Own(_)) {
            match &mut self.merged {
                None => self.merged = Some(plan.clone()),
                Some(merged) => {
                    let fits = merged.bytes() + plan.bytes() <= MOST_BYTES;
                    if !fits || !merged.lay_over(object.resource(), plan, &how.only_if_empty) {
                        return false;
                    }
                }
            }
            self.going += 1;
        }
        self.stands_now(object.resource(), &share, &requests);
        if let Some(members) = object.members_written(plan, at).filter(|_| !requests.is_empty()) {
            for known in self.there.iter_mut().flatten().filter_map(|(there, _)| there.known.as_mut()) {
                Rc::make_mut(known).set_members(Some(members.clone()));
            }
        }
        self.shares.push(share);
        true
    }

    /// Lays over what is known what these requests do.
    fn stands_now(&mut self, resource: &'static Resource, share: &Share, requests: &[Request]) {
        if matches!(share, Share::Makes) {
            let known = Rc::new(Known::blank(resource));
            self.there = Some(either(&Existing { uuid: Box::default(), known: Some(known) }));
        }
        self.said.extend(requests.iter().flat_map(|request| says(resource, request)));
        for (existing, keeps) in self.there.iter_mut().flatten() {
            let Some(known) = existing.known.as_mut().map(Rc::make_mut) else { continue };
            let told = requests.iter().all(|request| match request.shows {
                Shows::Object => members(request).is_some_and(|body| known.takes(resource, &body, *keeps)),
                Shows::Removal => {
                    known.drop_attributes(removed_keys(request).iter().map(String::as_str));
                    true
                }
                _ => false,
            });
            self.ended |= !told;
        }
    }
}

fn either(existing: &Existing) -> [(Existing, Keeps); 2] {
    [Keeps::All, Keeps::Least].map(|keeps| (existing.clone(), keeps))
}

/// The names of what a request says.
fn says(resource: &'static Resource, request: &Request) -> BTreeSet<String> {
    let body = members(request).unwrap_or_default();
    let body = unwrapped(resource, &body);
    let beside = body.get("attributes").and_then(|inner| inner.as_object());
    body.keys().filter(|name| *name != "attributes").chain(beside.into_iter().flat_map(|inner| inner.keys())).cloned().collect()
}

/// Whether what the records would have said one by one is said by the requests of all together, or stands there at the end:
/// what only goes along with another field is lost when that one ends as it was.
fn says_enough(resource: &'static Resource, said: &BTreeSet<String>, requests: &[Request], merged: &Plan, known: &Known) -> bool {
    let now: BTreeSet<String> = requests.iter().flat_map(|request| says(resource, request)).collect();
    let stands = |name: &str| match resource.slot(name) {
        _ if name == "custom" => merged.body.attributes().all(|attribute| known.holds_attribute(&attribute) == Some(true)),
        Some(at) => {
            let values = merged.body.fields().filter(|(slot, _)| slot.field == at);
            let field = resource.field(name);
            values.into_iter().all(|(slot, value)| field.and_then(|field| known.holds(slot, field, value)) == Some(true))
        }
        None => true,
    };
    said.difference(&now).all(|name| stands(name))
}

#[cfg(test)]
thread_local! {
    static MERGES: std::cell::Cell<bool> = const { std::cell::Cell::new(true) };
}

/// Whether records about one thing go together in the tests of this thread.
#[cfg(test)]
pub(super) fn merges() -> bool {
    MERGES.get()
}

/// Lets each record go by itself until what this answers is dropped.
#[cfg(test)]
pub(in crate::engine) fn one_by_one() -> impl Drop {
    struct Again;
    impl Drop for Again {
        fn drop(&mut self) {
            MERGES.set(true);
        }
    }
    MERGES.set(false);
    Again
}
