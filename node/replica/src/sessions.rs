//! Clients' sessions: which of their commands were carried out, and what was answered (dissertation §6.3; RIFL, section 3).
//!
//! A client that got no answer asks again, perhaps another leader, and its command may then stand in the log twice. It is carried
//! out once: the second time, the answer of the first is given. So the table is part of the replicated state. It is changed by entries of
//! the log and by nothing else, and it is in snapshots and in the hash of the state.
//!
//! # Invariants
//!
//! - A command of a session is carried out at most once, whatever is forgotten: a session that has gone does not come back, since it is
//!   named by the index of an entry; one that is there knows each command in its window that was carried out; and what is below the window
//!   or above it is not carried out.
//! - Time is the leaders', as entries carry it, and does not go back. Which sessions are there does not depend on anybody's clock.
//!
//! # Bounds
//!
//! At most [`SESSIONS_MAX`] sessions: the one that would expire first makes room. At most [`SESSION_WINDOW`] answers in each. And
//! [`REPLY_BYTES_MAX`] for all answers together: beyond that, those of the session that would expire first are forgotten, and whoever
//! asks for one of them is told so. That they were given takes a bit for each, so all sessions together take some MiB beyond that.

mod marks;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use marks::Marks;
use rustc_hash::FxHasher;
use wire::limits::SESSION_WINDOW;
use wire::record::{self, Answer, Once, SessionReply, Unfit};

/// How many sessions there are, at most.
pub(crate) const SESSIONS_MAX: usize = 8192;

/// How many bytes the answers that are kept have together, at most, as they lie in snapshots and with [`REPLY_OVERHEAD_BYTES`] each.
pub(crate) const REPLY_BYTES_MAX: u64 = 16 << 20;

/// What an answer counts beside its bytes.
const REPLY_OVERHEAD_BYTES: u64 = 64;

/// What a session counts by itself, its answers apart: all that is kept of them when they are forgotten.
const SESSION_BYTES: u64 = 256;
const _: () = assert!(size_of::<Session>() + size_of::<(Expiry, u64)>() <= SESSION_BYTES as usize);

/// What was carried out, or why it could not be.
pub(crate) type Reply = Result<Answer, Unfit>;

/// Why a command of a session is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotNow {
    /// There is no such session.
    Expired,
    /// It was carried out before, and its answer is not there any more.
    Forgotten,
    /// It is too far ahead of what the client has answers to.
    BeyondWindow,
}

/// What is to be done with a command of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is new: carry it out, and [`Sessions::keep`] the answer.
    CarryOut,
    /// It was carried out, and this was the answer.
    Done(Reply),
    Not(NotNow),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    reply: Reply,
    bytes: u64,
    hash: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Session {
    lifetime: u64,
    used_at: u64,
    used_index: u64,
    answered_below: u64,
    /// The answers to commands from `answered_below` on that were carried out.
    replies: BTreeMap<u64, Kept>,
    /// Such commands of which the answer was forgotten.
    forgotten: Marks,
    /// What the answers that are kept count.
    bytes: u64,
}

/// When a session expires; those of one moment in the order in which they were used.
type Expiry = (u64, u64);

impl Session {
    fn expiry(&self) -> Expiry {
        (self.used_at.saturating_add(self.lifetime), self.used_index)
    }

    /// The commands from `first` on that were carried out, in their order, with the answer where it is kept.
    fn replies_from(&self, first: u64) -> impl Iterator<Item = (u64, Option<&Kept>)> {
        let mut kept = self.replies.range(first..).peekable();
        let mut forgotten = self.forgotten.from(self.answered_below, first).peekable();
        core::iter::from_fn(move || match (kept.peek(), forgotten.peek()) {
            (Some((sequence, _)), Some(other)) if other < sequence => {
                forgotten.next().map(|sequence| (sequence, None))
            }
            (Some(_), _) => kept.next().map(|(sequence, kept)| (*sequence, Some(kept))),
            (None, _) => forgotten.next().map(|sequence| (sequence, None)),
        })
    }

    /// Whether a command may be carried out by its number.
    fn is_in_window(&self, sequence: u64) -> bool {
        sequence >= self.answered_below && sequence - self.answered_below < SESSION_WINDOW
    }

    fn hash(&self, id: u64) -> u64 {
        let mut hasher = FxHasher::default();
        let Session {
            lifetime,
            used_at,
            used_index,
            answered_below,
            ..
        } = self;
        (id, lifetime, used_at, used_index, answered_below).hash(&mut hasher);
        hasher.finish()
    }
}

/// All sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sessions {
    /// Leaders' time, in milliseconds.
    time: u64,
    /// By id. An image shares them; only one that is used next is copied.
    table: BTreeMap<u64, Arc<Session>>,
    /// The ids by when they expire.
    by_expiry: BTreeMap<Expiry, u64>,
    /// Those of them that keep answers.
    keeping: BTreeMap<Expiry, u64>,
    bytes: u64,
    /// The sum of the hashes of all that is here.
    hash: u64,
}

impl Sessions {
    pub(crate) fn time(&self) -> u64 {
        self.time
    }

    /// Equal tables have equal hashes.
    pub(crate) fn hash(&self) -> u64 {
        self.hash.wrapping_add(time_hash(self.time))
    }

    /// About how many bytes all of it takes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes + self.table.len() as u64 * SESSION_BYTES
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.time == 0 && self.table.is_empty()
    }

    /// It is `time` now, for a leader at least; sessions that were not used for their lifetime are gone.
    pub(crate) fn time_is(&mut self, time: u64) {
        self.time = self.time.max(time);
        while let Some((&(expires_at, _), &id)) = self.by_expiry.first_key_value()
            && expires_at < self.time
        {
            self.remove(id);
        }
    }

    /// The entry at `index` opens a session.
    pub(crate) fn open(&mut self, index: u64, lifetime: u64) {
        while self.table.len() >= SESSIONS_MAX
            && let Some((_, &id)) = self.by_expiry.first_key_value()
        {
            self.remove(id);
        }
        self.insert(
            index,
            Session {
                lifetime,
                used_at: self.time,
                used_index: index,
                answered_below: 0,
                replies: BTreeMap::new(),
                forgotten: Marks::default(),
                bytes: 0,
            },
        );
    }

    /// Ends a session, if it is there.
    pub(crate) fn close(&mut self, id: u64) {
        self.remove(id);
    }

    /// The entry at `index` has a command of a session.
    pub(crate) fn judge(&mut self, index: u64, once: Once) -> Verdict {
        let Some(mut session) = self.take(once.session) else {
            return Verdict::Not(NotNow::Expired);
        };
        let used = Arc::make_mut(&mut session);
        (used.used_at, used.used_index) = (self.time, index);
        self.acknowledge(once.session, used, once.answered_below);
        let verdict = match used.replies.get(&once.sequence) {
            Some(kept) => Verdict::Done(kept.reply.clone()),
            None if once.sequence < used.answered_below => Verdict::Not(NotNow::Forgotten),
            None if !used.is_in_window(once.sequence) => Verdict::Not(NotNow::BeyondWindow),
            None if used.forgotten.contain(once.sequence) => Verdict::Not(NotNow::Forgotten),
            None => Verdict::CarryOut,
        };
        self.put(once.session, session);
        verdict
    }

    /// The client won't ask for answers below `answered_below` any more.
    fn acknowledge(&mut self, id: u64, session: &mut Session, answered_below: u64) {
        let before = session.answered_below;
        if answered_below <= before {
            return;
        }
        while let Some(first) = session.replies.first_entry()
            && *first.key() < answered_below
        {
            let kept = first.remove();
            self.uncount(session, &kept);
        }
        for sequence in before..answered_below.min(before.saturating_add(SESSION_WINDOW)) {
            if session.forgotten.remove(sequence) {
                self.hash = self.hash.wrapping_sub(forgotten_hash(id, sequence));
            }
        }
        session.answered_below = answered_below;
    }

    /// What was answered to a command that was to be carried out.
    pub(crate) fn keep(&mut self, once: Once, reply: &Reply) {
        let Some(mut session) = self.take(once.session) else {
            return;
        };
        let kept = kept(once.session, once.sequence, reply.clone());
        let keeper = Arc::make_mut(&mut session);
        keeper.bytes += kept.bytes;
        self.bytes += kept.bytes;
        self.hash = self.hash.wrapping_add(kept.hash);
        keeper.replies.insert(once.sequence, kept);
        self.put(once.session, session);
        while self.bytes > REPLY_BYTES_MAX
            && let Some((_, &id)) = self.keeping.first_key_value()
        {
            self.forget_replies(id);
        }
    }

    /// Forgets all answers of a session, and remembers that they were given.
    fn forget_replies(&mut self, id: u64) {
        let Some(mut session) = self.take(id) else {
            return;
        };
        let forgetful = Arc::make_mut(&mut session);
        for (sequence, kept) in core::mem::take(&mut forgetful.replies) {
            self.uncount(forgetful, &kept);
            forgetful.forgotten.insert(sequence);
            self.hash = self.hash.wrapping_add(forgotten_hash(id, sequence));
        }
        self.put(id, session);
    }

    fn uncount(&mut self, session: &mut Session, kept: &Kept) {
        session.bytes -= kept.bytes;
        self.bytes -= kept.bytes;
        self.hash = self.hash.wrapping_sub(kept.hash);
    }

    fn insert(&mut self, id: u64, session: Session) {
        self.put(id, Arc::new(session));
    }

    /// Takes a session out, to be changed and [`Sessions::put`] back; its answers stay counted.
    fn take(&mut self, id: u64) -> Option<Arc<Session>> {
        let session = self.table.remove(&id)?;
        self.by_expiry.remove(&session.expiry());
        self.keeping.remove(&session.expiry());
        self.hash = self.hash.wrapping_sub(session.hash(id));
        Some(session)
    }

    fn put(&mut self, id: u64, session: Arc<Session>) {
        self.hash = self.hash.wrapping_add(session.hash(id));
        self.by_expiry.insert(session.expiry(), id);
        if session.bytes > 0 {
            self.keeping.insert(session.expiry(), id);
        }
        self.table.insert(id, session);
    }

    fn remove(&mut self, id: u64) {
        if let Some(mut session) = self.take(id) {
            let session = Arc::make_mut(&mut session);
            while let Some((_, kept)) = session.replies.pop_first() {
                self.uncount(session, &kept);
            }
            for sequence in session.forgotten.from(session.answered_below, 0) {
                self.hash = self.hash.wrapping_sub(forgotten_hash(id, sequence));
            }
        }
    }

    /// The sessions behind `id`, as a snapshot has them.
    pub(crate) fn behind(&self, id: Option<u64>) -> impl Iterator<Item = record::Session> {
        let from = id.map_or(0, |id| id.saturating_add(1));
        self.table.range(from..).map(|(id, session)| record::Session {
            id: *id,
            lifetime: session.lifetime,
            used_at: session.used_at,
            used_index: session.used_index,
            answered_below: session.answered_below,
        })
    }

    /// The answers behind the one of that session and sequence, as a snapshot has them, and what each counts.
    pub(crate) fn replies_behind(
        &self,
        place: Option<(u64, u64)>,
    ) -> impl Iterator<Item = (SessionReply, u64)> {
        let (first, after) = place.map_or((0, None), |(session, sequence)| (session, Some(sequence)));
        self.table.range(first..).flat_map(move |(id, session)| {
            let from = match after {
                Some(sequence) if *id == first => sequence.saturating_add(1),
                Some(_) | None => 0,
            };
            session.replies_from(from).map(move |(sequence, kept)| {
                let reply = SessionReply {
                    session: *id,
                    sequence,
                    answer: kept.map(|kept| kept.reply.clone()),
                };
                (reply, kept.map_or(REPLY_OVERHEAD_BYTES, |kept| kept.bytes))
            })
        })
    }

    /// Takes in what a snapshot has of sessions.
    pub(crate) fn load(&mut self, time: u64, sessions: Vec<record::Session>) {
        self.time = time;
        for session in sessions {
            let record::Session {
                id,
                lifetime,
                used_at,
                used_index,
                answered_below,
            } = session;
            self.remove(id);
            self.insert(
                id,
                Session {
                    lifetime,
                    used_at,
                    used_index,
                    answered_below,
                    replies: BTreeMap::new(),
                    forgotten: Marks::default(),
                    bytes: 0,
                },
            );
        }
    }

    /// Takes in an answer that a snapshot has. Returns whether it has its session, is in the window of it, and is there once.
    pub(crate) fn load_reply(&mut self, reply: SessionReply) -> bool {
        let SessionReply {
            session: id,
            sequence,
            answer,
        } = reply;
        let Some(mut session) = self.take(id) else {
            return false;
        };
        let keeper = Arc::make_mut(&mut session);
        let is_new = keeper.is_in_window(sequence)
            && !keeper.replies.contains_key(&sequence)
            && !keeper.forgotten.contain(sequence);
        match answer {
            Some(answer) if is_new => {
                let kept = kept(id, sequence, answer);
                keeper.bytes += kept.bytes;
                self.bytes += kept.bytes;
                self.hash = self.hash.wrapping_add(kept.hash);
                keeper.replies.insert(sequence, kept);
            }
            None if is_new => {
                self.hash = self.hash.wrapping_add(forgotten_hash(id, sequence));
                keeper.forgotten.insert(sequence);
            }
            Some(_) | None => {}
        }
        self.put(id, session);
        is_new
    }
}

fn kept(session: u64, sequence: u64, reply: Reply) -> Kept {
    let encoded = wire::encode(&reply);
    let mut hasher = FxHasher::default();
    (session, sequence).hash(&mut hasher);
    hasher.write(&encoded);
    Kept {
        reply,
        bytes: encoded.len() as u64 + REPLY_OVERHEAD_BYTES,
        hash: hasher.finish(),
    }
}

fn forgotten_hash(session: u64, sequence: u64) -> u64 {
    let mut hasher = FxHasher::default();
    (session, sequence, "forgotten").hash(&mut hasher);
    hasher.finish()
}

/// None before any time has passed: a state without sessions has the hash of its map.
fn time_hash(time: u64) -> u64 {
    let mut hasher = FxHasher::default();
    time.hash(&mut hasher);
    if time == 0 { 0 } else { hasher.finish() }
}

#[cfg(test)]
mod tests;
