//! Reading the listings of the data source: which pages, when, and what is taken from them.
//!
//! Owns the meeting of what waits ([`super::listing`]) with the rule that says what is cheaper ([`super::rent_or_buy`]). Does
//! not own single look-ups (`lookup`).

use std::rc::Rc;

use serde_json::Value;

use super::lookup::{Account, Found, Page, Trouble};
use crate::objects::Object;
use crate::objects::request::{Look, Scope};
use crate::plan::Known;

impl Account<'_> {
    /// What entries of a list tell, beside the entries.
    pub(super) fn take_in<'e>(
        &self,
        object: &'static dyn Object,
        look: &Look,
        entries: &'e [Value],
    ) -> Vec<(Rc<Known>, &'e Value)> {
        let known: Vec<(Rc<Known>, &Value)> =
            entries.iter().filter_map(|entry| Some((self.know(object, entry)?, entry))).collect();
        if known.iter().any(|(known, _)| known.ours) && look.query.iter().any(|(name, _)| name == "data_source_uuid") {
            self.proven.set(true);
        }
        known
    }

    /// What is known of a scope, after as many pages of the object's listing as the rule allows; `None` when the scope has to be
    /// looked at by itself.
    pub(super) async fn known_or_listed(
        &self,
        object: &'static dyn Object,
        look: &Look,
        scope: Scope,
    ) -> Result<Option<Vec<Rc<Known>>>, Trouble> {
        if let Some(known) = self.known_without_asking(object, look, scope) {
            return Ok(Some(known));
        }
        let Some(all) = object.listing(&self.data_source).filter(|_| look.is_listed) else { return Ok(None) };
        let name = object.resource().name;
        // One reads, the others wait: its pages may show what they want.
        let _alone = self.alone_with(Scope::listing(name)).await;
        // What can be made twice is not made meanwhile: a list that was made while somebody writes does not tell what is absent.
        let mut quiet = None;
        loop {
            if let Some(known) = self.known_without_asking(object, look, scope) {
                return Ok(Some(known));
            }
            // What no answer has shown is found by another pass, if not by itself.
            let again = self.index.borrow().is_unseen(scope);
            let next = {
                let mut listings = self.listings.borrow_mut();
                let waiting = || self.waiting(name, again);
                listings.entry(name).or_default().next(again, waiting, object.has_refused_key())
            };
            let Some(cursor) = next else { return Ok(None) };
            if quiet.is_none() && !object.has_refused_key() {
                quiet = Some(self.making(name).write_owned().await);
            }
            self.read_next(object, &all, cursor, again).await?;
        }
    }

    fn known_without_asking(&self, object: &'static dyn Object, look: &Look, scope: Scope) -> Option<Vec<Rc<Known>>> {
        let mut index = self.index.borrow_mut();
        if let Some(known) = index.shelf(scope) {
            return Some(known);
        }
        if index.is_listed(scope) && look.parent.as_ref().is_some_and(|parent| index.is_empty(parent)) {
            return Some(index.listed(scope, &[], false));
        }
        let listings = self.listings.borrow();
        let listing = listings
            .get(object.resource().name)
            .filter(|listing| look.is_listed && listing.is_complete() && index.is_listed(scope) && !index.is_unseen(scope))?;
        // What the API itself refuses to make twice may be taken for absent.
        (!listing.disturbed || object.has_refused_key()).then(|| index.listed(scope, &[], false))
    }

    /// Takes in one page of an object's listing. What this run wrote or looked at by itself since is newer.
    fn read_page(&self, object: &'static dyn Object, look: &Look, page: Page, again: bool) {
        let mut known = self.take_in(object, look, &page.entries);
        known.retain(|(known, _)| !self.touched.borrow().has(known));
        let mut index = self.index.borrow_mut();
        let mut listings = self.listings.borrow_mut();
        let listing = listings.entry(object.resource().name).or_default();
        for (known, entry) in &known {
            for key in known.keys() {
                let scope = object.look_by_key(key, &self.data_source).and_then(|look| look.scope);
                if let Some(scope) = scope.filter(|scope| !index.has(*scope)) {
                    index.saw(scope, known, true);
                }
            }
            if let Some(parent) = object.listed_under(entry).filter(|_| !again) {
                listing.stage(parent, known);
            }
        }
        let staged = listing.read(again, page.total, page.next);
        for (scope, entries) in staged.into_iter().filter(|_| !listing.disturbed) {
            if !index.has(scope) && index.is_listed(scope) {
                index.listed(scope, &entries, false);
            }
        }
    }

    /// Says that a record waits for its turn that will ask for this.
    pub fn expect(&self, object: &'static str, scope: Scope) {
        self.expected.borrow_mut().add(object, scope);
    }

    /// Says that this is known now, however many still wait that will ask for it.
    pub fn answered(&self, object: &'static str, scope: Scope) {
        self.expected.borrow_mut().answered(object, scope);
    }

    /// Says that its turn is over.
    pub fn met(&self, object: &'static str, scope: Scope) {
        self.expected.borrow_mut().remove(object, scope);
    }

    /// What there is under this identity: what is known of it, after as many pages of its object's listing as the rule allows, else
    /// the entry as it is read by itself. `None` where the object is not read one by one.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn entry_or_read(&self, object: &'static dyn Object, uuid: &str) -> Result<Option<Found<Rc<Known>>>, Trouble> {
        Ok(match self.entry_or_listed(object, uuid).await? {
            Some(known) => Some(Found::Present(known)),
            None if object.resource().calls.read.is_empty() => None,
            None => Some(self.read(object, uuid).await?),
        })
    }

    /// What is known of an entry after as many pages of its object's listing as the rule allows.
    async fn entry_or_listed(&self, object: &'static dyn Object, uuid: &str) -> Result<Option<Rc<Known>>, Trouble> {
        let Some(all) = object.listing(&self.data_source) else { return Ok(self.known_entry(uuid)) };
        let name = object.resource().name;
        if let Some(known) = self.known_entry(uuid) {
            return Ok(Some(known));
        }
        let _alone = self.alone_with(Scope::listing(name)).await;
        let mut quiet = None;
        loop {
            if let Some(known) = self.known_entry(uuid) {
                return Ok(Some(known));
            }
            let next = {
                let mut listings = self.listings.borrow_mut();
                listings.entry(name).or_default().next(false, || self.waiting(name, false), object.has_refused_key())
            };
            let Some(cursor) = next else {
                // It is read by itself, and waits for no page any longer.
                self.expected.borrow_mut().answered(name, Scope::entry(uuid));
                return Ok(None);
            };
            if quiet.is_none() && !object.has_refused_key() {
                quiet = Some(self.making(name).write_owned().await);
            }
            self.read_next(object, &all, cursor, false).await?;
        }
    }

    /// How many distinct ones wait that are not known, of those that another pass shows or of the others.
    fn waiting(&self, name: &'static str, again: bool) -> usize {
        if again && !self.asks_for_unseen.get() {
            // The one that asks. Should others ask after all, the look-ups that they spend buy the listing.
            return 1;
        }
        let (index, expected) = (self.index.borrow(), self.expected.borrow());
        expected.waiting(name, |other| index.has(other) || index.stands(other) || index.is_unseen(other) != again)
    }

    async fn read_next(
        &self,
        object: &'static dyn Object,
        all: &Look,
        cursor: Option<String>,
        again: bool,
    ) -> Result<(), Trouble> {
        self.touched.borrow_mut().begin();
        let page = self.page(all, cursor).await;
        let read = page.map(|page| self.read_page(object, all, page, again));
        self.touched.borrow_mut().end();
        read
    }

    /// Goes through all entries of a listing as they are now. Nothing is kept of them, and nothing that is known is taken for
    /// them.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn each_entry(&self, all: &Look, mut see: impl FnMut(&Value)) -> Result<(), Trouble> {
        let mut cursor = None;
        loop {
            let page = self.page(all, cursor).await?;
            page.entries.iter().for_each(&mut see);
            match page.next {
                None => return Ok(()),
                next => cursor = next,
            }
        }
    }

    /// Says whether what waits will ask for things that this run made and no answer has shown.
    pub fn asks_for_unseen(&self, asks: bool) {
        self.asks_for_unseen.set(asks);
    }

    /// This run made the thing of this key, and no answer has shown it.
    pub fn unseen(&self, object: &dyn Object, key: &str) {
        let Some(scope) = object.look_by_key(key, &self.data_source).and_then(|look| look.scope) else { return };
        self.index.borrow_mut().unseen(scope);
        self.listings.borrow_mut().entry(object.resource().name).or_default().has_more();
    }

    /// Whether the thing of this key is there without having been seen.
    pub fn is_unseen(&self, object: &dyn Object, key: &str) -> bool {
        let scope = object.look_by_key(key, &self.data_source).and_then(|look| look.scope);
        scope.is_some_and(|scope| self.index.borrow().is_unseen(scope))
    }

    /// What was read of an object's list may be outdated: it is read afresh where it is asked for, and so are these keys.
    pub fn read_afresh<'k>(&self, object: &dyn Object, keys: impl Iterator<Item = &'k str>) {
        let scopes = keys.filter_map(|key| object.look_by_key(key, &self.data_source)?.scope);
        let mut index = self.index.borrow_mut();
        scopes.for_each(|scope| index.forget(scope));
        self.listings.borrow_mut().remove(object.resource().name);
    }
}
