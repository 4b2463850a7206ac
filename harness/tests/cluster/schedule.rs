//! Schedules: how they are written down, and that what was done can be done again.

use crate::stage::{LIVES, LONG, Stage, wait_until};
use disk::{Done, Errors};
use harness::cluster::{Cluster, ClusterSpec, CrashPoint, Damage, Pace, Since, Skew};
use harness::nemesis::{
    Aim, Fault, Kind, Nemesis, Outcome, Phase, Plan, Rates, Schedule, ScheduledFault, Shape, heal_everything,
};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

fn fault(start_ms: u64, stop_ms: u64, aim: Aim, fault: Fault) -> ScheduledFault {
    ScheduledFault {
        start_ms,
        stop_ms,
        aim,
        fault,
    }
}

/// A link's; without a limit where the rate is 0.
fn pace(delay_ms: u32, jitter_ms: u32, rate: u32) -> Pace {
    Pace {
        delay_ms,
        jitter_ms,
        bytes_per_second: NonZeroU32::new(rate),
    }
}

fn point(nth: u64, since: Since, done: Done) -> CrashPoint {
    CrashPoint { nth, since, done }
}

/// One fault of some kinds.
fn schedule() -> Schedule {
    Schedule {
        faults: vec![
            fault(0, 30, Aim::One, Fault::Kill(vec![2])),
            fault(60, 90, Aim::Majority, Fault::Pause(vec![3, 1])),
            fault(120, 150, Aim::Halves, Fault::Partition(vec![(1, 2), (2, 1)])),
        ],
    }
}

fn replay(schedule: Schedule) -> Plan {
    Plan {
        kinds: Vec::new(),
        interval: Duration::from_secs(1),
        time_limit: Duration::from_secs(1),
        seed: 1,
        clock_rates: Rates::default(),
        replay: Some(schedule),
    }
}

/// Lets a schedule loose; returns what came of it and what was told.
async fn unleash(cluster: &Cluster, schedule: Schedule) -> (Outcome, Vec<String>) {
    let mut told = Vec::new();
    let nemesis = Nemesis::new(replay(schedule), cluster.clone());
    let tell = |event: harness::nemesis::FaultEvent| {
        told.push(format!("{} {}: {}", event.kind, event.phase, event.targets));
    };
    let outcome = tokio::time::timeout(LONG, nemesis.run(tell, CancellationToken::new()))
        .await
        .unwrap();
    (outcome, told)
}

#[test]
fn schedules_of_earlier_runs_stay_readable() {
    let text = concat!(
        r#"{"faults":["#,
        r#"{"start_ms":0,"stop_ms":30,"aim":"one","fault":{"kill":[2]}},"#,
        r#"{"start_ms":60,"stop_ms":90,"aim":"majority","fault":{"pause":[3,1]}},"#,
        r#"{"start_ms":120,"stop_ms":150,"aim":"halves","fault":{"partition":[[1,2],[2,1]]}},"#,
        r#"{"start_ms":180,"stop_ms":190,"aim":"leader","fault":{"transfer":2}},"#,
        r#"{"start_ms":200,"stop_ms":210,"aim":"one","fault":{"member":["replace",[3]]}},"#,
        r#"{"start_ms":220,"stop_ms":230,"aim":"leader-mute","fault":{"slow":[{"delay_ms":20,"jitter_ms":5,"bytes_per_second":10000},[[1,2]]]}},"#,
        r#"{"start_ms":240,"stop_ms":250,"aim":"all","fault":{"slow":[{"delay_ms":20,"jitter_ms":0,"bytes_per_second":null},[[1,2]]]}},"#,
        r#"{"start_ms":260,"stop_ms":270,"aim":"one","fault":{"flaky":[18446744073709551615,[[2,1]]]}},"#,
        r#"{"start_ms":280,"stop_ms":290,"aim":"minority","fault":{"disk":["torn",7,[1,2]]}},"#,
        r#"{"start_ms":300,"stop_ms":310,"aim":"one","fault":{"disk":["log",8,[3]]}},"#,
        r#"{"start_ms":320,"stop_ms":330,"aim":"leader","fault":{"disk":["snapshot",9,[1]]}},"#,
        r#"{"start_ms":340,"stop_ms":350,"aim":"leader","fault":{"clock":[{"rate":250},true,[1]]}},"#,
        r#"{"start_ms":360,"stop_ms":370,"aim":"all","fault":{"clock":[{"jump":60000},false,[1,2]]}},"#,
        r#"{"start_ms":380,"stop_ms":390,"aim":"one","fault":{"clock":[{"wall":-200},false,[3]]}},"#,
        r#"{"start_ms":400,"stop_ms":410,"aim":"all","fault":{"power":[10,[1,2]]}},"#,
        r#"{"start_ms":420,"stop_ms":430,"aim":"one","fault":{"crash-point":[{"nth":3,"since":"start","done":"before"},[1]]}},"#,
        r#"{"start_ms":440,"stop_ms":450,"aim":"one","fault":{"crash-point":[{"nth":4,"since":"now","done":"after"},[1]]}},"#,
        r#"{"start_ms":460,"stop_ms":470,"aim":"one","fault":{"full":[2]}},"#,
        r#"{"start_ms":480,"stop_ms":490,"aim":"one","fault":{"io-error":["writes",11,[2]]}},"#,
        r#"{"start_ms":500,"stop_ms":510,"aim":"one","fault":{"io-error":["syncs",12,[2]]}},"#,
        r#"{"start_ms":520,"stop_ms":530,"aim":"one","fault":{"stall":[2]}}"#,
        "]}"
    );
    let mut schedule = schedule();
    schedule.faults.extend([
        fault(180, 190, Aim::Leader, Fault::Transfer(2)),
        fault(200, 210, Aim::One, Fault::Member(Shape::Replace, vec![3])),
        fault(
            220,
            230,
            Aim::LeaderMute,
            Fault::Slow(pace(20, 5, 10_000), vec![(1, 2)]),
        ),
        fault(240, 250, Aim::All, Fault::Slow(pace(20, 0, 0), vec![(1, 2)])),
        fault(260, 270, Aim::One, Fault::Flaky(u64::MAX, vec![(2, 1)])),
        fault(280, 290, Aim::Minority, Fault::Disk(Damage::Torn, 7, vec![1, 2])),
        fault(300, 310, Aim::One, Fault::Disk(Damage::Log, 8, vec![3])),
        fault(320, 330, Aim::Leader, Fault::Disk(Damage::Snapshot, 9, vec![1])),
        fault(
            340,
            350,
            Aim::Leader,
            Fault::Clock(Skew::Rate(250), true, vec![1]),
        ),
        fault(
            360,
            370,
            Aim::All,
            Fault::Clock(Skew::Jump(60_000), false, vec![1, 2]),
        ),
        fault(380, 390, Aim::One, Fault::Clock(Skew::Wall(-200), false, vec![3])),
        fault(400, 410, Aim::All, Fault::Power(10, vec![1, 2])),
        fault(
            420,
            430,
            Aim::One,
            Fault::CrashPoint(point(3, Since::Start, Done::Before), vec![1]),
        ),
        fault(
            440,
            450,
            Aim::One,
            Fault::CrashPoint(point(4, Since::Now, Done::After), vec![1]),
        ),
        fault(460, 470, Aim::One, Fault::Full(vec![2])),
        fault(480, 490, Aim::One, Fault::IoError(Errors::Writes, 11, vec![2])),
        fault(500, 510, Aim::One, Fault::IoError(Errors::Syncs, 12, vec![2])),
        fault(520, 530, Aim::One, Fault::Stall(vec![2])),
    ]);
    assert_eq!(serde_json::to_string(&schedule).unwrap(), text);
    assert_eq!(serde_json::from_str::<Schedule>(text).unwrap(), schedule);
}

#[test]
fn aims_are_written_as_ever() {
    let aims = [
        (Aim::Leader, "leader"),
        (Aim::One, "one"),
        (Aim::Minority, "minority"),
        (Aim::Majority, "majority"),
        (Aim::All, "all"),
        (Aim::Halves, "halves"),
        (Aim::Bridge, "bridge"),
        (Aim::Ring, "ring"),
        (Aim::LeaderDeaf, "leader-deaf"),
        (Aim::LeaderMute, "leader-mute"),
    ];
    for (aim, text) in aims {
        assert_eq!(serde_json::to_value(aim).unwrap(), text);
    }
}

#[test]
fn what_is_no_schedule_is_refused() {
    for text in [
        r#"{"faults":[{"start_ms":0,"stop_ms":30,"aim":"one","fault":{"earthquake":[2]}}]}"#,
        r#"{"faults":[{"start_ms":0,"stop_ms":30,"aim":"nobody","fault":{"kill":[2]}}]}"#,
        r#"{"faults":[{"start_ms":-1,"stop_ms":30,"aim":"one","fault":{"kill":[2]}}]}"#,
        r#"{"faults":[{"start_ms":0,"stop_ms":30,"aim":"one","fault":{"partition":[[1,2,3]]}}]}"#,
        r#"{"faults":[{"start_ms":0,"stop_ms":30,"aim":"one","fault":{"disk":["dust",1,[1]]}}]}"#,
        r#"{"faults":[{"start_ms":0,"stop_ms":30,"aim":"one","fault":{"io-error":["reads",1,[1]]}}]}"#,
        r#"{"faults":[{"start_ms":0,"stop_ms":30,"aim":"one","fault":{"crash-point":[{"nth":1,"since":"ever","done":"after"},[1]]}}]}"#,
        r#"{"faults":[{"start_ms":0,"stop_ms":30,"aim":"one","fault":{"flaky":[-1,[[1,2]]]}}]}"#,
        r#"{"faults":[{"start_ms":0,"stop_ms":30,"aim":"one","fault":{"slow":[{"delay_ms":1,"jitter_ms":0,"bytes_per_second":0},[[1,2]]]}}]}"#,
        r#"{"faults":[{"start_ms":0,"stop_ms":30,"aim":"one","fault":{"clock":[{"rate":-1},false,[1]]}}]}"#,
        r#"{"faults":[{"start_ms":0,"stop_ms":30,"aim":"one","fault":{"clock":[{"rate":1},[1]]}}]}"#,
        "{}",
    ] {
        serde_json::from_str::<Schedule>(text).expect_err(text);
    }
}

#[test]
fn kinds_go_by_their_names_and_an_unknown_one_is_told_all_of_them() {
    let error = "earthquake".parse::<Kind>().unwrap_err().to_string();
    for kind in Kind::ALL {
        assert_eq!(kind.to_string().parse(), Ok(kind));
        assert!(error.contains(kind.name()), "{error}");
    }
    assert!(error.contains("earthquake"), "{error}");
}

#[tokio::test]
async fn a_replay_does_what_was_done_and_undoes_it() {
    let stage = Stage::new(LIVES);
    let cluster = stage.start(3).await.unwrap();
    let first = cluster.process(2);
    let (outcome, told) = unleash(&cluster, schedule()).await;
    assert!(outcome.troubles.is_empty(), "{:?}", outcome.troubles);
    assert_eq!(
        told,
        [
            "kill start: one n2",
            "kill stop: one n2",
            "pause start: majority n3 n1",
            "pause stop: majority n3 n1",
            "partition start: halves, cut 1↔2",
            "partition stop: halves, cut 1↔2",
        ]
    );
    for (done, planned) in outcome.schedule.faults.iter().zip(schedule().faults) {
        assert_eq!((done.aim, &done.fault), (planned.aim, &planned.fault));
        assert!(
            done.start_ms >= planned.start_ms && done.stop_ms >= planned.stop_ms,
            "{done:?}"
        );
    }
    assert_eq!(outcome.schedule.faults.len(), 3);
    let kinds = [Kind::Kill, Kind::Pause, Kind::Partition];
    assert_eq!(outcome.applied, BTreeMap::from(kinds.map(|kind| (kind, 1))));
    // These nodes have nothing to say to each other: nothing was lost between them.
    let effects = [(Kind::Kill, 1), (Kind::Pause, 1), (Kind::Partition, 0)];
    assert_eq!(outcome.took_effect, BTreeMap::from(effects));
    assert_ne!(cluster.process(2), first, "it was killed, and started again");
    assert!(
        cluster
            .nodes()
            .iter()
            .all(|node| cluster.is_up(*node) && !cluster.is_paused(*node))
    );
}

#[tokio::test]
async fn links_are_as_slow_and_as_flaky_as_they_were_and_sound_again_afterwards() {
    let stage = Stage::new(LIVES);
    let cluster = stage.start(2).await.unwrap();
    let (slow, flaky) = (pace(10, 5, 10_000), 7);
    let schedule = Schedule {
        faults: vec![
            fault(0, 30, Aim::All, Fault::Slow(slow, vec![(1, 2), (2, 1)])),
            fault(60, 90, Aim::One, Fault::Flaky(flaky, vec![(1, 2)])),
        ],
    };
    let (outcome, told) = unleash(&cluster, schedule).await;
    assert_eq!(
        told,
        [
            "slow start: all, 10 to 15 ms, 10000 bytes/s, 1↔2",
            "slow stop: all, 10 to 15 ms, 10000 bytes/s, 1↔2",
            "flaky start: one, 1→2",
            "flaky stop: one, 1→2",
        ]
    );
    let done: Vec<_> = outcome.schedule.faults.iter().map(|fault| &fault.fault).collect();
    let (both, one) = (vec![(1, 2), (2, 1)], vec![(1, 2)]);
    assert_eq!(done, [&Fault::Slow(slow, both), &Fault::Flaky(flaky, one)]);
    // These nodes have nothing to say to each other: nothing was late between them.
    assert_eq!(
        outcome.took_effect,
        BTreeMap::from([(Kind::Slow, 0), (Kind::Flaky, 0)])
    );
}

#[tokio::test]
async fn clocks_are_as_wrong_as_they_were_and_whoever_was_cut_off_is_not_any_more() {
    let stage = Stage::new(LIVES);
    let cluster = Cluster::start(ClusterSpec {
        clocks: true,
        ..stage.spec(3)
    });
    let cluster = cluster.await.unwrap();
    let faults = [
        (Aim::Majority, Fault::Clock(Skew::Rate(4000), false, vec![1, 2])),
        (Aim::One, Fault::Clock(Skew::Wall(-60_000), false, vec![3])),
        // Nobody leads here: it is aimed at whom it names.
        (Aim::Leader, Fault::Clock(Skew::Rate(250), true, vec![2])),
    ];
    let times = [(0, 30), (60, 90), (120, 150)];
    let planned = times.into_iter().zip(faults.clone());
    let schedule = Schedule {
        faults: planned
            .map(|((start, stop), (aim, what))| fault(start, stop, aim, what))
            .collect(),
    };
    let (outcome, told) = unleash(&cluster, schedule).await;
    assert!(outcome.troubles.is_empty(), "{:?}", outcome.troubles);
    assert_eq!(
        told,
        [
            "clock start: majority n1 n2, clocks at 4 times the usual rate",
            "clock stop: majority n1 n2, clocks at 4 times the usual rate",
            "clock start: one n3, the time of day 1m back",
            "clock stop: one n3, the time of day 1m back",
            "clock start: leader n2, clocks at 0.25 times the usual rate, cut off, though no leader was seen",
            "clock stop: leader n2, clocks at 0.25 times the usual rate, cut off, though no leader was seen",
        ]
    );
    let done: Vec<_> = outcome.schedule.faults.iter().map(|fault| &fault.fault).collect();
    assert_eq!(done, faults.iter().map(|(_, fault)| fault).collect::<Vec<_>>());
    assert_eq!(outcome.took_effect, BTreeMap::from([(Kind::Clock, 3)]));
    for (from, to) in [(1, 2), (2, 1), (2, 3), (3, 2)] {
        assert!(!cluster.is_cut(from, to), "{from} to {to}");
    }
}

#[tokio::test]
async fn clocks_that_nobody_looks_at_are_not_counted_as_wrong() {
    let stage = Stage::new(LIVES);
    let cluster = stage.start(1).await.unwrap();
    let schedule = Schedule {
        faults: vec![fault(
            0,
            30,
            Aim::One,
            Fault::Clock(Skew::Rate(4000), false, vec![1]),
        )],
    };
    let (outcome, _) = unleash(&cluster, schedule).await;
    assert_eq!(outcome.troubles, ["node 1 could not be given another time"]);
    assert_eq!(outcome.took_effect, BTreeMap::from([(Kind::Clock, 0)]));
}

#[tokio::test]
async fn a_nemesis_that_is_told_to_stop_undoes_what_it_has_begun() {
    const HOUR_MS: u64 = 3_600_000;
    let stage = Stage::new(LIVES);
    let cluster = stage.start(2).await.unwrap();
    let long = Schedule {
        faults: vec![
            fault(0, HOUR_MS, Aim::One, Fault::Kill(vec![2])),
            fault(HOUR_MS, 2 * HOUR_MS, Aim::One, Fault::Pause(vec![1])),
        ],
    };
    let stop = CancellationToken::new();
    let nemesis = Nemesis::new(replay(long), cluster.clone());
    let (stopping, mut phases) = (stop.clone(), Vec::new());
    let tell = |event: harness::nemesis::FaultEvent| {
        phases.push((event.kind, event.phase));
        stopping.cancel();
    };
    let outcome = tokio::time::timeout(LONG, nemesis.run(tell, stop)).await.unwrap();
    assert_eq!(phases, [(Kind::Kill, Phase::Start), (Kind::Kill, Phase::Stop)]);
    assert!(cluster.is_up(2));
    assert_eq!(outcome.applied, BTreeMap::from([(Kind::Kill, 1)]));
    assert_eq!(
        outcome.schedule.faults.len(),
        1,
        "what never began is not recorded"
    );
}

#[tokio::test]
async fn a_nemesis_that_is_told_to_leave_leaves_everything_as_it_is_at_once() {
    const HOUR_MS: u64 = 3_600_000;
    // When it is started again it never says that it serves.
    let stage = Stage::with_program(&format!(
        r#"if [ -e "$stage/mute" ]; then sleep 3600; fi; echo 'ready {{"listen":"127.0.0.1:1"}}'; {LIVES}"#
    ));
    let cluster = stage.start(2).await.unwrap();
    std::fs::write(stage.folder().join("mute"), "").unwrap();
    let started_again = || !cluster.is_up(2) && stage.processes().len() == 2;
    let cases: [(u64, Fault, &dyn Fn() -> bool); 2] = [
        (HOUR_MS, Fault::Pause(vec![1]), &|| cluster.is_paused(1)),
        (0, Fault::Kill(vec![2]), &started_again),
    ];
    for (stop_ms, fault_of, is_under_way) in cases {
        let long = Schedule {
            faults: vec![
                fault(0, stop_ms, Aim::One, fault_of.clone()),
                fault(0, HOUR_MS, Aim::One, Fault::Pause(vec![2])),
            ],
        };
        let (stop, leave) = (CancellationToken::new(), CancellationToken::new());
        let nemesis = Nemesis::new(replay(long), cluster.clone()).leaving(leave.clone());
        let mut phases = Vec::new();
        let run = nemesis.run(|event| phases.push(event.phase), stop.clone());
        let end = async {
            wait_until("it is under way", is_under_way).await;
            leave.cancel();
            stop.cancel();
        };
        let (outcome, ()) = tokio::join!(tokio::time::timeout(LONG, run), end);
        let outcome = outcome.unwrap();
        assert_eq!(phases, [Phase::Start], "{fault_of:?} is not over");
        let recorded: Vec<&Fault> = outcome.schedule.faults.iter().map(|fault| &fault.fault).collect();
        assert_eq!(recorded, [&fault_of], "a replay shall do it again");
        assert_eq!(outcome.troubles, [] as [String; 0]);
    }
    assert!(cluster.is_paused(1) && !cluster.is_up(2));
    wait_until("whoever was being started is killed", || {
        stage.processes().len() == 1
    })
    .await;
}

#[tokio::test]
async fn nothing_begins_once_the_load_has_ended() {
    let stage = Stage::new(LIVES);
    let cluster = stage.start(1).await.unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    // Whoever leaves that to chance is lucky now and then.
    for _ in 0..20 {
        let due = Schedule {
            faults: vec![fault(0, 0, Aim::One, Fault::Pause(vec![1]))],
        };
        let nemesis = Nemesis::new(replay(due), cluster.clone());
        let outcome = nemesis.run(|_| {}, stop.clone()).await;
        assert_eq!(outcome.applied, BTreeMap::new());
    }
}

/// Nodes that take `millis` to start again, and so to undo a kill.
async fn slow_to_start(nodes: u64, millis: u64) -> (Stage, Cluster) {
    let stage = Stage::with_program(&format!(
        r#"if [ -e "$stage/slow" ]; then sleep 0.{millis}; fi; echo 'ready {{"listen":"127.0.0.1:1"}}'; {LIVES}"#
    ));
    let cluster = stage.start(nodes).await.unwrap();
    std::fs::write(stage.folder().join("slow"), "").unwrap();
    (stage, cluster)
}

#[tokio::test]
async fn a_fault_is_recorded_to_stop_when_its_undoing_begins() {
    const START_MS: u64 = 300;
    let (_stage, cluster) = slow_to_start(1, START_MS).await;
    let schedule = Schedule {
        faults: vec![fault(0, 10, Aim::One, Fault::Kill(vec![1]))],
    };
    let mut undone = Duration::ZERO;
    let nemesis = Nemesis::new(replay(schedule), cluster);
    let tell = |event: harness::nemesis::FaultEvent| undone = event.at;
    let outcome = tokio::time::timeout(LONG, nemesis.run(tell, CancellationToken::new()))
        .await
        .unwrap();
    let stop_ms = u128::from(outcome.schedule.faults[0].stop_ms);
    assert!(
        undone.as_millis() >= stop_ms + u128::from(START_MS),
        "{stop_ms} ms, undone at {undone:?}"
    );
}

#[tokio::test]
async fn a_fault_that_begins_late_lasts_as_long_as_it_was_to() {
    let (_stage, cluster) = slow_to_start(2, 400).await;
    let schedule = Schedule {
        faults: vec![
            fault(0, 10, Aim::One, Fault::Kill(vec![1])),
            fault(20, 220, Aim::One, Fault::Pause(vec![2])),
        ],
    };
    let (outcome, _) = unleash(&cluster, schedule).await;
    let late = &outcome.schedule.faults[1];
    assert!(
        late.start_ms >= 400 && late.stop_ms >= late.start_ms + 200,
        "{late:?}"
    );
}

#[tokio::test]
async fn healing_everything_brings_everybody_back() {
    let stage = Stage::new(LIVES);
    let cluster = stage.start(3).await.unwrap();
    cluster.kill(1).await.unwrap();
    cluster.pause(2).await.unwrap();
    cluster.cut(3, 1);
    heal_everything(&cluster).await.unwrap();
    for node in cluster.nodes() {
        assert!(cluster.is_up(node) && !cluster.is_paused(node), "node {node}");
    }
    // Once more there is nothing left to do.
    heal_everything(&cluster).await.unwrap();
}
