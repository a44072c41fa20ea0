//! What is held in memory and on disk while an API stalls or parents do not come.

use std::cell::Cell;
use std::fs;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::harness::{World, record, state, stream};

const MIB: usize = 1024 * 1024;

/// Plans in flight, at most.
const IN_FLIGHT: usize = 4096;
/// Read beyond them, at most: seven blocks between reader and engine, and what the pipe holds.
const AHEAD: usize = 7 * 256 * 1024 + 64 * 1024;

#[test]
fn an_api_that_does_not_answer_stops_the_reading() {
    let world = World::new();
    world.fault("* x* hang");
    let mut live = world.sync().start();
    let line =
        record("contacts", json!({"customer_external_id": "c-1", "email": "a@example.com", "title": "t".repeat(400)})) + "\n";
    let (offered, bytes) = (64 * MIB, line.len());
    let taken = live.pour(line, offered);
    // Until it has stood still for a second, with at least as much read ahead as is promised.
    let before = Cell::new(0);
    world.wait_until("the reading stopped", |_| {
        thread::sleep(Duration::from_secs(1));
        let now = taken.load(Ordering::SeqCst);
        before.replace(now) == now && now > 1000 * bytes
    });
    let (now, most) = (taken.load(Ordering::SeqCst), IN_FLIGHT * bytes + AHEAD);
    assert!(now <= most, "{now} bytes were taken, {most} at most");
    assert!(live.peak_memory() < 64, "{} MiB", live.peak_memory());
    live.kill();
}

/// A child whose parent never comes, of half a kilobyte.
fn orphan(at: usize) -> String {
    let row =
        json!({"customer_external_id": format!("ghost-{}", at % 4), "external_id": format!("k-{at}"), "title": "t".repeat(400)});
    record("contacts", row)
}

#[test]
fn what_waits_for_parents_goes_to_a_file_that_leaves_no_trace_when_it_is_killed() {
    let world = World::new();
    let folder = world.path("temporary");
    fs::create_dir(&folder).unwrap();
    let names = || fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    let mut live = world.sync().stream(stream("contacts")).env("TMPDIR", folder.to_str().unwrap()).start();
    for part in 0..40 {
        live.feed(&(0..1000).map(|at| orphan(part * 1000 + at)).collect::<Vec<_>>());
    }
    live.feed(&[state("contacts", 1)]);
    live.wait_for_line(&["records that wait for their parents go to a temporary file"]);
    assert!(names().is_empty(), "{:?}", names());
    live.kill();
    let run = live.finish_cut_short();
    assert!(names().is_empty(), "{:?}", names());
    assert!(run.states().is_empty());
}

#[test]
fn a_file_that_may_not_grow_is_no_sudden_death() {
    let world = World::new();
    let customer = |key: &str| record("customers", json!({"external_id": key}));
    let mut live = world.sync().lines([customer("c-1"), state("customers", 1)]).start();
    live.wait_for_states(1);
    // What `ulimit -f` sends.
    live.signal("XFSZ");
    live.feed(&[customer("c-2"), state("customers", 2)]);
    live.end_input();
    live.finish().succeeded();
}

#[test]
fn a_folder_that_takes_no_file_ends_the_sync_with_what_to_do() {
    let world = World::new();
    let nowhere = world.path("nowhere");
    let children = (0..40_000).map(orphan).chain([state("contacts", 1)]);
    let run = world.sync().stream(stream("contacts")).env("TMPDIR", nowhere.to_str().unwrap()).lines(children).run();
    let message = run.failed("system_error", "PARKING_DISK");
    assert!(message.contains(nowhere.to_str().unwrap()) && message.contains("TMPDIR"), "{message}");
    assert!(run.states().is_empty());
}
