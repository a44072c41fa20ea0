//! Bulk imports of a sandbox as it is started by hand: the command line chooses how they are read, the socket serves them, and
//! the page shows them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::WATCHDOG;

/// A sandbox process, ended with the test.
struct Started {
    process: Child,
    config: Value,
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Started {
    fn with(imports: &str) -> Started {
        let mut command = Command::new(env!("CARGO_BIN_EXE_destination-chartmogul"));
        command.args(["sandbox", "--port", "0", "--imports", imports]).env_clear();
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Started { process, config: serde_json::from_str(&line).unwrap() }
    }

    /// Status and body of an answer.
    fn ask(&self, line: &str, body: &str) -> (u16, String) {
        let address = self.config["base_url"].as_str().unwrap().trim_start_matches("http://").trim_end_matches("/v1");
        let key = STANDARD.encode(format!("{}:", self.config["api_key"].as_str().unwrap()));
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(WATCHDOG)).unwrap();
        let length = body.len();
        write!(
            socket,
            "{line} HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\nauthorization: Basic {key}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// An import's path.
    fn path(&self, name: &str) -> String {
        format!("/v1/data_sources/{}/json_imports{name}", self.config["data_source_uuid"].as_str().unwrap())
    }

    /// Sends an import that is taken, and waits for its end.
    fn import(&self, status: u16, body: &Value) -> Value {
        let (code, answer) = self.ask(&format!("POST {}", self.path("")), &body.to_string());
        assert_eq!(code, status, "{answer}");
        let started = Instant::now();
        loop {
            let (code, answer) = self.ask(&format!("GET {}/x", self.path("")), "");
            assert_eq!(code, 200, "{answer}");
            let import: Value = serde_json::from_str(&answer).unwrap();
            if !["queued", "processing"].contains(&import["status"].as_str().unwrap()) {
                return import;
            }
            assert!(started.elapsed() < WATCHDOG, "it is still {import}");
            // Not for the clock, but for the limit of requests.
            thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn the_command_line_says_how_imports_behave() {
    let sandbox = Started::with("status=201,failures=told,end=failed");
    let body = json!({"external_id": "x", "customers": [{"external_id": "a", "name": "Ann"}, {"external_id": "b"}]});
    let import = sandbox.import(201, &body);
    let of = |word: &str| json!({"status": word, "customers": {"status": word}});
    assert_eq!(import["status_details"], json!({"a": of("imported"), "b": of("failed")}));
    assert_eq!(import["status"], "failed");

    let (_, state) = sandbox.ask("GET /sandbox/state", "");
    let state: Value = serde_json::from_str(&state).unwrap();
    assert_eq!(state["json_imports"][0], import);
    assert_eq!(state["customers"].as_array().unwrap().len(), 2);
    let (_, page) = sandbox.ask("GET /", "");
    assert!(page.contains("        1 json_imports\n") && page.contains("POST   201       /v1/data_sources/"), "{page}");
}

#[test]
fn a_body_beyond_five_megabytes_is_refused_by_the_sandbox_itself() {
    let sandbox = Started::with("record=kept");
    let name = "n".repeat(5_000_000);
    let body = json!({"external_id": "x", "customers": [{"external_id": "a", "name": name}]});
    assert_eq!(sandbox.ask(&format!("POST {}", sandbox.path("")), &body.to_string()).0, 413);
    assert_eq!(sandbox.ask(&format!("GET {}", sandbox.path("/x")), "").0, 404);
}

#[test]
fn an_unknown_reading_is_refused_with_those_there_are() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_destination-chartmogul"));
    let run = command.args(["sandbox", "--port", "0", "--imports", "existing=gone"]).output().unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert!(!run.status.success() && said.contains("`existing=gone`") && said.contains("existing=kept"), "{said}");
}
