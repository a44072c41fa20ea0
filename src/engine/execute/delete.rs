//! Deleting an object, under the guard of the deletion policy.

use super::create::Sent;
use super::{Step, Turn, World, ambiguous, never_lost};
use crate::account::{Found, Tally, Trouble};
use crate::client::Trial;
use crate::errors::Code;
use crate::objects::request::{Look, Method, Request, Scope};
use crate::objects::{self, At, Existing, OBJECTS, Object};
use crate::outcome::{Fault, Outcome, Skip};
use crate::plan::{Known, Target};

impl Turn<'_> {
    /// Deletes the record's object, under the guard.
    pub(super) async fn delete(&self, at: &At<'_>, look: Option<&Look>) -> Result<Option<Step>, Trouble> {
        let settled = |outcome: Outcome| Ok(Some(Step::Settled(outcome.into())));
        let resource = self.object.resource();
        let account = &self.world.account;
        let mut existing = match self.locate(at, look, false).await? {
            Found::Absent => return settled(Outcome::Skipped(Skip::NoMatch)),
            Found::Ambiguous(many) => return settled(Outcome::rejected(ambiguous(self.key_field(), many))),
            Found::Present(existing) => existing,
        };
        // What was found by key was found in the data source; a UUID may be anything's. And what stands under several
        // keys has to be known, and known now, before it is deleted.
        let by_uuid = matches!(self.plan.target, Target::Uuid(..)) && !resource.calls.read.is_empty();
        if by_uuid || self.object.can_be_merged() {
            match account.read(self.object, &existing.uuid).await? {
                // What this run has merged into it may not be shown yet.
                Found::Present(known) if self.is_several(self.object, &known) => {
                    return settled(Outcome::rejected(several(&known)));
                }
                Found::Present(known) if !known.ours => return settled(Outcome::rejected(foreign())),
                Found::Present(known) => existing = Existing { uuid: known.uuid.clone(), known: Some(known) },
                _ => {
                    account.gone(&existing.uuid);
                    return settled(Outcome::Skipped(Skip::NoMatch));
                }
            }
        }
        // What is not there must not count as a deletion.
        if let Some(key) = self.plan.target.key().filter(|_| existing.uuid.is_empty())
            && account.entry_by_key(self.object, key).await?.is_none()
        {
            return settled(Outcome::Skipped(Skip::NoMatch));
        }
        let requests = self.object.delete(self.plan, at, &existing);
        let Some(first) = requests.first() else { return settled(Outcome::Skipped(Skip::NoMatch)) };
        // What is taken out of an object by changing it leaves the object there.
        let remains = requests.iter().all(|request| request.method != Method::Delete);
        self.take_leave(first).await?;
        let mut outcome = Outcome::Deleted;
        for request in requests {
            let mut trial = Trial::default();
            match self.send(request, &existing.uuid, look.and_then(|look| look.scope), &mut trial).await? {
                Sent::Done(answer) if remains => {
                    account.saw(self.object, &self.object.answered(answer), look.and_then(|look| look.scope));
                }
                Sent::Done(_) => {}
                // Gone at a second attempt: the first one did it and its answer was lost.
                Sent::Gone if trial.requests() > 1 => {}
                Sent::Gone => outcome = Outcome::Skipped(Skip::NoMatch),
                Sent::Refused(refused) => return settled(refused),
                Sent::Lost(why) => return Err(never_lost(&why)),
            }
        }
        match look.and_then(|look| look.scope) {
            Some(home) if self.object.is_part() => account.part_gone(home, &existing.uuid),
            _ if remains || self.plan.target == Target::Part => {}
            _ => match existing.known.as_deref().filter(|_| self.object.can_be_merged()) {
                Some(known) => account.deleted(known),
                None => account.gone(&existing.uuid),
            },
        }
        settled(outcome)
    }

    /// Whether an entry stands under several keys, so that others' data would go with it. What this run has merged into it may not
    /// be shown yet.
    fn is_several(&self, object: &dyn Object, known: &Known) -> bool {
        object.can_be_merged() && (known.pairs > 1 || self.world.account.has_absorbed(&known.uuid))
    }

    /// Why a request that is no object's own may not delete what it names.
    pub(super) async fn takes_several(&self, request: &Request) -> Result<Option<Fault>, Trouble> {
        let Some((object, uuid)) = self.object.deletes(request) else { return Ok(None) };
        let Some(object) = objects::find(object).filter(|object| object.can_be_merged()) else { return Ok(None) };
        Ok(match self.world.account.read(object, &uuid).await? {
            Found::Present(known) if self.is_several(object, &known) => Some(several(&known)),
            _ => None,
        })
    }

    /// Takes leave to send one deletion; what there is to delete is counted before the first.
    pub(super) async fn take_leave(&self, request: &Request) -> Result<(), Trouble> {
        let World { account, deletions, .. } = self.world;
        let Some(object) = self.object.counted_as(request).and_then(objects::find) else {
            return Ok(deletions.borrow_mut().take_uncounted()?);
        };
        let name = object.resource().name;
        if deletions.borrow().must_count(name).is_some() {
            let (listed, _) = object.counted_in();
            // Many deletions may come at once: what there is is counted once, and the others wait for it.
            let _alone = account.alone_with(Scope::count(listed.name)).await;
            if deletions.borrow().must_count(name).is_some() {
                // What stands within the same entries is counted with it, as far as these have to be listed.
                let beside = OBJECTS.iter().filter(|other| std::ptr::eq(other.counted_in().0, listed));
                let mut counted: Vec<&dyn Object> = beside.copied().filter(|other| other.resource().name != name).collect();
                counted.insert(0, object);
                // None of them is made meanwhile, so that what this run has made is known to the last one.
                let mut still = Vec::with_capacity(counted.len());
                for object in &counted {
                    still.push(self.world.account.making(object.resource().name).write_owned().await);
                }
                let guard = || deletions.borrow();
                let tally = |object: &&dyn Object| {
                    let (of, (_, count_in)) = (object.resource().name, object.counted_in());
                    guard().must_count(of).map(|enough| Tally { of, count_in, enough, count: 0 })
                };
                let mut tallies: Vec<Tally> = counted.iter().filter_map(tally).collect();
                let all = account.count(listed, &mut tallies).await?;
                let mut guard = deletions.borrow_mut();
                for tally in tallies.iter().filter(|tally| all || tally.count >= tally.enough) {
                    guard.counted(tally.of, tally.count);
                }
            }
        }
        Ok(deletions.borrow_mut().take(name)?)
    }
}

fn several(known: &Known) -> Fault {
    let pairs = known.pairs.max(2);
    Fault::record(
        Code::DeleteMergedCustomer,
        format!("the object stands under at least {pairs} pairs of data source and external id"),
    )
}

fn foreign() -> Fault {
    Fault::field(Code::OtherDataSource, "uuid", "names an object of another data source than the configured one")
}
