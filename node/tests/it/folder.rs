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

/// A log of a few puts whose node is gone.
fn used(dir: &std::path::Path, incarnation: &str) -> Spec {
    let spec = Spec::single(&dir.join(incarnation));
    let node = Node::start(&spec);
    for value in ["a", "b", "c"] {
        let put = run(&["put", "k", value, "-e", &node.endpoint(), "--timeout", "30s"]);
        assert_eq!(put.status.code(), Some(0), "{put:?}");
    }
    node.kill();
    spec
}

const FIRST: &str = "wal-0000000000000001.log";

#[test]
fn a_torn_tail_is_no_corruption_and_a_log_of_somebody_else_is() {
    let dir = tempfile::tempdir().unwrap();
    let (spec, other) = (used(dir.path(), "one"), used(dir.path(), "other"));
    let (code, whole, complaint) = inspected(&spec);
    assert_eq!((code, complaint.as_str()), (Some(0), ""), "{whole}");
    let batches = |text: &str| text.lines().filter(|line| line.contains("  batch ")).count();

    // The last batch is half there, as an interrupted write leaves it.
    let log = spec.data.join(FIRST);
    let contents = std::fs::read(&log).unwrap();
    let mut torn = contents.clone();
    let last = (batches(&whole) - 1) * 4096;
    torn[last + 40..last + 4096].fill(0);
    std::fs::write(&log, &torn).unwrap();
    let (code, said, _) = inspected(&spec);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(batches(&said), batches(&whole) - 1, "{said}");
    assert!(said.contains("what an interrupted write"), "{said}");
    let corrupt = |part: &str| {
        let (code, said, complaint) = inspected(&spec);
        assert_eq!(
            (code, complaint.as_str()),
            (Some(1), "the log is corrupt\n"),
            "{said}"
        );
        assert!(said.contains(part), "{said}");
        let json = run(&["wal", "inspect", "--json", spec.data.to_str().unwrap()]);
        assert_eq!(json.status.code(), Some(1));
        for line in text(&json.stdout).lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
    };
    std::fs::write(&log, &contents[..last + 100]).unwrap();
    corrupt("the file ends within it");
    std::fs::copy(other.data.join(FIRST), &log).unwrap();
    corrupt("an intact batch of another log is here");
    std::fs::write(&log, vec![7; contents.len()]).unwrap();
    corrupt("no intact batch is here");
    std::fs::write(&log, &contents).unwrap();
    let identity = spec.data.join("identity");
    let mut rotten = std::fs::read(&identity).unwrap();
    rotten[9] ^= 1;
    std::fs::write(&identity, &rotten).unwrap();
    corrupt("its checksum does not match");
}

#[test]
fn a_snapshot_is_shown_part_by_part_and_its_damage_named() {
    let dir = tempfile::tempdir().unwrap();
    let spec = Spec::single(&dir.path().join("data"));
    let node = Node::start(&spec);
    for command in [&["put", "k", "v"][..], &["snapshot"]] {
        let output = run(&[command, &["-e", &node.endpoint(), "--timeout", "30s"]].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    // Beside a node that runs, too.
    let (code, said, complaint) = inspected(&spec);
    assert_eq!((code, complaint.as_str()), (Some(0), ""), "{said}");
    node.kill();
    let name = said.lines().next().unwrap().split("  ").next().unwrap();
    assert!(name.starts_with("snapshot-"), "{said}");
    for part in [
        "batch 1  begin  the state as of ",
        "part   1 pair of 2 bytes",
        "end    1 pair in all, state hash ",
    ] {
        assert!(said.contains(part), "{said}");
    }

    let path = spec.data.join(name);
    let mut contents = std::fs::read(&path).unwrap();
    contents[4096 + 33] ^= 1;
    std::fs::write(&path, &contents).unwrap();
    let (code, said, complaint) = inspected(&spec);
    assert_eq!(
        (code, complaint.as_str()),
        (Some(1), "a snapshot is corrupt\n"),
        "{said}"
    );
    assert!(
        said.contains("4096            CORRUPT  the batch here is damaged"),
        "{said}"
    );
    let json = run(&["wal", "inspect", "--json", spec.data.to_str().unwrap()]);
    let lines = text(&json.stdout);
    let corrupt = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .find(|line| line["found"] == "corrupt");
    assert_eq!(corrupt.unwrap()["file"], name);
    // And the node says the same.
    let (code, why) = spec.fails();
    assert_eq!(code, Some(255), "{why}");
    assert!(
        why.contains(&format!("{name} is corrupt at offset 4096")),
        "{why}"
    );
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
    let mut same = force;
    same[4] = &spec.cluster_id;
    let output = run(&same);
    assert_eq!(output.status.code(), Some(254), "{output:?}");
    assert!(text(&output.stderr).contains("give another id"), "{output:?}");
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

    // And grows again, by nodes with empty folders.
    let mut cluster = Cluster::around(leader, alone, node);
    for id in [1, 2, 3].into_iter().filter(|id| *id != leader) {
        std::fs::remove_dir_all(dir.path().join(id.to_string())).unwrap();
        cluster.start_joining(dir.path(), id);
        let named = cluster.named(id);
        assert_eq!(cluster.run(&["add", &named]).0, Some(0), "n{id}");
    }
    cluster.kill(leader);
    assert_eq!(cluster.run(&["get", "k"]), (Some(0), "v\n".to_string()));
}

#[test]
fn what_can_not_be_recovered_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("nowhere");
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let spec = used(dir.path(), "rotten");
    let log = spec.data.join(FIRST);
    let mut contents = std::fs::read(&log).unwrap();
    contents[33] ^= 1;
    std::fs::write(&log, &contents).unwrap();
    for (folder, code) in [(&nowhere, 254), (&empty, 254), (&spec.data, 255)] {
        let folder = folder.to_str().unwrap();
        let output = run(&[
            "recover",
            "--data",
            folder,
            "--cluster-id",
            "new",
            "--force-new-cluster",
        ]);
        assert_eq!(output.status.code(), Some(code), "{folder}: {output:?}");
        assert_eq!(text(&output.stderr).lines().count(), 1, "{output:?}");
    }
    assert!(!nowhere.exists());
    assert_eq!(std::fs::read(&log).unwrap(), contents, "it was changed");
}
