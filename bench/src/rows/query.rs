//! Asking the server what there is: the registry, and conversations with their messages.

use crate::Run;
use crate::measure::{Contestant, P50_US, P99_US, Scores, percentiles, race};
use crate::report::{Goal, Report, Row, Side};
use crate::world::{add_native, agent, app_on, content, ctx, request, until};
use caxton_core::manifest::Durability;
use caxton_core::{AgentName, ConversationId, TenantId};
use caxton_engine::port::store::{MessageFilter, PageRequest};
use caxton_engine::port::{Clock, NativeProgram, NativeRuntime, SystemClock};
use caxton_engine::{App, OpCtx, Options};
use caxton_store::SqliteStore;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::{Duration, Instant};

const AGENTS: usize = 1000;
const CONVERSATIONS: usize = 2000;
const MESSAGES_EACH: usize = 20;
const QUERIES: usize = 5000;
/// Rows of a page.
const PAGE: u32 = 20;

pub async fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let agents = run.scaled(AGENTS);
    let conversations = run.scaled(CONVERSATIONS);
    let (app, ctx) = filled(run, agents, conversations).await?;
    for kind in [
        Kind::Agent,
        Kind::Agents,
        Kind::Conversation,
        Kind::Messages,
    ] {
        let mut asking = Asking {
            app: app.clone(),
            ctx: ctx.clone(),
            kind,
            agents,
            conversations,
            queries: run.scaled(QUERIES),
        };
        let all = race(run, &mut [&mut asking]).await?;
        if let [ours] = all.as_slice() {
            report.add(
                Row::new("query", format!("query: {}", kind.what()), P99_US)
                    .work(format!(
                        "{}, one after the other through App (no door), {agents} agents, {conversations} \
                         conversations of {MESSAGES_EACH} durable messages each on SQLite.",
                        kind.what()
                    ))
                    .ours(Side::of("caxton", ours, P99_US))
                    .goal(Goal::AtMost(1000.0))
                    .beside(Side::of("caxton", ours, P50_US)),
            );
        }
    }
    app.stop(Duration::ZERO).await;
    Ok(())
}

/// A server with agents and conversations.
async fn filled(run: &Run, agents: usize, conversations: usize) -> anyhow::Result<(App, OpCtx)> {
    let folder = run.scratch.join("query");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = SqliteStore::open(caxton_store::Options::new(&folder, clock))?;
    let runtime = Arc::new(NativeRuntime::default());
    let app = app_on(Arc::new(store), runtime, Options::default()).await?;
    let ctx = ctx(&TenantId::default_tenant());
    for index in 0..agents {
        let silent = NativeProgram::new(|host, _| std::future::ready((host, Ok(()))));
        let id = agent(&ctx.tenant, &name_of(index))?;
        add_native(&app, &id, Durability::Durable, silent)?;
    }
    let mut tasks = Vec::with_capacity(conversations);
    for conversation in 0..conversations {
        let (app, ctx) = (app.clone(), ctx.clone());
        let to = agent(&ctx.tenant, &name_of(conversation % agents))?;
        tasks.push(tokio::spawn(async move {
            for _ in 0..MESSAGES_EACH {
                let acl = request(to.clone(), &conversation_of(conversation), content())?;
                app.message_send(&ctx, acl, None).await?;
            }
            anyhow::Ok(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    let messages = (conversations * MESSAGES_EACH) as u64;
    until(|| app.message_totals().1 >= messages).await;
    Ok((app, ctx))
}

fn name_of(agent: usize) -> String {
    format!("agent-{agent}")
}

fn conversation_of(index: usize) -> String {
    format!("conversation-{index}")
}

#[derive(Clone, Copy)]
enum Kind {
    Agent,
    Agents,
    Conversation,
    Messages,
}

impl Kind {
    fn what(self) -> &'static str {
        match self {
            Self::Agent => "one agent of the registry",
            Self::Agents => "20 agents of the registry",
            Self::Conversation => "a conversation and its 20 messages",
            Self::Messages => "a conversation's messages",
        }
    }
}

struct Asking {
    app: App,
    ctx: OpCtx,
    kind: Kind,
    agents: usize,
    conversations: usize,
    queries: usize,
}

impl Asking {
    async fn ask(&self, number: usize) -> anyhow::Result<()> {
        // Neighbours in time are strangers in the store.
        let number = number.wrapping_mul(7919);
        match self.kind {
            Kind::Agent => {
                let name = AgentName::parse(&name_of(number % self.agents))?;
                self.app.agent_show(&self.ctx, &name)?;
            }
            Kind::Agents => {
                let after = AgentName::parse(&name_of(number % self.agents))?;
                self.app
                    .agent_list(&self.ctx, Some(&after), PAGE as usize)?;
            }
            Kind::Conversation => {
                let id = ConversationId::parse(&conversation_of(number % self.conversations))?;
                let page = PageRequest::first(PAGE);
                self.app.conversation_show(&self.ctx, &id, &page).await?;
            }
            Kind::Messages => {
                let id = conversation_of(number % self.conversations);
                let filter = MessageFilter {
                    conversation: Some(ConversationId::parse(&id)?),
                    ..MessageFilter::default()
                };
                let page = PageRequest::first(PAGE);
                self.app.message_list(&self.ctx, &filter, &page).await?;
            }
        }
        Ok(())
    }
}

impl Contestant for Asking {
    fn name(&self) -> String {
        "caxton".to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(async {
            let mut times = Vec::with_capacity(self.queries);
            for number in 0..self.queries {
                let begun = Instant::now();
                self.ask(number).await?;
                times.push(begun.elapsed());
            }
            percentiles(times)
        })
    }
}
