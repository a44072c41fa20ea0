//! The single owner of stdout.
//!
//! Owns: that a line is never torn or mixed with another, that it is flushed at once, that no secret leaves, that a reader who
//! went away is noticed, and how our log becomes LOG messages. Does not own what the messages say.

use std::fmt::{self, Write as _};
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use tracing::field::{Field, Visit};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::Context;

use super::outbound::{Level, Outbound};
use crate::errors::Code;
use crate::failure::Failure;

/// What is printed in the place of a secret.
const STARS: &str = "****";

/// Shorter ones (ChartMogul's keys have 32 digits; a sandbox takes any) would tear pieces out of ordinary words when hidden.
const SHORTEST_KEY: usize = 6;

/// The secrets that must not be seen. A cheap handle; all clones share them.
#[derive(Clone, Default)]
pub struct Redactor(Arc<RwLock<Vec<SecretString>>>);

impl Redactor {
    /// Hides an API key, or any other secret, from now on: in clear, as it stands in an Authorization header, and within
    /// any other text in Base64.
    pub fn hide_key(&self, key: &SecretString) {
        let clear = key.expose_secret();
        if clear.is_empty() {
            return;
        }
        // Without padding: the padded form holds this one.
        let header = |password: &str| STANDARD_NO_PAD.encode(format!("{clear}:{password}"));
        let mut secrets = self.0.write().unwrap_or_else(PoisonError::into_inner);
        secrets.extend([header(""), header(clear)].map(SecretString::from));
        if clear.len() >= SHORTEST_KEY {
            secrets.push(key.clone());
            secrets.extend((0..3).map(|before| SecretString::from(within_base64(clear, before))));
        }
        // Behind a scheme, as in `Bearer TOKEN`, the token alone is one too.
        let tokens = clear.split_whitespace().skip(1).filter(|token| token.len() >= SHORTEST_KEY);
        secrets.extend(tokens.map(|token| SecretString::from(token.to_owned())));
        // The longest first, for a short one may be part of a long one.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose_secret().len()));
    }

    /// The text with stars where a secret stood.
    pub fn apply(&self, text: &str) -> String {
        let secrets = self.0.read().unwrap_or_else(PoisonError::into_inner);
        secrets.iter().fold(text.to_owned(), |text, secret| match text.contains(secret.expose_secret()) {
            true => text.replace(secret.expose_secret(), STARS),
            false => text,
        })
    }
}

/// The characters that the text becomes in a longer text in Base64, where so many bytes of its first group of three stand
/// before it: those that do not hang on what stands around it.
fn within_base64(text: &str, before: usize) -> String {
    let bytes = [&[0; 3][..before], text.as_bytes()].concat();
    let (first, behind_last) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
    STANDARD_NO_PAD.encode(&bytes).get(first..behind_last).unwrap_or_default().to_owned()
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor(..)")
    }
}

/// Tells the time in milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The clock of this machine.
pub fn system_clock() -> Clock {
    Arc::new(|| u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default())
}

/// Writes messages to stdout. A cheap handle; all clones share the one writer.
#[derive(Clone)]
pub struct Emitter {
    output: Arc<Mutex<Output>>,
    clock: Clock,
    redactor: Redactor,
}

struct Output {
    writer: Box<dyn Write + Send>,
    /// What the first failed write said. Nothing is written after it: half a line may stand there.
    closed: Option<String>,
}

impl Emitter {
    /// An emitter to this process's stdout.
    pub fn stdout() -> Self {
        Self::new(Box::new(std::io::stdout()), system_clock())
    }

    /// An emitter to any writer, with any clock.
    pub fn new(writer: Box<dyn Write + Send>, clock: Clock) -> Self {
        Self { output: Arc::new(Mutex::new(Output { writer, closed: None })), clock, redactor: Redactor::default() }
    }

    /// The time by the emitter's clock, in milliseconds since 1970.
    pub fn now(&self) -> u64 {
        (self.clock)()
    }

    /// The secrets hidden by this emitter and all its clones.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Writes one message and flushes it.
    ///
    /// # Errors
    /// `STDOUT_CLOSED` from the first write that fails on, for this and all clones.
    pub fn emit(&self, message: &Outbound) -> Result<(), Failure> {
        // Made outside the lock, so that nobody waits for our formatting.
        let mut line = message.line((self.clock)(), |text| self.redactor.apply(text));
        line.push('\n');
        let mut output = self.lock();
        if output.closed.is_none() {
            let written = output.writer.write_all(line.as_bytes()).and_then(|()| output.writer.flush());
            output.closed = written.err().map(|error| error.to_string());
        }
        match &output.closed {
            None => Ok(()),
            Some(reason) => Err(closed(reason)),
        }
    }

    /// Whether the reader of our output went away.
    pub fn is_closed(&self) -> bool {
        self.lock().closed.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Output> {
        // A panic elsewhere while writing is no reason to fall silent.
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Emitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Emitter(..)")
    }
}

/// Stdout takes nothing more.
pub fn closed(reason: &str) -> Failure {
    let code = Code::StdoutClosed;
    Failure::system(code, format!("{} {}", code.cause(), code.remedy())).with_internal(format!("write to stdout: {reason}"))
}

/// Carries what is logged with `tracing` to where it is read: LOG messages for an orchestrator, plain lines for a person.
pub struct LogLayer {
    level: Level,
    target: Target,
}

enum Target {
    Protocol(Emitter),
    Person { writer: Mutex<Box<dyn Write + Send>>, redactor: Redactor },
}

impl LogLayer {
    /// Log events become LOG messages.
    pub fn protocol(emitter: Emitter, level: Level) -> Self {
        Self { level, target: Target::Protocol(emitter) }
    }

    /// Log events become lines on stderr, for the commands that people run.
    pub fn stderr(redactor: Redactor, level: Level) -> Self {
        Self::person(Box::new(std::io::stderr()), redactor, level)
    }

    /// Log events become lines on any writer.
    pub fn person(writer: Box<dyn Write + Send>, redactor: Redactor, level: Level) -> Self {
        Self { level, target: Target::Person { writer: Mutex::new(writer), redactor } }
    }

    fn wants(&self, metadata: &tracing::Metadata<'_>) -> bool {
        let level = level_of(metadata.level());
        // Below WARN the HTTP libraries print headers and bodies, hence keys and records: only our own words may pass.
        let ours = metadata.target().starts_with(env!("CARGO_CRATE_NAME"));
        level <= self.level && (ours || level <= Level::Warn)
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for LogLayer {
    /// Spares the cost of events that would be dropped here anyway.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.level {
            Level::Fatal => LevelFilter::OFF,
            Level::Error => LevelFilter::ERROR,
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
            Level::Trace => LevelFilter::TRACE,
        })
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if !self.wants(event.metadata()) {
            return;
        }
        let mut words = Words::default();
        event.record(&mut words);
        let (level, message) = (level_of(event.metadata().level()), words.joined());
        // A log line that can not be written is no reason to stop; whoever writes a message that matters finds out.
        match &self.target {
            Target::Protocol(emitter) => drop(emitter.emit(&Outbound::Log { level, message })),
            Target::Person { writer, redactor } => {
                let line = format!("{:<5} {}\n", level.as_str(), redactor.apply(&message));
                let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                drop(writer.write_all(line.as_bytes()).and_then(|()| writer.flush()));
            }
        }
    }
}

fn level_of(level: &tracing::Level) -> Level {
    match *level {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::INFO => Level::Info,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::TRACE => Level::Trace,
    }
}

/// The message of an event, and its fields as ` name=value`.
#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Words {
    fn joined(self) -> String {
        let all = self.message + &self.fields;
        all.trim_start().to_owned()
    }
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
        debug_assert!(written.is_ok(), "writing to a String can not fail");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            name => drop(write!(self.fields, " {name}={value}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// A writer whose content can be looked at.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Shared {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // A byte or two at a time, so that a writer without a lock would tear lines.
            let some = bytes.len().min(2);
            self.0.lock().unwrap().extend_from_slice(&bytes[..some]);
            Ok(some)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn emitter() -> (Emitter, Shared) {
        let out = Shared::default();
        (Emitter::new(Box::new(out.clone()), Arc::new(|| 7)), out)
    }

    fn log(message: &str) -> Outbound {
        Outbound::Log { level: Level::Info, message: message.to_owned() }
    }

    #[test]
    fn lines_from_many_threads_stay_whole() {
        let (emitter, out) = emitter();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let emitter = emitter.clone();
                scope.spawn(move || (0..50).for_each(|n| emitter.emit(&log(&format!("{thread}/{n}"))).unwrap()));
            }
        });
        let text = out.text();
        assert_eq!(text.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).count(), 400);
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn a_reader_that_went_away_is_remembered_by_all_handles() {
        let emitter = Emitter::new(Box::new(Gone), system_clock());
        let other = emitter.clone();
        assert!(!other.is_closed());
        let failure = emitter.emit(&log("hello")).unwrap_err();
        assert_eq!(failure.code, Code::StdoutClosed);
        assert!(other.is_closed());
        assert_eq!(other.emit(&log("again")).unwrap_err(), failure);
    }

    #[test]
    fn the_key_is_hidden_in_every_form_it_travels_in() {
        let (emitter, out) = emitter();
        let key = "0123456789abcdef0123456789abcdef";
        emitter.clone().redactor().hide_key(&key.into());
        let padded = base64::engine::general_purpose::STANDARD;
        let (header, doubled) = (padded.encode(format!("{key}:")), padded.encode(format!("{key}:{key}")));
        for secret in [key, &header, &doubled] {
            emitter.emit(&log(&format!("sent {secret} there"))).unwrap();
            emitter.emit(&Outbound::failed(format!("sent {secret} there"))).unwrap();
        }
        let text = out.text();
        for secret in [key, header.trim_end_matches('='), &doubled] {
            assert!(!text.contains(secret), "{text}");
        }
        assert_eq!(text.matches("sent ****").count(), 6);
        for before in ["u:", "us:", "usr:"] {
            let (around, alone) = (padded.encode(format!("{before}{key}?")), padded.encode(before));
            let shown = emitter.redactor().apply(&around);
            assert!(shown.contains("****") && shown.len() < alone.len() + 8, "{around}: {shown}");
        }
        assert!(!format!("{:?} {:?}", emitter, emitter.redactor()).contains(key));
    }

    #[test]
    fn no_key_hides_nothing() {
        let redactor = Redactor::default();
        redactor.hide_key(&"".into());
        assert_eq!(redactor.apply("as it is"), "as it is");
        // one of a sandbox: its header form is hidden, but words keep their letters
        redactor.hide_key(&"key".into());
        assert_eq!(redactor.apply("the key a2V5Og== there"), "the key ****== there");
    }

    fn logged(level: Level) -> String {
        let (emitter, out) = emitter();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(LogLayer::protocol(emitter, level)), || {
            tracing::error!("failed");
            tracing::warn!(code = "X", tries = 3, "odd {}", 1);
            tracing::info!(name: "n", stream = %"s");
            tracing::debug!("detail");
            tracing::debug!(target: "hyper::client", "headers");
            tracing::warn!(target: "rustls", "certificate");
        });
        out.text()
    }

    #[test]
    fn log_events_become_messages_at_the_wanted_level() {
        insta::assert_snapshot!(logged(Level::Debug));
        assert_eq!(logged(Level::Warn).lines().count(), 3);
        assert_eq!(logged(Level::Fatal), "");
    }

    #[test]
    fn people_get_plain_lines_without_the_key() {
        let (out, redactor) = (Shared::default(), Redactor::default());
        redactor.hide_key(&"hunter22hunter22".into());
        let layer = LogLayer::person(Box::new(out.clone()), redactor, Level::Info);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!(rows = 3, "loaded with hunter22hunter22");
            tracing::debug!("not shown");
        });
        assert_eq!(out.text(), "INFO  loaded with **** rows=3\n");
    }
}
