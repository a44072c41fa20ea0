//! Rules of the API, one behaviour a test.

use bytes::Bytes;
use serde_json::{Value, json};

use super::testing::{basic, contact, customer, must, read, request, send, unlimited};
use super::{
    Answer, DATA_SOURCE_UUID, MAX_BODY, Options, Quirks, READ_ONLY_KEY, Request, SECOND_DATA_SOURCE_UUID, Sandbox, WRITE_KEY,
};

fn sandbox() -> Sandbox {
    unlimited(Options::default())
}

fn two_sources() -> Sandbox {
    unlimited(Options { data_sources: vec!["Sandbox".into(), "Other".into()], ..Options::default() })
}

fn entries(list: &Value, field: &str) -> Vec<String> {
    list["entries"].as_array().unwrap().iter().map(|entry| entry[field].as_str().unwrap().to_owned()).collect()
}

async fn answered(sandbox: &Sandbox, request: Request) -> (u16, Value) {
    read(&sandbox.answer(request).await)
}

#[tokio::test]
async fn a_key_is_needed_and_its_password_is_empty_or_the_key_again() {
    let sandbox = sandbox();
    let ping = |authorization: Option<String>| Request { authorization, ..request("GET /v1/ping", None) };
    for good in [format!("{WRITE_KEY}:"), format!("{WRITE_KEY}:{WRITE_KEY}")] {
        assert_eq!(answered(&sandbox, ping(Some(basic(&good)))).await, (200, json!({"data": "pong!"})));
    }
    let refusal = json!({"code": 401, "message": "No valid API key provided", "param": null});
    for bad in [None, Some(basic("other:")), Some(basic(&format!("{WRITE_KEY}:other"))), Some(format!("Bearer {WRITE_KEY}"))] {
        assert_eq!(answered(&sandbox, ping(bad)).await, (401, refusal.clone()));
    }
}

#[tokio::test]
async fn a_read_only_key_reads_and_does_not_write() {
    let sandbox = sandbox();
    let as_reader =
        |line: &str, body| Request { authorization: Some(basic(&format!("{READ_ONLY_KEY}:"))), ..request(line, body) };
    assert_eq!(answered(&sandbox, as_reader("GET /v1/customers", None)).await.0, 200);
    let body = json!({"data_source_uuid": DATA_SOURCE_UUID, "external_id": "c"});
    assert_eq!(answered(&sandbox, as_reader("POST /v1/customers", Some(body))).await.0, 403);
    assert_eq!(sandbox.dump()["customers"], json!([]));
}

#[tokio::test]
async fn what_is_no_route_no_method_no_json_or_too_large_is_told_apart() {
    let sandbox = sandbox();
    assert_eq!(send(&sandbox, "GET /v1/nothing", None).await.0, 404);
    assert_eq!(send(&sandbox, "GET /v2/ping", None).await.0, 404);
    assert_eq!(send(&sandbox, "PUT /v1/customers", json!({})).await.0, 405);
    let with_body = |body: &[u8]| Request { body: Bytes::copy_from_slice(body), ..request("POST /v1/customers", None) };
    assert_eq!(answered(&sandbox, with_body(b"{\"name\":")).await.0, 400);
    assert_eq!(answered(&sandbox, with_body(b"[]")).await.0, 400);
    assert_eq!(answered(&sandbox, with_body(&vec![b' '; MAX_BODY + 1])).await.0, 413);
}

#[tokio::test]
async fn data_sources_are_unique_by_name_and_found_by_it() {
    let sandbox = two_sources();
    let (status, body) = send(&sandbox, "POST /v1/data_sources", json!({})).await;
    assert_eq!((status, &body["param"]), (400, &json!("name")));
    let (status, body) = send(&sandbox, "POST /v1/data_sources", json!({"name": "Other"})).await;
    assert_eq!((status, body), (422, json!({"name": "Other", "errors": {"name": "Has already been taken."}})));
    let list = must(&sandbox, "GET /v1/data_sources?name=Other", None).await;
    assert_eq!(list["data_sources"].as_array().unwrap().len(), 1);
    assert_eq!(list["data_sources"][0]["uuid"], SECOND_DATA_SOURCE_UUID);
    assert_eq!(must(&sandbox, "GET /v1/data_sources?name=other", None).await, json!({"data_sources": []}));
    let one = format!("GET /v1/data_sources/{DATA_SOURCE_UUID}?with_processing_status=true");
    customer(&sandbox, "c", json!({})).await;
    assert_eq!(must(&sandbox, &one, None).await["processing_status"], json!({"processed": 1, "failed": 0, "pending": 0}));
}

#[tokio::test]
async fn a_data_source_takes_everything_in_it_along() {
    let sandbox = two_sources();
    let here = customer(&sandbox, "c", json!({})).await;
    contact(&sandbox, &here, json!({})).await;
    let body = json!({"data_source_uuid": SECOND_DATA_SOURCE_UUID, "external_id": "c"});
    must(&sandbox, "POST /v1/customers", body).await;
    must(&sandbox, &format!("DELETE /v1/data_sources/{DATA_SOURCE_UUID}/all"), None).await;
    let left = sandbox.dump();
    assert_eq!(left["customers"].as_array().unwrap().len(), 1);
    assert_eq!(left["contacts"], json!([]));
    assert_eq!(left["data_sources"].as_array().unwrap().len(), 2);
    must(&sandbox, &format!("DELETE /v1/data_sources/{SECOND_DATA_SOURCE_UUID}"), None).await;
    let gone = format!("GET /v1/data_sources/{SECOND_DATA_SOURCE_UUID}");
    assert_eq!(send(&sandbox, &gone, None).await, (404, json!({"error": "Data source not found"})));
    assert_eq!(sandbox.dump()["customers"], json!([]));
}

#[tokio::test]
async fn an_external_id_is_unique_in_its_data_source_only() {
    let sandbox = two_sources();
    let body = json!({"data_source_uuid": DATA_SOURCE_UUID, "external_id": "c", "name": "Ann"});
    must(&sandbox, "POST /v1/customers", body.clone()).await;
    let (status, answer) = send(&sandbox, "POST /v1/customers", body.clone()).await;
    assert_eq!(status, 422);
    let message = "The external ID for this customer already exists in our system.";
    assert_eq!(answer["errors"], json!({"external_id": message}));
    assert_eq!((&answer["name"], answer.get("uuid")), (&json!("Ann"), None), "an echo, without the UUID of the other");
    let other = json!({"data_source_uuid": SECOND_DATA_SOURCE_UUID, "external_id": "c"});
    must(&sandbox, "POST /v1/customers", other).await;
    let list = must(&sandbox, "GET /v1/customers?external_id=c", None).await;
    assert_eq!(list["entries"].as_array().unwrap().len(), 2);
    let list = must(&sandbox, &format!("GET /v1/customers?external_id=c&data_source_uuid={DATA_SOURCE_UUID}"), None).await;
    assert_eq!(entries(&list, "name"), ["Ann"]);
    assert_eq!(list["total_pages"], 1);
    for case in ["C", "c "] {
        customer(&sandbox, case, json!({})).await;
    }
}

#[tokio::test]
async fn a_customer_without_its_keys_is_refused() {
    let sandbox = sandbox();
    let cases = [
        (json!({"external_id": "c"}), 400),
        (json!({"data_source_uuid": DATA_SOURCE_UUID}), 400),
        (json!({"data_source_uuid": DATA_SOURCE_UUID, "external_id": 5}), 422),
        (json!({"data_source_uuid": DATA_SOURCE_UUID, "external_id": ""}), 422),
        (json!({"data_source_uuid": "ds_unknown", "external_id": "c"}), 404),
        (json!({"data_source_uuid": DATA_SOURCE_UUID, "external_id": "c", "email": "nobody"}), 422),
    ];
    for (body, status) in cases {
        assert_eq!(send(&sandbox, "POST /v1/customers", body.clone()).await.0, status, "{body}");
    }
    assert_eq!(sandbox.dump()["customers"], json!([]));
}

#[tokio::test]
async fn fields_come_back_as_the_api_shows_them() {
    let sandbox = sandbox();
    let uuid = customer(
        &sandbox,
        "c",
        json!({"name": "Ann", "country": "US", "state": "US-NY", "zip": "10001", "owner": "owner@example.com",
            "status": "Working Lead", "lead_created_at": "2016-01-01 14:30:00 UTC"}),
    )
    .await;
    let shown = must(&sandbox, &format!("GET /v1/customers/{uuid}"), None).await;
    let address = json!({"country": "United States", "state": "New York", "city": null, "address_zip": "10001"});
    assert_eq!(shown["address"], address);
    assert_eq!((&shown["company"], &shown["city"]), (&json!(""), &Value::Null));
    assert_eq!(shown["lead_created_at"], "2016-01-01T14:30:00.000Z");
    assert_eq!((&shown["status"], &shown["owner"]), (&json!("Working Lead"), &json!("owner@example.com")));

    let moved = json!({"country": "DE", "state": "NY", "owner": "stranger@example.com"});
    let shown = must(&sandbox, &format!("PATCH /v1/customers/{uuid}"), moved).await;
    assert_eq!((&shown["state"], &shown["address"]["country"]), (&Value::Null, &json!("Germany")));
    assert_eq!(shown["owner"], "owner@example.com", "an unknown owner leaves the old one");
}

#[tokio::test]
async fn null_leaves_a_field_alone_unless_the_quirk_clears_it() {
    for (null_clears, expected) in [(false, json!("Berlin")), (true, Value::Null)] {
        let quirks = Quirks { null_clears, ..Quirks::default() };
        let sandbox = unlimited(Options { quirks, ..Options::default() });
        let uuid = customer(&sandbox, "c", json!({"city": "Berlin"})).await;
        let shown = must(&sandbox, &format!("PATCH /v1/customers/{uuid}"), json!({"city": null})).await;
        assert_eq!(shown["city"], expected);
        let uuid = contact(&sandbox, &uuid, json!({"external_id": "k", "title": "CEO"})).await;
        let shown = must(&sandbox, &format!("PATCH /v1/contacts/{uuid}"), json!({"external_id": null, "title": null})).await;
        assert_eq!(shown["external_id"], Value::Null, "always, as the official clients say");
        assert_eq!(shown["title"].is_null(), null_clears);
    }
}

#[tokio::test]
async fn an_update_tolerates_unchanged_keys_and_refuses_changed_ones() {
    let sandbox = sandbox();
    let uuid = customer(&sandbox, "c", json!({})).await;
    let line = format!("PATCH /v1/customers/{uuid}");
    let same = json!({"external_id": "c", "data_source_uuid": DATA_SOURCE_UUID, "name": "Ann", "stray": 1});
    assert_eq!(must(&sandbox, &line, same).await["name"], "Ann");
    assert_eq!(send(&sandbox, &line, json!({"external_id": "d"})).await.0, 422);
    assert_eq!(send(&sandbox, "PATCH /v1/customers/cus_x", json!({})).await, (404, json!({"error": "Customer not found"})));
}

#[tokio::test]
async fn tags_in_an_update_replace_and_those_of_the_endpoint_add() {
    let sandbox = sandbox();
    let uuid = customer(&sandbox, "c", json!({"attributes": {"tags": ["a", "b"]}})).await;
    let tags = format!("/v1/customers/{uuid}/attributes/tags");
    assert_eq!(must(&sandbox, &format!("POST {tags}"), json!({"tags": ["b", "c"]})).await, json!({"tags": ["a", "b", "c"]}));
    assert_eq!(must(&sandbox, &format!("DELETE {tags}"), json!({"tags": ["a", "x"]})).await, json!({"tags": ["b", "c"]}));
    let shown = must(&sandbox, &format!("PATCH /v1/customers/{uuid}"), json!({"attributes": {"tags": ["d"]}})).await;
    assert_eq!(shown["attributes"]["tags"], json!(["d"]));
    assert_eq!(send(&sandbox, &format!("POST {tags}"), json!({"tags": "d"})).await.0, 422);
}

#[tokio::test]
async fn an_attribute_keeps_the_type_of_its_first_value() {
    let sandbox = sandbox();
    let uuid = customer(&sandbox, "c", json!({})).await;
    let other = customer(&sandbox, "d", json!({})).await;
    let custom = |uuid: &str| format!("/v1/customers/{uuid}/attributes/custom");
    let typed = |kind: &str, value: Value| json!({"custom": [{"type": kind, "key": "seats", "value": value}]});
    assert_eq!(send(&sandbox, &format!("PUT {}", custom(&uuid)), json!({"custom": {"seats": 3}})).await.0, 422, "no type yet");
    must(&sandbox, &format!("POST {}", custom(&uuid)), typed("Integer", json!(3))).await;
    let conflict = send(&sandbox, &format!("POST {}", custom(&other)), typed("String", json!("3"))).await;
    assert_eq!(conflict.0, 422);
    let set = json!({"custom": {"seats": {"value": 4, "source": "dwh"}}});
    assert_eq!(must(&sandbox, &format!("PUT {}", custom(&other)), set).await, json!({"custom": {"seats": 4}}));
    assert_eq!(send(&sandbox, &format!("POST {}", custom(&uuid)), typed("Integer", Value::Null)).await.0, 422);
    let unwanted = json!({"custom": [{"type": "String", "key": "with space", "value": "x"}]});
    assert_eq!(send(&sandbox, &format!("POST {}", custom(&uuid)), unwanted).await.0, 422);
    let (status, _) = send(&sandbox, &format!("DELETE {}", custom(&uuid)), json!({"custom": ["seats", "absent"]})).await;
    assert_eq!(status, 204);
    let left = must(&sandbox, &format!("GET /v1/customers/{uuid}/attributes"), None).await;
    assert_eq!(left, json!({"tags": [], "stripe": {}, "custom": {}}));
}

#[tokio::test]
async fn an_attribute_without_a_type_keeps_the_kind_of_its_first_value() {
    let sandbox = Sandbox::new(Options { contact_attributes: vec!["level".into()], ..Options::default() });
    let customer = customer(&sandbox, "c", json!({})).await;
    let contact = |custom: Value| json!({"customer_uuid": customer, "data_source_uuid": DATA_SOURCE_UUID, "custom": custom});
    let level = |value: Value| contact(json!([{"key": "level", "value": value}]));
    must(&sandbox, "POST /v1/contacts", level(json!(3))).await;
    assert_eq!(send(&sandbox, "POST /v1/contacts", level(json!("high"))).await.0, 422);
    assert_eq!(must(&sandbox, "POST /v1/contacts", level(json!(4.5))).await["custom"], json!({"level": 4.5}));
    let undefined = contact(json!([{"key": "hobby", "value": "none"}]));
    assert_eq!(must(&sandbox, "POST /v1/contacts", undefined).await["custom"], json!({}));
}

#[tokio::test]
async fn a_true_boolean_survives_an_update_but_not_the_attributes_endpoint() {
    let sandbox = sandbox();
    let attributes = json!({"custom": [{"type": "Boolean", "key": "pro", "value": true}]});
    let uuid = customer(&sandbox, "c", json!({"attributes": attributes})).await;
    for custom in [json!({"pro": false}), json!([{"type": "Boolean", "key": "pro", "value": false}])] {
        let shown = must(&sandbox, &format!("PATCH /v1/customers/{uuid}"), json!({"attributes": {"custom": custom}})).await;
        assert_eq!(shown["attributes"]["custom"], json!({"pro": true}));
    }
    let custom = format!("PUT /v1/customers/{uuid}/attributes/custom");
    assert_eq!(must(&sandbox, &custom, json!({"custom": {"pro": false}})).await, json!({"custom": {"pro": false}}));
}

#[tokio::test]
async fn by_email_reaches_every_customer_with_it_or_is_a_404() {
    let sandbox = sandbox();
    for id in ["a", "b"] {
        customer(&sandbox, id, json!({"email": "x@y.z"})).await;
    }
    let answer = must(&sandbox, "POST /v1/customers/attributes/tags", json!({"email": "x@y.z", "tags": ["t"]})).await;
    assert_eq!(answer["entries"].as_array().unwrap().len(), 2);
    let body = json!({"email": "x@y.z", "custom": [{"type": "String", "key": "k", "value": "v"}]});
    must(&sandbox, "POST /v1/customers/attributes/custom", body).await;
    let body = json!({"email": "x@y.z", "custom": {"k": "w"}});
    let answer = must(&sandbox, "PUT /v1/customers/attributes/custom", body).await;
    assert_eq!(answer["entries"][1]["attributes"], json!({"custom": {"k": "w"}, "stripe": {}, "tags": ["t"]}));
    let refusal = json!({"code": 404, "message": "Can't find any customers with email: \"no@y.z\"", "param": "email"});
    assert_eq!(send(&sandbox, "GET /v1/customers/search?email=no%40y.z", None).await, (404, refusal));
    assert_eq!(must(&sandbox, "GET /v1/customers/search?email=x%40y.z", None).await["total_pages"], Value::Null);
}

#[tokio::test]
async fn a_merged_customer_answers_to_all_its_keys_and_the_absorbed_uuid_is_gone() {
    let sandbox = two_sources();
    let into = customer(&sandbox, "into", json!({"name": "Into"})).await;
    let body = json!({"data_source_uuid": SECOND_DATA_SOURCE_UUID, "external_id": "from", "name": "From"});
    let from = must(&sandbox, "POST /v1/customers", body).await["uuid"].as_str().unwrap().to_owned();
    let from_side = json!({"data_source_uuid": SECOND_DATA_SOURCE_UUID, "external_id": "from"});
    let merge = json!({"from": from_side, "into": {"customer_uuid": into}});
    assert_eq!(send(&sandbox, "POST /v1/customers/merges", merge).await, (202, json!({})));
    assert_eq!(send(&sandbox, &format!("GET /v1/customers/{from}"), None).await.0, 404);
    for source in [DATA_SOURCE_UUID, SECOND_DATA_SOURCE_UUID] {
        let list = must(&sandbox, &format!("GET /v1/customers?data_source_uuid={source}"), None).await;
        assert_eq!(entries(&list, "uuid"), std::slice::from_ref(&into), "{source}");
    }
    let query = format!("data_source_uuid={SECOND_DATA_SOURCE_UUID}&external_id=from");
    let entry = must(&sandbox, &format!("GET /v1/customers?{query}"), None).await["entries"][0].clone();
    assert_eq!(entry["external_ids"], json!(["into", "from"]));
    assert_eq!(entry["data_source_uuids"], json!([DATA_SOURCE_UUID, SECOND_DATA_SOURCE_UUID]));
    assert_eq!((&entry["external_id"], &entry["name"]), (&json!("into"), &json!("Into")));
    assert_eq!(entry["attributes"]["tags"], json!(["merged-customer"]));
    let again = json!({"data_source_uuid": SECOND_DATA_SOURCE_UUID, "external_id": "from"});
    assert_eq!(send(&sandbox, "POST /v1/customers", again).await.0, 422, "the key is still taken");

    let apart = json!({"customer_uuid": into, "data_source_uuid": SECOND_DATA_SOURCE_UUID, "external_id": "from"});
    assert_eq!(send(&sandbox, "POST /v1/customers/unmerges", apart).await.0, 202);
    let list = must(&sandbox, &format!("GET /v1/customers?{query}"), None).await;
    assert_eq!((entries(&list, "name"), entries(&list, "uuid") == [from]), (vec!["From".to_owned()], false));
}

#[tokio::test]
async fn deleting_a_customer_frees_its_key_and_removes_its_contacts() {
    let sandbox = sandbox();
    let uuid = customer(&sandbox, "c", json!({"primary_contact": {"first_name": "Ann"}})).await;
    assert_eq!(sandbox.dump()["contacts"][0]["fields"], json!({"first_name": "Ann", "position": 1}));
    assert_eq!(send(&sandbox, &format!("DELETE /v1/customers/{uuid}"), None).await, (204, Value::Null));
    assert_eq!(send(&sandbox, &format!("DELETE /v1/customers/{uuid}"), None).await.0, 404);
    assert_eq!(sandbox.dump()["contacts"], json!([]));
    customer(&sandbox, "c", json!({})).await;
}

#[tokio::test]
async fn every_customer_stands_once_in_its_pages_in_no_order_of_creation() {
    let sandbox = unlimited(Options { customers: 450, ..Options::default() });
    let mut line = format!("GET /v1/customers?data_source_uuid={DATA_SOURCE_UUID}");
    let mut seen = Vec::new();
    let mut lengths = Vec::new();
    loop {
        let page = must(&sandbox, &line, None).await;
        lengths.push(page["entries"].as_array().unwrap().len());
        seen.extend(entries(&page, "external_id"));
        assert_eq!(page.get("total_pages").is_some(), lengths.len() == 1, "only on the first page");
        if page["has_more"] == false {
            break;
        }
        let cursor = page["cursor"].as_str().unwrap().replace('=', "%3D");
        line = format!("GET /v1/customers?data_source_uuid={DATA_SOURCE_UUID}&cursor={cursor}");
    }
    assert_eq!(lengths, [200, 200, 50]);
    assert!(!seen.is_sorted());
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 450);
}

#[tokio::test]
async fn the_old_page_numbers_still_work_and_give_no_cursor() {
    let sandbox = unlimited(Options { customers: 5, ..Options::default() });
    let page = must(&sandbox, "GET /v1/customers?per_page=2&page=3", None).await;
    let mut told = page.clone();
    told.as_object_mut().unwrap().remove("entries");
    assert_eq!(told, json!({"current_page": 3, "total_pages": 3, "has_more": false, "per_page": 2, "page": 3}));
    assert_eq!(page["entries"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn lists_filter_by_status_with_underscores_and_by_system() {
    let sandbox = sandbox();
    customer(&sandbox, "new", json!({})).await;
    customer(&sandbox, "working", json!({"status": "Working Lead"})).await;
    let found = async |query: &str| entries(&must(&sandbox, &format!("GET /v1/customers?{query}"), None).await, "external_id");
    assert_eq!(found("status=Working_Lead").await, ["working"]);
    assert_eq!(found("status=New_Lead&system=Custom").await, ["new"]);
    assert_eq!(found("system=Stripe").await, Vec::<String>::new());
    assert_eq!(found("data_source_uuid=ds_unknown").await, Vec::<String>::new());
    assert_eq!(send(&sandbox, "GET /v1/customers?status=Working%20Lead", None).await.0, 400);
}

#[tokio::test(start_paused = true)]
async fn a_list_may_lag_behind_what_was_created() {
    let quirks = Quirks { list_lag: std::time::Duration::from_secs(3), ..Quirks::default() };
    let sandbox = unlimited(Options { quirks, ..Options::default() });
    let uuid = customer(&sandbox, "c", json!({})).await;
    contact(&sandbox, &uuid, json!({})).await;
    for (seconds, count) in [(2, 0), (2, 1)] {
        tokio::time::advance(std::time::Duration::from_secs(seconds)).await;
        for path in ["customers", "contacts"] {
            let list = must(&sandbox, &format!("GET /v1/{path}"), None).await;
            assert_eq!(list["entries"].as_array().unwrap().len(), count, "{path}");
        }
        must(&sandbox, &format!("GET /v1/customers/{uuid}"), None).await;
    }
}

#[tokio::test]
async fn contacts_come_newest_first_and_new_ones_are_missed_while_paging() {
    let sandbox = sandbox();
    let uuid = customer(&sandbox, "c", json!({})).await;
    for number in 1..=3 {
        contact(&sandbox, &uuid, json!({"first_name": number.to_string()})).await;
    }
    let first = must(&sandbox, "GET /v1/contacts?per_page=2", None).await;
    assert_eq!(entries(&first, "first_name"), ["3", "2"]);
    assert_eq!(first["entries"][0]["position"], 3);
    contact(&sandbox, &uuid, json!({"first_name": "4"})).await;
    let cursor = first["cursor"].as_str().unwrap().replace('=', "%3D").replace('+', "%2B");
    let last = must(&sandbox, &format!("GET /v1/contacts?per_page=2&cursor={cursor}"), None).await;
    assert_eq!((entries(&last, "first_name"), &last["has_more"]), (vec!["1".to_owned()], &json!(false)));
}

#[tokio::test]
async fn contacts_are_found_by_each_filter_and_under_their_customer() {
    let sandbox = two_sources();
    let ann = customer(&sandbox, "ann", json!({})).await;
    let bob = customer(&sandbox, "bob", json!({})).await;
    contact(&sandbox, &ann, json!({"email": "a@x.test", "first_name": "A"})).await;
    contact(&sandbox, &bob, json!({"email": "b@x.test", "first_name": "B"})).await;
    for (path, found) in [
        ("contacts?email=b%40x.test".to_owned(), "B"),
        (format!("contacts?customer_uuid={ann}"), "A"),
        ("contacts?customer_external_id=bob".to_owned(), "B"),
        (format!("contacts?customer_external_id=ann&data_source_uuid={DATA_SOURCE_UUID}"), "A"),
        (format!("customers/{ann}/contacts"), "A"),
    ] {
        assert_eq!(entries(&must(&sandbox, &format!("GET /v1/{path}"), None).await, "first_name"), [found], "{path}");
    }
    for (path, count) in [
        (format!("contacts?data_source_uuid={DATA_SOURCE_UUID}"), 2),
        (format!("contacts?data_source_uuid={SECOND_DATA_SOURCE_UUID}"), 0),
        (format!("contacts?email=b%40x.test&customer_uuid={ann}"), 0),
        ("contacts?customer_uuid=cus_unknown".to_owned(), 0),
        ("contacts?external_id=unsupported".to_owned(), 2),
    ] {
        let list = must(&sandbox, &format!("GET /v1/{path}"), None).await;
        assert_eq!(list["entries"].as_array().unwrap().len(), count, "{path}");
    }
}

#[tokio::test]
async fn a_contact_is_never_refused_as_a_duplicate_and_keeps_defined_keys_only() {
    let sandbox = sandbox();
    let uuid = customer(&sandbox, "c", json!({})).await;
    let body =
        json!({"external_id": "k", "email": "a@x.test", "custom": [{"key": "role", "value": "admin"}, {"key": "x", "value": 1}]});
    let one = contact(&sandbox, &uuid, body.clone()).await;
    let two = contact(&sandbox, &uuid, body).await;
    assert_ne!(one, two);
    let shown = must(&sandbox, &format!("GET /v1/contacts/{one}"), None).await;
    assert_eq!((&shown["custom"], &shown["external_id"]), (&json!({"role": "admin"}), &json!("k")));
    let elsewhere = json!({"customer_uuid": uuid, "data_source_uuid": "ds_unknown"});
    assert_eq!(send(&sandbox, "POST /v1/contacts", elsewhere).await.0, 422);
    assert_eq!(send(&sandbox, "POST /v1/contacts", json!({"data_source_uuid": DATA_SOURCE_UUID})).await.0, 400);
    let body = json!({"data_source_uuid": DATA_SOURCE_UUID});
    assert_eq!(send(&sandbox, &format!("POST /v1/customers/{uuid}/contacts"), body).await.0, 201);
    assert_eq!(send(&sandbox, "POST /v1/customers/cus_x/contacts", json!({"data_source_uuid": DATA_SOURCE_UUID})).await.0, 404);
}

#[tokio::test]
async fn merging_contacts_keeps_the_survivor_and_shows_it_without_its_customer() {
    let sandbox = sandbox();
    let uuid = customer(&sandbox, "c", json!({})).await;
    let into = contact(&sandbox, &uuid, json!({"first_name": "Into"})).await;
    let from = contact(&sandbox, &uuid, json!({"first_name": "From", "title": "CEO"})).await;
    let merged = must(&sandbox, &format!("POST /v1/contacts/{into}/merge/{from}"), json!({})).await;
    assert_eq!((&merged["uuid"], &merged["customer_uuid"]), (&json!(into), &Value::Null));
    assert_eq!((&merged["first_name"], &merged["title"]), (&json!("Into"), &json!("CEO")));
    assert_eq!(send(&sandbox, &format!("GET /v1/contacts/{from}"), None).await.0, 404);
    assert_eq!(send(&sandbox, &format!("DELETE /v1/contacts/{into}"), None).await, (200, json!({})));
}

#[tokio::test]
async fn two_accounts_with_the_same_contents_compare_equal_whatever_the_order() {
    let (one, two) = (sandbox(), unlimited(Options { seed: 9, ..Options::default() }));
    for (sandbox, order) in [(&one, ["a", "b"]), (&two, ["b", "a"])] {
        for id in order {
            let uuid = customer(sandbox, id, json!({"name": id, "attributes": {"tags": [id, "t"]}})).await;
            contact(sandbox, &uuid, json!({"email": format!("{id}@x.test")})).await;
        }
    }
    assert_ne!(one.dump(), two.dump());
    assert_eq!(one.contents().to_string(), two.contents().to_string());
    customer(&two, "c", json!({})).await;
    assert_ne!(one.contents(), two.contents());
}

#[tokio::test]
async fn the_same_seed_gives_the_same_uuids_and_reset_begins_again() {
    let (one, two) = (sandbox(), sandbox());
    let first = customer(&one, "a", json!({})).await;
    assert_eq!(first, customer(&two, "a", json!({})).await);
    one.reset();
    assert_eq!(one.dump()["customers"], json!([]));
    assert_eq!(one.observed().requests, 0);
    assert_eq!(first, customer(&one, "a", json!({})).await);
}

#[tokio::test]
async fn an_answer_without_a_body_has_no_content_type() {
    let sandbox = sandbox();
    let uuid = customer(&sandbox, "c", json!({})).await;
    let answer = sandbox.answer(request(&format!("DELETE /v1/customers/{uuid}"), None)).await;
    assert_eq!(answer, Answer::Response { status: 204, headers: Vec::new(), body: Bytes::new() });
}
