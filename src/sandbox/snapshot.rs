//! The account as JSON, for people and for comparing two runs.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Options;
use super::billing;
use super::shelves::Shelved;
use super::store::{Customer, State, shown};

/// Everything, oldest first.
pub(super) fn dump(state: &State, options: &Options) -> Value {
    let sources = state.sources.iter().map(
        |source| json!({"uuid": source.uuid, "name": source.name, "system": source.system, "created_at": shown(source.created)}),
    );
    let mut customers: Vec<&Customer> = state.customers.values().collect();
    customers.sort_by_key(|customer| customer.id);
    let customers = customers.into_iter().map(|customer| {
        let keys = customer.keys.iter();
        json!({
            "id": customer.id,
            "uuid": customer.uuid,
            "created_at": shown(customer.created),
            "keys": keys.map(|key| json!({"data_source_uuid": key.source, "external_id": key.external_id})).collect::<Vec<_>>(),
            "fields": customer.fields,
            "custom": sorted(&customer.custom),
            "tags": customer.tags,
            "errors": customer.errors,
        })
    });
    let contacts = state.contacts.values().rev().map(|contact| {
        json!({
            "uuid": contact.uuid,
            "created_at": shown(contact.created),
            "customer_uuid": state.customers.get(&contact.customer).map(|customer| &customer.uuid),
            "data_source_uuid": contact.source,
            "fields": contact.fields,
            "custom": sorted(&contact.custom),
        })
    });
    let shelved = |what| {
        let entries = state.shelves.get(what).entries.values().rev().map(|entry| {
            json!({
                "uuid": entry.uuid,
                "created_at": shown(entry.created),
                "updated_at": shown(entry.updated),
                "customer_uuid": state.customers.get(&entry.customer).map(|customer| &customer.uuid),
                "fields": entry.fields,
                "custom": sorted(&entry.custom),
            })
        });
        entries.collect::<Vec<_>>()
    };
    let dump = json!({
        "data_sources": sources.collect::<Vec<_>>(),
        "customers": customers.collect::<Vec<_>>(),
        "contacts": contacts.collect::<Vec<_>>(),
        "customer_notes": shelved(Shelved::Note),
        "opportunities": shelved(Shelved::Opportunity),
        "tasks": shelved(Shelved::Task),
        "json_imports": state.imports.dump(&options.imports),
    });
    joined(dump, billing::dump(state))
}

/// What the account holds, and nothing of when and under which identity it came.
pub(super) fn contents(state: &State) -> Value {
    let name = |uuid: &str| state.source(uuid).map_or_else(|| uuid.to_owned(), |source| source.name.clone());
    let keys = |customer: &Customer| {
        let mut keys: Vec<_> = customer.keys.iter().map(|key| (name(&key.source), key.external_id.clone())).collect();
        keys.sort_unstable();
        keys.into_iter().map(|(source, id)| json!({"data_source": source, "external_id": id})).collect::<Vec<_>>()
    };
    let sources = state.sources.iter().map(|source| json!({"name": source.name, "system": source.system}));
    let customers = state.customers.values().map(|customer| {
        let mut tags = customer.tags.clone();
        tags.sort_unstable();
        let body = json!({"keys": keys(customer), "fields": customer.fields, "custom": sorted(&customer.custom), "tags": tags});
        with_errors(body, &customer.errors)
    });
    let contacts = state.contacts.values().map(|contact| {
        json!({
            "customer": state.customers.get(&contact.customer).map(keys),
            "data_source": name(&contact.source),
            "fields": contact.fields,
            "custom": sorted(&contact.custom),
        })
    });
    let shelved = |what| {
        in_order(state.shelves.get(what).entries.values().map(|entry| {
            json!({
                "customer": state.customers.get(&entry.customer).map(keys),
                "fields": entry.fields,
                "custom": sorted(&entry.custom),
            })
        }))
    };
    let mut contents = json!({
        "data_sources": in_order(sources),
        "customers": in_order(customers),
        "contacts": in_order(contacts),
    });
    // Named where there are any, so that an expectation speaks of what it is about.
    let rarer = [
        ("customer_notes", shelved(Shelved::Note)),
        ("opportunities", shelved(Shelved::Opportunity)),
        ("tasks", shelved(Shelved::Task)),
    ];
    for (name, entries) in rarer.into_iter().filter(|(_, entries)| !entries.is_empty()) {
        contents[name] = entries.into();
    }
    joined(contents, billing::contents(state))
}

/// An entry, and what is wrong with it where something is.
pub(super) fn with_errors(mut body: Value, errors: &serde_json::Map<String, Value>) -> Value {
    if !errors.is_empty() {
        body["errors"] = Value::Object(errors.clone());
    }
    body
}

fn joined(mut all: Value, more: serde_json::Map<String, Value>) -> Value {
    if let Value::Object(all) = &mut all {
        all.extend(more);
    }
    all
}

fn sorted(custom: &serde_json::Map<String, Value>) -> BTreeMap<&String, &Value> {
    custom.iter().collect()
}

/// By their own text, since nothing else about them is the same in two runs.
pub(super) fn in_order(entries: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut entries: Vec<Value> = entries.collect();
    entries.sort_by_cached_key(Value::to_string);
    entries
}
