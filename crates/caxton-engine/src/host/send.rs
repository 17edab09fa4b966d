//! Sending: the guest's ACL parameters become a stamped message in the outbox.

use super::Host;
use caxton_core::error::{Code, Error};
use caxton_core::{Acl, Identifier, MailboxId, Message, MessageId, TraceContext};
use std::sync::Arc;

impl Host {
    /// Queues a message; it leaves when the handler's effects are committed. Gives its id.
    pub fn send(&mut self, acl: Acl) -> Result<MessageId, Error> {
        self.charge()?;
        let max = self.inner.manifest.limits.sends_per_message_max;
        if self.inner.used.sends >= max {
            return Err(Error::new(
                Code::HostCallLimit,
                format!("more than {max} messages sent for one message"),
            ));
        }
        let message = self.stamp(acl, None)?;
        self.inner.used.sends += 1;
        let id = message.id;
        self.inner.effects.messages.push(Arc::new(message));
        Ok(id)
    }

    /// Checks and stamps: sender, id, trace, parent and hop are the server's to say.
    pub(super) fn stamp(
        &self,
        mut acl: Acl,
        waiting: Option<Arc<[MailboxId]>>,
    ) -> Result<Message, Error> {
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
        acl.sender = Some(Identifier::new(self.inner.mailbox.agent.clone()));
        let id = self.new_message_id();
        let (trace, parent, hop) = match &self.inner.current {
            Some(current) => (
                current.message.trace.child(current.span_id),
                Some(current.message.id),
                current.message.hop.saturating_add(1),
            ),
            None => (self.new_trace(), None, 0),
        };
        Ok(Message {
            id,
            tenant: self.inner.mailbox.agent.tenant.clone(),
            trace,
            parent,
            hop,
            waiting,
            created: self.inner.services.clock.now(),
            acl,
        })
    }

    fn new_trace(&self) -> TraceContext {
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
