//! Line items by themselves. Documented on the pages "Create a Line Item", "Retrieve a Line Item", "Update a Line Item" and
//! "Delete a Line Item".

use super::drafts::{Reading, Taken};
use super::entries::LineDraft;
use super::invoices::{cannot_be_disabled, key_in_query};
use super::lists::read_validity;
use super::refusals::echoed;
use super::shown;
use super::tables::Entry as _;
use crate::sandbox::answers::{Outcome, Reply, done, not_found, ok};
use crate::sandbox::routes::Context;

/// Whether it is 200 or 201 is unknown; 201 is what transactions were recorded with.
pub(super) fn create(context: &mut Context<'_>, invoice: &str) -> Outcome {
    let billing = &context.state.billing;
    let invoice = billing.invoices.by_uuid(invoice).ok_or_else(|| not_found("Invoice"))?;
    let source = billing.invoices.get(invoice).map_or("", |invoice| invoice.source());
    let reading = Reading { billing, source, null_clears: true };
    let draft = reading.new_line_item(&context.body, &mut Taken::default()).map_err(|errors| echoed(&context.body, errors))?;
    let place = context.state.add_line_item(invoice, draft);
    ok(201, shown::line_item(context.state, place))
}

/// Documented: one object, also by key, and one with errors only where `validation_type` asks for it. The tests of the official
/// Node client know a list there.
pub(super) fn get(context: &Context<'_>, uuid: Option<&str>) -> Outcome {
    let (place, wanted) = (find(context, uuid)?, read_validity(context)?);
    match context.state.billing.line_items.get(place) {
        Some(one) if wanted.fits(&one.errors) => ok(200, shown::line_item(context.state, place)),
        _ => Err(not_found("Line item")),
    }
}

pub(super) fn update(context: &mut Context<'_>, uuid: Option<&str>) -> Outcome {
    let place = find(context, uuid)?;
    let billing = &context.state.billing;
    let Some(line_item) = billing.line_items.get(place) else { return Err(not_found("Line item")) };
    let reading = Reading { billing, source: &line_item.source, null_clears: context.options.quirks.null_clears };
    let old = LineDraft { fields: line_item.fields.clone(), plan: line_item.plan };
    let draft = reading.changed_line_item(&context.body, old).map_err(|errors| echoed(&context.body, errors))?;
    context.state.edit_line_item(place, draft);
    ok(200, shown::line_item(context.state, place))
}

/// Documented: 204. That an invoice may be left without any is unknown.
pub(super) fn delete(context: &mut Context<'_>, uuid: Option<&str>) -> Outcome {
    let place = find(context, uuid)?;
    context.state.billing.remove_line_item(place);
    done(204)
}

/// As for invoices.
pub(super) fn disable(context: &Context<'_>, uuid: Option<&str>) -> Outcome {
    find(context, uuid)?;
    Err(cannot_be_disabled())
}

/// The body of the 404 is that of the official clients' tests.
fn find(context: &Context<'_>, uuid: Option<&str>) -> Result<u64, Box<Reply>> {
    let line_items = &context.state.billing.line_items;
    let found = match uuid {
        Some(uuid) => line_items.by_uuid(uuid),
        None => {
            let (source, id) = key_in_query(context)?;
            line_items.first_by_key(source, id)
        }
    };
    found.ok_or_else(|| not_found("Line item"))
}
