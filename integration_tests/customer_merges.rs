//! Merges: two customers become one, and what follows for either goes to the one that is left.

use destination_chartmogul::sandbox::DATA_SOURCE_UUID;
use serde_json::{Value, json};

use crate::harness::{Run, World, record, state, stream};

const ROUTE: &str = "/v1/customers/merges";
const CUSTOMERS: &str = "/v1/customers";

fn merge(from: &str, into: &str) -> Value {
    json!({"from_external_id": from, "into_external_id": into})
}

fn run(world: &World, config: Value, rows: &[Value]) -> Run {
    let sync = world.sync().config(config).stream(stream("customer_merges"));
    sync.lines(rows.iter().map(|row| record("customer_merges", row.clone()))).line(state("customer_merges", 1)).run().succeeded()
}

/// The keys of every customer.
fn keys(world: &World) -> Vec<String> {
    let of = |customer: &Value| {
        let keys = customer["keys"].as_array().unwrap().iter();
        keys.map(|key| key["external_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    let mut all: Vec<String> = world.customers().iter().map(of).collect();
    all.sort_unstable();
    all
}

#[test]
fn a_merge_is_sent_once_and_seen_by_the_next_sync() {
    for mode in ["upsert", "insert"] {
        let world = World::new();
        for key in ["c-1", "c-2", "c-3"] {
            world.given_customer(key, json!({}));
        }
        let rows = [merge("c-2", "c-1")];
        assert_eq!(run(&world, json!({"mode": mode}), &rows).outcomes("customer_merges"), "1 read, 1 updated", "{mode}");
        assert_eq!(keys(&world), ["c-1 c-2", "c-3"]);
        assert_eq!(
            (world.requests("GET", CUSTOMERS), world.requests("POST", ROUTE), world.arrived()),
            (1, 1, 2),
            "one page tells of both"
        );
        assert_eq!(run(&world, json!({"mode": mode}), &rows).outcomes("customer_merges"), "1 read, 1 unchanged", "{mode}");
        assert_eq!((world.writes(), world.arrived()), (1, 3));
    }
}

#[test]
fn customers_are_named_by_key_or_by_uuid() {
    let world = World::new();
    let [_, two, three] = ["c-1", "c-2", "c-3"].map(|key| world.given_customer(key, json!({})));
    let rows = [json!({"from_uuid": two, "into_external_id": "c-1"}), json!({"from_external_id": "c-1", "into_uuid": three})];
    assert_eq!(run(&world, json!({}), &rows).outcomes("customer_merges"), "2 read, 2 updated");
    assert_eq!(keys(&world), ["c-3 c-1 c-2"]);
}

#[test]
fn several_merges_into_one_and_along_a_chain_leave_one_customer() {
    let world = World::new();
    for key in ["c-1", "c-2", "c-3", "c-4"] {
        world.given_customer(key, json!({}));
    }
    let rows = [merge("c-4", "c-3"), merge("c-3", "c-2"), merge("c-2", "c-1"), merge("c-4", "c-1"), merge("c-3", "c-4")];
    assert_eq!(run(&world, json!({}), &rows).outcomes("customer_merges"), "5 read, 2 unchanged, 3 updated");
    assert_eq!(world.customers().len(), 1);
}

#[test]
fn what_follows_for_the_one_that_went_goes_to_the_one_that_stays() {
    let world = World::new();
    let from = world.given_customer("c-2", json!({"name": "Former Name"}));
    world.given_customer("c-1", json!({"name": "Staying Name"}));
    world.given_contact(&from, json!({"external_id": "k-1", "first_name": "Ann"}));
    let run = world
        .sync()
        .stream(stream("customers"))
        .stream(stream("contacts"))
        .stream(stream("customer_merges"))
        .customer(json!({"external_id": "c-2", "city": "Rome"}))
        .contact(json!({"customer_external_id": "c-2", "external_id": "k-1", "title": "CTO"}))
        .line(record("customer_merges", merge("c-2", "c-1")))
        .customer(json!({"external_id": "c-2", "company": "Merged & Co"}))
        .contact(json!({"customer_external_id": "c-2", "external_id": "k-1", "title": "CEO"}))
        .contact(json!({"customer_uuid": from, "external_id": "k-2"}))
        .contact(json!({"customer_external_id": "c-1", "external_id": "k-1", "phone": "12345"}))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("customer_merges"), "1 read, 1 updated");
    assert_eq!(run.outcomes("customers"), "2 read, 2 updated");
    assert_eq!(run.outcomes("contacts"), "4 read, 1 created, 3 updated");
    let customer = world.customer("c-2");
    assert_eq!((world.customers().len(), &customer["fields"]["name"]), (1, &json!("Staying Name")));
    assert_eq!(customer["fields"]["company"], "Merged & Co");
    let contacts = world.contacts();
    assert_eq!(contacts.len(), 2);
    assert!(contacts.iter().all(|contact| contact["customer_uuid"] == customer["uuid"]));
    let first = contacts.iter().find(|contact| contact["fields"]["external_id"] == "k-1").unwrap();
    assert_eq!((&first["fields"]["title"], &first["fields"]["phone"]), (&json!("CEO"), &json!("12345")));
}

#[test]
fn what_follows_under_the_uuid_that_went_goes_to_the_one_that_stays() {
    let world = World::new();
    let from = world.given_customer("c-2", json!({}));
    world.given_customer("c-1", json!({}));
    let run = world
        .sync()
        .stream(stream("customers"))
        .stream(stream("contacts"))
        .stream(stream("customer_merges"))
        .line(record("customer_merges", json!({"from_uuid": from, "into_external_id": "c-1"})))
        .contact(json!({"customer_uuid": from, "external_id": "k-2"}))
        .customer(json!({"uuid": from, "city": "Rome"}))
        .run()
        .succeeded();
    assert_eq!((run.outcomes("contacts"), run.outcomes("customers")), ("1 read, 1 created", "1 read, 1 updated"));
    let customer = world.customer("c-1");
    assert_eq!((&customer["fields"]["city"], &world.contacts()[0]["customer_uuid"]), (&json!("Rome"), &customer["uuid"]));
}

#[test]
fn a_customer_that_this_sync_merged_is_not_deleted() {
    let deleted = |name: &str, value: &str| json!({name: value, "_ab_cdc_deleted_at": "2026-01-02"});
    for by_uuid in [false, true] {
        let world = World::new();
        let from = world.given_customer("c-2", json!({}));
        world.given_customer("c-1", json!({}));
        let (merge, gone) = match by_uuid {
            true => (json!({"from_uuid": from, "into_external_id": "c-1"}), deleted("uuid", &from)),
            false => (merge("c-2", "c-1"), deleted("external_id", "c-2")),
        };
        let run = world
            .sync()
            .config(json!({"deletions": {"policy": "delete", "max_deletes": 9, "max_percent": 100}}))
            .stream(stream("customers"))
            .stream(stream("customer_merges"))
            .line(record("customer_merges", merge))
            .customer(gone)
            .customer(deleted("external_id", "c-1"))
            .run()
            .succeeded();
        assert_eq!(run.outcomes("customers"), "2 read, 2 rejected, 2 rejected with DELETE_MERGED_CUSTOMER");
        assert_eq!((keys(&world), world.requests_with("DELETE")), (vec!["c-1 c-2".to_owned()], 0));
    }
}

#[test]
fn a_merge_waits_for_both_customers_and_is_rejected_when_one_never_comes() {
    let world = World::new();
    let run = world
        .sync()
        .stream(stream("customer_merges"))
        .stream(stream("customers"))
        .line(record("customer_merges", merge("c-2", "c-1")))
        .line(record("customer_merges", merge("c-3", "c-1")))
        .line(record("customer_merges", merge("c-1", "c-4")))
        .customer(json!({"external_id": "c-1"}))
        .customer(json!({"external_id": "c-2"}))
        .line(state("customer_merges", 1))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("customer_merges"), "3 read, 2 rejected, 1 updated, 2 rejected with PARENT_NOT_FOUND");
    assert!(
        run.logged(&["PARENT_NOT_FOUND", "from_external_id"]) && run.logged(&["PARENT_NOT_FOUND", "into_external_id"]),
        "{run}"
    );
    assert_eq!(keys(&world), ["c-1 c-2"]);
}

#[test]
fn customers_are_never_made_to_be_merged_and_bad_fields_are_told() {
    let world = World::new();
    let uuid = "cus_00000000-0000-4000-8000-000000000000";
    let rows = [
        merge("c-1", "c-1"),
        json!({"from_uuid": "no-uuid", "into_external_id": "c-1"}),
        json!({"into_external_id": "c-1"}),
        json!({"from_uuid": uuid, "into_external_id": "c-1"}),
    ];
    let run = run(&world, json!({}), &rows);
    let words =
        "4 read, 4 rejected, 1 rejected with FIELD_MISSING, 2 rejected with FIELD_VALUE, 1 rejected with PARENT_NOT_FOUND";
    assert_eq!(run.outcomes("customer_merges"), words);
    assert_eq!(world.writes(), 0);
}

#[test]
fn a_merge_whose_answer_was_lost_is_done_once() {
    for fault in ["after-work reset", "half", "after-work html=504", "reset", "after-work 429"] {
        let world = World::new();
        for key in ["c-1", "c-2"] {
            world.given_customer(key, json!({}));
        }
        world.fault(&format!("POST /customers/merges {fault}"));
        let by_key = run(&world, json!({}), &[merge("c-2", "c-1")]);
        assert_eq!(by_key.outcomes("customer_merges"), "1 read, 1 updated", "{fault}");
        assert_eq!(keys(&world), ["c-1 c-2"]);

        let world = World::new();
        let [one, two] = ["c-1", "c-2"].map(|key| world.given_customer(key, json!({})));
        world.fault(&format!("POST /customers/merges {fault}"));
        let by_uuid = run(&world, json!({}), &[json!({"from_uuid": two, "into_uuid": one})]);
        assert_eq!(by_uuid.outcomes("customer_merges"), "1 read, 1 updated", "{fault}");
    }
}

#[test]
fn a_merge_that_is_refused_after_a_lost_answer_is_looked_at_again() {
    let world = World::new();
    for key in ["c-1", "c-2"] {
        world.given_customer(key, json!({}));
    }
    world.fault("POST /customers/merges after-work reset\nPOST /customers/merges status=422");
    assert_eq!(run(&world, json!({}), &[merge("c-2", "c-1")]).outcomes("customer_merges"), "1 read, 1 unchanged");
    assert_eq!((keys(&world), world.requests("POST", ROUTE)), (vec!["c-1 c-2".to_owned()], 2));

    let world = World::new();
    for key in ["c-1", "c-2"] {
        world.given_customer(key, json!({}));
    }
    world.fault("POST /customers/merges reset\nPOST /customers/merges status=422 x2");
    let refused = run(&world, json!({}), &[merge("c-2", "c-1")]);
    assert_eq!(refused.outcomes("customer_merges"), "1 read, 1 rejected, 1 rejected with API_REFUSED");
}

#[test]
fn invoices_of_the_one_that_went_go_to_the_one_that_stays() {
    let world = World::new();
    for key in ["c-1", "c-2"] {
        world.given_customer(key, json!({}));
    }
    let body = json!({"data_source_uuid": DATA_SOURCE_UUID, "external_id": "p", "name": "P", "interval_count": 1, "interval_unit": "month"});
    world.must("POST /plans", body);
    let item = json!({"type": "subscription", "plan_external_id": "p", "subscription_external_id": "s-1", "amount_in_cents": 1000,
        "service_period_start": "2026-01-01", "service_period_end": "2026-02-01", "quantity": 1});
    let invoice = json!({"customer_external_id": "c-2", "external_id": "i-1", "date": "2026-01-01", "currency": "USD", "line_items": [item]});
    let run = world
        .sync()
        .stream(stream("customer_merges"))
        .stream(stream("invoices"))
        .line(record("customer_merges", merge("c-2", "c-1")))
        .line(record("invoices", invoice))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("invoices"), "1 read, 1 created");
    assert_eq!(world.sandbox.dump()["invoices"][0]["customer_uuid"], world.customer("c-1")["uuid"]);
}
