//! The input: companies without end, a few at a time, as a stream of lines.
//!
//! Owns what is read and in which order. The rows are those of `company_tests`, under names of each company's own, so that what the
//! account holds at the end follows from the rows alone. Every value that can change is numbered in the order in which it comes:
//! whoever looks into the account in between can tell a value that is too old.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read};

use serde_json::{Map, Value, json};

use super::laws::Laws;
use crate::engine::chaos_tests::Dice;
use crate::engine::company_tests::{STREAMS, Shape, base_rows, rows};
use crate::engine::testing::{record, state};

/// Companies whose rows come side by side, in a long simulation.
const AT_ONCE: u64 = 8;
/// One STATE for so many records.
const RECORDS_TO_A_STATE: u64 = 40;
/// Rows that every company has, about.
const LEAST: u64 = 100;
/// Every so many companies one has plan groups: they have no key, so that each is looked for among all there are.
const WITH_GROUPS: u64 = 8;
/// Bytes given at once, at least.
const BLOCK: usize = 64 * 1024;

/// What a simulation is like, from its seed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) records: u64,
    pub(super) deletes: bool,
    /// STATEs speak of all streams.
    pub(super) global: bool,
}

impl Plan {
    /// Rows of one company, beside those that each has.
    fn rows_of(self, company: u64) -> u64 {
        let most = self.largest() - LEAST;
        Dice(self.seed ^ company.wrapping_mul(0x9e37_79b9_7f4a_7c15)).roll(most)
    }

    /// Rows of the largest company, about: small simulations have more than one company, too.
    fn largest(self) -> u64 {
        (self.records / 50).clamp(200, 900)
    }

    /// Companies whose rows come side by side: also in a small simulation some come whole.
    fn at_once(self) -> u64 {
        (self.records / 500).clamp(2, AT_ONCE)
    }

    /// Companies that are certain to suffice.
    pub(super) fn companies(self) -> u64 {
        let (mut companies, mut rows) = (0, 0);
        while rows < self.records {
            rows += 30 + self.rows_of(companies);
            companies += 1;
        }
        companies + self.at_once()
    }
}

/// The customers of a company that are known by UUID, by their names.
pub(super) type Uuids = Vec<Map<String, Value>>;

/// Lines that stand before anything else: the base of every company.
pub(super) fn base(plan: Plan) -> impl Read + Send {
    let mut companies = 0..plan.companies();
    Lines::new(move |text| {
        let Some(company) = companies.next() else { return false };
        for (stream, mut row) in base_rows().into_iter().filter(|(stream, _)| has(company, stream)) {
            rename(stream, &mut row, company);
            text.push_str(&record(stream, &row));
        }
        true
    })
}

/// Whether a company has rows of a stream.
fn has(company: u64, stream: &str) -> bool {
    stream != "plan_groups" || company.is_multiple_of(WITH_GROUPS)
}

/// The name that a company has for something.
pub(super) fn name(company: u64, own: &str) -> String {
    format!("{company}.{own}")
}

/// Gives what a row names the company's own name.
fn rename(stream: &str, row: &mut Value, company: u64) {
    let Some(row) = row.as_object_mut() else { return };
    for (key, value) in row.iter_mut() {
        match (key.as_str(), value) {
            ("plan_external_ids" | "subscription_external_ids", Value::Array(names)) => {
                names.iter_mut().for_each(|one| *one = name(company, one.as_str().unwrap()).into());
            }
            ("line_items" | "transactions", Value::Array(parts)) => {
                parts.iter_mut().for_each(|part| rename(stream, part, company));
            }
            (key, Value::String(text)) => {
                let is_group = key == "name" && stream == "plan_groups";
                if key.ends_with("external_id") || is_group || key == "email" && text.contains('@') {
                    *text = name(company, text);
                }
            }
            _ => {}
        }
    }
}

/// A company whose rows are coming.
struct Company {
    number: u64,
    /// Whether all that its rows refer to comes.
    whole: bool,
    rows: VecDeque<(&'static str, Value)>,
    /// How often something came.
    came: HashMap<(&'static str, String), u64>,
}

impl Company {
    /// Numbers what can change. Two rows in a row about one thing say the same.
    fn number(&mut self, stream: &'static str, row: &mut Value) {
        let key = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let (field, key) = match stream {
            "customers" if row.get("name").is_some() => ("name", key("external_id")),
            "contacts" if row["title"].as_str().is_some_and(|title| title.starts_with('t')) => {
                ("title", key("customer_external_id") + &key("external_id"))
            }
            "plans" => ("name", key("external_id")),
            "subscription_events" if key("external_id").rsplit('-').next().is_some_and(|key| key.parse::<u64>().is_ok()) => {
                ("amount_in_cents", key("external_id"))
            }
            "custom_attributes" if row["key"] != "row_9" => ("value", key("customer_external_id") + &key("key")),
            _ => return,
        };
        let came = self.came.entry((stream, key)).or_default();
        let value = *came / 2;
        *came += 1;
        row[field] = match (stream, field) {
            ("plans", _) => format!("Plan {value}").into(),
            ("customers", _) => format!("n{value}").into(),
            ("contacts", _) => format!("t{value}").into(),
            _ => value.into(),
        };
        for (field, value) in [("seats", json!(value % 9)), ("on", json!(value % 2 == 1))] {
            if let Some(said) = row.get_mut(field) {
                *said = value;
            }
        }
    }
}

/// The rows, and the STATEs between them.
struct Rows {
    plan: Plan,
    dice: Dice,
    uuids: Uuids,
    open: Vec<Company>,
    opened: u64,
    /// Records so far, which is also the number of a STATE.
    at: u64,
}

impl Rows {
    /// The next record with its company; a company ends, another begins.
    fn next(&mut self) -> (&'static str, Value, bool) {
        loop {
            while (self.open.len() as u64) < self.plan.at_once() {
                self.begin();
            }
            let chosen = usize::try_from(self.dice.roll(self.plan.at_once())).unwrap();
            let company = &mut self.open[chosen];
            let Some((stream, mut row)) = company.rows.pop_front() else {
                self.open.swap_remove(chosen);
                continue;
            };
            rename(stream, &mut row, company.number);
            company.number(stream, &mut row);
            self.at += 1;
            return (stream, row, company.whole);
        }
    }

    fn begin(&mut self) {
        let Plan { seed, records, deletes, global } = self.plan;
        let number = self.opened;
        self.opened += 1;
        // The input ends within the last ones. What waits for what never comes stands there only: it holds its STATEs back.
        let whole = self.at + (self.plan.at_once() + 2) * self.plan.largest() < records;
        let shape = Shape {
            seed: seed.wrapping_mul(1_000_003).wrapping_add(number),
            records: self.plan.rows_of(number),
            steady: false,
            deletes,
            global,
            whole,
        };
        let uuids = self.uuids[usize::try_from(number).unwrap()].clone();
        let rows = rows(shape, uuids).into_iter().filter(|(stream, _)| has(number, stream)).collect();
        self.open.push(Company { number, whole, rows, came: HashMap::new() });
    }
}

/// The lines that the laws still wait for: all of them, or what a source sends again after a kill.
pub(super) fn lines(plan: Plan, uuids: Uuids, laws: Laws) -> impl Read + Send {
    let mut rows = Rows { plan, dice: Dice(plan.seed), uuids, open: Vec::new(), opened: 0, at: 0 };
    let scope = move |stream: &'static str| if plan.global { "" } else { stream };
    let mark = move |text: &mut String, laws: &Laws, stream: &'static str, number: u64| {
        if laws.waits(scope(stream), number) {
            laws.state(scope(stream), number);
            text.push_str(&if plan.global { global_state(number) } else { state(stream, number) });
        }
    };
    let mut ended = false;
    Lines::new(move |text| {
        if rows.at == plan.records {
            if std::mem::replace(&mut ended, true) {
                return false;
            }
            for (place, stream) in STREAMS.iter().enumerate() {
                mark(text, &laws, stream, plan.records + 1 + place as u64);
            }
            return true;
        }
        let (stream, row, whole) = rows.next();
        let marks = rows.dice.roll(RECORDS_TO_A_STATE) == 0;
        if laws.waits(scope(stream), rows.at) {
            text.push_str(&record(stream, &row));
            laws.record(scope(stream), rows.at, stream, row, whole);
        }
        // The number of a STATE is that of the last record before it.
        if marks {
            mark(text, &laws, stream, rows.at);
        }
        true
    })
}

fn global_state(number: u64) -> String {
    let state = json!({"type": "GLOBAL", "global": {"shared_state": {"n": number}, "stream_states": []}});
    json!({"type": "STATE", "state": state}).to_string() + "\n"
}

/// Lines that are made when they are read.
struct Lines<F> {
    /// Adds lines; says whether there were any.
    more: F,
    text: String,
    given: usize,
}

impl<F: FnMut(&mut String) -> bool> Lines<F> {
    fn new(more: F) -> Self {
        Self { more, text: String::new(), given: 0 }
    }
}

impl<F: FnMut(&mut String) -> bool> Read for Lines<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.text.len() {
            self.text.clear();
            self.given = 0;
            while self.text.len() < BLOCK && (self.more)(&mut self.text) {}
        }
        let given = (&self.text.as_bytes()[self.given..]).read(buffer)?;
        self.given += given;
        Ok(given)
    }
}
