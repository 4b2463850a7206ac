//! The client for people: what it prints, and its exit codes.

use crate::connection::frame;
use crate::process::{Node, Spec, eventually, run, text};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Output;
use std::thread::JoinHandle;
use wire::Welcome;
use wire::client::{Reply, Request, RequestBody, Response};

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

#[test]
fn a_key_lives_through_its_commands() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(&Spec::single(&dir.path().join("data")));
    let endpoint = node.endpoint();
    let done = |args: &[&str]| {
        let mut args = args.to_vec();
        args.extend(["--endpoints", &endpoint, "--timeout", "30s"]);
        let output = run(&args);
        (code(&output), text(&output.stdout))
    };
    let printed = |code, stdout: &str| (Some(code), stdout.to_string());
    assert_eq!(done(&["put", "k", "v"]), printed(0, ""));
    assert_eq!(done(&["get", "k"]), printed(0, "v\n"));
    assert_eq!(done(&["cas", "k", "v", "w"]), printed(0, ""));
    assert_eq!(done(&["cas", "k", "v", "x"]), printed(1, ""));
    assert_eq!(done(&["cas", "--absent", "k", "x"]), printed(1, ""));
    assert_eq!(done(&["get", "k"]), printed(0, "w\n"));
    assert_eq!(done(&["delete", "k"]), printed(0, ""));
    assert_eq!(done(&["delete", "k"]), printed(1, ""));
    assert_eq!(done(&["get", "k"]), printed(1, ""));
    assert_eq!(done(&["cas", "--absent", "k", "x"]), printed(0, ""));
}

#[test]
fn the_status_shows_every_endpoint() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(&Spec::single(&dir.path().join("data")));
    let endpoint = node.endpoint();
    eventually("the node leads", || {
        let output = run(&["status", "-e", &endpoint]);
        assert_eq!(code(&output), Some(0));
        text(&output.stdout).contains("leader").then_some(())
    });
    for value in ["a", "b"] {
        let output = run(&["put", "k", value, "-e", &endpoint, "--timeout", "30s"]);
        assert_eq!(code(&output), Some(0));
    }
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let output = run(&["status", "--json", "-e", &format!("{endpoint},{closed}")]);
    assert_eq!(code(&output), Some(1), "one endpoint did not answer");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json[0]["role"], "leader");
    assert_eq!(json[0]["endpoint"], endpoint);
    let stages = &json[0]["stages"];
    assert_eq!(
        stages["commit"]["count"], 6,
        "each put opens a session and ends it: {stages}"
    );
    let longest = |stage: &str| stages[stage]["max_us"].as_f64().unwrap();
    for stage in ["queue", "encode", "log_write", "sync", "apply", "reply"] {
        assert!(longest(stage) > 0.0, "{stage}: {stages}");
    }
    assert!(stages["commit"]["p50_us"].as_f64() <= Some(longest("commit")));
    assert_eq!(stages["peer"]["count"], 0, "it has no peers");
    assert_eq!(json[1]["endpoint"], closed);
    assert!(json[1]["error"].is_string());
}

#[test]
fn what_cannot_be_sent_is_definitely_not_done() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let output = run(&["put", "k", "v", "-e", &closed, "--timeout", "300ms"]);
    assert_eq!(code(&output), Some(1));
    assert!(text(&output.stderr).starts_with("not done: "), "{output:?}");
}

fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut payload = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut payload).unwrap();
    payload
}

/// A node that opens a session, takes the command in it `deaf` times without an answer, and then answers. What it was asked beside
/// sessions, connection by connection, until the client has ended its session or `asked_max` were asked.
fn fake_node(deaf: usize, asked_max: usize) -> (String, JoinHandle<Vec<RequestBody>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    let welcome = Welcome::Accepted {
        version: 1,
        node: 1,
        cluster_id: "test".to_string(),
    };
    let fake = std::thread::spawn(move || {
        let mut asked = Vec::new();
        while asked.len() < asked_max {
            let (mut stream, _) = listener.accept().unwrap();
            read_frame(&mut stream);
            stream.write_all(&frame(&wire::encode(&welcome))).unwrap();
            let request: Request = wire::decode(&read_frame(&mut stream)).unwrap();
            let reply = if request.body == RequestBody::OpenSession {
                Reply::SessionOpened {
                    session: 9,
                    lifetime: 1000,
                }
            } else if request.body == (RequestBody::CloseSession { session: 9 }) {
                return asked;
            } else {
                asked.push(request.body);
                if asked.len() <= deaf {
                    continue;
                }
                Reply::Written
            };
            let response = Response {
                id: request.id,
                result: Ok(reply),
            };
            stream.write_all(&frame(&wire::encode(&response))).unwrap();
        }
        asked
    });
    (endpoint, fake)
}

#[test]
fn a_write_without_an_answer_is_sent_again_as_the_same_command_of_the_same_session() {
    let (endpoint, fake) = fake_node(2, usize::MAX);
    let output = run(&["put", "k", "v", "-e", &endpoint, "--timeout", "30s"]);
    assert_eq!(code(&output), Some(0), "{output:?}");
    let asked = fake.join().unwrap();
    assert_eq!(asked.len(), 3);
    let RequestBody::Command { once: Some(once), .. } = &asked[0] else {
        panic!("{asked:?}")
    };
    assert_eq!((once.session, once.sequence), (9, 1));
    assert!(asked.windows(2).all(|pair| pair[0] == pair[1]), "{asked:?}");
}

#[test]
fn a_write_without_an_answer_until_the_time_is_up_is_unknown() {
    let (endpoint, fake) = fake_node(usize::MAX, 1);
    let output = run(&["put", "k", "v", "-e", &endpoint, "--timeout", "2s"]);
    assert_eq!(code(&output), Some(2), "{output:?}");
    assert!(
        text(&output.stderr).contains("unknown whether done"),
        "{output:?}"
    );
    fake.join().unwrap();
}

#[test]
fn a_snapshot_that_was_asked_for_and_not_answered_is_unknown() {
    let (endpoint, fake) = fake_node(usize::MAX, 1);
    let output = run(&["snapshot", "-e", &endpoint, "--timeout", "2s"]);
    assert_eq!(code(&output), Some(2), "{output:?}");
    assert!(
        text(&output.stderr).contains("unknown whether done: "),
        "{output:?}"
    );
    assert_eq!(fake.join().unwrap(), [RequestBody::Snapshot]);
}

#[test]
fn bad_usage_has_its_code() {
    for args in [
        &["add", "4=a:1", "--replacing", "3,3", "-e", "a:1"][..],
        &["remove", "3", "3", "-e", "a:1"],
        &["frobnicate"],
        &[],
        &["get"],
        &["get", "k"],
        &["get", "k", "-e", "nowhere"],
        &["get", "k", "-e", "a:1", "--timeout", "0s"],
        &["get", "k", "-e", "a:1", "--timeout", "500000000000y"],
        &["cas", "k", "v", "-e", "a:1"],
        &["cas", "--absent", "k", "v", "w", "-e", "a:1"],
        &["serve"],
        &["serve", "--id", "0"],
        &["help", "frobnicate"],
        &["help", "wal", "frobnicate"],
    ] {
        let output = run(args);
        assert_eq!(code(&output), Some(254), "{args:?}");
        assert_eq!(text(&output.stderr).lines().count(), 1, "{args:?}: {output:?}");
        assert_eq!(text(&output.stdout), "", "{args:?}");
    }
}

#[test]
fn help_and_version_are_printed_to_stdout() {
    let version = run(&["version", "--json"]);
    let expected = format!(
        "{{\"version\":\"{}\",\"wire_min\":1,\"wire_max\":2,\"mutants\":{}}}\n",
        env!("CARGO_PKG_VERSION"),
        cfg!(feature = "mutants")
    );
    assert_eq!((code(&version), text(&version.stdout)), (Some(0), expected));
    for (args, part) in [
        (&["help"][..], "Usage: node"),
        (&["--help"], "Usage: node"),
        (&["help", "exit-codes"], "254"),
        (&["help", "serve"], "--cluster-id"),
        (&["help", "cas"], "--absent"),
        (&["version"], "protocol 1 to 2"),
        (&["help", "txn"], "--else"),
        (&["help", "transactions"], "push-front"),
        (&["help", "json"], "state_hash"),
        (&["help", "wal", "inspect"], "Usage: node wal inspect"),
    ] {
        let output = run(args);
        assert_eq!(code(&output), Some(0), "{args:?}");
        assert!(text(&output.stdout).contains(part), "{args:?}");
    }
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_node"))
        .args(["help", "serve"])
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!((code(&output), text(&output.stderr)), (Some(0), String::new()));
}
