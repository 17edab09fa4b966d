//! One browser with one page: begun, led somewhere, read, clicked and typed into.

use super::Options;
use super::pipe::Pipe;
use super::proxy::{HELLO, Proxy};
use crate::census::{Bounds, Census, Guard};
use crate::http::Connector;
use crate::process::{self, Limits, Running, Start};
use caxton_engine::port::tool::{ToolFault, ToolFaultKind};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use url::Url;

/// How long a page may take to load before what there is of it is taken.
const LOAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How long what a click begins is waited for.
const SETTLE_TIMEOUT: Duration = Duration::from_millis(1_500);
/// From the beginning to the browser's first word.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a browser's complaints that are told.
const COMPLAINT_BYTES_MAX: u64 = 4 << 10;
/// Bytes of what was loaded that are kept for later.
const CACHE_BYTES_MAX: u64 = 32 << 20;
/// Of a browser's memory, what one page's scripts may have: a quarter.
const SCRIPT_SHARE: u64 = 4;
/// Open files of each process of a browser.
const FILES_MAX: u64 = 4_096;
/// How pictures are made until one is small enough: format, quality, and scale in percent.
const PICTURES: [(&str, u32, u32); 4] = [
    ("png", 0, 100),
    ("jpeg", 70, 100),
    ("jpeg", 50, 50),
    ("jpeg", 30, 25),
];

/// A browser of one session. Dropped, it is killed, and its profile removed.
#[derive(Debug)]
pub struct Browser {
    pipe: Pipe,
    page: String,
    pub proxy: Proxy,
    // Before the program: its number is another's when it is gone.
    guard: Guard,
    _running: Running,
    _profile: TempDir,
}

fn internal(error: impl std::fmt::Display) -> ToolFault {
    ToolFault::new(ToolFaultKind::Internal, format!("the browser: {error}"))
}

fn args(options: &Options, profile: &Path, proxy: &Proxy) -> Vec<String> {
    let mut args: Vec<String> = [
        "--headless",
        "--remote-debugging-pipe",
        "--no-first-run",
        "--no-default-browser-check",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-extensions",
        "--disable-sync",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-domain-reliability",
        "--disable-quic",
        "--dns-prefetch-disable",
        "--no-pings",
        "--mute-audio",
        "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
        // All goes by the proxy, what is on this machine too, and no name is resolved.
        "--proxy-bypass-list=<-loopback>",
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
        "--window-size=1280,900",
    ]
    .map(str::to_owned)
    .into();
    let script_mib = (options.memory_bytes_max / SCRIPT_SHARE) >> 20;
    args.push(format!(
        "--js-flags=--max-old-space-size={}",
        script_mib.max(1)
    ));
    args.push(format!("--disk-cache-size={CACHE_BYTES_MAX}"));
    args.push(format!("--proxy-server=http://{}", proxy.at));
    args.push(format!("--user-data-dir={}", profile.display()));
    if !options.sandbox {
        args.push("--no-sandbox".to_owned());
    }
    args.push("about:blank".to_owned());
    args
}

impl Browser {
    pub async fn start(
        options: &Options,
        program: &Path,
        connector: Connector,
        census: &Census,
    ) -> Result<Self, ToolFault> {
        let proxy = Proxy::start(connector).await.map_err(internal)?;
        let profile = tempfile::tempdir().map_err(internal)?;
        let (its_input, input) = std::io::pipe().map_err(internal)?;
        let (output, its_output) = std::io::pipe().map_err(internal)?;
        let home = profile.path().display().to_string();
        let env: BTreeMap<String, String> = [
            ("HOME", home.as_str()),
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("LANG", "C.UTF-8"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let mut running = process::start(Start {
            program,
            args: args(options, profile.path(), &proxy),
            env: &env,
            working_dir: profile.path(),
            limits: Limits {
                // All of them together are watched, at intervals; this holds in between.
                memory_bytes_max: Some(options.memory_bytes_max.saturating_mul(2)),
                cpu_seconds_max: Some(options.cpu_seconds_max),
                files_max: Some(FILES_MAX),
            },
            files: vec![OwnedFd::from(its_input), OwnedFd::from(its_output)],
            piped: false,
        })
        .map_err(internal)?;
        let bounds = Bounds {
            memory_bytes_max: options.memory_bytes_max,
            cpu_seconds_max: options.cpu_seconds_max,
        };
        let group = running.group().ok_or_else(|| internal("it has ended"))?;
        let guard = census.watch(group, bounds);
        let credential = proxy.way.credential.clone();
        let pipe = Pipe::new(input.into(), output.into(), credential).map_err(internal)?;
        let opened = tokio::time::timeout(START_TIMEOUT, open(&pipe)).await;
        let page = match opened {
            Ok(Ok(page)) => page,
            _ if guard.watched.ended().is_some() => return Err(ended(&guard)),
            _ => return Err(complaint(&mut running).await),
        };
        // What it complains of from now on is nobody's to read, and must not make it wait.
        running.child.stderr.take();
        Ok(Self {
            pipe,
            page,
            proxy,
            guard,
            _running: running,
            _profile: profile,
        })
    }

    pub fn is_open(&self) -> bool {
        self.pipe.is_open()
    }

    async fn ask(&self, method: &str, params: Value) -> Result<Value, ToolFault> {
        let asked = self.pipe.ask(Some(&self.page), method, params).await;
        asked.map_err(|fault| match self.guard.watched.ended() {
            Some(_) => ended(&self.guard),
            None => fault,
        })
    }

    /// Leads the page there. Faults: the address may not be reached.
    pub async fn open(&self, url: &Url) -> Result<Option<String>, ToolFault> {
        self.proxy.way.take_refused();
        let loaded = self.pipe.loaded();
        tokio::pin!(loaded);
        loaded.as_mut().enable();
        let gone = self
            .ask("Page.navigate", json!({"url": url.as_str()}))
            .await?;
        let failed = gone.get("errorText").and_then(Value::as_str);
        let failed = failed.filter(|it| !it.is_empty()).map(str::to_owned);
        if failed.is_none() {
            let _ = tokio::time::timeout(LOAD_TIMEOUT, loaded).await;
        }
        self.check_way(failed.is_some()).await?;
        Ok(failed)
    }

    /// Whether the page that is there, or that should be, was refused.
    async fn check_way(&self, failed: bool) -> Result<(), ToolFault> {
        let here = self.run("location.hostname").await.unwrap_or_default();
        let mut refused = self.proxy.way.take_refused();
        let own = refused
            .iter()
            .rposition(|it| here.as_str() == Some(&it.host))
            .and_then(|at| refused.swap_remove_back(at));
        match own.or_else(|| refused.pop_back().filter(|_| failed)) {
            Some(own) => Err(ToolFault::new(ToolFaultKind::Egress, own.why)),
            None => Ok(()),
        }
    }

    /// Runs a script of ours in the page.
    pub async fn run(&self, script: &str) -> Result<Value, ToolFault> {
        let params = json!({"expression": script, "returnByValue": true, "timeout": 10_000});
        let mut done = self.ask("Runtime.evaluate", params).await?;
        if done.get("exceptionDetails").is_some() {
            let what = done.pointer("/exceptionDetails/exception/description");
            let what = what.and_then(Value::as_str).unwrap_or("the script failed");
            let first = what.lines().next().unwrap_or_default();
            return Err(ToolFault::new(ToolFaultKind::Arguments, first));
        }
        Ok(done
            .pointer_mut("/result/value")
            .map(Value::take)
            .unwrap_or_default())
    }

    /// Waits for what something began: another page, or nothing.
    pub async fn act(&self, script: &str) -> Result<Value, ToolFault> {
        self.proxy.way.take_refused();
        let loaded = self.pipe.loaded();
        tokio::pin!(loaded);
        loaded.as_mut().enable();
        let done = self.run(script).await?;
        let _ = tokio::time::timeout(SETTLE_TIMEOUT, loaded).await;
        self.check_way(false).await?;
        Ok(done)
    }

    pub async fn insert(&self, text: &str) -> Result<(), ToolFault> {
        self.ask("Input.insertText", json!({"text": text})).await?;
        Ok(())
    }

    /// A picture of what is seen: its media type, and its bytes in base64. The first that is not too
    /// large; faults: none is small enough.
    pub async fn picture(&self, bytes_max: usize) -> Result<(String, String), ToolFault> {
        let seen = self.run("[innerWidth, innerHeight]").await?;
        let side = |at: usize| seen.get(at).and_then(Value::as_u64).unwrap_or(1);
        let mut smallest = 0;
        for (format, quality, percent) in PICTURES {
            let mut how = json!({"format": format});
            if let (true, Some(how)) = (format == "jpeg", how.as_object_mut()) {
                let clip = json!({"x": 0, "y": 0, "width": side(0), "height": side(1),
                                  "scale": f64::from(percent) / 100.0});
                how.insert("quality".to_owned(), quality.into());
                how.insert("clip".to_owned(), clip);
            }
            let mut done = self.ask("Page.captureScreenshot", how).await?;
            match done.get_mut("data").map(Value::take) {
                Some(Value::String(data)) if data.len() <= bytes_max => {
                    return Ok((format!("image/{format}"), data));
                }
                Some(Value::String(data)) => smallest = data.len(),
                _ => return Err(internal("no picture")),
            }
        }
        let text = format!(
            "the smallest picture of this page has {smallest} bytes, and {bytes_max} may be answered"
        );
        Err(ToolFault::new(ToolFaultKind::TooLarge, text))
    }
}

/// Why a browser that used too much is no more.
fn ended(guard: &Guard) -> ToolFault {
    let why = guard.watched.ended().unwrap_or_default();
    let text = format!("the browser was ended: {why}. What was open in it is lost");
    ToolFault::new(ToolFaultKind::Failed, text)
}

/// Opens the one page.
async fn open(pipe: &Pipe) -> Result<String, ToolFault> {
    let text = |value: &Value, key: &str| {
        let found = value.get(key).and_then(Value::as_str);
        found.map(str::to_owned).ok_or_else(|| internal("no page"))
    };
    // Of no record: what pages keep is in its memory, which is bounded, and not on the disk.
    let context = pipe.ask(None, "Target.createBrowserContext", json!({}));
    let context = text(&context.await?, "browserContextId")?;
    let deny = json!({"behavior": "deny", "browserContextId": context});
    pipe.ask(None, "Browser.setDownloadBehavior", deny).await?;
    let target = json!({"url": "about:blank", "browserContextId": context});
    let target = pipe.ask(None, "Target.createTarget", target).await?;
    let attach = json!({"targetId": text(&target, "targetId")?, "flatten": true});
    let page = pipe.ask(None, "Target.attachToTarget", attach).await?;
    let page = text(&page, "sessionId")?;
    for domain in ["Page.enable", "Inspector.enable"] {
        pipe.ask(Some(&page), domain, json!({})).await?;
    }
    greet(pipe, &page).await?;
    Ok(page)
}

/// Lets the browser learn its credential, which it then has for all that it asks for: its proxy wants to
/// know who it is, and that is told over the pipe.
async fn greet(pipe: &Pipe, page: &str) -> Result<(), ToolFault> {
    let patterns =
        json!({"handleAuthRequests": true, "patterns": [{"urlPattern": format!("{HELLO}*")}]});
    pipe.ask(Some(page), "Fetch.enable", patterns).await?;
    for url in [HELLO, "about:blank"] {
        let loaded = pipe.loaded();
        tokio::pin!(loaded);
        loaded.as_mut().enable();
        let gone = pipe
            .ask(Some(page), "Page.navigate", json!({"url": url}))
            .await?;
        if let Some(failed) = gone.get("errorText").and_then(Value::as_str) {
            return Err(internal(failed));
        }
        loaded.await;
    }
    let forget = "Page.resetNavigationHistory";
    pipe.ask(Some(page), forget, json!({})).await?;
    Ok(())
}

/// Why a browser did not begin, in its own words.
pub async fn complaint(running: &mut Running) -> ToolFault {
    running.kill();
    let mut said = String::new();
    if let Some(errors) = running.child.stderr.take() {
        let mut errors = errors.take(COMPLAINT_BYTES_MAX);
        let _ = errors.read_to_string(&mut said).await;
    }
    tracing::warn!("the browser did not begin: {said}");
    let text = if said.contains("no-sandbox") || said.contains("sandbox") {
        "the browser did not begin: its sandbox does not work for this server's user (root, say). \
         Run the server as another user, or set browser.sandbox = false"
    } else {
        "the browser did not begin; the server's log has its words"
    };
    ToolFault::new(ToolFaultKind::NoBrowser, text)
}

/// Shared with the proxy: hosts that the tenant allows.
pub fn allow(browser: &Browser, hosts: &Arc<[String]>) {
    *browser.proxy.way.hosts.lock() = Arc::clone(hosts);
}
