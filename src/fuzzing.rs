//! What the fuzzer drives: anything at all comes in, and what must hold of it then is asserted here.
//!
//! There is no such room in a build for users. The targets in `fuzz/` call these functions with what they make up; the test at
//! the end calls them with the corpus, so that whatever was found once is tried on every run.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;
use std::time::SystemTime;

use bytes::Bytes;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::binding::Bindings;
use crate::client::{HttpResponse, Repeat, fuzzing as client};
use crate::config::Settings;
use crate::engine::intake::{Item, PlannedRecord, read_block};
use crate::objects::OBJECTS;
use crate::outcome::Outcome;
use crate::plan::hide::Values;
use crate::protocol::{ConfiguredCatalog, Inbound, inbound};

/// A line of stdin: it is read or refused with its number and none of its content; a row is one JSON text, and a STATE goes
/// back as it came but for its counts.
pub fn line(line: &[u8]) {
    match inbound::parse(line) {
        Ok(Inbound::Record(record)) => {
            assert!(serde_json::from_str::<&RawValue>(record.data.get()).is_ok());
        }
        Ok(Inbound::State(state)) => {
            let stamped = state.stamped(3, 4);
            // Not as values: a number may have any digits.
            let state_again = members(&stamped)["state"].get();
            let stats = members(state_again)["destinationStats"].get();
            assert_eq!(stats, r#"{"recordCount":3.0,"rejectedRecordCount":4.0}"#, "{stamped}");
            let Ok(Inbound::State(again)) = inbound::parse(stamped.as_bytes()) else {
                panic!("it is no STATE any more: {stamped}")
            };
            assert_eq!(again.kind(), state.kind());
            assert_eq!(again.stamped(3, 4), stamped, "stamping twice is stamping once");
        }
        Ok(_) => {}
        Err(malformed) => {
            let told = malformed.failure(7).told();
            assert!(told.starts_with("INPUT_MALFORMED: ") && told.contains("Line 7 "), "{told}");
        }
    }
}

/// The members of an object; of those that stand twice the last that is not null, as everywhere here.
fn members(object: &str) -> HashMap<Cow<'_, str>, &RawValue> {
    struct Speaking;

    impl<'de> Visitor<'de> for Speaking {
        type Value = HashMap<Cow<'de, str>, &'de RawValue>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = HashMap::new();
            while let Some((name, value)) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
                if value.get() != "null" || !members.contains_key(&name) {
                    members.insert(name, value);
                }
            }
            Ok(members)
        }
    }

    let mut input = serde_json::Deserializer::from_str(object.trim_start_matches('\u{feff}'));
    input.deserialize_map(Speaking).expect("what can be read can be read when it goes back")
}

/// Settings under which rows are mapped.
const SETTINGS: &[&str] = &[
    r#"{}"#,
    r#"{"unknown_fields":"reject","nulls":"clear"}"#,
    r#"{"unknown_fields":"ignore","mode":"insert","deletions":{"policy":"delete"}}"#,
    r#"{"nulls":"clear","streams":[{"stream":"s","fields":{"a":"external_id","a.b":"name","c.d.e":"custom.f"},"constants":{"country":"US"},"exclude":["x*"],"types":{"seats":"Integer","since":"Timestamp"},"values":{"a":{"1":"one"}}}]}"#,
    r#"{"streams":[{"stream":"s","preset":"chartmogul_export"}]}"#,
    r#"{"streams":[{"stream":"s","preset":"segment_group"}]}"#,
    r#"{"streams":[{"stream":"s","preset":"segment_identify"}]}"#,
];

/// Bindings of a stream `s` that becomes this object, under these settings; none where they do not go together.
fn bindings(object: &str, settings: &str) -> Option<Bindings> {
    let mut config: Value = serde_json::from_str(settings).ok()?;
    config["api_key"] = "0123456789abcdef0123456789abcdef".into();
    config["data_source_uuid"] = "ds_5a4db0c5-0000-4000-8000-000000000001".into();
    config["object"] = object.into();
    let settings = Settings::load(&config.to_string(), None).ok()?;
    let stream = json!({"stream": {"name": "s", "json_schema": {"properties": {"n": {"type": "integer"}, "t": {"format": "date-time"}}}},
        "sync_mode": "incremental", "destination_sync_mode": "append_dedup", "primary_key": [["id"]]});
    let catalog = ConfiguredCatalog::parse(&json!({"streams": [stream]}).to_string()).ok()?;
    Bindings::new(&catalog, &settings).ok()
}

/// A row: the first byte says the object, the second the settings, the rest is the row. It becomes a plan whose parts are sound,
/// or a reject that says why, and the same one every time.
pub fn record(input: &[u8]) {
    static BINDINGS: LazyLock<Vec<Vec<Option<Bindings>>>> = LazyLock::new(|| {
        let of = |object: &str| SETTINGS.iter().map(|settings| bindings(object, settings)).collect();
        OBJECTS.iter().map(|object| of(object.resource().name)).collect()
    });
    let [object, settings, row @ ..] = input else { return };
    let Some(bindings) = &BINDINGS[usize::from(*object) % OBJECTS.len()][usize::from(*settings) % SETTINGS.len()] else { return };
    let mut line = br#"{"type":"RECORD","record":{"stream":"s","data":"#.to_vec();
    line.extend(row.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }));
    line.extend(br#","emitted_at":1}}"#);

    let items = read_block(bindings, &line, 1);
    assert_eq!(format!("{items:?}"), format!("{:?}", read_block(bindings, &line, 1)), "one row means one thing");
    for item in items {
        let Item::Record { planned, .. } = item else { continue };
        match planned {
            PlannedRecord::Plan(plan) => {
                for (_, value) in plan.body.fields() {
                    assert!(serde_json::from_str::<&RawValue>(value).is_ok(), "{value}");
                }
                for attribute in plan.body.attributes() {
                    assert!(serde_json::from_str::<&RawValue>(attribute.value).is_ok(), "{}", attribute.value);
                }
                let object = bindings.at(0).object.resource().name;
                assert!(plan.bytes() > 0 && plan.lanes(object).len() >= plan.own_lanes(object).len());
                let key = plan.key();
                assert!(Values::of(std::iter::once(&*plan)).hide("nothing of it").len() <= key.len() + 64);
            }
            PlannedRecord::Settled(Outcome::Rejected(rejection), _) => {
                assert!(!rejection.faults.is_empty() && rejection.http_status.is_none());
                assert!(rejection.faults.iter().all(|fault| !fault.message.is_empty()));
            }
            PlannedRecord::Settled(..) => {}
        }
    }
}

/// An answer of the API: two bytes of status, one of what else may differ, the rest is the body. Something is always said of
/// a refusal, and never without bounds.
pub fn error_body(input: &[u8]) {
    let [high, low, other, body @ ..] = input else { return };
    let response = HttpResponse {
        status: 100 + u16::from_be_bytes([*high, *low]) % 500,
        content_type: ["application/json", "text/html; charset=utf-8"].get(usize::from(other & 3)).map(ToString::to_string),
        retry_after: (other & 4 != 0).then(|| String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned()),
        date: None,
        body: Bytes::copy_from_slice(body),
    };
    let repeat = if other & 8 == 0 { Repeat::Harmless } else { Repeat::MayDuplicate };
    let Some(refusal) = client::refusal(response, repeat, other & 16 != 0, SystemTime::UNIX_EPOCH) else { return };
    assert!(!refusal.faults.is_empty());
    let texts = refusal.faults.iter().flat_map(|fault| [Some(&fault.message), fault.param.as_ref(), fault.code.as_ref()]);
    let length: usize = texts.flatten().map(|text| text.chars().count()).sum();
    assert!(length < 3_000, "{length} characters of one answer are kept");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Everything the corpus of a target holds.
    fn each_of(target: &str, drive: fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let entries: Vec<_> = std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(entries.len() > 10, "{target}: the corpus is gone");
        for entry in entries {
            let input = std::fs::read(&entry).unwrap();
            let driven = std::panic::catch_unwind(|| drive(&input));
            assert!(driven.is_ok(), "{}", entry.display());
        }
    }

    #[test]
    fn the_corpus_is_borne() {
        each_of("line", super::line);
        each_of("record", super::record);
        each_of("error_body", super::error_body);
    }
}
