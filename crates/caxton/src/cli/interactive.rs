//! `caxton interactive`: a prompt that takes the commands of the command line, with history and
//! completion.
//!
//! Each line is a process of its own: what it does and how it ends is what the same command does in a
//! shell, and Ctrl-C ends it and not the prompt.

mod complete;

use super::output::Output;
use super::{Cli, Global, block, target};
use crate::contexts;
use crate::failure::{Failure, Outcome};
use caxton_api::v1::ListAgentsRequest;
use clap::CommandFactory as _;
use complete::{Wanted, wanted};
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Editor, Helper};
use std::cell::RefCell;
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Lines remembered.
const HISTORY_LINES_MAX: usize = 1000;
/// How long a completion waits for the server to name its agents.
const AGENTS_WAIT: Duration = Duration::from_secs(1);
/// How long what it named is good.
const AGENTS_FRESH: Duration = Duration::from_secs(2);
/// Agents that are offered.
const AGENTS_MAX: u32 = 1000;

pub fn run(global: &Global, output: &Output) -> Outcome {
    let cannot = |error: ReadlineError| {
        Failure::plain("the prompt cannot be shown").because(error.to_string())
    };
    let program = std::env::current_exe()
        .map_err(|error| Failure::plain("cannot find myself").because(error.to_string()))?;
    // From here on an interrupt is for the command that runs, and not for the prompt.
    let signals = interrupts()?;
    let config = Config::builder()
        .max_history_size(HISTORY_LINES_MAX)
        .map_err(cannot)?
        .completion_type(CompletionType::List)
        .build();
    let mut editor: Editor<Assistant, FileHistory> = Editor::with_config(config).map_err(cannot)?;
    editor.set_helper(Some(Assistant::new(global.clone())));
    let history = contexts::folder().map(|dir| dir.join("history"));
    if let Some(history) = &history {
        // There is none the first time.
        let _ = editor.load_history(history);
    }
    let terminal = std::io::stdin().is_terminal();
    if terminal {
        output.note("Tab completes, Ctrl-D ends; `help` lists the commands");
    }
    let mut last = true;
    loop {
        match editor.readline("caxton> ") {
            Ok(line) => {
                remember(&mut editor, history.as_ref(), &line);
                match words(&line) {
                    Ok(words) if words.is_empty() => {}
                    Ok(words) if ends(&words) => break,
                    Ok(words) => last = carry_out(&program, global, words, output)?,
                    Err(failure) => {
                        failure.print(output.colors_stderr());
                        last = false;
                    }
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(cannot(error)),
        }
    }
    drop(signals);
    // Whoever sat at the prompt has seen how each command ended; a script sees how the last one did.
    match terminal || last {
        true => Ok(()),
        false => Err(Failure::silent()),
    }
}

/// Takes interrupts from their default, which would end the prompt, for as long as this is kept.
fn interrupts() -> Outcome<(tokio::runtime::Runtime, tokio::signal::unix::Signal)> {
    use tokio::signal::unix::{SignalKind, signal};
    let cannot = |error: std::io::Error| Failure::plain("cannot start").because(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(cannot)?;
    let signal = runtime.block_on(async { signal(SignalKind::interrupt()) });
    Ok((runtime, signal.map_err(cannot)?))
}

/// Keeps a line for later, unless it has a secret in it or begins with a space, as in a shell.
fn remember(editor: &mut Editor<Assistant, FileHistory>, history: Option<&PathBuf>, line: &str) {
    let secret = line.contains("--key") || line.contains("cx_");
    if secret || line.trim().is_empty() || line.starts_with(' ') {
        return;
    }
    let added = editor.add_history_entry(line).unwrap_or(false);
    // A history that cannot be written is none, and no reason to stop.
    if let Some(history) = history.filter(|_| added) {
        let _ = history.parent().map(std::fs::create_dir_all);
        let _ = editor.append_history(history);
    }
}

/// A line's words, as a shell has them; without a leading `caxton`.
fn words(line: &str) -> Outcome<Vec<String>> {
    let words = shlex::split(line)
        .ok_or_else(|| Failure::usage("a quote is not closed, or a backslash ends the line"))?;
    let skip = usize::from(words.first().is_some_and(|it| it == "caxton"));
    Ok(words.into_iter().skip(skip).collect())
}

fn ends(words: &[String]) -> bool {
    matches!(words, [only] if only == "exit" || only == "quit")
}

/// Runs a command to its end, and gives whether it did what it was asked. What it wrote and how it
/// ended is its own; only that it could not be run at all is a failure.
fn carry_out(
    program: &PathBuf,
    global: &Global,
    words: Vec<String>,
    output: &Output,
) -> Outcome<bool> {
    if words.first().is_some_and(|it| it == "interactive") {
        output.note("this is the prompt already");
        return Ok(true);
    }
    let mut command = Command::new(program);
    command.args(words);
    // What the prompt was started with holds for its commands; as of the environment, so that each
    // may say otherwise.
    let text = |it: &Option<String>| it.clone().map(OsString::from);
    let path = |it: &Option<PathBuf>| it.clone().map(OsString::from);
    let given = [
        ("CAXTON_SERVER", text(&global.server)),
        ("CAXTON_CONTEXT", text(&global.context)),
        ("CAXTON_API_KEY", text(&global.key)),
        ("CAXTON_TENANT", text(&global.tenant)),
        ("CAXTON_CA", path(&global.ca)),
        ("CAXTON_CLIENT_CERT", path(&global.client_cert)),
        ("CAXTON_CLIENT_KEY", path(&global.client_key)),
        ("CAXTON_DATA", path(&global.data)),
    ];
    command.envs(
        given
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let status = command
        .status()
        .map_err(|error| Failure::plain("cannot run the command").because(error.to_string()))?;
    Ok(status.success())
}

/// Completes what is typed.
struct Assistant {
    commands: clap::Command,
    global: Global,
    files: FilenameCompleter,
    agents: RefCell<Option<(Instant, Vec<String>)>>,
}

impl Assistant {
    fn new(global: Global) -> Self {
        let mut commands = Cli::command();
        commands.build();
        Self {
            commands,
            global,
            files: FilenameCompleter::new(),
            agents: RefCell::default(),
        }
    }

    /// The tenant's agents, as the server names them; none where it does not in time.
    fn agents(&self) -> Vec<String> {
        if let Some((at, known)) = &*self.agents.borrow()
            && at.elapsed() < AGENTS_FRESH
        {
            return known.clone();
        }
        let mut global = self.global.clone();
        let mut names = Vec::new();
        // Completion offers what it can find; what is wrong the command will say.
        let _ = block(async {
            target::apply_context(&mut global)?;
            let client = target::client(&global)?;
            let request = ListAgentsRequest {
                page_size: AGENTS_MAX,
                ..ListAgentsRequest::default()
            };
            let asked = client.list_agents(&request);
            if let Ok(found) = tokio::time::timeout(AGENTS_WAIT, asked).await {
                names = found?.agents.into_iter().map(|it| it.name).collect();
            }
            Ok(())
        });
        *self.agents.borrow_mut() = Some((Instant::now(), names.clone()));
        names
    }
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        at: usize,
        context: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let typed = line.get(..at).unwrap_or(line);
        let start = typed.rfind(char::is_whitespace).map_or(0, |it| it + 1);
        let (before, partial) = typed.split_at(start);
        // Within a quote there is nothing to offer.
        let Ok(words) = words(before) else {
            return Ok((at, Vec::new()));
        };
        let candidates = match wanted(&self.commands, &words, partial) {
            Wanted::Words(words) => words,
            Wanted::Agents => self.agents(),
            Wanted::Path => return self.files.complete(line, at, context),
        };
        let fits = candidates.into_iter().filter(|it| it.starts_with(partial));
        let pairs = fits.map(|it| Pair {
            replacement: format!("{it} "),
            display: it,
        });
        Ok((start, pairs.collect()))
    }
}

impl Hinter for Assistant {
    type Hint = String;
}
impl Highlighter for Assistant {}
impl Validator for Assistant {}
impl Helper for Assistant {}
