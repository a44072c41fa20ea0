//! Whole syncs under random faults and kills, from seeds: whatever happens on the way, the account ends as after a clean run.

use std::time::Duration;

use serde_json::{Value, json};

use super::testing::{catalog, record, run, run_until, settings, state};
use crate::sandbox::{Options, Quirks, Sandbox};

/// A small generator: the same seed gives the same input.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Lines of a sync over few keys: creates, changes, contacts with and without keys, before and after their customers, bad
/// records, and a STATE now and then.
fn input(seed: u64, records: u64) -> Vec<String> {
    let mut dice = Dice(seed);
    let mut lines = Vec::new();
    for at in 0..records {
        let key = format!("c{}", dice.roll(records / 6 + 1));
        let line = match dice.roll(10) {
            0..=4 => record(
                "customers",
                &json!({"external_id": key, "name": format!("n{at}"), "seats": dice.roll(9), "on": dice.roll(2) == 1, "tags": [format!("t{}", dice.roll(3))]}),
            ),
            5 | 6 => record(
                "contacts",
                &json!({"customer_external_id": key, "external_id": format!("k{}", dice.roll(3)), "title": format!("t{at}")}),
            ),
            7 => record(
                "contacts",
                &json!({"customer_external_id": key, "email": format!("m{}@x.test", dice.roll(3)), "phone": format!("{at}")}),
            ),
            8 => record("contacts", &json!({"customer_external_id": key, "first_name": format!("f{at}")})),
            _ => record("customers", &json!({"external_id": key, "email": "nobody"})),
        };
        lines.push(line);
        if dice.roll(12) == 0 {
            lines.push(state(if dice.roll(2) == 0 { "customers" } else { "contacts" }, at));
        }
    }
    for stream in ["customers", "contacts"] {
        lines.push(state(stream, records));
    }
    lines
}

/// What an account holds, but for the positions of contacts: they tell in which order contacts of one customer were made.
fn contents(sandbox: &Sandbox) -> Value {
    let mut contents = sandbox.contents();
    for contact in contents["contacts"].as_array_mut().unwrap() {
        contact["fields"].as_object_mut().unwrap().remove("position");
    }
    contents["contacts"].as_array_mut().unwrap().sort_by_key(ToString::to_string);
    contents
}

/// How long lists lag in the sandbox of a seed.
pub(super) fn lists_lag(seed: u64) -> Duration {
    Duration::from_millis(seed % 3 * 1500)
}

pub(super) fn sandbox(seed: u64) -> Sandbox {
    let quirks = Quirks { list_lag: lists_lag(seed), retry_after: seed.is_multiple_of(2).then_some(2), ..Quirks::default() };
    Sandbox::new(Options {
        seed,
        latency: Duration::from_millis(30),
        jitter: Duration::from_millis(60),
        quirks,
        ..Options::default()
    })
}

pub(super) const FAULTS: &[&str] = &[
    "* rate=0.02 reset",
    "* rate=0.02 after-work reset",
    "* rate=0.02 status=500",
    "* rate=0.01 after-work status=502",
    "* rate=0.01 html=503",
    "* rate=0.01 half",
    "* rate=0.01 garbage",
    "* rate=0.01 429",
    "* rate=0.01 503",
];

#[tokio::test(start_paused = true)]
async fn random_faults_lose_nothing_repeat_nothing_and_leave_the_account_of_a_clean_run() {
    for seed in 1..=12 {
        let lines = input(seed, 600);
        let (streams, settings) = (catalog(&["customers", "contacts"]), settings(&json!({})));
        let clean = sandbox(seed);
        let expected = run(&clean, &settings, &streams, lines.concat()).await;
        expected.assert_sound();

        let faulty = sandbox(seed);
        FAULTS.iter().for_each(|spec| faulty.script(spec.parse().unwrap()));
        let ran = run(&faulty, &settings, &streams, lines.concat()).await;
        ran.assert_sound();
        assert!(ran.report.client.retries > 30, "seed {seed}: only {} faults struck", ran.report.client.retries);
        let (left, right) = (contents(&faulty), contents(&clean));
        for kind in ["customers", "contacts"] {
            let (got, wanted) = (left[kind].as_array().unwrap(), right[kind].as_array().unwrap());
            for entry in got {
                assert!(wanted.contains(entry), "seed {seed}: {kind} holds {entry}, which a clean run does not leave");
            }
            assert_eq!(got.len(), wanted.len(), "seed {seed}: {kind}");
        }
        assert_eq!(ran.count("rejected"), expected.count("rejected"), "seed {seed}");
        assert_eq!(ran.states().iter().map(|(_, rejected)| rejected).sum::<f64>(), ran.count("rejected") as f64);
    }
}

/// What the source would send again: everything of a stream after its last STATE that came out.
fn rest(lines: &[String], emitted: &[Value]) -> Vec<String> {
    let mut done = [0, 0];
    for (at, line) in lines.iter().enumerate() {
        let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
        let same = |out: &&Value| out["state"]["stream"] == message["state"]["stream"];
        if message["type"] == "STATE" && emitted.iter().any(|out| same(&out)) {
            done[usize::from(line.contains("\"contacts\""))] = at + 1;
        }
    }
    lines
        .iter()
        .enumerate()
        .filter(|(at, line)| {
            *at >= done[usize::from(line.contains("\"stream\":\"contacts\"") || line.contains("\"name\":\"contacts\""))]
        })
        .map(|(_, line)| line.clone())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_time_and_run_again_from_the_last_state_nothing_is_lost_or_doubled() {
    for seed in 1..=10 {
        let lines = input(seed + 100, 200);
        let (streams, settings) = (catalog(&["customers", "contacts"]), settings(&json!({})));
        let clean = sandbox(seed);
        run(&clean, &settings, &streams, lines.concat()).await.assert_sound();

        let killed = sandbox(seed);
        let mut left = lines.clone();
        let mut kills = 0;
        loop {
            // Killed in the middle of whatever it does: the whole engine is dropped.
            let time = Duration::from_millis(300 + 211 * (kills + 1) * (seed % 10 + 1));
            let out = super::testing::Collected::default();
            let sync = super::testing::run_into(&out, &killed, &settings, &streams, left.concat(), std::future::pending());
            let ended = tokio::time::timeout(time, sync).await;
            let emitted = out.lines();
            left = rest(&left, &emitted);
            if let Ok(ran) = ended {
                ran.assert_sound();
                break;
            }
            kills += 1;
            // Longer than the lists lag: what was made right before the kill could not be found otherwise, by anybody.
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        assert!(kills > 0, "seed {seed}: it was never killed");
        let (got, wanted) = (contents(&killed), contents(&clean));
        for kind in ["customers", "contacts"] {
            assert_eq!(
                got[kind].as_array().unwrap().len(),
                wanted[kind].as_array().unwrap().len(),
                "seed {seed}, {kills} kills: {kind}"
            );
        }
        assert_eq!(got, wanted, "seed {seed}, {kills} kills");
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_run() {
    let once = async || {
        let sandbox = sandbox(5);
        FAULTS.iter().for_each(|spec| sandbox.script(spec.parse().unwrap()));
        let stop = tokio::time::sleep(Duration::from_secs(20));
        let ran =
            run_until(&sandbox, &settings(&json!({})), &catalog(&["customers", "contacts"]), input(5, 400).concat(), stop).await;
        (format!("{:?}", ran.lines), ran.report.total(), sandbox.dump().to_string(), sandbox.observed().requests)
    };
    let (first, second) = (once().await, once().await);
    assert_eq!((first.0, first.1, first.3), (second.0, second.1, second.3));
}
