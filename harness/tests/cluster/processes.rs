//! Processes: how they begin, stand still, and end.

use crate::stage::{LIVES, LONG, Stage, wait_for, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::process::{Command, Stdio};

/// The state of a process as Linux has it: `T` if it is stopped.
fn state(process: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

/// Nodes that take no notice of being asked to stop.
fn stubborn() -> Stage {
    // Deaf before it is ready: whoever is ready may be asked.
    Stage::with_program(&format!(
        r#"trap '' TERM INT HUP; echo 'ready {{"listen":"127.0.0.1:1"}}'; {LIVES}"#
    ))
}

#[test]
fn nodes_die_with_the_harness() {
    let stage = stubborn();
    let mut harness = Command::new(env!("CARGO_BIN_EXE_harness"))
        .args(["up", "--nodes", "3", "--node-binary"])
        .arg(stage.program())
        .arg("--dir")
        .arg(stage.dir())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("three nodes", || (stage.processes().len() == 3).then_some(()));
    harness.kill().unwrap();
    harness.wait().unwrap();
    wait_for("their end", || stage.processes().is_empty().then_some(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_outlives_the_thread_that_asked_for_it() {
    let stage = Stage::new(LIVES);
    let cluster = stage.start(1).await.unwrap();
    cluster.kill(1).await.unwrap();
    let (asking, runtime) = (cluster.clone(), tokio::runtime::Handle::current());
    let thread = std::thread::spawn(move || runtime.block_on(asking.restart(1)));
    wait_until("the thread has ended", || thread.is_finished()).await;
    thread.join().unwrap().unwrap();
    // Whoever is about to be killed can't be stopped any more.
    cluster.pause(1).await.unwrap();
    cluster.resume(1).await.unwrap();
    assert!(cluster.is_up(1));
    assert!(cluster.unexpected_exits().is_empty());
}

#[tokio::test]
async fn all_nodes_are_frozen_at_once_and_then_let_go_or_killed() {
    let stage = Stage::new(LIVES);
    let cluster = stage.start(3).await.unwrap();
    cluster.kill(3).await.unwrap();
    let stands = |node| cluster.process(node).and_then(state) == Some('T');
    cluster.freeze_all().await;
    assert!(
        stands(1) && stands(2) && !cluster.is_up(3),
        "who is down stays so"
    );
    cluster.resume_all().await.unwrap();
    assert!(!stands(1) && !stands(2));
    cluster.freeze_all().await;
    cluster.kill_all().await.unwrap();
    assert!(!cluster.is_up(1) && !cluster.is_up(2));
    assert!(!stage.was_stopped(1), "it had no time to do anything");
    assert!(cluster.unexpected_exits().is_empty());
}

#[tokio::test]
async fn a_paused_node_stands_still_until_it_is_resumed_or_killed() {
    let stage = Stage::new(LIVES);
    let cluster = stage.start(2).await.unwrap();
    let process = cluster.process(1).unwrap();
    cluster.pause(1).await.unwrap();
    assert_eq!(state(process), Some('T'));
    assert!(cluster.is_paused(1) && !cluster.is_paused(2));
    assert!(cluster.is_up(1), "it is there, though it stands still");
    cluster.resume(1).await.unwrap();
    assert_ne!(state(process), Some('T'));
    assert!(!cluster.is_paused(1));

    cluster.pause(1).await.unwrap();
    cluster.kill(1).await.unwrap();
    assert!(!cluster.is_up(1) && !cluster.is_paused(1));
    cluster.restart(1).await.unwrap();
    assert_ne!(cluster.process(1), Some(process));
    assert!(cluster.unexpected_exits().is_empty(), "all of that was ours");
}

#[tokio::test]
async fn who_is_down_can_be_neither_paused_nor_resumed() {
    let stage = Stage::new(LIVES);
    let cluster = stage.start(1).await.unwrap();
    cluster.kill(1).await.unwrap();
    let error = cluster.pause(1).await.unwrap_err();
    assert_eq!(error.to_string(), "node 1 could not be paused");
    let error = cluster.resume(1).await.unwrap_err();
    assert_eq!(error.to_string(), "node 1 could not be resumed");
}

#[tokio::test]
async fn killing_twice_and_starting_twice_are_the_same_as_once() {
    let stage = Stage::new(LIVES);
    let cluster = stage.start(1).await.unwrap();
    let process = cluster.process(1);
    cluster.restart(1).await.unwrap();
    assert_eq!(cluster.process(1), process);
    cluster.kill(1).await.unwrap();
    cluster.kill(1).await.unwrap();
    assert_eq!(cluster.process(1), None);
}

#[tokio::test]
async fn stopping_asks_first_even_those_that_are_paused() {
    let stage = Stage::new(LIVES);
    let cluster = stage.start(2).await.unwrap();
    cluster.pause(2).await.unwrap();
    cluster.stop().await;
    assert!(stage.was_stopped(1) && stage.was_stopped(2));
    assert!(stage.processes().is_empty());
    assert!(cluster.unexpected_exits().is_empty());
}

#[tokio::test]
async fn who_does_not_stop_when_asked_is_killed() {
    let stage = stubborn();
    let cluster = stage.start(1).await.unwrap();
    cluster.stop().await;
    assert!(stage.processes().is_empty());
}

#[tokio::test]
async fn dropping_the_last_clone_kills() {
    let stage = Stage::new(LIVES);
    let cluster = stage.start(2).await.unwrap();
    let other = cluster.clone();
    drop(cluster);
    assert_eq!(stage.processes().len(), 2);
    drop(other);
    wait_until("they are gone", || stage.processes().is_empty()).await;
}

#[tokio::test]
async fn a_death_from_outside_is_news() {
    let stage = Stage::new(LIVES);
    let cluster = stage.start(1).await.unwrap();
    let process = i32::try_from(cluster.process(1).unwrap()).unwrap();
    kill_process(Pid::from_raw(process).unwrap(), Signal::KILL).unwrap();
    wait_until("it was noticed", || !cluster.unexpected_exits().is_empty()).await;
    let exits = cluster.unexpected_exits();
    assert_eq!((exits.len(), exits[0].node), (1, 1));
    assert!(!cluster.is_up(1));
    cluster.restart(1).await.unwrap();
    assert!(cluster.is_up(1));
}

#[tokio::test]
async fn who_says_something_else_than_that_it_is_ready_did_not_start() {
    let stage = Stage::with_program(&format!("echo hello; {LIVES}"));
    let error = stage.start(1).await.err().unwrap().to_string();
    assert_eq!(
        error,
        "node 1 did not start: its first line is no ready line: \"hello\""
    );
    wait_until("it is gone", || stage.processes().is_empty()).await;
}

#[tokio::test]
async fn who_ends_at_once_did_not_start_and_its_last_words_say_why() {
    let stage = Stage::with_program("echo 'no room' >&2; exit 254");
    let start = tokio::time::timeout(LONG, stage.start(1)).await.unwrap();
    let error = start.err().unwrap().to_string();
    assert_eq!(error, "node 1 did not start: exit status: 254: no room");
}
