//! The shape of what is kept. Pure.
//!
//! A rejected record has Airbyte's five columns, in Airbyte's order; a receipt is one line of JSON.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Format, Rejects, StreamFacts};
use crate::outcome::{Fault, Outcome, Rejection};

/// Names of the columns that every file has, as Airbyte writes them; the data stands last, or in columns of its own.
const COLUMNS: [&str; 4] = ["_airbyte_raw_id", "_airbyte_extracted_at", "_airbyte_meta", "_airbyte_generation_id"];
pub(super) const DATA: &str = "_airbyte_data";
const FLATTENED: [&str; 3] = ["record", "error", "line"];

/// A record as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Its data, as JSON text.
    pub data: Box<str>,
    /// When the source read it, in milliseconds, where it says so.
    pub emitted_at: Option<i64>,
    /// What was changed on its way, as JSON text, where the source says so.
    pub changes: Option<Box<str>>,
}

impl Origin {
    /// Size in memory, in bytes, near enough to bound what waits.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.data.len() + self.changes.as_ref().map_or(0, |changes| changes.len())
    }
}

/// What became of a record, for its receipt.
#[derive(Debug)]
pub struct Receipt<'r> {
    /// Line of the input.
    pub line: u64,
    /// What it became.
    pub object: &'r str,
    /// Its key in words; empty where it has none.
    pub key: &'r str,
    /// What became of it.
    pub outcome: &'r Outcome,
    /// ChartMogul's own name of it, where it is known.
    pub uuid: Option<&'r str>,
    /// Requests that were sent to write it, repetitions among them.
    pub attempts: u32,
    /// The status of the last answer to a write.
    pub http_status: Option<u16>,
}

#[derive(Serialize)]
struct Meta<'r> {
    sync_id: Option<i64>,
    changes: &'r RawValue,
    // Not Airbyte's: a file that was moved still tells what it is of.
    namespace: Option<&'r str>,
    stream: &'r str,
    // Nor this: a replay has no other way to know how the stream was to be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    catalog: Option<&'r RawValue>,
}

#[derive(Serialize)]
struct Data<'r> {
    record: &'r RawValue,
    error: Error<'r>,
    line: u64,
}

#[derive(Serialize)]
struct Error<'r> {
    code: &'r str,
    field: Option<&'r str>,
    message: String,
    http_status: Option<u16>,
}

#[derive(Serialize)]
struct Row<'r> {
    _airbyte_raw_id: String,
    _airbyte_extracted_at: i64,
    _airbyte_meta: Meta<'r>,
    _airbyte_generation_id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    _airbyte_data: Option<&'r Data<'r>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    flattened: Option<&'r Data<'r>>,
}

#[derive(Serialize)]
struct ReceiptLine<'r> {
    line: u64,
    namespace: Option<&'r str>,
    stream: &'r str,
    object: &'r str,
    key: Option<&'r str>,
    outcome: &'r str,
    reason: Option<String>,
    uuid: Option<&'r str>,
    attempts: u32,
    http_status: Option<u16>,
    code: Option<&'r str>,
}

/// What stands at the start of a file.
pub(super) fn header(settings: &Rejects) -> Vec<u8> {
    match settings.format {
        Format::Jsonl => Vec::new(),
        Format::Csv if settings.flattened => csv_row(COLUMNS.iter().chain(&FLATTENED)),
        Format::Csv => csv_row(COLUMNS.iter().chain(&[DATA])),
    }
}

/// What a row gets when it is made.
pub(super) struct Stamp {
    pub(super) raw_id: Uuid,
    /// When the record was read, where the source does not say so.
    pub(super) now: i64,
}

/// One rejected record, as it stands in a file.
pub(super) fn reject(
    settings: &Rejects,
    stream: &StreamFacts,
    line: u64,
    origin: Option<&Origin>,
    rejection: &Rejection,
    stamp: &Stamp,
) -> Vec<u8> {
    let fault = rejection.faults.first();
    let data = Data {
        record: origin.map_or(RawValue::NULL, |origin| raw(&origin.data)),
        error: Error {
            code: rejection.code().as_str(),
            field: fault.and_then(|fault| fault.field.as_deref()),
            message: message(&rejection.faults),
            http_status: rejection.http_status,
        },
        line,
    };
    let meta = Meta {
        sync_id: stream.sync_id,
        changes: raw(origin.and_then(|origin| origin.changes.as_deref()).unwrap_or("[]")),
        namespace: stream.namespace.as_deref(),
        stream: &stream.name,
        catalog: Some(&*stream.catalog).filter(|catalog| !catalog.is_empty()).map(raw),
    };
    let raw_id = stamp.raw_id.to_string();
    let extracted_at = origin.and_then(|origin| origin.emitted_at).unwrap_or(stamp.now);
    let generation = stream.generation_id.unwrap_or_default();
    match settings.format {
        Format::Jsonl => {
            let (nested, flattened) = if settings.flattened { (None, Some(&data)) } else { (Some(&data), None) };
            json_line(&Row {
                _airbyte_raw_id: raw_id,
                _airbyte_extracted_at: extracted_at,
                _airbyte_meta: meta,
                _airbyte_generation_id: generation,
                _airbyte_data: nested,
                flattened,
            })
        }
        Format::Csv => {
            let mut cells = vec![raw_id, extracted_at.to_string(), json(&meta), generation.to_string()];
            match settings.flattened {
                true => cells.extend([json(&data.record), json(&data.error), line.to_string()]),
                false => cells.push(json(&data)),
            }
            csv_row(cells)
        }
    }
}

/// One receipt, with its line end.
pub(super) fn receipt(stream: &StreamFacts, receipt: &Receipt<'_>) -> Vec<u8> {
    let (reason, code, refused) = match receipt.outcome {
        Outcome::Skipped(skip) => (Some(skip.as_str().to_owned()), None, None),
        Outcome::Rejected(rejection) => {
            (Some(message(&rejection.faults)), Some(rejection.code().as_str()), rejection.http_status)
        }
        _ => (None, None, None),
    };
    json_line(&ReceiptLine {
        line: receipt.line,
        namespace: stream.namespace.as_deref(),
        stream: &stream.name,
        object: receipt.object,
        key: Some(receipt.key).filter(|key| !key.is_empty()),
        outcome: receipt.outcome.as_str(),
        reason,
        uuid: receipt.uuid,
        attempts: receipt.attempts,
        http_status: refused.or(receipt.http_status),
        code,
    })
}

/// What was read as JSON is JSON.
fn raw(text: &str) -> &RawValue {
    serde_json::from_str(text).unwrap_or(RawValue::NULL)
}

/// What is wrong, in words. A single fault names its field beside them; several name theirs within.
fn message(faults: &[Fault]) -> String {
    match faults {
        [one] => one.message.clone(),
        many => {
            let said = |fault: &Fault| match &fault.field {
                Some(field) => format!("{field}: {}", fault.message),
                None => fault.message.clone(),
            };
            many.iter().map(said).collect::<Vec<_>>().join("; ")
        }
    }
}

/// Texts and numbers, which can be written as JSON always.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn json_line(value: &impl Serialize) -> Vec<u8> {
    let mut line = json(value).into_bytes();
    line.push(b'\n');
    line
}

fn csv_row<T: AsRef<[u8]>>(cells: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    // Writing to memory does not fail.
    let _ = writer.write_record(cells);
    writer.into_inner().unwrap_or_default()
}
