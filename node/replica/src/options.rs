//! Settings of one node.

use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;
use raft::{Config, NodeId, Timing};

/// Settings of one node.
#[derive(Clone, Debug)]
pub struct Options {
    /// This node.
    pub node: NodeId,
    /// The cluster that it belongs to.
    pub cluster_id: String,
    /// The voting members that the cluster begins with; none if this node is to join one that is there. A folder that was made before
    /// knows better who takes part.
    pub voters: Vec<NodeId>,
    /// What the cluster begins to know of them: see [`wire::record::Member`].
    pub contexts: Vec<(NodeId, Bytes)>,
    /// The random identity that a fresh data folder gets; one that was made before keeps its own.
    pub incarnation: u128,
    /// The random secret that a fresh data folder gets, told to nobody: what tells the batches of its log from what a client writes into a value to
    /// look like some. One that was made before keeps its own.
    pub secret: u64,
    /// The protocol's settings.
    pub raft: Config,
    /// The protocol's time-outs.
    pub timing: Timing,
    /// Decides the randomized election time-outs.
    pub seed: u64,
    /// The usual size of a log segment.
    pub segment_bytes: u64,
    /// How much of the log's end is kept in memory.
    pub tail_bytes_max: usize,
    /// How much work a turn applies, in bytes of commands and of the values that they read and write; the last command may exceed it.
    pub apply_work_max: u64,
    /// A snapshot is taken when it makes segments of the log needless that have as many bytes, or as many as the state has, whichever is more.
    pub snapshot_log_bytes: u64,
    /// How long a session that is opened while this node leads lives unused. Whole milliseconds; at least one.
    pub session_lifetime: Duration,
    /// The bug that is seeded into this node, for testing the tests.
    #[cfg(feature = "mutants")]
    pub mutant: Option<crate::Mutant>,
}

impl Options {
    /// The settings that suit a server. `incarnation`, `secret` and `seed` are 0: a caller with entropy at hand sets them.
    pub fn new(node: NodeId, cluster_id: String, voters: Vec<NodeId>) -> Options {
        Options {
            node,
            cluster_id,
            voters,
            contexts: Vec::new(),
            incarnation: 0,
            secret: 0,
            raft: Config::new(node),
            timing: Timing::default(),
            seed: 0,
            segment_bytes: 32 << 20,
            tail_bytes_max: 4 << 20,
            apply_work_max: 4 << 20,
            snapshot_log_bytes: 32 << 20,
            session_lifetime: Duration::from_secs(60 * 60),
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }
}
