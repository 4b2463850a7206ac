//! The disks under the nodes' data, where they can fail.

use super::process::Victim;
use super::{Cluster, ClusterError, Folders, Member};
use crate::node_number::NodeNumber;
use disk::{Disk, Done, Errors};
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// For how long a disk without power waits for an operation that it can leave half-done.
const CUT_TIME_MAX: Duration = Duration::from_millis(50);
/// Between two looks at it.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// What a node says whose disk is full, and what one says whose disk fails.
const FULL: &str = "No space left on device";
const FAILED: &str = "Input/output error";

/// When a node dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrashPoint {
    /// At which of the operations that change its disk or sync it, counted from 1.
    pub nth: u64,
    /// From where they are counted.
    pub since: Since,
    /// Whether that one was carried out.
    pub done: Done,
}

/// From where operations are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Since {
    /// From when the fault begins.
    Now,
    /// From the node's next start, for which it is killed.
    Start,
}

/// A disk for the node with these folders.
pub(super) fn mount(folders: &Folders) -> Result<Disk, ClusterError> {
    Disk::mount(&folders.disk(), &folders.own).map_err(ClusterError::Disk)
}

impl Member {
    fn disk(&self) -> &Disk {
        let disk = self.disk.as_ref();
        disk.unwrap_or_else(|| panic!("node {} has no disk that can fail", self.spec.node))
    }

    /// What was done to its data is not to be undone by a loss of power.
    pub(super) fn keep_data(&self) -> Result<(), ClusterError> {
        let kept = self.disk.as_ref().map_or(Ok(()), Disk::sync_all);
        kept.map_err(|errno| self.unusable(errno))
    }

    fn unusable(&self, errno: disk::Errno) -> ClusterError {
        ClusterError::Folder {
            path: self.spec.data(),
            error: errno.into(),
        }
    }

    /// Lets what waits for the disk fail; whoever is killed ends only then.
    pub(super) fn abandon_disk(&self) {
        if let Some(disk) = &self.disk {
            disk.abandon();
        }
    }

    /// Whether the process waits for its disk, so that it does not hear signals.
    pub(super) fn waits_for_disk(&self) -> bool {
        self.disk.as_ref().is_some_and(Disk::keeps_waiting)
    }
}

impl Cluster {
    /// Nothing is wrong with this node's disk any more, if it has one that can fail.
    pub fn heal_disk(&self, node: NodeNumber) {
        if let Some(disk) = &self.0.member(node).disk {
            disk.heal();
        }
    }

    /// The node's disk is full, or not any more.
    ///
    /// # Panics
    /// The cluster has no disks that can fail; so do all that follow.
    pub fn set_full(&self, node: NodeNumber, is_full: bool) {
        let member = self.0.member(node);
        member.disk().set_full(is_full);
        self.excuse(node, is_full.then_some(FULL));
    }

    /// The node's disk fails in that way, or not any more.
    pub fn set_errors(&self, node: NodeNumber, errors: Option<Errors>) {
        let member = self.0.member(node);
        member.disk().set_errors(errors);
        self.excuse(node, errors.map(|_| FAILED));
    }

    /// From now on the node may end by itself, if it says that. Nothing takes that back from a process: it may take a while to end.
    fn excuse(&self, node: NodeNumber, words: Option<&'static str>) {
        if let (Some(words), Some(process)) = (words, self.0.member(node).lock().as_ref()) {
            process.excuse(words);
        }
    }

    /// Syncs of the node's disk do not end, or do again.
    pub fn set_stalled(&self, node: NodeNumber, is_stalled: bool) {
        self.0.member(node).disk().set_stalled(is_stalled);
    }

    /// How many operations faults of the node's disk have met so far.
    pub fn disk_hits(&self, node: NodeNumber) -> u64 {
        self.0.member(node).disk().hits()
    }

    /// How much was not durable of this node's data whenever its power went: pages, lengths and changes of names.
    pub fn was_at_stake(&self, node: NodeNumber) -> u64 {
        self.0.member(node).at_stake.load(Ordering::Relaxed)
    }

    /// Takes the power of these nodes at once: they are gone, and so is some of what was not durable, as `draw` decides. What they were just
    /// writing is left half-done.
    ///
    /// # Errors
    /// One is still there after a while, or its disk can't be used.
    pub async fn lose_power(&self, nodes: &[NodeNumber], draw: u64) -> Result<(), ClusterError> {
        let members: Vec<_> = nodes.iter().map(|node| self.0.member(*node)).collect();
        for member in &members {
            member.disk().cut_power();
        }
        let begun = Instant::now();
        while !members.iter().all(|member| member.disk().keeps_waiting()) && begun.elapsed() < CUT_TIME_MAX {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        for node in nodes {
            self.kill(*node).await?;
        }
        for member in members {
            let seed = draw.wrapping_add(member.spec.node);
            let lost = member.disk().lose(seed).map_err(|errno| member.unusable(errno))?;
            let at_stake = u64::try_from(lost.at_stake).expect("memory has fewer pages");
            member.at_stake.fetch_add(at_stake, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Lets the node die at that point.
    ///
    /// # Errors
    /// It can't be killed, or not be started.
    pub async fn arm(&self, node: NodeNumber, point: CrashPoint) -> Result<(), ClusterError> {
        let member = self.0.member(node);
        if point.since == Since::Start {
            self.kill(node).await?;
        }
        let victim = Victim::clone(&member.victim);
        let killer = Box::new(move || victim.kill());
        member.disk().arm(point.nth, point.done, killer);
        match point.since {
            Since::Now => Ok(()),
            Since::Start => match self.restart(node).await {
                // It has died while it started, as it was to.
                Err(ClusterError::Start { .. }) if !member.disk().is_armed() => Ok(()),
                started => started,
            },
        }
    }

    /// Whether the node is to die at a point to which it has not come.
    pub fn is_to_die(&self, node: NodeNumber) -> bool {
        self.0.member(node).disk().is_armed()
    }

    /// The node is not to die any more. If it has, it is not only about to.
    ///
    /// # Errors
    /// It is still there after a while.
    pub async fn disarm(&self, node: NodeNumber) -> Result<(), ClusterError> {
        if self.0.member(node).disk().disarm() {
            self.kill(node).await?;
        }
        Ok(())
    }
}
