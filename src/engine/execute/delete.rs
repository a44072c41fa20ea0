//! Deleting an object, under the guard of the deletion policy.

use super::create::Sent;
use super::{Step, Turn, ambiguous, never_lost};
use crate::account::{Found, Trouble};
use crate::client::Trial;
use crate::errors::Code;
use crate::objects::request::{Look, Method};
use crate::objects::{At, Existing};
use crate::outcome::{Fault, Outcome, Skip};
use crate::plan::Target;

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
                Found::Present(known)
                    if self.object.can_be_merged() && (known.pairs > 1 || account.has_absorbed(&known.uuid)) =>
                {
                    let pairs = known.pairs.max(2);
                    let text = format!("the object stands under at least {pairs} pairs of data source and external id");
                    return settled(Outcome::rejected(Fault::record(Code::DeleteMergedCustomer, text)));
                }
                Found::Present(known) if !known.ours => return settled(Outcome::rejected(foreign())),
                Found::Present(known) => existing = Existing { uuid: known.uuid.clone(), known: Some(known) },
                _ => {
                    account.gone(&existing.uuid);
                    return settled(Outcome::Skipped(Skip::NoMatch));
                }
            }
        }
        let requests = self.object.delete(self.plan, at, &existing);
        if requests.is_empty() {
            return settled(Outcome::Skipped(Skip::NoMatch));
        }
        // What is taken out of an object by changing it leaves the object there.
        let remains = requests.iter().all(|request| request.method != Method::Delete);
        self.take_leave().await?;
        let mut outcome = Outcome::Deleted;
        for request in requests {
            let mut trial = Trial::default();
            match self.send(request, &existing.uuid, look.and_then(|look| look.scope), &mut trial).await? {
                Sent::Done(answer) if remains => {
                    account.saw(self.object, &self.object.answered(answer), look.and_then(|look| look.scope));
                }
                Sent::Done(_) => {}
                // Gone at a second attempt: the first one did it and its answer was lost.
                Sent::Gone if trial.attempts() > 1 => {}
                Sent::Gone => outcome = Outcome::Skipped(Skip::NoMatch),
                Sent::Refused(refused) => return settled(refused),
                Sent::Lost(why) => return Err(never_lost(&why)),
            }
        }
        match look.and_then(|look| look.scope) {
            Some(home) if self.object.is_part() => account.part_gone(home, &existing.uuid),
            _ if remains || self.plan.target == Target::Part => {}
            _ => account.gone(&existing.uuid),
        }
        settled(outcome)
    }

    /// Takes leave to send one deletion; what there is to delete is counted before the first.
    pub(super) async fn take_leave(&self) -> Result<(), Trouble> {
        if !self.object.is_counted() {
            return Ok(self.world.deletions.borrow_mut().take_uncounted()?);
        }
        let name = self.object.resource().name;
        let must_count = self.world.deletions.borrow().must_count(name);
        if let Some(enough) = must_count {
            let entries = self.world.account.count(self.object, enough).await?;
            // Another deletion may have counted meanwhile: the first count stands.
            let mut guard = self.world.deletions.borrow_mut();
            if guard.must_count(name).is_some() {
                guard.counted(name, entries);
            }
        }
        Ok(self.world.deletions.borrow_mut().take(name)?)
    }
}

fn foreign() -> Fault {
    Fault::field(Code::OtherDataSource, "uuid", "names an object of another data source than the configured one")
}
