//! `replay`: rejected records, sent again from the files that they were kept in.
//!
//! Makes RECORD messages of them, with the catalog that they tell themselves or that is given, and lets the engine write them
//! like any others. A record that is done is noted in the journal of its folder (`store::journal`) and never sent again; one that
//! is rejected again stays where it is, and nowhere else. The files are never touched.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use indicatif::ProgressBar;
use serde_json::{Map, Value, json};
use tracing_subscriber::layer::SubscriberExt;

use super::progress::shown;
use super::write::{asked_to_stop, end_in_time};
use super::{ConfigFile, EXIT_REJECTED, EXIT_TERMINATED, client, engine, outcomes, settings};
use crate::binding::Bindings;
use crate::config::{Deletions, Settings, StopWhenRejected};
use crate::engine::Ending;
use crate::engine::intake::Intake;
use crate::engine::report::Report;
use crate::errors::Code;
use crate::failure::Failure;
use crate::protocol::emit::system_clock;
use crate::protocol::{ConfiguredCatalog, Emitter, Level, LogLayer, StreamId, SyncMode};
use crate::store::reader::Kept;
use crate::store::replay::{Replay, Stream};
use crate::store::{Job, Store, StreamFacts, journal, random_ids};

/// The job that receipts of a replay are of.
const JOB: &str = "replay";

/// Options of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What is done is noted in `replayed.log` beside the files, and never sent again. What
is rejected again stays in its file for the next time. Killed in the middle and run
again it goes on from where it was.

A rejected record is as old as the sync that rejected it. Where newer data of the
same thing was written since, the replay writes the old over it: replay soon, or
take out of the files what is outdated.

Exit codes: 0 when all is done; 2 when records were rejected again; 1 when anything
could not be read or sent; 143 when it was asked to stop before all was done.")]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// A file of rejected records, or a folder that holds some, however deep: as kept by `Local`, or downloaded from S3.
    #[arg(long, value_name = "PATH")]
    rejects: PathBuf,
    /// The configured catalog, a JSON file, where another one is to count than the one that the records came with.
    #[arg(long, value_name = "FILE")]
    catalog: Option<PathBuf>,
}

pub(super) async fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let emitter = Emitter::new(Box::new(io::sink()), system_clock());
    let bar = ProgressBar::new(0);
    log_to_stderr(&emitter, &bar);
    let mut settings = settings(&emitter, &args.config.config)?;
    suit(&mut settings);
    let given = args.catalog.as_deref().map(ConfiguredCatalog::read).transpose()?;
    let replay = Replay::open(&args.rejects)?;
    tell(&begun(&replay));
    let ended = match replay.entries() {
        [] => None,
        _ => Some(send(&mut settings, &emitter, &replay, &catalog(&replay, given)?, &bar).await?),
    };
    let Some((ended, report, bindings)) = ended else {
        return unread(&replay, 0).map_or(Ok(ExitCode::SUCCESS), |failure| Err(failure.into()));
    };
    bar.finish_and_clear();
    let mut text = Vec::new();
    summary(&mut text, &replay, &report, &bindings)?;
    tell(&String::from_utf8_lossy(&text));
    let gone = replay.gone();
    // Asked to stop when all was done already, or is by now: nothing was left out for it.
    let ended = match ended {
        Ok(Ending::Interrupted) if is_done(&replay, &report) => Ok(Ending::Complete),
        ended => ended,
    };
    match (ended, unread(&replay, gone)) {
        (Ok(Ending::Complete), Some(unread)) => Err(unread.into()),
        (Ok(Ending::Complete), None) if report.total().rejected() > 0 => Ok(ExitCode::from(EXIT_REJECTED)),
        (Ok(Ending::Complete), None) => Ok(ExitCode::SUCCESS),
        // Why it did not come to its end is told last.
        (Ok(Ending::Interrupted), _) => {
            replay.unread().iter().for_each(|told| tell(told));
            tell("asked to stop: the next replay goes on from here");
            Ok(ExitCode::from(EXIT_TERMINATED))
        }
        (Err(failure), _) => {
            replay.unread().iter().for_each(|told| tell(told));
            Err(failure.into())
        }
    }
}

/// What a sync does with its end, its rejects and the whole of its input, a replay does not.
fn suit(settings: &mut Settings) {
    // They stay where they are: a second copy would be sent twice.
    settings.keeping.rejects = None;
    settings.stop_when_rejected = StopWhenRejected { percent: 100.0, after: u64::MAX };
    // What was not rejected did not come, and is there all the same.
    if settings.deletions.by_absence() {
        settings.deletions = Deletions::Ignore;
    }
}

/// The catalog that the records are written by: the given one, and what they say themselves.
fn catalog(replay: &Replay, given: Option<ConfiguredCatalog>) -> Result<ConfiguredCatalog, Failure> {
    let mut found: BTreeMap<StreamId, Vec<&Stream>> = BTreeMap::new();
    for stream in replay.streams() {
        found.entry(StreamId::new(stream.namespace.as_deref(), &stream.name)).or_default().push(stream);
    }
    let mut problems = Vec::new();
    let mut streams = Vec::new();
    let mut given = given.map(|catalog| catalog.streams).unwrap_or_default();
    for (id, told) in found {
        if let Some(at) = given.iter().position(|stream| stream.id == id) {
            streams.push(given.swap_remove(at));
            continue;
        }
        match own_entry(&told) {
            Ok(entry) => streams.extend(ConfiguredCatalog::parse(&json!({"streams": [entry]}).to_string())?.streams),
            Err(problem) => problems.push(format!("stream `{id}`: {problem}")),
        }
    }
    if !problems.is_empty() {
        let (problems, remedy) = (problems.join("\n"), Code::ReplayUnresolved.remedy());
        return Err(Failure::config(Code::ReplayUnresolved, format!("{problems}\n{remedy}")));
    }
    for stream in &mut streams {
        // These are of a whole sync, and a replay is none: no COMPLETE comes, and nothing is told by what does not come.
        (stream.sync_mode, stream.generation_id, stream.minimum_generation_id) = (SyncMode::Incremental, None, None);
    }
    Ok(ConfiguredCatalog { streams })
}

/// The entry of a stream by what its records say: the newest schema, and what must not differ.
fn own_entry(told: &[&Stream]) -> Result<Value, String> {
    let mut last: Option<(&Stream, Map<String, Value>, Option<Value>)> = None;
    for stream in told {
        let said = stream.catalog.as_deref().and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
        let Some(mut said) = said else {
            return Err("records do not tell how they were to be written".to_owned());
        };
        let schema = said.shift_remove("json_schema");
        if last.as_ref().is_some_and(|(_, before, _)| *before != said) {
            return Err("its object, sync mode or primary key changed between the syncs that rejected records".to_owned());
        }
        last = Some((stream, said, schema));
    }
    let Some((stream, mut entry, schema)) = last else { return Err("it has no records".to_owned()) };
    let about = json!({"name": stream.name, "namespace": stream.namespace, "json_schema": schema});
    entry.insert("stream".to_owned(), about);
    Ok(entry.into())
}

type Sent = (Result<Ending, Failure>, Report, Arc<Bindings>);

/// Sends what is left. The bar shows how far it is.
async fn send(
    settings: &mut Settings,
    emitter: &Emitter,
    replay: &Replay,
    catalog: &ConfiguredCatalog,
    bar: &ProgressBar,
) -> anyhow::Result<Sent> {
    // Settings of streams of which nothing was rejected are no slip.
    settings.streams.retain(|entry| catalog.streams.iter().any(|stream| *stream.id.name == *entry.stream));
    let bindings = Arc::new(Bindings::new(catalog, settings)?);
    let client = client(settings, settings.limits.give_up_after)?;
    let report = RefCell::new(Report::new(bindings.iter().map(|binding| binding.id.clone())).untold());
    let engine = engine(settings, &bindings, &client, emitter, &report);
    let store = Store::open(&settings.keeping, job(catalog))?.noting(replay);
    let input = Messages { records: Box::new(replay.rows().map(message)), rest: Cursor::default() };
    let intake = Intake::threads(&bindings, Box::new(input));
    end_in_time();
    let stop = asked_to_stop()?;
    let run = engine.run(intake, store, stop);
    let ended = shown("replay", bar, replay.entries().len() as u64, &client, &report, run).await?;
    Ok((ended, report.into_inner(), bindings))
}

fn job(catalog: &ConfiguredCatalog) -> Job {
    let facts = |stream: &StreamId| StreamFacts {
        namespace: stream.namespace.as_deref().map(str::to_owned),
        name: stream.name.as_ref().to_owned(),
        ..StreamFacts::default()
    };
    Job {
        streams: catalog.streams.iter().map(|stream| facts(&stream.id)).collect(),
        worker_job_id: Some(JOB.to_owned()),
        ids: random_ids(),
        clock: Arc::new(|| jiff::Timestamp::now().as_millisecond()),
    }
}

/// The line of one record. A record that is gone meanwhile leaves an empty one, so that every other has its own number.
fn message(kept: Option<Kept>) -> String {
    let Some(Kept { namespace, stream, data, emitted_at, .. }) = kept else { return "\n".to_owned() };
    // Within a text of JSON there is no line end: one that stands here was put between its parts by hand.
    let data = data.replace(['\n', '\r'], " ");
    let (namespace, stream) = (json!(namespace), json!(stream));
    let parts = format!(r#""namespace":{namespace},"stream":{stream},"data":{data},"emitted_at":{emitted_at}"#);
    format!("{{\"type\":\"RECORD\",\"record\":{{{parts}}}}}\n")
}

/// Messages of records as bytes, made as they are asked for.
struct Messages {
    records: Box<dyn Iterator<Item = String> + Send>,
    /// What was made and did not fit.
    rest: Cursor<String>,
}

impl Read for Messages {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut many = 0;
        // Nobody waits for these: they come from files, so that as many are given as are asked for.
        while many < buffer.len() {
            match self.rest.read(&mut buffer[many..])? {
                0 => match self.records.next() {
                    Some(line) => self.rest = Cursor::new(line),
                    None => break,
                },
                read => many += read,
            }
        }
        Ok(many)
    }
}

/// Whether every record has its outcome and its receipt, and all of those that are done are noted.
fn is_done(replay: &Replay, report: &Report) -> bool {
    let total = report.total();
    report.all_is_kept && total.settled() == replay.entries().len() as u64 && replay.noted() == total.settled() - total.rejected()
}

/// What can not be read, and records that were read once and then no more.
fn unread(replay: &Replay, gone: u64) -> Option<Failure> {
    let gone = (gone > 0).then(|| format!("{gone} records are not there any more: their files changed while they were replayed"));
    let told: Vec<String> = replay.unread().into_iter().chain(gone).collect();
    let others = if replay.entries().is_empty() { "" } else { "All others had their turn. " };
    let remedy = Code::RejectsUnreadable.remedy();
    let failure = |told: &str| Failure::config(Code::RejectsUnreadable, format!("{told}\n{others}{remedy}"));
    (!told.is_empty()).then(|| failure(&told.join("\n")))
}

fn begun(replay: &Replay) -> String {
    let mut told = format!("replay    {} rejected records in {} files", replay.entries().len(), replay.files());
    if replay.done() > 0 {
        told += &format!(", {} that are done left out", replay.done());
    }
    if replay.again() > 0 {
        told += &format!(", {} rows left out that repeat a record", replay.again());
    }
    told
}

/// What became of the records, and each that stays, with its place.
fn summary(out: &mut dyn Write, replay: &Replay, report: &Report, bindings: &Bindings) -> io::Result<()> {
    outcomes::table(out, report, bindings)?;
    let total = report.total();
    let done = total.settled() - total.rejected();
    let noted = replay.noted();
    writeln!(out, "\n{noted} records are done and noted in {}; {} requests", journal::NAME, report.client.attempts)?;
    let unnoted = done.saturating_sub(noted);
    if unnoted > 0 {
        writeln!(out, "{unnoted} more are done, but not noted; the next replay sends them again")?;
    }
    // What is not there any more the next replay does not take, and is told apart.
    let left = (replay.entries().len() as u64 - total.settled()).saturating_sub(replay.gone());
    if left > 0 {
        writeln!(out, "{left} records were not sent to their end; the next replay takes them")?;
    }
    if total.rejected() == 0 {
        return Ok(());
    }
    writeln!(out, "{} records were rejected again and stay where they are:", total.rejected())?;
    let mut samples: Vec<_> = report.samples.iter().collect();
    samples.sort_by_key(|sample| sample.line);
    for sample in &samples {
        let Some(entry) = usize::try_from(sample.line - 1).ok().and_then(|at| replay.entries().get(at)) else { continue };
        let key = if sample.key.is_empty() { String::new() } else { format!(" ({})", sample.key) };
        let place = replay.file(entry).display();
        writeln!(out, "  {place}, row {}: line {} of its sync, stream {}{key}", entry.row, entry.line, sample.stream)?;
        outcomes::faults(out, &sample.rejection)?;
    }
    let more = total.rejected() - samples.len() as u64;
    if more > 0 {
        writeln!(out, "  and {more} more")?;
    }
    Ok(())
}

/// Tells a person on stderr. Without stderr there is nobody to tell.
fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{}", text.trim_end());
}

/// Warnings go to stderr, past the bar; more where `LOG_LEVEL` asks for it.
fn log_to_stderr(emitter: &Emitter, bar: &ProgressBar) {
    let asked = std::env::var("LOG_LEVEL").ok();
    let level = asked.as_deref().map_or(Level::Warn, |asked| Level::from_env(Some(asked)));
    let layer = LogLayer::person(Box::new(PastBar(bar.clone())), emitter.redactor().clone(), level);
    // Fails only when a subscriber is set already, which then is the caller's wish.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer));
}

/// Stderr, with the bar out of the way while something is written.
struct PastBar(ProgressBar);

impl Write for PastBar {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_any_more_is_left_for_no_other_replay() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.jsonl");
        let row = json!({"_airbyte_raw_id": "00000000-0000-4000-8000-000000000001", "_airbyte_extracted_at": 1,
            "_airbyte_meta": {"stream": "customers", "catalog": {"destination_sync_mode": "append", "sync_mode": "incremental"}},
            "_airbyte_data": {"record": {"external_id": "c-1"}, "error": {"code": "FIELD_VALUE"}, "line": 1}});
        std::fs::write(&file, format!("{row}\n")).unwrap();
        let replay = Replay::open(directory.path()).unwrap();
        let config = json!({"api_key": "key", "data_source_uuid": "ds_00000000-0000-4000-8000-000000000000"});
        let settings = Settings::load(&config.to_string(), None).unwrap();
        let bindings = Bindings::new(&catalog(&replay, None).unwrap(), &settings).unwrap();
        let told = || {
            let mut text = Vec::new();
            let report = Report::new(bindings.iter().map(|binding| binding.id.clone())).untold();
            summary(&mut text, &replay, &report, &bindings).unwrap();
            String::from_utf8(text).unwrap()
        };
        assert!(told().contains("1 records were not sent to their end; the next replay takes them"), "{}", told());
        std::fs::remove_file(file).unwrap();
        assert_eq!(replay.rows().map(message).collect::<String>(), "\n");
        assert!(!told().contains("the next replay"), "{}", told());
        let gone = unread(&replay, replay.gone()).unwrap().message;
        assert!(gone.starts_with("1 records are not there any more: "), "{gone}");
    }
}
