//! The far side of an object as data: where it lives, what it is called, which fields can be written.
//!
//! Facts only, taken from ChartMogul's documentation and from recorded answers. Everything that has to agree on them reads
//! them here: `discover`, the mapping, the docs table, the calls of the engine and the sandbox's routes. Owns no behaviour:
//! how a record becomes a plan is the object's file, how the far side answers is the sandbox.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Type of a custom attribute, by ChartMogul's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum AttributeType {
    /// A text.
    String,
    /// A whole number.
    Integer,
    /// A decimal number.
    Decimal,
    /// A point in time.
    Timestamp,
    /// True or false.
    Boolean,
}

/// One kind of object as the API shows it.
#[derive(Debug)]
pub struct Resource {
    /// The object's name: what a stream is called to become it, and what `discover` shows.
    pub name: &'static str,
    /// One sentence for people.
    pub summary: &'static str,
    /// Path of the collection below the base URL, with a leading slash.
    pub path: &'static str,
    /// Key under which an entry shows its own identity; `uuid` for most.
    pub id: &'static str,
    /// What every UUID of this object starts with; empty where the API uses bare UUIDs.
    pub uuid_prefix: &'static str,
    /// Key under which a list answers its entries.
    pub list_root: &'static str,
    /// Exact-match query filters of the list.
    pub filters: &'static [&'static str],
    /// What requests are counted by.
    pub calls: Calls,
    /// Recorded success statuses of create, update and delete.
    pub statuses: Statuses,
    /// Fields a record may carry that are no field of the API: the record's own UUID and references to parents.
    pub references: &'static [Field],
    /// Fields of the API that can be written.
    pub fields: &'static [Field],
    /// Whether unknown fields may become custom attributes, and in which form the API takes them.
    pub attributes: Option<AttributeForm>,
    /// Titles of the vendor's pages that these facts are from.
    pub pages: &'static [&'static str],
}

/// Names of an object's requests: they are counted by it, and one that keeps failing is compared with others of its name.
#[derive(Debug, Clone, Copy)]
pub struct Calls {
    /// POST on the collection.
    pub create: &'static str,
    /// GET of one entry.
    pub read: &'static str,
    /// GET of entries by key.
    pub look_up: &'static str,
    /// GET of all entries, page by page.
    pub list: &'static str,
    /// PATCH on one entry.
    pub update: &'static str,
    /// DELETE of one entry.
    pub delete: &'static str,
}

/// Success statuses of the three writes.
#[derive(Debug, Clone, Copy)]
pub struct Statuses {
    /// POST on the collection.
    pub created: u16,
    /// PATCH on one entry.
    pub updated: u16,
    /// DELETE of one entry.
    pub deleted: u16,
}

/// How the API takes custom attributes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeForm {
    /// `attributes.custom: [{type, key, value}]`; answered as a map under `attributes.custom`. Customers.
    Typed,
    /// `custom: [{key, value}]` without a type; answered as a map under `custom`. Contacts, opportunities.
    /// Keys that were not defined in the app are dropped without an error (recorded 2023).
    Untyped,
}

/// One field that can be written.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// ChartMogul's own name.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Whether a create needs it.
    pub required: bool,
    /// Whether the API answers it as it was sent. `false`: it is not answered, or may be dropped without an error, so
    /// that its absence from an answer proves nothing.
    pub kept: bool,
    /// Whether it is set by a request of its own, so that the answers to others say nothing of what was sent.
    pub apart: bool,
    /// Whether the API answers it as zero or false where it was never set.
    pub zero: bool,
    /// One sentence for people.
    pub about: &'static str,
    /// An example as JSON text.
    pub example: &'static str,
}

/// What values a field takes.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A key chosen by the user. Numbers are taken as their digits, since warehouses hold ids as integers; whether the API
    /// itself takes a JSON number there is unknown.
    ExternalId,
    /// A UUID of ChartMogul's with this prefix.
    Uuid(&'static str),
    /// An e-mail address.
    Email,
    /// A web address.
    Url,
    /// ISO 3166-1 alpha-2.
    Country,
    /// An ISO 3166-2 subdivision, kept for US customers only; with or without the leading `US-`.
    State,
    /// A point in time; sent as RFC 3339 in UTC. Without an offset it is taken as UTC.
    Timestamp,
    /// A day, `YYYY-MM-DD`; of a point in time, its day in UTC.
    Date,
    /// A whole number, at least this and at most that.
    Integer(i64, i64),
    /// An amount of money in whole cents; negative for a credit.
    Cents,
    /// An ISO 4217 currency.
    Currency,
    /// True or false.
    Boolean,
    /// A text of at most so many characters.
    Short(usize),
    /// At most so many letters and digits.
    Code(usize),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A list of tags.
    Tags,
    /// A map of custom attributes.
    Attributes,
    /// A nested object with these fields.
    Object(&'static [Field]),
    /// A list of nested objects with these fields.
    List(&'static [Field]),
    /// A list of values of this kind, each once.
    Many(&'static Kind),
    /// A text, a number or a Boolean, as it came.
    Scalar,
    /// Any JSON, as it came.
    Json,
}

/// A whole number without a rule of its own.
pub(super) const WHOLE: Kind = Kind::Integer(i64::MIN, i64::MAX);

impl Resource {
    /// The place of a field among references and fields.
    pub fn slot(&self, name: &str) -> Option<u8> {
        self.all_fields().position(|field| field.name == name).map(|at| at as u8)
    }

    /// The custom attributes in an answer.
    pub fn attributes_of<'v>(&self, entry: &'v serde_json::Value) -> Option<&'v serde_json::Map<String, serde_json::Value>> {
        match self.attributes? {
            AttributeForm::Typed => entry["attributes"]["custom"].as_object(),
            AttributeForm::Untyped => entry["custom"].as_object(),
        }
    }

    /// The field of this name among references and fields.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.all_fields().find(|field| field.name == name)
    }

    /// References, then fields.
    pub fn all_fields(&self) -> impl Iterator<Item = &'static Field> + use<> {
        self.references.iter().chain(self.fields.iter())
    }
}

/// Shorthand for tables of fields: kept, not required.
pub(super) const fn field(name: &'static str, kind: Kind, about: &'static str, example: &'static str) -> Field {
    Field { name, kind, required: false, kept: true, apart: false, zero: false, about, example }
}

impl Field {
    /// The same field, needed by a create.
    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The same field, set by a request of its own.
    pub(super) const fn apart(mut self) -> Self {
        self.apart = true;
        self
    }

    /// The same field, answered as zero or false where it was never set.
    pub(super) const fn zero_when_unset(mut self) -> Self {
        self.zero = true;
        self
    }

    /// The same field, marked as one that may be dropped or not be answered.
    pub(super) const fn not_kept(mut self) -> Self {
        self.kept = false;
        self
    }
}
