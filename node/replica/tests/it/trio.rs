//! Three nodes in one thread, of which any may be cut off, or fail.

use crate::common::{Node, put, turn};
use bytes::Bytes;
use raft::{Index, NodeId, RoleKind, Silent, Storage};
use replica::{Options, Outbox, Replica, StateMachine, Ticket};
use sim::SimDisk;
use std::collections::VecDeque;
use wire::peer::{Packet, Parcel};

/// More packets than any exchange here takes.
const PACKETS_MAX: usize = 10_000;
/// Ticks in which a cluster without faults must come to rest.
const TICKS_MAX: usize = 400;

/// Node `id` of three, with segments of four blocks and a snapshot for every five.
pub(crate) fn options(id: u64, voters: u64) -> Options {
    let mut options = Options::new(
        NodeId(id),
        String::from("test"),
        (1..=voters).map(NodeId).collect(),
    );
    options.segment_bytes = 4 * 4096;
    options.snapshot_log_bytes = 5 * 4096;
    options.incarnation = u128::from(id);
    options.seed = id;
    options
}

/// The hash of the state that the first `count` puts make.
pub(crate) fn hash_of(count: u64) -> u64 {
    let mut machine = StateMachine::default();
    for key in 0..count {
        machine.apply(put(key % 7, &value(key))).unwrap();
    }
    machine.state_hash()
}

pub(crate) fn value(key: u64) -> Vec<u8> {
    vec![b'a' + u8::try_from(key % 23).unwrap(); 200]
}

/// Three nodes, of which the first may be cut off, or fail.
pub(crate) struct Trio {
    pub(crate) disks: [SimDisk; 3],
    pub(crate) nodes: [Option<Node>; 3],
    pub(crate) packets: VecDeque<Packet>,
    pub(crate) alone: bool,
    /// Pieces that arrived, by where they belong.
    pub(crate) pieces: Vec<u64>,
    /// Which piece is lost, counted from the first.
    pub(crate) lost_piece: Option<usize>,
    /// Which piece arrives damaged.
    pub(crate) bad_piece: Option<usize>,
}

impl Trio {
    pub(crate) fn new() -> Trio {
        let mut trio = Trio {
            disks: [SimDisk::new(), SimDisk::new(), SimDisk::new()],
            nodes: [None, None, None],
            packets: VecDeque::new(),
            alone: false,
            pieces: Vec::new(),
            lost_piece: None,
            bad_piece: None,
        };
        for place in 0..3 {
            trio.open(place);
        }
        trio
    }

    pub(crate) fn open(&mut self, place: usize) {
        let options = options(place as u64 + 1, 3);
        self.nodes[place] = Replica::open(self.disks[place].clone(), &options, Silent).ok();
    }

    /// Turns a node's wheel; whoever fails is gone.
    pub(crate) fn turn(&mut self, place: usize) -> Outbox {
        let mut out = Outbox::default();
        if let Some(node) = &mut self.nodes[place] {
            let failed = turn(node, &mut out).is_err();
            self.packets.extend(out.messages.drain(..));
            if failed {
                self.nodes[place] = None;
            }
        }
        out
    }

    pub(crate) fn settle(&mut self) {
        for place in 0..3 {
            self.turn(place);
        }
        for _ in 0..PACKETS_MAX {
            let Some(packet) = self.packets.pop_front() else {
                return;
            };
            let to = usize::try_from(packet.to().0 - 1).unwrap();
            let from = match &packet {
                Packet::Message(envelope) => envelope.from,
                Packet::Parcel { from, .. } => *from,
            };
            if self.alone && (to == 0 || from == NodeId(1)) {
                continue;
            }
            let Some(packet) = self.carried(packet) else {
                continue;
            };
            if let Some(node) = &mut self.nodes[to] {
                node.step(packet);
            }
            self.turn(to);
        }
        panic!("the nodes do not come to rest");
    }

    /// The packet as it arrives, if it does.
    fn carried(&mut self, mut packet: Packet) -> Option<Packet> {
        if let Packet::Parcel {
            parcel: Parcel::Piece { offset, bytes, .. },
            ..
        } = &mut packet
        {
            let place = self.pieces.len();
            self.pieces.push(*offset);
            if self.lost_piece == Some(place) {
                return None;
            }
            if self.bad_piece == Some(place) {
                let mut damaged = bytes.to_vec();
                damaged[40] ^= 1;
                *bytes = Bytes::from(damaged);
            }
        }
        Some(packet)
    }

    pub(crate) fn tick(&mut self) {
        for node in self.nodes.iter_mut().flatten() {
            node.tick();
        }
        self.settle();
    }

    /// Node 2 leads, and takes `count` puts in while the first node hears nothing after the first `heard` of them.
    pub(crate) fn with_puts(count: u64, heard: u64) -> Trio {
        let mut trio = Trio::new();
        trio.nodes[1].as_mut().unwrap().campaign();
        trio.settle();
        for key in 0..count {
            trio.alone = key >= heard;
            let leader = trio.nodes[1].as_mut().unwrap();
            leader.command(Ticket(key), &put(key % 7, &value(key)));
            trio.settle();
            trio.tick();
        }
        let leader = trio.nodes[1].as_ref().unwrap();
        assert_eq!(leader.status().role, RoleKind::Leader);
        assert!(leader.core().raft().storage().first_index() > Index(heard + 2));
        trio.alone = false;
        trio
    }

    /// Until the first node is as the others.
    pub(crate) fn converge(&mut self, case: &str) {
        for _ in 0..TICKS_MAX {
            self.tick();
            let statuses: Vec<_> = self.nodes.iter().flatten().map(Node::status).collect();
            let equal = |one: &replica::Status| {
                (one.applied_index, one.state_hash) == (statuses[0].applied_index, statuses[0].state_hash)
            };
            if statuses.len() == 3 && statuses.iter().all(equal) {
                return;
            }
        }
        let statuses: Vec<_> = self.nodes.iter().flatten().map(Node::status).collect();
        panic!("{case}: the nodes do not become equal: {statuses:#?}");
    }
}
