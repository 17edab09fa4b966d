//! What the store does when the disk says no: an fsync that fails, a disk that is full. The C
//! library's `fsync`, `fdatasync` and writes are replaced in this program by ones that fail for the
//! database under test while a switch is on, so that everything above them, SQLite included, is what
//! is shipped.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use caxton_api::v1::{
    CreateKeyRequest, ExportAuditRequest, ListAuditEntriesRequest, ListKeysRequest,
};
use caxton_core::audit::Verifier;
use caxton_core::error::Code;
use caxton_engine::audit::check_signature;
use caxton_engine::port::{Store, StoreError, SystemClock};
use caxton_store::{Options, SHARED_FILE, SqliteStore};
use caxton_testkit::server::TestServer;
use caxton_testkit::store_suite::build::*;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use tokio::sync::Mutex;

/// The switches are the whole program's: one test at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

mod faults {
    #![allow(
        unsafe_code,
        reason = "replacing a function of the C library has no safe form"
    )]
    //! The replaced functions. Each does what the C library's does, by the system call, unless its
    //! switch is on and the file is one of a database.

    use std::ffi::{c_int, c_long, c_void};
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    pub static SYNC_FAILS: AtomicBool = AtomicBool::new(false);
    pub static DISK_IS_FULL: AtomicBool = AtomicBool::new(false);
    /// How often a switch made a call fail: a test that injected nothing proves nothing.
    pub static INJECTED: AtomicUsize = AtomicUsize::new(0);

    fn of_a_database(fd: c_int) -> bool {
        let path = std::fs::read_link(format!("/proc/self/fd/{fd}"));
        path.is_ok_and(|path| path.to_string_lossy().contains(caxton_store::SHARED_FILE))
    }

    fn fails(switch: &AtomicBool, fd: c_int, error: c_int) -> bool {
        let fails = switch.load(Ordering::SeqCst) && of_a_database(fd);
        if fails {
            INJECTED.fetch_add(1, Ordering::SeqCst);
            // SAFETY: errno is this thread's own.
            unsafe { *libc::__errno_location() = error };
        }
        fails
    }

    // SAFETY of all below: they have the C library's signatures and pass their arguments on to the
    // system call of the same name.

    #[unsafe(no_mangle)]
    extern "C" fn fsync(fd: c_int) -> c_int {
        if fails(&SYNC_FAILS, fd, libc::EIO) {
            return -1;
        }
        unsafe { libc::syscall(libc::SYS_fsync, fd) as c_int }
    }

    #[unsafe(no_mangle)]
    extern "C" fn fdatasync(fd: c_int) -> c_int {
        if fails(&SYNC_FAILS, fd, libc::EIO) {
            return -1;
        }
        unsafe { libc::syscall(libc::SYS_fdatasync, fd) as c_int }
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, count: usize) -> isize {
        if fails(&DISK_IS_FULL, fd, libc::ENOSPC) {
            return -1;
        }
        unsafe { libc::syscall(libc::SYS_write, fd, buffer, count) as isize }
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn pwrite64(
        fd: c_int,
        buffer: *const c_void,
        count: usize,
        offset: i64,
    ) -> isize {
        if fails(&DISK_IS_FULL, fd, libc::ENOSPC) {
            return -1;
        }
        unsafe { libc::syscall(libc::SYS_pwrite64, fd, buffer, count, offset as c_long) as isize }
    }
}

fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(Options::new(dir, Arc::new(SystemClock))).unwrap()
}

/// A switch that is on until this is dropped, by a failing test, too.
struct On<'a>(&'a AtomicBool);

impl<'a> On<'a> {
    fn switch(switch: &'a AtomicBool) -> Self {
        switch.store(true, SeqCst);
        Self(switch)
    }
}

impl Drop for On<'_> {
    fn drop(&mut self) {
        self.0.store(false, SeqCst);
    }
}

/// Commits, breaks the disk, sees writes refused and reads go on, mends it, and goes on without a
/// restart; then looks at what is there after one.
async fn check(switch: &AtomicBool, is_expected: fn(&StoreError) -> bool) {
    let _alone = ONE_AT_A_TIME.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let b = mailbox("t", "b");
    let send = |n| {
        unit(
            "t",
            vec![deliver(said("t", n, "talk"), std::slice::from_ref(&b))],
        )
    };
    for n in 1..=3 {
        store.commit(send(n)).await.unwrap();
    }
    for round in 0..3 {
        let base = 10 + round * 10;
        let before = faults::INJECTED.load(SeqCst);
        let broken = On::switch(switch);
        // Some at once, so that a whole group fails; then again, on what the failure left.
        let group: Vec<_> = (base..base + 4).map(|n| store.commit(send(n))).collect();
        for answer in group {
            let error = answer.await.expect_err("nothing reached the disk");
            assert!(is_expected(&error), "{error}");
        }
        assert!(store.commit(send(base + 4)).await.is_err());
        assert!(
            faults::INJECTED.load(SeqCst) > before,
            "no fault was injected"
        );
        let failing = store.status().await.unwrap().failing;
        assert!(failing.is_some_and(|text| text.contains(SHARED_FILE)));
        // Reads go on, and see nothing that was refused.
        let talk = store.conversation(&scope("t"), &conversation("talk")).await;
        assert_eq!(talk.unwrap().unwrap().messages, 3 + round);
        assert!(!pending(&store, "t", &b).await.contains(&base));
        assert_eq!(store.message(&scope("t"), id(base)).await.unwrap(), None);
        drop(broken);
        store
            .commit(send(base + 5))
            .await
            .expect("the disk is mended");
        assert_eq!(store.status().await.unwrap().failing, None);
    }
    let expected = [1, 2, 3, 15, 25, 35];
    assert_eq!(pending(&store, "t", &b).await, expected);
    drop(store);
    let store = open(dir.path());
    store.verify().await.unwrap();
    assert_eq!(pending(&store, "t", &b).await, expected);
    // What was refused is not known: sent again, it is accepted.
    let again = store.commit(send(10)).await.unwrap();
    assert!(again.duplicates.is_empty());
}

#[tokio::test]
async fn a_sync_that_fails_acknowledges_nothing() {
    check(&faults::SYNC_FAILS, |error| {
        matches!(error, StoreError::Failed(_))
    })
    .await;
}

#[tokio::test]
async fn a_full_disk_acknowledges_nothing() {
    check(&faults::DISK_IS_FULL, |error| {
        matches!(error, StoreError::Full(_))
    })
    .await;
}

/// What a server on a full disk does with acts that must be audited: refuses them, answers what only
/// reads, and goes on by itself when there is room again.
#[tokio::test]
async fn what_must_be_audited_is_refused_while_the_disk_is_full() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut server = TestServer::start().await;
    let create = |name: &str| CreateKeyRequest {
        name: name.to_owned(),
        role: "viewer".to_owned(),
        ..CreateKeyRequest::default()
    };
    let client = server.client().clone();
    client.create_key(&create("before")).await.unwrap();
    let actions = async || {
        let found = client
            .list_audit_entries(&ListAuditEntriesRequest::default())
            .await;
        let entries = found.unwrap().entries;
        let actions = entries.into_iter().map(|it| it.action);
        actions
            .filter(|it| it.starts_with("key."))
            .collect::<Vec<_>>()
    };
    assert_eq!(actions().await, ["key.create"]);
    for round in 0..3 {
        let before = faults::INJECTED.load(SeqCst);
        let full = On::switch(&faults::DISK_IS_FULL);
        for _ in 0..3 {
            let refused = client.create_key(&create("meanwhile")).await.unwrap_err();
            assert_eq!(refused.code(), Some(Code::AuditUnavailable.as_str()));
        }
        assert!(
            faults::INJECTED.load(SeqCst) > before,
            "no fault was injected"
        );
        // Reads go on, and see nothing of what was refused.
        assert_eq!(actions().await.len(), 1 + round);
        let keys = client.list_keys(&ListKeysRequest::default()).await.unwrap();
        assert!(keys.keys.iter().all(|it| it.name != "meanwhile"));
        drop(full);
        client.create_key(&create("after")).await.unwrap();
        assert_eq!(actions().await.len(), 2 + round);
    }
    // The chain is whole: nothing that was refused left a gap or a half.
    let mut export = client
        .export_audit(&ExportAuditRequest::default())
        .await
        .unwrap();
    let mut verifier = Verifier::default();
    while let Some(line) = export.next().await {
        verifier
            .line(&line.unwrap().line, &check_signature)
            .unwrap();
    }
    verifier.finish(None).unwrap();
    server.stop().await;
}
