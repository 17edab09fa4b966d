//! Carries a turn out: reads the message, does what the machine says over the world, keeps what was
//! said and answers whoever asked. An error of these functions is the world's own (its store, a server
//! that stops): nothing was decided, and the message is handled again.

use crate::reading::{Reading, read};
use crate::world::{Begun, World};
use caxton_core::error::{Code, Error};
use caxton_core::model::{Part, StopReason};
use caxton_core::session::{
    ASK_LANGUAGE, Ask, HANDS_MAX, Handed, Session, SessionId, Spent, TurnEvent, TurnFailure,
    TurnOutcome,
};
use caxton_core::{AgentId, AgentName, Message, Performative};
use caxton_engine::host::Opening;
use std::sync::Arc;

/// Handles one message.
pub(crate) async fn handle<W: World>(world: &mut W, message: &Message) -> Result<(), Error> {
    let ask = match read(message) {
        Reading::Ask(ask) => ask,
        Reading::Silence => {
            let act = message.acl.performative;
            tracing::debug!(agent = %world.agent(), message = %message.id, %act, "no question: not answered");
            return Ok(());
        }
        Reading::NotUnderstood(reason) => {
            return reply(world, message, Performative::NotUnderstood, reason);
        }
    };
    let opening = match opening(world.agent(), message, &ask) {
        Ok(opening) => opening,
        Err(error) => {
            let reason = format!("{} {}", error.code, error.detail);
            return reply(world, message, Performative::NotUnderstood, reason);
        }
    };
    let Some(begun) = world.begin(opening).await? else {
        return Ok(());
    };
    let mut lane = Lane::new(world, message, begun);
    // Of a passing message the client has the history; what else is asked is asked of a session.
    let session = match &ask {
        Ask::Say(_) if lane.begun.passing => None,
        _ => lane.world.session(&lane.begun.session.clone()).await?,
    };
    let me = lane.world.agent().name.clone();
    if let Some(session) = &session
        && session.answers != me
    {
        return lane.pass_on(session, ask).await;
    }
    let started = TurnEvent::Started {
        session: lane.begun.session.clone(),
        agent: me.to_string(),
    };
    if lane.begun.told.is_empty() {
        lane.world.tell(started)?;
    }
    match ask {
        Ask::Say(mut say) => {
            // Only another assistant says what it has done already.
            say.handed = say.handed.filter(|_| lane.begun.handed);
            lane.say(*say, session).await
        }
        Ask::Reset { summarize } => lane.reset(session, summarize).await,
        Ask::Remove => lane.remove(session).await,
        Ask::Configure { thinking, tools } => lane.configure(session, thinking, tools).await,
    }
}

/// The session that a message is of: its conversation, or one of its own.
fn opening(me: &AgentId, message: &Message, ask: &Ask) -> Result<Opening, Error> {
    let acl = &message.acl;
    let session = match &acl.conversation_id {
        Some(conversation) => SessionId::parse(conversation.as_str())?,
        None => SessionId::of(message.delivery_to(me)),
    };
    let from_agent = message.sender().is_some_and(|it| !it.name.is_outside());
    Ok(Opening {
        session,
        handed: from_agent && acl.language.as_deref() == Some(ASK_LANGUAGE),
        sender: message.sender().map(|it| it.name.clone()),
        parent: message.parent,
        passing: match ask {
            Ask::Say(say) => say.passing,
            // Nothing is said in it that was to be kept.
            _ => true,
        },
    })
}

/// One message of a session, being handled.
pub(crate) struct Lane<'a, W> {
    pub(crate) world: &'a mut W,
    pub(crate) message: &'a Message,
    pub(crate) begun: Begun,
    /// What this assistant told before the server last stopped, and is not told again.
    told: Vec<Arc<TurnEvent>>,
    /// What others said who handed the turn over.
    pub(crate) said_before: String,
    /// The text in it, and how much of that this run has come past.
    pub(crate) heard: Heard,
}

/// Text that was told before the server last stopped.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    text: String,
    passed: usize,
}

impl Heard {
    /// This run comes past a text that may have been told; gives what of it was not.
    pub(crate) fn pass<'t>(&mut self, text: &'t str) -> &'t str {
        let ahead = self.text.get(self.passed..).unwrap_or_default();
        let both = ahead.bytes().zip(text.bytes()).take_while(|(a, b)| a == b);
        let same = text.floor_char_boundary(both.count());
        self.passed += same;
        text.get(same..).unwrap_or_default()
    }

    /// What was told beyond where this run is.
    pub(crate) fn rest(&self) -> &str {
        self.text.get(self.passed..).unwrap_or_default()
    }
}

impl<'a, W: World> Lane<'a, W> {
    fn new(world: &'a mut W, message: &'a Message, begun: Begun) -> Self {
        let me = world.agent().name.as_str();
        let mine = |event: &Arc<TurnEvent>| matches!(&**event, TurnEvent::HandedOver { to, .. } if to == me);
        let from = begun.told.iter().rposition(mine).map_or(0, |at| at + 1);
        let (before, told) = begun.told.split_at(from);
        let heard = Heard {
            text: texts(told),
            passed: 0,
        };
        Self {
            said_before: texts(before),
            told: told.to_vec(),
            world,
            message,
            begun,
            heard,
        }
    }

    /// Tells whoever follows, unless it was told before the server last stopped.
    pub(crate) fn tell(&mut self, event: TurnEvent) -> Result<(), Error> {
        if let Some(at) = self.told.iter().position(|told| is_same(told, &event)) {
            self.told.remove(at);
            return Ok(());
        }
        self.world.tell(event)
    }

    /// Gives a message to whoever answers the session now.
    async fn pass_on(&mut self, session: &Session, ask: Ask) -> Result<(), Error> {
        let me = self.world.agent().name.clone();
        let from_door = self.message.acl.language.as_deref() == Some(ASK_LANGUAGE);
        if session.agent != me && !from_door {
            // Somebody who asks several assistants in one conversation.
            let detail = format!("the conversation is a session of {}", session.agent);
            let error = Error::new(Code::SessionExists, detail);
            return self.fail(&error, Spent::default(), 0).await;
        }
        let ask = match ask {
            Ask::Say(mut say) => {
                let (hands, spent) = say
                    .handed
                    .map_or((0, Spent::default()), |it| (it.hands, it.spent));
                if hands >= HANDS_MAX {
                    let detail = format!("the message went through {HANDS_MAX} hands");
                    let error = Error::new(Code::HandoverRefused, detail);
                    return self.fail(&error, spent, session.entries).await;
                }
                say.handed = Some(Handed {
                    from: me.to_string(),
                    note: String::new(),
                    hands: hands + 1,
                    spent,
                });
                Ask::Say(say)
            }
            ask => ask,
        };
        let to = session.answers.clone();
        self.world.hand_over(to, &self.message.acl, &ask)
    }

    /// Ends a turn that changed something, and said nothing.
    pub(crate) async fn done(&mut self, spent: Spent, entries: u64) -> Result<(), Error> {
        let manifest = self.world.manifest();
        let model = manifest.assistant.clone().unwrap_or_default().model;
        let outcome = TurnOutcome {
            parts: Vec::new(),
            agent: manifest.name.to_string(),
            model,
            stop: StopReason::End,
            usage: spent.tokens,
            cost_micros: spent.cost_micros,
            calls: spent.calls,
        };
        self.complete(outcome, entries).await
    }

    pub(crate) async fn complete(
        &mut self,
        outcome: TurnOutcome,
        entries: u64,
    ) -> Result<(), Error> {
        let texts = outcome.parts.iter().filter_map(|part| match part {
            Part::Text { text } => Some(text.as_str()),
            _ => None,
        });
        let text: String = texts.collect();
        self.world
            .end(TurnEvent::Completed(Box::new(outcome)), entries)
            .await?;
        self.answer(Performative::Inform, text)
    }

    /// Ends the turn with an error.
    pub(crate) async fn fail(
        &mut self,
        error: &Error,
        spent: Spent,
        entries: u64,
    ) -> Result<(), Error> {
        self.failed(failure(error, spent), entries).await
    }

    pub(crate) async fn failed(&mut self, failure: TurnFailure, entries: u64) -> Result<(), Error> {
        let text = format!("{} {}", failure.code, failure.detail);
        self.world.end(TurnEvent::Failed(failure), entries).await?;
        self.answer(Performative::Failure, text)
    }

    fn answer(&mut self, act: Performative, text: String) -> Result<(), Error> {
        if self.begun.passing {
            return Ok(());
        }
        reply(self.world, self.message, act, text)
    }

    pub(crate) async fn no_session(&mut self) -> Result<(), Error> {
        let detail = format!("there is no session {}", self.begun.session);
        let error = Error::new(Code::SessionNotFound, detail);
        self.fail(&error, Spent::default(), 0).await
    }

    pub(crate) fn me(&self) -> AgentName {
        self.world.agent().name.clone()
    }
}

fn texts(events: &[Arc<TurnEvent>]) -> String {
    let texts = events.iter().filter_map(|event| match &**event {
        TurnEvent::Text { text } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// An error as the end of a turn.
pub(crate) fn failure(error: &Error, spent: Spent) -> TurnFailure {
    let after = error.retry_after.map(|after| after.as_millis());
    TurnFailure {
        code: error.code.to_string(),
        detail: error.detail.clone(),
        retry_after_ms: after.map(|ms| u64::try_from(ms).unwrap_or(u64::MAX)),
        usage: spent.tokens,
        cost_micros: spent.cost_micros,
        calls: spent.calls,
    }
}

/// Whether two events tell the same: of a tool's call, its id decides.
fn is_same(told: &TurnEvent, event: &TurnEvent) -> bool {
    match (told, event) {
        (TurnEvent::ToolCall { id: a, .. }, TurnEvent::ToolCall { id: b, .. })
        | (TurnEvent::ToolResult { id: a, .. }, TurnEvent::ToolResult { id: b, .. }) => a == b,
        (told, event) => told == event,
    }
}

/// Answers the sender of a message. An answer larger than the agent's messages may be is a failure.
fn reply<W: World>(
    world: &mut W,
    message: &Message,
    act: Performative,
    text: String,
) -> Result<(), Error> {
    if message.sender().is_none() {
        return Ok(());
    }
    let max = world.manifest().limits.message_bytes_max;
    let answer = message.acl.reply(act).content(text);
    let answer = match answer.bytes() as u64 {
        bytes if bytes > max => {
            let code = Code::MessageTooLarge;
            let text = format!("{code} the answer has {bytes} bytes, message_bytes_max is {max}");
            message.acl.reply(Performative::Failure).content(text)
        }
        _ => answer,
    };
    if let Err(error) = world.send(answer) {
        // The turn is over, and what was said is kept: its follower has it.
        tracing::warn!(agent = %world.agent(), message = %message.id, %error, "an answer was not sent");
    }
    Ok(())
}
