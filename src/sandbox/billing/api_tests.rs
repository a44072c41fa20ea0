//! Rules about plans, plan groups, invoices, line items and transactions, one behaviour a test.

use serde_json::{Value, json};

use super::testing::{Account, each, with};
use crate::sandbox::testing::{customer, must};
use crate::sandbox::{DATA_SOURCE_UUID, SECOND_DATA_SOURCE_UUID};

const PLAN: &str = "A plan with this identifier already exists in our system.";
const INVOICE: &str = "The external ID for this invoice already exists in our system.";
const LINE_ITEM: &str = "The external ID for this line item already exists in our system.";

#[tokio::test]
async fn a_plan_is_unique_by_its_external_id_in_its_data_source_only() {
    let account = Account::new().await;
    let body = json!({"data_source_uuid": DATA_SOURCE_UUID, "external_id": "p", "name": "Other", "interval_count": 1,
        "interval_unit": "year"});
    let (status, answer) = account.send("POST /v1/plans", body.clone()).await;
    assert_eq!((status, &answer["errors"]), (422, &json!({"external_id": PLAN})));
    assert_eq!((&answer["name"], answer.get("uuid")), (&json!("Other"), None), "an echo, without the UUID of the other");
    account.must("POST /v1/plans", with(body.clone(), json!({"data_source_uuid": SECOND_DATA_SOURCE_UUID}))).await;
    let generated = account.must("POST /v1/plans", with(body, json!({"external_id": null}))).await;
    assert_eq!(format!("pl_{}", generated["external_id"].as_str().unwrap()), generated["uuid"].as_str().unwrap());
    let found = account.must(&format!("GET /v1/plans?data_source_uuid={DATA_SOURCE_UUID}&external_id=p"), None).await;
    assert_eq!(each(&found["plans"], "name"), ["Pro"]);
    for (query, count) in [("", 3), ("?external_id=p", 2), ("?system=Stripe", 0), ("?system=Custom&external_id=p", 2)] {
        let found = account.must(&format!("GET /v1/plans{query}"), None).await;
        assert_eq!(found["plans"].as_array().unwrap().len(), count, "{query}");
    }
}

#[tokio::test]
async fn a_plan_without_what_it_needs_is_refused() {
    let account = Account::new().await;
    let good = json!({"data_source_uuid": DATA_SOURCE_UUID, "name": "Pro", "interval_count": 1, "interval_unit": "month"});
    for (more, field) in [
        (json!({"data_source_uuid": null}), "data_source_uuid"),
        (json!({"name": null}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"interval_count": 0}), "interval_count"),
        (json!({"interval_count": "1"}), "interval_count"),
        (json!({"interval_unit": "week"}), "interval_unit"),
        (json!({"external_id": 5}), "external_id"),
    ] {
        let (status, answer) = account.send("POST /v1/plans", with(good.clone(), more.clone())).await;
        assert_eq!((status, each_key(&answer["errors"])), (422, vec![field.to_owned()]), "{more}");
    }
    assert_eq!(account.send("POST /v1/plans", with(good, json!({"data_source_uuid": "ds_none"}))).await.0, 404);
    assert_eq!(account.counts(["plans"]), [1]);
}

#[tokio::test]
async fn a_plan_is_changed_and_removed_while_nothing_uses_it() {
    let account = Account::new().await;
    let plan = format!("/v1/plans/{}", account.plan);
    let body = json!({"name": "Max", "interval_unit": "year", "external_id": "p", "data_source_uuid": DATA_SOURCE_UUID});
    let (status, answer) = account.send(&format!("PATCH {plan}"), body).await;
    assert_eq!((status, &answer["name"], &answer["interval_count"]), (202, &json!("Max"), &json!(1)));
    assert_eq!(account.send(&format!("PATCH {plan}"), json!({"external_id": "q"})).await.0, 422);
    let invoice = account.imported(account.invoice(json!({}))).await;
    assert_eq!(account.send(&format!("DELETE {plan}"), None).await.0, 422);
    account.must(&format!("DELETE /v1/invoices/{}", invoice["uuid"].as_str().unwrap()), None).await;
    assert_eq!(account.send(&format!("DELETE {plan}"), None).await.0, 204);
    assert_eq!(account.send(&format!("GET {plan}"), None).await, (404, json!({"error": "Plan not found"})));
}

#[tokio::test]
async fn a_plan_group_holds_plans_and_its_name_may_come_twice() {
    let account = Account::new().await;
    let other = account.plan("q").await;
    for (body, params) in [
        (json!({"name": "G"}), vec!["plan_ids"]),
        (json!({"plans": []}), vec!["name", "plan_ids"]),
        (json!({"name": "G", "plans": ["pl_none"]}), vec!["plan_ids"]),
    ] {
        let (status, answer) = account.send("POST /v1/plan_groups", body.clone()).await;
        assert_eq!((status, each(&answer["error_details"], "param")), (422, params.into_iter().map(Value::from).collect()));
    }
    let (status, group) = account.send("POST /v1/plan_groups", json!({"name": "G", "plans": [account.plan, other]})).await;
    assert_eq!((status, &group["plans_count"]), (200, &json!(2)));
    account.must("POST /v1/plan_groups", json!({"name": "G", "plans": [other]})).await;
    assert_eq!(each(&account.must("GET /v1/plan_groups", None).await["plan_groups"], "plans_count"), [1, 2]);
    let group = format!("/v1/plan_groups/{}", group["uuid"].as_str().unwrap());
    let changed = account.must(&format!("PATCH {group}"), json!({"plans": [other]})).await;
    assert_eq!((&changed["name"], &changed["plans_count"]), (&json!("G"), &json!(1)), "the plans are replaced");
    let plans = account.must(&format!("GET {group}/plans"), None).await;
    assert_eq!(each(&plans["plans"], "external_id"), ["q"]);
    account.must(&format!("DELETE /v1/plans/{other}"), None).await;
    assert_eq!(account.must(&format!("GET {group}"), None).await["plans_count"], 0);
    assert_eq!(account.send(&format!("DELETE {group}"), None).await.0, 204);
    assert_eq!(account.send(&format!("GET {group}"), None).await.0, 404);
}

#[tokio::test]
async fn invoices_are_taken_all_or_none() {
    let account = Account::new().await;
    let good = account.invoice(json!({}));
    let bad = account.invoice(json!({"external_id": "j", "currency": "usd", "line_items": []}));
    let (status, answer) = account.import(&[good.clone(), bad]).await;
    assert_eq!(status, 422);
    assert_eq!(each(&answer["invoices"], "external_id"), ["i", "j"]);
    assert_eq!(answer["invoices"][0]["errors"], json!({}));
    assert_eq!(each_key(&answer["invoices"][1]["errors"]), ["currency", "line_items"]);
    assert_eq!(account.counts(["invoices", "subscriptions"]), [0, 0]);
    let line_items = [account.line_item(json!({"external_id": "l2"}))];
    let (status, answer) = account.import(&[good, account.invoice(json!({"external_id": "j", "line_items": line_items}))]).await;
    assert_eq!((status, each(&answer["invoices"], "external_id")), (201, vec![json!("i"), json!("j")]));
    assert_eq!(each(&account.must("GET /v1/invoices", None).await["invoices"], "external_id"), ["j", "i"], "newest first");
}

#[tokio::test]
async fn external_ids_of_invoices_and_their_parts_come_once() {
    let account = Account::new().await;
    let payment = json!({"type": "payment", "date": "2026-01-02", "result": "successful", "external_id": "t"});
    let invoice = account.invoice(json!({"transactions": [payment]}));
    let taken = json!({"external_id": INVOICE, "line_items.external_id": LINE_ITEM,
        "transactions.external_id": "has already been taken"});
    let (status, answer) = account.import(&[invoice.clone(), invoice.clone()]).await;
    assert_eq!((status, &answer["invoices"][1]["errors"]), (422, &taken), "in one request");
    let made = account.imported(invoice.clone()).await;
    let (status, answer) = account.import(std::slice::from_ref(&invoice)).await;
    assert_eq!((status, &answer["invoices"][0]["errors"]), (422, &taken));
    let import = format!("/v1/import/invoices/{}", made["uuid"].as_str().unwrap());
    let (status, answer) = account.send(&format!("POST {import}/line_items"), account.line_item(json!({}))).await;
    assert_eq!((status, &answer["errors"]), (422, &json!({"external_id": LINE_ITEM})));
    let (status, answer) = account.send(&format!("POST {import}/transactions"), payment_of(1, "t")).await;
    assert_eq!((status, &answer["errors"]), (422, &json!({"external_id": "has already been taken"})));
    account.must(&format!("DELETE /v1/invoices?data_source_uuid={DATA_SOURCE_UUID}&external_id=i"), None).await;
    account.imported(invoice).await;
}

fn payment_of(amount: i64, external_id: &str) -> Value {
    json!({"type": "payment", "date": "2026-01-02", "result": "successful", "amount_in_cents": amount, "external_id": external_id})
}

fn each_key(object: &Value) -> Vec<String> {
    let mut keys: Vec<String> = object.as_object().unwrap().keys().cloned().collect();
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn a_line_item_needs_what_its_type_needs() {
    let account = Account::new().await;
    let other = json!({"data_source_uuid": SECOND_DATA_SOURCE_UUID, "name": "Far", "interval_count": 1, "interval_unit": "day"});
    let far = account.must("POST /v1/plans", other).await["uuid"].clone();
    for (more, field) in [
        (json!({"type": null}), "type"),
        (json!({"type": "gift"}), "type"),
        (json!({"amount_in_cents": null}), "amount_in_cents"),
        (json!({"amount_in_cents": 9.5}), "amount_in_cents"),
        (json!({"amount_in_cents": "9900"}), "amount_in_cents"),
        (json!({"quantity": 0}), "quantity"),
        (json!({"type": "trial", "subscription_external_id": null}), "subscription_external_id"),
        (json!({"service_period_start": null}), "service_period_start"),
        (json!({"service_period_end": "soon"}), "service_period_end"),
        (json!({"service_period_end": "2025-12-31"}), "service_period_end"),
        (json!({"plan_uuid": null}), "plan_uuid"),
        (json!({"plan_uuid": "p"}), "plan_uuid"),
        (json!({"plan_uuid": far}), "plan_uuid"),
        (json!({"proration_type": "half"}), "proration_type"),
        (json!({"prorated": "yes"}), "prorated"),
        (json!({"account_code": "4-4"}), "account_code"),
        (json!({"transaction_fees_currency": "EURO"}), "transaction_fees_currency"),
        (json!({"external_id": 1}), "external_id"),
    ] {
        let (status, answer) = account.import(&[account.invoice(json!({"line_items": [account.line_item(more.clone())]}))]).await;
        let expected = vec![format!("line_items.{field}")];
        assert_eq!((status, each_key(&answer["invoices"][0]["errors"])), (422, expected), "{more}");
    }
    let credit = account.line_item(json!({"amount_in_cents": -500, "proration_type": "differential_mrr", "prorated": true}));
    let single = json!({"type": "one_time", "amount_in_cents": 100, "description": "Setup", "plan_uuid": "pl_none"});
    let trial = account.line_item(json!({"type": "trial", "external_id": "l3", "amount_in_cents": 0}));
    let made = account.imported(account.invoice(json!({"line_items": [credit, single, trial]}))).await;
    assert_eq!(each(&made["line_items"], "amount_in_cents"), [-500, 100, 0]);
    assert_eq!(each(&made["line_items"], "quantity"), [1, 1, 1]);
    assert_eq!((&made["line_items"][1]["description"], made["line_items"][1].get("plan_uuid")), (&json!("Setup"), None));
    assert_eq!(made["line_items"][0]["plan_external_id"], "p");
    assert_eq!(made["line_items"][0]["subscription_uuid"], made["line_items"][2]["subscription_uuid"]);
}

#[tokio::test]
async fn an_invoice_goes_to_a_customer_by_its_uuid_only() {
    let account = Account::new().await;
    let body = json!({"invoices": [account.invoice(json!({}))]});
    let (status, answer) = account.send("POST /v1/import/customers/c/invoices", body).await;
    let details = json!([{"param": "invoice", "code": "invalid", "message": "Invoice not found"}]);
    assert_eq!((status, answer), (404, json!({"error": "Invoice not found", "error_details": details})));
    let (status, answer) = account.import(&[json!({})]).await;
    assert_eq!(status, 422);
    assert_eq!(each_key(&answer["invoices"][0]["errors"]), ["currency", "date", "external_id", "line_items"]);
    assert_eq!(account.import(&[]).await.0, 400);
}

#[tokio::test]
async fn transactions_move_no_more_than_the_invoice_has() {
    let account = Account::new().await;
    let failed = json!({"type": "payment", "date": "2026-01-02", "result": "failed"});
    let over = account.invoice(json!({"transactions": [payment_of(9000, "t"), payment_of(901, "u")]}));
    let (status, answer) = account.import(&[over]).await;
    assert_eq!((status, each_key(&answer["invoices"][0]["errors"])), (422, vec!["transactions.amount_in_cents".to_owned()]));
    let made = account.imported(account.invoice(json!({"transactions": [failed, payment_of(9000, "t")]}))).await;
    assert_eq!(made["status"], "open");
    let post = format!("POST /v1/import/invoices/{}/transactions", made["uuid"].as_str().unwrap());
    assert_eq!(account.send(&post, payment_of(901, "u")).await.0, 422);
    assert_eq!(account.send(&post, with(payment_of(1, "u"), json!({"result": "unsure"}))).await.0, 422);
    assert_eq!(account.send(&post, payment_of(-1, "u")).await.0, 422);
    account.must(&post, payment_of(900, "u")).await;
    let one = format!("/v1/transactions?data_source_uuid={DATA_SOURCE_UUID}&external_id=u");
    assert_eq!(account.send(&format!("PATCH {one}"), json!({"amount_in_cents": 901})).await.0, 422);
    assert_eq!(account.must(&format!("PATCH {one}"), json!({"amount_in_cents": 500})).await["amount_in_cents"], 500);
    account.must(&format!("DELETE {one}"), None).await;
    assert_eq!(account.send(&format!("GET {one}"), None).await, (404, json!({"error": "Transaction not found"})));
}

#[tokio::test]
async fn the_status_of_an_invoice_follows_from_its_transactions_until_it_is_set() {
    let account = Account::new().await;
    let made = account.imported(account.invoice(json!({"external_id": "i 1/2"}))).await;
    let uuid = made["uuid"].as_str().unwrap();
    let status = async || account.must(&format!("GET /v1/invoices/{uuid}"), None).await["status"].clone();
    assert_eq!(status().await, "open");
    let post = format!("POST /v1/import/invoices/{uuid}/transactions");
    let all = json!({"type": "payment", "date": "2026-01-02", "result": "successful"});
    account.must(&post, all.clone()).await;
    assert_eq!(status().await, "paid");
    account.must(&post, with(all, json!({"type": "refund"}))).await;
    assert_eq!(status().await, "refunded");
    let put = format!("PUT /v1/data_sources/{DATA_SOURCE_UUID}/invoices/i%201%2F2/status");
    assert_eq!(account.send(&put, json!({"status": "paid"})).await.0, 422);
    for word in ["voided", "written_off"] {
        assert_eq!(account.must(&put, json!({"status": word})).await, json!({"message": "Invoice updated"}));
        assert_eq!(status().await, word);
    }
    let unknown = put.replace("i%201", "j");
    assert_eq!(account.send(&unknown, json!({"status": "voided"})).await, (404, json!({"error": "Invoice not found"})));
}

#[tokio::test]
async fn the_header_of_an_invoice_is_changed_and_nothing_else() {
    let account = Account::new().await;
    let made = account.imported(account.invoice(json!({"due_date": "2026-01-31"}))).await;
    let by_key = format!("/v1/invoices?data_source_uuid={DATA_SOURCE_UUID}&external_id=i");
    let body = json!({"currency": "EUR", "due_date": null, "external_id": "other", "line_items": []});
    let changed = account.must(&format!("PATCH {by_key}"), body).await;
    assert_eq!((&changed["currency"], &changed["due_date"]), (&json!("EUR"), &json!("2026-01-31T00:00:00.000Z")));
    assert_eq!((&changed["external_id"], changed["line_items"].as_array().unwrap().len()), (&json!("i"), 1));
    let by_uuid = format!("PATCH /v1/invoices/{}", made["uuid"].as_str().unwrap());
    assert_eq!(account.must(&by_uuid, json!({"collection_method": "manual"})).await["collection_method"], "manual");
    assert_eq!(account.send(&by_uuid, json!({"date": "soon"})).await.0, 422);
    assert_eq!(account.send("PATCH /v1/invoices?external_id=i", json!({})).await.0, 400);
    assert_eq!(account.send(&format!("PATCH {by_key}x"), json!({})).await, (404, json!({"error": "Invoice not found"})));
    assert_eq!(account.send(&format!("{by_uuid}/disabled_state"), json!({"disabled": true})).await.0, 422);
    let by_key = by_key.replace('?', "/disabled_state?");
    assert_eq!(account.send(&format!("PATCH {by_key}"), json!({"disabled": true})).await.0, 422);
}

#[tokio::test]
async fn invoices_are_listed_by_customer_source_key_and_validity() {
    let account = Account::new().await;
    account.imported(account.invoice(json!({}))).await;
    let customer = &account.customer;
    for (query, count) in [
        (String::new(), 1),
        (format!("?customer_uuid={customer}"), 1),
        ("?customer_uuid=cus_none".into(), 0),
        (format!("?data_source_uuid={DATA_SOURCE_UUID}&external_id=i"), 1),
        (format!("?data_source_uuid={SECOND_DATA_SOURCE_UUID}"), 0),
        ("?external_id=j".into(), 0),
        ("?validation_type=all".into(), 1),
        ("?validation_type=invalid".into(), 0),
    ] {
        let found = account.must(&format!("GET /v1/invoices{query}"), None).await;
        assert_eq!(found["invoices"].as_array().unwrap().len(), count, "{query}");
    }
    assert_eq!(account.send("GET /v1/invoices?validation_type=some", None).await.0, 400);
}

#[tokio::test]
async fn a_line_item_is_added_changed_and_removed_by_itself() {
    let account = Account::new().await;
    let made = account.imported(account.invoice(json!({}))).await;
    let post = format!("POST /v1/import/invoices/{}/line_items", made["uuid"].as_str().unwrap());
    let body = account.line_item(json!({"external_id": "l2", "subscription_external_id": "s2"}));
    assert_eq!(account.send(&post, body).await.0, 201);
    assert_eq!(account.send("POST /v1/import/invoices/inv_none/line_items", json!({})).await.0, 404);
    let by_key = format!("/v1/line_items?data_source_uuid={DATA_SOURCE_UUID}&external_id=l2");
    let changed = account.must(&format!("PATCH {by_key}"), json!({"amount_in_cents": 50, "external_id": "l2"})).await;
    assert_eq!((&changed["amount_in_cents"], &changed["subscription_external_id"]), (&json!(50), &json!("s2")));
    assert_eq!(account.send(&format!("PATCH {by_key}"), json!({"external_id": "l3"})).await.0, 422);
    assert_eq!(account.send(&format!("PATCH {by_key}"), json!({"plan_uuid": "pl_none"})).await.0, 422);
    account.must(&format!("PATCH {by_key}"), json!({"subscription_external_id": "s3"})).await;
    assert_eq!(each(&account.subscriptions().await.into(), "external_id"), ["s3", "s"], "nothing names s2 any more");
    account.must(&format!("PATCH {by_key}"), json!({"type": "one_time"})).await;
    assert_eq!(each(&account.subscriptions().await.into(), "external_id"), ["s"]);
    let uuid = account.must(&format!("GET {by_key}"), None).await["uuid"].as_str().unwrap().to_owned();
    assert_eq!(account.send(&format!("DELETE /v1/line_items/{uuid}"), None).await.0, 204);
    assert_eq!(account.send(&format!("GET {by_key}"), None).await, (404, json!({"error": "Line item not found"})));
}

#[tokio::test]
async fn what_goes_takes_its_billing_along() {
    let kinds = ["invoices", "subscriptions", "subscription_events", "plans"];
    let event = json!({"data_source_uuid": DATA_SOURCE_UUID, "customer_external_id": "c", "subscription_external_id": "s9",
        "event_type": "subscription_cancelled", "event_date": "2026-01-01", "effective_date": "2026-01-01"});
    for (delete, left) in [
        ("DELETE /v1/customers/CUS", [0, 0, 0, 1]),
        ("DELETE /v1/data_sources/DS/customers/CUS/invoices", [0, 1, 1, 1]),
        ("DELETE /v1/data_sources/DS/all", [0, 0, 0, 0]),
        ("DELETE /v1/data_sources/DS", [0, 0, 0, 0]),
    ] {
        let account = Account::new().await;
        account.imported(account.invoice(json!({}))).await;
        account.must("POST /v1/subscription_events", json!({"subscription_event": event})).await;
        assert_eq!(account.counts(kinds), [1, 2, 1, 1]);
        let line = delete.replace("DS", DATA_SOURCE_UUID).replace("CUS", &account.customer);
        assert_eq!(account.send(&line, None).await.0, 204);
        assert_eq!(account.counts(kinds), left, "{delete}");
    }
}

#[tokio::test]
async fn a_merged_customer_keeps_what_its_keys_have() {
    let account = Account::new().await;
    account.imported(account.invoice(json!({}))).await;
    let into = customer(&account.sandbox, "d", json!({})).await;
    let merge = json!({"from": {"customer_uuid": account.customer}, "into": {"customer_uuid": into}});
    account.must("POST /v1/customers/merges", merge).await;
    let found = account.must(&format!("GET /v1/invoices?customer_uuid={into}"), None).await;
    assert_eq!(each(&found["invoices"], "customer_uuid"), [into.as_str()]);
    assert_eq!(each(&found["invoices"], "customer_external_id"), ["c"]);

    let import = format!("POST /v1/import/customers/{into}/invoices");
    let second = |more: Value| {
        let line_items = [account.line_item(json!({"external_id": "l2"}))];
        json!({"invoices": [with(account.invoice(json!({"external_id": "j", "line_items": line_items})), more)]})
    };
    for (more, field) in [
        (json!({}), "customer_external_id"),
        (json!({"customer_external_id": "e"}), "customer_external_id"),
        (json!({"data_source_uuid": SECOND_DATA_SOURCE_UUID}), "data_source_uuid"),
    ] {
        let (status, answer) = account.send(&import, second(more.clone())).await;
        assert_eq!((status, each_key(&answer["invoices"][0]["errors"])), (422, vec![field.to_owned()]), "{more}");
    }
    account.must(&import, second(json!({"customer_external_id": "d", "data_source_uuid": DATA_SOURCE_UUID}))).await;
    let apart = json!({"customer_uuid": into, "data_source_uuid": DATA_SOURCE_UUID, "external_id": "c",
        "move_to_new_customer": []});
    account.must("POST /v1/customers/unmerges", apart).await;
    let found = account.must(&format!("GET /v1/invoices?customer_uuid={into}"), None).await;
    assert_eq!(each(&found["invoices"], "external_id"), ["j"]);
    must(&account.sandbox, &format!("DELETE /v1/customers/{into}"), None).await;
    assert_eq!(each(&account.sandbox.dump()["invoices"], "external_id"), ["i"]);
}

#[tokio::test]
async fn contents_of_two_accounts_are_alike_whatever_the_order() {
    let mut seen = Vec::new();
    for order in [["i", "j"], ["j", "i"]] {
        let account = Account::new().await;
        for id in order {
            let line_items = [account.line_item(json!({"external_id": format!("l{id}")}))];
            let invoice = account.invoice(json!({"external_id": id, "line_items": line_items}));
            account.imported(invoice).await;
        }
        let generated = json!({"data_source_uuid": DATA_SOURCE_UUID, "name": "A", "interval_count": order[0].len(),
            "interval_unit": "day"});
        let generated = account.must("POST /v1/plans", generated).await;
        let group = json!({"name": "G", "plans": [account.plan]});
        account.must("POST /v1/plan_groups", group).await;
        let contents = account.sandbox.contents();
        let text = contents.to_string();
        assert!(!text.contains(generated["external_id"].as_str().unwrap()), "{text}");
        for prefix in ["pl_", "plg_", "inv_", "li_", "sub_", "cus_", "ds_"] {
            assert!(!text.contains(&format!("\"{prefix}")), "{prefix} in {text}");
        }
        assert_eq!(contents["invoices"][0]["line_items"][0]["plan_external_id"], "p");
        assert_eq!(contents["plan_groups"][0]["plans"], json!([{"data_source": "Sandbox", "external_id": "p"}]));
        assert_eq!(contents.get("subscription_events"), None, "a kind of which there is none is left out");
        seen.push(contents);
    }
    assert_eq!(seen[0], seen[1]);
}
