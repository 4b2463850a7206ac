//! Which faults and which load show a bug among real processes.

use std::time::Duration;

/// How long a run is loaded.
const RUN_SECONDS: u64 = 8;
/// How much longer it may take: start, healing and final reads.
const BESIDES_SECONDS: u64 = 12;

/// What real processes are put through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Faults {
    workload: &'static str,
    /// As `--nemesis` has it.
    nemesis: &'static str,
    /// Whether nodes answer reads by leases.
    leases: bool,
}

const EVERYTHING: Faults = Faults {
    workload: "register",
    nemesis: "all",
    leases: false,
};

const fn under(nemesis: &'static str) -> Faults {
    Faults {
        nemesis,
        ..EVERYTHING
    }
}

/// The bugs that real processes can be hoped to show, as the bug zoo has it.
const AIMED: [(&str, Faults); 18] = [
    ("vote-not-persisted", under("kill")),
    ("stamp-after-step-down", under("partition")),
    ("learner-refuses-vote", under("member")),
    ("no-stickiness", under("partition")),
    (
        "lease-survives-transfer",
        Faults {
            leases: true,
            ..under("transfer,partition")
        },
    ),
    ("transfer-never-aborts", under("kill,transfer")),
    ("learner-counted", under("member")),
    ("read-context-reused", under("pause")),
    ("lease-is-role", under("pause")),
    (
        "lease-forgets-promise",
        Faults {
            leases: true,
            ..under("kill")
        },
    ),
    ("stale-local-read", under("partition")),
    ("joint-ignored-at-start", under("kill,member")),
    ("removed-leader-quorum", under("member")),
    ("wiped-rejoin", under("wipe")),
    ("compaction-gap", under("kill")),
    ("applied-before-effect", under("kill")),
    ("failover-empties", under("kill")),
    (
        "retry-applied-twice",
        Faults {
            workload: "session",
            ..under("none")
        },
    ),
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
        let mut flags = vec![
            "--workload",
            self.workload,
            "--nodes",
            "3",
            "--nemesis",
            self.nemesis,
        ];
        flags.extend(["--time-limit", &limit, "--seed", &seed]);
        if self.leases {
            flags.extend(["--node-arg", "--lease-reads"]);
        }
        flags.into_iter().map(str::to_owned).collect()
    }

    /// How long a run takes at most.
    pub(super) fn patience(self) -> Duration {
        Duration::from_secs(RUN_SECONDS + BESIDES_SECONDS)
    }
}

fn aimed(mutant: Option<&str>) -> Option<Faults> {
    let (_, faults) = AIMED.iter().find(|(name, _)| Some(*name) == mutant)?;
    Some(*faults)
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
        let flags = Faults::against(Some("lease-forgets-promise")).flags(7);
        assert_eq!(
            flags.join(" "),
            "--workload register --nodes 3 --nemesis kill --time-limit 8s --seed 7 --node-arg --lease-reads"
        );
    }
}
