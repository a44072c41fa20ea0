//! The values of fields: which are taken, and how they come back.
//!
//! Owns checks by kind of field, from the facts of [`crate::objects`], and the types of custom attributes. Which message a
//! wrong value gets is unknown for nearly all fields; that it is refused instead of bent into shape is the strict side.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use crate::objects::resource::{Field, Kind};

use super::countries::{is_country, state_name};
use super::store::Fields;

/// Longest text. Documented for custom attributes of type String (help page "Custom attributes"); for fields unknown.
const MAX_TEXT: usize = 255;

/// What a body says about fields.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) set: Fields,
    /// Sent as null.
    pub(super) nulls: Vec<&'static str>,
}

impl Changes {
    /// Checks the fields of a body. Unknown keys are ignored (recorded: stray keys did no harm).
    pub(super) fn read(
        known: &'static [Field],
        body: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Changes, Map<String, Value>> {
        let mut changes = Changes::default();
        let mut errors = Map::new();
        for field in known {
            match body.get(field.name) {
                None => {}
                Some(Value::Null) => changes.nulls.push(field.name),
                Some(value) => match check(field, value, now) {
                    Ok(Some(value)) => {
                        changes.set.insert(field.name, value);
                    }
                    Ok(None) => {}
                    Err(problem) => {
                        errors.insert(field.name.into(), problem.into());
                    }
                },
            }
        }
        if errors.is_empty() { Ok(changes) } else { Err(errors) }
    }

    /// Applies the changes to an entry.
    pub(super) fn apply(&self, fields: &mut Fields, null_clears: bool) {
        fields.extend(self.set.iter().map(|(name, value)| (*name, value.clone())));
        if null_clears {
            for name in &self.nulls {
                fields.remove(name);
            }
        }
    }
}

/// The value as it will be answered; nothing for fields that are not kept among the plain ones.
fn check(field: &Field, value: &Value, now: Timestamp) -> Result<Option<Value>, &'static str> {
    let text = || match value {
        Value::String(text) if text.chars().count() > MAX_TEXT && field.name != "notes" => {
            Err("is too long (maximum is 255 characters)")
        }
        Value::String(text) => Ok(text.as_str()),
        _ => Err("must be a string"),
    };
    let kept = match &field.kind {
        // An unknown owner is dropped without an error (recorded), so its form cannot matter.
        Kind::Text | Kind::Url => text()?.into(),
        Kind::Email if field.name == "owner" => text()?.into(),
        Kind::ExternalId => match text()? {
            "" => return Err("can't be blank"),
            key => key.into(),
        },
        Kind::Email => match text()? {
            // Recorded: no e-mail address is answered as an empty text, so that is taken as well.
            address if address.is_empty() || is_email(address) => address.into(),
            _ => return Err("is invalid"),
        },
        Kind::Country => match text()? {
            code if is_country(code) => code.into(),
            _ => return Err("is not a valid ISO 3166-1 alpha-2 code"),
        },
        Kind::State => text()?.into(),
        Kind::Timestamp => {
            let at = instant(text()?).ok_or("is not a valid timestamp")?;
            // Documented by the official MCP server: a lead date has to be in the past.
            if field.name == "lead_created_at" && at > now {
                return Err("must be in the past");
            }
            as_shown(at).into()
        }
        Kind::Integer(least, most) => match value.as_i64() {
            Some(number) if number >= *least && number <= *most => number.into(),
            _ => return Err("is not a valid number"),
        },
        Kind::OneOf(words) => match text()? {
            word if words.contains(&word) => word.into(),
            _ => return Err("is not included in the list"),
        },
        // Read by the routes themselves, or no field of the entry.
        _ => return Ok(None),
    };
    Ok(Some(kept))
}

/// Recorded: a state sent for a country other than the US comes back null, without an error. That an unknown state of the
/// US goes the same way, and that the prefix `US-` of the current documentation comes back without it, is unknown.
pub(super) fn settle_state(fields: &mut Fields) {
    let american = fields.get("country").and_then(Value::as_str) == Some("US");
    let state = fields.get("state").and_then(Value::as_str).map(|state| state.strip_prefix("US-").unwrap_or(state));
    match state.filter(|state| american && state_name(state).is_some()).map(Value::from) {
        Some(state) => {
            fields.insert("state", state);
        }
        None => {
            fields.remove("state");
        }
    }
}

fn is_email(text: &str) -> bool {
    match text.split_once('@') {
        Some((name, domain)) => !name.is_empty() && domain.contains('.') && !text.contains(char::is_whitespace),
        None => false,
    }
}

/// Reads a point in time. Recorded: `2016-01-01 12:00:00 UTC`, `2000-01-01 00:00:00 +0200`, `2019-09-03T07:22:39+06:00`,
/// `2017-05-31T00:00:00.000Z` and `2022-02-28`. Documented without an offset, which is taken as UTC; that is unknown.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    if let Some(local) = text.strip_suffix(" UTC") {
        return utc(local);
    }
    if let Some((local, offset)) = text.rsplit_once(' ').filter(|(_, offset)| offset.starts_with(['+', '-'])) {
        return format!("{local}{offset}").parse().ok();
    }
    utc(text)
}

fn utc(text: &str) -> Option<Timestamp> {
    text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// Recorded: UTC with milliseconds.
pub(super) fn as_shown(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// The type of a custom attribute. Documented: "Adding custom attributes".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AttributeType {
    String,
    Integer,
    Decimal,
    Timestamp,
    Boolean,
}

impl fmt::Display for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl AttributeType {
    pub(super) fn named(name: &str) -> Option<AttributeType> {
        Some(match name {
            "String" => AttributeType::String,
            "Integer" => AttributeType::Integer,
            "Decimal" => AttributeType::Decimal,
            "Timestamp" => AttributeType::Timestamp,
            "Boolean" => AttributeType::Boolean,
            _ => return None,
        })
    }

    /// The value as it will be answered. Documented by the official MCP server: Integer takes digits only, Boolean takes
    /// TRUE, true, t, 1 and their opposites. That a String takes no number, and that no type takes null, is unknown.
    pub(super) fn value(self, value: &Value) -> Option<Value> {
        match (self, value) {
            (AttributeType::String, Value::String(text)) => (text.chars().count() <= MAX_TEXT).then(|| value.clone()),
            (AttributeType::Integer, Value::Number(number)) if number.is_i64() || number.is_u64() => Some(value.clone()),
            // `-0` is read as a decimal number, since no integer can hold its sign. That the API shows it without is unknown.
            (AttributeType::Integer, Value::Number(number)) => {
                number.as_f64().filter(|number| *number == 0.0 && number.is_sign_negative()).map(|_| 0.into())
            }
            (AttributeType::Integer, Value::String(text)) => text.parse::<i64>().ok().map(Value::from),
            (AttributeType::Decimal, Value::Number(_)) => Some(value.clone()),
            (AttributeType::Decimal, Value::String(text)) => {
                text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from)
            }
            (AttributeType::Timestamp, Value::String(text)) => instant(text).map(as_shown).map(Value::from),
            (AttributeType::Boolean, Value::Bool(_)) => Some(value.clone()),
            (AttributeType::Boolean, Value::String(text)) => match text.as_str() {
                "TRUE" | "true" | "t" | "1" => Some(true.into()),
                "FALSE" | "false" | "f" | "0" => Some(false.into()),
                _ => None,
            },
            (AttributeType::Boolean, Value::Number(number)) => match number.as_i64() {
                Some(1) => Some(true.into()),
                Some(0) => Some(false.into()),
                _ => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::objects::customers;

    fn read(body: &Value) -> Result<Changes, Map<String, Value>> {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        Changes::read(customers::RESOURCE.fields, body.as_object().unwrap(), now)
    }

    #[test]
    fn every_recorded_form_of_a_timestamp_comes_back_in_utc_with_milliseconds() {
        for (sent, answered) in [
            ("2016-01-01 14:30:00 UTC", "2016-01-01T14:30:00.000Z"),
            ("2000-01-01 00:00:00 +0200", "1999-12-31T22:00:00.000Z"),
            ("2019-09-03T07:22:39+06:00", "2019-09-03T01:22:39.000Z"),
            ("2017-05-31T00:00:00.000Z", "2017-05-31T00:00:00.000Z"),
            ("2022-02-28", "2022-02-28T00:00:00.000Z"),
            ("2022-02-28 10:11:12", "2022-02-28T10:11:12.000Z"),
        ] {
            assert_eq!(instant(sent).map(as_shown).as_deref(), Some(answered), "{sent}");
        }
        for nonsense in ["", "yesterday", "1700000000", "2022-02-30", "2022-02-28 10:11:12 CET"] {
            assert_eq!(instant(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn all_wrong_fields_are_told_at_once() {
        let errors = read(&json!({
            "name": 5, "email": "nobody", "country": "Germany", "zip": 10001, "lead_created_at": "2027-01-01",
            "free_trial_started_at": "soon", "status": "Active", "external_id": "", "company": "x".repeat(256), "city": "Berlin",
        }))
        .unwrap_err();
        let mut wrong: Vec<_> = errors.keys().map(String::as_str).collect();
        wrong.sort_unstable();
        let expected =
            ["company", "country", "email", "external_id", "free_trial_started_at", "lead_created_at", "name", "status", "zip"];
        assert_eq!(wrong, expected);
    }

    #[test]
    fn a_state_stays_for_the_us_only_and_loses_its_prefix() {
        for (country, state, kept) in
            [("US", "US-NY", Some("NY")), ("US", "CA", Some("CA")), ("DE", "NY", None), ("US", "Bavaria", None)]
        {
            let mut fields = Fields::from([("country", country.into()), ("state", state.into())]);
            settle_state(&mut fields);
            assert_eq!(fields.get("state").and_then(Value::as_str), kept, "{country} {state}");
        }
    }

    #[test]
    fn an_attribute_takes_values_of_its_type_only() {
        let taken = |kind: &str, value: Value| AttributeType::named(kind).unwrap().value(&value);
        assert_eq!(taken("String", json!("x")), Some(json!("x")));
        assert_eq!(taken("String", json!(5)), None);
        assert_eq!(taken("String", json!("x".repeat(256))), None);
        assert_eq!(taken("Integer", json!("12")), Some(json!(12)));
        assert_eq!(taken("Integer", serde_json::from_str("-0").unwrap()), Some(json!(0)));
        assert_eq!(taken("Integer", json!(1.5)), None);
        assert_eq!(taken("Integer", json!(0.0)), None);
        assert_eq!(taken("Decimal", json!("1.5")), Some(json!(1.5)));
        assert_eq!(taken("Timestamp", json!("2016-01-31 00:00:00 UTC")), Some(json!("2016-01-31T00:00:00.000Z")));
        assert_eq!(taken("Boolean", json!("TRUE")), Some(json!(true)));
        assert_eq!(taken("Boolean", json!("yes")), None);
        assert_eq!(taken("String", Value::Null), None);
        assert_eq!(AttributeType::named("Float"), None);
    }
}
