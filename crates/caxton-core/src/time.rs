//! Time as a value. Reading a clock is the engine's business (`engine::port::Clock`).

use crate::error::{Code, Error};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// An absolute time: microseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The beginning of 1970, UTC.
    pub const EPOCH: Self = Self(0);
    /// Later than any time this server will meet.
    pub const FAR_FUTURE: Self = Self(i64::MAX);

    pub const fn from_us(us: i64) -> Self {
        Self(us)
    }

    pub const fn as_us(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since 1970, never negative.
    pub fn as_ms(self) -> u64 {
        u64::try_from(self.0.div_euclid(1000)).unwrap_or(0)
    }

    /// Since 1970 in 1/65536 of a millisecond, never negative: what ids sort by. Times of this unit
    /// that a `Timestamp` can tell apart are 65 apart.
    pub(crate) fn as_ticks(self) -> u64 {
        let us = u64::try_from(self.0).unwrap_or(0);
        ((us / 1000) << 16) | ((us % 1000 * 4096 / 1000) << 4)
    }

    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        let us = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(us))
    }

    /// How long from `earlier` to `self`; zero when it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The beginning of the day (or month) this time is in, and of the next, UTC.
    pub fn calendar(self, month: bool) -> (Self, Self) {
        use jiff::{ToSpan as _, civil::Date, tz::TimeZone};
        let date = self.to_jiff().to_zoned(TimeZone::UTC).date();
        let first = if month { date.first_of_month() } else { date };
        let span = if month { 1.month() } else { 1.day() };
        let next = first.checked_add(span).unwrap_or(Date::MAX);
        let begin = |date: Date| {
            let zoned = date.to_zoned(TimeZone::UTC);
            zoned.map_or(self, |it| Self(it.timestamp().as_microsecond()))
        };
        (begin(first), begin(next))
    }

    /// Reads RFC 3339, with any offset.
    pub fn parse_rfc3339(text: &str) -> Result<Self, Error> {
        let stamp: jiff::Timestamp = text.parse().map_err(|_| {
            Error::new(
                Code::TimeMalformed,
                format!(
                    "`{}` is not an RFC 3339 time such as 2026-11-22T05:09:22Z",
                    shorten(text)
                ),
            )
        })?;
        Ok(Self(stamp.as_microsecond()))
    }

    /// Reads FIPA's date-time token (SC00070): `YYYYMMDDThhmmssmmm`, with `Z` for UTC at the end or,
    /// as seen in the field, in the place of the `T`. Without a `Z` the time is taken as UTC.
    pub fn parse_fipa(text: &str) -> Result<Self, Error> {
        parse_fipa(text).ok_or_else(|| {
            Error::new(
                Code::TimeMalformed,
                format!(
                    "`{}` is not a FIPA time such as 20261122T050922049Z",
                    shorten(text)
                ),
            )
        })
    }

    /// Writes FIPA's date-time token in UTC, milliseconds precise.
    pub fn to_fipa(self) -> String {
        let zoned = self.to_jiff().to_zoned(jiff::tz::TimeZone::UTC);
        format!(
            "{:04}{:02}{:02}T{:02}{:02}{:02}{:03}Z",
            zoned.year(),
            zoned.month(),
            zoned.day(),
            zoned.hour(),
            zoned.minute(),
            zoned.second(),
            zoned.millisecond()
        )
    }

    fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, with microseconds where there are any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_jiff())
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}

fn parse_fipa(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    if !text.is_ascii() || !(18..=19).contains(&bytes.len()) {
        return None;
    }
    let digits = |from: usize, to: usize| -> Option<i16> {
        let part = text.get(from..to)?;
        part.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| part.parse().ok())?
    };
    let middle = *bytes.get(8)?;
    if !matches!(middle, b'T' | b't' | b'Z' | b'z') {
        return None;
    }
    match bytes.get(18) {
        None | Some(b'Z' | b'z') => {}
        Some(_) => return None,
    }
    let small = |value: i16| i8::try_from(value).ok();
    let when = jiff::civil::DateTime::new(
        digits(0, 4)?,
        small(digits(4, 6)?)?,
        small(digits(6, 8)?)?,
        small(digits(9, 11)?)?,
        small(digits(11, 13)?)?,
        small(digits(13, 15)?)?,
        i32::from(digits(15, 18)?) * 1_000_000,
    )
    .ok()?;
    let stamp = when.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    Some(Timestamp(stamp.as_microsecond()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn fipa_times_read_and_write() {
        let check = |input: &str, expected: Option<&str>| {
            let got = Timestamp::parse_fipa(input).ok().map(Timestamp::to_fipa);
            assert_eq!(got.as_deref(), expected, "{input}");
        };
        check("20261122T050922049Z", Some("20261122T050922049Z"));
        check("20261122Z050912049", Some("20261122T050912049Z"));
        check("20261122T050922049", Some("20261122T050922049Z"));
        check("20261322T050922049Z", None);
        check("20261122T250922049Z", None);
        check("20261122T0509220", None);
        check("2026112+T050922049Z", None);
        check("20261122T050922049X", None);
        check("", None);
    }

    #[test]
    fn rfc3339_round_trips() {
        let at = Timestamp::parse_rfc3339("2026-11-22T07:09:22.049+02:00").unwrap();
        assert_eq!(at.to_string(), "2026-11-22T05:09:22.049Z");
        assert!(Timestamp::parse_rfc3339("5s").is_err());
        assert_eq!(
            at.plus(Duration::from_secs(1)).since(at),
            Duration::from_secs(1)
        );
        assert_eq!(at.since(Timestamp::FAR_FUTURE), Duration::ZERO);
    }
}
