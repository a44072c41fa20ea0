//! Keys to UUIDs, as far as this run has seen them. Grows with the distinct keys of a sync, never with its records.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::objects::customers::pairs;

/// A customer that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownCustomer {
    /// Its UUID. For a merged customer, the survivor's.
    pub uuid: Box<str>,
    /// The tags it had when last seen.
    pub tags: Box<[Box<str>]>,
    /// Under how many pairs of data source and external id it stands.
    pub pairs: usize,
    /// Whether the configured data source is among them.
    pub ours: bool,
}

impl KnownCustomer {
    /// Reads an entry of a list or the answer to a write; `None` when it has no UUID.
    pub fn read(data_source: &str, entry: &Value) -> Option<Self> {
        let tags = entry["attributes"]["tags"].as_array().map_or(&[][..], Vec::as_slice);
        Some(Self {
            uuid: entry["uuid"].as_str()?.into(),
            tags: tags.iter().filter_map(Value::as_str).map(Into::into).collect(),
            pairs: pairs(entry).count(),
            ours: pairs(entry).any(|(source, _)| source == data_source),
        })
    }
}

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// External id in the configured data source → the customer, or that there was none when we looked.
    customers: HashMap<Box<str>, Option<KnownCustomer>>,
    /// Customer's UUID → the keys of its contacts in the configured data source.
    contacts: HashMap<Box<str>, Vec<Value>>,
}

impl Index {
    /// What is known under a key; the outer `None` means nothing at all.
    pub(super) fn customer(&self, key: &str) -> Option<Option<&KnownCustomer>> {
        self.customers.get(key).map(Option::as_ref)
    }

    /// Takes in an entry under each of its keys in `data_source`.
    pub(super) fn saw_customer(&mut self, data_source: &str, entry: &Value) -> Option<KnownCustomer> {
        let known = KnownCustomer::read(data_source, entry)?;
        for (_, key) in pairs(entry).filter(|(source, _)| *source == data_source) {
            self.customers.insert(key.into(), Some(known.clone()));
        }
        Some(known)
    }

    pub(super) fn saw_no_customer(&mut self, key: &str) {
        self.customers.insert(key.into(), None);
    }

    pub(super) fn forget_customer(&mut self, key: &str) {
        self.customers.remove(key);
    }

    /// A customer is gone, under whatever keys it stood.
    pub(super) fn customer_gone(&mut self, uuid: &str) {
        for known in self.customers.values_mut() {
            if known.as_ref().is_some_and(|known| known.uuid.as_ref() == uuid) {
                *known = None;
            }
        }
        self.contacts.remove(uuid);
    }

    pub(super) fn contacts(&self, customer: &str) -> Option<&Vec<Value>> {
        self.contacts.get(customer)
    }

    /// Takes in the contacts of a customer as they were listed; answers them with those that are known beside them. A list
    /// may lag behind our own writes: what it lacks is not gone.
    pub(super) fn saw_contacts(&mut self, customer: &str, mut entries: Vec<Value>) -> Vec<Value> {
        let known = self.contacts.entry(customer.into()).or_default();
        known.retain(|entry| entries.iter().all(|listed| listed["uuid"] != entry["uuid"]));
        let unlisted = known.clone();
        known.extend(entries.iter().map(contact_keys));
        entries.extend(unlisted);
        entries
    }

    /// Lays one entry over what is known of its customer; does nothing when that was never read.
    pub(super) fn saw_contact(&mut self, customer: &str, entry: &Value) {
        if let Some(known) = self.contacts.get_mut(customer) {
            match known.iter_mut().find(|other| other["uuid"] == entry["uuid"]) {
                Some(other) => *other = contact_keys(entry),
                None => known.push(contact_keys(entry)),
            }
        }
    }

    /// What was known of a customer's contacts is no longer all of it.
    pub(super) fn forget_contacts(&mut self, customer: &str) {
        self.contacts.remove(customer);
    }

    pub(super) fn contact_gone(&mut self, uuid: &str) {
        for known in self.contacts.values_mut() {
            known.retain(|entry| entry["uuid"] != uuid);
        }
    }
}

/// What is kept of a contact: its keys, or all of it when it has none and can only be found by its values.
fn contact_keys(entry: &Value) -> Value {
    if entry["external_id"].is_null() && entry["email"].is_null() {
        return entry.clone();
    }
    json!({"uuid": entry["uuid"], "external_id": entry["external_id"], "email": entry["email"]})
}
