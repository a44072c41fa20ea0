//! Contacts of customers. Vendor pages: "Create a Contact", "Update a Contact", "List Contacts".
//!
//! Quirks. No uniqueness is documented, neither of `external_id` nor of e-mail: a second POST makes a second contact. The
//! list can not be filtered by external id, so a contact is looked for among those of its customer. Attribute keys that
//! were not defined for contacts in the app are dropped without an error (recorded 2023).

use serde_json::Value;

use super::common::{self, CUSTOMER, check_data_source};
use super::mirrored::Mirrored;
use super::request::{Look, Request, Scope};
use super::resource::{AttributeForm, Calls, Kind, Resource, Statuses, field};
use super::{Asked, At, Existing, How, Object};
use crate::mapping::Slot;
use crate::plan::{Kin, MatchBy, Mode, Need, Parents, Plan, Record, Role, Target};

/// The object.
#[derive(Debug)]
pub struct Contacts;

impl Object for Contacts {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn matching_keys(&self) -> &'static [&'static [&'static str]] {
        &[&["external_id"], &["uuid"], &["email"]]
    }

    fn required(&self, mode: Mode) -> &'static [&'static [&'static str]] {
        match mode {
            Mode::Insert | Mode::Upsert => &[&["customer_external_id", "customer_uuid"]],
            Mode::Update | Mode::Delete => &[],
        }
    }

    fn match_by(&self, fields: &[&str]) -> Option<MatchBy> {
        let own: Vec<&str> =
            fields.iter().copied().filter(|name| !matches!(*name, "customer_external_id" | "customer_uuid")).collect();
        match own[..] {
            ["external_id"] => Some(MatchBy::ExternalId),
            ["uuid"] => Some(MatchBy::Uuid),
            ["email"] => Some(MatchBy::Email),
            _ => None,
        }
    }

    fn requests(&self, mode: Mode) -> &'static str {
        match mode {
            Mode::Insert => "1 look-up per customer, then 1",
            Mode::Upsert | Mode::Update => "1 look-up per customer, then 1; 0 when nothing differs",
            Mode::Delete => "1 look-up per customer, then 1",
        }
    }

    fn mirrored(&self) -> Option<Mirrored> {
        Some(Mirrored { within: Some((Kin::Customer, CUSTOMER)), only_keyed: true, ..Mirrored::BY_KEY })
    }

    fn refuses_duplicates(&self, _plan: &Plan) -> bool {
        false
    }

    fn plan(&self, mut record: Record, how: &How) -> Asked<Plan> {
        check_data_source(&mut record, how);
        let uuid = record.text("uuid");
        let external_id = record.text("external_id");
        let email = record.text("email");
        let customer = common::refer(&record, Kin::Customer, CUSTOMER, Role::Parent, Need::Uuid);
        let by_uuid = matches!(how.match_by, None | Some(MatchBy::Uuid)) && how.mode != Mode::Insert;
        let target = match uuid.filter(|_| by_uuid) {
            Some(uuid) => {
                let other = customer.is_some().then(|| Box::new(target(&mut record, how, external_id, email)));
                Some(Target::Uuid(uuid, other))
            }
            None => {
                if how.match_by == Some(MatchBy::Uuid) && how.mode != Mode::Insert {
                    record.require("uuid", "the stream is matched by uuid");
                }
                common::customer(&mut record, Need::Uuid, "a contact belongs to a customer");
                match how.match_by {
                    Some(MatchBy::Email) if email.is_none() => record.require("email", "the stream is matched by email"),
                    Some(MatchBy::ExternalId) if external_id.is_none() => {
                        record.require("external_id", "the stream is matched by external_id");
                    }
                    _ => {}
                }
                Some(match how.match_by {
                    Some(MatchBy::Email) => target(&mut record, how, None, email),
                    Some(MatchBy::ExternalId) => target(&mut record, how, external_id, None),
                    _ => target(&mut record, how, external_id, email),
                })
            }
        };
        if how.parents == Parents::Create {
            keep_name(&mut record);
        }
        common::finish(record, how.mode, target, customer)
    }

    fn look(&self, _plan: &Plan, _target: &Target, at: &At<'_>) -> Option<Look> {
        let customer = at.parent();
        let look = Look::new(RESOURCE.path, RESOURCE.list_root, RESOURCE.calls.look_up);
        let look = look.filter("customer_uuid", customer).filter("data_source_uuid", at.data_source);
        Some(look.scope(Scope::of(RESOURCE.name, customer)).of(customer).listed())
    }

    fn listing(&self, data_source: &str) -> Option<Look> {
        let look = Look::new(RESOURCE.path, RESOURCE.list_root, RESOURCE.calls.list);
        Some(look.filter("data_source_uuid", data_source))
    }

    fn listed_under(&self, entry: &Value) -> Option<Scope> {
        entry["customer_uuid"].as_str().map(|customer| Scope::of(RESOURCE.name, customer))
    }

    fn create(&self, plan: &Plan, at: &At<'_>) -> Asked<Option<Request>> {
        let head = [("customer_uuid", at.parent()), ("data_source_uuid", at.data_source)];
        common::create(&RESOURCE, plan, &head, &[CUSTOMER_NAME])
    }

    fn change(&self, plan: &Plan, at: &At<'_>, existing: &Existing) -> Asked<Vec<Request>> {
        Ok(common::change(&RESOURCE, plan, at, existing, &[CUSTOMER_NAME]))
    }

    fn delete(&self, _plan: &Plan, _at: &At<'_>, existing: &Existing) -> Vec<Request> {
        common::delete(&RESOURCE, existing)
    }

    fn parent_name(&self, plan: &Plan) -> Option<String> {
        let slot = Slot { field: RESOURCE.slot(CUSTOMER_NAME)?, inner: None };
        serde_json::from_str(plan.body.get(slot)?).ok()
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"customer_external_id":"c-1001","external_id":"k-9","first_name":"Ann","last_name":"Lee","email":"ann@lee.example","title":"CTO","position":1}"#,
            r#"{"customer_uuid":"cus_23740208-2c7e-11ee-9ea2-ffd2435982bb","email":"bob@lee.example","phone":"+49 30 123456","notes":"Prefers mail"}"#,
        ]
    }
}

/// The field that says what the customer is called that is made where there is none. It is never written to a contact.
const CUSTOMER_NAME: &str = "customer_name";

/// Takes the customer's name along with what is to be written, for the case that the customer has to be made.
fn keep_name(record: &mut Record) {
    if let (Some(name), Some(field)) = (record.text(CUSTOMER_NAME), RESOURCE.slot(CUSTOMER_NAME)) {
        record.body.replace(Slot { field, inner: None }, &Value::from(&*name).to_string());
    }
}

/// How a contact with these keys is found among those of its customer.
fn target(record: &mut Record, how: &How, external_id: Option<Box<str>>, email: Option<Box<str>>) -> Target {
    match (external_id, email) {
        (external_id, Some(email)) => Target::Email { email, external_id },
        (Some(key), None) => Target::Key(key),
        (None, None) => common::by_equality(record, &RESOURCE, how).unwrap_or(Target::Part),
    }
}

/// The facts.
pub static RESOURCE: Resource = Resource {
    name: "contacts",
    summary: "Contacts of customers.",
    path: "/contacts",
    id: "uuid",
    uuid_prefix: "con_",
    list_root: "entries",
    filters: &["email", "customer_external_id", "customer_uuid", "data_source_uuid"],
    calls: Calls {
        create: "create contact",
        read: "read contact",
        look_up: "look up contacts",
        list: "list contacts",
        update: "update contact",
        delete: "delete contact",
    },
    statuses: Statuses { created: 201, updated: 200, deleted: 200 },
    references: &[
        field(
            "data_source_uuid",
            Kind::Uuid("ds_"),
            "Must be the configured data source; may be left out.",
            "\"ds_03cfd2c4-2c7e-11ee-ab23-cb0f008cff46\"",
        ),
        field(
            "uuid",
            Kind::Uuid("con_"),
            "ChartMogul's own UUID of the contact; no key is looked up for it.",
            "\"con_36399f04-7686-11ee-86f6-8727560009c2\"",
        ),
        field("customer_external_id", Kind::ExternalId, "Your key of the customer the contact belongs to.", "\"c-1001\""),
        field(
            "customer_uuid",
            Kind::Uuid("cus_"),
            "ChartMogul's own UUID of the customer, instead of your key.",
            "\"cus_23740208-2c7e-11ee-9ea2-ffd2435982bb\"",
        ),
        field(
            CUSTOMER_NAME,
            Kind::Text,
            "Name of the customer that `parents: create` makes; a customer that is there keeps its own.",
            "\"Smith & Sons\"",
        ),
    ],
    fields: &[
        field("external_id", Kind::ExternalId, "Your key of the contact, unique within the customer.", "\"k-9\""),
        field("first_name", Kind::Text, "First name.", "\"Ann\""),
        field("last_name", Kind::Text, "Last name.", "\"Lee\""),
        field("position", Kind::Integer(1, i64::MAX), "Place on the customer's page, from 1.", "1"),
        field("title", Kind::Text, "Job title.", "\"CTO\""),
        field("email", Kind::Email, "E-mail address.", "\"ann@lee.example\""),
        field("phone", Kind::Text, "Phone number.", "\"+49 30 123456\""),
        field("linked_in", Kind::Url, "LinkedIn address.", "\"https://linkedin.example/in/ann\""),
        field("twitter", Kind::Url, "Twitter address.", "\"https://twitter.example/ann\""),
        field("notes", Kind::Text, "Free text.", "\"Prefers mail\""),
        // Accepted since 2025; no recorded answer shows it.
        field("last_seen", Kind::Timestamp, "When the contact was last seen.", "\"2026-01-02T00:00:00.000Z\"").not_kept(),
        field("custom", Kind::Attributes, "Contact attributes that were defined in the app.", "{\"role\":\"admin\"}").not_kept(),
    ],
    attributes: Some(AttributeForm::Untyped),
    pages: &["Create a Contact", "Update a Contact", "List Contacts"],
};
