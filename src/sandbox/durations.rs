//! Durations as people type them: `50ms`, `0.05s`, `2s`, `1m`.

use std::time::Duration;

/// Reads a duration. The unit is required, so that nobody has to guess it.
///
/// # Errors
/// Says what is wrong with the text and shows a valid one.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds_per_unit = match &text[digits.len()..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "" => return Err(format!("`{text}` has no unit; write for example 50ms, 0.05s or 2m")),
        unit => return Err(format!("`{unit}` is no unit of time; use us, ms, s or m")),
    };
    let count: f64 = digits.parse().map_err(|_| format!("`{text}` is no duration; write for example 50ms, 0.05s or 2m"))?;
    Duration::try_from_secs_f64(count * seconds_per_unit).map_err(|_| format!("`{text}` is out of range"))
}

/// The shortest text that [`parse_duration`] reads back as the same duration.
pub(super) fn show_duration(time: Duration) -> String {
    let nanos = time.as_nanos();
    if nanos.is_multiple_of(1_000_000_000) {
        format!("{}s", time.as_secs())
    } else if nanos.is_multiple_of(1_000_000) {
        format!("{}ms", time.as_millis())
    } else {
        format!("{}us", time.as_micros())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_with_any_of_the_units() {
        for (text, ms) in [("50ms", 50), ("0.05s", 50), ("2s", 2000), ("1m", 60_000), ("250us", 0)] {
            assert_eq!(parse_duration(text).unwrap().as_millis(), ms, "{text}");
        }
    }

    #[test]
    fn a_duration_without_sense_is_refused_with_an_example() {
        assert!(parse_duration("50").unwrap_err().contains("no unit"));
        assert!(parse_duration("5 parsecs").unwrap_err().contains("parsecs"));
        assert!(parse_duration("-1s").unwrap_err().contains("out of range"));
        assert!(parse_duration("s").unwrap_err().contains("no duration"));
    }

    #[test]
    fn what_is_shown_reads_back_the_same() {
        for text in ["3s", "1500ms", "10us", "0s"] {
            assert_eq!(show_duration(parse_duration(text).unwrap()), text);
        }
    }
}
