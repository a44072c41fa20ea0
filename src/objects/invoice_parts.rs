//! Line items and transactions of an invoice that exists, compared with those of a record.
//!
//! Owns which of them is which, and the request that each needs. Does not own the rules of their fields (`billing`).

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::request::{Method, Request, Shows};
use super::resource::Resource;
use super::{Existing, common, invoices};
use crate::plan::{Known, fingerprint_of};

/// Line items or transactions of an invoice that exists: which of the record's are there, and what the others need.
pub(super) struct Parts<'a> {
    resource: &'static Resource,
    existing: &'a Existing,
    parts: Vec<&'a Known>,
    by_key: HashMap<&'a str, usize>,
    taken: Vec<bool>,
    /// All before this one are taken.
    first_free: usize,
}

impl<'a> Parts<'a> {
    pub(super) fn new(resource: &'static Resource, existing: &'a Existing) -> Self {
        let all = existing.known.as_deref().map_or(&[][..], Known::parts);
        let parts: Vec<&Known> = all.iter().filter(|part| part.object == resource.name).map(|part| &part.known).collect();
        let by_key = parts.iter().enumerate().flat_map(|(at, known)| known.keys().map(move |key| (key, at))).collect();
        let taken = vec![false; parts.len()];
        Self { resource, existing, parts, by_key, taken, first_free: 0 }
    }

    pub(super) fn requests(mut self, entries: impl Iterator<Item = Map<String, Value>>) -> Vec<Request> {
        entries.filter_map(|entry| self.request(&entry)).collect()
    }

    /// What one entry of the record needs.
    fn request(&mut self, entry: &Map<String, Value>) -> Option<Request> {
        let values = fingerprints(self.resource, entry);
        let found = match entry.get("external_id").and_then(Value::as_str) {
            Some(key) => self.by_key.get(key).copied().filter(|at| !self.taken[*at]),
            None => (self.first_free..self.parts.len()).find(|at| !self.taken[*at] && is_same(&values, self.parts[*at])),
        };
        let Some(at) = found else {
            let path =
                format!("/import{}/{}{}", invoices::RESOURCE.path, common::encoded(&self.existing.uuid), self.resource.path);
            let request = Request::new(Method::Post, path, Some(common::json(entry)), self.resource.calls.create).once();
            return Some(request.shows(Shows::Part(self.resource.name)));
        };
        self.taken[at] = true;
        while self.taken.get(self.first_free) == Some(&true) {
            self.first_free += 1;
        }
        let known = self.parts[at];
        let changed = changed(self.resource, entry, &values, known);
        if changed.is_empty() {
            return None;
        }
        let path = common::own_path(self.resource, &known.uuid);
        let request = Request::new(Method::Patch, path, Some(common::json(&changed)), self.resource.calls.update);
        Some(request.shows(Shows::Part(self.resource.name)))
    }
}

/// The values of an entry as they are kept of what is known.
fn fingerprints(resource: &'static Resource, entry: &Map<String, Value>) -> Vec<(u8, u64)> {
    let values = entry.iter().filter(|(name, _)| name.as_str() != "external_id").filter_map(|(name, value)| {
        let (at, field) = (resource.slot(name)?, resource.field(name)?);
        Some((at, fingerprint_of(field, value)))
    });
    values.collect()
}

/// Whether what is known is this entry: nothing that it shows is another value, and something is the same.
fn is_same(values: &[(u8, u64)], known: &Known) -> bool {
    let held = |(at, value): &(u8, u64)| known.value(*at).map(|held| held == *value);
    values.iter().all(|value| held(value) != Some(false)) && values.iter().any(|value| held(value) == Some(true))
}

/// The members of an entry that what is known does not hold. What is not shown, or may be dropped, goes along with another
/// and never alone.
fn changed(resource: &'static Resource, entry: &Map<String, Value>, values: &[(u8, u64)], known: &Known) -> Map<String, Value> {
    let other = |at: u8| values.iter().find(|(place, _)| *place == at).is_some_and(|(_, value)| known.value(at) != Some(*value));
    let field = |at: u8| resource.all_fields().nth(usize::from(at));
    let is_reason =
        |at: u8| known.value(at).is_some() && (field(at).is_some_and(|field| field.kept) || known.is_set(at) == Some(true));
    if !values.iter().any(|(at, _)| other(*at) && is_reason(*at)) {
        return Map::new();
    }
    let differs = |name: &str| resource.slot(name).is_some_and(other);
    entry.iter().filter(|(name, _)| differs(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}
