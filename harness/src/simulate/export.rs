//! A simulated world's faults as the schedule of a run, for real processes.
//!
//! Time is scaled by the nodes' ticks. What was aimed at a leader is aimed at whoever leads then; what real processes know no like of
//! (a clock that jumps, a slow disk, an order to stand) is left out. A nemesis does one thing at a time, so a fault that begins during
//! another comes after it.

use super::SimulateOptions;
use super::keep::{KeepError, write};
use crate::nemesis::{Aim, Fault, Kind, Rates, Schedule, ScheduledFault};
use crate::run::{Options, TEST, Test};
use sim::{Blow, Outcome, Reduction, Struck};
use std::path::Path;
use std::time::Duration;

/// The shortest fault that real processes notice.
const LASTS_MS_MIN: u64 = 20;
/// Time for the load before the first fault and after the last one.
const QUIET_MS: u64 = 500;
/// The longest schedule, in milliseconds: what comes later is left out.
const SCHEDULE_MS_MAX: u64 = 600_000;

/// Writes `folder/test.json`.
pub(super) fn export(
    folder: &Path,
    options: &SimulateOptions,
    seed: u64,
    outcome: &Outcome,
    reduction: &Reduction,
) -> Result<(), KeepError> {
    std::fs::create_dir_all(folder).map_err(|error| KeepError::Write {
        path: folder.to_owned(),
        error,
    })?;
    let test = test(options, seed, outcome, reduction);
    let text = serde_json::to_string_pretty(&test).expect("a test has string keys");
    write(&folder.join(TEST), &format!("{text}\n"))
}

fn test(options: &SimulateOptions, seed: u64, outcome: &Outcome, reduction: &Reduction) -> Test {
    let schedule = schedule(&outcome.struck, outcome.tick_us);
    let ends = schedule.faults.last().map_or(0, |fault| fault.stop_ms);
    let clients = reduction
        .clients
        .as_ref()
        .map_or(outcome.clients, |kept| kept.len() as u64);
    let node_args = options.mutant_name().map(|name| format!("--mutant={name}"));
    let options = Options {
        system: crate::systems::SystemName::Node,
        workload: String::from("register"),
        nodes: outcome.nodes,
        // At least as many as can see that something is wrong.
        concurrency: usize::try_from(clients.max(2 * outcome.nodes)).expect("clients are few"),
        rate: None,
        time_limit: Duration::from_millis(ends + QUIET_MS),
        nemesis: Kind::ALL
            .into_iter()
            .filter(|kind| schedule.faults.iter().any(|fault| fault.fault.kind() == *kind))
            .collect(),
        nemesis_interval: Duration::from_secs(1),
        clock_rates: Rates::default(),
        timeout: Duration::from_millis(500),
        node_args: node_args.into_iter().collect(),
        follower_reads: outcome.follower_reads,
        online: true,
        hosts: None,
    };
    Test::planned(seed, options, schedule)
}

fn schedule(struck: &[Struck], tick_us: u64) -> Schedule {
    let scaled = |us: u64| us.saturating_mul(NODE_TICK_US) / tick_us.max(1) / 1000;
    let mut faults = Vec::new();
    for blow in struck {
        let fault = match &blow.blow {
            Blow::Kill(nodes) => Fault::Kill(nodes.clone()),
            Blow::Pause(node) => Fault::Pause(vec![*node]),
            Blow::Cut(links) if links.iter().all(|(from, to)| from == to) => continue,
            Blow::Cut(links) => {
                Fault::Partition(links.iter().copied().filter(|(from, to)| from != to).collect())
            }
            Blow::Other(_) => continue,
        };
        let start_ms = QUIET_MS + scaled(blow.at_us);
        let stop_ms = start_ms + scaled(blow.lasts_us).max(LASTS_MS_MIN);
        if stop_ms > SCHEDULE_MS_MAX {
            break;
        }
        faults.push(ScheduledFault {
            start_ms,
            stop_ms,
            aim: aim(blow, &fault),
            fault,
        });
    }
    Schedule { faults }
}

/// How long a tick of a real node is, unless it is told otherwise.
const NODE_TICK_US: u64 = 10_000;

/// A fault that hit a leader alone hits whoever leads.
fn aim(struck: &Struck, fault: &Fault) -> Aim {
    match fault {
        Fault::Kill(nodes) | Fault::Pause(nodes) if nodes.len() == 1 && struck.leader => Aim::Leader,
        Fault::Kill(nodes) if nodes.len() > 1 => Aim::All,
        Fault::Kill(_)
        | Fault::Pause(_)
        | Fault::Transfer(_)
        | Fault::Member(..)
        | Fault::Wipe(_)
        | Fault::Disk(..)
        | Fault::Clock(..)
        | Fault::Power(..)
        | Fault::CrashPoint(..)
        | Fault::Full(_)
        | Fault::IoError(..)
        | Fault::Stall(_) => Aim::One,
        Fault::Partition(_) | Fault::Slow(..) | Fault::Flaky(..) => Aim::Halves,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim::FaultId;

    fn struck(at_us: u64, lasts_us: u64, leader: bool, blow: Blow) -> Struck {
        Struck {
            fault: FaultId::Planned(0),
            at_us,
            lasts_us,
            leader,
            blow,
        }
    }

    #[test]
    fn faults_keep_their_order_and_are_scaled_by_the_ticks() {
        let struck = [
            struck(1_000_000, 200_000, true, Blow::Kill(vec![2])),
            struck(2_000_000, 100, false, Blow::Pause(3)),
            struck(3_000_000, 100, false, Blow::Other("slow disk")),
            struck(4_000_000, 1_000_000, false, Blow::Cut(vec![(1, 1), (1, 2)])),
        ];
        let faults = schedule(&struck, 100_000).faults;
        let shown: Vec<_> = faults
            .iter()
            .map(|fault| (fault.start_ms, fault.stop_ms, fault.aim, fault.fault.clone()))
            .collect();
        assert_eq!(
            shown,
            [
                (600, 620, Aim::Leader, Fault::Kill(vec![2])),
                (700, 720, Aim::One, Fault::Pause(vec![3])),
                (900, 1000, Aim::Halves, Fault::Partition(vec![(1, 2)])),
            ]
        );
    }

    #[test]
    fn what_is_exported_can_be_replayed() {
        let folder = tempfile::tempdir().unwrap();
        let options = SimulateOptions {
            seeds: Some(1),
            ..super::super::tests::options()
        };
        let outcome = sim::run(3, &options.world());
        export(folder.path(), &options, 3, &outcome, &Reduction::default()).unwrap();
        let recorded = crate::run::recorded(folder.path()).unwrap();
        assert_eq!((recorded.seed, recorded.options.nodes), (3, outcome.nodes));
        assert_eq!(
            recorded.schedule.map(|schedule| schedule.faults.len()),
            Some(schedule(&outcome.struck, outcome.tick_us).faults.len())
        );
    }
}
