//! The breaker by scripts, and by whatever happens.

#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

const OPTIONS: Options = Options {
    failures_max: 3,
    forget_after: Duration::from_secs(60),
    open_for: Duration::from_secs(10),
    open_for_max: Duration::from_secs(35),
    retry_after_max: Duration::from_secs(50),
    half_open_max: 2,
    successes_min: 2,
    trial_for_max: Duration::from_secs(100),
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_us((1_795_324_162 + seconds) * 1_000_000)
}

/// Runs a script: `second act`, where an act is `ok`, `bad`, `bad=N` (asked to wait N seconds) and
/// `gone` for a question that is asked and answered at once; `ask` for one that stays open, `ok-`,
/// `bad-`, `gone-` to answer the oldest open one; `+open`, `+closed`, `+none` for a person's word.
/// Gives what each came to: `refused until N`, or the state after it.
fn check(script: &str, expected: &[&str]) {
    let mut breaker = Breaker::new(OPTIONS);
    let mut asked = std::collections::VecDeque::new();
    let mut came = Vec::new();
    for line in script.lines().map(str::trim).filter(|it| !it.is_empty()) {
        let (second, act) = line.split_once(' ').unwrap();
        let now = at(second.parse().unwrap());
        let outcome = |act: &str| match act.trim_end_matches('-').split_once('=') {
            Some((_, wait)) => Outcome::Failed {
                retry_after: Some(Duration::from_secs(wait.parse().unwrap())),
            },
            None if act.starts_with("ok") => Outcome::Succeeded,
            None if act.starts_with("bad") => Outcome::FAILED,
            None => Outcome::Untold,
        };
        if let Some(word) = act.strip_prefix('+') {
            breaker.set_override(match word {
                "open" => Override::Open,
                "closed" => Override::Closed,
                _ => Override::None,
            });
        } else if act.ends_with('-') {
            let permit = asked.pop_front().unwrap();
            breaker.record(&permit, now, outcome(act));
        } else {
            match breaker.admit(now) {
                Err(refused) => {
                    let until = (refused.retry_at.as_us() - at(0).as_us()) / 1_000_000;
                    came.push(format!("refused until {until}"));
                    continue;
                }
                Ok(permit) if act == "ask" => asked.push_back(permit),
                Ok(permit) => {
                    breaker.record(&permit, now, outcome(act));
                }
            }
        }
        came.push(breaker.state(now).as_str().to_owned());
    }
    assert_eq!(came, expected, "{script}");
}

#[test]
fn failures_in_a_row_open_it() {
    check(
        "0 bad\n1 bad\n2 ok\n3 bad\n4 bad\n5 gone\n6 bad\n7 ok\n15 ok",
        &[
            "closed",
            "closed",
            "closed",
            "closed",
            "closed",
            "closed",
            "open",
            "refused until 16",
            "refused until 16",
        ],
    );
}

#[test]
fn a_row_with_a_long_pause_begins_anew() {
    check(
        "0 bad\n1 bad\n62 bad\n63 bad\n64 bad",
        &["closed", "closed", "closed", "closed", "open"],
    );
}

#[test]
fn enough_trials_close_it() {
    check(
        "0 bad\n0 bad\n0 bad\n10 ok\n11 ok\n12 bad\n13 bad\n14 bad",
        &[
            "closed",
            "closed",
            "open",
            "half-open",
            "closed",
            "closed",
            "closed",
            "open",
        ],
    );
}

#[test]
fn a_failed_trial_opens_it_for_twice_as_long_to_a_bound() {
    check(
        "0 bad\n0 bad\n0 bad\n10 bad\n29 ok\n30 bad\n64 ok\n65 ok\n66 ok\n67 bad\n67 bad\n67 bad\n76 ok",
        &[
            "closed",
            "closed",
            "open",
            "open",
            "refused until 30",
            "open",
            "refused until 65",
            "half-open",
            "closed",
            "closed",
            "closed",
            "open",
            "refused until 77",
        ],
    );
}

#[test]
fn the_other_sides_wish_is_heard_to_a_bound() {
    check(
        "0 bad\n0 bad\n0 bad=20\n19 ok\n20 bad=3600\n69 ok\n70 bad\n104 ok\n105 ok",
        &[
            "closed",
            "closed",
            "open",
            "refused until 20",
            // Longer than it would be left alone by itself.
            "open",
            "refused until 70",
            // And then not longer than that again.
            "open",
            "refused until 105",
            "half-open",
        ],
    );
}

#[test]
fn as_many_trials_at_once_as_there_are_places() {
    check(
        "0 bad\n0 bad\n0 bad\n10 ask\n10 ask\n11 ask\n12 gone-\n13 ask\n14 ask\n15 ok-\n16 ok-",
        &[
            "closed",
            "closed",
            "open",
            "half-open",
            "half-open",
            "refused until 21",
            "half-open",
            "half-open",
            "refused until 24",
            "half-open",
            "closed",
        ],
    );
}

#[test]
fn a_trial_that_never_tells_loses_its_place_and_its_word() {
    check(
        "0 bad\n0 bad\n0 bad\n10 ask\n10 ask\n105 ask\n110 ask\n111 bad-\n112 bad-\n113 ok-\n113 ok",
        &[
            "closed",
            "closed",
            "open",
            "half-open",
            "half-open",
            "refused until 110",
            "half-open",
            "half-open",
            "half-open",
            "half-open",
            "closed",
        ],
    );
}

#[test]
fn what_began_before_it_opened_says_nothing_after() {
    check(
        "0 ask\n0 ask\n1 bad\n1 bad\n1 bad\n2 ok-\n11 ask\n12 bad-\n13 ok-\n14 ok",
        &[
            "closed",
            "closed",
            "closed",
            "closed",
            "open",
            "open",
            "half-open",
            "half-open",
            "half-open",
            "closed",
        ],
    );
}

#[test]
fn a_persons_word_counts_more() {
    check(
        "0 +open\n1 ok\n2 +closed\n3 bad\n3 bad\n3 bad\n3 bad\n4 +none\n5 bad\n5 bad\n5 bad\n6 +none\n7 ok",
        &[
            "open",
            "refused until 11",
            "closed",
            "closed",
            "closed",
            "closed",
            "closed",
            "closed",
            "closed",
            "closed",
            "open",
            "closed",
            "closed",
        ],
    );
}

#[test]
fn a_clock_that_goes_back_opens_it_no_longer() {
    let mut breaker = Breaker::new(OPTIONS);
    for _ in 0..3 {
        let permit = breaker.admit(at(1000)).unwrap();
        breaker.record(&permit, at(1000), Outcome::FAILED);
    }
    let refused = breaker.admit(at(0)).unwrap_err();
    assert_eq!(refused.retry_at, at(10));
    assert_eq!(breaker.retry_at(at(0)), Some(at(10)));
    assert_eq!(breaker.retry_at(at(1010)), None);
    // Asked again all the while, it passes when its time by the new clock is over.
    assert_eq!(breaker.admit(at(9)).unwrap_err().retry_at, at(10));
    assert!(breaker.admit(at(10)).is_ok());
}

#[test]
fn a_change_is_told_once() {
    let mut breaker = Breaker::new(OPTIONS);
    let mut told = Vec::new();
    let script = [(0, false), (0, false), (0, false), (10, true), (10, true)];
    for (second, good) in script {
        let permit = breaker.admit(at(second)).unwrap();
        let outcome = if good {
            Outcome::Succeeded
        } else {
            Outcome::FAILED
        };
        told.push(breaker.record(&permit, at(second), outcome));
    }
    let expected = [None, None, Some(State::Open), None, Some(State::Closed)];
    assert_eq!(told, expected);
}

#[test]
fn an_idle_one_is_like_a_new_one() {
    let mut breaker = Breaker::new(OPTIONS);
    assert!(breaker.is_idle(at(0)));
    let permit = breaker.admit(at(0)).unwrap();
    breaker.record(&permit, at(0), Outcome::FAILED);
    assert!(!breaker.is_idle(at(60)));
    assert!(breaker.is_idle(at(61)));
    breaker.set_override(Override::Closed);
    assert!(!breaker.is_idle(at(61)));
}

proptest! {
    /// Whatever happens: at most `failures_max` failures pass between two openings while it is
    /// closed, no more trials than places are on their way, and it never stays shut for longer than
    /// its bound.
    #[test]
    fn never_more_than_its_bounds(steps in prop::collection::vec((0_i64..8, 0_u8..4, any::<bool>()), 1..400)) {
        let mut breaker = Breaker::new(OPTIONS);
        let mut open = Vec::new();
        let (mut now, mut failures, mut last) = (0, 0, 0);
        let mut shut_since = None;
        for (step, act, newest) in steps {
            now += step;
            let before = breaker.state(at(now));
            match breaker.admit(at(now)) {
                Ok(permit) => {
                    shut_since = None;
                    open.push((permit, before));
                }
                Err(refused) => {
                    prop_assert!(before != State::Closed);
                    prop_assert!(refused.retry_at > at(now));
                    let since = *shut_since.get_or_insert(now);
                    prop_assert!(now - since <= 100);
                }
            }
            if act < 3 && !open.is_empty() {
                let (permit, _) = if newest { open.pop().unwrap() } else { open.remove(0) };
                let outcome = [Outcome::Succeeded, Outcome::FAILED, Outcome::Untold][usize::from(act)];
                let was = breaker.state(at(now));
                let changed = breaker.record(&permit, at(now), outcome);
                if was == State::Closed && outcome == Outcome::FAILED && permit.period == breaker.period {
                    // A row with a pause in it begins anew.
                    failures = if now - last > 60 { 1 } else { failures + 1 };
                    last = now;
                }
                if changed.is_some() { failures = 0; }
                if outcome == Outcome::Succeeded && was == State::Closed && permit.period == breaker.period { failures = 0; }
                prop_assert!(failures < OPTIONS.failures_max);
            }
        }
        let long = at(now + 200);
        prop_assert!(breaker.admit(long).is_ok());
    }
}
