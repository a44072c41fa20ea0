//! Record values out of foreign words, so that these can be logged.

use std::collections::HashSet;

use serde_json::Value;

use super::{Plan, Target};

const STARS: &str = "***";

/// Words of a value shorter than this are no secret by themselves, and mostly words of the sentence.
const SHORTEST_WORD: usize = 3;

/// The values of some records, to be starred in words of an API, which may quote them.
#[derive(Debug, Default)]
pub struct Values {
    /// Longer ones first.
    whole: Vec<String>,
    /// Their words: an API may quote a part of a value, or put it otherwise.
    words: HashSet<String>,
    /// A value could not be taken apart (JSON that is too deep, or has half a character), so that any word may be of it.
    unread: bool,
}

impl Values {
    /// The values of records that went in one request.
    pub fn of<'p>(plans: impl Iterator<Item = &'p Plan>) -> Self {
        let (mut whole, mut unread) = (Vec::new(), false);
        for plan in plans {
            collect_target(&plan.target, &mut whole);
            whole.extend(plan.refs.iter().map(|reference| reference.by.text().to_owned()));
            let fields = plan.body.fields().map(|(_, value)| value);
            for value in fields.chain(plan.body.attributes().map(|attribute| attribute.value)) {
                unread |= !collect_json(value, &mut whole);
            }
        }
        Self::new(whole, unread)
    }

    /// The values of a request: in its body, JSON text, and the others.
    pub fn of_request<'t>(body: Option<&str>, others: impl Iterator<Item = &'t str>) -> Self {
        let mut whole: Vec<String> = others.map(str::to_owned).collect();
        let read = body.is_none_or(|body| collect_json(body, &mut whole));
        Self::new(whole, !read)
    }

    fn new(mut whole: Vec<String>, unread: bool) -> Self {
        whole.retain(|value| !value.trim().is_empty());
        // A longer value first: a shorter one may be part of it.
        whole.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        whole.dedup();
        let words = whole.iter().flat_map(|value| words(value)).map(str::to_lowercase).collect();
        Self { whole, words, unread }
    }

    /// The text with stars for them.
    pub fn hide(&self, text: &str) -> String {
        if self.unread {
            return STARS.to_owned();
        }
        star_words(&self.whole.iter().fold(text.to_owned(), |text, value| star(&text, value)), &self.words)
    }
}
fn is_of_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|char| !is_of_word(char)).filter(|word| word.chars().count() >= SHORTEST_WORD)
}

fn star_words(text: &str, secret: &HashSet<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.find(|char| !is_of_word(char)).unwrap_or(rest.len()));
        out.push_str(if secret.contains(&word.to_lowercase()) { STARS } else { word });
        let (between, after) = after.split_at(after.find(is_of_word).unwrap_or(after.len()));
        out.push_str(between);
        rest = after;
    }
    out
}

/// Answers whether it could be read.
fn collect_json(text: &str, out: &mut Vec<String>) -> bool {
    serde_json::from_str(text).map(|value| collect(&value, out)).is_ok()
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

    #[test]
    fn of_what_can_not_be_read_no_word_is_shown() {
        let deep = format!("{}\"Ann Lee\"{}", "[".repeat(200), "]".repeat(200));
        for body in [deep.as_str(), r#"{"name":"Ann Lee \ud800"}"#, r#"{"name":"Ann Lee","n":1e999}"#] {
            assert_eq!(Values::of_request(Some(body), std::iter::empty()).hide("name Ann Lee is taken"), "***", "{body}");
        }
        let read = Values::of_request(Some(r#"{"name":"Ann Lee","n":[17041]}"#), ["a@b.example"].into_iter());
        assert_eq!(read.hide("name Ann is taken by a@b.example, 17041"), "name *** is taken by ***, ***");
        assert_eq!(Values::of_request(None, std::iter::empty()).hide("name Ann"), "name Ann");
    }

    #[test]
    fn words_of_a_value_are_starred_too_and_names_of_fields_stay() {
        let secret: HashSet<String> = words("Northwind Traders, a customer").map(str::to_lowercase).collect();
        let starred = star_words("customer_name \"NORTHWIND\" of traders/x is a twin (Ünnorthwind)", &secret);
        assert_eq!(starred, "customer_name \"***\" of ***/x is a twin (Ünnorthwind)");
        assert_eq!(star_words("", &secret), "");
        assert_eq!(star_words("...", &secret), "...");
    }
}
