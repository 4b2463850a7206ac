//! Disks that fail under nodes that run: what becomes of the nodes, and of what they wrote.
//!
//! Where FUSE can't be used the tests say so, and pass; with `FUSE_REQUIRED` set, as continuous integration has it, they fail.

use crate::stage::{LONG, Stage, wait_until};
use disk::{Done, Errors};
use harness::cluster::{Cluster, CrashPoint, Since};
use harness::nemesis::{Aim, Fault, Kind, Nemesis, Plan, Rates, Schedule, ScheduledFault, heal_everything};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Whether disks can be had; if not, the test has nothing to do.
fn is_usable() -> bool {
    let Err(why) = disk::usable() else {
        return true;
    };
    assert!(
        std::env::var_os("FUSE_REQUIRED").is_none(),
        "FUSE_REQUIRED is set, and {why}"
    );
    println!("skipped: {why}");
    false
}

/// A node that keeps data in `$data`, is ready, and carries out `serve`.
fn stage(serve: &str) -> Stage {
    Stage::with_program(&format!(
        r#"for argument; do case "$argument" in --data=*) data="${{argument#--data=}}" ;; esac; done
mkdir -p "$data"
echo 'ready {{"listen":"127.0.0.1:1"}}'
{serve}"#
    ))
}

/// Writes a line, syncs what `dd` has written, and says so; again and again.
const SYNCS: &str = r#"number=0
while :; do
    number=$((number + 1))
    echo $number | dd of="$data/$number" conv=fsync 2>>"$stage/words-$id" && sync "$data" && echo $number >> "$stage/synced-$id"
done"#;

/// Writes lines and never syncs.
const WRITES: &str = r#"number=0
while :; do number=$((number + 1)); echo $number > "$data/$number" && echo $number >> "$stage/written-$id"; done"#;

fn disk_of(stage: &Stage, node: u64) -> PathBuf {
    stage.dir().join(format!("nodes/{node}/disk/data"))
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The lines of what `folder` in the stage says was done, of which the disk has nothing any more.
fn missing(stage: &Stage, list: &str) -> usize {
    let named = lines(&stage.folder().join(list));
    let held = |number: &&String| lines(&disk_of(stage, 1).join(number)) == [(*number).clone()];
    named.iter().filter(|number| !held(number)).count()
}

async fn has_done(stage: &Stage, list: &str, times: usize) {
    let path = stage.folder().join(list);
    wait_until("it has done something", || lines(&path).len() >= times).await;
}

async fn unleash(cluster: &Cluster, faults: Vec<Fault>) -> harness::nemesis::Outcome {
    let fault = |(place, fault): (u64, Fault)| ScheduledFault {
        start_ms: 400 * place,
        stop_ms: 400 * place + 200,
        aim: Aim::One,
        fault,
    };
    let plan = Plan {
        kinds: Vec::new(),
        interval: Duration::from_secs(1),
        time_limit: Duration::from_secs(60),
        seed: 0,
        clock_rates: Rates::default(),
        replay: Some(Schedule {
            faults: (0..).zip(faults).map(fault).collect(),
        }),
    };
    let nemesis = Nemesis::new(plan, cluster.clone());
    tokio::time::timeout(LONG, nemesis.run(|_| {}, CancellationToken::new()))
        .await
        .unwrap()
}

#[tokio::test]
async fn what_a_node_has_synced_survives_every_loss_of_power() {
    if !is_usable() {
        return;
    }
    for draw in 0..8 {
        let stage = stage(SYNCS);
        let cluster = stage.start_on_disks(1).await.unwrap();
        has_done(&stage, "synced-1", 3).await;
        cluster.lose_power(&[1], draw).await.unwrap();
        assert!(!cluster.is_up(1) && cluster.unexpected_exits().is_empty());
        assert_eq!(missing(&stage, "synced-1"), 0, "draw {draw}");
    }
}

#[tokio::test]
async fn what_a_node_has_not_synced_is_lost_by_some_and_by_none_that_only_kills() {
    if !is_usable() {
        return;
    }
    let mut lost = 0;
    for draw in 0..8 {
        let stage = stage(WRITES);
        let cluster = stage.start_on_disks(1).await.unwrap();
        has_done(&stage, "written-1", 3).await;
        cluster.kill(1).await.unwrap();
        assert_eq!(missing(&stage, "written-1"), 0);
        cluster.lose_power(&[1], draw).await.unwrap();
        lost += missing(&stage, "written-1");
        assert!(cluster.was_at_stake(1) > 0);
    }
    assert!(lost > 0);
}

#[tokio::test]
async fn nodes_die_at_their_points_while_they_run_and_while_they_start() {
    if !is_usable() {
        return;
    }
    let stage = stage(WRITES);
    let cluster = stage.start_on_disks(1).await.unwrap();
    for since in [Since::Now, Since::Start] {
        for (nth, done) in [(1, Done::Before), (4, Done::After)] {
            let before = cluster.process(1);
            cluster.arm(1, CrashPoint { nth, since, done }).await.unwrap();
            wait_until("it is dead", || !cluster.is_up(1)).await;
            cluster.disarm(1).await.unwrap();
            cluster.restart(1).await.unwrap();
            assert_ne!(cluster.process(1), before);
        }
    }
    assert!(
        cluster.unexpected_exits().is_empty(),
        "{:?}",
        cluster.unexpected_exits()
    );
    // One that is not to die any more lives on.
    let point = CrashPoint {
        nth: u64::MAX,
        since: Since::Now,
        done: Done::Before,
    };
    cluster.arm(1, point).await.unwrap();
    let before = cluster.process(1);
    cluster.disarm(1).await.unwrap();
    assert_eq!(cluster.process(1), before);
}

/// Ends when it can't write, and says `words`.
fn gives_up(words: &str) -> Stage {
    stage(&format!(
        r#"while :; do echo text | dd of="$data/f" conv=fsync 2>/dev/null || {{ {words}; exit 255; }}; done"#
    ))
}

#[tokio::test]
async fn a_node_that_ends_when_its_disk_is_full_or_fails_has_to_say_so() {
    if !is_usable() {
        return;
    }
    let full = "echo 'error: no space left on device' >&2";
    let failed = "echo 'error: f: Input/output error (os error 5)' >&2";
    let panics = "echo \"thread 'main' panicked at x.rs:1: Input/output error\" >&2";
    let cases: [(&str, Option<Errors>, bool); 6] = [
        (full, None, true),
        (":", None, false),
        (failed, None, false),
        (failed, Some(Errors::Writes), true),
        (failed, Some(Errors::Syncs), true),
        (panics, Some(Errors::Syncs), false),
    ];
    for (words, errors, is_excused) in cases {
        let stage = gives_up(words);
        let cluster = stage.start_on_disks(1).await.unwrap();
        match errors {
            None => cluster.set_full(1, true),
            Some(errors) => cluster.set_errors(1, Some(errors)),
        }
        wait_until("it has ended", || !cluster.is_up(1)).await;
        let exits = cluster.unexpected_exits();
        assert_eq!(exits.is_empty(), is_excused, "{words}, {errors:?}: {exits:?}");
        heal_everything(&cluster).await.unwrap();
        assert!(cluster.is_up(1));
    }
}

#[tokio::test]
async fn what_an_earlier_process_of_a_node_said_excuses_no_other() {
    if !is_usable() {
        return;
    }
    let stage = stage(
        r#"if [ ! -e "$stage/told" ]; then touch "$stage/told"; echo 'no space left on device' >&2; fi
until [ -e "$stage/die" ]; do sleep 0.01; done; exit 1"#,
    );
    let cluster = stage.start_on_disks(1).await.unwrap();
    let told = stage.folder().join("told");
    wait_until("it has said that", || told.exists()).await;
    cluster.kill(1).await.unwrap();
    cluster.restart(1).await.unwrap();
    cluster.set_full(1, true);
    fs::write(stage.folder().join("die"), "").unwrap();
    wait_until("it has ended", || !cluster.unexpected_exits().is_empty()).await;
}

#[tokio::test]
async fn a_node_whose_disk_hangs_can_be_killed_frozen_stopped_and_dropped() {
    if !is_usable() {
        return;
    }
    let stage = stage(SYNCS);
    let cluster = stage.start_on_disks(3).await.unwrap();
    for node in 1..=3 {
        has_done(&stage, &format!("synced-{node}"), 1).await;
        cluster.set_stalled(node, true);
    }
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_millis(50)).await;
    cluster.freeze_all().await;
    cluster.kill(1).await.unwrap();
    heal_everything(&cluster).await.unwrap();
    let path = stage.folder().join("synced-1");
    let before = lines(&path).len();
    wait_until("it goes on", || lines(&path).len() > before).await;
    for node in 1..=3 {
        cluster.set_stalled(node, true);
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    cluster.stop().await;
    assert!(cluster.unexpected_exits().is_empty());
    drop(cluster);
    assert!(stage.processes().is_empty());
    assert!(begun.elapsed() < LONG);
    // Where the mount was, nothing is left, and beside it is what the nodes wrote.
    assert!(!disk_of(&stage, 1).exists());
    let synced = stage.folder().join("synced-1");
    let durable = stage.dir().join("nodes/1/durable/data");
    for number in lines(&synced) {
        assert_eq!(lines(&durable.join(&number)), [number]);
    }
}

#[tokio::test]
async fn a_replay_does_to_disks_what_was_done() {
    if !is_usable() {
        return;
    }
    let stage = stage(SYNCS);
    let cluster = stage.start_on_disks(2).await.unwrap();
    let point = CrashPoint {
        nth: 2,
        since: Since::Now,
        done: Done::After,
    };
    let faults = vec![
        Fault::Power(7, vec![1, 2]),
        Fault::CrashPoint(point, vec![1]),
        Fault::Full(vec![2]),
        Fault::IoError(Errors::Syncs, 8, vec![1]),
        Fault::Stall(vec![1, 2]),
    ];
    let outcome = unleash(&cluster, faults.clone()).await;
    assert_eq!(outcome.troubles, [] as [String; 0]);
    let done: Vec<&Fault> = outcome.schedule.faults.iter().map(|fault| &fault.fault).collect();
    assert_eq!(done, faults.iter().collect::<Vec<_>>());
    for kind in [
        Kind::Power,
        Kind::CrashPoint,
        Kind::Full,
        Kind::IoError,
        Kind::Stall,
    ] {
        assert_eq!(outcome.took_effect.get(&kind), Some(&1), "{kind}");
    }
    assert!(cluster.is_up(1) && cluster.is_up(2));
    assert!(cluster.unexpected_exits().is_empty());
}
