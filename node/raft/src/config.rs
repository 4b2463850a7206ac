//! Settings.

use crate::forward::Life;
use crate::types::NodeId;
use core::ops::Deref;
use core::time::Duration;

/// The settings of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// This server.
    pub id: NodeId,
    /// Whether a server asks if it could win before it disturbs anybody with a new term (dissertation §9.6).
    pub pre_vote: bool,
    /// Whether a leader that hears from no majority steps down, and whether servers that hear from a leader refuse
    /// candidates (dissertation §6.2, §4.2.3). The two go together: stickiness without stepping down could leave a cluster with
    /// a leader that no majority can reach and that nobody may replace.
    pub check_quorum: bool,
    /// How many entries one append carries at most.
    pub append_entries_max: usize,
    /// How many bytes of entries one append carries at most; a larger single entry is sent alone.
    pub append_bytes_max: usize,
    /// How many append messages to one follower are in flight at most.
    pub in_flight_messages_max: usize,
    /// How many bytes of entries to one follower are in flight at most; one message may exceed it.
    pub in_flight_bytes_max: usize,
    /// How many bytes a leader takes in beyond what is committed, and applied here; past it a proposal is refused as busy.
    pub uncommitted_bytes_max: usize,
    /// How many bytes of committed entries one [`crate::Ready`] hands out.
    pub apply_bytes_max: usize,
    /// Whether only a learner that keeps up may be made a voter (dissertation §4.2.1).
    pub promote_caught_up_only: bool,
    /// For how long a leader that a majority has heard from answers reads without asking again; `None`: never. It must be shorter
    /// than the time in which any server counts `election_ticks_min - 1` ticks, by as much as clocks may drift apart. A setting of the
    /// cluster: every server must have it, or none.
    pub lease: Option<Duration>,
    /// Names this life of the server, if it is to take reads in while it follows: see `forward.rs`. It must not be one that an earlier life
    /// of the server had, as long as messages of that may still arrive. `None`: only leaders take reads in.
    pub life: Option<Life>,
    /// The bug that is seeded into this server, for testing the tests.
    #[cfg(feature = "mutants")]
    pub mutant: Option<crate::Mutant>,
}

impl Config {
    /// The settings for `id` that suit a server.
    pub fn new(id: NodeId) -> Config {
        Config {
            id,
            pre_vote: true,
            check_quorum: true,
            append_entries_max: 4096,
            append_bytes_max: 256 << 10,
            in_flight_messages_max: 64,
            in_flight_bytes_max: 1 << 20,
            uncommitted_bytes_max: 16 << 20,
            apply_bytes_max: 1 << 20,
            promote_caught_up_only: true,
            lease: None,
            life: None,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// Whether the settings can work.
    ///
    /// # Errors
    /// A limit is zero, or there are leases without what they rest on.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.lease.is_some() && !self.check_quorum {
            return Err(ConfigError::LeaseWithoutCheckQuorum);
        }
        let limits = [
            ("append_entries_max", self.append_entries_max),
            ("append_bytes_max", self.append_bytes_max),
            ("in_flight_messages_max", self.in_flight_messages_max),
            ("in_flight_bytes_max", self.in_flight_bytes_max),
            ("uncommitted_bytes_max", self.uncommitted_bytes_max),
            ("apply_bytes_max", self.apply_bytes_max),
        ];
        match limits.into_iter().find(|(_, limit)| *limit == 0) {
            Some((name, _)) => Err(ConfigError::ZeroLimit(name)),
            None => Ok(()),
        }
    }
}

/// Time-outs, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The least election time-out: as long a follower sticks to a leader it heard from, and as often a leader checks that it
    /// heard from a majority since the last check. (So one that is cut off steps down after this time to twice this time.)
    pub election_ticks_min: u32,
    /// The election time-out is drawn from `election_ticks_min..=election_ticks_max`.
    pub election_ticks_max: u32,
    /// How often a leader sends heartbeats.
    pub heartbeat_ticks: u32,
}

/// At a tick of 100 ms: an election after 1 to 2 s, heartbeats every 300 ms.
impl Default for Timing {
    fn default() -> Self {
        Timing {
            election_ticks_min: 10,
            election_ticks_max: 20,
            heartbeat_ticks: 3,
        }
    }
}

impl Timing {
    /// Whether the time-outs can work.
    ///
    /// # Errors
    /// Heartbeats would not come before an election, or the range of election time-outs is empty.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.heartbeat_ticks == 0 {
            return Err(ConfigError::ZeroLimit("heartbeat_ticks"));
        }
        if self.heartbeat_ticks >= self.election_ticks_min {
            return Err(ConfigError::HeartbeatTooSlow {
                heartbeat_ticks: self.heartbeat_ticks,
                election_ticks_min: self.election_ticks_min,
            });
        }
        if self.election_ticks_min >= self.election_ticks_max {
            return Err(ConfigError::ElectionNotRandom {
                election_ticks_min: self.election_ticks_min,
                election_ticks_max: self.election_ticks_max,
            });
        }
        Ok(())
    }
}

/// Settings that can't work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A limit is zero.
    #[error("{0} must be at least 1")]
    ZeroLimit(&'static str),
    /// Leases rest on servers that stick to their leader.
    #[error("lease needs check_quorum")]
    LeaseWithoutCheckQuorum,
    /// Followers would stand for election between two heartbeats.
    #[error(
        "heartbeat_ticks ({heartbeat_ticks}) must be less than election_ticks_min ({election_ticks_min})"
    )]
    HeartbeatTooSlow {
        /// As set.
        heartbeat_ticks: u32,
        /// As set.
        election_ticks_min: u32,
    },
    /// All servers could stand for election at once, for ever (Raft §5.2).
    #[error(
        "election_ticks_max ({election_ticks_max}) must be more than election_ticks_min ({election_ticks_min})"
    )]
    ElectionNotRandom {
        /// As set.
        election_ticks_min: u32,
        /// As set.
        election_ticks_max: u32,
    },
}

/// A value that is constant for a server's lifetime and so no part of its state: it neither distinguishes two states nor costs
/// their comparison anything.
#[derive(Clone, Debug)]
pub(crate) struct Constant<T>(pub(crate) T);

impl<T> Deref for Constant<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> PartialEq for Constant<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Constant<T> {}

impl<T> PartialOrd for Constant<T> {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Constant<T> {
    fn cmp(&self, _: &Self) -> core::cmp::Ordering {
        core::cmp::Ordering::Equal
    }
}

impl<T> core::hash::Hash for Constant<T> {
    fn hash<H: core::hash::Hasher>(&self, _: &mut H) {}
}
