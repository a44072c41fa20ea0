//! Connections: sent whenever a record says so, once the subscriptions are there.

use destination_chartmogul::sandbox::DATA_SOURCE_UUID;
use serde_json::{Value, json};

use crate::harness::{Run, World, record, state, stream};

const CONNECT: &str = "/v1/customers/{uuid}/connect_subscriptions";
const DISCONNECT: &str = "/v1/customers/{uuid}/disconnect_subscriptions";
const LIST: &str = "/v1/import/customers/{uuid}/subscriptions";

/// An account with customer `c-1` and these subscriptions of it.
fn with_subscriptions(keys: &[&str]) -> World {
    let world = World::new();
    world.given_customer("c-1", json!({}));
    let plan = json!({"data_source_uuid": DATA_SOURCE_UUID, "external_id": "p", "name": "P", "interval_count": 1, "interval_unit": "month"});
    world.must("POST /plans", plan);
    for key in keys {
        let mut event = start(key);
        event["data_source_uuid"] = DATA_SOURCE_UUID.into();
        world.must("POST /subscription_events", json!({"subscription_event": event}));
    }
    world
}

/// The event that brings a subscription.
fn start(subscription: &str) -> Value {
    json!({"external_id": format!("start-{subscription}"), "customer_external_id": "c-1", "event_type": "subscription_start",
        "event_date": "2026-01-01", "effective_date": "2026-01-01", "subscription_external_id": subscription,
        "plan_external_id": "p", "currency": "USD", "amount_in_cents": 1000})
}

fn connection(subscriptions: &[&str]) -> Value {
    json!({"customer_external_id": "c-1", "subscription_external_ids": subscriptions})
}

fn run(world: &World, config: Value, rows: &[Value]) -> Run {
    let sync = world.sync().config(config).stream(stream("subscription_connections"));
    let lines = rows.iter().map(|row| record("subscription_connections", row.clone()));
    sync.lines(lines).line(state("subscription_connections", 1)).run().succeeded()
}

/// What a subscription is connected to.
fn connected(world: &World, subscription: &str) -> Value {
    let dump = world.sandbox.dump();
    let all = dump["subscriptions"].as_array().unwrap();
    all.iter().find(|one| one["external_id"] == subscription).unwrap()["connected_to"].clone()
}

#[test]
fn subscriptions_are_connected_every_time_and_taken_apart_again() {
    for mode in ["upsert", "insert"] {
        let world = with_subscriptions(&["s-1", "s-2", "s-3"]);
        let rows = [connection(&["s-1", "s-2"])];
        assert_eq!(run(&world, json!({"mode": mode}), &rows).outcomes("subscription_connections"), "1 read, 1 updated");
        assert_eq!((connected(&world, "s-1"), connected(&world, "s-3")), (json!(["s-2"]), json!([])));
        assert_eq!((world.requests("GET", LIST), world.requests("POST", CONNECT), world.arrived()), (1, 1, 3));
        assert_eq!(run(&world, json!({"mode": mode}), &rows).outcomes("subscription_connections"), "1 read, 1 updated");
        assert_eq!(connected(&world, "s-1"), json!(["s-2"]));
        let mut apart = connection(&["s-1", "s-2"]);
        apart["disconnect"] = true.into();
        assert_eq!(run(&world, json!({"mode": mode}), &[apart]).outcomes("subscription_connections"), "1 read, 1 updated");
        assert_eq!((connected(&world, "s-1"), world.requests("POST", DISCONNECT)), (json!([]), 1));
    }
}

#[test]
fn several_records_of_one_customer_need_one_look() {
    let world = with_subscriptions(&["s-1", "s-2", "s-3", "s-4"]);
    let run = run(&world, json!({}), &[connection(&["s-1", "s-2"]), connection(&["s-3", "s-4"])]);
    assert_eq!(run.outcomes("subscription_connections"), "2 read, 2 updated");
    assert_eq!((world.requests("GET", LIST), world.requests("POST", CONNECT)), (1, 2));
}

#[test]
fn a_connection_waits_for_what_brings_its_subscriptions() {
    let world = with_subscriptions(&["s-1"]);
    let run = world
        .sync()
        .stream(stream("subscription_connections"))
        .stream(stream("subscription_events"))
        .line(record("subscription_connections", connection(&["s-1", "s-2"])))
        .line(record("subscription_events", start("s-2")))
        .line(record("subscription_connections", connection(&["s-2", "never"])))
        .line(record("subscription_connections", json!({"customer_external_id": "c-9", "subscription_external_ids": ["a", "b"]})))
        .line(state("subscription_connections", 1))
        .run()
        .succeeded();
    let words = "3 read, 2 rejected, 1 updated, 2 rejected with PARENT_NOT_FOUND";
    assert_eq!(run.outcomes("subscription_connections"), words);
    assert!(run.logged(&["PARENT_NOT_FOUND", "subscription_external_ids"]), "{run}");
    assert!(run.logged(&["PARENT_NOT_FOUND", "customer_external_id"]), "{run}");
    assert_eq!((connected(&world, "s-1"), run.counts()), (json!(["s-2"]), vec![(1.0, 2.0)]));
}

#[test]
fn two_subscriptions_are_needed() {
    let world = with_subscriptions(&["s-1"]);
    let rows =
        [connection(&["s-1"]), connection(&[]), json!({"subscription_external_ids": ["s-1", "s-2"], "disconnect": "maybe"})];
    let run = run(&world, json!({}), &rows);
    assert!(run.outcomes("subscription_connections").starts_with("3 read, 3 rejected"), "{run}");
    assert_eq!(world.arrived(), 0);
}

#[test]
fn a_lost_answer_connects_once() {
    let world = with_subscriptions(&["s-1", "s-2"]);
    world.fault("POST /customers/*/connect_subscriptions after-work reset");
    let run = run(&world, json!({}), &[connection(&["s-1", "s-2"])]);
    assert_eq!(run.outcomes("subscription_connections"), "1 read, 1 updated");
    assert_eq!(connected(&world, "s-2"), json!(["s-1"]));
}
