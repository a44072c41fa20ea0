//! What a record costs: for every object and every mode one scenario on the real binary, counted by the sandbox, against the
//! words of the docs table. And what a second run of it costs.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use destination_chartmogul::objects::request::{Method, Request};
use destination_chartmogul::objects::{OBJECTS, Object, find};
use destination_chartmogul::plan::Mode;
use destination_chartmogul::sandbox::Options;
use serde_json::{Value, json};

use crate::harness::{World, options, record, state, stream};

/// One object's scenarios.
struct Case {
    object: &'static str,
    /// A row of a thing that is not there.
    new: Value,
    /// What of it is another in the second row: the same thing, changed.
    changed: Value,
    /// Look-ups of what the row refers to; they serve all rows that refer to it.
    refers: u64,
}

/// What stands in the account before: one of everything that others refer to.
const THERE: &[(&str, &str)] = &[
    ("plans", r#"{"external_id":"gold","name":"Gold","interval_count":1,"interval_unit":"month"}"#),
    ("plans", r#"{"external_id":"silver","name":"Silver","interval_count":1,"interval_unit":"month"}"#),
    ("customers", r#"{"external_id":"c-1","name":"Ann","country":"US"}"#),
    ("customers", r#"{"external_id":"c-2","name":"Bob"}"#),
    (
        "invoices",
        r#"{"external_id":"i-1","customer_external_id":"c-1","date":"2026-01-01","currency":"USD","line_items":[
            {"type":"subscription","external_id":"li-1","subscription_external_id":"s-1","plan_external_id":"gold","service_period_start":"2026-01-01","service_period_end":"2026-02-01","amount_in_cents":9900},
            {"type":"subscription","external_id":"li-2","subscription_external_id":"s-2","plan_external_id":"gold","service_period_start":"2026-01-01","service_period_end":"2026-02-01","amount_in_cents":9900}]}"#,
    ),
];

fn cases() -> Vec<Case> {
    let case = |object, refers, new: Value, changed: Value| Case { object, new, changed, refers };
    vec![
        case(
            "customers",
            0,
            json!({"external_id": "c-9", "name": "New", "seats": 3, "tags": ["a"]}),
            json!({"name": "Other", "seats": 4}),
        ),
        case(
            "contacts",
            1,
            json!({"customer_external_id": "c-1", "external_id": "k-1", "title": "CTO"}),
            json!({"title": "CEO"}),
        ),
        case("custom_attributes", 0, json!({"customer_external_id": "c-1", "key": "seats", "value": 3}), json!({"value": 4})),
        case("tags", 0, json!({"customer_external_id": "c-1", "tag": "vip"}), json!({})),
        case("customer_merges", 0, json!({"from_external_id": "c-2", "into_external_id": "c-1"}), json!({})),
        case(
            "plans",
            0,
            json!({"external_id": "p-9", "name": "New", "interval_count": 1, "interval_unit": "month"}),
            json!({"name": "Other"}),
        ),
        case(
            "plan_groups",
            1,
            json!({"name": "Metals", "plan_external_ids": ["gold"]}),
            json!({"plan_external_ids": ["silver"]}),
        ),
        case(
            "invoices",
            1,
            json!({"external_id": "i-9", "customer_external_id": "c-1", "date": "2026-01-01", "currency": "USD",
                "line_items": [{"type": "one_time", "amount_in_cents": 100, "external_id": "i-9-li"}],
                "transactions": [{"type": "payment", "date": "2026-01-02", "result": "successful", "external_id": "i-9-tr"}]}),
            json!({"due_date": "2026-01-31"}),
        ),
        case(
            "line_items",
            0,
            json!({"invoice_external_id": "i-1", "external_id": "li-9", "type": "one_time", "amount_in_cents": 100}),
            json!({"amount_in_cents": 200}),
        ),
        case(
            "transactions",
            0,
            json!({"invoice_external_id": "i-1", "external_id": "tr-9", "type": "payment", "date": "2026-01-02", "result": "successful"}),
            json!({"result": "failed"}),
        ),
        case(
            "subscription_events",
            1,
            json!({"external_id": "e-9", "customer_external_id": "c-1", "event_type": "subscription_cancelled",
                "event_date": "2026-01-01", "effective_date": "2026-01-31", "subscription_external_id": "s-1"}),
            json!({"effective_date": "2026-02-28"}),
        ),
        case(
            "subscription_cancellations",
            1,
            json!({"customer_external_id": "c-1", "subscription_external_id": "s-1", "cancelled_at": "2026-03-01"}),
            json!({"cancelled_at": "2026-04-01"}),
        ),
        case(
            "subscription_connections",
            1,
            json!({"customer_external_id": "c-1", "subscription_external_ids": ["s-1", "s-2"]}),
            json!({}),
        ),
        case(
            "customer_notes",
            1,
            json!({"customer_external_id": "c-1", "type": "note", "text": "Hi", "created_at": "2026-01-01T10:00:00Z"}),
            json!({"text": "Ho"}),
        ),
        case(
            "opportunities",
            1,
            json!({"customer_external_id": "c-1", "owner": "owner@example.com", "pipeline": "New Business",
                "pipeline_stage": "Discovery", "estimated_close_date": "2027-01-01", "currency": "USD", "amount_in_cents": 100}),
            json!({"amount_in_cents": 200}),
        ),
        case(
            "tasks",
            1,
            json!({"customer_external_id": "c-1", "task_details": "Call", "assignee": "owner@example.com", "due_date": "2027-01-01"}),
            json!({"due_date": "2027-02-01"}),
        ),
        case("data_sources", 0, json!({"name": "Another"}), json!({})),
        case(
            "api_requests",
            0,
            json!({"method": "POST", "path": "/customers", "body": {"data_source_uuid": "ds_5a4db0c5-0000-4000-8000-000000000001", "external_id": "raw"}}),
            json!({}),
        ),
    ]
}

/// How the stream says that keyless rows are one, where the changed row would be another otherwise.
fn matching(object: &str) -> Option<&'static str> {
    Some(match object {
        "customer_notes" => "created_at",
        "opportunities" => "pipeline",
        "tasks" => "task_details",
        _ => return None,
    })
}

/// The numbers in the words of the docs table: look-ups, then writes.
fn told(words: &str) -> (u64, u64) {
    let first = words.split(';').next().unwrap();
    let numbers = |text: &str| -> u64 { text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse::<u64>().ok()).sum() };
    match first.split_once("then") {
        // Of a write that may take several, the one that this scenario asks for.
        Some((looks, writes)) => (numbers(looks), numbers(writes.split(" for ").next().unwrap())),
        None => (0, numbers(first.split(" with ").next().unwrap())),
    }
}

struct Cost {
    reads: u64,
    writes: u64,
    outcomes: String,
}

fn run(world: &World, case: &Case, mode: Mode, row: &Value) -> Cost {
    run_all(world, case, mode, std::slice::from_ref(row))
}

fn run_all(world: &World, case: &Case, mode: Mode, rows: &[Value]) -> Cost {
    let before = (world.requests_with("GET"), world.writes());
    let mut rows = rows.to_vec();
    let mut config = json!({"deletions": {"policy": "delete", "max_percent": 100}});
    if mode == Mode::Delete {
        rows.iter_mut().for_each(|row| row["_ab_cdc_deleted_at"] = "2026-01-01T00:00:00Z".into());
    } else {
        config["mode"] = mode.as_str().into();
    }
    if let Some(field) = matching(case.object) {
        config["streams"] = json!([{"stream": case.object, "match": field}]);
    }
    let run = world
        .sync()
        .config(config)
        .stream(stream(case.object))
        .lines(rows.into_iter().map(|row| record(case.object, row)))
        .run()
        .succeeded();
    Cost {
        reads: world.requests_with("GET") - before.0,
        writes: world.writes() - before.1,
        outcomes: run.outcomes(case.object).to_owned(),
    }
}

fn prepared() -> World {
    let world = World::new();
    let mut sync = world.sync();
    for name in THERE.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>() {
        sync = sync.stream(stream(name));
    }
    sync.lines(THERE.iter().map(|(name, row)| record(name, serde_json::from_str(row).unwrap()))).run().succeeded();
    world
}

fn with(row: &Value, more: &Value) -> Value {
    let mut row = row.clone();
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row
}

#[test]
fn every_object_costs_in_every_mode_what_the_docs_say() {
    let cases = cases();
    let names: Vec<&str> = cases.iter().map(|case| case.object).collect();
    let all: Vec<&str> = OBJECTS.iter().map(|object| object.resource().name).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>(), all.iter().collect::<BTreeSet<_>>());
    let mut wrong = Vec::new();
    for case in &cases {
        let object: &dyn Object = find(case.object).unwrap();
        for mode in object.modes() {
            let world = prepared();
            let existing = matches!(mode, Mode::Update | Mode::Delete);
            if existing {
                run(&world, case, Mode::Upsert, &case.new);
            }
            let row = if *mode == Mode::Update { with(&case.new, &case.changed) } else { case.new.clone() };
            let cost = run(&world, case, *mode, &row);
            let (looks, writes) = told(object.requests(*mode));
            // A deletion counts once a sync what there is, for its guard. What a deleted row mentions is not looked at.
            let counts = u64::from(*mode == Mode::Delete && counted(object));
            let refers = if *mode == Mode::Delete { parents(case) } else { case.refers };
            // A plain equality says so little about some objects that their change is another thing: those can only add.
            let nothing = *mode == Mode::Update && case.changed == json!({});
            let wanted = (looks + refers + counts, if nothing { 0 } else { writes });
            if (cost.reads, cost.writes) != wanted {
                wrong.push(format!(
                    "{} {mode}: {:?} requests, {wanted:?} in the docs ({}), {}",
                    case.object,
                    (cost.reads, cost.writes),
                    object.requests(*mode),
                    cost.outcomes
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether what there is is counted before its deletion.
fn counted(object: &dyn Object) -> bool {
    object.counted_as(&Request::new(Method::Delete, object.resource().path, None, "")).is_some()
}

/// Look-ups of what a deleted row belongs to: none where the object's own key is enough.
fn parents(case: &Case) -> u64 {
    match case.object {
        "plan_groups" | "invoices" | "subscription_events" => 0,
        _ => case.refers,
    }
}

/// Prints what each run took; `cargo test --test integration a_second_identical_run -- --nocapture` shows it.
#[test]
fn a_second_identical_run_writes_nothing() {
    let mut table =
        format!("\n{:28}{:8}{:>14}{:>8}{:>15}{:>8}\n", "object", "mode", "first: reads", "writes", "second: reads", "writes");
    let mut wrong = Vec::new();
    for case in cases() {
        let object: &dyn Object = find(case.object).unwrap();
        for mode in object.modes() {
            let world = prepared();
            if matches!(mode, Mode::Update | Mode::Delete) {
                run(&world, &case, Mode::Upsert, &case.new);
            }
            let row = if *mode == Mode::Update { with(&case.new, &case.changed) } else { case.new.clone() };
            let first = run(&world, &case, *mode, &row);
            let contents = world.contents();
            let second = run(&world, &case, *mode, &row);
            let name = mode.as_str();
            let _ = writeln!(
                table,
                "{:28}{name:8}{:14}{:8}{:15}{:8}   {}",
                case.object, first.reads, first.writes, second.reads, second.writes, second.outcomes
            );
            // An insert without a look learns from the API's refusal that the thing is there. The last two can not be read back.
            let may = match (mode, case.object) {
                (Mode::Insert, _) if told(object.requests(*mode)).0 == 0 => 1,
                (_, "subscription_connections" | "api_requests") => 1,
                _ => 0,
            };
            if second.writes != may {
                wrong.push(format!("{} {name}: {} writes, {}", case.object, second.writes, second.outcomes));
            }
            if *mode == Mode::Upsert && may == 0 && second.outcomes != "1 read, 1 unchanged" {
                wrong.push(format!("{} {name}: {}", case.object, second.outcomes));
            }
            if case.object != "api_requests" && world.contents() != contents {
                wrong.push(format!("{} {name}: the account is another", case.object));
            }
        }
    }
    println!("{table}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// ChartMogul's own names that something in the sandbox has.
fn own_names(entry: &Value, names: &mut BTreeSet<String>) {
    match entry {
        Value::Object(fields) => {
            names.extend(["uuid", "id"].into_iter().filter_map(|name| match fields.get(name)? {
                Value::String(own) => Some(own.clone()),
                Value::Number(own) => Some(own.to_string()),
                _ => None,
            }));
            fields.values().for_each(|value| own_names(value, names));
        }
        Value::Array(list) => list.iter().for_each(|entry| own_names(entry, names)),
        _ => {}
    }
}

#[test]
fn a_second_run_of_rows_with_chartmoguls_own_names_writes_nothing() {
    let names = |world: &World, prefix: &str| {
        let mut names = BTreeSet::new();
        own_names(&world.sandbox.dump(), &mut names);
        names.retain(|name| name.starts_with(prefix));
        names
    };
    let prefixes = [
        ("customers", "cus_"),
        ("contacts", "con_"),
        ("plans", "pl_"),
        ("plan_groups", "plg_"),
        ("invoices", "inv_"),
        ("line_items", "li_"),
        ("transactions", "tr_"),
        ("subscription_events", ""),
        ("customer_notes", "note_"),
        ("opportunities", ""),
        ("tasks", ""),
    ];
    for (object, prefix) in prefixes {
        let (world, case) = (prepared(), cases().into_iter().find(|case| case.object == object).unwrap());
        let before = names(&world, prefix);
        run(&world, &case, Mode::Upsert, &case.new);
        let new: Vec<String> = names(&world, prefix).difference(&before).cloned().collect();
        let [own] = &new[..] else { panic!("{object}: {new:?}") };
        let field = if object == "subscription_events" { "id" } else { "uuid" };
        let row = with(&json!({field: own}), &case.changed);
        for mode in [Mode::Update, Mode::Upsert] {
            if mode == Mode::Update {
                let first = run(&world, &case, mode, &row);
                assert_eq!((first.writes, &*first.outcomes), (1, "1 read, 1 updated"), "{object}");
            }
            let second = run(&world, &case, mode, &row);
            assert_eq!((second.writes, &*second.outcomes), (0, "1 read, 1 unchanged"), "{object} {mode}");
            let twice = run_all(&world, &case, mode, &[row.clone(), row.clone()]);
            assert_eq!((twice.writes, &*twice.outcomes), (0, "2 read, 2 unchanged"), "{object} {mode}");
        }
    }
}

#[test]
fn waiting_updates_of_one_key_share_their_requests() {
    // Long enough for all of them to be read while the first look is under way.
    let world = World::with(Options { latency: Duration::from_millis(200), ..options() });
    world.given_customer("c-1", json!({"name": "Old Name"}));
    let rows = (1..=50).map(|at| json!({"external_id": "c-1", "name": format!("Name {at}"), "seats": at}));
    let run = rows.fold(world.sync(), |sync, row| sync.customer(row)).line(state("customers", 1)).run().succeeded();
    assert_eq!((run.outcomes("customers"), run.counts()), ("50 read, 50 updated", vec![(50.0, 0.0)]));
    let customer = world.customer("c-1");
    assert_eq!((&customer["fields"]["name"], &customer["custom"]["seats"]), (&json!("Name 50"), &json!(50)));
    // The first goes alone where it was read before the others.
    let sent = world.requests("PATCH", "/v1/customers/{uuid}");
    assert!((1..=2).contains(&sent), "{sent} requests for 50 updates");
    assert_eq!(world.requests("GET", "/v1/customers"), 1);
}
