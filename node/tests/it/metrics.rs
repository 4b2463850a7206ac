//! What a node tells monitoring systems.

use crate::process::{Node, Spec, eventually};
use std::io::{Read, Write};
use std::net::TcpStream;

fn asked(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_node_tells_how_it_is_in_the_format_of_prometheus() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = Spec::single(&dir.path().join("data"));
    spec.flags = &["--metrics", "127.0.0.1:0"];
    let node = Node::start(&spec);
    let ready: serde_json::Value = serde_json::from_str(node.ready.trim_start_matches("ready ")).unwrap();
    let address = ready["metrics"].as_str().unwrap().to_string();
    let text = eventually("the node leads", || {
        let answer = asked(&address, "GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n");
        let (head, text) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("Content-Type: text/plain; version=0.0.4"), "{head}");
        assert!(
            head.contains(&format!("Content-Length: {}", text.len())),
            "{head}"
        );
        text.contains("rustyraft_role{role=\"leader\"} 1\n")
            .then(|| text.to_string())
    });
    for line in [
        "rustyraft_info{node=\"1\",cluster=\"test\"",
        "rustyraft_members{part=\"voter\"} 1",
        "rustyraft_elections_won_total 1",
        "# TYPE rustyraft_stage_seconds summary",
    ] {
        assert!(
            text.lines().any(|known| known.starts_with(line)),
            "{line} is missing in {text}"
        );
    }
    assert!(asked(&address, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(asked(&address, "PUT /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    assert!(asked(&address, "\0\0\0\0\r\n\r\n").starts_with("HTTP/1.1 400 "));
    let long = "a".repeat(20_000);
    // It need not read all of it, so there may be no answer to be had.
    let mut stream = TcpStream::connect(&address).unwrap();
    let _ = stream.write_all(format!("GET /{long}").as_bytes());
    drop(stream);
    assert!(asked(&address, "GET /metrics HTTP/1.1\r\n\r\n").contains("rustyraft_term"));
}

#[test]
fn nobody_is_told_where_that_was_not_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(&Spec::single(&dir.path().join("data")));
    assert!(!node.ready.contains("metrics"), "{}", node.ready);
}
