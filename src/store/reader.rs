//! Reading rejected records back, from the files that were kept of them.
//!
//! Reads a file or all files of a folder, in either format, flattened or not, compressed or not. A file that is no file of
//! rejected records is a problem, never silently left out; one that was not finished ends in [`super::local::UNFINISHED`]
//! and counts for nothing: no STATE rests on it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::local::UNFINISHED;
use super::rows::DATA;

/// A rejected record, as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The namespace of its stream.
    pub namespace: Option<String>,
    /// The name of its stream: as the file tells it, else its folder.
    pub stream: String,
    /// Its data, as JSON text.
    pub data: String,
    /// The line of the input that it stood on.
    pub line: u64,
    /// Why it was rejected: the stable code.
    pub code: String,
    /// When the source read it, in milliseconds.
    pub emitted_at: i64,
}

/// Why a file can not be read back, in words that name it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {what}", path.display(), line.map(|line| format!(", row {line}")).unwrap_or_default())]
pub struct Unreadable {
    path: PathBuf,
    line: Option<u64>,
    what: String,
}

#[derive(Deserialize)]
struct Meta {
    namespace: Option<String>,
    stream: Option<String>,
}

#[derive(Deserialize)]
struct Data {
    record: Box<RawValue>,
    error: Error,
    line: u64,
}

#[derive(Deserialize)]
struct Error {
    code: String,
}

#[derive(Deserialize)]
struct Row {
    _airbyte_extracted_at: i64,
    #[serde(default)]
    _airbyte_meta: Option<Meta>,
    _airbyte_data: Option<Data>,
    #[serde(default, deserialize_with = "given")]
    record: Option<Box<RawValue>>,
    error: Option<Error>,
    line: Option<u64>,
}

/// A row may be null, which is not the same as no row.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

/// The files of rejected records at a path: itself, or all below it, in the order of their names.
///
/// # Errors
/// When the path can not be read.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let unreadable =
        |path: &Path, error: std::io::Error| Unreadable { path: path.to_owned(), line: None, what: error.to_string() };
    if !path.is_dir() {
        return fs::metadata(path).map(|_| vec![path.to_owned()]).map_err(|error| unreadable(path, error));
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| unreadable(path, error))? {
        entries.push(entry.map_err(|error| unreadable(path, error))?.path());
    }
    entries.sort();
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        if entry.is_dir() {
            found.extend(files(&entry)?);
        } else if !name.ends_with(UNFINISHED) && !name.starts_with("receipts_") {
            found.push(entry);
        }
    }
    Ok(found)
}

/// The rejected records of one file, one after another: a file may be larger than the memory.
///
/// # Errors
/// When the file can not be opened. What is wrong within is told by the items, the last of which it is.
pub fn read(path: &Path) -> Result<Box<dyn Iterator<Item = Result<Kept, Unreadable>>>, Unreadable> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let file = fs::File::open(path).map_err(|error| Unreadable { path: path.to_owned(), line: None, what: error.to_string() })?;
    let (reader, name): (Box<dyn Read>, &str) = match name.strip_suffix(".gz") {
        Some(name) => (Box::new(MultiGzDecoder::new(file)), name),
        None => (Box::new(file), &name),
    };
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let at = Whereabouts { path: path.to_owned(), folder };
    match name.ends_with(".csv") {
        true => Ok(Box::new(until_broken(csv_rows(reader, at)))),
        false => Ok(Box::new(until_broken(json_rows(reader, at)))),
    }
}

/// Ends behind the first item that is an error.
fn until_broken<T, E>(items: impl Iterator<Item = Result<T, E>>) -> impl Iterator<Item = Result<T, E>> {
    let mut broken = false;
    items.take_while(move |item| !std::mem::replace(&mut broken, item.is_err()))
}

struct Whereabouts {
    path: PathBuf,
    folder: String,
}

impl Whereabouts {
    fn wrong(&self, line: u64, what: impl Into<String>) -> Unreadable {
        Unreadable { path: self.path.clone(), line: Some(line), what: what.into() }
    }

    fn kept(&self, number: u64, row: Row) -> Result<Kept, Unreadable> {
        let data = match (row._airbyte_data, row.record, row.error, row.line) {
            (Some(data), ..) => data,
            (None, Some(record), Some(error), Some(line)) => Data { record, error, line },
            _ => return Err(self.wrong(number, "is no rejected record")),
        };
        let (namespace, stream) = row._airbyte_meta.map(|meta| (meta.namespace, meta.stream)).unwrap_or_default();
        Ok(Kept {
            namespace,
            stream: stream.unwrap_or_else(|| self.folder.clone()),
            data: data.record.get().to_owned(),
            line: data.line,
            code: data.error.code,
            emitted_at: row._airbyte_extracted_at,
        })
    }
}

fn json_rows(reader: impl Read, at: Whereabouts) -> impl Iterator<Item = Result<Kept, Unreadable>> {
    BufReader::new(reader).lines().zip(1..).filter_map(move |(line, number)| {
        let row = match line {
            Ok(line) if line.trim().is_empty() => return None,
            // A parser's own words quote values.
            Ok(line) => serde_json::from_str(&line).map_err(|_| at.wrong(number, "is no rejected record")),
            Err(error) => Err(at.wrong(number, error.to_string())),
        };
        Some(row.and_then(|row| at.kept(number, row)))
    })
}

fn csv_rows(reader: impl Read, at: Whereabouts) -> impl Iterator<Item = Result<Kept, Unreadable>> {
    let mut reader = csv::Reader::from_reader(reader);
    let header = reader.headers().cloned().unwrap_or_default();
    reader.into_records().zip(1..).map(move |(cells, number)| {
        let cells = cells.map_err(|error| at.wrong(number, error.to_string()))?;
        let cell = |name: &str| header.iter().position(|column| column == name).and_then(|place| cells.get(place));
        let no_reject = || at.wrong(number, "is no rejected record");
        let json = |name: &str| cell(name).filter(|text| !text.is_empty());
        fn parsed<T: serde::de::DeserializeOwned>(text: Option<&str>) -> Result<Option<T>, serde_json::Error> {
            text.map(serde_json::from_str).transpose()
        }
        let row = Row {
            _airbyte_extracted_at: json("_airbyte_extracted_at").and_then(|text| text.parse().ok()).ok_or_else(no_reject)?,
            _airbyte_meta: parsed(json("_airbyte_meta")).map_err(|_| no_reject())?,
            _airbyte_data: parsed(json(DATA)).map_err(|_| no_reject())?,
            record: parsed(json("record")).map_err(|_| no_reject())?,
            error: parsed(json("error")).map_err(|_| no_reject())?,
            line: parsed(json("line")).map_err(|_| no_reject())?,
        };
        at.kept(number, row)
    })
}
