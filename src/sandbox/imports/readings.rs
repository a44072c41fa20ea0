//! What nobody has said about bulk imports, and the ways to read it.
//!
//! Each question is an enum and each of its values a reading. The default is the one that is hardest for a client; where the
//! facts lean to one side, the value says so.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Value};

use super::Fate;

/// How bulk imports behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readings {
    /// How an import that was taken is answered.
    pub status: Status,
    /// What becomes of a record whose external id is there already.
    pub existing: Existing,
    /// What becomes of a line item or transaction that fails.
    pub parts: Parts,
    /// How failed records stand in `status_details`.
    pub failures: Failures,
    /// How an import ends in which records failed.
    pub end: End,
    /// What a second import under the same external id is.
    pub again: Again,
    /// What becomes of an import that names a customer while another of that customer is under way.
    pub overlap: Overlap,
    /// How long an import can be asked for.
    pub record: Record,
    /// How long an import is queued. How long any of it takes is documented nowhere.
    pub start_delay: Duration,
    /// Records of one import that are processed in a second; imports are processed side by side.
    pub records_per_second: u32,
}

impl Default for Readings {
    fn default() -> Self {
        Readings {
            status: Status::default(),
            existing: Existing::default(),
            parts: Parts::default(),
            failures: Failures::default(),
            end: End::default(),
            again: Again::default(),
            overlap: Overlap::default(),
            record: Record::default(),
            start_delay: Duration::from_secs(1),
            records_per_second: 1_000,
        }
    }
}

impl Readings {
    /// The same with one question read otherwise.
    #[must_use]
    pub fn with(self, reading: Reading) -> Readings {
        match reading {
            Reading::Status(status) => Readings { status, ..self },
            Reading::Existing(existing) => Readings { existing, ..self },
            Reading::Parts(parts) => Readings { parts, ..self },
            Reading::Failures(failures) => Readings { failures, ..self },
            Reading::End(end) => Readings { end, ..self },
            Reading::Again(again) => Readings { again, ..self },
            Reading::Overlap(overlap) => Readings { overlap, ..self },
            Reading::Record(record) => Readings { record, ..self },
        }
    }

    /// How long one record takes, in nanoseconds.
    pub(super) fn pace(&self) -> i64 {
        1_000_000_000 / i64::from(self.records_per_second.max(1))
    }

    pub(super) fn delay(&self) -> i64 {
        i64::try_from(self.start_delay.as_nanos()).unwrap_or(i64::MAX)
    }
}

/// How an import that was taken is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    /// 200, as in the tests of three official clients, which is the best there is.
    #[default]
    Ok,
    /// 201, as for most of what is made.
    Created,
    /// 202, as for what is accepted for processing ("Response codes"). The official Python client gives nothing back for it.
    Accepted,
}

impl Status {
    pub(super) fn code(self) -> u16 {
        match self {
            Status::Ok => 200,
            Status::Created => 201,
            Status::Accepted => 202,
        }
    }
}

/// What becomes of a record whose external id is there already, in the account or in the same import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// It fails, and what was there stays. An invoice is kept as a failed one beside the other, which keeps the key.
    #[default]
    Failed,
    /// What was there stays, and the record counts as imported.
    Kept,
    /// What was there is written over, unless the record is invalid: then it fails.
    Updated,
}

impl Existing {
    /// What becomes of a record that meets another under its key: whether it is written over it, and how it ends.
    pub(in crate::sandbox) fn meets(self, errors: &Map<String, Value>) -> (bool, Fate) {
        match self {
            Existing::Failed => (false, Fate::Failed),
            Existing::Kept => (false, Fate::Imported),
            Existing::Updated => (errors.is_empty(), Fate::of(errors)),
        }
    }
}

/// What becomes of a line item or transaction that fails and whose key is not there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Parts {
    /// It is kept in its invoice as a failed one. Documented is that invalid objects are imported ("Import Data in Bulk"), not whether
    /// that holds within an invoice too.
    #[default]
    Kept,
    /// It is nowhere.
    Dropped,
}

impl Parts {
    /// Whether nothing is kept of a part that ended so.
    pub(in crate::sandbox) fn lets_go(self, fate: Fate) -> bool {
        self == Parts::Dropped && fate == Fate::Failed
    }
}

/// How failed records stand in `status_details`, of which only `imported` is documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Failures {
    /// Not at all: everything is `imported`.
    #[default]
    Silent,
    /// As the status `failed` of their kind and of their customer.
    Told,
    /// The entry of their kind is missing, and that of a customer of whom nothing else is left.
    Missing,
}

/// How an import ends in which records failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum End {
    /// As any other: `completed` is the only end that is documented ("Track Import Status").
    #[default]
    Completed,
    /// As `failed`. What was imported stays.
    Failed,
}

/// What a second import under the same external id is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Again {
    /// Another import, which is processed; the external id finds the newer one.
    #[default]
    New,
    /// The first import: it is answered, and nothing else happens.
    First,
    /// Refused with 422.
    Refused,
}

/// What becomes of an import that names a customer while another of that customer is under way. Documented: to be sent only
/// once the earlier one has finished ("Bulk Import").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overlap {
    /// Its records of that customer are lost, and nothing tells.
    #[default]
    Lost,
    /// It is processed after the other.
    Serial,
}

/// How long an import can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Record {
    /// Until half a minute after its end; then it is a 404, and its external id is free.
    #[default]
    Forgotten,
    /// For ever.
    Kept,
}

impl Record {
    /// For how many nanoseconds after its end.
    pub(super) fn lasts(self) -> i64 {
        match self {
            Record::Forgotten => 30_000_000_000,
            Record::Kept => i64::MAX,
        }
    }
}

/// The answer to one of the questions. Its text is `question=answer`, such as `existing=kept`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Of [`Readings::status`].
    Status(Status),
    /// Of [`Readings::existing`].
    Existing(Existing),
    /// Of [`Readings::parts`].
    Parts(Parts),
    /// Of [`Readings::failures`].
    Failures(Failures),
    /// Of [`Readings::end`].
    End(End),
    /// Of [`Readings::again`].
    Again(Again),
    /// Of [`Readings::overlap`].
    Overlap(Overlap),
    /// Of [`Readings::record`].
    Record(Record),
}

impl Reading {
    /// All there are, with their texts; the default of each question stands first.
    pub const ALL: &[(&str, Reading)] = &[
        ("status=200", Reading::Status(Status::Ok)),
        ("status=201", Reading::Status(Status::Created)),
        ("status=202", Reading::Status(Status::Accepted)),
        ("existing=failed", Reading::Existing(Existing::Failed)),
        ("existing=kept", Reading::Existing(Existing::Kept)),
        ("existing=updated", Reading::Existing(Existing::Updated)),
        ("parts=kept", Reading::Parts(Parts::Kept)),
        ("parts=dropped", Reading::Parts(Parts::Dropped)),
        ("failures=silent", Reading::Failures(Failures::Silent)),
        ("failures=told", Reading::Failures(Failures::Told)),
        ("failures=missing", Reading::Failures(Failures::Missing)),
        ("end=completed", Reading::End(End::Completed)),
        ("end=failed", Reading::End(End::Failed)),
        ("again=new", Reading::Again(Again::New)),
        ("again=first", Reading::Again(Again::First)),
        ("again=refused", Reading::Again(Again::Refused)),
        ("overlap=lost", Reading::Overlap(Overlap::Lost)),
        ("overlap=serial", Reading::Overlap(Overlap::Serial)),
        ("record=forgotten", Reading::Record(Record::Forgotten)),
        ("record=kept", Reading::Record(Record::Kept)),
    ];
}

impl FromStr for Reading {
    type Err = String;

    fn from_str(text: &str) -> Result<Reading, String> {
        let found = Reading::ALL.iter().find(|(name, _)| *name == text.trim());
        found.map(|(_, reading)| *reading).ok_or_else(|| {
            let names: Vec<&str> = Reading::ALL.iter().map(|(name, _)| *name).collect();
            format!("`{text}` is no reading; there are {}", names.join(", "))
        })
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Reading::ALL.iter().find(|(_, reading)| reading == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reading_is_read_from_its_text_and_changes_one_question() {
        let mut seen = Vec::new();
        for (text, reading) in Reading::ALL {
            assert_eq!(text.parse(), Ok(*reading));
            assert_eq!(reading.to_string(), *text);
            let question = text.split('=').next().unwrap();
            let is_default = !seen.contains(&question);
            seen.push(question);
            assert_eq!(Readings::default().with(*reading) == Readings::default(), is_default, "{text}");
        }
        assert!("existing=gone".parse::<Reading>().unwrap_err().contains("existing=kept"));
    }
}
