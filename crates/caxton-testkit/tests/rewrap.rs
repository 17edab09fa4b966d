//! Secrets sealed anew, cut short after each commit there is: what the server opens is all there at
//! every moment, and another run does the rest.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use caxton_core::error::Error;
use caxton_core::grant::Principal;
use caxton_core::{TenantId, TraceContext};
use caxton_engine::directory::{Storage, TenantDraft};
use caxton_engine::models::Provider;
use caxton_engine::port::memory::{CommitFault, MemoryDisk, MemoryStore};
use caxton_engine::port::model::ProviderKind;
use caxton_engine::port::secrets::Secret;
use caxton_engine::port::{NativeRuntime, Secrets, SeededEntropy, StoreError, SystemClock};
use caxton_engine::rewrap::{Rewrapped, rewrap};
use caxton_engine::{App, OpCtx, Options, Ports};
use caxton_store::{SealedSecrets, new_master_key};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TENANTS: [&str; 3] = ["default", "acme", "zenith"];

fn sealer(keys: &[u64]) -> Arc<SealedSecrets> {
    let text: String = keys
        .iter()
        .map(|seed| new_master_key(&SeededEntropy::new(*seed)))
        .collect();
    let entropy = Arc::new(SeededEntropy::new(99));
    Arc::new(SealedSecrets::new(&text, entropy).unwrap())
}

/// Opens all there is, and changes none of it.
#[derive(Debug)]
struct Reader {
    inner: Arc<SealedSecrets>,
    seen: Mutex<BTreeMap<String, String>>,
    last: Mutex<Vec<u8>>,
}

impl Secrets for Reader {
    fn seal(&self, _: &str, _: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.last.lock().unwrap().clone())
    }

    fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let open = self.inner.open(place, sealed)?;
        let text = String::from_utf8(open.clone()).unwrap();
        self.seen.lock().unwrap().insert(place.to_owned(), text);
        *self.last.lock().unwrap() = sealed.to_vec();
        Ok(open)
    }

    fn is_current(&self, _: &[u8]) -> bool {
        false
    }
}

/// All secrets on a disk that open under these keys, by their places.
async fn opened(disk: &MemoryDisk, keys: &[u64]) -> BTreeMap<String, String> {
    let reader = Reader {
        inner: sealer(keys),
        seen: Mutex::default(),
        last: Mutex::default(),
    };
    let store = Arc::new(MemoryStore::open(disk.clone()));
    rewrap(store, &reader).await.unwrap();
    reader.seen.into_inner().unwrap()
}

fn ctx(tenant: &str) -> OpCtx {
    let trace = TraceContext {
        trace_id: [7; 16],
        span_id: [7; 8],
        sampled: false,
    };
    let tenant = TenantId::parse(tenant).unwrap();
    OpCtx::new(tenant, Principal::platform_admin(), trace)
}

/// A disk with secrets of several tenants under the first key.
async fn disk() -> MemoryDisk {
    let disk = MemoryDisk::default();
    let mut ports = Ports::new(
        Arc::new(MemoryStore::open(disk.clone())),
        Arc::new(SystemClock),
        Arc::new(SeededEntropy::new(5)),
        Arc::new(NativeRuntime::default()),
    );
    ports.secrets = sealer(&[1]);
    let app = App::start(ports, Options::default()).await.unwrap();
    for tenant in TENANTS {
        if tenant != "default" {
            let draft = TenantDraft {
                id: TenantId::parse(tenant).unwrap(),
                display_name: String::new(),
                storage: Storage::default(),
            };
            app.tenant_create(&ctx("default"), draft).await.unwrap();
        }
        for n in 0..4 {
            let provider = Provider {
                name: format!("p{n}"),
                kind: ProviderKind::OpenaiChat,
                base_url: String::new(),
                // Of one there is no secret.
                secret: (n > 0).then(|| Secret::new(&format!("sk-{tenant}-{n}"))),
            };
            app.provider_set(&ctx(tenant), provider).await.unwrap();
        }
    }
    app.stop(Duration::ZERO).await;
    disk
}

fn expected() -> BTreeMap<String, String> {
    let each = TENANTS.iter().flat_map(|tenant| {
        (1..4).map(move |n| {
            (
                format!("{tenant}/provider/p{n}"),
                format!("sk-{tenant}-{n}"),
            )
        })
    });
    each.collect()
}

#[tokio::test]
async fn cut_short_anywhere_it_loses_nothing_and_another_run_does_the_rest() {
    let mut cuts = 0;
    for lose_answer in [false, true] {
        for cut in 0.. {
            let disk = disk().await;
            let made = AtomicUsize::new(0);
            let store = MemoryStore::open(disk.clone()).with_faults(Box::new(move |_| {
                let error = || StoreError::Failed("cut".into());
                let fault = match lose_answer {
                    false => CommitFault::Refuse(error()),
                    true => CommitFault::LoseAnswer(error()),
                };
                (made.fetch_add(1, Ordering::SeqCst) == cut).then_some(fault)
            }));
            let whole = rewrap(Arc::new(store), &*sealer(&[2, 1])).await.is_ok();
            // As a server with both keys sees it.
            assert_eq!(opened(&disk, &[2, 1]).await, expected(), "cut {cut}");
            let store = Arc::new(MemoryStore::open(disk.clone()));
            let rest = rewrap(store, &*sealer(&[2, 1])).await.unwrap();
            assert_eq!((rest.current + rest.anew, rest.lost.len()), (9, 0));
            assert_eq!(rest.anew == 0, whole || rest.current == 9, "cut {cut}");
            // The old key is needed no more.
            assert_eq!(opened(&disk, &[2]).await, expected(), "cut {cut}");
            if whole {
                break;
            }
            cuts += 1;
        }
    }
    assert_eq!(
        cuts,
        2 * TENANTS.len(),
        "one unit a tenant, each cut both ways"
    );
}

#[tokio::test]
async fn what_opens_under_no_key_is_named_and_left_as_it_is() {
    let disk = disk().await;
    let store = Arc::new(MemoryStore::open(disk.clone()));
    let done = rewrap(store, &*sealer(&[3])).await.unwrap();
    let places: Vec<String> = expected().into_keys().collect();
    let mut lost = done.lost.clone();
    lost.sort();
    assert_eq!((done.anew, done.current, lost), (0, 0, places));
    // Brought back, the key opens them all.
    assert_eq!(opened(&disk, &[3, 1]).await, expected());
    let store = Arc::new(MemoryStore::open(disk.clone()));
    let done = rewrap(store, &*sealer(&[1])).await.unwrap();
    let current = Rewrapped {
        current: 9,
        ..Rewrapped::default()
    };
    assert_eq!(done, current);
}
