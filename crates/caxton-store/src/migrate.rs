//! Versioned migrations. What ran is recorded with the SHA-256 of its text, so that a file whose
//! history is another's is named and not written to; a schema from the future is refused.

use crate::error::Error;
use caxton_engine::port::StoreError;
use rusqlite::{Connection, TransactionBehavior, params};
use sha2::{Digest as _, Sha256};

/// All migrations, in order; version n is the n-th. Never edit one that was released: add another.
const MIGRATIONS: &[(&str, &str)] = &[
    ("0001_first", include_str!("../migrations/0001_first.sql")),
    (
        "0002_records",
        include_str!("../migrations/0002_records.sql"),
    ),
    (
        "0003_leftover",
        include_str!("../migrations/0003_leftover.sql"),
    ),
];

/// The schema this program writes.
pub const SCHEMA_VERSION: u32 = MIGRATIONS.len() as u32;

/// "CAXT": marks a file as ours in its header.
pub(crate) const APPLICATION_ID: i32 = 0x4341_5854;

/// Brings the file to [`SCHEMA_VERSION`], all or nothing.
pub(crate) fn run(conn: &Connection, file: &str) -> Result<(), Error> {
    run_to(conn, file, MIGRATIONS)
}

/// Whether this program can use the file as it is, or after the migrations it lacks. Writes nothing.
pub(crate) fn check(conn: &Connection, file: &str) -> Result<(), Error> {
    let done = done(conn, file)?;
    if done.len() > MIGRATIONS.len() {
        return Err(Error::Store(StoreError::Newer {
            found: u32::try_from(done.len()).unwrap_or(u32::MAX),
            known: SCHEMA_VERSION,
        }));
    }
    if !matches(&done, MIGRATIONS) {
        let text = format!("{file}: its migrations are not the ones this program knows");
        return Err(Error::Store(StoreError::Damaged(text)));
    }
    Ok(())
}

fn run_to(conn: &Connection, file: &str, migrations: &[(&str, &str)]) -> Result<(), Error> {
    let done = done(conn, file)?;
    if done.len() == migrations.len() && matches(&done, migrations) {
        return Ok(());
    }
    let tx = rusqlite::Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
    // Another process may have migrated while this one waited for the lock.
    let done = self::done(conn, file)?;
    if done.len() > migrations.len() {
        return Err(Error::Store(StoreError::Newer {
            found: u32::try_from(done.len()).unwrap_or(u32::MAX),
            known: u32::try_from(migrations.len()).unwrap_or(u32::MAX),
        }));
    }
    if !matches(&done, migrations) {
        let text = format!("{file}: its migrations are not the ones this program knows");
        return Err(Error::Store(StoreError::Damaged(text)));
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS migration (
           version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 BLOB NOT NULL) STRICT;",
    )?;
    for (index, (name, sql)) in migrations.iter().enumerate().skip(done.len()) {
        tx.execute_batch(sql)?;
        let version = i64::try_from(index).unwrap_or(i64::MAX).saturating_add(1);
        tx.execute(
            "INSERT INTO migration (version, name, sha256) VALUES (?1, ?2, ?3)",
            params![version, name, sum(sql)],
        )?;
    }
    tx.commit()?;
    Ok(())
}

fn sum(sql: &str) -> Vec<u8> {
    Sha256::digest(sql.as_bytes()).to_vec()
}

fn matches(done: &[Vec<u8>], migrations: &[(&str, &str)]) -> bool {
    done.iter()
        .zip(migrations)
        .all(|(found, (_, sql))| *found == sum(sql))
}

/// The sums of the migrations that ran. A file of another program is refused here.
fn done(conn: &Connection, file: &str) -> Result<Vec<Vec<u8>>, Error> {
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(Vec::new());
    }
    let id: i32 = conn.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if id != APPLICATION_ID {
        let text = format!("{file}: not a database of this program");
        return Err(Error::Store(StoreError::Damaged(text)));
    }
    let mut rows = conn.prepare("SELECT sha256 FROM migration ORDER BY version")?;
    let sums = rows.query_map([], |row| row.get(0))?;
    sums.map(|sum| sum.map_err(Error::from)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NEXT: (&str, &str) = ("0002_next", "ALTER TABLE meta ADD COLUMN note TEXT;");

    #[test]
    fn each_migration_runs_once() {
        let conn = Connection::open_in_memory().unwrap();
        run(&conn, "f").unwrap();
        conn.execute("INSERT INTO meta VALUES ('epoch', 7)", [])
            .unwrap();
        run(&conn, "f").unwrap();
        let later = [MIGRATIONS, &[NEXT]].concat();
        run_to(&conn, "f", &later).unwrap();
        run_to(&conn, "f", &later).unwrap();
        let kept: i64 = conn
            .query_row("SELECT value FROM meta WHERE note IS NULL", [], |r| {
                r.get(0)
            })
            .unwrap();
        assert_eq!(kept, 7);
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let conn = Connection::open_in_memory().unwrap();
        run_to(&conn, "f", &[MIGRATIONS, &[NEXT]].concat()).unwrap();
        let error = run(&conn, "f").unwrap_err();
        let known = SCHEMA_VERSION;
        let expected = StoreError::Newer {
            found: known + 1,
            known,
        };
        assert!(matches!(error, Error::Store(found) if found == expected));
    }

    #[test]
    fn a_migration_that_fails_leaves_nothing() {
        let conn = Connection::open_in_memory().unwrap();
        let broken = (
            "0002_broken",
            "CREATE TABLE extra (x); CREATE TABLE meta (x);",
        );
        run(&conn, "f").unwrap();
        run_to(&conn, "f", &[MIGRATIONS, &[broken]].concat()).unwrap_err();
        let extra = conn.prepare("SELECT * FROM extra");
        assert!(extra.is_err(), "half a migration stands");
        run(&conn, "f").unwrap();
    }

    #[test]
    fn another_history_is_refused() {
        let conn = Connection::open_in_memory().unwrap();
        run(&conn, "f").unwrap();
        conn.execute("UPDATE migration SET sha256 = x'00'", [])
            .unwrap();
        let error = run(&conn, "f").unwrap_err();
        assert!(matches!(error, Error::Store(StoreError::Damaged(_))));
        let foreign = Connection::open_in_memory().unwrap();
        foreign.execute_batch("CREATE TABLE theirs (x)").unwrap();
        let error = run(&foreign, "f").unwrap_err();
        assert!(matches!(error, Error::Store(StoreError::Damaged(_))));
    }
}
