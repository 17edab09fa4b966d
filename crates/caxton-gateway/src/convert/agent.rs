//! Agents.

use caxton_api::v1;
use caxton_core::Manifest;
use caxton_core::manifest::{Durability, MailboxMode};
use caxton_engine::app::AgentView;

use super::time::wire;

/// How much of an agent is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// All of it.
    Full,
    /// Without its manifest, which may be long: for lists.
    Listed,
}

/// An agent on the wire.
pub(crate) fn agent(view: &AgentView, detail: Detail) -> v1::Agent {
    let manifest = &view.manifest;
    let capabilities = manifest.capabilities.iter().map(|it| v1::AgentCapability {
        name: it.name.clone(),
        version: it.version.to_string(),
    });
    v1::Agent {
        breaker: None,
        name: view.id.name.to_string(),
        tenant: view.id.tenant.to_string(),
        version: manifest.version.to_string(),
        behavior: manifest.behavior.as_str().to_owned(),
        state: view.phase.as_str().to_owned(),
        capabilities: capabilities.collect(),
        limits: Some(limits(manifest)),
        delivery: Some(delivery(manifest)),
        sandbox_profile: manifest.sandbox.profile.as_str().to_owned(),
        resident: manifest.instance.resident,
        component_sha256: view.digest.map(|digest| digest.to_string()),
        component_bytes: None,
        manifest: (detail == Detail::Full).then(|| manifest.to_toml()),
        create_time: Some(wire(view.created)),
        update_time: Some(wire(view.updated)),
        stats: Some(stats(view)),
    }
}

fn limits(manifest: &Manifest) -> v1::AgentLimits {
    let limits = &manifest.limits;
    // The manifest's own bounds keep these far below u32's.
    let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    v1::AgentLimits {
        memory_bytes_max: limits.memory_bytes_max,
        fuel_per_message_max: limits.fuel_per_message_max,
        handle_timeout_ms_max: small(limits.handle_timeout_ms_max),
        wait_timeout_ms_max: small(limits.wait_timeout_ms_max),
        message_bytes_max: small(limits.message_bytes_max),
        mailbox_messages_max: limits.mailbox_messages_max,
    }
}

fn delivery(manifest: &Manifest) -> v1::AgentDelivery {
    let durability = match manifest.delivery.durability {
        Durability::Durable => "durable",
        Durability::Transient => "transient",
    };
    let mailbox = match manifest.delivery.mailbox {
        MailboxMode::Agent => "agent",
        MailboxMode::Conversation => "conversation",
    };
    v1::AgentDelivery {
        durability: durability.to_owned(),
        mailbox: mailbox.to_owned(),
        attempts_max: manifest.delivery.attempts_max,
    }
}

fn stats(view: &AgentView) -> v1::AgentStats {
    let fault = view.last_fault.as_ref();
    let code = fault.and_then(|(_, text)| text.split(' ').next());
    v1::AgentStats {
        messages_handled: view.handled,
        messages_failed: view.failed,
        mailbox_messages: view.queued,
        last_error: fault.map(|(_, text)| text.clone()),
        last_error_code: code.map(str::to_owned),
        last_error_time: fault.map(|(at, _)| wire(*at)),
        instances: view.instances,
        restarts: view.restarts,
        fuel_used: view.fuel_used,
        memory_bytes_most: view.memory_bytes_most,
    }
}
