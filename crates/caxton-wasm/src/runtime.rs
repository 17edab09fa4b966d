//! [`WasmRuntime`]: the engine's `Runtime` for components.

use crate::engine;
use crate::guest::Guest;
use crate::host;
use crate::options::Options;
use crate::program::{Code, WasmProgram};
use crate::wasi;
use caxton_core::error::{Code as ErrorCode, Error};
use caxton_engine::port::{Answer, Artifact, Program, Runtime};
use std::fmt;
use std::sync::Arc;
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

/// Makes programs of components.
pub struct WasmRuntime {
    options: Options,
    engine: Engine,
    linker: Arc<Linker<Guest>>,
}

impl fmt::Debug for WasmRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WasmRuntime({:?})", self.options)
    }
}

impl WasmRuntime {
    /// Reserves the address space of all instances; fails where the machine has none.
    pub fn new(options: Options) -> Result<Self, Error> {
        let engine = engine::running(&options)?;
        let mut linker = Linker::new(&engine);
        host::add_to_linker(&mut linker)
            .and_then(|()| wasi::add_to_linker(&mut linker))
            .map_err(|error| Error::new(ErrorCode::Internal, format!("{error:#}")))?;
        Ok(Self {
            options,
            engine,
            linker: Arc::new(linker),
        })
    }
}

impl Runtime for WasmRuntime {
    fn prepare(&self, artifact: Artifact) -> Answer<'_, Result<Arc<dyn Program>, Error>> {
        Box::pin(async move {
            let component = Component::new(&self.engine, &artifact.component)
                .map_err(|error| Error::new(ErrorCode::CompileFailed, format!("{error:#}")))?;
            let code = Arc::new(Code::link(&self.linker, &component)?);
            let program: Arc<dyn Program> = Arc::new(WasmProgram {
                code,
                agent: artifact.agent,
                limits: Arc::new(artifact.manifest.limits.clone()),
                fuel_yield: self.options.fuel_yield,
            });
            Ok(program)
        })
    }
}
