//! Real sockets: what the network does to a request, and what of it is seen.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const KEY: &str = "k3y-of-test";

/// What the server does with a request once it has read it.
enum Act {
    Say(&'static str),
    /// Says so and closes.
    SayAndClose(&'static str),
    Close,
    /// Keeps the connection open and says nothing.
    Silence,
}

/// A server that plays its acts in order, over as many connections as it takes; then it is gone. Returns the requests.
async fn serve(acts: Vec<Act>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut requests, mut acts, mut silent) = (Vec::new(), acts.into_iter().peekable(), Vec::new());
        while acts.peek().is_some() {
            let (mut stream, _) = listener.accept().await.unwrap();
            while let Some(request) = read_request(&mut stream).await {
                requests.push(request);
                match acts.next() {
                    Some(Act::Say(answer)) => stream.write_all(answer.as_bytes()).await.unwrap(),
                    Some(Act::SayAndClose(answer)) => {
                        stream.write_all(answer.as_bytes()).await.unwrap();
                        break;
                    }
                    Some(Act::Silence) => {
                        silent.push(stream);
                        break;
                    }
                    Some(Act::Close) | None => break,
                }
                if acts.peek().is_none() {
                    break;
                }
            }
        }
        if !silent.is_empty() {
            std::future::pending::<()>().await;
        }
        requests
    });
    (url, server)
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let mut chunk = [0; 4_096];
        let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        request.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text.into_owned());
            }
        }
    }
}

fn transport(url: &str, timeout: u64, answer_limit: usize) -> HttpTransport {
    let key = SecretString::from(KEY);
    HttpTransport::with_limits(url, &key, USER_AGENT, 20, Duration::from_millis(timeout), answer_limit).unwrap()
}

fn post(path: &str) -> HttpRequest {
    let query = vec![("email".into(), "ann+x@lee.example".to_owned())];
    HttpRequest { method: Method::Post, path: path.to_owned(), query, body: Some(Bytes::from_static(b"{\"a\":1}")) }
}

/// One exchange with a server that does this.
async fn meet(act: Act) -> Result<HttpResponse, TransportError> {
    let (url, _server) = serve(vec![act]).await;
    transport(&url, 300, 1_000).exchange(&post("/customers")).await
}

fn assert_discreet(error: &TransportError) {
    let text = format!("{error} {error:?}");
    assert!(!text.contains(KEY) && !text.contains("ann") && !text.contains("/v1"), "{text}");
}

#[tokio::test]
async fn a_request_carries_key_headers_query_and_body_and_connections_are_kept() {
    let answer = "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\nretry-after: 3\r\n\
        date: Tue, 01 Jul 2025 10:00:00 GMT\r\ncontent-length: 2\r\n\r\n{}";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let transport = transport(&format!("http://{}/v1/", listener.local_addr().unwrap()), 5_000, 1_000);
    let server = async {
        // One connection serves both.
        let (mut stream, _) = listener.accept().await.unwrap();
        let first = read_request(&mut stream).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        read_request(&mut stream).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        first
    };
    let request = post("/customers/a%2Fb");
    let client = async { (transport.exchange(&request).await.unwrap(), transport.exchange(&request).await.unwrap()) };
    let (sent, (response, _)) = futures_util::join!(server, client);
    assert_eq!(
        response,
        HttpResponse {
            status: 201,
            content_type: Some("application/json".to_owned()),
            retry_after: Some("3".to_owned()),
            date: Some("Tue, 01 Jul 2025 10:00:00 GMT".to_owned()),
            body: Bytes::from_static(b"{}"),
        }
    );
    assert!(sent.starts_with("POST /v1/customers/a%2Fb?email=ann%2Bx%40lee.example HTTP/1.1\r\n"), "{sent}");
    for header in [
        // The key as user name, an empty password.
        "authorization: Basic azN5LW9mLXRlc3Q6\r\n",
        "accept: application/json\r\n",
        "content-type: application/json\r\n",
        concat!("user-agent: destination-chartmogul/", env!("CARGO_PKG_VERSION"), "\r\n"),
    ] {
        assert!(sent.contains(header), "{header} in {sent}");
    }
    assert!(sent.ends_with("{\"a\":1}"));
    assert!(!format!("{transport:?}").contains("azN5"), "{transport:?}");
}

#[tokio::test]
async fn a_connection_that_closes_without_an_answer_is_a_reset() {
    let error = meet(Act::Close).await.unwrap_err();
    assert!(matches!(error, TransportError::Reset(_)), "{error:?}");
    assert_discreet(&error);
}

#[tokio::test]
async fn half_an_answer_is_incomplete() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"uuid\":",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"uui\r\n",
    ] {
        let error = meet(Act::SayAndClose(answer)).await.unwrap_err();
        assert!(matches!(error, TransportError::Incomplete(_)), "{error:?}");
        assert_discreet(&error);
    }
    let error = meet(Act::SayAndClose("HTTP/1.1 20")).await.unwrap_err();
    assert!(matches!(error, TransportError::Reset(_)), "{error:?}");
}

#[tokio::test]
async fn silence_ends_at_the_time_limit_before_and_within_an_answer() {
    let error = meet(Act::Silence).await.unwrap_err();
    assert!(matches!(error, TransportError::Timeout(_)), "{error:?}");
    assert_discreet(&error);
    let (url, _server) = serve(vec![Act::Say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"), Act::Silence]).await;
    let error = transport(&url, 300, 1_000).exchange(&post("/x")).await.unwrap_err();
    assert!(matches!(error, TransportError::Timeout(_)), "{error:?}");
}

#[tokio::test]
async fn a_redirect_is_handed_over_and_not_followed() {
    let (url, server) = serve(vec![Act::SayAndClose("HTTP/1.1 307 x\r\nlocation: /v2\r\ncontent-length: 0\r\n\r\n")]).await;
    let response = transport(&url, 5_000, 1_000).exchange(&post("/x")).await.unwrap();
    assert_eq!(response.status, 307);
    assert_eq!(server.await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_post_that_meets_a_closing_connection_is_not_sent_twice() {
    let fine = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    let (url, server) = serve(vec![Act::Say(fine), Act::Close, Act::SayAndClose(fine)]).await;
    let transport = transport(&url, 5_000, 1_000);
    assert!(transport.exchange(&post("/1")).await.is_ok());
    assert!(matches!(transport.exchange(&post("/2")).await, Err(TransportError::Reset(_))));
    assert!(transport.exchange(&post("/3")).await.is_ok());
    let requests = server.await.unwrap();
    let paths: Vec<_> = requests.iter().map(|request| request.split(['?', ' ']).nth(1).unwrap()).collect();
    assert_eq!(paths, ["/v1/1", "/v1/2", "/v1/3"]);
}

#[tokio::test]
async fn an_answer_without_end_is_not_read() {
    let long = "HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n";
    assert_eq!(meet(Act::SayAndClose(long)).await, Err(TransportError::TooLarge(1_000)));
    let chunks = concat!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "3\r\nabc\r\n", "3\r\nabc\r\n", "0\r\n\r\n");
    let (url, _server) = serve(vec![Act::SayAndClose(chunks)]).await;
    assert_eq!(transport(&url, 5_000, 5).exchange(&post("/x")).await, Err(TransportError::TooLarge(5)));
}

#[tokio::test]
async fn what_never_connects_is_told_apart() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let error = transport(&format!("http://127.0.0.1:{port}/v1"), 5_000, 1_000).exchange(&post("/x")).await.unwrap_err();
    assert!(matches!(error, TransportError::Connect(_)), "{error:?}");
    assert_discreet(&error);
    let error = transport("http://nowhere.invalid/v1", 5_000, 1_000).exchange(&post("/x")).await.unwrap_err();
    assert!(matches!(error, TransportError::Connect(_)), "{error:?}");
    assert_discreet(&error);
}

#[tokio::test]
async fn a_tls_handshake_that_fails_never_sent_anything() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/v1", listener.local_addr().unwrap());
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut hello = [0; 1_024];
        let read = stream.read(&mut hello).await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        hello[..read].to_vec()
    };
    // A machine without root certificates can not get so far.
    let Ok(transport) = HttpTransport::new(&url, &SecretString::from(KEY), USER_AGENT, 20) else { return };
    let request = post("/x");
    let (hello, error) = futures_util::join!(server, transport.exchange(&request));
    let error = error.unwrap_err();
    assert!(matches!(error, TransportError::Connect(_)), "{error:?}");
    assert_discreet(&error);
    assert!(hello.windows(8).any(|word| word == b"http/1.1") && !hello.windows(3).any(|word| word == b"\x02h2"));
}

#[test]
fn an_id_can_not_lead_elsewhere() {
    let transport = transport("http://127.0.0.1:1/v1", 100, 100);
    for path in ["/customers/../ping", "/customers/%2e%2E/ping", "/a?b", "/a#b", "/a b", "/ä", "/a\\b", "/\n"] {
        assert!(matches!(transport.url(&post(path)), Err(TransportError::Unsendable(_))), "{path}");
    }
    assert_eq!(
        transport.url(&HttpRequest { query: Vec::new(), ..post("/a/b%20c") }).unwrap().as_str(),
        "http://127.0.0.1:1/v1/a/b%20c"
    );
}

#[test]
fn addresses_are_checked_and_those_of_this_machine_known() {
    for url in ["", "api.chartmogul.com", "ftp://x", "unix:/x", "https://x/v1?a=b"] {
        let failure = HttpTransport::new(url, &SecretString::from(KEY), USER_AGENT, 20).unwrap_err();
        assert_eq!(failure.code, Code::BaseUrlWrong, "{url}");
    }
    let local = |url| is_loopback(&Url::parse(url).unwrap());
    assert!(
        local("http://127.0.0.1:8080/v1") && local("http://localhost") && local("http://[::1]/") && local("http://a.localhost")
    );
    assert!(!local("https://api.chartmogul.com/v1") && !local("http://10.0.0.1") && !local("http://localhost.example"));
}
