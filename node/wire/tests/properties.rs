//! Whatever is encoded decodes to itself, and whatever bytes come in, decoding them ends in a value or an error.

#![cfg(feature = "codec")]

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use tokio_util::codec::Decoder;
use wire::client::{
    Error, Leader, Member, MemberChange, MemberRole, NodeRole, PeerStatus, Reply, Request, RequestBody,
    Response, Stage, StageTimes, Status, TimeCount,
};
use wire::limits::SEQUENCE_MAX;
use wire::peer::{self, Body, Message, Packet, Parcel, ReadRequest};
use wire::record::{
    Answer, Command, Condition, Configuration, EncodedCommand, Encoder, End, Entry, EntryData, HardState,
    Identity, IdentityFormat2, Invocation, Once, Operation, OperationAnswer, Position, Record, Session,
    SessionReply, Snapshot, SnapshotPart, Transaction, Unfit,
};
use wire::{DecodeError, Hello, Refusal, Role, Slice, Welcome};

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,20}"
}

fn position() -> impl Strategy<Value = Position> {
    any::<(u64, u64)>().prop_map(|(term, index)| Position { term, index })
}

fn peer_entry() -> impl Strategy<Value = peer::Entry> {
    entry().prop_map(|Entry { term, data }| peer::Entry { term, data })
}

fn entry() -> impl Strategy<Value = Entry> {
    let data = prop_oneof![
        Just(EntryData::Noop),
        bytes().prop_map(EntryData::Command),
        configuration().prop_map(EntryData::Configuration)
    ];
    (any::<u64>(), data).prop_map(|(term, data)| Entry { term, data })
}

fn configuration() -> impl Strategy<Value = Configuration> {
    // Few ids, so that lists agree with each other and contexts are of members now and then.
    let id = || prop_oneof![0..4_u64, any::<u64>()];
    let list = move || vec(id(), 0..4);
    let contexts = vec((id(), bytes()), 0..4);
    (list(), list(), list(), list(), contexts).prop_map(
        |(voters, outgoing, learners, learners_next, contexts)| Configuration {
            voters,
            outgoing,
            learners,
            learners_next,
            contexts,
        },
    )
}

/// The configuration as the core has it: with one context for each member of which it says something, and none of others.
fn of_members(configuration: &mut Configuration) {
    let Configuration {
        voters,
        outgoing,
        learners,
        contexts,
        ..
    } = configuration;
    let members: BTreeSet<u64> = voters
        .iter()
        .chain(&*outgoing)
        .chain(&*learners)
        .copied()
        .collect();
    let of_members = contexts.drain(..).filter(|(id, _)| members.contains(id));
    let latest: BTreeMap<u64, Bytes> = of_members.collect();
    contexts.extend(latest.into_iter().filter(|(_, context)| !context.is_empty()));
}

fn only_of_members(mut message: Message) -> Message {
    if let Body::Snapshot { snapshot } = &mut message.body {
        of_members(&mut snapshot.configuration);
    } else if let Body::Append { entries, .. } = &mut message.body {
        for entry in entries {
            if let EntryData::Configuration(configuration) = &mut entry.data {
                of_members(configuration);
            }
        }
    }
    message
}

fn snapshot() -> impl Strategy<Value = Snapshot> {
    (any::<(u64, u64)>(), configuration()).prop_map(|((term, index), configuration)| Snapshot {
        last: Position { term, index },
        configuration,
    })
}

fn hard_state() -> impl Strategy<Value = HardState> {
    any::<(u64, Option<u64>, u64)>().prop_map(|(term, vote, commit)| HardState { term, vote, commit })
}

fn hello() -> impl Strategy<Value = Hello> {
    let peer = (any::<(u64, u64, u128, Option<u128>, u64)>(), text(), text()).prop_map(
        |((node, to, incarnation, to_incarnation, configuration), client_address, address)| Role::Peer {
            node,
            to,
            incarnation,
            to_incarnation,
            client_address,
            address,
            configuration,
        },
    );
    let role = prop_oneof![Just(Role::Client), peer];
    (any::<([u8; 4], u16, u16)>(), text(), role).prop_map(
        |((magic, version_min, version_max), cluster_id, role)| Hello {
            magic,
            version_min,
            version_max,
            cluster_id,
            role,
        },
    )
}

fn welcome() -> impl Strategy<Value = Welcome> {
    let refusal = prop_oneof![
        Just(Refusal::NotHello),
        any::<(u16, u16)>().prop_map(|(min, max)| Refusal::Version { min, max }),
        text().prop_map(|actual| Refusal::Cluster { actual }),
        any::<u64>().prop_map(|actual| Refusal::Node { actual }),
        any::<u64>().prop_map(|node| Refusal::NotMember { node }),
        any::<u64>().prop_map(|node| Refusal::Incarnation { node }),
        any::<u32>().prop_map(|max| Refusal::Busy { max }),
    ];
    let accepted =
        (any::<(u16, u64)>(), text()).prop_map(|((version, node), cluster_id)| Welcome::Accepted {
            version,
            node,
            cluster_id,
        });
    prop_oneof![accepted, refusal.prop_map(Welcome::Refused)]
}

fn request() -> impl Strategy<Value = Request> {
    let body = prop_oneof![
        bytes().prop_map(|key| RequestBody::Get { key }),
        (bytes(), bytes()).prop_map(|(key, value)| RequestBody::Put { key, value }),
        (bytes(), option::of(bytes()), bytes()).prop_map(|(key, expected, value)| RequestBody::Cas {
            key,
            expected,
            value
        }),
        bytes().prop_map(|key| RequestBody::Delete { key }),
        Just(RequestBody::Status),
        Just(RequestBody::Stages),
        vec(member_change(), 0..4).prop_map(|changes| RequestBody::Reconfigure { changes }),
        any::<u64>().prop_map(|to| RequestBody::Transfer { to }),
        Just(RequestBody::Snapshot),
        Just(RequestBody::Members),
        Just(RequestBody::OpenSession),
        any::<u64>().prop_map(|session| RequestBody::CloseSession { session }),
        (option::of(once()), command()).prop_map(|(once, command)| RequestBody::Command { once, command }),
    ];
    (any::<u64>(), body).prop_map(|(id, body)| Request { id, body })
}

fn member_change() -> impl Strategy<Value = MemberChange> {
    prop_oneof![
        (any::<u64>(), text()).prop_map(|(node, address)| MemberChange::AddLearner { node, address }),
        any::<u64>().prop_map(|node| MemberChange::Promote { node }),
        any::<u64>().prop_map(|node| MemberChange::Demote { node }),
        any::<u64>().prop_map(|node| MemberChange::Remove { node }),
    ]
}

fn member() -> impl Strategy<Value = Member> {
    let role = prop_oneof![
        Just(MemberRole::Voter),
        Just(MemberRole::Learner),
        Just(MemberRole::Joining),
        Just(MemberRole::Leaving),
        Just(MemberRole::Demoting)
    ];
    (any::<(u64, Option<u128>)>(), role, text()).prop_map(|((node, incarnation), role, address)| Member {
        node,
        role,
        address,
        incarnation,
    })
}

fn status() -> impl Strategy<Value = Status> {
    let role = prop_oneof![
        Just(NodeRole::Follower),
        Just(NodeRole::PreCandidate),
        Just(NodeRole::Candidate),
        Just(NodeRole::Leader)
    ];
    let peer = (any::<(u64, u64, u64, u32, bool, bool)>(), text()).prop_map(
        |((node, matched, next, in_flight, active, caught_up), state)| PeerStatus {
            node,
            matched,
            next,
            state,
            in_flight,
            active,
            caught_up,
        },
    );
    let numbers = any::<(u64, u64, Option<u64>, u64, u64, u64, u64, u64, u64)>();
    let (voters, progress, members) = (vec(any::<u64>(), 0..5), vec(peer, 0..5), vec(member(), 0..5));
    (numbers, text(), role, voters, progress, members).prop_map(
        |(
            (
                node,
                term,
                leader,
                last_index,
                commit_index,
                applied_index,
                state_hash,
                first_index,
                snapshot_index,
            ),
            cluster_id,
            role,
            voters,
            progress,
            members,
        )| {
            Status {
                node,
                cluster_id,
                role,
                term,
                leader,
                last_index,
                commit_index,
                applied_index,
                state_hash,
                voters,
                progress,
                first_index,
                snapshot_index,
                members,
            }
        },
    )
}

fn stage_times() -> impl Strategy<Value = StageTimes> {
    let time = any::<(u64, u64)>().prop_map(|(nanoseconds, count)| TimeCount { nanoseconds, count });
    (proptest::sample::select(&Stage::ALL[..]), vec(time, 0..5))
        .prop_map(|(stage, times)| StageTimes { stage, times })
}

fn response() -> impl Strategy<Value = Response> {
    let leader = (any::<u64>(), text()).prop_map(|(node, client_address)| Leader { node, client_address });
    let result = prop_oneof![
        option::of(bytes()).prop_map(|value| Ok(Reply::Value(value))),
        Just(Ok(Reply::Written)),
        any::<bool>().prop_map(|swapped| Ok(Reply::Swapped(swapped))),
        any::<bool>().prop_map(|deleted| Ok(Reply::Deleted(deleted))),
        status().prop_map(|status| Ok(Reply::Status(status))),
        vec(stage_times(), 0..4).prop_map(|stages| Ok(Reply::Stages(stages))),
        Just(Ok(Reply::Reconfigured)),
        Just(Ok(Reply::Transferred)),
        any::<u64>().prop_map(|index| Ok(Reply::Snapshotted { index })),
        vec(member(), 0..4).prop_map(|members| Ok(Reply::Members(members))),
        option::of(leader).prop_map(|leader| Err(Error::NotLeader { leader })),
        Just(Err(Error::LeadershipLost)),
        Just(Err(Error::ReadAborted)),
        Just(Err(Error::Busy)),
        text().prop_map(|reason| Err(Error::Invalid { reason })),
        text().prop_map(|reason| Err(Error::NotYet { reason })),
        text().prop_map(|reason| Err(Error::Refused { reason })),
        any::<(u64, u64)>().prop_map(|(session, lifetime)| Ok(Reply::SessionOpened { session, lifetime })),
        Just(Ok(Reply::SessionClosed)),
        any::<u64>().prop_map(|length| Ok(Reply::Length(length))),
        any::<i64>().prop_map(|sum| Ok(Reply::Sum(sum))),
        (any::<bool>(), vec(operation_answer(), 0..4))
            .prop_map(|(held, answers)| Ok(Reply::Transaction { held, answers })),
        Just(Err(Error::SessionExpired)),
        Just(Err(Error::ReplyForgotten)),
        text().prop_map(|reason| Err(Error::InDoubt { reason })),
        unfit().prop_map(|unfit| Err(Error::Unfit(unfit))),
    ];
    (any::<u64>(), result).prop_map(|(id, result)| Response { id, result })
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        (bytes(), bytes()).prop_map(|(key, value)| Command::Put { key, value }),
        (bytes(), option::of(bytes()), bytes()).prop_map(|(key, expected, value)| Command::Cas {
            key,
            expected,
            value
        }),
        bytes().prop_map(|key| Command::Delete { key }),
        operation().prop_map(Command::Operation),
        (
            vec(condition(), 0..4),
            vec(operation(), 0..4),
            vec(operation(), 0..4)
        )
            .prop_map(|(conditions, then, otherwise)| {
                Command::Transaction(Transaction {
                    conditions,
                    then,
                    otherwise,
                })
            }),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let end = || prop_oneof![Just(End::Front), Just(End::Back)];
    prop_oneof![
        bytes().prop_map(|key| Operation::Get { key }),
        (bytes(), bytes()).prop_map(|(key, value)| Operation::Put { key, value }),
        bytes().prop_map(|key| Operation::Delete { key }),
        (bytes(), bytes()).prop_map(|(key, suffix)| Operation::Append { key, suffix }),
        (bytes(), any::<i64>()).prop_map(|(key, amount)| Operation::Add { key, amount }),
        (bytes(), bytes(), end()).prop_map(|(key, item, end)| Operation::Push { key, item, end }),
        (bytes(), end()).prop_map(|(key, end)| Operation::Pop { key, end }),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    (any::<bool>(), bytes(), option::of(bytes())).prop_map(|(holds, key, value)| {
        if holds {
            Condition::Holds { key, value }
        } else {
            Condition::HoldsNot { key, value }
        }
    })
}

fn once() -> impl Strategy<Value = Once> {
    any::<(u64, u64, u64)>().prop_map(|(session, sequence, answered_below)| Once {
        session,
        sequence,
        answered_below,
    })
}

fn invocation() -> impl Strategy<Value = Invocation> {
    prop_oneof![
        command().prop_map(Invocation::Plain),
        any::<(u64, u64)>().prop_map(|(time, lifetime)| Invocation::OpenSession { time, lifetime }),
        any::<(u64, u64)>().prop_map(|(session, time)| Invocation::CloseSession { session, time }),
        (once(), any::<u64>(), command()).prop_map(|(once, time, command)| Invocation::Once {
            once,
            time,
            command
        }),
    ]
}

fn operation_answer() -> impl Strategy<Value = OperationAnswer> {
    prop_oneof![
        option::of(bytes()).prop_map(OperationAnswer::Value),
        Just(OperationAnswer::Written),
        any::<bool>().prop_map(OperationAnswer::Deleted),
        any::<u64>().prop_map(OperationAnswer::Length),
        any::<i64>().prop_map(OperationAnswer::Sum),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        operation_answer().prop_map(Answer::from),
        any::<bool>().prop_map(Answer::Swapped),
        (any::<bool>(), vec(operation_answer(), 0..4))
            .prop_map(|(held, answers)| Answer::Transaction { held, answers }),
        any::<(u64, u64)>().prop_map(|(session, lifetime)| Answer::SessionOpened { session, lifetime }),
        Just(Answer::SessionClosed),
    ]
}

fn unfit() -> impl Strategy<Value = Unfit> {
    prop_oneof![
        Just(Unfit::NotNumber),
        Just(Unfit::Overflow),
        Just(Unfit::NotList),
        Just(Unfit::ValueTooLong),
        Just(Unfit::AnswerTooLong),
        Just(Unfit::IsList),
    ]
}

fn session() -> impl Strategy<Value = Session> {
    any::<[u64; 5]>().prop_map(|[id, lifetime, used_at, used_index, answered_below]| Session {
        id,
        lifetime,
        used_at,
        used_index,
        answered_below,
    })
}

fn session_reply() -> impl Strategy<Value = SessionReply> {
    let answer = prop_oneof![
        Just(None),
        answer().prop_map(|answer| Some(Ok(answer))),
        unfit().prop_map(|unfit| Some(Err(unfit))),
    ];
    (any::<(u64, u64)>(), answer).prop_map(|((session, sequence), answer)| SessionReply {
        session,
        sequence,
        answer,
    })
}

fn record() -> impl Strategy<Value = Record> {
    let open =
        (hard_state(), snapshot()).prop_map(|(hard_state, behind)| Record::Open { hard_state, behind });
    let write = (
        hard_state(),
        option::of(snapshot()),
        any::<u64>(),
        vec(entry(), 0..5),
    )
        .prop_map(|(hard_state, snapshot, first_index, entries)| Record::Write {
            hard_state,
            snapshot,
            first_index,
            entries,
        });
    prop_oneof![open, write]
}

fn snapshot_part() -> impl Strategy<Value = SnapshotPart> {
    prop_oneof![
        snapshot().prop_map(|snapshot| SnapshotPart::Begin { snapshot }),
        vec((bytes(), bytes()), 0..5).prop_map(SnapshotPart::Pairs),
        any::<(u64, u64)>().prop_map(|(pairs, state_hash)| SnapshotPart::End { pairs, state_hash }),
        (any::<u64>(), vec(session(), 0..4))
            .prop_map(|(time, sessions)| SnapshotPart::Sessions { time, sessions }),
        vec(session_reply(), 0..4).prop_map(SnapshotPart::Replies),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let body = prop_oneof![
        (any::<u64>(), position()).prop_map(|(next_term, last)| Body::PreVote { next_term, last }),
        any::<(u64, bool)>().prop_map(|(next_term, granted)| Body::PreVoteResponse { next_term, granted }),
        (position(), any::<bool>()).prop_map(|(last, by_transfer)| Body::Vote { last, by_transfer }),
        any::<bool>().prop_map(|granted| Body::VoteResponse { granted }),
        (position(), vec(peer_entry(), 0..5), any::<u64>()).prop_map(|(prev, entries, commit)| {
            Body::Append {
                prev,
                entries,
                commit,
            }
        }),
        any::<u64>().prop_map(|matched| Body::AppendAccepted { matched }),
        (any::<u64>(), position()).prop_map(|(probed, hint)| Body::AppendRejected { probed, hint }),
        any::<(u64, u64)>().prop_map(|(commit, round)| Body::Heartbeat { commit, round }),
        any::<u64>().prop_map(|round| Body::HeartbeatResponse { round }),
        snapshot().prop_map(|snapshot| Body::Snapshot { snapshot }),
        Just(Body::TimeoutNow),
        any::<(u64, u64)>().prop_map(|(life, number)| Body::ReadIndex {
            request: ReadRequest { life, number },
        }),
        any::<(u64, u64, u64)>().prop_map(|(life, number, index)| Body::ReadIndexResponse {
            request: ReadRequest { life, number },
            index,
        }),
        (position(), any::<(u64, u64)>(), bytes()).prop_map(|(last, (total, offset), bytes)| {
            Body::Parcel(Parcel::Piece {
                last,
                total,
                offset,
                bytes,
            })
        }),
        (position(), any::<u64>()).prop_map(|(last, offset)| Body::Parcel(Parcel::Wanted { last, offset })),
    ];
    (0..=1_u64 << 62, body).prop_map(|(term, body)| Message { term, body })
}

/// Arbitrary bytes seldom get far; bytes that were right but for one do.
fn damaged(encoded: &Bytes, at: prop::sample::Index, to: u8) -> Vec<u8> {
    let mut damaged = encoded.to_vec();
    if !damaged.is_empty() {
        let at = at.index(damaged.len());
        damaged[at] = to;
    }
    damaged
}

/// Decodes `bytes`; a value that comes of them, encoded again, decodes to itself.
fn decodes_soundly<T>(bytes: &[u8]) -> Result<(), TestCaseError>
where
    T: serde::Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    if let Ok(value) = wire::decode::<T>(bytes) {
        prop_assert_eq!(wire::decode::<T>(&wire::encode(&value)), Ok(value));
    }
    Ok(())
}

macro_rules! round_trips {
    ($($name:ident: $strategy:expr, $type:ty;)*) => {
        proptest! {
            $(#[test]
            fn $name(value in $strategy, at in any::<prop::sample::Index>(), to in any::<u8>(), more in any::<u8>()) {
                let encoded = wire::encode(&value);
                let decoded = wire::decode::<$type>(&encoded);
                prop_assert_eq!(decoded.as_ref(), Ok(&value));
                for length in 0..encoded.len() {
                    prop_assert_eq!(wire::decode::<$type>(&encoded[..length]), Err(DecodeError::Malformed));
                }
                let mut longer = encoded.to_vec();
                longer.push(more);
                prop_assert_eq!(wire::decode::<$type>(&longer), Err(DecodeError::Trailing(1)));
                decodes_soundly::<$type>(&damaged(&encoded, at, to))?;
            })*
        }
    };
}

round_trips! {
    hellos_survive_the_wire: hello(), Hello;
    welcomes_survive_the_wire: welcome(), Welcome;
    requests_survive_the_wire: request(), Request;
    responses_survive_the_wire: response(), Response;
    commands_survive_the_log: command(), Command;
    invocations_survive_the_log: invocation(), Invocation;
    records_survive_the_log: record(), Record;
    snapshot_parts_survive_their_file: snapshot_part(), SnapshotPart;
    messages_survive_the_wire: message(), Message;
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_values_or_errors(input in vec(any::<u8>(), 0..200)) {
        decodes_soundly::<Hello>(&input)?;
        decodes_soundly::<Welcome>(&input)?;
        decodes_soundly::<Request>(&input)?;
        decodes_soundly::<Response>(&input)?;
        decodes_soundly::<Message>(&input)?;
        decodes_soundly::<Record>(&input)?;
        decodes_soundly::<SnapshotPart>(&input)?;
        decodes_soundly::<Identity>(&input)?;
        decodes_soundly::<IdentityFormat2>(&input)?;
        let _ = Invocation::<Bytes>::from_bytes(&input);
        // A right checksum takes arbitrary bytes past the first door.
        let mut payload = crc32c(&input).to_le_bytes().to_vec();
        payload.extend_from_slice(&input);
        if let Ok(message) = <Message>::from_payload(&payload) {
            let _ = message.into_packet(raft::NodeId(1), raft::NodeId(2));
        }
    }

    #[test]
    fn a_damaged_message_is_noticed(message in message(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let payload = message.to_payload();
        let intact: Result<Message, _> = Message::from_payload(&payload);
        prop_assert_eq!(intact.as_ref(), Ok(&message));
        let place = at.index(payload.len());
        let damaged = damaged(&payload, at, payload[place] ^ (1_u8 << bit));
        let noticed = matches!(<Message>::from_payload(&damaged), Err(DecodeError::Checksum { .. }));
        prop_assert!(noticed);
    }

    #[test]
    fn a_message_becomes_the_cores_and_back(message in message()) {
        let (from, to) = (raft::NodeId(1), raft::NodeId(2));
        let payload = message.to_payload();
        let taken_in = Packet::from_payload(&payload, from, to);
        prop_assert_eq!(&taken_in, &message.clone().into_packet(from, to), "a copy that is shared or one of each");
        if let Ok(packet) = taken_in {
            let term = if matches!(message.body, Body::Parcel(_)) { 0 } else { message.term };
            let told = only_of_members(Message { term, ..message });
            prop_assert_eq!(Message::from(&packet).to_payload(), told.to_payload());
        } else {
            let may_mean_nothing = matches!(message.body, Body::Append { .. } | Body::Snapshot { .. });
            prop_assert!(may_mean_nothing, "only terms, indexes and members can contradict each other");
        }
    }

    #[test]
    fn an_invocation_is_read_back_from_its_entry(invocation in invocation(), version in 3..=u8::MAX) {
        let mut encoded = invocation.to_bytes().to_vec();
        // A command is encoded once, whatever becomes of it, and may lie in what it is decoded from.
        match Invocation::<Slice<'_>>::from_bytes(&encoded).unwrap() {
            Invocation::Plain(command) => {
                prop_assert_eq!(EncodedCommand::from(&command).by_itself(), &encoded);
            }
            Invocation::Once { once, time, command } => {
                prop_assert_eq!(EncodedCommand::from(&command).once(once, time), &encoded);
            }
            Invocation::OpenSession { .. } | Invocation::CloseSession { .. } => {}
        }
        prop_assert_eq!(Invocation::from_bytes(&encoded), Ok(invocation));
        encoded[0] = version;
        let refused = matches!(Invocation::<Bytes>::from_bytes(&encoded), Err(DecodeError::Invalid(_)));
        prop_assert!(refused, "a newer version must not be guessed at");
    }

    #[test]
    fn commands_that_are_encoded_together_are_as_by_themselves(commands in vec(command(), 0..40), long in 0..200_000_usize) {
        let long = Command::Put { key: Bytes::new(), value: Bytes::from(vec![7; long]) };
        let mut encoder = Encoder::default();
        let together: Vec<_> = commands.iter().chain([&long]).chain(&commands).map(|command| encoder.encode(command)).collect();
        for (encoded, command) in together.into_iter().zip(commands.iter().chain([&long]).chain(&commands)) {
            prop_assert_eq!(encoded.by_itself(), command.to_bytes());
        }
    }

    #[test]
    fn frames_come_out_whole_however_they_arrive(payloads in vec(vec(any::<u8>(), 0..50), 0..6), piece in 1_usize..20) {
        let mut stream = Vec::new();
        for payload in &payloads {
            stream.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
            stream.extend_from_slice(payload);
        }
        let (mut codec, mut buffer, mut frames) = (wire::frames(), BytesMut::new(), Vec::new());
        for piece in stream.chunks(piece) {
            buffer.extend_from_slice(piece);
            while let Some(frame) = codec.decode(&mut buffer).unwrap() {
                frames.push(frame.to_vec());
            }
        }
        prop_assert_eq!(frames, payloads);
    }

    #[test]
    fn a_frame_longer_than_allowed_ends_the_connection(beyond in 1..=u32::MAX - (8 << 20)) {
        let hello_max = u32::try_from(wire::limits::HELLO_BYTES_MAX).unwrap();
        let frame_max = u32::try_from(wire::limits::FRAME_BYTES_MAX).unwrap();
        for (mut codec, max) in [(wire::hello_frames(), hello_max), (wire::frames(), frame_max)] {
            prop_assert!(codec.decode(&mut BytesMut::from(&(max + beyond).to_be_bytes()[..])).is_err());
        }
    }
}

fn crc32c(bytes: &[u8]) -> u32 {
    // The message's own checksum of arbitrary bytes, by the error that names it.
    let mut payload = vec![0; 4];
    payload.extend_from_slice(bytes);
    match <Message>::from_payload(&payload) {
        Err(DecodeError::Checksum { computed, .. }) => computed,
        Ok(_) | Err(_) => 0,
    }
}

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
