//! Whether the API took what it was given: the answer to a write, compared with what was sent. Pure.

use serde_json::{Map, Value};

use crate::mapping::values::timestamp;
use crate::objects::Object;
use crate::objects::resource::{AttributeType, Field, Kind};
use crate::plan::{Attribute, Plan};

/// One field that the answer shows otherwise than it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) field: &'static str,
    /// It was sent as null.
    pub(super) null: bool,
    /// The API is known to keep it.
    pub(super) kept: bool,
}

/// The fields of the record that an answer shows otherwise. Fields that the answer does not have prove nothing.
pub(super) fn differences(object: &dyn Object, plan: &Plan, entry: &Value) -> Vec<Difference> {
    let resource = object.resource();
    let mut found = Vec::new();
    for (slot, sent) in plan.body.fields() {
        let Some(field) = resource.all_fields().nth(usize::from(slot.field)) else { continue };
        if slot.inner.is_some() || matches!(field.kind, Kind::Tags) {
            continue;
        }
        let (Some(answered), Ok(sent)) = (entry.get(field.name), serde_json::from_str::<Value>(sent)) else { continue };
        if !same(field, &sent, answered) {
            found.push(Difference { field: field.name, null: sent.is_null(), kept: field.kept });
        }
    }
    found
}

/// Whether two values of a field are the same to the API: unset texts come back as `""` or null (recorded), timestamps in
/// UTC with milliseconds, states with or without their country.
fn same(field: &Field, sent: &Value, answered: &Value) -> bool {
    let empty = |value: &Value| value.is_null() || value == "";
    if empty(sent) || empty(answered) {
        return empty(sent) && empty(answered);
    }
    match (&field.kind, sent.as_str(), answered.as_str()) {
        (Kind::Email | Kind::Country, Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
        (Kind::State, Some(a), Some(b)) => {
            a.strip_prefix("US-").unwrap_or(a).eq_ignore_ascii_case(b.strip_prefix("US-").unwrap_or(b))
        }
        (Kind::Timestamp, Some(a), Some(b)) => timestamp(a) == timestamp(b),
        (_, Some(a), Some(b)) => a.trim() == b.trim(),
        _ => sent == answered,
    }
}

/// The attributes that an answer does not hold as they were sent.
pub(super) fn attributes_not_taken<'p>(plan: &'p Plan, answered: &Map<String, Value>) -> Vec<Attribute<'p>> {
    plan.body
        .attributes()
        .filter(|attribute| attribute.kind.is_some() && !holds(answered.get(attribute.key), attribute))
        .collect()
}

fn holds(answered: Option<&Value>, attribute: &Attribute<'_>) -> bool {
    let (Some(answered), Ok(sent)) = (answered, serde_json::from_str::<Value>(attribute.value)) else { return false };
    match attribute.kind {
        Some(AttributeType::Timestamp) => match (sent.as_str(), answered.as_str()) {
            (Some(a), Some(b)) => timestamp(a) == timestamp(b),
            _ => false,
        },
        Some(AttributeType::Integer | AttributeType::Decimal) => number(&sent).zip(number(answered)).is_some_and(|(a, b)| a == b),
        _ => &sent == answered,
    }
}

/// Numbers come back as strings in places (recorded 2022).
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}
