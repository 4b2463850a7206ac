//! The way out when a majority of a cluster is lost for good: one node that is left goes on as a cluster of its own.
//!
//! Its log gets one more entry, of a term after all that it knows: the configuration in which it alone decides. So it can be elected, and
//! everything that it has counts as committed. What the lost nodes had beyond that is lost, though it may have been acknowledged; and
//! what never was committed may come to be. The folder gets another cluster's id first, so that a member of the old cluster that comes
//! back is refused.

use crate::disk::Disk;
use crate::identity;
use crate::log_store::LogStore;
use crate::options::Options;
use crate::recover::{Conflict, OpenError, Tear};
use crate::snapshot;
use crate::wal::Durability;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use raft::{
    Configuration, Entry, EntryData, HardState, Index, InitialState, LogPosition, NodeId, Storage as _,
    Write, WriteId,
};
use wire::record::Member;

/// What is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rescued {
    /// The node.
    pub node: NodeId,
    /// Who took part before.
    pub before: Arc<Configuration>,
    /// What the node knew to be committed.
    pub commit: Index,
    /// The end of its log, all of which counts from now on.
    pub last: LogPosition,
}

/// Makes the folder on `disk`, whose node is stopped, that of a cluster `cluster_id` of its own.
///
/// # Errors
/// There is no node's folder, it has that cluster's id already, it is damaged, or the disk fails. The folder may have its new cluster's id
/// then, and can be rescued again, for another one.
pub fn rescue<D: Disk>(mut disk: D, cluster_id: &str) -> Result<Rescued, OpenError> {
    let missing = || OpenError::Corrupt {
        file: identity::FILE.to_string(),
        offset: 0,
        reason: "there is none: this is no node's data folder".to_string(),
    };
    let mut known = identity::read(&disk)?.ok_or_else(missing)?;
    if known.cluster_id == cluster_id {
        return Err(OpenError::SameCluster(known.cluster_id));
    }
    let node = NodeId(known.node);
    let settings = Options::new(node, String::new(), alloc::vec::Vec::new());
    let stored = snapshot::find(&mut disk)?.map(|(stored, _)| stored);
    let opened = LogStore::open(
        disk,
        settings.segment_bytes,
        settings.tail_bytes_max,
        Some(known.secret),
        stored,
        (Tear::Cut, Conflict::Replace),
    )?;
    let Ok(mut store) = opened else {
        return Err(missing());
    };
    known.cluster_id = cluster_id.to_string();
    identity::write(store.disk_mut(), &known)?;

    let InitialState {
        hard_state,
        configurations,
    } = store.initial_state();
    let (_, before) = configurations.last().expect("a log has a configuration").clone();
    let index = store.last_index();
    let last = LogPosition {
        term: store.term(index).expect("a log knows the term of its last entry"),
        index,
    };
    let member = Member {
        address: String::new(),
        incarnation: Some(known.incarnation),
    };
    let alone = Configuration::of_voters([node]).with_contexts([(node, &member.to_context())]);
    let term = hard_state.term.next();
    let write = Write {
        id: WriteId(0),
        hard_state: HardState {
            term,
            vote: Some(node),
            commit: hard_state.commit,
        },
        snapshot: None,
        entries: alloc::vec![Entry {
            term,
            index: index.next(),
            data: EntryData::Configuration(Arc::new(alone)),
        }],
    };
    let batch = store.batch(&write, None);
    store.write(write, batch, None, Durability::Synced)?;
    Ok(Rescued {
        node,
        before,
        commit: hard_state.commit,
        last,
    })
}
