//! A server that writes down what it was asked and answers with something made from it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use caxton_api::management::ManagementApi;
use caxton_api::server::ServerApi;
use caxton_api::v1::*;
use caxton_api::wkt::{Empty, Timestamp};
use caxton_api::{ApiError, ApiStream, CallContext};
use caxton_core::Code;
use futures::StreamExt;
use tokio::sync::watch;

/// A name nothing has.
pub const MISSING: &str = "missing";
/// A receiver whose mailbox is full.
pub const FULL: &str = "full";
/// An agent whose streams break after three items.
pub const BROKEN: &str = "broken";
/// An agent whose streams have three items and go on without more.
pub const SILENT: &str = "silent";

#[derive(Debug)]
pub struct Fake {
    seen: Mutex<Vec<(CallContext, String)>>,
    /// Streams that are open now.
    pub open_streams: watch::Sender<usize>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            seen: Mutex::default(),
            open_streams: watch::channel(0).0,
        }
    }
}

impl Fake {
    pub fn see(&self, context: &CallContext, request: &impl std::fmt::Debug) {
        self.seen
            .lock()
            .unwrap()
            .push((context.clone(), format!("{request:?}")));
    }

    /// What was asked since the last time, context and request.
    pub fn take(&self) -> Vec<(CallContext, String)> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// Items 1 to 3, from after `Last-Event-ID`, then what the agent's name says.
    fn stream<T: Send + 'static>(
        &self,
        context: &CallContext,
        agent: &str,
        item: fn(String) -> T,
    ) -> ApiStream<T> {
        let after = context
            .last_event_id
            .as_deref()
            .map_or(0, |id| id.parse().unwrap());
        let items = (after + 1..=3).map(move |id: u32| Ok(item(id.to_string())));
        let items = futures::stream::iter(items);
        let open = Open::new(&self.open_streams);
        let rest: ApiStream<T> = match agent {
            BROKEN => futures::stream::iter([
                Err(ApiError::new(Code::StorageFailed, "the journal broke")),
                Ok(item("after the error".to_owned())),
            ])
            .boxed(),
            SILENT => futures::stream::pending().boxed(),
            _ => futures::stream::empty().boxed(),
        };
        items
            .chain(rest)
            .map(move |item| {
                let _ = &open;
                item
            })
            .boxed()
    }
}

/// Counts a stream while it lives.
struct Open(watch::Sender<usize>);

impl Open {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

fn found(name: &str, code: Code) -> Result<(), ApiError> {
    if name == MISSING {
        Err(ApiError::new(code, format!("no `{name}`")))
    } else {
        Ok(())
    }
}

fn agent(name: &str, state: &str) -> Agent {
    Agent {
        name: name.to_owned(),
        tenant: "default".to_owned(),
        state: state.to_owned(),
        capabilities: vec![AgentCapability {
            name: "echo".to_owned(),
            version: "1.0.0".to_owned(),
        }],
        limits: Some(AgentLimits {
            fuel_per_message_max: u64::MAX,
            ..AgentLimits::default()
        }),
        component_bytes: Some(0),
        create_time: Some(Timestamp::from_unix_ms(1_795_324_162_049)),
        stats: Some(AgentStats::default()),
        ..Agent::default()
    }
}

pub fn message(id: String) -> Message {
    Message {
        id,
        performative: "inform".to_owned(),
        receiver: vec![AgentId {
            name: "b@default".to_owned(),
            ..AgentId::default()
        }],
        body: Some(message::Body::ContentBase64(vec![0, 255, 10].into())),
        user_parameters: BTreeMap::from([("X-a".to_owned(), "1".to_owned())]),
        deliveries: vec![Delivery {
            state: "pending".to_owned(),
            ..Delivery::default()
        }],
        ..Message::default()
    }
}

fn log(id: String) -> LogEntry {
    LogEntry {
        id,
        text: "line\nwith an end".to_owned(),
        ..LogEntry::default()
    }
}

fn letter(id: &str) -> DeadLetter {
    DeadLetter {
        id: id.to_owned(),
        message: Some(message("m".to_owned())),
        ..DeadLetter::default()
    }
}

fn backup(id: &str) -> Backup {
    Backup {
        id: id.to_owned(),
        size_bytes: 1 << 60,
        ..Backup::default()
    }
}

#[async_trait]
impl ManagementApi for Fake {
    async fn create_agent(
        &self,
        context: &CallContext,
        request: CreateAgentRequest,
    ) -> Result<Agent, ApiError> {
        self.see(context, &request);
        Ok(agent(
            &request.manifest,
            if request.start == Some(false) {
                "loaded"
            } else {
                "running"
            },
        ))
    }

    async fn list_agents(
        &self,
        context: &CallContext,
        request: ListAgentsRequest,
    ) -> Result<ListAgentsResponse, ApiError> {
        self.see(context, &request);
        let agents = (0..request.page_size)
            .map(|i| agent(&format!("a{i}"), &request.state))
            .collect();
        Ok(ListAgentsResponse {
            agents,
            next_page_token: request.page_token,
        })
    }

    async fn get_agent(
        &self,
        context: &CallContext,
        request: GetAgentRequest,
    ) -> Result<Agent, ApiError> {
        self.see(context, &request);
        found(&request.agent, Code::AgentNotFound)?;
        Ok(agent(&request.agent, "running"))
    }

    async fn update_agent(
        &self,
        context: &CallContext,
        request: UpdateAgentRequest,
    ) -> Result<Agent, ApiError> {
        self.see(context, &request);
        Ok(agent(&request.agent, "running"))
    }

    async fn delete_agent(
        &self,
        context: &CallContext,
        request: DeleteAgentRequest,
    ) -> Result<Empty, ApiError> {
        self.see(context, &request);
        found(&request.agent, Code::AgentNotFound)?;
        Ok(Empty {})
    }

    async fn start_agent(
        &self,
        context: &CallContext,
        request: StartAgentRequest,
    ) -> Result<Agent, ApiError> {
        self.see(context, &request);
        Ok(agent(&request.agent, "running"))
    }

    async fn stop_agent(
        &self,
        context: &CallContext,
        request: StopAgentRequest,
    ) -> Result<Agent, ApiError> {
        self.see(context, &request);
        Ok(agent(&request.agent, "stopped"))
    }

    async fn drain_agent(
        &self,
        context: &CallContext,
        request: DrainAgentRequest,
    ) -> Result<Agent, ApiError> {
        self.see(context, &request);
        Ok(agent(
            &request.agent,
            &format!("draining for {}", request.timeout),
        ))
    }

    async fn list_logs(
        &self,
        context: &CallContext,
        request: ListLogsRequest,
    ) -> Result<ListLogsResponse, ApiError> {
        self.see(context, &request);
        Ok(ListLogsResponse {
            entries: vec![log("1".to_owned())],
            next_page_token: String::new(),
        })
    }

    async fn watch_logs(
        &self,
        context: &CallContext,
        request: WatchLogsRequest,
    ) -> Result<ApiStream<LogEntry>, ApiError> {
        self.see(context, &request);
        found(&request.agent, Code::AgentNotFound)?;
        Ok(self.stream(context, &request.agent, log))
    }

    async fn send_message(
        &self,
        context: &CallContext,
        request: SendMessageRequest,
    ) -> Result<SendMessageResponse, ApiError> {
        self.see(context, &request);
        let draft = request.message.unwrap_or_default();
        for receiver in &draft.receiver {
            found(&receiver.name, Code::ReceiverUnknown)?;
            if receiver.name == FULL {
                let mut error = ApiError::new(Code::MailboxFull, "1024 messages wait")
                    .with_field("receiver", "full");
                error.retry_after = Some(Duration::from_millis(1_200));
                return Err(error);
            }
        }
        let reply = (!request.wait.is_empty()).then(|| message("m2".to_owned()));
        Ok(SendMessageResponse {
            id: "m1".to_owned(),
            reply,
        })
    }

    async fn list_messages(
        &self,
        context: &CallContext,
        request: ListMessagesRequest,
    ) -> Result<ListMessagesResponse, ApiError> {
        self.see(context, &request);
        Ok(ListMessagesResponse {
            messages: vec![message("m1".to_owned())],
            next_page_token: "p2".to_owned(),
        })
    }

    async fn watch_messages(
        &self,
        context: &CallContext,
        request: WatchMessagesRequest,
    ) -> Result<ApiStream<Message>, ApiError> {
        self.see(context, &request);
        Ok(self.stream(context, &request.agent, message))
    }

    async fn get_message(
        &self,
        context: &CallContext,
        request: GetMessageRequest,
    ) -> Result<Message, ApiError> {
        self.see(context, &request);
        Ok(message(request.message))
    }

    async fn get_message_trace(
        &self,
        context: &CallContext,
        request: GetMessageTraceRequest,
    ) -> Result<GetMessageTraceResponse, ApiError> {
        self.see(context, &request);
        let steps = vec![TraceStep {
            depth: 0,
            message: Some(message(request.message)),
        }];
        Ok(GetMessageTraceResponse {
            trace_id: "t".to_owned(),
            steps,
            truncated: true,
        })
    }

    async fn list_conversations(
        &self,
        context: &CallContext,
        request: ListConversationsRequest,
    ) -> Result<ListConversationsResponse, ApiError> {
        self.see(context, &request);
        let conversations = vec![Conversation {
            id: "c1".to_owned(),
            ..Conversation::default()
        }];
        Ok(ListConversationsResponse {
            conversations,
            next_page_token: String::new(),
        })
    }

    async fn get_conversation(
        &self,
        context: &CallContext,
        request: GetConversationRequest,
    ) -> Result<Conversation, ApiError> {
        self.see(context, &request);
        found(&request.conversation, Code::ConversationNotFound)?;
        Ok(Conversation {
            id: request.conversation,
            protocol: Some(String::new()),
            ..Conversation::default()
        })
    }

    async fn list_dead_letters(
        &self,
        context: &CallContext,
        request: ListDeadLettersRequest,
    ) -> Result<ListDeadLettersResponse, ApiError> {
        self.see(context, &request);
        Ok(ListDeadLettersResponse {
            dead_letters: vec![letter("d1")],
            next_page_token: String::new(),
        })
    }

    async fn get_dead_letter(
        &self,
        context: &CallContext,
        request: GetDeadLetterRequest,
    ) -> Result<DeadLetter, ApiError> {
        self.see(context, &request);
        Ok(letter(&request.dead_letter))
    }

    async fn resend_dead_letter(
        &self,
        context: &CallContext,
        request: ResendDeadLetterRequest,
    ) -> Result<ResendDeadLetterResponse, ApiError> {
        self.see(context, &request);
        Ok(ResendDeadLetterResponse {
            id: request.dead_letter,
        })
    }

    async fn delete_dead_letter(
        &self,
        context: &CallContext,
        request: DeleteDeadLetterRequest,
    ) -> Result<Empty, ApiError> {
        self.see(context, &request);
        Ok(Empty {})
    }
}

#[async_trait]
impl ServerApi for Fake {
    async fn get_server_status(
        &self,
        context: &CallContext,
        request: GetServerStatusRequest,
    ) -> Result<ServerStatus, ApiError> {
        self.see(context, &request);
        Ok(ServerStatus {
            state: "ready".to_owned(),
            messages_handled: 7,
            ..ServerStatus::default()
        })
    }

    async fn create_backup(
        &self,
        context: &CallContext,
        request: CreateBackupRequest,
    ) -> Result<Backup, ApiError> {
        self.see(context, &request);
        Ok(backup("b1"))
    }

    async fn list_backups(
        &self,
        context: &CallContext,
        request: ListBackupsRequest,
    ) -> Result<ListBackupsResponse, ApiError> {
        self.see(context, &request);
        Ok(ListBackupsResponse {
            backups: vec![backup("b1")],
            next_page_token: String::new(),
        })
    }

    async fn get_backup(
        &self,
        context: &CallContext,
        request: GetBackupRequest,
    ) -> Result<Backup, ApiError> {
        self.see(context, &request);
        found(&request.backup, Code::BackupNotFound)?;
        Ok(backup(&request.backup))
    }

    async fn verify_backup(
        &self,
        context: &CallContext,
        request: VerifyBackupRequest,
    ) -> Result<VerifyBackupResponse, ApiError> {
        self.see(context, &request);
        let problems = vec!["page 7".to_owned()];
        Ok(VerifyBackupResponse {
            backup: Some(backup(&request.backup)),
            ok: false,
            problems,
        })
    }
}
