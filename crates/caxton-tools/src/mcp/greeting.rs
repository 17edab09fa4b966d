//! The first question to a server, and what is made of odd answers to it. A server that answers what it
//! does not know with nothing is of an older revision; one that is of 2026-07-28 and leaves out how long its
//! answer holds is taken at its word for no time at all.

use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, ErrorCode, ErrorData, RequestId, ServerJsonRpcMessage,
    ServerResult,
};
use serde_json::{Value, json};

/// The id of the question which revisions a server speaks, where a message is that.
pub fn discovers(message: &ClientJsonRpcMessage) -> Option<&RequestId> {
    match message {
        ClientJsonRpcMessage::Request(asked)
            if matches!(asked.request, ClientRequest::DiscoverRequest(_)) =>
        {
            Some(&asked.id)
        }
        _ => None,
    }
}

/// An answer, as it is to be understood where it is to that question.
pub fn understood(asked: Option<&RequestId>, answer: ServerJsonRpcMessage) -> ServerJsonRpcMessage {
    let ServerJsonRpcMessage::Response(said) = &answer else {
        return answer;
    };
    let is_whole = matches!(said.result, ServerResult::DiscoverResult(_));
    if is_whole || asked != Some(&said.id) {
        return answer;
    }
    match completed(&said.result) {
        Some(result) => ServerJsonRpcMessage::response(result, said.id.clone()),
        None => {
            let error = ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "nothing is known of it", None);
            ServerJsonRpcMessage::error(error, Some(said.id.clone()))
        }
    }
}

/// What tells of revisions, with what else there has to be.
fn completed(result: &ServerResult) -> Option<ServerResult> {
    let Ok(Value::Object(mut said)) = serde_json::to_value(result) else {
        return None;
    };
    if !said.get("supportedVersions").is_some_and(Value::is_array) {
        return None;
    }
    for (name, value) in [
        ("resultType", json!("complete")),
        ("capabilities", json!({})),
        ("ttlMs", json!(0)),
        ("cacheScope", json!("private")),
    ] {
        said.entry(name).or_insert(value);
    }
    serde_json::from_value(Value::Object(said))
        .map(ServerResult::DiscoverResult)
        .ok()
}
