//! Replication: appends, their answers, and heartbeats as a follower sees them (Raft §5.3).

use crate::message::Message;
use crate::mutant::mutated;
use crate::protocol::Raft;
use crate::role::Role;
use crate::snapshot::{SnapshotMeta, SnapshotStatus};
use crate::storage::Storage;
use crate::tracker::ProgressState;
use crate::types::{Entry, EntryData, Index, LogPosition, NodeId};
use alloc::sync::Arc;
use alloc::vec::Vec;

impl<S: Storage> Raft<S> {
    /// Whether [`Raft::send_appends_and_rounds`] would send anything.
    pub(crate) fn wants_to_send(&self) -> bool {
        let last = self.log.last_index();
        match &self.role {
            Role::Leader(leader) => {
                self.wants_round()
                    || leader.tracker.iter().any(|(node, progress)| {
                        node != self.id() && progress.next() <= last && progress.may_send(&self.config)
                    })
            }
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => self.wants_to_ask(),
        }
    }

    /// Sends every follower what it lacks, as far as its window allows, and begins a round of reads if one is due; or asks the leader about
    /// reads. Done once for all that came in since the last [`Raft::ready`], so that concurrent proposals and reads share messages.
    pub(crate) fn send_appends_and_rounds(&mut self) {
        match &self.role {
            Role::Leader(_) => {
                for to in self.others() {
                    while self.send_append(to) {}
                }
                self.begin_round();
            }
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => self.ask_leader(),
        }
    }

    /// Sends one append to `to`, if it lacks entries and its window is open. Returns whether it did.
    fn send_append(&mut self, to: NodeId) -> bool {
        let Role::Leader(leader) = &self.role else {
            return false;
        };
        let progress = leader.tracker.get(to).expect("every member has progress");
        let (next, last) = (progress.next(), self.log.last_index());
        if next > last || !progress.may_send(&self.config) {
            return false;
        }
        if next < self.log.first_index() {
            return self.send_snapshot(to);
        }
        let config = &self.config;
        let range = next..last.next();
        let Some(entries) = self
            .log
            .entries(range, config.append_entries_max, config.append_bytes_max)
        else {
            return false;
        };
        let sent_last = entries.last().expect("at least one entry is read").index;
        let bytes = entries.iter().map(Entry::size).sum();
        self.send_entries(to, next.previous(), entries);
        let Role::Leader(leader) = &mut self.role else {
            return false;
        };
        leader
            .tracker
            .get_mut(to)
            .expect("every member has progress")
            .sent(sent_last, bytes);
        true
    }

    /// Has a snapshot carried over to `to`, whose next entry is compacted away. Returns false where none is at hand for the moment.
    fn send_snapshot(&mut self, to: NodeId) -> bool {
        let Some(snapshot) = self.storage().snapshot() else {
            return false;
        };
        let index = snapshot.last.index;
        let Role::Leader(leader) = &mut self.role else {
            return false;
        };
        let progress = leader.tracker.get_mut(to).expect("every member has progress");
        progress.snapshot_sent(index);
        self.send(to, Message::Snapshot { snapshot });
        true
    }

    /// What became of the snapshot that was to be carried over to `node`.
    pub fn report_snapshot(&mut self, node: NodeId, status: SnapshotStatus) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        if let Some(progress) = leader.tracker.get_mut(node) {
            progress.snapshot_ended(status == SnapshotStatus::Delivered);
        }
    }

    pub(crate) fn on_snapshot(&mut self, from: NodeId, snapshot: Arc<SnapshotMeta>) {
        let last = snapshot.last;
        let late = last.index <= self.log.committed() && !mutated!(self.config, SnapshotBehindApplied);
        if late {
            // It is late. What was committed since stays.
            let matched = self.log.committed();
            return self.send_when_durable(from, Message::AppendAccepted { matched });
        }
        if self.log.matches(last) && !mutated!(self.config, SnapshotTruncatesNewer) {
            // The log has all of it, and may have more that is acknowledged (bug zoo, *snapshot-truncates-newer*).
            self.log.commit_to(last.index);
        } else {
            self.restore(snapshot);
        }
        self.send_when_durable(from, Message::AppendAccepted { matched: last.index });
    }

    fn send_entries(&mut self, to: NodeId, prev: Index, entries: Vec<Entry<S::Command>>) {
        let term = self
            .log
            .term(prev)
            .expect("the entry before those that are sent is at hand");
        let prev = LogPosition { term, index: prev };
        self.send(
            to,
            Message::Append {
                prev,
                entries,
                commit: self.log.committed(),
            },
        );
    }

    /// Asks whether everything sent has arrived, where nothing that is still to be sent would show it: an empty append is
    /// rejected by a follower that lacks what comes before.
    pub(crate) fn probe_for_losses(&mut self, to: NodeId) {
        let (first, last) = (self.log.first_index(), self.log.last_index());
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let Some(progress) = leader.tracker.get_mut(to) else {
            return;
        };
        // What became of a snapshot, the driver tells; and what was sent before it will not be sent again.
        let carries_snapshot = matches!(progress.state(), ProgressState::Snapshot { .. });
        let next = progress.next();
        let all_is_sent = next > last || !progress.may_send(&self.config);
        if progress.matched().next() < next && all_is_sent && !carries_snapshot {
            if next < first {
                // What was sent last is compacted away, so it can't be asked for.
                progress.unreachable();
            } else {
                self.send_entries(to, next.previous(), Vec::new());
            }
        }
    }

    pub(crate) fn on_append(
        &mut self,
        from: NodeId,
        prev: LogPosition,
        entries: Vec<Entry<S::Command>>,
        commit: Index,
    ) {
        if prev.index < self.log.committed() {
            self.assert_no_conflict_with_committed(&entries);
            // A late message: what is committed is equal in both logs, and may even be compacted away here.
            let matched = self.log.committed();
            return self.send_when_durable(from, Message::AppendAccepted { matched });
        }
        if !self.log.matches(prev) {
            let hint = self.log.last_not_above(prev);
            return self.send(
                from,
                Message::AppendRejected {
                    probed: prev.index,
                    hint,
                },
            );
        }
        let verified = prev.index.plus(entries.len());
        self.append_missing(entries);
        // The leader's commit index says nothing of entries behind those that it has just verified.
        self.log.commit_to(commit.min(verified).max(self.log.committed()));
        let matched = if mutated!(self.config, AckLastIndex) {
            self.log.last_index()
        } else {
            verified
        };
        let answer = Message::AppendAccepted { matched };
        if mutated!(self.config, AckBeforeFsync) {
            return self.send(from, answer);
        }
        self.send_when_durable(from, answer);
    }

    /// A leader has every committed entry (Raft §5.4, leader completeness). One that sends another in its place proves that a promise
    /// was broken.
    fn assert_no_conflict_with_committed(&self, entries: &[Entry<S::Command>]) {
        let committed = self.log.committed();
        for entry in entries.iter().take_while(|entry| entry.index <= committed) {
            // What was compacted away can't be compared any more.
            if let Some(term) = self.log.term(entry.index) {
                assert_eq!(
                    term, entry.term,
                    "entry {} is committed here with another term",
                    entry.index
                );
            }
        }
    }

    /// Appends those of the leader's entries that the log lacks. Only a *conflicting* entry cuts it: a late append that carries
    /// less than the log has must not shorten it (Raft figure 2, receiver rule 3; bug zoo, *truncate-on-stale-append*).
    fn append_missing(&mut self, entries: Vec<Entry<S::Command>>) {
        let lacks = |entry: &Entry<S::Command>| {
            !self.log.matches(entry.position()) || mutated!(self.config, TruncateOnStaleAppend)
        };
        let Some(missing) = entries.iter().position(lacks) else {
            return;
        };
        let first = entries[missing].index;
        if first <= self.log.last_index() {
            self.truncate_log(first);
        }
        for entry in entries.into_iter().skip(missing) {
            if let EntryData::Configuration(configuration) = &entry.data {
                self.membership.push(entry.index, configuration.clone());
            }
            self.log.push(entry);
        }
    }

    pub(crate) fn on_append_accepted(&mut self, from: NodeId, matched: Index) {
        let last = self.log.last_index();
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let Some(progress) = leader.tracker.get_mut(from) else {
            return;
        };
        assert!(
            matched <= last,
            "{from} acknowledged {matched}, and the log of its leader ends at {last}"
        );
        if progress.accepted(matched) {
            self.answer_forwarded();
            self.advance_commit();
            self.make_way_if_ready();
        }
    }

    pub(crate) fn on_append_rejected(&mut self, from: NodeId, probed: Index, hint: LogPosition) {
        let candidate = self.log.last_not_above(hint).index;
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let Some(progress) = leader.tracker.get_mut(from) else {
            return;
        };
        if mutated!(self.config, NackHintAsMatch) {
            progress.accepted(candidate);
            return self.advance_commit();
        }
        if mutated!(self.config, InflightLeak) && !progress.may_send(&self.config) {
            return;
        }
        progress.rejected(probed, candidate);
    }

    pub(crate) fn on_heartbeat(&mut self, from: NodeId, commit: Index, round: u64) {
        let commit = if mutated!(self.config, CommitUnverified) {
            commit.min(self.log.last_index())
        } else {
            commit
        };
        self.log.commit_to(commit.max(self.log.committed()));
        let answer = Message::HeartbeatResponse { round };
        // Where there are leases, it is a promise, and one that is not remembered at a start (`Raft::new`) is none.
        if self.config.lease.is_some() && self.may_forget_term() {
            self.send_when_durable(from, answer);
        } else {
            self.send(from, answer);
        }
    }

    /// Messages to `node` may have been lost.
    pub fn report_unreachable(&mut self, node: NodeId) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        if let Some(progress) = leader.tracker.get_mut(node) {
            progress.unreachable();
        }
    }
}
