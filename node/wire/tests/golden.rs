//! The bytes of every type that travels or lies in a log, pinned: nodes of different builds speak with each other, and a build
//! reads what an older one wrote. Variants and fields are only ever appended; what changes a line here breaks the protocol.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;
use wire::client::{
    Error, Leader, Member, MemberChange, MemberRole, NodeRole, PeerStatus, Reply, Request, RequestBody,
    Response, Stage, StageTimes, Status, TimeCount,
};
use wire::peer::{self, Body, Message, Parcel, ReadRequest};
use wire::record::{
    self, Answer, Command, Condition, Configuration, End, Entry, EntryData, HardState, Identity,
    IdentityFormat2, Invocation, Once, Operation, OperationAnswer, Position, Record, Session, SessionReply,
    Snapshot, SnapshotPart, Transaction, Unfit,
};
use wire::{Hello, Refusal, Role, Welcome};

const ONCE: Once = Once {
    session: 300,
    sequence: 4,
    answered_below: 3,
};

const LAST: Position = Position { term: 7, index: 9 };

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn hello(role: Role) -> Hello {
    Hello {
        magic: wire::MAGIC,
        version_min: 1,
        version_max: 300,
        cluster_id: "c".to_string(),
        role,
    }
}

fn request(body: RequestBody) -> Request {
    Request { id: 300, body }
}

fn response(result: Result<Reply, Error>) -> Response {
    Response { id: 300, result }
}

fn status(role: NodeRole) -> Status {
    Status {
        node: 1,
        cluster_id: "c".to_string(),
        role,
        term: 2,
        leader: Some(3),
        last_index: 4,
        commit_index: 5,
        applied_index: 6,
        state_hash: u64::MAX,
        voters: vec![1, 3],
        progress: vec![PeerStatus {
            node: 3,
            matched: 7,
            next: 8,
            state: "probe".to_string(),
            in_flight: 9,
            active: true,
            caught_up: false,
        }],
        first_index: 3,
        snapshot_index: 2,
        members: vec![Member {
            node: 3,
            role: MemberRole::Learner,
            address: "a:1".to_string(),
            incarnation: Some(128),
        }],
    }
}

fn configuration() -> Configuration {
    Configuration {
        voters: vec![1, 2, 4],
        outgoing: vec![1, 2, 3],
        learners: vec![5],
        learners_next: vec![3],
        contexts: vec![(5, bytes("x"))],
    }
}

fn snapshot() -> Snapshot {
    Snapshot {
        last: LAST,
        configuration: configuration(),
    }
}

fn hard_state(vote: Option<u64>) -> HardState {
    HardState {
        term: 7,
        vote,
        commit: 5,
    }
}

fn message(body: Body) -> Message {
    Message { term: 7, body }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[track_caller]
fn pinned<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, golden: &str) {
    let encoded = wire::encode(value);
    assert_eq!(hex(&encoded), golden, "{value:?}");
    assert_eq!(wire::decode::<T>(&encoded).as_ref(), Ok(value));
}

#[test]
fn the_first_frame_of_a_connection() {
    pinned(&hello(Role::Client), "7252667401ac02016300");
    pinned(
        &hello(Role::Peer {
            node: 1,
            to: 2,
            incarnation: 128,
            to_incarnation: Some(129),
            client_address: "a:1".to_string(),
            address: "b:1".to_string(),
            configuration: 300,
        }),
        "7252667401ac020163010102800101810103613a3103623a31ac02",
    );
}

#[test]
fn its_answer() {
    pinned(
        &Welcome::Accepted {
            version: 1,
            node: 2,
            cluster_id: "c".to_string(),
        },
        "0001020163",
    );
    pinned(&Welcome::Refused(Refusal::NotHello), "0100");
    pinned(&Welcome::Refused(Refusal::Version { min: 1, max: 2 }), "01010102");
    pinned(
        &Welcome::Refused(Refusal::Cluster {
            actual: "c".to_string(),
        }),
        "01020163",
    );
    pinned(&Welcome::Refused(Refusal::Node { actual: 3 }), "010303");
    pinned(&Welcome::Refused(Refusal::NotMember { node: 4 }), "010404");
    pinned(&Welcome::Refused(Refusal::Incarnation { node: 5 }), "010505");
    pinned(&Welcome::Refused(Refusal::Busy { max: 1024 }), "01068008");
}

#[test]
fn what_clients_ask() {
    pinned(&request(RequestBody::Get { key: bytes("k") }), "ac0200016b");
    pinned(
        &request(RequestBody::Put {
            key: bytes("k"),
            value: bytes("v"),
        }),
        "ac0201016b0176",
    );
    pinned(
        &request(RequestBody::Cas {
            key: bytes("k"),
            expected: None,
            value: bytes("v"),
        }),
        "ac0202016b000176",
    );
    pinned(
        &request(RequestBody::Cas {
            key: bytes("k"),
            expected: Some(bytes("u")),
            value: bytes("v"),
        }),
        "ac0202016b0101750176",
    );
    pinned(&request(RequestBody::Delete { key: bytes("k") }), "ac0203016b");
    pinned(&request(RequestBody::Status), "ac0204");
    pinned(&request(RequestBody::Stages), "ac0205");
    let changes = vec![
        MemberChange::AddLearner {
            node: 4,
            address: "a:1".to_string(),
        },
        MemberChange::Promote { node: 5 },
        MemberChange::Demote { node: 6 },
        MemberChange::Remove { node: 7 },
    ];
    pinned(
        &request(RequestBody::Reconfigure { changes }),
        "ac020604000403613a31010502060307",
    );
    pinned(&request(RequestBody::Transfer { to: 2 }), "ac020702");
    pinned(&request(RequestBody::Snapshot), "ac0208");
    pinned(&request(RequestBody::Members), "ac0209");
    pinned(&request(RequestBody::OpenSession), "ac020a");
    pinned(&request(RequestBody::CloseSession { session: 300 }), "ac020bac02");
    let command = || Command::Delete { key: bytes("k") };
    let by_itself = RequestBody::Command {
        once: None,
        command: command(),
    };
    pinned(&request(by_itself), "ac020c0002016b");
    let in_session = RequestBody::Command {
        once: Some(ONCE),
        command: command(),
    };
    pinned(&request(in_session), "ac020c01ac02040302016b");
}

#[test]
fn what_clients_are_told() {
    pinned(&response(Ok(Reply::Value(None))), "ac02000000");
    pinned(&response(Ok(Reply::Value(Some(bytes("v"))))), "ac020000010176");
    pinned(&response(Ok(Reply::Written)), "ac020001");
    pinned(&response(Ok(Reply::Swapped(true))), "ac02000201");
    pinned(&response(Ok(Reply::Deleted(false))), "ac02000300");
    pinned(&response(Err(Error::NotLeader { leader: None })), "ac02010000");
    pinned(
        &response(Err(Error::NotLeader {
            leader: Some(Leader {
                node: 2,
                client_address: "a:1".to_string(),
            }),
        })),
        "ac020100010203613a31",
    );
    pinned(&response(Err(Error::LeadershipLost)), "ac020101");
    pinned(&response(Err(Error::ReadAborted)), "ac020102");
    pinned(&response(Err(Error::Busy)), "ac020103");
    pinned(
        &response(Err(Error::Invalid {
            reason: "r".to_string(),
        })),
        "ac0201040172",
    );
    pinned(
        &response(Err(Error::NotYet {
            reason: "r".to_string(),
        })),
        "ac0201050172",
    );
    pinned(
        &response(Err(Error::Refused {
            reason: "r".to_string(),
        })),
        "ac0201060172",
    );
    pinned(&response(Ok(Reply::Reconfigured)), "ac020006");
    pinned(&response(Ok(Reply::Transferred)), "ac020007");
    pinned(&response(Ok(Reply::Snapshotted { index: 300 })), "ac020008ac02");
    let roles = [
        MemberRole::Voter,
        MemberRole::Learner,
        MemberRole::Joining,
        MemberRole::Leaving,
        MemberRole::Demoting,
    ];
    let member = |role| Member {
        node: 2,
        role,
        address: String::new(),
        incarnation: None,
    };
    pinned(
        &response(Ok(Reply::Members(roles.map(member).to_vec()))),
        "ac0200090502000000020100000202000002030000020400\
         00",
    );
    let (session, lifetime) = (300, 5);
    pinned(
        &response(Ok(Reply::SessionOpened { session, lifetime })),
        "ac02000aac0205",
    );
    pinned(&response(Ok(Reply::SessionClosed)), "ac02000b");
    pinned(&response(Ok(Reply::Length(300))), "ac02000cac02");
    pinned(&response(Ok(Reply::Sum(-1))), "ac02000d01");
    pinned(
        &response(Ok(Reply::Transaction {
            held: true,
            answers: operation_answers(),
        })),
        "ac02000e0105000001020103010402",
    );
    pinned(&response(Err(Error::SessionExpired)), "ac020107");
    pinned(&response(Err(Error::ReplyForgotten)), "ac020108");
    let reason = "r".to_string();
    pinned(&response(Err(Error::InDoubt { reason })), "ac02010a0172");
    let unfit = [
        Unfit::NotNumber,
        Unfit::Overflow,
        Unfit::NotList,
        Unfit::ValueTooLong,
        Unfit::AnswerTooLong,
        Unfit::IsList,
    ];
    for (place, unfit) in unfit.into_iter().enumerate() {
        pinned(
            &response(Err(Error::Unfit(unfit))),
            &format!("ac020109{place:02x}"),
        );
    }
}

fn operation_answers() -> Vec<OperationAnswer> {
    vec![
        OperationAnswer::Value(None),
        OperationAnswer::Written,
        OperationAnswer::Deleted(true),
        OperationAnswer::Length(1),
        OperationAnswer::Sum(1),
    ]
}

#[test]
fn what_a_configuration_says_of_a_member() {
    pinned(
        &record::Member {
            address: "a:1".to_string(),
            incarnation: Some(128),
        },
        "03613a31018001",
    );
}

#[test]
fn how_a_node_is() {
    pinned(
        &response(Ok(Reply::Status(status(NodeRole::Follower)))),
        "ac02000401016300020103040506ffffffffffffffffff01020103010307080570726f6265090100030201030103613a31018001",
    );
    pinned(
        &response(Ok(Reply::Status(status(NodeRole::PreCandidate)))),
        "ac02000401016301020103040506ffffffffffffffffff01020103010307080570726f6265090100030201030103613a31018001",
    );
    pinned(
        &response(Ok(Reply::Status(status(NodeRole::Candidate)))),
        "ac02000401016302020103040506ffffffffffffffffff01020103010307080570726f6265090100030201030103613a31018001",
    );
    pinned(
        &response(Ok(Reply::Status(status(NodeRole::Leader)))),
        "ac02000401016303020103040506ffffffffffffffffff01020103010307080570726f6265090100030201030103613a31018001",
    );
}

#[test]
fn where_a_nodes_time_went() {
    let times = |stage| StageTimes {
        stage,
        times: vec![TimeCount {
            nanoseconds: 300,
            count: 2,
        }],
    };
    pinned(
        &response(Ok(Reply::Stages(Stage::ALL.map(times).to_vec()))),
        "ac02000508\
         0001ac0202\
         0101ac0202\
         0201ac0202\
         0301ac0202\
         0401ac0202\
         0501ac0202\
         0601ac0202\
         0701ac0202",
    );
}

#[test]
fn what_entries_carry() {
    pinned(
        &Command::Put {
            key: bytes("k"),
            value: bytes("v"),
        },
        "00016b0176",
    );
    pinned(
        &Command::Cas {
            key: bytes("k"),
            expected: None,
            value: bytes("v"),
        },
        "01016b000176",
    );
    pinned(
        &Command::Cas {
            key: bytes("k"),
            expected: Some(bytes("u")),
            value: bytes("v"),
        },
        "01016b0101750176",
    );
    pinned(&Command::Delete { key: bytes("k") }, "02016b");
    let key = || bytes("k");
    let operations = [
        (Operation::Get { key: key() }, "00016b"),
        (
            Operation::Put {
                key: key(),
                value: bytes("v"),
            },
            "01016b0176",
        ),
        (Operation::Delete { key: key() }, "02016b"),
        (
            Operation::Append {
                key: key(),
                suffix: bytes("s"),
            },
            "03016b0173",
        ),
        (
            Operation::Add {
                key: key(),
                amount: -1,
            },
            "04016b01",
        ),
        (
            Operation::Push {
                key: key(),
                item: bytes("i"),
                end: End::Back,
            },
            "05016b016901",
        ),
        (
            Operation::Pop {
                key: key(),
                end: End::Front,
            },
            "06016b00",
        ),
    ];
    for (operation, golden) in operations {
        pinned(&Command::Operation(operation), &format!("03{golden}"));
    }
    let transaction = Transaction {
        conditions: vec![
            Condition::Holds {
                key: key(),
                value: Some(bytes("v")),
            },
            Condition::HoldsNot {
                key: key(),
                value: None,
            },
        ],
        then: vec![Operation::Get { key: key() }],
        otherwise: vec![Operation::Delete { key: key() }],
    };
    pinned(
        &Command::Transaction(transaction),
        "040200016b01017601016b000100016b0102016b",
    );
}

#[test]
fn what_entries_carry_for_sessions() {
    let invocations = [
        (
            Invocation::OpenSession {
                time: 300,
                lifetime: 5,
            },
            "01ac0205",
        ),
        (
            Invocation::CloseSession {
                session: 300,
                time: 5,
            },
            "02ac0205",
        ),
        (
            Invocation::Once {
                once: ONCE,
                time: 5,
                command: Command::Delete { key: bytes("k") },
            },
            "03ac0204030502016b",
        ),
    ];
    for (invocation, golden) in invocations {
        pinned(&invocation, golden);
        assert_eq!(hex(&invocation.to_bytes()), format!("02{golden}"));
    }
}

/// Every answer, one that was forgotten, and one that says what did not fit.
fn session_replies() -> Vec<SessionReply> {
    let answers = [
        Answer::Value(None),
        Answer::Written,
        Answer::Swapped(true),
        Answer::Deleted(true),
        Answer::Length(1),
        Answer::Sum(1),
        Answer::Transaction {
            held: false,
            answers: operation_answers(),
        },
        Answer::SessionOpened {
            session: 300,
            lifetime: 5,
        },
        Answer::SessionClosed,
    ];
    let kept = answers.into_iter().map(|answer| Some(Ok(answer)));
    let others = [None, Some(Err(Unfit::Overflow))];
    let reply = |answer| SessionReply {
        session: 1,
        sequence: 2,
        answer,
    };
    kept.chain(others).map(reply).collect()
}

const GOLDEN_REPLIES: &str = "\
    040b\
    010201000000\
    0102010001\
    010201000201\
    010201000301\
    010201000401\
    010201000502\
    01020100060005000001020103010402\
    0102010007ac0205\
    0102010008\
    010200\
    0102010101\
    ";

#[test]
fn what_lies_in_a_log_and_beside_it() {
    pinned(
        &Record::<Vec<Entry>>::Open {
            hard_state: hard_state(None),
            behind: snapshot(),
        },
        "00070005070903010204030102030105010301050178",
    );
    pinned(
        &Record::Write {
            hard_state: hard_state(Some(2)),
            snapshot: None,
            first_index: 9,
            entries: vec![
                Entry {
                    term: 7,
                    data: EntryData::Noop,
                },
                Entry {
                    term: 7,
                    data: EntryData::Command(bytes("c")),
                },
                Entry {
                    term: 7,
                    data: EntryData::Configuration(configuration()),
                },
            ],
        },
        "0107010205000903070007010163070203010204030102030105010301050178",
    );
    pinned(
        &Record::Write {
            hard_state: hard_state(None),
            snapshot: Some(snapshot()),
            first_index: 10,
            entries: Vec::<Entry>::new(),
        },
        "01070005010709030102040301020301050103010501780a00",
    );
    pinned(
        &SnapshotPart::Begin { snapshot: snapshot() },
        "00070903010204030102030105010301050178",
    );
    pinned(
        &SnapshotPart::Pairs(vec![(bytes("k"), bytes("v"))]),
        "0101016b0176",
    );
    pinned(
        &SnapshotPart::End {
            pairs: 300,
            state_hash: 1,
        },
        "02ac0201",
    );
    pinned(
        &SnapshotPart::Sessions {
            time: 300,
            sessions: vec![Session {
                id: 1,
                lifetime: 2,
                used_at: 3,
                used_index: 4,
                answered_below: 5,
            }],
        },
        "03ac02010102030405",
    );
    pinned(&SnapshotPart::Replies(session_replies()), GOLDEN_REPLIES);
    pinned(
        &IdentityFormat2 {
            format: 2,
            cluster_id: "c".to_string(),
            node: 2,
            incarnation: 128,
        },
        "020163028001",
    );
    pinned(
        &Identity {
            format: 3,
            cluster_id: "c".to_string(),
            node: 2,
            incarnation: 128,
            secret: 129,
        },
        "0301630280018101",
    );
}

#[test]
fn what_nodes_say_to_each_other() {
    pinned(
        &message(Body::PreVote {
            next_term: 8,
            last: LAST,
        }),
        "0700080709",
    );
    pinned(
        &message(Body::PreVoteResponse {
            next_term: 8,
            granted: true,
        }),
        "07010801",
    );
    pinned(
        &message(Body::Vote {
            last: LAST,
            by_transfer: true,
        }),
        "0702070901",
    );
    pinned(&message(Body::VoteResponse { granted: false }), "070300");
    pinned(
        &message(Body::Append {
            prev: LAST,
            entries: vec![
                peer::Entry {
                    term: 7,
                    data: EntryData::Noop,
                },
                peer::Entry {
                    term: 7,
                    data: EntryData::Command(bytes("c")),
                },
            ],
            commit: 5,
        }),
        "070407090207000701016305",
    );
    pinned(&message(Body::AppendAccepted { matched: 9 }), "070509");
    pinned(
        &message(Body::AppendRejected {
            probed: 9,
            hint: LAST,
        }),
        "0706090709",
    );
    pinned(
        &message(Body::Heartbeat {
            commit: 5,
            round: 300,
        }),
        "070705ac02",
    );
    pinned(&message(Body::HeartbeatResponse { round: 300 }), "0708ac02");
    pinned(
        &message(Body::Snapshot { snapshot: snapshot() }),
        "0709070903010204030102030105010301050178",
    );
    pinned(&message(Body::TimeoutNow), "070a");
    pinned(
        &message(Body::Parcel(Parcel::Piece {
            last: LAST,
            total: 300,
            offset: 1,
            bytes: bytes("b"),
        })),
        "070b000709ac02010162",
    );
    pinned(
        &message(Body::Parcel(Parcel::Wanted {
            last: LAST,
            offset: 1,
        })),
        "070b01070901",
    );
    let request = ReadRequest { life: 300, number: 2 };
    pinned(&message(Body::ReadIndex { request }), "070cac0202");
    pinned(
        &message(Body::ReadIndexResponse { request, index: 5 }),
        "070dac020205",
    );
}

#[test]
fn a_checksum_precedes_what_a_node_says_and_a_version_what_an_entry_carries() {
    let payload = message(Body::HeartbeatResponse { round: 300 }).to_payload();
    assert_eq!(hex(&payload), "a006dbdf0708ac02");
    let command = Command::Delete { key: bytes("k") };
    assert_eq!(hex(&command.to_bytes()), "0102016b");
    assert_eq!(hex(&Invocation::Plain(command).to_bytes()), "0102016b");
}
