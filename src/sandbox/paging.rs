//! Queries and pages.
//!
//! Owns how a list is cut and what stands beside its entries. Documented on the page "Pagination": `per_page` up to 200,
//! an opaque `cursor`, `page` as the old way. What a page carries besides is recorded.
//!
//! An entry is found by its place. A cursor says after which place the list goes on, so an entry that is created while
//! somebody pages is missed when its place lies before the cursor. That is what the documentation warns of.

use std::ops::Bound;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::answers::{Reply, invalid};
use super::store::{place_of_stamp, timestamp};

/// Documented: the most entries of a page, and what larger values fall back to.
const PER_PAGE: usize = 200;

/// A query, decoded.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn read(text: &str) -> Query {
        let decoded = |text: &str| {
            let spaced = text.replace('+', " ");
            percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Query(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decoded(name), decoded(value))
                })
                .collect(),
        )
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a flag is set.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }
}

/// Which page is asked for.
#[derive(Debug)]
pub(super) struct Paging {
    per_page: usize,
    start: Start,
}

#[derive(Debug, PartialEq)]
enum Start {
    First,
    Page(usize),
    After(u64),
}

/// The places of one page.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) places: Vec<u64>,
    pub(super) has_more: bool,
}

impl Paging {
    /// `place` reads the text inside a cursor.
    pub(super) fn read(query: &Query, place: impl Fn(&str) -> Option<u64>) -> Result<Paging, Box<Reply>> {
        let whole = |name| query.get(name).and_then(|value| value.parse::<usize>().ok()).filter(|number| *number > 0);
        let start = match (query.get("cursor"), whole("page")) {
            (Some(cursor), _) => {
                // Whether an unknown cursor is refused is unknown; an empty list would look like the end of it.
                let text = STANDARD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                Start::After(text.and_then(|text| place(&text)).ok_or_else(|| invalid("cursor"))?)
            }
            (None, Some(page)) => Start::Page(page),
            (None, None) => Start::First,
        };
        Ok(Paging { per_page: whole("per_page").map_or(PER_PAGE, |asked| asked.min(PER_PAGE)), start })
    }

    /// For lists that run from the newest entry to the oldest, with the cursors of [`cursor_by_creation`].
    pub(super) fn by_creation(query: &Query) -> Result<Paging, Box<Reply>> {
        Paging::read(query, |text| {
            let (created, _) = text.split_once('&')?;
            let created: jiff::Timestamp = created.parse().ok()?;
            i64::try_from(created.as_nanosecond()).ok().map(place_of_stamp)
        })
    }

    /// Where places of this page may begin.
    pub(super) fn from(&self) -> Bound<u64> {
        match self.start {
            Start::After(place) => Bound::Excluded(place),
            Start::First | Start::Page(_) => Bound::Unbounded,
        }
    }

    /// Whether the total is told on this page. Recorded: with the first page and with `page`, not with a cursor.
    pub(super) fn tells_total(&self) -> bool {
        !matches!(self.start, Start::After(_))
    }

    /// Takes this page out of the places, which ascend and begin at [`Paging::from`].
    pub(super) fn cut(&self, mut places: impl Iterator<Item = u64>) -> Page {
        if let Start::Page(page) = self.start {
            let before = (page - 1).saturating_mul(self.per_page);
            if before > 0 {
                places.nth(before - 1);
            }
        }
        let page: Vec<u64> = places.by_ref().take(self.per_page).collect();
        Page { has_more: page.len() == self.per_page && places.next().is_some(), places: page }
    }

    /// A page of customers. Recorded: a page without a cursor carries the old fields, a page reached by a cursor does not,
    /// one reached by `page` carries no cursor. `total` is absent where it was null in the recording: the search.
    pub(super) fn with_old_fields(
        &self,
        page: &Page,
        entries: Vec<Value>,
        total: Option<usize>,
        cursor: Option<String>,
    ) -> Value {
        let mut body = Map::new();
        body.insert("entries".into(), Value::Array(entries));
        let number = match self.start {
            Start::First => Some(1),
            Start::Page(page) => Some(page),
            Start::After(_) => None,
        };
        if let Some(number) = number {
            body.insert("current_page".into(), number.into());
            body.insert("total_pages".into(), total.map(|total| total.div_ceil(self.per_page).max(1)).into());
            body.insert("has_more".into(), page.has_more.into());
            body.insert("per_page".into(), self.per_page.into());
            body.insert("page".into(), number.into());
        }
        if !matches!(self.start, Start::Page(_)) {
            body.insert("cursor".into(), encoded(cursor));
        }
        body.entry("has_more").or_insert(page.has_more.into());
        Value::Object(body)
    }

    /// Adds what stands beside the entries of billing objects. Recorded: without a cursor the number of the page and of all
    /// pages, none for an empty list; with `page` no cursor; with a cursor nothing but the next one.
    pub(super) fn numbered(&self, page: &Page, body: &mut Map<String, Value>, total: Option<usize>, cursor: Option<String>) {
        let number = match self.start {
            Start::First => Some(1),
            Start::Page(page) => Some(page),
            Start::After(_) => None,
        };
        if let Some(number) = number {
            body.insert("current_page".into(), number.into());
            body.insert("total_pages".into(), total.map(|total| total.div_ceil(self.per_page)).into());
        }
        if !matches!(self.start, Start::Page(_)) {
            body.insert("cursor".into(), encoded(cursor));
            body.insert("has_more".into(), page.has_more.into());
        }
    }

    /// How many entries a page has at most.
    pub(super) fn per_page(&self) -> usize {
        self.per_page
    }

    /// A page of contacts, notes, opportunities or tasks. Recorded: the same fields on every page.
    pub(super) fn plain(page: &Page, entries: Vec<Value>, cursor: Option<String>) -> Value {
        let mut body = Map::new();
        body.insert("entries".into(), Value::Array(entries));
        body.insert("cursor".into(), encoded(cursor));
        body.insert("has_more".into(), page.has_more.into());
        Value::Object(body)
    }
}

/// The text inside a cursor. Recorded: the time of creation to the nanosecond, and the UUID.
pub(super) fn cursor_by_creation(created: i64, uuid: &str) -> String {
    format!("{}&{uuid}", timestamp(created).strftime("%Y-%m-%dT%H:%M:%S%.9fZ"))
}

/// Recorded: Base64 with padding, also on the last page; null on an empty one.
fn encoded(cursor: Option<String>) -> Value {
    cursor.map(|text| STANDARD.encode(text)).into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn paging(query: &str) -> Paging {
        Paging::read(&Query::read(query), |text| text.parse().ok()).unwrap()
    }

    fn page(set: &BTreeSet<u64>, query: &str) -> (Vec<u64>, bool) {
        let paging = paging(query);
        let page = paging.cut(set.range((paging.from(), Bound::Unbounded)).copied());
        (page.places, page.has_more)
    }

    #[test]
    fn a_query_is_decoded_once_and_forgives_empty_parts() {
        let query = Query::read("email=a%2Bb%40c.d&name=two+words&&flag");
        assert_eq!(query.get("email"), Some("a+b@c.d"));
        assert_eq!(query.get("name"), Some("two words"));
        assert_eq!(query.get("flag"), Some(""));
        assert_eq!(query.get("absent"), None);
    }

    #[test]
    fn pages_are_as_long_as_asked_up_to_200() {
        for (query, length) in [("", 200), ("per_page=3", 3), ("per_page=201", 200), ("per_page=0", 200), ("per_page=x", 200)] {
            assert_eq!(page(&(0..500).collect(), query).0.len(), length, "{query}");
        }
    }

    #[test]
    fn the_last_page_says_that_it_is_the_last_also_when_it_is_full() {
        let set: BTreeSet<u64> = (1..=4).collect();
        assert_eq!(page(&set, "per_page=2"), (vec![1, 2], true));
        assert_eq!(page(&set, "per_page=2&page=2"), (vec![3, 4], false));
        assert_eq!(page(&set, "per_page=2&page=3"), (vec![], false));
        assert_eq!(page(&BTreeSet::new(), ""), (vec![], false));
    }

    #[test]
    fn a_cursor_that_is_none_is_refused() {
        for cursor in ["!", "eA==", "%20"] {
            let query = Query::read(&format!("cursor={cursor}"));
            assert_eq!(Paging::read(&query, |text| text.parse().ok()).unwrap_err().status, 400, "{cursor}");
        }
    }

    proptest! {
        /// Following cursors shows every entry exactly once, however long the pages are, and ends.
        #[test]
        fn cursors_lead_through_everything_once(set in prop::collection::btree_set(any::<u64>(), 0..60), length in 1usize..9) {
            let mut seen: Vec<u64> = Vec::new();
            let mut query = format!("per_page={length}");
            loop {
                let (places, more) = page(&set, &query);
                seen.extend(&places);
                prop_assert!(seen.len() <= set.len());
                if !more {
                    break;
                }
                let cursor = STANDARD.encode(places.last().unwrap().to_string()).replace('+', "%2B").replace('=', "%3D");
                query = format!("per_page={length}&cursor={cursor}");
            }
            prop_assert_eq!(seen, set.into_iter().collect::<Vec<_>>());
        }
    }
}
