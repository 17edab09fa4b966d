//! Turns waited for: to their end, or until something of an answer came.

use std::time::Duration;

use caxton_api::ApiError;
use caxton_core::session::TurnEvent;
use caxton_engine::OpCtx;
use caxton_engine::turn::{Follow, Numbered};

use crate::api::Api;

/// Waits for a turn's end, no longer than the caller does; the turn itself goes on. Every event is
/// shown to `see`.
pub(crate) async fn whole(
    api: &Api,
    ctx: &OpCtx,
    mut follow: Follow,
    mut see: impl FnMut(&TurnEvent),
) -> Result<(), ApiError> {
    let work = async {
        while let Some(events) = follow.next().await {
            events.iter().for_each(|(_, event)| see(event));
        }
        Ok(())
    };
    api.within(ctx, work).await
}

/// Waits until something of an answer came, so that a turn which fails before is an answer with the
/// failure's status. One that takes long is not waited for: its stream has to begin.
pub(crate) async fn opening(
    follow: &mut Follow,
    patience: Duration,
) -> Result<Vec<Numbered>, ApiError> {
    let mut read: Vec<Numbered> = Vec::new();
    let wait = async {
        while let Some(events) = follow.next().await {
            let silent = |event: &TurnEvent| {
                matches!(event, TurnEvent::Started { .. } | TurnEvent::Notice { .. })
            };
            let spoke = events.iter().find(|(_, event)| !silent(event)).cloned();
            read.extend(events);
            if let Some((_, event)) = spoke {
                if let TurnEvent::Failed(failure) = &*event {
                    return Err(ApiError::from(failure.error()));
                }
                break;
            }
        }
        Ok(())
    };
    match tokio::time::timeout(patience, wait).await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) | Err(_) => Ok(read),
    }
}
