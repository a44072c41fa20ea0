//! `demo`: the main job in a minute, without an account.
//!
//! Starts the sandbox on a socket, then does what `check` and `write` do on a bundled sync of a small company, and prints what a
//! person wants to see: what arrived, what did not and why, the STATEs, the requests, where to look further. The sync is data
//! (`spec/examples/demo`), made by the script beside it.

use std::cell::RefCell;
use std::io::{self, Cursor, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::outcomes;
use super::progress::shown;
use super::sandbox::listen;
use super::stdout::Stdout;
use super::{check, client, complain, engine};
use crate::binding::Bindings;
use crate::config::Settings;
use crate::engine::Ending;
use crate::engine::intake::Intake;
use crate::engine::report::Report;
use crate::protocol::emit::system_clock;
use crate::protocol::{ConfiguredCatalog, Emitter, Inbound, inbound};
use crate::sandbox::{Observed, Options, Sandbox};
use crate::store::Store;

const CONFIG: &str = include_str!("../../spec/examples/demo/config.json");
const CATALOG: &str = include_str!("../../spec/examples/demo/catalog.json");
const SYNC: &str = include_str!("../../spec/examples/demo/sync.jsonl");

/// How many times faster than ChartMogul the demo's sandbox is, unless it is asked to be real.
const HASTE: u32 = 10;
/// At ten times the pace requests are 2.5 ms apart, less than a loaded machine is late by: the part of the cap that is left
/// alone then, so that what is shown is the sync and not how it recovers from a 429.
const MARGIN: u32 = 20;
/// How long an answer takes: about what a request to a far data centre takes.
const LATENCY: Duration = Duration::from_millis(40);

/// Options of the command.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// Keep to ChartMogul's own limits, 40 requests a second and 20 at once, instead of ten times that.
    #[arg(long)]
    real_limits: bool,
    /// Leave the sandbox up at the end, to look around in.
    #[arg(long)]
    keep: bool,
    /// Port of the sandbox; any free one by default.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

pub(super) async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let mut out = Stdout::new();
    let haste = if args.real_limits { 1 } else { HASTE };
    let limits = Options::default();
    let options = Options {
        requests_per_second: limits.requests_per_second * haste,
        connections: limits.connections * haste.min(2),
        latency: LATENCY,
        ..limits
    };
    let (per_second, connections) = (options.requests_per_second, options.connections);
    let asked = if haste > 1 { per_second - per_second / MARGIN } else { per_second };
    let sandbox = Sandbox::new(options);
    let listener = listen(args.port).await?;
    let address = listener.local_addr().context("the sandbox's port")?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = {
        let sandbox = sandbox.clone();
        // A thread of its own, as a far service has a machine of its own.
        std::thread::spawn(move || serve(&sandbox, listener, stopped))
    };

    let mut config: Value = serde_json::from_str(CONFIG).context("the bundled configuration")?;
    config["base_url"] = format!("http://{address}/v1").into();
    config["limits"] = json!({"requests_per_second": asked, "connections": connections});
    let settings = Settings::load(&config.to_string(), None)?;
    writeln!(
        out,
        "sandbox   http://{address}, {per_second} requests a second, {connections} at once, {} ms each",
        LATENCY.as_millis()
    )?;

    match check::look(&settings).await {
        Ok(message) => writeln!(out, "check     SUCCEEDED: {message}")?,
        // Each has its code already.
        Err(problems) => {
            complain(&problems.join("\n"));
            return Ok(ExitCode::FAILURE);
        }
    }

    let catalog = ConfiguredCatalog::parse(CATALOG)?;
    let bindings = Arc::new(Bindings::new(&catalog, &settings)?);
    let before = sandbox.observed();
    let started = Instant::now();
    let (ending, report) = write(&settings, &bindings).await?;
    writeln!(out, "write     done in {:.1} s\n", started.elapsed().as_secs_f64())?;
    show_outcomes(&mut out, &report, &bindings)?;
    show_requests(&mut out, &report, (&before, &sandbox.observed()), started.elapsed(), haste)?;
    show_rejects(&mut out, &report)?;
    show_account(&mut out, &sandbox)?;

    if args.keep {
        writeln!(out, "\nThe sandbox stays up: open http://{address} in a browser. Ctrl-C ends it.")?;
        out.flush()?;
        tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")?;
    } else {
        writeln!(
            out,
            "\nRun again with --keep to look around in the sandbox, or with --real-limits to see ChartMogul's own pace."
        )?;
    }
    let _ = stop.send(());
    let _ = server.join();
    // The rejects are part of the show: the demo did its work.
    match ending {
        Ending::Complete => Ok(ExitCode::SUCCESS),
        Ending::Interrupted => Ok(ExitCode::FAILURE),
    }
}

fn serve(sandbox: &Sandbox, listener: TcpListener, stopped: tokio::sync::oneshot::Receiver<()>) -> io::Result<()> {
    let listener = listener.into_std()?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        sandbox
            .serve(listener, async {
                let _ = stopped.await;
            })
            .await
    })
}

/// The bundled sync, through the engine; a bar on a terminal shows how far it is.
async fn write(settings: &Settings, bindings: &Arc<Bindings>) -> anyhow::Result<(Ending, Report)> {
    let client = client(settings, settings.limits.give_up_after)?;
    let emitter = Emitter::new(Box::new(io::sink()), system_clock());
    let report = RefCell::new(Report::new(bindings.iter().map(|binding| binding.id.clone())));
    let engine = engine(settings, bindings, &client, &emitter, &report);
    let records = SYNC.lines().filter(|line| matches!(inbound::parse(line.as_bytes()), Ok(Inbound::Record(_)))).count();
    let bar = ProgressBar::new(0);
    let intake = Intake::threads(bindings, Box::new(Cursor::new(SYNC)));
    let run = engine.run(intake, Store::nothing(), async { drop(tokio::signal::ctrl_c().await) });
    let ending = shown("write", &bar, records as u64, &client, &report, run).await??;
    bar.finish_and_clear();
    Ok((ending, report.into_inner()))
}

/// What became of the records, and of the STATEs.
fn show_outcomes(out: &mut impl Write, report: &Report, bindings: &Bindings) -> io::Result<()> {
    outcomes::table(out, report, bindings)?;
    let total = report.total();
    writeln!(
        out,
        "\n{} records read, {} with an outcome; {} of {} STATEs came back",
        total.read,
        total.settled(),
        report.states_emitted,
        report.states_read
    )?;
    writeln!(out, "{} records came before what they refer to and waited for it", report.parked)
}

fn show_requests(
    out: &mut impl Write,
    report: &Report,
    (before, after): (&Observed, &Observed),
    took: Duration,
    haste: u32,
) -> io::Result<()> {
    let looks = |observed: &Observed| {
        let gets = observed.by_route.iter().filter(|(route, _)| route.starts_with("GET "));
        gets.flat_map(|(_, ends)| ends.values()).sum::<u64>()
    };
    let requests = after.requests - before.requests;
    writeln!(
        out,
        "{requests} requests, {} of them to look something up, {:.2} a record, {:.0} a second",
        looks(after) - looks(before),
        requests as f64 / report.total().read.max(1) as f64,
        requests as f64 / took.as_secs_f64()
    )?;
    writeln!(
        out,
        "the sandbox saw at most {} in one second and {} at once, and refused {}",
        after.most_in_one_second,
        after.most_in_flight,
        after.given_429 + after.given_503
    )?;
    if haste > 1 {
        let real = Options::default().requests_per_second;
        writeln!(out, "at ChartMogul's {real} requests a second the same takes {:.0} s", requests as f64 / f64::from(real))?;
    }
    Ok(())
}

fn show_rejects(out: &mut impl Write, report: &Report) -> io::Result<()> {
    writeln!(out, "\nRejected records, each with all that is wrong with it:")?;
    let mut samples: Vec<_> = report.samples.iter().collect();
    samples.sort_by_key(|sample| sample.line);
    for sample in samples {
        let key = if sample.key.is_empty() { String::new() } else { format!(" ({})", sample.key) };
        writeln!(out, "  line {}, stream {}{key}", sample.line, sample.stream)?;
        outcomes::faults(out, &sample.rejection)?;
    }
    Ok(())
}

/// What stands in the account now, and two things of it that show much.
fn show_account(out: &mut impl Write, sandbox: &Sandbox) -> io::Result<()> {
    let contents = sandbox.contents();
    let entries = |kind: &str| contents[kind].as_array().into_iter().flatten();
    let kinds = contents.as_object().into_iter().flatten();
    let counts: Vec<String> = kinds.map(|(kind, all)| format!("{} {kind}", all.as_array().map_or(0, Vec::len))).collect();
    writeln!(out, "\nIn the account now: {}", counts.join(", ").replace('_', " "))?;
    let filled = |entry: &Value, list: &str| entry[list].as_array().map_or(0, Vec::len);
    if let Some(customer) = entries("customers").find(|entry| filled(entry, "keys") > 1) {
        writeln!(out, "A customer that was merged from two:\n  {customer}")?;
    }
    if let Some(invoice) = entries("invoices").find(|entry| entry["transactions"].to_string().contains("refund")) {
        writeln!(out, "An invoice of which a part was given back:\n  {invoice}")?;
    }
    Ok(())
}
