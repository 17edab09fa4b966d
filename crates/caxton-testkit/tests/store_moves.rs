//! Moving and removing tenants when the process dies at any moment, and when the disk fails at any
//! moment. The C library's `fsync`, `fdatasync`, `pwrite64` and `unlink` are replaced in this program:
//! before each of them on the data folder under test it can copy the folder away, which is what a
//! kill -9 at that moment would have left; or it can fail.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use caxton_engine::port::store::{MessageFilter, PageRequest, Placement};
use caxton_engine::port::{Store, SystemClock};
use caxton_store::{Options, SHARED_FILE, SqliteStore, TENANTS_DIR};
use caxton_testkit::store_suite::build::*;
use faults::Mode;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Mutex;

/// The switches are the whole program's: one test at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

mod faults {
    #![allow(
        unsafe_code,
        reason = "replacing a function of the C library has no safe form"
    )]
    //! The replaced functions. Each does what the C library's does, by the system call, unless it is
    //! told otherwise and the file is one of the folder under test.

    use std::cell::Cell;
    use std::ffi::{CStr, OsStr, c_char, c_int, c_long, c_void};
    use std::os::unix::ffi::OsStrExt as _;
    use std::path::{Path, PathBuf};
    use std::sync::Mutex;

    pub enum Mode {
        /// Copies the folder before each call that changes it.
        Snapshot { into: PathBuf, taken: usize },
        /// Lets so many syncs pass and fails all after them.
        SyncsFail { after: usize, failed: usize },
    }

    pub static AT_WORK: Mutex<Option<(PathBuf, Mode)>> = Mutex::new(None);

    thread_local! {
        /// Copying calls some of these functions itself.
        static INSIDE: Cell<bool> = const { Cell::new(false) };
    }

    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &to);
            } else if !entry.path().to_string_lossy().ends_with("-shm") {
                // The log's index is not on the disk's side of a crash; it is made anew.
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
    }

    /// Whether this call is to fail.
    fn met(path: &Path, is_sync: bool) -> bool {
        if INSIDE.get() {
            return false;
        }
        INSIDE.set(true);
        let mut at_work = AT_WORK.lock().unwrap();
        let fails = match &mut *at_work {
            Some((dir, mode)) if path.starts_with(&*dir) => match mode {
                Mode::Snapshot { into, taken } => {
                    copy(dir, &into.join(taken.to_string()));
                    *taken += 1;
                    false
                }
                Mode::SyncsFail { after: 0, failed } if is_sync => {
                    *failed += 1;
                    true
                }
                Mode::SyncsFail { after, .. } if is_sync => {
                    *after -= 1;
                    false
                }
                Mode::SyncsFail { .. } => false,
            },
            _ => false,
        };
        drop(at_work);
        INSIDE.set(false);
        if fails {
            // SAFETY: errno is this thread's own.
            unsafe { *libc::__errno_location() = libc::EIO };
        }
        fails
    }

    fn met_file(fd: c_int, is_sync: bool) -> bool {
        let path = std::fs::read_link(format!("/proc/self/fd/{fd}"));
        path.is_ok_and(|path| met(&path, is_sync))
    }

    // SAFETY of all below: they have the C library's signatures and pass their arguments on to the
    // system call of the same name.

    #[unsafe(no_mangle)]
    extern "C" fn fsync(fd: c_int) -> c_int {
        if met_file(fd, true) {
            return -1;
        }
        unsafe { libc::syscall(libc::SYS_fsync, fd) as c_int }
    }

    #[unsafe(no_mangle)]
    extern "C" fn fdatasync(fd: c_int) -> c_int {
        if met_file(fd, true) {
            return -1;
        }
        unsafe { libc::syscall(libc::SYS_fdatasync, fd) as c_int }
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn pwrite64(
        fd: c_int,
        buffer: *const c_void,
        count: usize,
        offset: i64,
    ) -> isize {
        if met_file(fd, false) {
            return -1;
        }
        unsafe { libc::syscall(libc::SYS_pwrite64, fd, buffer, count, offset as c_long) as isize }
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
        let text = unsafe { CStr::from_ptr(path) };
        met(Path::new(OsStr::from_bytes(text.to_bytes())), false);
        unsafe { libc::syscall(libc::SYS_unlinkat, libc::AT_FDCWD, path, 0) as c_int }
    }
}

/// A mode that is on until this is dropped, by a failing test, too.
struct On;

impl On {
    fn switch(dir: &Path, mode: Mode) -> Self {
        *faults::AT_WORK.lock().unwrap() = Some((dir.to_owned(), mode));
        Self
    }

    fn off(self) -> Mode {
        faults::AT_WORK.lock().unwrap().take().unwrap().1
    }
}

impl Drop for On {
    fn drop(&mut self) {
        if let Ok(mut at_work) = faults::AT_WORK.lock() {
            *at_work = None;
        }
    }
}

fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(Options::new(dir, Arc::new(SystemClock))).unwrap()
}

const MOVER: &str = "mover";
const MESSAGES: u64 = 12;

async fn fill(store: &SqliteStore, tenant: &str) {
    let b = mailbox(tenant, "b");
    for n in 0..MESSAGES {
        let ops = vec![
            deliver(said(tenant, n, "talk"), std::slice::from_ref(&b)),
            state_put(&b, &format!("key {n}"), &"value ".repeat(300)),
        ];
        commit(store, tenant, ops).await;
    }
}

/// All of `fill` and nothing else, or nothing at all.
async fn has_all(store: &SqliteStore, tenant: &str) -> bool {
    let s = scope(tenant);
    let b = mailbox(tenant, "b");
    let waiting = pending(store, tenant, &b).await;
    let keys = store.state_keys(&s, &b, "", "", 1_000).await.unwrap();
    let filter = MessageFilter::default();
    let page = PageRequest::first(1_000);
    let listed = store.messages(&s, &filter, &page).await.unwrap().rows;
    let talk = store.conversation(&s, &conversation("talk")).await.unwrap();
    if waiting.is_empty() {
        assert!(keys.is_empty() && listed.is_empty() && talk.is_none());
        return false;
    }
    let expected: Vec<u64> = (0..MESSAGES).collect();
    assert_eq!(waiting, expected);
    assert_eq!(keys.len() as u64, MESSAGES);
    assert_eq!(listed.len() as u64, MESSAGES);
    assert_eq!(talk.unwrap().messages, MESSAGES);
    for n in 0..MESSAGES {
        let row = store.message(&s, id(n)).await.unwrap().unwrap();
        assert_eq!(row.open.len(), 1);
    }
    true
}

/// One copy counts, and nothing else is left anywhere.
fn check_no_leftovers(dir: &Path, placement: Placement) {
    let file = dir.join(TENANTS_DIR).join(format!("{MOVER}.db"));
    assert_eq!(file.exists(), placement == Placement::Dedicated);
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let path = dir.join(SHARED_FILE);
    let conn =
        rusqlite::Connection::open_with_flags_and_vfs(path, flags, "caxton-default").unwrap();
    let count = |sql: &str| -> i64 { conn.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(count("SELECT count(*) FROM leftover"), 0);
    let mut tables = conn
        .prepare(
            "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
             WHERE m.type = 'table' AND c.name = 'tenant' AND m.name != 'tenant'",
        )
        .unwrap();
    let tables: Vec<String> = tables
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(tables.len() >= 12, "{tables:?}");
    for table in tables {
        let stray = format!(
            "SELECT count(*) FROM {table}
             WHERE tenant NOT IN (SELECT tenant FROM tenant WHERE dedicated = 0)"
        );
        assert_eq!(count(&stray), 0, "{table}");
    }
}

/// What a server finds that starts on this folder.
async fn check_start(dir: &Path, moved: bool) -> (Placement, bool) {
    let store = open(dir);
    let placement = store.placement(&scope(MOVER)).await.unwrap();
    let there = has_all(&store, MOVER).await;
    assert!(has_all(&store, "stays").await);
    assert!(there || !moved, "a move loses nothing");
    // After what the start has begun: the keeper does one thing after the other.
    store.move_tenant(&scope(MOVER), placement).await.unwrap();
    assert_eq!(has_all(&store, MOVER).await, there);
    store.verify().await.unwrap();
    // The tenant goes on.
    let b = mailbox(MOVER, "b");
    let known = deliver(said(MOVER, 0, "talk"), std::slice::from_ref(&b));
    let again = commit(&store, MOVER, vec![known]).await;
    assert_eq!(!again.duplicates.is_empty(), there);
    drop(store);
    if there {
        check_no_leftovers(dir, placement);
    }
    (placement, there)
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Move(Placement),
    Remove,
}

async fn run(store: &SqliteStore, step: Step) -> Result<(), caxton_engine::port::StoreError> {
    match step {
        Step::Move(to) => store.move_tenant(&scope(MOVER), to).await,
        Step::Remove => store.remove_tenant(&scope(MOVER)).await,
    }
}

/// A folder where the tenant stands before the step.
async fn before(dir: &Path, step: Step, apart: bool) -> SqliteStore {
    let store = open(dir);
    fill(&store, "stays").await;
    fill(&store, MOVER).await;
    if apart || matches!(step, Step::Move(Placement::Shared)) {
        let to = Placement::Dedicated;
        store.move_tenant(&scope(MOVER), to).await.unwrap();
    }
    store
}

/// Dies before each change to the folder that the step makes.
async fn die_at_each_change(step: Step, apart: bool) {
    let _alone = ONE_AT_A_TIME.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let store = before(&data, step, apart).await;
    let into = dir.path().join("snapshots");
    let on = On::switch(
        &data,
        Mode::Snapshot {
            into: into.clone(),
            taken: 0,
        },
    );
    run(&store, step).await.unwrap();
    drop(store);
    let Mode::Snapshot { taken, .. } = on.off() else {
        unreachable!("it was switched to this");
    };
    assert!(taken > 10, "only {taken} changes were seen");
    let moved = matches!(step, Step::Move(_));
    let mut seen = Vec::new();
    for index in 0..taken {
        let found = check_start(&into.join(index.to_string()), moved).await;
        if seen.last() != Some(&found) {
            seen.push(found);
        }
    }
    // It was so, then it is so: no moment shows the old again.
    let from = if apart || matches!(step, Step::Move(Placement::Shared)) {
        Placement::Dedicated
    } else {
        Placement::Shared
    };
    let after = match step {
        Step::Move(to) => (to, true),
        Step::Remove => (Placement::Shared, false),
    };
    assert_eq!(seen, [(from, true), after]);
}

#[tokio::test]
async fn a_kill_while_a_tenant_gets_its_own_file_leaves_one_copy() {
    die_at_each_change(Step::Move(Placement::Dedicated), false).await;
}

#[tokio::test]
async fn a_kill_while_a_tenant_goes_back_leaves_one_copy() {
    die_at_each_change(Step::Move(Placement::Shared), true).await;
}

#[tokio::test]
async fn a_kill_while_a_tenant_is_removed_leaves_all_or_nothing() {
    die_at_each_change(Step::Remove, false).await;
    die_at_each_change(Step::Remove, true).await;
}

/// From each sync on that the step makes, the disk fails; then it is mended; or the process dies.
async fn fail_at_each_sync(step: Step, apart: bool) {
    let _alone = ONE_AT_A_TIME.lock().await;
    for after in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let store = before(&data, step, apart).await;
        let on = On::switch(&data, Mode::SyncsFail { after, failed: 0 });
        let result = run(&store, step).await;
        let Mode::SyncsFail { failed, .. } = on.off() else {
            unreachable!("it was switched to this");
        };
        if failed == 0 {
            assert!(after > 2, "no sync was made to fail");
            result.unwrap();
            return;
        }
        result.expect_err("its syncs failed");
        // What a kill now would leave; and the process that lives on, with its disk mended.
        let killed = dir.path().join("killed");
        copy(&data, &killed);
        let moved = matches!(step, Step::Move(_));
        check_start(&killed, moved).await;
        let there = has_all(&store, MOVER).await;
        assert!(there || !moved);
        // The tenant writes on: at the latest with the second try, for the first may be what has the
        // store look whether the disk is mended.
        let b = mailbox(MOVER, "other");
        let put = || vec![state_put(&b, "k", "v")];
        if store.commit(unit(MOVER, put())).await.is_err() {
            store
                .forget_messages(&scope(MOVER), at(0), 1)
                .await
                .unwrap();
            store.commit(unit(MOVER, put())).await.unwrap();
        }
        let copied = dir.path().join("copied");
        copy(&data, &copied);
        let restarted = open(&copied);
        let value = restarted.state(&scope(MOVER), &b, "k").await.unwrap();
        assert_eq!(value.as_deref(), Some(b"v".as_slice()), "acknowledged");
        drop(restarted);
        run(&store, step).await.expect("the disk is mended");
        assert_eq!(has_all(&store, MOVER).await, moved);
        drop(store);
        check_start(&data, moved).await;
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else if !entry.path().to_string_lossy().ends_with("-shm") {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test]
async fn a_disk_that_fails_during_a_move_loses_nothing() {
    fail_at_each_sync(Step::Move(Placement::Dedicated), false).await;
    fail_at_each_sync(Step::Move(Placement::Shared), true).await;
}

#[tokio::test]
async fn a_disk_that_fails_during_a_removal_is_asked_again() {
    fail_at_each_sync(Step::Remove, false).await;
    fail_at_each_sync(Step::Remove, true).await;
}
