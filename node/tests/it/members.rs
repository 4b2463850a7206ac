//! Nodes that come, go, and come back.

use crate::cluster::Cluster;
use crate::process::{eventually, run, text};
use serde_json::Value;
use std::collections::BTreeMap;

/// Each member's part, by id.
fn parts(cluster: &Cluster) -> BTreeMap<u64, String> {
    let (code, members) = cluster.run(&["members", "--json"]);
    assert_eq!(code, Some(0));
    let members: Value = serde_json::from_str(&members).expect("members are JSON");
    let part = |member: &Value| {
        let node = member["node"].as_u64().expect("a member has an id");
        (node, member["part"].as_str().expect("and a part").to_string())
    };
    members
        .as_array()
        .expect("there are several")
        .iter()
        .map(part)
        .collect()
}

fn voters(ids: &[u64]) -> BTreeMap<u64, String> {
    ids.iter().map(|id| (*id, "voter".to_string())).collect()
}

/// Waits until the configuration has everybody's data folder.
fn wait_for_folders(cluster: &Cluster) {
    eventually("all data folders are known", || {
        let (_, members) = cluster.run(&["members", "--json"]);
        let members: Value = serde_json::from_str(&members).ok()?;
        let known = |member: &Value| !member["data_folder"].is_null();
        members.as_array()?.iter().all(known).then_some(())
    });
}

#[track_caller]
fn done(cluster: &Cluster, args: &[&str]) {
    assert_eq!(cluster.run(args).0, Some(0), "{args:?}");
}

/// One line says why it is not done, and nothing has changed.
#[track_caller]
fn refused(cluster: &Cluster, args: &[&str], part: &str) {
    let before = parts(cluster);
    let endpoints = cluster.endpoints();
    let mut all = args.to_vec();
    all.extend(["--endpoints", &endpoints]);
    if !args.contains(&"--timeout") {
        all.extend(["--timeout", "60s"]);
    }
    let output = run(&all);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(part), "{said}");
    assert_eq!(parts(cluster), before);
}

#[test]
fn all_members_are_replaced_one_after_the_other_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(dir.path());
    for (old, new) in [(1, 4), (2, 5), (3, 6)] {
        done(&cluster, &["put", &old.to_string(), "v"]);
        cluster.start_joining(dir.path(), new);
        let named = cluster.named(new);
        done(&cluster, &["add", &named, "--replacing", &old.to_string()]);
        cluster.kill(old);
    }
    assert_eq!(parts(&cluster), voters(&[4, 5, 6]));
    // They know each other without anybody who was there at the beginning, and after a restart of all of them.
    for id in [4, 5, 6] {
        cluster.kill(id);
    }
    for id in [4, 5, 6] {
        cluster.restart(id);
    }
    for key in ["1", "2", "3"] {
        assert_eq!(cluster.run(&["get", key]), (Some(0), "v\n".to_string()));
    }
    assert_eq!(parts(&cluster), voters(&[4, 5, 6]));
}

#[test]
fn a_node_that_lost_its_data_is_refused_until_it_is_removed_and_added_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(dir.path());
    done(&cluster, &["put", "k", "v"]);
    wait_for_folders(&cluster);
    let leader = cluster.leader();
    let wiped = [1, 2, 3]
        .into_iter()
        .find(|id| *id != leader)
        .expect("two follow");
    cluster.kill(wiped);
    std::fs::remove_dir_all(&cluster.specs[&wiped].data).unwrap();
    cluster.restart(wiped);
    let log = cluster.specs[&wiped].data.with_extension("log");
    eventually("it is told why it is refused", || {
        let log = std::fs::read_to_string(&log).ok()?;
        log.contains("its data was wiped or copied").then_some(())
    });
    let endpoints = cluster.nodes[&wiped].endpoint();
    let output = run(&["status", "--json", "-e", &endpoints]);
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status[0]["applied_index"], 0, "{status}");

    done(&cluster, &["remove", &wiped.to_string()]);
    cluster.kill(wiped);
    std::fs::remove_dir_all(&cluster.specs[&wiped].data).unwrap();
    cluster.start_joining(dir.path(), wiped);
    let named = cluster.named(wiped);
    done(&cluster, &["add", &named]);
    assert_eq!(parts(&cluster), voters(&[1, 2, 3]));
    let other = [1, 2, 3]
        .into_iter()
        .find(|id| *id != leader && *id != wiped)
        .unwrap();
    cluster.kill(other);
    // It counts: with one of the others gone, there is no majority without it.
    done(&cluster, &["put", "k", "w"]);
}

#[test]
fn a_node_that_was_removed_is_told_so_and_does_not_fill_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(dir.path());
    let leader = cluster.leader();
    let removed = if leader == 3 { 2 } else { 3 };
    wait_for_folders(&cluster);
    done(&cluster, &["remove", &removed.to_string()]);
    let log = cluster.specs[&removed].data.with_extension("log");
    let log = eventually("it is told that it is no member", || {
        let log = std::fs::read_to_string(&log).ok()?;
        let told = format!("won't have this node: refused: node {removed} is no member of this cluster");
        log.contains(&told).then_some(log)
    });
    let tries = log
        .lines()
        .filter(|line| line.contains("is pre-candidate"))
        .count();
    assert!(tries <= 3, "{log}");
}

#[test]
fn who_asks_one_that_is_no_member_is_told_so_and_whom_to_ask() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(dir.path());
    wait_for_folders(&cluster);
    let leader = cluster.leader();
    let removed = if leader == 3 { 2 } else { 3 };
    cluster.start_joining(dir.path(), 4);
    done(&cluster, &["remove", &removed.to_string()]);
    let refused = |id: u64, args: &[&str]| {
        let endpoint = cluster.nodes[&id].endpoint();
        let mut args = args.to_vec();
        args.extend(["--endpoints", &endpoint, "--timeout", "500ms"]);
        let output = run(&args);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        text(&output.stderr)
    };
    let four = cluster.named(4);
    // Until the leader has told all that it had to tell, the removed node may still name it, and the request goes there.
    let said = eventually("it knows of no leader", || {
        let said = refused(removed, &["remove", "9"]);
        said.contains("which was removed from the cluster")
            .then_some(said)
    });
    assert!(
        said.starts_with("not done: ") && said.contains(&format!("is node {removed}, which")),
        "{said}"
    );
    assert!(said.contains(&format!("; node {leader} leads it, at ")), "{said}");
    eventually("it is said that node 4 is no member yet", || {
        let said = refused(4, &["add", &four]);
        said.contains("is node 4, which waits to be a member")
            .then_some(())
    });
}

#[test]
fn who_adds_a_node_that_does_not_catch_up_in_time_is_told_what_is_left_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(dir.path());
    cluster.leader();
    cluster.start_joining(dir.path(), 4);
    cluster.kill(4);
    let (named, endpoints) = (cluster.named(4), cluster.endpoints());
    let args = [
        "add",
        &named,
        "--wait",
        "300ms",
        "--timeout",
        "30s",
        "-e",
        &endpoints,
    ];
    let output = run(&args);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{output:?}");
    let said = text(&output.stderr);
    assert!(
        said.contains("a learner") && said.contains("`node add` goes on from there"),
        "{said}"
    );
    assert_eq!(parts(&cluster)[&4], "learner");
}

#[test]
fn several_come_and_go_at_once_and_the_leader_may_be_among_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(dir.path());
    let leader = cluster.leader();
    let other = [1, 2, 3].into_iter().find(|id| *id != leader).unwrap();
    for id in [4, 5] {
        cluster.start_joining(dir.path(), id);
    }
    let (four, five) = (cluster.named(4), cluster.named(5));
    let gone = format!("{leader},{other}");
    done(&cluster, &["add", &four, &five, "--replacing", &gone]);
    for id in [leader, other] {
        cluster.kill(id);
    }
    let stays = 6 - leader - other;
    assert_eq!(parts(&cluster), voters(&[stays, 4, 5]));
    done(&cluster, &["put", "k", "v"]);
}

#[test]
fn what_makes_no_sense_is_refused_in_one_line_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(dir.path());
    refused(&cluster, &["remove", "9"], "n9 is no member");
    refused(&cluster, &["promote", "1"], "n1 is a voter already");
    refused(
        &cluster,
        &["remove", "1", "2", "3"],
        "the last voter can't be removed",
    );
    refused(&cluster, &["demote", "9"], "n9 is no member");
    refused(&cluster, &["promote", "9"], "n9 is no member");
    refused(
        &cluster,
        &["demote", "1", "2", "3"],
        "the last voter can't be removed",
    );
    refused(&cluster, &["transfer", "9"], "n9");
    refused(&cluster, &["add", "1=127.0.0.1:1"], "n1 is a voter already");
    refused(
        &cluster,
        &["add", "4=127.0.0.1:1", "--replacing", "9"],
        "n9 is no member",
    );
    let occupied = cluster.named(2).replacen("2=", "4=", 1);
    refused(&cluster, &["add", &occupied], "is where n2 is reached, not n4");
    refused(
        &cluster,
        &["add", "4=127.0.0.1:1", "5=127.0.0.1:1"],
        "127.0.0.1:1 is where n5 is reached, not n4",
    );
    // A learner that nobody reaches never catches up.
    done(&cluster, &["add", "4=127.0.0.1:1", "--learner"]);
    // That may change yet, so it is waited for.
    refused(
        &cluster,
        &["promote", "4", "--timeout", "5s"],
        "n4 has not caught up as a learner",
    );
    refused(&cluster, &["transfer", "4"], "n4");
    refused(&cluster, &["demote", "4"], "n4 is a learner already");
    refused(
        &cluster,
        &["add", "4=127.0.0.1:2"],
        "n4 is a learner already, at 127.0.0.1:1",
    );
    done(&cluster, &["remove", "4"]);
    // Whoever leads has nothing to hand over to itself.
    let leader = cluster.leader();
    done(&cluster, &["transfer", &leader.to_string()]);
    assert_eq!(cluster.leader(), leader);
    let leader = cluster.leader();
    cluster.kill(leader);
    done(&cluster, &["put", "k", "v"]);
}

#[test]
fn leadership_goes_where_it_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(dir.path());
    let leader = cluster.leader();
    for to in [1, 2, 3].into_iter().filter(|id| *id != leader).chain([leader]) {
        done(&cluster, &["transfer", &to.to_string()]);
        assert_eq!(cluster.leader(), to);
    }
}

#[test]
fn a_snapshot_is_taken_when_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(dir.path());
    done(&cluster, &["put", "k", "v"]);
    // One that has applied nothing has nothing to take a snapshot of, and says so.
    eventually("everybody has applied something", || {
        let status = cluster.status();
        let applied = |node: &Value| node["applied_index"].as_u64() > Some(0);
        status.as_array()?.iter().all(applied).then_some(())
    });
    let (code, said) = cluster.run(&["snapshot"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.lines().count(), 3, "{said}");
    let status = cluster.status();
    for node in status.as_array().unwrap() {
        assert!(node["snapshot_index"].as_u64().unwrap() > 0, "{node}");
    }
}

#[test]
fn a_node_that_was_not_told_to_join_founds_no_second_cluster() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(dir.path());
    done(&cluster, &["put", "k", "v"]);
    cluster.start_joining(dir.path(), 4);
    cluster.kill(4);
    std::fs::remove_dir_all(&cluster.specs[&4].data).unwrap();
    // As if it had been there from the beginning.
    let named = cluster.named(4);
    let spec = cluster.specs.get_mut(&4).unwrap();
    spec.members = "1=127.0.0.1:1,".to_string() + &named;
    cluster.restart(4);
    let log = cluster.specs[&4].data.with_extension("log");
    eventually("it says whom it waits for", || {
        let log = std::fs::read_to_string(&log).ok()?;
        log.contains("n1 must be up once").then_some(())
    });
    assert_eq!(parts(&cluster), voters(&[1, 2, 3]));
}

#[test]
fn a_majority_that_lost_its_data_founds_nothing_beside_a_survivor() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(dir.path());
    done(&cluster, &["put", "k", "v"]);
    wait_for_folders(&cluster);
    let survivor = cluster.leader();
    let wiped: Vec<u64> = (1..=3).filter(|id| *id != survivor).collect();
    for id in 1..=3 {
        cluster.kill(id);
    }
    let said = |cluster: &Cluster, id: u64, what: &str| {
        let log = cluster.specs[&id].data.with_extension("log");
        std::fs::read_to_string(log).unwrap().contains(what)
    };
    for id in &wiped {
        std::fs::remove_dir_all(&cluster.specs[id].data).unwrap();
        cluster.restart(*id);
    }
    // They are a majority, and whoever knows better is down.
    for id in &wiped {
        let waits = format!("n{survivor} must be up once");
        eventually("it waits for the survivor", || {
            said(&cluster, *id, &waits).then_some(())
        });
    }
    cluster.restart(survivor);
    for id in &wiped {
        let founds_nothing = format!("n{id} founds nothing: n{survivor} knows it with another data folder");
        eventually("it founds nothing", || {
            said(&cluster, *id, &founds_nothing).then_some(())
        });
    }
    for node in cluster.status().as_array().unwrap() {
        let is_survivor = node["node"] == survivor;
        assert!(node["leader"].is_null(), "{node}");
        assert_eq!(node["term"].as_u64().unwrap() > 0, is_survivor, "{node}");
        assert_eq!(node["last_index"].as_u64().unwrap() > 0, is_survivor, "{node}");
    }
}
