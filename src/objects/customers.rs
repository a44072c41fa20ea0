//! Customers. Vendor pages: "Create a Customer", "Update a Customer", "Delete a Customer", "List Customers".
//!
//! Quirks. There is no upsert and no address by external id: a customer is found by listing with both filters, data source
//! and external id. Custom attributes go inline as a typed array; tags go inline too, but whether a PATCH adds or replaces
//! them is unknown, so a PATCH always carries the union. A customer merged from several stands under each of its pairs of
//! data source and external id; the scalar fields show one of them only.

use serde_json::{Map, Value};

use super::json::{JsonObject, add_fields, attribute_list};
use super::resource::{AttributeForm, Calls, Field, Kind, Resource, Statuses, field};
use super::{Change, How, Known, Object, Pick, check_data_source};
use crate::mapping::Slot;
use crate::outcome::Fault;
use crate::plan::{MatchBy, Mode, Plan, Record, Target};

/// The object.
#[derive(Debug)]
pub struct Customers;

impl Object for Customers {
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
            Mode::Insert | Mode::Upsert => &[&["external_id"]],
            Mode::Update | Mode::Delete => &[],
        }
    }

    fn match_by(&self, fields: &[&str]) -> Option<MatchBy> {
        match fields {
            ["external_id"] => Some(MatchBy::ExternalId),
            ["uuid"] => Some(MatchBy::Uuid),
            ["email"] => Some(MatchBy::Email),
            _ => None,
        }
    }

    fn refuses_duplicates(&self) -> bool {
        true
    }

    fn plan(&self, mut record: Record, how: &How) -> Result<Plan, Vec<Fault>> {
        check_data_source(&mut record, how);
        let uuid = record.text("uuid");
        let external_id = record.text("external_id");
        let email = how.match_by.filter(|by| *by == MatchBy::Email).and_then(|_| record.text("email"));
        let target = match (how.match_by, uuid, external_id, email) {
            // Whatever it is matched by, only its external id can make a new customer.
            (.., key, _) if how.mode == Mode::Insert => {
                if key.is_none() {
                    record.require("external_id", "a customer is made with an external_id");
                }
                key.map(Target::ExternalId)
            }
            (None | Some(MatchBy::Uuid), Some(uuid), key, _) => {
                Some(Target::Uuid(uuid, key.map(|key| Box::new(Target::ExternalId(key)))))
            }
            (Some(MatchBy::Uuid), None, ..) => {
                record.require("uuid", "the stream is matched by uuid");
                None
            }
            (Some(MatchBy::Email), .., Some(email)) => Some(Target::Email(email)),
            (Some(MatchBy::Email), .., None) => {
                record.require("email", "the stream is matched by email");
                None
            }
            (_, _, Some(key), _) => Some(Target::ExternalId(key)),
            _ => {
                record.require("external_id", "a customer is matched by its external_id");
                None
            }
        };
        match target {
            Some(target) if record.faults.is_empty() => Ok(Plan { mode: how.mode, target, body: record.body }),
            _ => Err(record.faults),
        }
    }

    fn create(&self, plan: &Plan, data_source: &str, _customer: Option<&str>) -> String {
        let mut out = JsonObject::new();
        out.text("data_source_uuid", data_source);
        add_fields(&mut out, &RESOURCE, &plan.body, false, &["tags"]);
        let mut attributes = JsonObject::new();
        if let Some(tags) = given_tags(plan) {
            attributes.raw("tags", tags);
        }
        if let Some(list) = attribute_list(plan.body.attributes().filter(|attribute| attribute.kind.is_some()), true) {
            attributes.raw("custom", &list);
        }
        if !attributes.is_empty() {
            out.raw("attributes", &attributes.finish());
        }
        out.finish()
    }

    fn change(&self, plan: &Plan, known: Known<'_>) -> Change {
        let mut change = Change::default();
        let mut out = JsonObject::new();
        add_fields(&mut out, &RESOURCE, &plan.body, true, &["external_id", "tags"]);
        let mut attributes = JsonObject::new();
        let wanted: Vec<String> = given_tags(plan).and_then(|tags| serde_json::from_str(tags).ok()).unwrap_or_default();
        match known.tags {
            Some(present) => {
                let new: Vec<&str> =
                    wanted.iter().map(String::as_str).filter(|tag| !present.iter().any(|known| known.as_ref() == *tag)).collect();
                if !new.is_empty() {
                    let union: Vec<&str> = present.iter().map(AsRef::as_ref).chain(new).collect();
                    attributes.raw("tags", &serde_json::to_string(&union).unwrap_or_default());
                }
            }
            None => change.add_tags = wanted,
        }
        if let Some(list) = attribute_list(plan.body.attributes().filter(|attribute| attribute.kind.is_some()), true) {
            attributes.raw("custom", &list);
        }
        if !attributes.is_empty() {
            out.raw("attributes", &attributes.finish());
        }
        change.remove_attributes = plan
            .body
            .attributes()
            .filter(|attribute| attribute.kind.is_none())
            .map(|attribute| attribute.key.to_owned())
            .collect();
        if !out.is_empty() {
            change.patch = Some(out.finish());
        }
        change
    }

    fn pick(&self, plan: &Plan, data_source: &str, entries: &[Value]) -> Pick {
        let matches: Vec<usize> = entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| match &plan.target {
                Target::Uuid(uuid, _) => entry["uuid"] == uuid.as_ref(),
                Target::ExternalId(key) => pairs(entry).any(|pair| pair == (data_source, key.as_ref())),
                // The search is account-wide: a customer of another source is another customer.
                Target::Email(_) => pairs(entry).any(|(source, _)| source == data_source),
                Target::Within(..) => false,
            })
            .map(|(at, _)| at)
            .collect();
        match matches[..] {
            [] => Pick::Nothing,
            [at] => Pick::One(at),
            _ => Pick::Many(matches.len()),
        }
    }

    fn answered_attributes<'v>(&self, entry: &'v Value) -> Option<&'v Map<String, Value>> {
        entry["attributes"]["custom"].as_object()
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"external_id":"c-1001","name":"Adam Smith","email":"adam@smith.example","company":"Smith & Sons","country":"US","state":"US-NY","city":"New York","zip":"10001","tags":["vip"],"seats":3}"#,
            r#"{"external_id":"c-1002","name":"Ann Lee","status":"Working Lead","primary_contact":{"first_name":"Ann","email":"ann@lee.example"},"custom":{"channel":"ads"}}"#,
        ]
    }
}

/// Every (data source, external id) under which a customer stands. The scalar fields are the fall-back for answers without
/// the arrays; where the arrays are there, the scalars show one pair only and prove nothing.
pub fn pairs(entry: &Value) -> impl Iterator<Item = (&str, &str)> {
    let sources = entry["data_source_uuids"].as_array().map_or(&[][..], Vec::as_slice);
    let keys = entry["external_ids"].as_array().map_or(&[][..], Vec::as_slice);
    let scalar = sources.is_empty().then(|| entry["data_source_uuid"].as_str().zip(entry["external_id"].as_str())).flatten();
    sources.iter().zip(keys).filter_map(|(source, key)| source.as_str().zip(key.as_str())).chain(scalar)
}

/// The record's tags as JSON text; `None` when it gives none.
fn given_tags(plan: &Plan) -> Option<&str> {
    let at = RESOURCE.all_fields().position(|field| field.name == "tags")?;
    plan.body.get(Slot { field: at as u8, inner: None }).filter(|tags| *tags != "null" && *tags != "[]")
}

/// The facts.
pub static RESOURCE: Resource = Resource {
    name: "customers",
    summary: "Customers, with their custom attributes and tags.",
    path: "/customers",
    uuid_prefix: "cus_",
    list_root: "entries",
    filters: &["data_source_uuid", "external_id", "status", "system"],
    calls: Calls {
        create: "create customer",
        read: "read customer",
        look_up: "look up customers",
        update: "update customer",
        delete: "delete customer",
    },
    statuses: Statuses { created: 201, updated: 200, deleted: 204 },
    references: &[
        field(
            "uuid",
            Kind::Uuid("cus_"),
            "ChartMogul's own UUID of the customer; used without a look-up.",
            "\"cus_23740208-2c7e-11ee-9ea2-ffd2435982bb\"",
        ),
        field(
            "data_source_uuid",
            Kind::Uuid("ds_"),
            "Must be the configured data source; may be left out.",
            "\"ds_03cfd2c4-2c7e-11ee-ab23-cb0f008cff46\"",
        ),
    ],
    fields: &[
        field("external_id", Kind::ExternalId, "Your key of the customer, unique in the data source.", "\"c-1001\"").required(),
        field("name", Kind::Text, "Display name.", "\"Adam Smith\""),
        field("email", Kind::Email, "E-mail address.", "\"adam@smith.example\""),
        field("company", Kind::Text, "Company name.", "\"Smith & Sons\""),
        field("country", Kind::Country, "Country, ISO 3166-1 alpha-2.", "\"US\""),
        // Recorded 2023: a state sent for a country other than the US comes back null, without an error.
        field("state", Kind::State, "State of a US customer, ISO 3166-2.", "\"US-NY\"").not_kept(),
        field("city", Kind::Text, "City.", "\"New York\""),
        field("zip", Kind::Text, "Postal code.", "\"10001\""),
        field(
            "lead_created_at",
            Kind::Timestamp,
            "When the customer became a lead; in the past.",
            "\"2026-01-01T00:00:00.000Z\"",
        ),
        field("free_trial_started_at", Kind::Timestamp, "When the free trial began.", "\"2026-01-02T00:00:00.000Z\""),
        // Recorded 2023: an owner that is no user of the account is dropped, without an error.
        field("owner", Kind::Email, "E-mail address of a ChartMogul user.", "\"owner@example.com\"").not_kept(),
        field("status", Kind::OneOf(LEAD_STATUSES), "Lead status; the other statuses are computed.", "\"Working Lead\"")
            .not_kept(),
        field("website_url", Kind::Url, "Web address.", "\"https://smith.example\""),
        field(
            "primary_contact",
            Kind::Object(PRIMARY_CONTACT),
            "The customer's first contact.",
            "{\"first_name\":\"Adam\",\"email\":\"adam@smith.example\"}",
        )
        .not_kept(),
        field("tags", Kind::Tags, "Tags to add; tags that are there already stay.", "[\"vip\"]"),
        field("custom", Kind::Attributes, "Custom attributes, merged with those from unknown fields.", "{\"seats\":3}"),
    ],
    attributes: Some(AttributeForm::Typed),
    pages: &["Create a Customer", "Update a Customer", "Delete a Customer", "List Customers", "Adding custom attributes"],
};

/// The statuses that can be set; all others are computed from subscriptions.
const LEAD_STATUSES: &[&str] = &["New Lead", "Working Lead", "Qualified Lead", "Unqualified Lead"];

/// Fields of the nested contact.
const PRIMARY_CONTACT: &[Field] = &[
    field("first_name", Kind::Text, "First name.", "\"Adam\""),
    field("last_name", Kind::Text, "Last name.", "\"Smith\""),
    field("email", Kind::Email, "E-mail address.", "\"adam@smith.example\""),
    field("title", Kind::Text, "Job title.", "\"CEO\""),
    field("phone", Kind::Text, "Phone number.", "\"+1 555 0100\""),
    field("linked_in", Kind::Url, "LinkedIn address.", "\"https://linkedin.example/in/adam\""),
    field("twitter", Kind::Url, "Twitter address.", "\"https://twitter.example/adam\""),
    field("notes", Kind::Text, "Free text.", "\"Met in Berlin\""),
    field("external_id", Kind::ExternalId, "Your key of the contact.", "\"k-1\""),
];
