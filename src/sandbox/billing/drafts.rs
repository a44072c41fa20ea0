//! Reading invoices, line items and transactions.
//!
//! Owns which of them are refused and why. Documented on the pages "Import Invoices", "Create a Line Item" and "Create a
//! Transaction"; all faults are told at once.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::entries::LineDraft;
use super::store::Billing;
use super::tables::Entry as _;
use super::values::{ANY, BLANK, Errors, Field, Kind, Said, moment, need, text, whole};
use crate::sandbox::store::Fields;

/// The messages of the official Go client's constants.
const DUPLICATE_LINE_ITEM: &str = "The external ID for this line item already exists in our system.";
const DUPLICATE_TRANSACTION: &str = "has already been taken";

const LINE_ITEM: &[Field] = &[
    Field("type", Kind::Word(&["subscription", "one_time", "trial"])),
    Field("external_id", Kind::Key),
    // Credits are negative, and with them what belongs to the amount.
    Field("amount_in_cents", ANY),
    Field("quantity", Kind::Whole(1)),
    Field("discount_code", Kind::Text),
    Field("discount_amount_in_cents", ANY),
    Field("discount_description", Kind::Text),
    Field("tax_amount_in_cents", ANY),
    Field("transaction_fees_in_cents", ANY),
    Field("transaction_fees_currency", Kind::Currency),
    Field("account_code", Kind::AccountCode),
    Field("event_order", ANY),
    Field("balance_transfer", Kind::Flag),
    Field("description", Kind::Text),
    Field("subscription_external_id", Kind::Key),
    Field("subscription_set_external_id", Kind::Text),
    Field("service_period_start", Kind::Moment),
    Field("service_period_end", Kind::Moment),
    Field("prorated", Kind::Flag),
    Field("proration_type", Kind::Word(&["differential", "full", "differential_mrr"])),
    Field("cancelled_at", Kind::Moment),
];

/// Documented: what only line items of a subscription have. Others do not keep it.
const OF_SUBSCRIPTIONS: &[&str] = &[
    "subscription_external_id",
    "subscription_set_external_id",
    "service_period_start",
    "service_period_end",
    "prorated",
    "proration_type",
    "cancelled_at",
];

const TRANSACTION: &[Field] = &[
    Field("type", Kind::Word(&["payment", "refund"])),
    Field("date", Kind::Moment),
    Field("result", Kind::Word(&["successful", "failed"])),
    Field("external_id", Kind::Key),
    // A refund is told by its type; whether a negative amount is taken is unknown.
    Field("amount_in_cents", Kind::Whole(0)),
    Field("transaction_fees_in_cents", ANY),
    Field("transaction_fees_currency", Kind::Currency),
];

/// External ids that come in one request, beside those that are there.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) invoices: HashSet<String>,
    line_items: HashSet<String>,
    transactions: HashSet<String>,
}

/// What a line item or a transaction is read against.
pub(super) struct Reading<'a> {
    pub(super) billing: &'a Billing,
    /// The data source of the invoice.
    pub(super) source: &'a str,
    pub(super) null_clears: bool,
}

impl Reading<'_> {
    /// Reads a line item that is new.
    pub(super) fn new_line_item(&self, body: &Map<String, Value>, taken: &mut Taken) -> Result<LineDraft, Errors> {
        let (draft, mut errors) = self.line_item(body, LineDraft { fields: Fields::new(), plan: None });
        if let Some(id) = text(&draft.fields, "external_id") {
            let there = self.billing.line_items.first_by_key(self.source, id).is_some();
            if there || !taken.line_items.insert(id.to_owned()) {
                errors.insert("external_id".into(), DUPLICATE_LINE_ITEM.into());
            }
        }
        if errors.is_empty() { Ok(draft) } else { Err(errors) }
    }

    /// Reads changes of a line item. Documented: all but the external id ("Update a Line Item"); one that is sent unchanged
    /// does no harm.
    pub(super) fn changed_line_item(&self, body: &Map<String, Value>, old: LineDraft) -> Result<LineDraft, Errors> {
        let id = old.fields.get("external_id").cloned();
        let (draft, mut errors) = self.line_item(body, old);
        refuse_another_id(id.as_ref(), &draft.fields, &mut errors);
        if errors.is_empty() { Ok(draft) } else { Err(errors) }
    }

    fn line_item(&self, body: &Map<String, Value>, mut draft: LineDraft) -> (LineDraft, Errors) {
        let said = Said::read(LINE_ITEM, body);
        said.apply(&mut draft.fields, self.null_clears);
        let mut errors = said.errors;
        let fields = &mut draft.fields;
        need(&["type", "amount_in_cents"], fields, &mut errors);
        if text(fields, "type") == Some("one_time") {
            fields.retain(|name, _| !OF_SUBSCRIPTIONS.contains(name));
            draft.plan = None;
            return (draft, errors);
        }
        if text(fields, "type").is_some() {
            need(&["subscription_external_id", "service_period_start", "service_period_end"], fields, &mut errors);
            if moment(fields, "service_period_end") < moment(fields, "service_period_start") {
                errors.entry("service_period_end").or_insert("must not be before service_period_start".into());
            }
            match body.get("plan_uuid") {
                None | Some(Value::Null) => {}
                Some(uuid) => draft.plan = uuid.as_str().and_then(|uuid| self.plan(uuid)),
            }
            if draft.plan.is_none() {
                let blank = body.get("plan_uuid").is_none_or(Value::is_null);
                errors.insert("plan_uuid".into(), if blank { BLANK } else { "is not a plan of the data source" }.into());
            }
        }
        (draft, errors)
    }

    /// Reads a line item of a bulk import: the plan by its external id, and what is wrong beside what is not.
    pub(super) fn imported_line_item(&self, body: &Map<String, Value>) -> (LineDraft, Errors) {
        let mut body = body.clone();
        if let Some(Value::String(id)) = body.remove("plan_external_id").filter(|id| *id != "") {
            let plan = self.billing.plans.first_by_key(self.source, &id).and_then(|place| self.billing.plans.get(place));
            body.insert("plan_uuid".into(), plan.map_or("none", |plan| plan.uuid()).into());
        }
        let (draft, mut errors) = self.line_item(&body, LineDraft { fields: Fields::new(), plan: None });
        if let Some(problem) = errors.remove("plan_uuid") {
            errors.insert("plan_external_id".into(), problem);
        }
        (draft, errors)
    }

    /// Documented: the plan is named by its UUID. That it has to be of the same data source is unknown.
    fn plan(&self, uuid: &str) -> Option<u64> {
        let place = self.billing.plans.by_uuid(uuid)?;
        self.billing.plans.get(place).filter(|plan| plan.source() == self.source).map(|_| place)
    }

    /// Reads a transaction that is new.
    pub(super) fn new_transaction(&self, body: &Map<String, Value>, taken: &mut Taken) -> Result<Fields, Errors> {
        let (fields, mut errors) = self.transaction(body, Fields::new());
        if let Some(id) = text(&fields, "external_id") {
            let there = self.billing.transactions.first_by_key(self.source, id).is_some();
            if there || !taken.transactions.insert(id.to_owned()) {
                errors.insert("external_id".into(), DUPLICATE_TRANSACTION.into());
            }
        }
        if errors.is_empty() { Ok(fields) } else { Err(errors) }
    }

    /// Reads changes of a transaction. Documented: all but the external id ("Update a Transaction").
    pub(super) fn changed_transaction(&self, body: &Map<String, Value>, old: Fields) -> Result<Fields, Errors> {
        let id = old.get("external_id").cloned();
        let (fields, mut errors) = self.transaction(body, old);
        refuse_another_id(id.as_ref(), &fields, &mut errors);
        if errors.is_empty() { Ok(fields) } else { Err(errors) }
    }

    /// What a transaction says, and what is wrong with it.
    pub(super) fn transaction(&self, body: &Map<String, Value>, mut fields: Fields) -> (Fields, Errors) {
        let said = Said::read(TRANSACTION, body);
        said.apply(&mut fields, self.null_clears);
        let mut errors = said.errors;
        need(&["type", "date", "result"], &fields, &mut errors);
        (fields, errors)
    }
}

/// Unknown what a change of an external id does; ignoring it would hide a client's mistake.
fn refuse_another_id(old: Option<&Value>, fields: &Fields, errors: &mut Errors) {
    if fields.get("external_id") != old {
        errors.insert("external_id".into(), "can't be changed".into());
    }
}

/// The sum of an invoice.
pub(super) fn total<'a>(line_items: impl Iterator<Item = &'a Fields>) -> i64 {
    line_items.filter_map(|fields| whole(fields, "amount_in_cents")).fold(0, i64::saturating_add)
}

/// What successful transactions of one type come to. Documented: without an amount it is all of the invoice.
pub(super) fn moved<'a>(kind: &str, total: i64, transactions: impl Iterator<Item = &'a Fields>) -> i64 {
    let counted =
        transactions.filter(|fields| text(fields, "type") == Some(kind) && text(fields, "result") == Some("successful"));
    counted.map(|fields| whole(fields, "amount_in_cents").unwrap_or(total.saturating_abs())).fold(0, i64::saturating_add)
}

/// Documented: partial sums must not exceed the invoice's total ("Create a Transaction"). That payments and refunds are
/// summed apart and failed ones do not count is recorded only so far as a payment and a refund of the whole stand together.
pub(super) fn exceeds<'a>(total: i64, transactions: &(impl Iterator<Item = &'a Fields> + Clone)) -> bool {
    let most = total.saturating_abs();
    ["payment", "refund"].into_iter().any(|kind| moved(kind, total, transactions.clone()) > most)
}

/// What transactions that are too much are refused with; the message is unknown.
pub(super) const TOO_MUCH: &str = "exceeds the total of the invoice";
