//! Calls from outside on a memory disk with paused time: invocations, jobs and their one end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use caxton_core::manifest::Durability;
use caxton_core::{Acl, Code, Error, Message, MessageId, Performative};
use caxton_engine::Options;
use caxton_engine::host::Host;
use caxton_engine::jobs::{Call, Feed, Invoked, Job, JobRecord, JobState};
use caxton_engine::port::Clock as _;
use caxton_engine::port::native::failed;
use caxton_engine::port::store::PageRequest;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use support::*;
use tokio::sync::Semaphore;

/// What the agents of these tests are steered by.
#[derive(Clone)]
struct Strings {
    /// A `slow` handler takes one before it answers.
    gate: Arc<Semaphore>,
    handled: Arc<AtomicU32>,
}

/// Answers by what it is asked: `no`, `cannot`, `what`, `trap`, `silent`, `steps`, else an echo.
async fn clerk(mut host: Host, message: Arc<Message>) -> Handled {
    let acl = &message.acl;
    if !matches!(
        acl.performative,
        Performative::Request | Performative::QueryRef
    ) {
        return (host, Ok(()));
    }
    let text = acl.text().unwrap_or_default().to_owned();
    let (act, content) = match text.as_str() {
        "no" => (Performative::Refuse, "not today"),
        "cannot" => (Performative::Failure, "it broke"),
        "what" => (Performative::NotUnderstood, "pardon"),
        "trap" => return (host, Err(failed("trapped"))),
        "silent" => return (host, Ok(())),
        other => (Performative::Inform, other),
    };
    if text == "steps" {
        host.send(acl.reply(Performative::Agree)).unwrap();
        for step in ["one", "two"] {
            let mut said = acl.reply(Performative::Inform).content(step);
            said.user_parameters = vec![("X-Progress".into(), step.into())];
            host.send(said).unwrap();
        }
    }
    host.send(acl.reply(act).content(content.to_owned()))
        .unwrap();
    (host, Ok(()))
}

async fn world() -> (World, Strings) {
    world_with(Options::default()).await
}

async fn world_with(options: Options) -> (World, Strings) {
    let strings = Strings {
        gate: Arc::new(Semaphore::new(0)),
        handled: Arc::new(AtomicU32::new(0)),
    };
    let own = strings.clone();
    let cast = Cast::default()
        .with("clerk", clerk)
        .with("slow", move |host, message| {
            let own = own.clone();
            async move {
                own.gate.acquire().await.unwrap().forget();
                own.handled.fetch_add(1, Ordering::SeqCst);
                clerk(host, message).await
            }
        });
    let world = World::with_options(cast, options).await;
    world
        .deploy_with("clerk", "clerk", |manifest| {
            manifest.delivery.attempts_max = 1
        })
        .await;
    world.deploy("slow", "slow").await;
    (world, strings)
}

fn call(agent: &str, content: &str) -> Call {
    Call {
        agent: name(agent),
        acl: Acl::new(Performative::Request).content(content.to_owned()),
        timeout: Duration::from_secs(60),
        attempts_max: 4,
    }
}

async fn invoke(world: &World, content: &str) -> Result<Invoked, Error> {
    world
        .app
        .agent_invoke(&ctx(), call("clerk", content), None)
        .await
}

async fn submit(world: &World, agent: &str, content: &str) -> Job {
    world
        .app
        .job_submit(&ctx(), call(agent, content))
        .await
        .unwrap()
}

async fn show(world: &World, id: MessageId) -> Job {
    world.app.job_show(&ctx(), id).await.unwrap()
}

/// Waits for the job's end as its followers do.
async fn end_of(world: &World, id: MessageId) -> Job {
    let following = world.app.job_follow(&ctx(), id, None).await.unwrap();
    if let Some(mut events) = following.events {
        while events.next().await.is_some() {}
    }
    let job = show(world, id).await;
    assert!(job.record.state.is_final(), "{:?}", job.record);
    job
}

fn code(job: &Job) -> Option<&str> {
    job.record.error.as_ref().map(|it| it.code.as_str())
}

async fn jobs(world: &World) -> Vec<JobRecord> {
    let page = PageRequest::first(1000);
    world.app.job_list(&ctx(), &page).await.unwrap().rows
}

fn metric(world: &World, name: &str, label: Option<&str>) -> f64 {
    let families = world.app.metrics().registry.gather();
    let family = families.iter().find(|it| it.name() == name);
    let rows = family
        .unwrap_or_else(|| panic!("no {name}"))
        .get_metric()
        .iter();
    let mut rows =
        rows.filter(|row| label.is_none_or(|it| row.get_label().iter().any(|l| l.value() == it)));
    let row = rows
        .next()
        .unwrap_or_else(|| panic!("{name} has no {label:?}"));
    row.get_counter().get_value() + row.get_gauge().get_value()
}

#[tokio::test(start_paused = true)]
async fn an_invocation_has_the_answer_or_a_clear_error_with_it() {
    let (world, _) = world().await;
    let done = invoke(&world, "hi").await.unwrap();
    assert_eq!((done.reply.acl.text(), done.attempts), (Some("hi"), 1));
    assert!(done.refused.is_none());
    for (content, expected, kept) in [
        ("no", Code::AgentRefused, "not today"),
        ("cannot", Code::AgentFailed, "it broke"),
        ("what", Code::NotUnderstood, "pardon"),
    ] {
        let done = invoke(&world, content).await.unwrap();
        let refused = done.refused.unwrap();
        assert_eq!(refused.code, expected);
        assert!(refused.detail.contains(kept), "{}", refused.detail);
        assert_eq!(done.reply.acl.text(), Some(kept));
    }
    // The platform's word for a handler that breaks is the fault's own code.
    let done = invoke(&world, "trap").await.unwrap();
    assert_eq!(done.refused.unwrap().code, Code::HandlerFailed);
    let mut silent = call("clerk", "silent");
    silent.timeout = Duration::from_secs(5);
    let began = world.clock.now();
    let late = world
        .app
        .agent_invoke(&ctx(), silent, None)
        .await
        .unwrap_err();
    assert_eq!(late.code, Code::CallTimeout);
    assert_eq!(world.clock.now().since(began).as_secs(), 5);
    let missing = world
        .app
        .agent_invoke(&ctx(), call("nobody", ""), None)
        .await;
    assert_eq!(missing.unwrap_err().code, Code::AgentNotFound);
}

#[tokio::test(start_paused = true)]
async fn a_jobs_life() {
    let (world, strings) = world().await;
    let job = submit(&world, "slow", "hi").await;
    let id = job.record.id;
    assert!(!job.record.state.is_final());
    world.settle_busy().await;
    let running = show(&world, id).await.record;
    assert_eq!(running.state, JobState::Running);
    assert!(running.started.is_some());
    assert_eq!(metric(&world, "caxton_jobs_open", None), 1.0);
    strings.gate.add_permits(1);
    let done = end_of(&world, id).await;
    assert_eq!(done.record.state, JobState::Complete);
    assert_eq!(done.reply.unwrap().acl.text(), Some("hi"));
    assert!(done.record.ended >= running.started);
    assert_eq!(metric(&world, "caxton_jobs_open", None), 0.0);
    assert_eq!(metric(&world, "caxton_jobs_total", Some("complete")), 1.0);
    // Over, it is read of the disk; removed, it is gone.
    assert_eq!(show(&world, id).await.reply.unwrap().acl.text(), Some("hi"));
    world.app.job_remove(&ctx(), id).await.unwrap();
    let gone = world.app.job_show(&ctx(), id).await.unwrap_err();
    assert_eq!(gone.code, Code::JobNotFound);
    let again = world.app.job_remove(&ctx(), id).await.unwrap_err();
    assert_eq!(again.code, Code::JobNotFound);
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_answer_says_no_has_failed_and_keeps_it() {
    let (world, _) = world().await;
    for (content, expected) in [
        ("no", Code::AgentRefused),
        ("cannot", Code::AgentFailed),
        ("what", Code::NotUnderstood),
        ("trap", Code::HandlerFailed),
    ] {
        let id = submit(&world, "clerk", content).await.record.id;
        let job = end_of(&world, id).await;
        assert_eq!(job.record.state, JobState::Failed, "{content}");
        assert_eq!(code(&job), Some(expected.as_str()), "{content}");
        assert!(job.reply.is_some(), "{content}");
    }
    let id = submit(&world, "clerk", "silent").await.record.id;
    let job = end_of(&world, id).await;
    assert_eq!(code(&job), Some(Code::CallTimeout.as_str()));
    assert_eq!(
        job.record
            .ended
            .unwrap()
            .since(job.record.created)
            .as_secs(),
        60
    );
    assert!(job.reply.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_leaves_no_job() {
    let (world, _) = world().await;
    world.app.agent_stop(&ctx(), &name("clerk")).await.unwrap();
    let stopped = world.app.job_submit(&ctx(), call("clerk", "x")).await;
    assert_eq!(stopped.unwrap_err().code, Code::ReceiverStopped);
    let missing = world.app.job_submit(&ctx(), call("nobody", "x")).await;
    assert_eq!(missing.unwrap_err().code, Code::AgentNotFound);
    assert_eq!(jobs(&world).await, []);
    assert_eq!(metric(&world, "caxton_jobs_open", None), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_job_stays_cancelled_whatever_the_agent_does() {
    let (world, strings) = world().await;
    let id = submit(&world, "slow", "x").await.record.id;
    world.settle_busy().await;
    let job = world.app.job_cancel(&ctx(), id).await.unwrap();
    assert_eq!(job.record.state, JobState::Cancelled);
    strings.gate.add_permits(1);
    world.settle().await;
    assert_eq!(
        strings.handled.load(Ordering::SeqCst),
        1,
        "the agent went on"
    );
    assert_eq!(show(&world, id).await.record.state, JobState::Cancelled);
    // Cancelled again it is as it was; deleted it is gone.
    let again = world.app.job_cancel(&ctx(), id).await.unwrap();
    assert_eq!(again.record, job.record);
    world.app.job_remove(&ctx(), id).await.unwrap();
    assert_eq!(jobs(&world).await, []);
    // A deletion of one that is not over cancels it, and it stays to be seen.
    let id = submit(&world, "slow", "x").await.record.id;
    world.app.job_remove(&ctx(), id).await.unwrap();
    assert_eq!(show(&world, id).await.record.state, JobState::Cancelled);
    assert_eq!(metric(&world, "caxton_jobs_total", Some("cancelled")), 2.0);
}

/// An answer and a person race for a hundred jobs: each has one end, and it is what is kept.
#[tokio::test(start_paused = true)]
async fn one_end_wins() {
    let (mut world, strings) = world().await;
    let mut told = Vec::new();
    for turn in 0..100_u32 {
        let id = submit(&world, "slow", "x").await.record.id;
        while show(&world, id).await.record.state != JobState::Running {
            tokio::task::yield_now().await;
        }
        strings.gate.add_permits(1);
        for _ in 0..turn % 23 {
            tokio::task::yield_now().await;
        }
        let who = ctx();
        let (cancelled, ended) = tokio::join!(world.app.job_cancel(&who, id), end_of(&world, id));
        let state = cancelled.unwrap().record.state;
        assert_eq!(state, ended.record.state);
        assert_eq!(state == JobState::Complete, ended.reply.is_some());
        told.push((id, state));
    }
    let wins = told.iter().filter(|it| it.1 == JobState::Cancelled).count();
    assert!((1..100).contains(&wins), "no race: {wins} cancelled");
    world.crash().await;
    for (id, state) in told {
        assert_eq!(show(&world, id).await.record.state, state);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_jobs_at_once() {
    let (world, _) = world().await;
    let all = (0..100).map(|n| {
        let app = world.app.clone();
        async move {
            let text = n.to_string();
            let job = app.job_submit(&ctx(), call("clerk", &text)).await.unwrap();
            (job.record.id, text)
        }
    });
    let all = futures::future::join_all(all).await;
    for (id, text) in &all {
        let job = end_of(&world, *id).await;
        assert_eq!(job.reply.unwrap().acl.text(), Some(text.as_str()));
    }
    let listed = jobs(&world).await;
    assert_eq!(listed.len(), 100);
    assert!(
        listed.windows(2).all(|pair| pair[0].id > pair[1].id),
        "newest first"
    );
}

#[tokio::test(start_paused = true)]
async fn a_tenant_has_so_many_open_jobs_at_most() {
    let mut options = Options::default();
    options.jobs.open_max = 3;
    let (world, strings) = world_with(options).await;
    for _ in 0..3 {
        submit(&world, "slow", "x").await;
    }
    let refused = world
        .app
        .job_submit(&ctx(), call("slow", "x"))
        .await
        .unwrap_err();
    assert_eq!(refused.code, Code::JobsTooMany);
    assert!(refused.retry_after.is_some());
    strings.gate.add_permits(3);
    for job in jobs(&world).await {
        end_of(&world, job.id).await;
    }
    submit(&world, "slow", "x").await;
}

/// An agent with one message in its hands and one in its mailbox, which takes no more.
async fn crowded(world: &World) {
    world
        .deploy_with("tight", "slow", |it| it.limits.mailbox_messages_max = 1)
        .await;
    for _ in 0..2 {
        world.send(request("tight", "x")).await.unwrap();
        world.settle_busy().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_is_tried_again() {
    let (world, strings) = world().await;
    crowded(&world).await;
    let job = submit(&world, "tight", "second").await;
    assert_eq!(job.record.state, JobState::Submitted);
    let app = world.app.clone();
    let invoked =
        tokio::spawn(async move { app.agent_invoke(&ctx(), call("tight", "third"), None).await });
    world.pass(Duration::from_millis(50)).await;
    strings.gate.add_permits(4);
    let done = end_of(&world, job.record.id).await;
    assert_eq!(done.record.state, JobState::Complete);
    assert!(done.record.attempts > 1);
    let invoked = invoked.await.unwrap().unwrap();
    assert!(invoked.attempts > 1);
    assert_eq!(strings.handled.load(Ordering::SeqCst), 4);
    assert!(metric(&world, "caxton_call_retries_total", None) >= 2.0);
}

#[tokio::test(start_paused = true)]
async fn tries_have_a_budget() {
    let (world, _) = world().await;
    crowded(&world).await;
    let refused = world
        .app
        .agent_invoke(&ctx(), call("tight", "x"), None)
        .await
        .unwrap_err();
    assert_eq!(refused.code, Code::MailboxFull);
    assert!(refused.retry_after.is_some());
    let id = submit(&world, "tight", "x").await.record.id;
    let job = end_of(&world, id).await;
    assert_eq!(code(&job), Some(Code::MailboxFull.as_str()));
    assert_eq!(job.record.attempts, 4);
    // And time: it ends by then, whatever the pauses would be.
    let mut short = call("tight", "x");
    (short.timeout, short.attempts_max) = (Duration::from_secs(2), 100);
    let id = world.app.job_submit(&ctx(), short).await.unwrap().record.id;
    let job = end_of(&world, id).await.record;
    assert_eq!(job.ended.unwrap().since(job.created).as_secs(), 2);
    // With one try there is no second.
    let once = Call {
        attempts_max: 1,
        ..call("tight", "x")
    };
    let refused = world.app.job_submit(&ctx(), once).await.unwrap_err();
    assert_eq!(refused.code, Code::MailboxFull);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_fails_is_left_alone_and_tried_again() {
    let (world, _) = world().await;
    assert_eq!(
        metric(&world, "caxton_breaker_changes_total", Some("open")),
        0.0
    );
    for _ in 0..5 {
        let done = invoke(&world, "trap").await.unwrap();
        assert_eq!(done.refused.unwrap().code, Code::HandlerFailed);
    }
    let refused = invoke(&world, "hi").await.unwrap_err();
    assert_eq!(refused.code, Code::AgentUnavailable);
    let wait = refused.retry_after.unwrap();
    assert!(wait > Duration::ZERO && wait <= Duration::from_secs(5));
    assert_eq!(metric(&world, "caxton_breakers_open", None), 1.0);
    assert_eq!(metric(&world, "caxton_breaker_refused_total", None), 1.0);
    // A job waits for it, and is the trial that closes it.
    let id = submit(&world, "clerk", "hi").await.record.id;
    let job = end_of(&world, id).await.record;
    assert_eq!(job.state, JobState::Complete);
    assert!(job.ended.unwrap().since(job.created) >= wait);
    assert_eq!(
        invoke(&world, "hi").await.unwrap().reply.acl.text(),
        Some("hi")
    );
    assert_eq!(metric(&world, "caxton_breakers_open", None), 0.0);
    for state in ["open", "half-open", "closed"] {
        assert_eq!(
            metric(&world, "caxton_breaker_changes_total", Some(state)),
            1.0,
            "{state}"
        );
    }
    // An agent that answers is well, whatever it answers; and others are none of its business.
    for _ in 0..20 {
        assert!(invoke(&world, "cannot").await.unwrap().refused.is_some());
    }
    assert_eq!(
        invoke(&world, "hi").await.unwrap().reply.acl.text(),
        Some("hi")
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_hardly_waits_shuts_nobody_out() {
    let (world, _) = world().await;
    for _ in 0..20 {
        let hasty = Call {
            timeout: Duration::from_millis(10),
            ..call("clerk", "silent")
        };
        let late = world
            .app
            .agent_invoke(&ctx(), hasty, None)
            .await
            .unwrap_err();
        assert_eq!(late.code, Code::CallTimeout);
    }
    assert_eq!(
        invoke(&world, "hi").await.unwrap().reply.acl.text(),
        Some("hi")
    );
}

#[tokio::test(start_paused = true)]
async fn a_job_goes_on_after_a_crash_and_is_handled_once() {
    let (mut world, strings) = world().await;
    let first = submit(&world, "slow", "first").await.record.id;
    let second = submit(&world, "slow", "second").await.record.id;
    world.settle_busy().await;
    world.crash().await;
    assert_eq!(metric(&world, "caxton_jobs_open", None), 2.0);
    assert!(!show(&world, second).await.record.state.is_final());
    // The handler that was cut off took nothing; the two after the crash do.
    strings.gate.add_permits(2);
    for (id, text) in [(first, "first"), (second, "second")] {
        let job = end_of(&world, id).await;
        assert_eq!(job.reply.unwrap().acl.text(), Some(text));
    }
    assert_eq!(strings.handled.load(Ordering::SeqCst), 2, "each once");
    // Over, they stay so.
    world.crash().await;
    assert_eq!(show(&world, first).await.record.state, JobState::Complete);
    assert_eq!(metric(&world, "caxton_jobs_open", None), 0.0);
}

/// The agent is done with the message and will answer later: after a start nobody gives it the
/// message again, and the job still says that it runs.
#[tokio::test(start_paused = true)]
async fn a_job_whose_answer_is_due_runs_on_after_a_crash() {
    let (mut world, strings) = world().await;
    let taken = submit(&world, "clerk", "silent").await.record.id;
    let waiting = submit(&world, "slow", "x").await.record.id;
    world.settle_busy().await;
    let before = show(&world, taken).await.record;
    assert_eq!(before.state, JobState::Running);
    world.pass(Duration::from_secs(5)).await;
    for _ in 0..2 {
        world.crash().await;
        let after = show(&world, taken).await.record;
        assert_eq!(
            (after.state, after.started),
            (JobState::Running, before.started)
        );
        let following = world.app.job_follow(&ctx(), taken, None).await.unwrap();
        let first = following.events.unwrap().next().await.unwrap().unwrap();
        assert_eq!(first.state, JobState::Running);
    }
    // One whose handler was cut off begins anew.
    strings.gate.add_permits(1);
    assert_eq!(
        end_of(&world, waiting).await.record.state,
        JobState::Complete
    );
    // Its end has the time it began at, and nothing of it is left open.
    let ended = world.app.job_cancel(&ctx(), taken).await.unwrap().record;
    assert_eq!(
        (ended.state, ended.started),
        (JobState::Cancelled, before.started)
    );
    world.crash().await;
    assert_eq!(metric(&world, "caxton_jobs_open", None), 0.0);
    assert_eq!(show(&world, taken).await.record.state, JobState::Cancelled);
}

/// The agent's answer is committed, and the server dies before the job's end is.
#[tokio::test(start_paused = true)]
async fn an_answer_that_came_before_the_crash_is_found() {
    let (mut world, strings) = world().await;
    let id = submit(&world, "slow", "x").await.record.id;
    world.settle_busy().await;
    strings.gate.add_permits(1);
    // Wherever in the committing of the answer and of the job's end the crash falls.
    let mut left = 0;
    while strings.handled.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
        left += 1;
        assert!(left < 10_000, "the handler never ran");
    }
    for _ in 0..2 {
        tokio::task::yield_now().await;
    }
    world.crash().await;
    strings.gate.add_permits(1);
    let job = end_of(&world, id).await;
    assert_eq!(job.reply.unwrap().acl.text(), Some("x"));
}

#[tokio::test(start_paused = true)]
async fn a_job_in_memory_only_ends_honestly() {
    let (mut world, strings) = world().await;
    world
        .deploy_with("hasty", "slow", |it| {
            it.delivery.durability = Durability::Transient
        })
        .await;
    let id = submit(&world, "hasty", "x").await.record.id;
    world.settle_busy().await;
    world.crash().await;
    let job = end_of(&world, id).await;
    assert_eq!(code(&job), Some(Code::JobLost.as_str()));
    assert_eq!(strings.handled.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waited_goes_on_waiting_after_a_crash() {
    let (mut world, strings) = world().await;
    crowded(&world).await;
    let id = submit(&world, "tight", "second").await.record.id;
    world.crash().await;
    strings.gate.add_permits(3);
    let job = end_of(&world, id).await;
    assert_eq!(job.reply.unwrap().acl.text(), Some("second"));
}

#[tokio::test(start_paused = true)]
async fn time_goes_on_while_the_server_is_down() {
    let (mut world, _) = world().await;
    let job = submit(&world, "clerk", "silent").await.record;
    world.pass(Duration::from_secs(40)).await;
    world.crash().await;
    let ended = end_of(&world, job.id).await;
    assert_eq!(code(&ended), Some(Code::CallTimeout.as_str()));
    assert_eq!(ended.record.ended.unwrap().since(job.created).as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn jobs_are_kept_for_a_time() {
    let mut options = Options::default();
    options.jobs.kept_for = Duration::from_secs(3600);
    let (world, strings) = world_with(options).await;
    let old = submit(&world, "clerk", "x").await.record.id;
    end_of(&world, old).await;
    let mut long = call("slow", "x");
    long.timeout = Duration::from_secs(24 * 3600);
    let open = world.app.job_submit(&ctx(), long).await.unwrap().record.id;
    world.pass(Duration::from_secs(3600 - 60)).await;
    assert_eq!(jobs(&world).await.len(), 2);
    world.pass(Duration::from_secs(180)).await;
    let left: Vec<MessageId> = jobs(&world).await.iter().map(|it| it.id).collect();
    assert_eq!(left, [open], "one that is not over is never forgotten");
    strings.gate.add_permits(1);
    end_of(&world, open).await;
    world.pass(Duration::from_secs(120)).await;
    assert_eq!(jobs(&world).await, []);
}

#[tokio::test(start_paused = true)]
async fn so_many_jobs_and_bytes_are_kept() {
    let mut options = Options::default();
    (options.jobs.kept_max, options.jobs.kept_bytes_max) = (10, 1000);
    let (world, _) = world_with(options).await;
    for n in 0..30 {
        let id = submit(&world, "clerk", &n.to_string()).await.record.id;
        end_of(&world, id).await;
    }
    world.pass(Duration::from_secs(120)).await;
    let left = jobs(&world).await;
    assert_eq!(left.len(), 10);
    assert_eq!(
        show(&world, left[0].id).await.reply.unwrap().acl.text(),
        Some("29")
    );
    for _ in 0..3 {
        let id = submit(&world, "clerk", &"x".repeat(400)).await.record.id;
        end_of(&world, id).await;
    }
    world.pass(Duration::from_secs(120)).await;
    let left: Vec<u64> = jobs(&world).await.iter().map(|it| it.reply_bytes).collect();
    assert_eq!(left.iter().filter(|it| **it == 400).count(), 2);
    assert!(left.iter().sum::<u64>() <= 1000 && left.len() <= 10);
}

#[tokio::test(start_paused = true)]
async fn a_jobs_followers_hear_of_its_progress() {
    let (world, strings) = world().await;
    let mut asked = call("slow", "steps");
    asked.acl.protocol = Some("fipa-request".into());
    let id = world.app.job_submit(&ctx(), asked).await.unwrap().record.id;
    let following = world.app.job_follow(&ctx(), id, None).await.unwrap();
    let mut events = following.events.unwrap();
    strings.gate.add_permits(1);
    let mut heard = Vec::new();
    while let Some(event) = events.next().await {
        let event = event.unwrap();
        let said = event.said.map(|it| it.acl.text().unwrap().to_owned());
        heard.push((event.state.as_str(), said));
    }
    let expected = [
        ("submitted", None),
        ("running", None),
        ("running", Some(String::new())),
        ("running", Some("one".to_owned())),
        ("running", Some("two".to_owned())),
        ("complete", None),
    ];
    assert_eq!(heard, expected);
    let over = world.app.job_follow(&ctx(), id, None).await.unwrap();
    assert!(over.events.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_invocation_can_be_followed() {
    let (world, _) = world().await;
    let feed = Arc::new(Feed::default());
    let mut events = feed.read(None).unwrap();
    let done = world
        .app
        .agent_invoke(&ctx(), call("clerk", "steps"), Some(Arc::clone(&feed)))
        .await;
    assert_eq!(done.unwrap().reply.acl.text(), Some("steps"));
    let mut heard = Vec::new();
    while let Some(event) = events.next().await {
        let event = event.unwrap();
        heard.push((event.state.as_str(), event.said.is_some()));
    }
    let expected = [
        ("submitted", false),
        ("running", false),
        ("running", true),
        ("running", true),
        ("running", true),
        ("complete", false),
    ];
    assert_eq!(heard, expected);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_loses_no_end() {
    let (world, strings) = world().await;
    let id = submit(&world, "slow", "x").await.record.id;
    world.settle_busy().await;
    world.break_store(true);
    let refused = world
        .app
        .job_submit(&ctx(), call("slow", "y"))
        .await
        .unwrap_err();
    assert_eq!(refused.code, Code::StorageFailed);
    let cancelled = world.app.job_cancel(&ctx(), id).await;
    assert!(cancelled.is_err(), "what is not kept is not said");
    assert!(!show(&world, id).await.record.state.is_final());
    // Each further try of the handler takes one.
    strings.gate.add_permits(1000);
    world.settle_busy().await;
    world.break_store(false);
    let job = end_of(&world, id).await;
    assert_eq!(job.reply.unwrap().acl.text(), Some("x"));
    assert_eq!(jobs(&world).await.len(), 1);
}
