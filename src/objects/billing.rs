//! What invoices share with their line items and transactions: the fields of both, their rules, and their place in requests.
//!
//! Vendor pages: "Import Invoices", "Update a Line Item", "Create a Transaction". A line item names its plan by UUID in the
//! API; records name it by their own key as well.

use std::collections::HashSet;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::common::{self, INVOICE};
use super::invoices::Invoices;
use super::request::{Look, Method, Request, Shows};
use super::resource::{Field, Kind, Resource, WHOLE, field};
use super::{At, Existing, How, Object, Resolved};
use crate::errors::Code;
use crate::mapping::values;
use crate::outcome::Fault;
use crate::plan::{By, Kin, Known, Mode, Need, Plan, Record, Reference, Role, Target};

/// Types of line items that are part of a subscription.
const OF_SUBSCRIPTIONS: [&str; 2] = ["subscription", "trial"];

/// The field by which a line item names its plan by the user's key.
pub(super) const PLAN_KEY: Field =
    field("plan_external_id", Kind::ExternalId, "Your key of the plan; for subscriptions and trials.", "\"gold-monthly\"");
/// The field by which a line item names its plan by UUID.
pub(super) const PLAN_UUID: Field = field(
    "plan_uuid",
    Kind::Uuid("pl_"),
    "ChartMogul's own UUID of the plan, instead of your key.",
    "\"pl_23740208-2c7e-11ee-9ea2-ffd2435982bb\"",
);

/// Fields of a line item, the references to its plan last. Which of them come back as zero or false where they were never
/// sent is recorded.
pub(super) const LINE_ITEM: [Field; 23] = [
    field("external_id", Kind::ExternalId, "Your key of the line item, unique in the data source.", "\"li-1\""),
    field("type", Kind::OneOf(&["subscription", "one_time", "trial"]), "What it is.", "\"subscription\"").required(),
    field("amount_in_cents", Kind::Cents, "Amount after discount and with tax; negative for a credit.", "9900").required(),
    field("quantity", WHOLE, "How many.", "1"),
    field("subscription_external_id", Kind::ExternalId, "Your key of the subscription; for subscriptions and trials.", "\"s-1\""),
    field("subscription_set_external_id", Kind::ExternalId, "Your key of the set of subscriptions.", "\"set-1\""),
    field("service_period_start", Kind::Timestamp, "Begin of the period that is paid for.", "\"2026-01-01T00:00:00.000Z\""),
    field("service_period_end", Kind::Timestamp, "End of the period that is paid for.", "\"2026-02-01T00:00:00.000Z\""),
    field("prorated", Kind::Boolean, "Whether the amount is a part of the full price.", "false").zero_when_unset(),
    field(
        "proration_type",
        Kind::OneOf(&["differential", "full", "differential_mrr"]),
        "What the amount is a part of.",
        "\"full\"",
    ),
    field("cancelled_at", Kind::Timestamp, "When the subscription was cancelled.", "\"2026-03-01T00:00:00.000Z\"").not_kept(),
    field("description", Kind::Text, "What was sold; for one-time items.", "\"Setup\""),
    field("discount_code", Kind::Text, "Code of the discount.", "\"SPRING\""),
    field("discount_amount_in_cents", Kind::Cents, "Amount of the discount.", "100").zero_when_unset(),
    field("discount_description", Kind::Text, "What the discount is for.", "\"Spring sale\""),
    field("tax_amount_in_cents", Kind::Cents, "Tax within the amount.", "1900").zero_when_unset(),
    field("transaction_fees_in_cents", Kind::Cents, "Fees.", "50").zero_when_unset(),
    field("transaction_fees_currency", Kind::Currency, "Currency of the fees.", "\"EUR\""),
    field("account_code", Kind::Code(30), "Account of the item in your books.", "\"4400\""),
    field("event_order", WHOLE, "Decides between items of one point in time.", "1"),
    field("balance_transfer", Kind::Boolean, "Whether it only moves a balance.", "false").zero_when_unset(),
    PLAN_KEY,
    PLAN_UUID,
];

/// Fields of a transaction.
pub(super) const TRANSACTION: [Field; 7] = [
    field("external_id", Kind::ExternalId, "Your key of the transaction, unique in the data source.", "\"tr-1\""),
    field("type", Kind::OneOf(&["payment", "refund"]), "What it is.", "\"payment\"").required(),
    field("date", Kind::Timestamp, "When it happened.", "\"2026-01-02T00:00:00.000Z\"").required(),
    field("result", Kind::OneOf(&["successful", "failed"]), "How it went.", "\"successful\"").required(),
    field(
        "amount_in_cents",
        Kind::Integer(0, i64::MAX),
        "Amount of a part payment or part refund; the total of the invoice when left out.",
        "9900",
    ),
    field("transaction_fees_in_cents", Kind::Cents, "Fees.", "50"),
    field("transaction_fees_currency", Kind::Currency, "Currency of the fees.", "\"EUR\""),
];

/// The fields of a line item that stand in a table of its own, where the reference to the plan is none of them.
pub(super) const LINE_ITEM_FIELDS: usize = LINE_ITEM.len() - 2;

/// What is wrong with a line item, under the place where it stands (`line_items[0].`, or nothing for a row of its own).
pub(super) fn check_line_item(place: &str, item: &Map<String, Value>, whole: bool, faults: &mut Vec<Fault>) {
    let has = |name: &str| item.get(name).is_some_and(|value| !value.is_null());
    if whole {
        require(place, &LINE_ITEM, item, faults);
    }
    let kind = item.get("type").and_then(Value::as_str).unwrap_or_default();
    if whole && OF_SUBSCRIPTIONS.contains(&kind) {
        for name in ["subscription_external_id", "service_period_start", "service_period_end"] {
            if !has(name) {
                faults.push(Fault::field(
                    Code::FieldMissing,
                    format!("{place}{name}"),
                    "belongs to every subscription and trial",
                ));
            }
        }
        if !has(PLAN_KEY.name) && !has(PLAN_UUID.name) {
            let text = "names the plan of every subscription and trial";
            faults.push(Fault::field(Code::FieldMissing, format!("{place}{}", PLAN_KEY.name), text));
        }
    }
    let time = |name: &str| item.get(name).and_then(Value::as_str).and_then(values::timestamp);
    if let (Some(start), Some(end)) = (time("service_period_start"), time("service_period_end"))
        && end < start
    {
        let text = "is before `service_period_start`";
        faults.push(Fault::field(Code::FieldValue, format!("{place}service_period_end"), text));
    }
}

/// What is wrong with a transaction, likewise.
pub(super) fn check_transaction(place: &str, transaction: &Map<String, Value>, whole: bool, faults: &mut Vec<Fault>) {
    if whole {
        require(place, &TRANSACTION, transaction, faults);
    }
}

/// Entries of one list that go by one key.
pub(super) fn check_keys(list: &str, entries: &[Map<String, Value>], faults: &mut Vec<Fault>) {
    let mut seen = HashSet::new();
    for (at, entry) in entries.iter().enumerate() {
        if entry.get("external_id").and_then(Value::as_str).is_some_and(|key| !seen.insert(key)) {
            let text = "is that of another entry of the list, and belongs to one only";
            faults.push(Fault::field(Code::FieldValue, format!("{list}[{at}].external_id"), text));
        }
    }
}

fn require(place: &str, fields: &[Field], entry: &Map<String, Value>, faults: &mut Vec<Fault>) {
    for field in fields.iter().filter(|field| field.required && entry.get(field.name).is_none_or(Value::is_null)) {
        faults.push(Fault::field(Code::FieldMissing, format!("{place}{}", field.name), "belongs to every entry"));
    }
}

/// Part payments and part refunds that are more than there is to pay. Documented: their sum must not exceed the total.
pub(super) fn check_sums(items: &[Map<String, Value>], transactions: &[Map<String, Value>], faults: &mut Vec<Fault>) {
    let amount = |entry: &Map<String, Value>| entry.get("amount_in_cents").and_then(Value::as_i64);
    let total: i64 = items.iter().filter_map(amount).fold(0, i64::saturating_add);
    for kind in ["payment", "refund"] {
        let mut sum: i64 = 0;
        for (at, transaction) in transactions.iter().enumerate() {
            let counts = transaction.get("type").is_some_and(|is| is == kind)
                && transaction.get("result").is_some_and(|result| result == "successful");
            let Some(amount) = amount(transaction).filter(|_| counts) else { continue };
            sum = sum.saturating_add(amount);
            if sum > total.max(0) {
                let text = format!("with the {kind}s before it exceeds the total of the invoice");
                faults.push(Fault::field(Code::FieldValue, format!("transactions[{at}].amount_in_cents"), text));
                break;
            }
        }
    }
}

/// The UUID of the plan that a line item names, as it was found.
pub(super) fn plan_of(item: &Map<String, Value>, refs: &[Reference], resolved: &[Resolved]) -> Option<Box<str>> {
    if let Some(uuid) = item.get(PLAN_UUID.name).and_then(Value::as_str) {
        return Some(uuid.into());
    }
    let key = item.get(PLAN_KEY.name).and_then(Value::as_str)?;
    let named = |by: &By| matches!(by, By::Key(known) if known.as_ref() == key);
    let found = refs.iter().zip(resolved).find(|(reference, _)| reference.kin == Kin::Plan && named(&reference.by));
    found.map(|(_, resolved)| resolved.uuid.clone())
}

/// A line item as the API takes it: the plan by its UUID.
pub(super) fn sent_item(item: &Map<String, Value>, plan: &Plan, at: &At<'_>) -> Map<String, Value> {
    let mut sent = item.clone();
    let uuid = plan_of(item, &plan.refs, at.refs);
    sent.remove(PLAN_KEY.name);
    sent.remove(PLAN_UUID.name);
    if let Some(uuid) = uuid {
        sent.insert(PLAN_UUID.name.to_owned(), Value::from(&*uuid));
    }
    sent
}

/// The invoice that a row of a part names, as it was found.
pub(super) fn invoice_of<'a>(plan: &Plan, at: &'a At<'_>) -> Option<&'a Resolved> {
    plan.refs.iter().zip(at.refs).find(|(reference, _)| reference.kin == Kin::Invoice).map(|(_, found)| found)
}

/// Whether a row about a part needs no invoice: documented, a part that is there is changed and deleted by its own key as well.
pub(super) fn is_addressed_by_key(plan: &Plan) -> bool {
    let is_there = matches!(plan.mode, Mode::Update | Mode::Delete);
    is_there && plan.target.key().is_some() && plan.refs.iter().all(|reference| reference.kin != Kin::Invoice)
}

/// A request for a part, which goes to its key where that is all there is of it. In which invoice a deleted one stood is not
/// answered: what is known of that is forgotten.
pub(super) fn addressed(resource: &'static Resource, plan: &Plan, at: &At<'_>, existing: &Existing, request: Request) -> Request {
    let Some(key) = plan.target.key().filter(|_| existing.uuid.is_empty()) else { return request };
    let shows = if request.method == Method::Delete { Shows::PartGone } else { request.shows };
    Request { path: resource.path.to_owned(), shows, ..request }.at(at.data_source, key)
}

/// The fault of a part to be made whose invoice is not named.
pub(super) fn no_invoice() -> Fault {
    Fault::field(Code::FieldMissing, INVOICE.1, "what is to be made stands in an invoice")
}

/// The entries of a nested list in a plan's body.
pub(super) fn entries(text: Option<&str>) -> Vec<Map<String, Value>> {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Lays the entries of a later record over those of an earlier one, as if they had been written one after the other: each
/// changes the one of its key, or without a key the one that holds all of its values but these, or is new.
pub(super) fn lay_over(list: &mut Vec<Map<String, Value>>, entries: Vec<Map<String, Value>>, part: &Resource, but: &[&str]) {
    let mut taken = Vec::new();
    for entry in entries {
        let key = entry.get("external_id").filter(|key| !key.is_null());
        let kept = |name: &str| !but.contains(&name) && part.field(name).is_none_or(|field| field.kept);
        let is_it = |known: &Map<String, Value>| match key {
            Some(key) => known.get("external_id") == Some(key),
            None => entry.iter().all(|(name, value)| value.is_null() || !kept(name) || known.get(name) == Some(value)),
        };
        match (0..list.len()).find(|at| !taken.contains(at) && is_it(&list[*at])) {
            Some(at) => {
                taken.push(at);
                list[at].extend(entry);
            }
            None => {
                taken.push(list.len());
                list.push(entry);
            }
        }
        if let Some(entry) = taken.last().and_then(|at| list.get_mut(*at)) {
            entry.retain(|_, value| !value.is_null());
        }
    }
}

/// The invoice that a row of its own stands in, and how the row's entry is found there. One that is not to be made may be
/// named by its key alone.
pub(super) fn place(record: &mut Record, resource: &'static Resource, how: &How) -> (Option<Reference>, Option<Target>) {
    let invoice = common::refer(record, Kin::Invoice, INVOICE, Role::Parent, Need::Values);
    let other = match record.text("external_id") {
        Some(key) => Some(Target::Key(key)),
        None if record.text("uuid").is_some() && how.mode != Mode::Insert => None,
        None => common::by_equality(record, resource, how),
    };
    let target = common::by_uuid_or(record, how, other, "external_id", "it is matched by its external_id");
    let by_key = matches!(how.mode, Mode::Update | Mode::Delete) && matches!(target, Some(Target::Key(_)));
    if !matches!(target, Some(Target::Uuid(..))) && !by_key && invoice.is_none() && !record.is_faulty(INVOICE.0) {
        record.require(INVOICE.1, "it stands in an invoice");
    }
    (invoice, target)
}

/// Where the entry of a row is looked for: in its invoice.
pub(super) fn look_at_invoice(plan: &Plan, at: &At<'_>) -> Option<Look> {
    let invoice = invoice_of(plan, at)?;
    let key = invoice.key.as_deref().or_else(|| invoice.known.as_ref()?.keys().next())?;
    Invoices.look_by_key(key, at.data_source)
}

/// The entries of an object within those of invoices.
pub(super) fn parts_of(resource: &'static Resource, entries: &[Rc<Known>]) -> Vec<Rc<Known>> {
    let parts = entries.iter().flat_map(|invoice| invoice.parts());
    parts.filter(|part| part.object == resource.name).map(|part| Rc::new(part.known.clone())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::line_items::RESOURCE;
    use super::*;

    #[test]
    fn entries_of_a_later_record_change_those_of_their_key_or_of_their_values_or_are_new() {
        let entries = |list: Value| -> Vec<Map<String, Value>> { serde_json::from_value(list).unwrap() };
        let mut list = entries(json!([{"external_id": "a", "amount_in_cents": 1}, {"amount_in_cents": 5, "plan_uuid": "p"}]));
        let later = json!([{"external_id": "a", "amount_in_cents": 2}, {"amount_in_cents": 5, "cancelled_at": "not shown"},
            {"amount_in_cents": 5}]);
        lay_over(&mut list, entries(later), &RESOURCE, &["plan_uuid"]);
        let whole = json!([{"external_id": "a", "amount_in_cents": 2},
            {"amount_in_cents": 5, "plan_uuid": "p", "cancelled_at": "not shown"}, {"amount_in_cents": 5}]);
        assert_eq!(Value::from_iter(list.clone()), whole);
        lay_over(&mut list, entries(json!([{"amount_in_cents": 5, "plan_uuid": "q"}])), &RESOURCE, &["plan_uuid"]);
        assert_eq!((list.len(), &list[1]["plan_uuid"]), (3, &json!("q")));
    }
}
