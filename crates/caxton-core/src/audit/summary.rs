//! What a period of a chain comes to: a report for whoever must look, but not at every entry.

use super::{Entry, Hash, Outcome};
use crate::error::shown_up_to;
use crate::time::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Different names that are counted each; what comes beyond is counted together.
pub const NAMES_MAX: usize = 500;
/// Administrative acts that are listed each; what comes beyond is counted.
pub const ACTS_MAX: usize = 500;
/// Longest text in a cell, in characters.
const CELL_CHARS_MAX: usize = 120;
/// What names beyond the counted ones are called.
const OTHERS: &str = "(others)";

/// How often something was permitted, denied, and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub permitted: u64,
    pub denied: u64,
    pub failed: u64,
}

impl Tally {
    fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Permitted => self.permitted += 1,
            Outcome::Denied => self.denied += 1,
            Outcome::Failed => self.failed += 1,
        }
    }
}

/// An administrative act: what changed who may what, or how the server runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActLine {
    /// RFC 3339, UTC.
    pub time: String,
    pub actor: String,
    pub action: String,
    pub target: String,
    pub outcome: Outcome,
}

/// A period of a chain, counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Whose chain; empty is the platform's.
    pub tenant: String,
    /// RFC 3339, UTC; empty is the chain's beginning.
    pub from: String,
    /// RFC 3339, UTC, not included; empty is the chain's end.
    pub until: String,
    pub entries: u64,
    /// The sequence of the period's first entry; 0 where there is none.
    pub first: u64,
    pub last: u64,
    /// The hash of its last entry.
    pub head: Option<Hash>,
    /// Whether each entry follows the one before it, unchanged; what is wrong where one does not.
    pub chain: String,
    /// Whether there was more in the period than is looked at for one report.
    pub cut_short: bool,
    pub outcomes: Tally,
    /// What the platform did on the tenant's behalf, of all entries.
    pub on_behalf: u64,
    pub actions: BTreeMap<String, Tally>,
    pub actors: BTreeMap<String, Tally>,
    pub acts: Vec<ActLine>,
    /// Administrative acts beyond those that are listed.
    pub acts_more: u64,
}

impl Summary {
    /// A period with nothing in it yet; no time is no bound.
    pub fn new(tenant: &str, from: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        Self {
            tenant: tenant.to_owned(),
            from: time(from),
            until: time(until),
            entries: 0,
            first: 0,
            last: 0,
            head: None,
            chain: "whole".to_owned(),
            cut_short: false,
            outcomes: Tally::default(),
            on_behalf: 0,
            actions: BTreeMap::new(),
            actors: BTreeMap::new(),
            acts: Vec::new(),
            acts_more: 0,
        }
    }

    /// Takes the next entry of the period.
    pub fn add(&mut self, entry: &Entry) {
        let event = &entry.event;
        self.entries += 1;
        if self.first == 0 {
            self.first = entry.sequence;
        }
        (self.last, self.head) = (entry.sequence, Some(entry.hash));
        self.outcomes.add(event.outcome);
        self.on_behalf += u64::from(!event.behalf.is_empty());
        count(&mut self.actions, &event.action, event.outcome);
        count(&mut self.actors, &event.actor, event.outcome);
        // An operation's full name has a slash, an administrative act is `noun.verb`.
        if event.action.contains('/') {
            return;
        }
        if self.acts.len() >= ACTS_MAX {
            self.acts_more += 1;
            return;
        }
        self.acts.push(ActLine {
            time: event.time.to_string(),
            actor: event.actor.clone(),
            action: event.action.clone(),
            target: event.target.clone(),
            outcome: event.outcome,
        });
    }

    /// Says that the chain is not whole; the first fault counts.
    pub fn broken(&mut self, what: String) {
        if self.chain == "whole" {
            self.chain = what;
        }
    }

    /// The report as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        let or = |text: &str, other: &str| match text {
            "" => other.to_owned(),
            text => text.to_owned(),
        };
        let whose = or(&self.tenant, "the platform");
        let (from, until) = (or(&self.from, "its beginning"), or(&self.until, "its end"));
        let Tally {
            permitted,
            denied,
            failed,
        } = self.outcomes;
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "# Audit of {whose}\n\nFrom {from} until {until}.\n\n| | |\n|---|---|\n\
             | entries | {} |\n| permitted, denied, failed | {permitted}, {denied}, {failed} |\n\
             | by the platform, on the tenant's behalf | {} |\n| chain | {} |\n",
            match self.entries {
                0 => "0".to_owned(),
                entries => format!("{entries} ({} to {})", self.first, self.last),
            },
            self.on_behalf,
            cell(&self.chain),
        );
        if let Some(head) = &self.head {
            let _ = writeln!(text, "| last entry's hash | {head} |");
        }
        if self.cut_short {
            text.push_str("\nThe period has more entries than are looked at for one report.\n");
        }
        tallies(&mut text, "What was asked for", "what", &self.actions);
        tallies(&mut text, "Who asked", "who", &self.actors);
        let refused = |it: &BTreeMap<String, Tally>| {
            let refused = it.iter().filter(|(_, it)| it.denied > 0);
            refused.map(|(name, it)| (name.clone(), *it)).collect()
        };
        tallies(&mut text, "Who was denied", "who", &refused(&self.actors));
        if !self.acts.is_empty() {
            text.push_str("\n## Administrative acts\n\n| when | who | what | upon | outcome |\n|---|---|---|---|---|\n");
        }
        for act in &self.acts {
            let (actor, action, target) = (cell(&act.actor), cell(&act.action), cell(&act.target));
            let outcome = act.outcome.as_str();
            let _ = writeln!(
                text,
                "| {} | {actor} | {action} | {target} | {outcome} |",
                act.time
            );
        }
        if self.acts_more > 0 {
            let _ = writeln!(text, "\nand {} more.", self.acts_more);
        }
        text
    }
}

fn count(of: &mut BTreeMap<String, Tally>, name: &str, outcome: Outcome) {
    let name = match of.contains_key(name) || of.len() < NAMES_MAX {
        true => name,
        false => OTHERS,
    };
    of.entry(name.to_owned()).or_default().add(outcome);
}

fn tallies(text: &mut String, title: &str, head: &str, of: &BTreeMap<String, Tally>) {
    if of.is_empty() {
        return;
    }
    let _ = write!(
        text,
        "\n## {title}\n\n| {head} | permitted | denied | failed |\n|---|---|---|---|\n"
    );
    for (name, it) in of {
        let name = cell(name);
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} |",
            it.permitted, it.denied, it.failed
        );
    }
}

/// A foreign text in a table: on one line, and no other column.
fn cell(text: &str) -> String {
    let plain = text.chars().all(|c| !c.is_control()) && text.chars().count() <= CELL_CHARS_MAX;
    let text = match plain {
        true => text.to_owned(),
        false => shown_up_to(text, CELL_CHARS_MAX).into_owned(),
    };
    text.replace('\\', "\\\\").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Event, Head};
    use super::*;
    use crate::TenantId;

    fn chain(events: &[(&str, &str, Outcome)]) -> Vec<Entry> {
        let tenant = TenantId::parse("acme").unwrap();
        let mut head = Head::EMPTY;
        let entry = |(number, (actor, action, outcome)): (usize, &(&str, &str, Outcome))| {
            let second = i64::try_from(number).unwrap();
            let entry = head.next(
                &tenant,
                Event {
                    time: Timestamp::from_us(1_795_324_162_000_000 + second * 1_000_000),
                    actor: (*actor).to_owned(),
                    behalf: String::new(),
                    action: (*action).to_owned(),
                    target: "a|b\nc".to_owned(),
                    outcome: *outcome,
                    code: String::new(),
                    trace_id: String::new(),
                },
            );
            head = entry.head();
            entry
        };
        events.iter().enumerate().map(entry).collect()
    }

    #[test]
    fn a_period_is_counted_and_told() {
        let entries = chain(&[
            ("admin", "key.create", Outcome::Permitted),
            ("key:a", "caxton.v1.Keys/ListKeys", Outcome::Denied),
            ("key:a", "caxton.v1.Keys/ListKeys", Outcome::Denied),
            ("admin", "key.revoke", Outcome::Failed),
        ]);
        let mut summary = Summary::new("acme", None, None);
        for entry in &entries {
            summary.add(entry);
        }
        let tally = |permitted, denied, failed| Tally {
            permitted,
            denied,
            failed,
        };
        assert_eq!((summary.entries, summary.first, summary.last), (4, 1, 4));
        assert_eq!(summary.outcomes, tally(1, 2, 1));
        assert_eq!(summary.actions["caxton.v1.Keys/ListKeys"], tally(0, 2, 0));
        assert_eq!(summary.actors["admin"], tally(1, 0, 1));
        assert_eq!(summary.acts.len(), 2);
        assert_eq!(summary.head, entries.last().map(|it| it.hash));
        let text = summary.markdown();
        for line in [
            "# Audit of acme\n",
            "| entries | 4 (1 to 4) |",
            "| permitted, denied, failed | 1, 2, 1 |",
            "| chain | whole |",
            "\n## Who was denied\n\n| who | permitted | denied | failed |\n|---|---|---|---|\n| key:a | 0 | 2 | 0 |\n",
            "| admin | key.create | a\\|b\\\\nc | permitted |",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn it_is_bounded_whatever_comes() {
        let names: Vec<String> = (0..NAMES_MAX + 50).map(|n| format!("key:{n}")).collect();
        let events: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), "key.create", Outcome::Permitted))
            .collect();
        let mut summary = Summary::new("acme", None, None);
        for entry in chain(&events) {
            summary.add(&entry);
        }
        assert_eq!(summary.actors.len(), NAMES_MAX + 1);
        assert_eq!(summary.actors[OTHERS].permitted, 50);
        assert_eq!((summary.acts.len(), summary.acts_more), (ACTS_MAX, 50));
    }
}
