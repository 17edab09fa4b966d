//! Who may do what. Default deny: a principal may do what a permission of its own names, no more.
//!
//! A [`Role`] is a named set of permissions; scopes narrow it. Whoever is asked about is a
//! [`Principal`], and the answer needs no look-up: a mask and a comparison of tenants.

use crate::agent::AgentName;
use crate::error::{Code, Error, shown};
use crate::tenant::TenantId;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Declares the permissions with their texts: a macro, so that the enum, the list of all and the
/// texts cannot drift apart.
macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What an operation needs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Permission { $($(#[$doc])* $name),* }

        impl Permission {
            /// All permissions, in the order of their texts' nouns.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// `noun:verb`, as scopes name it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

permissions! {
    /// See agents and their manifests.
    AgentRead = "agents:read";
    /// Start, stop and drain agents.
    AgentOperate = "agents:operate";
    /// Deploy, replace and remove agents.
    AgentWrite = "agents:write";
    /// Call agents from outside: invoke them, and submit jobs.
    AgentInvoke = "agents:invoke";
    /// See jobs and their answers.
    JobRead = "jobs:read";
    /// Cancel and remove jobs.
    JobWrite = "jobs:write";
    /// Read agents' logs.
    LogRead = "logs:read";
    /// See messages, conversations and dead letters.
    MessageRead = "messages:read";
    MessageSend = "messages:send";
    /// Send under the name of an agent that is not the principal.
    MessageSendAs = "messages:send-as";
    /// Resend and remove dead letters.
    DeadLetterWrite = "dead-letters:write";
    /// See sessions and what was said in them.
    SessionRead = "sessions:read";
    /// Begin, reset and remove sessions, and talk in them.
    SessionWrite = "sessions:write";
    /// Ask a model without an assistant: `provider/model` at the compatible doors.
    ModelUse = "models:use";
    /// See providers, without their secrets, and their breakers.
    ProviderRead = "providers:read";
    /// Set and remove providers and their secrets; close breakers.
    ProviderWrite = "providers:write";
    /// See tools, their functions, and the log of their calls.
    ToolRead = "tools:read";
    /// Call tools without an agent: to try one, or over the Model Context Protocol.
    ToolCall = "tools:call";
    /// Register, replace and remove tools; set the tenant's policy of tools.
    ToolWrite = "tools:write";
    /// See what waits for a person's approval.
    ApprovalRead = "approvals:read";
    /// Approve and deny.
    ApprovalDecide = "approvals:decide";
    /// See the tenant's own record, limits and quota.
    TenantRead = "tenant:read";
    /// See what the tenant has used.
    UsageRead = "usage:read";
    KeyRead = "keys:read";
    KeyWrite = "keys:write";
    RoleRead = "roles:read";
    RoleWrite = "roles:write";
    /// Read the log of requests.
    RequestRead = "requests:read";
    /// Read and export the audit log.
    AuditRead = "audit:read";
    /// See the server: status, configuration, backups. The platform's own.
    ServerRead = "server:read";
    /// Take and verify backups. The platform's own.
    ServerWrite = "server:write";
    /// See all tenants. The platform's own.
    PlatformRead = "platform:read";
    /// Make, change, suspend and remove tenants; set quotas. The platform's own.
    PlatformWrite = "platform:write";
}

impl Permission {
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.as_str() == text)
    }

    const fn bit(self) -> u64 {
        1 << self as u32
    }

    /// Whether no tenant's key can have it.
    pub const fn is_platforms(self) -> bool {
        matches!(
            self,
            Self::ServerRead | Self::ServerWrite | Self::PlatformRead | Self::PlatformWrite
        )
    }
}

/// A set of permissions.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Permissions(u64);

impl Permissions {
    pub const NONE: Self = Self(0);

    pub const fn of(list: &[Permission]) -> Self {
        let (mut bits, mut rest) = (0, list);
        while let [first, tail @ ..] = rest {
            bits |= first.bit();
            rest = tail;
        }
        Self(bits)
    }

    pub const fn all() -> Self {
        Self::of(Permission::ALL)
    }

    pub const fn has(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL
            .iter()
            .copied()
            .filter(move |it| self.has(*it))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(Permission::as_str))
            .finish()
    }
}

/// A named set of permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything in its tenant; on a platform key everything in every tenant, and the platform.
    Admin,
    /// Keeps agents running: start, stop, drain, dead letters, logs of requests and audit.
    Operator,
    /// Writes agents: deploy, send, read.
    Developer,
    /// Looks, and changes nothing.
    Viewer,
}

const VIEWER: Permissions = Permissions::of(&[
    Permission::AgentRead,
    Permission::JobRead,
    Permission::LogRead,
    Permission::MessageRead,
    Permission::SessionRead,
    Permission::ProviderRead,
    Permission::ToolRead,
    Permission::ApprovalRead,
    Permission::TenantRead,
    Permission::UsageRead,
]);
const DEVELOPER: Permissions = VIEWER.or(Permissions::of(&[
    Permission::AgentOperate,
    Permission::AgentWrite,
    Permission::AgentInvoke,
    Permission::JobWrite,
    Permission::MessageSend,
    Permission::DeadLetterWrite,
    Permission::SessionWrite,
    Permission::ModelUse,
    Permission::ProviderWrite,
    Permission::ToolCall,
    Permission::ToolWrite,
    Permission::ApprovalDecide,
]));
const OPERATOR: Permissions = VIEWER.or(Permissions::of(&[
    Permission::AgentOperate,
    Permission::AgentInvoke,
    Permission::JobWrite,
    Permission::MessageSend,
    Permission::DeadLetterWrite,
    Permission::SessionWrite,
    Permission::ModelUse,
    Permission::ToolCall,
    Permission::ApprovalDecide,
    Permission::KeyRead,
    Permission::RoleRead,
    Permission::RequestRead,
    Permission::AuditRead,
]));
const ADMIN: Permissions = DEVELOPER.or(OPERATOR).or(Permissions::of(&[
    Permission::MessageSendAs,
    Permission::KeyWrite,
    Permission::RoleWrite,
]));
/// What each role has besides on a platform key.
const PLATFORM_ADMIN: Permissions = Permissions::all();
const PLATFORM_READ: Permissions =
    Permissions::of(&[Permission::ServerRead, Permission::PlatformRead]);

impl Role {
    pub const ALL: [Self; 4] = [Self::Admin, Self::Operator, Self::Developer, Self::Viewer];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Developer => "developer",
            Self::Viewer => "viewer",
        }
    }

    pub fn parse(text: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| {
            let detail = format!(
                "`{}` is no role: admin, operator, developer or viewer",
                shown(text)
            );
            Error::new(Code::RoleUnknown, detail)
        })
    }

    /// What the role may do in a tenant.
    pub const fn permissions(self) -> Permissions {
        match self {
            Self::Admin => ADMIN,
            Self::Operator => OPERATOR,
            Self::Developer => DEVELOPER,
            Self::Viewer => VIEWER,
        }
    }

    /// What the role may do on a platform key: in every tenant, and on the platform itself.
    pub const fn platform_permissions(self) -> Permissions {
        match self {
            Self::Admin => PLATFORM_ADMIN,
            Self::Operator => OPERATOR
                .or(PLATFORM_READ)
                .or(Permissions::of(&[Permission::ServerWrite])),
            Self::Developer => DEVELOPER.or(PLATFORM_READ),
            Self::Viewer => VIEWER.or(PLATFORM_READ),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The permissions that scopes name: each a permission (`agents:read`), a noun (`agents:*`) or `*`.
/// An empty list narrows nothing.
pub fn scopes(texts: &[String]) -> Result<Permissions, Error> {
    if texts.is_empty() {
        return Ok(Permissions::all());
    }
    let mut named = Permissions::NONE;
    for text in texts {
        let noun = text.strip_suffix(":*");
        let matches = |it: &Permission| {
            text == "*" || it.as_str() == text || it.as_str().split(':').next() == noun
        };
        let found: Vec<Permission> = Permission::ALL.iter().copied().filter(matches).collect();
        if found.is_empty() {
            let known: Vec<&str> = Permission::ALL.iter().map(|it| it.as_str()).collect();
            let detail = format!("`{}` is no scope: {}", shown(text), known.join(", "));
            return Err(Error::new(Code::ScopeUnknown, detail));
        }
        named = named.or(Permissions::of(&found));
    }
    Ok(named)
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Somebody with a credential.
    Member(Arc<Member>),
    /// Code of the server itself; `task` says which.
    System { task: &'static str },
}

/// Somebody with a credential, as far as deciding and telling need to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub subject: Subject,
    /// The tenant the credential belongs to; the platform's own belongs to all.
    pub tenant: TenantId,
    pub permissions: Permissions,
}

/// What a credential names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// The key in the data folder's `admin.key`.
    Admin,
    /// An API key, by its public id.
    Key(String),
    /// A user that an identity provider vouches for.
    User { issuer: String, subject: String },
    /// A client certificate, by the name in it.
    Certificate(String),
}

impl Subject {
    /// `admin`, `key:ID`, `user:ISSUER|SUBJECT`, `cert:NAME`: in role assignments, logs and audit.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let known = match text.split_once(':') {
            Some(("key", id)) if !id.is_empty() => Some(Self::Key(id.to_owned())),
            Some(("cert", name)) if !name.is_empty() => Some(Self::Certificate(name.to_owned())),
            // An issuer is an address, which has no bar; a subject may have some.
            Some(("user", user)) => user.split_once('|').map(|(issuer, subject)| Self::User {
                issuer: issuer.to_owned(),
                subject: subject.to_owned(),
            }),
            _ => None,
        };
        let too_long = text.len() > SUBJECT_BYTES_MAX;
        known.filter(|_| !too_long).ok_or_else(|| {
            let detail = format!(
                "`{}` is no subject: key:ID, user:ISSUER|SUBJECT or cert:NAME, {SUBJECT_BYTES_MAX} bytes at most",
                shown(text)
            );
            Error::new(Code::IdMalformed, detail)
        })
    }
}

/// Longest subject, in bytes: an issuer's address and what it calls its user.
pub const SUBJECT_BYTES_MAX: usize = 512;

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin => f.write_str("admin"),
            // In two pieces, because every request writes it: formatting takes several times as long.
            Self::Key(id) => f.write_str("key:").and_then(|()| f.write_str(id)),
            Self::User { issuer, subject } => write!(f, "user:{issuer}|{subject}"),
            Self::Certificate(name) => write!(f, "cert:{name}"),
        }
    }
}

impl Principal {
    /// The operator with the key of the data folder.
    pub fn platform_admin() -> Self {
        Self::Member(Arc::new(Member {
            subject: Subject::Admin,
            tenant: TenantId::platform(),
            permissions: Permissions::all(),
        }))
    }

    /// Whether the principal has a permission in a tenant.
    pub fn may(&self, permission: Permission, tenant: &TenantId) -> bool {
        match self {
            Self::System { .. } => true,
            Self::Member(member) => {
                let at_home = member.tenant == *tenant || member.tenant.is_platform();
                at_home && member.permissions.has(permission)
            }
        }
    }

    /// Whether it is the holder of the data folder's own key.
    pub fn is_operator(&self) -> bool {
        matches!(self, Self::Member(member) if member.subject == Subject::Admin)
    }

    /// Whether it belongs to the platform and not to a tenant.
    pub fn is_platforms(&self) -> bool {
        match self {
            Self::System { .. } => true,
            Self::Member(member) => member.tenant.is_platform(),
        }
    }

    /// The name its messages are sent under.
    pub fn agent_name(&self) -> AgentName {
        match self {
            Self::System { .. } => AgentName::ams(),
            Self::Member(member) => match &member.subject {
                Subject::Admin => AgentName::admin(),
                Subject::Key(id) => AgentName::outside("key.", id),
                Subject::User { issuer, subject } => {
                    AgentName::outside("user.", &format!("{subject}.{issuer}"))
                }
                Subject::Certificate(name) => AgentName::outside("user.", name),
            },
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(member) => member.subject.fmt(f),
            Self::System { task } => write!(f, "system:{task}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn member(tenant: TenantId, permissions: Permissions) -> Principal {
        Principal::Member(Arc::new(Member {
            subject: Subject::Key("k".into()),
            tenant,
            permissions,
        }))
    }

    #[test]
    fn every_permission_has_a_bit_and_a_text_of_its_own() {
        let mut texts: Vec<&str> = Permission::ALL.iter().map(|it| it.as_str()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), Permission::ALL.len());
        assert!(Permission::ALL.len() <= 64);
        for it in Permission::ALL {
            assert_eq!(Permission::parse(it.as_str()), Some(*it));
            assert_eq!(Permissions::of(&[*it]).iter().collect::<Vec<_>>(), [*it]);
        }
    }

    #[test]
    fn roles_grow_from_viewer_to_admin() {
        let [admin, operator, developer, viewer] = Role::ALL.map(Role::permissions);
        assert!(admin.contains(operator) && admin.contains(developer));
        assert!(operator.contains(viewer) && developer.contains(viewer));
        assert!(!operator.has(Permission::AgentWrite) && !developer.has(Permission::AuditRead));
        for role in Role::ALL {
            let inside = role.permissions();
            assert!(!inside.iter().any(Permission::is_platforms), "{role}");
            assert!(role.platform_permissions().contains(inside), "{role}");
            assert_eq!(Role::parse(role.as_str()).unwrap(), role);
        }
        for wrong in ["", "root", "Admin"] {
            assert_eq!(Role::parse(wrong).unwrap_err().code, Code::RoleUnknown);
        }
    }

    #[test]
    fn a_member_stays_in_its_tenant() {
        let (a, b) = (TenantId::parse("a").unwrap(), TenantId::parse("b").unwrap());
        let reader = member(a.clone(), Role::Viewer.permissions());
        assert!(reader.may(Permission::AgentRead, &a));
        assert!(!reader.may(Permission::AgentRead, &b));
        assert!(!reader.may(Permission::AgentWrite, &a));
        assert!(!reader.may(Permission::AgentRead, &TenantId::platform()));
        let platform = member(TenantId::platform(), Role::Viewer.platform_permissions());
        assert!(platform.may(Permission::AgentRead, &b));
        assert!(!platform.may(Permission::PlatformWrite, &b));
        for permission in Permission::ALL {
            assert!(Principal::platform_admin().may(*permission, &b));
            assert!(!member(a.clone(), Permissions::NONE).may(*permission, &a));
        }
    }

    #[test]
    fn scopes_name_permissions_nouns_or_all() {
        let read = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|it| (*it).to_owned()).collect();
            scopes(&texts)
        };
        assert_eq!(read(&[]).unwrap(), Permissions::all());
        assert_eq!(read(&["*"]).unwrap(), Permissions::all());
        let two = Permissions::of(&[Permission::KeyRead, Permission::KeyWrite]);
        assert_eq!(read(&["keys:*"]).unwrap(), two);
        assert_eq!(read(&["keys:read", "keys:write"]).unwrap(), two);
        for wrong in ["", "keys", ":*", "keys:", "keys:own", "KEYS:READ", "**"] {
            assert_eq!(
                read(&[wrong]).unwrap_err().code,
                Code::ScopeUnknown,
                "{wrong}"
            );
        }
    }

    #[test]
    fn subjects_read_as_they_are_written() {
        let user = Subject::User {
            issuer: "https://id.example".into(),
            subject: "auth0|65a|1".into(),
        };
        for it in [
            Subject::Key("abc".into()),
            user,
            Subject::Certificate("ci".into()),
        ] {
            assert_eq!(Subject::parse(&it.to_string()).unwrap(), it);
        }
        for wrong in [
            "",
            "admin",
            "key:",
            "user:x",
            "other:y",
            &"key:".repeat(200),
        ] {
            assert!(Subject::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_principal_has_a_name_to_send_under() {
        let user = |subject: &str| {
            Principal::Member(Arc::new(Member {
                subject: Subject::User {
                    issuer: "https://id.example/realm".into(),
                    subject: subject.into(),
                },
                tenant: TenantId::default_tenant(),
                permissions: Permissions::NONE,
            }))
        };
        let odd = user("Ä b@c..d").agent_name();
        let long = user(&"x".repeat(400)).agent_name();
        assert!(odd.is_outside() && long.is_outside());
        assert_ne!(user("a b").agent_name(), user("a.b").agent_name());
        assert_ne!(user(&"x".repeat(401)).agent_name(), long);
        let key = Principal::Member(Arc::new(Member {
            subject: Subject::Key("7fGh".into()),
            tenant: TenantId::default_tenant(),
            permissions: Permissions::NONE,
        }));
        assert_eq!(key.agent_name().as_str(), "key.7fGh");
    }
}
