//! What a message must satisfy besides its syntax. Every fault is named, not only the first.

use super::{Acl, Identifier};
use crate::error::{Code, Error, shown};
use crate::id::{TOKEN_BYTES_MAX, is_token};
use std::collections::HashSet;

/// Most receivers of one message, and most agents in `reply-to`.
pub const RECEIVERS_MAX: usize = 256;
/// Most user parameters of one message.
pub const USER_PARAMETERS_MAX: usize = 64;
/// Longest name or value of a user parameter, in bytes.
pub const USER_PARAMETER_BYTES_MAX: usize = 8192;
/// Most addresses, and most resolvers, of one agent identifier.
pub const IDENTIFIER_PARTS_MAX: usize = 16;
/// Largest content that any configuration may allow, in bytes: 64 MiB.
pub const CONTENT_BYTES_MAX: usize = 64 << 20;
/// Deepest nesting of resolvers in resolvers.
const RESOLVER_DEPTH_MAX: usize = 4;

impl Acl {
    /// Checks a message that is about to be sent: receivers are there and are a set, tokens are
    /// tokens, user parameters begin with `X-`, sizes are in bounds.
    pub fn validate(&self) -> Result<(), Error> {
        if self.is_plain() {
            return Ok(());
        }
        let mut faults = Vec::new();
        let mut fault = |field: &str, what: String| faults.push((field.to_owned(), what));
        if self.receivers.is_empty() {
            fault("receiver", "names no agent".to_owned());
        }
        for (field, set) in [("receiver", &self.receivers), ("reply-to", &self.reply_to)] {
            if set.len() > RECEIVERS_MAX {
                fault(
                    field,
                    format!(
                        "has {} agents, at most {RECEIVERS_MAX} are allowed",
                        set.len()
                    ),
                );
            }
            if set.len() > 1 {
                let mut seen = HashSet::new();
                for agent in set.iter().filter(|agent| !seen.insert(&agent.id)) {
                    fault(field, format!("is a set and names {} twice", agent.id));
                }
            }
            for agent in set {
                if let Some(what) = identifier_fault(agent, 0) {
                    fault(field, what);
                }
            }
        }
        let tokens = [
            ("language", &self.language),
            ("encoding", &self.encoding),
            ("ontology", &self.ontology),
            ("protocol", &self.protocol),
            ("reply-with", &self.reply_with),
            ("in-reply-to", &self.in_reply_to),
        ];
        for (field, value) in tokens {
            if value.as_ref().is_some_and(|text| !is_token(text)) {
                fault(
                    field,
                    format!(
                        "is empty, longer than {TOKEN_BYTES_MAX} bytes or has control characters"
                    ),
                );
            }
        }
        if self.content.len() > CONTENT_BYTES_MAX {
            fault(
                "content",
                format!(
                    "has {} bytes, at most {CONTENT_BYTES_MAX} are allowed",
                    self.content.len()
                ),
            );
        }
        if !self.user_parameters.is_empty() {
            self.user_parameter_faults(&mut faults);
        }
        if faults.is_empty() {
            return Ok(());
        }
        let detail = faults
            .iter()
            .map(|(field, what)| format!("{field} {what}"))
            .collect::<Vec<_>>()
            .join("; ");
        Err(Error::new(Code::MessageMalformed, detail).with_fields(faults))
    }

    /// Whether it is a message as most are, which a glance shows to be without a fault.
    fn is_plain(&self) -> bool {
        let named = |agent: &Identifier| agent.contact.is_none();
        let receiver_ok = match self.receivers.as_slice() {
            [one] => named(one),
            _ => false,
        };
        let token_ok = |text: &Option<String>| text.as_ref().is_none_or(|text| is_token(text));
        receiver_ok
            && self.reply_to.is_empty()
            && self.user_parameters.is_empty()
            && self.content.len() <= CONTENT_BYTES_MAX
            && token_ok(&self.language)
            && token_ok(&self.encoding)
            && token_ok(&self.ontology)
            && token_ok(&self.protocol)
            && token_ok(&self.reply_with)
            && token_ok(&self.in_reply_to)
    }

    fn user_parameter_faults(&self, faults: &mut Vec<(String, String)>) {
        let mut fault = |what: String| faults.push(("user parameters".to_owned(), what));
        if self.user_parameters.len() > USER_PARAMETERS_MAX {
            fault(format!(
                "are {}, at most {USER_PARAMETERS_MAX} are allowed",
                self.user_parameters.len()
            ));
        }
        let mut seen = HashSet::new();
        for (name, value) in &self.user_parameters {
            let prefix_ok = name
                .get(..2)
                .is_some_and(|prefix| prefix.eq_ignore_ascii_case("x-"));
            if !prefix_ok
                || name.len() == 2
                || !name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
            {
                fault(format!(
                    "have the name `{}`; it must begin with X- and be a word",
                    shown(name)
                ));
            }
            if name.len() > USER_PARAMETER_BYTES_MAX || value.len() > USER_PARAMETER_BYTES_MAX {
                fault(format!(
                    "have `{}` longer than {USER_PARAMETER_BYTES_MAX} bytes",
                    shown(name)
                ));
            }
            if !seen.insert(name.to_ascii_lowercase()) {
                fault(format!("have `{}` twice", shown(name)));
            }
        }
    }
}

fn identifier_fault(agent: &Identifier, depth: usize) -> Option<String> {
    let contact = agent.contact.as_deref()?;
    if depth >= RESOLVER_DEPTH_MAX {
        return Some(format!(
            "has resolvers nested deeper than {RESOLVER_DEPTH_MAX}"
        ));
    }
    if contact.addresses.len() > IDENTIFIER_PARTS_MAX
        || contact.resolvers.len() > IDENTIFIER_PARTS_MAX
    {
        return Some(format!(
            "has an agent with more than {IDENTIFIER_PARTS_MAX} addresses or resolvers"
        ));
    }
    if contact.addresses.iter().any(|address| !is_address(address)) {
        return Some(
            "has an address that is empty, longer than 2048 bytes or has spaces".to_owned(),
        );
    }
    contact
        .resolvers
        .iter()
        .find_map(|resolver| identifier_fault(resolver, depth + 1))
}

fn is_address(text: &str) -> bool {
    (1..=2048).contains(&text.len()) && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::agent::AgentId;
    use crate::message::{Acl, Performative};
    use crate::tenant::TenantId;

    fn to(names: &[&str]) -> Acl {
        let home = TenantId::default_tenant();
        names
            .iter()
            .fold(Acl::new(Performative::Inform), |acl, name| {
                acl.to(AgentId::parse(name, &home).unwrap())
            })
    }

    #[test]
    fn each_fault_is_named() {
        let mut acl = to(&["a", "a"]);
        acl.protocol = Some(String::new());
        acl.reply_with = Some("x".repeat(256));
        acl.user_parameters = vec![
            ("trace".into(), "1".into()),
            ("X-a".into(), "1".into()),
            ("x-A".into(), "2".into()),
        ];
        let error = acl.validate().unwrap_err();
        let fields: Vec<_> = error
            .fields
            .iter()
            .map(|(field, _)| field.as_str())
            .collect();
        assert_eq!(
            fields,
            [
                "receiver",
                "protocol",
                "reply-with",
                "user parameters",
                "user parameters"
            ]
        );
    }

    #[test]
    fn no_fault_passes_for_plain() {
        use crate::message::{CONTENT_BYTES_MAX, Contact};
        let long = || Some("x".repeat(256));
        let broken: [fn(&mut Acl, Option<String>); 9] = [
            |acl, long| acl.language = long,
            |acl, long| acl.encoding = long,
            |acl, long| acl.ontology = long,
            |acl, long| acl.protocol = long,
            |acl, long| acl.reply_with = long,
            |acl, long| acl.in_reply_to = long,
            |acl, _| acl.receivers.clear(),
            |acl, _| acl.content = vec![0; CONTENT_BYTES_MAX + 1].into(),
            |acl, long| {
                let addresses = vec![long.unwrap_or_default() + " "];
                let contact = Contact {
                    addresses,
                    resolvers: Vec::new(),
                };
                for agent in &mut acl.receivers {
                    agent.contact = Some(Box::new(contact.clone()));
                }
            },
        ];
        assert!(to(&["a"]).is_plain());
        for (number, fault) in broken.into_iter().enumerate() {
            let mut acl = to(&["a"]);
            fault(&mut acl, long());
            assert!(acl.validate().is_err(), "fault {number}");
        }
    }

    #[test]
    fn a_plain_message_passes_and_one_to_nobody_does_not() {
        assert_eq!(to(&["a", "b"]).validate(), Ok(()));
        assert!(to(&[]).validate().unwrap_err().detail.contains("receiver"));
        let crowd: Vec<String> = (0..257).map(|n| format!("a{n}")).collect();
        let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
        assert!(to(&crowd).validate().is_err());
    }
}
