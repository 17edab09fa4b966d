//! One message of a user's, from what is read of the session to what is kept of the turn.

use crate::bounds::TITLE_CHARS_MAX;
use crate::context::{Context, Window};
use crate::drive::{Lane, failure};
use crate::toolbox::Toolbox;
use crate::turn::{BETWEEN, Effect, End, Event, How, Settings, Spent, Turn};
use crate::voice::Voice;
use crate::world::{Question, World};
use caxton_core::AgentName;
use caxton_core::assistant::Assistant;
use caxton_core::error::{Code, Error};
use caxton_core::model::{ChatMessage, ChatRole, ModelReply, Part};
use caxton_core::session::{Ask, Entry, Handed, Say, Session, TurnEvent};
use caxton_engine::port::model::ModelFacts;
use caxton_engine::tools::ToolSide;
use std::time::Duration;

/// What a turn begins with.
struct Beginning {
    context: Context,
    /// Messages of the turn that are in the history already: whoever handed it over left them there.
    kept: usize,
}

impl<W: World> Lane<'_, W> {
    /// Answers.
    pub(crate) async fn say(&mut self, say: Say, session: Option<Session>) -> Result<(), Error> {
        let me = self.me();
        let now = self.world.now();
        let session = session.unwrap_or_else(|| {
            let user = self.message.sender().map(|it| it.name.to_string());
            Session::begin(
                self.begun.session.clone(),
                me,
                user.unwrap_or_default(),
                now,
            )
        });
        let beginning = self.beginning(&say, &session).await?;
        let Some(newest) = beginning.context.turn.last() else {
            let error = Error::new(Code::MessageMalformed, "the message says nothing");
            return self.fail(&error, Spent::default(), session.entries).await;
        };
        let title = title(newest);
        let assistant = self.world.manifest().assistant.clone().unwrap_or_default();
        let spent = say.handed.as_ref().map(|it| it.spent).unwrap_or_default();
        let settings = match self.settings(&say, &session, &assistant).await {
            Ok(settings) => settings,
            Err(error) => {
                let mut context = beginning.context;
                let end = End {
                    said: context.turn.split_off(beginning.kept),
                    broken: true,
                    spent: Spent::default(),
                    how: How::Failed(failure(&error, spent)),
                };
                let ended = Ended {
                    context,
                    counts: beginning.kept == 0,
                    title,
                };
                return self.keep(say, session, ended, end).await;
            }
        };
        let side = ToolSide {
            workspace: match self.begun.passing {
                true => self.passing_workspace(),
                false => format!("s/{}", session.id),
            },
            session: Some(session.id.to_string()),
            turn: Some(self.begun.id),
            rules: Some(session.tools.clone()),
        };
        let offered = self.world.tools(side).await?;
        // Nobody is offered who would not take it.
        let mut handover = assistant.handover.clone();
        handover.retain(|name| self.world.stands(name));
        let toolbox = Toolbox::new(&offered, handover, say.client.as_ref());
        let before = std::mem::take(&mut self.said_before);
        let turn = Turn::new(settings, toolbox, beginning.context);
        let mut turn = turn.going_on(beginning.kept, before, spent);
        let end = self.run(&mut turn, &assistant).await?;
        let ended = Ended {
            context: turn.into_context(),
            counts: beginning.kept == 0,
            title,
        };
        self.keep(say, session, ended, end).await
    }

    /// What the model is to see: the prompt, what is seen of the history, and what is new.
    async fn beginning(&mut self, say: &Say, session: &Session) -> Result<Beginning, Error> {
        let manifest = self.world.manifest();
        let mut system = manifest.assistant.clone().unwrap_or_default().prompt;
        let client = say.client.as_ref();
        let more = client.is_some_and(|it| !it.system.is_empty());
        if more && !system.is_empty() {
            system.push_str("\n\n");
        }
        let before = system.len();
        let summary = session.summary.clone();
        let mut context = Context::new(system, summary, session.seen_from);
        if let Some(client) = client {
            context.system.push_str(&client.system);
            context.system_marks.clone_from(&client.system_marks);
            for mark in &mut context.system_marks {
                mark.end += before;
            }
            context.seen.clone_from(&client.history);
        }
        if !self.begun.passing {
            let (from, before) = (session.seen_from, session.entries);
            let entries = self.world.history(&session.id, from, before).await?;
            // An entry's place is what `seen_from` counts, so that none may be left out here.
            for Entry { turn, message, .. } in entries {
                match turn == self.begun.id {
                    true => context.turn.push(message),
                    false => context.seen.push(message),
                }
            }
        }
        let kept = context.turn.len();
        let mut parts = match kept {
            0 => say.parts.clone(),
            _ => Vec::new(),
        };
        if let Some(handed) = &say.handed
            && (kept > 0 || self.begun.passing)
        {
            parts.push(Part::text(handed_text(handed)));
        }
        let blank = |part: &Part| matches!(part, Part::Text { text } if text.trim().is_empty());
        if !parts.iter().all(blank) {
            let role = ChatRole::User;
            context.turn.push(ChatMessage { role, parts });
        }
        Ok(Beginning { context, kept })
    }

    async fn settings(
        &mut self,
        say: &Say,
        session: &Session,
        assistant: &Assistant,
    ) -> Result<Settings, Error> {
        let facts = self.facts(assistant).await?;
        let client = say.client.clone().unwrap_or_default();
        let thinking = say.thinking.or(session.thinking);
        let thinking = thinking.unwrap_or(assistant.thinking);
        // What the model thinks comes beside what the answer may have, where the model can do both.
        let output = assistant
            .output_tokens_max
            .saturating_add(thinking.budget_tokens())
            .min(facts.output_tokens_max);
        let output = client
            .output_tokens_max
            .map_or(output, |max| output.min(max));
        let tokens = match assistant.context_tokens_max {
            0 => facts.context_tokens_max,
            max => max.min(facts.context_tokens_max),
        };
        let permille = assistant.temperature_permille.map(f64::from);
        let timeout = Duration::from_millis(assistant.turn_timeout_ms_max);
        Ok(Settings {
            agent: self.me(),
            model: assistant.model.clone(),
            window: Window::new(u64::from(tokens), output),
            thinking,
            temperature: client.temperature.or(permille.map(|it| it / 1_000.0)),
            top_p: client.top_p,
            stop: client.stop,
            tool_choice: client.tool_choice,
            parallel_calls: client.parallel_calls,
            extra: client.extra,
            form: client.form,
            passing: self.begun.passing,
            hands: say.handed.as_ref().map_or(0, |handed| handed.hands),
            steps_max: assistant.steps_max,
            tokens_max: assistant.turn_tokens_max,
            cost_micros_max: assistant.turn_cost_micros_max,
            timeout_ms_max: assistant.turn_timeout_ms_max,
            deadline: self.message.created.plus(timeout),
        })
    }

    /// What is known of the model that is asked first: the first one whose provider is there.
    pub(crate) async fn facts(&mut self, assistant: &Assistant) -> Result<ModelFacts, Error> {
        let mut missing = None;
        for model in assistant.models() {
            match self.world.facts(model).await {
                Err(error) if error.code == Code::ProviderNotFound => {
                    missing.get_or_insert(error);
                }
                known => return known,
            }
        }
        let none = || Error::new(Code::Internal, "the assistant has no model");
        Err(missing.unwrap_or_else(none))
    }

    /// Does what the machine says until it says that the turn is over.
    async fn run(&mut self, turn: &mut Turn, assistant: &Assistant) -> Result<End, Error> {
        let mut event = self.unless_cancelled(Event::Begin);
        loop {
            let now = self.world.now();
            let (mut next, mut untold) = (None, None);
            for effect in turn.on(event, now) {
                match effect {
                    Effect::Tell(event) => {
                        if let Err(error) = self.tell(event) {
                            untold.get_or_insert(error);
                        }
                    }
                    Effect::End(end) => return Ok(*end),
                    _ if untold.is_some() => next = untold.take().map(Event::Stop),
                    Effect::Ask {
                        request,
                        aloud,
                        tokens,
                        cost_micros,
                    } => {
                        let question = Question {
                            models: assistant.models().cloned().collect(),
                            request: *request,
                            tokens,
                            cost_micros,
                            deadline: turn.settings().deadline,
                        };
                        let voice = aloud.then(|| Voice::new(turn.has_spoken()));
                        next = Some(self.ask(question, voice).await?);
                    }
                    Effect::Unknown(name) => {
                        if let Err(error) = self.world.unknown(&name).await {
                            tracing::debug!(%error, tool = %name, "not written down");
                        }
                    }
                    Effect::Call { calls, cost_micros } => {
                        let deadline = turn.settings().deadline;
                        next = Some(self.call(calls, deadline, cost_micros).await?);
                    }
                }
            }
            let Some(happened) = next else {
                return Err(Error::new(
                    Code::Internal,
                    "a turn says nothing of how it goes on",
                ));
            };
            event = happened;
        }
    }

    /// An event, or the end of a turn that was cancelled. A call of a model or agent that is under way
    /// ends by itself then.
    pub(crate) fn unless_cancelled(&self, event: Event) -> Event {
        if !self.world.is_cancelled() {
            return event;
        }
        Event::Stop(Error::new(Code::TurnCancelled, "the turn was cancelled"))
    }

    /// Asks the model. What was heard of its answer before the server last stopped is not told again,
    /// and what was not is told now.
    pub(crate) async fn ask(
        &mut self,
        question: Question,
        voice: Option<Voice>,
    ) -> Result<Event, Error> {
        let asked = self.world.ask(question, voice).await;
        match asked.event {
            // The server stops: whoever starts it next goes on from what is recorded.
            Event::Broke { error, .. } if error.code == Code::Draining => Err(error),
            Event::Broke {
                error,
                mut reply,
                spent,
            } => {
                if error.code == Code::TurnInterrupted && reply.parts.is_empty() {
                    let rest = self.heard.rest().trim_start();
                    if !rest.is_empty() {
                        reply = ModelReply::default();
                        reply.parts.push(Part::text(rest));
                    }
                }
                Ok(Event::Broke {
                    error,
                    reply,
                    spent,
                })
            }
            Event::Answered {
                reply,
                model,
                spent,
            } => {
                if asked.replayed
                    && let Some(voice) = voice
                {
                    self.catch_up(&reply, voice)?;
                }
                Ok(Event::Answered {
                    reply,
                    model,
                    spent,
                })
            }
            event => Ok(event),
        }
    }

    fn catch_up(&mut self, reply: &ModelReply, voice: Voice) -> Result<(), Error> {
        let text = reply.text();
        if text.is_empty() {
            return Ok(());
        }
        let text = match voice.is_apart() {
            true => format!("{BETWEEN}{text}"),
            false => text,
        };
        let unheard = self.heard.pass(&text);
        if unheard.is_empty() {
            return Ok(());
        }
        let text = unheard.to_owned();
        self.world.tell(TurnEvent::Text { text })
    }

    /// Keeps what was said, ends the turn and answers.
    async fn keep(
        &mut self,
        mut say: Say,
        mut session: Session,
        ended: Ended,
        end: End,
    ) -> Result<(), Error> {
        let End {
            said,
            broken,
            spent,
            how,
        } = end;
        let passed_on = match (&how, self.begun.passing) {
            (How::HandedOver { .. }, true) => said.clone(),
            _ => Vec::new(),
        };
        if !self.begun.passing {
            let entries = self.entries(said, broken, say.handed.as_ref());
            let context = ended.context;
            session.updated = self.world.now();
            session.turns += u64::from(ended.counts);
            session.usage = session.usage.plus(spent.tokens);
            session.cost_micros = session.cost_micros.saturating_add(spent.cost_micros);
            session.model_calls = session.model_calls.saturating_add(u64::from(spent.calls));
            session.entries += entries.len() as u64;
            session.seen_from = context.seen_from;
            session.summary = context.summary;
            if session.title.is_empty() && !entries.is_empty() {
                session.title = ended.title;
            }
            if let How::HandedOver { to, .. } = &how {
                session.answers = to.clone();
            }
            self.world.session_put(&session, &entries)?;
        }
        let entries = match self.begun.passing {
            true => {
                if !matches!(how, How::HandedOver { .. }) {
                    let workspace = self.passing_workspace();
                    self.world.workspace_remove(&workspace).await?;
                }
                0
            }
            false => session.entries,
        };
        match how {
            How::Completed(outcome) => self.complete(outcome, entries).await,
            How::Failed(failure) => self.failed(failure, entries).await,
            How::HandedOver { to, note } => {
                let handed = say.handed.take();
                let before = handed.map_or((0, Spent::default()), |it| (it.hands, it.spent));
                let handed = Handed {
                    from: self.me().to_string(),
                    note,
                    hands: before.0 + 1,
                    spent: before.1.plus(spent),
                };
                self.give(say, to, handed, passed_on)
            }
        }
    }

    /// Where a turn has its files of which nothing is kept, whoever goes on with it.
    fn passing_workspace(&self) -> String {
        format!("p/{}", self.begun.id)
    }

    /// The turn goes on with another assistant.
    fn give(
        &mut self,
        mut say: Say,
        to: AgentName,
        handed: Handed,
        said: Vec<ChatMessage>,
    ) -> Result<(), Error> {
        self.tell(TurnEvent::HandedOver {
            from: handed.from.clone(),
            to: to.to_string(),
        })?;
        if self.begun.passing {
            let mut client = say.client.take().unwrap_or_default();
            client.history.extend(said);
            say.client = Some(client);
            say.parts.clear();
        }
        say.handed = Some(handed);
        let ask = Ask::Say(Box::new(say));
        self.world.hand_over(to, &self.message.acl, &ask)
    }

    fn entries(
        &mut self,
        said: Vec<ChatMessage>,
        broken: bool,
        handed: Option<&Handed>,
    ) -> Vec<Entry> {
        let (turn, at, me) = (self.begun.id, self.world.now(), self.me());
        let by = handed.and_then(|handed| AgentName::parse(&handed.from).ok());
        let entry = |(index, message): (usize, ChatMessage)| {
            let agent = match message.role {
                ChatRole::Assistant => Some(me.clone()),
                // What a handover says is the other assistant's.
                ChatRole::User if index == 0 => by.clone(),
                ChatRole::User => None,
            };
            Entry {
                turn,
                at,
                message,
                agent,
                broken,
            }
        };
        said.into_iter().enumerate().map(entry).collect()
    }
}

/// A turn that is over, for keeping.
struct Ended {
    /// What the model sees of the session from now on.
    context: Context,
    /// It is this assistant's to count: one that was handed over was counted.
    counts: bool,
    title: String,
}

/// What a handover tells whoever goes on.
fn handed_text(handed: &Handed) -> String {
    let Handed { from, note, .. } = handed;
    let note = match note.as_str() {
        "" => String::new(),
        note => format!(" Its note to you: {note}"),
    };
    format!(
        "(The assistant `{from}` has handed this conversation over to you.{note} Go on in its place: answer the user's last message.)"
    )
}

/// The first words of a message.
fn title(message: &ChatMessage) -> String {
    let text = message.text();
    let mut title = String::new();
    for word in text.split_whitespace() {
        let length = title.chars().count() + word.chars().count();
        if length >= TITLE_CHARS_MAX {
            if title.is_empty() {
                title = word.chars().take(TITLE_CHARS_MAX - 1).collect();
            }
            title.push('…');
            break;
        }
        if !title.is_empty() {
            title.push(' ');
        }
        title.extend(word.chars().filter(|c| !c.is_control()));
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_the_first_words() {
        let check = |text: &str, expected: &str| {
            assert_eq!(title(&ChatMessage::user(text)), expected);
        };
        check("  what is\n\tthe time? ", "what is the time?");
        check("", "");
        check(&"word ".repeat(40), &format!("{}…", ["word"; 16].join(" ")));
        check(&"x".repeat(200), &format!("{}…", "x".repeat(79)));
        check("a\u{1b}[31mb", "a[31mb");
    }
}
