//! Records about one thing that wait together, from seeds: sent as one they leave the account that they leave one by one, and
//! each record has the outcome that it has there.
//!
//! More seeds than a run of all tests has time for: `CHAOS_SEEDS=100..200 cargo test --lib merged_tests`.

use serde_json::{Value, json};

use super::chaos_tests::{Dice, FAULTS, lists_lag, sandbox};
use super::company_chaos_tests::{contents, seeds};
use super::execute::one_by_one;
use super::testing::{Ran, catalog, record, run, settings};
use crate::config::Settings;
use crate::errors::Code;
use crate::sandbox::Sandbox;

/// What is written: each record from a stream of its own, so that its outcome is told alone.
struct Case {
    object: &'static str,
    rows: Vec<Value>,
    settings: Settings,
    streams: Vec<String>,
}

const OBJECTS: [&str; 15] = [
    "customers",
    "customers",
    "customers",
    "customers",
    "contacts",
    "plans",
    "plan_groups",
    "invoices",
    "line_items",
    "transactions",
    "subscription_events",
    "opportunities",
    "tasks",
    "customer_notes",
    "contacts of none yet",
];

/// What stands in every account before.
fn base() -> Vec<(&'static str, Value)> {
    let plan = |key: &str| json!({"external_id": key, "name": key, "interval_count": 1, "interval_unit": "month"});
    vec![
        ("customers", json!({"external_id": "there", "name": "A", "city": "Rome", "tags": ["x"], "seats": 1})),
        ("customers", json!({"external_id": "owner", "name": "Owner"})),
        ("contacts", json!({"customer_external_id": "owner", "external_id": "there", "title": "A", "phone": "1"})),
        ("plans", plan("p1")),
        ("plans", plan("p2")),
        ("plans", plan("there")),
        ("plan_groups", json!({"name": "there", "plan_external_ids": ["p1"]})),
        (
            "invoices",
            json!({"customer_external_id": "owner", "external_id": "there", "date": "2026-01-01", "currency": "EUR",
                "line_items": [{"type": "one_time", "external_id": "there", "amount_in_cents": 5000, "description": "A"}],
                "transactions": [{"type": "payment", "external_id": "there", "date": "2026-01-02", "result": "successful",
                    "amount_in_cents": 10}]}),
        ),
        (
            "subscription_events",
            json!({"external_id": "there", "customer_external_id": "owner", "event_type": "subscription_start",
                "event_date": "2026-01-01T00:00:00Z", "effective_date": "2026-01-01T00:00:00Z",
                "subscription_external_id": "s1", "plan_external_id": "p1", "currency": "USD", "amount_in_cents": 100}),
        ),
        (
            "opportunities",
            json!({"customer_external_id": "owner", "owner": "owner@example.com", "pipeline": "New Business",
                "pipeline_stage": "Discovery", "estimated_close_date": "2026-03-01", "currency": "USD", "amount_in_cents": 1}),
        ),
        (
            "tasks",
            json!({"customer_external_id": "owner", "task_details": "A", "assignee": "owner@example.com", "due_date": "2026-04-01"}),
        ),
        (
            "customer_notes",
            json!({"customer_external_id": "owner", "type": "call", "text": "A", "author_email": "owner@example.com",
                "call_duration": 5}),
        ),
    ]
}

async fn prepared(seed: u64) -> Sandbox {
    let sandbox = sandbox(seed);
    let streams = super::company_tests::STREAMS;
    let input: String = base().iter().map(|(stream, row)| record(stream, row)).collect();
    run(&sandbox, &settings(&json!({})), &catalog(streams), input).await.assert_sound();
    // Longer than the lists lag.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    sandbox
}

/// The fields of an object that a row may give, each with the values that it may have; none that the API sets by itself.
fn fields(object: &str) -> Vec<(&'static str, Value)> {
    let words = || json!(["A", "B", "C"]);
    match object {
        "customers" => vec![
            ("name", words()),
            ("email", json!(["a@x.test", "b@x.test", "nobody"])),
            ("city", json!(["Rome", "Bonn", null])),
            ("company", json!(["", "B", null])),
            ("lead_created_at", json!(["2026-01-01", "2026-01-01T00:00:00Z", "2026-01-02"])),
            ("tags", json!([["x"], ["y", "z"], "y", []])),
            ("seats", json!([1, 2, 2.0, "three", null])),
            ("vip", json!([true, false])),
            ("primary_contact", json!([{"first_name": "Ann", "title": "CEO"}, {"first_name": "Bob"}, {"title": "CTO"}])),
        ],
        "contacts" | "contacts of none yet" => vec![
            ("title", words()),
            ("phone", json!(["1", "2", null])),
            ("first_name", words()),
            ("position", json!([7, 8])),
            ("custom", json!([{"undefined": "x"}, {"undefined": "y"}])),
        ],
        "plans" => vec![("name", words()), ("interval_count", json!([1, 2, 0])), ("interval_unit", json!(["month", "year"]))],
        "plan_groups" => vec![("plan_external_ids", json!([["p1"], ["p1"], ["p2"], ["p1", "p2"]]))],
        "invoices" => vec![
            ("due_date", json!(["2026-02-01", "2026-02-02", null])),
            ("currency", json!(["EUR", "USD"])),
            ("date", json!(["2026-01-01", "2026-01-05"])),
            (
                "line_items",
                json!([[{"type": "one_time", "external_id": "own", "amount_in_cents": 5000}],
                    [{"type": "one_time", "external_id": "own", "amount_in_cents": 6000}]]),
            ),
            ("status", json!(["written_off"])),
        ],
        "line_items" => vec![
            ("amount_in_cents", json!([5000, 6000])),
            ("description", words()),
            ("quantity", json!([2, 3, null])),
            ("tax_amount_in_cents", json!([0, 5])),
        ],
        "transactions" => vec![
            ("amount_in_cents", json!([10, 20, 1_000_000])),
            ("date", json!(["2026-01-02", "2026-01-03"])),
            ("transaction_fees_in_cents", json!([0, 1, 2])),
        ],
        "subscription_events" => vec![
            ("amount_in_cents", json!([100, 200])),
            ("quantity", json!([2, 3])),
            ("plan_external_id", json!(["p1", "p1", "p2"])),
            ("currency", json!(["USD", "EUR"])),
            ("event_type", json!(["subscription_start", "subscription_updated"])),
        ],
        "opportunities" => vec![
            ("amount_in_cents", json!([1, 2, 3])),
            ("win_likelihood", json!([10, 20, null])),
            ("pipeline_stage", json!(["Discovery", "Evaluation"])),
            ("undefined", json!(["x", "y"])),
        ],
        "tasks" => vec![
            ("task_details", words()),
            ("due_date", json!(["2026-04-01", "2026-04-02"])),
            ("completed_at", json!(["2026-04-03T00:00:00Z", null])),
        ],
        _ => vec![
            ("text", words()),
            ("call_duration", json!([5, 6])),
            ("type", json!(["call", "call", "note"])),
            ("created_at", json!(["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"])),
        ],
    }
}

/// What every row of an object says, so that it can be made, and what names the thing.
fn always(object: &str, key: &str) -> Value {
    match object {
        "customers" | "plans" => json!({"external_id": key}),
        "contacts" => json!({"external_id": key, "customer_external_id": "owner"}),
        "contacts of none yet" => json!({"external_id": key, "customer_external_id": "later"}),
        "plan_groups" => json!({"name": key}),
        // One that has no line item waits for the first.
        "invoices" => json!({"external_id": key, "customer_external_id": "owner", "date": "2026-01-01", "currency": "EUR",
            "line_items": if key == "new" { json!([{"type": "one_time", "external_id": "own", "amount_in_cents": 5000}]) }
                else { Value::Null }}),
        "line_items" => json!({"external_id": key, "invoice_external_id": "there", "type": "one_time"}),
        "transactions" => {
            json!({"external_id": key, "invoice_external_id": "there", "type": "payment", "result": "successful",
                "date": "2026-01-02"})
        }
        "subscription_events" => json!({"external_id": key, "customer_external_id": "owner",
            "event_type": "subscription_start", "event_date": "2026-01-01T00:00:00Z",
            "effective_date": "2026-01-01T00:00:00Z", "subscription_external_id": format!("s-{key}")}),
        _ => json!({}),
    }
}

/// The UUID of what stands in the account of an object that has no key.
fn uuid(sandbox: &Sandbox, object: &str) -> Value {
    let dump = sandbox.dump();
    let list = dump.get(object).or_else(|| dump.get("notes")).and_then(Value::as_array);
    list.and_then(|list| list.first()).map_or(Value::Null, |entry| entry["uuid"].clone())
}

fn case(seed: u64, at: u64, sandbox: &Sandbox) -> Case {
    let mut dice = Dice(seed * 7919 + at);
    let object = OBJECTS[((seed + at) % OBJECTS.len() as u64) as usize];
    let key = if dice.roll(2) == 0 { "there" } else { "new" };
    let clears = dice.roll(3) == 0;
    // A list that lags shows less than there is, so that the limits of deletions stop the sync sooner.
    let deletes = lists_lag(seed).is_zero() && object != "invoices" && dice.roll(3) == 0;
    let update = dice.roll(4) == 0;
    let keyless = matches!(object, "opportunities" | "tasks" | "customer_notes");
    let named = if keyless { json!({"uuid": uuid(sandbox, object)}) } else { always(object, key) };
    let mut rows: Vec<Value> = (0..dice.roll(9) + 2)
        .map(|_| {
            let mut row = named.as_object().unwrap().clone();
            let sparse = dice.roll(3);
            for (name, values) in fields(object) {
                let values = values.as_array().unwrap();
                let value = &values[dice.roll(values.len() as u64) as usize];
                if dice.roll(3) >= sparse {
                    row.insert(name.to_owned(), value.clone());
                }
            }
            Value::from(row)
        })
        .collect();
    if deletes {
        // One: the limits of deletions count what there is.
        let at = dice.roll(rows.len() as u64) as usize;
        rows[at]["_ab_cdc_deleted_at"] = json!("2026-06-01");
    }
    let name = object.split(' ').next().unwrap();
    let streams: Vec<String> = (0..rows.len()).map(|at| format!("s{at}")).collect();
    let first = fields(object)[0].0;
    let held = dice.roll(4) == 0 && !matches!(object, "invoices" | "plan_groups");
    let mut entries: Vec<Value> = streams
        .iter()
        .map(|stream| {
            let mode = if update {
                "update"
            } else if dice.roll(12) == 0 {
                "insert"
            } else {
                "upsert"
            };
            let held = if held { json!([first]) } else { json!([]) };
            json!({"stream": stream, "object": name, "mode": mode, "only_if_empty": held})
        })
        .collect();
    let mut streams = streams;
    if object == "contacts of none yet" {
        rows.push(json!({"external_id": "later"}));
        streams.push("last".to_owned());
        entries.push(json!({"stream": "last", "object": "customers"}));
    }
    let settings = settings(&json!({"nulls": if clears { "clear" } else { "ignore" }, "streams": entries,
        "deletions": {"policy": "delete", "max_deletes": 100_000, "max_percent": 100}}));
    Case { object, rows, settings, streams }
}

async fn write(sandbox: &Sandbox, case: &Case) -> Ran {
    let names: Vec<&str> = case.streams.iter().map(String::as_str).collect();
    let input: String = names.iter().zip(&case.rows).map(|(stream, row)| record(stream, row)).collect();
    let ran = run(sandbox, &case.settings, &catalog(&names), input).await;
    ran.assert_sound();
    ran
}

/// What became of each record.
fn outcomes(ran: &Ran) -> Vec<String> {
    let words = |(_, tally): &(_, super::report::Tally)| {
        format!("{:?} {:?} {:?}", tally.outcomes.keys(), tally.skips.keys(), tally.rejects.keys())
    };
    ran.report.streams.iter().map(words).collect()
}

fn writes(sandbox: &Sandbox) -> u64 {
    let routes = sandbox.observed().by_route.into_iter().filter(|(route, _)| !route.starts_with("GET "));
    routes.flat_map(|(_, ends)| ends.into_values()).sum()
}

const UNSET: [&str; 2] = ["\"company\":\"\",", "\"tax_amount_in_cents\":0,"];

/// Panics unless both runs ended alike. Where ChartMogul refused a value that a later record says otherwise, it did so one by
/// one only: what else that record says is written together.
fn assert_alike(what: &str, merged: (&Sandbox, &Ran), plain: (&Sandbox, &Ran)) -> bool {
    let refused = |ran: &Ran| ran.report.total().rejects.get(&Code::ApiRefused).copied().unwrap_or_default();
    if refused(merged.1) < refused(plain.1) {
        return false;
    }
    assert_eq!(outcomes(merged.1), outcomes(plain.1), "{what}");
    // What the API shows where nothing was ever set is the same as nothing.
    let held = |sandbox: &Sandbox| -> Vec<String> {
        let all = contents(sandbox).into_values().flatten();
        all.map(|entry| UNSET.iter().fold(entry, |entry, unset| entry.replace(unset, ""))).collect()
    };
    let (got, wanted) = (held(merged.0), held(plain.0));
    let differ =
        |one: &[String], other: &[String]| one.iter().filter(|entry| !other.contains(entry)).cloned().collect::<Vec<_>>();
    let (more, less) = (differ(&got, &wanted), differ(&wanted, &got));
    assert!(more.is_empty() && less.is_empty() && got.len() == wanted.len(), "{what}\n{more:#?} instead of\n{less:#?}");
    true
}

fn told(case: &Case, seed: u64, at: u64) -> String {
    let rows: Vec<String> = case.rows.iter().map(Value::to_string).collect();
    let of = |entry: &crate::config::StreamSettings| format!("{:?} {:?}", entry.mode, entry.only_if_empty);
    let rows = rows.iter().zip(case.settings.streams.iter().map(of)).map(|(row, how)| format!("{how}: {row}\n"));
    format!("seed {seed}, case {at}, {}:\n{}", case.object, rows.collect::<String>())
}

#[tokio::test(start_paused = true)]
async fn records_that_go_together_end_as_one_by_one() {
    let (mut together, mut apart, mut alike, mut cases) = (0, 0, 0, 0);
    for seed in seeds(1..13) {
        for at in 0..OBJECTS.len() as u64 {
            let (one, other) = (prepared(seed).await, prepared(seed).await);
            let case = case(seed, at, &one);
            cases += 1;
            let before = writes(&one);
            let merged = write(&one, &case).await;
            let plain = {
                let _apart = one_by_one();
                write(&other, &case).await
            };
            alike += u64::from(assert_alike(&told(&case, seed, at), (&one, &merged), (&other, &plain)));
            together += writes(&one) - before;
            apart += writes(&other) - before;
        }
    }
    assert!(alike * 10 > cases * 9, "{alike} of {cases}");
    assert!(together * 3 < apart * 2, "{together} writes instead of {apart}");
}

#[tokio::test(start_paused = true)]
async fn the_same_holds_under_faults() {
    let (mut faults, mut alike) = (0, 0);
    for seed in seeds(1..7) {
        for at in 0..OBJECTS.len() as u64 {
            let (one, other) = (prepared(seed).await, prepared(seed).await);
            let case = case(seed, at, &one);
            FAULTS.iter().for_each(|spec| one.script(spec.parse().unwrap()));
            let merged = write(&one, &case).await;
            let _apart = one_by_one();
            let plain = write(&other, &case).await;
            alike += u64::from(assert_alike(&told(&case, seed, at), (&one, &merged), (&other, &plain)));
            faults += merged.report.client.retries;
        }
    }
    assert!(alike > 60, "only {alike}");
    assert!(faults > 20, "only {faults} faults struck");
}

/// Rows of one customer, each with another value.
fn updates(count: u64) -> String {
    (1..=count)
        .map(|at| record("customers", &json!({"external_id": "there", "name": format!("name {at}"), "seats": at})))
        .collect()
}

fn requests(sandbox: &Sandbox, method: &str) -> u64 {
    let routes = sandbox.observed().by_route.into_iter().filter(|(route, _)| route.starts_with(method));
    routes.flat_map(|(_, ends)| ends.into_values()).sum()
}

#[tokio::test(start_paused = true)]
async fn waiting_updates_of_one_key_are_one_request() {
    let sandbox = prepared(3).await;
    let (reads, made) = (requests(&sandbox, "GET"), requests(&sandbox, "POST"));
    let ran = run(&sandbox, &settings(&json!({})), &catalog(&["customers"]), updates(50)).await;
    ran.assert_sound();
    assert_eq!((ran.count("updated"), requests(&sandbox, "PATCH"), requests(&sandbox, "GET") - reads), (50, 1, 1));
    let there = sandbox.dump()["customers"].as_array().unwrap()[0].clone();
    assert_eq!((&there["fields"]["name"], &there["custom"]["seats"]), (&json!("name 50"), &json!(50)));
    // Of what is not there, the first makes it.
    let input = updates(50).replace("there", "fresh");
    let ran = run(&sandbox, &settings(&json!({})), &catalog(&["customers"]), input).await;
    assert_eq!((ran.count("created"), ran.count("updated")), (1, 49));
    assert_eq!((requests(&sandbox, "PATCH"), requests(&sandbox, "POST") - made), (1, 1));
    // What ends as it was is not sent at all.
    let back = updates(2) + &updates(50).lines().last().map(|line| format!("{line}\n")).unwrap();
    let ran = run(&sandbox, &settings(&json!({})), &catalog(&["customers"]), back).await;
    assert_eq!((ran.count("updated"), requests(&sandbox, "PATCH")), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_together_is_sent_one_by_one_and_what_is_too_much_in_several() {
    let sandbox = prepared(3).await;
    sandbox.script("PATCH /customers/* x2 status=422".parse().unwrap());
    let ran = run(&sandbox, &settings(&json!({})), &catalog(&["customers"]), updates(4)).await;
    ran.assert_sound();
    assert_eq!((ran.count("updated"), ran.count("rejected"), requests(&sandbox, "PATCH")), (3, 1, 5));
    assert_eq!(sandbox.dump()["customers"].as_array().unwrap()[0]["fields"]["name"], "name 4");
    // Three rows of less than a megabyte, of which two are more.
    let sandbox = prepared(3).await;
    let note = uuid(&sandbox, "customer_notes");
    let row = |word: &str| record("customer_notes", &json!({"uuid": note, "text": word.repeat(700_000)}));
    let ran = run(&sandbox, &settings(&json!({})), &catalog(&["customer_notes"]), row("a") + &row("b") + &row("c")).await;
    assert_eq!((ran.count("updated"), requests(&sandbox, "PATCH")), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn what_is_made_and_deleted_again_is_deleted() {
    let sandbox = prepared(3).await;
    let gone = record("customers", &json!({"external_id": "there", "_ab_cdc_deleted_at": "2026-06-01"}));
    let input = updates(5).replace("there", "fresh")
        + &gone.replace("there", "fresh")
        + &updates(2).replace("there", "fresh")
        + &gone.replace("there", "fresh");
    let settings = settings(&json!({"deletions": {"policy": "delete", "max_deletes": 9, "max_percent": 100}}));
    let ran = run(&sandbox, &settings, &catalog(&["customers"]), input).await;
    ran.assert_sound();
    assert_eq!((ran.count("created"), ran.count("updated"), ran.count("deleted")), (2, 5, 2));
    assert_eq!(sandbox.dump()["customers"].as_array().unwrap().len(), 2);
}
