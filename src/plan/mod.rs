//! What one record asks for, as pure data: a mode, how the object is found, what it belongs to and what is to be written.
//!
//! Owns the shape of a plan and how a field's value becomes its normal form. Does not own which fields an object has
//! ([`crate::objects`]) nor whether the far side already holds them (`account`, `engine`).

mod body;
mod countries;
pub mod hide;
mod keys;
mod known;
mod normal;
mod overlay;
mod prints;
mod record;

pub use body::{Attribute, Body};
pub use known::{Keeps, Known, Part, attributes_not_taken, differing, fingerprint, fingerprint_of, held_back, same, unwrapped};
pub use record::Record;

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::mapping::Slot;

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

/// What to do when the customer that a record belongs to does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Parents {
    /// The record waits for it, and is rejected when it never comes.
    #[default]
    Wait,
    /// It is made.
    Create,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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

/// A thing that records refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kin {
    /// A customer.
    Customer,
    /// A plan of the billing system.
    Plan,
    /// An invoice.
    Invoice,
    /// A subscription.
    Subscription,
    /// A subscription event.
    Event,
}

impl Kin {
    /// The object's name.
    pub const fn object(self) -> &'static str {
        match self {
            Self::Customer => "customers",
            Self::Plan => "plans",
            Self::Invoice => "invoices",
            Self::Subscription => "subscriptions",
            Self::Event => "subscription_events",
        }
    }

    /// The field in which entries name it.
    pub const fn uuid_field(self) -> &'static str {
        match self {
            Self::Customer => "customer_uuid",
            Self::Plan => "plan_uuid",
            Self::Invoice => "invoice_uuid",
            Self::Subscription => "subscription_uuid",
            Self::Event => "event_id",
        }
    }

    /// One of it, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Customer => "a customer",
            Self::Plan => "a plan",
            Self::Invoice => "an invoice",
            Self::Subscription => "a subscription",
            Self::Event => "an event",
        }
    }

    /// What it is looked for in: a record that refers to it by its key refers to that too.
    pub const fn within(self) -> Option<Self> {
        match self {
            Self::Customer | Self::Plan | Self::Invoice | Self::Event => None,
            Self::Subscription => Some(Self::Customer),
        }
    }
}

/// One of a thing's two names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum By {
    /// ChartMogul's own UUID.
    Uuid(Box<str>),
    /// The user's key in the configured data source.
    Key(Box<str>),
}

impl By {
    /// The name as text.
    pub fn text(&self) -> &str {
        match self {
            Self::Uuid(text) | Self::Key(text) => text,
        }
    }
}

/// What a reference is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// The record's object belongs to it: it is looked for through it, and keeps its place behind it.
    Parent,
    /// It is named in what is written.
    Mention,
}

/// What has to be known of a thing that is referred to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Need {
    /// Its UUID. Where the record gives that, the thing is not looked at.
    Uuid,
    /// The user's key of it, and that it exists.
    Key,
    /// What is known of its values.
    Values,
}

/// Something that a record refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// What it is.
    pub kin: Kin,
    /// By which name.
    pub by: By,
    /// What for.
    pub role: Role,
    /// What has to be known of it.
    pub need: Need,
    /// The field that names it, for people. Not written with the rest: whoever reads a reference back says it again.
    #[serde(skip)]
    pub field: &'static str,
}

impl Reference {
    /// The lane of the thing.
    pub fn lane(&self) -> LaneKey {
        LaneKey::by(self.kin.object(), &self.by)
    }
}

/// How the object of a record is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// By its UUID; how else it is found, where the record says so too, is the second try.
    Uuid(Box<str>, Option<Box<Target>>),
    /// By its external id: in the configured data source, or among those of its parent.
    Key(Box<str>),
    /// By its e-mail address, among those without another external id where it gives one too.
    Email {
        /// The address.
        email: Box<str>,
        /// The user's key, which goes first.
        external_id: Option<Box<str>>,
    },
    /// By its name.
    Name(Box<str>),
    /// It has no key: it is the one in which these fields are equal.
    Equal(Box<[Slot]>),
    /// It is a part of the first thing that the record refers to.
    Part,
    /// Every record asks for something new, in the order of this text.
    Always(Box<str>),
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
    /// The lane of an object of this kind that is known by its external id.
    pub fn key(object: &str, external_id: &str) -> Self {
        Self::hash(object, external_id)
    }

    /// The lane of anything known by its UUID.
    pub fn uuid(uuid: &str) -> Self {
        Self::hash("uuid", uuid)
    }

    /// The lane of an object under one of its names.
    pub fn by(object: &str, by: &By) -> Self {
        match by {
            By::Uuid(uuid) => Self::uuid(uuid),
            By::Key(key) => Self::key(object, key),
        }
    }

    /// The same in every run: what runs side by side must not differ between two runs of one simulation.
    fn hash(kind: &str, key: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (kind, key).hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl Target {
    fn lanes(&self, object: &str, lanes: &mut LaneKeys) {
        match self {
            Self::Uuid(uuid, other) => {
                lanes.push(LaneKey::uuid(uuid));
                if let Some(other) = other {
                    other.lanes(object, lanes);
                }
            }
            Self::Key(key) => lanes.push(LaneKey::key(object, key)),
            Self::Email { email, external_id } => {
                lanes.push(LaneKey::hash("email", &email.to_lowercase()));
                lanes.extend(external_id.iter().map(|key| LaneKey::key(object, key)));
            }
            Self::Name(name) => lanes.push(LaneKey::hash(object, &name.to_lowercase())),
            Self::Always(text) => lanes.push(LaneKey::hash(object, text)),
            Self::Equal(_) | Self::Part => {}
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Uuid(uuid, other) => uuid.len() + other.as_ref().map_or(0, |other| size_of::<Self>() + other.bytes()),
            Self::Key(text) | Self::Name(text) | Self::Always(text) => text.len(),
            Self::Email { email, external_id } => email.len() + external_id.as_ref().map_or(0, |key| key.len()),
            Self::Equal(slots) => slots.len() * size_of::<Slot>(),
            Self::Part => 0,
        }
    }

    /// The key under which the object stands in the configured data source, where that is how it is found.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Key(key) | Self::Email { external_id: Some(key), .. } => Some(key),
            Self::Uuid(_, Some(other)) => other.key(),
            _ => None,
        }
    }
}

/// One record's intention. Everything the engine needs; the row it came from is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What to do with existing and absent objects.
    pub mode: Mode,
    /// How the object is found.
    pub target: Target,
    /// What the record refers to; a parent stands first.
    pub refs: SmallVec<[Reference; 1]>,
    /// What is to be written, in normal form.
    pub body: Body,
}

impl Plan {
    /// The keys under which this plan must keep its place: of the object itself and of what it belongs to.
    pub fn lanes(&self, object: &str) -> LaneKeys {
        let mut lanes = LaneKeys::new();
        self.target.lanes(object, &mut lanes);
        lanes.extend(self.parents().map(Reference::lane));
        if lanes.is_empty() {
            // Without a key of its own and of a parent, it may be any of them.
            lanes.push(LaneKey::hash(object, ""));
        }
        lanes
    }

    /// The names of the thing that the record is about: what another record about it can be told by. None where it has no
    /// name of its own.
    pub fn own_lanes(&self, object: &str) -> LaneKeys {
        let mut lanes = LaneKeys::new();
        self.target.lanes(object, &mut lanes);
        if self.target == Target::Part {
            lanes.extend(self.parents().next().map(|whole| LaneKey::hash(object, whole.by.text())));
        }
        lanes
    }

    /// What the object belongs to.
    pub fn parents(&self) -> impl Iterator<Item = &Reference> {
        self.refs.iter().filter(|reference| reference.role == Role::Parent)
    }

    /// The record's key in words, for rejects and receipts. Holds record values: not for logs.
    pub fn key(&self) -> String {
        fn own(target: &Target) -> Option<&str> {
            match target {
                Target::Uuid(uuid, _) => Some(uuid),
                Target::Key(key) | Target::Name(key) | Target::Email { external_id: Some(key), .. } => Some(key),
                Target::Email { email, .. } => Some(email),
                Target::Equal(_) | Target::Part | Target::Always(_) => None,
            }
        }
        let parent = self.parents().next().map(|parent| parent.by.text());
        match (own(&self.target), parent) {
            (Some(own), _) if matches!(self.target, Target::Uuid(..)) => own.to_owned(),
            (Some(own), Some(parent)) => format!("{own} of {parent}"),
            (Some(own), None) => own.to_owned(),
            (None, Some(parent)) => format!("of {parent}"),
            (None, None) => String::new(),
        }
    }

    /// Size in memory, in bytes, near enough to bound what waits.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.target.bytes()
            + self.refs.iter().map(|reference| reference.by.text().len()).sum::<usize>()
            + self.body.bytes()
    }
}
