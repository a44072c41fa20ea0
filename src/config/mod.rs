//! The configuration: what the user typed, and what it means.
//!
//! Owns two views of it. [`schema`] is what is typed: the types from which the JSON Schema of `spec` is derived. [`settings`]
//! is what it means, and the only place where settings are refused; [`streams`] is its part for single streams, `storage` that for what is kept. Every refusal
//! lists all problems at once, each with its path and what to do, and never prints a value: a key may have been pasted anywhere.
//!
//! Does not own what a stream becomes (that is the binding), nor the look at the account (that is `check`).

pub mod schema;
pub mod settings;
pub mod streams;

mod form;
mod problem;
mod storage;

pub use form::schema as connection_schema;
pub use schema::{BulkImport, DefaultMode, Deletions};
pub use settings::{KEY_VARIABLE, Limits, Settings};
pub use streams::{Match, ObjectChoice, StreamSettings};
