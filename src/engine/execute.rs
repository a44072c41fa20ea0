//! One plan, carried out: locate, decide, write, look at the answer.
//!
//! Owns the order of requests of one record. Does not own when a record has its turn ([`super::lanes`]), how a request
//! is sent and repeated (`client`), nor what a body looks like (`objects`).

use std::cell::RefCell;
use std::time::Duration;

use serde_json::Value;

use super::deletions::DeleteGuard;
use super::kept::{attributes_not_taken, differences};
use super::report::Warnings;
use crate::account::{Account, Found, KnownCustomer, Trouble};
use crate::client::{Answer, ApiFault, Call, Client, Method, Refusal, Repeat, Reply, Trial};
use crate::errors::Code;
use crate::failure::Failure;
use crate::mapping::attributes::type_word;
use crate::objects::resource::AttributeForm;
use crate::objects::{Known, Object, Pick};
use crate::outcome::{Fault, Outcome, Rejection, Skip};
use crate::plan::{CustomerRef, LaneKey, LaneKeys, Mode, Plan, Target, Within};

/// Waits between the looks for a create whose answer was lost and that the API would make a second time: a list may lag.
const LOOKS: [Duration; 4] = [Duration::ZERO, Duration::from_secs(2), Duration::from_secs(3), Duration::from_secs(5)];

/// What the plans of one sync share. Used from one task only; no borrow is held across a wait.
#[derive(Debug)]
pub(super) struct World<'c> {
    pub(super) client: &'c Client,
    pub(super) account: Account<'c>,
    pub(super) deletions: RefCell<DeleteGuard>,
    pub(super) warnings: Warnings,
}

impl World<'_> {
    /// The lanes of a plan: its own, and those of the UUIDs that its keys are known to stand for. So records that name one
    /// thing by key and by UUID keep their order, as soon as both names are known to be one.
    pub(super) fn lanes(&self, plan: &Plan) -> LaneKeys {
        let mut lanes = plan.lanes();
        let customer = match &plan.target {
            Target::ExternalId(key) | Target::Within(CustomerRef::ExternalId(key), _) => self.account.known_uuid(key),
            Target::Within(CustomerRef::Uuid(uuid), _) => Some(uuid.clone()),
            Target::Uuid(..) | Target::Email(_) => None,
        };
        if let (Target::Within(_, Within::Keys { external_id, email }), Some(customer)) = (&plan.target, &customer) {
            lanes.extend(
                self.account.known_contact(customer, external_id.as_deref(), email.as_deref()).map(|uuid| LaneKey::uuid(&uuid)),
            );
        }
        lanes.extend(customer.map(|uuid| LaneKey::uuid(&uuid)));
        lanes
    }
}

/// How a plan's turn ended.
#[derive(Debug)]
pub(super) enum Step {
    /// The record has its outcome.
    Settled(Settled),
    /// Its parent is not there yet.
    Park(LaneKey),
}

/// A record's outcome, and what the engine has to know beside it.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) outcome: Outcome,
    /// The lanes of customers that exist from now on.
    pub(super) arrived: Vec<LaneKey>,
}

impl From<Outcome> for Settled {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, arrived: Vec::new() }
    }
}

/// An object that exists.
#[derive(Debug, Clone)]
struct Existing {
    uuid: Box<str>,
    /// `None` where the object was not read.
    customer: Option<KnownCustomer>,
}

/// Carries out one plan.
///
/// # Errors
/// What ends the sync.
pub(super) async fn execute(world: &World<'_>, object: &dyn Object, plan: &Plan, last_chance: bool) -> Result<Step, Failure> {
    match (Turn { world, object, plan, last_chance }).run().await {
        Ok(step) => Ok(step),
        Err(Trouble::Stop(failure)) => Err(failure),
        Err(Trouble::Refused(refusal)) => Ok(Step::Settled(rejected(refusal).into())),
    }
}

/// One plan's turn.
struct Turn<'t> {
    world: &'t World<'t>,
    object: &'t dyn Object,
    plan: &'t Plan,
    last_chance: bool,
}

impl Turn<'_> {
    async fn run(&self) -> Result<Step, Trouble> {
        if let (Target::Uuid(uuid, Some(other)), Mode::Upsert | Mode::Update) = (&self.plan.target, self.plan.mode)
            && matches!(**other, Target::Within(..))
        {
            let existing = Existing { uuid: uuid.clone(), customer: None };
            if let Some(outcome) = self.change(&existing, None).await? {
                return Ok(Step::Settled(outcome.into()));
            }
            // The UUID is gone: the entry is looked for among those of its customer, as if none had been given.
            self.gone(uuid);
            let plan = Plan { target: (**other).clone(), ..self.plan.clone() };
            return Box::pin(Turn { plan: &plan, ..*self }.run()).await;
        }
        // A parent's UUID may have gone stale since it was looked up: then it is looked up once more by its key.
        for fresh in [false, true] {
            let customer = match self.customer(fresh).await? {
                Ok(customer) => customer,
                Err(step) => return Ok(step),
            };
            let settled = match self.plan.mode {
                Mode::Delete => self.delete(customer.as_deref()).await?,
                Mode::Insert if self.object.refuses_duplicates() => self.insert().await?,
                _ => self.write(customer.as_deref()).await?,
            };
            match settled {
                Some(settled) => return Ok(Step::Settled(settled)),
                None if fresh => break,
                None => {}
            }
        }
        Ok(Step::Settled(Outcome::rejected(self.no_parent()).into()))
    }

    /// The UUID of the customer that the object belongs to; `None` for objects that stand for themselves. The inner error
    /// is a turn that ends here.
    async fn customer(&self, fresh: bool) -> Result<Result<Option<Box<str>>, Step>, Trouble> {
        let Target::Within(customer, _) = &self.plan.target else { return Ok(Ok(None)) };
        let key = match customer {
            CustomerRef::Uuid(uuid) => return Ok(Ok(Some(uuid.clone()))),
            CustomerRef::ExternalId(key) => key,
        };
        let account = &self.world.account;
        let found = if fresh { account.look_up_customer(key).await? } else { account.customer(key).await? };
        // At the end of the input an absence that was seen earlier is looked at once more: others write too.
        let found = match found {
            Found::Absent if self.last_chance && !fresh => account.look_up_customer(key).await?,
            found => found,
        };
        Ok(match found {
            Found::Present(customer) => Ok(Some(customer.uuid)),
            Found::Ambiguous(many) => Err(Step::Settled(Outcome::rejected(ambiguous("customer_external_id", many)).into())),
            Found::Absent => Err(match self.plan.mode {
                Mode::Update | Mode::Delete => Step::Settled(Outcome::Skipped(Skip::NoMatch).into()),
                Mode::Insert | Mode::Upsert if self.last_chance => Step::Settled(Outcome::rejected(self.no_parent()).into()),
                Mode::Insert | Mode::Upsert => Step::Park(customer.lane()),
            }),
        })
    }

    fn no_data_source(&self) -> String {
        let uuid = self.world.account.data_source();
        format!("The data source {uuid} does not exist in this account. Run `check`: it lists those that the key sees.")
    }

    fn no_parent(&self) -> Fault {
        let field = match &self.plan.target {
            Target::Within(CustomerRef::Uuid(_), _) => "customer_uuid",
            _ => "customer_external_id",
        };
        Fault::field(
            Code::ParentNotFound,
            field,
            "names a customer that does not exist in the data source and did not come in this sync",
        )
    }

    /// Finds the object. With `fresh`, whatever is known is looked up again by key.
    async fn locate(&self, customer: Option<&str>, fresh: bool) -> Result<Found<Existing>, Trouble> {
        let account = &self.world.account;
        let of_customer = |found| match found {
            Found::Present(customer) => {
                let customer: KnownCustomer = customer;
                Found::Present(Existing { uuid: customer.uuid.clone(), customer: Some(customer) })
            }
            Found::Absent => Found::Absent,
            Found::Ambiguous(many) => Found::Ambiguous(many),
        };
        Ok(match (&self.plan.target, fresh) {
            (Target::Uuid(uuid, _), false) => Found::Present(Existing { uuid: uuid.clone(), customer: None }),
            (Target::ExternalId(key), false) => of_customer(account.customer(key).await?),
            (Target::ExternalId(key), true) => of_customer(account.look_up_customer(key).await?),
            (Target::Uuid(_, other), true) => match other.as_deref() {
                Some(Target::ExternalId(key)) => of_customer(account.look_up_customer(key).await?),
                _ => Found::Absent,
            },
            (Target::Email(email), _) => of_customer(account.customer_by_email(email).await?),
            (Target::Within(_, within), fresh) => {
                let customer = customer.unwrap_or_default();
                // Keys of contacts are kept; their other values are not, so that a match by values needs a look.
                let entries = match within {
                    Within::Keys { .. } if !fresh => account.contacts(customer).await?,
                    _ => account.look_up_contacts(customer).await?,
                };
                match self.object.pick(self.plan, account.data_source(), &entries) {
                    Pick::Nothing => Found::Absent,
                    Pick::Many(many) => Found::Ambiguous(many),
                    Pick::One(at) => match entries[at]["uuid"].as_str() {
                        Some(uuid) => Found::Present(Existing { uuid: uuid.into(), customer: None }),
                        None => Found::Absent,
                    },
                }
            }
        })
    }

    /// Upsert, update, and insert where the API itself refuses no duplicates. `None`: the parent is not there after all.
    async fn write(&self, customer: Option<&str>) -> Result<Option<Settled>, Trouble> {
        let mut found = self.locate(customer, false).await?;
        // What was known can prove wrong once: a UUID that is gone, or a thing that somebody made since we looked.
        for fresh in [false, true] {
            match found {
                Found::Ambiguous(many) => return Ok(Some(Outcome::rejected(ambiguous(self.key_field(), many)).into())),
                Found::Present(_) if self.plan.mode == Mode::Insert => return Ok(Some(Outcome::Skipped(Skip::Exists).into())),
                Found::Present(existing) => match self.change(&existing, customer).await? {
                    Some(outcome) => return Ok(Some(outcome.into())),
                    None => {
                        self.gone(&existing.uuid);
                        found = self.locate(customer, true).await?;
                    }
                },
                Found::Absent if self.plan.mode == Mode::Update => return Ok(Some(Outcome::Skipped(Skip::NoMatch).into())),
                Found::Absent if matches!(self.plan.target, Target::Uuid(_, None)) => {
                    let text = "is of no object that exists, and the record gives no other key to make it by";
                    return Ok(Some(Outcome::rejected(Fault::field(Code::KeyMissing, "uuid", text)).into()));
                }
                Found::Absent => match self.create(customer).await? {
                    Created::Settled(settled) => return Ok(Some(settled)),
                    Created::NoParent => return Ok(None),
                    Created::Exists(refusal) if fresh => return Ok(Some(rejected(refusal).into())),
                    Created::Exists(refusal) => match self.look(customer, &LOOKS).await? {
                        Some(existing) => found = Found::Present(existing),
                        None => return Ok(Some(rejected(refusal).into())),
                    },
                },
            }
        }
        Ok(Some(
            Outcome::rejected(Fault::field(Code::ApiRefused, self.key_field(), "is in the lists but can not be changed")).into(),
        ))
    }

    /// Insert without a look: the API refuses what exists.
    async fn insert(&self) -> Result<Option<Settled>, Trouble> {
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
    async fn create(&self, customer: Option<&str>) -> Result<Created, Trouble> {
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
                Reply::Missing(_) => {
                    return Ok(match &self.plan.target {
                        Target::Within(CustomerRef::ExternalId(key), _) => {
                            self.world.account.forget_customer(key);
                            Created::NoParent
                        }
                        Target::Within(CustomerRef::Uuid(_), _) => Created::Settled(Outcome::rejected(self.no_parent()).into()),
                        // Above these stands nothing but the data source: no record could be written.
                        _ => return Err(Failure::config(Code::DataSourceUnknown, self.no_data_source()).into()),
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
    async fn look(&self, customer: Option<&str>, waits: &[Duration]) -> Result<Option<Existing>, Trouble> {
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
    async fn found_again(&self, existing: &Existing, customer: Option<&str>) -> Result<Settled, Trouble> {
        let arrived = self.arrived();
        let entry = self.read_entry(&existing.uuid).await?.unwrap_or(Value::Null);
        let equal = !entry.is_null()
            && differences(self.object, self.plan, &entry).is_empty()
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

    async fn read_entry(&self, uuid: &str) -> Result<Option<Value>, Trouble> {
        let resource = self.object.resource();
        let path = format!("{}/{uuid}", resource.path);
        let call = self.call(Method::Get, path, None, Repeat::Harmless, resource.calls.read);
        Ok(match self.world.client.send(&call, &mut Trial::default()).await? {
            Reply::Done(answer) => Some(read(&answer)),
            _ => None,
        })
    }

    /// After a create: learn it, and see to what the answer shows was not taken.
    async fn made(&self, entry: &Value, customer: Option<&str>) -> Result<Settled, Trouble> {
        self.world.deletions.borrow_mut().created(self.object.resource().name);
        self.learn(entry, customer, true);
        let outcome = self.see_to(entry, Outcome::Created).await?;
        Ok(Settled { outcome, arrived: self.arrived() })
    }

    fn learn(&self, entry: &Value, customer: Option<&str>, made: bool) {
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
    fn arrived(&self) -> Vec<LaneKey> {
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

    /// Changes an existing object; `None` when its UUID is gone.
    async fn change(&self, existing: &Existing, customer: Option<&str>) -> Result<Option<Outcome>, Trouble> {
        let resource = self.object.resource();
        let path = format!("{}/{}", resource.path, existing.uuid);
        let tags = existing.customer.as_ref().map(|customer| &customer.tags[..]);
        let change = self.object.change(self.plan, Known { tags });
        let mut outcome = Outcome::Unchanged;
        if let Some(body) = change.patch {
            let call = self.call(Method::Patch, path.clone(), Some(body), Repeat::Harmless, resource.calls.update);
            match self.world.client.send(&call, &mut Trial::default()).await? {
                Reply::Done(answer) => {
                    let entry = read(&answer);
                    self.learn(&entry, customer, false);
                    outcome = self.see_to(&entry, Outcome::Updated).await?;
                }
                Reply::Missing(_) => return Ok(None),
                Reply::Exists(refusal) | Reply::Refused(refusal) => return Ok(Some(rejected(refusal))),
                Reply::Lost(why) => return Err(never_lost(&why)),
            }
        }
        let mut extra = Vec::new();
        if !change.add_tags.is_empty() {
            let body = serde_json::json!({"tags": change.add_tags}).to_string();
            extra.push(self.call(Method::Post, format!("{path}/attributes/tags"), Some(body), Repeat::Harmless, "add tags"));
        }
        if !change.remove_attributes.is_empty() {
            let body = serde_json::json!({"custom": change.remove_attributes}).to_string();
            extra.push(self.call(
                Method::Delete,
                format!("{path}/attributes/custom"),
                Some(body),
                Repeat::Harmless,
                "remove attributes",
            ));
        }
        for call in extra {
            match self.world.client.send(&call, &mut Trial::default()).await? {
                Reply::Done(_) if !outcome.is_rejected() => outcome = Outcome::Updated,
                Reply::Done(_) => {}
                // What the API answers to the removal of a key that is not there is unknown; it is gone either way.
                Reply::Missing(_) if call.method == Method::Delete => {}
                Reply::Missing(_) => return Ok(None),
                Reply::Exists(refusal) | Reply::Refused(refusal) => return Ok(Some(rejected(refusal))),
                Reply::Lost(why) => return Err(never_lost(&why)),
            }
        }
        Ok(Some(outcome))
    }

    /// Compares an answer with what was sent: attributes that were not taken go to the attributes endpoint, what else was not
    /// kept is a warning.
    async fn see_to(&self, entry: &Value, outcome: Outcome) -> Result<Outcome, Trouble> {
        let resource = self.object.resource();
        for difference in differences(self.object, self.plan, entry) {
            let code = if difference.null { Code::NullNotCleared } else { Code::FieldNotKept };
            self.world.warnings.once(code, resource.name, difference.field);
        }
        let Some(held) = self.object.answered_attributes(entry) else { return Ok(outcome) };
        let missing = attributes_not_taken(self.plan, held);
        let uuid = entry["uuid"].as_str();
        let (Some(AttributeForm::Typed), Some(uuid), false) = (resource.attributes, uuid, missing.is_empty()) else {
            for attribute in missing {
                self.world.warnings.once(Code::FieldNotKept, resource.name, &format!("custom.{}", attribute.key));
            }
            return Ok(outcome);
        };
        // Recorded 2023: a PATCH with a Boolean set to false answers 200 and keeps true, while PUT sets it. PUT needs the
        // attribute to exist; POST makes it.
        let (present, absent): (Vec<_>, Vec<_>) = missing.into_iter().partition(|attribute| held.contains_key(attribute.key));
        let mut calls = Vec::new();
        let path = format!("{}/{uuid}/attributes/custom", resource.path);
        if !present.is_empty() {
            let map: Vec<String> = present.iter().map(|attribute| format!("{:?}:{}", attribute.key, attribute.value)).collect();
            calls.push((Method::Put, format!("{{\"custom\":{{{}}}}}", map.join(","))));
        }
        if !absent.is_empty() {
            let list: Vec<String> = absent
                .iter()
                .filter_map(|a| {
                    a.kind.map(|kind| format!(r#"{{"type":"{}","key":"{}","value":{}}}"#, type_word(kind), a.key, a.value))
                })
                .collect();
            calls.push((Method::Post, format!("{{\"custom\":[{}]}}", list.join(","))));
        }
        for (method, body) in calls {
            let call = self.call(method, path.clone(), Some(body), Repeat::Harmless, "set attributes");
            match self.world.client.send(&call, &mut Trial::default()).await? {
                Reply::Done(answer) => {
                    if let Some(held) = read(&answer)["custom"].as_object() {
                        let sent: &[_] = if method == Method::Put { &present } else { &absent };
                        for attribute in attributes_not_taken(self.plan, held) {
                            if sent.iter().any(|sent| sent.key == attribute.key) {
                                self.world.warnings.once(Code::FieldNotKept, resource.name, &format!("custom.{}", attribute.key));
                            }
                        }
                    }
                }
                Reply::Missing(refusal) | Reply::Exists(refusal) | Reply::Refused(refusal) => return Ok(rejected(refusal)),
                Reply::Lost(why) => return Err(never_lost(&why)),
            }
        }
        Ok(outcome)
    }

    /// Deletes the record's object, under the guard.
    async fn delete(&self, customer: Option<&str>) -> Result<Option<Settled>, Trouble> {
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
                    Found::Present(customer) => Existing { uuid: customer.uuid.clone(), customer: Some(customer) },
                    _ => {
                        self.gone(&existing.uuid);
                        return Ok(Some(Outcome::Skipped(Skip::NoMatch).into()));
                    }
                }
            }
            (Found::Present(existing), _) => existing,
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

    fn gone(&self, uuid: &str) {
        self.world.account.customer_gone(uuid);
        self.world.account.contact_gone(uuid);
    }

    fn gives(&self, name: &str) -> bool {
        let Some(at) = self.object.resource().all_fields().position(|field| field.name == name) else { return false };
        self.plan.body.fields().any(|(slot, value)| usize::from(slot.field) == at && value != "null")
    }

    fn text(&self, name: &str) -> Option<String> {
        let at = self.object.resource().all_fields().position(|field| field.name == name)?;
        let (_, value) = self.plan.body.fields().find(|(slot, _)| usize::from(slot.field) == at)?;
        serde_json::from_str(value).ok()
    }

    fn key_field(&self) -> &'static str {
        match &self.plan.target {
            Target::Uuid(..) => "uuid",
            Target::ExternalId(_) | Target::Within(_, Within::Keys { external_id: Some(_), .. }) => "external_id",
            Target::Email(_) | Target::Within(_, Within::Keys { .. }) => "email",
            Target::Within(_, Within::AllFields) => "customer_external_id",
        }
    }

    fn call(&self, method: Method, path: String, body: Option<String>, repeat: Repeat, kind: &'static str) -> Call {
        Call { method, path, query: Vec::new(), body, repeat, kind }
    }
}

/// How a create ended.
enum Created {
    Settled(Settled),
    Exists(Refusal),
    /// The customer it belongs to is not there after all.
    NoParent,
}

fn ambiguous(field: &'static str, many: usize) -> Fault {
    Fault::field(Code::AmbiguousMatch, field, format!("matches {many} objects in the account"))
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
