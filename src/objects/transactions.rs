//! Transactions as rows of their own. Vendor pages: "Create a Transaction", "Retrieve a Transaction", "Update a Transaction", "Delete a Transaction".
//!
//! Quirks. There is no list of transactions: they stand within their invoice, so that they are looked for there. An
//! amount that is left out is the total of the invoice.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::billing::{self, TRANSACTION};
use super::common::{self, check_data_source};
use super::mirrored::Mirrored;
use super::request::{Look, Method, Request};
use super::resource::{Calls, Kind, Resource, Statuses, field};
use super::{Asked, At, Existing, How, Object, invoices};
use crate::outcome::Fault;
use crate::plan::{Known, Mode, Plan, Record, Target};

/// The object.
#[derive(Debug)]
pub struct Transactions;

impl Object for Transactions {
    fn resource(&self) -> &'static Resource {
        &RESOURCE
    }

    fn matching_keys(&self) -> &'static [&'static [&'static str]] {
        &[&["external_id"], &["uuid"]]
    }

    fn required(&self, mode: Mode) -> &'static [&'static [&'static str]] {
        match mode {
            Mode::Insert | Mode::Upsert => &[&["invoice_external_id", "invoice_uuid"], &["type"], &["date"], &["result"]],
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
        if how.mode == Mode::Insert && makes {
            for field in TRANSACTION.iter().filter(|field| field.required) {
                if record.given(field.name).is_none() {
                    record.require(field.name, "transactions are made with it");
                }
            }
        }
        common::finish(record, how.mode, target, invoice)
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
        false
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
        billing::check_transaction("", &entry, true, &mut faults);
        let invoice = billing::invoice_of(plan, at);
        if invoice.is_none() {
            faults.push(billing::no_invoice());
        }
        let Some(invoice) = invoice.filter(|_| faults.is_empty()) else { return Err(faults) };
        let path = format!("/import{}/{}{}", invoices::RESOURCE.path, common::encoded(&invoice.uuid), RESOURCE.path);
        let body = Value::from(entry).to_string();
        Ok(Some(Request::new(Method::Post, path, Some(body), RESOURCE.calls.create).once()))
    }

    fn change(&self, plan: &Plan, at: &At<'_>, existing: &Existing) -> Asked<Vec<Request>> {
        common::check_key(plan, existing)?;
        let requests = common::change(&RESOURCE, plan, at, existing, &["external_id"]).into_iter();
        Ok(requests.map(|request| billing::addressed(&RESOURCE, plan, at, existing, request)).collect())
    }

    fn delete(&self, plan: &Plan, at: &At<'_>, existing: &Existing) -> Vec<Request> {
        let requests = common::delete(&RESOURCE, existing).into_iter();
        requests.map(|request| billing::addressed(&RESOURCE, plan, at, existing, request)).collect()
    }

    fn apart(&self) -> &'static [&'static str] {
        &["uuid", "invoice_uuid"]
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            r#"{"invoice_external_id":"inv-1","external_id":"tr-1","type":"payment","date":"2026-01-02T00:00:00Z","result":"successful"}"#,
            r#"{"invoice_external_id":"inv-1","external_id":"tr-2","type":"refund","date":"2026-01-03T00:00:00Z","result":"successful","amount_in_cents":500}"#,
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

/// The facts.
pub static RESOURCE: Resource = Resource {
    name: "transactions",
    summary: "Payments and refunds of invoices, as rows of their own.",
    path: "/transactions",
    id: "uuid",
    uuid_prefix: "tr_",
    list_root: "transactions",
    filters: &[],
    calls: Calls {
        create: "create transaction",
        read: "read transaction",
        look_up: "look up invoices",
        list: "list invoices",
        update: "update transaction",
        delete: "delete transaction",
    },
    statuses: Statuses { created: 201, updated: 200, deleted: 204 },
    references: &[
        field(
            "uuid",
            Kind::Uuid("tr_"),
            "ChartMogul's own UUID; no key is looked up for it.",
            "\"tr_23740208-2c7e-11ee-9ea2-ffd2435982bb\"",
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
    ],
    fields: &TRANSACTION,
    attributes: None,
    pages: &["Create a Transaction", "Retrieve a Transaction", "Update a Transaction", "Delete a Transaction"],
};
