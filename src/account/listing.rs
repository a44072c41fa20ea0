//! The listings of the data source, as far as they were read, and the keys that wait for them.

use std::collections::HashMap;
use std::rc::Rc;

use super::rent_or_buy::Tally;
use crate::objects::request::Scope;
use crate::plan::Known;

/// One object's listing.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// What was read.
    pub(super) tally: Tally,
    /// Where the next page begins.
    pub(super) cursor: Option<String>,
    /// Entries of scopes that only the whole listing tells all of.
    pub(super) staged: HashMap<Scope, Vec<Rc<Known>>>,
    /// Something of the object was written since the first page: pages may have shifted, so that what they lack may be there.
    pub(super) disturbed: bool,
}

impl Listing {
    /// Whether a page was read and not all of them.
    pub(super) fn is_open(&self) -> bool {
        self.tally.pages > 0 && !self.tally.complete
    }
}

/// Keys of which records wait for their turn.
#[derive(Debug, Default)]
pub(super) struct Expected(HashMap<&'static str, HashMap<Scope, u32>>);

impl Expected {
    pub(super) fn add(&mut self, object: &'static str, scope: Scope) {
        *self.0.entry(object).or_default().entry(scope).or_default() += 1;
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
