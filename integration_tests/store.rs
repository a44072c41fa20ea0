//! What is kept: rejected records and receipts, on disk and behind a webhook, and the STATEs that wait for them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use destination_chartmogul::store::reader::{self, Kept};
use serde_json::{Value, json};

use crate::harness::{Run, World, namespaced, record, state, stream};

/// All files below a folder, in the order of their names. What was being written when the process was killed is none.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let finished = |path: &PathBuf| path.extension().is_none_or(|extension| extension != "tmp");
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(finished).collect();
    entries.sort();
    entries.into_iter().flat_map(|entry| if entry.is_dir() { files(&entry) } else { vec![entry] }).collect()
}

/// The receipts below a folder. Every line has to be whole.
fn receipts(folder: &Path) -> Vec<Value> {
    let texts = files(folder).into_iter().map(|file| fs::read_to_string(file).unwrap());
    texts.flat_map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>()).collect()
}

fn rejects(folder: &Path) -> Vec<Kept> {
    let all = reader::files(folder).unwrap();
    all.iter().flat_map(|file| reader::read(file).unwrap()).collect::<Result<_, _>>().unwrap()
}

/// Lines of the input that are records, up to a line.
fn record_lines(run: &Run, upto: u64) -> BTreeSet<u64> {
    let text = String::from_utf8(run.fed.clone()).unwrap();
    let lines = text.lines().zip(1..).filter(|(line, number)| *number <= upto && line.contains(r#""type":"RECORD""#));
    lines.map(|(_, number)| number).collect()
}

fn lines_of(receipts: &[Value]) -> Vec<u64> {
    receipts.iter().map(|receipt| receipt["line"].as_u64().unwrap()).collect()
}

/// Rows that end in every outcome there is.
fn every_outcome(world: &World) -> Vec<String> {
    world.given_customer("same", json!({"name": "Same"}));
    world.given_customer("other", json!({"name": "Before"}));
    world.given_customer("gone", json!({}));
    vec![
        record("customers", json!({"external_id": "new", "name": "New"})),
        record("customers", json!({"external_id": "same", "name": "Same"})),
        record("customers", json!({"external_id": "other", "name": "After"})),
        record("customers", json!({"external_id": "gone", "_ab_cdc_deleted_at": "2024-01-01T00:00:00Z"})),
        record("customers", json!({"external_id": "never", "_ab_cdc_deleted_at": "2024-01-01T00:00:00Z"})),
        record("customers", json!({"external_id": "bad", "email": "no-address, \"odd\""})),
        record("customers", json!({"name": "No Key"})),
        state("customers", 1),
        record("contacts", json!({"customer_external_id": "late", "email": "a@late.example"})),
        record("contacts", json!({"customer_external_id": "absent", "email": "b@absent.example"})),
        state("contacts", 2),
        record("customers", json!({"external_id": "late"})),
        namespaced(Some("shop"), "customers", json!({"external_id": "shopper", "country": "Atlantis"})),
        state("customers", 3),
    ]
}

fn of_every_outcome<'w>(world: &'w World, more: Value) -> crate::harness::Sync<'w> {
    let rows = every_outcome(world);
    let shop = stream("customers").namespace("shop");
    world
        .sync()
        .config(json!({"deletions": {"policy": "delete", "max_deletes": 100, "max_percent": 100}}))
        .config(more)
        .stream(stream("customers"))
        .stream(stream("contacts"))
        .stream(shop)
        .lines(rows)
}

#[test]
fn every_record_has_one_receipt_and_every_reject_is_kept_whole() {
    for format in ["CSV", "JSONL"] {
        let world = World::new();
        let (kept, told) = (world.path("kept"), world.path("told"));
        let storage = json!({"storage_type": "Local", "path": kept, "format": {"format_type": format}});
        let run = of_every_outcome(
            &world,
            json!({"object_storage_config": storage, "receipts": {"storage_type": "Local", "path": told}}),
        )
        .env("WORKER_JOB_ID", "42")
        .run()
        .succeeded();
        assert_eq!(run.state_ids().iter().sum::<i64>(), 6, "{run}");

        let receipts = receipts(&told);
        let mut lines = lines_of(&receipts);
        lines.sort_unstable();
        assert_eq!(lines, record_lines(&run, u64::MAX).into_iter().collect::<Vec<_>>(), "one for each record");
        let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
        for receipt in &receipts {
            *outcomes.entry(receipt["outcome"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        let expected = [("created", 3), ("deleted", 1), ("rejected", 4), ("skipped", 1), ("unchanged", 1), ("updated", 1)];
        assert_eq!(outcomes, expected.map(|(word, count)| (word.to_owned(), count)).into());
        let of_line = |line: u64| receipts.iter().find(|receipt| receipt["line"] == line).unwrap();
        let uuid = &world.customer("new")["uuid"];
        assert_eq!(
            *of_line(1),
            json!({"line": 1, "namespace": null, "stream": "customers", "object": "customers", "key": "new", "outcome": "created",
                "reason": null, "uuid": uuid, "attempts": 1, "http_status": 201, "code": null})
        );
        assert_eq!(of_line(2)["attempts"], 0, "nothing was sent");
        assert_eq!((&of_line(2)["uuid"], &of_line(5)["reason"]), (&world.customer("same")["uuid"], &json!("no_match")));
        assert_eq!((&of_line(6)["code"], &of_line(7)["key"]), (&json!("FIELD_VALUE"), &Value::Null));
        assert!(of_line(9)["uuid"].as_str().unwrap().starts_with("con_") && of_line(10)["code"] == "PARENT_NOT_FOUND");
        assert_eq!(of_line(13)["namespace"], "shop");

        let rejects = rejects(&kept);
        let data: BTreeMap<u64, Value> =
            rejects.iter().map(|kept| (kept.line, serde_json::from_str(&kept.data).unwrap())).collect();
        let input: Vec<Value> =
            String::from_utf8(run.fed.clone()).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(data.keys().copied().collect::<Vec<_>>(), [6, 7, 10, 13]);
        assert!(data.iter().all(|(line, data)| *data == input[*line as usize - 1]["record"]["data"]), "{data:?}");
        let folders: BTreeSet<String> = files(&kept)
            .iter()
            .map(|file| file.parent().unwrap().strip_prefix(&kept).unwrap().to_str().unwrap().to_owned())
            .collect();
        assert_eq!(folders, ["42/contacts", "42/customers", "42/shop/customers"].map(str::to_owned).into());
        assert!(files(&told).iter().all(|file| file.strip_prefix(&told).unwrap().starts_with("42")));
    }
}

#[test]
fn no_state_leaves_whose_rejects_can_not_be_kept() {
    let world = World::new();
    let kept = world.file("kept", "a file where a folder is to be");
    let run = world
        .sync()
        .config(json!({"object_storage_config": {"storage_type": "Local", "path": kept}}))
        .customer(json!({"external_id": "c-1"}))
        .line(state("customers", 1))
        .customer(json!({"name": "No Key"}))
        .line(state("customers", 2))
        .line(state("contacts", 3))
        .run();
    let message = run.failed("config_error", "STORE_REFUSED");
    assert!(
        message.contains("Rejected records could not be kept in the folder") && message.contains("may be written to"),
        "{message}"
    );
    assert_eq!(run.state_ids().into_iter().collect::<BTreeSet<_>>(), [1, 3].into(), "those that cover no reject: {run}");
    assert!(run.logged(&["1 STATEs of stream customers did not leave", "were not kept"]), "{run}");
}

type Shared = (Arc<Mutex<Vec<String>>>, Arc<Mutex<Vec<u16>>>, Sender<u16>);

/// A webhook that gives these statuses first, then 204.
struct Hook {
    url: String,
    bodies: Arc<Mutex<Vec<String>>>,
    statuses: Arc<Mutex<Vec<u16>>>,
    /// The status of each answer.
    answered: Receiver<u16>,
}

impl Hook {
    fn new(statuses: Vec<u16>) -> Hook {
        let (bodies, statuses) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(statuses)));
        let (tell, answered) = channel();
        let shared = (Arc::clone(&bodies), Arc::clone(&statuses), tell);
        let answer = async |State((bodies, statuses, tell)): State<Shared>, body: String| {
            let status = statuses.lock().unwrap().pop().unwrap_or(204);
            let _ = tell.send(status);
            if status == 204 {
                bodies.lock().unwrap().push(body);
            }
            StatusCode::from_u16(status).unwrap()
        };
        let router = Router::new().route("/receipts", post(answer)).with_state(shared);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}/receipts", listener.local_addr().unwrap());
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), router).await })
        });
        Hook { url, bodies, statuses, answered }
    }

    fn receipts(&self) -> Vec<Value> {
        let bodies = self.bodies.lock().unwrap();
        bodies.iter().flat_map(|body| body.lines()).map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[test]
fn a_webhook_gets_every_receipt_once_it_takes_them_and_only_then_the_state_leaves() {
    let world = World::new();
    let hook = Hook::new(vec![500, 503, 500]);
    let mut live = world.sync().config(json!({"receipts": {"storage_type": "Webhook", "url": hook.url}})).start();
    live.feed(&[record("customers", json!({"external_id": "c-1"})), state("customers", 1)]);
    live.wait_for_states(1);
    assert_eq!((lines_of(&hook.receipts()), hook.statuses.lock().unwrap().len()), (vec![1], 0), "the STATE came after it");
    live.feed(&[record("customers", json!({"external_id": "c-1"})), record("customers", json!({}))]);
    live.end_input();
    let run = live.finish().succeeded();
    // In the order of the outcomes: what is rejected without a request has its own in its turn.
    assert_eq!((lines_of(&hook.receipts()), run.state_ids()), (vec![1, 3, 4], vec![1]));
}

#[test]
fn a_webhook_that_fails_for_long_ends_the_sync_without_the_state() {
    for (status, kind, code) in [(500, "transient_error", "STORE_UNAVAILABLE"), (403, "config_error", "STORE_REFUSED")] {
        let world = World::new();
        let hook = Hook::new(vec![status; 10_000]);
        let run = world
            .sync()
            .config(json!({"receipts": {"storage_type": "Webhook", "url": hook.url, "authorization": "Bearer hush-hush-token"},
                "limits": {"requests_per_second": 1000, "connections": 20, "give_up_after_minutes": 0.02}}))
            .customer(json!({"external_id": "c-1"}))
            .line(state("customers", 1))
            .run();
        let message = run.failed(kind, code);
        assert!(message.contains(&format!("the webhook: it answered with HTTP {status}.")), "{message}");
        assert!(run.states().is_empty() && !run.stdout.iter().any(|line| line.contains("hush-hush")), "{run}");
    }
}

#[test]
fn asked_to_stop_while_the_store_waits_it_ends_in_time_and_says_so() {
    let world = World::new();
    let hook = Hook::new(vec![500; 10_000]);
    let mut live = world.sync().config(json!({"receipts": {"storage_type": "Webhook", "url": hook.url}})).start();
    live.feed(&[record("customers", json!({"external_id": "c-1"})), state("customers", 1)]);
    live.end_input();
    assert_eq!(hook.answered.recv(), Ok(500));
    live.signal("TERM");
    let run = live.finish();
    assert_eq!((run.code, run.states().len()), (Some(143), 0), "{run}");
    assert!(run.logged(&["asked to stop: what is still to be kept has 27 s"]), "{run}");
    assert!(run.logged(&["1 STATEs of stream customers did not leave", "were not kept"]), "{run}");
    assert!(run.logged(&["summary ", r#""ending":"interrupted""#, r#""waiting_to_be_kept":1"#]), "{run}");
}

#[test]
fn asked_to_stop_states_leave_once_they_may_however_long_a_request_takes() {
    let world = World::new();
    world.fault("POST /customers hang");
    let hook = Hook::new(vec![500; 10_000]);
    let mut live = world.sync().config(json!({"receipts": {"storage_type": "Webhook", "url": hook.url}})).start();
    live.feed(&[record("customers", json!({"external_id": "c-1"})), record("contacts", json!({})), state("contacts", 1)]);
    assert_eq!(hook.answered.recv(), Ok(500));
    live.signal("TERM");
    live.wait_for_line(&["asked to stop"]);
    hook.statuses.lock().unwrap().clear();
    live.wait_for_states(1);
    // The request that hangs is still under way.
    live.kill();
    let run = live.finish_cut_short();
    assert!(!run.logged(&["summary "]), "{run}");
}

#[test]
fn after_a_signal_every_record_of_a_state_that_left_has_its_receipt() {
    for signal in ["TERM", "KILL"] {
        let world = World::new();
        let (kept, told) = (world.path("kept"), world.path("told"));
        let config = json!({"object_storage_config": {"storage_type": "Local", "path": kept, "format": {"format_type": "JSONL"}},
            "receipts": {"storage_type": "Local", "path": told}});
        let mut live = world.sync().config(config).start();
        for n in 1..=300 {
            let key = if n % 3 == 0 { json!({"name": "No Key"}) } else { json!({"external_id": format!("c-{n}")}) };
            live.feed(&[record("customers", key), state("customers", n)]);
        }
        live.wait_for_states(20);
        live.signal(signal);
        let run = match signal {
            "TERM" => live.finish(),
            _ => live.finish_cut_short(),
        };
        let last = run.state_ids().last().copied().unwrap() as u64;
        let receipts = receipts(&told);
        let told: BTreeSet<u64> = lines_of(&receipts).into_iter().collect();
        assert_eq!(told.len(), receipts.len(), "none twice");
        let covered = record_lines(&run, last * 2);
        assert!(covered.is_subset(&told), "{signal}: a STATE left before the receipts of its records");
        let kept: BTreeSet<u64> = rejects(&kept).iter().map(|kept| kept.line).collect();
        let rejected: BTreeSet<u64> = receipts
            .iter()
            .filter(|receipt| receipt["outcome"] == "rejected")
            .map(|receipt| receipt["line"].as_u64().unwrap())
            .collect();
        let covered_rejects: BTreeSet<u64> = rejected.intersection(&covered).copied().collect();
        assert!(covered_rejects.is_subset(&kept) && !covered_rejects.is_empty());
        if signal == "TERM" {
            assert_eq!((run.code, kept), (Some(143), rejected));
        }
    }
}

#[test]
fn check_tells_what_can_not_be_kept_with_all_else_and_leaves_nothing_behind() {
    let world = World::new();
    let status = |config: Value| {
        let run = world.check(&world.config(config)).succeeded();
        let status = run.only("CONNECTION_STATUS")["connectionStatus"].clone();
        (status["status"].as_str().unwrap().to_owned(), status["message"].as_str().unwrap().to_owned())
    };
    let hook = Hook::new(Vec::new());
    let good = json!({"object_storage_config": {"storage_type": "Local", "path": world.path("a/b")},
        "receipts": {"storage_type": "Webhook", "url": hook.url}});
    assert_eq!(status(good).0, "SUCCEEDED");
    assert!(!world.path("a").exists() && hook.receipts().is_empty() && hook.bodies.lock().unwrap().len() == 1);
    let hook = Hook::new(vec![404; 100]);
    let file = world.file("file", "x");
    let (word, message) = status(json!({"object_storage_config": {"storage_type": "Local", "path": file},
        "receipts": {"storage_type": "Webhook", "url": hook.url}, "api_key": "nobody-knows-this-key"}));
    assert_eq!((&*word, message.lines().count()), ("FAILED", 3), "{message}");
    assert!(message.contains("API key") && message.contains("the folder") && message.contains("HTTP 404"), "{message}");
}

#[test]
fn records_that_go_in_bulk_have_their_receipts_too() {
    let world = World::new();
    let told = world.path("told");
    let customers =
        (0..60).map(|n| record("customers", json!({"external_id": format!("c-{n}"), "name": format!("Customer {n}")})));
    let run = world
        .sync()
        .config(json!({"bulk_import": "auto", "receipts": {"storage_type": "Local", "path": told}}))
        .lines(customers)
        .line(state("customers", 1))
        .run()
        .succeeded();
    let receipts = receipts(&told);
    let lines: BTreeSet<u64> = lines_of(&receipts).into_iter().collect();
    assert_eq!((receipts.len(), lines), (60, record_lines(&run, u64::MAX)));
    assert!(receipts.iter().all(|receipt| receipt["outcome"] == "created" && receipt["attempts"] == 1), "{receipts:?}");
    assert!(world.requests_with("POST") < 10, "they went in bulk");
}

#[test]
fn records_that_share_a_request_have_a_receipt_each() {
    let world = World::new();
    let told = world.path("told");
    let uuid = world.given_customer("c-1", json!({"name": "Before"}));
    let names = ["One", "Two", "Three"].map(|name| record("customers", json!({"external_id": "c-1", "name": name})));
    let run = world.sync().config(json!({"receipts": {"storage_type": "Local", "path": told}})).lines(names).run().succeeded();
    let receipts = receipts(&told);
    assert_eq!((receipts.len(), world.requests_with("PATCH")), (3, 1), "{run}");
    assert!(receipts.iter().all(|receipt| receipt["outcome"] == "updated" && receipt["uuid"] == *uuid), "{receipts:?}");
}
