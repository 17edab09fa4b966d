//! What the tests of executors share: servers on this machine, a way out that lets tenants reach one
//! inner address, and calls.
#![allow(clippy::unwrap_used)]

use crate::http::{HttpOut, Options, Resolve};
use axum::Router;
use caxton_core::tool::{Definition, Function, FunctionName, ToolName};
use caxton_core::{TenantId, TraceContext};
use caxton_engine::port::secrets::Secret;
use caxton_engine::port::tool::{ToolCall, ToolTarget};
use caxton_engine::port::{Answer, Http};
use caxton_engine::task::Tasks;
use serde_json::{Value, json};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// The inner address that tenants may reach in tests; 127.0.0.1 stays refused.
pub const ALLOWED: &str = "127.0.0.2";
/// Another, so that there are two hosts.
pub const ALSO_ALLOWED: &str = "127.0.0.3";

/// Every name is at the one address.
#[derive(Debug)]
struct Everywhere;

impl Resolve for Everywhere {
    fn resolve<'a>(&'a self, host: &'a str) -> Answer<'a, io::Result<Vec<IpAddr>>> {
        let at = if host == "inner.example" {
            "127.0.0.1"
        } else {
            ALLOWED
        };
        Box::pin(std::future::ready(Ok(vec![at.parse().unwrap()])))
    }
}

pub fn options() -> Options {
    Options {
        resolver: Arc::new(Everywhere),
        allowed: vec![ALLOWED.parse().unwrap(), ALSO_ALLOWED.parse().unwrap()],
        ..Options::default()
    }
}

pub fn out() -> Arc<dyn Http> {
    Arc::new(HttpOut::new(&options()).unwrap())
}

/// A server on an address and any port.
pub async fn serve(address: &str, router: Router) -> SocketAddr {
    let listener = TcpListener::bind((address, 0)).await.unwrap();
    let bound = listener.local_addr().unwrap();
    Tasks::new().spawn("server", async move {
        axum::serve(listener, router).await.unwrap();
    });
    bound
}

pub fn target(definition: Option<Value>, secret: Option<&str>) -> ToolTarget {
    let definition: Option<Definition> = definition.map(|it| serde_json::from_value(it).unwrap());
    if let Some(definition) = &definition {
        definition.check().unwrap();
    }
    ToolTarget {
        tenant: TenantId::default_tenant(),
        name: ToolName::parse("tool").unwrap(),
        definition,
        secret: secret.map(Secret::new),
        component: None,
        revision: 1,
        trusted: false,
    }
}

pub fn function(name: &str) -> Function {
    Function {
        name: FunctionName::parse(name).unwrap(),
        description: String::new(),
        input: json!({"type": "object"}),
        output: None,
        effect: caxton_core::tool::Effect::Acts,
        repeatable: false,
    }
}

pub fn call(target: &Arc<ToolTarget>, function: Function, arguments: Value) -> ToolCall {
    ToolCall {
        target: Arc::clone(target),
        function: Arc::new(function),
        arguments,
        key: "key-1".to_owned(),
        session: "session-1".to_owned(),
        timeout: Duration::from_secs(30),
        bytes_max: 64 << 10,
        hosts: Arc::default(),
        trace: TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            .unwrap(),
    }
}

/// All text of an answer.
pub fn text(answer: &caxton_engine::port::tool::ToolAnswer) -> String {
    let texts = answer.parts.iter().filter_map(|part| match part {
        caxton_core::model::Part::Text { text } => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}
