//! Seeded bugs: ways in which real Raft systems have been wrong, to show that the checks would find them here.
//!
//! They exist only under the cargo feature `mutants`, which no manifest turns on, and act only where a configuration names one.

/// Whether `$mutant` is seeded into the server with the configuration `$config`; plainly `false` without the feature.
macro_rules! mutated {
    ($config:expr, $mutant:ident) => {{
        #[cfg(feature = "mutants")]
        {
            $config.mutant == Some(crate::mutant::Mutant::$mutant)
        }
        #[cfg(not(feature = "mutants"))]
        {
            crate::mutant::never()
        }
    }};
}
pub(crate) use mutated;

/// What every switch says in a build without seeded bugs. (A function, since literals would make lints see conditions that cannot be.)
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub(crate) const fn never() -> bool {
    false
}

/// A seeded bug of the protocol, in the order of the bug zoo.
#[cfg(feature = "mutants")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mutant {
    /// A vote is answered before it is durable, and is not written for its own sake.
    VoteNotPersisted,
    /// "At least as up to date" compares the index before the term.
    IndexBeforeTerm,
    /// A command is appended with the present term by a server that leads no more.
    StampAfterStepDown,
    /// A pre-vote request of an older term is not answered, so its sender never learns the present one.
    PreVoteMixed,
    /// A pre-candidate still sticks to the leader that it has given up.
    PreVoteKeepsLeader,
    /// A server that does not know of its promotion refuses to vote.
    LearnerRefusesVote,
    /// Candidates are heard whether there is a leader or not.
    NoStickiness,
    /// A lease outlives the request to another server to stand.
    LeaseSurvivesTransfer,
    /// A transfer of leadership is never given up.
    TransferNeverAborts,
    /// An entry of an older term is committed by counting replicas (Raft §5.4.2).
    CommitOldTerm,
    /// What a heartbeat says is committed is believed of entries that were never compared.
    CommitUnverified,
    /// An append cuts off what stands behind its entries, though they match.
    TruncateOnStaleAppend,
    /// The hint of a rejection is taken for a match.
    NackHintAsMatch,
    /// An append is acknowledged up to the end of the log, not up to what was verified.
    AckLastIndex,
    /// The middle one of the match indexes is taken without sorting them.
    QuorumArithmetic,
    /// Learners count towards what is committed.
    LearnerCounted,
    /// An acknowledgement of an older term counts.
    StaleProgress,
    /// An append is acknowledged before it is durable.
    AckBeforeFsync,
    /// A rejection does not free the window of what is in flight.
    InflightLeak,
    /// ReadIndex is served before an entry of the leader's term is committed.
    ReadBeforeNoop,
    /// An answer to an older round confirms the present one.
    ReadContextReused,
    /// A read joins the round in flight, and shares the index of the reads before it.
    ReadBatchFirstIndex,
    /// A read joins what a follower has asked already, and is confirmed by an answer that is older than it.
    ForwardedReadJoins,
    /// A follower takes an answer for one of this life that an earlier one was given.
    ForwardedReadOutlivesCrash,
    /// A leader answers reads because it leads, and asks nobody.
    LeaseIsRole,
    /// A server that starts votes at once, though it may have promised a lease.
    LeaseForgetsPromise,
    /// A server answers reads from its own state, whether it leads or not.
    StaleLocalRead,
    /// Members are changed before an entry of the term is committed (Ongaro, 2015).
    ChangeBeforeNoop,
    /// A candidate counts by the configuration that it has applied, not by the latest in its log.
    CampaignUnappliedConfig,
    /// A server that starts takes a joint configuration for the one that it leads to.
    JointIgnoredAtStart,
    /// A configuration stays in force when its entry is cut off.
    ConfigNotRolledBack,
    /// A leader that is removed takes itself for a majority.
    RemovedLeaderQuorum,
    /// A server that is no voter in the last configuration of its log never stands, though nobody else can win.
    JointUnelectable,
    /// A snapshot of what is applied already is taken in.
    SnapshotBehindApplied,
    /// A snapshot takes the place of a log that has all of it and more.
    SnapshotTruncatesNewer,
    /// Where a snapshot ends, the entry of the log that it replaced stays in force.
    SnapshotKeepsConflict,
    /// Who takes part is still read from the log that a snapshot replaced.
    ConfigFromReplacedLog,
    /// A commit index goes back when nothing else is written with it.
    CommitRegresses,
}

#[cfg(feature = "mutants")]
impl Mutant {
    /// All of them, by the names that configurations use.
    pub const ALL: [(&'static str, Mutant); 38] = [
        ("vote-not-persisted", Mutant::VoteNotPersisted),
        ("index-before-term", Mutant::IndexBeforeTerm),
        ("stamp-after-step-down", Mutant::StampAfterStepDown),
        ("prevote-mixed", Mutant::PreVoteMixed),
        ("prevote-keeps-leader", Mutant::PreVoteKeepsLeader),
        ("learner-refuses-vote", Mutant::LearnerRefusesVote),
        ("no-stickiness", Mutant::NoStickiness),
        ("lease-survives-transfer", Mutant::LeaseSurvivesTransfer),
        ("transfer-never-aborts", Mutant::TransferNeverAborts),
        ("commit-old-term", Mutant::CommitOldTerm),
        ("commit-unverified", Mutant::CommitUnverified),
        ("truncate-on-stale-append", Mutant::TruncateOnStaleAppend),
        ("nack-hint-as-match", Mutant::NackHintAsMatch),
        ("ack-last-index", Mutant::AckLastIndex),
        ("quorum-arithmetic", Mutant::QuorumArithmetic),
        ("learner-counted", Mutant::LearnerCounted),
        ("stale-progress", Mutant::StaleProgress),
        ("ack-before-fsync", Mutant::AckBeforeFsync),
        ("inflight-leak", Mutant::InflightLeak),
        ("read-before-noop", Mutant::ReadBeforeNoop),
        ("read-context-reused", Mutant::ReadContextReused),
        ("read-batch-first-index", Mutant::ReadBatchFirstIndex),
        ("forwarded-read-joins", Mutant::ForwardedReadJoins),
        (
            "forwarded-read-outlives-crash",
            Mutant::ForwardedReadOutlivesCrash,
        ),
        ("lease-is-role", Mutant::LeaseIsRole),
        ("lease-forgets-promise", Mutant::LeaseForgetsPromise),
        ("stale-local-read", Mutant::StaleLocalRead),
        ("change-before-noop", Mutant::ChangeBeforeNoop),
        ("campaign-unapplied-config", Mutant::CampaignUnappliedConfig),
        ("joint-ignored-at-start", Mutant::JointIgnoredAtStart),
        ("config-not-rolled-back", Mutant::ConfigNotRolledBack),
        ("removed-leader-quorum", Mutant::RemovedLeaderQuorum),
        ("joint-unelectable", Mutant::JointUnelectable),
        ("snapshot-behind-applied", Mutant::SnapshotBehindApplied),
        ("snapshot-truncates-newer", Mutant::SnapshotTruncatesNewer),
        ("snapshot-keeps-conflict", Mutant::SnapshotKeepsConflict),
        ("config-from-replaced-log", Mutant::ConfigFromReplacedLog),
        ("commit-regresses", Mutant::CommitRegresses),
    ];
}
