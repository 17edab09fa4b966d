//! Compiled code on disk. Loading machine code is trusting it, so each file carries an HMAC-SHA256
//! under a key that only this server has; what does not verify is removed and compiled again.
//!
//! A file's name says what it is: the component's SHA-256, the profile it was validated for, and a
//! hash of everything that compiled code depends on (wasmtime's version, its settings, the
//! processor's features). The name is authenticated too, so files cannot be exchanged.

use crate::options::Options;
use crate::validate::Shape;
use caxton_core::Digest;
use caxton_core::error::{Code, Error};
use caxton_core::manifest::SandboxProfile;
use caxton_engine::port::{Entropy, SystemEntropy};
use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;
use wasmtime::Engine;

/// First bytes of a file; the number is the format's.
const MAGIC: &[u8; 8] = b"CXWASM1\n";
const MAC_BYTES: usize = 32;
/// `composed`, memory, tables.
const SHAPE_BYTES: usize = 17;
const HEADER_BYTES: usize = MAGIC.len() + MAC_BYTES + SHAPE_BYTES;
const EXTENSION: &str = "cwasm";

/// Compiled code: of the compiler, or in a file read whole, whose header stays before it.
pub(crate) enum MachineCode {
    Fresh(Vec<u8>),
    InFile(Vec<u8>),
}

impl MachineCode {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Fresh(code) => code,
            Self::InFile(bytes) => bytes.get(HEADER_BYTES..).unwrap_or_default(),
        }
    }
}

/// The folder of compiled code.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
    key: [u8; 32],
    bytes_max: u64,
    /// Of everything compiled code depends on.
    settings: String,
    written: AtomicU64,
}

impl Cache {
    /// Where a folder is configured. One that cannot be made is an error: the operator asked for it.
    pub(crate) fn open(options: &Options, engine: &Engine) -> Result<Option<Self>, Error> {
        let Some(dir) = options.cache_dir.clone() else {
            return Ok(None);
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(|error| {
                Error::new(
                    Code::ConfigInvalid,
                    format!("the cache folder {} cannot be made: {error}", dir.display()),
                )
            })?;
        let mut hasher = Settings(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        let settings = Digest(hasher.0.finalize().into()).to_string();
        Ok(Some(Self {
            dir,
            key: options.cache_key,
            bytes_max: options.cache_bytes_max,
            settings: settings.chars().take(16).collect(),
            written: AtomicU64::new(0),
        }))
    }

    /// The code, if it is there and is ours. Whatever is wrong with a file, the answer is to compile.
    pub(crate) fn load(
        &self,
        digest: Digest,
        profile: SandboxProfile,
    ) -> Option<(Shape, MachineCode)> {
        let name = self.name(digest, profile);
        let path = self.dir.join(&name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(file = %name, %error, "cached code cannot be opened");
                return None;
            }
        };
        let bytes = self.read(&file);
        let verified = bytes.as_ref().and_then(|bytes| self.verify(&name, bytes));
        if verified.is_none() {
            tracing::warn!(
                file = %name,
                "cached code is damaged or not this server's own; removed, to be compiled again"
            );
            let _ = fs::remove_file(&path);
            return None;
        }
        // Recently used: eviction goes by this.
        let _ = file.set_modified(SystemTime::now());
        Some((verified?, MachineCode::InFile(bytes?)))
    }

    /// The whole file, into memory that is asked for once: growing would copy it and touch fresh pages
    /// for every copy.
    fn read(&self, file: &File) -> Option<Vec<u8>> {
        let length = file.metadata().ok()?.len().min(self.bytes_max);
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(usize::try_from(length).ok()?)
            .ok()?;
        file.take(length).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Keeps code. A disk that is full costs the next start a compilation, nothing more.
    pub(crate) fn store(&self, digest: Digest, profile: SandboxProfile, shape: Shape, code: &[u8]) {
        let name = self.name(digest, profile);
        if let Err(error) = self.write(&name, shape, code) {
            tracing::warn!(file = %name, %error, "compiled code could not be kept");
        }
        self.evict();
    }

    fn write(&self, name: &str, shape: Shape, code: &[u8]) -> io::Result<()> {
        let shape = encode_shape(shape);
        let mac = self.mac(name, &shape, code).finalize().into_bytes();
        let turn = self.written.fetch_add(1, Ordering::Relaxed);
        let temporary = self
            .dir
            .join(format!(".{name}.{}-{turn}.tmp", std::process::id()));
        let written = (|| {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&temporary)?;
            file.write_all(MAGIC)?;
            file.write_all(&mac)?;
            file.write_all(&shape)?;
            file.write_all(code)?;
            fs::rename(&temporary, self.dir.join(name))
        })();
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Removes what was used least recently until the rest fits, and what a crash left half written.
    fn evict(&self) {
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return;
        };
        let mut files = Vec::new();
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(data) = entry.metadata() else { continue };
            let used = data.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            match path.extension().and_then(|extension| extension.to_str()) {
                Some(EXTENSION) => files.push((used, data.len(), path)),
                Some("tmp")
                    if used
                        .elapsed()
                        .is_ok_and(|age| age.as_secs() > STALE_SECONDS) =>
                {
                    let _ = fs::remove_file(path);
                }
                _ => {}
            }
        }
        files.sort();
        let mut all: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in files {
            if all <= self.bytes_max {
                break;
            }
            if fs::remove_file(path).is_ok() {
                all -= bytes;
            }
        }
    }

    fn name(&self, digest: Digest, profile: SandboxProfile) -> String {
        format!(
            "{digest}-{}-{}.{EXTENSION}",
            profile.as_str(),
            self.settings
        )
    }

    fn verify(&self, name: &str, file: &[u8]) -> Option<Shape> {
        let (magic, rest) = file.split_at_checked(MAGIC.len())?;
        let (mac, rest) = rest.split_at_checked(MAC_BYTES)?;
        let (shape, code) = rest.split_at_checked(SHAPE_BYTES)?;
        if magic != MAGIC {
            return None;
        }
        // Compares in constant time.
        self.mac(name, shape, code).verify_slice(mac).ok()?;
        decode_shape(shape)
    }

    fn mac(&self, name: &str, shape: &[u8], code: &[u8]) -> Hmac<Sha256> {
        // The length keeps a name from running into what follows it.
        let name_bytes = (name.len() as u64).to_le_bytes();
        let mac = Hmac::<Sha256>::new_from_slice(&self.key)
            .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
        mac.chain_update(MAGIC)
            .chain_update(name_bytes)
            .chain_update(name)
            .chain_update(shape)
            .chain_update(code)
    }
}

/// A half-written file of a process that is gone.
const STALE_SECONDS: u64 = 3600;

/// SHA-256 as a hasher: wasmtime gives what compiled code depends on only as something to hash.
struct Settings(Sha256);

impl Hasher for Settings {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
    fn finish(&self) -> u64 {
        0
    }
}

fn encode_shape(shape: Shape) -> [u8; SHAPE_BYTES] {
    let mut bytes = [0; SHAPE_BYTES];
    let fields = std::iter::once(u8::from(shape.composed))
        .chain(shape.memory_bytes.to_le_bytes())
        .chain(shape.table_elements.to_le_bytes());
    for (to, from) in bytes.iter_mut().zip(fields) {
        *to = from;
    }
    bytes
}

fn decode_shape(bytes: &[u8]) -> Option<Shape> {
    let (composed, rest) = bytes.split_first()?;
    let (memory, tables) = rest.split_at_checked(8)?;
    Some(Shape {
        composed: *composed == 1,
        memory_bytes: u64::from_le_bytes(memory.try_into().ok()?),
        table_elements: u64::from_le_bytes(tables.try_into().ok()?),
    })
}

/// The key that authenticates compiled code: 32 random bytes in a file that only the server may read.
/// One that others can read, or of another length, is replaced: what it vouched for is compiled again.
pub fn load_or_create_cache_key(path: &Path) -> io::Result<[u8; 32]> {
    match fs::read(path) {
        Ok(bytes) => {
            let private = fs::metadata(path)?.permissions().mode() & 0o077 == 0;
            if let (true, Ok(key)) = (private, <[u8; 32]>::try_from(bytes.as_slice())) {
                return Ok(key);
            }
            tracing::warn!(
                file = %path.display(),
                "the key of compiled code was readable by others or damaged; a new one is made"
            );
            fs::remove_file(path)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut key = [0; 32];
    SystemEntropy.fill(&mut key);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(&key)?;
    file.sync_all()?;
    Ok(key)
}
