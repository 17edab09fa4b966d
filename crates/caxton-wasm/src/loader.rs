//! Bytes become code in this order: in memory already, on disk already, or validated, compiled and
//! kept; then linked to one world. Agents and tools go the same way, and share all but the last step.

use crate::cache::{Cache, MachineCode};
use crate::compile::Compilations;
use crate::engine;
use crate::guest::Guest;
use crate::meter::COMPOSED_FUEL_YIELD;
use crate::options::Options;
use crate::program::{Code, Exports};
use crate::validate::{self, Bounds, Shape};
use crate::wasi;
use bytes::Bytes;
use caxton_core::Digest;
use caxton_core::error::{Code as ErrorCode, Error};
use caxton_core::manifest::SandboxProfile;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

/// What components of every world share.
pub(crate) struct Workshop {
    pub(crate) options: Options,
    pub(crate) engine: Engine,
    pub(crate) instances_max: u32,
    cache: Option<Arc<Cache>>,
    compilations: Compilations,
    pub(crate) wasi_ports: Arc<wasi::Ports>,
}

impl Workshop {
    /// Reserves the address space of all instances; fails where the machine has none.
    pub(crate) fn new(options: Options) -> Result<Self, Error> {
        let (engine, instances_max) = engine::running(&options)?;
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
        })
    }

    /// The fuel after which a guest of this shape yields.
    pub(crate) fn fuel_yield(&self, shape: &Shape) -> u64 {
        if shape.composed {
            self.options.fuel_yield.min(COMPOSED_FUEL_YIELD)
        } else {
            self.options.fuel_yield
        }
    }

    /// A component that nobody has compiled yet. `fits` may refuse it for its shape before it costs more.
    async fn make(
        &self,
        source: &Source,
        world: validate::World,
        fits: impl FnOnce(&Shape) -> Result<(), Error>,
    ) -> Result<(Shape, MachineCode), Error> {
        let bounds = Bounds {
            component_bytes_max: self.options.component_bytes_max,
            functions_max: self.options.functions_max,
        };
        let Source {
            component,
            digest,
            profile,
        } = source.clone();
        let shape = blocking(move || {
            if Sha256::digest(&component)[..] != digest.0[..] {
                return Err(Error::new(
                    ErrorCode::ComponentMalformed,
                    format!("the bytes are not those of the digest {digest}"),
                ));
            }
            validate::check_for(world, &component, profile, &bounds)
        })
        .await??;
        fits(&shape)?;
        let component = source.component.clone();
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

/// A component as it came.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) component: Bytes,
    pub(crate) digest: Digest,
    pub(crate) profile: SandboxProfile,
}

/// Loads components of one world.
pub(crate) struct Loader<E> {
    pub(crate) workshop: Arc<Workshop>,
    linker: Arc<Linker<Guest>>,
    known: Mutex<HashMap<(Digest, SandboxProfile), Slot<E>>>,
}

/// Code that somebody uses. The lock is held while it is made, so that those who share a component
/// wait for one compilation instead of starting several.
type Slot<E> = Arc<tokio::sync::Mutex<Weak<Code<E>>>>;

impl<E: Exports> Loader<E> {
    pub(crate) fn new(workshop: Arc<Workshop>) -> Result<Self, Error> {
        let mut linker = Linker::new(&workshop.engine);
        E::offer(&mut linker)
            .and_then(|()| wasi::add_to_linker(&mut linker))
            .map_err(|error| Error::new(ErrorCode::Internal, format!("{error:#}")))?;
        Ok(Self {
            workshop,
            linker: Arc::new(linker),
            known: Mutex::default(),
        })
    }

    /// The component's code, linked. It is made once for all who have it at a time.
    pub(crate) async fn code(
        &self,
        source: &Source,
        fits: impl FnOnce(&Shape) -> Result<(), Error>,
    ) -> Result<Arc<Code<E>>, Error> {
        let slot = self.slot((source.digest, source.profile));
        let mut slot = slot.lock().await;
        if let Some(code) = slot.upgrade() {
            return Ok(code);
        }
        let code = match self.cached(source.digest, source.profile).await? {
            Some(code) => code,
            None => {
                let (shape, machine_code) = self.workshop.make(source, E::WORLD, fits).await?;
                let linker = Arc::clone(&self.linker);
                blocking(move || link(&linker, shape, &machine_code)).await??
            }
        };
        let code = Arc::new(code);
        *slot = Arc::downgrade(&code);
        Ok(code)
    }

    fn slot(&self, key: (Digest, SandboxProfile)) -> Slot<E> {
        let mut known = self.known.lock();
        // Forgets what nobody uses any more: nobody has it, and nobody is about to.
        known.retain(|_, slot| {
            Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|code| code.strong_count() > 0)
        });
        Arc::clone(known.entry(key).or_default())
    }

    /// Read, authenticated and linked in one go: each hand-over to another thread costs as much as a
    /// third of the work.
    async fn cached(
        &self,
        digest: Digest,
        profile: SandboxProfile,
    ) -> Result<Option<Code<E>>, Error> {
        let Some(cache) = self.workshop.cache.clone() else {
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

fn link<E: Exports>(
    linker: &Linker<Guest>,
    shape: Shape,
    machine_code: &MachineCode,
) -> Result<Code<E>, Error> {
    // SAFETY: the code was compiled by this very binary, in this process or in a child it started and
    // whose output pipe it alone held, or was read from a file whose tag under this server's own key
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
