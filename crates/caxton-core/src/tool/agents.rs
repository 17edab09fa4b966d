//! Agents as tools: what a model is told of one, and the question that a call of it is.

use super::{Effect, Function, FunctionName};
use crate::agent::{AgentId, AgentName};
use crate::error::{Code, Error};
use crate::message::{Acl, Performative};
use serde_json::{Value, json};

/// What an agent may be asked with.
const ACTS: [Performative; 3] = [
    Performative::Request,
    Performative::QueryRef,
    Performative::QueryIf,
];

/// An agent, as a function. Errors: none for a name that is an agent's.
pub fn function(agent: &AgentName) -> Result<Function, Error> {
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
pub fn question(to: AgentId, arguments: &Value) -> Result<Acl, Error> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tenant::TenantId;

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
