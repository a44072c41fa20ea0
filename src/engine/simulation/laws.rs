//! What has to hold whenever a STATE leaves.
//!
//! - STATEs of a scope leave in their order, each once, and each counts exactly the records since the one before it.
//! - At that moment the far side holds what every one of these records said, or something that came later: the account is asked,
//!   beside all limits and faults. Of a record that the company may delete, or that waits for what never comes, nothing is asked;
//!   nor of what has no name of its own, and of how a cancellation or a connection stands. The comparison at the end sees these.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;

use super::input::name;
use crate::sandbox::{DATA_SOURCE_UUID, Peek, Sandbox};

/// The records before a STATE.
#[derive(Default)]
struct Segment {
    number: u64,
    records: u64,
    rows: Vec<(&'static str, Value)>,
}

#[derive(Default)]
struct Scope {
    /// Those before the next STATE.
    open: Segment,
    /// Those of STATEs that are to leave.
    closed: VecDeque<Segment>,
    /// The number of the last STATE that left.
    last: Option<u64>,
}

/// How a STATE left: its scope, its number, and how many records were loaded and rejected.
pub(super) type Left = (String, u64, u64, u64);

struct Book {
    peek: Peek,
    scopes: BTreeMap<String, Scope>,
    left: Vec<Left>,
    asked: u64,
    line: Vec<u8>,
}

/// A handle on what is known of a run; the stdout of its engine.
#[derive(Clone)]
pub(super) struct Laws(Arc<Mutex<Book>>);

impl Laws {
    /// Nothing has come yet.
    pub(super) fn new(sandbox: &Sandbox) -> Laws {
        let (peek, scopes) = (Peek::into(sandbox), BTreeMap::new());
        Laws(Arc::new(Mutex::new(Book { peek, scopes, left: Vec::new(), asked: 0, line: Vec::new() })))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap()
    }

    /// Whether no STATE of the scope covers this place yet.
    pub(super) fn waits(&self, scope: &str, at: u64) -> bool {
        self.book().scopes.get(scope).and_then(|scope| scope.last).is_none_or(|last| at > last)
    }

    /// A record comes.
    pub(super) fn record(&self, scope: &str, stream: &'static str, row: Value, is_certain: bool) {
        let mut book = self.book();
        let open = &mut book.scope(scope).open;
        open.records += 1;
        if is_certain {
            open.rows.push((stream, row));
        }
    }

    /// A STATE comes.
    pub(super) fn state(&self, scope: &str, number: u64) {
        let mut book = self.book();
        let scope = book.scope(scope);
        let segment = std::mem::take(&mut scope.open);
        scope.closed.push_back(Segment { number, ..segment });
    }

    /// The run was killed: what no STATE covers comes again.
    pub(super) fn killed(&self) {
        let mut book = self.book();
        book.line.clear();
        for scope in book.scopes.values_mut() {
            *scope = Scope { last: scope.last, ..Scope::default() };
        }
    }

    /// Panics unless all STATEs left; then how they did, and of how many records the account was asked.
    pub(super) fn ended(&self) -> (Vec<Left>, u64) {
        let mut book = self.book();
        for (name, scope) in &book.scopes {
            assert!(scope.closed.is_empty() && scope.open.records == 0, "{name}: {} STATEs did not leave", scope.closed.len());
        }
        let mut left = std::mem::take(&mut book.left);
        left.sort_unstable();
        (left, book.asked)
    }
}

impl Book {
    fn scope(&mut self, name: &str) -> &mut Scope {
        if !self.scopes.contains_key(name) {
            self.scopes.insert(name.to_owned(), Scope::default());
        }
        self.scopes.get_mut(name).unwrap()
    }

    fn leaves(&mut self, state: &Value) {
        let (scope, number) = scope_of(state);
        let expected = self.scopes.get_mut(&scope).and_then(|scope| scope.closed.pop_front());
        let Some(segment) = expected else { panic!("{scope:?}: STATE {number} left, and none was to come") };
        assert_eq!(number, segment.number, "{scope:?}: STATEs left out of their order");
        self.scope(&scope).last = Some(number);
        let count = |key: &str| state["destinationStats"][key].as_f64().unwrap() as u64;
        let (loaded, rejected) = (count("recordCount"), count("rejectedRecordCount"));
        assert_eq!(loaded + rejected, segment.records, "{scope:?}: the counts of STATE {number}");
        // Nothing is written meanwhile.
        let account = Account { peek: &self.peek, seen: RefCell::default() };
        for (stream, row) in &segment.rows {
            if let Some(holds) = account.holds(stream, row) {
                self.asked += 1;
                assert!(holds, "STATE {number} of {scope:?} left, but the account does not hold what {stream} said: {row}");
            }
        }
        self.left.push((scope, number, loaded, rejected));
    }
}

/// The account at one moment: it is asked for the same thing once.
struct Account<'p> {
    peek: &'p Peek,
    seen: RefCell<HashMap<String, Rc<(u16, Value)>>>,
}

impl Account<'_> {
    /// Whether the far side holds what a row said; none where that can not be told.
    fn holds(&self, stream: &str, row: &Value) -> Option<bool> {
        if row.get("_ab_cdc_deleted_at").is_some() || is_bad(stream, row) || may_be_deleted(stream, row) {
            return None;
        }
        let said = |field: &str| row[field].as_str().unwrap_or_default();
        let is_there = |list: &Many, field: &str| list.entries().iter().any(|entry| entry[field] == row[field]);
        Some(match stream {
            "customers" if row.get("name").is_some() => {
                self.customer(said("external_id")).any(|found| is_as_new(&found["name"], &row["name"]))
            }
            "customers" => match row["uuid"].as_str() {
                Some(uuid) => self.at(&format!("/customers/{uuid}"), &[]).1["company"] == row["company"],
                None => self.customer(said("external_id")).any(|_| true),
            },
            "customer_merges" => self.customer(said("from_external_id")).any(|found| {
                found["external_ids"].as_array().is_some_and(|keys| keys.iter().any(|key| *key == row["into_external_id"]))
            }),
            "contacts" => {
                let Some(customer) = self.customer_of(row) else { return Some(false) };
                let list = self.list(&format!("/customers/{customer}/contacts"), "entries", &[]);
                let key = ["external_id", "email", "first_name"].into_iter().find(|field| row.get(*field).is_some())?;
                let mut same = list.entries().iter().filter(|entry| entry[key] == row[key]);
                same.any(|entry| row.get("title").is_none_or(|title| is_as_new(&entry["title"], title)))
            }
            "custom_attributes" => self
                .customer(said("customer_external_id"))
                .any(|customer| customer["attributes"]["custom"][said("key")].as_u64() >= row["value"].as_u64()),
            "plans" => self.keyed("/plans", "plans", row)?.any(|found| is_as_new(&found["name"], &row["name"])),
            "invoices" => self.keyed("/invoices", "invoices", row)?.any(|_| true),
            "subscription_events" => self
                .keyed("/subscription_events", "subscription_events", row)?
                .any(|found| found["amount_in_cents"].as_u64() >= row["amount_in_cents"].as_u64()),
            "line_items" | "transactions" => {
                row.get("external_id")?;
                let key = [("data_source_uuid", DATA_SOURCE_UUID), ("external_id", said("external_id"))];
                self.at(&format!("/{stream}"), &key).0 == 200
            }
            "customer_notes" => self.of_customer("/customer_notes", row).is_some_and(|list| is_there(&list, "text")),
            "opportunities" => self.of_customer("/opportunities", row).is_some_and(|list| is_there(&list, "amount_in_cents")),
            "tasks" => self.of_customer("/tasks", row).is_some_and(|list| is_there(&list, "task_details")),
            "data_sources" => is_there(&self.list("/data_sources", "data_sources", &[]), "name"),
            _ => return None,
        })
    }

    fn at(&self, path: &str, query: &[(&str, &str)]) -> Rc<(u16, Value)> {
        let mut question = path.to_owned();
        query.iter().for_each(|(name, value)| question.extend(["?", name, "=", value]));
        if let Some(seen) = self.seen.borrow().get(&question) {
            return Rc::clone(seen);
        }
        let answer = Rc::new(self.peek.at(path, query));
        self.seen.borrow_mut().insert(question, Rc::clone(&answer));
        answer
    }

    fn list(&self, path: &str, root: &'static str, query: &[(&str, &str)]) -> Many {
        Many { answer: self.at(path, query), root }
    }

    /// What stands under the key of a row; none where the row has no key.
    fn keyed(&self, path: &str, root: &'static str, row: &Value) -> Option<Many> {
        let key = row["external_id"].as_str()?;
        Some(self.list(path, root, &[("data_source_uuid", DATA_SOURCE_UUID), ("external_id", key)]))
    }

    fn customer(&self, external_id: &str) -> Many {
        self.list("/customers", "entries", &[("data_source_uuid", DATA_SOURCE_UUID), ("external_id", external_id)])
    }

    /// The UUID of the customer that a row refers to.
    fn customer_of(&self, row: &Value) -> Option<String> {
        let named = row["customer_uuid"].as_str().map(str::to_owned);
        named.or_else(|| {
            let found = self.customer(row["customer_external_id"].as_str()?);
            Some(found.entries().first()?["uuid"].as_str()?.to_owned())
        })
    }

    fn of_customer(&self, path: &str, row: &Value) -> Option<Many> {
        Some(self.list(path, "entries", &[("customer_uuid", &self.customer_of(row)?)]))
    }
}

/// A list that was answered.
struct Many {
    answer: Rc<(u16, Value)>,
    root: &'static str,
}

impl Many {
    fn entries(&self) -> &[Value] {
        self.answer.1[self.root].as_array().map_or(&[], Vec::as_slice)
    }

    fn any(&self, fits: impl FnMut(&Value) -> bool) -> bool {
        self.entries().iter().any(fits)
    }
}

/// Whether what stands there is what was said, or came later: a letter, or a word, and a number that grows.
fn is_as_new(stands: &Value, said: &Value) -> bool {
    let number = |value: &Value| value.as_str()?.trim_start_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().ok();
    number(stands) >= number(said)
}

/// A row that is refused.
fn is_bad(stream: &str, row: &Value) -> bool {
    match stream {
        "customers" => row["email"] == "nobody",
        "invoices" => row["date"] == "yesterday",
        "opportunities" => row["pipeline"] == "No such",
        "line_items" => row["external_id"].as_str().is_some_and(|key| key.ends_with("bad")),
        _ => false,
    }
}

/// A row about what the company deletes.
fn may_be_deleted(stream: &str, row: &Value) -> bool {
    let text = row.to_string();
    text.contains("gone")
        || match stream {
            "contacts" => row.get("first_name").is_some() && (text.contains(".u") || row.get("customer_uuid").is_some()),
            "customer_notes" => text.contains("note 9"),
            "opportunities" => row["amount_in_cents"].as_u64().is_some_and(|amount| amount % 1000 == 90),
            "tasks" => text.contains("task 9"),
            "custom_attributes" => row["key"] == "row_9",
            _ => false,
        }
}

impl Write for Laws {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut book = self.book();
        book.line.extend_from_slice(bytes);
        if book.line.last() == Some(&b'\n') {
            let line = std::mem::take(&mut book.line);
            let message: Value = serde_json::from_slice(&line).unwrap();
            if message["type"] == "STATE" {
                book.leaves(&message["state"]);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn scope_of(state: &Value) -> (String, u64) {
    if state["type"] == "GLOBAL" {
        return (String::new(), state["global"]["shared_state"]["n"].as_u64().unwrap());
    }
    let stream = &state["stream"];
    (stream["stream_descriptor"]["name"].as_str().unwrap().to_owned(), stream["stream_state"]["n"].as_u64().unwrap())
}

/// The customers of a company that rows name by UUID.
pub(super) fn uuids(peek: &Peek, company: u64) -> serde_json::Map<String, Value> {
    let uuid = |at: u64| {
        let key = name(company, &format!("u{at}"));
        let query = [("data_source_uuid", DATA_SOURCE_UUID), ("external_id", key.as_str())];
        (format!("u{at}"), peek.at("/customers", &query).1["entries"][0]["uuid"].clone())
    };
    (0..3).map(uuid).collect()
}
