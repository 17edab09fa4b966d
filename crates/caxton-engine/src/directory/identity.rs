//! From a credential to a principal, and the news that it is none any more.

use super::{Directory, ENDINGS_MAX};
use crate::port::Clock;
use caxton_core::error::{Code, Error};
use caxton_core::grant::{Member, Permissions, Principal, Subject};
use caxton_core::key::KeyParts;
use caxton_core::{TenantId, Timestamp};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::watch;

/// What stopped being good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A key, by its public id.
    Key(String),
    /// A key has another secret; those before end then, and those before them at once.
    Rotated(String, Timestamp),
    /// A tenant was suspended or removed.
    Tenant(TenantId),
    /// Somebody's role changed.
    Subject(TenantId, Subject),
}

/// What stopped being good, in order, and the newest of it. A credential remembers how much had ended
/// before it was looked up, so that what ends between its check and a stream's first look is not missed,
/// and a request that opens no stream pays for a number.
#[derive(Debug)]
pub(super) struct News {
    recent: Mutex<VecDeque<Ended>>,
    /// How much has ended so far.
    count: watch::Sender<u64>,
}

impl News {
    pub(super) fn new() -> Self {
        Self {
            recent: Mutex::default(),
            count: watch::Sender::new(0),
        }
    }

    fn count(&self) -> u64 {
        *self.count.borrow()
    }

    fn tell(&self, what: Ended) {
        let mut recent = self.recent.lock();
        if recent.len() == ENDINGS_MAX {
            recent.pop_front();
        }
        recent.push_back(what);
        self.count.send_modify(|count| *count += 1);
    }

    /// The earliest end among what was told after `seen`, and how much has been told by now. What is too
    /// long ago to know is taken for an end.
    fn earliest(
        &self,
        seen: u64,
        end: impl FnMut(&Ended) -> Option<Timestamp>,
    ) -> (Option<Timestamp>, u64) {
        let recent = self.recent.lock();
        let count = self.count();
        let new = usize::try_from(count - seen).unwrap_or(usize::MAX);
        let known = recent.len().checked_sub(new);
        let earliest = match known {
            Some(from) => recent.range(from..).filter_map(end).min(),
            None => Some(Timestamp::EPOCH),
        };
        (earliest, count)
    }
}

/// Somebody who was let in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Identity {
    pub principal: Principal,
    /// When the credential ends by itself.
    pub expires: Option<Timestamp>,
    /// It came with a secret that another has taken the place of.
    outdated: bool,
    news: Arc<News>,
    /// How much had ended before the credential was looked up.
    seen: u64,
}

impl Identity {
    /// The same, to be asked only of what ends from now on: for whoever has listened until now.
    #[must_use]
    pub fn caught_up(mut self) -> Self {
        self.seen = self.news.count();
        self
    }

    /// Completes when what this identity stands on is revoked, suspended, changed or expired. A
    /// stream that was opened with it in `tenant` ends then, and its client comes back with what is
    /// good now.
    pub async fn ended(self, tenant: TenantId, clock: Arc<dyn Clock>) {
        let mut counts = self.news.count.subscribe();
        let (mut seen, mut end, mut outdated) = (self.seen, self.expires, self.outdated);
        loop {
            let end_by = |news: &Ended| self.end_by(news, &tenant, &mut outdated);
            let (told, count) = self.news.earliest(seen, end_by);
            end = end.into_iter().chain(told).min();
            if end.is_some_and(|at| at <= clock.now()) {
                return;
            }
            seen = count;
            let late = match end {
                Some(at) => clock.sleep_until(at),
                None => Box::pin(std::future::pending()),
            };
            tokio::select! {
                told = counts.wait_for(|now| *now != count) => {
                    // Nobody tells any more when the server is gone.
                    if told.is_err() {
                        return;
                    }
                }
                () = late => return,
            }
        }
    }

    /// When some news ends this identity, if it concerns it. A secret outlives one rotation and no more.
    fn end_by(&self, news: &Ended, tenant: &TenantId, outdated: &mut bool) -> Option<Timestamp> {
        let Principal::Member(member) = &self.principal else {
            return None;
        };
        let is_key = |id: &String| matches!(&member.subject, Subject::Key(own) if own == id);
        let at_once = |concerned: bool| concerned.then_some(Timestamp::EPOCH);
        match news {
            Ended::Key(id) => at_once(is_key(id)),
            Ended::Rotated(id, until) if is_key(id) => {
                let before = std::mem::replace(outdated, true);
                Some(if before { Timestamp::EPOCH } else { *until })
            }
            Ended::Rotated(..) => None,
            Ended::Tenant(ended) => at_once(ended == tenant),
            Ended::Subject(of, subject) => at_once(of == tenant && *subject == member.subject),
        }
    }
}

impl Directory {
    pub(super) fn end(&self, what: Ended) {
        self.news.tell(what);
    }

    fn identity(&self, principal: Principal, expires: Option<Timestamp>, seen: u64) -> Identity {
        Identity {
            principal,
            expires,
            outdated: false,
            news: Arc::clone(&self.news),
            seen,
        }
    }

    /// Who the holder of the data folder's `admin.key` is.
    pub(crate) fn identify_admin(&self) -> Identity {
        self.identity(Principal::platform_admin(), None, self.news.count())
    }

    /// Who this key belongs to. Every refusal reads the same, for whoever tries keys should learn
    /// nothing.
    pub(crate) async fn identify_key(&self, text: &str) -> Result<Identity, Error> {
        let unknown = || Error::new(Code::Unauthenticated, "the key is not known");
        let seen = self.news.count();
        let key = KeyParts::parse(text)?;
        let known = self.key_known(key.id).await?.ok_or_else(unknown)?;
        let (now, hash) = (self.clock.now(), key.hash());
        let fits = known.record.kind == key.kind && known.opens(&hash, now);
        if !fits {
            return Err(unknown());
        }
        self.key_used(&known, now).await;
        let old = known
            .record
            .secrets
            .iter()
            .find(|it| it.until.is_some() && it.hash == hash);
        let until = old.and_then(|it| it.until);
        let until = until.into_iter().chain(known.record.expires).min();
        let principal = Principal::Member(Arc::clone(&known.member));
        Ok(Identity {
            outdated: old.is_some(),
            ..self.identity(principal, until, seen)
        })
    }

    /// Who a user is that another authority vouches for. The tenant's own assignment counts first;
    /// without one, what the roles allow that the authority names, if its configuration lets it.
    pub(crate) async fn identify_subject(
        &self,
        tenant: &TenantId,
        subject: Subject,
        vouched: Option<Permissions>,
        expires: Option<Timestamp>,
    ) -> Result<Identity, Error> {
        let seen = self.news.count();
        let assigned = self
            .assignment_known(tenant, &subject.to_string())
            .await?
            .map(|it| it.role.permissions());
        let permissions = assigned.or(vouched).ok_or_else(|| {
            Error::new(
                Code::PermissionDenied,
                format!("{subject} has no role in tenant {tenant}"),
            )
        })?;
        let principal = Principal::Member(Arc::new(Member {
            subject,
            tenant: tenant.clone(),
            permissions,
        }));
        Ok(self.identity(principal, expires, seen))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key(id: impl ToString) -> Ended {
        Ended::Key(id.to_string())
    }

    #[test]
    fn what_ended_between_a_check_and_the_first_look_is_seen() {
        let news = News::new();
        news.tell(key("old"));
        let seen = news.count();
        let is = |wanted: &str| {
            news.earliest(seen, |it| (*it == key(wanted)).then_some(Timestamp::EPOCH))
                .0
                .is_some()
        };
        assert!(!is("old") && !is("mine"));
        news.tell(key("other"));
        news.tell(key("mine"));
        assert!(!is("old") && is("other") && is("mine"));
        assert_eq!(news.earliest(seen, |_| None), (None, 3));
    }

    #[test]
    fn whoever_is_too_far_behind_is_taken_to_have_ended() {
        let news = News::new();
        for n in 0..ENDINGS_MAX {
            news.tell(key(n));
        }
        assert!(news.earliest(0, |_| None).0.is_none());
        news.tell(key("one more"));
        assert!(news.earliest(0, |_| None).0.is_some());
        assert!(news.earliest(1, |_| None).0.is_none());
        assert_eq!(news.recent.lock().len(), ENDINGS_MAX);
    }
}
