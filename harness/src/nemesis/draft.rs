//! Drawing a plan's faults from its seed: pure.

use super::manner::Turns;
use super::{Aim, Fault, Kind, Manner, Plan, ScheduledFault};
use crate::cluster::Cluster;
use crate::node_number::NodeNumber;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

/// How often each kind must fit into the time limit.
const TIMES_EACH_MIN: usize = 2;
/// The shortest interval: a fault that begins and ends sooner is none.
const INTERVAL_MIN: Duration = Duration::from_millis(10);
/// The most faults of a run; at the usual interval they last for two months.
const FAULTS_MAX: usize = 1_000_000;
/// A fault lasts this part of its interval, at least and at most; the rest is for the cluster to recover in.
const LASTS_PERCENT: std::ops::RangeInclusive<u32> = 30..=65;

/// A fault to come.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Draft {
    /// Since the nemesis's beginning.
    pub(super) start: Duration,
    /// Since the nemesis's beginning.
    pub(super) stop: Duration,
    pub(super) aim: Aim,
    target: Target,
}

/// What is known of a fault's targets beforehand.
#[derive(Clone, Debug, PartialEq)]
enum Target {
    /// They are chosen when it begins, by this shuffled order of the nodes.
    Open { manner: Manner, order: Vec<NodeNumber> },
    /// They are those of an earlier run.
    Recorded(Fault),
}

impl Draft {
    /// What kind of fault it is.
    pub(super) fn kind(&self) -> Kind {
        match &self.target {
            Target::Open { manner, .. } => manner.kind(),
            Target::Recorded(fault) => fault.kind(),
        }
    }

    /// The fault itself, aimed now.
    pub(super) fn aimed(&self, cluster: &Cluster) -> Fault {
        let leader = cluster.observe().leader;
        let (manner, mut order) = match &self.target {
            Target::Recorded(fault) if !self.aim.follows_leader() => return fault.clone(),
            Target::Recorded(fault) => (fault.manner(), recorded_order(fault, self.aim, &cluster.nodes())),
            Target::Open { manner, order } => (*manner, order.clone()),
        };
        arrange(self.aim, &mut order, leader);
        let manner = if let Manner::Clock(skew, is_cut_off) = manner {
            Manner::Clock(skew, is_cut_off && cluster.has_links())
        } else {
            manner
        };
        Fault::new(manner, self.aim, &order)
    }
}

/// An order of the nodes from which `fault`, aimed at the leader, came: the nodes that it names, and then the others.
fn recorded_order(fault: &Fault, aim: Aim, nodes: &[NodeNumber]) -> Vec<NodeNumber> {
    let mut named = fault.nodes();
    let mut order: Vec<NodeNumber> = Vec::with_capacity(nodes.len());
    if aim == Aim::LeaderDeaf && named.len() > 1 {
        // A link names whom it is not about before whom it is: the first of those is hit again where nobody leads.
        named.swap(0, 1);
    }
    if let Fault::Transfer(to) = fault {
        // It names the second one. The first was the leader, and it does not matter who that was: the present one takes its place.
        order.extend(nodes.iter().find(|node| *node != to));
    }
    for node in named.iter().chain(nodes) {
        if !order.contains(node) {
            order.push(*node);
        }
    }
    order
}

/// Puts the leader where the aim wants it: first, where it is aimed at; not into the middle of a bridge, from where it would reach
/// everybody, and those who are parted from each other have nothing to say to each other.
fn arrange(aim: Aim, order: &mut [NodeNumber], leader: Option<NodeNumber>) {
    let Some(place) = order.iter().position(|node| Some(*node) == leader) else {
        return;
    };
    if aim.follows_leader() || (aim == Aim::Bridge && place == order.len() / 2) {
        order.swap(0, place);
    }
}

impl From<ScheduledFault> for Draft {
    fn from(fault: ScheduledFault) -> Draft {
        Draft {
            start: Duration::from_millis(fault.start_ms),
            stop: Duration::from_millis(fault.stop_ms),
            aim: fault.aim,
            target: Target::Recorded(fault.fault),
        }
    }
}

/// The faults of a plan for `nodes` nodes.
pub(super) fn drafts(plan: &Plan, nodes: usize) -> Vec<Draft> {
    if plan.kinds.is_empty() {
        return Vec::new();
    }
    let mut random = ChaCha8Rng::seed_from_u64(plan.seed);
    // Half an interval of quiet at the end lets the last fault's effects show.
    let fitting = plan
        .time_limit
        .mul_f64(1.0 / (TIMES_EACH_MIN * plan.kinds.len()) as f64);
    let interval = plan.interval.min(fitting).max(INTERVAL_MIN);
    let mut drafts: Vec<Draft> = Vec::new();
    let mut bag: Vec<Kind> = Vec::new();
    let mut turns = Turns::of(plan.seed);
    let mut start = Duration::ZERO;
    while start + interval <= plan.time_limit + Duration::from_millis(1) && drafts.len() < FAULTS_MAX {
        if bag.is_empty() {
            bag.clone_from(&plan.kinds);
            bag.shuffle(&mut random);
        }
        let kind = bag.pop().expect("it was just filled");
        let first_of_kind = drafts.len() < plan.kinds.len();
        let aims = aims(kind, nodes);
        let aim = if first_of_kind {
            Aim::Leader
        } else {
            *aims.choose(&mut random).expect("each kind has aims")
        };
        let mut order: Vec<NodeNumber> = (1..=nodes as NodeNumber).collect();
        order.shuffle(&mut random);
        let manner = Manner::drawn(kind, &mut random, &mut turns, plan.clock_rates);
        let lasts = interval * random.random_range(LASTS_PERCENT) / 100;
        drafts.push(Draft {
            start,
            stop: start + lasts,
            aim,
            target: Target::Open { manner, order },
        });
        start += interval;
    }
    drafts
}

/// What a kind may be aimed at among `nodes` nodes.
pub(super) fn aims(kind: Kind, nodes: usize) -> &'static [Aim] {
    const PROCESSES: [Aim; 5] = [Aim::Leader, Aim::One, Aim::Minority, Aim::Majority, Aim::All];
    const CUTS: [Aim; 7] = [
        Aim::Leader,
        Aim::One,
        Aim::Halves,
        Aim::LeaderDeaf,
        Aim::LeaderMute,
        Aim::Bridge,
        Aim::Ring,
    ];
    const LINKS: [Aim; 7] = [
        Aim::Leader,
        Aim::One,
        Aim::LeaderDeaf,
        Aim::LeaderMute,
        Aim::Minority,
        Aim::Majority,
        Aim::All,
    ];
    match kind {
        Kind::Kill | Kind::Pause | Kind::Clock | Kind::Power => &PROCESSES,
        Kind::Full | Kind::IoError | Kind::Stall => &PROCESSES,
        Kind::Transfer | Kind::Wipe => &PROCESSES[..1],
        Kind::Member | Kind::Disk | Kind::CrashPoint => &PROCESSES[..3],
        // A bridge needs somebody on each side, and a ring of three is no partition.
        Kind::Partition if nodes < 3 => &CUTS[..5],
        Kind::Partition if nodes < 5 => &CUTS[..6],
        Kind::Partition => &CUTS,
        // Of two nodes each has all the links.
        Kind::Slow | Kind::Flaky if nodes < 3 => &LINKS[..4],
        Kind::Slow | Kind::Flaky => &LINKS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nemesis::Rates;
    use std::collections::BTreeMap;

    fn plan(seed: u64, limit: u64) -> Plan {
        Plan {
            kinds: Kind::ALL.to_vec(),
            interval: Duration::from_secs(5),
            time_limit: Duration::from_secs(limit),
            seed,
            clock_rates: Rates::default(),
            replay: None,
        }
    }

    fn kind(draft: &Draft) -> Kind {
        match &draft.target {
            Target::Open { manner, .. } => manner.kind(),
            Target::Recorded(fault) => fault.kind(),
        }
    }

    #[test]
    fn each_kind_comes_at_least_twice_and_first_at_the_leader() {
        for seed in 0..200 {
            for limit in [5, 20, 60] {
                let drafts = drafts(&plan(seed, limit), 5);
                let mut seen = BTreeMap::<Kind, u32>::new();
                for draft in &drafts {
                    let times = seen.entry(kind(draft)).or_default();
                    assert!(*times > 0 || draft.aim == Aim::Leader, "{draft:?}");
                    *times += 1;
                }
                assert!(Kind::ALL.iter().all(|kind| seen[kind] >= 2), "{seen:?}");
            }
        }
    }

    #[test]
    fn faults_follow_each_other_within_the_time_limit_with_quiet_between_them() {
        for seed in 0..200 {
            let drafts = drafts(&plan(seed, 20), 5);
            for pair in drafts.windows(2) {
                assert!(pair[0].stop < pair[1].start, "{pair:?}");
            }
            assert!(
                drafts
                    .last()
                    .is_some_and(|last| last.stop < Duration::from_secs(20))
            );
        }
    }

    #[test]
    fn there_is_an_end_to_the_faults_however_short_everything_is() {
        let short = |interval, time_limit| {
            let plan = Plan {
                interval,
                time_limit,
                ..plan(1, 20)
            };
            drafts(&plan, 3).len()
        };
        assert_eq!(short(Duration::from_secs(5), Duration::ZERO), 0);
        assert_eq!(short(Duration::from_secs(5), Duration::from_nanos(1)), 0);
        assert_eq!(short(Duration::ZERO, Duration::from_secs(1)), 100);
    }

    #[test]
    fn whatever_parts_the_nodes_parts_the_leader_from_somebody() {
        for count in 2..=7 {
            for aim in aims(Kind::Partition, count) {
                for leader in 1..=count as NodeNumber {
                    let mut order: Vec<NodeNumber> = (1..=count as NodeNumber).collect();
                    arrange(*aim, &mut order, Some(leader));
                    let fault = Fault::new(Manner::Partition, *aim, &order);
                    assert!(fault.nodes().contains(&leader), "{aim:?} of {count}: {fault:?}");
                }
            }
        }
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(drafts(&plan(3, 20), 5), drafts(&plan(3, 20), 5));
        assert_ne!(drafts(&plan(3, 20), 5), drafts(&plan(4, 20), 5));
    }

    /// The order of links means nothing.
    fn sorted(mut fault: Fault) -> Fault {
        if let Fault::Partition(links) | Fault::Slow(_, links) | Fault::Flaky(_, links) = &mut fault {
            links.sort_unstable();
        }
        fault
    }

    #[test]
    fn a_replay_hits_whom_the_run_hit_where_the_same_node_leads() {
        for seed in 0..50 {
            for nodes in 2..=7 {
                let all: Vec<NodeNumber> = (1..=nodes as NodeNumber).collect();
                for draft in drafts(&plan(seed, 60), nodes) {
                    let Target::Open { manner, order } = &draft.target else {
                        panic!("nothing is replayed: {draft:?}")
                    };
                    if !draft.aim.follows_leader() {
                        continue;
                    }
                    let fault = |order: &[NodeNumber], leader| {
                        let mut order = order.to_vec();
                        arrange(draft.aim, &mut order, leader);
                        Fault::new(*manner, draft.aim, &order)
                    };
                    let again =
                        |first: &Fault, leader| fault(&recorded_order(first, draft.aim, &all), leader);
                    let leader = all[usize::try_from(seed).unwrap() % nodes];
                    // Where nobody led, whom the run hit then is hit again where nobody leads.
                    for leader in [Some(leader), None] {
                        let first = fault(order, leader);
                        assert_eq!(sorted(again(&first, leader)), sorted(first), "{draft:?}");
                    }
                    // Another leader is hit in the other one's place.
                    let other = all[(usize::try_from(seed).unwrap() + 1) % nodes];
                    let again = again(&fault(order, Some(leader)), Some(other));
                    if let Fault::Transfer(to) = again {
                        assert_ne!(to, other);
                    } else {
                        assert!(again.nodes().contains(&other), "{draft:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn without_kinds_nothing_happens() {
        assert!(
            drafts(
                &Plan {
                    kinds: Vec::new(),
                    ..plan(1, 20)
                },
                5
            )
            .is_empty()
        );
    }
}
