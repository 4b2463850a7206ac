//! Several nodes.

use crate::process::{CLUSTER_ID, Node, Spec, eventually, run, text};
use crate::relay::Relay;
use std::collections::BTreeMap;
use std::path::Path;

/// Nodes that reach each other through relays, so that each may listen where the system lets it, anew after each start.
pub(crate) struct Cluster {
    relays: BTreeMap<u64, Relay>,
    pub(crate) specs: BTreeMap<u64, Spec>,
    pub(crate) nodes: BTreeMap<u64, Node>,
}

impl Cluster {
    pub(crate) fn start(dir: &Path) -> Cluster {
        Cluster::start_with(dir, &[])
    }

    pub(crate) fn start_with(dir: &Path, flags: &'static [&'static str]) -> Cluster {
        let relays: BTreeMap<u64, Relay> = (1..=3).map(|id| (id, Relay::start())).collect();
        let members: Vec<String> = relays
            .iter()
            .map(|(id, relay)| format!("{id}={}", relay.address))
            .collect();
        let spec = |id| Spec {
            id,
            cluster_id: CLUSTER_ID.to_string(),
            members: members.join(","),
            data: dir.join(id.to_string()),
            listen: "127.0.0.1:0".to_string(),
            flags,
        };
        let mut cluster = Cluster {
            relays,
            specs: (1..=3).map(|id| (id, spec(id))).collect(),
            nodes: BTreeMap::new(),
        };
        for id in 1..=3 {
            cluster.restart(id);
        }
        cluster
    }

    /// One node that is the only member of its cluster, and that others reach from here on.
    pub(crate) fn around(id: u64, spec: Spec, node: Node) -> Cluster {
        let relay = Relay::start();
        relay.set_target(Some(node.address));
        Cluster {
            relays: BTreeMap::from([(id, relay)]),
            specs: BTreeMap::from([(id, spec)]),
            nodes: BTreeMap::from([(id, node)]),
        }
    }

    /// Starts node `id` below `dir`, which waits to be added.
    pub(crate) fn start_joining(&mut self, dir: &Path, id: u64) {
        let spec = Spec {
            id,
            cluster_id: self.cluster_id(),
            members: String::new(),
            data: dir.join(id.to_string()),
            listen: "127.0.0.1:0".to_string(),
            flags: &[],
        };
        self.relays.entry(id).or_insert_with(Relay::start);
        self.specs.insert(id, spec);
        self.restart(id);
    }

    /// Node `id` and where the others reach it, as `node add` takes it.
    pub(crate) fn named(&self, id: u64) -> String {
        format!("{id}={}", self.relays[&id].address)
    }

    fn cluster_id(&self) -> String {
        let some = self.specs.values().next();
        some.map_or_else(|| CLUSTER_ID.to_string(), |spec| spec.cluster_id.clone())
    }

    pub(crate) fn restart(&mut self, id: u64) {
        let node = Node::start(&self.specs[&id]);
        self.relays[&id].set_target(Some(node.address));
        self.nodes.insert(id, node);
    }

    pub(crate) fn kill(&mut self, id: u64) {
        self.relays[&id].set_target(None);
        self.nodes.remove(&id).expect("it runs").kill();
    }

    pub(crate) fn endpoints(&self) -> String {
        let endpoints: Vec<String> = self.nodes.values().map(Node::endpoint).collect();
        endpoints.join(",")
    }

    pub(crate) fn run(&self, args: &[&str]) -> (Option<i32>, String) {
        let endpoints = self.endpoints();
        let mut args = args.to_vec();
        args.extend(["--timeout", "30s", "--endpoints", &endpoints]);
        let output = run(&args);
        (output.status.code(), text(&output.stdout))
    }

    pub(crate) fn status(&self) -> serde_json::Value {
        serde_json::from_str(&self.run(&["status", "--json"]).1).expect("the status is JSON")
    }

    pub(crate) fn leader(&self) -> u64 {
        eventually("all that run agree on a leader", || {
            let status = self.status();
            let leader = status[0]["leader"].as_u64()?;
            let agreed = status.as_array()?.iter().all(|node| node["leader"] == leader);
            (agreed && self.nodes.contains_key(&leader)).then_some(leader)
        })
    }
}

#[test]
fn what_was_written_outlives_the_leader_and_reaches_whoever_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(dir.path());
    assert_eq!(cluster.run(&["put", "k", "v"]), (Some(0), String::new()));

    let leader = cluster.leader();
    cluster.kill(leader);
    assert_eq!(cluster.run(&["get", "k"]), (Some(0), "v\n".to_string()));
    assert_eq!(cluster.run(&["put", "k", "w"]), (Some(0), String::new()));

    cluster.restart(leader);
    eventually("all three have applied the same", || {
        let status = cluster.status();
        let first = &status[0];
        let same = |node: &serde_json::Value| {
            node["applied_index"] == first["applied_index"] && node["state_hash"] == first["state_hash"]
        };
        status.as_array()?.iter().all(same).then_some(())
    });
    assert_eq!(cluster.run(&["get", "k"]), (Some(0), "w\n".to_string()));
}

#[test]
fn a_follower_names_the_leader_and_its_address() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(dir.path());
    let leader = cluster.leader();
    let follower = cluster
        .nodes
        .iter()
        .find(|(id, _)| **id != leader)
        .expect("two follow")
        .1;
    let mut client = crate::connection::Connection::accepted(follower.address, wire::Role::Client);
    let body = || wire::client::RequestBody::Get { key: "k".into() };
    let named = eventually("the follower names the leader's address", || {
        match client.call(body()) {
            Err(wire::client::Error::NotLeader { leader }) => {
                leader.filter(|leader| !leader.client_address.is_empty())
            }
            other => panic!("a follower should refuse: {other:?}"),
        }
    });
    assert_eq!(named.node, leader);
    assert_eq!(named.client_address, cluster.nodes[&leader].endpoint());
    // And the client for people goes where it is sent.
    let output = run(&["put", "k", "v", "-e", &follower.endpoint(), "--timeout", "30s"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn a_follower_that_is_to_reads_as_the_leader_would() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start_with(dir.path(), &["--follower-reads"]);
    let get = || wire::client::RequestBody::Get { key: "k".into() };
    let reads = |node: &Node, value: &str| {
        let mut client = crate::connection::Connection::accepted(node.address, wire::Role::Client);
        // A follower that has lost its leader refuses, and reads again when it has one.
        eventually("the node reads", || match client.call(get()) {
            Ok(wire::client::Reply::Value(read)) => {
                assert_eq!(read.as_deref(), Some(value.as_bytes()));
                Some(())
            }
            Err(wire::client::Error::NotLeader { .. } | wire::client::Error::ReadAborted) => None,
            other => panic!("a read is answered with {other:?}"),
        });
    };
    // Whoever is asked has to see what was just written, whoever it was written at.
    for value in ["1", "2", "3"] {
        assert_eq!(cluster.run(&["put", "k", value]), (Some(0), String::new()));
        for node in cluster.nodes.values() {
            reads(node, value);
        }
    }
    let leader = cluster.leader();
    cluster.kill(leader);
    assert_eq!(cluster.run(&["put", "k", "4"]), (Some(0), String::new()));
    for node in cluster.nodes.values() {
        reads(node, "4");
    }
    // A life of its own each time: what comes back reads again.
    cluster.restart(leader);
    reads(&cluster.nodes[&leader], "4");
}
