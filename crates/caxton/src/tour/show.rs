//! How the tour looks. On standard output, step by step as it happens; silent where the answer is a
//! document.

use super::script::{ASKED, Chat, Deployed, ORDER, TOLD, Talk, Tour, WORK, Work};
use crate::cli::output::{Output, size};
use crate::cli::sequence::{Style, draw};
use crate::failure::Outcome;
use std::time::Duration;

/// The name under which the operator's messages go, and what the drawing calls it.
const ME: (&str, &str) = ("admin@default", "you");

/// Characters of a tool's result that are shown.
const RESULT_CHARS: usize = 56;

#[derive(Debug, Clone, Copy)]
pub struct Show {
    output: Output,
    bold: &'static str,
    dim: &'static str,
    green: &'static str,
    reset: &'static str,
}

impl Show {
    pub fn new(output: &Output) -> Self {
        let on = output.colors_stdout();
        let code = |code: &'static str| if on { code } else { "" };
        Self {
            output: *output,
            bold: code("\x1b[1m"),
            dim: code("\x1b[2m"),
            green: code("\x1b[1;32m"),
            reset: code("\x1b[0m"),
        }
    }

    fn say(&self, text: &str) -> Outcome {
        match self.output.is_table() {
            true => self.output.line(text),
            false => Ok(()),
        }
    }

    /// A numbered heading.
    fn step(&self, number: u8, text: &str) -> Outcome {
        let (bold, green, reset) = (self.bold, self.green, self.reset);
        self.say(&format!("\n {green}{number}{reset}  {bold}{text}{reset}"))
    }

    pub fn server(&self, url: &str, took: Duration) -> Outcome {
        let (bold, dim, reset) = (self.bold, self.dim, self.reset);
        self.say(&format!(
            "\n{bold}Caxton {}{reset}{dim} — agents in sandboxes that exchange durable messages{reset}",
            env!("CARGO_PKG_VERSION")
        ))?;
        self.step(1, "A server, with a store of its own")?;
        self.say(&format!("    {url} {dim}ready in {}{reset}", short(took)))
    }

    pub fn agents_begin(&self) -> Outcome {
        self.step(
            2,
            "Six agents, each a WebAssembly component in its own sandbox",
        )
    }

    pub fn agent(&self, deployed: Deployed) -> Outcome {
        let (dim, reset) = (self.dim, self.reset);
        self.say(&format!(
            "    {:<9} {:<40} {dim}{:>9}, running after {}{reset}",
            deployed.member.name,
            deployed.member.role,
            size(deployed.member.component.len() as u64),
            short(deployed.took)
        ))
    }

    pub fn echo(&self, echoed: &str) -> Outcome {
        let (dim, reset) = (self.dim, self.reset);
        self.say(&format!(
            "    {dim}you ask echo:{reset} hello {dim}→{reset} {echoed}"
        ))
    }

    pub fn talk(&self, talk: &Talk) -> Outcome {
        let (green, dim, reset) = (self.green, self.dim, self.reset);
        self.step(3, &format!("A negotiation: you ask the buyer to {ORDER}"))?;
        self.say(&format!(
            "    {dim}FIPA's Contract Net; every arrow is a durable message between two sandboxes{reset}\n"
        ))?;
        let style = Style {
            color: self.output.colors_stdout(),
            me: ME,
            indent: " ",
        };
        self.say(draw(&talk.messages, style).trim_end())?;
        self.say(&format!(
            "\n    {green}→{reset} {}  {dim}{} messages in {}{reset}",
            talk.outcome,
            talk.messages.len(),
            short(talk.took)
        ))
    }

    pub fn told(&self, chat: &Chat) -> Outcome {
        let (dim, reset) = (self.dim, self.reset);
        self.step(4, "An assistant, without a key")?;
        self.say(&format!(
            "    {dim}a mailbox for each session; its model is `{}`, others are a line in agent.toml{reset}",
            chat.model
        ))?;
        self.said(TOLD, &chat.before, "")
    }

    /// What each tool was asked and said, and the trace that all of it is of.
    pub fn worked(&self, work: &Work) -> Outcome {
        let (dim, reset, green) = (self.dim, self.reset, self.green);
        self.step(5, "The same with tools, on a short leash")?;
        self.say(&format!(
            "    {dim}agent.toml names what may be called; one is a component in a sandbox, one an MCP server\n    that is this binary again, over stdio; the model plays a script{reset}"
        ))?;
        self.say(&format!("    {dim}you{reset}        {WORK}"))?;
        for (call, result) in work.calls.iter().zip(&work.results) {
            let result: String = result.split_whitespace().collect::<Vec<_>>().join(" ");
            let short: String = result.chars().take(RESULT_CHARS).collect();
            let more = if short.len() < result.len() {
                "…"
            } else {
                ""
            };
            self.say(&format!(
                "    {dim}{:<5}{reset}      {:<18} {dim}{:>7.1} ms →{reset} {short}{more}",
                call.kind,
                call.tool,
                micros(call.duration_us),
            ))?;
        }
        self.say(&format!(
            "    {dim}clerk{reset}      {green}{}{reset}",
            work.answer
        ))?;
        let trace = work.calls.first().map_or("", |call| call.trace_id.as_str());
        self.say(&format!(
            "    {dim}each call is in the log, all in one trace: {trace}{reset}"
        ))
    }

    pub fn recalled(&self, chat: &Chat) -> Outcome {
        self.said(ASKED, &chat.after, self.green)
    }

    fn said(&self, question: &str, answer: &str, color: &str) -> Outcome {
        let (reset, dim) = (self.reset, self.dim);
        self.say(&format!("    {dim}you{reset}        {question}"))?;
        self.say(&format!(
            "    {dim}assistant{reset}  {color}{answer}{reset}"
        ))
    }

    pub fn counted(&self, what: &str, count: &str) -> Outcome {
        let (dim, reset) = (self.dim, self.reset);
        if count == "20" {
            self.step(6, "A count that outlives the server")?;
        }
        self.say(&format!(
            "    you → counter  request    {what:<7} {dim}→ inform{reset} {count}"
        ))
    }

    pub fn restarted(&self, url: &str, took: Duration) -> Outcome {
        let (dim, reset) = (self.dim, self.reset);
        self.say(&format!(
            "    {dim}the server stops, and starts again from its folder: {}, now at {url}{reset}",
            short(took)
        ))
    }

    pub fn remembered(&self, count: &str) -> Outcome {
        let (green, dim, reset) = (self.green, self.dim, self.reset);
        self.say(&format!(
            "    you → counter  query-ref  {:<7} {dim}→ inform{reset} {green}{count}{reset}",
            "get"
        ))
    }

    pub fn end(&self, tour: &Tour, stay: bool) -> Outcome {
        let (bold, dim, reset) = (self.bold, self.dim, self.reset);
        self.say(&format!(
            "\n {bold}{} agents, {} messages, one restart, nothing lost: {:.1} s{reset}",
            tour.deployed.len() + 2,
            tour.messages_total,
            tour.elapsed.as_secs_f64()
        ))?;
        if stay {
            return self.stay(tour);
        }
        self.say(&format!(
            "\n Next
    caxton try --stay                   {dim}the same, and the server stays for you to talk to{reset}
    caxton serve                        {dim}a server that keeps its data{reset}
    caxton agent deploy examples/echo   {dim}an agent of this repository; write yours after docs/write-an-agent.md{reset}
    caxton message send --to echo --wait 5s hello
    caxton agent deploy examples/assistant && caxton chat assistant"
        ))
    }

    fn stay(&self, tour: &Tour) -> Outcome {
        let (dim, reset) = (self.dim, self.reset);
        self.say(&format!(
            "\n The server stays until Ctrl-C, at {}. In another terminal:

    export CAXTON_DATA={}
    caxton agent list
    caxton message send --to echo --wait 5s hello
    caxton message send --to buyer --wait 10s \"buy 7 gadgets\"
    caxton chat assistant
    caxton conversation list
    caxton message watch            {dim}and send something from a third terminal{reset}
    caxton agent logs buyer
    curl -s {}/readyz?verbose",
            tour.url,
            tour.folder().display(),
            tour.url
        ))
    }
}

/// A duration in the unit that reads best.
fn short(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1000.0;
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1000.0),
    }
}

#[allow(clippy::cast_precision_loss)]
fn micros(us: u64) -> f64 {
    us as f64 / 1e3
}
