//! The binary as a process: fed, read and, should it hang, ended.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use destination_chartmogul::sandbox::{READ_ONLY_KEY, WRITE_KEY};
use serde_json::Value;

use super::{Run, laws, secrets};

/// How long anything may take before the test fails. No test is expected to come near it.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(90);

/// What a command for people said.
pub(crate) struct ByHand {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl ByHand {
    /// Runs such a command to its end; where it failed, it told a code.
    pub(crate) fn run(args: &[&str]) -> ByHand {
        let run = assert_cmd::Command::new(env!("CARGO_BIN_EXE_destination-chartmogul"))
            .args(args)
            .env_clear()
            .timeout(WATCHDOG)
            .output()
            .unwrap();
        let (stdout, stderr) = (String::from_utf8(run.stdout).unwrap(), String::from_utf8(run.stderr).unwrap());
        secrets::none_is_seen(&[WRITE_KEY, READ_ONLY_KEY].map(str::to_owned), [&*stdout, &*stderr].into_iter());
        let told = stderr.strip_prefix("error: ").is_some_and(laws::begins_with_a_code);
        assert_eq!(run.status.code() != Some(0), told, "{args:?}: {stdout}\n{stderr}");
        ByHand { code: run.status.code(), stdout, stderr }
    }
}

/// A run being prepared.
pub(crate) struct Command {
    command: std::process::Command,
    input: Vec<u8>,
    secrets: Vec<String>,
    hangs_up_after: Option<usize>,
}

impl Command {
    /// The binary with these arguments and an environment that holds nothing of this machine.
    pub(crate) fn new(args: &[&str]) -> Command {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_destination-chartmogul"));
        command.args(args).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let secrets = [WRITE_KEY, READ_ONLY_KEY].map(str::to_owned).to_vec();
        Command { command, input: Vec::new(), secrets, hangs_up_after: None }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// The configuration's secrets must not be seen either.
    pub(crate) fn secrets_of(mut self, config: &Value) -> Self {
        const PATHS: [&str; 6] = [
            "/api_key",
            "/object_storage_config/access_key_id",
            "/object_storage_config/secret_access_key",
            "/receipts/access_key_id",
            "/receipts/secret_access_key",
            "/receipts/authorization",
        ];
        let given = PATHS.iter().filter_map(|path| config.pointer(path)?.as_str());
        // Behind a scheme, as in `Bearer TOKEN`, the token alone is one too.
        self.secrets.extend(given.flat_map(|secret| [Some(secret), secret.split(' ').nth(1)]).flatten().map(str::to_owned));
        self
    }

    pub(crate) fn secret(mut self, secret: &str) -> Self {
        self.secrets.push(secret.to_owned());
        self
    }

    /// The reader of stdout goes away once it has read so many STATEs.
    pub(crate) fn hangs_up_after_states(mut self, count: usize) -> Self {
        self.hangs_up_after = Some(count);
        self
    }

    /// Runs to the end.
    pub(crate) fn run(mut self) -> Run {
        let input = std::mem::take(&mut self.input);
        let mut live = self.start();
        live.feed_from_aside(input);
        live.finish()
    }

    /// Starts, with the input open.
    pub(crate) fn start(mut self) -> Live {
        let mut child = self.command.spawn().unwrap();
        let stdin = child.stdin.take();
        let (stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (line_read, lines) = channel();
        let hangs_up_after = self.hangs_up_after;
        thread::spawn(move || {
            let mut states = 0;
            if hangs_up_after == Some(0) {
                return;
            }
            for line in BufReader::new(stdout).split(b'\n') {
                let line = String::from_utf8(line.unwrap()).unwrap();
                states += usize::from(line.contains(r#""type":"STATE""#));
                if line_read.send(line).is_err() || hangs_up_after.is_some_and(|last| states >= last) {
                    return;
                }
            }
        });
        let (all_read, errors) = channel();
        thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            let _ = all_read.send(text);
        });
        Live {
            child,
            stdin,
            lines,
            errors,
            fed: Vec::new(),
            stdout: Vec::new(),
            secrets: self.secrets,
            hung_up: hangs_up_after.is_some(),
        }
    }
}

/// A running process.
pub(crate) struct Live {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Receiver<String>,
    fed: Vec<u8>,
    stdout: Vec<String>,
    secrets: Vec<String>,
    hung_up: bool,
}

impl Live {
    /// Writes lines to its stdin. A process that does not read them any more is no fault here.
    pub(crate) fn feed<T: AsRef<str>>(&mut self, lines: &[T]) {
        // At once, so that what is read of it does not hang on when.
        let text: String = lines.iter().map(|line| format!("{}\n", line.as_ref())).collect();
        self.feed_bytes(text.as_bytes());
    }

    /// Writes bytes that need not be whole lines.
    pub(crate) fn feed_bytes(&mut self, bytes: &[u8]) {
        self.fed.extend(bytes);
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin.write_all(bytes).and_then(|()| stdin.flush());
        }
    }

    /// Writes everything on another thread, so that a full pipe does not stop the reading; then the input ends.
    fn feed_from_aside(&mut self, input: Vec<u8>) {
        self.fed = input.clone();
        if let Some(mut stdin) = self.stdin.take() {
            thread::spawn(move || drop(stdin.write_all(&input)));
        }
    }

    /// Writes a text again and again on another thread, as fast as it is read, until so many bytes are written or nobody reads;
    /// tells how many were taken so far. What was written so is not held to the laws.
    #[cfg(target_os = "linux")]
    pub(crate) fn pour(&mut self, text: String, most: usize) -> Arc<AtomicUsize> {
        let taken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&taken);
        if let Some(mut stdin) = self.stdin.take() {
            thread::spawn(move || {
                while count.load(Ordering::SeqCst) < most && stdin.write_all(text.as_bytes()).is_ok() {
                    count.fetch_add(text.len(), Ordering::SeqCst);
                }
            });
        }
        taken
    }

    /// The most memory that it has had, in MiB.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
    }

    /// Waits until so many STATEs have come out in all.
    pub(crate) fn wait_for_states(&mut self, count: usize) {
        let states = |lines: &[String]| lines.iter().filter(|line| line.contains(r#""type":"STATE""#)).count();
        while states(&self.stdout) < count {
            match self.lines.recv_timeout(WATCHDOG) {
                Ok(line) => self.stdout.push(line),
                Err(why) => self.give_up(&format!("{count} STATEs were waited for, {why}")),
            }
        }
    }

    /// Waits until a line came out that has all these words.
    pub(crate) fn wait_for_line(&mut self, words: &[&str]) {
        let has = |line: &String| words.iter().all(|word| line.contains(word));
        while !self.stdout.iter().any(has) {
            match self.lines.recv_timeout(WATCHDOG) {
                Ok(line) => self.stdout.push(line),
                Err(why) => self.give_up(&format!("a line with {words:?} was waited for, {why}")),
            }
        }
    }

    /// Ends the input.
    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(std::process::Command::new("sh").arg("-c").arg(&kill).status().unwrap().success(), "{kill}");
    }

    /// Ends it here and now.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Waits until it ends, whatever is still fed; gives what came of it, after holding it to the laws.
    pub(crate) fn finish(self) -> Run {
        let (run, secrets) = self.end();
        laws::hold(&run, &secrets);
        run
    }

    /// As [`Live::finish`], for a process that was not let end by itself.
    pub(crate) fn finish_cut_short(self) -> Run {
        let (run, secrets) = self.end();
        laws::hold_always(&run, &secrets);
        run
    }

    fn end(mut self) -> (Run, Vec<String>) {
        loop {
            match self.lines.recv_timeout(WATCHDOG) {
                Ok(line) => self.stdout.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => self.give_up("the process neither ends nor says anything"),
            }
        }
        // The end of stderr is the end of the process, also where nobody reads stdout any more.
        let Ok(stderr) = self.errors.recv_timeout(WATCHDOG) else { self.give_up("the process does not end") };
        let code = self.child.wait().unwrap().code();
        let run = Run::new(code, std::mem::take(&mut self.stdout), stderr, std::mem::take(&mut self.fed), self.hung_up);
        (run, std::mem::take(&mut self.secrets))
    }

    fn give_up(&mut self, why: &str) -> ! {
        let _ = self.child.kill();
        panic!("{why}; stdout so far:\n{}", self.stdout.join("\n"));
    }
}

impl Drop for Live {
    /// A failed test leaves no process behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
