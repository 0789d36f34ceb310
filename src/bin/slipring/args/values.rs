//! Parsers of option values.

use bytesize::ByteSize;
use std::time::Duration;

/// A number of seconds, or a duration with units.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string()),
        Err(_) => humantime::parse_duration(text).map_err(|error| error.to_string()),
    }
}

/// A number of bytes, without a unit or with a binary one.
///
/// A decimal unit is refused. `ByteSize` reads `64K` as 64000 bytes, but the output writes 65536
/// bytes as `64.0K`.
pub(super) fn bytes(text: &str) -> Result<usize, String> {
    let unit = text.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
    let is_binary = unit.to_ascii_lowercase().trim_start().ends_with("ib");
    if !unit.is_empty() && !is_binary {
        return Err(format!(
            "unit: found {unit}, expected none, KiB, MiB or GiB"
        ));
    }
    let size: ByteSize = text.parse()?;
    usize::try_from(size.as_u64()).map_err(|error| error.to_string())
}

/// Octal digits.
pub(super) fn octal(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    u32::from_str_radix(digits, 8).map_err(|error| error.to_string())
}

/// A decimal number, or a hexadecimal one after `0x`.
pub(super) fn schema(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_with_and_without_unit_is_parsed() {
        for (text, milliseconds) in [("0", 0), ("0.25", 250), ("250ms", 250), ("1m 2s", 62_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)));
        }
        for text in ["", "-1", "1e300", "soon"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bytes_with_decimal_unit_are_refused() {
        for (text, expected) in [
            ("0", 0),
            ("65536", 65536),
            ("64KiB", 65536),
            ("1.5 MiB", 3 << 19),
        ] {
            assert_eq!(bytes(text), Ok(expected));
        }
        for text in ["64K", "64KB", "64 k", "KiB", "-1", ""] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
