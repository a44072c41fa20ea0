//! Two records about one thing as one: what the later one says, laid over what the earlier one says. Pure.
//!
//! Owns when that can be done without another end than if both were written one after the other. Does not own what each of
//! them comes to (`engine`).

use std::convert::Infallible;

use super::{Attribute, Body, Mode, Plan, Target, same};
use crate::mapping::Slot;
use crate::mapping::values;
use crate::objects::resource::{AttributeForm, Field, Kind, Resource};

impl Plan {
    /// Whether another record of the same object asks for the same of the same thing. What is found by equality, or asks for
    /// something new each time, is never known to be the same.
    pub fn is_about_the_same_as(&self, next: &Self) -> bool {
        let has_name = matches!(self.target, Target::Key(_) | Target::Email { .. } | Target::Name(_) | Target::Uuid(..));
        let writes = matches!(self.mode, Mode::Upsert | Mode::Update);
        has_name && writes && self.mode == next.mode && self.target == next.target && self.refs == next.refs
    }

    /// Takes in what a later record about the same thing says: the last value of each field and attribute, and the tags of
    /// both. Of the fields in `first_stays` the first value stays. Answers `false`, and takes in nothing, where the end could
    /// be another than that of both one after the other.
    pub fn lay_over(&mut self, resource: &'static Resource, next: &Self, first_stays: &[u8]) -> bool {
        let fits = next.body.fields().all(|(slot, value)| {
            let stays = || first_stays.contains(&slot.field) && is_set(self.body.get(slot));
            field_fits(resource, &self.body, &next.body, slot) && (stays() || value_fits(&self.body, slot, value))
        });
        if !fits || !next.body.attributes().all(|attribute| attribute_fits(resource, &self.body, &attribute)) {
            return false;
        }
        for (slot, value) in next.body.fields() {
            let held = self.body.get(slot);
            let is_held = held.is_some_and(|held| is_same(resource, slot, held, value));
            if is_held || first_stays.contains(&slot.field) && is_set(held) {
                continue;
            }
            let tags = held.filter(|_| field(resource, slot).is_some_and(|field| matches!(field.kind, Kind::Tags)));
            match tags.map(|held| union(held, value)) {
                Some(tags) => self.body.replace(slot, &tags),
                None => self.body.replace(slot, value),
            }
        }
        for Attribute { key, value, kind } in next.body.attributes() {
            let Ok(()) = self.body.push_attribute::<Infallible>(key, |out| {
                out.push_str(value);
                Ok(kind)
            });
        }
        true
    }
}

fn field(resource: &'static Resource, slot: Slot) -> Option<&'static Field> {
    resource.all_fields().nth(usize::from(slot.field))
}

/// Whether both values are one to the API: then the first one is what was sent.
fn is_same(resource: &'static Resource, slot: Slot, held: &str, value: &str) -> bool {
    let read = |text| serde_json::from_str(text).ok();
    let alike = || Some(same(field(resource, slot)?, &read(held)?, &read(value)?));
    held == value || slot.inner.is_none() && alike() == Some(true)
}

fn is_set(value: Option<&str>) -> bool {
    value.is_some_and(|value| value != "null")
}

/// Whether one request can say the field for both. What has requests of its own can not, and a nested object of which the later
/// record says less can not either: whether the API keeps the rest of it is unknown.
fn field_fits(resource: &'static Resource, earlier: &Body, later: &Body, slot: Slot) -> bool {
    let own_requests = field(resource, slot).is_none_or(|field| field.apart || matches!(field.kind, Kind::List(_)));
    let of_field = |body: &Body, slot: Slot| body.fields().any(|(at, _)| at == slot);
    !own_requests && earlier.fields().filter(|(at, _)| at.field == slot.field).all(|(at, _)| of_field(later, at))
}

/// Whether a null clears is unknown: after a value of the same request it could leave the one before that.
fn value_fits(earlier: &Body, slot: Slot, value: &str) -> bool {
    value != "null" || !is_set(earlier.get(slot))
}

/// An attribute that changes its type is refused by some accounts and not by others, and comes to another end when it was
/// removed before. One that is removed stays so where that has a request of its own.
fn attribute_fits(resource: &'static Resource, earlier: &Body, later: &Attribute<'_>) -> bool {
    let held = earlier.attributes().find(|attribute| attribute.key == later.key);
    held.is_none_or(|held| held.kind == later.kind || later.kind.is_none() && resource.attributes == Some(AttributeForm::Typed))
}

/// The tags of two lists, each once.
fn union(one: &str, other: &str) -> String {
    let mut tags: Vec<&str> = values::elements(one).collect();
    for tag in values::elements(other) {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    format!("[{}]", tags.join(","))
}
