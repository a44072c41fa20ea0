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
        // A look for each key, then a create.
        uses_the_cap("upsert", 2 * CUSTOMERS, latency).await;
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
