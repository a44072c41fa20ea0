//! Error bodies that only the billing side has. The letters are this project's names for the shapes that were seen.

use serde_json::{Map, Value, json};

use super::values::Errors;
use crate::sandbox::answers::Reply;

fn reply(status: u16, body: Value) -> Box<Reply> {
    Box::new(Reply { status, body: Some(body), retry_after: None })
}

/// Shape H with any number of fields: what was sent, with the errors beside it. Documented by the official Go client for
/// duplicates; for other faults it is taken from there.
pub(super) fn echoed(sent: &Map<String, Value>, errors: Errors) -> Box<Reply> {
    let mut body = sent.clone();
    body.insert("errors".into(), Value::Object(errors));
    reply(422, Value::Object(body))
}

/// Shape F. Recorded for plan groups: a list of sentences by field, and the same once more for machines.
pub(super) fn sentences(faults: &[(&str, &str, &str)]) -> Box<Reply> {
    let mut body = Map::new();
    let mut details = Vec::new();
    for (param, code, message) in faults {
        body.insert((*param).to_owned(), json!([message]));
        details.push(json!({"param": param, "code": code, "message": message}));
    }
    body.insert("error_details".into(), Value::Array(details));
    reply(422, Value::Object(body))
}

/// Shape G. Reported by users of an official client for an import under something that is no customer; its status was not
/// told, 404 is what the words say.
pub(super) fn no_such_invoice() -> Box<Reply> {
    let message = "Invoice not found";
    let details = json!([{"param": "invoice", "code": "invalid", "message": message}]);
    reply(404, json!({"error": message, "error_details": details}))
}

/// Shape I: every invoice as it was sent, each with its errors. Documented by the official Go client.
pub(super) fn invoices(echoes: impl Iterator<Item = Value>) -> Box<Reply> {
    reply(422, json!({"invoices": echoes.collect::<Vec<_>>()}))
}

/// Shape J. Documented by the tests of the official Node client, for the status and the disabled state of invoices.
pub(super) fn message(status: u16, message: &str) -> Box<Reply> {
    reply(status, json!({"message": message}))
}
