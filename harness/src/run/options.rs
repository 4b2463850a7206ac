//! What is asked of a test.

use crate::cluster::{HostsSpec, KINDS_OVER_HOSTS};
use crate::nemesis::{Kind, Rates};
use crate::systems::SystemName;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most nodes of a cluster; each pair of them takes two listeners.
pub(crate) const NODES_MAX: u64 = 99;
/// The most clients.
pub(crate) const CONCURRENCY_MAX: usize = 10_000;
/// The highest rate; a higher one is none.
pub(crate) const RATE_MAX: u64 = 10_000_000;
/// The longest duration, a month.
pub(crate) const DURATION_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// What it takes, beside a seed, to make a test; as it stands in `test.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The system that is tested.
    #[serde(default)]
    pub system: SystemName,
    /// The workload, by name.
    pub workload: String,
    /// How many nodes.
    pub nodes: u64,
    /// How many clients.
    pub concurrency: usize,
    /// How many operations a second they begin together; `None` for as many as go.
    pub rate: Option<u64>,
    /// For how long.
    #[serde(rename = "time_limit_seconds", with = "seconds")]
    pub time_limit: Duration,
    /// Which kinds of faults.
    pub nemesis: Vec<Kind>,
    /// From the start of one fault to the start of the next.
    #[serde(rename = "nemesis_interval_seconds", with = "seconds")]
    pub nemesis_interval: Duration,
    /// Between which rates clocks run that are wrong.
    #[serde(default)]
    pub clock_rates: Rates,
    /// How long a client waits for an answer.
    #[serde(rename = "timeout_seconds", with = "seconds")]
    pub timeout: Duration,
    /// Further arguments for each node.
    pub node_args: Vec<String>,
    /// Whether nodes answer reads while they follow, and clients read at the nodes that they are pinned to.
    #[serde(default)]
    pub follower_reads: bool,
    /// Whether the history is checked while it is recorded, too.
    #[serde(default = "yes")]
    pub online: bool,
    /// Where the nodes run; `None`: on the harness's machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<HostsSpec>,
}

/// How many nodes there have to be that are no members at the beginning, for these faults.
pub(crate) fn spares(nemesis: &[Kind]) -> u64 {
    u64::from(nemesis.contains(&Kind::Member))
}

/// What tests did before they could be told not to.
fn yes() -> bool {
    true
}

impl Options {
    /// Whether all of it is within the bounds that flags have, too: it may have come from a file.
    ///
    /// # Errors
    /// What is not, and what is allowed.
    pub(super) fn within_bounds(&self) -> Result<(), String> {
        let numbers = [
            ("nodes", self.nodes, NODES_MAX),
            ("concurrency", self.concurrency as u64, CONCURRENCY_MAX as u64),
            ("rate", self.rate.unwrap_or(RATE_MAX), RATE_MAX),
        ];
        for (what, number, most) in numbers {
            if !(1..=most).contains(&number) {
                return Err(format!(
                    "{what} is {number}; allowed are numbers from 1 to {most}"
                ));
            }
        }
        if let Some(hosts) = &self.hosts {
            if self.system != SystemName::Node {
                return Err(String::from("hosts run the project's own nodes"));
            }
            let out_of_reach = |kind: &&Kind| !KINDS_OVER_HOSTS.contains(kind);
            if let Some(kind) = self.nemesis.iter().find(out_of_reach) {
                return Err(format!("there is no nemesis {kind} over hosts"));
            }
            let nodes = self.nodes + spares(&self.nemesis);
            hosts.check(nodes).map_err(|error| format!("hosts: {error}"))?;
        }
        let durations = [
            ("time_limit_seconds", self.time_limit),
            ("nemesis_interval_seconds", self.nemesis_interval),
            ("timeout_seconds", self.timeout),
        ];
        for (what, duration) in durations {
            if duration.is_zero() || duration > DURATION_MAX {
                let (is, most) = (duration.as_secs_f64(), DURATION_MAX.as_secs());
                return Err(format!("{what} is {is}; allowed is more than 0, up to {most}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
impl Options {
    /// Those of a brief test of `nodes` nodes, which one client asks and nothing hurts.
    pub(in crate::run) fn brief(nodes: u64) -> Options {
        Options {
            system: SystemName::Node,
            workload: String::from("register"),
            nodes,
            concurrency: 1,
            rate: None,
            time_limit: Duration::from_secs(1),
            nemesis: Vec::new(),
            nemesis_interval: Duration::from_secs(1),
            clock_rates: Rates::default(),
            timeout: Duration::from_millis(500),
            node_args: Vec::new(),
            follower_reads: false,
            online: true,
            hosts: None,
        }
    }
}

/// How many clients there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// So many.
    Total(usize),
    /// So many for each node.
    PerNode(usize),
}

impl Concurrency {
    /// How many that is for a cluster of `nodes`.
    pub fn clients(self, nodes: u64) -> usize {
        match self {
            Concurrency::Total(clients) => clients,
            Concurrency::PerNode(each) => {
                each * usize::try_from(nodes).expect("a cluster has fewer nodes than memory has bytes")
            }
        }
    }
}

/// Durations as seconds, since people read `test.json`.
mod seconds {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::time::Duration;

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
