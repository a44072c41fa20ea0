//! What the benches share.

pub(crate) mod route;
pub(crate) mod rows;
