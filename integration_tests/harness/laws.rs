//! What holds for every run, whatever it was about.
//!
//! - Stdout carries messages of the protocol and nothing else; stderr is silent but for usage, and for a stdout that is gone.
//! - No secret is seen anywhere, neither in clear nor within any Base64 text; no value of a record in any LOG or TRACE.
//! - Every failure names a code of the catalogue, whichever way it is told.
//! - Exit code 1 goes with exactly one TRACE ERROR, 0 and 143 with none.
//! - STATEs come out as they came in, in order, the counts of each adding up to the records before it; after success all did.
//! - Every record read has one outcome; after success every record was read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use destination_chartmogul::errors::Code;
use serde_json::Value;

use super::secrets;

use super::Run;

const USAGE_ERROR: i32 = 2;

pub(super) fn hold(run: &Run, secrets: &[String]) {
    hold_always(run, secrets);
    let errors = run.errors().len();
    match run.code {
        Some(0 | 143) => assert_eq!(errors, 0, "a TRACE ERROR of a run that did not fail: {run}"),
        Some(1) if run.hung_up => {}
        Some(1) => assert_eq!(errors, 1, "a run that failed says so once: {run}"),
        Some(USAGE_ERROR) => assert!(run.stdout.is_empty(), "usage is no message of the protocol: {run}"),
        _ => panic!("an exit code that means nothing: {run}"),
    }
    let stdout_is_gone = run.hung_up && run.code == Some(1);
    if stdout_is_gone {
        assert!(run.stderr.starts_with("error: STDOUT_CLOSED: "), "{run}");
    } else if run.code != Some(USAGE_ERROR) {
        assert_eq!(run.stderr, "", "{run}");
    }
}

/// Those of the laws that hold for a process that was killed, too.
pub(super) fn hold_always(run: &Run, secrets: &[String]) {
    let types = ["SPEC", "CONNECTION_STATUS", "DESTINATION_CATALOG", "LOG", "TRACE", "STATE"];
    if run.code != Some(USAGE_ERROR) {
        assert_eq!(run.messages.len(), run.stdout.len(), "a line of stdout is no JSON: {run}");
    }
    for message in &run.messages {
        assert!(types.iter().any(|kind| message["type"] == *kind), "no message of a destination: {message}");
    }
    secrets::none_is_seen(secrets, run.stdout.iter().chain([&run.stderr]).map(String::as_str));
    failures_name_their_code(run);
    let input = Input::read(&run.fed);
    no_value_is_logged(run, &input);
    states_stand(run, &input);
    outcomes_add_up(run, &input);
}

/// Whether the text begins with a code of the catalogue.
pub(super) fn begins_with_a_code(text: &str) -> bool {
    text.split_once(": ").is_some_and(|(word, _)| Code::find(word).is_some_and(|code| code.as_str() == word))
}

fn failures_name_their_code(run: &Run) {
    for error in run.errors() {
        let error = &error["trace"]["error"];
        let internal = format!("{}: ", error["internal_message"].as_str().unwrap_or_default());
        assert!(begins_with_a_code(&internal), "{error}");
        assert!(begins_with_a_code(error["message"].as_str().unwrap_or_default()), "{error}");
    }
    for status in run.of_type("CONNECTION_STATUS").map(|message| &message["connectionStatus"]) {
        let failed = status["status"] == "FAILED";
        assert!(!failed || begins_with_a_code(status["message"].as_str().unwrap_or_default()), "{status}");
    }
    for log in run.logs().filter(|log| log.contains("rejected: line")) {
        assert!(begins_with_a_code(log), "{log}");
    }
    let told = run.stderr.strip_prefix("error: ").is_some_and(begins_with_a_code);
    assert!(run.stderr.is_empty() || told, "{run}");
}

fn no_value_is_logged(run: &Run, input: &Input) {
    for message in run.messages.iter().filter(|message| message["type"] == "LOG" || message["type"] == "TRACE") {
        let text = message.to_string();
        for value in &input.values {
            assert!(!text.contains(value), "the value {value} of a record is logged: {message}");
        }
    }
}

fn states_stand(run: &Run, input: &Input) {
    let mut waiting = input.states.clone();
    for message in run.of_type("STATE") {
        let scope = scope_of(message);
        let expected = waiting.get_mut(&scope).and_then(VecDeque::pop_front);
        let (came, records) = expected.unwrap_or_else(|| panic!("a STATE that never came: {message}"));
        let mut without = message.clone();
        let stats = without["state"].as_object_mut().unwrap().shift_remove("destinationStats").unwrap_or_default();
        assert_eq!(without, came, "a STATE came back otherwise: {run}");
        let count = |key: &str| stats[key].as_f64().unwrap_or_else(|| panic!("{key} is missing: {message}"));
        let sum = count("recordCount") + count("rejectedRecordCount");
        assert!((sum - records).abs() < 0.5, "{records} records came before this STATE, not {sum}: {message}\n{run}");
    }
    if run.code == Some(0) && !run.hung_up {
        let left: usize = waiting.values().map(VecDeque::len).sum();
        assert_eq!(left, 0, "STATEs did not come back: {run}");
    }
}

fn outcomes_add_up(run: &Run, input: &Input) {
    let words = ["created", "updated", "unchanged", "deleted", "skipped", "rejected"];
    let mut total = 0;
    let mut told = false;
    for log in run.logs().filter(|log| log.starts_with("stream ") && log.contains(" read, ")) {
        told = true;
        let (_, text) = log.split_once(": ").unwrap();
        let mut sum = 0;
        let mut without = 0;
        let mut parts = text.split(", ");
        let read: u64 = parts.next().unwrap().strip_suffix(" read").unwrap().parse().unwrap();
        for part in parts.filter(|part| *part != "nothing else") {
            let (count, word) = part.split_once(' ').unwrap();
            let count: u64 = count.parse().unwrap();
            match word {
                "without an outcome" => without = count,
                word if words.contains(&word) => sum += count,
                _ => assert!(word.starts_with("skipped as ") || word.starts_with("rejected with "), "{log}"),
            }
        }
        assert_eq!(sum + without, read, "outcomes do not add up: {log}");
        assert!(run.code != Some(0) || without == 0, "a record without an outcome: {log}");
        total += read;
    }
    if told && run.code == Some(0) {
        assert_eq!(total, input.records, "records that came, and records that were read: {run}");
    }
}

/// What stood on stdin.
struct Input {
    records: u64,
    /// By scope: the STATEs that came, each with the records since the one before.
    states: BTreeMap<String, VecDeque<(Value, f64)>>,
    /// Texts of records that would be noticed in a log.
    values: BTreeSet<String>,
}

const ALL: &str = "all streams";

impl Input {
    fn read(fed: &[u8]) -> Input {
        let mut input = Input { records: 0, states: BTreeMap::new(), values: BTreeSet::new() };
        let mut since: BTreeMap<String, f64> = BTreeMap::new();
        for line in fed.split(|byte| *byte == b'\n') {
            // Editors leave a byte order mark at the start of a file.
            let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
            let Ok(message) = serde_json::from_slice::<Value>(line) else { continue };
            if message["type"] == "RECORD" {
                input.records += 1;
                *since.entry(stream_of(&message["record"]["namespace"], &message["record"]["stream"])).or_default() += 1.0;
                *since.entry(ALL.to_owned()).or_default() += 1.0;
                collect(&message["record"]["data"], &mut input.values);
            } else if message["type"] == "STATE" && message["state"].is_object() {
                let scope = scope_of(&message);
                let records = since.insert(scope.clone(), 0.0).unwrap_or_default();
                let mut came = message;
                came["state"].as_object_mut().unwrap().shift_remove("destinationStats");
                input.states.entry(scope).or_default().push_back((came, records));
            }
        }
        input
    }
}

fn scope_of(message: &Value) -> String {
    let state = &message["state"];
    match state["type"].as_str() {
        Some("STREAM") => {
            let descriptor = &state["stream"]["stream_descriptor"];
            stream_of(&descriptor["namespace"], &descriptor["name"])
        }
        _ => ALL.to_owned(),
    }
}

fn stream_of(namespace: &Value, name: &Value) -> String {
    format!("{:?} {}", namespace.as_str().filter(|namespace| !namespace.is_empty()), name.as_str().unwrap_or_default())
}

/// Texts that can not be mistaken for words of ours. ChartMogul's own UUIDs stand in paths and are no secret.
fn collect(value: &Value, into: &mut BTreeSet<String>) {
    let ours = |text: &str| ["ds_", "cus_", "con_"].iter().any(|prefix| text.starts_with(prefix));
    match value {
        Value::String(text) if text.len() >= 5 && text.contains(['-', '@', ' ']) && !ours(text) => {
            into.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        Value::Object(members) => members.values().for_each(|member| collect(member, into)),
        _ => {}
    }
}
