//! Changing an object that exists.

use serde_json::{Map, Value};

use super::create::{Changed, Created, Sent, attributes_alone};
use super::{Call, Step, Turn, Waits, ambiguous, read, refused, rejected, unknown_uuid};
use crate::account::{Claim, Found, Trouble};
use crate::client::{Reply, Trial};
use crate::errors::Code;
use crate::objects::request::{IfMissing, Look, Request, Scope, Shows};
use crate::objects::{self, Asked, At, Existing};
use crate::outcome::{Fault, Outcome, Rejection, Skip};
use crate::plan::{By, Mode, Target, held_back};

impl Turn<'_> {
    /// Upsert, update, and insert where the API itself refuses no duplicates. `None`: the parent is not there after all.
    pub(super) async fn write(&self, at: &At<'_>, look: Option<&Look>, look_again: bool) -> Result<Option<Step>, Trouble> {
        let settled = |outcome: Outcome| Ok(Some(Step::Settled(outcome.into())));
        let mut found = self.locate(at, look, look_again).await?;
        let mut trial = Trial::default();
        let (mut fresh, mut lost, mut refused) = (false, false, false);
        // What was known can prove wrong once: a UUID that is gone, or a thing that somebody made since we looked.
        loop {
            let again = std::mem::replace(&mut fresh, true);
            match found {
                Found::Ambiguous(many) => return settled(Outcome::rejected(ambiguous(self.key_field(), many))),
                Found::Present(existing) if self.plan.mode == Mode::Insert && self.object.is_there(self.plan, &existing) => {
                    return settled(Outcome::Skipped(Skip::Exists));
                }
                Found::Present(existing)
                    if self.plan.mode == Mode::Update && !self.object.can_be_updated(self.plan, &existing) =>
                {
                    return settled(Outcome::Skipped(Skip::NoMatch));
                }
                Found::Present(existing) => {
                    match self.change(at, &existing, look.and_then(|look| look.scope), &mut trial).await? {
                        // What was lost was done, and nothing is left to do.
                        Changed::Settled(Outcome::Unchanged) if lost => return settled(Outcome::Updated),
                        Changed::Settled(outcome) => return settled(outcome),
                        Changed::Lost => {
                            (fresh, lost) = (again, true);
                            found = match self.look_for_existing(at, look).await? {
                                Some(existing) => Found::Present(existing),
                                None => Found::Absent,
                            };
                        }
                        Changed::Gone if self.object.is_addressed_by_key(self.plan) => {
                            return settled(Outcome::Skipped(Skip::NoMatch));
                        }
                        Changed::Gone if again => break,
                        Changed::Gone => {
                            self.world.account.gone(&existing.uuid);
                            if self.plan.target == Target::Part {
                                return Ok(None);
                            }
                            found = self.locate(at, look, true).await?;
                        }
                    }
                }
                Found::Absent if self.plan.mode == Mode::Update => return settled(Outcome::Skipped(Skip::NoMatch)),
                Found::Absent if matches!(self.plan.target, Target::Uuid(_, None)) => {
                    return settled(Outcome::rejected(unknown_uuid()));
                }
                Found::Absent => match self.create(at, look).await? {
                    Created::Settled(settled) => return Ok(Some(Step::Settled(settled))),
                    Created::NoParent => return Ok(None),
                    // At the end of the input an absence that was seen earlier is looked at once more.
                    Created::CanNot if self.last_chance && !again => found = self.locate(at, look, true).await?,
                    Created::CanNot => return Ok(Some(self.absent())),
                    Created::Incomplete(lane) => return Ok(Some(Step::Park(lane, Waits::ForParts))),
                    Created::Exists(refusal) if refused => return settled(rejected(refusal)),
                    Created::Exists(refusal) => match self.look_for_existing(at, look).await? {
                        Some(existing) => (found, refused) = (Found::Present(existing), true),
                        None => return settled(rejected(refusal)),
                    },
                },
            }
        }
        settled(Outcome::rejected(Fault::field(Code::ApiRefused, self.key_field(), "is in the lists but can not be changed")))
    }

    /// The requests that a change would take by what is known now.
    pub(super) fn would_change(&self, at: &At<'_>, existing: &Existing) -> Asked<Vec<Request>> {
        let plan = self.world.account.as_known(self.object, self.plan, self.how.nulls)?;
        self.object.change(&plan, at, existing)
    }

    /// Changes an existing object. A `trial` that ended with [`Changed::Lost`] has to be used for the next try too.
    pub(super) async fn change(
        &self,
        at: &At<'_>,
        existing: &Existing,
        home: Option<Scope>,
        trial: &mut Trial,
    ) -> Result<Changed, Trouble> {
        self.note_uuid(&existing.uuid);
        match self.world.account.bring(self.object, self.plan, self.how.nulls).await {
            Ok((plan, claim)) => Turn { plan: &plan, ..*self }.change_as_brought(at, existing, home, trial, &claim).await,
            Err(faults) => Ok(Changed::Settled(refused(faults))),
        }
    }

    /// The same, of a plan whose attributes are of the types that are known.
    async fn change_as_brought(
        &self,
        at: &At<'_>,
        existing: &Existing,
        home: Option<Scope>,
        trial: &mut Trial,
        claim: &Claim<'_>,
    ) -> Result<Changed, Trouble> {
        let home = home.or_else(|| self.home_by_key());
        // Records may name one thing differently, so that lanes do not keep them apart: what the last one made of it is known first.
        let named = (!existing.uuid.is_empty()).then(|| Scope::entry(&existing.uuid));
        let _alone = match named {
            Some(scope) => Some(self.world.account.alone_with(scope).await),
            None => None,
        };
        let now = existing.known.as_ref().and_then(|_| self.world.account.known_entry(&existing.uuid));
        let existing = &Existing { known: now.or_else(|| existing.known.clone()), ..existing.clone() };
        let existing = &self.with_members(existing).await?;
        let requests = match self.object.change(self.plan, at, existing) {
            Ok(requests) => requests,
            Err(faults) => return Ok(Changed::Settled(refused(faults))),
        };
        if requests.is_empty() {
            if let Some(rejection) = self.unsound(existing).await? {
                return Ok(Changed::Settled(Outcome::Rejected(rejection)));
            }
            self.tell_held_back(existing);
        }
        let mut outcome = Outcome::Unchanged;
        for request in requests {
            let shows = request.shows;
            let absorbed_by = request.absorbed_by.clone();
            let fixes = claim.sent_by(&request);
            // Before it is sent, so that no count of what is there comes between.
            if let Some(part) = self.makes_within(&request) {
                self.world.deletions.borrow_mut().created(part);
            }
            let sent = self.send(request, &existing.uuid, home, trial).await?;
            let sent = match (sent, &absorbed_by) {
                // Gone at a second attempt: the first one did it and its answer was lost.
                (Sent::Gone, Some(_)) if trial.requests() > 1 => Sent::Done(Value::Null),
                // Refused at a second attempt: whether the first one did it shows in what is there now.
                (Sent::Refused(Outcome::Rejected(why)), Some(_))
                    if trial.requests() > 1 && why.code() != Code::RecordBreaksServer =>
                {
                    Sent::Gone
                }
                (sent, _) => sent,
            };
            if let (Sent::Done(_), Some(into)) = (&sent, &absorbed_by) {
                self.world.account.absorbed(&existing.uuid, into);
            }
            if !matches!(sent, Sent::Lost(_)) {
                *trial = Trial::default();
            }
            match sent {
                Sent::Done(answer) if shows == Shows::Object => {
                    let mut entry = self.object.answered(answer);
                    self.add_parents(&mut entry, at);
                    self.saw(&entry, at, home);
                    outcome = self.see_to(&entry, at, home, &fixes, Outcome::Updated).await?;
                }
                Sent::Done(answer) if shows == Shows::Attributes => {
                    outcome = self.see_to(&answer, at, home, &fixes, Outcome::Updated).await?;
                }
                Sent::Done(_) if !outcome.is_rejected() => outcome = Outcome::Updated,
                Sent::Done(_) => {}
                Sent::Gone => return Ok(Changed::Gone),
                Sent::Refused(refused) => {
                    return Ok(Changed::Settled(match shows {
                        Shows::Part(list) => within(refused, list),
                        _ => refused,
                    }));
                }
                Sent::Lost(_) => return Ok(Changed::Lost),
            }
        }
        Ok(Changed::Settled(outcome))
    }

    /// Warns of what is no reason to send anything, where nothing is sent.
    pub(super) fn tell_held_back(&self, existing: &Existing) {
        // What is known there is of the whole that it is a part of, whose fields are others.
        if self.plan.target == Target::Part {
            return;
        }
        let (resource, known) = (self.object.resource(), existing.known.as_deref());
        for field in known.iter().flat_map(|known| held_back(resource, self.plan, known, &self.how.only_if_empty)) {
            self.world.warnings.once(Code::FieldHeldBack, resource.name, &field);
        }
    }

    /// What the API itself says against an object that holds all of the record: that it does so does not make it good.
    async fn unsound(&self, existing: &Existing) -> Result<Option<Rejection>, Trouble> {
        let account = &self.world.account;
        let unsound = existing.known.as_ref().filter(|known| !known.is_sound);
        let key: Option<Box<str>> = unsound.and_then(|known| known.keys().next()).map(Into::into);
        let look = key.as_deref().and_then(|key| self.object.look_by_key(key, account.data_source()));
        let (Some(key), Some(look)) = (key, look) else { return Ok(None) };
        let entry = account.entry_of(self.object, &By::Key(key), &look).await?.unwrap_or_default();
        let said = |fault: Fault| Fault { code: Code::ImportedInvalid, ..fault };
        let faults: Vec<Fault> = self.object.complains(&entry).into_iter().map(said).collect();
        Ok((!faults.is_empty()).then_some(Rejection { faults, http_status: None }))
    }

    /// Sends one request that changes or removes something, and takes in what its answer shows.
    pub(super) async fn send(
        &self,
        request: Request,
        uuid: &str,
        home: Option<Scope>,
        trial: &mut Trial,
    ) -> Result<Sent, Trouble> {
        let (shows, missing) = (request.shows, request.missing);
        let home = home.or_else(|| self.home_by_key());
        let removed = if shows == Shows::Removal { removed_keys(&request) } else { Vec::new() };
        let set = (shows == Shows::Unseen).then(|| members(&request)).flatten();
        let call = Call::from(request);
        let account = &self.world.account;
        Ok(match self.deliver(&call, trial).await? {
            Reply::Done(answer) => {
                let answer = read(&answer);
                if let Some(key) = self.plan.target.key().filter(|_| uuid.is_empty()) {
                    account.wrote_by_key(self.object, key);
                }
                // A page may have shown meanwhile where it stands.
                let home = home.or_else(|| self.home_by_key());
                match shows {
                    Shows::Attributes => {
                        if let Some(map) = attributes_alone(&answer) {
                            account.saw_attributes(self.object, map);
                            account.amend(uuid, |known| known.set_attributes(map));
                        }
                    }
                    Shows::Tags => {
                        if let Some(tags) = answer["tags"].as_array() {
                            let tags: Box<[Box<str>]> = tags.iter().filter_map(|tag| tag.as_str().map(Into::into)).collect();
                            account.amend(uuid, |known| known.set_members(Some(tags.clone())));
                        }
                    }
                    Shows::Removal => {
                        account.amend(uuid, |known| known.drop_attributes(removed.iter().map(String::as_str)));
                        account.removed_attributes(self.object, removed.iter().map(String::as_str));
                    }
                    Shows::Part(name) => {
                        if let (Some(part), Some(home)) = (objects::find(name), home) {
                            account.saw(part, &part.answered(answer.clone()), Some(home));
                        }
                    }
                    Shows::PartGone => home.into_iter().for_each(|home| account.forget(home)),
                    Shows::Unseen => {
                        let set = set.unwrap_or_default();
                        account.amend(uuid, |known| known.set_fields(self.object.resource(), &set));
                    }
                    Shows::Object | Shows::Nothing => {}
                }
                Sent::Done(answer)
            }
            Reply::Missing(_) if missing == IfMissing::Fine => Sent::Done(Value::Null),
            Reply::Missing(_) => Sent::Gone,
            Reply::Exists(refusal) | Reply::Refused(refusal) => Sent::Refused(rejected(refusal)),
            Reply::Lost(why) => Sent::Lost(why),
        })
    }
}

/// What was refused of a part, as a refusal of the whole that it came in: as the API says it where both go in one request.
fn within(outcome: Outcome, list: &str) -> Outcome {
    let Outcome::Rejected(Rejection { faults, http_status }) = outcome else { return outcome };
    let within = |fault: Fault| {
        let field = fault.field.map_or_else(|| list.to_owned(), |field| format!("{list}.{field}"));
        Fault { field: Some(field), ..fault }
    };
    Outcome::Rejected(Rejection { faults: faults.into_iter().map(within).collect(), http_status })
}

/// What a request sets.
pub(super) fn members(request: &Request) -> Option<Map<String, Value>> {
    serde_json::from_str(request.body.as_deref()?).ok()
}

/// The keys of attributes that a request removes.
pub(super) fn removed_keys(request: &Request) -> Vec<String> {
    let body = request.body.as_deref().and_then(|body| serde_json::from_str::<Value>(body).ok()).unwrap_or_default();
    body["custom"].as_array().into_iter().flatten().filter_map(|key| key.as_str().map(str::to_owned)).collect()
}
