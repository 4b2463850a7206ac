//! Several nodes in one thread, of which any may be cut off, or fail.

use crate::common::{put, turn};
use crate::late::{Fate, Late};
use bytes::Bytes;
use raft::{Event, Index, Logger, NodeId, RoleKind, Storage};
use replica::{OpenError, Options, Outbox, Replica, StateMachine, Ticket};
use sim::SimDisk;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use wire::peer::{Packet, Parcel};

pub(crate) type Node = Replica<Late, Damage>;

/// Which node found a snapshot damaged, and who had sent it, if that was not its own.
pub(crate) type Found = (NodeId, Option<NodeId>);

/// Keeps what nodes say of damaged snapshots.
#[derive(Clone, Debug, Default)]
pub(crate) struct Damage(Rc<RefCell<Vec<Found>>>);

impl Logger for Damage {
    fn log(&mut self, id: NodeId, event: Event) {
        if let Event::SnapshotDamaged { from, .. } = event {
            self.0.borrow_mut().push((id, from));
        }
    }
}

impl Damage {
    pub(crate) fn take(&self) -> Vec<Found> {
        self.0.take()
    }
}

/// More packets than any exchange here takes.
const PACKETS_MAX: usize = 10_000;
/// Ticks in which a cluster without faults must come to rest.
const TICKS_MAX: usize = 400;

/// Node `id` of `voters`, with segments of four blocks and a snapshot for every five.
pub(crate) fn options(id: u64, voters: u64) -> Options {
    let mut options = Options::new(
        NodeId(id),
        String::from("test"),
        (1..=voters).map(NodeId).collect(),
    );
    options.segment_bytes = 4 * 4096;
    options.snapshot_log_bytes = 5 * 4096;
    // Some entries: whoever misses more needs a snapshot, when the log was compacted.
    options.tail_bytes_max = 600;
    // One entry a turn, at every other node: they need not agree on it.
    if id.is_multiple_of(2) {
        options.apply_work_max = 1;
    }
    options.incarnation = u128::from(id);
    options.secret = !id;
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

/// Several nodes, of which the first may be cut off, and each may fail.
pub(crate) struct Group {
    /// How many voters it was founded with; the others join.
    founders: u64,
    pub(crate) disks: Vec<SimDisk>,
    /// How each node's disk is used.
    pub(crate) late: Vec<Late>,
    /// What becomes of writes that are begun. Those that wait land as soon as nothing else happens.
    pub(crate) fate: Rc<Cell<Fate>>,
    /// How often a write landed of which something was committed already, by the others.
    pub(crate) committed_ahead: usize,
    pub(crate) nodes: Vec<Option<Node>>,
    pub(crate) packets: VecDeque<Packet>,
    /// What clients and operators were told while everything settled, until somebody takes it.
    pub(crate) told: Outbox,
    pub(crate) alone: bool,
    /// Pieces that arrived, by where they belong.
    pub(crate) pieces: Vec<u64>,
    /// Which piece is lost, counted from the first.
    pub(crate) lost_piece: Option<usize>,
    pub(crate) damage: Damage,
    /// From which piece on all are lost.
    pub(crate) lost_pieces_from: Option<usize>,
    /// Which piece arrives damaged.
    pub(crate) bad_piece: Option<usize>,
}

impl Group {
    /// Three that found it.
    pub(crate) fn new() -> Group {
        Group::of(3, 0)
    }

    /// So many that found it, and so many that wait to be added.
    pub(crate) fn of(founders: u64, joining: usize) -> Group {
        let count = usize::try_from(founders).unwrap() + joining;
        let mut group = Group {
            founders,
            disks: std::iter::repeat_with(SimDisk::new).take(count).collect(),
            late: Vec::new(),
            fate: Rc::new(Cell::new(Fate::Lands)),
            committed_ahead: 0,
            nodes: std::iter::repeat_with(|| None).take(count).collect(),
            packets: VecDeque::new(),
            told: Outbox::default(),
            alone: false,
            pieces: Vec::new(),
            lost_piece: None,
            damage: Damage::default(),
            lost_pieces_from: None,
            bad_piece: None,
        };
        for place in 0..count {
            group
                .late
                .push(Late::of(group.disks[place].clone(), Rc::clone(&group.fate)));
            group.open(place);
        }
        group
    }

    pub(crate) fn open(&mut self, place: usize) {
        self.nodes[place] = self.try_open(place).ok();
    }

    /// The node at `place` as it starts on its disk.
    pub(crate) fn try_open(&self, place: usize) -> Result<Node, OpenError> {
        let id = place as u64 + 1;
        let mut options = options(id, self.founders);
        if id > self.founders {
            options.voters.clear();
        }
        Replica::open(
            self.late[place].on(self.disks[place].clone()),
            &options,
            self.damage.clone(),
        )
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

    fn turn_and_listen(&mut self, place: usize) {
        let out = self.turn(place);
        self.told.replies.extend(out.replies);
        self.told.done.extend(out.done);
    }

    pub(crate) fn settle(&mut self) {
        for place in 0..self.nodes.len() {
            self.turn_and_listen(place);
        }
        for _ in 0..PACKETS_MAX {
            let Some(packet) = self.packets.pop_front() else {
                if self.land() {
                    continue;
                }
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
            self.turn_and_listen(to);
        }
        panic!("the nodes do not come to rest");
    }

    /// Has what is on its way to disks land, and tells whether anything was.
    fn land(&mut self) -> bool {
        let mut landed = false;
        for place in 0..self.nodes.len() {
            let writing = self.nodes[place].as_mut().filter(|node| node.is_writing());
            let Some(node) = writing else {
                continue;
            };
            landed = true;
            let raft = node.core().raft();
            self.committed_ahead += usize::from(raft.commit_index() > raft.storage().last_index());
            let fate = self.fate.replace(Fate::Lands);
            let settled = node.settle();
            self.fate.set(fate);
            match settled {
                Ok(()) => self.turn_and_listen(place),
                Err(_) => self.nodes[place] = None,
            }
        }
        landed
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
            if self.lost_piece == Some(place) || self.lost_pieces_from.is_some_and(|from| place >= from) {
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
    pub(crate) fn with_puts(count: u64, heard: u64) -> Group {
        let mut group = Group::new();
        group.nodes[1].as_mut().unwrap().campaign();
        group.settle();
        for key in 0..count {
            group.alone = key >= heard;
            let leader = group.nodes[1].as_mut().unwrap();
            leader.command(Ticket(key), put(key % 7, &value(key)));
            group.settle();
            group.tick();
        }
        let leader = group.nodes[1].as_ref().unwrap();
        assert_eq!(leader.status().role, RoleKind::Leader);
        assert!(leader.core().raft().storage().first_index() > Index(heard + 2));
        group.alone = false;
        group
    }

    /// The same, and a snapshot with `values` of the largest beside them is on its way to the first node, from its fourth piece on lost, for
    /// `ticks`.
    pub(crate) fn with_snapshot_cut_off(heard: u64, values: u64, ticks: usize) -> Group {
        let mut group = Group::with_puts(40, heard);
        let leader = group.nodes[1].as_mut().unwrap();
        for key in 0..values {
            leader.command(Ticket(100 + key), put(100 + key, &vec![b'v'; 1 << 20]));
        }
        group.alone = true;
        group.settle();
        group.nodes[1].as_mut().unwrap().snapshot(Ticket(200));
        for _ in 0..3 {
            group.tick();
        }
        group.alone = false;
        group.lost_pieces_from = Some(3);
        for _ in 0..ticks {
            group.tick();
        }
        group
    }

    /// Until the first node is as the others.
    pub(crate) fn converge(&mut self, case: &str) {
        for _ in 0..TICKS_MAX {
            self.tick();
            let statuses: Vec<_> = self.nodes.iter().flatten().map(Node::status).collect();
            let equal = |one: &replica::Status| {
                (one.applied_index, one.state_hash) == (statuses[0].applied_index, statuses[0].state_hash)
            };
            if statuses.len() == self.nodes.len() && statuses.iter().all(equal) {
                return;
            }
        }
        let statuses: Vec<_> = self.nodes.iter().flatten().map(Node::status).collect();
        panic!("{case}: the nodes do not become equal: {statuses:#?}");
    }
}
