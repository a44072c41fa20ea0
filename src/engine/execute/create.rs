//! Making an object, and finding out what became of a create whose answer was lost.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::super::kept::differences;
use super::{Call, OrEnd, Settled, Step, Turn, Waits, never_lost, read, refused, rejected};
use crate::account::{Claim, Fixes, Found, Trouble};
use crate::client::{Refusal, Reply, Trial};
use crate::errors::Code;
use crate::objects::request::{Look, Method, Repeat, Request, Scope};
use crate::objects::{self, At, Existing, Pick};
use crate::outcome::{Fault, Outcome, Rejection, Skip};
use crate::plan::{By, Known, LaneKey, Mode, Reference, Role, Target, attributes_not_taken};

/// Waits between the looks for what this run made, or may have made: a list may lag.
pub(super) const LOOKS: [Duration; 4] = [Duration::ZERO, Duration::from_secs(2), Duration::from_secs(3), Duration::from_secs(5)];

/// The status of a create that was taken.
const CREATED: u16 = 201;

/// How a create ended.
pub(super) enum Created {
    Settled(Settled),
    Exists(Refusal),
    /// What it belongs to is not there after all.
    NoParent,
    /// It can not be made: what is to be changed comes otherwise.
    CanNot,
    /// It can not be made yet: parts of it are waited for on this lane.
    Incomplete(LaneKey),
}

/// How the requests of a create ended.
enum Ended {
    Created(Created),
    /// The answer was lost, and the object is there.
    Found(Existing),
}

impl Turn<'_> {
    /// Insert without a look: the API refuses what exists. `None`: the parent is not there after all.
    pub(super) async fn insert(&self, at: &At<'_>, look: Option<&Look>) -> Result<Option<Step>, Trouble> {
        let target = self.other_target();
        let known = look.and_then(|look| look.scope).and_then(|scope| self.world.account.known(scope));
        let picked = known.map(|shelf| self.object.pick(self.plan, target, &self.object.found(target, &shelf)));
        if picked.is_some_and(|pick| pick != Pick::Nothing) {
            return Ok(Some(Step::Settled(Outcome::Skipped(Skip::Exists).into())));
        }
        Ok(match self.create(at, look).await? {
            Created::Settled(settled) => Some(Step::Settled(settled)),
            Created::Exists(_) => Some(Step::Settled(Outcome::Skipped(Skip::Exists).into())),
            Created::CanNot => Some(self.absent()),
            Created::Incomplete(lane) => Some(Step::Park(lane, Waits::ForParts)),
            Created::NoParent => None,
        })
    }

    /// The end of a turn whose object is not there and can not be made by it.
    pub(super) fn absent(&self) -> Step {
        let field = self.key_field();
        match &self.plan.target {
            Target::Key(key) if !self.last_chance => Step::Park(LaneKey::key(self.object.resource().name, key), Waits::ForIt),
            _ => Step::Settled(
                Outcome::rejected(Fault::field(
                    Code::ParentNotFound,
                    field,
                    "names something that does not exist in the data source and did not come in this sync",
                ))
                .into(),
            ),
        }
    }

    /// Makes the object. When the answer is lost the object is looked for before the request is sent again.
    pub(super) async fn create(&self, at: &At<'_>, look: Option<&Look>) -> Result<Created, Trouble> {
        if let Some(key) = self.plan.target.key().filter(|_| !self.last_chance && self.object.is_incomplete(self.plan)) {
            return Ok(Created::Incomplete(LaneKey::key(self.object.resource().name, key)));
        }
        let (plan, claim) = match self.world.account.bring(self.object, self.plan, self.how.nulls).await {
            Ok(brought) => brought,
            Err(faults) => return Ok(Created::Settled(refused(faults).into())),
        };
        let turn = Turn { plan: &plan, ..*self };
        match turn.create_as_brought(at, look, claim).await? {
            Ended::Created(created) => Ok(created),
            Ended::Found(existing) => Ok(Created::Settled(turn.found_again(&existing, at).await?)),
        }
    }

    /// The same, of a plan whose attributes are of the types that are known.
    async fn create_as_brought(&self, at: &At<'_>, look: Option<&Look>, claim: Claim<'_>) -> Result<Ended, Trouble> {
        let ended = |created| Ok(Ended::Created(created));
        let request = match self.object.create(self.plan, at) {
            Ok(Some(request)) => request,
            Ok(None) => return ended(Created::CanNot),
            Err(faults) => return ended(Created::Settled(refused(faults).into())),
        };
        let fixes = claim.sent_by(&request);
        // Where the API refuses a second one, sending again is the surest look there is.
        let refuses = self.object.refuses_duplicates(self.plan);
        let looks = if refuses { &LOOKS[..1] } else { &LOOKS[..] };
        let method = request.method;
        if method == Method::Delete {
            if let Some(fault) = self.takes_several(&request).await? {
                return ended(Created::Settled(Outcome::rejected(fault).into()));
            }
            self.take_leave(&request).await?;
        }
        let made = self.object.makes(&request);
        made.into_iter().for_each(|(of, many)| self.world.deletions.borrow_mut().created_many(of, many as u64));
        let call = Call::from(request);
        let _making = self.world.account.making(self.object.resource().name).read_owned().await;
        let _making_within = self.making_within().await;
        let mut trial = Trial::default();
        let mut lost = false;
        loop {
            match self.deliver(&call, &mut trial).await? {
                Reply::Done(answer) => {
                    let settled = self.made(read(&answer), at, method, &fixes).await?;
                    return ended(Created::Settled(settled));
                }
                Reply::Missing(refusal) => return ended(self.nothing_above(at, &call, refusal).await?),
                // Our own lost request may be what exists.
                Reply::Exists(refusal) if lost && self.names_own_key(&refusal) => {
                    return match self.look_again(at, look, &LOOKS).await? {
                        Some(existing) => Ok(self.found(existing)),
                        None => ended(Created::Exists(refusal)),
                    };
                }
                Reply::Exists(refusal) if self.names_own_key(&refusal) => return ended(Created::Exists(refusal)),
                Reply::Refused(refusal) if refusal.code == Code::RecordBreaksServer => {
                    // Every attempt failed, and the last one may have been done all the same.
                    return match self.look_again(at, look, looks).await? {
                        Some(existing) => Ok(self.found(existing)),
                        None => ended(Created::Settled(rejected(refusal).into())),
                    };
                }
                Reply::Exists(refusal) | Reply::Refused(refusal) => return ended(Created::Settled(rejected(refusal).into())),
                Reply::Lost(_) if look.is_none() && call.repeat == Repeat::MayDuplicate => {
                    let text = "the answer was lost, and nothing tells whether the request was done; it was not sent again";
                    return ended(Created::Settled(Outcome::rejected(Fault::record(Code::AnswerLost, text)).into()));
                }
                Reply::Lost(why) => {
                    tracing::debug!(object = self.object.resource().name, why, "the answer to a create was lost; looking for it");
                    lost = true;
                    if let Some(existing) = self.look_again(at, look, looks).await? {
                        return Ok(self.found(existing));
                    }
                }
            }
        }
    }

    /// The object of a create whose answer was lost is there. It counts as made before anything else is made of its kind, or
    /// waited for.
    fn found(&self, existing: Existing) -> Ended {
        self.count_made(&Value::Null);
        Ended::Found(existing)
    }

    /// A create was answered with a 404: something above it is not there.
    async fn nothing_above(&self, at: &At<'_>, call: &Call, refusal: Refusal) -> Result<Created, Trouble> {
        let mut stale = false;
        for (reference, resolved) in self.plan.refs.iter().zip(at.refs) {
            if let By::Key(_) = &reference.by {
                self.world.account.gone(&resolved.uuid);
                stale = true;
            }
        }
        Ok(match self.plan.parents().next() {
            Some(_) if stale => Created::NoParent,
            Some(parent) => Created::Settled(Outcome::rejected(self.no_parent(Some(parent))).into()),
            None => {
                // Above these stands nothing but the data source, where they name it: without it no record could be written.
                if names(call, at.data_source) {
                    self.world.account.assure_data_source().await?;
                }
                Created::Settled(rejected(refusal).into())
            }
        })
    }

    /// Whether it is the object itself that exists, and not something nested in it.
    fn names_own_key(&self, refusal: &Refusal) -> bool {
        let params = || refusal.faults.iter().filter_map(|fault| fault.param.as_deref());
        params().next().is_none() || params().any(|param| !param.contains('.'))
    }

    /// Looks for an object that should be there, after each of these waits: lists may lag.
    pub(super) async fn look_again(
        &self,
        at: &At<'_>,
        look: Option<&Look>,
        waits: &[Duration],
    ) -> Result<Option<Existing>, Trouble> {
        // What no look can show is not waited for.
        if look.is_none() && matches!(self.plan.target, Target::Always(_)) {
            return Ok(None);
        }
        for wait in waits {
            tokio::time::sleep(*wait).await;
            if let Found::Present(existing) = self.locate(at, look, true).await? {
                return Ok(Some(existing));
            }
        }
        Ok(None)
    }

    /// After "exists" to a create that was not lost, or a change of which a part may be done: it is looked for as long as after
    /// a lost create.
    pub(super) async fn look_for_existing(&self, at: &At<'_>, look: Option<&Look>) -> Result<Option<Existing>, Trouble> {
        self.look_again(at, look, &LOOKS).await
    }

    /// A create was lost and the object is there. Equal to the record it is ours. Otherwise somebody else made it at that
    /// moment: then the record's mode says what to do with what exists.
    async fn found_again(&self, existing: &Existing, at: &At<'_>) -> Result<Settled, Trouble> {
        let existing = &self.with_members(existing).await?;
        let nothing_differs = match self.object.change(self.plan, at, existing) {
            Ok(requests) => requests.is_empty(),
            Err(_) => false,
        };
        Ok(match (nothing_differs, self.plan.mode) {
            (true, _) => Outcome::Created.into(),
            (false, Mode::Insert) => Outcome::Skipped(Skip::Exists).into(),
            (false, _) => match self.change(at, existing, self.home(at), &mut Trial::default()).await? {
                Changed::Settled(outcome) if outcome.is_rejected() => outcome.into(),
                _ => Outcome::Created.into(),
            },
        })
    }

    /// After a create: learn it, and see to what the answer shows was not taken.
    async fn made(&self, answer: Value, at: &At<'_>, method: Method, fixes: &Fixes<'_>) -> Result<Settled, Trouble> {
        let made = match method {
            Method::Post => Outcome::Created,
            Method::Get => Outcome::Unchanged,
            Method::Delete => Outcome::Deleted,
            Method::Put | Method::Patch => Outcome::Updated,
        };
        let mut entry = self.object.answered(answer);
        self.add_parents(&mut entry, at);
        if made == Outcome::Created {
            self.count_made(&entry);
        }
        if let Some(known) = self.saw(&entry, at, self.home(at))
            && self.object.is_made_empty(self.plan)
        {
            self.world.account.made_empty(&known.uuid);
        }
        let complaints = self.object.complains(&entry);
        if !complaints.is_empty() {
            // It stands in the account, and the API says itself that it counts for nothing.
            return Ok(Outcome::Rejected(Rejection { faults: complaints, http_status: Some(CREATED) }).into());
        }
        Ok(self.see_to(&entry, at, self.home(at), fixes, made).await?.into())
    }

    /// Adds to what a create answered whom it belongs to, where the answer does not show that: it was made there.
    pub(super) fn add_parents(&self, entry: &mut Value, at: &At<'_>) {
        let resource = self.object.resource();
        let Some(entry) = entry.as_object_mut().filter(|entry| entry.contains_key(resource.id)) else { return };
        for (reference, resolved) in self.plan.refs.iter().zip(at.refs).filter(|(reference, _)| reference.role == Role::Parent) {
            let name = reference.kin.uuid_field();
            if resource.field(name).is_some() && !resolved.uuid.is_empty() && entry.get(name).is_none_or(Value::is_null) {
                entry.insert(name.to_owned(), Value::from(&*resolved.uuid));
            }
        }
    }

    /// Takes in the object as the answer to a write shows it, and what the write itself tells beside that.
    pub(super) fn saw(&self, entry: &Value, at: &At<'_>, home: Option<Scope>) -> Option<Rc<Known>> {
        let known = self.world.account.saw(self.object, entry, home)?;
        self.note_uuid(&known.uuid);
        if let Some(members) = self.object.members_written(self.plan, at) {
            self.world.account.amend(&known.uuid, |known| known.set_members(Some(members.clone())));
        }
        Some(known)
    }

    /// Sends what sets the things that an answer shows were not taken, and warns of what was not kept.
    pub(super) async fn see_to(
        &self,
        entry: &Value,
        at: &At<'_>,
        home: Option<Scope>,
        fixes: &Fixes<'_>,
        outcome: Outcome,
    ) -> Result<Outcome, Trouble> {
        let resource = self.object.resource();
        for difference in differences(self.object, self.plan, &self.how.only_if_empty, entry) {
            let code = if difference.null { Code::NullNotCleared } else { Code::FieldNotKept };
            self.world.warnings.once(code, resource.name, difference.field);
        }
        let mut held = resource.attributes_of(entry).or_else(|| attributes_alone(entry)).cloned();
        fixes.taken(held.as_ref());
        let uuid = entry[resource.id].as_str().unwrap_or(at.parent());
        for request in self.object.repair(self.plan, at, entry) {
            match self.send(request, uuid, home, &mut Trial::default()).await? {
                Sent::Done(answer) => held = attributes_alone(&answer).cloned().or(held),
                Sent::Gone => return Ok(outcome),
                Sent::Refused(refused) => return Ok(refused),
                Sent::Lost(why) => return Err(never_lost(&why)),
            }
        }
        for attribute in held.iter().flat_map(|held| attributes_not_taken(self.plan, held)) {
            self.world.warnings.once(Code::FieldNotKept, resource.name, &self.object.attribute_field(attribute.key));
        }
        Ok(outcome)
    }

    /// Makes the customer that the record belongs to, with nothing but its key, and its name where the record tells it.
    pub(super) async fn make_customer(&self, reference: &Reference, key: &str) -> Result<OrEnd<Rc<Known>>, Trouble> {
        let account = &self.world.account;
        let Some(customers) = objects::find(reference.kin.object()) else { return Ok(Err(self.absent())) };
        let resource = customers.resource();
        let mut body = serde_json::json!({"data_source_uuid": account.data_source(), "external_id": key});
        if let Some(name) = self.object.parent_name(self.plan) {
            body["name"] = name.into();
        }
        let request = Request::new(Method::Post, resource.path, Some(body.to_string()), resource.calls.create).once();
        let call = Call::from(request);
        let mut trial = Trial::default();
        let lane = reference.lane();
        let _making = self.world.account.making(resource.name).read_owned().await;
        loop {
            let lost = match self.deliver(&call, &mut trial).await? {
                Reply::Done(answer) => {
                    self.world.deletions.borrow_mut().created(resource.name);
                    if let Some(known) = account.saw(customers, &read(&answer), None) {
                        account.made_empty(&known.uuid);
                        return Ok(Ok(known));
                    }
                    false
                }
                Reply::Lost(_) => true,
                // Somebody else made it, or our own lost request did.
                Reply::Exists(_) => false,
                Reply::Missing(refusal) => {
                    account.assure_data_source().await?;
                    return Ok(Err(Step::Settled(rejected(refusal).into())));
                }
                Reply::Refused(refusal) => return Ok(Err(Step::Settled(rejected(refusal).into()))),
            };
            // The API refuses a second one: where the answer was lost, sending again is the surest look there is.
            for wait in if lost { &LOOKS[..1] } else { &LOOKS[..] } {
                tokio::time::sleep(*wait).await;
                match account.refer(reference.kin, &reference.by, true).await? {
                    Found::Present(known) => return Ok(Ok(known)),
                    Found::Absent => {}
                    Found::Ambiguous(many) => {
                        return Ok(Err(Step::Settled(Outcome::rejected(super::ambiguous(reference.field, many)).into())));
                    }
                }
            }
            if !lost {
                return Ok(Err(match self.last_chance {
                    false => Step::Park(lane, Waits::ForIt),
                    true => Step::Settled(Outcome::rejected(self.no_parent(Some(reference))).into()),
                }));
            }
        }
    }
}

/// Whether a request says this somewhere.
fn names(call: &Call, text: &str) -> bool {
    let body = call.body.as_ref().is_some_and(|body| body.contains(text));
    body || call.path.contains(text) || call.query.iter().any(|(_, value)| value.contains(text))
}

/// All attributes, as the attributes endpoint answers them.
pub(super) fn attributes_alone(answer: &Value) -> Option<&Map<String, Value>> {
    answer["custom"].as_object()
}

/// What became of one request of a change.
pub(super) enum Sent {
    Done(Value),
    /// The object is gone.
    Gone,
    Refused(Outcome),
    /// It may have been done or not, and a second send could make a second thing.
    Lost(String),
}

/// How a change ended.
pub(super) enum Changed {
    Settled(Outcome),
    /// The object is gone.
    Gone,
    /// Part of it may have been done or not: the object has to be looked at again.
    Lost,
}
