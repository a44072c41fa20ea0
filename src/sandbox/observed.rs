//! What the sandbox itself saw: counts, peaks and the last requests.
//!
//! Owns its own record, so that a test can hold a client to the limits without believing the client's figures.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use tokio::time::Instant;

use super::Request;
use super::routes::Call;

/// Requests that the log keeps.
const LOG_LENGTH: usize = 1000;

/// Counts since the sandbox began, or was reset.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Observed {
    /// Milliseconds since the sandbox began; [`Logged::at_ms`] counts from the same moment.
    pub now_ms: u64,
    /// Requests that arrived, refused ones included.
    pub requests: u64,
    /// Requests by method and route, then by how they ended: a status, `dropped` (closed without an answer) or
    /// `abandoned` (the client went away first).
    pub by_route: BTreeMap<String, BTreeMap<String, u64>>,
    /// Requests that arrived within the second that ends now.
    pub in_last_second: usize,
    /// The most requests that arrived within any one second.
    pub most_in_one_second: usize,
    /// Requests in flight now.
    pub in_flight: u32,
    /// The most requests that were in flight at once.
    pub most_in_flight: u32,
    /// Answers with status 429, by the limit or by a fault.
    pub given_429: u64,
    /// Answers with status 503, by the limit or by a fault.
    pub given_503: u64,
    /// Requests refused by the rate limit.
    pub over_rate: u64,
    /// Requests refused by the limit of parallel connections.
    pub over_connections: u64,
    /// The last requests that ended, oldest first.
    pub log: Vec<Logged>,
}

impl Observed {
    /// Requests of one method and route, however they ended: `requests_to("POST", "/v1/customers")`.
    pub fn requests_to(&self, method: &str, route: &str) -> u64 {
        self.by_route.get(&format!("{method} {route}")).map_or(0, |ends| ends.values().sum())
    }

    /// Requests of one method and route that ended with this status.
    pub fn answered(&self, method: &str, route: &str, status: u16) -> u64 {
        let ends = self.by_route.get(&format!("{method} {route}"));
        ends.and_then(|ends| ends.get(&status.to_string())).copied().unwrap_or(0)
    }
}

/// One request of the log.
#[derive(Debug, Clone, Serialize)]
pub struct Logged {
    /// Its arrival, in milliseconds since the sandbox began.
    pub at_ms: u64,
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Its query.
    pub query: String,
    /// The route that took it, as a template; `other` for none.
    pub route: &'static str,
    /// How it ended, as in [`Observed::by_route`].
    pub ended: String,
}

/// Keeps the counts.
#[derive(Debug)]
pub(super) struct Observer {
    start: Instant,
    counts: Observed,
    routes: BTreeMap<(String, &'static str), BTreeMap<String, u64>>,
    log: VecDeque<Logged>,
}

impl Observer {
    pub(super) fn new() -> Observer {
        Observer { start: Instant::now(), counts: Observed::default(), routes: BTreeMap::new(), log: VecDeque::new() }
    }

    pub(super) fn arrive(&mut self, in_window: usize, in_flight: u32) {
        self.counts.requests += 1;
        self.counts.most_in_one_second = self.counts.most_in_one_second.max(in_window);
        self.counts.most_in_flight = self.counts.most_in_flight.max(in_flight);
    }

    pub(super) fn over_rate(&mut self) {
        self.counts.over_rate += 1;
    }

    pub(super) fn over_connections(&mut self) {
        self.counts.over_connections += 1;
    }

    /// A line for the log, to be noted when the request ends.
    pub(super) fn entry(&self, request: &Request, call: &Call, now: Instant) -> Logged {
        Logged {
            at_ms: self.milliseconds(now),
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            route: call.template,
            ended: "abandoned".into(),
        }
    }

    pub(super) fn note(&mut self, entry: Logged) {
        match entry.ended.as_str() {
            "429" => self.counts.given_429 += 1,
            "503" => self.counts.given_503 += 1,
            _ => {}
        }
        let ends = self.routes.entry((entry.method.clone(), entry.route)).or_default();
        *ends.entry(entry.ended.clone()).or_default() += 1;
        if self.log.len() == LOG_LENGTH {
            self.log.pop_front();
        }
        self.log.push_back(entry);
    }

    /// The counts, with how much there is now.
    pub(super) fn report(&self, now: Instant, in_last_second: usize, in_flight: u32) -> Observed {
        let by_route = self.routes.iter().map(|((method, route), ends)| (format!("{method} {route}"), ends.clone()));
        Observed {
            now_ms: self.milliseconds(now),
            in_last_second,
            in_flight,
            by_route: by_route.collect(),
            log: self.log.iter().cloned().collect(),
            ..self.counts.clone()
        }
    }

    fn milliseconds(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_millis()).unwrap_or(u64::MAX)
    }
}
