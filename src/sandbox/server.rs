//! The sandbox over a socket.
//!
//! Owns the mapping between HTTP and [`Sandbox::answer`], and the pages for people outside `/v1`. Those need no key, count
//! nowhere and know no limits.

use std::future::{Future, IntoFuture as _};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request as HttpRequest, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::page::{self, View};
use super::{Answer, Fault, MAX_BODY, Request, Sandbox, WRITE_KEY};

/// How long open requests may take to end once the sandbox is told to.
const GRACE: Duration = Duration::from_secs(1);

/// Bodies are read somewhat beyond what is taken, so that the refusal is the sandbox's own and is counted.
const READ_AT_MOST: usize = 4 * MAX_BODY;

impl Sandbox {
    /// Serves the sandbox until `shutdown` ends.
    ///
    /// # Errors
    /// When the listener breaks.
    pub async fn serve(&self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> std::io::Result<()> {
        let (stop, stopped) = watch::channel(false);
        let mut graceful = stopped.clone();
        let listener = listener.tap_io(|connection| {
            // Answers are small; waiting to fill a segment would add 40 ms to each. Failing to say so costs only speed.
            let _ = connection.set_nodelay(true);
        });
        let server = axum::serve(listener, self.router()).with_graceful_shutdown(async move {
            let _ = graceful.wait_for(|stop| *stop).await;
        });
        let ended = async move {
            shutdown.await;
            let _ = stop.send(true);
            // A request that hangs on purpose must not keep the process.
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            outcome = server.into_future() => outcome,
            () = ended => Ok(()),
        }
    }

    fn router(&self) -> Router {
        Router::new()
            .route("/", get(front))
            .route("/sandbox/state", get(state))
            .route("/sandbox/observed", get(observed))
            .route("/sandbox/faults", post(add_faults))
            .route("/sandbox/reset", post(reset))
            .fallback(api)
            .with_state(self.clone())
    }
}

async fn api(State(sandbox): State<Sandbox>, request: HttpRequest<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, READ_AT_MOST).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let authorization = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let request = Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        authorization: authorization.map(str::to_owned),
        body,
    };
    // In a task of its own: a server goes on with a request whose client has given up.
    match tokio::spawn(async move { sandbox.answer(request).await }).await {
        Ok(Answer::Response { status, headers, body }) => written(status, headers, body),
        Ok(Answer::Dropped) | Err(_) => cut_off(Response::new(Body::empty()), Bytes::new()),
    }
}

fn written(status: u16, headers: Vec<(String, String)>, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut promised = None;
    for (name, value) in headers {
        if name == "content-length" {
            promised = value.parse::<usize>().ok();
        }
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    if promised.is_some_and(|promised| promised > body.len()) {
        return cut_off(response, body);
    }
    *response.body_mut() = Body::from(body);
    response
}

/// Sends what there is and then closes the connection, which is what the server does when a body breaks off.
fn cut_off(mut response: Response<Body>, sent: Bytes) -> Response<Body> {
    let broken = || Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
    *response.body_mut() = if sent.is_empty() {
        // Broken at once, while the head still waits in the buffer: the client gets no answer at all.
        Body::from_stream(stream::iter([broken() as std::io::Result<Bytes>]))
    } else {
        Body::from_stream(stream::iter([Ok(sent)]).chain(stream::once(async move {
            // Pausing once is what makes the server send what it has.
            tokio::task::yield_now().await;
            broken()
        })))
    };
    response
}

/// The page: for a browser, which asks for HTML by name, or for a terminal.
async fn front(State(sandbox): State<Sandbox>, headers: HeaderMap) -> Response<Body> {
    let options = &sandbox.shared.options;
    let key = options.api_keys.first().map_or(WRITE_KEY, |key| key.key.as_str());
    let mut contents = sandbox.contents();
    // They are no part of what two runs are compared by.
    let imports = sandbox.imports();
    if !imports.is_empty() {
        contents["json_imports"] = imports.into();
    }
    let view = View { key, options, contents: &contents, observed: &sandbox.observed() };
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let always = [(header::CACHE_CONTROL, "no-store"), (header::VARY, "accept")];
    if accepted.contains("text/html") {
        // Values are escaped; should one ever not be, the browser still runs and fetches nothing.
        let safe = (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; img-src data:");
        let kind = (header::CONTENT_TYPE, "text/html; charset=utf-8");
        (always, [kind, safe], page::hypertext(&view)).into_response()
    } else {
        (always, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], page::plain(&view)).into_response()
    }
}

async fn state(State(sandbox): State<Sandbox>) -> Response<Body> {
    json(sandbox.dump().to_string())
}

async fn observed(State(sandbox): State<Sandbox>) -> Response<Body> {
    match serde_json::to_string(&sandbox.observed()) {
        Ok(text) => json(text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// All lines are taken or none, so that a mistake in the last one leaves nothing behind.
async fn add_faults(State(sandbox): State<Sandbox>, body: String) -> Response<Body> {
    let mut faults: Vec<Fault> = Vec::new();
    for (number, line) in body.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match line.parse() {
            Ok(fault) => faults.push(fault),
            Err(error) => return (StatusCode::BAD_REQUEST, format!("line {}: {error}\n", number + 1)).into_response(),
        }
    }
    let text: String = faults.iter().map(|fault| format!("{fault}\n")).collect();
    for fault in faults {
        sandbox.script(fault);
    }
    text.into_response()
}

async fn reset(State(sandbox): State<Sandbox>) -> StatusCode {
    sandbox.reset();
    StatusCode::NO_CONTENT
}

fn json(text: String) -> Response<Body> {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
