//! What cluster is wanted.

use super::Hosts;
use crate::systems::System;
use std::path::PathBuf;
use std::time::Duration;

/// A cluster to start.
#[derive(Clone, Debug)]
pub struct ClusterSpec {
    /// Of what.
    pub system: System,
    /// How many nodes.
    pub nodes: u64,
    /// How many more there may be, with the numbers behind those: they are not started, and join when a nemesis has them.
    pub spares: u64,
    /// The cluster's id.
    pub cluster_id: String,
    /// Each node's data and log lie in `nodes/<number>/` below it.
    pub dir: PathBuf,
    /// Decides the nodes' randomized time-outs.
    pub seed: u64,
    /// The nodes' time-outs.
    pub timing: Timing,
    /// Further arguments for each node.
    pub extra_args: Vec<String>,
    /// Whether nodes go by clocks that can be set.
    pub clocks: bool,
    /// Whether the nodes' data lies on disks that can fail.
    pub disks: bool,
    /// Where they run; `None`: on this machine.
    pub hosts: Option<Hosts>,
}

/// The nodes' time-outs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The length of a tick.
    pub tick: Duration,
    /// The election time-out is drawn from this range.
    pub election_ticks: (u32, u32),
    /// Between two heartbeats of a leader.
    pub heartbeat_ticks: u32,
}

/// Elections after 150 to 300 ms, as in Raft §9.3; heartbeats every 40 ms.
impl Default for Timing {
    fn default() -> Self {
        Timing {
            tick: Duration::from_millis(10),
            election_ticks: (15, 30),
            heartbeat_ticks: 4,
        }
    }
}
