//! Rejected records that are to be sent again: all of a file or folder that no journal says is done.
//!
//! What is there when it begins is what is sent; what is added meanwhile is left for the next time. A record that is there
//! twice is sent once. Holds where each record stands and not the record, which is read again when its turn comes: so what
//! stands in memory is small, and how far it is sent is bounded by whoever asks for rows.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use super::journal::{Journal, Journals};
use super::reader::{self, Kept, Rows, Unreadable};
use crate::errors::Code;
use crate::failure::Failure;

/// What can not be read that is told one by one.
const TOLD: usize = 20;

/// A stream, and how it was to be written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Stream {
    /// Its namespace.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// What its records say of the catalog, as a JSON object.
    pub catalog: Option<String>,
}

/// Where a record stands.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What tells it from all others.
    pub raw_id: Uuid,
    /// Number of its file.
    pub file: usize,
    /// Its row there, from 1.
    pub row: u64,
    /// The line of its sync's input that it stood on.
    pub line: u64,
    /// Number of the journal of its folder.
    pub(super) journal: usize,
    stream: usize,
}

/// See the module's header.
#[derive(Debug)]
pub struct Replay {
    files: Arc<[PathBuf]>,
    pub(super) entries: Arc<[Entry]>,
    pub(super) journals: Arc<Journals>,
    streams: Vec<Stream>,
    done: u64,
    unreadable: (u64, Vec<Unreadable>),
}

impl Replay {
    /// Finds what is to be sent again, and keeps other replays of it out.
    ///
    /// # Errors
    /// `REJECTS_UNREADABLE` when there is nothing at the path that can be read; what of it can not is told by
    /// [`Self::unread`]. `REPLAY_RUNNING`, `REPLAY_NOT_NOTED` of its journals.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let files = reader::files(path).map_err(|problem| {
            let text = format!("Rejected records can not be read: {problem}.");
            Failure::config(Code::RejectsUnreadable, text)
        })?;
        let mut found = Found::default();
        for (number, file) in files.iter().enumerate() {
            found.look(number, file);
        }
        let Found { mut entries, streams, folders, unreadable, .. } = found;

        let mut done = HashSet::new();
        let mut journals = Vec::with_capacity(folders.len());
        for folder in &folders {
            let (journal, ids) = Journal::open(folder)?;
            journals.push(Some(journal));
            done.extend(ids);
        }
        let mut once = HashSet::with_capacity(entries.len());
        entries.retain(|entry| once.insert(entry.raw_id));
        let all = entries.len();
        entries.retain(|entry| !done.contains(&entry.raw_id));
        let done = (all - entries.len()) as u64;

        // Only journals that something is left for are kept: the number of files that may be open is limited.
        let mut numbers = vec![None; journals.len()];
        let mut kept = Vec::new();
        for entry in &mut entries {
            let number = *numbers[entry.journal].get_or_insert_with(|| {
                kept.extend(journals[entry.journal].take());
                kept.len() - 1
            });
            entry.journal = number;
        }
        let mut used: Vec<(usize, Stream)> = Vec::new();
        for (at, stream) in streams.into_iter().enumerate() {
            used.extend(entries.iter().rposition(|entry| entry.stream == at).map(|last| (last, stream)));
        }
        used.sort_by_key(|(last, _)| *last);
        Ok(Self {
            files: files.into(),
            entries: entries.into(),
            journals: Arc::new(Journals::new(kept)),
            streams: used.into_iter().map(|(_, stream)| stream).collect(),
            done,
            unreadable,
        })
    }

    /// What is to be sent, in the order in which it is.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many files there are.
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// The file of an entry.
    pub fn file(&self, entry: &Entry) -> &Path {
        &self.files[entry.file]
    }

    /// How many records are done already.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// How many records were noted as done since it began.
    pub fn noted(&self) -> u64 {
        self.journals.noted()
    }

    /// The streams, each as often as its records say different things of it, the newest last.
    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// The records, for each of the entries; nothing where it is gone meanwhile.
    pub fn rows(&self) -> impl Iterator<Item = Option<Kept>> + Send + use<> {
        let (files, entries) = (Arc::clone(&self.files), Arc::clone(&self.entries));
        let mut open: Option<(usize, Rows)> = None;
        (0..entries.len()).map(move |at| {
            let entry = &entries[at];
            if open.as_ref().is_none_or(|(file, _)| *file != entry.file) {
                open = reader::read(&files[entry.file]).ok().map(|rows| (entry.file, rows));
            }
            let (_, rows) = open.as_mut()?;
            rows.filter_map(Result::ok).find(|kept| kept.row >= entry.row).filter(|kept| kept.raw_id == entry.raw_id)
        })
    }

    /// What can not be read, in words; none where all can.
    pub fn unread(&self) -> Option<String> {
        let (number, told) = &self.unreadable;
        let more = number - told.len() as u64;
        let mut lines: Vec<String> = told.iter().map(ToString::to_string).collect();
        lines.extend((more > 0).then(|| format!("and {more} more")));
        (*number > 0).then(|| lines.join("\n"))
    }
}

/// What a first reading finds.
#[derive(Default)]
struct Found {
    entries: Vec<Entry>,
    streams: Vec<Stream>,
    by_stream: HashMap<Stream, usize>,
    /// Folders with records, each with a journal.
    folders: Vec<PathBuf>,
    unreadable: (u64, Vec<Unreadable>),
}

impl Found {
    fn look(&mut self, number: usize, file: &Path) {
        let rows = match reader::read(file) {
            Ok(rows) => rows,
            Err(problem) => return self.problem(problem),
        };
        for row in rows {
            match row {
                Ok(Kept { raw_id, namespace, stream, catalog, line, row, .. }) => {
                    let (journal, stream) = (self.folder(file), self.stream(Stream { namespace, name: stream, catalog }));
                    self.entries.push(Entry { raw_id, file: number, row, line, journal, stream });
                }
                Err(problem) => self.problem(problem),
            }
        }
    }

    fn problem(&mut self, problem: Unreadable) {
        self.unreadable.0 += 1;
        if self.unreadable.1.len() < TOLD {
            self.unreadable.1.push(problem);
        }
    }

    /// Files of a folder come one after another, but for those of the folders in it.
    fn folder(&mut self, file: &Path) -> usize {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.folders.iter().rposition(|other| other == folder).unwrap_or_else(|| {
            self.folders.push(folder.to_owned());
            self.folders.len() - 1
        })
    }

    fn stream(&mut self, stream: Stream) -> usize {
        *self.by_stream.entry(stream).or_insert_with_key(|stream| {
            self.streams.push(stream.clone());
            self.streams.len() - 1
        })
    }
}
