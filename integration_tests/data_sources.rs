//! Data sources: made where their name is not taken, and never changed.

use serde_json::{Value, json};

use crate::harness::{Run, World, record, stream};

const ROUTE: &str = "/v1/data_sources";

fn run(world: &World, config: Value, names: &[&str]) -> Run {
    let sync = world.sync().config(config).stream(stream("data_sources"));
    sync.lines(names.iter().map(|name| record("data_sources", json!({"name": name})))).run().succeeded()
}

fn made(world: &World, name: &str) -> usize {
    world.sandbox.dump()["data_sources"].as_array().unwrap().iter().filter(|source| source["name"] == name).count()
}

#[test]
fn upsert_makes_what_is_absent_after_one_look() {
    let world = World::new();
    world.must("POST /data_sources", json!({"name": "Old Source"}));
    let rows = ["Old Source", "New Source", "New Source"];
    assert_eq!(run(&world, json!({}), &rows).outcomes("data_sources"), "3 read, 1 created, 2 unchanged");
    assert_eq!((made(&world, "Old Source"), made(&world, "New Source")), (1, 1));
    assert_eq!((world.requests("GET", ROUTE), world.requests("POST", ROUTE), world.arrived()), (1, 1, 2));
    assert_eq!(run(&world, json!({}), &rows).outcomes("data_sources"), "3 read, 3 unchanged");
    assert_eq!(world.writes(), 1);
}

#[test]
fn insert_asks_once_and_skips_what_the_api_says_is_taken() {
    let world = World::new();
    world.must("POST /data_sources", json!({"name": "Old Source"}));
    let run = run(&world, json!({"mode": "insert"}), &["Old Source", "New Source"]);
    assert_eq!(run.outcomes("data_sources"), "2 read, 1 created, 1 skipped, 1 skipped as exists");
    assert_eq!((world.requests("POST", ROUTE), world.arrived()), (2, 2));
}

#[test]
fn a_name_is_needed() {
    let world = World::new();
    let run = run(&world, json!({}), &["", "New Source"]);
    assert_eq!(run.outcomes("data_sources"), "2 read, 1 created, 1 rejected, 1 rejected with FIELD_MISSING");
}

#[test]
fn deletions_and_updates_are_refused() {
    let world = World::new();
    let sync = || world.sync().line(record("data_sources", json!({"name": "New Source"})));
    sync().config(json!({"mode": "update"})).stream(stream("data_sources")).run().failed("config_error", "MODE_NOT_SUPPORTED");
    let policy = json!({"deletions": {"policy": "delete", "max_deletes": 5, "max_percent": 100}});
    sync().config(policy).stream(stream("data_sources").mode("soft_delete")).run().failed("config_error", "MODE_NOT_SUPPORTED");
    assert_eq!(world.arrived(), 0);
}

#[test]
fn a_lost_answer_makes_no_second_source() {
    for (mode, outcome) in [("upsert", "1 read, 1 created"), ("insert", "1 read, 1 created")] {
        for fault in ["POST /data_sources after-work reset", "POST /data_sources half"] {
            let world = World::new();
            world.fault(fault);
            assert_eq!(run(&world, json!({"mode": mode}), &["New Source"]).outcomes("data_sources"), outcome, "{fault}");
            assert_eq!(made(&world, "New Source"), 1, "{fault}");
        }
    }
}

#[test]
fn another_source_that_exists_does_not_stand_for_the_configured_one() {
    let world = World::new();
    let unknown = json!({"mode": "update", "data_source_uuid": "ds_00000000-0000-4000-8000-000000000000"});
    let run = world
        .sync()
        .config(unknown)
        .config(json!({"streams": [{"stream": "data_sources", "mode": "upsert"}]}))
        .stream(stream("data_sources"))
        .stream(stream("customers"))
        .line(record("data_sources", json!({"name": "New Source"})))
        .line(record("customers", json!({"external_id": "c-1", "name": "Ann"})))
        .run();
    run.failed("config_error", "DATA_SOURCE_UNKNOWN");
}
