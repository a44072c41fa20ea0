//! Receipts by POST: batches of JSON Lines, in order, each until it is taken.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::ExposeSecret;

use super::persist::{Trouble, persist};
use super::queue::Batch;
use super::s3::{client, unsent};
use super::settings::Hook;
use super::{Ids, RECEIPTS};
use crate::errors::Code;
use crate::failure::Failure;

/// Bytes of one POST, about; a longer receipt goes alone.
const MOST_BYTES: usize = 1024 * 1024;
/// Receipts of one POST.
const MOST_LINES: usize = 1000;

pub(super) const PLACE: &str = "the webhook";

/// A webhook that is ready to be called.
pub(super) struct OpenHook {
    http: reqwest::Client,
    url: String,
    headers: HeaderMap,
    ids: Ids,
}

impl Hook {
    /// Gets ready; nothing is sent yet.
    pub(super) fn open(&self, ids: &Ids) -> Result<OpenHook, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        if let Some(authorization) = &self.authorization {
            let mut value = HeaderValue::from_str(authorization.expose_secret())
                .map_err(|_| Failure::config(Code::StoreRefused, "`receipts.authorization` can not be made into a header."))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(OpenHook { http: client(&self.url)?, url: self.url.clone(), headers, ids: Arc::clone(ids) })
    }

    /// Sends a batch without receipts.
    pub(super) async fn probe(&self, patience: Duration) -> Result<(), Failure> {
        self.open(&super::random_ids())?.send(vec![(0, Vec::new())], patience).await
    }
}

impl OpenHook {
    /// Sends rows in order, each POST until it is taken.
    pub(super) async fn send(&self, batch: Batch, patience: Duration) -> Result<(), Failure> {
        for (_, rows) in batch {
            for post in posts(&rows) {
                // The same for every attempt, so that the receiver can tell a repetition.
                let id = (self.ids)().to_string();
                persist(RECEIPTS, PLACE, patience, async || self.post(post, &id).await).await?;
            }
        }
        Ok(())
    }

    async fn post(&self, rows: &[u8], id: &str) -> Result<(), Trouble> {
        let request = self.http.post(&self.url).headers(self.headers.clone()).header("Idempotency-Key", id);
        // Without a body no length is said by itself, and receivers may insist on one.
        let request = request.header(CONTENT_LENGTH, rows.len()).body(rows.to_vec());
        let answer = request.send().await.map_err(|error| Trouble::passing(unsent(error)))?;
        match answer.status().as_u16() {
            200..=299 => Ok(()),
            status => Err(Trouble::status(status, format!("it answered with HTTP {status}"))),
        }
    }
}

/// Whole lines, cut where one request would become too large. Nothing is one request without a line.
fn posts(rows: &[u8]) -> Vec<&[u8]> {
    let mut posts = Vec::new();
    let (mut from, mut lines, mut end) = (0, 0, 0);
    for at in memchr::memchr_iter(b'\n', rows) {
        if lines > 0 && (lines == MOST_LINES || at + 1 - from > MOST_BYTES) {
            posts.push(&rows[from..end]);
            (from, lines) = (end, 0);
        }
        (lines, end) = (lines + 1, at + 1);
    }
    posts.push(&rows[from..]);
    posts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posts_hold_whole_lines_and_no_more_than_they_may() {
        assert_eq!(posts(b""), [b""]);
        assert_eq!(posts(b"a\nb\n"), [b"a\nb\n"]);
        let many = "x\n".repeat(MOST_LINES * 2 + 1);
        let sizes: Vec<usize> = posts(many.as_bytes()).iter().map(|post| post.len() / 2).collect();
        assert_eq!(sizes, [MOST_LINES, MOST_LINES, 1]);
        let long = format!("{}\na\n{}\n{}\n", "x".repeat(MOST_BYTES), "y".repeat(MOST_BYTES / 2), "z".repeat(MOST_BYTES / 2));
        let sizes: Vec<usize> = posts(long.as_bytes()).iter().map(|post| post.len()).collect();
        assert_eq!(sizes, [MOST_BYTES + 1, MOST_BYTES / 2 + 3, MOST_BYTES / 2 + 1]);
        assert_eq!(posts(long.as_bytes()).concat(), long.as_bytes());
    }
}
