//! What people write and read beside whole values: numbers, lists, pieces, transactions; and sessions that expire.

use crate::connection::Connection;
use crate::process::{Node, Spec, eventually, run, text};
use std::time::Duration;
use wire::Role;
use wire::client::{Error, Reply, RequestBody};
use wire::record::{Command, Once};

struct Client {
    node: Node,
    _dir: tempfile::TempDir,
}

impl Client {
    fn start() -> Client {
        let dir = tempfile::tempdir().unwrap();
        Client {
            node: Node::start(&Spec::single(&dir.path().join("data"))),
            _dir: dir,
        }
    }

    /// The exit code, and what was printed to stdout and to stderr.
    fn run(&self, args: &[&str]) -> (i32, String, String) {
        let endpoint = self.node.endpoint();
        let mut all = args.to_vec();
        all.extend(["--endpoints", &endpoint, "--timeout", "30s"]);
        let output = run(&all);
        let code = output.status.code().unwrap();
        (code, text(&output.stdout), text(&output.stderr))
    }

    #[track_caller]
    fn prints(&self, args: &[&str], expected: &str) {
        assert_eq!(
            self.run(args),
            (0, expected.to_string(), String::new()),
            "{args:?}"
        );
    }

    /// Nothing is printed to stdout, and one line to stderr that says `part`.
    #[track_caller]
    fn refuses(&self, args: &[&str], code: i32, part: &str) {
        let (actual, out, said) = self.run(args);
        assert_eq!((actual, out.as_str()), (code, ""), "{args:?}: {said}");
        assert!(said.contains(part), "{args:?}: {said:?} does not say {part:?}");
        assert_eq!(said.lines().count(), 1, "{args:?}: {said}");
    }
}

#[test]
fn values_grow_numbers_count_and_lists_have_two_ends() {
    let client = Client::start();
    client.prints(&["append", "a", "xy"], "2\n");
    client.prints(&["append", "a", "z"], "3\n");
    client.prints(&["get", "a"], "xyz\n");
    client.prints(&["incr", "n"], "1\n");
    client.prints(&["incr", "n", "41"], "42\n");
    client.prints(&["incr", "n", "-50"], "-8\n");
    client.prints(&["cas", "n", "-8", "-9"], "");
    client.prints(&["put", "n", "-8"], "");
    client.refuses(&["incr", "a"], 1, "the value is no number of 64 bits");
    client.refuses(
        &["incr", "n", "-9223372036854775808"],
        1,
        "the sum would be no number",
    );
    client.prints(&["get", "n"], "-8\n");
    client.prints(&["push", "l", "2"], "");
    client.prints(&["push", "l", "3"], "");
    client.prints(&["push", "l", "1", "--front"], "");
    client.prints(&["pop", "l"], "1\n");
    client.prints(&["pop", "l", "--back"], "3\n");
    client.prints(&["pop", "l"], "2\n");
    client.refuses(&["pop", "l"], 1, "the key has no value");
    client.refuses(&["push", "a", "x"], 1, "the value is no list");
}

#[test]
fn a_list_is_read_by_its_items_and_stays_a_list() {
    let client = Client::start();
    for item in ["1", "two words", ""] {
        client.prints(&["push", "l", item], "");
    }
    client.prints(&["items", "l"], "1\ntwo words\n\n");
    let json = "[\"1\",\"two words\",\"\"]\n";
    client.prints(&["items", "l", "--json"], json);
    client.prints(&["txn", "--then", "get l"], json);
    client.refuses(&["get", "l"], 1, "the value is a list: `node items`");
    client.prints(&["get", "l", "--raw"], "\0\0\0\x011\0\0\0\x09two words\0\0\0\0\n");
    client.refuses(
        &["append", "l", "x"],
        1,
        "not done: the command changed nothing: the value is a list",
    );
    client.refuses(&["txn", "--then", "append l x"], 1, "the value is a list");
    client.prints(&["items", "l", "--json"], json);
    client.refuses(&["items", "nothing"], 1, "the key has no value");
    client.prints(&["put", "text", "x"], "");
    client.refuses(&["items", "text"], 1, "the value is no list");
}

#[test]
fn a_transaction_does_all_of_it_or_nothing() {
    let client = Client::start();
    client.prints(
        &[
            "txn",
            "--if",
            "absent k",
            "--then",
            "put k 'a b'",
            "--then",
            "incr n 2",
            "--then",
            "get k",
        ],
        "ok\n2\na b\n",
    );
    // The other branch, and the code says so.
    let (code, out, said) = client.run(&[
        "txn", "--if", "absent k", "--then", "delete k", "--else", "get n", "--else", "get m",
    ]);
    assert_eq!((code, out.as_str()), (1, "2\n(nil)\n"));
    assert_eq!(said, "a condition does not hold\n");
    client.prints(
        &[
            "txn",
            "--if",
            "holds k 'a b'",
            "--if",
            "differs n 3",
            "--if",
            "present n",
            "--then",
            "delete k",
            "--then",
            "delete k",
        ],
        "deleted\n(nil)\n",
    );
    // What can't be carried out undoes what came before it.
    client.refuses(
        &["txn", "--then", "put n 5", "--then", "push n x"],
        1,
        "the value is no list",
    );
    client.prints(&["get", "n"], "2\n");
    client.prints(
        &[
            "txn",
            "--then",
            "push l 1",
            "--then",
            "push-front l 0",
            "--then",
            "pop-back l",
            "--then",
            "pop l",
            "--then",
            "pop l",
        ],
        "ok\nok\n1\n0\n(nil)\n",
    );
}

#[test]
fn what_makes_no_sense_is_one_line_and_nothing_is_done() {
    let client = Client::start();
    for (args, part) in [
        (&["txn"][..], "something to do"),
        (&["txn", "--if", "absent k"], "something to do"),
        (&["txn", "--if", "k = v", "--then", "get k"], "is no condition"),
        (&["txn", "--then", "frobnicate k"], "is no operation"),
        (&["txn", "--then", "put k 'v"], "a quote is not closed"),
    ] {
        client.refuses(args, 254, part);
    }
    for args in [
        &["incr", "n", "much"][..],
        &["incr", "n", "9223372036854775808"],
        &["push", "l"],
        &["pop"],
        &["append", "k"],
    ] {
        let (code, out, said) = client.run(args);
        assert_eq!((code, out.as_str()), (254, ""), "{args:?}: {said}");
    }
    let (long_key, long_value) = ("k".repeat(1025), "v".repeat((1 << 17) - 1));
    client.refuses(&["append", &long_key, "x"], 1, "the key has 1025 bytes");
    // Piece by piece, a value reaches its limit, and stays as long as it is.
    for pieces in 1..=8 {
        let length = (pieces * long_value.len()).to_string() + "\n";
        client.prints(&["append", "k", &long_value], &length);
    }
    client.refuses(&["append", "k", &long_value], 1, "longer than 1048576 bytes");
}

#[test]
fn a_session_lives_as_long_as_the_node_was_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = Spec::single(&dir.path().join("data"));
    spec.flags = &["--session-lifetime", "1s"];
    let node = Node::start(&spec);
    let mut connection = Connection::accepted(node.address, Role::Client);
    let mut open = || {
        eventually("a session is opened", || {
            match connection.call(RequestBody::OpenSession) {
                Ok(Reply::SessionOpened { session, lifetime }) => Some((session, lifetime)),
                Err(Error::NotLeader { .. }) => None,
                other => panic!("{other:?}"),
            }
        })
    };
    let (session, lifetime) = open();
    assert_eq!(lifetime, 1000);
    std::thread::sleep(Duration::from_millis(1100));
    let once = Once {
        session,
        sequence: 1,
        answered_below: 1,
    };
    let command = Command::Put {
        key: "k".into(),
        value: "v".into(),
    };
    let body = RequestBody::Command {
        once: Some(once),
        command,
    };
    assert_eq!(connection.call(body), Err(Error::SessionExpired));
    let output = run(&["get", "k", "-e", &node.endpoint(), "--timeout", "30s"]);
    assert_eq!(output.status.code(), Some(1), "it took effect: {output:?}");
}
