//! The Store port on SQLite: migrations, statements, group commit, backup.
