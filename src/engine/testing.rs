//! A whole sync in process, for tests: settings, catalog and input in, what came out and what arrived out. On tokio's
//! paused clock hours take seconds.

use std::cell::RefCell;
use std::io::Cursor;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt;

use super::intake::Intake;
use super::report::Report;
use super::{Attempt, Bounds, Ending, Engine};
use crate::binding::Bindings;
use crate::client::{Client, InProcess, Policy, Transport};
use crate::config::Settings;
use crate::failure::Failure;
use crate::protocol::Redactor;
use crate::protocol::{ConfiguredCatalog, Emitter, Level, LogLayer};
use crate::sandbox::{DATA_SOURCE_UUID, Sandbox, WRITE_KEY};
use crate::store::Store;

/// What a sync left behind.
pub(crate) struct Ran {
    pub(crate) ending: Result<Ending, Failure>,
    /// Lines of stdout.
    pub(crate) lines: Vec<Value>,
    pub(crate) report: Report,
    /// What was logged.
    pub(crate) log: String,
}

impl Ran {
    /// Count of one outcome over all streams.
    pub(crate) fn count(&self, outcome: &str) -> u64 {
        self.report.total().outcomes.get(outcome).copied().unwrap_or_default()
    }

    /// The (loaded, rejected) counts of the STATEs that came out.
    pub(crate) fn states(&self) -> Vec<(f64, f64)> {
        let count = |line: &Value, key: &str| line["state"]["destinationStats"][key].as_f64().unwrap();
        self.lines
            .iter()
            .filter(|line| line["type"] == "STATE")
            .map(|line| (count(line, "recordCount"), count(line, "rejectedRecordCount")))
            .collect()
    }

    /// Panics unless the sync ended well and every record has its outcome.
    pub(crate) fn assert_sound(&self) {
        assert_eq!(self.ending, Ok(Ending::Complete));
        let total = self.report.total();
        assert_eq!(total.read, total.settled());
        assert_eq!(self.report.states_read, self.report.states_emitted);
    }
}

/// Settings with these keys on top of the least.
pub(crate) fn settings(more: &Value) -> Settings {
    let mut config = json!({"api_key": WRITE_KEY, "data_source_uuid": DATA_SOURCE_UUID, "base_url": "http://localhost/v1"});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Settings::load(&config.to_string(), None).unwrap()
}

/// A classic catalog of these streams, without generations.
pub(crate) fn catalog(streams: &[&str]) -> Value {
    let streams: Vec<Value> = streams
        .iter()
        .map(|name| {
            json!({"stream": {"name": name, "json_schema": {"type": "object", "properties": {}}, "supported_sync_modes": ["full_refresh"]},
                "sync_mode": "full_refresh", "destination_sync_mode": "append"})
        })
        .collect();
    json!({"streams": streams})
}

/// A RECORD line.
pub(crate) fn record(stream: &str, data: &Value) -> String {
    json!({"type": "RECORD", "record": {"stream": stream, "data": data, "emitted_at": 1}}).to_string() + "\n"
}

/// A STREAM STATE line.
pub(crate) fn state(stream: &str, n: u64) -> String {
    json!({"type": "STATE", "state": {"type": "STREAM", "stream": {"stream_descriptor": {"name": stream}, "stream_state": {"n": n}}}}).to_string() + "\n"
}

/// Collects what is written to stdout, or to the log.
#[derive(Clone, Default)]
pub(crate) struct Collected(Arc<Mutex<Vec<u8>>>);

impl Collected {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The lines so far.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl std::io::Write for Collected {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

tokio::task_local! {
    /// How much waits for parents in the runs of a test, where that is another than usual.
    pub(crate) static PARKING: Bounds;
}

/// Hardly anything that waits for its parents is held in memory.
pub(crate) const TIGHT: Bounds = Bounds { here: 1500, memory: 64 << 20, away: 1 << 30 };

/// Bytes of input up to which all is logged.
const TALKATIVE: usize = 1024 * 1024;

/// Where every run logs to: neither the key, in clear or in Base64, nor an e-mail address may come by.
#[derive(Clone, Default)]
struct Watched(Collected);

impl std::io::Write for Watched {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let line = String::from_utf8_lossy(line);
        let secret = [WRITE_KEY.to_owned(), STANDARD_NO_PAD.encode(format!("{WRITE_KEY}:"))];
        assert!(!line.contains('@') && !secret.iter().any(|secret| line.contains(secret.as_str())), "logged: {line}");
        self.0.write(line.as_bytes())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs a sync against a sandbox, as a later attempt of its host or one that began at another time.
pub(crate) async fn run_as(attempt: Attempt, sandbox: &Sandbox, settings: &Settings, catalog: &Value, input: String) -> Ran {
    run_over(
        &Collected::default(),
        attempt,
        Arc::new(InProcess::new(sandbox.clone(), WRITE_KEY)),
        settings,
        catalog,
        input,
        std::future::pending(),
    )
    .await
}

/// Runs a sync against a sandbox.
pub(crate) async fn run(sandbox: &Sandbox, settings: &Settings, catalog: &Value, input: String) -> Ran {
    run_until(sandbox, settings, catalog, input, std::future::pending()).await
}

/// The same, asked to stop when `stop` resolves.
pub(crate) async fn run_until(
    sandbox: &Sandbox,
    settings: &Settings,
    catalog: &Value,
    input: String,
    stop: impl Future<Output = ()>,
) -> Ran {
    run_into(&Collected::default(), sandbox, settings, catalog, input, stop).await
}

/// The same, with what it prints collected here, so that it is not lost when the run is dropped.
pub(crate) async fn run_into(
    out: &Collected,
    sandbox: &Sandbox,
    settings: &Settings,
    catalog: &Value,
    input: String,
    stop: impl Future<Output = ()>,
) -> Ran {
    run_over(out, Attempt::new(None, None), Arc::new(InProcess::new(sandbox.clone(), WRITE_KEY)), settings, catalog, input, stop)
        .await
}

/// The same over a road of the test's own.
pub(crate) async fn run_over(
    out: &Collected,
    attempt: Attempt,
    road: Arc<dyn Transport>,
    settings: &Settings,
    catalog: &Value,
    input: String,
    stop: impl Future<Output = ()>,
) -> Ran {
    // A long run would do little but format what nobody reads.
    let level = if input.len() < TALKATIVE { Level::Trace } else { Level::Warn };
    let input = Box::new(Cursor::new(input.into_bytes()));
    let report = RefCell::default();
    let (ending, log) = run_through(Box::new(out.clone()), attempt, road, settings, catalog, (input, level), &report, stop).await;
    Ran { ending, lines: out.lines(), report: report.into_inner(), log }
}

/// The same of any input, to any output; and what was logged.
#[expect(clippy::too_many_arguments, reason = "it is what a sync is made of")]
pub(crate) async fn run_through(
    out: Box<dyn std::io::Write + Send>,
    attempt: Attempt,
    road: Arc<dyn Transport>,
    settings: &Settings,
    catalog: &Value,
    (input, level): (Box<dyn std::io::Read + Send>, Level),
    report: &RefCell<Report>,
    stop: impl Future<Output = ()>,
) -> (Result<Ending, Failure>, String) {
    let catalog = ConfiguredCatalog::parse(&catalog.to_string()).unwrap();
    let bindings = Arc::new(Bindings::new(&catalog, settings).unwrap());
    let policy = Policy {
        requests_per_second: settings.limits.requests_per_second,
        connections: settings.limits.connections,
        give_up_after: settings.limits.give_up_after,
        ..Policy::default()
    };
    let client = Client::new(road, policy);
    let emitter = Emitter::new(out, Arc::new(|| 0));
    *report.borrow_mut() = Report::new(bindings.iter().map(|binding| binding.id.clone()));
    let engine = Engine {
        bindings: Arc::clone(&bindings),
        client: &client,
        data_source: &settings.data_source,
        deletions: settings.deletions,
        attempt,
        bulk_import: settings.bulk_import,
        stop_when_rejected: settings.stop_when_rejected,
        parking: PARKING.try_with(|bounds| *bounds).unwrap_or_default(),
        emitter: &emitter,
        report,
    };
    let watched = Watched::default();
    let layer = LogLayer::person(Box::new(watched.clone()), Redactor::default(), level);
    let _logged = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let facts = |stream: &crate::protocol::ConfiguredStream| crate::store::StreamFacts {
        namespace: stream.id.namespace.as_deref().map(str::to_owned),
        name: stream.id.name.as_ref().to_owned(),
        ..Default::default()
    };
    let job = crate::store::Job {
        streams: catalog.streams.iter().map(facts).collect(),
        worker_job_id: None,
        clock: Arc::new(|| 0),
        ids: crate::store::random_ids(),
    };
    let store = Store::open(&settings.keeping, job).unwrap();
    (engine.run(Intake::inline(bindings, input), store, stop).await, watched.0.text())
}
