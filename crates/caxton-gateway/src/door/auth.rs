//! Who asks, and for which tenant. It is found out before a byte of the body is read, so that a
//! stranger cannot make the server read megabytes.

use caxton_api::{ApiError, context};
use caxton_core::error::{Code, Error};
use caxton_core::grant::{Permissions, Principal, Role, Subject};
use caxton_core::{TenantId, Timestamp};
use caxton_engine::App;
use caxton_engine::directory::Identity;
use http::{Extensions, HeaderMap};
use std::sync::Arc;

use crate::jwt::VerifiedToken;
use crate::keys::Keys;
use crate::peer::{Peer, PeerIdentity};

/// Finds out who is behind a request. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Authenticator {
    keys: Keys,
    app: App,
}

/// Who was found behind a request, and the tenant it acts in. Only the [guard](super::guard) puts it on
/// a request; an operation that does not find it refuses.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) identity: Identity,
    pub(crate) tenant: TenantId,
}

impl Caller {
    pub(crate) fn principal(&self) -> &Principal {
        &self.identity.principal
    }
}

impl Authenticator {
    pub(crate) fn new(keys: Keys, app: App) -> Self {
        Self { keys, app }
    }

    /// The caller behind a request: by a token that was verified, by its key, or, where it brings
    /// neither, by the certificate its connection has shown.
    pub(crate) async fn caller(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Caller, ApiError> {
        let named = context::tenant(headers)?;
        let named = named.map(TenantId::parse).transpose()?;
        if let Some(token) = extensions.get::<Arc<VerifiedToken>>() {
            return Box::pin(self.user(token, named)).await;
        }
        if let Some(credential) = context::credential(headers)? {
            let identity = self.identify(credential).await?;
            let tenant = self.app.tenant_of(&identity.principal, named).await?;
            return Ok(Caller { identity, tenant });
        }
        let certificate = extensions.get::<Peer>().and_then(|it| it.identity.clone());
        let name = certificate.as_deref().and_then(PeerIdentity::name);
        if let (Some(certificate), Some(name)) = (&certificate, name) {
            // The handshake looked, and its connection may stand for days.
            if certificate.expires <= self.app.now() {
                let detail = "the certificate has expired";
                return Err(ApiError::new(Code::Unauthenticated, detail));
            }
            let subject = Subject::Certificate(name.to_owned());
            return Box::pin(self.vouched(subject, None, named, certificate.expires)).await;
        }
        Err(ApiError::new(
            Code::Unauthenticated,
            "the request has no key",
        ))
    }

    async fn identify(&self, text: &str) -> Result<Identity, Error> {
        if self.keys.is_admin(text) {
            return Ok(self.app.identify_admin());
        }
        self.app.identify_key(text).await
    }

    /// A user of a configured issuer. The token's tenant is the only one it is good for; a token
    /// without one is good wherever its user has a role.
    async fn user(
        &self,
        token: &VerifiedToken,
        named: Option<TenantId>,
    ) -> Result<Caller, ApiError> {
        let own = token.tenant.as_deref().map(TenantId::parse).transpose()?;
        let tenant = match (own, named) {
            (Some(own), Some(named)) if own != named => return Err(no_tenant(&named)),
            (own, named) => own.or(named),
        };
        let roles = token.roles.iter().filter_map(|it| Role::parse(it).ok());
        let permissions = roles.map(Role::permissions).reduce(Permissions::or);
        let subject = Subject::User {
            issuer: token.issuer.clone(),
            subject: token.subject.clone(),
        };
        self.vouched(subject, permissions, tenant, token.expires)
            .await
    }

    /// Somebody that another authority vouches for. Whoever has no role in a tenant is told that it
    /// is not there, as of one that never was.
    async fn vouched(
        &self,
        subject: Subject,
        permissions: Option<Permissions>,
        named: Option<TenantId>,
        expires: Timestamp,
    ) -> Result<Caller, ApiError> {
        let tenant = named.clone().unwrap_or_else(TenantId::default_tenant);
        let identified = self
            .app
            .identify_subject(&tenant, subject, permissions, Some(expires));
        let identity = match identified.await {
            Err(error) if error.code == Code::PermissionDenied && named.is_some() => {
                return Err(no_tenant(&tenant));
            }
            identified => identified?,
        };
        let tenant = self
            .app
            .tenant_of(&identity.principal, Some(tenant))
            .await?;
        Ok(Caller { identity, tenant })
    }
}

fn no_tenant(tenant: &TenantId) -> ApiError {
    ApiError::new(Code::TenantNotFound, format!("there is no tenant {tenant}"))
}
