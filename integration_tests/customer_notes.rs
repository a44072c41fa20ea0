//! Notes and calls of customers.

use serde_json::{Value, json};

use crate::harness::{World, record, stream};
use crate::keyless::Keyless;

fn note() -> Value {
    json!({"customer_external_id": "c-1", "type": "note", "text": "Wants a yearly plan", "author_email": "owner@example.com",
        "created_at": "2026-01-05T10:00:00Z"})
}

fn notes() -> Keyless {
    Keyless {
        name: "customer_notes",
        row: note,
        by: &["created_at"],
        change: ("text", json!("Wants two plans")),
        needed: "type",
        bad: ("author_email", json!("no address"), "FIELD_VALUE"),
    }
}

#[test]
fn notes_are_written_once_changed_where_they_match_and_deleted_when_asked() {
    notes().holds();
}

#[test]
fn every_writable_field_of_a_call_arrives() {
    let world = World::new();
    world.given_customer("c-1", json!({}));
    let call = notes().with(&json!({"type": "call", "call_duration": "300"}));
    notes().sync(&world, &json!({}), &[call.clone(), call]).succeeded();
    let entries = world.entries("customer_notes");
    assert_eq!(entries.len(), 1);
    assert_eq!(
        entries[0]["fields"],
        json!({"type": "call", "text": "Wants a yearly plan", "author_email": "owner@example.com", "call_duration": 300,
            "created_at": "2026-01-05T10:00:00.000Z"})
    );
}

#[test]
fn the_length_of_a_note_is_a_fault() {
    let world = World::new();
    let row = notes().with(&json!({"call_duration": 5}));
    let run = notes().sync(&world, &json!({}), &[row]).succeeded();
    assert_eq!(run.outcomes("customer_notes"), "1 read, 1 rejected, 1 rejected with FIELD_VALUE");
}

#[test]
fn the_kind_of_a_note_stays_and_a_row_that_says_otherwise_is_a_fault() {
    let world = World::new();
    world.given_customer("c-1", json!({}));
    notes().sync(&world, &json!({}), &[note()]).succeeded();
    let uuid = world.entries("customer_notes")[0]["uuid"].clone();
    let by_date = json!({"streams": [{"stream": "customer_notes", "match": "created_at"}]});
    for (config, row) in [(by_date, notes().with(&json!({"type": "call"}))), (json!({}), json!({"uuid": uuid, "type": "call"}))] {
        let run = notes().sync(&world, &config, &[row]).succeeded();
        assert_eq!(run.outcomes("customer_notes"), "1 read, 1 rejected, 1 rejected with FIELD_FIXED");
        assert!(run.logged(&["FIELD_FIXED", "field type"]), "{run}");
    }
    let run = notes().sync(&world, &json!({}), &[json!({"uuid": uuid, "type": "note"})]).succeeded();
    assert_eq!((run.outcomes("customer_notes"), world.writes()), ("1 read, 1 unchanged", 1));
}

#[test]
fn rows_by_uuid_cost_at_most_twice_the_reads_of_the_better_choice() {
    let world = World::new();
    let customer = world.given_customer("c-1", json!({}));
    let note = |n: usize| {
        let body = json!({"customer_uuid": customer, "type": "note", "text": format!("n{n}")});
        world.must("POST /customer_notes", body)["uuid"].as_str().unwrap().to_owned()
    };
    let uuids: Vec<String> = (0..601).map(note).collect();
    let before = world.requests_with("GET");
    // On the last of four pages, whose number no answer tells: one by one they would take two.
    let rows = uuids[..2].iter().map(|uuid| record("customer_notes", json!({"uuid": uuid, "text": "new"})));
    let run = world.sync().stream(stream("customer_notes")).lines(rows).run().succeeded();
    assert_eq!(run.outcomes("customer_notes"), "2 read, 2 updated");
    let reads = world.requests_with("GET") - before;
    assert!(reads <= 4, "{reads} reads");
}
