//! What an entry of `streams` can say beyond names: tables of values, fields that are never overwritten, what to match by,
//! what to do about absent customers. And all that can be wrong with entries, told at once.

use serde_json::{Value, json};

use crate::harness::{Run, World, record, stream};

/// A sync of one stream with one entry, which is about it.
fn write(world: &World, name: &str, mut entry: Value, rows: &[Value]) -> Run {
    entry["stream"] = name.into();
    let sync = world.sync().config(json!({"streams": [entry]})).stream(stream(name).mode("append"));
    sync.lines(rows.iter().map(|row| record(name, row.clone()))).run()
}

#[test]
fn tables_translate_values_of_fields_attributes_and_nested_columns_before_they_are_read() {
    let world = World::new();
    let entry = json!({
        "fields": {"id": "external_id", "address.land": "country", "kind": "custom.tier"},
        "values": {
            "address.land": {"Germany": "DE", "49": "DE"},
            "kind": {"1": "gold", "2": null},
            "seats": {"many": 100, "none": 0},
            "stage": {"hot": "Qualified Lead"},
            "tags": {"vip": ["vip", "gold"]},
        },
        "types": {"seats": "Integer"},
    });
    let mut entry = entry;
    entry["fields"]["stage"] = "status".into();
    let rows = [
        json!({"id": "c-1", "address": {"land": "Germany"}, "kind": 1, "seats": "many", "stage": "hot", "tags": "vip"}),
        json!({"id": "c-2", "address": {"land": 49.0}, "kind": 2, "seats": "7", "stage": "New Lead"}),
        // What a table does not hold is taken as it came, and judged as such.
        json!({"id": "c-3", "address": {"land": "Atlantis"}, "kind": "3"}),
        json!({"id": "c-4", "address": {"land": null}, "seats": "some"}),
    ];
    let run = write(&world, "customers", entry, &rows).succeeded();
    assert_eq!(
        run.outcomes("customers"),
        "4 read, 2 created, 2 rejected, 1 rejected with FIELD_VALUE, 1 rejected with ATTRIBUTE_TYPE"
    );
    assert!(run.logged(&["line 3", "field country:"]) && run.logged(&["line 4", "field seats:"]), "{run}");
    let customer = world.customer("c-1");
    assert_eq!((&customer["fields"]["country"], &customer["fields"]["status"]), (&"DE".into(), &"Qualified Lead".into()));
    assert_eq!((&customer["custom"], &customer["tags"]), (&json!({"tier": "gold", "seats": 100}), &json!(["vip", "gold"])));
    let customer = world.customer("c-2");
    assert_eq!((&customer["fields"]["country"], &customer["custom"]), (&"DE".into(), &json!({"seats": 7})));
}

#[test]
fn fields_that_are_to_stay_are_filled_where_they_are_empty_and_never_overwritten() {
    let world = World::new();
    world.given_customer("c-1", json!({"name": "By Hand", "owner": "owner@example.com"}));
    world.given_customer("c-2", json!({"city": "Bonn"}));
    let row = |key: &str| json!({"external_id": key, "name": "By Sync", "owner": "second.owner@example.com", "city": "Berlin"});
    let entry = || json!({"only_if_empty": ["name", "owner"]});
    let rows = [row("c-1"), row("c-2"), row("c-3")];
    let run = write(&world, "customers", entry(), &rows).succeeded();
    assert_eq!(run.outcomes("customers"), "3 read, 1 created, 2 updated");
    let fields = |key: &str| {
        let fields = world.customer(key)["fields"].clone();
        [fields["name"].clone(), fields["owner"].clone(), fields["city"].clone()]
    };
    assert_eq!(fields("c-1"), ["By Hand", "owner@example.com", "Berlin"]);
    for key in ["c-2", "c-3"] {
        assert_eq!(fields(key), ["By Sync", "second.owner@example.com", "Berlin"]);
    }
    let before = world.writes();
    assert_eq!(write(&world, "customers", entry(), &rows).succeeded().outcomes("customers"), "3 read, 3 unchanged");
    // A null that clears everything else leaves it alone, too.
    let cleared = json!({"external_id": "c-1", "name": null});
    let sync = world.sync().config(json!({"nulls": "clear", "streams": [{"stream": "customers", "only_if_empty": ["name"]}]}));
    assert_eq!(sync.customer(cleared).run().succeeded().outcomes("customers"), "1 read, 1 unchanged");
    assert_eq!((world.writes(), fields("c-1")[0].as_str()), (before, Some("By Hand")));

    let customer = world.customer("c-1")["uuid"].as_str().unwrap().to_owned();
    world.given_contact(&customer, json!({"email": "ann@lee.example", "title": "By Hand"}));
    let row = json!({"customer_external_id": "c-1", "email": "ann@lee.example", "title": "By Sync", "phone": "1"});
    let run = write(&world, "contacts", json!({"only_if_empty": ["title"]}), &[row]).succeeded();
    assert_eq!(run.outcomes("contacts"), "1 read, 1 updated");
    let contact = &world.contacts()[0]["fields"];
    assert_eq!((&contact["title"], &contact["phone"]), (&"By Hand".into(), &"1".into()));
}

#[test]
fn a_match_is_a_word_or_several_names_in_a_list_or_with_commas() {
    let note = |text: &str, author: &str| {
        json!({"customer_external_id": "c-1", "type": "note", "text": text,
        "created_at": "2026-01-05T10:00:00Z", "author_email": author})
    };
    for by in [json!(["created_at", "text"]), json!("created_at, text"), json!(["customer_external_id", "created_at", "text"])] {
        let world = World::new();
        world.given_customer("c-1", json!({}));
        let write = |row: Value| {
            let run = write(&world, "customer_notes", json!({"match": by}), &[row]).succeeded();
            run.outcomes("customer_notes").to_owned()
        };
        assert_eq!(write(note("Wants more", "owner@example.com")), "1 read, 1 created");
        assert_eq!(write(note("Wants more", "second.owner@example.com")), "1 read, 1 updated", "{by}");
        assert_eq!(write(note("Wants less", "owner@example.com")), "1 read, 1 created");
        let mut unmatched = note("x", "owner@example.com");
        unmatched.as_object_mut().unwrap().remove("text");
        assert_eq!(write(unmatched), "1 read, 1 rejected, 1 rejected with FIELD_MISSING");
        assert_eq!(world.sandbox.dump()["customer_notes"].as_array().unwrap().len(), 2);
    }
    // A list of one name is that name, and a form may leave an empty text behind.
    for (by, outcome) in
        [(json!(["email"]), "1 read, 1 updated"), (json!("email"), "1 read, 1 updated"), (json!(""), "1 read, 1 created")]
    {
        let world = World::new();
        world.given_customer("c-1", json!({"email": "ann@lee.example"}));
        let row = json!({"external_id": "c-9", "email": "ann@lee.example", "name": "Ann"});
        assert_eq!(write(&world, "customers", json!({"match": by}), &[row]).succeeded().outcomes("customers"), outcome, "{by}");
    }
}

#[test]
fn absent_customers_are_waited_for_or_made_for_every_child_of_a_customer() {
    let children = [
        ("contacts", json!({"email": "a@lee.example"})),
        ("customer_notes", json!({"type": "note", "text": "x"})),
        ("tasks", json!({"task_details": "x", "assignee": "owner@example.com", "due_date": "2026-01-01"})),
        ("tags", json!({"tag": "vip"})),
        ("custom_attributes", json!({"key": "seats", "value": 3})),
    ];
    for (name, mut row) in children {
        row["customer_external_id"] = "c-1".into();
        let world = World::new();
        let run = write(&world, name, json!({"parents": "wait"}), &[row.clone()]).succeeded();
        assert_eq!(run.outcomes(name), "1 read, 1 rejected, 1 rejected with PARENT_NOT_FOUND");
        assert_eq!(world.writes(), 0);
        let run = write(&world, name, json!({"parents": "create"}), &[row.clone(), row.clone()]).succeeded();
        assert!(!run.outcomes(name).contains("rejected"), "{run}");
        assert_eq!((world.customer_keys(), world.writes()), (vec!["c-1".to_owned()], 2), "{name}: {run}");
        // An update makes nothing, its parent neither.
        row["customer_external_id"] = "c-2".into();
        let run = write(&world, name, json!({"parents": "create", "mode": "update"}), &[row]).succeeded();
        assert_eq!(run.outcomes(name), "1 read, 1 skipped, 1 skipped as no_match", "{name}");
        assert_eq!(world.customer_keys(), ["c-1"]);
    }
    // A contact can say what the customer is called; one that comes later in the same sync is the customer's own word.
    let world = World::new();
    let entry = json!({"streams": [{"stream": "contacts", "parents": "create"}]});
    let contact = |key: &str| json!({"customer_external_id": key, "email": "a@lee.example", "customer_name": "Lee & Sons"});
    let run = world.sync().config(entry).contact(contact("c-1")).contact(contact("c-2"));
    run.customer(json!({"external_id": "c-2", "company": "Lee"})).run().succeeded();
    for key in ["c-1", "c-2"] {
        assert_eq!(world.customer(key)["fields"]["name"], "Lee & Sons");
    }
    assert!(
        world.contacts().iter().all(|contact| contact["custom"] == json!({}) && contact["fields"].get("customer_name").is_none())
    );
}

#[test]
fn all_that_is_wrong_with_entries_is_told_at_once_with_what_is_allowed() {
    let world = World::new();
    let entries = json!([
        {"stream": "customers", "match": "name", "only_if_empty": ["shoe_size", "external"], "values": {"a.b": {"1": "x"}}},
        {"stream": "customer_notes", "match": ["created_at", "shade"], "fields": {"note": "words"}},
        {"stream": "contacts", "match": ["phone"], "constants": {"title.long": "x"}},
        {"stream": "groups", "preset": "segment_group", "object": "contacts"},
        {"stream": "CUSTOMERS", "preset": "chartmogul_export", "only_if_empty": ["FULL_NAME"]},
        {"stream": "orders"},
    ]);
    let names = ["customers", "customer_notes", "contacts", "groups", "CUSTOMERS", "orders"];
    let sync = names.iter().fold(world.sync().config(json!({"streams": entries})), |sync, name| sync.stream(stream(name)));
    let message = sync.customer(json!({"external_id": "c-1"})).run().failed("config_error", "CONFIG_INVALID");
    for words in [
        "stream `customers`: `match`: customers can not be matched by name; it can be matched by external_id, uuid, email",
        "stream `customers`: `only_if_empty`: customers has no field `shoe_size`",
        "stream `customers`: `only_if_empty`: customers has no field `external`",
        "stream `customers`: `values`: `a.b` is no column that is mapped",
        "stream `customer_notes`: `match`: customer_notes can not be matched by created_at + shade",
        "stream `customer_notes`: `words` is no field of customer_notes",
        "stream `contacts`: `match`: contacts can not be matched by phone",
        "stream `contacts`: `title.long`: `title` is not nested",
        "stream `groups`: rows of the preset `segment_group` become customers, not contacts",
        "stream `CUSTOMERS`: `only_if_empty`: customers has no field `FULL_NAME`",
        "stream `orders`: its own name (`orders`) is no ChartMogul object that can be written",
    ] {
        assert!(message.contains(words), "{words}: {message}");
    }
    assert_eq!(world.arrived(), 0);
    // What breaks the schema is told before any of this, with its path.
    let entries = json!([{"stream": "customers", "parents": "adopt", "preset": "segment", "match": "a,,b", "values": {"a": 1}}]);
    let message = world.sync().config(json!({"streams": entries})).run().failed("config_error", "CONFIG_INVALID");
    for words in ["parents", "wait", "preset", "segment_group", "values"] {
        assert!(message.contains(words), "{words}: {message}");
    }
}
