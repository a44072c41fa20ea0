//! The sandbox's own page: how to use it, and what has arrived, as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::Options;

/// Rows that a table shows; the whole account is one request further.
const ROWS: usize = 20;
/// Characters that a cell shows.
const CELL: usize = 32;

/// The page. `contents` are [`super::Sandbox::contents`].
pub(super) fn page(key: &str, options: &Options, contents: &Value) -> String {
    let users = options.users.join(", ");
    let pipelines = options.pipelines.iter().map(|one| format!("{} ({})", one.name, one.stages.join(", ")));
    let pipelines = pipelines.collect::<Vec<_>>().join(", ");
    let mut text = format!(
        "A local ChartMogul look-alike. The API is below /v1, with the key {key} as the user name:\n\n\
         \x20   curl -u {key}: http://ADDRESS/v1/customers\n\n\
         GET  /sandbox/state     everything in the account\n\
         GET  /sandbox/observed  requests, peaks and the last requests\n\
         POST /sandbox/faults    faults to come, one a line, such as: POST /customers after-work reset x2\n\
         POST /sandbox/reset     back to the beginning\n\n\
         Users that can own and be assigned: {users}. Pipelines: {pipelines}.\n\n\
         In the account:\n\n"
    );
    let kinds: Vec<(&String, &Vec<Value>)> =
        contents.as_object().into_iter().flatten().filter_map(|(kind, entries)| Some((kind, entries.as_array()?))).collect();
    for (kind, entries) in &kinds {
        let _ = writeln!(text, "{:>9} {kind}", entries.len());
    }
    for (kind, entries) in kinds.iter().filter(|(_, entries)| !entries.is_empty()) {
        let _ = write!(text, "\n{kind}\n{}", table(entries));
        if entries.len() > ROWS {
            let _ = writeln!(text, "... and {} more", entries.len() - ROWS);
        }
    }
    text
}

/// Rows below the names of their columns; a column is there when some row has something in it.
fn table(entries: &[Value]) -> String {
    let rows: Vec<BTreeMap<String, String>> = entries.iter().take(ROWS).map(cells).collect();
    let mut widths: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, cell) in rows.iter().flatten() {
        let width = widths.entry(name).or_insert_with(|| name.chars().count());
        *width = (*width).max(cell.chars().count());
    }
    let line = |cell: &dyn Fn(&str) -> String| {
        let cells: Vec<String> = widths.iter().map(|(name, width)| format!("{:<width$}", cell(name))).collect();
        format!("  {}\n", cells.join("  ").trim_end())
    };
    let head = line(&|name| name.to_owned());
    rows.iter().fold(head, |text, row| text + &line(&|name| row.get(name).cloned().unwrap_or_default()))
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
    let text = text.replace(char::is_control, " ");
    let cut = text.chars().count() > CELL;
    let shown = if cut { text.chars().take(CELL - 1).chain(['…']).collect() } else { text };
    (!shown.is_empty()).then_some(shown)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_arrived_is_counted_and_shown_in_columns() {
        let invoice = json!({"customer": {"data_source": "Sandbox", "external_id": "c1"}, "status": "open",
            "fields": {"external_id": "i1"}, "line_items": [{"fields": {}}, {"fields": {}}], "transactions": []});
        let contents = json!({"contacts": [], "invoices": [invoice], "plans": vec![json!({"fields": {"name": "Pro"}}); 21]});
        let page = page("k", &Options::default(), &contents);
        assert!(page.contains("        0 contacts\n        1 invoices\n       21 plans\n"), "{page}");
        assert!(page.contains("\ninvoices\n  customer  external_id  line_items  status"), "{page}");
        assert!(page.contains("\n  c1        i1           2           open"), "{page}");
        assert!(page.contains("\nplans\n  name\n  Pro\n"), "{page}");
        assert!(page.ends_with("... and 1 more\n"), "{page}");
        assert_eq!(page.matches("\n  Pro").count(), ROWS);
    }

    #[test]
    fn a_cell_is_short_and_on_one_line() {
        assert_eq!(short(&json!("a\nb")).unwrap(), "a b");
        assert_eq!(short(&json!("x".repeat(40))).unwrap().chars().count(), CELL);
        assert_eq!(short(&json!([])), None);
        assert_eq!(short(&json!(["a", "b"])).unwrap(), "a, b");
        assert_eq!(short(&json!({"seats": 3})).unwrap(), "seats=3");
    }
}
