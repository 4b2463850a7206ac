//! One of three nodes, which votes, follows, and is sent a snapshot. Server 2 leads term 1, and server 3 term 2.

use super::super::reach::Reach;
use super::super::search::Notes;
use super::super::worlds::World;
use super::{Node, SEGMENT_BYTES, Scene, seeded, turn};
use crate::disk::{Image, SimDisk};
use bytes::Bytes;
use raft::{Config, Entry, EntryData, Envelope, Index, LogPosition, Message, NodeId, Silent, Term};
use replica::{Options, Outbox, Replica, Ticket};
use std::fmt;
use wire::peer::{Packet, Parcel};

const SELF: u64 = 1;
/// The leader of term 2.
const LATER_LEADER: u64 = 3;

/// The terms of the entries of the leaders of terms 1 and 2.
type Logs = [&'static [u64]; 2];

/// They part at index 2.
const PARTED: Logs = [&[1, 1], &[1, 2]];
/// The older one is longer.
const OLDER_IS_LONGER: Logs = [&[1, 1, 1], &[1, 2]];

/// What may come to the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// A candidate asks for a vote.
    Vote { from: u64, term: u64 },
    /// The leader of the term sends its log from behind the first `keep` entries.
    Append { term: u64, keep: usize },
    /// The leader of term 2 sends a snapshot of its log.
    Snapshot,
    /// The node stands for election.
    Campaign,
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Offer::Vote { from, term } => write!(f, "n{from} asks for a vote in term {term}"),
            Offer::Append { term, keep } => {
                write!(f, "the leader of term {term} sends its log from {}", keep + 1)
            }
            Offer::Snapshot => write!(f, "the leader of term 2 sends a snapshot of its log"),
            Offer::Campaign => write!(f, "stand for election"),
        }
    }
}

const VOTES_AND_APPENDS: &[Offer] = &[
    Offer::Vote { from: 2, term: 1 },
    Offer::Vote { from: 3, term: 1 },
    Offer::Vote { from: 3, term: 2 },
    Offer::Append { term: 1, keep: 0 },
    Offer::Append { term: 2, keep: 0 },
    Offer::Append { term: 2, keep: 1 },
    Offer::Campaign,
];

const SNAPSHOT_OVER_A_LOG: &[Offer] = &[
    Offer::Append { term: 1, keep: 0 },
    Offer::Snapshot,
    Offer::Append { term: 2, keep: 2 },
    Offer::Campaign,
];

/// What the node told others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Told {
    /// The highest term of a vote or an acknowledgement. (What promises nothing needs no term on disk.)
    term: u64,
    /// Votes, its own candidacies included, by term.
    votes: Vec<(u64, u64)>,
    /// The last acknowledgement: the leader's term, and up to where.
    acknowledged: Option<(u64, u64)>,
}

pub(super) struct Follower {
    options: Options,
    logs: Logs,
    menu: &'static [Offer],
    /// What the leader of term 2 sends, to offer a snapshot and when that is wanted; no more than one piece.
    snapshot: Vec<Packet>,
}

impl Follower {
    /// Two leaders send logs that part, and candidates ask for votes.
    pub(super) fn of_two_leaders(world: &World) -> Follower {
        Follower {
            options: seeded(options(SELF), world),
            logs: PARTED,
            menu: VOTES_AND_APPENDS,
            snapshot: Vec::new(),
        }
    }

    /// A snapshot takes the place of a log that is longer, and another.
    pub(super) fn with_a_snapshot(world: &World) -> Follower {
        Follower {
            options: seeded(options(SELF), world),
            logs: OLDER_IS_LONGER,
            menu: SNAPSHOT_OVER_A_LOG,
            snapshot: snapshot(),
        }
    }

    /// The terms of the entries of the leader of a term.
    fn log_of_leader(&self, term: u64) -> &'static [u64] {
        match term {
            1 => self.logs[0],
            2 => self.logs[1],
            _ => panic!("nobody leads term {term} here"),
        }
    }

    fn append(&self, term: u64, keep: usize) -> Envelope<Bytes> {
        let terms = self.log_of_leader(term);
        let position = |place: usize| LogPosition {
            term: place.checked_sub(1).map_or(Term(0), |before| Term(terms[before])),
            index: Index(0).plus(place),
        };
        let message = Message::Append {
            prev: position(keep),
            entries: noops(terms).skip(keep).collect(),
            commit: Index(0),
        };
        envelope(term + 1, SELF, term, message)
    }

    /// What comes, a packet after the other; `None`: the node stands.
    fn packets(&self, offer: Offer) -> Option<Vec<Packet>> {
        match offer {
            Offer::Vote { from, term } => {
                // The candidate of term 2 has what the leader of term 1 sent first.
                let index = term - 1;
                let last = LogPosition {
                    term: Term(index.min(1)),
                    index: Index(index),
                };
                let by_transfer = false;
                let vote = envelope(from, SELF, term, Message::Vote { last, by_transfer });
                Some(vec![vote.into()])
            }
            Offer::Append { term, keep } => Some(vec![self.append(term, keep).into()]),
            Offer::Snapshot => Some(self.snapshot.clone()),
            Offer::Campaign => None,
        }
    }

    /// Whether a node's log has the first `count` entries of the leader of a term.
    fn has(&self, node: &Node, leader: u64, count: usize) -> bool {
        let raft = node.core().raft();
        let terms = self.log_of_leader(leader)[..count].iter();
        // What a snapshot covers can be compared at its end only.
        let mut behind_snapshot = (1..)
            .zip(terms)
            .skip_while(|(index, _)| Index(*index).next() < raft.first_index());
        behind_snapshot.all(|(index, term)| raft.log_term(Index(index)) == Some(Term(*term)))
    }
}

/// Notes what leaves the node. Two votes in a term are none.
fn hear(out: &mut Outbox, told: &mut Told, notes: &Notes) -> Result<(), String> {
    for packet in out.messages.drain(..) {
        let Packet::Message(envelope) = packet else {
            continue;
        };
        let vote = match envelope.message {
            Message::VoteResponse { granted: true } => Some(envelope.to),
            Message::Vote { .. } => Some(envelope.from),
            Message::AppendAccepted { matched } => {
                told.term = told.term.max(envelope.term.0);
                told.acknowledged = told.acknowledged.max(Some((envelope.term.0, matched.0)));
                notes.meet(Reach::AppendTold);
                None
            }
            Message::VoteResponse { granted: false }
            | Message::PreVote { .. }
            | Message::PreVoteResponse { .. }
            | Message::Append { .. }
            | Message::AppendRejected { .. }
            | Message::Heartbeat { .. }
            | Message::HeartbeatResponse { .. }
            | Message::Snapshot { .. }
            | Message::TimeoutNow
            | Message::ReadIndex { .. }
            | Message::ReadIndexResponse { .. } => None,
        };
        let Some(vote) = vote else { continue };
        notes.meet(Reach::VoteTold);
        told.term = told.term.max(envelope.term.0);
        let vote = (envelope.term.0, vote.0);
        match told.votes.iter().find(|(term, _)| *term == vote.0) {
            Some(before) if *before != vote => {
                return Err(format!(
                    "election safety: n1 votes for n{} and for n{} in term {}",
                    before.1, vote.1, vote.0
                ));
            }
            Some(_) => {}
            None => told.votes.push(vote),
        }
    }
    Ok(())
}

impl Scene for Follower {
    type Event = Offer;
    type Told = Told;

    fn options(&self) -> &Options {
        &self.options
    }

    fn beginning(&self) -> (Image, Told) {
        (SimDisk::new().image(), Told::default())
    }

    fn menu(&self) -> &[Offer] {
        self.menu
    }

    fn let_come(&self, node: &mut Node, offer: Offer, told: &mut Told, notes: &Notes) -> Result<(), String> {
        let Some(packets) = self.packets(offer) else {
            node.campaign();
            return turn(node, |out| hear(out, told, notes)).map(drop);
        };
        for packet in packets {
            node.step(packet);
            if !turn(node, |out| hear(out, told, notes))? {
                break;
            }
        }
        Ok(())
    }

    fn remembers(&self, node: Node, told: &Told) -> Result<(), String> {
        let raft = node.core().raft();
        let term = raft.term().0;
        if term < told.term {
            return Err(format!(
                "durability: n1 told term {}, and starts in term {term}",
                told.term
            ));
        }
        if let Some((_, vote)) = told.votes.iter().find(|(of, _)| *of == term)
            && raft.vote() != Some(NodeId(*vote))
        {
            return Err(format!(
                "durability: n1 told its vote for n{vote} in term {term}, and forgot it"
            ));
        }
        if let Some((leader, matched)) = told.acknowledged {
            let matched = usize::try_from(matched).expect("it is small");
            // The leader of a later term may have replaced what differs from its log: from index 2 on.
            let replaced = leader == 1 && term >= 2 && self.has(&node, 2, 2);
            if !self.has(&node, leader, matched) && !replaced {
                return Err(format!(
                    "durability: n1 acknowledged {matched} entries to the leader of term {leader}, and starts with a log up to {}",
                    raft.last()
                ));
            }
        }
        let last = raft.last();
        let length = usize::try_from(last.index.0).expect("it is small");
        let is_a_leaders = last.term == Term(0)
            || (length <= self.log_of_leader(last.term.0).len() && self.has(&node, last.term.0, length));
        if is_a_leaders {
            Ok(())
        } else {
            Err(format!(
                "log matching: n1 starts with a log from {} up to {last}, which is not that of the leader of term {}",
                raft.first_index(),
                last.term
            ))
        }
    }
}

/// The settings of a node of three: its segments change all the time, and it stands whenever it is asked to.
fn options(id: u64) -> Options {
    let id = NodeId(id);
    let mut options = Options::new(id, String::from("model"), (1..=3).map(NodeId).collect());
    options.incarnation = u128::from(id.0);
    options.segment_bytes = SEGMENT_BYTES;
    options.raft = Config {
        pre_vote: false,
        check_quorum: false,
        ..Config::new(id)
    };
    options
}

fn envelope(from: u64, to: u64, term: u64, message: Message<Bytes>) -> Envelope<Bytes> {
    Envelope {
        from: NodeId(from),
        to: NodeId(to),
        term: Term(term),
        message,
    }
}

/// Entries of these terms.
fn noops(terms: &[u64]) -> impl Iterator<Item = Entry<Bytes>> {
    (1..).zip(terms).map(|(index, term)| Entry {
        term: Term(*term),
        index: Index(index),
        data: EntryData::Noop,
    })
}

/// What the leader of term 2 sends to carry a snapshot of its log over: made by a node that leads, and has no bugs.
fn snapshot() -> Vec<Packet> {
    // Entries that are in memory stay beside a snapshot, and would be sent in its place.
    let forgetful = Options {
        tail_bytes_max: 0,
        ..options(LATER_LEADER)
    };
    let mut leader =
        Replica::open(SimDisk::new(), &forgetful, Silent).expect("a node starts on an empty disk");
    let mut sent = Vec::new();
    let mut settle = |leader: &mut Node| {
        let hear = |out: &mut Outbox| {
            sent.append(&mut out.messages);
            Ok(())
        };
        turn(leader, hear).expect("it comes to rest");
    };
    let first = Message::Append {
        prev: LogPosition::default(),
        entries: noops(&[1]).collect(),
        commit: Index(0),
    };
    leader.step(envelope(2, LATER_LEADER, 1, first));
    settle(&mut leader);
    leader.campaign();
    settle(&mut leader);
    let answers = [
        Message::VoteResponse { granted: true },
        Message::AppendAccepted { matched: Index(2) },
    ];
    for answer in answers {
        leader.step(envelope(2, LATER_LEADER, 2, answer));
        settle(&mut leader);
    }
    leader.snapshot(Ticket(1));
    settle(&mut leader);
    let lacks_everything = Message::AppendRejected {
        probed: Index(1),
        hint: LogPosition::default(),
    };
    leader.step(envelope(SELF, LATER_LEADER, 2, lacks_everything));
    settle(&mut leader);
    let last = LogPosition {
        term: Term(2),
        index: Index(2),
    };
    leader.step(Packet::Parcel {
        from: NodeId(SELF),
        to: NodeId(LATER_LEADER),
        parcel: Parcel::Wanted {
            last: last.into(),
            offset: 0,
        },
    });
    settle(&mut leader);
    let of_snapshot = |packet: &Packet| match packet {
        Packet::Message(envelope) => matches!(envelope.message, Message::Snapshot { .. }),
        Packet::Parcel { .. } => true,
    };
    sent.retain(of_snapshot);
    assert_eq!(sent.len(), 2, "an offer and one piece: {sent:?}");
    sent
}
