//! What nodes say to each other.

use super::record::{entry, snapshot};
use super::{bytes, position};
use proptest::collection::vec;
use proptest::prelude::*;
use wire::peer::{self, Body, Message, Parcel, ReadRequest};
use wire::record::Entry;

pub(crate) fn peer_entry() -> impl Strategy<Value = peer::Entry> {
    entry().prop_map(|Entry { term, data }| peer::Entry { term, data })
}

pub(crate) fn message() -> impl Strategy<Value = Message> {
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
