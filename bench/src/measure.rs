//! Clocks, and the order of rounds.
//!
//! Contestants of one row take turns: round after round each runs once, and who begins moves on by
//! one, so that a machine that is busier for a while is so for all of them. The first round warms
//! caches and allocators and is dropped. What a round gives are plain numbers by name; medians and
//! ratios are made of them in the report.

use crate::Run;
use anyhow::{Context as _, ensure};
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What one round of one contestant came to, by the measure's name.
pub type Scores = BTreeMap<&'static str, f64>;

/// Messages (or rows) for each second of processor time, all threads together.
pub const PER_CPU_S: &str = "per CPU-second";
/// The same for each second on the wall.
pub const PER_S: &str = "per second";
/// Processor time of one piece of work, in microseconds.
pub const CPU_US: &str = "CPU us each";
/// Time on the wall of one piece of work, in microseconds.
pub const WALL_US: &str = "us each";
/// Half of the pieces took no longer than this, in microseconds.
pub const P50_US: &str = "p50 us";
/// 99 % of the pieces took no longer than this, in microseconds.
pub const P99_US: &str = "p99 us";

/// Somebody who does a row's work.
pub trait Contestant: Send {
    fn name(&self) -> String;
    /// Does the work once.
    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>>;
}

/// Lets the contestants take turns: `run.rounds` that count and one before them that does not. The
/// answer has the contestants' order; ours is the first.
pub async fn race(
    run: &Run,
    contestants: &mut [&mut dyn Contestant],
) -> anyhow::Result<Vec<Vec<Scores>>> {
    let rounds = run.rounds;
    let mut all = vec![Vec::with_capacity(rounds); contestants.len()];
    let count = if run.ours_only { 1 } else { contestants.len() };
    for round in 0..=rounds {
        for turn in 0..count {
            let index = (turn + round) % count;
            let (Some(contestant), Some(scores)) = (contestants.get_mut(index), all.get_mut(index))
            else {
                continue;
            };
            let measured = contestant.round().await;
            let measured = measured.with_context(|| contestant.name())?;
            if round > 0 {
                scores.push(measured);
            }
        }
    }
    Ok(all)
}

/// Time on the wall and on processors since it was started.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    wall: Instant,
    cpu: Duration,
}

/// What a stopwatch showed.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    pub wall: Duration,
    pub cpu: Duration,
}

impl Stopwatch {
    /// Counts this process's own threads.
    pub fn start() -> Self {
        Self {
            wall: Instant::now(),
            cpu: cpu_time(),
        }
    }

    pub fn read(&self) -> Spent {
        Spent {
            wall: self.wall.elapsed(),
            cpu: cpu_time().saturating_sub(self.cpu),
        }
    }
}

impl Spent {
    /// Rates of so many pieces of work.
    pub fn rates(&self, pieces: u64) -> Scores {
        let pieces = pieces as f64;
        Scores::from([
            (PER_CPU_S, pieces / self.cpu.as_secs_f64()),
            (PER_S, pieces / self.wall.as_secs_f64()),
        ])
    }

    /// The cost of one of so many pieces of work, in microseconds.
    pub fn costs(&self, pieces: u64) -> Scores {
        let each = 1e6 / pieces as f64;
        Scores::from([
            (CPU_US, self.cpu.as_secs_f64() * each),
            (WALL_US, self.wall.as_secs_f64() * each),
        ])
    }
}

/// Processor time of this process, all its threads, and of the children that it has waited for.
pub fn cpu_time() -> Duration {
    let own = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let own = Duration::new(
        u64::try_from(own.tv_sec).unwrap_or(0),
        u32::try_from(own.tv_nsec).unwrap_or(0),
    );
    own + children_time()
}

/// Processor time of the children that were waited for.
fn children_time() -> Duration {
    // SAFETY: `rusage` is plain numbers, for which all zeros are valid, and `getrusage` only writes
    // into the one it is given.
    #[allow(unsafe_code)]
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    let time = |value: libc::timeval| {
        Duration::from_secs(u64::try_from(value.tv_sec).unwrap_or(0))
            + Duration::from_micros(u64::try_from(value.tv_usec).unwrap_or(0))
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// p50 and p99 of single times.
pub fn percentiles(mut times: Vec<Duration>) -> anyhow::Result<Scores> {
    ensure!(!times.is_empty(), "nothing was timed");
    times.sort_unstable();
    let at = |share: f64| {
        let rank = (times.len() as f64 * share).ceil() as usize;
        let time = times.get(rank.clamp(1, times.len()) - 1);
        time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
    };
    Ok(Scores::from([(P50_US, at(0.5)), (P99_US, at(0.99))]))
}

/// The middle of these, or the mean of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = sorted.get(middle).copied().unwrap_or(f64::NAN);
    if sorted.len() % 2 == 1 {
        return upper;
    }
    let lower = middle.checked_sub(1).and_then(|below| sorted.get(below));
    lower.map_or(upper, |lower| f64::midpoint(*lower, upper))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times = (1..=200).map(Duration::from_micros).collect();
        let scores = percentiles(times).unwrap();
        assert_eq!(scores.get(P50_US), Some(&100.0));
        assert_eq!(scores.get(P99_US), Some(&198.0));
        assert!(percentiles(Vec::new()).is_err());
    }

    struct Turns<'a>(&'static str, &'a std::sync::Mutex<Vec<&'static str>>);

    impl Contestant for Turns<'_> {
        fn name(&self) -> String {
            self.0.to_owned()
        }

        fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
            self.1.lock().unwrap().push(self.0);
            let turn = self.1.lock().unwrap().len() as f64;
            Box::pin(std::future::ready(Ok(Scores::from([(PER_S, turn)]))))
        }
    }

    #[tokio::test]
    async fn contestants_take_turns_and_the_first_round_is_dropped() {
        let turns = std::sync::Mutex::new(Vec::new());
        let (mut a, mut b) = (Turns("a", &turns), Turns("b", &turns));
        let run = Run {
            quick: true,
            rounds: 2,
            ours_only: false,
            scratch: std::path::PathBuf::new(),
        };
        let rounds = race(&run, &mut [&mut a, &mut b]).await.unwrap();
        assert_eq!(*turns.lock().unwrap(), ["a", "b", "b", "a", "a", "b"]);
        let of = |index: usize| -> Vec<f64> { rounds[index].iter().map(|s| s[PER_S]).collect() };
        assert_eq!((of(0), of(1)), (vec![4.0, 5.0], vec![3.0, 6.0]));
    }
}
