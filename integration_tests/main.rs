//! The real binary, through real pipes, against the sandbox on a real socket.
//!
//! One module for each side of its behaviour; names of tests read like requirements. [`harness`] starts everything and holds
//! every single run to the laws that always hold: see `harness/laws.rs`.
//!
//! No test waits for the clock: it waits for something that can be seen, such as a STATE on stdout or a request that
//! arrived at the sandbox. A watchdog ends what never comes.

#![expect(clippy::unwrap_used, reason = "a test that can not go on has failed")]

mod harness;

mod activation;
mod ambiguity;
mod api_requests;
mod attribute_types;
mod bulk_import;
mod check;
mod clear;
mod commands;
mod contacts;
mod custom_attributes;
mod customer_merges;
mod customer_notes;
mod customers;
mod data_sources;
mod deletions;
mod demo;
mod endings;
mod entries;
mod explain;
mod export;
mod fault_matrix;
mod faults;
mod invoices;
mod json_imports;
mod keyless;
mod kill;
mod limits;
mod mapping;
#[cfg(target_os = "linux")]
mod memory;
mod mirror;
mod odd_input;
mod opportunities;
mod plan_groups;
mod plans;
mod presets;
mod promises;
mod reject_limit;
mod replay;
mod requests;
mod restart;
mod scenarios;
mod secrecy;
mod states;
mod store;
mod subscription_cancellations;
mod subscription_connections;
mod summary;
mod tags;
mod tasks;
