//! What bytes from a socket, and unusual settings, may and may not do.

use crate::paper::{ROLES, in_role};
use crate::properties::quietly;
use crate::server::Server;
use raft::{
    Config, ConfigError, Entry, EntryData, Envelope, HardState, Index, Life, LogPosition, MemoryStorage,
    Message, NodeId, Raft, ReadRequest, ReadToken, RoleKind, Term, Write, WriteId,
};

const OWN: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);
/// The receiver's term.
const TERM: u64 = 5;

/// Numbers at the edges of what a message's fields can hold, and of what the receiver has.
const NUMBERS: [u64; 9] = [0, 1, 2, 3, 4, 5, 6, u64::MAX - 1, u64::MAX];

/// What a panic may say: that a promise was broken, by the sender or by a disk. Nothing a server that keeps to the protocol says.
const BROKEN_PROMISES: [&str; 4] = [
    // A leader without a committed entry.
    "is committed here with another term",
    // An acknowledgement of entries that the leader never had.
    "and the log of its leader ends at",
    // A commit index beyond what was acknowledged.
    "an acknowledged entry was lost",
    // Another leader in the leader's own term.
    "both lead term",
];

/// Every message with every edge in every field.
fn messages() -> Vec<Message<u8>> {
    let positions = || {
        NUMBERS.iter().flat_map(|term| {
            NUMBERS.iter().map(|index| LogPosition {
                term: Term(*term),
                index: Index(*index),
            })
        })
    };
    let mut messages = Vec::new();
    for number in NUMBERS {
        for granted in [false, true] {
            messages.push(Message::PreVoteResponse {
                next_term: Term(number),
                granted,
            });
            messages.push(Message::VoteResponse { granted });
        }
        messages.push(Message::AppendAccepted {
            matched: Index(number),
        });
        messages.push(Message::HeartbeatResponse { round: number });
        for life in [1, number] {
            let request = ReadRequest {
                life: Life(life),
                number,
            };
            messages.push(Message::ReadIndex { request });
            let index = Index(number);
            messages.push(Message::ReadIndexResponse { request, index });
        }
        messages.push(Message::Heartbeat {
            commit: Index(number),
            round: number,
        });
    }
    for position in positions() {
        messages.push(Message::Vote {
            last: position,
            by_transfer: false,
        });
        for number in NUMBERS {
            messages.push(Message::PreVote {
                next_term: Term(number),
                last: position,
            });
            messages.push(Message::AppendRejected {
                probed: Index(number),
                hint: position,
            });
            messages.extend(appends(position, Index(number)));
        }
    }
    messages
}

/// Appends behind `prev` as the wire lets them through: indexes without a gap, terms that go neither back nor beyond the sender's.
fn appends(prev: LogPosition, commit: Index) -> impl Iterator<Item = Message<u8>> {
    let with = move |count: u64| {
        let entries = (1..=count).map(|place| Entry {
            term: prev.term,
            index: Index(prev.index.0 + place),
            data: EntryData::Noop,
        });
        Message::Append {
            prev,
            entries: entries.collect(),
            commit,
        }
    };
    (0..3)
        .filter(move |count| prev.index.0.checked_add(count + 1).is_some())
        .map(with)
}

/// The receiver shrugs every message off, or says which promise was broken; and can go on with whatever is left in its log.
#[test]
fn no_message_panics_unless_it_breaks_a_promise() {
    let mut broken = [0_usize; BROKEN_PROMISES.len()];
    let mut with_commits = in_role(RoleKind::Follower, 3, TERM, 3);
    with_commits.raft.step(Envelope {
        from: OTHER,
        to: OWN,
        term: Term(TERM),
        message: Message::Heartbeat {
            commit: Index(2),
            round: 0,
        },
    });
    with_commits.settle();
    let mut with_reads = with_commits.clone();
    with_reads.raft = raft::Raft::new(
        Config {
            life: Some(Life(1)),
            ..Config::new(OWN)
        },
        with_commits.raft.storage().clone(),
    )
    .unwrap();
    with_reads.raft.step(Envelope {
        from: OTHER,
        to: OWN,
        term: Term(TERM),
        message: Message::Heartbeat {
            commit: Index(2),
            round: 0,
        },
    });
    with_reads.raft.read_index(ReadToken(1)).unwrap();
    with_reads.settle();
    let mut with_a_commit = in_role(RoleKind::Leader, 3, TERM, 3);
    for from in [OTHER, NodeId(3)] {
        with_a_commit.raft.step(Envelope {
            from,
            to: OWN,
            term: Term(TERM),
            message: Message::AppendAccepted { matched: Index(4) },
        });
    }
    with_a_commit.settle();
    let receivers = ROLES.map(|role| in_role(role, 3, TERM, 3));
    let more = [with_commits, with_reads, with_a_commit];
    for receiver in receivers.into_iter().chain(more) {
        let role = receiver.raft.role();
        for message in messages() {
            for term in [0, TERM - 1, TERM, TERM + 1, 1 << 40] {
                let of_the_future = |entry: &Entry<u8>| entry.term > Term(term) || entry.term > Term(1 << 40);
                if let Message::Append { entries, .. } = &message
                    && entries.iter().any(of_the_future)
                {
                    continue;
                }
                let mut receiver = receiver.clone();
                let said = format!("{role}, in term {term}: {message:?}");
                let result = quietly(|| {
                    receiver.raft.step(Envelope {
                        from: OTHER,
                        to: OWN,
                        term: Term(term),
                        message: message.clone(),
                    });
                    receiver.settle();
                    receiver.raft.heartbeat_timeout();
                    receiver.raft.leader_silent();
                    receiver.raft.quorum_check();
                    receiver.raft.election_timeout();
                    receiver.settle();
                    Server::start(Config::new(OWN), receiver.crash(0));
                });
                if let Err(panic) = result {
                    let promise = BROKEN_PROMISES.iter().position(|promise| panic.contains(promise));
                    let promise = promise.unwrap_or_else(|| panic!("{said}: {panic}"));
                    broken[promise] += 1;
                }
            }
        }
    }
    assert!(broken.iter().all(|times| *times > 0), "{broken:?}");
}

/// Raft §5.2: two leaders in one term are a broken promise, and stopping is all that is left.
#[test]
#[should_panic(expected = "two leaders in term 5")]
fn two_leaders_in_a_term_stop_a_follower() {
    let mut follower = in_role(RoleKind::Follower, 3, TERM, 0);
    for from in [OTHER, NodeId(3)] {
        follower.raft.step(Envelope {
            from,
            to: OWN,
            term: Term(TERM),
            message: Message::Heartbeat {
                commit: Index(0),
                round: 0,
            },
        });
    }
}

#[test]
fn limits_of_zero_are_refused() {
    type Change = fn(&mut Config);
    let zero: [(&str, Change); 6] = [
        ("append_entries_max", |config| config.append_entries_max = 0),
        ("append_bytes_max", |config| config.append_bytes_max = 0),
        ("in_flight_messages_max", |config| {
            config.in_flight_messages_max = 0;
        }),
        ("in_flight_bytes_max", |config| config.in_flight_bytes_max = 0),
        ("uncommitted_bytes_max", |config| config.uncommitted_bytes_max = 0),
        ("apply_bytes_max", |config| config.apply_bytes_max = 0),
    ];
    for (name, change) in zero {
        let mut config = Config::new(OWN);
        change(&mut config);
        let storage = MemoryStorage::<u8>::new([OWN]);
        assert_eq!(
            Raft::new(config, storage).err(),
            Some(ConfigError::ZeroLimit(name))
        );
    }
}

/// Limits so large that they are none, and so small that every entry exceeds them, serve all the same.
#[test]
fn extreme_limits_serve() {
    for limit in [1, usize::MAX] {
        let config = |id| Config {
            append_entries_max: limit,
            append_bytes_max: limit,
            in_flight_messages_max: limit,
            in_flight_bytes_max: limit,
            uncommitted_bytes_max: limit,
            apply_bytes_max: limit,
            ..Config::new(id)
        };
        let start = |id| Server::<u8>::start(config(id), MemoryStorage::new([OWN, OTHER]));
        let (mut one, mut other) = (start(OWN), start(OTHER));
        one.raft.campaign();
        for command in 0..3 {
            let mut exchanged = 0;
            loop {
                let mut messages = one.settle().messages;
                messages.extend(other.settle().messages);
                if messages.is_empty() {
                    break;
                }
                exchanged += messages.len();
                assert!(exchanged < 100, "the two do not come to rest");
                for envelope in messages {
                    let receiver = if envelope.to == OWN { &mut one } else { &mut other };
                    receiver.raft.step(envelope);
                }
            }
            assert_eq!(one.raft.commit_index(), Index(command + 1), "limit {limit}");
            one.raft.propose(7).unwrap();
        }
    }
}

#[test]
#[should_panic(expected = "beyond its server's term")]
fn a_log_beyond_its_servers_term_is_not_started_with() {
    let mut storage = MemoryStorage::<u8>::new([OWN]);
    storage.apply(&Write {
        id: WriteId(0),
        hard_state: HardState {
            term: Term(1),
            ..HardState::default()
        },
        snapshot: None,
        entries: vec![Entry {
            term: Term(2),
            index: Index(1),
            data: EntryData::Noop,
        }],
    });
    Server::start(Config::new(OWN), storage);
}

/// Raft §6: who is no voter never stands, whoever asks it to.
#[test]
fn a_server_that_is_no_voter_never_stands() {
    for voters in [vec![OTHER], vec![OTHER, NodeId(3)]] {
        let mut server = Server::<u8>::start(Config::new(OWN), MemoryStorage::new(voters));
        server.raft.election_timeout();
        server.raft.campaign();
        assert_eq!(server.settle().messages, []);
        assert_eq!(
            (server.raft.role(), server.raft.term()),
            (RoleKind::Follower, Term(0))
        );
    }
}
