//! A turn as a machine: told what happened, it says what is to be done. No clock, no waiting, no I/O:
//! whoever drives it asks the model, runs the tools and tells it what came. The same events give the
//! same effects, which is what lets a turn that was interrupted go on from what was recorded of it.

mod calls;
mod words;

pub use words::{Answered, Call, Effect, End, Event, How, Settings, Spent};

use crate::bounds::COMPACT_CALLS_MAX;
use crate::context::Context;
use crate::drive::failure;
use crate::toolbox::{Tool, Toolbox};
use calls::called;
use caxton_core::error::{Code, Error};
use caxton_core::model::{
    ChatMessage, ChatRole, ModelName, ModelReply, ModelRequest, Part, StopReason,
};
use caxton_core::session::{TurnEvent, TurnOutcome};
use caxton_core::{AgentName, Timestamp};
use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
enum State {
    Fresh,
    /// A summary of so many of the oldest messages is asked for.
    Summing(usize),
    Answering,
    /// Tools run; what each call of the answer came to, where it is known already.
    Calling(Vec<Pending>),
    Over,
}

/// A call, and its result where no tool has to run for it.
#[derive(Clone, Debug, PartialEq)]
struct Pending {
    call: Call,
    result: Option<Answered>,
}

/// A turn.
#[derive(Clone, Debug)]
pub struct Turn {
    settings: Settings,
    toolbox: Toolbox,
    context: Context,
    /// Messages of the turn that are in the history already.
    kept: usize,
    state: State,
    /// What it took, and what it had taken when it was handed over.
    spent: Spent,
    before: Spent,
    steps: u32,
    /// What was said aloud, as the outcome has it.
    outcome: Vec<Part>,
    answered_by: ModelName,
    summaries: u32,
    /// Summaries are of no use any more in this turn.
    summed: bool,
    bad_calls: u32,
    /// Calls made, and how often each.
    made: Vec<(String, Value, u32)>,
    told_of_dropping: bool,
    told_of_shortening: bool,
}

impl Turn {
    /// A turn about to begin; the context has its newest message.
    pub fn new(settings: Settings, toolbox: Toolbox, context: Context) -> Self {
        Self {
            answered_by: settings.model.clone(),
            settings,
            toolbox,
            context,
            kept: 0,
            state: State::Fresh,
            spent: Spent::default(),
            before: Spent::default(),
            steps: 0,
            outcome: Vec::new(),
            summaries: 0,
            summed: false,
            bad_calls: 0,
            made: Vec::new(),
            told_of_dropping: false,
            told_of_shortening: false,
        }
    }

    /// A turn that another began: so many of its messages are in the history already, this is what was
    /// said aloud, and so much it took.
    #[must_use]
    pub fn going_on(mut self, kept: usize, said: String, before: Spent) -> Self {
        (self.kept, self.before) = (kept, before);
        if !said.is_empty() {
            self.outcome.push(Part::text(said));
        }
        self
    }

    /// What the model sees now, as it is to be kept with the session.
    pub fn into_context(self) -> Context {
        self.context
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether something was said aloud.
    pub fn has_spoken(&self) -> bool {
        self.outcome.iter().any(is_text)
    }

    /// Takes an event in; gives what is to be done. The last effect is the one that the next event is
    /// about, or the end.
    pub fn on(&mut self, event: Event, now: Timestamp) -> Vec<Effect> {
        match (std::mem::replace(&mut self.state, State::Over), event) {
            (State::Over, _) => Vec::new(),
            (_, Event::Stop(error)) => vec![self.failed(&error)],
            (State::Fresh, Event::Begin) => self.ask(now),
            (State::Summing(piece), Event::Answered { reply, spent, .. }) => {
                self.spent.add(spent);
                let mut effects = self.summed_up(piece, &reply.text());
                effects.extend(self.ask(now));
                effects
            }
            (State::Summing(_), Event::Broke { error, spent, .. }) => {
                self.spent.add(spent);
                if ends_turn(&error) {
                    return vec![self.failed(&error)];
                }
                self.summed = true;
                self.ask(now)
            }
            (
                State::Answering,
                Event::Answered {
                    reply,
                    model,
                    spent,
                },
            ) => {
                self.spent.add(spent);
                self.steps += 1;
                self.answered_by = model;
                self.answered(reply, now)
            }
            (
                State::Answering,
                Event::Broke {
                    error,
                    reply,
                    spent,
                },
            ) => {
                self.spent.add(spent);
                self.broke(&error, reply)
            }
            (
                State::Calling(pending),
                Event::Results {
                    results,
                    waited,
                    spent,
                },
            ) => {
                self.spent.add(spent);
                self.settings.deadline = self.settings.deadline.plus(waited);
                self.results(pending, results, now)
            }
            (state, event) => {
                let detail = format!("{event:?} came in {state:?}");
                let short: String = detail.chars().take(200).collect();
                vec![self.failed(&Error::new(Code::Internal, short))]
            }
        }
    }

    /// The next call of the model, if the ceilings and the window let it.
    fn ask(&mut self, now: Timestamp) -> Vec<Effect> {
        if let Err(error) = self.within_limits(now) {
            return vec![self.failed(&error)];
        }
        let mut effects = Vec::new();
        let request = loop {
            let request = self.request();
            let size = request.tokens_estimate();
            let window = self.settings.window;
            if self.settings.passing {
                if size > window.tokens {
                    effects.push(self.too_long(size));
                    return effects;
                }
                break request;
            }
            let may_sum = !self.summed && self.summaries < COMPACT_CALLS_MAX;
            let piece = self.context.piece(window, self.context.keep(window));
            if size > window.compact_at() && may_sum && piece > 0 {
                effects.push(self.ask_summary(piece));
                return effects;
            }
            if size <= window.room() {
                break request;
            }
            match self.give_way(size - window.room()) {
                Some(told) => effects.extend(told),
                None => {
                    effects.push(self.too_long(size));
                    return effects;
                }
            }
        };
        self.state = State::Answering;
        effects.push(self.asking(request, true));
        effects
    }

    fn request(&self) -> ModelRequest {
        let settings = &self.settings;
        let mut request = self
            .context
            .request(self.toolbox.specs(), settings.window.output);
        request.thinking = Some(settings.thinking);
        request.temperature = settings.temperature;
        request.top_p = settings.top_p;
        request.stop.clone_from(&settings.stop);
        request.parallel_calls = settings.parallel_calls;
        request.extra.clone_from(&settings.extra);
        request.form.clone_from(&settings.form);
        // Whether a client comes back with the same history, it knows itself.
        request.goes_on = !settings.passing;
        // What a client insists on is for its own message: after results of tools it would have the
        // model call them for ever.
        if self.steps == 0 {
            request.tool_choice = self.toolbox.choice(&settings.tool_choice);
        }
        request
    }

    fn asking(&self, request: ModelRequest, aloud: bool) -> Effect {
        Effect::Ask {
            request: Box::new(request),
            aloud,
            tokens: left(self.settings.tokens_max, self.total().tokens.total()),
            cost_micros: self.cost_left(),
        }
    }

    /// What the turn may still cost, where it has a ceiling.
    fn cost_left(&self) -> Option<u64> {
        left(self.settings.cost_micros_max, self.total().cost_micros)
    }

    /// What the turn took, whoever had it.
    fn total(&self) -> Spent {
        self.before.plus(self.spent)
    }

    fn within_limits(&self, now: Timestamp) -> Result<(), Error> {
        let (settings, total) = (&self.settings, self.total());
        if now >= settings.deadline {
            let ms = settings.timeout_ms_max;
            let detail = format!("turn_timeout_ms_max = {ms}");
            return Err(Error::new(Code::TurnTimeout, detail));
        }
        let limits = [
            (
                "steps_max",
                u64::from(settings.steps_max),
                u64::from(self.steps),
            ),
            ("turn_tokens_max", settings.tokens_max, total.tokens.total()),
            (
                "turn_cost_micros_max",
                settings.cost_micros_max,
                total.cost_micros,
            ),
        ];
        for (name, max, used) in limits {
            if max > 0 && used >= max {
                let detail = format!("{name} = {max} was reached before the answer was whole");
                return Err(Error::new(Code::TurnLimit, detail));
            }
        }
        Ok(())
    }

    fn ask_summary(&mut self, piece: usize) -> Effect {
        self.summaries += 1;
        self.state = State::Summing(piece);
        let request = self.context.summary_request(piece, self.settings.window);
        self.asking(request, false)
    }

    fn summed_up(&mut self, piece: usize, text: &str) -> Vec<Effect> {
        let window = self.settings.window;
        if self.context.shrinks(piece, text, window) && self.context.sum_up(piece, text, window) {
            return vec![notice("older messages of the session were summed up")];
        }
        self.summed = true;
        Vec::new()
    }

    /// Makes the request smaller where no summary does: leaves out the oldest messages, then the
    /// summary, then results of tools. `None`: nothing is left to give way.
    fn give_way(&mut self, tokens: u64) -> Option<Option<Effect>> {
        let piece = self.context.oldest(tokens);
        if piece > 0 || self.context.summary.is_some() {
            if piece > 0 {
                self.context.drop_oldest(piece);
            } else {
                self.context.summary = None;
            }
            let first = !std::mem::replace(&mut self.told_of_dropping, true);
            let text = "older messages of the session do not fit into the model's window and were left out";
            return Some(first.then(|| notice(text)));
        }
        if self.context.shorten() {
            let first = !std::mem::replace(&mut self.told_of_shortening, true);
            let text = "results of tools do not fit into the model's window and were shortened";
            return Some(first.then(|| notice(text)));
        }
        None
    }

    fn too_long(&mut self, tokens: u64) -> Effect {
        let window = self.settings.window;
        let detail = format!(
            "about {tokens} tokens; the model's window has {}, of which {} are reserved for the answer",
            window.tokens, window.output
        );
        self.failed(&Error::new(Code::ContextTooLong, detail))
    }

    /// An answer came to its end.
    fn answered(&mut self, mut reply: ModelReply, now: Timestamp) -> Vec<Effect> {
        self.name_calls(&mut reply.parts);
        let stop = reply.stop.take().unwrap_or(StopReason::End);
        let of_client = |part: &Part| match part {
            Part::ToolCall { name, .. } => self.toolbox.find(name) == Some(&Tool::Client),
            _ => false,
        };
        if reply.parts.iter().any(of_client) {
            // Our own calls beside the client's are made anew when the client has answered.
            let ours = |part: &Part| matches!(part, Part::ToolCall { .. }) && !of_client(part);
            let parts: Vec<Part> = reply.parts.into_iter().filter(|it| !ours(it)).collect();
            let calls = parts.iter().filter_map(|it| self.call(it));
            let mut effects: Vec<Effect> = calls.map(|it| called(&it)).collect();
            self.say(parts, true);
            effects.push(self.completed(StopReason::ToolCalls));
            return effects;
        }
        let calls: Vec<Call> = reply.parts.iter().filter_map(|it| self.call(it)).collect();
        self.say(reply.parts, false);
        if calls.is_empty() {
            return vec![self.completed(stop)];
        }
        self.calls(calls, now)
    }

    /// Takes an answer into the turn, and what of it is the outcome's.
    fn say(&mut self, parts: Vec<Part>, with_calls: bool) {
        let spoken = self.has_spoken();
        let mut first = true;
        for part in &parts {
            match part {
                Part::Text { text } if text.is_empty() => {}
                Part::Text { text } if spoken && first => {
                    first = false;
                    self.outcome.push(Part::text(format!("{BETWEEN}{text}")));
                }
                Part::ToolCall { .. } if !with_calls => {}
                part => {
                    first = first && !is_text(part);
                    self.outcome.push(part.clone());
                }
            }
        }
        let role = ChatRole::Assistant;
        self.context.turn.push(ChatMessage { role, parts });
    }

    fn broke(&mut self, error: &Error, reply: ModelReply) -> Vec<Effect> {
        // A call that may be half a call is none.
        let whole = |part: &Part| !matches!(part, Part::ToolCall { .. });
        let parts: Vec<Part> = reply.parts.into_iter().filter(whole).collect();
        if !parts.is_empty() {
            self.say(parts, false);
        }
        vec![self.failed(error)]
    }

    fn said(&mut self) -> Vec<ChatMessage> {
        let from = self.kept.min(self.context.turn.len());
        self.context.turn.split_off(from)
    }

    fn end(&mut self, broken: bool, how: How) -> Effect {
        self.state = State::Over;
        Effect::End(Box::new(End {
            said: self.said(),
            broken,
            spent: self.spent,
            how,
        }))
    }

    fn completed(&mut self, stop: StopReason) -> Effect {
        let total = self.total();
        let outcome = TurnOutcome {
            parts: std::mem::take(&mut self.outcome),
            agent: self.settings.agent.to_string(),
            model: self.answered_by.clone(),
            stop,
            usage: total.tokens,
            cost_micros: total.cost_micros,
            calls: total.calls,
        };
        self.end(false, How::Completed(outcome))
    }

    fn failed(&mut self, error: &Error) -> Effect {
        let failure = failure(error, self.total());
        if error.code == Code::ContextTooLong && self.steps == 0 {
            // What no model can see is not part of the conversation, or every later turn had to leave
            // it out again.
            self.context.turn.truncate(self.kept);
        }
        self.end(true, How::Failed(failure))
    }

    fn handed_over(&mut self, to: AgentName, note: String) -> Effect {
        // Whoever goes on has other tools: the call itself is told by the note.
        if let Some(last) = self.context.turn.last_mut() {
            last.parts
                .retain(|part| !matches!(part, Part::ToolCall { .. }));
        }
        if self
            .context
            .turn
            .last()
            .is_some_and(|it| it.parts.is_empty())
        {
            self.context.turn.pop();
        }
        self.end(false, How::HandedOver { to, note })
    }
}

/// What stands between what a model says in one step and in the next.
pub const BETWEEN: &str = "\n\n";

fn is_text(part: &Part) -> bool {
    matches!(part, Part::Text { text } if !text.is_empty())
}

/// What is left of a ceiling; of 0, which is none, nothing is said.
fn left(max: u64, spent: u64) -> Option<u64> {
    (max > 0).then(|| max.saturating_sub(spent))
}

fn notice(text: &str) -> Effect {
    Effect::Tell(TurnEvent::Notice {
        text: text.to_owned(),
    })
}

/// Whether a summary that failed this way fails the turn: what is over, or used up, is so for the
/// answer as well.
fn ends_turn(error: &Error) -> bool {
    matches!(
        error.code,
        Code::TurnCancelled | Code::TurnInterrupted | Code::TurnTimeout | Code::TurnLimit
    )
}

#[cfg(test)]
mod tests;
