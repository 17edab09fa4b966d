//! Programs that tools run: an MCP server of the operator's, a browser. Each begins with the
//! environment it is given and no other, in a process group of its own, under limits that hold before
//! its first instruction; dropped, the whole group is killed, and what left it.

use crate::census;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::{Child, Command};

/// What a program may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of each of its processes; data, not address space, of which some programs reserve terabytes.
    pub memory_bytes_max: Option<u64>,
    /// Time on a processor, of each of its processes.
    pub cpu_seconds_max: Option<u64>,
    /// Open files of each of its processes.
    pub files_max: Option<u64>,
}

/// A program that runs.
#[derive(Debug)]
pub struct Running {
    pub child: Child,
    group: Option<i32>,
}

/// What a program is begun with.
#[derive(Debug)]
pub struct Start<'a> {
    pub program: &'a Path,
    pub args: Vec<String>,
    pub env: &'a BTreeMap<String, String>,
    pub working_dir: &'a Path,
    pub limits: Limits,
    /// Become descriptors 3, 4, … of the program.
    pub files: Vec<OwnedFd>,
    /// Its standard input and output are pipes; else there is nothing there.
    pub piped: bool,
}

/// The first descriptor that is not a standard one.
const FIRST_FD: i32 = 3;

/// Begins it.
pub fn start(start: Start<'_>) -> io::Result<Running> {
    let stdio = || {
        if start.piped {
            Stdio::piped()
        } else {
            Stdio::null()
        }
    };
    let mut command = Command::new(start.program);
    command
        .args(&start.args)
        .env_clear()
        .envs(start.env)
        .current_dir(start.working_dir)
        .stdin(stdio())
        .stdout(stdio())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    before_it_runs(&mut command, start.limits, start.files);
    let child = command.spawn()?;
    let group = child.id().and_then(|id| i32::try_from(id).ok());
    Ok(Running { child, group })
}

/// Sets limits and descriptors in the new process, before the program is there.
#[allow(
    unsafe_code,
    reason = "limits that are set from outside come after the program's first instructions"
)]
fn before_it_runs(command: &mut Command, limits: Limits, files: Vec<OwnedFd>) {
    let limits = [
        (libc::RLIMIT_DATA, limits.memory_bytes_max),
        (libc::RLIMIT_CPU, limits.cpu_seconds_max),
        (libc::RLIMIT_NOFILE, limits.files_max),
        (libc::RLIMIT_CORE, Some(0)),
    ];
    let set = move || {
        for (resource, limit) in limits {
            let Some(limit) = limit else { continue };
            let limit = libc::rlimit {
                rlim_cur: limit,
                rlim_max: limit,
            };
            // SAFETY: a plain system call on a value of our own.
            if unsafe { libc::setrlimit(resource, &limit) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        let count = i32::try_from(files.len()).unwrap_or(0);
        // Out of the way of each other first, then to where they belong, not closed on exec.
        let above = FIRST_FD + count;
        let mut moved = [0; 4];
        for (file, place) in files.iter().zip(&mut moved) {
            // SAFETY: as above; the descriptor is open, we own it.
            *place = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, above) };
            if *place < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        for (at, place) in (FIRST_FD..above).zip(moved) {
            // SAFETY: as above.
            if unsafe { libc::dup2(place, at) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: between fork and exec it makes system calls only, and allocates nothing.
    unsafe { command.pre_exec(set) };
}

impl Running {
    /// The number of its group, until it is killed.
    pub fn group(&self) -> Option<i32> {
        self.group
    }

    /// Kills it and all that it began.
    pub fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            // It may have ended by itself; until it is waited for, its number is nobody else's.
            census::end_all(group);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where a program is: as it is named where that is a path, or the first of this name on the path.
pub fn find(name: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    if name.contains('/') {
        return is_program(Path::new(name)).then(|| name.into());
    }
    std::env::split_paths(path?)
        .map(|folder| folder.join(name))
        .find(|it| is_program(it))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}
