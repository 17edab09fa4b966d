//! `caxton audit`: who did what, and whether a file of it is whole.

use super::output::{Column, Output, fields, short};
use super::{Global, target};
use crate::failure::{Failure, Outcome};
use caxton_api::client::Client;
use caxton_api::v1::{
    AuditEntry, ErasePersonRequest, ExportAuditRequest, GetAuditHeadRequest,
    ListAuditEntriesRequest, ListAuditEntriesResponse, TrimAuditRequest,
};
use caxton_core::Timestamp;
use caxton_core::audit::{Entry, Hash, Report, Summary, Verifier};
use caxton_core::error::Code;
use caxton_engine::audit::check_signature;
use clap::{Args, Subcommand};
use serde::Serialize;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

/// Longest line that is read of a file, in bytes; the verifier refuses it then.
const LINE_BYTES_MAX: u64 = 128 << 10;

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List entries, the newest first.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Write the whole chain to standard output, one JSON document a line, with a signed footer.
    Export(Chain),
    /// Check an exported file, without any server.
    Verify(VerifyArgs),
    /// Say what a period of the chain comes to, after the chain was verified.
    Report(ReportArgs),
    /// Show the signed end of the chain, to note down and ask for later.
    Head(Chain),
    /// Let go of entries older than a time; what stays can still be checked.
    Trim(TrimArgs),
    /// Forget who a pseudonym is.
    Erase(EraseArgs),
}

#[derive(Debug, Args)]
pub struct Chain {
    /// The platform's own chain.
    #[arg(long)]
    platform: bool,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    chain: Chain,
    /// Only of this actor, as it stands in the chain.
    #[arg(long, default_value = "")]
    actor: String,
    /// Only actions that begin so, such as `key.`.
    #[arg(long, default_value = "")]
    action: String,
    /// Only targets that have this in them.
    #[arg(long, default_value = "")]
    target: String,
    /// Only `permitted`, `denied` or `failed`.
    #[arg(long, default_value = "")]
    outcome: String,
    /// Only from this time on (RFC 3339).
    #[arg(long, default_value = "")]
    from: String,
    /// Only before this time (RFC 3339).
    #[arg(long, default_value = "")]
    until: String,
    /// At most so many.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The file; `-` is standard input.
    file: PathBuf,
    /// The key it must be signed with, in hex.
    #[arg(long, value_name = "HEX")]
    public_key: Option<String>,
    /// The hash of a head noted before, in hex: the file must have it.
    #[arg(long, value_name = "HEX")]
    expect_head: Option<String>,
}

#[derive(Debug, Args)]
pub struct ReportArgs {
    #[command(flatten)]
    chain: Chain,
    /// Of an exported file, without any server; `-` is standard input.
    #[arg(long, conflicts_with = "platform")]
    file: Option<PathBuf>,
    /// Only from this time on (RFC 3339).
    #[arg(long)]
    from: Option<String>,
    /// Only before this time (RFC 3339).
    #[arg(long)]
    until: Option<String>,
}

#[derive(Debug, Args)]
pub struct TrimArgs {
    #[command(flatten)]
    chain: Chain,
    /// Entries older than this go (RFC 3339).
    #[arg(long, value_name = "TIME")]
    before: String,
}

#[derive(Debug, Args)]
pub struct EraseArgs {
    /// The pseudonym, `person:HEX`.
    person: String,
}

pub async fn run(command: AuditCommand, global: &Global, output: &Output) -> Outcome {
    if let AuditCommand::Verify(args) = command {
        return verify(&args, output);
    }
    if let AuditCommand::Report(args) = command {
        return report(&args, global, output).await;
    }
    let client = target::client(global)?;
    match command {
        AuditCommand::List(args) => list(args, &client, output).await,
        AuditCommand::Export(Chain { platform }) => {
            let mut lines = client
                .export_audit(&ExportAuditRequest { platform })
                .await?;
            while let Some(line) = lines.next().await {
                output.line(&line?.line)?;
            }
            Ok(())
        }
        AuditCommand::Verify(_) | AuditCommand::Report(_) => Ok(()),
        AuditCommand::Head(Chain { platform }) => {
            let head = client
                .get_audit_head(&GetAuditHeadRequest { platform })
                .await?;
            output.answer(&head, &head.hash, || {
                fields(&[
                    ("entries", head.sequence.to_string()),
                    ("head", head.hash.clone()),
                    ("signature", head.signature.clone()),
                    ("public key", head.public_key.clone()),
                ])
            })
        }
        AuditCommand::Trim(args) => {
            let request = TrimAuditRequest {
                before: args.before,
                platform: args.chain.platform,
            };
            let answer = client.trim_audit(&request).await?;
            let count = answer.entries.to_string();
            output.answer(&answer, &count, || format!("{count} entries let go\n"))
        }
        AuditCommand::Erase(EraseArgs { person }) => {
            let request = ErasePersonRequest {
                person: person.clone(),
            };
            client.erase_person(&request).await?;
            output.gone(&person, "erased")
        }
    }
}

async fn list(args: ListArgs, client: &Client, output: &Output) -> Outcome {
    let mut request = ListAuditEntriesRequest {
        actor: args.actor,
        action: args.action,
        target: args.target,
        outcome: args.outcome,
        from: args.from,
        until: args.until,
        platform: args.chain.platform,
        ..ListAuditEntriesRequest::default()
    };
    let mut entries: Vec<AuditEntry> = Vec::new();
    while entries.len() < args.limit {
        request.page_size = super::page_size(args.limit, entries.len());
        let page = client.list_audit_entries(&request).await?;
        entries.extend(page.entries);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    if entries.is_empty() && output.is_table() {
        output.note(
            "no entries; deploying, keys, roles, limits and whatever is denied appear here, `--platform` \
             shows what is done to tenants and to the server",
        );
        return Ok(());
    }
    let columns = [
        Column::Number("#"),
        Column::Text("TIME"),
        Column::Text("WHO"),
        Column::Text("WHAT"),
        Column::Text("UPON"),
        Column::Text("OUTCOME"),
        Column::Text("CODE"),
    ];
    let rows = entries.iter().map(|it| {
        let who = match it.person.as_str() {
            "" => &it.actor,
            person => person,
        };
        vec![
            it.sequence.to_string(),
            it.time.map(|time| time.to_string()).unwrap_or_default(),
            short(who, 40),
            it.action.clone(),
            short(&it.target, 48),
            it.outcome.clone(),
            it.code.clone(),
        ]
    });
    let rows = rows.collect();
    let names: Vec<String> = entries.iter().map(|it| it.sequence.to_string()).collect();
    let data = ListAuditEntriesResponse {
        entries,
        next_page_token: request.page_token,
    };
    output.list(&data, &columns, rows, &names)
}

/// What a good file has in it, for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Verified {
    tenant: String,
    entries: u64,
    head: String,
    public_key: String,
}

fn verify(args: &VerifyArgs, output: &Output) -> Outcome {
    let expected = args.expect_head.as_deref().map(|text| {
        Hash::parse(text).ok_or_else(|| {
            Failure::new(Code::Usage, "--expect-head is not 64 hex digits".to_owned())
        })
    });
    let expected = expected.transpose()?;
    let report = read(&args.file, args.public_key.as_deref(), expected, |_| {})?;
    let data = Verified {
        tenant: report.tenant.clone(),
        entries: report.entries,
        head: report.head.hash.to_string(),
        public_key: report.public_key.clone(),
    };
    output.answer(&data, &data.head, || {
        let whose = match report.tenant.as_str() {
            "" => "the platform",
            tenant => tenant,
        };
        let time = |it: Option<caxton_core::Timestamp>| it.map(|at| at.to_string());
        fields(&[
            ("whole", "yes, and signed".to_owned()),
            ("chain of", whose.to_owned()),
            ("entries", report.entries.to_string()),
            ("first", time(report.first).unwrap_or_default()),
            ("last", time(report.last).unwrap_or_default()),
            ("head", data.head.clone()),
            ("public key", data.public_key.clone()),
        ])
    })?;
    if args.public_key.is_none() {
        output.note("signed by the key above; whether that is the server's, --public-key tells");
    }
    Ok(())
}

/// Reads an export, verified line by line; gives each entry away.
fn read(
    file: &Path,
    public_key: Option<&str>,
    expected: Option<Hash>,
    mut each: impl FnMut(&Entry),
) -> Result<Report, Failure> {
    let broken = |error| broken(&file.display().to_string(), &error);
    let unreadable = |error: std::io::Error| Failure::unreadable(file, &error);
    let mut lines: BufReader<Box<dyn std::io::Read>> = match file.as_os_str() == "-" {
        true => BufReader::new(Box::new(std::io::stdin())),
        false => BufReader::new(Box::new(File::open(file).map_err(unreadable)?)),
    };
    let mut verifier = Verifier::expecting(expected);
    let mut line = String::new();
    loop {
        line.clear();
        let mut one = (&mut lines).take(LINE_BYTES_MAX);
        if one.read_line(&mut line).map_err(unreadable)? == 0 {
            break;
        }
        let text = line.strip_suffix('\n').unwrap_or(&line);
        if let Some(entry) = verifier.entry(text, &check_signature).map_err(broken)? {
            each(&entry);
        }
    }
    verifier.finish(public_key).map_err(broken)
}

fn broken(source: &str, error: &caxton_core::audit::Broken) -> Failure {
    Failure::new(Code::AuditBroken, format!("{source}: {error}"))
}

/// What a period comes to.
async fn report(args: &ReportArgs, global: &Global, output: &Output) -> Outcome {
    let time = |text: &Option<String>| text.as_deref().map(Timestamp::parse_rfc3339).transpose();
    let (from, until) = (time(&args.from)?, time(&args.until)?);
    let mut summary = Summary::new("", from, until);
    let mut add = |entry: &Entry| {
        let at = entry.event.time;
        if from.is_none_or(|from| at >= from) && until.is_none_or(|until| at < until) {
            summary.add(entry);
        }
    };
    let verified = match &args.file {
        Some(file) => read(file, None, None, add)?,
        None => {
            let client = target::client(global)?;
            let platform = args.chain.platform;
            let request = ExportAuditRequest { platform };
            let mut lines = client.export_audit(&request).await?;
            let mut verifier = Verifier::default();
            let broken = |error| broken("the server's export", &error);
            while let Some(line) = lines.next().await {
                let entry = verifier.entry(&line?.line, &check_signature);
                if let Some(entry) = entry.map_err(broken)? {
                    add(&entry);
                }
            }
            verifier.finish(None).map_err(broken)?
        }
    };
    summary.tenant = verified.tenant;
    let head = summary.head.map(|it| it.to_string()).unwrap_or_default();
    output.answer(&summary, &head, || summary.markdown())
}
