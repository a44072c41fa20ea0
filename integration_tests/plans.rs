//! Plans of the billing system.

use serde_json::{Value, json};

use crate::harness::{Run, World, record, state, stream};

fn plan(key: &str, name: &str) -> Value {
    json!({"external_id": key, "name": name, "interval_count": 1, "interval_unit": "month"})
}

fn sync(world: &World, config: &Value, rows: &[Value]) -> Run {
    let lines = rows.iter().map(|row| record("plans", row.clone()));
    world.sync().config(config.clone()).stream(stream("plans")).lines(lines).line(state("plans", 1)).run()
}

fn outcomes(world: &World, config: &Value, rows: &[Value]) -> String {
    sync(world, config, rows).succeeded().outcomes("plans").to_owned()
}

fn requests(world: &World) -> [u64; 4] {
    let at = |method: &str| world.requests(method, "/v1/plans/{uuid}");
    [world.requests("GET", "/v1/plans"), world.requests("POST", "/v1/plans"), at("PATCH"), at("DELETE")]
}

fn names(world: &World) -> Vec<String> {
    let mut names: Vec<String> = world.entries("plans").iter().map(|plan| plan["name"].as_str().unwrap().to_owned()).collect();
    names.sort_unstable();
    names
}

#[test]
fn upsert_creates_changes_and_leaves_alone() {
    let world = World::new();
    let none = json!({});
    assert_eq!(outcomes(&world, &none, &[plan("gold", "Gold"), plan("silver", "Silver")]), "2 read, 2 created");
    assert_eq!(requests(&world), [1, 2, 0, 0], "one page tells of all, then one each");
    assert_eq!(outcomes(&world, &none, &[plan("gold", "Gold"), plan("silver", "Silver")]), "2 read, 2 unchanged");
    assert_eq!(requests(&world), [2, 2, 0, 0]);
    assert_eq!(outcomes(&world, &none, &[plan("gold", "Golden"), plan("silver", "Silver")]), "2 read, 1 unchanged, 1 updated");
    assert_eq!(requests(&world), [3, 2, 1, 0]);
    assert_eq!(names(&world), ["Golden", "Silver"]);
    let uuid = world.entries("plans")[0]["uuid"].clone();
    assert_eq!(outcomes(&world, &none, &[json!({"uuid": uuid, "name": "By UUID"})]), "1 read, 1 updated");
    assert_eq!(requests(&world), [4, 2, 2, 0], "what stands there is read, and nothing else is looked for");
}

#[test]
fn insert_looks_nothing_up_and_skips_what_is_there() {
    let world = World::new();
    let insert = json!({"mode": "insert"});
    assert_eq!(outcomes(&world, &insert, &[plan("gold", "Gold")]), "1 read, 1 created");
    let rows = [plan("gold", "Other Name"), plan("silver", "Silver")];
    assert_eq!(outcomes(&world, &insert, &rows), "2 read, 1 created, 1 skipped, 1 skipped as exists");
    assert_eq!(requests(&world), [0, 3, 0, 0]);
    assert_eq!(names(&world), ["Gold", "Silver"]);
}

#[test]
fn update_changes_what_is_there_only() {
    let world = World::new();
    outcomes(&world, &json!({}), &[plan("gold", "Gold")]);
    let rows = [json!({"external_id": "gold", "name": "Golden"}), json!({"external_id": "silver", "name": "Silver"})];
    let update = json!({"mode": "update"});
    assert_eq!(outcomes(&world, &update, &rows), "2 read, 1 skipped, 1 updated, 1 skipped as no_match");
    assert_eq!(requests(&world), [2, 1, 1, 0]);
}

#[test]
fn deletions_are_ignored_unless_the_policy_says_otherwise() {
    let world = World::new();
    outcomes(&world, &json!({}), &[plan("gold", "Gold"), plan("silver", "Silver")]);
    let marked = |key: &str| json!({"external_id": key, "_ab_cdc_deleted_at": "2026-01-02"});
    let rows = [marked("gold"), marked("none")];
    assert_eq!(outcomes(&world, &json!({}), &rows), "2 read, 2 skipped, 2 skipped as deletion_ignored");
    assert_eq!(requests(&world), [1, 2, 0, 0]);
    let policy = json!({"deletions": {"policy": "delete", "max_percent": 50}});
    assert_eq!(outcomes(&world, &policy, &rows), "2 read, 1 deleted, 1 skipped, 1 skipped as no_match");
    assert_eq!(names(&world), ["Silver"]);
    let run = sync(&world, &policy, &[marked("silver")]);
    assert!(run.failed("config_error", "DELETE_LIMIT").contains("of the 1 plans"), "{run}");
}

#[test]
fn a_plan_without_a_key_is_found_by_its_other_fields() {
    let world = World::new();
    let row = json!({"name": "Keyless One", "interval_count": 3, "interval_unit": "month"});
    assert_eq!(outcomes(&world, &json!({}), &[row.clone(), row.clone()]), "2 read, 1 created, 1 unchanged");
    assert_eq!(outcomes(&world, &json!({}), &[row]), "1 read, 1 unchanged");
    assert_eq!(world.entries("plans").len(), 1);
}

#[test]
fn a_create_whose_answer_was_lost_is_not_made_twice() {
    for effect in ["after-work reset", "half"] {
        let world = World::new();
        world.fault(&format!("POST /plans {effect} x2"));
        let keyless = json!({"name": "Keyless One", "interval_count": 3, "interval_unit": "month"});
        let rows = [plan("gold", "Gold"), keyless];
        assert_eq!(outcomes(&world, &json!({}), &rows), "2 read, 2 created", "{effect}");
        assert_eq!(world.entries("plans").len(), 2, "{effect}");
        assert_eq!(requests(&world)[1], 2, "{effect}");
    }
}

#[test]
fn faults_are_told_all_at_once_before_anything_is_sent() {
    let world = World::new();
    let bad = json!({"external_id": "gold", "name": "Gold", "interval_count": 0, "interval_unit": "week"});
    let run = sync(&world, &json!({}), &[bad]).succeeded();
    assert_eq!(run.outcomes("plans"), "1 read, 1 rejected, 1 rejected with FIELD_VALUE");
    assert!(run.logged(&["interval_count", "at least 1"]) && run.logged(&["interval_unit", "day, month, year"]), "{run}");
    assert_eq!(world.arrived(), 0);
    let run = sync(&world, &json!({}), &[json!({"external_id": "gold", "name": "Gold"})]).succeeded();
    assert!(run.logged(&["FIELD_MISSING", "interval_count"]) && run.logged(&["FIELD_MISSING", "interval_unit"]), "{run}");
    assert_eq!(world.writes(), 0);
}
