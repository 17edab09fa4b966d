//! `caxton provider`: where models come from.

use super::output::{Column, Output, ago, breaker, fields, printable};
use super::secret::SecretArgs;
use super::{Global, target};
use crate::config::known_provider;
use crate::failure::{Failure, Outcome};
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

impl Kind {
    fn text(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenaiChat => "openai-chat",
            Self::OpenaiResponses => "openai-responses",
        }
    }
}

#[derive(Debug, Args)]
pub struct SetArgs {
    /// The provider's name: what stands before the slash in a model's.
    provider: String,
    /// How it is spoken to; default: as it was, or as the name says (anthropic, openai, openai-responses,
    /// ollama, or a kind's own name).
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Where it is; default: as it was, or where its kind is.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
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
            let (kind, base_url) = meant(&args, &client).await?;
            let request = SetProviderRequest {
                secret: args.secret.read()?,
                provider: args.provider,
                kind,
                base_url,
            };
            let set = client.set_provider(&request).await?;
            output.answer(&set, &set.name, || text(&set))?;
            if !set.has_secret && set.base_url.starts_with("https:") {
                output.note(
                    "no secret is kept: a provider that asks for one refuses (CX-7004) until --secret-file or \
                     --secret-env gives it",
                );
            }
            Ok(())
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

/// The kind and address that are meant. What the line does not say, the provider keeps; one that is new
/// has what its name says. An address stays with its kind: another kind is elsewhere.
async fn meant(args: &SetArgs, client: &Client) -> Outcome<(String, String)> {
    let url = args.url.clone();
    if let Some(kind) = args.kind {
        return Ok((kind.text().to_owned(), url.unwrap_or_default()));
    }
    let request = GetProviderRequest {
        provider: args.provider.clone(),
    };
    let there = client.get_provider(&request).await.ok();
    if let Some(there) = there.filter(|it| !it.operators) {
        return Ok((there.kind, url.unwrap_or(there.base_url)));
    }
    if let Some((kind, at)) = known_provider(&args.provider) {
        return Ok((kind.to_owned(), url.unwrap_or_else(|| at.to_owned())));
    }
    match Kind::from_str(&args.provider, false) {
        Ok(kind) => Ok((kind.text().to_owned(), url.unwrap_or_default())),
        Err(_) => {
            let what = format!(
                "`{}` does not say how it is spoken to: --kind is missing",
                printable(&args.provider)
            );
            let hint = "--kind openai-chat for most, with --url; anthropic and openai-responses are the others";
            Err(Failure::usage(what).with_hint(hint))
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
            ago(it.create_time.as_ref()),
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
