//! Opportunities of customers.

use serde_json::{Value, json};

use crate::harness::World;
use crate::keyless::Keyless;

fn opportunity() -> Value {
    json!({"customer_external_id": "c-1", "owner": "owner@example.com", "pipeline": "New Business",
        "pipeline_stage": "Discovery", "estimated_close_date": "2026-03-30", "currency": "USD", "amount_in_cents": 200_000,
        "type": "one-time", "forecast_category": "best_case", "win_likelihood": 30})
}

fn opportunities() -> Keyless {
    Keyless {
        name: "opportunities",
        row: opportunity,
        by: &["pipeline"],
        change: ("amount_in_cents", json!(250_000)),
        needed: "currency",
        bad: ("win_likelihood", json!(101), "FIELD_VALUE"),
    }
}

#[test]
fn opportunities_are_written_once_changed_where_they_match_and_deleted_when_asked() {
    opportunities().holds();
}

#[test]
fn every_writable_field_arrives_on_create_and_on_change() {
    let world = World::new();
    world.given_customer("c-1", json!({}));
    let object = opportunities();
    let by_pipeline = json!({"streams": [{"stream": "opportunities", "match": ["pipeline"]}]});
    let first = object.with(&json!({"estimated_close_date": "2026-03-30T12:00:00Z", "currency": "usd", "from_campaign": true}));
    object.sync(&world, &by_pipeline, &[first]).succeeded();
    let mut expected = opportunity();
    expected.as_object_mut().unwrap().remove("customer_external_id");
    assert_eq!(world.entries("opportunities")[0]["fields"], expected);
    assert_eq!(world.entries("opportunities")[0]["custom"], json!({"from_campaign": true}));
    let second = json!({"customer_external_id": "c-1", "owner": "second.owner@example.com", "pipeline": "New Business",
        "pipeline_stage": "Closing", "estimated_close_date": "2026-04-30", "currency": "EUR", "amount_in_cents": 5,
        "type": "arr", "forecast_category": "won", "win_likelihood": 100});
    let mut changed = second.clone();
    changed["custom"] = json!({"from_campaign": false});
    let run = object.sync(&world, &by_pipeline, &[changed]).succeeded();
    assert_eq!(run.outcomes("opportunities"), "1 read, 1 updated");
    let mut expected = second;
    expected.as_object_mut().unwrap().remove("customer_external_id");
    assert_eq!(world.entries("opportunities")[0]["fields"], expected);
    assert_eq!(world.entries("opportunities")[0]["custom"], json!({"from_campaign": false}));
}

#[test]
fn an_attribute_that_was_not_defined_is_a_warning_and_asks_for_nothing_again() {
    let world = World::new();
    world.given_customer("c-1", json!({}));
    let object = opportunities();
    let row = object.with(&json!({"hobby": "none"}));
    let run = object.sync(&world, &json!({}), std::slice::from_ref(&row)).succeeded();
    assert!(run.logged(&["FIELD_NOT_KEPT", "opportunities.custom.hobby"]), "{run}");
    let writes = world.writes();
    let run = object.sync(&world, &json!({}), &[row]).succeeded();
    assert_eq!(run.outcomes("opportunities"), "1 read, 1 unchanged");
    assert_eq!(world.writes(), writes);
    // A key that is seen to be kept is reason enough.
    let with = |value: bool| object.with(&json!({"win_likelihood": 31, "from_campaign": value}));
    object.sync(&world, &json!({}), &[with(true)]).succeeded();
    let run = object.sync(&world, &json!({}), &[with(false)]).succeeded();
    assert_eq!(run.outcomes("opportunities"), "1 read, 1 updated");
}

#[test]
fn what_only_the_account_knows_is_told_in_its_words() {
    let world = World::new();
    world.given_customer("c-1", json!({}));
    let row = opportunities().with(&json!({"pipeline": "No Such"}));
    let run = opportunities().sync(&world, &json!({}), &[row]).succeeded();
    assert_eq!(run.outcomes("opportunities"), "1 read, 1 rejected, 1 rejected with API_REFUSED");
    assert!(run.logged(&["pipeline", "does not exist"]), "{run}");
}
