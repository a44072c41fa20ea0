//! Every object against the sandbox: what the tables of fields allow is taken, and of a record with one broken field exactly
//! that field is named.
//!
//! More cases than a run of all tests has time for: `RECORD_CASES=1000 cargo test --lib record_tests`.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use super::resource::{Field, Kind};
use super::tests::broken;
use super::{OBJECTS, Object};
use crate::engine::testing::{Ran, catalog, record, run, settings};
use crate::sandbox::{DATA_SOURCE_UUID, Options, Sandbox};

/// Fields whose values other rules fix: they stay as the row has them, or are left out.
const PINNED: &[&str] = &[
    // Keys and names of what the test put there.
    "name",
    "subscription_external_ids",
    "plan_external_ids",
    "plans",
    "uuid",
    "id",
    "key",
    "method",
    "path",
    "query",
    "body",
    // One says what the others may be, or the order of two.
    "type",
    "event_type",
    "pipeline",
    "pipeline_stage",
    "retracted_event_id",
    "call_duration",
    "service_period_start",
    "service_period_end",
    "cancelled_at",
    "cancellation_dates",
    "remove",
    "disconnect",
    "status",
    "state",
    "plan_external_id",
    "subscription_external_id",
    "subscription_set_external_id",
    "plan_uuid",
    "value",
    // Its contact has a key of its own.
    "primary_contact",
];

/// E-mail addresses that have to be those of users.
const USERS: &[&str] = &["owner", "assignee", "author_email"];

/// A row that makes something of what stands in the sandbox.
fn row(object: &dyn Object, at: u64) -> Value {
    match object.resource().name {
        "customers" => json!({"external_id": format!("c-{at}")}),
        "contacts" => json!({"customer_external_id": "c-1001", "external_id": format!("k-{at}")}),
        "custom_attributes" => json!({"customer_external_id": "c-1001", "key": format!("a_{at}"), "value": at}),
        "tags" => json!({"customer_external_id": "c-1001", "tag": format!("t-{at}")}),
        "customer_merges" => json!({"from_external_id": "c-1001", "into_external_id": "c-1002"}),
        "plans" => {
            json!({"external_id": format!("p-{at}"), "name": format!("P {at}"), "interval_count": 1, "interval_unit": "month"})
        }
        "plan_groups" => json!({"name": format!("G {at}"), "plan_external_ids": ["gold", "silver"]}),
        "invoices" => json!({"customer_external_id": "c-1001", "external_id": format!("i-{at}"), "date": "2026-01-01",
            "currency": "USD", "line_items": [item(at), {"type": "one_time", "amount_in_cents": 500}],
            "transactions": [transaction(at)]}),
        "line_items" => {
            let mut row = item(at);
            row["invoice_external_id"] = json!("inv");
            row["external_id"] = json!(format!("li-{at}"));
            row
        }
        "transactions" => {
            let mut row = transaction(at);
            row["invoice_external_id"] = json!("inv");
            row["external_id"] = json!(format!("tr-{at}"));
            row
        }
        "subscription_events" => json!({"external_id": format!("e-{at}"), "customer_external_id": "c-1001",
            "event_type": "subscription_start", "event_date": "2026-01-01", "effective_date": "2026-01-01",
            "subscription_external_id": "s-1", "plan_external_id": "gold", "currency": "USD", "amount_in_cents": 100}),
        "subscription_cancellations" => json!({"customer_external_id": "c-1001", "subscription_external_id": "s-1",
            "cancelled_at": format!("2026-03-{:02}", at % 29 + 1)}),
        "subscription_connections" => json!({"customer_external_id": "c-1001", "subscription_external_ids": ["s-1", "s-2"]}),
        "customer_notes" => json!({"customer_external_id": "c-1001", "type": "note", "text": format!("{at}")}),
        "opportunities" => json!({"customer_external_id": "c-1001", "owner": "owner@example.com", "pipeline": "New Business",
            "pipeline_stage": "Discovery", "estimated_close_date": "2026-03-30", "currency": "USD", "amount_in_cents": at}),
        "tasks" => json!({"customer_external_id": "c-1001", "task_details": format!("{at}"), "assignee": "owner@example.com",
            "due_date": "2026-04-30"}),
        "data_sources" => json!({"name": format!("D {at}")}),
        "api_requests" => json!({"method": "GET", "path": "/ping"}),
        other => panic!("{other} has no row: add one"),
    }
}

fn item(at: u64) -> Value {
    json!({"type": "subscription", "external_id": format!("item-{at}"), "subscription_external_id": "s-1", "plan_external_id": "gold",
        "service_period_start": "2026-01-01", "service_period_end": "2026-02-01", "amount_in_cents": 100_000})
}

fn transaction(at: u64) -> Value {
    json!({"type": "payment", "external_id": format!("transaction-{at}"), "date": "2026-01-02", "result": "successful",
        "amount_in_cents": 10})
}

/// A sandbox with what the rows refer to.
async fn furnished() -> Sandbox {
    let sandbox = Sandbox::new(Options::default());
    let object = |name| super::find(name).unwrap();
    let mut invoice = row(object("invoices"), 1000);
    invoice["external_id"] = json!("inv");
    let mut other = row(object("subscription_events"), 0);
    other["external_id"] = json!("e-other");
    other["subscription_external_id"] = json!("s-2");
    let rows = [
        ("customers", json!({"external_id": "c-1001"})),
        ("customers", json!({"external_id": "c-1002"})),
        ("plans", json!({"external_id": "gold", "name": "Gold", "interval_count": 1, "interval_unit": "month"})),
        ("plans", json!({"external_id": "silver", "name": "Silver", "interval_count": 1, "interval_unit": "year"})),
        ("invoices", invoice),
        ("subscription_events", row(object("subscription_events"), 0)),
        ("subscription_events", other),
    ];
    let input: String = rows.iter().map(|(stream, row)| record(stream, row)).collect();
    let ran =
        run(&sandbox, &settings(&json!({})), &catalog(&["customers", "plans", "invoices", "subscription_events"]), input).await;
    ran.assert_sound();
    assert_eq!(ran.count("created"), 7);
    sandbox
}

/// Values that a field takes, as a source may write them; `None` where the table does not say which.
fn values(field: &Field) -> Option<BoxedStrategy<Value>> {
    let text = "[a-zA-Z0-9äß€'\"<&-]([a-zA-Z0-9 ]{0,8}[a-z])?";
    let days = || (2015..2024, 1..13, 1..29).prop_map(|(year, month, day)| format!("{year}-{month:02}-{day:02}"));
    if USERS.contains(&field.name) {
        return Some(select(&["owner@example.com", "second.owner@example.com"][..]).prop_map(Value::from).boxed());
    }
    Some(match &field.kind {
        Kind::Text => prop_oneof![text.prop_map(Value::from), (0..100_000).prop_map(Value::from)].boxed(),
        Kind::ExternalId => {
            prop_oneof!["[a-zA-Z0-9/ %?&_-]{0,6}[a-z]".prop_map(Value::from), (0..9).prop_map(Value::from)].boxed()
        }
        Kind::Email => "[a-zA-Z.+]{0,5}[a-z]@[a-z]{1,8}\\.test".prop_map(Value::from).boxed(),
        Kind::Url => "https://[a-z]{1,8}\\.test/[a-z]{0,5}".prop_map(Value::from).boxed(),
        Kind::Country => select(&["US", "de", "GB"][..]).prop_map(Value::from).boxed(),
        Kind::Timestamp => {
            let times = (days(), 0..24, 0..60).prop_map(|(day, hour, minute)| format!("{day}T{hour:02}:{minute:02}:00+02:00"));
            prop_oneof![days(), times].prop_map(Value::from).boxed()
        }
        Kind::Date => days().prop_map(Value::from).boxed(),
        Kind::Integer(least, most) => ((*least).max(1)..(*most).min(1000)).prop_map(Value::from).boxed(),
        Kind::Cents if field.required => (100_000..200_000).prop_map(Value::from).boxed(),
        Kind::Cents => prop_oneof![(-500..10_000).prop_map(Value::from), (0..99).prop_map(|n: i32| n.to_string().into())].boxed(),
        Kind::Currency => select(&["USD", "eur", "JPY"][..]).prop_map(Value::from).boxed(),
        Kind::Boolean => {
            prop_oneof![any::<bool>().prop_map(Value::from), select(&["yes", "f"][..]).prop_map(Value::from)].boxed()
        }
        Kind::Short(most) => prop::string::string_regex(&format!("[a-zé]{{1,{most}}}")).unwrap().prop_map(Value::from).boxed(),
        Kind::Code(most) => {
            prop::string::string_regex(&format!("[a-zA-Z0-9]{{1,{most}}}")).unwrap().prop_map(Value::from).boxed()
        }
        Kind::OneOf(words) => select(*words).prop_map(Value::from).boxed(),
        Kind::Tags => prop::collection::vec("[a-z ]{0,3}[a-z]", 0..3).prop_map(Value::from).boxed(),
        Kind::Attributes => (0..9).prop_map(|seats| json!({"seats": seats})).boxed(),
        Kind::Uuid("ds_") => Just(json!(DATA_SOURCE_UUID)).boxed(),
        Kind::Uuid(_) | Kind::State | Kind::Object(_) | Kind::List(_) | Kind::Many(_) | Kind::Scalar | Kind::Json => return None,
    })
}

/// Fields of a table with values for some of them, but for those that others rely on.
fn some_of(fields: impl Iterator<Item = &'static Field>, but: &'static [&'static str]) -> BoxedStrategy<Map<String, Value>> {
    let free = fields.filter(|field| !PINNED.contains(&field.name) && !but.contains(&field.name));
    let one = |field: &'static Field| {
        let value = values(field)?;
        Some(prop::option::of(value).prop_map(|value| value.map(|value| (field.name.to_owned(), value))).boxed())
    };
    free.filter_map(one).collect::<Vec<_>>().prop_map(|given| given.into_iter().flatten().collect()).boxed()
}

/// Keys and references stand in the row; amounts of transactions have to stay within those of line items.
const OF_ROWS: &[&str] =
    &["external_id", "customer_external_id", "invoice_external_id", "from_external_id", "into_external_id", "tag"];
const OF_TRANSACTIONS: &[&str] = &["external_id", "invoice_external_id", "amount_in_cents"];

/// Rows of an object, each with some of its fields, and of its lists' entries.
fn rows(object: &'static dyn Object) -> BoxedStrategy<Value> {
    let resource = object.resource();
    let but = if resource.name == "transactions" { OF_TRANSACTIONS } else { OF_ROWS };
    let lists = resource.fields.iter().filter_map(|field| match &field.kind {
        Kind::List(fields) => {
            let but = if field.name == "transactions" { OF_TRANSACTIONS } else { OF_ROWS };
            Some(some_of(fields.iter(), but).prop_map(|entry| (field.name, entry)).boxed())
        }
        _ => None,
    });
    (0..40_u64, some_of(resource.all_fields(), but), lists.collect::<Vec<_>>())
        .prop_map(move |(at, given, lists)| {
            let mut row = row(object, at);
            row.as_object_mut().unwrap().extend(given);
            for (list, entry) in lists {
                row[list][0].as_object_mut().unwrap().extend(entry);
            }
            row
        })
        .boxed()
}

/// The row with one of its fields broken, and the field's place.
fn with_one_broken(object: &dyn Object, mut row: Value, (field, entry, inner): (Index, Index, Index)) -> (Value, String) {
    let named: Vec<&'static Field> =
        object.resource().all_fields().filter(|field| row.get(field.name).is_some() && broken(&field.kind).is_some()).collect();
    let field = named[field.index(named.len())];
    if let (Kind::List(fields), Some(list)) = (&field.kind, row[field.name].as_array_mut()) {
        let at = entry.index(list.len());
        let given: Vec<&Field> = fields.iter().filter(|field| list[at].get(field.name).is_some()).collect();
        let inner = given[inner.index(given.len())];
        list[at][inner.name] = broken(&inner.kind).unwrap();
        return (row, format!("{}[{at}].{}", field.name, inner.name));
    }
    row[field.name] = broken(&field.kind).unwrap();
    (row, field.name.to_owned())
}

fn cases() -> u32 {
    std::env::var("RECORD_CASES").map_or(20, |cases| cases.parse().unwrap())
}

/// Runs records of each object one by one against a sandbox of its own, on a paused clock.
fn each_object<T: std::fmt::Debug + 'static>(
    strategy: impl Fn(&'static dyn Object) -> BoxedStrategy<T>,
    record_of: impl Fn(&'static dyn Object, T) -> (Value, Box<dyn Fn(&Ran) -> Result<(), String>>),
) {
    for object in OBJECTS {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let sandbox = runtime.block_on(furnished());
        let streams = catalog(&[object.resource().name]);
        let mut runner = TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) });
        let tested = runner.run(&strategy(*object), |value| {
            let (row, check) = record_of(*object, value);
            let input = record(object.resource().name, &row);
            let ran = runtime.block_on(run(&sandbox, &settings(&json!({})), &streams, input));
            ran.assert_sound();
            check(&ran).map_err(|why| TestCaseError::fail(format!("{}: {row}: {why}", object.resource().name)))
        });
        tested.unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn what_the_tables_allow_is_taken() {
    each_object(rows, |_, row| {
        let taken = |ran: &Ran| match ran.count("created") + ran.count("updated") + ran.count("unchanged") {
            1 => Ok(()),
            _ => Err(format!("{:?} {:?}", ran.report.total().outcomes, ran.report.samples.first())),
        };
        (row, Box::new(taken))
    });
}

#[test]
fn one_broken_field_is_named_and_no_other() {
    let strategy = |object| (rows(object), any::<(Index, Index, Index)>()).boxed();
    each_object(strategy, |object, (row, places)| {
        let (row, place) = with_one_broken(object, row, places);
        let named = move |ran: &Ran| {
            let sample = ran.report.samples.first().ok_or("it was taken")?;
            let named: Vec<&str> = sample.rejection.faults.iter().filter_map(|fault| fault.field.as_deref()).collect();
            if named == [place.as_str()] { Ok(()) } else { Err(format!("{place} was broken, and {named:?} named")) }
        };
        (row, Box::new(named))
    });
}
