//! Whatever comes over a socket costs that one connection, and the node still serves.

use crate::connection::{Connection, frame, hello, peer};
use crate::process::{Node, Spec, eventually, fails};
use bytes::Bytes;
use rustix::process::{Resource, Signal, getrlimit, setrlimit};
use std::net::SocketAddr;
use wire::client::{Reply, RequestBody};
use wire::limits::{FRAME_BYTES_MAX, HELLO_BYTES_MAX};
use wire::{Hello, Refusal, Role, Welcome};

fn node() -> (tempfile::TempDir, Node) {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = Spec::single(&dir.path().join("data"));
    // The other member is played by the tests.
    spec.members = "1=127.0.0.1:1,2=127.0.0.1:2".to_string();
    let node = Node::start(&spec);
    (dir, node)
}

#[track_caller]
fn still_serves(address: SocketAddr) {
    let mut client = Connection::accepted(address, Role::Client);
    assert!(matches!(client.call(RequestBody::Status), Ok(Reply::Status(_))));
}

#[track_caller]
fn refused(mut connection: Connection, welcome: &Welcome, refusal: Refusal) {
    assert_eq!(*welcome, Welcome::Refused(refusal));
    connection.ends();
}

#[test]
fn garbage_instead_of_a_hello_is_refused() {
    let (_dir, node) = node();
    let not_a_hello = frame(b"this is not a hello");
    let too_long = frame(&vec![0; HELLO_BYTES_MAX + 1]);
    let four_gib = [0xff; 4];
    let openings: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: node\r\n\r\n",
        &not_a_hello,
        &too_long,
        &four_gib,
        &frame(&[]),
    ];
    for opening in openings {
        let mut connection = Connection::open(node.address);
        connection.send(opening);
        let welcome = connection.receive().expect("a refusal");
        refused(connection, &wire::decode(&welcome).unwrap(), Refusal::NotHello);
        still_serves(node.address);
    }
}

#[test]
fn half_a_hello_and_silence_ends_with_time() {
    let (_dir, node) = node();
    let mut silent = Connection::open(node.address);
    let mut halved = Connection::open(node.address);
    let whole = frame(&wire::encode(&hello(Role::Client)));
    halved.send(&whole[..whole.len() / 2]);
    still_serves(node.address);
    silent.ends();
    halved.ends();
    still_serves(node.address);
}

#[test]
fn a_hello_that_means_somebody_else_is_refused_with_the_reason() {
    let (_dir, node) = node();
    let cases = [
        (
            Hello {
                cluster_id: "another".to_string(),
                ..hello(Role::Client)
            },
            Refusal::Cluster {
                actual: "test".to_string(),
            },
        ),
        (
            Hello {
                version_min: wire::VERSION_MAX + 1,
                version_max: wire::VERSION_MAX + 2,
                ..hello(Role::Client)
            },
            Refusal::Version {
                min: wire::VERSION_MIN,
                max: wire::VERSION_MAX,
            },
        ),
        (
            Hello {
                magic: *b"rRfx",
                ..hello(Role::Client)
            },
            Refusal::NotHello,
        ),
        (hello(peer(2, 3, 7)), Refusal::Node { actual: 1 }),
        (hello(peer(3, 1, 7)), Refusal::NotMember { node: 3 }),
        (hello(peer(1, 1, 7)), Refusal::Incarnation { node: 1 }),
    ];
    for (hello, refusal) in cases {
        let (connection, welcome) = Connection::greet(node.address, &hello);
        refused(connection, &welcome, refusal);
        still_serves(node.address);
    }
}

#[test]
fn a_peer_whose_data_was_wiped_is_refused() {
    let (_dir, node) = node();
    drop(Connection::accepted(node.address, peer(2, 1, 7)));
    let (connection, welcome) = Connection::greet(node.address, &hello(peer(2, 1, 8)));
    refused(connection, &welcome, Refusal::Incarnation { node: 2 });
    drop(Connection::accepted(node.address, peer(2, 1, 7)));
}

#[test]
fn a_peers_new_connection_replaces_its_old_one() {
    let (_dir, node) = node();
    let mut old = Connection::accepted(node.address, peer(2, 1, 7));
    let _new = Connection::accepted(node.address, peer(2, 1, 7));
    old.ends();
}

#[test]
fn malformed_and_oversized_frames_end_an_open_connection() {
    let (_dir, node) = node();
    let beyond = u32::try_from(FRAME_BYTES_MAX + 1).unwrap().to_be_bytes();
    for role in [Role::Client, peer(2, 1, 7)] {
        let inputs: [&[u8]; 4] = [&frame(&[0xff; 40]), &frame(&[]), &beyond, &[0xff; 4]];
        for input in inputs {
            let mut connection = Connection::accepted(node.address, role.clone());
            connection.send(input);
            connection.ends();
            still_serves(node.address);
        }
    }
}

/// Lets this process have as many connections as the system gives: some have a soft limit below what the node serves.
fn take_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[test]
fn more_silent_connections_than_are_served_keep_nobody_out() {
    take_descriptors();
    let (_dir, node) = node();
    let silent: Vec<Connection> = (0..1100).map(|_| Connection::open(node.address)).collect();
    still_serves(node.address);
    drop(silent);
    still_serves(node.address);
}

#[test]
fn one_client_too_many_is_refused_and_peers_are_not() {
    const CLIENTS_MAX: u32 = 1024;
    take_descriptors();
    let (_dir, node) = node();
    let mut clients: Vec<Connection> = (0..CLIENTS_MAX)
        .map(|_| Connection::accepted(node.address, Role::Client))
        .collect();
    let (connection, welcome) = Connection::greet(node.address, &hello(Role::Client));
    refused(connection, &welcome, Refusal::Busy { max: CLIENTS_MAX });
    drop(Connection::accepted(node.address, peer(2, 1, 7)));
    clients.pop();
    eventually("the place that became free is given away", || {
        let (_, welcome) = Connection::greet(node.address, &hello(Role::Client));
        matches!(welcome, Welcome::Accepted { .. }).then_some(())
    });
}

#[test]
fn who_connects_takes_no_descriptor_that_the_disk_needs() {
    const PUTS: u64 = 100;
    take_descriptors();
    let dir = tempfile::tempdir().unwrap();
    let mut spec = Spec::single(&dir.path().join("data"));
    // Again and again there are other files.
    spec.flags = &["--segment-bytes", "65536", "--snapshot-log-bytes", "65536"];
    let node = Node::start_within(256, &spec);
    let mut client = Connection::accepted(node.address, Role::Client);
    let crowd: Vec<Connection> = (0..300)
        .map(|_| {
            let mut one = Connection::open(node.address);
            one.send(&frame(&wire::encode(&hello(Role::Client))));
            one
        })
        .collect();
    let put = |number: u64| RequestBody::Put {
        key: Bytes::copy_from_slice(&number.to_be_bytes()),
        value: Bytes::from(vec![7; 4000]),
    };
    eventually("the node leads", || client.call(put(0)).ok());
    for number in 0..PUTS {
        assert_eq!(client.call(put(number)), Ok(Reply::Written));
    }
    drop(crowd);
}

#[test]
fn a_node_with_too_few_descriptors_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let spec = Spec::single(&dir.path().join("data"));
    let (code, stderr) = fails(spec.command_within(128));
    assert_eq!(code, Some(254), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("only 128 files"), "{stderr}");
}

#[test]
fn many_may_come_while_the_node_stands_still() {
    take_descriptors();
    // What the system lets wait at most, if that is less than come.
    let somaxconn = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let many = somaxconn.trim().parse::<usize>().unwrap().min(1000);
    let (_dir, node) = node();
    node.signal(Signal::STOP);
    let waiting: Vec<Connection> = (0..many).map(|_| Connection::open(node.address)).collect();
    node.signal(Signal::CONT);
    drop(waiting);
    still_serves(node.address);
}

#[test]
fn frames_that_begin_and_do_not_end_are_held_in_a_bounded_place() {
    const HALVES: usize = 16;
    const MEMORY_MAX_KIB: u64 = 112 << 10;
    let (_dir, node) = node();
    let mut half = frame(&vec![0; FRAME_BYTES_MAX]);
    half.pop();
    let halves: Vec<Connection> = std::thread::scope(|scope| {
        let begin = || {
            let mut connection = Connection::accepted(node.address, Role::Client);
            connection.send_if_read(&half);
            connection
        };
        let begun: Vec<_> = (0..HALVES).map(|_| scope.spawn(begin)).collect();
        begun.into_iter().map(|begun| begun.join().unwrap()).collect()
    });
    still_serves(node.address);
    let peak = node.memory_peak();
    assert!(peak < MEMORY_MAX_KIB, "the node held {peak} KiB");
    // Other nodes have a place of their own.
    let mut other = Connection::accepted(node.address, peer(2, 1, 7));
    other.send(&half);
    other.send(&[0]);
    other.ends();
    drop(halves);
    still_serves(node.address);
}
