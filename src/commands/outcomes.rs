//! What became of records, as the commands for people show it.

use std::io::{self, Write};

use crate::binding::Bindings;
use crate::engine::report::{Report, Tally};
use crate::outcome::Rejection;

/// A line for each stream, with what it becomes, and one for all. Outcomes that no record had have no column.
pub(super) fn table(out: &mut dyn Write, report: &Report, bindings: &Bindings) -> io::Result<()> {
    let total = report.total();
    let words = ["created", "updated", "unchanged", "deleted", "skipped", "rejected"];
    let words: Vec<&str> = words.into_iter().filter(|word| total.outcomes.contains_key(word)).collect();
    let row = |out: &mut dyn Write, stream: &str, object: &str, tally: &Tally| {
        write!(out, "{stream:<17}{object:<28}{:>6}", tally.read)?;
        words.iter().try_for_each(|word| write!(out, "{:>11}", tally.outcomes.get(word).copied().unwrap_or_default()))?;
        writeln!(out)
    };
    write!(out, "{:<17}{:<28}{:>6}", "stream", "becomes", "read")?;
    words.iter().try_for_each(|word| write!(out, "{word:>11}"))?;
    writeln!(out)?;
    for ((id, tally), binding) in report.streams.iter().zip(bindings.iter()) {
        row(out, &id.to_string(), binding.object.resource().name, tally)?;
    }
    row(out, "", "", &total)
}

/// All that is wrong with a rejected record, a line each, with the remedy.
pub(super) fn faults(out: &mut dyn Write, rejection: &Rejection) -> io::Result<()> {
    let status = rejection.http_status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
    for fault in &rejection.faults {
        let (code, field) = (fault.code, fault.field.as_deref().unwrap_or("-"));
        writeln!(out, "    {code} {field}: {}{status}. {}", fault.message.trim_end_matches('.'), code.remedy())?;
    }
    Ok(())
}
