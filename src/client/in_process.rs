//! The sandbox as a transport: the whole API in process, without a socket.
//!
//! Under tokio's paused clock hours of syncing take seconds, and the same seed gives the same run.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::transport::{HttpRequest, HttpResponse, Transport, TransportError};
use crate::sandbox::{Answer, Request, Sandbox};

/// A sandbox, and the key to show it.
#[derive(Debug, Clone)]
pub struct InProcess {
    sandbox: Sandbox,
    authorization: String,
}

impl InProcess {
    /// Talks to this sandbox with this key.
    pub fn new(sandbox: Sandbox, key: &str) -> Self {
        Self { sandbox, authorization: format!("Basic {}", STANDARD.encode(format!("{key}:"))) }
    }
}

impl Transport for InProcess {
    fn exchange<'a>(&'a self, request: &'a HttpRequest) -> BoxFuture<'a, Result<HttpResponse, TransportError>> {
        async move {
            let query: Vec<String> =
                request.query.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
            let request = Request {
                method: request.method.as_str().to_owned(),
                path: format!("/v1{}", request.path),
                query: query.join("&"),
                authorization: Some(self.authorization.clone()),
                body: request.body.clone().unwrap_or_default(),
            };
            match self.sandbox.answer(request).await {
                Answer::Dropped => Err(TransportError::Reset("connection closed before an answer".to_owned())),
                Answer::Response { status, headers, body } => {
                    let header = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
                    let promised = header("content-length").and_then(|length| length.parse::<usize>().ok());
                    if promised.is_some_and(|promised| promised > body.len()) {
                        return Err(TransportError::Incomplete("the answer ended early".to_owned()));
                    }
                    let (content_type, retry_after, date) = (header("content-type"), header("retry-after"), header("date"));
                    Ok(HttpResponse { status, content_type, retry_after, date, body })
                }
            }
        }
        .boxed()
    }
}

fn encoded(value: &str) -> String {
    percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string()
}
