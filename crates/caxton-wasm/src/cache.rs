//! Compiled code on disk. Loading machine code is trusting it, so each file carries a tag under a key
//! that only this server has; what does not verify is removed and compiled again.
//!
//! The tag is AES-256-GCM's over what is not encrypted (GMAC), which reads code several times as fast as
//! a hash: verifying is in the way of an agent's first message. Each file's key is made of the server's
//! and the file's name by HMAC-SHA256, so that a nonce would have to come twice for one name.
//!
//! A file's name says what it is: the component's SHA-256, the profile it was validated for, and a
//! hash of everything that compiled code depends on (wasmtime's version, its settings, the
//! processor's features). The key depends on the name, so files cannot be exchanged.

use crate::options::Options;
use crate::validate::Shape;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
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
const MAGIC: &[u8; 8] = b"CXWASM2\n";
const TAG_BYTES: usize = 16;
/// `composed`, memory, tables.
const SHAPE_BYTES: usize = 17;
const HEADER_BYTES: usize = MAGIC.len() + NONCE_LEN + TAG_BYTES + SHAPE_BYTES;
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
        // A file of another format is not asked for, and goes when it is the least recently used.
        MAGIC.hash(&mut hasher);
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
        let told = [&encode_shape(shape), code].concat();
        let mut nonce = [0; NONCE_LEN];
        SystemEntropy.fill(&mut nonce);
        let tag = self.key_of(name).and_then(|key| {
            let nonce = Nonce::assume_unique_for_key(nonce);
            key.seal_in_place_separate_tag(nonce, Aad::from(&told), &mut [])
        });
        let tag = tag.map_err(io::Error::other)?;
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
            file.write_all(&nonce)?;
            file.write_all(tag.as_ref())?;
            file.write_all(&told)?;
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
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>()?;
        let (tag, told) = rest.split_first_chunk::<TAG_BYTES>()?;
        if magic != MAGIC {
            return None;
        }
        let key = self.key_of(name).ok()?;
        let mut tag = *tag;
        // Compares in constant time; what is left of the tag is the text that was encrypted: none.
        let none = key.open_in_place(Nonce::from(nonce), Aad::from(told), &mut tag);
        if !none.ok()?.is_empty() {
            return None;
        }
        decode_shape(told.get(..SHAPE_BYTES)?)
    }

    /// The key of the file of this name.
    fn key_of(&self, name: &str) -> Result<LessSafeKey, Unspecified> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.key)
            .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
        let key = mac.chain_update(MAGIC).chain_update(name).finalize();
        UnboundKey::new(&AES_256_GCM, &key.into_bytes()).map(LessSafeKey::new)
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
