//! The command line: one file per noun, each over the API client only.
//!
//! Every command that speaks to a server runs on one thread and opens one connection, so that a
//! command answers as fast as the server does. Only `serve` and `try` start an engine.

mod agent;
mod approval;
mod audit;
mod backup;
mod chat;
mod completion;
mod config;
mod context;
mod conversation;
mod dead_letter;
mod doctor;
mod explain;
mod interactive;
mod job;
mod key;
mod limit;
mod mcp;
mod message;
mod model_call;
pub mod output;
mod parse;
mod provider;
mod quota;
mod request;
mod role;
mod secret;
pub mod sequence;
mod serve;
mod server;
mod session;
mod target;
mod tenant;
mod tool;
mod usage;

pub use agent::{Package, put};
pub use parse::agent as parse_agent;

use crate::failure::{Exit, Failure, Outcome};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use output::{Format, Output};
use std::future::Future;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Caxton: agents in sandboxes that exchange durable messages, in one binary.
#[derive(Debug, Parser)]
#[command(
    name = "caxton",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "Begin with `caxton try`. Every error has a code: `caxton explain CX-3001`."
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The server's address; default: the one that runs on the data folder, else 127.0.0.1:7070.
    #[arg(long, global = true, value_name = "URL", env = "CAXTON_SERVER")]
    pub server: Option<String>,
    /// One of the servers that `caxton context` keeps; default: the one in use.
    #[arg(long, global = true, value_name = "NAME", env = "CAXTON_CONTEXT")]
    pub context: Option<String>,
    /// The API key; default: the data folder's admin.key, for the server on it.
    #[arg(
        long,
        global = true,
        value_name = "KEY",
        env = "CAXTON_API_KEY",
        hide_env_values = true
    )]
    pub key: Option<String>,
    /// The tenant to act in, for platform keys.
    #[arg(long, global = true, value_name = "TENANT", env = "CAXTON_TENANT")]
    pub tenant: Option<String>,
    /// Certificate authorities (PEM) to believe in place of the machine's, for https servers.
    #[arg(long, global = true, value_name = "FILE", env = "CAXTON_CA")]
    pub ca: Option<PathBuf>,
    /// The client's certificate (PEM), for a server that asks for one.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CAXTON_CLIENT_CERT",
        requires = "client_key"
    )]
    pub client_cert: Option<PathBuf>,
    /// The private key of --client-cert (PEM).
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CAXTON_CLIENT_KEY",
        requires = "client_cert"
    )]
    pub client_key: Option<PathBuf>,
    /// The data folder.
    #[arg(long, global = true, value_name = "DIR", env = "CAXTON_DATA")]
    pub data: Option<PathBuf>,
    /// How answers are written; `json` is stable.
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "table"
    )]
    pub output: Format,
    /// When to colour.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

impl Global {
    /// What is empty is not set: a variable that a service file or a compose file leaves blank.
    fn without_empty(self) -> Self {
        let text = |it: Option<String>| it.filter(|it| !it.is_empty());
        let path = |it: Option<PathBuf>| it.filter(|it| !it.as_os_str().is_empty());
        Self {
            server: text(self.server),
            context: text(self.context),
            key: text(self.key),
            tenant: text(self.tenant),
            ca: path(self.ca),
            client_cert: path(self.client_cert),
            client_key: path(self.client_key),
            data: path(self.data),
            ..self
        }
    }
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See agents talk: a tour with a server of its own, in seconds.
    Try(crate::tour::TryArgs),
    /// Run the server.
    Serve(serve::ServeArgs),
    /// Deploy and control agents.
    #[command(subcommand)]
    Agent(agent::AgentCommand),
    /// Send messages and see what becomes of them.
    #[command(subcommand)]
    Message(message::MessageCommand),
    /// Talk with an assistant.
    Chat(chat::ChatArgs),
    /// Conversations with assistants.
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// What agents may reach besides each other.
    #[command(subcommand)]
    Tool(tool::ToolCommand),
    /// Tool calls that a person must agree to.
    #[command(subcommand)]
    Approval(approval::ApprovalCommand),
    /// See who said what to whom.
    #[command(subcommand)]
    Conversation(conversation::ConversationCommand),
    /// Ask an agent now, and read its answer later.
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Messages that could not be handled.
    #[command(subcommand)]
    DeadLetter(dead_letter::DeadLetterCommand),
    /// The platform's customers.
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// API keys.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Where models come from.
    #[command(subcommand)]
    Provider(provider::ProviderCommand),
    /// What models were asked, and what it took.
    #[command(subcommand)]
    ModelCall(model_call::ModelCallCommand),
    /// Who has which role in the tenant.
    #[command(subcommand)]
    Role(role::RoleCommand),
    /// How many requests in how much time.
    #[command(subcommand)]
    Limit(limit::LimitCommand),
    /// How much a tenant or key may use in a day or month.
    #[command(subcommand)]
    Quota(quota::QuotaCommand),
    /// What was asked of the doors.
    #[command(subcommand)]
    Request(request::RequestCommand),
    /// What a tenant or key has used, and of what.
    Usage(usage::UsageArgs),
    /// Who did what, and whether a file of it is whole.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Take, check and bring back backups.
    #[command(subcommand)]
    Backup(backup::BackupCommand),
    /// The key that tenants' secrets are sealed under.
    #[command(subcommand)]
    Secret(secret::SecretCommand),
    /// The server itself.
    #[command(subcommand)]
    Server(server::ServerCommand),
    /// The configuration `serve` would run with.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Servers by name, with the key and tenant to use there.
    #[command(subcommand)]
    Context(context::ContextCommand),
    /// Serve this tenant to a coding tool: the Model Context Protocol on standard input and output.
    Mcp(mcp::McpArgs),
    /// A prompt with history and completion; Ctrl-D ends it.
    Interactive,
    /// Check this machine, the data folder and the server on it.
    Doctor,
    /// Tell what an error code means and what to do about it.
    Explain(explain::ExplainArgs),
    /// Write a completion script for a shell.
    Completion(completion::CompletionArgs),
}

/// Reads the command line, does what it says, and ends as documented.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let output = Output::new(cli.global.output, cli.global.color);
    match cli.run(&output).and_then(|()| output.finish()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print(output.colors_stderr());
            failure.exit().into()
        }
    }
}

/// Help and version are answers; anything else clap refuses is wrong usage.
fn usage(error: &clap::Error) -> ExitCode {
    // A closed standard output is nobody's to be told of.
    let _ = match error.kind() {
        // With nothing said, clap shows the help; settings in the environment are not nothing to it.
        ErrorKind::MissingSubcommand => eprint_help(),
        _ => error.print(),
    };
    if error.use_stderr() {
        Exit::Usage.into()
    } else {
        ExitCode::SUCCESS
    }
}

/// The help of the command that is named without what it is to do.
fn eprint_help() -> std::io::Result<()> {
    let mut root = Cli::command();
    root.build();
    let help = help_of(&mut root, &mut std::env::args().skip(1));
    std::io::stderr().write_all(help.as_bytes())
}

fn help_of(command: &mut clap::Command, words: &mut impl Iterator<Item = String>) -> String {
    while let Some(word) = words.next() {
        if let Some(named) = command.find_subcommand_mut(&word) {
            return help_of(named, words);
        }
    }
    command.render_help().to_string()
}

impl Command {
    /// Whether it may speak to a server that a context names.
    fn speaks(&self) -> bool {
        !matches!(
            self,
            Self::Try(_)
                | Self::Serve(_)
                | Self::Secret(_)
                | Self::Config(_)
                | Self::Context(_)
                | Self::Interactive
                | Self::Explain(_)
                | Self::Completion(_)
        )
    }
}

impl Cli {
    fn run(self, output: &Output) -> Outcome {
        let mut global = self.global.without_empty();
        if self.command.speaks() {
            target::apply_context(&mut global)?;
        }
        match self.command {
            Command::Try(args) => crate::tour::run(&args, output),
            Command::Serve(args) => serve::run(args, &global, output),
            Command::Agent(command) => block(agent::run(command, &global, output)),
            Command::Message(command) => block(message::run(command, &global, output)),
            Command::Chat(args) => block(chat::run(args, &global, output)),
            Command::Session(command) => block(session::run(command, &global, output)),
            Command::Tool(command) => block(tool::run(command, &global, output)),
            Command::Approval(command) => block(approval::run(command, &global, output)),
            Command::Conversation(command) => block(conversation::run(command, &global, output)),
            Command::Job(command) => block(job::run(command, &global, output)),
            Command::DeadLetter(command) => block(dead_letter::run(command, &global, output)),
            Command::Tenant(command) => block(tenant::run(command, &global, output)),
            Command::Key(command) => block(key::run(command, &global, output)),
            Command::Provider(command) => block(provider::run(command, &global, output)),
            Command::ModelCall(command) => block(model_call::run(command, &global, output)),
            Command::Role(command) => block(role::run(command, &global, output)),
            Command::Limit(command) => block(limit::run(command, &global, output)),
            Command::Quota(command) => block(quota::run(command, &global, output)),
            Command::Request(command) => block(request::run(command, &global, output)),
            Command::Usage(args) => block(usage::run(args, &global, output)),
            Command::Audit(command) => block(audit::run(command, &global, output)),
            Command::Backup(command) => backup::run(command, &global, output),
            Command::Secret(command) => secret::run(command, &global, output),
            Command::Server(command) => block(server::run(command, &global, output)),
            Command::Config(command) => config::run(command, &global, output),
            Command::Context(command) => context::run(command, &global, output),
            Command::Mcp(args) => block(mcp::run(args, &global)),
            Command::Interactive => interactive::run(&global, output),
            Command::Doctor => block(doctor::run(&global, output)),
            Command::Explain(args) => explain::run(&args, output),
            Command::Completion(args) => completion::run(&args, output),
        }
    }
}

/// The size of the next page, where so many of a limit are there already.
fn page_size(limit: usize, have: usize) -> u32 {
    /// The most the API gives at once.
    const PAGE_MAX: usize = 1000;
    u32::try_from(limit.saturating_sub(have).min(PAGE_MAX)).unwrap_or(0)
}

/// Runs a command's conversation with a server.
fn block(work: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::plain("cannot start").because(error.to_string()))?
        .block_on(work)
}
