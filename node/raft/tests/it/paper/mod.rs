//! One test for each claim of the paper, by its section. They look at one server at a time: what it is, what it is told, what it
//! says then.

mod election;
mod reads;
mod replication;
mod safety;
mod terms;

use crate::server::{Server, Settled};
use raft::{
    Config, Entry, EntryData, Envelope, HardState, Index, LogPosition, MemoryStorage, Message, NodeId,
    RoleKind, Term, Write, WriteId,
};

/// The server that is looked at.
const OWN: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);
const THIRD: NodeId = NodeId(3);

fn at(index: u64, term: u64) -> LogPosition {
    LogPosition {
        term: Term(term),
        index: Index(index),
    }
}

/// Entries from `first` on with these terms; their command names their position.
fn entries(first: u64, terms: &[u64]) -> Vec<Entry<u8>> {
    let entry = |(index, term): (u64, &u64)| Entry {
        term: Term(*term),
        index: Index(index),
        data: EntryData::Command((index * 16 + term) as u8),
    };
    (first..).zip(terms).map(entry).collect()
}

/// Server 1 of `voters`, started with this term and a log with these terms.
fn given_with(config: Config, voters: u64, term: u64, log: &[u64]) -> Server<u8> {
    let mut storage = MemoryStorage::new((1..=voters).map(NodeId));
    storage.apply(&Write {
        id: WriteId(0),
        hard_state: HardState {
            term: Term(term),
            ..HardState::default()
        },
        snapshot: None,
        entries: entries(1, log),
    });
    Server::start(config, storage)
}

fn given(voters: u64, term: u64, log: &[u64]) -> Server<u8> {
    given_with(Config::new(OWN), voters, term, log)
}

/// Server 1 in this role and term, with a log of that many entries of the term before, and at rest. A leader's own first entry is
/// behind them.
pub(crate) fn in_role(role: RoleKind, voters: u64, term: u64, entries_before: usize) -> Server<u8> {
    let log = vec![term - 1; entries_before];
    let mut server = match role {
        RoleKind::Follower | RoleKind::PreCandidate => given(voters, term, &log),
        RoleKind::Candidate | RoleKind::Leader => given(voters, term - 1, &log),
    };
    match role {
        RoleKind::Follower => {}
        RoleKind::PreCandidate => server.raft.election_timeout(),
        RoleKind::Candidate => server.raft.campaign(),
        RoleKind::Leader => {
            server.raft.campaign();
            server.settle();
            for voter in (2..=voters).map(NodeId) {
                tell(&mut server, voter, term, Message::VoteResponse { granted: true });
            }
        }
    }
    server.settle();
    assert_eq!((server.raft.role(), server.raft.term()), (role, Term(term)));
    server
}

pub(crate) const ROLES: [RoleKind; 4] = [
    RoleKind::Follower,
    RoleKind::PreCandidate,
    RoleKind::Candidate,
    RoleKind::Leader,
];

/// Gives the server a message and returns all that it says and does then.
fn tell(server: &mut Server<u8>, from: NodeId, term: u64, message: Message<u8>) -> Settled<u8> {
    server.raft.step(Envelope {
        from,
        to: OWN,
        term: Term(term),
        message,
    });
    server.settle()
}

/// The one message that the server says to `to`.
fn said_to(settled: &Settled<u8>, to: NodeId) -> (Term, Message<u8>) {
    let mut said = settled.messages.iter().filter(|envelope| envelope.to == to);
    let first = said
        .next()
        .unwrap_or_else(|| panic!("nothing is said to {to}: {settled:?}"));
    assert_eq!(said.next(), None, "more than one message to {to}");
    (first.term, first.message.clone())
}

/// The terms of the server's durable log.
fn log_terms(server: &Server<u8>) -> Vec<u64> {
    server
        .raft
        .storage()
        .log()
        .iter()
        .map(|entry| entry.term.0)
        .collect()
}

fn append(prev: LogPosition, entries: Vec<Entry<u8>>, commit: u64) -> Message<u8> {
    Message::Append {
        prev,
        entries,
        commit: Index(commit),
    }
}

fn accepted(matched: u64) -> Message<u8> {
    Message::AppendAccepted {
        matched: Index(matched),
    }
}
