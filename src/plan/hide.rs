//! Record values out of foreign words, so that these can be logged.

use serde_json::Value;

use super::{Plan, Target};

const STARS: &str = "***";

/// The text with every value of the plan starred.
pub(super) fn values(plan: &Plan, text: &str) -> String {
    let mut values = Vec::new();
    collect_target(&plan.target, &mut values);
    values.extend(plan.refs.iter().map(|reference| reference.by.text().to_owned()));
    let fields = plan.body.fields().map(|(_, value)| value);
    for value in fields.chain(plan.body.attributes().map(|attribute| attribute.value)) {
        collect(&serde_json::from_str(value).unwrap_or(Value::Null), &mut values);
    }
    values.retain(|value| !value.trim().is_empty());
    // A longer value first: a shorter one may be part of it.
    values.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    values.dedup();
    values.iter().fold(text.to_owned(), |text, value| star(&text, value))
}

fn collect(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::String(text) => out.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|value| collect(value, out)),
        Value::Object(map) => map.values().for_each(|value| collect(value, out)),
        other => out.push(other.to_string()),
    }
}

fn collect_target(target: &Target, out: &mut Vec<String>) {
    match target {
        Target::Uuid(uuid, otherwise) => {
            out.push(uuid.to_string());
            if let Some(otherwise) = otherwise {
                collect_target(otherwise, out);
            }
        }
        Target::Key(text) | Target::Name(text) => out.push(text.to_string()),
        Target::Email { email, external_id } => out.extend(external_id.iter().chain([email]).map(ToString::to_string)),
        Target::Equal(_) | Target::Part | Target::Always(_) => {}
    }
}

/// Stars a value where no letter or digit stands right before or behind it, whatever its case.
fn star(text: &str, value: &str) -> String {
    let (lower, wanted) = (text.to_ascii_lowercase(), value.to_ascii_lowercase());
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (at, found) in lower.match_indices(&wanted) {
        let end = at + found.len();
        let apart = |neighbour: Option<char>| !neighbour.is_some_and(char::is_alphanumeric);
        if at >= from && apart(text[..at].chars().next_back()) && apart(text[end..].chars().next()) {
            out.push_str(&text[from..at]);
            out.push_str(STARS);
            from = end;
        }
    }
    out.push_str(&text[from..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_starred_as_words_and_other_words_stay() {
        assert_eq!(star("Can't find \"Ann@Lee.example\", annex", "ann@lee.example"), "Can't find \"***\", annex");
        assert_eq!(star("status of US: us, bus", "US"), "status of ***: ***, bus");
        assert_eq!(star("größe größer", "größe"), "*** größer");
    }
}
