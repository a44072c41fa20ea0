//! Subscription events. Vendor pages: "Create a Subscription Event", "Update a Subscription Event", "Delete a Subscription
//! Event", "List Subscription Events".
//!
//! Quirks. Every write wraps its payload in `subscription_event`, and an event's identity is an integer `id` that stands in
//! there as well. References are external ids alone. What the API says to a customer or plan that does not exist is unknown, and an
//! event may be stored and be invalid at once (its `errors` tell): both are looked for first. Whether a second event of one
//! external id is refused is unknown, so that an event is looked for before it is made. Numbers come back as texts in places
//! (recorded 2022).

use serde_json::Value;

use super::common::{self, CUSTOMER, PLAN, check_data_source};
use super::imports::{self, Import};
use super::json::{JsonObject, add_fields};
use super::mirrored::Mirrored;
use super::request::{Look, Method, Request, Scope, Shows};
use super::resource::{Calls, Kind, Resource, Statuses, WHOLE, field};
use super::{Asked, At, Existing, How, Object};
use crate::errors::Code;
use crate::mapping::Slot;
use crate::outcome::Fault;
use crate::plan::{By, Kin, LaneKey, LaneKeys, MatchBy, Mode, Need, Plan, Record, Reference, Role, Target};

/// The object.
#[derive(Debug)]
pub struct SubscriptionEvents;

/// The types of which an event tells plan, currency and amount.
const PRICED: [&str; 4] =
    ["subscription_start", "subscription_start_scheduled", "subscription_updated", "subscription_update_scheduled"];
/// The type of which an event tells the event that it takes back.
const RETRACTED: &str = "subscription_event_retracted";
/// The field that names that event. Whether the API takes its number or its external id there is unknown: an all-digit value is
/// taken for the number, and sent without a look.
const RETRACTS: &str = "retracted_event_id";

impl Object for SubscriptionEvents {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn matching_keys(&self) -> &'static [&'static [&'static str]] {
        &[&["external_id"], &["id"]]
    }

    fn required(&self, mode: Mode) -> &'static [&'static [&'static str]] {
        match mode {
            Mode::Insert | Mode::Upsert => {
                &[common::CUSTOMER_NAMES, &["event_type"], &["event_date"], &["effective_date"], &["subscription_external_id"]]
            }
            Mode::Update | Mode::Delete => &[],
        }
    }

    fn requests(&self, mode: Mode) -> &'static str {
        match mode {
            Mode::Insert => "1 look-up per key, then 1",
            Mode::Upsert | Mode::Update => "1 look-up per key, then 1; 0 when nothing differs",
            Mode::Delete => "1 look-up per key, then 1",
        }
    }

    fn match_by(&self, fields: &[&str]) -> Option<MatchBy> {
        match fields {
            ["external_id"] => Some(MatchBy::ExternalId),
            ["id" | "uuid"] => Some(MatchBy::Uuid),
            _ => None,
        }
    }

    fn has_own_key(&self) -> bool {
        true
    }

    fn plan(&self, mut record: Record, how: &How) -> Asked<Plan> {
        check_data_source(&mut record, how);
        let makes = matches!(how.mode, Mode::Insert | Mode::Upsert);
        let key = record.text("external_id");
        let id = record.text("id").filter(|_| how.mode != Mode::Insert && matches!(how.match_by, None | Some(MatchBy::Uuid)));
        if id.is_none() && how.match_by == Some(MatchBy::Uuid) && how.mode != Mode::Insert {
            record.require("id", "the stream is matched by id");
        }
        if id.as_ref().is_some_and(|id| id.parse::<u64>().is_err()) {
            record.refuse("id", "is ChartMogul's own number of the event: a whole number");
        }
        let target = match (id, key) {
            (Some(id), key) => Some(Target::Uuid(id, key.map(|key| Box::new(Target::Key(key))))),
            (None, Some(key)) => Some(Target::Key(key)),
            (None, None) => common::by_equality(&mut record, &RESOURCE, how),
        };
        let needs_customer = makes || matches!(target, Some(Target::Equal(_)));
        let customer = common::refer(&record, Kin::Customer, CUSTOMER, Role::Parent, Need::Key);
        if needs_customer && !matches!(target, Some(Target::Uuid(..))) {
            common::customer(&mut record, Need::Key, "an event belongs to a customer");
        }
        let plan = common::refer(&record, Kin::Plan, PLAN, Role::Mention, Need::Key);
        if how.mode == Mode::Insert {
            let faults = missing(&plan, |name| record.value(name).map(str::to_owned));
            record.faults.extend(faults);
        }
        let retracted = retracted(&record);
        common::finish(record, how.mode, target, customer.into_iter().chain(plan).chain(retracted))
    }

    fn mirrored(&self) -> Option<Mirrored> {
        Some(Mirrored::BY_KEY)
    }

    fn refuses_duplicates(&self, _plan: &Plan) -> bool {
        false
    }

    fn look(&self, _plan: &Plan, target: &Target, at: &At<'_>) -> Option<Look> {
        let look = Look::new(RESOURCE.path, RESOURCE.list_root, RESOURCE.calls.look_up);
        let look = look.filter("data_source_uuid", at.data_source);
        match target {
            Target::Key(key) => Some(look.filter("external_id", key).scope(Scope::key(RESOURCE.name, key)).listed()),
            Target::Equal(_) => {
                let customer = at.refs.first()?.key.as_deref()?;
                Some(look.filter("customer_external_id", customer).scope(Scope::of(RESOURCE.name, customer)).of(at.parent()))
            }
            _ => None,
        }
    }

    fn look_by_key(&self, key: &str, data_source: &str) -> Option<Look> {
        let look = Look::new(RESOURCE.path, RESOURCE.list_root, RESOURCE.calls.look_up);
        let look = look.filter("data_source_uuid", data_source).filter("external_id", key);
        Some(look.scope(Scope::key(RESOURCE.name, key)).listed())
    }

    fn listing(&self, data_source: &str) -> Option<Look> {
        let look = Look::new(RESOURCE.path, RESOURCE.list_root, RESOURCE.calls.list);
        Some(look.filter("data_source_uuid", data_source))
    }

    fn import(&self, plan: &Plan) -> Option<Import> {
        let value = |name: &str| given(plan, name);
        let named = plan.refs.iter().find(|reference| reference.kin == Kin::Plan).cloned();
        missing(&named, value).is_empty().then(|| imports::event(&RESOURCE, plan))?
    }

    fn create(&self, plan: &Plan, at: &At<'_>) -> Asked<Option<Request>> {
        let value = |name: &str| given(plan, name);
        let named = plan.refs.iter().find(|reference| reference.kin == Kin::Plan);
        let faults = missing(&named.cloned(), value);
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut out = JsonObject::new();
        out.text("data_source_uuid", at.data_source);
        for (reference, resolved) in plan.refs.iter().zip(at.refs) {
            let Some(name) = named_by(reference) else { continue };
            out.text(name, resolved.key.as_deref().unwrap_or_default());
        }
        add_fields(&mut out, &RESOURCE, &plan.body, false, |_, _| true);
        Ok(Some(Request::new(Method::Post, RESOURCE.path, Some(wrapped(&out.finish())), RESOURCE.calls.create).once()))
    }

    fn change(&self, plan: &Plan, at: &At<'_>, existing: &Existing) -> Asked<Vec<Request>> {
        let known = existing.known.as_deref();
        let mut other_plan = None;
        for (reference, resolved) in plan.refs.iter().zip(at.refs) {
            let (Some(key), Some(name)) = (&resolved.key, named_by(reference)) else { continue };
            let (Some(slot), Some(field)) = (RESOURCE.slot(name), RESOURCE.field(name)) else { continue };
            let slot = Slot { field: slot, inner: None };
            let held = known.and_then(|known| known.holds(slot, field, &Value::from(&**key).to_string()));
            match (reference.kin, held) {
                (Kin::Customer, Some(false)) => {
                    let text = "the event stands with another customer, and can not be moved";
                    return Err(vec![Fault::field(Code::FieldFixed, reference.field, text)]);
                }
                (Kin::Customer, _) | (_, Some(true)) => {}
                _ => other_plan = Some(key.clone()),
            }
        }
        let out = common::changed_fields(&RESOURCE, plan, at, existing, &["external_id"], other_plan.is_some());
        let Some(mut out) = out else { return Ok(Vec::new()) };
        if let Some(key) = other_plan {
            out.text(PLAN.1, &key);
        }
        out.raw("id", &identity(existing));
        Ok(vec![Request::new(Method::Patch, RESOURCE.path, Some(wrapped(&out.finish())), RESOURCE.calls.update)])
    }

    /// In the query, as recorded: some proxies drop the bodies of deletions.
    fn delete(&self, _plan: &Plan, _at: &At<'_>, existing: &Existing) -> Vec<Request> {
        let mut request = Request::new(Method::Delete, RESOURCE.path, None, RESOURCE.calls.delete).shows(Shows::Nothing);
        request.query.push(("subscription_event[id]".into(), existing.uuid.to_string()));
        vec![request]
    }

    /// An event that takes another one back is no state of a thing that a later record changes: each is sent.
    fn joins(&self, plan: &Plan, object: &str, next: &Plan) -> bool {
        object == RESOURCE.name && plan.is_about_the_same_as(next) && !takes_back(plan) && !takes_back(next)
    }

    fn brings(&self, plan: &Plan) -> LaneKeys {
        let own = plan.target.key().map(|key| LaneKey::key(RESOURCE.name, key));
        let slot = RESOURCE.slot("subscription_external_id").map(|field| Slot { field, inner: None });
        let key = slot.and_then(|slot| serde_json::from_str::<String>(plan.body.get(slot)?).ok());
        own.into_iter().chain(key.map(|key| LaneKey::key("subscriptions", &key))).collect()
    }

    fn apart(&self) -> &'static [&'static str] {
        &["id", "customer_uuid", "plan_uuid"]
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"external_id":"e-1","customer_external_id":"c-1001","event_type":"subscription_start","event_date":"2026-01-01T00:00:00Z","effective_date":"2026-01-01T00:00:00Z","subscription_external_id":"s-1","plan_external_id":"gold-monthly","currency":"USD","amount_in_cents":9900,"quantity":1}"#,
            r#"{"external_id":"e-2","customer_external_id":"c-1001","event_type":"subscription_cancelled","event_date":"2026-03-01T00:00:00Z","effective_date":"2026-03-31T00:00:00Z","subscription_external_id":"s-1"}"#,
        ]
    }
}

/// Whether the record takes something back.
fn takes_back(plan: &Plan) -> bool {
    let given = |name| RESOURCE.slot(name).and_then(|field| plan.body.get(Slot { field, inner: None }));
    given(RETRACTS).is_some() || given("event_type").is_some_and(|kind| kind.trim_matches('"').ends_with("_retracted"))
}

/// The event that the record takes back, where it is named by its key.
fn retracted(record: &Record) -> Option<Reference> {
    let key = record.text(RETRACTS).filter(|key| !key.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some(Reference { kin: Kin::Event, by: By::Key(key), role: Role::Mention, need: Need::Key, field: RETRACTS })
}

/// The field that holds the key of what is referred to, where that is none of the record's own fields.
fn named_by(reference: &Reference) -> Option<&'static str> {
    match reference.kin {
        Kin::Customer => Some(CUSTOMER.1),
        Kin::Plan => Some(PLAN.1),
        _ => None,
    }
}

/// The payload in the wrapper that every write has.
fn wrapped(event: &str) -> String {
    format!("{{\"subscription_event\":{event}}}")
}

/// The event's identity as JSON text: a number, as the API shows it.
fn identity(existing: &Existing) -> String {
    match existing.uuid.parse::<u64>() {
        Ok(id) => id.to_string(),
        Err(_) => Value::from(&*existing.uuid).to_string(),
    }
}

/// A field of the record, as JSON text.
fn given(plan: &Plan, name: &str) -> Option<String> {
    let slot = Slot { field: RESOURCE.slot(name)?, inner: None };
    plan.body.get(slot).filter(|value| *value != "null").map(str::to_owned)
}

/// What an event lacks that is to be made.
fn missing(plan: &Option<Reference>, value: impl Fn(&str) -> Option<String>) -> Vec<Fault> {
    let kind = value("event_type").unwrap_or_default();
    let kind = kind.trim_matches('"');
    let mut names = vec!["event_type", "event_date", "effective_date", "subscription_external_id"];
    if PRICED.contains(&kind) {
        names.extend(["currency", "amount_in_cents"]);
    }
    if kind == RETRACTED {
        names.push(RETRACTS);
    }
    let mut faults: Vec<Fault> = names
        .into_iter()
        .filter(|name| value(name).is_none())
        .map(|name| Fault::field(Code::FieldMissing, name, "events of this type are made with it"))
        .collect();
    if PRICED.contains(&kind) && plan.is_none() {
        faults.push(Fault::field(Code::FieldMissing, PLAN.1, "events of this type are made with it"));
    }
    faults
}

/// The facts.
pub static RESOURCE: Resource = Resource {
    name: "subscription_events",
    summary: "What happened to subscriptions: starts, updates, cancellations, and their schedules and retractions.",
    path: "/subscription_events",
    id: "id",
    uuid_prefix: "",
    list_root: "subscription_events",
    filters: &["data_source_uuid", "external_id", "customer_external_id", "subscription_external_id", "event_type"],
    calls: Calls {
        create: "create event",
        // There is no such call.
        read: "",
        look_up: "look up events",
        list: "list events",
        update: "update event",
        delete: "delete event",
    },
    statuses: Statuses { created: 201, updated: 200, deleted: 204 },
    references: &[
        field("id", Kind::ExternalId, "ChartMogul's own number of the event; no key is looked up for it.", "\"378040197\""),
        field(
            "data_source_uuid",
            Kind::Uuid("ds_"),
            "Must be the configured data source; may be left out.",
            "\"ds_03cfd2c4-2c7e-11ee-ab23-cb0f008cff46\"",
        ),
        field("customer_external_id", Kind::ExternalId, "Your key of the customer.", "\"c-1001\""),
        field(
            "customer_uuid",
            Kind::Uuid("cus_"),
            "ChartMogul's own UUID of the customer, instead of your key.",
            "\"cus_23740208-2c7e-11ee-9ea2-ffd2435982bb\"",
        ),
        field("plan_external_id", Kind::ExternalId, "Your key of the plan.", "\"gold-monthly\""),
        field(
            "plan_uuid",
            Kind::Uuid("pl_"),
            "ChartMogul's own UUID of the plan, instead of your key.",
            "\"pl_23740208-2c7e-11ee-9ea2-ffd2435982bb\"",
        ),
    ],
    fields: &[
        field("external_id", Kind::ExternalId, "Your key of the event, unique in the data source.", "\"e-1\""),
        field("event_type", Kind::OneOf(EVENT_TYPES), "What happened.", "\"subscription_start\"").required(),
        field("event_date", Kind::Timestamp, "When it was decided.", "\"2026-01-01T00:00:00.000Z\"").required(),
        field("effective_date", Kind::Timestamp, "From when on it holds.", "\"2026-01-01T00:00:00.000Z\"").required(),
        field("subscription_external_id", Kind::ExternalId, "Your key of the subscription.", "\"s-1\"").required(),
        field("subscription_set_external_id", Kind::ExternalId, "Your key of the set of subscriptions.", "\"set-1\""),
        field("currency", Kind::Currency, "Currency of the amounts.", "\"USD\""),
        field("amount_in_cents", Kind::Cents, "What one interval of the plan costs.", "9900"),
        field("quantity", WHOLE, "How many.", "1"),
        field("tax_amount_in_cents", Kind::Cents, "Tax within the amount.", "1900"),
        // In no recorded answer.
        field("event_order", WHOLE, "Decides between events of one point in time.", "1"),
        field(
            RETRACTS,
            Kind::ExternalId,
            "Your key of the event that this one takes back; digits alone are ChartMogul's own number.",
            "\"e-0\"",
        )
        .not_kept(),
    ],
    attributes: None,
    pages: &[
        "Create a Subscription Event",
        "Update a Subscription Event",
        "Delete a Subscription Event",
        "List Subscription Events",
    ],
};

/// The types that there are.
const EVENT_TYPES: &[&str] = &[
    "subscription_start",
    "subscription_start_scheduled",
    "scheduled_subscription_start_retracted",
    "subscription_cancelled",
    "subscription_cancellation_scheduled",
    "scheduled_subscription_cancellation_retracted",
    "subscription_updated",
    "subscription_update_scheduled",
    "scheduled_subscription_update_retracted",
    "subscription_event_retracted",
];
