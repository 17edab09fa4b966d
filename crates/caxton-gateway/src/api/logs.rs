//! Agents' logs: a page at a time, and followed.
//!
//! A line's id is its time and its number, so that one from before a restart (which begins the
//! numbers again) still sorts before every line after it.

use std::sync::Arc;

use caxton_api::{ApiError, ApiStream, CallContext, v1};
use caxton_core::Timestamp;
use caxton_core::error::{Code, shown};
use caxton_engine::host::LogLine;
use caxton_engine::port::Answer;
use futures::{StreamExt, stream};
use tokio::sync::broadcast;

use super::agents::{name, token_malformed};
use super::{Api, page};
use crate::convert::log::{LEVELS, LogId, entry};
use crate::stream::lagged;

/// Lines `tail` may ask for.
const TAIL_LINES_MAX: u32 = 1000;

pub(super) async fn list(
    api: &Api,
    call: &CallContext,
    request: &v1::ListLogsRequest,
) -> Result<v1::ListLogsResponse, ApiError> {
    let ctx = api.open(call).await?;
    let agent = name(&request.agent)?;
    let least = level(&request.level)?;
    let before = match request.page_token.as_str() {
        "" => None,
        token => Some(LogId::parse(token).ok_or_else(token_malformed)?),
    };
    let lines = api.app().agent_logs(&ctx, &agent, usize::MAX)?;
    let fit: Vec<_> = lines
        .iter()
        .filter(|line| severity(line) >= least)
        .filter(|line| before.is_none_or(|before| LogId::of(line) < before))
        .collect();
    let skip = fit
        .len()
        .saturating_sub(page::rows(request.page_size) as usize);
    let entries: Vec<_> = fit
        .iter()
        .skip(skip)
        .map(|line| entry(&agent, line))
        .collect();
    let more = skip > 0;
    let first = entries.first().filter(|_| more);
    let next_page_token = first.map(|first| first.id.clone()).unwrap_or_default();
    Ok(v1::ListLogsResponse {
        entries,
        next_page_token,
    })
}

pub(super) async fn watch(
    api: &Api,
    call: &CallContext,
    request: &v1::WatchLogsRequest,
) -> Result<ApiStream<v1::LogEntry>, ApiError> {
    let ctx = api.open(call).await?;
    let agent = name(&request.agent)?;
    let least = level(&request.level)?;
    if request.tail > TAIL_LINES_MAX {
        let what = format!("is more than {TAIL_LINES_MAX}");
        return Err(
            ApiError::new(Code::ParameterMalformed, format!("`tail` {what}"))
                .with_field("tail", what),
        );
    }
    let after = match &call.last_event_id {
        None => None,
        Some(id) => Some(LogId::parse(id).ok_or_else(|| {
            let detail = format!("`{}` is no event of a log", shown(id));
            ApiError::new(Code::ParameterMalformed, detail)
                .with_field("last-event-id", "is no event of a log")
        })?),
    };
    let place = api.streams().place()?;
    let (lines, live) = api.app().agent_logs_follow(&ctx, &agent)?;
    if let Some(after) = after
        && !may_have_been(after, &lines, api.clock().now())
    {
        let detail = format!("{agent} has written no line {after}");
        return Err(ApiError::new(Code::ResumeLost, detail));
    }
    let fit = move |line: &Arc<LogLine>| severity(line) >= least;
    let mut begin: Vec<_> = lines.into_iter().filter(fit).collect();
    let skip = match after {
        Some(after) => begin.iter().filter(|line| LogId::of(line) <= after).count(),
        None => begin.len().saturating_sub(request.tail as usize),
    };
    begin.drain(..skip.min(begin.len()));
    let live = stream::unfold(Some(live), next);
    let lines = stream::iter(begin.into_iter().map(Ok)).chain(live);
    let entries = lines.filter_map(move |line| {
        let shown = match line {
            Ok(line) => fit(&line).then(|| Ok(entry(&agent, &line))),
            Err(error) => Some(Err(error)),
        };
        std::future::ready(shown)
    });
    Ok(api.hold(call, &ctx, place, entries))
}

/// Whether there may have been a line of this id. One before the first at hand is not known any more:
/// of an earlier start, or one of so many.
fn may_have_been(id: LogId, lines: &[Arc<LogLine>], now: Timestamp) -> bool {
    let mut ids = lines.iter().map(|line| LogId::of(line));
    match ids.next() {
        Some(first) if id >= first => id == first || ids.any(|it| it == id),
        _ => id.time() <= now,
    }
}

type Live = broadcast::Receiver<Arc<LogLine>>;
/// A line or the error that is the last, and where to go on.
type Step = (Result<Arc<LogLine>, ApiError>, Option<Live>);

/// The next line; the end where the agent is gone.
fn next(live: Option<Live>) -> Answer<'static, Option<Step>> {
    Box::pin(async move {
        let mut live = live?;
        match live.recv().await {
            Ok(line) => Some((Ok(line), Some(live))),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some((Err(lagged(missed)), None)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    })
}

fn severity(line: &LogLine) -> usize {
    LEVELS
        .iter()
        .position(|level| *level == line.level.as_str())
        .unwrap_or(0)
}

/// A level's place among [`LEVELS`]; empty is the least.
fn level(text: &str) -> Result<usize, ApiError> {
    if text.is_empty() {
        return Ok(0);
    }
    LEVELS
        .iter()
        .position(|level| *level == text)
        .ok_or_else(|| {
            let what = format!("is none of {}", LEVELS.join(", "));
            let detail = format!("`level` {what}: `{}`", shown(text));
            ApiError::new(Code::ParameterMalformed, detail).with_field("level", what)
        })
}
