//! Invoices. Documented on the pages "Import Invoices", "List Invoices", "Update an Invoice", "Update an Invoice Status",
//! "Delete an Invoice" and "Delete All Customer's Invoices".

use serde_json::{Map, Value, json};

use super::drafts::{Reading, TOO_MUCH, Taken, exceeds, total};
use super::entries::{Invoice, InvoiceDraft};
use super::lists::{self, Walk};
use super::refusals::{self, echoed, no_such_invoice};
use super::shown::{self, Form};
use super::tables::Entry as _;
use super::values::{BLANK, Errors, Field, Kind, Said, need, text};
use crate::sandbox::answers::{Outcome, Reply, done, invalid, missing, not_found, ok};
use crate::sandbox::customers;
use crate::sandbox::routes::Context;
use crate::sandbox::store::SourceKey;

/// The message of the official Go client's constants.
pub(super) const DUPLICATE: &str = "The external ID for this invoice already exists in our system.";

/// Documented: what can be changed ("Update an Invoice").
pub(super) const HEADER: &[Field] = &[
    Field("date", Kind::Moment),
    Field("due_date", Kind::Moment),
    Field("currency", Kind::Currency),
    Field("collection_method", Kind::Word(&["automatic", "manual"])),
];

pub(super) const KEY: &[Field] = &[Field("external_id", Kind::Key)];

/// Documented: the path needs the customer's UUID, and one call takes many invoices of it. Whether one bad invoice keeps the
/// others out is unknown; that it does is what users of the API rely on. How many one call takes is unknown.
pub(super) fn import(context: &mut Context<'_>, customer: &str) -> Outcome {
    let place = context.state.customer_place(customer).ok_or_else(no_such_invoice)?;
    let sent: Vec<Map<String, Value>> = match context.body.get("invoices") {
        None | Some(Value::Null) => return Err(missing("invoices")),
        Some(Value::Array(invoices)) if !invoices.is_empty() => {
            let bodies = invoices.iter().map(|invoice| invoice.as_object().cloned());
            bodies.collect::<Option<_>>().ok_or_else(|| invalid("invoices"))?
        }
        Some(_) => return Err(invalid("invoices")),
    };
    let mut taken = Taken::default();
    let read: Vec<_> = sent.iter().map(|body| read_invoice(context, place, body, &mut taken)).collect();
    if read.iter().any(Result::is_err) {
        let echoes = sent.into_iter().zip(read).map(|(mut body, read)| {
            body.insert("errors".into(), Value::Object(read.err().unwrap_or_default()));
            Value::Object(body)
        });
        return Err(refusals::invoices(echoes));
    }
    let places: Vec<u64> = read.into_iter().flatten().map(|draft| context.state.add_invoice(draft)).collect();
    let invoices: Vec<Value> = places.iter().map(|place| shown::invoice(context.state, *place, Form::Imported)).collect();
    ok(201, json!({"invoices": invoices}))
}

fn read_invoice(
    context: &Context<'_>,
    customer: u64,
    body: &Map<String, Value>,
    taken: &mut Taken,
) -> Result<InvoiceDraft, Errors> {
    let billing = &context.state.billing;
    let (said, key) = (Said::read(HEADER, body), Said::read(KEY, body));
    let mut errors: Errors = said.errors.into_iter().chain(key.errors).collect();
    let mut fields = said.set;
    fields.extend(key.set);
    need(&["external_id", "date", "currency"], &fields, &mut errors);
    let owner = owner_of(context, customer, body).unwrap_or_else(|(field, problem)| {
        errors.insert(field.into(), problem.into());
        context.state.customers[&customer].own.clone()
    });
    if let Some(id) = text(&fields, "external_id") {
        let there = billing.invoices.first_by_key(&owner.source, id).is_some();
        if there || !taken.invoices.insert(id.to_owned()) {
            errors.insert("external_id".into(), DUPLICATE.into());
        }
    }
    let reading = Reading { billing, source: &owner.source, null_clears: true };
    let line_items = each(body, "line_items", &mut errors, |body| reading.new_line_item(body, taken));
    let transactions = each(body, "transactions", &mut errors, |body| reading.new_transaction(body, taken));
    if line_items.is_empty() && !errors.keys().any(|field| field.starts_with("line_items")) {
        errors.insert("line_items".into(), BLANK.into());
    }
    let total = total(line_items.iter().map(|line_item| &line_item.fields));
    if errors.is_empty() && exceeds(total, &transactions.iter()) {
        errors.insert("transactions.amount_in_cents".into(), TOO_MUCH.into());
    }
    if errors.is_empty() { Ok(InvoiceDraft { owner, fields, line_items, transactions }) } else { Err(errors) }
}

/// Reads a nested list. Documented by the official Go client: an error's key is the list's name and the field's.
fn each<T>(
    body: &Map<String, Value>,
    list: &str,
    errors: &mut Errors,
    mut read: impl FnMut(&Map<String, Value>) -> Result<T, Errors>,
) -> Vec<T> {
    let mut drafts = Vec::new();
    let entries = match body.get(list) {
        None | Some(Value::Null) => return drafts,
        Some(Value::Array(entries)) => entries.iter().map(Value::as_object).collect::<Option<Vec<_>>>(),
        Some(_) => None,
    };
    let Some(entries) = entries else {
        errors.insert(list.to_owned(), "must be a list of objects".into());
        return drafts;
    };
    for entry in entries {
        match read(entry) {
            Ok(draft) => drafts.push(draft),
            Err(faults) => errors.extend(faults.into_iter().map(|(field, problem)| (format!("{list}.{field}"), problem))),
        }
    }
    drafts
}

/// Documented: data source and external id choose among the keys of a merged customer. What happens where they leave it
/// open is unknown; here it is refused.
fn owner_of(context: &Context<'_>, customer: u64, body: &Map<String, Value>) -> Result<SourceKey, (&'static str, &'static str)> {
    let said = |name: &str| body.get(name).filter(|value| !value.is_null());
    let fits = |name: &str, ours: &str| said(name).is_none_or(|value| value.as_str() == Some(ours));
    let keys = &context.state.customers[&customer].keys;
    let of_source: Vec<&SourceKey> = keys.iter().filter(|key| fits("data_source_uuid", &key.source)).collect();
    if of_source.is_empty() {
        return Err(("data_source_uuid", "is not a data source of the customer"));
    }
    let mut fitting = of_source.into_iter().filter(|key| fits("customer_external_id", &key.external_id));
    match (fitting.next(), fitting.next()) {
        (None, _) => Err(("customer_external_id", "is not an external id of the customer")),
        (Some(key), None) => Ok(key.clone()),
        (Some(_), Some(_)) => Err(("customer_external_id", "is needed, the customer has several")),
    }
}

/// Recorded: newest first. Documented: three filters and `validation_type`.
pub(super) fn list(context: &Context<'_>) -> Outcome {
    let query = |name| context.query.get(name);
    let billing = &context.state.billing;
    let wanted = lists::read_validity(context)?;
    let owners = query("customer_uuid").map(|uuid| keys_of(context, uuid));
    let fits = |invoice: &Invoice| {
        wanted.fits(&billing.errors_of(invoice))
            && owners.as_ref().is_none_or(|owners| owners.contains(&invoice.owner))
            && query("data_source_uuid").is_none_or(|wanted| invoice.source() == wanted)
            && query("external_id").is_none_or(|wanted| invoice.external_id() == Some(wanted))
    };
    let walk = match (query("data_source_uuid"), query("external_id"), &owners) {
        (Some(source), Some(id), _) => Walk::Places(billing.invoices.first_by_key(source, id).into_iter().collect()),
        (_, _, Some(owners)) => Walk::of_owners(&billing.invoices, owners),
        (Some(source), None, None) => Walk::Source(source),
        _ => Walk::All,
    };
    let show = |place| shown::invoice(context.state, place, Form::Whole);
    lists::answer(context, &billing.invoices, ("invoices", &walk), Map::new(), fits, show)
}

/// Recorded: with the customer's UUID before the list instead of in each invoice. That those with errors stand in it only
/// when they are asked for is taken from the list of all.
pub(super) fn list_imported(context: &Context<'_>, customer: &str) -> Outcome {
    customers::find(context, customer)?;
    let wanted = lists::read_validity(context)?;
    let billing = &context.state.billing;
    let invoices = &billing.invoices;
    let walk = Walk::of_owners(invoices, &keys_of(context, customer));
    let head = Map::from_iter([("customer_uuid".to_owned(), customer.into())]);
    let show = |place| shown::invoice(context.state, place, Form::Imported);
    lists::answer(context, invoices, ("invoices", &walk), head, |invoice| wanted.fits(&billing.errors_of(invoice)), show)
}

/// The keys of a customer; none where there is no such customer.
pub(super) fn keys_of(context: &Context<'_>, customer: &str) -> Vec<SourceKey> {
    let place = context.state.customer_place(customer);
    place.map(|place| context.state.customers[&place].keys.clone()).unwrap_or_default()
}

pub(super) fn get(context: &Context<'_>, uuid: &str) -> Outcome {
    let place = find(context, Some(uuid))?;
    ok(200, shown::invoice(context.state, place, Form::Whole))
}

/// Documented: four fields of the header; line items and transactions have endpoints of their own. Others are ignored.
pub(super) fn update(context: &mut Context<'_>, uuid: Option<&str>) -> Outcome {
    let place = find(context, uuid)?;
    let said = Said::read(HEADER, &context.body);
    if !said.errors.is_empty() {
        return Err(echoed(&context.body, said.errors));
    }
    let null_clears = context.options.quirks.null_clears;
    context.state.billing.invoices.edit(place, |invoice| {
        let (date, currency) = (invoice.fields.get("date").cloned(), invoice.fields.get("currency").cloned());
        said.apply(&mut invoice.fields, null_clears);
        // What an invoice cannot be without, a null does not clear.
        for (name, old) in [("date", date), ("currency", currency)] {
            if let Some(old) = old {
                invoice.fields.entry(name).or_insert(old);
            }
        }
        let fields = &invoice.fields;
        invoice.errors.retain(|field, _| !fields.contains_key(field.as_str()) || field == "external_id");
    });
    ok(200, shown::invoice(context.state, place, Form::Whole))
}

/// Recorded: 204. Documented: line items and transactions go with it.
pub(super) fn delete(context: &mut Context<'_>, uuid: Option<&str>) -> Outcome {
    let place = find(context, uuid)?;
    context.state.billing.remove_invoice(place);
    done(204)
}

/// Recorded: 204, all invoices of one customer in one data source. The official Go client can name one of the keys of a
/// merged customer in the query.
pub(super) fn delete_all(context: &mut Context<'_>, source: &str, customer: &str) -> Outcome {
    if context.state.source(source).is_none() {
        return Err(not_found("Data source"));
    }
    customers::find(context, customer)?;
    let id = context.query.get("customer_external_id");
    let fits = |key: &SourceKey| key.source == source && id.is_none_or(|id| id == key.external_id);
    for key in keys_of(context, customer).into_iter().filter(fits) {
        for place in context.state.billing.invoices.of_owner(&key).cloned().unwrap_or_default() {
            context.state.billing.remove_invoice(place);
        }
    }
    done(204)
}

/// Documented: two statuses can be set, the others are computed.
pub(super) fn set_status(context: &mut Context<'_>, source: &str, external_id: &str) -> Outcome {
    let external_id = percent_encoding::percent_decode_str(external_id).decode_utf8_lossy();
    let place = context.state.billing.invoices.first_by_key(source, &external_id).ok_or_else(|| not_found("Invoice"))?;
    let mark = match context.body.get("status").and_then(Value::as_str) {
        Some("voided") => "voided",
        Some("written_off") => "written_off",
        _ => return Err(refusals::message(422, "status must be voided or written_off")),
    };
    context.state.billing.invoices.edit(place, |invoice| invoice.mark = Some(mark));
    ok(200, json!({"message": "Invoice updated"}))
}

/// Documented: only for data sources that ChartMogul fills by itself, which the sandbox has none of. The answer is unknown.
pub(super) fn disable(context: &Context<'_>, uuid: Option<&str>) -> Outcome {
    find(context, uuid)?;
    Err(cannot_be_disabled())
}

pub(super) fn cannot_be_disabled() -> Box<Reply> {
    refusals::message(422, "The disabled state can't be changed in a custom data source")
}

/// By UUID, or by data source and external id in the query.
fn find(context: &Context<'_>, uuid: Option<&str>) -> Result<u64, Box<Reply>> {
    let found = match uuid {
        Some(uuid) => context.state.billing.invoices.by_uuid(uuid),
        None => {
            let (source, id) = key_in_query(context)?;
            context.state.billing.invoices.first_by_key(source, id)
        }
    };
    found.ok_or_else(|| not_found("Invoice"))
}

/// Documented: where there is no UUID in the path, the key stands in the query.
pub(super) fn key_in_query<'a>(context: &'a Context<'_>) -> Result<(&'a str, &'a str), Box<Reply>> {
    let needed = |name: &str| context.query.get(name).ok_or_else(|| missing(name));
    Ok((needed("data_source_uuid")?, needed("external_id")?))
}
