//! Rules of notes, opportunities and tasks, one behaviour a test.

use std::time::Duration;

use serde_json::{Value, json};

use super::testing::{contact, customer, must, send, unlimited};
use super::{DATA_SOURCE_UUID, Options, Pipeline, Quirks, SECOND_DATA_SOURCE_UUID, Sandbox};

const OWNER: &str = "owner@example.com";
const SECOND: &str = "second.owner@example.com";

fn sandbox() -> Sandbox {
    unlimited(Options { data_sources: vec!["Sandbox".into(), "Other".into()], ..Options::default() })
}

/// The least a body of each object needs beside its customer.
fn least(object: &str) -> Value {
    match object {
        "customer_notes" => json!({"type": "note"}),
        "opportunities" => json!({"owner": OWNER, "pipeline": "New Business", "pipeline_stage": "Discovery",
            "estimated_close_date": "2026-03-30", "currency": "USD", "amount_in_cents": 200_000}),
        _ => json!({"task_details": "Call", "assignee": OWNER, "due_date": "2026-04-30T00:00:00Z"}),
    }
}

const OBJECTS: [&str; 3] = ["customer_notes", "opportunities", "tasks"];

/// A body of an object with the customer and more in it.
fn body(object: &str, customer: &str, more: &Value) -> Value {
    let mut body = least(object);
    body["customer_uuid"] = customer.into();
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn make(sandbox: &Sandbox, object: &str, customer: &str, more: Value) -> String {
    let made = must(sandbox, &format!("POST /v1/{object}"), body(object, customer, &more)).await;
    let uuid = if object == "tasks" { "task_uuid" } else { "uuid" };
    made[uuid].as_str().unwrap().to_owned()
}

async fn listed(sandbox: &Sandbox, path: &str, field: &str) -> Vec<String> {
    let list = must(sandbox, &format!("GET /v1/{path}"), None).await;
    list["entries"].as_array().unwrap().iter().map(|entry| entry[field].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn each_is_made_read_changed_and_removed() {
    let sandbox = sandbox();
    let ann = customer(&sandbox, "ann", json!({})).await;
    for (object, prefix, change) in [
        ("customer_notes", "note_", json!({"text": "changed"})),
        ("opportunities", "", json!({"estimated_close_date": "2026-05-01"})),
        ("tasks", "", json!({"task_details": "changed"})),
    ] {
        let uuid = make(&sandbox, object, &ann, json!({})).await;
        assert_eq!(uuid.strip_prefix(prefix).map(str::len), Some(36), "{object}: {uuid}");
        let path = format!("/v1/{object}/{uuid}");
        let read = must(&sandbox, &format!("GET {path}"), None).await;
        assert_eq!((&read["customer_uuid"], &read["created_at"]), (&json!(ann), &read["updated_at"]));
        let changed = must(&sandbox, &format!("PATCH {path}"), change.clone()).await;
        let mut expected = read.clone();
        for (name, value) in change.as_object().unwrap().iter().chain([(&"updated_at".to_owned(), &changed["updated_at"])]) {
            expected[name] = value.clone();
        }
        assert_eq!(changed, expected);
        assert_eq!(must(&sandbox, &format!("GET {path}"), None).await, changed);
        assert_eq!(send(&sandbox, &format!("DELETE {path}"), None).await, (200, json!({})));
        for method in ["GET", "PATCH", "DELETE"] {
            assert_eq!(send(&sandbox, &format!("{method} {path}"), None).await.0, 404, "{method} {object}");
        }
        assert_eq!(must(&sandbox, &format!("GET /v1/{object}"), None).await["entries"], json!([]));
        assert_eq!(send(&sandbox, &format!("PUT {path}"), json!({})).await.0, 405);
    }
}

#[tokio::test]
async fn what_is_needed_is_needed_and_nothing_stays_of_a_refusal() {
    let sandbox = sandbox();
    let ann = customer(&sandbox, "ann", json!({})).await;
    for object in OBJECTS {
        let line = format!("POST /v1/{object}");
        let whole = body(object, &ann, &json!({}));
        for name in whole.as_object().unwrap().keys() {
            for without in [None, Some(Value::Null)] {
                let mut broken = whole.clone();
                broken.as_object_mut().unwrap().remove(name);
                if let Some(null) = without {
                    broken[name] = null;
                }
                let (status, answer) = send(&sandbox, &line, broken).await;
                assert_eq!((status, &answer["param"]), (400, &json!(name)), "{object}");
            }
        }
        assert_eq!(send(&sandbox, &line, body(object, "cus_x", &json!({}))).await.0, 404);
        assert_eq!(sandbox.dump()[object], json!([]));
    }
}

#[tokio::test]
async fn a_wrong_value_is_refused_by_name() {
    let sandbox = sandbox();
    let ann = customer(&sandbox, "ann", json!({})).await;
    let cases = [
        ("customer_notes", "type", json!("email")),
        ("customer_notes", "text", json!(5)),
        ("customer_notes", "author_email", json!("stranger@example.com")),
        ("customer_notes", "call_duration", json!(-1)),
        ("customer_notes", "call_duration", json!("60")),
        ("customer_notes", "call_duration", json!(60)),
        ("customer_notes", "created_at", json!("yesterday")),
        ("opportunities", "owner", json!("stranger@example.com")),
        ("opportunities", "pipeline", json!("Unknown")),
        ("opportunities", "pipeline_stage", json!("Unknown")),
        ("opportunities", "pipeline_stage", json!("Offer")),
        ("opportunities", "estimated_close_date", json!("2026-02-30")),
        ("opportunities", "estimated_close_date", json!("2026-03-30T00:00:00Z")),
        ("opportunities", "currency", json!("usd")),
        ("opportunities", "currency", json!("XYZ")),
        ("opportunities", "amount_in_cents", json!("100")),
        ("opportunities", "amount_in_cents", json!(1.5)),
        ("opportunities", "amount_in_cents", json!(-1)),
        ("opportunities", "type", json!("one_time")),
        ("opportunities", "forecast_category", json!("closed")),
        ("opportunities", "win_likelihood", json!(101)),
        ("opportunities", "custom", json!({"from_campaign": true})),
        ("tasks", "task_details", json!("x".repeat(256))),
        ("tasks", "assignee", json!("stranger@example.com")),
        ("tasks", "due_date", json!("soon")),
        ("tasks", "completed_at", json!(true)),
    ];
    for (object, name, value) in cases {
        let uuid = make(&sandbox, object, &ann, json!({})).await;
        let before = sandbox.dump();
        let wrong = json!({ name: value });
        let made = send(&sandbox, &format!("POST /v1/{object}"), body(object, &ann, &wrong)).await;
        let changed = send(&sandbox, &format!("PATCH /v1/{object}/{uuid}"), wrong.clone()).await;
        for (status, answer) in [made, changed] {
            assert_eq!(status, 422, "{object} {wrong}: {answer}");
            assert!(answer["errors"].get(name).is_some(), "{object} {wrong}: {answer}");
        }
        assert_eq!(sandbox.dump(), before, "{object} {wrong}");
    }
    let long = json!({"text": "x".repeat(100_000)});
    make(&sandbox, "customer_notes", &ann, long).await;
    make(&sandbox, "tasks", &ann, json!({"task_details": "ü".repeat(255)})).await;
    for (amount, likelihood) in [(0, 0), (i64::MAX, 100)] {
        let ends = json!({"amount_in_cents": amount, "win_likelihood": likelihood});
        make(&sandbox, "opportunities", &ann, ends).await;
    }
}

#[tokio::test]
async fn the_customer_and_the_type_of_a_note_stay_as_they_are() {
    let sandbox = sandbox();
    let ann = customer(&sandbox, "ann", json!({})).await;
    let bob = customer(&sandbox, "bob", json!({})).await;
    for object in OBJECTS {
        let line = format!("PATCH /v1/{object}/{}", make(&sandbox, object, &ann, json!({})).await);
        must(&sandbox, &line, json!({"customer_uuid": ann, "stray": 1})).await;
        assert_eq!(send(&sandbox, &line, json!({"customer_uuid": bob})).await.0, 422, "{object}");
    }
    let note = make(&sandbox, "customer_notes", &ann, json!({})).await;
    must(&sandbox, &format!("PATCH /v1/customer_notes/{note}"), json!({"type": "note"})).await;
    assert_eq!(send(&sandbox, &format!("PATCH /v1/customer_notes/{note}"), json!({"type": "call"})).await.0, 422);
}

#[tokio::test]
async fn an_author_comes_back_as_a_name_with_the_address() {
    let sandbox = sandbox();
    let ann = customer(&sandbox, "ann", json!({})).await;
    let note = make(&sandbox, "customer_notes", &ann, json!({"author_email": SECOND})).await;
    let shown = must(&sandbox, &format!("GET /v1/customer_notes/{note}"), None).await;
    assert_eq!(shown["author"], "Second Owner (second.owner@example.com)");
    assert_eq!(shown.get("author_email"), None);
    let note = make(&sandbox, "customer_notes", &ann, json!({})).await;
    let shown = must(&sandbox, &format!("GET /v1/customer_notes/{note}"), None).await;
    assert_eq!(shown["author"], "Owner (owner@example.com)", "whoever the key belongs to");
    let shown = must(&sandbox, &format!("PATCH /v1/customer_notes/{note}"), json!({"author_email": SECOND})).await;
    assert_eq!(shown["author"], "Second Owner (second.owner@example.com)");
}

#[tokio::test]
async fn calls_have_a_duration_and_notes_have_none() {
    let sandbox = sandbox();
    let ann = customer(&sandbox, "ann", json!({})).await;
    let line = "POST /v1/customer_notes";
    for (more, shown) in [
        (json!({"type": "note"}), 0),
        (json!({"type": "note", "call_duration": 0}), 0),
        (json!({"type": "call"}), 60),
        (json!({"type": "call", "call_duration": 0}), 0),
        (json!({"type": "call", "call_duration": 90}), 90),
    ] {
        assert_eq!(must(&sandbox, line, body("customer_notes", &ann, &more)).await["call_duration"], shown, "{more}");
    }
}

#[tokio::test]
async fn a_note_is_of_the_time_that_was_given() {
    let sandbox = sandbox();
    let ann = customer(&sandbox, "ann", json!({})).await;
    let made = body("customer_notes", &ann, &json!({"created_at": "2020-01-01 10:00:00 +0200", "updated_at": "2020-01-02"}));
    let made = must(&sandbox, "POST /v1/customer_notes", made).await;
    assert_eq!(made["created_at"], "2020-01-01T08:00:00.000Z");
    assert_ne!(made["updated_at"], "2020-01-02T00:00:00.000Z", "for updates only");
    let line = format!("PATCH /v1/customer_notes/{}", made["uuid"].as_str().unwrap());
    let changed = must(&sandbox, &line, json!({"updated_at": "2020-01-03"})).await;
    assert_eq!(changed["updated_at"], "2020-01-03T00:00:00.000Z");
    let changed = must(&sandbox, &line, json!({"created_at": "2019-01-01"})).await;
    assert_eq!(changed["created_at"], "2019-01-01T00:00:00.000Z");
    assert_ne!(changed["updated_at"], "2020-01-03T00:00:00.000Z", "the next update is one of its own");
}

#[tokio::test]
async fn an_update_is_told_by_its_time() {
    tokio::time::pause();
    let sandbox = sandbox();
    let ann = customer(&sandbox, "ann", json!({})).await;
    for object in OBJECTS {
        let uuid = make(&sandbox, object, &ann, json!({})).await;
        let line = format!("/v1/{object}/{uuid}");
        let before = must(&sandbox, &format!("GET {line}"), None).await;
        tokio::time::advance(Duration::from_secs(60)).await;
        let after = must(&sandbox, &format!("PATCH {line}"), json!({})).await;
        assert_eq!(before["created_at"], after["created_at"]);
        assert!(before["updated_at"].as_str() < after["updated_at"].as_str(), "{object}");
    }
}

#[tokio::test]
async fn null_leaves_a_field_alone_unless_the_quirk_clears_it() {
    for null_clears in [false, true] {
        let quirks = Quirks { null_clears, ..Quirks::default() };
        let sandbox = unlimited(Options { quirks, ..Options::default() });
        let ann = customer(&sandbox, "ann", json!({})).await;
        let task = make(&sandbox, "tasks", &ann, json!({"completed_at": "2026-01-01"})).await;
        let line = format!("PATCH /v1/tasks/{task}");
        let shown = must(&sandbox, &line, json!({"completed_at": null})).await;
        assert_eq!(shown["completed_at"].is_null(), null_clears);
        let (status, _) = send(&sandbox, &line, json!({"assignee": null})).await;
        assert_eq!(status, if null_clears { 422 } else { 200 });
    }
}

#[tokio::test]
async fn a_stage_belongs_to_its_pipeline() {
    let pipelines = vec![Pipeline::new("A", &["one", "both"]), Pipeline::new("B", &["both", "two"])];
    let sandbox = unlimited(Options { pipelines, ..Options::default() });
    let ann = customer(&sandbox, "ann", json!({})).await;
    let made = make(&sandbox, "opportunities", &ann, json!({"pipeline": "A", "pipeline_stage": "one"})).await;
    let line = format!("PATCH /v1/opportunities/{made}");
    for (change, status) in [
        (json!({"pipeline_stage": "two"}), 422),
        (json!({"pipeline": "B"}), 422),
        (json!({"pipeline": "B", "pipeline_stage": "two"}), 200),
        (json!({"pipeline_stage": "both"}), 200),
        (json!({"pipeline": "A"}), 200),
    ] {
        assert_eq!(send(&sandbox, &line, change.clone()).await.0, status, "{change}");
    }
}

#[tokio::test]
async fn an_opportunity_keeps_defined_custom_keys_only_and_joins_them() {
    let sandbox = sandbox();
    let ann = customer(&sandbox, "ann", json!({})).await;
    let custom = json!({"custom": [{"key": "from_campaign", "value": true}, {"key": "undefined", "value": 1}]});
    let made = make(&sandbox, "opportunities", &ann, custom).await;
    let line = format!("/v1/opportunities/{made}");
    assert_eq!(must(&sandbox, &format!("GET {line}"), None).await["custom"], json!({"from_campaign": true}));
    let custom = json!({"custom": [{"key": "deal_id", "value": "d-1"}]});
    let shown = must(&sandbox, &format!("PATCH {line}"), custom).await;
    assert_eq!(shown["custom"], json!({"from_campaign": true, "deal_id": "d-1"}));
    for (object, stray) in [("customer_notes", "from_campaign"), ("tasks", "from_campaign")] {
        let more = json!({"custom": [{"key": stray, "value": true}]});
        let made = must(&sandbox, &format!("POST /v1/{object}"), body(object, &ann, &more)).await;
        assert_eq!(made.get("custom"), None, "{object}");
    }
}

#[tokio::test]
async fn lists_run_from_the_newest_and_miss_what_is_made_meanwhile() {
    let sandbox = sandbox();
    let ann = customer(&sandbox, "ann", json!({})).await;
    let bob = customer(&sandbox, "bob", json!({})).await;
    for object in OBJECTS {
        let key = if object == "tasks" { "task_uuid" } else { "uuid" };
        let mut made = Vec::new();
        for customer in [&ann, &ann, &bob, &ann] {
            made.push(make(&sandbox, object, customer, json!({})).await);
        }
        made.reverse();
        assert_eq!(listed(&sandbox, object, key).await, made, "{object}");
        for filter in ["", &format!("&customer_uuid={ann}")] {
            let first = must(&sandbox, &format!("GET /v1/{object}?per_page=2{filter}"), None).await;
            assert_eq!((first["entries"].as_array().unwrap().len(), &first["has_more"]), (2, &json!(true)));
            make(&sandbox, object, &ann, json!({})).await;
            let cursor = first["cursor"].as_str().unwrap().replace('=', "%3D").replace('+', "%2B");
            let last = must(&sandbox, &format!("GET /v1/{object}?per_page=2{filter}&cursor={cursor}"), None).await;
            assert_eq!(last["has_more"], false);
            let oldest = last["entries"].as_array().unwrap().last().unwrap();
            assert_eq!(oldest[key], made[3], "{object} {filter}");
        }
        assert_eq!(send(&sandbox, &format!("GET /v1/{object}?cursor=nonsense"), None).await.0, 400);
    }
}

#[tokio::test]
async fn each_filter_of_notes_finds_what_it_says() {
    let sandbox = sandbox();
    let ann = customer(&sandbox, "ann", json!({})).await;
    let bob = customer(&sandbox, "bob", json!({})).await;
    make(&sandbox, "customer_notes", &ann, json!({"text": "a"})).await;
    make(&sandbox, "customer_notes", &ann, json!({"text": "b", "type": "call"})).await;
    make(&sandbox, "customer_notes", &bob, json!({"text": "c", "author_email": SECOND})).await;
    let found = async |query: &str| listed(&sandbox, &format!("customer_notes?{query}"), "text").await.concat();
    assert_eq!(found("").await, "cba");
    assert_eq!(found(&format!("customer_uuid={ann}")).await, "ba");
    assert_eq!(found("type=call").await, "b");
    assert_eq!(found(&format!("customer_uuid={ann}&type=note")).await, "a");
    assert_eq!(found("author_email=second.owner%40example.com").await, "c");
    assert_eq!(found("author_email=stranger%40example.com").await, "");
    assert_eq!(found("customer_uuid=cus_unknown").await, "");
    assert_eq!(send(&sandbox, "GET /v1/customer_notes?type=email", None).await.0, 400);
}

#[tokio::test]
async fn each_filter_of_opportunities_finds_what_it_says() {
    let sandbox = sandbox();
    let ann = customer(&sandbox, "ann", json!({})).await;
    for (currency, more) in [
        ("AUD", json!({"owner": SECOND, "estimated_close_date": "2026-01-01"})),
        ("BRL", json!({"pipeline_stage": "Closing", "estimated_close_date": "2026-01-02"})),
        ("CAD", json!({"pipeline": "Expansion", "estimated_close_date": "2026-01-03"})),
    ] {
        let mut more = more;
        more["currency"] = currency.into();
        make(&sandbox, "opportunities", &ann, more).await;
    }
    let found = async |query: &str| listed(&sandbox, &format!("opportunities?{query}"), "currency").await.join(" ");
    assert_eq!(found("owner=second.owner%40example.com").await, "AUD");
    assert_eq!(found("pipeline=New+Business").await, "BRL AUD");
    assert_eq!(found("pipeline_stage=Discovery").await, "CAD AUD");
    assert_eq!(found("pipeline=New%20Business&pipeline_stage=Closing").await, "BRL");
    assert_eq!(found("estimated_close_date_on_or_after=2026-01-02").await, "CAD BRL");
    assert_eq!(found("estimated_close_date_on_or_before=2026-01-02").await, "BRL AUD");
    let both = "estimated_close_date_on_or_after=2026-01-02&estimated_close_date_on_or_before=2026-01-02";
    assert_eq!(found(&format!("{both}&customer_uuid={ann}")).await, "BRL");
    assert_eq!(send(&sandbox, "GET /v1/opportunities?estimated_close_date_on_or_after=soon", None).await.0, 400);
}

#[tokio::test]
async fn each_filter_of_tasks_finds_what_it_says() {
    let sandbox = sandbox();
    let ann = customer(&sandbox, "ann", json!({})).await;
    for (details, more) in [
        ("a", json!({"assignee": SECOND, "due_date": "2026-01-01"})),
        ("b", json!({"completed_at": "2025-12-01", "due_date": "2026-01-02T10:00:00Z"})),
        ("c", json!({"due_date": "2026-01-03"})),
    ] {
        let mut more = more;
        more["task_details"] = details.into();
        make(&sandbox, "tasks", &ann, more).await;
    }
    let found = async |query: &str| listed(&sandbox, &format!("tasks?{query}"), "task_details").await.concat();
    assert_eq!(found("assignee=second.owner%40example.com").await, "a");
    assert_eq!(found("completed=true").await, "b");
    assert_eq!(found("completed=false").await, "ca");
    assert_eq!(found("due_date_on_or_after=2026-01-02").await, "cb");
    assert_eq!(found("due_date_on_or_before=2026-01-02").await, "ba", "a day lasts to its end");
    assert_eq!(found("due_date_on_or_before=2026-01-02T09%3A59%3A00Z").await, "a");
    assert_eq!(found("due_date_on_or_after=2026-01-02T10%3A00%3A00Z&completed=false").await, "c");
    for wrong in ["completed=maybe", "due_date_on_or_after=soon"] {
        assert_eq!(send(&sandbox, &format!("GET /v1/tasks?{wrong}"), None).await.0, 400, "{wrong}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_may_lag_behind_what_was_made() {
    let quirks = Quirks { list_lag: Duration::from_secs(3), ..Quirks::default() };
    let sandbox = unlimited(Options { quirks, ..Options::default() });
    let ann = customer(&sandbox, "ann", json!({})).await;
    for object in OBJECTS {
        make(&sandbox, object, &ann, json!({})).await;
    }
    for (seconds, count) in [(2, 0), (2, 1)] {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        for object in OBJECTS {
            let list = must(&sandbox, &format!("GET /v1/{object}"), None).await;
            assert_eq!(list["entries"].as_array().unwrap().len(), count, "{object}");
        }
    }
}

#[tokio::test]
async fn what_hangs_on_a_customer_goes_with_it() {
    let sandbox = sandbox();
    for line in [
        "DELETE /v1/customers/ANN".to_owned(),
        format!("DELETE /v1/data_sources/{DATA_SOURCE_UUID}/all"),
        format!("DELETE /v1/data_sources/{DATA_SOURCE_UUID}/dependent"),
        format!("DELETE /v1/data_sources/{DATA_SOURCE_UUID}"),
    ] {
        let ann = customer(&sandbox, "ann", json!({})).await;
        contact(&sandbox, &ann, json!({})).await;
        let elsewhere = json!({"data_source_uuid": SECOND_DATA_SOURCE_UUID, "external_id": "bob"});
        let bob = must(&sandbox, "POST /v1/customers", elsewhere).await["uuid"].as_str().unwrap().to_owned();
        for object in OBJECTS {
            make(&sandbox, object, &ann, json!({})).await;
            make(&sandbox, object, &bob, json!({})).await;
        }
        must(&sandbox, &line.replace("ANN", &ann), None).await;
        for object in OBJECTS {
            assert_eq!(listed(&sandbox, object, "customer_uuid").await, std::slice::from_ref(&bob), "{line} {object}");
            let none = listed(&sandbox, &format!("{object}?customer_uuid={ann}"), "customer_uuid").await;
            assert_eq!(none, Vec::<String>::new(), "{line} {object}");
        }
        must(&sandbox, &format!("DELETE /v1/customers/{bob}"), None).await;
    }
    assert_eq!(send(&sandbox, "DELETE /v1/data_sources/ds_unknown/dependent", None).await.0, 404);
}

#[tokio::test]
async fn merging_unites_what_hangs_on_customers_and_taking_apart_moves_what_is_named() {
    let sandbox = sandbox();
    let into = customer(&sandbox, "into", json!({})).await;
    let from = customer(&sandbox, "from", json!({})).await;
    for object in OBJECTS {
        make(&sandbox, object, &into, json!({})).await;
        make(&sandbox, object, &from, json!({})).await;
    }
    let count = async |object: &str, customer: &str| {
        listed(&sandbox, &format!("{object}?customer_uuid={customer}"), "customer_uuid").await.len()
    };
    let merge = json!({"from": {"customer_uuid": from}, "into": {"customer_uuid": into}});
    must(&sandbox, "POST /v1/customers/merges", merge).await;
    for object in OBJECTS {
        assert_eq!((count(object, &into).await, count(object, &from).await), (2, 0), "{object}");
    }
    let apart = |moves: Value| {
        json!({"customer_uuid": into, "data_source_uuid": DATA_SOURCE_UUID, "external_id": "from",
            "move_to_new_customer": moves})
    };
    for wrong in [json!("tasks"), json!(["invoices"])] {
        assert_eq!(send(&sandbox, "POST /v1/customers/unmerges", apart(wrong)).await.0, 422);
    }
    must(&sandbox, "POST /v1/customers/unmerges", apart(json!(["tasks", "notes"]))).await;
    let list = must(&sandbox, "GET /v1/customers?external_id=from", None).await;
    let fresh = list["entries"][0]["uuid"].as_str().unwrap().to_owned();
    for (object, moved) in [("customer_notes", 2), ("opportunities", 0), ("tasks", 2)] {
        assert_eq!((count(object, &into).await, count(object, &fresh).await), (2 - moved, moved), "{object}");
    }
}

#[tokio::test]
async fn contents_name_customers_by_their_keys_and_times_only_where_they_were_given() {
    let (one, two) =
        (sandbox(), unlimited(Options { seed: 9, data_sources: vec!["Sandbox".into(), "Other".into()], ..Options::default() }));
    for (sandbox, order) in [(&one, ["a", "b"]), (&two, ["b", "a"])] {
        assert_eq!(sandbox.contents().as_object().unwrap().len(), 3, "what nobody has is not named");
        for id in order {
            let uuid = customer(sandbox, id, json!({})).await;
            make(sandbox, "customer_notes", &uuid, json!({"text": id, "created_at": "2020-01-01"})).await;
            make(sandbox, "opportunities", &uuid, json!({"custom": [{"key": "deal_id", "value": id}]})).await;
            make(sandbox, "tasks", &uuid, json!({"task_details": id})).await;
        }
    }
    assert_ne!(one.dump(), two.dump());
    assert_eq!(one.contents().to_string(), two.contents().to_string());
    let contents = one.contents();
    let customer = json!([{"data_source": "Sandbox", "external_id": "a"}]);
    assert_eq!(
        contents["customer_notes"][0],
        json!({"customer": customer, "fields": {"author_email": OWNER, "created_at": "2020-01-01T00:00:00.000Z",
            "text": "a", "type": "note"}, "custom": {}})
    );
    assert_eq!(
        (&contents["opportunities"][0]["custom"], &contents["tasks"][0]["customer"]),
        (&json!({"deal_id": "a"}), &customer)
    );
    assert_eq!(one.dump()["tasks"][1]["fields"]["task_details"], "b", "oldest first");
}

#[tokio::test]
async fn the_older_paths_of_notes_are_gone() {
    let sandbox = sandbox();
    let ann = customer(&sandbox, "ann", json!({})).await;
    assert_eq!(send(&sandbox, &format!("GET /v1/customers/{ann}/notes"), None).await.0, 404);
}
