//! From settings to a [`Mapper`]: names looked up once per stream, so that no row pays for it.
//!
//! With a preset the user's entry still speaks first: `fields` and `values` change the preset's table before it is used, and
//! `exclude` is asked before it.

use globset::GlobSet;
use hashbrown::{HashMap, HashSet};

use super::attributes::Wanted;
use super::fields::{CompiledPreset, Mapper, Rename, Slot, UnknownFields};
use super::marker::DELETED_AT;
use super::names::fold;
use super::presets::{Reading, Rest, Rule, Sheet};
use super::target::{Found, Step, Table, Target, Translated};
use crate::objects::resource::{Kind, Resource};

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
    pub types: &'s HashMap<Box<str>, Wanted>,
}

/// A source path, and a table: given value to the JSON text of the value that is taken for it.
pub type Values = (Vec<String>, HashMap<Box<str>, Box<str>>);

/// What a stream's entry may ask for beyond names.
#[derive(Debug, Default, Clone, Copy)]
pub struct Extras<'s> {
    /// Tables of values by columns.
    pub values: &'s [Values],
    /// What the preset says of the stream's object.
    pub sheet: Option<&'static Sheet>,
    /// The configured data source; asked by presets only.
    pub data_source: &'s str,
}

impl Mapper {
    /// Compiles the mapping of one stream.
    ///
    /// # Errors
    /// One sentence for each target path that the object does not have.
    pub fn new(input: &MapperInput<'_>) -> Result<Self, Vec<String>> {
        Self::with(input, &Extras::default())
    }

    /// Compiles the mapping of a stream that has tables of values or a preset.
    ///
    /// # Errors
    /// One sentence for each path that leads nowhere.
    pub fn with(input: &MapperInput<'_>, extras: &Extras<'_>) -> Result<Self, Vec<String>> {
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
            ignores_members: input.unknown == UnknownFields::Ignore,
            preset: None,
            warnings: Vec::new(),
        };
        match extras.sheet {
            None => mapper.standard_columns(input),
            Some(sheet) => {
                let mut table = table(sheet, input.resource);
                table.columns.insert(DELETED_AT.into(), Target::DeletedAt);
                // Its prefix would leave it out.
                table.claimed.insert(DELETED_AT.into());
                let ends = sheet.ends.iter().filter_map(|end| end.at(|name| slot(input.resource, name))).collect();
                mapper.preset = Some(CompiledPreset { table, ends, data_source: extras.data_source.into() });
            }
        }
        for (source, target) in input.fields {
            // No field: what it is read for stands above all of them.
            if target[..] == [DELETED_AT] {
                mapper.insert(source, Target::DeletedAt);
                continue;
            }
            if source[..] == [DELETED_AT] {
                mapper.warnings.push(format!(
                    "`fields` makes `{}` of `{DELETED_AT}`: rows that are marked as deleted are written like any others",
                    target.join(".")
                ));
            }
            match resolve(input.resource, target) {
                Ok(target) => mapper.insert(source, target),
                Err(problem) => problems.push(problem),
            }
        }
        for (source, table) in extras.values {
            let target = mapper.place(source);
            match target.filter(|target| !matches!(target, Target::Parts(..))) {
                Some(target) => translate(target, table),
                None => problems.push(format!("`values`: `{}` is no column that is mapped", source.join("."))),
            }
        }
        for (name, value) in input.constants {
            let path: Vec<String> = name.split('.').map(str::to_owned).collect();
            if path[..] == [DELETED_AT] {
                problems
                    .push(format!("`constants`: `{DELETED_AT}` marks a row as deleted, which no constant says of all of them"));
                continue;
            }
            match resolve(input.resource, &path) {
                Ok(target) => mapper.constants.push((target, value.to_string().into())),
                Err(problem) => problems.push(problem),
            }
        }
        if extras.sheet.is_some() {
            mapper.known_columns(input);
        }
        let nested = mapper.preset.iter_mut().flat_map(|preset| preset.table.columns.values_mut());
        let targets = mapper.columns.values_mut().chain(mapper.constants.iter_mut().map(|(target, _)| target)).chain(nested);
        targets.for_each(|target| target.set_types(&mapper.types));
        if problems.is_empty() { Ok(mapper) } else { Err(problems) }
    }

    /// The object's own names, and what the schema names beside them.
    fn standard_columns(&mut self, input: &MapperInput<'_>) {
        for (index, field) in input.resource.all_fields().enumerate() {
            self.columns.insert(field.name.into(), Target::Field(Slot { field: index as u8, inner: None }));
        }
        self.columns.insert(DELETED_AT.into(), Target::DeletedAt);
        for column in input.columns {
            if !self.columns.contains_key(*column) {
                let target = self.of_unmapped(column);
                self.columns.insert((*column).into(), target);
            }
        }
        // Standard fields that a glob leaves out.
        let (columns, exclude) = (&mut self.columns, &self.exclude);
        for (_, target) in columns.iter_mut().filter(|(name, _)| name.as_ref() != DELETED_AT && exclude.is_match(name.as_ref())) {
            *target = Target::Nothing;
        }
    }

    /// What the preset's table says of the columns that the schema names, so that rows need not ask it.
    fn known_columns(&mut self, input: &MapperInput<'_>) {
        let Some(preset) = &self.preset else { return };
        let mut known = Vec::new();
        for column in input.columns {
            let folded = fold(column);
            let excluded = !preset.table.claims(&folded) && (self.leaves_out(column) || self.leaves_out(&folded));
            let target = match preset.table.find(&folded) {
                _ if excluded => Target::Nothing,
                Found::Target(target) => target.clone(),
                Found::Rest(rest, member) => of_rest(rest, column, member, self.unknown, &self.exclude),
            };
            if let Target::Step(step) = &target
                && let Step::Needs { field, unless_told: true, .. } = step.as_ref()
            {
                self.warnings.push(format!(
                    "column `{column}` is left out: it holds ChartMogul's own number of a {field}. Put the table of them into \
                     `values` (ChartMogul's page on the dataset shows one), or map another column to `{field}`"
                ));
            }
            known.push(((*column).into(), target));
        }
        self.columns.extend(known);
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
        match &mut self.preset {
            Some(preset) => insert_in_table(&mut preset.table, source, target),
            None => {
                let whole_column = source.first().map_or(Target::Nothing, |column| self.of_unmapped(column));
                insert_path(&mut self.columns, source, target, whole_column);
            }
        }
    }

    /// Where a source path is mapped. `None`: it is part of a nested column that nothing takes apart.
    fn place(&mut self, source: &[String]) -> Option<&mut Target> {
        let (first, rest) = source.split_first()?;
        if self.preset.is_some() {
            let (unknown, exclude) = (self.unknown, &self.exclude);
            return place_in_table(&mut self.preset.as_mut()?.table, source, unknown, exclude);
        }
        if rest.is_empty() && !self.columns.contains_key(first.as_str()) {
            let target = self.of_unmapped(first);
            self.columns.insert(first.as_str().into(), target);
        }
        place_in_parts(self.columns.get_mut(first.as_str())?, rest)
    }
}

/// A preset's sheet for an object. Names that the object does not have are left out.
fn table(sheet: &'static Sheet, resource: &'static Resource) -> Table {
    let mut columns: HashMap<Box<str>, Target> = HashMap::new();
    if sheet.own_names {
        for (index, field) in resource.all_fields().enumerate() {
            let slot = Slot { field: index as u8, inner: None };
            columns.insert(field.name.into(), ranked(slot, field.name, 1, Reading::AsIs));
        }
    }
    for (name, rule) in sheet.columns.iter().rev().copied().flatten() {
        columns.insert((*name).into(), target_of(rule, resource));
    }
    Table { columns, claimed: HashSet::new(), flat: sheet.flat, rest: sheet.rest }
}

fn target_of(rule: &'static Rule, resource: &'static Resource) -> Target {
    let step = match rule {
        Rule::To(name, rank, reading) => match slot(resource, name) {
            Some(slot) => return ranked(slot, name, *rank, *reading),
            None => return Target::Nothing,
        },
        Rule::Attribute(key) if resource.attributes.is_some() => Step::Attribute((*key).into(), None),
        Rule::Attribute(_) | Rule::Left => return Target::Nothing,
        Rule::Nest(sheet, plain) => Step::Nest(table(sheet, resource), plain.map(|rule| target_of(rule, resource))),
        Rule::Needs { to, field, unless_told } => Step::Needs { to: target_of(to, resource), field, unless_told: *unless_told },
        Rule::Split(first, last) => match (slot(resource, first), slot(resource, last)) {
            (Some(first), Some(last)) => Step::Split(first, last),
            _ => return Target::Nothing,
        },
        Rule::DataSource => Step::DataSource,
        Rule::Gone => Step::Gone,
    };
    Target::Step(Box::new(step))
}

fn ranked(slot: Slot, field: &'static str, rank: u8, reading: Reading) -> Target {
    Target::Step(Box::new(Step::Ranked { slot, field, rank, reading }))
}

fn slot(resource: &Resource, name: &str) -> Option<Slot> {
    let at = resource.all_fields().position(|field| field.name == name)?;
    Some(Slot { field: at as u8, inner: None })
}

/// Puts a table of the user's before what a column is.
fn translate(target: &mut Target, table: &HashMap<Box<str>, Box<str>>) {
    let (to, strict) = match std::mem::replace(target, Target::Nothing) {
        Target::Step(step) => match *step {
            Step::Needs { to, field, unless_told } => (to, unless_told.then_some(field)),
            other => (Target::Step(Box::new(other)), None),
        },
        other => (other, None),
    };
    *target = Target::Translated(Box::new(Translated { table: table.clone(), to, strict }));
}

fn insert_in_table(table: &mut Table, source: &[String], target: Target) {
    let Some((first, rest)) = source.split_first() else { return };
    let folded = fold(first);
    table.claimed.insert(folded.as_ref().into());
    if !rest.is_empty()
        && let Some(nest) = table.nest_mut(first)
    {
        insert_in_table(nest, rest, target);
        return;
    }
    let mut source = source.to_vec();
    source[0] = folded.into_owned();
    insert_path(&mut table.columns, &source, target, Target::Nothing);
}

fn place_in_table<'t>(
    table: &'t mut Table,
    source: &[String],
    unknown: UnknownFields,
    exclude: &GlobSet,
) -> Option<&'t mut Target> {
    let (first, rest) = source.split_first()?;
    let folded = fold(first);
    if rest.is_empty() {
        // What was laid flat, or is not named, gets an entry of its own.
        if !table.columns.contains_key(folded.as_ref()) {
            let target = match table.find(&folded) {
                Found::Target(target) => target.clone(),
                Found::Rest(rest, member) => of_rest(rest, first, member, unknown, exclude),
            };
            table.columns.insert(folded.as_ref().into(), target);
        }
        return table.columns.get_mut(folded.as_ref());
    }
    if table.nest_mut(first).is_some() {
        return place_in_table(table.nest_mut(first)?, rest, unknown, exclude);
    }
    place_in_parts(table.columns.get_mut(folded.as_ref())?, rest)
}

/// What a column is that a preset's table does not name: its own name, and what is left of it in the table that was asked.
fn of_rest(rest: Rest, column: &str, member: &str, unknown: UnknownFields, exclude: &GlobSet) -> Target {
    match (rest.key(column, member), unknown) {
        (Some(key), UnknownFields::CustomAttributes) if !exclude.is_match(key.as_ref()) => {
            Target::Step(Box::new(Step::Attribute(key.as_ref().into(), None)))
        }
        (Some(key), UnknownFields::Reject) if !exclude.is_match(key.as_ref()) => Target::Unknown(column.into()),
        _ => Target::Nothing,
    }
}

fn place_in_parts<'t>(target: &'t mut Target, path: &[String]) -> Option<&'t mut Target> {
    match (target, path.split_first()) {
        (target, None) => Some(target),
        (Target::Parts(_, inner), Some((first, rest))) => place_in_parts(inner.get_mut(first.as_str())?, rest),
        _ => None,
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
