//! What ten thousand agents with nothing to do keep in memory: measured in a process of its own, so
//! that nothing else that this program did is counted.

use crate::Run;
use crate::measure::Scores;
use crate::report::{Goal, Report, Row, Side};
use crate::world::{agent, app_on, content, ctx, example, manifest, request, until, wasm_runtime};
use anyhow::{Context as _, ensure};
use caxton_core::manifest::Durability;
use caxton_core::{AgentId, TenantId};
use caxton_engine::app::Package;
use caxton_engine::port::{Clock, Runtime, SystemClock};
use caxton_engine::{App, OpCtx, Options};
use caxton_store::SqliteStore;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const AGENTS: usize = 10_000;
/// Agents that are there before, so that what the first ones cost once is not counted.
const BEFORE: usize = 50;
/// Deployments at a time.
const AT_ONCE: usize = 64;
const KIB: &str = "KiB each";

/// What the other process prints.
#[derive(Debug, Serialize, Deserialize)]
struct Found {
    /// How many could be resident: the machine gives mappings for so many.
    residents: usize,
    /// Deployed and running, never asked.
    deployed_kib: f64,
    /// Asked once and sent home.
    zero_kib: f64,
    /// Asked once and resident: all of it, and what of that the guests themselves have touched.
    live_kib: f64,
    touched_kib: f64,
}

pub async fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let agents = run.scaled(AGENTS);
    let program = std::env::current_exe().context("find the bench's own program")?;
    let output = tokio::task::block_in_place(|| {
        Command::new(program)
            .arg(crate::IDLE_PROBE)
            .arg(agents.to_string())
            .arg(run.scratch.join("idle"))
            .output()
    })?;
    ensure!(
        output.status.success(),
        "the measured process: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let found: Found = serde_json::from_slice(&output.stdout).context("read what it found")?;
    let side = |who: &str, value: f64| Side::of(who, &[Scores::from([(KIB, value)])], KIB);
    let beyond = found.live_kib - found.touched_kib;
    let work = format!(
        "{agents} agents of the bounce component on SQLite: growth of the resident set of a process of its \
         own, and of its page tables, divided by them."
    );
    report.add(
        Row::new("idle", "10,000 idle agents, scaled to zero", KIB)
            .work(format!(
                "{work} Each has handled a message and left memory."
            ))
            .ours(side("caxton", found.zero_kib))
            .goal(Goal::AtMost(64.0))
            .beside(side("deployed, never asked", found.deployed_kib)),
    );
    let stay = found.residents;
    report.add(
        Row::new("idle", "10,000 idle agents, resident", KIB)
            .work(format!(
                "{work} {stay} of them, for which the machine has mappings (vm.max_map_count), stay: each has handled a message and its instance stays. Without the pages of linear \
                 memory that the guest has touched, its data and stack among them, as smaps tells them."
            ))
            .ours(side("caxton", beyond))
            .goal(Goal::AtMost(64.0))
            .beside(side("touched by the guest", found.touched_kib))
            .beside(side("all together", found.live_kib)),
    );
    Ok(())
}

/// The measured process.
pub async fn probe(agents: usize, folder: &Path) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = SqliteStore::open(caxton_store::Options::new(folder, clock))?;
    let runtime = wasm_runtime(None, agents + BEFORE)?;
    // Fewer than asked for where the machine's limit on mappings does not give them.
    let places = runtime.instances_max().unwrap_or(usize::MAX);
    let resident_max = agents.min(places.saturating_sub(BEFORE));
    let options = Options {
        idle_linger: Duration::from_millis(100),
        sweep_interval: Duration::from_millis(50),
        ..Options::default()
    };
    let app = app_on(Arc::new(store), runtime, options).await?;
    let ctx = ctx(&TenantId::default_tenant());
    let server = Server { app, ctx };
    let before = server.deploy("before", BEFORE, false).await?;
    server.ask(&before).await?;
    server.gone_home().await;
    let (start, _) = resident()?;
    let sleepers = server.deploy("sleeper", agents, false).await?;
    let deployed = resident()?.0;
    server.ask(&sleepers).await?;
    server.gone_home().await;
    let zero = resident()?.0;
    let residents = server.deploy("resident", resident_max, true).await?;
    let (before_live, touched_before) = resident()?;
    server.ask(&residents).await?;
    let (live, touched) = resident()?;
    let each = |from: u64, to: u64, count: usize| to.saturating_sub(from) as f64 / count as f64;
    // A resident agent costs what its registration costs, and what its instance does.
    let registered = each(start, deployed, agents);
    let found = Found {
        residents: resident_max,
        deployed_kib: registered,
        zero_kib: each(start, zero, agents),
        live_kib: registered + each(before_live, live, resident_max),
        touched_kib: each(touched_before, touched, resident_max),
    };
    println!("{}", serde_json::to_string(&found)?);
    server.app.stop(Duration::ZERO).await;
    let _ = std::fs::remove_dir_all(folder);
    Ok(())
}

struct Server {
    app: App,
    ctx: OpCtx,
}

impl Server {
    async fn deploy(&self, name: &str, count: usize, stay: bool) -> anyhow::Result<Vec<AgentId>> {
        let component = example("bounce")?;
        let ids = (0..count).map(|index| agent(&self.ctx.tenant, &format!("{name}-{index}")));
        let ids = ids.collect::<anyhow::Result<Vec<_>>>()?;
        for some in ids.chunks(AT_ONCE) {
            let deployed = some.iter().map(|id| {
                let mut manifest = manifest(&id.name, Durability::Transient);
                manifest.instance.resident = stay;
                let package = Package {
                    manifest,
                    component: Some(component.clone()),
                };
                self.app.agent_deploy(&self.ctx, package, true)
            });
            futures::future::try_join_all(deployed).await?;
        }
        Ok(ids)
    }

    /// Sends each a message and waits until all are handled.
    async fn ask(&self, ids: &[AgentId]) -> anyhow::Result<()> {
        let goal = self.app.message_totals().1 + ids.len() as u64;
        for id in ids {
            let acl = request(id.clone(), "first", content())?;
            self.app.message_send(&self.ctx, acl, None).await?;
        }
        until(|| self.app.message_totals().1 >= goal).await;
        Ok(())
    }

    async fn gone_home(&self) {
        until(|| self.app.metrics().mailboxes_live.get() == 0).await;
    }
}

/// Resident KiB of this process with its page tables, and those among them that belong to guests'
/// linear memories.
fn resident() -> anyhow::Result<(u64, u64)> {
    let smaps = std::fs::read_to_string("/proc/self/smaps").context("read smaps")?;
    let status = std::fs::read_to_string("/proc/self/status").context("read status")?;
    let tables = status.lines().find_map(|line| line.strip_prefix("VmPTE:"));
    let tables = tables.and_then(|size| size.trim().trim_end_matches(" kB").parse::<u64>().ok());
    let (all, touched) = count(&smaps);
    Ok((all + tables.context("status tells no VmPTE")?, touched))
}

/// A linear memory is the mapping of its module's image and the writable ones that touch it: between
/// two memories of the pool lie gigabytes that nobody may touch.
fn count(smaps: &str) -> (u64, u64) {
    let mappings = mappings(smaps);
    let all = mappings.iter().map(|mapping| mapping.kib).sum();
    let mut touched = 0;
    let mut run = Vec::new();
    for mapping in &mappings {
        let joins = run
            .last()
            .is_some_and(|last: &&Mapping| last.end == mapping.begin);
        if !mapping.writable || !joins {
            touched += guest_kib(&run);
            run.clear();
        }
        if mapping.writable {
            run.push(mapping);
        }
    }
    (all, touched + guest_kib(&run))
}

/// What a run of adjoining writable mappings holds, if one of them is a module's image.
fn guest_kib(run: &[&Mapping]) -> u64 {
    if run.iter().any(|mapping| mapping.image) {
        run.iter().map(|mapping| mapping.kib).sum()
    } else {
        0
    }
}

struct Mapping {
    begin: u64,
    end: u64,
    writable: bool,
    image: bool,
    kib: u64,
}

fn mappings(smaps: &str) -> Vec<Mapping> {
    let mut mappings: Vec<Mapping> = Vec::new();
    for line in smaps.lines() {
        if let Some(kib) = line.strip_prefix("Rss:") {
            let kib = kib.trim().trim_end_matches(" kB").parse();
            if let (Some(last), Ok(kib)) = (mappings.last_mut(), kib) {
                last.kib = kib;
            }
            continue;
        }
        let mut words = line.split_whitespace();
        let (Some(range), Some(access)) = (words.next(), words.next()) else {
            continue;
        };
        let Some((begin, end)) = range.split_once('-') else {
            continue;
        };
        let address = |text| u64::from_str_radix(text, 16);
        if let (Ok(begin), Ok(end)) = (address(begin), address(end)) {
            mappings.push(Mapping {
                begin,
                end,
                writable: access.starts_with("rw"),
                image: line.contains("memfd:wasm-memory-image"),
                kib: 0,
            });
        }
    }
    mappings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_its_image_and_what_adjoins_it() {
        let smaps = "\
1000-2000 rw-p 00000000 00:00 0\nRss:                  4 kB\n\
2000-3000 rw-p 00000000 00:01 9 /memfd:wasm-memory-image (deleted)\nRss:  8 kB\n\
3000-4000 ---p 00000000 00:00 0\nRss:                  0 kB\n\
4000-5000 rw-p 00000000 00:00 0\nRss:                 16 kB\n\
6000-7000 rw-p 00000000 00:01 9 /memfd:wasm-memory-image (deleted)\nRss: 32 kB\n";
        assert_eq!(count(smaps), (60, 44));
    }
}
