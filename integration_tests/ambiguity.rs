//! Where a name could mean several things, or no longer means what it did: never a guess.

use serde_json::{Value, json};

use crate::harness::{World, record, state, stream};

fn update(key: &str, name: &str) -> String {
    record("customers", json!({"external_id": key, "name": name}))
}

#[test]
fn a_uuid_that_a_merge_of_others_has_moved_is_looked_up_once_more_by_its_key() {
    let world = World::new();
    let mut live = world
        .sync()
        .stream(stream("customers"))
        .stream(stream("contacts"))
        .stream(stream("tags"))
        .lines([update("a", "A"), update("b", "B"), state("customers", 1)])
        .start();
    live.wait_for_states(1);
    let uuid = |key: &str| world.customer(key)["uuid"].clone();
    world.must("POST /customers/merges", json!({"from": {"customer_uuid": uuid("a")}, "into": {"customer_uuid": uuid("b")}}));
    live.feed(&[
        update("a", "A, now B"),
        record("contacts", json!({"customer_external_id": "a", "email": "a@example.com"})),
        record("tags", json!({"customer_external_id": "a", "tag": "vip"})),
        state("customers", 2),
        state("contacts", 2),
        state("tags", 2),
    ]);
    live.end_input();
    let run = live.finish().succeeded();
    assert_eq!((run.outcomes("customers"), run.outcomes("contacts")), ("3 read, 2 created, 1 updated", "1 read, 1 created"));
    let [one] = &world.customers()[..] else { panic!("{:?}", world.customers()) };
    assert_eq!((&one["fields"]["name"], &one["tags"]), (&json!("A, now B"), &json!(["merged-customer", "vip"])), "{run}");
    assert_eq!(world.contacts().len(), 1);
}

#[test]
fn a_customer_of_the_same_key_in_another_data_source_is_another_customer() {
    let world = World::new();
    let other = world.must("POST /data_sources", json!({"name": "Other"}))["uuid"].clone();
    world.must(
        "POST /customers",
        json!({"data_source_uuid": other, "external_id": "a", "name": "Theirs", "email": "a@example.com"}),
    );
    let run = world.sync().customer(json!({"external_id": "a", "name": "Ours", "email": "a@example.com"})).run().succeeded();
    assert_eq!(run.outcomes("customers"), "1 read, 1 created");
    let mut names: Vec<Value> = world.customers().iter().map(|customer| customer["fields"]["name"].clone()).collect();
    names.sort_by_key(ToString::to_string);
    assert_eq!(names, ["Ours", "Theirs"]);
    // By e-mail address the search shows both; only one of them is meant.
    let by_email = json!({"mode": "update", "streams": [{"stream": "customers", "match": "email"}]});
    let run = world.sync().config(by_email).customer(json!({"email": "a@example.com", "city": "Rome"})).run().succeeded();
    assert_eq!(run.outcomes("customers"), "1 read, 1 updated");
    assert_eq!(world.customers().iter().filter(|customer| customer["fields"]["city"] == "Rome").count(), 1);
}
