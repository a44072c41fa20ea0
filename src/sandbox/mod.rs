//! The sandbox: a local ChartMogul look-alike.
//!
//! Owns how the far side answers: routes, statuses, error bodies, paging, limits and, on request, faults. It is the place
//! where a newcomer tries the connector without an account and where tests find out what really arrived. It does not own,
//! and never reads, how the connector plans, sends or retries: it is written from ChartMogul's documentation and from
//! recorded answers, so that it can disagree with our client. From the rest of the crate it reads only the facts of
//! [`crate::objects`]; for notes, opportunities and tasks it has field tables of its own.
//!
//! Where a fact comes from is said beside the rule:
//! - *recorded*: seen in a recorded answer of the real API (`recorded_tests.rs` compares them);
//! - *documented*: stated on the named page of ChartMogul's documentation, or written into an official client;
//! - *unknown*: nobody has said. Then the sandbox takes the strict side, which is the one a client finds harder.
//!
//! Two ways in: [`Sandbox::answer`] within the process (it only ever waits on tokio's clock, so tests may pause it), and
//! [`Sandbox::serve`] over a socket.

mod account;
mod answers;
mod attributes;
mod billing;
mod contacts;
mod countries;
mod crm;
mod customers;
mod data_sources;
mod durations;
mod faults;
mod fields;
pub mod imports;
mod limits;
mod merges;
mod notes;
mod observed;
mod opportunities;
mod page;
mod paging;
mod random;
mod routes;
mod server;
mod shelves;
mod snapshot;
mod store;
mod tasks;

#[cfg(test)]
mod api_tests;
#[cfg(test)]
mod crm_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod recorded_tests;
#[cfg(test)]
mod testing;

pub use durations::parse_duration;
pub use faults::{Effect, Fault, FaultError};
pub use observed::{Logged, Observed};
pub use opportunities::Pipeline;
#[cfg(test)]
pub(crate) use testing::Peek;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use answers::{Reply, coded};
use faults::Faults;
use limits::Limits;
use observed::Observer;
use routes::Call;
use store::State;

/// The key that may read and write.
pub const WRITE_KEY: &str = "sandbox-write-key";
/// The key that may only read.
pub const READ_ONLY_KEY: &str = "sandbox-read-only-key";
/// The UUID of the first data source, the same in every sandbox.
pub const DATA_SOURCE_UUID: &str = "ds_5a4db0c5-0000-4000-8000-000000000001";
/// The UUID of the second data source, where [`Options::data_sources`] names two.
pub const SECOND_DATA_SOURCE_UUID: &str = "ds_5a4db0c5-0000-4000-8000-000000000002";
/// Larger bodies are refused. Documented for bulk imports ("Bulk Import": 5 MB, which they take to the letter); for other
/// calls it is unknown.
pub const MAX_BODY: usize = 5 * 1024 * 1024;

/// What a sandbox is like.
#[derive(Debug, Clone)]
pub struct Options {
    /// Requests that may arrive within any one second. Documented: 40 ("Rate limits").
    pub requests_per_second: u32,
    /// Requests that may be in flight at once. Documented: 20 parallel connections ("Rate limits").
    pub connections: u32,
    /// How long each answer takes; half of it passes before the work is done, half after.
    pub latency: Duration,
    /// Up to this much is added to the latency of each answer, drawn from the seed.
    pub jitter: Duration,
    /// What UUIDs, jitter and random faults are drawn from.
    pub seed: u64,
    /// Customers that stand in the first data source from the start.
    pub customers: usize,
    /// The keys that are let in.
    pub api_keys: Vec<ApiKey>,
    /// Names of the data sources; the first is [`DATA_SOURCE_UUID`].
    pub data_sources: Vec<String>,
    /// E-mail addresses of the account's users; only they can own customers and opportunities, write notes and have tasks.
    pub users: Vec<String>,
    /// Custom keys of contacts that were defined in the app; others are dropped.
    pub contact_attributes: Vec<String>,
    /// The same of opportunities.
    pub opportunity_attributes: Vec<String>,
    /// Where opportunities can stand.
    pub pipelines: Vec<Pipeline>,
    /// How bulk imports behave, of which much is unknown.
    pub imports: imports::Readings,
    /// Behaviour that is unknown or rare.
    pub quirks: Quirks,
}

/// A key and what it may do.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// The key itself.
    pub key: String,
    /// Whether it may write.
    pub writes: bool,
}

/// Behaviour that is unknown or rare, to be switched.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quirks {
    /// Whether a JSON null in a PATCH clears the field. Unknown; by default the old value stays.
    pub null_clears: bool,
    /// Seconds that a 429 of the rate limit names in `Retry-After`. Neither documented nor recorded; by default absent.
    pub retry_after: Option<u32>,
    /// Entries created less than this ago do not stand in lists yet. Unknown; by default they do at once.
    pub list_lag: Duration,
    /// Whether a POST to the attributes endpoint leaves a key alone that is there. Unknown; by default it is written over.
    pub post_keeps_attributes: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            requests_per_second: 40,
            connections: 20,
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            seed: 1,
            customers: 0,
            api_keys: vec![ApiKey { key: WRITE_KEY.into(), writes: true }, ApiKey { key: READ_ONLY_KEY.into(), writes: false }],
            data_sources: vec!["Sandbox".into()],
            users: vec!["owner@example.com".into(), "second.owner@example.com".into()],
            contact_attributes: vec!["Toggle".into(), "role".into()],
            opportunity_attributes: vec!["from_campaign".into(), "deal_id".into()],
            pipelines: vec![
                Pipeline::new("New Business", &["Discovery", "Evaluation", "Closing"]),
                Pipeline::new("Expansion", &["Discovery", "Offer"]),
            ],
            imports: imports::Readings::default(),
            quirks: Quirks::default(),
        }
    }
}

/// A request as the sandbox takes it.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// GET, POST, PATCH, PUT or DELETE.
    pub method: String,
    /// The path with its version, such as `/v1/customers`.
    pub path: String,
    /// The query without the question mark, still encoded; empty where there is none.
    pub query: String,
    /// The value of the Authorization header.
    pub authorization: Option<String>,
    /// The body; empty where there is none.
    pub body: Bytes,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// An answer. Where a `content-length` header promises more than `body` holds, the rest never arrives and the
    /// connection breaks.
    Response {
        /// HTTP status.
        status: u16,
        /// Headers, names in lower case.
        headers: Vec<(String, String)>,
        /// The body.
        body: Bytes,
    },
    /// The connection was closed without an answer.
    Dropped,
}

/// A sandbox. Clones are handles on the same one.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
}

struct Shared {
    options: Options,
    inner: Mutex<Inner>,
}

struct Inner {
    state: State,
    limits: Limits,
    faults: Faults,
    observer: Observer,
}

impl Inner {
    fn new(options: &Options) -> Inner {
        Inner {
            state: State::new(options),
            limits: Limits::new(options.requests_per_second, options.connections),
            faults: Faults::new(options.seed),
            observer: Observer::new(),
        }
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// A new account with what the options say in it.
    pub fn new(options: Options) -> Sandbox {
        let inner = Mutex::new(Inner::new(&options));
        Sandbox { shared: Arc::new(Shared { options, inner }) }
    }

    /// Adds a fault; it applies from the next request on, after those added before it.
    pub fn script(&self, fault: Fault) {
        self.lock().faults.add(fault);
    }

    /// Takes back all faults that were scripted: the far side is well again.
    pub fn recover(&self) {
        self.lock().faults.forget();
    }

    /// Everything in the account, in a stable order.
    pub fn dump(&self) -> serde_json::Value {
        let mut inner = self.lock();
        self.settle(&mut inner);
        snapshot::dump(&inner.state, &self.shared.options)
    }

    /// What the account holds, without anything that differs between two runs of the same sync: no UUIDs, ids or times of
    /// creation, and no order of arrival.
    pub fn contents(&self) -> serde_json::Value {
        let mut inner = self.lock();
        self.settle(&mut inner);
        snapshot::contents(&inner.state)
    }

    /// The bulk imports that can be asked for, newest first.
    fn imports(&self) -> Vec<serde_json::Value> {
        let mut inner = self.lock();
        self.settle(&mut inner);
        inner.state.imports.dump(&self.shared.options.imports)
    }

    /// What the sandbox itself counted.
    pub fn observed(&self) -> Observed {
        let inner = self.lock();
        let now = Instant::now();
        inner.observer.report(now, inner.limits.in_window(now), inner.limits.in_flight())
    }

    /// Back to the beginning: contents, counts and faults.
    pub fn reset(&self) {
        let mut inner = self.lock();
        // Requests still under way leave through the old counter of requests in flight, so it has to survive.
        let in_flight = inner.limits.in_flight();
        *inner = Inner::new(&self.shared.options);
        inner.limits.carry_over(in_flight);
    }

    /// Answers one request: limits, faults, latency, then the routes.
    ///
    /// Dropping the future before it is done leaves the request unanswered; whether its work was done depends on how far
    /// it was, as with a real connection.
    pub async fn answer(&self, request: Request) -> Answer {
        let call = Call::read(&request.method, &request.path);
        let (mut stay, admission) = self.arrive(&request, &call);
        if let Some(refusal) = admission.refusal {
            return stay.leave(refusal.into_answer());
        }
        let fault = admission.fault;
        if let Some(fault) = fault.as_ref().filter(|fault| fault.comes_before_work()) {
            pause(admission.wait).await;
            if let Effect::Hang(time) = fault.effect {
                pause(time).await;
            }
            return stay.leave(fault.spoil(None));
        }
        pause(admission.wait / 2).await;
        let reply = self.work(&call, &request).into_answer();
        pause(admission.wait - admission.wait / 2).await;
        match fault {
            None => stay.leave(reply),
            Some(fault) => {
                if let Effect::Hang(time) = fault.effect {
                    pause(time).await;
                }
                stay.leave(fault.spoil(Some(reply)))
            }
        }
    }

    /// Counts the arrival and decides what will happen to the request.
    fn arrive(&self, request: &Request, call: &Call) -> (Stay, Admission) {
        let options = &self.shared.options;
        let now = Instant::now();
        let mut guard = self.lock();
        let inner = &mut *guard;
        let arrival = inner.limits.arrive(now);
        inner.observer.arrive(arrival.in_window, arrival.in_flight);
        let stay = Stay { sandbox: self.clone(), entry: Some(inner.observer.entry(request, call, now)) };

        let mut admission = Admission { refusal: None, fault: None, wait: options.latency };
        if arrival.too_many_at_once {
            // Documented: 503 above the limit of parallel connections ("Rate limits"); the body is unknown.
            inner.observer.over_connections();
            admission.refusal = Some(coded(503, "Too many parallel connections", None));
        } else if arrival.too_fast {
            // Documented: status and message ("Rate limits"); the shape of the body is unknown, taken from the 401.
            inner.observer.over_rate();
            let mut refusal = coded(429, RATE_MESSAGE, None);
            refusal.retry_after = options.quirks.retry_after;
            admission.refusal = Some(refusal);
        } else {
            admission.fault = inner.faults.strike(request);
            if !options.jitter.is_zero() {
                admission.wait += options.jitter.mul_f64(inner.faults.draw());
            }
            if let Some(Fault { effect: Effect::Slow(more), .. }) = &admission.fault {
                admission.wait += *more;
                admission.fault = None;
            }
        }
        (stay, admission)
    }

    fn work(&self, call: &Call, request: &Request) -> Reply {
        let mut inner = self.lock();
        self.settle(&mut inner);
        routes::work(&mut inner.state, &self.shared.options, call, request)
    }

    /// Brings the account up to now.
    fn settle(&self, inner: &mut Inner) {
        imports::settle(&mut inner.state, &self.shared.options.imports);
    }

    /// No code panics while holding the lock; should it ever, the account is still worth looking at.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Documented on the page "Rate limits".
const RATE_MESSAGE: &str = "Your request rate has exceeded our rate limit.";

struct Admission {
    refusal: Option<Reply>,
    fault: Option<Fault>,
    wait: Duration,
}

/// A request between arrival and answer. Counts it out however it ends, also when its future is dropped.
struct Stay {
    sandbox: Sandbox,
    entry: Option<Logged>,
}

impl Stay {
    fn leave(&mut self, answer: Answer) -> Answer {
        if let Some(mut entry) = self.entry.take() {
            entry.ended = match &answer {
                Answer::Response { status, .. } => status.to_string(),
                Answer::Dropped => "dropped".into(),
            };
            self.count_out(entry);
        }
        answer
    }

    fn count_out(&self, entry: Logged) {
        let mut inner = self.sandbox.lock();
        inner.limits.leave();
        inner.observer.note(entry);
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.count_out(entry);
        }
    }
}

/// Not waiting at all when there is nothing to wait for spares load tests a trip through the timer.
async fn pause(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}
