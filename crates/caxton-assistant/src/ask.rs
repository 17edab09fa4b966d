//! Calls of tools, as the model makes them: decided upon one after the other, made all at once. That a
//! tool is not permitted, fails or is late is a result too, which the model may make the best of.

use crate::bounds::RESULT_BYTES_MAX;
use crate::context::cut;
use crate::drive::Lane;
use crate::toolbox::Tool;
use crate::turn::{Answered, Call, Event, Spent};
use crate::world::World;
use caxton_core::Timestamp;
use caxton_core::error::{Code, Error};
use caxton_core::model::Part;
use caxton_core::session::TurnEvent;
use caxton_core::tool::ToolId;
use caxton_engine::port::tool::ToolAnswer;
use caxton_engine::tools::{CANVAS, CANVAS_FOLDER, Done, Prepared, ToolAsk};
use serde_json::Value;
use std::time::Duration;

/// What became of a call so far.
enum Stage {
    /// The n-th of those that run.
    Runs(usize),
    Over(Answered),
}

impl<W: World> Lane<'_, W> {
    /// Runs tools. An error is the world's own (a server that stops): the message is handled again.
    pub(crate) async fn call(
        &mut self,
        calls: Vec<Call>,
        deadline: Timestamp,
        mut cost_left: Option<u64>,
    ) -> Result<Event, Error> {
        let mut stages = Vec::with_capacity(calls.len());
        let mut prepared: Vec<Prepared> = Vec::new();
        for call in &calls {
            if let stop @ Event::Stop(_) = self.unless_cancelled(Event::Begin) {
                return Ok(stop);
            }
            stages.push(match self.prepare(call, deadline, cost_left).await {
                Ok(it) => {
                    cost_left = cost_left.map(|left| left.saturating_sub(it.price_micros()));
                    prepared.push(it);
                    Stage::Runs(prepared.len() - 1)
                }
                Err(error) if error.code == Code::Draining => return Err(error),
                Err(error) => Stage::Over(refused(&error)),
            });
        }
        for (call, stage) in calls.iter().zip(&stages) {
            let Stage::Runs(at) = stage else { continue };
            let asked = prepared.get(*at).and_then(Prepared::approval);
            if let Some(asked) = asked {
                let event = TurnEvent::ApprovalRequired {
                    approval: asked.id.clone(),
                    id: call.id.clone(),
                    name: call.name.clone(),
                    arguments: asked.arguments.clone(),
                };
                self.tell(event)?;
            }
        }
        let mut done: Vec<Option<Done>> = match prepared.is_empty() {
            true => Vec::new(),
            false => match self.world.run(prepared).await {
                Ok(done) => done.into_iter().map(Some).collect(),
                Err(error) => return Ok(Event::Stop(error)),
            },
        };
        let mut results = Vec::with_capacity(calls.len());
        let mut waited = Duration::ZERO;
        let mut spent = Spent::default();
        for (call, stage) in calls.iter().zip(stages) {
            let done = match stage {
                Stage::Over(answered) => {
                    results.push(answered);
                    continue;
                }
                Stage::Runs(at) => done.get_mut(at).and_then(Option::take),
            };
            let Some(done) = done else {
                results.push(Answered::error("the tool gave no result"));
                continue;
            };
            waited = waited.max(done.waited);
            spent.add(Spent {
                tokens: done.tokens,
                cost_micros: done.record.cost_micros,
                calls: 0,
            });
            match done.answer {
                Ok(answer) => {
                    self.show_canvas(call, &answer)?;
                    results.push(answered(answer));
                }
                Err(error) if error.code == Code::Draining => return Err(error),
                Err(error) => results.push(refused(&error)),
            }
        }
        Ok(Event::Results {
            results,
            waited,
            spent,
        })
    }

    async fn prepare(
        &mut self,
        call: &Call,
        deadline: Timestamp,
        cost_left: Option<u64>,
    ) -> Result<Prepared, Error> {
        let Tool::Call(id) = &call.tool else {
            // The machine keeps these to itself.
            return Err(Error::new(Code::Internal, "the tool is not run here"));
        };
        let left = deadline.since(self.world.now());
        if left < Duration::from_millis(1) {
            let detail = "there is no time left to wait for an answer";
            return Err(Error::new(Code::TurnTimeout, detail));
        }
        let ask = ToolAsk {
            id: id.clone(),
            arguments: call.arguments.clone(),
            timeout: left,
            cost_micros_max: cost_left,
        };
        self.world.prepare(ask).await
    }

    /// Tells whoever follows what there is to see beside the chat.
    fn show_canvas(&mut self, call: &Call, answer: &ToolAnswer) -> Result<(), Error> {
        let is_show = match &call.tool {
            Tool::Call(ToolId::Function(tool, function)) => {
                tool.as_str() == CANVAS && function.as_str() == "show"
            }
            _ => false,
        };
        if !is_show || answer.is_error {
            return Ok(());
        }
        let text = |name: &str| {
            let text = call.arguments.get(name).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let name = text("name");
        self.tell(TurnEvent::Canvas {
            path: format!("{CANVAS_FOLDER}/{name}"),
            name,
            title: text("title"),
            media_type: match text("type").as_str() {
                "html" => "text/html",
                "text" => "text/plain",
                _ => "text/markdown",
            }
            .to_owned(),
        })
    }
}

fn refused(error: &Error) -> Answered {
    Answered::error(format!("{} {}", error.code, error.detail))
}

fn answered(answer: ToolAnswer) -> Answered {
    let cut_off = |part: Part| match part {
        Part::Text { text } => Part::text(cut(&text, RESULT_BYTES_MAX)),
        part => part,
    };
    let mut parts: Vec<Part> = answer.parts.into_iter().map(cut_off).collect();
    if parts.is_empty()
        && let Some(structured) = answer.structured
    {
        parts.push(Part::text(cut(&structured.to_string(), RESULT_BYTES_MAX)));
    }
    Answered {
        parts,
        is_error: answer.is_error,
    }
}
