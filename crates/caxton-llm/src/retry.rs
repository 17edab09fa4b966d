//! When a provider asks to be left alone until, in the several ways providers say it.

use caxton_core::Timestamp;
use caxton_engine::port::http::HttpAnswer;
use std::time::{Duration, UNIX_EPOCH};

/// The longest wait that is believed.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3600);

/// How long, by the headers of an answer; `now` is what absolute times are compared with where the
/// answer does not say its own `Date`. In this order: `retry-after-ms`, `retry-after` (seconds or a
/// date), then the moment at which the last used-up limit is new again.
pub fn after(answer: &HttpAnswer, now: Timestamp) -> Option<Duration> {
    let now = answer.header("date").and_then(http_date).unwrap_or(now);
    let explicit = answer
        .header("retry-after-ms")
        .and_then(|text| number(text, 0.001))
        .or_else(|| {
            let text = answer.header("retry-after")?;
            number(text, 1.0).or_else(|| Some(http_date(text)?.since(now)))
        });
    let wait = explicit.or_else(|| {
        if answer.status == 429 || answer.status == 503 {
            resets(answer, now)
        } else {
            None
        }
    });
    wait.map(|wait| wait.min(WAIT_MAX))
}

/// Until the last of the used-up limits is new again.
fn resets(answer: &HttpAnswer, now: Timestamp) -> Option<Duration> {
    let limits = answer.headers.iter().filter_map(|(name, text)| {
        // anthropic-ratelimit-tokens-reset, beside …-remaining.
        let (remaining, wait) = if let Some(kind) = name
            .strip_prefix("anthropic-ratelimit-")
            .and_then(|rest| rest.strip_suffix("-reset"))
        {
            let at = Timestamp::parse_rfc3339(text).ok();
            (
                format!("anthropic-ratelimit-{kind}-remaining"),
                at.map(|at| at.since(now)),
            )
        } else if let Some(kind) = name.strip_prefix("x-ratelimit-reset") {
            (format!("x-ratelimit-remaining{kind}"), reset(text, now))
        } else {
            return None;
        };
        let left = answer
            .header(&remaining)
            .and_then(|text| text.trim().parse::<f64>().ok());
        wait.filter(|_| left.is_some_and(|left| left < 1.0))
    });
    limits.max()
}

/// `6m0s`, `120ms`, a number of seconds, or a moment since 1970 in seconds or milliseconds.
fn reset(text: &str, now: Timestamp) -> Option<Duration> {
    /// Larger numbers are moments, and still larger ones in milliseconds.
    const SECONDS_MAX: f64 = 1e9;
    const MOMENT_SECONDS_MAX: f64 = 1e11;
    let text = text.trim();
    if let Ok(value) = text.parse::<f64>() {
        if value < SECONDS_MAX {
            return seconds(value);
        }
        let scale = if value < MOMENT_SECONDS_MAX {
            1.0
        } else {
            0.001
        };
        let at = Timestamp::EPOCH.plus(seconds(value * scale)?);
        return Some(at.since(now));
    }
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (value, tail) = rest.split_at(digits);
        let letters = tail
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let scale = match unit {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += value.parse::<f64>().ok()? * scale;
        rest = tail;
    }
    seconds(total)
}

fn number(text: &str, scale: f64) -> Option<Duration> {
    seconds(text.trim().parse::<f64>().ok()? * scale)
}

fn seconds(value: f64) -> Option<Duration> {
    let whole = value.is_finite() && value >= 0.0;
    whole.then(|| Duration::try_from_secs_f64(value).unwrap_or(WAIT_MAX))
}

fn http_date(text: &str) -> Option<Timestamp> {
    let at = httpdate::parse_http_date(text.trim()).ok()?;
    let since = at.duration_since(UNIX_EPOCH).ok()?;
    // The latest date of the format, in the year 9999, is far inside of what a timestamp holds.
    Some(Timestamp::EPOCH.plus(since))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use futures::StreamExt as _;

    const NOW: &str = "2026-11-22T12:00:00Z";

    #[track_caller]
    fn check(headers: &[(&str, &str)], expected_ms: Option<u64>) {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let answer = HttpAnswer {
            status: 429,
            headers: headers.iter().map(own).collect(),
            body: futures::stream::empty().boxed(),
        };
        let now = Timestamp::parse_rfc3339(NOW).unwrap();
        let found = after(&answer, now);
        assert_eq!(found, expected_ms.map(Duration::from_millis), "{headers:?}");
    }

    #[test]
    fn waits_are_read_in_every_form() {
        check(&[], None);
        check(&[("retry-after", "2")], Some(2_000));
        check(&[("retry-after", "0.5")], Some(500));
        check(
            &[("retry-after", "Sun, 22 Nov 2026 12:00:30 GMT")],
            Some(30_000),
        );
        check(&[("retry-after", "Sun, 22 Nov 2026 11:00:00 GMT")], Some(0));
        // By the provider's own clock, which may be wrong.
        check(
            &[
                ("date", "Sun, 22 Nov 2026 13:00:00 GMT"),
                ("retry-after", "Sun, 22 Nov 2026 13:00:05 GMT"),
            ],
            Some(5_000),
        );
        check(
            &[("retry-after-ms", "250"), ("retry-after", "1")],
            Some(250),
        );
        check(&[("retry-after", "soon")], None);
        check(&[("retry-after", "-1")], None);
        check(&[("retry-after", "1e300")], Some(24 * 3_600_000));
        check(&[("retry-after", "NaN")], None);
    }

    #[test]
    fn used_up_limits_say_when_they_are_new() {
        check(
            &[
                ("x-ratelimit-remaining-requests", "0"),
                ("x-ratelimit-reset-requests", "1m2.5s"),
                ("x-ratelimit-remaining-tokens", "900"),
                ("x-ratelimit-reset-tokens", "6m0s"),
            ],
            Some(62_500),
        );
        check(
            &[
                ("anthropic-ratelimit-tokens-remaining", "0"),
                ("anthropic-ratelimit-tokens-reset", "2026-11-22T12:00:10Z"),
                ("anthropic-ratelimit-requests-remaining", "0"),
                ("anthropic-ratelimit-requests-reset", "2026-11-22T12:00:03Z"),
            ],
            Some(10_000),
        );
        check(
            &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "7")],
            Some(7_000),
        );
        // 2026-11-22T12:00:04Z, in milliseconds since 1970.
        check(
            &[
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "1795348804000"),
            ],
            Some(4_000),
        );
        check(
            &[
                ("x-ratelimit-remaining-tokens", "0"),
                ("x-ratelimit-reset-tokens", "120ms"),
            ],
            Some(120),
        );
        check(
            &[
                ("x-ratelimit-remaining-tokens", "0"),
                ("x-ratelimit-reset-tokens", "x"),
            ],
            None,
        );
    }
}
