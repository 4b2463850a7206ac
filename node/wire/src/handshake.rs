//! The first frame of a connection and its answer.

use alloc::string::String;
use serde::{Deserialize, Serialize};

/// Opens every [`Hello`]: bytes that no other protocol begins with.
pub const MAGIC: [u8; 4] = *b"rRft";

/// The oldest protocol version that this build speaks.
pub const VERSION_MIN: u16 = 1;

/// The newest protocol version that this build speaks. The second has what followers ask about reads, [`crate::peer::Body::ReadIndex`].
pub const VERSION_MAX: u16 = 2;

/// What a dialer says first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`MAGIC`].
    pub magic: [u8; 4],
    /// The oldest version the dialer speaks.
    pub version_min: u16,
    /// The newest version the dialer speaks.
    pub version_max: u16,
    /// The cluster the dialer means; a client may leave it empty to mean whichever it has reached.
    pub cluster_id: String,
    /// Who is dialling.
    pub role: Role,
}

/// Who is dialling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// A client; request and response frames follow.
    Client,
    /// Another node of the cluster; its messages follow.
    Peer {
        /// The dialer's node id.
        node: u64,
        /// The node id that the dialer means to reach.
        to: u64,
        /// The random identity of the dialer's data folder.
        incarnation: u128,
        /// The identity of the listener's data folder as the dialer knows it; `None` if it has not heard of one.
        to_incarnation: Option<u128>,
        /// Where clients reach the dialer: what a redirect names.
        client_address: String,
        /// Where other nodes reach the dialer, for one that does not know it as a member; empty if it doesn't say.
        address: String,
        /// The index of the configuration that the dialer goes by: one that goes by an older one has no say in whether it is a member.
        configuration: u64,
    },
}

/// What the listener answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Welcome {
    /// The connection is open.
    Accepted {
        /// The version both sides speak from here on.
        version: u16,
        /// The listener's node id.
        node: u64,
        /// The listener's cluster.
        cluster_id: String,
    },
    /// The connection is about to be closed, for this reason.
    Refused(Refusal),
}

/// Why a connection is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The first frame was not a [`Hello`].
    #[error("the first frame is not a hello")]
    NotHello,
    /// No version in common.
    #[error("no protocol version in common: this node speaks {min} to {max}")]
    Version {
        /// The oldest version the listener speaks.
        min: u16,
        /// The newest version the listener speaks.
        max: u16,
    },
    /// The dialer means another cluster.
    #[error("this node belongs to the cluster {actual:?}")]
    Cluster {
        /// The listener's cluster.
        actual: String,
    },
    /// The dialer means another node.
    #[error("this is node {actual}")]
    Node {
        /// The listener's node id.
        actual: u64,
    },
    /// The dialer is a node that is no member of this cluster.
    #[error("node {node} is no member of this cluster")]
    NotMember {
        /// The dialer's node id.
        node: u64,
    },
    /// The dialer's id is known here with another data folder; or the listener's is to the dialer.
    #[error("node {node} is known with another data folder: its data was wiped or copied")]
    Incarnation {
        /// The id that has two data folders.
        node: u64,
    },
    /// All connections are taken.
    #[error("too many connections: this node takes {max}")]
    Busy {
        /// How many the listener takes.
        max: u32,
    },
}
