//! Components as tools. A tool is validated, compiled and kept by the very way agents are, and linked
//! with less: it may write a log, and ask for the time and for random bytes. Each call has an instance
//! of its own, made from linked code and gone when the call ends, so that nothing is left for the next
//! call or another tenant; what bounds it is the memory, fuel and time of [`ToolOptions`], and the
//! caller's timeout over all of it.

mod host;
mod ready;
mod said;
mod translate;

pub(crate) use host::{TOOL_FUNCTIONS, TOOL_INTERFACES};
pub(crate) use said::Said;

use crate::abi;
use crate::bindings::tool::tool_functions;
use crate::fault;
use crate::guest::Guest;
use crate::loader::{Loader, Source, Workshop};
use crate::meter::{Busy, Late};
use crate::options::ToolOptions;
use crate::program::{Code, Exports};
use crate::validate::World;
use bytes::Bytes;
use caxton_core::Digest;
use caxton_core::error::{Code as ErrorCode, Error};
use caxton_core::quota::Limits;
use caxton_core::tool::{Definition, Function};
use caxton_engine::port::behavior::FaultKind;
use caxton_engine::port::tool::{
    ANSWER_BYTES_MAX, Executor, ToolAnswer, ToolCall, ToolFault, ToolFaultKind, ToolTarget,
};
use caxton_engine::port::{Answer, Fault};
use ready::Ready;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Linker, Lower,
};
use wasmtime::{Store, Trap};

/// Longest detail of a fault, in characters.
const DETAIL_CHARS_MAX: usize = 1_000;
/// How wasmtime begins to say that more came out of a guest than it may lift; it has no type for it.
const LIFTED_TOO_MUCH: &str = "too much data is being copied";

/// Where a tool has its functions.
pub(crate) struct ToolExports {
    describe: ComponentExportIndex,
    call: ComponentExportIndex,
}

impl Exports for ToolExports {
    const WORLD: World = World::Tool;

    fn offer(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
        host::add_to_linker(linker)
    }

    fn find(component: &Component, _pre: &InstancePre<Guest>) -> Result<Self, Error> {
        abi::check_tool(component)?;
        let interface = component.get_export_index(None, TOOL_FUNCTIONS);
        let find = |name: &str| {
            let function = component.get_export_index(interface.as_ref(), name);
            function.ok_or_else(|| {
                let detail = format!("{TOOL_FUNCTIONS} has no `{name}`");
                Error::new(ErrorCode::ComponentWorld, detail)
            })
        };
        Ok(Self {
            describe: find("describe")?,
            call: find("call")?,
        })
    }
}

type ToolCode = Code<ToolExports>;

/// Calls tools that are components.
pub struct WasmTools {
    loader: Loader<ToolExports>,
    options: ToolOptions,
    limits: Arc<Limits>,
    ready: Ready,
    at_once: Semaphore,
}

impl fmt::Debug for WasmTools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WasmTools({:?})", self.options)
    }
}

impl WasmTools {
    pub(crate) fn new(workshop: Arc<Workshop>, options: ToolOptions) -> Result<Self, Error> {
        let limits = Limits {
            memory_bytes_max: options.memory_bytes_max,
            table_elements_max: options.table_elements_max,
            fuel_per_message_max: options.fuel_per_call_max,
            handle_timeout_ms_max: options.busy_ms_max,
            ..Limits::default()
        };
        Ok(Self {
            loader: Loader::new(workshop)?,
            limits: Arc::new(limits),
            ready: Ready::new(options.ready_max),
            at_once: Semaphore::new(options.calls_at_once_max.clamp(1, Semaphore::MAX_PERMITS)),
            options,
        })
    }

    /// Whether a component is a tool that can be registered: it is sound, its `describe` answers, and
    /// what it offers has unique names and schemas that are JSON objects. What it offers comes back.
    /// Errors: those of a component (`CX-2xxx`), `CX-8002` where what it tells of itself is wrong.
    pub async fn check(&self, component: Bytes) -> Result<Vec<Function>, Error> {
        let digest = Digest(Sha256::digest(&component).into());
        let code = self.load(digest, component).await?;
        self.functions(&code).await.map_err(|fault| {
            let code = match fault.kind {
                ToolFaultKind::Malformed => ErrorCode::ToolMalformed,
                _ => fault.code(),
            };
            Error::new(code, fault.detail)
        })
    }

    async fn load(&self, digest: Digest, component: Bytes) -> Result<Arc<ToolCode>, Error> {
        if let Some(code) = self.ready.get(digest) {
            return Ok(code);
        }
        let source = Source {
            component,
            digest,
            profile: self.options.profile,
        };
        let code = self
            .loader
            .code(&source, |shape| shape.fits(&self.limits))
            .await?;
        code.shape.fits(&self.limits)?;
        self.ready.put(digest, &code);
        Ok(code)
    }

    async fn code(&self, target: &ToolTarget) -> Result<Arc<ToolCode>, ToolFault> {
        let Some(Definition::Wasm { component: digest }) = target.definition else {
            let detail = "the tool is no component";
            return Err(ToolFault::new(ToolFaultKind::Internal, detail));
        };
        if let Some(code) = self.ready.get(digest) {
            return Ok(code);
        }
        let Some(component) = target.component.clone() else {
            let detail = "the tool's component is not there";
            return Err(ToolFault::new(ToolFaultKind::Internal, detail));
        };
        self.load(digest, component).await.map_err(|error| {
            let kind = match error.code {
                ErrorCode::Internal => ToolFaultKind::Internal,
                code => ToolFaultKind::Component(code),
            };
            ToolFault::new(kind, error.detail)
        })
    }

    async fn functions(&self, code: &ToolCode) -> Result<Vec<Function>, ToolFault> {
        let ((said,), _): ((Vec<_>,), _) = self.run(code, &code.exports.describe, ()).await?;
        translate::functions(said)
    }

    async fn answer(&self, call: &ToolCall) -> Result<ToolAnswer, ToolFault> {
        let code = self.code(&call.target).await?;
        let arguments = call.arguments.to_string();
        let ((answered,), log): ((Result<tool_functions::Answer, String>,), _) = self
            .run(
                &code,
                &code.exports.call,
                (call.function.name.as_str(), arguments.as_str()),
            )
            .await?;
        let answer = match answered {
            Ok(answer) => translate::answer(answer)?,
            Err(text) => ToolAnswer::error(text),
        };
        Ok(ToolAnswer { log, ..answer })
    }

    /// One function of a fresh instance. Gives what it wrote to its log, too.
    async fn run<P, R>(
        &self,
        code: &ToolCode,
        function: &ComponentExportIndex,
        arguments: P,
    ) -> Result<(R, Vec<String>), ToolFault>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let _permit = self.at_once.acquire().await;
        let mut store = self.store(code)?;
        let ended = {
            let work = pin!(async {
                let instance = code.pre.instantiate_async(&mut store).await?;
                let function = instance.get_typed_func::<P, R>(&mut store, function)?;
                function.call_async(&mut store, arguments).await
            });
            let busy_max = self.limits.handle_timeout();
            // Only the caller's timeout bounds the whole.
            Busy::new(work, busy_max, Duration::MAX).await
        };
        match ended {
            Ok(Ok(answered)) => Ok((answered, said::told(store.data_mut()))),
            Ok(Err(error)) => Err(self.failed(&error, store.data_mut())),
            Err(Late::Busy | Late::Whole) => Err(said::beside(
                store.data_mut(),
                ToolFaultKind::Timeout,
                format!(
                    "kept a processor for more than busy_ms_max ({} ms)",
                    self.options.busy_ms_max
                ),
            )),
        }
    }

    fn store(&self, code: &ToolCode) -> Result<Store<Guest>, ToolFault> {
        let workshop = &self.loader.workshop;
        let mut guest = Guest::new(
            Arc::clone(&self.limits),
            workshop.fuel_yield(&code.shape),
            Arc::clone(&workshop.wasi_ports),
        );
        guest.said = Some(Said::default());
        guest.meter.begin(self.limits.fuel_per_message_max);
        code.store(guest, ANSWER_BYTES_MAX as u64)
            .map_err(|error| ToolFault::new(ToolFaultKind::Internal, format!("{error:#}")))
    }

    fn failed(&self, error: &wasmtime::Error, guest: &mut Guest) -> ToolFault {
        if error.root_cause().to_string().starts_with(LIFTED_TOO_MUCH) {
            let detail = format!("its answer has more than {ANSWER_BYTES_MAX} bytes");
            return ToolFault::new(ToolFaultKind::TooLarge, detail);
        }
        if error.downcast_ref::<Trap>() == Some(&Trap::OutOfFuel) {
            let detail = format!(
                "used all of its fuel: fuel_per_call_max is {}",
                self.options.fuel_per_call_max
            );
            return said::beside(guest, ToolFaultKind::Failed, detail);
        }
        let Fault { kind, detail } = fault::of_error(error, guest);
        let kind = match kind {
            FaultKind::Overload => ToolFaultKind::Unavailable,
            FaultKind::Internal => ToolFaultKind::Internal,
            _ => ToolFaultKind::Failed,
        };
        said::beside(guest, kind, detail)
    }
}

impl Executor for WasmTools {
    fn describe(&self, tool: Arc<ToolTarget>) -> Answer<'_, Result<Vec<Function>, ToolFault>> {
        Box::pin(async move {
            let code = self.code(&tool).await?;
            self.functions(&code).await
        })
    }

    fn call(&self, call: ToolCall) -> Answer<'_, Result<ToolAnswer, ToolFault>> {
        Box::pin(async move {
            match tokio::time::timeout(call.timeout, self.answer(&call)).await {
                Ok(answered) => answered,
                Err(_) => Err(ToolFault::new(
                    ToolFaultKind::Timeout,
                    format!("did not answer within {} ms", call.timeout.as_millis()),
                )),
            }
        })
    }
}
