//! Syncs in which more waits for its parents than memory has room for.

use serde_json::json;

use super::Bounds;
use super::testing::{PARKING, TIGHT, catalog, record, run, settings, state};
use crate::config::Settings;
use crate::errors::Code;
use crate::failure::FailureType;
use crate::sandbox::{Options, Sandbox};

const STREAMS: [&str; 2] = ["custom_attributes", "customers"];

/// Children of a few customers, each of them about one of few attributes, in an order that tells which came last.
fn children(count: usize) -> String {
    let child = |at: usize| {
        let row = json!({"customer_external_id": format!("c-{}", at % 40), "key": format!("k{}", at / 40 % 5), "type": "Integer", "value": at});
        record(STREAMS[0], &row)
    };
    (0..count).map(child).collect()
}

/// No number of rejected records ends it.
fn endless() -> Settings {
    settings(&json!({"stop_when_rejected": {"percent": 100, "after": 1_000_000}}))
}

fn parents() -> String {
    (0..40).map(|at| record(STREAMS[1], &json!({"external_id": format!("c-{at}")}))).collect()
}

#[tokio::test(start_paused = true)]
async fn many_children_before_their_parents_come_back_in_their_order() {
    const COUNT: usize = 100_000;
    let input = children(COUNT) + &state(STREAMS[0], 1) + &parents() + &state(STREAMS[1], 2);
    let sandbox = Sandbox::new(Options::default());
    let ran = PARKING.scope(TIGHT, run(&sandbox, &endless(), &catalog(&STREAMS), input)).await;
    ran.assert_sound();
    assert_eq!(ran.states().len(), 2);
    assert!(ran.report.parked >= COUNT as u64, "{} waited", ran.report.parked);
    let dump = sandbox.dump();
    for customer in dump["customers"].as_array().unwrap() {
        let key = customer["keys"][0]["external_id"].as_str().unwrap();
        let number: usize = key.trim_start_matches("c-").parse().unwrap();
        for attribute in 0..5 {
            // The last of its children that is about it.
            let last = (0..COUNT).rev().find(|at| at % 40 == number && at / 40 % 5 == attribute).unwrap();
            assert_eq!(customer["custom"][format!("k{attribute}")], json!(last), "{key} k{attribute}: {customer}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_until_the_end_is_rejected_each_by_itself() {
    let sandbox = Sandbox::new(Options::default());
    let input = children(20_000) + &state(STREAMS[0], 1);
    let ran = PARKING.scope(TIGHT, run(&sandbox, &endless(), &catalog(&STREAMS), input)).await;
    ran.assert_sound();
    assert_eq!((ran.count("rejected"), ran.states()), (20_000, vec![(0.0, 20_000.0)]));
    // Each customer when it is named first, and once more at the end; not for each of the records.
    let requests = sandbox.observed().requests;
    assert!(requests <= 2 * 40 + 3, "{requests} requests");
}

#[tokio::test(start_paused = true)]
async fn beyond_either_bound_the_sync_ends_and_no_state_covers_what_waits() {
    let input = state(STREAMS[0], 1) + &children(2000) + &state(STREAMS[0], 2);
    for bounds in [Bounds { away: 20_000, ..TIGHT }, Bounds { memory: 50_000, ..TIGHT }] {
        let sandbox = Sandbox::new(Options::default());
        let ran = PARKING.scope(bounds, run(&sandbox, &endless(), &catalog(&STREAMS), input.clone())).await;
        let failure = ran.ending.clone().unwrap_err();
        assert_eq!((failure.kind, failure.code), (FailureType::System, Code::ParkingFull), "{failure}");
        assert_eq!(ran.states().len(), 1, "the one before them");
        assert_eq!(ran.count("rejected"), 0, "nobody is rejected early");
    }
    let sandbox = Sandbox::new(Options::default());
    run(&sandbox, &endless(), &catalog(&STREAMS), input).await.assert_sound();
}
