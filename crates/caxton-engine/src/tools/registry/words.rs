//! Tools as they are given, kept and shown.

use crate::documents::Document;
use crate::port::secrets::Secret;
use crate::port::store::RecordKind;
use crate::rewrap::Sealed;
use bytes::Bytes;
use caxton_core::tool::{Definition, Function, ToolKind, ToolName};
use caxton_core::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};

/// A tool of the server's operator, for all tenants.
#[derive(Clone, Debug)]
pub struct OperatorTool {
    pub name: ToolName,
    pub description: String,
    pub definition: Definition,
    pub secret: Option<Secret>,
}

/// What a tenant registers. `secret` absent: the one it had, where its address stays the same.
#[derive(Clone, Debug)]
pub struct NewTool {
    pub name: ToolName,
    pub description: String,
    pub definition: Definition,
    pub secret: Option<Secret>,
    /// Of a wasm tool: its definition names it by its digest.
    pub component: Option<Bytes>,
    /// What one call costs, in millionths of the unit of money: counted in the tenant's quota.
    pub price_micros: u64,
}

/// A tenant's tool, as kept: its secret sealed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(super) name: ToolName,
    pub(super) description: String,
    pub(super) definition: Definition,
    pub(super) sealed: Option<Vec<u8>>,
    pub(super) price_micros: u64,
    /// The functions as somebody agreed to them.
    pub(super) agreed: Vec<Function>,
    pub(super) revision: u64,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
}

impl Document for Kept {
    const KIND: RecordKind = RecordKind("tool");
}

impl Sealed for Kept {
    fn id(&self) -> &str {
        self.name.as_str()
    }

    fn place(&self, tenant: &TenantId) -> String {
        super::Registry::place(tenant, &self.name)
    }

    fn sealed(&mut self) -> Option<&mut Vec<u8>> {
        self.sealed.as_mut()
    }
}

/// Whether a function is what was agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionState {
    Agreed,
    /// It is described otherwise now.
    Changed,
    /// It was not there.
    New,
    /// It is there no more.
    Gone,
}

impl FunctionState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agreed => "agreed",
            Self::Changed => "changed",
            Self::New => "new",
            Self::Gone => "gone",
        }
    }
}

/// A function, as shown.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionView {
    pub function: Function,
    pub state: FunctionState,
}

/// A tool, as shown.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolView {
    pub name: ToolName,
    pub description: String,
    pub kind: ToolKind,
    pub functions: Vec<FunctionView>,
    /// None of what is built in.
    pub definition: Option<Definition>,
    /// Hosts that its calls go to, where they are known.
    pub hosts: Vec<String>,
    /// Why no call of it can be made as the tenant's policy is now.
    pub unreached: Option<String>,
    pub has_secret: bool,
    /// The server's operator gives it, not the tenant.
    pub operators: bool,
    pub price_micros: u64,
    pub created: Option<Timestamp>,
    pub updated: Option<Timestamp>,
}
