//! Secrets for the server to keep. One never stands on the command line, where everybody on the machine
//! reads it.

use crate::failure::{Failure, Outcome};
use clap::Args;
use std::io::Read;

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
