//! What was read and what was written, by scope. Grows with the distinct keys of a sync, never with its records.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use smallvec::SmallVec;

use crate::objects::request::Scope;
use crate::plan::{Known, Part};

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// All entries of a scope. A scope that is not here is unknown; an empty one is known to have none.
    shelves: HashMap<Scope, Vec<Rc<Known>>>,
    /// Where an entry stands, by its identity.
    places: HashMap<Box<str>, SmallVec<[Scope; 1]>>,
    /// Things that this run made with nothing that belongs to them.
    made_empty: HashSet<Box<str>>,
}

impl Index {
    /// All entries of a scope; `None` when they are not known.
    pub(super) fn shelf(&self, scope: Scope) -> Option<&[Rc<Known>]> {
        self.shelves.get(&scope).map(Vec::as_slice)
    }

    /// The entry of this identity, wherever it stands.
    pub(super) fn entry(&self, uuid: &str) -> Option<Rc<Known>> {
        let mut shelves = self.places.get(uuid)?.iter().filter_map(|scope| self.shelves.get(scope));
        shelves.find_map(|shelf| shelf.iter().find(|entry| entry.uuid.as_ref() == uuid)).cloned()
    }

    /// Takes in all entries of a scope as they were listed. A list may lag behind our own writes: what it lacks and was
    /// known is not gone, unless the scope is that of one key, which a list that was asked for it answers truly or not at
    /// all.
    pub(super) fn listed(&mut self, scope: Scope, entries: &[Rc<Known>], keep: bool) -> Vec<Rc<Known>> {
        let before = self.shelves.remove(&scope).unwrap_or_default();
        let mut all = entries.to_vec();
        if keep {
            all.extend(before.into_iter().filter(|entry| entries.iter().all(|listed| listed.uuid != entry.uuid)));
        }
        for entry in &all {
            self.note(scope, &entry.uuid);
        }
        self.shelves.insert(scope, all.clone());
        all
    }

    /// Lays one entry over what is known of its scope. With `complete`, the scope has room for this one only.
    pub(super) fn saw(&mut self, scope: Scope, entry: &Rc<Known>, complete: bool) {
        match self.shelves.get_mut(&scope) {
            Some(shelf) => match shelf.iter_mut().find(|other| other.uuid == entry.uuid) {
                Some(other) => *other = Rc::clone(entry),
                None => shelf.push(Rc::clone(entry)),
            },
            None if complete => drop(self.shelves.insert(scope, vec![Rc::clone(entry)])),
            None => return,
        }
        self.note(scope, &entry.uuid);
    }

    /// Lays an entry over what is known of it, wherever it stands.
    pub(super) fn replace(&mut self, entry: &Rc<Known>) {
        for scope in self.places.get(&entry.uuid).into_iter().flatten() {
            for other in self.shelves.get_mut(scope).into_iter().flatten().filter(|other| other.uuid == entry.uuid) {
                *other = Rc::clone(entry);
            }
        }
    }

    /// Lays an entry that stands within the one entry of a scope over what is known of that.
    pub(super) fn saw_part(&mut self, scope: Scope, object: &'static str, part: &Known) {
        let Some([whole]) = self.shelves.get_mut(&scope).map(Vec::as_mut_slice) else { return };
        let whole = Rc::make_mut(whole);
        let mut parts = std::mem::take(&mut whole.parts).into_vec();
        let new = Part { object, known: part.clone() };
        match parts.iter_mut().find(|other| other.known.uuid == part.uuid) {
            Some(other) => *other = new,
            None => parts.push(new),
        }
        whole.parts = parts.into();
    }

    /// An entry within the one entry of a scope is gone.
    pub(super) fn part_gone(&mut self, scope: Scope, uuid: &str) {
        for whole in self.shelves.get_mut(&scope).into_iter().flatten() {
            let whole = Rc::make_mut(whole);
            whole.parts =
                std::mem::take(&mut whole.parts).into_vec().into_iter().filter(|p| p.known.uuid.as_ref() != uuid).collect();
        }
    }

    /// Changes what is known of an entry, wherever it stands.
    pub(super) fn amend(&mut self, uuid: &str, change: impl Fn(&mut Known)) {
        for scope in self.places.get(uuid).into_iter().flatten() {
            for entry in self.shelves.get_mut(scope).into_iter().flatten().filter(|entry| entry.uuid.as_ref() == uuid) {
                change(Rc::make_mut(entry));
            }
        }
    }

    /// What was known of a scope is no longer all of it, or proved wrong.
    pub(super) fn forget(&mut self, scope: Scope) {
        self.shelves.remove(&scope);
    }

    /// An entry is gone, wherever it stood.
    pub(super) fn gone(&mut self, uuid: &str) {
        for scope in self.places.remove(uuid).into_iter().flatten() {
            if let Some(shelf) = self.shelves.get_mut(&scope) {
                shelf.retain(|entry| entry.uuid.as_ref() != uuid);
            }
        }
        self.made_empty.remove(uuid);
    }

    pub(super) fn made_empty(&mut self, uuid: &str) {
        self.made_empty.insert(uuid.into());
    }

    pub(super) fn is_empty(&self, uuid: &str) -> bool {
        self.made_empty.contains(uuid)
    }

    fn note(&mut self, scope: Scope, uuid: &str) {
        match self.places.get_mut(uuid) {
            Some(places) if places.contains(&scope) => {}
            Some(places) => places.push(scope),
            None => drop(self.places.insert(uuid.into(), SmallVec::from_buf([scope]))),
        }
    }
}
