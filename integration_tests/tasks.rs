//! Tasks of customers.

use serde_json::{Value, json};

use crate::harness::World;
use crate::keyless::Keyless;

fn task() -> Value {
    json!({"customer_external_id": "c-1", "task_details": "Call them", "assignee": "owner@example.com",
        "due_date": "2026-04-30T00:00:00Z"})
}

fn tasks() -> Keyless {
    Keyless {
        name: "tasks",
        row: task,
        by: &["task_details"],
        change: ("assignee", json!("second.owner@example.com")),
        needed: "due_date",
        bad: ("task_details", json!("x".repeat(256)), "FIELD_TOO_LONG"),
    }
}

#[test]
fn tasks_are_written_once_changed_where_they_match_and_deleted_when_asked() {
    tasks().holds();
}

#[test]
fn a_task_is_done_and_opened_again() {
    let world = World::with(crate::harness::options());
    world.given_customer("c-1", json!({}));
    let by_details = json!({"streams": [{"stream": "tasks", "match": ["task_details"]}]});
    let sync = |row: &Value, nulls: &str| {
        let mut config = by_details.clone();
        config["nulls"] = nulls.into();
        let run = tasks().sync(&world, &config, std::slice::from_ref(row)).succeeded();
        (run.outcomes("tasks").to_owned(), run.logged(&["NULL_NOT_CLEARED", "tasks.completed_at"]))
    };
    let done = tasks().with(&json!({"completed_at": "2026-04-29 09:00:00"}));
    let open = tasks().with(&json!({"completed_at": null}));
    assert_eq!(sync(&done, "ignore").0, "1 read, 1 created");
    assert_eq!(
        world.entries("tasks")[0]["fields"],
        json!({"task_details": "Call them", "assignee": "owner@example.com", "due_date": "2026-04-30T00:00:00.000Z",
            "completed_at": "2026-04-29T09:00:00.000Z"})
    );
    assert_eq!(sync(&open, "ignore").0, "1 read, 1 unchanged");
    // Whether the API clears a field by a null is unknown: this account keeps the old value, which is told.
    assert_eq!(sync(&open, "clear"), ("1 read, 1 updated".to_owned(), true));
    let clears = World::with(destination_chartmogul::sandbox::Options {
        quirks: destination_chartmogul::sandbox::Quirks { null_clears: true, ..Default::default() },
        ..crate::harness::options()
    });
    clears.given_customer("c-1", json!({}));
    tasks().sync(&clears, &by_details, &[done]).succeeded();
    let mut config = by_details.clone();
    config["nulls"] = "clear".into();
    let run = tasks().sync(&clears, &config, &[open.clone(), open]).succeeded();
    assert_eq!(run.outcomes("tasks"), "2 read, 1 unchanged, 1 updated");
    assert_eq!(clears.entries("tasks")[0]["fields"].get("completed_at"), None);
}
