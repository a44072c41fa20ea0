//! Presets: what known kinds of rows mean, so that nobody has to map them by hand.
//!
//! A preset is a set of sheets, one for each object that its rows can become; a sheet says of each column, by name, what it
//! is. Names are compared folded ([`super::names`]), so that `FULL_NAME`, `fullName` and `full_name` are one column. Targets
//! are names too, looked up in the object's table when a stream's [`Mapper`](super::Mapper) is compiled; a name that the
//! object does not have gives nothing. What the user's entry says of a column goes before what the sheet says: `fields` and
//! `values` change the sheet, `exclude` is asked before it.
//!
//! - `segment_group`, `segment_identify`: rows of Segment's group and identify calls, as Segment's libraries send them
//!   (`traits` nested, or as JSON text) and as warehouses store them (a column for each trait).
//! - `chartmogul_export`: the datasets that ChartMogul writes to warehouses ("Destinations" in its documentation).
//!
//! Where a sheet says that several columns can give one field, the best one that gives a value counts; two of them in one
//! row are no fault. Owns the facts about those rows. Does not own how they are carried out (`steps`, `compile`), nor which
//! stream has which preset (the binding).

mod export;
mod segment;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::fold;

/// A kind of rows whose columns are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Group calls of Segment: customers.
    SegmentGroup,
    /// Identify calls of Segment: contacts.
    SegmentIdentify,
    /// ChartMogul's own export.
    ChartmogulExport,
}

/// Rows that hold nothing that could be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotWritable {
    /// What the rows are, as the beginning of a sentence.
    pub what: &'static str,
    /// What to load in their place, as a sentence.
    pub instead: &'static str,
}

/// What a stream of a preset becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Becomes {
    /// Always this object.
    Always(&'static str),
    /// This object, by the stream's name; another choice may be made.
    Named(&'static str),
    /// What an entry says: the stream's name tells nothing.
    Open,
    /// Nothing.
    Nothing(NotWritable),
}

impl Preset {
    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SegmentGroup => "segment_group",
            Self::SegmentIdentify => "segment_identify",
            Self::ChartmogulExport => "chartmogul_export",
        }
    }

    /// What a stream of this name becomes.
    pub fn becomes(self, stream: &str) -> Becomes {
        match self {
            Self::SegmentGroup => Becomes::Always("customers"),
            Self::SegmentIdentify => Becomes::Always("contacts"),
            Self::ChartmogulExport => export::becomes(stream),
        }
    }

    /// What the columns say of rows that are to become this object: `Some` when they hold nothing that could be written.
    pub fn refuses(self, object: &str, columns: &[&str]) -> Option<NotWritable> {
        match self {
            Self::ChartmogulExport => export::refuses(object, columns),
            Self::SegmentGroup | Self::SegmentIdentify => None,
        }
    }

    /// The sheet for an object; `None` when no row of this kind becomes it.
    pub fn sheet(self, object: &str) -> Option<&'static Sheet> {
        match (self, object) {
            (Self::SegmentGroup, "customers") => Some(&segment::GROUP),
            (Self::SegmentIdentify, "contacts") => Some(&segment::IDENTIFY),
            (Self::ChartmogulExport, _) => export::sheet(object),
            _ => None,
        }
    }

    /// The objects that rows of this kind can become.
    pub const fn objects(self) -> &'static [&'static str] {
        match self {
            Self::SegmentGroup => &["customers"],
            Self::SegmentIdentify => &["contacts"],
            Self::ChartmogulExport => export::OBJECTS,
        }
    }

    /// Whether the customer that a row names is made where it is not there, unless the entry says otherwise: an identify
    /// call is all that tells of its company.
    pub const fn makes_parents(self) -> bool {
        matches!(self, Self::SegmentIdentify)
    }

    /// The key that a column gets which becomes an attribute; `None` where it is a column of columns.
    pub fn attribute_key(self, column: &str) -> Option<String> {
        match self {
            Self::ChartmogulExport => Some(column.to_owned()),
            Self::SegmentGroup | Self::SegmentIdentify => match fold(column) {
                traits if traits == "traits" => None,
                folded => Some(folded.strip_prefix("traits_").unwrap_or(&folded).to_owned()),
            },
        }
    }
}

/// What a preset says of the rows that become one object.
#[derive(Debug)]
pub struct Sheet {
    /// Columns by folded names, in several lists: the first that names a column counts.
    pub(super) columns: &'static [&'static [(&'static str, Rule)]],
    /// Whether the object's own field names stand for themselves.
    pub(super) own_names: bool,
    /// What nested columns are called where a warehouse has laid them flat: the prefix, and the nested column.
    pub(super) flat: &'static [(&'static str, &'static str)],
    /// What a column is that the sheet does not name.
    pub(super) rest: Rest,
    /// What is done when all of a row was read.
    pub(super) ends: &'static [End<&'static str>],
}

impl Sheet {
    /// Nothing: a base for others.
    const EMPTY: Self = Self { columns: &[], own_names: false, flat: &[], rest: Rest::Left, ends: &[] };
}

/// What a column is.
#[derive(Debug)]
pub(super) enum Rule {
    /// This field, unless a column of a better (lower) rank gives it; rank 0 decides even with a null.
    To(&'static str, u8, Reading),
    /// An attribute of this key.
    Attribute(&'static str),
    /// An object, or JSON text of one; what is neither is what the second says, or a fault.
    Nest(&'static Sheet, Option<&'static Rule>),
    /// Never written.
    Left,
    /// Written only where the user gives a table of values.
    Needs {
        to: &'static Rule,
        /// The field that waits for it.
        field: &'static str,
        /// Whether leaving it out is worth a warning, and a value that the table does not hold a fault.
        unless_told: bool,
    },
    /// A full name, for these fields of the first and the last name.
    Split(&'static str, &'static str),
    /// The data source that the row is of.
    DataSource,
    /// Whether ChartMogul holds the row as deleted.
    Gone,
}

/// How a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// As it came.
    AsIs,
    /// As it came; a null is as if the column were absent.
    Given,
    /// A number that stands for a word, or the word itself.
    Word(&'static [(&'static str, Word)]),
    /// A UUID, to which the prefix is put where it lacks it: with which prefix the export prints them is unknown.
    Uuid(&'static str),
    /// An e-mail address, alone or in brackets behind a name.
    Address,
    /// A tag.
    Tag,
}

/// What a number of an export stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// A word that can be written.
    Sent(&'static str),
    /// A word that ChartMogul computes: left out.
    Computed(&'static str),
}

impl Word {
    /// Whether it is this word, in any case and with spaces or underscores.
    pub(super) fn is(self, text: &str) -> bool {
        let (Self::Sent(word) | Self::Computed(word)) = self;
        let plain = |text: &str| text.to_ascii_lowercase().replace(' ', "_");
        plain(word) == plain(text)
    }

    /// What is sent for it.
    pub(super) const fn sent(self) -> Option<&'static str> {
        match self {
            Self::Sent(word) => Some(word),
            Self::Computed(_) => None,
        }
    }
}

/// What columns are that a sheet does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Left out.
    Left,
    /// Unknown fields under the names they came with.
    AsNamed,
    /// Unknown fields under their folded names, behind a prefix.
    Folded(&'static str),
}

impl Rest {
    /// The attribute's key, given the column's name and what is left of it, folded, in the table that was asked. `None`: the
    /// column is left out.
    pub(super) fn key<'n>(self, column: &'n str, member: &'n str) -> Option<Cow<'n, str>> {
        match self {
            Self::Left => None,
            Self::AsNamed => Some(Cow::Borrowed(column)),
            Self::Folded("") => Some(Cow::Borrowed(member)),
            Self::Folded(prefix) => Some(Cow::Owned(format!("{prefix}{member}"))),
        }
    }
}

/// What is done when all of a row was read.
#[derive(Debug, Clone, Copy)]
pub(super) enum End<F> {
    /// A full name counts only where neither part of it was given.
    FullName { first: F, last: F },
    /// A UUID of ChartMogul's means nothing in another account: it is left out where the row has a key.
    KeyNotUuid { key: F, uuid: F },
    /// A field that says something only beside another.
    OnlyWith { field: F, key: F },
    /// A field that columns of this rank give only to rows of another account.
    Elsewhere { field: F, rank: u8 },
    /// A value in text, and the word for its type.
    Typed { kind: F, value: F },
}

impl End<&'static str> {
    /// The same for the slots of an object; `None` when the object lacks a field.
    pub(super) fn at<S>(&self, slot: impl Fn(&str) -> Option<S>) -> Option<End<S>> {
        Some(match self {
            Self::FullName { first, last } => End::FullName { first: slot(first)?, last: slot(last)? },
            Self::KeyNotUuid { key, uuid } => End::KeyNotUuid { key: slot(key)?, uuid: slot(uuid)? },
            Self::OnlyWith { field, key } => End::OnlyWith { field: slot(field)?, key: slot(key)? },
            Self::Elsewhere { field, rank } => End::Elsewhere { field: slot(field)?, rank: *rank },
            Self::Typed { kind, value } => End::Typed { kind: slot(kind)?, value: slot(value)? },
        })
    }
}

/// The field of this name.
const fn to(field: &'static str) -> Rule {
    Rule::To(field, 1, Reading::AsIs)
}

/// The field of this name, unless a column of a better rank gives it.
const fn or(field: &'static str, rank: u8) -> Rule {
    Rule::To(field, rank, Reading::AsIs)
}
