//! Cancellations: dates of subscriptions that invoices and events brought.

use destination_chartmogul::sandbox::{DATA_SOURCE_UUID, Options, SECOND_DATA_SOURCE_UUID};
use serde_json::{Value, json};

use crate::harness::{Run, World, options, record, state, stream};

const STREAM: &str = "subscription_cancellations";
const LIST: &str = "/v1/import/customers/{uuid}/subscriptions";
const ONE: &str = "/v1/import/subscriptions/{uuid}";
const JAN: &str = "2026-01-01T00:00:00.000Z";
const FEB: &str = "2026-02-01T00:00:00.000Z";
const MAR: &str = "2026-03-01T00:00:00.000Z";

fn given_plan(world: &World, source: &str) {
    let plan =
        json!({"data_source_uuid": source, "external_id": "p", "name": "P", "interval_count": 1, "interval_unit": "month"});
    world.must("POST /plans", plan);
}

/// An account with customer `c-1` and its subscription `s-1`, cancelled at these dates.
fn with_subscription(dates: &[&str]) -> World {
    let world = World::new();
    let customer = world.given_customer("c-1", json!({}));
    given_plan(&world, DATA_SOURCE_UUID);
    let mut event = start("s-1");
    event["data_source_uuid"] = DATA_SOURCE_UUID.into();
    world.must("POST /subscription_events", json!({"subscription_event": event}));
    if !dates.is_empty() {
        let uuid = uuid(&world, &customer);
        world.must(&format!("PATCH /import/subscriptions/{uuid}"), json!({"cancellation_dates": dates}));
    }
    world
}

fn uuid(world: &World, customer: &str) -> String {
    let list = world.must(&format!("GET /import/customers/{customer}/subscriptions"), Value::Null);
    list["subscriptions"][0]["uuid"].as_str().unwrap().to_owned()
}

/// The event that brings a subscription.
fn start(subscription: &str) -> Value {
    json!({"external_id": format!("start-{subscription}"), "customer_external_id": "c-1", "event_type": "subscription_start",
        "event_date": "2025-01-01", "effective_date": "2025-01-01", "subscription_external_id": subscription,
        "plan_external_id": "p", "currency": "USD", "amount_in_cents": 1000})
}

/// A row about `s-1` with more in it.
#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn row(more: Value) -> Value {
    let mut row = json!({"customer_external_id": "c-1", "subscription_external_id": "s-1"});
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row
}

fn run(world: &World, config: Value, rows: &[Value]) -> Run {
    let sync = world.sync().config(config).stream(stream(STREAM));
    sync.lines(rows.iter().map(|row| record(STREAM, row.clone()))).line(state(STREAM, 1)).run().succeeded()
}

fn dates(world: &World) -> Vec<String> {
    let dump = world.sandbox.dump();
    let mut dates: Vec<String> = serde_json::from_value(dump["subscriptions"][0]["cancellation_dates"].clone()).unwrap();
    dates.sort_unstable();
    dates
}

#[test]
fn a_date_is_added_once() {
    let world = with_subscription(&[JAN]);
    let rows = [row(json!({"cancelled_at": "2026-02-01"})), row(json!({"cancelled_at": "2026-01-01T01:00:00+01:00"}))];
    assert_eq!(run(&world, json!({}), &rows).outcomes(STREAM), "2 read, 1 unchanged, 1 updated");
    assert_eq!(dates(&world), [JAN, FEB]);
    assert_eq!((world.requests("GET", LIST), world.requests("PATCH", ONE), world.arrived()), (1, 1, 3));
    assert_eq!(run(&world, json!({}), &rows).outcomes(STREAM), "2 read, 2 unchanged");
    assert_eq!((world.writes(), world.arrived()), (1, 5));
}

#[test]
fn a_list_replaces_the_dates_and_an_empty_one_clears_them() {
    let world = with_subscription(&[JAN, FEB]);
    let rows = [row(json!({"cancellation_dates": ["2026-02-01", "2026-01-01"]})), row(json!({"cancellation_dates": [FEB, MAR]}))];
    let run_one = run(&world, json!({}), &rows);
    assert_eq!(
        (run_one.outcomes(STREAM), dates(&world)),
        ("2 read, 1 unchanged, 1 updated", vec![FEB.to_owned(), MAR.to_owned()])
    );
    assert!(!run_one.logged(&["FIELD_NOT_KEPT"]), "{run_one}");
    let empty = [row(json!({"cancellation_dates": []}))];
    assert_eq!(run(&world, json!({}), &empty).outcomes(STREAM), "1 read, 1 updated");
    assert_eq!(run(&world, json!({}), &empty).outcomes(STREAM), "1 read, 1 unchanged");
    assert_eq!(dates(&world), [""; 0]);
}

#[test]
fn a_null_clears_where_the_settings_say_so() {
    let world = with_subscription(&[JAN]);
    let rows = [row(json!({"cancelled_at": null}))];
    let run_one = run(&world, json!({}), &rows);
    assert_eq!(run_one.outcomes(STREAM), "1 read, 1 rejected, 1 rejected with FIELD_MISSING");
    assert_eq!(run(&world, json!({"nulls": "clear"}), &rows).outcomes(STREAM), "1 read, 1 updated");
    assert_eq!(dates(&world), [""; 0]);
}

#[test]
fn insert_adds_and_skips_what_is_there() {
    let world = with_subscription(&[JAN]);
    let rows = [row(json!({"cancelled_at": JAN})), row(json!({"cancellation_dates": [FEB]})), row(json!({"cancelled_at": MAR}))];
    let run = run(&world, json!({"mode": "insert"}), &rows);
    assert_eq!(run.outcomes(STREAM), "3 read, 1 skipped, 2 updated, 1 skipped as exists");
    assert!(!run.logged(&["FIELD_NOT_KEPT"]), "{run}");
    assert_eq!((dates(&world), world.requests("GET", LIST)), (vec![JAN.to_owned(), FEB.to_owned(), MAR.to_owned()], 1));
}

#[test]
fn update_does_not_wait() {
    let world = with_subscription(&[]);
    let rows = [
        row(json!({"cancelled_at": JAN})),
        json!({"customer_external_id": "c-1", "subscription_external_id": "s-9", "cancelled_at": JAN}),
        json!({"customer_external_id": "c-9", "subscription_external_id": "s-1", "cancelled_at": JAN}),
        json!({"subscription_uuid": "sub_00000000-0000-4000-8000-000000000000", "cancelled_at": JAN}),
    ];
    let run = run(&world, json!({"mode": "update"}), &rows);
    assert_eq!(run.outcomes(STREAM), "4 read, 3 skipped, 1 updated, 3 skipped as no_match");
    assert_eq!(dates(&world), [JAN]);
}

#[test]
fn a_marked_record_takes_its_date_away_and_all_of_them_where_it_gives_none() {
    let policy = json!({"deletions": {"policy": "delete", "max_deletes": 2, "max_percent": 1}});
    let marked = |mut row: Value| {
        row["_ab_cdc_deleted_at"] = "2026-05-01".into();
        row
    };
    let world = with_subscription(&[JAN, FEB, MAR]);
    let rows = [marked(row(json!({"cancelled_at": FEB}))), marked(row(json!({"cancelled_at": "2026-07-01"})))];
    assert_eq!(run(&world, json!({}), &rows).outcomes(STREAM), "2 read, 2 skipped, 2 skipped as deletion_ignored");
    assert_eq!(world.arrived(), 0);
    // A share is no limit where nothing tells how many there are; the number is.
    assert_eq!(run(&world, policy.clone(), &rows).outcomes(STREAM), "2 read, 1 deleted, 1 skipped, 1 skipped as no_match");
    assert_eq!(
        (dates(&world), world.requests("PATCH", ONE), world.requests_with("DELETE")),
        (vec![JAN.to_owned(), MAR.to_owned()], 1, 0)
    );
    let all = [marked(row(json!({}))), marked(row(json!({})))];
    assert_eq!(run(&world, policy.clone(), &all).outcomes(STREAM), "2 read, 1 deleted, 1 skipped, 1 skipped as no_match");
    assert_eq!(dates(&world), [""; 0]);
    let three = with_subscription(&[JAN, FEB, MAR]);
    let rows = [JAN, FEB, MAR].map(|date| record(STREAM, marked(row(json!({"cancelled_at": date})))));
    three.sync().config(policy).stream(stream(STREAM)).lines(rows).run().failed("config_error", "DELETE_LIMIT");
    assert_eq!(dates(&three), [MAR]);
}

#[test]
fn a_subscription_named_by_its_uuid_is_not_looked_up_unless_the_customer_is_named_too() {
    let world = with_subscription(&[]);
    let customer = world.customer("c-1")["uuid"].as_str().unwrap().to_owned();
    let uuid = uuid(&world, &customer);
    let bare = uuid.trim_start_matches("sub_");
    assert_eq!(
        run(&world, json!({}), &[json!({"subscription_uuid": bare, "cancelled_at": JAN})]).outcomes(STREAM),
        "1 read, 1 updated"
    );
    assert_eq!((dates(&world), world.arrived()), (vec![JAN.to_owned()], 1));
    let both = json!({"subscription_uuid": uuid, "customer_uuid": customer, "cancelled_at": JAN});
    assert_eq!(run(&world, json!({}), &[both]).outcomes(STREAM), "1 read, 1 unchanged");
    assert_eq!((world.writes(), world.requests("GET", LIST)), (1, 1));
    let unknown = json!({"subscription_uuid": "sub_00000000-0000-4000-8000-000000000000", "cancelled_at": JAN});
    let run = run(&world, json!({}), &[unknown]);
    assert_eq!(run.outcomes(STREAM), "1 read, 1 rejected, 1 rejected with PARENT_NOT_FOUND");
    assert!(run.logged(&["PARENT_NOT_FOUND", "subscription_uuid"]), "{run}");
}

#[test]
fn a_cancellation_waits_for_what_brings_its_subscription() {
    let world = World::new();
    given_plan(&world, DATA_SOURCE_UUID);
    let item = json!({"type": "subscription", "plan_external_id": "p", "subscription_external_id": "s-2", "amount_in_cents": 1000,
        "service_period_start": "2025-01-01", "service_period_end": "2025-02-01", "quantity": 1});
    let invoice = json!({"customer_external_id": "c-1", "external_id": "i-1", "date": "2025-01-01", "currency": "USD", "line_items": [item]});
    let of = |subscription: &str| json!({"customer_external_id": "c-1", "subscription_external_id": subscription, "cancelled_at": JAN});
    let run = world
        .sync()
        .stream(stream(STREAM))
        .stream(stream("customers"))
        .stream(stream("subscription_events"))
        .stream(stream("invoices"))
        .line(record(STREAM, of("s-1")))
        .line(record(STREAM, of("s-2")))
        .line(record(STREAM, of("never")))
        .customer(json!({"external_id": "c-1"}))
        .line(record("subscription_events", start("s-1")))
        .line(record("invoices", invoice))
        .line(state(STREAM, 1))
        .run()
        .succeeded();
    assert_eq!(run.outcomes(STREAM), "3 read, 1 rejected, 2 updated, 1 rejected with PARENT_NOT_FOUND");
    assert!(run.logged(&["PARENT_NOT_FOUND", "subscription_external_id"]), "{run}");
    let dump = world.sandbox.dump();
    assert!(dump["subscriptions"].as_array().unwrap().iter().all(|one| one["cancellation_dates"] == json!([JAN])), "{dump:#}");
}

#[test]
fn a_cancellation_behind_the_event_of_a_new_customer_leaves_before_the_input_ends() {
    let world = World::new();
    given_plan(&world, DATA_SOURCE_UUID);
    let mut live = world
        .sync()
        .stream(stream("customers"))
        .stream(stream("subscription_events"))
        .stream(stream(STREAM))
        .customer(json!({"external_id": "c-1"}))
        .line(record("subscription_events", start("s-1")))
        .line(record(STREAM, row(json!({"cancelled_at": JAN}))))
        .line(record("subscription_events", start("s-2")))
        .line(record(STREAM, json!({"customer_external_id": "c-1", "subscription_external_id": "s-2", "cancelled_at": FEB})))
        .line(state(STREAM, 1))
        .start();
    live.wait_for_states(1);
    assert_eq!(world.requests("PATCH", ONE), 2);
    live.end_input();
    live.finish().succeeded();
}

#[test]
fn a_subscription_of_another_data_source_is_not_the_one_meant() {
    let world = World::with(Options { data_sources: vec!["Billing".into(), "CRM".into()], ..options() });
    let customer = world.given_customer("c-1", json!({}));
    let other = world.must("POST /customers", json!({"data_source_uuid": SECOND_DATA_SOURCE_UUID, "external_id": "c-1"}));
    given_plan(&world, SECOND_DATA_SOURCE_UUID);
    let mut event = start("s-1");
    event["data_source_uuid"] = SECOND_DATA_SOURCE_UUID.into();
    world.must("POST /subscription_events", json!({"subscription_event": event}));
    world.must("POST /customers/merges", json!({"from": {"customer_uuid": other["uuid"]}, "into": {"customer_uuid": customer}}));
    let run = run(&world, json!({}), &[row(json!({"cancelled_at": JAN}))]);
    assert_eq!(run.outcomes(STREAM), "1 read, 1 rejected, 1 rejected with PARENT_NOT_FOUND");
    assert_eq!((dates(&world), world.writes()), (Vec::new(), 0));
}

#[test]
fn bad_fields_are_told_before_anything_is_sent() {
    let world = with_subscription(&[]);
    let rows = [
        row(json!({"cancelled_at": JAN, "cancellation_dates": [FEB]})),
        row(json!({"cancelled_at": "soon"})),
        row(json!({"cancellation_dates": ["2026-01-01", "soon"]})),
        json!({"subscription_external_id": "s-1", "cancelled_at": JAN}),
    ];
    let run = run(&world, json!({}), &rows);
    assert_eq!(run.outcomes(STREAM), "4 read, 4 rejected, 1 rejected with FIELD_MISSING, 3 rejected with FIELD_VALUE");
    assert_eq!(world.arrived(), 0);
}

#[test]
fn a_lost_answer_cancels_once() {
    for fault in ["after-work reset", "half", "after-work html=504", "reset"] {
        let world = with_subscription(&[JAN]);
        world.fault(&format!("PATCH /import/subscriptions/* {fault}"));
        let run = run(&world, json!({}), &[row(json!({"cancelled_at": FEB}))]);
        assert_eq!((run.outcomes(STREAM), dates(&world)), ("1 read, 1 updated", vec![JAN.to_owned(), FEB.to_owned()]), "{fault}");
    }
}
