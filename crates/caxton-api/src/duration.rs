//! Durations as people write them in requests: `5s`, `500ms`, `1m30s`, `2h`, `1.5s`, `30d`.
//!
//! A number without a unit is refused: nobody should have to guess it.

use std::time::Duration;

/// The longest duration that is read: one day. What waits longer is a mistake.
pub const DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Text that is no duration, or a longer one than is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no duration up to {}; write for example 5s, 500ms or 1m30s", days(*.longest))]
pub struct Malformed {
    text: String,
    longest: Duration,
}

fn days(longest: Duration) -> String {
    match longest.as_secs() / DURATION_MAX.as_secs() {
        0 | 1 => "a day".to_owned(),
        days => format!("{days} days"),
    }
}

/// Reads a duration: one or more numbers, each with `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
/// [`Malformed`] for anything else, and past [`DURATION_MAX`].
pub fn parse(text: &str) -> Result<Duration, Malformed> {
    parse_within(text, DURATION_MAX)
}

/// The same, where more than a day makes sense.
///
/// # Errors
/// [`Malformed`] for anything else, and past `longest`.
pub fn parse_within(text: &str, longest: Duration) -> Result<Duration, Malformed> {
    let malformed = || Malformed {
        text: text.chars().take(40).collect(),
        longest,
    };
    let mut rest = text;
    let mut total_ms = 0.0_f64;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(malformed)?;
        let (number, after) = rest.split_at_checked(digits).ok_or_else(malformed)?;
        let letters = after
            .find(|c: char| !c.is_ascii_lowercase())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(letters).ok_or_else(malformed)?;
        let unit_ms = match unit {
            "ms" => 1.0,
            "s" => 1_000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            "d" => 86_400_000.0,
            _ => return Err(malformed()),
        };
        if !number.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(malformed());
        }
        total_ms += number.parse::<f64>().map_err(|_| malformed())? * unit_ms;
        rest = after;
    }
    let longest_ms = longest.as_secs_f64() * 1_000.0;
    if text.is_empty() || !(0.0..=longest_ms).contains(&total_ms) {
        return Err(malformed());
    }
    Duration::try_from_secs_f64(total_ms / 1_000.0).map_err(|_| malformed())
}

/// Writes a duration so that [`parse`] reads it back to the millisecond.
pub fn format(duration: Duration) -> String {
    let total_ms = duration.as_millis();
    match (total_ms / 1_000, total_ms % 1_000) {
        (seconds, 0) => format!("{seconds}s"),
        _ => format!("{total_ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_people_write_is_read() {
        let check = |text: &str, expected_ms| {
            assert_eq!(
                parse(text).unwrap(),
                Duration::from_millis(expected_ms),
                "{text}"
            );
        };
        check("5s", 5_000);
        check("500ms", 500);
        check("0s", 0);
        check("1.5s", 1_500);
        check("1m30s", 90_000);
        check("2h", 7_200_000);
        check("24h", 86_400_000);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "", "5", "s", "5 s", "-1s", "5S", "5d", "1..5s", ".5s", "25h", "5s!", "é", "1e3s",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(ms in 0_u64..=86_400_000) {
            let duration = Duration::from_millis(ms);
            proptest::prop_assert_eq!(parse(&format(duration)).unwrap(), duration);
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = parse(&text);
        }
    }
}
