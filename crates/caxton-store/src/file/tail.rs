//! How a tenant's messages are found by trace, conversation or agent without paying for three
//! indices on every insert. The newest messages, the *tail*, are listed in memory; every few
//! thousand messages the writer *seals* the tail: one row for each tenant with sorted
//! (hash, sequence) pairs. A look-up searches the sealed rows by halving and then the tail. After a
//! crash the tail is read back from the messages past the last seal.
//!
//! A hash can be of two names: whoever asks compares the message itself.

use super::Map;
use caxton_core::Message;
use smallvec::SmallVec;

/// Messages the tail lists before it is sealed: about 2 MB of memory, and some ten milliseconds to read back.
pub(crate) const TAIL_MESSAGES_MAX: usize = 32_768;

/// Agents of a message that are listed without an allocation: a sender and some receivers.
const AGENTS_INLINE: usize = 4;

/// What one message is found by.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    trace: u32,
    conversation: Option<u32>,
    agents: SmallVec<[u32; AGENTS_INLINE]>,
}

/// By what to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Term {
    Trace(u32),
    Conversation(u32),
    Agent(u32),
    Any,
}

impl Term {
    pub(crate) fn matches(self, hash: u32) -> bool {
        match self {
            Self::Any => true,
            Self::Trace(asked) | Self::Conversation(asked) | Self::Agent(asked) => asked == hash,
        }
    }
}

/// FNV-1a, 32 bits. On disk: never change it.
pub(crate) fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

impl Terms {
    /// Of a message that nobody looks for: only that it is there is listed.
    pub(crate) fn none() -> Self {
        Self {
            trace: 0,
            conversation: None,
            agents: SmallVec::new(),
        }
    }

    pub(crate) fn of(message: &Message) -> Self {
        let receivers = message.acl.receivers.iter().map(|receiver| &receiver.id);
        let named = message.sender().into_iter().chain(receivers);
        let mut agents: SmallVec<[u32; AGENTS_INLINE]> = named
            .filter(|agent| agent.tenant == message.tenant)
            .map(|agent| hash(agent.name.as_str().as_bytes()))
            .collect();
        agents.sort_unstable();
        agents.dedup();
        let conversation = message.acl.conversation_id.as_ref();
        Self {
            trace: hash(&message.trace.trace_id),
            conversation: conversation.map(|id| hash(id.as_str().as_bytes())),
            agents,
        }
    }
}

/// (hash, sequence), in the order of sequences until they are sealed.
type Pairs = Vec<(u32, i64)>;

#[derive(Debug, Default)]
struct Lists {
    traces: Pairs,
    conversations: Pairs,
    agents: Pairs,
}

impl Lists {
    fn pack(&self, tenant: i64) -> Option<Segment> {
        let seq_first = self.traces.first()?.1;
        Some(Segment {
            tenant,
            seq_first,
            seq_last: self.traces.last()?.1,
            traces: pack(&self.traces, seq_first),
            conversations: pack(&self.conversations, seq_first),
            agents: pack(&self.agents, seq_first),
        })
    }
}

/// The messages that no sealed row lists.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// No message before this sequence is in the tail.
    first: i64,
    messages: usize,
    tenants: Map<i64, Lists>,
}

/// A row of the `segment` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) tenant: i64,
    pub(crate) seq_first: i64,
    pub(crate) seq_last: i64,
    pub(crate) traces: Vec<u8>,
    pub(crate) conversations: Vec<u8>,
    pub(crate) agents: Vec<u8>,
}

impl Tail {
    pub(crate) fn new(first: i64) -> Self {
        Self {
            first,
            ..Self::default()
        }
    }

    pub(crate) fn first(&self) -> i64 {
        self.first
    }

    pub(crate) fn is_full(&self) -> bool {
        self.messages >= TAIL_MESSAGES_MAX
    }

    pub(crate) fn add(&mut self, tenant: i64, seq: i64, terms: &Terms) {
        let lists = self.tenants.entry(tenant).or_default();
        lists.traces.push((terms.trace, seq));
        let conversation = terms.conversation.iter();
        lists.conversations.extend(conversation.map(|h| (*h, seq)));
        lists.agents.extend(terms.agents.iter().map(|h| (*h, seq)));
        self.messages += 1;
    }

    /// The tail as rows. It stays as it is until [`Tail::sealed`] says that they are committed.
    pub(crate) fn seal(&self) -> Vec<Segment> {
        let segment = |(tenant, lists): (&i64, &Lists)| lists.pack(*tenant);
        self.tenants.iter().filter_map(segment).collect()
    }

    /// One tenant's part as a row.
    pub(crate) fn segment_of(&self, tenant: i64) -> Option<Segment> {
        self.tenants.get(&tenant)?.pack(tenant)
    }

    /// The sequences of the tenant's first and last message in the tail.
    pub(crate) fn bounds(&self, tenant: i64) -> Option<(i64, i64)> {
        let traces = &self.tenants.get(&tenant)?.traces;
        Some((traces.first()?.1, traces.last()?.1))
    }

    /// Drops a tenant's part.
    pub(crate) fn forget(&mut self, tenant: i64) {
        if let Some(lists) = self.tenants.remove(&tenant) {
            self.messages = self.messages.saturating_sub(lists.traces.len());
        }
    }

    pub(crate) fn sealed(&mut self, next: i64) {
        *self = Self::new(next);
    }

    /// Sequences of the tenant's messages that may match, in order.
    pub(crate) fn find(&self, tenant: i64, term: Term) -> Vec<i64> {
        let Some(lists) = self.tenants.get(&tenant) else {
            return Vec::new();
        };
        let pairs = match term {
            Term::Trace(_) | Term::Any => &lists.traces,
            Term::Conversation(_) => &lists.conversations,
            Term::Agent(_) => &lists.agents,
        };
        let found = pairs.iter().filter(|(hash, _)| term.matches(*hash));
        found.map(|(_, seq)| *seq).collect()
    }
}

/// Bytes of one packed pair: the hash and the distance from the segment's first sequence.
const PAIR_BYTES: usize = 8;

fn pack(pairs: &[(u32, i64)], first: i64) -> Vec<u8> {
    let mut sorted: Vec<(u32, u32)> = pairs
        .iter()
        .filter_map(|(hash, seq)| Some((*hash, u32::try_from(seq.checked_sub(first)?).ok()?)))
        .collect();
    sorted.sort_unstable();
    let mut packed = Vec::with_capacity(sorted.len() * PAIR_BYTES);
    for (hash, seq) in sorted {
        packed.extend_from_slice(&hash.to_be_bytes());
        packed.extend_from_slice(&seq.to_be_bytes());
    }
    packed
}

/// Sequences in a sealed list that may match, in order.
pub(crate) fn search(packed: &[u8], seq_first: i64, term: Term) -> Vec<i64> {
    let (pairs, _) = packed.as_chunks::<PAIR_BYTES>();
    let hash = |pair: &[u8; PAIR_BYTES]| {
        let [a, b, c, d, ..] = *pair;
        u32::from_be_bytes([a, b, c, d])
    };
    let seq = |pair: &[u8; PAIR_BYTES]| {
        let [.., a, b, c, d] = *pair;
        seq_first.saturating_add(i64::from(u32::from_be_bytes([a, b, c, d])))
    };
    let found = match term {
        Term::Any => pairs,
        Term::Trace(asked) | Term::Conversation(asked) | Term::Agent(asked) => {
            let from = pairs.partition_point(|pair| hash(pair) < asked);
            let to = pairs.partition_point(|pair| hash(pair) <= asked);
            pairs.get(from..to).unwrap_or_default()
        }
    };
    let mut sequences: Vec<i64> = found.iter().map(seq).collect();
    if term == Term::Any {
        sequences.sort_unstable();
    }
    sequences
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn terms(trace: u32, conversation: Option<u32>, agents: &[u32]) -> Terms {
        Terms {
            trace,
            conversation,
            agents: agents.into(),
        }
    }

    #[test]
    fn hashes_on_disk_never_change() {
        assert_eq!(hash(b""), 0x811c_9dc5);
        assert_eq!(hash(b"foobar"), 0xbf9c_f968);
    }

    proptest! {
        /// What is found before the seal is found after it.
        #[test]
        fn sealing_changes_no_answer(
            messages in prop::collection::vec((0..3_i64, 0..5_u32, prop::option::of(0..3_u32)), 1..60),
        ) {
            let mut tail = Tail::new(100);
            for (index, (tenant, trace, conversation)) in messages.iter().enumerate() {
                let agents = [trace % 2, 7];
                let seq = 100 + i64::try_from(index).unwrap();
                tail.add(*tenant, seq, &terms(*trace, *conversation, &agents));
            }
            let segments = tail.seal();
            for tenant in 0..3 {
                let segment = segments.iter().find(|s| s.tenant == tenant);
                let asked = [Term::Any, Term::Trace(2), Term::Conversation(1), Term::Agent(0)];
                for term in asked {
                    let sealed = segment.map(|s| {
                        let packed = match term {
                            Term::Any | Term::Trace(_) => &s.traces,
                            Term::Conversation(_) => &s.conversations,
                            Term::Agent(_) => &s.agents,
                        };
                        search(packed, s.seq_first, term)
                    });
                    prop_assert_eq!(sealed.unwrap_or_default(), tail.find(tenant, term));
                }
            }
            tail.sealed(500);
            prop_assert!(tail.find(0, Term::Any).is_empty() && tail.first() == 500);
        }

        #[test]
        fn garbage_is_searched_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            search(&bytes, i64::MAX, Term::Agent(3));
            search(&bytes, 0, Term::Any);
        }
    }
}
