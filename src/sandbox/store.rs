//! The account: data sources, customers, contacts, and the indexes that find them.
//!
//! Owns that entries and indexes agree. Every look-up a route needs is O(1) or O(log n). Owns no rule of the API.
//!
//! Customers and contacts are kept under a number that is their place in lists, ascending.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::Options;
use super::billing::Billing;
use super::fields::AttributeType;
use super::imports::Imports;
use super::random::{Random, mixed};
use super::shelves::Shelves;

/// Fields as the API answers them; what is not here is unset.
pub(super) type Fields = BTreeMap<&'static str, Value>;

/// A data source.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) uuid: String,
    pub(super) name: String,
    pub(super) system: String,
    pub(super) created: i64,
}

/// A customer's key in one data source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SourceKey {
    pub(super) source: String,
    pub(super) external_id: String,
}

/// A customer.
#[derive(Debug, Clone)]
pub(super) struct Customer {
    pub(super) id: u64,
    pub(super) uuid: String,
    pub(super) created: i64,
    /// One, or several once merged.
    pub(super) keys: Vec<SourceKey>,
    /// Which of the keys stands in the fields that can show only one.
    pub(super) own: SourceKey,
    pub(super) fields: Fields,
    pub(super) custom: Map<String, Value>,
    pub(super) tags: Vec<String>,
    /// What is wrong with it, where a bulk import took it all the same.
    pub(super) errors: Map<String, Value>,
    /// Those merged into this one, as they were.
    pub(super) absorbed: Vec<Customer>,
}

/// A contact.
#[derive(Debug)]
pub(super) struct Contact {
    pub(super) uuid: String,
    pub(super) created: i64,
    /// The customer's place.
    pub(super) customer: u64,
    pub(super) source: String,
    pub(super) fields: Fields,
    pub(super) custom: Map<String, Value>,
}

/// The account.
#[derive(Debug)]
pub(super) struct State {
    pub(super) sources: Vec<Source>,
    pub(super) customers: BTreeMap<u64, Customer>,
    pub(super) contacts: BTreeMap<u64, Contact>,
    pub(super) shelves: Shelves,
    pub(super) billing: Billing,
    pub(super) imports: Imports,
    /// Fixed by the first value of a key in the account, for all customers.
    pub(super) attribute_types: HashMap<String, AttributeType>,
    /// The same of entries whose attributes go without a type, by the list they stand in: what their values are in JSON.
    pub(super) attribute_kinds: HashMap<(&'static str, String), &'static str>,
    customer_uuids: HashMap<String, u64>,
    customer_keys: BTreeMap<(String, String), u64>,
    customers_by_source: HashMap<String, BTreeSet<u64>>,
    customers_by_email: HashMap<String, BTreeSet<u64>>,
    contact_uuids: HashMap<String, u64>,
    contacts_by_customer: HashMap<u64, BTreeSet<u64>>,
    contacts_by_source: HashMap<String, BTreeSet<u64>>,
    contacts_by_email: HashMap<String, BTreeSet<u64>>,
    random: Random,
    next_id: u64,
    started: Instant,
    epoch: i64,
    last_stamp: i64,
    /// Another moment that counts as now.
    moment: Option<i64>,
}

impl State {
    pub(super) fn new(options: &Options) -> State {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let mut state = State {
            sources: Vec::new(),
            customers: BTreeMap::new(),
            contacts: BTreeMap::new(),
            shelves: Shelves::default(),
            billing: Billing::default(),
            imports: Imports::default(),
            attribute_types: HashMap::new(),
            attribute_kinds: HashMap::new(),
            customer_uuids: HashMap::new(),
            customer_keys: BTreeMap::new(),
            customers_by_source: HashMap::new(),
            customers_by_email: HashMap::new(),
            contact_uuids: HashMap::new(),
            contacts_by_customer: HashMap::new(),
            contacts_by_source: HashMap::new(),
            contacts_by_email: HashMap::new(),
            random: Random::new(options.seed),
            next_id: 200_000_001,
            started: Instant::now(),
            epoch: i64::try_from(epoch.as_nanos()).unwrap_or(0),
            last_stamp: 0,
            moment: None,
        };
        for (place, name) in options.data_sources.iter().enumerate() {
            let uuid = format!("ds_5a4db0c5-0000-4000-8000-{:012x}", place + 1);
            let created = state.stamp();
            state.sources.push(Source { uuid, name: name.clone(), system: "Custom".into(), created });
        }
        if let Some(source) = state.sources.first().map(|source| source.uuid.clone()) {
            for number in 1..=options.customers {
                state.add_sample(&source, number);
            }
        }
        state
    }

    fn add_sample(&mut self, source: &str, number: usize) {
        let external_id = format!("sample-{number:06}");
        let fields = Fields::from([
            ("name", Value::from(format!("Sample customer {number}"))),
            ("email", Value::from(format!("sample{number}@example.com"))),
            ("country", Value::from(if number.is_multiple_of(2) { "DE" } else { "US" })),
        ]);
        self.add_customer(SourceKey { source: source.to_owned(), external_id }, fields);
    }

    /// Now, in nanoseconds since 1970, by tokio's clock.
    pub(super) fn now(&self) -> i64 {
        let elapsed = || i64::try_from(self.started.elapsed().as_nanos()).unwrap_or(i64::MAX);
        self.moment.unwrap_or_else(|| self.epoch.saturating_add(elapsed()))
    }

    /// Does work as of another moment: what was due then, and is done when somebody looks.
    pub(super) fn as_of<T>(&mut self, moment: i64, work: impl FnOnce(&mut State) -> T) -> T {
        self.moment = Some(moment);
        let done = work(self);
        self.moment = None;
        done
    }

    /// Now, but never the same twice: the order of creation can be read from it.
    pub(super) fn stamp(&mut self) -> i64 {
        self.last_stamp = self.now().max(self.last_stamp + 1);
        self.last_stamp
    }

    /// A number that nothing else in the account has.
    pub(super) fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    pub(super) fn uuid(&mut self, prefix: &str) -> String {
        let (high, low) = (self.random.next(), self.random.next());
        let high = high & 0xffff_ffff_ffff_0fff | 0x4000;
        let low = low & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000;
        let (a, b, c) = (high >> 32, high >> 16 & 0xffff, high & 0xffff);
        format!("{prefix}{a:08x}-{b:04x}-{c:04x}-{:04x}-{:012x}", low >> 48, low & 0xffff_ffff_ffff)
    }

    // Data sources. There are few, so a list will do.

    pub(super) fn source(&self, uuid: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.uuid == uuid)
    }

    pub(super) fn add_source(&mut self, name: &str, system: &str) -> &Source {
        let source = Source { uuid: self.uuid("ds_"), name: name.to_owned(), system: system.to_owned(), created: self.stamp() };
        self.sources.push(source);
        &self.sources[self.sources.len() - 1]
    }

    /// Removes what the source holds; merged customers lose only the key they have in it.
    pub(super) fn empty_source(&mut self, uuid: &str) {
        self.billing.forget_source(uuid);
        for contact in self.contacts_by_source.get(uuid).cloned().unwrap_or_default() {
            self.remove_contact(contact);
        }
        for place in self.customers_by_source.get(uuid).cloned().unwrap_or_default() {
            let Some(customer) = self.take_customer(place) else { continue };
            let mut left = customer.clone();
            left.keys.retain(|key| key.source != uuid);
            left.absorbed.retain(|absorbed| absorbed.own.source != uuid);
            match left.keys.first() {
                Some(first) => {
                    if left.own.source == uuid {
                        left.own = first.clone();
                    }
                    self.put_customer(place, left);
                }
                None => {
                    self.forget_contacts_of(place);
                    self.shelves.forget_customer(place);
                }
            }
        }
    }

    // Customers.

    pub(super) fn customer_place(&self, uuid: &str) -> Option<u64> {
        self.customer_uuids.get(uuid).copied()
    }

    pub(super) fn customer_by_key(&self, source: &str, external_id: &str) -> Option<u64> {
        self.customer_keys.get(&(external_id.to_owned(), source.to_owned())).copied()
    }

    pub(super) fn customers_by_external_id(&self, external_id: &str) -> BTreeSet<u64> {
        let from = (external_id.to_owned(), String::new());
        self.customer_keys.range(from..).take_while(|((id, _), _)| id == external_id).map(|(_, place)| *place).collect()
    }

    pub(super) fn customers_of(&self, source: &str) -> Option<&BTreeSet<u64>> {
        self.customers_by_source.get(source)
    }

    pub(super) fn customers_with_email(&self, email: &str) -> BTreeSet<u64> {
        self.customers_by_email.get(email).cloned().unwrap_or_default()
    }

    pub(super) fn add_customer(&mut self, key: SourceKey, fields: Fields) -> u64 {
        let id = self.id();
        let customer = Customer {
            id,
            uuid: self.uuid("cus_"),
            created: self.stamp(),
            keys: vec![key.clone()],
            own: key,
            fields,
            custom: Map::new(),
            tags: Vec::new(),
            errors: Map::new(),
            absorbed: Vec::new(),
        };
        let place = place_of_id(id);
        self.put_customer(place, customer);
        place
    }

    /// Gives a customer that was merged away its own place again, under a new UUID.
    pub(super) fn restore_customer(&mut self, customer: Customer) -> u64 {
        let place = self.add_customer(customer.own.clone(), Fields::new());
        self.edit_customer(place, |fresh| {
            fresh.fields = customer.fields;
            fresh.custom = customer.custom;
            fresh.tags = customer.tags;
            fresh.errors = customer.errors;
        });
        place
    }

    /// Changes a customer and keeps the indexes true.
    pub(super) fn edit_customer(&mut self, place: u64, edit: impl FnOnce(&mut Customer)) {
        let Some(customer) = self.customers.get_mut(&place) else { return };
        let before = Names::of(customer);
        edit(customer);
        let after = Names::of(customer);
        if before != after {
            self.unlist_customer(place, &before);
            self.list_customer(place, after);
        }
    }

    /// Removes a customer with everything that hangs on it.
    pub(super) fn remove_customer(&mut self, place: u64) {
        for key in self.take_customer(place).into_iter().flat_map(|customer| customer.keys) {
            self.billing.forget_owner(&key);
        }
        self.forget_contacts_of(place);
        self.shelves.forget_customer(place);
    }

    /// Takes a customer out of the account; what hangs on it stays until the caller has seen to it.
    pub(super) fn take_customer(&mut self, place: u64) -> Option<Customer> {
        let customer = self.customers.remove(&place)?;
        self.unlist_customer(place, &Names::of(&customer));
        Some(customer)
    }

    fn put_customer(&mut self, place: u64, customer: Customer) {
        self.list_customer(place, Names::of(&customer));
        self.customers.insert(place, customer);
    }

    fn list_customer(&mut self, place: u64, names: Names) {
        self.customer_uuids.insert(names.uuid, place);
        for SourceKey { source, external_id } in names.keys {
            self.customers_by_source.entry(source.clone()).or_default().insert(place);
            self.customer_keys.insert((external_id, source), place);
        }
        if let Some(email) = names.email {
            self.customers_by_email.entry(email).or_default().insert(place);
        }
    }

    fn unlist_customer(&mut self, place: u64, names: &Names) {
        self.customer_uuids.remove(&names.uuid);
        for SourceKey { source, external_id } in &names.keys {
            self.customer_keys.remove(&(external_id.clone(), source.clone()));
            remove(&mut self.customers_by_source, source, place);
        }
        if let Some(email) = &names.email {
            remove(&mut self.customers_by_email, email, place);
        }
    }

    // Contacts.

    pub(super) fn contact_place(&self, uuid: &str) -> Option<u64> {
        self.contact_uuids.get(uuid).copied()
    }

    pub(super) fn contacts_of(&self, customer: u64) -> Option<&BTreeSet<u64>> {
        self.contacts_by_customer.get(&customer)
    }

    pub(super) fn contacts_in(&self, source: &str) -> Option<&BTreeSet<u64>> {
        self.contacts_by_source.get(source)
    }

    pub(super) fn contacts_with_email(&self, email: &str) -> Option<&BTreeSet<u64>> {
        self.contacts_by_email.get(email)
    }

    pub(super) fn add_contact(&mut self, customer: u64, source: &str, fields: Fields, custom: Map<String, Value>) -> u64 {
        let created = self.stamp();
        let place = place_of_stamp(created);
        let contact = Contact { uuid: self.uuid("con_"), created, customer, source: source.to_owned(), fields, custom };
        self.put_contact(place, contact);
        place
    }

    /// Changes a contact and keeps the indexes true.
    pub(super) fn edit_contact(&mut self, place: u64, edit: impl FnOnce(&mut Contact)) {
        if let Some(mut contact) = self.remove_contact(place) {
            edit(&mut contact);
            self.put_contact(place, contact);
        }
    }

    pub(super) fn remove_contact(&mut self, place: u64) -> Option<Contact> {
        let contact = self.contacts.remove(&place)?;
        self.contact_uuids.remove(&contact.uuid);
        remove(&mut self.contacts_by_customer, &contact.customer, place);
        remove(&mut self.contacts_by_source, &contact.source, place);
        if let Some(Value::String(email)) = contact.fields.get("email") {
            remove(&mut self.contacts_by_email, email, place);
        }
        Some(contact)
    }

    fn put_contact(&mut self, place: u64, contact: Contact) {
        self.contact_uuids.insert(contact.uuid.clone(), place);
        self.contacts_by_customer.entry(contact.customer).or_default().insert(place);
        self.contacts_by_source.entry(contact.source.clone()).or_default().insert(place);
        if let Some(Value::String(email)) = contact.fields.get("email") {
            self.contacts_by_email.entry(email.clone()).or_default().insert(place);
        }
        self.contacts.insert(place, contact);
    }

    fn forget_contacts_of(&mut self, customer: u64) {
        for contact in self.contacts_by_customer.get(&customer).cloned().unwrap_or_default() {
            self.remove_contact(contact);
        }
    }
}

/// What the indexes find a customer by.
#[derive(PartialEq)]
struct Names {
    uuid: String,
    keys: Vec<SourceKey>,
    email: Option<String>,
}

impl Names {
    fn of(customer: &Customer) -> Names {
        let email = customer.fields.get("email").and_then(Value::as_str).filter(|email| !email.is_empty());
        Names { uuid: customer.uuid.clone(), keys: customer.keys.clone(), email: email.map(str::to_owned) }
    }
}

/// Takes a place out of an index, and the entry once it is empty, so that indexes do not outgrow what they point to.
pub(super) fn remove<K, Q>(index: &mut HashMap<K, BTreeSet<u64>>, key: &Q, place: u64)
where
    K: Borrow<Q> + Hash + Eq,
    Q: Hash + Eq + ?Sized,
{
    if let Some(places) = index.get_mut(key) {
        places.remove(&place);
        if places.is_empty() {
            index.remove(key);
        }
    }
}

/// A customer's place in lists. The order of customers in lists is unknown (recorded cursors hold the date a customer
/// became one, which leads have not, and the id); the strict side is an order that is stable but says nothing about
/// creation. This spreads ids over all places, each its own.
pub(super) fn place_of_id(id: u64) -> u64 {
    mixed(id)
}

/// The place in lists of contacts, notes, opportunities and tasks. Recorded: newest first.
pub(super) fn place_of_stamp(created: i64) -> u64 {
    u64::MAX - created.unsigned_abs()
}

/// A point in time as the API shows it.
pub(super) fn shown(nanos: i64) -> String {
    timestamp(nanos).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// A point in time as a value.
pub(super) fn timestamp(nanos: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or(Timestamp::UNIX_EPOCH)
}
