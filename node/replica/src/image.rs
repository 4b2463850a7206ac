//! The state machine as a snapshot has it, in parts.

use crate::machine::StateMachine;
use crate::map::Place;
use alloc::vec::Vec;
use wire::record::SnapshotPart;

/// How many bytes one part holds, about; a larger pair or answer has one of its own.
const PART_BYTES: u64 = 128 << 10;

/// What a session takes in a part, about.
const SESSION_BYTES: u64 = 32;

/// Which part comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cursor {
    Pairs(Place),
    /// Sessions behind this one.
    Sessions(Option<u64>),
    /// Answers behind that of this session and sequence.
    Replies(Option<(u64, u64)>),
    End,
}

impl Cursor {
    /// Where all parts begin, but for the one that says what they stand for.
    pub(crate) fn begin() -> Cursor {
        Cursor::Pairs(Place::default())
    }
}

/// Takes from `items`, each with its size, until a part is full.
fn fill<T>(items: impl Iterator<Item = (T, u64)>) -> (Vec<T>, bool) {
    let (mut taken, mut bytes) = (Vec::new(), 0);
    for (item, size) in items {
        taken.push(item);
        bytes += size;
        if bytes >= PART_BYTES {
            return (taken, true);
        }
    }
    (taken, false)
}

impl StateMachine {
    /// The part at `cursor`, and where the next one is; `None` behind the last.
    pub(crate) fn part(&self, mut cursor: Cursor) -> (SnapshotPart, Option<Cursor>) {
        loop {
            let (part, next) = self.part_or_nothing(&cursor);
            match (part, next) {
                (Some(part), next) => return (part, next),
                (None, Some(next)) => cursor = next,
                (None, None) => unreachable!("the end is always a part"),
            }
        }
    }

    fn part_or_nothing(&self, cursor: &Cursor) -> (Option<SnapshotPart>, Option<Cursor>) {
        match cursor {
            Cursor::Pairs(place) => {
                let pairs = self.map.pairs_behind(place).map(|(place, key, value)| {
                    let bytes = (key.len() + value.len()) as u64;
                    ((place, (key.clone(), value.clone())), bytes)
                });
                let (taken, full) = fill(pairs);
                let last = taken.last().map(|(place, _)| Cursor::Pairs(place.clone()));
                let next = last.filter(|_| full).unwrap_or(Cursor::Sessions(None));
                let pairs: Vec<_> = taken.into_iter().map(|(_, pair)| pair).collect();
                (
                    (!pairs.is_empty()).then_some(SnapshotPart::Pairs(pairs)),
                    Some(next),
                )
            }
            Cursor::Sessions(last) => {
                let sessions = self
                    .sessions
                    .behind(*last)
                    .map(|session| (session, SESSION_BYTES));
                let (sessions, full) = fill(sessions);
                let last_now = sessions.last().map(|session| Cursor::Sessions(Some(session.id)));
                let next = last_now.filter(|_| full).unwrap_or(Cursor::Replies(None));
                // Time is told even where nobody has a session any more.
                let tells = !sessions.is_empty() || (last.is_none() && !self.sessions.is_fresh());
                let time = self.sessions.time();
                (
                    tells.then_some(SnapshotPart::Sessions { time, sessions }),
                    Some(next),
                )
            }
            Cursor::Replies(last) => {
                let (replies, full) = fill(self.sessions.replies_behind(*last));
                let last_now = replies
                    .last()
                    .map(|reply| Cursor::Replies(Some((reply.session, reply.sequence))));
                let next = last_now.filter(|_| full).unwrap_or(Cursor::End);
                (
                    (!replies.is_empty()).then_some(SnapshotPart::Replies(replies)),
                    Some(next),
                )
            }
            Cursor::End => {
                let end = SnapshotPart::End {
                    pairs: self.pairs(),
                    state_hash: self.state_hash(),
                };
                (Some(end), None)
            }
        }
    }

    /// In an image, lets go of what lies before `next`, and was written down.
    pub(crate) fn let_go_before(&mut self, next: &Cursor) {
        match next {
            Cursor::Pairs(place) => self.map.let_go(Some(place)),
            Cursor::Sessions(_) | Cursor::Replies(_) | Cursor::End => self.map.let_go(None),
        }
    }

    /// Takes a part in. Returns whether it was the last.
    ///
    /// # Errors
    /// It does not fit what came before, in words.
    pub(crate) fn take_in(&mut self, part: SnapshotPart) -> Result<bool, &'static str> {
        match part {
            SnapshotPart::Begin { .. } => Err("it begins twice"),
            SnapshotPart::Pairs(pairs) => {
                for (key, value) in pairs {
                    self.map.put(&key, &value);
                }
                Ok(false)
            }
            SnapshotPart::Sessions { time, sessions } => {
                self.sessions.load(time, sessions);
                Ok(false)
            }
            SnapshotPart::Replies(replies) => {
                let all_fit = replies.into_iter().all(|reply| self.sessions.load_reply(reply));
                if all_fit {
                    Ok(false)
                } else {
                    Err("it holds an answer of no session, or one twice")
                }
            }
            SnapshotPart::End { pairs, state_hash } => {
                if (self.pairs(), self.state_hash()) == (pairs, state_hash) {
                    Ok(true)
                } else {
                    Err("it does not hold the state that its end speaks of")
                }
            }
        }
    }
}
