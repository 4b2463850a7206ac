//! What the core asks of its driver.

use crate::message::Envelope;
use crate::read::ReadOutcome;
use crate::snapshot::SnapshotMeta;
use crate::symmetry::Permute;
use crate::types::NodeId;
use crate::types::{Entry, HardState};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Names a write that was handed out. Writes are made durable, and reported, in the order in which they were handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriteId(pub u64);

/// What must become durable, all of it or none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Write<C> {
    /// To be reported with `persisted`.
    pub id: WriteId,
    /// The term, vote and commit index from here on.
    pub hard_state: HardState,
    /// A snapshot, which the driver has, that replaces the whole log and the state machine's state. Its last entry counts for applied
    /// then: see [`crate::Raft::applied`].
    pub snapshot: Option<Arc<SnapshotMeta>>,
    /// Entries to append. The first replaces what stands at its index and everything behind it.
    pub entries: Vec<Entry<C>>,
}

/// What the core asks of its driver; see the crate's documentation for the contract.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ready<C> {
    /// May leave at once, before `write` is durable.
    pub messages: Vec<Envelope<C>>,
    /// Must become durable; then report it.
    pub write: Option<Write<C>>,
    /// Committed and durable here: apply them in order, then report the last one's index; or some of them, and hand back the rest.
    pub committed: Vec<Entry<C>>,
    /// Reads that were decided.
    pub reads: Vec<ReadOutcome>,
}

impl<C> Ready<C> {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.write.is_none() && self.committed.is_empty() && self.reads.is_empty()
    }
}

impl<C: Clone> Permute for Write<C> {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        let Write {
            id,
            hard_state,
            snapshot,
            entries,
        } = self;
        Write {
            id: *id,
            hard_state: hard_state.permute(permutation),
            snapshot: snapshot.permute(permutation),
            entries: entries.permute(permutation),
        }
    }
}
