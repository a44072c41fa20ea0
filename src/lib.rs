//! destination-chartmogul: an Airbyte destination that writes warehouse rows into ChartMogul.
//!
//! The map of this house. Commands read the protocol; mapping turns a record into what it means; an object makes a plan of
//! it; what we know of the account turns the plan into requests; the engine delivers them through the client and settles
//! the record in the ledger; the store keeps what must be kept; a sandbox stands in for the API.
//!
//! A record travels one way: a line ([`protocol`]) → a mapped row ([`mapping`]) → a [`plan::Plan`] ([`objects`]) → requests
//! ([`engine`], [`account`]) → replies ([`client`]) → an [`outcome::Outcome`]. Arrows between rooms run one way too; a test
//! reads the `crate::` paths and fails on one that does not. ARCHITECTURE.md walks through a record, a STATE and a 429.
//!
//! The library exists for the binary, its tests and its benches; it promises no stable interface.

/// Plans are made on one thread and dropped on another, which is where the system's allocator waits for its locks. In the
/// same run over 1,000,000 rows this one took 1.1 s where the system's took 1.7 s (`cargo bench --bench throughput -- route FILE`).
/// Without huge pages, which would double what is resident.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub mod account;
pub mod binding;
pub mod client;
pub mod commands;
pub mod config;
pub mod engine;
pub mod errors;
pub mod failure;
pub mod mapping;
pub mod objects;
pub mod outcome;
pub mod plan;
pub mod protocol;
pub mod sandbox;
pub mod store;

#[cfg(test)]
mod arrows;
