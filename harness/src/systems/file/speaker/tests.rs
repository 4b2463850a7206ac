use super::*;

/// A client that is a shell script.
async fn client(script: &str) -> Result<Speaker, String> {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    let spawner = Spawner::start().unwrap();
    let speaker = Speaker::start(
        &spawner,
        1,
        Op::Count { key: 3 },
        command,
        &folder.path().join("log"),
    )
    .await;
    // It lives as long as the thread that started it.
    std::mem::forget(spawner);
    speaker
}

/// What comes of `op` where the client answers it with `line`.
async fn answered(op: Op, line: &str) -> Result<Ret, Refusal> {
    let script = format!("echo '{{\"type\":\"ready\"}}'; read question; echo '{line}'; read question");
    client(&script).await.unwrap().call(&op).await
}

#[tokio::test]
async fn answers_are_ok_fail_or_info_and_anything_else_leaves_it_open() {
    let read = Op::Read { key: 1 };
    let write = Op::Write { key: 1, value: 2 };
    let found = answered(read.clone(), r#"{"type":"ok","value":5}"#).await;
    assert_eq!(found, Ok(Ret::Value(Some(5))));
    let nothing = answered(read.clone(), r#"{"type":"ok","value":null}"#).await;
    assert_eq!(nothing, Ok(Ret::Value(None)));
    assert_eq!(
        answered(write.clone(), r#"{"type":"ok"}"#).await,
        Ok(Ret::Written)
    );
    let refused = answered(write.clone(), r#"{"type":"fail","reason":"full"}"#).await;
    assert_eq!(refused, Err(Refusal::Definite(String::from("full"))));
    for (op, line) in [
        (read, r#"{"type":"ok"}"#),
        (write.clone(), r#"{"type":"info"}"#),
        (write.clone(), r#"{"type":"maybe"}"#),
        (write.clone(), "hello"),
        (write, ""),
    ] {
        let open = answered(op, line).await;
        assert!(matches!(open, Err(Refusal::Indefinite(_))), "{line}: {open:?}");
    }
}

#[tokio::test]
async fn a_client_is_asked_in_json_one_line_at_a_time() {
    let script = r#"echo '{"type":"ready"}'; read question
if [ "$question" = '{"op":"cas","key":7,"expected":null,"value":6}' ]; then echo '{"type":"ok","swapped":true}'; fi
read question"#;
    let cas = Op::Cas {
        key: 7,
        expected: None,
        new: 6,
    };
    let swapped = client(script).await.unwrap().call(&cas).await;
    assert_eq!(swapped, Ok(Ret::Swapped(true)));
}

#[tokio::test]
async fn whether_its_node_serves_and_who_leads_is_asked_in_words_that_it_knows() {
    let script = r#"echo '{"type":"ready"}'
while read question; do case "$question" in
'{"op":"count","key":3}') echo '{"type":"ok","value":0}';;
'{"op":"leader"}') echo '{"type":"ok","leader":1,"term":4}';;
esac; done"#;
    let mut client = client(script).await.unwrap();
    assert!(client.serves().await);
    let status = client.status().await.unwrap();
    assert_eq!((status.node, status.leader, status.term), (1, Some(1), 4));
    assert_eq!(status.role, wire::client::NodeRole::Leader);
}

#[tokio::test]
async fn a_line_has_an_end() {
    let endless = client("while :; do printf xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done").await;
    assert!(endless.err().unwrap().contains("does not speak the protocol"));
    let ended = client("exit 1").await;
    assert_eq!(ended.err().unwrap(), "the client ended");
}

#[tokio::test]
async fn a_client_that_is_not_needed_any_more_is_gone() {
    let speaker = client(r#"echo '{"type":"ready"}'; while :; do sleep 1; done"#)
        .await
        .unwrap();
    let process = format!("/proc/{}", speaker.child.id());
    assert!(Path::new(&process).exists());
    drop(speaker);
    assert!(!Path::new(&process).exists());
}
