//! Sending: the guest's ACL parameters become a stamped message in the outbox.

use super::Host;
use caxton_core::error::{Code, Error};
use caxton_core::session::ASK_LANGUAGE;
use caxton_core::{Acl, AgentId, Identifier, MailboxId, Message, MessageId, TraceContext};
use std::sync::Arc;

impl Host {
    /// Queues a message; it leaves when the handler's effects are committed. Gives its id.
    pub fn send(&mut self, acl: Acl) -> Result<MessageId, Error> {
        may_speak(&acl)?;
        self.send_own(acl)
    }

    /// The same for what the server's own behaviors say, in whatever language.
    pub(super) fn send_own(&mut self, acl: Acl) -> Result<MessageId, Error> {
        self.charge()?;
        let max = self.inner.manifest.limits.sends_per_message_max;
        if self.inner.used.sends >= max {
            return Err(Error::new(
                Code::HostCallLimit,
                format!("more than {max} messages sent for one message"),
            ));
        }
        self.inner.used.sends += 1;
        if let Err(error) = self.check(&acl) {
            self.tell_not_understood(acl.not_understood(), &error);
            return Err(error);
        }
        let message = Arc::new(self.stamp(acl, None));
        let id = message.id;
        self.inner.effects.messages.push(message);
        Ok(id)
    }

    /// A malformed message is answered as FIPA has it, besides the error the guest gets at once:
    /// the platform says `not-understood` to the sender.
    fn tell_not_understood(&mut self, answer: Acl, error: &Error) {
        let me = self.inner.mailbox.agent.clone();
        let reason = format!("{} {}", error.code, error.detail);
        let mut message = self.stamp(answer.to(me).content(reason), None);
        message.acl.sender = Some(Identifier::new(AgentId::ams(&message.tenant)));
        self.inner.effects.messages.push(Arc::new(message));
    }

    /// Whether the agent may send this.
    pub(super) fn check(&self, acl: &Acl) -> Result<(), Error> {
        acl.validate()?;
        let (bytes, max) = (
            acl.bytes() as u64,
            self.inner.manifest.limits.message_bytes_max,
        );
        if bytes > max {
            return Err(Error::new(
                Code::MessageTooLarge,
                format!("the message has {bytes} bytes, message_bytes_max is {max}"),
            ));
        }
        Ok(())
    }

    /// Sender, id, trace, parent and hop are the server's to say. The message is checked already.
    #[inline]
    pub(super) fn stamp(&mut self, mut acl: Acl, waiting: Option<Arc<[MailboxId]>>) -> Message {
        acl.sender = Some(Identifier::new(self.inner.mailbox.agent.clone()));
        let (id, created) = self.new_message_id();
        acl.name_conversation(id);
        let trace = self.trace().unwrap_or_else(|| self.new_trace());
        let (parent, hop) = match &self.inner.current {
            Some(current) => (Some(current.message), current.hop.saturating_add(1)),
            None => (None, 0),
        };
        Message {
            id,
            tenant: self.inner.mailbox.agent.tenant.clone(),
            trace,
            parent,
            hop,
            waiting,
            created,
            acl,
        }
    }

    pub(super) fn new_trace(&self) -> TraceContext {
        let mut bytes = [0_u8; 24];
        self.inner.services.entropy.fill(&mut bytes);
        let mut trace = TraceContext {
            trace_id: [1; 16],
            span_id: [1; 8],
            sampled: false,
        };
        for (to, from) in trace
            .trace_id
            .iter_mut()
            .chain(&mut trace.span_id)
            .zip(bytes)
        {
            *to = from;
        }
        trace
    }
}

/// Refuses the language in which doors and assistants ask for turns: what changes a session is for
/// whoever may change sessions, and no agent may by itself.
pub(super) fn may_speak(acl: &Acl) -> Result<(), Error> {
    if acl.language.as_deref() != Some(ASK_LANGUAGE) {
        return Ok(());
    }
    let detail = format!("no agent sends {ASK_LANGUAGE}: send what is to be said as text");
    Err(Error::new(Code::PermissionDenied, detail))
}
