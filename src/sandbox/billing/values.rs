//! The values of fields: which are taken, and how they come back.
//!
//! Owns the checks by kind of value. Which message a wrong value gets is unknown for nearly all fields; that it is refused
//! instead of bent into shape is the strict side.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::currencies::is_currency;
use crate::sandbox::fields::{as_shown, instant};
use crate::sandbox::store::Fields;

/// Longest text; unknown, taken from the custom attributes of type String (help page "Custom attributes").
const MAX_TEXT: usize = 255;

/// Messages by field.
pub(super) type Errors = Map<String, Value>;

pub(super) const BLANK: &str = "can't be blank";

/// One field that is read from a body.
#[derive(Debug)]
pub(super) struct Field(pub(super) &'static str, pub(super) Kind);

/// What values a field takes.
#[derive(Debug)]
pub(super) enum Kind {
    Text,
    /// A key of the user's. Whether a number is taken is unknown.
    Key,
    /// A whole number, at least this: money in cents, quantities, orders.
    Whole(i64),
    Flag,
    Moment,
    Currency,
    Word(&'static [&'static str]),
    /// Documented by the official n8n node: up to 30 letters and digits.
    AccountCode,
}

/// Any whole number, negative ones included.
pub(super) const ANY: Kind = Kind::Whole(i64::MIN);

/// What a body says about the fields of a table.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) set: Fields,
    /// Sent as null.
    nulls: Vec<&'static str>,
    pub(super) errors: Errors,
}

impl Said {
    /// Checks the fields of a body. Unknown keys are ignored (recorded: stray keys did no harm).
    pub(super) fn read(table: &'static [Field], body: &Map<String, Value>) -> Said {
        let mut said = Said::default();
        for Field(name, kind) in table {
            match body.get(*name) {
                None => {}
                Some(Value::Null) => said.nulls.push(name),
                Some(value) => match check(kind, value) {
                    Ok(value) => {
                        said.set.insert(name, value);
                    }
                    Err(problem) => {
                        said.errors.insert((*name).to_owned(), problem.into());
                    }
                },
            }
        }
        said
    }

    /// Writes what was said over what was there; what is wrong stays as it was.
    pub(super) fn apply(&self, fields: &mut Fields, null_clears: bool) {
        fields.extend(self.set.iter().map(|(name, value)| (*name, value.clone())));
        if null_clears {
            for name in &self.nulls {
                fields.remove(name);
            }
        }
    }
}

/// Adds an error for each of these that is absent or an empty text.
pub(super) fn need(names: &[&'static str], fields: &Fields, errors: &mut Errors) {
    for name in names {
        let there = fields.get(name).is_some_and(|value| value.as_str() != Some(""));
        if !there && !errors.contains_key(*name) {
            errors.insert((*name).to_owned(), BLANK.into());
        }
    }
}

fn check(kind: &Kind, value: &Value) -> Result<Value, &'static str> {
    let text = || value.as_str().ok_or("must be a string");
    Ok(match kind {
        Kind::Text => match text()? {
            long if long.chars().count() > MAX_TEXT => return Err("is too long (maximum is 255 characters)"),
            text => text.into(),
        },
        Kind::Key => match text()? {
            "" => return Err(BLANK),
            long if long.chars().count() > MAX_TEXT => return Err("is too long (maximum is 255 characters)"),
            key => key.into(),
        },
        Kind::Whole(least) => match value.as_i64() {
            Some(number) if number >= *least => number.into(),
            Some(_) => return Err("is too small"),
            None => return Err("is not a whole number"),
        },
        Kind::Flag => value.as_bool().ok_or("must be true or false")?.into(),
        Kind::Moment => as_shown(instant(text()?).ok_or("is not a valid timestamp")?).into(),
        Kind::Currency => match text()? {
            code if is_currency(code) => code.into(),
            _ => return Err("is not an ISO 4217 code"),
        },
        Kind::Word(words) => match text()? {
            word if words.contains(&word) => word.into(),
            _ => return Err("is not included in the list"),
        },
        Kind::AccountCode => match text()? {
            code if code.len() <= 30 && code.bytes().all(|byte| byte.is_ascii_alphanumeric()) => code.into(),
            _ => return Err("must be up to 30 letters and digits"),
        },
    })
}

/// A text among the fields.
pub(super) fn text<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.get(name).and_then(Value::as_str)
}

/// A whole number among the fields.
pub(super) fn whole(fields: &Fields, name: &str) -> Option<i64> {
    fields.get(name).and_then(Value::as_i64)
}

/// A moment among the fields.
pub(super) fn moment(fields: &Fields, name: &str) -> Option<Timestamp> {
    instant(text(fields, name)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_takes_its_values_only() {
        let long = "x".repeat(256);
        for (kind, good, bad) in [
            (Kind::Text, vec![json!(""), json!("a")], vec![json!(1), json!(long)]),
            (Kind::Key, vec![json!("a")], vec![json!(1), json!(""), json!(long)]),
            (Kind::Whole(1), vec![json!(1)], vec![json!(0), json!(1.5), json!("1")]),
            (ANY, vec![json!(-5)], vec![json!("-5"), json!(true)]),
            (Kind::Flag, vec![json!(false)], vec![json!("false"), json!(0)]),
            (Kind::Moment, vec![json!("2026-01-31")], vec![json!("2026-02-31"), json!(20260131)]),
            (Kind::Currency, vec![json!("EUR")], vec![json!("eur"), json!("EURO"), json!(1)]),
            (Kind::Word(&["a", "b"]), vec![json!("b")], vec![json!("B"), json!("ab")]),
            (
                Kind::AccountCode,
                vec![json!("4400"), json!("A".repeat(30))],
                vec![json!("4-4"), json!("A".repeat(31)), json!(4400)],
            ),
        ] {
            for value in good {
                assert!(check(&kind, &value).is_ok(), "{kind:?} {value}");
            }
            for value in bad {
                assert!(check(&kind, &value).is_err(), "{kind:?} {value}");
            }
        }
    }
}
