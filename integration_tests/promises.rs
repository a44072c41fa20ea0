//! Promises that a hostile reading once found broken.

use destination_chartmogul::sandbox::DATA_SOURCE_UUID;
use serde_json::{Value, json};

use crate::harness::{Run, World, record, stream};

fn write(world: &World, config: Value, rows: &[(&str, Value)]) -> Run {
    let mut sync = world.sync().config(config);
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in rows {
        if !names.contains(name) {
            names.push(name);
            sync = sync.stream(stream(name));
        }
    }
    sync.lines(rows.iter().map(|(name, row)| record(name, row.clone()))).run().succeeded()
}

fn merged(world: &World) {
    for key in ["from", "into"] {
        world.given_customer(key, json!({"name": key}));
    }
    let side = |key: &str| json!({"data_source_uuid": DATA_SOURCE_UUID, "external_id": key});
    world.must("POST /customers/merges", json!({"from": side("from"), "into": side("into")}));
}

fn item(key: &str) -> Value {
    json!({"external_id": key, "type": "one_time", "amount_in_cents": 100})
}

fn invoice(item: &Value) -> (&'static str, Value) {
    let row = json!({"customer_external_id": "c-1", "external_id": "i-1", "date": "2026-01-01", "currency": "USD", "line_items": [item]});
    ("invoices", row)
}

fn payment() -> (&'static str, Value) {
    let row = json!({"invoice_external_id": "i-1", "external_id": "t-1", "type": "payment", "date": "2026-01-02", "result": "successful"});
    ("transactions", row)
}

#[test]
fn a_merged_customer_met_by_its_other_key_warns_of_nothing() {
    let world = World::new();
    merged(&world);
    let run = write(&world, json!({}), &[("customers", json!({"external_id": "from", "city": "Bonn"}))]);
    assert!(!run.logged(&["FIELD_NOT_KEPT"]), "{:?}", run.logs().collect::<Vec<_>>());
}

#[test]
fn a_field_held_back_by_only_if_empty_warns_of_nothing() {
    let world = World::new();
    world.given_customer("c-1", json!({"name": "Ann"}));
    let config = json!({"streams": [{"stream": "customers", "only_if_empty": ["name"]}]});
    let run = write(&world, config, &[("customers", json!({"external_id": "c-1", "name": "Bea", "city": "Bonn"}))]);
    assert!(!run.logged(&["FIELD_NOT_KEPT"]), "{:?}", run.logs().collect::<Vec<_>>());
}

#[test]
fn what_a_customer_or_a_subscription_has_already_is_not_told_as_held_back() {
    let world = World::new();
    world.given_customer("c-1", json!({}));
    let line = json!({"external_id": "l-1", "type": "subscription", "subscription_external_id": "s-1", "plan_external_id": "p-1",
        "service_period_start": "2026-01-01", "service_period_end": "2026-02-01", "amount_in_cents": 100});
    let plan = json!({"external_id": "p-1", "name": "Gold", "interval_count": 1, "interval_unit": "month"});
    let rows = [
        ("plans", plan),
        invoice(&line),
        ("tags", json!({"customer_external_id": "c-1", "tag": "vip"})),
        ("tags", json!({"customer_external_id": "c-1", "tag": "gone", "remove": true})),
        (
            "subscription_cancellations",
            json!({"customer_external_id": "c-1", "subscription_external_id": "s-1", "cancelled_at": "2026-03-01"}),
        ),
    ];
    write(&world, json!({}), &rows);
    let run = write(&world, json!({}), &rows);
    assert_eq!(run.outcomes("tags"), "2 read, 2 unchanged");
    assert!(!run.logged(&["FIELD_HELD_BACK"]), "{:?}", run.logs().collect::<Vec<_>>());
}

#[test]
fn an_owner_alone_is_held_back_and_the_log_says_so() {
    let world = World::new();
    world.given_customer("c-1", json!({}));
    let run = write(&world, json!({}), &[("customers", json!({"external_id": "c-1", "owner": "owner@example.com"}))]);
    assert!(run.logged(&["FIELD_HELD_BACK", "customers.owner"]), "{run}");
    assert_eq!((run.outcomes("customers"), world.writes()), ("1 read, 1 unchanged", 0));
    write(&world, json!({}), &[("customers", json!({"external_id": "c-1", "owner": "owner@example.com", "city": "Bonn"}))]);
    assert_eq!(world.customer("c-1")["fields"]["owner"], "owner@example.com", "along with another change it goes");
}

#[test]
fn a_description_reaches_a_line_item_that_exists() {
    let world = World::new();
    world.given_customer("c-1", json!({}));
    write(&world, json!({}), &[invoice(&item("l-1"))]);
    let mut described = item("l-1");
    described["description"] = "Setup".into();
    write(&world, json!({}), &[invoice(&described)]);
    assert_eq!(world.entries("invoices")[0]["line_items"][0]["description"], "Setup");
}

#[test]
fn a_transaction_before_its_new_invoice_joins_its_call() {
    let world = World::new();
    world.given_customer("c-1", json!({}));
    write(&world, json!({}), &[payment(), invoice(&item("l-1"))]);
    assert_eq!(world.writes(), 1);
}

#[test]
fn our_own_words_are_not_starred() {
    let world = World::new();
    let run = write(&world, json!({}), &[("tags", json!({"customer_external_id": "nobody", "tag": "a"}))]);
    assert!(run.logged(&["names a customer that does not exist"]), "{:?}", run.logs().collect::<Vec<_>>());
}

#[test]
fn the_log_shows_no_number_of_an_invoice() {
    let world = World::new();
    world.given_customer("c-1", json!({}));
    let (_, mut row) = invoice(&item("l-1"));
    row["external_id"] = "number-4711".into();
    row["status"] = "voided".into();
    world.fault("PUT /** after-work reset");
    let run = write(&world, json!({}), &[("invoices", row)]);
    assert!(!run.logs().any(|line| line.contains("4711")), "{:?}", run.logs().collect::<Vec<_>>());
}

#[test]
fn a_second_run_adds_no_line_item_for_a_member_that_one_time_items_do_not_answer() {
    let world = World::new();
    world.given_customer("c-1", json!({}));
    let rows = [invoice(&json!({"type": "one_time", "amount_in_cents": 100, "prorated": false}))];
    write(&world, json!({}), &rows);
    write(&world, json!({}), &rows);
    assert_eq!(world.entries("invoices")[0]["line_items"].as_array().unwrap().len(), 1);
}
