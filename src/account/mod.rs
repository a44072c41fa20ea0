//! What we know of the account.
//!
//! Owns the looks at it and what they and our own writes have taught us in this run. Does not own what is done with it
//! (`engine`). Nothing here is guessed: what was not read and not written by us is unknown, not absent.

mod attribute_types;
mod claims;
mod few;
mod index;
mod listing;
mod lookup;
mod reading;
mod references;
mod rent_or_buy;
mod taught;

pub use claims::{Claim, Fixes};
pub use lookup::{Account, Found, Tally, Trouble};
