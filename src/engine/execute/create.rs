//! Making an object, and finding out what became of a create whose answer was lost.

use std::time::Duration;

use serde_json::Value;

use super::super::kept::{attributes_not_taken, differences};
use super::{Existing, Settled, Turn, read, rejected};
use crate::account::{Found, Trouble};
use crate::client::{Method, Refusal, Repeat, Reply, Trial};
use crate::errors::Code;
use crate::objects::resource::AttributeForm;
use crate::outcome::{Outcome, Skip};
use crate::plan::{CustomerRef, LaneKey, Mode, Target};

/// Waits between the looks for a create whose answer was lost and that the API would make a second time: a list may lag.
pub(super) const LOOKS: [Duration; 4] = [Duration::ZERO, Duration::from_secs(2), Duration::from_secs(3), Duration::from_secs(5)];

/// How a create ended.
pub(super) enum Created {
    Settled(Settled),
    Exists(Refusal),
    /// The customer it belongs to is not there after all.
    NoParent,
}

impl Turn<'_> {
    /// Insert without a look: the API refuses what exists.
    pub(super) async fn insert(&self) -> Result<Option<Settled>, Trouble> {
        if let Target::ExternalId(key) = &self.plan.target
            && let Some(Found::Present(_)) = self.world.account.known_customer(key)
        {
            return Ok(Some(Outcome::Skipped(Skip::Exists).into()));
        }
        Ok(Some(match self.create(None).await? {
            Created::Settled(settled) => settled,
            Created::Exists(_) => Outcome::Skipped(Skip::Exists).into(),
            Created::NoParent => Outcome::rejected(self.no_parent()).into(),
        }))
    }

    /// Makes the object. When the answer is lost the object is looked for before the request is sent again.
    pub(super) async fn create(&self, customer: Option<&str>) -> Result<Created, Trouble> {
        let resource = self.object.resource();
        let body = self.object.create(self.plan, self.world.account.data_source(), customer);
        let call = self.call(Method::Post, resource.path.to_owned(), Some(body), Repeat::MayDuplicate, resource.calls.create);
        // Where the API refuses a second one, sending again is the surest look there is.
        let looks = if self.object.refuses_duplicates() { &LOOKS[..1] } else { &LOOKS[..] };
        let mut trial = Trial::default();
        let mut lost = false;
        loop {
            match self.world.client.send(&call, &mut trial).await? {
                Reply::Done(answer) => return Ok(Created::Settled(self.made(&read(&answer), customer).await?)),
                Reply::Missing(refusal) => {
                    return Ok(match &self.plan.target {
                        Target::Within(CustomerRef::ExternalId(key), _) => {
                            self.world.account.forget_customer(key);
                            Created::NoParent
                        }
                        Target::Within(CustomerRef::Uuid(_), _) => Created::Settled(Outcome::rejected(self.no_parent()).into()),
                        // Above these stands nothing but the data source: without it no record could be written.
                        _ => {
                            self.world.account.assure_data_source().await?;
                            Created::Settled(rejected(refusal).into())
                        }
                    });
                }
                // Our own lost request may be what exists.
                Reply::Exists(refusal) if lost => {
                    return Ok(match self.look(customer, &LOOKS).await? {
                        Some(existing) => Created::Settled(self.found_again(&existing, customer).await?),
                        None => Created::Exists(refusal),
                    });
                }
                Reply::Exists(refusal) => return Ok(Created::Exists(refusal)),
                Reply::Refused(refusal) if refusal.code == Code::RecordBreaksServer => {
                    // Every attempt failed, and the last one may have been done all the same.
                    return Ok(Created::Settled(match self.look(customer, looks).await? {
                        Some(existing) => self.found_again(&existing, customer).await?,
                        None => rejected(refusal).into(),
                    }));
                }
                Reply::Refused(refusal) => return Ok(Created::Settled(rejected(refusal).into())),
                Reply::Lost(why) => {
                    tracing::debug!(object = resource.name, why, "the answer to a create was lost; looking for it");
                    lost = true;
                    if let Some(existing) = self.look(customer, looks).await? {
                        return Ok(Created::Settled(self.found_again(&existing, customer).await?));
                    }
                }
            }
        }
    }

    /// Looks for an object that should be there, after each of these waits: lists may lag.
    pub(super) async fn look(&self, customer: Option<&str>, waits: &[Duration]) -> Result<Option<Existing>, Trouble> {
        for wait in waits {
            tokio::time::sleep(*wait).await;
            if let Found::Present(existing) = self.locate(customer, true).await? {
                return Ok(Some(existing));
            }
        }
        Ok(None)
    }

    /// A create was lost and the object is there. Equal to the record it is ours. Otherwise somebody else made it at that
    /// moment: then the record's mode says what to do with what exists.
    pub(super) async fn found_again(&self, existing: &Existing, customer: Option<&str>) -> Result<Settled, Trouble> {
        let arrived = self.arrived();
        let entry = self.read_entry(&existing.uuid).await?.unwrap_or(Value::Null);
        let equal = !entry.is_null()
            && differences(self.object, self.plan, &entry).iter().all(|difference| !difference.kept)
            && self.object.answered_attributes(&entry).is_none_or(|held| attributes_not_taken(self.plan, held).is_empty());
        let outcome = match (equal, self.plan.mode) {
            (true, _) => {
                self.learn(&entry, customer, false);
                Outcome::Created
            }
            (false, Mode::Insert) => Outcome::Skipped(Skip::Exists),
            (false, _) => self.change(existing, customer).await?.unwrap_or(Outcome::Created),
        };
        Ok(Settled { outcome, arrived })
    }

    pub(super) async fn read_entry(&self, uuid: &str) -> Result<Option<Value>, Trouble> {
        let resource = self.object.resource();
        let path = format!("{}/{uuid}", resource.path);
        let call = self.call(Method::Get, path, None, Repeat::Harmless, resource.calls.read);
        Ok(match self.world.client.ask(&call).await? {
            Reply::Done(answer) => Some(read(&answer)),
            _ => None,
        })
    }

    /// After a create: learn it, and see to what the answer shows was not taken.
    pub(super) async fn made(&self, entry: &Value, customer: Option<&str>) -> Result<Settled, Trouble> {
        self.world.deletions.borrow_mut().created(self.object.resource().name);
        self.learn(entry, customer, true);
        let outcome = self.see_to(entry, Outcome::Created).await?;
        Ok(Settled { outcome, arrived: self.arrived() })
    }

    pub(super) fn learn(&self, entry: &Value, customer: Option<&str>, made: bool) {
        let account = &self.world.account;
        match customer {
            Some(customer) => account.saw_contact(customer, entry),
            // A nested first contact makes a contact, so that the customer's contacts are not known to be none.
            None if made && !self.gives("primary_contact") => account.made_customer(entry),
            None if self.object.resource().attributes == Some(AttributeForm::Typed) => {
                account.saw_customer(entry);
            }
            None => {}
        }
    }

    /// The customer's lane, for children that wait for it.
    pub(super) fn arrived(&self) -> Vec<LaneKey> {
        match &self.plan.target {
            Target::ExternalId(key) => vec![LaneKey::customer(key)],
            Target::Uuid(_, Some(other)) => match &**other {
                Target::ExternalId(key) => vec![LaneKey::customer(key)],
                _ => Vec::new(),
            },
            Target::Email(_) => self.text("external_id").map(|key| LaneKey::customer(&key)).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn gives(&self, name: &str) -> bool {
        let Some(at) = self.object.resource().all_fields().position(|field| field.name == name) else { return false };
        self.plan.body.fields().any(|(slot, value)| usize::from(slot.field) == at && value != "null")
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        let at = self.object.resource().all_fields().position(|field| field.name == name)?;
        let (_, value) = self.plan.body.fields().find(|(slot, _)| usize::from(slot.field) == at)?;
        serde_json::from_str(value).ok()
    }
}
