//! Which rejected records were sent again and are done, so that no replay sends them once more.
//!
//! A journal stands in each folder of rejected records: one id a line, only ever appended to, and durable before it counts. The files of
//! rejected records themselves are never touched, so that others may add to them at any time. A line that was cut off by a crash is no
//! id, and counts for nothing.
//!
//! No two replays of one record are under way at once. The journal of the folder that was asked for is locked as long as its replay
//! lasts, whether it has records itself or not, and that of none below it: so that there may be many. Where none can be made there, that
//! of the next folder on the way to the records is. Each replay first locks its own, and then looks whether anybody has one of those
//! above or below: of two that overlap at least one sees the other.

use std::collections::{HashMap, HashSet};
use std::fs::{self, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
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
/// What a process is told that has too many files open, on Linux and on macOS.
const TOO_MANY_FILES: i32 = 24;

/// The journal of one folder, of which all others are kept out.
#[derive(Debug)]
struct Journal {
    path: PathBuf,
    file: fs::File,
}

impl Journal {
    /// Locks the journal of the highest folder that has one, or where one can be made, of those that were asked for and hold this
    /// one. One that stands elsewhere has its own.
    fn hold(folder: &Path, asked_for: &Path) -> Result<(PathBuf, Self), Failure> {
        let asked: Vec<&Path> = folder.ancestors().skip(1).take_while(|above| above.starts_with(asked_for)).collect();
        for above in asked.into_iter().rev() {
            match open(above) {
                Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {}
                opened => return Ok((above.to_owned(), Self::of(above, opened)?)),
            }
        }
        Ok((folder.to_owned(), Self::lock(folder)?))
    }

    /// Opens the journal of a folder, or makes it.
    fn lock(folder: &Path) -> Result<Self, Failure> {
        Self::of(folder, open(folder))
    }

    fn of(folder: &Path, opened: io::Result<fs::File>) -> Result<Self, Failure> {
        let path = folder.join(NAME);
        let file = opened.map_err(|error| not_noted(&path, &error))?;
        alone(file.try_lock(), folder)?;
        Ok(Self { path, file })
    }

    /// Reads it, and makes sure that the next line begins where a line begins.
    fn begin(&self) -> Result<Vec<Uuid>, Failure> {
        self.read().map_err(|error| not_noted(&self.path, &error))
    }

    fn read(&self) -> io::Result<Vec<Uuid>> {
        let mut file = &self.file;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut bytes)?;
        match bytes.last() {
            None => {
                file.write_all(HEADER.as_bytes())?;
                // Its name has to outlive a crash too.
                fs::File::open(self.path.parent().unwrap_or(&self.path))?.sync_all()?;
            }
            Some(b'\n') => {}
            Some(_) => file.write_all(b"\n")?,
        }
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines = bytes[..whole].split(|byte| *byte == b'\n');
        Ok(lines.filter_map(|line| Uuid::try_parse_ascii(line.trim_ascii()).ok()).collect())
    }
}

fn open(folder: &Path) -> io::Result<fs::File> {
    let file = OpenOptions::new().read(true).append(true).create(true).open(folder.join(NAME))?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other(NO_FILE));
    }
    Ok(file)
}

/// Looks whether nobody has the journal of a folder, if there is one.
fn is_free(folder: &Path) -> Result<(), Failure> {
    let path = folder.join(NAME);
    // What is no file is nobody's journal, and may be a pipe that can not be opened in time.
    if !path.is_file() {
        return Ok(());
    }
    match fs::File::open(&path) {
        Ok(file) => alone(file.try_lock_shared(), folder),
        // Somebody else's, who could write nothing here.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(not_noted(&path, &error)),
    }
}

fn alone(locked: Result<(), TryLockError>, folder: &Path) -> Result<(), Failure> {
    locked.map_err(|error| match error {
        TryLockError::WouldBlock => {
            Failure::transient(Code::ReplayRunning, format!("Another replay of {} is under way.", folder.display()))
        }
        TryLockError::Error(error) => not_noted(&folder.join(NAME), &error),
    })
}

/// The line that says that a record is done.
pub(super) fn line(raw_id: Uuid) -> Vec<u8> {
    format!("{raw_id}\n").into_bytes()
}

/// The journals of a replay, by the numbers of their folders.
#[derive(Debug, Default)]
pub(super) struct Journals {
    folders: Vec<PathBuf>,
    /// Those that stay locked, by their folders.
    held: HashMap<PathBuf, Journal>,
    noted: AtomicU64,
}

impl Journals {
    /// Gets the journals of these folders ready, and keeps other replays out; answers what is done, too. All paths are whole and
    /// without links. A folder may stand elsewhere than in what was asked for, where a link led to it.
    pub(super) fn open(asked_for: &Path, folders: Vec<PathBuf>) -> Result<(Self, HashSet<Uuid>), Failure> {
        let mut done = HashSet::new();
        let mut held = HashMap::new();
        for folder in &folders {
            if !folder.ancestors().any(|above| held.contains_key(above)) {
                held.extend([Journal::hold(folder, asked_for)?]);
            }
        }
        let mut seen = HashSet::new();
        for folder in &folders {
            for folder in folder.ancestors().take_while(|folder| seen.insert(*folder)) {
                if !held.contains_key(folder) {
                    is_free(folder)?;
                }
            }
        }
        for folder in &folders {
            done.extend(match held.get(folder) {
                Some(journal) => journal.begin()?,
                None => Journal::lock(folder)?.begin()?,
            });
        }
        Ok((Self { folders, held, noted: AtomicU64::new(0) }, done))
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
                let folder = &self.folders[at];
                let noted = match self.held.get(folder) {
                    Some(journal) => append(&journal.file, &lines),
                    None => OpenOptions::new().append(true).open(folder.join(NAME)).and_then(|file| append(&file, &lines)),
                };
                noted.map_err(|error| not_noted(&folder.join(NAME), &error))?;
                self.noted.fetch_add(lines.iter().filter(|byte| **byte == b'\n').count() as u64, Ordering::Relaxed);
                Ok(())
            })
        });
        written.await.unwrap_or_else(|_| Err(Failure::system(Code::Internal, "The thread that writes journals ended.")))
    }
}

fn append(mut file: &fs::File, lines: &[u8]) -> io::Result<()> {
    file.write_all(lines)?;
    file.sync_data()
}

fn not_noted(path: &Path, error: &io::Error) -> Failure {
    let limit = match error.raw_os_error() {
        Some(TOO_MANY_FILES) => " The process may have no more files open: raise that limit (`ulimit -n`).",
        _ => "",
    };
    let text = format!("What was sent again can not be noted in {}: {error}.{limit}", path.display());
    Failure::config(Code::ReplayNotNoted, format!("{text} {}", Code::ReplayNotNoted.remedy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_open_files_are_told_as_that() {
        let told = |code| not_noted(Path::new("/x"), &io::Error::from_raw_os_error(code)).message;
        assert!(told(TOO_MANY_FILES).contains("`ulimit -n`") && !told(13).contains("ulimit"), "{}", told(TOO_MANY_FILES));
    }
}
