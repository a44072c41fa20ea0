//! How much of the API's limits a whole sync uses, in simulated time.
//!
//! The figure to reach: at least 97% of 40 requests a second at 20 to 300 ms latency, and never a 429. How several share an
//! account is looked at closely in the client; here whole syncs do it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::testing::{catalog, record, run, settings};
use crate::sandbox::{Observed, Options, Sandbox};

const CUSTOMERS: u64 = 2_000;

/// What is synced.
#[derive(Clone, Copy)]
enum Kind {
    /// New customers, in this mode.
    New(&'static str),
    /// Customers that stand there, each found by its e-mail address, and changed.
    LookAndChange,
}

/// What a sync took, and what the sandbox saw of it.
async fn sync(kind: Kind, latency: Duration) -> (Duration, Observed, Value) {
    let customers = if matches!(kind, Kind::LookAndChange) { CUSTOMERS as usize } else { 0 };
    let sandbox = Sandbox::new(Options { latency, jitter: latency / 4, customers, ..Options::default() });
    let row = |n| match kind {
        Kind::New(_) => json!({"external_id": format!("c-{n}"), "name": format!("Customer {n}"), "seats": n}),
        Kind::LookAndChange => json!({"email": format!("sample{}@example.com", n + 1), "name": format!("Customer {n}")}),
    };
    let (config, outcome) = match kind {
        Kind::New(mode) => (json!({"mode": mode}), "created"),
        Kind::LookAndChange => (json!({"mode": "update", "streams": [{"stream": "customers", "match": "email"}]}), "updated"),
    };
    let rows: String = (0..CUSTOMERS).map(|n| record("customers", &row(n))).collect();
    let start = Instant::now();
    let ran = run(&sandbox, &settings(&config), &catalog(&["customers"]), rows).await;
    let took = start.elapsed();
    ran.assert_sound();
    assert_eq!(ran.count(outcome), CUSTOMERS);
    (took, sandbox.observed(), sandbox.contents())
}

async fn uses_the_cap(name: &str, kind: Kind, requests: u64, latency: u64) {
    let latency = Duration::from_millis(latency);
    let (took, observed, contents) = sync(kind, latency).await;
    assert_eq!(observed.requests, requests, "{name}: no more requests than are needed");
    let used = observed.requests as f64 / 40.0 / took.as_secs_f64();
    assert!(used >= 0.97, "{name} at {latency:?}: {:.2}% of the cap", used * 100.0);
    assert!(observed.most_in_one_second <= 40 && observed.most_in_flight <= 20, "{name} at {latency:?}");
    assert_eq!((observed.given_429, observed.given_503), (0, 0), "{name} at {latency:?}");
    // The same seed, the same run.
    let (again, observed_again, contents_again) = sync(kind, latency).await;
    assert_eq!(took, again);
    assert_eq!(serde_json::to_value(&observed.log).unwrap(), serde_json::to_value(&observed_again.log).unwrap());
    assert_eq!(contents, contents_again);
}

#[tokio::test(start_paused = true)]
async fn inserts_use_the_cap_at_any_latency() {
    for latency in [20, 100, 300] {
        uses_the_cap("insert", Kind::New("insert"), CUSTOMERS, latency).await;
    }
}

#[tokio::test(start_paused = true)]
async fn upserts_use_the_cap_at_any_latency() {
    for latency in [20, 100, 300] {
        // One page tells that nobody is there, then a create each.
        uses_the_cap("upsert", Kind::New("upsert"), CUSTOMERS + 1, latency).await;
    }
}

#[tokio::test(start_paused = true)]
async fn reads_and_writes_in_turn_use_the_cap_at_any_latency() {
    for latency in [20, 100, 300] {
        uses_the_cap("look and change", Kind::LookAndChange, 2 * CUSTOMERS, latency).await;
    }
}

#[tokio::test(start_paused = true)]
async fn three_syncs_at_once_use_the_cap_together_and_none_is_left_behind() {
    let latency = Duration::from_millis(100);
    let sandbox = Sandbox::new(Options { latency, jitter: latency / 4, ..Options::default() });
    let start = Instant::now();
    let (settings, catalog) = (settings(&json!({"mode": "insert"})), catalog(&["customers"]));
    let ended = futures_util::future::join_all((0..3_u64).map(|at| {
        let rows: String =
            (0..CUSTOMERS).map(|n| record("customers", &json!({"external_id": format!("{at}-{n}"), "name": "Name"}))).collect();
        let (sandbox, settings, catalog) = (&sandbox, &settings, &catalog);
        async move {
            tokio::time::sleep(Duration::from_secs(5 * at)).await;
            let ran = run(sandbox, settings, catalog, rows).await;
            ran.assert_sound();
            assert_eq!(ran.count("created"), CUSTOMERS);
            start.elapsed().as_secs_f64()
        }
    }))
    .await;
    let fair = (3 * CUSTOMERS) as f64 / 40.0;
    let (first, last) = ended.iter().fold((f64::MAX, 0_f64), |(first, last), end| (first.min(*end), last.max(*end)));
    // The last one to end has the account for itself in the end, and takes a while to find that out.
    assert!(last < 1.25 * fair && first > 0.5 * fair, "{ended:?} of {fair}");
    let observed = sandbox.observed();
    assert!(observed.given_429 * 1_000 < 20 * observed.requests, "{} of {}", observed.given_429, observed.requests);
}
