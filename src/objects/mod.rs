//! The objects of ChartMogul that can be written.

pub mod contacts;
pub mod customers;
pub mod resource;

use resource::Resource;

/// The registry's facts: every object, in the order people see them.
pub const RESOURCES: &[&Resource] = &[&customers::RESOURCE, &contacts::RESOURCE];
