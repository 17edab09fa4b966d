//! Messages across the boundary: [`Lowering`] shows one to a guest, [`lift`] reads what a guest
//! sends. A lowered message borrows from the original; only agents' names are written anew, into one
//! buffer.

use crate::bindings::types;
use caxton_core::error::{Code, Error, shown};
use caxton_core::message::Contact;
use caxton_core::{Acl, AgentId, ConversationId, Identifier, Performative, TenantId, Timestamp};
use std::fmt::Write;
use std::ops::Range;

/// The two enums have the same acts; a macro keeps both directions of the table one list.
macro_rules! acts {
    ($($act:ident)*) => {
        pub(crate) fn act_to_guest(act: Performative) -> types::Performative {
            match act { $(Performative::$act => types::Performative::$act),* }
        }
        fn act_from_guest(act: types::Performative) -> Performative {
            match act { $(types::Performative::$act => Performative::$act),* }
        }
    };
}
acts! {
    AcceptProposal Agree Cancel Cfp Confirm Disconfirm Failure Inform InformIf InformRef
    NotUnderstood Propagate Propose Proxy QueryIf QueryRef Refuse RejectProposal Request
    RequestWhen RequestWhenever Subscribe
}

/// First step of showing a message to a guest: all agents' full names in one buffer.
pub(crate) struct Names {
    text: String,
    spans: Vec<Range<usize>>,
}

impl Names {
    pub(crate) fn of(acl: &Acl) -> Self {
        let agents = acl.receivers.len() + acl.reply_to.len() + 1;
        let mut names = Self {
            text: String::with_capacity(agents * 32),
            spans: Vec::with_capacity(agents),
        };
        for agent in acl.sender.iter().chain(&acl.receivers).chain(&acl.reply_to) {
            names.write(&agent.id);
            for resolver in agent.contact.iter().flat_map(|contact| &contact.resolvers) {
                names.write(&resolver.id);
            }
        }
        names
    }

    fn write(&mut self, id: &AgentId) {
        let start = self.text.len();
        // Writing to a `String` cannot fail.
        let _ = write!(self.text, "{id}");
        self.spans.push(start..self.text.len());
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        self.spans
            .iter()
            .map(|span| self.text.get(span.clone()).unwrap_or_default())
    }
}

/// Second step, where an identifier has addresses or resolvers (rare): the lists of `&str` the ABI
/// wants to borrow. In the order of [`Names`].
pub(crate) struct Contacts<'a>(Vec<(Vec<&'a str>, Vec<&'a str>)>);

impl<'a> Contacts<'a> {
    pub(crate) fn of(acl: &'a Acl, names: &'a Names) -> Self {
        let agents = || acl.sender.iter().chain(&acl.receivers).chain(&acl.reply_to);
        if agents().all(|agent| agent.contact.is_none()) {
            return Self(Vec::new());
        }
        let mut names = names.iter();
        let lists = agents().map(|agent| {
            names.next();
            let contact = agent.contact.as_deref();
            let addresses = contact.map_or(&[][..], |contact| &contact.addresses);
            let resolvers = contact.map_or(0, |contact| contact.resolvers.len());
            (
                addresses.iter().map(String::as_str).collect(),
                names.by_ref().take(resolvers).collect(),
            )
        });
        Self(lists.collect())
    }
}

/// Last step: everything the ABI's record borrows from.
pub(crate) struct Lowering<'a> {
    agents: Vec<types::AgentIdParam<'a>>,
    user_parameters: Vec<types::UserParameterParam<'a>>,
    acl: &'a Acl,
}

impl<'a> Lowering<'a> {
    pub(crate) fn of(acl: &'a Acl, names: &'a Names, contacts: &'a Contacts<'a>) -> Self {
        let mut agents = Vec::with_capacity(names.spans.len());
        let mut names = names.iter();
        let all = acl.sender.iter().chain(&acl.receivers).chain(&acl.reply_to);
        for (index, _) in all.enumerate() {
            let (addresses, resolvers) = contacts
                .0
                .get(index)
                .map_or((&[][..], &[][..]), |(a, r)| (a.as_slice(), r.as_slice()));
            agents.push(types::AgentIdParam {
                name: names.next().unwrap_or_default(),
                addresses,
                resolvers,
            });
            for _ in resolvers {
                names.next();
            }
        }
        let user_parameters = acl
            .user_parameters
            .iter()
            .map(|(name, value)| types::UserParameterParam { name, value });
        Self {
            agents,
            user_parameters: user_parameters.collect(),
            acl,
        }
    }

    pub(crate) fn record(&self) -> types::MessageParam<'_> {
        let acl = self.acl;
        let senders = usize::from(acl.sender.is_some());
        let (sender, others) = self
            .agents
            .split_at_checked(senders)
            .unwrap_or((&[], &self.agents));
        let (receivers, reply_to) = others
            .split_at_checked(acl.receivers.len())
            .unwrap_or((others, &[]));
        types::MessageParam {
            performative: act_to_guest(acl.performative),
            sender: sender.first().cloned(),
            receivers,
            reply_to,
            content: &acl.content,
            language: acl.language.as_deref(),
            encoding: acl.encoding.as_deref(),
            ontology: acl.ontology.as_deref(),
            protocol: acl.protocol.as_deref(),
            conversation_id: acl.conversation_id.as_ref().map(ConversationId::as_str),
            reply_with: acl.reply_with.as_deref(),
            in_reply_to: acl.in_reply_to.as_deref(),
            reply_by_us: acl.reply_by.map(Timestamp::as_us),
            user_parameters: &self.user_parameters,
        }
    }
}

/// What a guest wants to send. Names without a tenant mean `home`; the sender it wrote is ignored.
pub(crate) fn lift(message: types::MessageResult, home: &TenantId) -> Result<Acl, Error> {
    let conversation_id = message
        .conversation_id
        .map(|id| ConversationId::parse(&id))
        .transpose()?;
    Ok(Acl {
        performative: act_from_guest(message.performative),
        sender: None,
        receivers: identifiers(message.receivers, home)?,
        reply_to: identifiers(message.reply_to, home)?,
        content: message.content.into(),
        language: message.language,
        encoding: message.encoding,
        ontology: message.ontology,
        protocol: message.protocol,
        conversation_id,
        reply_with: message.reply_with,
        in_reply_to: message.in_reply_to,
        reply_by: message.reply_by_us.map(Timestamp::from_us),
        user_parameters: message
            .user_parameters
            .into_iter()
            .map(|parameter| (parameter.name, parameter.value))
            .collect(),
    })
}

fn identifiers(
    agents: Vec<types::AgentIdResult>,
    home: &TenantId,
) -> Result<Vec<Identifier>, Error> {
    agents
        .into_iter()
        .map(|agent| {
            let id = AgentId::parse(&agent.name, home)?;
            if agent.addresses.is_empty() && agent.resolvers.is_empty() {
                return Ok(Identifier::new(id));
            }
            let resolvers = agent.resolvers.iter().map(|name| {
                AgentId::parse(name, home)
                    .map(Identifier::new)
                    .map_err(|error| {
                        Error::new(
                            Code::MessageMalformed,
                            format!("resolver `{}`: {}", shown(name), error.detail),
                        )
                    })
            });
            Ok(Identifier {
                id,
                contact: Some(Box::new(Contact {
                    addresses: agent.addresses,
                    resolvers: resolvers.collect::<Result<_, Error>>()?,
                })),
            })
        })
        .collect()
}

/// A message as a value the guest owns: the answer to a call.
pub(crate) fn to_owned(acl: &Acl) -> types::MessageResult {
    let agent = |agent: &Identifier| types::AgentIdResult {
        name: agent.id.to_string(),
        addresses: agent
            .contact
            .iter()
            .flat_map(|contact| contact.addresses.iter().cloned())
            .collect(),
        resolvers: agent
            .contact
            .iter()
            .flat_map(|contact| contact.resolvers.iter().map(|agent| agent.id.to_string()))
            .collect(),
    };
    types::MessageResult {
        performative: act_to_guest(acl.performative),
        sender: acl.sender.as_ref().map(agent),
        receivers: acl.receivers.iter().map(agent).collect(),
        reply_to: acl.reply_to.iter().map(agent).collect(),
        content: acl.content.to_vec(),
        language: acl.language.clone(),
        encoding: acl.encoding.clone(),
        ontology: acl.ontology.clone(),
        protocol: acl.protocol.clone(),
        conversation_id: acl.conversation_id.as_ref().map(ToString::to_string),
        reply_with: acl.reply_with.clone(),
        in_reply_to: acl.in_reply_to.clone(),
        reply_by_us: acl.reply_by.map(Timestamp::as_us),
        user_parameters: acl
            .user_parameters
            .iter()
            .map(|(name, value)| types::UserParameterResult {
                name: name.clone(),
                value: value.clone(),
            })
            .collect(),
    }
}

/// Agents and parameters whose making is in the price of any message.
const ELEMENTS_FREE: usize = 16;
/// What each further one counts as, in bytes: it is made and looked at even where it is empty.
const ELEMENT_BYTES: usize = 64;

/// Bytes of a message that the host copied out of the guest: what its call is charged for.
pub(crate) fn bytes(message: &types::MessageResult) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let agent = |agent: &types::AgentIdResult| {
        let strings = agent.addresses.iter().chain(&agent.resolvers);
        agent.name.len() + strings.map(String::len).sum::<usize>()
    };
    let texts = [
        &message.language,
        &message.encoding,
        &message.ontology,
        &message.protocol,
        &message.conversation_id,
        &message.reply_with,
        &message.in_reply_to,
    ];
    let agents = message.receivers.iter().chain(&message.reply_to);
    let parameters = message.user_parameters.iter();
    let named = agents
        .clone()
        .map(|it| it.addresses.len() + it.resolvers.len() + 1);
    let elements = named.sum::<usize>() + parameters.len();
    message.content.len()
        + elements.saturating_sub(ELEMENTS_FREE) * ELEMENT_BYTES
        + texts.into_iter().map(text).sum::<usize>()
        + agents.map(agent).sum::<usize>()
        + parameters
            .map(|p| p.name.len() + p.value.len())
            .sum::<usize>()
}
