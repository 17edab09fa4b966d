//! What tests say to a server again and again: deploy, ask, look until something is so.

use super::{Example, TestServer};
use caxton_api::client::ClientError;
use caxton_api::v1::{
    Agent, AgentId, CreateAgentRequest, CreateToolRequest, DeadLetter, GetAgentRequest,
    ListDeadLettersRequest, ListMessagesRequest, Message, MessageDraft, SendMessageRequest,
    UpdateAgentRequest, WasmTool, message, message_draft,
};
use std::time::Duration;

/// Nothing a test waits for takes this long; where it does, the test fails and says what was missing.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long an answer is waited for.
const WAIT: &str = "45s";

/// An answer, as far as most tests look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub performative: String,
    pub content: String,
}

impl Said {
    pub fn new(performative: &str, content: &str) -> Self {
        Self {
            performative: performative.to_owned(),
            content: content.to_owned(),
        }
    }
}

impl TestServer {
    /// Deploys and starts an agent that the server must take.
    pub async fn deploy(&self, example: &Example) -> Agent {
        self.try_deploy(example)
            .await
            .unwrap_or_else(|error| panic!("deploy {}: {error}", example.name()))
    }

    /// Registers the tool in `examples/FOLDER`, whose component is named as the folder is.
    ///
    /// # Panics
    /// Where the server does not take it.
    pub async fn register(&self, folder: &str) {
        let request = CreateToolRequest {
            name: folder.to_owned(),
            wasm: Some(WasmTool {
                component: Some(super::example::tool(folder)),
                digest: None,
            }),
            ..CreateToolRequest::default()
        };
        let made = self.client.create_tool(&request).await;
        made.unwrap_or_else(|error| panic!("register {folder}: {error}"));
    }

    /// Deploys and starts an agent; gives the server's refusal.
    pub async fn try_deploy(&self, example: &Example) -> Result<Agent, ClientError> {
        let request = CreateAgentRequest {
            manifest: example.manifest.to_toml(),
            component: Some(example.component.clone()),
            start: None,
        };
        self.client().create_agent(&request).await
    }

    /// Deploys a new version.
    pub async fn update(&self, example: &Example) -> Result<Agent, ClientError> {
        let request = UpdateAgentRequest {
            agent: example.name().to_owned(),
            manifest: example.manifest.to_toml(),
            component: Some(example.component.clone()),
            start: None,
        };
        self.client().update_agent(&request).await
    }

    /// The agent as it stands.
    pub async fn agent(&self, name: &str) -> Agent {
        let request = GetAgentRequest {
            agent: name.to_owned(),
        };
        self.client().get_agent(&request).await.expect("the agent")
    }

    /// Sends a `request` and gives its answer.
    pub async fn ask(&self, to: &str, content: &str) -> Said {
        self.say("request", to, content).await
    }

    /// Sends a message that must be answered, and gives the answer.
    pub async fn say(&self, performative: &str, to: &str, content: &str) -> Said {
        let answer = self
            .converse(draft(performative, to, content))
            .await
            .unwrap_or_else(|error| panic!("{to} was told `{content}`: {error}"));
        Said {
            performative: answer.performative.clone(),
            content: text_of(&answer),
        }
    }

    /// Sends a message and gives its answer in full.
    pub async fn converse(&self, draft: MessageDraft) -> Result<Message, ClientError> {
        let request = SendMessageRequest {
            message: Some(draft),
            wait: WAIT.to_owned(),
        };
        let sent = self.client().send_message(&request).await?;
        Ok(sent.reply.expect("an answer within the time"))
    }

    /// Sends a `request` without waiting for its answer, and gives its id.
    pub async fn tell(&self, to: &str, content: &str) -> Result<String, ClientError> {
        self.send(draft("request", to, content)).await
    }

    /// Sends a message without waiting for its answer, and gives its id.
    pub async fn send(&self, draft: MessageDraft) -> Result<String, ClientError> {
        let request = SendMessageRequest {
            message: Some(draft),
            wait: String::new(),
        };
        Ok(self.client().send_message(&request).await?.id)
    }

    /// The messages of one conversation, in order.
    pub async fn conversation(&self, id: &str) -> Vec<Message> {
        let request = ListMessagesRequest {
            conversation_id: id.to_owned(),
            page_size: 1000,
            ..ListMessagesRequest::default()
        };
        let page = self.client().list_messages(&request).await;
        page.expect("the conversation").messages
    }

    /// The dead letters of one receiver.
    pub async fn dead_letters(&self, agent: &str) -> Vec<DeadLetter> {
        let request = ListDeadLettersRequest {
            agent: agent.to_owned(),
            page_size: 1000,
            ..ListDeadLettersRequest::default()
        };
        let page = self.client().list_dead_letters(&request).await;
        page.expect("dead letters").dead_letters
    }

    /// The value of a series at `/metrics`, labels included in its name as they stand there.
    ///
    /// # Panics
    /// Where there is no such series.
    pub async fn metric(&self, series: &str) -> f64 {
        let text = self.get("/metrics").await.text();
        let value = text.lines().find_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            (name == series).then(|| value.parse().expect("a number"))
        });
        value.unwrap_or_else(|| panic!("/metrics has no {series}:\n{text}"))
    }

    /// Looks again and again until there is something to see, and gives it.
    ///
    /// # Panics
    /// Where it does not come about.
    pub async fn eventually<T>(
        &self,
        what: &str,
        mut look: impl AsyncFnMut(&Self) -> Option<T>,
    ) -> T {
        let looking = async {
            loop {
                if let Some(found) = look(self).await {
                    return found;
                }
                tokio::task::yield_now().await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, looking).await;
        found.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
    }

    /// Waits until no agent has an instance in memory: whatever was done to the server, all it took
    /// is given back.
    pub async fn is_idle(&self) {
        self.eventually("every instance leaves memory", async |server| {
            (server.metric("caxton_mailboxes_live").await == 0.0).then_some(())
        })
        .await;
    }
}

/// A message with an act, one receiver and a text.
pub fn draft(performative: &str, to: &str, content: &str) -> MessageDraft {
    MessageDraft {
        performative: performative.to_owned(),
        receiver: vec![AgentId {
            name: to.to_owned(),
            ..AgentId::default()
        }],
        body: Some(message_draft::Body::Content(content.to_owned())),
        ..MessageDraft::default()
    }
}

/// A message's content; empty where it is no text.
pub fn text_of(message: &Message) -> String {
    match &message.body {
        Some(message::Body::Content(text)) => text.clone(),
        _ => String::new(),
    }
}
