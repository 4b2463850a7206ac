use super::*;
use std::io::ErrorKind;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);

/// Lanes between node 1 and node 2, which is this listener.
async fn lanes() -> (Lanes, TcpListener) {
    let node = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let nodes = BTreeMap::from([(1, nowhere), (2, node.local_addr().unwrap())]);
    (Lanes::open(nodes).unwrap(), node)
}

/// A request of node 1 to node 2.
async fn asks(lanes: &Lanes) -> TcpStream {
    let mut near = TcpStream::connect(lanes.proxy(1)).await.unwrap();
    let head = format!("GET http://{}/stream HTTP/1.1\r\nHost: x\r\n\r\n", alias(2));
    near.write_all(head.as_bytes()).await.unwrap();
    near
}

async fn hears(far: &mut TcpStream, what: &[u8]) {
    let mut heard = vec![0; what.len()];
    tokio::time::timeout(LONG, far.read_exact(&mut heard))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&heard), String::from_utf8_lossy(what));
}

/// A request that has come: its near end, and its far end.
async fn connected(lanes: &Lanes, node: &TcpListener) -> (TcpStream, TcpStream) {
    let near = asks(lanes).await;
    let (mut far, _) = tokio::time::timeout(LONG, node.accept()).await.unwrap().unwrap();
    hears(
        &mut far,
        b"GET http://192.0.2.2:80/stream HTTP/1.1\r\nConnection: close\r\nHost: x\r\n\r\n",
    )
    .await;
    (near, far)
}

async fn swallows(lanes: &Lanes, from: NodeNumber, to: NodeNumber) {
    let enough = async {
        while lanes.swallowed(from, to) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LONG, enough).await.unwrap();
}

async fn is_reset(stream: &mut TcpStream) {
    let end = tokio::time::timeout(LONG, stream.read_u8()).await.unwrap();
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_request_and_its_answer_go_through() {
    let (lanes, node) = lanes().await;
    let (mut near, mut far) = connected(&lanes, &node).await;
    near.write_all(b"more").await.unwrap();
    hears(&mut far, b"more").await;
    far.write_all(b"answer").await.unwrap();
    drop(far);
    let mut answer = Vec::new();
    near.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"answer");
}

#[tokio::test]
async fn a_cut_silences_one_direction_and_healing_resets_what_has_a_hole() {
    let (lanes, node) = lanes().await;
    let (mut near, mut far) = connected(&lanes, &node).await;
    lanes.cut(2, 1);
    far.write_all(b"unheard").await.unwrap();
    swallows(&lanes, 2, 1).await;
    // The other direction goes on.
    near.write_all(b"heard").await.unwrap();
    hears(&mut far, b"heard").await;
    assert_eq!(lanes.swallowed(1, 2), 0);
    lanes.heal(2, 1);
    is_reset(&mut near).await;
    is_reset(&mut far).await;
    connected(&lanes, &node).await;
}

#[tokio::test]
async fn what_is_asked_over_a_cut_lane_comes_to_nobody() {
    let (lanes, node) = lanes().await;
    lanes.cut(1, 2);
    let mut near = asks(&lanes).await;
    swallows(&lanes, 1, 2).await;
    lanes.heal(1, 2);
    is_reset(&mut near).await;
    // The first that the node sees is the next one.
    connected(&lanes, &node).await;
}

#[tokio::test]
async fn a_cut_that_nobody_notices_leaves_no_hole() {
    let (lanes, node) = lanes().await;
    let (mut near, mut far) = connected(&lanes, &node).await;
    lanes.cut(1, 2);
    lanes.heal(1, 2);
    near.write_all(b"still there").await.unwrap();
    hears(&mut far, b"still there").await;
}

#[tokio::test]
async fn that_a_connection_ended_is_not_told_over_a_cut_lane() {
    let (lanes, node) = lanes().await;
    let (mut near, far) = connected(&lanes, &node).await;
    lanes.cut(2, 1);
    drop(far);
    swallows(&lanes, 2, 1).await;
    let told = tokio::time::timeout(Duration::from_millis(20), near.read_u8()).await;
    assert!(told.is_err(), "{told:?}");
    lanes.heal(2, 1);
    is_reset(&mut near).await;
}
