//! Watching a cluster: every node is asked how it is, again and again.

use super::Inner;
use super::node_client::{self, Kept};
use crate::node_number::NodeNumber;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wire::client::{NodeRole, Status};

/// Between two questions to a node.
const INTERVAL: Duration = Duration::from_millis(40);

/// How a cluster was when it was last asked.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// Every node.
    pub nodes: BTreeMap<NodeNumber, NodeView>,
    /// The leader of the highest term in which one was seen that still says it leads.
    pub leader: Option<NodeNumber>,
    /// The highest term seen.
    pub term: u64,
    /// How many elections were seen to be won since the start: terms with a leader.
    pub elections: u64,
}

/// How one node was when it was last asked.
#[derive(Clone, Debug, Default)]
pub struct NodeView {
    /// Whether its process is there.
    pub up: bool,
    /// Whether its process was stopped by a pause.
    pub paused: bool,
    /// What it said of itself; `None` if it is down, paused or silent.
    pub status: Option<Status>,
}

impl Observation {
    /// Whether all nodes are up, agree on a leader and a term, and have applied the same.
    pub fn is_settled(&self) -> bool {
        let mut agreed = None;
        self.nodes.values().all(|view| match &view.status {
            Some(status) => {
                let state = (
                    status.term,
                    status.leader,
                    status.applied_index,
                    status.state_hash,
                );
                status.leader.is_some() && *agreed.get_or_insert(state) == state
            }
            None => false,
        })
    }

    /// Two nodes in different states after the same entry, and its index. A system that replicates a log never gets there, and its
    /// clients need not notice: they read what the leader has.
    pub fn divergence(&self) -> Option<(NodeNumber, NodeNumber, u64)> {
        let mut seen: BTreeMap<u64, (NodeNumber, u64)> = BTreeMap::new();
        self.nodes.iter().find_map(|(node, view)| {
            let status = view.status.as_ref()?;
            let (first, hash) = *seen
                .entry(status.applied_index)
                .or_insert((*node, status.state_hash));
            (hash != status.state_hash).then_some((first, *node, status.applied_index))
        })
    }
}

pub(super) struct Monitor {
    latest: watch::Sender<Observation>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// Terms in which a leader was seen.
    won: Mutex<BTreeSet<u64>>,
    /// Whom to ask; the spare ones too.
    asked: Vec<NodeNumber>,
    /// The last one that is always there.
    last: NodeNumber,
}

impl Monitor {
    /// One of `nodes`, and of those behind them in `asked` while they are up.
    pub(super) fn new(nodes: &[NodeNumber], asked: &[NodeNumber]) -> Monitor {
        let last = nodes.last().copied().unwrap_or_default();
        let nodes = nodes.iter().map(|node| (*node, NodeView::default())).collect();
        let observation = Observation {
            nodes,
            ..Observation::default()
        };
        Monitor {
            latest: watch::Sender::new(observation),
            tasks: Mutex::default(),
            won: Mutex::default(),
            asked: asked.to_vec(),
            last,
        }
    }

    /// Begins to ask. The cluster is not kept alive by that.
    pub(super) fn start(&self, cluster: &Weak<Inner>) {
        let nodes = self.asked.iter().copied();
        let tasks = nodes.map(|node| tokio::spawn(watch_node(Weak::clone(cluster), node)));
        self.tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(tasks);
    }

    pub(super) fn stop(&self) {
        for task in self
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
        {
            task.abort();
        }
    }

    pub(super) fn latest(&self) -> Observation {
        self.latest.borrow().clone()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Observation> {
        self.latest.subscribe()
    }

    fn saw(&self, node: NodeNumber, view: NodeView) {
        let mut won = self.won.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(status) = &view.status
            && (status.role == NodeRole::Leader || status.leader.is_some())
        {
            won.insert(status.term);
        }
        let elections = won.len() as u64;
        self.latest.send_modify(|latest| {
            latest.term = latest
                .term
                .max(view.status.as_ref().map_or(0, |status| status.term));
            if view.up || node <= self.last {
                latest.nodes.insert(node, view);
            } else {
                latest.nodes.remove(&node);
            }
            latest.elections = elections;
            let leaders = latest.nodes.iter().filter_map(|(node, view)| {
                let status = view
                    .status
                    .as_ref()
                    .filter(|status| status.role == NodeRole::Leader)?;
                Some((status.term, *node))
            });
            latest.leader = leaders.max().map(|(_, node)| node);
        });
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn watch_node(cluster: Weak<Inner>, node: NodeNumber) {
    let mut kept: Kept = None;
    let mut beat = tokio::time::interval(INTERVAL);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let Some((address, paused)) = cluster.upgrade().map(|cluster| {
            (
                cluster.client_address(node),
                cluster.member(node).paused.load(Ordering::Relaxed),
            )
        }) else {
            return;
        };
        let status = match address {
            Some(address) if !paused => node_client::status(node, address, &mut kept).await,
            Some(_) | None => None,
        };
        let Some(cluster) = cluster.upgrade() else { return };
        cluster.monitor.saw(
            node,
            NodeView {
                up: address.is_some(),
                paused,
                status,
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes that have applied so many entries, and are in that state.
    fn nodes(states: &[(u64, u64)]) -> Observation {
        let views = states.iter().zip(1..).map(|((applied_index, state_hash), node)| {
            let status = Status {
                node,
                cluster_id: String::new(),
                role: NodeRole::Follower,
                term: 1,
                leader: Some(1),
                last_index: *applied_index,
                commit_index: *applied_index,
                applied_index: *applied_index,
                state_hash: *state_hash,
                voters: Vec::new(),
                progress: Vec::new(),
                first_index: 1,
                snapshot_index: 0,
                members: Vec::new(),
            };
            let view = NodeView {
                up: true,
                paused: false,
                status: Some(status),
            };
            (node, view)
        });
        Observation {
            nodes: views.collect(),
            ..Observation::default()
        }
    }

    #[test]
    fn nodes_diverge_if_the_same_entries_have_led_to_different_states() {
        assert_eq!(nodes(&[(7, 1), (8, 2), (7, 1)]).divergence(), None);
        assert_eq!(nodes(&[(7, 1), (8, 2), (7, 3)]).divergence(), Some((1, 3, 7)));
        assert!(nodes(&[(7, 1), (7, 1)]).is_settled());
        assert!(!nodes(&[(7, 1), (7, 2)]).is_settled());
        assert!(!nodes(&[(7, 1), (8, 1)]).is_settled());
    }
}
