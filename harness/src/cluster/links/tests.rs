use super::*;
use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);

/// A link from node 1 to node 2, which is this listener.
async fn link() -> (Links, TcpListener) {
    let node = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let links = Links::open(&[1, 2], Reach::OneWay).await.unwrap();
    links.set_target(2, Some(node.local_addr().unwrap()));
    (links, node)
}

async fn dial(links: &Links) -> TcpStream {
    TcpStream::connect(links.address(1, 2).unwrap()).await.unwrap()
}

/// A connection over the link that has carried something: its near end, and its far end.
async fn connected(links: &Links, node: &TcpListener) -> (TcpStream, TcpStream) {
    let mut near = dial(links).await;
    near.write_all(b"a").await.unwrap();
    let (mut far, _) = node.accept().await.unwrap();
    assert_eq!(far.read_u8().await.unwrap(), b'a');
    (near, far)
}

async fn harms_until(links: &Links, least: u64) {
    let enough = async {
        while links.harmed(1, 2) < least {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LONG, enough).await.unwrap();
}

#[tokio::test]
async fn a_cut_swallows_what_is_said_and_healing_resets_both_ends() {
    let (links, node) = link().await;
    let (mut near, mut far) = connected(&links, &node).await;
    links.cut(1, 2);
    // Whatever order the tasks are woken in: what is swallowed from here on is not heard.
    while links.harmed(1, 2) == 0 {
        near.write_all(b"b").await.unwrap();
        tokio::task::yield_now().await;
    }
    near.write_all(b"c").await.unwrap();
    harms_until(&links, 2).await;
    links.heal(1, 2);
    let mut heard = Vec::new();
    let end = tokio::time::timeout(LONG, far.read_to_end(&mut heard))
        .await
        .unwrap();
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(!heard.contains(&b'c'), "{heard:?}");
    let end = tokio::time::timeout(LONG, near.read_u8()).await.unwrap();
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    // A new one works again.
    connected(&links, &node).await;
}

#[tokio::test]
async fn a_cut_that_nobody_notices_swallows_nothing() {
    let (links, node) = link().await;
    let (mut near, _far) = connected(&links, &node).await;
    links.cut(1, 2);
    // The link's task runs; that it saw the cut is shown by the reset.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    links.heal(1, 2);
    let end = tokio::time::timeout(LONG, near.read_u8()).await.unwrap();
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(links.harmed(1, 2), 0);
}

#[tokio::test]
async fn a_connection_over_a_cut_link_is_taken_and_leads_nowhere() {
    let (links, node) = link().await;
    links.cut(1, 2);
    let mut near = dial(&links).await;
    near.write_all(b"a").await.unwrap();
    harms_until(&links, 2).await;
    links.heal(1, 2);
    let end = tokio::time::timeout(LONG, near.read_u8()).await.unwrap();
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    // The first that the node sees is the next one.
    connected(&links, &node).await;
}

fn delay(delay_ms: u32) -> Pace {
    Pace {
        delay_ms,
        jitter_ms: 0,
        bytes_per_second: None,
    }
}

/// Longer than any test waits.
const HOUR_MS: u32 = 3_600_000;

async fn assert_reset(stream: &mut TcpStream) {
    let end = tokio::time::timeout(LONG, stream.read_u8()).await.unwrap();
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

/// Lets it befall the link from node 1 to node 2, as it does while that is flaky.
fn befalls(links: &Links, prank: Prank) {
    let link = &links.links[&(1, 2)];
    link.turn_flaky(Flakiness::Off, Flakiness::On);
    assert!(link.pranks.send(prank).is_ok(), "it has no connection");
}

#[tokio::test]
async fn a_slow_link_delays_each_word_and_many_are_on_their_way_at_once() {
    const WORDS: u32 = 500_000;
    let (links, node) = link().await;
    let (near, mut far) = connected(&links, &node).await;
    links.slow(1, 2, delay(1000));
    let said = Instant::now();
    let saying = tokio::spawn(async move {
        let mut near = near;
        let words: Vec<u8> = (0..WORDS).flat_map(u32::to_be_bytes).collect();
        near.write_all(&words).await.unwrap();
        near
    });
    for word in 0..WORDS {
        assert_eq!(far.read_u32().await.unwrap(), word);
        if word == 0 {
            assert!(said.elapsed() >= Duration::from_millis(1000));
        }
    }
    // If one buffer's worth waited for another to arrive, that would take 30 s.
    assert!(said.elapsed() < Duration::from_secs(20), "{:?}", said.elapsed());
    assert!(links.harmed(1, 2) >= u64::from(WORDS), "late is harmed");
    // What is said then is late no more.
    links.heal(1, 2);
    let mut near = saying.await.unwrap();
    let harmed = links.harmed(1, 2);
    near.write_all(b"z").await.unwrap();
    assert_eq!(far.read_u8().await.unwrap(), b'z');
    assert_eq!(links.harmed(1, 2), harmed);
}

#[tokio::test]
async fn whoever_says_more_than_a_slow_link_has_room_for_waits_and_nothing_is_lost() {
    const BYTES: usize = 64 << 20;
    let (links, node) = link().await;
    let (near, mut far) = connected(&links, &node).await;
    links.slow(1, 2, delay(HOUR_MS));
    let mut saying = tokio::spawn(async move {
        let mut near = near;
        near.write_all(&vec![7; BYTES]).await.unwrap();
        near
    });
    harms_until(&links, line::LINE_BYTES_MAX as u64).await;
    let waits = tokio::time::timeout(Duration::from_millis(500), &mut saying).await;
    assert!(waits.is_err(), "all of it was taken in");
    assert_eq!(far.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    links.heal(1, 2);
    let mut heard = vec![0; BYTES];
    tokio::time::timeout(LONG, far.read_exact(&mut heard))
        .await
        .unwrap()
        .unwrap();
    assert!(heard.iter().all(|byte| *byte == 7));
    saying.await.unwrap();
}

#[tokio::test]
async fn a_link_of_few_bytes_a_second_takes_its_time() {
    let (links, node) = link().await;
    let (mut near, mut far) = connected(&links, &node).await;
    let pace = Pace {
        bytes_per_second: NonZeroU32::new(10_000),
        ..delay(0)
    };
    links.slow(1, 2, pace);
    let said = Instant::now();
    near.write_all(&[7; 5000]).await.unwrap();
    far.read_exact(&mut [0; 5000]).await.unwrap();
    assert!(
        said.elapsed() >= Duration::from_millis(490),
        "{:?}",
        said.elapsed()
    );
}

#[tokio::test]
async fn what_a_node_says_before_it_ends_a_connection_arrives_over_a_slow_link_too() {
    let (links, node) = link().await;
    let (mut near, mut far) = connected(&links, &node).await;
    links.slow(1, 2, delay(50));
    near.write_all(b"good bye").await.unwrap();
    near.shutdown().await.unwrap();
    let mut heard = String::new();
    far.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "good bye");
}

#[tokio::test]
async fn the_answer_to_a_greeting_is_not_late() {
    let (links, node) = link().await;
    let (mut near, mut far) = connected(&links, &node).await;
    links.slow(1, 2, delay(HOUR_MS));
    far.write_all(b"d").await.unwrap();
    assert_eq!(near.read_u8().await.unwrap(), b'd');
}

#[tokio::test]
async fn a_connection_is_reset_at_both_ends_and_the_next_one_works() {
    let (links, node) = link().await;
    let (mut near, mut far) = connected(&links, &node).await;
    befalls(&links, Prank::Reset);
    assert_reset(&mut near).await;
    assert_reset(&mut far).await;
    connected(&links, &node).await;
    assert_eq!(links.harmed(1, 2), 1);
}

#[tokio::test]
async fn a_silent_connection_swallows_what_is_said_while_a_new_one_works() {
    let (links, node) = link().await;
    let (mut near, mut far) = connected(&links, &node).await;
    befalls(&links, Prank::Silence(LONG * 100));
    // It is silent when this is harmed: the next word is not heard.
    harms_until(&links, 1).await;
    near.write_all(b"b").await.unwrap();
    harms_until(&links, 2).await;
    connected(&links, &node).await;
    assert_eq!(far.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    links.heal(1, 2);
    assert_reset(&mut near).await;
    assert_reset(&mut far).await;
}

#[tokio::test]
async fn a_silent_connection_is_reset_when_its_time_is_over() {
    let (links, node) = link().await;
    let (mut near, _far) = connected(&links, &node).await;
    befalls(&links, Prank::Silence(Duration::from_millis(1)));
    assert_reset(&mut near).await;
}

#[tokio::test]
async fn who_falls_into_a_trap_is_taken_and_never_answered() {
    let (links, node) = link().await;
    let trap = &links.links[&(1, 2)].flaky;
    trap.send_replace(Flakiness::Trap);
    let mut near = dial(&links).await;
    near.write_all(b"a").await.unwrap();
    // The connection and what it says.
    harms_until(&links, 2).await;
    trap.send_replace(Flakiness::On);
    assert_reset(&mut near).await;
    // The first that the node sees is the next one.
    connected(&links, &node).await;
}

#[tokio::test]
async fn the_last_words_of_a_connection_are_overtaken_by_a_newer_one() {
    let (links, node) = link().await;
    let (mut near, mut far) = connected(&links, &node).await;
    // They are on their way when it happens.
    links.slow(1, 2, delay(HOUR_MS));
    near.write_all(b"last words").await.unwrap();
    harms_until(&links, 10).await;
    befalls(&links, Prank::Overtake(Duration::ZERO));
    assert_reset(&mut near).await;
    links.links[&(1, 2)].pace.send_replace(None);
    assert_eq!(far.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    connected(&links, &node).await;
    let mut heard = String::new();
    let heard_all = tokio::time::timeout(LONG, far.read_to_string(&mut heard));
    heard_all.await.unwrap().unwrap();
    assert_eq!(heard, "last words");
}

#[tokio::test]
async fn what_befalls_a_flaky_link_is_over_when_it_is_healed() {
    let (links, node) = link().await;
    links.make_flaky(1, 2, 7);
    // Whatever becomes of it, it is dialled again, as a node does.
    let accepting = tokio::spawn(async move {
        while let Ok((mut far, _)) = node.accept().await {
            tokio::spawn(async move { while let Ok(1..) = far.read(&mut [0; 64]).await {} });
        }
    });
    let talking = async {
        while links.harmed(1, 2) < 5 {
            let mut near = dial(&links).await;
            let harmed = links.harmed(1, 2);
            while links.harmed(1, 2) == harmed && near.write_all(b"a").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    };
    tokio::time::timeout(LONG, talking).await.unwrap();
    links.heal(1, 2);
    accepting.abort();
    let node = TcpListener::bind("127.0.0.1:0").await.unwrap();
    links.set_target(2, Some(node.local_addr().unwrap()));
    let (mut near, mut far) = connected(&links, &node).await;
    // For longer than it ever rested.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(300) {
        near.write_all(b"b").await.unwrap();
        assert_eq!(far.read_u8().await.unwrap(), b'b');
    }
}
