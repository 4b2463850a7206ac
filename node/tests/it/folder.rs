//! Data folders without their nodes.

use crate::cluster::Cluster;
use crate::process::{Node, Spec, eventually, run, text};

fn inspected(spec: &Spec) -> (Option<i32>, String, String) {
    let output = run(&["wal", "inspect", spec.data.to_str().unwrap()]);
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_log_is_shown_and_its_damage_named() {
    let dir = tempfile::tempdir().unwrap();
    let spec = Spec::single(&dir.path().join("data"));
    let node = Node::start(&spec);
    let put = run(&["put", "k", "v", "-e", &node.endpoint(), "--timeout", "30s"]);
    assert_eq!(put.status.code(), Some(0));
    // Beside a node that runs, too.
    let (code, said, _) = inspected(&spec);
    assert_eq!(code, Some(0));
    assert!(said.contains("1 command of"), "{said}");
    node.kill();
    let log = spec.data.join("wal-0000000000000001.log");
    let mut contents = std::fs::read(&log).unwrap();
    contents[33] ^= 1;
    std::fs::write(&log, &contents).unwrap();
    let (code, said, complaint) = inspected(&spec);
    assert_eq!(
        (code, complaint.as_str()),
        (Some(1), "the log is corrupt\n"),
        "{said}"
    );
    let after = std::fs::read(&log).unwrap();
    assert!(after == contents, "it was changed");
}

#[test]
fn where_there_is_no_log_that_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("nowhere");
    for folder in [dir.path(), &nowhere] {
        let output = run(&["wal", "inspect", folder.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(254));
        assert_eq!(text(&output.stderr).lines().count(), 1);
    }
    assert!(!nowhere.exists());
}

#[test]
fn what_is_left_when_a_majority_is_lost_goes_on_as_a_cluster_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(dir.path());
    assert_eq!(cluster.run(&["put", "k", "v"]).0, Some(0));
    let leader = cluster.leader();
    let endpoint = cluster.nodes[&leader].endpoint();
    let spec = cluster.specs[&leader].clone();
    let data = spec.data.to_str().unwrap().to_string();
    let force = [
        "recover",
        "--data",
        &data,
        "--cluster-id",
        "new",
        "--force-new-cluster",
    ];
    // Not while it runs, and not by mistake.
    assert_eq!(run(&force).status.code(), Some(254));
    for id in [1, 2, 3] {
        cluster.kill(id);
    }
    assert_eq!(run(&force[..5]).status.code(), Some(254));
    let output = run(&force);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).contains("only member of the cluster \"new\""));
    drop(endpoint);

    // Under the old name it is no more.
    let (code, why) = spec.fails();
    assert_eq!(code, Some(254), "{why}");
    let alone = Spec {
        cluster_id: "new".to_string(),
        members: String::new(),
        ..spec
    };
    let node = Node::start(&alone);
    let value = eventually("it serves what it had", || {
        let output = run(&["get", "k", "-e", &node.endpoint(), "--timeout", "30s"]);
        (output.status.code() == Some(0)).then(|| text(&output.stdout))
    });
    assert_eq!(value, "v\n");
}
