//! The well-known types the contract uses, with the JSON that proto3 prescribes.
//!
//! prost's own have no JSON, and the ready-made JSON ones write a time as `+00:00` where the
//! mapping wants `Z`. They are the same on the wire.

mod value;

use std::fmt;

pub use value::{Struct, Value};

use jiff::fmt::temporal::DateTimePrinter;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::ser::{Error as _, SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

/// `google.protobuf.Empty`. In JSON `{}`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Empty {}

/// `google.protobuf.Timestamp`. In JSON an RFC 3339 time in UTC, such as
/// `2026-11-22T05:09:22.049Z`; any offset is read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Message)]
pub struct Timestamp {
    /// Seconds since the Unix epoch, from year 1 to 9999.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds after the second, 0 to 999,999,999.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// 0001-01-01T00:00:00Z, the earliest the protobuf type allows.
const SECONDS_MIN: i64 = -62_135_596_800;
/// 9999-12-30T22:00:00Z, the latest: jiff ends 26 hours before the year does, so that every offset
/// has room.
const SECONDS_MAX: i64 = 253_402_207_200;

/// A timestamp outside the years 1 to 9999, or with nanoseconds outside one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("time is outside of the years 1 to 9999")]
pub struct OutOfRange;

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    pub fn from_unix_ms(unix_ms: i64) -> Self {
        let nanos = unix_ms.rem_euclid(1000) * 1_000_000;
        // Below 1e9 by the line above.
        Self {
            seconds: unix_ms.div_euclid(1000),
            nanos: i32::try_from(nanos).unwrap_or(0),
        }
    }

    /// As milliseconds since the Unix epoch, rounded down; saturating.
    pub fn unix_ms(&self) -> i64 {
        self.seconds
            .saturating_mul(1000)
            .saturating_add(i64::from(self.nanos / 1_000_000))
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(time: jiff::Timestamp) -> Self {
        // jiff's fraction has the sign of the whole; protobuf's counts forward always.
        let nanos = time.as_nanosecond();
        let seconds = nanos.div_euclid(1_000_000_000);
        let nanos = nanos.rem_euclid(1_000_000_000);
        Self {
            seconds: i64::try_from(seconds).unwrap_or(0),
            nanos: i32::try_from(nanos).unwrap_or(0),
        }
    }
}

impl TryFrom<Timestamp> for jiff::Timestamp {
    type Error = OutOfRange;

    fn try_from(time: Timestamp) -> Result<Self, OutOfRange> {
        let seconds = (SECONDS_MIN..=SECONDS_MAX).contains(&time.seconds);
        if !seconds || !(0..1_000_000_000).contains(&time.nanos) {
            return Err(OutOfRange);
        }
        jiff::Timestamp::new(time.seconds, time.nanos).map_err(|_| OutOfRange)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with 0, 3, 6 or 9 digits after the second, as proto3's JSON has it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::try_from(*self).map_err(|OutOfRange| fmt::Error)?;
        let digits = match self.nanos {
            0 => 0,
            nanos if nanos % 1_000_000 == 0 => 3,
            nanos if nanos % 1_000 == 0 => 6,
            _ => 9,
        };
        let printer = DateTimePrinter::new().precision(Some(digits));
        formatter.write_str(&printer.timestamp_to_string(&time))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        jiff::Timestamp::try_from(*self).map_err(S::Error::custom)?;
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TimeVisitor)
    }
}

struct TimeVisitor;

impl Visitor<'_> for TimeVisitor {
    type Value = Timestamp;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an RFC 3339 time such as 2026-11-22T05:09:22Z")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
        let wrong = |_| E::invalid_value(de::Unexpected::Str(text), &self);
        let time: Timestamp = text.parse::<jiff::Timestamp>().map_err(wrong)?.into();
        if (SECONDS_MIN..=SECONDS_MAX).contains(&time.seconds) {
            Ok(time)
        } else {
            Err(E::custom(OutOfRange))
        }
    }
}

impl Serialize for Empty {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_map(Some(0))?.end()
    }
}

impl<'de> Deserialize<'de> for Empty {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EmptyVisitor)
    }
}

struct EmptyVisitor;

impl<'de> Visitor<'de> for EmptyVisitor {
    type Value = Empty;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an empty object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Empty, A::Error> {
        match map.next_key::<String>()? {
            None => Ok(Empty {}),
            Some(field) => Err(de::Error::unknown_field(&field, &[])),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_are_written_in_utc_with_as_many_digits_as_they_need() {
        let check = |seconds, nanos, expected: &str| {
            let json = serde_json::to_string(&Timestamp { seconds, nanos }).unwrap();
            assert_eq!(json, format!("\"{expected}\""));
            let back: Timestamp = serde_json::from_str(&json).unwrap();
            assert_eq!(back, Timestamp { seconds, nanos });
        };
        check(0, 0, "1970-01-01T00:00:00Z");
        check(1_795_324_162, 49_000_000, "2026-11-22T05:09:22.049Z");
        check(1_795_324_162, 49_001_000, "2026-11-22T05:09:22.049001Z");
        check(1_795_324_162, 1, "2026-11-22T05:09:22.000000001Z");
        check(-1, 500_000_000, "1969-12-31T23:59:59.500Z");
        check(SECONDS_MIN, 0, "0001-01-01T00:00:00Z");
        check(SECONDS_MAX, 0, "9999-12-30T22:00:00Z");
    }

    #[test]
    fn any_offset_is_read() {
        let time: Timestamp = serde_json::from_str("\"2026-11-22T06:09:22+01:00\"").unwrap();
        assert_eq!(time.to_string(), "2026-11-22T05:09:22Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "\"\"",
            "\"soon\"",
            "\"2026-11-22\"",
            "\"-000001-01-01T00:00:00Z\"",
            "12",
            "null",
        ] {
            assert!(serde_json::from_str::<Timestamp>(text).is_err(), "{text}");
        }
        for time in [
            Timestamp {
                seconds: SECONDS_MAX + 1,
                nanos: 0,
            },
            Timestamp {
                seconds: 0,
                nanos: -1,
            },
            Timestamp {
                seconds: 0,
                nanos: 1_000_000_000,
            },
        ] {
            assert!(serde_json::to_string(&time).is_err());
        }
    }

    #[test]
    fn milliseconds_go_there_and_back() {
        for unix_ms in [0, 1, 999, 1000, -1, -999, -1000, 1_795_324_162_049] {
            assert_eq!(Timestamp::from_unix_ms(unix_ms).unix_ms(), unix_ms);
        }
    }

    #[test]
    fn empty_is_an_empty_object() {
        assert_eq!(serde_json::to_string(&Empty {}).unwrap(), "{}");
        assert!(serde_json::from_str::<Empty>("{}").is_ok());
        let error = serde_json::from_str::<Empty>(r#"{"x":1}"#).unwrap_err();
        assert!(error.to_string().contains("`x`"), "{error}");
    }
}
