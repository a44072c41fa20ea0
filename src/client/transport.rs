//! One request out, one answer in.
//!
//! Owns the connection: addresses, authentication, headers, time limits, size limits, and what is said when the network
//! fails. Does not own what an answer means (`verdict`), nor repeating (nothing here ever sends a request twice).
//!
//! Texts of errors name neither the key nor the address with its query, which may hold e-mail addresses.

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Url, redirect, retry};
use secrecy::{ExposeSecret, SecretString};

use super::call::{Call, Method};
use crate::errors::Code;
use crate::failure::Failure;
use crate::objects::request::Query;

/// How this program introduces itself.
pub const USER_AGENT: &str = concat!("destination-chartmogul/", env!("CARGO_PKG_VERSION"));

/// Name look-up, TCP and TLS together. A network that needs longer will not carry 40 requests a second either.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// One exchange, from the connection to the last byte. The official Go client gives 30 s; a bulk import of 5 MB over a
/// slow line, and front ends that give their servers 60 s, ask for more. What takes longer is taken for lost.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(60);

/// A kept connection that rests longer is not used again. Common front ends close after 60 s or more of rest; a request
/// that meets the closing is a lost answer, and costs a look-up.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// More than this is not read. The largest known answer, a listing of 200 entries, is below 1 MB.
pub(super) const ANSWER_LIMIT: usize = 64 * 1024 * 1024;

/// A request as it goes over the wire, without address and key: those are the transport's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The HTTP method.
    pub method: Method,
    /// The path below the base URL.
    pub path: String,
    /// The query, not yet encoded.
    pub query: Query,
    /// JSON.
    pub body: Option<Bytes>,
}

impl From<&Call> for HttpRequest {
    fn from(call: &Call) -> Self {
        Self { method: call.method, path: call.path.clone(), query: call.query.clone(), body: call.body.clone().map(Bytes::from) }
    }
}

/// An answer: its status, the headers that matter, and all of its body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpResponse {
    /// The HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Retry-After`, as it came.
    pub retry_after: Option<String>,
    /// `Date`, as it came: the clock that a date in `Retry-After` is read by.
    pub date: Option<String>,
    /// All of the body.
    pub body: Bytes,
}

/// No answer, or not all of it. The texts are for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No connection came about (name, TCP, proxy, TLS): nothing was sent.
    #[error("no connection: {0}")]
    Connect(String),
    /// No full answer in time.
    #[error("no answer in time: {0}")]
    Timeout(String),
    /// The connection broke before an answer began.
    #[error("connection broke: {0}")]
    Reset(String),
    /// The connection broke within the answer.
    #[error("answer broke off: {0}")]
    Incomplete(String),
    /// The answer is longer than so many bytes.
    #[error("answer longer than {0} bytes")]
    TooLarge(usize),
    /// The request can not be put on the wire.
    #[error("not a valid request: {0}")]
    Unsendable(String),
}

/// What carries requests: HTTP, or a sandbox in the same process.
pub trait Transport: Send + Sync {
    /// Sends the request once and returns the answer.
    fn exchange<'a>(&'a self, request: &'a HttpRequest) -> BoxFuture<'a, Result<HttpResponse, TransportError>>;
}

/// HTTP/1.1 with kept connections. (Official clients report trouble with HTTP/2 at this API's front end.)
#[derive(Debug)]
pub struct HttpTransport {
    http: reqwest::Client,
    base: Url,
    answer_limit: usize,
}

impl HttpTransport {
    /// Gets ready to talk to `base_url` (such as `https://api.chartmogul.com/v1`); nothing is sent yet.
    ///
    /// Roots of trust are those of the system, `SSL_CERT_FILE` and `SSL_CERT_DIR` included. `HTTPS_PROXY`, `HTTP_PROXY`,
    /// `ALL_PROXY` and `NO_PROXY` are honoured, except for an address of this machine.
    ///
    /// # Errors
    /// `BASE_URL_WRONG` when the address is none, `HOST_UNREACHABLE` when the machine has no root certificates.
    pub fn new(base_url: &str, api_key: &SecretString, user_agent: &str, connections: u32) -> Result<Self, Failure> {
        Self::with_limits(base_url, api_key, user_agent, connections, EXCHANGE_TIMEOUT, ANSWER_LIMIT)
    }

    fn with_limits(
        base_url: &str,
        api_key: &SecretString,
        user_agent: &str,
        connections: u32,
        timeout: Duration,
        answer_limit: usize,
    ) -> Result<Self, Failure> {
        let base = Url::parse(base_url.trim_end_matches('/'))
            .ok()
            .filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host() && url.query().is_none())
            .ok_or_else(|| Failure::config(Code::BaseUrlWrong, "`base_url` is not an http or https address."))?;
        // Somebody else in this process may have chosen a provider already: then theirs is used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(AUTHORIZATION, authorization(api_key)?);
        let mut builder = reqwest::Client::builder()
            .default_headers(headers)
            .user_agent(user_agent)
            .redirect(redirect::Policy::none())
            // reqwest of its own repeats only what HTTP/2 servers refuse; what is repeated here is the client's business.
            .retry(retry::never())
            .http1_only()
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(connections.max(1) as usize);
        if is_loopback(&base) {
            builder = builder.no_proxy();
        }
        if base.scheme() == "http" {
            // No TLS, no roots: a sandbox must be reachable from an image without certificates. Redirects, which could lead
            // to TLS, are not followed.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|error| {
            Failure::config(
                Code::HostUnreachable,
                "No connection can be made from this machine: its root certificates or its proxy settings can not be used. \
                 Install ca-certificates or set SSL_CERT_FILE, and check HTTPS_PROXY.",
            )
            .with_internal(chain(&error.without_url()))
        })?;
        Ok(Self { http, base, answer_limit })
    }

    fn url(&self, request: &HttpRequest) -> Result<Url, TransportError> {
        let mut url = self.base.clone();
        let path = format!("{}{}", self.base.path().trim_end_matches('/'), request.path);
        url.set_path(&path);
        // Dots, question marks and the like in an id would address something else.
        if url.path() != path {
            return Err(TransportError::Unsendable("the path is not percent-encoded".to_owned()));
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        Ok(url)
    }

    async fn run(&self, request: &HttpRequest) -> Result<HttpResponse, TransportError> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Patch => reqwest::Method::PATCH,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut builder = self.http.request(method, self.url(request)?);
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        let mut response = builder.send().await.map_err(|error| failed(error, TransportError::Reset))?;
        let length = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        if length > self.answer_limit {
            return Err(TransportError::TooLarge(self.answer_limit));
        }
        let mut body = BytesMut::with_capacity(length);
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(error, TransportError::Incomplete))? {
            if body.len() + chunk.len() > self.answer_limit {
                return Err(TransportError::TooLarge(self.answer_limit));
            }
            body.extend_from_slice(&chunk);
        }
        let header = |name: HeaderName| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        Ok(HttpResponse {
            status: response.status().as_u16(),
            content_type: header(CONTENT_TYPE),
            retry_after: header(RETRY_AFTER),
            date: header(DATE),
            body: body.freeze(),
        })
    }
}

impl Transport for HttpTransport {
    fn exchange<'a>(&'a self, request: &'a HttpRequest) -> BoxFuture<'a, Result<HttpResponse, TransportError>> {
        Box::pin(self.run(request))
    }
}

/// The key is the user name, the password stays empty (documented).
fn authorization(api_key: &SecretString) -> Result<HeaderValue, Failure> {
    use base64::Engine as _;
    let token = base64::engine::general_purpose::STANDARD.encode(format!("{}:", api_key.expose_secret()));
    let mut value = HeaderValue::from_str(&format!("Basic {token}"))
        .map_err(|_| Failure::system(Code::Internal, "The API key can not be made into a header."))?;
    value.set_sensitive(true);
    Ok(value)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}

fn failed(error: reqwest::Error, otherwise: fn(String) -> TransportError) -> TransportError {
    let error = error.without_url();
    let text = chain(&error);
    // A connection that took too long is both: what counts is that nothing was sent.
    if error.is_connect() {
        let certificate = text.contains("certificate").then_some("the server's certificate is not trusted: ");
        TransportError::Connect(format!("{}{text}", certificate.unwrap_or_default()))
    } else if error.is_timeout() {
        TransportError::Timeout(text)
    } else if error.is_builder() {
        TransportError::Unsendable(text)
    } else {
        otherwise(text)
    }
}

/// An error with its causes, which reqwest leaves out.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests;
