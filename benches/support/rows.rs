//! Rows as a source on Airbyte's Python CDK would send them: compact JSON, empty columns left out, about 510 bytes a line.
//!
//! Deterministic: the same number of rows over the same keys is the same bytes on every machine.

use std::fmt::Write as _;

const FIRST: &[&str] = &["Ada", "Alan", "Grace", "Linus", "Barbara", "Donald", "Edsger", "Margaret", "Radia", "Katherine"];
const LAST: &[&str] = &["Lovelace", "Turing", "Hopper", "Liskov", "Knuth", "Dijkstra", "Hamilton", "Perlman", "Johnson", "Wirth"];
const COMPANY: &[&str] = &["Northwind", "Contoso", "Fabrikam", "Tailspin", "Litware", "Proseware", "Adatum", "Trey Research"];
const LEGAL: &[&str] = &["Inc.", "LLC", "GmbH", "Ltd", "S.A.", "BV", "AB", "Pty"];
const PLACES: &[(&str, Option<&str>, &str)] = &[
    ("US", Some("CA"), "San Francisco"),
    ("US", Some("NY"), "New York"),
    ("DE", None, "Köln"),
    ("FR", None, "Paris"),
    ("GB", Some("ENG"), "London"),
    ("BR", Some("SP"), "São Paulo"),
    ("JP", None, "東京"),
    ("AU", Some("NSW"), "Sydney"),
    ("CA", Some("QC"), "Montréal"),
    ("SE", None, "Malmö"),
];
const PLANS: &[(&str, u64)] = &[("starter", 1900), ("team", 9900), ("business", 49_900), ("enterprise", 249_900)];
const CURRENCIES: &[&str] = &["USD", "EUR", "GBP"];
const CHANNELS: &[&str] = &["ads", "organic", "referral"];
const TAGS: &[&str] = &["vip", "beta", "churn-risk", "partner", "self-serve"];
/// A STATE follows after this many rows.
const STATE_EVERY: u64 = 10_000;

/// The configured catalog that fits the rows.
pub(crate) const CATALOG: &str = r#"{"streams":[{"stream":{"name":"customers","supported_sync_modes":["full_refresh","incremental"],"json_schema":{"type":"object","properties":{
"external_id":{"type":"string"},"name":{"type":["null","string"]},"email":{"type":["null","string"]},"company":{"type":["null","string"]},
"country":{"type":["null","string"]},"state":{"type":["null","string"]},"city":{"type":["null","string"]},"zip":{"type":["null","string"]},
"plan":{"type":["null","string"]},"currency":{"type":["null","string"]},"mrr":{"type":["null","number"]},"seats":{"type":["null","integer"]},
"active":{"type":["null","boolean"]},"created_at":{"type":["null","string"],"format":"date-time"},
"free_trial_started_at":{"type":["null","string"],"format":"date-time"},"lead_created_at":{"type":["null","string"],"format":"date-time"},
"tags":{"type":["null","array"]},"custom":{"type":["null","object"]}}}},
"sync_mode":"incremental","cursor_field":["created_at"],"destination_sync_mode":"append_dedup","primary_key":[["external_id"]],
"generation_id":1,"minimum_generation_id":0,"sync_id":1}]}"#;

/// A small generator of pseudo-random numbers (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }

    /// True once in ten.
    fn seldom(&mut self) -> bool {
        self.below(10) == 0
    }

    fn time(&mut self, out: &mut String) {
        let (year, month, day) = (18 + self.below(8), 1 + self.below(12), 1 + self.below(28));
        let (hour, minute, second) = (self.below(24), self.below(60), self.below(60));
        let _ = write!(out, "\"20{year:02}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z\"");
    }
}

/// Writes `rows` rows over `keys` keys, with STATEs and the stream's statuses, a line at a time.
///
/// # Errors
/// What `write` returned.
pub(crate) fn write<E>(rows: u64, keys: u64, mut write: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let mut random = Random(7);
    let mut line = String::with_capacity(1024);
    write(status("STARTED").as_bytes())?;
    for row in 0..rows {
        line.clear();
        push_row(&mut line, row, keys, &mut random);
        if (row + 1) % STATE_EVERY == 0 || row + 1 == rows {
            let since = if (row + 1) % STATE_EVERY == 0 { STATE_EVERY } else { rows % STATE_EVERY };
            let _ = writeln!(
                line,
                r#"{{"type":"STATE","state":{{"type":"STREAM","stream":{{"stream_descriptor":{{"name":"customers"}},"stream_state":{{"cursor":{}}}}},"sourceStats":{{"recordCount":{since}.0}}}}}}"#,
                row + 1
            );
        }
        write(line.as_bytes())?;
    }
    write(status("COMPLETE").as_bytes())
}

/// The same in memory, for so many rows with a key each.
#[allow(dead_code, reason = "not every bench holds its rows in memory")]
pub(crate) fn text(rows: u64) -> Vec<u8> {
    let mut text = Vec::new();
    let written: Result<(), std::convert::Infallible> = write(rows, rows, |line| {
        text.extend_from_slice(line);
        Ok(())
    });
    let Ok(()) = written;
    text
}

fn status(word: &str) -> String {
    format!(
        "{{\"type\":\"TRACE\",\"trace\":{{\"type\":\"STREAM_STATUS\",\"emitted_at\":1700000000000.5,\"stream_status\":{{\
         \"stream_descriptor\":{{\"name\":\"customers\"}},\"status\":\"{word}\"}}}}}}\n"
    )
}

fn push_row(out: &mut String, row: u64, keys: u64, random: &mut Random) {
    let key = row % keys;
    let (first, last) = (random.one_of(FIRST), random.one_of(LAST));
    let (company, legal) = (random.one_of(COMPANY), random.one_of(LEGAL));
    let (country, state, city) = random.one_of(PLACES);
    let (plan, cents) = random.one_of(PLANS);
    let _ = write!(
        out,
        r#"{{"type":"RECORD","record":{{"stream":"customers","data":{{"external_id":"cus_{key:09}","name":"{first} {last}""#
    );
    if !random.seldom() {
        let _ = write!(out, r#","email":"{}.{}+{key}@example.com""#, first.to_ascii_lowercase(), last.to_ascii_lowercase());
    }
    let _ = write!(out, r#","company":"{company} {legal}","country":"{country}""#);
    if let Some(state) = state {
        let _ = write!(out, r#","state":"{state}""#);
    }
    let _ = write!(out, r#","city":"{city}""#);
    if !random.seldom() {
        let _ = write!(out, r#","zip":"{:05}""#, 501 + random.below(99_000));
    }
    let mrr = cents * (1 + random.below(40));
    let _ = write!(
        out,
        r#","plan":"{plan}","currency":"{}","mrr":{}.{},"seats":{},"active":{},"created_at":"#,
        random.one_of(CURRENCIES),
        mrr / 100,
        mrr / 10 % 10,
        1 + random.below(500),
        !random.seldom()
    );
    random.time(out);
    for column in ["free_trial_started_at", "lead_created_at"] {
        if !random.seldom() {
            let _ = write!(out, r#","{column}":"#);
            random.time(out);
        }
    }
    out.push_str(r#","tags":["#);
    let (from, many) = (random.below(3) as usize, random.below(4) as usize);
    for (at, tag) in TAGS[from..(from + many).min(TAGS.len())].iter().enumerate() {
        let _ = write!(out, r#"{}"{tag}""#, if at > 0 { "," } else { "" });
    }
    out.push(']');
    if !random.seldom() {
        let _ = write!(out, r#","custom":{{"channel":"{}","score":{},"nps":"#, random.one_of(CHANNELS), random.below(101));
        match random.below(4) {
            0 => out.push_str("null}"),
            nps => {
                let _ = write!(out, "{}}}", nps + 7);
            }
        }
    }
    let _ = writeln!(out, r#"}},"emitted_at":{}}}}}"#, 1_700_000_000_000 + row / 100);
}
