//! The billing side of the account: plans, plan groups, invoices with their line items and transactions, subscriptions and
//! subscription events.
//!
//! Owns the routes of these objects and every rule about them, with field tables of its own: they are written from
//! ChartMogul's documentation and from recorded answers, and read nothing of what the connector believes about them.
//! Metrics are no part of it: where an answer shows one, it is a plain sum in the currency of the invoice.

mod currencies;
mod drafts;
mod entries;
mod events;
pub(super) mod imported;
mod invoices;
mod line_items;
mod lists;
mod plan_groups;
mod plans;
mod refusals;
mod routes;
mod shown;
mod snapshot;
mod store;
mod subscriptions;
mod tables;
mod transactions;
mod values;

#[cfg(test)]
mod api_tests;
#[cfg(test)]
mod event_tests;
#[cfg(test)]
mod recorded_tests;
#[cfg(test)]
mod testing;

#[cfg(test)]
pub(super) use recorded_tests::prepare;
pub(super) use routes::{Route, find, work};
pub(super) use snapshot::{contents, dump};
pub(super) use store::Billing;
