//! Sessions and their histories, as kept.

use crate::documents::{Document, Documents};
use crate::opctx::TenantScope;
use crate::port::Store;
use crate::port::store::{LogName, LogRange, RecordKind};
use caxton_core::error::{Code, Error};
use caxton_core::session::{Entry, Session, SessionId};
use std::fmt;
use std::sync::Arc;

/// The kind of log that histories are.
const HISTORY: &str = "history";
/// Entries read of a history at a time.
const CHUNK_ROWS: u32 = 200;
/// Messages of a session's conversation forgotten in one commit.
const FORGET_ROWS: u32 = 1_000;
/// Locks that sessions share while they are begun.
const BEGINNINGS: usize = 256;

impl Document for Session {
    const KIND: RecordKind = RecordKind("session");
}

/// The sessions of a server.
pub(crate) struct Sessions {
    store: Arc<dyn Store>,
    pub(crate) documents: Documents,
    /// Held while a session is begun, so that two who name the same one begin it once.
    beginning: Vec<tokio::sync::Mutex<()>>,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions")
    }
}

impl Sessions {
    pub(crate) fn new(store: Arc<dyn Store>, documents: Documents) -> Self {
        Self {
            store,
            documents,
            beginning: (0..BEGINNINGS)
                .map(|_| tokio::sync::Mutex::default())
                .collect(),
        }
    }

    /// Leave to begin a session, which nobody else of the same id has meanwhile.
    pub(crate) async fn beginning(
        &self,
        id: &SessionId,
    ) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let sum = id.as_str().bytes();
        let sum = sum.fold(0_usize, |sum, byte| {
            sum.wrapping_mul(31) + usize::from(byte)
        });
        let lock = self.beginning.get(sum % BEGINNINGS)?;
        Some(lock.lock().await)
    }

    pub(crate) async fn find(
        &self,
        scope: &TenantScope,
        id: &SessionId,
    ) -> Result<Option<Session>, Error> {
        self.documents.get(scope, id.as_str()).await
    }

    /// Forgets the messages in which a session's turns were asked and answered.
    pub(crate) async fn forget_messages(
        &self,
        scope: &TenantScope,
        id: &SessionId,
    ) -> Result<(), Error> {
        let talk = id.conversation()?;
        let some = || self.store.forget_conversation(scope, &talk, FORGET_ROWS);
        while some().await? == FORGET_ROWS {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    pub(crate) fn log(id: &SessionId) -> LogName {
        LogName {
            kind: HISTORY,
            key: id.as_str().into(),
        }
    }

    /// Entries with their indices from one on, at most `rows_max`.
    pub(crate) async fn entries(
        &self,
        scope: &TenantScope,
        id: &SessionId,
        from: u64,
        rows_max: u32,
    ) -> Result<Vec<(u64, Entry)>, Error> {
        let range = LogRange {
            from,
            ..LogRange::ALL
        };
        let rows = self.store.log(scope, &Self::log(id), range, rows_max);
        let rows = rows.await?;
        let read = |(index, body): (u64, bytes::Bytes)| {
            let entry = serde_json::from_slice(&body).map_err(|error| {
                let detail = format!("an entry of session {id} cannot be read: {error}");
                Error::new(Code::StorageDamaged, detail)
            })?;
            Ok((index, entry))
        };
        rows.into_iter().map(read).collect()
    }

    /// All entries from one on.
    pub(crate) async fn entries_all(
        &self,
        scope: &TenantScope,
        id: &SessionId,
        from: u64,
        before: u64,
    ) -> Result<Vec<Entry>, Error> {
        let mut all = Vec::new();
        let mut from = from;
        while from < before {
            let rows = self.entries(scope, id, from, CHUNK_ROWS).await?;
            let Some((last, _)) = rows.last() else { break };
            from = last + 1;
            let within = rows.into_iter().filter(|(index, _)| *index < before);
            all.extend(within.map(|(_, entry)| entry));
        }
        Ok(all)
    }
}
