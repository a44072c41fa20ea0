//! A small company: an account that holds something of everything, and a sync that makes, changes and deletes entries of all
//! objects, with some of what is referred to after what refers to it.
//!
//! What the account holds at the end follows from the rows alone, however the streams run beside each other and wherever a
//! sync that ended before its time begins again: every value has one stream that says it, and nothing is named by its
//! key and by its UUID at once.

use std::collections::BTreeMap;

use destination_chartmogul::sandbox::DATA_SOURCE_UUID;
use serde_json::{Map, Value, json};

use super::{Run, Sync, World, complete, record, state, stream};

/// One line of the input.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    stream: &'static str,
    /// The number of a STATE.
    state: Option<u64>,
    /// It tells of its stream's end.
    completes: bool,
    pub(crate) text: String,
}

/// The streams, each called like its object. What is referred to does not always come first.
const STREAMS: [&str; 18] = [
    "customers",
    "contacts",
    "custom_attributes",
    "tags",
    "customer_merges",
    "plan_groups",
    "plans",
    "line_items",
    "invoices",
    "transactions",
    "subscription_events",
    "subscription_cancellations",
    "subscription_connections",
    "customer_notes",
    "opportunities",
    "tasks",
    "data_sources",
    "api_requests",
];

/// Puts into the account what the rows change, delete and refer to.
pub(crate) fn found(world: &World) {
    let uuid = |made: &Value| made["uuid"].as_str().unwrap().to_owned();
    let ann = world.given_customer("c-1", json!({"name": "Ann Lee", "country": "US"}));
    world.given_customer("c-2", json!({"name": "Bob Lee"}));
    world.given_customer("gone", json!({"name": "Gone Long Ago"}));
    world.given_customer("from", json!({"city": "Rome"}));
    let attribute = json!({"custom": [{"type": "String", "key": "old_key", "value": "old"}]});
    world.must(&format!("POST /customers/{ann}/attributes/custom"), attribute);
    world.must(&format!("POST /customers/{ann}/attributes/tags"), json!({"tags": ["kept", "gone"]}));
    world.given_contact(&ann, json!({"external_id": "k-old", "title": "Clerk"}));
    world.given_contact(&ann, json!({"external_id": "k-gone", "title": "Clerk"}));
    let gold = world.must("POST /plans", with(plan("gold", "Gold"), json!({"data_source_uuid": DATA_SOURCE_UUID})));
    world.must("POST /plan_groups", json!({"name": "Gone Metals", "plans": [uuid(&gold)]}));
    world.must("POST /plan_groups", json!({"name": "Metals", "plans": [uuid(&gold)]}));
    let item = |key: &str, subscription: &str| {
        with(subscribed(key, subscription), json!({"plan_uuid": uuid(&gold), "subscription_external_id": subscription}))
    };
    let invoice = |key: &str, items: Value| {
        json!({"external_id": key, "date": "2026-01-01T00:00:00Z", "currency": "USD", "line_items": items,
            "transactions": [{"type": "payment", "external_id": format!("{key}-paid"), "date": "2026-01-02T00:00:00Z", "result": "failed"}]})
    };
    let items = json!([item("li-1", "s-1"), item("li-2", "s-2"), one_time("li-gone", 300)]);
    let invoices = [invoice("i-1", items), invoice("i-gone", json!([one_time("li-x", 100)]))];
    world.must(&format!("POST /import/customers/{ann}/invoices"), json!({"invoices": invoices}));
    for key in ["e-old", "e-gone"] {
        let event = with(event(key, "c-1", key, "gold"), json!({"data_source_uuid": DATA_SOURCE_UUID}));
        world.must("POST /subscription_events", json!({"subscription_event": event}));
    }
    for name in ["old", "gone"] {
        let of_ann = json!({"customer_uuid": ann});
        world.must("POST /customer_notes", with(keyless(note(name)), of_ann.clone()));
        world.must("POST /opportunities", with(keyless(opportunity(name)), of_ann.clone()));
        world.must("POST /tasks", with(keyless(task(name, "2026-05-01")), of_ann));
    }
}

fn with(mut row: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("{more}") };
    row.as_object_mut().unwrap().extend(more);
    row
}

/// The row as the API takes it, without the column that says whose it is.
fn keyless(mut row: Value) -> Value {
    row.as_object_mut().unwrap().shift_remove("customer_external_id");
    row
}

fn plan(key: &str, name: &str) -> Value {
    json!({"external_id": key, "name": name, "interval_count": 1, "interval_unit": "month"})
}

fn one_time(key: &str, amount: u64) -> Value {
    json!({"type": "one_time", "external_id": key, "amount_in_cents": amount})
}

fn subscribed(key: &str, subscription: &str) -> Value {
    json!({"type": "subscription", "external_id": key, "subscription_external_id": subscription, "amount_in_cents": 9900,
        "service_period_start": "2026-01-01T00:00:00Z", "service_period_end": "2026-02-01T00:00:00Z"})
}

fn event(key: &str, customer: &str, subscription: &str, plan: &str) -> Value {
    json!({"external_id": key, "customer_external_id": customer, "event_type": "subscription_start", "plan_external_id": plan,
        "event_date": "2026-01-01T00:00:00Z", "effective_date": "2026-01-01T00:00:00Z", "currency": "USD",
        "subscription_external_id": subscription, "amount_in_cents": 500, "quantity": 1})
}

fn note(name: &str) -> Value {
    json!({"customer_external_id": "c-1", "type": "note", "text": format!("a note called {name}"), "created_at": "2026-01-05T10:00:00Z",
        "author_email": "owner@example.com"})
}

fn opportunity(name: &str) -> Value {
    json!({"customer_external_id": "c-1", "owner": "owner@example.com", "pipeline": "New Business", "currency": "USD",
        "pipeline_stage": "Discovery", "estimated_close_date": "2027-01-01", "amount_in_cents": 1000 + name.len()})
}

fn task(name: &str, due: &str) -> Value {
    json!({"customer_external_id": "c-1", "task_details": format!("a task called {name}"), "assignee": "owner@example.com", "due_date": due})
}

fn deleted(row: Value) -> Value {
    with(row, json!({"_ab_cdc_deleted_at": "2026-06-01T00:00:00Z"}))
}

fn of(customer: &str, row: Value) -> Value {
    with(row, json!({"customer_external_id": customer}))
}

/// The rows, those of a stream in their order.
fn rows(world: &World) -> BTreeMap<&'static str, Vec<Value>> {
    let bob = world.customer("c-2")["uuid"].clone();
    let parts = json!([
        with(subscribed("i-2-a", "s-5"), json!({"plan_external_id": "silver"})),
        {"type": "one_time", "amount_in_cents": 700, "description": "a setup without a key"},
    ]);
    let payment = json!({"type": "payment", "date": "2026-01-02", "result": "successful"});
    let rows: [(&'static str, Vec<Value>); 18] = [
        (
            "customers",
            vec![
                json!({"external_id": "c-3", "name": "Cy Poe", "seats": 3, "active": true, "tags": ["first", "second"], "country": "DE"}),
                json!({"external_id": "c-1", "name": "Ann Other", "seats": 5}),
                deleted(json!({"external_id": "gone"})),
                json!({"external_id": "c-3", "name": "Cy Other", "seats": 4}),
                json!({"external_id": "c-4", "name": "Di Roe", "email": "di@roe.example"}),
            ],
        ),
        (
            "contacts",
            vec![
                json!({"customer_external_id": "c-3", "external_id": "k-1", "title": "CTO"}),
                json!({"customer_external_id": "c-4", "email": "eve@roe.example", "phone": "12 34 56"}),
                json!({"customer_external_id": "c-1", "first_name": "Nothing", "last_name": "Unique"}),
                deleted(json!({"customer_external_id": "c-1", "external_id": "k-gone"})),
                json!({"customer_external_id": "c-1", "external_id": "k-old", "title": "Chief Clerk"}),
                json!({"customer_external_id": "c-3", "external_id": "k-1", "title": "CEO"}),
            ],
        ),
        (
            "custom_attributes",
            vec![
                json!({"customer_external_id": "c-4", "key": "row_key", "value": 3}),
                deleted(json!({"customer_external_id": "c-1", "key": "old_key"})),
                json!({"customer_external_id": "c-4", "key": "row_key", "value": 5}),
            ],
        ),
        (
            "tags",
            vec![
                json!({"customer_external_id": "c-4", "tag": "vip"}),
                json!({"customer_external_id": "c-1", "tag": "gone", "remove": true}),
                json!({"customer_external_id": "c-3", "tag": "third"}),
            ],
        ),
        ("customer_merges", vec![json!({"from_external_id": "from", "into_external_id": "c-1"})]),
        ("plans", vec![plan("silver", "Silver"), plan("gold", "Gold Renamed"), plan("tin", "Tin")]),
        (
            "plan_groups",
            vec![
                json!({"name": "Light Metals", "plan_external_ids": ["tin"]}),
                json!({"name": "Metals", "plan_external_ids": ["gold", "silver"]}),
                deleted(json!({"name": "Gone Metals"})),
            ],
        ),
        (
            "invoices",
            vec![
                json!({"customer_external_id": "c-3", "external_id": "i-2", "date": "2026-01-01", "currency": "EUR", "line_items": parts,
                    "transactions": [with(payment.clone(), json!({"external_id": "i-2-p", "amount_in_cents": 100}))]}),
                json!({"customer_external_id": "c-4", "external_id": "i-3", "date": "2026-01-03", "currency": "EUR"}),
                json!({"customer_external_id": "c-1", "external_id": "i-1", "date": "2026-01-01", "currency": "USD", "due_date": "2026-02-01"}),
                deleted(json!({"external_id": "i-gone"})),
            ],
        ),
        (
            "line_items",
            vec![
                with(subscribed("i-3-a", "s-6"), json!({"invoice_external_id": "i-3", "plan_external_id": "gold"})),
                with(one_time("i-1-new", 250), json!({"invoice_external_id": "i-1"})),
                json!({"invoice_external_id": "i-2", "type": "one_time", "amount_in_cents": 777, "description": "one more"}),
                deleted(json!({"invoice_external_id": "i-1", "external_id": "li-gone"})),
                with(one_time("i-1-new", 350), json!({"invoice_external_id": "i-1"})),
            ],
        ),
        (
            "transactions",
            vec![
                with(payment.clone(), json!({"invoice_external_id": "i-3", "external_id": "i-3-p"})),
                with(payment.clone(), json!({"invoice_external_id": "i-1", "amount_in_cents": 60})),
                deleted(json!({"invoice_external_id": "i-1", "external_id": "i-1-paid"})),
            ],
        ),
        (
            "subscription_events",
            vec![
                event("e-1", "c-4", "s-7", "tin"),
                with(event("e-old", "c-1", "e-old", "gold"), json!({"amount_in_cents": 900})),
                deleted(json!({"external_id": "e-gone"})),
                with(event("e-1", "c-4", "s-7", "tin"), json!({"quantity": 4})),
            ],
        ),
        (
            "subscription_cancellations",
            vec![
                json!({"customer_external_id": "c-1", "subscription_external_id": "s-1", "cancelled_at": "2026-03-01T00:00:00Z"}),
                json!({"customer_external_id": "c-4", "subscription_external_id": "s-7", "cancelled_at": "2026-04-01T00:00:00Z"}),
            ],
        ),
        ("subscription_connections", vec![json!({"customer_external_id": "c-1", "subscription_external_ids": ["s-1", "s-2"]})]),
        (
            "customer_notes",
            vec![
                of("c-3", note("new")),
                deleted(note("gone")),
                of(
                    "c-4",
                    json!({"type": "call", "text": "a call without a date", "call_duration": 60, "author_email": "owner@example.com"}),
                ),
            ],
        ),
        (
            "opportunities",
            vec![of("c-3", opportunity("new one")), deleted(opportunity("gone")), of("c-4", opportunity("another"))],
        ),
        ("tasks", vec![of("c-4", task("new", "2027-01-01")), task("old", "2027-02-02"), deleted(task("gone", "2026-05-01"))]),
        ("data_sources", vec![json!({"name": "Another Source"})]),
        (
            "api_requests",
            vec![
                json!({"method": "GET", "path": "/ping"}),
                json!({"method": "PATCH", "path": format!("/customers/{}", bob.as_str().unwrap()), "body": {"company": "Raw Company"}}),
            ],
        ),
    ];
    rows.into()
}

/// More of what goes in bulk: customers with an invoice each.
fn bulk() -> BTreeMap<&'static str, Vec<Value>> {
    let customers = (0..12).map(|n| json!({"external_id": format!("b-{n}"), "name": format!("Bulk Number {n}")}));
    let invoices = (0..6).map(|n| {
        json!({"customer_external_id": format!("b-{n}"), "external_id": format!("b-{n}-i"), "date": "2026-01-01", "currency": "EUR",
            "line_items": [one_time(&format!("b-{n}-li"), 100)]})
    });
    BTreeMap::from([("customers", customers.collect()), ("invoices", invoices.collect())])
}

/// The whole input. Streams take turns, a STATE comes after every second record of one, and COMPLETE at the end of each.
pub(crate) fn input(world: &World, in_bulk: bool) -> Vec<Line> {
    let mut rows = rows(world);
    if in_bulk {
        for (stream, more) in bulk() {
            rows.get_mut(stream).unwrap().extend(more);
        }
    }
    let line = |stream, state, completes, text| Line { stream, state, completes, text };
    let mut lines = Vec::new();
    let most = rows.values().map(Vec::len).max().unwrap();
    for at in 0..most {
        for name in STREAMS {
            let Some(row) = rows[name].get(at) else { continue };
            lines.push(line(name, None, false, record(name, row.clone())));
            if at % 2 == 1 || at + 1 == rows[name].len() {
                let number = at as u64 + 1;
                lines.push(line(name, Some(number), false, state(name, number)));
            }
        }
    }
    lines.extend(STREAMS.map(|name| line(name, None, true, complete(name))));
    lines
}

pub(crate) fn texts(lines: &[Line]) -> Vec<String> {
    lines.iter().map(|line| line.text.clone()).collect()
}

/// What the source sends again: of each stream everything after its last STATE that came out.
pub(crate) fn rest(lines: &[Line], run: &Run) -> Vec<Line> {
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for message in run.of_type("STATE") {
        let name = message["state"]["stream"]["stream_descriptor"]["name"].as_str().unwrap();
        last.insert(name, message["state"]["id"].as_u64().unwrap());
    }
    let mut covered: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, line) in lines.iter().enumerate() {
        if line.state.is_some() && last.get(line.stream) == line.state.as_ref() {
            covered.insert(line.stream, at);
        }
    }
    let is_covered = |at: usize, line: &Line| !line.completes && covered.get(line.stream).is_some_and(|last| at <= *last);
    lines.iter().enumerate().filter(|(at, line)| !is_covered(*at, line)).map(|(_, line)| line.clone()).collect()
}

/// A sync of all streams, told of generations, so that an input that breaks off is known for that.
pub(crate) fn sync<'w>(world: &'w World, config: &Value) -> Sync<'w> {
    let settings = json!({
        "deletions": {"policy": "delete", "max_deletes": 1000, "max_percent": 100},
        "streams": [{"stream": "tasks", "match": "task_details"}],
    });
    let streams = STREAMS.map(|name| stream(name).generations(4, 0));
    streams.into_iter().fold(world.sync().config(settings).config(config.clone()), Sync::stream)
}

/// What an account holds, whatever the order in which it came.
pub(crate) fn contents(world: &World) -> Value {
    sorted(&world.contents())
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            // Positions of contacts tell in which order they were made.
            let mut members: Vec<(String, Value)> =
                members.iter().filter(|(key, _)| *key != "position").map(|(key, value)| (key.clone(), sorted(value))).collect();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(members.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(sorted).collect();
            list.sort_by_cached_key(Value::to_string);
            list.into()
        }
        value => value.clone(),
    }
}

/// What one account has and the other has not, in words; nothing where they are equal.
pub(crate) fn difference(got: &Value, wanted: &Value) -> Option<String> {
    let list = |all: &Value, kind: &String| all[kind].as_array().cloned().unwrap_or_default();
    let kinds = got.as_object().unwrap().keys().chain(wanted.as_object().unwrap().keys());
    let mut words = Vec::new();
    for kind in kinds.collect::<std::collections::BTreeSet<_>>() {
        let mut missing = list(wanted, kind);
        for entry in list(got, kind) {
            match missing.iter().position(|other| *other == entry) {
                Some(at) => drop(missing.remove(at)),
                None => words.push(format!("{kind} too much: {entry}")),
            }
        }
        words.extend(missing.iter().map(|entry| format!("{kind} missing: {entry}")));
    }
    (!words.is_empty()).then(|| words.join("\n"))
}
