//! What is asked of a session besides answering: to begin anew, to be forgotten, to be set otherwise.

use crate::bounds::RESET_CALLS_MAX;
use crate::context::{Context, Window};
use crate::drive::Lane;
use crate::turn::{Event, Spent};
use crate::world::{Question, World};
use caxton_core::error::{Code, Error};
use caxton_core::model::Thinking;
use caxton_core::session::{Entry, Session};
use caxton_core::tool::Rules;
use std::time::Duration;

impl<W: World> Lane<'_, W> {
    /// Begins anew: the model sees nothing of what was said, or a summary of it. The history stays.
    pub(crate) async fn reset(
        &mut self,
        session: Option<Session>,
        summarize: bool,
    ) -> Result<(), Error> {
        let Some(mut session) = session else {
            return self.no_session().await;
        };
        let (summary, spent) = match summarize {
            false => (None, Spent::default()),
            true => match self.summary(&session).await? {
                Ok(summed) => summed,
                // Nothing is forgotten for which there is no summary.
                Err((error, spent)) => {
                    account(&mut session, spent);
                    self.world.session_put(&session, &[])?;
                    return self.fail(&error, spent, session.entries).await;
                }
            },
        };
        session.summary = summary;
        session.seen_from = session.entries;
        session.updated = self.world.now();
        account(&mut session, spent);
        self.world.session_put(&session, &[])?;
        self.done(spent, session.entries).await
    }

    /// A summary of all that the model sees; none where it sees nothing.
    async fn summary(
        &mut self,
        session: &Session,
    ) -> Result<Result<(Option<String>, Spent), (Error, Spent)>, Error> {
        let assistant = self.world.manifest().assistant.clone().unwrap_or_default();
        let mut spent = Spent::default();
        let facts = match self.facts(&assistant).await {
            Ok(facts) => facts,
            Err(error) => return Ok(Err((error, spent))),
        };
        let tokens = match assistant.context_tokens_max {
            0 => facts.context_tokens_max,
            max => max.min(facts.context_tokens_max),
        };
        let window = Window::new(u64::from(tokens), assistant.output_tokens_max);
        let mut context = Context::new(String::new(), session.summary.clone(), session.seen_from);
        let (from, before) = (session.seen_from, session.entries);
        let entries = self.world.history(&session.id, from, before).await?;
        context.seen = entries
            .into_iter()
            .map(|Entry { message, .. }| message)
            .collect();
        let timeout = Duration::from_millis(assistant.turn_timeout_ms_max);
        for call in 1..=RESET_CALLS_MAX {
            if context.seen.is_empty() {
                break;
            }
            // The last one takes all that is left, shortened in its middle.
            let piece = match call {
                RESET_CALLS_MAX => context.seen.len(),
                _ => context.piece(window, 0),
            };
            let question = Question {
                models: assistant.models().cloned().collect(),
                request: context.summary_request(piece, window),
                tokens: None,
                cost_micros: None,
                deadline: self.message.created.plus(timeout),
            };
            match self.ask(question, None).await? {
                Event::Answered {
                    reply, spent: more, ..
                } => {
                    spent.add(more);
                    if !context.sum_up(piece, &reply.text(), window) {
                        let detail = "the model was asked for a summary and said nothing";
                        return Ok(Err((Error::new(Code::ModelAnswerBroken, detail), spent)));
                    }
                }
                Event::Broke {
                    error, spent: more, ..
                } => {
                    spent.add(more);
                    return Ok(Err((error, spent)));
                }
                _ => {
                    return Err(Error::new(
                        Code::Internal,
                        "a model gave no answer and no error",
                    ));
                }
            }
        }
        Ok(Ok((context.summary, spent)))
    }

    /// Forgets the session and all that was said in it.
    pub(crate) async fn remove(&mut self, session: Option<Session>) -> Result<(), Error> {
        let Some(session) = session else {
            return self.no_session().await;
        };
        self.world.session_remove(&session).await?;
        self.done(Spent::default(), 0).await
    }

    /// Sets what the session says otherwise than its assistant.
    pub(crate) async fn configure(
        &mut self,
        session: Option<Session>,
        thinking: Option<Thinking>,
        tools: Option<Rules>,
    ) -> Result<(), Error> {
        let Some(mut session) = session else {
            return self.no_session().await;
        };
        session.thinking = thinking;
        if let Some(tools) = tools {
            session.tools = tools;
        }
        session.updated = self.world.now();
        self.world.session_put(&session, &[])?;
        self.done(Spent::default(), session.entries).await
    }
}

fn account(session: &mut Session, spent: Spent) {
    session.usage = session.usage.plus(spent.tokens);
    session.cost_micros = session.cost_micros.saturating_add(spent.cost_micros);
    session.model_calls = session.model_calls.saturating_add(u64::from(spent.calls));
}
