//! The child's side: limits first, then one component in, one answer out.

use super::{ANSWER_CODE, ANSWER_END, ANSWER_REFUSAL, GREETING, HEADER_BYTES_MAX};
use crate::engine;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::io::{self, Read, Write};
use std::process::ExitCode;

/// Descriptors a compilation may have open: its pipes and a few for the allocator.
const FILES_MAX: u64 = 64;

/// Runs a compilation worker: what the binary does for its hidden subcommand `compile-worker`.
/// Reads standard input, writes standard output, and takes no other notice of the world.
pub fn worker_main() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be listening any more.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

struct Header {
    memory_bytes: u64,
    cpu_seconds: u64,
    component_bytes: u64,
}

fn work() -> io::Result<()> {
    let mut input = io::stdin().lock();
    let header = read_header(&mut input)?;
    limit(&header)?;
    let mut component = Vec::new();
    let read = input
        .take(header.component_bytes)
        .read_to_end(&mut component)?;
    if read as u64 != header.component_bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let compiled = engine::compiler()
        .map_err(|error| error.detail)
        .and_then(|engine| {
            engine
                .precompile_component(&component)
                .map_err(|error| format!("{error:#}"))
        });
    let (kind, body) = match compiled {
        Ok(code) => (ANSWER_CODE, code),
        Err(text) => (ANSWER_REFUSAL, text.into_bytes()),
    };
    let mut output = io::stdout().lock();
    output.write_all(&[kind])?;
    output.write_all(&body)?;
    output.write_all(&[ANSWER_END])?;
    output.flush()
}

/// One byte at a time: nothing beyond the line may be taken from the component.
fn read_header(input: &mut impl Read) -> io::Result<Header> {
    let mut line = Vec::new();
    loop {
        let mut byte = [0_u8];
        input.read_exact(&mut byte)?;
        if byte == *b"\n" {
            break;
        }
        line.extend(byte);
        if line.len() > HEADER_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    parse_header(&line).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "the compile worker is started by the server alone",
        )
    })
}

fn parse_header(line: &[u8]) -> Option<Header> {
    let numbers = std::str::from_utf8(line).ok()?.strip_prefix(GREETING)?;
    let mut numbers = numbers.split_ascii_whitespace().map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(Header {
        memory_bytes: next()?,
        cpu_seconds: next()?,
        component_bytes: next()?,
    })
}

fn limit(header: &Header) -> io::Result<()> {
    let limits = [
        (Resource::As, header.memory_bytes),
        (Resource::Cpu, header.cpu_seconds),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nofile, FILES_MAX),
    ];
    for (resource, max) in limits {
        let limit = Rlimit {
            current: Some(max),
            maximum: Some(max),
        };
        setrlimit(resource, limit)?;
    }
    // Agents go before compilations. Where the system does not let us step back, we do not.
    let _ = rustix::process::nice(NICENESS);
    Ok(())
}

/// How far a compilation steps back behind the server's own threads.
const NICENESS: i32 = 5;
