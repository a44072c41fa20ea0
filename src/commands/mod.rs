//! The commands: they join the rooms below and hold no rules of their own.

pub mod spec;
