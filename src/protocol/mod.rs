//! The wire: what an orchestrator writes to our stdin and what we write to stdout, one JSON object per line.
//!
//! Owns the Airbyte protocol as this destination speaks it:
//! - read: RECORD, STATE and stream statuses ([`inbound`]), the configured catalog ([`catalog`]);
//! - kept: a STATE goes back as the bytes that came, with our counts set in place ([`state`]);
//! - written: SPEC, CONNECTION_STATUS, DESTINATION_CATALOG, LOG, TRACE and the echoed STATEs ([`outbound`]), through the one
//!   writer of stdout ([`emit`]).
//!
//! Everything else that may stand on stdin (LOG, CONTROL, estimates, ...) is recognised and ignored. Does not own what a
//! record means, when a STATE may leave, nor what a failure is.

pub mod catalog;
pub mod emit;
pub mod inbound;
pub mod outbound;
pub mod state;

mod members;

pub use catalog::{ConfiguredCatalog, ConfiguredStream, DestinationSyncMode, StreamId, StreamRef, SyncMode};
pub use emit::{Emitter, LogLayer, Redactor};
pub use inbound::{Inbound, Malformed, Record, StreamStatus};
pub use outbound::{Level, Operation, Outbound};
pub use state::{StateKind, StateMessage};
