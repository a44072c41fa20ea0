//! Bulk imports of the real binary, over real sockets.

use std::time::{Duration, Instant};

use destination_chartmogul::sandbox::Options;
use destination_chartmogul::sandbox::imports::{Failures, Readings};
use serde_json::{Value, json};

use crate::harness::{Sync, World, options, record, state, stream};

const IMPORTS: &str = "/v1/data_sources/{uuid}/json_imports";

fn customers(count: usize) -> Vec<String> {
    (0..count).map(|n| record("customers", json!({"external_id": format!("c-{n}"), "name": format!("Customer {n}")}))).collect()
}

/// Imports take a tenth of a second here.
fn quick(readings: Readings) -> Options {
    Options { imports: Readings { start_delay: Duration::from_millis(100), ..readings }, ..options() }
}

fn auto() -> Value {
    json!({"bulk_import": "auto"})
}

#[test]
fn what_is_new_goes_in_one_request_and_a_second_run_sends_none() {
    let world = World::with(quick(Readings::default()));
    let lines = || customers(300).into_iter().chain([state("customers", 1)]);
    let run = world.sync().config(auto()).lines(lines()).run().succeeded();
    assert_eq!(run.outcomes("customers"), "300 read, 300 created");
    assert_eq!((run.counts(), world.requests("POST", IMPORTS), world.writes()), (vec![(300.0, 0.0)], 1, 1));
    assert_eq!(world.customers().len(), 300);
    let run = world.sync().config(auto()).lines(lines()).run().succeeded();
    assert_eq!((run.outcomes("customers"), world.writes()), ("300 read, 300 unchanged", 1));
    // Too few to pay.
    let few = (300..305).map(|n| record("customers", json!({"external_id": format!("c-{n}"), "name": "Few"})));
    world.sync().config(auto()).lines(few).run().succeeded();
    assert_eq!((world.requests("POST", IMPORTS), world.requests("POST", "/v1/customers")), (1, 5));
}

#[test]
fn never_is_the_default() {
    let world = World::new();
    world.sync().lines(customers(20)).run().succeeded();
    assert_eq!((world.requests("POST", IMPORTS), world.requests("POST", "/v1/customers")), (0, 20));
}

#[test]
fn what_does_not_fit_goes_its_own_way_in_the_same_sync() {
    let world = World::with(quick(Readings::default()));
    world.given_customer("c-0", json!({"name": "There"}));
    let odd = [
        record("customers", json!({"external_id": "tagged", "name": "T", "tags": ["vip"]})),
        record("customers", json!({"external_id": "typed", "name": "T", "seats": 3})),
        record("customers", json!({"external_id": "nameless"})),
        record("customers", json!({"external_id": "plans", "name": "Called like a list"})),
        record("contacts", json!({"customer_external_id": "c-1", "email": "a@example.com"})),
    ];
    let run = world.sync().config(auto()).lines(customers(30).into_iter().chain(odd)).run().succeeded();
    assert_eq!(run.outcomes("customers"), "34 read, 33 created, 1 updated");
    assert_eq!(run.outcomes("contacts"), "1 read, 1 created");
    assert_eq!((world.requests("POST", IMPORTS), world.customers().len(), world.contacts().len()), (1, 34, 1));
}

/// Rows of which only the server knows that two of them are wrong.
fn invoices() -> Vec<String> {
    let plan = record("plans", json!({"external_id": "p", "name": "P", "interval_count": 1, "interval_unit": "month"}));
    let invoice = |n: usize| {
        let quantity = if n.is_multiple_of(10) { 0 } else { 1 };
        record(
            "invoices",
            json!({"customer_external_id": format!("c-{n}"), "external_id": format!("i-{n}"), "date": "2026-01-01", "currency": "EUR",
                "line_items": [{"type": "one_time", "amount_in_cents": 100, "external_id": format!("l-{n}"), "quantity": quantity}]}),
        )
    };
    [plan].into_iter().chain(customers(20)).chain((0..20).map(invoice)).collect()
}

fn sync(world: &World) -> Sync<'_> {
    ["plans", "customers", "invoices"].into_iter().fold(world.sync().config(auto()), |sync, name| sync.stream(stream(name)))
}

#[test]
fn what_counts_for_nothing_is_a_reject_with_the_words_of_the_api() {
    for failures in [Failures::Silent, Failures::Told, Failures::Missing] {
        let world = World::with(quick(Readings { failures, ..Readings::default() }));
        let run = sync(&world).lines(invoices()).run().succeeded();
        assert_eq!(run.outcomes("customers"), "20 read, 20 created", "{failures:?} {run}");
        assert_eq!(
            run.outcomes("invoices"),
            "20 read, 18 created, 2 rejected, 2 rejected with IMPORTED_INVALID",
            "{failures:?} {run}"
        );
        assert!(run.logged(&["IMPORTED_INVALID", "line 22", "field line_items.quantity"]), "{failures:?} {run}");
        // What stands there was not kept as it was given, so that the API is asked once more, and refuses.
        let run = sync(&world).lines(invoices()).run().succeeded();
        let second = "20 read, 2 rejected, 18 unchanged, 2 rejected with API_REFUSED";
        assert_eq!(
            (run.outcomes("invoices"), run.outcomes("customers")),
            (second, "20 read, 20 unchanged"),
            "{failures:?} {run}"
        );
    }
}

#[test]
fn an_import_whose_answer_was_lost_is_neither_lost_nor_sent_twice() {
    for (fault, sent) in [("after-work reset", 1), ("reset", 2), ("after-work status=502", 1)] {
        let world = World::with(quick(Readings::default()));
        world.fault(&format!("POST /data_sources/*/json_imports x1 {fault}"));
        let run = world.sync().config(auto()).lines(customers(50)).run().succeeded();
        assert_eq!(run.outcomes("customers"), "50 read, 50 created", "{fault} {run}");
        assert_eq!((world.customers().len(), world.requests("POST", IMPORTS)), (50, sent), "{fault} {run}");
    }
}

#[test]
fn where_the_api_takes_no_imports_its_records_go_one_by_one() {
    for status in [404, 405, 422] {
        let world = World::with(quick(Readings::default()));
        world.fault(&format!("POST /data_sources/*/json_imports status={status}"));
        let run = world.sync().config(auto()).lines(customers(50)).run().succeeded();
        assert_eq!(run.outcomes("customers"), "50 read, 50 created", "{status} {run}");
        assert_eq!(world.requests("POST", "/v1/customers"), 50);
        assert!(run.logged(&["takes no bulk import"]), "{run}");
    }
}

#[test]
fn an_import_that_never_ends_fails_the_sync_with_its_states_held_and_nothing_is_sent_singly() {
    let slow = Readings { start_delay: Duration::from_secs(3_600), ..Readings::default() };
    let world = World::with(Options { imports: slow, ..options() });
    let config = json!({"bulk_import": "auto", "limits": {"give_up_after_minutes": 0.02}});
    let lines = || customers(50).into_iter().chain([state("customers", 1)]);
    let run = world.sync().config(config.clone()).lines(lines()).run();
    run.failed("transient_error", "IMPORT_UNSETTLED");
    assert_eq!((run.states().len(), world.requests("POST", "/v1/customers")), (0, 0), "{run}");
    // The next run sends nothing before that is settled.
    let run = world.sync().config(config).lines(lines()).run();
    run.failed("transient_error", "IMPORT_UNSETTLED");
    assert_eq!((world.requests("POST", IMPORTS), world.writes()), (1, 1), "{run}");
}

#[test]
fn sigterm_does_not_wait_for_an_import() {
    let slow = Readings { start_delay: Duration::from_secs(3_600), ..Readings::default() };
    let world = World::with(Options { imports: slow, ..options() });
    let mut live = world.sync().config(auto()).lines(customers(50).into_iter().chain([state("customers", 1)])).start();
    live.end_input();
    world.wait_until("the import arrived", |world| world.requests("POST", IMPORTS) == 1);
    let asked = Instant::now();
    live.signal("TERM");
    let run = live.finish();
    assert_eq!((run.code, run.states().len()), (Some(143), 0), "{run}");
    assert!(run.logged(&["a bulk import is not waited for"]), "{run}");
    assert!(asked.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_sync_that_is_to_end_does_not_wait_for_what_waits_for_an_import() {
    let world = World::with(quick(Readings::default()));
    (0..3).for_each(|n| drop(world.given_customer(&format!("old-{n}"), json!({}))));
    let config = json!({"bulk_import": "auto", "deletions": {"policy": "delete", "max_deletes": 1, "max_percent": 100}});
    let gone =
        (0..3).map(|n| record("customers", json!({"external_id": format!("old-{n}"), "_ab_cdc_deleted_at": "2026-01-01"})));
    let run = world.sync().config(config).lines(customers(20).into_iter().chain(gone).chain([state("customers", 1)])).run();
    run.failed("config_error", "DELETE_LIMIT");
    assert_eq!((run.states().len(), world.requests_with("DELETE")), (0, 1), "{run}");
}
