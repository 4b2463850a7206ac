//! What decodes and can't be meant, told from what is next to it.

use bytes::Bytes;
use wire::DecodeError;
use wire::client::{MemberChange, Request, RequestBody};
use wire::limits::SEQUENCE_MAX;
use wire::peer::{self, Body, Message};
use wire::record::{Command, Configuration, EntryData, Operation, Position, Snapshot, Transaction};

/// What takes two bytes of a frame takes a hundred in memory.
#[test]
fn a_sequence_in_a_request_is_not_read_beyond_what_any_may_have() {
    let transaction = |operations| {
        let get = || Operation::Get { key: Bytes::new() };
        RequestBody::Command {
            once: None,
            command: Command::Transaction(Transaction {
                conditions: Vec::new(),
                then: std::iter::repeat_with(get).take(operations).collect(),
                otherwise: Vec::new(),
            }),
        }
    };
    let changes = |count| RequestBody::Reconfigure {
        changes: vec![MemberChange::Remove { node: 1 }; count],
    };
    for body in [transaction, changes] as [fn(usize) -> RequestBody; 2] {
        for (count, is_read) in [(SEQUENCE_MAX, true), (SEQUENCE_MAX + 1, false)] {
            let request = Request {
                id: 1,
                body: body(count),
            };
            let decoded = wire::decode::<Request>(&wire::encode(&request));
            assert_eq!(decoded, is_read.then_some(request).ok_or(DecodeError::Malformed));
        }
    }
}

#[test]
fn a_term_that_no_election_has_reached_is_refused() {
    let heartbeat = |term| {
        let body = Body::Heartbeat { commit: 0, round: 0 };
        Message { term, body }.into_packet(raft::NodeId(1), raft::NodeId(2))
    };
    assert!(heartbeat(1 << 62).is_ok());
    for term in [(1 << 62) + 1, u64::MAX] {
        assert!(matches!(heartbeat(term), Err(DecodeError::Invalid(_))), "{term}");
    }
}

#[test]
fn an_entry_beyond_its_senders_term_or_before_its_predecessor_is_refused() {
    let append = |terms: [u64; 2]| {
        let entries = terms.map(|term| peer::Entry {
            term,
            data: EntryData::Noop,
        });
        let body = Body::Append {
            prev: Position { term: 3, index: 5 },
            entries: entries.to_vec(),
            commit: 0,
        };
        Message { term: 4, body }.into_packet(raft::NodeId(1), raft::NodeId(2))
    };
    assert!(append([3, 4]).is_ok());
    for terms in [[2, 4], [4, 3], [4, 5]] {
        assert!(matches!(append(terms), Err(DecodeError::Invalid(_))), "{terms:?}");
    }
}

#[test]
fn an_append_whose_indexes_overflow_is_refused() {
    let body = Body::Append {
        prev: Position {
            term: 1,
            index: u64::MAX,
        },
        entries: vec![peer::Entry {
            term: 1,
            data: EntryData::Noop,
        }],
        commit: 0,
    };
    let message = Message { term: 1, body };
    assert!(matches!(
        message.into_packet(raft::NodeId(1), raft::NodeId(2)),
        Err(DecodeError::Invalid(_))
    ));
}

#[test]
fn what_a_configuration_says_of_nobody_is_left_out() {
    let told = |voters: Vec<u64>, contexts: Vec<(u64, Bytes)>| {
        let configuration = Configuration {
            voters,
            outgoing: Vec::new(),
            learners: Vec::new(),
            learners_next: Vec::new(),
            contexts,
        };
        let core = raft::Configuration::try_from(configuration).unwrap();
        Configuration::from(&core).contexts
    };
    let here = Bytes::from_static(b"here");
    assert_eq!(told(vec![0], vec![(1, here.clone())]), []);
    assert_eq!(told(vec![0], vec![(0, Bytes::new()), (1, Bytes::new())]), []);
    assert_eq!(
        told(vec![1], vec![(0, here.clone()), (1, here.clone())]),
        [(1, here)]
    );
}

#[test]
fn a_configuration_that_contradicts_itself_or_has_no_end_is_refused() {
    let accepted = |voters: Vec<u64>, outgoing: Vec<u64>, learners: Vec<u64>, learners_next: Vec<u64>| {
        let configuration = Configuration {
            voters,
            outgoing,
            learners,
            learners_next,
            contexts: Vec::new(),
        };
        raft::Configuration::try_from(configuration).is_ok()
    };
    assert!(accepted(vec![1, 2], vec![2, 3], vec![4], vec![3]));
    assert!(accepted(vec![], vec![], vec![], vec![]));
    assert!(!accepted(vec![2, 1], vec![], vec![], vec![]), "out of order");
    assert!(!accepted(vec![1, 1], vec![], vec![], vec![]), "twice");
    assert!(
        !accepted(vec![1, 2], vec![], vec![2], vec![]),
        "a voter and a learner"
    );
    assert!(
        !accepted(vec![1, 2], vec![1, 2], vec![], vec![2]),
        "one who stays is to become a learner"
    );
    assert!(
        !accepted(vec![], vec![1], vec![], vec![]),
        "nobody votes on the new side"
    );
    assert!(!accepted(vec![], vec![], vec![1], vec![]), "nobody votes");
    assert!(!accepted((0..129).collect(), vec![], vec![], vec![]), "too many");
}

#[test]
fn a_snapshot_of_a_term_to_come_or_at_the_end_of_all_indexes_is_refused() {
    let accepted = |term, index| {
        let body = Body::Snapshot {
            snapshot: Snapshot {
                last: Position { term, index },
                configuration: Configuration::default(),
            },
        };
        let message = Message { term: 4, body };
        message.into_packet(raft::NodeId(1), raft::NodeId(2)).is_ok()
    };
    assert!(accepted(4, 7));
    assert!(!accepted(5, 7));
    assert!(!accepted(4, u64::MAX));
}
