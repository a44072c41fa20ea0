//! What the plans of one sync share: the road to the API, what is known of the account, and what their lanes are called there.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;

use smallvec::SmallVec;

use super::Imports;
use crate::account::Account;
use crate::client::Client;
use crate::engine::deletions::DeleteGuard;
use crate::engine::report::Warnings;
use crate::objects::request::Scope;
use crate::objects::{self, Object};
use crate::plan::{By, LaneKey, LaneKeys, Mode, Plan, Target};

/// What the plans of one sync share. Used from one task only; no borrow is held across a wait.
#[derive(Debug)]
pub(in crate::engine) struct World<'c> {
    pub(in crate::engine) client: &'c Client,
    pub(in crate::engine) account: Account<'c>,
    pub(in crate::engine) deletions: RefCell<DeleteGuard>,
    pub(in crate::engine) warnings: Warnings,
    /// Whether bulk imports are used; not any longer once the API has refused one.
    pub(in crate::engine) bulk: Cell<bool>,
    pub(in crate::engine) imports: RefCell<Imports>,
    /// The lanes of things that came into being by what this run wrote, and that no answer has shown: a list may show them late.
    pub(in crate::engine) brought: RefCell<HashSet<LaneKey>>,
}

impl World<'_> {
    /// The lanes of a plan: its own, and those of the UUIDs that its keys are known to stand for. So records that name one
    /// thing by key and by UUID keep their order, as soon as both names are known to be one.
    pub(in crate::engine) fn lanes(&self, object: &dyn Object, plan: &Plan) -> LaneKeys {
        let name = object.resource().name;
        let mut lanes = plan.lanes(name);
        if let Target::Key(key) = &plan.target
            && let Some(shelf) =
                object.look_by_key(key, self.account.data_source()).and_then(|look| self.account.known(look.scope?))
        {
            lanes.extend(shelf.first().map(|known| LaneKey::uuid(&known.uuid)));
        }
        for parent in plan.parents() {
            match &parent.by {
                By::Key(key) => {
                    lanes.extend(self.account.known_by_key(parent.kin, key).map(|known| LaneKey::uuid(&known.uuid)));
                }
                By::Uuid(uuid) => lanes.push(LaneKey::uuid(&self.account.now(uuid))),
            }
        }
        if let Target::Uuid(uuid, _) = &plan.target {
            lanes.push(LaneKey::uuid(&self.account.now(uuid)));
        }
        lanes
    }

    /// Says that a plan waits, so that the account knows how many keys do.
    pub(in crate::engine) fn expect(&self, object: &dyn Object, plan: &Plan) {
        self.asks(object, plan).into_iter().for_each(|(object, scope)| self.account.expect(object, scope));
    }

    /// Says that it waits no longer.
    pub(in crate::engine) fn met(&self, object: &dyn Object, plan: &Plan) {
        self.asks(object, plan).into_iter().for_each(|(object, scope)| self.account.met(object, scope));
    }

    /// Says that what it asks about is known now: the others that ask for the same do not wait for it any longer.
    pub(super) fn answered(&self, object: &dyn Object, plan: &Plan) {
        self.asks(object, plan).into_iter().for_each(|(object, scope)| self.account.answered(object, scope));
    }

    /// What a plan will ask the account about: the scopes of its object and of what it refers to.
    fn asks(&self, object: &dyn Object, plan: &Plan) -> SmallVec<[(&'static str, Scope); 2]> {
        let source = self.account.data_source();
        let of_key = |object: &dyn Object, key: &str| Some((object.resource().name, object.look_by_key(key, source)?.scope?));
        let mut asks = SmallVec::new();
        for reference in plan.refs.iter().filter(|reference| reference.kin.within().is_none()) {
            if let (By::Key(key), Some(kin)) = (&reference.by, objects::find(reference.kin.object())) {
                asks.extend(of_key(kin, key));
            }
        }
        let looks =
            plan.mode != Mode::Insert || !object.refuses_duplicates(plan) || (self.bulk.get() && object.import(plan).is_some());
        match (&plan.target, plan.parents().next()) {
            (Target::Uuid(uuid, _), _) if matches!(plan.mode, Mode::Upsert | Mode::Update) => {
                asks.push((object.resource().name, Scope::entry(uuid)));
            }
            (Target::Key(key), None) if looks && !object.is_part() => asks.extend(of_key(object, key)),
            (Target::Key(key), Some(_)) if looks && object.has_own_key() && !object.is_part() => asks.extend(of_key(object, key)),
            (_, Some(parent)) if object.listing(source).is_some() => {
                let name = object.resource().name;
                asks.push((name, Scope::of(name, parent.by.text())));
            }
            _ => {}
        }
        asks
    }
}
