//! Limits, latency, faults and the sandbox's own counts; and the socket.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, advance, timeout};

use super::testing::{basic, read, request, send, unlimited};
use super::{Answer, DATA_SOURCE_UUID, Options, Quirks, Sandbox, WRITE_KEY};

fn new_customer(external_id: &str) -> Value {
    json!({"data_source_uuid": DATA_SOURCE_UUID, "external_id": external_id})
}

fn customers(sandbox: &Sandbox) -> usize {
    sandbox.dump()["customers"].as_array().unwrap().len()
}

fn faulty(specs: &[&str]) -> Sandbox {
    let sandbox = unlimited(Options::default());
    for spec in specs {
        sandbox.script(spec.parse().unwrap());
    }
    sandbox
}

#[tokio::test(start_paused = true)]
async fn the_forty_first_request_within_a_second_is_refused_and_counts_too() {
    let sandbox = Sandbox::new(Options { quirks: Quirks { retry_after: Some(2), ..Quirks::default() }, ..Options::default() });
    for _ in 0..40 {
        assert_eq!(send(&sandbox, "GET /v1/ping", None).await.0, 200);
    }
    let refused = sandbox.answer(request("GET /v1/ping", None)).await;
    let body = json!({"code": 429, "message": "Your request rate has exceeded our rate limit.", "param": null});
    assert_eq!(read(&refused), (429, body));
    let Answer::Response { headers, .. } = refused else { unreachable!() };
    assert!(headers.contains(&("retry-after".into(), "2".into())));
    advance(Duration::from_millis(1001)).await;
    assert_eq!(send(&sandbox, "GET /v1/ping", None).await.0, 200);
    let seen = sandbox.observed();
    assert_eq!((seen.requests, seen.most_in_one_second, seen.given_429, seen.over_rate), (42, 41, 1, 1));
    assert_eq!(seen.answered("GET", "/v1/ping", 200), 41);
    assert_eq!(seen.requests_to("GET", "/v1/ping"), 42);
}

#[tokio::test(start_paused = true)]
async fn the_twenty_first_request_at_once_is_refused() {
    let sandbox = Sandbox::new(Options { latency: Duration::from_millis(500), ..Options::default() });
    let answers = join_all((0..21).map(|_| send(&sandbox, "GET /v1/ping", None))).await;
    assert_eq!(answers.iter().filter(|(status, _)| *status == 503).count(), 1);
    let seen = sandbox.observed();
    assert_eq!((seen.most_in_flight, seen.given_503, seen.over_connections), (21, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn latency_passes_half_before_and_half_after_the_work() {
    let sandbox = unlimited(Options { latency: Duration::from_millis(100), ..Options::default() });
    let before = Instant::now();
    assert_eq!(send(&sandbox, "GET /v1/ping", None).await.0, 200);
    assert_eq!(before.elapsed(), Duration::from_millis(100));

    let impatient = async |external_id, ms| {
        let answer = send(&sandbox, "POST /v1/customers", new_customer(external_id));
        assert!(timeout(Duration::from_millis(ms), answer).await.is_err());
    };
    impatient("early", 40).await;
    assert_eq!(customers(&sandbox), 0);
    impatient("late", 60).await;
    assert_eq!(customers(&sandbox), 1);
    let seen = sandbox.observed();
    assert_eq!(seen.by_route["POST /v1/customers"]["abandoned"], 2);
    assert_eq!(send(&sandbox, "GET /v1/ping", None).await.0, 200);
    assert_eq!(sandbox.observed().most_in_flight, 1, "abandoned requests are counted out");
}

#[tokio::test(start_paused = true)]
async fn jitter_lies_within_its_bounds_and_follows_the_seed() {
    let times = async |seed| {
        let jitter = Duration::from_millis(80);
        let sandbox = unlimited(Options { jitter, latency: Duration::from_millis(20), seed, ..Options::default() });
        let mut times = Vec::new();
        for _ in 0..20 {
            let before = Instant::now();
            send(&sandbox, "GET /v1/ping", None).await;
            times.push(before.elapsed());
        }
        times
    };
    let one = times(1).await;
    assert_eq!(one, times(1).await);
    assert_ne!(one, times(2).await);
    assert!(one.iter().all(|time| (20..=102).contains(&time.as_millis())), "{one:?}");
}

#[tokio::test]
async fn a_fault_before_the_work_leaves_nothing_and_one_after_it_does() {
    for (spec, made) in [("reset", 0), ("after-work reset", 1), ("status=500", 0), ("after-work status=500", 1), ("half", 1)] {
        let sandbox = faulty(&[&format!("POST /customers {spec}")]);
        sandbox.answer(request("POST /v1/customers", Some(new_customer("c")))).await;
        assert_eq!(customers(&sandbox), made, "{spec}");
        let (again, _) = send(&sandbox, "POST /v1/customers", new_customer("c")).await;
        assert_eq!(again, if made == 1 { 422 } else { 201 }, "{spec}");
    }
}

#[tokio::test]
async fn every_kind_of_fault_answers_as_it_says() {
    let sandbox = faulty(&["html=502", "garbage", "half", "429 retry-after=7", "503", "reset"]);
    let ping = async || sandbox.answer(request("GET /v1/ping", None)).await;
    let parts = |answer: Answer| match answer {
        Answer::Response { status, headers, body } => (status, headers, String::from_utf8(body.to_vec()).unwrap()),
        Answer::Dropped => panic!("dropped"),
    };
    let (status, headers, body) = parts(ping().await);
    assert_eq!((status, headers[0].1.as_str()), (502, "text/html"));
    assert!(body.starts_with("<html>"));
    let (status, _, body) = parts(ping().await);
    assert_eq!(status, 200);
    assert!(serde_json::from_str::<Value>(&body).is_err());
    let (status, headers, body) = parts(ping().await);
    assert_eq!((status, body.as_str()), (200, "{\"data\":"));
    assert!(headers.contains(&("content-length".into(), "16".into())));
    let (status, headers, _) = parts(ping().await);
    assert_eq!((status, headers[1].clone()), (429, ("retry-after".into(), "7".into())));
    assert_eq!(parts(ping().await).0, 503);
    assert_eq!(ping().await, Answer::Dropped);
    assert_eq!(parts(ping().await).0, 200);
    let seen = sandbox.observed();
    assert_eq!((seen.given_429, seen.over_rate, seen.given_503, seen.over_connections), (1, 0, 1, 0));
    assert_eq!(seen.by_route["GET /v1/ping"]["dropped"], 1);
}

#[tokio::test(start_paused = true)]
async fn hanging_and_slow_requests_take_their_time() {
    let sandbox = faulty(&["hang=30s", "slow=5s"]);
    let before = Instant::now();
    assert_eq!(sandbox.answer(request("GET /v1/ping", None)).await, Answer::Dropped);
    assert_eq!(before.elapsed(), Duration::from_secs(30));
    assert_eq!(send(&sandbox, "GET /v1/ping", None).await.0, 200);
    assert_eq!(before.elapsed(), Duration::from_secs(35));
}

#[tokio::test]
async fn the_log_keeps_the_last_requests_only() {
    let sandbox = unlimited(Options::default());
    for number in 0..1100 {
        send(&sandbox, &format!("GET /v1/customers?page={number}"), None).await;
    }
    let log = sandbox.observed().log;
    assert_eq!((log.len(), log[0].query.as_str(), log[999].ended.as_str()), (1000, "page=100", "200"));
}

/// A sandbox on a free port, and what stops it.
async fn served(sandbox: &Sandbox) -> (std::net::SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<std::io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let sandbox = sandbox.clone();
    let server = tokio::spawn(async move {
        let stopped = async move {
            let _ = stopped.await;
        };
        sandbox.serve(listener, stopped).await
    });
    (address, stop, server)
}

/// Sends one request over a connection of its own and reads until the connection ends.
async fn raw(address: std::net::SocketAddr, line: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{line} HTTP/1.1\r\nhost: sandbox\r\nauthorization: {}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        basic(&format!("{WRITE_KEY}:")),
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn over_a_socket_the_same_answers_come_and_the_own_pages_need_no_key() {
    let sandbox = Sandbox::new(Options::default());
    let (address, stop, server) = served(&sandbox).await;
    let answer = raw(address, "POST /v1/customers", &new_customer("c").to_string()).await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert!(answer.contains("content-type: application/json"));
    assert!(raw(address, "GET /v1/nothing", "").await.starts_with("HTTP/1.1 404"));
    let usage = raw(address, "GET /", "").await;
    for part in ["sandbox-write-key", "1 customers\n", "0 contacts\n", "owner@example.com", "New Business (Discovery, "] {
        assert!(usage.contains(part), "{part}: {usage}");
    }
    assert!(raw(address, "GET /sandbox/state", "").await.contains("\"external_id\":\"c\""));
    assert!(raw(address, "GET /sandbox/observed", "").await.contains("\"requests\":2"), "own pages count nowhere");
    let refused = raw(address, "POST /sandbox/faults", "reset\n\nboom\n").await;
    assert!(refused.starts_with("HTTP/1.1 400") && refused.contains("line 3: `boom`"), "{refused}");
    assert!(raw(address, "GET /v1/ping", "").await.contains("pong"), "no line was taken");
    assert!(raw(address, "POST /sandbox/reset", "").await.starts_with("HTTP/1.1 204"));
    assert_eq!(customers(&sandbox), 0);
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn over_a_socket_a_dropped_answer_is_nothing_and_a_half_one_is_short() {
    let sandbox = Sandbox::new(Options::default());
    let (address, stop, server) = served(&sandbox).await;
    assert!(raw(address, "POST /sandbox/faults", "* after-work reset\n* half").await.contains("* half x1"));
    assert_eq!(raw(address, "POST /v1/customers", &new_customer("c").to_string()).await, "");
    assert_eq!(customers(&sandbox), 1, "the work was done");
    let half = raw(address, "GET /v1/ping", "").await;
    assert!(half.contains("content-length: 16\r\n") && half.ends_with("\r\n\r\n{\"data\":"), "{half}");
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_server_ends_though_a_request_hangs() {
    let sandbox = faulty(&["hang"]);
    let (address, stop, server) = served(&sandbox).await;
    let hanging = tokio::spawn(raw_owned(address));
    while sandbox.observed().requests == 0 {
        tokio::task::yield_now().await;
    }
    stop.send(()).unwrap();
    timeout(Duration::from_secs(10), server).await.unwrap().unwrap().unwrap();
    hanging.abort();
}

async fn raw_owned(address: std::net::SocketAddr) -> String {
    raw(address, "GET /v1/ping", "").await
}
