//! Customers. Vendor pages: "Create a Customer", "Update a Customer", "Delete a Customer", "List Customers".
//!
//! Quirks. There is no upsert and no address by external id: a customer is found by listing with both filters, data source
//! and external id. Custom attributes go inline as a typed array; tags go inline too, but whether a PATCH adds or replaces
//! them is unknown, so a PATCH always carries the union. A customer merged from several stands under each of its pairs of
//! data source and external id; the scalar fields show one of them only.

use std::rc::Rc;

use serde_json::Value;

use super::common::{self, check_data_source, own_path};
use super::imports::{self, Import};
use super::json::{JsonObject, add_fields, attribute_list, attribute_map};
use super::mirrored::Mirrored;
use super::request::{Look, Method, Request, Scope, Shows};
use super::resource::{AttributeForm, Calls, Field, Kind, Resource, Statuses, field};
use super::{Asked, At, Existing, How, Object};
use crate::mapping::Slot;
use crate::plan::{Known, LaneKey, LaneKeys, MatchBy, Mode, Plan, Record, Target, attributes_not_taken};

/// The object.
#[derive(Debug)]
pub struct Customers;

impl Object for Customers {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
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

    fn requests(&self, mode: Mode) -> &'static str {
        match mode {
            Mode::Insert => "1",
            Mode::Upsert => "1 look-up per key, then 1; 0 when nothing differs",
            Mode::Update => "1 look-up per key, then 1; 0 when nothing differs",
            Mode::Delete => "1 look-up per key, 1 read, then 1",
        }
    }

    fn refuses_duplicates(&self, _plan: &Plan) -> bool {
        true
    }

    fn has_own_key(&self) -> bool {
        true
    }

    fn mirrored(&self) -> Option<Mirrored> {
        Some(Mirrored { nested: &[("primary_contact", "contacts")], ..Mirrored::BY_KEY })
    }

    fn can_be_merged(&self) -> bool {
        true
    }

    fn is_made_empty(&self, plan: &Plan) -> bool {
        // A nested first contact makes a contact.
        let nested = RESOURCE.slot("primary_contact");
        !plan.body.fields().any(|(slot, value)| Some(slot.field) == nested && value != "null")
    }

    fn plan(&self, mut record: Record, how: &How) -> Asked<Plan> {
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
                key.map(Target::Key)
            }
            (None | Some(MatchBy::Uuid), Some(uuid), key, _) => {
                Some(Target::Uuid(uuid, key.map(|key| Box::new(Target::Key(key)))))
            }
            (Some(MatchBy::Uuid), None, ..) => {
                record.require("uuid", "the stream is matched by uuid");
                None
            }
            (Some(MatchBy::Email), .., Some(email)) => Some(Target::Email { email, external_id: None }),
            (Some(MatchBy::Email), .., None) => {
                record.require("email", "the stream is matched by email");
                None
            }
            (_, _, Some(key), _) => Some(Target::Key(key)),
            _ => {
                record.require("external_id", "a customer is matched by its external_id");
                None
            }
        };
        common::finish(record, how.mode, target, None)
    }

    fn look(&self, _plan: &Plan, target: &Target, at: &At<'_>) -> Option<Look> {
        match target {
            Target::Key(key) => self.look_by_key(key, at.data_source),
            Target::Email { email, .. } => {
                let path = format!("{}/search", RESOURCE.path);
                let look = Look::new(path, RESOURCE.list_root, "search customer").filter("email", email);
                Some(Look { none_is_404: true, ..look })
            }
            _ => None,
        }
    }

    fn look_by_key(&self, key: &str, data_source: &str) -> Option<Look> {
        let look = Look::new(RESOURCE.path, RESOURCE.list_root, RESOURCE.calls.look_up);
        let look = look.filter("data_source_uuid", data_source).filter("external_id", key);
        Some(look.scope(Scope::key(RESOURCE.name, key)).listed())
    }

    fn know(&self, entry: &Value, data_source: &str) -> Option<Known> {
        let tags = entry["attributes"]["tags"].as_array();
        let in_words = |tags: &Vec<Value>| tags.iter().filter_map(Value::as_str).map(Into::into).collect();
        let mut known = Known::read(&RESOURCE, entry)?;
        known.set_keys(pairs(entry).filter(|(source, _)| *source == data_source).map(|(_, key)| key));
        known.set_members(tags.map(in_words));
        known.pairs = u16::try_from(pairs(entry).count()).unwrap_or(u16::MAX);
        known.ours = pairs(entry).any(|(source, _)| source == data_source);
        Some(known)
    }

    /// The search is account-wide: a customer of another source is another customer, and so is one that it finds by the address
    /// of a contact, or by more than it was asked for ([`Object::pick`] compares the address). The filters of the list are documented
    /// to hold together; an entry that stands under another pair is not the one meant, should the API ever read them apart.
    fn found(&self, _target: &Target, entries: &[Rc<Known>]) -> Vec<Rc<Known>> {
        entries.iter().filter(|entry| entry.ours).cloned().collect()
    }

    fn listing(&self, data_source: &str) -> Option<Look> {
        let look = Look::new(RESOURCE.path, RESOURCE.list_root, RESOURCE.calls.list);
        Some(look.filter("data_source_uuid", data_source))
    }

    fn import(&self, plan: &Plan) -> Option<Import> {
        imports::customer(&RESOURCE, plan)
    }

    fn has_refused_key(&self) -> bool {
        true
    }

    fn create(&self, plan: &Plan, at: &At<'_>) -> Asked<Option<Request>> {
        let missing = common::missing(&RESOURCE, &plan.body);
        if !missing.is_empty() {
            return Err(missing);
        }
        let mut out = JsonObject::new();
        out.text("data_source_uuid", at.data_source);
        add_fields(&mut out, &RESOURCE, &plan.body, false, |_, field| field.name != "tags");
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
        Ok(Some(Request::new(Method::Post, RESOURCE.path, Some(out.finish()), RESOURCE.calls.create).once()))
    }

    fn change(&self, plan: &Plan, at: &At<'_>, existing: &Existing) -> Asked<Vec<Request>> {
        common::check_key(plan, existing)?;
        let known = existing.known.as_deref();
        let mut requests = Vec::new();
        let mut attributes = JsonObject::new();
        let wanted: Vec<String> = given_tags(plan).and_then(|tags| serde_json::from_str(tags).ok()).unwrap_or_default();
        match known.and_then(|known| known.members()) {
            Some(present) => {
                let new: Vec<&str> =
                    wanted.iter().map(String::as_str).filter(|tag| !present.iter().any(|known| known.as_ref() == *tag)).collect();
                if !new.is_empty() {
                    let union: Vec<&str> = present.iter().map(AsRef::as_ref).chain(new).collect();
                    attributes.raw("tags", &serde_json::to_string(&union).unwrap_or_default());
                }
            }
            None if wanted.is_empty() => {}
            None => requests.push(tags_request(Method::Post, &existing.uuid, &wanted)),
        }
        let differing = || {
            let held = |attribute: &_| known.and_then(|known| known.holds_attribute(attribute)) == Some(true);
            plan.body.attributes().filter(move |attribute| !held(attribute))
        };
        if let Some(list) = attribute_list(differing().filter(|attribute| attribute.kind.is_some()), true) {
            attributes.raw("custom", &list);
        }
        let out = common::changed_fields(&RESOURCE, plan, at, existing, &["external_id", "tags"], !attributes.is_empty());
        let mut out = out.unwrap_or_else(JsonObject::new);
        if !attributes.is_empty() {
            out.raw("attributes", &attributes.finish());
        }
        if !out.is_empty() {
            let path = own_path(&RESOURCE, &existing.uuid);
            requests.insert(0, Request::new(Method::Patch, path, Some(out.finish()), RESOURCE.calls.update));
        }
        let removed: Vec<&str> =
            differing().filter(|attribute| attribute.kind.is_none()).map(|attribute| attribute.key).collect();
        if !removed.is_empty() {
            requests.push(remove_attributes(&existing.uuid, &removed));
        }
        Ok(requests)
    }

    fn delete(&self, _plan: &Plan, _at: &At<'_>, existing: &Existing) -> Vec<Request> {
        common::delete(&RESOURCE, existing)
    }

    /// Recorded 2023: a PATCH with a Boolean set to false answers 200 and keeps true, while PUT sets it. PUT needs the
    /// attribute to exist; POST makes it.
    fn repair(&self, plan: &Plan, _at: &At<'_>, entry: &Value) -> Vec<Request> {
        let (Some(uuid), Some(held)) = (entry["uuid"].as_str(), RESOURCE.attributes_of(entry)) else { return Vec::new() };
        let missing = attributes_not_taken(plan, held);
        let (present, absent): (Vec<_>, Vec<_>) = missing.into_iter().partition(|attribute| held.contains_key(attribute.key));
        let bodies =
            [(Method::Put, attribute_map(present.into_iter())), (Method::Post, attribute_list(absent.into_iter(), true))];
        bodies.into_iter().filter_map(|(method, body)| body.map(|body| set_attributes(method, uuid, &body))).collect()
    }

    fn brings(&self, plan: &Plan) -> LaneKeys {
        // Whatever it was matched by: it stands under its external id from now on.
        let given = RESOURCE.slot("external_id").and_then(|field| plan.body.get(Slot { field, inner: None }));
        let given: Option<String> = given.and_then(|text| serde_json::from_str(text).ok());
        let key = plan.target.key().map(str::to_owned).or(given);
        key.map(|key| LaneKey::key(RESOURCE.name, &key)).into_iter().collect()
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"external_id":"c-1001","name":"Adam Smith","email":"adam@smith.example","company":"Smith & Sons","country":"US","state":"US-NY","city":"New York","zip":"10001","tags":["vip"],"seats":3}"#,
            r#"{"external_id":"c-1002","name":"Ann Lee","status":"Working Lead","primary_contact":{"first_name":"Ann","email":"ann@lee.example"},"custom":{"channel":"ads"}}"#,
        ]
    }
}

/// A request to the tags endpoint: POST adds, DELETE removes.
pub(super) fn tags_request(method: Method, customer: &str, tags: &[impl AsRef<str>]) -> Request {
    let tags: Vec<&str> = tags.iter().map(AsRef::as_ref).collect();
    let path = format!("{}/attributes/tags", own_path(&RESOURCE, customer));
    let name = if method == Method::Delete { "remove tags" } else { "add tags" };
    Request::new(method, path, Some(serde_json::json!({"tags": tags}).to_string()), name).shows(Shows::Tags)
}

/// Sets attributes by the attributes endpoint; `custom` is what its body holds, as JSON text.
pub(super) fn set_attributes(method: Method, customer: &str, custom: &str) -> Request {
    let path = format!("{}/attributes/custom", own_path(&RESOURCE, customer));
    Request::new(method, path, Some(format!("{{\"custom\":{custom}}}")), "set attributes").shows(Shows::Attributes)
}

/// Removes attributes. What the API answers for a key that is not there is unknown; it is gone either way.
pub(super) fn remove_attributes(customer: &str, keys: &[&str]) -> Request {
    let path = format!("{}/attributes/custom", own_path(&RESOURCE, customer));
    let body = serde_json::json!({"custom": keys}).to_string();
    Request::new(Method::Delete, path, Some(body), "remove attributes").shows(Shows::Removal)
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
    id: "uuid",
    uuid_prefix: "cus_",
    list_root: "entries",
    filters: &["data_source_uuid", "external_id", "status", "system"],
    calls: Calls {
        create: "create customer",
        read: "read customer",
        look_up: "look up customers",
        list: "list customers",
        update: "update customer",
        delete: "delete customer",
    },
    statuses: Statuses { created: 201, updated: 200, deleted: 204 },
    references: &[
        field(
            "uuid",
            Kind::Uuid("cus_"),
            "ChartMogul's own UUID of the customer; no key is looked up for it.",
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
