mod once;

use super::*;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::Decoder as _;
use wire::client::{Leader, Request, Response};
use wire::{Hello, Refusal, Welcome};
use workloads::Ret;

const READ: Op = Op::Read { key: 7 };
const WRITE: Op = Op::Write { key: 7, value: 3 };
const ACQUIRE: Op = Op::Acquire { key: 7, owner: 5 };
const CAS: Op = Op::Cas {
    key: 7,
    expected: Some(3),
    new: 4,
};
/// Long enough for any machine where an answer comes.
const PATIENT: Duration = Duration::from_secs(20);
/// Long enough for most machines where an answer comes, and not too long to wait for one that does not.
const HASTY: Duration = Duration::from_secs(5);
/// Where no answer comes. A request is written before anybody looks at the time.
const BRIEF: Duration = Duration::from_millis(100);

/// What a fake node does with a request.
#[derive(Clone)]
enum Act {
    Answer(Result<Reply, Error>),
    /// Says nothing.
    Ignore,
    /// Ends the connection.
    Hang,
    /// Answers the request before this one, then this.
    Late(Reply, Reply),
}

/// A node that does as it is told.
struct Fake {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<RequestBody>>>,
    connections: Arc<AtomicUsize>,
}

impl Fake {
    async fn start(acts: impl IntoIterator<Item = Act>) -> Fake {
        let accepted = Welcome::Accepted {
            version: 1,
            node: 1,
            cluster_id: String::from("c"),
        };
        Fake::welcoming(Some(accepted), acts).await
    }

    /// A node that answers a hello so, or not at all.
    async fn welcoming(welcome: Option<Welcome>, acts: impl IntoIterator<Item = Act>) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Fake {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            connections: Arc::default(),
        };
        let acts: Arc<Mutex<VecDeque<Act>>> = Arc::new(Mutex::new(acts.into_iter().collect()));
        let (seen, connections) = (Arc::clone(&fake.seen), Arc::clone(&fake.connections));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(
                    stream,
                    welcome.clone(),
                    Arc::clone(&acts),
                    Arc::clone(&seen),
                ));
            }
        });
        fake
    }

    fn redirect(&self) -> Act {
        let leader = Leader {
            node: 9,
            client_address: self.address.to_string(),
        };
        Act::Answer(Err(Error::NotLeader { leader: Some(leader) }))
    }

    fn client(&self, timeout: Duration) -> Client {
        let address = self.address;
        Client::new(1, String::from("c"), Arc::new(move |_| Some(address)), timeout)
    }

    fn seen(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

async fn serve(
    mut stream: TcpStream,
    welcome: Option<Welcome>,
    acts: Arc<Mutex<VecDeque<Act>>>,
    seen: Arc<Mutex<Vec<RequestBody>>>,
) {
    let (mut codec, mut incoming) = (wire::frames(), BytesMut::new());
    let mut welcomed = false;
    loop {
        let Some(frame) = codec.decode(&mut incoming).unwrap() else {
            match stream.read_buf(&mut incoming).await {
                Ok(0) | Err(_) => return,
                Ok(_) => continue,
            }
        };
        if !welcomed {
            let hello: Hello = wire::decode(&frame).unwrap();
            assert_eq!((hello.cluster_id.as_str(), hello.role), ("c", wire::Role::Client));
            if let Some(welcome) = &welcome {
                write(&mut stream, welcome).await;
            }
            welcomed = true;
            continue;
        }
        let request: Request = wire::decode(&frame).unwrap();
        seen.lock().unwrap().push(request.body);
        let act = acts.lock().unwrap().pop_front();
        match act.expect("no more requests than were planned for") {
            Act::Answer(result) => {
                write(
                    &mut stream,
                    &Response {
                        id: request.id,
                        result,
                    },
                )
                .await;
            }
            Act::Ignore => {}
            Act::Hang => return,
            Act::Late(late, reply) => {
                write(
                    &mut stream,
                    &Response {
                        id: request.id - 1,
                        result: Ok(late),
                    },
                )
                .await;
                write(
                    &mut stream,
                    &Response {
                        id: request.id,
                        result: Ok(reply),
                    },
                )
                .await;
            }
        }
    }
}

async fn write<T: serde::Serialize>(stream: &mut TcpStream, value: &T) {
    let payload = wire::encode(value);
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(&payload);
    // A client that has gone away does not matter to a node.
    let _ = stream.write_all(&frame).await;
}

fn value(digits: &'static str) -> Act {
    Act::Answer(Ok(Reply::Value(Some(Bytes::from_static(digits.as_bytes())))))
}

async fn invoke(client: &mut Client, op: &Op) -> Completion {
    match client.reach(op).await {
        Ok(()) => client.call(op).await,
        Err(reason) => Completion::Fail(reason),
    }
}

/// As [`invoke`], where the connection is waited for and the answer hardly.
async fn invoke_hastily(client: &mut Client, op: &Op) -> Completion {
    client.timeout = PATIENT;
    client.reach(op).await.unwrap();
    client.timeout = BRIEF;
    let completion = client.call(op).await;
    client.timeout = PATIENT;
    completion
}

fn failed(completion: &Completion) -> &str {
    match completion {
        Completion::Fail(reason) => reason,
        Completion::Ok(_) | Completion::Info(_) => panic!("{completion:?} is no failure"),
    }
}

fn in_doubt(completion: &Completion) -> &str {
    match completion {
        Completion::Info(reason) => reason,
        Completion::Ok(_) | Completion::Fail(_) => panic!("{completion:?} is not in doubt"),
    }
}

#[tokio::test]
async fn replies_are_ok_and_a_cas_that_does_not_match_says_so() {
    let node = Fake::start([
        value("3"),
        Act::Answer(Ok(Reply::Value(None))),
        Act::Answer(Ok(Reply::Written)),
        Act::Answer(Ok(Reply::Swapped(false))),
    ])
    .await;
    let mut client = node.client(PATIENT);
    assert_eq!(
        invoke(&mut client, &READ).await,
        Completion::Ok(Ret::Value(Some(3)))
    );
    assert_eq!(invoke(&mut client, &READ).await, Completion::Ok(Ret::Value(None)));
    assert_eq!(invoke(&mut client, &WRITE).await, Completion::Ok(Ret::Written));
    assert_eq!(
        invoke(&mut client, &CAS).await,
        Completion::Ok(Ret::Swapped(false))
    );
    assert_eq!(node.connections.load(Ordering::SeqCst), 1);
    let key = Bytes::from_static(b"7");
    let cas = RequestBody::Cas {
        key,
        expected: Some(Bytes::from_static(b"3")),
        value: Bytes::from_static(b"4"),
    };
    assert_eq!(node.seen.lock().unwrap()[3], cas);
}

#[tokio::test]
async fn what_no_client_wrote_is_recorded_as_what_no_client_writes() {
    let node = Fake::start([value("garbage")]).await;
    let completion = invoke(&mut node.client(PATIENT), &READ).await;
    assert_eq!(completion, Completion::Ok(Ret::Value(Some(UNREADABLE))));
}

#[tokio::test]
async fn a_redirect_is_followed_and_remembered_until_something_goes_wrong() {
    let leader = Fake::start([
        Act::Answer(Ok(Reply::Written)),
        Act::Answer(Ok(Reply::Written)),
        Act::Answer(Err(Error::Busy)),
    ])
    .await;
    let home = Fake::start([leader.redirect(), value("1")]).await;
    let mut client = home.client(PATIENT);
    assert_eq!(invoke(&mut client, &WRITE).await, Completion::Ok(Ret::Written));
    assert_eq!(invoke(&mut client, &WRITE).await, Completion::Ok(Ret::Written));
    assert_eq!((home.seen(), leader.seen()), (1, 2));
    assert!(failed(&invoke(&mut client, &WRITE).await).contains("busy"));
    assert_eq!(
        invoke(&mut client, &READ).await,
        Completion::Ok(Ret::Value(Some(1)))
    );
    assert_eq!((home.seen(), leader.seen()), (2, 3));
}

#[tokio::test]
async fn no_more_redirects_are_followed_than_allowed() {
    let last = Fake::start([]).await;
    let third = Fake::start([last.redirect()]).await;
    let second = Fake::start([third.redirect()]).await;
    let first = Fake::start([second.redirect()]).await;
    let home = Fake::start([first.redirect()]).await;
    let completion = invoke(&mut home.client(PATIENT), &WRITE).await;
    assert!(failed(&completion).starts_with("not the leader"));
    assert_eq!((third.seen(), last.seen()), (1, 0));
}

#[tokio::test]
async fn a_follower_that_knows_no_leader_or_no_address_is_a_failure() {
    let nowhere = Leader {
        node: 2,
        client_address: String::new(),
    };
    let node = Fake::start([
        Act::Answer(Err(Error::NotLeader { leader: None })),
        Act::Answer(Err(Error::NotLeader {
            leader: Some(nowhere),
        })),
    ])
    .await;
    let mut client = node.client(PATIENT);
    assert!(failed(&invoke(&mut client, &WRITE).await).starts_with("not the leader"));
    assert!(failed(&invoke(&mut client, &WRITE).await).starts_with("not the leader"));
}

#[tokio::test]
async fn a_redirect_to_where_nobody_listens_is_a_failure() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let leader = Leader {
        node: 2,
        client_address: closed.to_string(),
    };
    let node = Fake::start([
        Act::Answer(Err(Error::NotLeader { leader: Some(leader) })),
        value("1"),
    ])
    .await;
    let mut client = node.client(PATIENT);
    assert!(failed(&invoke(&mut client, &WRITE).await).starts_with("redirected to node 2: can't connect"));
    assert_eq!(
        invoke(&mut client, &READ).await,
        Completion::Ok(Ret::Value(Some(1)))
    );
}

#[tokio::test]
async fn a_write_without_an_answer_is_in_doubt_and_its_connection_is_given_up() {
    let node = Fake::start([Act::Ignore, Act::Answer(Ok(Reply::Written))]).await;
    let mut client = node.client(PATIENT);
    assert_eq!(in_doubt(&invoke_hastily(&mut client, &WRITE).await), "timed out");
    assert_eq!(invoke(&mut client, &WRITE).await, Completion::Ok(Ret::Written));
    assert_eq!(node.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_write_whose_connection_breaks_is_in_doubt_even_after_a_redirect() {
    let node = Fake::start([Act::Hang]).await;
    assert!(in_doubt(&invoke(&mut node.client(PATIENT), &WRITE).await).starts_with("the connection broke"));
    let leader = Fake::start([Act::Hang]).await;
    let home = Fake::start([leader.redirect()]).await;
    assert!(in_doubt(&invoke(&mut home.client(PATIENT), &CAS).await).starts_with("the connection broke"));
}

#[tokio::test]
async fn a_read_without_an_answer_fails_and_its_late_answer_is_skipped() {
    let late = Act::Late(
        Reply::Value(Some(Bytes::from_static(b"1"))),
        Reply::Value(Some(Bytes::from_static(b"2"))),
    );
    let node = Fake::start([Act::Ignore, late, Act::Hang]).await;
    let mut client = node.client(PATIENT);
    assert_eq!(failed(&invoke_hastily(&mut client, &READ).await), "timed out");
    assert_eq!(
        invoke(&mut client, &READ).await,
        Completion::Ok(Ret::Value(Some(2)))
    );
    assert_eq!(node.connections.load(Ordering::SeqCst), 1);
    assert!(failed(&invoke(&mut client, &READ).await).starts_with("the connection broke"));
}

#[tokio::test]
async fn a_lost_leadership_leaves_a_write_in_doubt_and_a_read_failed() {
    let lost = Act::Answer(Err(Error::LeadershipLost));
    let aborted = Act::Answer(Err(Error::ReadAborted));
    let node = Fake::start([lost.clone(), lost, aborted]).await;
    let mut client = node.client(PATIENT);
    assert!(in_doubt(&invoke(&mut client, &WRITE).await).starts_with("leadership was lost"));
    failed(&invoke(&mut client, &READ).await);
    failed(&invoke(&mut client, &READ).await);
}

#[tokio::test]
async fn an_answer_to_another_question_leaves_a_write_in_doubt() {
    let node = Fake::start([Act::Answer(Ok(Reply::Value(None)))]).await;
    in_doubt(&invoke(&mut node.client(PATIENT), &WRITE).await);
}

#[tokio::test]
async fn a_refused_connection_and_a_node_that_is_down_are_failures() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let mut client = Client::new(1, String::from("c"), Arc::new(move |_| Some(closed)), PATIENT);
    assert!(failed(&invoke(&mut client, &WRITE).await).starts_with("can't connect"));
    let mut client = Client::new(4, String::from("c"), Arc::new(|_| None), PATIENT);
    assert_eq!(failed(&invoke(&mut client, &WRITE).await), "node 4 is down");
}

#[tokio::test]
async fn a_write_is_not_sent_before_the_welcome_and_so_fails_without_doubt() {
    let node = Fake::welcoming(None, []).await;
    let mut client = node.client(HASTY);
    assert_eq!(failed(&invoke(&mut client, &WRITE).await), "no welcome in time");
    assert_eq!(failed(&invoke(&mut client, &WRITE).await), "no welcome in time");
    assert_eq!((node.seen(), node.connections.load(Ordering::SeqCst)), (0, 1));
}

#[tokio::test]
async fn a_read_goes_ahead_of_the_welcome() {
    let node = Fake::welcoming(None, [Act::Ignore]).await;
    assert_eq!(
        failed(&invoke_hastily(&mut node.client(PATIENT), &READ).await),
        "timed out"
    );
    let begun = Instant::now();
    while node.seen() == 0 && begun.elapsed() < PATIENT {
        tokio::task::yield_now().await;
    }
    assert_eq!(node.seen(), 1);
}

#[tokio::test]
async fn a_node_that_refuses_or_is_another_one_is_a_failure() {
    let refusal = Welcome::Refused(Refusal::Busy { max: 3 });
    let node = Fake::welcoming(Some(refusal), []).await;
    assert!(failed(&invoke(&mut node.client(PATIENT), &WRITE).await).contains("too many connections"));
    let other = Welcome::Accepted {
        version: 1,
        node: 5,
        cluster_id: String::from("c"),
    };
    let node = Fake::welcoming(Some(other), []).await;
    assert_eq!(
        failed(&invoke(&mut node.client(PATIENT), &WRITE).await),
        "node 5 answers in place of node 1"
    );
}

#[tokio::test]
async fn a_lock_that_is_read_at_home_is_connected_there_though_the_leader_is_known() {
    let free = || Act::Answer(Ok(Reply::Value(None)));
    let leader = Fake::start([
        Act::Answer(Ok(Reply::Swapped(true))),
        Act::Answer(Ok(Reply::Swapped(true))),
    ])
    .await;
    let home = Fake::start([free(), leader.redirect(), Act::Hang, free()]).await;
    let mut client = home.client(PATIENT).reading_at_home(true);
    let token = Completion::Ok(Ret::Token(Some(1)));
    client.reach(&ACQUIRE).await.unwrap();
    assert_eq!(client.call(&ACQUIRE).await, token);
    // Home breaks the connection, and that to the leader stays.
    client.reach(&ACQUIRE).await.unwrap();
    assert!(matches!(client.call(&ACQUIRE).await, Completion::Fail(_)));
    client.reach(&ACQUIRE).await.unwrap();
    assert_eq!(client.call(&ACQUIRE).await, token);
    assert_eq!((home.seen(), leader.seen()), (4, 2));
}
