//! What a bulk import takes of a record, as data.
//!
//! Vendor pages: "Bulk Import", "Import Data in Bulk". An import is flat lists that refer to each other by external ids alone.
//! Owns which records fit into one and the JSON of their entries. Does not own when it is used, nor what becomes of it
//! (`engine`): nobody has recorded the endpoint, so that only fields of the documented examples are sent.

use serde_json::{Map, Value};

use super::billing::{self, PLAN_KEY, PLAN_UUID};
use super::json::{JsonObject, add_fields};
use super::resource::Resource;
use crate::mapping::Slot;
use crate::outcome::Fault;
use crate::plan::{By, Kin, Mode, Plan};

/// The lists of an import, in the order in which they refer to each other.
pub const LISTS: [&str; 6] = ["customers", "plans", "invoices", "line_items", "transactions", "subscription_events"];
/// The list that stands beside the customers in the report of an import: a customer of this name can not be told from it.
pub const PLANS: &str = "plans";

/// What a record adds to an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The user's key of the customer that it is about; `None` for what belongs to no customer.
    pub customer: Option<Box<str>>,
    /// Entries, each with the list it stands in.
    pub entries: Vec<(&'static str, String)>,
}

impl Import {
    /// Size in a request, in bytes, commas included.
    pub fn bytes(&self) -> usize {
        self.entries.iter().map(|(_, entry)| entry.len() + 1).sum()
    }

    /// The lists and keys of those of its parts that have a key.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, Box<str>)> {
        let parts = self.entries.iter().filter(|(list, _)| PARTS.contains(list));
        parts.filter_map(|(list, entry)| {
            let entry: Value = serde_json::from_str(entry).ok()?;
            Some((*list, entry["external_id"].as_str()?.into()))
        })
    }

    /// How many parts of each kind it has, with a key or without.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, usize)> {
        PARTS.into_iter().map(|part| (part, self.entries.iter().filter(|(list, _)| *list == part).count()))
    }

    /// Whether some of its parts have no key.
    pub fn has_keyless_parts(&self) -> bool {
        self.entries.iter().any(|(list, entry)| PARTS.contains(list) && !has_key(entry))
    }
}

/// Whether an entry has a key of its own.
fn has_key(entry: &str) -> bool {
    serde_json::from_str::<Value>(entry).is_ok_and(|entry| !entry["external_id"].is_null())
}

/// What stands within an invoice, each as its list.
const PARTS: [&str; 2] = ["line_items", "transactions"];

const CUSTOMER: &[&str] =
    &["external_id", "name", "email", "country", "state", "city", "zip", "company", "lead_created_at", "free_trial_started_at"];
const PLAN: &[&str] = &["external_id", "name", "interval_count", "interval_unit"];
const INVOICE: &[&str] = &["external_id", "date", "due_date", "currency", "collection_method"];
const LINE_ITEM: &[&str] = &[
    "type",
    "external_id",
    "amount_in_cents",
    "quantity",
    PLAN_KEY.name,
    "subscription_external_id",
    "subscription_set_external_id",
    "service_period_start",
    "service_period_end",
    "discount_code",
    "discount_amount_in_cents",
    "tax_amount_in_cents",
    "transaction_fees_in_cents",
    "transaction_fees_currency",
    "description",
];
const TRANSACTION: &[&str] = &["external_id", "type", "result", "date", "amount_in_cents"];
const EVENT: &[&str] = &[
    "external_id",
    "subscription_external_id",
    "subscription_set_external_id",
    "event_type",
    "event_date",
    "effective_date",
    "currency",
    "amount_in_cents",
    "quantity",
    "tax_amount_in_cents",
];

/// A customer.
pub(super) fn customer(resource: &'static Resource, plan: &Plan) -> Option<Import> {
    let key = plan.target.key().filter(|key| is_new(plan) && *key != PLANS)?;
    // Whether a name is needed there is unknown; every documented example has one.
    let name = Slot { field: resource.slot("name")?, inner: None };
    plan.body.get(name).filter(|name| !matches!(*name, "null" | "\"\""))?;
    let entry = fields(resource, plan, CUSTOMER, JsonObject::new())?;
    Some(Import { customer: Some(key.into()), entries: vec![("customers", entry)] })
}

/// A plan.
pub(super) fn plan(resource: &'static Resource, plan: &Plan) -> Option<Import> {
    plan.target.key().filter(|_| is_new(plan))?;
    Some(Import { customer: None, entries: vec![(PLANS, fields(resource, plan, PLAN, JsonObject::new())?)] })
}

/// An invoice with its line items and transactions.
pub(super) fn invoice(resource: &'static Resource, plan: &Plan) -> Option<Import> {
    let key = plan.target.key().filter(|_| is_new(plan))?;
    let (customer, _) = named(plan)?;
    let list = |name: &str| billing::entries(resource.slot(name).and_then(|field| plan.body.get(Slot { field, inner: None })));
    let (items, transactions) = (list("line_items"), list("transactions"));
    // What is computed is not sent; what is set takes a request of its own.
    let status = resource.slot("status").and_then(|field| plan.body.get(Slot { field, inner: None }));
    if status.is_some_and(|status| matches!(status, "\"voided\"" | "\"written_off\"")) {
        return None;
    }
    let mut faults: Vec<Fault> = Vec::new();
    billing::check_sums(&items, &transactions, &mut faults);
    items.iter().for_each(|item| billing::check_line_item("", item, true, &mut faults));
    transactions.iter().for_each(|transaction| billing::check_transaction("", transaction, true, &mut faults));
    // Of the parts only a line item is shown without a key of its own.
    let has_key = |transaction: &Map<String, Value>| transaction.get("external_id").is_some_and(|key| !key.is_null());
    if !transactions.iter().all(has_key)
        || items.is_empty()
        || !faults.is_empty()
        || items.iter().any(|item| item.contains_key(PLAN_UUID.name))
    {
        return None;
    }
    let mut header = JsonObject::new();
    header.text("customer_external_id", &customer);
    let otherwise = |name: &str| ["line_items", "transactions", "status"].contains(&name);
    let mut entries = vec![("invoices", fields_but(resource, plan, INVOICE, header, otherwise)?)];
    for (list, parts, known) in [("line_items", items, LINE_ITEM), ("transactions", transactions, TRANSACTION)] {
        for part in parts {
            entries.push((list, part_of(key, part, known)?));
        }
    }
    Some(Import { customer: Some(customer), entries })
}

/// An event.
pub(super) fn event(resource: &'static Resource, plan: &Plan) -> Option<Import> {
    plan.target.key().filter(|_| is_new(plan))?;
    let (customer, product) = named(plan)?;
    let mut out = JsonObject::new();
    out.text("customer_external_id", &customer);
    if let Some(product) = product {
        out.text(PLAN_KEY.name, &product);
    }
    Some(Import { customer: Some(customer), entries: vec![("subscription_events", fields(resource, plan, EVENT, out)?)] })
}

/// Whether a record may make something, and says nothing but fields of it.
fn is_new(plan: &Plan) -> bool {
    matches!(plan.mode, Mode::Insert | Mode::Upsert) && plan.body.attributes().next().is_none()
}

/// The keys of the customer and of the plan that a record refers to; `None` where it names one otherwise, or something else, or
/// a customer that can not be told in the report of an import.
fn named(plan: &Plan) -> Option<(Box<str>, Option<Box<str>>)> {
    let (mut customer, mut product) = (None, None);
    for reference in &plan.refs {
        match (&reference.kin, &reference.by) {
            (Kin::Customer, By::Key(key)) if key.as_ref() != PLANS => customer = Some(key.clone()),
            (Kin::Plan, By::Key(key)) => product = Some(key.clone()),
            _ => return None,
        }
    }
    Some((customer?, product))
}

fn fields(resource: &'static Resource, plan: &Plan, known: &[&str], out: JsonObject) -> Option<String> {
    fields_but(resource, plan, known, out, |_| false)
}

/// The record's fields after those that are there, but those that go otherwise; `None` where it gives one that an import is not
/// known to take, or lacks one that every entry has.
fn fields_but(
    resource: &'static Resource,
    plan: &Plan,
    known: &[&str],
    mut out: JsonObject,
    otherwise: impl Fn(&str) -> bool,
) -> Option<String> {
    let name = |slot: Slot| resource.all_fields().nth(usize::from(slot.field)).map_or("", |field| field.name);
    let given = || plan.body.fields().filter(|(_, value)| !matches!(*value, "null" | "[]"));
    let is_taken = |slot: Slot| otherwise(name(slot)) || (slot.inner.is_none() && known.contains(&name(slot)));
    let required = resource.all_fields().filter(|field| field.required && known.contains(&field.name));
    let has = |wanted: &str| given().any(|(slot, _)| name(slot) == wanted);
    if !given().all(|(slot, _)| is_taken(slot)) || !required.into_iter().all(|field| has(field.name)) {
        return None;
    }
    add_fields(&mut out, resource, &plan.body, false, |slot, _| !otherwise(name(slot)) && known.contains(&name(slot)));
    Some(out.finish())
}

/// A part of an invoice; `None` where it has a field that an import is not known to take.
fn part_of(invoice: &str, part: Map<String, Value>, known: &[&str]) -> Option<String> {
    let mut entry = Map::new();
    entry.insert("invoice_external_id".to_owned(), invoice.into());
    for (name, value) in part.into_iter().filter(|(_, value)| !value.is_null()) {
        if !known.contains(&name.as_str()) {
            return None;
        }
        entry.insert(name, value);
    }
    Some(Value::from(entry).to_string())
}
