//! Data activation: the catalog says object, operation and matching key.

use serde_json::json;

use crate::harness::{Stream, World, complete, record, state, stream};

fn mapped(object: &str, mode: &str, key: &[&str], columns: &[&str]) -> Stream {
    stream("warehouse.rows").mode(mode).object(object).key(key).texts(columns).generations(1, 0)
}

#[test]
fn sync_modes_are_operations() {
    for (mode, outcome) in [
        ("append", "2 read, 1 created, 1 skipped, 1 skipped as exists"),
        ("append_dedup", "2 read, 1 created, 1 updated"),
        ("update", "2 read, 1 skipped, 1 updated, 1 skipped as no_match"),
        ("soft_delete", "2 read, 1 deleted, 1 skipped, 1 skipped as no_match"),
    ] {
        let world = World::new();
        world.given_customer("c-1", json!({"name": "Old Name"}));
        let run = world
            .sync()
            .config(json!({"mode": "insert", "deletions": {"policy": "delete", "max_percent": 100}}))
            .stream(mapped("customers", mode, &["external_id"], &["external_id", "name"]))
            .line(record("warehouse.rows", json!({"external_id": "c-1", "name": "New Name"})))
            .line(record("warehouse.rows", json!({"external_id": "c-2", "name": "Two Names"})))
            .lines([state("warehouse.rows", 1), complete("warehouse.rows")])
            .run()
            .succeeded();
        assert_eq!(run.outcomes("warehouse.rows"), outcome, "{mode}");
    }
}

#[test]
fn the_primary_key_is_the_matching_key() {
    let world = World::new();
    world.given_customer("c-1", json!({"email": "ann@lee.example"}));
    let run = world
        .sync()
        .stream(mapped("customers", "update", &["email"], &["email", "name"]))
        .lines([record("warehouse.rows", json!({"email": "ann@lee.example", "name": "By Mail"})), complete("warehouse.rows")])
        .run()
        .succeeded();
    assert_eq!(run.outcomes("warehouse.rows"), "1 read, 1 updated");
    assert_eq!(world.customer("c-1")["fields"]["name"], "By Mail");
}

#[test]
fn unmapped_required_fields_and_bad_matching_keys_are_refused_at_start_all_at_once() {
    let world = World::new();
    let named = |name: &str, mut stream: Stream| {
        stream.0["stream"]["name"] = name.into();
        stream
    };
    let run = world
        .sync()
        .stream(named("one", mapped("customers", "append", &[], &["name"])))
        .stream(named("two", mapped("contacts", "append_dedup", &["last_name"], &["email", "customer_external_id"])))
        .stream(named("three", mapped("customers", "append_dedup", &[], &["external_id"])))
        .stream(named("four", mapped("invoices", "append", &[], &["external_id"])))
        .stream(named("five", mapped("customers", "append_dedup", &["external_id"], &["external_id"])))
        .line(record("five", json!({"external_id": "c-1"})))
        .run();
    assert_eq!(run.errors().len(), 1, "{run}");
    let message = run.errors()[0]["trace"]["error"]["message"].as_str().unwrap().to_owned();
    for words in [["`one`", "`external_id`"], ["`two`", "`last_name`"], ["`three`", "matching key"], ["`four`", "invoices"]] {
        let line = message.lines().find(|line| line.contains(words[0]));
        assert!(line.is_some_and(|line| line.contains(words[1])), "{words:?}: {message}");
    }
    assert!(!message.contains("`five`"), "{message}");
    assert_eq!(run.errors()[0]["trace"]["error"]["failure_type"], "config_error");
    assert_eq!(run.code, Some(1));
    assert_eq!(world.arrived(), 0);
}

#[test]
fn a_constant_fills_a_required_field() {
    let world = World::new();
    world.given_customer("c-1", json!({}));
    let run = world
        .sync()
        .config(json!({"streams": [{"stream": "warehouse.rows", "constants": {"customer_external_id": "c-1"}}]}))
        .stream(mapped("contacts", "append", &[], &["email"]))
        .lines([record("warehouse.rows", json!({"email": "ann@lee.example"})), complete("warehouse.rows")])
        .run()
        .succeeded();
    assert_eq!(run.outcomes("warehouse.rows"), "1 read, 1 created");
}
