//! The sandbox's own page: how to use it, the requests against the limits, and what has arrived.
//!
//! Owns what the page says; how it looks is [`text`] for a terminal and [`html`] for a browser. Does not own what was counted
//! (`observed`) nor what the account holds (`snapshot`).

mod html;
mod text;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Logged, Observed, Options};

/// Rows that a table shows; the whole account is one request further.
const ROWS: usize = 20;
/// Characters that a cell shows.
const CELL: usize = 32;
/// Requests that are shown of the log, and the characters of their paths.
const REQUESTS: usize = 40;
const PATH: usize = 120;

/// What else there is beside the API.
const OTHERS: &[(&str, &str)] = &[
    ("GET  /sandbox/state", "everything in the account"),
    ("GET  /sandbox/observed", "requests, peaks and the last requests"),
    ("POST /sandbox/faults", "faults to come, one a line, such as: POST /customers after-work reset x2"),
    ("POST /sandbox/reset", "back to the beginning"),
];

/// What the page is made of.
pub(super) struct View<'v> {
    /// A key that may write.
    pub(super) key: &'v str,
    pub(super) options: &'v Options,
    /// [`super::Sandbox::contents`].
    pub(super) contents: &'v Value,
    pub(super) observed: &'v Observed,
}

/// For a terminal.
pub(super) fn plain(view: &View<'_>) -> String {
    text::page(view)
}

/// For a browser. It comes again by itself every few seconds and asks for nothing else.
pub(super) fn hypertext(view: &View<'_>) -> String {
    html::page(view)
}

/// One limit: how much there is now, the most there was, and how much there may be.
struct Gauge {
    name: &'static str,
    now: u64,
    most: u64,
    cap: u64,
    /// Requests that were refused for it.
    refused: u64,
}

impl View<'_> {
    fn users(&self) -> String {
        self.options.users.join(", ")
    }

    fn pipelines(&self) -> String {
        let pipelines = self.options.pipelines.iter().map(|one| format!("{} ({})", one.name, one.stages.join(", ")));
        pipelines.collect::<Vec<_>>().join(", ")
    }

    fn gauges(&self) -> [Gauge; 2] {
        let seen = self.observed;
        let rate = Gauge {
            name: "in one second",
            now: seen.in_last_second as u64,
            most: seen.most_in_one_second as u64,
            cap: self.options.requests_per_second.into(),
            refused: seen.over_rate,
        };
        let at_once = Gauge {
            name: "at once",
            now: seen.in_flight.into(),
            most: seen.most_in_flight.into(),
            cap: self.options.connections.into(),
            refused: seen.over_connections,
        };
        [rate, at_once]
    }

    /// The last requests, newest first.
    fn requests(&self) -> Vec<Line> {
        self.observed.log.iter().rev().take(REQUESTS).map(|logged| Line::of(logged, self.observed.now_ms)).collect()
    }

    /// The kinds of things in the account, with all of each.
    fn kinds(&self) -> Vec<(&str, &[Value])> {
        let kinds = self.contents.as_object().into_iter().flatten();
        kinds.filter_map(|(kind, entries)| Some((kind.as_str(), entries.as_array()?.as_slice()))).collect()
    }
}

/// A request of the log, in words.
struct Line {
    ago: String,
    method: String,
    path: String,
    ended: String,
}

impl Line {
    fn of(logged: &Logged, now_ms: u64) -> Line {
        let ago = now_ms.saturating_sub(logged.at_ms);
        let mark = if logged.query.is_empty() { "" } else { "?" };
        Line {
            ago: format!("{}.{} s", ago / 1_000, ago % 1_000 / 100),
            method: cut(&logged.method, CELL),
            path: cut(&format!("{}{mark}{}", logged.path, logged.query), PATH),
            ended: logged.ended.clone(),
        }
    }
}

/// The first entries of one kind, by column; a column is there when some row has something in it.
struct Table {
    columns: Vec<String>,
    rows: Vec<BTreeMap<String, String>>,
    /// Entries that are not shown.
    more: usize,
}

impl Table {
    fn of(entries: &[Value]) -> Table {
        let rows: Vec<BTreeMap<String, String>> = entries.iter().take(ROWS).map(cells).collect();
        let columns: BTreeSet<&String> = rows.iter().flat_map(BTreeMap::keys).collect();
        Table { columns: columns.into_iter().cloned().collect(), more: entries.len() - rows.len(), rows }
    }
}

/// One entry by column: its fields among its own keys, lists by how much is in them.
fn cells(entry: &Value) -> BTreeMap<String, String> {
    let own = entry.as_object().into_iter().flatten().filter(|(name, _)| *name != "fields");
    let fields = entry["fields"].as_object().into_iter().flatten();
    let shown = fields.chain(own).filter_map(|(name, value)| Some((name.clone(), short(value)?)));
    shown.collect()
}

fn short(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        Value::Array(entries) if entries.iter().all(|entry| !entry.is_object()) => {
            entries.iter().filter_map(short).collect::<Vec<_>>().join(", ")
        }
        Value::Array(entries) if entries.len() == 1 && entries[0].get("external_id").is_some() => short(&entries[0])?,
        Value::Array(entries) => entries.len().to_string(),
        Value::Object(entries) => match entries.get("external_id") {
            Some(id) => short(id)?,
            None => entries
                .iter()
                .map(|(name, value)| format!("{name}={}", short(value).unwrap_or_default()))
                .collect::<Vec<_>>()
                .join(", "),
        },
        other => other.to_string(),
    };
    let shown = cut(&text, CELL);
    (!shown.is_empty()).then_some(shown)
}

/// The text on one line, and no longer than so many characters.
fn cut(text: &str, most: usize) -> String {
    let text = text.replace(char::is_control, " ");
    if text.chars().count() <= most { text } else { text.chars().take(most - 1).chain(['…']).collect() }
}
