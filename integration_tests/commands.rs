//! `spec`, `discover`, and what holds for the command line.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Command, World, record, state};

fn golden(name: &str) -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/spec/").to_owned() + name;
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn spec_prints_one_spec_and_needs_neither_network_nor_configuration() {
    // A proxy that nobody listens at: any request would fail.
    let run = Command::new(&["spec"]).env("HTTPS_PROXY", "http://127.0.0.1:1").env("HTTP_PROXY", "http://127.0.0.1:1").run();
    let run = run.succeeded();
    assert_eq!(run.stdout.len(), 1, "{run}");
    assert_eq!(run.only("SPEC")["spec"], golden("spec.json"));
}

#[test]
fn spec_does_not_take_its_key_from_the_environment_nor_show_it() {
    let run = Command::new(&["spec"]).env("CHARTMOGUL_API_KEY", "a-key-of-the-environment").secret("a-key-of-the-environment");
    assert_eq!(run.run().succeeded().only("SPEC")["spec"], golden("spec.json"));
}

#[test]
fn what_is_no_command_is_told_how_to_use_it_with_exit_code_2() {
    for args in
        [&[][..], &["sync"], &["check"], &["write", "--config", "c.json"], &["write", "--catalog", "c.json"], &["spec", "--x"]]
    {
        let run = Command::new(args).run();
        assert_eq!(run.code, Some(2), "{args:?}: {run}");
        assert!(run.stderr.contains("Usage:"), "{args:?}: {run}");
    }
}

#[test]
fn flags_may_come_in_any_order() {
    let world = World::new();
    let config = world.file("config.json", &world.config(json!({})).to_string());
    let catalog = json!({"streams": [{"stream": {"name": "customers"}, "destination_sync_mode": "append"}]});
    let catalog = world.file("catalog.json", &catalog.to_string());
    Command::new(&["write", "--catalog"]).arg(catalog).arg("--config").arg(config).run().succeeded();
}

#[test]
fn discover_prints_the_operations_of_every_object() {
    let world = World::new();
    let run = world.discover(&world.config(json!({"deletions": {"policy": "delete"}}))).succeeded();
    assert_eq!(run.only("DESTINATION_CATALOG")["destination_catalog"], golden("catalog.json"));
    assert_eq!(world.writes(), 0);
}

#[test]
fn discover_names_the_attributes_of_the_account_and_does_without_where_it_is_not_reached() {
    let world = World::new();
    let custom = json!([
        {"type": "Boolean", "key": "pro", "value": true}, {"type": "Integer", "key": "seats", "value": 3},
        {"type": "String", "key": "channel", "value": "ads"}, {"type": "String", "key": "name", "value": "x"},
    ]);
    world.given_customer("c-1", json!({"attributes": {"custom": custom}}));
    world.given_customer("c-2", json!({"attributes": {"custom": [{"type": "Integer", "key": "seats", "value": 5}]}}));
    let shown = |config: &Value| {
        let run = world.discover(config).succeeded();
        let operations = run.of_type("DESTINATION_CATALOG").next().unwrap()["destination_catalog"]["operations"].clone();
        let of = |object: &str| operations.as_array().unwrap().iter().find(|it| it["object_name"] == object).unwrap().clone();
        let types = |key: &str| of("customers")["json_schema"]["properties"][key]["type"].clone();
        let types = [types("pro"), types("seats"), types("channel"), types("name")];
        assert_eq!(of("contacts")["json_schema"]["properties"]["pro"], Value::Null);
        (types, run)
    };
    let types = [json!("boolean"), json!("number"), json!("string"), json!("string")];
    assert_eq!(shown(&world.config(json!({}))).0, types);
    assert_eq!(shown(&world.config(json!({"unknown_fields": "ignore"}))).0[0], Value::Null);
    let (types, run) = shown(&world.config(json!({"api_key": "no such key"})));
    assert!(types[0] == Value::Null && run.logged(&["custom attributes are left out", "does not know the API key"]), "{run}");
}

#[test]
fn discover_offers_no_deletion_while_deletions_are_ignored() {
    let world = World::new();
    let run = world.discover(&world.config(json!({}))).succeeded();
    let operations = run.only("DESTINATION_CATALOG")["destination_catalog"]["operations"].as_array().unwrap();
    assert!(!operations.is_empty() && operations.iter().all(|operation| operation["sync_mode"] != "soft_delete"), "{run}");
}

#[test]
fn discover_fails_on_a_configuration_that_can_not_be_used() {
    let world = World::new();
    let message = world.discover(&world.config(json!({"mode": "sometimes"}))).failed("config_error", "CONFIG_INVALID");
    assert!(message.contains("mode"), "{message}");
    world.with_config("discover", &json!([])).run().failed("config_error", "CONFIG_INVALID");
}

#[test]
fn socket_mode_is_refused() {
    let world = World::new();
    let run = world.sync().env("DATA_CHANNEL_MEDIUM", "SOCKET").customer(json!({"external_id": "c-1"})).run();
    let message = run.failed("system_error", "SOCKET_MODE");
    assert!(message.contains("STDIO"), "{message}");
    assert_eq!(world.arrived(), 0);
    world.sync().env("DATA_CHANNEL_MEDIUM", "STDIO").run().succeeded();
}

#[test]
fn log_level_is_honoured() {
    let world = World::new();
    let levels = |wanted: &str| {
        let sync = world.sync().customer(json!({"external_id": "customer-1", "name": "A Name"})).line(state("customers", 1));
        let run = sync.customer(json!({"name": "no key at all"})).env("LOG_LEVEL", wanted).run().succeeded();
        let mut levels: Vec<String> = run.of_type("LOG").map(|log| log["log"]["level"].as_str().unwrap().into()).collect();
        levels.sort_unstable();
        levels.dedup();
        levels
    };
    assert_eq!(levels("ERROR"), Vec::<String>::new());
    assert_eq!(levels("warn"), ["WARN"]);
    assert_eq!(levels("INFO"), ["INFO", "WARN"]);
    assert_eq!(levels("nonsense"), ["INFO", "WARN"]);
    // The laws look for keys and values in all that is said here, too.
    assert!(levels("DEBUG").contains(&"DEBUG".to_owned()));
    assert!(levels("TRACE").contains(&"DEBUG".to_owned()));
}

#[test]
fn a_configuration_or_catalog_that_can_not_be_used_ends_write_before_any_request() {
    let world = World::new();
    let config = world.config(json!({"api_key": 5, "limits": {"connections": 0}}));
    let message =
        world.with_config("write", &config).arg("--catalog").arg("/nowhere").run().failed("config_error", "CONFIG_INVALID");
    assert!(message.contains("api_key") && message.contains("limits.connections"), "{message}");

    let config = world.config(json!({}));
    let write = |catalog: &str| {
        let catalog = world.file("catalog.json", catalog);
        let input = record("customers", json!({"external_id": "c-1"})) + "\n";
        world
            .with_config("write", &config)
            .arg("--catalog")
            .arg(catalog)
            .input(input)
            .run()
            .failed("config_error", "CATALOG_INVALID")
    };
    assert!(write("{").contains("not JSON"));
    write("[]");
    assert!(write(r#"{"streams":[]}"#).contains("no streams"));
    let customers = r#"{"stream":{"name":"customers"},"destination_sync_mode":"append"}"#;
    assert!(write(&format!(r#"{{"streams":[{customers},{customers}]}}"#)).contains("`customers` is listed twice"));
    assert!(write(r#"{"streams":[{"stream":{"name":"customers"},"destination_sync_mode":"replace"}]}"#).contains("append_dedup"));
    let absent = world.with_config("write", &config).arg("--catalog").arg("/nowhere/catalog.json").run();
    absent.failed("config_error", "CATALOG_INVALID");
    assert_eq!(world.arrived(), 0);
}
