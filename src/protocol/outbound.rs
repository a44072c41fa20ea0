//! What we write to stdout.
//!
//! Owns the shape of every message this destination may print. Does not own the writing ([`super::emit`]), nor when a message
//! is due. A destination prints no RECORD, and no stream status but the one that says it is being rate limited.

use serde_json::{Value, json};

use super::catalog::{DestinationSyncMode, StreamId};
use crate::failure::Failure;

/// One message.
#[derive(Debug, Clone)]
pub enum Outbound {
    /// The answer to `spec`: a ConnectorSpecification.
    Spec(Value),
    /// The answer to `check`.
    ConnectionStatus {
        /// Whether everything is well.
        succeeded: bool,
        /// What to tell the user.
        message: Option<String>,
    },
    /// The answer to `discover`.
    DestinationCatalog(Vec<Operation>),
    /// A line for the job's log.
    Log {
        /// How much it matters.
        level: Level,
        /// What to say. Neither secrets nor values of records.
        message: String,
    },
    /// Why the command ends, or what is wrong.
    TraceError {
        /// The failure.
        failure: Failure,
        /// The stream it is about, where it is about one.
        stream: Option<StreamId>,
    },
    /// A stream waits because ChartMogul answered that it gets too many requests.
    RateLimited {
        /// The stream.
        stream: StreamId,
        /// When it goes on, in milliseconds since 1970, where that is known.
        quota_reset: Option<u64>,
    },
    /// A STATE to be echoed: the line of [`super::StateMessage::stamped`].
    State(String),
}

/// One thing that can be done to one object, as `discover` shows it.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The object.
    pub object_name: String,
    /// The mode in which it is written.
    pub sync_mode: DestinationSyncMode,
    /// Flat JSON Schema of the record.
    pub json_schema: Value,
    /// The keys to choose from. The outer list holds alternatives, an inner one the fields of one key; the platform reads it so.
    pub matching_keys: Vec<Vec<String>>,
}

/// Levels of the log, most severe first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing can go on.
    Fatal,
    /// Something failed.
    Error,
    /// Something is odd.
    Warn,
    /// What a user wants to read.
    Info,
    /// What a maintainer wants to read.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    /// The level that `LOG_LEVEL` asks for; INFO where it asks for none that we know.
    pub fn from_env(value: Option<&str>) -> Self {
        let wanted = value.unwrap_or_default().trim();
        [Self::Fatal, Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace]
            .into_iter()
            .find(|level| wanted.eq_ignore_ascii_case(level.as_str()))
            .unwrap_or(Self::Info)
    }

    /// The protocol's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fatal => "FATAL",
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Trace => "TRACE",
        }
    }
}

/// The platform stores no more than this of a text, counted as its own language counts: in UTF-16 units.
const TEXT_LIMIT: usize = 50_000;

impl Outbound {
    /// A TRACE ERROR about the command as a whole.
    pub fn error(failure: Failure) -> Self {
        Self::TraceError { failure, stream: None }
    }

    /// CONNECTION_STATUS: all is well.
    pub fn succeeded(message: Option<String>) -> Self {
        Self::ConnectionStatus { succeeded: true, message }
    }

    /// CONNECTION_STATUS: this is what is wrong.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::ConnectionStatus { succeeded: false, message: Some(message.into()) }
    }

    /// The message as one line without its line end. `now` is in milliseconds since 1970; `hide` is applied to every text
    /// written by us, before it is quoted, and never to a STATE, which has to go back as it came.
    pub fn line(&self, now: u64, hide: impl Fn(&str) -> String) -> String {
        let message = match self {
            Self::State(line) => return line.clone(),
            Self::Spec(spec) => json!({"type": "SPEC", "spec": spec}),
            Self::ConnectionStatus { succeeded, message } => {
                let mut body = json!({"status": if *succeeded { "SUCCEEDED" } else { "FAILED" }});
                if let Some(message) = message {
                    body["message"] = cut(&hide(message)).into();
                }
                json!({"type": "CONNECTION_STATUS", "connectionStatus": body})
            }
            Self::DestinationCatalog(operations) => {
                let operations: Vec<Value> = operations.iter().map(Operation::to_json).collect();
                json!({"type": "DESTINATION_CATALOG", "destination_catalog": {"operations": operations}})
            }
            Self::Log { level, message } => {
                json!({"type": "LOG", "log": {"level": level.as_str(), "message": cut(&hide(message))}})
            }
            Self::TraceError { failure, stream } => {
                let mut error = json!({"message": cut(&hide(&failure.told()))});
                // The code stands here too, where a platform's search finds it whatever it shows of the message.
                let internal = match failure.internal.as_str() {
                    "" => failure.code.to_string(),
                    internal => format!("{}: {internal}", failure.code),
                };
                error["internal_message"] = cut(&hide(&internal)).into();
                error["failure_type"] = failure.kind.as_str().into();
                if let Some(stream) = stream {
                    error["stream_descriptor"] = descriptor(stream);
                }
                json!({"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": now, "error": error}})
            }
            Self::RateLimited { stream, quota_reset } => {
                let mut reason = json!({"type": "RATE_LIMITED"});
                if let Some(quota_reset) = quota_reset {
                    reason["rate_limited"] = json!({"quota_reset": quota_reset});
                }
                let status = json!({"stream_descriptor": descriptor(stream), "status": "RUNNING", "reasons": [reason]});
                json!({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": now, "stream_status": status}})
            }
        };
        message.to_string()
    }
}

impl Operation {
    fn to_json(&self) -> Value {
        let mut operation = json!({
            "object_name": self.object_name,
            "sync_mode": self.sync_mode.as_str(),
            "json_schema": self.json_schema,
        });
        if !self.matching_keys.is_empty() {
            operation["matching_keys"] = json!(self.matching_keys);
        }
        operation
    }
}

fn descriptor(stream: &StreamId) -> Value {
    match &stream.namespace {
        Some(namespace) => json!({"name": stream.name, "namespace": namespace}),
        None => json!({"name": stream.name}),
    }
}

/// As much of a text as the platform stores.
fn cut(text: &str) -> &str {
    let mut units = 0;
    for (at, char) in text.char_indices() {
        units += char.len_utf16();
        if units > TEXT_LIMIT {
            return &text[..at];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::Code;

    fn line(message: &Outbound) -> String {
        message.line(1_700_000_000_123, str::to_owned)
    }

    #[test]
    fn every_message_has_the_shape_of_the_protocol() {
        let users = StreamId::new(None, "users");
        let shop = StreamId::new(Some("shop"), "users");
        let failure = Failure::config(Code::KeyRefused, "The key is refused.").with_internal("GET /ping: 401");
        let all = [
            Outbound::Spec(json!({"connectionSpecification": {"type": "object"}})),
            Outbound::succeeded(None),
            Outbound::failed("No \"such\" key.\nTry another."),
            Outbound::DestinationCatalog(vec![Operation {
                object_name: "customers".to_owned(),
                sync_mode: DestinationSyncMode::AppendDedup,
                json_schema: json!({"type": "object"}),
                matching_keys: vec![vec!["external_id".to_owned()], vec!["uuid".to_owned()]],
            }]),
            Outbound::Log { level: Level::Warn, message: "line\u{2028}separator".to_owned() },
            Outbound::error(failure.clone()),
            Outbound::TraceError { failure: Failure::transient(Code::ApiOutage, "Down."), stream: Some(shop) },
            Outbound::RateLimited { stream: users.clone(), quota_reset: Some(1_700_000_060_000) },
            Outbound::RateLimited { stream: users, quota_reset: None },
            Outbound::State("{\"type\":\"STATE\" , \"state\":{}}".to_owned()),
        ];
        insta::assert_snapshot!(all.iter().map(line).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn texts_are_cut_to_what_the_platform_stores() {
        let long = "😀".repeat(40_000);
        let failure = Failure::system(Code::Internal, &*long).with_internal(&*long);
        let message: Value = serde_json::from_str(&line(&Outbound::error(failure))).unwrap();
        for field in ["message", "internal_message"] {
            let text = message["trace"]["error"][field].as_str().unwrap();
            assert!((49_990..=50_000).contains(&text.encode_utf16().count()), "{field}");
        }
    }

    #[test]
    fn secrets_are_hidden_in_texts_and_never_in_a_state() {
        let hide = |text: &str| text.replace("hunter22", "****");
        let told = |message: &Outbound| message.line(0, hide);
        assert!(told(&Outbound::failed("the hunter22")).contains("the ****"));
        let failure = Failure::config(Code::KeyRefused, "the hunter22").with_internal("a hunter22");
        assert_eq!(told(&Outbound::error(failure)).matches("****").count(), 2);
        assert!(told(&Outbound::State("{\"hunter22\":1}".to_owned())).contains("hunter22"));
    }

    #[test]
    fn the_log_level_is_read_leniently() {
        for (given, level) in [
            (None, Level::Info),
            (Some(""), Level::Info),
            (Some("verbose"), Level::Info),
            (Some("debug"), Level::Debug),
            (Some(" FATAL "), Level::Fatal),
            (Some("TRACE"), Level::Trace),
        ] {
            assert_eq!(Level::from_env(given), level, "{given:?}");
        }
    }
}
