//! Notes and call logs of customers. Vendor pages: "Create a Customer Note", "Update a Customer Note", "List Customer Notes".
//!
//! Quirks. A note has no key of its own and hangs on the customer as a whole, not on one data source. The author is sent as
//! an e-mail address and answered inside a display text, "Name (address)" (recorded), so that it is compared within that.

use serde_json::Value;

use super::common;
use super::request::{Look, Request, Scope};
use super::resource::{Calls, Kind, Resource, Statuses, field};
use super::{Asked, At, Existing, How, Object};
use crate::errors::Code;
use crate::mapping::Slot;
use crate::outcome::Fault;
use crate::plan::{Known, Mode, Plan, Record, Target};

/// The object.
#[derive(Debug)]
pub struct CustomerNotes;

impl Object for CustomerNotes {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn matching_keys(&self) -> &'static [&'static [&'static str]] {
        &[&["created_at", "text"], &["uuid"]]
    }

    fn required(&self, mode: Mode) -> &'static [&'static [&'static str]] {
        match mode {
            Mode::Insert | Mode::Upsert => &[common::CUSTOMER_NAMES, &["type"]],
            Mode::Update | Mode::Delete => &[],
        }
    }

    fn requests(&self, mode: Mode) -> &'static str {
        common::requests_of_child(mode)
    }

    fn is_keyless(&self) -> bool {
        true
    }

    fn plan(&self, mut record: Record, how: &How) -> Asked<Plan> {
        if record.value("call_duration").is_some_and(|seconds| seconds != "0") && record.value("type").is_some_and(is_note) {
            record.refuse("call_duration", "only calls have a duration");
        }
        common::keyless_child(record, &RESOURCE, how, "a note belongs to a customer")
    }

    fn refuses_duplicates(&self, _plan: &Plan) -> bool {
        false
    }

    fn look(&self, _plan: &Plan, _target: &Target, at: &At<'_>) -> Option<Look> {
        Some(common::look_of_customer(&RESOURCE, at.parent()))
    }

    fn know(&self, entry: &Value, _data_source: &str) -> Option<Known> {
        let mut entry = entry.clone();
        let author = entry["author"].as_str().and_then(address).map(str::to_owned);
        if let (Some(entry), Some(author)) = (entry.as_object_mut(), author) {
            entry.insert("author_email".to_owned(), author.into());
        }
        Known::read(&RESOURCE, &entry)
    }

    fn listing(&self, _data_source: &str) -> Option<Look> {
        Some(Look::new(RESOURCE.path, RESOURCE.list_root, RESOURCE.calls.list))
    }

    fn listed_under(&self, entry: &Value) -> Option<Scope> {
        entry["customer_uuid"].as_str().map(|customer| Scope::of(RESOURCE.name, customer))
    }

    /// One that stays as it is is not written.
    fn needs_known(&self, _plan: &Plan) -> bool {
        true
    }

    fn create(&self, plan: &Plan, at: &At<'_>) -> Asked<Option<Request>> {
        common::create(&RESOURCE, plan, &[("customer_uuid", at.parent())], fixed(plan))
    }

    fn change(&self, plan: &Plan, at: &At<'_>, existing: &Existing) -> Asked<Vec<Request>> {
        let kind = RESOURCE.slot("type").map(|field| Slot { field, inner: None });
        if let (Some(slot), Some(field), Some(known)) = (kind, RESOURCE.field("type"), existing.known.as_deref())
            && plan.body.get(slot).is_some_and(|kind| kind != "null" && known.holds(slot, field, kind) == Some(false))
        {
            let text = "a note can not become a call, nor a call a note";
            return Err(vec![Fault::field(Code::FieldFixed, "type", text)]);
        }
        let skip = [&["type"], fixed(plan)].concat();
        Ok(common::change(&RESOURCE, plan, at, existing, &skip))
    }

    fn delete(&self, _plan: &Plan, _at: &At<'_>, existing: &Existing) -> Vec<Request> {
        common::delete(&RESOURCE, existing)
    }

    fn apart(&self) -> &'static [&'static str] {
        &["uuid", "customer_uuid", "call_duration"]
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"customer_external_id":"c-1001","type":"note","text":"Wants a yearly plan","author_email":"owner@example.com","created_at":"2026-01-05T10:00:00Z"}"#,
            r#"{"customer_external_id":"c-1001","type":"call","text":"Asked for an offer","call_duration":300}"#,
        ]
    }
}

fn is_note(kind: &str) -> bool {
    kind != "\"call\""
}

/// Fields that are never sent: the duration of what is no call is answered as 0 (recorded), which says nothing.
fn fixed(plan: &Plan) -> &'static [&'static str] {
    let kind = RESOURCE.slot("type").and_then(|field| plan.body.get(Slot { field, inner: None }));
    if kind.is_some_and(is_note) { &["call_duration"] } else { &[] }
}

/// The address in "Name (address)", or an address that stands alone.
fn address(author: &str) -> Option<&str> {
    let inner = author.trim().strip_suffix(')').and_then(|text| text.rsplit_once('(')).map(|(_, inner)| inner);
    inner.or(Some(author)).map(str::trim).filter(|text| text.contains('@'))
}

/// The facts.
pub static RESOURCE: Resource = Resource {
    name: "customer_notes",
    summary: "Notes and call logs of customers.",
    path: "/customer_notes",
    id: "uuid",
    uuid_prefix: "note_",
    list_root: "entries",
    filters: &["customer_uuid", "type", "author_email"],
    calls: Calls {
        create: "create note",
        read: "read note",
        look_up: "look up notes",
        list: "list notes",
        update: "update note",
        delete: "delete note",
    },
    statuses: Statuses { created: 201, updated: 200, deleted: 200 },
    references: &[
        field(
            "uuid",
            Kind::Uuid("note_"),
            "ChartMogul's own UUID of the note; no key is looked up for it.",
            "\"note_23740208-2c7e-11ee-9ea2-ffd2435982bb\"",
        ),
        field("customer_external_id", Kind::ExternalId, "Your key of the customer.", "\"c-1001\""),
        field(
            "customer_uuid",
            Kind::Uuid("cus_"),
            "ChartMogul's own UUID of the customer, instead of your key.",
            "\"cus_23740208-2c7e-11ee-9ea2-ffd2435982bb\"",
        ),
    ],
    fields: &[
        field("type", Kind::OneOf(&["note", "call"]), "What it is.", "\"note\"").required(),
        field("text", Kind::Text, "The text.", "\"Wants a yearly plan\""),
        field("author_email", Kind::Email, "E-mail address of the ChartMogul user who wrote it.", "\"owner@example.com\""),
        field("call_duration", Kind::Integer(0, i64::MAX), "Length of a call in seconds.", "300").zero_when_unset(),
        field("created_at", Kind::Timestamp, "When it was written.", "\"2026-01-05T10:00:00Z\""),
    ],
    attributes: None,
    pages: &["Create a Customer Note", "Update a Customer Note", "List Customer Notes"],
};
