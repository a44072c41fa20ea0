//! What the account, the settings and the run say of the types of custom attributes.

use destination_chartmogul::sandbox::Options;
use serde_json::{Value, json};

use crate::harness::{Run, World, options, record, stream};

/// An account of the customer `c-1` with these attributes: type, key and value.
fn with(attributes: &[(&str, &str, Value)]) -> World {
    let world = World::new();
    let typed = |(kind, key, value): &(&str, &str, Value)| json!({"type": kind, "key": key, "value": value});
    let custom: Vec<Value> = attributes.iter().map(typed).collect();
    world.given_customer("c-1", json!({"attributes": {"custom": custom}}));
    world
}

fn custom(world: &World, key: &str) -> Value {
    world.customer(key)["custom"].clone()
}

/// Two streams of customers, whose rows go in the order given without a look.
fn insert(world: &World, more: &Value, rows: &[(&str, Value)]) -> Run {
    let mut config = json!({"mode": "insert", "object": "customers"});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let lines = rows.iter().map(|(stream, row)| record(stream, row.clone()));
    world.sync().config(config).stream(stream("customers")).stream(stream("people")).lines(lines).run().succeeded()
}

#[test]
fn a_stream_of_texts_is_cast_to_the_types_of_the_account() {
    let world = with(&[
        ("Decimal", "rate", json!(1.5)),
        ("Integer", "seats", json!(3)),
        ("Boolean", "pro", json!(true)),
        ("Timestamp", "since", json!("2026-01-01")),
        ("String", "code", json!("x")),
    ]);
    let row = json!({"external_id": "c-1", "rate": "15001.000000000", "seats": "12", "pro": "false", "since": "2026-02-03", "code": "7"});
    let sync = |row: &Value| {
        let stream = stream("customers").texts(&["rate", "seats", "pro", "since", "code"]);
        world.sync().stream(stream).customer(row.clone()).run().succeeded()
    };
    assert_eq!(sync(&row).outcomes("customers"), "1 read, 1 updated");
    let expected = json!({"rate": 15001, "seats": 12, "pro": false, "since": "2026-02-03T00:00:00.000Z", "code": "7"});
    assert_eq!(custom(&world, "c-1"), expected);
    let written = world.writes();
    assert_eq!(sync(&row).outcomes("customers"), "1 read, 1 unchanged");
    // An empty text is none where no text is wanted.
    assert_eq!(sync(&json!({"external_id": "c-1", "seats": "", "pro": ""})).outcomes("customers"), "1 read, 1 unchanged");
    assert_eq!(world.writes(), written);
}

#[test]
fn numbers_become_texts_where_the_account_has_texts() {
    let world = with(&[("String", "postcode", json!("10001")), ("String", "flag", json!("no"))]);
    let columns = json!({"postcode": {"type": "integer"}, "flag": {"type": "boolean"}});
    let row = json!({"external_id": "c-1", "postcode": 20001, "flag": true});
    world.sync().stream(stream("customers").columns(columns)).customer(row).run().succeeded();
    assert_eq!(custom(&world, "c-1"), json!({"postcode": "20001", "flag": "true"}));
}

#[test]
fn a_conflict_with_the_account_is_found_before_anything_is_sent() {
    let world = with(&[("Boolean", "pro", json!(true)), ("Decimal", "rate", json!(0.5))]);
    let row = json!({"external_id": "c-1", "name": "Ann", "pro": "now and then", "rate": true});
    let run = world.sync().customer(row).run().succeeded();
    assert_eq!(run.outcomes("customers"), "1 read, 1 rejected, 1 rejected with ATTRIBUTE_TYPE");
    let words = "is String here and Boolean in the account, and the value can not become that without loss";
    assert!(run.logged(&["ATTRIBUTE_TYPE", "field pro", words]), "{run}");
    assert!(run.logged(&["field rate", "is Boolean here and Decimal in the account"]), "{run}");
    assert_eq!(world.writes(), 0);
}

#[test]
fn what_a_value_leaves_open_is_for_the_api_to_decide() {
    // It answers 5, which an Integer could be as well.
    let world = with(&[("Decimal", "rate", json!(5))]);
    let sync = |row: Value, kind: &str| {
        let stream = stream("customers").columns(json!({"rate": {"type": kind}}));
        world.sync().stream(stream).customer(row).run().succeeded()
    };
    let run = sync(json!({"external_id": "c-1", "rate": 6}), "integer");
    assert_eq!(run.outcomes("customers"), "1 read, 1 rejected, 1 rejected with API_REFUSED");
    sync(json!({"external_id": "c-1", "rate": 6}), "number");
    sync(json!({"external_id": "c-1", "rate": "6.5"}), "string");
    assert_eq!(custom(&world, "c-1"), json!({"rate": 6.5}));
}

#[test]
fn types_that_contradict_the_account_are_told_and_nothing_is_sent() {
    let world = with(&[("Integer", "seats", json!(3))]);
    let config = json!({"streams": [{"stream": "customers", "types": {"seats": "String"}}]});
    let run = world.sync().config(config).customer(json!({"external_id": "c-1", "seats": 4})).run().succeeded();
    assert_eq!(run.outcomes("customers"), "1 read, 1 rejected, 1 rejected with ATTRIBUTE_TYPE");
    let words = "is String by `types` and Integer or Decimal in the account: change `types`, or the attribute in ChartMogul";
    assert!(run.logged(&["ATTRIBUTE_TYPE", "field seats", words]), "{run}");
    assert_eq!(world.writes(), 0);
}

#[test]
fn of_two_streams_that_disagree_the_first_fixes_the_type() {
    let world = World::new();
    let rows = [
        ("customers", json!({"external_id": "c-1", "seats": 3})),
        ("people", json!({"external_id": "c-2", "seats": "many"})),
        ("people", json!({"external_id": "c-3", "seats": "12"})),
        ("customers", json!({"external_id": "c-4", "seats": 4})),
    ];
    let run = insert(&world, &json!({}), &rows);
    assert_eq!(run.outcomes("customers"), "2 read, 2 created");
    assert_eq!(run.outcomes("people"), "2 read, 1 created, 1 rejected, 1 rejected with ATTRIBUTE_TYPE");
    assert!(run.logged(&["field seats", "is String here and Integer earlier in this run"]), "{run}");
    assert_eq!(world.customer_keys(), ["c-1", "c-3", "c-4"]);
    assert_eq!(custom(&world, "c-3"), json!({"seats": 12}));
    assert_eq!(world.requests("POST", "/v1/customers"), 3, "no request was refused");
}

#[test]
fn a_type_that_was_refused_binds_nobody() {
    let world = World::new();
    let rows = [
        ("customers", json!({"external_id": "c-1", "seats": 3, "name": "x".repeat(300)})),
        ("people", json!({"external_id": "c-2", "seats": "many"})),
    ];
    let run = insert(&world, &json!({}), &rows);
    assert_eq!(run.outcomes("customers"), "1 read, 1 rejected, 1 rejected with API_REFUSED");
    assert_eq!(run.outcomes("people"), "1 read, 1 created");
    assert_eq!(custom(&world, "c-2"), json!({"seats": "many"}));
}

#[test]
fn types_of_one_stream_hold_for_the_others_of_its_object() {
    let world = World::new();
    let types = json!({"streams": [{"stream": "people", "types": {"seats": "Decimal"}}]});
    let rows = [
        ("customers", json!({"external_id": "c-1", "seats": "3"})),
        ("customers", json!({"external_id": "c-2", "seats": "many"})),
        ("people", json!({"external_id": "c-3", "seats": 0.5})),
    ];
    let run = insert(&world, &types, &rows);
    assert_eq!(run.outcomes("customers"), "2 read, 1 created, 1 rejected, 1 rejected with ATTRIBUTE_TYPE");
    assert!(run.logged(&["field seats", "is String here and Decimal by `types` of a stream"]), "{run}");
    assert_eq!(run.outcomes("people"), "1 read, 1 created");
    assert_eq!([custom(&world, "c-1"), custom(&world, "c-3")], [json!({"seats": 3}), json!({"seats": 0.5})]);
}

#[test]
fn attributes_of_contacts_are_cast_too_and_are_apart_from_those_of_customers() {
    let world = World::with(Options { contact_attributes: vec!["level".into()], ..options() });
    let customer =
        world.given_customer("c-1", json!({"attributes": {"custom": [{"type": "String", "key": "level", "value": "x"}]}}));
    world.given_contact(&customer, json!({"email": "a@lee.example", "custom": [{"key": "level", "value": 2}]}));
    let contact = |email: &str, level: Value| json!({"customer_external_id": "c-1", "email": email, "level": level});
    let sync = world.sync().contact(contact("a@lee.example", json!("3"))).contact(contact("b@lee.example", json!("high")));
    let run = sync.contact(contact("c@lee.example", json!("4.5"))).run().succeeded();
    assert_eq!(run.outcomes("contacts"), "3 read, 1 created, 1 rejected, 1 updated, 1 rejected with ATTRIBUTE_TYPE");
    let levels: Vec<Value> = world.contacts().iter().map(|contact| contact["custom"]["level"].clone()).collect();
    assert_eq!(levels, [json!(3), json!(4.5)]);
    assert_eq!(world.writes(), 2);
}
