//! Which of what must be reachable is seen: in a step of a server, or in a state.

use super::ghost::Ghost;
use super::reach::Reach;
use super::server::{Effects, Input, Server};
use raft::{EntryData, Index, Message, ReadOutcome, RoleKind, Storage as _, Term};

type Core = raft::Raft<raft::MemoryStorage<u8>>;

impl Reach {
    /// Whether it is seen in a state with this ghost, where that says it; or else, by its marks, in the step that led to it.
    pub(super) fn is_met(self, term_max: u64, ghost: &Ghost, marks: u64) -> bool {
        let is_joint = |data: &EntryData<u8>| match data {
            EntryData::Configuration(configuration) => configuration.is_joint(),
            EntryData::Noop | EntryData::Command(_) => false,
        };
        match self {
            Reach::Leader => ghost.has_leader(),
            Reach::LastTerm => ghost.has_leader_in(Term(term_max)),
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
            | Reach::TailUnverified => marks & self.bit() != 0,
        }
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
