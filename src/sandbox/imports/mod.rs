//! Bulk imports. Documented on the pages "Bulk Import", "Import Data in Bulk" and "Track Import Status"; nothing of it is
//! recorded.
//!
//! Owns the two routes, when which record of an import is processed, and what an import says of itself. An import works by
//! the clock, but nothing runs: what was due is done before anybody looks ([`settle`]), as of the moment it was due. What
//! becomes of one object is the rule of its kind: [`customers`] here, `billing::imported` for the others. What is unknown
//! stands in [`readings`].

mod customers;
mod form;
mod queue;
mod readings;

#[cfg(test)]
mod tests;

pub(super) use queue::Imports;
pub use readings::{Again, End, Existing, Failures, Overlap, Parts, Reading, Readings, Record, Status};

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::answers::{Outcome, not_found, ok, refused_field};
use super::billing::imported;
use super::routes::Context;
use super::store::State;
use form::{Kind, Sent};
use queue::Import;

/// Documented: 5 MB at most ("Bulk Import"). Whether that is a power of two is unknown; this is the smaller one.
pub(super) const MAX_BODY: usize = 5_000_000;

/// What became of one object of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Imported,
    Failed,
}

impl Fate {
    /// Of an object with these errors.
    pub(super) fn of(errors: &Map<String, Value>) -> Fate {
        if errors.is_empty() { Fate::Imported } else { Fate::Failed }
    }
}

/// Documented: the answer shows the import, which is queued.
pub(super) fn create(context: &mut Context<'_>, source: &str) -> Outcome {
    if context.state.source(source).is_none() {
        return Err(not_found("Data source"));
    }
    let readings = &context.options.imports;
    let (external_id, sent) = form::read(std::mem::take(&mut context.body))?;
    match (readings.again, context.state.imports.named(source, &external_id)) {
        (Again::First, Some(first)) => return ok(readings.status.code(), first.as_json(readings)),
        (Again::Refused, Some(_)) => return Err(refused_field("external_id", "has already been taken")),
        _ => {}
    }
    let owners = owners(context.state, source, &sent);
    let id = context.state.uuid("");
    let import = Import::new((id, external_id, source.to_owned()), context.state.now(), sent, owners);
    let import = context.state.imports.add(import, readings);
    ok(readings.status.code(), import.as_json(readings))
}

/// Documented: by the external id; by the id in the official Python client. The body of the 404 is unknown.
pub(super) fn get(context: &Context<'_>, source: &str, name: &str) -> Outcome {
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
    let import = context.state.imports.named(source, &name).ok_or_else(|| not_found("Import"))?;
    ok(200, import.as_json(&context.options.imports))
}

/// The customer of each object, by its external id; nothing for plans, and for what leads to no customer.
fn owners(state: &State, source: &str, sent: &[Sent]) -> Vec<Option<String>> {
    let invoices = sent.iter().filter(|one| one.kind == Kind::Invoices);
    let ours: HashMap<&str, &str> =
        invoices.filter_map(|one| Some((one.text("external_id")?, one.text("customer_external_id")?))).collect();
    let of_invoice = |id: &str| {
        let under_way = || state.imports.customer_of(source, id);
        ours.get(id).copied().or_else(|| imported::customer_of(state, source, id)).or_else(under_way).map(str::to_owned)
    };
    let owner = |one: &Sent| match one.kind {
        Kind::Plans => None,
        Kind::Customers => one.text("external_id").map(str::to_owned),
        Kind::Invoices | Kind::Events => one.text("customer_external_id").map(str::to_owned),
        Kind::LineItems | Kind::Transactions => one.text("invoice_external_id").and_then(of_invoice),
    };
    sent.iter().map(owner).collect()
}

/// Does what was due up to now.
pub(super) fn settle(state: &mut State, readings: &Readings) {
    let now = state.now();
    while let Some(turn) = state.imports.next_turn(readings, now) {
        let Some((source, step)) = state.imports.take(turn) else { continue };
        let fate = match step.is_lost {
            true => Fate::Imported,
            false => state.as_of(turn.moment, |state| process(state, &source, readings, &step.sent)),
        };
        for invoice in state.imports.note(turn, &step, fate) {
            if imported::lacks_line_items(state, &source, &invoice) {
                state.imports.fail_invoice(turn, &invoice);
            }
        }
    }
    state.imports.forget(now.saturating_sub(readings.record.lasts()));
}

fn process(state: &mut State, source: &str, readings: &Readings, sent: &Sent) -> Fate {
    let rule = match sent.kind {
        Kind::Plans => imported::plan,
        Kind::Customers => customers::import,
        Kind::Invoices => imported::invoice,
        Kind::LineItems => imported::line_item,
        Kind::Transactions => imported::transaction,
        Kind::Events => imported::event,
    };
    rule(state, source, readings, &sent.body)
}
