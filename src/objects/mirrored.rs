//! What a mirror has to know of an object: by which names a record and an entry tell that they are the same.
//!
//! Owns these names, as hashes of 8 bytes. Does not own when a mirror deletes anything, nor what (`engine`).

use serde_json::Value;
use smallvec::SmallVec;

use super::common::{CUSTOMER, INVOICE, PLAN};
use super::request::Scope;
use super::{How, Object};
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
/// What records of any object may name, and by which fields.
const NAMED: [(Kin, (&str, &str)); 3] = [(Kin::Customer, CUSTOMER), (Kin::Plan, PLAN), (Kin::Invoice, INVOICE)];

/// What a record names of all that a mirror could delete: it came, and stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// The names.
    pub names: SmallVec<[Scope; 2]>,
    /// Other objects of which the record holds entries.
    pub holds: SmallVec<[&'static str; 1]>,
    /// Objects of which it is or holds one that no key tells.
    pub unnamed: SmallVec<[&'static str; 1]>,
}

impl Named {
    /// What a record names, its own faults notwithstanding.
    pub fn by(object: &dyn Object, record: &Record, how: &How) -> Self {
        let mut named = Self::default();
        for (kin, (uuid, key)) in NAMED {
            named.names.extend(record.text(uuid).map(|uuid| entry_of(&uuid)));
            named.names.extend(record.text(key).map(|key| Scope::key(kin.object(), &key)));
        }
        let Some(mirrored) = object.mirrored() else { return named };
        let resource = object.resource();
        let (uuid, key) = (record.text(resource.id), record.text(KEY));
        let parents = |(uuid, key)| -> Vec<Box<str>> { [record.text(uuid), record.text(key)].into_iter().flatten().collect() };
        let within = mirrored.within.map(|(_, names)| parents(names));
        named.own(resource.name, uuid.as_deref(), key.as_deref(), within.as_deref());
        // What it is by its address may stand under another key than the record's.
        if how.match_by == Some(MatchBy::Email) {
            named.unnamed.push(resource.name);
        }
        for (field, part) in mirrored.nested {
            let Some(rules) = super::find(part).and_then(Object::mirrored) else { continue };
            let entries = record.nested(field, KEY);
            if entries.is_empty() && !record.is_faulty(field) {
                continue;
            }
            named.holds.push(part);
            if record.is_faulty(field) {
                named.unnamed.push(part);
            }
            for (kin, (uuid, key)) in NAMED {
                named.names.extend(record.nested(field, uuid).into_iter().flatten().map(|uuid| entry_of(&uuid)));
                named.names.extend(record.nested(field, key).into_iter().flatten().map(|key| Scope::key(kin.object(), &key)));
            }
            let own: Vec<Box<str>> = [&uuid, &key].into_iter().flatten().cloned().collect();
            for inner in entries {
                named.own(part, None, inner.as_deref(), rules.within.map(|_| own.as_slice()));
            }
        }
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
                By::Key(key) => Scope::key(reference.kin.object(), key),
            });
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

fn names_of_key(object: &'static str, key: &str, parents: Option<&[Box<str>]>) -> Vec<Scope> {
    match parents {
        None => vec![Scope::key(object, key)],
        Some(parents) => parents.iter().map(|parent| Scope::within(object, &parent.to_ascii_lowercase(), key)).collect(),
    }
}

/// The name of what has this UUID, in whichever letters.
fn entry_of(uuid: &str) -> Scope {
    Scope::entry(&uuid.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
}
