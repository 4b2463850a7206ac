//! Logs and last words never hold a node up, whatever becomes of those who should read them.

use crate::connection::{Connection, frame, peer};
use crate::process::{Node, Spec, binary, eventually};
use rustix::process::Signal;
use std::fs::File;
use std::io::{PipeReader, PipeWriter, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use wire::Role;
use wire::client::{NodeRole, Reply, RequestBody};
use wire::peer::{Body, Message};

#[track_caller]
fn leads(node: &Node) {
    let mut client = Connection::accepted(node.address, Role::Client);
    eventually("the node leads", || match client.call(RequestBody::Status) {
        Ok(Reply::Status(status)) => (status.role == NodeRole::Leader).then_some(()),
        other => panic!("no status: {other:?}"),
    });
}

/// A pipe that takes nothing any more, as if its reader were stopped.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    let mut file = File::from(OwnedFd::from(writer));
    for length in [4096, 1] {
        while file.write(&vec![b'x'; length]).is_ok() {}
    }
    rustix::io::ioctl_fionbio(&file, false).unwrap();
    (reader, PipeWriter::from(OwnedFd::from(file)))
}

#[test]
fn a_node_whose_log_nobody_reads_serves_and_stops() {
    let dir = tempfile::tempdir().unwrap();
    let (_reader, writer) = full_pipe();
    let mut node = Node::start_logging(&Spec::single(&dir.path().join("data")), writer);
    leads(&node);
    // Each of these is worth a line.
    for _ in 0..3000 {
        drop(Connection::open(node.address));
    }
    leads(&node);
    node.signal(Signal::TERM);
    assert_eq!(node.wait().code(), Some(0));
}

#[test]
fn a_node_whose_log_was_closed_serves_and_stops() {
    let dir = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut node = Node::start_logging(&Spec::single(&dir.path().join("data")), writer);
    leads(&node);
    node.signal(Signal::TERM);
    assert_eq!(node.wait().code(), Some(0));
}

#[test]
fn a_node_that_cannot_say_why_it_ends_ends_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let spec = Spec::single(&dir.path().join("data"));
    let _node = Node::start(&spec);
    let (_full, full) = full_pipe();
    let (closed, broken) = std::io::pipe().unwrap();
    drop(closed);
    for stderr in [full, broken] {
        let mut child = spec.command().stderr(stderr).spawn().unwrap();
        let status = eventually("it ends", || child.try_wait().unwrap());
        assert_eq!(status.code(), Some(254));
    }
}

#[test]
fn a_client_that_cannot_say_why_keeps_its_exit_code() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let status = binary()
        .args(["put", "k", "v", "--timeout", "100ms", "-e", &closed.to_string()])
        .stderr(writer)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}

/// A peer says that more is committed than this node has: a promise was broken, and its data is safe with nobody.
fn break_a_promise(node: &Node) {
    let mut leader = Connection::accepted(node.address, peer(2, 1, 7));
    let message: Message = Message {
        term: 100,
        body: Body::Heartbeat {
            commit: 1000,
            round: 0,
        },
    };
    leader.send(&frame(&message.to_payload()));
}

#[test]
fn a_node_that_finds_a_promise_broken_ends_and_says_why_if_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = Spec::single(&dir.path().join("data"));
    spec.members = "1=127.0.0.1:1,2=127.0.0.1:2".to_string();
    let mut node = Node::start(&spec);
    break_a_promise(&node);
    assert_eq!(node.wait().code(), Some(255));
    let log = std::fs::read_to_string(spec.data.with_extension("log")).unwrap();
    // Harnesses look for these words.
    assert!(log.contains("panicked at"), "{log}");
    assert!(log.contains("an acknowledged entry was lost"), "{log}");

    let (_reader, writer) = full_pipe();
    let mut node = Node::start_logging(&spec, writer);
    break_a_promise(&node);
    assert_eq!(node.wait().code(), Some(255));
}
