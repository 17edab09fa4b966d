//! `caxton agent logs`: what an agent wrote, and what it writes.

use super::found;
use crate::cli::output::{Output, clock, printable};
use crate::failure::Outcome;
use caxton_api::client::Client;
use caxton_api::v1::{ListLogsRequest, LogEntry, WatchLogsRequest};
use clap::Args;

#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The agent's name.
    agent: String,
    /// Go on as lines come, until Ctrl-C.
    #[arg(short, long)]
    follow: bool,
    /// The newest so many lines, 1 to 1000.
    #[arg(short = 'n', long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    lines: u32,
    /// Only lines at least as severe: trace, debug, info, warn or error.
    #[arg(long, default_value = "")]
    level: String,
}

pub async fn run(args: LogsArgs, client: &Client, output: &Output) -> Outcome {
    if args.follow {
        return follow(args, client, output).await;
    }
    let request = ListLogsRequest {
        agent: args.agent.clone(),
        page_size: args.lines,
        level: args.level,
        ..ListLogsRequest::default()
    };
    let answer = client.list_logs(&request).await;
    let page = found(answer, &args.agent, client).await?;
    if page.entries.is_empty() && output.is_table() {
        let agent = printable(&args.agent);
        output.note(&match request.level.as_str() {
            "" => format!(
                "{agent} logged nothing yet; what its code logs or prints appears here, and faults of its handler"
            ),
            level => format!("{agent} logged nothing of level {} or above", printable(level)),
        });
        return Ok(());
    }
    if output.is_table() {
        let lines: String = page
            .entries
            .iter()
            .map(|entry| format!("{}\n", line(entry)))
            .collect();
        return output.print(&lines);
    }
    output.list(
        &page,
        &[],
        Vec::new(),
        &page
            .entries
            .iter()
            .map(|entry| entry.id.clone())
            .collect::<Vec<_>>(),
    )
}

async fn follow(args: LogsArgs, client: &Client, output: &Output) -> Outcome {
    let request = WatchLogsRequest {
        agent: args.agent.clone(),
        tail: args.lines,
        level: args.level,
    };
    let answer = client.watch_logs(&request).await;
    let mut stream = found(answer, &args.agent, client).await?;
    while let Some(entry) = stream.next().await {
        let entry = entry?;
        output.item(&entry, &entry.id, || line(&entry))?;
    }
    Ok(())
}

fn line(entry: &LogEntry) -> String {
    format!(
        "{}  {:<5}  {:<6}  {}",
        clock(entry.time.as_ref()),
        entry.level,
        entry.source,
        printable(&entry.text)
    )
}
