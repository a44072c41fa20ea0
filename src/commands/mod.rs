//! The commands: they join the rooms below and hold no rules of their own.

mod check;
mod demo;
mod discover;
#[cfg(test)]
mod docs_tests;
mod explain;
mod outcomes;
mod progress;
mod replay;
mod sandbox;
pub mod spec;
mod stdout;
mod write;

use std::cell::RefCell;
use std::ffi::OsString;
use std::hash::{BuildHasher as _, RandomState};
use std::io::Write as _;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::layer::SubscriberExt;

use crate::binding::Bindings;
use crate::client::{Client, HttpTransport, Policy, USER_AGENT};
use crate::config::{KEY_VARIABLE, Settings};
use crate::engine::report::Report;
use crate::engine::{Attempt, Bounds, Engine};
use crate::errors::Code;
use crate::failure::Failure;
use crate::protocol::{Emitter, Level, LogLayer, Outbound};

/// A command line that is not understood.
const EXIT_USAGE: u8 = 2;
/// Of a command for people: records were rejected.
const EXIT_REJECTED: u8 = 2;
/// After SIGTERM; what shells and orchestrators expect.
const EXIT_TERMINATED: u8 = 143;

/// Airbyte destination that writes warehouse rows into ChartMogul.
#[derive(Debug, Parser)]
#[command(name = "destination-chartmogul", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print what this destination is and how it is configured.
    Spec,
    /// Find out whether a configuration works.
    Check(ConfigFile),
    /// Print what can be written, and how.
    Discover(ConfigFile),
    /// Write the records on stdin; echo the STATEs on stdout.
    Write(WriteFiles),
    /// Send rejected records again, each until it is written.
    Replay(replay::ReplayArgs),
    /// See the main job on a local sandbox: no account, no configuration.
    Demo(demo::DemoArgs),
    /// Run a local ChartMogul look-alike to try things on.
    Sandbox(sandbox::SandboxArgs),
    /// Say what an error code means and what to do.
    Explain(explain::ExplainArgs),
}

/// The configuration.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration, a JSON file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// What `write` reads beside stdin.
#[derive(Debug, Args)]
struct WriteFiles {
    #[command(flatten)]
    config: ConfigFile,
    /// The configured catalog, a JSON file.
    #[arg(long, value_name = "FILE")]
    catalog: PathBuf,
}

/// Runs the command that `args` name, the program's own name first.
pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(asked) if !asked.use_stderr() => {
            // Help that was asked for; a reader that went away is nobody to complain to.
            let _ = asked.print();
            return ExitCode::SUCCESS;
        }
        Err(usage) => {
            let text = usage.render().to_string();
            // A command line without a command is answered with the help alone.
            let told = text.strip_prefix("error: ").map(|text| format!("{}: {text}", Code::Usage));
            complain(&told.unwrap_or_else(|| format!("{}: a command is missing.\n\n{text}", Code::Usage)));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let emitter = Emitter::stdout();
    match cli.command {
        Command::Spec => orchestrated(&emitter, async |emitter| emitter.emit(&spec::spec()).map(|()| ExitCode::SUCCESS)),
        Command::Check(file) => orchestrated(&emitter, async |emitter| check::run(emitter, &file.config).await),
        Command::Discover(file) => orchestrated(&emitter, async |emitter| discover::run(emitter, &file.config).await),
        Command::Write(files) => {
            orchestrated(&emitter, async |emitter| write::run(emitter, &files.config.config, &files.catalog).await)
        }
        Command::Replay(args) => by_hand(async || replay::run(&args).await),
        Command::Demo(args) => by_hand(async || demo::run(args).await),
        Command::Sandbox(args) => by_hand(async || sandbox::run(args).await.map(|()| ExitCode::SUCCESS)),
        Command::Explain(args) => by_hand(async || explain::run(&args)),
    }
}

/// Runs a command of the protocol: logs as LOG messages, and exactly one TRACE ERROR when it fails.
fn orchestrated(emitter: &Emitter, command: impl AsyncFnOnce(&Emitter) -> Result<ExitCode, Failure>) -> ExitCode {
    let level = Level::from_env(std::env::var("LOG_LEVEL").ok().as_deref());
    let subscriber = tracing_subscriber::registry().with(LogLayer::protocol(emitter.clone(), level));
    // Fails only when a subscriber is set already, which then is the caller's wish.
    let _ = tracing::subscriber::set_global_default(subscriber);
    trace_panics(emitter.clone());

    let ended = match socket_mode() {
        true => Err(Failure::system(Code::SocketMode, format!("{} {}", Code::SocketMode.cause(), Code::SocketMode.remedy()))),
        false => block_on(command(emitter)),
    };
    match ended {
        Ok(code) => code,
        Err(failure) => {
            // Where stdout takes nothing more, such as on a full disk, stderr is the last place to say so.
            if let Err(unheard) = emitter.emit(&Outbound::error(failure)) {
                complain(&worded(&unheard.into()));
            }
            ExitCode::FAILURE
        }
    }
}

/// Runs a command that people run: what goes wrong is told on stderr.
fn by_hand(command: impl AsyncFnOnce() -> anyhow::Result<ExitCode>) -> ExitCode {
    panic::set_hook(Box::new(|info| complain(&panicked(info).told())));
    let ended = panic::catch_unwind(AssertUnwindSafe(|| block_on(async { Ok(command().await) })));
    match ended.map(|ended| ended.map_err(anyhow::Error::from).flatten()) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            complain(&worded(&error));
            ExitCode::FAILURE
        }
        // The hook has told it.
        Err(_) => ExitCode::FAILURE,
    }
}

/// Tells a person on stderr. Without stderr there is nobody to tell.
fn complain(told: &str) {
    let _ = writeln!(std::io::stderr(), "error: {}", told.trim_end());
}

/// What went wrong with a command that people run. What is no failure of ours is one of this machine.
fn worded(error: &anyhow::Error) -> String {
    match error.chain().find_map(|cause| failure(cause)) {
        Some(failure) if failure.internal.is_empty() => failure.told(),
        Some(failure) => format!("{}\n({})", failure.told(), failure.internal),
        None => Failure::system(Code::Internal, format!("{error:#}")).told(),
    }
}

/// The failure that an error is. One that stdout met comes in an error of the machine, as those who print expect.
fn failure<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Failure> {
    error.downcast_ref().or_else(|| error.downcast_ref::<std::io::Error>()?.get_ref()?.downcast_ref())
}

/// One thread: the engine is one task, and what can be shared out has threads of its own.
fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|error| Failure::system(Code::Internal, "The runtime did not start.").with_internal(error.to_string()))?;
    let ended = runtime.block_on(command);
    // The reader of stdin may stand in a read that never ends.
    runtime.shutdown_background();
    ended
}

/// A panic is a bug, and the orchestrator has to hear of it in its own words. It may come from any thread.
fn trace_panics(emitter: Emitter) {
    panic::set_hook(Box::new(move |info| {
        let _ = emitter.emit(&Outbound::error(panicked(info)));
        std::process::exit(1);
    }));
}

/// The message of a panic may quote values; its place never does.
fn panicked(info: &PanicHookInfo<'_>) -> Failure {
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    Failure::system(Code::Internal, Code::Internal.cause()).with_internal(format!("panic at {place}"))
}

fn socket_mode() -> bool {
    std::env::var("DATA_CHANNEL_MEDIUM").is_ok_and(|medium| medium.eq_ignore_ascii_case("SOCKET"))
}

/// Reads the configuration and hides its secrets from all that is printed.
fn settings(emitter: &Emitter, path: &std::path::Path) -> Result<Settings, Failure> {
    let settings = Settings::read(path, std::env::var(KEY_VARIABLE).ok().as_deref())?;
    emitter.redactor().hide_key(&settings.api_key);
    settings.keeping.secrets().for_each(|secret| emitter.redactor().hide_key(secret));
    if !settings.unknown_keys.is_empty() {
        tracing::warn!("the configuration has keys that mean nothing here: {}", settings.unknown_keys.join(", "));
    }
    Ok(settings)
}

/// The client that the settings ask for.
fn client(settings: &Settings, give_up_after: std::time::Duration) -> Result<Client, Failure> {
    let transport = HttpTransport::new(&settings.base_url, &settings.api_key, USER_AGENT, settings.limits.connections)?;
    let policy = Policy {
        requests_per_second: settings.limits.requests_per_second,
        connections: settings.limits.connections,
        give_up_after,
        // Connectors that share an account must not wait the same, and in a container the process id is always the same.
        seed: RandomState::new().hash_one(std::process::id()),
        ..Policy::default()
    };
    Ok(Client::new(Arc::new(transport), policy))
}

/// The engine that the settings ask for. Which attempt of a host it is, `write` alone is told.
fn engine<'e>(
    settings: &'e Settings,
    bindings: &Arc<Bindings>,
    client: &'e Client,
    emitter: &'e Emitter,
    report: &'e RefCell<Report>,
) -> Engine<'e> {
    Engine {
        bindings: Arc::clone(bindings),
        client,
        data_source: &settings.data_source,
        deletions: settings.deletions,
        attempt: Attempt::new(None, None),
        bulk_import: settings.bulk_import,
        stop_when_rejected: settings.stop_when_rejected,
        parking: Bounds::default(),
        emitter,
        report,
    }
}
