//! Input as hosts really write it, and input as nobody should.

use serde_json::json;

use crate::harness::{World, complete, namespaced, record, state, status, stream};

fn customer(key: &str) -> String {
    record("customers", json!({"external_id": key}))
}

#[test]
fn a_line_that_is_no_json_fails_with_its_number_and_not_its_content() {
    for garbage in [
        "secret garbage-value",
        r#"{"type":"RECORD","record":{"secret":"garbage-value""#,
        "[\"garbage-value\"]",
        "\"garbage-value\"",
    ] {
        let world = World::new();
        let run = world.sync().lines([&customer("c-1"), &state("customers", 1), garbage, &customer("c-2")]).run();
        let message = run.failed("system_error", "INPUT_MALFORMED");
        assert!(message.contains("Line 3 "), "{message}");
        assert!(run.stdout.iter().all(|line| !line.contains("garbage-value")), "{run}");
        // What came before is finished; nothing after it is touched.
        assert_eq!(run.state_ids(), [1]);
        assert_eq!(world.customer_keys(), ["c-1"]);
    }
}

#[test]
fn an_input_that_can_not_be_read_is_told_without_a_line() {
    let world = World::new();
    let config = world.file("config.json", &world.config(json!({})).to_string());
    let catalog = world.file("catalog.json", &json!({"streams": [stream("customers").0]}).to_string());
    let mut write = std::process::Command::new(env!("CARGO_BIN_EXE_destination-chartmogul"));
    let write = write.args(["write", "--config"]).arg(config).arg("--catalog").arg(catalog).env_clear();
    let run = write.stdin(std::fs::File::open("/").unwrap()).output().unwrap();
    let told = String::from_utf8(run.stdout).unwrap();
    assert!(
        told.contains("INPUT_MALFORMED: Reading the input failed.") && told.contains("at what stdin was connected to"),
        "{told}"
    );
}

#[test]
fn bytes_that_are_no_utf_8_fail_with_their_line() {
    let world = World::new();
    let mut input = format!("{}\n{}\n", customer("c-1"), state("customers", 1)).into_bytes();
    input.extend(b"{\"type\":\"LOG\",\"log\":\"\xff\xfe\"}\n");
    let run = world.sync().run_bytes(input);
    assert!(run.failed("system_error", "INPUT_MALFORMED").contains("Line 3 "), "{run}");
    assert_eq!(run.state_ids(), [1]);
}

#[test]
fn a_message_that_lacks_what_it_needs_fails() {
    for line in [
        json!({"type": "RECORD"}),
        json!({"type": "RECORD", "record": {"data": {}}}),
        json!({"type": "RECORD", "record": {"stream": "customers"}}),
        json!({"type": "STATE"}),
        json!({"type": "STATE", "state": {"type": "STREAM"}}),
        json!({"type": "STATE", "state": {"type": "SOMETHING"}}),
        json!({"record": {"stream": "customers", "data": {}}}),
    ] {
        let world = World::new();
        let message = world.sync().line(line.to_string()).run().failed("system_error", "INPUT_MALFORMED");
        assert!(message.contains("Line 1 "), "{line}: {message}");
    }
}

#[test]
fn unknown_message_types_are_ignored_with_one_warning() {
    let world = World::new();
    let odd = r#"{"type":"TELEMETRY","telemetry":{"x":1}}"#;
    let run = world.sync().lines([odd, odd, &customer("c-1"), odd]).run().succeeded();
    assert_eq!(run.logs().filter(|log| log.contains("TELEMETRY")).count(), 1, "{run}");
    assert_eq!(world.customers().len(), 1);
}

#[test]
fn what_a_source_prints_beside_records_is_ignored() {
    let world = World::new();
    let run = world
        .sync()
        .lines([
            r#"{"type":"LOG","log":{"level":"INFO","message":"Starting"}}"#,
            r#"{"type":"LOG","log":null}"#,
            r#"{"type":"CONTROL","control":{"type":"CONNECTOR_CONFIG","emitted_at":1,"connectorConfig":{"config":{}}}}"#,
            r#"{"type":"TRACE","trace":{"type":"ESTIMATE","emitted_at":1,"estimate":{"name":"nothing","type":"STREAM","row_estimate":1}}}"#,
            r#"{"type":"TRACE","trace":{"type":"ERROR","emitted_at":1,"error":{"message":"of the source"}}}"#,
            r#"{"type":"TRACE","trace":null}"#,
            r#"{"type":"SPEC","spec":{}}"#,
        ])
        .lines([status("customers", "STARTED"), status("elsewhere", "RUNNING"), customer("c-1"), status("customers", "RUNNING")])
        .run()
        .succeeded();
    assert_eq!(run.outcomes("customers"), "1 read, 1 created");
}

#[test]
fn a_record_of_an_unknown_stream_fails() {
    let world = World::new();
    let unknown = record("unheard_of", json!({"external_id": "c-2"}));
    let run = world.sync().lines([customer("c-1"), state("customers", 1), unknown]).run();
    let message = run.failed("system_error", "STREAM_UNKNOWN");
    assert!(message.contains("Line 3 ") && message.contains("catalog"), "{message}");
    assert_eq!(run.state_ids(), [1]);

    let elsewhere = namespaced(Some("elsewhere"), "customers", json!({"external_id": "c-2"}));
    world.sync().line(elsewhere).run().failed("system_error", "STREAM_UNKNOWN");
    world.sync().line(complete("unheard_of")).run().failed("system_error", "STREAM_UNKNOWN");
    assert_eq!(world.customer_keys(), ["c-1"]);
}

#[test]
fn an_incomplete_stream_fails_the_sync_after_what_came_is_settled() {
    let world = World::new();
    let run = world.sync().lines([customer("c-1"), state("customers", 1), status("customers", "INCOMPLETE")]).run();
    let message = run.failed("transient_error", "INPUT_INCOMPLETE");
    assert!(message.contains("customers"), "{message}");
    assert_eq!(run.state_ids(), [1]);
}

#[test]
fn carriage_returns_blank_lines_and_a_missing_last_newline_do_no_harm() {
    let world = World::new();
    let input = format!(
        "\u{feff}{}\r\n\r\n   \n\t\r\n{}\r\n\n{}\n{}",
        customer("c-1"),
        customer("c-2"),
        state("customers", 1),
        customer("c-3")
    );
    let run = world.sync().run_bytes(input).succeeded();
    assert_eq!(world.customer_keys(), ["c-1", "c-2", "c-3"]);
    assert_eq!(run.states().len(), 1);
    assert!(run.states()[0].ends_with('}'), "{run}");
}

#[test]
fn line_breaks_within_data_do_not_break_lines() {
    let world = World::new();
    let name = "one\u{2028}two\u{2029}three\nfour\r\nfive\u{85}six\u{0}";
    // Raw where JSON allows it, escaped where it does not.
    world.sync().customer(json!({"external_id": "c-1", "name": name})).run().succeeded();
    assert_eq!(world.customer("c-1")["fields"]["name"], name);
}

#[test]
fn funny_names_of_keys_and_values_survive() {
    let world = World::new();
    let line = r#"{"type":"RECORD","record":{"stream":"customers","data":{"external_id":"sch\u00fcssel/ 1%?#&=","name":"\ud83d\ude80 \"quoted\" \\ back"},"emitted_at":1}}"#;
    let again = record("customers", json!({"external_id": "schüssel/ 1%?#&=", "city": "Köln"}));
    let run = world.sync().lines([line, &again]).run().succeeded();
    let customer = world.customer("schüssel/ 1%?#&=");
    assert_eq!(customer["fields"]["name"], "🚀 \"quoted\" \\ back");
    assert_eq!(customer["fields"]["city"], "Köln");
    assert_eq!(run.outcomes("customers"), "2 read, 1 created, 1 updated");
}

#[test]
fn a_line_of_twenty_megabytes_is_read() {
    let world = World::new();
    let blob = "x".repeat(20 * 1024 * 1024);
    let wide = record("customers", json!({"external_id": "c-1", "blob": blob, "name": "Wide"}));
    let run = world
        .sync()
        .config(json!({"streams": [{"stream": "customers", "exclude": ["blob"]}]}))
        .lines([wide, customer("c-2"), state("customers", 1)])
        .run()
        .succeeded();
    assert_eq!(world.customer_keys(), ["c-1", "c-2"]);
    assert_eq!(world.customer("c-1")["fields"]["name"], "Wide");
    assert_eq!(run.counts(), [(2.0, 0.0)]);
}

#[test]
fn a_request_that_would_be_too_large_rejects_its_record() {
    let world = World::new();
    let run = world
        .sync()
        .customer(json!({"external_id": "c-1"}))
        .contact(json!({"customer_external_id": "c-1", "email": "a@example.com", "notes": "x".repeat(20 * 1024 * 1024)}))
        .contact(json!({"customer_external_id": "c-1", "email": "b@example.com"}))
        .line(state("contacts", 1))
        .run()
        .succeeded();
    assert_eq!(run.outcomes("contacts"), "2 read, 1 created, 1 rejected, 1 rejected with RECORD_TOO_LARGE");
    assert_eq!(run.counts(), [(1.0, 1.0)]);
}

#[test]
fn a_row_that_is_no_object_is_rejected_alone() {
    let world = World::new();
    for data in [json!(null), json!([1]), json!("text"), json!(5)] {
        let run = world.sync().lines([record("customers", data), customer("c-1"), state("customers", 1)]).run().succeeded();
        assert_eq!(run.counts(), [(1.0, 1.0)]);
        assert!(run.outcomes("customers").ends_with("1 rejected with FIELD_TYPE"), "{run}");
    }
}

#[test]
fn explicit_nulls_and_the_bare_name_in_complete_are_understood() {
    let world = World::new();
    let record = r#"{"type":"RECORD","log":null,"spec":null,"connectionStatus":null,"catalog":null,"record":{"namespace":null,"stream":"customers","data":{"external_id":"c-1","name":"Ann Lee","company":null,"_airbyte_raw_id":"00-11","_airbyte_extracted_at":"2026-01-02T03:04:05","_airbyte_meta":{}},"emitted_at":1700000000,"meta":null,"file_reference":null},"state":null,"trace":null,"control":null,"destination_catalog":null}"#;
    let done = r#"{"type":"TRACE","log":null,"record":null,"state":null,"trace":{"type":"STREAM_STATUS","emitted_at":1700000000.25,"error":null,"estimate":null,"stream_status":{"stream_descriptor":{"name":"customers","namespace":null},"status":"COMPLETE","reasons":null},"analytics":null},"control":null}"#;
    let catalog = stream("customers").namespace("crm").generations(1, 1);
    let in_namespace = record.replacen(r#""namespace":null"#, r#""namespace":"crm""#, 1);
    world.sync().stream(catalog).lines([&*in_namespace, done]).run().succeeded();
    world.sync().stream(stream("customers").generations(1, 1)).lines([record, done]).run().succeeded();
    let customer = world.customer("c-1");
    assert_eq!(customer["custom"], json!({}), "Airbyte's own columns are no attributes");
    assert_eq!(customer["fields"]["name"], "Ann Lee");
    assert_eq!(customer["fields"].get("company"), None);
}

#[test]
fn a_record_after_the_complete_of_its_stream_is_not_lost() {
    let world = World::new();
    let catalog = stream("customers").generations(1, 0);
    let lines = [customer("c-1"), complete("customers"), customer("c-2"), state("customers", 1)];
    let run = world.sync().stream(catalog).lines(lines).run().succeeded();
    assert_eq!(world.customer_keys(), ["c-1", "c-2"]);
    assert_eq!(run.counts(), [(2.0, 0.0)]);
    assert!(run.logged(&["customers", "COMPLETE"]), "a warning says so: {run}");
}

#[test]
fn a_key_that_is_a_big_number_keeps_its_digits() {
    let world = World::new();
    let line =
        r#"{"type":"RECORD","record":{"stream":"customers","data":{"external_id":12345678901234567890123},"emitted_at":1}}"#;
    world.sync().line(line).run().succeeded();
    assert_eq!(world.customer_keys(), ["12345678901234567890123"]);
}

#[test]
fn lines_that_arrive_in_pieces_are_put_together() {
    let world = World::new();
    let input = format!("{}\n{}\n{}\n", customer("c-1"), customer("c-2"), state("customers", 1));
    let mut live = world.sync().start();
    for piece in input.as_bytes().chunks(7) {
        live.feed_bytes(piece);
    }
    live.wait_for_states(1);
    live.end_input();
    live.finish().succeeded();
    assert_eq!(world.customer_keys(), ["c-1", "c-2"]);
}

#[test]
fn a_column_that_stands_twice_in_a_row_has_one_outcome() {
    let world = World::new();
    let line = r#"{"type":"RECORD","record":{"stream":"customers","data":{"external_id":"c-1","name":"One","name":"Two","seats":1,"seats":2},"emitted_at":1}}"#;
    let run = world.sync().lines([line, &state("customers", 1)]).run().succeeded();
    assert_eq!(run.outcomes("customers"), "1 read, 1 rejected, 1 rejected with FIELD_TWICE");
}

/// Were each column compared with those before it, the watchdog would come first.
#[test]
fn a_record_of_a_hundred_thousand_columns_is_read_like_any_other() {
    let mut columns: serde_json::Map<String, serde_json::Value> =
        (0..100_000).map(|at| (format!("column_{at:06}"), json!(at))).collect();
    columns.insert("external_id".to_owned(), json!("c-1"));
    let row = record("customers", columns.into());
    let world = World::new();
    let outcomes = |config: serde_json::Value| {
        let run = world.sync().config(config).lines([row.clone(), state("customers", 1)]).run().succeeded();
        assert_eq!(run.state_ids(), [1]);
        run.outcomes("customers").to_owned()
    };
    assert_eq!(outcomes(json!({"mode": "update"})), "1 read, 1 skipped, 1 skipped as no_match");
    assert_eq!(outcomes(json!({"unknown_fields": "reject"})), "1 read, 1 rejected, 1 rejected with FIELD_UNKNOWN");
    assert_eq!(outcomes(json!({"unknown_fields": "ignore"})), "1 read, 1 created");
}
