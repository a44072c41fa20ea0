//! Deleting an object, under the guard of the deletion policy.

use serde_json::Value;

use super::{Existing, Settled, Turn, ambiguous, never_lost, rejected};
use crate::account::{Found, Trouble};
use crate::client::{Method, Repeat, Reply, Trial};
use crate::errors::Code;
use crate::objects::resource::AttributeForm;
use crate::outcome::{Fault, Outcome, Skip};
use crate::plan::Target;

impl Turn<'_> {
    /// Deletes the record's object, under the guard.
    pub(super) async fn delete(&self, customer: Option<&str>) -> Result<Option<Settled>, Trouble> {
        let resource = self.object.resource();
        let existing = match (self.locate(customer, false).await?, resource.attributes) {
            (Found::Absent, _) => return Ok(Some(Outcome::Skipped(Skip::NoMatch).into())),
            (Found::Ambiguous(many), _) => return Ok(Some(Outcome::rejected(ambiguous(self.key_field(), many)).into())),
            // Whether a customer is merged has to be known, and known now, before it is deleted.
            (Found::Present(existing), Some(AttributeForm::Typed)) => {
                match self.world.account.customer_by_uuid(&existing.uuid).await? {
                    Found::Present(customer) if customer.pairs > 1 => {
                        let fault = Fault::record(
                            Code::DeleteMergedCustomer,
                            format!("the customer stands under {} pairs of data source and external id", customer.pairs),
                        );
                        return Ok(Some(Outcome::rejected(fault).into()));
                    }
                    Found::Present(customer) if !customer.ours => return Ok(Some(Outcome::rejected(foreign()).into())),
                    Found::Present(customer) => Existing { uuid: customer.uuid.clone(), customer: Some(customer) },
                    _ => {
                        self.gone(&existing.uuid);
                        return Ok(Some(Outcome::Skipped(Skip::NoMatch).into()));
                    }
                }
            }
            (Found::Present(existing), _) => {
                // What was found by key was found in the data source; a UUID may be anything's.
                if let Target::Uuid(..) = self.plan.target {
                    match self.read_entry(&existing.uuid).await? {
                        None => return Ok(Some(Outcome::Skipped(Skip::NoMatch).into())),
                        Some(entry)
                            if entry.get("data_source_uuid").and_then(Value::as_str)
                                != Some(self.world.account.data_source()) =>
                        {
                            return Ok(Some(Outcome::rejected(foreign()).into()));
                        }
                        Some(_) => {}
                    }
                }
                existing
            }
        };
        let must_count = self.world.deletions.borrow().must_count(resource.name);
        if let Some(enough) = must_count {
            let entries = self.world.account.count(resource, enough).await?;
            // Another deletion may have counted meanwhile: the first count stands.
            let mut guard = self.world.deletions.borrow_mut();
            if guard.must_count(resource.name).is_some() {
                guard.counted(resource.name, entries);
            }
        }
        self.world.deletions.borrow_mut().take(resource.name)?;
        let call = self.call(
            Method::Delete,
            format!("{}/{}", resource.path, existing.uuid),
            None,
            Repeat::Harmless,
            resource.calls.delete,
        );
        let mut trial = Trial::default();
        Ok(Some(match self.world.client.send(&call, &mut trial).await? {
            Reply::Done(_) => {
                self.gone(&existing.uuid);
                Outcome::Deleted.into()
            }
            Reply::Missing(_) => {
                self.gone(&existing.uuid);
                // Gone at a second attempt: the first one did it and its answer was lost.
                if trial.attempts() > 1 { Outcome::Deleted.into() } else { Outcome::Skipped(Skip::NoMatch).into() }
            }
            Reply::Exists(refusal) | Reply::Refused(refusal) => rejected(refusal).into(),
            Reply::Lost(why) => return Err(never_lost(&why)),
        }))
    }
}

fn foreign() -> Fault {
    Fault::field(Code::OtherDataSource, "uuid", "names an object of another data source than the configured one")
}
