//! From mapped values to a body in normal form, collecting every fault of the record instead of stopping at the first.
//!
//! Owns what a record gives, and what is wrong with it. Does not own what a value's normal form is ([`super::normal`]).

use std::borrow::Cow;

use super::Nulls;
use super::body::Body;
use super::normal::{
    NAME_IS_NO_TEXT, Problem, Written, is_json, json_or_text, list_element, no_such_member, takes, trimmed, write_scalar,
};
use crate::errors::Code;
use crate::mapping::attributes::Wanted;
use crate::mapping::values::{self, as_text, first_byte, type_name};
use crate::mapping::{Mapped, MappedAttribute, Slot, attributes};
use crate::objects::resource::{AttributeType, Field, Kind, Resource};
use crate::outcome::Fault;

/// One record, read: references taken out, the rest in normal form.
#[derive(Debug)]
pub struct Record {
    /// What can be written.
    pub body: Body,
    /// Everything that is wrong so far.
    pub faults: Vec<Fault>,
    resource: &'static Resource,
    references: Vec<(Slot, Option<Box<str>>)>,
    nulls: Nulls,
    ignores_members: bool,
    /// A bit for each field of the table that came.
    came: [u64; 4],
}

impl Record {
    /// Reads a mapped row. Faults are collected; those of the object's own rules are added by the object.
    pub fn read(
        resource: &'static Resource,
        mapped: &Mapped<'_>,
        nulls: Nulls,
        attribute_type: impl Fn(&str) -> Option<Wanted>,
    ) -> Self {
        // A normal form is at most a few bytes longer than what came: quotes around a number, milliseconds after seconds.
        let bytes: usize = mapped.fields.iter().map(|(_, raw)| raw.len() + 4).sum::<usize>()
            + mapped.attributes.iter().map(|attribute| attribute.key.len() + attribute.raw.len() + 4).sum::<usize>();
        let body = Body::with_capacity(bytes, mapped.fields.len(), mapped.attributes.len() + IN_A_MAP);
        let ignores_members = mapped.ignores_members;
        let mut record =
            Self { body, faults: Vec::new(), resource, references: Vec::new(), nulls, ignores_members, came: [0; 4] };
        for slot in &mapped.twice {
            let name = record.name(*slot);
            record.faults.push(Fault::field(Code::FieldTwice, name, "two columns give this field a value"));
        }
        for name in &mapped.unknown {
            record.faults.push(Fault::field(Code::FieldUnknown, name.as_ref(), format!("{} has no such field", resource.name)));
        }
        for (slot, raw) in &mapped.fields {
            record.came[usize::from(slot.field) / 64] |= 1 << (slot.field % 64);
            record.field(*slot, raw, nulls, &attribute_type);
        }
        for MappedAttribute { key, raw, wanted } in &mapped.attributes {
            record.attribute(key, raw, nulls, *wanted);
        }
        record.body.finish();
        record
    }

    /// The text of a reference or key field of this name; `None` when absent, null or empty.
    pub fn text(&self, name: &str) -> Option<Box<str>> {
        let slot = self.slot(name)?;
        if let Some((_, value)) = self.references.iter().find(|(at, _)| *at == slot) {
            return value.clone();
        }
        self.body.get(slot).and_then(as_text).filter(|text| !text.is_empty()).map(|text| text.into())
    }

    /// The values of a reference that is a list; empty when absent or null.
    pub fn texts(&self, name: &str) -> Vec<Box<str>> {
        let list = self.text(name).unwrap_or_default();
        values::elements(&list).filter_map(as_text).map(Into::into).collect()
    }

    /// The place of a field that the record gives; `None` when it does not.
    pub fn given(&self, name: &str) -> Option<Slot> {
        let slot = self.slot(name)?;
        (self.body.fields().any(|(at, value)| at.field == slot.field && value != "null")).then_some(slot)
    }

    /// Whether the record has this field at all, be it as null.
    pub fn has(&self, name: &str) -> bool {
        self.slot(name).is_some_and(|slot| self.came[usize::from(slot.field) / 64] >> (slot.field % 64) & 1 == 1)
    }

    /// Whether a null removes the value instead of leaving it alone.
    pub fn clears(&self) -> bool {
        self.nulls == Nulls::Clear
    }

    /// The JSON text of a field of the body; `None` when absent or null.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.body.get(self.slot(name)?).filter(|value| *value != "null")
    }

    /// What each entry that stands in a field gives under this name: of a list all of its entries, of an object the one.
    pub fn nested(&self, name: &str, inner: &str) -> Vec<Option<Box<str>>> {
        let Some((slot, field)) = self.slot(name).and_then(|slot| Some((slot, self.field_at(slot)?.0))) else {
            return Vec::new();
        };
        let text = |value: &str| as_text(value).filter(|text| !text.is_empty()).map(Box::from);
        match &field.kind {
            Kind::List(_) => {
                let entry = |entry| values::members(entry).find(|(key, _)| as_text(key).is_some_and(|key| key == inner));
                let list = self.value(name).into_iter().flat_map(values::elements);
                list.map(|element| entry(element).and_then(|(_, value)| text(value))).collect()
            }
            Kind::Object(fields) => {
                let mut given = self.body.fields().filter(|(at, value)| at.field == slot.field && *value != "null").peekable();
                let is_it =
                    |at: Slot| at.inner.and_then(|at| fields.get(usize::from(at))).is_some_and(|field| field.name == inner);
                match given.peek() {
                    None => Vec::new(),
                    Some(_) => vec![given.find(|(at, _)| is_it(*at)).and_then(|(_, value)| text(value))],
                }
            }
            _ => Vec::new(),
        }
    }

    /// Adds a fault of a field that breaks a rule of the object, unless the field is known to be wrong.
    pub fn refuse(&mut self, name: &str, why: impl Into<String>) {
        if !self.is_faulty(name) {
            self.faults.push(Fault::field(Code::FieldValue, name, why));
        }
    }

    /// Whether a fault was already found for this field, so that "missing" is not said of what is only wrong.
    pub fn is_faulty(&self, name: &str) -> bool {
        let of = |field: &str| field.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']));
        self.faults.iter().any(|fault| fault.field.as_deref().is_some_and(of))
    }

    /// Adds a fault for a field that has to be there.
    pub fn require(&mut self, name: &str, why: &str) {
        if !self.is_faulty(name) {
            self.faults.push(Fault::field(Code::FieldMissing, name, why));
        }
    }

    fn slot(&self, name: &str) -> Option<Slot> {
        let at = self.resource.all_fields().position(|field| field.name == name)?;
        Some(Slot { field: at as u8, inner: None })
    }

    fn field_at(&self, slot: Slot) -> Option<(&'static Field, Option<&'static Field>)> {
        let field = self.resource.all_fields().nth(usize::from(slot.field))?;
        match (slot.inner, &field.kind) {
            (Some(inner), Kind::Object(fields)) => fields.get(usize::from(inner)).map(|nested| (field, Some(nested))),
            _ => Some((field, None)),
        }
    }

    fn name(&self, slot: Slot) -> String {
        match self.field_at(slot) {
            Some((field, Some(inner))) => format!("{}.{}", field.name, inner.name),
            Some((field, None)) => field.name.to_owned(),
            None => String::new(),
        }
    }

    fn field(&mut self, slot: Slot, raw: &str, nulls: Nulls, attribute_type: &impl Fn(&str) -> Option<Wanted>) {
        let Some((field, inner)) = self.field_at(slot) else { return };
        let leaf = inner.unwrap_or(field);
        if usize::from(slot.field) < self.resource.references.len() {
            self.reference(slot, leaf, raw);
            return;
        }
        match &leaf.kind {
            Kind::Attributes => self.attribute_map(leaf.name, raw, nulls, attribute_type),
            Kind::Object(fields) => self.object(slot, leaf, fields, raw, nulls),
            Kind::List(fields) => self.list(slot, leaf, fields, raw),
            _ => self.scalar(slot, leaf, raw, nulls),
        }
    }

    fn reference(&mut self, slot: Slot, field: &Field, raw: &str) {
        let mut text = String::new();
        match write_scalar(&field.kind, raw, &mut text) {
            // A list stays the JSON text that it is.
            Ok(Written::Value) if matches!(field.kind, Kind::Many(_)) => self.references.push((slot, Some(text.into()))),
            Ok(Written::Value) => self.references.push((slot, as_text(&text).map(|text| text.into()))),
            Ok(Written::Null) => self.references.push((slot, None)),
            Err(problem) => self.faults.push(problem.of(field.name)),
        }
    }

    fn scalar(&mut self, slot: Slot, field: &Field, raw: &str, nulls: Nulls) {
        let mut null = false;
        let pushed = self.body.push(slot, |out| match write_scalar(&field.kind, raw, out) {
            Ok(Written::Value) => Ok(()),
            Ok(Written::Null) if nulls == Nulls::Clear => {
                out.push_str("null");
                Ok(())
            }
            Ok(Written::Null) => {
                null = true;
                Err(Problem(Code::FieldMissing, Cow::Borrowed("")))
            }
            Err(problem) => Err(problem),
        });
        if let Err(problem) = pushed
            && !null
        {
            let name = self.name(slot);
            self.faults.push(problem.of(&name));
        }
    }

    fn object(&mut self, slot: Slot, field: &Field, fields: &'static [Field], raw: &str, nulls: Nulls) {
        let Some(text) = json_or_text(raw) else {
            if raw != "null" && raw != "\"\"" {
                let words = format!("takes an object, not {}", type_name(raw));
                self.faults.push(Problem(Code::FieldType, words.into()).of(field.name));
            }
            return;
        };
        for (name, value) in values::members(&text) {
            let Some(name) = as_text(name) else {
                self.faults.push(NAME_IS_NO_TEXT.of(field.name));
                continue;
            };
            match fields.iter().position(|field| field.name == name) {
                Some(inner) => {
                    let at = Slot { field: slot.field, inner: Some(inner as u8) };
                    if self.body.get(at).is_none() {
                        self.scalar(at, &fields[inner], value, nulls);
                    }
                }
                None if self.ignores_members => {}
                None => self.faults.push(no_such_member(field.name, &name, fields)),
            }
        }
    }

    /// A list of nested objects: each member in its normal form, nulls left out, every fault named with its place.
    fn list(&mut self, slot: Slot, field: &Field, fields: &'static [Field], raw: &str) {
        let list = match first_byte(raw) {
            b'[' => Cow::Borrowed(raw),
            b'"' => match as_text(raw).map(trimmed) {
                Some(text) if text.starts_with('[') && is_json(&text) => text,
                Some(text) if text.is_empty() => return,
                _ => return self.faults.push(takes("a list of objects", raw).of(field.name)),
            },
            b'n' => return,
            _ => return self.faults.push(takes("a list of objects", raw).of(field.name)),
        };
        let (faults, ignores) = (&mut self.faults, self.ignores_members);
        let pushed: Result<(), ()> = self.body.push(slot, |out| {
            let before = faults.len();
            out.push('[');
            for (at, element) in values::elements(&list).enumerate() {
                if at > 0 {
                    out.push(',');
                }
                list_element(&format!("{}[{at}]", field.name), fields, ignores, element, out, faults);
            }
            out.push(']');
            if faults.len() == before { Ok(()) } else { Err(()) }
        });
        // Its faults are noted; a list that has any is not in the body.
        let _ = pushed;
    }

    fn attribute_map(&mut self, name: &str, raw: &str, nulls: Nulls, attribute_type: &impl Fn(&str) -> Option<Wanted>) {
        if raw == "null" || raw == "\"\"" {
            return;
        }
        let Some(map) = json_or_text(raw) else {
            let words = format!("takes a map of attributes, not {}", type_name(raw));
            self.faults.push(Problem(Code::FieldType, words.into()).of(name));
            return;
        };
        for (key, value) in values::members(&map) {
            let Some(key) = as_text(key) else {
                self.faults.push(NAME_IS_NO_TEXT.of(name));
                continue;
            };
            self.attribute(&key, value, nulls, attribute_type(&key));
        }
    }

    fn attribute(&mut self, key: &str, raw: &str, nulls: Nulls, wanted: Option<Wanted>) {
        // As for fields: an empty text stands for null wherever a text is not what is wanted.
        let empty = raw == "\"\"" && wanted.is_some_and(|wanted| wanted.kind() != AttributeType::String);
        if raw == "null" || empty {
            if nulls == Nulls::Clear && attributes::key_is_legal(key) {
                let pushed: Result<(), Fault> = self.body.push_attribute(key, None, |out| {
                    out.push_str("null");
                    Ok(None)
                });
                debug_assert!(pushed.is_ok());
            }
            return;
        }
        if !attributes::key_is_legal(key) {
            self.faults.push(Fault::field(
                Code::AttributeKey,
                key,
                "an attribute's key has letters, digits and underscores only",
            ));
            return;
        }
        let given = (!matches!(wanted, Some(Wanted::Said(_)))).then_some(raw);
        let write = |out: &mut String| attributes::push_typed(key, raw, wanted.map(Wanted::kind), out).map(Some);
        let pushed = self.body.push_attribute(key, given, write);
        if let Err(fault) = pushed {
            self.faults.push(fault);
        }
    }
}

/// Room for attributes that come in a map instead of columns.
const IN_A_MAP: usize = 4;
