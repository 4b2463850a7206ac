//! What lies in the log and beside it: entries, the state that they have come to, and what entries carry.

pub use crate::command::{
    Answer, COMMAND_VERSION, Command, Condition, EncodedCommand, Encoder, End, INVOCATION_VERSION,
    Invocation, Once, Operation, OperationAnswer, Transaction, Unfit,
};

use crate::limits::{CONTEXT_BYTES_MAX, MEMBERS_MAX};
use crate::payload::{DecodeError, decode, encode};
use crate::slice::Slice;
use alloc::{string::String, sync::Arc, vec::Vec};
use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};

/// What one write to the log makes durable, all or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record<E = Vec<Entry>> {
    /// Opens a segment: all that must be known of what came before it.
    Open {
        /// As of the segment's beginning.
        hard_state: HardState,
        /// The last entry before the segment, and who takes part there.
        behind: Snapshot,
    },
    /// A write of the core.
    Write {
        /// From here on.
        hard_state: HardState,
        /// A snapshot that replaces the whole log; its state lies in a file of its own.
        snapshot: Option<Snapshot>,
        /// The index of the first entry; it replaces what stands there and everything behind. Without entries it says nothing.
        first_index: u64,
        /// The entries.
        entries: E,
    },
}

/// An entry; its index follows from its place in the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry<B = Bytes> {
    /// The entry's term.
    pub term: u64,
    /// What it carries.
    pub data: EntryData<B>,
}

/// The core's entries, to be encoded as they are: as a list of [`Entry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entries<'a>(pub &'a [raft::Entry<Bytes>]);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|entry| Entry {
            term: entry.term.0,
            data: match &entry.data {
                raft::EntryData::Noop => EntryData::Noop,
                raft::EntryData::Command(command) => EntryData::Command(Slice(command)),
                raft::EntryData::Configuration(configuration) => {
                    EntryData::Configuration((&**configuration).into())
                }
            },
        }))
    }
}

/// What an entry carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryData<B = Bytes> {
    /// Nothing.
    Noop,
    /// An encoded [`Invocation`].
    Command(B),
    /// Who takes part from here on.
    Configuration(Configuration),
}

/// Who takes part; see [`raft::Configuration`]. Each list is sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Those who decide.
    pub voters: Vec<u64>,
    /// Those who decide as well, while the configuration is joint.
    pub outgoing: Vec<u64>,
    /// Those who decide nothing.
    pub learners: Vec<u64>,
    /// Those of `outgoing` who will be learners.
    pub learners_next: Vec<u64>,
    /// What is known of members, sorted by id: each context is an encoded [`Member`].
    pub contexts: Vec<(u64, Bytes)>,
}

/// What a configuration says of a member beside its id: the core's context of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Where the other nodes reach it; empty if the configuration doesn't say.
    pub address: String,
    /// The random identity of its data folder; `None` before it was heard of.
    pub incarnation: Option<u128>,
}

impl Member {
    /// The core's context.
    pub fn to_context(&self) -> Bytes {
        if *self == Member::default() {
            return Bytes::new();
        }
        encode(self)
    }

    /// What a configuration says of `node`; nothing where it has no context of it, or one that no build of today wrote.
    pub fn of(configuration: &raft::Configuration, node: raft::NodeId) -> Member {
        let context = configuration.context(node);
        context
            .and_then(|context| decode(context).ok())
            .unwrap_or_default()
    }
}

/// What a snapshot stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The last entry whose effect is in it.
    pub last: Position,
    /// Who takes part there.
    pub configuration: Configuration,
}

/// A piece of a snapshot's file, in the order in which they stand there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnapshotPart {
    /// The first.
    Begin {
        /// What it stands for.
        snapshot: Snapshot,
    },
    /// Keys and their values.
    Pairs(Vec<(Bytes, Bytes)>),
    /// The last.
    End {
        /// How many pairs there are.
        pairs: u64,
        /// The hash of the state.
        state_hash: u64,
    },
    /// Sessions, by id; behind the pairs.
    Sessions {
        /// The leaders' time, in milliseconds.
        time: u64,
        /// The sessions.
        sessions: Vec<Session>,
    },
    /// What was answered in sessions, by session and sequence; behind those.
    Replies(Vec<SessionReply>),
}

/// A client's session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The index of the entry that opened it.
    pub id: u64,
    /// How long it lives unused, in milliseconds of leaders' time.
    pub lifetime: u64,
    /// When it was last used.
    pub used_at: u64,
    /// The index of the entry that last used it.
    pub used_index: u64,
    /// Every command before this one was answered, and its client knows.
    pub answered_below: u64,
}

/// What was answered to a command of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionReply {
    /// The session.
    pub session: u64,
    /// Which of its commands.
    pub sequence: u64,
    /// The answer; `None` if it was too much to keep.
    pub answer: Option<Result<Answer, Unfit>>,
}

/// A place in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The entry's term.
    pub term: u64,
    /// The entry's index.
    pub index: u64,
}

/// Term, vote and commit index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardState {
    /// The latest term seen.
    pub term: u64,
    /// Whom the node voted for in it.
    pub vote: Option<u64>,
    /// What is known to be committed.
    pub commit: u64,
}

/// Who a data folder belongs to; written once, when it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The version of the folder's layout.
    pub format: u16,
    /// The cluster.
    pub cluster_id: String,
    /// The node.
    pub node: u64,
    /// Drawn at random when the folder was made: tells it from one that was made anew under the same id. Everybody may know it.
    pub incarnation: u128,
    /// Drawn at random when the folder was made, and told to nobody: tells the batches of its log from forgeries.
    pub secret: u64,
}

/// What [`Identity`] was in format 2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityFormat2 {
    /// The version of the folder's layout.
    pub format: u16,
    /// The cluster.
    pub cluster_id: String,
    /// The node.
    pub node: u64,
    /// Drawn at random when the folder was made.
    pub incarnation: u128,
}

impl<B> EntryData<B> {
    /// As the core has it, with the bytes that `keep` makes of a command's.
    ///
    /// # Errors
    /// It is a configuration that can't be.
    pub fn into_core(self, keep: impl FnOnce(B) -> Bytes) -> Result<raft::EntryData<Bytes>, DecodeError> {
        Ok(match self {
            EntryData::Noop => raft::EntryData::Noop,
            EntryData::Command(command) => raft::EntryData::Command(keep(command)),
            EntryData::Configuration(configuration) => {
                raft::EntryData::Configuration(Arc::new(configuration.try_into()?))
            }
        })
    }
}

impl TryFrom<EntryData> for raft::EntryData<Bytes> {
    type Error = DecodeError;

    fn try_from(data: EntryData) -> Result<raft::EntryData<Bytes>, DecodeError> {
        data.into_core(|command| command)
    }
}

impl From<&raft::Configuration> for Configuration {
    fn from(configuration: &raft::Configuration) -> Configuration {
        let list = |nodes: &[raft::NodeId]| nodes.iter().map(|node| node.0).collect();
        Configuration {
            voters: list(configuration.voters()),
            outgoing: list(configuration.outgoing()),
            learners: list(configuration.learners()),
            learners_next: list(configuration.learners_next()),
            contexts: configuration
                .contexts()
                .map(|(node, context)| (node.0, context.clone()))
                .collect(),
        }
    }
}

impl TryFrom<Configuration> for raft::Configuration {
    type Error = DecodeError;

    fn try_from(configuration: Configuration) -> Result<raft::Configuration, DecodeError> {
        let Configuration {
            voters,
            outgoing,
            learners,
            learners_next,
            contexts,
        } = configuration;
        if contexts.len() > MEMBERS_MAX
            || contexts
                .iter()
                .any(|(_, context)| context.len() > CONTEXT_BYTES_MAX)
        {
            return Err(DecodeError::Invalid(
                "a configuration that says too much of its members",
            ));
        }
        let lists = [voters, outgoing, learners, learners_next];
        if lists.iter().any(|list| list.len() > MEMBERS_MAX) {
            return Err(DecodeError::Invalid("a configuration of too many members"));
        }
        let [voters, outgoing, learners, learners_next] =
            lists.map(|list| list.into_iter().map(raft::NodeId).collect());
        let configuration = raft::Configuration::from_parts(voters, outgoing, learners, learners_next)
            .map_err(|_| DecodeError::Invalid("a configuration that contradicts itself"))?;
        let contexts = contexts
            .iter()
            .map(|(node, context)| (raft::NodeId(*node), context));
        Ok(configuration.with_contexts(contexts))
    }
}

impl From<&raft::SnapshotMeta> for Snapshot {
    fn from(snapshot: &raft::SnapshotMeta) -> Snapshot {
        Snapshot {
            last: snapshot.last.into(),
            configuration: (&*snapshot.configuration).into(),
        }
    }
}

impl TryFrom<Snapshot> for raft::SnapshotMeta {
    type Error = DecodeError;

    fn try_from(snapshot: Snapshot) -> Result<raft::SnapshotMeta, DecodeError> {
        Ok(raft::SnapshotMeta {
            last: snapshot.last.into(),
            configuration: Arc::new(snapshot.configuration.try_into()?),
        })
    }
}

impl From<raft::LogPosition> for Position {
    fn from(position: raft::LogPosition) -> Position {
        Position {
            term: position.term.0,
            index: position.index.0,
        }
    }
}

impl From<Position> for raft::LogPosition {
    fn from(position: Position) -> raft::LogPosition {
        raft::LogPosition {
            term: raft::Term(position.term),
            index: raft::Index(position.index),
        }
    }
}

impl From<raft::HardState> for HardState {
    fn from(state: raft::HardState) -> HardState {
        HardState {
            term: state.term.0,
            vote: state.vote.map(|node| node.0),
            commit: state.commit.0,
        }
    }
}

impl From<HardState> for raft::HardState {
    fn from(state: HardState) -> raft::HardState {
        raft::HardState {
            term: raft::Term(state.term),
            vote: state.vote.map(raft::NodeId),
            commit: raft::Index(state.commit),
        }
    }
}
