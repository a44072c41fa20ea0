//! What came of a run, and the questions tests ask of it.

use serde_json::Value;

use super::Stream;

/// A process that ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: String,
    pub(crate) fed: Vec<u8>,
    /// Nobody read stdout to its end.
    pub(crate) hung_up: bool,
    /// The lines of stdout that are JSON.
    pub(crate) messages: Vec<Value>,
    /// Streams of the catalog, where the test named them.
    streams: Vec<Stream>,
}

impl Run {
    pub(super) fn new(code: Option<i32>, stdout: Vec<String>, stderr: String, fed: Vec<u8>, hung_up: bool) -> Run {
        let messages = stdout.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Run { code, stdout, stderr, fed, hung_up, messages, streams: Vec::new() }
    }

    pub(super) fn of_sync(mut self, streams: &[Stream]) -> Run {
        self.streams = streams.to_vec();
        self
    }

    /// It ended with exit code 0.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Run {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }

    /// It ended with exit code 1 and one TRACE ERROR of this type and code; gives the message for users.
    #[track_caller]
    pub(crate) fn failed(&self, kind: &str, code: &str) -> String {
        assert_eq!(self.code, Some(1), "{self}");
        let errors = self.errors();
        assert_eq!(errors.len(), 1, "{self}");
        let error = &errors[0]["trace"]["error"];
        let internal = error["internal_message"].as_str().unwrap();
        assert_eq!((error["failure_type"].as_str().unwrap(), internal.split(':').next().unwrap()), (kind, code), "{self}");
        error["message"].as_str().unwrap().to_owned()
    }

    pub(crate) fn of_type<'r>(&'r self, kind: &'r str) -> impl Iterator<Item = &'r Value> {
        self.messages.iter().filter(move |message| message["type"] == kind)
    }

    /// The only message that is no LOG.
    #[track_caller]
    pub(crate) fn only(&self, kind: &str) -> &Value {
        let others: Vec<&Value> = self.messages.iter().filter(|message| message["type"] != "LOG").collect();
        assert!(others.len() == 1 && others[0]["type"] == kind, "not exactly one {kind}: {self}");
        others[0]
    }

    pub(crate) fn errors(&self) -> Vec<&Value> {
        self.of_type("TRACE").filter(|message| message["trace"]["type"] == "ERROR").collect()
    }

    /// The STATE lines, as they came.
    pub(crate) fn states(&self) -> Vec<&str> {
        let is_state = |line: &&String| serde_json::from_str::<Value>(line).is_ok_and(|message| message["type"] == "STATE");
        self.stdout.iter().filter(is_state).map(String::as_str).collect()
    }

    /// The platform's numbers of the STATEs that came out.
    pub(crate) fn state_ids(&self) -> Vec<i64> {
        self.of_type("STATE").map(|message| message["state"]["id"].as_i64().unwrap()).collect()
    }

    /// Loaded and rejected, of each STATE.
    pub(crate) fn counts(&self) -> Vec<(f64, f64)> {
        let count = |message: &Value, key: &str| message["state"]["destinationStats"][key].as_f64().unwrap();
        self.of_type("STATE").map(|state| (count(state, "recordCount"), count(state, "rejectedRecordCount"))).collect()
    }

    /// What the log says became of a stream's records: `3 read, 2 created, 1 rejected, 1 rejected with FIELD_MISSING`.
    #[track_caller]
    pub(crate) fn outcomes(&self, stream: &str) -> &str {
        let start = format!("stream {stream}: ");
        let found = self.logs().find_map(|log| log.strip_prefix(&start));
        found.unwrap_or_else(|| panic!("the log does not speak of {stream}: {self}"))
    }

    /// The texts of the log.
    pub(crate) fn logs(&self) -> impl Iterator<Item = &str> {
        self.of_type("LOG").filter_map(|message| message["log"]["message"].as_str())
    }

    /// Whether a line of the log has all these words.
    pub(crate) fn logged(&self, words: &[&str]) -> bool {
        self.logs().any(|log| words.iter().all(|word| log.contains(word)))
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let short = |line: &str| line.chars().take(2000).collect::<String>();
        writeln!(f, "exit code {:?}", self.code)?;
        self.stdout.iter().try_for_each(|line| writeln!(f, "stdout | {}", short(line)))?;
        self.stderr.lines().try_for_each(|line| writeln!(f, "stderr | {}", short(line)))?;
        for stream in &self.streams {
            writeln!(f, "stream | {}", stream.0)?;
        }
        String::from_utf8_lossy(&self.fed).lines().take(40).try_for_each(|line| writeln!(f, "stdin  | {}", short(line)))
    }
}
