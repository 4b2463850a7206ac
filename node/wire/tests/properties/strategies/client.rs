//! What clients and nodes say to each other, and with what a connection begins.

use super::record::{command, once, operation_answer, unfit};
use super::{bytes, text};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wire::client::{
    Error, Leader, Member, MemberChange, MemberRole, NodeRole, PeerStatus, Reply, Request, RequestBody,
    Response, Stage, StageTimes, Status, TimeCount,
};
use wire::{Hello, Refusal, Role, Welcome};

pub(crate) fn hello() -> impl Strategy<Value = Hello> {
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

pub(crate) fn welcome() -> impl Strategy<Value = Welcome> {
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

pub(crate) fn request() -> impl Strategy<Value = Request> {
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

pub(crate) fn member_change() -> impl Strategy<Value = MemberChange> {
    prop_oneof![
        (any::<u64>(), text()).prop_map(|(node, address)| MemberChange::AddLearner { node, address }),
        any::<u64>().prop_map(|node| MemberChange::Promote { node }),
        any::<u64>().prop_map(|node| MemberChange::Demote { node }),
        any::<u64>().prop_map(|node| MemberChange::Remove { node }),
    ]
}

pub(crate) fn member() -> impl Strategy<Value = Member> {
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

pub(crate) fn status() -> impl Strategy<Value = Status> {
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

pub(crate) fn stage_times() -> impl Strategy<Value = StageTimes> {
    let time = any::<(u64, u64)>().prop_map(|(nanoseconds, count)| TimeCount { nanoseconds, count });
    (proptest::sample::select(&Stage::ALL[..]), vec(time, 0..5))
        .prop_map(|(stage, times)| StageTimes { stage, times })
}

pub(crate) fn response() -> impl Strategy<Value = Response> {
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
