//! What an object asks of the API, as pure data: requests, and looks at what is there.
//!
//! Owns the words that objects, account, engine and client share. Does not own how a request is sent (`client`) nor when
//! (`engine`).

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// The HTTP methods that the API knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Read.
    Get,
    /// Create, or act.
    Post,
    /// Change.
    Patch,
    /// Replace.
    Put,
    /// Remove.
    Delete,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Get, Self::Post, Self::Patch, Self::Put, Self::Delete];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// Whether a request may be sent again when it is not known what became of the first send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Repeat {
    /// Sending it twice leaves the account as sending it once.
    Harmless,
    /// A second send could make a second thing: whoever sent it has to look first.
    MayDuplicate,
}

/// What the answer to a write shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// The object as it is now.
    Object,
    /// `{"custom": {...}}`: all attributes of the customer.
    Attributes,
    /// `{"tags": [...]}`: all tags of the customer.
    Tags,
    /// An entry of this object that stands within the one that was changed.
    Part(&'static str),
    /// Nothing of the entry: what was sent stands in it now.
    Unseen,
    /// Nothing; the entry is gone, and was named by its key and not by what it stood in.
    PartGone,
    /// Nothing; the attributes whose keys the body lists are gone.
    Removal,
    /// Nothing that is known.
    Nothing,
}

/// What a 404 to a write means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMissing {
    /// The object that was to be changed is gone, or what it belongs to is.
    Gone,
    /// Nothing: what was to be removed is not there.
    Fine,
}

/// The pairs of a query, not yet encoded.
pub type Query = Vec<(Cow<'static, str>, String)>;

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// The path below the base URL, percent-encoded where a value stands in it.
    pub path: String,
    /// The query, not yet encoded.
    pub query: Query,
    /// The body: JSON text.
    pub body: Option<String>,
    /// Whether a second send could do harm.
    pub repeat: Repeat,
    /// What it is counted as, such as `update customer`.
    pub name: &'static str,
    /// What its answer shows.
    pub shows: Shows,
    /// What a 404 means.
    pub missing: IfMissing,
    /// The UUID of the thing that the object becomes part of: once that is done, its own is gone and its keys lead there.
    pub absorbed_by: Option<Box<str>>,
    /// Whether the path is a value of the record, which the log does not show.
    pub hides_path: bool,
}

impl Request {
    /// A request that answers the object, and that can be sent twice.
    pub fn new(method: Method, path: impl Into<String>, body: Option<String>, name: &'static str) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            body,
            repeat: Repeat::Harmless,
            name,
            shows: Shows::Object,
            missing: IfMissing::Gone,
            absorbed_by: None,
            hides_path: false,
        }
    }

    /// The same, of which a second send could make a second thing.
    pub fn once(mut self) -> Self {
        self.repeat = Repeat::MayDuplicate;
        self
    }

    /// The same, with this answer.
    pub fn shows(mut self, shows: Shows) -> Self {
        self.shows = shows;
        self
    }

    /// The same, addressed by data source and external id.
    pub fn at(mut self, data_source: &str, external_id: &str) -> Self {
        self.query.push(("data_source_uuid".into(), data_source.to_owned()));
        self.query.push(("external_id".into(), external_id.to_owned()));
        self
    }

    /// The same, by which the object becomes part of the thing of this UUID.
    pub fn absorbed_by(mut self, uuid: &str) -> Self {
        self.absorbed_by = Some(uuid.into());
        self
    }

    /// The same, for which a 404 means that there is nothing left to do.
    pub fn or_gone(mut self) -> Self {
        self.missing = IfMissing::Fine;
        self
    }
}

/// A set of entries of which all or none are known: those of one key, or those of one parent. A hash, since many of these
/// are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(u64);

impl Scope {
    /// The one entry of an object that has this key in the configured data source.
    pub fn key(object: &'static str, external_id: &str) -> Self {
        Self::hash((object, 'k', external_id))
    }

    /// The entries of an object that belong to the thing of this UUID.
    pub fn of(object: &'static str, parent: &str) -> Self {
        Self::hash((object, 'p', parent))
    }

    /// The one entry of an object that has this key among those of a thing, by any of the thing's names.
    pub fn within(object: &'static str, parent: &str, external_id: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (object, 'w', parent, external_id).hash(&mut hasher);
        Self(hasher.finish())
    }

    /// All entries of an object.
    pub fn all(object: &'static str) -> Self {
        Self::hash((object, 'a', ""))
    }

    /// One entry, by its own identity.
    pub fn entry(uuid: &str) -> Self {
        Self::hash(("", 'u', uuid))
    }

    /// The listing of an object itself.
    pub fn listing(object: &'static str) -> Self {
        Self::hash((object, 'l', ""))
    }

    /// How many entries this object has, of which nothing else is known.
    pub fn count(object: &'static str) -> Self {
        Self::hash((object, 'n', ""))
    }

    fn hash(of: (&str, char, &str)) -> Self {
        let mut hasher = DefaultHasher::new();
        of.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// A look at a list: which entries there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// What the answer tells all of; `None` where it is not worth keeping.
    pub scope: Option<Scope>,
    /// The path below the base URL.
    pub path: String,
    /// The query, not yet encoded.
    pub query: Query,
    /// Under which key the answer has its entries.
    pub root: &'static str,
    /// What it is counted as, such as `look up customers`.
    pub name: &'static str,
    /// Whether the list comes in pages.
    pub paged: bool,
    /// Whether "none" is answered with a 404 (recorded 2023 for the search by e-mail address) instead of an empty list.
    pub none_is_404: bool,
    /// Whether the object's listing tells of the scope as well.
    pub is_listed: bool,
    /// The thing that the entries belong to, where all of them were made through it: one made by this run has none yet.
    pub parent: Option<Box<str>>,
}

impl Look {
    /// A look at the pages of a list.
    pub fn new(path: impl Into<String>, root: &'static str, name: &'static str) -> Self {
        Self {
            scope: None,
            path: path.into(),
            query: Vec::new(),
            root,
            name,
            paged: true,
            none_is_404: false,
            is_listed: false,
            parent: None,
        }
    }

    /// The same, kept under this scope.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// The same, with one more filter.
    pub fn filter(mut self, name: &'static str, value: &str) -> Self {
        self.query.push((name.into(), value.to_owned()));
        self
    }

    /// The same, for a scope of which the object's listing tells all as well.
    pub fn listed(mut self) -> Self {
        self.is_listed = true;
        self
    }

    /// The same, for what belongs to the thing of this UUID.
    pub fn of(mut self, parent: &str) -> Self {
        self.parent = Some(parent.into());
        self
    }
}
