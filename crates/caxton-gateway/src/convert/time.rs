//! Times.

use caxton_api::wkt;
use caxton_core::Timestamp;

/// The last second that RFC 3339 and the protobuf type have room for (9999-12-30T22:00:00Z).
const SECONDS_MAX: i64 = 253_402_207_200;
/// The first (0001-01-01T00:00:00Z).
const SECONDS_MIN: i64 = -62_135_596_800;

/// On the wire; a time past the year 9999 is its end.
pub(crate) fn wire(time: Timestamp) -> wkt::Timestamp {
    let us = time.as_us();
    wkt::Timestamp {
        seconds: us.div_euclid(1_000_000).clamp(SECONDS_MIN, SECONDS_MAX),
        // Below 1e9: a remainder of 1e6, times 1e3.
        nanos: i32::try_from(us.rem_euclid(1_000_000) * 1_000).unwrap_or(0),
    }
}

/// From the wire, microseconds precise; `None` outside of the years 1 to 9999.
pub(crate) fn core(time: wkt::Timestamp) -> Option<Timestamp> {
    let time = jiff::Timestamp::try_from(time).ok()?;
    Some(Timestamp::from_us(time.as_microsecond()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_go_there_and_back() {
        for us in [0, 1, -1, 1_795_324_162_049_001, -62_135_596_800_000_000] {
            let time = Timestamp::from_us(us);
            assert_eq!(core(wire(time)), Some(time));
        }
        assert!(core(wire(Timestamp::FAR_FUTURE)).is_some());
        let never = wkt::Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        };
        assert_eq!(core(never), None);
    }
}
