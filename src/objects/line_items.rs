//! Line items as rows of their own. Vendor pages: "Update a Line Item", "Retrieve a Line Item", "Delete a Line Item".
//!
//! Quirks. There is no list of line items: they stand within their invoice, so that they are looked for there. The API
//! names the plan by UUID only.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::billing::{self, LINE_ITEM, LINE_ITEM_FIELDS, PLAN_KEY, PLAN_UUID};
use super::common::{self, PLAN, check_data_source};
use super::mirrored::Mirrored;
use super::request::{Look, Method, Request};
use super::resource::{Calls, Field, Kind, Resource, Statuses, field};
use super::{Asked, At, Existing, How, Object, invoices};
use crate::mapping::Slot;
use crate::outcome::Fault;
use crate::plan::{Kin, Known, LaneKey, LaneKeys, Mode, Need, Plan, Record, Role, Target};

/// The object.
#[derive(Debug)]
pub struct LineItems;

impl Object for LineItems {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn matching_keys(&self) -> &'static [&'static [&'static str]] {
        &[&["external_id"], &["uuid"]]
    }

    fn required(&self, mode: Mode) -> &'static [&'static [&'static str]] {
        match mode {
            Mode::Insert | Mode::Upsert => &[&["invoice_external_id", "invoice_uuid"], &["type"], &["amount_in_cents"]],
            Mode::Update | Mode::Delete => &[],
        }
    }

    fn requests(&self, mode: Mode) -> &'static str {
        match mode {
            Mode::Insert => "1 look-up per invoice, then 1; 0 when it joins the import of its invoice",
            Mode::Upsert => "1 look-up per invoice, then 1; 0 when nothing differs, or when it joins the import of its invoice",
            Mode::Update => {
                "1 look-up per invoice, then 1; 0 when nothing differs; where it names no invoice 1 look-up of its own"
            }
            Mode::Delete => "1 look-up per invoice, then 1; 1 look-up of its own, then 1 where it names no invoice",
        }
    }

    fn has_own_key(&self) -> bool {
        true
    }

    fn plan(&self, mut record: Record, how: &How) -> Asked<Plan> {
        check_data_source(&mut record, how);
        let makes = matches!(how.mode, Mode::Insert | Mode::Upsert);
        let (invoice, target) = billing::place(&mut record, &RESOURCE, how);
        let plan = common::refer(&record, Kin::Plan, PLAN, Role::Mention, Need::Uuid);
        let by_key = matches!(&target, Some(target) if !matches!(target, Target::Uuid(..)));
        let mut given = record_entry(&record);
        if let Some(plan) = &plan {
            given.insert(PLAN_KEY.name.to_owned(), plan.by.text().into());
        }
        // Whether it has to be whole is known once it is known to be absent; an insert is meant to make it.
        let mut faults = Vec::new();
        billing::check_line_item("", &given, how.mode == Mode::Insert && by_key && makes, &mut faults);
        faults.retain(|fault| !fault.field.as_deref().is_some_and(|name| record.is_faulty(name)));
        record.faults.extend(faults);
        common::finish(record, how.mode, target, invoice.into_iter().chain(plan))
    }

    fn refuses_duplicates(&self, plan: &Plan) -> bool {
        plan.target.key().is_some()
    }

    fn mirrored(&self) -> Option<Mirrored> {
        Some(Mirrored::BY_KEY)
    }

    fn is_part(&self) -> bool {
        true
    }

    fn read_by(&self) -> &'static str {
        invoices::RESOURCE.name
    }

    fn completes(&self) -> bool {
        true
    }

    fn counted_in(&self) -> (&'static Resource, fn(&Value) -> usize) {
        (&invoices::RESOURCE, |invoice| invoice[RESOURCE.list_root].as_array().map_or(0, Vec::len))
    }

    fn look(&self, plan: &Plan, _target: &Target, at: &At<'_>) -> Option<Look> {
        billing::look_at_invoice(plan, at)
    }

    fn is_addressed_by_key(&self, plan: &Plan) -> bool {
        billing::is_addressed_by_key(plan)
    }

    fn found(&self, _target: &Target, entries: &[Rc<Known>]) -> Vec<Rc<Known>> {
        billing::parts_of(&RESOURCE, entries)
    }

    fn create(&self, plan: &Plan, at: &At<'_>) -> Asked<Option<Request>> {
        let entry = entry(plan);
        let mut faults: Vec<Fault> = Vec::new();
        let mut given = entry.clone();
        if let Some(plan) = plan.refs.iter().find(|reference| reference.kin == Kin::Plan) {
            given.insert(PLAN_KEY.name.to_owned(), plan.by.text().into());
        }
        billing::check_line_item("", &given, true, &mut faults);
        let invoice = billing::invoice_of(plan, at);
        if invoice.is_none() {
            faults.push(billing::no_invoice());
        }
        let Some(invoice) = invoice.filter(|_| faults.is_empty()) else { return Err(faults) };
        let path = format!("/import{}/{}{}", invoices::RESOURCE.path, common::encoded(&invoice.uuid), RESOURCE.path);
        let body = Value::from(sent(plan, at, entry)).to_string();
        Ok(Some(Request::new(Method::Post, path, Some(body), RESOURCE.calls.create).once()))
    }

    fn change(&self, plan: &Plan, at: &At<'_>, existing: &Existing) -> Asked<Vec<Request>> {
        common::check_key(plan, existing)?;
        let known = existing.known.as_deref();
        let uuid = plan_uuid(plan, at);
        let other_plan = uuid.filter(|uuid| {
            let slot = RESOURCE.slot(PLAN_UUID.name).map(|field| Slot { field, inner: None });
            let held = slot.zip(known).and_then(|(slot, known)| known.holds(slot, &PLAN_UUID, &Value::from(*uuid).to_string()));
            held != Some(true)
        });
        let out = common::changed_fields(&RESOURCE, plan, at, existing, &["external_id"], other_plan.is_some());
        let Some(mut out) = out else { return Ok(Vec::new()) };
        if let Some(uuid) = other_plan {
            out.text(PLAN_UUID.name, uuid);
        }
        let path = common::own_path(&RESOURCE, &existing.uuid);
        let request = Request::new(Method::Patch, path, Some(out.finish()), RESOURCE.calls.update);
        Ok(vec![billing::addressed(&RESOURCE, plan, at, existing, request)])
    }

    fn delete(&self, plan: &Plan, at: &At<'_>, existing: &Existing) -> Vec<Request> {
        let requests = common::delete(&RESOURCE, existing).into_iter();
        requests.map(|request| billing::addressed(&RESOURCE, plan, at, existing, request)).collect()
    }

    fn brings(&self, plan: &Plan) -> LaneKeys {
        let entry = entry(plan);
        let subscription = entry.get("subscription_external_id").and_then(Value::as_str);
        subscription.map(|key| LaneKey::key("subscriptions", key)).into_iter().collect()
    }

    fn apart(&self) -> &'static [&'static str] {
        &["uuid", "invoice_uuid", "plan_uuid"]
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"invoice_external_id":"inv-1","external_id":"li-1","type":"subscription","subscription_external_id":"s-1","plan_external_id":"gold-monthly","service_period_start":"2026-01-01T00:00:00Z","service_period_end":"2026-02-01T00:00:00Z","amount_in_cents":9900,"quantity":1}"#,
            r#"{"invoice_external_id":"inv-1","external_id":"li-2","type":"one_time","description":"Setup","amount_in_cents":5000}"#,
        ]
    }
}

/// The record's fields as one entry.
fn entry(plan: &Plan) -> Map<String, Value> {
    let fields = plan.body.fields().filter(|(_, value)| *value != "null");
    let named = fields.filter_map(|(slot, value)| {
        let field = RESOURCE.all_fields().nth(usize::from(slot.field))?;
        Some((field.name.to_owned(), serde_json::from_str(value).ok()?))
    });
    named.collect()
}

/// The fields of a record that has no plan yet.
fn record_entry(record: &Record) -> Map<String, Value> {
    let names = LINE_ITEM.iter().filter_map(|field| Some((field.name, record.value(field.name)?)));
    names.filter_map(|(name, value)| Some((name.to_owned(), serde_json::from_str(value).ok()?))).collect()
}

/// The UUID of the plan that the record names.
fn plan_uuid<'a>(plan: &Plan, at: &'a At<'_>) -> Option<&'a str> {
    let at = plan.refs.iter().zip(at.refs).find(|(reference, _)| reference.kin == Kin::Plan);
    at.map(|(_, resolved)| resolved.uuid.as_ref())
}

/// The entry as the API takes it.
fn sent(plan: &Plan, at: &At<'_>, mut entry: Map<String, Value>) -> Map<String, Value> {
    if let Some(uuid) = plan_uuid(plan, at) {
        entry.insert(PLAN_UUID.name.to_owned(), uuid.into());
    }
    entry
}

/// The facts.
pub static RESOURCE: Resource = Resource {
    name: "line_items",
    summary: "Line items of invoices, as rows of their own.",
    path: "/line_items",
    id: "uuid",
    uuid_prefix: "li_",
    list_root: "line_items",
    filters: &[],
    calls: Calls {
        create: "create line item",
        read: "read line item",
        look_up: "look up invoices",
        list: "list invoices",
        update: "update line item",
        delete: "delete line item",
    },
    statuses: Statuses { created: 201, updated: 200, deleted: 204 },
    references: &[
        field(
            "uuid",
            Kind::Uuid("li_"),
            "ChartMogul's own UUID; no key is looked up for it.",
            "\"li_23740208-2c7e-11ee-9ea2-ffd2435982bb\"",
        ),
        field(
            "data_source_uuid",
            Kind::Uuid("ds_"),
            "Must be the configured data source; may be left out.",
            "\"ds_03cfd2c4-2c7e-11ee-ab23-cb0f008cff46\"",
        ),
        field("invoice_external_id", Kind::ExternalId, "Your number of the invoice.", "\"inv-1\""),
        field(
            "invoice_uuid",
            Kind::Uuid("inv_"),
            "ChartMogul's own UUID of the invoice, instead of your number.",
            "\"inv_23740208-2c7e-11ee-9ea2-ffd2435982bb\"",
        ),
        PLAN_KEY,
        PLAN_UUID,
    ],
    fields: FIELDS.split_at(LINE_ITEM_FIELDS).0,
    attributes: None,
    pages: &["Update a Line Item", "Retrieve a Line Item", "Delete a Line Item"],
};

static FIELDS: [Field; LINE_ITEM.len()] = LINE_ITEM;
