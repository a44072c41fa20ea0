//! An account that listens on a socket of its own, and the syncs that are run against it.

use std::cell::RefCell;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use destination_chartmogul::sandbox::{Answer, DATA_SOURCE_UUID, Observed, Options, Request, Sandbox, WRITE_KEY};
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::process::{Command, Live, WATCHDOG};
use super::quiet::Presence;
use super::{Run, Stream, stream};

/// Limits high enough that a test need not wait for them; on loopback the connector takes them too.
const REQUESTS_PER_SECOND: u32 = 5000;
const CONNECTIONS: u32 = 50;

/// Options of a sandbox whose limits nobody meets.
pub(crate) fn options() -> Options {
    Options { requests_per_second: REQUESTS_PER_SECOND, connections: CONNECTIONS, ..Options::default() }
}

/// One account on one socket.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) base_url: String,
    /// What keeps the address while nobody listens there.
    door: Option<TcpSocket>,
    directory: Directory,
    /// What had been seen when the test began.
    before: RefCell<Observed>,
    stop: Option<oneshot::Sender<()>>,
    _presence: Presence,
}

/// All sandboxes of this process live on a thread of their own.
fn runtime() -> &'static Handle {
    static RUNTIME: OnceLock<Handle> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
        handle
    })
}

/// Runs something on that thread.
pub(crate) fn on_the_side<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    runtime().block_on(async { runtime().spawn(work).await.unwrap() })
}

impl World {
    pub(crate) fn new() -> World {
        World::with(options())
    }

    pub(crate) fn with(options: Options) -> World {
        World::of(options, Presence::beside_others())
    }

    /// For tests that measure: no other world is there meanwhile.
    pub(crate) fn alone_with(options: Options) -> World {
        World::of(options, Presence::alone())
    }

    fn of(options: Options, presence: Presence) -> World {
        let mut world = World::refusing(Sandbox::new(options), presence);
        world.open();
        world
    }

    /// The same account at another address, which refuses connections until it is opened.
    pub(crate) fn behind_a_closed_door(of: &World) -> World {
        World::refusing(of.sandbox.clone(), Presence::beside_others())
    }

    fn refusing(sandbox: Sandbox, presence: Presence) -> World {
        let door = TcpSocket::new_v4().unwrap();
        door.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        World {
            sandbox,
            base_url: format!("http://{}/v1", door.local_addr().unwrap()),
            door: Some(door),
            directory: Directory::new(),
            before: RefCell::default(),
            stop: None,
            _presence: presence,
        }
    }

    /// Lets connections in from now on.
    pub(crate) fn open(&mut self) {
        let Some(door) = self.door.take() else { return };
        let (stop, stopped) = oneshot::channel();
        let served = self.sandbox.clone();
        let listener = runtime().block_on(async { door.listen(1024) }).unwrap();
        runtime().spawn(async move {
            let _ = served.serve(listener, async { drop(stopped.await) }).await;
        });
        self.stop = Some(stop);
    }

    /// Scripts faults, one a line.
    pub(crate) fn fault(&self, lines: &str) {
        for line in lines.lines().filter(|line| !line.trim().is_empty()) {
            self.sandbox.script(line.parse().unwrap_or_else(|error| panic!("{line}: {error}")));
        }
    }

    /// Does to the account what somebody else would; counts in none of the figures below.
    #[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
    pub(crate) fn must(&self, line: &str, body: Value) -> Value {
        let (method, path) = line.split_once(' ').unwrap();
        let authorization = Some(format!("Basic {}", STANDARD.encode(format!("{WRITE_KEY}:"))));
        let body = if body.is_null() { String::new() } else { body.to_string() }.into();
        let path = format!("/v1{path}");
        let request = Request { method: method.into(), path, query: String::new(), authorization, body };
        let answer = runtime().block_on(self.sandbox.answer(request));
        self.before.replace(self.sandbox.observed());
        match answer {
            Answer::Response { status: 200..=299, body, .. } => serde_json::from_slice(&body).unwrap_or(Value::Null),
            other => panic!("{line}: {other:?}"),
        }
    }

    /// A customer of the first data source that is there before the sync; its UUID.
    #[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
    pub(crate) fn given_customer(&self, external_id: &str, more: Value) -> String {
        let mut body = json!({"data_source_uuid": DATA_SOURCE_UUID, "external_id": external_id});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.must("POST /customers", body)["uuid"].as_str().unwrap().to_owned()
    }

    /// A contact that is there before the sync; its UUID.
    #[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
    pub(crate) fn given_contact(&self, customer: &str, more: Value) -> String {
        let mut body = json!({"data_source_uuid": DATA_SOURCE_UUID, "customer_uuid": customer});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.must("POST /contacts", body)["uuid"].as_str().unwrap().to_owned()
    }

    /// The least that a configuration has to have for this account, with more on top.
    #[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
    pub(crate) fn config(&self, more: Value) -> Value {
        let mut config = json!({
            "api_key": WRITE_KEY,
            "data_source_uuid": DATA_SOURCE_UUID,
            "base_url": self.base_url,
            "limits": {"requests_per_second": REQUESTS_PER_SECOND, "connections": CONNECTIONS},
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config
    }

    /// A file in this world's directory.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// A path in this world's directory, where nothing is yet.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.0.join(name)
    }

    pub(crate) fn check(&self, config: &Value) -> Run {
        self.with_config("check", config).run()
    }

    pub(crate) fn discover(&self, config: &Value) -> Run {
        self.with_config("discover", config).run()
    }

    pub(crate) fn with_config(&self, command: &str, config: &Value) -> Command {
        let path = self.file("config.json", &config.to_string());
        Command::new(&[command, "--config"]).arg(&path).secrets_of(config)
    }

    /// A sync of customers and contacts with default settings, to be changed.
    pub(crate) fn sync(&self) -> Sync<'_> {
        Sync { world: self, config: self.config(json!({})), streams: Vec::new(), input: Vec::new(), env: Vec::new() }
    }

    /// Everything in the account but for what differs between two runs.
    pub(crate) fn contents(&self) -> Value {
        self.sandbox.contents()
    }

    pub(crate) fn customers(&self) -> Vec<Value> {
        self.sandbox.dump()["customers"].as_array().unwrap().clone()
    }

    pub(crate) fn contacts(&self) -> Vec<Value> {
        self.sandbox.dump()["contacts"].as_array().unwrap().clone()
    }

    /// The entries of one kind, under the name that the sandbox's dump gives it.
    pub(crate) fn entries(&self, kind: &str) -> Vec<Value> {
        self.sandbox.dump()[kind].as_array().unwrap().clone()
    }

    /// The customer that stands under this key, whatever the data source.
    pub(crate) fn customer(&self, external_id: &str) -> Value {
        let has_key = |customer: &Value| customer["keys"].as_array().unwrap().iter().any(|key| key["external_id"] == external_id);
        let found: Vec<Value> = self.customers().into_iter().filter(has_key).collect();
        assert_eq!(found.len(), 1, "customers with the key {external_id}: {found:#?}");
        found[0].clone()
    }

    /// One field of all customers, in order.
    pub(crate) fn customer_keys(&self) -> Vec<String> {
        let key = |customer: &Value| customer["keys"][0]["external_id"].as_str().unwrap().to_owned();
        let mut keys: Vec<String> = self.customers().iter().map(key).collect();
        keys.sort_unstable();
        keys
    }

    /// Requests of the connector to one route.
    pub(crate) fn requests(&self, method: &str, route: &str) -> u64 {
        self.sandbox.observed().requests_to(method, route) - self.before.borrow().requests_to(method, route)
    }

    /// Requests of the connector with one method.
    pub(crate) fn requests_with(&self, method: &str) -> u64 {
        let count = |observed: &Observed| -> u64 {
            let of_method = observed.by_route.iter().filter(|(route, _)| route.starts_with(method));
            of_method.flat_map(|(_, ends)| ends.values()).sum()
        };
        count(&self.sandbox.observed()) - count(&self.before.borrow())
    }

    /// Requests of the connector that may have changed something.
    pub(crate) fn writes(&self) -> u64 {
        ["POST", "PATCH", "PUT", "DELETE"].iter().map(|method| self.requests_with(method)).sum()
    }

    /// Requests of the connector that arrived so far, answered or not.
    pub(crate) fn arrived(&self) -> u64 {
        self.sandbox.observed().requests - self.before.borrow().requests
    }

    /// Waits until the account was seen in some condition.
    pub(crate) fn wait_until(&self, what: &str, seen: impl Fn(&World) -> bool) {
        let begun = Instant::now();
        while !seen(self) {
            assert!(begun.elapsed() < WATCHDOG, "never happened: {what}; {:#?}", self.sandbox.observed());
            // Only to leave the processor to those who bring it about.
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}

/// A directory that goes when its owner goes.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("destination-chartmogul-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One `write`, being put together.
pub(crate) struct Sync<'w> {
    world: &'w World,
    config: Value,
    streams: Vec<Stream>,
    input: Vec<String>,
    env: Vec<(String, String)>,
}

impl Sync<'_> {
    /// More settings.
    #[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
    pub(crate) fn config(mut self, more: Value) -> Self {
        self.config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self
    }

    /// A stream of the catalog; without any there are customers and contacts.
    pub(crate) fn stream(mut self, stream: Stream) -> Self {
        self.streams.push(stream);
        self
    }

    pub(crate) fn line(mut self, line: impl Into<String>) -> Self {
        self.input.push(line.into());
        self
    }

    pub(crate) fn lines<T: Into<String>>(mut self, lines: impl IntoIterator<Item = T>) -> Self {
        self.input.extend(lines.into_iter().map(Into::into));
        self
    }

    /// A RECORD of the stream `customers`.
    pub(crate) fn customer(self, data: Value) -> Self {
        self.line(super::record("customers", data))
    }

    /// A RECORD of the stream `contacts`.
    pub(crate) fn contact(self, data: Value) -> Self {
        self.line(super::record("contacts", data))
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(mut self) -> Run {
        let input = std::mem::take(&mut self.input).join("\n");
        self.run_bytes(if input.is_empty() { input } else { input + "\n" })
    }

    /// Runs it to its end on an input given byte for byte.
    pub(crate) fn run_bytes(self, input: impl Into<Vec<u8>>) -> Run {
        let streams = self.streams.clone();
        self.command().input(input).run().of_sync(&streams)
    }

    /// Starts it; what was put in so far is fed, and the input stays open.
    pub(crate) fn start(mut self) -> Live {
        let input = std::mem::take(&mut self.input);
        let mut live = self.command().start();
        live.feed(&input);
        live
    }

    /// The command with its files.
    pub(crate) fn command(self) -> Command {
        let streams = match self.streams.is_empty() {
            true => vec![stream("customers"), stream("contacts")],
            false => self.streams,
        };
        let catalog = json!({"streams": streams.into_iter().map(|stream| stream.0).collect::<Vec<_>>()});
        let catalog = self.world.file("catalog.json", &catalog.to_string());
        let mut command = self.world.with_config("write", &self.config).arg("--catalog").arg(&catalog);
        for (name, value) in &self.env {
            command = command.env(name, value);
        }
        command
    }
}
