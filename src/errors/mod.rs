//! Every error code of the product, with its cause and its remedy.
//!
//! Owns the catalogue only; who raises which code is the raiser's business.

mod catalogue;

pub use catalogue::{CODES, Code};
