//! Nouns kept as records: each is a serde type with a kind of its own, written as JSON. This is all
//! that a noun without a table needs of the store.

use crate::opctx::TenantScope;
use crate::port::Store;
use crate::port::page::{self, List, Position};
use crate::port::store::{Op, PAGE_ROWS_MAX, Page, PageRequest, RecordKind, RecordRange, Unit};
use bytes::Bytes;
use caxton_core::Epoch;
use caxton_core::error::{Code, Error};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// A noun that is kept as records.
pub(crate) trait Document: Serialize + DeserializeOwned {
    const KIND: RecordKind;
}

/// The records of the store. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Documents {
    store: Arc<dyn Store>,
    epoch: Epoch,
}

impl Documents {
    pub(crate) fn new(store: Arc<dyn Store>, epoch: Epoch) -> Self {
        Self { store, epoch }
    }

    pub(crate) async fn get<T: Document>(
        &self,
        scope: &TenantScope,
        id: &str,
    ) -> Result<Option<T>, Error> {
        let found = self.store.record(scope, T::KIND, id).await?;
        found.map(|body| read(&body)).transpose()
    }

    /// A page in the order of ids.
    pub(crate) async fn list<T: Document>(
        &self,
        scope: &TenantScope,
        prefix: &str,
        asked: &PageRequest,
    ) -> Result<Page<T>, Error> {
        self.page(scope, RecordRange::prefix(prefix), asked).await
    }

    /// The same from the other end: the newest first where ids begin with a time.
    pub(crate) async fn list_newest<T: Document>(
        &self,
        scope: &TenantScope,
        prefix: &str,
        asked: &PageRequest,
    ) -> Result<Page<T>, Error> {
        let range = RecordRange {
            descending: true,
            ..RecordRange::prefix(prefix)
        };
        self.page(scope, range, asked).await
    }

    async fn page<T: Document>(
        &self,
        scope: &TenantScope,
        range: RecordRange<'_>,
        asked: &PageRequest,
    ) -> Result<Page<T>, Error> {
        let list = List::Records(T::KIND.0, range.prefix);
        let after = page::position(list, scope, asked.token.as_deref())?;
        let after = after.map(|position| position.id).unwrap_or_default();
        let rows_max = asked.rows_max.clamp(1, PAGE_ROWS_MAX);
        let found = self
            .store
            .records(scope, T::KIND, range.after(&after), rows_max + 1);
        let mut found = found.await?;
        let more = found.len() > rows_max as usize;
        found.truncate(rows_max as usize);
        let last = found.last().filter(|_| more);
        let next = last.map(|(id, _)| {
            let at = 0;
            page::token(list, scope, &Position { at, id: id.clone() })
        });
        let rows = found.iter().map(|(_, body)| read(body));
        Ok(Page {
            rows: rows.collect::<Result<_, _>>()?,
            next,
        })
    }

    /// Documents in the order of ids, strictly after `after`: for the server's own work.
    pub(crate) async fn after<T: Document>(
        &self,
        scope: &TenantScope,
        after: &str,
        rows_max: u32,
    ) -> Result<Vec<T>, Error> {
        let range = RecordRange::default().after(after);
        let found = self.store.records(scope, T::KIND, range, rows_max);
        found.await?.iter().map(|(_, body)| read(body)).collect()
    }

    pub(crate) async fn put<T: Document>(
        &self,
        scope: &TenantScope,
        id: &str,
        document: &T,
    ) -> Result<(), Error> {
        self.commit(scope, vec![put(id, document)?]).await
    }

    pub(crate) async fn remove<T: Document>(
        &self,
        scope: &TenantScope,
        id: &str,
    ) -> Result<(), Error> {
        self.commit(scope, vec![remove::<T>(id)]).await
    }

    /// Several at once, or none of them.
    pub(crate) async fn commit(&self, scope: &TenantScope, ops: Vec<Op>) -> Result<(), Error> {
        let unit = Unit {
            scope: scope.clone(),
            epoch: self.epoch,
            ops,
        };
        self.store.commit(unit).await?;
        Ok(())
    }
}

pub(crate) fn put<T: Document>(id: &str, document: &T) -> Result<Op, Error> {
    let body = serde_json::to_vec(document);
    let body = body.map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    Ok(Op::RecordPut {
        kind: T::KIND,
        id: id.to_owned(),
        body: Bytes::from(body),
    })
}

pub(crate) fn remove<T: Document>(id: &str) -> Op {
    Op::RecordRemove {
        kind: T::KIND,
        id: id.to_owned(),
    }
}

fn read<T: Document>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| {
        let detail = format!("a record of kind {} cannot be read: {error}", T::KIND.0);
        Error::new(Code::StorageDamaged, detail)
    })
}
