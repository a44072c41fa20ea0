//! What one record asks for, as pure data: a mode, how the object is found, what it belongs to and what is to be written.
//!
//! Owns the shape of a plan and how a field's value becomes its normal form. Does not own which fields an object has
//! ([`crate::objects`]) nor whether the far side already holds them (`account`, `engine`).

mod body;
mod countries;
mod hide;
mod record;

pub use body::{Attribute, Body};
pub use record::Record;

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::{SmallVec, smallvec};

/// What a null does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Nulls {
    /// It leaves the value in ChartMogul alone.
    #[default]
    Ignore,
    /// It removes the value.
    Clear,
}

/// The field by which a record finds what is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MatchBy {
    /// The user's own key.
    ExternalId,
    /// ChartMogul's UUID.
    Uuid,
    /// The e-mail address.
    Email,
}

/// What to do with existing and absent objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// Create what is absent; leave what exists alone.
    Insert,
    /// Create what is absent; change what exists.
    Upsert,
    /// Change what exists; leave out what is absent.
    Update,
    /// Delete what exists.
    Delete,
}

impl Mode {
    /// The word used in settings and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Upsert => "upsert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A customer, by one of its names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CustomerRef {
    /// ChartMogul's own UUID, `cus_...`.
    Uuid(Box<str>),
    /// The user's key in the configured data source.
    ExternalId(Box<str>),
}

/// How the object of a record is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// By its UUID; how else it is found, where the record says so too, is the second try.
    Uuid(Box<str>, Option<Box<Target>>),
    /// A customer by its external id in the configured data source.
    ExternalId(Box<str>),
    /// A customer by its e-mail address in the configured data source.
    Email(Box<str>),
    /// An entry among those of its customer, by the rules of the object.
    Within(CustomerRef, Within),
}

/// How an entry is found among those of its customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Within {
    /// By external id, else by e-mail among entries without another external id.
    Keys {
        /// The user's key of the entry.
        external_id: Option<Box<str>>,
        /// Its e-mail address.
        email: Option<Box<str>>,
    },
    /// By equality of all given fields: the entry has no key of its own.
    AllFields,
}

/// What must stay in order: records that share a lane key run one after another, in the order they came.
///
/// A hash, since millions of these are compared and none is ever shown. Should two keys share one, their records run one
/// after another without need, which harms nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneKey(u64);

/// The lanes of one plan: nearly always one or two.
pub type LaneKeys = SmallVec<[LaneKey; 2]>;

impl LaneKey {
    /// The lane of a customer known by its external id.
    pub fn customer(external_id: &str) -> Self {
        Self::hash('x', external_id)
    }

    /// The lane of anything known by its UUID.
    pub fn uuid(uuid: &str) -> Self {
        Self::hash('u', uuid)
    }

    /// The lane of customers known by an e-mail address.
    pub fn email(email: &str) -> Self {
        Self::hash('e', &email.to_lowercase())
    }

    /// The same in every run: what runs side by side must not differ between two runs of one simulation.
    fn hash(kind: char, key: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (kind, key).hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl Target {
    fn lanes(&self) -> LaneKeys {
        match self {
            Self::Uuid(uuid, other) => {
                let mut lanes = smallvec![LaneKey::uuid(uuid)];
                lanes.extend(other.iter().flat_map(|other| other.lanes()));
                lanes
            }
            Self::ExternalId(key) => smallvec![LaneKey::customer(key)],
            Self::Email(email) => smallvec![LaneKey::email(email)],
            Self::Within(customer, _) => smallvec![customer.lane()],
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Uuid(uuid, other) => uuid.len() + other.as_ref().map_or(0, |other| size_of::<Self>() + other.bytes()),
            Self::ExternalId(text) | Self::Email(text) => text.len(),
            Self::Within(..) => 96,
        }
    }
}

impl CustomerRef {
    /// The lane of this customer.
    pub fn lane(&self) -> LaneKey {
        match self {
            Self::Uuid(uuid) => LaneKey::uuid(uuid),
            Self::ExternalId(key) => LaneKey::customer(key),
        }
    }
}

/// One record's intention. Everything the engine needs; the row it came from is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What to do with existing and absent objects.
    pub mode: Mode,
    /// How the object is found.
    pub target: Target,
    /// What is to be written, in normal form.
    pub body: Body,
}

impl Plan {
    /// The keys under which this plan must keep its place: of the object itself and of the customer it belongs to.
    pub fn lanes(&self) -> LaneKeys {
        self.target.lanes()
    }

    /// The record's key in words, for rejects and receipts. Holds record values: not for logs.
    pub fn key(&self) -> String {
        let customer = |customer: &CustomerRef| match customer {
            CustomerRef::Uuid(uuid) => uuid.to_string(),
            CustomerRef::ExternalId(key) => key.to_string(),
        };
        match &self.target {
            Target::Uuid(uuid, _) => uuid.to_string(),
            Target::ExternalId(key) | Target::Email(key) => key.to_string(),
            Target::Within(
                parent,
                Within::Keys { external_id: Some(key), .. } | Within::Keys { external_id: None, email: Some(key) },
            ) => {
                format!("{} of {}", key, customer(parent))
            }
            Target::Within(parent, _) => format!("of {}", customer(parent)),
        }
    }

    /// A text without the record's values: each is starred where it stands as a word of its own.
    pub fn hide(&self, text: &str) -> String {
        hide::values(self, text)
    }

    /// Size in memory, in bytes, near enough to bound what waits.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.target.bytes() + self.body.bytes()
    }
}
