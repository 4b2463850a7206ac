//! Sessions against a plain table, and their bounds.

use crate::image::Cursor;
use crate::machine::{Rejection, StateMachine};
use crate::sessions::{REPLY_BYTES_MAX, SESSIONS_MAX};
use alloc::collections::BTreeMap;
use alloc::vec;
use bytes::Bytes;
use proptest::prelude::*;
use raft::Index;
use wire::limits::SESSION_WINDOW;
use wire::record::{Answer, Command, End, Invocation, Once, Operation};

/// A state machine, and the index of the last entry that it was given.
#[derive(Clone, Debug, Default)]
struct Applied {
    machine: StateMachine,
    index: u64,
}

impl Applied {
    fn invoke(&mut self, invocation: Invocation) -> Result<Answer, Rejection> {
        self.index += 1;
        self.machine.invoke(Index(self.index), invocation)
    }

    fn open(&mut self, time: u64, lifetime: u64) -> u64 {
        let opened = self.invoke(Invocation::OpenSession { time, lifetime });
        assert!(matches!(opened, Ok(Answer::SessionOpened { session, .. }) if session == self.index));
        self.index
    }

    fn give(
        &mut self,
        time: u64,
        (session, sequence, answered_below): (u64, u64, u64),
        command: Command,
    ) -> Result<Answer, Rejection> {
        let once = Once {
            session,
            sequence,
            answered_below,
        };
        self.invoke(Invocation::Once { once, time, command })
    }

    /// Adds one to the counter.
    fn count(&mut self, time: u64, once: (u64, u64, u64)) -> Result<Answer, Rejection> {
        self.give(time, once, add_one())
    }

    fn counted(&self) -> Option<Bytes> {
        self.machine.get(b"n")
    }

    /// What a snapshot of it brings to another node.
    fn carried_over(&self) -> StateMachine {
        let mut machine = StateMachine::default();
        let mut cursor = Some(Cursor::begin());
        while let Some(at) = cursor {
            let (part, next) = self.machine.part(at);
            assert_eq!(machine.take_in(part), Ok(next.is_none()));
            cursor = next;
        }
        machine
    }
}

fn add_one() -> Command {
    Command::Operation(Operation::Add {
        key: Bytes::from_static(b"n"),
        amount: 1,
    })
}

#[test]
fn a_command_that_comes_again_is_answered_as_before_and_not_carried_out() {
    let mut applied = Applied::default();
    let session = applied.open(0, 10);
    for _ in 0..3 {
        assert_eq!(applied.count(1, (session, 7, 0)), Ok(Answer::Sum(1)));
    }
    assert_eq!(applied.count(1, (session, 8, 0)), Ok(Answer::Sum(2)));
    assert_eq!(applied.count(1, (session, 7, 0)), Ok(Answer::Sum(1)));
    assert_eq!(applied.counted(), Some(Bytes::from_static(b"2")));
}

#[test]
fn what_could_not_be_carried_out_is_answered_so_again_even_if_it_could_be_now() {
    let mut applied = Applied::default();
    let session = applied.open(0, 10);
    let put = |value| Command::Put {
        key: Bytes::from_static(b"n"),
        value: Bytes::from_static(value),
    };
    applied.invoke(Invocation::Plain(put(b"x"))).unwrap();
    let refused = applied.count(0, (session, 1, 0));
    assert!(matches!(refused, Err(Rejection::Unfit(_))));
    applied.invoke(Invocation::Plain(put(b"1"))).unwrap();
    assert_eq!(applied.count(0, (session, 1, 0)), refused);
    assert_eq!(applied.counted(), Some(Bytes::from_static(b"1")));
}

#[test]
fn what_is_acknowledged_is_forgotten_and_not_carried_out_again() {
    let mut applied = Applied::default();
    let session = applied.open(0, 10);
    for sequence in 1..=3 {
        applied.count(0, (session, sequence, sequence)).unwrap();
    }
    for sequence in 1..=2 {
        assert_eq!(
            applied.count(0, (session, sequence, 0)),
            Err(Rejection::ReplyForgotten)
        );
    }
    assert_eq!(applied.count(0, (session, 3, 0)), Ok(Answer::Sum(3)));
    assert_eq!(applied.counted(), Some(Bytes::from_static(b"3")));
}

#[test]
fn a_command_beyond_the_window_is_refused_and_may_come_again_later() {
    let mut applied = Applied::default();
    let session = applied.open(0, 10);
    let beyond = 5 + SESSION_WINDOW;
    assert_eq!(
        applied.count(0, (session, beyond, 5)),
        Err(Rejection::BeyondWindow)
    );
    assert_eq!(applied.count(0, (session, beyond - 1, 5)), Ok(Answer::Sum(1)));
    assert_eq!(applied.count(0, (session, beyond, 6)), Ok(Answer::Sum(2)));
}

#[test]
fn a_session_that_is_not_used_expires_by_the_leaders_time_and_does_not_come_back() {
    let mut applied = Applied::default();
    let session = applied.open(100, 10);
    assert_eq!(applied.count(110, (session, 1, 1)), Ok(Answer::Sum(1)));
    // Time does not go back, whatever a new leader thinks.
    assert_eq!(applied.count(3, (session, 2, 1)), Ok(Answer::Sum(2)));
    assert_eq!(
        applied.count(121, (session, 1, 1)),
        Err(Rejection::SessionExpired)
    );
    assert_eq!(applied.count(0, (session, 3, 1)), Err(Rejection::SessionExpired));
    assert_eq!(applied.counted(), Some(Bytes::from_static(b"2")));
    assert_eq!(applied.machine.sessions(), 0);
    let never = applied.index + 1;
    assert_eq!(applied.count(0, (never, 1, 1)), Err(Rejection::SessionExpired));
}

#[test]
fn a_session_that_was_ended_is_gone() {
    let mut applied = Applied::default();
    let session = applied.open(0, 10);
    applied.count(0, (session, 1, 1)).unwrap();
    for _ in 0..2 {
        let close = Invocation::CloseSession { session, time: 0 };
        assert_eq!(applied.invoke(close), Ok(Answer::SessionClosed));
    }
    assert_eq!(applied.count(0, (session, 1, 1)), Err(Rejection::SessionExpired));
}

#[test]
fn the_session_that_would_expire_first_makes_room() {
    let mut applied = Applied::default();
    let first = applied.open(0, 100);
    let second = applied.open(0, 100);
    applied.count(1, (first, 1, 1)).unwrap();
    for _ in 0..SESSIONS_MAX - 2 {
        applied.open(1, 100);
    }
    assert_eq!(applied.machine.sessions(), SESSIONS_MAX);
    applied.open(1, 100);
    assert_eq!(applied.machine.sessions(), SESSIONS_MAX);
    assert_eq!(applied.count(1, (second, 1, 1)), Err(Rejection::SessionExpired));
    assert_eq!(applied.count(1, (first, 1, 1)), Ok(Answer::Sum(1)));
}

#[test]
fn answers_beyond_their_bound_are_forgotten_and_their_commands_not_carried_out_again() {
    const ITEM_BYTES: usize = 1 << 20;
    let mut applied = Applied::default();
    let (key, item) = (Bytes::from_static(b"l"), Bytes::from(vec![7; ITEM_BYTES - 128]));
    let push = Command::Operation(Operation::Push {
        key: key.clone(),
        item,
        end: End::Back,
    });
    let pop = || {
        Command::Operation(Operation::Pop {
            key: key.clone(),
            end: End::Front,
        })
    };
    let sessions: alloc::vec::Vec<u64> = (0..=REPLY_BYTES_MAX / ITEM_BYTES as u64)
        .map(|_| {
            let session = applied.open(0, 10);
            applied.invoke(Invocation::Plain(push.clone())).unwrap();
            let popped = applied.give(0, (session, 1, 1), pop());
            assert!(matches!(popped, Ok(Answer::Value(Some(_)))));
            session
        })
        .collect();
    applied.invoke(Invocation::Plain(push)).unwrap();
    let again = |applied: &mut Applied, session| applied.give(0, (session, 1, 1), pop());
    assert_eq!(applied.carried_over(), applied.machine);
    assert_eq!(again(&mut applied, sessions[0]), Err(Rejection::ReplyForgotten));
    assert!(again(&mut applied, sessions[1]).is_ok());
    assert!(applied.machine.get(b"l").is_some(), "nothing was popped again");
}

/// Sessions as one would write them down.
#[derive(Clone, Debug, Default)]
struct Plain {
    time: u64,
    count: i64,
    sessions: BTreeMap<u64, PlainSession>,
}

#[derive(Clone, Debug)]
struct PlainSession {
    lifetime: u64,
    used_at: u64,
    answered_below: u64,
    answers: BTreeMap<u64, i64>,
}

impl Plain {
    fn time_is(&mut self, time: u64) {
        self.time = self.time.max(time);
        let now = self.time;
        self.sessions
            .retain(|_, session| session.used_at + session.lifetime >= now);
    }

    fn count(&mut self, (session, sequence, answered_below): (u64, u64, u64)) -> Result<Answer, Rejection> {
        let session = self.sessions.get_mut(&session).ok_or(Rejection::SessionExpired)?;
        session.used_at = self.time;
        session.answered_below = session.answered_below.max(answered_below);
        if sequence < session.answered_below {
            return Err(Rejection::ReplyForgotten);
        }
        if sequence >= session.answered_below + SESSION_WINDOW {
            return Err(Rejection::BeyondWindow);
        }
        let count = &mut self.count;
        let answer = session.answers.entry(sequence).or_insert_with(|| {
            *count += 1;
            *count
        });
        Ok(Answer::Sum(*answer))
    }
}

#[derive(Clone, Debug)]
enum Step {
    Open {
        time: u64,
        lifetime: u64,
    },
    Close {
        time: u64,
        session: u64,
    },
    Count {
        time: u64,
        session: u64,
        sequence: u64,
        answered_below: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let sequence = prop_oneof![20 => 0..6_u64, 1 => SESSION_WINDOW - 2..SESSION_WINDOW + 4];
    prop_oneof![
        1 => (0..60_u64, 1..20_u64).prop_map(|(time, lifetime)| Step::Open { time, lifetime }),
        1 => (0..60_u64, 1..30_u64).prop_map(|(time, session)| Step::Close { time, session }),
        8 => (0..60_u64, 1..12_u64, sequence, 0..4_u64).prop_map(|(time, session, sequence, answered_below)| {
            Step::Count { time, session, sequence, answered_below }
        }),
    ]
}

proptest! {
    #[test]
    fn sessions_are_as_one_would_write_them_down_and_a_snapshot_has_all_of_them(
        steps in proptest::collection::vec(step(), 1..60)
    ) {
        let mut applied = Applied::default();
        let mut plain = Plain::default();
        for step in steps {
            match step {
                Step::Open { time, lifetime } => {
                    let session = applied.open(time, lifetime);
                    plain.time_is(time);
                    let used_at = plain.time;
                    let opened = PlainSession { lifetime, used_at, answered_below: 0, answers: BTreeMap::new() };
                    plain.sessions.insert(session, opened);
                }
                Step::Close { time, session } => {
                    prop_assert_eq!(
                        applied.invoke(Invocation::CloseSession { session, time }),
                        Ok(Answer::SessionClosed)
                    );
                    plain.time_is(time);
                    plain.sessions.remove(&session);
                }
                Step::Count { time, session, sequence, answered_below } => {
                    plain.time_is(time);
                    let once = (session, sequence, answered_below);
                    prop_assert_eq!(applied.count(time, once), plain.count(once));
                }
            }
            prop_assert_eq!(applied.machine.sessions(), plain.sessions.len());
        }
        // What is in force is equal, the hash that it is kept by included; and goes on alike.
        let mut carried = Applied { machine: applied.carried_over(), index: applied.index };
        prop_assert_eq!(&carried.machine, &applied.machine);
        prop_assert_eq!(carried.machine.state_hash(), applied.machine.state_hash());
        for session in 1..12 {
            let once = (session, 2, 0);
            prop_assert_eq!(carried.count(0, once), applied.count(0, once));
        }
        prop_assert_eq!(carried.machine.state_hash(), applied.machine.state_hash());
    }
}
