//! `caxton job`: questions to agents whose answers are asked for later.

use super::agent::suggest;
use super::message::send::{body, content};
use super::message::{self, local};
use super::output::{Column, Output, ago, clock, coded, fields, short};
use super::{Global, page_size, parse, target};
use crate::failure::{Failure, Outcome};
use caxton_api::client::{Client, ClientError};
use caxton_api::v1::{
    CancelJobRequest, CreateJobRequest, DeleteJobRequest, GetJobRequest, Job, JobEvent,
    ListJobsRequest, ListJobsResponse, WatchJobRequest, create_job_request, message_draft,
};
use caxton_core::error::Code;
use clap::{Args, Subcommand};
use std::time::Duration;

/// Pauses before a stream that broke is opened again; after the last the wait has failed.
const AGAIN_MS: [u64; 6] = [100, 300, 1000, 2000, 4000, 8000];

#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// Submit a job; prints its id, or with --wait the answer's content.
    Submit(Box<SubmitArgs>),
    /// List jobs, the newest first.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show one job, with its answer.
    Show(Named),
    /// Wait for a job's end, then print its answer's content.
    Wait(WaitArgs),
    /// Cancel jobs: nobody waits for their answers any more.
    Cancel(Several),
    /// Remove jobs that are over; those that are not are cancelled.
    #[command(visible_alias = "rm")]
    Remove(Several),
}

#[derive(Debug, Args)]
pub struct SubmitArgs {
    /// The agent to ask.
    #[arg(value_name = "AGENT")]
    agent: String,
    /// What to ask; `-` reads standard input.
    #[arg(value_name = "TEXT")]
    text: Option<String>,
    /// One of FIPA's 22 communicative acts.
    #[arg(short, long, default_value = "request")]
    performative: String,
    /// How long the job may take, such as 15m; an hour where nothing is said.
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    timeout: Option<String>,
    /// Tries of giving it to the agent, the first included.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    attempts: Option<u32>,
    /// Wait for the end, and print the answer's content.
    #[arg(long)]
    wait: bool,
    /// The conversation it belongs to.
    #[arg(long, value_name = "ID")]
    conversation: Option<String>,
    /// The interaction protocol, such as fipa-request.
    #[arg(long)]
    protocol: Option<String>,
    /// The language of the content.
    #[arg(long)]
    language: Option<String>,
    /// The encoding of the content: a media type.
    #[arg(long)]
    encoding: Option<String>,
    /// The ontology of the content.
    #[arg(long)]
    ontology: Option<String>,
    /// A parameter of your own, its name beginning with X-; repeatable.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse::pair)]
    param: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only jobs of this agent.
    #[arg(long, default_value = "")]
    agent: String,
    /// Only jobs in this state: submitted, running, complete, failed or cancelled.
    #[arg(long, default_value = "")]
    state: String,
    /// At most so many.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

#[derive(Debug, Args)]
pub struct Named {
    /// The job's id.
    job: String,
}

#[derive(Debug, Args)]
pub struct Several {
    /// The jobs' ids.
    #[arg(required = true, value_name = "JOB")]
    jobs: Vec<String>,
}

#[derive(Debug, Args)]
pub struct WaitArgs {
    /// The job's id.
    job: String,
    /// Say on standard error what happens meanwhile.
    #[arg(long)]
    follow: bool,
}

pub async fn run(command: JobCommand, global: &Global, output: &Output) -> Outcome {
    let client = target::client(global)?;
    match command {
        JobCommand::Submit(args) => submit(*args, &client, output).await,
        JobCommand::List(args) => list(args, &client, output).await,
        JobCommand::Show(Named { job }) => {
            let job = client.get_job(&GetJobRequest { job }).await?;
            output.answer(&job, &job.id, || describe(&job))
        }
        JobCommand::Wait(args) => wait(args.job, args.follow, &client, output).await,
        JobCommand::Cancel(Several { jobs }) => {
            for job in jobs {
                let job = client.cancel_job(&CancelJobRequest { job }).await?;
                output.answer(&job, &job.id, || format!("{} {}\n", job.id, job.state))?;
            }
            Ok(())
        }
        JobCommand::Remove(Several { jobs }) => {
            for job in jobs {
                let request = DeleteJobRequest { job: job.clone() };
                client.delete_job(&request).await?;
                // One that was not over is cancelled, and stays to be read.
                let left = client.get_job(&GetJobRequest { job: job.clone() }).await;
                output.gone(&job, left.as_ref().map_or("removed", |it| &it.state))?;
            }
            Ok(())
        }
    }
}

async fn submit(args: SubmitArgs, client: &Client, output: &Output) -> Outcome {
    let (agent, waits) = (args.agent.clone(), args.wait);
    let job = match client.create_job(&request(args)?).await {
        Ok(job) => job,
        Err(error) => return Err(suggest(error.into(), &agent, client).await),
    };
    if waits {
        return wait(job.id, false, client, output).await;
    }
    output.answer(&job, &job.id, || format!("{}\n", job.id))
}

fn request(args: SubmitArgs) -> Outcome<CreateJobRequest> {
    Ok(CreateJobRequest {
        agent: args.agent,
        body: body(args.text)?.map(|body| match body {
            message_draft::Body::Content(text) => create_job_request::Body::Content(text),
            message_draft::Body::ContentBase64(bytes) => {
                create_job_request::Body::ContentBase64(bytes)
            }
        }),
        performative: args.performative,
        language: args.language,
        encoding: args.encoding,
        ontology: args.ontology,
        protocol: args.protocol,
        conversation_id: args.conversation,
        user_parameters: args.param.into_iter().collect(),
        timeout: args.timeout.unwrap_or_default(),
        attempts_max: args.attempts.unwrap_or_default(),
    })
}

async fn list(args: ListArgs, client: &Client, output: &Output) -> Outcome {
    let mut request = ListJobsRequest {
        agent: args.agent,
        state: args.state,
        ..ListJobsRequest::default()
    };
    let mut jobs = Vec::new();
    while jobs.len() < args.limit {
        request.page_size = page_size(args.limit, jobs.len());
        let page = client.list_jobs(&request).await?;
        jobs.extend(page.jobs);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    if jobs.is_empty() && output.is_table() {
        output.note("no jobs; `caxton job submit AGENT TEXT` submits one");
        return Ok(());
    }
    let columns = [
        Column::Text("ID"),
        Column::Text("AGENT"),
        Column::Text("STATE"),
        Column::Number("TRIES"),
        Column::Text("SINCE"),
        Column::Text("WHY"),
    ];
    let rows = jobs.iter().map(|job| {
        vec![
            job.id.clone(),
            local(&job.agent).to_owned(),
            job.state.clone(),
            job.attempts.to_string(),
            ago(job.create_time.as_ref()),
            short(&why(job), 48),
        ]
    });
    let rows = rows.collect();
    let names: Vec<String> = jobs.iter().map(|job| job.id.clone()).collect();
    let data = ListJobsResponse {
        jobs,
        next_page_token: request.page_token,
    };
    output.list(&data, &columns, rows, &names)
}

async fn wait(job: String, follow: bool, client: &Client, output: &Output) -> Outcome {
    let job = end_of(&job, follow, client, output).await?;
    if !output.is_table() {
        output.answer(&job, &job.id, String::new)?;
    } else if let Some(reply) = &job.reply {
        content(reply, output)?;
    }
    match (job.state.as_str(), &job.error) {
        ("complete", _) => Ok(()),
        (_, Some(error)) => {
            let code = Code::parse(&error.code).unwrap_or(Code::AgentFailed);
            Err(Failure::new(code, error.detail.clone()))
        }
        (state, None) => {
            output.note(&format!("{} is {state}", job.id));
            Err(Failure::silent())
        }
    }
}

/// Follows a job to its end, over streams that break: a server that restarts goes on with its jobs.
async fn end_of(id: &str, follow: bool, client: &Client, output: &Output) -> Outcome<Job> {
    let request = WatchJobRequest { job: id.to_owned() };
    let mut last: Option<String> = None;
    let mut pauses = AGAIN_MS.iter();
    loop {
        let resuming = match &last {
            Some(last) => client.clone().resuming_after(last)?,
            None => client.clone(),
        };
        let broken = match resuming.watch_job(&request).await {
            Ok(mut events) => loop {
                match events.next().await {
                    Some(Ok(event)) => {
                        pauses = AGAIN_MS.iter();
                        last = Some(event.id.clone());
                        match told(event, follow, output) {
                            Some(job) => return Ok(job),
                            None => continue,
                        }
                    }
                    Some(Err(error)) => break Some(error),
                    None => break None,
                }
            },
            Err(error) => Some(error),
        };
        match broken {
            // Its events are gone, but not the job.
            Some(error) if error.code() == Some(Code::ResumeLost.as_str()) => last = None,
            Some(error) if !may_come_back(&error) => return Err(error.into()),
            broken => {
                let Some(pause) = pauses.next() else {
                    let gone = || Failure::new(Code::ServerUnreachable, "the stream ended");
                    return Err(broken.map_or_else(gone, Failure::from));
                };
                tokio::time::sleep(Duration::from_millis(*pause)).await;
            }
        }
    }
}

fn may_come_back(error: &ClientError) -> bool {
    match error.problem() {
        Some(problem) => problem.status == 503 || problem.code == Code::StreamLagged.as_str(),
        None => true,
    }
}

/// Tells of an event; gives the job where it was the last.
fn told(event: JobEvent, follow: bool, output: &Output) -> Option<Job> {
    if follow {
        let said = event.message.as_ref().map(message::line);
        let said = said.unwrap_or_else(|| event.state.clone());
        output.note(&format!("{}  {said}", clock(event.time.as_ref())));
    }
    event.job
}

fn why(job: &Job) -> String {
    let error = job.error.as_ref();
    error.map_or(String::new(), |it| coded(&it.code, &it.detail))
}

fn describe(job: &Job) -> String {
    let time = |time: Option<caxton_api::wkt::Timestamp>| {
        time.map(|time| time.to_string()).unwrap_or_default()
    };
    // Of one that is over it says nothing any more.
    let ends_by = match job.end_time {
        Some(_) => String::new(),
        None => time(job.expire_time),
    };
    let rows = [
        ("job", job.id.clone()),
        ("agent", job.agent.clone()),
        ("state", job.state.clone()),
        ("why", why(job)),
        (
            "conversation",
            job.conversation_id.clone().unwrap_or_default(),
        ),
        ("submitted", time(job.create_time)),
        ("by", job.creator.clone()),
        ("begun", time(job.start_time)),
        ("over", time(job.end_time)),
        ("must end by", ends_by),
        ("tries", format!("{} of {}", job.attempts, job.attempts_max)),
    ];
    let rows: Vec<_> = rows.into_iter().filter(|row| !row.1.is_empty()).collect();
    let head = fields(&rows);
    match &job.reply {
        Some(reply) => format!("{head}\n{}", message::describe(reply)),
        None => head,
    }
}
