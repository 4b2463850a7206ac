//! How a node starts, refuses to, and stops.

use crate::connection::Connection;
use crate::process::{Node, Spec, run, text};
use rustix::process::Signal;
use std::net::TcpListener;
use std::path::Path;
use wire::Role;

fn used_folder(dir: &Path) -> Spec {
    let spec = Spec::single(&dir.join("data"));
    Node::start(&spec).kill();
    spec
}

/// Asserts the exit code and that one line says why.
#[track_caller]
fn one_line((code, stderr): (Option<i32>, String), expected_code: i32, part: &str) {
    assert_eq!(code, Some(expected_code), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("error: ") && stderr.contains(part), "{stderr}");
}

#[test]
fn the_ready_line_says_what_was_bound() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(&Spec::single(&dir.path().join("data")));
    let expected = format!(
        r#"ready {{"node":1,"listen":"{}","version":"{}","wire_min":1,"wire_max":2}}"#,
        node.address,
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(node.ready, expected);
    assert_ne!(node.address.port(), 0);
}

#[test]
fn signals_end_it_cleanly() {
    let dir = tempfile::tempdir().unwrap();
    let spec = Spec::single(&dir.path().join("data"));
    for signal in [Signal::TERM, Signal::INT] {
        let mut node = Node::start(&spec);
        let _client = Connection::accepted(node.address, Role::Client);
        node.signal(signal);
        assert_eq!(node.wait().code(), Some(0));
    }
}

#[test]
fn a_folder_of_somebody_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let own = used_folder(dir.path());
    let foreign = [
        (
            Spec {
                cluster_id: "another".to_string(),
                ..own.clone()
            },
            "cluster test",
        ),
        (
            Spec {
                id: 2,
                members: "2=127.0.0.1:1".to_string(),
                ..own.clone()
            },
            "node 1",
        ),
        (
            Spec {
                members: "1=127.0.0.1:1,2=127.0.0.1:2".to_string(),
                ..own.clone()
            },
            "voters n1",
        ),
    ];
    for (spec, part) in foreign {
        one_line(spec.fails(), 254, part);
    }
    Node::start(&own).kill();
}

#[test]
fn a_folder_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let spec = Spec::single(&dir.path().join("data"));
    let _node = Node::start(&spec);
    one_line(spec.fails(), 254, "in use");
}

#[test]
fn a_folder_that_cannot_be_made_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), b"").unwrap();
    let spec = Spec::single(&dir.path().join("file"));
    one_line(spec.fails(), 254, "the data folder");
}

#[test]
fn a_damaged_folder_is_an_internal_error() {
    let dir = tempfile::tempdir().unwrap();
    let spec = used_folder(dir.path());
    std::fs::write(spec.data.join("wal-0000000000000001.log"), b"").unwrap();
    one_line(spec.fails(), 255, "corrupt");
}

#[test]
fn a_port_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut spec = Spec::single(&dir.path().join("data"));
    spec.listen = taken.local_addr().unwrap().to_string();
    one_line(spec.fails(), 254, "can't listen on");
}

#[test]
fn a_configuration_file_sets_what_flags_set() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("node.toml");
    std::fs::write(&file, "cluster-id = \"test\"\nlisten = \"192.0.2.1:1\"\nid = 7\n").unwrap();
    let file = file.to_str().unwrap();
    let data = dir.path().join("data");
    let output = run(&[
        "serve",
        "--config",
        file,
        "--cluster",
        "1=a:1",
        "--data",
        data.to_str().unwrap(),
    ]);
    one_line(
        (output.status.code(), text(&output.stderr)),
        254,
        "does not name this node, 7",
    );
    std::fs::write(file, "nonsense = 1\n").unwrap();
    let output = run(&["serve", "--config", file]);
    one_line((output.status.code(), text(&output.stderr)), 254, "nonsense");
    let output = run(&["serve", "--config", "/does/not/exist"]);
    one_line(
        (output.status.code(), text(&output.stderr)),
        254,
        "/does/not/exist",
    );
}
