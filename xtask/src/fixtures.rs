//! `cargo xtask fixtures`: builds the example agents and tools, and puts each component beside its
//! `agent.toml` or `tool.toml`.
//!
//! The Rust ones are committed as built, so that trying Caxton or testing it needs no wasm
//! toolchain; this is how they are made again. What the compiler emits may differ from machine to
//! machine although the source is the same, so `--check` compares and reports, and a test decides by
//! behaviour (`--out DIR` writes the rebuilt ones where it finds them).

mod component;
mod python;
mod toolchain;
mod typescript;

use crate::repo;
use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

const USAGE: &str = "\
Usage: cargo xtask fixtures [--check | --out DIR | --ts | --py] [--yes]

  (nothing)   rebuild the Rust components beside their agent.toml or tool.toml
  --check     rebuild them elsewhere and say which differ from the committed ones
  --out DIR   rebuild them into DIR, which gets the same folders as examples/
  --ts        build the TypeScript agents instead (needs node and npm)
  --py        build the Python agents instead (needs python3 with venv)
  --yes       install a missing wasm toolchain with apt-get
";

/// Runs the command; see [`USAGE`].
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let Some(options) = Options::read(args)? else {
        print!("{USAGE}");
        return Ok(());
    };
    let root = repo::root()?;
    let fixtures = discover(&root.join("examples"))?;
    match options.mode {
        Mode::TypeScript => typescript::build(&root, &fixtures),
        Mode::Python => python::build(&root, &fixtures),
        Mode::InPlace => {
            for (fixture, bytes) in build_rust(&root, &fixtures, options.may_install)? {
                write(&fixture.path(), &bytes)?;
                println!("{:>8} bytes  {}", bytes.len(), fixture.name());
            }
            Ok(())
        }
        Mode::Into(out) => {
            for (fixture, bytes) in build_rust(&root, &fixtures, options.may_install)? {
                let dir = out.join(&fixture.relative_dir);
                fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
                write(&dir.join(&fixture.file), &bytes)?;
                let manifest = dir.join(fixture.manifest);
                fs::copy(fixture.dir.join(fixture.manifest), &manifest)
                    .with_context(|| format!("write {}", manifest.display()))?;
            }
            Ok(())
        }
        Mode::Check => compare(build_rust(&root, &fixtures, options.may_install)?),
    }
}

enum Mode {
    InPlace,
    Into(PathBuf),
    Check,
    TypeScript,
    Python,
}

struct Options {
    mode: Mode,
    may_install: bool,
}

impl Options {
    fn read(args: &[String]) -> anyhow::Result<Option<Self>> {
        let mut modes = Vec::new();
        let mut may_install = false;
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--check" => modes.push(Mode::Check),
                "--ts" => modes.push(Mode::TypeScript),
                "--py" => modes.push(Mode::Python),
                "--out" => {
                    let dir = args.next().context("--out needs a folder")?;
                    modes.push(Mode::Into(PathBuf::from(dir)));
                }
                "--yes" => may_install = true,
                "--help" | "-h" => return Ok(None),
                other => bail!("unknown argument `{other}`\n\n{USAGE}"),
            }
        }
        ensure!(
            modes.len() < 2,
            "--check, --out, --ts and --py exclude each other\n\n{USAGE}"
        );
        Ok(Some(Self {
            mode: modes.pop().unwrap_or(Mode::InPlace),
            may_install,
        }))
    }
}

/// What a folder is known by: an agent's, or a tool's.
const MANIFESTS: [&str; 2] = ["agent.toml", "tool.toml"];

/// One folder that deploys as it is: an `agent.toml` or `tool.toml` and the component it names.
pub struct Fixture {
    /// Which of them.
    manifest: &'static str,
    /// The folder's absolute path.
    dir: PathBuf,
    /// The same, from `examples/` on.
    relative_dir: PathBuf,
    /// The component's file name, as the manifest has it.
    file: String,
}

impl Fixture {
    fn path(&self) -> PathBuf {
        self.dir.join(&self.file)
    }

    fn name(&self) -> String {
        self.relative_dir.join(&self.file).display().to_string()
    }

    /// What cargo calls the core module this component is made of: `seller.wasm` comes from package
    /// `caxton-example-seller`, whichever folder it is deployed from.
    fn core_module(&self) -> String {
        format!("caxton_example_{}", self.file.replace('-', "_"))
    }

    fn is_typescript(&self) -> bool {
        self.dir.join("package.json").is_file()
    }

    fn is_python(&self) -> bool {
        self.dir.join("requirements.txt").is_file()
    }

    /// Made by cargo, and committed.
    fn is_rust(&self) -> bool {
        !self.is_typescript() && !self.is_python()
    }
}

/// Every folder below `examples` with a manifest, sorted by path.
fn discover(examples: &Path) -> anyhow::Result<Vec<Fixture>> {
    let mut fixtures = Vec::new();
    let mut dirs = vec![examples.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))? {
            let path = entry?.path();
            let ignored = path.ends_with("target") || path.ends_with("node_modules");
            if path.is_dir() && !ignored {
                dirs.push(path);
            } else if let Some(manifest) = MANIFESTS.into_iter().find(|name| path.ends_with(name)) {
                fixtures.extend(read_fixture(examples, &dir, manifest)?);
            }
        }
    }
    fixtures.sort_by(|a, b| a.relative_dir.cmp(&b.relative_dir));
    ensure!(
        !fixtures.is_empty(),
        "no example below {}",
        examples.display()
    );
    Ok(fixtures)
}

/// `None` where nothing is built: an assistant, or a tool that is reached over the network.
fn read_fixture(
    examples: &Path,
    dir: &Path,
    manifest: &'static str,
) -> anyhow::Result<Option<Fixture>> {
    let path = dir.join(manifest);
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let table: toml::Table =
        toml::from_str(&text).with_context(|| format!("parse {}", path.display()))?;
    let assistant = table.get("behavior").and_then(toml::Value::as_str) == Some("assistant");
    if assistant || table.contains_key("http") || table.contains_key("mcp") {
        return Ok(None);
    }
    let file = table
        .get("component")
        .and_then(toml::Value::as_str)
        .with_context(|| format!("{} names no component", path.display()))?;
    Ok(Some(Fixture {
        manifest,
        dir: dir.to_path_buf(),
        relative_dir: dir.strip_prefix(examples)?.to_path_buf(),
        file: file.to_owned(),
    }))
}

/// Builds every Rust example; the components in the order of `fixtures`.
fn build_rust<'a>(
    root: &Path,
    fixtures: &'a [Fixture],
    may_install: bool,
) -> anyhow::Result<Vec<(&'a Fixture, Vec<u8>)>> {
    let toolchain = toolchain::find(may_install)?;
    eprintln!("building the examples with {toolchain}");
    let modules = toolchain.build(root)?;
    let mut built = Vec::new();
    for fixture in fixtures.iter().filter(|fixture| fixture.is_rust()) {
        let path = modules.join(fixture.core_module());
        let module = fs::read(&path).with_context(|| {
            format!(
                "{}: no package of examples/ makes {}",
                fixture.name(),
                path.display()
            )
        })?;
        let component = component::encode(&module)
            .and_then(|bytes| {
                component::check(&bytes, &toolchain.private_paths(root)).map(|()| bytes)
            })
            .with_context(|| format!("make a component of {}", fixture.name()))?;
        built.push((fixture, component));
    }
    Ok(built)
}

/// Prints how each rebuilt component compares with the committed one. Other bytes are a note; a
/// committed component that is missing is an error.
fn compare(built: Vec<(&Fixture, Vec<u8>)>) -> anyhow::Result<()> {
    let mut missing = Vec::new();
    let mut differing = 0_usize;
    for (fixture, rebuilt) in &built {
        let Ok(committed) = fs::read(fixture.path()) else {
            missing.push(fixture.name());
            println!("missing  {}", fixture.name());
            continue;
        };
        if committed == *rebuilt {
            println!("same     {}  {} bytes", fixture.name(), committed.len());
        } else {
            differing = differing.saturating_add(1);
            println!(
                "differs  {}  {} bytes {} -> {} bytes {}",
                fixture.name(),
                committed.len(),
                short_hash(&committed),
                rebuilt.len(),
                short_hash(rebuilt),
            );
        }
    }
    if differing > 0 {
        println!(
            "note: {differing} of {} differ in bytes, which another compiler or folder explains; the tests say whether they behave differently",
            built.len()
        );
    }
    ensure!(
        missing.is_empty(),
        "run `cargo xtask fixtures`: {} not built yet",
        missing.join(", ")
    );
    Ok(())
}

fn short_hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    // Unchanged bytes are not written again: a server that watches the folder would reload them.
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(path, bytes).with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests;
