//! Contacts: found within their customer, waiting for it where it is not there yet.

use serde_json::{Value, json};

use crate::harness::{World, record, state};

const ROUTE: &str = "/v1/contacts";

#[test]
fn upsert_creates_what_is_absent_and_changes_what_is_there() {
    let world = World::new();
    let customer = world.given_customer("c-1", json!({}));
    world.given_contact(&customer, json!({"external_id": "k-1", "first_name": "Old", "title": "CEO"}));
    let run = world
        .sync()
        .contact(json!({"customer_external_id": "c-1", "external_id": "k-1", "first_name": "New"}))
        .contact(json!({"customer_external_id": "c-1", "external_id": "k-2", "first_name": "Second"}))
        .line(state("contacts", 1))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("contacts"), "2 read, 1 created, 1 updated");
    let contacts = world.contacts();
    assert_eq!(contacts.len(), 2);
    let of = |key: &str| contacts.iter().find(|contact| contact["fields"]["external_id"] == key).unwrap()["fields"].clone();
    assert_eq!((&of("k-1")["first_name"], &of("k-1")["title"]), (&"New".into(), &"CEO".into()));
    assert_eq!(of("k-2")["first_name"], "Second");
}

#[test]
fn insert_skips_what_is_there() {
    let world = World::new();
    let customer = world.given_customer("c-1", json!({}));
    world.given_contact(&customer, json!({"email": "ann@lee.example", "first_name": "Old"}));
    let run = world
        .sync()
        .config(json!({"mode": "insert"}))
        .contact(json!({"customer_external_id": "c-1", "email": "ann@lee.example", "first_name": "New"}))
        .contact(json!({"customer_external_id": "c-1", "email": "bob@lee.example"}))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("contacts"), "2 read, 1 created, 1 skipped, 1 skipped as exists");
    assert_eq!(world.contacts().len(), 2);
    assert_eq!(world.requests_with("PATCH"), 0);
}

#[test]
fn update_skips_what_is_absent_and_does_not_wait_for_customers() {
    let world = World::new();
    let customer = world.given_customer("c-1", json!({}));
    world.given_contact(&customer, json!({"email": "ann@lee.example"}));
    let run = world
        .sync()
        .config(json!({"mode": "update"}))
        .contact(json!({"customer_external_id": "c-1", "email": "ann@lee.example", "first_name": "Ann"}))
        .contact(json!({"customer_external_id": "c-1", "email": "bob@lee.example"}))
        .contact(json!({"customer_external_id": "c-9", "email": "bob@lee.example"}))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("contacts"), "3 read, 2 skipped, 1 updated, 2 skipped as no_match");
    assert_eq!(world.contacts()[0]["fields"]["first_name"], "Ann");
    assert_eq!(world.contacts().len(), 1);
}

#[test]
fn every_writable_field_arrives_on_create_and_on_change() {
    let world = World::new();
    world.given_customer("c-1", json!({}));
    let first = json!({
        "customer_external_id": "c-1", "external_id": "k-9", "first_name": "Ann", "last_name": "Lee", "position": 4,
        "title": "CTO", "email": "ann@lee.example", "phone": "+49 30 123456", "linked_in": "https://linkedin.example/in/ann",
        "twitter": "https://twitter.example/ann", "notes": "Prefers mail.", "last_seen": "2024-01-02T00:00:00Z",
        "custom": {"role": "admin"}, "Toggle": true,
    });
    world.sync().contact(first).run().succeeded();
    let expected = json!({
        "external_id": "k-9", "first_name": "Ann", "last_name": "Lee", "position": 4, "title": "CTO",
        "email": "ann@lee.example", "phone": "+49 30 123456", "linked_in": "https://linkedin.example/in/ann",
        "twitter": "https://twitter.example/ann", "notes": "Prefers mail.", "last_seen": "2024-01-02T00:00:00.000Z",
    });
    assert_eq!(world.contacts()[0]["fields"], expected);
    assert_eq!(world.contacts()[0]["custom"], json!({"role": "admin", "Toggle": true}));

    let second = json!({
        "customer_external_id": "c-1", "external_id": "k-9", "first_name": "Bob", "last_name": "Ray", "position": "2",
        "title": "CFO", "email": "bob@ray.example", "phone": 4930123456_u64, "linked_in": "https://linkedin.example/in/bob",
        "twitter": "https://twitter.example/bob", "notes": "Prefers phone.", "last_seen": "2025-01-02",
        "role": "user", "custom": {"Toggle": false},
    });
    let run = world.sync().contact(second).run().succeeded();
    assert_eq!(run.outcomes("contacts"), "1 read, 1 updated");
    let expected = json!({
        "external_id": "k-9", "first_name": "Bob", "last_name": "Ray", "position": 2, "title": "CFO",
        "email": "bob@ray.example", "phone": "4930123456", "linked_in": "https://linkedin.example/in/bob",
        "twitter": "https://twitter.example/bob", "notes": "Prefers phone.", "last_seen": "2025-01-02T00:00:00.000Z",
    });
    assert_eq!(world.contacts()[0]["fields"], expected);
    assert_eq!(world.contacts()[0]["custom"], json!({"role": "user", "Toggle": false}));
}

#[test]
fn an_attribute_that_was_not_defined_for_contacts_is_a_warning() {
    let world = World::new();
    world.given_customer("c-1", json!({}));
    let run =
        world.sync().contact(json!({"customer_external_id": "c-1", "email": "a@lee.example", "hobby": "none"})).run().succeeded();
    assert!(run.logged(&["FIELD_NOT_KEPT", "contacts.custom.hobby"]), "{run}");
}

#[test]
fn contacts_are_found_by_uuid_external_id_and_email_within_their_customer() {
    let world = World::new();
    let customer = world.given_customer("c-1", json!({}));
    let other = world.given_customer("c-2", json!({}));
    let uuid = world.given_contact(&customer, json!({"email": "ann@lee.example"}));
    // The same address with another customer, and one that already has another key: neither is meant.
    world.given_contact(&other, json!({"email": "ann@lee.example", "title": "Other Customer"}));
    let title = |data: Value| {
        world.sync().contact(data).run().succeeded();
        let contacts = world.contacts();
        contacts.iter().find(|contact| contact["uuid"] == uuid.as_str()).unwrap()["fields"]["title"].clone()
    };
    assert_eq!(title(json!({"uuid": uuid, "title": "By Uuid"})), "By Uuid");
    assert_eq!(world.requests("GET", "/v1/contacts"), world.requests_with("GET"), "a UUID needs no customer");
    assert_eq!(world.requests_with("GET"), 1, "what stands there is read, and nothing else is looked for");
    assert_eq!(title(json!({"customer_uuid": customer, "email": "ANN@lee.example", "title": "By Mail"})), "By Mail");
    // Found by its address, it gets its key; from then on the key finds it.
    let keyed = json!({"customer_external_id": "c-1", "external_id": "k-1", "email": "ann@lee.example", "title": "Gets A Key"});
    assert_eq!(title(keyed), "Gets A Key");
    let by_key = json!({"customer_external_id": "c-1", "external_id": "k-1", "email": "new@lee.example", "title": "By Key"});
    assert_eq!(title(by_key), "By Key");
    assert_eq!(world.contacts().len(), 2);
    // A contact with another key is another contact, whatever its address.
    let stranger = json!({"customer_external_id": "c-1", "external_id": "k-2", "email": "new@lee.example", "title": "Third"});
    assert_eq!(title(stranger), "By Key");
    assert_eq!(world.contacts().len(), 3);
}

#[test]
fn an_email_that_stands_twice_within_a_customer_is_ambiguous() {
    let world = World::new();
    let customer = world.given_customer("c-1", json!({}));
    world.given_contact(&customer, json!({"email": "ann@lee.example"}));
    world.given_contact(&customer, json!({"email": "ann@lee.example"}));
    let run = world
        .sync()
        .contact(json!({"customer_external_id": "c-1", "email": "ann@lee.example", "title": "Which"}))
        .contact(json!({"customer_external_id": "c-1", "email": "bob@lee.example"}))
        .line(state("contacts", 1))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("contacts"), "2 read, 1 created, 1 rejected, 1 rejected with AMBIGUOUS_MATCH");
    assert_eq!(run.counts(), [(1.0, 1.0)]);
}

#[test]
fn children_that_come_before_their_parents_wait_for_them() {
    let world = World::new();
    let contacts = (0..20).map(|n| {
        record("contacts", json!({"customer_external_id": format!("c-{}", n % 5), "email": format!("k{n}@lee.example")}))
    });
    let customers = (0..5).map(|n| record("customers", json!({"external_id": format!("c-{n}")})));
    let run =
        world.sync().lines(contacts).line(state("contacts", 1)).lines(customers).line(state("customers", 2)).run().succeeded();
    assert_eq!(run.outcomes("contacts"), "20 read, 20 created");
    assert_eq!(run.outcomes("customers"), "5 read, 5 created");
    assert_eq!(world.contacts().len(), 20);
    let uuids: Vec<Value> = world.customers().iter().map(|customer| customer["uuid"].clone()).collect();
    for customer in uuids {
        assert_eq!(world.contacts().iter().filter(|contact| contact["customer_uuid"] == customer).count(), 4);
    }
}

#[test]
fn a_child_whose_parent_never_comes_is_rejected_while_others_pass() {
    let world = World::new();
    let run = world
        .sync()
        .contact(json!({"customer_external_id": "c-404", "email": "a@lee.example"}))
        .contact(json!({"customer_uuid": "cus_00000000-0000-4000-8000-000000000000", "email": "a@lee.example"}))
        .contact(json!({"customer_external_id": "c-1", "email": "a@lee.example"}))
        .customer(json!({"external_id": "c-1"}))
        .lines([state("contacts", 1), state("customers", 2)])
        .run()
        .succeeded();
    assert_eq!(run.outcomes("contacts"), "3 read, 1 created, 2 rejected, 2 rejected with PARENT_NOT_FOUND");
    assert!(run.logged(&["PARENT_NOT_FOUND", "line 1, ", "field customer_external_id:"]), "{run}");
    assert!(run.logged(&["PARENT_NOT_FOUND", "line 2, ", "field customer_uuid:"]), "{run}");
    assert_eq!(world.contacts().len(), 1);
}

#[test]
fn a_child_of_a_rejected_parent_is_rejected_at_the_end() {
    let world = World::new();
    let run = world
        .sync()
        .contact(json!({"customer_external_id": "c-1", "email": "a@lee.example"}))
        .customer(json!({"external_id": "c-1", "email": "no address"}))
        .lines([state("contacts", 1), state("customers", 2)])
        .run()
        .succeeded();
    assert_eq!(run.outcomes("contacts"), "1 read, 1 rejected, 1 rejected with PARENT_NOT_FOUND");
    assert_eq!(run.states().len(), 2);
}

#[test]
fn a_contact_without_any_key_of_its_own_is_not_made_twice() {
    let world = World::new();
    world.given_customer("c-1", json!({}));
    let sync = || world.sync().contact(json!({"customer_external_id": "c-1", "first_name": "Ann", "last_name": "Lee"}));
    assert_eq!(sync().run().succeeded().outcomes("contacts"), "1 read, 1 created");
    sync().run().succeeded();
    assert_eq!(world.contacts().len(), 1);
    world.sync().contact(json!({"customer_external_id": "c-1", "first_name": "Ann", "last_name": "Ray"})).run().succeeded();
    assert_eq!(world.contacts().len(), 2);
}

#[test]
fn a_contact_needs_its_customer() {
    let world = World::new();
    let run = world.sync().contact(json!({"email": "ann@lee.example"})).run().succeeded();
    assert_eq!(run.outcomes("contacts"), "1 read, 1 rejected, 1 rejected with FIELD_MISSING");
    assert!(run.logged(&["field customer_external_id:"]), "{run}");
    assert_eq!(world.requests("POST", ROUTE), 0);
}

#[test]
fn records_of_one_contact_keep_their_order() {
    let world = World::new();
    world.fault("POST /contacts slow=200ms\nPATCH /contacts/* slow=200ms");
    let customer = record("customers", json!({"external_id": "c-1"}));
    let titles = (0..20)
        .map(|n| record("contacts", json!({"customer_external_id": "c-1", "external_id": "k-1", "title": format!("Title {n}")})));
    let run = world.sync().line(customer).lines(titles).run().succeeded();
    assert_eq!(run.outcomes("contacts"), "20 read, 1 created, 19 updated");
    assert_eq!(world.contacts().len(), 1);
    assert_eq!(world.contacts()[0]["fields"]["title"], "Title 19");
}

#[test]
fn settings_say_by_which_key_contacts_are_matched() {
    let world = World::new();
    let customer = world.given_customer("c-1", json!({}));
    world.given_contact(&customer, json!({"email": "ann@lee.example", "external_id": "k-1"}));
    let matched = |by: &str, data: Value| {
        let sync = world.sync().config(json!({"streams": [{"stream": "contacts", "match": by}]}));
        sync.contact(data).run().succeeded().outcomes("contacts").to_owned()
    };
    let row = json!({"customer_external_id": "c-1", "external_id": "k-2", "email": "ann@lee.example"});
    assert_eq!(matched("email", row.clone()), "1 read, 1 updated");
    // Found by the key that it got, it holds all of the record already.
    assert_eq!(matched("external_id", row), "1 read, 1 unchanged");
    assert_eq!(
        matched("external_id", json!({"customer_external_id": "c-1", "external_id": "k-3", "email": "ann@lee.example"})),
        "1 read, 1 created"
    );
    assert_eq!(
        matched("external_id", json!({"customer_external_id": "c-1", "email": "ann@lee.example"})),
        "1 read, 1 rejected, 1 rejected with FIELD_MISSING"
    );
    assert_eq!(
        matched("uuid", json!({"customer_external_id": "c-1", "email": "ann@lee.example"})),
        "1 read, 1 rejected, 1 rejected with FIELD_MISSING"
    );
    assert_eq!(world.contacts().len(), 2);
}

#[test]
fn a_uuid_that_is_gone_is_looked_for_by_the_other_keys() {
    let world = World::new();
    let customer = world.given_customer("c-1", json!({}));
    let gone = world.given_contact(&customer, json!({"external_id": "k-1"}));
    world.must(&format!("DELETE /contacts/{gone}"), Value::Null);
    world.given_contact(&customer, json!({"external_id": "k-1"}));
    let row = json!({"uuid": gone, "customer_external_id": "c-1", "external_id": "k-1", "title": "Found Again"});
    let run = world.sync().contact(row).run().succeeded();
    assert_eq!(run.outcomes("contacts"), "1 read, 1 updated");
    assert_eq!(world.contacts()[0]["fields"]["title"], "Found Again");

    // Without another key nothing is known to make it by; without a match it is made.
    let run = world.sync().contact(json!({"uuid": gone, "title": "Nobody"})).run().succeeded();
    assert_eq!(run.outcomes("contacts"), "1 read, 1 rejected, 1 rejected with KEY_MISSING");
    let row = json!({"uuid": gone, "customer_external_id": "c-2", "email": "new@lee.example"});
    let run = world.sync().contact(row).customer(json!({"external_id": "c-2"})).run().succeeded();
    assert_eq!(run.outcomes("contacts"), "1 read, 1 created");
    assert_eq!(world.contacts().len(), 2);
}
