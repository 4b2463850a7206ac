//! The other nodes: one connection to each for what this node says, one from each for what it hears.

use super::inbox::Input;
use super::shared::Shared;
use crate::cli::Address;
use crate::connection::{Dialled, Frame, Incoming, Outgoing, dial};
use raft::NodeId;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::task::AbortHandle;
use wire::peer::{Message, Packet};

/// How many messages to one node wait at most; at that many, what comes is lost, as the protocol allows. How many bytes they
/// hold is bounded by what the core has in flight to one node.
const QUEUED_MAX: usize = 256;

/// How long connecting and the handshake may take: a partition swallows them without a word.
const DIAL_TIME_MAX: Duration = Duration::from_millis(500);

/// How long to wait before dialling again: at first, and after many failures.
const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_millis(200);

/// How long a node's socket may take nothing, and how long the network may acknowledge nothing, before the connection is given
/// up and made anew.
const STALL_MAX: Duration = Duration::from_secs(2);

impl Frame for Packet {
    fn append_payload(self, mut buffer: Vec<u8>) -> Vec<u8> {
        buffer.extend_from_slice(&Message::from(self).to_payload());
        buffer
    }
}

/// The other nodes, by id.
#[derive(Debug)]
pub(crate) struct Peers(BTreeMap<NodeId, Peer>);

/// Another node.
#[derive(Debug)]
struct Peer {
    /// Where it is dialled.
    address: Address,
    /// Where clients reach it; empty until it has said so.
    client_address: RefCell<String>,
    /// What this node says to it, while there is a connection.
    outgoing: RefCell<Option<Rc<Outgoing<Packet>>>>,
    /// The task that hears it.
    hearing: RefCell<Option<AbortHandle>>,
}

impl Peers {
    /// Nodes that are dialled at these addresses.
    pub(crate) fn new(addresses: BTreeMap<NodeId, Address>) -> Peers {
        let peer = |(node, address)| {
            let peer = Peer {
                address,
                client_address: RefCell::default(),
                outgoing: RefCell::default(),
                hearing: RefCell::default(),
            };
            (node, peer)
        };
        Peers(addresses.into_iter().map(peer).collect())
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = NodeId> {
        self.0.keys().copied()
    }

    /// Where clients reach `node`; empty if it has not said so.
    pub(crate) fn client_address(&self, node: NodeId) -> String {
        self.get(node).client_address.borrow().clone()
    }

    /// Puts a message into the queue to its receiver; [`Peers::flush`] sends it. Whether it was taken: it is lost otherwise.
    pub(crate) fn post(&self, packet: Packet) -> bool {
        match &*self.get(packet.to()).outgoing.borrow() {
            Some(outgoing) if !outgoing.is_closed() && outgoing.queued() < QUEUED_MAX => {
                outgoing.push(packet);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Sends the messages that wait.
    pub(crate) fn flush(&self) {
        for peer in self.0.values() {
            if let Some(outgoing) = &*peer.outgoing.borrow() {
                outgoing.flush();
            }
        }
    }

    fn get(&self, node: NodeId) -> &Peer {
        self.0
            .get(&node)
            .unwrap_or_else(|| panic!("{node} is no other member of this cluster"))
    }
}

/// Keeps a connection to `node` for as long as this node lives.
pub(crate) async fn keep_connected(shared: Rc<Shared>, node: NodeId) {
    let peer = shared.peers.get(node);
    let hello = shared.hello_to(node);
    let mut backoff = BACKOFF_MIN;
    let mut last_failure = String::new();
    loop {
        match dial(peer.address.as_str(), &hello, DIAL_TIME_MAX).await {
            Ok(dialled) => {
                tracing::info!("connected to {node} at {}", peer.address);
                talk(peer, dialled).await;
                tracing::info!("the connection to {node} is lost");
                shared.inbox.push(Input::Unreachable(node), 0);
                backoff = BACKOFF_MIN;
                last_failure.clear();
            }
            Err(error) => {
                // A node that is down fails many times in the same way; once is enough to be told.
                let failure = error.to_string();
                if failure != last_failure {
                    tracing::info!("{node} at {} can't be reached: {failure}", peer.address);
                    last_failure = failure;
                }
            }
        }
        tokio::time::sleep(backoff).await;
        backoff = (2 * backoff).min(BACKOFF_MAX);
    }
}

/// Lets the loop use a connection until it ends.
async fn talk(
    peer: &Peer,
    Dialled {
        mut incoming, half, ..
    }: Dialled,
) {
    let stall_max = u32::try_from(STALL_MAX.as_millis()).expect("the limit is small");
    // Where it is not to be had, the connection is still given up when the socket takes nothing any more.
    let _ = rustix::net::sockopt::set_tcp_user_timeout(half.as_ref(), stall_max);
    let outgoing = Outgoing::new(half, STALL_MAX);
    peer.outgoing.replace(Some(Rc::clone(&outgoing)));
    // Nothing is ever said on this connection by the other side: whatever comes, it is over.
    let _ = incoming.next().await;
    outgoing.close();
    peer.outgoing.replace(None);
}

/// Hears `node` on a connection that was welcomed, instead of on an older one, which is half-open at best.
pub(crate) fn hear(
    shared: &Rc<Shared>,
    node: NodeId,
    client_address: String,
    incoming: Incoming,
    half: OwnedWriteHalf,
) {
    let peer = shared.peers.get(node);
    peer.client_address.replace(client_address);
    let task = tokio::task::spawn_local(take_in(Rc::clone(shared), node, incoming, half));
    if let Some(older) = peer.hearing.replace(Some(task.abort_handle())) {
        older.abort();
    }
}

async fn take_in(shared: Rc<Shared>, node: NodeId, mut incoming: Incoming, _half: OwnedWriteHalf) {
    tracing::debug!("{node} is connected");
    let own = shared.membership.id;
    loop {
        let frame = match incoming.next().await {
            Ok(Some(frame)) => frame,
            Ok(None) => return tracing::info!("{node} has closed its connection"),
            Err(error) => return tracing::info!("the connection from {node} is closed: {error}"),
        };
        let packet = Message::from_payload(&frame).and_then(|message| message.into_packet(node, own));
        match packet {
            Ok(packet) => shared.inbox.put(Input::Packet(packet), frame.len()).await,
            Err(error) => return tracing::warn!("the connection from {node} is closed: no message: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::append_frame;
    use bytes::Bytes;
    use raft::{Config, Entry, EntryData, Envelope, Index, LogPosition, Term};
    use wire::limits::{FRAME_BYTES_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX};
    use wire::record::Command;

    fn frame_bytes(entries: Vec<Entry<Bytes>>) -> usize {
        let envelope = Envelope {
            from: NodeId(u64::MAX),
            to: NodeId(1),
            term: Term(u64::MAX),
            message: raft::Message::Append {
                prev: LogPosition {
                    term: Term(u64::MAX),
                    index: Index(u64::MAX),
                },
                entries,
                commit: Index(u64::MAX),
            },
        };
        append_frame(Packet::Message(envelope), Vec::new()).len()
    }

    fn entry(command: Bytes) -> Entry<Bytes> {
        Entry {
            term: Term(u64::MAX),
            index: Index(1),
            data: EntryData::Command(command),
        }
    }

    #[test]
    fn the_largest_append_fits_into_a_frame() {
        let value = Bytes::from(vec![0; VALUE_BYTES_MAX]);
        let largest = Command::Cas {
            key: Bytes::from(vec![0; KEY_BYTES_MAX]),
            expected: Some(value.clone()),
            value,
        };
        // What the core sends at most: one entry of any size, or as many as stay within both of its limits.
        assert!(frame_bytes(vec![entry(largest.to_bytes())]) <= FRAME_BYTES_MAX);
        let config = Config::new(NodeId(1));
        for entries in [config.append_entries_max, 1] {
            let each = (config.append_bytes_max / entries).saturating_sub(Entry::<Bytes>::OVERHEAD);
            let full = vec![entry(Bytes::from(vec![0; each])); entries];
            assert!(frame_bytes(full) <= FRAME_BYTES_MAX, "{entries} entries");
        }
    }
}
