//! The billing side as JSON, for people and for comparing two runs.

use serde_json::{Map, Value, json};

use super::entries::{Invoice, LineItem, NOWHERE, Subscription, Transaction};
use super::shown::{self, Form, plan_keys, status};
use super::tables::{Entry, Table};
use super::values::text;
use crate::sandbox::snapshot::{in_order, with_errors};
use crate::sandbox::store::{SourceKey, State, shown as moment_shown};

/// Everything as the API shows it, oldest first, and what it does not show: which subscriptions are connected.
pub(in crate::sandbox) fn dump(state: &State) -> Map<String, Value> {
    let billing = &state.billing;
    let invoices = all(&billing.invoices, |place, invoice| {
        let mut body = shown::invoice(state, place, Form::Whole);
        body["data_source_uuid"] = invoice.source().into();
        body["created_at"] = moment_shown(invoice.created).into();
        body
    });
    let subscriptions = all(&billing.subscriptions, |place, subscription| {
        let mut body = shown::subscription(state, place, true);
        body["customer_external_id"] = subscription.owner.external_id.as_str().into();
        body["connected_to"] = connected(state, subscription).into();
        body
    });
    let groups = all(&billing.groups, |place, group| {
        let mut body = shown::group(state, place);
        let plans = group.plans.iter().filter_map(|plan| billing.plans.get(*plan));
        body["plans"] = plans.map(|plan| plan.uuid.as_str()).collect();
        body
    });
    Map::from_iter([
        ("plans".to_owned(), all(&billing.plans, |place, _| shown::plan(state, place))),
        ("plan_groups".to_owned(), groups),
        ("invoices".to_owned(), invoices),
        ("subscriptions".to_owned(), subscriptions),
        ("subscription_events".to_owned(), all(&billing.events, |place, _| shown::event(state, place))),
    ])
}

fn all<T: Entry>(table: &Table<T>, show: impl Fn(u64, &T) -> Value) -> Value {
    table.rows().iter().rev().map(|(place, row)| show(*place, row)).collect()
}

/// External ids of the others in a subscription's connection.
fn connected(state: &State, subscription: &Subscription) -> Vec<String> {
    let billing = &state.billing;
    let together = subscription.connection.and_then(|number| billing.connections.get(&number)).into_iter().flatten();
    let others = together.filter_map(|place| billing.subscriptions.get(*place)).filter(|other| other.id != subscription.id);
    let mut others: Vec<String> = others.map(|other| other.external_id.clone()).collect();
    others.sort_unstable();
    others
}

/// What the billing side holds, and nothing of when and under which identity it came. A kind of which there is none is left
/// out, so that an account without billing reads as one.
pub(in crate::sandbox) fn contents(state: &State) -> Map<String, Value> {
    let billing = &state.billing;
    let source = |uuid: &str| state.source(uuid).map_or_else(|| uuid.to_owned(), |source| source.name.clone());
    let key = |key: &SourceKey| json!({"data_source": source(&key.source), "external_id": key.external_id});
    let plan_id = |place: Option<u64>| place.and_then(|place| billing.plans.get(place)).and_then(|plan| plan.external_id());
    let plans = billing.plans.rows().values().map(|plan| {
        let external_id = (!plan.generated).then_some(&plan.external_id);
        with_errors(json!({"data_source": source(&plan.source), "external_id": external_id, "fields": plan.fields}), &plan.errors)
    });
    let groups = billing.groups.rows().values().map(|group| {
        let plans = in_order(plan_keys(billing, &group.plans, source).into_iter());
        json!({"name": group.name, "plans": plans})
    });
    let line_item =
        |one: &LineItem| with_errors(json!({"fields": one.fields, "plan_external_id": plan_id(one.plan)}), &one.errors);
    let transaction = |one: &Transaction| with_errors(json!({"fields": one.fields}), &one.errors);
    let invoices = billing.invoices.rows().values().map(|invoice: &Invoice| {
        let line_items = invoice.line_items.iter().filter_map(|place| billing.line_items.get(*place));
        let line_items = line_items.map(line_item);
        let transactions = invoice.transactions.iter().filter_map(|place| billing.transactions.get(*place));
        let body = json!({
            "customer": key(&invoice.owner),
            "fields": invoice.fields,
            "status": status(billing, invoice),
            "line_items": in_order(line_items),
            "transactions": in_order(transactions.map(|one| with_errors(json!(one.fields), &one.errors))),
        });
        with_errors(body, &invoice.errors)
    });
    // Those that name no invoice.
    let line_items = billing.line_items.rows().values().filter(|one| one.invoice == NOWHERE).map(line_item);
    let transactions = billing.transactions.rows().values().filter(|one| one.invoice == NOWHERE).map(transaction);
    let subscriptions = billing.subscriptions.rows().values().map(|one| {
        json!({
            "customer": key(&one.owner),
            "external_id": one.external_id,
            "subscription_set_external_id": billing.set_of(one),
            "plan_external_id": plan_id(billing.plan_of(one)),
            "cancellation_dates": one.cancellations,
            "connected_to": connected(state, one),
        })
    });
    let events = billing.events.rows().values().map(|event| {
        let mut fields = event.fields.clone();
        // A number is another one in the next run.
        let retracted = text(&event.fields, "retracted_event_id").and_then(|id| billing.events.by_uuid(id));
        if let Some(retracted) = retracted.and_then(|place| billing.events.get(place)) {
            fields.insert("retracted_event_id", retracted.external_id().into());
        }
        with_errors(json!({"data_source": source(event.source()), "fields": fields}), &event.errors)
    });
    let kinds = [
        ("plans", in_order(plans)),
        ("plan_groups", in_order(groups)),
        ("invoices", in_order(invoices)),
        ("line_items", in_order(line_items)),
        ("transactions", in_order(transactions)),
        ("subscriptions", in_order(subscriptions)),
        ("subscription_events", in_order(events)),
    ];
    let there = kinds.into_iter().filter(|(_, entries)| !entries.is_empty());
    there.map(|(kind, entries)| (kind.to_owned(), Value::Array(entries))).collect()
}
