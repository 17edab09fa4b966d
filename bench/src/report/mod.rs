//! What was measured, against whom, and whether the goal is met: gathered here, and told as a table,
//! as JSON and as a plot.

mod plot;
mod table;

use crate::measure::{Scores, median};
use anyhow::Context as _;
use serde::Serialize;
use std::path::Path;

/// Everything one run found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// When it began, RFC 3339.
    pub began: String,
    pub machine: Machine,
    /// Rounds that count; one more was run before them and dropped.
    pub rounds: usize,
    /// The smoke run: far too little work for its numbers to mean anything.
    pub quick: bool,
    pub rows: Vec<Row>,
    pub skipped: Vec<Skipped>,
}

/// The machine, in general terms.
#[derive(Debug, Serialize)]
pub struct Machine {
    pub processors: usize,
    pub memory_gib: u64,
    pub system: String,
    /// Others' work: the average load of the last minute before the run and after it.
    pub load_before: f64,
    pub load_after: f64,
}

/// A group that did not run, and why.
#[derive(Debug, Serialize)]
pub struct Skipped {
    pub group: String,
    pub why: String,
}

/// One row of the table.
#[derive(Debug, Serialize)]
pub struct Row {
    pub group: &'static str,
    pub what: String,
    /// What both sides did, in words.
    pub work: String,
    pub unit: &'static str,
    pub ours: Option<Side>,
    pub peer: Option<Side>,
    pub goal: Goal,
    /// `ours / peer`, of the medians.
    pub ratio: Option<f64>,
    pub met: Option<bool>,
    /// What else was measured in the same rounds.
    pub beside: Vec<Side>,
}

/// What somebody came to, round by round.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    pub who: String,
    pub unit: &'static str,
    pub median: f64,
    pub rounds: Vec<f64>,
}

impl Side {
    /// This measure of all rounds.
    pub fn of(who: &str, scores: &[Scores], unit: &'static str) -> Self {
        let rounds: Vec<f64> = scores
            .iter()
            .filter_map(|score| score.get(unit).copied())
            .collect();
        Self {
            who: who.to_owned(),
            unit,
            median: median(&rounds),
            rounds,
        }
    }
}

/// What is asked of a row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    RatioAtLeast(f64),
    RatioAtMost(f64),
    AtLeast(f64),
    AtMost(f64),
    /// Shown for orientation.
    None,
}

impl Goal {
    fn met(self, ours: f64, ratio: Option<f64>) -> Option<bool> {
        match self {
            Self::RatioAtLeast(goal) => ratio.map(|ratio| ratio >= goal),
            Self::RatioAtMost(goal) => ratio.map(|ratio| ratio <= goal),
            Self::AtLeast(goal) => Some(ours >= goal),
            Self::AtMost(goal) => Some(ours <= goal),
            Self::None => None,
        }
    }
}

impl Row {
    pub fn new(group: &'static str, what: impl Into<String>, unit: &'static str) -> Self {
        Self {
            group,
            what: what.into(),
            work: String::new(),
            unit,
            ours: None,
            peer: None,
            goal: Goal::None,
            ratio: None,
            met: None,
            beside: Vec::new(),
        }
    }

    pub fn work(mut self, work: impl Into<String>) -> Self {
        self.work = work.into();
        self
    }

    pub fn ours(mut self, side: Side) -> Self {
        self.ours = Some(side);
        self
    }

    pub fn peer(mut self, side: Side) -> Self {
        self.peer = Some(side);
        self
    }

    pub fn goal(mut self, goal: Goal) -> Self {
        self.goal = goal;
        self
    }

    pub fn beside(mut self, side: Side) -> Self {
        self.beside.push(side);
        self
    }
}

impl Report {
    pub fn new(rounds: usize, quick: bool) -> Self {
        Self {
            began: jiff::Timestamp::now()
                .round(jiff::Unit::Second)
                .map_or_else(|_| String::new(), |now| now.to_string()),
            machine: Machine::read(),
            rounds,
            quick,
            rows: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// Adds a row, works out its ratio and judges it.
    pub fn add(&mut self, mut row: Row) {
        let ours = row.ours.as_ref().map(|side| side.median);
        let peer = row.peer.as_ref().map(|side| side.median);
        row.ratio = ours.zip(peer).map(|(ours, peer)| ours / peer);
        row.met = ours.and_then(|ours| row.goal.met(ours, row.ratio));
        eprintln!("{}", table::line(&row));
        self.rows.push(row);
    }

    pub fn skip(&mut self, group: &str, why: impl Into<String>) {
        let why = why.into();
        eprintln!("skipped {group}: {why}");
        self.skipped.push(Skipped {
            group: group.to_owned(),
            why,
        });
    }

    pub fn finish(&mut self) {
        self.machine.load_after = load();
    }

    /// The table, and in words what each row's two sides did.
    pub fn table(&self) -> String {
        table::table(self)
    }

    /// Writes `<stem>.json` and `<stem>.svg`.
    pub fn write(&self, folder: &Path, stem: &str) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        let json = serde_json::to_string_pretty(self)?;
        for (ending, text) in [("json", json), ("svg", plot::svg(self))] {
            let path = folder.join(format!("{stem}.{ending}"));
            std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        }
        Ok(())
    }
}

impl Machine {
    fn read() -> Self {
        let text = |path| std::fs::read_to_string(path).unwrap_or_default();
        let memory = text("/proc/meminfo");
        let kib = memory
            .split_whitespace()
            .nth(1)
            .and_then(|kib| kib.parse().ok());
        let kernel = text("/proc/sys/kernel/osrelease");
        Self {
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: kib.map_or(0, |kib: u64| kib.div_ceil(1 << 20)),
            system: format!("Linux {}, {}", kernel.trim(), std::env::consts::ARCH),
            load_before: load(),
            load_after: f64::NAN,
        }
    }
}

/// The average load of the last minute.
fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split_whitespace().next();
    first.and_then(|load| load.parse().ok()).unwrap_or(f64::NAN)
}
