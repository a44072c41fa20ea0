//! What our own writes and single reads teach of the account, laid over what was listed.
//!
//! Owns what is taken from an answer. Does not own the looks (`lookup`, `reading`), nor where it is kept (`index`).

use std::rc::Rc;

use serde_json::Value;

use super::lookup::Account;
use crate::objects::request::Scope;
use crate::objects::{OBJECTS, Object};
use crate::plan::Known;

impl Account<'_> {
    /// Takes in an entry as a write or a single read answered it: under its keys, and in the scope where it was looked for.
    pub fn saw(&self, object: &dyn Object, entry: &Value, home: Option<Scope>) -> Option<Rc<Known>> {
        let known = self.know(object, entry);
        known.iter().for_each(|known| self.touched.borrow_mut().add(Scope::entry(&known.uuid)));
        let mut index = self.index.borrow_mut();
        let Some(known) = known else {
            // Any 2xx is success, with or without a body. Without one it is not known what there is now.
            home.into_iter().for_each(|scope| index.forget(scope));
            return None;
        };
        // What stands in no data source proves none.
        if known.ours && ["data_source_uuid", "data_source_uuids"].iter().any(|name| entry.get(name).is_some()) {
            self.proven.set(true);
        }
        if let Some(listing) = self.listings.borrow_mut().get_mut(object.resource().name) {
            listing.disturbed |= listing.is_open();
        }
        if object.is_part() {
            if let Some(home) = home {
                index.saw_part(home, object.resource().name, &known);
            }
            return Some(known);
        }
        index.replace(&known);
        for key in known.keys() {
            if let Some(scope) = object.look_by_key(key, &self.data_source).and_then(|look| look.scope) {
                index.saw(scope, &known, true);
            }
        }
        if let Some(home) = home {
            index.saw(home, &known, false);
        }
        Some(known)
    }

    /// Changes what is known of an entry.
    pub fn amend(&self, uuid: &str, change: impl Fn(&mut Known)) {
        self.touched.borrow_mut().add(Scope::entry(uuid));
        self.index.borrow_mut().amend(uuid, change);
    }

    /// This run made a thing that has nothing belonging to it but what this run makes.
    pub fn made_empty(&self, uuid: &str) {
        self.index.borrow_mut().made_empty(uuid);
    }

    /// The scope in which the part of this key stands, as far as this run has seen it.
    pub fn home_of(&self, part: &dyn Object, key: &str) -> Option<Scope> {
        self.index.borrow().home_of(part.resource().name, key)
    }

    /// Something was written that is addressed by its key.
    pub fn wrote_by_key(&self, object: &dyn Object, key: &str) {
        self.touched.borrow_mut().add(Scope::key(object.resource().name, key));
    }

    /// What was known of a scope proved wrong.
    pub fn forget(&self, scope: Scope) {
        self.index.borrow_mut().forget(scope);
    }

    /// An entry was deleted, or its identity is known to be gone.
    pub fn gone(&self, uuid: &str) {
        self.touched.borrow_mut().add(Scope::entry(uuid));
        self.index.borrow_mut().gone(uuid);
    }

    /// A thing to which others may belong was deleted. Documented: everything of a customer goes with it.
    pub fn deleted(&self, known: &Known) {
        let names: Vec<&str> = known.keys().chain([known.uuid.as_ref()]).collect();
        let own = names.iter().flat_map(|name| OBJECTS.iter().map(|object| Scope::of(object.read_by(), name)));
        // Its own entry is known to be gone, so that it names nothing.
        self.gone(&known.uuid);
        self.index.borrow_mut().bereaved(&names, own.collect::<Vec<_>>());
    }

    /// A thing became part of another. It may take the API a while (202): what is listed under its UUID until then is the
    /// other's already.
    pub fn absorbed(&self, from: &str, into: &str) {
        let children = |parent: &str| OBJECTS.iter().map(|object| Scope::of(object.read_by(), parent)).collect();
        self.index.borrow_mut().absorbed(from, into, children);
    }

    /// The UUID under which a thing stands now.
    pub fn now(&self, uuid: &str) -> Box<str> {
        self.index.borrow().now(uuid).into()
    }

    /// Whether this run saw any thing become part of another, so that a name may lead elsewhere than before.
    pub fn names_moved(&self) -> bool {
        self.index.borrow().names_moved()
    }

    /// Whether this run saw another thing become part of this one.
    pub fn has_absorbed(&self, uuid: &str) -> bool {
        self.index.borrow().has_absorbed(uuid)
    }

    pub(super) fn know(&self, object: &dyn Object, entry: &Value) -> Option<Rc<Known>> {
        self.claims.learn(object.resource(), entry);
        let known = object.know(entry, &self.data_source)?;
        let now = self.now(&known.uuid);
        let known = Rc::new(if now == known.uuid { known } else { known.leading_to(&now) });
        Some(self.index.borrow().naming(&known))
    }

    /// The same as [`Self::gone`], of an entry that stands within those of a scope.
    pub fn part_gone(&self, home: Scope, uuid: &str) {
        self.touched.borrow_mut().add(Scope::entry(uuid));
        self.index.borrow_mut().part_gone(home, uuid);
    }
}
