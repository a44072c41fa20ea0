//! What an orchestrator writes to stdin, read line by line.
//!
//! Owns the reading of one line: what kind of message it is and where its parts stand. Does not own line splitting, nor what
//! becomes of a message. Nothing here panics, whatever the bytes.
//!
//! Hosts differ: compact or spaced JSON, keys in any order, every unset field as an explicit null, non-ASCII escaped or not,
//! a key standing twice. So a line is always read as JSON, never recognised by its first bytes. A RECORD, of which there may
//! be millions, is read in one pass, and its `data` is not read at all but handed on as the text it is.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::catalog::{StreamId, StreamRef};
use super::members::{Members, Text};
use super::state::StateMessage;
use crate::errors::Code;
use crate::failure::Failure;

/// One line of stdin.
#[derive(Debug)]
pub enum Inbound<'a> {
    /// A row.
    Record(Record<'a>),
    /// A checkpoint of the source, to be echoed once everything before it is settled.
    State(StateMessage),
    /// How far a stream has come.
    StreamStatus {
        /// The stream. PyAirbyte gives the name only, so a missing namespace proves nothing.
        stream: StreamId,
        /// How far.
        status: StreamStatus,
    },
    /// A message of the protocol that is not for a destination; the word says which.
    Ignored(&'static str),
    /// A message type that the protocol does not know (yet); shortened.
    Unknown(String),
    /// Nothing but white space.
    Blank,
}

/// A row of a stream. Its `data` is not looked at: it may be something other than an object.
#[derive(Debug)]
pub struct Record<'a> {
    /// Absent, null and empty all mean none.
    pub namespace: Option<Cow<'a, str>>,
    /// The stream's name.
    pub stream: Cow<'a, str>,
    /// The row as it stands in the line.
    pub data: &'a RawValue,
    emitted_at: Option<&'a RawValue>,
    meta: Option<&'a RawValue>,
}

impl<'a> Record<'a> {
    /// The stream this row is of.
    pub fn stream_ref(&self) -> StreamRef<'_> {
        StreamRef { namespace: self.namespace.as_deref(), name: &self.stream }
    }

    /// What was changed on the row's way, where the source or the platform says so: a list.
    pub fn changes(&self) -> Option<&'a RawValue> {
        let changes = Members::of(self.meta?)?.get("changes")?;
        changes.get().starts_with('[').then_some(changes)
    }

    /// When the source read the row, in milliseconds; `None` where it did not say so in a number.
    pub fn emitted_at_ms(&self) -> Option<i64> {
        // Some hosts send whole seconds. Milliseconds have been above this bound since 1973, seconds stay below it till 5138.
        const SECONDS_BELOW: f64 = 1e11;
        let number: f64 = self.emitted_at?.get().parse().ok().filter(|number: &f64| number.is_finite())?;
        let millis = if number.abs() < SECONDS_BELOW { number * 1000.0 } else { number };
        // `as` saturates, which is what a date out of all bounds deserves.
        Some(millis as i64)
    }
}

/// The statuses of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamStatus {
    /// Reading has begun.
    Started,
    /// Reading goes on.
    Running,
    /// All of the stream has been sent.
    Complete,
    /// The stream ended early.
    Incomplete,
}

/// A line that is no message. Tells what is wrong and how long the line was, never what stood in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong.
    pub kind: MalformedKind,
    /// Bytes of the line.
    pub length: usize,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MalformedKind {
    /// Bytes that are no UTF-8, from this byte on (counted from 1).
    NotUtf8(usize),
    /// No JSON, as seen at this byte (counted from 1).
    NotJson(usize),
    /// JSON that ends in the middle.
    Truncated,
    /// JSON, but not an object.
    NotAnObject,
    /// A field that the message needs is absent or null.
    Missing(&'static str),
    /// A field holds another type of value than it must, or a word it does not know.
    Wrong(&'static str),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            MalformedKind::NotUtf8(at) => write!(f, "it is not UTF-8 (byte {at}")?,
            MalformedKind::NotJson(at) => write!(f, "it is not JSON (byte {at}")?,
            MalformedKind::Truncated => f.write_str("its JSON is cut off (")?,
            MalformedKind::NotAnObject => f.write_str("it is not a JSON object (")?,
            MalformedKind::Missing(field) => write!(f, "`{field}` is missing (")?,
            MalformedKind::Wrong(field) => write!(f, "`{field}` does not hold what it must (")?,
        }
        match &self.kind {
            MalformedKind::NotUtf8(_) | MalformedKind::NotJson(_) => write!(f, " of {})", self.length),
            _ => write!(f, "{} bytes)", self.length),
        }
    }
}

impl Malformed {
    /// The failure that ends a sync over such a line.
    pub fn failure(&self, line: u64) -> Failure {
        let remedy = Code::InputMalformed.remedy();
        Failure::system(Code::InputMalformed, format!("Line {line} of the input is not an Airbyte message: {self}. {remedy}"))
    }
}

/// Reads one line, with or without its line end.
///
/// # Errors
/// When the line is not a message of the protocol.
pub fn parse(line: &[u8]) -> Result<Inbound<'_>, Malformed> {
    let malformed = |kind| Malformed { kind, length: line.len() };
    let text = std::str::from_utf8(line).map_err(|error| malformed(MalformedKind::NotUtf8(error.valid_up_to() + 1)))?;
    // A byte order mark is left by Windows editors at the start of a file.
    let text = text.trim_start_matches('\u{feff}').trim_ascii();
    if text.is_empty() {
        return Ok(Inbound::Blank);
    }
    match serde_json::from_str::<Envelope<'_>>(text) {
        Ok(envelope) => understand(text, envelope),
        Err(error) => reread(text, &error),
    }
    .map_err(malformed)
}

/// Makes a message of what stands in the envelope.
fn understand<'a>(text: &'a str, envelope: Envelope<'a>) -> Result<Inbound<'a>, MalformedKind> {
    let kind = envelope.kind.ok_or(MalformedKind::Missing("type"))?.0;
    Ok(match &*kind {
        "RECORD" => {
            let parts = envelope.record.ok_or(MalformedKind::Missing("record"))?;
            Inbound::Record(Record {
                namespace: parts.namespace.map(|text| text.0).filter(|namespace| !namespace.is_empty()),
                stream: parts.stream.ok_or(MalformedKind::Missing("record.stream"))?.0,
                data: parts.data.ok_or(MalformedKind::Missing("record.data"))?,
                emitted_at: parts.emitted_at,
                meta: parts.meta,
            })
        }
        "STATE" => Inbound::State(StateMessage::read(text, envelope.state.ok_or(MalformedKind::Missing("state"))?)?),
        "TRACE" => trace(envelope.trace)?,
        "LOG" => Inbound::Ignored("LOG"),
        "CONTROL" => Inbound::Ignored("CONTROL"),
        "SPEC" => Inbound::Ignored("SPEC"),
        "CATALOG" => Inbound::Ignored("CATALOG"),
        "CONNECTION_STATUS" => Inbound::Ignored("CONNECTION_STATUS"),
        "DESTINATION_CATALOG" => Inbound::Ignored("DESTINATION_CATALOG"),
        unknown => Inbound::Unknown(unknown.chars().take(UNKNOWN_SHOWN).collect()),
    })
}

/// An unknown type goes into a warning; no more of it than a name would need.
const UNKNOWN_SHOWN: usize = 40;

/// Reads a line that did not fit the envelope: says what is wrong with it, or, since only a RECORD needs a proper `record`,
/// understands it all the same.
fn reread<'a>(text: &'a str, error: &serde_json::Error) -> Result<Inbound<'a>, MalformedKind> {
    let broken = |error: &serde_json::Error| match error.classify() {
        Category::Eof => Some(MalformedKind::Truncated),
        Category::Syntax | Category::Io => Some(MalformedKind::NotJson(error.column())),
        Category::Data => None,
    };
    if let Some(kind) = broken(error) {
        return Err(kind);
    }
    let members: Members<'a> =
        serde_json::from_str(text).map_err(|error| broken(&error).unwrap_or(MalformedKind::NotAnObject))?;
    let kind = members.text("type").map_err(|_| MalformedKind::Wrong("type"))?;
    if kind.as_deref() == Some("RECORD") {
        let record = members.get("record").and_then(Members::of).ok_or(MalformedKind::Wrong("record"))?;
        let stream_is_text = record.text("stream").is_ok();
        return Err(MalformedKind::Wrong(if stream_is_text { "record.namespace" } else { "record.stream" }));
    }
    let envelope = Envelope { kind: kind.map(Text), record: None, state: members.get("state"), trace: members.get("trace") };
    understand(text, envelope)
}

/// Only stream statuses matter to a destination.
fn trace(raw: Option<&RawValue>) -> Result<Inbound<'_>, MalformedKind> {
    const OTHER: Inbound<'_> = Inbound::Ignored("TRACE");
    let Some(trace) = raw.and_then(Members::of) else { return Ok(OTHER) };
    if !matches!(trace.text("type"), Ok(Some(kind)) if kind == "STREAM_STATUS") {
        return Ok(OTHER);
    }
    let body = trace.get("stream_status").and_then(Members::of).ok_or(MalformedKind::Missing("trace.stream_status"))?;
    let descriptor = body
        .get("stream_descriptor")
        .and_then(Members::of)
        .ok_or(MalformedKind::Missing("trace.stream_status.stream_descriptor"))?;
    let stream = stream_id(&descriptor).ok_or(MalformedKind::Missing("trace.stream_status.stream_descriptor.name"))?;
    let word = body.text("status").ok().flatten().ok_or(MalformedKind::Missing("trace.stream_status.status"))?;
    let status = match &*word {
        "STARTED" => StreamStatus::Started,
        "RUNNING" => StreamStatus::Running,
        "COMPLETE" => StreamStatus::Complete,
        "INCOMPLETE" => StreamStatus::Incomplete,
        // Guessing that a new word means the end of a stream would be worse than waiting for one that is known.
        _ => return Ok(OTHER),
    };
    Ok(Inbound::StreamStatus { stream, status })
}

/// The stream that a descriptor names; `None` without a name.
pub(super) fn stream_id(descriptor: &Members<'_>) -> Option<StreamId> {
    let name = descriptor.text("name").ok()??;
    let namespace = descriptor.text("namespace").ok()?;
    Some(StreamId::new(namespace.as_deref(), &name))
}

/// The parts of a line that are looked at. Read by hand rather than derived, because a derived reader refuses a key that
/// stands twice; here the last one that is not null speaks.
struct Envelope<'a> {
    kind: Option<Text<'a>>,
    record: Option<RecordParts<'a>>,
    state: Option<&'a RawValue>,
    trace: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum EnvelopeKey {
    Type,
    Record,
    State,
    Trace,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Envelope<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a message")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut envelope = Envelope { kind: None, record: None, state: None, trace: None };
                while let Some(key) = map.next_key()? {
                    match key {
                        EnvelopeKey::Type => keep(&mut envelope.kind, map.next_value()?),
                        EnvelopeKey::Record => keep(&mut envelope.record, map.next_value()?),
                        EnvelopeKey::State => keep(&mut envelope.state, map.next_value()?),
                        EnvelopeKey::Trace => keep(&mut envelope.trace, map.next_value()?),
                        EnvelopeKey::Other => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(envelope)
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

struct RecordParts<'a> {
    namespace: Option<Text<'a>>,
    stream: Option<Text<'a>>,
    data: Option<&'a RawValue>,
    emitted_at: Option<&'a RawValue>,
    meta: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum RecordKey {
    Namespace,
    Stream,
    Data,
    EmittedAt,
    Meta,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for RecordParts<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = RecordParts<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a record")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut parts = RecordParts { namespace: None, stream: None, data: None, emitted_at: None, meta: None };
                while let Some(key) = map.next_key()? {
                    match key {
                        RecordKey::Namespace => keep(&mut parts.namespace, map.next_value()?),
                        RecordKey::Stream => keep(&mut parts.stream, map.next_value()?),
                        // Not through `Option`: a null row is a row, and the caller rejects it by name.
                        RecordKey::Data => parts.data = Some(map.next_value()?),
                        RecordKey::EmittedAt => keep(&mut parts.emitted_at, map.next_value()?),
                        RecordKey::Meta => keep(&mut parts.meta, map.next_value()?),
                        RecordKey::Other => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(parts)
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

fn keep<T>(place: &mut Option<T>, given: Option<T>) {
    if given.is_some() {
        *place = given;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::state::StateKind;
    use super::*;

    fn record(line: &str) -> (Option<String>, String, String, Option<i64>) {
        match parse(line.as_bytes()) {
            Ok(Inbound::Record(record)) => (
                record.namespace.as_ref().map(ToString::to_string),
                record.stream.to_string(),
                record.data.get().to_owned(),
                record.emitted_at_ms(),
            ),
            other => panic!("{line}: {other:?}"),
        }
    }

    fn refused(line: &[u8]) -> MalformedKind {
        let malformed = parse(line).unwrap_err();
        assert_eq!(malformed.length, line.len());
        malformed.kind
    }

    fn ignored(line: &str) -> &'static str {
        match parse(line.as_bytes()) {
            Ok(Inbound::Ignored(what)) => what,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_record_is_read_however_its_host_writes_json() {
        let expected = (None, "users".to_owned(), r#"{"id":1}"#.to_owned(), Some(1_700_000_000_123));
        for line in [
            r#"{"type":"RECORD","record":{"stream":"users","data":{"id":1},"emitted_at":1700000000123}}"#,
            // keys in another order
            r#"{"record":{"emitted_at":1700000000123,"data":{"id":1},"stream":"users"},"type":"RECORD"}"#,
            // every unset field as a null, and none as an empty namespace
            r#"{"type":"RECORD","log":null,"state":null,"record":{"namespace":null,"stream":"users","data":{"id":1},"emitted_at":1700000000123,"meta":null},"trace":null}"#,
            r#"{"type":"RECORD","record":{"namespace":"","stream":"users","data":{"id":1},"emitted_at":1700000000123}}"#,
            // keys nobody knows, at both levels
            r#"{"v":[1,{"a":1e999}],"type":"RECORD","record":{"stream":"users","data":{"id":1},"emitted_at":1700000000123,"meta":{"changes":[]},"file":{"x":1}}}"#,
            // spaces, line ends, a byte order mark
            "  { \"type\" : \"RECORD\" ,\t\"record\" : { \"stream\" : \"users\", \"data\" : {\"id\":1}  , \"emitted_at\" : 1700000000123 } } \r\n",
            "\u{feff}{\"type\":\"RECORD\",\"record\":{\"stream\":\"users\",\"data\":{\"id\":1},\"emitted_at\":1.700000000123e12}}",
            // escapes in keys and values
            r#"{"\u0074ype":"RECOR\u0044","record":{"stream":"us\u0065rs","data":{"id":1},"emitted_at":1700000000123}}"#,
            // keys standing twice: the last that is not null speaks
            r#"{"type":"LOG","type":"RECORD","record":{"stream":"other","stream":"users","data":{},"data":{"id":1},"emitted_at":1,"emitted_at":1700000000123},"record":null}"#,
        ] {
            assert_eq!(record(line), expected, "{line}");
        }
    }

    #[test]
    fn names_and_data_keep_every_character() {
        let line = "{\"type\":\"RECORD\",\"record\":{\"namespace\":\"öffentlich\",\"stream\":\"nutzer\\u00e4\\n\u{2028}\",\"data\":{\"note\":\"a\u{2028}b\\ud800\\\"\",\"n\":123456789012345678901234567890},\"emitted_at\":1}}";
        let (namespace, stream, data, _) = record(line);
        assert_eq!(namespace.as_deref(), Some("öffentlich"));
        assert_eq!(stream, "nutzerä\n\u{2028}");
        assert_eq!(data, "{\"note\":\"a\u{2028}b\\ud800\\\"\",\"n\":123456789012345678901234567890}");
    }

    #[test]
    fn plain_names_are_borrowed() {
        let line = br#"{"type":"RECORD","record":{"namespace":"n","stream":"s","data":{}}}"#;
        let Ok(Inbound::Record(record)) = parse(line) else { panic!() };
        assert!(matches!((&record.namespace, &record.stream), (Some(Cow::Borrowed("n")), Cow::Borrowed("s"))));
        assert_eq!(record.stream_ref().to_string(), "n.s");
    }

    #[test]
    fn the_time_of_reading_is_taken_in_any_number_and_never_refused() {
        let at = |written: &str| {
            record(&format!(r#"{{"type":"RECORD","record":{{"stream":"s","data":{{}},"emitted_at":{written}}}}}"#)).3
        };
        assert_eq!(at("1795218747193"), Some(1_795_218_747_193));
        assert_eq!(at("1795218747193.75"), Some(1_795_218_747_193));
        assert_eq!(at("1795218399"), Some(1_795_218_399_000), "seconds, as PyAirbyte sends from its cache");
        for unreadable in ["null", "\"2024-01-01\"", "{}", "1e999", "true"] {
            assert_eq!(at(unreadable), None, "{unreadable}");
        }
    }

    #[test]
    fn data_that_is_no_object_is_left_to_the_caller() {
        for data in ["null", "[1]", "\"text\"", "3"] {
            assert_eq!(record(&format!(r#"{{"type":"RECORD","record":{{"stream":"s","data": {data} }}}}"#)).2, data);
        }
    }

    #[test]
    fn what_is_not_for_a_destination_is_ignored() {
        for line in [
            r#"{"type":"LOG","log":{"level":"INFO","message":"hello"}}"#,
            r#"{"type":"CONTROL","control":{"type":"CONNECTOR_CONFIG"}}"#,
            r#"{"type":"SPEC","spec":{}}"#,
            r#"{"type":"CATALOG","catalog":{}}"#,
            r#"{"type":"CONNECTION_STATUS"}"#,
            r#"{"type":"DESTINATION_CATALOG"}"#,
            r#"{"type":"TRACE","trace":{"type":"ESTIMATE","emitted_at":1,"estimate":{"name":"s","type":"STREAM"}}}"#,
            r#"{"type":"TRACE","trace":{"type":"ERROR","error":{"message":"x"}}}"#,
            r#"{"type":"TRACE","trace":{"type":"STREAM_STATUS","stream_status":{"stream_descriptor":{"name":"s"},"status":"PAUSED"}}}"#,
            r#"{"type":"TRACE"}"#,
            // a `record` that is none does no harm where it is not asked for
            r#"{"type":"LOG","record":"none"}"#,
        ] {
            assert!(line.contains(ignored(line)), "{line}");
        }
    }

    #[test]
    fn an_unknown_type_is_told_by_name_and_briefly() {
        let Ok(Inbound::Unknown(name)) = parse(br#"{"type":"PROBE","x":1}"#) else { panic!() };
        assert_eq!(name, "PROBE");
        let long = format!(r#"{{"type":"{}","record":7}}"#, "Ä".repeat(500));
        let Ok(Inbound::Unknown(name)) = parse(long.as_bytes()) else { panic!() };
        assert_eq!(name.chars().count(), UNKNOWN_SHOWN);
    }

    #[test]
    fn blank_lines_are_blank() {
        for line in ["", "\n", "\r\n", "  \t ", "\u{feff}"] {
            assert!(matches!(parse(line.as_bytes()), Ok(Inbound::Blank)), "{line:?}");
        }
    }

    #[test]
    fn stream_statuses_are_read_with_and_without_a_namespace() {
        let status = |descriptor: &str, word: &str| {
            let line = format!(
                r#"{{"type":"TRACE","trace":{{"type":"STREAM_STATUS","emitted_at":1795218400.87,"error":null,"stream_status":{{"stream_descriptor":{descriptor},"status":"{word}","reasons":null}}}},"record":null}}"#
            );
            match parse(line.as_bytes()) {
                Ok(Inbound::StreamStatus { stream, status }) => (stream, status),
                other => panic!("{other:?}"),
            }
        };
        let plain = StreamId::new(None, "users");
        assert_eq!(status(r#"{"name":"users","namespace":null}"#, "COMPLETE"), (plain.clone(), StreamStatus::Complete));
        assert_eq!(status(r#"{"name":"users"}"#, "INCOMPLETE"), (plain.clone(), StreamStatus::Incomplete));
        assert_eq!(status(r#"{"name":"users","namespace":""}"#, "STARTED"), (plain, StreamStatus::Started));
        let spaced = StreamId::new(Some("shop"), "users");
        assert_eq!(status(r#"{"namespace":"shop","name":"users"}"#, "RUNNING"), (spaced, StreamStatus::Running));
    }

    #[test]
    fn a_line_that_is_no_message_is_refused_with_its_kind() {
        use MalformedKind::{Missing, NotAnObject, NotJson, NotUtf8, Truncated, Wrong};
        for (line, kind) in [
            (&b"hello"[..], NotJson(1)),
            (br#"{"type":"RECORD"} trailing"#, NotJson(19)),
            (br#"{"type":"RECORD","record":{"stream":"s","data":{"a":NaN}}}"#, NotJson(53)),
            (br#"{"type":"RECORD","record":{"stream":"s","data":{"a":"#, Truncated),
            (br#"{"type":"#, Truncated),
            (b"[1,2]", NotAnObject),
            (b"null", NotAnObject),
            (b"12", NotAnObject),
            (br#"{}"#, Missing("type")),
            (br#"{"type":null}"#, Missing("type")),
            (br#"{"type":5}"#, Wrong("type")),
            (br#"{"type":"RECORD"}"#, Missing("record")),
            (br#"{"type":"RECORD","record":null}"#, Missing("record")),
            (br#"{"type":"RECORD","record":[]}"#, Wrong("record")),
            (br#"{"type":"RECORD","record":{"data":{}}}"#, Missing("record.stream")),
            (br#"{"type":"RECORD","record":{"stream":"s"}}"#, Missing("record.data")),
            (br#"{"type":"RECORD","record":{"stream":5,"data":{}}}"#, Wrong("record.stream")),
            (br#"{"type":"RECORD","record":{"stream":"s","namespace":5,"data":{}}}"#, Wrong("record.namespace")),
            (br#"{"type":"STATE"}"#, Missing("state")),
            (br#"{"type":"STATE","state":7}"#, Wrong("state")),
            (br#"{"type":"STATE","state":{"type":"PARTIAL"}}"#, Wrong("state.type")),
            (br#"{"type":"STATE","state":{"type":1}}"#, Wrong("state.type")),
            (br#"{"type":"STATE","state":{"type":"STREAM"}}"#, Missing("state.stream")),
            (
                br#"{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{}}}}"#,
                Missing("state.stream.stream_descriptor.name"),
            ),
            (
                br#"{"type":"TRACE","trace":{"type":"STREAM_STATUS","stream_status":{"status":"COMPLETE"}}}"#,
                Missing("trace.stream_status.stream_descriptor"),
            ),
            (b"{\"type\":\"RECORD\",\"x\":\"\xff\"}", NotUtf8(23)),
        ] {
            assert_eq!(refused(line), kind, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn the_refusal_names_line_and_length_and_no_content() {
        let line = br#"{"type":"RECORD","record":{"stream":"secret-stream","data":{"email":"ann@lee.example""#;
        let failure = parse(line).unwrap_err().failure(41);
        assert_eq!(
            failure.to_string(),
            "INPUT_MALFORMED: Line 41 of the input is not an Airbyte message: its JSON is cut off (85 bytes). \
             Look at what the source or the orchestrator printed on the line that is named; where none is, at what stdin was \
             connected to."
        );
        assert_eq!(parse(b"{\"a\" 1}").unwrap_err().to_string(), "it is not JSON (byte 6 of 7)");
    }

    #[test]
    fn a_line_of_twenty_megabytes_and_a_deep_one_are_read() {
        let long = "x".repeat(20_000_000);
        let line = format!(r#"{{"type":"RECORD","record":{{"stream":"s","data":{{"t":"{long}"}},"emitted_at":1}}}}"#);
        assert_eq!(record(&line).2.len(), 20_000_008);
        let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(record(&format!(r#"{{"type":"RECORD","record":{{"stream":"s","data":{deep}}}}}"#)).2, deep);
    }

    #[test]
    fn a_state_is_recognised_among_explicit_nulls() {
        let line = br#"{"type":"STATE","record":null,"state":{"type":"GLOBAL","global_":{"shared_state":null,"stream_states":[]},"data":null,"global_":null},"trace":null}"#;
        let Ok(Inbound::State(state)) = parse(line) else { panic!() };
        assert_eq!(*state.kind(), StateKind::Global);
    }

    /// Pieces that messages are made of, so that random lines get past the first byte.
    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            " ",
            "null",
            "1e5",
            "\"type\"",
            "\"RECORD\"",
            "\"STATE\"",
            "\"TRACE\"",
            "\"record\"",
            "\"state\"",
            "\"stream\"",
            "\"data\"",
            "\"\\ud800\"",
            "\"destinationStats\"",
            "\"STREAM\"",
            "\"stream_descriptor\"",
            "\"name\"",
            "\"\u{2028}ü\"",
            "\"",
            "\\",
            "-",
            "{\"type\":\"STATE\",\"state\":{",
            "\"trace\":{\"type\":\"STREAM_STATUS\",",
        ]);
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(line in prop::collection::vec(any::<u8>(), 0..300)) {
            drop(parse(&line));
        }

        #[test]
        fn no_pieces_of_messages_make_it_panic(line in pieces()) {
            drop(parse(line.as_bytes()));
        }

        #[test]
        fn no_cut_makes_a_message_of_a_part(at in 1_usize..70) {
            let line = r#"{"type":"RECORD","record":{"stream":"usérs","data":{"id":1},"emitted_at":1}}"#;
            prop_assert!(parse(&line.as_bytes()[..at]).is_err());
        }
    }
}
