//! Reports that come late, early or again: what is durable, and what is applied.

use crate::paper::{accepted, in_role};
use crate::properties::quietly;
use crate::server::Server;
use raft::{Envelope, Index, LogPosition, Message, NodeId, RoleKind, SnapshotMeta, Term};
use std::sync::Arc;

const TERM: u64 = 2;

/// A leader of term 2 whose first entry, and as many commands, are committed and durable; none of it is applied.
fn leader_with(commands: u8) -> Server<u8> {
    let mut server = in_role(RoleKind::Leader, 3, TERM, 0);
    for command in 0..commands {
        server.raft.propose(command).expect("it leads");
    }
    server.settle_without_applying();
    acknowledge(&mut server, u64::from(commands) + 1);
    server
}

fn acknowledge(server: &mut Server<u8>, matched: u64) {
    server.raft.step(Envelope {
        from: NodeId(2),
        to: NodeId(1),
        term: Term(TERM),
        message: accepted(matched),
    });
}

#[test]
fn entries_are_handed_out_once_however_late_they_are_applied() {
    let mut server = leader_with(3);
    let handed_out = server.settle_without_applying();
    let indexes: Vec<u64> = handed_out.iter().map(|entry| entry.index.0).collect();
    assert_eq!(indexes, [1, 2, 3, 4]);
    assert_eq!(server.raft.applied_index(), Index(0));
    assert_eq!(server.settle_without_applying(), []);

    // What comes behind is handed out meanwhile; and reports may come in any pieces.
    server.raft.propose(9).unwrap();
    server.settle_without_applying();
    acknowledge(&mut server, 5);
    assert_eq!(server.settle_without_applying().len(), 1);
    for applied in [2, 2, 5] {
        server.raft.applied(Index(applied));
        assert_eq!(server.raft.applied_index(), Index(applied));
    }
}

#[test]
fn what_is_handed_back_is_handed_out_again_from_where_it_was_applied() {
    let mut server = leader_with(3);
    let indexes = |server: &mut Server<u8>| -> Vec<u64> {
        let handed_out = server.settle_without_applying();
        handed_out.iter().map(|entry| entry.index.0).collect()
    };
    assert_eq!(indexes(&mut server), [1, 2, 3, 4]);
    server.raft.hand_back();
    assert_eq!(indexes(&mut server), [1, 2, 3, 4]);
    server.raft.applied(Index(2));
    server.raft.hand_back();
    assert!(server.raft.has_ready());
    let panic = quietly(|| server.clone().raft.applied(Index(3))).unwrap_err();
    assert!(panic.contains("was reported applied"), "{panic}");
    server.raft.propose(9).unwrap();
    acknowledge(&mut server, 4);
    assert_eq!(indexes(&mut server), [3, 4]);
    acknowledge(&mut server, 5);
    assert_eq!(indexes(&mut server), [5]);
    server.raft.applied(Index(5));
    server.raft.hand_back();
    assert_eq!(indexes(&mut server), [0; 0]);
}

#[test]
fn what_a_snapshot_stands_for_is_not_handed_out_again() {
    // A follower that knows entries 1 to 3 to be committed and has applied one of them.
    let mut server = in_role(RoleKind::Follower, 3, TERM, 3);
    let order = |message| Envelope {
        from: NodeId(2),
        to: NodeId(1),
        term: Term(TERM),
        message,
    };
    server.raft.step(order(Message::Heartbeat {
        commit: Index(3),
        round: 0,
    }));
    assert_eq!(server.settle_without_applying().len(), 3);
    server.raft.applied(Index(1));
    let snapshot = Arc::new(SnapshotMeta {
        last: LogPosition {
            term: Term(TERM),
            index: Index(9),
        },
        configuration: Arc::new(server.raft.configuration().clone()),
    });
    server.raft.step(order(Message::Snapshot { snapshot }));
    server.raft.hand_back();
    let write = server.ready().write.expect("the snapshot is to be written");
    server.raft.hand_back();
    server.raft.storage_mut().apply(&write);
    server.raft.persisted(write.id);
    // Its state is not in place yet.
    server.raft.hand_back();
    assert_eq!(server.ready().committed, []);
    server.raft.applied(Index(9));
    server.raft.hand_back();
    assert_eq!(server.ready().committed, []);
}

#[test]
fn a_report_that_goes_back_or_beyond_what_was_handed_out_panics() {
    let mut server = leader_with(3);
    server.settle_without_applying();
    server.raft.applied(Index(3));
    for wrong in [2, 5, u64::MAX] {
        let mut server = server.clone();
        let panic = quietly(|| server.raft.applied(Index(wrong))).unwrap_err();
        assert!(panic.contains("was reported applied"), "{panic}");
    }
}

#[test]
fn a_write_that_is_reported_again_or_was_never_handed_out_changes_nothing() {
    let mut server = in_role(RoleKind::Leader, 3, TERM, 0);
    let mut ids = Vec::new();
    for command in 0..3 {
        server.raft.propose(command).expect("it leads");
        let write = server.ready().write.expect("a command is written");
        server.raft.storage_mut().apply(&write);
        ids.push(write.id);
    }
    // The last one stands for all before it.
    server.raft.persisted(ids[2]);
    assert_eq!(server.raft.stable_index(), Index(4));
    let before = server.raft.clone();
    for id in ids.into_iter().chain([raft::WriteId(0), raft::WriteId(u64::MAX)]) {
        server.raft.persisted(id);
        assert_eq!(server.raft, before, "{id:?}");
    }
}
