//! Nothing of a record gets into the log, whatever becomes of it, at the most talkative level.
//!
//! Rows of every object have a marker in each field, in all that is logged it is looked for. That no secret is seen is a law
//! of every run, see `harness/laws.rs`.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request as Asked, State};
use axum::http::{Response, header};
use destination_chartmogul::objects::resource::{Field, Kind};
use destination_chartmogul::objects::{OBJECTS, Object};
use destination_chartmogul::sandbox::{Answer, Request, Sandbox};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::harness::{Run, Stream, World, on_the_side, record, state, stream};

/// Stands in every text, in any case; and instead of it in numbers, dates and codes.
const MARKERS: &[&str] = &["zq9", "7070707", "2037-07-07"];

/// A value of the field's kind with a marker in it.
fn marked(kind: &Kind, at: usize) -> Value {
    match kind {
        Kind::Text | Kind::ExternalId | Kind::Scalar | Kind::Short(_) => format!("Zq9 value-{at}").into(),
        Kind::Code(_) => format!("Zq9{at}").into(),
        Kind::Uuid(prefix) => format!("{prefix}2037-07-07-zq9-{at}").into(),
        Kind::Email => format!("zq9-{at}@lee.example").into(),
        Kind::Url => format!("https://zq9-{at}.example/").into(),
        Kind::Timestamp => "2037-07-07T01:02:03Z".into(),
        Kind::Date => "2037-07-07".into(),
        Kind::Integer(..) | Kind::Cents => 7_070_707.into(),
        Kind::Country => "DE".into(),
        Kind::State => "US-CA".into(),
        Kind::Currency => "USD".into(),
        Kind::Boolean => true.into(),
        // A word that stands in our own words too is no secret.
        Kind::OneOf(words) => words[0].into(),
        Kind::Tags => json!([format!("zq9 tag-{at}"), "zq9 tag"]),
        Kind::Attributes => json!({"plain": format!("zq9 attribute-{at}"), "count": 7_070_707}),
        Kind::Object(fields) => row(fields.iter(), at),
        Kind::List(fields) => json!([row(fields.iter(), at)]),
        Kind::Many(kind) => json!([marked(kind, at)]),
        Kind::Json => json!({"member": ["zq9 item"]}),
    }
}

fn row<'f>(fields: impl Iterator<Item = &'f Field>, at: usize) -> Value {
    fields.map(|field| (field.name.to_owned(), marked(&field.kind, at))).collect::<Map<_, _>>().into()
}

/// Rows of an object: all fields right by themselves, one field each left out or broken, everything broken, and those that
/// are few enough fields to be sent.
fn rows(object: &dyn Object) -> Vec<Value> {
    let fields = || object.resource().all_fields();
    let mut rows: Vec<Value> = (0..3).map(|at| row(fields(), at)).collect();
    for (at, field) in fields().enumerate() {
        for value in [Value::Null, json!({"member": "Zq9 nested value"}), json!(["Zq9 item"]), "Zq9 broken value".into()] {
            let mut broken = row(fields().filter(|field| field.required), at);
            broken[field.name] = value;
            rows.push(broken);
        }
    }
    rows.push(fields().map(|field| (field.name.to_owned(), json!("zq9 wrong type"))).collect::<Map<_, _>>().into());
    rows.push(json!({"odd_column": "zq9 unknown value", "odd column": [7_070_707]}));
    rows
}

/// Rows that are sent as they are.
fn sound() -> Vec<(&'static str, Value)> {
    let invoice = |n: usize| {
        json!({"external_id": format!("zq9 invoice-{n}"), "customer_external_id": "zq9 customer-1", "date": "2037-07-07",
            "currency": "USD"})
    };
    let line = |n: usize| {
        json!({"invoice_external_id": format!("zq9 invoice-{n}"), "type": "one_time", "external_id": format!("zq9 line-{n}"),
            "amount_in_cents": 7_070_707, "description": "Zq9 Thing, sold"})
    };
    let customer = |n: usize| {
        json!({"external_id": format!("zq9 customer-{n}"), "name": "Zq9 Trading Company", "email": "zq9@lee.example", "city": "Zq9ville",
            "seats": 7_070_707, "tags": ["zq9 vip"], "plain": "Zq9 Words"})
    };
    let mut rows = vec![("customers", customer(1)), ("customers", customer(2))];
    rows.extend((1..4).flat_map(|n| [("invoices", invoice(n)), ("line_items", line(n))]));
    let child = |more: Value| {
        let mut row = json!({"customer_external_id": "zq9 customer-1"});
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    rows.extend([
        ("contacts", child(json!({"email": "zq9-contact@lee.example", "title": "Zq9 Officer", "first_name": "Zq9ann"}))),
        ("tags", child(json!({"tag": "zq9 one"}))),
        ("tags", child(json!({"tag": "zq9 two"}))),
        ("custom_attributes", child(json!({"key": "plain", "value": "zq9 three"}))),
        ("custom_attributes", child(json!({"key": "zq9_key", "value": 7_070_707}))),
        ("custom_attributes", child(json!({"key": "zq9 bad key!", "value": 7_070_707}))),
        ("plans", json!({"external_id": "zq9 plan", "name": "Zq9 Plan", "interval_count": 1, "interval_unit": "month"})),
        ("plan_groups", json!({"name": "Zq9 Group", "plan_external_ids": ["zq9 plan"]})),
        ("customer_notes", child(json!({"type": "note", "text": "Zq9 said so", "created_at": "2037-07-07T00:00:00Z"}))),
        (
            "subscription_events",
            child(json!({"external_id": "zq9 event", "event_type": "subscription_start", "event_date": "2037-07-07",
                "effective_date": "2037-07-07", "subscription_external_id": "zq9 subscription", "plan_external_id": "zq9 plan",
                "currency": "USD", "amount_in_cents": 7_070_707, "quantity": 1})),
        ),
        ("tasks", child(json!({"task_details": "Zq9 call", "assignee": "zq9@lee.example", "due_date": "2037-07-07"}))),
        ("customer_merges", json!({"from_external_id": "zq9 customer-2", "into_external_id": "zq9 customer-1"})),
        ("data_sources", json!({"name": "Zq9 Source"})),
        (
            "api_requests",
            json!({"method": "POST", "path": "/customers/zq9-path", "query": {"page": "zq9 query"}, "body": {"name": "Zq9 Body"}}),
        ),
    ]);
    rows
}

/// A sync of all of it, at the most talkative level.
fn sync(world: &World, config: &Value, rows: impl Iterator<Item = (&'static str, Value)>) -> Run {
    let streams = || OBJECTS.iter().map(|object| object.resource().name);
    let sync = streams().fold(world.sync().config(config.clone()), |sync, name| sync.stream(all_known(stream(name))));
    let lines: Vec<String> = rows.map(|(stream, row)| record(stream, row)).collect();
    sync.lines(lines).lines(streams().zip(1..).map(|(name, n)| state(name, n))).env("LOG_LEVEL", "TRACE").run()
}

/// Its own key, not the column `id`, which no row has.
fn all_known(stream: Stream) -> Stream {
    stream.key(&[])
}

#[track_caller]
fn says_nothing_of_records(run: &Run) {
    let errors = run.errors().into_iter().map(|error| error["trace"]["error"].to_string());
    for text in run.logs().map(str::to_owned).chain(errors) {
        let lower = text.to_lowercase();
        assert!(!MARKERS.iter().any(|marker| lower.contains(marker)), "a value is logged: {text}");
    }
}

fn lax() -> Value {
    json!({"stop_when_rejected": {"percent": 100, "after": 1_000_000}, "limits": {"requests_per_second": 5000, "give_up_after_minutes": 0}})
}

#[test]
fn valid_and_refused_rows_of_every_object_leave_no_value_in_the_log() {
    for more in [json!({}), json!({"unknown_fields": "reject"}), json!({"mode": "insert", "nulls": "clear"})] {
        let world = World::new();
        let config = more_lax(&more);
        let all = OBJECTS.iter().flat_map(|object| rows(*object).into_iter().map(|row| (object.resource().name, row)));
        let run = sync(&world, &config, sound().into_iter().chain(all)).succeeded();
        assert!(run.logs().count() > 50, "little was logged: {run}");
        says_nothing_of_records(&run);
    }
}

#[test]
fn faults_of_the_server_bring_no_value_into_the_log() {
    for faults in [
        "* rate=0.3 status=422",
        "POST rate=0.3 status=404\nPATCH x* status=400",
        "* skip=9 rate=0.1 garbage",
        "* skip=12 x* reset",
    ] {
        let world = World::new();
        world.fault(faults);
        let run = sync(&world, &lax(), sound().into_iter().chain(sound()));
        assert!(matches!(run.code, Some(0 | 1)), "{run}");
        says_nothing_of_records(&run);
    }
}

#[test]
fn an_api_that_quotes_all_it_was_sent_brings_no_value_into_the_log() {
    for form in 0..FORMS {
        let world = World::new();
        world.given_customer("zq9 customer-1", json!({}));
        let mut config = lax();
        config["base_url"] = quoting(&world, form).into();
        let run = sync(&world, &config, sound().into_iter()).succeeded();
        assert!(run.logged(&["API_REFUSED"]), "{run}");
        says_nothing_of_records(&run);
    }
}

#[test]
fn secrets_of_the_store_are_not_seen_where_it_repeats_them() {
    // The law of every run looks for them; a store that answers in words that hold what it was sent tries it.
    let world = World::new();
    let address = quoting(&world, 0);
    let hook = json!({"storage_type": "Webhook", "url": format!("{address}/hook"), "authorization": "Bearer t0ken-of-the-hook"});
    let bucket = json!({"storage_type": "S3", "s3_bucket_name": "kept-here", "s3_bucket_region": "us-east-1", "s3_endpoint": address,
        "access_key_id": "AKIAOFTHESTORE", "secret_access_key": "sh0uld/never+be+seen"});
    for more in [json!({"receipts": hook}), json!({"object_storage_config": bucket})] {
        let config = world.config(more_lax(&more));
        let run = world.with_config("check", &config).env("LOG_LEVEL", "TRACE").run().succeeded();
        assert_eq!(run.only("CONNECTION_STATUS")["connectionStatus"]["status"], "FAILED", "{run}");
        let run = sync(&world, &more_lax(&more), sound().into_iter().chain([("customers", json!({"name": "Zq9 No Key"}))]));
        run.failed("config_error", "STORE_REFUSED");
        says_nothing_of_records(&run);
    }
}

fn more_lax(more: &Value) -> Value {
    let mut config = lax();
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

/// Forms in which [`quoting`] answers.
const FORMS: usize = 5;

/// The address of an API that shows what is there and refuses every write in words that hold what the request held.
fn quoting(world: &World, form: usize) -> String {
    let sandbox = world.sandbox.clone();
    on_the_side(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(quote).with_state((sandbox, form));
        tokio::spawn(async move { axum::serve(listener, app).await });
        format!("http://{address}/v1")
    })
}

async fn quote(State((sandbox, form)): State<(Sandbox, usize)>, asked: Asked) -> Response<Body> {
    let (head, body) = asked.into_parts();
    let body: Bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let told = match head.method.as_str() {
        "GET" => {
            let text = |name: header::HeaderName| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            let request = Request {
                method: "GET".to_owned(),
                path: head.uri.path().to_owned(),
                query: head.uri.query().unwrap_or_default().to_owned(),
                authorization: text(header::AUTHORIZATION),
                body: Bytes::new(),
            };
            match sandbox.answer(request).await {
                Answer::Response { status, body, .. } => (status, body.to_vec()),
                Answer::Dropped => (500, Vec::new()),
            }
        }
        _ => (422, quoted(form, &head.uri.to_string(), &String::from_utf8_lossy(&body)).into_bytes()),
    };
    let (status, body) = told;
    Response::builder().status(status).header(header::CONTENT_TYPE, "application/json").body(body.into()).unwrap()
}

/// The request's values in one of the forms that error bodies have.
fn quoted(form: usize, uri: &str, body: &str) -> String {
    let values = |given: &Value| {
        let mut texts = Vec::new();
        collect(given, &mut texts);
        texts
    };
    let texts = values(&serde_json::from_str(body).unwrap_or_default());
    match form {
        0 => format!("We do not take {body} at {uri}"),
        1 => {
            let errors: Map<String, Value> =
                texts.iter().map(|text| (text.clone(), json!([format!("{text} is not what \"{text}\" should be")]))).collect();
            json!({"errors": errors}).to_string()
        }
        2 => json!({"message": texts.join(" and ").to_uppercase(), "param": texts.last(), "code": texts.first()}).to_string(),
        3 => json!({"error": format!("({})", texts.join("),("))}).to_string(),
        // Half of every text.
        _ => {
            let half = |text: &String| text.split_inclusive(' ').next_back().unwrap_or_default().to_owned();
            json!({"invoices": [{"errors": {"external_id": texts.iter().map(half).collect::<Vec<_>>()}}], "error": texts.iter().map(half).collect::<String>()}).to_string()
        }
    }
}

fn collect(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Number(number) => into.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        Value::Object(members) => members.values().for_each(|member| collect(member, into)),
        _ => {}
    }
}
