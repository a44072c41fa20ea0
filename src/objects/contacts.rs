//! Contacts of customers. Vendor pages: "Create a Contact", "Update a Contact", "List Contacts".
//!
//! Quirks. No uniqueness is documented, neither of `external_id` nor of e-mail: a second POST makes a second contact. The
//! list can not be filtered by external id, so a contact is looked for among those of its customer. Attribute keys that
//! were not defined for contacts in the app are dropped without an error (recorded 2023).

use serde_json::{Map, Value};

use super::json::{JsonObject, add_fields, attribute_list};
use super::resource::{AttributeForm, Calls, Kind, Resource, Statuses, field};
use super::{Change, How, Known, Object, Pick, check_data_source};
use crate::outcome::Fault;
use crate::plan::{CustomerRef, MatchBy, Mode, Plan, Record, Target, Within};

/// The object.
#[derive(Debug)]
pub struct Contacts;

impl Object for Contacts {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn modes(&self) -> &'static [Mode] {
        &[Mode::Upsert, Mode::Insert, Mode::Update, Mode::Delete]
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

    fn refuses_duplicates(&self) -> bool {
        false
    }

    fn plan(&self, mut record: Record, how: &How) -> Result<Plan, Vec<Fault>> {
        check_data_source(&mut record, how);
        let uuid = record.text("uuid");
        let external_id = record.text("external_id");
        let email = record.text("email");
        let customer = record
            .text("customer_uuid")
            .map(CustomerRef::Uuid)
            .or_else(|| record.text("customer_external_id").map(CustomerRef::ExternalId));
        let by_uuid = matches!(how.match_by, None | Some(MatchBy::Uuid)) && uuid.is_some() && how.mode != Mode::Insert;
        let target = match uuid {
            Some(uuid) if by_uuid => {
                let other = customer.map(|customer| Box::new(Target::Within(customer, within(external_id, email))));
                Some(Target::Uuid(uuid, other))
            }
            _ => {
                if how.match_by == Some(MatchBy::Uuid) && how.mode != Mode::Insert {
                    record.require("uuid", "the stream is matched by uuid");
                }
                if customer.is_none() && !record.is_faulty("customer_uuid") {
                    record.require("customer_external_id", "a contact belongs to a customer");
                }
                match how.match_by {
                    Some(MatchBy::Email) if email.is_none() => record.require("email", "the stream is matched by email"),
                    Some(MatchBy::ExternalId) if external_id.is_none() => {
                        record.require("external_id", "the stream is matched by external_id");
                    }
                    _ => {}
                }
                let within = match how.match_by {
                    Some(MatchBy::Email) => within(None, email),
                    Some(MatchBy::ExternalId) => within(external_id, None),
                    _ => within(external_id, email),
                };
                customer.map(|customer| Target::Within(customer, within))
            }
        };
        match target {
            Some(target) if record.faults.is_empty() => Ok(Plan { mode: how.mode, target, body: record.body }),
            _ => Err(record.faults),
        }
    }

    fn create(&self, plan: &Plan, data_source: &str, customer: Option<&str>) -> String {
        let mut out = JsonObject::new();
        out.text("customer_uuid", customer.unwrap_or_default());
        out.text("data_source_uuid", data_source);
        add_fields(&mut out, &RESOURCE, &plan.body, false, &[]);
        if let Some(list) = attribute_list(plan.body.attributes().filter(|attribute| attribute.kind.is_some()), false) {
            out.raw("custom", &list);
        }
        out.finish()
    }

    fn change(&self, plan: &Plan, _known: Known<'_>) -> Change {
        let mut out = JsonObject::new();
        add_fields(&mut out, &RESOURCE, &plan.body, true, &[]);
        if let Some(list) = attribute_list(plan.body.attributes(), false) {
            out.raw("custom", &list);
        }
        Change { patch: (!out.is_empty()).then(|| out.finish()), ..Change::default() }
    }

    fn pick(&self, plan: &Plan, _data_source: &str, entries: &[Value]) -> Pick {
        let all = |wanted: &dyn Fn(&Value) -> bool| -> Vec<usize> {
            entries.iter().enumerate().filter(|(_, entry)| wanted(entry)).map(|(at, _)| at).collect()
        };
        let matches = match &plan.target {
            Target::Within(_, Within::Keys { external_id, email }) => {
                let by_key = external_id.as_ref().map_or_else(Vec::new, |key| all(&|entry| entry["external_id"] == key.as_ref()));
                match (by_key.is_empty(), email) {
                    (true, Some(email)) => all(&|entry| {
                        let address = entry["email"].as_str().unwrap_or_default();
                        address.eq_ignore_ascii_case(email) && (external_id.is_none() || entry["external_id"].is_null())
                    }),
                    _ => by_key,
                }
            }
            Target::Within(_, Within::AllFields) => all(&|entry| self.same(plan, entry)),
            _ => Vec::new(),
        };
        match matches[..] {
            [] => Pick::Nothing,
            [at] => Pick::One(at),
            // Entries that are equal in everything the record says: any of them is the one.
            [at, ..] if matches!(plan.target, Target::Within(_, Within::AllFields)) => Pick::One(at),
            _ => Pick::Many(matches.len()),
        }
    }

    fn answered_attributes<'v>(&self, entry: &'v Value) -> Option<&'v Map<String, Value>> {
        entry["custom"].as_object()
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"customer_external_id":"c-1001","external_id":"k-9","first_name":"Ann","last_name":"Lee","email":"ann@lee.example","title":"CTO","position":1}"#,
            r#"{"customer_uuid":"cus_23740208-2c7e-11ee-9ea2-ffd2435982bb","email":"bob@lee.example","phone":"+49 30 123456","notes":"Prefers mail"}"#,
        ]
    }
}

/// How a contact with these keys is found among those of its customer.
fn within(external_id: Option<Box<str>>, email: Option<Box<str>>) -> Within {
    match (external_id, email) {
        (None, None) => Within::AllFields,
        (external_id, email) => Within::Keys { external_id, email },
    }
}

impl Contacts {
    /// Whether all fields that the record gives, and that the API answers, are equal in the entry.
    fn same(&self, plan: &Plan, entry: &Value) -> bool {
        plan.body.fields().all(|(slot, value)| {
            RESOURCE.all_fields().nth(usize::from(slot.field)).is_none_or(|field| {
                !field.kept
                    || serde_json::from_str::<Value>(value)
                        .is_ok_and(|value| entry.get(field.name).unwrap_or(&Value::Null) == &value)
            })
        })
    }
}

/// The facts.
pub static RESOURCE: Resource = Resource {
    name: "contacts",
    summary: "Contacts of customers.",
    path: "/contacts",
    uuid_prefix: "con_",
    list_root: "entries",
    filters: &["email", "customer_external_id", "customer_uuid", "data_source_uuid"],
    calls: Calls {
        create: "create contact",
        read: "read contact",
        look_up: "look up contacts",
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
            "ChartMogul's own UUID of the contact; used without a look-up.",
            "\"con_36399f04-7686-11ee-86f6-8727560009c2\"",
        ),
        field("customer_external_id", Kind::ExternalId, "Your key of the customer the contact belongs to.", "\"c-1001\""),
        field(
            "customer_uuid",
            Kind::Uuid("cus_"),
            "ChartMogul's own UUID of the customer, instead of your key.",
            "\"cus_23740208-2c7e-11ee-9ea2-ffd2435982bb\"",
        ),
    ],
    fields: &[
        field("external_id", Kind::ExternalId, "Your key of the contact, unique within the customer.", "\"k-9\""),
        field("first_name", Kind::Text, "First name.", "\"Ann\""),
        field("last_name", Kind::Text, "Last name.", "\"Lee\""),
        field("position", Kind::Integer(1), "Place on the customer's page, from 1.", "1"),
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
