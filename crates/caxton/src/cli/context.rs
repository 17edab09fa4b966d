//! `caxton context`: servers by name, with the key and the tenant to use there.

use super::output::{Column, Output};
use super::{Global, target};
use crate::contexts::{self, Context, Contexts};
use crate::failure::{Failure, Outcome};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::io::Read as _;
use std::path::PathBuf;

/// Longest key that is read from standard input, in bytes.
const KEY_BYTES_MAX: u64 = 8192;

#[derive(Debug, Subcommand)]
pub enum ContextCommand {
    /// List them; `*` is the one that commands use.
    #[command(visible_alias = "ls")]
    List,
    /// Let commands use one from now on; without a name none, as at first.
    Use(UseArgs),
    /// Keep a server under a name: of --server, --key, --tenant, --ca and --client-cert.
    Add(AddArgs),
    /// Forget one, with its key.
    #[command(visible_alias = "rm")]
    Remove(Named),
}

#[derive(Debug, Args)]
pub struct UseArgs {
    /// The context's name.
    name: Option<String>,
}

#[derive(Debug, Args)]
pub struct Named {
    /// The context's name.
    name: String,
}

#[derive(Debug, Args)]
pub struct AddArgs {
    /// A name: letters, digits, dots, underscores or hyphens. One that exists is replaced.
    name: String,
    /// Read the key from standard input, where no list of processes shows it.
    #[arg(long)]
    key_stdin: bool,
    /// Let commands use it from now on.
    #[arg(long = "use")]
    and_use: bool,
}

/// A context as it is shown: without its secret.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    name: &'a str,
    current: bool,
    server: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct List<'a> {
    contexts: Vec<Shown<'a>>,
}

pub fn run(command: ContextCommand, global: &Global, output: &Output) -> Outcome {
    let dir = contexts::folder().ok_or_else(|| {
        let failure = Failure::plain("there is no home folder to keep contexts in");
        failure.with_hint("set HOME or XDG_CONFIG_HOME")
    })?;
    let mut all = Contexts::read(&dir)?;
    let (mut added, mut removed) = (None, None);
    match command {
        ContextCommand::List => return list(&all, output),
        ContextCommand::Use(UseArgs { name }) => {
            if let Some(name) = &name {
                all.get(name)?;
            }
            all.current = name;
        }
        ContextCommand::Add(args) => {
            let context = context(global, args.key_stdin)?;
            all.put(&args.name, context)?;
            added = Some(args.name.clone());
            if args.and_use {
                all.current = Some(args.name);
            }
        }
        ContextCommand::Remove(Named { name }) => {
            all.remove(&name)?;
            removed = Some(name);
        }
    }
    all.write(&dir)?;
    if let Some(name) = &removed {
        output.gone(name, "removed")?;
    }
    if let Some(name) = &added {
        output.note(&format!("{name} added"));
    }
    match &all.current {
        Some(name) => output.note(&format!("commands use {name}")),
        None => output.note("commands use no context"),
    }
    match removed {
        Some(_) => Ok(()),
        None if output.is_table() => Ok(()),
        // What a program sees of it is how things stand now.
        None => list(&all, output),
    }
}

/// What the command line (or the environment) says of a server.
fn context(global: &Global, key_stdin: bool) -> Outcome<Context> {
    let server = global.server.clone().ok_or_else(|| {
        let failure = Failure::usage("a context needs a server");
        failure.with_hint("name it with --server")
    })?;
    let key = match key_stdin {
        false => global.key.clone(),
        true => {
            let mut text = String::new();
            let read = std::io::stdin()
                .take(KEY_BYTES_MAX)
                .read_to_string(&mut text);
            read.map_err(|error| {
                Failure::plain("the key cannot be read").because(error.to_string())
            })?;
            let key = text.trim();
            if key.is_empty() {
                return Err(Failure::usage(
                    "standard input is empty: there is no key in it",
                ));
            }
            Some(key.to_owned())
        }
    };
    // Kept for commands that start elsewhere.
    let absolute = |path: &Option<PathBuf>| {
        let path = path.as_ref().map(std::path::absolute).transpose();
        path.map_err(|error| Failure::plain("a path cannot be read").because(error.to_string()))
    };
    let context = Context {
        server,
        key,
        tenant: global.tenant.clone(),
        ca: absolute(&global.ca)?,
        client_cert: absolute(&global.client_cert)?,
        client_key: absolute(&global.client_key)?,
    };
    // What no client can be made of is refused now and not when it is used.
    target::of_context(&context)?;
    Ok(context)
}

fn list(all: &Contexts, output: &Output) -> Outcome {
    if all.contexts.is_empty() && output.is_table() {
        output.note("no contexts; `caxton --server URL context add NAME` makes one");
        return Ok(());
    }
    let shown: Vec<Shown<'_>> = all
        .contexts
        .iter()
        .map(|(name, context)| Shown {
            name,
            current: all.current.as_deref() == Some(name),
            server: &context.server,
            key: context.key_id(),
            tenant: context.tenant.as_deref(),
        })
        .collect();
    let columns = ["", "NAME", "SERVER", "KEY", "TENANT"].map(Column::Text);
    let rows = shown.iter().map(|it| {
        vec![
            if it.current { "*" } else { "" }.to_owned(),
            it.name.to_owned(),
            it.server.to_owned(),
            it.key.clone().unwrap_or_default(),
            it.tenant.unwrap_or_default().to_owned(),
        ]
    });
    let rows = rows.collect();
    let names: Vec<String> = all.contexts.keys().cloned().collect();
    output.list(&List { contexts: shown }, &columns, rows, &names)
}
