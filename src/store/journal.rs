//! Which rejected records were sent again and are done, so that no replay sends them once more.
//!
//! A journal stands in each folder of rejected records: one id a line, only ever appended to, and durable before it counts. Whoever
//! has it open is the only one: a second replay of the folder is refused. The files of rejected records themselves are
//! never touched, so that others may add to them at any time. A line that was cut off by a crash is no id, and counts for nothing.

use std::fs::{self, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use super::queue::Batch;
use super::reader::NO_FILE;
use crate::errors::Code;
use crate::failure::Failure;

/// The name of a journal in its folder.
pub const NAME: &str = "replayed.log";
/// For those who look into it.
const HEADER: &str =
    "# Rejected records of this folder that were sent again and are done, by _airbyte_raw_id: `replay` leaves them out.\n";

/// The journal of one folder.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: fs::File,
}

impl Journal {
    /// Opens the journal of a folder, or makes it, and keeps all others out; answers what is done, too.
    pub(super) fn open(folder: &Path) -> Result<(Self, Vec<Uuid>), Failure> {
        let path = folder.join(NAME);
        let refused = |error: &io::Error| not_noted(&path, error);
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(|error| refused(&error))?;
        if !file.metadata().map_err(|error| refused(&error))?.is_file() {
            return Err(refused(&io::Error::other(NO_FILE)));
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let text = format!("Another replay of {} is under way.", folder.display());
                return Err(Failure::transient(Code::ReplayRunning, text));
            }
            Err(TryLockError::Error(error)) => return Err(refused(&error)),
        }
        let done = begin(&mut file, folder).map_err(|error| refused(&error))?;
        Ok((Self { path, file }, done))
    }
}

/// Reads a journal, and makes sure that the next line begins where a line begins.
fn begin(file: &mut fs::File, folder: &Path) -> io::Result<Vec<Uuid>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    match bytes.last() {
        None => {
            file.write_all(HEADER.as_bytes())?;
            // Its name has to outlive a crash too.
            fs::File::open(folder)?.sync_all()?;
        }
        Some(b'\n') => {}
        Some(_) => file.write_all(b"\n")?,
    }
    file.sync_all()?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let lines = bytes[..whole].split(|byte| *byte == b'\n');
    Ok(lines.filter_map(|line| Uuid::try_parse_ascii(line.trim_ascii()).ok()).collect())
}

/// The line that says that a record is done.
pub(super) fn line(raw_id: Uuid) -> Vec<u8> {
    format!("{raw_id}\n").into_bytes()
}

/// The journals of a replay, by their numbers.
#[derive(Debug)]
pub(super) struct Journals {
    journals: Vec<Journal>,
    noted: AtomicU64,
}

impl Journals {
    pub(super) fn new(journals: Vec<Journal>) -> Self {
        Self { journals, noted: AtomicU64::new(0) }
    }

    /// How many records were noted: what a write that failed has left in its file does not count.
    pub(super) fn noted(&self) -> u64 {
        self.noted.load(Ordering::Relaxed)
    }

    /// Appends to each what is for it. Answers when it is durable.
    pub(super) async fn append(self: Arc<Self>, batch: Batch) -> Result<(), Failure> {
        // Files block: they are left to a thread that may.
        let written = tokio::task::spawn_blocking(move || {
            batch.into_iter().try_for_each(|(at, lines)| {
                let Journal { path, file } = &self.journals[at];
                let mut file = file;
                file.write_all(&lines).and_then(|()| file.sync_data()).map_err(|error| not_noted(path, &error))?;
                self.noted.fetch_add(lines.iter().filter(|byte| **byte == b'\n').count() as u64, Ordering::Relaxed);
                Ok(())
            })
        });
        written.await.unwrap_or_else(|_| Err(Failure::system(Code::Internal, "The thread that writes journals ended.")))
    }
}

fn not_noted(path: &Path, error: &io::Error) -> Failure {
    let text = format!("What was sent again can not be noted in {}: {error}.", path.display());
    Failure::config(Code::ReplayNotNoted, format!("{text} {}", Code::ReplayNotNoted.remedy()))
}
