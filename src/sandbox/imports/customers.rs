//! Customers of a bulk import.

use serde_json::{Map, Value};

use super::{Fate, Readings};
use crate::objects::customers::RESOURCE;
use crate::sandbox::fields::{Changes, settle_state};
use crate::sandbox::store::{Fields, SourceKey, State, timestamp};

/// Fields that are wrong are not kept. That a customer needs a name is strict: elsewhere it is optional according to newer
/// documentation and needed according to older, and every example of an import has one.
pub(super) fn import(state: &mut State, source: &str, readings: &Readings, body: &Map<String, Value>) -> Fate {
    let (mut fields, mut errors) = read(state, body);
    if fields.get("name").is_none_or(|name| name == "") {
        errors.entry("name").or_insert("can't be blank".into());
    }
    let external_id = body.get("external_id").and_then(Value::as_str).unwrap_or_default().to_owned();
    match state.customer_by_key(source, &external_id) {
        None => {
            settle_state(&mut fields);
            let fate = Fate::of(&errors);
            let place = state.add_customer(SourceKey { source: source.to_owned(), external_id }, fields);
            state.edit_customer(place, |customer| customer.errors = errors);
            fate
        }
        Some(place) => {
            let (writes, fate) = readings.existing.meets(&errors);
            if writes {
                state.edit_customer(place, |customer| {
                    customer.fields.extend(fields);
                    settle_state(&mut customer.fields);
                    customer.errors.clear();
                });
            }
            fate
        }
    }
}

/// What can be kept of a body, and what is wrong with the rest.
fn read(state: &State, body: &Map<String, Value>) -> (Fields, Map<String, Value>) {
    let now = timestamp(state.now());
    let mut good = body.clone();
    // The key is looked at before and stands elsewhere.
    good.remove("external_id");
    let errors = Changes::read(RESOURCE.fields, &good, now).err().unwrap_or_default();
    good.retain(|field, _| !errors.contains_key(field));
    (Changes::read(RESOURCE.fields, &good, now).map(|changes| changes.set).unwrap_or_default(), errors)
}
