//! Request bodies from normal forms: concatenation, since every value is valid JSON text already.

use crate::mapping::Slot;
use crate::mapping::attributes::type_word;
use crate::mapping::values::push_json_text;
use crate::objects::resource::{Field, Kind, Resource};
use crate::plan::{Attribute, Body};

/// A JSON object under construction.
#[derive(Debug)]
pub(super) struct JsonObject(String);

impl JsonObject {
    pub(super) fn new() -> Self {
        Self(String::from("{"))
    }

    /// Adds a member whose value is JSON text.
    pub(super) fn raw(&mut self, name: &str, value: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        push_json_text(name, &mut self.0);
        self.0.push(':');
        self.0.push_str(value);
    }

    /// Adds a text member.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        let mut quoted = String::with_capacity(value.len() + 2);
        push_json_text(value, &mut quoted);
        self.raw(name, &quoted);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.len() == 1
    }

    pub(super) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// Adds those of the record's fields that are wanted; nested ones as the object they belong to. With `nulls` false, fields to
/// be cleared are left out: a create has nothing to clear.
pub(super) fn add_fields(
    out: &mut JsonObject,
    resource: &'static Resource,
    body: &Body,
    nulls: bool,
    wanted: impl Fn(Slot, &'static Field) -> bool,
) {
    let mut nested: Option<(u8, JsonObject)> = None;
    for (slot, value) in body.fields() {
        if let Some((at, inner)) = nested.take() {
            if slot.field == at {
                nested = Some((at, inner));
            } else {
                close(out, resource, at, inner);
            }
        }
        let Some(field) = resource.all_fields().nth(usize::from(slot.field)) else { continue };
        if !wanted(slot, field) || (!nulls && value == "null") {
            continue;
        }
        match (slot.inner, &field.kind) {
            (Some(at), Kind::Object(fields)) => {
                let (_, inner) = nested.get_or_insert_with(|| (slot.field, JsonObject::new()));
                inner.raw(fields[usize::from(at)].name, value);
            }
            _ => out.raw(field.name, value),
        }
    }
    if let Some((at, inner)) = nested {
        close(out, resource, at, inner);
    }
}

fn close(out: &mut JsonObject, resource: &'static Resource, at: u8, inner: JsonObject) {
    if let Some(field) = resource.all_fields().nth(usize::from(at))
        && !inner.is_empty()
    {
        out.raw(field.name, &inner.finish());
    }
}

/// `[{"type":..,"key":..,"value":..}]`, the type left out in the untyped form; `None` when there is none to send.
pub(super) fn attribute_list<'a>(attributes: impl Iterator<Item = Attribute<'a>>, typed: bool) -> Option<String> {
    let mut out = String::from("[");
    for attribute in attributes {
        if out.len() > 1 {
            out.push(',');
        }
        let mut entry = JsonObject::new();
        if typed && let Some(kind) = attribute.kind {
            entry.text("type", type_word(kind));
        }
        entry.text("key", attribute.key);
        entry.raw("value", attribute.value);
        out.push_str(&entry.finish());
    }
    out.push(']');
    (out.len() > 2).then_some(out)
}

/// `{"key":value}`; `None` when there is none to send.
pub(super) fn attribute_map<'a>(attributes: impl Iterator<Item = Attribute<'a>>) -> Option<String> {
    let mut out = JsonObject::new();
    for attribute in attributes {
        out.raw(attribute.key, attribute.value);
    }
    (!out.is_empty()).then(|| out.finish())
}
