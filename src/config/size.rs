//! Sizes as people write them: `512B`, `16KiB`, `10MB`.

/// The text was not a number followed by a unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a size such as 512B, 16KiB or 10MB, got \"{0}\"")]
pub struct ParseSizeError(String);

const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// Reads a whole number of bytes with a unit.
///
/// # Errors
/// When the unit is missing or unknown, the number is not made of digits only, or the product overflows.
pub fn parse_size(text: &str) -> Result<u64, ParseSizeError> {
    let error = || ParseSizeError(text.to_owned());
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
    let (number, unit) = text.split_at_checked(split).ok_or_else(error)?;
    let number: u64 = number.parse().map_err(|_| error())?;
    let (_, factor) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(error)?;
    number.checked_mul(factor).ok_or_else(error)
}

/// The shortest spelling that [`parse_size`] reads back to the same value.
#[must_use]
pub fn format_size(bytes: u64) -> String {
    let fitting = UNITS.into_iter().filter(|(_, factor)| bytes.is_multiple_of(*factor));
    let (unit, factor) = fitting.max_by_key(|(_, factor)| if bytes == 0 { 0 } else { *factor }).unwrap_or(("B", 1));
    format!("{}{unit}", bytes / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_powers_of_1000_and_1024() {
        for (text, bytes) in [("0B", 0), ("512B", 512), ("16KiB", 16_384), ("10MB", 10_000_000), ("2GiB", 2 << 30)] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bytes in [0, 1, 999, 1000, 1024, 16_384, 10_000_000, 2 << 30, u64::MAX] {
            assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
        }
        assert_eq!(format_size(32 * 1024), "32KiB");
    }

    #[test]
    fn nonsense_is_refused_with_what_was_expected() {
        for text in ["", "10", "KB", "1.5MB", "10 MB", "10kb", "-1B", "99999999999999999999B", "18446744073709551615GB"]
        {
            let error = parse_size(text).unwrap_err();
            assert!(error.to_string().contains("expected a size"), "{text}: {error}");
        }
    }
}
