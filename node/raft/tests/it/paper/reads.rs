//! Dissertation §6.4: linearizable reads without log entries.

use super::*;
use raft::{ReadOutcome, ReadToken};

const FIRST: ReadToken = ReadToken(1);
const SECOND: ReadToken = ReadToken(2);

/// A leader of term 2, among five, whose first entry is committed.
fn leader() -> Server<u8> {
    let mut server = in_role(RoleKind::Leader, 5, 2, 0);
    tell(&mut server, OTHER, 2, accepted(1));
    tell(&mut server, THIRD, 2, accepted(1));
    assert_eq!(server.raft.commit_index(), Index(1));
    server
}

fn answer(round: u64) -> Message<u8> {
    Message::HeartbeatResponse { round }
}

/// Dissertation §6.4, steps 2 and 3: the read index is the commit index of the moment, and the read may be answered when a majority
/// has acknowledged heartbeats that were sent after it.
#[test]
fn a_read_is_confirmed_by_a_majority() {
    let mut server = leader();
    server.raft.read_index(FIRST).unwrap();
    let asked = server.settle();
    assert_eq!(asked.reads, []);
    let round = Message::Heartbeat {
        commit: Index(1),
        round: 1,
    };
    assert_eq!(said_to(&asked, OTHER), (Term(2), round));

    // One of five, twice, is not a majority with the leader.
    assert_eq!(tell(&mut server, OTHER, 2, answer(1)).reads, []);
    assert_eq!(tell(&mut server, OTHER, 2, answer(1)).reads, []);
    let confirmed = ReadOutcome::Confirmed {
        token: FIRST,
        index: Index(1),
    };
    assert_eq!(tell(&mut server, THIRD, 2, answer(1)).reads, [confirmed]);
    // And once.
    assert_eq!(tell(&mut server, NodeId(4), 2, answer(1)).reads, []);
}

/// Dissertation §6.4: an acknowledgement of an earlier round says nothing of a read that came after it.
#[test]
fn an_older_round_confirms_nothing_newer() {
    let mut server = leader();
    server.raft.read_index(FIRST).unwrap();
    server.settle();
    tell(&mut server, OTHER, 2, answer(1));
    server.raft.read_index(SECOND).unwrap();
    server.settle();
    // The first is confirmed; the second's round begins only now.
    let settled = tell(&mut server, THIRD, 2, answer(1));
    assert_eq!(settled.reads.len(), 1);
    for from in (2..=5).map(NodeId) {
        assert_eq!(tell(&mut server, from, 2, answer(1)).reads, [], "from {from}");
    }
    tell(&mut server, OTHER, 2, answer(2));
    let confirmed = ReadOutcome::Confirmed {
        token: SECOND,
        index: Index(1),
    };
    assert_eq!(tell(&mut server, THIRD, 2, answer(2)).reads, [confirmed]);
}

/// Dissertation §6.4, step 1: a leader that has not committed an entry of its term does not know what is committed.
#[test]
fn a_read_waits_for_the_terms_first_commit() {
    let mut server = in_role(RoleKind::Leader, 3, 3, 2);
    server.raft.read_index(FIRST).unwrap();
    server.settle();
    for round in 0..3 {
        assert_eq!(tell(&mut server, OTHER, 3, answer(round)).reads, []);
        assert_eq!(tell(&mut server, THIRD, 3, answer(round)).reads, []);
    }
    // An entry of an older term is no help.
    tell(&mut server, OTHER, 3, accepted(2));
    assert_eq!(tell(&mut server, OTHER, 3, answer(1)).reads, []);

    tell(&mut server, OTHER, 3, accepted(3));
    let confirmed = ReadOutcome::Confirmed {
        token: FIRST,
        index: Index(3),
    };
    assert_eq!(tell(&mut server, OTHER, 3, answer(1)).reads, [confirmed]);
}

/// Dissertation §6.4: a leader that was deposed must not answer.
#[test]
fn reads_end_with_the_leadership() {
    let mut server = leader();
    server.raft.read_index(FIRST).unwrap();
    server.settle();
    server.raft.read_index(SECOND).unwrap();
    let settled = tell(&mut server, OTHER, 3, answer(1));
    let aborted = [FIRST, SECOND].map(|token| ReadOutcome::Aborted { token });
    assert_eq!(settled.reads, aborted);
    let refused = raft::ReadIndexError::NotLeader { leader: None };
    assert_eq!(server.raft.read_index(FIRST), Err(refused));
}
