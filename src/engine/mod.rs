//! The engine: delivers plans through the client and settles them in the ledger.
//!
//! Promises: every record that was read ends as exactly one outcome or holds its STATE back; records of one key keep their
//! order; a child follows its parent; what is in flight is bounded. Owns all concurrency of a sync. Does not own limits
//! (`client`), what a record means (`objects`) nor what is known of the account (`account`).

mod bulk;
#[cfg(test)]
mod bulk_tests;
#[cfg(test)]
mod cap_tests;
#[cfg(test)]
mod chaos_tests;
#[cfg(test)]
mod company_chaos_tests;
#[cfg(test)]
mod company_tests;
mod conductor;
#[cfg(test)]
mod deletion_tests;
mod deletions;
mod ending;
mod execute;
mod in_turn;
pub mod intake;
mod keeping;
mod kept;
pub mod lanes;
pub mod ledger;
#[cfg(test)]
mod merged_tests;
mod mirror;
#[cfg(test)]
mod mirror_doubt_tests;
#[cfg(test)]
mod mirror_tests;
mod missing;
#[cfg(test)]
mod order_tests;
#[cfg(test)]
mod outage_tests;
pub mod parking;
mod reading;
mod rejects;
pub mod report;
#[cfg(test)]
mod request_tests;
mod seen;
#[cfg(test)]
mod simulation;
mod spill;
#[cfg(test)]
mod spill_tests;
mod stop;
pub mod summary;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod throttled;
#[cfg(test)]
mod throttled_tests;
mod turns;

pub use conductor::{Ending, Engine};
pub use mirror::Attempt;
pub use parking::Bounds;
