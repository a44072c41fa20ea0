//! Columns to fields.
//!
//! A [`Mapper`] is compiled once per stream. Applying it to a record walks the row once and borrows: values stay slices of
//! the input line until an object asks for them. Only presets and tables of the user's make values of their own.

use std::borrow::Cow;

use globset::GlobSet;
use hashbrown::HashMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::attributes::Wanted;
use super::marker::{DELETED_AT, Marker, marker};
use super::names::fold;
use super::places::Places;
use super::presets::End;
use super::target::{Found, Table, Target};
use super::{steps, values};
use crate::errors::Code;
use crate::objects::resource::AttributeType;
use crate::outcome::{Fault, Skip};

/// Airbyte's own columns: never data.
const OWN_PREFIXES: [&str; 2] = ["_airbyte_", "_ab_"];

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Slot {
    /// Index among [`Resource::all_fields`](crate::objects::resource::Resource::all_fields).
    pub field: u8,
    /// Index among the fields of a [`Kind::Object`](crate::objects::resource::Kind::Object).
    pub inner: Option<u8>,
}

/// One row under ChartMogul's names. Values are raw JSON text, borrowed from the input line wherever they are taken as they
/// came. Used again for the next row.
#[derive(Debug, Default)]
pub struct Mapped<'a> {
    /// Standard fields; a slot stands at most once.
    pub fields: Vec<(Slot, Cow<'a, str>)>,
    /// What becomes a custom attribute; a key stands at most once.
    pub attributes: Vec<MappedAttribute<'a>>,
    /// Columns that are no field, under `unknown_fields: reject`.
    pub unknown: Vec<Cow<'a, str>>,
    /// Whether members of nested objects that are no field are left out: `unknown_fields: ignore`. Otherwise they are faults,
    /// since nothing but a field can become of them.
    pub ignores_members: bool,
    /// Slots to which two columns gave a value.
    pub twice: Vec<Slot>,
    /// What a preset or a table could not read.
    pub faults: Vec<Fault>,
    /// Why the row is left out, where a preset says so.
    pub skip: Option<Skip>,
    /// Slots that a constant filled, for want of a value of the row's own.
    pub filled: Vec<Slot>,
    /// Whether the row is marked as deleted in the source.
    pub deleted: bool,
    /// Whether the row itself names the configured data source: it was exported from this account.
    pub(super) from_here: bool,
    /// Slots that a preset filled, and by which rank.
    pub(super) ranks: Vec<(Slot, u8)>,
    recent: Recent<'a>,
    /// Where keys stand among the attributes.
    places: Places,
}

/// A column that becomes a custom attribute.
#[derive(Debug)]
pub struct MappedAttribute<'a> {
    /// The attribute's key.
    pub key: Cow<'a, str>,
    /// The value as it came, or as a table of the user's says.
    pub raw: Cow<'a, str>,
    /// The type that settings or the stream's schema give it.
    pub wanted: Option<Wanted>,
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

impl<'a> Mapped<'a> {
    /// The attribute of this key.
    pub(super) fn attribute(&mut self, key: &str) -> Option<&mut MappedAttribute<'a>> {
        let Self { attributes, places, .. } = self;
        let at = places.find(attributes.len(), |at| &attributes[at].key, key)?;
        attributes.get_mut(at)
    }

    /// Leaves all attributes out.
    pub fn drop_attributes(&mut self) {
        self.attributes.clear();
        self.places.forget();
    }

    fn clear(&mut self) {
        self.fields.clear();
        self.drop_attributes();
        self.unknown.clear();
        self.twice.clear();
        self.filled.clear();
        self.faults.clear();
        self.ranks.clear();
        self.skip = None;
        self.from_here = false;
        self.deleted = false;
    }
}

/// How a stream's columns become fields. Immutable, shared by all threads.
#[derive(Debug)]
pub struct Mapper {
    /// Columns by the names that came.
    pub(super) columns: HashMap<Box<str>, Target>,
    pub(super) constants: Vec<(Target, Box<str>)>,
    pub(super) exclude: GlobSet,
    pub(super) unknown: UnknownFields,
    pub(super) ignores_members: bool,
    pub(super) types: HashMap<Box<str>, Wanted>,
    pub(super) preset: Option<CompiledPreset>,
    pub(super) warnings: Vec<String>,
}

/// A preset, compiled for the stream's object.
#[derive(Debug)]
pub(super) struct CompiledPreset {
    pub(super) table: Table,
    pub(super) ends: Vec<End<Slot>>,
    /// The configured data source.
    pub(super) data_source: Box<str>,
}

impl Mapper {
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
        mapped.ignores_members = self.ignores_members;
        mapped.recent.start(self);
        for (quoted, value) in values::members(text) {
            if let Some(target) = mapped.recent.find(quoted) {
                self.put(quoted, target, Cow::Borrowed(value), mapped);
                continue;
            }
            let name = values::as_text(quoted).ok_or("an object with a column name that is no text")?;
            match (self.columns.get(name.as_ref()), &self.preset) {
                (Some(target), _) => {
                    mapped.recent.learn(quoted, target);
                    self.put(quoted, target, Cow::Borrowed(value), mapped);
                }
                (None, Some(preset)) => self.put_by_table(&preset.table, &name, Cow::Borrowed(value), mapped),
                (None, None) if self.leaves_out(&name) => {}
                (None, None) => match self.unknown {
                    UnknownFields::CustomAttributes => {
                        let wanted = self.attribute_type(&name);
                        put_attribute(MappedAttribute { key: name, raw: Cow::Borrowed(value), wanted }, mapped);
                    }
                    UnknownFields::Ignore => {}
                    UnknownFields::Reject => mapped.unknown.push(name),
                },
            }
        }
        if let Some(preset) = &self.preset {
            preset.ends.iter().for_each(|end| steps::finish(end, mapped));
        }
        for (target, value) in &self.constants {
            match target {
                Target::Field(slot) => {
                    match mapped.fields.iter_mut().find(|(at, _)| at == slot) {
                        Some((_, present)) if *present == "null" => *present = Cow::Borrowed(value),
                        Some(_) => continue,
                        None => mapped.fields.push((*slot, Cow::Borrowed(value))),
                    }
                    mapped.filled.push(*slot);
                }
                Target::Attribute(key, wanted) => match mapped.attribute(key) {
                    Some(present) if present.raw == "null" => present.raw = Cow::Borrowed(value),
                    Some(_) => {}
                    None => mapped.attributes.push(MappedAttribute {
                        key: Cow::Borrowed(key),
                        raw: Cow::Borrowed(value),
                        wanted: *wanted,
                    }),
                },
                _ => {}
            }
        }
        Ok(())
    }

    /// The fields (by index) that some column of the stream or a constant can fill, given the columns it has.
    pub fn fillable(&self, columns: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        for column in columns {
            if let Some(target) = self.columns.get(*column) {
                target.collect_fields(&mut out);
            }
        }
        for (target, _) in &self.constants {
            target.collect_fields(&mut out);
        }
        out
    }

    /// What settings or the stream's schema say of an attribute's type.
    pub fn attribute_type(&self, key: &str) -> Option<Wanted> {
        self.types.get(key).copied()
    }

    /// The types of attributes that the user said.
    pub fn said_types(&self) -> impl Iterator<Item = (&str, AttributeType)> {
        self.types.iter().filter_map(|(key, wanted)| match wanted {
            Wanted::Said(kind) => Some((key.as_ref(), *kind)),
            Wanted::Declared(_) => None,
        })
    }

    /// The field that a column gives, where it gives one.
    pub fn field_of(&self, column: &str) -> Option<Slot> {
        let target = match (self.columns.get(column), &self.preset) {
            (Some(target), _) => target,
            (None, Some(preset)) => match preset.table.find(&fold(column)) {
                Found::Target(target) => target,
                Found::Rest(..) => return None,
            },
            (None, None) => return None,
        };
        target.slot()
    }

    /// What of the stream's columns is left out though a person may expect it, in words for the log.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub(super) fn leaves_out(&self, column: &str) -> bool {
        OWN_PREFIXES.iter().any(|prefix| column.starts_with(prefix)) || self.exclude.is_match(column)
    }

    /// Takes in a column's value as what the column is. The name, quoted or not, is for faults.
    pub(super) fn put<'a>(&'a self, name: &str, target: &'a Target, value: Cow<'a, str>, mapped: &mut Mapped<'a>) {
        match target {
            Target::Field(slot) => put_field(*slot, value, mapped),
            Target::Attribute(key, wanted) => {
                put_attribute(MappedAttribute { key: Cow::Borrowed(key), raw: value, wanted: *wanted }, mapped);
            }
            Target::Unknown(name) => mapped.unknown.push(Cow::Borrowed(name)),
            Target::Nothing => {}
            Target::DeletedAt => match marker(&value) {
                Marker::Unset => {}
                Marker::Set => mapped.deleted = true,
                Marker::Unclear => {
                    let words = "marks a deleted row with a time, a number or true, and an undeleted one with nothing";
                    mapped.faults.push(Fault::field(Code::FieldValue, DELETED_AT, words));
                }
            },
            Target::Parts(own, inner) => {
                self.put(name, own, value.clone(), mapped);
                for_members(&value, |member, value| {
                    if let Some(target) = inner.get(member) {
                        self.put(member, target, value, mapped);
                    }
                });
            }
            Target::Translated(translated) => match (translated.find(&value), translated.strict) {
                (Some(told), _) => {
                    // What a table puts in its place is no word of the row's own.
                    let from_here = mapped.from_here || told == value;
                    self.put(name, &translated.to, Cow::Borrowed(told), mapped);
                    mapped.from_here &= from_here;
                }
                (None, Some(_)) if steps::is_nothing(&value) => {}
                (None, Some(field)) => {
                    let words = format!("column {} holds a value that `values` does not translate", steps::unquoted(name));
                    mapped.faults.push(Fault::field(Code::FieldValue, field, words));
                }
                (None, None) => self.put(name, &translated.to, value, mapped),
            },
            Target::Step(step) => self.step(name, step, value, mapped),
        }
    }

    /// Takes in a column by a preset's table.
    pub(super) fn put_by_table<'a>(&'a self, table: &'a Table, name: &str, value: Cow<'a, str>, mapped: &mut Mapped<'a>) {
        let folded = fold(name);
        let spoken_for = table.claims(&folded);
        if !spoken_for && (self.leaves_out(name) || self.leaves_out(&folded)) {
            return;
        }
        match table.find(&folded) {
            Found::Target(target) => self.put(name, target, value, mapped),
            Found::Rest(rest, member) => {
                let Some(key) = rest.key(name, member) else { return };
                match self.unknown {
                    _ if self.exclude.is_match(key.as_ref()) => {}
                    UnknownFields::CustomAttributes => {
                        let wanted = self.attribute_type(&key);
                        let attribute = MappedAttribute { key: Cow::Owned(key.into_owned()), raw: value, wanted };
                        steps::put_first(attribute, mapped);
                    }
                    UnknownFields::Ignore => {}
                    UnknownFields::Reject => mapped.unknown.push(Cow::Owned(name.to_owned())),
                }
            }
        }
    }
}

/// Calls back with each member of an object: its name, and its value, borrowed as long as the object is.
#[expect(clippy::ptr_arg, reason = "what the object is borrowed from is what its members can be borrowed from")]
pub(super) fn for_members<'a>(object: &Cow<'a, str>, mut each: impl FnMut(&str, Cow<'a, str>)) {
    let mut visit = |name: &str, value: Cow<'a, str>| {
        if let Some(name) = values::as_text(name) {
            each(&name, value);
        }
    };
    match object {
        Cow::Borrowed(text) => values::members(text).for_each(|(name, value)| visit(name, Cow::Borrowed(value))),
        Cow::Owned(text) => values::members(text).for_each(|(name, value)| visit(name, Cow::Owned(value.to_owned()))),
    }
}

fn put_field<'a>(slot: Slot, value: Cow<'a, str>, mapped: &mut Mapped<'a>) {
    match mapped.fields.iter_mut().find(|(at, _)| *at == slot) {
        None => mapped.fields.push((slot, value)),
        Some((_, present)) => match mapped.ranks.iter().position(|(at, _)| *at == slot) {
            // What the user maps goes before what a preset maps.
            Some(rank) if *present == "null" || value != "null" => {
                mapped.ranks.swap_remove(rank);
                *present = value;
            }
            None if *present == "null" => *present = value,
            None if value != "null" => mapped.twice.push(slot),
            _ => {}
        },
    }
}

/// A row with one name twice: the last value counts, as for any JSON reader.
fn put_attribute<'a>(attribute: MappedAttribute<'a>, mapped: &mut Mapped<'a>) {
    match mapped.attribute(&attribute.key) {
        None => mapped.attributes.push(attribute),
        Some(present) => present.raw = attribute.raw,
    }
}

#[cfg(test)]
mod tests {
    use globset::{Glob, GlobSetBuilder};
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::mapping::{Extras, MapperInput, Values};
    use crate::objects::customers::RESOURCE;
    use crate::objects::resource::Kind;

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
    fn values_of_a_column_are_translated_by_a_table_and_others_stay() {
        let table = |pairs: &[(&str, &str)]| pairs.iter().map(|(given, taken)| ((*given).into(), (*taken).into())).collect();
        let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
        let values: Vec<Values> = vec![
            (path("land"), table(&[("Germany", "\"DE\""), ("", "null")])),
            (path("level"), table(&[("1", "\"gold\""), ("true", "2")])),
            (path("home.town"), table(&[("B", "\"Berlin\"")])),
            (path("name"), table(&[("x", "\"y\"")])),
        ];
        let fields: Vec<Rename> = vec![(path("land"), path("country")), (path("home.town"), path("city"))];
        let input = MapperInput {
            resource: &RESOURCE,
            fields: &fields,
            constants: &Map::new(),
            exclude: &GlobSet::empty(),
            unknown: UnknownFields::CustomAttributes,
            columns: &["name"],
            types: &HashMap::new(),
        };
        let mapper = Mapper::with(&input, &Extras { values: &values, ..Extras::default() }).unwrap();
        let row =
            |land: Value, level: Value| show(&mapper, &json!({"land": land, "level": level, "name": "x", "home": {"town": "B"}}));
        assert_eq!(row(json!("Germany"), json!(1)), ["@level=\"gold\"", "city=\"Berlin\"", "country=\"DE\"", "name=\"y\""]);
        assert_eq!(row(json!("US"), json!("1.0"))[..1], ["@level=\"gold\""]);
        assert_eq!(row(json!("US"), json!(true)), ["@level=2", "city=\"Berlin\"", "country=\"US\"", "name=\"y\""]);
        assert_eq!(row(json!(""), json!({"a": 1}))[0..3], ["@level={\"a\":1}", "city=\"Berlin\"", "country=null"]);
        // A table for something that is mapped nowhere would be a table for nothing.
        let lost: Vec<Values> = vec![(path("a.b"), table(&[])), (path("home.street"), table(&[]))];
        let problems = Mapper::with(&input, &Extras { values: &lost, ..Extras::default() }).unwrap_err();
        assert_eq!(problems.len(), 2, "{problems:?}");
    }

    #[test]
    fn what_is_taken_as_it_came_is_borrowed() {
        let mapper = mapper(&[("a", "name")], &json!({"city": "x"}), &[], UnknownFields::CustomAttributes, &["a", "b"]).unwrap();
        let raw = RawValue::from_string(r#"{"a":"n","b":1,"c":2}"#.to_owned()).unwrap();
        let mut mapped = Mapped::default();
        mapper.apply(&raw, &mut mapped).unwrap();
        assert_eq!((mapped.fields.len(), mapped.attributes.len()), (2, 2));
        assert!(mapped.fields.iter().all(|(_, value)| matches!(value, Cow::Borrowed(_))));
        assert!(mapped.attributes.iter().all(|at| matches!((&at.key, &at.raw), (Cow::Borrowed(_), Cow::Borrowed(_)))));
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
    fn the_deletion_marker_can_have_another_name_and_no_constant_is_one() {
        let row = |mapper: &Mapper, row: Value| {
            let raw = serde_json::value::to_raw_value(&row).unwrap();
            let mut mapped = Mapped::default();
            mapper.apply(&raw, &mut mapped).unwrap();
            let faults: Vec<_> = mapped.faults.iter().map(|fault| (fault.code, fault.field.clone())).collect();
            (mapped.deleted, mapped.attributes.len(), faults)
        };
        let named = [("removed", DELETED_AT), ("state.gone", DELETED_AT)];
        let renamed = mapper(&named, &json!({}), &[], UnknownFields::CustomAttributes, &["removed"]).unwrap();
        assert_eq!(row(&renamed, json!({"removed": "2026-01-01", DELETED_AT: null})), (true, 0, vec![]));
        assert_eq!(row(&renamed, json!({DELETED_AT: "2026-01-01", "removed": null})), (true, 0, vec![]));
        assert_eq!(row(&renamed, json!({"state": {"gone": true}})), (true, 0, vec![]));
        let unclear = (false, 0, vec![(Code::FieldValue, Some(DELETED_AT.to_owned()))]);
        assert_eq!(row(&renamed, json!({"removed": "no"})), unclear);
        let problems = mapper(&[], &json!({DELETED_AT: "x"}), &[], UnknownFields::CustomAttributes, &[]).unwrap_err();
        assert!(problems[0].contains("no constant says of all of them"), "{problems:?}");
        let away = mapper(&[(DELETED_AT, "custom.gone")], &json!({}), &[], UnknownFields::CustomAttributes, &[]).unwrap();
        assert!(away.warnings()[0].contains("written like any others"), "{:?}", away.warnings());
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
