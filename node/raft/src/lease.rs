//! Lease reads: a leader that a majority has just heard from answers reads without asking again (dissertation §6.4.1).
//!
//! A follower that hears from a leader lets no candidate disturb it for the least election time-out (stickiness, §4.2.3). So nobody else
//! can be elected, and nothing be committed that the leader doesn't know of, until that time has passed at a majority, counted from when
//! the leader *sent* what they heard. That is the lease. It is the only thing here that rests on clocks.
//!
//! # The drift bound
//!
//! The length of a lease is a setting, [`crate::Config::lease`]. What it must be: shorter than the time in which any server of the cluster
//! can count one tick less than `election_ticks_min`, on the clock of whoever leads. (One less, since a tick may come right behind a
//! heartbeat.) A clock that runs faster than another by more than the difference between the two makes stale reads possible.
//!
//! # Invariants
//!
//! - A lease counts from the moment before the first heartbeat of its round was sent, by the `now` that the driver tells: not by ticks,
//!   which stop while a process is stopped. Answers to an older round renew nothing.
//! - It belongs to one term. Whoever leads no more, has none.
//! - A leader that has asked another server to stand has no lease for the rest of its term. Who stands by transfer is heard by everybody
//!   at once, and the request may arrive at any later time (bug zoo, *lease-survives-transfer*).
//! - A server that starts may have promised a lease that it doesn't remember. Until the least election time-out has passed it sticks to a
//!   leader that it doesn't know: it grants no vote and no pre-vote (bug zoo, *lease-forgets-promise*).
//! - It does remember that there was a term to promise anything in: no promise leaves before the term in which it is given is durable.
//! - A promise outlives its leader's term: a server that hears of a later term from somebody else than its leader still grants no vote.
//! - A server that sticks to a leader does not stand on request either: its own vote is a vote.
//! - Leases are a setting of the cluster: where one server grants them, all must keep the promises.
//!
//! Times are no part of [`Raft`]: [`crate::RawNode`] keeps them in a [`LeaseTimes`], and asks here whether all the rest is given.

use crate::mutant::mutated;
use crate::protocol::Raft;
use crate::read::{ReadOutcome, ReadToken};
use crate::role::Role;
use crate::storage::Storage;
use crate::types::Term;
use core::time::Duration;

/// A round of heartbeats, which names the promises that the answers to it make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Round {
    /// The leader's term.
    pub term: Term,
    /// The rounds of a term are counted from 1.
    pub number: u64,
    /// Whether a majority has answered it.
    pub confirmed: bool,
}

impl<S: Storage> Raft<S> {
    /// The latest round that this server has begun as the leader of its term.
    pub fn latest_round(&self) -> Option<Round> {
        match &self.role {
            Role::Leader(leader) if leader.reads.round() > 0 => Some(Round {
                term: self.term,
                number: leader.reads.round(),
                confirmed: !leader.reads.is_open(),
            }),
            Role::Leader(_) | Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => None,
        }
    }

    /// Takes in a read while a lease runs, which the caller knows. Returns whether it did; else it is one for
    /// [`Raft::read_index`].
    pub fn read_by_lease(&mut self, token: ReadToken) -> bool {
        let may = self.may_read_by_lease();
        if may {
            let index = self.log.committed();
            self.read_outcomes.push(ReadOutcome::Confirmed { token, index });
        }
        may
    }

    /// Whether this server leads and may read without asking anybody, as far as times are not concerned.
    pub(crate) fn may_read_by_lease(&self) -> bool {
        let Role::Leader(leader) = &self.role else {
            return false;
        };
        let gave_way = leader.has_given_way && !mutated!(self.config, LeaseSurvivesTransfer);
        // Before that it doesn't know what is committed, as with every read.
        let knows_committed = self.log.committed() >= leader.term_start;
        self.config.lease.is_some() && !gave_way && knows_committed
    }

    /// Whether this server may have promised another one, as its leader, not to hear others.
    pub(crate) fn has_promised(&self) -> bool {
        let follows = match &self.role {
            Role::Follower(_) => true,
            Role::PreCandidate(_) | Role::Candidate(_) | Role::Leader(_) => false,
        };
        self.config.lease.is_some() && follows && self.sticks_to_leader()
    }
}

/// The times of a leader's rounds, by the driver's clock. [`crate::RawNode`] has one; who drives a [`Raft`] without it keeps one beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseTimes {
    /// `None` as long as the driver tells no time: then there are no leases.
    now: Option<Duration>,
    /// The latest round, and the time before its first heartbeat was sent, if it was known.
    begun: Option<(Term, u64, Option<Duration>)>,
    /// In which term a lease runs until when.
    until: Option<(Term, Duration)>,
}

impl LeaseTimes {
    /// It is `now`, by a clock that does not go back.
    pub fn time_is(&mut self, now: Duration) {
        self.now = self.now.max(Some(now));
    }

    /// Takes in how far the rounds are ([`Raft::latest_round`]), and how long a lease is; to be called whenever the former may have
    /// changed.
    pub fn observe(&mut self, latest: Option<Round>, length: Duration) {
        let Some(latest) = latest else {
            self.begun = None;
            self.until = None;
            return;
        };
        let begun_at = match self.begun {
            Some((term, number, at)) if (term, number) == (latest.term, latest.number) => at,
            Some(_) | None => {
                self.begun = Some((latest.term, latest.number, self.now));
                self.now
            }
        };
        if latest.confirmed
            && let Some(begun_at) = begun_at
        {
            self.until = Some((latest.term, begun_at.saturating_add(length)));
        }
    }

    /// Whether a lease of `term` runs.
    pub fn runs(&self, term: Term) -> bool {
        match (self.until, self.now) {
            (Some((of, until)), Some(now)) => of == term && now < until,
            (None, _) | (_, None) => false,
        }
    }
}
