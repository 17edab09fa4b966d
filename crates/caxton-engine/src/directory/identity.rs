//! From a credential to a principal, and the news that it is none any more.

use super::Directory;
use crate::port::Clock;
use caxton_core::error::{Code, Error};
use caxton_core::grant::{Member, Principal, Role, Subject};
use caxton_core::key::KeyText;
use caxton_core::{TenantId, Timestamp};
use std::sync::Arc;
use tokio::sync::broadcast;

/// What stopped being good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A key, by its public id.
    Key(String),
    /// A tenant was suspended or removed.
    Tenant(TenantId),
    /// Somebody's role changed.
    Subject(TenantId, Subject),
}

/// Somebody who was let in.
#[derive(Debug)]
pub struct Identity {
    pub principal: Principal,
    /// When the credential ends by itself.
    pub expires: Option<Timestamp>,
    ended: broadcast::Receiver<Ended>,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self {
            principal: self.principal.clone(),
            expires: self.expires,
            ended: self.ended.resubscribe(),
        }
    }
}

impl Identity {
    /// Completes when what this identity stands on is revoked, suspended, changed or expired. A
    /// stream that was opened with it in `tenant` ends then, and its client comes back with what is
    /// good now.
    pub async fn ended(mut self, tenant: TenantId, clock: Arc<dyn Clock>) {
        let late = match self.expires {
            Some(at) => clock.sleep_until(at),
            None => Box::pin(std::future::pending()),
        };
        let told = async {
            loop {
                match self.ended.recv().await {
                    Ok(news) if concerns(&news, &self.principal, &tenant) => return,
                    Ok(_) => {}
                    // Too far behind to know: end, to be safe.
                    Err(broadcast::error::RecvError::Lagged(_)) => return,
                    Err(broadcast::error::RecvError::Closed) => return,
                }
            }
        };
        tokio::select! {
            () = told => {}
            () = late => {}
        }
    }
}

fn concerns(news: &Ended, principal: &Principal, tenant: &TenantId) -> bool {
    let Principal::Member(member) = principal else {
        return false;
    };
    match news {
        Ended::Key(id) => matches!(&member.subject, Subject::Key(own) if own == id),
        Ended::Tenant(ended) => ended == tenant,
        Ended::Subject(of, subject) => of == tenant && *subject == member.subject,
    }
}

impl Directory {
    pub(super) fn end(&self, what: Ended) {
        // Nobody listening is no failure.
        let _ = self.ended.send(what);
    }

    fn identity(&self, principal: Principal, expires: Option<Timestamp>) -> Identity {
        Identity {
            principal,
            expires,
            ended: self.ended.subscribe(),
        }
    }

    /// Who the holder of the data folder's `admin.key` is.
    pub(crate) fn identify_admin(&self) -> Identity {
        self.identity(Principal::platform_admin(), None)
    }

    /// Who this key belongs to. Every refusal reads the same, for whoever tries keys should learn
    /// nothing.
    pub(crate) async fn identify_key(&self, text: &str) -> Result<Identity, Error> {
        let unknown = || Error::new(Code::Unauthenticated, "the key is not known");
        let key = KeyText::parse(text)?;
        let known = self.key_known(&key.id).await?.ok_or_else(unknown)?;
        let now = self.clock.now();
        let fits = known.record.kind == key.kind && known.opens(&key.hash(), now);
        if !fits {
            return Err(unknown());
        }
        self.key_used(&known, now).await;
        let old = known
            .record
            .secrets
            .iter()
            .find(|it| it.until.is_some() && it.hash == key.hash());
        let until = old.and_then(|it| it.until).or(known.record.expires);
        let principal = Principal::Member(Arc::clone(&known.member));
        Ok(self.identity(principal, until))
    }

    /// Who a user is that another authority vouches for. The tenant's own assignment counts first;
    /// without one, the role that the authority names, if its configuration lets it.
    pub(crate) async fn identify_subject(
        &self,
        tenant: &TenantId,
        subject: Subject,
        vouched: Option<Role>,
        expires: Option<Timestamp>,
    ) -> Result<Identity, Error> {
        let assigned = self
            .assignment_known(tenant, &subject.to_string())
            .await?
            .map(|it| it.role);
        let role = assigned.or(vouched).ok_or_else(|| {
            Error::new(
                Code::PermissionDenied,
                format!("{subject} has no role in tenant {tenant}"),
            )
        })?;
        let principal = Principal::Member(Arc::new(Member {
            subject,
            tenant: tenant.clone(),
            permissions: role.permissions(),
        }));
        Ok(self.identity(principal, expires))
    }
}
