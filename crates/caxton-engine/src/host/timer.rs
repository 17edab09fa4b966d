//! Timers of a mailbox.

use super::{Host, TimerEffect};
use crate::port::store::Timer;
use bytes::Bytes;
use caxton_core::error::{Code, Error};
use caxton_core::quota::{GUEST_NAME_BYTES_MAX, TIMER_DELAY_MAX, TIMERS_PER_MAILBOX_MAX};
use std::time::Duration;

impl Host {
    /// Sets the timer of this name, replacing one of the same name. It takes effect with the commit.
    pub fn timer_set(&mut self, name: &str, after: Duration, content: Bytes) -> Result<(), Error> {
        self.charge()?;
        check_name(name)?;
        if after > TIMER_DELAY_MAX {
            return Err(Error::new(
                Code::TimerLimit,
                format!("a timer's delay is at most {} s", TIMER_DELAY_MAX.as_secs()),
            ));
        }
        let outlet = &self.inner.services.outlet;
        let (set, is_there) = outlet.timers(&self.inner.mailbox, name);
        let effects = &self.inner.effects.timers;
        let again = effects
            .iter()
            .any(|effect| matches!(effect, TimerEffect::Set(timer) if timer.name == name));
        let new = usize::from(!is_there && !again);
        if set + self.inner.used.timers + new > TIMERS_PER_MAILBOX_MAX {
            return Err(Error::new(
                Code::TimerLimit,
                format!("a mailbox has at most {TIMERS_PER_MAILBOX_MAX} timers"),
            ));
        }
        if effects.len() >= TIMERS_PER_MAILBOX_MAX {
            return Err(Error::new(
                Code::TimerLimit,
                format!("more than {TIMERS_PER_MAILBOX_MAX} timers set by one message"),
            ));
        }
        let max = self.inner.manifest.limits.message_bytes_max;
        if content.len() as u64 > max {
            return Err(Error::new(
                Code::MessageTooLarge,
                format!("a timer's content is a message's: at most {max} bytes"),
            ));
        }
        self.inner.used.timers += new;
        self.inner.effects.timers.push(TimerEffect::Set(Timer {
            mailbox: self.inner.mailbox.clone(),
            name: name.to_owned(),
            due: self.inner.services.clock.now().plus(after),
            content,
            origin: self.inner.current.as_ref().map(|current| current.message),
        }));
        Ok(())
    }

    pub fn timer_cancel(&mut self, name: &str) -> Result<(), Error> {
        self.charge()?;
        check_name(name)?;
        self.inner
            .effects
            .timers
            .push(TimerEffect::Cancel(name.to_owned()));
        Ok(())
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    if (1..=GUEST_NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Error::new(
        Code::TimerLimit,
        format!("a timer's name has 1 to {GUEST_NAME_BYTES_MAX} bytes and no control characters"),
    ))
}
