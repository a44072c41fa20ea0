//! Deletions that come at once, that come by `api_requests`, and what is counted for them.

use std::time::Duration;

use serde_json::{Value, json};

use super::testing::{Ran, catalog, record, run, run_until, settings};
use crate::errors::Code;
use crate::sandbox::{Options, Sandbox};

/// A sandbox whose answers take a while, so that what can be under way together is.
fn sandbox(customers: usize) -> Sandbox {
    Sandbox::new(Options { customers, latency: Duration::from_millis(50), ..Options::default() })
}

fn keys(sandbox: &Sandbox) -> Vec<String> {
    let dump = sandbox.dump();
    let key = |entry: &Value| entry["keys"][0]["external_id"].as_str().unwrap().to_owned();
    dump["customers"].as_array().unwrap().iter().map(key).collect()
}

fn uuids(sandbox: &Sandbox) -> Vec<String> {
    let dump = sandbox.dump();
    dump["customers"].as_array().unwrap().iter().map(|entry| entry["uuid"].as_str().unwrap().to_owned()).collect()
}

fn marked(stream: &str, mut row: Value) -> String {
    row["_ab_cdc_deleted_at"] = json!("2026-01-01");
    record(stream, &row)
}

async fn delete(sandbox: &Sandbox, percent: f64, streams: &[&str], input: String) -> Ran {
    let policy = settings(&json!({"deletions": {"policy": "delete", "max_percent": percent}, "limits": {"connections": 8}}));
    run(sandbox, &policy, &catalog(streams), input).await
}

/// How many pages were read to be counted.
fn counts(ran: &Ran) -> u64 {
    ran.report.client.requests_by_kind.get("count entries").copied().unwrap_or_default()
}

fn deletes(sandbox: &Sandbox) -> usize {
    sandbox.observed().log.iter().filter(|call| call.method == "DELETE").count()
}

#[tokio::test(start_paused = true)]
async fn deletions_that_come_at_once_count_once() {
    let sandbox = sandbox(100);
    let input: String = keys(&sandbox).iter().take(8).map(|key| marked("customers", json!({"external_id": key}))).collect();
    let ran = delete(&sandbox, 10.0, &["customers"], input).await;
    ran.assert_sound();
    assert_eq!((ran.count("deleted"), counts(&ran)), (8, 1));
}

#[tokio::test(start_paused = true)]
async fn what_stands_in_the_same_entries_is_counted_in_one_pass() {
    let sandbox = sandbox(1);
    let customer = &keys(&sandbox)[0];
    let number = |n: usize| format!("i-{n}");
    let rows: String = (0..4)
        .map(|n| {
            let line = json!([{"type": "one_time", "amount_in_cents": 100, "external_id": format!("l-{n}")}]);
            let paid =
                json!([{"type": "payment", "result": "successful", "date": "2026-01-02", "external_id": format!("t-{n}")}]);
            record(
                "invoices",
                &json!({"customer_external_id": customer, "external_id": number(n), "date": "2026-01-01", "currency": "USD",
                    "line_items": line, "transactions": paid}),
            )
        })
        .collect();
    run(&sandbox, &settings(&json!({})), &catalog(&["invoices"]), rows).await.assert_sound();
    let input = marked("invoices", json!({"external_id": number(0)}))
        + &marked("line_items", json!({"invoice_external_id": number(1), "external_id": "l-1"}))
        + &marked("transactions", json!({"invoice_external_id": number(2), "external_id": "t-2"}));
    let ran = delete(&sandbox, 50.0, &["invoices", "line_items", "transactions"], input).await;
    ran.assert_sound();
    assert_eq!((ran.count("deleted"), counts(&ran)), (3, 1), "{:?}", ran.report.total());
}

#[tokio::test(start_paused = true)]
async fn deletes_of_api_requests_share_the_guard_of_the_object_that_they_name() {
    let sandbox = sandbox(30);
    let (keys, uuids) = (keys(&sandbox), uuids(&sandbox));
    let ask = |path: &str| record("api_requests", &json!({"method": "DELETE", "path": path}));
    let by_path: String = uuids[5..].iter().map(|uuid| ask(&format!("/customers/{uuid}"))).collect();
    let own = marked("customers", json!({"external_id": keys[0]})) + &marked("customers", json!({"external_id": keys[1]}));
    let ran = delete(&sandbox, 10.0, &["customers", "api_requests"], own + &by_path).await;
    let failure = ran.ending.as_ref().unwrap_err();
    assert_eq!(failure.code, Code::DeleteLimit);
    assert!(failure.message.contains("3 of the 30 customers"), "{failure}");
    assert_eq!(self::keys(&sandbox).len(), 27);

    // What names no object is held to the number alone, and nothing at all goes at 0 percent.
    let ran = delete(&sandbox, 10.0, &["api_requests"], ask("/no_such/thing")).await;
    assert_eq!((ran.ending.is_ok(), ran.count("rejected")), (true, 1));
    for path in ["/no_such/thing".to_owned(), format!("/customers/{}", uuids[29])] {
        let before = deletes(&sandbox);
        let ran = delete(&sandbox, 0.0, &["api_requests"], ask(&path)).await;
        let failure = ran.ending.unwrap_err();
        assert_eq!((failure.code, deletes(&sandbox)), (Code::DeleteLimit, before), "{path}");
        assert!(failure.message.contains("deletion: `max_percent` is 0."), "{failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_delete_of_api_requests_does_not_take_a_merged_customer() {
    let sandbox = sandbox(3);
    let merge = json!({"from_external_id": keys(&sandbox)[0], "into_external_id": keys(&sandbox)[1]});
    let input = record("customer_merges", &merge);
    run(&sandbox, &settings(&json!({})), &catalog(&["customer_merges"]), input).await.assert_sound();
    let (uuids, before) = (uuids(&sandbox), deletes(&sandbox));
    let dump = sandbox.dump();
    let of = |many: usize| {
        let customers = dump["customers"].as_array().unwrap();
        uuids[customers.iter().position(|entry| entry["keys"].as_array().unwrap().len() == many).unwrap()].clone()
    };
    let (merged, other) = (of(2), of(1));
    for path in [
        format!("/customers/{merged}"),
        format!("/customers/{merged}/"),
        format!("/Customers/{}", merged.replace('_', "%5F")),
        format!("/customers/{merged}.json"),
        format!("/customers.json;a/{merged};b"),
        format!("/import/customers/{merged}"),
    ] {
        let ask = record("api_requests", &json!({"method": "DELETE", "path": path}));
        let ran = delete(&sandbox, 100.0, &["api_requests"], ask).await;
        assert_eq!(ran.report.total().rejects.get(&Code::DeleteMergedCustomer), Some(&1), "{path}");
        assert_eq!(deletes(&sandbox), before);
    }
    let ask = record("api_requests", &json!({"method": "DELETE", "path": format!("/customers/{other}")}));
    let ran = delete(&sandbox, 100.0, &["api_requests"], ask).await;
    ran.assert_sound();
    assert_eq!((ran.count("deleted"), keys(&sandbox).len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_customer_that_a_search_finds_by_another_address_is_not_deleted() {
    let sandbox = sandbox(0);
    let customer = json!({"external_id": "c", "email": "Boss@x.test"});
    let contact = json!({"customer_external_id": "c", "external_id": "k", "email": "ann@x.test"});
    let input = record("customers", &customer) + &record("contacts", &contact);
    run(&sandbox, &settings(&json!({})), &catalog(&["customers", "contacts"]), input).await.assert_sound();
    let by_email = settings(
        &json!({"deletions": {"policy": "delete", "max_percent": 100}, "streams": [{"stream": "customers", "match": "email"}]}),
    );
    // Whatever is searched for, it finds the one.
    let found = sandbox.dump()["customers"][0]["uuid"].clone();
    for (address, deleted) in [("ann@x.test", 0), ("bOSS@x.test", 1)] {
        let row = marked("customers", json!({"email": address}));
        let road = std::sync::Arc::new(Broad(crate::client::InProcess::new(sandbox.clone(), crate::sandbox::WRITE_KEY)));
        let (out, first) = (super::testing::Collected::default(), super::Attempt::new(None, None));
        let streams = catalog(&["customers"]);
        let ran = super::testing::run_over(&out, first, road, &by_email, &streams, row, std::future::pending()).await;
        ran.assert_sound();
        assert_eq!((ran.count("deleted"), deletes(&sandbox)), (deleted, deleted as usize), "{found}");
    }
}

/// An API whose search answers with every customer.
struct Broad(crate::client::InProcess);

impl crate::client::Transport for Broad {
    fn exchange<'a>(
        &'a self,
        request: &'a crate::client::HttpRequest,
    ) -> futures_util::future::BoxFuture<'a, Result<crate::client::HttpResponse, crate::client::TransportError>> {
        Box::pin(async move {
            let mut request = request.clone();
            if request.path == "/customers/search" {
                (request.path, request.query) = ("/customers".into(), Vec::new());
            }
            self.0.exchange(&request).await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_rest_on_the_data_source_does_not_look_at_it() {
    let sandbox = sandbox(0);
    let ask = |body: Value| record("api_requests", &json!({"method": "POST", "path": "/no_such/thing", "body": body}));
    let nowhere = "ds_00000000-0000-4000-8000-00000000dead";
    let policy = settings(&json!({"data_source_uuid": nowhere}));
    let ran = run(&sandbox, &policy, &catalog(&["api_requests"]), ask(json!({"a": 1})) + &ask(json!({"a": 2}))).await;
    ran.assert_sound();
    assert_eq!((ran.count("rejected"), sandbox.observed().requests), (2, 2));
    let ran = run(&sandbox, &policy, &catalog(&["api_requests"]), ask(json!({"data_source_uuid": nowhere}))).await;
    assert_eq!(ran.ending.unwrap_err().code, Code::DataSourceUnknown);
}

/// What a listing told, or this run made, of what belongs to a customer went with it, as far as anybody knows.
#[tokio::test(start_paused = true)]
async fn what_belonged_to_a_deleted_customer_is_made_again() {
    let item = json!({"type": "one_time", "external_id": "l", "amount_in_cents": 1000});
    let plan = record("plans", &json!({"external_id": "p", "name": "P", "interval_count": 1, "interval_unit": "month"}));
    let customer = |key: &str| record("customers", &json!({"external_id": key, "name": key}));
    let event = |customer: &str, key: &str| {
        let event = json!({"customer_external_id": customer, "external_id": key, "event_type": "subscription_start",
            "event_date": "2026-01-01", "effective_date": "2026-01-01", "subscription_external_id": format!("s{key}"),
            "plan_external_id": "p", "currency": "USD", "amount_in_cents": 1000, "quantity": 1});
        record("subscription_events", &event)
    };
    let invoice = |customer: &str, key: &str, items: &[Value]| {
        let row = json!({"customer_external_id": customer, "external_id": key, "date": "2026-01-01", "currency": "USD", "line_items": items});
        record("invoices", &row)
    };
    let part =
        record("line_items", &json!({"invoice_external_id": "i", "type": "one_time", "external_id": "l2", "amount_in_cents": 5}));
    let all = || vec![event("c", "e"), invoice("c", "i", std::slice::from_ref(&item)), part.clone()];
    let delete = record("customers", &json!({"external_id": "c", "_ab_cdc_deleted_at": "2026-01-01"}));
    let streams = catalog(&["plans", "customers", "invoices", "line_items", "subscription_events"]);
    let settings = settings(&json!({"deletions": {"policy": "delete", "max_percent": 100}}));
    let others = || {
        let item = json!({"type": "one_time", "external_id": "ol", "amount_in_cents": 1});
        vec![event("c2", "1"), invoice("c2", "other", &[item])]
    };
    for seen in [true, false] {
        let sandbox = Sandbox::new(Options::default());
        let first = [vec![plan.clone(), customer("c"), customer("c2")], all(), others()].concat().concat();
        run(&sandbox, &settings, &streams, first).await.assert_sound();
        // Seen by itself, or on the page that others bring.
        let before = if seen { all() } else { others() };
        let rows = [before, vec![delete.clone(), customer("c")], all(), others()].concat();
        let ran = run(&sandbox, &settings, &streams, rows.concat()).await;
        ran.assert_sound();
        assert_eq!((ran.count("rejected"), ran.count("created"), ran.count("deleted")), (0, 4, 1), "{:?}", ran.report.streams);
        let contents = sandbox.contents();
        assert_eq!(contents["subscription_events"].as_array().unwrap().len(), 2, "{contents:#}");
        let lines: usize =
            contents["invoices"].as_array().unwrap().iter().map(|one| one["line_items"].as_array().unwrap().len()).sum();
        assert_eq!((contents["invoices"].as_array().unwrap().len(), lines), (2, 3), "{contents:#}");
    }
}

/// A value that happens to be the key of what was deleted says nothing of whom its entry belongs to.
#[tokio::test(start_paused = true)]
async fn what_has_the_key_of_a_deleted_customer_for_a_value_is_found_all_the_same() {
    let sandbox = sandbox(0);
    let streams = ["customers", "contacts", "customer_changes", "contact_changes"];
    let customer = |stream, key: &str, name: u32| record(stream, &json!({"external_id": key, "name": name.to_string()}));
    let contact = |stream, name: u32| {
        record(stream, &json!({"external_id": "7", "customer_external_id": "a", "first_name": name.to_string()}))
    };
    delete(&sandbox, 100.0, &["customers"], customer("customers", "7", 0)).await.assert_sound();
    // Row by row, as rows of several streams are not merged: the customer of its key goes between the first contact row and the last.
    let mut rows = vec![customer("customers", "a", 0)];
    for n in 1..=6 {
        rows.extend([contact("contacts", 2 * n), contact("contact_changes", 2 * n + 1)]);
    }
    rows.extend([customer("customers", "7", 1), customer("customer_changes", "7", 2)]);
    rows.push(marked("customers", json!({"external_id": "7"})));
    let policy = settings(&json!({
        "deletions": {"policy": "delete", "max_percent": 100}, "limits": {"connections": 1},
        "streams": [
            {"stream": "customer_changes", "object": "customers", "mode": "update"},
            {"stream": "contact_changes", "object": "contacts", "mode": "update"},
        ],
    }));
    let ran = run(&sandbox, &policy, &catalog(&streams), rows.concat()).await;
    assert_eq!((ran.count("deleted"), ran.count("rejected")), (1, 0), "{:?}", ran.report.streams);
    assert_eq!(sandbox.contents()["contacts"].as_array().unwrap().len(), 1, "{:#}", sandbox.contents());
}

/// Asked to stop, and of the two deletions under way one is too many: whenever that shows, what was sent is accounted for.
#[tokio::test(start_paused = true)]
async fn asked_to_stop_at_the_limit_the_deletions_under_way_are_finished() {
    let plan = |key: &str| json!({"external_id": key, "name": "P", "interval_count": 1, "interval_unit": "month"});
    let policy = settings(&json!({"deletions": {"policy": "delete", "max_deletes": 1, "max_percent": 100}}));
    let catalog = catalog(&["customers", "plans"]);
    for seed in 0..40 {
        let (latency, jitter) = (Duration::from_millis(50), Duration::from_millis(200));
        let sandbox = Sandbox::new(Options { customers: 1, latency, jitter, seed, ..Options::default() });
        run(&sandbox, &policy, &catalog, record("plans", &plan("p"))).await.assert_sound();
        let rows = [marked("customers", json!({"external_id": keys(&sandbox)[0]})), marked("plans", plan("p"))];
        let stop = tokio::time::sleep(Duration::from_millis(10));
        let ran = run_until(&sandbox, &policy, &catalog, rows.concat(), stop).await;
        assert!(ran.log.contains("asked to stop"), "{}", ran.log);
        assert_eq!(ran.ending.unwrap_err().code, Code::DeleteLimit);
        let left = keys(&sandbox).len() + sandbox.contents()["plans"].as_array().map_or(0, Vec::len);
        assert_eq!((ran.report.total().outcomes["deleted"], left), (1, 1), "seed {seed}");
    }
}
