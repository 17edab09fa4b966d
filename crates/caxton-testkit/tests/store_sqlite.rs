//! SQLite's own tests: what no store in memory can get wrong. Crashes, damage, limits, backups.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use caxton_core::Timestamp;
use caxton_engine::port::store::{MessageFilter, Op, PageRequest, Placement};
use caxton_engine::port::{Store, StoreError, SystemClock};
use caxton_store::{
    BackupError, Options, SCHEMA_VERSION, SHARED_FILE, SqliteStore, SyncMode, list_backups,
    lock_data_dir, restore, verify_backup,
};
use caxton_testkit::store_suite::build::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

fn options(dir: &Path) -> Options {
    Options::new(dir, Arc::new(SystemClock))
}

fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(options(dir)).unwrap()
}

// ---- kill -9 ----

/// Set in the child: the folder to write to.
const CHILD_DIR: &str = "CAXTON_TEST_STORE_CHILD";

/// Not a test of its own: the child of [`acknowledged_units_survive_kill_9`], which says on stdout
/// which message was acknowledged, until it is killed.
#[tokio::test]
async fn child_that_is_killed() {
    let Ok(dir) = std::env::var(CHILD_DIR) else {
        return;
    };
    let _lock = lock_data_dir(Path::new(&dir)).unwrap();
    let store = Arc::new(open(Path::new(&dir)));
    let epoch = store.begin_epoch().await.unwrap().0;
    let (b, c) = (mailbox("t", "b"), mailbox("t", "c"));
    let mut n = epoch * 1_000_000;
    loop {
        // Several at once, so that the kill meets groups of units.
        let mut answers = Vec::new();
        for _ in 0..8 {
            n += 1;
            let ops = vec![
                deliver(said("t", n, "talk"), &[b.clone(), c.clone()]),
                ack(&c, n),
                state_put(&b, &format!("k{n}"), "v"),
            ];
            answers.push((n, store.commit(unit("t", ops))));
        }
        for (n, answer) in answers {
            answer.await.unwrap();
            println!("acknowledged {n}");
        }
    }
}

/// Runs the child until it has acknowledged some messages, kills it and gives their numbers.
fn kill_while_writing(dir: &Path, until: usize) -> Vec<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_is_killed", "--nocapture"])
        .env(CHILD_DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    while acknowledged.len() < until {
        let line = lines.next().expect("the child writes on").unwrap();
        if let Some(n) = line.split("acknowledged ").nth(1) {
            acknowledged.push(n.parse().unwrap());
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What was still in the pipe was acknowledged, too; a line cut short was not said.
    for line in lines.map_while(Result::ok) {
        acknowledged.extend(
            line.split("acknowledged ")
                .nth(1)
                .and_then(|n| n.parse::<u64>().ok()),
        );
    }
    acknowledged
}

#[tokio::test]
async fn acknowledged_units_survive_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    for round in 0..4 {
        let path = dir.path().to_owned();
        let until = 20 + 37 * round;
        let killed = tokio::task::spawn_blocking(move || kill_while_writing(&path, until));
        all.extend(killed.await.unwrap());
        let _lock = lock_data_dir(dir.path()).expect("the lock died with its process");
        let store = open(dir.path());
        store.verify().await.unwrap();
        let b = mailbox("t", "b");
        let there = pending(&store, "t", &b).await;
        let all_there = store.pending(&scope("t"), &b, u32::MAX).await.unwrap();
        let numbers: Vec<u64> = all_there.iter().map(|row| number(&row.message)).collect();
        assert!(numbers.starts_with(&there));
        for n in &all {
            assert!(numbers.contains(n), "{n} was acknowledged and is lost");
        }
        // Units that were not acknowledged are there as a whole, or not at all.
        let keys = store
            .state_keys(&scope("t"), &b, "k", "", u32::MAX)
            .await
            .unwrap();
        assert_eq!(keys.len(), numbers.len());
        assert!(pending(&store, "t", &mailbox("t", "c")).await.is_empty());
        let talk = store
            .conversation(&scope("t"), &conversation("talk"))
            .await
            .unwrap();
        assert_eq!(talk.unwrap().messages as usize, numbers.len());
        let again = deliver(said("t", numbers[0], "talk"), &[]);
        assert_eq!(commit(&store, "t", vec![again]).await.duplicates, [0]);
    }
}

// ---- limits ----

#[tokio::test]
async fn a_unit_that_is_too_large_fails_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path());
    options.value_bytes_max = 1 << 16;
    let store = SqliteStore::open(options).unwrap();
    let b = mailbox("t", "b");
    let big = "x".repeat(1 << 17);
    let before = store.commit(unit(
        "t",
        vec![deliver(said("t", 1, "talk"), std::slice::from_ref(&b))],
    ));
    let ops = vec![
        deliver(said("t", 2, "talk"), std::slice::from_ref(&b)),
        ack(&b, 1),
        state_put(&b, "k", &big),
    ];
    let large = store.commit(unit("t", ops));
    let after = store.commit(unit(
        "t",
        vec![deliver(said("t", 3, "talk"), std::slice::from_ref(&b))],
    ));
    before.await.unwrap();
    assert!(matches!(large.await, Err(StoreError::Failed(_))));
    after.await.unwrap();
    assert_eq!(pending(&store, "t", &b).await, [1, 3]);
    let talk = store
        .conversation(&scope("t"), &conversation("talk"))
        .await
        .unwrap();
    assert_eq!(talk.unwrap().messages, 2);
    assert_eq!(store.message(&scope("t"), id(2)).await.unwrap(), None);
    assert_eq!(
        store.status().await.unwrap().failing,
        None,
        "the disk is fine"
    );
}

#[tokio::test]
async fn a_full_database_refuses_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path());
    options.file_bytes_max = Some(1 << 20);
    let store = SqliteStore::open(options).unwrap();
    let b = mailbox("t", "b");
    let filler = "x".repeat(100_000);
    let mut kept = 0;
    let error = loop {
        let ops = vec![state_put(&b, &format!("k{kept:03}"), &filler)];
        match store.commit(unit("t", ops)).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 100, "the limit holds");
    };
    assert!(matches!(error, StoreError::Full(_)), "{error}");
    assert!(kept > 3);
    let failing = store.status().await.unwrap().failing;
    assert_eq!(failing, Some(error.to_string()));
    // Reads go on, and no refused unit left a trace.
    let keys = store
        .state_keys(&scope("t"), &b, "", "", 999)
        .await
        .unwrap();
    assert_eq!(keys.len(), kept);
    // Room comes back: writes are taken again, without a restart.
    let ops = keys.iter().take(2).map(|key| Op::StateRemove {
        mailbox: b.clone(),
        key: key.clone(),
    });
    commit(&store, "t", ops.collect()).await;
    assert_eq!(store.status().await.unwrap().failing, None);
    commit(&store, "t", vec![state_put(&b, "again", &filler)]).await;
    store.verify().await.unwrap();
}

#[tokio::test]
async fn a_queue_that_is_full_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path());
    options.queue_units_max = 4;
    let store = SqliteStore::open(options).unwrap();
    let b = mailbox("t", "b");
    let answers: Vec<_> = (0..5_000)
        .map(|n| {
            store.commit(unit(
                "t",
                vec![deliver(message("t", n, "a", "b"), std::slice::from_ref(&b))],
            ))
        })
        .collect();
    let (mut done, mut busy) = (Vec::new(), 0);
    for (n, answer) in answers.into_iter().enumerate() {
        match answer.await {
            Ok(_) => done.push(n as u64),
            Err(error) => {
                assert_eq!(error, StoreError::Busy);
                busy += 1;
            }
        }
    }
    assert!(busy > 0, "5,000 units do not fit into 4 places");
    let rows = store.pending(&scope("t"), &b, u32::MAX).await.unwrap();
    let rows: Vec<u64> = rows.iter().map(|row| number(&row.message)).collect();
    assert_eq!(rows, done, "what was refused was not written");
}

#[tokio::test]
async fn unhandled_deliveries_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path());
    options.deliveries_max = 3;
    let store = SqliteStore::open(options).unwrap();
    let b = mailbox("t", "b");
    let send = |n| {
        unit(
            "t",
            vec![deliver(message("t", n, "a", "b"), std::slice::from_ref(&b))],
        )
    };
    for n in 1..=3 {
        store.commit(send(n)).await.unwrap();
    }
    assert_eq!(refused(&store, send(4)).await, StoreError::Busy);
    commit(&store, "t", vec![ack(&b, 1)]).await;
    store.commit(send(5)).await.unwrap();
    assert_eq!(pending(&store, "t", &b).await, [2, 3, 5]);
}

#[tokio::test]
async fn the_segments_find_what_the_tail_found() {
    // Past two seals of 32,768 messages.
    const MESSAGES: u64 = 70_000;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for base in (0..MESSAGES).step_by(1_000) {
        let ops = (base..base + 1_000).map(|n| {
            let mut sent = if n % 7_000 == 3 {
                said("t", n, "rare")
            } else {
                message("t", n, "a", "b")
            };
            if n % 9_000 == 5 {
                sent.acl.sender = Some(agent("t", "seldom").into());
            }
            sent.trace.trace_id = [(n % 200) as u8; 16];
            deliver(sent, &[])
        });
        commit(&store, "t", ops.collect()).await;
    }
    drop(store);
    let store = open(dir.path());
    let numbers = async |filter: MessageFilter, rows_max: u32| {
        let mut all = Vec::new();
        let mut page = PageRequest::first(rows_max);
        loop {
            let found = store.messages(&scope("t"), &filter, &page).await.unwrap();
            all.extend(found.rows.iter().map(|row| number(&row.message)));
            match found.next {
                Some(_) => page.token = found.next,
                None => return all,
            }
        }
    };
    // The same wherever the tenant is, and with a neighbour whose messages stand between its own.
    let neighbours = (0..500).map(|n| deliver(said("u", n, "rare"), &[]));
    commit(&store, "u", neighbours.collect()).await;
    for to in [Placement::Shared, Placement::Dedicated, Placement::Shared] {
        store.move_tenant(&scope("t"), to).await.unwrap();
        let rare = MessageFilter {
            conversation: Some(conversation("rare")),
            ..MessageFilter::default()
        };
        let expected: Vec<u64> = (0..MESSAGES).filter(|n| n % 7_000 == 3).collect();
        assert_eq!(numbers(rare.clone(), 1_000).await, expected);
        assert_eq!(numbers(rare, 3).await, expected);
        let seldom = MessageFilter {
            agent: Some(name("seldom")),
            ..MessageFilter::default()
        };
        let expected: Vec<u64> = (0..MESSAGES).rev().filter(|n| n % 9_000 == 5).collect();
        assert_eq!(numbers(seldom.clone(), 1_000).await, expected);
        assert_eq!(numbers(seldom, 2).await, expected);
        let trace = MessageFilter {
            trace_id: Some([17; 16]),
            ..MessageFilter::default()
        };
        let expected: Vec<u64> = (0..MESSAGES).filter(|n| n % 200 == 17).collect();
        assert_eq!(numbers(trace.clone(), 1_000).await, expected);
        assert_eq!(numbers(trace, 100).await, expected);
        let newest: Vec<u64> = (0..MESSAGES).rev().collect();
        assert_eq!(numbers(MessageFilter::default(), 1_000).await, newest);
        store.verify().await.unwrap();
    }
    // Forgetting reaches through the segments and drops the empty ones.
    let forgotten = store
        .forget_messages(&scope("t"), at(40_000), u32::MAX)
        .await;
    assert_eq!(forgotten.unwrap(), 40_000);
    let newest: Vec<u64> = (40_000..MESSAGES).rev().collect();
    assert_eq!(numbers(MessageFilter::default(), 1_000).await, newest);
    store.verify().await.unwrap();
    // Also behind one that is needed: only the segment that names it stays.
    let segments = || {
        let file = rusqlite::Connection::open(dir.path().join(SHARED_FILE)).unwrap();
        let count = "SELECT count(*) FROM segment
            WHERE tenant = (SELECT tenant FROM tenant WHERE name = 't')";
        file.query_one(count, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let (b, needed) = (mailbox("t", "b"), 40_001);
    let bury = Op::Bury {
        letter: letter(&b, needed, at(needed)),
        message: Arc::new(message("t", needed, "a", "b")),
    };
    commit(&store, "t", vec![bury]).await;
    assert!(segments() > 1, "{}", segments());
    let forgotten = store.forget_messages(&scope("t"), at(MESSAGES), u32::MAX);
    assert_eq!(forgotten.await.unwrap(), 29_999);
    assert_eq!(numbers(MessageFilter::default(), 10).await, [needed]);
    assert_eq!(segments(), 1);
    store.verify().await.unwrap();
}

#[tokio::test]
async fn interval_mode_keeps_what_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path());
    options.sync = SyncMode::Interval(std::time::Duration::from_millis(5));
    let store = SqliteStore::open(options).unwrap();
    let b = mailbox("t", "b");
    for n in 0..50 {
        commit(
            &store,
            "t",
            vec![deliver(message("t", n, "a", "b"), std::slice::from_ref(&b))],
        )
        .await;
    }
    drop(store);
    assert_eq!(pending(&open(dir.path()), "t", &b).await.len(), 50);
}

// ---- damage ----

/// A database with a bit of everything, closed.
async fn filled(dir: &Path) {
    let store = open(dir);
    store
        .move_tenant(&scope("own"), Placement::Dedicated)
        .await
        .unwrap();
    let b = mailbox("t", "b");
    for n in 0..300 {
        let ops = vec![
            deliver(
                said("t", n, &format!("talk {}", n % 40)),
                std::slice::from_ref(&b),
            ),
            state_put(&b, &format!("key {n}"), &format!("value {n}").repeat(20)),
            Op::AgentPut(Box::new(record(&format!("agent-{n}")))),
        ];
        commit(&store, "t", ops).await;
    }
    let own = deliver(message("own", 1, "a", "b"), &[mailbox("own", "b")]);
    commit(&store, "own", vec![own]).await;
}

/// Reads all that `filled` wrote; an error, or all of it exactly.
async fn read_all(dir: &Path) -> Result<(), StoreError> {
    let store = SqliteStore::open(options(dir))?;
    let t = scope("t");
    let b = mailbox("t", "b");
    let waiting = store.pending(&t, &b, 1_000).await?;
    assert_eq!(waiting.len(), 300, "messages are missing");
    for (n, row) in waiting.iter().enumerate() {
        let n = n as u64;
        assert_eq!(*row.message, said("t", n, &format!("talk {}", n % 40)));
    }
    for n in 0..300 {
        let value = store.state(&t, &b, &format!("key {n}")).await?;
        let expected = format!("value {n}").repeat(20);
        assert_eq!(value.as_deref(), Some(expected.as_bytes()), "key {n}");
        let row = store.message(&t, id(n)).await?.expect("the message");
        assert_eq!(row.open.len(), 1);
    }
    assert_eq!(store.agents(&t).await?.len(), 300);
    assert_eq!(
        store
            .conversations(&t, &PageRequest::first(99))
            .await?
            .rows
            .len(),
        40
    );
    let rows = store
        .messages(&t, &MessageFilter::default(), &PageRequest::first(1_000))
        .await?;
    assert_eq!(rows.rows.len(), 300);
    store.verify().await
}

/// Flips some bytes at places the seed chooses.
fn damage(file: &Path, random: &mut StdRng) -> Vec<u64> {
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(file)
        .unwrap();
    let length = file.metadata().unwrap().len();
    let count = random.random_range(1..=4);
    let places: Vec<u64> = (0..count).map(|_| random.random_range(0..length)).collect();
    for place in &places {
        let mut byte = [0];
        file.seek(SeekFrom::Start(*place)).unwrap();
        file.read_exact(&mut byte).unwrap();
        byte[0] ^= random.random_range(1..=255_u8);
        file.seek(SeekFrom::Start(*place)).unwrap();
        file.write_all(&byte).unwrap();
    }
    places
}

#[tokio::test]
async fn damage_is_named_and_never_served() {
    let whole = tempfile::tempdir().unwrap();
    filled(whole.path()).await;
    read_all(whole.path()).await.unwrap();
    let mut named = 0;
    for seed in 0..120 {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(SHARED_FILE);
        std::fs::copy(whole.path().join(SHARED_FILE), &file).unwrap();
        let places = damage(&file, &mut StdRng::seed_from_u64(seed));
        match read_all(dir.path()).await {
            // A byte in a hole, which holds nothing.
            Ok(()) => {}
            Err(StoreError::Damaged(text)) => {
                assert!(text.contains(SHARED_FILE), "{text} does not name the file");
                named += 1;
            }
            Err(error) => panic!("seed {seed}, bytes {places:?}: {error}"),
        }
    }
    assert!(named > 100, "only {named} of 120 damages were seen");
}

#[tokio::test]
async fn damage_is_seen_without_the_check_at_open() {
    let whole = tempfile::tempdir().unwrap();
    filled(whole.path()).await;
    let mut named = 0;
    for seed in 1_000..1_040 {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(SHARED_FILE);
        std::fs::copy(whole.path().join(SHARED_FILE), &file).unwrap();
        damage(&file, &mut StdRng::seed_from_u64(seed));
        let mut options = options(dir.path());
        options.check_at_open_bytes_max = 0;
        let seen = match SqliteStore::open(options) {
            Ok(store) => store.verify().await,
            Err(error) => Err(error),
        };
        if let Err(error) = seen {
            assert!(
                matches!(error, StoreError::Damaged(_)),
                "seed {seed}: {error}"
            );
            named += 1;
        }
    }
    assert!(named > 30, "only {named} of 40 damages were seen");
}

/// A server that was killed leaves a log; what changes in it before the next start is not passed over.
#[tokio::test]
async fn damage_to_a_log_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("live");
    let store = open(&live);
    let b = mailbox("t", "b");
    for n in 0..20 {
        let ops = vec![deliver(said("t", n, "talk"), std::slice::from_ref(&b))];
        commit(&store, "t", ops).await;
    }
    let log = format!("{SHARED_FILE}-wal");
    let killed = |name: &str| {
        let killed = dir.path().join(name);
        std::fs::create_dir(&killed).unwrap();
        for file in [SHARED_FILE, &log] {
            std::fs::copy(live.join(file), killed.join(file)).unwrap();
        }
        killed
    };
    let whole = open(&killed("whole"));
    assert_eq!(pending(&whole, "t", &b).await.len(), 20);
    let bytes = std::fs::read(live.join(&log)).unwrap().len();
    for (index, place) in [20, 5_000, bytes / 2].into_iter().enumerate() {
        let killed = killed(&format!("damaged-{index}"));
        let mut changed = std::fs::read(killed.join(&log)).unwrap();
        changed[place] ^= 1;
        std::fs::write(killed.join(&log), &changed).unwrap();
        let error = SqliteStore::open(options(&killed)).unwrap_err();
        let named = matches!(&error, StoreError::Damaged(text) if text.contains(&log));
        assert!(named, "byte {place}: {error}");
        let left = std::fs::read(killed.join(&log)).unwrap();
        assert_eq!(left, changed, "and left as it is");
    }
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_left_alone() {
    for content in [
        b"not a database, but long enough to be one".as_slice(),
        b"short",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(SHARED_FILE);
        std::fs::write(&file, content).unwrap();
        let error = SqliteStore::open(options(dir.path())).unwrap_err();
        assert!(matches!(&error, StoreError::Damaged(text) if text.contains(SHARED_FILE)));
        assert_eq!(std::fs::read(&file).unwrap(), content);
    }
}

#[tokio::test]
async fn a_file_of_another_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(SHARED_FILE);
    let theirs = rusqlite::Connection::open(&file).unwrap();
    theirs.execute_batch("CREATE TABLE theirs (x)").unwrap();
    drop(theirs);
    let error = SqliteStore::open(options(dir.path())).unwrap_err();
    assert!(matches!(error, StoreError::Damaged(_)), "{error}");
}

// ---- backups ----

#[tokio::test]
async fn a_backup_is_one_moment_while_writes_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&dir.path().join("data")));
    store
        .move_tenant(&scope("own"), Placement::Dedicated)
        .await
        .unwrap();
    let b = mailbox("t", "b");
    let own = deliver(message("own", 1, "a", "b"), &[mailbox("own", "b")]);
    commit(&*store, "own", vec![own]).await;
    commit(
        &*store,
        "t",
        vec![deliver(said("t", 0, "talk"), std::slice::from_ref(&b))],
    )
    .await;
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let writer = tokio::spawn({
        let (store, b) = (store.clone(), b.clone());
        async move {
            let mut n = 0;
            while !*stopped.borrow_and_update() {
                n += 1;
                // The state always says how many there are.
                let ops = vec![
                    deliver(said("t", n, "talk"), std::slice::from_ref(&b)),
                    state_put(&b, "count", &n.to_string()),
                ];
                commit(&*store, "t", ops).await;
            }
        }
    });
    let backups = dir.path().join("backups");
    for index in 0..3 {
        let into = backups.join(format!("backup-{index}"));
        let made = store.backup(&into).await.unwrap();
        assert_eq!(made.schema_version, SCHEMA_VERSION);
        let verified = verify_backup(&into).unwrap();
        assert_eq!(verified, made);
        let restored = dir.path().join(format!("restored-{index}"));
        assert_eq!(restore(&into, &restored).unwrap(), made);
        let copy = open(&restored);
        copy.verify().await.unwrap();
        let there = copy.pending(&scope("t"), &b, u32::MAX).await.unwrap().len();
        let count = copy.state(&scope("t"), &b, "count").await.unwrap();
        let count: usize = count.map_or(0, |text| {
            String::from_utf8(text.to_vec()).unwrap().parse().unwrap()
        });
        assert_eq!(there, count + 1, "half a unit was copied");
        assert_eq!(pending(&copy, "own", &mailbox("own", "b")).await, [1]);
    }
    stop.send(true).unwrap();
    writer.await.unwrap();
    let listed = list_backups(&backups).unwrap();
    let names: Vec<&str> = listed.iter().map(|backup| backup.name.as_str()).collect();
    assert_eq!(names, ["backup-0", "backup-1", "backup-2"]);
    assert!(
        listed
            .iter()
            .all(|backup| backup.created > Timestamp::EPOCH)
    );
    let again = store.backup(&backups.join("backup-0")).await;
    assert!(again.is_err(), "a backup is never overwritten");
    assert!(
        verify_backup(&backups.join("backup-0")).is_ok(),
        "nor harmed by the try"
    );
}

#[tokio::test]
async fn a_damaged_backup_is_named_and_not_restored() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    filled(&data).await;
    let backup = dir.path().join("backup");
    open(&data).backup(&backup).await.unwrap();
    let files = [SHARED_FILE.to_owned(), "tenants/own.db".to_owned()];
    for name in &files {
        let file = backup.join(name);
        let whole = std::fs::read(&file).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        for bad in [Some(flipped), Some(whole[..whole.len() - 1].to_vec()), None] {
            match &bad {
                Some(bytes) => std::fs::write(&file, bytes).unwrap(),
                None => std::fs::remove_file(&file).unwrap(),
            }
            let into = dir.path().join("into");
            for error in [
                verify_backup(&backup).unwrap_err(),
                restore(&backup, &into).unwrap_err(),
            ] {
                let BackupError::Damaged { file: named, .. } = &error else {
                    panic!("{error}");
                };
                assert_eq!(*named, file);
            }
            assert!(!into.exists(), "nothing of it was restored");
            std::fs::write(&file, &whole).unwrap();
        }
    }
    verify_backup(&backup).unwrap();
    // Into a folder that has something, never.
    let full = dir.path().join("full");
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("note"), "mine").unwrap();
    assert!(matches!(
        restore(&backup, &full),
        Err(BackupError::NotEmpty(_))
    ));
    assert!(matches!(verify_backup(&full), Err(BackupError::Missing(_))));
    // A manifest that leads out of the folder.
    let manifest = backup.join("backup.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("tenants/own.db", "../../own.db")).unwrap();
    assert!(matches!(
        verify_backup(&backup),
        Err(BackupError::Damaged { .. })
    ));
}

// ---- dedicated files ----

#[tokio::test]
async fn a_dedicated_tenant_is_in_its_own_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store
        .move_tenant(&scope("own"), Placement::Dedicated)
        .await
        .unwrap();
    store
        .move_tenant(&scope("own"), Placement::Dedicated)
        .await
        .expect("twice is once");
    let secret = "a secret that no other tenant's file may hold";
    commit(
        &store,
        "own",
        vec![state_put(&mailbox("own", "b"), "k", secret)],
    )
    .await;
    drop(store);
    let has = |file: &str| {
        let bytes = std::fs::read(dir.path().join(file)).unwrap();
        bytes
            .windows(secret.len())
            .any(|window| window == secret.as_bytes())
    };
    assert!(has("tenants/own.db") && !has(SHARED_FILE));
    let store = open(dir.path());
    let value = store
        .state(&scope("own"), &mailbox("own", "b"), "k")
        .await
        .unwrap();
    assert_eq!(value.as_deref(), Some(secret.as_bytes()));
}

#[tokio::test]
async fn messages_that_a_tenant_leaves_behind_are_overwritten() {
    const SECRET: &str = "a secret that must not outlive its tenant";
    for step in ["move", "remove"] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let b = mailbox("own", "b");
        for n in 0..50 {
            let mut said = said("own", n, "talk");
            said.acl.content = SECRET.repeat(200).into();
            let ops = vec![deliver(said, std::slice::from_ref(&b))];
            commit(&store, "own", ops).await;
            let other = state_put(&mailbox("t", "b"), &format!("k{n}"), "v");
            commit(&store, "t", vec![other]).await;
        }
        let has = || {
            let bytes = std::fs::read(dir.path().join(SHARED_FILE)).unwrap();
            let secret = SECRET.as_bytes();
            bytes.windows(secret.len()).any(|window| window == secret)
        };
        drop(store);
        assert!(has(), "or the test proves nothing");
        let store = open(dir.path());
        if step == "move" {
            let to = Placement::Dedicated;
            store.move_tenant(&scope("own"), to).await.unwrap();
        } else {
            store.remove_tenant(&scope("own")).await.unwrap();
        }
        drop(store);
        assert!(!has(), "after {step}");
    }
}

#[tokio::test]
async fn open_files_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path());
    options.tenants_open_max = 2;
    let store = SqliteStore::open(options).unwrap();
    let names: Vec<String> = (0..12).map(|n| format!("own-{n}")).collect();
    for text in &names {
        store
            .move_tenant(&scope(text), Placement::Dedicated)
            .await
            .unwrap();
    }
    for round in 1..=3 {
        for text in &names {
            let b = mailbox(text, "b");
            commit(
                &store,
                text,
                vec![deliver(
                    message(text, round, "a", "b"),
                    std::slice::from_ref(&b),
                )],
            )
            .await;
            let expected: Vec<u64> = (1..=round).collect();
            assert_eq!(pending(&store, text, &b).await, expected, "{text}");
        }
    }
    store.verify().await.unwrap();
    #[cfg(target_os = "linux")]
    {
        let inside = dir.path().join("tenants");
        let open = std::fs::read_dir("/proc/self/fd").unwrap();
        let targets = open.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok());
        let files: std::collections::BTreeSet<_> = targets
            .filter(|path| path.starts_with(&inside))
            .map(|path| {
                path.to_string_lossy()
                    .split(".db")
                    .next()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        // Two writers, and two readers that keep three files each.
        assert!(files.len() <= 8, "{files:?}");
    }
}

// ---- schema ----

#[tokio::test]
async fn a_database_from_the_future_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    // The layer beneath SQLite was registered by the store.
    let file = dir.path().join(SHARED_FILE);
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
    let conn =
        rusqlite::Connection::open_with_flags_and_vfs(&file, flags, "caxton-default").unwrap();
    conn.execute(
        "INSERT INTO migration VALUES (999, '0999_later', x'00')",
        [],
    )
    .unwrap();
    drop(conn);
    let error = SqliteStore::open(options(dir.path())).unwrap_err();
    let expected = StoreError::Newer {
        found: SCHEMA_VERSION + 1,
        known: SCHEMA_VERSION,
    };
    assert_eq!(error, expected);
}

/// The data folder of a schema as it was released, read by this program. A new schema adds a fixture
/// with `CAXTON_WRITE_STORE_FIXTURE=1`; old ones are never written again.
#[tokio::test]
async fn every_released_schema_is_still_read() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store");
    let newest = fixtures.join(format!("schema-{SCHEMA_VERSION}.db"));
    if std::env::var_os("CAXTON_WRITE_STORE_FIXTURE").is_some() && !newest.exists() {
        let dir = tempfile::tempdir().unwrap();
        write_fixture(dir.path()).await;
        std::fs::create_dir_all(&fixtures).unwrap();
        std::fs::copy(dir.path().join(SHARED_FILE), &newest).unwrap();
    }
    assert!(newest.exists(), "the present schema has no fixture");
    for version in 1..=SCHEMA_VERSION {
        let dir = tempfile::tempdir().unwrap();
        let file = fixtures.join(format!("schema-{version}.db"));
        std::fs::copy(file, dir.path().join(SHARED_FILE)).unwrap();
        let store = open(dir.path());
        store.verify().await.unwrap();
        let t = scope("t");
        let b = mailbox("t", "b");
        assert_eq!(pending(&store, "t", &b).await, [2]);
        let row = store.message(&t, id(1)).await.unwrap().unwrap();
        assert_eq!(*row.message, said("t", 1, "talk"));
        let value = store.state(&t, &b, "k").await.unwrap();
        assert_eq!(value.as_deref(), Some("v".as_bytes()));
        assert_eq!(store.agents(&t).await.unwrap(), [record("b")]);
        let talk = store.conversation(&t, &conversation("talk")).await.unwrap();
        assert_eq!(talk.unwrap().messages, 2);
        let letters = store
            .dead_letters(&t, &PageRequest::first(9))
            .await
            .unwrap();
        assert_eq!(letters.rows[0].0, letter(&b, 3, at(3)));
        // And it is written to.
        let ops = vec![
            ack(&b, 2),
            deliver(said("t", 4, "talk"), std::slice::from_ref(&b)),
        ];
        commit(&store, "t", ops).await;
        assert_eq!(pending(&store, "t", &b).await, [4]);
    }
}

async fn write_fixture(dir: &Path) {
    let store = open(dir);
    let b = mailbox("t", "b");
    let ops = vec![
        Op::AgentPut(Box::new(record("b"))),
        deliver(said("t", 1, "talk"), std::slice::from_ref(&b)),
        ack(&b, 1),
        deliver(said("t", 2, "talk"), std::slice::from_ref(&b)),
        Op::Bury {
            letter: letter(&b, 3, at(3)),
            message: Arc::new(message("t", 3, "a", "b")),
        },
        state_put(&b, "k", "v"),
    ];
    commit(&store, "t", ops).await;
}
