//! engine
pub mod ledger;
pub mod lanes;
pub mod parking;
