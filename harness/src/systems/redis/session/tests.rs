use super::*;
use tokio::net::TcpListener;
use workloads::Step;

/// What comes of `op` where the server replies with that, in two pieces, and what it was sent.
async fn replied(op: &Op, replies: &'static str) -> (Result<Ret, Refusal>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut sent = vec![0; 4096];
        let bytes = stream.read(&mut sent).await.unwrap();
        let (first, second) = replies.split_at(replies.len() / 2);
        for piece in [first, second] {
            stream.write_all(piece.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
        }
        String::from_utf8_lossy(&sent[..bytes]).into_owned()
    });
    let mut session = RedisSession::open(2, 2, address).await.unwrap();
    let ret = session.call(op).await;
    (ret, server.await.unwrap())
}

fn transaction() -> Op {
    let steps = vec![
        Step::Append { cell: 1, value: 5 },
        Step::ReadList { cell: 1, found: None },
    ];
    Op::Transaction { key: 0, steps }
}

#[tokio::test]
async fn a_transaction_is_sent_at_once_and_answered_at_its_end() {
    let replies = "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:2\r\n*2\r\n$1\r\n4\r\n$1\r\n5\r\n";
    let (ret, sent) = replied(&transaction(), replies).await;
    let steps = vec![
        Step::Append { cell: 1, value: 5 },
        Step::ReadList {
            cell: 1,
            found: Some(vec![4, 5]),
        },
    ];
    assert_eq!(ret, Ok(Ret::Steps(steps)));
    let words: Vec<&str> = sent
        .split("\r\n")
        .filter(|line| !line.starts_with(['*', '$']))
        .collect();
    assert_eq!(words.join(" ").trim(), "MULTI RPUSH 0.1 5 LRANGE 0.1 0 -1 EXEC");
}

#[tokio::test]
async fn a_transaction_that_a_replica_refuses_is_for_the_primary_and_was_discarded() {
    let replies = "+OK\r\n-READONLY You can't write against a read only replica.\r\n+QUEUED\r\n\
        -EXECABORT Transaction discarded because of previous errors.\r\n";
    let (ret, _) = replied(&transaction(), replies).await;
    assert!(
        matches!(ret, Err(Refusal::Elsewhere { node: PRIMARY, .. })),
        "{ret:?}"
    );
}

#[tokio::test]
async fn what_is_cut_short_or_is_no_reply_is_in_doubt() {
    let write = Op::Write { key: 1, value: 2 };
    for replies in ["+O", "HTTP/1.1 400 Bad Request\r\n", "+QUEUED\r\n"] {
        let (ret, _) = replied(&write, replies).await;
        assert!(matches!(ret, Err(Refusal::Indefinite(_))), "{replies}: {ret:?}");
    }
    let (ret, _) = replied(&transaction(), "+OK\r\n+QUEUED\r\n+OK\r\n").await;
    assert!(matches!(ret, Err(Refusal::Indefinite(_))), "{ret:?}");
}
