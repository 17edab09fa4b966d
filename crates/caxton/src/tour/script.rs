//! What happens in the tour, step by step, and what is known of it afterwards. How it looks is
//! `show.rs`'s.

use super::cast::{self, CAST, Member};
use super::embedded::Embedded;
use super::show::Show;
use crate::cli::output::Output;
use crate::cli::{parse_agent, put};
use crate::failure::{Failure, Outcome};
use caxton_api::client::Client;
use caxton_api::v1::{
    ChatRequest, GetMessageTraceRequest, ListAllToolCallsRequest, Message, MessageDraft,
    SendMessageRequest, SendMessageResponse, ToolCall, message, message_draft,
};
use caxton_engine::task::Tasks;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// No step of the tour takes this long; if one does, the tour says so instead of hanging.
const REPLY_WAIT: &str = "20s";

/// What the buyer is asked.
pub const ORDER: &str = "buy 10 widgets";

/// The tour and what it has seen so far.
#[derive(Debug)]
pub struct Tour {
    folder: PathBuf,
    tasks: Tasks,
    begun: Instant,
    pub url: String,
    pub deployed: Vec<Deployed>,
    pub echoed: String,
    pub talk: Talk,
    pub chat: Chat,
    pub work: Work,
    pub count: Count,
    pub messages_total: usize,
    pub elapsed: Duration,
}

/// An agent, and how long it took from its bytes to running.
#[derive(Debug, Clone, Copy)]
pub struct Deployed {
    pub member: Member,
    pub took: Duration,
}

/// The negotiation.
#[derive(Debug, Default)]
pub struct Talk {
    pub messages: Vec<Message>,
    pub outcome: String,
    pub took: Duration,
}

/// What was said with the assistant, before and after the server's end.
#[derive(Debug, Default)]
pub struct Chat {
    pub model: String,
    pub before: String,
    pub after: String,
}

/// What the assistant is told before the server ends, and asked after.
pub const TOLD: &str = "Hello! My name is Ada.";
pub const ASKED: &str = "What is my name?";
/// The session it is told and asked in.
const SESSION: &str = "tour";

/// What an assistant did with tools.
#[derive(Debug, Default)]
pub struct Work {
    pub calls: Vec<ToolCall>,
    /// What each of them answered, in the same order.
    pub results: Vec<String>,
    pub answer: String,
}

/// What the assistant with tools is asked.
pub const WORK: &str = "How many words has the sentence, and who works here?";
/// The session it is asked in.
const WORK_SESSION: &str = "tour-tools";

/// The count before and after the server's end.
#[derive(Debug, Default)]
pub struct Count {
    pub before: String,
    pub after: String,
    pub restart: Duration,
}

impl Tour {
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            tasks: Tasks::new(),
            begun: Instant::now(),
            url: String::new(),
            deployed: Vec::new(),
            echoed: String::new(),
            talk: Talk::default(),
            chat: Chat::default(),
            work: Work::default(),
            count: Count::default(),
            messages_total: 0,
            elapsed: Duration::ZERO,
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Plays the whole tour; the server that is left goes on.
    pub async fn play(&mut self, show: &Show) -> Outcome<Embedded> {
        let begun = Instant::now();
        let server = Embedded::start(&self.folder, &self.tasks).await?;
        self.url = server.url().to_owned();
        show.server(&self.url, begun.elapsed())?;
        show.agents_begin()?;
        for member in CAST {
            let begun = Instant::now();
            put(server.client(), member.package(), true).await?;
            let deployed = Deployed {
                member,
                took: begun.elapsed(),
            };
            show.agent(deployed)?;
            self.deployed.push(deployed);
        }
        self.echo(server.client()).await?;
        show.echo(&self.echoed)?;
        self.negotiate(server.client()).await?;
        show.talk(&self.talk)?;
        put(server.client(), cast::assistant(), true).await?;
        self.chat.before = self.say(server.client(), TOLD).await?;
        show.told(&self.chat)?;
        self.work(server.client()).await?;
        show.worked(&self.work)?;
        let server = self.survive(server, show).await?;
        self.elapsed = self.begun.elapsed();
        Ok(server)
    }

    async fn echo(&mut self, client: &Client) -> Outcome {
        let answer = ask(client, "echo", "request", "hello").await?;
        self.echoed = text(answer.reply.as_ref());
        expect("echo", &self.echoed, "hello")
    }

    async fn negotiate(&mut self, client: &Client) -> Outcome {
        let begun = Instant::now();
        let answer = ask(client, "buyer", "request", ORDER).await?;
        self.talk.took = begun.elapsed();
        self.talk.outcome = text(answer.reply.as_ref());
        let request = GetMessageTraceRequest { message: answer.id };
        let trace = client.get_message_trace(&request).await?;
        let mut said: Vec<Message> = trace
            .steps
            .into_iter()
            .filter_map(|step| step.message)
            .filter(|message| !is_reminder(message))
            .collect();
        // The trace comes as a tree; a sort that is stable keeps what left together in its order.
        said.sort_by_key(|message| message.create_time);
        self.talk.messages = said;
        Ok(())
    }

    /// One turn with the assistant.
    async fn say(&mut self, client: &Client, message: &str) -> Outcome<String> {
        let request = ChatRequest {
            agent: "assistant".to_owned(),
            session_id: SESSION.to_owned(),
            message: message.to_owned(),
            ..ChatRequest::default()
        };
        let answer = client.complete_chat(&request).await?;
        self.chat.model = answer.model;
        Ok(answer.message.unwrap_or_default().content)
    }

    /// A turn with tools: a component in the sandbox, and an MCP server that is this binary.
    async fn work(&mut self, client: &Client) -> Outcome {
        client.create_tool(&cast::wordcount()).await?;
        put(client, cast::clerk()?, true).await?;
        let request = ChatRequest {
            agent: "clerk".to_owned(),
            session_id: WORK_SESSION.to_owned(),
            message: WORK.to_owned(),
            ..ChatRequest::default()
        };
        let mut events = client.chat(&request).await?;
        while let Some(event) = events.next().await {
            let event = event?;
            match event.r#type.as_str() {
                "tool.result" => {
                    let result = event.tool.unwrap_or_default();
                    self.work.results.push(result.content.unwrap_or_default());
                }
                "turn.completed" => {
                    self.work.answer = event.message.unwrap_or_default().content;
                }
                "turn.failed" => {
                    let error = event.error.unwrap_or_default();
                    let what = format!("the clerk failed: {} {}", error.code, error.detail);
                    return Err(Failure::plain(what));
                }
                _ => {}
            }
        }
        let calls = ListAllToolCallsRequest {
            session: WORK_SESSION.to_owned(),
            ..ListAllToolCallsRequest::default()
        };
        self.work.calls = client.list_all_tool_calls(&calls).await?.tool_calls;
        // In the order they were made.
        self.work.calls.reverse();
        let traces = self.work.calls.iter().map(|call| &call.trace_id);
        let traces: std::collections::BTreeSet<&String> = traces.collect();
        let went_well = self.work.calls.iter().all(|call| call.outcome == "ok");
        if self.work.calls.len() == 2 && went_well && traces.len() == 1 {
            return Ok(());
        }
        Err(Failure::plain(format!(
            "two tools were to be called in one trace, and there is: {:?}",
            self.work.calls
        )))
    }

    /// Counts, ends the server, starts it again from its folder, and asks for the count.
    async fn survive(&mut self, server: Embedded, show: &Show) -> Outcome<Embedded> {
        for (add, sum) in [("add 20", "20"), ("add 22", "42")] {
            let answer = ask(server.client(), "counter", "request", add).await?;
            self.count.before = text(answer.reply.as_ref());
            expect("counter", &self.count.before, sum)?;
            show.counted(add, &self.count.before)?;
        }
        let begun = Instant::now();
        server.stop().await?;
        let server = Embedded::start(&self.folder, &self.tasks).await?;
        self.count.restart = begun.elapsed();
        self.url = server.url().to_owned();
        show.restarted(&self.url, self.count.restart)?;
        let answer = ask(server.client(), "counter", "query-ref", "get").await?;
        self.count.after = text(answer.reply.as_ref());
        expect("counter", &self.count.after, &self.count.before)?;
        show.remembered(&self.count.after)?;
        self.chat.after = self.say(server.client(), ASKED).await?;
        show.recalled(&self.chat)?;
        if !self.chat.after.contains("Ada") {
            let what = format!("the assistant answered `{}` to `{ASKED}`", self.chat.after);
            return Err(Failure::plain(what));
        }
        // Each question has its answer; the negotiation was counted as it was shown.
        let questions_alone = 7;
        self.messages_total = self.talk.messages.len() + 2 * questions_alone;
        Ok(server)
    }

    /// The end: what it was, and what to do next.
    pub fn report(&self, stay: bool, show: &Show, output: &Output) -> Outcome {
        if output.is_table() {
            return show.end(self, stay);
        }
        output.item(&self.document(), &self.url, String::new)
    }

    /// The tour as one document.
    fn document(&self) -> Value {
        let agents = self.deployed.iter().map(|deployed| {
            json!({
                "name": deployed.member.name,
                "componentBytes": deployed.member.component.len(),
                "deployMs": ms(deployed.took),
            })
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "server": { "url": self.url, "data": self.folder },
            "agents": agents.collect::<Vec<_>>(),
            "echo": self.echoed,
            "negotiation": {
                "request": ORDER,
                "outcome": self.talk.outcome,
                "tookMs": ms(self.talk.took),
                "messages": self.talk.messages,
            },
            "assistant": {
                "model": self.chat.model,
                "beforeRestart": self.chat.before,
                "afterRestart": self.chat.after,
            },
            "tools": {
                "request": WORK,
                "calls": self.work.calls,
                "results": self.work.results,
                "answer": self.work.answer,
            },
            "counter": {
                "beforeRestart": self.count.before,
                "afterRestart": self.count.after,
                "restartMs": ms(self.count.restart),
            },
            "messagesTotal": self.messages_total,
            "elapsedMs": ms(self.elapsed),
        })
    }
}

fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e5).round() / 100.0
}

/// Sends and waits for the reply.
async fn ask(
    client: &Client,
    to: &str,
    performative: &str,
    content: &str,
) -> Outcome<SendMessageResponse> {
    let draft = MessageDraft {
        performative: performative.to_owned(),
        receiver: vec![parse_agent(to)],
        body: Some(message_draft::Body::Content(content.to_owned())),
        ..MessageDraft::default()
    };
    let request = SendMessageRequest {
        message: Some(draft),
        wait: REPLY_WAIT.to_owned(),
    };
    let answer = client.send_message(&request).await?;
    if answer.reply.is_none() {
        return Err(Failure::plain(format!(
            "{to} did not answer within {REPLY_WAIT}"
        )));
    }
    Ok(answer)
}

fn text(reply: Option<&Message>) -> String {
    match reply.and_then(|reply| reply.body.as_ref()) {
        Some(message::Body::Content(text)) => text.clone(),
        _ => String::new(),
    }
}

/// The tour shows what happens; where that is not what should, it fails.
fn expect(agent: &str, got: &str, wanted: &str) -> Outcome {
    if got == wanted {
        return Ok(());
    }
    Err(Failure::plain(format!(
        "{agent} answered `{got}` where `{wanted}` was due"
    )))
}

/// What an agent has the server remind it of comes as a message from itself to itself.
fn is_reminder(message: &Message) -> bool {
    message.ontology.as_deref() == Some("caxton.timer")
}
