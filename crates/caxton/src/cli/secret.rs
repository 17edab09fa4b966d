//! Secrets for the server to keep. One never stands on the command line, where everybody on the machine
//! reads it. And `caxton secret rewrap`, which works on a stopped server's folder: a server seals under
//! the keys it was started with.

use super::output::Output;
use super::{Global, block};
use crate::config::Sources;
use crate::failure::{Failure, Outcome};
use crate::serve::{RewrapKeys, Rewrapped, rewrap};
use caxton_core::error::Code;
use clap::{Args, Subcommand};
use serde_json::json;
use std::io::Read;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Seal all tenants' secrets anew under the first key of the master key's file. The server must be
    /// stopped. Whatever stops it, another run does the rest.
    Rewrap(RewrapArgs),
}

#[derive(Debug, Args)]
pub struct RewrapArgs {
    /// The configuration file that the server runs with.
    #[arg(long, value_name = "FILE", env = "CAXTON_CONFIG")]
    config: Option<PathBuf>,
    /// Make a new key first, above those there are.
    #[arg(long)]
    new_key: bool,
    /// Drop the keys that nothing is sealed under any more. Secrets in backups made before need them.
    #[arg(long)]
    drop_old: bool,
}

pub fn run(command: SecretCommand, global: &Global, output: &Output) -> Outcome {
    let SecretCommand::Rewrap(args) = command;
    let flags = super::serve::flags(global);
    let (config, _) = Sources::of_process(args.config, flags).resolve()?;
    let keys = RewrapKeys {
        new: args.new_key,
        drop_old: args.drop_old,
    };
    block(async {
        let done = rewrap(&config, keys).await?;
        tell(&done, output)
    })
}

fn tell(done: &Rewrapped, output: &Output) -> Outcome {
    let (secrets, file) = (&done.secrets, done.file.display());
    let data = json!({
        "sealedAnew": secrets.anew,
        "alreadyCurrent": secrets.current,
        "lost": secrets.lost,
        "oldKeys": done.old_keys,
        "masterKeyFile": done.file,
    });
    output.answer(&data, &secrets.anew.to_string(), || {
        format!(
            "{} sealed anew, {} were current; {file} has {} older keys\n",
            secrets.anew, secrets.current, done.old_keys
        )
    })?;
    match secrets.lost.as_slice() {
        [] => Ok(()),
        lost => {
            let text = format!("open under no key in {file}: {}", lost.join(", "));
            Err(Failure::new(Code::SecretsUnavailable, text))
        }
    }
}

/// Bytes of a secret that are read: one more than a server takes, so that it says what is wrong.
const SECRET_BYTES_READ: u64 = (8 << 10) + 1;

/// Where a secret is read from.
#[derive(Debug, Args)]
pub struct SecretArgs {
    /// Read the secret from a file, or from standard input with `-`. Without it the secret stays.
    #[arg(long, value_name = "FILE", conflicts_with = "secret_env")]
    secret_file: Option<String>,
    /// Read the secret from an environment variable.
    #[arg(long, value_name = "VARIABLE")]
    secret_env: Option<String>,
}

impl SecretArgs {
    /// The secret; empty where none is given.
    pub fn read(&self) -> Outcome<String> {
        let failed =
            |what: &str, why: String| Failure::plain(format!("cannot read {what}")).because(why);
        let text = match (&self.secret_file, &self.secret_env) {
            (Some(file), _) => {
                let mut text = String::new();
                let read = match file.as_str() {
                    "-" => std::io::stdin()
                        .take(SECRET_BYTES_READ)
                        .read_to_string(&mut text),
                    file => std::fs::File::open(file)
                        .and_then(|open| open.take(SECRET_BYTES_READ).read_to_string(&mut text)),
                };
                read.map_err(|error| failed(file, error.to_string()))?;
                text
            }
            (None, Some(variable)) => std::env::var(variable)
                .map_err(|error| failed(&format!("${variable}"), error.to_string()))?,
            (None, None) => String::new(),
        };
        Ok(text.trim().to_owned())
    }
}
