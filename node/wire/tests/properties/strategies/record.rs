//! What lies in the log and in snapshots.

use super::bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wire::record::{
    Answer, Command, Condition, Configuration, End, Entry, EntryData, HardState, Invocation, Once, Operation,
    OperationAnswer, Position, Record, Session, SessionReply, Snapshot, SnapshotPart, Transaction, Unfit,
};

pub(crate) fn entry() -> impl Strategy<Value = Entry> {
    let data = prop_oneof![
        Just(EntryData::Noop),
        bytes().prop_map(EntryData::Command),
        configuration().prop_map(EntryData::Configuration)
    ];
    (any::<u64>(), data).prop_map(|(term, data)| Entry { term, data })
}

pub(crate) fn configuration() -> impl Strategy<Value = Configuration> {
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

pub(crate) fn snapshot() -> impl Strategy<Value = Snapshot> {
    (any::<(u64, u64)>(), configuration()).prop_map(|((term, index), configuration)| Snapshot {
        last: Position { term, index },
        configuration,
    })
}

pub(crate) fn hard_state() -> impl Strategy<Value = HardState> {
    any::<(u64, Option<u64>, u64)>().prop_map(|(term, vote, commit)| HardState { term, vote, commit })
}

pub(crate) fn command() -> impl Strategy<Value = Command> {
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

pub(crate) fn operation() -> impl Strategy<Value = Operation> {
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

pub(crate) fn condition() -> impl Strategy<Value = Condition> {
    (any::<bool>(), bytes(), option::of(bytes())).prop_map(|(holds, key, value)| {
        if holds {
            Condition::Holds { key, value }
        } else {
            Condition::HoldsNot { key, value }
        }
    })
}

pub(crate) fn once() -> impl Strategy<Value = Once> {
    any::<(u64, u64, u64)>().prop_map(|(session, sequence, answered_below)| Once {
        session,
        sequence,
        answered_below,
    })
}

pub(crate) fn invocation() -> impl Strategy<Value = Invocation> {
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

pub(crate) fn operation_answer() -> impl Strategy<Value = OperationAnswer> {
    prop_oneof![
        option::of(bytes()).prop_map(OperationAnswer::Value),
        Just(OperationAnswer::Written),
        any::<bool>().prop_map(OperationAnswer::Deleted),
        any::<u64>().prop_map(OperationAnswer::Length),
        any::<i64>().prop_map(OperationAnswer::Sum),
    ]
}

pub(crate) fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        operation_answer().prop_map(Answer::from),
        any::<bool>().prop_map(Answer::Swapped),
        (any::<bool>(), vec(operation_answer(), 0..4))
            .prop_map(|(held, answers)| Answer::Transaction { held, answers }),
        any::<(u64, u64)>().prop_map(|(session, lifetime)| Answer::SessionOpened { session, lifetime }),
        Just(Answer::SessionClosed),
    ]
}

pub(crate) fn unfit() -> impl Strategy<Value = Unfit> {
    prop_oneof![
        Just(Unfit::NotNumber),
        Just(Unfit::Overflow),
        Just(Unfit::NotList),
        Just(Unfit::ValueTooLong),
        Just(Unfit::AnswerTooLong),
        Just(Unfit::IsList),
    ]
}

pub(crate) fn session() -> impl Strategy<Value = Session> {
    any::<[u64; 5]>().prop_map(|[id, lifetime, used_at, used_index, answered_below]| Session {
        id,
        lifetime,
        used_at,
        used_index,
        answered_below,
    })
}

pub(crate) fn session_reply() -> impl Strategy<Value = SessionReply> {
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

pub(crate) fn record() -> impl Strategy<Value = Record> {
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

pub(crate) fn snapshot_part() -> impl Strategy<Value = SnapshotPart> {
    prop_oneof![
        snapshot().prop_map(|snapshot| SnapshotPart::Begin { snapshot }),
        vec((bytes(), bytes()), 0..5).prop_map(SnapshotPart::Pairs),
        any::<(u64, u64)>().prop_map(|(pairs, state_hash)| SnapshotPart::End { pairs, state_hash }),
        (any::<u64>(), vec(session(), 0..4))
            .prop_map(|(time, sessions)| SnapshotPart::Sessions { time, sessions }),
        vec(session_reply(), 0..4).prop_map(SnapshotPart::Replies),
    ]
}
