//! API keys, never with their secrets.

use caxton_api::v1;
use caxton_core::grant::{Permission, Permissions};
use caxton_engine::directory::KeyRecord;

use super::time::wire;

/// A key on the wire.
pub(crate) fn key(record: &KeyRecord) -> v1::Key {
    let platform = record.tenant.is_platform();
    v1::Key {
        id: record.id.clone(),
        kind: record.kind.as_str().to_owned(),
        tenant: match platform {
            true => String::new(),
            false => record.tenant.to_string(),
        },
        name: record.name.clone(),
        role: record.role.to_string(),
        scopes: record.scopes.clone(),
        permissions: permissions(record.permissions()),
        create_time: Some(wire(record.created)),
        creator: record.created_by.clone(),
        expire_time: record.expires.map(wire),
        last_used_time: record.last_used.map(wire),
        overlap_end_time: record.overlap_until().map(wire),
    }
}

/// Permissions by their texts.
pub(crate) fn permissions(set: Permissions) -> Vec<String> {
    let texts = set.iter().map(Permission::as_str);
    texts.map(str::to_owned).collect()
}
