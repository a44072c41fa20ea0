//! Keys of a role: asked of AWS's token service (AssumeRole) with keys that may take it on, and asked again before they end.
//!
//! Airbyte hands the keys and the external id over in the environment, as `AWS_ASSUME_ROLE_*`; keys of the configuration go
//! before them.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::{Method, Request};
use object_store::CredentialProvider;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpRequestBody, HttpService as _};
use secrecy::ExposeSecret;
use tokio::sync::Mutex;

use super::s3::{Service, element};
use super::settings::Bucket;

/// For how long keys are asked for: the least that AWS gives.
const LASTS: Duration = Duration::from_secs(15 * 60);
/// They are used for so long.
const USED: Duration = Duration::from_secs(10 * 60);

/// See the module's header.
pub(super) struct AssumedRole {
    own: AwsCredential,
    role: String,
    external_id: Option<String>,
    region: String,
    endpoint: String,
    service: Service,
    held: Mutex<Option<(Instant, Arc<AwsCredential>)>>,
}

impl fmt::Debug for AssumedRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssumedRole").field("role", &self.role).finish_non_exhaustive()
    }
}

impl AssumedRole {
    /// The role that a bucket asks for, where there are keys to take it on with.
    pub(super) fn of(bucket: &Bucket, region: &str, service: Service) -> Option<Self> {
        let role = bucket.role_arn.clone()?;
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let own = match &bucket.access {
            Some(access) => (access.id.expose_secret().to_owned(), access.secret.expose_secret().to_owned()),
            None => (env("AWS_ASSUME_ROLE_ACCESS_KEY_ID")?, env("AWS_ASSUME_ROLE_SECRET_ACCESS_KEY")?),
        };
        Some(Self {
            own: AwsCredential { key_id: own.0, secret_key: own.1, token: None },
            role,
            external_id: env("AWS_ASSUME_ROLE_EXTERNAL_ID"),
            region: region.to_owned(),
            endpoint: env("AWS_ENDPOINT_URL_STS").unwrap_or_else(|| format!("https://sts.{region}.amazonaws.com")),
            service,
            held: Mutex::new(None),
        })
    }

    async fn ask(&self) -> object_store::Result<AwsCredential> {
        let seconds = LASTS.as_secs().to_string();
        let mut form = vec![
            ("Action", "AssumeRole"),
            ("Version", "2011-06-15"),
            ("RoleArn", &self.role),
            ("RoleSessionName", "destination-chartmogul"),
            ("DurationSeconds", &seconds),
        ];
        form.extend(self.external_id.as_deref().map(|id| ("ExternalId", id)));
        let encoded = reqwest::Url::parse_with_params("http://form", &form).ok();
        let body = encoded.as_ref().and_then(|url| url.query()).unwrap_or_default().to_owned();
        let failed =
            |error: Box<dyn std::error::Error + Send + Sync>| object_store::Error::Generic { store: "STS", source: error };
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/", self.endpoint.trim_end_matches('/')))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(HttpRequestBody::from(body))
            .map_err(|error| failed(error.into()))?;
        AwsAuthorizer::new(&self.own, "sts", &self.region).try_authorize(&mut request, None)?;
        let answer = self.service.call(request).await.map_err(|error| failed(error.into()))?;
        let answer = answer.into_body().bytes().await.map_err(|error| failed(error.into()))?;
        let text = String::from_utf8_lossy(&answer);
        match (element(&text, "AccessKeyId"), element(&text, "SecretAccessKey"), element(&text, "SessionToken")) {
            (Some(key_id), Some(secret_key), token) => Ok(AwsCredential { key_id, secret_key, token }),
            _ => Err(failed("the token service answered without keys".into())),
        }
    }
}

#[async_trait]
impl CredentialProvider for AssumedRole {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut held = self.held.lock().await;
        if let Some((since, keys)) = &*held
            && since.elapsed() < USED
        {
            return Ok(Arc::clone(keys));
        }
        let keys = Arc::new(self.ask().await?);
        *held = Some((Instant::now(), Arc::clone(&keys)));
        Ok(keys)
    }
}
