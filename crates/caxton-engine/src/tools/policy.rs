//! What a tenant says of tools, for all its agents.

use crate::documents::{Document, Documents};
use crate::opctx::TenantScope;
use crate::port::store::RecordKind;
use caxton_core::TenantId;
use caxton_core::egress::host_allowed;
use caxton_core::error::{Code, Error, shown};
use caxton_core::tool::{Definition, Rules};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use url::Url;

/// Policies of tenants at hand, absent ones too.
const AT_HAND_MAX: usize = 16_384;
/// Hosts of one list.
const HOSTS_MAX: usize = 1_000;
/// Longest name of a host, in bytes (RFC 1035, 2.3.4).
const HOST_BYTES_MAX: usize = 253;

/// A tenant's policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ToolPolicy {
    pub rules: Rules,
    /// Hosts that tools may reach: `example.com`, `*.example.com`. Empty: any with a public address.
    pub hosts: Vec<String>,
}

impl Document for ToolPolicy {
    const KIND: RecordKind = RecordKind("tool-policy");
}

/// The host that a tool's calls go to, where its definition says.
pub(super) fn host_of(definition: &Definition) -> Option<String> {
    let url = Url::parse(definition.url()?).ok()?;
    url.host_str().map(str::to_owned)
}

impl ToolPolicy {
    /// Why no call of such a tool can be made: its host is none that tools may reach.
    pub(super) fn unreached(&self, definition: &Definition) -> Option<String> {
        let host = host_of(definition)?;
        let is_allowed = host_allowed(&self.hosts, &host);
        (!is_allowed)
            .then(|| format!("{host} is not among the hosts that the tenant lets tools reach"))
    }

    /// Errors: `CX-8003`.
    pub fn check(&self) -> Result<(), Error> {
        self.rules.check()?;
        let malformed = |detail: String| Err(Error::new(Code::ToolPatternMalformed, detail));
        if self.hosts.len() > HOSTS_MAX {
            return malformed(format!("more than {HOSTS_MAX} hosts"));
        }
        for host in &self.hosts {
            let name = host.strip_prefix("*.").unwrap_or(host);
            let fit = |b: u8| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b);
            if name.is_empty() || name.len() > HOST_BYTES_MAX || !name.bytes().all(fit) {
                return malformed(format!(
                    "`{}` is no host: `example.com`, or `*.example.com` for all below it",
                    shown(host)
                ));
            }
        }
        Ok(())
    }
}

pub(crate) struct Policies {
    documents: Documents,
    at_hand: Cache<TenantId, Arc<ToolPolicy>>,
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Policies")
    }
}

impl Policies {
    pub(super) fn new(documents: Documents) -> Self {
        Self {
            documents,
            at_hand: Cache::new(AT_HAND_MAX),
        }
    }

    pub(crate) async fn of(&self, tenant: &TenantId) -> Result<Arc<ToolPolicy>, Error> {
        let read = async {
            let scope = TenantScope::system(tenant.clone(), "policy of tools");
            let found = self.documents.get::<ToolPolicy>(&scope, "").await?;
            Ok::<_, Error>(Arc::new(found.unwrap_or_default()))
        };
        self.at_hand.get_or_insert_async(tenant, read).await
    }

    /// Takes effect with the next call.
    pub(crate) async fn set(&self, scope: &TenantScope, policy: &ToolPolicy) -> Result<(), Error> {
        policy.check()?;
        let put = self.documents.put(scope, "", policy).await;
        self.at_hand.remove(scope.tenant());
        put
    }

    pub(super) fn forget(&self, tenant: &TenantId) {
        self.at_hand.remove(tenant);
    }
}
