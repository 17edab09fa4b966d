//! The server's status and its backups.

use std::net::SocketAddr;
use std::path::Path;

use caxton_api::v1;
use caxton_core::lifecycle::Phase;
use caxton_engine::app::ServerStatus;
use caxton_engine::port::store::{BackupInfo, StoreStatus};

use super::time::wire;

/// What the gateway knows of the server that the engine does not.
#[derive(Debug)]
pub(crate) struct Around {
    pub(crate) version: String,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) draining: bool,
    pub(crate) mailbox_messages: u64,
}

/// The server's status on the wire.
pub(crate) fn status(status: &ServerStatus, around: Around) -> v1::ServerStatus {
    let (state, reason) = match &status.store.failing {
        _ if around.draining => ("draining", None),
        Some(failing) => ("degraded", Some(format!("the store: {failing}"))),
        None => ("ready", None),
    };
    let count = |wanted: fn(Phase) -> bool| {
        let counted = status.agents.iter().filter(|(phase, _)| wanted(*phase));
        small(counted.map(|(_, agents)| agents).sum())
    };
    v1::ServerStatus {
        version: around.version,
        state: state.to_owned(),
        reason,
        start_time: Some(wire(status.started)),
        listen: around.listen.map(|it| it.to_string()).unwrap_or_default(),
        process_id: std::process::id(),
        tenants: small(status.tenants),
        agents: count(|_| true),
        agents_running: count(|phase| phase == Phase::Running),
        instances: small(status.mailboxes_live),
        mailbox_messages: around.mailbox_messages,
        messages_accepted: status.messages_accepted,
        messages_handled: status.messages_handled,
        dead_letters: status.dead_letters,
        store: Some(store(&status.store)),
    }
}

fn store(store: &StoreStatus) -> v1::StoreStatus {
    let state = if store.failing.is_some() {
        "read-only"
    } else {
        "ok"
    };
    v1::StoreStatus {
        state: state.to_owned(),
        reason: store.failing.clone(),
        schema_version: store.schema_version,
        size_bytes: store.bytes,
    }
}

/// A backup on the wire; `good` is what is known of it.
pub(crate) fn backup(info: &BackupInfo, path: &Path, good: bool) -> v1::Backup {
    v1::Backup {
        id: info.name.clone(),
        state: if good { "ready" } else { "damaged" }.to_owned(),
        size_bytes: info.bytes,
        sha256: info.sha256.to_string(),
        schema_version: info.schema_version,
        path: path.display().to_string(),
        create_time: Some(wire(info.created)),
    }
}

fn small(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
