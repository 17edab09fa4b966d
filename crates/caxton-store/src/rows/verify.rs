//! The full check of a file: its structure, its indices, and every row that has an inner form.

use super::{blob, plain, tenant_id};
use crate::codec::{self, Malformed};
use crate::error::Error;
use crate::file::Shared;
use crate::file::tenants::leftovers;
use crate::rows::Ask;
use crate::sql;
use caxton_engine::port::StoreError;
use rusqlite::Connection;
use std::collections::{HashMap, HashSet};

/// Reads everything. The error names what is damaged.
pub(crate) fn verify(conn: &Connection, shared: &Shared) -> Result<(), Error> {
    // One moment of the file: a tenant may begin while this reads.
    let moment = conn.unchecked_transaction()?;
    let conn = &*moment;
    let file = shared.path.display();
    let found: String = conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(Error::Store(StoreError::Damaged(format!(
            "{file}: {found}"
        ))));
    }
    let mut tenants = HashMap::new();
    let mut list = conn.prepare(sql::TENANT_LIST)?;
    let mut rows = list.query([])?;
    while let Some(row) = rows.next()? {
        let (tenant, name): (i64, String) = (row.get(0)?, row.get(1)?);
        let home = tenant_id(&name)?;
        verify_tenant(&Ask {
            conn,
            shared,
            tenant,
            home: &home,
        })?;
        tenants.insert(tenant, home);
    }
    let left: HashSet<i64> = leftovers(conn)?.iter().map(|left| left.number).collect();
    let mut list = conn.prepare(sql::SYSTEM_TAIL)?;
    let mut rows = list.query([0])?;
    while let Some(row) = rows.next()? {
        let tenant: i64 = row.get(0)?;
        if left.contains(&tenant) {
            continue;
        }
        let home = tenants
            .get(&tenant)
            .ok_or(Malformed("a message of no tenant"))?;
        codec::read_body(blob(row, 2)?, home)?;
    }
    Ok(())
}

fn verify_tenant(ask: &Ask<'_>) -> Result<(), Error> {
    plain::agents(ask)?;
    plain::timers(ask)?;
    plain::calls_open(ask)?;
    let mut after: Option<_> = None;
    loop {
        let rows = plain::conversations(ask, after.as_ref(), 1_000)?;
        let Some((position, _)) = rows.last() else {
            break;
        };
        after = Some(position.clone());
    }
    let mut list = ask.conn.prepare(sql::CALL_ALL)?;
    let mut rows = list.query([ask.tenant])?;
    while let Some(row) = rows.next()? {
        codec::read_body(blob(row, 1)?, ask.home)?;
    }
    Ok(())
}
