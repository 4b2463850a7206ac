//! Seeded bugs: see the core's module of the same name.

/// Whether `$mutant` is seeded into the replica `$replica`; plainly `false` without the feature.
macro_rules! mutated {
    ($mutant:expr, $variant:ident) => {{
        #[cfg(feature = "mutants")]
        {
            $mutant == Some(crate::mutant::Mutant::$variant)
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

/// A seeded bug of the node.
#[cfg(feature = "mutants")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mutant {
    /// One of the core's.
    Core(raft::Mutant),
    /// A vote is written before the term in which it is given, each by itself.
    TornHardState,
    /// A node that is its own majority does not wait for its disk.
    SoleVoterUnsynced,
    /// A leader takes what it began to write for durable.
    BegunIsDurable,
    /// A read is answered before what it must see was applied.
    ReadBeforeApplied,
    /// A node that begins to lead forgets its state.
    FailoverEmpties,
    /// What an interrupted write left is not cut off; the log goes on behind it.
    AppendAfterTornTail,
    /// A command of a session that comes again is carried out again.
    RetryAppliedTwice,
    /// A log that conflicts with a snapshot from the leader stays behind it, if a crash comes before that was written into the log.
    SnapshotKeepsTail,
    /// A snapshot that came whole before a crash is written into the log with its own term and without a vote.
    InstallForgetsVote,
    /// A compaction takes the segment away in which the first entries behind the snapshot lie.
    CompactionGap,
    /// A snapshot names an index that its state does not have yet: applied first, and the effect later.
    AppliedBeforeEffect,
    /// A node that lost its data is taken for the one that it was.
    WipedRejoin,
}

#[cfg(feature = "mutants")]
impl Mutant {
    /// All of them, by name.
    pub fn all() -> impl Iterator<Item = (&'static str, Mutant)> {
        let core = raft::Mutant::ALL
            .into_iter()
            .map(|(name, mutant)| (name, Mutant::Core(mutant)));
        core.chain([
            ("torn-hard-state", Mutant::TornHardState),
            ("sole-voter-unsynced", Mutant::SoleVoterUnsynced),
            ("begun-is-durable", Mutant::BegunIsDurable),
            ("read-before-applied", Mutant::ReadBeforeApplied),
            ("failover-empties", Mutant::FailoverEmpties),
            ("append-after-torn-tail", Mutant::AppendAfterTornTail),
            ("retry-applied-twice", Mutant::RetryAppliedTwice),
            ("snapshot-keeps-tail", Mutant::SnapshotKeepsTail),
            ("install-forgets-vote", Mutant::InstallForgetsVote),
            ("compaction-gap", Mutant::CompactionGap),
            ("applied-before-effect", Mutant::AppliedBeforeEffect),
            ("wiped-rejoin", Mutant::WipedRejoin),
        ])
    }

    /// The one that is called `name`.
    pub fn by_name(name: &str) -> Option<Mutant> {
        Mutant::all()
            .find(|(known, _)| *known == name)
            .map(|(_, mutant)| mutant)
    }
}
