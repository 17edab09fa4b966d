//! One turn: said, followed to its end, written as it comes.

use crate::cli::agent::suggest;
use crate::cli::approval;
use crate::cli::output::{Output, lines, printable, short};
use crate::failure::{Failure, Outcome};
use caxton_api::client::{Client, ClientError, EventStream};
use caxton_api::error::Problem;
use caxton_api::v1::{
    CancelTurnRequest, ChatRequest, FollowTurnRequest, ToolUse, TurnEvent, TurnProblem,
};
use std::io::IsTerminal as _;
use std::time::Duration;

/// How often a stream that broke is taken up again.
const RESUMES_MAX: u32 = 5;
/// How long is waited before.
const RESUME_PAUSE: Duration = Duration::from_secs(1);
/// Characters of a tool's arguments or answer that are shown.
const TOOL_CHARS_MAX: usize = 80;

/// Says something and writes the answer as it comes; gives the turn's last event, which completed it.
pub(super) async fn say(
    client: &Client,
    request: &ChatRequest,
    show_thinking: bool,
    output: &Output,
) -> Outcome<TurnEvent> {
    let mut stream = match client.chat(request).await {
        Ok(stream) => stream,
        Err(error) => return Err(suggest(error.into(), &request.agent, client).await),
    };
    let mut shown = Shown::new(output, show_thinking);
    let (mut turn, mut resumes, mut cancelled) = (String::new(), 0, false);
    loop {
        let next = tokio::select! {
            next = stream.next() => next,
            _ = tokio::signal::ctrl_c() => {
                if cancelled || turn.is_empty() {
                    return Err(Failure::silent());
                }
                cancelled = true;
                let cancel = CancelTurnRequest { turn: turn.clone() };
                client.cancel_turn(&cancel).await?;
                continue;
            }
        };
        let event = match next {
            Some(Ok(event)) => event,
            Some(Err(error @ ClientError::Problem { .. })) => return Err(error.into()),
            broken => {
                resumes += 1;
                if turn.is_empty() || resumes > RESUMES_MAX {
                    let error = broken.and_then(Result::err);
                    let ended = || Failure::plain("the stream ended before the turn did");
                    return Err(error.map_or_else(ended, Failure::from));
                }
                stream = again(client, &turn, stream.last_event_id()).await?;
                continue;
            }
        };
        if let Some(id) = &event.turn_id {
            turn.clone_from(id);
        }
        shown.event(&event)?;
        match event.r#type.as_str() {
            "approval.required" => {
                let asked = event.tool.as_ref().and_then(|it| it.approval.as_deref());
                approval::in_place(client, asked.unwrap_or_default(), output).await?;
            }
            "turn.completed" => {
                shown.end()?;
                return Ok(event);
            }
            "turn.failed" => {
                shown.end()?;
                return Err(failure(event.error.unwrap_or_default()));
            }
            _ => {}
        }
    }
}

/// The same turn behind the last event that came.
async fn again(
    client: &Client,
    turn: &str,
    after: Option<&str>,
) -> Outcome<EventStream<TurnEvent>> {
    let request = FollowTurnRequest {
        turn: turn.to_owned(),
        after: after.unwrap_or_default().to_owned(),
    };
    let mut last = None;
    for _ in 0..RESUMES_MAX {
        tokio::time::sleep(RESUME_PAUSE).await;
        match client.follow_turn(&request).await {
            Ok(stream) => return Ok(stream),
            Err(error @ ClientError::Problem { .. }) => return Err(error.into()),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(Failure::silent, Failure::from))
}

/// Why a turn failed, as any other refusal of the server's.
fn failure(error: TurnProblem) -> Failure {
    let problem = Problem {
        r#type: String::new(),
        title: error.title,
        status: u16::try_from(error.status).unwrap_or(500),
        detail: error.detail,
        instance: None,
        code: error.code,
        trace_id: Some(error.trace_id),
        cure: None,
        fields: Vec::new(),
        reply: None,
        session_id: None,
        turn_id: None,
    };
    let retry_after = error.retry_after_ms;
    Failure::from(ClientError::Problem {
        problem: Box::new(problem),
        retry_after: retry_after.map(|ms| Duration::from_millis(u64::from(ms))),
    })
}

/// What people see of a turn: the answer's text on standard output, all else on standard error.
struct Shown<'a> {
    output: &'a Output,
    thinking: bool,
    terminal: bool,
    /// Whether the answer ends in the middle of a line.
    open: bool,
}

impl<'a> Shown<'a> {
    fn new(output: &'a Output, thinking: bool) -> Self {
        Self {
            output,
            thinking,
            terminal: std::io::stdout().is_terminal(),
            open: false,
        }
    }

    fn event(&mut self, event: &TurnEvent) -> Outcome {
        let text = event.text.as_deref().unwrap_or_default();
        match event.r#type.as_str() {
            "message.delta" if self.output.is_table() => {
                self.open = !text.ends_with('\n');
                match self.terminal {
                    true => self.output.print(&lines(text)),
                    false => self.output.print(text),
                }
            }
            "thinking.delta" if self.thinking => {
                self.output.note(&lines(text));
                Ok(())
            }
            "notice" => self.note(&printable(text)),
            "tool.call" | "tool.result" | "approval.required" => self.note(&used(
                &event.r#type,
                &event.tool.clone().unwrap_or_default(),
            )),
            "canvas.updated" => {
                let canvas = event.canvas.clone().unwrap_or_default();
                let title = match canvas.title.as_str() {
                    "" => &canvas.name,
                    title => title,
                };
                let (title, path) = (printable(title), printable(&canvas.path));
                self.note(&format!("to look at: {title} ({path})"))
            }
            "turn.handed_over" => {
                let to = event.agent.as_deref().unwrap_or_default();
                self.note(&format!("{} goes on", printable(to)))
            }
            _ => Ok(()),
        }
    }

    fn note(&mut self, text: &str) -> Outcome {
        // On a terminal both are one screen.
        if self.terminal {
            self.end()?;
        }
        self.output.note(text);
        Ok(())
    }

    /// Ends the line that the answer is in.
    fn end(&mut self) -> Outcome {
        match std::mem::take(&mut self.open) {
            true => self.output.print("\n"),
            false => Ok(()),
        }
    }
}

fn used(kind: &str, tool: &ToolUse) -> String {
    let name = printable(&tool.name);
    let text = |it: &Option<String>| short(it.as_deref().unwrap_or_default(), TOOL_CHARS_MAX);
    match kind {
        "tool.call" => format!("{name} {}", text(&tool.arguments)),
        "tool.result" => format!("{name}: {}", text(&tool.content)),
        _ => format!("{name} waits for approval {}", text(&tool.approval)),
    }
}
