use super::*;
use crate::cluster::{Binary, fake};
use crate::report::Valid;

/// A test of two nodes of this program, interrupted before they serve, since they never do.
async fn interrupted(folder: &Path, serve: &str) -> Results {
    let binary = Binary::locate(Some(&fake::program(folder, serve))).unwrap();
    let system = System::Node(binary);
    let mut test = Test::new(&system, 1, Options::brief(2));
    let directory = RunDirectory::create(folder, &test).unwrap();
    let interrupt = CancellationToken::new();
    interrupt.cancel();
    let surroundings = Surroundings {
        hosts: None,
        system: &system,
        remark: None,
        directory: &directory,
        live: &Arc::new(Live::new(false)),
        interrupt: &interrupt,
        label: String::new(),
        keep_running: false,
    };
    run(&mut test, &surroundings).await.results
}

#[tokio::test]
async fn a_node_that_panics_when_it_is_told_to_stop_is_a_violation() {
    let store = tempfile::tempdir().unwrap();
    let serve = r#"trap 'echo "thread panicked at x.rs:1" >&2; exit 101' TERM
echo 'ready {"listen":"127.0.0.1:1"}'; while :; do sleep 0.01; done"#;
    let results = interrupted(store.path(), serve).await;
    assert_eq!(results.summary.valid, Valid::False);
    let reason = results.summary.reason.unwrap();
    assert!(reason.contains("found its own state broken"), "{reason}");
}

#[tokio::test]
async fn how_a_node_ends_that_is_told_to_stop_is_weighed() {
    let store = tempfile::tempdir().unwrap();
    let serve =
        r#"trap 'exit 255' TERM; echo 'ready {"listen":"127.0.0.1:1"}'; while :; do sleep 0.01; done"#;
    let results = interrupted(store.path(), serve).await;
    assert_eq!(results.summary.valid, Valid::Unknown);
    let reason = results.summary.reason.unwrap();
    assert!(
        reason.contains("did not end as it was told to: exit status: 255"),
        "{reason}"
    );
}

#[tokio::test]
async fn nodes_that_are_not_where_the_others_are_are_an_objection() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = fake::cluster(folder.path(), 2, fake::SERVES).await.unwrap();
    // Nobody listens there.
    let seen = finish::settled(&cluster, Duration::from_millis(1)).await;
    assert!(unsettled(&seen).unwrap().contains("to agree, and node 1 "));
    // The dead don't come back: there is nothing to wait for.
    cluster.kill(2).await.unwrap();
    let seen = finish::settled(&cluster, Duration::from_secs(600)).await;
    assert!(unsettled(&seen).is_some());
}

#[tokio::test]
async fn a_check_that_panics_is_an_error_and_ends_nothing_else() {
    let panicked = whatever_it_does(|| panic!("the check is broken")).await;
    let panicked: Result<(), TestError> = panicked;
    assert!(matches!(panicked, Err(TestError::Check)));
}
