//! One plan, carried out: locate, decide, write, look at the answer.
//!
//! Owns the order of requests of one record. Does not own when a record has its turn ([`super::lanes`]), how a request
//! is sent and repeated (`client`), nor what a body looks like (`objects`).

mod change;
mod create;
mod delete;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::deletions::DeleteGuard;
use super::report::Warnings;
use crate::account::{Account, Found, KnownCustomer, Trouble};
use crate::client::{Answer, ApiFault, Call, Client, Method, Refusal, Repeat};
use crate::errors::Code;
use crate::failure::Failure;
use crate::objects::{Object, Pick};
use crate::outcome::{Fault, Outcome, Rejection, Skip};
use crate::plan::{CustomerRef, LaneKey, LaneKeys, Mode, Plan, Target, Within};

/// Customers kept in [`World::families`] before those that nobody waits for are let go.
const MOST_FAMILIES: usize = 1024;

/// What the plans of one sync share. Used from one task only; no borrow is held across a wait.
#[derive(Debug)]
pub(super) struct World<'c> {
    pub(super) client: &'c Client,
    pub(super) account: Account<'c>,
    pub(super) deletions: RefCell<DeleteGuard>,
    pub(super) warnings: Warnings,
    /// Customers whose children are being written, by UUID.
    pub(super) families: RefCell<HashMap<Box<str>, Arc<Mutex<()>>>>,
}

impl World<'_> {
    /// Waits until nobody else writes children of this customer. Lanes keep the order of records that name it alike; this
    /// keeps apart those that name it once by key and once by UUID, so that no child is looked for while another makes it.
    async fn alone_with(&self, customer: &str) -> OwnedMutexGuard<()> {
        let family = {
            let mut families = self.families.borrow_mut();
            if families.len() > MOST_FAMILIES {
                families.retain(|_, family| Arc::strong_count(family) > 1);
            }
            Arc::clone(families.entry(customer.into()).or_default())
        };
        family.lock_owned().await
    }

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
    let turn = Turn { world, object, plan, last_chance };
    let ended = match turn.run().await {
        Ok(Step::Settled(settled)) if nothing_there(&settled.outcome) => {
            world.account.assure_data_source().await.map(|()| Step::Settled(settled))
        }
        ended => ended,
    };
    match ended {
        Ok(step) => Ok(step),
        Err(Trouble::Stop(failure)) => Err(failure),
        Err(Trouble::Refused(refusal)) => Ok(Step::Settled(rejected(refusal).into())),
    }
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
struct Turn<'t> {
    world: &'t World<'t>,
    object: &'t dyn Object,
    plan: &'t Plan,
    last_chance: bool,
}

impl Turn<'_> {
    pub(super) async fn run(&self) -> Result<Step, Trouble> {
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
            let _alone = match &customer {
                Some(customer) => Some(self.world.alone_with(customer).await),
                None => None,
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
    pub(super) async fn customer(&self, fresh: bool) -> Result<Result<Option<Box<str>>, Step>, Trouble> {
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

    pub(super) fn no_parent(&self) -> Fault {
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
    pub(super) async fn locate(&self, customer: Option<&str>, fresh: bool) -> Result<Found<Existing>, Trouble> {
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

    pub(super) fn gone(&self, uuid: &str) {
        self.world.account.customer_gone(uuid);
        self.world.account.contact_gone(uuid);
    }

    pub(super) fn key_field(&self) -> &'static str {
        match &self.plan.target {
            Target::Uuid(..) => "uuid",
            Target::ExternalId(_) | Target::Within(_, Within::Keys { external_id: Some(_), .. }) => "external_id",
            Target::Email(_) | Target::Within(_, Within::Keys { .. }) => "email",
            Target::Within(_, Within::AllFields) => "customer_external_id",
        }
    }

    pub(super) fn call(&self, method: Method, path: String, body: Option<String>, repeat: Repeat, kind: &'static str) -> Call {
        Call { method, path, query: Vec::new(), body, repeat, kind }
    }
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
