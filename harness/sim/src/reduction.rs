//! What is left out of a seed's world, to make a failure's story short.

use crate::plan::Plan;
use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::str::FromStr;

/// A fault of a seed's world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultId {
    /// The one of this number.
    Planned(u32),
    /// What befell the leader of this term soon after its election.
    Coup(u64),
    /// What an operator asked of the leader of this term as soon as it led.
    Eager(u64),
}

/// Something that a world can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aspect {
    /// Messages that are late, and so overtaken.
    Late,
    /// Messages that get lost by chance.
    Drop,
    /// Messages that come twice.
    Duplicate,
    /// Clocks that differ.
    Drift,
    /// Disks that take time.
    Disk,
    /// Writes that go on beside the node that began them.
    Beside,
    /// Starts that are interrupted.
    Starts,
    /// Values that are longer than a number.
    Values,
    /// Reads by lease.
    Leases,
    /// What a golden script can't tell: several inputs in one turn, tight limits on bytes, writes that go on
    /// beside the node, and snapshots.
    Turns,
}

impl Aspect {
    /// All of them.
    pub const ALL: [Aspect; 10] = [
        Aspect::Turns,
        Aspect::Late,
        Aspect::Drop,
        Aspect::Duplicate,
        Aspect::Drift,
        Aspect::Disk,
        Aspect::Beside,
        Aspect::Starts,
        Aspect::Values,
        Aspect::Leases,
    ];

    fn name(self) -> &'static str {
        match self {
            Aspect::Late => "late",
            Aspect::Drop => "drop",
            Aspect::Duplicate => "duplicate",
            Aspect::Drift => "drift",
            Aspect::Disk => "disk",
            Aspect::Beside => "beside",
            Aspect::Starts => "starts",
            Aspect::Values => "values",
            Aspect::Leases => "leases",
            Aspect::Turns => "turns",
        }
    }
}

/// What of a seed's world is kept; by default all of it.
///
/// As text, for a command line: `clients=0+2,faults=3+t7,ops=4,us=120000,without=late+drop`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reduction {
    /// These clients only.
    pub clients: Option<BTreeSet<u64>>,
    /// These faults only.
    pub faults: Option<BTreeSet<FaultId>>,
    /// So many operations of each client, before the last ones that show that it is served.
    pub operations_max: Option<u64>,
    /// For how long load and faults last, in simulated microseconds.
    pub duration_us: Option<u64>,
    /// Without these.
    pub without: BTreeSet<Aspect>,
}

impl Reduction {
    pub(crate) fn has_client(&self, client: u64) -> bool {
        self.clients.as_ref().is_none_or(|kept| kept.contains(&client))
    }

    pub(crate) fn has_fault(&self, fault: FaultId) -> bool {
        self.faults.as_ref().is_none_or(|kept| kept.contains(&fault))
    }

    /// Leaves out of `plan` what is to be left out.
    pub(crate) fn apply(&self, plan: &mut Plan) {
        if let Some(duration) = self.duration_us {
            plan.duration = duration;
        }
        for aspect in &self.without {
            match aspect {
                Aspect::Late => plan.network.late = 0,
                Aspect::Drop => plan.network.drop = 0,
                Aspect::Duplicate => plan.network.duplicate = 0,
                Aspect::Drift => plan.drift = 0,
                Aspect::Disk => plan.disk_max = 0,
                Aspect::Beside => plan.beside_max = 0,
                Aspect::Starts => plan.interrupted_starts = false,
                Aspect::Values => plan.load.value_bytes_max = 8,
                Aspect::Leases => plan.lease = None,
                Aspect::Turns => plan.by_turns(),
            }
        }
    }
}

impl Display for FaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FaultId::Planned(number) => write!(f, "{number}"),
            FaultId::Coup(term) => write!(f, "t{term}"),
            FaultId::Eager(term) => write!(f, "e{term}"),
        }
    }
}

impl FromStr for FaultId {
    type Err = String;

    fn from_str(text: &str) -> Result<FaultId, String> {
        let fault = if let Some(term) = text.strip_prefix('t') {
            term.parse().map(FaultId::Coup)
        } else if let Some(term) = text.strip_prefix('e') {
            term.parse().map(FaultId::Eager)
        } else {
            text.parse().map(FaultId::Planned)
        };
        fault.map_err(|_| format!("{text:?} is no fault: they are numbers, t and a term, and e and a term"))
    }
}

impl Display for Aspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Aspect {
    type Err = String;

    fn from_str(text: &str) -> Result<Aspect, String> {
        let known = Aspect::ALL.into_iter().find(|aspect| aspect.name() == text);
        known.ok_or_else(|| {
            let names = Aspect::ALL.map(Aspect::name).join(", ");
            format!("a world can do without {names}, not without {text:?}")
        })
    }
}

fn joined<T: Display>(parts: &BTreeSet<T>) -> String {
    let parts: Vec<String> = parts.iter().map(T::to_string).collect();
    parts.join("+")
}

fn split<T: FromStr<Err: Display> + Ord>(text: &str) -> Result<BTreeSet<T>, String> {
    let parts = text.split('+').filter(|part| !part.is_empty());
    parts
        .map(|part| part.parse().map_err(|error: T::Err| error.to_string()))
        .collect()
}

impl Display for Reduction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(clients) = &self.clients {
            parts.push(format!("clients={}", joined(clients)));
        }
        if let Some(faults) = &self.faults {
            parts.push(format!("faults={}", joined(faults)));
        }
        if let Some(most) = self.operations_max {
            parts.push(format!("ops={most}"));
        }
        if let Some(duration) = self.duration_us {
            parts.push(format!("us={duration}"));
        }
        if !self.without.is_empty() {
            parts.push(format!("without={}", joined(&self.without)));
        }
        f.write_str(&parts.join(","))
    }
}

impl FromStr for Reduction {
    type Err = String;

    fn from_str(text: &str) -> Result<Reduction, String> {
        let mut reduction = Reduction::default();
        let number = |text: &str| text.parse().map_err(|_| format!("{text:?} is no number"));
        for part in text.split(',').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some(("clients", kept)) => reduction.clients = Some(split(kept)?),
                Some(("faults", kept)) => reduction.faults = Some(split(kept)?),
                Some(("ops", most)) => reduction.operations_max = Some(number(most)?),
                Some(("us", duration)) => reduction.duration_us = Some(number(duration)?),
                Some(("without", aspects)) => reduction.without = split(aspects)?,
                Some(_) | None => {
                    return Err(format!(
                        "{part:?} is none of clients=, faults=, ops=, us=, without="
                    ));
                }
            }
        }
        Ok(reduction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reduction_is_read_as_it_is_written() {
        let text = "clients=0+2,faults=3+41+t7+e9,ops=4,us=120000,without=late+turns";
        let reduction: Reduction = text.parse().unwrap();
        assert_eq!(reduction.to_string(), text);
        assert_eq!("".parse(), Ok(Reduction::default()));
        assert_eq!(Reduction::default().to_string(), "");
        let nobody: Reduction = "clients=,faults=".parse().unwrap();
        assert_eq!(nobody.to_string(), "clients=,faults=");
        assert!(!nobody.has_client(0) && !nobody.has_fault(FaultId::Planned(0)));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_does() {
        let refused = |text: &str| text.parse::<Reduction>().unwrap_err();
        assert!(refused("client=1").contains("clients="));
        assert!(refused("faults=x").contains("no fault"));
        assert!(refused("without=time").contains("late"));
        assert!(refused("ops=-1").contains("no number"));
    }
}
