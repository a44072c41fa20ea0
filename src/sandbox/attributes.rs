//! Tags and custom attributes of customers.
//!
//! Documented on the pages "Add Tags to a Customer", "Remove Tags", "Add Custom Attributes", "Update Custom Attributes" and
//! "Adding custom attributes".

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::answers::{Outcome, Reply, coded, done, missing, ok, refused_field};
use super::customers;
use super::fields::AttributeType;
use super::routes::Context;

/// Documented; nothing recorded.
pub(super) fn get(context: &Context<'_>, uuid: &str) -> Outcome {
    let customer = &context.state.customers[&customers::find(context, uuid)?];
    ok(200, json!({"tags": customer.tags, "stripe": {}, "custom": customer.custom}))
}

/// Recorded: the answer is the whole list. Documented by the official MCP server: tags that are there stay single.
pub(super) fn add_tags(context: &mut Context<'_>, uuid: &str) -> Outcome {
    let place = customers::find(context, uuid)?;
    let tags = read_tags(context.body.get("tags").ok_or_else(|| missing("tags"))?)?;
    context.state.edit_customer(place, |customer| join_tags(&mut customer.tags, tags));
    ok(200, json!({"tags": context.state.customers[&place].tags}))
}

/// Recorded: the answer is what is left. That removing an absent tag is no error is unknown.
pub(super) fn remove_tags(context: &mut Context<'_>, uuid: &str) -> Outcome {
    let place = customers::find(context, uuid)?;
    let tags = read_tags(context.body.get("tags").ok_or_else(|| missing("tags"))?)?;
    context.state.edit_customer(place, |customer| customer.tags.retain(|tag| !tags.contains(tag)));
    ok(200, json!({"tags": context.state.customers[&place].tags}))
}

/// Documented: reaches every customer with this e-mail address, in all data sources.
pub(super) fn add_tags_by_email(context: &mut Context<'_>) -> Outcome {
    let places = by_email(context)?;
    let tags = read_tags(context.body.get("tags").ok_or_else(|| missing("tags"))?)?;
    for place in &places {
        context.state.edit_customer(*place, |customer| join_tags(&mut customer.tags, tags.clone()));
    }
    entries(context, &places)
}

/// Recorded: the answer is the whole map. Documented: what is not named stays. That an existing key of the same type is
/// overwritten is unknown.
pub(super) fn add_custom(context: &mut Context<'_>, uuid: &str) -> Outcome {
    let place = customers::find(context, uuid)?;
    let mut custom = read_typed(context, sent_custom(context)?)?;
    if context.options.quirks.post_keeps_attributes {
        custom.retain(|(key, ..)| !context.state.customers[&place].custom.contains_key(key));
    }
    set(context, &[place], &custom);
    ok(200, json!({"custom": context.state.customers[&place].custom}))
}

/// Recorded: several keys at once; the answer is the whole map. A Boolean can become false here.
pub(super) fn set_custom(context: &mut Context<'_>, uuid: &str) -> Outcome {
    let place = customers::find(context, uuid)?;
    let custom = read_map(context, sent_custom(context)?)?;
    set(context, &[place], &custom);
    ok(200, json!({"custom": context.state.customers[&place].custom}))
}

/// Recorded: 204. That removing an absent key is no error is unknown.
pub(super) fn remove_custom(context: &mut Context<'_>, uuid: &str) -> Outcome {
    let place = customers::find(context, uuid)?;
    let keys: Vec<String> = match sent_custom(context)? {
        Value::Array(keys) => keys.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => return Err(refused_field("custom", "must be a list of keys")),
    };
    context.state.edit_customer(place, |customer| customer.custom.retain(|key, _| !keys.contains(key)));
    done(204)
}

pub(super) fn add_custom_by_email(context: &mut Context<'_>) -> Outcome {
    let places = by_email(context)?;
    let custom = read_typed(context, sent_custom(context)?)?;
    set(context, &places, &custom);
    entries(context, &places)
}

pub(super) fn set_custom_by_email(context: &mut Context<'_>) -> Outcome {
    let places = by_email(context)?;
    let custom = read_map(context, sent_custom(context)?)?;
    set(context, &places, &custom);
    entries(context, &places)
}

/// Attributes that were checked and may be set.
pub(super) type Checked = Vec<(String, AttributeType, Value)>;

/// What a customer's body says about attributes.
#[derive(Debug, Default)]
pub(super) struct Inline {
    pub(super) tags: Option<Vec<String>>,
    pub(super) custom: Checked,
}

/// Reads `attributes` of a customer's body. Documented: typed entries in a create; in an update the documentation shows a
/// map and the official n8n node sends typed entries, so both are taken.
pub(super) fn read_inline(context: &Context<'_>, is_update: bool) -> Result<Inline, Box<Reply>> {
    let attributes = match context.body.get("attributes") {
        None | Some(Value::Null) => return Ok(Inline::default()),
        Some(Value::Object(attributes)) => attributes,
        Some(_) => return Err(refused_field("attributes", "must be an object")),
    };
    let tags = attributes.get("tags").filter(|tags| !tags.is_null()).map(read_tags).transpose()?;
    let custom = match attributes.get("custom") {
        None | Some(Value::Null) => Vec::new(),
        Some(custom @ Value::Object(_)) if is_update => read_map(context, custom)?,
        Some(custom) => read_typed(context, custom)?,
    };
    Ok(Inline { tags, custom })
}

/// Fixes the types of new keys for the whole account. Documented: a key's type is that of its first value.
pub(super) fn fix_types(context: &mut Context<'_>, custom: &Checked) {
    for (key, kind, _) in custom {
        context.state.attribute_types.insert(key.clone(), *kind);
    }
}

fn set(context: &mut Context<'_>, places: &[u64], custom: &Checked) {
    fix_types(context, custom);
    for place in places {
        context.state.edit_customer(*place, |customer| {
            customer.custom.extend(custom.iter().map(|(key, _, value)| (key.clone(), value.clone())));
        });
    }
}

pub(super) fn join_tags(tags: &mut Vec<String>, more: Vec<String>) {
    for tag in more {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
}

fn read_tags(value: &Value) -> Result<Vec<String>, Box<Reply>> {
    let refusal = || refused_field("tags", "must be a list of strings");
    let mut tags = Vec::new();
    for tag in value.as_array().ok_or_else(refusal)? {
        let tag = tag.as_str().filter(|tag| !tag.is_empty()).ok_or_else(refusal)?;
        join_tags(&mut tags, vec![tag.to_owned()]);
    }
    Ok(tags)
}

fn sent_custom<'a>(context: &'a Context<'_>) -> Result<&'a Value, Box<Reply>> {
    context.body.get("custom").ok_or_else(|| missing("custom"))
}

/// Reads `[{type, key, value, source}]`. Nothing is set when one entry is wrong; whether the API sets the others is unknown.
fn read_typed(context: &Context<'_>, custom: &Value) -> Result<Checked, Box<Reply>> {
    let mut checked = Checked::new();
    let mut earlier: HashMap<&str, AttributeType> = HashMap::new();
    for entry in custom.as_array().ok_or_else(|| refused_field("custom", "must be a list of type, key and value"))? {
        let text = |name| entry.get(name).and_then(Value::as_str);
        let key = text("key").filter(|key| is_key(key)).ok_or_else(|| refused_field("custom", "key is invalid"))?;
        let kind = text("type").and_then(AttributeType::named).ok_or_else(|| refused_field("custom", "type is invalid"))?;
        let known = context.state.attribute_types.get(key).copied().unwrap_or_else(|| *earlier.entry(key).or_insert(kind));
        if known != kind {
            // Unknown; that a conflict is refused is what the documentation suggests.
            return Err(refused_field("custom", &format!("{key} is already defined with the type {known}")));
        }
        let value = entry.get("value").and_then(|value| kind.value(value));
        let value = value.ok_or_else(|| refused_field("custom", &format!("value of {key} is no valid {kind}")))?;
        checked.push((key.to_owned(), kind, value));
    }
    Ok(checked)
}

/// Reads `{key: value}` or `{key: {value, source}}`. Documented: the key has to have been created with a type before; what
/// happens otherwise is unknown.
fn read_map(context: &Context<'_>, custom: &Value) -> Result<Checked, Box<Reply>> {
    let mut checked = Checked::new();
    for (key, value) in custom.as_object().ok_or_else(|| refused_field("custom", "must be a map of keys to values"))? {
        let known = context.state.attribute_types.get(key).copied();
        let kind = known.ok_or_else(|| refused_field("custom", &format!("{key} is not defined")))?;
        let plain = value.as_object().map_or(Some(value), |object| object.get("value"));
        let value = plain.and_then(|value| kind.value(value));
        let value = value.ok_or_else(|| refused_field("custom", &format!("value of {key} is no valid {kind}")))?;
        checked.push((key.clone(), kind, value));
    }
    Ok(checked)
}

/// Documented by the official MCP server: letters, digits and underscores.
fn is_key(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn by_email(context: &Context<'_>) -> Result<Vec<u64>, Box<Reply>> {
    let email = context.body.get("email").and_then(Value::as_str).ok_or_else(|| missing("email"))?;
    let places: Vec<u64> = context.state.customers_with_email(email).into_iter().collect();
    if places.is_empty() { Err(nobody(email)) } else { Ok(places) }
}

/// Shape C. Recorded for the customer search.
pub(super) fn nobody(email: &str) -> Box<Reply> {
    Box::new(coded(404, &format!("Can't find any customers with email: \"{email}\""), Some("email")))
}

fn entries(context: &Context<'_>, places: &[u64]) -> Outcome {
    let entries: Vec<Value> = places.iter().map(|place| customers::as_json(context, *place)).collect();
    ok(200, Value::Object(Map::from_iter([("entries".to_owned(), Value::Array(entries))])))
}
