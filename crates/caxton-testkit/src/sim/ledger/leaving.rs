//! How messages leave a mailbox: handled, once and in order, with all that their script tells; or given
//! up after their last try.

use super::facts::Facts;
use super::script::Script;
use super::{Ledger, Rule, cast, rule, script};
use caxton_core::{MailboxId, Message, MessageId};
use caxton_engine::port::store::{DeadLetter, Op};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Ledger {
    pub(super) fn leave(&mut self, mailbox: &MailboxId, id: MessageId, how: &str) -> Rule {
        let short = self.short(id);
        let inbox = self.inbox.get_mut(mailbox);
        let found = inbox.and_then(|inbox| {
            let (sequence, _) = inbox.iter().find(|(_, waiting)| waiting.id == id)?;
            let sequence = *sequence;
            inbox.remove(&sequence)
        });
        let Some(left) = found else {
            return Err(format!(
                "{short} is {how} in {mailbox}, where it does not wait"
            ));
        };
        let Some((lane, order)) = left.lane else {
            return Ok(());
        };
        let earlier = self
            .inbox
            .get(mailbox)
            .into_iter()
            .flat_map(|inbox| inbox.values());
        let overtaken = earlier
            .filter(|waiting| {
                let client = lane.starts_with("client");
                waiting
                    .lane
                    .as_ref()
                    .is_some_and(|(other, at)| *other == lane && *at < order)
                    && (!client || self.acknowledged.contains(&waiting.id))
            })
            .map(|waiting| waiting.id)
            .next();
        match overtaken {
            Some(other) => Err(format!(
                "{short} overtakes {} from {lane} in {mailbox}",
                self.short(other)
            )),
            None => Ok(()),
        }
    }

    /// A durable message is handled: its mark, its outbox and its timers must be in the same unit.
    pub(super) fn handled(
        &mut self,
        mailbox: &MailboxId,
        id: MessageId,
        facts: &Facts<'_>,
        scripts: &[Script],
    ) -> Rule {
        let short = self.short(id);
        let text = id.to_string();
        let mark = facts.marks.get(&(mailbox, text.as_str()));
        rule(mark == Some(&1), || {
            format!("{short} is acknowledged in {mailbox}, its state says {mark:?} times")
        })?;
        let Some(expected) = self.expected(id, scripts) else {
            return Ok(());
        };
        let lane = mailbox.to_string();
        let sent: Vec<&str> = facts
            .unit
            .ops
            .iter()
            .filter_map(|op| match op {
                Op::Deliver { message, .. }
                    if message.parent == Some(id)
                        && !facts.begun.contains(&message.id)
                        && message
                            .acl
                            .user_parameters
                            .iter()
                            .any(|(_, of)| *of == lane) =>
                {
                    message.acl.text()
                }
                _ => None,
            })
            .collect();
        rule(sent == expected.sends, || {
            format!(
                "{short} in {mailbox} sends {sent:?}, by its script {:?}",
                expected.sends
            )
        })?;
        let set = facts.unit.ops.iter().filter(|op| {
            matches!(op, Op::TimerPut(timer) if timer.origin == Some(id) && timer.mailbox == *mailbox)
        });
        let set = set.count();
        rule(set == expected.timers, || {
            format!(
                "{short} in {mailbox} sets {set} timers, by its script {}",
                expected.timers
            )
        })
    }

    pub(super) fn marked(&mut self, mailbox: &MailboxId, id: &str, facts: &Facts<'_>) -> Rule {
        let id = MessageId::parse(id).map_err(|error| error.to_string())?;
        let short = self.short(id);
        let durable = cast::is_durable(&mailbox.agent.name);
        rule(!durable || facts.acked.contains(&(mailbox, id)), || {
            format!("{short} changes the state of {mailbox} without being acknowledged")
        })?;
        rule(self.handled.insert((mailbox.clone(), id)), || {
            format!("{short} changes the state of {mailbox} a second time")
        })
    }

    /// The counter in each mailbox's state grows by one for each handled message.
    pub(super) fn counted(&mut self, facts: &Facts<'_>) -> Rule {
        let mut last: BTreeMap<&MailboxId, u64> = BTreeMap::new();
        for op in &facts.unit.ops {
            if let Op::StatePut {
                mailbox,
                key,
                value,
            } = op
                && key == "n"
            {
                last.insert(mailbox, cast::number_of(value));
            }
        }
        for (mailbox, found) in last {
            let marks = facts.marks.keys().filter(|(marked, _)| *marked == mailbox);
            let expected = self.counts.entry(mailbox.clone()).or_default();
            *expected += marks.count() as u64;
            rule(found == *expected, || {
                format!("{mailbox} counts {found} messages, {expected} were handled")
            })?;
        }
        Ok(())
    }

    pub(super) fn attempt(&mut self, mailbox: &MailboxId, id: MessageId, attempts: u32) -> Rule {
        let short = self.short(id);
        let waiting = self
            .inbox
            .get_mut(mailbox)
            .into_iter()
            .flat_map(|inbox| inbox.values_mut());
        let Some(waiting) = waiting.filter(|waiting| waiting.id == id).last() else {
            return Err(format!(
                "a try of {short} in {mailbox}, where it does not wait"
            ));
        };
        let before = waiting.attempts;
        waiting.attempts = attempts;
        rule(attempts == before + 1, || {
            format!("after {before} tries of {short} in {mailbox} come {attempts}")
        })
    }

    pub(super) fn bury(&mut self, letter: &DeadLetter, message: &Arc<Message>) -> Rule {
        let id = letter.id.message;
        let short = self.short(id);
        let (mailbox, code) = (&letter.mailbox, &letter.code);
        self.dead_letters.insert((id, letter.id.receiver.clone()));
        if self
            .inbox
            .get(mailbox)
            .is_some_and(|inbox| inbox.values().any(|w| w.id == id))
        {
            return self.leave(mailbox, id, "buried");
        }
        // Refused by its receiver: it never was in the mailbox.
        let handled = self.handled.contains(&(mailbox.clone(), id));
        rule(!handled && letter.attempts == 0, || {
            format!("{short} is buried ({code}) after it was handled in {mailbox}")
        })?;
        let recorded = self.recorded.entry(id);
        recorded.or_insert_with(|| Arc::clone(message));
        Ok(())
    }

    /// What a handled message must have led to; none where the message is not known by its text.
    fn expected(&self, id: MessageId, scripts: &[Script]) -> Option<Expected> {
        let message = self.recorded.get(&id)?;
        let number = script::number(message).filter(|_| cast::plays(message));
        let script = number.and_then(|number| scripts.get(number).map(|script| (number, script)));
        let mut expected = Expected::default();
        if let Some((number, script)) = script {
            expected.sends = script.sends(number);
            expected.timers = script.timers();
        }
        if cast::is_asked(message) {
            expected.sends.push("r".to_owned());
        }
        Some(expected)
    }
}

#[derive(Debug, Default)]
struct Expected {
    sends: Vec<String>,
    timers: usize,
}
