//! Rules about bulk imports, one behaviour a test, and each reading of what is unknown.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::advance;

use super::*;
use crate::sandbox::testing::{customer, must, send, unlimited};
use crate::sandbox::{DATA_SOURCE_UUID, Options, Sandbox};

fn sandbox(readings: &[Reading]) -> Sandbox {
    let imports = readings.iter().fold(Readings::default(), |all, reading| all.with(*reading));
    unlimited(Options { imports, ..Options::default() })
}

/// One customer with a record of every kind.
fn one_of_each(external_id: &str) -> Value {
    json!({
        "external_id": external_id,
        "customers": [{"external_id": "c", "name": "Ann", "email": "ann@example.com", "country": "DE"}],
        "plans": [{"external_id": "p", "name": "Pro", "interval_count": 1, "interval_unit": "month"}],
        "invoices": [{"external_id": "i", "customer_external_id": "c", "date": "2026-01-01", "currency": "EUR"}],
        "line_items": [{"invoice_external_id": "i", "external_id": "l", "type": "subscription", "amount_in_cents": 9900,
            "plan_external_id": "p", "subscription_external_id": "s", "service_period_start": "2026-01-01",
            "service_period_end": "2026-02-01"}],
        "transactions": [{"invoice_external_id": "i", "external_id": "t", "type": "payment", "result": "successful",
            "date": "2026-01-02"}],
        "subscription_events": [{"external_id": "e", "customer_external_id": "c", "subscription_external_id": "s2",
            "plan_external_id": "p", "event_type": "subscription_start", "event_date": "2026-01-01",
            "effective_date": "2026-01-01", "currency": "EUR", "amount_in_cents": 500}],
    })
}

/// Customers of these external ids.
fn customers_only(external_id: &str, names: &[&str]) -> Value {
    let customers = names.iter().map(|name| json!({"external_id": name, "name": external_id}));
    json!({"external_id": external_id, "customers": customers.collect::<Vec<_>>()})
}

async fn post(sandbox: &Sandbox, body: Value) -> (u16, Value) {
    send(sandbox, &format!("POST /v1/data_sources/{DATA_SOURCE_UUID}/json_imports"), body).await
}

async fn get(sandbox: &Sandbox, name: &str) -> (u16, Value) {
    send(sandbox, &format!("GET /v1/data_sources/{DATA_SOURCE_UUID}/json_imports/{name}"), None).await
}

/// Waits until the import has ended, and shows it.
async fn ended(sandbox: &Sandbox, name: &str) -> Value {
    advance(Duration::from_secs(5)).await;
    let (status, import) = get(sandbox, name).await;
    assert_eq!(status, 200, "{import}");
    import
}

/// Imports something and shows the import once it has ended.
async fn imported(sandbox: &Sandbox, body: Value) -> Value {
    let name = body["external_id"].as_str().unwrap().to_owned();
    let (status, answer) = post(sandbox, body).await;
    assert_eq!(answer["status"], "queued", "{status} {answer}");
    ended(sandbox, &name).await
}

async fn processing(sandbox: &Sandbox) -> Value {
    let line = format!("GET /v1/data_sources/{DATA_SOURCE_UUID}?with_processing_status=true");
    must(sandbox, &line, None).await["processing_status"].clone()
}

async fn invoices(sandbox: &Sandbox, validity: &str) -> Vec<Value> {
    let line = format!("GET /v1/invoices?data_source_uuid={DATA_SOURCE_UUID}&validation_type={validity}");
    must(sandbox, &line, None).await["invoices"].as_array().unwrap().clone()
}

async fn found(sandbox: &Sandbox, list: &str, root: &str, external_id: &str) -> Vec<Value> {
    let line = format!("GET /v1/{list}?data_source_uuid={DATA_SOURCE_UUID}&external_id={external_id}");
    must(sandbox, &line, None).await[root].as_array().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn an_import_is_queued_then_processed_then_completed() {
    let sandbox = sandbox(&[]);
    let (status, answer) = post(&sandbox, one_of_each("first")).await;
    assert_eq!(status, 200);
    assert_eq!((&answer["status"], &answer["status_details"]), (&json!("queued"), &json!({})));
    assert_eq!((&answer["external_id"], &answer["data_source_uuid"]), (&json!("first"), &json!(DATA_SOURCE_UUID)));
    let id = answer["id"].as_str().unwrap();
    assert_eq!((id.len(), answer["created_at"].as_str().unwrap().len()), (36, 20));
    assert_eq!(processing(&sandbox).await, json!({"processed": 0, "failed": 0, "pending": 6}));

    advance(Duration::from_millis(1_002)).await;
    let (_, halfway) = get(&sandbox, id).await;
    assert_eq!((&halfway["status"], &halfway["status_details"]), (&json!("processing"), &json!({})));
    assert_eq!(processing(&sandbox).await, json!({"processed": 2, "failed": 0, "pending": 4}));

    advance(Duration::from_millis(4)).await;
    let (_, done) = get(&sandbox, "first").await;
    let word = || json!({"status": "imported"});
    let of_customer = json!({"status": "imported", "customers": word(), "invoices": word(), "line_items": word(),
        "transactions": word(), "subscription_events": word()});
    assert_eq!((&done["status"], &done["id"]), (&json!("completed"), &json!(id)));
    assert_eq!(done["status_details"], json!({"plans": word(), "c": of_customer}));
    assert_eq!(processing(&sandbox).await, json!({"processed": 6, "failed": 0, "pending": 0}));
}

#[tokio::test(start_paused = true)]
async fn what_is_imported_is_as_if_it_had_been_made_one_by_one() {
    let bulk = sandbox(&[]);
    imported(&bulk, one_of_each("x")).await;

    let single = sandbox(&[]);
    let sent = one_of_each("x");
    let mut bodies: Vec<Value> = ["customers", "plans", "invoices", "line_items", "transactions", "subscription_events"]
        .map(|kind| sent[kind][0].clone())
        .into();
    for body in &mut bodies {
        body["data_source_uuid"] = DATA_SOURCE_UUID.into();
    }
    let [c, p, mut i, mut l, t, e]: [Value; 6] = bodies.try_into().unwrap();
    let c = must(&single, "POST /v1/customers", c).await["uuid"].as_str().unwrap().to_owned();
    l["plan_uuid"] = must(&single, "POST /v1/plans", p).await["uuid"].clone();
    (i["line_items"], i["transactions"]) = (json!([l]), json!([t]));
    must(&single, &format!("POST /v1/import/customers/{c}/invoices"), json!({"invoices": [i]})).await;
    must(&single, "POST /v1/subscription_events", json!({"subscription_event": e})).await;
    assert_eq!(bulk.contents(), single.contents());
}

#[tokio::test(start_paused = true)]
async fn records_are_there_once_their_turn_has_come_and_as_old_as_it() {
    let imports = Readings { records_per_second: 1, start_delay: Duration::from_secs(10), ..Readings::default() };
    let sandbox = unlimited(Options { imports, ..Options::default() });
    post(&sandbox, customers_only("x", &["a", "b"])).await;
    advance(Duration::from_millis(10_999)).await;
    assert!(found(&sandbox, "customers", "entries", "a").await.is_empty());
    advance(Duration::from_millis(1)).await;
    assert_eq!(found(&sandbox, "customers", "entries", "a").await.len(), 1);
    assert!(found(&sandbox, "customers", "entries", "b").await.is_empty());
    advance(Duration::from_secs(20)).await;
    let dump = sandbox.dump();
    let made: Vec<jiff::Timestamp> =
        dump["customers"].as_array().unwrap().iter().map(|one| one["created_at"].as_str().unwrap().parse().unwrap()).collect();
    assert_eq!((made[1] - made[0]).get_seconds(), 1, "nobody looked when b came, and it is still a second younger");
    assert_eq!(dump["json_imports"][0]["status"], "completed");
}

#[tokio::test(start_paused = true)]
async fn what_no_documented_example_shows_is_refused_at_once() {
    let sandbox = sandbox(&[]);
    let with = |kind: &str, field: &str, value: Value| {
        let mut body = one_of_each("x");
        body[kind][0][field] = value;
        body
    };
    let at_top = |key: &str, value: Value| {
        let mut body = one_of_each("x");
        body[key] = value;
        body
    };
    let missing = |param: &str| json!({"code": 400, "message": format!("Parameter \"{param}\" is missing"), "param": param});
    let invalid = |param: &str| json!({"code": 400, "message": format!("Parameter \"{param}\" is invalid"), "param": param});
    let stray = |field: &str| json!({"errors": {field: "is not supported"}});
    for (body, status, answer) in [
        (at_top("external_id", Value::Null), 400, missing("external_id")),
        (at_top("external_id", json!(5)), 400, invalid("external_id")),
        (at_top("customers", json!({})), 400, invalid("customers")),
        (at_top("plans", json!(["p"])), 400, invalid("plans")),
        (at_top("contacts", json!([])), 422, stray("contacts")),
        (at_top("data_source_uuid", json!(DATA_SOURCE_UUID)), 422, stray("data_source_uuid")),
        (with("customers", "attributes", json!({"tags": ["vip"]})), 422, stray("customers.attributes")),
        (with("customers", "owner", json!("owner@example.com")), 422, stray("customers.owner")),
        (with("line_items", "plan_uuid", json!("pl_1")), 422, stray("line_items.plan_uuid")),
        (with("invoices", "line_items", json!([])), 422, stray("invoices.line_items")),
        (with("transactions", "transaction_fees_in_cents", json!(1)), 422, stray("transactions.transaction_fees_in_cents")),
        (with("customers", "external_id", Value::Null), 400, missing("customers.external_id")),
        (with("plans", "external_id", json!(1)), 422, json!({"errors": {"plans.external_id": "is invalid"}})),
        (json!({"external_id": "x", "customers": []}), 422, json!({"errors": {"base": "nothing to import"}})),
    ] {
        assert_eq!(post(&sandbox, body).await, (status, answer));
    }
    advance(Duration::from_secs(5)).await;
    assert_eq!(sandbox.dump()["json_imports"], json!([]));
    assert_eq!(sandbox.dump()["customers"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn more_than_five_million_bytes_are_too_many() {
    let sandbox = sandbox(&[]);
    let of_size = |size: usize| {
        let mut body = customers_only("x", &["a"]);
        let rest = size - body.to_string().len();
        body["customers"][0]["name"] = "n".repeat(rest + 1).into();
        body
    };
    assert_eq!(of_size(5_000_001).to_string().len(), 5_000_001);
    let refusal = json!({"code": 413, "message": "Request body is too large", "param": null});
    assert_eq!(post(&sandbox, of_size(5_000_001)).await, (413, refusal));
    assert_eq!(post(&sandbox, of_size(5_000_000)).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_data_source_or_import_is_not_found() {
    let sandbox = sandbox(&[]);
    let unknown = "/v1/data_sources/ds_none/json_imports";
    let answer = send(&sandbox, &format!("POST {unknown}"), one_of_each("x")).await;
    assert_eq!(answer, (404, json!({"error": "Data source not found"})));
    assert_eq!(get(&sandbox, "x").await, (404, json!({"error": "Import not found"})));
    post(&sandbox, one_of_each("a/b c")).await;
    assert_eq!(get(&sandbox, "a%2Fb%20c").await.0, 200);
    assert_eq!(send(&sandbox, &format!("GET {unknown}/a%2Fb%20c"), None).await.0, 404, "it is another data source's");
    assert_eq!(send(&sandbox, &format!("GET {unknown}"), None).await.0, 405);
}

#[tokio::test(start_paused = true)]
async fn an_import_ends_with_its_data_source() {
    let sandbox = sandbox(&[]);
    post(&sandbox, one_of_each("x")).await;
    must(&sandbox, &format!("DELETE /v1/data_sources/{DATA_SOURCE_UUID}"), None).await;
    advance(Duration::from_secs(5)).await;
    assert_eq!((&sandbox.dump()["customers"], &sandbox.dump()["json_imports"]), (&json!([]), &json!([])));
}

#[tokio::test(start_paused = true)]
async fn references_lead_to_what_was_there_before_and_to_what_comes_along() {
    let sandbox = sandbox(&[]);
    customer(&sandbox, "c", json!({})).await;
    let mut body = one_of_each("x");
    body.as_object_mut().unwrap().remove("customers");
    let import = imported(&sandbox, body).await;
    assert_eq!(import["status_details"]["c"].get("customers"), None, "none was sent");
    assert_eq!(processing(&sandbox).await, json!({"processed": 6, "failed": 0, "pending": 0}));
    assert_eq!(invoices(&sandbox, "valid").await[0]["line_items"][0]["plan_external_id"], "p");
}

/// Each invalid in one way, with what is said of it.
#[tokio::test(start_paused = true)]
async fn invalid_objects_are_kept_with_their_errors() {
    let sandbox = sandbox(&[]);
    let mut body = one_of_each("x");
    body["customers"][0]["country"] = "Germany".into();
    body["plans"][0]["interval_count"] = 0.into();
    body["invoices"][0]["currency"] = "EURO".into();
    body["line_items"][0]["plan_external_id"] = "none".into();
    body["transactions"][0]["result"] = "perhaps".into();
    body["subscription_events"][0]["customer_external_id"] = "nobody".into();
    assert_eq!(imported(&sandbox, body).await["status"], "completed");
    assert_eq!(processing(&sandbox).await, json!({"processed": 6, "failed": 6, "pending": 0}));

    let one = &found(&sandbox, "customers", "entries", "c").await[0];
    assert_eq!((&one["name"], &one["country"]), (&json!("Ann"), &Value::Null));
    assert_eq!(one["errors"], json!({"country": "is not a valid ISO 3166-1 alpha-2 code"}));
    assert_eq!(found(&sandbox, "plans", "plans", "p").await[0]["errors"], json!({"interval_count": "is too small"}));
    let event = &found(&sandbox, "subscription_events", "subscription_events", "e").await[0];
    assert_eq!(event["errors"], json!({"customer_external_id": "is not a customer of the data source"}));
    assert!(invoices(&sandbox, "valid").await.is_empty());
    assert_eq!(
        invoices(&sandbox, "invalid").await[0]["errors"],
        json!({
            "currency": "is not an ISO 4217 code",
            "line_items.plan_external_id": "is not a plan of the data source",
            "transactions.result": "is not included in the list",
        })
    );
    assert_eq!(sandbox.dump()["subscriptions"], json!([]));
    for (kind, id) in [("line_items", "l"), ("transactions", "t")] {
        let line = format!("GET /v1/{kind}?data_source_uuid={DATA_SOURCE_UUID}&external_id={id}");
        assert_eq!(send(&sandbox, &line, None).await.0, 404, "{kind}: valid is the default");
        let shown = must(&sandbox, &format!("{line}&validation_type=all"), None).await;
        assert!(shown["errors"].is_object(), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_customer_without_a_name_and_an_invoice_without_line_items_are_invalid() {
    let sandbox = sandbox(&[Reading::Failures(Failures::Told)]);
    let invoice = json!({"external_id": "i", "customer_external_id": "c", "date": "2026-01-01", "currency": "EUR"});
    let body = json!({"external_id": "x", "customers": [{"external_id": "c"}], "invoices": [invoice]});
    let import = imported(&sandbox, body).await;
    let word = || json!({"status": "failed"});
    let expected = json!({"c": {"status": "failed", "customers": word(), "invoices": word()}});
    assert_eq!(import["status_details"], expected);
    assert_eq!(processing(&sandbox).await, json!({"processed": 2, "failed": 2, "pending": 0}));
    assert_eq!(found(&sandbox, "customers", "entries", "c").await[0]["errors"], json!({"name": "can't be blank"}));
    let invoice = &invoices(&sandbox, "invalid").await[0];
    assert_eq!(invoice["errors"], json!({"line_items": "can't be blank"}));

    let heals = format!("POST /v1/import/invoices/{}/line_items", invoice["uuid"].as_str().unwrap());
    must(&sandbox, &heals, json!({"type": "one_time", "amount_in_cents": 5})).await;
    assert_eq!(invoices(&sandbox, "valid").await.len(), 1);
    let uuid = found(&sandbox, "customers", "entries", "c").await[0]["uuid"].as_str().unwrap().to_owned();
    let healed = must(&sandbox, &format!("PATCH /v1/customers/{uuid}"), json!({"name": "Ann"})).await;
    assert_eq!(healed.get("errors"), None);
}

#[tokio::test(start_paused = true)]
async fn what_refers_to_nothing_is_invalid_and_stands_by_itself() {
    let sandbox = sandbox(&[]);
    let mut body = one_of_each("x");
    body["invoices"][0]["customer_external_id"] = "nobody".into();
    body["line_items"][0]["invoice_external_id"] = "none".into();
    body["transactions"][0].as_object_mut().unwrap().remove("invoice_external_id");
    let import = imported(&sandbox, body).await;
    let word = || json!({"status": "imported"});
    let nobody = json!({"status": "imported", "invoices": word()});
    assert_eq!((&import["status_details"]["nobody"], &import["status_details"]["c"]["line_items"]), (&nobody, &Value::Null));
    let errors = invoices(&sandbox, "all").await[0]["errors"].clone();
    let expected = json!({"customer_external_id": "is not a customer of the data source", "line_items": "can't be blank"});
    assert_eq!(errors, expected);
    let contents = sandbox.contents();
    assert_eq!(contents["line_items"][0]["errors"], json!({"invoice_external_id": "is not an invoice of the data source"}));
    assert_eq!(contents["transactions"][0]["errors"], json!({"invoice_external_id": "can't be blank"}));

    let line = format!("/v1/line_items?data_source_uuid={DATA_SOURCE_UUID}&external_id=l");
    let changed = must(&sandbox, &format!("PATCH {line}"), json!({"amount_in_cents": 1})).await;
    assert!(changed["errors"]["invoice_external_id"].is_string(), "a change gives it no invoice: {changed}");
    must(&sandbox, &format!("DELETE {line}"), None).await;
    must(&sandbox, &format!("DELETE /v1/data_sources/{DATA_SOURCE_UUID}/all"), None).await;
    assert_eq!(sandbox.contents().get("transactions"), None);
}

#[tokio::test(start_paused = true)]
async fn payments_beyond_the_invoice_are_invalid() {
    let sandbox = sandbox(&[]);
    let mut body = one_of_each("x");
    let mut second = body["transactions"][0].clone();
    (second["external_id"], second["amount_in_cents"]) = ("t2".into(), 1.into());
    body["transactions"].as_array_mut().unwrap().push(second);
    imported(&sandbox, body).await;
    let errors = json!({"transactions.amount_in_cents": "exceeds the total of the invoice"});
    assert_eq!(invoices(&sandbox, "invalid").await[0]["errors"], errors);
}

#[tokio::test(start_paused = true)]
async fn an_external_id_with_errors_is_taken_all_the_same() {
    let sandbox = sandbox(&[]);
    let c = customer(&sandbox, "c", json!({})).await;
    let invoice = json!({"external_id": "i", "customer_external_id": "c", "date": "never", "currency": "EUR"});
    imported(&sandbox, json!({"external_id": "x", "invoices": [invoice]})).await;
    let line_item = json!({"type": "one_time", "amount_in_cents": 5});
    let again = json!({"external_id": "i", "date": "2026-01-01", "currency": "EUR", "line_items": [line_item]});
    let (status, answer) = send(&sandbox, &format!("POST /v1/import/customers/{c}/invoices"), json!({"invoices": [again]})).await;
    assert_eq!(status, 422, "{answer}");
    assert!(answer["invoices"][0]["errors"]["external_id"].is_string(), "{answer}");
}

// The readings.

#[tokio::test(start_paused = true)]
async fn an_import_is_answered_with_200_201_or_202() {
    for (status, code) in [(Status::Ok, 200), (Status::Created, 201), (Status::Accepted, 202)] {
        let sandbox = sandbox(&[Reading::Status(status)]);
        assert_eq!(post(&sandbox, one_of_each("x")).await.0, code);
    }
}

/// Imports everything, then the same once more with other values, and says what became of it: the customer's name, the names
/// of the plans, amounts of line items and events, results of transactions, currencies of valid and invalid invoices, and the
/// number that failed.
async fn met_again(existing: Existing) -> (Vec<String>, Value) {
    let sandbox = sandbox(&[Reading::Existing(existing)]);
    imported(&sandbox, one_of_each("x")).await;
    let mut body = one_of_each("y");
    body["customers"][0]["name"] = "Bo".into();
    body["plans"][0]["name"] = "Max".into();
    body["invoices"][0]["currency"] = "USD".into();
    body["line_items"][0]["amount_in_cents"] = 100.into();
    body["transactions"][0]["result"] = "failed".into();
    body["subscription_events"][0]["amount_in_cents"] = 100.into();
    assert_eq!(imported(&sandbox, body).await["status"], "completed");
    let dump = sandbox.dump();
    let all = |kind: &str, field: &str| {
        dump[kind].as_array().unwrap().iter().map(|one| one[field].to_string().replace('"', "")).collect::<Vec<_>>().join("+")
    };
    let valid = invoices(&sandbox, "valid").await;
    let invalid: Vec<String> = invoices(&sandbox, "invalid").await.iter().map(|one| one["currency"].to_string()).collect();
    assert_eq!((valid.len(), valid[0]["external_id"].as_str()), (1, Some("i")));
    let by_key = found(&sandbox, "invoices", "invoices", "i").await;
    assert_eq!(by_key[0]["uuid"], valid[0]["uuid"]);
    let name = found(&sandbox, "customers", "entries", "c").await[0]["name"].as_str().unwrap().to_owned();
    let first = &valid[0];
    let values = vec![
        name,
        all("plans", "name"),
        first["currency"].as_str().unwrap().into(),
        first["line_items"][0]["amount_in_cents"].to_string(),
        first["transactions"][0]["result"].as_str().unwrap().into(),
        all("subscription_events", "amount_in_cents"),
        invalid.join("+"),
    ];
    (values, processing(&sandbox).await["failed"].clone())
}

#[tokio::test(start_paused = true)]
async fn what_is_there_already_fails_is_kept_or_is_written_over() {
    let old = ["Ann", "Pro", "EUR", "9900", "successful", "500"];
    let new = ["Bo", "Max", "USD", "100", "failed", "100"];
    let with = |values: [&str; 6], invalid: &str| values.into_iter().chain([invalid]).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(met_again(Existing::Failed).await, (with(old, "\"USD\""), json!(6)), "the second invoice has no key");
    assert_eq!(met_again(Existing::Kept).await, (with(old, ""), json!(0)));
    assert_eq!(met_again(Existing::Updated).await, (with(new, ""), json!(0)));
}

#[tokio::test(start_paused = true)]
async fn an_invalid_record_never_writes_over_a_valid_one() {
    let sandbox = sandbox(&[Reading::Existing(Existing::Updated)]);
    imported(&sandbox, one_of_each("x")).await;
    let before = sandbox.contents();
    let mut body = one_of_each("y");
    body["customers"][0]["email"] = "nobody".into();
    body["plans"][0]["interval_unit"] = "week".into();
    body["invoices"][0]["date"] = "never".into();
    body["line_items"][0]["plan_external_id"] = "none".into();
    body["transactions"][0]["type"] = "gift".into();
    body["subscription_events"][0]["event_type"] = "none".into();
    imported(&sandbox, body).await;
    assert_eq!(sandbox.contents(), before);
    assert_eq!(processing(&sandbox).await["failed"], 6);
}

#[tokio::test(start_paused = true)]
async fn a_second_record_of_one_import_meets_the_first() {
    let sandbox = sandbox(&[]);
    imported(&sandbox, customers_only("x", &["a", "a"])).await;
    assert_eq!(found(&sandbox, "customers", "entries", "a").await.len(), 1);
    assert_eq!(processing(&sandbox).await, json!({"processed": 1, "failed": 1, "pending": 0}));
}

async fn details_of_a_failed_line_item_and_plan(failures: Failures) -> Value {
    let sandbox = sandbox(&[Reading::Failures(failures)]);
    let mut body = one_of_each("x");
    body["plans"][0]["name"] = Value::Null;
    body["line_items"][0]["type"] = "none".into();
    body["customers"].as_array_mut().unwrap().push(json!({"external_id": "d"}));
    imported(&sandbox, body).await["status_details"].clone()
}

#[tokio::test(start_paused = true)]
async fn failures_are_not_told_or_told_or_missing() {
    let (good, bad) = (json!({"status": "imported"}), json!({"status": "failed"}));
    let of = |status: &str, line_items: Option<&Value>| {
        let mut entry = json!({"status": status, "customers": good, "invoices": good, "transactions": good,
            "subscription_events": good});
        if let Some(word) = line_items {
            entry["line_items"] = word.clone();
        }
        entry
    };
    let silent = json!({"plans": good, "c": of("imported", Some(&good)), "d": {"status": "imported", "customers": good}});
    assert_eq!(details_of_a_failed_line_item_and_plan(Failures::Silent).await, silent);
    let told = json!({"plans": bad, "c": of("failed", Some(&bad)), "d": {"status": "failed", "customers": bad}});
    assert_eq!(details_of_a_failed_line_item_and_plan(Failures::Told).await, told);
    let missing = json!({"c": of("imported", None)});
    assert_eq!(details_of_a_failed_line_item_and_plan(Failures::Missing).await, missing);
}

#[tokio::test(start_paused = true)]
async fn an_import_with_failures_ends_as_completed_or_as_failed() {
    for (end, word) in [(End::Completed, "completed"), (End::Failed, "failed")] {
        let sandbox = sandbox(&[Reading::End(end)]);
        assert_eq!(imported(&sandbox, one_of_each("good")).await["status"], "completed");
        let body = json!({"external_id": "bad", "customers": [{"external_id": "d"}, {"external_id": "e", "name": "Eve"}]});
        assert_eq!(imported(&sandbox, body).await["status"], word);
        assert_eq!(found(&sandbox, "customers", "entries", "e").await.len(), 1, "what is good stays");
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_external_id_again_is_new_or_the_first_or_refused() {
    let known = |sandbox: &Sandbox| sandbox.dump()["customers"].as_array().unwrap().len();
    for (again, status, same_id, customers) in
        [(Again::New, 200, false, 2), (Again::First, 200, true, 1), (Again::Refused, 422, false, 1)]
    {
        let sandbox = sandbox(&[Reading::Again(again)]);
        let first = imported(&sandbox, customers_only("x", &["a"])).await;
        let (code, answer) = post(&sandbox, customers_only("x", &["b"])).await;
        assert_eq!((code, answer["id"] == first["id"]), (status, same_id), "{again:?}");
        if again == Again::Refused {
            assert_eq!(answer, json!({"errors": {"external_id": "has already been taken"}}));
        } else {
            assert_eq!(ended(&sandbox, "x").await["id"], answer["id"], "the external id finds the newer one");
        }
        advance(Duration::from_secs(5)).await;
        assert_eq!(known(&sandbox), customers, "{again:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_import_of_a_customer_loses_it_or_waits() {
    for (overlap, kept) in [(Overlap::Lost, vec!["b"]), (Overlap::Serial, vec!["a", "b"])] {
        let imports = Readings { records_per_second: 1, overlap, existing: Existing::Updated, ..Readings::default() };
        let sandbox = unlimited(Options { imports, ..Options::default() });
        // The turn of `a` is later in the first than it would be in the second, were that not to wait.
        post(&sandbox, customers_only("first", &["x", "y", "z", "a"])).await;
        post(&sandbox, customers_only("second", &["a", "b"])).await;
        advance(Duration::from_secs(5)).await;
        let end = ended(&sandbox, "second").await;
        let word = json!({"status": "imported", "customers": {"status": "imported"}});
        assert_eq!((&end["status"], &end["status_details"]["a"]), (&json!("completed"), &word), "nothing tells");
        let dump = sandbox.dump();
        let mut named: Vec<&str> = Vec::new();
        for one in dump["customers"].as_array().unwrap() {
            if one["fields"]["name"] == "second" {
                named.push(one["keys"][0]["external_id"].as_str().unwrap());
            }
        }
        assert_eq!(named, kept, "{overlap:?}");
        let third = imported(&sandbox, customers_only("third", &["a"])).await;
        assert_eq!(third["status"], "completed");
        assert_eq!(found(&sandbox, "customers", "entries", "a").await[0]["name"], "third", "the first has finished");
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_item_of_an_invoice_under_way_is_its_customers() {
    let sandbox = sandbox(&[]);
    let mut first = one_of_each("first");
    let line_items = first.as_object_mut().unwrap().remove("line_items").unwrap();
    post(&sandbox, first).await;
    post(&sandbox, json!({"external_id": "second", "line_items": line_items})).await;
    let end = ended(&sandbox, "second").await;
    assert_eq!(end["status_details"]["c"]["line_items"]["status"], "imported");
    assert!(invoices(&sandbox, "all").await[0]["line_items"].as_array().unwrap().is_empty(), "it got lost");
}

#[tokio::test(start_paused = true)]
async fn an_import_is_forgotten_half_a_minute_after_its_end_or_never() {
    for (record, status) in [(Record::Forgotten, 404), (Record::Kept, 200)] {
        let sandbox = sandbox(&[Reading::Record(record), Reading::Again(Again::Refused)]);
        post(&sandbox, customers_only("x", &["a"])).await;
        advance(Duration::from_millis(31_000)).await;
        assert_eq!(get(&sandbox, "x").await.0, 200);
        advance(Duration::from_millis(2)).await;
        assert_eq!(get(&sandbox, "x").await.0, status);
        let again = post(&sandbox, customers_only("x", &["b"])).await.0;
        assert_eq!(again, if status == 404 { 200 } else { 422 }, "a forgotten external id is free");
    }
}

#[tokio::test(start_paused = true)]
async fn limits_faults_and_keys_hold_for_imports_as_for_everything() {
    let sandbox = Sandbox::new(Options::default());
    sandbox.script("POST /data_sources/*/json_imports after-work status=500".parse().unwrap());
    assert_eq!(post(&sandbox, customers_only("x", &["a"])).await.0, 500);
    for _ in 1..40 {
        assert_eq!(get(&sandbox, "x").await.0, 200, "its work was done");
    }
    assert_eq!(get(&sandbox, "x").await.0, 429);
    let seen = sandbox.observed();
    assert_eq!(seen.answered("POST", "/v1/data_sources/{uuid}/json_imports", 500), 1);
    assert_eq!(seen.answered("GET", "/v1/data_sources/{uuid}/json_imports/{id}", 200), 39);
    sandbox.reset();
    assert_eq!(get(&sandbox, "x").await.0, 404);
}
