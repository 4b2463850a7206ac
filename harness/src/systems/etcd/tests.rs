use super::answer::understood;
use super::request::*;
use super::session::EtcdSession;
use super::*;
use crate::systems::Refusal;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use workloads::{Op, Ret, Step};

fn text(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

/// What comes of `op` where a member answers with these, and what it was asked: each path and body.
async fn asked(op: &Op, answers: Vec<Value>) -> (Result<Ret, Refusal>, bool, Vec<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let member = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut questions = Vec::new();
        for answer in answers {
            let mut input = Vec::new();
            let (path, body) = loop {
                let read = stream.read_buf(&mut input).await.unwrap();
                assert!(read > 0, "it asks no more");
                let words = String::from_utf8_lossy(&input);
                let Some((head, body)) = words.split_once("\r\n\r\n") else {
                    continue;
                };
                if let Ok(body) = serde_json::from_str::<Value>(body) {
                    break (head.split(' ').nth(1).unwrap().to_owned(), body);
                }
            };
            questions.push((path, body));
            let answer = answer.to_string();
            let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
            stream
                .write_all(format!("{head}{answer}").as_bytes())
                .await
                .unwrap();
        }
        questions
    });
    let mut session = EtcdSession::open(1, address, MemberIds::default()).await.unwrap();
    let ret = session.call(op).await;
    (ret, session.is_in_doubt(), member.await.unwrap())
}

/// A pair as a range finds it.
fn pair(key: &str, value: &str, create: u64, changed: u64) -> Value {
    json!({
        "key": text(key), "value": text(value), "version": "1",
        "create_revision": create.to_string(), "mod_revision": changed.to_string(),
    })
}

/// The answer to a transaction that reads cells.
fn held(pairs: &[Option<Value>]) -> Value {
    let responses = pairs.iter().map(|pair| match pair {
        Some(pair) => json!({ "response_range": { "kvs": [pair], "count": "1" } }),
        None => json!({ "response_range": {} }),
    });
    json!({ "succeeded": true, "responses": responses.collect::<Vec<Value>>() })
}

#[tokio::test]
async fn a_register_is_one_key() {
    let found = json!({ "header": { "revision": "2" }, "kvs": [pair("1", "22", 2, 2)], "count": "1" });
    let (ret, _, questions) = asked(&Op::Read { key: 1 }, vec![found]).await;
    assert_eq!(ret, Ok(Ret::Value(Some(22))));
    assert_eq!(questions, [(RANGE.to_owned(), json!({ "key": "MQ==" }))]);
    let nothing = json!({ "header": { "revision": "2" } });
    let (ret, ..) = asked(&Op::Read { key: 1 }, vec![nothing.clone()]).await;
    assert_eq!(ret, Ok(Ret::Value(None)));

    let cas = |expected| Op::Cas {
        key: 1,
        expected,
        new: 3,
    };
    let (ret, in_doubt, questions) = asked(&cas(Some(2)), vec![json!({ "succeeded": true })]).await;
    assert_eq!((ret, in_doubt), (Ok(Ret::Swapped(true)), true));
    let expected = json!({
        "compare": [{ "key": "MQ==", "result": "EQUAL", "target": "VALUE", "value": "Mg==" }],
        "success": [{ "request_put": { "key": "MQ==", "value": "Mw==" } }],
    });
    assert_eq!(questions, [(TXN.to_owned(), expected)]);
    let (ret, _, questions) = asked(&cas(None), vec![nothing]).await;
    assert_eq!(ret, Ok(Ret::Swapped(false)));
    assert_eq!(questions[0].1["compare"][0]["version"], "0");
}

#[tokio::test]
async fn a_sum_replaces_what_was_read_and_nothing_else() {
    let add = Op::Add { key: 1, amount: -5 };
    let read = held(&[Some(pair("1", "12", 3, 7))]);
    let (ret, _, questions) = asked(&add, vec![read.clone(), json!({ "succeeded": true })]).await;
    assert_eq!(ret, Ok(Ret::Written));
    let expected = transaction(&[is_unchanged_since("1", 7)], &[step_put("1", "7")]);
    assert_eq!(questions[1], (TXN.to_owned(), expected));
    // It was changed in between: nothing was written.
    let (ret, ..) = asked(&add, vec![read, json!({})]).await;
    assert!(matches!(ret, Err(Refusal::Definite(_))), "{ret:?}");
    // Where there was nothing, there must be nothing still.
    let (_, _, questions) = asked(&add, vec![held(&[None]), json!({ "succeeded": true })]).await;
    let expected = transaction(&[is_unchanged_since("1", 0)], &[step_put("1", "-5")]);
    assert_eq!(questions[1].1, expected);
}

#[tokio::test]
async fn until_something_is_written_nothing_is_in_doubt() {
    // The member falls silent while it is looked what there is, and then after the write.
    let add = Op::Add { key: 1, amount: 1 };
    let (ret, in_doubt, _) = asked(&add, vec![json!({ "error": "etcdserver: leader changed" })]).await;
    assert!(matches!(ret, Err(Refusal::Indefinite(_))) && !in_doubt, "{ret:?}");
    let refused = json!({ "error": "etcdserver: request timed out" });
    let (ret, in_doubt, _) = asked(&add, vec![held(&[None]), refused]).await;
    assert!(matches!(ret, Err(Refusal::Indefinite(_))) && in_doubt, "{ret:?}");
}

#[tokio::test]
async fn what_is_taken_from_a_queue_is_what_was_put_first_if_it_is_there_still() {
    let dequeue = Op::Dequeue { key: 1 };
    let first = json!({ "kvs": [pair("1/12", "", 9, 9)], "more": true, "count": "3" });
    let (ret, _, questions) = asked(&dequeue, vec![first.clone(), json!({ "succeeded": true })]).await;
    assert_eq!(ret, Ok(Ret::Value(Some(12))));
    let range = json!({
        "key": text("1/"), "range_end": text("10"), "limit": "1",
        "sort_target": "CREATE", "sort_order": "ASCEND",
    });
    let take = transaction(&[is_made_in("1/12", 9)], &[step_delete("1/12")]);
    assert_eq!(questions, [(RANGE.to_owned(), range), (TXN.to_owned(), take)]);
    let (ret, ..) = asked(&dequeue, vec![first, json!({})]).await;
    assert!(matches!(ret, Err(Refusal::Definite(_))), "{ret:?}");
    let (ret, ..) = asked(&dequeue, vec![json!({})]).await;
    assert_eq!(ret, Ok(Ret::Value(None)));
}

#[tokio::test]
async fn sets_and_texts_are_keys_under_one_name_in_the_order_in_which_they_were_made() {
    let things = json!({ "kvs": [pair("1/10", "", 4, 4), pair("1/9", "", 3, 3)] });
    let (ret, ..) = asked(&Op::Elements { key: 1 }, vec![things.clone()]).await;
    assert_eq!(ret, Ok(Ret::Elements(vec![10, 9])));
    let (ret, ..) = asked(&Op::Text { key: 1 }, vec![things]).await;
    assert_eq!(ret, Ok(Ret::Text(String::from("9 10 "))));
    let once = Op::AppendOnce {
        key: 1,
        piece: 9,
        is_doubled: false,
    };
    let (ret, _, questions) = asked(&once, vec![json!({})]).await;
    assert_eq!(ret, Ok(Ret::Written), "it was there already");
    let expected = transaction(&[is_absent("1/9")], &[step_put("1/9", "")]);
    assert_eq!(questions[0].1, expected);
}

#[tokio::test]
async fn registers_are_read_and_written_by_one_transaction() {
    let read = |found| Step::Read { cell: 0, found };
    let write = Step::Write { cell: 1, value: 5 };
    let op = Op::Transaction {
        key: 2,
        steps: vec![read(None), write.clone()],
    };
    let answer = json!({ "succeeded": true, "responses": [
        { "response_range": { "kvs": [pair("2.0", "4", 3, 3)] } }, { "response_put": {} },
    ]});
    let (ret, in_doubt, questions) = asked(&op, vec![answer]).await;
    assert_eq!(ret, Ok(Ret::Steps(vec![read(Some(4)), write])));
    assert!(in_doubt && questions.len() == 1);
    let (ret, ..) = asked(&op, vec![json!({ "succeeded": true })]).await;
    assert!(matches!(ret, Err(Refusal::Indefinite(_))), "{ret:?}");
}

#[tokio::test]
async fn lists_are_read_at_one_moment_and_replaced_if_all_of_them_are_the_same_still() {
    let list = |cell, found| Step::ReadList { cell, found };
    let append = Step::Append { cell: 1, value: 3 };
    let op = Op::Transaction {
        key: 0,
        steps: vec![list(2, None), append.clone(), list(1, None)],
    };
    let read = held(&[Some(pair("0.1", "1 2 ", 3, 5)), None]);
    let (ret, _, questions) = asked(&op, vec![read, json!({ "succeeded": true })]).await;
    let found = vec![list(2, Some(vec![])), append, list(1, Some(vec![1, 2, 3]))];
    assert_eq!(ret, Ok(Ret::Steps(found)));
    let compare = [is_unchanged_since("0.1", 5), is_unchanged_since("0.2", 0)];
    assert_eq!(
        questions[1].1,
        transaction(&compare, &[step_put("0.1", "1 2 3 ")])
    );
}

#[tokio::test]
async fn a_transfer_replaces_two_balances_and_an_account_holds_something_from_the_start() {
    let transfer = Op::Transfer {
        key: 1,
        from: 3,
        to: 0,
        amount: 5,
    };
    let read = held(&[None, Some(pair("1.0", "990", 4, 6))]);
    let (ret, _, questions) = asked(&transfer, vec![read, json!({ "succeeded": true })]).await;
    assert_eq!(ret, Ok(Ret::Written));
    let compare = [is_unchanged_since("1.3", 0), is_unchanged_since("1.0", 6)];
    let puts = [step_put("1.3", "995"), step_put("1.0", "995")];
    assert_eq!(questions[1].1, transaction(&compare, &puts));
    let read = held(&[None, Some(pair("1.1", "995", 4, 6)), None, None, None]);
    let (ret, ..) = asked(&Op::Balances { key: 1 }, vec![read]).await;
    assert_eq!(ret, Ok(Ret::Balances(vec![1000, 995, 1000, 1000, 1000])));
}

#[tokio::test]
async fn a_revision_is_an_id_and_a_token() {
    let answer = json!({ "header": { "revision": "17" }, "succeeded": true });
    let (ret, ..) = asked(&Op::Generate { key: 0 }, vec![answer.clone()]).await;
    assert_eq!(ret, Ok(Ret::Id(17)));
    let acquire = Op::Acquire { key: 1, owner: 5 };
    let (ret, ..) = asked(&acquire, vec![answer]).await;
    assert_eq!(ret, Ok(Ret::Token(Some(17))));
    let (ret, ..) = asked(&acquire, vec![json!({ "header": { "revision": "18" } })]).await;
    assert_eq!(ret, Ok(Ret::Token(None)));
    let (ret, ..) = asked(&acquire, vec![json!({ "succeeded": true })]).await;
    assert!(matches!(ret, Err(Refusal::Indefinite(_))), "no revision: {ret:?}");
    let (ret, _, questions) = asked(&Op::Release { key: 1, owner: 5 }, vec![json!({})]).await;
    assert_eq!(ret, Ok(Ret::Released(false)));
    let expected = transaction(&[is_value("1", "5")], &[step_delete("1")]);
    assert_eq!(questions[0].1, expected);
}

#[test]
fn only_what_etcd_refuses_at_the_door_is_definite() {
    let refusal = |text: &str| understood(503, text.as_bytes()).unwrap_err();
    let definite = r#"{"error":"etcdserver: too many requests","code":14}"#;
    assert!(matches!(refusal(definite), Refusal::Definite(_)));
    for open in [
        r#"{"error":"etcdserver: request timed out","code":14}"#,
        r#"{"error":"etcdserver: leader changed","code":14}"#,
        r#"{"error":"context canceled","code":1}"#,
        r#"{"kvs":[{"key":"no base64!"}]}"#,
        "{}",
        "no JSON",
    ] {
        assert!(matches!(refusal(open), Refusal::Indefinite(_)), "{open}");
    }
}
