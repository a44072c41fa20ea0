//! The column in which a source marks a deleted row.
//!
//! Owns which values mark one. CDC sources write a time there; databases that hold no nulls write what stands for none. A
//! deletion has to be certain: what is neither a mark nor the lack of one is at fault.

use super::values;

/// The column in which CDC sources mark a deleted row.
pub const DELETED_AT: &str = "_ab_cdc_deleted_at";

/// What a value says of its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    /// It is not deleted.
    Unset,
    /// It is deleted.
    Set,
    /// Nothing for certain.
    Unclear,
}

/// What stands for the lack of a value, in any letters.
const NOTHING: [&str; 4] = ["", "null", "none", "false"];
/// The days on which times begin: what stands there is a zero that became a time, or nothing that any source says.
const FIRST_DAYS: [&str; 2] = ["0001-01-01", "1970-01-01"];

/// Reads the marker of a row.
pub(super) fn marker(raw: &str) -> Marker {
    match values::first_byte(raw) {
        b'n' | b'f' => Marker::Unset,
        b't' => Marker::Set,
        b'[' | b'{' => match raw.bytes().skip(1).find(|byte| !byte.is_ascii_whitespace()) {
            Some(b']' | b'}') => Marker::Unset,
            _ => Marker::Unclear,
        },
        b'"' => values::as_text(raw).map_or(Marker::Unclear, |text| of_text(&text)),
        _ => of_number(raw).unwrap_or(Marker::Unclear),
    }
}

fn of_text(text: &str) -> Marker {
    let text = text.trim_matches(|letter: char| letter.is_whitespace() || letter.is_control());
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    if NOTHING.iter().any(|word| is(word)) {
        return Marker::Unset;
    }
    if is("true") {
        return Marker::Set;
    }
    let mut digits = text.bytes().filter(u8::is_ascii_digit).peekable();
    if digits.peek().is_none() {
        return Marker::Unclear;
    }
    if let Some(number) = of_number(text) {
        return number;
    }
    // Some databases write the lack of a time as one of zeros.
    if digits.all(|digit| digit == b'0') && !text.bytes().any(|byte| byte.is_ascii_alphabetic() && !b"TZ".contains(&byte)) {
        return Marker::Unset;
    }
    match values::timestamp(text) {
        Some(time) if !FIRST_DAYS.iter().any(|day| time.starts_with(day)) => Marker::Set,
        _ => Marker::Unclear,
    }
}

fn of_number(text: &str) -> Option<Marker> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite())?;
    Some(if number == 0.0 { Marker::Unset } else { Marker::Set })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_zero_and_whatever_stands_for_nothing_is_no_mark() {
        for raw in [
            "null",
            "false",
            "0",
            "0.0",
            "-0",
            "0e5",
            "-0.00",
            "[]",
            "{}",
            "[ ]",
            "\"\"",
            "\" \"",
            "\"\\u0000\"",
            "\"0\"",
            "\"0.0\"",
            "\"false\"",
            "\"FALSE\"",
            "\"None\"",
            "\"null\"",
            "\" NULL \"",
            "\"0000-00-00 00:00:00\"",
            "\"0000-00-00T00:00:00Z\"",
        ] {
            assert_eq!(marker(raw), Marker::Unset, "{raw}");
        }
    }

    #[test]
    fn a_time_a_number_and_true_are_marks_and_all_else_is_at_fault() {
        for raw in [
            "true",
            "\"True\"",
            "1",
            "1767225600000",
            "\"1767225600\"",
            "\"2026-01-01\"",
            "\"2026-01-01T10:00:00.123456Z\"",
            "\"2026-01-01 10:00:00 +0000\"",
            "\"2026-01-01T10:00:00.1234567\"",
        ] {
            assert_eq!(marker(raw), Marker::Set, "{raw}");
        }
        for raw in [
            "\"no\"",
            "\"t\"",
            "\"undefined\"",
            "\"NaN\"",
            "\"inf\"",
            "\"deleted by 7\"",
            "[1]",
            "[[]]",
            "{\"a\":1}",
            "\"1970-01-01T00:00:00Z\"",
            "\"0001-01-01T00:00:00Z\"",
            "\"0x\"",
        ] {
            assert_eq!(marker(raw), Marker::Unclear, "{raw}");
        }
    }
}
