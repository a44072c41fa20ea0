//! A STATE message, kept as the bytes that came.
//!
//! Owns what a STATE is about and how our counts get into it. Does not own when it may leave (that is the ledger).
//!
//! A STATE is the source's bookmark: unknown keys, nulls, the platform's integer `id` and cursors beyond 64 bits have to come
//! back as they are. So the line is never parsed and printed again; `destinationStats` is cut out and set in as text.

use std::fmt;
use std::ops::Range;

use serde_json::value::RawValue;

use super::catalog::StreamId;
use super::inbound::{MalformedKind, stream_id};
use super::members::Members;

const STATS: &str = "destinationStats";

/// What a STATE covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateKind {
    /// The records of one stream.
    Stream(StreamId),
    /// The records of all streams.
    Global,
    /// The old form, also every STATE without a type.
    ///
    /// The protocol says that an absent type means LEGACY, and so it is read, even where a `stream` object is there: a LEGACY
    /// state waits for the records of all streams, which promises at least what any other reading would.
    Legacy,
}

impl fmt::Display for StateKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(id) => write!(out, "stream {id}"),
            Self::Global => out.write_str("all streams"),
            Self::Legacy => out.write_str("all streams (LEGACY)"),
        }
    }
}

/// A STATE as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateMessage {
    kind: StateKind,
    line: Box<str>,
    /// Where the counts go.
    place: Range<usize>,
    /// What has to stand before them: nothing where a given value is replaced.
    lead: &'static str,
    /// Further members named `destinationStats`, with the comma before them.
    cuts: Vec<Range<usize>>,
}

impl StateMessage {
    /// Reads the message in `line`, whose `state` member is `state` (a slice of the line).
    pub(super) fn read(line: &str, state: &RawValue) -> Result<Self, MalformedKind> {
        let members = Members::of(state).ok_or(MalformedKind::Wrong("state"))?;
        let kind = match members.text("type").map_err(|_| MalformedKind::Wrong("state.type"))?.as_deref() {
            None | Some("LEGACY") => StateKind::Legacy,
            // The payload stands under `global`, or under `global_` when it comes from PyAirbyte; it is not looked at.
            Some("GLOBAL") => StateKind::Global,
            Some("STREAM") => StateKind::Stream(described(&members)?),
            // What it covers is unknown, so nobody can say when it may leave.
            Some(_) => return Err(MalformedKind::Wrong("state.type")),
        };

        let span = |raw: &RawValue| {
            // Raw values are slices of the line they were read from.
            let start = raw.get().as_ptr() as usize - line.as_ptr() as usize;
            start..start + raw.get().len()
        };
        // Where nothing is there to replace, the counts are appended behind the last member.
        let mut place = None;
        let mut cuts = Vec::new();
        let mut end = span(state).start + 1;
        for (key, value) in &members.0 {
            let value = span(value);
            if key == STATS {
                // From the end of the member before to the end of this one: comma, key and value.
                if place.is_some() { cuts.push(end..value.end) } else { place = Some(value.clone()) }
            }
            end = value.end;
        }
        let lead = match (&place, members.0.is_empty()) {
            (Some(_), _) => "",
            (None, true) => "\"destinationStats\":",
            (None, false) => ",\"destinationStats\":",
        };
        // White space may hold line breaks, which would end our line early. In JSON no raw one can stand inside a text.
        let line = if line.contains(['\r', '\n']) { line.replace(['\r', '\n'], " ") } else { line.to_owned() };
        Ok(Self { kind, line: line.into(), place: place.unwrap_or(end..end), lead, cuts })
    }

    /// What the STATE covers.
    pub fn kind(&self) -> &StateKind {
        &self.kind
    }

    /// The line as it came, without its line end.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// The line with our counts since the previous STATE of the same scope.
    ///
    /// A given `destinationStats` is replaced as a whole, its `additionalStats` too: it is the destination's own report, what
    /// stands there is left from somebody else's run, and the platform adds such numbers up. Everything else stays byte for byte.
    pub fn stamped(&self, loaded: u64, rejected: u64) -> String {
        let mut out = String::with_capacity(self.line.len() + 96);
        out.push_str(&self.line[..self.place.start]);
        out.push_str(self.lead);
        // Counts are doubles by definition and readers expect the decimal point; the digits are exact.
        out.push_str(&format!("{{\"recordCount\":{loaded}.0,\"rejectedRecordCount\":{rejected}.0}}"));
        let mut from = self.place.end;
        for cut in &self.cuts {
            out.push_str(&self.line[from..cut.start]);
            from = cut.end;
        }
        out.push_str(&self.line[from..]);
        out
    }
}

fn described(members: &Members<'_>) -> Result<StreamId, MalformedKind> {
    let stream = members.get("stream").and_then(Members::of).ok_or(MalformedKind::Missing("state.stream"))?;
    let descriptor =
        stream.get("stream_descriptor").and_then(Members::of).ok_or(MalformedKind::Missing("state.stream.stream_descriptor"))?;
    stream_id(&descriptor).ok_or(MalformedKind::Missing("state.stream.stream_descriptor.name"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::super::inbound::{Inbound, parse};
    use super::*;

    const STAMP: &str = r#"{"recordCount":3.0,"rejectedRecordCount":1.0}"#;

    fn state(line: &str) -> StateMessage {
        match parse(line.as_bytes()) {
            Ok(Inbound::State(state)) => state,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn what_a_state_covers_is_told_by_its_type() {
        let kind = |body: &str| state(&format!(r#"{{"type":"STATE","state":{{{body}}}}}"#)).kind().clone();
        let users = || StateKind::Stream(StreamId::new(None, "users"));
        assert_eq!(kind(r#""type":"STREAM","stream":{"stream_descriptor":{"name":"users","namespace":null}}"#), users());
        assert_eq!(kind(r#""stream":{"stream_state":null,"stream_descriptor":{"name":"users"}},"type":"STREAM""#), users());
        assert_eq!(
            kind(r#""type":"STREAM","stream":{"stream_descriptor":{"name":"users","namespace":"shop"}}"#),
            StateKind::Stream(StreamId::new(Some("shop"), "users"))
        );
        assert_eq!(kind(r#""type":"GLOBAL","global":{"stream_states":[]}"#), StateKind::Global);
        assert_eq!(kind(r#""type":"GLOBAL","global_":{"stream_states":[]}"#), StateKind::Global);
        assert_eq!(kind(r#""type":"LEGACY","data":{"cursor":1}"#), StateKind::Legacy);
        assert_eq!(kind(r#""data":{"cursor":1}"#), StateKind::Legacy);
        assert_eq!(kind(r#""type":null,"data":{"cursor":1}"#), StateKind::Legacy);
        assert_eq!(kind(r#""stream":{"stream_descriptor":{"name":"users"}}"#), StateKind::Legacy);
        assert_eq!(kind(""), StateKind::Legacy);
    }

    #[test]
    fn counts_are_set_where_they_stand_and_nothing_else_changes() {
        let head =
            r#"{"type":"STATE","log":null,"state":{"type":"LEGACY","id":7,"data":{"n":123456789012345678901234567890,"f":1.10}"#;
        let tail = r#","sourceStats":{"recordCount":4.0},"x":null},"trace":null}"#;
        for given in ["null", "{}", r#"{"recordCount":9.0,"additionalStats":{"truncatedValueCount":2.0}}"#, "12", "[1, 2]"] {
            let line = format!(r#"{head},"destinationStats":{given}{tail}"#);
            assert_eq!(state(&line).stamped(3, 1), format!(r#"{head},"destinationStats":{STAMP}{tail}"#));
        }
        // absent: appended inside the state object
        let line = format!("{head}{tail}");
        let appended = tail.replace("\"x\":null}", &format!("\"x\":null,\"destinationStats\":{STAMP}}}"));
        assert_eq!(state(&line).stamped(3, 1), format!("{head}{appended}"));
    }

    #[test]
    fn counts_that_stand_twice_stand_once_afterwards() {
        let line = r#"{"type":"STATE","state":{"destinationStats":null,"a":1 , "destinationStats" : {"recordCount":5},"b":2,"destinationStats":1}}"#;
        let expected = format!(r#"{{"type":"STATE","state":{{"destinationStats":{STAMP},"a":1,"b":2}}}}"#);
        assert_eq!(state(line).stamped(3, 1), expected);
        let line = r#"{"type":"STATE","state":{"destinationStats":0,"destinationStats":1}}"#;
        assert_eq!(state(line).stamped(3, 1), format!(r#"{{"type":"STATE","state":{{"destinationStats":{STAMP}}}}}"#));
    }

    #[test]
    fn an_empty_state_and_a_spaced_one_take_counts() {
        let stamped = |line: &str| state(line).stamped(3, 1);
        assert_eq!(
            stamped(r#"{"type":"STATE","state":{}}"#),
            format!(r#"{{"type":"STATE","state":{{"destinationStats":{STAMP}}}}}"#)
        );
        assert_eq!(
            stamped("{ \"state\" : { \"data\" : { } \r } , \"type\" : \"STATE\" }\r\n"),
            format!("{{ \"state\" : {{ \"data\" : {{ }},\"destinationStats\":{STAMP}   }} , \"type\" : \"STATE\" }}"),
            "a line break between tokens becomes a space, for it would break our line"
        );
    }

    #[test]
    fn keys_standing_twice_and_line_separators_come_back() {
        let line = "{\"type\":\"STATE\",\"state\":{\"type\":\"STREAM\",\"stream\":{\"stream_descriptor\":{\"name\":\"a\u{2028}b\"},\"stream_state\":null},\"global_\":null,\"destinationStats\":null,\"global_\":null}}";
        let stamped = state(line).stamped(3, 1);
        assert_eq!(stamped, line.replace("\"destinationStats\":null", &format!("\"destinationStats\":{STAMP}")));
        assert_eq!(stamped.matches("global_").count(), 2);
    }

    #[test]
    fn only_the_counts_of_the_state_itself_are_touched() {
        let line =
            r#"{"destinationStats":1,"type":"STATE","state":{"data":{"destinationStats":2,"t":"\"destinationStats\":3"}}}"#;
        let expected = line.replace("3\"}}}", &format!("3\"}},\"destinationStats\":{STAMP}}}}}"));
        assert_eq!(state(line).stamped(3, 1), expected);
    }

    #[test]
    fn a_state_standing_twice_is_stamped_where_it_was_read() {
        let line = r#"{"type":"STATE","state":{"data":1},"state":{"data":2},"state":null}"#;
        let expected =
            format!(r#"{{"type":"STATE","state":{{"data":1}},"state":{{"data":2,"destinationStats":{STAMP}}},"state":null}}"#);
        assert_eq!(state(line).stamped(3, 1), expected);
    }

    #[test]
    fn large_counts_are_exact() {
        assert!(state(r#"{"type":"STATE","state":{}}"#).stamped(u64::MAX, 0).contains("18446744073709551615.0,"));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z\\\\\"{}:,é\u{2028}]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[a-z\"\\\\]{0,5}", inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_other_member_stays(
            members in prop::collection::vec(("[a-d\"]{1,3}|destinationStats|global_", any_json()), 0..8),
            pretty in any::<bool>(),
            loaded in any::<u32>(),
        ) {
            // Written by hand, since a map could not hold a key twice.
            let text = |value: &Value| if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
            let written: Vec<String> = members
                .iter()
                .map(|(key, value)| format!("{}:{}", text(&json!(key)).unwrap(), text(value).unwrap()))
                .collect();
            let line = format!(r#"{{"id":1,"type":"STATE","state":{{"type":"LEGACY",{}"z":0}},"e":null}}"#,
                written.iter().map(|member| format!("{member}, ")).collect::<String>());
            let stamped = state(&line).stamped(loaded.into(), 2);
            prop_assert!(!stamped.contains('\n'));

            // Read with the project's own one-level reader, which keeps duplicates and order.
            let read = |line: &str| {
                let envelope: Map<String, Value> = serde_json::from_str(line).unwrap();
                let raw: &RawValue = serde_json::from_str(line).unwrap();
                let state = Members::of(raw).unwrap().get("state").unwrap();
                let members: Vec<(String, Value)> = Members::of(state).unwrap().0.iter()
                    .map(|(key, value)| (key.to_string(), serde_json::from_str(value.get()).unwrap()))
                    .collect();
                (envelope.keys().cloned().collect::<Vec<_>>(), members)
            };
            let (keys_before, before) = read(&line);
            let (keys_after, after) = read(&stamped);
            prop_assert_eq!(keys_before, keys_after);
            let others = |members: &[(String, Value)]| -> Vec<(String, Value)> {
                members.iter().filter(|(key, _)| key != STATS).cloned().collect()
            };
            prop_assert_eq!(others(&before), others(&after));
            let counts: Vec<&Value> = after.iter().filter(|(key, _)| key == STATS).map(|(_, value)| value).collect();
            let ours = json!({"recordCount": f64::from(loaded), "rejectedRecordCount": 2.0});
            prop_assert_eq!(counts, vec![&ours]);
            let place = |members: &[(String, Value)]| members.iter().position(|(key, _)| key == STATS);
            prop_assert!(place(&before).is_none() || place(&before) == place(&after));
        }
    }
}
