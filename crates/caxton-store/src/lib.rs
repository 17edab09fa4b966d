//! The `Store` port on SQLite.
//!
//! One process owns a data folder ([`lock_data_dir`]). Tenants share one database file, every row of
//! which is keyed by tenant; a tenant may have a file of its own. Each file has one thread that
//! writes: it takes the units that wait and commits them together, so that a thousand durable
//! messages cost one sync. A few threads read, each from its own snapshot.
//!
//! What is durable was synced before it was acknowledged. What cannot be written is refused, never
//! half written; what cannot be read is named, never guessed. `docs/storage.md` tells the schema and
//! the procedures.

mod backup;
mod codec;
mod error;
mod file;
mod files;
mod keeper;
mod lock;
mod migrate;
mod options;
mod readers;
mod rows;
mod secrets;
mod sql;
mod store;
mod tenants;
mod vfs;

pub use backup::{BackupError, list_backups, restore, verify_backup};
pub use file::{Looked, look};
pub use files::{SHARED_FILE, TENANTS_DIR};
pub use lock::{DataLock, LockError, lock_data_dir};
pub use migrate::SCHEMA_VERSION;
pub use options::{Options, SyncMode};
pub use secrets::{KeyError, SealedSecrets, new_master_key, present_key};
pub use store::SqliteStore;
