//! The criteria `docs/coverage.md` must answer, as counts: acceptance criteria of each epic story,
//! acceptance criteria and done-lines of each backlog story, and the backlog's success metrics.

/// An epic story and how many acceptance criteria it has.
const EPICS: &[(&str, usize)] = &[
    ("E1-1", 4),
    ("E1-2", 3),
    ("E1-3", 3),
    ("E2-1", 3),
    ("E2-2", 3),
    ("E2-3", 3),
    ("E2-4", 3),
    ("E2-5", 3),
    ("E3-1", 3),
    ("E3-2", 3),
    ("E3-3", 3),
    ("E3-4", 3),
    ("E3-5", 3),
    ("E3-6", 3),
    ("E3-7", 3),
    ("E3-8", 3),
    ("E4.1-1", 3),
    ("E4.1-2", 3),
    ("E4.1-3", 3),
    ("E4.2-1", 3),
    ("E4.2-2", 2),
    ("E4.2-3", 3),
    ("E4.3-1", 3),
    ("E5-1", 3),
    ("E5-2", 3),
    ("E5-3", 3),
    ("E5-4", 3),
    ("E5-5", 3),
    ("E6-1", 3),
    ("E6-2", 3),
    ("E6-3", 3),
    ("E6-4", 3),
    ("E7-1", 2),
    ("E7-2", 3),
    ("E7-3", 3),
    ("E7-4", 3),
    ("E8-1", 3),
    ("E8-2", 3),
    ("E8-3", 3),
    ("E8-4", 3),
];

/// Of backlog stories 001, 002, … in order: how many acceptance criteria, how many done-lines.
const STORIES: &[(usize, usize)] = &[
    (7, 6),
    (6, 6),
    (6, 6),
    (6, 6),
    (6, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
    (7, 6),
];

const METRICS: usize = 8;

/// Every id, in the page's order.
pub fn all() -> Vec<String> {
    let mut ids = Vec::new();
    for (story, criteria) in EPICS {
        ids.extend((1..=*criteria).map(|n| format!("{story}-AC{n}")));
    }
    for (index, (criteria, done_lines)) in STORIES.iter().enumerate() {
        let story = index + 1;
        ids.extend((1..=*criteria).map(|n| format!("{story:03}-AC{n}")));
        ids.extend((1..=*done_lines).map(|n| format!("{story:03}-DoD{n}")));
    }
    ids.extend((1..=METRICS).map(|n| format!("M{n}")));
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_are_those_of_the_documents() {
        let ids = all();
        let count = |part: &str| ids.iter().filter(|id| id.contains(part)).count();
        assert_eq!(STORIES.len(), 50);
        assert_eq!(ids.len(), 773);
        assert_eq!(count("-DoD"), 300);
        assert_eq!(ids.iter().filter(|id| id.starts_with('E')).count(), 119);
    }
}
