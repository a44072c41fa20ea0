//! destination-chartmogul: an Airbyte destination that writes warehouse rows into ChartMogul.

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
