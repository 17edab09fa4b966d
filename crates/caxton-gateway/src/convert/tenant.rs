//! Tenants.

use caxton_api::v1;
use caxton_engine::directory::TenantRecord;

use super::time::wire;

/// A tenant on the wire.
pub(crate) fn tenant(record: &TenantRecord) -> v1::Tenant {
    v1::Tenant {
        id: record.id.to_string(),
        display_name: record.display_name.clone(),
        storage: record.storage.as_str().to_owned(),
        state: record.state.as_str().to_owned(),
        create_time: Some(wire(record.created)),
        update_time: Some(wire(record.updated)),
    }
}
