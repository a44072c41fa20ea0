//! Error codes: `explain`, and that no failure leaves the binary without one.
//!
//! That what fails names a code is a law of every run, see `harness/laws.rs`; here stand ways to fail that no other test goes.

use std::net::TcpListener;

use destination_chartmogul::errors::{CODES, Code};
use serde_json::json;

use crate::harness::{ByHand, Command, World, complete, record, stream};

fn explain(code: &str) -> ByHand {
    ByHand::run(&["explain", code])
}

#[test]
fn a_code_is_explained_however_it_is_typed() {
    for typed in ["PARENT_NOT_FOUND", "parent_not_found", "Parent-Not-Found"] {
        let told = explain(typed);
        assert_eq!(told.code, Some(0));
        for words in ["PARENT_NOT_FOUND", Code::ParentNotFound.cause(), Code::ParentNotFound.remedy()] {
            assert!(told.stdout.contains(words), "{typed}: {}", told.stdout);
        }
        assert_eq!((told.stdout.lines().count(), told.stderr.as_str()), (3, ""));
    }
}

#[test]
fn without_a_code_all_are_listed() {
    let told = ByHand::run(&["explain"]);
    assert_eq!(told.code, Some(0));
    for code in CODES {
        assert!(told.stdout.lines().any(|line| line == code.as_str()), "{code}");
        assert!(told.stdout.contains(code.cause()) && told.stdout.contains(code.remedy()), "{code}");
    }
}

#[test]
fn an_unknown_code_is_answered_with_the_nearest() {
    let told = explain("key_refusd");
    assert_eq!((told.code, told.stdout.as_str()), (Some(2), ""));
    assert!(told.stderr.contains("key_refusd") && told.stderr.contains("nearest is KEY_REFUSED"), "{}", told.stderr);
}

#[test]
fn a_sandbox_without_a_port_tells_its_code() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for command in ["sandbox", "demo"] {
        let told = ByHand::run(&[command, "--port", &port]);
        assert_eq!(told.code, Some(1), "{}", told.stderr);
        assert!(told.stderr.contains("PORT_UNUSABLE") && told.stderr.contains(&port), "{}", told.stderr);
    }
}

#[test]
fn a_command_line_that_is_not_understood_tells_its_code() {
    for args in [&["sync"][..], &["demo", "--fast"], &["sandbox", "--fault", "never heard of"], &["explain", "a", "b"], &[]] {
        let told = ByHand::run(args);
        assert_eq!(told.code, Some(2), "{args:?}");
        assert!(told.stderr.starts_with("error: USAGE: "), "{args:?}: {}", told.stderr);
    }
    for args in [&["--help"][..], &["write", "--help"], &["--version"]] {
        let told = ByHand::run(args);
        assert_eq!((told.code, told.stderr.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn no_code_is_none() {
    for nothing in ["", " "] {
        let run =
            std::process::Command::new(env!("CARGO_BIN_EXE_destination-chartmogul")).args(["explain", nothing]).output().unwrap();
        let told = String::from_utf8(run.stderr).unwrap();
        assert!(run.status.code() == Some(2) && told.contains("No error code is given"), "{told}");
    }
}

/// Each asserts by itself that the code is told; see the head.
#[test]
fn the_ways_a_sync_fails_each_tell_their_code() {
    let customer = || record("customers", json!({"external_id": "c-1"}));
    let world = World::new();
    let message = |fault: &str| {
        let world = World::new();
        world.fault(fault);
        let run = world.sync().config(json!({"limits": {"give_up_after_minutes": 0}})).line(customer()).run();
        run.errors()[0]["trace"]["error"]["message"].as_str().unwrap().to_owned()
    };
    assert!(message("* status=500 x*").starts_with("API_OUTAGE: "));
    assert!(message("* status=402 x*").starts_with("PAYMENT_REQUIRED: "));
    assert!(message("* status=403 x*").starts_with("KEY_READ_ONLY: "));
    assert!(message("* html=200 x*").starts_with("BASE_URL_WRONG: "));
    let told = |run: crate::harness::Run, kind: &str, code: &str| assert!(run.failed(kind, code).starts_with(code));
    told(world.sync().line("{").run(), "system_error", "INPUT_MALFORMED");
    told(world.sync().line(record("nobody", json!({}))).run(), "system_error", "STREAM_UNKNOWN");
    let halves = world.sync().stream(stream("customers").generations(4, 0)).stream(stream("contacts").generations(4, 0));
    told(halves.line(complete("contacts")).run(), "transient_error", "INPUT_INCOMPLETE");
    told(world.sync().stream(stream("unheard_of")).run(), "config_error", "STREAM_UNRESOLVED");
    told(Command::new(&["write", "--config", "/nowhere", "--catalog", "/nowhere"]).run(), "config_error", "CONFIG_UNREADABLE");
    told(world.sync().env("DATA_CHANNEL_MEDIUM", "SOCKET").run(), "system_error", "SOCKET_MODE");
}

/// A full disk, as the machine offers one to try.
#[cfg(target_os = "linux")]
#[test]
fn what_can_not_be_printed_is_told_as_that() {
    let world = World::new();
    let config = world.file("config.json", &world.config(json!({})).to_string());
    let config = ["--config", config.to_str().unwrap()];
    for (command, more) in [
        ("explain", &[][..]),
        ("explain", &["KEY_REFUSED"]),
        ("sandbox", &["--port", "0"]),
        ("demo", &[]),
        ("spec", &[]),
        ("check", &config),
        ("discover", &config),
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_destination-chartmogul"));
        let run = run.arg(command).args(more).env_clear().stdout(full).output().unwrap();
        let told = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(1), "{command}: {told}");
        assert!(told.starts_with("error: STDOUT_CLOSED: ") && told.matches("error: ").count() == 1, "{command}: {told}");
    }
}
