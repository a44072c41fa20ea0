//! Tags of customers, one a record.

use serde_json::{Value, json};

use crate::harness::{Run, World, record, state, stream};

const ROUTE: &str = "/v1/customers/{uuid}/attributes/tags";

fn row(customer: &str, tag: &str) -> Value {
    json!({"customer_external_id": customer, "tag": tag})
}

fn remove(customer: &str, tag: &str) -> Value {
    json!({"customer_external_id": customer, "tag": tag, "remove": true})
}

fn sync(world: &World, config: &Value, rows: &[Value]) -> Run {
    let lines = rows.iter().map(|row| record("tags", row.clone()));
    world.sync().config(config.clone()).stream(stream("tags")).lines(lines).line(state("tags", 1)).run()
}

fn outcomes(world: &World, config: &Value, rows: &[Value]) -> String {
    sync(world, config, rows).succeeded().outcomes("tags").to_owned()
}

fn tags(world: &World, customer: &str) -> Value {
    world.customer(customer)["tags"].clone()
}

/// Look-ups of customers, additions, removals.
fn requests(world: &World) -> [u64; 3] {
    [world.requests("GET", "/v1/customers"), world.requests("POST", ROUTE), world.requests("DELETE", ROUTE)]
}

fn tagged(customer_tags: &Value) -> World {
    let world = World::new();
    world.given_customer("c-1", json!({"attributes": {"tags": customer_tags}}));
    world
}

#[test]
fn tags_are_added_and_removed_and_others_stay() {
    let world = tagged(&json!(["theirs", "old"]));
    let rows = [row("c-1", "new"), remove("c-1", "old"), row("c-1", "theirs"), remove("c-1", "never")];
    assert_eq!(outcomes(&world, &json!({}), &rows), "4 read, 2 unchanged, 2 updated");
    assert_eq!(tags(&world, "c-1"), json!(["theirs", "new"]));
    assert_eq!(requests(&world), [1, 1, 1]);
    assert_eq!(outcomes(&world, &json!({}), &rows), "4 read, 4 unchanged");
    assert_eq!(requests(&world), [2, 1, 1], "the second run writes nothing");
}

#[test]
fn rows_of_one_customer_that_stand_together_go_in_one_request() {
    let world = tagged(&json!(["a"]));
    world.given_customer("c-2", json!({}));
    let mut rows: Vec<Value> = ["a", "b", "c", "b"].iter().map(|tag| row("c-1", tag)).collect();
    rows.extend(["x", "y"].iter().map(|tag| row("c-2", tag)));
    assert_eq!(outcomes(&world, &json!({}), &rows), "6 read, 1 unchanged, 5 updated");
    assert_eq!((tags(&world, "c-1"), tags(&world, "c-2")), (json!(["a", "b", "c"]), json!(["x", "y"])));
    assert_eq!(requests(&world), [1, 2, 0]);
    let rows: Vec<Value> = ["a", "b", "none"].iter().map(|tag| remove("c-1", tag)).collect();
    assert_eq!(outcomes(&world, &json!({}), &rows), "3 read, 1 unchanged, 2 updated");
    assert_eq!(tags(&world, "c-1"), json!(["c"]));
    assert_eq!(requests(&world), [2, 2, 1]);
}

#[test]
fn the_last_of_an_addition_and_a_removal_counts() {
    let world = tagged(&json!([]));
    let rows = [row("c-1", "a"), remove("c-1", "a"), row("c-1", "b"), remove("c-1", "b"), row("c-1", "b")];
    outcomes(&world, &json!({}), &rows);
    assert_eq!(tags(&world, "c-1"), json!(["b"]));
}

#[test]
fn a_customer_named_by_its_uuid_is_read_once() {
    let world = tagged(&json!(["a"]));
    let uuid = world.customer("c-1")["uuid"].clone();
    let by_uuid = |tag: &str| json!({"customer_uuid": uuid, "tag": tag});
    let rows = [by_uuid("a"), by_uuid("b"), remove("c-1", "a"), by_uuid("c")];
    outcomes(&world, &json!({}), &rows);
    assert_eq!(tags(&world, "c-1"), json!(["b", "c"]));
    assert_eq!(world.requests("GET", "/v1/customers/{uuid}"), 1);
}

#[test]
fn insert_and_update_do_not_make_what_is_there_or_wait_for_what_is_not() {
    let world = tagged(&json!(["a"]));
    let insert = json!({"mode": "insert"});
    let rows = [row("c-1", "a"), row("c-1", "b")];
    assert_eq!(outcomes(&world, &insert, &rows), "2 read, 1 skipped, 1 updated, 1 skipped as exists");
    assert_eq!(outcomes(&world, &insert, &rows[..1]), "1 read, 1 skipped, 1 skipped as exists");
    let update = json!({"mode": "update"});
    let rows = [row("c-1", "c"), row("c-9", "c"), row("c-1", "a"), row("c-1", "d"), remove("c-1", "b"), remove("c-1", "e")];
    let before = requests(&world)[1];
    assert_eq!(outcomes(&world, &update, &rows), "6 read, 3 skipped, 2 unchanged, 1 updated, 3 skipped as no_match");
    assert_eq!((tags(&world, "c-1"), requests(&world)[1]), (json!(["a"]), before));
}

#[test]
fn a_row_that_is_marked_as_deleted_removes_its_tag_under_the_guard() {
    let world = tagged(&json!(["a", "b", "c", "theirs"]));
    let marked = |tag: &str| json!({"customer_external_id": "c-1", "tag": tag, "_ab_cdc_deleted_at": "2026-01-02"});
    let rows = [marked("a"), marked("none")];
    assert_eq!(outcomes(&world, &json!({}), &rows), "2 read, 2 skipped, 2 skipped as deletion_ignored");
    assert_eq!(world.arrived(), 0);
    let policy = json!({"deletions": {"policy": "delete", "max_percent": 50}});
    assert_eq!(outcomes(&world, &policy, &rows), "2 read, 1 deleted, 1 skipped, 1 skipped as no_match");
    assert_eq!(tags(&world, "c-1"), json!(["b", "c", "theirs"]));
    let run = sync(&world, &policy, &[marked("b"), marked("c")]);
    assert!(run.failed("config_error", "DELETE_LIMIT").contains("1 of the 3 tags"), "{run}");
    assert_eq!(tags(&world, "c-1"), json!(["c", "theirs"]));
    let soft = world
        .sync()
        .config(json!({"deletions": {"policy": "delete", "max_percent": 100}}))
        .stream(stream("tags").mode("soft_delete"))
        .line(record("tags", row("c-1", "c")))
        .line(record("tags", row("c-9", "c")))
        .run()
        .succeeded();
    assert_eq!(soft.outcomes("tags"), "2 read, 1 deleted, 1 skipped, 1 skipped as no_match");
    assert_eq!(tags(&world, "c-1"), json!(["theirs"]));
}

#[test]
fn tags_wait_for_their_customer() {
    let world = World::new();
    let run = world
        .sync()
        .stream(stream("tags"))
        .stream(stream("customers"))
        .lines([record("tags", row("c-1", "a")), record("tags", row("c-1", "b")), record("tags", row("c-9", "a"))])
        .line(state("tags", 1))
        .customer(json!({"external_id": "c-1"}))
        .line(state("customers", 2))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("tags"), "3 read, 1 rejected, 2 updated, 1 rejected with PARENT_NOT_FOUND");
    assert_eq!(tags(&world, "c-1"), json!(["a", "b"]));
}

#[test]
fn a_record_without_a_tag_or_a_customer_is_rejected_unasked() {
    let world = World::new();
    let run = sync(&world, &json!({}), &[json!({"tag": " ", "remove": "perhaps"})]).succeeded();
    assert_eq!(run.outcomes("tags"), "1 read, 1 rejected, 1 rejected with FIELD_VALUE");
    assert!(run.logged(&["FIELD_MISSING", "customer_external_id"]) && run.logged(&["FIELD_MISSING", "field tag"]), "{run}");
    assert_eq!(world.arrived(), 0);
}

#[test]
fn an_answer_that_was_lost_does_no_harm() {
    let world = tagged(&json!([]));
    world.fault("POST /customers/*/attributes/tags after-work reset\nDELETE /customers/*/attributes/tags after-work reset");
    let rows = [row("c-1", "a"), row("c-1", "b"), remove("c-1", "a")];
    outcomes(&world, &json!({}), &rows);
    assert_eq!(tags(&world, "c-1"), json!(["b"]));
}
