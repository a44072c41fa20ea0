//! A small random company, from a seed: rows of every object, with references in any order.
//!
//! What the account holds at the end has to follow from the rows alone, however the streams run beside each other and
//! wherever a killed sync begins again. So every value has one stream that says it, and two names of one thing never say
//! different values of one field.

use serde_json::{Map, Value, json};

use super::chaos_tests::Dice;
use super::testing::record;

/// The streams, each called like its object.
pub(super) const STREAMS: &[&str] = &[
    "customers",
    "contacts",
    "custom_attributes",
    "tags",
    "customer_merges",
    "plans",
    "plan_groups",
    "invoices",
    "line_items",
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

const CUSTOMERS: u64 = 7;
const PLANS: u64 = 5;
const INVOICES: u64 = 16;
const EVENTS: u64 = 10;
const SURE: u64 = 3;

/// One line of input.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// The stream of a record; that of a STATE, or none for a STATE of all.
    pub(super) stream: Option<&'static str>,
    /// The number of a STATE.
    pub(super) state: Option<u64>,
    pub(super) text: String,
}

/// What a company is like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) seed: u64,
    pub(super) records: u64,
    /// Rows about one thing say the same, nothing is deleted and nothing is wrong: the second run has nothing to do.
    pub(super) steady: bool,
    /// Things of the base are deleted, and come back.
    pub(super) deletes: bool,
    /// STATEs speak of all streams.
    pub(super) global: bool,
    /// Everything that is referred to comes, so that no record waits for the end of the input.
    pub(super) whole: bool,
}

/// Rows that stand in the account before anything goes wrong: what is named by UUID, and what is deleted.
pub(super) fn base() -> Vec<String> {
    base_rows().into_iter().map(|(stream, row)| record(stream, &row)).collect()
}

/// The same, each with its stream.
pub(super) fn base_rows() -> Vec<(&'static str, Value)> {
    let mut rows = Vec::new();
    let mut push = |stream: &'static str, row: Value| rows.push((stream, row));
    for at in 0..SURE {
        push("customers", json!({"external_id": format!("u{at}"), "city": "Rome"}));
        push("customers", json!({"external_id": format!("gone{at}")}));
        push("contacts", keyed_contact(&format!("u{at}"), "gone"));
        push("contacts", keyless_contact(&format!("u{at}")));
        push("customer_notes", note(&format!("u{at}"), 90));
        push("customer_notes", note(&format!("u{at}"), 91));
        push("tasks", task(&format!("u{at}"), 90, 1));
        push("opportunities", opportunity(&format!("u{at}"), 90));
        push("plans", plan(90 + at, 1));
        push("plan_groups", json!({"name": format!("gone{at}"), "plan_external_ids": [format!("p{}", 90 + at)]}));
        push("invoices", nested(&format!("gone{at}u"), &format!("u{at}"), 90, 1));
        push("invoices", nested(&format!("base{at}"), &format!("u{at}"), 90, 1));
        push("line_items", item(&format!("base{at}"), &format!("base{at}-gone"), 90, 5));
        push("transactions", transaction(&format!("base{at}"), &format!("base{at}-gone"), 1));
        push("subscription_events", event(&format!("gone{at}"), &format!("u{at}"), &format!("gone{at}"), 90, 1));
        push("custom_attributes", attribute(&format!("u{at}"), 9, 1));
        push("tags", json!({"customer_external_id": format!("u{at}"), "tag": "gone"}));
        push("subscription_events", event(&format!("keep{at}"), &format!("u{at}"), &format!("keep{at}"), 90, 1));
        push("subscription_cancellations", cancellation(&format!("u{at}"), &format!("keep{at}"), 9));
    }
    rows
}

fn keyed_contact(customer: &str, key: &str) -> Value {
    json!({"customer_external_id": customer, "external_id": format!("{customer}-{key}"), "title": "T"})
}

fn keyless_contact(customer: &str) -> Value {
    json!({"customer_external_id": customer, "first_name": format!("F of {customer}")})
}

fn note(customer: &str, at: u64) -> Value {
    let mut note = json!({"customer_external_id": customer, "type": if at.is_multiple_of(2) { "note" } else { "call" },
        "text": format!("note {at} of {customer}"), "author_email": "owner@example.com"});
    if at % 4 < 2 {
        note["created_at"] = json!(format!("2026-01-{:02}T10:00:00Z", at % 27 + 1));
    }
    if !at.is_multiple_of(2) {
        note["call_duration"] = json!(at);
    }
    note
}

fn task(customer: &str, at: u64, due: u64) -> Value {
    json!({"customer_external_id": customer, "task_details": format!("task {at} of {customer}"),
        "assignee": "owner@example.com", "due_date": format!("2026-04-{:02}", due % 29 + 1)})
}

/// No two customers have equal ones: they may become one.
fn opportunity(customer: &str, at: u64) -> Value {
    let of: u64 = customer.bytes().map(u64::from).sum();
    json!({"customer_external_id": customer, "owner": "owner@example.com", "pipeline": "New Business",
        "pipeline_stage": "Discovery", "estimated_close_date": format!("2026-03-{:02}", at % 29 + 1), "currency": "USD",
        "amount_in_cents": of * 1000 + at, "win_likelihood": 30, "from_campaign": true, "unheard_of": "x"})
}

fn plan(at: u64, name: u64) -> Value {
    json!({"external_id": format!("p{at}"), "name": format!("Plan {name}"), "interval_count": 1, "interval_unit": "month"})
}

fn subscription(item: &mut Value, name: &str, plan: u64) {
    item["type"] = json!("subscription");
    item["subscription_external_id"] = json!(name);
    item["plan_external_id"] = json!(format!("p{plan}"));
    item["service_period_start"] = json!("2026-01-01T00:00:00Z");
    item["service_period_end"] = json!("2026-02-01T00:00:00Z");
}

fn nested(key: &str, customer: &str, plan: u64, amount: u64) -> Value {
    let mut first = json!({"external_id": format!("{key}-a"), "amount_in_cents": 5000 + amount, "quantity": 2});
    subscription(&mut first, &format!("{key}-s"), plan);
    json!({"customer_external_id": customer, "external_id": key, "date": "2026-01-01", "currency": "EUR",
        "line_items": [first, {"type": "one_time", "amount_in_cents": 1500, "description": format!("setup of {key}")}],
        "transactions": [{"type": "payment", "external_id": format!("{key}-p"), "date": "2026-01-02", "result": "successful",
            "amount_in_cents": 100}]})
}

fn header(key: &str, customer: &str, due: u64) -> Value {
    json!({"customer_external_id": customer, "external_id": key, "date": "2026-01-01", "currency": "EUR",
        "due_date": format!("2026-02-{:02}", due % 27 + 1)})
}

fn item(invoice: &str, key: &str, plan: u64, amount: u64) -> Value {
    let mut item = json!({"invoice_external_id": invoice, "external_id": key, "amount_in_cents": 1000 + amount});
    if plan % 2 == 1 {
        item["type"] = json!("one_time");
        item["description"] = json!("Setup");
    } else {
        subscription(&mut item, &format!("{invoice}-{key}-s"), plan);
    }
    item
}

fn transaction(invoice: &str, key: &str, fees: u64) -> Value {
    json!({"invoice_external_id": invoice, "external_id": key, "type": "payment", "date": "2026-01-03", "result": "successful",
        "amount_in_cents": 10, "transaction_fees_in_cents": fees})
}

fn event(key: &str, customer: &str, subscription: &str, plan: u64, amount: u64) -> Value {
    json!({"external_id": format!("e-{key}"), "customer_external_id": customer, "event_type": "subscription_start",
        "event_date": "2026-01-01T00:00:00Z", "effective_date": "2026-01-01T00:00:00Z",
        "subscription_external_id": subscription, "plan_external_id": format!("p{plan}"), "currency": "USD",
        "amount_in_cents": amount, "quantity": 1})
}

fn attribute(customer: &str, at: u64, value: u64) -> Value {
    json!({"customer_external_id": customer, "key": format!("row_{at}"), "value": value})
}

fn cancellation(customer: &str, subscription: &str, day: u64) -> Value {
    json!({"customer_external_id": customer, "subscription_external_id": subscription,
        "cancelled_at": format!("2026-05-{:02}T00:00:00Z", day % 29 + 1)})
}

/// The rows of a company, in their order.
struct Rows {
    dice: Dice,
    steady: bool,
    deletes: bool,
    whole: bool,
    uuids: Map<String, Value>,
    rows: Vec<(&'static str, Value)>,
    deleted: Vec<String>,
}

impl Rows {
    fn roll(&mut self, sides: u64) -> u64 {
        self.dice.roll(sides)
    }

    fn push(&mut self, stream: &'static str, row: Value) {
        self.rows.push((stream, row));
    }

    /// A value that another row about the same thing may say otherwise.
    fn changing(&self, of: u64) -> u64 {
        if self.steady { of } else { self.rows.len() as u64 }
    }

    /// A customer that comes, one that stood there before, one that is merged into another, or one that never comes.
    fn customer(&mut self) -> String {
        match self.roll(20) {
            0..=11 => format!("c{}", self.roll(CUSTOMERS)),
            12..=14 => format!("u{}", self.roll(SURE)),
            15..=18 => format!("m{}", self.roll(SURE)),
            _ if self.steady || self.whole => "c0".to_owned(),
            _ => "ghost".to_owned(),
        }
    }

    /// The same customer named by its UUID now and then.
    fn renamed(&mut self, mut row: Value) -> Value {
        let uuid = row["customer_external_id"].as_str().and_then(|key| self.uuids.get(key)).cloned();
        if let Some(uuid) = uuid
            && self.roll(2) == 0
        {
            row.as_object_mut().unwrap().remove("customer_external_id");
            row["customer_uuid"] = uuid;
        }
        row
    }

    /// Deletes something of the base, once.
    fn delete(&mut self, stream: &'static str, mut row: Value) {
        let key = format!("{stream} {row}");
        if self.steady || !self.deletes || self.deleted.contains(&key) {
            return;
        }
        self.deleted.push(key);
        row["_ab_cdc_deleted_at"] = json!("2026-06-01");
        self.push(stream, row);
    }

    fn any(&mut self) {
        match self.roll(34) {
            0 | 1 => self.customer_row(),
            // What is named by its UUID is written without a look.
            2 if !self.steady => {
                let uuid = self.uuids[&format!("u{}", self.dice.roll(SURE))].clone();
                self.push("customers", json!({"uuid": uuid, "company": "U"}));
            }
            3 => {
                let key = format!("u{}", self.roll(SURE));
                let name = self.changing(0);
                self.push("customers", json!({"external_id": key, "name": format!("n{name}")}));
            }
            4 => {
                let from = self.roll(SURE);
                self.merged_row(from);
            }
            5 => {
                let from = self.roll(SURE);
                self.merge(from);
            }
            6..=8 => self.contact(),
            9 => {
                let at = self.roll(PLANS);
                self.plan(at);
            }
            10 => self.group(),
            11..=14 => self.invoice(),
            15..=17 => self.line_item(),
            18 | 19 => self.transaction(),
            20..=22 => {
                let at = self.roll(EVENTS);
                self.event(at);
            }
            23 | 24 => self.cancellation(),
            25 => self.connection(),
            26 => {
                let (customer, at) = (self.customer(), self.roll(4));
                let row = self.renamed(note(&customer, at));
                self.push("customer_notes", row);
            }
            27 => {
                let (customer, at) = (self.customer(), self.roll(3));
                let row = self.renamed(opportunity(&customer, at));
                self.push("opportunities", row);
            }
            28 => {
                let (customer, at) = (format!("c{}", self.dice.roll(CUSTOMERS)), self.roll(3));
                let due = self.changing(at);
                self.push("tasks", task(&customer, at, due));
            }
            29 => {
                let (customer, at) = (format!("c{}", self.dice.roll(CUSTOMERS)), self.roll(3));
                let remove = !self.steady && self.roll(3) == 0;
                self.push("tags", json!({"customer_external_id": customer, "tag": format!("g{at}"), "remove": remove}));
            }
            30 => {
                let (customer, at) = (format!("c{}", self.dice.roll(CUSTOMERS)), self.roll(3));
                let value = self.changing(at);
                self.push("custom_attributes", attribute(&customer, at, value));
            }
            31 => {
                let at = self.roll(2);
                self.push("data_sources", json!({"name": format!("Source {at}")}));
                self.push("api_requests", json!({"method": "GET", "path": "/ping"}));
            }
            32 if !self.steady => self.bad(),
            _ => self.deletion(),
        }
    }

    fn customer_row(&mut self) {
        let at = self.roll(CUSTOMERS);
        self.customer_at(at);
    }

    fn customer_at(&mut self, at: u64) {
        let value = self.changing(at);
        let tags = if self.steady { vec![format!("t{at}")] } else { vec![format!("t{}", self.roll(3))] };
        self.push(
            "customers",
            json!({"external_id": format!("c{at}"), "name": format!("n{value}"), "seats": value % 9, "on": value % 2 == 1,
                "tags": tags, "country": "US", "state": "NY"}),
        );
    }

    /// What is merged away says nothing that the survivor says too.
    fn merged_row(&mut self, from: u64) {
        self.push(
            "customers",
            json!({"external_id": format!("m{from}"), "tags": ["merged"], "custom": {format!("of_m{from}"): "x"}}),
        );
    }

    fn merge(&mut self, from: u64) {
        let into = if from == 0 { "c1".to_owned() } else { format!("m{}", from - 1) };
        self.push("customer_merges", json!({"from_external_id": format!("m{from}"), "into_external_id": into}));
    }

    fn contact(&mut self) {
        match self.roll(3) {
            0 => {
                let (customer, key) = (format!("c{}", self.dice.roll(CUSTOMERS)), self.roll(3));
                let title = self.changing(key);
                self.push(
                    "contacts",
                    json!({"customer_external_id": customer, "external_id": format!("k{key}"), "title": format!("t{title}")}),
                );
            }
            1 => {
                let (customer, at) = (self.customer(), self.roll(3));
                let email = format!("m{at}@{customer}.test");
                let row = self.renamed(json!({"customer_external_id": customer, "email": email, "phone": "1", "role": "boss"}));
                self.push("contacts", row);
            }
            _ => {
                let customer = self.customer();
                let row = self.renamed(keyless_contact(&customer));
                self.push("contacts", row);
            }
        }
    }

    fn plan(&mut self, at: u64) {
        let name = self.changing(at);
        self.push("plans", plan(at, name));
    }

    fn group(&mut self) {
        let at = self.roll(3);
        let count = if self.steady { 2 } else { self.roll(3) + 1 };
        let first = if self.steady { at } else { self.roll(PLANS) };
        let mut plans: Vec<String> = (0..count).map(|next| format!("p{}", (first + next) % PLANS)).collect();
        if !self.steady && self.roll(8) == 0 && !self.whole {
            plans.push("never".to_owned());
        }
        self.push("plan_groups", json!({"name": format!("Group {at}"), "plan_external_ids": plans}));
    }

    /// Its number says what an invoice is like and whose it is.
    fn owner(at: u64) -> String {
        match at % 8 {
            6 => format!("m{}", at % SURE),
            7 => format!("u{}", at % SURE),
            _ => format!("c{}", at % CUSTOMERS),
        }
    }

    fn invoice(&mut self) {
        let at = self.roll(INVOICES);
        self.invoice_at(at);
    }

    fn invoice_at(&mut self, at: u64) {
        let (key, owner) = (format!("i{at}"), Self::owner(at));
        let value = self.changing(at);
        let mut row = match at % 4 {
            0 | 1 => header(&key, &owner, value),
            _ => nested(&key, &owner, at % PLANS, value % 100),
        };
        if at % 8 == 3 {
            row["status"] = json!("written_off");
        }
        let row = self.renamed(row);
        self.push("invoices", row);
    }

    fn line_item(&mut self) {
        let at = self.roll(INVOICES);
        let key = if !self.steady && self.roll(12) == 0 && !self.whole { "inever".to_owned() } else { format!("i{at}") };
        let part = self.roll(4);
        self.item_at(&key, part);
    }

    fn item_at(&mut self, invoice: &str, part: u64) {
        let amount = self.changing(part) % 100;
        let mut row = item(invoice, &format!("{invoice}-{part}"), part, amount);
        if part == 3 {
            // Without a key: found by its values.
            row.as_object_mut().unwrap().remove("external_id");
            row["amount_in_cents"] = json!(777);
        }
        self.push("line_items", row);
    }

    fn transaction(&mut self) {
        let (at, part) = (self.roll(INVOICES), self.roll(3));
        let fees = self.changing(part);
        let mut row = transaction(&format!("i{at}"), &format!("i{at}-t{part}"), fees);
        if part == 2 {
            // Without a key: found by its values, and never in one with a key that says the same.
            row.as_object_mut().unwrap().remove("external_id");
            row["amount_in_cents"] = json!(11);
            row["transaction_fees_in_cents"] = json!(7);
        }
        self.push("transactions", row);
    }

    /// Two by two, events belong to one customer.
    fn event(&mut self, at: u64) {
        let customer = Self::owner(at / 2);
        let amount = self.changing(at);
        let mut row = event(&at.to_string(), &customer, &format!("s{at}"), at % PLANS, amount);
        if at == EVENTS - 1 {
            row.as_object_mut().unwrap().remove("external_id");
            row["amount_in_cents"] = json!(777);
        }
        if at % 4 == 2 {
            row = self.renamed(row);
        }
        self.push("subscription_events", row);
    }

    fn cancellation(&mut self) {
        let at = self.roll(EVENTS);
        let (customer, subscription) = (Self::owner(at / 2), format!("s{at}"));
        let day = self.roll(4);
        let mut row = cancellation(&customer, &subscription, day);
        if !self.steady && self.roll(3) == 0 {
            let days =
                [cancellation("", "", day + 4)["cancelled_at"].take(), cancellation("", "", day + 5)["cancelled_at"].take()];
            row.as_object_mut().unwrap().remove("cancelled_at");
            row["cancellation_dates"] = json!(days);
        }
        self.push("subscription_cancellations", row);
    }

    fn connection(&mut self) {
        let at = self.roll(EVENTS / 2);
        let subscriptions = [format!("s{}", at * 2), format!("s{}", at * 2 + 1)];
        let disconnect = !self.steady && self.roll(3) == 0;
        self.push(
            "subscription_connections",
            json!({"customer_external_id": Self::owner(at), "subscription_external_ids": subscriptions, "disconnect": disconnect}),
        );
    }

    fn bad(&mut self) {
        let row = match self.roll(4) {
            0 => ("customers", json!({"external_id": "c1", "email": "nobody"})),
            1 => ("invoices", json!({"external_id": "i1", "date": "yesterday"})),
            2 => (
                "opportunities",
                json!({"customer_external_id": "c2", "pipeline": "No such", "pipeline_stage": "x",
                "owner": "owner@example.com", "estimated_close_date": "2026-01-01", "currency": "USD", "amount_in_cents": 1}),
            ),
            _ => (
                "line_items",
                json!({"invoice_external_id": "i4", "external_id": "bad", "type": "subscription",
                "amount_in_cents": 1}),
            ),
        };
        self.push(row.0, row.1);
    }

    /// Something of the base is deleted, or comes back.
    fn deletion(&mut self) {
        let at = self.roll(SURE);
        let customer = format!("u{at}");
        let (stream, row) = match self.roll(14) {
            0 => ("customers", json!({"external_id": format!("gone{at}")})),
            1 => ("contacts", keyed_contact(&customer, "gone")),
            2 => ("contacts", keyless_contact(&customer)),
            3 => ("customer_notes", note(&customer, 90)),
            4 => ("tasks", task(&customer, 90, 1)),
            5 => ("opportunities", opportunity(&customer, 90)),
            6 => ("plan_groups", json!({"name": format!("gone{at}"), "plan_external_ids": [format!("p{}", 90 + at)]})),
            7 => ("invoices", nested(&format!("gone{at}u"), &customer, 90, 1)),
            8 => ("line_items", item(&format!("base{at}"), &format!("base{at}-gone"), 90, 5)),
            9 => ("transactions", transaction(&format!("base{at}"), &format!("base{at}-gone"), 1)),
            10 => ("subscription_events", event(&format!("gone{at}"), &customer, &format!("gone{at}"), 90, 1)),
            11 => ("custom_attributes", attribute(&customer, 9, 1)),
            12 => ("tags", json!({"customer_external_id": customer, "tag": "gone"})),
            _ => ("subscription_cancellations", cancellation(&customer, &format!("keep{at}"), 9)),
        };
        if self.roll(2) == 0 { self.delete(stream, row) } else { self.push(stream, row) }
    }
}

/// The records of a company, each with its stream, in any order. `uuids` are those of the customers of the base.
pub(super) fn rows(shape: Shape, uuids: Map<String, Value>) -> Vec<(&'static str, Value)> {
    shuffled(shape, uuids).1
}

fn shuffled(shape: Shape, uuids: Map<String, Value>) -> (Dice, Vec<(&'static str, Value)>) {
    let Shape { seed, steady, deletes, whole, .. } = shape;
    let mut rows = Rows { dice: Dice(seed), steady, deletes, whole, uuids, rows: Vec::new(), deleted: Vec::new() };
    for _ in 0..shape.records {
        rows.any();
    }
    // What others refer to comes at least once, and anywhere.
    (0..CUSTOMERS).for_each(|at| rows.customer_at(at));
    (0..SURE).for_each(|at| rows.merged_row(at));
    (0..SURE).for_each(|at| rows.merge(at));
    (0..PLANS).for_each(|at| rows.plan(at));
    (0..EVENTS).for_each(|at| rows.event(at));
    for at in 0..INVOICES {
        rows.invoice_at(at);
        // Some invoices of which only the header is certain to come have no line item.
        if at % 4 == 0 || (steady || whole) && at % 4 == 1 {
            rows.item_at(&format!("i{at}"), 0);
        }
    }
    let Rows { mut dice, mut rows, .. } = rows;
    for at in (1..rows.len()).rev() {
        rows.swap(at, dice.roll(at as u64 + 1) as usize);
    }
    (dice, rows)
}

/// A company: its records, in any order, with STATEs between them. `uuids` are those of the customers of the base.
pub(super) fn company(shape: Shape, uuids: Map<String, Value>) -> Vec<Line> {
    let (mut dice, rows) = shuffled(shape, uuids);
    let mut lines = Vec::new();
    let state = |stream: &'static str, number: u64| {
        match shape.global {
        true => Line {
            stream: None,
            state: Some(number),
            text: json!({"type": "STATE", "state": {"type": "GLOBAL", "global": {"shared_state": {"n": number}, "stream_states": []}}})
                .to_string()
                + "\n",
        },
        false => Line { stream: Some(stream), state: Some(number), text: super::testing::state(stream, number) },
    }
    };
    for (at, (stream, row)) in rows.into_iter().enumerate() {
        lines.push(Line { stream: Some(stream), state: None, text: record(stream, &row) });
        if dice.roll(8) == 0 {
            lines.push(state(stream, at as u64));
        }
    }
    for (at, stream) in STREAMS.iter().enumerate() {
        lines.push(state(stream, 100_000 + at as u64));
    }
    lines
}
