//! `caxton completion SHELL`: a completion script on standard output.

use super::Cli;
use super::output::Output;
use crate::failure::Outcome;
use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::{Shell, generate};

#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// The shell.
    shell: Supported,
}

/// The shells that have a script.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Supported {
    Bash,
    Zsh,
    Fish,
}

pub fn run(args: &CompletionArgs, output: &Output) -> Outcome {
    let shell = match args.shell {
        Supported::Bash => Shell::Bash,
        Supported::Zsh => Shell::Zsh,
        Supported::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "caxton", &mut script);
    output.bytes(&script)
}
