//! One node of a cluster, and what becomes of its data.

use super::clock::Clock;
use super::process::{NodeProcess, NodeSpec, Victim};
use super::{Cluster, ClusterError, Wound, lock};
use crate::node_number::NodeNumber;
use disk::Disk;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

/// One node: what it takes to start it, and its process while it has one.
pub(super) struct Member {
    pub(super) spec: NodeSpec,
    pub(super) process: Mutex<Option<NodeProcess>>,
    pub(super) paused: AtomicBool,
    /// Whether it joins the cluster that is there, instead of founding it.
    pub(super) joins: AtomicBool,
    /// Whether its data was put aside.
    pub(super) without_data: AtomicBool,
    /// What is wrong with its data, so that it must not start on them.
    pub(super) wound: Mutex<Option<Wound>>,
    /// What it is told the time by, if that is not the machine's.
    pub(super) clock: Option<Clock>,
    /// Whom its disk kills.
    pub(super) victim: Victim,
    /// How much was not durable whenever its power went.
    pub(super) at_stake: AtomicU64,
    /// Where its data lies, if that can fail. It goes last: a process that still lives needs it.
    pub(super) disk: Option<Disk>,
}

impl Member {
    /// One that is down; it joins the cluster when it is started, or is one of its founders.
    pub(super) fn new(spec: NodeSpec, joins: bool, clock: Option<Clock>, disk: Option<Disk>) -> Member {
        Member {
            spec,
            process: Mutex::new(None),
            paused: AtomicBool::new(false),
            joins: AtomicBool::new(joins),
            without_data: AtomicBool::new(false),
            wound: Mutex::default(),
            clock,
            victim: Victim::default(),
            at_stake: AtomicU64::new(0),
            disk,
        }
    }

    /// Where its data is while it is without.
    pub(super) fn aside(&self) -> PathBuf {
        self.spec.data().with_extension("aside")
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Option<NodeProcess>> {
        lock(&self.process)
    }

    pub(super) fn wound(&self) -> MutexGuard<'_, Option<Wound>> {
        lock(&self.wound)
    }

    pub(super) fn take_process(&self) -> Option<NodeProcess> {
        self.lock().take()
    }
}

impl Cluster {
    /// Takes a node's data away, which is down. When it is started again it joins the cluster, if that has it.
    ///
    /// # Errors
    /// The folder can't be removed.
    ///
    /// # Panics
    /// It is up.
    pub async fn wipe(&self, node: NodeNumber) -> Result<(), ClusterError> {
        assert!(
            !self.is_up(node),
            "node {node} is up: its data is not to be taken away"
        );
        let member = self.0.member(node);
        member.joins.store(true, Ordering::Relaxed);
        *member.wound() = None;
        let path = member.spec.data();
        let removed = member.spec.machine().remove(&path).await;
        removed.map_err(|error| ClusterError::Folder { path, error })?;
        member.keep_data()
    }

    /// Puts a node's data aside, which is down. When it is started again, it has none, and is told to join.
    ///
    /// # Errors
    /// The folder can't be moved.
    ///
    /// # Panics
    /// It is up.
    pub async fn take_data_away(&self, node: NodeNumber) -> Result<(), ClusterError> {
        assert!(
            !self.is_up(node),
            "node {node} is up: its data is not to be taken away"
        );
        let member = self.0.member(node);
        let path = member.spec.data();
        if !self.is_without_data(node) {
            let moved = member.spec.machine().rename(&path, &member.aside()).await;
            moved.map_err(|error| ClusterError::Folder { path, error })?;
            member.without_data.store(true, Ordering::Relaxed);
        }
        member.joins.store(true, Ordering::Relaxed);
        member.keep_data()
    }

    /// Whether a node's data was put aside and is still there.
    pub fn is_without_data(&self, node: NodeNumber) -> bool {
        self.0.member(node).without_data.load(Ordering::Relaxed)
    }

    /// Gives a node its data back that was put aside, instead of whatever it has now; it is down.
    ///
    /// # Errors
    /// The folder can't be moved.
    pub async fn give_data_back(&self, node: NodeNumber) -> Result<(), ClusterError> {
        self.wipe(node).await?;
        let member = self.0.member(node);
        let path = member.aside();
        let moved = member.spec.machine().rename(&path, &member.spec.data()).await;
        moved.map_err(|error| ClusterError::Folder { path, error })?;
        member.without_data.store(false, Ordering::Relaxed);
        member.keep_data()
    }
}
