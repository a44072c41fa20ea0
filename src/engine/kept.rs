//! Whether the API took what it was given: the answer to a write, compared with what was sent. Pure.

use serde_json::Value;

use crate::objects::Object;
use crate::objects::resource::Kind;
use crate::plan::{Mode, Plan, same};

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
pub(super) fn differences(object: &dyn Object, plan: &Plan, only_if_empty: &[u8], entry: &Value) -> Vec<Difference> {
    let resource = object.resource();
    let mut found = Vec::new();
    for (slot, sent) in plan.body.fields() {
        let Some(field) = resource.all_fields().nth(usize::from(slot.field)) else { continue };
        if slot.inner.is_some() || field.apart || matches!(field.kind, Kind::Tags | Kind::List(_) | Kind::Json | Kind::Scalar) {
            continue;
        }
        // What an object is found by is not sent to one that exists, and a customer may stand under another key of its own;
        // what is never written over may hold anything.
        if field.name == "external_id" || only_if_empty.contains(&slot.field) {
            continue;
        }
        // An insert adds to a list: what was there before is answered too.
        if plan.mode == Mode::Insert && matches!(field.kind, Kind::Many(_)) {
            continue;
        }
        let (Some(answered), Ok(sent)) = (entry.get(field.name), serde_json::from_str::<Value>(sent)) else { continue };
        if !same(field, &sent, answered) {
            found.push(Difference { field: field.name, null: sent.is_null(), kept: field.kept });
        }
    }
    found
}
