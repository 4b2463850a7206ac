//! What must be reachable in a world, so that it is not right because nothing happens in it.

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

    /// Its bit among the marks of a step.
    pub(super) fn bit(self) -> u64 {
        1 << self as u64
    }
}
