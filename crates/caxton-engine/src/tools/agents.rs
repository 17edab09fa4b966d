//! Agents as tools: a question to one is a conversation of its own, and its answer the tool's result.
//! That an agent refuses or fails is a result too, which whoever asked may make the best of.

use crate::port::tool::ToolAnswer;
use caxton_core::error::{Code, Error};
use caxton_core::tool::{Effect, Function, FunctionName};
use caxton_core::{Acl, AgentId, AgentName, Message, Performative};
use serde_json::{Value, json};

/// What an agent may be asked with.
const ACTS: [Performative; 3] = [
    Performative::Request,
    Performative::QueryRef,
    Performative::QueryIf,
];

/// An agent, as a function.
pub(crate) fn function(agent: &AgentName) -> Result<Function, Error> {
    let acts: Vec<&str> = ACTS.iter().map(|act| act.as_str()).collect();
    Ok(Function {
        name: FunctionName::parse(agent.as_str())?,
        description: format!("Asks the agent `{agent}` and gives its answer."),
        input: json!({
            "type": "object",
            "properties": {
                "message": {"type": "string", "description": "What to ask, as the agent understands it."},
                "performative": {
                    "type": "string",
                    "enum": acts,
                    "description": "`request` to have something done (default), `query-ref` or `query-if` to ask for what is.",
                },
            },
            "required": ["message"],
            "additionalProperties": false,
        }),
        output: None,
        effect: Effect::Acts,
        // The router gives the recorded answer to a question that is asked again.
        repeatable: true,
    })
}

/// The question that a call is.
pub(crate) fn question(to: AgentId, arguments: &Value) -> Result<Acl, Error> {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str);
    let bad = |detail: &str| Error::new(Code::ToolArguments, detail);
    let message = text("message").ok_or_else(|| bad("`message` is missing, or is no text"))?;
    let act = match arguments.get("performative") {
        None | Some(Value::Null) => Some(Performative::Request),
        Some(_) => {
            let named = text("performative");
            ACTS.into_iter().find(|act| named == Some(act.as_str()))
        }
    };
    let act = act.ok_or_else(|| bad("`performative` is one of request, query-ref, query-if"))?;
    let mut acl = Acl::new(act).to(to).content(message.to_owned());
    acl.protocol = Some(
        match act {
            Performative::Request => "fipa-request",
            _ => "fipa-query",
        }
        .to_owned(),
    );
    Ok(acl)
}

/// What the agent's answer is as a result.
pub(crate) fn answered(answer: &Message) -> ToolAnswer {
    let act = answer.acl.performative;
    let said = match answer.acl.text() {
        Some(text) => text.to_owned(),
        None => format!("[{} bytes that are no text]", answer.acl.content.len()),
    };
    let is_error = matches!(
        act,
        Performative::Failure | Performative::Refuse | Performative::NotUnderstood
    );
    let text = match act {
        Performative::Inform => said,
        act => format!("{act}: {said}"),
    };
    ToolAnswer {
        is_error,
        ..ToolAnswer::text(text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use caxton_core::TenantId;

    #[test]
    fn questions_are_read_strictly() {
        let to = AgentId::parse("bob", &TenantId::default_tenant()).unwrap();
        let read = |value: Value| question(to.clone(), &value);
        let acl = read(json!({"message": "get", "performative": "query-ref"})).unwrap();
        assert_eq!(acl.performative, Performative::QueryRef);
        assert_eq!(acl.protocol.as_deref(), Some("fipa-query"));
        let acl = read(json!({"message": "add 1"})).unwrap();
        assert_eq!(acl.performative, Performative::Request);
        for bad in [
            json!({}),
            json!({"message": 1}),
            json!({"message": "x", "performative": "cfp"}),
            json!({"message": "x", "performative": 1}),
        ] {
            assert_eq!(read(bad).unwrap_err().code, Code::ToolArguments);
        }
    }
}
