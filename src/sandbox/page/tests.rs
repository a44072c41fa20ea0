//! What the page says, and to whom in which form.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::html::Escaped;
use super::*;
use crate::sandbox::testing::{customer, request, send};
use crate::sandbox::{Sandbox, WRITE_KEY};

fn show(page: fn(&View<'_>) -> String, contents: &Value, observed: &Observed) -> String {
    page(&View { key: "k", options: &Options::default(), contents, observed })
}

fn logged(at_ms: u64, path: &str, query: &str) -> Logged {
    Logged { at_ms, method: "GET".into(), path: path.into(), query: query.into(), route: "other", ended: "404".into() }
}

#[test]
fn what_arrived_is_counted_and_shown_in_columns() {
    let invoice = json!({"customer": {"data_source": "Sandbox", "external_id": "c1"}, "status": "open",
        "fields": {"external_id": "i1"}, "line_items": [{"fields": {}}, {"fields": {}}], "transactions": []});
    let contents = json!({"contacts": [], "invoices": [invoice], "plans": vec![json!({"fields": {"name": "Pro"}}); 21]});
    let page = show(plain, &contents, &Observed::default());
    assert!(page.contains("        0 contacts\n        1 invoices\n       21 plans\n"), "{page}");
    assert!(page.contains("\ninvoices\n  customer  external_id  line_items  status"), "{page}");
    assert!(page.contains("\n  c1        i1           2           open"), "{page}");
    assert!(page.contains("\nplans\n  name\n  Pro\n"), "{page}");
    assert!(page.ends_with("... and 1 more\n"), "{page}");
    assert_eq!(page.matches("\n  Pro").count(), ROWS);

    let page = show(hypertext, &contents, &Observed::default());
    for words in [
        "<b>0</b> contacts<",
        "<b>21</b> plans<",
        "<tr><th>customer<th>external_id<th>line_items<th>status\n<tr><td>c1<td>i1<td>2<td>open\n",
        "<p>... and 1 more</p>",
    ] {
        assert!(page.contains(words), "{words}\n{page}");
    }
    assert_eq!(page.matches("<td>Pro").count(), ROWS);
}

#[test]
fn the_rate_stands_beside_what_is_allowed_and_the_last_requests_come_newest_first() {
    let observed = Observed {
        requests: 62,
        now_ms: 61_950,
        in_last_second: 12,
        most_in_one_second: 41,
        in_flight: 3,
        most_in_flight: 19,
        over_rate: 1,
        log: (0..60).map(|n| logged(n * 1_000, "/v1/plans", &format!("page={n}"))).collect(),
        ..Observed::default()
    };
    let page = show(plain, &json!({}), &observed);
    assert!(page.contains("\n62 requests:\n\n  in one second     12 now, 41 at most, 40 allowed, 1 refused\n"), "{page}");
    assert!(page.contains("\n  at once            3 now, 19 at most, 20 allowed, 0 refused\n"), "{page}");
    let lines: Vec<&str> = page.lines().filter(|line| line.contains(" ago ")).collect();
    assert_eq!(lines.len(), REQUESTS);
    assert_eq!(lines[0], "     2.9 s ago  GET    404       /v1/plans?page=59");
    assert_eq!(lines[1], "     3.9 s ago  GET    404       /v1/plans?page=58");

    let page = show(hypertext, &json!({}), &observed);
    for words in [
        "<th>in one second<td><meter min=0 max=40 value=12></meter> 12 now<td><meter min=0 max=40 value=40></meter> 41 at most\
         <td>40 allowed<td>1 refused\n",
        "</meter> 3 now<td><meter min=0 max=20 value=19></meter> 19 at most<td>20 allowed<td>0 refused\n",
        "<td class=number>2.9 s<td>GET<td class=bad>404<td class=path>/v1/plans?page=59\n",
    ] {
        assert!(page.contains(words), "{words}\n{page}");
    }
    assert_eq!(page.matches("<td class=path>").count(), REQUESTS);
}

#[test]
fn nothing_that_came_from_outside_is_taken_for_html() {
    assert_eq!(Escaped(r#"<a href="x">Ä & 'b'</a>"#).to_string(), "&lt;a href=&quot;x&quot;&gt;Ä &amp; &#39;b&#39;&lt;/a&gt;");
    let evil = "<i>&\"'<!-- contents -->";
    let options =
        Options { users: vec![evil.into()], pipelines: vec![super::super::Pipeline::new(evil, &[evil])], ..Options::default() };
    let contents = json!({evil: [{"fields": {evil: evil}}]});
    let mut request = logged(0, evil, evil);
    request.method = evil.into();
    let observed = Observed { log: vec![request], ..Observed::default() };
    let page = hypertext(&View { key: evil, options: &options, contents: &contents, observed: &observed });
    assert!(!page.contains("<i>") && !page.contains("<!-- contents"), "{page}");
    // Kind twice, column, cell; method, path with its query; key, user, pipeline, stage.
    assert_eq!(page.matches("&lt;i&gt;&amp;&quot;&#39;").count(), 11, "{page}");
}

#[test]
fn a_cell_is_short_and_on_one_line() {
    assert_eq!(short(&json!("a\nb")).unwrap(), "a b");
    assert_eq!(short(&json!("x".repeat(40))).unwrap().chars().count(), CELL);
    assert_eq!(short(&json!([])), None);
    assert_eq!(short(&json!(["a", "b"])).unwrap(), "a, b");
    assert_eq!(short(&json!({"seats": 3})).unwrap(), "seats=3");
}

#[tokio::test(start_paused = true)]
async fn now_is_the_second_that_ends_now() {
    use std::time::Duration;
    let sandbox = Sandbox::new(Options { latency: Duration::from_millis(100), ..Options::default() });
    let ping = || sandbox.answer(request("GET /v1/ping", None));
    tokio::join!(ping(), ping());
    tokio::time::advance(Duration::from_millis(900)).await;
    let under_way = tokio::spawn({
        let sandbox = sandbox.clone();
        async move { sandbox.answer(request("GET /v1/ping", None)).await }
    });
    tokio::task::yield_now().await;
    let seen = sandbox.observed();
    assert_eq!((seen.now_ms, seen.in_last_second, seen.in_flight, seen.log.len()), (1_000, 3, 1, 2));
    under_way.await.unwrap();
    let seen = sandbox.observed();
    assert_eq!((seen.in_last_second, seen.in_flight, seen.most_in_one_second), (1, 0, 3));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(sandbox.observed().in_last_second, 0);
}

/// The head and the body of an answer over a socket.
async fn fetched(sandbox: &Sandbox, accept: &str) -> (String, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = sandbox.serve(listener, std::future::pending());
    let asked = async {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\n{accept}\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = tokio::select! {
        answer = asked => answer,
        ended = server => panic!("the server ended: {ended:?}"),
    };
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

#[tokio::test]
async fn a_browser_gets_a_page_that_needs_nothing_else_and_curl_gets_text() {
    let sandbox = Sandbox::new(Options::default());
    customer(&sandbox, "c-1", json!({"name": "<b>Ann & Bob</b>"})).await;
    assert_eq!(send(&sandbox, "GET /v1/nowhere?a=%3Cb%3E", None).await.0, 404);

    let browser = "accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n";
    let (head, body) = fetched(&sandbox, browser).await;
    assert!(head.starts_with("http/1.1 200") && head.contains("content-type: text/html; charset=utf-8"), "{head}");
    assert!(head.contains("content-security-policy: default-src 'none';") && head.contains("cache-control: no-store"), "{head}");
    assert!(body.starts_with("<!doctype html>") && body.contains("http-equiv=\"refresh\""), "{body}");
    assert!(!body.contains("src=") && !body.contains("<script") && !body.contains("<b>Ann"), "{body}");
    for words in [
        "<h2>Requests: 2</h2>",
        " at most<td>40 allowed<td>0 refused",
        "<td>POST<td class=good>201<td class=path>/v1/customers\n",
        "<td>GET<td class=bad>404<td class=path>/v1/nowhere?a=%3Cb%3E\n",
        "<b>1</b> customers<",
        "&lt;b&gt;Ann &amp; Bob&lt;/b&gt;",
        WRITE_KEY,
    ] {
        assert!(body.contains(words), "{words}\n{body}");
    }

    for accept in ["accept: */*\r\n", "accept: application/json\r\n", ""] {
        let (head, body) = fetched(&sandbox, accept).await;
        assert!(head.starts_with("http/1.1 200") && head.contains("content-type: text/plain; charset=utf-8"), "{head}");
        assert!(head.contains("vary: accept"), "{head}");
        for words in ["\n2 requests:\n", "POST   201       /v1/customers\n", "        1 customers\n", "<b>Ann & Bob</b>"] {
            assert!(body.contains(words), "{words}\n{body}");
        }
    }
    assert_eq!(sandbox.observed().requests, 2, "looking at the page counts nowhere");
}
