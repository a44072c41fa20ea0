//! Customers in every mode, with all their fields.

use destination_chartmogul::sandbox::{DATA_SOURCE_UUID, Options, Quirks, SECOND_DATA_SOURCE_UUID};
use serde_json::{Value, json};

use crate::harness::{World, options, record, state};

const ROUTE: &str = "/v1/customers";

#[test]
fn upsert_creates_what_is_absent_and_changes_what_is_there() {
    let world = World::new();
    world.given_customer("c-1", json!({"name": "Old Name", "city": "Bremen"}));
    let run = world
        .sync()
        .customer(json!({"external_id": "c-1", "name": "New Name"}))
        .customer(json!({"external_id": "c-2", "name": "Second Name"}))
        .line(state("customers", 1))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("customers"), "2 read, 1 created, 1 updated");
    assert_eq!(world.customer("c-1")["fields"], json!({"name": "New Name", "city": "Bremen"}));
    assert_eq!(world.customer("c-2")["fields"]["name"], "Second Name");
}

#[test]
fn insert_skips_what_is_there_and_looks_nothing_up() {
    let world = World::new();
    world.given_customer("c-1", json!({"name": "Old Name"}));
    let run = world
        .sync()
        .config(json!({"mode": "insert"}))
        .customer(json!({"external_id": "c-1", "name": "New Name"}))
        .customer(json!({"external_id": "c-2"}))
        .customer(json!({"external_id": "c-2", "name": "Again"}))
        .line(state("customers", 1))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("customers"), "3 read, 1 created, 2 skipped, 2 skipped as exists");
    assert_eq!(run.counts(), [(3.0, 0.0)]);
    assert_eq!(world.customer("c-1")["fields"]["name"], "Old Name");
    assert_eq!(world.requests("GET", ROUTE), 0);
    assert_eq!(world.requests("POST", ROUTE), 2);
}

#[test]
fn update_skips_what_is_absent() {
    let world = World::new();
    world.given_customer("c-1", json!({"name": "Old Name"}));
    let run = world
        .sync()
        .config(json!({"mode": "update"}))
        .customer(json!({"external_id": "c-1", "name": "New Name"}))
        .customer(json!({"external_id": "c-2"}))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("customers"), "2 read, 1 skipped, 1 updated, 1 skipped as no_match");
    assert_eq!(world.customer_keys(), ["c-1"]);
    assert_eq!(world.customer("c-1")["fields"]["name"], "New Name");
}

#[test]
fn every_writable_field_arrives_on_create_and_on_change() {
    let world = World::new();
    let first = json!({
        "external_id": "c-1", "name": "Ann Lee", "email": "ann@lee.example", "company": "Lee & Sons", "country": "US",
        "state": "US-NY", "city": "New York", "zip": "10001", "lead_created_at": "2024-01-01T00:00:00Z",
        "free_trial_started_at": "2024-02-01 10:00:00", "owner": "owner@example.com", "status": "Working Lead",
        "website_url": "https://lee.example", "primary_contact": {"first_name": "Ann", "email": "ann@lee.example"},
        "tags": ["vip", "eu west"], "custom": {"channel": "ads"}, "data_source_uuid": DATA_SOURCE_UUID,
    });
    world.sync().customer(first).run().succeeded();
    let customer = world.customer("c-1");
    let mut fields = json!({
        "name": "Ann Lee", "email": "ann@lee.example", "company": "Lee & Sons", "country": "US", "state": "NY",
        "city": "New York", "zip": "10001", "lead_created_at": "2024-01-01T00:00:00.000Z",
        "free_trial_started_at": "2024-02-01T10:00:00.000Z", "owner": "owner@example.com", "status": "Working Lead",
        "website_url": "https://lee.example",
    });
    assert_eq!(customer["fields"], fields);
    assert_eq!((&customer["tags"], &customer["custom"]), (&json!(["vip", "eu west"]), &json!({"channel": "ads"})));
    let contacts = world.contacts();
    assert_eq!(contacts.len(), 1);
    assert_eq!(contacts[0]["fields"]["first_name"], "Ann");

    let second = json!({
        "external_id": "c-1", "name": "Bob Ray", "email": "bob@ray.example", "company": "Ray Ltd", "state": "CA",
        "city": "Fresno", "zip": 93650, "lead_created_at": "2024-03-01T02:00:00+02:00",
        "free_trial_started_at": "2024-04-01", "owner": "second.owner@example.com", "status": "Qualified Lead",
        "website_url": "https://ray.example", "primary_contact": {"title": "CTO"}, "tags": ["new"], "custom": {"channel": "web"},
    });
    let run = world.sync().customer(second).run().succeeded();
    assert_eq!(run.outcomes("customers"), "1 read, 1 updated");
    fields.as_object_mut().unwrap().extend(
        json!({
            "name": "Bob Ray", "email": "bob@ray.example", "company": "Ray Ltd", "state": "CA", "city": "Fresno",
            "zip": "93650", "lead_created_at": "2024-03-01T00:00:00.000Z", "free_trial_started_at": "2024-04-01T00:00:00.000Z",
            "owner": "second.owner@example.com", "status": "Qualified Lead", "website_url": "https://ray.example",
        })
        .as_object()
        .unwrap()
        .clone(),
    );
    let customer = world.customer("c-1");
    assert_eq!(customer["fields"], fields);
    assert_eq!((&customer["tags"], &customer["custom"]), (&json!(["vip", "eu west", "new"]), &json!({"channel": "web"})));
    assert_eq!(world.contacts()[0]["fields"]["title"], "CTO");
}

#[test]
fn all_that_is_wrong_with_a_record_is_told_at_once_and_the_others_pass() {
    let world = World::new();
    let wrong = json!({
        "external_id": "bad-1", "email": "no address here", "country": "Atlantis now", "lead_created_at": "last week",
        "status": "Active", "tags": {"a": 1}, "primary_contact": {"surname": "x-y"}, "name": {"first": "a-b"},
    });
    let run = world
        .sync()
        .customer(wrong)
        .customer(json!({"name": "lacks the key"}))
        .customer(json!({"external_id": "", "name": "empty key"}))
        .customer(json!({"external_id": "c-1", "data_source_uuid": SECOND_DATA_SOURCE_UUID}))
        .customer(json!({"external_id": "c-2"}))
        .line(state("customers", 1))
        .run()
        .succeeded();
    let outcomes = run.outcomes("customers");
    assert!(outcomes.starts_with("5 read, 1 created, 4 rejected, "), "{outcomes}");
    assert!(
        outcomes.contains("2 rejected with FIELD_MISSING") && outcomes.contains("1 rejected with OTHER_DATA_SOURCE"),
        "{outcomes}"
    );
    for field in ["email", "country", "lead_created_at", "status", "tags", "primary_contact.surname", "name"] {
        assert!(run.logged(&["line 1, ", &format!("field {field}:")]), "{field}: {run}");
    }
    assert!(run.logged(&["FIELD_MISSING", "line 2, ", "field external_id:"]), "{run}");
    assert_eq!(run.counts(), [(1.0, 4.0)]);
    assert_eq!(world.customer_keys(), ["c-2"]);
}

#[test]
fn what_only_the_server_can_know_becomes_a_reject_and_the_others_pass() {
    let world = World::new();
    let run = world
        .sync()
        .customer(json!({"external_id": "c-1", "name": "n".repeat(300)}))
        .customer(json!({"external_id": "c-2"}))
        .line(state("customers", 1))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("customers"), "2 read, 1 created, 1 rejected, 1 rejected with API_REFUSED");
    assert!(run.logged(&["API_REFUSED", "line 1, ", "field name:"]), "{run}");
}

#[test]
fn customers_are_matched_by_uuid_or_by_email_where_the_settings_say_so() {
    let world = World::new();
    let uuid = world.given_customer("c-1", json!({"email": "ann@lee.example"}));
    let matched = |by: &str, data: Value| {
        let sync = world.sync().config(json!({"streams": [{"stream": "customers", "match": by}]}));
        let run = sync.customer(data).run().succeeded();
        run.outcomes("customers").to_owned()
    };
    assert_eq!(matched("uuid", json!({"uuid": uuid, "name": "By Uuid"})), "1 read, 1 updated");
    assert_eq!(world.customer("c-1")["fields"]["name"], "By Uuid");
    assert_eq!(world.requests("GET", ROUTE), 1, "what stands there is read, and nothing else is looked for");
    assert_eq!(matched("email", json!({"email": "ann@lee.example", "name": "By Mail"})), "1 read, 1 updated");
    assert_eq!(world.customer("c-1")["fields"]["name"], "By Mail");
    assert_eq!(matched("email", json!({"email": "new@lee.example", "external_id": "c-2"})), "1 read, 1 created");
    assert_eq!(matched("email", json!({"name": "neither"})), "1 read, 1 rejected, 1 rejected with FIELD_MISSING");

    world.given_customer("c-3", json!({"email": "ann@lee.example"}));
    let ambiguous = matched("email", json!({"email": "ann@lee.example", "name": "Which"}));
    assert_eq!(ambiguous, "1 read, 1 rejected, 1 rejected with AMBIGUOUS_MATCH");
}

#[test]
fn a_uuid_that_is_gone_is_looked_up_once_more_by_its_key() {
    let world = World::new();
    let gone = world.given_customer("c-1", json!({}));
    world.must(&format!("DELETE /customers/{gone}"), Value::Null);
    world.given_customer("c-1", json!({}));
    let run = world.sync().customer(json!({"uuid": gone, "external_id": "c-1", "name": "Found Again"})).run().succeeded();
    assert_eq!(run.outcomes("customers"), "1 read, 1 updated");
    assert_eq!(world.customer("c-1")["fields"]["name"], "Found Again");
}

#[test]
fn records_of_one_key_keep_their_order() {
    let world = World::new();
    world.fault("POST /customers slow=200ms\nPATCH /customers/* slow=200ms");
    let names = (0..30).map(|n| record("customers", json!({"external_id": "c-1", "name": format!("Name {n}")})));
    let run = world.sync().lines(names).line(state("customers", 1)).run().succeeded();
    assert_eq!(world.customer("c-1")["fields"]["name"], "Name 29");
    assert_eq!(run.outcomes("customers"), "30 read, 1 created, 29 updated");
}

#[test]
fn a_customer_of_another_data_source_is_another_customer() {
    let world = World::with(Options { data_sources: vec!["Billing".into(), "CRM".into()], ..options() });
    world.given_customer("c-1", json!({"data_source_uuid": SECOND_DATA_SOURCE_UUID, "name": "Of The CRM"}));
    let run = world.sync().customer(json!({"external_id": "c-1", "name": "Of Billing"})).run().succeeded();
    assert_eq!(run.outcomes("customers"), "1 read, 1 created");
    let mut names: Vec<Value> = world.customers().iter().map(|customer| customer["fields"]["name"].clone()).collect();
    names.sort_by_key(Value::to_string);
    assert_eq!(names, ["Of Billing", "Of The CRM"]);
}

#[test]
fn a_merged_customer_is_found_under_each_of_its_keys() {
    let world = World::new();
    let into = world.given_customer("c-1", json!({"name": "Into"}));
    let from = world.given_customer("c-2", json!({}));
    world.must("POST /customers/merges", json!({"from": {"customer_uuid": from}, "into": {"customer_uuid": into}}));
    let run = world.sync().customer(json!({"external_id": "c-2", "name": "By The Other Key"})).run().succeeded();
    assert_eq!(run.outcomes("customers"), "1 read, 1 updated");
    assert_eq!(world.customers().len(), 1);
    assert_eq!(world.customer("c-1")["fields"]["name"], "By The Other Key");
}

#[test]
fn tags_that_are_there_stay() {
    let world = World::new();
    world.given_customer("c-1", json!({"attributes": {"tags": ["by hand", "old"]}}));
    let tags = |data: Value| {
        world.sync().customer(data).run().succeeded();
        world.customer("c-1")["tags"].clone()
    };
    assert_eq!(tags(json!({"external_id": "c-1", "tags": ["new", "old"]})), json!(["by hand", "old", "new"]));
    assert_eq!(tags(json!({"external_id": "c-1", "tags": []})), json!(["by hand", "old", "new"]));
    assert_eq!(tags(json!({"external_id": "c-1", "name": "No Tags"})), json!(["by hand", "old", "new"]));
}

#[test]
fn tags_stay_where_the_customer_is_known_by_its_uuid_only() {
    let world = World::new();
    let uuid = world.given_customer("c-1", json!({"attributes": {"tags": ["by hand"]}}));
    world.sync().customer(json!({"uuid": uuid, "tags": ["new"], "name": "With Name"})).run().succeeded();
    assert_eq!(world.customer("c-1")["tags"], json!(["by hand", "new"]));
}

#[test]
fn custom_attributes_of_all_five_types_arrive() {
    let world = World::new();
    let columns = json!({
        "plan": {"type": "string"}, "seats": {"type": ["null", "integer"]}, "price": {"type": "number"},
        "since": {"type": "string", "format": "date-time"}, "active": {"type": "boolean"},
    });
    let types = json!({"streams": [{"stream": "customers", "types": {"code": "String", "score": "Decimal", "flag": "Boolean", "born": "Timestamp", "year": "Integer"}}]});
    world
        .sync()
        .config(types)
        .stream(crate::harness::stream("customers").columns(columns))
        .customer(json!({
            "external_id": "c-1",
            "plan": "pro", "seats": "12", "price": "15001.000000000", "since": "2024-05-06T07:08:09", "active": true,
            "code": 42, "score": 7, "flag": "1", "born": "2000-01-02", "year": "1999",
            "guessed": 5, "guessed_decimal": 2.5, "guessed_text": "x", "guessed_flag": false, "custom": {"inside": 1},
        }))
        .run()
        .succeeded();
    let expected = json!({
        "plan": "pro", "seats": 12, "price": 15001, "since": "2024-05-06T07:08:09.000Z", "active": true,
        "code": "42", "score": 7, "flag": true, "born": "2000-01-02T00:00:00.000Z", "year": 1999,
        "guessed": 5, "guessed_decimal": 2.5, "guessed_text": "x", "guessed_flag": false, "inside": 1,
    });
    assert_eq!(world.customer("c-1")["custom"], expected);
}

#[test]
fn attributes_that_can_not_be_are_rejected_by_name() {
    let world = World::new();
    let run = world
        .sync()
        .config(json!({"streams": [{"stream": "customers", "types": {"seats": "Integer"}}]}))
        .customer(json!({"external_id": "c-1", "seats": "many of them", "nested": {"a": 1}, "list": [1], "odd key": 1}))
        .customer(json!({"external_id": "c-2", "seats": 2}))
        .run()
        .succeeded();
    assert!(run.outcomes("customers").starts_with("2 read, 1 created, 1 rejected"), "{run}");
    for (code, field) in
        [("ATTRIBUTE_TYPE", "seats"), ("ATTRIBUTE_NESTED", "nested"), ("ATTRIBUTE_NESTED", "list"), ("ATTRIBUTE_KEY", "odd key")]
    {
        assert!(run.logged(&[code, &format!("field {field}:")]), "{field}: {run}");
    }
    assert_eq!(world.customer_keys(), ["c-2"]);
}

#[test]
fn a_boolean_attribute_can_become_false_although_the_api_forgets_it_in_a_patch() {
    let world = World::new();
    for (value, outcome) in [(true, "1 read, 1 created"), (false, "1 read, 1 updated"), (true, "1 read, 1 updated")] {
        let run = world.sync().customer(json!({"external_id": "c-1", "active": value})).run().succeeded();
        assert_eq!(world.customer("c-1")["custom"]["active"], value);
        assert_eq!(run.outcomes("customers"), outcome);
    }
    assert_eq!(world.requests("PUT", "/v1/customers/{uuid}/attributes/custom"), 1);
}

#[test]
fn nulls_leave_values_alone() {
    let world = World::with(Options { quirks: Quirks { null_clears: true, ..Quirks::default() }, ..options() });
    world.sync().customer(json!({"external_id": "c-1", "name": "Stays Here", "seats": 5, "tags": ["t"]})).run().succeeded();
    world
        .sync()
        .customer(json!({"external_id": "c-1", "name": null, "seats": null, "tags": null, "custom": null}))
        .run()
        .succeeded();
    let customer = world.customer("c-1");
    assert_eq!(
        (&customer["fields"]["name"], &customer["custom"]["seats"], &customer["tags"]),
        (&"Stays Here".into(), &5.into(), &json!(["t"]))
    );
}

#[test]
fn nulls_clear_where_the_settings_say_so() {
    let world = World::with(Options { quirks: Quirks { null_clears: true, ..Quirks::default() }, ..options() });
    world
        .sync()
        .customer(json!({"external_id": "c-1", "name": "Goes Away", "city": "Bonn", "seats": 5, "kept": 1}))
        .run()
        .succeeded();
    let clear = json!({"nulls": "clear"});
    let run = world.sync().config(clear).customer(json!({"external_id": "c-1", "name": null, "seats": null})).run().succeeded();
    let customer = world.customer("c-1");
    assert_eq!((&customer["fields"], &customer["custom"]), (&json!({"city": "Bonn"}), &json!({"kept": 1})));
    assert!(!run.logged(&["NULL_NOT_CLEARED"]), "{run}");
}

#[test]
fn a_null_that_did_not_clear_is_a_warning_once_a_field() {
    let world = World::new();
    let clear = json!({"nulls": "clear"});
    let mut sync = world.sync().config(clear);
    for n in 0..3 {
        world.given_customer(&format!("c-{n}"), json!({"name": "Stays Here"}));
        sync = sync.customer(json!({"external_id": format!("c-{n}"), "name": null}));
    }
    let run = sync.run().succeeded();
    assert_eq!(run.logs().filter(|log| log.contains("NULL_NOT_CLEARED") && log.contains("customers.name")).count(), 1, "{run}");
}

#[test]
fn a_null_in_a_create_is_no_null_at_the_far_side() {
    let world = World::new();
    let sync = world.sync().config(json!({"nulls": "clear"}));
    sync.customer(json!({"external_id": "c-1", "name": null, "seats": null, "tags": null})).run().succeeded();
    let customer = world.customer("c-1");
    assert_eq!((&customer["fields"], &customer["custom"], &customer["tags"]), (&json!({}), &json!({}), &json!([])));
}

#[test]
fn a_field_that_the_api_drops_is_a_warning() {
    let world = World::new();
    let sync =
        world.sync().customer(json!({"external_id": "c-1", "owner": "stranger@example.com", "country": "DE", "state": "BY"}));
    let run = sync.run().succeeded();
    assert!(run.logged(&["FIELD_NOT_KEPT", "customers.owner"]) && run.logged(&["FIELD_NOT_KEPT", "customers.state"]), "{run}");
    assert_eq!(run.outcomes("customers"), "1 read, 1 created");
}

#[test]
fn a_record_that_changes_nothing_costs_no_write() {
    let world = World::new();
    world.given_customer("c-1", json!({"attributes": {"tags": ["vip"]}}));
    let run = world.sync().customer(json!({"external_id": "c-1", "name": null, "tags": ["vip"]})).run().succeeded();
    assert_eq!(run.outcomes("customers"), "1 read, 1 unchanged");
    assert_eq!(world.writes(), 0);
}

#[test]
fn one_key_is_looked_up_once() {
    let world = World::new();
    world.given_customer("c-1", json!({}));
    let names = (0..10).map(|n| record("customers", json!({"external_id": "c-1", "name": format!("Name {n}")})));
    let contacts =
        (0..10).map(|n| record("contacts", json!({"customer_external_id": "c-1", "email": format!("k{n}@lee.example")})));
    world.sync().lines(names).lines(contacts).run().succeeded();
    assert_eq!(world.requests("GET", ROUTE), 1);
    assert_eq!(world.requests("GET", "/v1/contacts"), 1);
}

#[test]
fn rows_by_uuid_that_say_what_is_there_are_not_sent() {
    let world = World::new();
    let uuids: Vec<String> = (0..401).map(|n| world.given_customer(&format!("c-{n}"), json!({}))).collect();
    let run = |uuids: &[String]| {
        let before = world.writes();
        let rows = uuids.iter().map(|uuid| record("customers", json!({"uuid": uuid, "name": "By Uuid"})));
        let run = world.sync().lines(rows).run().succeeded();
        let reads = [world.requests("GET", ROUTE), world.requests("GET", "/v1/customers/{uuid}")];
        (run.outcomes("customers").to_owned(), world.writes() - before, reads)
    };
    assert_eq!(run(&uuids[370..]), ("31 read, 31 updated".into(), 31, [3, 0]), "pages, where many wait");
    assert_eq!(run(&uuids[370..]), ("31 read, 31 unchanged".into(), 0, [6, 0]));
    // The first page shows none of the older ones: a single one is read by itself.
    let last = &uuids[..1];
    assert_eq!(run(last), ("1 read, 1 updated".into(), 1, [7, 1]));
    assert_eq!(run(last), ("1 read, 1 unchanged".into(), 0, [8, 2]));
}

#[test]
fn a_uuid_and_the_key_of_another_thing_are_a_reject_and_never_a_guess() {
    let world = World::new();
    let uuid = world.given_customer("c-1", json!({}));
    world.given_customer("c-2", json!({}));
    let row = |key: &str| record("customers", json!({"uuid": uuid, "external_id": key, "name": "New"}));
    for key in ["c-2", "c-3"] {
        // Alone, and where several wait together.
        for rows in [vec![row(key)], vec![row(key), row(key)]] {
            let count = rows.len();
            let run = world.sync().lines(rows).run().succeeded();
            assert_eq!(run.outcomes("customers"), format!("{count} read, {count} rejected, {count} rejected with FIELD_FIXED"));
        }
    }
    assert_eq!((world.writes(), world.customers().len()), (0, 2));
    let run = world.sync().line(row("c-1")).run().succeeded();
    assert_eq!(run.outcomes("customers"), "1 read, 1 updated");
}

#[test]
fn what_may_not_be_read_by_its_uuid_is_sent_as_it_is() {
    let world = World::new();
    let uuid = world.given_customer("c-1", json!({}));
    world.sandbox.script("GET /customers status=422 x2".parse().unwrap());
    let row = json!({"uuid": uuid, "name": "By Uuid"});
    let run = world.sync().customer(row.clone()).run().succeeded();
    assert_eq!((run.outcomes("customers"), world.writes()), ("1 read, 1 updated", 1));
    // Whether it would write over something is not known.
    let held = json!({"streams": [{"stream": "customers", "only_if_empty": ["name"]}]});
    let run = world.sync().config(held).customer(row).run().succeeded();
    assert_eq!((run.outcomes("customers"), world.writes()), ("1 read, 1 rejected, 1 rejected with API_REFUSED", 1));
}
