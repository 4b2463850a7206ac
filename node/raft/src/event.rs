//! What a [`crate::RawNode`] tells of itself.

use crate::configuration::Configuration;
use crate::role::RoleKind;
use crate::types::{Index, LogPosition, NodeId, Term};
use alloc::sync::Arc;
use core::fmt::{self, Display};

/// Something happened to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its term advanced.
    TermAdvanced {
        /// The new term.
        term: Term,
    },
    /// It voted.
    Voted {
        /// In this term.
        term: Term,
        /// For this server, which may be itself.
        candidate: NodeId,
    },
    /// Its role changed.
    RoleChanged {
        /// In this term.
        term: Term,
        /// The new role.
        role: RoleKind,
    },
    /// It learned who leads.
    LeaderKnown {
        /// In this term.
        term: Term,
        /// The leader.
        leader: NodeId,
    },
    /// It learned that entries are committed.
    Committed {
        /// The last of them.
        index: Index,
    },
    /// A snapshot has replaced its log, durably.
    SnapshotInstalled {
        /// The last entry that it covers.
        last: LogPosition,
    },
    /// The file of a snapshot turned out to be damaged: one that arrived, which is of no use, or the server's own, which it can't send.
    SnapshotDamaged {
        /// The last entry that it covers.
        last: LogPosition,
        /// Who sent it; `None` for the server's own.
        from: Option<NodeId>,
    },
    /// Another configuration is in force: a new one, or, where the entry of the last one was cut off, an old one.
    ConfigurationChanged {
        /// Where it stands in the log.
        index: Index,
        /// Who takes part.
        configuration: Arc<Configuration>,
    },
}

impl Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::TermAdvanced { term } => write!(f, "term {term}"),
            Event::Voted { term, candidate } => write!(f, "votes for {candidate} in term {term}"),
            Event::RoleChanged { term, role } => write!(f, "is {role} in term {term}"),
            Event::LeaderKnown { term, leader } => write!(f, "follows {leader} in term {term}"),
            Event::Committed { index } => write!(f, "has committed {index}"),
            Event::SnapshotInstalled { last } => write!(f, "has installed a snapshot up to {last}"),
            Event::SnapshotDamaged {
                last,
                from: Some(from),
            } => write!(f, "was sent a damaged snapshot up to {last} by {from}"),
            Event::SnapshotDamaged { last, from: None } => {
                write!(f, "finds its own snapshot up to {last} damaged")
            }
            Event::ConfigurationChanged { index, configuration } => {
                write!(f, "has the configuration ({configuration}) from {index}")
            }
        }
    }
}

/// Hears what happens to a server.
pub trait Logger {
    /// `event` happened to the server `id`.
    fn log(&mut self, id: NodeId, event: Event);
}

/// A logger that says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Logger for Silent {
    fn log(&mut self, _: NodeId, _: Event) {}
}
