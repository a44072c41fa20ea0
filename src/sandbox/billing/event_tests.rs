//! Rules about subscriptions and their events, one behaviour a test.

use serde_json::{Value, json};

use super::testing::{Account, each, with};
use crate::sandbox::testing::customer;
use crate::sandbox::{DATA_SOURCE_UUID, SECOND_DATA_SOURCE_UUID};

fn event(more: Value) -> Value {
    let body = json!({"data_source_uuid": DATA_SOURCE_UUID, "external_id": "e", "customer_external_id": "c",
        "subscription_external_id": "s", "event_type": "subscription_start", "plan_external_id": "p", "currency": "USD",
        "amount_in_cents": 9900, "event_date": "2026-01-01", "effective_date": "2026-01-02 10:00:00"});
    json!({"subscription_event": with(body, more)})
}

/// An account with two subscriptions, `s1` and `s2`.
async fn with_subscriptions() -> Account {
    let account = Account::new().await;
    for number in 1..=2 {
        let line_item = account.line_item(json!({"external_id": format!("l{number}"),
            "subscription_external_id": format!("s{number}"), "service_period_start": format!("2026-01-0{number}")}));
        account.imported(account.invoice(json!({"external_id": format!("i{number}"), "line_items": [line_item]}))).await;
    }
    account
}

async fn analysed(account: &Account) -> Vec<Value> {
    let list = format!("GET /v1/customers/{}/subscriptions", account.customer);
    account.must(&list, None).await["entries"].as_array().unwrap().clone()
}

fn named(ids: &[&str]) -> Value {
    let named = ids.iter().map(|id| json!({"data_source_uuid": DATA_SOURCE_UUID, "external_id": id}));
    json!({"subscriptions": named.collect::<Vec<_>>()})
}

#[tokio::test]
async fn a_subscription_is_cancelled_by_adding_a_date_or_replacing_them() {
    let account = with_subscriptions().await;
    let cancel = format!("PATCH /v1/import/subscriptions/{}", account.subscriptions().await[0]["uuid"].as_str().unwrap());
    for (body, dates) in [
        (json!({"cancelled_at": "2026-03-01"}), vec!["2026-03-01T00:00:00.000Z"]),
        (json!({"cancelled_at": "2026-02-01"}), vec!["2026-02-01T00:00:00.000Z", "2026-03-01T00:00:00.000Z"]),
        (json!({"cancellation_dates": ["2026-04-01 00:00:00 +0200"]}), vec!["2026-03-31T22:00:00.000Z"]),
        (json!({"cancellation_dates": []}), vec![]),
    ] {
        let (status, answer) = account.send(&cancel, body.clone()).await;
        assert_eq!((status, &answer["cancellation_dates"]), (202, &json!(dates)), "{body}");
        assert_eq!(answer["customer_uuid"], account.customer.as_str());
    }
    assert_eq!(account.send(&cancel, json!({"cancelled_at": "soon"})).await.0, 422);
    assert_eq!(account.send(&cancel, json!({"cancellation_dates": ["soon"]})).await.0, 422);
    assert_eq!(account.send(&cancel, json!({})).await.0, 400);
    assert_eq!(account.send("PATCH /v1/import/subscriptions/sub_none", json!({"cancellation_dates": []})).await.0, 404);
}

#[tokio::test]
async fn a_line_item_can_cancel_its_subscription() {
    let account = Account::new().await;
    let line_items = [account.line_item(json!({"cancelled_at": "2026-01-15"}))];
    account.imported(account.invoice(json!({"line_items": line_items}))).await;
    assert_eq!(account.subscriptions().await[0]["cancellation_dates"], json!(["2026-01-15T00:00:00.000Z"]));
    assert_eq!(analysed(&account).await[0]["end-date"], "2026-01-15T00:00:00+00:00");
}

#[tokio::test]
async fn a_subscription_goes_with_its_last_invoice() {
    let account = with_subscriptions().await;
    assert_eq!(each(&account.subscriptions().await.into(), "external_id"), ["s2", "s1"]);
    account.must("POST /v1/subscription_events", event(json!({"subscription_external_id": "s2"}))).await;
    for id in ["i1", "i2"] {
        account.must(&format!("DELETE /v1/invoices?data_source_uuid={DATA_SOURCE_UUID}&external_id={id}"), None).await;
    }
    assert_eq!(each(&account.subscriptions().await.into(), "external_id"), ["s2"], "the event still names it");
    account.must("DELETE /v1/subscription_events", event(json!({}))).await;
    assert_eq!(account.subscriptions().await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_analytics_view_has_numbers_and_uuids_of_its_own() {
    let account = with_subscriptions().await;
    let (imported, seen) = (account.subscriptions().await, analysed(&account).await);
    assert_eq!(each(&seen.clone().into(), "external_id"), each(&imported.clone().into(), "external_id"));
    let bare = imported[0]["uuid"].as_str().unwrap().trim_start_matches("sub_").to_owned();
    assert_ne!(seen[0]["uuid"], bare.as_str());
    assert_eq!((&seen[0]["mrr"], &seen[0]["arr"], &seen[0]["plan"]), (&json!(9900), &json!(118_800), &json!("Pro")));
    assert_eq!(seen[0]["subscription_set_external_id"], "s2", "its own where none was named");
    let list = format!("GET /v1/customers/{}/subscriptions?per_page=1", account.customer);
    let page = account.must(&list, None).await;
    assert_eq!((&page["has_more"], page["entries"].as_array().unwrap().len()), (&json!(true), 1));
    let cursor = page["cursor"].as_str().unwrap().replace('=', "%3D");
    let page = account.must(&format!("{list}&cursor={cursor}"), None).await;
    assert_eq!((&page["has_more"], each(&page["entries"], "external_id")), (&json!(false), vec![json!("s1")]));
}

#[tokio::test]
async fn connected_subscriptions_are_one_in_the_analytics_view() {
    let account = with_subscriptions().await;
    let connect = format!("POST /v1/customers/{}/connect_subscriptions", account.customer);
    let disconnect = connect.replace("connect_subs", "disconnect_subs");
    let connections = || each(&account.sandbox.dump()["subscriptions"], "connected_to");
    assert_eq!(account.send(&connect, named(&["s1", "s2"])).await, (202, json!({})));
    assert_eq!(connections(), [json!(["s2"]), json!(["s1"])]);
    let seen = analysed(&account).await;
    assert_eq!(each(&seen.clone().into(), "external_id"), ["s2"], "the last that was named");
    assert_eq!(seen[0]["start-date"], "2026-01-01T00:00:00+00:00", "from the first one's beginning");
    assert_eq!(account.send(&connect, named(&["s1", "s2"])).await.0, 202, "again");
    assert_eq!(account.send(&disconnect, named(&["s1", "s2"])).await, (202, json!({})));
    assert_eq!(connections(), [json!([]), json!([])]);

    account.must(&connect, named(&["s1", "s2"])).await;
    account.imported(third(&account)).await;
    account.must(&connect, named(&["s2", "s3"])).await;
    assert_eq!(connections(), [json!(["s2", "s3"]), json!(["s1", "s3"]), json!(["s1", "s2"])]);
    account.must("DELETE /v1/invoices?external_id=i3&data_source_uuid=DS".replace("DS", DATA_SOURCE_UUID).as_str(), None).await;
    assert_eq!(connections(), [json!(["s2"]), json!(["s1"])]);
    account.must("DELETE /v1/invoices?external_id=i1&data_source_uuid=DS".replace("DS", DATA_SOURCE_UUID).as_str(), None).await;
    assert_eq!(each(&analysed(&account).await.into(), "external_id"), ["s2"]);
    assert_eq!(connections(), [json!([])], "one alone is connected to nothing");
}

fn third(account: &Account) -> Value {
    let line_item = account.line_item(json!({"external_id": "l3", "subscription_external_id": "s3"}));
    account.invoice(json!({"external_id": "i3", "line_items": [line_item]}))
}

#[tokio::test]
async fn subscriptions_are_connected_by_their_uuids_in_the_analytics_view_too() {
    let account = with_subscriptions().await;
    let connect = format!("POST /v1/customers/{}/connect_subscriptions", account.customer);
    let connections = || each(&account.sandbox.dump()["subscriptions"], "connected_to");
    let views = each(&analysed(&account).await.into(), "uuid");
    let by_view = views.iter().map(|uuid| json!({"data_source_uuid": DATA_SOURCE_UUID, "uuid": uuid})).collect::<Vec<_>>();
    account.must(&connect, json!({"subscriptions": by_view})).await;
    assert_eq!(connections(), [json!(["s2"]), json!(["s1"])]);
}

#[tokio::test]
async fn only_subscriptions_that_are_there_are_connected_and_at_least_two() {
    let account = with_subscriptions().await;
    let other = customer(&account.sandbox, "d", json!({})).await;
    let connect = format!("POST /v1/customers/{}/connect_subscriptions", account.customer);
    assert_eq!(account.send(&connect, named(&["s1", "none"])).await.0, 404);
    assert_eq!(account.send(&connect, named(&["s1"])).await.0, 422);
    assert_eq!(account.send(&connect, named(&["s1", "s1"])).await.0, 422);
    assert_eq!(account.send(&connect, json!({})).await.0, 400);
    let of_other = format!("POST /v1/customers/{other}/connect_subscriptions");
    assert_eq!(account.send(&of_other, named(&["s1", "s2"])).await.0, 404);
    let imported = each(&account.subscriptions().await.into(), "uuid");
    let by_import = imported.iter().map(|uuid| json!({"data_source_uuid": DATA_SOURCE_UUID, "uuid": uuid}));
    assert_eq!(account.send(&connect, json!({"subscriptions": by_import.collect::<Vec<_>>()})).await.0, 404);
    assert_eq!(each(&account.sandbox.dump()["subscriptions"], "connected_to"), [json!([]), json!([])]);
}

#[tokio::test]
async fn an_event_comes_back_to_the_second_and_makes_its_subscription() {
    let account = Account::new().await;
    let (status, made) = account.send("POST /v1/subscription_events", event(json!({}))).await;
    assert_eq!(status, 201);
    assert_eq!((&made["event_date"], &made["effective_date"]), (&json!("2026-01-01T00:00:00Z"), &json!("2026-01-02T10:00:00Z")));
    assert_eq!((&made["errors"], &made["quantity"]), (&json!({}), &json!(1)));
    assert!(made["id"].is_u64());
    let subscription = &account.subscriptions().await[0];
    assert_eq!((&subscription["external_id"], &subscription["plan_uuid"]), (&json!("s"), &json!(account.plan)));
    let texts = event(json!({"amount_in_cents": "1000", "quantity": "", "external_id": ""}));
    let made = account.must("POST /v1/subscription_events", texts).await;
    assert_eq!((&made["amount_in_cents"], &made["quantity"]), (&json!("1000"), &json!("")), "as they were sent");
}

#[tokio::test]
async fn an_event_needs_what_its_type_needs_and_what_it_names() {
    let account = Account::new().await;
    let first = account.must("POST /v1/subscription_events", event(json!({"external_id": "first"}))).await;
    let cancelled = json!({"event_type": "subscription_cancelled", "plan_external_id": null, "amount_in_cents": null,
        "currency": null});
    account.must("POST /v1/subscription_events", event(cancelled.clone())).await;
    let retracted =
        |id: Value| with(cancelled.clone(), json!({"event_type": "subscription_event_retracted", "retracted_event_id": id}));
    for (more, field) in [
        (json!({"data_source_uuid": null}), "data_source_uuid"),
        (json!({"customer_external_id": null}), "customer_external_id"),
        (json!({"customer_external_id": "none"}), "customer_external_id"),
        (json!({"subscription_external_id": ""}), "subscription_external_id"),
        (json!({"event_type": "start"}), "event_type"),
        (json!({"event_date": null}), "event_date"),
        (json!({"effective_date": "soon"}), "effective_date"),
        (json!({"plan_external_id": null}), "plan_external_id"),
        (json!({"plan_external_id": "none"}), "plan_external_id"),
        (json!({"currency": "usd"}), "currency"),
        (json!({"amount_in_cents": ""}), "amount_in_cents"),
        (json!({"amount_in_cents": 1.5}), "amount_in_cents"),
        (retracted(Value::Null), "retracted_event_id"),
        (retracted(json!("none")), "retracted_event_id"),
    ] {
        let (status, answer) = account.send("POST /v1/subscription_events", event(more.clone())).await;
        assert_eq!(status, 422, "{more}");
        assert!(answer["errors"].get(field).is_some(), "{more}: {answer}");
    }
    account.must("POST /v1/subscription_events", event(retracted(json!("first")))).await;
    account.must("POST /v1/subscription_events", event(retracted(json!(first["id"].to_string())))).await;
    let contents = account.sandbox.contents();
    let retracted: Vec<_> = each(&contents["subscription_events"], "fields");
    let retracted: Vec<_> = retracted.iter().filter_map(|fields| fields.get("retracted_event_id")).collect();
    assert_eq!(retracted, ["first", "first"], "a number is another one in the next run");
    assert_eq!(account.send("POST /v1/subscription_events", json!({})).await.0, 400);
    assert_eq!(account.counts(["subscription_events"]), [4]);
}

#[tokio::test]
async fn a_second_event_of_the_same_external_id_is_made() {
    let account = Account::new().await;
    account.must("POST /v1/subscription_events", event(json!({}))).await;
    account.must("POST /v1/subscription_events", event(json!({"amount_in_cents": 1}))).await;
    let list = format!("GET /v1/subscription_events?data_source_uuid={DATA_SOURCE_UUID}&external_id=e");
    assert_eq!(each(&account.must(&list, None).await["subscription_events"], "amount_in_cents"), [1, 9900]);
    let key = json!({"external_id": "e", "data_source_uuid": DATA_SOURCE_UUID});
    account.must("DELETE /v1/subscription_events", json!({"subscription_event": key})).await;
    assert_eq!(each(&account.must(&list, None).await["subscription_events"], "amount_in_cents"), [9900], "the newest went");
}

#[tokio::test]
async fn an_event_is_changed_and_removed_by_number_or_by_key() {
    let account = Account::new().await;
    let id = account.must("POST /v1/subscription_events", event(json!({}))).await["id"].clone();
    let patch = async |body: Value| account.send("PATCH /v1/subscription_events", json!({"subscription_event": body})).await;
    let (status, changed) = patch(json!({"id": id, "external_id": "f"})).await;
    assert_eq!((status, &changed["external_id"], &changed["amount_in_cents"]), (200, &json!("f"), &json!(9900)));
    let key = json!({"external_id": "f", "data_source_uuid": DATA_SOURCE_UUID});
    let (_, changed) = patch(with(key.clone(), json!({"amount_in_cents": 5, "subscription_external_id": "s2"}))).await;
    assert_eq!((&changed["id"], &changed["amount_in_cents"]), (&id, &json!(5)));
    assert_eq!(each(&account.subscriptions().await.into(), "external_id"), ["s2"]);
    let plan = format!("DELETE /v1/plans/{}", account.plan);
    assert_eq!(account.send(&plan, None).await.0, 422, "an event uses it");
    assert_eq!(patch(json!({"external_id": "e", "data_source_uuid": DATA_SOURCE_UUID})).await.0, 404);
    assert_eq!(patch(json!({"external_id": "f"})).await.0, 400);
    assert_eq!(patch(json!({"id": id, "data_source_uuid": SECOND_DATA_SOURCE_UUID})).await.0, 422);
    assert_eq!(patch(json!({"id": id, "plan_external_id": "none"})).await.0, 422);
    let state = format!("PATCH /v1/subscription_events/{id}/disabled_state");
    assert_eq!(account.send(&state, json!({"disabled": true})).await.0, 422);
    let by_query = format!(
        "DELETE /v1/subscription_events?subscription_event%5Bexternal_id%5D=f\
        &subscription_event%5Bdata_source_uuid%5D={DATA_SOURCE_UUID}"
    );
    assert_eq!(account.send(&by_query, None).await.0, 204);
    assert_eq!(account.send(&by_query, None).await.0, 404);
    assert_eq!(account.send(&plan, None).await.0, 204);
    assert_eq!(account.send("DELETE /v1/subscription_events", None).await.0, 400);
}

#[tokio::test]
async fn events_are_listed_by_what_they_name() {
    let account = Account::new().await;
    account.must("POST /v1/subscription_events", event(json!({}))).await;
    account.must("POST /v1/subscription_events", event(json!({"external_id": "f", "event_type": "subscription_updated"}))).await;
    let customer = &account.customer;
    for (query, ids) in [
        (String::new(), vec!["f", "e"]),
        (format!("data_source_uuid={DATA_SOURCE_UUID}&customer_external_id=c"), vec!["f", "e"]),
        (format!("data_source_uuid={SECOND_DATA_SOURCE_UUID}"), vec![]),
        ("external_id=e".into(), vec!["e"]),
        (format!("customer_uuid={customer}"), vec!["f", "e"]),
        ("customer_uuid=cus_none".into(), vec![]),
        ("subscription_external_id=s2".into(), vec![]),
        ("plan_external_id=p&event_type=subscription_updated".into(), vec!["f"]),
        ("event_date=2026-01-01".into(), vec!["f", "e"]),
        ("effective_date=2026-01-02T10:00:00Z".into(), vec!["f", "e"]),
        ("effective_date=2026-01-02".into(), vec![]),
    ] {
        let found = account.must(&format!("GET /v1/subscription_events?{query}"), None).await;
        assert_eq!(each(&found["subscription_events"], "external_id"), ids, "{query}");
        let pages = (&found["meta"]["page"], &found["meta"]["total_pages"]);
        let expected = json!(i32::from(!ids.is_empty()));
        assert_eq!(pages, (&expected, &expected), "{query}");
    }
    assert_eq!(account.send("GET /v1/subscription_events?event_date=soon", None).await.0, 400);
}
