//! Custom attributes: what type a value has, and whether it can become it without loss.

use std::borrow::Cow;

use super::values;
use crate::errors::Code;
use crate::objects::resource::AttributeType;
use crate::outcome::Fault;

/// Documented limit of a String attribute ("Custom attributes", help centre), in characters.
pub const MAX_TEXT: usize = 255;

/// A type that is known before the value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The user said it, under `types`.
    Said(AttributeType),
    /// The stream's JSON schema declares it: what is known of the account goes before it.
    Declared(AttributeType),
}

impl Wanted {
    /// The type.
    pub const fn kind(self) -> AttributeType {
        match self {
            Self::Said(kind) | Self::Declared(kind) => kind,
        }
    }
}

/// The type that a stream's JSON schema declares for a column, as Airbyte writes it; `None` when it says nothing of use.
pub fn declared_type(schema: &serde_json::Value) -> Option<AttributeType> {
    let airbyte_type = schema.get("airbyte_type").and_then(serde_json::Value::as_str);
    let format = schema.get("format").and_then(serde_json::Value::as_str);
    let name = match schema.get("type")? {
        serde_json::Value::String(name) => name.as_str(),
        serde_json::Value::Array(names) => {
            let mut others = names.iter().filter_map(serde_json::Value::as_str).filter(|name| *name != "null");
            let first = others.next()?;
            if others.next().is_some() {
                return None;
            }
            first
        }
        _ => return None,
    };
    match (name, format, airbyte_type) {
        ("integer", ..) | ("number", _, Some("integer")) => Some(AttributeType::Integer),
        ("number", ..) => Some(AttributeType::Decimal),
        ("boolean", ..) => Some(AttributeType::Boolean),
        ("string", Some("date" | "date-time"), _) => Some(AttributeType::Timestamp),
        ("string", ..) => Some(AttributeType::String),
        _ => None,
    }
}

/// Whether a key is one that ChartMogul takes (documented: letters, digits, underscore).
pub fn key_is_legal(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Appends the value in the normal form of its type, as JSON, and says which type that is.
///
/// `wanted` is what settings or the stream's schema say; without it the JSON value decides.
///
/// # Errors
/// The fault of this attribute; nothing of use was appended.
pub fn push_typed(key: &str, raw: &str, wanted: Option<AttributeType>, out: &mut String) -> Result<AttributeType, Fault> {
    let kind = wanted.unwrap_or_else(|| natural_type(raw));
    if matches!(values::first_byte(raw), b'{' | b'[') {
        return Err(Fault::field(
            Code::AttributeNested,
            key,
            format!("{} can not be a custom attribute", values::type_name(raw)),
        ));
    }
    let lossy = || {
        Fault::field(
            Code::AttributeType,
            key,
            format!("{} that can not become {} without loss", values::type_name(raw), type_word(kind)),
        )
    };
    match kind {
        AttributeType::String => {
            let text = match values::first_byte(raw) {
                b'"' => values::as_text(raw).ok_or_else(lossy)?,
                _ => Cow::Borrowed(raw),
            };
            if text.len() > MAX_TEXT && text.chars().count() > MAX_TEXT {
                return Err(Fault::field(
                    Code::FieldTooLong,
                    key,
                    format!("a String attribute holds at most {MAX_TEXT} characters"),
                ));
            }
            if values::first_byte(raw) == b'"' { out.push_str(raw) } else { values::push_json_text(&text, out) }
        }
        AttributeType::Integer => {
            let text = number_text(raw).ok_or_else(lossy)?;
            out.push_str(&values::whole_digits(&text).ok_or_else(lossy)?);
        }
        AttributeType::Decimal => {
            let text = number_text(raw).ok_or_else(lossy)?;
            // Beyond what a decimal number can hold, the API could only round it to something else.
            if text.parse::<f64>().is_ok_and(f64::is_infinite) {
                return Err(lossy());
            }
            match values::whole_digits(&text) {
                Some(digits) => out.push_str(&digits),
                None => out.push_str(&text),
            }
        }
        AttributeType::Timestamp => {
            let text = values::as_text(raw).ok_or_else(lossy)?;
            out.push('"');
            if !values::push_timestamp(&text, out) {
                return Err(lossy());
            }
            out.push('"');
        }
        AttributeType::Boolean => out.push_str(boolean(raw).ok_or_else(lossy)?),
    }
    Ok(kind)
}

/// Appends a value in the normal form of another type than it has by itself. `false`: something of it would be lost, and
/// nothing was appended. Of a point in time only milliseconds count: ChartMogul shows no more of any (recorded).
pub fn push_cast(raw: &str, kind: AttributeType, out: &mut String) -> bool {
    let start = out.len();
    let mut cast = push_typed("", raw, Some(kind), out).is_ok();
    match kind {
        AttributeType::Integer if cast => match out[start..].parse::<i64>() {
            // A zero has no sign there.
            Ok(0) => out.replace_range(start.., "0"),
            // Whether the API holds longer ones is unknown.
            parsed => cast = parsed.is_ok(),
        },
        // Documented as a float.
        AttributeType::Decimal => cast &= is_held_by_a_float(&out[start..]),
        _ => {}
    }
    if !cast {
        out.truncate(start);
    }
    cast
}

/// Whether a number comes back out of a double as it went in.
fn is_held_by_a_float(number: &str) -> bool {
    let held = number.parse::<f64>().is_ok_and(|float| float.is_finite() && digits(&format!("{float:e}")) == digits(number));
    held && digits(number).is_some()
}

/// What a number says whatever its notation: its sign, its digits from the first to the last that is not zero, and where its
/// point stands before them.
fn digits(number: &str) -> Option<(bool, String, i64)> {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let unsigned = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let all = format!("{whole}{fraction}");
    let point = exponent.parse::<i64>().ok()?.checked_add(whole.len() as i64)?;
    let leading = all.bytes().take_while(|b| *b == b'0').count();
    let kept = all.trim_matches('0');
    match kept.is_empty() {
        true => Some((false, String::new(), 0)),
        false => Some((mantissa.starts_with('-'), kept.to_owned(), point - leading as i64)),
    }
}

/// What the JSON value alone says.
fn natural_type(raw: &str) -> AttributeType {
    match values::first_byte(raw) {
        b't' | b'f' => AttributeType::Boolean,
        b'"' | b'{' | b'[' => AttributeType::String,
        _ if values::whole_digits(raw).is_some() => AttributeType::Integer,
        _ => AttributeType::Decimal,
    }
}

/// A number, given as such or as text.
fn number_text(raw: &str) -> Option<Cow<'_, str>> {
    let text = match values::first_byte(raw) {
        b'"' => match values::as_text(raw)? {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        },
        // The value is JSON: what begins so is a number and nothing else.
        b'-' | b'0'..=b'9' => return Some(Cow::Borrowed(raw)),
        _ => return None,
    };
    values::is_number(&text).then_some(text)
}

/// The spellings that ChartMogul documents for Booleans.
fn boolean(raw: &str) -> Option<&'static str> {
    let text = values::as_text(raw).unwrap_or(Cow::Borrowed(raw));
    match text.trim() {
        "true" | "TRUE" | "True" | "t" | "1" => Some("true"),
        "false" | "FALSE" | "False" | "f" | "0" => Some("false"),
        _ => None,
    }
}

/// ChartMogul's own word for a type.
pub fn type_word(kind: AttributeType) -> &'static str {
    match kind {
        AttributeType::String => "String",
        AttributeType::Integer => "Integer",
        AttributeType::Decimal => "Decimal",
        AttributeType::Timestamp => "Timestamp",
        AttributeType::Boolean => "Boolean",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(raw: &str, wanted: Option<AttributeType>) -> Result<(AttributeType, String), Code> {
        let mut out = String::new();
        push_typed("k", raw, wanted, &mut out).map(|kind| (kind, out)).map_err(|fault| fault.code)
    }

    #[test]
    fn without_a_declared_type_the_json_value_decides() {
        use AttributeType::{Boolean, Decimal, Integer, String};
        for (raw, kind, out) in
            [("3", Integer, "3"), ("3.50", Decimal, "3.50"), ("true", Boolean, "true"), ("\"x\"", String, "\"x\"")]
        {
            assert_eq!(typed(raw, None), Ok((kind, out.to_owned())));
        }
    }

    #[test]
    fn values_are_cast_where_nothing_is_lost_and_refused_where_something_is() {
        use AttributeType::{Boolean, Decimal, Integer, String, Timestamp};
        for (raw, wanted, out) in [
            ("\"15001.000000000\"", Decimal, "15001"),
            ("\"15001.000000000\"", Integer, "15001"),
            ("\"12\"", Integer, "12"),
            ("12.50", String, "\"12.50\""),
            ("true", String, "\"true\""),
            ("\"1\"", Boolean, "true"),
            ("0", Boolean, "false"),
            ("-0", Integer, "0"),
            ("-0.00", Decimal, "0"),
            ("\"2022-02-28\"", Timestamp, "\"2022-02-28T00:00:00.000Z\""),
        ] {
            assert_eq!(typed(raw, Some(wanted)), Ok((wanted, out.to_owned())), "{raw}");
        }
        for (raw, wanted) in [
            ("1.5", Integer),
            ("\"abc\"", Integer),
            ("\"12,50\"", Decimal),
            ("1e400", Decimal),
            ("2", Boolean),
            ("\"soon\"", Timestamp),
            ("true", Integer),
        ] {
            assert_eq!(typed(raw, Some(wanted)), Err(Code::AttributeType), "{raw}");
        }
        assert_eq!(typed("[1]", None), Err(Code::AttributeNested));
        assert_eq!(typed(&format!("\"{}\"", "ä".repeat(256)), None), Err(Code::FieldTooLong));
        assert!(typed(&format!("\"{}\"", "ä".repeat(255)), None).is_ok());
    }

    #[test]
    fn airbyte_schemas_declare_types() {
        let declared = |text: &str| declared_type(&serde_json::from_str(text).unwrap());
        assert_eq!(declared(r#"{"type":["null","integer"]}"#), Some(AttributeType::Integer));
        assert_eq!(declared(r#"{"type":"number"}"#), Some(AttributeType::Decimal));
        assert_eq!(declared(r#"{"type":"number","airbyte_type":"integer"}"#), Some(AttributeType::Integer));
        assert_eq!(declared(r#"{"type":"string","format":"date-time"}"#), Some(AttributeType::Timestamp));
        assert_eq!(declared(r#"{"type":["string","integer"]}"#), None);
        assert_eq!(declared(r#"{"type":"object"}"#), None);
    }
}
