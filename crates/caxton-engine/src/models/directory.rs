//! Providers: the tenant's own, the operator's, and the two that need no network.

use crate::documents::{Document, Documents};
use crate::opctx::TenantScope;
use crate::port::Secrets;
use crate::port::model::{Endpoint, ProviderKind};
use crate::port::secrets::Secret;
use crate::port::store::{Page, PageRequest, RecordKind};
use crate::rewrap::Sealed;
use caxton_core::error::{Code, Error, shown};
use caxton_core::model::is_provider_name;
use caxton_core::{TenantId, Timestamp};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Providers of tenants at hand, absent ones too.
const AT_HAND_MAX: usize = 16_384;
/// Longest address, in bytes.
const URL_BYTES_MAX: usize = 2_048;
/// Longest secret, in bytes.
const SECRET_BYTES_MAX: usize = 8 << 10;
/// Providers of one tenant.
const PROVIDERS_MAX: usize = 100;

/// A tenant's provider, as kept: its secret sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    name: String,
    kind: ProviderKind,
    base_url: String,
    sealed: Option<Vec<u8>>,
    created: Timestamp,
    updated: Timestamp,
}

impl Document for Kept {
    const KIND: RecordKind = RecordKind("provider");
}

impl Sealed for Kept {
    fn id(&self) -> &str {
        &self.name
    }

    fn place(&self, tenant: &TenantId) -> String {
        Directory::place(tenant, &self.name)
    }

    fn sealed(&mut self) -> Option<&mut Vec<u8>> {
        self.sealed.as_mut()
    }
}

/// What a tenant sets. `secret` absent: the one it had, where its address stays the same.
#[derive(Clone, Debug)]
pub struct Provider {
    pub name: String,
    pub kind: ProviderKind,
    /// Empty: the kind's own.
    pub base_url: String,
    pub secret: Option<Secret>,
}

/// A provider, as shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderView {
    pub name: String,
    pub kind: ProviderKind,
    pub base_url: String,
    pub has_secret: bool,
    /// The server's operator gives it, not the tenant.
    pub operators: bool,
    pub created: Option<Timestamp>,
    pub updated: Option<Timestamp>,
}

pub(crate) struct Directory {
    documents: Documents,
    secrets: Arc<dyn Secrets>,
    operators: HashMap<String, Arc<Endpoint>>,
    at_hand: Cache<(TenantId, String), Option<Arc<Endpoint>>>,
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Directory")
    }
}

/// Where each kind is when nobody says otherwise.
pub fn base_url_of(kind: ProviderKind) -> &'static str {
    match kind {
        ProviderKind::Anthropic => "https://api.anthropic.com",
        ProviderKind::OpenaiChat | ProviderKind::OpenaiResponses => "https://api.openai.com/v1",
        ProviderKind::Scripted | ProviderKind::Demo => "",
    }
}

impl Directory {
    pub(super) fn new(
        documents: Documents,
        secrets: Arc<dyn Secrets>,
        operators: &[Endpoint],
    ) -> Self {
        let own = |kind: ProviderKind| Endpoint {
            provider: kind.as_str().to_owned(),
            kind,
            base_url: String::new(),
            secret: None,
            trusted: true,
        };
        let own = [own(ProviderKind::Demo), own(ProviderKind::Scripted)];
        let all = operators.iter().cloned().chain(own);
        Self {
            documents,
            secrets,
            operators: all.map(|it| (it.provider.clone(), Arc::new(it))).collect(),
            at_hand: Cache::new(AT_HAND_MAX),
        }
    }

    fn place(tenant: &TenantId, name: &str) -> String {
        format!("{tenant}/provider/{name}")
    }

    fn scope(tenant: &TenantId) -> TenantScope {
        TenantScope::system(tenant.clone(), "providers")
    }

    /// Where a provider is: the tenant's own of this name, or else the operator's. Errors: `CX-7002`.
    pub(crate) async fn endpoint(
        &self,
        tenant: &TenantId,
        name: &str,
    ) -> Result<Arc<Endpoint>, Error> {
        let read = async {
            let kept: Option<Kept> = self.documents.get(&Self::scope(tenant), name).await?;
            kept.map(|kept| self.open(tenant, kept)).transpose()
        };
        let place = (tenant.clone(), name.to_owned());
        let own = self.at_hand.get_or_insert_async(&place, read).await?;
        let found = own.or_else(|| self.operators.get(name).cloned());
        found.ok_or_else(|| not_found(name))
    }

    fn open(&self, tenant: &TenantId, kept: Kept) -> Result<Arc<Endpoint>, Error> {
        let secret = match &kept.sealed {
            Some(sealed) => {
                let open = self
                    .secrets
                    .open(&Self::place(tenant, &kept.name), sealed)?;
                let open = String::from_utf8(open).map_err(|_| {
                    Error::new(Code::SecretsUnavailable, "the secret kept is no text")
                })?;
                Some(Secret::new(&open))
            }
            None => None,
        };
        Ok(Arc::new(Endpoint {
            provider: kept.name,
            kind: kept.kind,
            base_url: kept.base_url,
            secret,
            trusted: false,
        }))
    }

    /// Sets a tenant's provider. A new address never gets the old one's secret.
    pub(crate) async fn set(
        &self,
        scope: &TenantScope,
        provider: Provider,
        now: Timestamp,
    ) -> Result<ProviderView, Error> {
        let base_url = check(&provider)?;
        let tenant = scope.tenant();
        let before: Option<Kept> = self.documents.get(scope, &provider.name).await?;
        if before.is_none() {
            let first = PageRequest::first(u32::try_from(PROVIDERS_MAX).unwrap_or(u32::MAX));
            if self
                .documents
                .list::<Kept>(scope, "", &first)
                .await?
                .rows
                .len()
                >= PROVIDERS_MAX
            {
                return Err(malformed(format!(
                    "the tenant has {PROVIDERS_MAX} providers already"
                )));
            }
        }
        let sealed = match &provider.secret {
            Some(secret) => {
                let place = Self::place(tenant, &provider.name);
                Some(self.secrets.seal(&place, secret.reveal().as_bytes())?)
            }
            None => before
                .as_ref()
                .filter(|before| before.base_url == base_url && before.kind == provider.kind)
                .and_then(|before| before.sealed.clone()),
        };
        let kept = Kept {
            created: before.map_or(now, |before| before.created),
            name: provider.name,
            kind: provider.kind,
            base_url,
            sealed,
            updated: now,
        };
        let put = self.documents.put(scope, &kept.name, &kept).await;
        self.at_hand.remove(&(tenant.clone(), kept.name.clone()));
        put?;
        Ok(view(&kept))
    }

    /// Removes a tenant's own; the operator's of the same name is seen again.
    pub(crate) async fn remove(&self, scope: &TenantScope, name: &str) -> Result<(), Error> {
        let kept: Option<Kept> = self.documents.get(scope, name).await?;
        if kept.is_none() && self.operators.contains_key(name) {
            let detail = format!("provider {name} is the server's own, for all tenants");
            return Err(Error::new(Code::PermissionDenied, detail));
        }
        if kept.is_none() {
            return Err(not_found(name));
        }
        let removed = self.documents.remove::<Kept>(scope, name).await;
        self.at_hand
            .remove(&(scope.tenant().clone(), name.to_owned()));
        removed
    }

    /// The tenant's own.
    pub(crate) async fn list(
        &self,
        scope: &TenantScope,
        asked: &PageRequest,
    ) -> Result<Page<ProviderView>, Error> {
        let page = self.documents.list::<Kept>(scope, "", asked).await?;
        Ok(Page {
            rows: page.rows.iter().map(view).collect(),
            next: page.next,
        })
    }

    /// The operator's, which all tenants may use.
    pub(crate) fn operators(&self) -> Vec<ProviderView> {
        let mut all: Vec<ProviderView> = self
            .operators
            .values()
            .map(|endpoint| ProviderView {
                name: endpoint.provider.clone(),
                kind: endpoint.kind,
                base_url: endpoint.base_url.clone(),
                has_secret: endpoint.secret.is_some(),
                operators: true,
                created: None,
                updated: None,
            })
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    pub(crate) async fn show(
        &self,
        scope: &TenantScope,
        name: &str,
    ) -> Result<ProviderView, Error> {
        let kept: Option<Kept> = self.documents.get(scope, name).await?;
        if let Some(kept) = kept {
            return Ok(view(&kept));
        }
        let found = self.operators().into_iter().find(|it| it.name == name);
        found.ok_or_else(|| not_found(name))
    }

    pub(super) fn forget(&self, tenant: &TenantId) {
        self.at_hand.retain(|(of, _), _| of != tenant);
    }
}

fn view(kept: &Kept) -> ProviderView {
    ProviderView {
        name: kept.name.clone(),
        kind: kept.kind,
        base_url: kept.base_url.clone(),
        has_secret: kept.sealed.is_some(),
        operators: false,
        created: Some(kept.created),
        updated: Some(kept.updated),
    }
}

/// Checks what is set; gives the address without a slash at its end.
fn check(provider: &Provider) -> Result<String, Error> {
    if !is_provider_name(&provider.name) {
        return Err(malformed(format!(
            "`{}` is not a provider's name: a lower-case letter, then up to 62 lower-case letters, digits, `-`",
            shown(&provider.name)
        )));
    }
    if !provider.kind.is_remote() {
        return Err(malformed(format!(
            "`{}` needs no provider: name the model",
            provider.kind.as_str()
        )));
    }
    if ["demo", "scripted"].contains(&provider.name.as_str()) {
        return Err(malformed(format!(
            "`{}` is the server's own",
            provider.name
        )));
    }
    let url = match provider.base_url.trim_end_matches('/') {
        "" => base_url_of(provider.kind),
        url => url,
    };
    let scheme = url.starts_with("https://") || url.starts_with("http://");
    let plain = url.is_ascii() && !url.bytes().any(|b| b.is_ascii_control() || b == b' ');
    if !scheme || !plain || url.len() > URL_BYTES_MAX || url.contains(['?', '#', '@']) {
        return Err(malformed(
            "`baseUrl` is an http or https address without user, query or fragment".to_owned(),
        ));
    }
    let secret = provider.secret.as_ref().map_or("", Secret::reveal);
    if secret.len() > SECRET_BYTES_MAX || secret.bytes().any(|b| b.is_ascii_control()) {
        return Err(malformed(format!(
            "the secret has more than {SECRET_BYTES_MAX} bytes or control characters"
        )));
    }
    Ok(url.to_owned())
}

fn malformed(detail: String) -> Error {
    Error::new(Code::ProviderMalformed, detail)
}

fn not_found(name: &str) -> Error {
    Error::new(
        Code::ProviderNotFound,
        format!("there is no provider {}", shown(name)),
    )
}
