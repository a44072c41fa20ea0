//! destination-chartmogul: an Airbyte destination that writes warehouse rows into ChartMogul.

pub mod commands;
pub mod errors;
pub mod failure;
pub mod objects;
pub mod outcome;
pub mod sandbox;
