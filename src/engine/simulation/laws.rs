//! What has to hold whenever a STATE leaves.
//!
//! - STATEs of a scope leave in their order, each once, and each counts exactly the records since the one before it.
//! - At that moment the far side holds what every one of these records said, or something that came later ([`super::account`]).

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;

use super::account::{Account, said};
use crate::sandbox::{Peek, Sandbox};

/// The records before a STATE.
#[derive(Default)]
struct Segment {
    number: u64,
    records: u64,
    /// Those that say for certain what stands there, each with its place.
    rows: Vec<(u64, &'static str, Value)>,
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
    /// Of what can be said otherwise: what was said since the last STATE that covers it, each with its place.
    said: HashMap<String, Vec<(u64, Value)>>,
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
        Laws(Arc::new(Mutex::new(Book { peek, scopes, said: HashMap::new(), left: Vec::new(), asked: 0, line: Vec::new() })))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap()
    }

    /// Whether no STATE of the scope covers this place yet.
    pub(super) fn waits(&self, scope: &str, at: u64) -> bool {
        self.book().scopes.get(scope).and_then(|scope| scope.last).is_none_or(|last| at > last)
    }

    /// A record comes.
    pub(super) fn record(&self, scope: &str, at: u64, stream: &'static str, row: Value, is_certain: bool) {
        let mut book = self.book();
        if let Some((of, what)) = said(stream, &row).filter(|_| is_certain) {
            let all = book.said.entry(of).or_default();
            // After a kill it comes again.
            if all.iter().all(|(other, _)| *other != at) {
                all.push((at, what));
            }
        }
        let open = &mut book.scope(scope).open;
        open.records += 1;
        if is_certain {
            open.rows.push((at, stream, row));
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
        let account = Account::now(&self.peek);
        for (at, stream, row) in &segment.rows {
            // What it said itself, and what was said later.
            let since: Option<Vec<&Value>> = said(stream, row).map(|(of, _)| {
                let all = self.said.entry(of).or_default();
                all.retain(|(other, _)| other >= at);
                all.iter().map(|(_, what)| what).collect()
            });
            if let Some(holds) = account.holds(stream, row, since.as_deref()) {
                self.asked += 1;
                assert!(holds, "STATE {number} of {scope:?} left, but the account does not hold what {stream} said: {row}");
            }
        }
        self.left.push((scope, number, loaded, rejected));
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
