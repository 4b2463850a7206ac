//! Starting nodes, stopping them, and the signals in between.

use super::process::{NodeProcess, Start};
use super::{Cluster, ClusterError, Wound, lock, system};
use crate::node_number::NodeNumber;
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a node may take from its start to its ready line.
pub(super) const READY_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a node may take to stop when asked to.
const STOP_TIME_MAX: Duration = Duration::from_secs(3);
/// How long a signal may take to show.
const SIGNAL_TIME_MAX: Duration = Duration::from_secs(2);
/// Between two looks whether a process that is killed waits for its disk.
const ABANDON_INTERVAL: Duration = Duration::from_millis(5);

impl Cluster {
    /// Kills a node with SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// It is still there after a while.
    pub async fn kill(&self, node: NodeNumber) -> Result<(), ClusterError> {
        let member = self.0.member(node);
        let Some(mut process) = member.take_process() else {
            return Ok(());
        };
        self.0.is_reached_at(node, None);
        process.expect_exit();
        process.signal(Signal::KILL);
        member.paused.store(false, Ordering::Relaxed);
        let begun = Instant::now();
        // Until it is gone it may wait for its disk anew.
        let gone = loop {
            member.abandon_disk();
            let limit = SIGNAL_TIME_MAX.saturating_sub(begun.elapsed());
            if process.wait_exit(limit.min(ABANDON_INTERVAL)).await {
                break true;
            }
            if limit.is_zero() {
                break false;
            }
        };
        gone.then_some(())
            .ok_or(ClusterError::Signal { node, what: "killed" })
    }

    /// Starts a node that is down, on the data it had, and waits for its ready line. Where these are damaged, it is to refuse that, and say
    /// where they are; if it does not notice, it is killed again, and [remembered](Cluster::unnoticed).
    ///
    /// # Errors
    /// It does not start.
    pub async fn restart(&self, node: NodeNumber) -> Result<(), ClusterError> {
        let member = self.0.member(node);
        if self.is_up(node) {
            return Ok(());
        }
        let wound = member.wound().clone();
        let start = Start {
            joins: member.joins.load(Ordering::Relaxed),
            complaint: wound.as_ref().map(Wound::complaint),
            clock: member.clock.as_ref(),
        };
        if let Some(clock) = &member.clock {
            clock
                .renew()
                .map_err(|error| system("set a node's clocks", error))?;
        }
        member.victim.clear();
        let started = NodeProcess::spawn(
            &self.0.spawner,
            member,
            start,
            Arc::clone(&self.0.deaths),
            READY_TIME_MAX,
        )
        .await;
        let mut process = match (started, &wound) {
            (Err(ClusterError::Start { reason, .. }), Some(wound)) if reason.contains(&wound.complaint()) => {
                return Err(ClusterError::Refused { node, reason });
            }
            (started, _) => started?,
        };
        if let Some(wound) = wound {
            process.expect_exit();
            process.signal(Signal::KILL);
            process.wait_exit(SIGNAL_TIME_MAX).await;
            let reason = format!("it was not to: {wound}");
            lock(&self.0.unnoticed).push(wound);
            return Err(ClusterError::Start { node, reason });
        }
        if !member.looks_at_clock().await {
            process.expect_exit();
            let reason = String::from(
                "it takes its time past the C library, so that its clocks can't be set: leave the nemesis clock out",
            );
            return Err(ClusterError::Start { node, reason });
        }
        self.0.is_reached_at(node, Some(process.address()));
        member.paused.store(false, Ordering::Relaxed);
        *member.lock() = Some(process);
        Ok(())
    }

    /// Stops a node with SIGSTOP and waits until it stands still.
    ///
    /// # Errors
    /// It still runs after a while, or is down.
    pub async fn pause(&self, node: NodeNumber) -> Result<(), ClusterError> {
        self.signal_until(node, Signal::STOP, true, "paused").await
    }

    /// Lets a paused node go on with SIGCONT.
    ///
    /// # Errors
    /// It still stands after a while, or is down.
    pub async fn resume(&self, node: NodeNumber) -> Result<(), ClusterError> {
        self.signal_until(node, Signal::CONT, false, "resumed").await
    }

    async fn signal_until(
        &self,
        node: NodeNumber,
        signal: Signal,
        stopped: bool,
        what: &'static str,
    ) -> Result<(), ClusterError> {
        let member = self.0.member(node);
        let leash = match member.lock().as_ref().filter(|process| process.is_running()) {
            Some(process) => {
                member.paused.store(stopped, Ordering::Relaxed);
                process.signal(signal);
                process.leash()
            }
            None => return Err(ClusterError::Signal { node, what }),
        };
        let begun = Instant::now();
        while begun.elapsed() < SIGNAL_TIME_MAX {
            if leash.is_stopped().await == Some(stopped) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Err(ClusterError::Signal { node, what })
    }

    /// Stops every node where it stands, so that it stays as it is; and waits until they stand still.
    pub async fn freeze_all(&self) {
        for member in &self.0.members {
            // All of them first: while one is waited for, others would go on.
            if let Some(process) = member.lock().as_ref() {
                member.paused.store(true, Ordering::Relaxed);
                process.signal(Signal::STOP);
            }
        }
        for node in self.all_nodes() {
            // Who waits for its disk stands still when it hears from that, if it lives to.
            if self.is_up(node) && !self.0.member(node).waits_for_disk() {
                // One that can't be stopped has just died; there is nothing left of it to freeze.
                let _ = self.pause(node).await;
            }
        }
    }

    /// Lets every node go on that stands still.
    ///
    /// # Errors
    /// One still stands after a while.
    pub async fn resume_all(&self) -> Result<(), ClusterError> {
        for node in self.all_nodes() {
            if self.is_up(node) && self.is_paused(node) {
                self.resume(node).await?;
            }
        }
        Ok(())
    }

    /// Kills every node, so that its data stays as it is.
    ///
    /// # Errors
    /// One is still there after a while.
    pub async fn kill_all(&self) -> Result<(), ClusterError> {
        for node in self.all_nodes() {
            self.kill(node).await?;
        }
        Ok(())
    }

    /// Stops every node cleanly, and those that don't stop by force; which these were. How the others ended, if it was not as they were
    /// told to, is among the [unexpected exits](Cluster::unexpected_exits).
    pub async fn stop(&self) -> Vec<NodeNumber> {
        self.0.monitor.stop();
        let (mut stopping, mut stubborn) = (Vec::new(), Vec::new());
        for member in &self.0.members {
            self.heal_disk(member.spec.node);
            if let Some(mut process) = member.take_process() {
                process.expect_exit();
                process.signal(Signal::CONT);
                process.signal(Signal::TERM);
                stopping.push((member.spec.node, process));
            }
        }
        for (node, mut process) in stopping {
            if !process.wait_exit(STOP_TIME_MAX).await {
                stubborn.push(node);
                process.signal(Signal::KILL);
                process.wait_exit(STOP_TIME_MAX).await;
            }
        }
        stubborn
    }
}
