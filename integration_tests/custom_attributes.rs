//! Custom attributes of customers, one a record.

use destination_chartmogul::sandbox::{Options, Quirks};
use serde_json::{Value, json};

use crate::harness::{Run, World, options, record, state, stream};

const ROUTE: &str = "/v1/customers/{uuid}/attributes/custom";

fn row(key: &str, value: &Value) -> Value {
    json!({"customer_external_id": "c-1", "key": key, "value": value})
}

fn typed(key: &str, kind: &str, value: &Value) -> Value {
    json!({"customer_external_id": "c-1", "key": key, "type": kind, "value": value})
}

fn sync(world: &World, config: &Value, rows: &[Value]) -> Run {
    let lines = rows.iter().map(|row| record("custom_attributes", row.clone()));
    world.sync().config(config.clone()).stream(stream("custom_attributes")).lines(lines).line(state("custom_attributes", 1)).run()
}

fn outcomes(world: &World, config: &Value, rows: &[Value]) -> String {
    sync(world, config, rows).succeeded().outcomes("custom_attributes").to_owned()
}

fn custom(world: &World) -> Value {
    world.customer("c-1")["custom"].clone()
}

/// Look-ups of customers, then what was sent to the attributes endpoint: POST, PUT, DELETE.
fn requests(world: &World) -> [u64; 4] {
    let sent = |method: &str| world.requests(method, ROUTE);
    [world.requests("GET", "/v1/customers"), sent("POST"), sent("PUT"), sent("DELETE")]
}

fn with_options(options: Options, attributes: &[Value]) -> World {
    let world = World::with(options);
    world.given_customer("c-1", json!({"attributes": {"custom": attributes}}));
    world
}

fn with(attributes: &[Value]) -> World {
    with_options(options(), attributes)
}

fn pro() -> Value {
    json!({"type": "Boolean", "key": "pro", "value": true})
}

#[test]
fn values_get_their_types_and_go_in_one_request() {
    let world = with(&[pro()]);
    let rows = [
        typed("seats", "Integer", &json!("12.0")),
        typed("rate", "Decimal", &json!("15001.500")),
        typed("since", "Timestamp", &json!("2026-01-02")),
        row("channel", &json!("ads")),
        row("pro", &json!(false)),
        row("pro", &json!(false)),
        typed("seats", "Integer", &json!(13)),
    ];
    assert_eq!(outcomes(&world, &json!({}), &rows), "7 read, 7 updated");
    let expected = json!({"channel": "ads", "pro": false, "rate": 15001.5, "seats": 13, "since": "2026-01-02T00:00:00.000Z"});
    assert_eq!(custom(&world), expected);
    assert_eq!(requests(&world), [1, 1, 0, 0]);
    let rows = &rows[1..];
    assert_eq!(outcomes(&world, &json!({}), rows), "6 read, 6 unchanged");
    assert_eq!(requests(&world), [2, 1, 0, 0], "the second run writes nothing");
}

#[test]
fn the_last_value_of_a_key_counts_even_where_it_is_the_one_that_is_there() {
    let world = with(&[json!({"type": "Integer", "key": "seats", "value": 2})]);
    let rows = [row("seats", &json!(1)), row("seats", &json!(2))];
    sync(&world, &json!({}), &rows).succeeded();
    assert_eq!(custom(&world), json!({"seats": 2}));
}

#[test]
fn a_value_that_a_post_leaves_alone_is_put() {
    let world =
        with_options(Options { quirks: Quirks { post_keeps_attributes: true, ..Quirks::default() }, ..options() }, &[pro()]);
    let run = sync(&world, &json!({}), &[row("pro", &json!(false)), row("seats", &json!(3))]).succeeded();
    assert_eq!(run.outcomes("custom_attributes"), "2 read, 2 updated");
    assert_eq!(custom(&world), json!({"pro": false, "seats": 3}));
    assert_eq!(requests(&world), [1, 1, 1, 0]);
    assert!(!run.logged(&["FIELD_NOT_KEPT"]), "{run}");
}

#[test]
fn a_null_removes_the_key_where_nulls_clear() {
    let world = with(&[pro()]);
    let rows = [row("pro", &Value::Null), row("none", &Value::Null)];
    assert_eq!(outcomes(&world, &json!({}), &rows), "2 read, 2 unchanged");
    assert_eq!(custom(&world), json!({"pro": true}));
    assert_eq!(outcomes(&world, &json!({"nulls": "clear"}), &rows), "2 read, 1 unchanged, 1 updated");
    assert_eq!(custom(&world), json!({}));
    assert_eq!(requests(&world), [2, 0, 0, 1]);
    assert_eq!(outcomes(&world, &json!({"nulls": "clear"}), &rows), "2 read, 2 unchanged");
}

#[test]
fn insert_leaves_a_key_alone_and_update_changes_only_what_is_there() {
    let world = with(&[pro()]);
    let rows = [row("pro", &json!(false)), row("seats", &json!(1))];
    assert_eq!(outcomes(&world, &json!({"mode": "insert"}), &rows), "2 read, 1 skipped, 1 updated, 1 skipped as exists");
    assert_eq!(custom(&world), json!({"pro": true, "seats": 1}));
    let nobody = json!({"customer_external_id": "c-9", "key": "seats", "value": 1});
    let rows = [row("channel", &json!("ads")), nobody, row("seats", &json!(2)), row("pro", &json!(true))];
    let update = json!({"mode": "update", "nulls": "clear"});
    assert_eq!(outcomes(&world, &update, &rows), "4 read, 2 skipped, 1 unchanged, 1 updated, 2 skipped as no_match");
    assert_eq!(custom(&world), json!({"pro": true, "seats": 2}));
    let rows = [row("seats", &Value::Null), row("seats", &json!(3)), row("channel", &Value::Null)];
    assert_eq!(outcomes(&world, &update, &rows), "3 read, 1 skipped, 1 unchanged, 1 updated, 1 skipped as no_match");
    assert_eq!(custom(&world), json!({"pro": true}));
}

#[test]
fn a_row_that_is_marked_as_deleted_removes_its_key_under_the_guard() {
    let world = with(&[pro(), json!({"type": "Integer", "key": "seats", "value": 2})]);
    let marked = |key: &str| json!({"customer_external_id": "c-1", "key": key, "_ab_cdc_deleted_at": "2026-01-02"});
    let rows = [marked("pro"), marked("none")];
    assert_eq!(outcomes(&world, &json!({}), &rows), "2 read, 2 skipped, 2 skipped as deletion_ignored");
    assert_eq!(world.arrived(), 0);
    let policy = json!({"deletions": {"policy": "delete", "max_percent": 50}});
    assert_eq!(outcomes(&world, &policy, &rows), "2 read, 1 deleted, 1 skipped, 1 skipped as no_match");
    assert_eq!(custom(&world), json!({"seats": 2}));
    let run = sync(&world, &policy, &[marked("seats")]);
    assert!(run.failed("config_error", "DELETE_LIMIT").contains("of the 1 custom_attributes"), "{run}");
}

#[test]
fn attributes_wait_for_their_customer() {
    let world = World::new();
    let run = world
        .sync()
        .stream(stream("custom_attributes"))
        .stream(stream("customers"))
        .line(record("custom_attributes", row("a", &json!(1))))
        .line(record("custom_attributes", row("b", &json!(2))))
        .line(record("custom_attributes", json!({"customer_external_id": "c-9", "key": "a", "value": 1})))
        .line(state("custom_attributes", 1))
        .customer(json!({"external_id": "c-1"}))
        .line(state("customers", 2))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("custom_attributes"), "3 read, 1 rejected, 2 updated, 1 rejected with PARENT_NOT_FOUND");
    assert_eq!(custom(&world), json!({"a": 1, "b": 2}));
}

#[test]
fn faults_name_the_field_and_both_types() {
    let world = World::new();
    let rows = [
        typed("seats", "Integer", &json!("many of them")),
        row("no-key", &json!(1)),
        json!({"customer_external_id": "c-1", "key": "a"}),
        typed("a", "Colour", &json!(1)),
    ];
    let run = sync(&world, &json!({}), &rows).succeeded();
    let words = "1 rejected with FIELD_MISSING, 1 rejected with FIELD_VALUE, 1 rejected with ATTRIBUTE_KEY, 1 rejected with ATTRIBUTE_TYPE";
    assert_eq!(run.outcomes("custom_attributes"), format!("4 read, 4 rejected, {words}"));
    assert!(run.logged(&["ATTRIBUTE_TYPE", "field value", "a text", "Integer"]), "{run}");
    assert_eq!(world.arrived(), 0);
}

#[test]
fn what_is_refused_together_is_tried_one_by_one() {
    // Nothing but the refusal tells that five is no whole number there.
    let world = with(&[json!({"type": "Decimal", "key": "rate", "value": 5})]);
    let rows = [row("seats", &json!(1)), typed("rate", "Integer", &json!(6)), row("channel", &json!("ads"))];
    let run = sync(&world, &json!({}), &rows).succeeded();
    assert_eq!(run.outcomes("custom_attributes"), "3 read, 1 rejected, 2 updated, 1 rejected with API_REFUSED");
    assert_eq!(custom(&world), json!({"channel": "ads", "rate": 5, "seats": 1}));
}

#[test]
fn rows_take_the_types_that_the_customer_shows_and_a_conflict_is_no_request() {
    let rate = json!({"type": "Decimal", "key": "rate", "value": 1.5});
    let zip = json!({"type": "String", "key": "zip", "value": "10001"});
    let world = with(&[pro(), rate, zip]);
    let rows = [
        row("rate", &json!("15001.000000000")),
        row("zip", &json!(20001)),
        row("pro", &json!("soon")),
        typed("zip", "Integer", &json!(5)),
        row("pro", &json!("false")),
    ];
    let run = sync(&world, &json!({}), &rows).succeeded();
    let outcomes = run.outcomes("custom_attributes");
    assert!(outcomes.starts_with("5 read, 2 rejected") && outcomes.ends_with("2 rejected with ATTRIBUTE_TYPE"), "{run}");
    assert!(run.logged(&["field value", "is String here and Boolean in the account"]), "{run}");
    assert!(run.logged(&["field value", "is Integer by `type` and String in the account: change `type`"]), "{run}");
    assert_eq!(custom(&world), json!({"pro": false, "rate": 15001, "zip": "20001"}));
    assert_eq!(requests(&world), [1, 1, 0, 0]);
}

#[test]
fn an_empty_text_behind_a_value_takes_nothing_away() {
    let world = with(&[json!({"type": "Decimal", "key": "rate", "value": 1.5})]);
    assert_eq!(
        outcomes(&world, &json!({}), &[row("rate", &json!("2.5")), row("rate", &json!(""))]),
        "2 read, 1 unchanged, 1 updated"
    );
    assert_eq!(custom(&world), json!({"rate": 2.5}));
}

#[test]
fn rows_of_one_customer_that_disagree_do_not_go_together() {
    let world = with(&[]);
    let run = sync(&world, &json!({}), &[row("seats", &json!(1)), row("seats", &json!("many"))]).succeeded();
    assert_eq!(run.outcomes("custom_attributes"), "2 read, 1 rejected, 1 updated, 1 rejected with ATTRIBUTE_TYPE");
    assert!(run.logged(&["is String here and Integer earlier in this run"]), "{run}");
    assert_eq!((custom(&world), requests(&world)), (json!({"seats": 1}), [1, 1, 0, 0]));
}

#[test]
fn an_attribute_that_was_removed_may_come_back_as_something_else() {
    let world = with(&[json!({"type": "Integer", "key": "seats", "value": 2})]);
    world.given_customer("c-2", json!({}));
    let lines = [
        record("custom_attributes", row("seats", &Value::Null)),
        record("customers", json!({"external_id": "c-1", "seats": "many"})),
    ];
    let sync = world.sync().config(json!({"nulls": "clear"})).stream(stream("custom_attributes")).stream(stream("customers"));
    let run = sync.lines(lines).run().succeeded();
    // This account remembers, which is told by the API alone.
    assert_eq!(run.outcomes("customers"), "1 read, 1 rejected, 1 rejected with API_REFUSED");
    assert_eq!((custom(&world), world.requests("PATCH", "/v1/customers/{uuid}")), (json!({}), 1));
}

#[test]
fn an_answer_that_was_lost_does_no_harm() {
    let world = with(&[pro()]);
    world.fault("POST /customers/*/attributes/custom after-work reset\nDELETE /customers/*/attributes/custom after-work reset");
    let rows = [row("a", &json!(1)), row("pro", &Value::Null)];
    assert_eq!(outcomes(&world, &json!({"nulls": "clear"}), &rows), "2 read, 2 updated");
    assert_eq!(custom(&world), json!({"a": 1}));
}

#[test]
fn a_zero_has_no_sign() {
    let world = World::new();
    // As a source may write it; a map of JSON would tell it as a decimal number.
    let row = r#"{"type":"RECORD","record":{"stream":"customers","data":{"external_id":"c-1","seats":-0,"rate":-0.00},"emitted_at":1}}"#;
    let outcomes = || world.sync().line(row).run().succeeded().outcomes("customers").to_owned();
    assert_eq!(outcomes(), "1 read, 1 created");
    assert_eq!(custom(&world), json!({"seats": 0, "rate": 0}));
    assert_eq!(outcomes(), "1 read, 1 unchanged");
    // By hand, to the account itself: a number that is zero, whatever its sign.
    let customer = world.customer("c-1")["uuid"].as_str().unwrap().to_owned();
    let body = serde_json::from_str(r#"{"custom":{"seats":-0}}"#).unwrap();
    let answered = world.must(&format!("PUT /customers/{customer}/attributes/custom"), body);
    assert_eq!(answered["custom"]["seats"], json!(0));
}
