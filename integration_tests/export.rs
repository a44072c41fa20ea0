//! ChartMogul's own export comes back in: an account, written as its datasets, becomes the same account elsewhere, as far as
//! the datasets carry it; and where it came from, nothing is written at all.

use destination_chartmogul::sandbox::Options;
use serde_json::{Map, Value, json};

use crate::harness::{COUNTRIES, Export, FIRST_CONNECTOR, Run, STATES, World, complete, options, record, state, stream};

/// Datasets in an order in which nothing waits for anything.
const IN_ORDER: &[&str] = &[
    "PLANS",
    "CUSTOMERS",
    "CONTACTS",
    "INVOICES",
    "INVOICE_LINE_ITEMS",
    "TRANSACTIONS",
    "SUBSCRIPTION_EVENTS",
    "CUSTOM_ATTRIBUTES",
    "TAGS",
    "NOTES_AND_CALL_LOGS",
    "OPPORTUNITIES",
    "TASKS",
];

/// An account and the UUID of the data source that the tests are about.
struct Account {
    world: World,
    billing: String,
}

impl Account {
    /// Two accounts of different seeds have no UUID in common.
    fn new(seed: u64) -> Account {
        let world = World::with(Options { seed, ..options() });
        let made = world.must("POST /data_sources", json!({"name": "Billing"}));
        Account { billing: made["uuid"].as_str().unwrap().to_owned(), world }
    }

    fn write(&self, source: &str, rows: &[(&str, Value)]) -> Run {
        let rows: Vec<(&str, Value)> = rows.to_vec();
        self.sync(json!({"data_source_uuid": source}), &rows, |_| json!(null))
    }

    /// A sync of these rows; `entry` says what stands in `streams` for a stream of this name.
    fn sync(&self, config: Value, rows: &[(&str, Value)], entry: impl Fn(&str) -> Value) -> Run {
        let mut names: Vec<&str> = rows.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        let entries: Vec<Value> = names.iter().map(|name| entry(name)).filter(Value::is_object).collect();
        let mut sync = self.world.sync().config(json!({"data_source_uuid": self.billing})).config(config);
        sync = sync.config(json!({"streams": entries}));
        for name in &names {
            let columns = rows.iter().filter(|(of, _)| of == name).flat_map(|(_, row)| row.as_object().unwrap().keys());
            let columns: Map<String, Value> = columns.map(|column| (column.clone(), json!({}))).collect();
            let key = if columns.contains_key("ID") { "ID" } else { "id" };
            sync = sync.stream(stream(name).key(&[key]).columns(columns.into()));
        }
        sync.lines(rows.iter().map(|(name, row)| record(name, row.clone()))).run()
    }

    /// The rows as a person would load them: the preset, and the tables that only a person has.
    fn load(&self, rows: &[(&str, Value)], from: &str, more: impl Fn(&str) -> Value) -> Run {
        self.load_with(json!({}), rows, from, more)
    }

    fn load_with(&self, config: Value, rows: &[(&str, Value)], from: &str, more: impl Fn(&str) -> Value) -> Run {
        let table = |pairs: &[(&str, i64)]| -> Map<String, Value> {
            pairs.iter().map(|(word, number)| (number.to_string(), (*word).into())).collect()
        };
        self.sync(config, rows, |name| {
            let mut entry = json!({"stream": name, "preset": "chartmogul_export"});
            let connector = (FIRST_CONNECTOR + 1).to_string();
            entry["values"] = match name {
                "CUSTOMERS" => json!({
                    "COUNTRY_ID": table(COUNTRIES), "STATE_ID": table(STATES),
                    "BILLING_CONNECTOR_ID": {connector: self.billing},
                }),
                "PLANS" => json!({"BILLING_CONNECTOR_ID": {connector: self.billing}}),
                _ => json!({"DATA_SOURCE_UUID": {from: self.billing}}),
            };
            entry.as_object_mut().unwrap().extend(more(name).as_object().cloned().unwrap_or_default());
            entry
        })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn event(key: Value, kind: &str, day: u32, more: Value) -> (&'static str, Value) {
    let mut row = json!({"customer_external_id": "c-1", "external_id": key, "event_type": kind, "subscription_external_id": "s-2",
        "event_date": format!("2026-03-{day:02}T00:00:00Z"), "effective_date": format!("2026-04-{day:02}T00:00:00Z")});
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ("subscription_events", row)
}

fn period(mut item: Value) -> Value {
    item["type"] = "subscription".into();
    for (name, value) in [("service_period_start", "2026-01-01T00:00:00Z"), ("service_period_end", "2026-02-01T00:00:00Z")] {
        item[name] = value.into();
    }
    item
}

/// A small company with all that the datasets speak of.
fn company() -> Vec<(&'static str, Value)> {
    let trial = json!({"type": "trial", "external_id": "li-4", "amount_in_cents": 0, "quantity": 1, "subscription_external_id": "s-3",
        "plan_external_id": "gold", "service_period_start": "2026-01-01T00:00:00Z", "service_period_end": "2026-01-15T00:00:00Z"});
    let paid = json!({"customer_external_id": "c-1", "external_id": "i-1", "date": "2026-01-01T00:00:00Z", "currency": "USD",
    "due_date": "2026-01-31T00:00:00Z", "line_items": [
        period(json!({"external_id": "li-1", "amount_in_cents": 9900, "quantity": 3, "subscription_external_id": "s-1",
            "subscription_set_external_id": "set-1", "plan_external_id": "gold", "prorated": true, "proration_type": "full",
            "discount_code": "SPRING", "discount_amount_in_cents": 100, "discount_description": "Spring sale",
            "tax_amount_in_cents": 1900, "transaction_fees_in_cents": 30, "transaction_fees_currency": "USD",
            "event_order": 5, "balance_transfer": false})),
        {"type": "one_time", "external_id": "li-2", "amount_in_cents": -500, "description": "Credit", "account_code": "4400"},
    ], "transactions": [
        {"type": "payment", "external_id": "tr-1", "date": "2026-01-02T00:00:00Z", "result": "failed"},
        {"type": "payment", "external_id": "tr-2", "date": "2026-01-03T00:00:00Z", "result": "successful",
            "transaction_fees_in_cents": 12, "transaction_fees_currency": "USD"},
        {"type": "refund", "external_id": "tr-3", "date": "2026-01-04T00:00:00Z", "result": "successful", "amount_in_cents": 100},
    ]});
    let invoice = |key: &str, status: Value, items: Value| {
        let row = json!({"customer_external_id": "c-2", "external_id": key, "date": "2026-02-01T00:00:00Z", "currency": "EUR",
            "status": status, "line_items": items});
        ("invoices", row)
    };
    let single = |key: &str| json!({"type": "one_time", "external_id": key, "amount_in_cents": 700, "description": "Setup"});
    let priced =
        json!({"plan_external_id": "gold", "currency": "USD", "amount_in_cents": 9900, "quantity": 2, "tax_amount_in_cents": 9});
    vec![
        ("plans", json!({"external_id": "gold", "name": "Gold", "interval_count": 1, "interval_unit": "month"})),
        ("plans", json!({"external_id": "day", "name": "Day", "interval_count": 14, "interval_unit": "day"})),
        (
            "customers",
            json!({"external_id": "c-1", "name": "Ann Lee", "email": "ann@lee.example", "company": "Lee & Sons",
            "country": "US", "state": "US-NY", "city": "New York", "zip": "10001", "tags": ["vip", "merged-customer"],
            "status": "Working Lead", "lead_created_at": "2025-01-01T00:00:00Z", "website_url": "https://lee.example",
            "free_trial_started_at": "2025-02-01T00:00:00Z", "owner": "owner@example.com",
            "custom": {"seats": 3, "share": 0.25, "channel": "ads", "trusted": false}}),
        ),
        (
            "custom_attributes",
            json!({"customer_external_id": "c-1", "key": "seen_at", "type": "Timestamp", "value": "2026-01-05"}),
        ),
        ("customers", json!({"external_id": "c-2", "name": "Bo Ray", "country": "DE", "tags": ["trial"], "trusted": true})),
        ("customers", json!({"external_id": "c-3"})),
        (
            "contacts",
            json!({"customer_external_id": "c-1", "external_id": "k-1", "first_name": "Ann", "last_name": "Lee",
            "title": "CTO", "email": "ann@lee.example", "phone": "+49 30 1", "linked_in": "https://linkedin.example/ann",
            "notes": "Prefers mail", "position": 4, "role": "admin", "twitter": "https://twitter.example/ann"}),
        ),
        ("contacts", json!({"customer_external_id": "c-2", "email": "bo@ray.example"})),
        ("contacts", json!({"customer_external_id": "c-2", "last_name": "Nobody"})),
        ("invoices", paid),
        invoice(
            "i-2",
            json!(null),
            json!([
                trial,
                period(json!({"external_id": "li-5", "amount_in_cents": 4000, "plan_external_id": "day",
            "subscription_external_id": "s-3", "cancelled_at": "2026-01-10T00:00:00Z"}))
            ]),
        ),
        invoice("i-3", json!("voided"), json!([single("li-6")])),
        invoice("i-4", json!("written_off"), json!([single("li-7")])),
        event(json!("e-0"), "subscription_start_scheduled", 1, priced.clone()),
        event(json!("e-1"), "subscription_start", 2, priced.clone()),
        event(json!("e-2"), "scheduled_subscription_start_retracted", 3, json!({})),
        event(json!("e-3"), "subscription_cancellation_scheduled", 4, json!({"subscription_set_external_id": "set-2"})),
        event(json!("e-4"), "subscription_cancelled", 5, json!({})),
        event(json!("e-5"), "scheduled_subscription_cancellation_retracted", 6, json!({})),
        event(json!("e-6"), "subscription_update_scheduled", 7, priced.clone()),
        event(json!("e-7"), "subscription_updated", 8, priced),
        event(json!("e-8"), "scheduled_subscription_update_retracted", 9, json!({"event_order": 2})),
        // One that has no key.
        event(json!(null), "subscription_cancelled", 10, json!({})),
        (
            "customer_notes",
            json!({"customer_external_id": "c-1", "type": "note", "text": "Wants a yearly plan",
            "author_email": "second.owner@example.com", "created_at": "2026-01-05T10:00:00Z"}),
        ),
        (
            "customer_notes",
            json!({"customer_external_id": "c-1", "type": "call", "text": "Asked for an offer", "call_duration": 300,
            "author_email": "owner@example.com", "created_at": "2026-01-06T10:00:00Z"}),
        ),
        (
            "opportunities",
            json!({"customer_external_id": "c-2", "owner": "owner@example.com", "pipeline": "New Business",
            "pipeline_stage": "Discovery", "estimated_close_date": "2026-03-30", "currency": "USD", "amount_in_cents": 200_000,
            "type": "arr", "forecast_category": "best_case", "win_likelihood": 30, "from_campaign": true}),
        ),
        (
            "tasks",
            json!({"customer_external_id": "c-2", "task_details": "Call them", "assignee": "owner@example.com",
            "due_date": "2026-04-30T00:00:00Z", "completed_at": "2026-04-29T09:00:00Z"}),
        ),
    ]
}

/// The account that is exported: the company, and the same keys in another data source with other things behind them.
fn exported() -> Account {
    let account = Account::new(1);
    let run = account.write(&account.billing, &company()).succeeded();
    for (name, _) in company() {
        assert!(!run.outcomes(name).contains("rejected"), "{run}");
    }
    let other = account.world.must("POST /data_sources", json!({"name": "Stripe"}))["uuid"].as_str().unwrap().to_owned();
    let foreign = [
        ("plans", json!({"external_id": "gold", "name": "Another Gold", "interval_count": 1, "interval_unit": "year"})),
        ("customers", json!({"external_id": "c-1", "name": "Somebody Else", "country": "DE", "tags": ["foreign"], "seats": 99})),
        ("contacts", json!({"customer_external_id": "c-1", "email": "else@where.example"})),
        (
            "invoices",
            json!({"customer_external_id": "c-1", "external_id": "i-1", "date": "2026-01-01", "currency": "GBP",
            "line_items": [{"type": "one_time", "external_id": "li-1", "amount_in_cents": 1}],
            "transactions": [{"type": "payment", "external_id": "tr-1", "date": "2026-01-01", "result": "successful"}]}),
        ),
        event(json!("e-1"), "subscription_cancelled", 1, json!({})),
        (
            "tasks",
            json!({"customer_external_id": "c-1", "task_details": "Not ours", "assignee": "owner@example.com",
            "due_date": "2026-04-30T00:00:00Z"}),
        ),
    ];
    account.write(&other, &foreign).succeeded();
    account
}

/// What an account holds of the data source, without what the datasets do not carry:
///
/// - of customers: when they became leads and their trial began, owner, status, website; the lead columns stand in no dataset;
/// - tags that ChartMogul sets by itself;
/// - of contacts: external id (the export's own number takes its place), position, Twitter, when last seen, attributes;
/// - of line items: when the subscription was cancelled, and with it the cancellation dates of subscriptions;
/// - of events: the set of subscriptions, their order, and what they take back;
/// - of opportunities: attributes;
/// - data sources, plan groups, merges, and the connections of subscriptions.
fn carried(world: &World) -> Value {
    let mut contents = world.contents();
    let all = contents.as_object_mut().unwrap();
    all.retain(|kind, _| kind != "data_sources" && kind != "plan_groups");
    for (kind, entries) in all.iter_mut() {
        let entries = entries.as_array_mut().unwrap();
        entries.retain(|entry| {
            let customer = if entry["customer"].is_array() { &entry["customer"][0] } else { &entry["customer"] };
            let own = [&entry["data_source"], &entry["keys"][0]["data_source"], &customer["data_source"]];
            own.iter().all(|source| source.is_null() || *source == "Billing")
        });
        for entry in entries.iter_mut() {
            for (of, names) in [
                ("customers", "lead_created_at free_trial_started_at owner status website_url"),
                ("contacts", "external_id position twitter last_seen"),
                ("subscription_events", "subscription_set_external_id event_order retracted_event_id"),
            ] {
                if of == kind {
                    let fields = entry["fields"].as_object_mut().unwrap();
                    fields.retain(|name, _| !names.split(' ').any(|lost| lost == name));
                }
            }
            for item in entry.get_mut("line_items").and_then(Value::as_array_mut).into_iter().flatten() {
                item["fields"].as_object_mut().unwrap().remove("cancelled_at");
            }
            let entry = entry.as_object_mut().unwrap();
            if kind == "contacts" || kind == "opportunities" {
                entry.remove("custom");
            }
            entry.remove("cancellation_dates");
            if let Some(tags) = entry.get_mut("tags").and_then(Value::as_array_mut) {
                tags.retain(|tag| tag != "merged-customer");
            }
        }
        entries.sort_by_cached_key(Value::to_string);
    }
    contents
}

/// The rows of each dataset, one of each in turn.
fn in_turn(mut rows: Vec<(&'static str, Value)>) -> Vec<(&'static str, Value)> {
    let mut seen = std::collections::BTreeMap::<&str, usize>::new();
    rows.sort_by_cached_key(|(name, _)| {
        let count = seen.entry(name).or_default();
        *count += 1;
        *count
    });
    rows
}

#[test]
fn an_exported_account_is_the_same_account_elsewhere_in_any_order_of_its_datasets() {
    let from = exported();
    let export = Export::of(&from.world).joined();
    let rows = export.rows(IN_ORDER);
    let reversed: Vec<_> = rows.iter().rev().cloned().collect();
    let parts_first: Vec<_> = IN_ORDER.iter().rev().copied().collect();
    let orders = [rows.clone(), reversed, export.rows(&parts_first), lower(&in_turn(rows))];
    for (order, rows) in orders.into_iter().enumerate() {
        let into = Account::new(7);
        let run = into.load(&rows, &from.billing, |_| json!(null)).succeeded();
        for (dataset, outcomes) in [
            ("PLANS", "6 read, 2 created, 4 skipped, 2 skipped as deletion_ignored, 2 skipped as other_data_source"),
            ("CUSTOMERS", "4 read, 3 created, 1 skipped, 1 skipped as other_data_source"),
            ("CONTACTS", "4 read, 3 created, 1 skipped, 1 skipped as other_data_source"),
            ("INVOICES", "5 read, 4 created, 1 skipped, 1 skipped as other_data_source"),
            ("INVOICE_LINE_ITEMS", "7 read, 6 created, 1 skipped, 1 skipped as other_data_source"),
            ("TRANSACTIONS", "4 read, 3 created, 1 skipped, 1 skipped as other_data_source"),
            ("SUBSCRIPTION_EVENTS", "11 read, 10 created, 1 skipped, 1 skipped as other_data_source"),
            ("CUSTOM_ATTRIBUTES", "7 read, 1 skipped, 6 updated, 1 skipped as other_data_source"),
            ("TAGS", "4 read, 2 skipped, 2 updated, 1 skipped as automatic_tag, 1 skipped as other_data_source"),
            ("NOTES_AND_CALL_LOGS", "2 read, 2 created"),
            ("OPPORTUNITIES", "1 read, 1 created"),
            ("TASKS", "2 read, 1 created, 1 skipped, 1 skipped as other_data_source"),
        ] {
            assert_eq!(run.outcomes(dataset), outcomes, "{dataset}, order {order}: {run}");
        }
        let (came, stood) = (carried(&into.world), carried(&from.world));
        for (kind, entries) in stood.as_object().unwrap() {
            assert_eq!(&came[kind], entries, "{kind}, order {order}");
        }
        assert_eq!(came, stood, "order {order}");
        let contacts = into.world.contacts();
        let keyed = |contact: &Value| export.datasets["CONTACTS"].iter().any(|row| row["ID"] == contact["fields"]["external_id"]);
        assert!(contacts.iter().all(keyed), "{contacts:#?}");

        let before = (into.world.writes(), into.world.contents());
        let run = into.load(&rows, &from.billing, |_| json!(null)).succeeded();
        assert_eq!((into.world.writes(), into.world.contents()), before, "order {order}: {run}");
    }
}

/// The rows as a destination that folds names to lower case would hold them.
fn lower(rows: &[(&'static str, Value)]) -> Vec<(&'static str, Value)> {
    let lower = |row: &Value| row.as_object().unwrap().iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
    rows.iter().map(|(name, row)| (*name, Value::Object(lower(row)))).collect()
}

#[test]
fn where_an_export_came_from_nothing_is_written() {
    let account = exported();
    // As the tables are: no join, and ChartMogul's UUIDs mean something here.
    let rows = Export::of(&account.world).rows(IN_ORDER);
    let before = account.world.contents();
    let writes = account.world.writes();
    let run = account.load(&rows, &account.billing, |_| json!(null)).succeeded();
    for (dataset, outcomes) in [
        ("PLANS", "6 read, 4 skipped, 2 unchanged, 2 skipped as deletion_ignored, 2 skipped as other_data_source"),
        ("CUSTOMERS", "4 read, 1 skipped, 3 unchanged, 1 skipped as other_data_source"),
        ("CONTACTS", "4 read, 1 skipped, 3 unchanged, 1 skipped as other_data_source"),
        ("INVOICES", "5 read, 1 skipped, 4 unchanged, 1 skipped as other_data_source"),
        ("INVOICE_LINE_ITEMS", "7 read, 1 skipped, 6 unchanged, 1 skipped as other_data_source"),
        ("TRANSACTIONS", "4 read, 1 skipped, 3 unchanged, 1 skipped as other_data_source"),
        ("SUBSCRIPTION_EVENTS", "11 read, 1 skipped, 10 unchanged, 1 skipped as other_data_source"),
        ("CUSTOM_ATTRIBUTES", "7 read, 7 unchanged"),
        ("TAGS", "4 read, 1 skipped, 3 unchanged, 1 skipped as automatic_tag"),
        ("NOTES_AND_CALL_LOGS", "2 read, 2 unchanged"),
        ("OPPORTUNITIES", "1 read, 1 unchanged"),
        ("TASKS", "2 read, 2 unchanged"),
    ] {
        assert_eq!(run.outcomes(dataset), outcomes, "{dataset}: {run}");
    }
    assert_eq!((account.world.contents(), account.world.writes()), (before.clone(), writes));
    // Nor by nulls that clear: a column that is empty stands for what is not there.
    let run = account.load_with(json!({"nulls": "clear"}), &rows, &account.billing, |_| json!(null)).succeeded();
    assert_eq!((account.world.contents(), account.world.writes()), (before, writes), "{run}");
}

#[test]
fn a_row_that_was_edited_changes_what_it_came_from_and_nothing_else() {
    let account = exported();
    let mut rows = Export::of(&account.world).rows(IN_ORDER);
    let edits = [
        ("PLANS", "NAME", json!("Silver")),
        ("CUSTOMERS", "FULL_NAME", json!("Ann Ray")),
        ("CONTACTS", "TITLE", json!("CEO")),
        ("INVOICES", "DUE_AT", json!("2026-02-15T00:00:00Z")),
        ("INVOICE_LINE_ITEMS", "AMOUNT_IN_CENTS", json!(12_345)),
        ("TRANSACTIONS", "TRANSACTED_AT", json!("2026-01-09T00:00:00Z")),
        ("SUBSCRIPTION_EVENTS", "EFFECTIVE_DATE", json!("2026-04-20T00:00:00Z")),
        ("CUSTOM_ATTRIBUTES", "VALUE", json!("telephone")),
        ("TAGS", "TAG", json!("vip2")),
        ("NOTES_AND_CALL_LOGS", "TEXT", json!("Wants two")),
        ("OPPORTUNITIES", "AMOUNT_IN_CENTS", json!(1)),
        ("TASKS", "TASK_DETAILS", json!("Write to them")),
    ];
    let count =
        |contents: &Value| -> usize { contents.as_object().unwrap().values().map(|list| list.as_array().unwrap().len()).sum() };
    let before = (account.world.writes(), count(&account.world.contents()));
    for (dataset, column, value) in &edits {
        // The attribute is the one that is a text.
        let is_text = |row: &Value| row["CUSTOM_ATTRIBUTE_TYPE"].as_str().is_none_or(|kind| kind == "String");
        let (_, row) = rows.iter_mut().find(|(name, row)| name == dataset && is_text(row)).unwrap();
        row[*column] = value.clone();
    }
    let run = account.load(&rows, &account.billing, |_| json!(null)).succeeded();
    for (dataset, ..) in &edits {
        assert!(run.outcomes(dataset).contains("1 updated") && !run.outcomes(dataset).contains("created"), "{dataset}: {run}");
    }
    assert_eq!((account.world.writes(), count(&account.world.contents())), (before.0 + edits.len() as u64, before.1), "{run}");
    let after = account.world.contents().to_string();
    for (_, _, value) in &edits {
        assert!(after.contains(value.as_str().unwrap_or_default().trim_end_matches('Z')), "{value}");
    }
}

#[test]
fn what_hangs_on_parents_needs_a_key_of_yours_in_another_account() {
    let from = exported();
    let (plain, joined) = (Export::of(&from.world), Export::of(&from.world).joined());
    let customers = plain.rows(&["CUSTOMERS"]);
    let with = |rows: Vec<(&'static str, Value)>| customers.iter().cloned().chain(rows).collect::<Vec<_>>();
    // ChartMogul's own UUIDs mean nothing there.
    let into = Account::new(7);
    let run = into.load(&with(plain.rows(&["TAGS", "TASKS"])), &from.billing, |_| json!(null)).succeeded();
    assert_eq!(run.outcomes("TASKS"), "2 read, 2 rejected, 2 rejected with KEY_MISSING");
    assert!(run.logged(&["TAGS", "PARENT_NOT_FOUND", "customer_uuid"]), "{run}");
    // A join that calls the key otherwise is told by `fields`.
    let mut rows = joined.rows(&["TASKS"]);
    for (_, row) in &mut rows {
        let row = row.as_object_mut().unwrap();
        let key = row.remove("CUSTOMER_EXTERNAL_ID").unwrap();
        row.insert("CHILD".into(), key);
    }
    let entry = |name: &str| match name {
        "TASKS" => json!({"fields": {"CHILD": "customer_external_id"}}),
        _ => json!(null),
    };
    let run = into.load(&with(rows), &from.billing, entry).succeeded();
    assert_eq!(run.outcomes("TASKS"), "2 read, 1 created, 1 skipped, 1 skipped as other_data_source");
}

#[test]
fn rows_of_any_data_source_are_brought_along_where_the_column_is_left_out() {
    let from = exported();
    let other = Export::of(&from.world);
    let foreign = other.rows(&["CONTACTS", "CUSTOMERS"]).into_iter().filter(|(_, row)| {
        row["BILLING_CONNECTOR_ID"] == FIRST_CONNECTOR + 2
            || row["DATA_SOURCE_UUID"].as_str().is_some_and(|uuid| uuid != from.billing)
    });
    let rows: Vec<_> = foreign.collect();
    let into = Account::new(7);
    let bare = |name: &str| {
        let (column, constants) = match name {
            "CUSTOMERS" => ("BILLING_CONNECTOR_ID", json!({"country": "FR"})),
            _ => ("DATA_SOURCE_UUID", json!({"notes": "moved"})),
        };
        json!({"stream": name, "preset": "chartmogul_export", "exclude": [column], "constants": constants})
    };
    let run = into.sync(json!({}), &rows, bare).succeeded();
    assert_eq!((run.outcomes("CUSTOMERS"), run.outcomes("CONTACTS")), ("1 read, 1 created", "1 read, 1 created"), "{run}");
    let customer = into.world.customer("c-1");
    assert_eq!((&customer["fields"]["name"], &customer["fields"]["country"]), (&"Somebody Else".into(), &"FR".into()));
    assert_eq!(into.world.contacts()[0]["fields"]["notes"], "moved");
    // Without a table a number of ChartMogul's is left out, and that is said once.
    assert!(run.logged(&["column `COUNTRY_ID` is left out", "`values`"]), "{run}");
    // A number that the table does not hold is a fault of the row: a guess would be a wrong country.
    let entry = |name: &str| json!({"stream": name, "preset": "chartmogul_export", "values": {"COUNTRY_ID": {"1": "US"}}});
    let run = into.sync(json!({}), &rows[1..], entry).succeeded();
    assert_eq!(run.outcomes("CUSTOMERS"), "1 read, 1 rejected, 1 rejected with FIELD_VALUE");
    assert!(run.logged(&["field country:", "COUNTRY_ID", "`values`"]), "{run}");
}

#[test]
fn a_retraction_is_loaded_only_where_the_payload_names_what_it_takes_back() {
    let account = Account::new(1);
    let row = |payload: Value| {
        let row = json!({"ID": 7, "DATA_SOURCE_UUID": account.billing, "DATA_SOURCE_CUSTOMER_EXTERNAL_ID": "c-1",
            "SUBSCRIPTION_EXTERNAL_ID": "s-2", "EXTERNAL_ID": "e-9", "EVENT_DATE": "2026-03-20", "EFFECTIVE_DATE": "2026-03-20",
            "PAYLOAD": payload.to_string(), "EVENT_TYPE": 9});
        [("SUBSCRIPTION_EVENTS", row)]
    };
    account.write(&account.billing, &company()).succeeded();
    let load = |payload| account.load(&row(payload), &account.billing, |_| json!(null)).succeeded();
    let run = load(json!({"currency": null}));
    assert_eq!(run.outcomes("SUBSCRIPTION_EVENTS"), "1 read, 1 rejected, 1 rejected with FIELD_MISSING");
    assert!(run.logged(&["field retracted_event_id:"]), "{run}");
    assert_eq!(load(json!({"retracted_event_id": "e-4"})).outcomes("SUBSCRIPTION_EVENTS"), "1 read, 1 created");
}

#[test]
fn what_chartmogul_computes_is_refused_at_its_first_row_and_can_be_cleared() {
    let preset =
        |name: &str| json!({"stream": name, "preset": "chartmogul_export", "only_if_empty": ["no_such"], "match": "nothing"});
    for (name, row, hint) in [
        ("MRR_MOVEMENTS", json!({"MRR": 1}), "SUBSCRIPTION_EVENTS"),
        ("CURRENCY_RATES", json!({"RATE": 1.5}), "Nothing is to be loaded"),
        ("CUSTOMERS", json!({"UUID": "cus_1", "MRR": 1, "ARR": 12, "STATUS": "Active"}), "source dataset CUSTOMERS"),
        ("CALCULATED_CUSTOMERS", json!({"UUID": "cus_1"}), "source dataset CUSTOMERS"),
        ("CONTACT_CUSTOM_ATTRIBUTES", json!({"NAME": "role"}), "CONTACTS"),
    ] {
        let account = Account::new(1);
        let message = account.sync(json!({}), &[(name, row.clone())], preset).failed("config_error", "NOT_WRITABLE");
        assert!(message.contains(&format!("`{name}`")) && message.contains(hint), "{message}");
        assert_eq!(account.world.writes(), 0);
        let columns: Map<String, Value> = row.as_object().unwrap().keys().map(|column| (column.clone(), json!({}))).collect();
        let cleared = stream(name).columns(columns.into()).mode("append").generations(3, 3);
        let run = account
            .world
            .sync()
            .config(json!({"streams": [preset(name)]}))
            .stream(cleared)
            .lines([state(name, 1), complete(name)]);
        assert_eq!(run.run().succeeded().counts(), [(0.0, 0.0)], "{name}");
    }
}
