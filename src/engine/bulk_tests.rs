//! Bulk imports end as the single path does: over random companies, with every reading of what is unknown about the endpoint,
//! with faults, with kills in the middle.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::chaos_tests::{FAULTS, lists_lag};
use super::company_chaos_tests::{all_streams, assert_same, assert_states, rest, seeds, shape, text};
use super::company_tests::{Shape, base, company};
use super::report::Sample;
use super::testing::{Collected, Ran, catalog, record, run, run_into, settings, state};
use crate::config::Settings;
use crate::outcome::Fault;
use crate::sandbox::imports::{Parts, Reading, Readings};
use crate::sandbox::{Options, Quirks, Sandbox};

fn bulk() -> Settings {
    settings(&json!({"bulk_import": "auto"}))
}

fn sandbox(imports: Readings) -> Sandbox {
    Sandbox::new(Options { imports, ..Options::default() })
}

const STREAMS: [&str; 4] = ["plans", "customers", "invoices", "subscription_events"];

/// So many customers with two invoices and an event each.
fn rows(customers: usize, by_customer: bool) -> String {
    let plan = record("plans", &json!({"external_id": "p", "name": "P", "interval_count": 1, "interval_unit": "month"}));
    let customer =
        |n: usize| vec![record("customers", &json!({"external_id": format!("c{n}"), "name": format!("Customer {n}")}))];
    let invoices = |n: usize| {
        let invoice = |month: usize| {
            let item = json!({"type": "subscription", "external_id": format!("l{n}-{month}"), "subscription_external_id": format!("s{n}"),
                "plan_external_id": "p", "amount_in_cents": 1000, "quantity": 1,
                "service_period_start": format!("2026-0{month}-01"), "service_period_end": format!("2026-0{}-01", month + 1)});
            let paid = json!({"type": "payment", "result": "successful", "date": format!("2026-0{month}-02"),
                "external_id": format!("t{n}-{month}")});
            record(
                "invoices",
                &json!({"customer_external_id": format!("c{n}"), "external_id": format!("i{n}-{month}"),
                    "date": format!("2026-0{month}-01"), "currency": "USD", "line_items": [item], "transactions": [paid]}),
            )
        };
        vec![invoice(1), invoice(2)]
    };
    let event = |n: usize| {
        vec![record(
            "subscription_events",
            &json!({"customer_external_id": format!("c{n}"), "external_id": format!("e{n}"), "event_type": "subscription_start",
                "event_date": "2026-01-01", "effective_date": "2026-01-01", "subscription_external_id": format!("es{n}"),
                "plan_external_id": "p", "currency": "USD", "amount_in_cents": 1000, "quantity": 1}),
        )]
    };
    let rows: Vec<String> = if by_customer {
        (0..customers).flat_map(|n| [customer(n), invoices(n), event(n)]).flatten().collect()
    } else {
        let all = |of: &dyn Fn(usize) -> Vec<String>| (0..customers).flat_map(of).collect::<Vec<_>>();
        [all(&customer), all(&invoices), all(&event)].concat()
    };
    let mut input = plan + &state("plans", 1);
    for (at, row) in rows.iter().enumerate() {
        input += row;
        if at % 700 == 699 {
            STREAMS[1..].iter().for_each(|stream| input += &state(stream, at as u64));
        }
    }
    input
}

fn requests(ran: &Ran) -> u64 {
    ran.report.client.attempts
}

#[tokio::test(start_paused = true)]
async fn new_customers_go_by_the_thousand() {
    for by_customer in [true, false] {
        let input = rows(1_500, by_customer);
        let singly = Sandbox::new(Options { requests_per_second: 100_000, connections: 1_000, ..Options::default() });
        let fast = json!({"limits": {"requests_per_second": 10_000, "connections": 1_000}});
        run(&singly, &settings(&fast), &catalog(&STREAMS), input.clone()).await.assert_sound();
        let account = sandbox(Readings::default());
        let ran = run(&account, &bulk(), &catalog(&STREAMS), input).await;
        ran.assert_sound();
        assert_eq!(ran.count("created"), 6_001, "{:?}", ran.report.total());
        assert_same("bulk", &account, &singly);
        assert!(requests(&ran) < 60, "{} requests: {:?}", requests(&ran), ran.report.client.requests_by_kind);
    }
}

/// What waits to go in an import is no reason to read the list of all customers for one record that needs one.
#[tokio::test(start_paused = true)]
async fn one_record_that_needs_an_imported_customer_costs_a_look_and_no_listing() {
    let rows = rows(3_000, false);
    let invoices = rows.find("\"invoices\"").and_then(|at| rows[..at].rfind('\n')).unwrap() + 1;
    let contact = record("contacts", &json!({"customer_external_id": "c5", "external_id": "k", "first_name": "Ann"}));
    let input = format!("{}{contact}{}", &rows[..invoices], &rows[invoices..]);
    let ran = run(
        &sandbox(Readings::default()),
        &bulk(),
        &catalog(&["plans", "customers", "contacts", "invoices", "subscription_events"]),
        input,
    )
    .await;
    ran.assert_sound();
    assert_eq!(ran.count("created"), 12_002, "{:?}", ran.report.total());
    let kinds = &ran.report.client.requests_by_kind;
    let looks: u64 =
        kinds.iter().filter(|(kind, _)| kind.contains("customers") && !kind.contains("create")).map(|(_, many)| *many).sum();
    assert!(looks <= 4, "{kinds:?}");
}

#[tokio::test(start_paused = true)]
async fn every_reading_of_the_endpoint_ends_with_the_same_account() {
    let input = rows(40, true);
    let singly = sandbox(Readings::default());
    run(&singly, &settings(&json!({})), &catalog(&STREAMS), input.clone()).await.assert_sound();
    for (name, reading) in Reading::ALL {
        let account = sandbox(Readings::default().with(*reading));
        let ran = run(&account, &bulk(), &catalog(&STREAMS), input.clone()).await;
        ran.assert_sound();
        assert_same(name, &account, &singly);
        assert_eq!(ran.count("created"), 161, "{name}: {:?}", ran.report.total());
        let second = run(&account, &bulk(), &catalog(&STREAMS), input.clone()).await;
        assert_eq!(second.count("unchanged"), 161, "{name}: {:?}", second.report.total());
    }
}

/// One line item and one transaction of this account are there already when an import brings them again with other invoices.
async fn with_parts_that_are_there() -> Sandbox {
    let account = sandbox(Readings::default());
    let invoice = invoice("c", "i", &[item("taken-l")], &[paid("taken-t")]);
    let input = record("customers", &json!({"external_id": "c", "name": "C"})) + &record("invoices", &invoice);
    run(&account, &settings(&json!({})), &catalog(&STREAMS), input).await.assert_sound();
    account
}

fn item(key: &str) -> Value {
    json!({"type": "one_time", "external_id": key, "amount_in_cents": 1000})
}

fn paid(key: &str) -> Value {
    json!({"type": "payment", "result": "successful", "date": "2026-01-02", "external_id": key})
}

fn invoice(customer: &str, key: &str, items: &[Value], transactions: &[Value]) -> Value {
    json!({"customer_external_id": customer, "external_id": key, "date": "2026-01-01", "currency": "USD", "line_items": items,
        "transactions": transactions})
}

/// What the rejected records of a sync are told, by their keys.
fn told(ran: &Ran) -> BTreeMap<String, String> {
    let words = |sample: &Sample| {
        let words = |fault: &Fault| format!("{} {}: {}", fault.code, fault.field.as_deref().unwrap_or("-"), fault.message);
        sample.rejection.faults.iter().map(words).collect::<Vec<_>>().join("; ")
    };
    ran.report.samples.iter().map(|sample| (sample.key.clone(), words(sample))).collect()
}

/// Each record has the words that the API says of it, and no other has them.
#[tokio::test(start_paused = true)]
async fn a_part_whose_id_is_taken_is_told_so_and_the_others_have_their_own() {
    let streams = ["customers", "invoices", "line_items", "transactions"];
    let of = |invoice: &str, mut part: Value| {
        part["invoice_external_id"] = invoice.into();
        part
    };
    let rows = [
        record("customers", &json!({"external_id": "d", "name": "D"})),
        record("invoices", &invoice("d", "good", &[item("l1")], &[paid("t1")])),
        record("invoices", &invoice("d", "half", &[item("l2"), item("taken-l")], &[])),
        record("invoices", &invoice("d", "none", &[item("taken-l")], &[])),
        record("invoices", &invoice("d", "unpaid", &[item("l3")], &[paid("taken-t")])),
        record("invoices", &invoice("d", "rows", &[], &[])),
        record("line_items", &of("rows", item("l4"))),
        record("line_items", &of("rows", item("taken-l"))),
        record("transactions", &of("rows", paid("taken-t"))),
        record("invoices", &invoice("d", "empty", &[], &[])),
        record("line_items", &of("empty", item("taken-l"))),
    ];
    let item_is_taken = "The external ID for this line item already exists in our system.";
    let of_invoices = [
        ("empty of d", "IMPORTED_INVALID line_items: can't be blank".to_owned()),
        ("half of d", format!("API_REFUSED line_items.external_id: {item_is_taken}")),
        ("none of d", format!("API_REFUSED line_items.external_id: {item_is_taken}")),
        ("unpaid of d", "API_REFUSED transactions.external_id: has already been taken".to_owned()),
    ];
    let of_parts = [
        ("taken-l of empty", format!("API_REFUSED external_id: {item_is_taken}")),
        ("taken-l of rows", format!("API_REFUSED external_id: {item_is_taken}")),
        ("taken-t of rows", "API_REFUSED external_id: has already been taken".to_owned()),
    ];
    // An insert leaves alone what is there.
    for (mode, rejected, skipped) in [("upsert", [&of_invoices[..], &of_parts].concat(), 0), ("insert", of_invoices.to_vec(), 3)]
    {
        let account = with_parts_that_are_there().await;
        let settings = settings(&json!({"bulk_import": "auto", "mode": mode}));
        let ran = run(&account, &settings, &catalog(&streams), rows.concat()).await;
        ran.assert_sound();
        assert_eq!(ran.report.client.requests_by_kind["import"], 1, "{mode}");
        assert_eq!(told(&ran), rejected.into_iter().map(|(key, words)| (key.to_owned(), words)).collect(), "{mode}");
        assert_eq!((ran.count("created"), ran.count("skipped")), (4, skipped), "{mode}");
    }
}

fn without_key(mut part: Value) -> Value {
    part.as_object_mut().unwrap().remove("external_id");
    part
}

/// A line item without a key can not be looked for by one: it is counted.
#[tokio::test(start_paused = true)]
async fn a_line_item_without_a_key_that_an_import_lost_is_told() {
    let account = sandbox(Readings { parts: Parts::Dropped, ..Readings::default() });
    let mut long = without_key(item(""));
    long["description"] = "d".repeat(300).into();
    let good = without_key(item(""));
    let mut rows = vec![
        record("customers", &json!({"external_id": "d", "name": "D"})),
        record("invoices", &invoice("d", "half", &[good.clone(), long.clone()], &[])),
        record("invoices", &invoice("d", "rows", &[long, item("l")], &[])),
    ];
    rows.extend(
        (0..8).map(|n| {
            record("invoices", &invoice("d", &format!("good{n}"), std::slice::from_ref(&good), &[paid(&format!("t{n}"))]))
        }),
    );
    let ran = run(&account, &bulk(), &catalog(&["customers", "invoices"]), rows.concat()).await;
    ran.assert_sound();
    assert_eq!(ran.report.client.requests_by_kind["import"], 1);
    let keys: Vec<String> = told(&ran).into_keys().collect();
    assert_eq!(keys, ["half of d", "rows of d"], "{:?}", told(&ran));
    assert!(told(&ran).values().all(|words| words.starts_with("API_REFUSED line_items.description: ")), "{:?}", told(&ran));
    assert_eq!(ran.count("created"), 9);
}

/// Nothing shows that an import takes them, and one that it does not take may cost all that goes with it.
#[tokio::test(start_paused = true)]
async fn an_invoice_with_a_transaction_without_a_key_goes_by_itself() {
    let account = sandbox(Readings::default());
    let of = |n: usize| {
        let keyed = invoice("d", &format!("i{n}"), &[item(&format!("l{n}"))], &[paid(&format!("t{n}"))]);
        record("invoices", &keyed)
    };
    let keyless = invoice("d", "keyless", &[item("l")], &[without_key(paid(""))]);
    let mut rows = vec![record("customers", &json!({"external_id": "d", "name": "D"})), record("invoices", &keyless)];
    rows.extend((0..8).map(of));
    let ran = run(&account, &bulk(), &catalog(&["customers", "invoices"]), rows.concat()).await;
    ran.assert_sound();
    assert_eq!(ran.count("created"), 10);
    let requests = &ran.report.client.requests_by_kind;
    assert_eq!((requests["import"], requests["create invoice"]), (1, 1), "{requests:?}");
}

/// An invoice that an import left without what it needs is asked about once more when that came singly.
#[tokio::test(start_paused = true)]
async fn an_invoice_whose_lost_part_passes_singly_counts() {
    let account = with_parts_that_are_there().await;
    let part = |invoice: &str, mut part: Value| {
        part["invoice_external_id"] = invoice.into();
        record("line_items", &part)
    };
    let mut rows = vec![record("customers", &json!({"external_id": "d", "name": "D"}))];
    rows.extend((0..8).map(|n| record("invoices", &invoice("d", &format!("i{n}"), &[item(&format!("l{n}"))], &[]))));
    rows.extend([record("invoices", &invoice("d", "late", &[], &[])), part("late", item("taken-l"))]);
    let (bulk, streams) = (bulk(), catalog(&["customers", "invoices", "line_items"]));
    let sync = run(&account, &bulk, &streams, rows.concat());
    // Somebody else takes away meanwhile what was in the way of the import.
    let other = async {
        tokio::time::sleep(Duration::from_secs(6)).await;
        let delete = settings(&json!({"deletions": {"policy": "delete", "max_percent": 100}}));
        let row = record("line_items", &json!({"external_id": "taken-l", "_ab_cdc_deleted_at": "2026-01-01"}));
        run(&account, &delete, &catalog(&["line_items"]), row).await
    };
    let (ran, other) = tokio::join!(sync, other);
    assert_eq!(other.count("deleted"), 1);
    ran.assert_sound();
    assert_eq!(ran.report.client.requests_by_kind["import"], 1);
    assert_eq!((ran.count("created"), told(&ran)), (11, BTreeMap::new()), "{:?}", ran.report.streams);
}

/// Only what no answer has shown yet may be listed late.
#[tokio::test(start_paused = true)]
async fn what_an_import_made_and_this_run_deleted_is_not_waited_for() {
    let looks = async |child: bool| {
        let account = sandbox(Readings::default());
        let mut rows: Vec<String> =
            (0..8).map(|n| record("customers", &json!({"external_id": format!("c{n}"), "name": "C"}))).collect();
        let contact = |n: usize| record("contacts", &json!({"customer_external_id": "c0", "external_id": format!("k{n}")}));
        if child {
            rows.push(contact(1));
        }
        rows.push(record("customers", &json!({"external_id": "c0", "_ab_cdc_deleted_at": "2026-01-01"})));
        rows.push(contact(2));
        let settings = settings(&json!({"bulk_import": "auto", "deletions": {"policy": "delete", "max_percent": 100}}));
        let ran = run(&account, &settings, &catalog(&["customers", "contacts"]), rows.concat()).await;
        ran.assert_sound();
        assert_eq!((ran.report.client.requests_by_kind["import"], ran.count("deleted"), ran.count("rejected")), (1, 1, 1));
        ran.report.client.requests_by_kind["look up customers"]
    };
    assert_eq!((looks(true).await, looks(false).await), (1, 1), "once more at the end");
}

/// Companies of all objects, by imports where that is possible, under faults and killed again and again.
#[tokio::test(start_paused = true)]
async fn companies_end_as_by_the_single_path() {
    for seed in seeds(1..3) {
        let (name, reading) = Reading::ALL[seed as usize % Reading::ALL.len()];
        let what = format!("seed {seed}, {name}");
        let (singly, uuids) = prepared(seed, Readings::default()).await;
        let lines = company(Shape { deletes: false, ..shape(seed, 400) }, uuids);
        run(&singly, &settings_of(seed, "never"), &all_streams(), text(&lines)).await.assert_sound();

        let (account, _) = prepared(seed, Readings::default().with(reading)).await;
        let ran = run(&account, &settings_of(seed, "auto"), &all_streams(), text(&lines)).await;
        ran.assert_sound();
        assert!(ran.report.client.requests_by_kind.contains_key("import"), "{what}: no import");
        assert_same(&what, &account, &singly);
        assert_states(&what, &lines, &ran);

        let (faulty, _) = prepared(seed, Readings::default().with(reading)).await;
        FAULTS.iter().for_each(|spec| faulty.script(spec.parse().unwrap()));
        let ran = run(&faulty, &settings_of(seed, "auto"), &all_streams(), text(&lines)).await;
        ran.assert_sound();
        assert_same(&format!("{what}, faults"), &faulty, &singly);

        let (killed, _) = prepared(seed, Readings::default().with(reading)).await;
        let mut left = lines.clone();
        let mut kills = 0;
        loop {
            let time = Duration::from_millis(300 + 271 * (kills + 1) * (seed % 7 + 1));
            let out = Collected::default();
            let (settings, streams) = (settings_of(seed, "auto"), all_streams());
            let sync = run_into(&out, &killed, &settings, &streams, text(&left), std::future::pending());
            let ended = tokio::time::timeout(time, sync).await;
            left = rest(&left, &out.lines());
            if let Ok(ran) = ended {
                ran.assert_sound();
                break;
            }
            kills += 1;
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        assert!(kills > 0, "{what}: it was never killed");
        assert_same(&format!("{what}, {kills} kills"), &killed, &singly);
    }
}

/// Settings of one company, with imports or without.
fn settings_of(seed: u64, bulk: &str) -> Settings {
    let parents = if seed.is_multiple_of(3) { "create" } else { "wait" };
    let mut streams = vec![json!({"stream": "tasks", "match": "task_details", "parents": parents})];
    streams.extend(["contacts", "customer_notes", "invoices"].map(|stream| json!({"stream": stream, "parents": parents})));
    settings(&json!({"bulk_import": bulk, "streams": streams}))
}

/// A sandbox in which the base of a company stands.
async fn prepared(seed: u64, imports: Readings) -> (Sandbox, Map<String, Value>) {
    let quirks = Quirks { list_lag: lists_lag(seed), ..Quirks::default() };
    let (latency, jitter) = (Duration::from_millis(30), Duration::from_millis(60));
    let sandbox = Sandbox::new(Options { seed, latency, jitter, quirks, imports, ..Options::default() });
    run(&sandbox, &settings_of(seed, "never"), &all_streams(), base().concat()).await.assert_sound();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let named = |customer: &Value| Some((customer["keys"][0]["external_id"].as_str()?.to_owned(), customer["uuid"].clone()));
    let uuids = sandbox.dump()["customers"].as_array().unwrap().iter().filter_map(named).collect();
    (sandbox, uuids)
}
