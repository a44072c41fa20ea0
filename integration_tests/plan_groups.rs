//! Plan groups: found by name, their plans by the user's keys, and replaced only where they differ.

use destination_chartmogul::sandbox::DATA_SOURCE_UUID;
use serde_json::{Value, json};

use crate::harness::{Run, World, record, state, stream};

const LIST: &str = "/v1/plan_groups";
const ONE: &str = "/v1/plan_groups/{uuid}";
const MEMBERS: &str = "/v1/plan_groups/{uuid}/plans";

/// An account with the plans `a`, `b` and `c`.
fn with_plans() -> World {
    let world = World::new();
    for key in ["a", "b", "c"] {
        given_plan(&world, key);
    }
    world
}

fn given_plan(world: &World, key: &str) -> String {
    let body = json!({"data_source_uuid": DATA_SOURCE_UUID, "external_id": key, "name": key, "interval_count": 1, "interval_unit": "month"});
    world.must("POST /plans", body)["uuid"].as_str().unwrap().to_owned()
}

fn plan_uuid(world: &World, key: &str) -> String {
    let dump = world.sandbox.dump();
    let plan = dump["plans"].as_array().unwrap().iter().find(|plan| plan["external_id"] == key).unwrap();
    plan["uuid"].as_str().unwrap().to_owned()
}

fn given_group(world: &World, name: &str, plans: &[&str]) -> String {
    let plans: Vec<String> = plans.iter().map(|key| plan_uuid(world, key)).collect();
    world.must("POST /plan_groups", json!({"name": name, "plans": plans}))["uuid"].as_str().unwrap().to_owned()
}

/// Names of the groups, and the keys of their plans.
fn groups(world: &World) -> Vec<String> {
    let dump = world.sandbox.dump();
    let key = |uuid: &Value| {
        let plan = dump["plans"].as_array().unwrap().iter().find(|plan| plan["uuid"] == *uuid).unwrap();
        plan["external_id"].as_str().unwrap().to_owned()
    };
    let keys = |group: &Value| {
        let mut keys: Vec<String> = group["plans"].as_array().unwrap().iter().map(key).collect();
        keys.sort_unstable();
        keys.join(" ")
    };
    let all = dump["plan_groups"].as_array().unwrap().clone();
    all.iter().map(|group| format!("{}: {}", group["name"].as_str().unwrap(), keys(group))).collect()
}

fn run(world: &World, config: Value, rows: &[Value]) -> Run {
    let sync = world.sync().config(config).stream(stream("plan_groups"));
    sync.lines(rows.iter().map(|row| record("plan_groups", row.clone()))).line(state("plan_groups", 1)).run().succeeded()
}

#[test]
fn upsert_makes_what_is_absent_and_replaces_the_plans_of_what_is_there() {
    let world = with_plans();
    given_group(&world, "Old", &["a", "b"]);
    let rows = [
        json!({"name": "Old", "plan_external_ids": ["b", "c"]}),
        json!({"name": "New", "plan_external_ids": ["a"], "plans": [plan_uuid(&world, "c"), plan_uuid(&world, "a")]}),
    ];
    let first = run(&world, json!({}), &rows);
    assert_eq!(first.outcomes("plan_groups"), "2 read, 1 created, 1 updated");
    assert_eq!(groups(&world), ["Old: b c", "New: a c"]);
    let asked = [("GET", LIST, 1), ("GET", MEMBERS, 1), ("PATCH", ONE, 1), ("POST", LIST, 1)];
    for (method, route, times) in asked {
        assert_eq!(world.requests(method, route), times, "{method} {route}");
    }
    // Once more, in another order: nothing is written, each group's plans are looked at.
    let writes = world.writes();
    let rows = [rows[1].clone(), json!({"name": "Old", "plan_external_ids": ["c", "b"]})];
    assert_eq!(run(&world, json!({}), &rows).outcomes("plan_groups"), "2 read, 2 unchanged");
    assert_eq!((world.writes(), world.requests("GET", MEMBERS), world.requests("GET", LIST)), (writes, 3, 2));
}

#[test]
fn a_group_is_looked_into_only_where_a_record_names_plans() {
    let world = with_plans();
    given_group(&world, "Old", &["a"]);
    assert_eq!(run(&world, json!({}), &[json!({"name": "Old"})]).outcomes("plan_groups"), "1 read, 1 unchanged");
    assert_eq!((world.arrived(), world.requests("GET", LIST)), (1, 1));
}

#[test]
fn a_group_that_two_records_name_is_as_the_last_one_says() {
    let world = with_plans();
    let rows = [["a", "b"], ["b", "c"], ["c", "b"]].map(|keys| json!({"name": "G", "plan_external_ids": keys}));
    assert_eq!(run(&world, json!({}), &rows).outcomes("plan_groups"), "3 read, 1 created, 1 unchanged, 1 updated");
    assert_eq!(groups(&world), ["G: b c"]);
}

#[test]
fn insert_looks_first_and_leaves_what_is_there() {
    let world = with_plans();
    given_group(&world, "Old", &["a"]);
    let rows = [json!({"name": "Old", "plan_external_ids": ["b"]}), json!({"name": "New", "plan_external_ids": ["b"]})];
    let run = run(&world, json!({"mode": "insert"}), &rows);
    assert_eq!(run.outcomes("plan_groups"), "2 read, 1 created, 1 skipped, 1 skipped as exists");
    assert_eq!(groups(&world), ["Old: a", "New: b"]);
    assert_eq!((world.requests("GET", LIST), world.requests("POST", LIST), world.requests("GET", MEMBERS)), (1, 1, 0));
}

#[test]
fn update_changes_what_is_there_and_a_uuid_renames() {
    let world = with_plans();
    let uuid = given_group(&world, "Old", &["a"]);
    let rows = [
        json!({"name": "Old", "plan_external_ids": ["b"]}),
        json!({"name": "Absent", "plan_external_ids": ["b"]}),
        json!({"uuid": "plg_00000000-0000-4000-8000-000000000000", "plan_external_ids": ["b"]}),
    ];
    let words = "3 read, 2 skipped, 1 updated, 2 skipped as no_match";
    assert_eq!(run(&world, json!({"mode": "update"}), &rows).outcomes("plan_groups"), words);
    let renamed = run(&world, json!({"mode": "update"}), &[json!({"uuid": uuid, "name": "Renamed"})]);
    assert_eq!(renamed.outcomes("plan_groups"), "1 read, 1 updated");
    assert_eq!(groups(&world), ["Renamed: b"]);
}

#[test]
fn two_groups_of_one_name_are_never_guessed() {
    let world = with_plans();
    for _ in 0..2 {
        given_group(&world, "Twin", &["a"]);
    }
    let run = run(&world, json!({}), &[json!({"name": "Twin", "plan_external_ids": ["b"]})]);
    assert_eq!(run.outcomes("plan_groups"), "1 read, 1 rejected, 1 rejected with AMBIGUOUS_MATCH");
    assert_eq!(world.writes(), 0);
}

#[test]
fn a_marked_record_deletes_its_group_where_the_policy_says_so() {
    let world = with_plans();
    given_group(&world, "Old", &["a"]);
    let rows = [
        json!({"name": "Old", "plan_external_ids": ["gone"], "_ab_cdc_deleted_at": "2026-01-02"}),
        json!({"name": "Absent", "_ab_cdc_deleted_at": "2026-01-02"}),
    ];
    let ignored = run(&world, json!({}), &rows);
    assert_eq!(ignored.outcomes("plan_groups"), "2 read, 2 skipped, 2 skipped as deletion_ignored");
    assert_eq!(world.arrived(), 0);
    let policy = json!({"deletions": {"policy": "delete", "max_deletes": 5, "max_percent": 100}});
    assert_eq!(run(&world, policy, &rows).outcomes("plan_groups"), "2 read, 1 deleted, 1 skipped, 1 skipped as no_match");
    assert_eq!(groups(&world), [""; 0]);
    assert_eq!((world.requests("DELETE", ONE), world.requests_with("POST")), (1, 0));
}

#[test]
fn a_group_waits_for_its_plans_and_is_rejected_when_one_never_comes() {
    let world = World::new();
    let plan = |key: &str| json!({"external_id": key, "name": key, "interval_count": 1, "interval_unit": "month"});
    let run = world
        .sync()
        .stream(stream("plan_groups"))
        .stream(stream("plans"))
        .line(record("plan_groups", json!({"name": "G", "plan_external_ids": ["a", "b"]})))
        .line(record("plan_groups", json!({"name": "H", "plan_external_ids": ["a", "never"]})))
        .line(record("plans", plan("a")))
        .line(record("plans", plan("b")))
        .line(state("plan_groups", 1))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("plan_groups"), "2 read, 1 created, 1 rejected, 1 rejected with PARENT_NOT_FOUND");
    assert!(run.logged(&["PARENT_NOT_FOUND", "plan_external_ids"]), "{run}");
    assert_eq!((groups(&world), run.counts()), (vec!["G: a b".to_owned()], vec![(1.0, 1.0)]));
}

#[test]
fn bad_fields_and_missing_ones_are_rejected_before_anything_is_sent() {
    let world = with_plans();
    let rows = [
        json!({"name": "G", "plans": ["no-uuid"]}),
        json!({"plan_external_ids": ["a"]}),
        json!({"name": "G", "plan_external_ids": {"a": 1}}),
    ];
    let run = run(&world, json!({}), &rows);
    let words = "3 read, 3 rejected, 1 rejected with FIELD_MISSING, 1 rejected with FIELD_TYPE, 1 rejected with FIELD_VALUE";
    assert_eq!(run.outcomes("plan_groups"), words);
    assert_eq!(world.arrived(), 0);
}

#[test]
fn groups_belong_to_the_account_and_prove_no_data_source() {
    let world = with_plans();
    let plan = plan_uuid(&world, "a");
    let mut live = world
        .sync()
        .config(json!({"data_source_uuid": "ds_00000000-0000-4000-8000-000000000000"}))
        .config(json!({"streams": [{"stream": "customers", "mode": "update"}]}))
        .stream(stream("plan_groups"))
        .stream(stream("customers"))
        .line(record("plan_groups", json!({"name": "G", "plans": [plan]})))
        .line(state("plan_groups", 1))
        .start();
    live.wait_for_states(1);
    live.feed(&[record("customers", json!({"external_id": "c-1", "name": "Ann"}))]);
    live.end_input();
    live.finish().failed("config_error", "DATA_SOURCE_UNKNOWN");
}

#[test]
fn a_lost_answer_makes_no_second_group() {
    for fault in ["POST /plan_groups after-work reset", "POST /plan_groups half", "POST /plan_groups after-work html=504"] {
        let world = with_plans();
        world.fault(fault);
        let run = run(&world, json!({}), &[json!({"name": "G", "plan_external_ids": ["a", "b"]})]);
        assert_eq!(run.outcomes("plan_groups"), "1 read, 1 created", "{fault}");
        assert_eq!((groups(&world), world.writes()), (vec!["G: a b".to_owned()], 1), "{fault}");
    }
    let world = with_plans();
    given_group(&world, "G", &["a"]);
    world.fault("PATCH /plan_groups/* after-work reset");
    let run = run(&world, json!({}), &[json!({"name": "G", "plan_external_ids": ["b"]})]);
    assert_eq!((run.outcomes("plan_groups"), groups(&world)), ("1 read, 1 updated", vec!["G: b".to_owned()]));
}
