//! People in the audit: a pseudonym in the chain, and beside it a record of who that is. Erasing the
//! record leaves the chain as it is, and nobody can tell any more who it was.

use super::Audit;
use crate::documents::Document;
use crate::port::store::RecordKind;
use caxton_core::TenantId;
use caxton_core::audit::hex;
use caxton_core::error::{Code, Error};
use caxton_core::grant::{Principal, Subject};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Bytes of a pseudonym.
const PSEUDONYM_BYTES: usize = 16;

/// What a tenant's pseudonyms are made with: without it nobody can try names until one fits.
#[derive(Debug, Serialize, Deserialize)]
struct Salt {
    salt: [u8; 32],
}

impl Document for Salt {
    const KIND: RecordKind = RecordKind("audit-salt");
}

/// Who a pseudonym is.
#[derive(Debug, Serialize, Deserialize)]
struct Person {
    subject: String,
}

impl Document for Person {
    const KIND: RecordKind = RecordKind("audit-person");
}

impl Audit {
    /// How a principal stands in a tenant's chain.
    pub(super) async fn actor(
        &self,
        principal: &Principal,
        tenant: &TenantId,
    ) -> Result<String, Error> {
        match principal {
            Principal::Member(member) => self.subject(tenant, &member.subject).await,
            Principal::System { .. } => Ok(principal.to_string()),
        }
    }

    /// How a subject stands in a tenant's chain: people by a pseudonym, all else by its name.
    pub(crate) async fn subject(
        &self,
        tenant: &TenantId,
        subject: &Subject,
    ) -> Result<String, Error> {
        let text = subject.to_string();
        if !matches!(subject, Subject::User { .. }) {
            return Ok(text);
        }
        let (scope, subject) = (Self::scope(tenant), text);
        let _one = self.naming.lock().await;
        let salt = match self.documents.get::<Salt>(&scope, "").await? {
            Some(salt) => salt,
            None => {
                let mut bytes = [0; 32];
                self.entropy.fill(&mut bytes);
                let salt = Salt { salt: bytes };
                self.documents.put(&scope, "", &salt).await?;
                salt
            }
        };
        let sum = Sha256::new()
            .chain_update(salt.salt)
            .chain_update(subject.as_bytes())
            .finalize();
        let short = sum.get(..PSEUDONYM_BYTES).unwrap_or_default();
        let pseudonym = format!("person:{}", hex(short));
        if self
            .documents
            .get::<Person>(&scope, &pseudonym)
            .await?
            .is_none()
        {
            let person = Person { subject };
            self.documents.put(&scope, &pseudonym, &person).await?;
        }
        Ok(pseudonym)
    }

    /// Who stands behind an entry's actor, where that is a pseudonym and was not erased.
    pub(super) async fn person(
        &self,
        tenant: &TenantId,
        actor: &str,
    ) -> Result<Option<String>, Error> {
        if !actor.starts_with("person:") {
            return Ok(None);
        }
        let found: Option<Person> = self.documents.get(&Self::scope(tenant), actor).await?;
        Ok(found.map(|person| person.subject))
    }

    /// Forgets who a pseudonym is.
    pub(crate) async fn erase(&self, tenant: &TenantId, pseudonym: &str) -> Result<(), Error> {
        if self.person(tenant, pseudonym).await?.is_none() {
            let shown = caxton_core::error::shown(pseudonym);
            let detail = format!("nobody is known as {shown}");
            return Err(Error::new(Code::PersonNotFound, detail));
        }
        let scope = Self::scope(tenant);
        self.documents.remove::<Person>(&scope, pseudonym).await
    }
}
