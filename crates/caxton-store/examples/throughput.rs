//! How fast the store takes durable messages, against SQLite's own batch-of-1000 inserts of plain
//! rows in the same kind of file: per second, and per second of the processor's time (of all threads).
//! Interleaved rounds, the first discarded, medians.
//!
//! `cargo run --release -p caxton-store --example throughput [DIR]`
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use caxton_core::{
    Acl, AgentId, AgentName, Epoch, MailboxId, MailboxKey, Message, MessageId, Performative,
    TenantId, Timestamp, TraceContext,
};
use caxton_engine::opctx::TenantScope;
use caxton_engine::port::store::{Op, Unit};
use caxton_engine::port::{Store, SystemClock};
use caxton_store::{Options, SqliteStore};
use futures::stream::StreamExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// As the server has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MESSAGES: u64 = 100_000;
const ROUNDS: usize = 4;
const CONTENT_BYTES: usize = 200;
/// Producers that wait for their unit before they send the next.
const IN_FLIGHT: usize = 1_000;

fn message(tenant: &TenantId, n: u64, round: usize) -> Message {
    let at = Timestamp::from_us(1_798_761_600_000_000 + i64::try_from(n).unwrap() * 10);
    let mut random = [0_u8; 10];
    random[..2].copy_from_slice(&u16::try_from(n >> 16).unwrap().to_be_bytes());
    random[2..].copy_from_slice(&(n << 8 | round as u64).to_be_bytes());
    let name = |text| AgentId::new(tenant.clone(), AgentName::parse(text).unwrap());
    let mut acl = Acl::new(Performative::Request)
        .to(name("counter"))
        .content(vec![b'x'; CONTENT_BYTES]);
    acl.sender = Some(name("producer").into());
    let mut trace_id = [7; 16];
    trace_id[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    Message {
        id: MessageId::from_parts(at, random),
        tenant: tenant.clone(),
        trace: TraceContext {
            trace_id,
            span_id: [1; 8],
            sampled: false,
        },
        parent: None,
        hop: 0,
        waiting: None,
        created: at,
        acl,
    }
}

fn mailbox(tenant: &TenantId) -> MailboxId {
    MailboxId {
        agent: AgentId::new(tenant.clone(), AgentName::parse("counter").unwrap()),
        key: MailboxKey::Agent,
    }
}

fn unit(tenant: &TenantId, ops: Vec<Op>) -> Unit {
    Unit {
        scope: TenantScope::system(tenant.clone(), "bench"),
        epoch: Epoch(u64::MAX),
        ops,
    }
}

/// Rows a second of plain inserts, a thousand to a transaction, in a file set up like the store's.
fn plain(dir: &Path) -> [f64; 2] {
    let conn = rusqlite::Connection::open(dir.join("plain.db")).unwrap();
    for (name, value) in [("journal_mode", "wal"), ("synchronous", "full")] {
        conn.pragma_update(None, name, value).unwrap();
    }
    conn.pragma_update(None, "wal_autocheckpoint", 4096)
        .unwrap();
    conn.execute_batch("CREATE TABLE row (id BLOB PRIMARY KEY, body BLOB) WITHOUT ROWID")
        .unwrap();
    let tenant = TenantId::default_tenant();
    let ids: Vec<_> = (0..MESSAGES).map(|n| message(&tenant, n, 0).id).collect();
    let body = vec![b'x'; CONTENT_BYTES + 120];
    let begun = Begun::now();
    for batch in ids.chunks(1_000) {
        conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        for id in batch {
            let mut insert = conn
                .prepare_cached("INSERT INTO row VALUES (?1, ?2)")
                .unwrap();
            insert
                .execute(rusqlite::params![id.as_bytes(), body])
                .unwrap();
        }
        conn.execute_batch("COMMIT").unwrap();
    }
    begun.rates()
}

/// When something began: wall clock and processor time, all threads together.
struct Begun(Instant, f64);

impl Begun {
    fn now() -> Self {
        Self(Instant::now(), processor_seconds())
    }

    fn rates(&self) -> [f64; 2] {
        let wall = self.0.elapsed().as_secs_f64();
        let processor = processor_seconds() - self.1;
        [MESSAGES as f64 / wall, MESSAGES as f64 / processor]
    }
}

/// User and system time of this process, the 14th and 15th field of its `stat`, in hundredths.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = text.rsplit(')').next().unwrap();
    let fields = after_name.split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.map(|field| field.parse::<u64>().unwrap()).sum();
    ticks as f64 / 100.0
}

/// One unit per message, each waited for; spread over so many tenants.
async fn accepted(store: &SqliteStore, tenants: u64, round: usize) -> [f64; 2] {
    let ids: Vec<TenantId> = (0..tenants)
        .map(|n| TenantId::parse(&format!("t{round}-{n}")).unwrap())
        .collect();
    let messages: Vec<_> = (0..MESSAGES)
        .map(|n| {
            let tenant = &ids[usize::try_from(n % tenants).unwrap()];
            (
                tenant.clone(),
                Arc::new(message(tenant, n, round)),
                mailbox(tenant),
            )
        })
        .collect();
    let begun = Begun::now();
    let commits = messages.into_iter().map(|(tenant, message, mailbox)| {
        let mailboxes = vec![mailbox];
        store.commit(unit(&tenant, vec![Op::Deliver { message, mailboxes }]))
    });
    let mut commits = futures::stream::iter(commits).buffer_unordered(IN_FLIGHT);
    while let Some(done) = commits.next().await {
        assert!(done.unwrap().duplicates.is_empty());
    }
    begun.rates()
}

/// Accept, and handle in batches as a mailbox does: acknowledge, write state, send one on.
async fn handled(store: &SqliteStore, round: usize) -> [f64; 2] {
    const BATCH: u64 = 64;
    let tenant = TenantId::parse(&format!("h{round}")).unwrap();
    let lane = mailbox(&tenant);
    let all: Vec<_> = (0..MESSAGES)
        .map(|n| Arc::new(message(&tenant, n, round)))
        .collect();
    let begun = Begun::now();
    let accept = async {
        let commits = all.iter().map(|message| {
            let op = Op::Deliver {
                message: message.clone(),
                mailboxes: vec![lane.clone()],
            };
            store.commit(unit(&tenant, vec![op]))
        });
        let mut commits = futures::stream::iter(commits).buffer_unordered(IN_FLIGHT);
        while let Some(done) = commits.next().await {
            done.unwrap();
        }
    };
    accept.await;
    for batch in all.chunks(usize::try_from(BATCH).unwrap()) {
        let mut ops: Vec<Op> = batch
            .iter()
            .map(|message| Op::Ack {
                mailbox: lane.clone(),
                message: message.id,
            })
            .collect();
        ops.push(Op::StatePut {
            mailbox: lane.clone(),
            key: "count".into(),
            value: "64".into(),
        });
        store.commit(unit(&tenant, ops)).await.unwrap();
    }
    begun.rates()
}

/// One message at a time, against one `fdatasync` of a small append: medians in microseconds.
async fn one_at_a_time(store: &SqliteStore, dir: &Path) -> (f64, f64) {
    use std::io::Write;
    let tenant = TenantId::parse("single").unwrap();
    let mut file = std::fs::File::create(dir.join("sync")).unwrap();
    let (mut commits, mut syncs) = (Vec::new(), Vec::new());
    for n in 0..400 {
        let message = Arc::new(message(&tenant, n, 9));
        let mailboxes = vec![mailbox(&tenant)];
        let begun = Instant::now();
        store
            .commit(unit(&tenant, vec![Op::Deliver { message, mailboxes }]))
            .await
            .unwrap();
        commits.push(begun.elapsed());
        let begun = Instant::now();
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        syncs.push(begun.elapsed());
    }
    let median = |all: &mut Vec<Duration>| {
        all.sort();
        all[all.len() / 2].as_secs_f64() * 1e6
    };
    (median(&mut commits), median(&mut syncs))
}

fn median(all: &[f64]) -> f64 {
    let mut sorted = all.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

#[tokio::main]
async fn main() {
    let base = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    let mut rows: [Vec<[f64; 2]>; 4] = Default::default();
    let mut single = (0.0, 0.0);
    for round in 0..=ROUNDS {
        let dir = tempfile::tempdir_in(&base).unwrap();
        let open = |name: &str| {
            SqliteStore::open(Options::new(dir.path().join(name), Arc::new(SystemClock))).unwrap()
        };
        let found = [
            plain(dir.path()),
            accepted(&open("one"), 1, round).await,
            accepted(&open("many"), 1_000, round).await,
            handled(&open("handled"), round).await,
        ];
        single = one_at_a_time(&open("single"), dir.path()).await;
        if round > 0 {
            rows.iter_mut()
                .zip(found)
                .for_each(|(row, rate)| row.push(rate));
        }
    }
    let names = [
        "plain rows, batches of 1000",
        "accepted",
        "accepted, 1000 tenants",
        "accepted and handled",
    ];
    for (index, kind) in ["per second", "per processor second"]
        .into_iter()
        .enumerate()
    {
        let of = |row: &[[f64; 2]]| {
            let rates: Vec<f64> = row.iter().map(|rates| rates[index]).collect();
            median(&rates)
        };
        let base = of(&rows[0]);
        println!("{kind}");
        for (name, row) in names.iter().zip(&rows) {
            println!("  {name:<30} {:>10.0}  {:.2}x", of(row), of(row) / base);
        }
    }
    println!(
        "one at a time: {:.0} us, an fdatasync {:.0} us",
        single.0, single.1
    );
}
