//! What a translation for a provider is made of. It is pure: a request goes in and bytes come out,
//! bytes go in and events come out; sending and waiting are `remote`'s.

use crate::sse;
use caxton_core::model::{ModelEvent, ModelFault, ModelFaultKind};
use caxton_engine::port::http::HeaderValue;

/// A request as one provider takes it.
#[derive(Debug)]
pub struct Outgoing {
    /// Comes after the endpoint's base address.
    pub path: &'static str,
    pub headers: Vec<(String, HeaderValue)>,
    /// JSON.
    pub body: Vec<u8>,
}

/// What comes out of a decoder.
pub type Events = std::collections::VecDeque<ModelEvent>;

/// Reads one answer.
pub trait Decode: Send {
    /// Takes an event of the stream.
    ///
    /// # Errors
    /// What the provider says went wrong, or `Malformed` for what is not its protocol.
    fn event(&mut self, event: sse::Event<'_>, out: &mut Events) -> Result<(), ModelFault>;

    /// Takes a whole answer, where the provider did not stream.
    ///
    /// # Errors
    /// As [`Decode::event`].
    fn whole(&mut self, body: &[u8], out: &mut Events) -> Result<(), ModelFault>;

    /// The connection has ended. A complete answer is finished by it, if it was not yet.
    ///
    /// # Errors
    /// `Cut` for an answer that is not complete, `Malformed` for none at all.
    fn end(&mut self, out: &mut Events) -> Result<(), ModelFault>;

    /// `Finished` has come out; what else comes means nothing.
    fn is_done(&self) -> bool;
}

/// The connection of a stream has ended. An event that was not complete is none (HTML 9.2.6), unless
/// it can be read; so an answer cut in the middle of one is cut, not malformed.
///
/// # Errors
/// As [`Decode::end`].
pub fn finish(
    reader: &mut sse::Reader,
    decoder: &mut dyn Decode,
    out: &mut Events,
) -> Result<(), ModelFault> {
    struct Stopped(Option<ModelFault>);
    impl From<sse::TooLarge> for Stopped {
        fn from(_: sse::TooLarge) -> Self {
            Self(None)
        }
    }
    let last = reader.end(|event| {
        let read = decoder.event(event, out);
        read.map_err(|fault| Stopped(Some(fault)))
    });
    match last {
        Err(Stopped(Some(fault))) if fault.kind != ModelFaultKind::Malformed => Err(fault),
        _ if decoder.is_done() => Ok(()),
        _ => decoder.end(out),
    }
}

/// A fault of the provider's protocol.
pub fn malformed(what: impl AsRef<str>) -> ModelFault {
    ModelFault::new(ModelFaultKind::Malformed, what)
}

/// The stream ended early; `begun` is whether anything of it was understood.
pub fn ended_early(begun: bool) -> ModelFault {
    if begun {
        ModelFault::new(
            ModelFaultKind::Cut,
            "the answer ended before it was complete",
        )
    } else {
        malformed("the answer is not what the provider's protocol has")
    }
}

/// Data that is no JSON, or not of the protocol's form.
pub fn unreadable(error: &serde_json::Error) -> ModelFault {
    // serde's own words may quote the answer: the place is enough.
    let kind = match error.classify() {
        serde_json::error::Category::Eof => "half a JSON",
        serde_json::error::Category::Data => "not of the protocol's form",
        _ => "no JSON",
    };
    malformed(format!("an event is {kind} (column {})", error.column()))
}
