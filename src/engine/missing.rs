//! What is in the data source and did not come.
//!
//! Owns reading the lists afresh, and which entries stay. What came or is referred to by what came stays, rejected records among
//! it. What came may say nothing of what it belongs to, so that the entries of the account are asked as well: what others belong
//! to is judged only when all entries are read. What others made since the sync began stays where the API shows when a thing was
//! made: of the objects that are mirrored, events only. Does not own when anything is deleted ([`super::mirror`]).

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use serde_json::Value;
use smallvec::SmallVec;

use super::conductor::Sync;
use super::deletions::Doomed;
use super::execute::World;
use crate::account::Trouble;
use crate::objects::mirrored::{above, is_above, names_of};
use crate::objects::request::Scope;
use crate::objects::{How, OBJECTS, Object};
use crate::outcome::Outcome;
use crate::plan::Known;

/// What is to be deleted of one object.
pub(super) struct Missing<'b> {
    pub(super) object: &'static dyn Object,
    pub(super) how: &'b How,
    /// Identities of what did not come; no more of them than may be deleted, and one.
    pub(super) uuids: BTreeSet<Box<str>>,
    pub(super) count: Doomed,
    /// Those that stand under several keys.
    pub(super) merged: u64,
    /// Those that others made meanwhile.
    pub(super) newer: u64,
    /// Those that did not come by their own names, while what belongs to them may.
    open: Vec<Open>,
}

/// An entry that did not come by its own names.
struct Open {
    uuid: Box<str>,
    names: SmallVec<[Scope; 2]>,
    is_merged: bool,
}

impl Missing<'_> {
    /// This one did not come.
    fn take(&mut self, open: Open, most: u64) {
        if open.is_merged {
            self.merged += 1;
        } else if self.uuids.len() as u64 > most || self.uuids.insert(open.uuid) {
            self.count.deletions += 1;
        }
    }
}

impl Sync<'_> {
    /// Lists the objects afresh and tells what did not come, in the order given.
    pub(super) async fn missing<'b>(
        &self,
        world: &World<'_>,
        objects: Vec<(&'static dyn Object, &'b How)>,
    ) -> Result<Vec<Missing<'b>>, Trouble> {
        let account = &world.account;
        let most = world.deletions.borrow().most();
        let created = |of: &'static str| -> u64 {
            let report = self.engine.report.borrow();
            let streams = self.engine.bindings.iter().zip(&report.streams);
            let made = streams.filter(|(binding, _)| binding.object.resource().name == of);
            made.filter_map(|(_, (_, tally))| tally.outcomes.get(Outcome::Created.as_str())).sum()
        };
        let mut missing: Vec<Missing<'_>> = Vec::new();
        for (object, how) in objects {
            let count =
                Doomed { object: object.resource().name, deletions: 0, entries: 0, created: created(object.resource().name) };
            missing.push(Missing { object, how, uuids: BTreeSet::new(), count, merged: 0, newer: 0, open: Vec::new() });
        }
        // The other names of what things belong to, for objects whose keys are unique there only.
        let mut parents: HashMap<Box<str>, Vec<Box<str>>> = HashMap::new();
        let within: Vec<&str> =
            missing.iter().filter_map(|missing| Some(missing.object.mirrored()?.within?.0.object())).collect();
        // What is not mirrored itself is read where records left it to the entries what they belong to.
        let asked: BTreeSet<&str> = {
            let is_missing = |of: &str| missing.iter().any(|missing| missing.object.resource().name == of);
            self.seen.unsaid().filter(|(_, of)| is_missing(of)).map(|(listed, _)| listed).collect()
        };
        // What entries that came belong to.
        let mut owners: HashSet<Scope> = HashSet::new();
        // In the order of the registry, so that what others belong to is read before them.
        for listed in OBJECTS {
            let name = listed.resource().name;
            let place = |object: &&dyn Object| {
                missing.iter().position(|missing| missing.object.resource().name == object.resource().name)
            };
            let own = place(listed);
            let parts: Vec<(&'static dyn Object, Option<usize>)> =
                OBJECTS.iter().filter(|part| part.is_part() && part.read_by() == name).map(|part| (*part, place(part))).collect();
            let is_parent = within.contains(&name);
            let is_wanted = is_parent || asked.contains(name) || own.is_some() || parts.iter().any(|(_, at)| at.is_some());
            let Some(all) = listed.listing(account.data_source()).filter(|_| is_wanted) else { continue };
            account
                .each_entry(&all, |entry| {
                    let Some(whole) = listed.know(entry, account.data_source()).filter(|whole| whole.ours) else { return };
                    if is_parent {
                        parents.insert(whole.uuid.clone(), whole.keys().map(Box::from).collect());
                    }
                    let other_names = |parent: &str| parents.get(parent).cloned().unwrap_or_default();
                    let mut holds = false;
                    for (object, at) in &parts {
                        for part in entry[object.resource().list_root].as_array().into_iter().flatten() {
                            let Some(known) = object.know(part, account.data_source()) else { continue };
                            let names = names_of(*object, part, &known, other_names);
                            let came = self.came(&names);
                            if came {
                                holds = true;
                                self.own(&mut owners, part);
                            }
                            if let Some(at) = at {
                                self.judge(world, &mut missing[*at], (part, &known), came, &names, most);
                            }
                        }
                    }
                    let names = names_of(*listed, entry, &whole, other_names);
                    let came = holds || self.came(&names);
                    if came {
                        self.own(&mut owners, entry);
                    }
                    if let Some(at) = own {
                        self.judge(world, &mut missing[at], (entry, &whole), came, &names, most);
                    }
                })
                .await?;
        }
        for missing in &mut missing {
            for open in std::mem::take(&mut missing.open) {
                if !open.names.iter().any(|name| owners.contains(name)) {
                    missing.take(open, most);
                }
            }
        }
        Ok(missing)
    }

    fn came(&self, names: &[Scope]) -> bool {
        names.iter().any(|name| self.seen.has(*name))
    }

    /// Notes what an entry belongs to, as far as that did not come by itself.
    fn own(&self, owners: &mut HashSet<Scope>, entry: &Value) {
        owners.extend(above(entry).filter(|name| !self.seen.has(*name)));
    }

    /// What becomes of an entry, as far as that is known yet.
    fn judge(
        &self,
        world: &World<'_>,
        missing: &mut Missing<'_>,
        (entry, known): (&Value, &Known),
        came: bool,
        names: &[Scope],
        most: u64,
    ) {
        let (object, account) = (missing.object, &world.account);
        let Some(mirrored) = object.mirrored().filter(|_| known.ours) else { return };
        missing.count.entries += 1;
        if came || (mirrored.only_keyed && known.keys().next().is_none()) {
            return;
        }
        let made = entry.get("created_at").and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
        if made.zip(self.engine.attempt.began).is_some_and(|(made, began)| made >= began) {
            missing.newer += 1;
            return;
        }
        let is_merged = object.can_be_merged() && (known.pairs > 1 || account.has_absorbed(&known.uuid));
        let open = Open { uuid: known.uuid.clone(), names: names.into(), is_merged };
        match is_above(object) {
            true => missing.open.push(open),
            false => missing.take(open, most),
        }
    }
}
