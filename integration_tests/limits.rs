//! The API's limits, as the sandbox itself counts them.

use std::time::{Duration, Instant};

use destination_chartmogul::sandbox::Options;
use serde_json::json;

use crate::harness::{World, record, state};

/// The shortest time in which so many requests can be sent at a pace: a second's worth may leave at once. On a machine that is
/// busy they take longer, and arrive less evenly than they were sent: how evenly that is, and how near to the cap, is shown by
/// `benches/cap.py` and by the tests of the pace itself.
fn shortest(requests: u32, per_second: u32) -> Duration {
    Duration::from_secs(1) * (requests - per_second) / per_second
}

#[test]
fn default_limits_are_kept() {
    let world = World::alone_with(Options { requests_per_second: 80, latency: Duration::from_millis(150), ..Options::default() });
    let customers = (0..240).map(|n| record("customers", json!({"external_id": format!("c-{n}")})));
    let sync = world.sync().config(json!({"mode": "insert", "limits": {}})).lines(customers).line(state("customers", 1));
    let began = Instant::now();
    let run = sync.run().succeeded();
    let took = began.elapsed();
    assert_eq!(run.outcomes("customers"), "240 read, 240 created");
    let observed = world.sandbox.observed();
    assert_eq!((observed.given_429, observed.given_503), (0, 0), "{observed:#?}");
    assert_eq!(observed.requests, 240);
    assert!(took >= shortest(240, 40), "{took:?}");
    assert!(observed.most_in_flight <= 20, "{} requests at once", observed.most_in_flight);
    // Not by being slow: at 150 ms each, a pace near the cap needs several at once.
    assert!(observed.most_in_flight >= 2, "{} requests at once", observed.most_in_flight);
}

#[test]
fn never_more_than_the_configured_connections_at_once() {
    let world = World::with(Options { latency: Duration::from_millis(20), ..crate::harness::options() });
    let customers = (0..100).map(|n| record("customers", json!({"external_id": format!("c-{n}")})));
    let limits = json!({"connections": 3, "requests_per_second": 5000});
    world.sync().config(json!({"mode": "insert", "limits": limits})).lines(customers).run().succeeded();
    assert_eq!(world.sandbox.observed().most_in_flight, 3);
}

#[test]
fn never_faster_than_configured() {
    let world = World::alone_with(crate::harness::options());
    let customers = (0..25).map(|n| record("customers", json!({"external_id": format!("c-{n}")})));
    let limits = json!({"requests_per_second": 10});
    let sync = world.sync().config(json!({"mode": "insert", "limits": limits})).lines(customers);
    let began = Instant::now();
    sync.run().succeeded();
    let took = began.elapsed();
    assert!(took >= shortest(25, 10), "{took:?}");
}
