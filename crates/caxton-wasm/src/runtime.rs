//! [`WasmRuntime`]: the engine's `Runtime` for components.

use crate::instance::AgentExports;
use crate::loader::{Loader, Source, Workshop};
use crate::options::{Options, ToolOptions};
use crate::program::WasmProgram;
use crate::tool::WasmTools;
use caxton_core::error::Error;
use caxton_engine::port::{Answer, Artifact, Program, Runtime};
use std::fmt;
use std::sync::Arc;

/// Makes programs of components.
pub struct WasmRuntime {
    loader: Loader<AgentExports>,
}

impl fmt::Debug for WasmRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WasmRuntime({:?})", self.loader.workshop.options)
    }
}

impl WasmRuntime {
    /// Reserves the address space of all instances; fails where the machine has none.
    pub fn new(options: Options) -> Result<Self, Error> {
        let workshop = Arc::new(Workshop::new(options)?);
        Ok(Self {
            loader: Loader::new(workshop)?,
        })
    }

    /// Tools in the same sandbox: one pool of instances, one cache of code, one bound on compilations.
    pub fn tools(&self, options: ToolOptions) -> Result<WasmTools, Error> {
        WasmTools::new(Arc::clone(&self.loader.workshop), options)
    }
}

impl Runtime for WasmRuntime {
    fn instances_max(&self) -> Option<usize> {
        usize::try_from(self.loader.workshop.instances_max).ok()
    }

    fn prepare(&self, artifact: Artifact) -> Answer<'_, Result<Arc<dyn Program>, Error>> {
        Box::pin(async move {
            let limits = &artifact.manifest.limits;
            let source = Source {
                component: artifact.component.clone(),
                digest: artifact.digest,
                profile: artifact.manifest.sandbox.profile,
            };
            let code = self
                .loader
                .code(&source, |shape| shape.fits(limits))
                .await?;
            code.shape.fits(limits)?;
            let workshop = &self.loader.workshop;
            let program: Arc<dyn Program> = Arc::new(WasmProgram {
                fuel_yield: workshop.fuel_yield(&code.shape),
                code,
                agent: artifact.agent,
                limits: Arc::new(limits.clone()),
                wasi_ports: Arc::clone(&workshop.wasi_ports),
            });
            Ok(program)
        })
    }
}
