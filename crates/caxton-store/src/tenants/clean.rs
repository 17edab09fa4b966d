//! Deletes what is nobody's: rows under a number that no tenant has, piece by piece, each piece a
//! transaction small enough that nobody waits long for it; and files.

use super::tables::{STEP_ROWS_MAX, TABLES};
use crate::error::{Error, io};
use crate::file::Writer;
use crate::file::tail::{Term, search};
use crate::files::Files;
use crate::rows::blob;
use crate::sql;
use caxton_core::TenantId;
use caxton_engine::port::StoreError;
use rusqlite::{Connection, params};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// Rows of one number that are being deleted.
#[derive(Debug)]
struct Clean {
    number: i64,
    /// The segment whose messages are in `messages`.
    segment: Option<i64>,
    messages: VecDeque<i64>,
    tail_done: bool,
    table: usize,
}

/// Deletes all that is left, of this program's life and of former ones. Nobody may read it any more.
pub(super) fn clean(files: &Files) -> Result<(), StoreError> {
    for left in files.shared.run_now(|writer| writer.leftovers())? {
        if left.file {
            files.shared.run_now(|writer| writer.write_over())?;
            remove_file(files, &left.name)?;
        } else {
            remove_rows(files, left.number)?;
        }
        let number = left.number;
        files.shared.run_now(move |writer| writer.cleaned(number))?;
    }
    Ok(())
}

fn remove_rows(files: &Files, number: i64) -> Result<(), StoreError> {
    let mut clean = Clean {
        number,
        segment: None,
        messages: VecDeque::new(),
        tail_done: false,
        table: 0,
    };
    let mut more = true;
    while more {
        files.go_on()?;
        let mut at = clean;
        (clean, more) = files.shared.run_now(move |writer| {
            let more = at.step(writer)?;
            Ok((at, more))
        })?;
    }
    Ok(())
}

impl Clean {
    /// Deletes one piece; says whether there is more.
    fn step(&mut self, writer: &mut Writer<'_>) -> Result<bool, Error> {
        // The pages are overwritten and not only given back: what was removed is to be gone.
        writer.conn.pragma_update(None, "secure_delete", true)?;
        let shared = writer.shared;
        let more = writer.change(|conn| {
            if self.messages.is_empty() && self.segment.is_none() {
                self.find_messages(conn)?;
            }
            if self.messages.is_empty() && self.segment.is_none() && !self.tail_done {
                // What is sealed meanwhile is found as a segment again: the number is in the tail
                // for as long as its messages are.
                self.messages = shared.tail.read().find(self.number, Term::Any).into();
                self.tail_done = self.messages.is_empty();
            }
            if !self.messages.is_empty() {
                self.delete_messages(conn)?;
                return Ok(true);
            }
            if let Some(segment) = self.segment.take() {
                let mut delete = conn.prepare_cached(sql::SEGMENT_DELETE)?;
                delete.execute(params![self.number, segment])?;
                return Ok(true);
            }
            if !self.tail_done {
                return Ok(true);
            }
            let Some(table) = TABLES.get(self.table) else {
                return Ok(false);
            };
            if !table.delete_some(conn, self.number)? {
                self.table += 1;
            }
            Ok(true)
        });
        writer.conn.pragma_update(None, "secure_delete", false)?;
        if more.is_ok() && self.tail_done {
            // Or the next seal would write a list of messages that are not there.
            shared.tail.write().forget(self.number);
        }
        more
    }

    fn find_messages(&mut self, conn: &Connection) -> Result<(), Error> {
        let mut oldest = conn.prepare_cached(sql::SEGMENT_OLDEST)?;
        let mut rows = oldest.query([self.number])?;
        if let Some(row) = rows.next()? {
            let first = row.get(0)?;
            self.segment = Some(first);
            self.messages = search(blob(row, 1)?, first, Term::Any).into();
        }
        Ok(())
    }

    fn delete_messages(&mut self, conn: &Connection) -> Result<(), Error> {
        let mut message = conn.prepare_cached(sql::MESSAGE_DELETE)?;
        let mut inbox = conn.prepare_cached(sql::INBOX_FORGET)?;
        let count = self.messages.len().min(STEP_ROWS_MAX);
        for seq in self.messages.drain(..count) {
            message.execute(params![self.number, seq])?;
            inbox.execute(params![self.number, seq])?;
        }
        // The tail has no segment row to delete at its end.
        if self.segment.is_none() && self.messages.is_empty() {
            self.tail_done = true;
        }
        Ok(())
    }
}

/// The file, its log and the log's index.
fn remove_file(files: &Files, tenant: &TenantId) -> Result<(), StoreError> {
    let path = files.path_of(tenant);
    for suffix in ["", "-wal", "-shm"] {
        let path = with_suffix(&path, suffix);
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(io("remove", &path, &error)),
        }
    }
    match path.parent() {
        Some(dir) if dir.exists() => crate::backup::sync_dir(dir),
        _ => Ok(()),
    }
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
