//! Names of functions and agents as names of the protocol: `tool`, `tool__function`, `ask_agent`.
//!
//! Models' providers take letters, digits, `_` and `-` alone, so a dot in a function's name is `_` here.
//! Where two would have one name, it is the earlier's of this order: tools of one function, functions of
//! the shortest tool's name, agents.

use caxton_core::tool::{ToolId, ToolName};

/// Longest name, in bytes, as the protocol has it.
pub(super) const NAME_BYTES_MAX: usize = 128;
const BETWEEN: &str = "__";
const AGENT: &str = "ask_";

/// The name of a function.
pub(super) fn of_function(tool: &str, function: &str) -> String {
    match tool == function {
        true => tool.to_owned(),
        false => format!("{tool}{BETWEEN}{}", plain(function)),
    }
}

/// The name of an agent.
pub(super) fn of_agent(agent: &str) -> String {
    format!("{AGENT}{agent}")
}

/// A function's name as it stands in a name of the protocol.
pub(super) fn plain(function: &str) -> String {
    function.replace('.', "_")
}

/// The rank of a name's owner: the lower has it.
pub(super) fn rank(id: &ToolId) -> usize {
    match id {
        ToolId::Function(tool, function) if tool.as_str() == function.as_str() => 0,
        ToolId::Function(tool, _) => tool.as_str().len(),
        ToolId::Agent(_) => usize::MAX,
    }
}

/// Who may be meant by a name, in the order of rank: tools with the function's name as it stands in it,
/// none where it is the tool's own.
pub(super) fn tools(name: &str) -> Vec<(ToolName, Option<&str>)> {
    let whole = ToolName::parse(name).ok().map(|tool| (tool, None));
    // Of three `_` in a row, two pairs may be what stands between.
    let places = name.char_indices().map(|(at, _)| at);
    let places = places.filter(|at| name.get(*at..).is_some_and(|it| it.starts_with(BETWEEN)));
    let cuts = places.filter_map(|at| {
        let (tool, function) = (name.get(..at)?, name.get(at + BETWEEN.len()..)?);
        let tool = ToolName::parse(tool).ok()?;
        (!function.is_empty()).then_some((tool, Some(function)))
    });
    whole.into_iter().chain(cuts).collect()
}

/// The agent that may be meant.
pub(super) fn agent(name: &str) -> Option<&str> {
    name.strip_prefix(AGENT).filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_named_is_found_again() {
        for (tool, function) in [
            ("fetch", "fetch"),
            ("files", "read"),
            ("a__b", "c"),
            ("a", "b__c"),
            ("git", "pull.request"),
            ("a_", "_b"),
        ] {
            let name = of_function(tool, function);
            assert!(
                name.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
            );
            let found = tools(&name).into_iter().any(|(it, of)| {
                it.as_str() == tool
                    && match of {
                        None => tool == function,
                        Some(of) => of == plain(function),
                    }
            });
            assert!(found, "{name}");
        }
        assert_eq!(agent(&of_agent("bob")), Some("bob"));
        assert_eq!(agent("ask_"), None);
        assert!(tools("__x").is_empty());
    }

    #[test]
    fn ranks_follow_the_order_of_finding() {
        let rank = |id: &str| rank(&ToolId::parse(id).unwrap());
        assert!(rank("a__b__c") < rank("a.b__c"));
        assert!(rank("a.b__c") < rank("a__b.c"));
        assert!(rank("a__b.c") < rank("agent:x"));
    }
}
