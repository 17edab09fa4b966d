//! All statements. Each is a file of its own under `sql/`, so that a statement is read as SQL, and
//! so that the test below can hold every one of them to the rule that keeps tenants apart: who
//! touches a tenant's table binds the tenant, as the first parameter.
//!
//! Parameters have names for the reader; they are bound by position, in the order in which the names
//! first stand in the statement.

/// Declares a constant for each file, and the list of all.
macro_rules! statements {
    ($($name:ident = $file:literal;)*) => {
        $(pub(crate) const $name: &str = include_str!(concat!("sql/", $file, ".sql"));)*
        #[cfg(test)]
        const ALL: &[(&str, &str)] = &[$(($file, $name)),*];
    };
}

statements! {
    AGENT_LIST = "agent_list";
    AGENT_PUT = "agent_put";
    AGENT_REMOVE = "agent_remove";
    ARTIFACT_GET = "artifact_get";
    ARTIFACT_PUT = "artifact_put";
    CALL_AGENT_DELETE = "call_agent_delete";
    CALL_ALL = "call_all";
    CALL_BEGIN = "call_begin";
    CALL_END = "call_end";
    CALL_GET = "call_get";
    CALL_OPEN = "call_open";
    CALL_REMOVE = "call_remove";
    CONVERSATION_GET = "conversation_get";
    CONVERSATION_OLDEST = "conversation_oldest";
    CONVERSATION_PAGE = "conversation_page";
    CONVERSATION_PAGE_FIRST = "conversation_page_first";
    CONVERSATION_PUT = "conversation_put";
    CONVERSATION_REMOVE = "conversation_remove";
    DEAD_LETTER_ANY = "dead_letter_any";
    DEAD_LETTER_EXISTS = "dead_letter_exists";
    DEAD_LETTER_OF_MESSAGE = "dead_letter_of_message";
    DEAD_LETTER_ONE = "dead_letter_one";
    DEAD_LETTER_PAGE = "dead_letter_page";
    DEAD_LETTER_PAGE_FIRST = "dead_letter_page_first";
    DEAD_LETTER_PUT = "dead_letter_put";
    DEAD_LETTER_REMOVE = "dead_letter_remove";
    INBOX_ATTEMPT = "inbox_attempt";
    INBOX_DELETE = "inbox_delete";
    INBOX_FORGET = "inbox_forget";
    INBOX_INSERT = "inbox_insert";
    INBOX_PUT = "inbox_put";
    LEFTOVER_LIST = "leftover_list";
    LEFTOVER_PUT = "leftover_put";
    LEFTOVER_REMOVE = "leftover_remove";
    LOG_DOWN = "log_down";
    LOG_PUT = "log_put";
    LOG_TRIM = "log_trim";
    LOG_UP = "log_up";
    MESSAGE_BY_ID = "message_by_id";
    MESSAGE_BY_SEQ = "message_by_seq";
    MESSAGE_COPY = "message_copy";
    MESSAGE_DELETE = "message_delete";
    MESSAGE_INSERT = "message_insert";
    MESSAGE_SEQ = "message_seq";
    META_GET = "meta_get";
    META_PUT = "meta_put";
    RECORD_GET = "record_get";
    RECORD_LIST = "record_list";
    RECORD_LIST_DOWN = "record_list_down";
    RECORD_PUT = "record_put";
    RECORD_REMOVE = "record_remove";
    SEGMENT_AGENTS = "segment_agents";
    SEGMENT_BOUNDS = "segment_bounds";
    SEGMENT_CONVERSATIONS = "segment_conversations";
    SEGMENT_DELETE = "segment_delete";
    SEGMENT_DOWN = "segment_down";
    SEGMENT_NEWEST = "segment_newest";
    SEGMENT_NEXT = "segment_next";
    SEGMENT_OLDEST = "segment_oldest";
    SEGMENT_PUT = "segment_put";
    SEGMENT_TRACES = "segment_traces";
    SEGMENT_UP = "segment_up";
    STATE_AGENT_DELETE = "state_agent_delete";
    STATE_GET = "state_get";
    STATE_KEYS = "state_keys";
    STATE_PUT = "state_put";
    STATE_REMOVE = "state_remove";
    SYSTEM_INBOX = "system_inbox";
    SYSTEM_SEQUENCE = "system_sequence";
    SYSTEM_TAIL = "system_tail";
    TENANT_ADD = "tenant_add";
    TENANT_LIST = "tenant_list";
    TENANT_REMOVE = "tenant_remove";
    TIMER_AGENT_DELETE = "timer_agent_delete";
    TIMER_LIST = "timer_list";
    TIMER_PUT = "timer_put";
    TIMER_REMOVE = "timer_remove";
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::ALL;
    use crate::migrate;

    /// Tables without a tenant's data. Every other table must have a `tenant` column.
    const SYSTEM_TABLES: [&str; 4] = ["tenant", "meta", "migration", "leftover"];
    /// Statements that are the server's own work over all tenants, at open.
    const SYSTEM_STATEMENTS: [&str; 3] = ["system_inbox", "system_sequence", "system_tail"];

    fn words(sql: &str) -> Vec<String> {
        let code: String = sql
            .lines()
            .filter(|line| !line.trim_start().starts_with("--"))
            .fold(String::new(), |all, line| all + line + " ");
        code.split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | ':' | '=' | '.'))
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect()
    }

    /// What is wrong with a statement that touches these tables, if anything.
    fn fault(sql: &str, tenant_tables: &[String]) -> Option<String> {
        let words = words(sql);
        let touched = words.windows(2).filter_map(|pair| match pair {
            [verb, table] if matches!(verb.as_str(), "from" | "into" | "update" | "join") => {
                Some(table)
            }
            _ => None,
        });
        let of_tenants = touched
            .filter(|table| tenant_tables.contains(table))
            .count();
        if of_tenants == 0 {
            return None;
        }
        let bound = words
            .windows(3)
            .filter(|w| {
                w[1] == "=" && w[2] == ":tenant" && w[0].rsplit('.').next() == Some("tenant")
            })
            .count();
        let inserts = words.first().is_some_and(|word| word == "insert");
        let parameter = words.iter().find(|word| word.starts_with(':'));
        let update = words.first().is_some_and(|word| word == "update");
        match parameter.map(String::as_str) {
            Some(":tenant") => {}
            _ if update && words.contains(&":tenant".to_owned()) => {}
            _ => return Some("does not bind :tenant first".to_owned()),
        }
        let needed = if inserts { 0 } else { of_tenants };
        (bound < needed).then(|| format!("{of_tenants} tables of tenants, {bound} bound"))
    }

    fn tenant_tables() -> Vec<String> {
        let conn = rusqlite::Connection::open_in_memory().unwrap();
        migrate::run(&conn, "test").unwrap();
        let mut names = conn
            .prepare(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
            )
            .unwrap();
        let names: Vec<String> = names
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .filter(|name: &String| !SYSTEM_TABLES.contains(&name.as_str()))
            .collect();
        for table in &names {
            let sql = format!("SELECT tenant FROM {table}");
            assert!(conn.prepare(&sql).is_ok(), "{table} is not keyed by tenant");
        }
        assert!(names.len() >= 10, "{names:?}");
        names
    }

    #[test]
    fn who_touches_a_tenants_table_binds_the_tenant() {
        let tables = tenant_tables();
        for (name, sql) in ALL {
            if !SYSTEM_STATEMENTS.contains(name) {
                assert_eq!(fault(sql, &tables), None, "{name}");
            }
        }
    }

    #[test]
    fn the_rule_finds_what_it_is_for() {
        let tables = tenant_tables();
        for bad in [
            "SELECT body FROM message WHERE id = :id;",
            "SELECT body FROM message WHERE id = :id AND tenant = :tenant;",
            "DELETE FROM inbox WHERE tenant = :tenant AND seq = (SELECT seq FROM message WHERE id = :id);",
            "SELECT 1 FROM inbox JOIN message ON message.seq = inbox.seq WHERE inbox.tenant = :tenant;",
            "INSERT INTO state (key) VALUES (:key);",
            "UPDATE inbox SET attempts = :attempts WHERE seq = :seq;",
        ] {
            assert!(fault(bad, &tables).is_some(), "{bad}");
        }
    }

    #[test]
    fn every_file_is_listed_and_prepares() {
        let conn = rusqlite::Connection::open_in_memory().unwrap();
        migrate::run(&conn, "test").unwrap();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sql");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let mut listed: Vec<String> = ALL.iter().map(|(name, _)| format!("{name}.sql")).collect();
        listed.sort();
        assert_eq!(files, listed);
        for (name, sql) in ALL {
            let prepared = conn.prepare(sql);
            assert!(prepared.is_ok(), "{name}: {:?}", prepared.err());
        }
    }

    /// A query of a tenant's table must find its rows by an index: the planner is asked.
    #[test]
    fn no_statement_of_a_tenant_scans_a_table() {
        let conn = rusqlite::Connection::open_in_memory().unwrap();
        migrate::run(&conn, "test").unwrap();
        for (name, sql) in ALL {
            let of_all = ["tenant_list", "leftover_list"].contains(name);
            if SYSTEM_STATEMENTS.contains(name) || of_all {
                continue;
            }
            let plan_sql = format!("EXPLAIN QUERY PLAN {sql}");
            let mut plan = conn.prepare(&plan_sql).unwrap();
            for index in 1..=plan.parameter_count() {
                plan.raw_bind_parameter(index, 1).unwrap();
            }
            let mut rows = plan.raw_query();
            while let Some(row) = rows.next().unwrap() {
                let step: String = row.get(3).unwrap();
                assert!(!step.starts_with("SCAN"), "{name}: {step}");
            }
        }
    }
}
