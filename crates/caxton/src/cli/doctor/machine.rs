//! The machine: what a server takes of it.

use super::{Finding, ok, warn};
use crate::folder::Folder;
use caxton_api::wkt::Timestamp;
use rustix::process::{Resource, getrlimit};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Each connection is an open file, and so are databases and code: below this, a few hundred clients
/// are all there may be.
const OPEN_FILES_WARN: u64 = 4096;
/// Files whose times are this far ahead were not written by this clock.
const CLOCK_SLACK: Duration = Duration::from_secs(120);

/// A clock that was set back shows in what was written by it before.
pub(super) fn clock(folder: &Folder) -> Finding {
    const WHAT: &str = "clock";
    let now = SystemTime::now();
    let files = super::data::files(folder).into_iter();
    let times = files.filter_map(|path| std::fs::metadata(path).ok()?.modified().ok());
    let ahead = times.filter_map(|time| time.duration_since(now).ok()).max();
    match ahead.filter(|ahead| *ahead > CLOCK_SLACK) {
        None => ok(WHAT, told(now)),
        Some(ahead) => warn(
            WHAT,
            format!("the data was written {} s in the future", ahead.as_secs()),
            "set the clock and keep it by NTP (`timedatectl set-ntp true`): keys, tokens and jobs expire by it",
        ),
    }
}

fn told(now: SystemTime) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    Timestamp { seconds, nanos: 0 }.to_string()
}

/// Of the server that runs on the folder; else of what would be started from here.
pub(super) fn open_files(folder: Option<&Folder>) -> Finding {
    const WHAT: &str = "open files";
    const CURE: &str =
        "`ulimit -n 65536` before `caxton serve`, or LimitNOFILE=65536 in its systemd unit";
    let running = folder.and_then(Folder::running);
    let server = running.filter(|it| it.is_alive()).map(|it| it.process_id);
    let of_server = server.and_then(limit_of);
    let (limit, whose) = match of_server {
        Some(limit) => (limit, "the server"),
        None => {
            let limit = getrlimit(Resource::Nofile).current;
            (limit.unwrap_or(u64::MAX), "a server started from here")
        }
    };
    match limit {
        u64::MAX => ok(WHAT, format!("no limit for {whose}")),
        ..OPEN_FILES_WARN => warn(WHAT, format!("{limit} for {whose}: one a connection"), CURE),
        limit => ok(WHAT, format!("{limit} for {whose}")),
    }
}

/// The limit that a process has now, where the system tells it.
fn limit_of(process: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/limits")).ok()?;
    open_files_of(&text)
}

fn open_files_of(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|it| it.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// A sandbox takes some mappings, and Linux gives a process so many.
pub(super) fn mappings() -> Finding {
    const WHAT: &str = "memory mappings";
    let Ok(text) = std::fs::read_to_string("/proc/sys/vm/max_map_count") else {
        return ok(WHAT, "no limit that is known");
    };
    let mappings: u64 = text.trim().parse().unwrap_or(0);
    let sandboxes = caxton_wasm::instances_max(u32::MAX, Some(mappings));
    ok(
        WHAT,
        format!(
            "{mappings} a process, room for about {sandboxes} live sandboxes (vm.max_map_count)"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_a_process_is_read_as_linux_writes_it() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max processes             30446                30446                processes \n\
                    Max open files            1024                 524288               files     \n";
        assert_eq!(open_files_of(text), Some(1024));
        assert_eq!(
            open_files_of("Max open files   unlimited  unlimited  files"),
            Some(u64::MAX)
        );
        assert_eq!(open_files_of(""), None);
    }
}
