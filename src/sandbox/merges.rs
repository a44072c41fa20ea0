//! Merging customers and taking them apart again. Documented on the pages "Merge Customers" and "Unmerge Customers".
//!
//! Recorded: both answer 202, so they happen later; how much later is unknown, here it is at once.

use serde_json::{Value, json};

use super::answers::{Outcome, Reply, missing, not_found, ok, refused_field};
use super::attributes::join_tags;
use super::customers;
use super::routes::Context;
use super::shelves::Shelved;
use super::store::SourceKey;

/// `from` goes into `into`. Recorded: `into` keeps its fields, gets the other's keys, custom attributes it lacks and the tag
/// `merged-customer`.
pub(super) fn merge(context: &mut Context<'_>) -> Outcome {
    let from = side(context, "from")?;
    let into = side(context, "into")?;
    if from == into {
        return Err(refused_field("into", "can't be the same customer"));
    }
    let Some(absorbed) = context.state.take_customer(from) else {
        return Err(not_found("Customer"));
    };
    for contact in context.state.contacts_of(from).cloned().unwrap_or_default() {
        context.state.edit_contact(contact, |contact| contact.customer = into);
    }
    context.state.shelves.hand_over_all(from, into);
    context.state.edit_customer(into, |customer| {
        for key in &absorbed.keys {
            // Recorded: keys of one data source stand together.
            let after = customer.keys.iter().rposition(|other| other.source == key.source);
            customer.keys.insert(after.map_or(customer.keys.len(), |place| place + 1), key.clone());
        }
        for (key, value) in &absorbed.custom {
            if !customer.custom.contains_key(key) {
                customer.custom.insert(key.clone(), value.clone());
            }
        }
        join_tags(&mut customer.tags, absorbed.tags.clone());
        join_tags(&mut customer.tags, vec!["merged-customer".to_owned()]);
        customer.absorbed.push(absorbed);
    });
    ok(202, json!({}))
}

/// Takes one key out of a merged customer. What the new customer looks like is unknown; here it is what was merged away
/// under that key, with a new UUID, or empty where the key was the survivor's own. Documented: notes, opportunities and tasks
/// move to it where `move_to_new_customer` names them; that all of the survivor's do, not its former ones alone, is unknown.
pub(super) fn unmerge(context: &mut Context<'_>) -> Outcome {
    let text = |name: &str| context.body.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| missing(name));
    let place = customers::find(context, &text("customer_uuid")?)?;
    let key = SourceKey { source: text("data_source_uuid")?, external_id: text("external_id")? };
    let moves = read_moves(context)?;
    let customer = &context.state.customers[&place];
    if customer.keys.len() < 2 || !customer.keys.contains(&key) {
        return Err(refused_field("external_id", "is not part of a merged customer"));
    }
    let mut apart = customer.absorbed.iter().find(|absorbed| absorbed.own == key).cloned().unwrap_or_else(|| {
        let mut empty = customer.clone();
        empty.fields.clear();
        empty.custom.clear();
        empty.tags.clear();
        empty
    });
    apart.own = key.clone();
    context.state.edit_customer(place, |customer| {
        customer.keys.retain(|other| *other != key);
        customer.absorbed.retain(|absorbed| absorbed.own != key);
        if customer.own == key {
            customer.own = customer.keys[0].clone();
        }
    });
    let fresh = context.state.restore_customer(apart);
    for what in moves {
        context.state.shelves.hand_over(what, place, fresh);
    }
    ok(202, json!({}))
}

/// Recorded: an empty list. Its three words are documented; that another one is refused is unknown.
fn read_moves(context: &Context<'_>) -> Result<Vec<Shelved>, Box<Reply>> {
    let named = |word: &Value| match word.as_str() {
        Some("notes") => Some(Shelved::Note),
        Some("opportunities") => Some(Shelved::Opportunity),
        Some("tasks") => Some(Shelved::Task),
        _ => None,
    };
    let moves = match context.body.get("move_to_new_customer") {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(words)) => words.iter().map(named).collect(),
        Some(_) => None,
    };
    moves.ok_or_else(|| refused_field("move_to_new_customer", "must be a list of tasks, opportunities and notes"))
}

/// Recorded: by UUID. Documented: by data source and external id.
fn side(context: &Context<'_>, name: &str) -> Result<u64, Box<Reply>> {
    let side = context.body.get(name).ok_or_else(|| missing(name))?;
    let text = |field: &str| side.get(field).and_then(Value::as_str);
    match (text("customer_uuid"), text("data_source_uuid"), text("external_id")) {
        (Some(uuid), _, _) => customers::find(context, uuid),
        (None, Some(source), Some(id)) => context.state.customer_by_key(source, id).ok_or_else(|| not_found("Customer")),
        _ => Err(missing(&format!("{name}.customer_uuid"))),
    }
}
