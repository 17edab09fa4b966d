//! What a run of `cargo test` comes to, read from its output.
//!
//! The harness's stable output is text. Read here: `running N tests` (opens a binary),
//! `test NAME ... ignored, REASON`, `test NAME ... FAILED`, and `test result: …` (closes it). A
//! binary that opened and never closed died, by abort or signal, and counts as a failure.

use std::collections::BTreeSet;

/// The sums over every test binary of one run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
    /// Each ignored test with its reason.
    pub ignored: Vec<(String, String)>,
    /// Failed tests, and what failed besides tests.
    pub failures: Vec<String>,
    open: bool,
}

impl Tally {
    /// Takes one line of standard output.
    pub fn read(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("running ") {
            if rest.ends_with(" tests") || rest.ends_with(" test") {
                self.close_dead_binary();
                self.open = true;
            }
        } else if let Some(rest) = line.strip_prefix("test result: ") {
            self.open = false;
            self.passed += count(rest, " passed");
            self.failed += count(rest, " failed");
            self.skipped += count(rest, " ignored");
        } else if let Some(rest) = line.strip_prefix("test ") {
            if let Some((name, reason)) = rest.split_once(" ... ignored") {
                let reason = reason.trim_start_matches(", ");
                self.ignored.push((name.to_string(), reason.to_string()));
            } else if let Some(name) = rest.strip_suffix(" ... FAILED") {
                self.failures.push(name.to_string());
            }
        }
    }

    /// Ends the run. A cargo that failed although no test did could not build, or a doc test's
    /// set-up died: that is a failure too.
    pub fn finish(&mut self, cargo_succeeded: bool) {
        self.close_dead_binary();
        if !cargo_succeeded && self.failed == 0 {
            self.fail("cargo test failed before its tests could say anything");
        }
    }

    /// Adds the run of formerly ignored tests. One that this run did not report stays skipped, with
    /// that as its reason, so that a misspelt name cannot vanish.
    pub fn add_second_pass(
        &mut self,
        asked: &BTreeSet<String>,
        second: &Tally,
        reasons: &mut Vec<(String, String)>,
    ) {
        let ran = second.passed + second.failed;
        self.passed += second.passed;
        self.failed += second.failed;
        self.failures.extend(second.failures.iter().cloned());
        self.skipped = self.skipped.saturating_sub(ran);
        if ran < asked.len() {
            let why = format!("only {ran} of these {} ran", asked.len());
            reasons.extend(asked.iter().map(|test| (test.clone(), why.clone())));
        }
    }

    fn close_dead_binary(&mut self) {
        if std::mem::take(&mut self.open) {
            self.fail("a test binary died without a result");
        }
    }

    fn fail(&mut self, what: &str) {
        self.failed += 1;
        self.failures.push(what.to_string());
    }
}

/// The number before a word in `ok. 3 passed; 1 failed; …`.
fn count(result: &str, word: &str) -> usize {
    let before = result.split(word).next().unwrap_or_default();
    let digits = before.rsplit(' ').next().unwrap_or_default();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(output: &str, cargo_succeeded: bool, expected: (usize, usize, usize)) -> Tally {
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.read(line));
        tally.finish(cargo_succeeded);
        assert_eq!(
            (tally.passed, tally.failed, tally.skipped),
            expected,
            "{tally:?}"
        );
        tally
    }

    const GOOD: &str = "\nrunning 3 tests\ntest a ... ok\ntest b ... ok\n\
        test c ... ignored, needs node\n\n\
        test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.0s\n";

    #[test]
    fn sums_over_binaries() {
        let tally = check(&GOOD.repeat(2), true, (4, 0, 2));
        let ignored = ("c".to_string(), "needs node".to_string());
        assert_eq!(tally.ignored, [ignored.clone(), ignored]);
    }

    #[test]
    fn a_failed_test_is_named() {
        let output = "running 2 tests\ntest a ... FAILED\ntest b ... ok\n\
                      test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured";
        let tally = check(output, false, (1, 1, 0));
        assert_eq!(tally.failures, ["a"]);
    }

    #[test]
    fn a_binary_that_dies_is_a_failure() {
        let dead = "running 5 tests\ntest a ... ok\n";
        check(&format!("{dead}{GOOD}"), false, (2, 1, 1));
        check(&format!("{GOOD}{dead}"), false, (2, 1, 1));
    }

    #[test]
    fn a_build_that_fails_is_a_failure() {
        check("", false, (0, 1, 0));
    }

    #[test]
    fn what_a_test_prints_is_not_counted() {
        let chatter = "running late\ntest of patience\nall 3 passed\n";
        check(&format!("{chatter}{GOOD}"), true, (2, 0, 1));
    }

    #[test]
    fn the_second_pass_moves_tests_from_skipped() {
        let mut total = check(GOOD, true, (2, 0, 1));
        let mut reasons = Vec::new();
        let second = Tally {
            passed: 1,
            ..Tally::default()
        };
        total.add_second_pass(&BTreeSet::from(["c".to_string()]), &second, &mut reasons);
        assert_eq!((total.passed, total.failed, total.skipped), (3, 0, 0));
        assert!(reasons.is_empty());
    }

    #[test]
    fn a_test_that_the_second_pass_missed_stays_skipped() {
        let mut total = check(GOOD, true, (2, 0, 1));
        let mut reasons = Vec::new();
        total.add_second_pass(
            &BTreeSet::from(["c".to_string()]),
            &Tally::default(),
            &mut reasons,
        );
        assert_eq!(total.skipped, 1);
        assert_eq!(reasons.len(), 1);
    }
}
