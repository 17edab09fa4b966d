//! [`WasmRuntime`]: the engine's `Runtime` for components. Bytes become a program in this order: in
//! memory already, on disk already, or validated, compiled and kept; then linked.

use crate::cache::{Cache, MachineCode};
use crate::compile::Compilations;
use crate::engine;
use crate::guest::Guest;
use crate::host;
use crate::meter::COMPOSED_FUEL_YIELD;
use crate::options::Options;
use crate::program::{Code, WasmProgram};
use crate::validate::{self, Bounds, Shape};
use crate::wasi;
use caxton_core::Digest;
use caxton_core::error::{Code as ErrorCode, Error};
use caxton_core::manifest::SandboxProfile;
use caxton_engine::port::{Answer, Artifact, Program, Runtime};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

/// Makes programs of components.
pub struct WasmRuntime {
    options: Options,
    engine: Engine,
    instances_max: u32,
    linker: Arc<Linker<Guest>>,
    cache: Option<Arc<Cache>>,
    compilations: Compilations,
    wasi_ports: Arc<wasi::Ports>,
    known: Mutex<HashMap<(Digest, SandboxProfile), Slot>>,
}

/// Code some agent uses. The lock is held while it is made, so that agents that share a component
/// wait for one compilation instead of starting several.
type Slot = Arc<tokio::sync::Mutex<Weak<Code>>>;

impl fmt::Debug for WasmRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WasmRuntime({:?})", self.options)
    }
}

impl WasmRuntime {
    /// Reserves the address space of all instances; fails where the machine has none.
    pub fn new(options: Options) -> Result<Self, Error> {
        let (engine, instances_max) = engine::running(&options)?;
        let mut linker = Linker::new(&engine);
        host::add_to_linker(&mut linker)
            .and_then(|()| wasi::add_to_linker(&mut linker))
            .map_err(|error| Error::new(ErrorCode::Internal, format!("{error:#}")))?;
        Ok(Self {
            cache: Cache::open(&options, &engine)?.map(Arc::new),
            compilations: Compilations::new(&options),
            wasi_ports: Arc::new(wasi::Ports {
                clock: Arc::clone(&options.clock),
                entropy: Arc::clone(&options.entropy),
            }),
            options,
            engine,
            instances_max,
            linker: Arc::new(linker),
            known: Mutex::default(),
        })
    }

    async fn code(&self, artifact: &Artifact) -> Result<Arc<Code>, Error> {
        let profile = artifact.manifest.sandbox.profile;
        let slot = self.slot((artifact.digest, profile));
        let mut slot = slot.lock().await;
        if let Some(code) = slot.upgrade() {
            return Ok(code);
        }
        let code = match self.cached(artifact.digest, profile).await? {
            Some(code) => code,
            None => {
                let (shape, machine_code) = self.make(artifact, profile).await?;
                let linker = Arc::clone(&self.linker);
                blocking(move || link(&linker, shape, &machine_code)).await??
            }
        };
        let code = Arc::new(code);
        *slot = Arc::downgrade(&code);
        Ok(code)
    }

    fn slot(&self, key: (Digest, SandboxProfile)) -> Slot {
        let mut known = self.known.lock();
        // Forgets what nobody uses any more: no agent, and nobody about to.
        known.retain(|_, slot| {
            Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|code| code.strong_count() > 0)
        });
        Arc::clone(known.entry(key).or_default())
    }

    /// Read, authenticated and linked in one go: each hand-over to another thread costs as much as a
    /// third of the work.
    async fn cached(&self, digest: Digest, profile: SandboxProfile) -> Result<Option<Code>, Error> {
        let Some(cache) = self.cache.clone() else {
            return Ok(None);
        };
        let linker = Arc::clone(&self.linker);
        blocking(move || {
            let Some((shape, code)) = cache.load(digest, profile) else {
                return Ok(None);
            };
            link(&linker, shape, &code).map(Some)
        })
        .await?
    }

    async fn make(
        &self,
        artifact: &Artifact,
        profile: SandboxProfile,
    ) -> Result<(Shape, MachineCode), Error> {
        let bounds = Bounds {
            component_bytes_max: self.options.component_bytes_max,
            functions_max: self.options.functions_max,
        };
        let (component, digest) = (artifact.component.clone(), artifact.digest);
        let shape = blocking(move || {
            if Sha256::digest(&component)[..] != digest.0[..] {
                return Err(Error::new(
                    ErrorCode::ComponentMalformed,
                    format!("the bytes are not those of the digest {digest}"),
                ));
            }
            validate::check(&component, profile, &bounds)
        })
        .await??;
        shape.fits(&artifact.manifest.limits)?;
        let component = artifact.component.clone();
        let machine_code = self.compilations.compile(&self.engine, component).await?;
        let Some(cache) = self.cache.clone() else {
            return Ok((shape, MachineCode::Fresh(machine_code)));
        };
        blocking(move || {
            cache.store(digest, profile, shape, &machine_code);
            (shape, MachineCode::Fresh(machine_code))
        })
        .await
    }
}

impl Runtime for WasmRuntime {
    fn instances_max(&self) -> Option<usize> {
        usize::try_from(self.instances_max).ok()
    }

    fn prepare(&self, artifact: Artifact) -> Answer<'_, Result<Arc<dyn Program>, Error>> {
        Box::pin(async move {
            let code = self.code(&artifact).await?;
            code.shape.fits(&artifact.manifest.limits)?;
            let fuel_yield = if code.shape.composed {
                self.options.fuel_yield.min(COMPOSED_FUEL_YIELD)
            } else {
                self.options.fuel_yield
            };
            let program: Arc<dyn Program> = Arc::new(WasmProgram {
                code,
                agent: artifact.agent,
                limits: Arc::new(artifact.manifest.limits.clone()),
                fuel_yield,
                wasi_ports: Arc::clone(&self.wasi_ports),
            });
            Ok(program)
        })
    }
}

/// Work that takes a processor for long, off the threads that serve.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Error::new(
            ErrorCode::Internal,
            format!("preparing a component failed: {error}"),
        )
    })
}

fn link(linker: &Linker<Guest>, shape: Shape, machine_code: &MachineCode) -> Result<Code, Error> {
    // SAFETY: the code was compiled by this very binary, in this process or in a child it started and
    // whose output pipe it alone held, or was read from a file whose HMAC under this server's own key
    // was verified a moment ago, over these same bytes.
    #[allow(unsafe_code)]
    let component = unsafe { Component::deserialize(linker.engine(), machine_code.as_slice()) };
    let component = component.map_err(|error| {
        Error::new(
            ErrorCode::CompileFailed,
            format!("compiled code does not load: {error:#}"),
        )
    })?;
    Code::link(linker, &component, shape)
}
