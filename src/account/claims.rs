//! Which types of custom attributes this run is about to fix: of two records under way that take one attribute for different
//! types, the second waits until it is known what became of the first.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;

use serde_json::{Map, Value};
use tokio::sync::Notify;

use super::attribute_types::{AttributeTypes, Brought, Types};
use super::lookup::{Account, Trouble};
use crate::objects::Object;
use crate::objects::request::{Look, Request};
use crate::objects::resource::{AttributeType, Resource};
use crate::outcome::Fault;
use crate::plan::{Nulls, Plan};

/// Pages of a list that are looked at for the attributes of an account.
const SAMPLED_PAGES: usize = 5;

/// What is known of the types of attributes, and who waits to know more. No borrow is held across a wait.
#[derive(Debug, Default)]
pub(super) struct Claims {
    types: RefCell<AttributeTypes>,
    given_back: Notify,
}

/// The right to fix the types of a record's attributes. Given back when it is dropped.
#[derive(Debug)]
pub struct Claim<'a> {
    of: &'static str,
    keys: Vec<(Box<str>, Types)>,
    claims: &'a Claims,
}

/// What a request fixes once it is taken.
#[derive(Debug)]
pub struct Fixes<'a> {
    claim: &'a Claim<'a>,
    sent: Vec<(Box<str>, Types)>,
}

impl Claims {
    pub(super) fn learn(&self, resource: &'static Resource, entry: &Value) {
        if let Some(shown) = resource.attributes_of(entry) {
            self.types.borrow_mut().learn(resource.name, shown);
        }
    }
}

impl Account<'_> {
    /// Brings a record's attributes to the types that are known, just before it is sent.
    ///
    /// # Errors
    /// A fault for each attribute that can not become of its type.
    pub async fn bring<'p>(
        &self,
        object: &dyn Object,
        plan: &'p Plan,
        nulls: Nulls,
    ) -> Result<(Cow<'p, Plan>, Claim<'_>), Vec<Fault>> {
        let of = object.attributes_on().map_or("", |resource| resource.name);
        loop {
            let given_back = self.claims.given_back.notified();
            let Brought { plan, claims: keys, waits } = self.claims.types.borrow().bring(object, plan, nulls)?;
            if !waits {
                if !keys.is_empty() {
                    self.claims.types.borrow_mut().claim(of, &keys);
                }
                return Ok((plan, Claim { of, keys, claims: &self.claims }));
            }
            given_back.await;
        }
    }

    /// A record with its attributes as they would be sent by what is known now.
    ///
    /// # Errors
    /// See [`Self::bring`].
    pub fn as_known<'p>(&self, object: &dyn Object, plan: &'p Plan, nulls: Nulls) -> Result<Cow<'p, Plan>, Vec<Fault>> {
        Ok(self.claims.types.borrow().bring(object, plan, nulls)?.plan)
    }

    /// Takes in all attributes of an entry, as the attributes endpoint answered them.
    pub fn saw_attributes(&self, object: &dyn Object, shown: &Map<String, Value>) {
        if let Some(resource) = object.attributes_on() {
            self.claims.types.borrow_mut().learn(resource.name, shown);
        }
    }

    /// This run removed attributes of these keys from an entry.
    pub fn removed_attributes<'k>(&self, object: &dyn Object, keys: impl Iterator<Item = &'k str>) {
        if let Some(resource) = object.attributes_on() {
            self.claims.types.borrow_mut().freed(resource.name, keys);
        }
    }

    /// Takes in the types that the `types` of a stream say.
    pub fn types_are_said<'k>(&self, object: &dyn Object, types: impl Iterator<Item = (&'k str, AttributeType)>) {
        let mut known = self.claims.types.borrow_mut();
        // Of an object whose records name their attributes themselves, `types` say nothing.
        for (key, kind) in types.filter(|_| object.resource().attributes.is_some()) {
            known.said(object.resource().name, key, kind);
        }
    }
}

impl Account<'_> {
    /// The attributes that the first entries of an object show, by key, and of which types they can be.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn shown_attributes(&self, resource: &'static Resource) -> Result<Vec<(Box<str>, Vec<AttributeType>)>, Trouble> {
        let look = Look::new(resource.path, resource.list_root, "look at attributes");
        let mut cursor = None;
        for _ in 0..SAMPLED_PAGES {
            let page = self.page(&look, cursor).await?;
            page.entries.iter().for_each(|entry| self.claims.learn(resource, entry));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        Ok(self.claims.types.borrow().shown(resource.name))
    }
}

impl Claim<'_> {
    /// What of it a request sends: of an attribute that is held already nothing is sent.
    pub fn sent_by(&self, request: &Request) -> Fixes<'_> {
        if self.keys.is_empty() {
            return Fixes { claim: self, sent: Vec::new() };
        }
        let body = request.body.as_deref().and_then(|body| serde_json::from_str::<Value>(body).ok()).unwrap_or_default();
        let lists = [body.pointer("/attributes/custom"), body.get("custom")].into_iter().flatten();
        let sent: HashSet<&str> =
            lists.filter_map(Value::as_array).flatten().filter_map(|entry| entry.get("key")?.as_str()).collect();
        let sent = self.keys.iter().filter(|(key, _)| sent.contains(key.as_ref())).cloned().collect();
        Fixes { claim: self, sent }
    }
}

impl Fixes<'_> {
    /// The request was taken, and its answer shows these attributes: one that it does not show may have been dropped.
    pub fn taken(&self, shown: Option<&Map<String, Value>>) {
        let Some(shown) = shown.filter(|_| !self.sent.is_empty()) else { return };
        let mut types = self.claim.claims.types.borrow_mut();
        for (key, kind) in self.sent.iter().filter(|(key, _)| shown.contains_key(key.as_ref())) {
            types.taken(self.claim.of, key, *kind);
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.keys.is_empty() {
            self.claims.types.borrow_mut().give_back(self.of, &self.keys);
            self.claims.given_back.notify_waiters();
        }
    }
}
