//! Contacts. Documented on the pages "Create a Contact", "Update a Contact", "List Contacts" and "Merge Contacts".

use std::collections::BTreeSet;
use std::ops::Bound;

use serde_json::{Map, Value, json};

use crate::objects::contacts::RESOURCE;
use crate::objects::resource::{Field, Kind};

use super::answers::{Outcome, Reply, coded, missing, not_found, ok, refused, refused_field};
use super::customers;
use super::fields::Changes;
use super::paging::{Paging, cursor_by_creation};
use super::routes::Context;
use super::store::{Contact, Fields};

/// Recorded: newest first, the same fields on every page. Documented: four filters; there is none on the external id.
pub(super) fn list(context: &Context<'_>, of_customer: Option<&str>) -> Outcome {
    let paging = Paging::by_creation(&context.query)?;
    let state = &context.state;
    let query = |name| context.query.get(name);
    let customer = match of_customer {
        Some(uuid) => Some(Some(customers::find(context, uuid)?)),
        None => query("customer_uuid").map(|uuid| state.customer_place(uuid)),
    };
    let customers_of_key = query("customer_external_id").map(|id| match query("data_source_uuid") {
        Some(source) => state.customer_by_key(source, id).into_iter().collect(),
        None => state.customers_by_external_id(id),
    });
    let fits = |place: &u64| {
        let contact = &state.contacts[place];
        context.listed(contact.created)
            && customer.is_none_or(|wanted| wanted == Some(contact.customer))
            && customers_of_key.as_ref().is_none_or(|wanted: &BTreeSet<u64>| wanted.contains(&contact.customer))
            && query("data_source_uuid").is_none_or(|wanted| contact.source == wanted)
            && query("email").is_none_or(|wanted| contact.fields.get("email").is_some_and(|email| email == wanted))
    };
    let range = (paging.from(), Bound::Unbounded);
    let within = |places: Option<&BTreeSet<u64>>| -> Vec<u64> {
        places.map(|places| places.range(range).copied().collect()).unwrap_or_default()
    };
    // The narrowest index that a filter allows.
    let page = if let Some(customer) = customer {
        paging.cut(within(customer.and_then(|place| state.contacts_of(place))).into_iter().filter(fits))
    } else if let Some(customers) = &customers_of_key {
        let found: BTreeSet<u64> = customers.iter().flat_map(|place| within(state.contacts_of(*place))).collect();
        paging.cut(found.into_iter().filter(fits))
    } else if let Some(email) = query("email") {
        paging.cut(within(state.contacts_with_email(email)).into_iter().filter(fits))
    } else if let Some(source) = query("data_source_uuid") {
        let places = state.contacts_in(source).into_iter().flat_map(|places| places.range(range).copied());
        paging.cut(places.filter(fits))
    } else {
        paging.cut(state.contacts.range(range).map(|(place, _)| *place).filter(fits))
    };
    let entries = page.places.iter().map(|place| as_json(context, &state.contacts[place])).collect();
    let last = page.places.last().map(|place| &state.contacts[place]);
    ok(200, Paging::plain(&page, entries, last.map(|contact| cursor_by_creation(contact.created, &contact.uuid))))
}

pub(super) fn get(context: &Context<'_>, uuid: &str) -> Outcome {
    ok(200, as_json(context, &context.state.contacts[&find(context, uuid)?]))
}

/// Documented: customer and data source are needed. No uniqueness is documented, so nothing is ever refused as a duplicate:
/// the side on which a careless client makes two.
pub(super) fn create(context: &mut Context<'_>, of_customer: Option<&str>) -> Outcome {
    let needed = |name: &str| context.body.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| missing(name));
    let customer = match of_customer {
        Some(uuid) => uuid.to_owned(),
        None => needed("customer_uuid")?,
    };
    let source = needed("data_source_uuid")?;
    let customer = customers::find(context, &customer)?;
    // Unknown whether the customer has to have a key in the data source.
    if !context.state.customers[&customer].keys.iter().any(|key| key.source == source) {
        return Err(refused_field("data_source_uuid", "is not a data source of the customer"));
    }
    let changes = Changes::read(RESOURCE.fields, &context.body, context.now()).map_err(refused)?;
    let custom = read_custom(context, RESOURCE.name, &context.options.contact_attributes)?;
    let mut fields = Fields::new();
    changes.apply(&mut fields, true);
    let place = add(context, customer, &source, fields, custom);
    ok(RESOURCE.statuses.created, as_json(context, &context.state.contacts[&place]))
}

pub(super) fn update(context: &mut Context<'_>, uuid: &str) -> Outcome {
    let place = find(context, uuid)?;
    let mut changes = Changes::read(RESOURCE.fields, &context.body, context.now()).map_err(refused)?;
    let custom = read_custom(context, RESOURCE.name, &context.options.contact_attributes)?;
    let null_clears = context.options.quirks.null_clears;
    // Documented by the official clients: null clears the external id. For all other fields it is unknown.
    let clears_key = changes.nulls.contains(&"external_id");
    changes.nulls.retain(|name| *name != "external_id");
    context.state.edit_contact(place, |contact| {
        changes.apply(&mut contact.fields, null_clears);
        if clears_key {
            contact.fields.remove("external_id");
        }
        contact.custom.extend(custom);
    });
    ok(RESOURCE.statuses.updated, as_json(context, &context.state.contacts[&place]))
}

/// Recorded: 200 with an empty object.
pub(super) fn delete(context: &mut Context<'_>, uuid: &str) -> Outcome {
    let place = find(context, uuid)?;
    context.state.remove_contact(place);
    ok(RESOURCE.statuses.deleted, json!({}))
}

/// Recorded: the survivor, shown without its customer. That it gets from the other what it lacks is unknown.
pub(super) fn merge(context: &mut Context<'_>, into: &str, from: &str) -> Outcome {
    let (into, from) = (find(context, into)?, find(context, from)?);
    if into == from {
        return Err(refused_field("from", "can't be the same contact"));
    }
    let Some(absorbed) = context.state.remove_contact(from) else {
        return Err(not_found("Contact"));
    };
    context.state.edit_contact(into, |contact| {
        for (name, value) in absorbed.fields {
            contact.fields.entry(name).or_insert(value);
        }
        for (key, value) in absorbed.custom {
            if !contact.custom.contains_key(&key) {
                contact.custom.insert(key, value);
            }
        }
    });
    let mut shown = as_json(context, &context.state.contacts[&into]);
    shown["customer_uuid"] = Value::Null;
    ok(200, shown)
}

/// Reads `primary_contact` of a customer's body.
pub(super) fn read_primary(context: &Context<'_>) -> Result<Option<Changes>, Box<Reply>> {
    match context.body.get("primary_contact") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(body)) => match Changes::read(primary_fields(), body, context.now()) {
            Ok(changes) => Ok(Some(changes)),
            Err(errors) => {
                Err(refused(errors.into_iter().map(|(name, problem)| (format!("primary_contact.{name}"), problem)).collect()))
            }
        },
        Some(_) => Err(refused_field("primary_contact", "must be an object")),
    }
}

/// Writes it. Which contact is the primary one is unknown; here it is the one that is placed first.
pub(super) fn put_primary(context: &mut Context<'_>, customer: u64, changes: Option<Changes>) {
    let Some(changes) = changes else { return };
    let state = &context.state;
    let places = state.contacts_of(customer).into_iter().flatten().copied();
    let first = places.min_by_key(|place| state.contacts[place].fields.get("position").and_then(Value::as_i64));
    match first {
        Some(place) => {
            let null_clears = context.options.quirks.null_clears;
            context.state.edit_contact(place, |contact| changes.apply(&mut contact.fields, null_clears));
        }
        None => {
            let source = state.customers[&customer].own.source.clone();
            add(context, customer, &source, changes.set, Map::new());
        }
    }
}

fn primary_fields() -> &'static [Field] {
    let primary = crate::objects::customers::RESOURCE.field("primary_contact");
    match primary.map(|field| &field.kind) {
        Some(Kind::Object(fields)) => fields,
        _ => &[],
    }
}

/// Recorded: a new contact comes last on the customer's page.
fn add(context: &mut Context<'_>, customer: u64, source: &str, mut fields: Fields, custom: Map<String, Value>) -> u64 {
    let others = context.state.contacts_of(customer).into_iter().flatten();
    let last = others.filter_map(|place| context.state.contacts[place].fields.get("position")?.as_i64()).max();
    fields.entry("position").or_insert_with(|| (last.unwrap_or(0) + 1).into());
    context.state.add_contact(customer, source, fields, custom)
}

/// Reads `[{key, value}]` of an entry of this list. Recorded: keys that were not defined in the app are dropped, without an
/// error. What a value of another type than the one defined gets is unknown; here the first value of a key says whether it
/// takes texts, numbers or Booleans, and others are refused.
pub(super) fn read_custom(
    context: &mut Context<'_>,
    of: &'static str,
    defined: &[String],
) -> Result<Map<String, Value>, Box<Reply>> {
    let entries = match context.body.get("custom") {
        None | Some(Value::Null) => return Ok(Map::new()),
        Some(Value::Array(entries)) => entries,
        Some(_) => return Err(refused_field("custom", "must be a list of key and value")),
    };
    let mut custom = Map::new();
    for entry in entries {
        let key = entry.get("key").and_then(Value::as_str).ok_or_else(|| refused_field("custom", "key is missing"))?;
        let value = entry.get("value").ok_or_else(|| refused_field("custom", "value is missing"))?;
        if defined.iter().any(|defined| defined == key) {
            let kind = kind_of(value);
            let known = context.state.attribute_kinds.get(&(of, key.to_owned())).copied().filter(|_| !value.is_null());
            if let Some(known) = known.filter(|known| *known != kind) {
                return Err(refused_field("custom", &format!("{key} takes a {known}")));
            }
            custom.insert(key.to_owned(), value.clone());
        }
    }
    for (key, value) in custom.iter().filter(|(_, value)| !value.is_null()) {
        context.state.attribute_kinds.insert((of, key.clone()), kind_of(value));
    }
    Ok(custom)
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "Boolean",
        Value::Number(_) => "number",
        _ => "text",
    }
}

/// The body of this 404 is unknown; it differs from that of customers on purpose, since the API has no single form.
fn find(context: &Context<'_>, uuid: &str) -> Result<u64, Box<Reply>> {
    let missing = || Box::new(coded(404, "Contact not found", Some("uuid")));
    context.state.contact_place(uuid).ok_or_else(missing)
}

/// Recorded key by key, but for `external_id`, which the official clients read since 2026. Nothing shows when a contact was
/// last seen, though it can be sent.
fn as_json(context: &Context<'_>, contact: &Contact) -> Value {
    let customer = &context.state.customers[&contact.customer];
    let key = customer.keys.iter().find(|key| key.source == contact.source).unwrap_or(&customer.own);
    let mut body = Map::from_iter([
        ("uuid".to_owned(), Value::from(contact.uuid.as_str())),
        ("customer_uuid".to_owned(), customer.uuid.as_str().into()),
        ("customer_external_id".to_owned(), key.external_id.as_str().into()),
        ("data_source_uuid".to_owned(), contact.source.as_str().into()),
    ]);
    for name in SHOWN {
        body.insert((*name).to_owned(), contact.fields.get(name).cloned().unwrap_or(Value::Null));
    }
    body.insert("custom".to_owned(), Value::Object(contact.custom.clone()));
    Value::Object(body)
}

const SHOWN: &[&str] =
    &["external_id", "position", "first_name", "last_name", "title", "email", "phone", "linked_in", "twitter", "notes"];
