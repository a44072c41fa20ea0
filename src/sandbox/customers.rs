//! Customers: list, search, create, update, delete.
//!
//! Documented on the pages "Create a Customer", "Update a Customer", "Delete a Customer" and "List Customers". There is no
//! way to address a customer by its external id but the filters of the list.

use std::collections::BTreeSet;
use std::ops::Bound;

use serde_json::{Map, Value, json};

use crate::objects::customers::RESOURCE;

use super::account::CURRENCY;
use super::answers::{Outcome, Reply, done, echoed, invalid, missing, not_found, ok, refused, refused_field};
use super::attributes::{fix_types, nobody, read_inline};
use super::contacts;
use super::countries::{country_name, state_name};
use super::fields::{Changes, settle_state};
use super::paging::Paging;
use super::routes::Context;
use super::store::{Customer, Fields, SourceKey, place_of_id};

/// The message of the official Go client's constants.
const DUPLICATE: &str = "The external ID for this customer already exists in our system.";

/// Documented: filters on data source, external id, status (with underscores) and system. An unknown external id is an empty
/// list (recorded); that an unknown data source is one as well is unknown.
pub(super) fn list(context: &Context<'_>) -> Outcome {
    let paging = read_paging(context)?;
    let status = match context.query.get("status") {
        Some(status) if STATUSES.contains(&status) => Some(status.replace('_', " ")),
        Some(_) => return Err(invalid("status")),
        None => None,
    };
    let system = context.query.get("system");
    let fits = |place: &u64| {
        let customer = &context.state.customers[place];
        context.listed(customer.created)
            && status.as_ref().is_none_or(|wanted| *wanted == status_of(customer))
            && system.is_none_or(|wanted| system_of(context, customer) == wanted)
    };
    let all = |from: Bound<u64>| -> Box<dyn Iterator<Item = u64> + '_> {
        let state = &context.state;
        match (context.query.get("data_source_uuid"), context.query.get("external_id")) {
            (Some(source), Some(id)) => Box::new(state.customer_by_key(source, id).into_iter()),
            (None, Some(id)) => Box::new(state.customers_by_external_id(id).into_iter()),
            (Some(source), None) => match state.customers_of(source) {
                Some(places) => Box::new(places.range((from, Bound::Unbounded)).copied()),
                None => Box::new(std::iter::empty()),
            },
            (None, None) => Box::new(state.customers.range((from, Bound::Unbounded)).map(|(place, _)| *place)),
        }
    };
    let from = paging.from();
    let follows = |place: &u64| match from {
        Bound::Excluded(last) => *place > last,
        _ => true,
    };
    let page = paging.cut(all(from).filter(follows).filter(fits));
    let total = paging.tells_total().then(|| all(Bound::Unbounded).filter(fits).count());
    let entries = page.places.iter().map(|place| as_json(context, *place)).collect();
    let cursor = page.places.last().map(|place| cursor(context, *place));
    ok(200, paging.with_old_fields(&page, entries, total, cursor))
}

/// Recorded: by e-mail address, with pages; nobody found is a 404.
pub(super) fn search(context: &Context<'_>) -> Outcome {
    let paging = read_paging(context)?;
    let email = context.query.get("email").ok_or_else(|| missing("email"))?;
    let mut found: BTreeSet<u64> = context.state.customers_with_email(email);
    // Documented by the official n8n node.
    if context.query.flag("with_associated_emails") {
        let of_contacts = context.state.contacts_with_email(email).into_iter().flatten();
        found.extend(of_contacts.filter_map(|place| context.state.contacts.get(place)).map(|contact| contact.customer));
    }
    found.retain(|place| context.listed(context.state.customers[place].created));
    if found.is_empty() {
        return Err(nobody(email));
    }
    let page = paging.cut(found.range((paging.from(), Bound::Unbounded)).copied());
    let entries = page.places.iter().map(|place| as_json(context, *place)).collect();
    let cursor = page.places.last().map(|place| cursor(context, *place));
    ok(200, paging.with_old_fields(&page, entries, None, cursor))
}

pub(super) fn get(context: &Context<'_>, uuid: &str) -> Outcome {
    ok(200, as_json(context, find(context, uuid)?))
}

pub(super) fn create(context: &mut Context<'_>) -> Outcome {
    let key = key_in(&context.body)?;
    let changes = Changes::read(RESOURCE.fields, &context.body, context.now()).map_err(refused)?;
    let inline = read_inline(context, false)?;
    let contact = contacts::read_primary(context)?;
    if context.state.source(&key.source).is_none() {
        // Unknown; the shape is that of a data source asked for by itself.
        return Err(not_found("Data source"));
    }
    if context.state.customer_by_key(&key.source, &key.external_id).is_some() {
        return Err(echoed(&context.body, "external_id", DUPLICATE));
    }
    let mut fields = Fields::new();
    changes.apply(&mut fields, true);
    settle(context, &mut fields, None);
    fix_types(context, &inline.custom);
    let place = context.state.add_customer(key, fields);
    context.state.edit_customer(place, |customer| {
        customer.tags = inline.tags.unwrap_or_default();
        customer.custom.extend(inline.custom.into_iter().map(|(key, _, value)| (key, value)));
    });
    contacts::put_primary(context, place, contact);
    ok(RESOURCE.statuses.created, as_json(context, place))
}

/// Documented: every field but the external id and the data source. Recorded: those are tolerated when they are unchanged.
pub(super) fn update(context: &mut Context<'_>, uuid: &str) -> Outcome {
    let place = find(context, uuid)?;
    let changes = Changes::read(RESOURCE.fields, &context.body, context.now()).map_err(refused)?;
    let inline = read_inline(context, true)?;
    let contact = contacts::read_primary(context)?;
    let keys = &context.state.customers[&place].keys;
    for (field, ours) in [
        ("external_id", keys.iter().map(|key| key.external_id.as_str()).collect::<Vec<_>>()),
        ("data_source_uuid", keys.iter().map(|key| key.source.as_str()).collect()),
    ] {
        // Unknown what a change does; silently ignoring it would hide a client's mistake.
        if context.body.get(field).and_then(Value::as_str).is_some_and(|sent| !ours.contains(&sent)) {
            return Err(refused_field(field, "can't be changed"));
        }
    }
    let null_clears = context.options.quirks.null_clears;
    let old_owner = context.state.customers[&place].fields.get("owner").cloned();
    let mut fields = context.state.customers[&place].fields.clone();
    changes.apply(&mut fields, null_clears);
    settle(context, &mut fields, old_owner);
    fix_types(context, &inline.custom);
    context.state.edit_customer(place, |customer| {
        customer.errors.retain(|field, _| !fields.contains_key(field.as_str()));
        customer.fields = fields;
        // Unknown whether tags are replaced or joined. Replacing is the side on which a careless client loses something.
        if let Some(tags) = inline.tags {
            customer.tags = tags;
        }
        for (key, _, value) in inline.custom {
            // Recorded in 2023: an update with false left a true Boolean true and answered 200.
            let stays_true = value == Value::Bool(false) && customer.custom.get(&key) == Some(&Value::Bool(true));
            if !stays_true {
                customer.custom.insert(key, value);
            }
        }
    });
    contacts::put_primary(context, place, contact);
    ok(RESOURCE.statuses.updated, as_json(context, place))
}

/// Recorded: 204. Documented: everything of the customer goes with it.
pub(super) fn delete(context: &mut Context<'_>, uuid: &str) -> Outcome {
    let place = find(context, uuid)?;
    context.state.remove_customer(place);
    done(RESOURCE.statuses.deleted)
}

/// A customer's place by its UUID. The body of the 404 is reported by users of an official client.
pub(super) fn find(context: &Context<'_>, uuid: &str) -> Result<u64, Box<Reply>> {
    context.state.customer_place(uuid).ok_or_else(|| not_found("Customer"))
}

/// The statuses of the list's filter. Documented by the official n8n node.
const STATUSES: &[&str] = &["New_Lead", "Working_Lead", "Qualified_Lead", "Unqualified_Lead", "Active", "Past_Due", "Cancelled"];

fn key_in(body: &Map<String, Value>) -> Result<SourceKey, Box<Reply>> {
    let needed = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Err(missing(name)),
        // Whether an external id may be a number is unknown.
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(refused_field(name, "must be a string")),
    };
    Ok(SourceKey { source: needed("data_source_uuid")?, external_id: needed("external_id")? })
}

/// Rules between fields. Recorded: an unknown owner is dropped, without an error.
fn settle(context: &Context<'_>, fields: &mut Fields, old_owner: Option<Value>) {
    settle_state(fields);
    fields.remove("external_id");
    let is_user = |owner: &Value| context.options.users.iter().any(|user| owner == user);
    if fields.get("owner").is_some_and(|owner| !is_user(owner)) {
        match old_owner {
            Some(owner) => fields.insert("owner", owner),
            None => fields.remove("owner"),
        };
    }
}

fn read_paging(context: &Context<'_>) -> Result<Paging, Box<Reply>> {
    Paging::read(&context.query, |text| text.rsplit_once('&')?.1.parse().ok().map(place_of_id))
}

/// Recorded: the date a customer became one, which leads have not, and the id.
fn cursor(context: &Context<'_>, place: u64) -> String {
    format!("&{}", context.state.customers[&place].id)
}

fn status_of(customer: &Customer) -> &str {
    customer.fields.get("status").and_then(Value::as_str).unwrap_or("New Lead")
}

fn system_of<'a>(context: &'a Context<'_>, customer: &Customer) -> &'a str {
    context.state.source(&customer.own.source).map_or("Custom", |source| source.system.as_str())
}

/// Recorded key by key, in the newest form: since 2025 without `clearbit`, with `website_url`, and with null for a city that
/// is not set, which was an empty text before. Name, e-mail address and company that are not set are empty texts.
pub(super) fn as_json(context: &Context<'_>, place: u64) -> Value {
    let customer = &context.state.customers[&place];
    let get = |name: &str| customer.fields.get(name).cloned().unwrap_or(Value::Null);
    let text = |name: &str| customer.fields.get(name).cloned().unwrap_or_else(|| "".into());
    let full =
        |name: &str, names: fn(&str) -> Option<&'static str>| customer.fields.get(name).and_then(Value::as_str).and_then(names);
    let keys = &customer.keys;
    let mut body = json!({
        "id": customer.id,
        "uuid": customer.uuid,
        "external_id": customer.own.external_id,
        "name": text("name"),
        "email": text("email"),
        "status": status_of(customer),
        "customer-since": null,
        "attributes": {"custom": customer.custom, "stripe": {}, "tags": customer.tags},
        "data_source_uuid": customer.own.source,
        "data_source_uuids": keys.iter().map(|key| key.source.as_str()).collect::<Vec<_>>(),
        "external_ids": keys.iter().map(|key| key.external_id.as_str()).collect::<Vec<_>>(),
        "company": text("company"),
        "country": get("country"),
        "state": get("state"),
        "city": get("city"),
        "zip": get("zip"),
        "lead_created_at": get("lead_created_at"),
        "free_trial_started_at": get("free_trial_started_at"),
        "address": {
            "country": full("country", country_name),
            "state": full("state", state_name),
            "city": get("city"),
            "address_zip": get("zip"),
        },
        "mrr": 0,
        "arr": 0,
        "billing-system-url": null,
        "chartmogul-url": page_url(customer),
        "billing-system-type": system_of(context, customer),
        "currency": CURRENCY.0,
        "currency-sign": CURRENCY.1,
        "owner": get("owner"),
        "website_url": get("website_url"),
    });
    if !customer.errors.is_empty() {
        // Documented by the official Go client, which has an `Errors` field in every object. No recorded customer has the
        // key; that it is there where there is something to say is unknown.
        body["errors"] = Value::Object(customer.errors.clone());
    }
    body
}

/// Recorded: the id and, with underscores, the company, or else the name.
fn page_url(customer: &Customer) -> String {
    let named = |name: &str| customer.fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let title = named("company").or(named("name")).unwrap_or_default();
    let words = title.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    format!("https://app.chartmogul.com/#/customers/{}-{}", customer.id, words.collect::<Vec<_>>().join("_"))
}
