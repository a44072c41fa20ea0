//! The page as text.

use std::fmt::Write as _;

use super::{OTHERS, Table, View};

/// The page.
pub(super) fn page(view: &View<'_>) -> String {
    let mut text = format!(
        "A local ChartMogul look-alike. The API is below /v1, with the key {key} as the user name:\n\n\
         \x20   curl -u {key}: http://ADDRESS/v1/customers\n\n",
        key = view.key
    );
    for (request, what) in OTHERS {
        let _ = writeln!(text, "{request:<24}{what}");
    }
    let _ = write!(
        text,
        "\nUsers that can own and be assigned: {}. Pipelines: {}.\n\n{} requests:\n\n",
        view.users(),
        view.pipelines(),
        view.observed.requests
    );
    for gauge in view.gauges() {
        let _ = writeln!(
            text,
            "  {:<14}{:>6} now, {} at most, {} allowed, {} refused",
            gauge.name, gauge.now, gauge.most, gauge.cap, gauge.refused
        );
    }
    for (at, line) in view.requests().iter().enumerate() {
        let head = if at == 0 { "\nThe last of them, newest first:\n\n" } else { "" };
        let _ = writeln!(text, "{head}{:>10} ago  {:<7}{:<10}{}", line.ago, line.method, line.ended, line.path);
    }
    text.push_str("\nIn the account:\n\n");
    for (kind, entries) in view.kinds() {
        let _ = writeln!(text, "{:>9} {kind}", entries.len());
    }
    for (kind, entries) in view.kinds().into_iter().filter(|(_, entries)| !entries.is_empty()) {
        let table = Table::of(entries);
        let _ = write!(text, "\n{kind}\n{}", aligned(&table));
        if table.more > 0 {
            let _ = writeln!(text, "... and {} more", table.more);
        }
    }
    text
}

/// Rows below the names of their columns.
fn aligned(table: &Table) -> String {
    let width = |column: &String| {
        let cells = table.rows.iter().filter_map(|row| row.get(column));
        cells.chain([column]).map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = table.columns.iter().map(width).collect();
    let line = |cell: &dyn Fn(&String) -> String| {
        let cells = table.columns.iter().zip(&widths).map(|(column, width)| format!("{:<width$}", cell(column)));
        format!("  {}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    let head = line(&String::clone);
    table.rows.iter().fold(head, |text, row| text + &line(&|column| row.get(column).cloned().unwrap_or_default()))
}
