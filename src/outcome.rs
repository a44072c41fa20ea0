//! What became of a record.
//!
//! Owns the vocabulary that engine, ledger, store and report share: every record that came in ends as exactly one
//! [`Outcome`]. Does not own what ends a sync (that is [`crate::failure`]).

use crate::errors::Code;

/// The one thing that became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A new object was made.
    Created,
    /// An existing object was changed.
    Updated,
    /// The far side already held all of it: nothing was sent.
    Unchanged,
    /// An existing object was deleted.
    Deleted,
    /// There was nothing to do, on purpose.
    Skipped(Skip),
    /// The record could not be written.
    Rejected(Rejection),
}

/// Why a record was left out on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Skip {
    /// Insert mode, and the object is there already.
    Exists,
    /// Update or delete, and there is nothing to update or delete.
    NoMatch,
    /// A record marked as deleted while the deletion policy is not `delete`, or a row that ChartMogul's own export marks so.
    DeletionIgnored,
    /// A row of ChartMogul's export that is of another data source than the configured one.
    OtherDataSource,
    /// A tag that ChartMogul sets by itself.
    AutomaticTag,
}

impl Skip {
    /// The word used in reports and receipts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exists => "exists",
            Self::NoMatch => "no_match",
            Self::DeletionIgnored => "deletion_ignored",
            Self::OtherDataSource => "other_data_source",
            Self::AutomaticTag => "automatic_tag",
        }
    }
}

/// Why a record was rejected: one or more faults, all of the record's at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// At least one; the first is the one that reports count by.
    pub faults: Vec<Fault>,
    /// HTTP status when the API refused the record, else `None`.
    pub http_status: Option<u16>,
}

/// One thing that is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Stable code, to be looked up in the error catalogue.
    pub code: Code,
    /// The field at fault by its ChartMogul name, dotted where nested; `None` when it is the record as a whole.
    pub field: Option<String>,
    /// What is wrong. Our own words name rules and types, never values; the API's own words may quote them, so that the log
    /// leaves those out.
    pub message: String,
}

impl Fault {
    /// A fault of one field.
    pub fn field(code: Code, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, field: Some(field.into()), message: message.into() }
    }

    /// A fault of the record as a whole.
    pub fn record(code: Code, message: impl Into<String>) -> Self {
        Self { code, field: None, message: message.into() }
    }
}

impl Rejection {
    /// Faults found before anything was sent.
    pub fn local(faults: Vec<Fault>) -> Self {
        debug_assert!(!faults.is_empty());
        Self { faults, http_status: None }
    }

    /// The code reports count by.
    pub fn code(&self) -> Code {
        self.faults.first().map_or(Code::Internal, |fault| fault.code)
    }
}

impl Outcome {
    /// A reject with one fault found before anything was sent.
    pub fn rejected(fault: Fault) -> Self {
        Self::Rejected(Rejection::local(vec![fault]))
    }

    /// Whether the record counts as rejected in Airbyte's `destinationStats`.
    pub const fn is_rejected(&self) -> bool {
        matches!(self, Self::Rejected(_))
    }

    /// The word used in reports and receipts.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Deleted => "deleted",
            Self::Skipped(_) => "skipped",
            Self::Rejected(_) => "rejected",
        }
    }
}
