//! Ring 5: seeds through the simulator. `CAXTON_SIM_SEED=7` runs that one, `CAXTON_SIM_SEEDS=10000`
//! so many (the soak), `CAXTON_SIM_FIRST=5000` begins there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use caxton_testkit::sim::{self, Stats};

/// Seeds of an ordinary run: about half a minute in a debug build.
const SEEDS: u64 = 120;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn no_seed_breaks_a_rule() {
    let one = setting("CAXTON_SIM_SEED");
    let first = one.or(setting("CAXTON_SIM_FIRST")).unwrap_or(1);
    let seeds = if one.is_some() {
        1
    } else {
        setting("CAXTON_SIM_SEEDS").unwrap_or(SEEDS)
    };
    let mut all = Stats::default();
    for seed in first..first + seeds {
        let report = sim::run(seed);
        assert!(report.broken.is_none(), "\n{report}");
        all.add(&report.stats);
    }
    println!("{seeds} seeds: {all:#?}");
    if one.is_none() && seeds >= SEEDS {
        meets_everything(&all);
    }
}

/// A simulator that never meets a fault finds none.
fn meets_everything(all: &Stats) {
    let met = [
        ("crashes", all.crashes, 500),
        ("accepted", all.accepted, 1_000),
        ("refused", all.refused, 100),
        ("handled", all.handled, 5_000),
        ("buried", all.buried, 100),
        ("calls", all.calls, 500),
        ("calls replayed", all.calls_replayed, 10),
        ("timers fired", all.timers_fired, 100),
        ("commits refused", all.commits_refused, 100),
        ("answers lost", all.answers_lost, 100),
        ("changes", all.changes, 200),
        ("resent", all.resent, 5),
        ("hop limit", all.hop_limit, 1),
    ];
    for (what, times, least) in met {
        assert!(times >= least, "{what}: {times}, expected {least} at least");
    }
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in [3, 1_000_003, 77] {
        let (once, again) = (sim::run(seed), sim::run(seed));
        assert_eq!(
            once.trace_hash, again.trace_hash,
            "seed {seed}\n{}",
            again.trace
        );
    }
    assert_ne!(sim::run(3).trace_hash, sim::run(77).trace_hash);
}
