//! Rows of known kinds from elsewhere: Segment's calls, flat and nested; and what a stream's entry says beside a preset.
//! ChartMogul's own export has a module of its own, `export`.

use destination_chartmogul::sandbox::Options;
use serde_json::{Map, Value, json};

use crate::harness::{Run, World, options, record, stream};

/// Rows of one stream with this entry.
#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn write(world: &World, name: &str, entry: Value, rows: &[Value]) -> Run {
    let mut settings = json!({"stream": name});
    settings.as_object_mut().unwrap().extend(entry.as_object().unwrap().clone());
    let columns = rows.iter().flat_map(|row| row.as_object().unwrap().keys());
    let columns: Map<String, Value> = columns.map(|column| (column.clone(), json!({}))).collect();
    let sync = world.sync().config(json!({"streams": [settings]})).stream(stream(name).mode("append").columns(columns.into()));
    sync.lines(rows.iter().map(|row| record(name, row.clone()))).run()
}

fn group() -> Value {
    json!({"preset": "segment_group"})
}

fn identify() -> Value {
    json!({"preset": "segment_identify"})
}

/// An account in which these attributes of contacts were defined in the app.
fn with_contact_attributes(keys: &[&str]) -> World {
    World::with(Options { contact_attributes: keys.iter().map(|key| (*key).to_owned()).collect(), ..options() })
}

#[test]
fn a_group_call_is_the_same_customer_flat_and_nested_in_camel_case_and_in_snake_case() {
    let nested = json!({
        "type": "group", "groupId": "g-1", "userId": "u-1", "messageId": "m-1", "context": {"ip": "10.0.0.1"},
        "timestamp": "2026-01-01T00:00:00Z", "integrations": {"All": true},
        "traits": {
            "name": "Acme", "email": "hello@acme.example", "createdAt": "2020-05-01T00:00:00Z", "website": "https://acme.example",
            "employeeCount": 12, "description": "Makes toys", "isTarget": false, "likelyToBuy": true, "status": "busy",
            "address": {"street": "Main St. 1", "city": "Berlin", "postalCode": "10115", "country": "DE", "floor": 3},
        },
    });
    let mut snake = nested.clone();
    snake["group_id"] = snake["groupId"].take();
    snake.as_object_mut().unwrap().remove("groupId");
    let renamed = [
        ("createdAt", "created_at"),
        ("employeeCount", "employee_count"),
        ("isTarget", "is_target"),
        ("likelyToBuy", "likely_to_buy"),
    ];
    for (camel, new) in renamed {
        let value = snake["traits"].as_object_mut().unwrap().remove(camel).unwrap();
        snake["traits"][new] = value;
    }
    let mut text = nested.clone();
    text["traits"] = text["traits"].to_string().into();
    let flat = json!({
        "ID": "m-1", "GROUP_ID": "g-1", "USER_ID": "u-1", "RECEIVED_AT": "2026-01-01T00:00:00Z", "UUID_TS": "2026-01-01T00:00:00Z",
        "CONTEXT_IP": "10.0.0.1", "NAME": "Acme", "EMAIL": "hello@acme.example", "CREATED_AT": "2020-05-01T00:00:00Z",
        "WEBSITE": "https://acme.example", "EMPLOYEE_COUNT": 12, "DESCRIPTION": "Makes toys", "IS_TARGET": false,
        "LIKELY_TO_BUY": true, "STATUS": "busy", "ADDRESS_STREET": "Main St. 1", "ADDRESS_CITY": "Berlin",
        "ADDRESS_POSTAL_CODE": "10115", "ADDRESS_COUNTRY": "DE", "ADDRESS_FLOOR": 3,
    });
    let mut seen: Option<Value> = None;
    for row in [nested, snake, text, flat] {
        let world = World::new();
        let run = write(&world, "groups", group(), std::slice::from_ref(&row)).succeeded();
        assert_eq!(run.outcomes("groups"), "1 read, 1 created", "{run}");
        let customer = world.customer("g-1");
        let fields = json!({"name": "Acme", "email": "hello@acme.example", "lead_created_at": "2020-05-01T00:00:00.000Z",
            "website_url": "https://acme.example", "city": "Berlin", "zip": "10115", "country": "DE", "status": "New Lead"});
        let custom = json!({"employee_count": 12, "description": "Makes toys", "is_target": false, "likely_to_buy": true,
            "status": "busy", "street": "Main St. 1", "address_floor": 3});
        for (name, value) in fields.as_object().unwrap().iter().filter(|(name, _)| *name != "status") {
            assert_eq!(&customer["fields"][name], value, "{name}: {customer}");
        }
        assert_eq!(customer["custom"], custom, "{row}");
        assert_eq!(seen.get_or_insert_with(|| world.contents()), &world.contents());
        let before = world.writes();
        assert_eq!(write(&world, "groups", group(), &[row]).succeeded().outcomes("groups"), "1 read, 1 unchanged");
        assert_eq!(world.writes(), before);
    }
}

#[test]
fn an_identify_call_is_the_same_contact_flat_and_nested_and_makes_its_company_first() {
    let nested = json!({
        "type": "identify", "userId": "u-1", "anonymousId": "a-1", "messageId": "m-1", "context": {"groupId": "g-9"},
        "traits": {
            "name": "Ann van Lee", "email": "ann@acme.example", "title": "CTO", "phone": "+49 30 1", "bigSpenders": false,
            "company": {"id": "g-1", "name": "Acme"}, "linkedIn": "https://linkedin.example/ann",
        },
    });
    let flat = json!({
        "id": "m-1", "user_id": "u-1", "anonymous_id": "a-1", "context_group_id": "g-9", "uuid_ts": "2026-01-01T00:00:00Z",
        "first_name": "Ann", "last_name": "van Lee", "name": "Somebody", "email": "ann@acme.example", "title": "CTO",
        "phone": "+49 30 1", "linked_in": "https://linkedin.example/ann", "big_spenders": false, "company_id": "g-1", "company_name": "Acme",
    });
    for row in [nested, flat] {
        let world = with_contact_attributes(&["big_spenders"]);
        let run = write(&world, "identifies", identify(), std::slice::from_ref(&row)).succeeded();
        assert_eq!(run.outcomes("identifies"), "1 read, 1 created", "{run}");
        assert!(!run.logs().any(|log| log.contains("FIELD_NOT_KEPT")), "{run}");
        assert_eq!(world.customer("g-1")["fields"]["name"], "Acme");
        let contact = &world.contacts()[0];
        let fields = json!({"external_id": "u-1", "first_name": "Ann", "last_name": "van Lee", "email": "ann@acme.example",
            "title": "CTO", "phone": "+49 30 1", "linked_in": "https://linkedin.example/ann", "position": 1});
        assert_eq!((&contact["fields"], &contact["custom"]), (&fields, &json!({"big_spenders": false})));
        let before = world.writes();
        assert_eq!(before, 2);
        assert_eq!(write(&world, "identifies", identify(), &[row]).succeeded().outcomes("identifies"), "1 read, 1 unchanged");
        assert_eq!(world.writes(), before);
    }
}

#[test]
fn a_company_is_made_once_and_one_that_is_there_keeps_its_name() {
    let user = |number: u32, company: Value| json!({"userId": format!("u-{number}"), "traits": {"email": format!("u{number}@acme.example"), "company": company}});
    let world = World::new();
    world.given_customer("g-1", json!({"name": "Acme Incorporated"}));
    let mut rows: Vec<Value> = (1..=5).map(|number| user(number, json!({"id": "g-1", "name": "Acme"}))).collect();
    rows.extend((6..=10).map(|number| user(number, json!({"id": "g-2", "name": "Bolt"}))));
    // Without a name it is made all the same; without an id nobody knows of which company the user is.
    rows.push(user(11, json!({"id": "g-3"})));
    rows.push(user(12, json!({"name": "Who"})));
    let run = write(&world, "users", identify(), &rows).succeeded();
    assert_eq!(run.outcomes("users"), "12 read, 11 created, 1 rejected, 1 rejected with FIELD_MISSING");
    assert_eq!(world.customer_keys(), ["g-1", "g-2", "g-3"]);
    assert_eq!(world.requests("POST", "/v1/customers"), 2);
    let name = |key: &str| world.customer(key)["fields"]["name"].clone();
    assert_eq!((name("g-1"), name("g-2"), name("g-3")), ("Acme Incorporated".into(), "Bolt".into(), Value::Null));
    // Nothing of the company is written to contacts.
    assert!(world.contacts().iter().all(|contact| contact["custom"] == json!({})));

    // Told to wait, none is made.
    let world = World::new();
    let mut entry = identify();
    entry["parents"] = "wait".into();
    let run = write(&world, "users", entry, &rows[..1]).succeeded();
    assert_eq!(run.outcomes("users"), "1 read, 1 rejected, 1 rejected with PARENT_NOT_FOUND");
    assert!(world.customers().is_empty());
}

#[test]
fn both_calls_meet_in_one_sync_in_any_order() {
    let rows = [
        ("groups", json!({"groupId": "g-1", "traits": {"name": "Acme", "industry": "Toys"}})),
        ("users", json!({"userId": "u-1", "traits": {"email": "ann@acme.example", "company": {"id": "g-1", "name": "acme"}}})),
    ];
    for reversed in [false, true] {
        let world = World::new();
        let entries = json!([{"stream": "groups", "preset": "segment_group"}, {"stream": "users", "preset": "segment_identify"}]);
        let sync = world.sync().config(json!({"streams": entries})).stream(stream("groups")).stream(stream("users"));
        let lines: Vec<String> = rows.iter().map(|(name, row)| record(name, row.clone())).collect();
        let lines: Vec<String> = if reversed { lines.into_iter().rev().collect() } else { lines };
        sync.lines(lines).run().succeeded();
        let customer = world.customer("g-1");
        assert_eq!((&customer["fields"]["name"], &customer["custom"]), (&"Acme".into(), &json!({"industry": "Toys"})));
        assert_eq!(world.contacts().len(), 1);
    }
}

#[test]
fn a_trait_that_was_not_defined_for_contacts_is_told_once_and_is_no_reason_to_write() {
    let world = with_contact_attributes(&["age"]);
    let user =
        |number: u32| json!({"user_id": format!("u-{number}"), "company_id": "g-1", "age": 40, "avatar": "x", "is_admin": true});
    let rows = [user(1), user(2)];
    let run = write(&world, "users", identify(), &rows).succeeded();
    assert_eq!(run.outcomes("users"), "2 read, 2 created");
    for key in ["avatar", "is_admin"] {
        let told =
            run.logs().filter(|log| log.contains("FIELD_NOT_KEPT") && log.contains(&format!("contacts.custom.{key}"))).count();
        assert_eq!(told, 1, "{key}: {run}");
    }
    assert!(!run.logged(&["custom.age"]), "{run}");
    assert!(world.contacts().iter().all(|contact| contact["custom"] == json!({"age": 40})));
    let before = world.writes();
    assert_eq!(write(&world, "users", identify(), &rows).succeeded().outcomes("users"), "2 read, 2 unchanged");
    assert_eq!(world.writes(), before);
}
