//! From a source's row to ChartMogul's names: renames, constants, exclusions, attribute types, presets. Pure.
//!
//! Owns which column becomes which field and what a custom attribute's type is. Does not own what a field's value may be
//! (that is [`crate::plan`]) nor what an object does with its fields (that is [`crate::objects`]).

pub mod attributes;
mod compile;
pub mod fields;
mod marker;
pub mod names;
mod places;
pub mod presets;
mod steps;
mod target;
pub mod values;

pub use compile::{Extras, MapperInput, Values};
pub use fields::{Mapped, MappedAttribute, Mapper, Rename, Slot, UnknownFields};
pub use marker::DELETED_AT;
pub use places::Places;
pub use presets::Preset;
