//! From columns to fields: what the settings of a stream do.

use serde_json::json;

use crate::harness::{World, record, stream};

#[test]
fn fields_constants_and_exclude_work_with_dotted_paths() {
    let world = World::new();
    let settings = json!({"streams": [{
        "stream": "accounts",
        "object": "customers",
        "fields": {
            "account_id": "external_id",
            "address.country": "country",
            "address.geo.city": "city",
            "owner\\.name": "name",
            "boss.mail": "primary_contact.email",
            "plan": "custom.tier",
            "segment.name": "segment",
        },
        "constants": {"company": "Unknown Inc", "country": "US", "source": "warehouse", "primary_contact.title": "Boss"},
        "exclude": ["internal_*", "se?ret"],
    }]});
    let run = world
        .sync()
        .config(settings)
        .stream(stream("accounts"))
        .line(record(
            "accounts",
            json!({
                "account_id": 1001, "address": {"country": "de", "geo": {"city": "Bonn", "lat": 50.7}}, "owner.name": "Ann Lee",
                "boss": {"mail": "boss@lee.example", "age": 50}, "plan": "gold", "segment": {"name": "SMB"},
                "internal_id": 7, "secret": "hidden away", "seats": 3, "_airbyte_raw_id": "a-b-c", "_ab_cdc_lsn": 5,
            }),
        ))
        .line(record("accounts", json!({"account_id": "1002", "company": "Ray Ltd", "address": null})))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("accounts"), "2 read, 2 created");
    let customer = world.customer("1001");
    assert_eq!(customer["fields"], json!({"name": "Ann Lee", "company": "Unknown Inc", "country": "DE", "city": "Bonn"}));
    assert_eq!(customer["custom"], json!({"tier": "gold", "segment": "SMB", "seats": 3, "source": "warehouse"}));
    assert_eq!(world.contacts().len(), 2);
    let boss = world.contacts().into_iter().find(|contact| contact["fields"]["email"] == "boss@lee.example").unwrap();
    assert_eq!(boss["fields"]["title"], "Boss");
    let customer = world.customer("1002");
    assert_eq!(customer["fields"], json!({"company": "Ray Ltd", "country": "US"}));
    assert_eq!(customer["custom"], json!({"source": "warehouse"}));
}

#[test]
fn two_columns_for_one_field_are_rejected_where_both_hold_a_value() {
    let world = World::new();
    let run = world
        .sync()
        .config(json!({"streams": [{"stream": "customers", "fields": {"mail": "email"}}]}))
        .customer(json!({"external_id": "c-1", "mail": "a@lee.example", "email": "b@lee.example"}))
        .customer(json!({"external_id": "c-2", "mail": "a@lee.example", "email": null}))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("customers"), "2 read, 1 created, 1 rejected, 1 rejected with FIELD_TWICE");
    assert!(run.logged(&["FIELD_TWICE", "line 1, ", "field email:"]), "{run}");
    assert_eq!(world.customer("c-2")["fields"]["email"], "a@lee.example");
}

#[test]
fn unknown_fields_become_attributes_or_are_ignored_or_rejected() {
    let row = json!({"external_id": "c-1", "seats": 3, "_airbyte_meta": {"x": 1}});
    for (word, attributes, outcome) in [
        ("custom_attributes", Some(json!({"seats": 3})), "1 read, 1 created"),
        ("ignore", Some(json!({})), "1 read, 1 created"),
        ("reject", None, "1 read, 1 rejected, 1 rejected with FIELD_UNKNOWN"),
    ] {
        let world = World::new();
        let run = world.sync().config(json!({"unknown_fields": word})).customer(row.clone()).run().succeeded();
        assert_eq!(run.outcomes("customers"), outcome);
        match attributes {
            Some(attributes) => assert_eq!(world.customer("c-1")["custom"], attributes),
            None => assert!(world.customers().is_empty() && run.logged(&["FIELD_UNKNOWN", "field seats:"]), "{run}"),
        }
    }
}

#[test]
fn unknown_members_of_nested_objects_are_faults_unless_they_are_ignored() {
    let customer = json!({"external_id": "c-1", "primary_contact": {"first_name": "Ann", "zork": 1}});
    let invoice = json!({"external_id": "i-1", "customer_external_id": "c-2", "date": "2026-01-01", "currency": "USD",
        "line_items": [{"type": "one_time", "amount_in_cents": 100, "foo": [1]}]});
    for (word, outcome) in [
        ("custom_attributes", "1 read, 1 rejected, 1 rejected with FIELD_UNKNOWN"),
        ("ignore", "1 read, 1 created"),
        ("reject", "1 read, 1 rejected, 1 rejected with FIELD_UNKNOWN"),
    ] {
        let world = World::new();
        world.given_customer("c-2", json!({}));
        let sync = world.sync().config(json!({"unknown_fields": word})).stream(stream("customers")).stream(stream("invoices"));
        let run = sync.line(record("customers", customer.clone())).line(record("invoices", invoice.clone())).run().succeeded();
        assert_eq!((run.outcomes("customers"), run.outcomes("invoices")), (outcome, outcome), "{word}");
        let told = run.logged(&["FIELD_UNKNOWN", "field primary_contact.zork:", "set `unknown_fields` to `ignore`"])
            && run.logged(&["FIELD_UNKNOWN", "field line_items[0].foo:"]);
        assert_eq!(told, word != "ignore", "{run}");
    }
}

#[test]
fn objects_and_modes_of_single_streams_come_before_those_of_all() {
    let world = World::new();
    world.given_customer("c-1", json!({"name": "Old Name"}));
    let settings = json!({
        "object": "customers",
        "mode": "insert",
        "streams": [
            {"stream": "people", "object": "contacts", "mode": "upsert", "fields": {"account": "customer_external_id"}},
            {"stream": "changes", "mode": "update"},
        ],
    });
    let run = world
        .sync()
        .config(settings)
        .stream(stream("accounts"))
        .stream(stream("people"))
        .stream(stream("changes").mode("append"))
        .line(record("accounts", json!({"external_id": "c-1", "name": "Not This"})))
        .line(record("people", json!({"account": "c-1", "email": "a@lee.example"})))
        .line(record("changes", json!({"external_id": "c-1", "name": "But This"})))
        .line(record("changes", json!({"external_id": "c-2", "name": "Nobody Here"})))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("accounts"), "1 read, 1 skipped, 1 skipped as exists");
    assert_eq!(run.outcomes("people"), "1 read, 1 created");
    assert_eq!(run.outcomes("changes"), "2 read, 1 skipped, 1 updated, 1 skipped as no_match");
    assert_eq!(world.customer("c-1")["fields"]["name"], "But This");
}

#[test]
fn a_stream_that_becomes_nothing_is_refused_at_start_with_what_is_allowed() {
    let world = World::new();
    let run = world
        .sync()
        .stream(stream("orders"))
        .stream(stream("customers"))
        .stream(stream("visits"))
        .customer(json!({"external_id": "c-1"}))
        .run();
    let message = run.failed("config_error", "STREAM_UNRESOLVED");
    for word in ["`orders`", "`visits`", "customers, contacts"] {
        assert!(message.contains(word), "{word}: {message}");
    }
    assert_eq!(world.arrived(), 0);
}

#[test]
fn settings_that_name_fields_the_object_has_not_are_refused_at_start_all_at_once() {
    let world = World::new();
    let settings = json!({"streams": [{
        "stream": "customers",
        "fields": {"a": "primary_contact.shoe_size", "b": "name.first"},
        "constants": {"city.part": "x"},
    }]});
    let message = world.sync().config(settings).run().failed("config_error", "CONFIG_INVALID");
    for word in ["primary_contact.shoe_size", "name.first", "city.part"] {
        assert!(message.contains(word), "{word}: {message}");
    }
}

#[test]
fn settings_for_a_stream_that_is_not_there_are_a_warning() {
    let world = World::new();
    let run = world.sync().config(json!({"streams": [{"stream": "costumers", "mode": "update"}]})).run().succeeded();
    assert!(run.logged(&["costumers", "not in the configured catalog"]), "{run}");
}

#[test]
fn the_classic_primary_key_chooses_how_contacts_are_matched() {
    let world = World::new();
    let customer = world.given_customer("c-1", json!({}));
    world.given_contact(&customer, json!({"email": "ann@lee.example", "external_id": "k-1"}));
    let settings = json!({"streams": [{"stream": "contacts", "fields": {"mail": "email"}}]});
    let run = world
        .sync()
        .config(settings)
        .stream(stream("contacts").key(&["mail"]))
        .contact(json!({"customer_external_id": "c-1", "mail": "ann@lee.example", "title": "By Mail", "external_id": "k-2"}))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("contacts"), "1 read, 1 updated");
    assert_eq!(world.contacts().len(), 1);
    assert_eq!(world.contacts()[0]["fields"]["external_id"], "k-2");
}
