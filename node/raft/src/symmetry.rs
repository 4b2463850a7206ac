//! Other names for the same servers: what a model checker may take for one state.
//!
//! The protocol treats servers alike, whatever their ids. So two states of a cluster that differ only in who is called what have the same
//! future, up to the same renaming, and one of them is enough to be explored. Each type that holds ids has its [`Permute`] beside its
//! own definition, and takes itself apart in it without `..`: a field that is added can't be forgotten.
//!
//! One exception is known: a leader that leaves for good asks, among followers that are level, the one with the least id. Both choices are
//! right, so a search that treats servers alike may miss one of them there. Worlds that remove a leader do not use symmetry.

use crate::types::NodeId;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Something that holds ids of servers.
pub trait Permute {
    /// The same with every id replaced by its image; what was sorted by id is sorted anew. `permutation` has a pair for each
    /// id, sorted.
    ///
    /// # Panics
    /// An id has no image.
    #[must_use]
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self;
}

impl<T: Permute> Permute for Vec<T> {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        self.iter().map(|item| item.permute(permutation)).collect()
    }
}

impl<T: Permute> Permute for VecDeque<T> {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        self.iter().map(|item| item.permute(permutation)).collect()
    }
}

impl<T: Permute> Permute for Option<T> {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        self.as_ref().map(|item| item.permute(permutation))
    }
}

impl<T: Permute> Permute for Arc<T> {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        Arc::new(T::permute(self, permutation))
    }
}

/// A set of ids, kept as a sorted list.
pub(crate) fn permute_sorted(nodes: &[NodeId], permutation: &[(NodeId, NodeId)]) -> Vec<NodeId> {
    let mut nodes: Vec<NodeId> = nodes.iter().map(|node| node.permute(permutation)).collect();
    nodes.sort_unstable();
    nodes
}
