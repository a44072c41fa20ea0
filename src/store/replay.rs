//! Rejected records that are to be sent again: all of a file or folder that no journal says is done.
//!
//! What is there when it begins is what is sent; what is added meanwhile is left for the next time. A record that is there
//! twice is sent once. Holds where each record stands and not the record, which is read again when its turn comes: so what
//! stands in memory is small, and how far it is sent is bounded by whoever asks for rows.

use std::collections::HashMap;
use std::collections::hash_map;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use super::journal::Journals;
use super::reader::{self, Kept, Listed, Rows, Unreadable};
use crate::errors::Code;
use crate::failure::Failure;

/// Of what can not be read, and of what differs, so many are told one by one.
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
    /// The same for two rows that say the same.
    print: u64,
}

/// See the module's header.
#[derive(Debug)]
pub struct Replay {
    files: Arc<[PathBuf]>,
    pub(super) entries: Arc<[Entry]>,
    pub(super) journals: Arc<Journals>,
    streams: Vec<Stream>,
    done: u64,
    again: u64,
    gone: Arc<AtomicU64>,
    unreadable: (u64, Vec<Unreadable>),
}

impl Replay {
    /// Finds what is to be sent again, and keeps other replays of it out.
    ///
    /// # Errors
    /// `REJECTS_UNREADABLE` when there is nothing at the path that can be read; what of it can not is told by
    /// [`Self::unread`]. `REPLAY_RUNNING`, `REPLAY_NOT_NOTED` of its journals.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let unreadable = |problem: &Unreadable| {
            let text = format!("Rejected records can not be read: {problem}.");
            Failure::config(Code::RejectsUnreadable, text)
        };
        let Listed { files, unreadable: closed, .. } = reader::list(path).map_err(|problem| unreadable(&problem))?;
        let asked_for = folder_of(path).map_err(|problem| unreadable(&problem))?;
        let mut found = Found::default();
        closed.into_iter().for_each(|problem| found.problem(problem));
        for (number, file) in files.iter().enumerate() {
            found.look(number, file);
        }
        let Found { entries, streams, folders, unreadable, .. } = found;

        let (journals, done) = Journals::open(&asked_for, folders)?;
        let (mut entries, again) = once(entries, &files);
        let all = entries.len();
        entries.retain(|entry| !done.contains(&entry.raw_id));
        let done = (all - entries.len()) as u64;
        let mut used: Vec<(usize, Stream)> = Vec::new();
        for (at, stream) in streams.into_iter().enumerate() {
            used.extend(entries.iter().rposition(|entry| entry.stream == at).map(|last| (last, stream)));
        }
        used.sort_by_key(|(last, _)| *last);
        Ok(Self {
            files: files.into(),
            entries: entries.into(),
            journals: Arc::new(journals),
            streams: used.into_iter().map(|(_, stream)| stream).collect(),
            done,
            again,
            gone: Arc::default(),
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

    /// How many rows are of records that stand there once already.
    pub fn again(&self) -> u64 {
        self.again
    }

    /// How many records were not there any more when their turn came.
    pub fn gone(&self) -> u64 {
        self.gone.load(Ordering::Relaxed)
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
        let (files, entries, gone) = (Arc::clone(&self.files), Arc::clone(&self.entries), Arc::clone(&self.gone));
        let mut open: Option<(usize, Rows)> = None;
        let mut row = move |entry: &Entry| {
            if open.as_ref().is_none_or(|(file, _)| *file != entry.file) {
                open = reader::read(&files[entry.file]).ok().map(|rows| (entry.file, rows));
            }
            let (_, rows) = open.as_mut()?;
            rows.filter_map(Result::ok).find(|kept| kept.row >= entry.row).filter(|kept| kept.raw_id == entry.raw_id)
        };
        (0..entries.len()).map(move |at| {
            let row = row(&entries[at]);
            gone.fetch_add(u64::from(row.is_none()), Ordering::Relaxed);
            row
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

/// The folder of a path, itself or the one that its file stands in, whatever links lead to it.
fn folder_of(path: &Path) -> Result<PathBuf, Unreadable> {
    let own = path.canonicalize().map_err(|error| Unreadable::of(path, &error))?;
    Ok(if own.is_dir() { own } else { own.parent().unwrap_or(&own).to_owned() })
}

/// The first row of each record, and how many more there are. One that says something else than the first is told.
fn once(entries: Vec<Entry>, files: &[PathBuf]) -> (Vec<Entry>, u64) {
    let mut first = HashMap::with_capacity(entries.len());
    let mut distinct: Vec<Entry> = Vec::with_capacity(entries.len());
    let (mut again, mut other) = (0, 0);
    let place = |entry: &Entry| format!("{}, row {}", files[entry.file].display(), entry.row);
    for entry in entries {
        match first.entry(entry.raw_id) {
            hash_map::Entry::Vacant(free) => {
                free.insert(distinct.len());
                distinct.push(entry);
            }
            hash_map::Entry::Occupied(at) => {
                again += 1;
                let first = &distinct[*at.get()];
                if first.print != entry.print {
                    other += 1;
                    if other <= TOLD {
                        let (first, second) = (place(first), place(&entry));
                        tracing::warn!("two records have one _airbyte_raw_id: only the first counts, {first}, not {second}");
                    }
                }
            }
        }
    }
    if other > TOLD {
        tracing::warn!("{} more records have an _airbyte_raw_id that another one has, and do not count", other - TOLD);
    }
    (distinct, again)
}

/// What a first reading finds.
#[derive(Default)]
struct Found {
    entries: Vec<Entry>,
    streams: Vec<Stream>,
    by_stream: HashMap<Stream, usize>,
    /// Folders with records, each with a journal.
    folders: Vec<PathBuf>,
    by_folder: HashMap<PathBuf, usize>,
    unreadable: (u64, Vec<Unreadable>),
}

impl Found {
    fn look(&mut self, number: usize, file: &Path) {
        let (rows, folder) = match reader::read(file).and_then(|rows| Ok((rows, folder_of(file)?))) {
            Ok(found) => found,
            Err(problem) => return self.problem(problem),
        };
        for row in rows {
            match row {
                Ok(Kept { raw_id, namespace, stream, catalog, line, row, data, .. }) => {
                    let (journal, stream) = (self.folder(&folder), self.stream(Stream { namespace, name: stream, catalog }));
                    let mut print = DefaultHasher::new();
                    (stream, data).hash(&mut print);
                    self.entries.push(Entry { raw_id, file: number, row, line, journal, stream, print: print.finish() });
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

    fn folder(&mut self, folder: &Path) -> usize {
        if let Some(known) = self.by_folder.get(folder) {
            return *known;
        }
        self.folders.push(folder.to_owned());
        self.by_folder.insert(folder.to_owned(), self.folders.len() - 1);
        self.folders.len() - 1
    }

    fn stream(&mut self, stream: Stream) -> usize {
        *self.by_stream.entry(stream).or_insert_with_key(|stream| {
            self.streams.push(stream.clone());
            self.streams.len() - 1
        })
    }
}
