//! A bucket of S3, or of something that speaks its protocol. The protocol is `object_store`'s; the connection is ours.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use http_body_util::{BodyExt as _, Full};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, RetryConfig};
use reqwest::{Url, redirect, retry};
use secrecy::ExposeSecret;

use super::files::File;
use super::local::PROBE;
use super::persist::{Put, Trouble};
use super::role::AssumedRole;
use super::settings::Bucket;
use crate::errors::Code;
use crate::failure::Failure;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(60);
/// Of an answer that refuses, no more than this is looked at.
const LONGEST_REFUSAL: usize = 64 * 1024;
/// Where no region is named, S3 means this one; others do not care.
pub(super) const DEFAULT_REGION: &str = "us-east-1";

/// A bucket that is ready to take files.
#[derive(Debug)]
pub(super) struct OpenBucket {
    store: AmazonS3,
    name: String,
    /// It said that it does not put on conditions.
    unconditional: AtomicBool,
}

impl OpenBucket {
    /// Gets ready; nothing is sent yet.
    pub(super) fn new(bucket: &Bucket) -> Result<Self, Failure> {
        let region = bucket.region.as_deref().unwrap_or(DEFAULT_REGION);
        let service = Service(client(bucket.endpoint.as_deref().unwrap_or("https:"))?);
        // Keys, tokens and the address of a machine's own credentials may be in the environment.
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&bucket.name)
            .with_region(region)
            .with_allow_http(true)
            .with_http_connector(service.clone())
            // What is tried again, and for how long, is decided here.
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
        if let Some(endpoint) = &bucket.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(access) = &bucket.access {
            builder = builder.with_access_key_id(access.id.expose_secret()).with_secret_access_key(access.secret.expose_secret());
        }
        if let Some(role) = AssumedRole::of(bucket, region, service) {
            builder = builder.with_credentials(Arc::new(role));
        } else if let Some(role) = &bucket.role_arn {
            // With a token of the machine's, where there is one.
            builder = builder.with_config(object_store::aws::AmazonS3ConfigKey::RoleArn, role);
        }
        let store = builder.build().map_err(|error| trouble(&error).failure("what is to be kept", &words(&bucket.name)))?;
        Ok(Self { store, name: bucket.name.clone(), unconditional: AtomicBool::new(false) })
    }

    pub(super) fn words(&self) -> String {
        words(&self.name)
    }

    /// Puts an object: a new one unless another has its name, else over the one that was put before.
    ///
    /// Where the answer to a new one was lost and it is there when it is sent again, it counts as another's and is put by
    /// another name too: twice is told by the rows' ids, not at all is lost.
    pub(super) async fn put(&self, file: &File) -> Result<Put, Trouble> {
        let (path, body) = (path(&file.path)?, PutPayload::from_bytes(file.body.clone()));
        if file.is_new {
            return self.create(&path, body).await;
        }
        self.store.put(&path, body).await.map(|_| Put::There).map_err(|error| trouble(&error))
    }

    async fn create(&self, path: &Path, body: PutPayload) -> Result<Put, Trouble> {
        if !self.unconditional.load(Ordering::Relaxed) {
            let Err(error) = self.store.put_opts(path, body.clone(), PutMode::Create.into()).await else { return Ok(Put::There) };
            match refusal(&error) {
                Some(Refused { status: 304 | 412, .. }) => return Ok(Put::Taken),
                // S3's own words for what a service can not do; `object_store` may be told so by the environment, too.
                Some(refused) if refused.status == 501 || refused.code.as_deref() == Some("NotImplemented") => {}
                None if matches!(error, object_store::Error::NotImplemented { .. }) => {}
                _ => return Err(trouble(&error)),
            }
            self.unconditional.store(true, Ordering::Relaxed);
        }
        // All that is left is to look first.
        match self.store.head(path).await {
            Ok(_) => return Ok(Put::Taken),
            // Who may put need not be one who may look.
            Err(error) if refusal(&error).is_some_and(|refused| matches!(refused.status, 403 | 404)) => {}
            Err(error) => return Err(trouble(&error)),
        }
        self.store.put(path, body).await.map(|_| Put::There).map_err(|error| trouble(&error))
    }

    /// Puts an object, lists it and removes it.
    pub(super) async fn probe(&self, prefix: &str) -> Result<(), Trouble> {
        let folder = prefix.trim_matches('/');
        let name = format!("{PROBE}_{}", uuid::Uuid::new_v4());
        let name = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        let path = path(&name)?;
        self.create(&path, PutPayload::from_static(b"probe")).await?;
        let listed = self.store.list(Some(&path)).try_next().await;
        self.store.delete(&path).await.map_err(|error| trouble(&error))?;
        listed.map(drop).map_err(|error| trouble(&error))
    }
}

pub(super) fn words(bucket: &str) -> String {
    format!("the bucket {bucket}")
}

fn path(path: &str) -> Result<Path, Trouble> {
    Path::parse(path).map_err(|error| Trouble::refused(error.to_string()))
}

/// A client for this address.
///
/// Where it is plain http no certificates are needed: an image without any must do.
pub(super) fn client(address: &str) -> Result<reqwest::Client, Failure> {
    // Somebody else in this process may have chosen a provider already: then theirs is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("destination-chartmogul/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .http1_only()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(EXCHANGE_TIMEOUT);
    if address.starts_with("http:") {
        builder = builder.tls_certs_only([]);
        let host = Url::parse(address).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
        if host == "localhost" || host.starts_with("127.") || host == "[::1]" {
            builder = builder.no_proxy();
        }
    }
    builder.build().map_err(|error| {
        Failure::config(
            Code::StoreRefused,
            "No connection can be made from this machine: its root certificates or its proxy settings can not be used.",
        )
        .with_internal(unsent(error))
    })
}

/// Why there is no answer, in words without the address, which may hold a key.
pub(super) fn unsent(error: reqwest::Error) -> String {
    let what = match (error.is_connect(), error.is_timeout()) {
        (true, _) => "no connection",
        (_, true) => "no answer in time",
        _ => "the connection broke",
    };
    let error = error.without_url();
    let cause = causes(&error).skip(1).last();
    cause.map_or_else(|| what.to_owned(), |cause| format!("{what}: {cause}"))
}

/// An error and what caused it.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'e (dyn Error + 'static)| (*error).source())
}

/// The connection that `object_store` uses.
#[derive(Debug, Clone)]
pub(super) struct Service(reqwest::Client);

impl HttpConnector for Service {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

/// An answer that is none of success.
#[derive(Debug, thiserror::Error)]
#[error("it answered with HTTP {status}{}", code.as_deref().map(|code| format!(" {code}")).unwrap_or_default())]
struct Refused {
    status: u16,
    /// S3's own word for it.
    code: Option<String>,
}

/// No answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unsent(String);

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let failed = |error: reqwest::Error| HttpError::new(HttpErrorKind::Unknown, Unsent(unsent(error)));
        let sent = self.0.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body).send().await;
        let answer = sent.map_err(failed)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.map_err(failed)?;
        if !status.is_success() {
            let text = String::from_utf8_lossy(&body[..body.len().min(LONGEST_REFUSAL)]);
            let refused = Refused { status: status.as_u16(), code: element(&text, "Code") };
            return Err(HttpError::new(HttpErrorKind::Unknown, refused));
        }
        let mut response = http::Response::builder().status(status);
        if let Some(all) = response.headers_mut() {
            *all = headers;
        }
        let body = HttpResponseBody::new(Full::new(body).map_err(|never| match never {}));
        response.body(body).map_err(|error| HttpError::new(HttpErrorKind::Decode, error))
    }
}

/// The text of the first element of this name.
pub(super) fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.to_owned())
}

/// Whose fault it is. Our own words are at the bottom of what `object_store` tells, which itself names addresses.
fn trouble(error: &object_store::Error) -> Trouble {
    if let Some(refused) = refusal(error) {
        return Trouble::status(refused.status, refused.to_string());
    }
    match causes(error).find_map(|cause| cause.downcast_ref::<Unsent>()) {
        Some(Unsent(text)) => Trouble::passing(text.clone()),
        None => Trouble::refused(error.to_string()),
    }
}

/// The answer that an error is of.
fn refusal(error: &object_store::Error) -> Option<&Refused> {
    causes(error).find_map(|cause| cause.downcast_ref())
}
