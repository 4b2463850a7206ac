//! The protocol's state, and what can be seen of it. How messages reach it stands in `step.rs`, what leaves it in `output.rs`, and what
//! it does with them in a file for each of its parts.

use crate::config::{Config, ConfigError, Constant};
use crate::configuration::Configuration;
use crate::forward::{ForwardedReads, Life};
use crate::log::RaftLog;
use crate::membership::Membership;
use crate::message::Envelope;
use crate::mutant::mutated;
use crate::output::PendingWrite;
use crate::read::ReadOutcome;
use crate::role::{Follower, Role, RoleKind};
use crate::snapshot::SnapshotMeta;
use crate::storage::Storage;
use crate::symmetry::Permute;
use crate::tracker::ProgressTracker;
use crate::types::{Entry, HardState, Index, LogPosition, NodeId, Term};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Why a command was not appended; definite, it entered no log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// This server does not lead.
    #[error("not the leader")]
    NotLeader {
        /// Who does, as far as it knows.
        leader: Option<NodeId>,
    },
    /// Too much is uncommitted.
    #[error("too much is uncommitted")]
    Busy,
    /// This server is about to hand its leadership over.
    #[error("leadership is being transferred")]
    Transferring {
        /// To this server.
        to: NodeId,
    },
}

/// Why a read was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadIndexError {
    /// This server does not lead, and can ask nobody who does.
    #[error("not the leader")]
    NotLeader {
        /// Who does, as far as it knows.
        leader: Option<NodeId>,
    },
}

/// One server's part in the protocol: see the crate's documentation for what goes in and out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Raft<S: Storage> {
    pub(crate) config: Constant<Arc<Config>>,
    pub(crate) membership: Membership,
    pub(crate) term: Term,
    pub(crate) vote: Option<NodeId>,
    pub(crate) log: RaftLog<S>,
    pub(crate) role: Role,
    /// What may be sent at once.
    pub(crate) outbox: Vec<Envelope<S::Command>>,
    /// What may be sent once all that was decided so far is durable.
    pub(crate) held_back: Vec<Envelope<S::Command>>,
    /// Of this life, whether it takes reads in as a follower.
    pub(crate) life: Option<Life>,
    /// The number of the latest request about reads that it made in this term, as a follower.
    pub(crate) read_requests: u64,
    /// In the order in which they were handed out.
    pub(crate) pending_writes: VecDeque<PendingWrite<S::Command>>,
    /// Term and vote as last handed out to be written.
    pub(crate) written: (Term, Option<NodeId>),
    /// A snapshot that was taken in and not yet handed out to be written.
    pub(crate) unwritten_snapshot: Option<Arc<SnapshotMeta>>,
    pub(crate) read_outcomes: Vec<ReadOutcome>,
}

impl<S: Storage> Raft<S> {
    /// A server that starts, or starts again, with what `storage` holds.
    ///
    /// # Errors
    /// The configuration can't work.
    ///
    /// # Panics
    /// The storage contradicts itself.
    pub fn new(config: Config, storage: S) -> Result<Raft<S>, ConfigError> {
        config.validate()?;
        let initial = storage.initial_state();
        let HardState { term, vote, commit } = initial.hard_state;
        let log = RaftLog::new(storage, commit);
        assert!(
            log.last().term <= term,
            "the log ends at {}, beyond its server's term {term}",
            log.last()
        );
        let mut configurations = initial.configurations;
        if mutated!(config, JointIgnoredAtStart) {
            for (_, configuration) in &mut configurations {
                *configuration = Arc::new(configuration.left());
            }
        }
        // Before the first election there was nobody to promise anything to, and no promise leaves before its term is durable.
        let may_have_promised =
            config.lease.is_some() && term > Term(0) && !mutated!(config, LeaseForgetsPromise);
        let life = config.life;
        Ok(Raft {
            config: Constant(Arc::new(config)),
            membership: Membership::new(configurations),
            term,
            vote,
            log,
            role: Role::Follower(Follower {
                leader: None,
                leader_recent: may_have_promised,
                reads: ForwardedReads::default(),
            }),
            life,
            read_requests: 0,
            outbox: Vec::new(),
            held_back: Vec::new(),
            pending_writes: VecDeque::new(),
            written: (term, vote),
            unwritten_snapshot: None,
            read_outcomes: Vec::new(),
        })
    }

    /// This server.
    pub fn id(&self) -> NodeId {
        self.config.id
    }

    /// Its current term.
    pub fn term(&self) -> Term {
        self.term
    }

    /// Whom it voted for in its current term.
    pub fn vote(&self) -> Option<NodeId> {
        self.vote
    }

    /// Its role.
    pub fn role(&self) -> RoleKind {
        match &self.role {
            Role::Follower(_) => RoleKind::Follower,
            Role::PreCandidate(_) => RoleKind::PreCandidate,
            Role::Candidate(_) => RoleKind::Candidate,
            Role::Leader(_) => RoleKind::Leader,
        }
    }

    /// Who leads its current term, as far as it knows.
    pub fn leader(&self) -> Option<NodeId> {
        match &self.role {
            Role::Follower(follower) => follower.leader,
            Role::PreCandidate(_) | Role::Candidate(_) => None,
            Role::Leader(_) => Some(self.id()),
        }
    }

    /// The highest index that it knows to be committed.
    pub fn commit_index(&self) -> Index {
        self.log.committed()
    }

    /// The highest index that was reported applied.
    pub fn applied_index(&self) -> Index {
        self.log.applied()
    }

    /// The end of its log, durable or not.
    pub fn last(&self) -> LogPosition {
        self.log.last()
    }

    /// The first index that its log has; what comes before is in a snapshot.
    pub fn first_index(&self) -> Index {
        self.log.first_index()
    }

    /// The last index that is durable as it stands in its log.
    pub fn stable_index(&self) -> Index {
        self.log.stable()
    }

    /// The term of the entry at `index`, if the log has it.
    pub fn log_term(&self, index: Index) -> Option<Term> {
        self.log.term(index)
    }

    /// The entry at `index`, durable or not; `None` if the log has none there or the storage has it not at hand.
    pub fn entry(&self, index: Index) -> Option<Entry<S::Command>> {
        if index < self.log.first_index() || index > self.log.last_index() {
            return None;
        }
        self.log.entries(index..index.next(), 1, usize::MAX)?.pop()
    }

    /// Who takes part: the latest configuration in its log, committed or not.
    pub fn configuration(&self) -> &Configuration {
        self.membership.latest()
    }

    /// The configurations that may still matter, by index: that of the applied state, and those behind it. The last is in force.
    pub fn configurations(&self) -> &[(Index, Arc<Configuration>)] {
        self.membership.history()
    }

    /// Whether a snapshot that a leader of `term` offers would be taken in: the log is not known to have what it covers.
    pub fn lacks(&self, term: Term, snapshot: &SnapshotMeta) -> bool {
        let last = snapshot.last;
        let is_late = last.index <= self.log.committed() && !mutated!(self.config, SnapshotBehindApplied);
        let has_all = self.log.matches(last) && !mutated!(self.config, SnapshotTruncatesNewer);
        term >= self.term && !is_late && !has_all
    }

    /// What a snapshot of everything that was applied stands for; `None` before anything was.
    pub fn snapshot_meta(&self) -> Option<SnapshotMeta> {
        let index = self.log.applied();
        if index == Index(0) {
            return None;
        }
        let term = self.log.term(index)?;
        let configuration = self.membership.at(index)?.clone();
        Some(SnapshotMeta {
            last: LogPosition { term, index },
            configuration,
        })
    }

    /// What it knows of each server, if it leads.
    pub fn progress(&self) -> Option<&ProgressTracker> {
        match &self.role {
            Role::Leader(leader) => Some(&leader.tracker),
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => None,
        }
    }

    /// Its life, if it takes reads in while it follows.
    pub fn life(&self) -> Option<Life> {
        self.life
    }

    /// Its settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The storage, to read from.
    pub fn storage(&self) -> &S {
        self.log.storage()
    }

    /// The storage, to carry out writes.
    pub fn storage_mut(&mut self) -> &mut S {
        self.log.storage_mut()
    }

    /// The storage, when the server is gone: what a crash leaves.
    pub fn into_storage(self) -> S {
        self.log.into_storage()
    }
}

impl<S: Storage + Permute> Permute for Raft<S> {
    fn permute(&self, permutation: &[(NodeId, NodeId)]) -> Self {
        let Raft {
            config,
            membership,
            term,
            vote,
            log,
            role,
            life,
            read_requests,
            outbox,
            held_back,
            pending_writes,
            written,
            unwritten_snapshot,
            read_outcomes,
        } = self;
        let id = config.id.permute(permutation);
        let mut held_back = held_back.permute(permutation);
        held_back.sort_by_key(|envelope| envelope.to);
        Raft {
            config: Constant(Arc::new(Config {
                id,
                ..Config::clone(config)
            })),
            membership: membership.permute(permutation),
            term: *term,
            vote: vote.permute(permutation),
            log: log.permute(permutation),
            role: role.permute(permutation),
            life: *life,
            read_requests: *read_requests,
            outbox: outbox.permute(permutation),
            held_back,
            pending_writes: pending_writes.permute(permutation),
            written: (written.0, written.1.permute(permutation)),
            unwritten_snapshot: unwritten_snapshot.permute(permutation),
            read_outcomes: read_outcomes.clone(),
        }
    }
}
