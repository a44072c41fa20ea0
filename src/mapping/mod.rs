//! From a source's row to ChartMogul's names: renames, constants, exclusions, attribute types. Pure.
//!
//! Owns which column becomes which field and what a custom attribute's type is. Does not own what a field's value may be
//! (that is [`crate::plan`]) nor what an object does with its fields (that is [`crate::objects`]).

pub mod attributes;
pub mod fields;
pub mod values;

pub use fields::{Mapped, MappedAttribute, Mapper, MapperInput, Rename, Slot, UnknownFields};
