//! Durations as people write them: `30s`, `15m`, `8h`, `7d`, `250ms`.

use std::time::Duration;

/// The text was not a number followed by `ms`, `s`, `m`, `h` or `d`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a duration such as 250ms, 30s, 15m, 8h or 7d, got \"{0}\"")]
pub struct ParseDurationError(String);

/// Reads a whole number with a unit.
///
/// # Errors
/// When the unit is missing or unknown, the number is not made of digits only, or the product overflows.
pub fn parse_duration(text: &str) -> Result<Duration, ParseDurationError> {
    let error = || ParseDurationError(text.to_owned());
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
    let (number, unit) = text.split_at_checked(split).ok_or_else(error)?;
    let number: u64 = number.parse().map_err(|_| error())?;
    let seconds = |factor: u64| number.checked_mul(factor).map(Duration::from_secs).ok_or_else(error);
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3600),
        "d" => seconds(86_400),
        _ => Err(error()),
    }
}

/// The shortest spelling that [`parse_duration`] reads back to the same value.
#[must_use]
pub fn format_duration(span: Duration) -> String {
    let millis = span.as_millis();
    for (factor, unit) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")] {
        if millis != 0 && millis.is_multiple_of(factor) {
            return format!("{}{unit}", millis / factor);
        }
    }
    format!("{millis}ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["250ms", "30s", "15m", "8h", "7d", "0ms"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
    }

    #[test]
    fn nonsense_is_refused_with_what_was_expected() {
        for text in ["", "30", "s", "-1s", "1.5h", "1w", "5 m", "99999999999999999999s", "18446744073709551615d"] {
            let error = parse_duration(text).unwrap_err();
            assert!(error.to_string().contains("expected a duration"), "{text}: {error}");
        }
    }
}
