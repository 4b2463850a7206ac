use crate::cluster::links::flaky::{Flakiness, Prank};
use crate::cluster::links::{Links, Pace, Reach, alias};
use crate::node_number::NodeNumber;
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);

/// The two ways to come between nodes whose connections carry both ways.
const BOTH: [Reach; 2] = [Reach::BothWays, Reach::Proxies];

/// Node 1, and node 2, which is this listener.
struct Pair {
    links: Links,
    node: TcpListener,
}

impl Pair {
    async fn of(reach: Reach) -> Pair {
        let node = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let links = Links::open(&[1, 2], reach).await.unwrap();
        links.set_target(2, Some(node.local_addr().unwrap()));
        Pair { links, node }
    }

    /// Node 1 dials node 2, and says something.
    async fn dials(&self) -> TcpStream {
        let Some(proxy) = self.links.proxy(1) else {
            let address = self.links.address(1, 2).unwrap();
            let mut near = TcpStream::connect(address).await.unwrap();
            near.write_all(b"hello").await.unwrap();
            return near;
        };
        let mut near = TcpStream::connect(proxy).await.unwrap();
        let head = format!("GET http://{}/stream HTTP/1.1\r\nHost: x\r\n\r\n", alias(2));
        near.write_all(head.as_bytes()).await.unwrap();
        near
    }

    /// What comes to node 2.
    async fn accepts(&self) -> TcpStream {
        let accepted = tokio::time::timeout(LONG, self.node.accept()).await;
        let (mut far, _) = accepted.unwrap().unwrap();
        let said: &[u8] = if self.links.proxy(1).is_some() {
            b"GET http://192.0.2.2:80/stream HTTP/1.1\r\nConnection: close\r\nHost: x\r\n\r\n"
        } else {
            b"hello"
        };
        hears(&mut far, said).await;
        far
    }

    /// A connection on which something was said: its near end, and its far end.
    async fn connected(&self) -> (TcpStream, TcpStream) {
        let near = self.dials().await;
        (near, self.accepts().await)
    }

    async fn harms(&self, from: NodeNumber, to: NodeNumber, least: u64) {
        let enough = async {
            while self.links.harmed(from, to) < least {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(LONG, enough).await.unwrap();
    }

    /// Lets it befall a link, as it does while that is flaky.
    fn befalls(&self, from: NodeNumber, to: NodeNumber, prank: Prank) {
        let link = &self.links.links[&(from, to)];
        link.turn_flaky(Flakiness::Off, Flakiness::On);
        assert!(link.pranks.send(prank).is_ok(), "it has no connection");
    }
}

async fn hears(far: &mut TcpStream, what: &[u8]) {
    let mut heard = vec![0; what.len()];
    tokio::time::timeout(LONG, far.read_exact(&mut heard))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&heard), String::from_utf8_lossy(what));
}

async fn is_reset(stream: &mut TcpStream) {
    let end = tokio::time::timeout(LONG, stream.read_u8()).await.unwrap();
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

async fn hears_nothing(stream: &mut TcpStream) {
    let heard = tokio::time::timeout(Duration::from_millis(20), stream.read_u8()).await;
    assert!(heard.is_err(), "{heard:?}");
}

#[tokio::test]
async fn a_question_and_its_answer_go_through() {
    for reach in BOTH {
        let pair = Pair::of(reach).await;
        let (mut near, mut far) = pair.connected().await;
        near.write_all(b"more").await.unwrap();
        hears(&mut far, b"more").await;
        far.write_all(b"answer").await.unwrap();
        drop(far);
        let mut answer = Vec::new();
        near.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"answer");
    }
}

#[tokio::test]
async fn a_cut_silences_one_direction_and_healing_resets_what_has_a_hole() {
    for reach in BOTH {
        let pair = Pair::of(reach).await;
        let (mut near, mut far) = pair.connected().await;
        pair.links.cut(2, 1);
        far.write_all(b"unheard").await.unwrap();
        pair.harms(2, 1, 1).await;
        // The other direction goes on.
        near.write_all(b"heard").await.unwrap();
        hears(&mut far, b"heard").await;
        assert_eq!(pair.links.harmed(1, 2), 0);
        pair.links.heal(2, 1);
        is_reset(&mut near).await;
        is_reset(&mut far).await;
        pair.connected().await;
    }
}

#[tokio::test]
async fn what_is_said_over_a_cut_link_comes_to_nobody() {
    for reach in BOTH {
        let pair = Pair::of(reach).await;
        pair.links.cut(1, 2);
        let mut near = pair.dials().await;
        pair.harms(1, 2, 2).await;
        pair.links.heal(1, 2);
        is_reset(&mut near).await;
        // The first that the node sees is the next one.
        pair.connected().await;
    }
}

#[tokio::test]
async fn a_cut_that_nobody_notices_leaves_no_hole() {
    for reach in BOTH {
        let pair = Pair::of(reach).await;
        let (mut near, mut far) = pair.connected().await;
        pair.links.cut(1, 2);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        pair.links.heal(1, 2);
        near.write_all(b"still there").await.unwrap();
        hears(&mut far, b"still there").await;
    }
}

#[tokio::test]
async fn that_a_connection_ended_is_not_told_over_a_cut_link() {
    for reach in BOTH {
        let pair = Pair::of(reach).await;
        let (mut near, far) = pair.connected().await;
        pair.links.cut(2, 1);
        drop(far);
        pair.harms(2, 1, 1).await;
        hears_nothing(&mut near).await;
        pair.links.heal(2, 1);
        is_reset(&mut near).await;
    }
}

#[tokio::test]
async fn each_direction_is_slow_by_itself() {
    for reach in BOTH {
        let pair = Pair::of(reach).await;
        let (mut near, mut far) = pair.connected().await;
        let pace = Pace {
            delay_ms: 3_600_000,
            jitter_ms: 0,
            bytes_per_second: None,
        };
        pair.links.slow(2, 1, pace);
        far.write_all(b"late").await.unwrap();
        pair.harms(2, 1, 4).await;
        hears_nothing(&mut near).await;
        near.write_all(b"in time").await.unwrap();
        hears(&mut far, b"in time").await;
        assert_eq!(pair.links.harmed(1, 2), 0);
        pair.links.heal(2, 1);
        hears(&mut near, b"late").await;
    }
}

#[tokio::test]
async fn what_befalls_either_link_befalls_the_connection() {
    for reach in BOTH {
        let pair = Pair::of(reach).await;
        for (from, to) in [(1, 2), (2, 1)] {
            let (mut near, mut far) = pair.connected().await;
            pair.befalls(from, to, Prank::Reset);
            is_reset(&mut near).await;
            is_reset(&mut far).await;
            let (mut near, mut far) = pair.connected().await;
            let harmed = pair.links.harmed(from, to);
            pair.befalls(from, to, Prank::Silence(LONG * 100));
            pair.harms(from, to, harmed + 1).await;
            near.write_all(b"unheard").await.unwrap();
            far.write_all(b"unheard").await.unwrap();
            pair.harms(from, to, harmed + 2).await;
            hears_nothing(&mut near).await;
            hears_nothing(&mut far).await;
            pair.links.heal(from, to);
            is_reset(&mut near).await;
            is_reset(&mut far).await;
        }
    }
}

#[tokio::test]
async fn last_words_are_overtaken_there_and_not_waited_for_back() {
    let pair = Pair::of(Reach::BothWays).await;
    let (mut near, _far) = pair.connected().await;
    pair.befalls(2, 1, Prank::Overtake(Duration::ZERO));
    is_reset(&mut near).await;
    let (mut near, mut far) = pair.connected().await;
    near.write_all(b"last words").await.unwrap();
    pair.befalls(1, 2, Prank::Overtake(Duration::ZERO));
    is_reset(&mut near).await;
    pair.connected().await;
    hears(&mut far, b"last words").await;
}
