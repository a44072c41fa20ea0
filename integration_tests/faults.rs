//! A far side that fails, over real sockets. The client backs off in real time, so that there are few of these.

use destination_chartmogul::sandbox::{Options, Quirks};
use serde_json::{Value, json};

use crate::harness::{Run, World, options, record, state};

fn customers(count: u32) -> impl Iterator<Item = String> {
    (1..=count).map(|n| record("customers", json!({"external_id": format!("c-{n}"), "name": format!("Name {n}")})))
}

/// Five customers with a STATE each, under a fault that passes.
fn endured(fault: &str) -> (World, Run) {
    let world = World::new();
    world.fault(fault);
    let mut sync = world.sync();
    for (n, line) in customers(5).enumerate() {
        sync = sync.lines([line, state("customers", n as u64)]);
    }
    let run = sync.run().succeeded();
    assert_eq!(world.customer_keys(), ["c-1", "c-2", "c-3", "c-4", "c-5"], "{fault}");
    assert_eq!(run.outcomes("customers"), "5 read, 5 created", "{fault}: {run}");
    assert_eq!(run.state_ids(), [0, 1, 2, 3, 4]);
    (world, run)
}

#[test]
fn a_reset_before_the_work_is_endured() {
    endured("POST /customers reset x2\nGET /customers reset");
}

#[test]
fn a_create_whose_answer_was_lost_is_not_made_twice() {
    let (world, _) = endured("POST /customers after-work reset x2");
    assert_eq!(world.requests("POST", "/v1/customers"), 5, "looked up, not sent again");
}

#[test]
fn half_an_answer_is_endured() {
    endured("POST /customers half\nGET /customers half");
}

#[test]
fn an_answer_that_is_no_json_is_endured() {
    endured("POST /customers garbage\nGET /customers garbage");
}

#[test]
fn pages_of_a_proxy_are_endured() {
    endured("POST /customers html=502\nGET /customers html=504\nPOST /customers after-work html=502");
}

#[test]
fn a_503_is_endured_and_reported() {
    let (_, run) = endured("* 503 x3");
    assert!(run.logged(&["3 answered 503"]), "{run}");
}

#[test]
fn a_429_is_endured_and_reported() {
    let (_, run) = endured("GET /customers 429\nPOST /customers 429 retry-after=1");
    assert!(run.logged(&["2 answered 429"]), "{run}");
}

#[test]
fn a_pause_of_seconds_is_told_to_the_platform_while_it_lasts() {
    let now = || u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let world = World::new();
    world.fault("POST /customers 429 retry-after=4 skip=3");
    let began = now();
    let run = world.sync().lines(customers(8)).line(state("customers", 1)).run().succeeded();
    assert_eq!(run.outcomes("customers"), "8 read, 8 created", "{run}");
    let told: Vec<&Value> = run.of_type("TRACE").map(|message| &message["trace"]).collect();
    assert_eq!(told.len(), 1, "{run}");
    let (at, status) = (told[0]["emitted_at"].as_u64().unwrap(), &told[0]["stream_status"]);
    assert_eq!((&told[0]["type"], &status["status"]), (&json!("STREAM_STATUS"), &json!("RUNNING")));
    assert_eq!(status["stream_descriptor"], json!({"name": "customers"}));
    let reset = status["reasons"][0]["rate_limited"]["quota_reset"].as_u64().unwrap();
    assert_eq!(status["reasons"], json!([{"type": "RATE_LIMITED", "rate_limited": {"quota_reset": reset}}]));
    assert!(began <= at && at < reset && reset <= now(), "told at {at}, for {reset}, of a run from {began}");
    assert!(reset <= at + 4_300, "no longer than it lasts: {reset} at {at}");
    let position = |kind: &str| run.messages.iter().position(|message| message["type"] == kind).unwrap();
    assert!(position("TRACE") < position("STATE"), "{run}");
    assert!(run.logged(&["throttled: nothing was sent for 4.", "too many requests (429)"]), "{run}");
}

#[test]
fn limits_of_the_account_that_others_use_up_are_endured() {
    // The account takes less than we are told: every second has 429s until the client has found its pace.
    let quirks = Quirks { retry_after: Some(1), ..Quirks::default() };
    let world = World::with(Options { requests_per_second: 30, quirks, ..options() });
    let run = world.sync().config(json!({"mode": "insert"})).lines(customers(60)).line(state("customers", 1)).run().succeeded();
    assert_eq!(run.outcomes("customers"), "60 read, 60 created");
    assert_eq!(world.customers().len(), 60);
}

#[test]
fn a_contact_whose_answer_was_lost_is_not_made_twice() {
    for fault in ["POST /contacts after-work reset", "POST /contacts half", "POST /contacts after-work html=504"] {
        let world = World::new();
        world.given_customer("c-1", json!({}));
        world.fault(fault);
        let run = world
            .sync()
            .contact(json!({"customer_external_id": "c-1", "email": "a@lee.example"}))
            .contact(json!({"customer_external_id": "c-1", "first_name": "Nothing", "last_name": "Unique"}))
            .line(state("contacts", 1))
            .run()
            .succeeded();
        assert_eq!(run.outcomes("contacts"), "2 read, 2 created", "{fault}");
        assert_eq!(world.contacts().len(), 2, "{fault}");
    }
}

#[test]
fn a_contact_that_was_never_made_is_sent_again_after_it_was_looked_for() {
    let world = World::new();
    world.given_customer("c-1", json!({}));
    world.fault("POST /contacts reset");
    let run = world.sync().contact(json!({"customer_external_id": "c-1", "email": "a@lee.example"})).run().succeeded();
    assert_eq!(run.outcomes("contacts"), "1 read, 1 created");
    assert_eq!(world.contacts().len(), 1);
    assert_eq!(world.requests("POST", "/v1/contacts"), 2);
}

#[test]
fn changes_and_deletions_whose_answers_were_lost_are_done_once() {
    let world = World::new();
    let uuid = world.given_customer("c-1", json!({}));
    world.given_customer("c-2", json!({}));
    world.fault("PATCH /customers/* after-work reset\nDELETE /customers/* after-work reset");
    let run = world
        .sync()
        .config(json!({"deletions": {"policy": "delete", "max_deletes": 1, "max_percent": 50}}))
        .customer(json!({"uuid": uuid, "name": "Ann Lee"}))
        .customer(json!({"external_id": "c-2", "_ab_cdc_deleted_at": "2026-01-02"}))
        .line(state("customers", 1))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("customers"), "2 read, 1 deleted, 1 updated");
    assert_eq!(world.customer_keys(), ["c-1"]);
}

#[test]
fn a_key_that_is_refused_in_the_middle_stops_the_sync_and_earlier_states_stand() {
    let world = World::new();
    let mut live = world.sync().lines(customers(2)).line(state("customers", 1)).start();
    live.wait_for_states(1);
    world.fault("* status=401 x*");
    live.feed(&[record("customers", json!({"external_id": "c-3"})), state("customers", 2)]);
    // The input stays open: the sync does not wait for more of it.
    let run = live.finish();
    let message = run.failed("config_error", "KEY_REFUSED");
    assert!(message.contains("Copy an active key"), "{message}");
    assert_eq!(run.state_ids(), [1]);
    assert_eq!(world.customer_keys(), ["c-1", "c-2"]);
}

#[test]
fn a_key_that_may_only_read_stops_the_sync_before_anything_is_written() {
    let world = World::new();
    let key = destination_chartmogul::sandbox::READ_ONLY_KEY;
    let run = world.sync().config(json!({"api_key": key})).lines(customers(3)).line(state("customers", 1)).run();
    run.failed("config_error", "KEY_READ_ONLY");
    assert_eq!(run.states().len(), 0);
}

#[test]
fn a_data_source_that_does_not_exist_rejects_nothing_silently() {
    let world = World::new();
    let run = world
        .sync()
        .config(json!({"data_source_uuid": "ds_00000000-0000-4000-8000-000000000000"}))
        .lines(customers(3))
        .line(state("customers", 1))
        .run();
    let message = run.failed("config_error", "DATA_SOURCE_UNKNOWN");
    assert!(message.contains("ds_00000000"), "{message}");
    assert_eq!(run.states().len(), 0);
}

#[test]
fn an_outage_beyond_the_time_to_give_up_is_a_transient_error() {
    let world = World::new();
    let limits = json!({"give_up_after_minutes": 0, "requests_per_second": 5000, "connections": 50});
    let mut live = world.sync().config(json!({"limits": limits})).lines(customers(1)).line(state("customers", 1)).start();
    live.wait_for_states(1);
    world.fault("* status=500 x*");
    live.feed(&[record("customers", json!({"external_id": "c-2"})), state("customers", 2)]);
    let run = live.finish();
    run.failed("transient_error", "API_OUTAGE");
    assert_eq!(run.state_ids(), [1]);
}

#[test]
fn a_record_that_breaks_the_server_every_time_becomes_its_own_reject_while_others_pass() {
    let world = World::new();
    let uuids: Vec<String> = (1..=10).map(|n| world.given_customer(&format!("c-{n}"), json!({}))).collect();
    world.fault(&format!("PATCH /customers/{} status=500 x*", uuids[0]));
    let change = |n: usize| record("customers", json!({"external_id": format!("c-{n}"), "name": "New Name"}));
    let mut live = world.sync().lines([change(1), state("customers", 1)]).start();
    world
        .wait_until("the server broke once", |world| world.sandbox.observed().answered("PATCH", "/v1/customers/{uuid}", 500) > 0);
    live.feed(&(2..=10).map(change).collect::<Vec<_>>());
    live.feed(&[state("customers", 2)]);
    live.end_input();
    let run = live.finish().succeeded();
    assert_eq!(run.outcomes("customers"), "10 read, 1 rejected, 9 updated, 1 rejected with RECORD_BREAKS_SERVER");
    assert_eq!(run.counts(), [(0.0, 1.0), (9.0, 0.0)]);
    assert_eq!(world.customer("c-1")["fields"].get("name"), None);
    assert_eq!(world.customer("c-10")["fields"]["name"], "New Name");
}

#[test]
fn random_faults_leave_the_account_as_a_clean_run_does() {
    let input: Vec<String> = (0..60)
        .flat_map(|n| {
            let customer = json!({"external_id": format!("c-{}", n % 40), "name": format!("Name {n}"), "seats": n, "tags": [format!("t{n}")]});
            let contact = json!({"customer_external_id": format!("c-{}", n % 40), "external_id": format!("k-{n}"), "title": "Some Title"});
            [record("contacts", contact), record("customers", customer)]
        })
        .chain([state("customers", 1), state("contacts", 2)])
        .collect();
    let contents = |faults: &str| -> Value {
        let world = World::new();
        world.fault(faults);
        let run = world.sync().lines(input.clone()).run().succeeded();
        assert!(run.outcomes("customers").starts_with("60 read, 40 created, 20 updated"), "{run}");
        assert_eq!(run.outcomes("contacts"), "60 read, 60 created");
        let mut contents = world.contents();
        // The order in which contacts of one customer arrive is nobody's promise.
        for contact in contents["contacts"].as_array_mut().unwrap() {
            contact["fields"].as_object_mut().unwrap().shift_remove("position");
        }
        contents["contacts"].as_array_mut().unwrap().sort_by_cached_key(Value::to_string);
        contents
    };
    let clean = contents("");
    let faults = "* after-work rate=0.02 reset x6\n* rate=0.02 status=500 x6\n* rate=0.02 half x6\n* rate=0.02 429 x3";
    assert_eq!(contents(faults), clean);
}
