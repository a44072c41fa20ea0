//! Short forms for the sandbox's own tests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::routes::{self, Call};
use super::{Answer, DATA_SOURCE_UUID, Options, Request, Sandbox, WRITE_KEY};

/// A sandbox whose limits are out of the way.
pub(super) fn unlimited(options: Options) -> Sandbox {
    Sandbox::new(Options { requests_per_second: u32::MAX, connections: u32::MAX, ..options })
}

/// A request with the write key: `request("GET /v1/customers?per_page=1", None)`.
pub(super) fn request(line: &str, body: Option<Value>) -> Request {
    let (method, url) = line.split_once(' ').unwrap();
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    Request {
        method: method.into(),
        path: path.into(),
        query: query.into(),
        authorization: Some(basic(&format!("{WRITE_KEY}:"))),
        body: body.map(|body| Bytes::from(body.to_string())).unwrap_or_default(),
    }
}

pub(super) fn basic(user_and_password: &str) -> String {
    format!("Basic {}", STANDARD.encode(user_and_password))
}

/// Status and body; null where there is none.
pub(super) fn read(answer: &Answer) -> (u16, Value) {
    match answer {
        Answer::Response { status, body, .. } if body.is_empty() => (*status, Value::Null),
        Answer::Response { status, body, .. } => (*status, serde_json::from_slice(body).unwrap()),
        Answer::Dropped => panic!("the connection was closed without an answer"),
    }
}

pub(super) async fn send(sandbox: &Sandbox, line: &str, body: impl Into<Option<Value>>) -> (u16, Value) {
    read(&sandbox.answer(request(line, body.into())).await)
}

/// Looks at what stands there, without a request of anybody: no limits, no faults, no time, and lists that do not lag.
#[derive(Debug, Clone)]
pub(crate) struct Peek {
    sandbox: Sandbox,
    options: Options,
    authorization: String,
}

impl Peek {
    pub(crate) fn into(sandbox: &Sandbox) -> Peek {
        let mut options = sandbox.shared.options.clone();
        options.quirks.list_lag = std::time::Duration::ZERO;
        Peek { sandbox: sandbox.clone(), options, authorization: basic(&format!("{WRITE_KEY}:")) }
    }

    /// Status and body of an answer; null where there is no body.
    pub(crate) fn at(&self, path: &str, query: &[(&str, &str)]) -> (u16, Value) {
        let encoded = |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let request = Request {
            method: "GET".into(),
            path: format!("/v1{path}"),
            query: query.join("&"),
            authorization: Some(self.authorization.clone()),
            body: Bytes::new(),
        };
        let call = Call::read(&request.method, &request.path);
        let mut inner = self.sandbox.lock();
        self.sandbox.settle(&mut inner);
        let reply = routes::work(&mut inner.state, &self.options, &call, &request);
        (reply.status, reply.body.unwrap_or_default())
    }
}

/// Sends what has to succeed.
pub(super) async fn must(sandbox: &Sandbox, line: &str, body: impl Into<Option<Value>>) -> Value {
    let (status, answer) = send(sandbox, line, body).await;
    assert!((200..300).contains(&status), "{line}: {status} {answer}");
    answer
}

/// Creates a customer in the first data source and gives its UUID.
pub(super) async fn customer(sandbox: &Sandbox, external_id: &str, more: Value) -> String {
    let mut body = json!({"data_source_uuid": DATA_SOURCE_UUID, "external_id": external_id});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let customer = must(sandbox, "POST /v1/customers", body).await;
    customer["uuid"].as_str().unwrap().to_owned()
}

/// Creates a contact of a customer and gives its UUID.
pub(super) async fn contact(sandbox: &Sandbox, customer: &str, more: Value) -> String {
    let mut body = json!({"data_source_uuid": DATA_SOURCE_UUID, "customer_uuid": customer});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let contact = must(sandbox, "POST /v1/contacts", body).await;
    contact["uuid"].as_str().unwrap().to_owned()
}
