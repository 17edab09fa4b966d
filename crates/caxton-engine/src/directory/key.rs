//! API keys. Of a secret only its hash is kept. A key's record lies in its tenant (the platform's keys
//! in the platform's namespace); beside it the platform keeps which tenant a public id belongs to,
//! because whoever comes with a key does not say.

use super::{Directory, Ended};
use crate::documents::{self, Document};
use crate::port::store::{Page, PageRequest, RecordKind};
use caxton_core::error::{Code, Error};
use caxton_core::grant::{self, Member, Permissions, Principal, Role, Subject};
use caxton_core::key::{ID_BYTES, KeyText, Kind, SECRET_BYTES, SecretHash};
use caxton_core::{TenantId, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use subtle::ConstantTimeEq;

/// Keys of one tenant.
pub const KEYS_MAX: usize = 1000;
/// Longest name of a key, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// Scopes of one key.
const SCOPES_MAX: usize = 64;
/// Longest time in which a rotated key's old secret works.
pub const OVERLAP_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// A key's last use is written this often at most: it is for people who look for unused keys.
const LAST_USE_EVERY: Duration = Duration::from_secs(60);

/// A secret of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySecret {
    /// SHA-256.
    pub hash: SecretHash,
    /// When it stops working; a rotation sets it on the secret that goes.
    pub until: Option<Timestamp>,
}

/// A key, as kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its public id.
    pub id: String,
    pub kind: Kind,
    /// The tenant it belongs to; the platform's own otherwise.
    #[serde(skip, default = "TenantId::platform")]
    pub tenant: TenantId,
    pub name: String,
    pub role: Role,
    /// What narrows the role; none is all of it.
    pub scopes: Vec<String>,
    pub created: Timestamp,
    /// Who made it.
    pub created_by: String,
    pub expires: Option<Timestamp>,
    pub last_used: Option<Timestamp>,
    /// The newest last; two at most.
    pub secrets: Vec<KeySecret>,
}

impl Document for KeyRecord {
    const KIND: RecordKind = RecordKind("key");
}

impl KeyRecord {
    /// What the key may do.
    pub fn permissions(&self) -> Permissions {
        let role = if self.tenant.is_platform() {
            self.role.platform_permissions()
        } else {
            self.role.permissions()
        };
        // Scopes were read when the key was made; what cannot be read now gives nothing.
        role.and(grant::scopes(&self.scopes).unwrap_or_default())
    }

    /// The older secret, while it still works.
    pub fn overlap_until(&self) -> Option<Timestamp> {
        self.secrets.iter().rev().nth(1)?.until
    }
}

/// Which tenant a public id belongs to.
#[derive(Debug, Serialize, Deserialize)]
struct KeyHome {
    /// None: the platform.
    tenant: Option<TenantId>,
}

impl Document for KeyHome {
    const KIND: RecordKind = RecordKind("key-home");
}

/// A key to be made.
#[derive(Clone, Debug)]
pub struct KeyDraft {
    pub name: String,
    pub role: Role,
    pub scopes: Vec<String>,
    pub expires: Option<Timestamp>,
    /// A key of the platform, that acts in every tenant.
    pub platform: bool,
}

/// A key at hand.
pub(super) struct Known {
    pub(super) record: KeyRecord,
    pub(super) member: Arc<Member>,
    /// Microseconds since 1970; 0 is never.
    last_used: AtomicI64,
    last_use_written: Mutex<Option<Timestamp>>,
}

impl Known {
    fn new(record: KeyRecord) -> Arc<Self> {
        let member = Arc::new(Member {
            subject: Subject::Key(record.id.clone()),
            tenant: record.tenant.clone(),
            permissions: record.permissions(),
        });
        Arc::new(Self {
            last_used: AtomicI64::new(record.last_used.map_or(0, Timestamp::as_us)),
            last_use_written: Mutex::new(record.last_used),
            member,
            record,
        })
    }

    /// Whether a secret opens it now. All secrets are compared, in a time that tells nothing.
    pub(super) fn opens(&self, given: &SecretHash, now: Timestamp) -> bool {
        let mut opens = subtle::Choice::from(0);
        for secret in &self.record.secrets {
            let lives = secret.until.is_none_or(|until| now < until);
            opens |= secret.hash.ct_eq(given) & subtle::Choice::from(u8::from(lives));
        }
        bool::from(opens) && self.record.expires.is_none_or(|at| now < at)
    }

    /// Notes a use; answers whether it should be written down.
    fn used(&self, now: Timestamp) -> bool {
        self.last_used.store(now.as_us(), Ordering::Relaxed);
        let Some(mut written) = self.last_use_written.try_lock() else {
            return false;
        };
        let due = written.is_none_or(|at| now.since(at) >= LAST_USE_EVERY);
        if due {
            *written = Some(now);
        }
        due
    }

    fn shown(&self) -> KeyRecord {
        let used = self.last_used.load(Ordering::Relaxed);
        KeyRecord {
            last_used: (used != 0).then(|| Timestamp::from_us(used)),
            ..self.record.clone()
        }
    }
}

fn not_found(id: &str) -> Error {
    let id = caxton_core::error::shown(id);
    Error::new(Code::KeyNotFound, format!("there is no key {id}"))
}

fn malformed(field: &str, what: String) -> Error {
    let error = Error::new(Code::ParameterMalformed, format!("`{field}` {what}"));
    error.with_fields(vec![(field.to_owned(), what)])
}

impl Directory {
    /// The key of a public id, wherever it belongs.
    pub(super) async fn key_known(&self, id: &str) -> Result<Option<Arc<Known>>, Error> {
        if let Some(found) = self.keys.get(id) {
            return Ok(found);
        }
        // On the heap: every request holds a place for this, and few come here.
        let read = async {
            let home: Option<KeyHome> = self.documents.get(&Self::platform(), id).await?;
            let Some(home) = home else {
                return Ok(None);
            };
            let tenant = home.tenant.unwrap_or_else(TenantId::platform);
            let found = self.documents.get(&Self::scope(&tenant), id).await?;
            Ok(found.map(|record: KeyRecord| Known::new(KeyRecord { tenant, ..record })))
        };
        Box::pin(self.keys.get_or_insert_async(id, read)).await
    }

    /// A key of this tenant. Another's answers as one that is not there.
    pub(crate) async fn key(&self, tenant: &TenantId, id: &str) -> Result<KeyRecord, Error> {
        Ok(self.key_of(tenant, id).await?.shown())
    }

    async fn key_of(&self, tenant: &TenantId, id: &str) -> Result<Arc<Known>, Error> {
        let found = self.key_known(id).await?;
        found
            .filter(|known| known.record.tenant == *tenant)
            .ok_or_else(|| not_found(id))
    }

    /// In the order of public ids.
    pub(crate) async fn keys(
        &self,
        tenant: &TenantId,
        page: &PageRequest,
    ) -> Result<Page<KeyRecord>, Error> {
        let scope = Self::scope(tenant);
        let mut found: Page<KeyRecord> = self.documents.list(&scope, "", page).await?;
        for record in &mut found.rows {
            record.tenant = tenant.clone();
            if let Some(Some(known)) = self.keys.peek(record.id.as_str()) {
                record.last_used = known.shown().last_used;
            }
        }
        Ok(found)
    }

    /// Makes a key; its text is given here, and never again.
    pub(crate) async fn key_create(
        &self,
        tenant: &TenantId,
        draft: KeyDraft,
        by: &str,
    ) -> Result<(KeyRecord, KeyText), Error> {
        if draft.name.is_empty()
            || draft.name.len() > NAME_BYTES_MAX
            || draft.name.contains(char::is_control)
        {
            let what =
                format!("has no text, more than {NAME_BYTES_MAX} bytes or control characters");
            return Err(malformed("name", what));
        }
        if draft.scopes.len() > SCOPES_MAX {
            return Err(malformed("scopes", format!("are more than {SCOPES_MAX}")));
        }
        grant::scopes(&draft.scopes)?;
        let now = self.clock.now();
        if draft.expires.is_some_and(|at| at <= now) {
            return Err(malformed("expireTime", "is not in the future".to_owned()));
        }
        let _one = self.changing.lock().await;
        let scope = Self::scope(tenant);
        let page = PageRequest::first(crate::port::store::PAGE_ROWS_MAX);
        let there: Page<KeyRecord> = self.documents.list(&scope, "", &page).await?;
        if there.rows.len() >= KEYS_MAX {
            let detail = format!("there are {KEYS_MAX} keys already");
            return Err(Error::new(Code::KeysTooMany, detail));
        }
        let kind = if tenant.is_platform() {
            Kind::Adm
        } else {
            Kind::Key
        };
        let (mut id, mut secret) = ([0; ID_BYTES], [0; SECRET_BYTES]);
        self.entropy.fill(&mut id);
        self.entropy.fill(&mut secret);
        let text = KeyText::new(kind, &id, &secret);
        let record = KeyRecord {
            id: text.id.clone(),
            kind,
            tenant: tenant.clone(),
            name: draft.name,
            role: draft.role,
            scopes: draft.scopes,
            created: now,
            created_by: by.to_owned(),
            expires: draft.expires,
            last_used: None,
            secrets: vec![KeySecret {
                hash: text.hash(),
                until: None,
            }],
        };
        // The record first: a home without a key opens nothing, a key without a home is not found.
        self.documents.put(&scope, &record.id, &record).await?;
        let home = KeyHome {
            tenant: (!tenant.is_platform()).then(|| tenant.clone()),
        };
        self.documents
            .put(&Self::platform(), &record.id, &home)
            .await?;
        self.keys
            .insert(record.id.clone(), Some(Known::new(record.clone())));
        Ok((record, text))
    }

    /// Refuses a key that would be good for longer than the key that makes it.
    pub(crate) async fn ensure_outlived(
        &self,
        maker: &Principal,
        expires: Option<Timestamp>,
    ) -> Result<(), Error> {
        let Principal::Member(member) = maker else {
            return Ok(());
        };
        let Subject::Key(id) = &member.subject else {
            return Ok(());
        };
        let own = self.key(&member.tenant, id).await?.expires;
        match own {
            Some(own) if expires.is_none_or(|at| at > own) => {
                let detail = format!("the key that makes it expires at {own}: name that or less");
                Err(Error::new(Code::GrantExceeded, detail))
            }
            _ => Ok(()),
        }
    }

    /// Gives the key another secret; the one before works until `overlap` has passed.
    pub(crate) async fn key_rotate(
        &self,
        tenant: &TenantId,
        id: &str,
        overlap: Duration,
    ) -> Result<(KeyRecord, KeyText), Error> {
        if overlap > OVERLAP_MAX {
            return Err(malformed("overlap", "is longer than 30 days".to_owned()));
        }
        let _one = self.changing.lock().await;
        let mut record = self.key_of(tenant, id).await?.shown();
        let now = self.clock.now();
        if record.expires.is_some_and(|at| at <= now) {
            let what = "is of a key that has expired: make another one";
            return Err(malformed("id", what.to_owned()));
        }
        let mut secret = [0; SECRET_BYTES];
        self.entropy.fill(&mut secret);
        let text = KeyText::with_secret(record.kind, &record.id, &secret);
        let newest = record.secrets.pop();
        record.secrets = newest
            .into_iter()
            .filter(|_| !overlap.is_zero())
            .map(|before| KeySecret {
                until: Some(now.plus(overlap)),
                ..before
            })
            .collect();
        record.secrets.push(KeySecret {
            hash: text.hash(),
            until: None,
        });
        let kept = self.keep_key(record.clone()).await;
        // Also where the store failed: it may have been written all the same.
        self.end(Ended::Rotated(record.id.clone(), now.plus(overlap)));
        kept?;
        Ok((record, text))
    }

    /// Ends a key for good; what it opened ends too.
    pub(crate) async fn key_revoke(&self, tenant: &TenantId, id: &str) -> Result<(), Error> {
        let _one = self.changing.lock().await;
        let known = self.key_of(tenant, id).await?;
        let id = known.record.id.clone();
        let gone = vec![documents::remove::<KeyRecord>(&id)];
        let removed = self.documents.commit(&Self::scope(tenant), gone).await;
        // Also where the store failed: it may have been written all the same.
        self.keys.remove(id.as_str());
        self.end(Ended::Key(id.clone()));
        removed?;
        self.keys.insert(id.clone(), None);
        self.documents
            .remove::<KeyHome>(&Self::platform(), &id)
            .await
    }

    /// Forgets where the keys of a tenant that goes belong; the keys go with its data.
    pub(super) async fn forget_keys(&self, tenant: &TenantId) -> Result<(), Error> {
        let scope = Self::scope(tenant);
        let page = PageRequest::first(crate::port::store::PAGE_ROWS_MAX);
        let there: Page<KeyRecord> = self.documents.list(&scope, "", &page).await?;
        let homes = there
            .rows
            .iter()
            .map(|key| documents::remove::<KeyHome>(&key.id));
        let homes: Vec<_> = homes.collect();
        if !homes.is_empty() {
            self.documents.commit(&Self::platform(), homes).await?;
        }
        for key in &there.rows {
            self.keys.insert(key.id.clone(), None);
        }
        Ok(())
    }

    async fn keep_key(&self, record: KeyRecord) -> Result<(), Error> {
        let scope = Self::scope(&record.tenant);
        let kept = self.documents.put(&scope, &record.id, &record).await;
        self.keys.remove(record.id.as_str());
        kept?;
        let id = record.id.clone();
        self.keys.insert(id, Some(Known::new(record)));
        Ok(())
    }

    /// Notes that the key was used now, and now and then writes it down.
    pub(super) async fn key_used(&self, known: &Arc<Known>, now: Timestamp) {
        if !known.used(now) {
            return;
        }
        let Ok(_one) = self.changing.try_lock() else {
            return;
        };
        // Only what is still the key: never bring back one that was revoked meanwhile.
        let current = self.keys.peek(known.record.id.as_str()).flatten();
        if !current.is_some_and(|it| Arc::ptr_eq(&it, known)) {
            return;
        }
        let scope = Self::scope(&known.record.tenant);
        let shown = known.shown();
        let put = Box::pin(self.documents.put(&scope, &shown.id, &shown));
        if let Err(error) = put.await {
            tracing::debug!(key = shown.id, %error, "a key's last use was not written");
        }
    }
}
