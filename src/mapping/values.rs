//! Small questions about raw JSON text. The text is known to be valid JSON.

use std::borrow::Cow;

/// The members of an object as they stand in its text: the name with its quotes, and the value. Nothing for other values.
///
/// Finds where values end and checks nothing: a row's columns are walked for every record, and the line that they stand in
/// was read as JSON before.
pub fn members(object: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut parts = Parts::of(object, b'{');
    std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
}

/// The elements of an array as they stand in its text. Nothing for other values.
pub fn elements(array: &str) -> impl Iterator<Item = &str> {
    let mut parts = Parts::of(array, b'[');
    std::iter::from_fn(move || parts.next())
}

/// The values inside an object or array, names of members among them.
struct Parts<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str, opening: u8) -> Self {
        let at = if first_byte(text) == opening { 1 } else { text.len() };
        Self { text, at }
    }

    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        let start = self.at + bytes.get(self.at..)?.iter().position(|b| !matches!(b, b',' | b':') && !is_blank(*b))?;
        let end = match bytes[start] {
            b'"' => end_of_text(bytes, start + 1),
            b'{' | b'[' => end_of_nest(bytes, start + 1),
            b'}' | b']' => return None,
            _ => bytes[start..].iter().position(|b| matches!(b, b',' | b'}' | b']') || is_blank(*b)).map(|length| start + length),
        }?;
        self.at = end;
        self.text.get(start..end)
    }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Behind the closing quote of a text, given where its content begins.
fn end_of_text(bytes: &[u8], mut at: usize) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    // The high bit of each byte that is zero; above the first such byte others may be marked wrongly.
    const fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word & HIGH
    }
    loop {
        // Eight bytes at a time: texts in rows are short, so that a call of memchr costs more than it saves.
        while let Some(eight) = bytes.get(at..at + 8).and_then(|eight| eight.try_into().ok()) {
            let word = u64::from_le_bytes(eight);
            let found = zeros(word ^ (ONES * b'"' as u64)) | zeros(word ^ (ONES * b'\\' as u64));
            at += found.trailing_zeros() as usize / 8;
            if found != 0 {
                break;
            }
        }
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Behind the bracket that closes an object or array, given where its content begins.
fn end_of_nest(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 1_usize;
    loop {
        let byte = *bytes.get(at)?;
        at += 1;
        match byte {
            b'"' => at = end_of_text(bytes, at)?,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 1 => return Some(at),
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
}

/// Whether this is a text with nothing but white space in it, or the word null.
pub fn is_blank_text(raw: &str) -> bool {
    as_text(raw).is_some_and(|text| text.trim().is_empty() || text.trim().eq_ignore_ascii_case("null"))
}

/// The first byte, which tells the JSON type; a space for empty text.
pub fn first_byte(raw: &str) -> u8 {
    raw.as_bytes().first().copied().unwrap_or(b' ')
}

/// The JSON type in words, with its article, for messages.
pub fn type_name(raw: &str) -> &'static str {
    match first_byte(raw) {
        b'"' => "a text",
        b'{' => "an object",
        b'[' => "an array",
        b't' | b'f' => "a Boolean",
        b'n' => "null",
        _ => "a number",
    }
}

/// The text of a JSON string; `None` for any other type. Borrowed where the string has no escapes.
pub fn as_text(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(raw).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}

/// The digits of a number that is whole, whatever its notation: `5`, `5.0`, `-3`, `15001.000000000`, `1e3`.
/// `None` when it has a fraction or is no number. A zero has no sign.
pub fn whole_digits(number: &str) -> Option<Cow<'_, str>> {
    let digits = signed_digits(number)?;
    match digits.strip_prefix('-') {
        Some(zeros) if zeros.bytes().all(|b| b == b'0') => Some(Cow::Borrowed("0")),
        _ => Some(digits),
    }
}

fn signed_digits(number: &str) -> Option<Cow<'_, str>> {
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
    // Exponents: exact as long as a double holds every digit given. Without an exponent a fraction stands here.
    let digits = unsigned.split(['e', 'E']).next()?.bytes().filter(u8::is_ascii_digit).count();
    if !unsigned.contains(['e', 'E']) || digits > 15 || !is_number(number) {
        return None;
    }
    let value: f64 = number.parse().ok()?;
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

/// Appends a text as a JSON string; most need nothing but quotes.
pub fn push_quoted(text: &str, out: &mut String) {
    if text.bytes().any(|b| b == b'"' || b == b'\\' || b < 0x20) {
        push_json_text(text, out);
    } else {
        out.push('"');
        out.push_str(text);
        out.push('"');
    }
}

/// A point in time in ChartMogul's normal form, `YYYY-MM-DDTHH:MM:SS.sssZ`.
///
/// Takes every form that was recorded in request bodies: RFC 3339 with any offset, a date alone, a space for the `T`, an
/// offset after a space (`+0200`, `UTC`). Without an offset it is UTC: the vendor's examples have none, and warehouses
/// hand out such timestamps after losing their zone.
pub fn timestamp(text: &str) -> Option<String> {
    let mut normal = String::new();
    push_timestamp(text, &mut normal).then_some(normal)
}

/// Appends a point in time in the normal form of [`timestamp`]. `false`: it is none, and nothing was appended.
pub fn push_timestamp(text: &str, out: &mut String) -> bool {
    let text = text.trim();
    push_plain_timestamp(text, out) || push_any_timestamp(text, out)
}

/// The form in which nearly all timestamps come: a date and a time, in UTC or without an offset, with or without a fraction.
/// Most of it is the normal form already.
fn push_plain_timestamp(text: &str, out: &mut String) -> bool {
    let bytes = text.strip_suffix('Z').unwrap_or(text).as_bytes();
    let Some((moment, fraction)) = bytes.split_at_checked(19) else { return false };
    let two = |at: usize| match moment[at..at + 2] {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Some(u32::from(tens - b'0') * 10 + u32::from(ones - b'0')),
        _ => None,
    };
    let (Some(century), Some(year), Some(month), Some(day)) = (two(0), two(2), two(5), two(8)) else { return false };
    let (Some(hour), Some(minute), Some(second)) = (two(11), two(14), two(17)) else { return false };
    let sound = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')].iter().all(|(at, mark)| moment[*at] == *mark)
        && matches!(moment[10], b'T' | b' ')
        && century + year > 0
        && (1..=12).contains(&month)
        // Where months end is left to the calendar of the other road.
        && (1..=28).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let fraction = match fraction {
        [] => &[][..],
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) => digits,
        _ => return false,
    };
    let (Some(date), Some(time), true) = (text.get(..10), text.get(11..19), sound) else { return false };
    out.push_str(date);
    out.push('T');
    out.push_str(time);
    out.push('.');
    (0..3).for_each(|at| out.push(fraction.get(at).map_or('0', |digit| char::from(*digit))));
    out.push('Z');
    true
}

fn push_any_timestamp(text: &str, out: &mut String) -> bool {
    use std::fmt::Write as _;

    let Some(civil) = civil_in_utc(text).filter(|civil| civil.year() >= 1) else { return false };
    // Writing to a String can not fail.
    write!(
        out,
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        civil.year(),
        civil.month(),
        civil.day(),
        civil.hour(),
        civil.minute(),
        civil.second(),
        civil.millisecond()
    )
    .is_ok()
}

fn civil_in_utc(text: &str) -> Option<jiff::civil::DateTime> {
    use jiff::{Timestamp, civil::DateTime, fmt::strtime, tz::TimeZone};
    let text = text.strip_suffix(" UTC").unwrap_or(text);
    let instant = if let Ok(instant) = text.parse::<Timestamp>() {
        instant
    } else if let Ok(civil) = text.parse::<DateTime>() {
        civil.to_zoned(TimeZone::UTC).ok()?.timestamp()
    } else {
        let form = if text.contains('T') { "%Y-%m-%dT%H:%M:%S%.f%z" } else { "%Y-%m-%d %H:%M:%S%.f %z" };
        strtime::parse(form, text).ok()?.to_timestamp().ok()?
    };
    Some(instant.to_zoned(TimeZone::UTC).datetime())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn members_and_elements_are_cut_where_values_end() {
        let object = r#" {"a":1,"b" : "x\\\"}" , "c":{"d":["]",{}]},"e":[ ], "f":null }"#.trim();
        let found: Vec<_> = members(object).collect();
        let expected =
            [("\"a\"", "1"), ("\"b\"", r#""x\\\"}""#), ("\"c\"", r#"{"d":["]",{}]}"#), ("\"e\"", "[ ]"), ("\"f\"", "null")];
        assert_eq!(found, expected);
        assert_eq!(elements(r#"[ "a", 2,[3] ,{"b":4}]"#).collect::<Vec<_>>(), ["\"a\"", "2", "[3]", r#"{"b":4}"#]);
        for none in ["{}", "[]", "\"{\"", "1", "null", ""] {
            assert_eq!((members(none).count(), elements(none).count()), (0, 0), "{none}");
        }
    }

    /// Any JSON value, small.
    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            r#"[a-z"\\\\{}\[\],:ü\n ]{0,20}"#.prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(r#"[a-z"\\\\ü]{0,12}"#, inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn members_and_elements_are_those_that_a_json_reader_finds(value in json(), pretty in any::<bool>()) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            let read = |raw: &str| serde_json::from_str::<Value>(raw).unwrap();
            match &value {
                Value::Object(map) => {
                    let found: Vec<_> = members(&text).map(|(name, raw)| (as_text(name).unwrap().into_owned(), read(raw))).collect();
                    prop_assert_eq!(found, map.clone().into_iter().collect::<Vec<_>>());
                }
                Value::Array(list) => prop_assert_eq!(elements(&text).map(read).collect::<Vec<_>>(), list.clone()),
                _ => prop_assert_eq!(members(&text).count() + elements(&text).count(), 0),
            }
        }

        #[test]
        fn no_text_makes_the_cutting_panic(text in r#"[{\["\\\\a:, \]}ü1]{0,40}"#) {
            members(&text).for_each(drop);
            elements(&text).for_each(drop);
        }

        /// The short road to a timestamp and the one through the calendar are one.
        #[test]
        fn plain_timestamps_are_what_the_calendar_says(
            text in "[0-9]{2}[0-2][0-9]-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,10})?(Z| UTC|\\+02:00|)"
        ) {
            let (mut plain, mut calendar) = (String::new(), String::new());
            if push_plain_timestamp(&text, &mut plain) {
                prop_assert!(push_any_timestamp(&text, &mut calendar), "{}", text);
                prop_assert_eq!(plain, calendar);
            } else {
                prop_assert_eq!(plain, "");
            }
        }
    }

    #[test]
    fn whole_numbers_are_seen_in_every_notation() {
        for (given, expected) in [
            ("5", Some("5")),
            ("-3", Some("-3")),
            ("76888.0", Some("76888")),
            ("15001.000000000", Some("15001")),
            ("1e3", Some("1000")),
            ("-0", Some("0")),
            ("-0.0", Some("0")),
            ("-0e7", Some("0")),
            ("123456789012345678901234567890", Some("123456789012345678901234567890")),
            ("1.5", None),
            ("8999999999999999.4", None),
            ("1.00000000000000000001", None),
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
