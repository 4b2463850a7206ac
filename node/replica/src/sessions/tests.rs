//! Sessions against a plain table, and their bounds.

use crate::image::Cursor;
use crate::machine::{Rejection, StateMachine};
use crate::sessions::{NotNow, REPLY_BYTES_MAX, Reply, SESSIONS_MAX, Sessions, Verdict};
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use proptest::prelude::*;
use raft::Index;
use wire::limits::SESSION_WINDOW;
use wire::record::{Answer, Command, End, Invocation, Once, Operation, SessionReply};

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
    let sessions: Vec<u64> = (0..=REPLY_BYTES_MAX / ITEM_BYTES as u64)
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

/// What is kept of a session by its window: which commands were carried out, and their answers where they were not forgotten.
#[derive(Clone, Debug, Default)]
struct Window {
    answered_below: u64,
    replies: BTreeMap<u64, Option<Reply>>,
}

impl Window {
    fn judge(&mut self, sequence: u64, answered_below: u64) -> Verdict {
        self.answered_below = self.answered_below.max(answered_below);
        self.replies = self.replies.split_off(&self.answered_below);
        match self.replies.get(&sequence) {
            Some(Some(reply)) => Verdict::Done(reply.clone()),
            Some(None) => Verdict::Not(NotNow::Forgotten),
            None if sequence < self.answered_below => Verdict::Not(NotNow::Forgotten),
            None if sequence >= self.answered_below + SESSION_WINDOW => Verdict::Not(NotNow::BeyondWindow),
            None => Verdict::CarryOut,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Turn {
    Command { sequence: u64, answered_below: u64 },
    Forget,
}

fn turn() -> impl Strategy<Value = Turn> {
    let near = 0..SESSION_WINDOW + 70;
    let command =
        (near.clone(), prop_oneof![4 => Just(0), 1 => near]).prop_map(|(sequence, answered_below)| {
            Turn::Command {
                sequence,
                answered_below,
            }
        });
    prop_oneof![12 => command, 1 => Just(Turn::Forget)]
}

/// A session as it comes out of a snapshot.
fn loaded(sessions: &Sessions) -> Sessions {
    let mut loaded = Sessions::default();
    loaded.load(sessions.time(), sessions.behind(None).collect());
    for (reply, _) in sessions.replies_behind(None) {
        assert!(loaded.load_reply(reply));
    }
    loaded
}

proptest! {
    #[test]
    fn what_was_forgotten_is_remembered_as_carried_out(turns in proptest::collection::vec(turn(), 1..200)) {
        const SESSION: u64 = 1;
        let mut sessions = Sessions::default();
        sessions.open(SESSION, 10);
        let fresh = sessions.hash();
        let mut window = Window::default();
        for turn in turns {
            match turn {
                Turn::Command { sequence, answered_below } => {
                    let once = Once { session: SESSION, sequence, answered_below };
                    let verdict = window.judge(sequence, answered_below);
                    prop_assert_eq!(&sessions.judge(SESSION, once), &verdict);
                    if verdict == Verdict::CarryOut {
                        let reply = Ok(Answer::Sum(i64::try_from(window.replies.len()).unwrap()));
                        sessions.keep(once, &reply);
                        window.replies.insert(sequence, Some(reply));
                    }
                }
                Turn::Forget => {
                    sessions.forget_replies(SESSION);
                    window.replies.values_mut().for_each(|reply| *reply = None);
                }
            }
        }
        let listed: Vec<_> = sessions.replies_behind(None).map(|(reply, _)| (reply.sequence, reply.answer)).collect();
        prop_assert_eq!(listed, window.replies.into_iter().collect::<Vec<_>>());
        let mut loaded = loaded(&sessions);
        prop_assert_eq!(&loaded, &sessions);
        // Nothing is left of it in the hash when it is gone, so what it has there was counted and uncounted alike.
        sessions.close(SESSION);
        loaded.close(SESSION);
        prop_assert_eq!(sessions.hash(), Sessions::default().hash());
        prop_assert_eq!(loaded, sessions.clone());
        sessions.open(SESSION, 10);
        prop_assert_eq!(sessions.hash(), fresh);
    }
}

#[test]
fn an_answer_outside_the_window_of_its_session_is_not_taken_from_a_snapshot() {
    let mut sessions = Sessions::default();
    sessions.open(1, 10);
    let answered = Once {
        session: 1,
        sequence: 9,
        answered_below: 5,
    };
    assert_eq!(sessions.judge(1, answered), Verdict::CarryOut);
    let mut load = |sequence, answer: Option<Reply>| {
        sessions.load_reply(SessionReply {
            session: 1,
            sequence,
            answer,
        })
    };
    for answer in [None, Some(Ok(Answer::Written))] {
        for outside in [0, 4, 5 + SESSION_WINDOW, u64::MAX] {
            assert!(!load(outside, answer.clone()), "{outside}");
        }
    }
    assert!(load(5, None));
    assert!(!load(5, Some(Ok(Answer::Written))), "it is there");
    assert!(load(4 + SESSION_WINDOW, Some(Ok(Answer::Written))));
    assert!(!load(4 + SESSION_WINDOW, None), "it is there");
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
