//! Histories that are no good, as `harness check` meets them on its command line: one line that names the file, the line and what is
//! wrong, and the exit code for it; nothing to judge is unknown; a torn end is a warning. Never a panic, whatever the bytes and however
//! many.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};
use tests::{Said, harness, refused, run};

const HEADER: &str = "{\"rustyraft-history\":1,\"workload\":\"register\"}\n";

/// The formats that tests write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Native,
    Jepsen,
    Etcd,
    Kv,
}

const FORMATS: [Format; 4] = [Format::Native, Format::Jepsen, Format::Etcd, Format::Kv];

impl Format {
    /// An event. What is no value is `nil`, whatever the format calls it.
    fn event(self, time: u64, process: u64, kind: &str, f: &str, value: &str) -> String {
        let null = value.replace("nil", "null");
        match self {
            Format::Native => format!(
                "{{\"time\":{time},\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":4,\"value\":{null}}}\n"
            ),
            Format::Jepsen => {
                format!("{{:process {process}, :type :{kind}, :f :{f}, :value {value}, :time {time}}}\n")
            }
            Format::Etcd => format!("INFO  jepsen.util - {process}\t:{kind}\t:{f}\t{value}\n"),
            Format::Kv => {
                format!("{{:process {process}, :type :{kind}, :f :{f}, :key \"4\", :value {value}}}\n")
            }
        }
    }

    /// How many lines come before the first event.
    fn lines_before(self) -> usize {
        usize::from(self == Format::Native)
    }

    /// A history of these events, which happen one after the other.
    fn history(self, events: &[(u64, &str, &str, &str)]) -> String {
        let mut history = String::from(if self == Format::Native { HEADER } else { "" });
        for (time, (process, kind, f, value)) in (1..).zip(events) {
            history += &self.event(time, *process, kind, f, value);
        }
        history
    }

    /// A call that writes, and what it writes.
    fn write(self) -> (&'static str, &'static str) {
        match self {
            Format::Native | Format::Jepsen | Format::Etcd => ("write", "1"),
            Format::Kv => ("put", "\"one\""),
        }
    }

    fn read(self) -> &'static str {
        match self {
            Format::Native | Format::Jepsen | Format::Etcd => "read",
            Format::Kv => "get",
        }
    }
}

/// `harness check` on a file with these bytes.
fn check(bytes: &[u8], flags: &[&str]) -> Said {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history");
    fs::write(&file, bytes).unwrap();
    let mut args = vec!["check", file.to_str().unwrap()];
    args.extend(flags);
    run(&harness(), &args)
}

/// It is refused, for what is wrong at this line.
#[track_caller]
fn refused_at(line: usize, bytes: &[u8], words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history");
    fs::write(&file, bytes).unwrap();
    let path = file.to_str().unwrap();
    let place = format!("harness: {path}:{line}: ");
    refused(&["check", path], &[&[&*place], words].concat());
}

#[test]
fn what_no_process_can_have_done_is_named_in_every_format() {
    for format in FORMATS {
        let ((f, value), first) = (format.write(), format.lines_before() + 1);
        let written = [(0, "invoke", f, value), (0, "ok", f, value)];
        let refuse = |line: usize, then: &[(u64, &str, &str, &str)], words: &[&str]| {
            let history = format.history(&[&written[..], then].concat());
            refused_at(first + line, history.as_bytes(), words);
        };
        refuse(2, &[(0, "ok", f, value)], &["process 0", "did not invoke"]);
        refuse(2, &[(7, "fail", f, value)], &["process 7", "did not invoke"]);
        let twice = [(3, "invoke", f, value), (3, "invoke", f, value)];
        let open = format!("line {}", first + 2);
        refuse(3, &twice, &["process 3", "invokes again", &open]);
        let gone = [
            (3, "invoke", f, value),
            (3, "info", f, value),
            (3, "invoke", f, value),
        ];
        refuse(4, &gone, &["process 3", "ended with info"]);
        let read = format.read();
        let other = [(3, "invoke", f, value), (3, "ok", read, value)];
        refuse(3, &other, &["process 3", read, f]);
        refuse(2, &[(3, "invoke", "frobnicate", "nil")], &["frobnicate", f]);
    }
}

#[test]
fn a_value_of_the_wrong_type_is_named_in_every_format() {
    for format in [Format::Native, Format::Jepsen, Format::Etcd] {
        let first = format.lines_before() + 1;
        for cas in ["7", "[1]", "[1 2 3]", "\"x\""] {
            let cas = if format == Format::Native {
                cas.replace(' ', ",")
            } else {
                cas.to_owned()
            };
            let history = format.history(&[(0, "invoke", "cas", &cas), (0, "ok", "cas", &cas)]);
            refused_at(first, history.as_bytes(), &["[expected, new]"]);
        }
        let nothing = format.history(&[(0, "invoke", "write", "nil"), (0, "ok", "write", "nil")]);
        refused_at(first, nothing.as_bytes(), &["a write needs a value"]);
    }
    let number = Format::Kv.history(&[(0, "invoke", "append", "5"), (0, "ok", "append", "5")]);
    refused_at(1, number.as_bytes(), &["string", "5"]);
    let event = |from: &str, to: &str| {
        let event = Format::Native.event(1, 0, "invoke", "write", "1");
        assert!(event.contains(from));
        format!("{HEADER}{}", event.replace(from, to)).into_bytes()
    };
    for (from, to, words) in [
        ("\"time\":1", "\"time\":\"soon\"", "soon"),
        ("\"time\":1", "\"time\":-1", "-1"),
        ("\"time\":1", "\"time\":99999999999999999999999999", "1e+26"),
        ("\"process\":0", "\"process\":[]", "whole number"),
        ("\"value\":1", "\"value\":1.5", "whole number"),
        ("\"value\":1", "\"value\":1e999", "out of range"),
        ("\"value\":1", "\"value\":18446744073709551616", "whole number"),
        ("\"type\":\"invoke\"", "\"type\":\"call\"", "call"),
        ("\"f\":\"write\"", "\"f\":7", "7"),
    ] {
        refused_at(2, &event(from, to), &[words]);
    }
}

#[test]
fn time_that_runs_backwards_is_named() {
    let event = |format: Format, time, kind| format.event(time, 0, kind, "write", "1");
    let native = format!(
        "{HEADER}{}{}",
        event(Format::Native, 9, "invoke"),
        event(Format::Native, 8, "ok")
    );
    refused_at(3, native.as_bytes(), &["time runs backwards", "9", "8"]);
    let edn = event(Format::Jepsen, 9, "invoke") + &event(Format::Jepsen, 8, "ok");
    refused_at(2, edn.as_bytes(), &["time runs backwards", "9", "8"]);
}

#[test]
fn a_file_that_ends_too_early_is_named_with_the_line_where_the_last_thing_begins() {
    for format in [Format::Jepsen, Format::Etcd, Format::Kv] {
        let (f, value) = format.write();
        let whole = format.history(&[(0, "invoke", f, value), (0, "ok", f, value)]);
        let last = whole.lines().last().unwrap().len();
        for cut in 2..last - 2 {
            let torn = &whole.as_bytes()[..whole.len() - 1 - cut];
            let said = check(torn, &[]);
            // A number may be whole without its last digits, and a log's line without its value.
            if said.code == 254 {
                assert!(said.error().contains(":2: "), "{said:?}");
            } else {
                assert_eq!((format, said.code), (Format::Etcd, 0), "{said:?}");
            }
        }
        let vector = format!("[{whole}");
        if format != Format::Etcd {
            refused_at(3, vector.as_bytes(), &["the file ends inside"]);
        }
    }
}

#[test]
fn a_torn_last_line_of_a_native_history_is_a_warning_and_anywhere_else_an_error() {
    let whole = Format::Native.history(&[(0, "invoke", "write", "1"), (0, "ok", "write", "nil")]);
    let next = Format::Native.event(3, 1, "invoke", "read", "nil");
    for cut in 1..next.len() - 2 {
        let said = check(format!("{whole}{}", &next[..cut]).as_bytes(), &["--json"]);
        assert_eq!((said.code, &said.json()["valid"]), (0, &true.into()), "{said:?}");
        assert!(said.error().contains("line 4: the last line is torn"), "{said:?}");
        let torn = format!("{whole}{}\n{next}", &next[..cut]);
        refused_at(4, torn.as_bytes(), &[]);
    }
}

#[test]
fn a_native_history_torn_in_its_header_is_unknown_with_a_warning() {
    for cut in [1, 2, 15, 30, HEADER.len() - 2] {
        let said = check(&HEADER.as_bytes()[..cut], &["--json"]);
        assert_eq!(
            (said.code, &said.json()["valid"]),
            (2, &"unknown".into()),
            "{said:?}"
        );
        assert!(said.error().contains("line 1: the last line is torn"), "{said:?}");
        refused_at(1, format!("{}\n", &HEADER[..cut]).as_bytes(), &[]);
    }
}

#[test]
fn a_byte_order_mark_changes_nothing_in_any_format() {
    for format in FORMATS {
        let ((f, value), read) = (format.write(), format.read());
        let found = |found| {
            let history = format.history(&[
                (0, "invoke", f, value),
                (0, "ok", f, value),
                (0, "invoke", read, "nil"),
                (0, "ok", read, found),
            ]);
            check(format!("\u{feff}{history}").as_bytes(), &[]).code
        };
        assert_eq!((found(value), found("\"another\"")), (0, 1), "{format:?}");
    }
    assert_eq!(check("\u{feff}".as_bytes(), &[]).code, 2);
}

#[test]
fn nothing_to_judge_is_unknown() {
    let nemesis =
        "{\"time\":1,\"process\":\"nemesis\",\"type\":\"info\",\"f\":\"kill start\",\"value\":\"n1\"}\n";
    let failed = Format::Native.history(&[(0, "invoke", "write", "1"), (0, "fail", "write", "nil")]);
    for nothing in [
        "",
        "\n",
        " \n\t\n",
        HEADER,
        &format!("{HEADER}{nemesis}"),
        &failed,
        "[]",
        "; nothing\n",
    ] {
        let said = check(nothing.as_bytes(), &["--json"]);
        let line = said.json();
        assert_eq!(
            (said.code, &line["valid"]),
            (2, &"unknown".into()),
            "{nothing:?}: {said:?}"
        );
        assert!(line["reason"].is_string(), "{said:?}");
    }
}

#[test]
fn what_is_no_history_is_refused_by_its_first_line() {
    let program = fs::read(harness()).unwrap();
    let binary: Vec<u8> = (0..100_000_u32)
        .map(|number| (number.wrapping_mul(number) >> 7) as u8)
        .collect();
    let zeros = vec![0; 1 << 20];
    let utf16: Vec<u8> = HEADER.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [
        &program[..],
        &binary,
        &zeros,
        &utf16,
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
        b"hello, world\n",
        b"a,b,c\n1,2,3\n",
        b"{\"a\":1}\n",
        b"{\n",
        b"{\"rustyraft-history\":2,\"workload\":\"register\"}\n",
        b"{\"rustyraft-history\":1,\"workload\":\"nonsense\"}\n",
    ] {
        refused_at(1, bytes, &[]);
    }
    let mut foreign = HEADER.as_bytes().to_vec();
    foreign.extend_from_slice(b"{\"time\":1,\"process\":0,\"type\":\"invoke\",\"f\":\"wr\xff\xfe\"}\n");
    refused_at(2, &foreign, &["not text"]);
    refused_at(
        1,
        b"{:process 0, :type :invoke, :f :write, :value \"\xff\"}\n",
        &["UTF-8"],
    );
    // What is said of it stays one line.
    let said = check(b"{:process 0, :type :invoke, :f :write, :value \"\\\n\"}\n", &[]);
    assert!(
        said.code == 254 && said.error().contains("knows no \\\\n"),
        "{said:?}"
    );
    refused_at(1, b"INFO  jepsen.util - 0\t:invoke\t:\xff\xfe\tnil\n", &["UTF-8"]);
}

#[test]
fn what_is_deep_or_long_is_refused_soon() {
    let deep = 1_000_000;
    let begun = Instant::now();
    let value = |open: &str, close: &str| {
        let value = open.repeat(deep) + &close.repeat(deep);
        Format::Jepsen.event(1, 0, "invoke", "write", &value)
    };
    for nested in [
        value("[", "]"),
        value("{1 ", "}"),
        value("#{", "}"),
        value("[", ""),
    ] {
        refused_at(1, nested.as_bytes(), &["deep"]);
    }
    refused_at(1, "#_".repeat(deep).as_bytes(), &[]);
    let json = "[".repeat(deep) + &"]".repeat(deep);
    let json = format!("{HEADER}{}", Format::Native.event(1, 0, "invoke", "write", &json));
    refused_at(2, json.as_bytes(), &[]);
    // A file as long as one likes that is one line; most of it is a hole.
    for (format, begins) in [
        (
            Format::Native,
            format!("{HEADER}{{\"time\":1,\"process\":0,\"f\":\""),
        ),
        (
            Format::Jepsen,
            String::from("{:process 0, :type :invoke, :value \""),
        ),
        (
            Format::Etcd,
            String::from("INFO  jepsen.util - 0\t:invoke\t:write\t"),
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        let mut file = fs::File::create(&path).unwrap();
        file.write_all(begins.as_bytes()).unwrap();
        file.set_len(1 << 30).unwrap();
        let place = format!("{}:{}: ", path.display(), format.lines_before() + 1);
        refused(&["check", path.to_str().unwrap()], &[&place, "too long"]);
    }
    // Not a bound on speed: what takes time that grows with the square of the length would be at it for days.
    assert!(
        begun.elapsed() < Duration::from_secs(200),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn numbers_beyond_64_bits_are_values_in_edn() {
    let large = "9".repeat(100_000);
    let other = format!("{}8", &large[1..]);
    let history = |read: &str| {
        Format::Jepsen.history(&[
            (0, "invoke", "write", &large),
            (0, "ok", "write", &large),
            (0, "invoke", "read", "nil"),
            (0, "ok", "read", read),
        ])
    };
    assert_eq!(check(history(&large).as_bytes(), &[]).code, 0);
    assert_eq!(check(history(&other).as_bytes(), &[]).code, 1);
}

#[test]
fn a_folder_without_histories_and_a_file_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    refused(&["check", path], &[path]);
    let missing = Path::new(path).join("missing");
    let missing = missing.to_str().unwrap();
    refused(&["check", missing], &[missing, "No such file"]);
}
