//! Lists of billing objects: which index is walked, and how a page is cut.

use std::collections::BTreeSet;
use std::ops::Bound;

use serde_json::{Map, Value};

use super::tables::{Entry, Table};
use super::values::Errors;
use crate::sandbox::answers::{Outcome, Reply, invalid, ok};
use crate::sandbox::paging::{Page, Paging};
use crate::sandbox::routes::Context;
use crate::sandbox::store::{SourceKey, place_of_stamp, timestamp};

/// Reads which page is asked for. Recorded: a cursor is the time of creation to the nanosecond and a number or UUID.
pub(super) fn read_paging(context: &Context<'_>) -> Result<Paging, Box<Reply>> {
    Paging::read(&context.query, |text| {
        let (created, _) = text.split_once('&')?;
        let created: jiff::Timestamp = created.parse().ok()?;
        i64::try_from(created.as_nanosecond()).ok().map(place_of_stamp)
    })
}

/// Which are asked for: with errors, without, or both.
#[derive(Debug, Clone, Copy)]
pub(super) struct Validity(Option<bool>);

impl Validity {
    pub(super) fn fits(self, errors: &Errors) -> bool {
        self.0.is_none_or(|valid| errors.is_empty() == valid)
    }
}

/// Documented: `validation_type` of invoices, line items and transactions; those without errors are the default.
pub(super) fn read_validity(context: &Context<'_>) -> Result<Validity, Box<Reply>> {
    match context.query.get("validation_type") {
        None | Some("valid") => Ok(Validity(Some(true))),
        Some("invalid") => Ok(Validity(Some(false))),
        Some("all") => Ok(Validity(None)),
        Some(_) => Err(invalid("validation_type")),
    }
}

/// The cursor behind the last entry of a page.
pub(super) fn cursor<T: Entry>(table: &Table<T>, page: &Page) -> Option<String> {
    let row = table.get(*page.places.last()?)?;
    Some(format!("{}&{}", timestamp(row.created()).strftime("%Y-%m-%dT%H:%M:%S%.9fZ"), row.uuid()))
}

/// The narrowest index that the filters allow; the caller still checks each entry.
pub(super) enum Walk<'a> {
    All,
    Source(&'a str),
    Places(BTreeSet<u64>),
}

impl Walk<'_> {
    /// The entries of some customers' keys.
    pub(super) fn of_owners<T: Entry>(table: &Table<T>, owners: &[SourceKey]) -> Walk<'static> {
        Walk::Places(owners.iter().filter_map(|owner| table.of_owner(owner)).flatten().copied().collect())
    }

    fn from<'b, T: Entry>(&'b self, table: &'b Table<T>, from: Bound<u64>) -> Box<dyn Iterator<Item = u64> + 'b> {
        let range = (from, Bound::Unbounded);
        match self {
            Walk::All => Box::new(table.rows().range(range).map(|(place, _)| *place)),
            Walk::Source(source) => match table.in_source(source) {
                Some(places) => Box::new(places.range(range).copied()),
                None => Box::new(std::iter::empty()),
            },
            Walk::Places(places) => Box::new(places.range(range).copied()),
        }
    }
}

/// Cuts the page that is asked for out of what fits. The total is counted where it is told.
pub(super) fn cut<T: Entry>(
    context: &Context<'_>,
    paging: &Paging,
    table: &Table<T>,
    walk: &Walk<'_>,
    fits: impl Fn(&T) -> bool,
) -> (Page, Option<usize>) {
    let fits = |place: &u64| table.get(*place).is_some_and(|row| context.listed(row.created()) && fits(row));
    let page = paging.cut(walk.from(table, paging.from()).filter(fits));
    let total = paging.tells_total().then(|| walk.from(table, Bound::Unbounded).filter(fits).count());
    (page, total)
}

/// A whole list. `head` stands before the entries.
pub(super) fn answer<T: Entry>(
    context: &Context<'_>,
    table: &Table<T>,
    (root, walk): (&str, &Walk<'_>),
    mut head: Map<String, Value>,
    fits: impl Fn(&T) -> bool,
    show: impl Fn(u64) -> Value,
) -> Outcome {
    let paging = read_paging(context)?;
    let (page, total) = cut(context, &paging, table, walk, fits);
    head.insert(root.to_owned(), page.places.iter().map(|place| show(*place)).collect());
    paging.numbered(&page, &mut head, total, cursor(table, &page));
    ok(200, Value::Object(head))
}
