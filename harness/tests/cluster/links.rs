//! Links between nodes: what they carry, and what they don't.

use crate::stage::{LIVES, LONG, Stage, wait_until};
use harness::cluster::Cluster;
use harness::node_number::NodeNumber;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A TCP server that answers each line with its own name and the line.
async fn server(name: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let name = name.to_owned();
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(answer(stream, name.clone()));
        }
    });
    address
}

async fn answer(mut stream: TcpStream, name: String) {
    let (read, mut write) = stream.split();
    let mut lines = BufReader::new(read).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if write
            .write_all(format!("{name}: {line}\n").as_bytes())
            .await
            .is_err()
        {
            return;
        }
    }
}

/// A cluster whose nodes are such servers: node 2 answers as `n2`.
async fn cluster(nodes: u64) -> (Stage, Cluster) {
    let stage = Stage::new(LIVES);
    for node in 1..=nodes {
        stage.listens(node, server(&format!("n{node}")).await);
    }
    let cluster = stage.start(nodes).await.unwrap();
    (stage, cluster)
}

/// A connection of one node to another, over their link.
struct Peer(BufReader<TcpStream>);

impl Peer {
    async fn dial(stage: &Stage, from: NodeNumber, to: NodeNumber) -> Peer {
        let stream = TcpStream::connect(stage.link(from, to)).await.unwrap();
        Peer(BufReader::new(stream))
    }

    async fn say(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.0.get_mut().write_all(line.as_bytes()).await.unwrap();
    }

    /// What comes next: a line, nothing at the end, or an error.
    async fn hear(&mut self) -> io::Result<String> {
        let mut line = String::new();
        tokio::time::timeout(LONG, self.0.read_line(&mut line))
            .await
            .expect("something comes, be it the end")?;
        Ok(line.trim_end().to_owned())
    }

    async fn ask(&mut self, line: &str) -> io::Result<String> {
        self.say(line).await;
        self.hear().await
    }

    /// Speaks until nothing is carried any more: a cut takes a moment to be seen, and what is on its way then may still arrive.
    async fn say_until_swallowed(&mut self, cluster: &Cluster, (from, to): (NodeNumber, NodeNumber)) {
        let begun = Instant::now();
        while cluster.harmed(from, to) == 0 {
            assert!(begun.elapsed() < LONG, "the cut is never seen");
            self.say("are you deaf?").await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[track_caller]
    fn assert_reset(heard: io::Result<String>) {
        assert_eq!(heard.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
}

fn pairs(nodes: u64) -> Vec<(NodeNumber, NodeNumber)> {
    let all = (1..=nodes).flat_map(|from| (1..=nodes).map(move |to| (from, to)));
    all.filter(|(from, to)| from != to).collect()
}

/// Every pair's connection answers.
async fn assert_connected(stage: &Stage, nodes: u64) {
    for (from, to) in pairs(nodes) {
        let mut peer = Peer::dial(stage, from, to).await;
        assert_eq!(peer.ask("hello").await.unwrap(), format!("n{to}: hello"));
    }
}

#[tokio::test]
async fn each_ordered_pair_has_a_link_of_its_own_that_leads_to_the_right_node() {
    let (stage, _cluster) = cluster(3).await;
    let addresses: BTreeSet<SocketAddr> = pairs(3).iter().map(|(from, to)| stage.link(*from, *to)).collect();
    assert_eq!(addresses.len(), 6);
    assert_connected(&stage, 3).await;
}

#[tokio::test]
async fn a_cut_silences_one_node_towards_one_other_and_nobody_else() {
    let (stage, cluster) = cluster(3).await;
    let mut peers = BTreeMap::new();
    for (from, to) in pairs(3) {
        let mut peer = Peer::dial(&stage, from, to).await;
        peer.ask("hello").await.unwrap();
        peers.insert((from, to), peer);
    }
    cluster.cut(1, 2);
    let mut silenced = peers.remove(&(1, 2)).unwrap();
    silenced.say_until_swallowed(&cluster, (1, 2)).await;
    let before = cluster.harmed(1, 2);
    silenced.say("is anybody there?").await;
    wait_until("that is swallowed too", || cluster.harmed(1, 2) > before).await;
    for ((from, to), peer) in &mut peers {
        let answer = peer.ask("still there?").await.unwrap();
        assert_eq!(answer, format!("n{to}: still there?"), "{from}→{to}");
        assert_eq!(cluster.harmed(*from, *to), 0, "{from}→{to}");
    }
    cluster.heal(1, 2);
    // It ends without an answer to that, and without an orderly end.
    let mut heard = silenced.hear().await;
    while let Ok(line) = &heard {
        assert_eq!(line, "n2: are you deaf?");
        heard = silenced.hear().await;
    }
    Peer::assert_reset(heard);
    for ((from, to), peer) in &mut peers {
        let answer = peer.ask("and after?").await.unwrap();
        assert_eq!(answer, format!("n{to}: and after?"), "{from}→{to}");
    }
    assert_connected(&stage, 3).await;
}

#[tokio::test]
async fn a_link_that_was_not_cut_is_not_reset_by_healing() {
    let (stage, cluster) = cluster(2).await;
    let mut peer = Peer::dial(&stage, 1, 2).await;
    peer.ask("hello").await.unwrap();
    cluster.heal(1, 2);
    cluster.heal_all();
    assert_eq!(peer.ask("still there?").await.unwrap(), "n2: still there?");
}

#[tokio::test]
async fn healing_everything_heals_every_link() {
    let (stage, cluster) = cluster(3).await;
    for (from, to) in pairs(3) {
        cluster.cut(from, to);
    }
    let mut lost = Vec::new();
    for (from, to) in pairs(3) {
        let mut peer = Peer::dial(&stage, from, to).await;
        peer.say("is anybody there?").await;
        // The connection counts for one, and its words for more.
        wait_until("the link has swallowed it", || cluster.harmed(from, to) > 1).await;
        lost.push(peer);
    }
    cluster.heal_all();
    for mut peer in lost {
        Peer::assert_reset(peer.hear().await);
    }
    assert_connected(&stage, 3).await;
}

#[tokio::test]
async fn a_node_that_is_started_again_elsewhere_is_reached_over_the_same_link() {
    let (stage, cluster) = cluster(2).await;
    let link = stage.link(1, 2);
    cluster.kill(2).await.unwrap();
    assert_eq!(cluster.client_address(2), None);
    let mut peer = Peer::dial(&stage, 1, 2).await;
    // Who is down does not answer. (A word to it could hear of the reset first, and nothing would be left to be heard here.)
    Peer::assert_reset(peer.hear().await);

    let elsewhere = server("n2 reborn").await;
    stage.listens(2, elsewhere);
    cluster.restart(2).await.unwrap();
    assert_eq!(cluster.client_address(2), Some(elsewhere));
    assert_eq!(stage.link(1, 2), link);
    let mut peer = Peer::dial(&stage, 1, 2).await;
    assert_eq!(peer.ask("hello").await.unwrap(), "n2 reborn: hello");
}
