//! The conformance suite over every store: in memory, SQLite with tenants in one file, SQLite with a
//! file for each tenant.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use caxton_engine::port::store::Placement;
use caxton_engine::port::{MemoryDisk, MemoryStore, Store, SystemClock};
use caxton_store::{Options, SqliteStore};
use caxton_testkit::store_suite::Subject;
use caxton_testkit::store_suite::build::scope;
use std::path::Path;
use std::sync::Arc;

fn memory() -> Subject {
    let disk = MemoryDisk::default();
    Subject::new((), move || Arc::new(MemoryStore::open(disk.clone())))
}

fn options(dir: &Path) -> Options {
    Options::new(dir, Arc::new(SystemClock))
}

fn shared() -> Subject {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().to_owned();
    Subject::new(dir, move || {
        Arc::new(SqliteStore::open(options(&path)).expect("the folder opens"))
    })
}

/// Every tenant the suite writes to has a file of its own, and few may be open at one time.
fn dedicated() -> Subject {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().to_owned();
    Subject::new(dir, move || {
        let mut options = options(&path);
        options.tenants_open_max = 2;
        let store = SqliteStore::open(options).expect("the folder opens");
        for tenant in ["t", "u", "t-2", "even", "odd"] {
            wait(store.move_tenant(&scope(tenant), Placement::Dedicated)).expect("a new tenant");
        }
        Arc::new(store)
    })
}

/// Waits outside the test's own runtime, which must not be blocked from within.
fn wait<T: Send>(future: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let run = || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.expect("a runtime").block_on(future)
        };
        scope.spawn(run).join().expect("it does not panic")
    })
}

mod in_memory {
    caxton_testkit::store_suite!(crate::memory());
}

mod sqlite_shared {
    caxton_testkit::store_suite!(crate::shared());
}

mod sqlite_dedicated {
    caxton_testkit::store_suite!(crate::dedicated());
}
