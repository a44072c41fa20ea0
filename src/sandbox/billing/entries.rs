//! What billing objects are, and what they are found by.

use std::collections::BTreeSet;

use super::tables::Entry;
use super::values::{Errors, text};
use crate::sandbox::store::{Fields, SourceKey};

/// A plan.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) uuid: String,
    pub(super) created: i64,
    pub(super) source: String,
    pub(super) external_id: String,
    /// Whether the external id was made from the UUID.
    pub(super) generated: bool,
    pub(super) fields: Fields,
    /// What is wrong with it, where it was taken all the same.
    pub(super) errors: Errors,
}

/// A group of plans, of any data sources.
#[derive(Debug)]
pub(super) struct PlanGroup {
    pub(super) uuid: String,
    pub(super) created: i64,
    pub(super) name: String,
    pub(super) plans: BTreeSet<u64>,
}

/// An invoice.
#[derive(Debug)]
pub(super) struct Invoice {
    pub(super) uuid: String,
    pub(super) created: i64,
    pub(super) owner: SourceKey,
    /// With its external id.
    pub(super) fields: Fields,
    /// The status that was set by hand.
    pub(super) mark: Option<&'static str>,
    pub(super) line_items: Vec<u64>,
    pub(super) transactions: Vec<u64>,
    /// What is wrong with the invoice itself, where it was taken all the same.
    pub(super) errors: Errors,
    /// Whether another stands under its key.
    pub(super) shadow: bool,
}

/// The place of an invoice, or a subscription, that is none: of what was taken though it has errors.
pub(super) const NOWHERE: u64 = 0;

/// A line item.
#[derive(Debug)]
pub(super) struct LineItem {
    pub(super) uuid: String,
    pub(super) created: i64,
    pub(super) source: String,
    pub(super) invoice: u64,
    pub(super) fields: Fields,
    pub(super) plan: Option<u64>,
    pub(super) subscription: Option<u64>,
    /// What is wrong with it, where it was taken all the same.
    pub(super) errors: Errors,
}

/// A transaction.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) uuid: String,
    pub(super) created: i64,
    pub(super) source: String,
    pub(super) invoice: u64,
    pub(super) fields: Fields,
    /// What is wrong with it, where it was taken all the same.
    pub(super) errors: Errors,
}

/// A subscription, as line items and events make it.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) uuid: String,
    pub(super) created: i64,
    pub(super) owner: SourceKey,
    pub(super) external_id: String,
    /// Its number and UUID in the analytics view. Recorded: the UUID has no prefix and is not the one of the import view.
    pub(super) id: u64,
    pub(super) view: String,
    pub(super) cancellations: BTreeSet<String>,
    pub(super) line_items: BTreeSet<u64>,
    pub(super) events: BTreeSet<u64>,
    /// The connection it is part of.
    pub(super) connection: Option<u64>,
}

/// A subscription event.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) updated: i64,
    pub(super) owner: SourceKey,
    pub(super) fields: Fields,
    pub(super) plan: Option<u64>,
    pub(super) subscription: u64,
    /// What is wrong with it, where it was taken all the same.
    pub(super) errors: Errors,
}

/// A line item that was read and may be written.
#[derive(Debug)]
pub(super) struct LineDraft {
    pub(super) fields: Fields,
    pub(super) plan: Option<u64>,
}

/// An invoice that was read and may be written.
#[derive(Debug)]
pub(super) struct InvoiceDraft {
    pub(super) owner: SourceKey,
    pub(super) fields: Fields,
    pub(super) line_items: Vec<LineDraft>,
    pub(super) transactions: Vec<Fields>,
}

/// An event that was read and may be written.
#[derive(Debug)]
pub(super) struct EventDraft {
    pub(super) owner: SourceKey,
    pub(super) fields: Fields,
    pub(super) plan: Option<u64>,
}

impl Event {
    pub(super) fn number(&self) -> u64 {
        self.id.parse().unwrap_or_default()
    }
}

impl Entry for Plan {
    fn uuid(&self) -> &str {
        &self.uuid
    }
    fn source(&self) -> &str {
        &self.source
    }
    fn external_id(&self) -> Option<&str> {
        Some(&self.external_id)
    }
    fn created(&self) -> i64 {
        self.created
    }
}

impl Entry for PlanGroup {
    fn uuid(&self) -> &str {
        &self.uuid
    }
    fn source(&self) -> &'static str {
        ""
    }
    fn external_id(&self) -> Option<&str> {
        None
    }
    fn created(&self) -> i64 {
        self.created
    }
}

impl Entry for Invoice {
    fn uuid(&self) -> &str {
        &self.uuid
    }
    fn source(&self) -> &str {
        &self.owner.source
    }
    fn external_id(&self) -> Option<&str> {
        text(&self.fields, "external_id").filter(|_| !self.shadow)
    }
    fn owner(&self) -> Option<&SourceKey> {
        Some(&self.owner)
    }
    fn created(&self) -> i64 {
        self.created
    }
}

impl Entry for LineItem {
    fn uuid(&self) -> &str {
        &self.uuid
    }
    fn source(&self) -> &str {
        &self.source
    }
    fn external_id(&self) -> Option<&str> {
        text(&self.fields, "external_id")
    }
    fn created(&self) -> i64 {
        self.created
    }
}

impl Entry for Transaction {
    fn uuid(&self) -> &str {
        &self.uuid
    }
    fn source(&self) -> &str {
        &self.source
    }
    fn external_id(&self) -> Option<&str> {
        text(&self.fields, "external_id")
    }
    fn created(&self) -> i64 {
        self.created
    }
}

impl Entry for Subscription {
    fn uuid(&self) -> &str {
        &self.uuid
    }
    fn source(&self) -> &str {
        &self.owner.source
    }
    fn external_id(&self) -> Option<&str> {
        Some(&self.external_id)
    }
    fn owner(&self) -> Option<&SourceKey> {
        Some(&self.owner)
    }
    fn created(&self) -> i64 {
        self.created
    }
}

impl Entry for Event {
    fn uuid(&self) -> &str {
        &self.id
    }
    fn source(&self) -> &str {
        &self.owner.source
    }
    fn external_id(&self) -> Option<&str> {
        text(&self.fields, "external_id")
    }
    fn owner(&self) -> Option<&SourceKey> {
        Some(&self.owner)
    }
    fn created(&self) -> i64 {
        self.created
    }
}
