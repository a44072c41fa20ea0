//! Small questions about raw JSON text. The text is known to be valid JSON.

use std::borrow::Cow;

/// The first byte, which tells the JSON type; a space for empty text.
pub fn first_byte(raw: &str) -> u8 {
    raw.as_bytes().first().copied().unwrap_or(b' ')
}

/// The JSON type in words, for messages.
pub fn type_name(raw: &str) -> &'static str {
    match first_byte(raw) {
        b'"' => "text",
        b'{' => "object",
        b'[' => "array",
        b't' | b'f' => "Boolean",
        b'n' => "null",
        _ => "number",
    }
}

/// The text of a JSON string; `None` for any other type. Borrowed where the string has no escapes.
pub fn as_text(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(raw).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}

/// The digits of a number that is whole, whatever its notation: `5`, `5.0`, `-3`, `15001.000000000`, `1e3`.
/// `None` when it has a fraction or is no number.
pub fn whole_digits(number: &str) -> Option<Cow<'_, str>> {
    let unsigned = number.strip_prefix('-').unwrap_or(number);
    if unsigned.is_empty() {
        return None;
    }
    if unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Cow::Borrowed(number));
    }
    if let Some((whole, fraction)) = number.split_once('.') {
        let plain = whole.strip_prefix('-').unwrap_or(whole);
        if !plain.is_empty()
            && plain.bytes().all(|b| b.is_ascii_digit())
            && !fraction.is_empty()
            && fraction.bytes().all(|b| b == b'0')
        {
            return Some(Cow::Borrowed(whole));
        }
    }
    // Exponents: exact as long as a double holds every whole number.
    let value: f64 = if is_number(number) { number.parse().ok()? } else { return None };
    (value.fract() == 0.0 && value.abs() < 9.0e15).then(|| Cow::Owned(format!("{value:.0}")))
}

/// Whether a text has the form of a JSON number. Texts from databases may hold leading zeros, which this does not take.
pub fn is_number(text: &str) -> bool {
    !text.is_empty()
        && matches!(first_byte(text), b'-' | b'0'..=b'9')
        && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Appends a text as a JSON string.
pub fn push_json_text(text: &str, out: &mut String) {
    match serde_json::to_string(text) {
        Ok(quoted) => out.push_str(&quoted),
        Err(_) => out.push_str("\"\""),
    }
}

/// A point in time in ChartMogul's normal form, `YYYY-MM-DDTHH:MM:SS.sssZ`.
///
/// Takes every form that was recorded in request bodies: RFC 3339 with any offset, a date alone, a space for the `T`, an
/// offset after a space (`+0200`, `UTC`). Without an offset it is UTC: the vendor's examples have none, and warehouses
/// hand out such timestamps after losing their zone.
pub fn timestamp(text: &str) -> Option<String> {
    use jiff::{Timestamp, civil::DateTime, fmt::strtime, tz::TimeZone};
    let text = text.trim();
    let text = text.strip_suffix(" UTC").unwrap_or(text);
    let instant = if let Ok(instant) = text.parse::<Timestamp>() {
        instant
    } else if let Ok(civil) = text.parse::<DateTime>() {
        civil.to_zoned(TimeZone::UTC).ok()?.timestamp()
    } else {
        let form = if text.contains('T') { "%Y-%m-%dT%H:%M:%S%.f%z" } else { "%Y-%m-%d %H:%M:%S%.f %z" };
        strtime::parse(form, text).ok()?.to_timestamp().ok()?
    };
    let civil = instant.to_zoned(TimeZone::UTC).datetime();
    if civil.year() < 1 {
        return None;
    }
    Some(format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        civil.year(),
        civil.month(),
        civil.day(),
        civil.hour(),
        civil.minute(),
        civil.second(),
        civil.millisecond()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_seen_in_every_notation() {
        for (given, expected) in [
            ("5", Some("5")),
            ("-3", Some("-3")),
            ("76888.0", Some("76888")),
            ("15001.000000000", Some("15001")),
            ("1e3", Some("1000")),
            ("123456789012345678901234567890", Some("123456789012345678901234567890")),
            ("1.5", None),
            ("1e-1", None),
            ("", None),
            ("-", None),
            ("abc", None),
        ] {
            assert_eq!(whole_digits(given).as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn every_recorded_form_of_a_timestamp_becomes_the_normal_form() {
        for (given, expected) in [
            ("2016-01-01 12:00:00 UTC", "2016-01-01T12:00:00.000Z"),
            ("2000-01-01 00:00:00 +0200", "1999-12-31T22:00:00.000Z"),
            ("2019-09-03T07:22:39+06:00", "2019-09-03T01:22:39.000Z"),
            ("2017-05-31T00:00:00.000Z", "2017-05-31T00:00:00.000Z"),
            ("2022-02-28", "2022-02-28T00:00:00.000Z"),
            ("2026-11-20T23:46:39.508000", "2026-11-20T23:46:39.508Z"),
            ("2026-11-20 23:46:39", "2026-11-20T23:46:39.000Z"),
            ("2019-09-03T07:22:39.123456+0600", "2019-09-03T01:22:39.123Z"),
        ] {
            assert_eq!(timestamp(given).as_deref(), Some(expected), "{given}");
        }
        for given in ["yesterday", "", "2022-13-01", "0044-03-15 BC", "12:00:00", "1700000000"] {
            assert_eq!(timestamp(given), None, "{given}");
        }
    }
}
