//! A sync of everything that ends before its time at each place where it can, and runs again from the last STATE that came
//! out: the account is as after a clean run.
//!
//! "Each place" is each request: when it arrived, when its work was done and nobody heard of it, when it was answered. Beside
//! that, each STATE after which the reader of stdout goes away, and each line at which the input breaks off.
//! `cargo test --test integration kill:: -- --nocapture` prints the table. It leaves some places out; with `KILL_EVERYWHERE=1` it
//! does not.

use std::time::{Duration, Instant};

use destination_chartmogul::sandbox::Options;
use destination_chartmogul::sandbox::imports::Readings;
use serde_json::{Value, json};

use crate::harness::company::{self, Line};
use crate::harness::{Run, Sync, World, options, side_by_side};

/// How a sync ends before its time.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// Killed when this request had arrived; its work is never done.
    KilledBefore(u64),
    /// Killed when the work of this request was done; the answer never leaves.
    KilledAfter(u64),
    /// Killed as soon as the answer to this request had left.
    KilledAnswered(u64),
    /// Asked to end while this request is under way.
    Terminated(u64),
    /// The reader of stdout goes away after so many STATEs.
    ReaderGone(usize),
    /// The input ends after so many lines.
    CutBetween(usize),
    /// The input ends in the middle of this line.
    CutWithin(usize),
}

/// What is killed.
#[derive(Clone, Copy)]
struct Scenario {
    name: &'static str,
    /// Requests at once: with one alone, the n-th is the same in every run.
    connections: u32,
    in_bulk: bool,
}

impl Scenario {
    fn config(&self) -> Value {
        let bulk = if self.in_bulk { "auto" } else { "never" };
        json!({"bulk_import": bulk, "limits": {"connections": self.connections, "requests_per_second": 5000}})
    }

    /// Runs at once. What waits for imports does nothing meanwhile; else more of them than there are processors only poll.
    fn at_once(&self) -> usize {
        if self.in_bulk { 12 } else { 3 }
    }

    fn world(&self) -> World {
        let imports = Readings { start_delay: Duration::from_millis(100), ..Readings::default() };
        let world = World::with(Options { imports, ..options() });
        company::found(&world);
        world
    }

    /// What a sync that nobody disturbs makes of the account.
    fn clean(&self) -> Clean {
        let world = self.world();
        let lines = company::input(&world, self.in_bulk);
        let run = company::sync(&world, &self.config()).lines(company::texts(&lines)).run().succeeded();
        assert!(!run.logged(&["stream ", " rejected"]), "{run}");
        Clean { requests: world.arrived(), states: run.states().len(), lines: lines.len(), contents: company::contents(&world) }
    }

    /// Ends a sync this way, runs it again, and compares.
    fn survives(&self, way: Way, clean: &Clean) -> Result<(), String> {
        let world = self.world();
        let lines = company::input(&world, self.in_bulk);
        let run = self.end_early(&world, &lines, way);
        let rest = company::rest(&lines, &run);
        let again = company::sync(&world, &self.config()).lines(company::texts(&rest)).run();
        if again.code != Some(0) || again.logged(&["stream ", " rejected"]) {
            return Err(format!("{way:?}, the second run: {again}\n--- the first: {run}"));
        }
        company::difference(&company::contents(&world), &clean.contents).map_or(Ok(()), |words| {
            let second: Vec<String> = company::texts(&rest);
            Err(format!(
                "{way:?}:\n{words}\n--- the first run: {run}\n--- the second: {again}\n--- its input:\n{}",
                second.join("\n")
            ))
        })
    }

    fn end_early(&self, world: &World, lines: &[Line], way: Way) -> Run {
        let texts = company::texts(lines);
        let sync = company::sync(world, &self.config());
        let started = |sync: Sync<'_>| {
            let mut live = sync.lines(&*texts).start();
            // While more may come, what goes in an import waits for it.
            live.end_input();
            live
        };
        let arrived = |n: u64| world.wait_until("the request arrived", |world| world.arrived() > n);
        match way {
            Way::KilledBefore(n) | Way::KilledAfter(n) => {
                let work = if matches!(way, Way::KilledAfter(_)) { "after-work" } else { "" };
                world.fault(&format!("* {work} hang skip={n}"));
                let mut live = started(sync);
                arrived(n);
                live.kill();
                live.finish_cut_short()
            }
            Way::KilledAnswered(n) => {
                let before = world.sandbox.observed();
                let answered = before.requests - u64::from(before.in_flight) + n;
                let mut live = started(sync);
                world.wait_until("the request was answered", |world| {
                    let now = world.sandbox.observed();
                    now.requests - u64::from(now.in_flight) > answered
                });
                live.kill();
                live.finish_cut_short()
            }
            Way::Terminated(n) => {
                world.fault(&format!("* slow=50ms skip={n}"));
                let live = started(sync);
                arrived(n);
                live.signal("TERM");
                let run = live.finish();
                assert_eq!(run.code, Some(143), "{run}");
                run
            }
            Way::ReaderGone(states) => {
                let run = sync.command().hangs_up_after_states(states).input(texts.join("\n") + "\n").run();
                assert_eq!((run.code, run.states().len()), (Some(1), states), "{run}");
                run
            }
            Way::CutBetween(lines) => {
                let run = sync.lines(&texts[..lines]).run();
                run.failed("transient_error", "INPUT_INCOMPLETE");
                run
            }
            Way::CutWithin(line) => {
                let (whole, half) = (&texts[..line], &texts[line][..texts[line].len() / 2]);
                let run = sync.run_bytes(whole.iter().map(|line| format!("{line}\n")).collect::<String>() + half);
                run.failed("system_error", "INPUT_MALFORMED");
                run
            }
        }
    }
}

/// A run that nobody disturbs.
struct Clean {
    requests: u64,
    states: usize,
    lines: usize,
    contents: Value,
}

/// A kind of ways, and those of it that are tried.
type Kind<'k> = (&'k str, &'k dyn Fn(&Clean) -> Vec<Way>);

/// Tries the ways of one scenario, and prints a line for each kind.
#[expect(clippy::print_stdout, reason = "the table is for those who ask for it")]
fn tries(scenario: Scenario, kinds: &[Kind<'_>]) {
    let clean = scenario.clean();
    println!("{}: {} requests, {} STATEs, {} lines", scenario.name, clean.requests, clean.states, clean.lines);
    let mut problems = Vec::new();
    for (kind, ways) in kinds {
        let ways = ways(&clean);
        let failed: Vec<String> = side_by_side(scenario.at_once(), &ways, |way| scenario.survives(*way, &clean))
            .into_iter()
            .filter_map(Result::err)
            .collect();
        println!("  {kind:<48} {:>4} tried, {:>4} as a clean run", ways.len(), ways.len() - failed.len());
        problems.extend(failed);
    }
    let told: Vec<&str> = problems.iter().map(String::as_str).take(3).collect();
    assert!(problems.is_empty(), "{} ways end otherwise:\n{}", problems.len(), told.join("\n\n"));
}

/// Every so manieth of these places; all of them where that is asked for.
fn each<N>(step: usize, places: impl Iterator<Item = N>, way: fn(N) -> Way) -> Vec<Way> {
    let step = if std::env::var_os("KILL_EVERYWHERE").is_some() { 1 } else { step };
    places.skip(step / 2).step_by(step).map(way).collect()
}

const ONE_BY_ONE: Scenario = Scenario { name: "one request at a time", connections: 1, in_bulk: false };
const SIDE_BY_SIDE: Scenario = Scenario { name: "requests side by side", connections: 6, in_bulk: false };
const IN_BULK: Scenario = Scenario { name: "with bulk imports", connections: 1, in_bulk: true };

#[test]
fn killed_at_every_request_it_ends_as_a_clean_run() {
    tries(
        ONE_BY_ONE,
        &[
            ("killed before the work of a request", &|clean| each(1, 0..clean.requests, Way::KilledBefore)),
            ("killed after the work, before the answer", &|clean| each(1, 0..clean.requests, Way::KilledAfter)),
            ("killed when the answer was sent", &|clean| each(2, 0..clean.requests, Way::KilledAnswered)),
        ],
    );
}

#[test]
fn killed_with_requests_side_by_side_it_ends_as_a_clean_run() {
    tries(
        SIDE_BY_SIDE,
        &[
            ("killed after the work, before the answer", &|clean| each(4, 0..clean.requests, Way::KilledAfter)),
            ("killed when the answer was sent", &|clean| each(6, 0..clean.requests, Way::KilledAnswered)),
        ],
    );
}

#[test]
fn killed_at_every_request_of_a_sync_with_imports_it_ends_as_a_clean_run() {
    tries(
        IN_BULK,
        &[
            ("killed before the work of a request", &|clean| each(6, 0..clean.requests, Way::KilledBefore)),
            ("killed after the work, before the answer", &|clean| each(3, 0..clean.requests, Way::KilledAfter)),
        ],
    );
}

#[test]
fn asked_to_end_at_every_request_it_emits_what_is_safe() {
    tries(ONE_BY_ONE, &[("SIGTERM while a request is under way", &|clean| each(3, 0..clean.requests, Way::Terminated))]);
}

#[test]
fn a_reader_that_goes_away_after_any_state_ends_the_sync() {
    tries(ONE_BY_ONE, &[("stdout closed after a STATE", &|clean| each(3, 0..clean.states, Way::ReaderGone))]);
}

#[test]
fn an_input_that_breaks_off_anywhere_is_no_end_of_it() {
    tries(
        ONE_BY_ONE,
        &[
            ("stdin cut between lines", &|clean| each(6, 0..clean.lines, Way::CutBetween)),
            ("stdin cut in the middle of a line", &|clean| each(6, 0..clean.lines, Way::CutWithin)),
        ],
    );
}

#[test]
fn what_hangs_is_not_waited_for_beyond_the_time_that_an_orchestrator_gives() {
    let world = ONE_BY_ONE.world();
    world.fault("* hang skip=20");
    let live = company::sync(&world, &ONE_BY_ONE.config()).lines(company::texts(&company::input(&world, false))).start();
    world.wait_until("a request hangs", |world| world.arrived() == 21);
    let asked = Instant::now();
    live.signal("TERM");
    let run = live.finish();
    assert_eq!(run.code, Some(143), "{run}");
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
}
