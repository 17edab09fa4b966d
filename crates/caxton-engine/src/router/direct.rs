//! The short way of a message between transient agents: one receiver, nothing to journal, nobody who
//! waits for it or watches. It needs no plan, because it either has a place at once or takes the long
//! way, where refusals are told.

use super::{AgentEntry, Deployed, Shared, plan};
use crate::mailbox::{Item, Wake};
use caxton_core::manifest::Durability;
use caxton_core::route::{self, Target};
use caxton_core::{AgentId, MailboxKey, Message};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a worker remembers of the agent it sent to last. It holds while the registry and the agent's
/// version are the ones it was made from; whether the agent runs is asked each time.
#[derive(Debug)]
pub(super) struct Route {
    entry: Arc<AgentEntry>,
    deployed: Arc<Deployed>,
    generation: u64,
    registry: u64,
    /// Where [`super::Waiters`] count those who wait in this agent's name.
    slot: usize,
}

impl Shared {
    /// Delivers a message of an agent; gives it back where it has to take the long way.
    pub(super) fn send_direct(
        self: &Arc<Self>,
        last: &mut Option<Route>,
        message: Arc<Message>,
    ) -> Result<(), Arc<Message>> {
        let [receiver] = message.acl.receivers.as_slice() else {
            return Err(message);
        };
        let Some(route) = self.route(last, &receiver.id) else {
            return Err(message);
        };
        let (entry, manifest) = (&route.entry, &*route.deployed.manifest);
        if manifest.delivery.durability == Durability::Durable
            || self.waiters.may_wait(route.slot)
            || self.is_watched()
        {
            return Err(message);
        }
        let target = Target {
            phase: entry.phase(),
            manifest,
        };
        let (bytes, hops_max) = (message.acl.bytes(), self.options.hops_max);
        let made;
        let mailbox = match route::decide(&message, bytes, &receiver.id, Some(target), hops_max) {
            Ok(MailboxKey::Agent) => entry.main(),
            Ok(key) => match entry.mailbox(&key, manifest.limits.mailboxes_max) {
                Ok(mailbox) => {
                    made = mailbox;
                    &made
                }
                Err(_) => return Err(message),
            },
            Err(_) => return Err(message),
        };
        let places_max = plan::places_max(&message, &manifest.limits);
        let item = Item {
            message,
            attempts: 0,
            durable: false,
            replay: false,
        };
        match mailbox.push(item, places_max) {
            Ok(Wake::Nothing) => {}
            Ok(Wake::Start) => self.start_worker(entry, mailbox),
            Err((_, item)) => return Err(item.message),
        }
        Ok(())
    }

    /// The route to a receiver: the last one where that still holds.
    fn route<'a>(&self, last: &'a mut Option<Route>, receiver: &AgentId) -> Option<&'a Route> {
        // Read before the agent is looked up: one that comes or goes meanwhile makes the route stale.
        let registry = self.registry.load(Ordering::Acquire);
        let holds = last.as_ref().is_some_and(|route| {
            route.registry == registry
                && route.generation == route.entry.generation()
                && route.entry.id() == receiver
        });
        if !holds {
            *last = None;
            let entry = self.agent(receiver)?;
            let generation = entry.generation();
            *last = Some(Route {
                deployed: entry.deployed(),
                generation,
                registry,
                slot: self.waiters.slot(receiver),
                entry,
            });
        }
        last.as_ref()
    }
}
