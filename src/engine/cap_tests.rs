//! How much of the API's limits a whole sync uses, in simulated time.
//!
//! The figure to reach: at least 97% of 40 requests a second at 20 to 300 ms latency, and never a 429.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::testing::{catalog, record, run, settings};
use crate::sandbox::{Observed, Options, Sandbox};

const CUSTOMERS: u64 = 2_000;

/// What a sync of new customers took, and what the sandbox saw of it.
async fn sync(mode: &str, latency: Duration) -> (Duration, Observed, Value) {
    let options = Options { latency, jitter: latency / 4, ..Options::default() };
    let sandbox = Sandbox::new(options);
    let rows: String = (0..CUSTOMERS)
        .map(|n| record("customers", &json!({"external_id": format!("c-{n}"), "name": format!("Customer {n}"), "seats": n})))
        .collect();
    let start = Instant::now();
    let ran = run(&sandbox, &settings(&json!({"mode": mode})), &catalog(&["customers"]), rows).await;
    let took = start.elapsed();
    ran.assert_sound();
    assert_eq!(ran.count("created"), CUSTOMERS);
    (took, sandbox.observed(), sandbox.contents())
}

async fn uses_the_cap(mode: &str, requests: u64, latency: u64) {
    let latency = Duration::from_millis(latency);
    let (took, observed, contents) = sync(mode, latency).await;
    assert_eq!(observed.requests, requests, "{mode}: no more requests than are needed");
    let used = observed.requests as f64 / 40.0 / took.as_secs_f64();
    assert!(used >= 0.97, "{mode} at {latency:?}: {:.2}% of the cap", used * 100.0);
    assert!(observed.most_in_one_second <= 40 && observed.most_in_flight <= 20, "{mode} at {latency:?}");
    assert_eq!((observed.given_429, observed.given_503), (0, 0), "{mode} at {latency:?}");
    // The same seed, the same run.
    let (again, observed_again, contents_again) = sync(mode, latency).await;
    assert_eq!(took, again);
    assert_eq!(serde_json::to_value(&observed.log).unwrap(), serde_json::to_value(&observed_again.log).unwrap());
    assert_eq!(contents, contents_again);
}

#[tokio::test(start_paused = true)]
async fn inserts_use_the_cap_at_any_latency() {
    for latency in [20, 100, 300] {
        uses_the_cap("insert", CUSTOMERS, latency).await;
    }
}

#[tokio::test(start_paused = true)]
async fn upserts_use_the_cap_at_any_latency() {
    for latency in [20, 100, 300] {
        // One page tells that nobody is there, then a create each.
        uses_the_cap("upsert", CUSTOMERS + 1, latency).await;
    }
}
