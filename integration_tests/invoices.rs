//! Invoices, line items, transactions and subscription events through the real binary: what arrives, in how many requests,
//! and what is left alone.

use serde_json::{Value, json};

use crate::harness::{Run, Stream, World, record, state, stream};

/// Rows of several streams, in the order given.
fn write(world: &World, rows: &[(&str, Value)]) -> Run {
    write_with(world, json!({}), |stream| stream, rows)
}

fn write_with(world: &World, config: Value, change: impl Fn(Stream) -> Stream, rows: &[(&str, Value)]) -> Run {
    let mut sync = world.sync().config(config);
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in rows {
        if !names.contains(name) {
            names.push(name);
            sync = sync.stream(change(stream(name)));
        }
    }
    sync.lines(rows.iter().map(|(name, row)| record(name, row.clone()))).run()
}

fn customer() -> (&'static str, Value) {
    ("customers", json!({"external_id": "c-1", "name": "Ann"}))
}

fn plan() -> (&'static str, Value) {
    ("plans", json!({"external_id": "gold", "name": "Gold", "interval_count": 1, "interval_unit": "month"}))
}

fn item(key: &str, cents: i64) -> Value {
    json!({"external_id": key, "type": "subscription", "subscription_external_id": "s-1", "plan_external_id": "gold",
        "service_period_start": "2026-01-01", "service_period_end": "2026-02-01", "amount_in_cents": cents})
}

fn payment(key: &str) -> Value {
    json!({"external_id": key, "type": "payment", "date": "2026-01-02", "result": "successful"})
}

fn of(invoice: &str, mut part: Value) -> Value {
    part["invoice_external_id"] = invoice.into();
    part
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn invoice(key: &str, more: Value) -> (&'static str, Value) {
    let mut row = json!({"customer_external_id": "c-1", "external_id": key, "date": "2026-01-01", "currency": "USD"});
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ("invoices", row)
}

fn whole(key: &str) -> (&'static str, Value) {
    invoice(key, json!({"line_items": [item(&format!("{key}-li"), 9900)], "transactions": [payment(&format!("{key}-tr"))]}))
}

fn invoices(world: &World) -> Vec<Value> {
    world.contents()["invoices"].as_array().cloned().unwrap_or_default()
}

const IMPORTS: &str = "/v1/import/customers/{uuid}/invoices";

#[test]
fn an_invoice_goes_with_all_it_holds_in_one_call_and_a_second_run_writes_nothing() {
    let world = World::new();
    let rows = [customer(), plan(), whole("i-1"), whole("i-2")];
    let run = write(&world, &rows).succeeded();
    assert_eq!(run.outcomes("invoices"), "2 read, 2 created");
    assert_eq!(world.requests("POST", IMPORTS), 2);
    assert_eq!(world.writes(), 4);
    assert_eq!(invoices(&world).len(), 2);
    let before = world.contents();

    let again = World::writes(&world);
    let run = write(&world, &rows).succeeded();
    assert_eq!(run.outcomes("invoices"), "2 read, 2 unchanged");
    assert_eq!(run.outcomes("plans"), "1 read, 1 unchanged");
    assert_eq!((world.writes() - again, world.contents()), (0, before));
}

#[test]
fn rows_of_three_streams_in_any_order_join_one_import() {
    let header = || invoice("i-1", json!({}));
    let parts = || {
        [
            ("line_items", of("i-1", item("li-1", 9900))),
            ("line_items", of("i-1", json!({"external_id": "li-2", "type": "one_time", "amount_in_cents": -500}))),
            ("transactions", of("i-1", payment("tr-1"))),
        ]
    };
    let mut seen: Option<Value> = None;
    for order in 0..4 {
        let world = World::new();
        let mut rows = match order {
            0 => vec![customer(), plan(), header()].into_iter().chain(parts()).collect::<Vec<_>>(),
            1 => parts().into_iter().rev().chain([header(), plan(), customer()]).collect(),
            2 => parts().into_iter().chain([customer(), header(), plan()]).collect(),
            _ => vec![header()].into_iter().chain(parts()).chain([plan(), customer()]).collect(),
        };
        let run = write(&world, &rows).succeeded();
        assert_eq!(run.outcomes("invoices"), "1 read, 1 created", "order {order}");
        assert_eq!(run.outcomes("line_items"), "2 read, 2 created", "order {order}");
        assert_eq!(run.outcomes("transactions"), "1 read, 1 created", "order {order}");
        assert_eq!((world.requests("POST", IMPORTS), world.writes()), (1, 3), "order {order}");
        let contents = world.contents();
        assert_eq!(seen.get_or_insert_with(|| contents.clone()), &contents, "order {order}");

        // The second time they stand there, each is looked at where it stands.
        let before = world.writes();
        rows.rotate_left(1);
        let run = write(&world, &rows).succeeded();
        assert_eq!(run.outcomes("line_items"), "2 read, 2 unchanged", "order {order}");
        assert_eq!(run.outcomes("transactions"), "1 read, 1 unchanged", "order {order}");
        assert_eq!(world.writes() - before, 0, "order {order}");
    }
}

#[test]
fn an_invoice_that_never_gets_line_items_is_a_reject_and_so_is_what_waits_for_it() {
    let world = World::new();
    let run = write(&world, &[customer(), invoice("i-1", json!({})), ("transactions", of("i-1", payment("tr-1")))]).succeeded();
    assert_eq!(run.outcomes("invoices"), "1 read, 1 rejected, 1 rejected with FIELD_MISSING");
    assert_eq!(run.outcomes("transactions"), "1 read, 1 rejected, 1 rejected with PARENT_NOT_FOUND");
    let run =
        write(&world, &[customer(), ("line_items", of("i-9", json!({"type": "one_time", "amount_in_cents": 1})))]).succeeded();
    assert_eq!(run.outcomes("line_items"), "1 read, 1 rejected, 1 rejected with PARENT_NOT_FOUND");
    assert_eq!(world.requests("POST", IMPORTS), 0);
}

#[test]
fn rows_that_wait_with_their_invoice_keep_their_order() {
    let world = World::new();
    let gone = |(stream, mut row): (&'static str, Value)| {
        row["_ab_cdc_deleted_at"] = "2026-01-03".into();
        (stream, row)
    };
    let paid = || ("transactions", of("inv-1", payment("tr")));
    let line = |key: &str, cents: i64| ("line_items", of("inv-1", item(key, cents)));
    // All of it waits for the customer, and nothing is there before.
    let whole = invoice("inv-1", json!({"line_items": [item("li", 9900)]}));
    let rows = [plan(), paid(), gone(paid()), line("li-2", 100), gone(line("li-2", 100)), line("li-2", 200), whole, customer()];
    let config = json!({"deletions": {"policy": "delete", "max_percent": 100}});
    let run = write_with(&world, config, |stream| stream, &rows).succeeded();
    assert_eq!(run.outcomes("transactions"), "2 read, 1 created, 1 deleted");
    let [invoice] = &invoices(&world)[..] else { panic!("{run}") };
    let mut cents: Vec<_> =
        invoice["line_items"].as_array().unwrap().iter().map(|line| line["fields"]["amount_in_cents"].as_i64()).collect();
    cents.sort_unstable();
    assert_eq!((cents, invoice["transactions"].as_array().unwrap().len()), (vec![Some(200), Some(9900)], 0), "{run}");
}

#[test]
fn a_sync_ends_where_a_line_that_nothing_makes_is_changed_or_deleted_beside_its_invoice() {
    for (config, mark) in [
        (json!({"deletions": {"policy": "delete"}}), json!("2026-01-03")),
        (json!({"streams": [{"stream": "line_items", "mode": "update"}]}), Value::Null),
    ] {
        let world = World::new();
        write(&world, &[customer(), plan()]).succeeded();
        let mut line = of("inv-1", item("li", 100));
        line["_ab_cdc_deleted_at"] = mark;
        let run = write_with(&world, config, |stream| stream, &[invoice("inv-1", json!({})), ("line_items", line)]).succeeded();
        assert_eq!(run.outcomes("invoices"), "1 read, 1 rejected, 1 rejected with FIELD_MISSING");
        assert_eq!(run.outcomes("line_items"), "1 read, 1 skipped, 1 skipped as no_match");
    }
}

#[test]
fn an_existing_invoice_is_changed_in_its_parts_and_nothing_of_it_is_removed() {
    let world = World::new();
    write(&world, &[customer(), plan(), whole("i-1")]).succeeded();
    let before = world.writes();
    let row = invoice(
        "i-1",
        json!({
            "due_date": "2026-01-31",
            "line_items": [item("i-1-li", 5000), {"external_id": "li-new", "type": "one_time", "amount_in_cents": 700}],
        }),
    );
    let run = write(&world, &[row]).succeeded();
    assert_eq!(run.outcomes("invoices"), "1 read, 1 updated");
    // Its header, the line item that differs, the one that is new.
    assert_eq!(world.writes() - before, 3);
    let invoice = &invoices(&world)[0];
    assert_eq!(invoice["line_items"].as_array().unwrap().len(), 2);
    assert_eq!(invoice["transactions"].as_array().unwrap().len(), 1, "what the record does not name stays");

    let run = write(
        &world,
        &[
            ("customers", json!({"external_id": "c-2"})),
            (
                "invoices",
                json!({"customer_external_id": "c-2",
        "external_id": "i-1", "date": "2026-01-01", "currency": "USD"}),
            ),
        ],
    )
    .succeeded();
    assert_eq!(run.outcomes("invoices"), "1 read, 1 rejected, 1 rejected with FIELD_FIXED");
}

#[test]
fn an_invoice_is_voided_once_and_there_is_no_way_back() {
    let world = World::new();
    let mut void = whole("i-1");
    void.1["status"] = "voided".into();
    let run = write(&world, &[customer(), plan(), void.clone()]).succeeded();
    assert_eq!(run.outcomes("invoices"), "1 read, 1 created");
    assert!(!run.logged(&["FIELD_NOT_KEPT"]));
    assert_eq!(world.requests("PUT", "/v1/data_sources/{uuid}/invoices/{external_id}/status"), 1);
    let before = world.writes();
    assert_eq!(write(&world, &[void.clone()]).succeeded().outcomes("invoices"), "1 read, 1 unchanged");
    assert_eq!(world.writes() - before, 0);
    void.1["status"] = "paid".into();
    let run = write(&world, &[void]).succeeded();
    assert_eq!(run.outcomes("invoices"), "1 read, 1 rejected, 1 rejected with FIELD_FIXED");
}

#[test]
fn what_is_wrong_in_an_invoice_is_named_with_its_place() {
    let world = World::new();
    let row = invoice(
        "i-1",
        json!({
            "line_items": [
                {"type": "subscription", "amount_in_cents": 10.5},
                {"type": "one_time", "amount_in_cents": 1000, "account_code": "no code!"},
            ],
            "transactions": [
                {"type": "payment", "date": "2026-01-02", "result": "successful", "amount_in_cents": 600},
                {"type": "payment", "date": "never", "result": "successful", "amount_in_cents": 600},
            ],
        }),
    );
    let run = write(&world, &[customer(), row]).succeeded();
    for words in [
        ["FIELD_VALUE", "line_items[0].amount_in_cents"],
        ["FIELD_VALUE", "line_items[1].account_code"],
        ["FIELD_VALUE", "transactions[1].date"],
    ] {
        assert!(run.logged(&words), "{words:?}: {:#?}", run.logs().collect::<Vec<_>>());
    }
    // Sums are looked at where the whole is there.
    let row = invoice(
        "i-2",
        json!({
            "line_items": [{"type": "one_time", "amount_in_cents": 1000}],
            "transactions": [
                {"type": "payment", "date": "2026-01-02", "result": "successful", "amount_in_cents": 600},
                {"type": "payment", "date": "2026-01-02", "result": "failed", "amount_in_cents": 600},
                {"type": "payment", "date": "2026-01-03", "result": "successful", "amount_in_cents": 600},
            ],
        }),
    );
    let run = write(&world, &[customer(), row]).succeeded();
    assert!(run.logged(&["FIELD_VALUE", "transactions[2].amount_in_cents"]), "{:#?}", run.logs().collect::<Vec<_>>());
    assert_eq!(world.requests("POST", IMPORTS), 0);
}

#[test]
fn one_bad_row_of_an_import_keeps_no_good_one_out() {
    let world = World::new();
    write(&world, &[customer(), plan(), whole("i-1")]).succeeded();
    // The key of the second line item is taken by another invoice.
    let run = write(
        &world,
        &[
            invoice("i-2", json!({})),
            ("line_items", of("i-2", item("li-1", 100))),
            ("line_items", of("i-2", item("i-1-li", 100))),
            ("line_items", of("i-2", item("li-3", 100))),
        ],
    )
    .succeeded();
    assert_eq!(run.outcomes("invoices"), "1 read, 1 created");
    assert_eq!(run.outcomes("line_items"), "3 read, 2 created, 1 rejected, 1 rejected with API_REFUSED");
    let made =
        invoices(&world).into_iter().find(|invoice| invoice["external_id"] == "i-2" || invoice["fields"]["external_id"] == "i-2");
    assert_eq!(made.unwrap()["line_items"].as_array().unwrap().len(), 2);
}

#[test]
fn line_items_and_transactions_are_inserted_updated_and_deleted_as_rows() {
    let world = World::new();
    write(&world, &[customer(), plan(), whole("i-1")]).succeeded();
    let before = world.writes();
    let rows = [
        ("line_items", of("i-1", item("i-1-li", 8000))),
        ("line_items", of("i-1", item("li-2", 100))),
        ("transactions", of("i-1", json!({"external_id": "i-1-tr", "result": "failed"}))),
        (
            "transactions",
            of(
                "i-1",
                json!({"external_id": "tr-2", "type": "refund", "date": "2026-01-05", "result": "successful", "amount_in_cents": 50}),
            ),
        ),
    ];
    let run = write(&world, &rows).succeeded();
    assert_eq!(run.outcomes("line_items"), "2 read, 1 created, 1 updated");
    assert_eq!(run.outcomes("transactions"), "2 read, 1 created, 1 updated");
    assert_eq!(world.writes() - before, 4);
    // One look at the invoice serves all its rows.
    assert_eq!(world.requests("GET", "/v1/invoices"), 2);

    let run = write_with(&world, json!({"mode": "insert"}), |stream| stream, &rows[..2]).succeeded();
    assert_eq!(run.outcomes("line_items"), "2 read, 2 skipped, 2 skipped as exists");
    let run =
        write_with(&world, json!({"mode": "update"}), |stream| stream, &[("line_items", of("i-1", item("li-9", 1)))]).succeeded();
    assert_eq!(run.outcomes("line_items"), "1 read, 1 skipped, 1 skipped as no_match");

    let marked = |row: &Value| {
        let mut row = row.clone();
        row["_ab_cdc_deleted_at"] = "2026-02-01T00:00:00Z".into();
        row
    };
    let gone = [
        ("line_items", marked(&rows[1].1)),
        ("transactions", marked(&rows[3].1)),
        ("line_items", marked(&of("i-1", item("li-9", 1)))),
    ];
    assert_eq!(write(&world, &gone).succeeded().outcomes("line_items"), "2 read, 2 skipped, 2 skipped as deletion_ignored");
    let policy = json!({"deletions": {"policy": "delete", "max_percent": 100}});
    let run = write_with(&world, policy.clone(), |stream| stream, &gone).succeeded();
    assert_eq!(run.outcomes("line_items"), "2 read, 1 deleted, 1 skipped, 1 skipped as no_match");
    assert_eq!(run.outcomes("transactions"), "1 read, 1 deleted");
    let run = write_with(&world, policy, |stream| stream, &[("invoices", marked(&invoice("i-1", json!({})).1))]).succeeded();
    assert_eq!(run.outcomes("invoices"), "1 read, 1 deleted");
    assert!(invoices(&world).is_empty());
}

#[test]
fn lost_answers_leave_nothing_twice() {
    let world = World::new();
    world.fault("POST /import/customers/*/invoices after-work reset x1\nPOST /subscription_events after-work reset x1");
    let event = json!({"external_id": "e-1", "customer_external_id": "c-1", "event_type": "subscription_cancelled",
        "event_date": "2026-01-01", "effective_date": "2026-01-31", "subscription_external_id": "s-1"});
    let run = write(&world, &[customer(), plan(), whole("i-1"), ("subscription_events", event)]).succeeded();
    assert_eq!(run.outcomes("invoices"), "1 read, 1 created");
    assert_eq!(run.outcomes("subscription_events"), "1 read, 1 created");
    assert_eq!(invoices(&world).len(), 1);
    assert_eq!(world.contents()["subscription_events"].as_array().unwrap().len(), 1);

    world.fault("POST /import/invoices/*/line_items after-work reset x1");
    let keyless = json!({"type": "one_time", "amount_in_cents": 700, "description": "Setup"});
    let row = invoice("i-1", json!({"line_items": [item("i-1-li", 9900), keyless]}));
    let run = write(&world, &[row]).succeeded();
    assert_eq!(run.outcomes("invoices"), "1 read, 1 updated");
    assert_eq!(invoices(&world)[0]["line_items"].as_array().unwrap().len(), 2);
}

#[test]
fn events_of_all_kinds_are_written_once_changed_and_deleted() {
    let world = World::new();
    let event = |key: Option<&str>, kind: &str, more: Value| {
        let mut row = json!({"customer_external_id": "c-1", "event_type": kind, "event_date": "2026-01-01",
            "effective_date": "2026-01-01", "subscription_external_id": "s-1"});
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        if let Some(key) = key {
            row["external_id"] = key.into();
        }
        ("subscription_events", row)
    };
    let priced = json!({"plan_external_id": "gold", "currency": "USD", "amount_in_cents": 9900, "quantity": 2});
    let rows = [
        event(Some("e-1"), "subscription_start", priced.clone()),
        event(Some("e-2"), "subscription_updated", priced.clone()),
        event(None, "subscription_cancelled", json!({})),
        event(Some("e-3"), "subscription_event_retracted", json!({"retracted_event_id": "e-2"})),
        customer(),
        plan(),
    ];
    let run = write(&world, &rows).succeeded();
    assert_eq!(run.outcomes("subscription_events"), "4 read, 4 created");
    assert_eq!(world.writes(), 6);
    let before = world.writes();
    assert_eq!(write(&world, &rows).succeeded().outcomes("subscription_events"), "4 read, 4 unchanged");
    assert_eq!(world.writes() - before, 0);

    let mut changed = rows[0].clone();
    changed.1["amount_in_cents"] = 5000.into();
    assert_eq!(write(&world, &[changed]).succeeded().outcomes("subscription_events"), "1 read, 1 updated");
    assert_eq!(world.writes() - before, 1);

    let run = write(&world, &[event(Some("e-4"), "subscription_start", json!({})), event(Some("e-5"), "exploded", json!({}))])
        .succeeded();
    assert!(
        run.logged(&["FIELD_MISSING", "currency"]) && run.logged(&["FIELD_VALUE", "event_type"]),
        "{:#?}",
        run.logs().collect::<Vec<_>>()
    );

    let mut gone = rows[0].clone();
    gone.1["_ab_cdc_deleted_at"] = "2026-02-01T00:00:00Z".into();
    let policy = json!({"deletions": {"policy": "delete", "max_percent": 100}});
    let run = write_with(&world, policy, |stream| stream, &[gone]).succeeded();
    assert_eq!(run.outcomes("subscription_events"), "1 read, 1 deleted");
}

#[test]
fn missing_customers_are_made_where_the_stream_says_so() {
    let world = World::new();
    let config = json!({"streams": [{"stream": "invoices", "parents": "create"}]});
    let run = write_with(&world, config, |stream| stream, &[plan(), whole("i-1"), whole("i-2")]).succeeded();
    assert_eq!(run.outcomes("invoices"), "2 read, 2 created");
    assert_eq!(world.customer_keys(), ["c-1"]);
    assert_eq!(world.requests("POST", "/v1/customers"), 1);
}

#[test]
fn one_key_for_two_entries_of_one_invoice_is_a_fault_of_the_second() {
    let world = World::new();
    let lists = json!({
        "line_items": [item("li-1", 100), item("li-2", 100), item("li-1", 200)],
        "transactions": [payment("tr-1"), payment("tr-1")],
    });
    let run = write(&world, &[invoice("i-1", lists)]).succeeded();
    assert_eq!(run.outcomes("invoices"), "1 read, 1 rejected, 1 rejected with FIELD_VALUE");
    for field in ["line_items[2].external_id", "transactions[1].external_id"] {
        assert!(run.logged(&["FIELD_VALUE", field]), "{run}");
    }
    assert_eq!(world.arrived(), 0);
}

#[test]
fn the_number_of_an_event_is_a_whole_number() {
    let world = World::new();
    let rows = ["one", "1.5", "-1"].map(|id| ("subscription_events", json!({"id": id, "quantity": 2})));
    let run = write(&world, &rows).succeeded();
    assert_eq!(run.outcomes("subscription_events"), "3 read, 3 rejected, 3 rejected with FIELD_VALUE");
    assert!(run.logged(&["FIELD_VALUE", "field id"]), "{run}");
    assert_eq!(world.arrived(), 0);
}

fn event(key: &str, customer: &str, more: &Value) -> (&'static str, Value) {
    let mut row = json!({"external_id": key, "customer_external_id": customer, "event_type": "subscription_cancelled",
        "event_date": "2026-01-01", "effective_date": "2026-01-31", "subscription_external_id": "s-1"});
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ("subscription_events", row)
}

#[test]
fn a_retraction_waits_for_the_event_that_it_takes_back() {
    let world = World::new();
    world.given_customer("c-1", json!({}));
    let other = world.given_customer("c-2", json!({}));
    let back =
        |key: &str, of: &str| event(key, "c-1", &json!({"event_type": "subscription_event_retracted", "retracted_event_id": of}));
    let mut later = event("e-2", "c-2", &json!({}));
    later.1.as_object_mut().unwrap().remove("customer_external_id");
    later.1["customer_uuid"] = other.into();
    let rows = [back("e-9", "e-1"), back("e-8", "e-2"), back("e-7", "e-never"), event("e-1", "c-1", &json!({})), later];
    let run = write(&world, &rows).succeeded();
    assert_eq!(run.outcomes("subscription_events"), "5 read, 4 created, 1 rejected, 1 rejected with PARENT_NOT_FOUND");
    assert!(run.logged(&["PARENT_NOT_FOUND", "field retracted_event_id", "an event that does not exist"]), "{run}");
    // A number is ChartMogul's own, and used as it is.
    let looks = world.requests("GET", "/v1/subscription_events");
    let run = write(&world, &[back("e-6", "4711")]).succeeded();
    assert!(run.logged(&["API_REFUSED"]), "{run}");
    assert_eq!(world.requests("GET", "/v1/subscription_events") - looks, 1, "the look for e-6 itself");
}

#[test]
fn parts_are_changed_and_deleted_by_their_own_keys_where_no_invoice_is_named() {
    let world = World::new();
    write(&world, &[customer(), plan(), whole("i-1")]).succeeded();
    let looks = world.requests_with("GET");
    let rows = |li: &str, tr: &str| {
        let item = json!({"external_id": li, "amount_in_cents": 5000, "plan_external_id": "gold"});
        [("line_items", item), ("transactions", json!({"external_id": tr, "result": "failed"}))]
    };
    let update = |rows: &[(&str, Value)]| write_with(&world, json!({"mode": "update"}), |stream| stream, rows).succeeded();
    let run = update(&rows("i-1-li", "i-1-tr"));
    assert_eq!((run.outcomes("line_items"), run.outcomes("transactions")), ("1 read, 1 updated", "1 read, 1 updated"));
    assert_eq!(world.requests_with("GET") - looks, 3, "the two, and the plan that is mentioned");
    let invoice = &invoices(&world)[0];
    assert_eq!(invoice["line_items"][0]["fields"]["amount_in_cents"], 5000, "{invoice:#}");
    assert_eq!(invoice["transactions"][0]["result"], "failed", "{invoice:#}");
    let before = world.writes();
    let run = update(&rows("i-1-li", "i-1-tr"));
    assert_eq!((run.outcomes("line_items"), run.outcomes("transactions")), ("1 read, 1 unchanged", "1 read, 1 unchanged"));
    let run = update(&rows("nobody", "nobody"));
    for name in ["line_items", "transactions"] {
        assert_eq!(run.outcomes(name), "1 read, 1 skipped, 1 skipped as no_match");
    }
    assert_eq!(world.writes(), before, "what is as it should be, and what is not there, is not written");

    let policy = || json!({"deletions": {"policy": "delete", "max_percent": 100}});
    let gone = |key: &str| json!({"external_id": key, "_ab_cdc_deleted_at": "2026-02-01"});
    let rows = [
        ("line_items", gone("i-1-li")),
        ("line_items", gone("nobody")),
        ("transactions", gone("i-1-tr")),
        ("transactions", gone("nobody")),
    ];
    let run = write_with(&world, policy(), |stream| stream, &rows).succeeded();
    for name in ["line_items", "transactions"] {
        assert_eq!(run.outcomes(name), "2 read, 1 deleted, 1 skipped, 1 skipped as no_match");
        assert_eq!(world.requests("DELETE", &format!("/v1/{name}")), 1);
    }
    let before = world.writes();
    assert!(write_with(&world, policy(), |stream| stream, &rows).succeeded().outcomes("line_items").contains("2 skipped"));
    assert_eq!(world.writes(), before, "what is gone counts against no limit");
    // What is to be made stands in an invoice.
    let run =
        write(&world, &[("line_items", json!({"external_id": "li-9", "type": "one_time", "amount_in_cents": 1}))]).succeeded();
    assert!(run.logged(&["FIELD_MISSING", "invoice_external_id"]), "{run}");
}

#[test]
fn a_part_that_was_deleted_by_its_own_key_is_made_again_by_a_later_row() {
    let world = World::new();
    write(&world, &[customer(), plan(), whole("i-1")]).succeeded();
    let policy = json!({"deletions": {"policy": "delete", "max_percent": 100}});
    let row = of("i-1", payment("i-1-tr"));
    let gone = json!({"external_id": "i-1-tr", "_ab_cdc_deleted_at": "2026-02-01"});
    let rows = [("transactions", row.clone()), ("transactions", gone), ("transactions", row)];
    let run = write_with(&world, policy, |stream| stream, &rows).succeeded();
    assert_eq!(run.outcomes("transactions"), "3 read, 1 created, 1 deleted, 1 unchanged");
    assert_eq!(invoices(&world)[0]["transactions"].as_array().unwrap().len(), 1);
}

#[test]
fn an_invoice_that_this_sync_made_is_not_taken_over_by_another_customer() {
    let world = World::new();
    (0..2).for_each(|n| drop(world.given_customer(&format!("c{n}"), json!({}))));
    let invoice = |customer: &str, item: &str| {
        record(
            "invoices",
            json!({"customer_external_id": customer, "external_id": "i0", "date": "2026-01-01", "currency": "EUR",
            "line_items": [{"type": "one_time", "amount_in_cents": 100, "external_id": item}]}),
        )
    };
    let mut live = world.sync().stream(stream("invoices")).lines([invoice("c0", "l0"), state("invoices", 1)]).start();
    live.wait_for_states(1);
    live.feed(&[invoice("c1", "l9"), state("invoices", 2)]);
    live.end_input();
    let run = live.finish().succeeded();
    assert_eq!(run.outcomes("invoices"), "2 read, 1 created, 1 rejected, 1 rejected with FIELD_FIXED", "{run}");
}
