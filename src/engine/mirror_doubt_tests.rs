//! The deletion policy `mirror` in doubt: what came and does not say what it belongs to, what can not be read, what the API
//! may have changed, what the host said of no stream in particular, and what this run made for the limits.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::Attempt;
use super::mirror_tests::{
    CUSTOMERS, changed, company, complete, customer, deletes, given, given_customers, keys, policy, sandbox, whole,
};
use super::testing::{Collected, Ran, record, run, run_over, settings};
use crate::client::{HttpRequest, HttpResponse, InProcess, Transport, TransportError};
use crate::errors::Code;
use crate::sandbox::{Sandbox, WRITE_KEY};

/// Mirrors these streams, which are complete, within no limit.
async fn mirror(sandbox: &Sandbox, more: &Value, streams: &[&str], rows: String) -> Ran {
    let mut config = policy(100, 100.0);
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let ends: String = streams.iter().map(|stream| complete(stream)).collect();
    run(sandbox, &settings(&config), &whole(streams), rows + &ends).await
}

/// ChartMogul's own name of the second of two things.
fn second(sandbox: &Sandbox, kind: &str) -> String {
    let dump = sandbox.dump();
    let entry = &dump[kind][1];
    entry["uuid"].as_str().map_or_else(|| entry["id"].to_string(), str::to_owned)
}

#[tokio::test(start_paused = true)]
async fn the_customer_of_what_came_stays_though_no_record_names_it() {
    let line = json!({"invoice_external_id": "i-1", "type": "one_time", "external_id": "l9", "amount_in_cents": 5});
    let by_uuid = |kind: &'static str, more: Value| {
        move |sandbox: &Sandbox| {
            let mut row = more.clone();
            row["uuid"] = json!(second(sandbox, kind));
            row
        }
    };
    type Row = Box<dyn Fn(&Sandbox) -> Value>;
    let part = |list: &'static str| -> Row {
        Box::new(move |sandbox: &Sandbox| json!({"uuid": sandbox.dump()["invoices"][1][list][0]["uuid"], "amount_in_cents": 7}))
    };
    let cases: Vec<(&str, Row)> = vec![
        ("line_items", Box::new(move |_: &Sandbox| line.clone())),
        ("line_items", part("line_items")),
        ("transactions", part("transactions")),
        ("contacts", Box::new(by_uuid("contacts", json!({"first_name": "K"})))),
        ("invoices", Box::new(by_uuid("invoices", json!({"currency": "EUR"})))),
        ("customer_notes", Box::new(by_uuid("customer_notes", json!({"text": "other"})))),
        ("opportunities", Box::new(by_uuid("opportunities", json!({"amount_in_cents": 7})))),
        ("tasks", Box::new(by_uuid("tasks", json!({"task_details": "other"})))),
        (
            "subscription_events",
            Box::new(|sandbox: &Sandbox| json!({"id": second(sandbox, "subscription_events"), "event_date": "2026-01-03"})),
        ),
        (
            "api_requests",
            Box::new(
                |sandbox: &Sandbox| json!({"method": "PATCH", "path": format!("/contacts/{}", second(sandbox, "contacts")), "body": {"title": "CEO"}}),
            ),
        ),
    ];
    for (stream, row) in cases {
        let sandbox = sandbox();
        company(&sandbox).await;
        let row = row(&sandbox);
        let rows = customer("c-0") + &record(stream, &row);
        let ran = mirror(&sandbox, &json!({}), &[CUSTOMERS, stream], rows).await;
        ran.assert_sound();
        assert_eq!(ran.count("rejected"), 0, "{row}: {:?}", ran.report.samples);
        assert_eq!(keys(&sandbox, CUSTOMERS), ["c-0", "c-1"], "{row}: {}", ran.log);
    }
    // With nothing of it, it goes.
    let sandbox = sandbox();
    company(&sandbox).await;
    let rows = customer("c-0") + &record("contacts", &json!({"external_id": "k-1", "customer_external_id": "c-0"}));
    mirror(&sandbox, &json!({}), &[CUSTOMERS, "contacts"], rows).await.assert_sound();
    assert_eq!(keys(&sandbox, CUSTOMERS), ["c-0"]);
}

#[tokio::test(start_paused = true)]
async fn an_invoice_and_a_plan_of_a_line_that_came_stay() {
    let sandbox = sandbox();
    let plan = |key: &str| json!({"external_id": key, "name": key, "interval_count": 1, "interval_unit": "month"});
    let line = json!({"type": "subscription", "amount_in_cents": 100, "external_id": "l-1", "plan_external_id": "p-1",
        "subscription_external_id": "s", "service_period_start": "2026-01-01", "service_period_end": "2026-02-01", "quantity": 1});
    let invoice = |key: &str, lines: Value| json!({"customer_external_id": "c", "external_id": key, "date": "2026-01-01", "currency": "USD", "line_items": lines});
    let one = json!([{"type": "one_time", "amount_in_cents": 1, "external_id": "l-0"}]);
    given(
        &sandbox,
        &[
            (CUSTOMERS, json!({"external_id": "c"})),
            ("plans", plan("p-0")),
            ("plans", plan("p-1")),
            ("plans", plan("p-2")),
            ("invoices", invoice("i-0", one)),
            ("invoices", invoice("i-1", json!([line]))),
        ],
    )
    .await;
    let at = sandbox.dump()["invoices"].as_array().unwrap().iter().position(|entry| entry["external_id"] == "i-1").unwrap();
    let uuid = sandbox.dump()["invoices"][at]["line_items"][0]["uuid"].clone();
    let rows = record("plans", &plan("p-0")) + &record("line_items", &json!({"uuid": uuid, "quantity": 2}));
    mirror(&sandbox, &json!({}), &["plans", "line_items"], rows).await.assert_sound();
    let deletes_of = |kind: &str| deletes(&sandbox).iter().filter(|path| path.contains(kind)).count();
    // The API may refuse to delete a plan that is used, which is not to be relied on.
    assert_eq!((keys(&sandbox, "plans"), deletes_of("plans")), (vec!["p-0".to_owned(), "p-1".to_owned()], 1));
    let rows = record("invoices", &json!({"customer_external_id": "c", "external_id": "none", "date": "x", "currency": "USD"}))
        + &record("line_items", &json!({"uuid": uuid, "quantity": 3}));
    mirror(&sandbox, &json!({}), &["invoices", "line_items"], rows).await.assert_sound();
    assert_eq!(keys(&sandbox, "invoices"), ["i-1"]);
}

#[tokio::test(start_paused = true)]
async fn where_no_list_tells_whose_it_is_no_customer_goes() {
    let sandbox = sandbox();
    given_customers(&sandbox, 2).await;
    let row = json!({"subscription_uuid": "sub_e6bc5407-e258-4de0-bb43-61faaf062035", "cancelled_at": "2026-01-01"});
    let streams = [CUSTOMERS, "subscription_cancellations"];
    let ran = mirror(&sandbox, &json!({}), &streams, customer("c-0") + &record("subscription_cancellations", &row)).await;
    assert_eq!(keys(&sandbox, CUSTOMERS), ["c-0", "c-1"]);
    assert!(ran.log.contains("do not tell the customers that they belong to"), "{}", ran.log);
}

#[tokio::test(start_paused = true)]
async fn what_a_rejected_record_names_beside_its_own_key_stays() {
    let sandbox = sandbox();
    given_customers(&sandbox, 4).await;
    let merges = [
        json!({"from_external_id": "c-1", "into_external_id": "c-1"}),
        json!({"from_external_id": "c-2", "into_external_id": null}),
    ];
    let rows: String = merges.iter().map(|row| record("customer_merges", row)).collect();
    let ran = mirror(&sandbox, &json!({}), &[CUSTOMERS, "customer_merges"], customer("c-0") + &rows).await;
    ran.assert_sound();
    assert_eq!((ran.count("rejected"), keys(&sandbox, CUSTOMERS)), (2, ["c-0", "c-1", "c-2"].map(str::to_owned).to_vec()));
}

#[tokio::test(start_paused = true)]
async fn rows_that_give_their_key_twice_could_be_any() {
    let sandbox = sandbox();
    given_customers(&sandbox, 4).await;
    let twice = json!({"streams": [{"stream": CUSTOMERS, "fields": {"account": "external_id"}}]});
    let rows: String =
        (0..4).map(|n| record(CUSTOMERS, &json!({"external_id": n.to_string(), "account": format!("c-{n}")}))).collect();
    let ran = mirror(&sandbox, &twice, &[CUSTOMERS], rows).await;
    assert_eq!((ran.count("rejected"), deletes(&sandbox).len()), (4, 0));
    assert!(ran.log.contains("4 of its records tell customers by neither"), "{}", ran.log);
}

#[tokio::test(start_paused = true)]
async fn a_complete_that_can_mean_several_streams_counts_for_one() {
    let mut catalog = whole(&[CUSTOMERS, CUSTOMERS]);
    for (at, namespace) in ["eu", "us"].into_iter().enumerate() {
        catalog["streams"][at]["stream"]["namespace"] = json!(namespace);
    }
    let of = |namespace: &str, key: &str| {
        let mut row: Value = serde_json::from_str(&customer(key)).unwrap();
        row["record"]["namespace"] = json!(namespace);
        row.to_string() + "\n"
    };
    let plainly = |namespace: &str| {
        let mut status: Value = serde_json::from_str(&complete(CUSTOMERS)).unwrap();
        status["trace"]["stream_status"]["stream_descriptor"]["namespace"] = json!(namespace);
        status.to_string() + "\n"
    };
    let overwrite = changed(
        changed(catalog.clone(), 0, "destination_sync_mode", json!("overwrite")),
        1,
        "destination_sync_mode",
        json!("overwrite"),
    );
    for at in 0..2 {
        catalog["streams"][at].as_object_mut().unwrap().remove("generation_id");
    }
    for (said, left) in [
        (complete(CUSTOMERS), 3),
        (complete(CUSTOMERS) + &complete(CUSTOMERS), 2),
        (plainly("eu") + &complete(CUSTOMERS), 2),
        (plainly("eu") + &plainly("us"), 2),
    ] {
        let sandbox = sandbox();
        given_customers(&sandbox, 3).await;
        let input = of("eu", "c-0") + &of("us", "c-1") + &said;
        let ran = run(&sandbox, &settings(&policy(100, 100.0)), &overwrite, input).await;
        ran.assert_sound();
        assert_eq!(keys(&sandbox, CUSTOMERS).len(), left, "{said}");
        assert_eq!(ran.log.contains("COMPLETE without a namespace"), left == 3, "{}", ran.log);
    }
}

/// An API that makes other keys of those that begin with `new`.
struct Rewriting(InProcess);

impl Transport for Rewriting {
    fn exchange<'a>(&'a self, request: &'a HttpRequest) -> BoxFuture<'a, Result<HttpResponse, TransportError>> {
        async move {
            let mut request = request.clone();
            request.body = request.body.map(|body| String::from_utf8_lossy(&body).replace("new", "other").into());
            self.0.exchange(&request).await
        }
        .boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn what_this_run_wrote_stays_under_whatever_key_the_api_keeps_it() {
    let sandbox = sandbox();
    given_customers(&sandbox, 2).await;
    let input = customer("c-0") + &customer("new-1") + &complete(CUSTOMERS);
    let road = Arc::new(Rewriting(InProcess::new(sandbox.clone(), WRITE_KEY)));
    let (out, first, never) = (Collected::default(), Attempt::new(None, None), std::future::pending());
    run_over(&out, first, road, &settings(&policy(100, 100.0)), &whole(&[CUSTOMERS]), input, never).await.assert_sound();
    assert_eq!(keys(&sandbox, CUSTOMERS), ["c-0", "other-1"]);
    // Letters and space are no difference at all, whoever wrote it.
    let ran = mirror(&sandbox, &json!({}), &[CUSTOMERS], customer("C-0") + &customer("gone")).await;
    ran.assert_sound();
    assert!(keys(&sandbox, CUSTOMERS).contains(&"c-0".to_owned()) && deletes(&sandbox).len() == 2);
}

#[tokio::test(start_paused = true)]
async fn parts_that_this_run_made_were_not_there_at_the_start() {
    let line = |key: &str| json!({"type": "one_time", "external_id": key, "amount_in_cents": 1});
    let invoice = |customer: &str, key: &str, lines: Vec<Value>| json!({"external_id": key, "customer_external_id": customer, "date": "2026-01-01", "currency": "USD", "line_items": lines});
    let four = ["a", "b", "c", "d"];
    let kept = || four[..3].iter().map(|key| line(key)).collect::<Vec<_>>();
    let own =
        record("line_items", &json!({"type": "one_time", "external_id": "a", "amount_in_cents": 1, "invoice_external_id": "i0"}));
    // Added to an invoice that stands, within new invoices, and in an import.
    let added = kept().into_iter().chain((0..36).map(|n| line(&format!("n{n}")))).collect();
    let added = customer("c") + &record("invoices", &invoice("c", "i0", added)) + &own;
    let nested = |of: &dyn Fn(usize) -> String| -> String {
        let rows = (0..60).map(|n| {
            let lines = (0..4).map(|at| line(&format!("n{n}-{at}"))).collect();
            customer(&of(n)) + &record("invoices", &invoice(&of(n), &format!("n{n}"), lines))
        });
        rows.chain([customer("c"), record("invoices", &invoice("c", "i0", kept())), own.clone()]).collect()
    };
    for (rows, bulk) in [(added, "never"), (nested(&|_| "c".to_owned()), "never"), (nested(&|n| format!("n{n}")), "auto")] {
        let sandbox = sandbox();
        let lines = four.iter().map(|key| line(key)).collect();
        given(&sandbox, &[(CUSTOMERS, json!({"external_id": "c"})), ("invoices", invoice("c", "i0", lines))]).await;
        let streams = [CUSTOMERS, "invoices", "line_items"];
        let limit = json!({"deletions": {"policy": "mirror", "max_deletes": 100, "max_percent": 10}, "bulk_import": bulk});
        let ran = mirror(&sandbox, &limit, &streams, rows).await;
        let failure = ran.ending.as_ref().unwrap_err();
        assert_eq!((failure.code, deletes(&sandbox).len()), (Code::DeleteLimit, 0), "{bulk}");
        assert!(failure.message.contains("1 of the 4 line_items"), "{failure}");
        assert_eq!(ran.report.client.requests_by_kind.contains_key("import"), bulk == "auto");
    }
}

#[tokio::test(start_paused = true)]
async fn what_requests_of_the_users_own_made_was_not_there_at_the_start() {
    let sandbox = sandbox();
    given_customers(&sandbox, 4).await;
    let make = |n: usize| json!({"method": "POST", "path": "/customers", "body": {"data_source_uuid": crate::sandbox::DATA_SOURCE_UUID, "external_id": format!("d{n}")}});
    let mut rows: String = (0..36).map(|n| record("api_requests", &make(n))).collect();
    rows.extend((0..3).map(|n| customer(&format!("c-{n}"))));
    let limit = json!({"deletions": {"policy": "mirror", "max_deletes": 100, "max_percent": 10}});
    let ran = mirror(&sandbox, &limit, &[CUSTOMERS, "api_requests"], rows).await;
    let failure = ran.ending.as_ref().unwrap_err();
    assert!(failure.message.contains("1 of the 4 customers"), "{failure}");
    assert_eq!((deletes(&sandbox).len(), ran.count("created")), (0, 36));
}

#[tokio::test(start_paused = true)]
async fn a_first_contact_that_this_run_made_was_not_there_at_the_start() {
    let contact = |n: usize| json!({"external_id": format!("k{n}"), "customer_external_id": "c", "first_name": "K"});
    // Of customers that are changed it is taken for one that was there: a sync that changes many could delete no contact otherwise.
    for existing in [false, true] {
        let sandbox = sandbox();
        let mut rows: Vec<(&str, Value)> = vec![(CUSTOMERS, json!({"external_id": "c"}))];
        rows.extend((0..4).map(|n| ("contacts", contact(n))));
        if existing {
            rows.extend((0..36).map(|n| (CUSTOMERS, json!({"external_id": format!("d{n}")}))));
        }
        given(&sandbox, &rows).await;
        let first = |n: usize| json!({"external_id": format!("d{n}"), "name": "other", "primary_contact": {"external_id": format!("f{n}")}});
        let mut rows: String = (0..36).map(|n| record(CUSTOMERS, &first(n))).collect();
        rows.extend((0..3).map(|n| record("contacts", &contact(n))));
        rows += &customer("c");
        let limit = json!({"deletions": {"policy": "mirror", "max_deletes": 100, "max_percent": 10}});
        let ran = mirror(&sandbox, &limit, &[CUSTOMERS, "contacts"], rows).await;
        assert_eq!(deletes(&sandbox).len(), usize::from(existing));
        if !existing {
            let failure = ran.ending.as_ref().unwrap_err();
            assert!(failure.message.contains("1 of the 4 contacts"), "{failure}");
        }
    }
}
