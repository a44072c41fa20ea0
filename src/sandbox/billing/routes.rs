//! Paths of the billing side, and the rules that answer.

use super::{events, invoices, line_items, plan_groups, plans, subscriptions, transactions};
use crate::sandbox::answers::{Outcome, coded};
use crate::sandbox::routes::Context;

/// A path of the billing side with what stands in it. Where a path may end with a UUID or with a key in the query, the UUID
/// is optional.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) enum Route {
    Plans,
    Plan(String),
    PlanGroups,
    PlanGroup(String),
    PlanGroupPlans(String),
    CustomerInvoices(String),
    CustomerInvoicesOfSource { source: String, customer: String },
    Invoices(Option<String>),
    InvoicesDisabled(Option<String>),
    InvoiceStatus { source: String, external_id: String },
    InvoiceLineItems(String),
    LineItems(Option<String>),
    LineItemsDisabled(Option<String>),
    InvoiceTransactions(String),
    Transactions(Option<String>),
    TransactionsDisabled(Option<String>),
    ImportedSubscriptions(String),
    ImportedSubscription(String),
    Subscriptions(String),
    Connect(String),
    Disconnect(String),
    Events,
    EventsDisabled(Option<String>),
}

/// The route and its template.
pub(in crate::sandbox) fn find(segments: &[&str]) -> Option<(Route, &'static str)> {
    let own = |text: &str| text.to_owned();
    let some = |text: &str| Some(text.to_owned());
    Some(match segments {
        ["plans"] => (Route::Plans, "/v1/plans"),
        ["plans", uuid] => (Route::Plan(own(uuid)), "/v1/plans/{uuid}"),
        ["plan_groups"] => (Route::PlanGroups, "/v1/plan_groups"),
        ["plan_groups", uuid] => (Route::PlanGroup(own(uuid)), "/v1/plan_groups/{uuid}"),
        ["plan_groups", uuid, "plans"] => (Route::PlanGroupPlans(own(uuid)), "/v1/plan_groups/{uuid}/plans"),
        ["import", "customers", uuid, "invoices"] => (Route::CustomerInvoices(own(uuid)), "/v1/import/customers/{uuid}/invoices"),
        ["import", "customers", uuid, "subscriptions"] => {
            (Route::ImportedSubscriptions(own(uuid)), "/v1/import/customers/{uuid}/subscriptions")
        }
        ["import", "subscriptions", uuid] => (Route::ImportedSubscription(own(uuid)), "/v1/import/subscriptions/{uuid}"),
        ["import", "invoices", uuid, "line_items"] => {
            (Route::InvoiceLineItems(own(uuid)), "/v1/import/invoices/{uuid}/line_items")
        }
        ["import", "invoices", uuid, "transactions"] => {
            (Route::InvoiceTransactions(own(uuid)), "/v1/import/invoices/{uuid}/transactions")
        }
        ["invoices"] => (Route::Invoices(None), "/v1/invoices"),
        ["invoices", "disabled_state"] => (Route::InvoicesDisabled(None), "/v1/invoices/disabled_state"),
        ["invoices", uuid] => (Route::Invoices(some(uuid)), "/v1/invoices/{uuid}"),
        ["invoices", uuid, "disabled_state"] => (Route::InvoicesDisabled(some(uuid)), "/v1/invoices/{uuid}/disabled_state"),
        ["data_sources", source, "invoices", external_id, "status"] => {
            let route = Route::InvoiceStatus { source: own(source), external_id: own(external_id) };
            (route, "/v1/data_sources/{uuid}/invoices/{external_id}/status")
        }
        ["data_sources", source, "customers", customer, "invoices"] => {
            let route = Route::CustomerInvoicesOfSource { source: own(source), customer: own(customer) };
            (route, "/v1/data_sources/{uuid}/customers/{uuid}/invoices")
        }
        ["line_items"] => (Route::LineItems(None), "/v1/line_items"),
        ["line_items", "disabled_state"] => (Route::LineItemsDisabled(None), "/v1/line_items/disabled_state"),
        ["line_items", uuid] => (Route::LineItems(some(uuid)), "/v1/line_items/{uuid}"),
        ["line_items", uuid, "disabled_state"] => (Route::LineItemsDisabled(some(uuid)), "/v1/line_items/{uuid}/disabled_state"),
        ["transactions"] => (Route::Transactions(None), "/v1/transactions"),
        ["transactions", "disabled_state"] => (Route::TransactionsDisabled(None), "/v1/transactions/disabled_state"),
        ["transactions", uuid] => (Route::Transactions(some(uuid)), "/v1/transactions/{uuid}"),
        ["transactions", uuid, "disabled_state"] => {
            (Route::TransactionsDisabled(some(uuid)), "/v1/transactions/{uuid}/disabled_state")
        }
        ["customers", uuid, "subscriptions"] => (Route::Subscriptions(own(uuid)), "/v1/customers/{uuid}/subscriptions"),
        ["customers", uuid, "connect_subscriptions"] => (Route::Connect(own(uuid)), "/v1/customers/{uuid}/connect_subscriptions"),
        ["customers", uuid, "disconnect_subscriptions"] => {
            (Route::Disconnect(own(uuid)), "/v1/customers/{uuid}/disconnect_subscriptions")
        }
        ["subscription_events"] => (Route::Events, "/v1/subscription_events"),
        ["subscription_events", "disabled_state"] => (Route::EventsDisabled(None), "/v1/subscription_events/disabled_state"),
        ["subscription_events", id, "disabled_state"] => {
            (Route::EventsDisabled(some(id)), "/v1/subscription_events/{id}/disabled_state")
        }
        _ => return None,
    })
}

/// Does a request's work.
pub(in crate::sandbox) fn work(context: &mut Context<'_>, method: &str, route: &Route) -> Outcome {
    match (method, route) {
        ("GET", Route::Plans) => plans::list(context),
        ("POST", Route::Plans) => plans::create(context),
        ("GET", Route::Plan(uuid)) => plans::get(context, uuid),
        ("PATCH", Route::Plan(uuid)) => plans::update(context, uuid),
        ("DELETE", Route::Plan(uuid)) => plans::delete(context, uuid),
        ("GET", Route::PlanGroups) => plan_groups::list(context),
        ("POST", Route::PlanGroups) => plan_groups::create(context),
        ("GET", Route::PlanGroup(uuid)) => plan_groups::get(context, uuid),
        ("PATCH", Route::PlanGroup(uuid)) => plan_groups::update(context, uuid),
        ("DELETE", Route::PlanGroup(uuid)) => plan_groups::delete(context, uuid),
        ("GET", Route::PlanGroupPlans(uuid)) => plan_groups::plans(context, uuid),
        ("GET", Route::CustomerInvoices(customer)) => invoices::list_imported(context, customer),
        ("POST", Route::CustomerInvoices(customer)) => invoices::import(context, customer),
        ("DELETE", Route::CustomerInvoicesOfSource { source, customer }) => invoices::delete_all(context, source, customer),
        ("GET", Route::Invoices(None)) => invoices::list(context),
        ("GET", Route::Invoices(Some(uuid))) => invoices::get(context, uuid),
        ("PATCH", Route::Invoices(uuid)) => invoices::update(context, uuid.as_deref()),
        ("DELETE", Route::Invoices(uuid)) => invoices::delete(context, uuid.as_deref()),
        ("PATCH", Route::InvoicesDisabled(uuid)) => invoices::disable(context, uuid.as_deref()),
        ("PUT", Route::InvoiceStatus { source, external_id }) => invoices::set_status(context, source, external_id),
        ("POST", Route::InvoiceLineItems(invoice)) => line_items::create(context, invoice),
        ("GET", Route::LineItems(uuid)) => line_items::get(context, uuid.as_deref()),
        ("PATCH", Route::LineItems(uuid)) => line_items::update(context, uuid.as_deref()),
        ("DELETE", Route::LineItems(uuid)) => line_items::delete(context, uuid.as_deref()),
        ("PATCH", Route::LineItemsDisabled(uuid)) => line_items::disable(context, uuid.as_deref()),
        ("POST", Route::InvoiceTransactions(invoice)) => transactions::create(context, invoice),
        ("GET", Route::Transactions(uuid)) => transactions::get(context, uuid.as_deref()),
        ("PATCH", Route::Transactions(uuid)) => transactions::update(context, uuid.as_deref()),
        ("DELETE", Route::Transactions(uuid)) => transactions::delete(context, uuid.as_deref()),
        ("PATCH", Route::TransactionsDisabled(uuid)) => transactions::disable(context, uuid.as_deref()),
        ("GET", Route::ImportedSubscriptions(customer)) => subscriptions::list_imported(context, customer),
        ("PATCH", Route::ImportedSubscription(uuid)) => subscriptions::cancel(context, uuid),
        ("GET", Route::Subscriptions(customer)) => subscriptions::list(context, customer),
        ("POST", Route::Connect(customer)) => subscriptions::connect(context, customer),
        ("POST", Route::Disconnect(customer)) => subscriptions::disconnect(context, customer),
        ("GET", Route::Events) => events::list(context),
        ("POST", Route::Events) => events::create(context),
        ("PATCH", Route::Events) => events::update(context),
        ("DELETE", Route::Events) => events::delete(context),
        ("PATCH", Route::EventsDisabled(id)) => events::disable(context, id.as_deref()),
        // Unknown whether this is 404 or 405.
        _ => Err(Box::new(coded(405, "Method not allowed", None))),
    }
}
