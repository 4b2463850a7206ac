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
            false
        }
    }};
}
pub(crate) use mutated;

/// A seeded bug of the protocol.
#[cfg(feature = "mutants")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mutant {
    /// A vote is answered before it is durable, and is not written for its own sake.
    VoteNotPersisted,
    /// An entry of an older term is committed by counting replicas (Raft §5.4.2).
    CommitOldTerm,
    /// An append is acknowledged before it is durable.
    AckBeforeFsync,
    /// An append is acknowledged up to the end of the log, not up to what was verified.
    AckLastIndex,
    /// A server answers reads from its own state, whether it leads or not.
    StaleLocalRead,
    /// ReadIndex is served before an entry of the leader's term is committed.
    ReadBeforeNoop,
}

#[cfg(feature = "mutants")]
impl Mutant {
    /// All of them, by the names that configurations use.
    pub const ALL: [(&'static str, Mutant); 6] = [
        ("vote-not-persisted", Mutant::VoteNotPersisted),
        ("commit-old-term", Mutant::CommitOldTerm),
        ("ack-before-fsync", Mutant::AckBeforeFsync),
        ("ack-last-index", Mutant::AckLastIndex),
        ("stale-local-read", Mutant::StaleLocalRead),
        ("read-before-noop", Mutant::ReadBeforeNoop),
    ];
}
