//! Any endpoint, one request a record.

use serde_json::{Value, json};

use crate::harness::{Run, World, record, state, stream};

fn request(method: &str, path: &str, more: &Value) -> Value {
    let mut row = json!({"method": method, "path": path});
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row
}

fn sync(world: &World, config: &Value, rows: &[Value]) -> Run {
    let lines = rows.iter().map(|row| record("api_requests", row.clone()));
    world.sync().config(config.clone()).stream(stream("api_requests")).lines(lines).line(state("api_requests", 1)).run()
}

fn outcomes(world: &World, config: &Value, rows: &[Value]) -> String {
    sync(world, config, rows).succeeded().outcomes("api_requests").to_owned()
}

/// A plan that is there, as its path.
fn given_plan(world: &World) -> String {
    let body = json!({"data_source_uuid": destination_chartmogul::sandbox::DATA_SOURCE_UUID, "name": "Gold",
        "interval_count": 1, "interval_unit": "month", "external_id": "gold"});
    format!("/plans/{}", world.must("POST /plans", body)["uuid"].as_str().unwrap())
}

const DELETE: &str = "DELETE";

fn policy(max_deletes: u32) -> Value {
    json!({"deletions": {"policy": "delete", "max_deletes": max_deletes, "max_percent": 100}})
}

#[test]
fn each_record_is_one_request_and_its_method_is_its_outcome() {
    for mode in ["insert", "upsert"] {
        let world = World::new();
        let uuid = world.given_customer("c-1", json!({}));
        let customer = format!("/customers/{uuid}");
        let rows = [
            request("GET", "/ping", &json!({})),
            request(
                "GET",
                "/customers",
                &json!({"query": {"per_page": 1, "data_source_uuid": destination_chartmogul::sandbox::DATA_SOURCE_UUID}}),
            ),
            request("patch", &customer, &json!({"body": {"name": "Ann Lee"}})),
            request("POST", &format!("{customer}/attributes/tags"), &json!({"body": "{\"tags\":[\"vip\"]}"})),
            request("DELETE", &format!("{customer}/attributes/tags"), &json!({"body": {"tags": ["none"]}})),
        ];
        let mut config = policy(1);
        config["mode"] = mode.into();
        let words = "5 read, 1 created, 1 deleted, 2 unchanged, 1 updated";
        assert_eq!(outcomes(&world, &config, &rows), words, "{mode}");
        assert_eq!(world.arrived(), 6, "{mode}: one request a record, and the count of what there is to delete");
        let customer = world.customer("c-1");
        assert_eq!((&customer["fields"]["name"], &customer["tags"]), (&"Ann Lee".into(), &json!(["vip"])), "{mode}");
    }
}

#[test]
fn requests_of_one_path_keep_their_order() {
    let world = World::new();
    let customer = format!("/customers/{}", world.given_customer("c-1", json!({})));
    let rows: Vec<Value> =
        (0..20).map(|n| request("PATCH", &customer, &json!({"body": {"name": format!("Name {n}")}}))).collect();
    assert_eq!(outcomes(&world, &json!({}), &rows), "20 read, 20 updated");
    assert_eq!(world.customer("c-1")["fields"]["name"], "Name 19");
}

#[test]
fn what_the_api_refuses_is_rejected_in_its_words() {
    let world = World::new();
    let rows = [
        request("GET", "/customers/cus_23740208-2c7e-11ee-9ea2-ffd2435982bb", &json!({})),
        request("POST", "/customers", &json!({"body": {}})),
    ];
    let run = sync(&world, &json!({}), &rows).succeeded();
    assert_eq!(run.outcomes("api_requests"), "2 read, 2 rejected, 2 rejected with API_REFUSED");
    assert!(run.logged(&["API_REFUSED", "404"]) && run.logged(&["API_REFUSED", "data_source_uuid"]), "{run}");
}

#[test]
fn what_exists_already_is_rejected_at_once() {
    let world = World::new();
    given_plan(&world);
    let body = json!({"data_source_uuid": destination_chartmogul::sandbox::DATA_SOURCE_UUID, "name": "Gold",
        "interval_count": 1, "interval_unit": "month", "external_id": "gold"});
    for mode in ["insert", "upsert"] {
        let rows = [request("POST", "/plans", &json!({ "body": body }))];
        let outcomes = outcomes(&world, &json!({"mode": mode}), &rows);
        assert_eq!(outcomes, "1 read, 1 rejected, 1 rejected with API_REFUSED", "{mode}");
    }
    assert_eq!(world.arrived(), 2);
}

#[test]
fn a_write_whose_answer_was_lost_is_not_sent_again_and_a_read_is() {
    for method in ["POST", "PUT", "PATCH"] {
        let world = World::new();
        let customer = format!("/customers/{}", world.given_customer("c-1", json!({})));
        world.fault("* /customers/** after-work reset");
        let rows = [request(method, &customer, &json!({"body": {"name": "Ann Lee"}}))];
        let outcomes = outcomes(&world, &json!({}), &rows);
        assert_eq!(outcomes, "1 read, 1 rejected, 1 rejected with ANSWER_LOST", "{method}");
        assert_eq!(world.arrived(), 1, "{method}");
    }
    let world = World::new();
    world.fault("GET /ping reset");
    assert_eq!(outcomes(&world, &json!({}), &[request("GET", "/ping", &json!({}))]), "1 read, 1 unchanged");
    assert_eq!(world.arrived(), 2);
}

#[test]
fn a_delete_needs_the_policy_and_counts_against_its_guard() {
    let world = World::new();
    let plan = given_plan(&world);
    let customer = format!("/customers/{}", world.given_customer("c-1", json!({})));
    let rows = [request(DELETE, &plan, &json!({})), request(DELETE, &customer, &json!({}))];
    let run = sync(&world, &json!({}), &rows).succeeded();
    assert_eq!(run.outcomes("api_requests"), "2 read, 2 rejected, 2 rejected with API_DELETE_REFUSED");
    assert!(run.logged(&["API_DELETE_REFUSED", "Set `deletions` to the policy `delete`"]), "{run}");
    assert_eq!(world.arrived(), 0);
    assert_eq!(outcomes(&world, &policy(1), &rows[..1]), "1 read, 1 deleted");
    let world = World::new();
    let rows: Vec<Value> = ["c-1", "c-2"]
        .iter()
        .map(|key| request(DELETE, &format!("/customers/{}", world.given_customer(key, json!({}))), &json!({})))
        .collect();
    let message = sync(&world, &policy(1), &rows).failed("config_error", "DELETE_LIMIT");
    assert!(message.contains("`max_deletes` is 1 and so many were deleted"), "{message}");
    assert_eq!((world.requests_with(DELETE), world.customers().len()), (1, 1));
    let mut none = policy(100);
    none["deletions"]["max_percent"] = 0.into();
    sync(&world, &none, &rows[1..]).failed("config_error", "DELETE_LIMIT");
    assert_eq!((world.requests_with(DELETE), world.customers().len()), (1, 1));
}

#[test]
fn a_data_source_is_never_deleted() {
    let world = World::new();
    let source = destination_chartmogul::sandbox::DATA_SOURCE_UUID;
    let paths = ["/data_sources/", "/data%5fsources/", "/DATA_SOURCES/", "/%2564ata_sources/"];
    let rows: Vec<Value> = paths.iter().map(|path| request(DELETE, &format!("{path}{source}"), &json!({}))).collect();
    let words = "4 read, 4 rejected, 4 rejected with API_DELETE_REFUSED";
    assert_eq!(outcomes(&world, &policy(100), &rows), words);
    assert_eq!(world.arrived(), 0);
}

#[test]
fn a_request_that_leads_elsewhere_is_rejected_unsent() {
    let world = World::new();
    let paths =
        ["https://elsewhere.example/v1", "//elsewhere.example", "/../admin", "/%2e%2e/admin", "/customers?email=a", "/a b"];
    let rows: Vec<Value> = paths.iter().map(|path| request("GET", path, &json!({}))).collect();
    assert_eq!(outcomes(&world, &json!({}), &rows), "6 read, 6 rejected, 6 rejected with FIELD_VALUE");
    let rows = [json!({"path": "/ping"}), json!({"method": "GET"}), request("GET", "/ping", &json!({"query": ["a"]}))];
    let words = "3 read, 3 rejected, 2 rejected with FIELD_MISSING, 1 rejected with FIELD_VALUE";
    assert_eq!(outcomes(&world, &json!({}), &rows), words);
    assert_eq!(world.arrived(), 0);
}

#[test]
fn a_row_that_is_marked_as_deleted_is_rejected_unsent() {
    let world = World::new();
    let row = request("GET", "/ping", &json!({"_ab_cdc_deleted_at": "2026-01-02"}));
    assert_eq!(outcomes(&world, &policy(100), &[row]), "1 read, 1 rejected, 1 rejected with DELETE_NOT_SUPPORTED");
    assert_eq!(world.arrived(), 0);
}
