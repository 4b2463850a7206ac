use super::fake::{self, SERVES};
use super::*;

#[tokio::test]
async fn a_node_that_finds_itself_broken_when_it_is_started_again_has_died_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let panics = "echo \"thread 'main' panicked at x.rs:1\" >&2; exit 255";
    let serve = format!("if [ $starts = 2 ]; then {panics}; fi; {SERVES}");
    let cluster = fake::cluster(dir.path(), 1, &serve).await.unwrap();
    cluster.kill(1).await.unwrap();
    assert!(cluster.unexpected_exits().is_empty(), "it was killed by us");
    cluster.restart(1).await.unwrap_err();
    // That it comes up the next time takes nothing back.
    cluster.restart(1).await.unwrap();
    let exits = cluster.unexpected_exits();
    assert_eq!(exits.len(), 1, "{exits:?}");
    assert_eq!(exits[0].status.code(), Some(255));
    assert!(exits[0].last_lines[0].contains("panicked at"), "{exits:?}");
}

#[tokio::test]
async fn a_node_that_dies_of_something_else_than_the_kill_has_died_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    // It ends as soon as it is told that it may, and the kill comes when it already has.
    let serve =
        r#"echo 'ready {"listen":"127.0.0.1:1"}'; while [ ! -e "$folder/die" ]; do :; done; exit 101"#;
    let cluster = fake::cluster(dir.path(), 1, serve).await.unwrap();
    let mut process = cluster.0.member(1).take_process().unwrap();
    // As in a kill, but its signal comes too late.
    process.expect_exit();
    std::fs::write(dir.path().join("nodes/1/data/die"), "").unwrap();
    assert!(process.wait_exit(lifecycle::READY_TIME_MAX).await);
    assert_eq!(cluster.unexpected_exits()[0].status.code(), Some(101));
}

#[tokio::test]
async fn a_node_that_is_killed_when_it_has_just_found_itself_broken_has_died_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    // The kill comes between the words and the end.
    let panics = "echo \"thread 'main' panicked at x.rs:1\" >&2";
    let serve = format!("if [ $starts = 1 ]; then {panics}; fi; {SERVES}");
    let cluster = fake::cluster(dir.path(), 1, &serve).await.unwrap();
    cluster.kill(1).await.unwrap();
    let exits = cluster.unexpected_exits();
    assert_eq!(exits.len(), 1, "{exits:?}");
    assert!(exits[0].last_lines[0].contains("panicked at"), "{exits:?}");
    // What it has said is not said by the next one.
    cluster.restart(1).await.unwrap();
    cluster.kill(1).await.unwrap();
    assert_eq!(cluster.unexpected_exits().len(), 1);
}

#[tokio::test]
async fn a_backtrace_does_not_hide_the_panic() {
    let dir = tempfile::tempdir().unwrap();
    let serve = r#"echo "thread 'main' panicked at x.rs:1" >&2; seq 500 >&2; exit 255"#;
    let serve = format!("if [ $starts = 2 ]; then {serve}; fi; {SERVES}");
    let cluster = fake::cluster(dir.path(), 1, &serve).await.unwrap();
    cluster.kill(1).await.unwrap();
    cluster.restart(1).await.unwrap_err();
    let exits = cluster.unexpected_exits();
    assert!(exits[0].last_lines[0].contains("panicked at"), "{exits:?}");
}

#[tokio::test]
async fn an_interrupt_from_the_terminal_is_not_for_the_nodes() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = fake::cluster(dir.path(), 1, SERVES).await.unwrap();
    let pid = i32::try_from(cluster.process(1).unwrap()).unwrap();
    let node = rustix::process::Pid::from_raw(pid);
    assert_ne!(
        rustix::process::getpgid(node).unwrap(),
        rustix::process::getpgid(None).unwrap()
    );
}

#[tokio::test]
async fn a_node_whose_clocks_are_to_be_set_has_to_look_at_them() {
    let dir = tempfile::tempdir().unwrap();
    let start = |name: &str, serve: &str| {
        let dir = dir.path().join(name);
        std::fs::create_dir(&dir).unwrap();
        Cluster::start(ClusterSpec {
            clocks: true,
            ..fake::spec(&dir, 1, serve)
        })
    };
    let cluster = start("sleeps", SERVES).await.unwrap();
    cluster.skew_clock(1, Skew::Rate(4000)).await.unwrap();
    cluster.put_clock_right(1).unwrap();
    // Its clocks go on when it is started again.
    cluster.kill(1).await.unwrap();
    cluster.skew_clock(1, Skew::Rate(4000)).await.unwrap_err();
    cluster.restart(1).await.unwrap();
    cluster.skew_clock(1, Skew::Jump(1000)).await.unwrap();
    // As whoever asks the kernel by himself.
    let started = start("ignores", &format!("unset RUSTYRAFT_CLOCK; {SERVES}")).await;
    let error = started.map(drop).unwrap_err().to_string();
    assert!(error.contains("leave the nemesis clock out"), "{error}");
}

#[tokio::test]
async fn a_node_that_has_no_clocks_of_its_own_keeps_the_time() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = fake::cluster(dir.path(), 1, SERVES).await.unwrap();
    let error = cluster.skew_clock(1, Skew::Rate(4000)).await.unwrap_err();
    assert_eq!(error.to_string(), "node 1 could not be given another time");
    cluster.put_clock_right(1).unwrap();
}

#[tokio::test]
async fn a_node_that_has_died_is_not_paused_and_neither_is_the_one_that_takes_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = fake::cluster(dir.path(), 1, SERVES).await.unwrap();
    cluster.pause(1).await.unwrap();
    let pid = i32::try_from(cluster.process(1).unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    while cluster.is_up(1) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    cluster.pause(1).await.unwrap_err();
    cluster.restart(1).await.unwrap();
    assert!(!cluster.is_paused(1));
    crate::nemesis::heal_everything(&cluster).await.unwrap();
}
