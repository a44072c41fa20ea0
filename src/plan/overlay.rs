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
        if !fits || !next.body.attributes().all(|attribute| attribute_fits(resource, &mut self.body, &attribute)) {
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
        for Attribute { key, value, kind, given } in next.body.attributes() {
            let Ok(()) = self.body.push_attribute::<Infallible>(key, given, |out| {
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
fn attribute_fits(resource: &'static Resource, earlier: &mut Body, later: &Attribute<'_>) -> bool {
    earlier.attribute(later.key).is_none_or(|held| {
        (held.kind == later.kind && later.stands_for(&held))
            || later.kind.is_none() && resource.attributes == Some(AttributeForm::Typed)
    })
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::objects::tests::plan_with;
    use crate::objects::{Object, subscription_cancellations};
    use crate::objects::{contacts, customer_notes, customers, invoices, subscription_events, tags};
    use crate::plan::Nulls;

    fn plan(object: &'static dyn Object, mut row: Value, more: &Value) -> Plan {
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        plan_with(object, Mode::Upsert, Nulls::Clear, &row).unwrap()
    }

    /// What two rows of a customer say as one; `None` where they can not be one.
    fn customer(one: &Value, other: &Value) -> Option<String> {
        let of = |row: &Value| plan(&customers::Customers, json!({"external_id": "a"}), row);
        let (mut merged, next) = (of(one), of(other));
        assert!(merged.is_about_the_same_as(&next));
        let before = merged.clone();
        let first_stays = [customers::RESOURCE.slot("city").unwrap()];
        if !merged.lay_over(&customers::RESOURCE, &next, &first_stays) {
            assert_eq!(merged, before);
            return None;
        }
        let fields = merged.body.fields().filter(|(slot, _)| field(&customers::RESOURCE, *slot).unwrap().name != "external_id");
        let said: Vec<&str> = fields.map(|(_, value)| value).chain(merged.body.attributes().map(|held| held.value)).collect();
        Some(said.join(" "))
    }

    #[test]
    fn the_last_value_counts_and_tags_only_add() {
        let said = |one: Value, other: Value| customer(&one, &other);
        assert_eq!(said(json!({"name": "A", "seats": 1}), json!({"name": "B", "on": true})).unwrap(), "\"B\" 1 true");
        assert_eq!(said(json!({"tags": ["x", "y"]}), json!({"tags": ["y", "z"]})).unwrap(), r#"["x","y","z"]"#);
        assert_eq!(said(json!({"seats": 1}), json!({"seats": null})).unwrap(), "null");
        assert_eq!(said(json!({"name": null}), json!({"name": "B"})).unwrap(), "\"B\"");
        // What the API stores alike is as it was sent first; and what is never written over.
        assert_eq!(said(json!({"email": "A@x.test"}), json!({"email": "a@x.test"})).unwrap(), "\"A@x.test\"");
        assert_eq!(said(json!({"city": "Rome"}), json!({"city": "Bonn"})).unwrap(), "\"Rome\"");
        assert_eq!(said(json!({"city": null}), json!({"city": "Bonn"})).unwrap(), "\"Bonn\"");
    }

    #[test]
    fn what_could_come_to_another_end_does_not_go_together() {
        let apart = |one: Value, other: Value| customer(&one, &other).is_none();
        assert!(apart(json!({"name": "A"}), json!({"name": null})));
        assert!(apart(json!({"seats": 1}), json!({"seats": "one"})) && apart(json!({"seats": null}), json!({"seats": 1})));
        let contact = |row: Value| json!({ "primary_contact": row });
        assert!(apart(contact(json!({"first_name": "Ann", "title": "CEO"})), contact(json!({"first_name": "Bob"}))));
        assert!(!apart(contact(json!({"first_name": "Ann"})), contact(json!({"first_name": "Bob", "title": "CEO"}))));
        let invoice = json!({"external_id": "i", "customer_external_id": "a", "date": "2026-01-01", "currency": "EUR"});
        let of = |more: Value| plan(&invoices::Invoices, invoice.clone(), &more);
        for own_request in [json!({"status": "voided"}), json!({"line_items": [{"type": "one_time", "amount_in_cents": 1}]})] {
            assert!(!of(json!({})).lay_over(&invoices::RESOURCE, &of(own_request.clone()), &[]));
        }
    }

    #[test]
    fn only_what_has_a_name_is_known_to_be_the_same() {
        let same = |object: &'static dyn Object, one: Value, other: Value| {
            plan(object, one, &json!({})).is_about_the_same_as(&plan(object, other, &json!({})))
        };
        let contact = |key: &str| json!({"customer_external_id": "a", "external_id": key});
        assert!(same(&contacts::Contacts, contact("k"), contact("k")) && !same(&contacts::Contacts, contact("k"), contact("l")));
        let other = json!({"customer_external_id": "b", "external_id": "k"});
        assert!(!same(&contacts::Contacts, contact("k"), other));
        let note = json!({"customer_external_id": "a", "type": "note", "text": "T"});
        assert!(!same(&customer_notes::CustomerNotes, note.clone(), note));
        let tag = json!({"customer_external_id": "a", "tag": "x"});
        assert!(!same(&tags::Tags, tag.clone(), tag));
        let date = json!({"customer_external_id": "a", "subscription_external_id": "s", "cancelled_at": "2026-01-01"});
        assert!(!same(&subscription_cancellations::SubscriptionCancellations, date.clone(), date));
        let of = |mode| plan_with(&contacts::Contacts, mode, Nulls::Ignore, &contact("k")).unwrap();
        let alike = |mode| of(mode).is_about_the_same_as(&of(mode));
        assert!(alike(Mode::Update) && !alike(Mode::Insert) && !alike(Mode::Delete));
        assert!(!of(Mode::Update).is_about_the_same_as(&of(Mode::Upsert)));
    }

    #[test]
    fn an_event_that_takes_another_one_back_goes_by_itself() {
        let event = |kind: &str| {
            let row = json!({"external_id": "e", "customer_external_id": "a", "event_type": kind, "event_date": "2026-01-01",
                "effective_date": "2026-01-01", "subscription_external_id": "s"});
            plan(&subscription_events::SubscriptionEvents, row, &json!({}))
        };
        let joins = |one: &str, other: &str| {
            subscription_events::SubscriptionEvents.joins(&event(one), "subscription_events", &event(other))
        };
        assert!(joins("subscription_start", "subscription_cancelled"));
        assert!(!joins("subscription_start", "scheduled_subscription_start_retracted"));
    }
}
