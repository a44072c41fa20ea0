//! `stop_when_rejected`: too many rejects end the sync, and what is safe stands.

use serde_json::{Value, json};

use crate::harness::{Run, World, record, state, stream};

fn limit(percent: u32, after: u32) -> Value {
    json!({"stop_when_rejected": {"percent": percent, "after": after}})
}

/// A record that is rejected before anything is sent.
fn bad() -> String {
    record("customers", json!({"name": "Nobody Knows"}))
}

fn good(key: &str) -> String {
    record("customers", json!({"external_id": key}))
}

fn stopped(run: &Run) -> String {
    run.failed("config_error", "REJECT_LIMIT")
}

#[test]
fn the_first_reject_fails_the_sync_where_that_is_asked_for() {
    let world = World::new();
    let sync = world.sync().config(limit(0, 1));
    let run = sync.lines([good("c-1"), state("customers", 1), bad(), state("customers", 2), good("c-2")]).run();
    let message = stopped(&run);
    for words in ["1 of ", "1 with FIELD_MISSING", "0 percent after 1", "stop_when_rejected"] {
        assert!(message.contains(words), "{message}");
    }
    assert!(!run.state_ids().contains(&2), "a STATE that covers the reject left: {run}");
    assert!(!world.customer_keys().contains(&"c-2".to_owned()), "what comes after is not started");
}

#[test]
fn what_came_before_stands_and_its_states_have_left() {
    let world = World::new();
    let mut live = world.sync().config(limit(0, 1)).lines([good("c-1"), state("customers", 1)]).start();
    live.wait_for_states(1);
    live.feed(&[bad(), state("customers", 2), good("c-2")]);
    let run = live.finish();
    stopped(&run);
    assert_eq!(run.state_ids(), [1]);
    assert_eq!(world.customer_keys(), ["c-1"]);
}

#[test]
fn what_is_in_flight_is_finished_and_lets_its_own_states_go() {
    let world = World::new();
    world.given_customer("c-0", json!({}));
    world.fault("POST /contacts slow=1s");
    let sync = world.sync().config(limit(0, 1)).stream(stream("contacts")).stream(stream("customers"));
    let contact = record("contacts", json!({"customer_external_id": "c-0", "email": "ann@lee.example"}));
    let mut live = sync.lines([contact, state("contacts", 1)]).start();
    world.wait_until("the contact is on its way", |world| world.requests("POST", "/v1/contacts") == 1);
    live.feed(&[bad(), state("customers", 2)]);
    let run = live.finish();
    stopped(&run);
    assert_eq!(run.state_ids(), [1], "{run}");
    assert_eq!(world.contacts().len(), 1);
    assert_eq!(run.outcomes("contacts"), "1 read, 1 created");
}

#[test]
fn what_the_api_refuses_counts_like_what_is_found_before() {
    let world = World::new();
    world.fault("POST /customers status=422 x*");
    let sync = world.sync().config(limit(50, 2));
    let run = sync.lines([good("c-1"), state("customers", 1), good("c-2"), state("customers", 2)]).run();
    assert!(stopped(&run).contains("2 of 2 records were rejected (2 with API_REFUSED)"), "{run}");
    assert!(!run.state_ids().contains(&2), "{run}");
}

#[test]
fn both_bounds_have_to_be_reached() {
    let few = World::new();
    few.sync().config(limit(100, 3)).lines([bad(), bad(), state("customers", 1)]).run().succeeded();
    let part = World::new();
    let mut live = part.sync().config(limit(100, 2)).lines([good("c-1"), state("customers", 1)]).start();
    live.wait_for_states(1);
    live.feed(&[bad(), bad(), state("customers", 2)]);
    live.end_input();
    live.finish().succeeded();
}

#[test]
fn by_default_a_thousand_rejects_and_nothing_else_end_the_sync() {
    let world = World::new();
    let run = world.sync().lines((0..1_500).map(|_| bad())).line(state("customers", 1)).run();
    assert!(stopped(&run).contains("1000 of 1000 records"), "{run}");
    assert!(run.state_ids().is_empty());
    let mostly = World::new();
    let mut live = mostly.sync().lines([good("c-1"), state("customers", 1)]).start();
    live.wait_for_states(1);
    let rest: Vec<String> = (0..1_500).map(|_| bad()).chain([state("customers", 2)]).collect();
    live.feed(&rest);
    live.end_input();
    let run = live.finish().succeeded();
    assert_eq!(run.counts()[1], (0.0, 1500.0));
}

#[test]
fn rejects_that_need_no_request_do_not_outrun_the_good_records_before_them() {
    let world = World::new();
    world.fault("GET /customers slow=1s");
    let goods = (0..20).map(|at| good(&format!("c-{at}")));
    let run = world.sync().lines(goods.chain((0..1_500).map(|_| bad()))).line(state("customers", 1)).run().succeeded();
    assert_eq!(run.counts(), [(20.0, 1500.0)]);
}

#[test]
fn a_sync_that_is_mostly_good_does_not_fail_by_default() {
    let world = World::new();
    let lines = (0..4_000).flat_map(|at| {
        let row = if at % 4 == 0 { bad() } else { good(&format!("c-{at}")) };
        std::iter::once(row).chain((at % 500 == 499).then(|| state("customers", at / 500)))
    });
    let run =
        world.sync().config(json!({"limits": {"requests_per_second": 5000, "connections": 50}})).lines(lines).run().succeeded();
    assert_eq!(run.counts(), [(375.0, 125.0); 8]);
}

#[test]
fn a_second_sync_after_the_source_was_mended_comes_by_the_rejected_record_again() {
    let world = World::new();
    let sync = |second: String| {
        let sync = world.sync().config(limit(0, 1));
        sync.lines([good("c-1"), second, state("customers", 1)]).run()
    };
    stopped(&sync(bad()));
    let run = sync(good("c-2")).succeeded();
    assert_eq!(run.state_ids(), [1]);
    assert_eq!(world.customer_keys(), ["c-1", "c-2"]);
}
