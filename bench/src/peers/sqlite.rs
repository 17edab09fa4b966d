//! SQLite itself, with the server's durability: plain inserts, a thousand in a transaction, by one
//! thread that does nothing else.

use crate::measure::{Contestant, Scores, Stopwatch};
use futures::future::BoxFuture;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

const BATCH: usize = 1000;

/// A table that grows by so many rows a round.
pub struct Inserts {
    connection: Connection,
    rows: usize,
    row: Vec<u8>,
}

impl Inserts {
    pub fn new(folder: &Path, rows: usize, row_bytes: usize) -> anyhow::Result<Self> {
        let connection = Connection::open(folder.join("inserts.db"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS row (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT",
        )?;
        Ok(Self {
            connection,
            rows: rows.next_multiple_of(BATCH),
            row: vec![b'x'; row_bytes],
        })
    }

    fn insert(&mut self) -> anyhow::Result<Scores> {
        let watch = Stopwatch::start();
        for _ in 0..self.rows / BATCH {
            let transaction = self.connection.transaction()?;
            {
                let mut insert =
                    transaction.prepare_cached("INSERT INTO row (body) VALUES (?1)")?;
                for _ in 0..BATCH {
                    insert.execute([&self.row])?;
                }
            }
            transaction.commit()?;
        }
        Ok(watch.read().rates(self.rows as u64))
    }
}

impl Contestant for Inserts {
    fn name(&self) -> String {
        "SQLite's inserts".to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(async { tokio::task::block_in_place(|| self.insert()) })
    }
}

/// Bytes of a message in the server's own database, on average.
pub fn message_bytes(database: &Path) -> anyhow::Result<usize> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)?;
    let bytes: f64 = connection.query_row("SELECT avg(length(body)) FROM message", [], |row| {
        row.get(0)
    })?;
    Ok(bytes as usize)
}
