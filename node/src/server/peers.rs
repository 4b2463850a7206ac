//! The other nodes: one connection to each for what this node says, one from each for what it hears.

use super::handshake::Introduction;
use super::inbox::Input;
use super::shared::Shared;
use crate::cli::Address;
use crate::connection::{DialError, Dialled, Frame, Incoming, Outgoing, dial};
use raft::NodeId;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::task::AbortHandle;
use wire::Refusal;
use wire::limits::MEMBERS_MAX;
use wire::peer::{Message, Packet};
use wire::record::Member;

/// How many messages to one node wait at most; at that many, what comes is lost, as the protocol allows. How many bytes they
/// hold is bounded by what the core has in flight to one node.
const QUEUED_MAX: usize = 256;

/// How long connecting and the handshake may take: a partition swallows them without a word.
const DIAL_TIME_MAX: Duration = Duration::from_millis(500);

/// How long to wait before dialling again: at first, and after many failures.
const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_millis(200);

/// How long to wait at most where one of both has another data folder than the other knows: that lasts until an operator sees to it.
const BACKOFF_WIPED_MAX: Duration = Duration::from_secs(1);

/// How long to wait at most where the other node has removed this one.
const BACKOFF_REMOVED_MAX: Duration = Duration::from_secs(5);

/// How long a node's socket may take nothing, and how long the network may acknowledge nothing, before the connection is given
/// up and made anew.
const STALL_MAX: Duration = Duration::from_secs(2);

impl Frame for Packet {
    fn append_payload(self, buffer: Vec<u8>) -> Vec<u8> {
        Message::from(&self).append_payload(buffer)
    }
}

/// How long a node is heard that is no member any more. It may be the leader that saw to it, and have a last word to say; after that, it is told
/// what it is when it comes again.
const LEFT_HEARD_TIME: Duration = Duration::from_secs(5);

/// How many nodes are answered that are no members: those that were removed, or that this node has yet to hear of.
const STRANGERS_MAX: usize = 64;

/// The other nodes.
#[derive(Debug)]
pub(crate) struct Peers {
    /// Where nodes are dialled, whatever anybody says.
    fixed: BTreeMap<NodeId, Address>,
    /// By id.
    known: RefCell<BTreeMap<NodeId, Rc<Peer>>>,
}

/// Another node.
#[derive(Debug)]
struct Peer {
    node: NodeId,
    /// Where clients reach it; empty until it has said so.
    client_address: RefCell<String>,
    /// Where it is dialled, and the task that does so.
    dialling: RefCell<Option<(String, AbortHandle)>>,
    /// What this node says to it, while there is a connection.
    outgoing: RefCell<Option<Rc<Outgoing<Packet>>>>,
    /// Which version of the protocol it speaks on that connection.
    version: Cell<u16>,
    /// Who it said to be, and the task that hears it.
    hearing: RefCell<Option<(Introduction, AbortHandle)>>,
}

impl Peers {
    /// Nobody yet. The nodes in `fixed` are dialled there, whatever the configuration says.
    pub(crate) fn new(fixed: BTreeMap<NodeId, Address>) -> Peers {
        Peers {
            fixed,
            known: RefCell::default(),
        }
    }

    /// Where clients reach `node`; empty if it has not said so.
    pub(crate) fn client_address(&self, node: NodeId) -> String {
        let peer = self.get(node);
        peer.map_or_else(String::new, |peer| peer.client_address.borrow().clone())
    }

    /// The nodes that are heard, and the identities of their data folders.
    pub(crate) fn heard(&self) -> Vec<(NodeId, u128)> {
        let known = self.known.borrow();
        let heard = known.values().filter_map(|peer| {
            let hearing = peer.hearing.borrow();
            hearing.as_ref().map(|(heard, _)| (heard.node, heard.incarnation))
        });
        heard.collect()
    }

    /// Puts a message into the queue to its receiver; [`Peers::flush`] sends it. Whether it was taken: it is lost otherwise.
    pub(crate) fn post(&self, packet: Packet) -> bool {
        let known = self.known.borrow();
        let Some(peer) = known.get(&packet.to()) else {
            return false;
        };
        if packet.since() > peer.version.get() {
            // It would take it for nonsense. Nothing that it does understand is lost.
            return true;
        }
        match &*peer.outgoing.borrow() {
            Some(outgoing) if !outgoing.is_closed() && outgoing.queued() < QUEUED_MAX => {
                outgoing.push(packet);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Sends the messages that wait.
    pub(crate) fn flush(&self) {
        for peer in self.known.borrow().values() {
            if let Some(outgoing) = &*peer.outgoing.borrow() {
                outgoing.flush();
            }
        }
    }

    fn get(&self, node: NodeId) -> Option<Rc<Peer>> {
        self.known.borrow().get(&node).cloned()
    }

    fn get_or_insert(&self, node: NodeId) -> Rc<Peer> {
        let mut known = self.known.borrow_mut();
        let peer = known.entry(node).or_insert_with(|| {
            Rc::new(Peer {
                node,
                client_address: RefCell::default(),
                dialling: RefCell::default(),
                outgoing: RefCell::default(),
                version: Cell::new(wire::VERSION_MIN),
                hearing: RefCell::default(),
            })
        });
        Rc::clone(peer)
    }

    /// Where `node` is to be dialled: a member where the configuration has it, a stranger where it says itself, while it is heard.
    fn address(&self, node: NodeId, member: Option<&Member>, heard: Option<&Introduction>) -> Option<String> {
        if member.is_none() && heard.is_none() {
            return None;
        }
        let fixed = self.fixed.get(&node).map(Address::as_str);
        let configured = member.map(|member| member.address.as_str());
        let said = heard.map(|heard| heard.address.as_str());
        let known = [fixed, configured, said].into_iter().flatten();
        known.map(str::to_string).find(|address| !address.is_empty())
    }
}

/// Who takes part has changed: dials whom it must, and no others; stops hearing those who are not who they were.
pub(crate) fn follow(shared: &Rc<Shared>) {
    let peers = &shared.peers;
    let members = shared.membership.members();
    for node in members.keys().filter(|node| **node != shared.membership.id) {
        peers.get_or_insert(*node);
    }
    let known: Vec<Rc<Peer>> = peers.known.borrow().values().cloned().collect();
    for peer in known {
        let refused = match &*peer.hearing.borrow() {
            Some((heard, task)) => match shared.membership.judge_peer(heard) {
                Err(Refusal::Incarnation { .. }) => {
                    task.abort();
                    true
                }
                Err(Refusal::NotMember { .. }) => {
                    tokio::task::spawn_local(part_with(Rc::clone(shared), Rc::clone(&peer)));
                    false
                }
                Ok(()) | Err(_) => false,
            },
            None => false,
        };
        if refused {
            peer.hearing.replace(None);
        }
        dial_where_it_is(shared, &peer, members.get(&peer.node));
    }
}

/// Hears a node no longer that has left, unless it has come back in time.
async fn part_with(shared: Rc<Shared>, peer: Rc<Peer>) {
    tokio::time::sleep(LEFT_HEARD_TIME).await;
    let has_left = match &*peer.hearing.borrow() {
        Some((heard, task)) => {
            let judged = shared.membership.judge_peer(heard);
            let has_left = matches!(judged, Err(Refusal::NotMember { .. }));
            if has_left {
                task.abort();
            }
            has_left
        }
        None => false,
    };
    if has_left {
        tracing::info!("{} is no member any more, and is not heard", peer.node);
        peer.hearing.replace(None);
        dial_where_it_is(&shared, &peer, None);
    }
}

/// Begins to dial `peer` where it is reached, or stops to.
fn dial_where_it_is(shared: &Rc<Shared>, peer: &Rc<Peer>, member: Option<&Member>) {
    let hearing = peer.hearing.borrow();
    let heard = hearing.as_ref().map(|(heard, _)| heard);
    let wanted = shared.peers.address(peer.node, member, heard);
    let is_needed = member.is_some() || heard.is_some();
    drop(hearing);
    let mut dialling = peer.dialling.borrow_mut();
    let present = dialling.as_ref().map(|(address, _)| address);
    if present != wanted.as_ref() {
        if let Some((_, task)) = dialling.take() {
            task.abort();
            if let Some(outgoing) = peer.outgoing.replace(None) {
                outgoing.close();
            }
            shared.inbox.push(Input::Unreachable(peer.node), 0);
        }
        *dialling = wanted.map(|address| {
            let task = keep_connected(Rc::clone(shared), Rc::clone(peer), address.clone());
            (address, tokio::task::spawn_local(task).abort_handle())
        });
    }
    drop(dialling);
    if !is_needed {
        shared.peers.known.borrow_mut().remove(&peer.node);
    }
}

/// Keeps a connection to `peer` for as long as that is wanted.
async fn keep_connected(shared: Rc<Shared>, peer: Rc<Peer>, address: String) {
    let node = peer.node;
    let mut backoff = BACKOFF_MIN;
    let mut last_failure = String::new();
    loop {
        let mut backoff_max = BACKOFF_MAX;
        // What it says of itself changes with the configuration.
        let hello = shared.hello_to(node);
        match dial(&address, &hello, DIAL_TIME_MAX).await {
            Ok(dialled) => {
                tracing::info!("connected to {node} at {address}");
                shared.founding.met(node);
                talk(&peer, dialled).await;
                tracing::info!("the connection to {node} is lost");
                shared.inbox.push(Input::Unreachable(node), 0);
                backoff = BACKOFF_MIN;
                last_failure.clear();
            }
            Err(error) => {
                match error {
                    DialError::Refused(Refusal::Incarnation { node: which }) => {
                        backoff_max = BACKOFF_WIPED_MAX;
                        if which == shared.membership.id.0 {
                            shared.founding.known_with_another_folder(node);
                        }
                    }
                    DialError::Refused(Refusal::NotMember { .. }) => backoff_max = BACKOFF_REMOVED_MAX,
                    DialError::Refused(_)
                    | DialError::Io(_)
                    | DialError::TimedOut(_)
                    | DialError::Foreign(_)
                    | DialError::Silent(_)
                    | DialError::Closed => {}
                }
                // A node that is down fails many times in the same way; once is enough to be told.
                let failure = error.to_string();
                if failure != last_failure {
                    if let DialError::Refused(_) = error {
                        tracing::warn!("{node} at {address} won't have this node: {failure}");
                    } else {
                        tracing::info!("{node} at {address} can't be reached: {failure}");
                    }
                    last_failure = failure;
                }
            }
        }
        tokio::time::sleep(backoff).await;
        backoff = (2 * backoff).min(backoff_max);
    }
}

/// Lets the loop use a connection until it ends.
async fn talk(
    peer: &Peer,
    Dialled {
        mut incoming,
        half,
        version,
    }: Dialled,
) {
    let stall_max = u32::try_from(STALL_MAX.as_millis()).expect("the limit is small");
    // Where it is not to be had, the connection is still given up when the socket takes nothing any more.
    let _ = rustix::net::sockopt::set_tcp_user_timeout(half.as_ref(), stall_max);
    let outgoing = Outgoing::new(half, STALL_MAX);
    peer.version.set(version);
    peer.outgoing.replace(Some(Rc::clone(&outgoing)));
    // Nothing is ever said on this connection by the other side: whatever comes, it is over.
    let _ = incoming.next().await;
    outgoing.close();
    peer.outgoing.replace(None);
}

/// Hears a node on a connection that was welcomed, instead of on an older one, which is half-open at best.
pub(crate) fn hear(shared: &Rc<Shared>, heard: Introduction, incoming: Incoming, half: OwnedWriteHalf) {
    let node = heard.node;
    let member = shared.membership.members().get(&node).cloned();
    let is_new = shared.peers.get(node).is_none();
    if is_new && member.is_none() && shared.peers.known.borrow().len() >= MEMBERS_MAX + STRANGERS_MAX {
        return tracing::warn!("the connection from {node} is closed: too many who are no members are heard");
    }
    let peer = shared.peers.get_or_insert(node);
    peer.client_address.replace(heard.client_address.clone());
    shared.founding.met(node);
    shared.inbox.push(Input::Heard(node, heard.incarnation), 0);
    let task = tokio::task::spawn_local(take_in(Rc::clone(shared), Rc::clone(&peer), incoming, half));
    if let Some((_, older)) = peer.hearing.replace(Some((heard, task.abort_handle()))) {
        older.abort();
    }
    if member.is_none() {
        dial_where_it_is(shared, &peer, None);
    }
}

async fn take_in(shared: Rc<Shared>, peer: Rc<Peer>, incoming: Incoming, half: OwnedWriteHalf) {
    let node = peer.node;
    tracing::debug!("{node} is connected");
    take_in_all(&shared, node, incoming, half).await;
    peer.hearing.replace(None);
    let member = shared.membership.members().get(&node).cloned();
    dial_where_it_is(&shared, &peer, member.as_ref());
}

async fn take_in_all(shared: &Shared, node: NodeId, mut incoming: Incoming, _half: OwnedWriteHalf) {
    let own = shared.membership.id;
    loop {
        let frame = match incoming.next().await {
            Ok(Some(frame)) => frame,
            Ok(None) => return tracing::info!("{node} has closed its connection"),
            Err(error) => return tracing::info!("the connection from {node} is closed: {error}"),
        };
        match Packet::from_payload(&frame, node, own) {
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
    use wire::limits::{
        FRAME_BYTES_MAX, KEY_BYTES_MAX, OPERATIONS_MAX, TRANSACTION_BYTES_MAX, VALUE_BYTES_MAX,
    };
    use wire::record::{Command, Condition, Invocation, Once, Operation, Transaction};

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
        let condition = || Condition::Holds {
            key: Bytes::new(),
            value: Some(Bytes::from(vec![0; TRANSACTION_BYTES_MAX / OPERATIONS_MAX])),
        };
        let get = || Operation::Get { key: Bytes::new() };
        let transaction = Invocation::Once {
            once: Once {
                session: u64::MAX,
                sequence: u64::MAX,
                answered_below: u64::MAX,
            },
            time: u64::MAX,
            command: Command::Transaction(Transaction {
                conditions: std::iter::repeat_with(condition).take(OPERATIONS_MAX).collect(),
                then: std::iter::repeat_with(get).take(OPERATIONS_MAX).collect(),
                otherwise: std::iter::repeat_with(get).take(OPERATIONS_MAX).collect(),
            }),
        };
        assert!(frame_bytes(vec![entry(transaction.to_bytes())]) <= FRAME_BYTES_MAX);
        let config = Config::new(NodeId(1));
        for entries in [config.append_entries_max, 1] {
            let each = (config.append_bytes_max / entries).saturating_sub(Entry::<Bytes>::OVERHEAD);
            let full = vec![entry(Bytes::from(vec![0; each])); entries];
            assert!(frame_bytes(full) <= FRAME_BYTES_MAX, "{entries} entries");
        }
    }
}
