//! What is asked of the API, and what comes back.
//!
//! Owns the words that the client shares with its callers: a [`Call`] goes in, a [`Reply`] comes out. Does not own how a
//! reply is told from an answer (`verdict`), nor how often a call is sent (`trial`, `retry`).

use bytes::Bytes;
use serde::Deserialize;

use crate::errors::Code;
use crate::failure::Failure;
pub use crate::objects::request::{Method, Repeat};
use crate::objects::request::{Query, Request};

/// One request to the API. It may be sent several times before there is a [`Reply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The HTTP method.
    pub method: Method,
    /// The path below the base URL, such as `/customers`. Whatever is put into it must be percent-encoded already.
    pub path: String,
    /// The query, not yet encoded.
    pub query: Query,
    /// The body: JSON text.
    pub body: Option<String>,
    /// Whether a second send could do harm.
    pub repeat: Repeat,
    /// What it does to which object, such as `look up customer`. Requests are counted by it, and a call that keeps failing
    /// is judged by how the others of its kind fare.
    pub kind: &'static str,
    /// Whether the path is a value of a record, which the log does not show.
    pub hides_path: bool,
}

impl Call {
    /// The path as the log may show it.
    pub(super) fn shown_path(&self) -> &str {
        if self.hides_path { "***" } else { &self.path }
    }
}

impl From<Request> for Call {
    fn from(request: Request) -> Self {
        let Request { method, path, query, body, repeat, name, hides_path, .. } = request;
        Self { method, path, query, body, repeat, kind: name, hides_path }
    }
}

/// What the API said, once the client is done waiting and repeating.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// 2xx.
    Done(Answer),
    /// 404 in the API's own voice.
    Missing(Refusal),
    /// Refused, and at least one of the faults loosely says "already exists". The others are in the faults too.
    Exists(Refusal),
    /// Refused: this record can not be written as it is. With the code `RecordBreaksServer` the last of the failed attempts
    /// may have been done all the same.
    Refused(Refusal),
    /// It was sent, and it may have been done or not; only for [`Repeat::MayDuplicate`]. The time to wait has passed
    /// already: look for the thing, and if it is not there, send the same call again with the same `Trial`.
    Lost(String),
}

/// A good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Any 2xx.
    pub status: u16,
    /// JSON, or nothing.
    pub body: Bytes,
}

impl Answer {
    /// The body as a value; an empty body is `null`.
    ///
    /// # Errors
    /// `UNEXPECTED_ANSWER` when the body has another form. The text names the place only: a parser's own words quote values.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        let body = if self.body.trim_ascii().is_empty() { b"null".as_slice() } else { &self.body };
        serde_json::from_slice(body).map_err(|error| {
            Failure::system(Code::UnexpectedAnswer, "ChartMogul answered in a form that is not understood.").with_internal(
                format!(
                    "HTTP {}, {} bytes, expected {}, {:?} error at line {} column {}",
                    self.status,
                    self.body.len(),
                    std::any::type_name::<T>(),
                    error.classify(),
                    error.line(),
                    error.column()
                ),
            )
        })
    }
}

/// A refusal of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status; `None` when there was no answer, or when it was not even sent.
    pub status: Option<u16>,
    /// `ApiRefused`, `RecordBreaksServer` or `RecordTooLarge`.
    pub code: Code,
    /// What the API said is wrong; at least one.
    pub faults: Vec<ApiFault>,
}

/// One thing that the API said is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiFault {
    /// The field at fault, dotted where nested.
    pub param: Option<String>,
    /// The API's own code, such as `blank`.
    pub code: Option<String>,
    /// The API's own words; they may quote values of the record.
    pub message: String,
}

impl ApiFault {
    /// A fault with nothing but words.
    pub(super) fn words(message: impl Into<String>) -> Self {
        Self { param: None, code: None, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &'static str) -> Answer {
        Answer { status: 200, body: Bytes::from_static(body.as_bytes()) }
    }

    #[test]
    fn an_empty_body_reads_as_null() {
        assert_eq!(answer(" \n").json::<serde_json::Value>().unwrap(), serde_json::Value::Null);
        assert_eq!(answer("").json::<Option<u8>>().unwrap(), None);
    }

    #[test]
    fn a_body_of_another_form_is_a_failure_that_quotes_no_value() {
        let failure = answer(r#"{"email":"ann@lee.example"}"#).json::<std::collections::BTreeMap<String, u8>>().unwrap_err();
        assert_eq!(failure.code, Code::UnexpectedAnswer);
        assert!(!format!("{failure} {}", failure.internal).contains("ann@"), "{}", failure.internal);
    }
}
