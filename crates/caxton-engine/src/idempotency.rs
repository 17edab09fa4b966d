//! `Idempotency-Key`: a creation that is repeated because its answer was lost happens once, also
//! where the server was stopped or killed in between.
//!
//! A key is a record of its tenant, under a digest of it and of whoever gave it: what was asked stands
//! there as a digest, too. It is written before the work begins and again with the answer, so that a
//! server that finds one without an answer knows that an earlier one was stopped midway: whether the
//! work was done cannot be known then, and it is not done again (`CX-1032`). A failure frees the key,
//! since nothing was created and the caller will want to try again. Beside each record stands a small
//! one under the time, so that the oldest are found without reading answers.

use crate::documents::Documents;
use crate::opctx::{OpCtx, TenantScope};
use crate::port::store::{Op, RecordKind, RecordRange};
use crate::port::{Clock, Store};
use bytes::Bytes;
use caxton_core::error::{Code, Error};
use caxton_core::{TenantId, Timestamp};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 255;
/// Longest answer that is kept, in bytes; of a longer one only that it was given.
pub const ANSWER_BYTES_MAX: usize = 4 << 20;
/// What a repeated request is told to wait while the first is in progress.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Old keys forgotten in one commit.
const FORGET_ROWS: u32 = 100;
/// Where there are too many keys, this part of what may be goes with those that must.
const SLACK_PART: usize = 64;
/// Rows read at a time to count.
const COUNT_ROWS: u32 = 1000;
/// Tenants whose count is at hand.
const TENANTS_AT_HAND_MAX: usize = 4096;

/// The keys: [`Kept`] under their digest.
const KEYS: RecordKind = RecordKind("idempotency");
/// The same under the time they began at: the number of bytes kept.
const AGES: RecordKind = RecordKind("idempotency-age");

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How long a key is.
    pub(crate) kept: Duration,
    /// Keys of one tenant; the oldest go first.
    pub(crate) keys_max: usize,
    /// Bytes of answers of one tenant; the oldest go first.
    pub(crate) bytes_max: u64,
}

/// What to do with a request that has a key.
#[derive(Debug)]
pub enum Begun {
    /// It is the first: do it, and settle the claim.
    First(Claim),
    /// It was done: this is what was kept of the first one's answer.
    Replay(Bytes),
}

type Digest = [u8; 32];
type Key = (TenantId, Digest);

/// The keys remembered. One a server.
pub(crate) struct Idempotency {
    store: Arc<dyn Store>,
    documents: Documents,
    clock: Arc<dyn Clock>,
    bounds: Bounds,
    /// What is in progress here, with the digest of the request.
    busy: Mutex<HashMap<Key, Digest>>,
    counts: Cache<TenantId, Arc<Mutex<Count>>>,
    /// Old keys are forgotten by one at a time, so that none is counted twice.
    forgetting: tokio::sync::Mutex<()>,
}

/// How much a tenant has, and since when.
#[derive(Debug, Default)]
struct Count {
    keys: usize,
    bytes: u64,
    oldest: Option<Timestamp>,
}

/// The right to do a keyed request. Settle it with [`Claim::answered`] or [`Claim::freed`]; dropped
/// otherwise, the key stays as one whose work was stopped midway.
pub struct Claim {
    of: Arc<Idempotency>,
    key: Key,
    kept: Kept,
}

impl fmt::Debug for Idempotency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Idempotency")
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Claim")
    }
}

impl Idempotency {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        documents: Documents,
        clock: Arc<dyn Clock>,
        bounds: Bounds,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            documents,
            clock,
            bounds,
            busy: Mutex::default(),
            counts: Cache::new(TENANTS_AT_HAND_MAX),
            forgetting: tokio::sync::Mutex::default(),
        })
    }

    fn scope(tenant: &TenantId) -> TenantScope {
        TenantScope::system(tenant.clone(), "idempotency keys")
    }

    /// Takes a key up; see [`crate::App::idempotency_begin`].
    pub(crate) async fn begin(
        self: &Arc<Self>,
        ctx: &OpCtx,
        key: &str,
        request: (&str, &[u8]),
    ) -> Result<Begun, Error> {
        if key.len() > KEY_BYTES_MAX {
            let what = format!("is longer than {KEY_BYTES_MAX} bytes");
            let detail = format!("`Idempotency-Key` {what}");
            let error = Error::new(Code::ParameterMalformed, detail);
            return Err(error.with_fields(vec![("idempotency-key".to_owned(), what)]));
        }
        let fingerprint = digest(&[request.0.as_bytes(), request.1]);
        let who = ctx.principal.to_string();
        let key: Key = (
            ctx.tenant.clone(),
            digest(&[who.as_bytes(), key.as_bytes()]),
        );
        let claim = self.claim(key, fingerprint)?;
        let (tenant, id) = (&claim.key.0, hex(&claim.key.1));
        let scope = Self::scope(tenant);
        let mut ops = Vec::new();
        if let Some(body) = self.store.record(&scope, KEYS, &id).await? {
            let found = Kept::read(&body)?;
            if claim.kept.began.since(found.began) <= self.bounds.kept {
                return found.again(&fingerprint);
            }
            ops.push(record_remove(AGES, found.age(&id)));
            self.count(tenant).await?.lock().less(found.bytes());
        }
        self.make_room(tenant).await?;
        ops.extend(claim.kept.ops(&id));
        let count = self.count(tenant).await?;
        self.documents.commit(&scope, ops).await?;
        let mut count = count.lock();
        count.keys += 1;
        count.oldest.get_or_insert(claim.kept.began);
        drop(count);
        Ok(Begun::First(claim))
    }

    /// Takes a key up in this process, where nobody else has it.
    fn claim(self: &Arc<Self>, key: Key, fingerprint: Digest) -> Result<Claim, Error> {
        let mut busy = self.busy.lock();
        if let Some(first) = busy.get(&key) {
            if *first != fingerprint {
                return Err(mismatch());
            }
            let detail = "the first request with this Idempotency-Key is not answered yet";
            return Err(Error::new(Code::IdempotencyBusy, detail).retry_after(RETRY_AFTER));
        }
        busy.insert(key.clone(), fingerprint);
        Ok(Claim {
            of: Arc::clone(self),
            key,
            kept: Kept {
                fingerprint,
                began: self.clock.now(),
                answer: Answer::None,
            },
        })
    }

    /// How much a tenant has: counted once, kept up from then on.
    async fn count(&self, tenant: &TenantId) -> Result<Arc<Mutex<Count>>, Error> {
        let read = async {
            let (scope, mut count, mut after) =
                (Self::scope(tenant), Count::default(), String::new());
            loop {
                let range = RecordRange::default().after(&after);
                let page = self.store.records(&scope, AGES, range, COUNT_ROWS);
                let page = page.await?;
                for (id, body) in &page {
                    count.keys += 1;
                    count.bytes += age_bytes(body);
                    count.oldest = count.oldest.or(age_time(id));
                }
                match page.last() {
                    Some((id, _)) if page.len() == COUNT_ROWS as usize => after.clone_from(id),
                    _ => return Ok::<_, Error>(Arc::new(Mutex::new(count))),
                }
            }
        };
        self.counts.get_or_insert_async(tenant, read).await
    }

    /// Forgets what is too old, and the oldest where there is too much.
    async fn make_room(&self, tenant: &TenantId) -> Result<(), Error> {
        let (count, now) = (self.count(tenant).await?, self.clock.now());
        let old = |at: Timestamp| now.since(at) > self.bounds.kept;
        let full = |count: &Count| {
            count.keys >= self.bounds.keys_max || count.bytes > self.bounds.bytes_max
        };
        // A part more than must go, so that not every further key has to make room.
        let slack = self.bounds.keys_max / SLACK_PART;
        let wanted = || {
            let count = count.lock();
            full(&count) || count.oldest.is_some_and(old)
        };
        if !wanted() {
            return Ok(());
        }
        let _turn = self.forgetting.lock().await;
        let scope = Self::scope(tenant);
        while wanted() {
            let found = self
                .store
                .records(&scope, AGES, RecordRange::default(), FORGET_ROWS)
                .await?;
            let (mut ops, mut gone, mut oldest) = (Vec::new(), Vec::new(), None);
            for (age, body) in &found {
                let at = age_time(age).unwrap_or(Timestamp::EPOCH);
                let enough = {
                    let count = count.lock();
                    let keys = count.keys.saturating_sub(gone.len()) + slack;
                    let bytes = count.bytes.saturating_sub(gone.iter().sum());
                    !full(&Count {
                        keys,
                        bytes,
                        oldest,
                    }) && !old(at)
                };
                if enough {
                    oldest = Some(at);
                    break;
                }
                ops.push(record_remove(AGES, age.clone()));
                ops.push(record_remove(KEYS, age_key(age).to_owned()));
                gone.push(age_bytes(body));
            }
            let all = gone.len() == found.len() && found.len() < FORGET_ROWS as usize;
            self.documents.commit(&scope, ops).await?;
            let mut count = count.lock();
            for bytes in gone {
                count.less(bytes);
            }
            // Where more is left to look at, what is next counts as old as the last.
            if all {
                *count = Count::default();
                return Ok(());
            }
            count.oldest = oldest.or(count.oldest);
        }
        Ok(())
    }
}

impl Count {
    fn less(&mut self, bytes: u64) {
        self.keys = self.keys.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

impl Claim {
    /// Keeps the answer. What cannot be written is a warning and no failure: the work is done, and a
    /// repetition is told that its answer is lost.
    pub async fn answered(mut self, answer: Bytes) {
        self.kept.answer = match answer.len() <= ANSWER_BYTES_MAX {
            true => Answer::Given(answer),
            false => Answer::TooLarge,
        };
        let (tenant, id) = (&self.key.0, hex(&self.key.1));
        let work = async {
            let count = self.of.count(tenant).await?;
            let scope = Idempotency::scope(tenant);
            self.of
                .documents
                .commit(&scope, self.kept.ops(&id).into())
                .await?;
            count.lock().bytes += self.kept.bytes();
            Ok::<_, Error>(())
        };
        if let Err(error) = work.await {
            tracing::warn!(%tenant, %error, "the answer for an Idempotency-Key was not kept");
        }
    }

    /// Frees the key: nothing was done.
    pub async fn freed(self) {
        let (tenant, id) = (&self.key.0, hex(&self.key.1));
        let work = async {
            let count = self.of.count(tenant).await?;
            let ops = vec![
                record_remove(KEYS, id.clone()),
                record_remove(AGES, self.kept.age(&id)),
            ];
            let scope = Idempotency::scope(tenant);
            self.of.documents.commit(&scope, ops).await?;
            count.lock().less(0);
            Ok::<_, Error>(())
        };
        if let Err(error) = work.await {
            tracing::warn!(%tenant, %error, "an Idempotency-Key was not freed");
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.of.busy.lock().remove(&self.key);
    }
}

/// A key as kept: a byte of version, the digest of the request, when it began, and the answer.
#[derive(Debug)]
struct Kept {
    fingerprint: Digest,
    began: Timestamp,
    answer: Answer,
}

#[derive(Debug)]
enum Answer {
    None,
    Given(Bytes),
    TooLarge,
}

/// The form of [`Kept`] written here.
const VERSION: u8 = 1;

impl Kept {
    fn write(&self) -> Bytes {
        let (tag, answer) = match &self.answer {
            Answer::None => (0, &[][..]),
            Answer::Given(answer) => (1, answer.as_ref()),
            Answer::TooLarge => (2, &[][..]),
        };
        let mut body = Vec::with_capacity(1 + 32 + 8 + 1 + answer.len());
        body.push(VERSION);
        body.extend(self.fingerprint);
        body.extend(self.began.as_us().to_be_bytes());
        body.push(tag);
        body.extend(answer);
        body.into()
    }

    fn read(body: &Bytes) -> Result<Self, Error> {
        let damaged = || {
            let detail = "the record of an Idempotency-Key cannot be read";
            Error::new(Code::StorageDamaged, detail)
        };
        let (version, rest) = body.split_first().ok_or_else(damaged)?;
        let (fingerprint, rest) = rest.split_first_chunk::<32>().ok_or_else(damaged)?;
        let (began, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (tag, rest) = rest.split_first().ok_or_else(damaged)?;
        let answer = match (version, tag) {
            (&VERSION, 0) => Answer::None,
            (&VERSION, 1) => Answer::Given(body.slice_ref(rest)),
            (&VERSION, 2) => Answer::TooLarge,
            _ => return Err(damaged()),
        };
        Ok(Self {
            fingerprint: *fingerprint,
            began: Timestamp::from_us(i64::from_be_bytes(*began)),
            answer,
        })
    }

    fn bytes(&self) -> u64 {
        match &self.answer {
            Answer::Given(answer) => answer.len() as u64,
            Answer::None | Answer::TooLarge => 0,
        }
    }

    /// What its record under the time is called.
    fn age(&self, id: &str) -> String {
        format!("{:016x}-{id}", self.began.as_us())
    }

    fn ops(&self, id: &str) -> [Op; 2] {
        let key = Op::RecordPut {
            kind: KEYS,
            id: id.to_owned(),
            body: self.write(),
        };
        let age = Op::RecordPut {
            kind: AGES,
            id: self.age(id),
            body: Bytes::copy_from_slice(&self.bytes().to_be_bytes()),
        };
        [key, age]
    }

    /// What a repetition gets.
    fn again(self, fingerprint: &Digest) -> Result<Begun, Error> {
        if self.fingerprint != *fingerprint {
            return Err(mismatch());
        }
        match self.answer {
            Answer::Given(answer) => Ok(Begun::Replay(answer)),
            Answer::TooLarge => Err(Error::new(
                Code::IdempotencyLost,
                "the first request with this Idempotency-Key was done; its answer was too large to \
                 be kept",
            )),
            Answer::None => Err(Error::new(
                Code::IdempotencyLost,
                "the server was stopped before it had answered the first request with this \
                 Idempotency-Key; it may have been done or not",
            )),
        }
    }
}

fn mismatch() -> Error {
    let detail = "the Idempotency-Key was given before with another request";
    Error::new(Code::IdempotencyMismatch, detail)
}

fn record_remove(kind: RecordKind, id: String) -> Op {
    Op::RecordRemove { kind, id }
}

fn age_time(age: &str) -> Option<Timestamp> {
    let (at, _) = age.split_once('-')?;
    Some(Timestamp::from_us(i64::from_str_radix(at, 16).ok()?))
}

fn age_key(age: &str) -> &str {
    age.split_once('-').map_or("", |(_, key)| key)
}

fn age_bytes(body: &[u8]) -> u64 {
    body.try_into().map_or(0, u64::from_be_bytes)
}

/// A digest of parts, each with its length, so that no two lists of parts have the same.
fn digest(parts: &[&[u8]]) -> Digest {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn hex(digest: &Digest) -> String {
    use std::fmt::Write as _;
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
