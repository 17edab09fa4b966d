//! `caxton config`: the configuration `serve` would run with. Needs no server.

use super::Global;
use super::output::{Column, Output};
use super::serve::flags;
use crate::config::Sources;
use crate::failure::{Failure, Outcome};
use clap::{Args, Subcommand};
use serde_json::{Map, json};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show every key's value.
    Show(ShowArgs),
    /// Check it without starting anything.
    Validate(FileArgs),
}

#[derive(Debug, Args)]
pub struct FileArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE", env = "CAXTON_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Also where each value comes from.
    #[arg(long)]
    origin: bool,
}

pub fn run(command: ConfigCommand, global: &Global, output: &Output) -> Outcome {
    match command {
        ConfigCommand::Show(args) => show(args, global, output),
        ConfigCommand::Validate(args) => {
            Sources::of_process(args.config, flags(global)).resolve()?;
            if output.is_table() {
                output.note("the configuration is valid");
                return Ok(());
            }
            output.answer(&json!({ "valid": true }), "valid", String::new)
        }
    }
}

fn show(args: ShowArgs, global: &Global, output: &Output) -> Outcome {
    let (_, resolved) = Sources::of_process(args.file.config, flags(global)).resolve()?;
    if output.is_table() && !args.origin {
        // What is shown can be used as a file.
        let text = toml::to_string(&resolved.table());
        let text = text.map_err(|error| Failure::plain(error.to_string()))?;
        return output.print(&text);
    }
    let names: Vec<String> = resolved.iter().map(|(key, _)| key.to_owned()).collect();
    let rows = resolved.iter().map(|(key, origin)| {
        vec![
            key.to_owned(),
            origin.value.to_string(),
            origin.source.to_string(),
        ]
    });
    let rows = rows.collect();
    let data = if args.origin {
        let values = resolved.iter().map(|(key, origin)| {
            let entry = json!({ "value": origin.value, "origin": origin.source.to_string() });
            (key.to_owned(), entry)
        });
        json!(values.collect::<Map<_, _>>())
    } else {
        json!(resolved.table())
    };
    let columns = [
        Column::Text("KEY"),
        Column::Text("VALUE"),
        Column::Text("ORIGIN"),
    ];
    output.list(&data, &columns, rows, &names)
}
