//! `sandbox`: a ChartMogul look-alike on this machine.
//!
//! Owns the command line, the socket and the end of the process; how the sandbox answers is [`crate::sandbox`].

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::stdout::Stdout;
use crate::errors::Code;
use crate::failure::Failure;
use crate::sandbox::imports::{Reading, Readings};
use crate::sandbox::{DATA_SOURCE_UUID, Fault, Options, Sandbox, WRITE_KEY, parse_duration};

/// Options of the command.
#[derive(Debug, clap::Args)]
pub(super) struct SandboxArgs {
    /// Port on the loopback address; 0 takes any free one.
    #[arg(long, default_value_t = 8040)]
    port: u16,
    /// Requests that may arrive within any one second.
    #[arg(long, value_name = "N", default_value_t = 40)]
    requests_per_second: u32,
    /// Requests that may be in flight at once.
    #[arg(long, value_name = "N", default_value_t = 20)]
    connections: u32,
    /// How long each answer takes, such as 50ms or 0.05s.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
    latency: Duration,
    /// Something that goes wrong, such as "POST /customers after-work reset x2"; may be given again.
    #[arg(long, value_name = "SPEC")]
    fault: Vec<Fault>,
    /// What UUIDs, jitter and random faults are drawn from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Customers that stand in the account from the start.
    #[arg(long, value_name = "N", default_value_t = 0)]
    customers: usize,
    /// How bulk imports behave where nobody has said so, such as existing=kept,failures=told; anything else shows all there
    /// are.
    #[arg(long, value_name = "READING", value_delimiter = ',')]
    imports: Vec<Reading>,
    /// A null in an update clears the field instead of leaving it alone.
    #[arg(long)]
    null_clears: bool,
}

/// Runs the sandbox until it is interrupted or terminated.
///
/// # Errors
/// When the port is taken, or the signals or the standard streams cannot be used.
pub(super) async fn run(args: SandboxArgs) -> anyhow::Result<()> {
    let mut options = Options {
        requests_per_second: args.requests_per_second,
        connections: args.connections,
        latency: args.latency,
        seed: args.seed,
        customers: args.customers,
        imports: args.imports.into_iter().fold(Readings::default(), Readings::with),
        ..Options::default()
    };
    options.quirks.null_clears = args.null_clears;
    let limits = (options.requests_per_second, options.connections);
    let sandbox = Sandbox::new(options);
    for fault in args.fault {
        sandbox.script(fault);
    }

    // Before the port is told, so that a signal sent by whoever reads it is not missed.
    let mut terminated = signal(SignalKind::terminate()).context("cannot listen for the signal to terminate")?;
    let mut interrupted = signal(SignalKind::interrupt()).context("cannot listen for the signal to interrupt")?;
    let listener = listen(args.port).await?;
    let address = listener.local_addr().context("cannot tell the port")?;

    let mut config = json!({
        "api_key": WRITE_KEY,
        "data_source_uuid": DATA_SOURCE_UUID,
        "base_url": format!("http://{address}/v1"),
    });
    let defaults = Options::default();
    if (limits.0, limits.1) != (defaults.requests_per_second, defaults.connections) {
        config["limits"] = json!({"requests_per_second": limits.0.max(1), "connections": limits.1.max(1)});
    }
    let mut stdout = Stdout::new();
    writeln!(stdout, "{config}").and_then(|()| stdout.flush()).context("cannot write the config to standard output")?;
    // The hint is a courtesy: without standard error the sandbox runs on.
    let _ = writeln!(
        std::io::stderr(),
        "The sandbox listens on http://{address}; the line above is a config for it. Open the address for what else it \
         offers. Ctrl-C ends it."
    );

    let shutdown = async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
    };
    sandbox.serve(listener, shutdown).await.context("the sandbox's socket broke")
}

/// The sandbox's socket.
pub(super) async fn listen(port: u16) -> Result<TcpListener, Failure> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
        Failure::config(Code::PortUnusable, format!("The sandbox can not listen on port {port}."))
            .with_internal(error.to_string())
    })
}
