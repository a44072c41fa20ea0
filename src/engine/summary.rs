//! What a sync did, as one JSON object: for a program that reads the log.
//!
//! Owns its keys, which docs/summary.md explains. They are stable: one may be added, and where one changes its meaning or goes,
//! `summary_version` grows. A pure function of the report. Holds no value and no key of a record.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Ending;
use super::report::{Report, Tally};
use crate::errors::Code;
use crate::failure::Failure;
use crate::protocol::StreamId;

/// Grows when a key changes its meaning or goes.
const VERSION: u32 = 1;
/// What stands before the object in the log.
pub const PREFIX: &str = "summary ";
/// The platform stores 50,000 characters of a message; streams that do not fit are left out.
const LONGEST: usize = 45_000;

/// The line of the log: the prefix, and the object.
pub fn line(report: &Report, ended: &Result<Ending, Failure>) -> String {
    let mut shown = report.streams.len();
    loop {
        let line = format!("{PREFIX}{}", summary(report, ended, shown));
        if line.chars().map(char::len_utf16).sum::<usize>() <= LONGEST || shown == 0 {
            return line;
        }
        shown /= 2;
    }
}

fn summary(report: &Report, ended: &Result<Ending, Failure>, shown: usize) -> Value {
    let (ending, code) = match ended {
        Ok(Ending::Complete) => ("complete", None),
        Ok(Ending::Interrupted) => ("interrupted", None),
        Err(failure) => ("failed", Some(failure.code.as_str())),
    };
    let streams = report.streams.iter().take(shown).map(|(id, tally)| with_stream(Some(id), counts(tally)));
    let client = &report.client;
    let first_rejects = report.first_rejects.iter().map(|(code, first)| {
        with_stream(Some(&first.stream), json!({"code": code.as_str(), "line": first.line, "field": first.field}))
    });
    let waiting = report.waiting.iter().map(|waiting| with_stream(waiting.stream.as_ref(), json!({"records": waiting.records})));
    json!({
        "summary_version": VERSION,
        "ending": ending,
        "code": code,
        "total": counts(&report.total()),
        "streams": streams.collect::<Vec<_>>(),
        "streams_left_out": report.streams.len() - shown,
        "requests": {
            "attempts": client.attempts,
            "retries": client.retries,
            "by_kind": client.requests_by_kind,
            "answered_429": client.throttled_429,
            "answered_503": client.throttled_503,
            "failed": client.failed,
            "answers_lost": client.lost,
            "seconds_throttled": client.time_throttled.as_secs_f64(),
            "seconds_short_of_connections": client.time_short_of_connections.as_secs_f64(),
        },
        "first_rejects": first_rejects.collect::<Vec<_>>(),
        "states": {
            "read": report.states_read,
            "emitted": report.states_emitted,
            "waiting": waiting.collect::<Vec<_>>(),
            "records_waiting_for_parents": report.still_parked,
            "waiting_to_be_kept": report.states_held,
        },
    })
}

fn counts(tally: &Tally) -> Value {
    const WORDS: [&str; 6] = ["created", "updated", "unchanged", "deleted", "skipped", "rejected"];
    let mut counts = Map::new();
    counts.insert("read".to_owned(), tally.read.into());
    for word in WORDS {
        counts.insert(word.to_owned(), tally.outcomes.get(word).copied().unwrap_or_default().into());
    }
    counts.insert("without_outcome".to_owned(), tally.read.saturating_sub(tally.settled()).into());
    counts.insert("skipped_by_reason".to_owned(), json!(tally.skips));
    let rejects: BTreeMap<&str, u64> = tally.rejects.iter().map(|(code, count)| (Code::as_str(*code), *count)).collect();
    counts.insert("rejected_by_code".to_owned(), json!(rejects));
    counts.into()
}

/// The object with its stream in front; null where it is of all.
fn with_stream(stream: Option<&StreamId>, about: Value) -> Value {
    let mut all = json!({
        "namespace": stream.and_then(|id| id.namespace.as_deref()),
        "stream": stream.map(|id| &*id.name),
    });
    if let (Some(all), Value::Object(about)) = (all.as_object_mut(), about) {
        all.extend(about);
    }
    all
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::report::{FirstReject, WaitingState};

    fn id(namespace: Option<&str>, name: &str) -> StreamId {
        StreamId { namespace: namespace.map(Into::into), name: name.into() }
    }

    fn report() -> Report {
        let mut report = Report::new([id(Some("shop"), "customers"), id(None, "notes")].into_iter());
        let tally = &mut report.streams[0].1;
        tally.read = 10;
        tally.outcomes = [("created", 4), ("skipped", 3), ("rejected", 2)].into();
        tally.skips = [("exists", 1), ("no_match", 2)].into();
        tally.rejects = [(Code::FieldMissing, 2)].into();
        let first = FirstReject { line: 7, stream: id(Some("shop"), "customers"), field: Some("external_id".to_owned()) };
        report.first_rejects.insert(Code::FieldMissing, first);
        report.states_read = 3;
        report.states_emitted = 1;
        report.waiting =
            vec![WaitingState { stream: Some(id(None, "notes")), records: 1 }, WaitingState { stream: None, records: 2 }];
        report.still_parked = 1;
        report.client.attempts = 9;
        report.client.retries = 1;
        report.client.requests_by_kind = [("create customers", 9)].into();
        report.client.throttled_429 = 1;
        report.client.time_throttled = Duration::from_millis(1500);
        report
    }

    #[test]
    fn the_keys_are_those_that_are_promised() {
        insta::assert_json_snapshot!(summary(&report(), &Ok(Ending::Complete), 2));
    }

    #[test]
    fn the_ending_is_told_with_its_code() {
        let told = |ended| {
            let summary = summary(&Report::default(), &ended, 0);
            (summary["ending"].as_str().unwrap().to_owned(), summary["code"].clone())
        };
        assert_eq!(told(Ok(Ending::Interrupted)), ("interrupted".to_owned(), Value::Null));
        assert_eq!(told(Err(Failure::config(Code::KeyRefused, ""))), ("failed".to_owned(), "KEY_REFUSED".into()));
    }

    #[test]
    fn it_stays_whole_where_there_are_more_streams_than_a_message_holds() {
        let report = Report::new((0..2_000).map(|n| id(None, &format!("stream_{n}"))));
        let line = line(&report, &Ok(Ending::Complete));
        assert!(line.len() <= LONGEST);
        let summary: Value = serde_json::from_str(line.strip_prefix(PREFIX).unwrap()).unwrap();
        let (shown, left_out) = (summary["streams"].as_array().unwrap().len(), summary["streams_left_out"].as_u64().unwrap());
        assert!(shown > 50 && shown as u64 + left_out == 2_000, "{shown} {left_out}");
    }
}
