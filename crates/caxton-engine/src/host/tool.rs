//! Tools, as an agent may call them. Permission, approval, limits and the log are written once, in
//! [`crate::tools`]; what is here is what a host knows: whose call it is, and how many there were.

use super::Host;
use super::call::wait_once;
use crate::port::tool::ToolAnswer;
use crate::tools::{CallId, Caller, Done, Log, OfferedTool, Prepared, ToolAsk, ToolSide};
use caxton_core::error::{Code, Error};
use caxton_core::tool::Rules;
use std::sync::Arc;
use std::time::Duration;

impl Host {
    /// Says on whose behalf tools are called while this message is handled.
    pub fn tools_for(&mut self, side: ToolSide) {
        self.inner.tool_side = Some(side);
    }

    /// The functions that may be called now.
    pub async fn tools(&mut self) -> Result<Vec<OfferedTool>, Error> {
        self.charge()?;
        let rules = self.inner.manifest.tools.rules();
        let side = self.side();
        let trace = self.trace().unwrap_or_else(|| self.new_trace());
        let tools = Arc::clone(&self.inner.services.tools);
        tools.offered(&self.caller(&rules, &side, trace)).await
    }

    /// Decides on a call and prepares it; several that are prepared may run at a time.
    ///
    /// Errors: `CX-8006` it is not permitted; `CX-8001`, `CX-8007`, `CX-8012`, `CX-8016`.
    pub async fn tool_prepare(&mut self, ask: ToolAsk) -> Result<Prepared, Error> {
        self.charge()?;
        let Some(trace) = self.trace() else {
            return Err(Error::new(
                Code::CallNotAllowed,
                "no tool is called inside init",
            ));
        };
        let call = self.next_tool_call()?;
        let rules = self.inner.manifest.tools.rules();
        let side = self.side();
        let tools = Arc::clone(&self.inner.services.tools);
        let caller = self.caller(&rules, &side, trace);
        let prepared = tools.prepare(&caller, call, ask).await?;
        prepared.asking(|acl, timeout| {
            let (question, timeout) = self.question(acl, timeout)?;
            Ok((Arc::clone(&self.inner.services.outlet), question, timeout))
        })
    }

    /// Calls a tool and waits for its answer, and for a person's approval before where one is needed.
    pub async fn tool_call(&mut self, ask: ToolAsk) -> Result<ToolAnswer, Error> {
        let prepared = self.tool_prepare(ask).await?;
        // What was handled before this message leaves first, as with every call that waits.
        wait_once().await;
        let begun = self.inner.services.clock.now();
        let done = prepared.run().await;
        let took = self.inner.services.clock.now().since(begun);
        self.tool_done(took.saturating_sub(done.waited));
        done.answer
    }

    /// Makes prepared calls, all at once.
    pub async fn tool_run(&mut self, calls: Vec<Prepared>) -> Vec<Done> {
        wait_once().await;
        let begun = self.inner.services.clock.now();
        let done = futures::future::join_all(calls.into_iter().map(Prepared::run)).await;
        let took = self.inner.services.clock.now().since(begun);
        let waited = done.iter().map(|it| it.waited).max().unwrap_or_default();
        self.tool_done(took.saturating_sub(waited));
        done
    }

    /// A model called what it was not offered: that is written down.
    pub async fn tool_unknown(&mut self, name: &str) -> Result<(), Error> {
        let Some(trace) = self.trace() else {
            return Ok(());
        };
        let call = self.next_tool_call()?;
        let rules = self.inner.manifest.tools.rules();
        let side = self.side();
        let tools = Arc::clone(&self.inner.services.tools);
        let caller = self.caller(&rules, &side, trace);
        tools.refuse_unknown(&caller, call, name).await;
        Ok(())
    }

    /// Whoever waits for a call gives it up.
    pub async fn tool_withdraw(&self, approval: &str) {
        let tenant = &self.inner.mailbox.agent.tenant;
        Prepared::withdraw(&self.inner.services.tools, tenant, approval).await;
    }

    fn tool_done(&mut self, took: Duration) {
        self.inner.used.waited += took;
    }

    fn next_tool_call(&mut self) -> Result<CallId, Error> {
        let Some(current) = self.inner.current.as_ref() else {
            return Err(Error::new(
                Code::CallNotAllowed,
                "no tool is called inside init",
            ));
        };
        let max = self.inner.manifest.tools.calls_max;
        if self.inner.used.tool_calls >= max {
            let detail = format!("more than {max} tool calls for one message");
            return Err(Error::new(Code::ToolLimit, detail));
        }
        let call = CallId {
            message: current.delivery,
            index: self.inner.used.tool_calls,
        };
        self.inner.used.tool_calls += 1;
        if self.is_durable() {
            // The answer is of no use once the message is handled.
            self.inner.effects.ops.push(Log::without_answer(call));
        }
        Ok(call)
    }

    fn side(&self) -> ToolSide {
        self.inner.tool_side.clone().unwrap_or_else(|| ToolSide {
            workspace: format!("a/{}", self.inner.mailbox.agent.name),
            ..ToolSide::default()
        })
    }

    fn caller<'a>(
        &'a self,
        rules: &'a Rules,
        side: &'a ToolSide,
        trace: caxton_core::TraceContext,
    ) -> Caller<'a> {
        let tools = &self.inner.manifest.tools;
        let current = self.inner.current.as_ref();
        Caller {
            agent: &self.inner.mailbox.agent,
            rules,
            side,
            trace,
            timeout_max: tools.timeout(),
            approval_timeout: tools.approval_timeout(),
            result_bytes_max: usize::try_from(tools.result_bytes_max).unwrap_or(usize::MAX),
            durable: self.is_durable(),
            replay: current.is_some_and(|it| it.replay || it.attempt > 1),
            person: false,
        }
    }
}
