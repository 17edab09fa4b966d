//! What the writer knows of the committed database between its groups, so that it need not ask, and
//! what a group changes of it: kept once the group is committed, thrown away where it is rolled back.

use crate::file::inbox::Change;
use crate::file::tail::Terms;
use crate::file::{Map, Set};
use crate::rows;
use caxton_core::conversation::Conversation;
use caxton_core::{ConversationId, MessageId, TenantId};

/// Summaries the writer keeps between groups; past it, it begins anew.
const CONVERSATIONS_KEPT_MAX: usize = 8_192;
/// Sequences of unhandled messages that the writer knows by id; past it, it begins anew and asks the
/// index.
const SEQUENCES_KEPT_MAX: usize = 65_536;

/// A message by its tenant's number and its id.
type Place = (i64, MessageId);
/// Of each tenant.
type Conversations = Map<i64, Map<ConversationId, Summary>>;

/// A conversation's row.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    pub(crate) conversation: Conversation,
    pub(crate) seq_first: i64,
    pub(crate) seq_last: i64,
}

#[derive(Debug, Default)]
pub(super) struct Known {
    /// Of the last message.
    pub(super) seq: i64,
    pub(super) tenants: Map<TenantId, i64>,
    /// The last number given to a tenant, removed ones included.
    pub(super) tenant_last: i64,
    /// Numbers whose rows are to be deleted.
    pub(super) leftover: Set<i64>,
    conversations: Conversations,
    /// How many of them there are, at most.
    conversations_kept: usize,
    /// Of messages that were delivered not long ago and not handled yet.
    sequences: Map<Place, i64>,
    /// Where forgetting a tenant's conversations goes on.
    pub(super) walks: Map<i64, rows::Place>,
}

/// What a transaction has changed so far.
#[derive(Clone, Debug)]
pub(super) struct Staged {
    pub(super) seq: i64,
    pub(super) tenants: Map<TenantId, i64>,
    pub(super) conversations: Conversations,
    /// (tenant, sequence, terms) of new messages.
    pub(super) messages: Vec<(i64, i64, Terms)>,
    pub(super) inbox: Vec<Change>,
    /// Of new messages, and of messages that left a mailbox.
    pub(super) sequences: Vec<(Place, i64)>,
    pub(super) left: Vec<Place>,
}

impl Known {
    pub(super) fn stage(&self) -> Staged {
        Staged {
            seq: self.seq,
            tenants: Map::default(),
            conversations: Map::default(),
            messages: Vec::new(),
            inbox: Vec::new(),
            sequences: Vec::new(),
            left: Vec::new(),
        }
    }

    /// Takes over what was committed.
    pub(super) fn keep(&mut self, staged: Staged) {
        self.seq = staged.seq;
        self.tenant_last += i64::try_from(staged.tenants.len()).unwrap_or(0);
        self.tenants.extend(staged.tenants);
        if self.conversations_kept > CONVERSATIONS_KEPT_MAX {
            self.conversations.clear();
            self.conversations_kept = 0;
        }
        for (tenant, talks) in staged.conversations {
            self.conversations_kept += talks.len();
            self.conversations.entry(tenant).or_default().extend(talks);
        }
        if self.sequences.len() > SEQUENCES_KEPT_MAX {
            self.sequences.clear();
        }
        self.sequences.extend(staged.sequences);
        // One that has other mailboxes to leave is asked of the index then.
        for place in staged.left {
            self.sequences.remove(&place);
        }
    }

    pub(super) fn conversation(&self, tenant: i64, id: &ConversationId) -> Option<&Summary> {
        self.conversations.get(&tenant)?.get(id)
    }

    pub(super) fn forget_conversation(&mut self, tenant: i64, id: &ConversationId) {
        if let Some(talks) = self.conversations.get_mut(&tenant) {
            talks.remove(id);
        }
    }

    pub(super) fn sequence(&self, place: Place) -> Option<i64> {
        self.sequences.get(&place).copied()
    }

    /// Drops what was kept for speed under a number that is nobody's any more.
    pub(super) fn forget(&mut self, number: i64) {
        self.conversations.remove(&number);
        self.sequences.retain(|(of, _), _| *of != number);
        self.walks.remove(&number);
    }
}
