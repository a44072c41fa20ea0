//! Notes, opportunities and tasks, and the indexes that find them.
//!
//! Owns that entries and indexes agree: each entry hangs on one customer, goes with it and is handed over with it. A look-up
//! by UUID or by customer is O(1); a page begins in O(log n). Owns no rule of the API.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::store::{Fields, State, place_of_stamp, remove};

/// The three objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shelved {
    Note,
    Opportunity,
    Task,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) uuid: String,
    /// When it was made here. A time of creation that the client gave stands in the fields.
    pub(super) created: i64,
    pub(super) updated: i64,
    /// The customer's place.
    pub(super) customer: u64,
    pub(super) fields: Fields,
    pub(super) custom: Map<String, Value>,
}

/// All of one object, by place in lists.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) entries: BTreeMap<u64, Entry>,
    uuids: HashMap<String, u64>,
    by_customer: HashMap<u64, BTreeSet<u64>>,
}

impl Shelf {
    pub(super) fn place(&self, uuid: &str) -> Option<u64> {
        self.uuids.get(uuid).copied()
    }

    pub(super) fn of_customer(&self, customer: u64) -> Option<&BTreeSet<u64>> {
        self.by_customer.get(&customer)
    }

    pub(super) fn remove(&mut self, place: u64) {
        if let Some(entry) = self.entries.remove(&place) {
            self.uuids.remove(&entry.uuid);
            remove(&mut self.by_customer, &entry.customer, place);
        }
    }

    fn put(&mut self, place: u64, entry: Entry) {
        self.uuids.insert(entry.uuid.clone(), place);
        self.by_customer.entry(entry.customer).or_default().insert(place);
        self.entries.insert(place, entry);
    }

    fn hand_over(&mut self, from: u64, into: u64) {
        let places = self.by_customer.remove(&from).unwrap_or_default();
        for place in &places {
            if let Some(entry) = self.entries.get_mut(place) {
                entry.customer = into;
            }
        }
        if !places.is_empty() {
            self.by_customer.entry(into).or_default().extend(places);
        }
    }
}

/// All of all three.
#[derive(Debug, Default)]
pub(super) struct Shelves {
    notes: Shelf,
    opportunities: Shelf,
    tasks: Shelf,
}

impl Shelves {
    pub(super) fn get(&self, what: Shelved) -> &Shelf {
        match what {
            Shelved::Note => &self.notes,
            Shelved::Opportunity => &self.opportunities,
            Shelved::Task => &self.tasks,
        }
    }

    pub(super) fn get_mut(&mut self, what: Shelved) -> &mut Shelf {
        match what {
            Shelved::Note => &mut self.notes,
            Shelved::Opportunity => &mut self.opportunities,
            Shelved::Task => &mut self.tasks,
        }
    }

    /// Removes everything that hangs on a customer.
    pub(super) fn forget_customer(&mut self, customer: u64) {
        for shelf in [&mut self.notes, &mut self.opportunities, &mut self.tasks] {
            for place in shelf.by_customer.get(&customer).cloned().unwrap_or_default() {
                shelf.remove(place);
            }
        }
    }

    /// Hands what hangs on one customer over to another.
    pub(super) fn hand_over(&mut self, what: Shelved, from: u64, into: u64) {
        self.get_mut(what).hand_over(from, into);
    }

    pub(super) fn hand_over_all(&mut self, from: u64, into: u64) {
        for what in [Shelved::Note, Shelved::Opportunity, Shelved::Task] {
            self.hand_over(what, from, into);
        }
    }
}

impl State {
    /// Makes an entry of a customer and gives its place.
    pub(super) fn shelve(&mut self, what: Shelved, customer: u64, fields: Fields, custom: Map<String, Value>) -> u64 {
        let created = self.stamp();
        let place = place_of_stamp(created);
        // Recorded: opportunities and tasks have bare UUIDs.
        let uuid = self.uuid(if what == Shelved::Note { "note_" } else { "" });
        self.shelves.get_mut(what).put(place, Entry { uuid, created, updated: created, customer, fields, custom });
        place
    }
}
