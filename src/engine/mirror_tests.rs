//! The deletion policy `mirror`: each condition broken once, the limits, and what stays although it did not come.

use std::time::Duration;

use serde_json::{Value, json};

use super::testing::{Collected, catalog, record, run, run_as, run_into, run_until, settings, state};
use super::{Attempt, Ending};
use crate::errors::Code;
use crate::sandbox::{DATA_SOURCE_UUID, Options, SECOND_DATA_SOURCE_UUID, Sandbox};

pub(super) const CUSTOMERS: &str = "customers";

pub(super) fn sandbox() -> Sandbox {
    Sandbox::new(Options { data_sources: vec!["Billing".into(), "CRM".into()], ..Options::default() })
}

pub(super) fn policy(max_deletes: u64, max_percent: f64) -> Value {
    json!({"deletions": {"policy": "mirror", "max_deletes": max_deletes, "max_percent": max_percent}})
}

/// Streams of a new generation each, read whole.
pub(super) fn whole(streams: &[&str]) -> Value {
    let mut catalog = catalog(streams);
    for stream in catalog["streams"].as_array_mut().unwrap() {
        (stream["generation_id"], stream["minimum_generation_id"]) = (json!(3), json!(3));
    }
    catalog
}

pub(super) fn changed(mut catalog: Value, at: usize, key: &str, value: Value) -> Value {
    catalog["streams"][at][key] = value;
    catalog
}

pub(super) fn complete(stream: &str) -> String {
    let status = json!({"stream_descriptor": {"name": stream}, "status": "COMPLETE"});
    json!({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": status}}).to_string() + "\n"
}

pub(super) fn customer(key: &str) -> String {
    record(CUSTOMERS, &json!({"external_id": key}))
}

/// Writes rows with the usual settings.
pub(super) async fn given(sandbox: &Sandbox, rows: &[(&str, Value)]) {
    let mut streams: Vec<&str> = rows.iter().map(|(stream, _)| *stream).collect();
    streams.sort_unstable();
    streams.dedup();
    let input = rows.iter().map(|(stream, row)| record(stream, row)).collect();
    let ran = run(sandbox, &settings(&json!({})), &catalog(&streams), input).await;
    ran.assert_sound();
    assert_eq!(ran.count("rejected"), 0, "{:?}", ran.report.samples);
}

pub(super) async fn given_customers(sandbox: &Sandbox, count: usize) {
    let rows: Vec<(&str, Value)> = (0..count).map(|n| (CUSTOMERS, json!({"external_id": format!("c-{n}")}))).collect();
    given(sandbox, &rows).await;
}

pub(super) fn keys(sandbox: &Sandbox, kind: &str) -> Vec<String> {
    let dump = sandbox.dump();
    let key = |entry: &Value| {
        let key = &entry["keys"][0]["external_id"];
        let key = if key.is_null() { &entry["external_id"] } else { key };
        let key = if key.is_null() { &entry["fields"]["external_id"] } else { key };
        key.as_str().unwrap_or("-").to_owned()
    };
    let mut keys: Vec<String> = dump[kind].as_array().unwrap().iter().map(key).collect();
    keys.sort();
    keys
}

pub(super) fn deletes(sandbox: &Sandbox) -> Vec<String> {
    let log = sandbox.observed().log;
    log.iter().filter(|call| call.method == "DELETE").map(|call| call.path.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_did_not_come_is_deleted_and_a_second_run_deletes_nothing() {
    let sandbox = sandbox();
    given_customers(&sandbox, 10).await;
    let settings = settings(&policy(100, 10.0));
    let rows: String = (1..10).map(|n| customer(&format!("c-{n}"))).chain([customer("new"), state(CUSTOMERS, 1)]).collect();
    let input = rows + &complete(CUSTOMERS);
    let ran = run(&sandbox, &settings, &whole(&[CUSTOMERS]), input.clone()).await;
    ran.assert_sound();
    assert_eq!((ran.count("created"), ran.count("unchanged"), ran.count("deleted")), (1, 9, 0));
    assert_eq!(ran.report.mirrored.get(CUSTOMERS), Some(&1));
    assert_eq!((keys(&sandbox, CUSTOMERS).len(), deletes(&sandbox).len()), (10, 1));
    assert!(!keys(&sandbox, CUSTOMERS).contains(&"c-0".to_owned()));
    assert_eq!(ran.states(), [(10.0, 0.0)]);
    let again = run(&sandbox, &settings, &whole(&[CUSTOMERS]), input).await;
    again.assert_sound();
    assert_eq!((deletes(&sandbox).len(), again.report.mirrored.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn each_condition_that_fails_is_told_and_nothing_is_deleted() {
    let come = customer("c-0") + &complete(CUSTOMERS);
    let first = || Attempt::new(Some("0"), None);
    let base = || whole(&[CUSTOMERS]);
    let null = Value::Null;
    let incremental = changed(base(), 0, "sync_mode", json!("incremental"));
    let unsaid = changed(base(), 0, "sync_mode", null.clone());
    let refresh = changed(base(), 0, "minimum_generation_id", json!(0));
    let zero = changed(changed(base(), 0, "minimum_generation_id", json!(0)), 0, "generation_id", json!(0));
    let classic = catalog(&[CUSTOMERS]);
    let overwrite = changed(catalog(&[CUSTOMERS]), 0, "destination_sync_mode", json!("overwrite"));
    let soft = changed(overwrite.clone(), 0, "destination_sync_mode", json!("soft_delete"));
    let generation = "minimum_generation_id = generation_id > 0";
    let lacking = record(CUSTOMERS, &json!({"name": "Nobody"}));
    let gone = record(CUSTOMERS, &json!({"external_id": "c-0", "_ab_cdc_deleted_at": "2026-01-01"}));
    let email = json!({"streams": [{"stream": CUSTOMERS, "match": "email"}]});
    let by_email = record(CUSTOMERS, &json!({"external_id": "c-0", "email": "ann@lee.example"})) + &complete(CUSTOMERS);
    let cases: Vec<(&str, &Value, Attempt, String, Value)> = vec![
        ("its sync mode is not full_refresh", &incremental, first(), come.clone(), json!({})),
        ("its sync mode is not full_refresh", &unsaid, first(), come.clone(), json!({})),
        (generation, &refresh, first(), come.clone(), json!({})),
        (generation, &zero, first(), come.clone(), json!({})),
        (generation, &classic, first(), come.clone(), json!({})),
        ("COMPLETE", &overwrite, first(), customer("c-0"), json!({})),
        ("WORKER_JOB_ATTEMPT", &overwrite, Attempt::new(Some("1"), None), come.clone(), json!({})),
        ("WORKER_JOB_ATTEMPT", &overwrite, Attempt::new(Some("second"), None), come.clone(), json!({})),
        ("no record came", &overwrite, first(), complete(CUSTOMERS), json!({})),
        ("no record came that is not marked as deleted", &overwrite, first(), gone + &complete(CUSTOMERS), json!({})),
        ("COMPLETE", &overwrite, first(), come.clone() + &complete(CUSTOMERS).replace("COMPLETE", "STARTED"), json!({})),
        ("1 of its records tell customers by neither", &overwrite, first(), lacking + &come, json!({})),
        ("1 of its records tell customers by neither", &overwrite, first(), by_email, email),
        ("its records are refused", &soft, first(), complete(CUSTOMERS), json!({})),
    ];
    for (at, (reason, catalog, attempt, input, more)) in cases.into_iter().enumerate() {
        let sandbox = sandbox();
        given_customers(&sandbox, 2).await;
        let mut config = policy(100, 100.0);
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let ran = run_as(attempt, &sandbox, &settings(&config), catalog, input).await;
        let log = &ran.log;
        ran.assert_sound();
        assert_eq!(deletes(&sandbox), Vec::<String>::new(), "{at} {reason}");
        let told = |line: &str| line.starts_with("WARN  stream customers is not mirrored: ") && line.contains(reason);
        assert!(log.lines().any(told), "{at} {reason}: {log}");
    }
    // Begun anew, and not complete again.
    let anew = sandbox();
    given_customers(&anew, 2).await;
    let input = come.clone() + &complete(CUSTOMERS).replace("COMPLETE", "STARTED");
    let ran = run(&anew, &settings(&policy(100, 100.0)), &base(), input).await;
    assert_eq!((ran.ending.unwrap_err().code, deletes(&anew).len()), (Code::InputIncomplete, 0));
    // With all of them kept it is deleted: by either kind of catalog, on an attempt that is not numbered, or numbered 0.
    for (catalog, attempt) in
        [(&overwrite, first()), (&base(), Attempt::new(None, None)), (&base(), Attempt::new(Some(""), None))]
    {
        let sandbox = sandbox();
        given_customers(&sandbox, 2).await;
        run_as(attempt, &sandbox, &settings(&policy(100, 100.0)), catalog, come.clone()).await.assert_sound();
        assert_eq!((keys(&sandbox, CUSTOMERS), deletes(&sandbox).len()), (vec!["c-0".to_owned()], 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_does_not_end_well_deletes_nothing() {
    let malformed = customer("c-0") + &complete(CUSTOMERS) + "{\n";
    let unfinished = customer("c-0");
    for input in [malformed, unfinished] {
        let sandbox = sandbox();
        given_customers(&sandbox, 2).await;
        let ran = run(&sandbox, &settings(&policy(100, 100.0)), &whole(&[CUSTOMERS]), input).await;
        assert!(ran.ending.is_err());
        assert_eq!(deletes(&sandbox).len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn asked_to_stop_it_finishes_what_is_under_way_and_sends_no_more() {
    let sandbox = Sandbox::new(Options { latency: Duration::from_millis(500), ..Options::default() });
    given_customers(&sandbox, 60).await;
    let settings = settings(&json!({"deletions": {"policy": "mirror", "max_percent": 100}, "limits": {"connections": 2}}));
    let input = customer("c-0") + &complete(CUSTOMERS);
    let watched = sandbox.clone();
    let stop = async move {
        while deletes(&watched).len() < 4 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let ran = run_until(&sandbox, &settings, &whole(&[CUSTOMERS]), input.clone(), stop).await;
    assert_eq!(ran.ending, Ok(Ending::Interrupted));
    let left = keys(&sandbox, CUSTOMERS).len();
    assert!((10..57).contains(&left), "{left}");
    assert_eq!(ran.report.mirrored.get(CUSTOMERS), Some(&(60 - left as u64)));
    // While it still lists, nothing was deleted yet.
    let before = deletes(&sandbox).len();
    let lists = || sandbox.observed().log.iter().filter(|call| call.method == "GET").count();
    let (had, watched) = (lists(), sandbox.clone());
    let stop = async move {
        while watched.observed().log.iter().filter(|call| call.method == "GET").count() < had + 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let ran = run_into(&Collected::default(), &sandbox, &settings, &whole(&[CUSTOMERS]), input, stop).await;
    assert_eq!((ran.ending, deletes(&sandbox).len()), (Ok(Ending::Interrupted), before));
}

#[tokio::test(start_paused = true)]
async fn beyond_a_limit_none_is_sent_and_the_sync_fails() {
    for (max_deletes, max_percent, words) in [
        (2, 100.0, "`max_deletes` is 2, and 3 objects did not come"),
        (100, 10.0, "`max_percent` is 10, and 3 of the 20 customers"),
        (100, 0.0, "`max_percent` is 0"),
    ] {
        let sandbox = sandbox();
        given_customers(&sandbox, 20).await;
        let made: String = (0..20).map(|n| customer(&format!("new-{n}"))).collect();
        let rows: String = (3..20).map(|n| customer(&format!("c-{n}"))).collect();
        let input = made + &rows + &state(CUSTOMERS, 1) + &complete(CUSTOMERS);
        let ran = run(&sandbox, &settings(&policy(max_deletes, max_percent)), &whole(&[CUSTOMERS]), input).await;
        let failure = ran.ending.as_ref().unwrap_err();
        assert_eq!((failure.code, deletes(&sandbox).len()), (Code::DeleteLimit, 0));
        assert!(failure.message.contains(words), "{failure}");
        assert_eq!((ran.states(), keys(&sandbox, CUSTOMERS).len()), (vec![(37.0, 0.0)], 40));
    }
}

#[tokio::test(start_paused = true)]
async fn a_merged_customer_is_never_deleted_and_counts_for_no_limit() {
    let sandbox = sandbox();
    given_customers(&sandbox, 4).await;
    given(&sandbox, &[("customer_merges", json!({"from_external_id": "c-1", "into_external_id": "c-0"}))]).await;
    let input = customer("c-3") + &complete(CUSTOMERS);
    let ran = run(&sandbox, &settings(&policy(1, 100.0)), &whole(&[CUSTOMERS]), input).await;
    let log = &ran.log;
    ran.assert_sound();
    assert_eq!((keys(&sandbox, CUSTOMERS).len(), deletes(&sandbox).len()), (2, 1));
    assert!(log.contains("DELETE_MERGED_CUSTOMER: 1 customers"), "{log}");
    assert!(!log.contains("c-0") && !log.contains("c-1"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn a_rejected_record_came_and_a_marked_one_did_not() {
    let sandbox = sandbox();
    given_customers(&sandbox, 4).await;
    // Refused before it had a plan, by its own value and by its object's rules.
    let refused = record(CUSTOMERS, &json!({"external_id": "c-0", "email": "nobody"}))
        + &record(CUSTOMERS, &json!({"external_id": "c-1", "data_source_uuid": SECOND_DATA_SOURCE_UUID}));
    let marked = record(CUSTOMERS, &json!({"external_id": "c-3", "_ab_cdc_deleted_at": "2026-01-01"}));
    let input = refused + &marked + &customer("c-2") + &complete(CUSTOMERS);
    let ran = run(&sandbox, &settings(&policy(100, 100.0)), &whole(&[CUSTOMERS]), input).await;
    ran.assert_sound();
    assert_eq!((ran.count("rejected"), ran.report.total().skips.get("deletion_ignored")), (2, Some(&1)));
    assert_eq!(keys(&sandbox, CUSTOMERS), ["c-0", "c-1", "c-2"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_of_another_data_source_is_deleted() {
    let sandbox = sandbox();
    given_customers(&sandbox, 2).await;
    let other = settings(&json!({"data_source_uuid": SECOND_DATA_SOURCE_UUID}));
    run(&sandbox, &other, &catalog(&[CUSTOMERS]), customer("theirs")).await.assert_sound();
    let input = customer("c-0") + &complete(CUSTOMERS);
    run(&sandbox, &settings(&policy(100, 100.0)), &whole(&[CUSTOMERS]), input).await.assert_sound();
    assert_eq!(keys(&sandbox, CUSTOMERS), ["c-0", "theirs"]);
}

#[tokio::test(start_paused = true)]
async fn several_streams_of_one_object_must_all_keep_the_conditions_and_what_any_of_them_named_came() {
    let two = |more: Value| {
        let mut config = policy(100, 100.0);
        config["streams"] = json!([{"stream": "a", "object": CUSTOMERS}, {"stream": "b", "object": CUSTOMERS}]);
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        settings(&config)
    };
    let input = record("a", &json!({"external_id": "c-0"}))
        + &record("b", &json!({"external_id": "c-1"}))
        + &complete("a")
        + &complete("b");
    let sandbox = sandbox();
    given_customers(&sandbox, 3).await;
    let one_short = changed(whole(&["a", "b"]), 1, "sync_mode", json!("incremental"));
    let ran = run(&sandbox, &two(json!({})), &one_short, input.clone()).await;
    let log = &ran.log;
    ran.assert_sound();
    assert_eq!(deletes(&sandbox).len(), 0);
    assert!(log.contains("stream b is not mirrored: its sync mode") && log.contains("nothing of customers is deleted"), "{log}");
    assert!(!log.contains("stream a is not mirrored"), "{log}");
    run(&sandbox, &two(json!({})), &whole(&["a", "b"]), input).await.assert_sound();
    assert_eq!(keys(&sandbox, CUSTOMERS), ["c-0", "c-1"]);
}

/// An account of two customers that have one of everything each, by keys that end in their number.
pub(super) async fn company(sandbox: &Sandbox) -> Vec<(&'static str, Value)> {
    let mut rows = Vec::new();
    for n in 0..2 {
        let key = |name: &str| format!("{name}-{n}");
        let line = json!([{"type": "one_time", "amount_in_cents": 100, "external_id": key("l")}]);
        let paid = json!([{"type": "payment", "result": "successful", "date": "2026-01-02", "external_id": key("t")}]);
        rows.extend([
            (CUSTOMERS, json!({"external_id": key("c")})),
            ("contacts", json!({"customer_external_id": key("c"), "external_id": "k-1"})),
            ("plans", json!({"external_id": key("p"), "name": key("Plan"), "interval_count": 1, "interval_unit": "month"})),
            (
                "invoices",
                json!({"customer_external_id": key("c"), "external_id": key("i"), "date": "2026-01-01", "currency": "USD",
                    "line_items": line, "transactions": paid}),
            ),
            (
                "subscription_events",
                json!({"customer_external_id": key("c"), "external_id": key("e"), "event_type": "subscription_cancelled",
                    "event_date": "2026-01-01", "effective_date": "2026-01-01", "subscription_external_id": key("s")}),
            ),
            ("customer_notes", json!({"customer_external_id": key("c"), "type": "note", "text": key("note")})),
            (
                "opportunities",
                json!({"customer_external_id": key("c"), "owner": "owner@example.com", "pipeline": "New Business",
                "pipeline_stage": "Discovery", "estimated_close_date": "2026-12-22", "currency": "USD", "amount_in_cents": 100}),
            ),
            (
                "tasks",
                json!({"customer_external_id": key("c"), "assignee": "owner@example.com", "task_details": key("task"),
                "due_date": "2026-12-22"}),
            ),
        ]);
    }
    rows.push(("plan_groups", json!({"name": "g-1", "plan_external_ids": ["p-0", "p-1"]})));
    given(sandbox, &rows).await;
    rows
}

const ALL: [&str; 9] = [
    CUSTOMERS,
    "contacts",
    "plans",
    "plan_groups",
    "invoices",
    "subscription_events",
    "customer_notes",
    "opportunities",
    "tasks",
];

#[tokio::test(start_paused = true)]
async fn what_is_mirrored_goes_children_first_and_what_never_is_stays() {
    let sandbox = sandbox();
    let rows = company(&sandbox).await;
    let kept = |(stream, row): &&(&str, Value)| match *stream {
        "contacts" => row["customer_external_id"] == "c-0",
        CUSTOMERS | "plans" | "invoices" | "subscription_events" => row["external_id"].as_str().unwrap().ends_with('0'),
        _ => false,
    };
    let mut input: String = rows.iter().filter(kept).map(|(stream, row)| record(stream, row)).collect();
    input.extend(ALL.iter().map(|stream| complete(stream)));
    let ran = run(&sandbox, &settings(&policy(100, 50.0)), &whole(&ALL), input).await;
    let log = &ran.log;
    ran.assert_sound();
    for kind in ["plan_groups", "customer_notes", "opportunities", "tasks"] {
        assert!(log.contains(&format!("{kind} never are")), "{kind}: {log}");
        assert!(!ran.report.mirrored.contains_key(kind));
    }
    let after = sandbox.dump();
    for (kind, left) in [("plan_groups", 1), ("customer_notes", 1), ("opportunities", 1), ("tasks", 1)] {
        assert_eq!(after[kind].as_array().map(Vec::len), Some(left), "{kind}");
    }
    let kinds: Vec<String> = deletes(&sandbox).iter().map(|path| path.split('/').nth(2).unwrap_or_default().to_owned()).collect();
    assert_eq!(kinds, ["subscription_events", "invoices", "plans", "contacts", "customers"]);
    assert_eq!(keys(&sandbox, CUSTOMERS), ["c-0"]);
    assert_eq!(keys(&sandbox, "contacts"), ["k-1"], "the key alone is not the contact: it is unique in its customer only");
    assert_eq!((keys(&sandbox, "plans"), keys(&sandbox, "invoices")), (vec!["p-0".to_owned()], vec!["i-0".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn line_items_and_transactions_of_an_invoice_that_stays_are_mirrored_where_they_are_streams() {
    let sandbox = sandbox();
    let line = |key: &str| json!({"type": "one_time", "amount_in_cents": 100, "external_id": key});
    let paid = |key: &str| json!({"type": "payment", "result": "successful", "date": "2026-01-02", "amount_in_cents": 10, "external_id": key});
    let head = json!({"customer_external_id": "c-0", "external_id": "i-0", "date": "2026-01-01", "currency": "USD"});
    let mut invoice = head.clone();
    (invoice["line_items"], invoice["transactions"]) =
        (json!([line("l-1"), line("l-2"), line("l-3")]), json!([paid("t-1"), paid("t-2")]));
    given(&sandbox, &[(CUSTOMERS, json!({"external_id": "c-0"})), ("invoices", invoice.clone())]).await;
    let streams = ["invoices", "line_items", "transactions"];
    let row = |mut row: Value| {
        row["invoice_external_id"] = json!("i-0");
        row
    };
    let ends: String = streams.iter().map(|stream| complete(stream)).collect();
    // An invoice that holds parts brings them too, and one without a key is a part that can not be told.
    let mut partly = head.clone();
    partly["line_items"] = json!([line("l-2")]);
    let input = record("invoices", &partly)
        + &record("line_items", &row(line("l-1")))
        + &record("transactions", &row(paid("t-1")))
        + &ends;
    let mut keyless = head;
    keyless["line_items"] = json!([{"type": "one_time", "amount_in_cents": 100}]);
    let told = record("invoices", &keyless) + &input;
    let policy = settings(&policy(100, 100.0));
    let ran = run(&sandbox, &policy, &whole(&streams), told).await;
    let log = &ran.log;
    ran.assert_sound();
    assert!(log.contains("stream invoices is not mirrored: 1 of its records tell line_items by neither"), "{log}");
    assert_eq!(ran.report.mirrored.iter().map(|(name, many)| (*name, *many)).collect::<Vec<_>>(), [("transactions", 1)]);
    let ran = run(&sandbox, &policy, &whole(&streams), input).await;
    ran.assert_sound();
    assert_eq!(ran.report.mirrored.get("line_items"), Some(&1 /* l-3 */), "{:?}", sandbox.dump());
}

#[tokio::test(start_paused = true)]
async fn what_others_refer_to_stays() {
    let sandbox = sandbox();
    given_customers(&sandbox, 3).await;
    let contact = record("contacts", &json!({"customer_external_id": "c-1", "external_id": "k-1"}));
    let input = customer("c-0") + &contact + &complete(CUSTOMERS) + &complete("contacts");
    run(&sandbox, &settings(&policy(100, 100.0)), &whole(&[CUSTOMERS, "contacts"]), input).await.assert_sound();
    assert_eq!(keys(&sandbox, CUSTOMERS), ["c-0", "c-1"]);
}

#[tokio::test(start_paused = true)]
async fn contacts_without_an_external_id_stay_and_those_with_one_go() {
    let sandbox = sandbox();
    given_customers(&sandbox, 1).await;
    let contact = |more: Value| {
        let mut row = json!({"customer_external_id": "c-0"});
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    let rows = [json!({"email": "ann@lee.example"}), json!({"external_id": "k-1"}), json!({"external_id": "k-2"})];
    given(&sandbox, &rows.map(|more| ("contacts", contact(more)))).await;
    let input = record("contacts", &contact(json!({"external_id": "k-2"}))) + &complete("contacts");
    let ran = run(&sandbox, &settings(&policy(100, 50.0)), &whole(&["contacts"]), input).await;
    ran.assert_sound();
    assert_eq!(keys(&sandbox, "contacts"), ["-", "k-2"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_others_made_since_the_sync_began_stays() {
    let sandbox = sandbox();
    given_customers(&sandbox, 1).await;
    let event = |key: &str| {
        json!({"customer_external_id": "c-0", "external_id": key, "event_type": "subscription_cancelled",
            "event_date": "2026-01-01", "effective_date": "2026-01-01", "subscription_external_id": "s"})
    };
    let events = "subscription_events";
    given(&sandbox, &[(events, event("e-1")), (events, event("e-2"))]).await;
    let input = record(events, &event("e-1")) + &complete(events);
    let policy = settings(&policy(100, 100.0));
    let long_ago = Attempt::new(None, Some(jiff::Timestamp::UNIX_EPOCH));
    let ran = run_as(long_ago, &sandbox, &policy, &whole(&[events]), input.clone()).await;
    let log = &ran.log;
    ran.assert_sound();
    assert_eq!(deletes(&sandbox).len(), 0);
    assert!(log.contains("1 subscription_events that others made"), "{log}");
    run_as(Attempt::new(None, Some(jiff::Timestamp::MAX)), &sandbox, &policy, &whole(&[events]), input).await.assert_sound();
    assert_eq!(deletes(&sandbox).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_and_a_refused_deletion_do_not_end_the_sync() {
    for (fault, left, many) in [("DELETE /customers/* after-work reset", 1, 2), ("DELETE /customers/* status=422", 2, 1)] {
        let sandbox = sandbox();
        given_customers(&sandbox, 3).await;
        sandbox.script(fault.parse().unwrap());
        let input = customer("c-0") + &complete(CUSTOMERS);
        let ran = run(&sandbox, &settings(&policy(100, 100.0)), &whole(&[CUSTOMERS]), input).await;
        let log = &ran.log;
        ran.assert_sound();
        assert_eq!((keys(&sandbox, CUSTOMERS).len(), ran.report.mirrored.get(CUSTOMERS)), (left, Some(&many)), "{fault}");
        assert_eq!(log.contains("1 customers did not come and were not deleted"), left == 2, "{log}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_policy_nothing_is_listed_or_deleted_and_under_it_no_record_deletes() {
    let sandbox = sandbox();
    given_customers(&sandbox, 2).await;
    let uuid = sandbox.dump()[CUSTOMERS][0]["uuid"].as_str().unwrap().to_owned();
    let input = customer("c-0") + &complete(CUSTOMERS);
    for config in [json!({}), json!({"deletions": {"policy": "delete", "max_percent": 100}})] {
        run(&sandbox, &settings(&config), &whole(&[CUSTOMERS]), input.clone()).await.assert_sound();
    }
    let ask = record("api_requests", &json!({"method": "DELETE", "path": format!("/customers/{uuid}")}));
    let both = whole(&["api_requests", CUSTOMERS]);
    let input = ask + &customer("c-0") + &customer("c-1") + &complete("api_requests") + &complete(CUSTOMERS);
    let ran = run(&sandbox, &settings(&policy(100, 100.0)), &both, input).await;
    ran.assert_sound();
    assert_eq!(ran.report.total().rejects.get(&Code::ApiDeleteRefused), Some(&1));
    assert_eq!((deletes(&sandbox).len(), DATA_SOURCE_UUID.is_empty()), (0, false));
}
