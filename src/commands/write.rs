//! `write`: records on stdin, STATEs on stdout.

use std::cell::RefCell;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{SignalKind, signal};

use super::{EXIT_TERMINATED, client, engine, settings};
use crate::binding::Bindings;
use crate::engine::intake::Intake;
use crate::engine::report::Report;
use crate::engine::{Attempt, Ending, Engine, summary};
use crate::errors::Code;
use crate::failure::Failure;
use crate::protocol::{ConfiguredCatalog, ConfiguredStream, Emitter};
use crate::store::{Job, Store, StreamFacts, random_ids};

/// Past the grace of the engine, and before an orchestrator's patience of 30 s is used up.
const LAST_MOMENT: Duration = Duration::from_secs(28);
/// SIGXFSZ, on Linux but for MIPS and on macOS: a file would grow beyond what the process may write (`ulimit -f`).
const FILE_TOO_LARGE: i32 = 25;

pub(super) async fn run(emitter: &Emitter, config: &Path, catalog: &Path) -> Result<ExitCode, Failure> {
    let settings = settings(emitter, config)?;
    let catalog = ConfiguredCatalog::read(catalog)?;
    let bindings = Arc::new(Bindings::new(&catalog, &settings)?);
    let client = client(&settings, settings.limits.give_up_after)?;
    let report = RefCell::new(Report::new(bindings.iter().map(|binding| binding.id.clone())));
    let attempt = Attempt::new(std::env::var("WORKER_JOB_ATTEMPT").ok().as_deref(), SystemTime::now().try_into().ok());
    let engine = Engine { attempt, ..engine(&settings, &bindings, &client, emitter, &report) };
    let store = Store::open(&settings.keeping, job(&catalog))?;
    let intake = Intake::threads(&bindings, Box::new(std::io::stdin()));
    end_in_time();
    let ended = engine.run(intake, store, asked_to_stop()?).await;
    report.borrow().log();
    tracing::info!("{}", summary::line(&report.borrow(), &ended));
    if emitter.is_closed() {
        let code = Code::StdoutClosed;
        return Err(Failure::system(code, format!("{} {}", code.cause(), code.remedy())));
    }
    match ended? {
        Ending::Complete => Ok(ExitCode::SUCCESS),
        Ending::Interrupted => Ok(ExitCode::from(EXIT_TERMINATED)),
    }
}

/// What the store has to know of this sync.
fn job(catalog: &ConfiguredCatalog) -> Job {
    let facts = |stream: &ConfiguredStream| StreamFacts {
        namespace: stream.id.namespace.as_deref().map(str::to_owned),
        name: stream.id.name.as_ref().to_owned(),
        sync_id: stream.sync_id,
        generation_id: stream.generation_id,
        catalog: stream.for_later().to_string().into(),
    };
    Job {
        streams: catalog.streams.iter().map(facts).collect(),
        worker_job_id: std::env::var("WORKER_JOB_ID").ok(),
        ids: random_ids(),
        clock: Arc::new(|| jiff::Timestamp::now().as_millisecond()),
    }
}

/// Asked to stop, the process ends in time whatever holds it, even a reader of its output that stopped reading.
pub(super) fn end_in_time() {
    std::thread::spawn(|| {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            if let Ok(stop) = asked_to_stop() {
                stop.await;
                tokio::time::sleep(LAST_MOMENT).await;
                std::process::exit(EXIT_TERMINATED.into());
            }
        });
    });
}

/// Resolves when the process is asked to end.
pub(super) fn asked_to_stop() -> Result<impl Future<Output = ()>, Failure> {
    let listen = |kind| {
        signal(kind)
            .map_err(|error| Failure::system(Code::Internal, "Signals can not be heard.").with_internal(error.to_string()))
    };
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    // Unheard it ends the process without a word. Heard, the write fails like one on a full disk, and is told.
    let _heard = listen(SignalKind::from_raw(FILE_TOO_LARGE))?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
