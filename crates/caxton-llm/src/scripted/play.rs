//! Plays an answer: its pieces in order, with the pauses and faults it has.

use super::obey;
use super::script::{Answer, Fault, Said, Script, ToolCall, When, Wrong};
use crate::fault;
use caxton_core::model::{
    ChatRole, ModelEvent, ModelFault, ModelFaultKind, ModelRequest, StopReason, Tokens,
};
use caxton_engine::port::Clock;
use caxton_engine::port::model::{ModelCall, ModelStream};
use futures::StreamExt as _;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// What the script answers to a call.
///
/// # Errors
/// What the script has go wrong before the first piece.
pub fn stream(
    script: &Script,
    call: &ModelCall,
    clock: Arc<dyn Clock>,
) -> Result<ModelStream, ModelFault> {
    let request = &*call.request;
    let answer = choose(script, request)?;
    let events = events(&answer, call);
    let attempt = usize::try_from(call.attempt).unwrap_or(usize::MAX);
    let fault = attempt
        .checked_sub(1)
        .and_then(|n| answer.faults.get(n))
        .and_then(Option::as_ref);
    let Some(fault) = fault else {
        return Ok(paced(&answer, events, clock));
    };
    if fault.status.is_some() {
        return Err(status(fault));
    }
    let wrong = fault
        .wrong()
        .map_err(|what| ModelFault::new(ModelFaultKind::Script, what))?;
    if let (Wrong::Kind(kind), 0) = (wrong, fault.after_chunks) {
        return Err(told(kind, fault));
    }
    let begun = paced(&answer, before(events, fault.after_chunks), clock);
    Ok(match wrong {
        Wrong::Hang => begun.chain(futures::stream::pending()).boxed(),
        Wrong::End => begun,
        Wrong::Kind(kind) => {
            let end = Err(told(kind, fault));
            begun
                .chain(futures::stream::once(std::future::ready(end)))
                .boxed()
        }
    })
}

fn status(it: &Fault) -> ModelFault {
    let said = fault::Said {
        message: it.message.clone().unwrap_or_default(),
        ..fault::Said::default()
    };
    said.fault(it.status)
        .with_retry_after(it.retry_after_ms.map(Duration::from_millis))
}

fn told(kind: ModelFaultKind, it: &Fault) -> ModelFault {
    let message = it.message.as_deref().unwrap_or("the script has it so");
    ModelFault::new(kind, message).with_retry_after(it.retry_after_ms.map(Duration::from_millis))
}

/// So many pieces of what is seen, and what stands between them.
fn before(events: Vec<ModelEvent>, chunks: usize) -> Vec<ModelEvent> {
    let mut seen = 0;
    let fits = |event: &ModelEvent| {
        seen += usize::from(event.is_visible());
        seen <= chunks && !matches!(event, ModelEvent::Finished(_) | ModelEvent::Usage(_))
    };
    events.into_iter().take_while(fits).collect()
}

/// The pieces, with pauses before those that are seen.
fn paced(answer: &Answer, events: Vec<ModelEvent>, clock: Arc<dyn Clock>) -> ModelStream {
    let (delay_ms, first_ms) = (answer.delay_ms, answer.first_delay_ms);
    let events = futures::stream::iter(events);
    if delay_ms == 0 && first_ms == 0 {
        return events.map(Ok).boxed();
    }
    let mut first_ms = first_ms;
    events
        .then(move |event| {
            let mut wait_ms = 0;
            if event.is_visible() {
                wait_ms = delay_ms + std::mem::take(&mut first_ms);
            }
            let clock = Arc::clone(&clock);
            async move {
                if wait_ms > 0 {
                    let until = clock.now().plus(Duration::from_millis(wait_ms));
                    clock.sleep_until(until).await;
                }
                Ok(event)
            }
        })
        .boxed()
}

fn choose<'s>(script: &'s Script, request: &ModelRequest) -> Result<Cow<'s, Answer>, ModelFault> {
    let (text, results) = obey::newest(request);
    let fits = |when: &When| {
        let has = |wanted: &Option<String>, text: &str| {
            wanted
                .as_ref()
                .is_none_or(|wanted| text.contains(wanted.as_str()))
        };
        has(&when.text, &text)
            && has(&when.tool_result, &results)
            && has(&when.system, &request.system)
            // A rule for tool results is none for a turn without.
            && (when.tool_result.is_none() || !results.is_empty())
    };
    if let Some(rule) = script.rules.iter().find(|rule| fits(&rule.when)) {
        return Ok(Cow::Borrowed(&rule.then));
    }
    if let Some(answer) = script.answers.get(turns(request)).or(script.answers.last()) {
        return Ok(Cow::Borrowed(answer));
    }
    if !script.obey {
        let what = "no rule of the script fits, and it has no answers";
        return Err(ModelFault::new(ModelFaultKind::Script, what));
    }
    let newest = if results.is_empty() { text } else { results };
    let calls = obey::calls(&newest)
        .into_iter()
        .map(|(name, arguments)| ToolCall {
            id: None,
            name,
            arguments,
        });
    let tool_calls: Vec<ToolCall> = calls.collect();
    let text = if tool_calls.is_empty() {
        format!("done: {newest}")
    } else {
        String::new()
    };
    Ok(Cow::Owned(Answer {
        text,
        tool_calls,
        ..Answer::default()
    }))
}

/// Times the model has spoken.
fn turns(request: &ModelRequest) -> usize {
    request
        .messages
        .iter()
        .filter(|it| it.role == ChatRole::Assistant)
        .count()
}

fn events(answer: &Answer, call: &ModelCall) -> Vec<ModelEvent> {
    let request = &*call.request;
    let turn = turns(request) + 1;
    let mut events = vec![ModelEvent::Started {
        id: format!("scripted-{turn}"),
        model: call.model.clone(),
    }];
    if let Some(thinking) = &answer.thinking {
        events.extend(pieces(thinking, answer.chunk_chars).map(ModelEvent::Thinking));
    }
    if let Some(signature) = &answer.signature {
        events.push(ModelEvent::ThinkingSigned(signature.clone()));
    }
    let text = filled(&answer.text, call);
    events.extend(pieces(&text, answer.chunk_chars).map(ModelEvent::Text));
    for (index, tool) in (0..).zip(&answer.tool_calls) {
        let id = tool
            .id
            .clone()
            .unwrap_or_else(|| format!("call_{turn}_{index}"));
        let name = tool.name.clone();
        events.push(ModelEvent::ToolCall { index, id, name });
        let json = match &tool.arguments {
            serde_json::Value::Null => "{}".to_owned(),
            serde_json::Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        let json = pieces(&json, answer.chunk_chars);
        events.extend(json.map(|json| ModelEvent::ToolArguments { index, json }));
    }
    let bytes: usize = events.iter().map(ModelEvent::bytes).sum();
    match &answer.usage {
        Said::Null => {}
        Said::Is(usage) => events.push(ModelEvent::Usage(Tokens {
            input: usage.input,
            output: usage.output,
            cache_read: usage.cache_read,
            cache_write: usage.cache_write,
            thinking: usage.thinking,
            estimated: false,
        })),
        Said::Absent => events.push(ModelEvent::Usage(Tokens {
            input: request.tokens_estimate(),
            output: (bytes as u64).div_ceil(4),
            estimated: true,
            ..Tokens::default()
        })),
    }
    let stop = answer
        .stop
        .clone()
        .unwrap_or(if answer.tool_calls.is_empty() {
            StopReason::End
        } else {
            StopReason::ToolCalls
        });
    events.push(ModelEvent::Finished(stop));
    events
}

/// The text with what the request has in place of `{{…}}`; what is put in is not looked at again.
fn filled(text: &str, call: &ModelCall) -> String {
    let request = &*call.request;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((name, tail)) = after.split_once("}}") else {
            out.push_str("{{");
            rest = after;
            continue;
        };
        let newest = || obey::newest(request);
        match name.trim() {
            "user" => out.push_str(&newest().0),
            "tool_result" => out.push_str(&newest().1),
            "system" => out.push_str(&request.system),
            "messages" => out.push_str(&request.messages.len().to_string()),
            "thinking" => out.push_str(request.thinking.unwrap_or_default().as_str()),
            "attempt" => out.push_str(&call.attempt.to_string()),
            other => {
                out.push_str("{{");
                out.push_str(other);
                out.push_str("}}");
            }
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// A text in pieces of so many characters.
fn pieces(text: &str, chars: usize) -> impl Iterator<Item = String> {
    let all: Vec<char> = text.chars().collect();
    let size = if chars == 0 { all.len().max(1) } else { chars };
    let pieces: Vec<String> = all
        .chunks(size)
        .map(|piece| piece.iter().collect())
        .collect();
    pieces.into_iter()
}
