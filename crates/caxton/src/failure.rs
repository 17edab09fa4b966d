//! [`Failure`]: why a command did not do what it was asked, how it is printed, and the exit code.
//!
//! Every failure that has a code is shown the same way: what happened, why such things happen, what
//! to do. It goes to standard error, so that standard output holds data alone.

use crate::cli::output::printable;
use caxton_api::client::ClientError;
use caxton_core::error::{Class, Code, Error, Info};
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// The exit codes, as the documentation has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It failed.
    Failed = 1,
    /// The command line cannot be understood.
    Usage = 2,
    /// What it names does not exist.
    NotFound = 3,
    /// Refused: credentials, permission, quotas, limits.
    Refused = 4,
    /// No server answers.
    Unreachable = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    code: Option<String>,
    /// What happened, one line.
    what: String,
    /// What led to it, one line each.
    because: Vec<String>,
    /// What to do, where it is more than what the code's row says.
    hint: Option<String>,
    retry_after: Option<Duration>,
    exit: Exit,
    quiet: bool,
}

/// What commands return.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure with a code of the table.
    pub fn new(code: Code, what: impl Into<String>) -> Self {
        Self {
            code: Some(code.as_str().to_owned()),
            what: what.into(),
            because: Vec::new(),
            hint: None,
            retry_after: None,
            exit: exit_of(code),
            quiet: false,
        }
    }

    /// A failure of the machine that no code describes, such as a file that cannot be read.
    pub fn plain(what: impl Into<String>) -> Self {
        Self {
            code: None,
            ..Self::new(Code::Internal, what)
        }
    }

    /// A file or folder that cannot be read. One that is not there was named and does not exist.
    pub fn unreadable(path: &Path, error: &io::Error) -> Self {
        let failure = Self::plain(format!("cannot read {}", path.display()));
        let failure = failure.because(error.to_string());
        match error.kind() {
            io::ErrorKind::NotFound => failure
                .not_found()
                .with_hint("look at the path; a relative one begins at the current folder"),
            io::ErrorKind::PermissionDenied => {
                failure.with_hint("give the user who runs this the right to read it")
            }
            _ => failure,
        }
    }

    /// Exit code 1 and nothing to print: all has been said.
    pub fn silent() -> Self {
        Self {
            quiet: true,
            ..Self::plain("")
        }
    }

    /// A command line that says nothing sensible.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Code::Usage, what)
    }

    /// The same with another piece of advice.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with one line more of what led to it.
    #[must_use]
    pub fn because(mut self, line: impl Into<String>) -> Self {
        self.because.push(line.into());
        self
    }

    /// The same for something that was named and does not exist.
    #[must_use]
    pub fn not_found(mut self) -> Self {
        self.exit = Exit::NotFound;
        self
    }

    /// Whether it carries this code.
    pub fn is(&self, code: Code) -> bool {
        self.code.as_deref() == Some(code.as_str())
    }

    /// What happened, in a line.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What to do about it: its own advice, else that of its code.
    pub fn cure(&self) -> String {
        let info = self.code.as_deref().and_then(Code::find);
        let of_code = || info.map(|it| it.cure.to_owned());
        self.hint.clone().or_else(of_code).unwrap_or_default()
    }

    /// How the process ends.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Writes it to standard error.
    pub fn print(&self, color: bool) {
        if !self.quiet {
            eprint!("{}", self.render(color));
        }
    }

    /// What it says, in plain lines.
    pub fn text(&self) -> String {
        self.render(false)
    }

    fn render(&self, color: bool) -> String {
        let (red, bold, dim, reset) = if color {
            ("\x1b[1;31m", "\x1b[1m", "\x1b[2m", "\x1b[0m")
        } else {
            ("", "", "", "")
        };
        let info = self.code.as_deref().and_then(Code::find);
        // A server's or an agent's words may be in it.
        let what = printable(&self.what);
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = match &self.code {
            Some(code) => writeln!(text, "{red}error[{code}]{reset}: {bold}{what}{reset}"),
            None => writeln!(text, "{red}error{reset}: {bold}{what}{reset}"),
        };
        for line in self.because.iter().flat_map(|line| line.lines()) {
            let _ = writeln!(text, "  {}", printable(line));
        }
        if let Some(Info { cause, cure, .. }) = info {
            let _ = writeln!(text, "  {dim}cause:{reset} {cause}");
            let _ = writeln!(text, "  {dim}cure:{reset}  {cure}");
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(text, "  {dim}hint:{reset}  {hint}");
        }
        if let Some(after) = self.retry_after {
            let _ = writeln!(
                text,
                "  {dim}retry:{reset} after {} s",
                after.as_secs().max(1)
            );
        }
        text
    }
}

fn exit_of(code: Code) -> Exit {
    match (code, code.class()) {
        (Code::Usage, _) => Exit::Usage,
        // An argument that only the server can tell is none.
        (
            Code::TenantIdMalformed
            | Code::AgentNameMalformed
            | Code::IdMalformed
            | Code::TimeMalformed
            | Code::MessageMalformed
            | Code::PerformativeUnknown
            | Code::ParameterMalformed
            | Code::RoleUnknown
            | Code::ScopeUnknown
            | Code::LimitMalformed
            | Code::ModelNameMalformed
            | Code::ProviderMalformed
            | Code::ToolPatternMalformed
            | Code::FileNameMalformed,
            _,
        ) => Exit::Usage,
        (Code::ServerUnreachable, _) => Exit::Unreachable,
        (_, Class::NotFound) => Exit::NotFound,
        (_, Class::Unauthenticated | Class::Forbidden | Class::TooLarge | Class::Limited) => {
            Exit::Refused
        }
        _ => Exit::Failed,
    }
}

/// The exit code of an answer whose code this binary does not know, because the server is newer.
fn exit_of_status(status: u16) -> Exit {
    match status {
        404 => Exit::NotFound,
        401 | 403 | 413 | 429 => Exit::Refused,
        _ => Exit::Failed,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let what = format!("{}: {}", error.code.title(), error.detail);
        let mut failure = Self::new(error.code, what);
        failure.because = fields(error.fields);
        failure.retry_after = error.retry_after;
        failure
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Problem {
                problem,
                retry_after,
            } => {
                let what = match problem.detail.is_empty() {
                    true => problem.title.clone(),
                    false => format!("{}: {}", problem.title, problem.detail),
                };
                let exit = Code::parse(&problem.code)
                    .map_or_else(|| exit_of_status(problem.status), exit_of);
                let pairs = problem.fields.into_iter();
                Self {
                    because: fields(pairs.map(|field| (field.field, field.detail)).collect()),
                    code: Some(problem.code),
                    retry_after,
                    exit,
                    ..Self::plain(what)
                }
            }
            ClientError::Unreachable { .. } => {
                let why = chain(&error);
                let hint = tls_hint(&why);
                let failure = Self::new(Code::ServerUnreachable, error.to_string()).because(why);
                match hint {
                    Some(hint) => failure.with_hint(hint),
                    None => failure,
                }
            }
            ClientError::Interrupted(_) | ClientError::TimedOut(_) => {
                let mut failure = Self::plain(error.to_string()).because(chain(&error));
                failure.exit = Exit::Unreachable;
                failure
            }
            ClientError::Invalid(text) => Self::usage(text),
            ClientError::Unexpected { source: None, .. } => Self::plain(error.to_string()),
            ClientError::Unexpected { .. } => Self::plain(error.to_string()).because(chain(&error)),
        }
    }
}

/// What to do about a connection that ended where TLS begins.
fn tls_hint(why: &str) -> Option<&'static str> {
    let hints = [
        (
            "UnknownIssuer",
            "a server is there, with a certificate of an authority that is not known here: name it with `--ca FILE`",
        ),
        (
            "InvalidContentType",
            "something is there that speaks no TLS: begin the address with http://",
        ),
        (
            "NotValidForName",
            "a server is there, with a certificate for another name: use the name it is for",
        ),
        (
            "Expired",
            "a server is there, with a certificate that has expired, or by a clock that is wrong",
        ),
    ];
    let known = hints.iter().find(|(what, _)| why.contains(what));
    known.map(|(_, hint)| *hint)
}

fn fields(fields: Vec<(String, String)>) -> Vec<String> {
    let lines = fields.into_iter();
    lines
        .map(|(name, fault)| format!("{name}: {fault}"))
        .collect()
}

/// The innermost reason, which is the one that says something.
fn chain(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_become_the_documented_exit_codes() {
        for (code, exit) in [
            (Code::ManifestMalformed, Exit::Failed),
            (Code::Usage, Exit::Usage),
            (Code::PerformativeUnknown, Exit::Usage),
            (Code::TimeMalformed, Exit::Usage),
            (Code::ConfigInvalid, Exit::Failed),
            (Code::AgentNotFound, Exit::NotFound),
            (Code::Unauthenticated, Exit::Refused),
            (Code::MailboxFull, Exit::Refused),
            (Code::MessageTooLarge, Exit::Refused),
            (Code::ServerUnreachable, Exit::Unreachable),
            (Code::Internal, Exit::Failed),
        ] {
            assert_eq!(exit_of(code), exit, "{code}");
        }
    }

    #[test]
    fn a_failure_tells_what_why_and_what_to_do() {
        let error = Error::new(Code::ReceiverUnknown, "there is no agent ehco")
            .with_fields(vec![("receiver".to_owned(), "unknown".to_owned())]);
        let text = Failure::from(error)
            .with_hint("did you mean `echo`?")
            .render(false);
        for part in [
            "error[CX-3001]: unknown receiver: there is no agent ehco\n",
            "receiver: unknown",
            "cause: no agent of the receiver's name",
            "cure:  check the receiver",
            "hint:  did you mean `echo`?",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!text.contains('\x1b'));
    }
}
