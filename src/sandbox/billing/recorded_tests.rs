//! Prepares a sandbox for recorded requests of the billing side; what is compared and how stands in the sandbox's own
//! `recorded_tests.rs`.

use serde_json::{Map, Value, json};

use crate::sandbox::recorded_tests::{Recorded, Stage};
use crate::sandbox::testing::must;

/// Where an answer shows no data source.
const SOME_SOURCE: &str = "ds_billing";

/// Makes what the answer shows.
pub(in crate::sandbox) async fn prepare(stage: &mut Stage, recorded: &Recorded, segments: &[&str]) {
    let url = recorded.request.as_str();
    // Enough entries for pages in the middle; an empty page behind a cursor has one before it.
    let copies = if url.contains("per_page=1") { 4 } else { 1 };
    let (answer, body) = (&recorded.answer, recorded.body.clone().unwrap_or_default());
    let reads = url.starts_with("GET");
    match segments {
        ["plans"] if !reads => stage.source_of(&body).await,
        ["plans"] => {
            for (entry, number) in repeated(&answer["plans"], copies) {
                plan(stage, &entry, number).await;
            }
        }
        ["plans", uuid] => plan(stage, &or_named(answer, uuid), 0).await,
        ["plan_groups", ..] => {
            let mut plans = body["plans"].as_array().cloned().unwrap_or_default();
            plans.extend((0..3).map(|number| format!("pl_of_group_{number}").into()));
            for uuid in &plans {
                plan(stage, &json!({"uuid": uuid}), 0).await;
            }
            let named = segments.get(1).copied().unwrap_or("plg_listed");
            let members = if url.contains("page=1") && url.contains("cursor") { &plans[..2] } else { &plans };
            let members: Vec<String> = members.iter().map(|uuid| stage.uuids[uuid.as_str().unwrap()].clone()).collect();
            if segments.len() > 1 || reads {
                for _ in 0..copies {
                    let group = must(&stage.sandbox, "POST /v1/plan_groups", json!({"name": "A group", "plans": members})).await;
                    stage.uuids.insert(named.to_owned(), group["uuid"].as_str().unwrap().to_owned());
                }
            }
        }
        ["import", "customers", customer, "invoices"] => {
            let source = source_in(&body["invoices"][0]);
            owner(stage, customer, &source, body["invoices"][0]["customer_external_id"].as_str()).await;
            for line_item in body["invoices"].as_array().into_iter().flatten().flat_map(line_items) {
                if line_item["plan_uuid"].is_string() {
                    plan(stage, &json!({"uuid": line_item["plan_uuid"], "data_source_uuid": source}), 0).await;
                }
            }
            if reads {
                let empty_page = url.contains("cursor").then(|| a_subscription("s", &Value::Null));
                for entry in answer["invoices"].as_array().unwrap().iter().chain(&empty_page) {
                    invoice(stage, customer, entry, 0).await;
                }
            }
        }
        ["import", "customers", customer, "subscriptions"] => {
            let empty_page = url.contains("cursor").then(|| json!({"external_id": "s"}));
            for entry in answer["subscriptions"].as_array().unwrap().iter().chain(&empty_page) {
                subscription(stage, customer, entry).await;
            }
        }
        ["import", "subscriptions", _] => subscription(stage, answer["customer_uuid"].as_str().unwrap(), answer).await,
        ["import", "invoices", uuid, _] | ["invoices", uuid] => {
            let shown = or_named(answer, uuid);
            let invoiced = if shown["line_items"].is_array() { shown } else { a_single_item(uuid) };
            let customer = answer["customer_uuid"].as_str().unwrap_or("cus_some").to_owned();
            invoice(stage, &customer, &invoiced, 0).await;
        }
        ["invoices"] => {
            for (entry, number) in repeated(&answer["invoices"], copies) {
                invoice(stage, entry["customer_uuid"].as_str().unwrap(), &entry, number).await;
            }
        }
        ["data_sources", source, "customers", customer, "invoices"] => owner(stage, customer, source, None).await,
        ["customers", customer, "subscriptions"] => {
            let empty_page = url.contains("cursor").then(|| json!({"external_id": "s"}));
            for entry in answer["entries"].as_array().unwrap().iter().chain(&empty_page) {
                subscription(stage, customer, &json!({"external_id": entry["external_id"]})).await;
            }
        }
        ["customers", customer, _] => {
            for (number, entry) in body["subscriptions"].as_array().unwrap().iter().enumerate() {
                let external_id = entry["external_id"].as_str().map_or(format!("s{number}"), str::to_owned);
                let shown = json!({"external_id": external_id, "data_source_uuid": entry["data_source_uuid"]});
                subscription(stage, customer, &shown).await;
                let list = format!("GET /v1/customers/{}/subscriptions", stage.uuids[*customer]);
                let ours = must(&stage.sandbox, &list, None).await["entries"][0]["uuid"].as_str().unwrap().to_owned();
                stage.uuids.insert(entry["uuid"].as_str().unwrap_or_default().to_owned(), ours);
            }
        }
        ["subscription_events"] => events(stage, recorded, &body["subscription_event"], copies).await,
        _ => panic!("nobody prepares {url}"),
    }
}

fn repeated(entries: &Value, copies: usize) -> impl Iterator<Item = (Value, usize)> {
    let entries = entries.as_array().unwrap().clone();
    (0..copies).flat_map(move |number| entries.clone().into_iter().map(move |entry| (entry, number)))
}

fn or_named(answer: &Value, uuid: &str) -> Value {
    if answer.is_null() || answer["uuid"] != uuid { json!({"uuid": uuid}) } else { answer.clone() }
}

fn source_in(shown: &Value) -> String {
    shown["data_source_uuid"].as_str().unwrap_or(SOME_SOURCE).to_owned()
}

fn line_items(invoice: &Value) -> Vec<Value> {
    invoice["line_items"].as_array().cloned().unwrap_or_default()
}

fn a_single_item(uuid: &str) -> Value {
    let line_item = json!({"type": "one_time", "amount_in_cents": 1000});
    json!({"uuid": uuid, "external_id": "i", "date": "2016-01-01", "currency": "USD", "line_items": [line_item]})
}

fn a_subscription(external_id: &str, set: &Value) -> Value {
    let line_item = json!({"type": "subscription", "subscription_external_id": external_id, "amount_in_cents": 1000,
        "subscription_set_external_id": set, "plan_uuid": format!("pl of {external_id}"),
        "service_period_start": "2016-01-01", "service_period_end": "2016-02-01"});
    let invoice_id = format!("i of {external_id}");
    json!({"external_id": invoice_id, "date": "2016-01-01", "currency": "USD", "line_items": [line_item]})
}

async fn owner(stage: &mut Stage, customer: &str, source: &str, external_id: Option<&str>) {
    if !stage.uuids.contains_key(customer) {
        let keys = (json!([source]), json!([external_id.unwrap_or(customer)]));
        stage.customer(&json!({"uuid": customer, "data_source_uuids": keys.0, "external_ids": keys.1})).await;
    }
}

async fn plan(stage: &mut Stage, shown: &Value, number: usize) {
    let source = source_in(shown);
    stage.source(&source, &json!(source)).await;
    let mut body = json!({"data_source_uuid": stage.uuids[&source], "name": "A plan", "interval_count": 1,
        "interval_unit": "month", "external_id": shown["external_id"]});
    if number > 0 {
        body["external_id"] = Value::Null;
    }
    let made = must(&stage.sandbox, "POST /v1/plans", body).await;
    stage.uuids.insert(shown["uuid"].as_str().unwrap().to_owned(), made["uuid"].as_str().unwrap().to_owned());
}

/// The invoice as it is shown; its subscriptions keep their recorded names.
async fn invoice(stage: &mut Stage, customer: &str, shown: &Value, number: usize) {
    owner(stage, customer, SOME_SOURCE, None).await;
    let mut body = shown.clone();
    let source = stage.uuids.get(SOME_SOURCE).cloned();
    for line_item in body["line_items"].as_array_mut().unwrap() {
        if let Some(uuid) = line_item["plan_uuid"].as_str().map(str::to_owned) {
            if !stage.uuids.contains_key(&uuid) {
                plan(stage, &json!({"uuid": uuid, "data_source_uuid": shown["data_source_uuid"]}), 0).await;
            }
            line_item["plan_uuid"] = stage.uuids[&uuid].as_str().into();
        }
    }
    let source = shown["data_source_uuid"].as_str().map(|source| stage.uuids[source].clone()).or(source);
    body["data_source_uuid"] = source.into();
    if number > 0 {
        body = with_other_keys(&body, number);
    }
    let import = format!("POST /v1/import/customers/{}/invoices", stage.uuids[customer]);
    let made = must(&stage.sandbox, &import, json!({"invoices": [body]})).await;
    let made = &made["invoices"][0];
    for (old, new) in [(shown, made)].into_iter().chain(line_items(shown).iter().zip(&line_items(made))) {
        for name in ["uuid", "subscription_uuid"] {
            if let (Some(old), Some(new)) = (old[name].as_str(), new[name].as_str()) {
                stage.uuids.insert(old.to_owned(), new.to_owned());
            }
        }
    }
}

fn with_other_keys(value: &Value, number: usize) -> Value {
    match value {
        Value::Object(entries) => {
            let other = |(name, value): (&String, &Value)| match value.as_str().filter(|_| name == "external_id") {
                Some(id) => (name.clone(), format!("{id} {number}").into()),
                None => (name.clone(), with_other_keys(value, number)),
            };
            Value::Object(entries.iter().map(other).collect::<Map<_, _>>())
        }
        Value::Array(entries) => entries.iter().map(|entry| with_other_keys(entry, number)).collect(),
        other => other.clone(),
    }
}

async fn subscription(stage: &mut Stage, customer: &str, shown: &Value) {
    let source = source_in(shown);
    stage.source(&source, &json!(source)).await;
    owner(stage, customer, &source, None).await;
    let mut body = a_subscription(shown["external_id"].as_str().unwrap(), &shown["subscription_set_external_id"]);
    body["data_source_uuid"] = source.as_str().into();
    body["line_items"][0]["subscription_uuid"] = shown["uuid"].clone();
    invoice(stage, customer, &body, 0).await;
    let dates = shown["cancellation_dates"].as_array().cloned().unwrap_or_default();
    if let Some(uuid) = shown["uuid"].as_str().filter(|_| !dates.is_empty()) {
        let cancel = format!("PATCH /v1/import/subscriptions/{}", stage.uuids[uuid]);
        must(&stage.sandbox, &cancel, json!({"cancellation_dates": dates})).await;
    }
}

/// Events that are shown, or one that is named.
async fn events(stage: &mut Stage, recorded: &Recorded, sent: &Value, copies: usize) {
    let url = &recorded.request;
    let mut shown = recorded.answer["subscription_events"].as_array().cloned().unwrap_or_default();
    let of_customer = url.split("customer_uuid=").nth(1).map(|rest| rest.split('&').next().unwrap().to_owned());
    if url.starts_with("POST") {
        let source = source_in(sent);
        owner(stage, "cus_of_event", &source, sent["customer_external_id"].as_str()).await;
    } else if url.starts_with("PATCH") {
        shown.push(recorded.answer.clone());
    } else if url.starts_with("DELETE") {
        shown.push(json!({"id": url.split('=').nth(1).unwrap().parse::<u64>().unwrap(), "data_source_uuid": SOME_SOURCE,
            "customer_external_id": "c", "subscription_external_id": "s", "event_type": "subscription_cancelled",
            "event_date": "2022-05-18", "effective_date": "2022-05-18"}));
    } else if let Some(source) = url.split("data_source_uuid=").nth(1) {
        stage.source(source, &json!(source)).await;
    }
    for event in shown {
        let source = source_in(&event);
        let customer = of_customer.clone().unwrap_or("cus_of_event".to_owned());
        owner(stage, &customer, &source, event["customer_external_id"].as_str()).await;
        if let Some(id) = event["plan_external_id"].as_str().filter(|id| !id.is_empty()) {
            plan(stage, &json!({"uuid": "pl", "external_id": id, "data_source_uuid": source}), 0).await;
        }
        let mut body = event.clone();
        body["data_source_uuid"] = stage.uuids[&source].as_str().into();
        for _ in 0..copies {
            let made = must(&stage.sandbox, "POST /v1/subscription_events", json!({"subscription_event": body})).await;
            stage.uuids.insert(event["id"].to_string(), made["id"].to_string());
        }
    }
}
