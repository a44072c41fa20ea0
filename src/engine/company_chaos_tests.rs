//! Whole companies under random faults and kills, from seeds. Every object, references in any order: whatever happens on the
//! way, the account ends as after a clean run, nothing is there twice, and every record has its outcome.
//!
//! More seeds than a run of all tests has time for: `CHAOS_SEEDS=100..200 cargo test --lib company_chaos`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Bounds;
use super::chaos_tests::{FAULTS, lists_lag, sandbox};
use super::company_tests::{Line, STREAMS, Shape, base, company};
use super::testing::{Collected, PARKING, Ran, TIGHT, catalog, run, run_into, settings};
use crate::config::Settings;
use crate::sandbox::Sandbox;

/// The seeds that are run: those given by hand, or these.
pub(super) fn seeds(usual: Range<u64>) -> Range<u64> {
    seeds_of("CHAOS_SEEDS", usual)
}

/// The same, given by this variable.
pub(super) fn seeds_of(variable: &str, usual: Range<u64>) -> Range<u64> {
    let Ok(given) = std::env::var(variable) else { return usual };
    let (from, to) = given.split_once("..").unwrap();
    from.parse().unwrap()..to.parse().unwrap()
}

pub(super) fn all_streams() -> Value {
    catalog(STREAMS)
}

/// Some companies have their customers made by whatever comes first.
pub(super) fn settings_of(seed: u64) -> Settings {
    let parents = if seed.is_multiple_of(3) { "create" } else { "wait" };
    let mut streams = vec![json!({"stream": "tasks", "match": "task_details", "parents": parents})];
    streams.extend(["contacts", "customer_notes", "invoices"].map(|stream| json!({"stream": stream, "parents": parents})));
    settings(&json!({"deletions": {"policy": "delete", "max_deletes": 1_000_000, "max_percent": 100}, "streams": streams}))
}

/// A sandbox in which the base stands.
pub(super) async fn prepared(seed: u64) -> (Sandbox, Map<String, Value>) {
    let sandbox = sandbox(seed);
    run(&sandbox, &settings_of(seed), &all_streams(), base().concat()).await.assert_sound();
    // Longer than the lists lag.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let named = |customer: &Value| Some((customer["keys"][0]["external_id"].as_str()?.to_owned(), customer["uuid"].clone()));
    let uuids = sandbox.dump()["customers"].as_array().unwrap().iter().filter_map(named).collect();
    (sandbox, uuids)
}

pub(super) fn text(lines: &[Line]) -> String {
    lines.iter().map(|line| line.text.as_str()).collect()
}

/// What an account holds, each kind as a list of texts. Positions of contacts tell in which order they were made.
pub(super) fn contents(sandbox: &Sandbox) -> BTreeMap<String, Vec<String>> {
    fn sort(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.remove("position");
                map.values_mut().for_each(sort);
                map.sort_keys();
            }
            Value::Array(list) => {
                list.iter_mut().for_each(sort);
                list.sort_by_cached_key(ToString::to_string);
            }
            _ => {}
        }
    }
    let Value::Object(contents) = sandbox.contents() else { panic!() };
    let kinds = contents.into_iter().map(|(kind, mut list)| {
        let entries = list.as_array_mut().unwrap().iter_mut().map(|entry| {
            sort(entry);
            entry.take().to_string()
        });
        let mut entries: Vec<String> = entries.collect();
        entries.sort_unstable();
        (kind, entries)
    });
    kinds.collect()
}

/// Panics with what one account has and the other has not.
pub(super) fn assert_same(what: &str, got: &Sandbox, wanted: &Sandbox) {
    let wrong = differences(&contents(got), &contents(wanted));
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

/// What one account has and the other has not.
pub(super) fn differences(got: &BTreeMap<String, Vec<String>>, wanted: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut wrong = Vec::new();
    for kind in got.keys().chain(wanted.keys()).collect::<std::collections::BTreeSet<_>>() {
        // Both lists ascend.
        let (mut got, mut wanted) =
            (got.get(kind).into_iter().flatten().peekable(), wanted.get(kind).into_iter().flatten().peekable());
        loop {
            match (got.peek(), wanted.peek()) {
                (None, None) => break,
                (Some(here), Some(there)) if here == there => {
                    got.next();
                    wanted.next();
                }
                (Some(here), there) if there.is_none_or(|there| here < there) => {
                    wrong.extend(got.next().map(|entry| format!("{kind} too much: {entry}")));
                }
                _ => wrong.extend(wanted.next().map(|entry| format!("{kind} missing: {entry}"))),
            }
        }
    }
    wrong
}

/// The laws of STATEs: those of a scope leave in their order, each once, and together they count every record of theirs.
pub(super) fn assert_states(what: &str, lines: &[Line], ran: &Ran) {
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    let mut counted = 0.0;
    for line in ran.lines.iter().filter(|line| line["type"] == "STATE") {
        let (scope, number) = scope_of(line);
        assert!(last.insert(scope.clone(), number).is_none_or(|before| before < number), "{what}: {scope} {number}");
        let stats = &line["state"]["destinationStats"];
        counted += stats["recordCount"].as_f64().unwrap() + stats["rejectedRecordCount"].as_f64().unwrap();
    }
    let records = lines.iter().filter(|line| line.state.is_none()).count();
    assert_eq!(counted, records as f64, "{what}");
}

fn scope_of(state: &Value) -> (String, u64) {
    match state["state"]["type"].as_str() {
        Some("GLOBAL") => (String::new(), state["state"]["global"]["shared_state"]["n"].as_u64().unwrap()),
        _ => {
            let stream = &state["state"]["stream"];
            (stream["stream_descriptor"]["name"].as_str().unwrap().to_owned(), stream["stream_state"]["n"].as_u64().unwrap())
        }
    }
}

pub(super) fn shape(seed: u64, records: u64) -> Shape {
    // A list that lags shows less than there is, so that the limits of deletions stop the sync sooner.
    let (deletes, global) = (lists_lag(seed) == Duration::ZERO, seed.is_multiple_of(4));
    Shape { seed, records, steady: false, deletes, global, whole: false }
}

fn rejects(ran: &Ran) -> String {
    let mut samples: Vec<String> = ran
        .report
        .samples
        .iter()
        .map(|s| {
            format!(
                "{} {}: {}",
                s.stream,
                s.key,
                s.rejection
                    .faults
                    .iter()
                    .map(|f| format!("{:?} {:?} {}", f.code, f.field, f.message))
                    .collect::<Vec<_>>()
                    .join("; ")
            )
        })
        .collect();
    samples.sort_unstable();
    samples.join("\n")
}

async fn under_faults(seed: u64, parking: Bounds) {
    let settings = settings_of(seed);
    let (clean, uuids) = prepared(seed).await;
    let lines = company(shape(seed, 300), uuids);
    let expected = run(&clean, &settings, &all_streams(), text(&lines)).await;
    expected.assert_sound();
    assert_states(&format!("seed {seed}"), &lines, &expected);

    let (faulty, _) = prepared(seed).await;
    FAULTS.iter().for_each(|spec| faulty.script(spec.parse().unwrap()));
    let ran = PARKING.scope(parking, run(&faulty, &settings, &all_streams(), text(&lines))).await;
    ran.assert_sound();
    assert!(ran.report.client.retries > 20, "seed {seed}: only {} faults struck", ran.report.client.retries);
    assert_same(&format!("seed {seed}"), &faulty, &clean);
    assert_eq!(ran.count("rejected"), expected.count("rejected"), "seed {seed}: {}\n\n{}", rejects(&ran), rejects(&expected));
    assert_states(&format!("seed {seed}, faults"), &lines, &ran);
}

#[tokio::test(start_paused = true)]
async fn a_company_under_faults_ends_as_after_a_clean_run() {
    for seed in seeds(1..5) {
        under_faults(seed, Bounds::default()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn so_it_does_where_what_waits_is_put_away() {
    for seed in seeds(5..9) {
        under_faults(seed, TIGHT).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_order_of_streams_changes_nothing() {
    for seed in seeds(1..5) {
        let settings = settings_of(seed);
        let (mixed, uuids) = prepared(seed).await;
        let lines = company(shape(seed, 300), uuids);
        run(&mixed, &settings, &all_streams(), text(&lines)).await.assert_sound();

        // What others refer to comes first.
        let (ordered, _) = prepared(seed).await;
        let mut lines = lines;
        let rank = |line: &Line| STREAMS.iter().position(|stream| Some(*stream) == line.stream);
        lines.retain(|line| line.state.is_none());
        lines.sort_by_key(rank);
        let ran = run(&ordered, &settings, &all_streams(), text(&lines)).await;
        ran.assert_sound();
        assert_same(&format!("seed {seed}"), &mixed, &ordered);
    }
}

/// What the source would send again: everything of a scope after its last STATE that came out.
pub(super) fn rest(lines: &[Line], emitted: &[Value]) -> Vec<Line> {
    let mut done: BTreeMap<String, usize> = BTreeMap::new();
    for state in emitted.iter().filter(|line| line["type"] == "STATE") {
        let (scope, number) = scope_of(state);
        let at = lines.iter().position(|line| line.state == Some(number) && line.stream.unwrap_or_default() == scope).unwrap();
        done.insert(scope, at + 1);
    }
    let from = |line: &Line| done.get("").or_else(|| done.get(line.stream.unwrap_or_default())).copied().unwrap_or_default();
    lines.iter().enumerate().filter(|(at, line)| *at >= from(line)).map(|(_, line)| line.clone()).collect()
}

async fn killed_again_and_again(seed: u64, parking: Bounds) {
    let settings = settings_of(seed);
    let (clean, uuids) = prepared(seed).await;
    let lines = company(Shape { seed: seed + 1000, ..shape(seed, 200) }, uuids);
    run(&clean, &settings, &all_streams(), text(&lines)).await.assert_sound();

    let streams = all_streams();
    let (killed, _) = prepared(seed).await;
    if seed.is_multiple_of(2) {
        FAULTS.iter().for_each(|spec| killed.script(spec.parse().unwrap()));
    }
    let mut left = lines.clone();
    let mut kills = 0;
    loop {
        let time = Duration::from_millis(300 + 271 * (kills + 1) * (seed % 7 + 1));
        let out = Collected::default();
        let sync = run_into(&out, &killed, &settings, &streams, text(&left), std::future::pending());
        let ended = tokio::time::timeout(time, PARKING.scope(parking, sync)).await;
        left = rest(&left, &out.lines());
        if let Ok(ran) = ended {
            ran.assert_sound();
            break;
        }
        kills += 1;
        // Longer than the lists lag: what was made right before the kill could not be found otherwise, by anybody.
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert!(kills > 0, "seed {seed}: it was never killed");
    assert_same(&format!("seed {seed}, {kills} kills"), &killed, &clean);
}

#[tokio::test(start_paused = true)]
async fn a_company_killed_again_and_again_ends_as_after_a_clean_run() {
    for seed in seeds(1..4) {
        killed_again_and_again(seed, Bounds::default()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn so_does_one_that_is_killed_where_what_waits_is_put_away() {
    for seed in seeds(4..7) {
        killed_again_and_again(seed, TIGHT).await;
    }
}

/// Writes that arrived, by route.
fn writes(sandbox: &Sandbox) -> BTreeMap<String, u64> {
    let routes = sandbox.observed().by_route.into_iter();
    routes.filter(|(route, _)| !route.starts_with("GET ")).map(|(route, ends)| (route, ends.values().sum())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_second_run_of_the_same_company_writes_nothing() {
    for seed in seeds(1..5) {
        let settings = settings_of(seed);
        let (sandbox, uuids) = prepared(seed).await;
        let lines = company(Shape { steady: true, ..shape(seed, 300) }, uuids);
        let first = run(&sandbox, &settings, &all_streams(), text(&lines)).await;
        first.assert_sound();
        assert_eq!(first.count("rejected"), 0, "seed {seed}: {}", rejects(&first));
        tokio::time::sleep(Duration::from_secs(5)).await;
        let (before, held) = (writes(&sandbox), contents(&sandbox));
        let second = run(&sandbox, &settings, &all_streams(), text(&lines)).await;
        second.assert_sound();
        let mut more = writes(&sandbox);
        for (route, count) in before {
            *more.get_mut(&route).unwrap() -= count;
        }
        more.retain(|route, count| *count > 0 && !route.contains("connect_subscriptions"));
        assert!(more.is_empty(), "seed {seed}: {more:?}");
        assert_eq!(contents(&sandbox), held, "seed {seed}");
    }
}
