//! The tables whose rows are a tenant's and are found by it alone, as moving and removing see them:
//! rows under a number, in the order of their keys. Messages, their deliveries and their segments are
//! not among them: those are found by sequence ([`super::copy`], [`super::clean`]).
//!
//! These are the only statements not written by hand: what is moved must be every column of every
//! table, and a test compares the list with the schema.

use crate::error::Error;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row, params_from_iter};

/// One table: the columns of its key after `tenant`, and the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) key: &'static [&'static str],
    pub(super) rest: &'static [&'static str],
}

pub(super) const TABLES: &[Table] = &[
    Table {
        name: "dead_letter",
        key: &["message", "receiver"],
        rest: &["mailbox", "code", "reason", "attempts", "buried"],
    },
    Table {
        name: "state",
        key: &["agent", "mailbox", "key"],
        rest: &["value"],
    },
    Table {
        name: "timer",
        key: &["agent", "mailbox", "name"],
        rest: &["due", "content", "origin"],
    },
    Table {
        name: "call",
        key: &["agent", "mailbox", "message", "number"],
        rest: &["request", "answer"],
    },
    Table {
        name: "agent",
        key: &["name"],
        rest: &[
            "manifest", "native", "digest", "phase", "created", "updated",
        ],
    },
    Table {
        name: "artifact",
        key: &["digest"],
        rest: &["bytes"],
    },
    Table {
        name: "conversation",
        key: &["id"],
        rest: &["last", "seq_first", "seq_last", "summary"],
    },
    Table {
        name: "record",
        key: &["kind", "id"],
        rest: &["body"],
    },
    Table {
        name: "log",
        key: &["kind", "key", "position"],
        rest: &["body"],
    },
];

/// Columns that hold a message's sequence, which is another one in another file.
const SEQUENCES: [&str; 2] = ["seq_first", "seq_last"];

/// Where a walk through a table stands: the key of the last row seen.
pub(super) type Cursor = Vec<Value>;

/// Most rows one step takes, and bytes after which it takes no more: what everybody else waits for.
pub(super) const STEP_ROWS_MAX: usize = 500;
pub(super) const STEP_BYTES_MAX: usize = 1 << 20;

impl Table {
    fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.key.iter().chain(self.rest).copied()
    }

    /// `(a, b) OP (?2, ?3)`, after the tenant's parameter.
    fn beyond(&self, operator: &str) -> String {
        let places: Vec<String> = (0..self.key.len())
            .map(|index| format!("?{}", index + 2))
            .collect();
        let (key, places) = (self.key.join(", "), places.join(", "));
        format!("({key}) {operator} ({places})")
    }

    fn select(&self, what: &str, after: bool) -> String {
        let beyond = match after {
            true => format!(" AND {}", self.beyond(">")),
            false => String::new(),
        };
        format!(
            "SELECT {what} FROM {} WHERE tenant = ?1{beyond} ORDER BY {} LIMIT {STEP_ROWS_MAX}",
            self.name,
            self.key.join(", "),
        )
    }

    fn insert(&self) -> String {
        let columns: Vec<&str> = self.columns().collect();
        let places: Vec<String> = (0..columns.len())
            .map(|index| format!("?{}", index + 2))
            .collect();
        let (columns, places) = (columns.join(", "), places.join(", "));
        let name = self.name;
        format!("INSERT INTO {name} (tenant, {columns}) VALUES (?1, {places})")
    }

    fn delete(&self) -> String {
        let (name, until) = (self.name, self.beyond("<="));
        format!("DELETE FROM {name} WHERE tenant = ?1 AND {until}")
    }

    /// Copies the next rows; gives where to go on, nothing where there is no more.
    pub(super) fn copy(
        &self,
        source: (&Connection, i64),
        dest: (&Connection, i64),
        offset: i64,
        after: Option<Cursor>,
    ) -> Result<Option<Cursor>, Error> {
        let columns: Vec<&str> = self.columns().collect();
        let mut list = source
            .0
            .prepare_cached(&self.select(&columns.join(", "), after.is_some()))?;
        let mut put = dest.0.prepare_cached(&self.insert())?;
        let mut rows = list.query(params_from_iter(bound(source.1, after)))?;
        let mut step = Step::default();
        while let Some(row) = rows.next()? {
            let mut values = vec![Value::Integer(dest.1)];
            for (index, column) in columns.iter().enumerate() {
                let mut value: Value = row.get(index)?;
                if SEQUENCES.contains(column)
                    && let Value::Integer(sequence) = &mut value
                {
                    *sequence = sequence.saturating_add(offset);
                }
                values.push(value);
            }
            put.execute(params_from_iter(values))?;
            if step.takes(self, row, columns.len())? {
                break;
            }
        }
        Ok(step.last)
    }

    /// Deletes the next rows; says whether there may be more.
    pub(super) fn delete_some(&self, conn: &Connection, tenant: i64) -> Result<bool, Error> {
        // A value's length is read without the value.
        let lengths = self.rest.iter().map(|column| format!("length({column})"));
        let what: Vec<String> = self
            .key
            .iter()
            .map(|column| (*column).to_owned())
            .chain(lengths)
            .collect();
        let mut list = conn.prepare_cached(&self.select(&what.join(", "), false))?;
        let mut rows = list.query([tenant])?;
        let mut step = Step::default();
        while let Some(row) = rows.next()? {
            if step.takes_lengths(self, row, what.len())? {
                break;
            }
        }
        drop(rows);
        let Some(last) = step.last else {
            return Ok(false);
        };
        let mut delete = conn.prepare_cached(&self.delete())?;
        delete.execute(params_from_iter(bound(tenant, Some(last))))?;
        Ok(true)
    }
}

fn bound(tenant: i64, cursor: Option<Cursor>) -> Vec<Value> {
    let mut values = vec![Value::Integer(tenant)];
    values.extend(cursor.unwrap_or_default());
    values
}

/// Rows taken so far.
#[derive(Default)]
struct Step {
    bytes: usize,
    last: Option<Cursor>,
}

impl Step {
    /// Takes a row in; says whether it was the last one.
    fn takes(&mut self, table: &Table, row: &Row<'_>, columns: usize) -> Result<bool, Error> {
        for index in 0..columns {
            self.bytes += match row.get_ref(index)? {
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
                _ => size_of::<i64>(),
            };
        }
        self.ends(table, row)
    }

    /// The same where the columns after the key are lengths.
    fn takes_lengths(
        &mut self,
        table: &Table,
        row: &Row<'_>,
        columns: usize,
    ) -> Result<bool, Error> {
        for index in table.key.len()..columns {
            let length: Option<i64> = row.get(index)?;
            self.bytes += usize::try_from(length.unwrap_or(0)).unwrap_or(0);
        }
        self.ends(table, row)
    }

    fn ends(&mut self, table: &Table, row: &Row<'_>) -> Result<bool, Error> {
        let key: Result<Cursor, _> = (0..table.key.len()).map(|index| row.get(index)).collect();
        self.last = Some(key?);
        Ok(self.bytes >= STEP_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::migrate;
    use std::collections::BTreeSet;

    /// Found by sequence, and not by these statements.
    const BY_SEQUENCE: [&str; 3] = ["message", "inbox", "segment"];

    fn names(conn: &Connection, sql: &str) -> BTreeSet<String> {
        let mut list = conn.prepare(sql).unwrap();
        let found = list.query_map([], |row| row.get(0)).unwrap();
        found.map(Result::unwrap).collect()
    }

    #[test]
    fn every_column_of_every_table_of_tenants_is_moved() {
        let conn = Connection::open_in_memory().unwrap();
        migrate::run(&conn, "test").unwrap();
        let all = names(
            &conn,
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
        );
        let columns_of = |table: &str| {
            names(
                &conn,
                &format!("SELECT name FROM pragma_table_info('{table}')"),
            )
        };
        let mut of_tenants: BTreeSet<String> = all
            .into_iter()
            .filter(|table| columns_of(table).contains("tenant") && table != "tenant")
            .collect();
        for table in TABLES {
            let mut columns: BTreeSet<String> = table.columns().map(str::to_owned).collect();
            columns.insert("tenant".to_owned());
            assert_eq!(columns, columns_of(table.name), "{}", table.name);
            assert!(of_tenants.remove(table.name), "{} twice", table.name);
        }
        assert_eq!(of_tenants, BY_SEQUENCE.map(str::to_owned).into());
    }

    #[test]
    fn no_walk_scans_or_sorts_a_table() {
        let conn = Connection::open_in_memory().unwrap();
        migrate::run(&conn, "test").unwrap();
        for table in TABLES {
            for sql in [
                table.select("tenant", false),
                table.select("tenant", true),
                table.delete(),
            ] {
                let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
                for index in 1..=plan.parameter_count() {
                    plan.raw_bind_parameter(index, 1).unwrap();
                }
                let mut rows = plan.raw_query();
                while let Some(row) = rows.next().unwrap() {
                    let step: String = row.get(3).unwrap();
                    let direct = step.starts_with("SEARCH") && step.contains("tenant=?");
                    assert!(direct, "{sql}: {step}");
                }
            }
        }
    }
}
