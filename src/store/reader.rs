//! Reading rejected records back, from the files that were kept of them.
//!
//! Reads a file or all files of a folder, in either format, flattened or not, compressed or not, whatever they are called. A row
//! that is no rejected record is a problem, never silently left out, and never in the way of those behind it; nor is a file or
//! folder that can not be read, or holds no rejected records at all. A file that was not finished ends in [`super::local::UNFINISHED`] and counts for
//! nothing: no STATE rests on it. No file of ours is ever empty, not even after a crash: one that is was cut off elsewhere.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::names::is_of_rejects;
use super::rows::DATA;

/// A rejected record, as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What tells it from all others.
    pub raw_id: Uuid,
    /// The namespace of its stream.
    pub namespace: Option<String>,
    /// The name of its stream: as the file tells it, else its folder.
    pub stream: String,
    /// How its stream was to be written, as a JSON object; `None` where the file does not say so.
    pub catalog: Option<String>,
    /// Its data, as JSON text.
    pub data: String,
    /// The line of the input that it stood on.
    pub line: u64,
    /// Why it was rejected: the stable code.
    pub code: String,
    /// When the source read it, in milliseconds.
    pub emitted_at: i64,
    /// Where it stands in its file, from 1.
    pub row: u64,
}

/// What can not be read back, in words that name it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {what}", path.display(), row.map(|row| format!(", row {row}")).unwrap_or_default())]
pub struct Unreadable {
    path: PathBuf,
    row: Option<u64>,
    what: String,
}

impl Unreadable {
    pub(super) fn of(path: &Path, error: &std::io::Error) -> Self {
        Self { path: path.to_owned(), row: None, what: error.to_string() }
    }
}

/// What a row says that is none.
const NO_REJECT: &str = "is no rejected record";
const CUT_OFF: &str = "is cut off in the middle";
const EMPTY: &str = "is empty: it was cut off before its first row";
const NO_HEADER: &str = "does not begin with the header of rejected records, which has the columns _airbyte_raw_id and _airbyte_data, or \
_airbyte_raw_id, record, error and line";
/// Of what a folder holds that is no file: a pipe, a socket, a device. Reading one may never end.
pub(super) const NO_FILE: &str = "is no regular file";

#[derive(Deserialize)]
struct Meta {
    namespace: Option<String>,
    stream: Option<String>,
    catalog: Option<Box<RawValue>>,
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
    _airbyte_raw_id: String,
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

/// What is at a path.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) files: Vec<PathBuf>,
    /// Folders that can not be looked into.
    pub(super) unreadable: Vec<Unreadable>,
    seen: HashSet<PathBuf>,
}

/// The files of rejected records at a path: itself, or all below it, in the order of their names: numbers in these by their
/// size, so that the tenth job comes behind the ninth and so does the tenth part.
///
/// # Errors
/// When the path, or a folder below it, can not be read.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let Listed { files, unreadable, .. } = list(path)?;
    unreadable.into_iter().next().map_or(Ok(files), Err)
}

/// The same, with what is in the way of others in no case.
pub(super) fn list(path: &Path) -> Result<Listed, Unreadable> {
    let mut listed = Listed::default();
    match path.is_dir() {
        true => listed.below(path)?,
        false => {
            fs::metadata(path).map_err(|error| Unreadable::of(path, &error))?;
            listed.files.push(path.to_owned());
        }
    }
    Ok(listed)
}

impl Listed {
    /// What a folder holds. What links lead to several times, or back to, is looked at once.
    fn below(&mut self, path: &Path) -> Result<(), Unreadable> {
        let wrong = |error: std::io::Error| Unreadable::of(path, &error);
        if !self.seen.insert(path.canonicalize().map_err(wrong)?) {
            return Ok(());
        }
        let mut entries = Vec::new();
        for entry in fs::read_dir(path).map_err(wrong)? {
            entries.push(entry.map_err(wrong)?.path());
        }
        entries.sort_by_cached_key(|entry| natural(&entry.file_name().unwrap_or_default().to_string_lossy()));
        for entry in entries {
            if entry.is_dir() {
                let listed = self.below(&entry);
                self.unreadable.extend(listed.err());
            } else if is_of_rejects(&entry.file_name().unwrap_or_default().to_string_lossy()) {
                // A link that leads nowhere is told when it is read.
                let own = entry.canonicalize().unwrap_or_else(|_| entry.clone());
                if self.seen.insert(own) {
                    self.files.push(entry);
                }
            }
        }
        Ok(())
    }
}

/// A piece of a name, for comparing.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    /// Digits without zeros in front; more of them are a larger number.
    Number(usize, String),
    Text(String),
}

/// A name as people order them; names that differ only in zeros are told apart by the name itself.
fn natural(name: &str) -> (Vec<Piece>, String) {
    let mut pieces = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let digit = first.is_ascii_digit();
        let end = rest.find(|character: char| character.is_ascii_digit() != digit).unwrap_or(rest.len());
        let (piece, behind) = rest.split_at(end);
        pieces.push(match digit {
            true => {
                let digits = piece.trim_start_matches('0');
                Piece::Number(digits.len(), digits.to_owned())
            }
            false => Piece::Text(piece.to_owned()),
        });
        rest = behind;
    }
    (pieces, name.to_owned())
}

/// The rows of a file.
pub type Rows = Box<dyn Iterator<Item = Result<Kept, Unreadable>> + Send>;

/// The rejected records of one file, one after another: a file may be larger than the memory.
///
/// # Errors
/// When the file can not be opened, is none, or does not begin as one of rejected records does. What is wrong further on is told by the
/// items; those behind it come all the same, unless the file can not be read on.
pub fn read(path: &Path) -> Result<Rows, Unreadable> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let unreadable = |what: String| Unreadable { path: path.to_owned(), row: None, what };
    // Asked before it is opened: a pipe that nobody writes to is not even opened in time.
    if !fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.is_file() {
        return Err(unreadable(NO_FILE.to_owned()));
    }
    let file = fs::File::open(path).map_err(|error| unreadable(error.to_string()))?;
    // How a file is called is up to `file_name_format`: what is in it tells more than its name.
    let mut file = BufReader::new(file);
    let is_packed = begins(&mut file).map_err(|error| unreadable(error.to_string()))?.starts_with(GZIP);
    let (mut reader, name): (Box<dyn BufRead + Send>, &str) = match name.strip_suffix(".gz") {
        Some(name) => (Box::new(BufReader::new(MultiGzDecoder::new(file))), name),
        None if is_packed => (Box::new(BufReader::new(MultiGzDecoder::new(file))), &name),
        None => (Box::new(file), &name),
    };
    let is_csv = match begins(&mut reader).map_err(|error| unreadable(error.to_string()))? {
        begin if begin.starts_with(b"{") => false,
        begin if [&b"_airbyte_"[..], b"\"_airbyte_"].iter().any(|name| begin.starts_with(name)) => true,
        _ => name.ends_with(".csv"),
    };
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let at = Whereabouts { path: path.to_owned(), folder };
    match is_csv {
        true => Ok(Box::new(csv_rows(reader, at)?)),
        false => Ok(Box::new(json_rows(reader, at))),
    }
}

/// What every gzip file begins with.
const GZIP: &[u8] = b"\x1f\x8b";

/// What a file begins with, a byte order mark left out.
fn begins(reader: &mut impl BufRead) -> std::io::Result<&[u8]> {
    let begin = reader.fill_buf()?;
    Ok(begin.strip_prefix(b"\xef\xbb\xbf").unwrap_or(begin))
}

struct Whereabouts {
    path: PathBuf,
    folder: String,
}

impl Whereabouts {
    fn wrong(&self, row: u64, what: impl Into<String>) -> Unreadable {
        Unreadable { path: self.path.clone(), row: Some(row), what: what.into() }
    }

    /// A parser's own words quote values.
    fn no_json(&self, row: u64, error: &serde_json::Error) -> Unreadable {
        self.wrong(row, if error.is_eof() { CUT_OFF } else { NO_REJECT })
    }

    fn kept(&self, number: u64, row: Row) -> Result<Kept, Unreadable> {
        let no_reject = || self.wrong(number, NO_REJECT);
        let raw_id = Uuid::parse_str(&row._airbyte_raw_id).map_err(|_| no_reject())?;
        let data = match (row._airbyte_data, row.record, row.error, row.line) {
            (Some(data), ..) => data,
            (None, Some(record), Some(error), Some(line)) => Data { record, error, line },
            _ => return Err(no_reject()),
        };
        let meta = row._airbyte_meta.unwrap_or(Meta { namespace: None, stream: None, catalog: None });
        Ok(Kept {
            raw_id,
            namespace: meta.namespace,
            stream: meta.stream.unwrap_or_else(|| self.folder.clone()),
            catalog: meta.catalog.map(|catalog| catalog.get().to_owned()),
            data: data.record.get().to_owned(),
            line: data.line,
            code: data.error.code,
            emitted_at: row._airbyte_extracted_at,
            row: number,
        })
    }
}

fn json_rows(mut reader: impl BufRead + Send, at: Whereabouts) -> impl Iterator<Item = Result<Kept, Unreadable>> + Send {
    let (mut number, mut ended) = (0, false);
    std::iter::from_fn(move || {
        while !ended {
            let mut line = Vec::new();
            number += 1;
            match reader.read_until(b'\n', &mut line) {
                Ok(0) => {
                    ended = true;
                    if number == 1 {
                        return Some(Err(Unreadable { path: at.path.clone(), row: None, what: EMPTY.to_owned() }));
                    }
                }
                Ok(_) if line.trim_ascii().is_empty() => {}
                Ok(_) => {
                    // Editors put a byte order mark in front, which the reader of CSV knows too.
                    let line = line.strip_prefix(b"\xef\xbb\xbf").filter(|_| number == 1).unwrap_or(&line);
                    let row = serde_json::from_slice(line).map_err(|error| at.no_json(number, &error));
                    return Some(row.and_then(|row| at.kept(number, row)));
                }
                Err(error) => {
                    ended = true;
                    return Some(Err(at.wrong(number, error.to_string())));
                }
            }
        }
        None
    })
}

fn csv_rows(
    reader: impl Read + Send,
    at: Whereabouts,
) -> Result<impl Iterator<Item = Result<Kept, Unreadable>> + Send, Unreadable> {
    let mut reader = csv::Reader::from_reader(reader);
    let wrong = |what: String| Unreadable { path: at.path.clone(), row: None, what };
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(error) if error.is_io_error() => return Err(wrong(format!("can not be read at its header: {error}"))),
        // The parser's own words quote values.
        Err(_) => return Err(wrong(NO_HEADER.to_owned())),
    };
    let has = |name: &str| header.iter().any(|column| column == name);
    match header.is_empty() {
        true => return Err(wrong(EMPTY.to_owned())),
        false if has("_airbyte_raw_id") && (has(DATA) || ["record", "error", "line"].into_iter().all(has)) => {}
        false => return Err(wrong(NO_HEADER.to_owned())),
    }
    let mut ended = false;
    let rows = reader.into_records().zip(1..).map(move |(cells, number)| match cells {
        Ok(cells) => (csv_row(&header, &cells, number, &at), false),
        Err(error) if error.is_io_error() => (Err(at.wrong(number, error.to_string())), true),
        Err(error) => {
            let cut = matches!(error.kind(), csv::ErrorKind::UnequalLengths { expected_len, len, .. } if len < expected_len);
            (Err(at.wrong(number, if cut { CUT_OFF } else { NO_REJECT })), false)
        }
    });
    Ok(rows.map_while(move |(row, last)| (!std::mem::replace(&mut ended, last)).then_some(row)))
}

fn csv_row(header: &csv::StringRecord, cells: &csv::StringRecord, number: u64, at: &Whereabouts) -> Result<Kept, Unreadable> {
    let cell = |name: &str| header.iter().position(|column| column == name).and_then(|place| cells.get(place));
    let no_reject = || at.wrong(number, NO_REJECT);
    let json = |name: &str| cell(name).filter(|text| !text.is_empty());
    fn parsed<T: serde::de::DeserializeOwned>(text: Option<&str>) -> Result<Option<T>, serde_json::Error> {
        text.map(serde_json::from_str).transpose()
    }
    let wrong = |error: serde_json::Error| at.no_json(number, &error);
    let row = Row {
        _airbyte_raw_id: json("_airbyte_raw_id").ok_or_else(no_reject)?.to_owned(),
        _airbyte_extracted_at: json("_airbyte_extracted_at").and_then(|text| text.parse().ok()).ok_or_else(no_reject)?,
        _airbyte_meta: parsed(json("_airbyte_meta")).map_err(wrong)?,
        _airbyte_data: parsed(json(DATA)).map_err(wrong)?,
        record: parsed(json("record")).map_err(wrong)?,
        error: parsed(json("error")).map_err(wrong)?,
        line: parsed(json("line")).map_err(wrong)?,
    };
    at.kept(number, row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_ordered_by_their_size() {
        let mut names = ["10", "9", "a10.csv", "a9.csv", "2024_01_02_5_10.csv", "2024_01_02_5_9.csv", "a09.csv", "sync"];
        names.sort_by_cached_key(|name| natural(name));
        assert_eq!(names, ["9", "10", "2024_01_02_5_9.csv", "2024_01_02_5_10.csv", "a09.csv", "a9.csv", "a10.csv", "sync"]);
    }
}
