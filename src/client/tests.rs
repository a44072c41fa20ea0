//! The client as callers meet it: simulated time, an API that answers as the test says.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::*;

type Outcome = Result<HttpResponse, TransportError>;
type Behaviour = dyn Fn(&HttpRequest, usize) -> Outcome + Send + Sync;

/// An API whose answers a test makes up.
struct Api {
    answer: Box<Behaviour>,
    latency: Duration,
    seen: Mutex<Vec<(Instant, String)>>,
    under_way: AtomicU32,
    most_at_once: AtomicU32,
}

impl Api {
    fn new(latency: u64, answer: impl Fn(&HttpRequest, usize) -> Outcome + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            answer: Box::new(answer),
            latency: Duration::from_millis(latency),
            seen: Mutex::default(),
            under_way: AtomicU32::new(0),
            most_at_once: AtomicU32::new(0),
        })
    }

    /// Answers in the given order, then well.
    fn script(outcomes: impl IntoIterator<Item = Outcome>) -> Arc<Self> {
        let outcomes = Mutex::new(outcomes.into_iter().collect::<VecDeque<_>>());
        Self::new(10, move |_, _| lock(&outcomes).pop_front().unwrap_or_else(well))
    }

    fn times(&self) -> Vec<Instant> {
        lock(&self.seen).iter().map(|(at, _)| *at).collect()
    }

    fn paths(&self) -> Vec<String> {
        lock(&self.seen).iter().map(|(_, path)| path.clone()).collect()
    }

    /// The most requests in any second.
    fn most_in_a_second(&self) -> usize {
        let times = self.times();
        let within = |from: usize| times[from..].iter().take_while(|at| **at - times[from] < Duration::from_secs(1)).count();
        (0..times.len()).map(within).max().unwrap_or(0)
    }
}

impl Transport for Api {
    fn exchange<'a>(&'a self, request: &'a HttpRequest) -> BoxFuture<'a, Outcome> {
        async move {
            let at = {
                let mut seen = lock(&self.seen);
                seen.push((Instant::now(), request.path.clone()));
                seen.len() - 1
            };
            let at_once = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
            self.most_at_once.fetch_max(at_once, Ordering::Relaxed);
            sleep(self.latency).await;
            self.under_way.fetch_sub(1, Ordering::Relaxed);
            (self.answer)(request, at)
        }
        .boxed()
    }
}

fn says(status: u16, body: &'static str) -> Outcome {
    Ok(HttpResponse { status, body: Bytes::from_static(body.as_bytes()), ..HttpResponse::default() })
}

fn well() -> Outcome {
    says(200, "{}")
}

fn says_wait(status: u16, retry_after: &str) -> Outcome {
    Ok(HttpResponse { status, retry_after: Some(retry_after.to_owned()), ..HttpResponse::default() })
}

fn unreached() -> Outcome {
    Err(TransportError::Connect("refused".to_owned()))
}

fn read(path: &str) -> Call {
    let path = path.to_owned();
    Call {
        method: Method::Get,
        path,
        query: Vec::new(),
        body: None,
        repeat: Repeat::Harmless,
        kind: "look up",
        hides_path: false,
    }
}

fn create(path: &str) -> Call {
    let (path, body) = (path.to_owned(), Some("{}".to_owned()));
    Call { method: Method::Post, path, query: Vec::new(), body, repeat: Repeat::MayDuplicate, kind: "create", hides_path: false }
}

fn policy() -> Policy {
    Policy { give_up_after: Duration::from_secs(600), seed: 1, ..Policy::default() }
}

fn client(api: &Arc<Api>) -> Client {
    let transport: Arc<dyn Transport> = Arc::<Api>::clone(api);
    Client::new(transport, policy())
}

/// Sends `calls` harmless calls over so many lanes, as the engine does.
async fn sync(client: &Client, lanes: usize, calls: usize) {
    let mut left = calls;
    let mut lanes: FuturesUnordered<_> = (0..lanes.min(calls))
        .map(|_| {
            left -= 1;
            client.ask_owned(read("/x"))
        })
        .collect();
    while let Some(reply) = lanes.next().await {
        assert!(matches!(reply, Ok(Reply::Done(_))), "{reply:?}");
        if left > 0 {
            left -= 1;
            lanes.push(client.ask_owned(read("/x")));
        }
    }
}

impl Client {
    async fn ask_owned(&self, call: Call) -> Result<Reply, Failure> {
        self.ask(&call).await
    }
}

#[tokio::test(start_paused = true)]
async fn at_least_97_percent_of_the_cap_is_used_and_never_more_than_it() {
    for latency in [20, 75, 150, 300] {
        let api = Api::new(latency, |_, _| well());
        let client = client(&api);
        let start = Instant::now();
        sync(&client, 100, 6_000).await;
        let rate = 6_000.0 / start.elapsed().as_secs_f64();
        assert!(rate >= 0.97 * 40.0, "{rate:.2} a second at {latency} ms");
        assert!(api.most_in_a_second() <= 40, "{} in a second at {latency} ms", api.most_in_a_second());
        assert!(api.most_at_once.load(Ordering::Relaxed) <= 20);
        assert_eq!(client.stats().requests_by_kind, BTreeMap::from([("look up", 6_000)]));
    }
}

#[tokio::test(start_paused = true)]
async fn never_more_than_20_at_once_however_slow_the_answers() {
    let api = Api::new(5_000, |_, _| well());
    sync(&client(&api), 100, 200).await;
    assert_eq!(api.most_at_once.load(Ordering::Relaxed), 20);
}

#[tokio::test(start_paused = true)]
async fn a_raised_cap_is_reached_too() {
    let api = Api::new(1, |_, _| well());
    let transport: Arc<dyn Transport> = Arc::<Api>::clone(&api);
    let client = Client::new(transport, Policy { requests_per_second: 5_000, ..policy() });
    let start = Instant::now();
    sync(&client, 100, 20_000).await;
    let rate = 20_000.0 / start.elapsed().as_secs_f64();
    assert!(rate >= 0.97 * 5_000.0, "{rate:.0} a second");
    assert!(api.most_in_a_second() <= 5_000);
}

/// A server that counts by the second, as most do, and turns the 41st request away.
fn strict_api(latency: u64, cap: usize) -> Arc<Api> {
    let (start, taken) = (Instant::now(), Mutex::new(BTreeMap::<u64, usize>::new()));
    Api::new(latency, move |_, _| {
        let mut taken = lock(&taken);
        let count = taken.entry(start.elapsed().as_secs()).or_default();
        *count += 1;
        if *count > cap {
            says(429, r#"{"code":429,"message":"Your request rate has exceeded our rate limit."}"#)
        } else {
            well()
        }
    })
}

#[tokio::test(start_paused = true)]
async fn alone_on_an_account_there_is_no_429() {
    let api = strict_api(100, 40);
    let client = client(&api);
    sync(&client, 50, 4_000).await;
    assert_eq!(client.stats().throttled_429, 0);
}

#[tokio::test(start_paused = true)]
async fn three_clients_share_an_account_fairly_and_all_finish() {
    let api = strict_api(100, 40);
    let clients = [client(&api), client(&api), client(&api)];
    let start = Instant::now();
    let times: Vec<f64> = join_all(clients.iter().map(|client| async {
        sync(client, 30, 3_000).await;
        start.elapsed().as_secs_f64()
    }))
    .await;
    let throttled: u64 = clients.iter().map(|client| client.stats().throttled_429).sum();
    assert!(times.iter().all(|time| *time < 1.5 * 9_000.0 / 40.0), "{times:?}");
    assert!(throttled < 9_000 / 20, "{throttled} answers 429");
}

#[tokio::test(start_paused = true)]
async fn retry_after_of_one_call_holds_back_all_of_them() {
    let api = Api::new(10, |_, at| if at == 0 { says_wait(429, "30") } else { well() });
    let client = client(&api);
    let start = Instant::now();
    sync(&client, 10, 50).await;
    let times = api.times();
    // Those that left before the answer came are through; everybody else waits.
    assert!(times.iter().all(|at| *at - start < Duration::from_millis(20) || *at - start >= Duration::from_secs(30)));
    let stats = client.stats();
    assert_eq!((stats.throttled_429, stats.retries, stats.failed), (1, 1, 0));
    assert!((30_000..=30_200).contains(&stats.time_throttled.as_millis()), "{stats:?}");
    assert_eq!(stats.time_short_of_connections, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn too_many_connections_lowers_them_and_they_come_back() {
    let bad = AtomicU32::new(0);
    let api = Api::new(800, move |_, at| {
        if (100..105).contains(&at) {
            bad.fetch_add(1, Ordering::Relaxed);
            says(503, "")
        } else {
            well()
        }
    });
    let client = client(&api);
    sync(&client, 40, 200).await;
    assert_eq!(client.stats().throttled_503, 5);
    assert_eq!(client.stats().connections, 16, "one burst is paid once");
    sync(&client, 40, 2_500).await;
    assert_eq!(client.stats().connections, 20);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_held_while_backing_off() {
    let api = Api::new(10, |request, _| if request.path == "/bad" { says(500, "") } else { well() });
    let transport: Arc<dyn Transport> = Arc::<Api>::clone(&api);
    let client = Client::new(transport, Policy { connections: 1, ..policy() });
    let bad = async {
        let call = read("/bad");
        client.ask(&call).await
    };
    let good = async {
        sync(&client, 2, 400).await;
        Instant::now()
    };
    let start = Instant::now();
    let (bad, good) = futures_util::join!(bad, good);
    assert!(good - start < Duration::from_secs(12), "{:?}", good - start);
    assert!(matches!(bad, Ok(Reply::Refused(_))), "{bad:?}");
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_waited_out() {
    let back = Instant::now() + Duration::from_secs(500);
    let api = Api::new(10, move |_, _| if Instant::now() < back { says(502, "<html>") } else { well() });
    let client = client(&api);
    sync(&client, 20, 100).await;
    assert!(client.stats().failed > 100);
}

#[tokio::test(start_paused = true)]
async fn an_outage_without_end_ends_the_sync_in_time() {
    for (outcome, code) in [
        (says(500, ""), Code::ApiOutage),
        (says(429, ""), Code::ApiOutage),
        (says(503, ""), Code::ApiOutage),
        (Err(TransportError::Timeout("words".to_owned())), Code::ApiOutage),
        (unreached(), Code::HostUnreachable),
    ] {
        let api = Api::new(10, move |_, _| outcome.clone());
        let client = client(&api);
        let start = Instant::now();
        let failure = client.ask(&read("/x")).await.unwrap_err();
        let took = start.elapsed();
        assert_eq!((failure.code, failure.kind), (code, crate::failure::FailureType::Transient));
        let patience = policy().give_up_after;
        assert!(took >= patience && took <= patience + Duration::from_secs(61), "{code}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_ends_the_sync_in_time_however_many_calls_take_turns_at_it() {
    // A 429 pauses all calls, silence holds all connections: a single call hardly gets its turn.
    for (latency, outcome) in [(10, says(429, "")), (60_000, Err(TransportError::Timeout("words".to_owned())))] {
        let api = Api::new(latency, move |_, at| if at < 30 { well() } else { outcome.clone() });
        let client = client(&api);
        sync(&client, 10, 30).await;
        let start = Instant::now();
        let mut calls: FuturesUnordered<_> = (0..256).map(|_| client.ask_owned(read("/x"))).collect();
        let failure = calls.next().await.unwrap().unwrap_err();
        let (took, patience) = (start.elapsed(), policy().give_up_after);
        assert_eq!(failure.code, Code::ApiOutage);
        assert!(took >= patience && took <= patience + Duration::from_secs(121), "{latency}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_comes_back_and_goes_again_is_an_outage_of_the_network() {
    let api = Api::new(10, |_, at| if at == 0 { well() } else { unreached() });
    let client = client(&api);
    sync(&client, 1, 1).await;
    assert_eq!(client.ask(&read("/x")).await.unwrap_err().code, Code::HostUnreachable);
}

#[tokio::test(start_paused = true)]
async fn a_create_that_never_left_is_sent_again_and_one_that_did_comes_back_as_lost() {
    let api = Api::script([unreached(), says(429, ""), says(503, ""), says(502, ""), well()]);
    let client = client(&api);
    let (call, mut trial) = (create("/x"), Trial::default());
    let start = Instant::now();
    let reply = client.send(&call, &mut trial).await.unwrap();
    assert_eq!(reply, Reply::Lost("HTTP 502".to_owned()));
    assert_eq!((trial.attempts(), trial.requests()), (2, 4), "throttling is no attempt");
    let before = Instant::now();
    assert!(before - start >= Duration::from_millis(1_000), "the wait for the next attempt is over before the caller looks");
    assert!(matches!(client.send(&call, &mut trial).await, Ok(Reply::Done(_))));
    assert!(before.elapsed() < Duration::from_millis(1_100));
    assert_eq!((trial.attempts(), client.stats().lost, client.stats().retries), (3, 1, 4));
}

/// What the engine does with a create: look after each loss, send again when nothing is there.
async fn create_carefully(client: &Client, path: &str) -> Result<Reply, Failure> {
    let (call, mut trial) = (create(path), Trial::default());
    loop {
        match client.send(&call, &mut trial).await? {
            Reply::Lost(_) => assert!(matches!(client.ask(&read("/none")).await?, Reply::Missing(_))),
            reply => return Ok(reply),
        }
    }
}

fn breaks_on(path: &'static str) -> impl Fn(&HttpRequest, usize) -> Outcome {
    move |request, _| match request.path.as_str() {
        bad if bad == path => says(500, "oops"),
        "/none" => says(404, r#"{"error":"not found"}"#),
        _ => well(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_breaks_the_server_is_refused_while_others_pass() {
    let api = Api::new(10, breaks_on("/bad"));
    let client = client(&api);
    let start = Instant::now();
    let others = async {
        for _ in 0..100 {
            assert!(matches!(create_carefully(&client, "/good").await, Ok(Reply::Done(_))));
            sleep(Duration::from_secs(1)).await;
        }
    };
    let bad = async { (create_carefully(&client, "/bad").await, start.elapsed()) };
    let (_, (reply, took)) = futures_util::join!(others, bad);
    let Ok(Reply::Refused(refusal)) = reply else { panic!("{reply:?}") };
    assert_eq!((refusal.code, refusal.status), (Code::RecordBreaksServer, Some(500)));
    assert!(took < Duration::from_secs(60), "{took:?}");
    assert_eq!(api.paths().iter().filter(|path| *path == "/bad").count(), 6);
}

#[tokio::test(start_paused = true)]
async fn the_last_record_of_all_is_refused_as_well_after_asking_whether_the_api_lives() {
    let api = Api::new(10, breaks_on("/bad"));
    let client = client(&api);
    let start = Instant::now();
    let reply = client.ask(&read("/bad")).await;
    assert!(matches!(&reply, Ok(Reply::Refused(refusal)) if refusal.code == Code::RecordBreaksServer), "{reply:?}");
    assert!(start.elapsed() < Duration::from_secs(200), "{:?}", start.elapsed());
    assert_eq!(client.stats().requests_by_kind, BTreeMap::from([("look up", 10), ("probe", 3)]));
}

#[tokio::test(start_paused = true)]
async fn writes_that_fail_while_reads_pass_end_the_sync_and_blame_no_record() {
    let api = Api::new(10, |request, _| if request.method == Method::Post { says(500, "") } else { says(404, "") });
    let client = client(&api);
    let replies = join_all((0..20).map(|_| create_carefully(&client, "/x"))).await;
    assert!(replies.iter().all(|reply| matches!(reply, Err(failure) if failure.code == Code::ApiOutage)), "{replies:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_key_stops_at_once() {
    let api = Api::script([says(401, r#"{"code":401,"message":"No valid API key provided","param":null}"#)]);
    let failure = client(&api).ask(&read("/ping")).await.unwrap_err();
    assert_eq!(failure.code, Code::KeyRefused);
    assert_eq!(failure.message, "ChartMogul does not know the API key (HTTP 401): No valid API key provided");
}

#[tokio::test(start_paused = true)]
async fn what_stops_the_sync_is_told_in_the_words_of_the_api_but_for_what_was_sent() {
    let words = r#"{"message":"the plan of Ann Lee (cus_17) does not allow new customers"}"#;
    for status in [401, 402, 403] {
        let call = Call { body: Some(r#"{"name":"Ann Lee"}"#.to_owned()), ..create("/customers/cus_17/notes") };
        let stopped = client(&Api::script([says(status, words)])).send(&call, &mut Trial::default()).await.unwrap_err();
        assert!(
            stopped.message.ends_with(&format!("(HTTP {status}): the plan of *** (***) does not allow new customers")),
            "{stopped}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_long_is_not_sent() {
    let api = Api::script([]);
    let call = Call { body: Some("x".repeat(5_000_001)), ..create("/x") };
    let reply = client(&api).send(&call, &mut Trial::default()).await;
    assert!(matches!(&reply, Ok(Reply::Refused(refusal)) if refusal.code == Code::RecordTooLarge), "{reply:?}");
    assert_eq!(api.times(), []);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_gives_back_what_it_held() {
    let api = Api::new(1_000, |_, _| well());
    let client = client(&api);
    for _ in 0..100 {
        let call = read("/x");
        assert!(tokio::time::timeout(Duration::from_millis(100), client.ask(&call)).await.is_err());
    }
    sync(&client, 20, 20).await;
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_waits_the_same() {
    let run = || async {
        let api = Api::new(10, |_, at| if at < 30 { says(500, "") } else { well() });
        let start = Instant::now();
        sync(&client(&api), 5, 20).await;
        api.times().into_iter().map(|at| at - start).collect::<Vec<_>>()
    };
    assert_eq!(run().await, run().await);
}

#[tokio::test]
async fn a_client_may_be_shared_by_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    fn sent<T: Send>(_: &T) {}
    let client = client(&Api::script([]));
    shared(&client);
    let call = read("/x");
    sent(&client.ask(&call));
}

/// Collects everything that is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<String>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        struct Visit<'a>(&'a mut String);
        impl tracing::field::Visit for Visit<'_> {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                *self.0 += &format!(" {field}={value:?}");
            }
        }
        let mut lines = lock(&self.0);
        *lines += event.metadata().level().as_str();
        event.record(&mut Visit(&mut lines));
        *lines += "\n";
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_tells_of_trouble_now_and_then_and_never_quotes_anybody() {
    use tracing_subscriber::layer::SubscriberExt as _;
    let lines = Lines::default();
    // With a single subscriber, whether a line of the code logs at all is decided by the thread that comes there first, which may
    // be that of another test.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
    let words = r#"{"message":"ann@lee.example is odd"}"#;
    let api = Api::new(10, move |_, at| if at < 15 { says([500, 429, 503][at % 3], words) } else { says(422, words) });
    let client = client(&api);
    join_all((0..10).map(|_| async {
        let call =
            Call { query: vec![("email".into(), "ann@lee.example".to_owned())], body: Some(words.to_owned()), ..read("/x") };
        client.ask(&call).await.unwrap();
    }))
    .await;
    let lines = lock(&lines.0).clone();
    let count = |what: &str| lines.lines().filter(|line| line.starts_with(what)).count();
    assert!(!lines.contains("ann"), "{lines}");
    assert_eq!(count("DEBUG"), 25);
    assert!((2..10).contains(&count("WARN")), "{lines}");
}
