//! Which tenants a file has and under which numbers. A number is never given a second time, and that
//! is what removing and moving a tenant rest on: each is decided by one small transaction that takes
//! the number from the tenant, and what stands under the number is from then on nobody's, to be
//! deleted piece by piece however long that takes.

use crate::error::Error;
use crate::file::group::{meta, put_meta};
use crate::file::inbox::Change;
use crate::file::tail::Segment;
use crate::file::writer::{Writer, seal};
use crate::{rows, sql};
use caxton_core::{MailboxId, TenantId};
use rusqlite::{Connection, params};

/// Keys of `meta`: the last number given to a tenant and the last one given to a message, where the
/// rows themselves may not tell any more.
pub(super) const TENANT_LAST: &str = "tenant_last";
pub(super) const SEQUENCE_LAST: &str = "sequence_last";
/// Key of `meta`: counts [`Writer::write_over`].
const TURN: &str = "turn";

/// Numbers kept free behind the messages that are to be moved into this file, for those accepted at
/// the old place meanwhile.
const MESSAGES_MEANWHILE_MAX: i64 = 1 << 24;

/// A row of `leftover`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leftover {
    pub(crate) number: i64,
    pub(crate) name: TenantId,
    /// What is left is a file and not rows.
    pub(crate) file: bool,
}

/// What the rows of a tenant do not tell quickly, at a moment when none of its units is under way.
#[derive(Debug)]
pub(crate) struct Still {
    pub(crate) number: i64,
    /// The sequences of its first and last message.
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// `seq_first` of the newest segment; 0 where there is none.
    pub(crate) segment_newest: i64,
    /// The messages that no segment lists, as one.
    pub(crate) tail: Option<Segment>,
    pub(crate) inbox: Vec<(MailboxId, i64, u32)>,
}

/// Where data that is moved into this file goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// The tenant's new number.
    pub(crate) number: i64,
    /// Messages go after this number, `seq_until` the last one kept free for them.
    pub(crate) seq_after: i64,
    pub(crate) seq_until: i64,
}

pub(crate) fn leftovers(conn: &Connection) -> Result<Vec<Leftover>, Error> {
    let mut list = conn.prepare(sql::LEFTOVER_LIST)?;
    let mut found = list.query([])?;
    let mut leftovers = Vec::new();
    while let Some(row) = found.next()? {
        let name: String = row.get(1)?;
        leftovers.push(Leftover {
            number: row.get(0)?,
            name: rows::tenant_id(&name)?,
            file: row.get(2)?,
        });
    }
    Ok(leftovers)
}

fn leave(conn: &Connection, left: &Leftover) -> Result<(), Error> {
    conn.execute(
        sql::LEFTOVER_PUT,
        params![left.number, left.name.as_str(), left.file],
    )?;
    Ok(())
}

impl Writer<'_> {
    /// The number that stands for a tenant with data in this file.
    pub(crate) fn tenant_number(&self, tenant: &TenantId) -> Option<i64> {
        self.known.tenants.get(tenant).copied()
    }

    pub(crate) fn leftovers(&self) -> Result<Vec<Leftover>, Error> {
        leftovers(&self.conn)
    }

    /// Says that something is being made that is nobody's until [`Writer::settle`]: a file, or rows
    /// under the number returned.
    pub(crate) fn intend(&mut self, name: &TenantId, file: bool) -> Result<i64, Error> {
        let number = self.known.tenant_last.saturating_add(1);
        let left = Leftover {
            number,
            name: name.clone(),
            file,
        };
        self.change(|conn| {
            put_meta(conn, TENANT_LAST, number)?;
            leave(conn, &left)
        })?;
        self.known.tenant_last = number;
        self.known.leftover.insert(number);
        Ok(number)
    }

    /// Commits something, whatever. When [`Writer::settle`] failed, its frames may still be in the log,
    /// and a crash would bring them back. Once another commit has succeeded they are written over:
    /// only then may a file be deleted, or written to, that they would make the tenant's or nobody's.
    pub(crate) fn write_over(&mut self) -> Result<(), Error> {
        self.change(|conn| {
            // Another number each time: SQLite writes no page for a value that is there already.
            let turn = meta(conn, TURN)?.wrapping_add(1);
            put_meta(conn, TURN, turn)
        })
    }

    /// Makes room for so many messages of a tenant: a number for it, and sequence numbers behind all
    /// that there are. What is listed in memory is sealed, so that no list spans the gap.
    pub(crate) fn make_room(&mut self, name: &TenantId, span: i64) -> Result<Room, Error> {
        let number = self.intend(name, false)?;
        let seq_after = self.known.seq;
        let span = span.saturating_add(MESSAGES_MEANWHILE_MAX);
        let seq_until = seq_after.saturating_add(span);
        let shared = self.shared;
        self.change(|conn| {
            seal(conn, &shared.tail.read(), seq_until)?;
            put_meta(conn, SEQUENCE_LAST, seq_until)
        })?;
        self.known.seq = seq_until;
        shared.tail.write().sealed(seq_until.saturating_add(1));
        Ok(Room {
            number,
            seq_after,
            seq_until,
        })
    }

    /// How the tenant stands. Asked on the writer's thread after all units that were queued before.
    pub(crate) fn still(&self, tenant: &TenantId) -> Result<Option<Still>, Error> {
        let Some(number) = self.tenant_number(tenant) else {
            return Ok(None);
        };
        let (first, last) = self.sequences(number)?;
        let mut newest = self.conn.prepare_cached(sql::SEGMENT_NEWEST)?;
        Ok(Some(Still {
            number,
            first,
            last,
            segment_newest: newest.query_row([number], |row| row.get(0))?,
            tail: self.shared.tail.read().segment_of(number),
            inbox: self.shared.inbox.read().of_tenant(number),
        }))
    }

    /// The first and last sequence of the tenant's messages; zeros where it has none.
    pub(crate) fn sequences(&self, number: i64) -> Result<(i64, i64), Error> {
        let mut bounds = self.conn.prepare_cached(sql::SEGMENT_BOUNDS)?;
        let sealed: (Option<i64>, Option<i64>) =
            bounds.query_row([number], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let tail = self.shared.tail.read().bounds(number);
        let first = sealed.0.or(tail.map(|(first, _)| first));
        let last = tail.map(|(_, last)| last).or(sealed.1);
        Ok((first.unwrap_or(0), last.unwrap_or(0)))
    }

    /// Begins to fill an empty file with a tenant's data; gives the tenant's number in it.
    pub(crate) fn furnish(&mut self, name: &TenantId) -> Result<i64, Error> {
        let number = 1;
        self.change(|conn| {
            conn.execute(sql::TENANT_ADD, params![number, name.as_str(), 0])?;
            Ok(())
        })?;
        Ok(number)
    }

    /// Says that all of an empty file's messages are listed in segments.
    pub(crate) fn furnished(&mut self, newest: i64) -> Result<(), Error> {
        self.change(|conn| put_meta(conn, "sealed", newest))
    }

    /// Decides a move or a removal, in one transaction: `next` is the tenant's new row (its number,
    /// and whether the data is in its own file), none removes it; `left` becomes nobody's. What was
    /// intended under the new number is no leftover any more.
    pub(crate) fn settle(
        &mut self,
        name: &TenantId,
        next: Option<(i64, bool)>,
        left: Option<&Leftover>,
    ) -> Result<(), Error> {
        let former = self.tenant_number(name);
        let (tenant_last, seq) = (self.known.tenant_last, self.known.seq);
        self.change(|conn| {
            put_meta(conn, TENANT_LAST, tenant_last)?;
            put_meta(conn, SEQUENCE_LAST, seq)?;
            if let Some(number) = former {
                conn.execute(sql::TENANT_REMOVE, [number])?;
            }
            if let Some((number, apart)) = next {
                conn.execute(sql::TENANT_ADD, params![number, name.as_str(), apart])?;
                conn.execute(sql::LEFTOVER_REMOVE, [number])?;
            }
            left.map_or(Ok(()), |left| leave(conn, left))
        })?;
        if let Some(left) = left {
            self.known.leftover.insert(left.number);
        }
        match next {
            Some((number, _)) => {
                self.known.leftover.remove(&number);
                self.known.tenants.insert(name.clone(), number);
            }
            None => {
                self.known.tenants.remove(name);
            }
        }
        Ok(())
    }

    /// Makes known under which number the tenant's rows are found; none: that it has none here.
    pub(crate) fn announce(&self, name: &TenantId, number: Option<i64>) {
        let mut tenants = self.shared.tenants.write();
        match number {
            Some(number) => tenants.insert(name.clone(), number),
            None => tenants.remove(name),
        };
    }

    /// Takes in deliveries whose rows were copied.
    pub(crate) fn take_inbox(&self, number: i64, rows: Vec<(MailboxId, i64, u32)>, offset: i64) {
        let mut inbox = self.shared.inbox.write();
        for (mailbox, seq, attempts) in rows {
            inbox.apply(Change::Add {
                tenant: number,
                mailbox,
                seq: seq.saturating_add(offset),
                attempts,
            });
        }
    }

    /// Drops what memory has of a number that is nobody's. Its messages stay listed until they are
    /// deleted: that is how they are found.
    pub(crate) fn forget_number(&mut self, number: i64) {
        self.known.forget(number);
        self.shared.inbox.write().forget(number);
    }

    /// Nothing is left under this number.
    pub(crate) fn cleaned(&mut self, number: i64) -> Result<(), Error> {
        self.change(|conn| {
            conn.execute(sql::LEFTOVER_REMOVE, [number])?;
            Ok(())
        })?;
        self.known.leftover.remove(&number);
        Ok(())
    }
}
