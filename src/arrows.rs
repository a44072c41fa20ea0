//! The house rule about arrows, as a test: a room knows the rooms below it and none above. See ARCHITECTURE.md.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from the ground up. `resource` is the part of `objects` that is facts alone: the table types, and the table
/// `RESOURCE` of each object.
const ROOMS: &[&str] = &[
    "errors", "failure", "outcome", "protocol", "resource", "mapping", "plan", "objects", "sandbox", "store", "config",
    "binding", "client", "account", "engine", "commands", "fuzzing",
];

/// Rooms and files that are pure: they know neither the runtime nor the HTTP library.
const PURE: &[&str] = &[
    "mapping/",
    "plan/",
    "objects/",
    "binding/",
    "store/queue.rs",
    "store/rows.rs",
    "store/names.rs",
    "store/files.rs",
    "account/attribute_types.rs",
    "account/index.rs",
    "account/listing.rs",
    "account/rent_or_buy.rs",
    "engine/ledger.rs",
    "engine/lanes.rs",
    "engine/parking.rs",
    "engine/in_turn.rs",
    "engine/seen.rs",
    "engine/kept.rs",
    "engine/bulk.rs",
    "engine/deletions.rs",
    "errors/",
    "failure.rs",
    "outcome.rs",
];

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        // What only tests use may come from anywhere.
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
        (path.strip_prefix(&root).unwrap().to_owned(), text)
    };
    found.into_iter().map(read).filter(|(path, _)| !is_test(path)).collect()
}

fn is_test(path: &Path) -> bool {
    let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    matches!(name, "tests" | "testing" | "arrows") || name.ends_with("_tests")
}

fn room_of(path: &Path) -> String {
    let first = path.iter().next().and_then(|part| part.to_str()).unwrap_or_default().trim_end_matches(".rs");
    if path == Path::new("objects/resource.rs") { "resource".to_owned() } else { first.to_owned() }
}

/// The rooms that a text names behind `crate::`.
fn named(text: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for rest in line.split("crate::").skip(1) {
            let path: String = rest.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect();
            let parts: Vec<&str> = path.split("::").collect();
            let facts = parts[0] == "objects" && (parts.get(1) == Some(&"resource") || parts.get(2) == Some(&"RESOURCE"));
            rooms.push(if facts { "resource" } else { parts[0] }.to_owned());
        }
    }
    rooms
}

#[test]
fn arrows_run_one_way() {
    let level = |room: &str| ROOMS.iter().position(|other| *other == room);
    let mut wrong = Vec::new();
    let mut arrows = 0;
    for (path, text) in sources() {
        let room = room_of(&path);
        if matches!(room.as_str(), "main" | "lib") {
            continue;
        }
        let Some(from) = level(&room) else {
            wrong.push(format!("{} is in no room that ARCHITECTURE.md knows", path.display()));
            continue;
        };
        for other in named(&text) {
            arrows += 1;
            match level(&other) {
                Some(to) if to <= from => {}
                _ => wrong.push(format!("{}: {room} must not know {other}", path.display())),
            }
            if room == "store" && !matches!(other.as_str(), "errors" | "failure" | "outcome" | "store") {
                wrong.push(format!("{}: the store knows outcomes and failures only, not {other}", path.display()));
            }
            if room == "sandbox" && !matches!(other.as_str(), "resource" | "sandbox") {
                wrong.push(format!("{}: the sandbox is written from the facts alone, not from {other}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(arrows > 100, "only {arrows} arrows were seen: the test reads the wrong place");
}

#[test]
fn pure_rooms_know_neither_the_runtime_nor_http() {
    for (path, text) in sources() {
        if PURE.iter().any(|pure| path.starts_with(pure.trim_end_matches('/'))) {
            for library in ["tokio::", "reqwest::", "axum::", "std::fs", "std::net", "SystemTime"] {
                assert!(!text.contains(library), "{} uses {library}", path.display());
            }
        }
    }
}
