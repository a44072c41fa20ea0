//! Columns to fields.
//!
//! A [`Mapper`] is compiled once per stream. Applying it to a record walks the row once and borrows: values stay slices of
//! the input line until an object asks for them.

use std::borrow::Cow;

use globset::GlobSet;
use hashbrown::HashMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::values;
use crate::objects::resource::{AttributeType, Kind, Resource};

/// Airbyte's own columns: never data.
const OWN_PREFIXES: [&str; 2] = ["_airbyte_", "_ab_"];
/// The column in which CDC sources mark a deleted row.
const DELETED_AT: &str = "_ab_cdc_deleted_at";

/// What to do with fields that the object does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownFields {
    /// They become custom attributes.
    #[default]
    CustomAttributes,
    /// They are left out.
    Ignore,
    /// The record is rejected.
    Reject,
}

/// A source path and the target path it is renamed to. Never empty.
pub type Rename = (Vec<String>, Vec<String>);

/// A place in the far object: a field of its resource, or a field nested in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot {
    /// Index among [`Resource::all_fields`].
    pub field: u8,
    /// Index among the fields of a [`Kind::Object`].
    pub inner: Option<u8>,
}

/// One row under ChartMogul's names. Values are raw JSON text, borrowed from the input line. Used again for the next row.
#[derive(Debug, Default)]
pub struct Mapped<'a> {
    /// Standard fields; a slot stands at most once.
    pub fields: Vec<(Slot, &'a str)>,
    /// What becomes a custom attribute; a key stands at most once.
    pub attributes: Vec<MappedAttribute<'a>>,
    /// Columns that are no field, under `unknown_fields: reject`.
    pub unknown: Vec<Cow<'a, str>>,
    /// Slots to which two columns gave a value.
    pub twice: Vec<Slot>,
    /// Whether the row is marked as deleted in the source.
    pub deleted: bool,
    recent: Recent<'a>,
}

/// A column that becomes a custom attribute.
#[derive(Debug)]
pub struct MappedAttribute<'a> {
    /// The attribute's key.
    pub key: Cow<'a, str>,
    /// The value as it came.
    pub raw: &'a str,
    /// The type that settings or the stream's schema give it.
    pub wanted: Option<AttributeType>,
}

/// The columns of the rows before, in their order: the rows of a stream are alike, so that most columns need no look-up.
#[derive(Debug, Default)]
struct Recent<'a> {
    of: Option<&'a Mapper>,
    /// Names as they stand in the text, with their quotes.
    columns: Vec<(&'a str, &'a Target)>,
    /// Where the next column is expected.
    at: usize,
}

/// Columns kept in [`Recent`], and how many of them a row may leave out in a row.
const MAX_RECENT: usize = 256;
const MAX_LEFT_OUT: usize = 8;

impl<'a> Recent<'a> {
    fn start(&mut self, mapper: &'a Mapper) {
        if !self.of.is_some_and(|before| std::ptr::eq(before, mapper)) {
            self.of = Some(mapper);
            self.columns.clear();
        }
        self.at = 0;
    }

    fn find(&mut self, name: &str) -> Option<&'a Target> {
        let ahead = self.columns.iter().skip(self.at).take(MAX_LEFT_OUT);
        let (skipped, (_, target)) = ahead.enumerate().find(|(_, (known, _))| *known == name)?;
        self.at += skipped + 1;
        Some(target)
    }

    fn learn(&mut self, name: &'a str, target: &'a Target) {
        if self.columns.len() < MAX_RECENT {
            self.columns.insert(self.at, (name, target));
            self.at += 1;
        }
    }
}

impl Mapped<'_> {
    fn clear(&mut self) {
        self.fields.clear();
        self.attributes.clear();
        self.unknown.clear();
        self.twice.clear();
        self.deleted = false;
    }
}

/// What a column is.
#[derive(Debug, Clone)]
enum Target {
    Field(Slot),
    Attribute(Box<str>, Option<AttributeType>),
    Unknown(Box<str>),
    Nothing,
    DeletedAt,
    /// Parts of a nested value are mapped; the column as a whole is what the first says.
    Parts(Box<Target>, Box<HashMap<Box<str>, Target>>),
}

impl Target {
    fn set_types(&mut self, types: &HashMap<Box<str>, AttributeType>) {
        match self {
            Self::Attribute(key, wanted) => *wanted = types.get(key.as_ref()).copied(),
            Self::Parts(own, inner) => {
                own.set_types(types);
                inner.values_mut().for_each(|target| target.set_types(types));
            }
            Self::Field(_) | Self::Unknown(_) | Self::Nothing | Self::DeletedAt => {}
        }
    }
}

/// How a stream's columns become fields. Immutable, shared by all threads.
#[derive(Debug)]
pub struct Mapper {
    columns: HashMap<Box<str>, Target>,
    constants: Vec<(Target, Box<str>)>,
    exclude: GlobSet,
    unknown: UnknownFields,
    types: HashMap<Box<str>, AttributeType>,
}

/// What a mapper is compiled from.
#[derive(Debug)]
pub struct MapperInput<'s> {
    /// The far object.
    pub resource: &'static Resource,
    /// Renames: source path to target path.
    pub fields: &'s [Rename],
    /// Values for fields that a record lacks.
    pub constants: &'s serde_json::Map<String, serde_json::Value>,
    /// Columns to leave out.
    pub exclude: &'s GlobSet,
    /// What columns become that are no field.
    pub unknown: UnknownFields,
    /// Top-level columns that the stream's JSON schema names.
    pub columns: &'s [&'s str],
    /// Types of custom attributes, by their keys.
    pub types: &'s HashMap<Box<str>, AttributeType>,
}

impl Mapper {
    /// Compiles the mapping of one stream.
    ///
    /// # Errors
    /// One sentence for each target path that the object does not have.
    pub fn new(input: &MapperInput<'_>) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut mapper = Self {
            columns: HashMap::new(),
            constants: Vec::new(),
            exclude: input.exclude.clone(),
            types: input.types.clone(),
            unknown: if input.resource.attributes.is_none() && input.unknown == UnknownFields::CustomAttributes {
                UnknownFields::Ignore
            } else {
                input.unknown
            },
        };
        for (index, field) in input.resource.all_fields().enumerate() {
            mapper.columns.insert(field.name.into(), Target::Field(Slot { field: index as u8, inner: None }));
        }
        mapper.columns.insert(DELETED_AT.into(), Target::DeletedAt);
        for column in input.columns {
            if !mapper.columns.contains_key(*column) {
                let target = mapper.of_unmapped(column);
                mapper.columns.insert((*column).into(), target);
            }
        }
        for name in input.exclude_standard(&mapper) {
            mapper.columns.insert(name, Target::Nothing);
        }
        for (source, target) in input.fields {
            match resolve(input.resource, target) {
                Ok(target) => mapper.insert(source, target),
                Err(problem) => problems.push(problem),
            }
        }
        for (name, value) in input.constants {
            let path: Vec<String> = name.split('.').map(str::to_owned).collect();
            match resolve(input.resource, &path) {
                Ok(target) => mapper.constants.push((target, value.to_string().into())),
                Err(problem) => problems.push(problem),
            }
        }
        let targets = mapper.columns.values_mut().chain(mapper.constants.iter_mut().map(|(target, _)| target));
        targets.for_each(|target| target.set_types(&mapper.types));
        if problems.is_empty() { Ok(mapper) } else { Err(problems) }
    }

    /// Reads one row into `mapped`, in the place of what stood there.
    ///
    /// # Errors
    /// When `data` is not a JSON object; the text says what it is instead.
    pub fn apply<'a>(&'a self, data: &'a RawValue, mapped: &mut Mapped<'a>) -> Result<(), &'static str> {
        let text = data.get();
        match values::first_byte(text) {
            b'{' => {}
            b'[' => return Err("an array"),
            b'"' => return Err("a text"),
            b'n' => return Err("null"),
            _ => return Err("a scalar"),
        }
        mapped.clear();
        mapped.recent.start(self);
        for (quoted, value) in values::members(text) {
            if let Some(target) = mapped.recent.find(quoted) {
                put(target, value, mapped);
                continue;
            }
            let name = values::as_text(quoted).ok_or("an object with a column name that is no text")?;
            match self.columns.get(name.as_ref()) {
                Some(target) => {
                    mapped.recent.learn(quoted, target);
                    put(target, value, mapped);
                }
                None if self.leaves_out(&name) => {}
                None => match self.unknown {
                    UnknownFields::CustomAttributes => {
                        let wanted = self.attribute_type(&name);
                        put_attribute(MappedAttribute { key: name, raw: value, wanted }, mapped);
                    }
                    UnknownFields::Ignore => {}
                    UnknownFields::Reject => mapped.unknown.push(name),
                },
            }
        }
        for (target, value) in &self.constants {
            match target {
                Target::Field(slot) => match mapped.fields.iter_mut().find(|(at, _)| at == slot) {
                    Some((_, present)) if *present == "null" => *present = value,
                    Some(_) => {}
                    None => mapped.fields.push((*slot, value)),
                },
                Target::Attribute(key, wanted) => match mapped.attributes.iter_mut().find(|at| at.key == key.as_ref()) {
                    Some(present) if present.raw == "null" => present.raw = value,
                    Some(_) => {}
                    None => mapped.attributes.push(MappedAttribute { key: Cow::Borrowed(key), raw: value, wanted: *wanted }),
                },
                _ => {}
            }
        }
        Ok(())
    }

    /// The fields (by index) that some column of the stream or a constant can fill, given the columns it has.
    pub fn fillable(&self, columns: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut add = |target: &Target| collect_fields(target, &mut out);
        for column in columns {
            if let Some(target) = self.columns.get(*column) {
                add(target);
            }
        }
        for (target, _) in &self.constants {
            add(target);
        }
        out
    }

    /// What settings or the stream's schema say of an attribute's type.
    pub fn attribute_type(&self, key: &str) -> Option<AttributeType> {
        self.types.get(key).copied()
    }

    fn leaves_out(&self, column: &str) -> bool {
        OWN_PREFIXES.iter().any(|prefix| column.starts_with(prefix)) || self.exclude.is_match(column)
    }

    fn of_unmapped(&self, column: &str) -> Target {
        match self.unknown {
            _ if self.leaves_out(column) => Target::Nothing,
            UnknownFields::CustomAttributes => Target::Attribute(column.into(), None),
            UnknownFields::Ignore => Target::Nothing,
            UnknownFields::Reject => Target::Unknown(column.into()),
        }
    }

    fn insert(&mut self, source: &[String], target: Target) {
        let whole_column = source.first().map_or(Target::Nothing, |column| self.of_unmapped(column));
        insert_path(&mut self.columns, source, target, whole_column);
    }
}

impl MapperInput<'_> {
    /// Standard fields that a glob leaves out.
    fn exclude_standard(&self, mapper: &Mapper) -> Vec<Box<str>> {
        mapper
            .columns
            .keys()
            .filter(|name| name.as_ref() != DELETED_AT && self.exclude.is_match(name.as_ref()))
            .cloned()
            .collect()
    }
}

fn insert_path(columns: &mut HashMap<Box<str>, Target>, source: &[String], target: Target, whole: Target) {
    let Some((first, rest)) = source.split_first() else { return };
    if rest.is_empty() {
        match columns.get_mut(first.as_str()) {
            Some(Target::Parts(own, _)) => **own = target,
            _ => {
                columns.insert(first.as_str().into(), target);
            }
        }
        return;
    }
    // A column whose parts are mapped is taken apart: what is left of it is no attribute, since it is nested.
    let slot = columns.entry(first.as_str().into()).or_insert_with(|| match whole {
        Target::Attribute(..) | Target::Unknown(_) => Target::Nothing,
        other => other,
    });
    if !matches!(slot, Target::Parts(..)) {
        let own = match std::mem::replace(slot, Target::Nothing) {
            Target::Attribute(..) | Target::Unknown(_) => Target::Nothing,
            other => other,
        };
        *slot = Target::Parts(Box::new(own), Box::default());
    }
    if let Target::Parts(_, inner) = slot {
        insert_path(inner, rest, target, Target::Nothing);
    }
}

fn collect_fields(target: &Target, out: &mut Vec<u8>) {
    match target {
        Target::Field(slot) => out.push(slot.field),
        Target::Parts(own, inner) => {
            collect_fields(own, out);
            inner.values().for_each(|target| collect_fields(target, out));
        }
        _ => {}
    }
}

/// What a target path names.
fn resolve(resource: &Resource, path: &[String]) -> Result<Target, String> {
    let shown = path.join(".");
    let (first, rest) = path.split_first().ok_or_else(|| "an empty field name".to_owned())?;
    let found = resource.all_fields().enumerate().find(|(_, field)| field.name == first);
    match (found, rest) {
        (Some((index, _)), []) => Ok(Target::Field(Slot { field: index as u8, inner: None })),
        (Some((index, field)), [inner]) => match field.kind {
            Kind::Object(fields) => fields
                .iter()
                .position(|field| field.name == inner)
                .map(|at| Target::Field(Slot { field: index as u8, inner: Some(at as u8) }))
                .ok_or_else(|| {
                    let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
                    format!("`{shown}`: `{first}` has no field `{inner}`; it has {}", names.join(", "))
                }),
            Kind::Attributes => Ok(Target::Attribute(inner.as_str().into(), None)),
            _ => Err(format!("`{shown}`: `{first}` is not nested")),
        },
        (None, []) if resource.attributes.is_some() => Ok(Target::Attribute(first.as_str().into(), None)),
        (None, []) => Err(format!("`{shown}` is no field of {} and the object has no custom attributes", resource.name)),
        _ => Err(format!("`{shown}` is no field of {}", resource.name)),
    }
}

/// Takes in a column's value as what the column is.
fn put<'a>(target: &'a Target, value: &'a str, mapped: &mut Mapped<'a>) {
    match target {
        Target::Field(slot) => put_field(*slot, value, mapped),
        Target::Attribute(key, wanted) => {
            put_attribute(MappedAttribute { key: Cow::Borrowed(key), raw: value, wanted: *wanted }, mapped);
        }
        Target::Unknown(name) => mapped.unknown.push(Cow::Borrowed(name)),
        Target::Nothing => {}
        // CDC sources write a time here; databases that hold no nulls write what stands for none.
        Target::DeletedAt => mapped.deleted = !matches!(value, "null" | "false" | "0") && !values::is_blank_text(value),
        Target::Parts(own, inner) => {
            put(own, value, mapped);
            for (name, value) in values::members(value) {
                let Some(name) = values::as_text(name) else { continue };
                if let Some(target) = inner.get(name.as_ref()) {
                    put(target, value, mapped);
                }
            }
        }
    }
}

fn put_field<'a>(slot: Slot, value: &'a str, mapped: &mut Mapped<'a>) {
    match mapped.fields.iter_mut().find(|(at, _)| *at == slot) {
        None => mapped.fields.push((slot, value)),
        Some((_, present)) if *present == "null" => *present = value,
        Some(_) if value == "null" => {}
        Some(_) => mapped.twice.push(slot),
    }
}

/// A row with one name twice: the last value counts, as for any JSON reader.
fn put_attribute<'a>(attribute: MappedAttribute<'a>, mapped: &mut Mapped<'a>) {
    match mapped.attributes.iter_mut().find(|at| at.key == attribute.key) {
        None => mapped.attributes.push(attribute),
        Some(present) => present.raw = attribute.raw,
    }
}

#[cfg(test)]
mod tests {
    use globset::{Glob, GlobSetBuilder};
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::objects::customers::RESOURCE;

    fn mapper(
        fields: &[(&str, &str)],
        constants: &Value,
        exclude: &[&str],
        unknown: UnknownFields,
        columns: &[&str],
    ) -> Result<Mapper, Vec<String>> {
        let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
        let fields: Vec<Rename> = fields.iter().map(|(source, target)| (path(source), path(target))).collect();
        let mut globs = GlobSetBuilder::new();
        for glob in exclude {
            globs.add(Glob::new(glob).unwrap());
        }
        let constants: Map<String, Value> = constants.as_object().unwrap().clone();
        Mapper::new(&MapperInput {
            resource: &RESOURCE,
            fields: &fields,
            constants: &constants,
            exclude: &globs.build().unwrap(),
            unknown,
            columns,
            types: &HashMap::new(),
        })
    }

    /// The mapped row as sorted lines, `field=value` and `@attribute=value`.
    fn show(mapper: &Mapper, row: &Value) -> Vec<String> {
        let raw = serde_json::value::to_raw_value(row).unwrap();
        let mut mapped = Mapped::default();
        mapper.apply(&raw, &mut mapped).unwrap();
        let name = |slot: &Slot| {
            let field = RESOURCE.all_fields().nth(usize::from(slot.field)).unwrap();
            match (slot.inner, &field.kind) {
                (Some(inner), Kind::Object(fields)) => format!("{}.{}", field.name, fields[usize::from(inner)].name),
                _ => field.name.to_owned(),
            }
        };
        let mut lines: Vec<String> = mapped.fields.iter().map(|(slot, value)| format!("{}={value}", name(slot))).collect();
        lines.extend(mapped.attributes.iter().map(|attribute| format!("@{}={}", attribute.key, attribute.raw)));
        lines.extend(mapped.unknown.iter().map(|name| format!("?{name}")));
        lines.extend(mapped.twice.iter().map(|slot| format!("twice {}", name(slot))));
        lines.sort();
        lines
    }

    #[test]
    fn fields_keep_their_names_and_the_rest_becomes_attributes() {
        let row = json!({"external_id": "a", "seats": 3, "_airbyte_raw_id": "r", "_ab_cdc_lsn": 5, "uuid": null});
        let all = mapper(&[], &json!({}), &[], UnknownFields::CustomAttributes, &["external_id", "seats"]).unwrap();
        assert_eq!(show(&all, &row), ["@seats=3", "external_id=\"a\"", "uuid=null"]);
        let known = mapper(&[], &json!({}), &[], UnknownFields::Ignore, &["seats"]).unwrap();
        assert_eq!(show(&known, &row), ["external_id=\"a\"", "uuid=null"]);
        let strict = mapper(&[], &json!({}), &[], UnknownFields::Reject, &[]).unwrap();
        assert_eq!(show(&strict, &row), ["?seats", "external_id=\"a\"", "uuid=null"]);
    }

    #[test]
    fn renames_lead_into_and_out_of_nested_values_on_both_sides() {
        let mapper = mapper(
            &[
                ("id", "external_id"),
                ("address.country", "country"),
                ("owner_name", "primary_contact.first_name"),
                ("plan", "custom.tier"),
                ("score", "rank"),
            ],
            &json!({}),
            &[],
            UnknownFields::CustomAttributes,
            &["id", "address"],
        )
        .unwrap();
        let row = json!({"id": 7, "address": {"country": "US", "street": "x"}, "owner_name": "Ann", "plan": "pro", "score": 1});
        assert_eq!(
            show(&mapper, &row),
            ["@rank=1", "@tier=\"pro\"", "country=\"US\"", "external_id=7", "primary_contact.first_name=\"Ann\""]
        );
        // A source that writes the nested column as null has no parts to give.
        assert_eq!(show(&mapper, &json!({"id": 7, "address": null})), ["external_id=7"]);
    }

    #[test]
    fn constants_fill_what_is_absent_or_null_and_globs_leave_out() {
        let mapper = mapper(
            &[("land", "country")],
            &json!({"country": "US", "custom.source": "dwh", "city": "Berlin"}),
            &["internal_*", "zip"],
            UnknownFields::CustomAttributes,
            &["internal_a"],
        )
        .unwrap();
        let row = json!({"land": null, "city": "Paris", "internal_a": 1, "internal_b": 2, "zip": "1"});
        assert_eq!(show(&mapper, &row), ["@source=\"dwh\"", "city=\"Paris\"", "country=\"US\""]);
    }

    #[test]
    fn two_columns_for_one_field_are_told_unless_one_is_null() {
        let mapper = mapper(&[("mail", "email")], &json!({}), &[], UnknownFields::Ignore, &[]).unwrap();
        assert_eq!(show(&mapper, &json!({"mail": "a@b", "email": null})), ["email=\"a@b\""]);
        assert_eq!(show(&mapper, &json!({"mail": "a@b", "email": "c@d"})), ["email=\"a@b\"", "twice email"]);
    }

    #[test]
    fn targets_that_the_object_does_not_have_are_refused_all_at_once() {
        let problems = mapper(
            &[("a", "primary_contact.age"), ("b", "name.first"), ("c", "no.such")],
            &json!({"also.not": 1}),
            &[],
            UnknownFields::Ignore,
            &[],
        );
        assert_eq!(problems.unwrap_err().len(), 4);
    }

    #[test]
    fn a_deletion_marker_is_seen_and_what_is_no_object_is_refused() {
        let mapper = mapper(&[], &json!({}), &[], UnknownFields::CustomAttributes, &["_ab_cdc_deleted_at"]).unwrap();
        let deleted = |text: &str| {
            let raw = RawValue::from_string(text.to_owned()).unwrap();
            let mut mapped = Mapped::default();
            mapper.apply(&raw, &mut mapped).map(|()| mapped.deleted)
        };
        assert_eq!(deleted(r#"{"_ab_cdc_deleted_at":"2026-01-01"}"#), Ok(true));
        for unset in ["null", "\"\"", "\" \"", "false", "0", "\"null\""] {
            assert_eq!(deleted(&format!(r#"{{"_ab_cdc_deleted_at":{unset}}}"#)), Ok(false), "{unset}");
        }
        assert_eq!(deleted("[1]"), Err("an array"));
        assert_eq!(deleted("null"), Err("null"));
    }
}
