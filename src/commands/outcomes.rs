//! What became of records, as the commands for people show it.

use std::io::{self, Write};

use crate::binding::Bindings;
use crate::engine::report::{Report, Tally};
use crate::outcome::Rejection;

/// What names and counts take at least; more where one needs more, so that no two columns run together.
const STREAM: usize = 15;
const OBJECT: usize = 26;
const COUNT: usize = 4;
/// Between two columns at least.
const GAP: usize = 2;

/// A line for each stream, with what it becomes, and one for all. Outcomes that no record had have no column.
pub(super) fn table(out: &mut dyn Write, report: &Report, bindings: &Bindings) -> io::Result<()> {
    let rows = report.streams.iter().zip(bindings.iter());
    let rows: Vec<_> = rows.map(|((id, tally), binding)| (id.to_string(), binding.object.resource().name, tally)).collect();
    write_table(out, &rows, &report.total())
}

fn write_table(out: &mut dyn Write, rows: &[(String, &str, &Tally)], total: &Tally) -> io::Result<()> {
    let words = ["created", "updated", "unchanged", "deleted", "skipped", "rejected"];
    let words: Vec<&str> = words.into_iter().filter(|word| total.outcomes.contains_key(word)).collect();
    let width = |least: usize, of: &dyn Fn(&(String, &str, &Tally)) -> usize| rows.iter().map(of).max().unwrap_or(0).max(least);
    let stream = width(STREAM, &|(stream, ..)| stream.chars().count()) + GAP;
    let object = width(OBJECT, &|(_, object, _)| object.len()) + GAP;
    // The sum is the largest.
    let read = total.read.to_string().len().max(COUNT);
    let count = total.settled().to_string().len().max("unchanged".len()) + GAP;
    let mut row = |name: &str, becomes: &str, counts: &dyn Fn(&str) -> String| {
        write!(out, "{name:<stream$}{becomes:<object$}{:>read$}", counts("read"))?;
        words.iter().try_for_each(|word| write!(out, "{:>count$}", counts(word)))?;
        writeln!(out)
    };
    let counts = |tally: &Tally, word: &str| match word {
        "read" => tally.read.to_string(),
        word => tally.outcomes.get(word).copied().unwrap_or_default().to_string(),
    };
    row("stream", "becomes", &str::to_owned)?;
    rows.iter().try_for_each(|(stream, object, tally)| row(stream, object, &|word| counts(tally, word)))?;
    row("", "", &|word| counts(total, word))
}

/// All that is wrong with a rejected record, a line each, with the remedy.
pub(super) fn faults(out: &mut dyn Write, rejection: &Rejection) -> io::Result<()> {
    let status = rejection.http_status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
    for fault in &rejection.faults {
        let (code, field) = (fault.code, fault.field.as_ref().map(|field| format!(" {field}")).unwrap_or_default());
        writeln!(out, "    {code}{field}: {}{status}. {}", fault.message.trim_end_matches('.'), code.remedy())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::Code;
    use crate::outcome::Fault;

    #[test]
    fn columns_stay_apart_however_long_a_name_or_a_count_is() {
        let tally = |read: u64| Tally { read, outcomes: [("created", read), ("unchanged", 0)].into(), ..Tally::default() };
        let (few, many) = (tally(7), tally(123_456_789_012));
        let rows = [
            ("short".to_owned(), "customers", &few),
            ("wide_ünïcode_schema.a_stream_of_a_long_name".to_owned(), "subscription_cancellations", &many),
        ];
        let mut text = Vec::new();
        write_table(&mut text, &rows, &tally(123_456_789_019)).unwrap();
        insta::assert_snapshot!(String::from_utf8(text).unwrap());
    }

    #[test]
    fn what_is_wrong_with_the_record_as_a_whole_names_no_field() {
        let faults =
            vec![Fault::record(Code::FieldType, "the record is an array"), Fault::field(Code::FieldValue, "email", "no address")];
        let mut text = Vec::new();
        super::faults(&mut text, &Rejection::local(faults)).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("    FIELD_TYPE: the record is an array. "), "{text}");
        assert!(text.contains("\n    FIELD_VALUE email: no address. "), "{text}");
    }
}
