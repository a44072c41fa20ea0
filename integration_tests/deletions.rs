//! Deletions: never unless asked, and never beyond the guard.

use destination_chartmogul::sandbox::{Options, SECOND_DATA_SOURCE_UUID};
use serde_json::{Value, json};

use crate::harness::{Run, World, options, record, state, stream};

/// An account with so many customers `c-0`, `c-1` and so on.
fn with_customers(count: usize) -> World {
    let world = World::new();
    for n in 0..count {
        world.given_customer(&format!("c-{n}"), json!({}));
    }
    world
}

fn policy(max_deletes: u32, max_percent: u32) -> Value {
    json!({"deletions": {"policy": "delete", "max_deletes": max_deletes, "max_percent": max_percent}})
}

fn deleted(key: &str) -> Value {
    json!({"external_id": key, "name": null, "_ab_cdc_deleted_at": "2026-01-02T03:04:05Z"})
}

#[test]
fn by_default_no_delete_is_ever_sent() {
    let world = with_customers(2);
    let customer = world.customer("c-1")["uuid"].as_str().unwrap().to_owned();
    world.given_contact(&customer, json!({"external_id": "k-1"}));
    let before = world.contents();
    let run = world
        .sync()
        .customer(deleted("c-0"))
        .customer(deleted("c-404"))
        .contact(json!({"customer_external_id": "c-1", "external_id": "k-1", "_ab_cdc_deleted_at": "2026-01-02"}))
        .lines([state("customers", 1), state("contacts", 2)])
        .run()
        .succeeded();
    assert_eq!(run.outcomes("customers"), "2 read, 2 skipped, 2 skipped as deletion_ignored");
    assert_eq!(run.outcomes("contacts"), "1 read, 1 skipped, 1 skipped as deletion_ignored");
    assert_eq!(run.counts(), [(2.0, 0.0), (1.0, 0.0)]);
    assert_eq!(world.contents(), before);
    assert_eq!(world.arrived(), 0, "nothing to do, nothing sent");
}

#[test]
fn a_marked_record_deletes_its_match_and_others_are_written() {
    let world = with_customers(3);
    let run = world
        .sync()
        .config(policy(100, 100))
        .customer(deleted("c-0"))
        .customer(deleted("c-404"))
        .customer(json!({"external_id": "c-1", "name": "Stays Here", "_ab_cdc_deleted_at": null}))
        .customer(json!({"external_id": "c-9"}))
        .line(state("customers", 1))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("customers"), "4 read, 1 created, 1 deleted, 1 skipped, 1 updated, 1 skipped as no_match");
    assert_eq!(world.customer_keys(), ["c-1", "c-2", "c-9"]);
}

#[test]
fn soft_delete_deletes_every_record_of_its_stream() {
    let world = with_customers(3);
    let customer = world.customer("c-2")["uuid"].as_str().unwrap().to_owned();
    world.given_contact(&customer, json!({"external_id": "k-1"}));
    world.given_contact(&customer, json!({"email": "ann@lee.example"}));
    world.given_contact(&customer, json!({"email": "bob@lee.example"}));
    let run = world
        .sync()
        .config(policy(100, 100))
        .stream(stream("customers").mode("soft_delete"))
        .stream(stream("contacts").mode("soft_delete"))
        .customer(json!({"external_id": "c-0", "name": "Any Name"}))
        .contact(json!({"customer_external_id": "c-2", "external_id": "k-1"}))
        .contact(json!({"customer_external_id": "c-2", "email": "ann@lee.example"}))
        .contact(json!({"customer_external_id": "c-404", "email": "ann@lee.example"}))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("customers"), "1 read, 1 deleted");
    assert_eq!(run.outcomes("contacts"), "3 read, 2 deleted, 1 skipped, 1 skipped as no_match");
    assert_eq!(world.customer_keys(), ["c-1", "c-2"]);
    assert_eq!(world.contacts().len(), 1);
    assert_eq!(world.contacts()[0]["fields"]["email"], "bob@lee.example");
}

fn stopped(run: &Run) -> String {
    run.failed("config_error", "DELETE_LIMIT")
}

#[test]
fn the_sync_stops_before_the_deletion_that_would_pass_max_deletes() {
    let world = with_customers(10);
    let deletions = (0..10).map(|n| record("customers", deleted(&format!("c-{n}"))));
    let run = world.sync().config(policy(2, 100)).line(state("customers", 1)).lines(deletions).line(state("customers", 2)).run();
    assert!(stopped(&run).contains("`max_deletes` is 2 and so many were deleted"), "{run}");
    assert_eq!(world.requests_with("DELETE"), 2, "those under way are finished");
    assert_eq!(world.customers().len(), 8);
    assert_eq!(run.outcomes("customers"), "10 read, 2 deleted, 8 without an outcome");
    assert_eq!(run.state_ids(), [1]);
}

#[test]
fn the_sync_stops_before_the_deletion_that_would_pass_max_percent() {
    let world = with_customers(20);
    let sync = world.sync().config(json!({"deletions": {"policy": "delete"}}));
    let run = sync.customer(deleted("c-0")).customer(deleted("c-1")).customer(deleted("c-2")).run();
    let message = stopped(&run);
    assert!(message.contains("`max_percent` is 10") && message.contains("of the 20 customers"), "{message}");
    assert_eq!(world.customers().len(), 18);
}

#[test]
fn customers_of_other_data_sources_do_not_count_for_the_guard() {
    let world = World::with(Options { data_sources: vec!["Billing".into(), "CRM".into()], ..options() });
    for n in 0..50 {
        world.given_customer(&format!("o-{n}"), json!({"data_source_uuid": SECOND_DATA_SOURCE_UUID}));
    }
    world.given_customer("c-0", json!({}));
    let run = world.sync().config(policy(100, 50)).customer(deleted("c-0")).run();
    assert!(stopped(&run).contains("of the 1 customers"), "{run}");
    assert_eq!(world.requests_with("DELETE"), 0);
}

#[test]
fn customers_made_by_this_sync_do_not_widen_the_guard() {
    let world = with_customers(2);
    let mut sync = world.sync().config(policy(100, 50));
    for n in 0..40 {
        sync = sync.customer(json!({"external_id": format!("new-{n}")}));
    }
    let run = sync.customer(deleted("c-0")).customer(deleted("c-1")).run();
    assert!(stopped(&run).contains("of the 2 customers"), "{run}");
    assert_eq!(world.requests_with("DELETE"), 1);
}

#[test]
fn a_merged_customer_is_never_deleted() {
    let world = with_customers(4);
    let uuid = |key: &str| world.customer(key)["uuid"].clone();
    world.must("POST /customers/merges", json!({"from": {"customer_uuid": uuid("c-1")}, "into": {"customer_uuid": uuid("c-0")}}));
    let run = world
        .sync()
        .config(policy(100, 100))
        .customer(deleted("c-0"))
        .customer(deleted("c-1"))
        .customer(deleted("c-2"))
        .line(state("customers", 1))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("customers"), "3 read, 1 deleted, 2 rejected, 2 rejected with DELETE_MERGED_CUSTOMER");
    assert_eq!(world.requests_with("DELETE"), 1);
    assert_eq!(world.customers().len(), 2);
}

#[test]
fn create_delete_and_create_again_keep_their_order() {
    let world = with_customers(5);
    let run = world
        .sync()
        .config(policy(100, 100))
        .customer(json!({"external_id": "c-0", "name": "Changed First"}))
        .customer(deleted("c-0"))
        .customer(json!({"external_id": "c-0", "city": "Bonn"}))
        .line(state("customers", 1))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("customers"), "3 read, 1 created, 1 deleted, 1 updated");
    assert_eq!(world.customer("c-0")["fields"], json!({"city": "Bonn"}));
}

#[test]
fn a_uuid_is_enough_to_delete() {
    let world = with_customers(2);
    let uuid = |key: &str| world.customer(key)["uuid"].as_str().unwrap().to_owned();
    let contact = world.given_contact(&uuid("c-0"), json!({"email": "ann@lee.example"}));
    let run = world
        .sync()
        .config(policy(100, 100))
        .customer(json!({"uuid": uuid("c-1"), "_ab_cdc_deleted_at": "2026-01-02"}))
        .contact(json!({"uuid": contact, "_ab_cdc_deleted_at": "2026-01-02"}))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("customers"), "1 read, 1 deleted");
    assert_eq!(run.outcomes("contacts"), "1 read, 1 deleted");
    assert_eq!(world.customer_keys(), ["c-0"]);
    assert!(world.contacts().is_empty());
}

#[test]
fn a_child_of_a_customer_that_this_sync_deleted_is_rejected() {
    let world = with_customers(2);
    let run = world
        .sync()
        .config(policy(100, 100))
        .customer(deleted("c-0"))
        .contact(json!({"customer_external_id": "c-0", "email": "ann@lee.example"}))
        .contact(json!({"customer_external_id": "c-1", "email": "bob@lee.example"}))
        .lines([state("customers", 1), state("contacts", 2)])
        .run()
        .succeeded();
    assert_eq!(run.outcomes("contacts"), "2 read, 1 created, 1 rejected, 1 rejected with PARENT_NOT_FOUND");
}

#[test]
fn whether_the_data_source_exists_is_asked_once_however_many_look_in_vain() {
    let world = World::with(Options { latency: std::time::Duration::from_millis(20), ..options() });
    let row = |n: usize| json!({"uuid": format!("cus_5a4db0c5-0000-4000-8000-{n:012}"), "_ab_cdc_deleted_at": "2026-01-01"});
    let run = world.sync().config(policy(100, 100)).lines((0..20).map(|n| record("customers", row(n)))).run().succeeded();
    assert_eq!(run.outcomes("customers"), "20 read, 20 skipped, 20 skipped as no_match");
    assert_eq!(world.requests("GET", "/v1/data_sources/{uuid}"), 1);
}
