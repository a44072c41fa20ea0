//! Every fault of a network and a server against every kind of write, on the real binary over real sockets.
//!
//! Rows are faults, columns are modes of a keyed object (customers), a keyless one (notes) and one with parts (invoices). A
//! fault that passes leaves the account and the accounting of a run without it; one that stays ends the sync with
//! its type and code, and once it is over the source goes on from its last STATE to the same account.
//! `cargo test --test integration fault_matrix:: -- --nocapture` prints the table; with `SLOW_FAULTS=1` it has the rows that take
//! more than a minute too. What needs longer still is tried on a paused clock, in `src/engine/outage_tests.rs`.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::harness::company;
use crate::harness::{Run, Sync, World, record, side_by_side, state, stream};

/// Numbers of the things that a cell is about; they are days of a month too.
const FIRST: u32 = 11;
const THINGS: u32 = 3;

#[derive(Deserialize)]
struct Operations {
    there: Vec<There>,
    operations: Vec<Operation>,
}

#[derive(Deserialize)]
struct There {
    stream: String,
    row: Value,
}

/// Cells at once: mostly they wait.
const AT_ONCE: usize = 24;

/// A column.
#[derive(Deserialize)]
struct Operation {
    kind: String,
    mode: String,
    stream: String,
    config: Value,
    rows: Vec<Value>,
}

fn operations() -> Operations {
    serde_json::from_str(include_str!("fixtures/operations.json")).unwrap()
}

fn numbered(row: &Value, number: u32) -> Value {
    serde_json::from_str(&row.to_string().replace("{n}", &number.to_string())).unwrap()
}

impl Operation {
    fn name(&self) -> String {
        format!("{} {}", self.kind, self.mode)
    }

    /// The records of its things, each with a STATE behind it.
    fn input(&self) -> Vec<String> {
        let row = |at: u32| numbered(&self.rows[at as usize % self.rows.len()], FIRST + at);
        (0..THINGS).flat_map(|at| [record(&self.stream, row(at)), state(&self.stream, u64::from(at))]).collect()
    }

    /// Puts there what is changed, deleted and referred to.
    fn prepare(&self, world: &World) {
        let all = operations();
        let wanted = all.there.iter().filter(|there| there.stream == "customers" || there.stream == self.stream);
        let rows = wanted.flat_map(|there| (0..THINGS).map(|at| record(&there.stream, numbered(&there.row, FIRST + at))));
        let streams = ["customers", "customer_notes", "invoices"].into_iter().map(stream);
        streams.fold(world.sync(), Sync::stream).lines(rows).run().succeeded();
    }

    fn sync<'w>(&self, world: &'w World) -> Sync<'w> {
        world.sync().config(self.config.clone()).stream(stream(&self.stream))
    }

    /// The run that nothing disturbs.
    fn clean(&self) -> Clean {
        let world = World::new();
        self.prepare(&world);
        let before = world.arrived();
        let run = self.sync(&world).lines(self.input()).run().succeeded();
        assert_eq!(run.states().len(), THINGS as usize);
        let sound = |word| !run.outcomes(&self.stream).contains(word);
        assert!(sound("skipped") && sound("rejected") && sound("unchanged"), "{run}");
        let requests = world.arrived() - before;
        Clean {
            outcomes: run.outcomes(&self.stream).to_owned(),
            counts: run.counts(),
            contents: company::contents(&world),
            requests,
        }
    }
}

struct Clean {
    outcomes: String,
    counts: Vec<(f64, f64)>,
    contents: Value,
    requests: u64,
}

impl Clean {
    fn same_account(&self, world: &World, run: &Run) -> Result<(), String> {
        company::difference(&company::contents(world), &self.contents).map_or(Ok(()), |words| Err(format!("{words}\n{run}")))
    }
}

/// A row.
struct Row {
    name: &'static str,
    trouble: Trouble,
    /// It takes more than a minute.
    slow: bool,
}

enum Trouble {
    /// Strikes the first requests of each method, or all, and is endured. `{}` stands for the methods.
    Passes(&'static str),
    /// The same, told by nothing but the time it takes.
    Delays(&'static str),
    /// Strikes from the second record on, and ends the sync.
    Stays(&'static str, &'static str, &'static str),
    /// Nobody listens at the address for a while.
    RefusedAtFirst,
    /// Nobody listens there at all, or there is no such address.
    Unreachable(Option<&'static str>),
}

use Trouble::{Delays, Passes, RefusedAtFirst, Stays, Unreachable};

fn rows() -> Vec<Row> {
    let row = |name, trouble| Row { name, trouble, slow: false };
    let slow = |name, trouble| Row { name, trouble, slow: true };
    vec![
        row("connection refused, then back", RefusedAtFirst),
        row("reset before the work", Passes("{} /** reset")),
        row("reset after the work", Passes("{} /** after-work reset")),
        row("half an answer", Passes("{} /** half")),
        row("200 that is no JSON", Passes("{} /** garbage")),
        row("500 with JSON", Passes("{} /** status=500")),
        row("502 with HTML", Passes("{} /** html=502")),
        row("503 with HTML", Passes("{} /** html=503")),
        row("504 with HTML after the work", Passes("{} /** after-work html=504")),
        row("hung for a second, then closed", Passes("{} /** hang=1s")),
        row("hung after the work, then closed", Passes("{} /** after-work hang=1s")),
        row("slow answers", Delays("* slow=300ms x*")),
        row("429", Passes("{} /** 429 x2")),
        row("429 with Retry-After", Passes("{} /** 429 retry-after=1")),
        row("storm of 503", Passes("* 503 x4")),
        row("401 in the middle", Stays("* status=401 x*", "config_error", "KEY_REFUSED")),
        row("outage beyond patience", Stays("* status=500 x*", "transient_error", "API_OUTAGE")),
        row("pages of a proxy beyond patience", Stays("* html=502 x*", "transient_error", "API_OUTAGE")),
        row("429 beyond patience", Stays("* 429 x*", "transient_error", "API_OUTAGE")),
        row("connection refused beyond patience", Unreachable(None)),
        row("no such name", Unreachable(Some("http://nowhere.localhost:1/v1"))),
        slow("no answer at all", Passes("{} /** hang=600s")),
        slow("no answer at all, the work done", Passes("{} /** after-work hang=600s")),
    ]
}

fn faults(template: &str) -> String {
    let methods = ["GET", "POST", "PATCH", "PUT", "DELETE"];
    let lines = methods.iter().map(|method| template.replace("{}", method) + "\n");
    if template.contains("{}") { lines.collect() } else { template.to_owned() }
}

/// How long a sync is patient where it is to end.
fn impatient() -> Value {
    json!({"limits": {"give_up_after_minutes": 0.01, "requests_per_second": 5000, "connections": 50}})
}

fn cell(row: &Row, operation: &Operation, clean: &Clean) -> Result<(), String> {
    let input = operation.input();
    match &row.trouble {
        Passes(template) | Delays(template) => {
            let world = World::new();
            operation.prepare(&world);
            let before = world.arrived();
            world.fault(&faults(template));
            let run = operation.sync(&world).lines(input).run();
            let more = world.arrived() - before > clean.requests;
            if more == matches!(row.trouble, Delays(_)) {
                return Err(format!(
                    "it struck otherwise: {} requests, {} without it\n{run}",
                    world.arrived() - before,
                    clean.requests
                ));
            }
            endured(operation, &world, run, clean)
        }
        RefusedAtFirst => {
            let prepared = World::new();
            operation.prepare(&prepared);
            let mut world = World::behind_a_closed_door(&prepared);
            let mut live = operation.sync(&world).lines(input).start();
            live.wait_for_line(&["no connection"]);
            world.open();
            live.end_input();
            endured(operation, &world, live.finish(), clean)
        }
        Stays(template, kind, code) => {
            let world = World::new();
            operation.prepare(&world);
            let mut live = operation.sync(&world).config(impatient()).lines(&input[..2]).start();
            live.wait_for_states(1);
            world.fault(&faults(template));
            live.feed(&input[2..]);
            // The input stays open: the sync does not wait for more of it.
            let run = live.finish();
            run.failed(kind, code);
            if run.state_ids() != [0] {
                return Err(format!("STATEs that cover what was not written: {run}"));
            }
            world.sandbox.recover();
            goes_on(operation, &world, &input[2..], clean)
        }
        Unreachable(address) => {
            let world = World::new();
            operation.prepare(&world);
            let closed = World::behind_a_closed_door(&world);
            let config = json!({"base_url": address.unwrap_or(&closed.base_url)});
            let run = operation.sync(&world).config(impatient()).config(config).lines(input.clone()).run();
            run.failed("transient_error", "HOST_UNREACHABLE");
            if !run.states().is_empty() {
                return Err(format!("STATEs that cover what was not written: {run}"));
            }
            goes_on(operation, &world, &input, clean)
        }
    }
}

fn endured(operation: &Operation, world: &World, run: Run, clean: &Clean) -> Result<(), String> {
    let run = run.succeeded();
    let told = (run.outcomes(&operation.stream), run.counts());
    if told != (clean.outcomes.as_str(), clean.counts.clone()) {
        return Err(format!("{told:?} instead of {:?}\n{run}", (&clean.outcomes, &clean.counts)));
    }
    clean.same_account(world, &run)
}

/// The far side is well again, and the source sends what is left.
fn goes_on(operation: &Operation, world: &World, input: &[String], clean: &Clean) -> Result<(), String> {
    let run = operation.sync(world).lines(input).run().succeeded();
    if run.states().len() != input.len() / 2 || run.counts().iter().any(|(loaded, rejected)| (*loaded, *rejected) != (1.0, 0.0)) {
        return Err(format!("the second run: {run}"));
    }
    clean.same_account(world, &run)
}

/// Tries all cells of some rows, and prints them as a table.
#[expect(clippy::print_stdout, reason = "the table is for those who ask for it")]
fn table(rows: &[Row]) {
    let operations = operations().operations;
    let clean: Vec<Clean> =
        side_by_side(4, &operations, |operation| Ok(operation.clean())).into_iter().map(Result::unwrap).collect();
    let cells: Vec<(usize, usize)> =
        (0..rows.len()).flat_map(|row| (0..operations.len()).map(move |column| (row, column))).collect();
    let outcomes = side_by_side(AT_ONCE, &cells, |(row, column)| cell(&rows[*row], &operations[*column], &clean[*column]));
    let names: Vec<String> = operations.iter().map(Operation::name).collect();
    println!("{:<36} | {}", "", names.join(" | "));
    for (row, outcomes) in rows.iter().zip(outcomes.chunks(operations.len())) {
        let marks = outcomes.iter().zip(&names).map(|(outcome, name)| {
            let word = if outcome.is_ok() { "holds" } else { "FAILS" };
            format!("{word:<width$}", width = name.len())
        });
        println!("{:<36} | {}", row.name, marks.collect::<Vec<_>>().join(" | "));
    }
    let problems: Vec<String> = cells
        .iter()
        .zip(outcomes)
        .filter_map(|((row, column), outcome)| Some(format!("{}, {}: {}", rows[*row].name, names[*column], outcome.err()?)))
        .collect();
    let told: Vec<&str> = problems.iter().map(String::as_str).take(4).collect();
    assert!(problems.is_empty(), "{} of {} cells fail:\n{}", problems.len(), cells.len(), told.join("\n\n"));
}

#[test]
fn every_write_bears_every_fault() {
    let slow = std::env::var_os("SLOW_FAULTS").is_some();
    table(&rows().into_iter().filter(|row| slow || !row.slow).collect::<Vec<_>>());
}
