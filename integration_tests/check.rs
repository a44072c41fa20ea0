//! `check`: one status, every problem at once, nothing left behind.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use destination_chartmogul::sandbox::{DATA_SOURCE_UUID, Options, READ_ONLY_KEY, SECOND_DATA_SOURCE_UUID, WRITE_KEY};
use serde_json::{Value, json};

use crate::harness::{Command, Run, World, options};

const NO_SOURCE: &str = "ds_00000000-0000-4000-8000-000000000000";

/// The message of a check that failed; such a check is no failure of the command.
fn failed(run: Run) -> String {
    let run = run.succeeded();
    let status = &run.only("CONNECTION_STATUS")["connectionStatus"];
    assert_eq!(status["status"], "FAILED", "{run}");
    status["message"].as_str().unwrap().to_owned()
}

fn succeeded(run: Run) -> String {
    let run = run.succeeded();
    let status = &run.only("CONNECTION_STATUS")["connectionStatus"];
    assert_eq!(status["status"], "SUCCEEDED", "{run}");
    status["message"].as_str().unwrap().to_owned()
}

fn two_sources() -> World {
    World::with(Options { data_sources: vec!["Billing".into(), "CRM".into()], ..options() })
}

#[test]
fn a_configuration_that_works_succeeds_and_names_the_data_source() {
    let world = two_sources();
    let message = succeeded(world.check(&world.config(json!({"data_source_uuid": SECOND_DATA_SOURCE_UUID}))));
    assert!(message.contains("CRM"), "{message}");
}

#[test]
fn nothing_is_left_behind_in_the_account() {
    let world = World::new();
    world.given_customer("c-1", json!({}));
    let before = world.sandbox.dump();
    succeeded(world.check(&world.config(json!({}))));
    assert_eq!(world.sandbox.dump(), before);
    assert_eq!(world.requests("POST", "/v1/data_sources"), 1, "the probe for write access");
}

#[test]
fn a_bad_key_is_told_with_its_remedy() {
    let world = World::new();
    let message = failed(world.check(&world.config(json!({"api_key": "nobody-knows-this-key"}))));
    assert!(message.contains("API key") && message.contains("Copy an active key"), "{message}");
}

#[test]
fn a_key_that_may_only_read_is_told_with_its_remedy() {
    let world = World::new();
    let message = failed(world.check(&world.config(json!({"api_key": READ_ONLY_KEY}))));
    assert!(message.contains("read and write access"), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
}

#[test]
fn an_unknown_data_source_is_told_with_those_the_key_can_see() {
    let world = two_sources();
    let message = failed(world.check(&world.config(json!({"data_source_uuid": NO_SOURCE}))));
    for word in [NO_SOURCE, DATA_SOURCE_UUID, "Billing", SECOND_DATA_SOURCE_UUID, "CRM"] {
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn an_account_without_data_sources_is_told_to_make_one() {
    let world = World::with(Options { data_sources: Vec::new(), ..options() });
    let message = failed(world.check(&world.config(json!({}))));
    assert!(message.contains("create one"), "{message}");
}

#[test]
fn a_read_only_key_and_an_unknown_data_source_are_told_at_once() {
    let world = two_sources();
    let message = failed(world.check(&world.config(json!({"api_key": READ_ONLY_KEY, "data_source_uuid": NO_SOURCE}))));
    for word in ["read and write access", NO_SOURCE, "Billing", "CRM"] {
        assert!(message.contains(word), "{message}");
    }
    assert_eq!(message.lines().count(), 2, "{message}");
}

#[test]
fn a_host_that_can_not_be_reached_fails_the_check_not_the_command() {
    let world = World::new();
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let limits = json!({"give_up_after_minutes": 0});
    let config = world.config(json!({"base_url": format!("http://127.0.0.1:{port}/v1"), "limits": limits}));
    let message = failed(world.check(&config));
    assert!(message.contains("could not be reached") || message.contains("can not be reached"), "{message}");
    assert!(message.contains("firewall"), "{message}");
}

#[test]
fn a_base_url_without_its_version_is_told() {
    let world = World::new();
    let message = failed(world.check(&world.config(json!({"base_url": world.base_url.strip_suffix("/v1").unwrap()}))));
    assert!(message.contains("/v1"), "{message}");
}

#[test]
fn a_base_url_that_ends_in_a_slash_works() {
    let world = World::new();
    succeeded(world.check(&world.config(json!({"base_url": format!("{}/", world.base_url)}))));
}

#[test]
fn all_that_breaks_the_schema_is_told_at_once_with_its_place() {
    let world = World::new();
    let config = world.config(json!({
        "data_source_uuid": "ds_1",
        "mode": "replace",
        "base_url": "http://chartmogul.example/v1",
        "limits": {"connections": 0, "tempo": 3},
        "deletions": {"policy": "delete", "max_percent": 200},
        "streams": [{"stream": "customers", "types": {"seats": "Float"}, "surprise": 1}, {"mode": "update"}],
    }));
    let message = failed(world.check(&config));
    let places = [
        "data_source_uuid",
        "mode",
        "base_url",
        "limits.connections",
        "limits.tempo",
        "deletions.max_percent",
        "streams[0].types.seats",
        "streams[0].surprise",
        "streams[1].stream",
    ];
    for place in places {
        assert!(message.contains(&format!("- {place}: ")), "{place} is not among:\n{message}");
    }
    assert!(message.contains(&format!("{} problems", places.len())), "{message}");
    assert_eq!(world.arrived(), 0);
}

#[test]
fn a_file_that_can_not_be_read_is_a_fault_of_the_command() {
    let world = World::new();
    let message = Command::new(&["check", "--config", "/nowhere/config.json"]).run().failed("config_error", "CONFIG_UNREADABLE");
    assert!(message.contains("--config"), "{message}");
    let broken = world.file("broken.json", &format!("{{\"api_key\":\"{WRITE_KEY}\",,"));
    let message = Command::new(&["check", "--config"]).arg(broken).run().failed("config_error", "CONFIG_UNREADABLE");
    assert!(message.contains("line 1"), "{message}");
}

#[test]
fn the_key_may_come_from_the_environment() {
    let world = World::new();
    let config = world.config(json!({"api_key": null}));
    let with = |key: &str| world.with_config("check", &config).env("CHARTMOGUL_API_KEY", key).run();
    succeeded(with(WRITE_KEY));
    // An empty one counts as absent.
    let message = failed(with(""));
    assert!(message.contains("- api_key: is missing") && message.contains("CHARTMOGUL_API_KEY"), "{message}");
    // The file's key comes first.
    let config = world.config(json!({}));
    succeeded(world.with_config("check", &config).env("CHARTMOGUL_API_KEY", "some-other-key").secret("some-other-key").run());
}

#[test]
fn keys_that_mean_nothing_here_are_no_fault() {
    let world = World::new();
    let run = world.check(&world.config(json!({"object_storage_config": {"storage_type": "None"}, "modus": "upsert"})));
    assert!(run.logged(&["modus"]), "{run}");
    succeeded(run);
}

#[test]
fn an_account_that_refuses_everything_fails_the_check_once() {
    for fault in ["* status=402 x*", "* status=403 x*", "* status=302 x*", "* html=200 x*", "* garbage x*"] {
        let world = World::new();
        world.fault(fault);
        let message = failed(world.check(&world.config(json!({"limits": {"give_up_after_minutes": 0}}))));
        assert!(!message.is_empty() && !message.contains(&Value::Null.to_string()), "{fault}: {message}");
    }
}

/// A server that refuses every request in words that hold what the request held.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let length = connection.read(&mut request).unwrap_or_default();
            let head = String::from_utf8_lossy(&request[..length]).into_owned();
            let header = head.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or_default();
            let clear = STANDARD.decode(header.trim_start_matches("Basic ")).unwrap_or_default();
            let clear = String::from_utf8_lossy(&clear).trim_end_matches(':').to_owned();
            let body =
                json!({"code": 401, "message": format!("Not this one: {clear}, sent as {header}"), "param": null}).to_string();
            let answer = format!(
                "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}/v1")
}

#[test]
fn a_server_that_repeats_the_key_does_not_get_it_into_our_words() {
    let world = World::new();
    let address = echo();
    let config = world.config(json!({"base_url": address}));
    let message = failed(world.with_config("check", &config).env("LOG_LEVEL", "TRACE").run());
    assert!(message.contains("Not this one: ****, sent as Basic ****"), "{message}");
    let sync = world.sync().config(json!({"base_url": address})).customer(json!({"external_id": "c-1"}));
    let message = sync.env("LOG_LEVEL", "TRACE").run().failed("config_error", "KEY_REFUSED");
    assert!(message.contains("****"), "{message}");
}
