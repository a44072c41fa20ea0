//! What happened, for people: tallies, the first rejects, warnings, why a STATE is stuck.
//!
//! Logs carry no record values: where the API's words quote the record, its values are starred. The samples kept here carry
//! the words as they are and the record's key, for commands that a person runs on their own terminal.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::client::Stats;
use crate::errors::Code;
use crate::outcome::{Fault, Outcome, Rejection};
use crate::plan::Plan;
use crate::plan::hide::Values;
use crate::protocol::StreamId;

/// Rejects kept whole.
const SAMPLES: usize = 200;
/// Rejects of one code and stream that are logged one by one.
const LOGGED_EACH: u64 = 10;

/// Counts by outcome; for skips and rejects the reason is counted too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records that came.
    pub read: u64,
    /// Records by outcome, in the outcome's word.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Skipped records by reason.
    pub skips: BTreeMap<&'static str, u64>,
    /// Rejected records by code.
    pub rejects: BTreeMap<Code, u64>,
}

impl Tally {
    /// Records that have their outcome.
    pub fn settled(&self) -> u64 {
        self.outcomes.values().sum()
    }

    /// Records rejected.
    pub fn rejected(&self) -> u64 {
        self.outcomes.get("rejected").copied().unwrap_or_default()
    }
}

/// A reject, kept whole.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Line of the input.
    pub line: u64,
    /// The stream.
    pub stream: StreamId,
    /// The record's key in words; empty where it has none.
    pub key: String,
    /// What is wrong.
    pub rejection: Rejection,
}

/// The first reject with a code, by its line: where it is, and nothing of what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstReject {
    /// Line of the input.
    pub line: u64,
    /// The stream.
    pub stream: StreamId,
    /// The field at fault, where it is one.
    pub field: Option<String>,
}

/// A STATE that did not leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingState {
    /// Its stream; `None` where it is of all.
    pub stream: Option<StreamId>,
    /// Records that it waits for.
    pub records: u64,
}

/// A record that was settled, as far as its words are needed.
#[derive(Debug)]
pub(super) enum Of<'p> {
    /// It had a plan; with the values of all that went in one request, where it did not go alone.
    Plan(&'p Plan, Option<&'p Values>),
    /// It had none, but perhaps a key.
    Key(&'p str),
}

impl Of<'_> {
    pub(super) fn key(&self) -> String {
        match self {
            Self::Plan(plan, _) => plan.key(),
            Self::Key(key) => (*key).to_owned(),
        }
    }

    /// The text without the record's values: our own words name rules, the API's may quote the record.
    fn hide(&self, text: &str) -> String {
        match self {
            Self::Plan(plan, None) => Values::of(std::iter::once(*plan)).hide(text),
            Self::Plan(_, Some(all)) => all.hide(text),
            Self::Key(_) => text.to_owned(),
        }
    }
}

/// The name of the field at fault, where it is one. What the API calls one need not be a name.
fn logged_field<'f>(fault: &'f Fault, http_status: Option<u16>, of: &Of<'_>) -> Option<Cow<'f, str>> {
    let field = fault.field.as_deref()?;
    Some(if http_status.is_none() { Cow::Borrowed(field) } else { Cow::Owned(of.hide(field)) })
}

/// See the module's header.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// By stream, in the catalog's order.
    pub streams: Vec<(StreamId, Tally)>,
    /// The first rejects.
    pub samples: Vec<Sample>,
    /// The first reject of each code.
    pub first_rejects: BTreeMap<Code, FirstReject>,
    /// The first STATEs that did not leave; filled in at the end.
    pub waiting: Vec<WaitingState>,
    /// Records that wait for their parents at the end.
    pub still_parked: usize,
    /// STATEs that did not leave for what was to be kept of their records.
    pub states_held: usize,
    /// STATEs that came.
    pub states_read: u64,
    /// Whether every reject and receipt of what was settled is durable.
    pub all_is_kept: bool,
    /// STATEs that left.
    pub states_emitted: u64,
    /// What the policy `mirror` deleted, by object; no record's outcome.
    pub mirrored: BTreeMap<&'static str, u64>,
    /// Records that waited for their parent at some time.
    pub parked: u64,
    /// What the client did; filled in at the end.
    pub client: Stats,
    untold: bool,
    logged: BTreeMap<(usize, Code), u64>,
    unknown_types: BTreeSet<String>,
}

impl Report {
    /// Nothing happened yet.
    pub fn new(streams: impl Iterator<Item = StreamId>) -> Self {
        Self { streams: streams.map(|id| (id, Tally::default())).collect(), ..Self::default() }
    }

    /// Rejects are not logged one by one: whoever runs it tells them by the samples.
    #[must_use]
    pub fn untold(self) -> Self {
        Self { untold: true, ..self }
    }

    /// All streams together.
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        for (_, tally) in &self.streams {
            total.read += tally.read;
            for (key, count) in &tally.outcomes {
                *total.outcomes.entry(key).or_default() += count;
            }
            for (key, count) in &tally.skips {
                *total.skips.entry(key).or_default() += count;
            }
            for (key, count) in &tally.rejects {
                *total.rejects.entry(*key).or_default() += count;
            }
        }
        total
    }

    /// Streams of which records came that have no outcome yet.
    pub(super) fn waiting(&self) -> Vec<StreamId> {
        self.streams.iter().filter(|(_, tally)| tally.read > tally.settled()).map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn read(&mut self, stream: usize) {
        self.streams[stream].1.read += 1;
    }

    pub(super) fn settled(&mut self, stream: usize, line: u64, of: &Of<'_>, outcome: Outcome) {
        let (id, tally) = &mut self.streams[stream];
        *tally.outcomes.entry(outcome.as_str()).or_default() += 1;
        match outcome {
            Outcome::Skipped(skip) => *tally.skips.entry(skip.as_str()).or_default() += 1,
            Outcome::Rejected(rejection) => {
                let code = rejection.code();
                *tally.rejects.entry(code).or_default() += 1;
                // Those that need requests end in any order.
                if self.first_rejects.get(&code).is_none_or(|first| line < first.line) {
                    let fault = rejection.faults.first();
                    let field = fault.and_then(|fault| logged_field(fault, rejection.http_status, of)).map(Cow::into_owned);
                    self.first_rejects.insert(code, FirstReject { line, stream: id.clone(), field });
                }
                let logged = self.logged.entry((stream, code)).or_default();
                *logged += 1;
                if *logged <= LOGGED_EACH && !self.untold {
                    for fault in rejection.faults.iter().take(LOGGED_EACH as usize) {
                        let field = logged_field(fault, rejection.http_status, of);
                        let field = field.map(|field| format!(", field {field}")).unwrap_or_default();
                        // Our own words name rules and no values; the API's may quote the record, and after an import others, too.
                        let message = match rejection.http_status {
                            _ if fault.code == Code::ImportedInvalid => fault.code.cause().to_owned(),
                            None => fault.message.clone(),
                            Some(_) => of.hide(&fault.message),
                        };
                        let reason = match rejection.http_status {
                            None => format!("{}.", message.trim_end_matches('.')),
                            Some(status) => format!("{message} (HTTP {status})."),
                        };
                        let remedy = if *logged == 1 { fault.code.remedy() } else { "" };
                        tracing::warn!("{}: record rejected: line {line}, stream {id}{field}: {reason} {remedy}", fault.code);
                    }
                    if *logged == LOGGED_EACH {
                        tracing::warn!(
                            "{code}: further rejects of stream {id} with this code are counted, not logged one by one"
                        );
                    }
                }
                if self.samples.len() < SAMPLES {
                    self.samples.push(Sample { line, stream: id.clone(), key: of.key(), rejection });
                }
            }
            _ => {}
        }
    }

    pub(super) fn unknown_type(&mut self, kind: String) {
        if self.unknown_types.len() < 100 && !self.unknown_types.contains(&kind) {
            tracing::warn!("messages of type {kind:?} are not known and were ignored");
            self.unknown_types.insert(kind);
        }
    }

    /// Logs what happened, a line for each stream and one for the requests.
    pub fn log(&self) {
        for (id, tally) in &self.streams {
            let mut parts: Vec<String> = tally.outcomes.iter().map(|(word, count)| format!("{count} {word}")).collect();
            parts.extend(tally.skips.iter().map(|(reason, count)| format!("{count} skipped as {reason}")));
            parts.extend(tally.rejects.iter().map(|(code, count)| format!("{count} rejected with {code}")));
            let waiting = tally.read - tally.settled();
            if waiting > 0 {
                parts.push(format!("{waiting} without an outcome"));
            }
            let parts = if parts.is_empty() { "nothing else".to_owned() } else { parts.join(", ") };
            tracing::info!("stream {id}: {} read, {parts}", tally.read);
        }
        if !self.mirrored.is_empty() {
            let deleted: Vec<String> = self.mirrored.iter().map(|(object, many)| format!("{many} {object}")).collect();
            tracing::info!("deleted, since they did not come: {}", deleted.join(", "));
        }
        let kinds: Vec<String> = self.client.requests_by_kind.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
        tracing::info!(
            "{} requests{kinds}, {} repeated, {} answered 429, {} answered 503",
            self.client.attempts,
            self.client.retries,
            self.client.throttled_429,
            self.client.throttled_503,
        );
        if let Some(lost) = self.time_lost() {
            tracing::info!("{lost}");
        }
    }

    /// Time that went by because of the API's limits, in words; none where all was well.
    fn time_lost(&self) -> Option<String> {
        let Stats { throttled_429, throttled_503, time_throttled, time_short_of_connections, .. } = &self.client;
        let seconds = |time: &std::time::Duration| format!("{:.1} s", time.as_secs_f64());
        let mut parts = Vec::new();
        if *throttled_429 > 0 {
            parts.push(format!("{} for too many requests (429)", seconds(time_throttled)));
        }
        if *throttled_503 > 0 {
            parts.push(format!("{} for too many at once (503)", seconds(time_short_of_connections)));
        }
        let lost = parts.join(" and ");
        (!parts.is_empty()).then(|| format!("throttled: nothing was sent for {lost}; other programs may use the same account"))
    }
}

/// Warnings that are said once a run for each field.
#[derive(Debug, Default)]
pub(super) struct Warnings(RefCell<BTreeSet<(Code, &'static str, String)>>);

impl Warnings {
    pub(super) fn once(&self, code: Code, object: &'static str, field: &str) {
        if self.0.borrow_mut().insert((code, object, field.to_owned())) {
            tracing::warn!("{code}: {object}.{field}: {} {}", code.cause(), code.remedy());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_first_reject_of_a_code_is_that_of_the_lowest_line() {
        let mut report = Report::new(["a", "b"].into_iter().map(|name| StreamId::new(None, name)));
        let faults = |code, field: &str| vec![Fault::field(code, field, "wrong"), Fault::record(code, "all wrong")];
        for (stream, line, code, field) in [
            (0, 7, Code::FieldValue, "seventh"),
            (1, 3, Code::FieldValue, "third"),
            (0, 2, Code::FieldMissing, "second"),
            (0, 5, Code::FieldValue, "fifth"),
        ] {
            report.settled(stream, line, &Of::Key(""), Outcome::Rejected(Rejection::local(faults(code, field))));
        }
        let firsts: Vec<_> =
            report.first_rejects.values().map(|first| (first.line, &*first.stream.name, first.field.as_deref())).collect();
        assert_eq!(firsts.len(), 2);
        assert!(firsts.contains(&(2, "a", Some("second"))) && firsts.contains(&(3, "b", Some("third"))), "{firsts:?}");
    }

    #[test]
    fn time_lost_to_throttling_is_told_apart_and_only_where_there_was_some() {
        let mut report = Report::default();
        assert_eq!(report.time_lost(), None);
        report.client.throttled_429 = 2;
        report.client.time_throttled = Duration::from_millis(12_340);
        let lost = report.time_lost().unwrap();
        assert!(lost.contains("nothing was sent for 12.3 s for too many requests (429);"), "{lost}");
        report.client.throttled_503 = 1;
        report.client.time_short_of_connections = Duration::from_millis(250);
        let lost = report.time_lost().unwrap();
        assert!(lost.contains("12.3 s for too many requests (429) and 0.2 s for too many at once (503);"), "{lost}");
    }
}
