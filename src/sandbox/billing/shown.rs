//! Billing objects as the API shows them.
//!
//! Recorded key by key up to March 2025; what the documentation names since then stands beside it: the status and the
//! collection method of an invoice, external ids of what is referred to, and whether something was disabled or made by a user.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::drafts::{moved, total};
use super::entries::Invoice;
use super::store::Billing;
use super::tables::Entry as _;
use super::values::{Errors, text};
use crate::sandbox::store::{Fields, State, timestamp};

/// Where an invoice is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Below a customer: without its UUID.
    Imported,
    /// By itself.
    Whole,
}

type Entries = Map<String, Value>;

fn put(body: &mut Entries, fields: &Fields, names: &[&str], unset: &Value) {
    for name in names {
        body.insert((*name).to_owned(), fields.get(name).unwrap_or(unset).clone());
    }
}

/// Documented since 2025.
fn put_origin(body: &mut Entries) {
    body.insert("disabled".into(), false.into());
    body.insert("disabled_at".into(), Value::Null);
    body.insert("disabled_by".into(), Value::Null);
    body.insert("user_created".into(), true.into());
}

/// Only where there are some: no recorded answer of these kinds has the key. Documented by official clients.
fn put_errors(body: &mut Entries, errors: &Errors) {
    if !errors.is_empty() {
        body.insert("errors".into(), Value::Object(errors.clone()));
    }
}

fn uuid_in(body: &mut Entries, name: &str, uuid: Option<&str>) {
    body.insert(name.to_owned(), uuid.into());
}

pub(super) fn plan(state: &State, place: u64) -> Value {
    let mut body = Entries::new();
    if let Some(plan) = state.billing.plans.get(place) {
        uuid_in(&mut body, "uuid", Some(plan.uuid()));
        uuid_in(&mut body, "data_source_uuid", Some(plan.source()));
        uuid_in(&mut body, "external_id", plan.external_id());
        put(&mut body, &plan.fields, &["name", "interval_count", "interval_unit"], &Value::Null);
        put_errors(&mut body, &plan.errors);
    }
    Value::Object(body)
}

pub(super) fn group(state: &State, place: u64) -> Value {
    let group = state.billing.groups.get(place);
    group.map(|group| json!({"name": group.name, "uuid": group.uuid(), "plans_count": group.plans.len()})).unwrap_or_default()
}

pub(super) fn invoice(state: &State, place: u64, form: Form) -> Value {
    let billing = &state.billing;
    let Some(invoice) = billing.invoices.get(place) else { return Value::Null };
    let mut body = Entries::new();
    uuid_in(&mut body, "uuid", Some(invoice.uuid()));
    put(&mut body, &invoice.fields, &["external_id", "date", "due_date", "currency", "collection_method"], &Value::Null);
    if form == Form::Whole {
        let customer = state.customer_by_key(&invoice.owner.source, &invoice.owner.external_id);
        uuid_in(&mut body, "customer_uuid", customer.map(|place| state.customers[&place].uuid.as_str()));
    }
    uuid_in(&mut body, "customer_external_id", Some(&invoice.owner.external_id));
    body.insert("status".into(), status(billing, invoice).into());
    body.insert("errors".into(), Value::Object(billing.errors_of(invoice)));
    body.insert("line_items".into(), invoice.line_items.iter().map(|place| line_item(state, *place)).collect());
    body.insert("transactions".into(), invoice.transactions.iter().map(|place| transaction(state, *place)).collect());
    put_origin(&mut body);
    Value::Object(body)
}

/// Documented: voided and written off are set by hand, the others are computed. Where the lines between them are is unknown;
/// here an invoice is refunded once refunds come to all of it, and paid once payments do.
pub(super) fn status(billing: &Billing, invoice: &Invoice) -> &'static str {
    let line_items = invoice.line_items.iter().filter_map(|place| billing.line_items.get(*place));
    let total = total(line_items.map(|line_item| &line_item.fields));
    let transactions = invoice.transactions.iter().filter_map(|place| billing.transactions.get(*place));
    let transactions = transactions.map(|transaction| &transaction.fields);
    let all = |kind| moved(kind, total, transactions.clone()) >= total;
    match invoice.mark {
        Some(mark) => mark,
        None if total > 0 && all("refund") => "refunded",
        None if all("payment") => "paid",
        None => "open",
    }
}

/// Recorded: a line item of a subscription has no description, a single one nothing of a subscription; a subscription set is
/// there when it was sent. When a subscription was cancelled is not shown.
pub(super) fn line_item(state: &State, place: u64) -> Value {
    let billing = &state.billing;
    let Some(line_item) = billing.line_items.get(place) else { return Value::Null };
    let mut body = Entries::new();
    let fields = &line_item.fields;
    uuid_in(&mut body, "uuid", Some(line_item.uuid()));
    put(&mut body, fields, &["external_id", "type"], &Value::Null);
    if text(fields, "type") == Some("one_time") {
        put(&mut body, fields, &["description"], &Value::Null);
    } else {
        let subscription = line_item.subscription.and_then(|place| billing.subscriptions.get(place));
        let plan = line_item.plan.and_then(|place| billing.plans.get(place));
        uuid_in(&mut body, "subscription_uuid", subscription.map(|subscription| subscription.uuid()));
        put(&mut body, fields, &["subscription_external_id", "proration_type"], &Value::Null);
        put(&mut body, fields, &["service_period_start", "service_period_end"], &Value::Null);
        put(&mut body, fields, &["prorated"], &Value::Bool(false));
        uuid_in(&mut body, "plan_uuid", plan.map(|plan| plan.uuid()));
        uuid_in(&mut body, "plan_external_id", plan.and_then(|plan| plan.external_id()));
        for name in ["subscription_set_external_id", "description"] {
            if let Some(value) = fields.get(name) {
                body.insert(name.to_owned(), value.clone());
            }
        }
    }
    put(&mut body, fields, &["amount_in_cents"], &Value::Null);
    put(&mut body, fields, &["quantity"], &1.into());
    put(&mut body, fields, &["discount_code", "account_code"], &"".into());
    put(&mut body, fields, &["discount_amount_in_cents", "tax_amount_in_cents", "transaction_fees_in_cents"], &0.into());
    let unset = ["transaction_fees_currency", "discount_description", "event_order", "balance_transfer"];
    put(&mut body, fields, &unset, &Value::Null);
    put_origin(&mut body);
    put_errors(&mut body, &line_item.errors);
    Value::Object(body)
}

/// Recorded: an amount that was not sent is null.
pub(super) fn transaction(state: &State, place: u64) -> Value {
    let mut body = Entries::new();
    if let Some(transaction) = state.billing.transactions.get(place) {
        uuid_in(&mut body, "uuid", Some(transaction.uuid()));
        put(&mut body, &transaction.fields, &["external_id", "type", "date", "result", "amount_in_cents"], &Value::Null);
        put(&mut body, &transaction.fields, &["transaction_fees_in_cents", "transaction_fees_currency"], &Value::Null);
        put_origin(&mut body);
        put_errors(&mut body, &transaction.errors);
    }
    Value::Object(body)
}

/// Recorded in 2025: the answer to a transaction that was made by itself has these keys only.
pub(super) fn new_transaction(state: &State, place: u64) -> Value {
    let mut body = transaction(state, place);
    let shown = ["uuid", "external_id", "type", "date", "result", "amount_in_cents", "transaction_fees_in_cents"];
    if let Value::Object(body) = &mut body {
        body.retain(|name, _| shown.contains(&name.as_str()));
    }
    body
}

/// A subscription of the import view. Recorded: the customer stands in it when it was changed, and before the list else; a
/// subscription set is there in the list when it was sent.
pub(super) fn subscription(state: &State, place: u64, changed: bool) -> Value {
    let billing = &state.billing;
    let Some(subscription) = billing.subscriptions.get(place) else { return Value::Null };
    let mut body = Entries::new();
    uuid_in(&mut body, "uuid", Some(subscription.uuid()));
    uuid_in(&mut body, "external_id", subscription.external_id());
    body.insert("cancellation_dates".into(), subscription.cancellations.iter().cloned().collect());
    let plan = billing.plan_of(subscription).and_then(|place| billing.plans.get(place));
    uuid_in(&mut body, "plan_uuid", plan.map(|plan| plan.uuid()));
    uuid_in(&mut body, "data_source_uuid", Some(subscription.source()));
    if changed {
        let customer = state.customer_by_key(&subscription.owner.source, &subscription.owner.external_id);
        uuid_in(&mut body, "customer_uuid", customer.map(|place| state.customers[&place].uuid.as_str()));
    } else if let Some(set) = billing.set_of(subscription) {
        uuid_in(&mut body, "subscription_set_external_id", Some(set));
    }
    Value::Object(body)
}

/// Recorded key by key; the order among other events and whether it is disabled are documented since 2025 and shown only
/// where there is something to say.
pub(super) fn event(state: &State, place: u64) -> Value {
    let Some(event) = state.billing.events.get(place) else { return Value::Null };
    let mut body = Entries::new();
    body.insert("id".into(), event.number().into());
    uuid_in(&mut body, "data_source_uuid", Some(event.source()));
    put(&mut body, &event.fields, SHOWN_OF_EVENTS, &Value::Null);
    if let Some(order) = event.fields.get("event_order") {
        body.insert("event_order".into(), order.clone());
    }
    body.insert("errors".into(), Value::Object(event.errors.clone()));
    body.insert("created_at".into(), to_the_second(event.created).into());
    body.insert("updated_at".into(), to_the_second(event.updated).into());
    Value::Object(body)
}

const SHOWN_OF_EVENTS: &[&str] = &[
    "customer_external_id",
    "subscription_set_external_id",
    "subscription_external_id",
    "plan_external_id",
    "event_date",
    "effective_date",
    "event_type",
    "external_id",
    "quantity",
    "currency",
    "amount_in_cents",
    "tax_amount_in_cents",
    "retracted_event_id",
];

/// Recorded: moments of events have no milliseconds.
pub(super) fn to_the_second(nanos: i64) -> String {
    timestamp(nanos).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The names of the plans of a group, for people.
pub(super) fn plan_keys(billing: &Billing, plans: &BTreeSet<u64>, source: impl Fn(&str) -> String) -> Vec<Value> {
    let plans = plans.iter().filter_map(|place| billing.plans.get(*place));
    let keys = plans.map(|plan| match plan.generated {
        true => json!({"data_source": source(plan.source()), "name": plan.fields.get("name")}),
        false => json!({"data_source": source(plan.source()), "external_id": plan.external_id()}),
    });
    keys.collect()
}
