//! Transactions by themselves. Documented on the pages "Create a Transaction", "Retrieve a Transaction", "Update a
//! Transaction" and "Delete a Transaction".

use super::drafts::{Reading, TOO_MUCH, Taken, exceeds, total};
use super::invoices::{cannot_be_disabled, key_in_query};
use super::lists::read_validity;
use super::refusals::echoed;
use super::shown;
use super::store::{Billing, INVOICE};
use super::tables::Entry as _;
use super::values::Errors;
use crate::sandbox::answers::{Outcome, Reply, done, not_found, ok};
use crate::sandbox::routes::Context;
use crate::sandbox::store::Fields;

/// Recorded: 201, in a form of its own.
pub(super) fn create(context: &mut Context<'_>, invoice: &str) -> Outcome {
    let billing = &context.state.billing;
    let invoice = billing.invoices.by_uuid(invoice).ok_or_else(|| not_found("Invoice"))?;
    let source = billing.invoices.get(invoice).map_or("", |invoice| invoice.source());
    let reading = Reading { billing, source, null_clears: true };
    let fields = reading.new_transaction(&context.body, &mut Taken::default()).map_err(|errors| echoed(&context.body, errors))?;
    check_sum(context, invoice, None, &fields)?;
    let place = context.state.add_transaction(invoice, fields);
    ok(201, shown::new_transaction(context.state, place))
}

/// Documented: one object, also by key, and one with errors only where `validation_type` asks for it. The tests of the official
/// Node client know a list there.
pub(super) fn get(context: &Context<'_>, uuid: Option<&str>) -> Outcome {
    let (place, wanted) = (find(context, uuid)?, read_validity(context)?);
    match context.state.billing.transactions.get(place) {
        Some(one) if wanted.fits(&one.errors) => ok(200, shown::transaction(context.state, place)),
        _ => Err(not_found("Transaction")),
    }
}

pub(super) fn update(context: &mut Context<'_>, uuid: Option<&str>) -> Outcome {
    let place = find(context, uuid)?;
    let billing = &context.state.billing;
    let Some(transaction) = billing.transactions.get(place) else { return Err(not_found("Transaction")) };
    let reading = Reading { billing, source: &transaction.source, null_clears: context.options.quirks.null_clears };
    let changed = reading.changed_transaction(&context.body, transaction.fields.clone());
    let fields = changed.map_err(|errors| echoed(&context.body, errors))?;
    check_sum(context, transaction.invoice, Some(place), &fields)?;
    context.state.billing.transactions.edit(place, |transaction| {
        transaction.fields = fields;
        transaction.errors.retain(|field, _| field == INVOICE);
    });
    ok(200, shown::transaction(context.state, place))
}

/// Documented: 204.
pub(super) fn delete(context: &mut Context<'_>, uuid: Option<&str>) -> Outcome {
    let place = find(context, uuid)?;
    context.state.billing.remove_transaction(place);
    done(204)
}

/// As for invoices.
pub(super) fn disable(context: &Context<'_>, uuid: Option<&str>) -> Outcome {
    find(context, uuid)?;
    Err(cannot_be_disabled())
}

/// Refuses what would be too much together with the other transactions of the invoice.
fn check_sum(context: &Context<'_>, invoice: u64, instead_of: Option<u64>, fields: &Fields) -> Result<(), Box<Reply>> {
    if !is_too_much(&context.state.billing, invoice, instead_of, fields) {
        return Ok(());
    }
    let errors = Errors::from_iter([("amount_in_cents".to_owned(), TOO_MUCH.into())]);
    Err(echoed(&context.body, errors))
}

/// Whether a transaction is too much together with the others of the invoice, without the one whose place it takes.
pub(super) fn is_too_much(billing: &Billing, invoice: u64, instead_of: Option<u64>, fields: &Fields) -> bool {
    let Some(invoice) = billing.invoices.get(invoice) else { return false };
    let line_items = invoice.line_items.iter().filter_map(|place| billing.line_items.get(*place));
    let others = invoice.transactions.iter().filter(|place| Some(**place) != instead_of);
    let others = others.filter_map(|place| billing.transactions.get(*place)).map(|transaction| &transaction.fields);
    exceeds(total(line_items.map(|line_item| &line_item.fields)), &others.chain([fields]))
}

/// The body of the 404 is that of the official clients' tests.
fn find(context: &Context<'_>, uuid: Option<&str>) -> Result<u64, Box<Reply>> {
    let transactions = &context.state.billing.transactions;
    let found = match uuid {
        Some(uuid) => transactions.by_uuid(uuid),
        None => {
            let (source, id) = key_in_query(context)?;
            transactions.first_by_key(source, id)
        }
    };
    found.ok_or_else(|| not_found("Transaction"))
}
