//! The API's limits, as the sandbox itself counts them.

use std::time::Duration;

use destination_chartmogul::sandbox::Options;
use serde_json::json;

use crate::harness::{World, record, state};

#[test]
fn default_limits_are_kept_while_the_cap_is_used() {
    // The server may see one more than was sent within a second: one was late, the next was not.
    let world = World::alone_with(Options { requests_per_second: 41, latency: Duration::from_millis(150), ..Options::default() });
    let customers = (0..240).map(|n| record("customers", json!({"external_id": format!("c-{n}")})));
    let run = world
        .sync()
        .config(json!({"mode": "insert", "limits": {}}))
        .lines(customers)
        .line(state("customers", 1))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("customers"), "240 read, 240 created");
    let observed = world.sandbox.observed();
    assert_eq!((observed.given_429, observed.given_503), (0, 0), "{observed:#?}");
    assert_eq!(observed.requests, 240);
    assert!(observed.most_in_one_second <= 41, "{} requests in one second", observed.most_in_one_second);
    assert!(observed.most_in_flight <= 20, "{} requests at once", observed.most_in_flight);
    // Not by being slow: at 150 ms each, a pace near the cap needs several at once.
    assert!(observed.most_in_one_second >= 38, "{} requests in one second", observed.most_in_one_second);
    assert!(observed.most_in_flight >= 5, "{} requests at once", observed.most_in_flight);
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
    world.sync().config(json!({"mode": "insert", "limits": limits})).lines(customers).run().succeeded();
    let most = world.sandbox.observed().most_in_one_second;
    assert!((9..=11).contains(&most), "{most} requests in one second");
}
