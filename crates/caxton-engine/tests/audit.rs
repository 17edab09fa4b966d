//! The audit over time: what goes by itself, what stays, and that a chain verifies whatever goes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use caxton_core::audit::{Outcome, Report, Summary, Verifier};
use caxton_core::error::{Code, Error};
use caxton_core::{TenantId, Timestamp};
use caxton_engine::audit::{
    Act, AuditFilter, AuditOptions, AuditRow, ReportKeeper, ReportName, Reports, check_signature,
};
use caxton_engine::port::Answer;
use caxton_engine::port::Clock as _;
use caxton_engine::port::store::PageRequest;
use caxton_engine::{OpCtx, Options};
use futures::StreamExt as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Cast, World};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn of(tenant: &str) -> OpCtx {
    OpCtx {
        tenant: TenantId::parse(tenant).unwrap(),
        ..support::ctx()
    }
}

async fn keeping(retention: Option<Duration>) -> World {
    let options = Options {
        audit_seed: Some([7; 32]),
        audit: AuditOptions {
            retention,
            ..AuditOptions::default()
        },
        ..Options::default()
    };
    World::with_options(Cast::default(), options).await
}

/// So much later, when what is done each hour was done.
async fn later(world: &World, by: Duration) {
    world.clock.advance(by);
    world.pass(2 * HOUR).await;
}

async fn note(world: &World, tenant: &str, action: &str) {
    let act = Act::permitted(action, "it");
    world.app.audit_note(&of(tenant), act).await.unwrap();
}

/// The entries, oldest first.
async fn entries(world: &World, ctx: &OpCtx, platform: bool) -> Vec<AuditRow> {
    let filter = AuditFilter::default();
    let page = PageRequest::first(1000);
    let page = world.app.audit_list(ctx, platform, &filter, &page).await;
    let mut rows = page.unwrap().rows;
    rows.reverse();
    rows
}

async fn told(world: &World, tenant: &str) -> Vec<(String, String)> {
    let rows = entries(world, &of(tenant), false).await;
    let event = |it: AuditRow| (it.entry.event.actor, it.entry.event.action);
    rows.into_iter().map(event).collect()
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    of.iter().map(owned).collect()
}

/// The export, checked as an auditor does it.
async fn verified(world: &World, tenant: &str) -> Report {
    let mut lines = world.app.audit_export(&of(tenant), false).await.unwrap();
    let head = world.app.audit_head(&of(tenant), false).await.unwrap();
    let mut verifier = Verifier::expecting(Some(head.hash));
    while let Some(line) = lines.next().await {
        verifier.line(&line.unwrap(), &check_signature).unwrap();
    }
    verifier.finish(Some(&head.public_key)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_old_goes_by_itself_and_the_rest_verifies() {
    let mut world = keeping(Some(30 * DAY)).await;
    for tenant in ["acme", "idle", "default"] {
        note(&world, tenant, "first").await;
    }
    world.clock.advance(20 * DAY);
    note(&world, "acme", "second").await;
    world.clock.advance(10 * DAY - 4 * HOUR);
    world.pass(2 * HOUR).await;
    assert_eq!(told(&world, "acme").await.len(), 2, "nothing is old yet");
    world.pass(4 * HOUR).await;
    let left = pairs(&[("admin", "second"), ("system:retention", "audit.trim")]);
    assert_eq!(told(&world, "acme").await, left);
    let trims = pairs(&[("system:retention", "audit.trim")]);
    assert_eq!(told(&world, "idle").await, trims);
    for tenant in ["acme", "idle", "default"] {
        verified(&world, tenant).await;
    }
    // What comes later follows what went, over a restart, too.
    world.crash().await;
    note(&world, "acme", "third").await;
    let report = verified(&world, "acme").await;
    assert_eq!((report.entries, report.head.sequence), (3, 4));
}

#[tokio::test(start_paused = true)]
async fn notes_of_what_went_are_not_noted_for_ever() {
    let world = keeping(Some(DAY)).await;
    for _ in 0..24 {
        note(&world, "acme", "act").await;
        world.pass(HOUR).await;
    }
    for _ in 0..5 {
        later(&world, DAY).await;
    }
    assert_eq!(told(&world, "acme").await, []);
    // 24 acts, and not more than a note for each that went.
    let report = verified(&world, "acme").await;
    assert!(report.head.sequence <= 48, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn the_platforms_own_chain_is_kept_as_long() {
    let world = keeping(Some(10 * DAY)).await;
    world
        .app
        .audit_trim(&support::ctx(), true, Timestamp::EPOCH)
        .await
        .unwrap();
    assert_eq!(entries(&world, &support::ctx(), true).await.len(), 1);
    later(&world, 11 * DAY).await;
    let left = entries(&world, &support::ctx(), true).await;
    let actors: Vec<&str> = left.iter().map(|it| &*it.entry.event.actor).collect();
    assert_eq!(actors, ["system:retention"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_retention_nothing_goes() {
    let world = keeping(None).await;
    note(&world, "acme", "first").await;
    later(&world, 5000 * DAY).await;
    assert_eq!(told(&world, "acme").await, pairs(&[("admin", "first")]));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_noted_does_not_go() {
    let world = keeping(Some(DAY)).await;
    note(&world, "acme", "first").await;
    world.break_store(true);
    later(&world, 3 * DAY).await;
    assert_eq!(told(&world, "acme").await, pairs(&[("admin", "first")]));
    // The next hour that the disk works does it, and nobody has to start anything again.
    world.break_store(false);
    world.pass(2 * HOUR).await;
    let trims = pairs(&[("system:retention", "audit.trim")]);
    assert_eq!(told(&world, "acme").await, trims);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_leaves_the_order_of_times() {
    let world = keeping(Some(DAY)).await;
    note(&world, "acme", "first").await;
    let before = world.clock.now();
    world.clock.set_back(MINUTE);
    note(&world, "acme", "second").await;
    world.clock.advance(3 * MINUTE);
    note(&world, "acme", "third").await;
    let times: Vec<Timestamp> = entries(&world, &of("acme"), false)
        .await
        .iter()
        .map(|it| it.entry.event.time)
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(times[1].since(before), Duration::ZERO);
    assert!(times[2] >= before.plus(2 * MINUTE), "{times:?}");
    // A search by time finds each: no entry hides behind a younger one.
    let filter = AuditFilter {
        from: Some(times[0]),
        outcome: Some(Outcome::Permitted),
        ..AuditFilter::default()
    };
    let page = PageRequest::first(10);
    let ctx = of("acme");
    let found = world.app.audit_list(&ctx, false, &filter, &page);
    assert_eq!(found.await.unwrap().rows.len(), 3);
    verified(&world, "acme").await;
    // Set back by more than a clock goes wrong: somebody meant it.
    world.clock.set_back(2 * DAY);
    note(&world, "acme", "fourth").await;
    let rows = entries(&world, &of("acme"), false).await;
    assert_eq!(rows[3].entry.event.time, world.clock.now());
    verified(&world, "acme").await;
}

#[tokio::test(start_paused = true)]
async fn an_export_that_entries_go_under_says_to_ask_again() {
    let world = keeping(None).await;
    for action in ["first", "second", "third"] {
        note(&world, "acme", action).await;
        world.clock.advance(HOUR);
    }
    let ctx = of("acme");
    let export = world.app.audit_export(&ctx, false).await.unwrap();
    let all = entries(&world, &ctx, false).await;
    let second = all[1].entry.event.time;
    assert_eq!(world.app.audit_trim(&ctx, false, second).await.unwrap(), 1);
    let lines: Vec<_> = export.collect().await;
    let error = lines.into_iter().find_map(Result::err).unwrap();
    assert_eq!(error.code, Code::AuditExportOvertaken);
    verified(&world, "acme").await;
}

/// Reports as they were kept.
#[derive(Debug, Default)]
struct Kept(Mutex<Vec<(ReportName, Summary)>>);

impl ReportKeeper for Kept {
    fn has(&self, name: &ReportName) -> bool {
        self.0.lock().unwrap().iter().any(|(it, _)| it == name)
    }

    fn keep<'a>(
        &'a self,
        name: &'a ReportName,
        report: &'a Summary,
    ) -> Answer<'a, Result<(), Error>> {
        let report = (name.clone(), report.clone());
        self.0.lock().unwrap().push(report);
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::test(start_paused = true)]
async fn each_period_is_reported_once_over_restarts_and_none_is_missed() {
    let kept = Arc::new(Kept::default());
    let options = Options {
        audit_seed: Some([7; 32]),
        audit: AuditOptions {
            reports: Some(Reports {
                every: HOUR,
                keeper: Arc::clone(&kept) as _,
            }),
            ..AuditOptions::default()
        },
        ..Options::default()
    };
    let mut world = World::with_options(Cast::default(), options).await;
    let told = |kept: &Kept| {
        let all = kept.0.lock().unwrap();
        let of = all
            .iter()
            .filter(|(name, _)| name.tenant.as_str() == "acme");
        of.map(|(_, it)| (it.entries, it.first, it.last, it.chain.clone()))
            .collect::<Vec<_>>()
    };
    let whole = |entries, first, last| (entries, first, last, "whole".to_owned());
    note(&world, "acme", "key.create").await;
    note(&world, "acme", "key.revoke").await;
    assert_eq!(told(&kept), []);
    world.pass(HOUR + 2 * MINUTE).await;
    assert_eq!(told(&kept), [whole(2, 1, 2)]);
    // Nothing new: nothing to tell, however long it is.
    world.pass(5 * HOUR).await;
    assert_eq!(told(&kept), [whole(2, 1, 2)]);
    note(&world, "acme", "role.assign").await;
    // What ended while the server was down is told when it is back, and what was told is not again.
    world.crash().await;
    world.clock.advance(3 * HOUR);
    world.pass(2 * MINUTE).await;
    assert_eq!(told(&kept), [whole(2, 1, 2), whole(1, 3, 3)]);
    world.crash().await;
    world.pass(2 * HOUR).await;
    assert_eq!(told(&kept).len(), 2);
    // A week back it is looked for, and not further.
    note(&world, "acme", "role.assign").await;
    world.crash().await;
    world.clock.advance(7 * DAY - HOUR);
    world.pass(2 * MINUTE).await;
    assert_eq!(told(&kept).len(), 3);
    note(&world, "acme", "role.assign").await;
    world.crash().await;
    world.clock.advance(8 * DAY);
    world.pass(2 * MINUTE).await;
    assert_eq!(told(&kept).len(), 3);
    let all = kept.0.lock().unwrap();
    let (_, last) = all.last().unwrap();
    assert_eq!(last.acts[0].action, "role.assign");
    assert!(last.until > last.from);
}

#[tokio::test(start_paused = true)]
async fn what_is_to_come_does_not_let_go_of_the_entry_that_says_so() {
    let world = keeping(None).await;
    note(&world, "acme", "first").await;
    world.clock.advance(DAY);
    let acme = TenantId::parse("acme").unwrap();
    let ctx = OpCtx {
        tenant: acme,
        ..support::ctx()
    };
    let far = Timestamp::parse_rfc3339("9999-01-01T00:00:00Z").unwrap();
    assert_eq!(world.app.audit_trim(&ctx, false, far).await.unwrap(), 1);
    let left = pairs(&[("admin", "audit.trim")]);
    assert_eq!(told(&world, "acme").await, left);
    verified(&world, "acme").await;
}
