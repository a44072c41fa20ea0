//! Billing objects of a bulk import.
//!
//! Owns what becomes of each: everything refers by external ids, and one that anywhere else would be refused is kept, with
//! its errors. Documented on the page "Bulk Import": invalid objects are imported and flagged. Which objects count as invalid
//! is unknown; here it is what the object's own endpoint refuses, and a reference to something that is not there.

use serde_json::{Map, Value};

use super::drafts::{Reading, TOO_MUCH};
use super::entries::{InvoiceDraft, NOWHERE};
use super::events;
use super::invoices::{DUPLICATE, HEADER, KEY};
use super::plans::PLAN;
use super::store::{INVOICE, NO_LINE_ITEMS};
use super::tables::Entry as _;
use super::transactions::is_too_much;
use super::values::{BLANK, Errors, Said, need, text};
use crate::sandbox::imports::{Existing, Fate, Readings};
use crate::sandbox::store::{Fields, SourceKey, State};

type Body = Map<String, Value>;

pub(in crate::sandbox) fn plan(state: &mut State, source: &str, readings: &Readings, body: &Body) -> Fate {
    let said = Said::read(PLAN, body);
    let mut errors = said.errors;
    need(&["name", "interval_count", "interval_unit"], &said.set, &mut errors);
    let id = named(body, "external_id");
    match state.billing.plans.first_by_key(source, id) {
        None => {
            let fate = Fate::of(&errors);
            let place = state.add_plan(source, Some(id), said.set);
            state.billing.plans.edit(place, |plan| plan.errors = errors);
            fate
        }
        Some(place) => {
            let (writes, fate) = readings.existing.meets(&errors);
            if writes {
                state.billing.plans.edit(place, |plan| {
                    plan.fields = said.set;
                    plan.errors.clear();
                });
            }
            fate
        }
    }
}

/// An invoice, still without line items: they come after it.
pub(in crate::sandbox) fn invoice(state: &mut State, source: &str, readings: &Readings, body: &Body) -> Fate {
    let (said, key) = (Said::read(HEADER, body), Said::read(KEY, body));
    let mut errors: Errors = said.errors.into_iter().chain(key.errors).collect();
    let fields: Fields = said.set.into_iter().chain(key.set).collect();
    need(&["external_id", "date", "currency"], &fields, &mut errors);
    let customer = named(body, "customer_external_id");
    let there = state.customer_by_key(source, customer).is_some();
    refer(&mut errors, "customer_external_id", customer, there, "is not a customer of the data source");
    let owner = SourceKey { source: source.to_owned(), external_id: customer.to_owned() };

    let place = state.billing.invoices.first_by_key(source, named(body, "external_id"));
    let Some(place) = place else {
        let fate = Fate::of(&errors);
        errors.insert(NO_LINE_ITEMS.into(), BLANK.into());
        add_invoice(state, owner, fields, errors, false);
        return fate;
    };
    if state.billing.invoices.get(place).is_some_and(|invoice| invoice.owner != owner) {
        errors.entry("customer_external_id").or_insert("can't be changed".into());
    }
    let (writes, fate) = readings.existing.meets(&errors);
    if writes {
        state.billing.invoices.edit(place, |invoice| {
            invoice.fields = fields;
            invoice.errors.retain(|field, _| field == NO_LINE_ITEMS);
        });
    } else if readings.existing == Existing::Failed {
        errors.insert("external_id".into(), DUPLICATE.into());
        add_invoice(state, owner, fields, errors, true);
    }
    fate
}

fn add_invoice(state: &mut State, owner: SourceKey, fields: Fields, errors: Errors, shadow: bool) {
    let place = state.add_invoice(InvoiceDraft { owner, fields, line_items: Vec::new(), transactions: Vec::new() });
    state.billing.invoices.edit(place, |invoice| {
        invoice.errors = errors;
        invoice.shadow = shadow;
    });
}

pub(in crate::sandbox) fn line_item(state: &mut State, source: &str, readings: &Readings, body: &Body) -> Fate {
    let reading = Reading { billing: &state.billing, source, null_clears: true };
    let (draft, mut errors) = reading.imported_line_item(body);
    let invoice = invoice_of(state, source, body, &mut errors);
    let id = text(&draft.fields, "external_id");
    let Some(place) = id.and_then(|id| state.billing.line_items.first_by_key(source, id)) else {
        let fate = Fate::of(&errors);
        if readings.parts.lets_go(fate) {
            return fate;
        }
        state.put_line_item((source.to_owned(), invoice), draft, errors);
        return fate;
    };
    if state.billing.line_items.get(place).is_some_and(|one| one.invoice != invoice) {
        errors.entry(INVOICE).or_insert("can't be changed".into());
    }
    let (writes, fate) = readings.existing.meets(&errors);
    if writes {
        state.edit_line_item(place, draft);
    }
    fate
}

pub(in crate::sandbox) fn transaction(state: &mut State, source: &str, readings: &Readings, body: &Body) -> Fate {
    let reading = Reading { billing: &state.billing, source, null_clears: true };
    let (fields, mut errors) = reading.transaction(body, Fields::new());
    let invoice = invoice_of(state, source, body, &mut errors);
    let place = text(&fields, "external_id").and_then(|id| state.billing.transactions.first_by_key(source, id));
    if errors.is_empty() && is_too_much(&state.billing, invoice, place, &fields) {
        errors.insert("amount_in_cents".into(), TOO_MUCH.into());
    }
    let Some(place) = place else {
        let fate = Fate::of(&errors);
        if readings.parts.lets_go(fate) {
            return fate;
        }
        state.put_transaction((source.to_owned(), invoice), fields, errors);
        return fate;
    };
    if state.billing.transactions.get(place).is_some_and(|one| one.invoice != invoice) {
        errors.entry(INVOICE).or_insert("can't be changed".into());
    }
    let (writes, fate) = readings.existing.meets(&errors);
    if writes {
        state.billing.transactions.edit(place, |transaction| {
            transaction.fields = fields;
            transaction.errors.clear();
        });
    }
    fate
}

pub(in crate::sandbox) fn event(state: &mut State, source: &str, readings: &Readings, body: &Body) -> Fate {
    let (draft, errors) = events::draft(state, body, source, (Fields::new(), true));
    match state.billing.events.first_by_key(source, named(body, "external_id")) {
        None => {
            let fate = Fate::of(&errors);
            state.add_event(draft, errors);
            fate
        }
        Some(place) => {
            let (writes, fate) = readings.existing.meets(&errors);
            if writes {
                state.edit_event(place, draft);
            }
            fate
        }
    }
}

/// Whether no line item has come to an invoice. Documented for invoices by themselves: they need one ("Import Invoices").
pub(in crate::sandbox) fn lacks_line_items(state: &State, source: &str, invoice: &str) -> bool {
    let invoices = &state.billing.invoices;
    let place = invoices.first_by_key(source, invoice);
    place.and_then(|place| invoices.get(place)).is_some_and(|invoice| invoice.errors.contains_key(NO_LINE_ITEMS))
}

/// The customer of an invoice, by its external id.
pub(in crate::sandbox) fn customer_of<'s>(state: &'s State, source: &str, invoice: &str) -> Option<&'s str> {
    let place = state.billing.invoices.first_by_key(source, invoice)?;
    state.billing.invoices.get(place)?.owner().map(|owner| owner.external_id.as_str())
}

fn invoice_of(state: &State, source: &str, body: &Body, errors: &mut Errors) -> u64 {
    let id = named(body, INVOICE);
    let place = state.billing.invoices.first_by_key(source, id);
    refer(errors, INVOICE, id, place.is_some(), "is not an invoice of the data source");
    place.unwrap_or(NOWHERE)
}

fn refer(errors: &mut Errors, field: &str, id: &str, there: bool, problem: &str) {
    if !there {
        errors.insert(field.to_owned(), if id.is_empty() { BLANK } else { problem }.into());
    }
}

fn named<'b>(body: &'b Body, field: &str) -> &'b str {
    body.get(field).and_then(Value::as_str).unwrap_or_default()
}
