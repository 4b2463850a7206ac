//! What clients ask of a single node.

use crate::connection::Connection;
use crate::process::{Node, Spec, eventually};
use bytes::Bytes;
use std::collections::BTreeSet;
use wire::Role;
use wire::client::{Error, NodeRole, Reply, RequestBody};
use wire::limits::{KEY_BYTES_MAX, OPERATIONS_MAX, VALUE_BYTES_MAX};
use wire::record::{Command, Once, Operation, OperationAnswer, Transaction, Unfit};

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn get(key: &str) -> RequestBody {
    RequestBody::Get { key: bytes(key) }
}

fn put(key: &str, value: &[u8]) -> RequestBody {
    RequestBody::Put {
        key: bytes(key),
        value: Bytes::copy_from_slice(value),
    }
}

/// A client of a node that leads.
fn client_of(node: &Node) -> Connection {
    let mut client = Connection::accepted(node.address, Role::Client);
    eventually("the node leads", || match client.call(RequestBody::Status) {
        Ok(Reply::Status(status)) => (status.role == NodeRole::Leader).then_some(()),
        other => panic!("no status: {other:?}"),
    });
    client
}

fn single() -> (tempfile::TempDir, Spec, Node) {
    let dir = tempfile::tempdir().unwrap();
    let spec = Spec::single(&dir.path().join("data"));
    let node = Node::start(&spec);
    (dir, spec, node)
}

#[test]
fn what_was_written_is_read_also_after_a_crash() {
    let (_dir, spec, node) = single();
    let mut client = client_of(&node);
    let cas = |expected: Option<&str>, value: &str| RequestBody::Cas {
        key: bytes("k"),
        expected: expected.map(bytes),
        value: bytes(value),
    };
    assert_eq!(client.call(get("k")), Ok(Reply::Value(None)));
    assert_eq!(client.call(cas(Some("a"), "b")), Ok(Reply::Swapped(false)));
    assert_eq!(client.call(cas(None, "a")), Ok(Reply::Swapped(true)));
    assert_eq!(client.call(cas(Some("a"), "b")), Ok(Reply::Swapped(true)));
    assert_eq!(client.call(put("l", b"x")), Ok(Reply::Written));
    let delete = || RequestBody::Delete { key: bytes("l") };
    assert_eq!(client.call(delete()), Ok(Reply::Deleted(true)));
    assert_eq!(client.call(delete()), Ok(Reply::Deleted(false)));
    node.kill();

    let node = Node::start(&spec);
    let mut client = client_of(&node);
    assert_eq!(client.call(get("k")), Ok(Reply::Value(Some(bytes("b")))));
    assert_eq!(client.call(get("l")), Ok(Reply::Value(None)));
}

fn add(key: &str) -> Operation {
    Operation::Add {
        key: bytes(key),
        amount: 1,
    }
}

#[test]
fn a_command_of_a_session_is_done_once_also_across_a_crash() {
    let (_dir, spec, node) = single();
    let mut client = client_of(&node);
    let Ok(Reply::SessionOpened { session, lifetime }) = client.call(RequestBody::OpenSession) else {
        panic!("no session")
    };
    assert!(lifetime > 0);
    let count = |sequence| RequestBody::Command {
        once: Some(Once {
            session,
            sequence,
            answered_below: sequence,
        }),
        command: Command::Operation(add("n")),
    };
    assert_eq!(client.call(count(1)), Ok(Reply::Sum(1)));
    assert_eq!(client.call(count(1)), Ok(Reply::Sum(1)));
    node.kill();

    let node = Node::start(&spec);
    let mut client = client_of(&node);
    assert_eq!(client.call(count(1)), Ok(Reply::Sum(1)));
    assert_eq!(client.call(count(2)), Ok(Reply::Sum(2)));
    assert_eq!(client.call(count(1)), Err(Error::ReplyForgotten));
    let close = RequestBody::CloseSession { session };
    assert_eq!(client.call(close), Ok(Reply::SessionClosed));
    assert_eq!(client.call(count(3)), Err(Error::SessionExpired));
    assert_eq!(client.call(get("n")), Ok(Reply::Value(Some(bytes("2")))));
}

#[test]
fn transactions_are_carried_out_and_what_does_not_fit_is_said() {
    let (_dir, _spec, node) = single();
    let mut client = client_of(&node);
    let transaction = |then| RequestBody::Command {
        once: None,
        command: Command::Transaction(Transaction {
            then,
            ..Transaction::default()
        }),
    };
    let answers = vec![OperationAnswer::Sum(1), OperationAnswer::Sum(2)];
    let held = true;
    assert_eq!(
        client.call(transaction(vec![add("n"), add("n")])),
        Ok(Reply::Transaction { held, answers })
    );
    assert_eq!(client.call(put("text", b"x")), Ok(Reply::Written));
    let unfit = client.call(transaction(vec![add("n"), add("text")]));
    assert_eq!(unfit, Err(Error::Unfit(Unfit::NotNumber)));
    assert_eq!(client.call(get("n")), Ok(Reply::Value(Some(bytes("2")))));
    let too_many = client.call(transaction(vec![add("n"); OPERATIONS_MAX + 1]));
    assert!(
        matches!(&too_many, Err(Error::Invalid { reason }) if reason.contains("at most 128")),
        "{too_many:?}"
    );
}

#[test]
fn what_breaks_a_limit_is_refused_and_the_connection_goes_on() {
    let (_dir, _spec, node) = single();
    let mut client = client_of(&node);
    let long_key = "k".repeat(KEY_BYTES_MAX + 1);
    let long_value = vec![0; VALUE_BYTES_MAX + 1];
    for body in [get(&long_key), put("k", &long_value)] {
        let error = client.call(body).unwrap_err();
        assert!(
            matches!(&error, Error::Invalid { reason } if reason.contains("at most")),
            "{error}"
        );
    }
    let longest = put(&long_key[1..], &long_value[1..]);
    assert_eq!(client.call(longest), Ok(Reply::Written));
}

#[test]
fn many_requests_in_flight_are_each_answered_once() {
    const REQUESTS: u64 = 5_000;
    let (_dir, _spec, node) = single();
    let mut client = client_of(&node);
    let mut asking = client.again();
    let asker = std::thread::spawn(move || -> Vec<u64> {
        let body = |number: u64| match number % 3 {
            0 => get("k"),
            1 => put("k", &number.to_be_bytes()),
            _ => RequestBody::Status,
        };
        (0..REQUESTS).map(|number| asking.ask(body(number))).collect()
    });
    let answered: BTreeSet<u64> = (0..REQUESTS)
        .map(|_| {
            let response = client.answer();
            assert!(response.result.is_ok(), "{response:?}");
            response.id
        })
        .collect();
    assert_eq!(answered, asker.join().unwrap().into_iter().collect());
}

#[test]
fn a_client_that_asks_and_does_not_listen_is_read_no_further() {
    // Far more than one client may have in flight and than all the sockets' buffers hold.
    const REQUESTS_MAX: usize = 100_000;
    const MEMORY_MAX_KIB: u64 = 64 << 10;
    let (_dir, _spec, node) = single();
    let mut client = client_of(&node);
    let key = "k".repeat(KEY_BYTES_MAX);
    assert_eq!(client.call(put(&key, &[7; 32 << 10])), Ok(Reply::Written));
    let mut asked = Vec::new();
    let rest = loop {
        assert!(asked.len() < REQUESTS_MAX, "the node reads on and on");
        let (id, rest) = client.ask_if_read(get(&key));
        asked.push(id);
        if let Some(rest) = rest {
            break rest;
        }
    };
    // Others are served, though this one has not listened to a thing. They ask for little: one that takes nothing for half a minute is let go,
    // and there are slow machines.
    let mut other = Connection::accepted(node.address, Role::Client);
    for _ in 0..10 {
        assert_eq!(other.call(put("l", b"x")), Ok(Reply::Written));
    }
    let mut asking = client.again();
    let asker = std::thread::spawn(move || asking.send(&rest));
    let answered: BTreeSet<u64> = asked.iter().map(|_| client.answer().id).collect();
    asker.join().unwrap();
    assert_eq!(answered, asked.into_iter().collect());
    let peak = node.memory_peak();
    assert!(peak < MEMORY_MAX_KIB, "the node held {peak} KiB");
}

#[test]
fn values_that_are_gone_are_not_kept_for_one_who_does_not_take_them() {
    const VALUES: usize = 256;
    const VALUE_BYTES: usize = 1 << 20;
    // Of so many the slow one takes one meanwhile. Its socket has room again for the node only when a third of what it holds is gone.
    const VALUES_FOR_ONE: usize = 4;
    // What the node writes itself, its log's end among it, and far less than all the values.
    const MEMORY_MAX_KIB: u64 = 96 << 10;
    let (_dir, _spec, node) = single();
    let mut client = client_of(&node);
    let mut slow = Connection::accepted(node.address, Role::Client);
    let takes_a_value = |slow: &mut Connection| {
        let response = slow.answer();
        assert!(
            matches!(response.result, Ok(Reply::Value(Some(_)))),
            "{response:?}"
        );
    };
    for number in 0..VALUES {
        let value = vec![u8::try_from(number).unwrap(); VALUE_BYTES];
        assert_eq!(client.call(put("k", &value)), Ok(Reply::Written));
        slow.ask(get("k"));
        // One that takes nothing for half a minute is let go, and there are slow machines.
        if number % VALUES_FOR_ONE == 0 {
            takes_a_value(&mut slow);
        }
    }
    let peak = node.memory_peak();
    assert!(peak < MEMORY_MAX_KIB, "the node held {peak} KiB");
    for _ in 0..VALUES - VALUES.div_ceil(VALUES_FOR_ONE) {
        takes_a_value(&mut slow);
    }
}

#[test]
fn few_bytes_that_ask_for_many_take_neither_memory_nor_time() {
    const CLIENTS: usize = 32;
    const QUESTIONS: usize = 1024;
    const PUTS: usize = 100;
    // How many answers one of them takes for each of these puts; as many as its socket needs to have room for the node again, in time.
    const TAKEN_FOR_PUT: usize = 10;
    const MEMORY_MAX_KIB: u64 = 128 << 10;
    let (_dir, _spec, node) = single();
    let mut client = client_of(&node);
    for number in 0..1000_u64 {
        let key = number.to_string();
        assert_eq!(client.call(put(&key, b"x")), Ok(Reply::Written));
    }
    let silent = || {
        let mut silent = Connection::accepted(node.address, Role::Client);
        for _ in 0..QUESTIONS {
            silent.ask(RequestBody::Stages);
        }
        silent
    };
    let mut silent: Vec<Connection> = std::iter::repeat_with(silent).take(CLIENTS).collect();
    // One that takes nothing for half a minute is let go, and there are slow machines.
    let listener = silent.last_mut().unwrap();
    let mut listens = || {
        let response = listener.answer();
        assert!(matches!(response.result, Ok(Reply::Stages(_))), "{response:?}");
    };
    for _ in 0..PUTS {
        assert_eq!(client.call(put("k", b"x")), Ok(Reply::Written));
        (0..TAKEN_FOR_PUT).for_each(|_| listens());
    }
    let peak = node.memory_peak();
    assert!(peak < MEMORY_MAX_KIB, "the node held {peak} KiB");
    for _ in TAKEN_FOR_PUT * PUTS..QUESTIONS {
        listens();
    }
}

#[test]
fn one_that_has_said_all_gets_its_answers() {
    const REQUESTS: u64 = 100;
    let (_dir, _spec, node) = single();
    let mut client = client_of(&node);
    let asked: BTreeSet<u64> = (0..REQUESTS)
        .map(|number| client.ask(put(&number.to_string(), &[7; 10_000])))
        .collect();
    client.says_no_more();
    let answered = asked.iter().map(|_| {
        let response = client.answer();
        assert_eq!(response.result, Ok(Reply::Written));
        response.id
    });
    assert_eq!(answered.collect::<BTreeSet<u64>>(), asked);
    client.ends();
}
