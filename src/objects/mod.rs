//! The objects of ChartMogul that can be written, one file each, and their registry.
//!
//! Owns what a record of an object means: its keys, its modes, its own rules, and the JSON of its requests. Does not own
//! how values become their normal form ([`crate::plan`]), how requests are sent (`client`) nor when (`engine`).

pub mod contacts;
pub mod customers;
mod json;
pub mod resource;

use std::fmt;

use serde_json::Value;

use crate::outcome::Fault;
use crate::plan::{MatchBy, Mode, Plan, Record};
use resource::Resource;

/// Every object, in the order people see them. A new object is a file of its own and a line here.
pub const OBJECTS: &[&dyn Object] = &[&customers::Customers, &contacts::Contacts];

/// The object of this name.
pub fn find(name: &str) -> Option<&'static dyn Object> {
    OBJECTS.iter().copied().find(|object| object.resource().name == name)
}

/// The names of all objects, in the order of the registry.
pub fn names() -> Vec<&'static str> {
    OBJECTS.iter().map(|object| object.resource().name).collect()
}

/// What a stream says about its records, beside their values.
#[derive(Debug, Clone)]
pub struct How {
    /// What to do with existing and absent objects.
    pub mode: Mode,
    /// The key to match by; `None` leaves the object its own order of tries.
    pub match_by: Option<MatchBy>,
    /// The configured data source.
    pub data_source: Box<str>,
}

/// What of an existing object a change has to know.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// The tags it has; `None` when they were not read.
    pub tags: Option<&'a [Box<str>]>,
}

/// A change of an existing object, as the requests it takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Body of the PATCH; `None` when nothing of the object itself changes.
    pub patch: Option<String>,
    /// Tags to add by the tags endpoint, because the present ones are unknown.
    pub add_tags: Vec<String>,
    /// Keys of attributes to remove by the attributes endpoint.
    pub remove_attributes: Vec<String>,
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

/// One object of ChartMogul. Everything here is pure.
pub trait Object: Sync + fmt::Debug {
    /// The facts of the far side.
    fn resource(&self) -> &'static Resource;

    /// The modes in which it can be written.
    fn modes(&self) -> &'static [Mode];

    /// The keys by which a record may be matched: alternatives, each a set of fields.
    fn matching_keys(&self) -> &'static [&'static [&'static str]];

    /// Fields that every record needs in this mode, beside one matching key: of each set, one.
    fn required(&self, mode: Mode) -> &'static [&'static [&'static str]];

    /// What a set of primary key fields says about matching; `None` when it is no key of this object.
    fn match_by(&self, fields: &[&str]) -> Option<MatchBy>;

    /// Whether the API refuses a second object of the same key. Where it does not, an insert has to look first, and a
    /// create whose answer was lost has to be looked for several times.
    fn refuses_duplicates(&self) -> bool;

    /// Turns a record into what it asks for.
    ///
    /// # Errors
    /// All faults of the record at once.
    fn plan(&self, record: Record, how: &How) -> Result<Plan, Vec<Fault>>;

    /// Body of the POST that makes the object.
    fn create(&self, plan: &Plan, data_source: &str, customer: Option<&str>) -> String;

    /// Requests that change the existing object.
    fn change(&self, plan: &Plan, known: Known<'_>) -> Change;

    /// Which of the entries that a look-up answered is the record's.
    fn pick(&self, plan: &Plan, data_source: &str, entries: &[Value]) -> Pick;

    /// The custom attributes in an answer.
    fn answered_attributes<'v>(&self, entry: &'v Value) -> Option<&'v serde_json::Map<String, Value>>;

    /// Rows that a source could send, as JSON objects, for docs and tests.
    fn examples(&self) -> &'static [&'static str];
}

/// Takes the checks every object shares: the record's own data source, if it names one, is the configured one.
fn check_data_source(record: &mut Record, how: &How) {
    if let Some(given) = record.text("data_source_uuid")
        && !given.eq_ignore_ascii_case(&how.data_source)
    {
        record.faults.push(Fault::field(
            crate::errors::Code::OtherDataSource,
            "data_source_uuid",
            "names another data source than the configured one",
        ));
    }
}

#[cfg(test)]
mod tests;

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
