//! The sandbox against recorded answers of the real API: same status, same keys, same types of values.
//!
//! For each recorded request the sandbox is prepared with what the answer shows, the UUIDs are exchanged, and the request is
//! sent. Where the sandbox answers otherwise on purpose, [`ALLOWED`] says so and why, and an entry nobody needs is an error.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::billing;
use super::testing::{must, read, request, unlimited};
use super::{Options, Sandbox};

const RECORDED: &str = include_str!("../../integration_tests/fixtures/recorded.jsonl");

#[derive(Debug, Deserialize)]
pub(super) struct Recorded {
    recorded: String,
    pub(super) request: String,
    pub(super) body: Option<Value>,
    status: u16,
    #[serde(default)]
    pub(super) answer: Value,
}

/// A difference that is meant: before which date it was recorded, the end of its path, what it is, and why.
const ALLOWED: &[(&str, &str, &str, &str)] = &[
    ("2024", "website_url", "extra", "in no answer before late 2023"),
    ("2024", "website_url", "null for string", "once answered though not sent; where it came from is unknown"),
    ("2023", "cursor", "extra", "there were no cursors before 2023"),
    ("2025", "attributes.clearbit", "absent", "in no answer since 2025"),
    ("2024", "city", "null for string", "an unset city is null since 2024, was an empty text before"),
    ("2026", "customer-since", "null for string", "nobody in the sandbox has subscriptions"),
    ("2026", "billing-system-url", "null for string", "no automatic data sources in the sandbox"),
    ("2026", "external_id", "extra", "contacts have one since 2026"),
    ("2026", "id", "extra", "official clients read an id of the account since 2026"),
    ("2023", "owner", "extra", "in no answer of 2018"),
    ("2018", "system", "extra", "data sources told no system before 2018"),
    ("2026", "status", "extra", "of invoices; documented since 2025, like the next seven"),
    ("2026", "collection_method", "extra", "documented since 2025"),
    ("2026", "customer_external_id", "extra", "documented since 2025"),
    ("2026", "plan_external_id", "extra", "documented since 2025"),
    ("2026", "disabled", "extra", "documented since 2025"),
    ("2026", "disabled_at", "extra", "documented since 2025"),
    ("2026", "disabled_by", "extra", "documented since 2025"),
    ("2026", "user_created", "extra", "documented since 2025"),
    ("2026", "balance_transfer", "extra", "in lists only until 2025, documented everywhere since"),
    ("2023", "has_more", "extra", "there were no cursors before 2023"),
];

/// Answers of a form that is gone: only the status is compared.
fn is_superseded(recorded: &Recorded) -> bool {
    // Customers of 2016 were answered in another form altogether: eleven keys, empty texts for all that is unset.
    let is_old_customer = recorded.request == "POST /v1/customers" && recorded.recorded.starts_with("2016");
    // Invoices, transactions and analysed subscriptions told fewer keys before 2019.
    let is_billing = ["POST /v1/import/", "GET /v1/customers/"].iter().any(|start| recorded.request.starts_with(start));
    is_old_customer || is_billing && recorded.recorded.as_str() < "2019"
}

#[tokio::test(start_paused = true)]
async fn recorded_requests_are_answered_as_they_were() {
    let mut problems = Vec::new();
    let mut needed = BTreeSet::new();
    let mut count = 0;
    for line in RECORDED.lines() {
        let recorded: Recorded = serde_json::from_str(line).unwrap();
        count += 1;
        let (status, answer) = replay(&recorded).await;
        if status != recorded.status {
            problems.push(format!("{} {}: {status} {answer}", recorded.recorded, recorded.request));
            continue;
        }
        if is_superseded(&recorded) {
            continue;
        }
        let mut differences = Vec::new();
        compare("", &recorded.answer, &answer, &mut differences);
        for (path, difference) in differences {
            let allowed = ALLOWED.iter().position(|(before, end, kind, _)| {
                recorded.recorded.as_str() < *before
                    && *kind == difference
                    && (path == *end || path.ends_with(&format!(".{end}")))
            });
            match allowed {
                Some(place) => {
                    needed.insert(place);
                }
                None => problems.push(format!("{} {}: {path}: {difference}", recorded.recorded, recorded.request)),
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(count, 149);
    let idle: Vec<_> = (0..ALLOWED.len()).filter(|place| !needed.contains(place)).map(|place| ALLOWED[place]).collect();
    assert!(idle.is_empty(), "not needed: {idle:?}");
}

/// Prepares a sandbox so that the request fits, and sends it.
async fn replay(recorded: &Recorded) -> (u16, Value) {
    let mut stage = Stage::new(recorded);
    let (method, url) = recorded.request.split_once(' ').unwrap();
    let path = url.split('?').next().unwrap();
    let segments: Vec<&str> = path.split('/').skip(2).collect();
    let success = recorded.status < 300;
    match (method, segments.as_slice()) {
        ("GET", ["data_sources"]) => {
            for source in recorded.answer["data_sources"].as_array().unwrap() {
                stage.source(source["uuid"].as_str().unwrap(), &source["name"]).await;
            }
        }
        ("GET" | "DELETE", ["data_sources", uuid]) if success => stage.source(uuid, &json!("A source")).await,
        ("POST", ["customers"]) => stage.source_of(recorded.body.as_ref().unwrap()).await,
        ("GET", ["customers"] | ["customers", "search"]) if success => {
            for entry in recorded.answer["entries"].as_array().unwrap() {
                stage.customers(entry, url).await;
            }
        }
        ("GET" | "PATCH" | "DELETE", ["customers", uuid]) => {
            let shown = if recorded.answer.is_null() { json!({"uuid": uuid}) } else { recorded.answer.clone() };
            stage.customer(&shown).await;
        }
        (_, ["customers", uuid, "attributes", _]) => {
            let answer = &recorded.answer;
            let attributes =
                json!({"tags": answer["tags"], "custom": if method == "PUT" { &answer["custom"] } else { &Value::Null }});
            stage.customer(&json!({"uuid": uuid, "attributes": attributes})).await;
        }
        ("POST", ["customers", "merges"]) => {
            for side in ["from", "into"] {
                let uuid = &recorded.body.as_ref().unwrap()[side]["customer_uuid"];
                stage.customer(&json!({"uuid": uuid, "external_id": side})).await;
            }
        }
        ("POST", ["customers", "unmerges"]) => {
            let body = recorded.body.as_ref().unwrap();
            let sources = json!([body["data_source_uuid"], "ds_other"]);
            let ids = json!([body["external_id"], "other"]);
            let shown = json!({"uuid": body["customer_uuid"], "data_source_uuids": sources, "external_ids": ids});
            stage.customer(&shown).await;
        }
        ("POST", ["contacts"]) => {
            let answer = &recorded.answer;
            let keys = json!({"uuid": answer["customer_uuid"], "external_id": answer["customer_external_id"],
                "data_source_uuids": [answer["data_source_uuid"]], "external_ids": [answer["customer_external_id"]]});
            stage.customer(&keys).await;
        }
        ("GET", ["contacts"]) => {
            for entry in recorded.answer["entries"].as_array().unwrap() {
                for _ in 0..if url.contains("page=") { 4 } else { 1 } {
                    stage.contact(entry, "").await;
                }
            }
        }
        (_, ["contacts", uuid]) => stage.contact(&recorded.answer, uuid).await,
        ("POST", ["contacts", into, "merge", from]) => {
            stage.contact(&recorded.answer, into).await;
            stage.contact(&json!({"data_source_uuid": recorded.answer["data_source_uuid"]}), from).await;
        }
        ("POST", ["customer_notes" | "opportunities" | "tasks"]) => {
            stage.customer(&json!({"uuid": recorded.answer["customer_uuid"]})).await;
        }
        ("GET", [object @ ("customer_notes" | "opportunities" | "tasks")]) => {
            for entry in recorded.answer["entries"].as_array().unwrap().iter().rev() {
                for _ in 0..if url.contains("page=") { 4 } else { 1 } {
                    stage.hung_on_customer(object, entry, "").await;
                }
            }
        }
        (_, [object @ ("customer_notes" | "opportunities" | "tasks"), uuid]) => {
            stage.hung_on_customer(object, &recorded.answer, uuid).await;
        }
        _ if billing::find(&segments).is_some() => billing::prepare(&mut stage, recorded, &segments).await,
        _ => {}
    }
    stage.send(recorded).await
}

/// A sandbox in preparation, with recorded UUIDs and what became of them.
pub(super) struct Stage {
    pub(super) sandbox: Sandbox,
    pub(super) uuids: BTreeMap<String, String>,
    made: usize,
}

impl Stage {
    fn new(recorded: &Recorded) -> Stage {
        let options = Options {
            data_sources: Vec::new(),
            users: users_in(&recorded.answer),
            contact_attributes: vec!["Toggle".into()],
            ..Options::default()
        };
        Stage { sandbox: unlimited(options), uuids: BTreeMap::new(), made: 0 }
    }

    pub(super) async fn source(&mut self, recorded: &str, name: &Value) {
        if !self.uuids.contains_key(recorded) {
            let source = must(&self.sandbox, "POST /v1/data_sources", json!({"name": name})).await;
            self.uuids.insert(recorded.into(), source["uuid"].as_str().unwrap().into());
        }
    }

    pub(super) async fn source_of(&mut self, body: &Value) {
        let uuid = body["data_source_uuid"].as_str().unwrap();
        self.source(uuid, &json!(uuid)).await;
    }

    /// The recorded customer, and like ones when a page in the middle was asked for.
    async fn customers(&mut self, shown: &Value, url: &str) {
        let mut shown = shown.clone();
        if let Some(email) = url.split("email=").nth(1) {
            shown["email"] = email.split('&').next().unwrap().replace("%40", "@").into();
        }
        self.customer(&shown).await;
        if url.contains("page=") && !url.contains("search") {
            for number in 1..4 {
                let mut another = shown.clone();
                another["uuid"] = format!("another {number}").into();
                for id in another["external_ids"].as_array_mut().unwrap() {
                    *id = format!("{} {number}", id.as_str().unwrap()).into();
                }
                self.customer(&another).await;
            }
        }
    }

    /// A customer as shown, by as many keys as it has.
    pub(super) async fn customer(&mut self, shown: &Value) {
        self.made += 1;
        let fallback = (json!(["ds_some"]), json!([format!("id {}", self.made)]));
        let (sources, ids) = match (&shown["data_source_uuids"], &shown["external_ids"]) {
            (Value::Array(_), Value::Array(_)) => (&shown["data_source_uuids"], &shown["external_ids"]),
            _ => (&fallback.0, &fallback.1),
        };
        let mut first: Option<String> = None;
        for (source, id) in sources.as_array().unwrap().iter().zip(ids.as_array().unwrap()) {
            let source = source.as_str().unwrap();
            self.source(source, &json!(source)).await;
            let mut body = Map::new();
            body.insert("data_source_uuid".into(), self.uuids[source].as_str().into());
            body.insert("external_id".into(), id.clone());
            if first.is_none() {
                for name in ["name", "email", "company", "country", "state", "city", "zip", "owner", "website_url"] {
                    body.insert(name.into(), shown[name].clone());
                }
                for name in ["lead_created_at", "free_trial_started_at"] {
                    body.insert(name.into(), shown[name].clone());
                }
                body.insert("attributes".into(), attributes(&shown["attributes"]));
            }
            let made = must(&self.sandbox, "POST /v1/customers", Value::Object(body)).await;
            let made = made["uuid"].as_str().unwrap().to_owned();
            match &first {
                None => first = Some(made),
                Some(into) => {
                    let body = json!({"from": {"customer_uuid": made}, "into": {"customer_uuid": into}});
                    must(&self.sandbox, "POST /v1/customers/merges", body).await;
                }
            }
        }
        if let Some(uuid) = shown["uuid"].as_str() {
            self.uuids.insert(uuid.into(), first.unwrap());
        }
    }

    async fn contact(&mut self, shown: &Value, uuid: &str) {
        let customer = shown["customer_uuid"].as_str().unwrap_or("some customer").to_owned();
        let source = shown["data_source_uuid"].as_str().unwrap_or("ds_some").to_owned();
        if !self.uuids.contains_key(&customer) {
            self.customer(&json!({"uuid": customer, "data_source_uuids": [source], "external_ids": ["c"]})).await;
        }
        let mut body = json!({"customer_uuid": self.uuids[&customer], "data_source_uuid": self.uuids[&source]});
        for name in ["first_name", "last_name", "title", "email", "phone", "linked_in", "twitter", "notes", "position"] {
            body[name] = shown[name].clone();
        }
        let custom = shown["custom"].as_object().into_iter().flatten();
        body["custom"] = custom.map(|(key, value)| json!({"key": key, "value": value})).collect();
        let made = must(&self.sandbox, "POST /v1/contacts", body).await;
        self.uuids.insert(uuid.into(), made["uuid"].as_str().unwrap().into());
    }

    /// A note, opportunity or task as shown; where the answer was to a DELETE and shows nothing, any will do.
    async fn hung_on_customer(&mut self, object: &str, shown: &Value, uuid: &str) {
        let customer = shown["customer_uuid"].as_str().unwrap_or("some customer").to_owned();
        if !self.uuids.contains_key(&customer) {
            self.customer(&json!({"uuid": customer})).await;
        }
        let mut body = json!({"type": "note", "pipeline": "New Business", "pipeline_stage": "Discovery", "currency": "USD",
            "estimated_close_date": "2024-03-30", "amount_in_cents": 1, "task_details": "x", "due_date": "2025-04-30"});
        if object == "opportunities" {
            body["type"] = json!("arr");
        }
        for user in ["owner", "assignee"] {
            body[user] = "owner@example.com".into();
        }
        for (name, value) in shown.as_object().into_iter().flatten().filter(|(name, _)| *name != "custom") {
            body[name] = value.clone();
        }
        body["customer_uuid"] = self.uuids[&customer].as_str().into();
        let custom = shown["custom"].as_object().into_iter().flatten();
        body["custom"] = custom.map(|(key, value)| json!({"key": key, "value": value})).collect();
        let made = must(&self.sandbox, &format!("POST /v1/{object}"), body).await;
        let made = made.get("uuid").or(made.get("task_uuid")).unwrap();
        self.uuids.insert(uuid.into(), made.as_str().unwrap().into());
    }

    /// Sends the recorded request with the sandbox's own UUIDs and cursor.
    async fn send(&self, recorded: &Recorded) -> (u16, Value) {
        let swapped = |text: &str| {
            let known = self.uuids.iter().filter(|(old, _)| !old.is_empty());
            known.fold(text.to_owned(), |text, (old, new)| text.replace(old.as_str(), new))
        };
        let mut line = swapped(&recorded.request);
        if let Some((start, rest)) = line.clone().split_once("cursor=") {
            let others = rest.split_once('&').map_or("", |(_, others)| others);
            let first = must(&self.sandbox, &format!("{start}{others}"), None).await;
            let cursor = first["cursor"].as_str().unwrap().replace('=', "%3D");
            line = format!("{start}cursor={cursor}&{others}");
        }
        let body = recorded.body.as_ref().map(|body| serde_json::from_str(&swapped(&body.to_string())).unwrap());
        let mut request = request(&line, body);
        if recorded.status == 401 {
            request.authorization = None;
        }
        read(&self.sandbox.answer(request).await)
    }
}

/// The users whom an answer shows, and one more.
fn users_in(answer: &Value) -> Vec<String> {
    let entries = answer["entries"].as_array().into_iter().flatten();
    let shown = entries.chain([answer]).flat_map(|entry| [&entry["owner"], &entry["assignee"], &entry["author"]]);
    let emails = shown.filter_map(Value::as_str).map(|text| text.rsplit('(').next().unwrap().trim_end_matches(')').to_owned());
    emails.chain(["owner@example.com".to_owned()]).collect()
}

/// A customer's answered attributes in the form in which they are sent.
fn attributes(shown: &Value) -> Value {
    let custom = shown["custom"].as_object().into_iter().flatten().map(|(key, value)| {
        let kind = match value {
            Value::Bool(_) => "Boolean",
            Value::Number(_) => "Integer",
            _ if key.contains("timestamp") => "Timestamp",
            _ => "String",
        };
        json!({"type": kind, "key": key, "value": value})
    });
    json!({"tags": shown["tags"], "custom": custom.collect::<Vec<_>>()})
}

fn compare(path: &str, recorded: &Value, ours: &Value, differences: &mut Vec<(String, String)>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (recorded, ours) {
        (Value::Object(recorded), Value::Object(ours)) => {
            for (key, value) in recorded {
                match ours.get(key) {
                    Some(other) => compare(&below(key), value, other, differences),
                    None => differences.push((below(key), "absent".into())),
                }
            }
            for key in ours.keys().filter(|key| !recorded.contains_key(*key)) {
                differences.push((below(key), "extra".into()));
            }
        }
        (Value::Array(recorded), Value::Array(ours)) => {
            if recorded.len() != ours.len() && path != "tags" && !path.ends_with(".tags") {
                differences.push((path.to_owned(), format!("{} for {} entries", ours.len(), recorded.len())));
            }
            for entry in recorded {
                // Lists may come in another order; customers are told apart by what does not change on the way.
                let known = |entry: &Value| (entry.get("external_ids").cloned(), entry.get("email").cloned());
                let same = ours.iter().find(|other| known(other) == known(entry));
                if let Some(other) = same.or(ours.first()) {
                    compare(path, entry, other, differences);
                }
            }
        }
        _ if type_of(recorded) == type_of(ours) => {}
        _ => differences.push((path.to_owned(), format!("{} for {}", type_of(ours), type_of(recorded)))),
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}
