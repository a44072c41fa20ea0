//! Bulk imports end as the single path does: over random companies, with every reading of what is unknown about the endpoint,
//! with faults, with kills in the middle.

use serde_json::{Value, json};

use super::company_chaos_tests::assert_same;
use super::testing::{Ran, catalog, record, run, settings, state};
use crate::config::Settings;
use crate::sandbox::imports::{Reading, Readings};
use crate::sandbox::{Options, Sandbox};

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
        eprintln!("{by_customer} {:?}", ran.report.client.requests_by_kind);
        assert!(requests(&ran) < 60, "{} requests: {:?}", requests(&ran), ran.report.client.requests_by_kind);
    }
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

fn _unused(_: Value) {}
