//! What an answer means.
//!
//! The only place that knows statuses, and the only one that classifies bodies and failures of the network. Pure. Does not
//! own what is done about it (`mod`, `trial`, `limit`), nor the forms of error bodies (`faults`).
//!
//! Documented: 400, 401, 402, 403, 404, 422, 429, 503 (too many parallel connections), 500, 502, 504. Recorded: 401, 404 and
//! 422, all with JSON. Unknown: the bodies of 402, 403, 429 and 503, and whether `Retry-After` is ever sent. Where the facts
//! end, the reading is the one by which nothing is written twice and no record is blamed for the weather.

use std::time::{Duration, SystemTime};

use super::call::{Answer, ApiFault, Refusal, Repeat};
use super::faults;
use super::transport::{HttpResponse, TransportError};
use super::trial::Trouble;
use crate::errors::Code;
use crate::failure::Failure;

/// A server may ask for so much patience and no more: a slip of the pen in a header must not stop a sync for a day.
const LONGEST_HINT: Duration = Duration::from_secs(300);

/// What is to be done with one attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Done(Answer),
    Missing(Refusal),
    Exists(Refusal),
    Refused(Refusal),
    Again(Again),
    /// Nothing more can be sent; with the API's own words, which may quote what was sent.
    Stop(Failure, Option<String>),
}

/// An attempt that does not count.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Again {
    pub(super) why: Why,
    /// The server's own wish.
    pub(super) after: Option<Duration>,
    /// It may have been done, and doing it twice would make two: the caller has to look.
    pub(super) lost: bool,
    pub(super) status: Option<u16>,
    /// For the log and for failures: no words of the API, which may quote values.
    pub(super) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Too many a second.
    Rate,
    /// Too many at once.
    Connections,
    /// It never reached the server.
    Unreached,
    /// The server failed, or its answer did not arrive.
    Failing,
}

impl Why {
    pub(super) const fn trouble(self) -> Trouble {
        match self {
            Self::Rate | Self::Connections => Trouble::Throttled,
            Self::Unreached => Trouble::Unreached,
            Self::Failing => Trouble::Failing,
        }
    }
}

/// Judges one attempt. `proven` says that this address has answered as the API before: a foreign page is then a passing
/// mishap of the front end, and before that a sign of a wrong address. `now` serves to read a date in `Retry-After`.
pub(super) fn judge(outcome: Result<HttpResponse, TransportError>, repeat: Repeat, proven: bool, now: SystemTime) -> Verdict {
    match outcome {
        Ok(response) => judge_response(response, repeat, proven, now),
        Err(error) => judge_error(&error, repeat),
    }
}

fn judge_error(error: &TransportError, repeat: Repeat) -> Verdict {
    let (why, maybe_done) = match error {
        TransportError::Connect(_) => (Why::Unreached, false),
        TransportError::Timeout(_) | TransportError::Reset(_) | TransportError::Incomplete(_) => (Why::Failing, true),
        // The next answer would be as long.
        TransportError::TooLarge(_) => {
            let message = "ChartMogul's answer is longer than is read.";
            return Verdict::Stop(Failure::system(Code::UnexpectedAnswer, message).with_internal(error.to_string()), None);
        }
        TransportError::Unsendable(_) => {
            let message = "A request could not be put on the wire.";
            return Verdict::Stop(Failure::system(Code::Internal, message).with_internal(error.to_string()), None);
        }
    };
    let lost = maybe_done && repeat == Repeat::MayDuplicate;
    Verdict::Again(Again { why, after: None, lost, status: None, text: error.to_string() })
}

fn judge_response(response: HttpResponse, repeat: Repeat, proven: bool, now: SystemTime) -> Verdict {
    let status = response.status;
    let page = faults::is_page(&response.body);
    let again = |why, maybe_done| {
        Verdict::Again(Again {
            why,
            after: retry_after(&response, now),
            lost: maybe_done && repeat == Repeat::MayDuplicate,
            status: Some(status),
            text: format!(
                "HTTP {status}{}",
                match status {
                    _ if page => " with a page instead of JSON",
                    200..=299 => " with what is no JSON",
                    _ => "",
                }
            ),
        })
    };
    match status {
        // Once the API has answered at this address, a redirect or a proxy's question is a passing mishap of what stands between.
        300..=399 | 407 if proven => again(Why::Failing, false),
        300..=399 => {
            let words = "The address redirects. Redirects are not followed, since the API key would go wherever they point.";
            Verdict::Stop(base_url_wrong(status, words), None)
        }
        407 => {
            let words = "A proxy on the way asks for credentials (HTTP 407). Put them into HTTPS_PROXY or HTTP_PROXY.";
            Verdict::Stop(Failure::config(Code::HostUnreachable, words), None)
        }
        // The server did not get all of the request in time, but front ends say so of their own time limits too.
        408 => again(Why::Failing, true),
        425 => again(Why::Failing, false),
        429 => again(Why::Rate, false),
        503 if is_gateway(&response.body) => again(Why::Failing, true),
        // Documented: too many parallel connections. It was turned away, so it was not done.
        503 => again(Why::Connections, false),
        // Front ends refuse these themselves, with pages of their own.
        413 | 414 | 431 => Verdict::Refused(refusal(Code::RecordTooLarge, &response)),
        // The API itself never answers with a page. A firewall may do so because of one record's content, or because of us
        // all: how the other calls fare tells which. Above all, a page is not the API's word that something is missing.
        200..=299 | 400..=499 if page => {
            if !proven && response.content_type.as_deref().is_some_and(|kind| kind.to_ascii_lowercase().contains("html")) {
                Verdict::Stop(base_url_wrong(status, "The address answers with a web page."), None)
            } else {
                again(Why::Failing, true)
            }
        }
        200..=299 if is_json_or_empty(&response.body) => Verdict::Done(Answer { status, body: response.body }),
        401 => stop(Code::KeyRefused, "ChartMogul does not know the API key", &response),
        402 => stop(Code::PaymentRequired, "ChartMogul answered that the account may not do this", &response),
        403 => stop(Code::KeyReadOnly, "The API key or the account's plan does not allow this", &response),
        404 => Verdict::Missing(refusal(Code::ApiRefused, &response)),
        400 | 409 | 422 => {
            let refusal = refusal(Code::ApiRefused, &response);
            if refusal.faults.iter().any(says_exists) { Verdict::Exists(refusal) } else { Verdict::Refused(refusal) }
        }
        405..=499 => Verdict::Refused(refusal(Code::ApiRefused, &response)),
        _ => again(Why::Failing, true),
    }
}

fn refusal(code: Code, response: &HttpResponse) -> Refusal {
    Refusal { status: Some(response.status), code, faults: faults::read(response.status, &response.body) }
}

/// Official clients match these words: "already exists in our system", "has already been taken".
fn says_exists(fault: &ApiFault) -> bool {
    let message = fault.message.to_lowercase();
    message.contains("already exists") || message.contains("already been taken")
}

/// These answers are about the account, and may quote what was sent all the same: unknown is what 402 and 403 say.
fn stop(code: Code, what: &str, response: &HttpResponse) -> Verdict {
    let words = faults::read(response.status, &response.body);
    let words = words.first().map_or("", |fault| fault.message.as_str()).chars().take(200).collect();
    Verdict::Stop(Failure::config(code, format!("{what} (HTTP {})", response.status)), Some(words))
}

fn base_url_wrong(status: u16, what: &str) -> Failure {
    Failure::config(Code::BaseUrlWrong, format!("{} (HTTP {status})", what.trim_end_matches('.')))
}

fn is_json_or_empty(body: &[u8]) -> bool {
    body.trim_ascii().is_empty() || serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

/// Whether a 503 comes from something in front of the API that lost sight of it: then the request may have been done.
fn is_gateway(body: &[u8]) -> bool {
    faults::is_page(body) || memchr::memmem::find(body, b"upstream").is_some()
}

/// Seconds, or a date by the server's own clock. No time at all is no wish: it would be asked again at once, for as long as it says so.
fn retry_after(response: &HttpResponse, now: SystemTime) -> Option<Duration> {
    let text = response.retry_after.as_deref()?.trim();
    let wait = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).unwrap_or(if seconds > 0.0 { LONGEST_HINT } else { Duration::ZERO }),
        Err(_) => {
            let date = httpdate::parse_http_date(text).ok()?;
            let now = response.date.as_deref().and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
            date.duration_since(now).unwrap_or_default()
        }
    };
    (!wait.is_zero()).then_some(wait.min(LONGEST_HINT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const REPEATS: [Repeat; 2] = [Repeat::Harmless, Repeat::MayDuplicate];

    fn answer(status: u16, content_type: &str, body: &str) -> HttpResponse {
        let body = Bytes::copy_from_slice(body.as_bytes());
        HttpResponse { status, content_type: Some(content_type.to_owned()), body, ..HttpResponse::default() }
    }

    fn in_a_word(verdict: &Verdict) -> String {
        match verdict {
            Verdict::Done(_) => "done".to_owned(),
            Verdict::Missing(_) => "missing".to_owned(),
            Verdict::Exists(_) => "exists".to_owned(),
            Verdict::Refused(refusal) => format!("refused {}", refusal.code),
            Verdict::Again(again) => format!("again {:?}{}", again.why, if again.lost { ", lost" } else { "" }),
            Verdict::Stop(failure, _) => format!("stop {} {}", failure.kind.as_str(), failure.code),
        }
    }

    #[test]
    fn every_status_and_every_failure_has_its_verdict() {
        let bodies = [
            ("json", "application/json", r#"{"message":"words"}"#),
            ("json, exists", "application/json", r#"{"errors":{"external_id":"The external ID already exists in our system."}}"#),
            ("nothing", "", ""),
            ("plain text", "text/plain", "words"),
            ("plain text of a gateway", "text/plain", "upstream connect error"),
            ("a page", "text/html; charset=utf-8", "<!DOCTYPE html><h1>words</h1>"),
        ];
        let rows = |content_type: &str, body: &str, proven: bool| {
            let row = |status| {
                REPEATS.map(|repeat| {
                    in_a_word(&judge(Ok(answer(status, content_type, body)), repeat, proven, SystemTime::UNIX_EPOCH))
                })
            };
            let (mut rows, mut from) = (String::new(), 100);
            for status in 100..=599 {
                if status == 599 || row(status) != row(status + 1) {
                    let [harmless, may_duplicate] = row(status);
                    let both = if harmless == may_duplicate { harmless } else { format!("{harmless} | {may_duplicate}") };
                    rows += &format!("  {from}-{status}: {both}\n");
                    from = status + 1;
                }
            }
            rows
        };
        let mut table = String::new();
        for (name, content_type, body) in bodies {
            let (first, later) = (rows(content_type, body, false), rows(content_type, body, true));
            table += &format!("\n{name}\n{later}");
            if first != later {
                table += &format!("\n{name}, as the first answer of all\n{first}");
            }
        }
        table += "\nno answer\n";
        let words = || "words".to_owned();
        for error in [
            TransportError::Connect(words()),
            TransportError::Timeout(words()),
            TransportError::Reset(words()),
            TransportError::Incomplete(words()),
            TransportError::TooLarge(1),
            TransportError::Unsendable(words()),
        ] {
            let [harmless, may_duplicate] =
                REPEATS.map(|repeat| in_a_word(&judge(Err(error.clone()), repeat, true, SystemTime::UNIX_EPOCH)));
            table += &format!("  {error:?}: {harmless} | {may_duplicate}\n");
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn all_known_duplicate_messages_are_understood() {
        // Constants of an official client, and the words that another one looks for.
        for message in [
            "The external ID for this customer already exists in our system.",
            "The external ID for this invoice already exists in our system.",
            "The external ID for this line item already exists in our system.",
            "has already been taken",
            "A plan with this identifier already exists in our system.",
            "Has already been taken.",
        ] {
            for body in [
                serde_json::json!({"errors": {"external_id": message}}),
                serde_json::json!({"invoices": [{"errors": {"external_id": "other", "transactions.external_id": message}}]}),
                serde_json::json!({"message": message}),
                serde_json::json!({"error": message}),
                serde_json::json!({"external_id": [message]}),
            ] {
                for status in [400, 409, 422] {
                    let response = answer(status, "application/json", &body.to_string());
                    let verdict = judge(Ok(response), Repeat::MayDuplicate, true, SystemTime::UNIX_EPOCH);
                    assert!(matches!(verdict, Verdict::Exists(_)), "{status} {body}");
                }
            }
        }
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date_and_bounded() {
        let now = httpdate::parse_http_date("Tue, 01 Jul 2025 10:00:00 GMT").unwrap();
        let read = |text: &str, date: Option<&str>| {
            let response = HttpResponse {
                status: 429,
                retry_after: Some(text.to_owned()),
                date: date.map(str::to_owned),
                ..HttpResponse::default()
            };
            match judge(Ok(response), Repeat::Harmless, true, now) {
                Verdict::Again(again) => again.after.map(|after| after.as_millis()),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(read("7", None), Some(7_000));
        assert_eq!(read(" 0.5 ", None), Some(500));
        assert_eq!(read("0", None), None);
        assert_eq!(read("86400", None), Some(300_000));
        assert_eq!(read("1e999", None), Some(300_000));
        assert_eq!(read("-3", None), None);
        assert_eq!(read("NaN", None), None);
        assert_eq!(read("soon", None), None);
        assert_eq!(read("Tue, 01 Jul 2025 10:00:09 GMT", None), Some(9_000));
        assert_eq!(read("Tue, 01 Jul 2025 09:59:59 GMT", None), None);
        // Our clock may be wrong; the server's own tells the span.
        assert_eq!(read("Tue, 01 Jul 2025 12:00:04 GMT", Some("Tue, 01 Jul 2025 12:00:00 GMT")), Some(4_000));
    }

    #[test]
    fn a_broken_off_json_answer_is_no_success() {
        let verdict =
            judge(Ok(answer(201, "application/json", r#"{"uuid":"cus_"#)), Repeat::MayDuplicate, true, SystemTime::now());
        assert_eq!(in_a_word(&verdict), "again Failing, lost");
    }
}
