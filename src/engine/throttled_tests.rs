//! Whole syncs that are throttled, in simulated time: what the platform is told of it, and when.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::testing::{Collected, catalog, record, run_into, settings};
use crate::sandbox::{Options, Sandbox};

/// A sync of these streams with these faults: how long it took, and what was told of streams that wait, with the second.
async fn told(faults: &[&str], streams: &[&str]) -> (Duration, Vec<(f64, Value)>) {
    let sandbox = Sandbox::new(Options { latency: Duration::from_millis(50), ..Options::default() });
    faults.iter().for_each(|fault| sandbox.script(fault.parse().unwrap()));
    let input: String = (0..40)
        .flat_map(|n| {
            streams.iter().map(move |stream| {
                record(
                    stream,
                    &json!({"external_id": format!("{stream}-{n}"), "name": "N", "interval_count": 1, "interval_unit": "month"}),
                )
            })
        })
        .collect();
    let out = Collected::default();
    let start = Instant::now();
    let (settings, catalog) = (settings(&json!({"mode": "insert"})), catalog(&["customers", "plans"]));
    let watch = async {
        let (mut seen, mut told) = (0, Vec::new());
        for tenth in 1.. {
            sleep_until(start + Duration::from_millis(100) * tenth).await;
            let lines = out.lines();
            let new = lines[seen..].iter().filter(|line| line["type"] == "TRACE");
            told.extend(new.map(|line| (start.elapsed().as_secs_f64(), line["trace"]["stream_status"].clone())));
            seen = lines.len();
            if tenth > 10 * 400 {
                break;
            }
        }
        told
    };
    let sync = async {
        let ran = run_into(&out, &sandbox, &settings, &catalog, input, std::future::pending()).await;
        ran.assert_sound();
        start.elapsed()
    };
    futures_util::join!(sync, watch)
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_told_as_it_begins_with_its_end_and_to_streams_that_wait() {
    let (took, told) = told(&["* 429 retry-after=20 skip=10"], &["customers"]).await;
    assert!(took >= Duration::from_secs(20), "{took:?}");
    assert_eq!(told.len(), 1, "{told:?}");
    let (at, status) = &told[0];
    assert!(*at < 1.0, "told after {at} s, while it lasts");
    assert_eq!((status["status"].as_str(), &status["stream_descriptor"]), (Some("RUNNING"), &json!({"name": "customers"})));
    let reasons = status["reasons"].as_array().unwrap();
    assert!(reasons.len() == 1 && reasons[0]["type"] == "RATE_LIMITED", "{status}");
    // The wall clock of the tests stands at zero.
    let reset = reasons[0]["rate_limited"]["quota_reset"].as_u64().unwrap();
    assert!((20_000..=20_200).contains(&reset), "{reset}");
}

#[tokio::test(start_paused = true)]
async fn pauses_that_nobody_would_notice_are_not_told_and_cost_what_they_cost() {
    let (took, told) = told(&["* 429 skip=10", "* 503 skip=30", "* 429 retry-after=1 skip=25"], &["customers"]).await;
    assert_eq!(told, []);
    assert!(took < Duration::from_secs(15), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_used_up_for_a_minute_is_told_every_half_minute_at_most() {
    let (took, told) = told(&["* 429 skip=10 x14"], &["customers", "plans"]).await;
    assert!(took > Duration::from_secs(60), "{took:?}");
    let times: Vec<f64> = told.iter().map(|(at, _)| *at).collect();
    let streams: std::collections::BTreeSet<String> =
        told.iter().map(|(_, status)| status["stream_descriptor"]["name"].to_string()).collect();
    assert_eq!(streams.len(), 2, "{told:?}");
    let mut moments = times.clone();
    moments.dedup();
    assert!(moments.len() >= 2 && moments.windows(2).all(|pair| pair[1] - pair[0] >= 29.8), "{moments:?}");
}
