//! Faults that take long, against every kind of write, on a paused clock: silence up to the client's time limit, outages of ten
//! minutes and without end, storms, a record that breaks the server. The columns are those of the table over sockets
//! (`integration_tests/fault_matrix.rs`). `cargo test --lib outage -- --nocapture` prints this one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::Attempt;
use super::company_chaos_tests::assert_same;
use super::testing::{Collected, Ran, catalog, record, run, run_over, settings, state};
use crate::client::{HttpRequest, HttpResponse, InProcess, Transport, TransportError};
use crate::errors::Code;
use crate::failure::FailureType;
use crate::outcome::Outcome;
use crate::sandbox::{Effect, Fault, Sandbox, WRITE_KEY};

const FIRST: u32 = 11;
/// Enough things to tell by, where one of them breaks the server.
const THINGS: u32 = 13;
/// As that of the HTTP transport, whose own tests show that it keeps it.
const TIME_LIMIT: Duration = Duration::from_secs(60);
const TEN_MINUTES: Duration = Duration::from_secs(600);

#[derive(Deserialize)]
struct Operations {
    there: Vec<There>,
    operations: Vec<Operation>,
}

#[derive(Deserialize)]
struct There {
    stream: String,
    row: Value,
}

/// A column.
#[derive(Deserialize)]
struct Operation {
    kind: String,
    mode: String,
    stream: String,
    config: Value,
    rows: Vec<Value>,
}

fn operations() -> Operations {
    serde_json::from_str(include_str!("../../integration_tests/fixtures/operations.json")).unwrap()
}

fn numbered(row: &Value, number: u32) -> Value {
    serde_json::from_str(&row.to_string().replace("{n}", &number.to_string())).unwrap()
}

impl Operation {
    fn row(&self, at: u32) -> Value {
        numbered(&self.rows[at as usize % self.rows.len()], FIRST + at)
    }

    fn input(&self) -> String {
        (0..THINGS).map(|at| record(&self.stream, &self.row(at)) + &state(&self.stream, at.into())).collect()
    }

    /// A sandbox with what is changed, deleted and referred to.
    async fn prepared(&self) -> Sandbox {
        let sandbox = Sandbox::new(crate::sandbox::Options::default());
        let all = operations().there;
        let wanted = all.iter().filter(|there| there.stream == "customers" || there.stream == self.stream);
        let rows = wanted.flat_map(|there| (0..THINGS).map(|at| record(&there.stream, &numbered(&there.row, FIRST + at))));
        let streams = catalog(&["customers", "customer_notes", "invoices"]);
        run(&sandbox, &settings(&serde_json::json!({})), &streams, rows.collect()).await.assert_sound();
        sandbox
    }

    async fn run(&self, sandbox: &Sandbox, road: Road, input: String) -> Ran {
        let road = Arc::new(road.to(sandbox));
        let (settings, streams) = (settings(&self.config), catalog(&[&self.stream]));
        run_over(&Collected::default(), Attempt::new(None, None), road, &settings, &streams, input, std::future::pending()).await
    }

    /// The requests that write the first thing.
    fn of_the_first(&self, sandbox: &Sandbox) -> Fault {
        let fault = Fault { times: None, ..Fault::next(Effect::Status(500)) };
        let name = if self.stream == "customer_notes" { "text" } else { "external_id" };
        let key = |row: &Value| row[name].as_str().unwrap().to_owned();
        if ["insert", "upsert"].contains(&self.mode.as_str()) {
            return Fault { method: Some("POST".into()), body: Some(key(&self.row(0))), ..fault };
        }
        let there = operations().there.into_iter().find(|there| there.stream == self.stream).unwrap();
        let (key, dump) = (key(&numbered(&there.row, FIRST)), sandbox.dump());
        let entries = dump[&self.stream].as_array().unwrap().clone();
        let entry = entries.iter().find(|entry| entry.to_string().contains(&format!("\"{key}\""))).unwrap();
        Fault { path: Some(format!("/{}/{}", self.stream, entry["uuid"].as_str().unwrap())), ..fault }
    }
}

/// The road to a sandbox, with the time limit of a real one, and a switch by which nobody is reached.
#[derive(Clone, Default)]
pub(super) struct Road {
    closed: Arc<AtomicBool>,
}

pub(super) struct Way {
    road: Road,
    sandbox: InProcess,
}

impl Road {
    pub(super) fn to(self, sandbox: &Sandbox) -> Way {
        Way { road: self, sandbox: InProcess::new(sandbox.clone(), WRITE_KEY) }
    }
}

impl Transport for Way {
    fn exchange<'a>(&'a self, request: &'a HttpRequest) -> BoxFuture<'a, Result<HttpResponse, TransportError>> {
        async move {
            if self.road.closed.load(Ordering::Relaxed) {
                return Err(TransportError::Connect("connection refused".to_owned()));
            }
            let silence = |_| Err(TransportError::Timeout("operation timed out".to_owned()));
            timeout(TIME_LIMIT, self.sandbox.exchange(request)).await.unwrap_or_else(silence)
        }
        .boxed()
    }
}

/// A row.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// Faults that wear out.
    Passes(&'static str),
    /// A fault that strikes everything for ten minutes.
    TenMinutes(&'static str),
    /// Nobody is reached for ten minutes.
    TenMinutesUnreached,
    /// A fault without end, and how it ends the sync.
    Stays(&'static str, Code),
    /// Nobody is reached any more.
    Unreached,
    /// The first record fails every time.
    BreaksServer,
}

use Trouble::{BreaksServer, Passes, Stays, TenMinutes, TenMinutesUnreached, Unreached};

const ROWS: &[(&str, Trouble)] = &[
    (
        "no answer within the time limit",
        Passes("GET hang=900s\nPOST hang=900s\nPATCH hang=900s\nPUT hang=900s\nDELETE hang=900s"),
    ),
    (
        "the same, the work done",
        Passes("POST after-work hang=900s x2\nPATCH after-work hang=900s\nPUT after-work hang=900s\nDELETE after-work hang=900s"),
    ),
    ("an answer one second before the limit", Passes("* slow=59s x4")),
    ("storm of 503", Passes("* 503 x14")),
    ("storm of 429", Passes("* 429 x14")),
    ("ten minutes of 500", TenMinutes("* skip=3 status=500 x*")),
    ("ten minutes of 502, the work done", TenMinutes("* skip=3 after-work html=502 x*")),
    ("ten minutes of resets", TenMinutes("* skip=3 reset x*")),
    ("ten minutes of 429", TenMinutes("* skip=3 429 x*")),
    ("ten minutes of 429 with Retry-After", TenMinutes("* skip=3 429 retry-after=20 x*")),
    ("ten minutes of 503", TenMinutes("* skip=3 503 x*")),
    ("ten minutes of silence", TenMinutes("* skip=3 hang=900s x*")),
    ("ten minutes of refused connections", TenMinutesUnreached),
    ("500 without end", Stays("* skip=3 status=500 x*", Code::ApiOutage)),
    ("429 without end", Stays("* skip=3 429 x*", Code::ApiOutage)),
    ("silence without end", Stays("* skip=3 hang=900s x*", Code::ApiOutage)),
    ("refused connections without end", Unreached),
    ("one record breaks the server", BreaksServer),
];

async fn cell(trouble: Trouble, operation: &Operation, clean: &(Sandbox, Ran)) {
    let sandbox = operation.prepared().await;
    let script = |lines: &str| lines.lines().for_each(|line| sandbox.script(line.parse().unwrap()));
    let road = Road::default();
    let begun = Instant::now();
    let run = operation.run(&sandbox, road.clone(), operation.input());
    let what = format!("{trouble:?}, {} {}", operation.kind, operation.mode);
    match trouble {
        Passes(lines) => {
            script(lines);
            endured(&what, &sandbox, &run.await, clean);
        }
        TenMinutes(line) => {
            script(line);
            let (ran, ()) = tokio::join!(run, async {
                sleep(TEN_MINUTES).await;
                sandbox.recover();
            });
            endured(&what, &sandbox, &ran, clean);
        }
        TenMinutesUnreached => {
            let (ran, ()) = tokio::join!(run, async {
                sleep(Duration::from_millis(40)).await;
                road.closed.store(true, Ordering::Relaxed);
                sleep(TEN_MINUTES).await;
                road.closed.store(false, Ordering::Relaxed);
            });
            endured(&what, &sandbox, &ran, clean);
        }
        Stays(line, code) => {
            script(line);
            let ran = run.await;
            // The patience is 15 minutes; a pause or an attempt that is under way then may take another minute or two.
            assert!((900..1080).contains(&begun.elapsed().as_secs()), "{what}: after {:?}", begun.elapsed());
            failed(&what, operation, &sandbox, &ran, code, clean).await;
        }
        Unreached => {
            let (ran, ()) = tokio::join!(run, async {
                sleep(Duration::from_millis(40)).await;
                road.closed.store(true, Ordering::Relaxed);
            });
            failed(&what, operation, &sandbox, &ran, Code::HostUnreachable, clean).await;
        }
        BreaksServer => {
            sandbox.script(operation.of_the_first(&sandbox));
            let ran = run.await;
            ran.assert_sound();
            let codes: Vec<Code> = ran.report.samples.iter().map(|sample| sample.rejection.code()).collect();
            assert_eq!(codes, [Code::RecordBreaksServer], "{what}");
            let mut counts = ran.states();
            assert_eq!(counts.remove(0), (0.0, 1.0), "{what}");
            assert!(counts.iter().all(|counts| *counts == (1.0, 0.0)), "{what}: {counts:?}");
            sandbox.recover();
            operation.run(&sandbox, road, operation.input()).await.assert_sound();
            assert_same(&what, &sandbox, &clean.0);
        }
    }
}

fn outcomes(ran: &Ran) -> Vec<u64> {
    [Outcome::Created, Outcome::Updated, Outcome::Unchanged, Outcome::Deleted]
        .iter()
        .map(|outcome| ran.count(outcome.as_str()))
        .collect()
}

fn endured(what: &str, sandbox: &Sandbox, ran: &Ran, (clean, expected): &(Sandbox, Ran)) {
    ran.assert_sound();
    assert_eq!((outcomes(ran), ran.states()), (outcomes(expected), expected.states()), "{what}");
    assert_same(what, sandbox, clean);
}

/// It failed as it should; then the far side is well, and everything is sent that no STATE covers.
async fn failed(what: &str, operation: &Operation, sandbox: &Sandbox, ran: &Ran, code: Code, clean: &(Sandbox, Ran)) {
    let failure = ran.ending.as_ref().unwrap_err();
    assert_eq!((failure.kind, failure.code), (FailureType::Transient, code), "{what}");
    let covered = ran.states().len();
    assert!(covered < THINGS as usize, "{what}");
    let rest: String = operation.input().lines().skip(covered * 2).map(|line| format!("{line}\n")).collect();
    sandbox.recover();
    let again = operation.run(sandbox, Road::default(), rest).await;
    again.assert_sound();
    assert_eq!(again.states(), vec![(1.0, 0.0); THINGS as usize - covered], "{what}");
    assert_same(what, sandbox, &clean.0);
}

#[tokio::test(start_paused = true)]
async fn every_write_bears_what_takes_long() {
    let operations = operations().operations;
    let mut clean = Vec::new();
    for operation in &operations {
        let sandbox = operation.prepared().await;
        let ran = operation.run(&sandbox, Road::default(), operation.input()).await;
        ran.assert_sound();
        assert_eq!(ran.states(), vec![(1.0, 0.0); THINGS as usize]);
        clean.push((sandbox, ran));
    }
    let names: Vec<String> = operations.iter().map(|operation| format!("{} {}", operation.kind, operation.mode)).collect();
    println!("{:<40} | {} (held, after so many seconds)", "", names.join(" | "));
    for (name, trouble) in ROWS {
        let mut held = Vec::new();
        for ((operation, clean), name) in operations.iter().zip(&clean).zip(&names) {
            let begun = Instant::now();
            cell(*trouble, operation, clean).await;
            held.push(format!("{:>width$}", begun.elapsed().as_secs(), width = name.len()));
        }
        println!("{name:<40} | {}", held.join(" | "));
    }
}
