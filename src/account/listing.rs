//! The listings of the data source, as far as they were read, and the keys that wait for them.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::rent_or_buy::{Next, Tally};
use crate::objects::request::Scope;
use crate::plan::{Known, Part};

/// One object's listing.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// What there was before this run wrote anything that no answer showed.
    first: Pages,
    /// The same list once more, for what came into being without an answer that showed it.
    again: Pages,
    /// Entries of scopes that only the whole listing tells all of.
    staged: HashMap<Scope, Vec<Rc<Known>>>,
    /// Something of the object was written since the first page: pages may have shifted, so that what they lack may be there.
    pub(super) disturbed: bool,
}

/// One pass through a list.
#[derive(Debug, Default)]
struct Pages {
    tally: Tally,
    /// Where the next page begins.
    cursor: Option<String>,
}

impl Listing {
    /// What to read for a key that is not known: the page at this cursor (none is the first), or with `None` the key by itself,
    /// which is counted as done. `waiting` counts the distinct keys that wait. Where the API lets things be made twice, a
    /// listing that was disturbed tells no absence, so that no more of it is read.
    pub(super) fn next(&mut self, again: bool, waiting: impl Fn() -> usize, refuses_twice: bool) -> Option<Option<String>> {
        let is_of_use = again || refuses_twice || !self.disturbed;
        let pages = if again { &mut self.again } else { &mut self.first };
        if is_of_use && !pages.tally.complete && pages.tally.next(waiting()) == Next::Page {
            return Some(pages.cursor.clone());
        }
        pages.tally.key();
        None
    }

    /// A page was read. With the last one of the first pass, what is staged is given out: all entries of each scope.
    pub(super) fn read(&mut self, again: bool, total: Option<usize>, next: Option<String>) -> HashMap<Scope, Vec<Rc<Known>>> {
        let pages = if again { &mut self.again } else { &mut self.first };
        pages.tally.page(total, next.is_none());
        pages.cursor = next;
        match !again && self.first.tally.complete {
            true => std::mem::take(&mut self.staged),
            false => HashMap::new(),
        }
    }

    /// Something came into being that another pass can show.
    pub(super) fn has_more(&mut self) {
        self.again = Pages::default();
    }

    /// Whether all that there was before is known.
    pub(super) fn is_complete(&self) -> bool {
        self.first.tally.complete
    }

    /// Keeps an entry that stands among those of a parent until all of them are read. It comes once, should pages shift.
    pub(super) fn stage(&mut self, parent: Scope, entry: &Rc<Known>) {
        let staged = self.staged.entry(parent).or_default();
        if staged.iter().all(|other| other.uuid != entry.uuid) {
            staged.push(Rc::clone(entry));
        }
    }

    /// Whether a page was read and not all of them.
    pub(super) fn is_open(&self) -> bool {
        self.first.tally.pages > 0 && !self.first.tally.complete
    }
}

/// Keys of which records wait for their turn.
#[derive(Debug, Default)]
pub(super) struct Expected(HashMap<&'static str, HashMap<Scope, u32>>);

impl Expected {
    pub(super) fn add(&mut self, object: &'static str, scope: Scope) {
        *self.0.entry(object).or_default().entry(scope).or_default() += 1;
    }

    pub(super) fn answered(&mut self, object: &'static str, scope: Scope) {
        self.0.get_mut(object).and_then(|scopes| scopes.remove(&scope));
    }

    pub(super) fn remove(&mut self, object: &'static str, scope: Scope) {
        let Some(scopes) = self.0.get_mut(object) else { return };
        match scopes.get_mut(&scope) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) => drop(scopes.remove(&scope)),
            None => {}
        }
    }

    /// How many distinct ones wait that are not known.
    pub(super) fn waiting(&self, object: &'static str, is_known: impl Fn(Scope) -> bool) -> usize {
        self.0.get(object).into_iter().flat_map(HashMap::keys).filter(|scope| !is_known(**scope)).count()
    }
}

/// What was written while a page was on its way: the page may show it as it was before.
#[derive(Debug, Default)]
pub(super) struct Touched {
    reading: usize,
    scopes: HashSet<Scope>,
}

impl Touched {
    /// A page is asked for.
    pub(super) fn begin(&mut self) {
        self.reading += 1;
    }

    /// It was taken in.
    pub(super) fn end(&mut self) {
        self.reading -= 1;
        if self.reading == 0 {
            self.scopes.clear();
        }
    }

    /// Something was written, named by itself or by its key.
    pub(super) fn add(&mut self, scope: Scope) {
        if self.reading > 0 {
            self.scopes.insert(scope);
        }
    }

    /// Whether the entry or a part of it was written.
    pub(super) fn has(&self, entry: &Known) -> bool {
        let is_touched = |scope| self.scopes.contains(&scope);
        let part = |part: &Part| {
            let mut keys = part.known.keys().map(|key| Scope::key(part.object, key));
            is_touched(Scope::entry(&part.known.uuid)) || keys.any(is_touched)
        };
        !self.scopes.is_empty() && (is_touched(Scope::entry(&entry.uuid)) || entry.parts().iter().any(part))
    }
}
