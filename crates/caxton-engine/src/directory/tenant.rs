//! Tenants: their records, which are the platform's, and their life.

use super::{Directory, Ended};
use crate::documents::Document;
use crate::port::store::{PAGE_ROWS_MAX, Page, PageRequest, Placement, RecordKind};
use caxton_core::error::{Code, Error};
use caxton_core::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Longest display name, in bytes.
pub const DISPLAY_NAME_BYTES_MAX: usize = 256;

/// Where a tenant's data is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// In the file that tenants share.
    #[default]
    Shared,
    /// In a file of its own.
    Dedicated,
}

impl Storage {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Dedicated => "dedicated",
        }
    }

    const fn placement(self) -> Placement {
        match self {
            Self::Shared => Placement::Shared,
            Self::Dedicated => Placement::Dedicated,
        }
    }

    pub fn parse(text: &str) -> Result<Self, Error> {
        match text {
            "" | "shared" => Ok(Self::Shared),
            "dedicated" => Ok(Self::Dedicated),
            _ => {
                let what = "is neither shared nor dedicated".to_owned();
                let detail = format!("`storage` {what}");
                let error = Error::new(Code::ParameterMalformed, detail);
                Err(error.with_fields(vec![("storage".to_owned(), what)]))
            }
        }
    }
}

/// Where a tenant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TenantState {
    Active,
    /// Its agents rest and its keys are refused; its data stays.
    Suspended,
    /// Its data goes; a server that stops in the middle goes on at its next start.
    Removing,
    /// Gone. The record stays, so that the id is never used again.
    Removed,
}

impl TenantState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Removing => "removing",
            Self::Removed => "removed",
        }
    }
}

/// A tenant, as kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantRecord {
    pub id: TenantId,
    pub display_name: String,
    pub storage: Storage,
    pub state: TenantState,
    pub created: Timestamp,
    pub updated: Timestamp,
}

impl Document for TenantRecord {
    const KIND: RecordKind = RecordKind("tenant");
}

/// A tenant to be made.
#[derive(Clone, Debug)]
pub struct TenantDraft {
    pub id: TenantId,
    pub display_name: String,
    pub storage: Storage,
}

/// What of a tenant changes; the rest stays.
#[derive(Clone, Debug, Default)]
pub struct TenantChange {
    pub display_name: Option<String>,
    pub storage: Option<Storage>,
}

pub(super) fn not_found(id: &TenantId) -> Error {
    Error::new(Code::TenantNotFound, format!("there is no tenant {id}"))
}

fn display_name(text: String) -> Result<String, Error> {
    if text.len() <= DISPLAY_NAME_BYTES_MAX && !text.contains(char::is_control) {
        return Ok(text);
    }
    let what =
        format!("is longer than {DISPLAY_NAME_BYTES_MAX} bytes or has control characters in it");
    let error = Error::new(Code::ParameterMalformed, format!("`displayName` {what}"));
    Err(error.with_fields(vec![("displayName".to_owned(), what)]))
}

impl Directory {
    pub(super) async fn ensure_default(&self) -> Result<(), Error> {
        let id = TenantId::default_tenant();
        if self.tenant_known(&id).await?.is_some() {
            return Ok(());
        }
        let now = self.clock.now();
        self.keep_tenant(TenantRecord {
            id,
            display_name: String::new(),
            storage: Storage::Shared,
            state: TenantState::Active,
            created: now,
            updated: now,
        })
        .await?;
        Ok(())
    }

    /// The tenant's record, whatever its state; from what is at hand or from the store.
    async fn tenant_known(&self, id: &TenantId) -> Result<Option<Arc<TenantRecord>>, Error> {
        if let Some(found) = self.tenants.get(id) {
            return Ok(found);
        }
        let read = async {
            let found: Option<TenantRecord> =
                self.documents.get(&Self::platform(), id.as_str()).await?;
            Ok(found.map(Arc::new))
        };
        Box::pin(self.tenants.get_or_insert_async(id, read)).await
    }

    /// A tenant that is there: active, suspended, or on its way out.
    pub(crate) async fn tenant(&self, id: &TenantId) -> Result<Arc<TenantRecord>, Error> {
        let found = self.tenant_known(id).await?;
        found
            .filter(|record| record.state != TenantState::Removed)
            .ok_or_else(|| not_found(id))
    }

    /// Whether work may be done for this tenant now.
    pub(crate) async fn ensure_active(&self, id: &TenantId) -> Result<(), Error> {
        let record = self.tenant(id).await?;
        match record.state {
            TenantState::Active => Ok(()),
            TenantState::Suspended => Err(Error::new(
                Code::TenantSuspended,
                format!("tenant {id} is suspended"),
            )),
            TenantState::Removing | TenantState::Removed => Err(not_found(id)),
        }
    }

    /// In the order of ids, without the removed.
    pub(crate) async fn tenants(&self, page: &PageRequest) -> Result<Page<TenantRecord>, Error> {
        let mut found: Page<TenantRecord> =
            self.documents.list(&Self::platform(), "", page).await?;
        found.rows.retain(|it| it.state != TenantState::Removed);
        Ok(found)
    }

    /// How many there are.
    pub(crate) async fn tenants_count(&self) -> Result<u64, Error> {
        let mut page = PageRequest::first(PAGE_ROWS_MAX);
        let mut count = 0;
        loop {
            let found = self.tenants(&page).await?;
            count += found.rows.len() as u64;
            let Some(token) = found.next else {
                return Ok(count);
            };
            page.token = Some(token);
        }
    }

    pub(crate) async fn tenant_create(&self, draft: TenantDraft) -> Result<TenantRecord, Error> {
        let display_name = display_name(draft.display_name)?;
        let _one = self.changing.lock().await;
        if self.tenant_known(&draft.id).await?.is_some() {
            let detail = format!("the id {} is taken, or was once", draft.id);
            return Err(Error::new(Code::TenantExists, detail));
        }
        if draft.storage == Storage::Dedicated {
            let place = draft.storage.placement();
            self.store
                .move_tenant(&Self::scope(&draft.id), place)
                .await?;
        }
        let now = self.clock.now();
        self.keep_tenant(TenantRecord {
            id: draft.id,
            display_name,
            storage: draft.storage,
            state: TenantState::Active,
            created: now,
            updated: now,
        })
        .await
    }

    pub(crate) async fn tenant_update(
        &self,
        id: &TenantId,
        change: TenantChange,
    ) -> Result<TenantRecord, Error> {
        let _one = self.changing.lock().await;
        let found = self.tenant(id).await?;
        let mut record = (*found).clone();
        if let Some(text) = change.display_name {
            record.display_name = display_name(text)?;
        }
        if let Some(storage) = change.storage.filter(|to| *to != record.storage) {
            if record.state == TenantState::Removing {
                let detail = format!("tenant {id} is being removed");
                return Err(Error::new(Code::TenantBusy, detail));
            }
            // The data first: a record that is behind is made good by asking again.
            self.store
                .move_tenant(&Self::scope(id), storage.placement())
                .await?;
            record.storage = storage;
        }
        if record == *found {
            return Ok(record);
        }
        self.keep_tenant(record).await
    }

    /// Moves the tenant to another state; whoever holds something of it hears that.
    pub(crate) async fn tenant_turn(
        &self,
        id: &TenantId,
        to: TenantState,
    ) -> Result<TenantRecord, Error> {
        let _one = self.changing.lock().await;
        let mut record = (*self.tenant(id).await?).clone();
        let leaves = record.state == TenantState::Removing && to != TenantState::Removed;
        if leaves {
            let detail = format!("tenant {id} is being removed");
            return Err(Error::new(Code::TenantBusy, detail));
        }
        if to != TenantState::Active && record.id == TenantId::default_tenant() {
            let protected = matches!(to, TenantState::Removing | TenantState::Removed);
            if protected {
                let detail = format!("tenant {id} cannot be removed");
                return Err(Error::new(Code::TenantProtected, detail));
            }
        }
        record.state = to;
        let record = self.keep_tenant(record).await?;
        if to != TenantState::Active {
            self.end(Ended::Tenant(id.clone()));
        }
        Ok(record)
    }

    /// Where a tenant that has data stands. One without a record that has agents is from before there
    /// were records; what else is kept under such an id (a note in the audit that somebody asked for it)
    /// makes no tenant of it.
    pub(crate) async fn standing(&self, id: &TenantId) -> Result<Option<TenantState>, Error> {
        if let Some(record) = self.tenant_known(id).await? {
            return Ok(Some(record.state));
        }
        let has_agents = !self.store.agents(&Self::scope(id)).await?.is_empty();
        if !has_agents && *id != TenantId::default_tenant() {
            return Ok(None);
        }
        let now = self.clock.now();
        self.keep_tenant(TenantRecord {
            id: id.clone(),
            display_name: String::new(),
            storage: Storage::Shared,
            state: TenantState::Active,
            created: now,
            updated: now,
        })
        .await?;
        Ok(Some(TenantState::Active))
    }

    /// Takes the data of a tenant that is being removed out of the store, and then says that it is
    /// gone.
    pub(crate) async fn finish_removing(&self, id: &TenantId) -> Result<(), Error> {
        self.forget_keys(id).await?;
        self.store.remove_tenant(&Self::scope(id)).await?;
        let _one = self.changing.lock().await;
        if let Some(record) = self.tenant_known(id).await? {
            let state = TenantState::Removed;
            let record = (*record).clone();
            self.keep_tenant(TenantRecord { state, ..record }).await?;
        }
        Ok(())
    }

    async fn keep_tenant(&self, mut record: TenantRecord) -> Result<TenantRecord, Error> {
        record.updated = self.clock.now();
        let id = record.id.clone();
        let platform = Self::platform();
        let put = self.documents.put(&platform, id.as_str(), &record).await;
        // Also where the store failed: it may have been written all the same.
        self.tenants.remove(&id);
        put?;
        self.tenants.insert(id, Some(Arc::new(record.clone())));
        Ok(record)
    }
}
