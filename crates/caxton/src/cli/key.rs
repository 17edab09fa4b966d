//! `caxton key`: API keys.

use super::output::{Column, Format, Output, ago, fields, printable};
use super::{Global, target};
use crate::failure::{Failure, Outcome};
use caxton_api::client::Client;
use caxton_api::v1::{
    CreateKeyRequest, DeleteKeyRequest, GetKeyRequest, Key, ListKeysRequest, ListKeysResponse,
    RotateKeyRequest,
};
use caxton_api::wkt::Timestamp;
use caxton_core::error::Code;
use clap::{Args, Subcommand, ValueEnum};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key. Its text is written to standard output, this once.
    Create(CreateArgs),
    /// List the tenant's keys.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show one, without its secret.
    Show(Named),
    /// Give it another secret; the one before works for a while.
    Rotate(RotateArgs),
    /// Revoke it at once, and end the streams it opened.
    #[command(visible_alias = "rm")]
    Revoke(Several),
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Everything in its tenant.
    Admin,
    /// Keep agents running, read requests and audit.
    Operator,
    /// Deploy, send and read.
    Developer,
    /// Read.
    Viewer,
}

impl Role {
    pub fn text(self) -> String {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Developer => "developer",
            Self::Viewer => "viewer",
        }
        .to_owned()
    }
}

#[derive(Debug, Args)]
pub struct Named {
    /// The key's public id.
    #[arg(value_parser = public_id)]
    id: String,
}

#[derive(Debug, Args)]
pub struct Several {
    /// The keys' public ids.
    #[arg(required = true, value_parser = public_id)]
    ids: Vec<String>,
}

#[derive(Debug, Args)]
pub struct CreateArgs {
    /// What people call it.
    name: String,
    /// What it may do.
    #[arg(long, value_enum, default_value_t = Role::Developer)]
    role: Role,
    /// Narrows the role to this, such as `agents:read` or `messages:*`; may be given several times.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// When it ends, from now, such as `90d` or `12h`.
    #[arg(long, value_name = "DURATION")]
    expires_in: Option<String>,
    /// A key of the platform, which acts in every tenant.
    #[arg(long)]
    platform: bool,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// The platform's keys, and not the tenant's.
    #[arg(long)]
    platform: bool,
    /// At most so many.
    #[arg(long, default_value_t = 1000)]
    limit: usize,
}

#[derive(Debug, Args)]
pub struct RotateArgs {
    /// The key's public id.
    #[arg(value_parser = public_id)]
    id: String,
    /// How long the secret before still works; `0s` ends it at once.
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    overlap: String,
}

/// The id of a key that is given whole, or as lists show it: no secret leaves the machine for that.
#[expect(clippy::unnecessary_wraps, reason = "clap asks for a result")]
fn public_id(text: &str) -> Result<String, std::convert::Infallible> {
    let id = text.strip_prefix("cx_").and_then(|it| it.split('_').nth(1));
    Ok(id.unwrap_or(text).to_owned())
}

pub async fn run(command: KeyCommand, global: &Global, output: &Output) -> Outcome {
    let client = target::client(global)?;
    match command {
        KeyCommand::Create(args) => create(args, &client, output).await,
        KeyCommand::List(args) => list(args, &client, output).await,
        KeyCommand::Show(Named { id }) => {
            let key = client.get_key(&GetKeyRequest { key: id }).await?;
            output.answer(&key, &key.id, || text(&key))
        }
        KeyCommand::Rotate(RotateArgs { id, overlap }) => {
            let request = RotateKeyRequest { key: id, overlap };
            let answer = client.rotate_key(&request).await?;
            let key = answer.key.clone().unwrap_or_default();
            output.answer(&answer, &key.id, || format!("{}\n", answer.secret))?;
            tell_once(output, &key, &answer.secret);
            Ok(())
        }
        KeyCommand::Revoke(Several { ids }) => {
            for id in ids {
                client
                    .delete_key(&DeleteKeyRequest { key: id.clone() })
                    .await?;
                output.gone(&id, "revoked")?;
            }
            Ok(())
        }
    }
}

async fn create(args: CreateArgs, client: &Client, output: &Output) -> Outcome {
    let expire_time = args.expires_in.as_deref().map(from_now).transpose()?;
    let request = CreateKeyRequest {
        name: args.name,
        role: args.role.text(),
        scopes: args.scopes,
        expire_time,
        platform: args.platform,
    };
    let answer = client.create_key(&request).await?;
    let key = answer.key.clone().unwrap_or_default();
    output.answer(&answer, &key.id, || format!("{}\n", answer.secret))?;
    tell_once(output, &key, &answer.secret);
    tell_idle(output, &key);
    Ok(())
}

/// Warns of scopes that give the key nothing: they narrow its role, and do not widen it.
fn tell_idle(output: &Output, key: &Key) {
    let grants = |scope: &str| {
        let noun = scope.strip_suffix('*').unwrap_or(scope);
        let is_of = |it: &String| it == scope || (scope.ends_with('*') && it.starts_with(noun));
        key.permissions.iter().any(is_of)
    };
    let idle: Vec<&str> = key.scopes.iter().map(String::as_str).collect();
    let idle: Vec<&str> = idle.into_iter().filter(|scope| !grants(scope)).collect();
    if idle.is_empty() {
        return;
    }
    let idle = printable(&idle.join(", "));
    let role = &key.role;
    let what = match key.permissions.is_empty() {
        true => "this key may do nothing".to_owned(),
        false => format!("{idle} gives this key nothing"),
    };
    output.note(&format!(
        "warning: {what}: scopes narrow a role, and {role} has no {idle}; `caxton role permissions` shows what each has"
    ));
}

fn tell_once(output: &Output, key: &Key, secret: &str) {
    let of = format!("key {} ({})", key.id, key.role);
    match output.format() {
        Format::Table => output.note(&format!("{of}: keep its text, it is not shown again")),
        // Where the name alone is asked for, the text goes where it disturbs nobody, and is not lost.
        Format::Name => output.note(&format!(
            "{of}: its text, which is not shown again, is {secret}"
        )),
        Format::Json | Format::Yaml => {}
    }
}

/// A time so far from now.
fn from_now(text: &str) -> Result<Timestamp, Failure> {
    let wrong = |what: String| {
        Failure::new(Code::Usage, format!("--expires-in: {what}"))
            .with_hint("write a duration such as 90d, 12h or 30m")
    };
    let by = duration(text).ok_or_else(|| wrong(format!("`{text}` is no duration")))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let at = now.unwrap_or_default() + by;
    let seconds = i64::try_from(at.as_secs()).map_err(|_| wrong("is too long".to_owned()))?;
    Ok(Timestamp { seconds, nanos: 0 })
}

/// Days besides what the API has, for keys live long.
fn duration(text: &str) -> Option<Duration> {
    if let Some(days) = text.strip_suffix('d') {
        let days: u32 = days.parse().ok()?;
        return Some(Duration::from_secs(u64::from(days) * 24 * 3600));
    }
    caxton_api::duration::parse(text).ok()
}

async fn list(args: ListArgs, client: &Client, output: &Output) -> Outcome {
    let mut request = ListKeysRequest {
        platform: args.platform,
        ..ListKeysRequest::default()
    };
    let mut keys: Vec<Key> = Vec::new();
    while keys.len() < args.limit {
        request.page_size = super::page_size(args.limit, keys.len());
        let page = client.list_keys(&request).await?;
        keys.extend(page.keys);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    if keys.is_empty() && output.is_table() {
        output.note("no keys; `caxton key create NAME` makes one");
        return Ok(());
    }
    let columns = ["ID", "NAME", "ROLE", "SCOPES", "USED", "EXPIRES", "SINCE"].map(Column::Text);
    let rows = keys.iter().map(|key| {
        vec![
            key.id.clone(),
            key.name.clone(),
            key.role.clone(),
            key.scopes.join(" "),
            match &key.last_used_time {
                Some(time) => ago(Some(time)),
                None => "never".to_owned(),
            },
            time(&key.expire_time),
            ago(key.create_time.as_ref()),
        ]
    });
    let rows = rows.collect();
    let names: Vec<String> = keys.iter().map(|key| key.id.clone()).collect();
    let data = ListKeysResponse {
        keys,
        next_page_token: request.page_token,
    };
    output.list(&data, &columns, rows, &names)
}

fn time(of: &Option<Timestamp>) -> String {
    of.map(|time| time.to_string()).unwrap_or_default()
}

fn text(key: &Key) -> String {
    let tenant = match key.tenant.as_str() {
        "" => "every (a platform key)",
        tenant => tenant,
    };
    fields(&[
        ("key", format!("cx_{}_{}_…", key.kind, key.id)),
        ("name", key.name.clone()),
        ("tenant", tenant.to_owned()),
        ("role", key.role.clone()),
        ("scopes", key.scopes.join(" ")),
        ("permits", key.permissions.join(" ")),
        ("since", time(&key.create_time)),
        ("by", key.creator.clone()),
        ("expires", time(&key.expire_time)),
        ("used", time(&key.last_used_time)),
        ("old secret until", time(&key.overlap_end_time)),
    ])
}
