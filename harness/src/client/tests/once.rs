//! Commands of a session.

use super::*;
use crate::client::session::SENT_MAX;
use wire::record::Once;

const APPEND: Op = Op::AppendOnce {
    key: 7,
    piece: 3,
    is_doubled: false,
};

fn opened() -> Act {
    Act::Answer(Ok(Reply::SessionOpened {
        session: 5,
        lifetime: 60_000,
    }))
}

fn appended() -> Act {
    Act::Answer(Ok(Reply::Length(2)))
}

/// Session and number of every command that a node has seen, in order.
fn numbers(node: &Fake) -> Vec<(u64, u64)> {
    let seen = node.seen.lock().unwrap();
    let once = seen.iter().filter_map(|body| {
        if let RequestBody::Command { once, .. } = body {
            return once.map(
                |Once {
                     session, sequence, ..
                 }| (session, sequence),
            );
        }
        assert_eq!(*body, RequestBody::OpenSession);
        None
    });
    once.collect()
}

#[tokio::test]
async fn what_is_not_answered_is_sent_again_under_its_number_and_the_next_has_another() {
    let node = Fake::start([opened(), Act::Ignore, Act::Hang, appended(), appended()]).await;
    let mut client = node.client(HASTY);
    let written = Completion::Ok(Ret::Written);
    assert_eq!(invoke(&mut client, &APPEND).await, written);
    assert_eq!(invoke(&mut client, &APPEND).await, written);
    assert_eq!(numbers(&node), [(5, 1), (5, 1), (5, 1), (5, 2)]);
}

#[tokio::test]
async fn what_is_never_answered_is_in_doubt_and_its_number_is_not_used_again() {
    let hangs = std::iter::repeat_n(Act::Hang, SENT_MAX);
    let node = Fake::start(std::iter::once(opened()).chain(hangs).chain([appended()])).await;
    let mut client = node.client(PATIENT);
    in_doubt(&invoke(&mut client, &APPEND).await);
    assert_eq!(invoke(&mut client, &APPEND).await, Completion::Ok(Ret::Written));
    assert_eq!(numbers(&node).last(), Some(&(5, 2)));
}

#[tokio::test]
async fn a_session_that_has_expired_is_a_failure_unless_something_was_sent_before() {
    let expired = Act::Answer(Err(Error::SessionExpired));
    let node = Fake::start([
        opened(),
        expired.clone(),
        opened(),
        Act::Hang,
        expired,
        opened(),
        appended(),
    ])
    .await;
    let mut client = node.client(PATIENT);
    assert!(failed(&invoke(&mut client, &APPEND).await).contains("expired"));
    assert!(in_doubt(&invoke(&mut client, &APPEND).await).contains("expired"));
    assert_eq!(invoke(&mut client, &APPEND).await, Completion::Ok(Ret::Written));
}

#[tokio::test]
async fn a_refusal_after_a_time_out_leaves_the_command_in_doubt() {
    let refusals = std::iter::repeat_n(Act::Answer(Err(Error::Busy)), SENT_MAX - 1);
    let node = Fake::start([opened(), Act::Hang].into_iter().chain(refusals)).await;
    in_doubt(&invoke(&mut node.client(PATIENT), &APPEND).await);
    let refusals = std::iter::repeat_n(Act::Answer(Err(Error::Busy)), SENT_MAX);
    let node = Fake::start(std::iter::once(opened()).chain(refusals)).await;
    failed(&invoke(&mut node.client(PATIENT), &APPEND).await);
}

#[tokio::test]
async fn what_is_doubled_is_sent_twice_in_a_row_under_one_number() {
    let node = Fake::start([opened(), appended(), appended()]).await;
    let doubled = Op::AppendOnce {
        key: 7,
        piece: 3,
        is_doubled: true,
    };
    let mut client = node.client(PATIENT);
    assert_eq!(invoke(&mut client, &doubled).await, Completion::Ok(Ret::Written));
    assert_eq!(numbers(&node), [(5, 1), (5, 1)]);
}
