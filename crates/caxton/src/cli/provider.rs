//! `caxton provider`: where models come from.

use super::output::{Column, Output, age, breaker, fields};
use super::secret::SecretArgs;
use super::{Global, target};
use crate::failure::Outcome;
use caxton_api::client::Client;
use caxton_api::v1::{
    DeleteProviderRequest, GetProviderRequest, ListProvidersRequest, ListProvidersResponse,
    OverrideProviderRequest, Provider, SetProviderRequest,
};
use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub enum ProviderCommand {
    /// Set a provider of the tenant's own, and its secret.
    Set(SetArgs),
    /// List the tenant's providers and the operator's.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show a provider and its circuit breaker.
    Show(Named),
    /// Remove a provider of the tenant's own.
    #[command(visible_alias = "rm")]
    Remove(Named),
    /// Close a provider's circuit breaker, so that it is asked again at once.
    Reset(Named),
}

#[derive(Debug, Args)]
pub struct Named {
    /// The provider's name: what stands before the slash in a model's.
    provider: String,
}

/// How a provider is spoken to.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Kind {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI Chat Completions, and everything compatible (Ollama, vLLM, …).
    OpenaiChat,
    /// OpenAI Responses.
    OpenaiResponses,
}

#[derive(Debug, Args)]
pub struct SetArgs {
    /// The provider's name: what stands before the slash in a model's.
    provider: String,
    /// How it is spoken to.
    #[arg(long, value_enum)]
    kind: Kind,
    /// Where it is, if not where its kind is.
    #[arg(long, value_name = "URL", default_value = "")]
    url: String,
    #[command(flatten)]
    secret: SecretArgs,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// At most so many.
    #[arg(long, default_value_t = 1000)]
    limit: usize,
}

pub async fn run(command: ProviderCommand, global: &Global, output: &Output) -> Outcome {
    let client = target::client(global)?;
    match command {
        ProviderCommand::Set(args) => {
            let kind = match args.kind {
                Kind::Anthropic => "anthropic",
                Kind::OpenaiChat => "openai-chat",
                Kind::OpenaiResponses => "openai-responses",
            };
            let request = SetProviderRequest {
                secret: args.secret.read()?,
                provider: args.provider,
                kind: kind.to_owned(),
                base_url: args.url,
            };
            let set = client.set_provider(&request).await?;
            output.answer(&set, &set.name, || text(&set))
        }
        ProviderCommand::List(args) => list(&args, &client, output).await,
        ProviderCommand::Show(Named { provider }) => {
            let found = client
                .get_provider(&GetProviderRequest { provider })
                .await?;
            output.answer(&found, &found.name, || text(&found))
        }
        ProviderCommand::Remove(Named { provider }) => {
            let request = DeleteProviderRequest {
                provider: provider.clone(),
            };
            client.delete_provider(&request).await?;
            output.gone(&provider, "removed")
        }
        ProviderCommand::Reset(Named { provider }) => {
            let request = OverrideProviderRequest {
                provider,
                r#override: String::new(),
            };
            let found = client.override_provider(&request).await?;
            output.answer(&found, &found.name, || text(&found))
        }
    }
}

async fn list(args: &ListArgs, client: &Client, output: &Output) -> Outcome {
    let mut request = ListProvidersRequest::default();
    let mut found: Vec<Provider> = Vec::new();
    while found.len() < args.limit {
        request.page_size = super::page_size(args.limit, found.len());
        let page = client.list_providers(&request).await?;
        found.extend(page.providers);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let columns = ["NAME", "KIND", "URL", "SECRET", "WHOSE", "SINCE"].map(Column::Text);
    let rows = found.iter().map(|it| {
        let word = |yes: bool, one: &str, other: &str| if yes { one } else { other }.to_owned();
        vec![
            it.name.clone(),
            it.kind.clone(),
            it.base_url.clone(),
            word(it.has_secret, "kept", "none"),
            word(it.operators, "operator", "tenant"),
            age(it.create_time.as_ref()),
        ]
    });
    let rows = rows.collect();
    let names: Vec<String> = found.iter().map(|it| it.name.clone()).collect();
    let data = ListProvidersResponse {
        providers: found,
        next_page_token: request.page_token,
    };
    output.list(&data, &columns, rows, &names)
}

fn text(it: &Provider) -> String {
    let secret = if it.has_secret { "kept" } else { "none" };
    fields(&[
        ("name", it.name.clone()),
        ("kind", it.kind.clone()),
        ("url", it.base_url.clone()),
        ("secret", secret.to_owned()),
        ("breaker", breaker(it.breaker.as_ref())),
    ])
}
