//! What the tasks of a node have in common. All of them run on one thread.

use super::founding::Founding;
use super::handshake::Membership;
use super::inbox::Inbox;
use super::peers::Peers;
use super::places::Places;
use crate::connection::Room;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use wire::Hello;
use wire::record::Encoder;

/// What the tasks of a node have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) membership: Membership,
    pub(super) founding: Founding,
    /// Where clients reach this node.
    pub(crate) client_address: String,
    /// Where other nodes reach this node, as far as it was told; the configuration knows better.
    pub(crate) address: String,
    pub(crate) inbox: Inbox,
    /// Of the commands that clients give.
    pub(crate) encoder: RefCell<Encoder>,
    pub(crate) peers: Peers,
    pub(crate) clients: Places,
    /// How many bytes the answers to clients hold that they have not taken.
    pub(crate) held_by_clients: Rc<Cell<usize>>,
    /// For the long frames of clients.
    pub(crate) client_frames: Rc<Room>,
    /// For those of other nodes: no client must be in their way.
    pub(crate) peer_frames: Rc<Room>,
}

impl Shared {
    /// What this node says to `peer` first.
    pub(crate) fn hello_to(&self, peer: raft::NodeId) -> Hello {
        let own = self.membership.members().remove(&self.membership.id);
        let configured = own.map(|own| own.address).filter(|address| !address.is_empty());
        Hello {
            magic: wire::MAGIC,
            version_min: wire::VERSION_MIN,
            version_max: wire::VERSION_MAX,
            cluster_id: self.membership.cluster_id.clone(),
            role: wire::Role::Peer {
                node: self.membership.id.0,
                to: peer.0,
                incarnation: self.membership.incarnation,
                to_incarnation: self.membership.folder(peer),
                client_address: self.client_address.clone(),
                address: configured.unwrap_or_else(|| self.address.clone()),
                configuration: self.membership.latest_index().0,
            },
        }
    }
}
