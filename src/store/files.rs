//! Which rows go into which file. Pure but for the names' random parts.
//!
//! A file that is still small is written anew with more rows under its name, whole each time, so that a sync with many
//! STATEs leaves few files; one that has grown is left alone and the next part begins. A name that another process was quicker
//! to take is left to it ([`Files::renamed`]): nothing is ever written over but what was placed here.

use std::collections::HashMap;
use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::queue::Batch;
use super::{FILE_NAME_FORMAT, Format, Job, Place, Rejects, StreamFacts, names, rows};

/// A file up to this size is written anew with more rows.
const GROWS: usize = 128 * 1024;

/// A file to be put in its place, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    /// Number of the place that its rows were put in for.
    pub(super) place: usize,
    /// Whether nothing may stand there yet; else it is written over what was placed here before.
    pub(super) is_new: bool,
    /// Where, with slashes, from the place's root.
    pub(super) path: String,
    pub(super) body: Bytes,
}

/// See the module's header.
#[derive(Debug)]
pub(super) struct Files {
    kind: Kind,
    job: Job,
    /// Files that still grow, by place: path and content.
    growing: HashMap<usize, (String, Vec<u8>)>,
    /// The next part by folder, in small letters: some file systems do not tell them from large ones.
    parts: HashMap<String, u64>,
}

#[derive(Debug)]
enum Kind {
    Rejects { settings: Box<Rejects>, header: Vec<u8> },
    Receipts,
}

impl Files {
    /// A file for each stream.
    pub(super) fn of_rejects(settings: &Rejects, job: &Job) -> Self {
        let header = rows::header(settings);
        Self::new(Kind::Rejects { settings: Box::new(settings.clone()), header }, job)
    }

    /// One file for all streams, beside their folders.
    pub(super) fn of_receipts(job: &Job) -> Self {
        Self::new(Kind::Receipts, job)
    }

    fn new(kind: Kind, job: &Job) -> Self {
        Self { kind, job: job.clone(), growing: HashMap::new(), parts: HashMap::new() }
    }

    /// The files that hold these rows.
    pub(super) fn of(&mut self, batch: Batch, prefix: &str, now: i64) -> Vec<File> {
        batch.into_iter().map(|(place, rows)| self.next(place, rows, prefix, now)).collect()
    }

    /// The same file by another name, where its own is taken.
    pub(super) fn renamed(&mut self, taken: File, prefix: &str, now: i64) -> File {
        let path = self.name(taken.place, prefix, now);
        if let Some((growing, _)) = self.growing.get_mut(&taken.place).filter(|(growing, _)| *growing == taken.path) {
            growing.clone_from(&path);
        }
        File { path, ..taken }
    }

    fn next(&mut self, place: usize, rows: Vec<u8>, prefix: &str, now: i64) -> File {
        let (is_new, path, content) = match self.growing.remove(&place) {
            Some((path, mut content)) if content.len() + rows.len() <= GROWS => {
                content.extend(rows);
                (false, path, content)
            }
            _ => {
                let mut content = self.header().to_vec();
                content.extend(rows);
                (true, self.name(place, prefix, now), content)
            }
        };
        let body = self.packed(&content);
        if content.len() < GROWS {
            self.growing.insert(place, (path.clone(), content));
        }
        File { place, is_new, path, body }
    }

    fn header(&self) -> &[u8] {
        match &self.kind {
            Kind::Rejects { header, .. } => header,
            Kind::Receipts => &[],
        }
    }

    fn name(&mut self, place: usize, prefix: &str, now: i64) -> String {
        let nameless = StreamFacts::default();
        let stream = self.job.streams.get(place).unwrap_or(&nameless);
        let (folder, format, extension) = match &self.kind {
            Kind::Rejects { settings, .. } => {
                let extension = match (settings.format, settings.gzip) {
                    (Format::Csv, false) => ".csv",
                    (Format::Csv, true) => ".csv.gz",
                    (Format::Jsonl, false) => ".jsonl",
                    (Format::Jsonl, true) => ".jsonl.gz",
                };
                let folder = names::folder(prefix, &settings.path_format, &self.job, stream, now);
                (folder, settings.file_name_format.clone(), extension)
            }
            Kind::Receipts => {
                let any = StreamFacts { sync_id: stream.sync_id, ..StreamFacts::default() };
                let folder = names::folder(prefix, "{sync_id}", &self.job, &any, now);
                (folder, format!("{}{FILE_NAME_FORMAT}", names::RECEIPTS), ".jsonl")
            }
        };
        let part = self.parts.entry(folder.to_lowercase()).or_default();
        let name = names::file(&format, &self.job, stream, now, *part, extension);
        *part += 1;
        if folder.is_empty() { name } else { format!("{folder}/{name}") }
    }

    fn packed(&self, content: &[u8]) -> Bytes {
        match &self.kind {
            Kind::Rejects { settings, .. } if settings.gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                // Writing to memory does not fail.
                let _ = encoder.write_all(content);
                encoder.finish().unwrap_or_default().into()
            }
            _ => Bytes::copy_from_slice(content),
        }
    }
}

impl Place {
    /// What stands before every path in it.
    pub(super) fn prefix(&self) -> &str {
        match self {
            Self::Local(_) => "",
            Self::S3(bucket) => &bucket.prefix,
        }
    }
}
