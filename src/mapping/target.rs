//! What a column is, compiled: the vocabulary that [`super::compile`] writes and [`super::fields`] reads.

use std::borrow::Cow;

use hashbrown::{HashMap, HashSet};

use super::attributes::Wanted;
use super::fields::Slot;
use super::names::fold;
use super::presets::{Reading, Rest};
use super::values;

/// What a column is.
#[derive(Debug, Clone)]
pub(super) enum Target {
    Field(Slot),
    Attribute(Box<str>, Option<Wanted>),
    Unknown(Box<str>),
    Nothing,
    DeletedAt,
    /// Parts of a nested value are mapped; the column as a whole is what the first says.
    Parts(Box<Target>, Box<HashMap<Box<str>, Target>>),
    /// Values are looked up in a table of the user's first.
    Translated(Box<Translated>),
    /// What only presets do.
    Step(Box<Step>),
}

/// A column whose values are translated.
#[derive(Debug, Clone)]
pub(super) struct Translated {
    /// Given value to the JSON text of the value that is taken for it.
    pub(super) table: HashMap<Box<str>, Box<str>>,
    /// What the column is.
    pub(super) to: Target,
    /// Set where a value that the table does not hold means nothing to ChartMogul: the field that is then at fault.
    pub(super) strict: Option<&'static str>,
}

impl Translated {
    /// What the table says of a value.
    pub(super) fn find(&self, raw: &str) -> Option<&str> {
        let text = values::as_text(raw).unwrap_or(Cow::Borrowed(raw));
        let found = self.table.get(text.as_ref()).or_else(|| self.table.get(values::whole_digits(&text)?.as_ref()));
        found.map(AsRef::as_ref)
    }
}

/// What a preset does with a column.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// One of several columns that can give a field its value: the best rank that gives one counts. Rank 0 decides even
    /// when it gives none.
    Ranked { slot: Slot, field: &'static str, rank: u8, reading: Reading },
    /// An attribute that several columns can give: the first value counts.
    Attribute(Box<str>, Option<Wanted>),
    /// An object, or JSON text of one, read by a table of its own; what is none of both is what the second says, or a fault.
    Nest(Table, Option<Target>),
    /// A column of ChartMogul's own numbers: left out unless the user's table translates it.
    Needs { to: Target, field: &'static str, unless_told: bool },
    /// A full name.
    Split(Slot, Slot),
    /// The data source of the row.
    DataSource,
    /// Whether ChartMogul holds the row as deleted.
    Gone,
}

/// The columns of a preset, by their folded names.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) columns: HashMap<Box<str>, Target>,
    /// Names that the user's `fields` speak of: nothing leaves them out.
    pub(super) claimed: HashSet<Box<str>>,
    /// What nested columns are called where a warehouse has laid them flat: the prefix, and the nested column.
    pub(super) flat: &'static [(&'static str, &'static str)],
    pub(super) rest: Rest,
}

/// What a table says of a column.
pub(super) enum Found<'t, 'n> {
    Target(&'t Target),
    /// It does not name the column: how such columns are called, and what this one is called.
    Rest(Rest, &'n str),
}

impl Table {
    /// The column of this name, which is folded.
    pub(super) fn find<'t, 'n>(&'t self, name: &'n str) -> Found<'t, 'n> {
        if let Some(target) = self.columns.get(name) {
            return Found::Target(target);
        }
        for (prefix, column) in self.flat {
            if let (Some(member), Some(nest)) = (name.strip_prefix(prefix), self.nest(column)) {
                return nest.find(member);
            }
        }
        Found::Rest(self.rest, name)
    }

    /// Whether the user's `fields` speak of the column.
    pub(super) fn claims(&self, name: &str) -> bool {
        self.claimed.contains(name)
    }

    /// The table of a nested column.
    fn nest(&self, column: &str) -> Option<&Self> {
        match self.columns.get(column)? {
            Target::Step(step) => match step.as_ref() {
                Step::Nest(table, _) => Some(table),
                _ => None,
            },
            _ => None,
        }
    }

    /// The table of a nested column, to be changed; its name in any spelling.
    pub(super) fn nest_mut(&mut self, column: &str) -> Option<&mut Self> {
        match self.columns.get_mut(fold(column).as_ref())? {
            Target::Step(step) => match step.as_mut() {
                Step::Nest(table, _) => Some(table),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Target {
    /// Tells attributes their types.
    pub(super) fn set_types(&mut self, types: &HashMap<Box<str>, Wanted>) {
        match self {
            Self::Attribute(key, wanted) => *wanted = types.get(key.as_ref()).copied(),
            Self::Parts(own, inner) => {
                own.set_types(types);
                inner.values_mut().for_each(|target| target.set_types(types));
            }
            Self::Translated(translated) => translated.to.set_types(types),
            Self::Step(step) => match step.as_mut() {
                Step::Attribute(key, wanted) => *wanted = types.get(key.as_ref()).copied(),
                Step::Nest(table, plain) => {
                    table.columns.values_mut().chain(plain).for_each(|target| target.set_types(types));
                }
                Step::Needs { to, .. } => to.set_types(types),
                Step::Ranked { .. } | Step::Split(..) | Step::DataSource | Step::Gone => {}
            },
            Self::Field(_) | Self::Unknown(_) | Self::Nothing | Self::DeletedAt => {}
        }
    }

    /// The field that the column gives as a whole.
    pub(super) fn slot(&self) -> Option<Slot> {
        match self {
            Self::Field(slot) => Some(*slot),
            Self::Parts(own, _) => own.slot(),
            Self::Translated(translated) => translated.to.slot(),
            Self::Step(step) => match step.as_ref() {
                Step::Ranked { slot, .. } => Some(*slot),
                _ => None,
            },
            Self::Attribute(..) | Self::Unknown(_) | Self::Nothing | Self::DeletedAt => None,
        }
    }

    /// Adds the fields (by index) that the column can fill.
    pub(super) fn collect_fields(&self, out: &mut Vec<u8>) {
        match self {
            Self::Field(slot) => out.push(slot.field),
            Self::Parts(own, inner) => {
                own.collect_fields(out);
                inner.values().for_each(|target| target.collect_fields(out));
            }
            Self::Translated(translated) => translated.to.collect_fields(out),
            Self::Step(step) => match step.as_ref() {
                Step::Ranked { slot, .. } => out.push(slot.field),
                Step::Split(first, last) => out.extend([first.field, last.field]),
                Step::Nest(table, plain) => {
                    table.columns.values().chain(plain).for_each(|target| target.collect_fields(out));
                }
                Step::Attribute(..) | Step::Needs { .. } | Step::DataSource | Step::Gone => {}
            },
            Self::Attribute(..) | Self::Unknown(_) | Self::Nothing | Self::DeletedAt => {}
        }
    }
}
