//! Which faults and which load show a bug among real processes.

use crate::nemesis::Kind;
use std::time::Duration;

/// How long a run is loaded.
const RUN_SECONDS: u64 = 8;
/// How much longer it may take: start, healing and final reads.
const BESIDES_SECONDS: u64 = 12;

/// What real processes are put through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Faults {
    workload: &'static str,
    nodes: &'static str,
    nemesis: Nemesis,
    /// From one fault to the next.
    interval: &'static str,
    /// How many operations a second clients begin.
    rate: &'static str,
    /// How many clients there are.
    concurrency: &'static str,
}

/// What befalls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nemesis {
    Nothing,
    One(Kind),
    /// Everything that can be had here.
    All,
}

impl Nemesis {
    /// As `--nemesis` has it.
    fn flag(self) -> &'static str {
        match self {
            Nemesis::Nothing => "none",
            Nemesis::One(kind) => kind.name(),
            Nemesis::All => "all",
        }
    }

    /// Whether it can be had here.
    fn is_usable(self) -> bool {
        match self {
            Nemesis::One(kind) => !kind.takes_disks() || disk::usable().is_ok(),
            Nemesis::Nothing | Nemesis::All => true,
        }
    }
}

const EVERYTHING: Faults = Faults {
    workload: "register",
    nodes: "3",
    nemesis: Nemesis::All,
    interval: "500ms",
    rate: "1000",
    concurrency: "6",
};

/// Faults of one kind, one soon after another: an election takes 150 to 300 ms.
const fn under(kind: Kind) -> Faults {
    Faults {
        nemesis: Nemesis::One(kind),
        interval: "700ms",
        ..EVERYTHING
    }
}

/// The power goes again and again while something is always on its way to the disks.
const fn without_power(nodes: &'static str) -> Faults {
    Faults {
        nodes,
        nemesis: Nemesis::One(Kind::Power),
        interval: "400ms",
        rate: "max",
        concurrency: "16",
        ..EVERYTHING
    }
}

/// The bugs that real processes can be hoped to show: those that do not need two things to happen within a millisecond, or a fault during
/// another one. A nemesis does one thing at a time, to processes that mostly rest.
const AIMED: [(&str, Faults); 9] = [
    (
        // A command has to come in the moment between a vote and the new leader's first word.
        "stamp-after-step-down",
        Faults {
            interval: "400ms",
            rate: "max",
            ..under(Kind::Kill)
        },
    ),
    // A leader that is parted from the others leads on until it has counted who was heard from.
    ("lease-is-role", under(Kind::Partition)),
    ("stale-local-read", under(Kind::Partition)),
    (
        // It takes a moment to start without data, and another to start with it again.
        "wiped-rejoin",
        Faults {
            interval: "3s",
            ..under(Kind::Wipe)
        },
    ),
    ("failover-empties", under(Kind::Kill)),
    (
        "retry-applied-twice",
        Faults {
            workload: "session",
            nemesis: Nemesis::Nothing,
            ..EVERYTHING
        },
    ),
    // What a majority has not on its disks is lost with the power, and one node is a majority of one.
    ("ack-before-fsync", without_power("3")),
    ("sole-voter-unsynced", without_power("1")),
    ("begun-is-durable", without_power("1")),
];

impl Faults {
    /// Those that are aimed at this bug; where none are, everything.
    pub(super) fn against(mutant: Option<&str>) -> Faults {
        aimed(mutant).unwrap_or(EVERYTHING)
    }

    /// Whether real processes can be hoped to show this bug.
    pub(super) fn may_show(mutant: Option<&str>) -> bool {
        mutant.is_none() || aimed(mutant).is_some()
    }

    /// The flags of `harness run`.
    pub(super) fn flags(self, seed: u64) -> Vec<String> {
        let limit = format!("{RUN_SECONDS}s");
        let seed = seed.to_string();
        let flags = [
            ("--workload", self.workload),
            ("--nodes", self.nodes),
            ("--concurrency", self.concurrency),
            ("--nemesis", self.nemesis.flag()),
            ("--nemesis-interval", self.interval),
            ("--rate", self.rate),
            ("--time-limit", &limit),
            ("--seed", &seed),
        ];
        let words = flags.into_iter().flat_map(|(flag, value)| [flag, value]);
        words.map(str::to_owned).collect()
    }

    /// How long a run takes at most.
    pub(super) fn patience(self) -> Duration {
        Duration::from_secs(RUN_SECONDS + BESIDES_SECONDS)
    }
}

fn aimed(mutant: Option<&str>) -> Option<Faults> {
    let (_, faults) = AIMED.iter().find(|(name, _)| Some(*name) == mutant)?;
    faults.nemesis.is_usable().then_some(*faults)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn faults_are_aimed_where_the_zoo_has_them_and_elsewhere_there_is_everything() {
        assert!(Faults::may_show(Some("failover-empties")));
        assert!(!Faults::may_show(Some("index-before-term")));
        assert!(Faults::may_show(None));
        assert_eq!(Faults::against(Some("index-before-term")), EVERYTHING);
        let names: BTreeSet<&str> = AIMED.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), AIMED.len());
    }

    #[test]
    fn flags_are_those_of_a_run() {
        let flags = Faults::against(Some("stamp-after-step-down")).flags(7);
        assert_eq!(
            flags.join(" "),
            "--workload register --nodes 3 --concurrency 6 --nemesis kill --nemesis-interval 400ms --rate max --time-limit 8s --seed 7"
        );
    }
}
