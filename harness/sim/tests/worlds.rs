//! The worlds of the model checker: complete, clean, and of the size they had. A change that moves a number is looked at.

use sim::model::{Judge, Limits, Subject, Tier, World, WorldReport, by_name, check, worlds};

/// Far more steps than any of these worlds takes.
const LIMITS: Limits = Limits {
    threads: 2,
    steps_max: 100_000_000,
    depth_max: None,
};

/// How many states each world of every change has: canonical ones, where servers are alike.
const SIZES: [(&str, usize); 35] = [
    ("elections", 1_552),
    ("replication", 5_755),
    ("figure-8", 108_274),
    ("divergence", 86_518),
    ("old-answers", 10_626),
    ("losses", 340_500),
    ("pre-votes", 44_297),
    ("stickiness", 787_280),
    ("transfer", 264_399),
    ("reads", 15_751),
    ("read-rounds", 54_425),
    ("linearizability", 16_245),
    ("follower-reads", 1_304),
    ("follower-restart", 1_395),
    ("lease-transfer", 4_833),
    ("lease-promise", 2_743),
    ("votes", 208_397),
    ("durability", 8_239),
    ("append-aba", 9_427),
    ("bad-tail", 101_916),
    ("returned-tail", 1_095),
    ("wiped-disk", 28_151),
    ("snapshots", 3_734),
    ("snapshot-conflict", 536_588),
    ("snapshot-covered", 6_513),
    ("snapshot-late", 6_511),
    ("snapshot-crash", 591_156),
    ("joint", 735_587),
    ("conflicting-removals", 21_631),
    ("addition", 64_220),
    ("removed-leader", 25_733),
    ("learner", 378_227),
    ("learners-count-nothing", 106_133),
    ("snapshot-membership", 3_505),
    ("hints", 922_715),
];

fn world(name: &str) -> World {
    by_name(name).expect("there is such a world")
}

fn explore(world: &World) -> WorldReport {
    check(world, &LIMITS, None)
}

#[track_caller]
fn assert_clean(report: &WorldReport) {
    assert_eq!(report.violation, None, "{}", report.world);
    assert!(report.complete, "{report:?}");
    assert_eq!(report.unmet, [""; 0], "{}", report.world);
}

#[test]
fn every_world_of_every_change_is_clean_and_as_large_as_it_was() {
    let of_every_change = worlds().into_iter().filter(|world| world.tier == Tier::Ci);
    let names: Vec<&str> = of_every_change.map(|world| world.name).collect();
    let reports: Vec<WorldReport> = names.iter().map(|name| explore(&world(name))).collect();
    // The worlds of a disk change with what the node writes, and are pinned by nothing but their verdicts.
    let sizes: Vec<(&str, usize)> = reports
        .iter()
        .filter(|report| world(report.world).subject == Subject::Cores)
        .map(|report| (report.world, report.unique_states))
        .collect();
    for report in &reports {
        assert_clean(report);
    }
    assert_eq!(sizes, SIZES);
}

#[test]
fn worlds_have_names_of_their_own() {
    let mut names: Vec<&str> = worlds().iter().map(|world| world.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn exchanging_names_leaves_one_state_of_up_to_six_and_the_same_verdict() {
    for name in ["elections", "replication", "reads"] {
        let with = explore(&world(name));
        let without = explore(&World {
            symmetry: false,
            ..world(name)
        });
        assert_clean(&with);
        assert_clean(&without);
        let ratio = without.unique_states as f64 / with.unique_states as f64;
        assert!((5.0..=6.0).contains(&ratio), "{name}: {ratio}");
    }
}

/// The ghost's rule is the stricter one, and each finds nothing in the core as it is; with bugs, see below.
#[test]
fn the_ghost_and_the_register_agree_that_reads_are_linearizable() {
    for judge in [Judge::Ghost, Judge::Register] {
        assert_clean(&explore(&World {
            judge,
            ..world("linearizability")
        }));
    }
}

#[test]
fn a_search_that_is_cut_short_says_so() {
    let limits = [
        Limits {
            steps_max: 1000,
            ..LIMITS
        },
        Limits {
            depth_max: Some(5),
            ..LIMITS
        },
    ];
    for limits in limits {
        let report = check(&world("replication"), &limits, None);
        assert!(!report.complete, "{limits:?}");
        assert_eq!(report.violation, None);
    }
}

#[test]
fn who_looks_on_may_end_a_search() {
    let mut looks = 0;
    let mut watch = |_| {
        looks += 1;
        false
    };
    let report = check(&world("joint"), &LIMITS, Some(&mut watch));
    assert!(!report.complete);
    assert!(looks > 0);
}

#[test]
fn a_bounded_depth_is_visited_by_the_shortest_ways() {
    let bounded = |threads, depth| {
        let limits = Limits {
            threads,
            depth_max: Some(depth),
            ..LIMITS
        };
        check(&world("replication"), &limits, None).unique_states
    };
    assert_eq!(bounded(1, 9), bounded(2, 9));
    assert!(bounded(1, 9) < bounded(1, 10));
}

#[cfg(feature = "mutants")]
mod mutants {
    use super::{LIMITS, explore, world};
    use replica::Mutant;
    use sim::model::{Judge, Tier, World, check, worlds};

    /// Every bug that breaks a promise: in which world, and which. Another promise that breaks is no proof that *this* bug was found.
    const FOUND: [(&str, &str, &str); 38] = [
        ("vote-not-persisted", "votes", "durability"),
        ("torn-hard-state", "disk", "durability"),
        ("index-before-term", "divergence", "leader completeness"),
        ("stamp-after-step-down", "replication", "log matching"),
        ("commit-old-term", "figure-8", "leader completeness"),
        ("commit-unverified", "reads", "state machine safety"),
        ("truncate-on-stale-append", "reads", "durability"),
        ("quorum-arithmetic", "elections", "leader completeness"),
        ("learner-counted", "learners-count-nothing", "leader completeness"),
        ("ack-last-index", "returned-tail", "durability"),
        ("stale-progress", "bad-tail", "durability"),
        ("ack-before-fsync", "durability", "durability"),
        ("lease-survives-transfer", "lease-transfer", "linearizable reads"),
        ("lease-forgets-promise", "lease-promise", "linearizable reads"),
        ("read-before-noop", "reads", "linearizable reads"),
        ("read-context-reused", "read-rounds", "linearizable reads"),
        ("read-batch-first-index", "read-rounds", "linearizable reads"),
        ("forwarded-read-joins", "follower-restart", "linearizable reads"),
        (
            "forwarded-read-outlives-crash",
            "follower-restart",
            "linearizable reads",
        ),
        ("lease-is-role", "reads", "linearizable reads"),
        ("stale-local-read", "reads", "linearizable reads"),
        (
            "change-before-noop",
            "conflicting-removals",
            "leader completeness",
        ),
        ("campaign-unapplied-config", "joint", "leader completeness"),
        ("joint-ignored-at-start", "joint", "membership"),
        ("config-not-rolled-back", "addition", "membership"),
        ("removed-leader-quorum", "removed-leader", "leader completeness"),
        ("snapshot-behind-applied", "snapshot-late", "panic"),
        ("snapshot-truncates-newer", "snapshot-covered", "durability"),
        ("config-from-replaced-log", "snapshot-membership", "membership"),
        ("commit-regresses", "replication", "monotonicity"),
        ("append-after-torn-tail", "disk", "durability"),
        ("nack-hint-as-match", "hints", "durability"),
        ("wiped-rejoin", "wiped-disk", "election safety"),
        ("sole-voter-unsynced", "disk-alone", "recovery"),
        ("failover-empties", "disk-alone", "durability"),
        ("retry-applied-twice", "disk-alone", "linearizability"),
        ("snapshot-keeps-conflict", "snapshot-conflict", "panic"),
        ("snapshot-keeps-tail", "disk-snapshot", "durability"),
    ];

    /// Every bug that keeps something from ever happening: in which world, and what.
    const UNMET: [(&str, &str, &str); 7] = [
        (
            "prevote-mixed",
            "pre-votes",
            "a server learns of a later term from who would not vote for it",
        ),
        (
            "prevote-keeps-leader",
            "stickiness",
            "a server that asks for pre-votes gives one",
        ),
        (
            "no-stickiness",
            "stickiness",
            "a candidate is refused because there is a leader",
        ),
        (
            "learner-refuses-vote",
            "learner",
            "a server votes that does not know that it may",
        ),
        (
            "transfer-never-aborts",
            "transfer",
            "a transfer of leadership is given up",
        ),
        (
            "inflight-leak",
            "losses",
            "a refused append empties a window that was full",
        ),
        (
            "joint-unelectable",
            "removed-leader",
            "a server stands that is to leave, but may be needed",
        ),
    ];

    /// What no world shows. In none is a write on its way while a leader goes on. A read can be ahead of what is applied only where a
    /// leader waits for its own disk; and a compaction that takes too much shows only where a log has grown on beside it. A snapshot that
    /// names more than it has takes commands that are committed when one is due already: a node by itself takes that before it commits more.
    /// Where a node is sent a snapshot, nobody asks for the vote that it may have forgotten. The simulation finds all five.
    const ELSEWHERE: [&str; 5] = [
        "begun-is-durable",
        "read-before-applied",
        "compaction-gap",
        "applied-before-effect",
        "install-forgets-vote",
    ];

    #[test]
    fn every_bug_is_listed() {
        let listed = FOUND.iter().chain(&UNMET).map(|(name, ..)| *name);
        let mut listed: Vec<&str> = listed.chain(ELSEWHERE).collect();
        let mut all: Vec<&str> = Mutant::all().map(|(name, _)| name).collect();
        listed.sort_unstable();
        all.sort_unstable();
        assert_eq!(listed, all);
    }

    #[test]
    fn bugs_that_break_a_promise_are_found() {
        let mut missed = Vec::new();
        for (name, in_world, promise) in FOUND {
            let world = world(in_world).with_mutant(name).expect("there is such a bug");
            match explore(&world).violation {
                Some(story) if story.what.starts_with(promise) => {}
                other => missed.push((name, in_world, other.map(|story| story.what))),
            }
        }
        assert_eq!(missed, []);
    }

    #[test]
    fn bugs_that_keep_something_from_happening_are_found() {
        let mut missed = Vec::new();
        for (name, in_world, never) in UNMET {
            let world = world(in_world).with_mutant(name).expect("there is such a bug");
            let report = explore(&world);
            if !report.complete || !report.unmet.contains(&never) {
                missed.push((name, report.unmet));
            }
        }
        assert_eq!(missed, []);
    }

    #[test]
    fn the_ghost_and_the_register_find_the_same_bugs_of_reads() {
        let promises = [
            (Judge::Ghost, "linearizable reads"),
            (Judge::Register, "linearizability"),
        ];
        for name in ["stale-local-read", "lease-is-role", "read-before-noop"] {
            for (judge, promise) in promises {
                let world = World {
                    judge,
                    ..world("linearizability")
                };
                let world = world.with_mutant(name).expect("there is such a bug");
                let story = explore(&world).violation;
                let story = story.unwrap_or_else(|| panic!("{judge:?} does not find {name}"));
                assert!(story.what.starts_with(promise), "{name}: {}", story.what);
            }
        }
    }

    /// Which worlds find which bugs first, and how: `--ignored --nocapture matrix`.
    #[test]
    #[ignore = "it is for people, and takes minutes"]
    fn matrix() {
        for (name, mutant) in Mutant::all() {
            println!("{name}");
            let mut left = 2;
            for of_every_change in worlds().into_iter().filter(|world| world.tier == Tier::Ci) {
                let world = World {
                    mutant: Some(mutant),
                    ..of_every_change
                };
                let report = check(&world, &LIMITS, None);
                if let Some(story) = &report.violation {
                    let (steps, states) = (story.steps.len(), report.unique_states);
                    println!(
                        "    {}: {steps} steps, {states} states: {}",
                        world.name, story.what
                    );
                } else if !report.unmet.is_empty() {
                    println!("    {}: never: {:?}", world.name, report.unmet);
                } else {
                    continue;
                }
                left -= 1;
                if left == 0 {
                    break;
                }
            }
        }
    }
}
