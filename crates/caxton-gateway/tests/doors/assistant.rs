//! An assistant that does what it is told, one word after the other, and a model that repeats.

use std::sync::Arc;

use caxton_core::error::{Code, Error};
use caxton_core::model::{
    ChatMessage, ChatRole, ModelEvent, ModelFault, ModelFaultKind, ModelName, Part, StopReason,
    Tokens,
};
use caxton_core::session::{
    Ask, Entry, Say, Session, SessionId, TurnEvent, TurnFailure, TurnOutcome,
};
use caxton_core::{Message, Timestamp};
use caxton_engine::host::{Host, Opening};
use caxton_engine::port::Answer;
use caxton_engine::port::behavior::{Artifact, Program, Runtime};
use caxton_engine::port::model::{Model, ModelCall, ModelFacts, ModelStream, ProviderKind};
use caxton_engine::port::native::{NativeProgram, failed};
use caxton_engine::turn::Turn;
use futures::{StreamExt, stream};
use serde_json::json;
use tokio::sync::Semaphore;

/// Makes the assistant, whatever the manifest says. The semaphore is what `wait` waits for.
#[derive(Debug)]
pub struct Assistants(pub Arc<Semaphore>);

impl Runtime for Assistants {
    fn prepare(&self, _: Artifact) -> Answer<'_, Result<Arc<dyn Program>, Error>> {
        let gate = Arc::clone(&self.0);
        let program = NativeProgram::new(move |mut host, message| {
            let gate = Arc::clone(&gate);
            async move {
                let done = handle(&mut host, &message, &gate).await;
                (host, done.map_err(|error| failed(error.to_string())))
            }
        });
        let program: Arc<dyn Program> = Arc::new(program);
        Box::pin(std::future::ready(Ok(program)))
    }
}

async fn handle(host: &mut Host, message: &Message, gate: &Semaphore) -> Result<(), Error> {
    let id = message.acl.conversation_id.as_ref().unwrap();
    let id = SessionId::parse(id.as_str())?;
    let ask = Ask::of(message.acl.language.as_deref(), &message.acl.content)?;
    let passing = !matches!(&ask, Ask::Say(say) if !say.passing);
    let opening = Opening {
        session: id.clone(),
        handed: false,
        passing,
        sender: message.sender().map(|it| it.name.clone()),
        parent: message.parent,
    };
    let Some(turn) = host.turn_begin(opening).await? else {
        return Ok(());
    };
    let session = host.session_load(&id).await?;
    let (last, entries) = match (ask, session) {
        (Ask::Say(say), session) => return speak(host, &turn, *say, session, gate).await,
        (Ask::Reset { summarize }, Some(mut session)) => {
            session.seen_from = session.entries;
            session.summary = summarize.then(|| "what was said".to_owned());
            host.session_put(&session, &[])?;
            (ended(String::new()), session.entries)
        }
        (Ask::Configure { thinking, .. }, Some(mut session)) => {
            session.thinking = thinking;
            host.session_put(&session, &[])?;
            (ended(String::new()), session.entries)
        }
        (Ask::Remove, Some(session)) => {
            host.session_remove(&session).await?;
            (ended(String::new()), 0)
        }
        (_, None) => panic!("no session"),
    };
    host.turn_end(&turn, last, entries).await
}

fn ended(text: String) -> TurnEvent {
    outcome(vec![Part::text(text)], StopReason::End)
}

fn outcome(parts: Vec<Part>, stop: StopReason) -> TurnEvent {
    TurnEvent::Completed(Box::new(TurnOutcome {
        parts,
        agent: "helper".to_owned(),
        model: ModelName::demo(),
        stop,
        usage: Tokens {
            input: 12,
            output: 5,
            cache_read: 2,
            thinking: 1,
            ..Tokens::default()
        },
        cost_micros: 7,
        calls: 1,
    }))
}

/// Does what the message says, and keeps it where it is to be kept.
async fn speak(
    host: &mut Host,
    turn: &Arc<Turn>,
    say: Say,
    session: Option<Session>,
    gate: &Semaphore,
) -> Result<(), Error> {
    let said = ChatMessage {
        role: ChatRole::User,
        parts: say.parts.clone(),
    };
    let last = tokio::select! {
        last = perform(turn, &say, gate) => last?,
        () = turn.cancelled() => failure(Code::TurnCancelled, "the turn was cancelled"),
    };
    let mut entries = 0;
    if let Some(mut session) = session.filter(|_| !say.passing) {
        let now = host.now();
        let mut added = vec![entry(turn, now, said)];
        if let TurnEvent::Completed(outcome) = &last {
            let parts = outcome.parts.clone();
            let role = ChatRole::Assistant;
            added.push(entry(turn, now, ChatMessage { role, parts }));
        }
        session.entries += added.len() as u64;
        session.turns += 1;
        entries = session.entries;
        host.session_put(&session, &added)?;
    }
    host.turn_end(turn, last, entries).await
}

fn entry(turn: &Turn, at: Timestamp, message: ChatMessage) -> Entry {
    Entry {
        turn: turn.id(),
        at,
        message,
        agent: None,
        broken: false,
    }
}

fn failure(code: Code, detail: &str) -> TurnEvent {
    TurnEvent::Failed(TurnFailure {
        code: code.to_string(),
        detail: detail.to_owned(),
        retry_after_ms: None,
        usage: Tokens::default(),
        cost_micros: 0,
        calls: 0,
    })
}

async fn perform(turn: &Turn, say: &Say, gate: &Semaphore) -> Result<TurnEvent, Error> {
    let text: String = say.parts.iter().map(words).collect();
    let mut answer = String::new();
    let say_on = |answer: &mut String, text: &str| {
        answer.push_str(text);
        let text = text.to_owned();
        turn.emit(TurnEvent::Text { text })
    };
    let (command, rest) = text.split_once(' ').unwrap_or((&text, ""));
    match command {
        "count" => {
            for n in 1..=rest.parse().unwrap() {
                say_on(&mut answer, &format!("{n} "))?;
            }
        }
        // A word, and the rest when it is let.
        "wait" => {
            say_on(&mut answer, "first ")?;
            gate.acquire().await.unwrap().forget();
            say_on(&mut answer, "second")?;
        }
        "silent" => gate.acquire().await.unwrap().forget(),
        "think" => {
            for text in ["let me ", "see"] {
                let text = text.to_owned();
                turn.emit(TurnEvent::Thinking { text })?;
            }
            say_on(&mut answer, "done")?;
        }
        "fail" => return Ok(failure(Code::parse(rest).unwrap(), "as it was told")),
        "break" => {
            say_on(&mut answer, "half ")?;
            return Ok(failure(Code::parse(rest).unwrap(), "as it was told"));
        }
        "length" => {
            say_on(&mut answer, "cut")?;
            return Ok(outcome(vec![Part::text(answer)], StopReason::MaxTokens));
        }
        // The client's own first tool.
        "tool" => {
            say_on(&mut answer, "looking ")?;
            let client = say.client.as_ref().unwrap();
            let call = Part::ToolCall {
                id: "call_1".to_owned(),
                name: client.tools[0].name.clone(),
                arguments: json!({"city": rest}),
            };
            return Ok(outcome(
                vec![Part::text(answer), call],
                StopReason::ToolCalls,
            ));
        }
        // A tool of the server's.
        "server-tool" => {
            let (id, name) = ("t1".to_owned(), "clock".to_owned());
            turn.emit(TurnEvent::ToolCall {
                id: id.clone(),
                name: name.clone(),
                arguments: json!({"zone": "UTC"}),
            })?;
            turn.emit(TurnEvent::ToolResult {
                id,
                name,
                parts: vec![Part::text("noon")],
                is_error: false,
            })?;
            say_on(&mut answer, "it is noon")?;
        }
        // What the client brought along.
        "recall" => {
            let client = say.client.clone().unwrap_or_default();
            let said: Vec<String> = client.history.iter().map(ChatMessage::text).collect();
            let told = format!("system={} history={}", client.system, said.join("|"));
            say_on(&mut answer, &told)?;
        }
        _ => {
            for word in text.split_inclusive(' ') {
                say_on(&mut answer, word)?;
            }
        }
    }
    Ok(ended(answer))
}

fn words(part: &Part) -> String {
    match part {
        Part::Text { text } => text.clone(),
        Part::ToolResult { parts, .. } => {
            format!("answered {}", parts.iter().map(words).collect::<String>())
        }
        Part::Image { .. } => "(a picture)".to_owned(),
        _ => String::new(),
    }
}

/// A model that says what was last said to it.
#[derive(Debug)]
pub struct Parrot;

impl Model for Parrot {
    fn stream(&self, call: ModelCall) -> Answer<'_, Result<ModelStream, ModelFault>> {
        let said = call.request.messages.last().map(ChatMessage::text);
        let said = said.unwrap_or_default();
        if said == "refuse" {
            let fault = ModelFault::new(ModelFaultKind::Invalid, "no such thing");
            return Box::pin(std::future::ready(Err(fault)));
        }
        let mut events: Vec<Result<ModelEvent, ModelFault>> = said
            .split_inclusive(' ')
            .map(|word| Ok(ModelEvent::Text(word.to_owned())))
            .collect();
        events.push(Ok(ModelEvent::Usage(Tokens {
            input: 3,
            output: 2,
            ..Tokens::default()
        })));
        events.push(Ok(ModelEvent::Finished(StopReason::End)));
        let events = stream::iter(events).boxed();
        Box::pin(std::future::ready(Ok(events)))
    }

    fn facts(&self, _: ProviderKind, _: &str) -> ModelFacts {
        ModelFacts::default()
    }
}
