//! What a mirror has to know of an object: by which names a record and an entry tell that they are the same.
//!
//! Owns these names, as hashes of 8 bytes. Does not own when a mirror deletes anything, nor what (`engine`).
//!
//! Whether ChartMogul keeps the letters of a key and the space around it is unknown. Keys that differ in nothing else are one
//! name here, so that what came as ` C-1` and stands as `c-1` stays.

use serde_json::Value;
use smallvec::SmallVec;

use super::common::{CUSTOMER, INVOICE, PLAN};
use super::request::Scope;
use super::resource::Kind;
use super::{How, Object};
use crate::mapping::values;
use crate::plan::{By, Kin, Known, MatchBy, Plan, Record};

/// How a mirror tells which of an object's entries came.
#[derive(Debug, Clone, Copy)]
pub struct Mirrored {
    /// The things within which its external ids are unique, and the fields that name such a thing by UUID and by key; `None`:
    /// they are unique in the data source.
    pub within: Option<(Kin, (&'static str, &'static str))>,
    /// Whether entries without an external id are left alone.
    pub only_keyed: bool,
    /// Fields whose values are entries of objects of their own, with these objects.
    pub nested: &'static [(&'static str, &'static str)],
}

impl Mirrored {
    /// External ids are unique in the data source, and nothing is nested.
    pub const BY_KEY: Self = Self { within: None, only_keyed: false, nested: &[] };
}

/// The field of every object that holds the user's key.
const KEY: &str = "external_id";
/// What things belong to or are of, with the fields that name it by UUID and by key.
const ABOVE: [(&str, (&str, &str)); 3] = [("customers", CUSTOMER), ("plans", PLAN), ("invoices", INVOICE)];
/// What records name beside that.
const BESIDE: [(&str, (&str, &str)); 4] = [
    ("customers", ("from_uuid", "from_external_id")),
    ("customers", ("into_uuid", "into_external_id")),
    ("plans", ("plans", "plan_external_ids")),
    // Its number or its key, which the value alone does not tell.
    ("subscription_events", ("retracted_event_id", "retracted_event_id")),
];

/// So many names are told apart that may be of a thing and of what it belongs to.
const MOST_MENTIONS: usize = 64;

/// What a record names of all that a mirror could delete: it came, and stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// The names.
    pub names: SmallVec<[Scope; 2]>,
    /// Other objects of which the record holds entries.
    pub holds: SmallVec<[&'static str; 1]>,
    /// Objects of which it is, holds or names one that no key tells.
    pub unnamed: SmallVec<[&'static str; 1]>,
    /// What it does not say of what it belongs to: the object in whose entries that stands, and what it would be.
    pub unsaid: SmallVec<[(&'static str, &'static str); 1]>,
}

impl Named {
    /// What a record names, its own faults notwithstanding.
    pub fn by(object: &dyn Object, record: &Record, how: &How) -> Self {
        let mut named = Self::default();
        let resource = object.resource();
        let is_faulty = |name: &str| resource.field(name).is_some() && record.is_faulty(name);
        for (of, (uuid, key)) in ABOVE.into_iter().chain(BESIDE) {
            named.names.extend(given(object, record, uuid).iter().map(|uuid| entry_of(uuid)));
            named.names.extend(given(object, record, key).iter().map(|key| Scope::key(of, &folded(key))));
            // What could not be read, or was given twice, may name any of them.
            if is_faulty(uuid) || is_faulty(key) {
                named.unnamed.push(of);
            }
        }
        named.unsaid = unsaid(object, record);
        named.mention(&object.mentions(record));
        // Some entries call their identity otherwise than records do.
        let (uuid, key) = (record.text(resource.id).or_else(|| record.text("uuid")), record.text(KEY));
        let Some(mirrored) = object.mirrored() else {
            named.names.extend(uuid.map(|uuid| entry_of(&uuid)));
            return named;
        };
        let parents = |(uuid, key)| -> Vec<Box<str>> { [record.text(uuid), record.text(key)].into_iter().flatten().collect() };
        let within = mirrored.within.map(|(_, names)| parents(names));
        named.own(resource.name, uuid.as_deref(), key.as_deref(), within.as_deref());
        let in_doubt = mirrored.within.is_some_and(|(_, (uuid, key))| is_faulty(uuid) || is_faulty(key));
        // What it is by its address may stand under another key than the record's.
        if in_doubt || is_faulty(resource.id) || is_faulty(KEY) || how.match_by == Some(MatchBy::Email) {
            named.unnamed.push(resource.name);
        }
        for (field, part) in mirrored.nested {
            let Some(held) = super::find(part) else { continue };
            let Some(rules) = held.mirrored() else { continue };
            let entries = record.nested(field, KEY);
            if entries.is_empty() && !record.is_faulty(field) {
                continue;
            }
            named.holds.push(part);
            if record.is_faulty(field) {
                named.unnamed.push(part);
            }
            for (of, (uuid, key)) in ABOVE {
                let (uuids, keys) = (record.nested(field, uuid), record.nested(field, key));
                let is_said = |at: usize| [&uuids, &keys].iter().any(|names| names.get(at).is_some_and(Option::is_some));
                if of == "plans" && belongs_to(held, (uuid, key)) && !(0..entries.len()).all(is_said) {
                    named.unsaid.push((held.read_by(), of));
                }
                named.names.extend(uuids.into_iter().flatten().map(|uuid| entry_of(&uuid)));
                named.names.extend(keys.into_iter().flatten().map(|key| Scope::key(of, &folded(&key))));
            }
            let own: Vec<Box<str>> = [&uuid, &key].into_iter().flatten().cloned().collect();
            for inner in entries {
                named.own(part, None, inner.as_deref(), rules.within.map(|_| own.as_slice()));
            }
        }
        named.unnamed.sort_unstable();
        named.unnamed.dedup();
        named
    }

    /// A record of which nothing can be read.
    pub fn unreadable(object: &dyn Object) -> Self {
        Self { unnamed: std::iter::once(object.resource().name).collect(), ..Self::default() }
    }

    /// Takes in what a plan refers to: it would go with what it belongs to, or is used by it.
    pub fn refers(&mut self, plan: &Plan) {
        for reference in plan.refs.iter().filter(|reference| reference.kin.within().is_none()) {
            self.names.push(match &reference.by {
                By::Uuid(uuid) => entry_of(uuid),
                By::Key(key) => Scope::key(reference.kin.object(), &folded(key)),
            });
        }
    }

    /// Takes in what may be the name of anything.
    fn mention(&mut self, names: &[Box<str>]) {
        self.names.extend(names.iter().map(|name| entry_of(name)));
        let is_meant = |path: &str| names.iter().any(|name| path.strip_prefix('/') == Some(name));
        let is_listed = |object: &dyn Object| object.listing("").is_some() && belongs_to(object, CUSTOMER);
        let below = |object: &&&dyn Object| object.is_part() || is_listed(**object);
        let meant = super::OBJECTS.iter().filter(|object| is_meant(object.resource().path)).filter(below);
        self.unsaid.extend(meant.map(|object| (object.read_by(), "customers")));
        let mirrored = super::OBJECTS.iter().filter_map(|object| Some((object.resource().name, object.mirrored()?.within)));
        for (of, within) in mirrored.filter(|_| !names.is_empty()) {
            match within {
                None => self.names.extend(names.iter().map(|name| Scope::key(of, &folded(name)))),
                Some(_) if names.len() > MOST_MENTIONS => self.unnamed.push(of),
                Some(_) => names.iter().for_each(|name| self.names.extend(names_of_key(of, name, Some(names)))),
            }
        }
    }

    fn own(&mut self, object: &'static str, uuid: Option<&str>, key: Option<&str>, parents: Option<&[Box<str>]>) {
        let before = self.names.len();
        self.names.extend(uuid.map(entry_of));
        self.names.extend(key.into_iter().flat_map(|key| names_of_key(object, key, parents)));
        if self.names.len() == before {
            self.unnamed.push(object);
        }
    }
}

/// What a record gives in a field that names something; several where the field takes a list.
fn given(object: &dyn Object, record: &Record, name: &str) -> Vec<Box<str>> {
    match object.resource().field(name).map(|field| &field.kind) {
        Some(Kind::Many(_)) => {
            let list = record.text(name).or_else(|| record.value(name).map(Box::from)).unwrap_or_default();
            values::elements(&list).filter_map(values::as_text).map(Into::into).collect()
        }
        Some(_) => record.text(name).into_iter().collect(),
        None => Vec::new(),
    }
}

/// Whether records of an object have fields of these names.
fn belongs_to(object: &dyn Object, (uuid, key): (&str, &str)) -> bool {
    object.resource().field(uuid).is_some() || object.resource().field(key).is_some()
}

/// What a record that can find its object all the same does not say of what that belongs to. Parts say nothing of whom their
/// whole belongs to, and a row that adds no lines to an invoice nothing of the lines that it has.
fn unsaid(object: &dyn Object, record: &Record) -> SmallVec<[(&'static str, &'static str); 1]> {
    let is_told = |set: &&[&str]| set.iter().all(|name| record.text(name).is_some());
    if !object.matching_keys().iter().any(is_told) {
        return SmallVec::new();
    }
    let says = |(uuid, key): (&str, &str)| record.text(uuid).is_some() || record.text(key).is_some();
    let above = ABOVE.into_iter().filter(|(_, names)| belongs_to(object, *names) && !says(*names)).map(|(of, _)| of);
    let whose = ABOVE.into_iter().filter(|(of, _)| *of == "customers" && object.is_part()).map(|(of, _)| of);
    above.chain(whose).map(|of| (object.read_by(), of)).collect()
}

/// The names of an entry of the account: that it came is told by any of them. `parents` answers the other names of what it
/// belongs to.
pub fn names_of(object: &dyn Object, entry: &Value, known: &Known, parents: impl Fn(&str) -> Vec<Box<str>>) -> Vec<Scope> {
    let name = object.resource().name;
    let within = object.mirrored().and_then(|mirrored| mirrored.within).map(|(_, (uuid, key))| {
        let mut names: Vec<Box<str>> = entry[uuid].as_str().into_iter().flat_map(&parents).collect();
        names.extend([entry[uuid].as_str(), entry[key].as_str()].into_iter().flatten().map(Box::from));
        names
    });
    let of_keys = known.keys().flat_map(|key| names_of_key(name, key, within.as_deref()));
    std::iter::once(entry_of(&known.uuid)).chain(of_keys).collect()
}

/// What an entry of the account says that it belongs to or is of: it would go with that, or lose it.
pub fn above(entry: &Value) -> impl Iterator<Item = Scope> {
    ABOVE.into_iter().flat_map(|(of, (uuid, key))| {
        let by_uuid = entry[uuid].as_str().map(entry_of);
        by_uuid.into_iter().chain(entry[key].as_str().map(|key| Scope::key(of, &folded(key))))
    })
}

/// Whether entries of others name this object, so that whether it came is told by these too. What stands within its own entry
/// is read with it.
pub fn is_above(object: &dyn Object) -> bool {
    let name = object.resource().name;
    let holds = || super::OBJECTS.iter().any(|part| part.is_part() && part.read_by() == name);
    ABOVE.into_iter().any(|(of, _)| of == name) && !holds()
}

fn names_of_key(object: &'static str, key: &str, parents: Option<&[Box<str>]>) -> Vec<Scope> {
    match parents {
        None => vec![Scope::key(object, &folded(key))],
        Some(parents) => parents.iter().map(|parent| Scope::within(object, &folded(parent), &folded(key))).collect(),
    }
}

/// The name of what has this UUID, in whichever letters.
pub fn entry_of(uuid: &str) -> Scope {
    Scope::entry(&uuid.to_ascii_lowercase())
}

/// A key without what ChartMogul may not keep of it.
fn folded(key: &str) -> String {
    key.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::resource::Field;
    use super::super::tests::{how, record_of};
    use super::*;
    use crate::objects::{OBJECTS, contacts, customers, find, invoices, line_items, subscription_events};
    use crate::plan::{Mode, Nulls};

    #[test]
    fn these_are_mirrored_and_what_they_hold_is_too() {
        let mirrored: Vec<&str> =
            OBJECTS.iter().filter(|object| object.mirrored().is_some()).map(|object| object.resource().name).collect();
        let wanted = ["customers", "contacts", "plans", "invoices", "line_items", "transactions", "subscription_events"];
        assert_eq!(mirrored, wanted);
        for object in OBJECTS.iter().filter_map(|object| Some((object.resource(), object.mirrored()?))) {
            let (resource, mirrored) = object;
            assert!(resource.field(KEY).is_some() && resource.calls.delete.starts_with("delete "));
            for (field, part) in mirrored.nested {
                assert!(resource.field(field).is_some() && find(part).is_some_and(|part| part.mirrored().is_some()));
            }
        }
    }

    fn named(object: &dyn Object, row: &Value) -> Named {
        Named::by(object, &record_of(object, Nulls::Ignore, row), &how(Mode::Upsert))
    }

    #[test]
    fn a_record_names_itself_what_it_refers_to_and_what_it_holds() {
        let row = json!({"external_id": "i-1", "customer_external_id": "c-1", "line_items": [
            {"external_id": "l-1", "plan_external_id": "p-1", "type": "one_time", "amount_in_cents": 1}]});
        let names = named(&invoices::Invoices, &row);
        for (object, key) in [("invoices", "i-1"), ("customers", "c-1"), ("line_items", "l-1"), ("plans", "p-1")] {
            assert!(names.names.contains(&Scope::key(object, key)), "{object}");
        }
        assert_eq!((names.names.len(), &names.holds[..], names.unnamed.len()), (4, &["line_items"][..], 0));
        let row = json!({"external_id": "c-1", "primary_contact": {"external_id": "k-1"}});
        assert!(named(&customers::Customers, &row).names.contains(&Scope::within("contacts", "c-1", "k-1")));
        let row = json!({"id": 7, "external_id": "e-1"});
        assert_eq!(
            named(&subscription_events::SubscriptionEvents, &row).names[..],
            [Scope::entry("7"), Scope::key("subscription_events", "e-1")]
        );
    }

    #[test]
    fn what_no_key_tells_is_said() {
        let unnamed = |object: &dyn Object, row: Value| named(object, &row).unnamed.to_vec();
        assert_eq!(unnamed(&customers::Customers, json!({"name": "Nobody"})), ["customers"]);
        assert_eq!(unnamed(&customers::Customers, json!({"external_id": ["a"]})), ["customers"]);
        assert_eq!(unnamed(&contacts::Contacts, json!({"external_id": "k-1"})), ["contacts"], "of which customer?");
        assert!(unnamed(&contacts::Contacts, json!({"external_id": "k-1", "customer_external_id": "c-1"})).is_empty());
        assert_eq!(unnamed(&line_items::LineItems, json!({"invoice_external_id": "i-1", "type": "trial"})), ["line_items"]);
        // A list of which a part is wrong is not read at all; an empty one holds nothing.
        let item = json!({"external_id": "l-1", "type": "one_time", "amount_in_cents": "much"});
        assert_eq!(unnamed(&invoices::Invoices, json!({"external_id": "i-1", "line_items": [item]})), ["line_items"]);
        let keyless =
            json!({"external_id": "i-1", "line_items": [{"type": "one_time", "amount_in_cents": 1}], "transactions": []});
        assert_eq!(unnamed(&invoices::Invoices, keyless), ["line_items"]);
        let mut by_email = how(Mode::Upsert);
        by_email.match_by = Some(MatchBy::Email);
        let record = record_of(&customers::Customers, Nulls::Ignore, &json!({"external_id": "c-1", "email": "ann@lee.example"}));
        assert_eq!(Named::by(&customers::Customers, &record, &by_email).unnamed[..], ["customers"]);
    }

    #[test]
    fn every_field_that_refers_to_something_names_it() {
        // Their own identities, the data source that is checked, and subscriptions, which nothing deletes.
        let apart = ["data_source_uuid", "subscription_uuid", "subscription_external_id", "subscription_external_ids"];
        let named: Vec<&str> = ABOVE.into_iter().chain(BESIDE).flat_map(|(_, (uuid, key))| [uuid, key]).collect();
        for resource in OBJECTS.iter().map(|object| object.resource()) {
            let is_name = |field: &&Field| matches!(field.kind, Kind::ExternalId | Kind::Uuid(_) | Kind::Many(_));
            for field in resource.references.iter().filter(is_name) {
                let own = [resource.id, "uuid", KEY].contains(&field.name);
                assert!(own || apart.contains(&field.name) || named.contains(&field.name), "{} {}", resource.name, field.name);
            }
        }
        let merges = find("customer_merges").unwrap();
        let row = json!({"from_external_id": "a", "into_uuid": "cus_23740208-2c7e-11ee-9ea2-ffd2435982bb"});
        let names = named_by(merges, &row);
        assert!(names.contains(&Scope::key("customers", "a")) && names.contains(&entry_of(row["into_uuid"].as_str().unwrap())));
        let groups = find("plan_groups").unwrap();
        let plan = "pl_23740208-2c7e-11ee-9ea2-ffd2435982bb";
        let names = named_by(groups, &json!({"plan_external_ids": ["p1", "p2"], "plans": [plan]}));
        for name in [Scope::key("plans", "p1"), Scope::key("plans", "p2"), entry_of(plan)] {
            assert!(names.contains(&name));
        }
        let events = find("subscription_events").unwrap();
        let names = named_by(events, &json!({"event_type": "subscription_event_retracted", "retracted_event_id": "e-0"}));
        assert!(names.contains(&Scope::key("subscription_events", "e-0")));
    }

    fn named_by(object: &dyn Object, row: &Value) -> Vec<Scope> {
        named(object, row).names.to_vec()
    }

    #[test]
    fn letters_and_space_of_a_key_make_no_other_name() {
        let came = |key: &str| named(&customers::Customers, &json!({"external_id": key})).names;
        assert_eq!(came("New1 "), came("new1"));
        assert_ne!(came("new1"), came("new 1"));
        let row = json!({"external_id": " K-1", "customer_external_id": "C-1"});
        assert!(named(&contacts::Contacts, &row).names.contains(&Scope::within("contacts", "c-1", "k-1")));
    }

    #[test]
    fn what_could_not_be_read_or_came_twice_may_be_any() {
        let unnamed = |object: &dyn Object, row: Value| named(object, &row).unnamed.to_vec();
        let contact = json!({"external_id": "k", "customer_external_id": ["c"], "customer_uuid": "cus_23740208-2c7e-11ee-9ea2-ffd2435982bb"});
        assert_eq!(unnamed(&contacts::Contacts, contact), ["contacts", "customers"]);
        let groups = find("plan_groups").unwrap();
        assert_eq!(unnamed(groups, json!({"name": "g", "plan_external_ids": ["p1", {"a": 1}]})), ["plans"]);
    }
}
