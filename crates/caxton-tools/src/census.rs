//! What programs use together. The limits of [`crate::process`] are of each process, and a browser is
//! a dozen of them: here the processes of a program are found in `/proc`, what they use is summed up, and
//! a program past its bounds is ended. Where there is no `/proc`, nothing is found and nothing ended.

use caxton_engine::task::Tasks;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

/// How often it is looked.
const INTERVAL: Duration = Duration::from_millis(250);
/// Processes of this machine that are looked at, of the first that are told.
const PROCESSES_MAX: usize = 65_536;
/// Times that a program which is to end is looked at for what it began meanwhile.
const ROUNDS_MAX: usize = 8;
/// Ticks of a second in `/proc/PID/stat` (`USER_HZ`; proc(5)): the kernel's promise to programs, whatever
/// its own clock does.
const TICKS_PER_SECOND: u64 = 100;

/// What a program and all that it began may use together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Memory of their own: not what is read from files.
    pub memory_bytes_max: u64,
    /// Time on processors since it began.
    pub cpu_seconds_max: u64,
}

/// A process, as it is told in `/proc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    id: i32,
    parent: i32,
    group: i32,
    /// Its own time and that of its children that ended.
    ticks: u64,
}

/// A program that is watched.
#[derive(Debug)]
pub struct Watched {
    bounds: Bounds,
    ended: OnceLock<String>,
}

impl Watched {
    /// Why it was ended, if it was.
    pub fn ended(&self) -> Option<&str> {
        self.ended.get().map(String::as_str)
    }
}

type Groups = Mutex<HashMap<i32, Arc<Watched>>>;

/// All programs that are watched.
#[derive(Clone, Debug, Default)]
pub struct Census {
    groups: Arc<Groups>,
    begun: Arc<AtomicBool>,
    tasks: Tasks,
}

/// Watches one program. To be dropped before the program is: its number may be another's then.
#[derive(Debug)]
pub struct Guard {
    groups: Arc<Groups>,
    group: i32,
    pub watched: Arc<Watched>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.groups.lock().remove(&self.group);
    }
}

impl Census {
    /// Watches the program whose first process leads a group of this number.
    pub fn watch(&self, group: i32, bounds: Bounds) -> Guard {
        let watched = Arc::new(Watched {
            bounds,
            ended: OnceLock::new(),
        });
        self.groups.lock().insert(group, Arc::clone(&watched));
        if !self.begun.swap(true, Ordering::AcqRel) {
            let looking = look(Arc::downgrade(&self.groups));
            self.tasks.spawn_until_stop("programs' census", looking);
        }
        Guard {
            groups: Arc::clone(&self.groups),
            group,
            watched,
        }
    }
}

async fn look(groups: Weak<Groups>) {
    let mut turn = tokio::time::interval(INTERVAL);
    turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        turn.tick().await;
        let Some(groups) = groups.upgrade() else {
            return;
        };
        if groups.lock().is_empty() {
            continue;
        }
        let looked = tokio::task::spawn_blocking(move || judge(&groups)).await;
        if let Err(error) = looked {
            tracing::warn!(%error, "what programs use could not be looked at");
        }
    }
}

fn judge(groups: &Groups) {
    let all = processes();
    let watched: Vec<(i32, Arc<Watched>)> = {
        let groups = groups.lock();
        let each = groups.iter();
        each.map(|(group, it)| (*group, Arc::clone(it))).collect()
    };
    for (group, watched) in watched {
        let own = members(&all, group);
        let memory: u64 = own.iter().map(|it| memory_bytes(it.id)).sum();
        let cpu = own.iter().map(|it| it.ticks).sum::<u64>() / TICKS_PER_SECOND;
        let Some(why) = past(watched.bounds, memory, cpu) else {
            continue;
        };
        // While it stands in the list its number is nobody else's.
        let groups = groups.lock();
        if groups.contains_key(&group) {
            let _ = watched.ended.set(why);
            end(group, &own);
        }
    }
}

fn past(bounds: Bounds, memory_bytes: u64, cpu_seconds: u64) -> Option<String> {
    if memory_bytes > bounds.memory_bytes_max {
        let max = bounds.memory_bytes_max;
        return Some(format!("it used more than {max} bytes of memory"));
    }
    if cpu_seconds > bounds.cpu_seconds_max {
        let max = bounds.cpu_seconds_max;
        return Some(format!("it used more than {max} s of processor time"));
    }
    None
}

/// Ends a program and all that it began, in groups of their own too. What began in such a group and lost
/// its parent before is not known to be its. To be called while the group's number is nobody else's.
pub fn end_all(group: i32) {
    let mut found = members(&processes(), group);
    for _ in 0..ROUNDS_MAX {
        // What stands still begins nothing.
        signal(group, &found, Signal::STOP);
        let again = members(&processes(), group);
        let is_all = again.len() <= found.len();
        found = again;
        if is_all {
            break;
        }
    }
    end(group, &found);
}

fn end(group: i32, members: &[Process]) {
    signal(group, members, Signal::KILL);
}

fn signal(group: i32, members: &[Process], signal: Signal) {
    if let Some(group) = Pid::from_raw(group) {
        let _ = kill_process_group(group, signal);
    }
    // Those that left the group.
    for id in members.iter().filter(|it| it.group != group) {
        if let Some(id) = Pid::from_raw(id.id) {
            let _ = kill_process(id, signal);
        }
    }
}

/// All of this machine's, as far as they are seen from here.
fn processes() -> Vec<Process> {
    let Ok(found) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let ids = found.flatten().filter_map(|it| {
        let name = it.file_name();
        name.to_str()?.parse::<i32>().ok()
    });
    let told = ids.filter_map(|id| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        process(&stat)
    });
    told.take(PROCESSES_MAX).collect()
}

/// `proc_pid_stat(5)`: the name in brackets may have any characters, brackets too.
fn process(stat: &str) -> Option<Process> {
    let (head, tail) = stat.rsplit_once(')')?;
    let id = head.split_once(' ')?.0.parse().ok()?;
    // The third field, the state, is the first here.
    let fields: Vec<&str> = tail.split_ascii_whitespace().take(15).collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<i64>().ok();
    let times = [14, 15, 16, 17].map(number);
    let ticks: i64 = times.into_iter().flatten().sum();
    Some(Process {
        id,
        parent: number(4)?.try_into().ok()?,
        group: number(5)?.try_into().ok()?,
        ticks: ticks.try_into().unwrap_or(0),
    })
}

/// Those of a group, and all that they began.
fn members(all: &[Process], group: i32) -> Vec<Process> {
    let own = |it: &&Process| it.group == group;
    let mut found: Vec<Process> = all.iter().filter(own).copied().collect();
    let mut known: HashSet<i32> = found.iter().map(|it| it.id).collect();
    // Each round finds the children of the last; there are no more rounds than processes.
    for _ in 0..all.len() {
        let new = |it: &&Process| known.contains(&it.parent) && !known.contains(&it.id);
        let children: Vec<Process> = all.iter().filter(new).copied().collect();
        if children.is_empty() {
            break;
        }
        known.extend(children.iter().map(|it| it.id));
        found.extend(children);
    }
    found
}

/// What a process has of its own: not in files, and in what is swapped out too.
fn memory_bytes(id: i32) -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc").join(id.to_string()).join("status"));
    status.map_or(0, |status| own_bytes(&status))
}

/// `proc_pid_status(5)`.
fn own_bytes(status: &str) -> u64 {
    let own = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let is_own = matches!(name, "RssAnon" | "RssShmem" | "VmSwap");
        let kib = value.trim().strip_suffix(" kB").filter(|_| is_own)?;
        kib.trim().parse::<u64>().ok()
    };
    status.lines().filter_map(own).sum::<u64>() * 1_024
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::process::{Limits, Running, Start, start};
    use std::collections::BTreeMap;

    #[test]
    fn a_process_is_read_whatever_it_is_called() {
        let stat = "42 (a) b (c)) S 7 40 40 0 -1 4194560 9 9 9 9 11 5 2 1 20 0 1 0 100 1 1";
        let read = process(stat).unwrap();
        let expected = Process {
            id: 42,
            parent: 7,
            group: 40,
            ticks: 19,
        };
        assert_eq!(read, expected);
        for bad in ["", "42", "42 (a) S", "x (a) S 1 2 3", "42 (a) S one two"] {
            assert_eq!(process(bad), None, "{bad}");
        }
        let status = "Name:\tRssAnon\nVmRSS:\t  900 kB\nRssAnon:\t  100 kB\nRssFile:\t 700 kB\n\
            RssShmem:\t 20 kB\nVmSwap:\t 3 kB\n";
        assert_eq!(own_bytes(status), 123 * 1_024);
    }

    #[test]
    fn all_that_a_program_began_is_its() {
        let of = |id, parent, group| Process {
            id,
            parent,
            group,
            ticks: 1,
        };
        // 12 left the group, and 13 is its child; 20 is somebody else's.
        let all = [
            of(13, 12, 12),
            of(10, 1, 10),
            of(11, 1, 10),
            of(12, 10, 12),
            of(20, 1, 20),
        ];
        let mut found: Vec<i32> = members(&all, 10).iter().map(|it| it.id).collect();
        found.sort_unstable();
        assert_eq!(found, [10, 11, 12, 13]);
        assert_eq!(members(&all, 99), []);
    }

    fn shell(script: &str) -> Running {
        start(Start {
            program: Path::new("/bin/sh"),
            args: vec!["-c".to_owned(), script.to_owned()],
            env: &BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
            working_dir: Path::new("/"),
            limits: Limits {
                memory_bytes_max: None,
                cpu_seconds_max: None,
                files_max: None,
            },
            files: Vec::new(),
            piped: false,
        })
        .unwrap()
    }

    async fn ended(script: &str, bounds: Bounds) -> String {
        let census = Census::default();
        let mut running = shell(script);
        let guard = census.watch(running.group().unwrap(), bounds);
        running.child.wait().await.unwrap();
        guard.watched.ended().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn a_program_is_ended_for_what_its_children_use() {
        let bounds = Bounds {
            memory_bytes_max: 64 << 20,
            cpu_seconds_max: 3_600,
        };
        // One line without an end: all of it is kept. In a session of its own, too.
        let why = ended("setsid -w tail -n 1 /dev/zero & wait", bounds).await;
        assert!(why.contains("67108864 bytes of memory"), "{why}");
        let bounds = Bounds {
            memory_bytes_max: 1 << 40,
            cpu_seconds_max: 0,
        };
        let why = ended("(while :; do :; done) & wait", bounds).await;
        assert!(why.contains("0 s of processor time"), "{why}");
        // What stays below runs to its end.
        let bounds = Bounds {
            memory_bytes_max: 1 << 40,
            cpu_seconds_max: 3_600,
        };
        assert_eq!(ended("true", bounds).await, "");
    }
}
