//! The summary at the end of `write`: one JSON object in the log, whatever the end was.

use serde_json::{Value, json};

use crate::harness::{Run, World, record, state, stream};

/// The one summary of a run.
fn summary(run: &Run) -> Value {
    let found: Vec<&str> = run.logs().filter_map(|log| log.strip_prefix("summary ")).collect();
    assert_eq!(found.len(), 1, "{run}");
    serde_json::from_str(found[0]).unwrap()
}

fn customer(key: &str) -> String {
    record("customers", json!({"external_id": key}))
}

#[test]
fn a_sync_that_ends_well_is_summed_up() {
    let world = World::new();
    world.given_customer("c-0", json!({}));
    let sync = world.sync().config(json!({"mode": "insert"}));
    let lines = [customer("c-0"), customer("c-1"), record("customers", json!({"name": "No Key"})), state("customers", 1)];
    let run = sync.lines(lines).run().succeeded();
    let summary = summary(&run);
    assert_eq!(
        (&summary["summary_version"], &summary["ending"], &summary["code"]),
        (&json!(1), &json!("complete"), &Value::Null)
    );
    let customers = &summary["streams"][0];
    assert_eq!((&customers["stream"], &customers["namespace"]), (&json!("customers"), &Value::Null));
    for (key, count) in [("read", 3), ("created", 1), ("skipped", 1), ("rejected", 1), ("updated", 0), ("without_outcome", 0)] {
        assert_eq!((&customers[key], &summary["total"][key]), (&json!(count), &json!(count)), "{key}: {summary}");
    }
    assert_eq!(customers["skipped_by_reason"], json!({"exists": 1}));
    assert_eq!(customers["rejected_by_code"], json!({"FIELD_MISSING": 1}));
    let first = json!([{"namespace": null, "stream": "customers", "code": "FIELD_MISSING", "line": 3, "field": "external_id"}]);
    assert_eq!(summary["first_rejects"], first);
    let requests = &summary["requests"];
    assert_eq!(requests["attempts"], world.arrived(), "{summary}");
    let by_kind: u64 = requests["by_kind"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(requests["attempts"], by_kind);
    assert_eq!(
        summary["states"],
        json!({"read": 1, "emitted": 1, "waiting": [], "records_waiting_for_parents": 0, "waiting_to_be_kept": 0})
    );
    let at = |run: &Run, word: &str| run.stdout.iter().position(|line| line.contains(word)).unwrap();
    assert_eq!(at(&run, "summary_version"), run.stdout.len() - 1, "it is the last that is said: {run}");
}

#[test]
fn a_sync_that_fails_says_with_what_and_which_state_waited_for_how_many_records() {
    let world = World::new();
    let contact = record("contacts", json!({"customer_external_id": "c-9", "email": "a@example.com"}));
    let run = world
        .sync()
        .stream(stream("contacts").generations(4, 0))
        .stream(stream("customers").generations(4, 0))
        .lines([customer("c-1"), state("customers", 1), contact, state("contacts", 2)])
        .run();
    run.failed("transient_error", "INPUT_INCOMPLETE");
    let summary = summary(&run);
    assert_eq!((&summary["ending"], &summary["code"]), (&json!("failed"), &json!("INPUT_INCOMPLETE")));
    let waiting = json!([{"namespace": null, "stream": "contacts", "records": 1}]);
    assert_eq!(
        summary["states"],
        json!({"read": 2, "emitted": 1, "waiting": waiting, "records_waiting_for_parents": 1, "waiting_to_be_kept": 0})
    );
    assert_eq!(summary["total"]["without_outcome"], 1);
}

#[test]
fn a_sync_that_was_told_to_stop_is_summed_up_too() {
    let world = World::new();
    let mut live = world.sync().lines([customer("c-1"), state("customers", 1)]).start();
    live.wait_for_states(1);
    live.signal("TERM");
    let run = live.finish();
    assert_eq!(run.code, Some(143));
    assert_eq!(summary(&run)["ending"], "interrupted");
}

#[test]
fn what_was_throttled_is_counted() {
    let world = World::new();
    world.fault("POST /customers status=429 x1");
    let run = world.sync().lines([customer("c-1"), state("customers", 1)]).run().succeeded();
    let requests = &summary(&run)["requests"];
    assert_eq!(requests["answered_429"], 1, "{run}");
    assert!(requests["seconds_throttled"].as_f64().unwrap() > 0.0, "{run}");
}

#[test]
fn the_first_reject_is_the_first_of_the_input_and_not_the_first_in_time() {
    let world = World::new();
    let task = |customer: &str, details: &str| {
        world.given_customer(customer, json!({}));
        let row = json!({"customer_external_id": customer, "task_details": details, "assignee": "nobody@example.com",
            "due_date": "2027-01-01"});
        record("tasks", row)
    };
    world.fault("POST /tasks body=late slow=2s");
    let lines = [task("c-1", "late"), task("c-2", "early"), state("tasks", 1)];
    let run = world.sync().stream(stream("tasks")).lines(lines).run().succeeded();
    let summary = summary(&run);
    assert_eq!(summary["total"]["rejected_by_code"], json!({"API_REFUSED": 2}));
    assert_eq!(summary["first_rejects"][0]["line"], 1, "{summary}");
}
