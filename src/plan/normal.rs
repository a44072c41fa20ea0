//! A value's normal form, written where it will stand: what every kind of field takes, and how it is spelled in the end.
//!
//! Owns the rules of the kinds, those of lists and of their entries among them, and the words of what breaks one. Does not
//! own which fields a record gives nor what a null does to them ([`super::record`]).

use std::borrow::Cow;

use super::countries;
use crate::errors::Code;
use crate::mapping::values::{
    self, as_text, first_byte, push_json_text, push_quoted as quote, push_timestamp, type_name, whole_digits,
};
use crate::objects::resource::{Field, Kind};
use crate::outcome::Fault;

/// One object of a list.
pub(super) fn list_element(
    place: &str,
    fields: &'static [Field],
    ignores_members: bool,
    raw: &str,
    out: &mut String,
    faults: &mut Vec<Fault>,
) {
    let Some(text) = json_or_text(raw) else {
        faults.push(takes("an object", raw).of(place));
        return;
    };
    out.push('{');
    let mut seen: Vec<usize> = Vec::with_capacity(fields.len());
    for (name, value) in values::members(&text) {
        let Some(name) = as_text(name) else {
            faults.push(NAME_IS_NO_TEXT.of(place));
            continue;
        };
        let Some(at) = fields.iter().position(|field| field.name == name) else {
            if !ignores_members {
                faults.push(no_such_member(place, &name, fields));
            }
            continue;
        };
        if seen.contains(&at) {
            faults.push(Fault::field(Code::FieldTwice, format!("{place}.{name}"), "stands twice in one entry"));
            continue;
        }
        let before = out.len();
        if !seen.is_empty() {
            out.push(',');
        }
        quote(&name, out);
        out.push(':');
        match write_scalar(&fields[at].kind, value, out) {
            Ok(Written::Value) => seen.push(at),
            Ok(Written::Null) => out.truncate(before),
            Err(problem) => {
                out.truncate(before);
                faults.push(problem.of(&format!("{place}.{name}")));
            }
        }
    }
    out.push('}');
}

/// A member of a nested object that is no field of it.
pub(super) fn no_such_member(place: &str, name: &str, fields: &[Field]) -> Fault {
    let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
    Fault::field(Code::FieldUnknown, format!("{place}.{name}"), format!("what is nested here takes {}", names.join(", ")))
}

/// What a field takes, and what came.
pub(super) fn takes(wants: &str, raw: &str) -> Problem {
    Problem(Code::FieldType, format!("takes {wants}, not {}", type_name(raw)).into())
}

/// Keys travel in the query of look-ups, where a longer text is refused by whatever stands in between. In bytes; what
/// ChartMogul itself takes is unknown.
const LONGEST_KEY: usize = 2000;

fn too_long_a_key() -> Problem {
    Problem(Code::FieldTooLong, format!("a key holds at most {LONGEST_KEY} bytes").into())
}

/// JSON can spell one half of a surrogate pair, which no text can hold.
fn half_a_character() -> Problem {
    Problem(Code::FieldValue, "holds one half of a character that takes two (a cut emoji)".into())
}

/// What a value was.
pub(super) enum Written {
    Value,
    Null,
}

/// JSON lets escapes stand for half a character.
pub(super) const NAME_IS_NO_TEXT: Problem = Problem(Code::FieldType, Cow::Borrowed("has a name in it that is no text"));

/// What is wrong with a value, before its field's name is put to it.
pub(super) struct Problem(pub(super) Code, pub(super) Cow<'static, str>);

impl Problem {
    pub(super) fn of(self, field: &str) -> Fault {
        Fault::field(self.0, field, self.1)
    }
}

/// The text of an object, or of an object that a source wrote as JSON text (PyAirbyte's cache and old CDKs do), which then
/// has to be JSON.
pub(super) fn json_or_text(raw: &str) -> Option<Cow<'_, str>> {
    match first_byte(raw) {
        b'{' => Some(Cow::Borrowed(raw)),
        b'"' => as_text(raw).map(trimmed).filter(|text| text.starts_with('{') && is_json(text)),
        _ => None,
    }
}

pub(super) fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}

pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Appends a value in the normal form of its kind.
///
/// An empty text is null for every kind but plain text: warehouses write missing values so, and no such field of the API
/// has an empty value of its own.
pub(super) fn write_scalar(kind: &Kind, raw: &str, out: &mut String) -> Result<Written, Problem> {
    let wrong_type = |wants: &str| Problem(Code::FieldType, format!("takes {wants}, not {}", type_name(raw)).into());
    if raw == "null" {
        return Ok(Written::Null);
    }
    match kind {
        Kind::Text => match first_byte(raw) {
            b'"' if as_text(raw).is_none() => return Err(half_a_character()),
            b'"' => out.push_str(raw),
            b'{' | b'[' | b't' | b'f' => return Err(wrong_type("a text")),
            // Guessed types are common in sources: a postal code arrives as 76888.0.
            _ => quote(&whole_digits(raw).unwrap_or(Cow::Borrowed(raw)), out),
        },
        Kind::ExternalId => match first_byte(raw) {
            b'"' => {
                let text = as_text(raw).ok_or_else(half_a_character)?;
                if text.trim().is_empty() {
                    return Ok(Written::Null);
                }
                if text.len() > LONGEST_KEY {
                    return Err(too_long_a_key());
                }
                out.push_str(raw);
            }
            b'{' | b'[' | b't' | b'f' => return Err(wrong_type("a text or a whole number")),
            _ => {
                let digits = whole_digits(raw).ok_or_else(|| Problem(Code::FieldValue, "a number here must be whole".into()))?;
                quote(&digits, out);
            }
        },
        Kind::Integer(..) | Kind::Cents => {
            let text = match first_byte(raw) {
                b'"' => as_text(raw).unwrap_or_default(),
                b'{' | b'[' | b't' | b'f' => return Err(wrong_type("a whole number")),
                _ => Cow::Borrowed(raw),
            };
            let text = text.trim();
            if text.is_empty() {
                return Ok(Written::Null);
            }
            let value = whole_digits(text).and_then(|digits| digits.parse::<i64>().ok());
            let (least, most) = if let Kind::Integer(least, most) = kind { (*least, *most) } else { (i64::MIN, i64::MAX) };
            match value {
                Some(value) if value < least => {
                    return Err(Problem(Code::FieldValue, format!("must be at least {least}").into()));
                }
                Some(value) if value > most => return Err(Problem(Code::FieldValue, format!("must be at most {most}").into())),
                Some(value) => out.push_str(&value.to_string()),
                None if *kind == Kind::Cents => {
                    return Err(Problem(Code::FieldValue, "must be a whole number of cents".into()));
                }
                None => return Err(Problem(Code::FieldValue, "must be a whole number".into())),
            }
        }
        Kind::Boolean => return write_boolean(raw, out),
        Kind::Short(most) => return write_short(*most, raw, out),
        Kind::Scalar => match first_byte(raw) {
            b'"' if as_text(raw).is_none() => return Err(half_a_character()),
            b'{' | b'[' => return Err(wrong_type("a text, a number or a Boolean")),
            _ => out.push_str(raw),
        },
        Kind::Json => match as_text(raw) {
            Some(text) if matches!(text.trim_start().bytes().next(), Some(b'{' | b'[')) && is_json(&text) => {
                out.push_str(text.trim());
            }
            _ => out.push_str(raw),
        },
        Kind::Many(inner) => return write_many(inner, raw, out),
        Kind::Tags => return write_tags(raw, out),
        Kind::Uuid(_)
        | Kind::Email
        | Kind::Url
        | Kind::Country
        | Kind::State
        | Kind::Timestamp
        | Kind::Date
        | Kind::Currency
        | Kind::Code(_)
        | Kind::OneOf(_) => {
            let text = as_text(raw).ok_or_else(|| wrong_type("a text"))?;
            let text = text.trim();
            if text.is_empty() {
                return Ok(Written::Null);
            }
            return write_worded(kind, text, out);
        }
        Kind::Attributes | Kind::Object(_) => return Err(wrong_type("an object")),
        Kind::List(_) => return Err(wrong_type("a list of objects")),
    }
    Ok(Written::Value)
}

/// Kinds whose value is a text with a rule.
fn write_worded(kind: &Kind, text: &str, out: &mut String) -> Result<Written, Problem> {
    match kind {
        Kind::Uuid(prefix) if is_uuid(text, prefix) => quote(text, out),
        // The API shows the UUIDs of subscriptions without their prefix in places (recorded 2023 and 2025).
        Kind::Uuid(prefix) if is_uuid(text, "") => quote(&format!("{prefix}{text}"), out),
        Kind::Uuid(prefix) => {
            return Err(Problem(
                Code::FieldValue,
                format!("must be a UUID of the form {prefix}xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx").into(),
            ));
        }
        Kind::Email => {
            if text.len() > LONGEST_KEY {
                return Err(too_long_a_key());
            }
            if !is_email(text) {
                return Err(Problem(Code::FieldValue, "must be an e-mail address".into()));
            }
            quote(text, out);
        }
        Kind::Country => {
            let Some(code) = countries::code(text) else {
                return Err(Problem(
                    Code::FieldValue,
                    "must be a country code of two letters (ISO 3166-1 alpha-2), such as US".into(),
                ));
            };
            quote(code, out);
        }
        Kind::Timestamp => {
            out.push('"');
            if !push_timestamp(text, out) {
                return Err(Problem(
                    Code::FieldValue,
                    "must be a date or a date with time (ISO 8601), such as 2026-01-31T12:00:00Z".into(),
                ));
            }
            out.push('"');
        }
        Kind::Date => {
            let Some(time) = values::timestamp(text) else {
                return Err(Problem(Code::FieldValue, "must be a date (ISO 8601), such as 2026-01-31".into()));
            };
            quote(&time[..DAY], out);
        }
        Kind::Currency => {
            let Some(currency) = iso_currency::Currency::from_code(&text.to_ascii_uppercase()) else {
                return Err(Problem(Code::FieldValue, "must be a currency code of three letters (ISO 4217), such as USD".into()));
            };
            quote(currency.code(), out);
        }
        Kind::Code(most) => {
            if text.chars().count() > *most || !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
                return Err(Problem(Code::FieldValue, format!("must be at most {most} letters and digits").into()));
            }
            quote(text, out);
        }
        Kind::OneOf(words) => {
            let found =
                words.iter().find(|word| word.eq_ignore_ascii_case(text) || word.replace(' ', "_").eq_ignore_ascii_case(text));
            match found {
                Some(word) => quote(word, out),
                None => return Err(Problem(Code::FieldValue, format!("must be one of {}", words.join(", ")).into())),
            }
        }
        Kind::State => quote(&text.to_ascii_uppercase(), out),
        _ => push_json_text(text, out),
    }
    Ok(Written::Value)
}

/// How many characters of a timestamp are its day.
const DAY: usize = "2026-01-31".len();

/// A Boolean, or a word or number for one, as warehouses without the type write them.
fn write_boolean(raw: &str, out: &mut String) -> Result<Written, Problem> {
    let text = match first_byte(raw) {
        b'"' => as_text(raw).unwrap_or_default(),
        _ => Cow::Borrowed(raw),
    };
    match text.trim().to_ascii_lowercase().as_str() {
        "" => return Ok(Written::Null),
        "true" | "t" | "1" | "yes" => out.push_str("true"),
        "false" | "f" | "0" | "no" => out.push_str("false"),
        _ if matches!(first_byte(raw), b'{' | b'[') => return Err(takes("true or false", raw)),
        _ => return Err(Problem(Code::FieldValue, "must be true or false".into())),
    }
    Ok(Written::Value)
}

/// A text of at most so many characters.
fn write_short(most: usize, raw: &str, out: &mut String) -> Result<Written, Problem> {
    let start = out.len();
    let written = write_scalar(&Kind::Text, raw, out)?;
    if as_text(&out[start..]).is_some_and(|text| text.chars().count() > most) {
        return Err(Problem(Code::FieldTooLong, format!("holds at most {most} characters").into()));
    }
    Ok(written)
}

/// A list of values of one kind, each once: an array, the same as JSON text, or one value alone.
fn write_many(inner: &Kind, raw: &str, out: &mut String) -> Result<Written, Problem> {
    let list = match first_byte(raw) {
        b'"' => match as_text(raw).map(trimmed) {
            Some(text) if text.starts_with('[') && is_json(&text) => text,
            _ => Cow::Owned(format!("[{raw}]")),
        },
        b'[' => Cow::Borrowed(raw),
        b'{' => return Err(takes("a list", raw)),
        _ => Cow::Owned(format!("[{raw}]")),
    };
    let start = out.len();
    out.push('[');
    for element in values::elements(&list) {
        let before = out.len();
        if before > start + 1 {
            out.push(',');
        }
        let written = out.len();
        let again = match write_scalar(inner, element, out)? {
            Written::Null => true,
            Written::Value => values::elements(&out[start..before]).any(|known| *known == out[written..]),
        };
        if again {
            out.truncate(before);
        }
    }
    out.push(']');
    Ok(Written::Value)
}

/// A list of tags: an array of texts, the same as JSON text, or one text that is one tag. Each tag once.
fn write_tags(raw: &str, out: &mut String) -> Result<Written, Problem> {
    let problem = || Problem(Code::FieldType, "takes a list of texts".into());
    let list = match first_byte(raw) {
        b'[' => Cow::Borrowed(raw),
        b'"' => trimmed(as_text(raw).ok_or_else(problem)?),
        _ => return Err(problem()),
    };
    let start = out.len();
    out.push('[');
    let mut push = |tag: &str| {
        let tag = tag.trim();
        let before = out.len();
        if before > start + 1 {
            out.push(',');
        }
        let written = out.len();
        quote(tag, out);
        // Equal texts have equal normal forms.
        if tag.is_empty() || values::elements(&out[start..before]).any(|known| *known == out[written..]) {
            out.truncate(before);
        }
    };
    match first_byte(&list) {
        b'[' if first_byte(raw) == b'[' || is_json(&list) => {
            for element in values::elements(&list).filter(|element| *element != "null") {
                push(&as_text(element).ok_or_else(problem)?);
            }
        }
        b'[' => return Err(problem()),
        _ => push(&list),
    }
    out.push(']');
    Ok(Written::Value)
}

/// The prefix, then 8-4-4-4-12 hexadecimal digits.
fn is_uuid(text: &str, prefix: &str) -> bool {
    let Some(bare) = text.strip_prefix(prefix) else { return false };
    bare.len() == 36
        && bare.bytes().enumerate().all(|(at, b)| if matches!(at, 8 | 13 | 18 | 23) { b == b'-' } else { b.is_ascii_hexdigit() })
}

/// Enough to catch what is no address at all; the rest is the server's to judge.
fn is_email(text: &str) -> bool {
    match text.rsplit_once('@') {
        Some((local, domain)) => {
            !local.is_empty()
                && !domain.is_empty()
                && !text.bytes().any(|b| b.is_ascii_whitespace() || b < 0x20)
                && !local.contains('@')
        }
        None => false,
    }
}
