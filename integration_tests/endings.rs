//! How a sync ends before its time: without COMPLETE, by a signal, because nobody reads.

use serde_json::json;

use crate::harness::{World, complete, record, state, stream};

fn customer(key: &str) -> String {
    record("customers", json!({"external_id": key}))
}

#[test]
fn input_that_ends_without_complete_fails_where_generations_are_told() {
    let world = World::new();
    let run = world
        .sync()
        .stream(stream("customers").generations(4, 0))
        .stream(stream("contacts").generations(4, 0))
        .lines([customer("c-1"), state("customers", 1), complete("contacts"), customer("c-2")])
        .run();
    let message = run.failed("transient_error", "INPUT_INCOMPLETE");
    assert!(message.contains("customers") && !message.contains("contacts"), "{message}");
    assert_eq!(run.state_ids(), [1]);
    assert_eq!(world.customer_keys(), ["c-1", "c-2"], "what came was written");
}

#[test]
fn input_that_ends_without_complete_is_success_where_no_generations_are_told() {
    let world = World::new();
    let run = world.sync().lines([customer("c-1"), state("customers", 1)]).run().succeeded();
    assert_eq!(run.state_ids(), [1]);
}

#[test]
fn children_that_wait_are_not_rejected_when_the_source_failed_in_the_middle() {
    let world = World::new();
    let contact = record("contacts", json!({"customer_external_id": "c-9", "email": "a@example.com"}));
    let run = world
        .sync()
        .stream(stream("contacts").generations(4, 0))
        .stream(stream("customers").generations(4, 0))
        .lines([contact, state("contacts", 1), complete("contacts")])
        .run();
    run.failed("transient_error", "INPUT_INCOMPLETE");
    assert_eq!(run.states().len(), 0, "{run}");
    assert_eq!(run.outcomes("contacts"), "1 read, 1 without an outcome");
    assert!(run.logged(&["a STATE of stream contacts did not leave", "1 records"]), "{run}");
}

#[test]
fn sigterm_finishes_what_is_in_flight_and_emits_what_is_safe() {
    let world = World::new();
    world.fault("POST /customers skip=1 slow=1s");
    let mut live = world.sync().lines([customer("c-1"), state("customers", 1)]).start();
    live.wait_for_states(1);
    // The answer to c-2 is on its way; its contact stands behind it.
    let contact = record("contacts", json!({"customer_external_id": "c-2", "external_id": "never-sent"}));
    live.feed(&[customer("c-2"), state("customers", 2), contact, state("contacts", 3)]);
    world.wait_until("the create of c-2 arrived", |world| world.arrived() == 3);
    live.signal("TERM");
    let run = live.finish();
    assert_eq!(run.code, Some(143), "{run}");
    assert_eq!(run.state_ids(), [1, 2]);
    assert_eq!(world.customer_keys(), ["c-1", "c-2"]);
    assert_eq!(world.requests("POST", "/v1/contacts"), 0);
    assert!(run.logged(&["a STATE of stream contacts did not leave"]), "{run}");
}

#[test]
fn sigterm_ends_a_sync_that_waits_for_input() {
    for signal in ["TERM", "INT"] {
        let world = World::new();
        let mut live = world.sync().lines([customer("c-1"), state("customers", 1)]).start();
        live.wait_for_states(1);
        live.signal(signal);
        assert_eq!(live.finish().code, Some(143));
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_sync() {
    let world = World::new();
    let mut live = world.sync().command().hangs_up_after_states(1).start();
    live.feed(&[customer("c-1"), state("customers", 1)]);
    live.wait_for_states(1);
    // The input stays open: it is the STATE that can not be written any more which ends the process.
    live.feed(&[customer("c-2"), state("customers", 2)]);
    let run = live.finish();
    assert_eq!(run.code, Some(1), "{run}");
    assert_eq!(run.state_ids(), [1]);
}
