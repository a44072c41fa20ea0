//! Whole syncs as data: one directory each under `integration_tests/scenarios`.
//!
//! | file | what it is |
//! |---|---|
//! | `config.json` | settings; key, data source, address and limits are filled in |
//! | `catalog.json`, `input.jsonl` | what the host gives, byte for byte |
//! | `account.jsonl` | optional: customers that are there before |
//! | `faults.txt` | optional: what goes wrong, one fault a line |
//! | `expected.jsonl` | what is printed: STATEs byte for byte, a failure's type and code, each stream's outcomes |
//! | `remote.json` | what the account holds afterwards |
//!
//! `BLESS=1 cargo test --test integration scenarios` writes the last two anew; look at the difference.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{Run, World};

#[test]
fn every_scenario_prints_and_leaves_behind_what_its_files_say() {
    let mut directories: Vec<PathBuf> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("integration_tests/scenarios"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    directories.sort();
    assert!(directories.len() >= 5, "{directories:?}");
    let problems: Vec<String> = directories.iter().filter_map(|directory| play(directory)).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

fn play(directory: &Path) -> Option<String> {
    let read = |name: &str| {
        fs::read_to_string(directory.join(name)).unwrap_or_else(|error| panic!("{}/{name}: {error}", directory.display()))
    };
    let optional = |name: &str| fs::read_to_string(directory.join(name)).unwrap_or_default();

    let world = World::new();
    for line in optional("account.jsonl").lines() {
        let mut customer: Value = serde_json::from_str(line).unwrap();
        let key = customer["external_id"].take();
        customer.as_object_mut().unwrap().shift_remove("external_id");
        world.given_customer(key.as_str().unwrap(), customer);
    }
    world.fault(&optional("faults.txt"));
    let config = world.config(serde_json::from_str(&read("config.json")).unwrap());
    let catalog = directory.join("catalog.json");
    let input = fs::read(directory.join("input.jsonl")).unwrap();
    let run = world.with_config("write", &config).arg("--catalog").arg(catalog).input(input).run();

    let problems: Vec<String> = [("expected.jsonl", printed(&run)), ("remote.json", pretty(&world.contents()))]
        .into_iter()
        .filter_map(|(name, found)| differs(&directory.join(name), &found))
        .collect();
    (!problems.is_empty()).then(|| format!("{}\n{run}", problems.join("\n")))
}

/// What was printed, without what differs from run to run. Outcomes come last, as they do in the log.
fn printed(run: &Run) -> String {
    let mut lines: Vec<String> = run.states().into_iter().map(str::to_owned).collect();
    // In which order streams finish is nobody's promise; within a stream it is.
    lines.sort_by_cached_key(|line| {
        serde_json::from_str::<Value>(line).unwrap()["state"]["stream"]["stream_descriptor"].to_string()
    });
    for error in run.errors() {
        let error = &error["trace"]["error"];
        let code = error["internal_message"].as_str().unwrap().split(':').next().unwrap().to_owned();
        lines.push(json!({"failure_type": error["failure_type"], "code": code}).to_string());
    }
    let outcomes = run.logs().filter(|log| log.starts_with("stream ") && log.contains(" read, "));
    lines.extend(outcomes.map(|log| json!({"outcomes": log}).to_string()));
    lines.push(json!({"exit_code": run.code}).to_string());
    lines.join("\n") + "\n"
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

/// The first line that differs, with the lines around it.
fn differs(path: &Path, found: &str) -> Option<String> {
    if std::env::var_os("BLESS").is_some() {
        fs::write(path, found).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    if expected == found {
        return None;
    }
    let at = expected.lines().zip(found.lines()).take_while(|(a, b)| a == b).count();
    let around =
        |text: &str| text.lines().skip(at.saturating_sub(3)).take(8).map(|line| format!("  {line}\n")).collect::<String>();
    Some(format!("{} differs from line {} on\nexpected:\n{}found:\n{}", path.display(), at + 1, around(&expected), around(found)))
}
