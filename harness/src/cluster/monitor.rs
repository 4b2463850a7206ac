//! Watching a cluster: every node is asked how it is, again and again.

use super::Inner;
use crate::node_number::NodeNumber;
use crate::systems::Watcher;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
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
    /// When it was asked that; `None` if it never was.
    pub asked: Option<Instant>,
}

impl Observation {
    /// Whether all nodes are up, agree on a leader and a term, and have applied the same.
    pub fn is_settled(&self) -> bool {
        self.unsettled().is_none() && self.divergence().is_none()
    }

    /// Whether every node was asked at `time` or later.
    pub fn is_since(&self, time: Instant) -> bool {
        self.nodes
            .values()
            .all(|view| view.asked.is_some_and(|asked| asked >= time))
    }

    /// In words, which node is not where the others are, and how far it is behind; `None` if all of them agree on a leader and a term, and
    /// have applied equally much.
    pub fn unsettled(&self) -> Option<String> {
        let mut statuses = Vec::new();
        for (node, view) in &self.nodes {
            match &view.status {
                Some(status) => statuses.push((*node, status)),
                None if view.up => return Some(format!("node {node} does not say how it is")),
                None => return Some(format!("node {node} is down")),
            }
        }
        let applied = |of: &&(NodeNumber, &Status)| of.1.applied_index;
        let (ahead, most) = *statuses.iter().max_by_key(applied)?;
        let (behind, least) = *statuses.iter().min_by_key(applied)?;
        if least.applied_index < most.applied_index {
            return Some(format!(
                "node {behind} has applied {} entries and node {ahead} {}: it is {} behind",
                least.applied_index,
                most.applied_index,
                most.applied_index - least.applied_index
            ));
        }
        if let Some((node, status)) = statuses.iter().find(|(_, status)| status.leader.is_none()) {
            return Some(format!("node {node} knows of no leader in term {}", status.term));
        }
        let (first, agreed) = *statuses.first()?;
        let (other, status) = statuses
            .iter()
            .find(|(_, status)| (status.term, status.leader) != (agreed.term, agreed.leader))?;
        let led = |status: &Status| {
            let leader = status.leader.map(|leader| format!("n{leader}"));
            format!("{} in term {}", leader.unwrap_or_default(), status.term)
        };
        Some(format!(
            "node {first} follows {} and node {other} {}",
            led(agreed),
            led(status)
        ))
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
    let Some(mut watcher) = cluster.upgrade().map(|cluster| Watcher::of(cluster.site.clone())) else {
        return;
    };
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
        let asked = Some(Instant::now());
        let status = match address {
            Some(address) if !paused => watcher.status(node, address).await,
            Some(_) | None => None,
        };
        let Some(cluster) = cluster.upgrade() else { return };
        cluster.monitor.saw(
            node,
            NodeView {
                up: address.is_some(),
                paused,
                status,
                asked,
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
                asked: None,
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

    #[test]
    fn who_is_not_where_the_others_are_is_named_with_how_far_it_is_behind() {
        assert_eq!(
            nodes(&[(7, 1), (7, 2)]).unsettled(),
            None,
            "they differ, and are as far"
        );
        let behind = nodes(&[(2383, 1), (2380, 2), (120, 3)]).unsettled();
        assert_eq!(
            behind.as_deref(),
            Some("node 3 has applied 120 entries and node 1 2383: it is 2263 behind")
        );
        let changed = |change: fn(&mut NodeView)| {
            let mut seen = nodes(&[(7, 1), (7, 1), (7, 1)]);
            change(seen.nodes.get_mut(&2).unwrap());
            assert!(!seen.is_settled());
            seen.unsettled().unwrap()
        };
        assert_eq!(
            changed(|view| view.status = None),
            "node 2 does not say how it is"
        );
        assert_eq!(changed(|view| *view = NodeView::default()), "node 2 is down");
        assert_eq!(
            changed(|view| view.status.as_mut().unwrap().leader = None),
            "node 2 knows of no leader in term 1"
        );
        assert_eq!(
            changed(|view| view.status.as_mut().unwrap().term = 2),
            "node 1 follows n1 in term 1 and node 2 n1 in term 2"
        );
    }

    #[test]
    fn what_was_asked_before_a_moment_says_nothing_of_it() {
        let now = Instant::now();
        let mut seen = nodes(&[(7, 1), (7, 1)]);
        assert!(!seen.is_since(now));
        for view in seen.nodes.values_mut() {
            view.asked = Some(now);
        }
        assert!(seen.is_since(now));
        assert!(!seen.is_since(now + Duration::from_nanos(1)));
    }
}
