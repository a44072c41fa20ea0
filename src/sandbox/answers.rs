//! What a route gives back, and the error bodies of the API.
//!
//! The API has no single error format. The letters are this project's names for the shapes that were seen.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Answer;

/// An answer before it is written out.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Option<Value>,
    pub(super) retry_after: Option<u32>,
}

/// A route's end: either way it is a reply; `Err` so that rules can leave with `?`.
pub(super) type Outcome = Result<Reply, Box<Reply>>;

impl Reply {
    pub(super) fn into_answer(self) -> Answer {
        // Recorded: an answer without a body, which is a 204, has no content type either.
        let Some(body) = self.body else {
            return Answer::Response { status: self.status, headers: Vec::new(), body: Bytes::new() };
        };
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        if let Some(seconds) = self.retry_after {
            headers.push(("retry-after".to_owned(), seconds.to_string()));
        }
        Answer::Response { status: self.status, headers, body: Bytes::from(body.to_string()) }
    }
}

/// Success with a body.
pub(super) fn ok(status: u16, body: Value) -> Outcome {
    Ok(Reply { status, body: Some(body), retry_after: None })
}

/// Success without a body.
pub(super) fn done(status: u16) -> Outcome {
    Ok(Reply { status, body: None, retry_after: None })
}

/// Shapes A, B and C: a code, a message and the parameter it is about. Recorded: 401 of ping, 400 of data sources, 404 of
/// the customer search.
pub(super) fn coded(status: u16, message: &str, param: Option<&str>) -> Reply {
    Reply { status, body: Some(json!({"code": status, "message": message, "param": param})), retry_after: None }
}

/// Shape B. Recorded for the name of a data source; for other parameters by analogy.
pub(super) fn missing(param: &str) -> Box<Reply> {
    Box::new(coded(400, &format!("Parameter \"{param}\" is missing"), Some(param)))
}

/// Shape B for a parameter that is there but unusable; by analogy.
pub(super) fn invalid(param: &str) -> Box<Reply> {
    Box::new(coded(400, &format!("Parameter \"{param}\" is invalid"), Some(param)))
}

/// Shape E. Recorded for data sources; reported by users for customers.
pub(super) fn not_found(what: &str) -> Box<Reply> {
    Box::new(Reply { status: 404, body: Some(json!({"error": format!("{what} not found")})), retry_after: None })
}

/// Shape D: messages by field.
pub(super) fn refused(errors: Map<String, Value>) -> Box<Reply> {
    let body = Map::from_iter([("errors".to_owned(), Value::Object(errors))]);
    Box::new(Reply { status: 422, body: Some(Value::Object(body)), retry_after: None })
}

/// Shape D with one field.
pub(super) fn refused_field(field: &str, message: &str) -> Box<Reply> {
    refused(Map::from_iter([(field.to_owned(), Value::from(message))]))
}

/// Shape H: what was sent, with the errors beside it. Documented by the official Go client, which has an `Errors` field in
/// every object. Whether a UUID stands in it is unknown; the strict side is that none does.
pub(super) fn echoed(sent: &Map<String, Value>, field: &str, message: &str) -> Box<Reply> {
    let mut body = sent.clone();
    body.insert("errors".into(), json!({field: message}));
    Box::new(Reply { status: 422, body: Some(Value::Object(body)), retry_after: None })
}
