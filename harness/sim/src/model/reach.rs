//! What must be reachable in a world, so that it is not right because nothing happens in it.

use super::server::{Effects, Input, Server};
use super::state::State;
use super::universe::Universe;
use raft::{EntryData, Index, Message, ReadOutcome, RoleKind, Storage as _, Term};

type Core = raft::Raft<raft::MemoryStorage<u8>>;

/// Something that must be reachable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// A leader is elected.
    Leader,
    /// The highest term has a leader.
    LastTerm,
    /// A command is committed.
    Commit,
    /// A change of members is committed.
    ChangeCommit,
    /// A joint configuration is committed.
    JointCommit,
    /// A read is answered.
    Read,
    /// A follower answers a read.
    FollowerRead,
    /// A follower that asks about reads is given the answer to another question.
    LateReadIndex,
    /// A crash takes what was being written.
    LostWrite,
    /// A write becomes durable whose entries were replaced meanwhile.
    StaleCompletion,
    /// A log loses entries to another leader's.
    Replaced,
    /// A majority holds an entry of an older term that is not committed (figure 8).
    OldTermOnMajority,
    /// A leader steps down because it hears from no majority.
    SteppedDown,
    /// A candidate is refused because there is a leader.
    Stuck,
    /// A snapshot takes the place of a log.
    SnapshotInstalled,
    /// A snapshot of what is committed already arrives.
    SnapshotLate,
    /// A snapshot of less than the log has arrives, before that is known to be committed.
    SnapshotCovered,
    /// A snapshot takes the place of a log that has another entry at its end.
    SnapshotConflict,
    /// A change of members is undone.
    ChangeUndone,
    /// A leader commits its own removal and makes way.
    RemovedLeader,
    /// A server that votes, as others know, votes without knowing that it may.
    LearnerVotes,
    /// A server starts again in the middle of a joint change.
    JointAtStart,
    /// A server stands because the leader asks it to.
    StoodByTransfer,
    /// A leader gives a transfer of its leadership up.
    TransferGivenUp,
    /// A server stands that is no voter in the latest configuration of its log, but may be needed.
    RemovedStands,
    /// A server that asks whether it could win says itself that another could.
    PreCandidateGrants,
    /// A server learns of a later term from who would not vote for it.
    TermByRefusal,
    /// A refused append empties a window that was full.
    WindowEmptied,
    /// A node on a simulated disk tells its vote.
    VoteTold,
    /// A node on a simulated disk acknowledges an append.
    AppendTold,
    /// A loss of power comes when something is not synced.
    PowerLoss,
    /// A node on a simulated disk has a snapshot.
    SnapshotStored,
    /// A server that holds something committed loses its disk.
    Wiped,
    /// An append is acknowledged behind whose last entry the log goes on.
    TailUnverified,
}

impl Reach {
    /// What it is called in a report.
    pub fn name(self) -> &'static str {
        match self {
            Reach::Leader => "a leader is elected",
            Reach::LastTerm => "the highest term has a leader",
            Reach::Commit => "a command is committed",
            Reach::ChangeCommit => "a change of members is committed",
            Reach::JointCommit => "a joint configuration is committed",
            Reach::Read => "a read is answered",
            Reach::FollowerRead => "a follower answers a read",
            Reach::LateReadIndex => {
                "a follower that asks about reads is given the answer to another question"
            }
            Reach::LostWrite => "a crash takes what was being written",
            Reach::StaleCompletion => "a write becomes durable whose entries were replaced meanwhile",
            Reach::Replaced => "a log loses entries to another leader's",
            Reach::OldTermOnMajority => "a majority holds an uncommitted entry of an older term",
            Reach::SteppedDown => "a leader that hears from no majority steps down",
            Reach::Stuck => "a candidate is refused because there is a leader",
            Reach::SnapshotInstalled => "a snapshot takes the place of a log",
            Reach::SnapshotLate => "a snapshot of what is committed already arrives",
            Reach::SnapshotCovered => "a snapshot of less than the log has arrives",
            Reach::SnapshotConflict => "a snapshot takes the place of a log with another entry at its end",
            Reach::ChangeUndone => "a change of members is undone",
            Reach::RemovedLeader => "a leader commits its own removal and makes way",
            Reach::LearnerVotes => "a server votes that does not know that it may",
            Reach::JointAtStart => "a server starts again in the middle of a joint change",
            Reach::StoodByTransfer => "a server stands because the leader asks it to",
            Reach::TransferGivenUp => "a transfer of leadership is given up",
            Reach::RemovedStands => "a server stands that is to leave, but may be needed",
            Reach::PreCandidateGrants => "a server that asks for pre-votes gives one",
            Reach::TermByRefusal => "a server learns of a later term from who would not vote for it",
            Reach::WindowEmptied => "a refused append empties a window that was full",
            Reach::VoteTold => "a vote is told",
            Reach::AppendTold => "an append is acknowledged",
            Reach::PowerLoss => "a loss of power comes when something is not synced",
            Reach::SnapshotStored => "a snapshot is stored",
            Reach::Wiped => "a server loses its disk with committed entries on it",
            Reach::TailUnverified => "an append is acknowledged that verifies less than the log has",
        }
    }

    /// Whether it is seen in a state, where that says it; or else in the step that led to it.
    pub(super) fn is_met(self, universe: &Universe, state: &State) -> bool {
        let ghost = universe.ghost(state.ghost);
        let is_joint = |data: &EntryData<u8>| match data {
            EntryData::Configuration(configuration) => configuration.is_joint(),
            EntryData::Noop | EntryData::Command(_) => false,
        };
        match self {
            Reach::Leader => ghost.has_leader(),
            Reach::LastTerm => ghost.has_leader_in(Term(universe.world.term_max)),
            Reach::Commit => ghost.has_committed(|data| matches!(data, EntryData::Command(_))),
            Reach::ChangeCommit => ghost.has_committed(|data| matches!(data, EntryData::Configuration(_))),
            Reach::JointCommit => ghost.has_committed(is_joint),
            Reach::Read
            | Reach::FollowerRead
            | Reach::LateReadIndex
            | Reach::LostWrite
            | Reach::StaleCompletion
            | Reach::Replaced
            | Reach::OldTermOnMajority
            | Reach::SteppedDown
            | Reach::Stuck
            | Reach::SnapshotInstalled
            | Reach::SnapshotLate
            | Reach::SnapshotCovered
            | Reach::SnapshotConflict
            | Reach::ChangeUndone
            | Reach::RemovedLeader
            | Reach::LearnerVotes
            | Reach::JointAtStart
            | Reach::StoodByTransfer
            | Reach::TransferGivenUp
            | Reach::RemovedStands
            | Reach::PreCandidateGrants
            | Reach::TermByRefusal
            | Reach::WindowEmptied
            | Reach::VoteTold
            | Reach::AppendTold
            | Reach::PowerLoss
            | Reach::SnapshotStored
            | Reach::Wiped
            | Reach::TailUnverified => state.marks & self.bit() != 0,
        }
    }

    pub(super) fn bit(self) -> u64 {
        1 << self as u64
    }

    /// Whether a step of one server is an instance of it; not for what a state says.
    fn happened(self, before: &Server, after: &Server, input: &Input, effects: &Effects) -> bool {
        let (old, new) = (&before.raft, &after.raft);
        let crashed = matches!(input, Input::Crash | Input::Wipe);
        let message = input.message().map(|envelope| &envelope.message);
        let snapshot = match message {
            Some(Message::Snapshot { snapshot }) if old.term() == new.term() => Some(snapshot.last),
            _ => None,
        };
        let late = snapshot.is_some_and(|last| last.index <= old.commit_index());
        match self {
            Reach::Leader
            | Reach::LastTerm
            | Reach::Commit
            | Reach::ChangeCommit
            | Reach::JointCommit
            | Reach::VoteTold
            | Reach::AppendTold
            | Reach::PowerLoss
            | Reach::SnapshotStored => false,
            Reach::Read => effects
                .reads
                .iter()
                .any(|outcome| matches!(outcome, ReadOutcome::Confirmed { .. })),
            Reach::FollowerRead => {
                let confirmed = |outcome: &ReadOutcome| matches!(outcome, ReadOutcome::Confirmed { .. });
                !after.leads() && effects.reads.iter().any(confirmed)
            }
            Reach::LateReadIndex => {
                matches!(message, Some(Message::ReadIndexResponse { .. }))
                    && old.awaits_read_index()
                    && effects.reads.is_empty()
            }
            Reach::TailUnverified => {
                let last = new.last().index;
                let is_short = |envelope: &raft::Envelope<u8>| matches!(envelope.message, Message::AppendAccepted { matched } if matched < last);
                effects.sent.iter().any(is_short)
            }
            Reach::Wiped => matches!(input, Input::Wipe) && old.commit_index() > Index(0),
            Reach::LostWrite => crashed && !before.writing.is_empty(),
            Reach::StaleCompletion => {
                let written = before.writing.front().and_then(|write| write.entries.last());
                matches!(input, Input::Persist)
                    && written.is_some_and(|last| old.log_term(last.index) != Some(last.term))
            }
            Reach::Replaced => {
                let last = old.last();
                !crashed && last.index >= new.first_index() && new.log_term(last.index) != Some(last.term)
            }
            Reach::OldTermOnMajority => new.progress().is_some_and(|tracker| {
                let matched = |voter| tracker.get(voter).map_or(Index(0), raft::Progress::matched);
                let index = new.configuration().quorum_index(matched);
                index > new.commit_index() && new.log_term(index) < Some(new.term())
            }),
            Reach::SteppedDown => matches!(input, Input::QuorumCheck) && before.leads() && !after.leads(),
            Reach::Stuck => {
                let could_win = match message {
                    Some(Message::PreVote { next_term, last }) => {
                        *next_term > old.term() && *last >= old.last()
                    }
                    _ => false,
                };
                let refuses = |envelope: &raft::Envelope<u8>| {
                    matches!(envelope.message, Message::PreVoteResponse { granted: false, .. })
                };
                could_win && old.leader().is_some() && effects.sent.iter().any(refuses)
            }
            Reach::SnapshotInstalled => {
                new.first_index() > old.first_index() && !matches!(input, Input::Compact)
            }
            Reach::SnapshotLate => late,
            Reach::SnapshotCovered => {
                !late && snapshot.is_some_and(|last| old.log_term(last.index) == Some(last.term))
            }
            Reach::SnapshotConflict => {
                let there = |last: raft::LogPosition| old.log_term(last.index);
                let replaces = |last: raft::LogPosition| there(last).is_some_and(|term| term != last.term);
                let in_place = |last: raft::LogPosition| new.log_term(last.index) == Some(last.term);
                !late && snapshot.is_some_and(|last| replaces(last) && in_place(last))
            }
            Reach::ChangeUndone => {
                let known = |server: &Server| server.raft.storage().initial_state().configurations.len();
                !crashed && known(after) < known(before) && new.first_index() == old.first_index()
            }
            Reach::RemovedLeader => {
                before.leads() && new.role() == RoleKind::Follower && !new.configuration().is_voter(after.id)
            }
            Reach::LearnerVotes => {
                let votes = |envelope: &raft::Envelope<u8>| {
                    matches!(envelope.message, Message::VoteResponse { granted: true })
                };
                effects.sent.iter().any(votes) && !new.configuration().is_voter(after.id)
            }
            Reach::JointAtStart => crashed && new.configuration().is_joint(),
            Reach::StoodByTransfer => {
                matches!(message, Some(Message::TimeoutNow)) && new.role() == RoleKind::Candidate
            }
            Reach::TransferGivenUp => {
                matches!(input, Input::QuorumCheck)
                    && after.leads()
                    && old.transferring().is_some()
                    && new.transferring().is_none()
            }
            Reach::RemovedStands => {
                new.role() == RoleKind::Candidate
                    && old.role() != RoleKind::Candidate
                    && !new.configuration().is_voter(after.id)
            }
            Reach::PreCandidateGrants => {
                let grants = |envelope: &raft::Envelope<u8>| {
                    matches!(envelope.message, Message::PreVoteResponse { granted: true, .. })
                };
                old.role() == RoleKind::PreCandidate && effects.sent.iter().any(grants)
            }
            Reach::TermByRefusal => {
                matches!(message, Some(Message::PreVoteResponse { granted: false, .. }))
                    && new.term() > old.term()
            }
            Reach::WindowEmptied => {
                let Some(from) = input.message().map(|envelope| envelope.from) else {
                    return false;
                };
                let window = |raft: &Core| raft.progress().and_then(|tracker| tracker.get(from)).cloned();
                let replicates = |progress: &raft::Progress| {
                    matches!(progress.state(), raft::ProgressState::Replicate { .. })
                };
                let was_full = window(old).is_some_and(|was| replicates(&was) && was.in_flight() > 0);
                matches!(message, Some(Message::AppendRejected { .. }))
                    && was_full
                    && window(new).is_some_and(|is| !replicates(&is))
            }
        }
    }
}

/// Which of `reaches` a step of one server is an instance of, a bit each.
pub(super) fn marks(
    reaches: &[Reach],
    before: &Server,
    after: &Server,
    input: &Input,
    effects: &Effects,
) -> u64 {
    let met = reaches
        .iter()
        .filter(|reach| reach.happened(before, after, input, effects));
    met.fold(0, |marks, reach| marks | reach.bit())
}
