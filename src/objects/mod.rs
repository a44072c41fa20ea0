//! The objects of ChartMogul that can be written, one file each, and their registry.
//!
//! Owns what a record of an object means: its keys, its modes, its own rules, and the JSON of its requests. Does not own
//! how values become their normal form ([`crate::plan`]), how requests are sent (`client`) nor when (`engine`).

pub mod api_requests;
mod billing;
mod common;
pub mod contacts;
pub mod custom_attributes;
pub mod customer_merges;
pub mod customer_notes;
pub mod customers;
pub mod data_sources;
pub mod imports;
mod invoice_parts;
pub mod invoices;
mod json;
pub mod line_items;
pub mod mirrored;
pub mod opportunities;
pub mod plan_groups;
pub mod plans;
pub mod request;
pub mod resource;
pub mod subscription_cancellations;
pub mod subscription_connections;
pub mod subscription_events;
pub mod tags;
pub mod tasks;
pub mod transactions;

use std::fmt;
use std::rc::Rc;

use serde_json::Value;

use crate::outcome::Fault;
use crate::plan::{By, Known, LaneKey, LaneKeys, MatchBy, Mode, Nulls, Parents, Plan, Record, Target};
use imports::Import;
use mirrored::Mirrored;
use request::{Look, Request, Scope};
use resource::Resource;

/// Every object, in the order people see them, what others refer to first. A new object is a file of its own and a line here.
pub const OBJECTS: &[&dyn Object] = &[
    &customers::Customers,
    &contacts::Contacts,
    &custom_attributes::CustomAttributes,
    &tags::Tags,
    &customer_merges::CustomerMerges,
    &plans::Plans,
    &plan_groups::PlanGroups,
    &invoices::Invoices,
    &line_items::LineItems,
    &transactions::Transactions,
    &subscription_events::SubscriptionEvents,
    &subscription_cancellations::SubscriptionCancellations,
    &subscription_connections::SubscriptionConnections,
    &customer_notes::CustomerNotes,
    &opportunities::Opportunities,
    &tasks::Tasks,
    &data_sources::DataSources,
    &api_requests::ApiRequests,
];

/// The object of this name.
pub fn find(name: &str) -> Option<&'static dyn Object> {
    OBJECTS.iter().copied().find(|object| object.resource().name == name)
}

/// The object that reads entries of this name: the one that is called so, or one that stands on entries which are no object
/// of their own.
pub fn reader(name: &str) -> Option<&'static dyn Object> {
    find(name).or_else(|| OBJECTS.iter().copied().find(|object| object.read_by() == name))
}

/// The names of all objects, in the order of the registry.
pub fn names() -> Vec<&'static str> {
    OBJECTS.iter().map(|object| object.resource().name).collect()
}

/// What a stream says about its records, beside their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct How {
    /// What to do with existing and absent objects.
    pub mode: Mode,
    /// The key to match by; `None` leaves the object its own order of tries.
    pub match_by: Option<MatchBy>,
    /// Fields by which an object without a key of its own is found, as places of its table; empty for all given ones.
    pub match_fields: Box<[u8]>,
    /// The configured data source.
    pub data_source: Box<str>,
    /// What to do when the customer that a record belongs to does not exist.
    pub parents: Parents,
    /// Fields that are never written over, as places of the object's table.
    pub only_if_empty: Box<[u8]>,
    /// Whether the deletion policy allows to delete.
    pub deletes: bool,
    /// What a null does.
    pub nulls: Nulls,
}

/// Something that a record refers to, found.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Its UUID.
    pub uuid: Box<str>,
    /// The user's key of it, where that was asked for.
    pub key: Option<Box<str>>,
    /// What is known of it; `None` where it was not looked at.
    pub known: Option<Rc<Known>>,
}

/// Where a plan is carried out: what its record refers to is found.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// The configured data source.
    pub data_source: &'a str,
    /// What the record refers to, in the plan's order.
    pub refs: &'a [Resolved],
    /// What the stream says.
    pub how: &'a How,
}

impl At<'_> {
    /// The UUID of the first thing that the record refers to; empty when it refers to nothing.
    pub fn parent(&self) -> &str {
        self.refs.first().map_or("", |first| &first.uuid)
    }
}

/// An object that exists.
#[derive(Debug, Clone)]
pub struct Existing {
    /// Its identity; empty where the API finds it by its key.
    pub uuid: Box<str>,
    /// What is known of it; `None` where it was not looked at.
    pub known: Option<Rc<Known>>,
}

/// Which of several entries a record means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// None of them.
    Nothing,
    /// The one at this place.
    One(usize),
    /// So many of them: a guess would be needed.
    Many(usize),
}

/// What an object asks for, or why it can not be.
pub type Asked<T> = Result<T, Vec<Fault>>;

/// One object of ChartMogul. Everything here is pure.
pub trait Object: Sync + fmt::Debug {
    /// The facts of the far side.
    fn resource(&self) -> &'static Resource;

    /// The modes in which it can be written.
    fn modes(&self) -> &'static [Mode] {
        &[Mode::Upsert, Mode::Insert, Mode::Update, Mode::Delete]
    }

    /// The keys by which a record may be matched: alternatives, each a set of fields.
    fn matching_keys(&self) -> &'static [&'static [&'static str]];

    /// Fields that every record needs in this mode, beside one matching key: of each set, one.
    fn required(&self, mode: Mode) -> &'static [&'static [&'static str]];

    /// How many requests a record costs in this mode once what it refers to is known, in words for the docs.
    fn requests(&self, mode: Mode) -> &'static str;

    /// What a set of primary key fields says about matching; `None` when it is no key of this object.
    fn match_by(&self, fields: &[&str]) -> Option<MatchBy> {
        match fields {
            ["external_id"] if self.has_own_key() && self.resource().field("external_id").is_some() => Some(MatchBy::ExternalId),
            ["uuid"] if self.resource().field("uuid").is_some() => Some(MatchBy::Uuid),
            _ => None,
        }
    }

    /// Whether the object has a key of its own in the data source, so that a source's key does not say how it is matched.
    fn has_own_key(&self) -> bool {
        false
    }

    /// Whether objects are found by the equality of fields, so that a list of fields can be chosen to match by.
    fn is_keyless(&self) -> bool {
        false
    }

    /// Turns a record into what it asks for.
    ///
    /// # Errors
    /// All faults of the record at once.
    fn plan(&self, record: Record, how: &How) -> Asked<Plan>;

    /// Whether the API refuses a second object like the plan's. Where it does not, an insert has to look first, and a create
    /// whose answer was lost has to be looked for several times.
    fn refuses_duplicates(&self, plan: &Plan) -> bool;

    /// Where to look for the plan's object; `None` when there is nothing to look at. A plan with a UUID is asked by what it
    /// is found by otherwise.
    fn look(&self, plan: &Plan, target: &Target, at: &At<'_>) -> Option<Look>;

    /// Where all entries of the data source are listed (of the account, for what stands in none); `None` where no list tells
    /// of many scopes at once.
    fn listing(&self, _data_source: &str) -> Option<Look> {
        None
    }

    /// The scope of a listed entry that stands among those of a parent.
    fn listed_under(&self, _entry: &Value) -> Option<Scope> {
        None
    }

    /// Whether the API refuses a second entry of one key, so that taking one for absent that is there does no harm.
    fn has_refused_key(&self) -> bool {
        false
    }

    /// Where to look for the object of this key; `None` for objects that nothing refers to.
    fn look_by_key(&self, _key: &str, _data_source: &str) -> Option<Look> {
        None
    }

    /// Where to look for those that belong to the thing of this UUID; `None` for what nothing refers to within another thing.
    fn look_within(&self, _parent: &str) -> Option<Look> {
        None
    }

    /// A look at the members of an existing object, where the record says something of them and entries do not show them.
    fn look_at_members(&self, _plan: &Plan, _uuid: &str) -> Option<Look> {
        None
    }

    /// The members of an object that was written by this plan, where the plan says them all and no answer shows them.
    fn members_written(&self, _plan: &Plan, _at: &At<'_>) -> Option<Box<[Box<str>]>> {
        None
    }

    /// What an entry of a list, or the answer to a write, tells.
    fn know(&self, entry: &Value, data_source: &str) -> Option<Known> {
        let mut known = Known::read(self.resource(), entry)?;
        let source = entry.get("data_source_uuid").and_then(Value::as_str);
        known.ours = source.is_none_or(|source| source == data_source);
        Some(known)
    }

    /// Whether the API finds the plan's object by its key, so that it is neither looked for nor known by its UUID.
    fn is_addressed_by_key(&self, _plan: &Plan) -> bool {
        false
    }

    /// The entries that a look really answered: within those of its parent, where an object stands within another's entry.
    fn found(&self, _target: &Target, entries: &[Rc<Known>]) -> Vec<Rc<Known>> {
        entries.to_vec()
    }

    /// Which of the entries that a look answered is the record's.
    fn pick(&self, plan: &Plan, target: &Target, entries: &[Rc<Known>]) -> Pick {
        common::pick(self.resource(), plan, target, entries)
    }

    /// The request that makes the object; `None` for what can not be made: then its absence is that of a parent.
    ///
    /// # Errors
    /// What is missing to make it.
    fn create(&self, plan: &Plan, at: &At<'_>) -> Asked<Option<Request>>;

    /// The requests that change the existing object; none when it holds all of the record already.
    ///
    /// # Errors
    /// What the API can not change.
    fn change(&self, plan: &Plan, at: &At<'_>, existing: &Existing) -> Asked<Vec<Request>>;

    /// The requests that delete the existing object; none when there is nothing to delete.
    fn delete(&self, plan: &Plan, at: &At<'_>, existing: &Existing) -> Vec<Request>;

    /// The object within the answer to a write.
    fn answered(&self, answer: Value) -> Value {
        answer
    }

    /// The requests that set what the answer to a write shows was not taken.
    fn repair(&self, _plan: &Plan, _at: &At<'_>, _entry: &Value) -> Vec<Request> {
        Vec::new()
    }

    /// Whether the existing object is what an insert leaves alone. A record about a part of something is not answered by
    /// that being there.
    fn is_there(&self, plan: &Plan, _existing: &Existing) -> bool {
        plan.target != Target::Part
    }

    /// Whether the part that a record is about is there to be changed, so that an update does not put it there.
    fn can_be_updated(&self, _plan: &Plan, _existing: &Existing) -> bool {
        true
    }

    /// The object whose entries carry the custom attributes that its records set; `None` where they set none.
    fn attributes_on(&self) -> Option<&'static Resource> {
        Some(self.resource()).filter(|resource| resource.attributes.is_some())
    }

    /// The field that a custom attribute came in, for people.
    fn attribute_field(&self, key: &str) -> String {
        format!("custom.{key}")
    }

    /// Whether an object made from this plan has nothing that belongs to it yet.
    fn is_made_empty(&self, _plan: &Plan) -> bool {
        false
    }

    /// Whether the plan's object can not be made yet because it lacks parts that may come as records of their own.
    fn is_incomplete(&self, _plan: &Plan) -> bool {
        false
    }

    /// Whether a record of this object is what an incomplete parent waits for.
    fn completes(&self) -> bool {
        false
    }

    /// Whether an object that the record names by its UUID has to be read before it is changed.
    fn needs_known(&self, _plan: &Plan) -> bool {
        false
    }

    /// Whether the plan of another record that stands behind this one can be carried out with it, in one request. Two records
    /// about one thing can; other objects, and parts of one thing, where the object says so.
    fn joins(&self, plan: &Plan, object: &str, next: &Plan) -> bool {
        object == self.resource().name && plan.is_about_the_same_as(next)
    }

    /// One plan that says all that this plan and the others say, the last value of each; the others are named with their
    /// objects, and each of them joins. Records about one thing that has no parts need no rule of their own
    /// ([`Plan::lay_over`]).
    fn join(&self, _plan: &Plan, _others: &[(&str, &Plan)]) -> Option<Plan> {
        None
    }

    /// What a bulk import takes of the record; `None` where it does not go in one.
    fn import(&self, _plan: &Plan) -> Option<Import> {
        None
    }

    /// What the API says is wrong with an entry that it took all the same.
    fn complains(&self, entry: &Value) -> Vec<Fault> {
        common::complaints(entry)
    }

    /// Whether a customer may stand under several keys, so that deleting it would take more than the record's own.
    fn can_be_merged(&self) -> bool {
        false
    }

    /// How a mirror tells which of the objects came; `None` for what it never deletes.
    fn mirrored(&self) -> Option<Mirrored> {
        None
    }

    /// Whether objects stand within the entry of their parent instead of in a list of their own.
    fn is_part(&self) -> bool {
        false
    }

    /// The object whose entries a look answers.
    fn read_by(&self) -> &'static str {
        self.resource().name
    }

    /// Whether a customer that does not exist may be made for the record.
    fn makes_parents(&self) -> bool {
        true
    }

    /// The object of which a request deletes something, so that a share of its entries can be the limit; `None` where nothing
    /// tells how many there are.
    fn counted_as(&self, _request: &Request) -> Option<&'static str> {
        Some(self.resource().name)
    }

    /// The object and the UUID that a request deletes, where it is another object's.
    fn deletes(&self, _request: &Request) -> Option<(&'static str, String)> {
        None
    }

    /// What a request may make of other objects, and how many: never fewer than it does.
    fn makes(&self, _request: &Request) -> Vec<(&'static str, usize)> {
        Vec::new()
    }

    /// What a record names beside its fields of references, by UUID or by key.
    fn mentions(&self, _record: &Record) -> Vec<Box<str>> {
        Vec::new()
    }

    /// Of which entries these objects are counted, and how many of them one entry is.
    fn counted_in(&self) -> (&'static Resource, fn(&Value) -> usize) {
        (self.resource(), |_| 1)
    }

    /// The name of the customer that the record belongs to, for one that has to be made.
    fn parent_name(&self, _plan: &Plan) -> Option<String> {
        None
    }

    /// The lanes of what exists once the plan is carried out: those that wait for it go on.
    fn brings(&self, plan: &Plan) -> LaneKeys {
        plan.target.key().map(|key| LaneKey::by(self.resource().name, &By::Key(key.into()))).into_iter().collect()
    }

    /// Fields of the table that do not stand beside the others in one row, since they name the same thing otherwise.
    fn apart(&self) -> &'static [&'static str] {
        &["uuid", "customer_uuid"]
    }

    /// Rows that a source could send, as JSON objects, for docs and tests.
    fn examples(&self) -> &'static [&'static str];
}

#[cfg(test)]
mod record_tests;
#[cfg(test)]
pub(crate) mod tests;

#[cfg(test)]
mod registry_tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_object_has_facts_modes_keys_and_examples() {
        let mut names = names();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), OBJECTS.len());
        for object in OBJECTS {
            let resource = object.resource();
            assert!(!object.modes().is_empty() && !object.matching_keys().is_empty() && !object.examples().is_empty());
            assert!(resource.path.starts_with('/') && !resource.pages.is_empty());
            let mut fields: Vec<&str> = resource.all_fields().map(|field| field.name).collect();
            assert!(fields.len() < 200, "a slot holds the index in a byte");
            fields.sort_unstable();
            let all = fields.len();
            fields.dedup();
            assert_eq!(fields.len(), all);
            for field in resource.all_fields() {
                assert!(serde_json::from_str::<Value>(field.example).is_ok(), "{}", field.name);
            }
            for key in object.matching_keys().iter().copied().flatten() {
                assert!(resource.field(key).is_some(), "{key}");
            }
        }
    }
}
