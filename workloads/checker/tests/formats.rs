//! What histories look like in each format, and what is said of those that are damaged.

#![allow(clippy::unwrap_used, reason = "a test fails with the reason")]

use checker::Log;
use checker::formats::{Format, LogReader};
use checker::history::{Call, End, Value};
use proptest::prelude::*;

const NATIVE: &str = r#"{"rustyraft-history":1,"workload":"register"}
{"time":1,"process":0,"type":"invoke","f":"write","key":0,"value":1,"node":2}
{"time":2,"process":"nemesis","type":"info","f":"kill start","value":"leader n1"}
{"time":3,"process":1,"type":"invoke","f":"read","key":0,"value":null}
{"time":4,"process":0,"type":"ok","f":"write","key":0,"value":null}
{"time":5,"process":1,"type":"info","f":"read","key":0,"value":null,"error":"timed out"}
"#;

const EDN: &str = "{:type :invoke, :f :write, :value 1, :process 0, :time 10, :index 0}
{:type :info, :f :start-partition, :value [:isolated {\"n1\" #{\"n2\"}}], :process :nemesis, :time 20, :index 1}
{:type :invoke, :f :read, :value nil, :process 1, :time 30, :index 2}
{:type :ok, :f :write, :value 1, :process 0, :time 40, :index 3}
{:type :info, :f :read, :value nil, :process 1, :time 50, :index 4, :error [:timeout \"5 s; }\"]}
";

const ETCD: &str = "INFO  jepsen.util - 0\t:invoke\t:write\t1
WARN  jepsen.core - {:not an operation
INFO  jepsen.util - :nemesis :info :start \"Cut off n1\"
INFO  jepsen.util - 1   :invoke :read   nil

INFO  jepsen.util - 0\t:ok\t:write\t1
INFO  jepsen.util - 1\t:info\t:read\t:timed-out
";

const KV: &str = "{:process 0, :type :invoke, :f :append, :key \"0\", :value \"x 0 0 y\"}
{:process 1, :type :invoke, :f :get, :key \"0\", :value nil}
{:process 0, :type :ok, :f :append, :key \"0\", :value \"x 0 0 y\"}
{:process 1, :type :ok, :f :get, :key \"0\", :value \"x 0 0 y\"}
";

fn read(text: &str) -> Log {
    Log::read(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What is said of a history that can't be read: the line, and why.
fn refused(text: &[u8]) -> (usize, String) {
    let error = Log::read(text).expect_err("it can't be read");
    assert!(!error.reason.contains('\n'), "one line: {}", error.reason);
    (error.line, error.reason)
}

/// It is refused at this line with these words.
#[track_caller]
fn assert_refused(text: &str, line: usize, words: &str) {
    let (at, reason) = refused(text.as_bytes());
    assert!(at == line && reason.contains(words), "line {at}: {reason}");
}

fn shape(call: &Call) -> (u64, &str, End, &Value) {
    (call.process, &call.f, call.end, &call.result)
}

#[test]
fn each_format_is_told_by_its_content_and_read_alike() {
    for (text, format, timed) in [
        (NATIVE, Format::Native, true),
        (EDN, Format::Jepsen, true),
        (ETCD, Format::PorcupineEtcd, false),
    ] {
        let log = read(text);
        assert_eq!((log.format, log.timed, log.warnings.len()), (format, timed, 0));
        let [write, read] = &log.calls[..] else {
            panic!("{log:?}")
        };
        assert_eq!(
            (write.process, &*write.f, write.end, &write.argument),
            (0, "write", End::Ok, &Value::Int(1))
        );
        assert_eq!((read.process, &*read.f, read.end), (1, "read", End::Info));
        assert!(write.invoked < read.invoked && read.invoked < write.returned);
        assert_eq!(log.remarks.len(), 1);
    }
    let log = read(KV);
    assert_eq!(log.format, Format::PorcupineKv);
    let text = Value::text("x 0 0 y");
    assert_eq!(shape(&log.calls[1]), (1, "get", End::Ok, &text));
    assert_eq!(log.calls[1].key, Some(Value::text("0")));
}

#[test]
fn times_and_lines_are_kept() {
    let log = read(NATIVE);
    let times: Vec<_> = log
        .calls
        .iter()
        .map(|call| (call.invoked, call.returned, call.line))
        .collect();
    assert_eq!(times, [(1, 4, 2), (3, 5, 4)]);
    assert_eq!(log.calls[0].node, Some(2));
    let log = read(EDN);
    let times: Vec<_> = log
        .calls
        .iter()
        .map(|call| (call.invoked, call.returned, call.line))
        .collect();
    assert_eq!(times, [(10, 40, 1), (30, 50, 3)]);
    assert_eq!(log.remarks[0].value, "[:isolated,{\"n1\":[\"n2\"]}]");
    // Without times the numbers of the lines stand for them.
    let log = read(ETCD);
    let times: Vec<_> = log
        .calls
        .iter()
        .map(|call| (call.invoked, call.returned, call.line))
        .collect();
    assert_eq!(times, [(1, 6, 1), (4, 7, 4)]);
}

#[test]
fn edn_comes_in_many_shapes() {
    let maps = EDN.replace('\n', " ");
    let record = EDN.replace("{:type", "#jepsen.history.Op{:type");
    let spread = EDN
        .replace(", ", "\n  ")
        .replace(":process 0", ":process #_ (1 [2]) 0 ; the first }");
    let of_one = read(EDN);
    for text in [
        maps.clone(),
        format!("[{maps}]"),
        format!("({EDN})"),
        format!("; a history\n#_{{:type :bogus}}\n[\n{EDN}]\n; the end"),
        record,
        spread,
    ] {
        let log = read(&text);
        assert_eq!(log.format, Format::Jepsen);
        assert_eq!(log.calls.len(), of_one.calls.len(), "{text}");
        for (one, other) in log.calls.iter().zip(&of_one.calls) {
            assert_eq!((one.invoked, one.returned), (other.invoked, other.returned));
            assert_eq!((shape(one), &one.argument), (shape(other), &other.argument));
        }
    }
}

#[test]
fn edn_values_are_what_was_written() {
    let value = |text: &str| {
        let log = read(&format!("{{:process 0 :type :invoke :f :x :value {text}}}"));
        log.calls[0].argument.clone()
    };
    let (int, list) = (Value::Int, |values: &[Value]| Value::list(values.iter().cloned()));
    for (text, expected) in [
        ("nil", Value::Null),
        ("true", Value::Bool(true)),
        ("-12", int(-12)),
        ("+7", int(7)),
        ("9223372036854775807", int(i64::MAX)),
        ("-9223372036854775808", int(i64::MIN)),
        ("12N", int(12)),
        ("9223372036854775808", Value::word("9223372036854775808")),
        ("1.5", Value::word("1.5")),
        ("1/2", Value::word("1/2")),
        ("##Inf", Value::word("Inf")),
        (":timed-out", Value::word(":timed-out")),
        ("\\a", Value::word("\\a")),
        ("\\]", Value::word("\\]")),
        ("\"a\\\"b\\n\\u00e9\\\\\"", Value::text("a\"b\né\\")),
        ("\"two\nlines\"", Value::text("two\nlines")),
        ("[]", list(&[])),
        ("(1 [2, nil])", list(&[int(1), list(&[int(2), Value::Null])])),
        ("#{3 1}", list(&[int(3), int(1)])),
        ("#inst \"2020\"", Value::text("2020")),
        ("#a.b/c [1]", list(&[int(1)])),
        ("#<Exception of old>", Value::word("#<Exception of old>")),
        (
            "{:b 2 :a 1}",
            Value::map([(Value::word(":a"), int(1)), (Value::word(":b"), int(2))]),
        ),
    ] {
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn independent_tuples_are_keys_and_values() {
    let line =
        |kind: &str, f: &str, value: &str| format!("{{:process 0 :type :{kind} :f :{f} :value {value}}}\n");
    let both = |f: &str, invoked: &str, returned: &str| line("invoke", f, invoked) + &line("ok", f, returned);
    let plain = both("write", "[7 1]", "[7 1]")
        + &both("cas", "[7 [1 2]]", "[7 [1 2]]")
        + &both("read", "[7 nil]", "[7 2]");
    let tagged = plain.replace(":value [7 ", ":value #jepsen.independent.Tuple [7 ");
    let record = tagged
        .replace("Tuple [7 nil]", "Tuple{:key 7, :value nil}")
        .replace("Tuple [7 2]", "Tuple{:value 2, :key 7}");
    for text in [plain, tagged, record] {
        let log = read(&text);
        let seen: Vec<_> = log
            .calls
            .iter()
            .map(|call| (call.key.clone(), call.argument.clone(), call.result.clone()))
            .collect();
        let pair = Value::list([Value::Int(1), Value::Int(2)]);
        let key = Some(Value::Int(7));
        assert_eq!(
            seen,
            [
                (key.clone(), Value::Int(1), Value::Int(1)),
                (key.clone(), pair.clone(), pair),
                (key, Value::Null, Value::Int(2)),
            ],
            "{text}"
        );
    }
    // Pairs that are values are values again as soon as that is seen, in what came before too.
    let early = both("cas", "[1 [2 3]]", "[1 [2 3]]") + &both("cas", "[1 2]", "[1 2]");
    let late = early.clone() + &both("read", "nil", "[1 2]");
    for text in [early, late] {
        let (int, log) = (Value::Int, read(&text));
        let pair = |one, other| Value::list([one, other]);
        assert_eq!((&log.calls[0].key, &log.calls[1].key), (&None, &None));
        assert_eq!(log.calls[0].argument, pair(int(1), pair(int(2), int(3))));
        for call in &log.calls {
            assert!(
                call.argument.is_null() || call.result == call.argument,
                "{call:?}"
            );
        }
        assert_eq!(log.calls.last().unwrap().result, pair(int(1), int(2)));
    }
    let one = both("cas", "[1 2]", "[1 2]") + &both("read", "nil", "2");
    assert_eq!(read(&one).calls[0].key, None);
    let pairs = both("add", "[1 2]", "[1 2]") + &both("read", "nil", "[[1 2]]");
    assert_eq!(read(&pairs).calls[0].key, None);
    let txn = both("txn", "[[:r 1 nil] [:append 2 3]]", "[[:r 1 []] [:append 2 3]]");
    assert_eq!(read(&txn).calls[0].key, None);
}

#[test]
fn in_edn_the_order_of_the_lines_counts_and_disorder_in_time_is_told() {
    let log = read(&EDN.replace(":time 40", ":time 25"));
    assert_eq!(log.warnings.len(), 1);
    assert!(
        log.warnings[0].starts_with("line 4: time runs backwards"),
        "{}",
        log.warnings[0]
    );
    assert!(log.calls[0].returned > log.calls[1].invoked);
    // Of two events at the same time the first one happened first.
    let log = read(&EDN.replace(":time 40", ":time 30"));
    assert_eq!((log.warnings.len(), log.calls[0].returned), (0, 31));
    // The nemesis may come first, with a time or without.
    for first in [
        "{:type :info :f :start :process :nemesis :time 5}\n",
        "{:type :info :f :start :process :nemesis}\n",
    ] {
        let log = read(&format!("{first}{EDN}"));
        assert_eq!((log.timed, log.calls[0].invoked), (true, 10));
    }
    let some = EDN.replacen(":time 30, ", "", 1);
    assert_refused(&some, 3, "no time");
    let some = EDN.replace(":time", ":at").replacen(":at 40", ":time 40", 1);
    assert_refused(&some, 4, "has a time");
}

#[test]
fn nothing_is_an_empty_history() {
    for text in [
        "",
        "\n \n",
        "[]",
        "; nothing\n",
        "()",
        "{\"rustyraft-history\":1,\"workload\":\"register\"}\n",
    ] {
        let log = read(text);
        assert_eq!((log.calls.len(), log.warnings.len()), (0, 0), "{text:?}");
    }
}

#[test]
fn a_torn_last_line_of_a_native_history_is_a_warning_and_only_there() {
    let last = NATIVE.trim_end().rfind('\n').unwrap() + 1;
    for end in last + 1..NATIVE.len() - 2 {
        let log = read(&NATIVE[..end]);
        assert_eq!(log.warnings.len(), 1, "{}", &NATIVE[last..end]);
        assert!(
            log.warnings[0].starts_with("line 6: the last line is torn"),
            "{}",
            log.warnings[0]
        );
        assert_eq!(log.calls[1].end, End::Info);
    }
    let torn = format!(
        "{}\n{{\"time\":9,\"process\":5,\"type\":\"invoke\",\"f\":\"read\"}}\n",
        &NATIVE[..last + 20]
    );
    let (line, _) = refused(torn.as_bytes());
    assert_eq!(line, 6);
}

#[test]
fn a_last_line_that_is_whole_and_wrong_is_an_error_without_its_end_too() {
    let wrong = [
        r#"{"time":9,"process":5,"type":"ok","f":"read","value":1.5}"#,
        r#"{"time":9,"process":5,"type":"okay","f":"read","value":1}"#,
        r#"{"time":9,"process":5,"type":"ok","f":"read","value":1}}"#,
        r#"{"time":9,"process":5,"type":"okay","f":"rea"#,
        "garbage",
    ];
    for last in wrong {
        for end in ["", "\n"] {
            let (line, _) = refused(format!("{NATIVE}{last}{end}").as_bytes());
            assert_eq!(line, 7, "{last}{end:?}");
        }
    }
}

#[test]
fn a_native_history_torn_in_its_header_is_an_empty_one_with_a_warning() {
    let header = NATIVE.lines().next().unwrap();
    for blank in ["", "\n \n"] {
        for end in 1..header.len() {
            let log = read(&format!("{blank}{}", &header[..end]));
            let line = 1 + blank.lines().count();
            assert_eq!((log.format, log.calls.len()), (Format::Native, 0));
            assert!(
                log.warnings.len() == 1
                    && log.warnings[0].starts_with(&format!("line {line}: the last line is torn")),
                "{:?}",
                log.warnings
            );
            // With its end it is a line that is wrong.
            let (at, _) = refused(format!("{blank}{}\n", &header[..end]).as_bytes());
            assert_eq!(at, line);
        }
        let whole = read(&format!("{blank}{header}"));
        assert!(whole.header.is_some() && whole.warnings.is_empty(), "{whole:?}");
    }
    for blank in ["", " ", "\n\t"] {
        let log = Log::read_as(blank.as_bytes(), Some(Format::Native)).unwrap();
        assert!(log.warnings.is_empty(), "{log:?}");
    }
    // What is no beginning of a header, or more than one, is none that is torn.
    for other in [
        "{\"a\":1",
        "{\"a\":1}",
        "{\"rustyraft-histories",
        "{\"rustyraft-history\":x",
        "{ ",
    ] {
        assert_eq!(refused(other.as_bytes()).0, 1, "{other}");
    }
    assert_refused("{\"rustyraft-history\":2}", 1, "no history of this project");
}

#[test]
fn a_byte_order_mark_is_skipped_at_the_beginning_and_only_there() {
    const MARK: &str = "\u{feff}";
    for text in [NATIVE, EDN, ETCD, KV] {
        let (plain, marked) = (read(text), format!("{MARK}{text}"));
        assert_eq!(read(&marked), plain);
        for size in 1..5 {
            assert_eq!(in_blocks(marked.as_bytes(), &[size]).unwrap(), plain);
        }
        let named = Log::read_as(marked.as_bytes(), Some(plain.format));
        assert_eq!(named.as_ref(), Ok(&plain));
        assert_eq!(refused(format!("{MARK}{marked}").as_bytes()).0, 1);
        let inside = text.lines().count() + 1;
        assert_eq!(refused(format!("{text}{MARK}\n").as_bytes()).0, inside, "{text}");
    }
    assert_eq!(read(MARK), read(""));
    for part in [&MARK.as_bytes()[..1], &MARK.as_bytes()[..2]] {
        assert_eq!(refused(part).0, 1);
    }
}

#[test]
fn a_truncated_history_is_told_by_the_line_where_its_end_begins() {
    for text in [&EDN[..EDN.len() - 20], &KV[..KV.len() - 8]] {
        let line = text.lines().count();
        assert_refused(text, line, "the file ends inside");
    }
    assert_refused(&format!("[{EDN}"), 6, "the file ends inside");
    assert_refused(&ETCD[..ETCD.len() - 12], 7, "expected a line");
    assert_refused("{:type :ok :f :read :value :ab", 1, "the file ends inside");
    assert_refused("{:type :ok :f :read}", 1, "no :process");
    assert_refused("\n{:type :ok\n :f :read\n}", 2, "no :process");
    assert_refused(
        "{:type :invoke\n :f :read\n :value \"an open string",
        1,
        "the file ends inside",
    );
}

#[test]
fn calls_that_do_not_fit_are_told_with_their_line() {
    for (text, ok, invoke) in [
        (
            NATIVE,
            "{\"time\":9,\"process\":9,\"type\":\"ok\",\"f\":\"read\",\"value\":1}\n",
            "{\"time\":9,\"process\":1,\"type\":\"invoke\",\"f\":\"read\",\"value\":1}\n",
        ),
        (
            EDN,
            "{:type :ok :f :read :value 1 :process 9 :time 90}\n",
            "{:type :invoke :f :read :value 1 :process 1 :time 90}\n",
        ),
        (
            ETCD,
            "INFO  jepsen.util - 9\t:ok\t:read\t1\n",
            "INFO  jepsen.util - 1\t:invoke\t:read\tnil\n",
        ),
    ] {
        let next = text.lines().count() + 1;
        assert_refused(
            &format!("{text}{ok}"),
            next,
            "process 9 completes read, which it did not invoke",
        );
        assert_refused(
            &format!("{text}{invoke}"),
            next,
            "process 1 invokes again, though it ended with info",
        );
        let twice = invoke
            .replace("1,\"type", "5,\"type")
            .replace(":process 1", ":process 5")
            .replace("- 1", "- 5");
        let open = format!("{text}{twice}{twice}");
        assert_refused(&open, next + 1, &format!("its call of line {next} is still open"));
        let other = twice.replace("invoke", "ok").replace("read", "cas");
        assert_refused(
            &format!("{text}{twice}{other}"),
            next + 1,
            "completes cas, but it invoked read",
        );
    }
}

#[test]
fn what_is_of_the_wrong_kind_is_told_with_its_line() {
    for (from, to, line, words) in [
        ("\"time\":4", "\"time\":2", 5, "time runs backwards, from 3 to 2"),
        ("\"time\":4", "\"time\":\"4\"", 5, "invalid type"),
        ("\"time\":4", "\"time\":-4", 5, "invalid value"),
        ("\"process\":1", "\"process\":\"nobody\"", 4, "nemesis"),
        ("\"value\":1,", "\"value\":1.5,", 2, "whole number"),
        ("\"value\":1,", "\"value\":9223372036854775808,", 2, "64 bits"),
        ("\"type\":\"ok\"", "\"type\":\"okay\"", 5, "okay"),
        ("\"key\":0,\"value\":1", "\"kay\":0,\"value\":1", 2, "kay"),
        (
            "\"rustyraft-history\":1",
            "\"rustyraft-history\":2",
            1,
            "format 2 is unknown",
        ),
        (
            "{\"rustyraft-history\":1,\"workload\":\"register\"}\n",
            "",
            1,
            "native ({\"rustyraft-history\":1,\"workload\":…}), jepsen (",
        ),
    ] {
        assert_refused(&NATIVE.replacen(from, to, 1), line, words);
    }
    for (from, to, line, words) in [
        (":time 40", ":time \"x\"", 4, ":time is a whole number"),
        (":time 40", ":time -4", 4, ":time is a whole number"),
        (":process 1", ":process \"x\"", 3, ":process is a whole number"),
        (":process 1", ":process -1", 3, ":process is a whole number"),
        (":process 1,", "", 3, "no :process"),
        (":type :ok", ":type :okay", 4, ":type is"),
        (":type :ok,", "", 4, "no :type"),
        (":f :read,", "", 3, "no :f"),
        (":f :read", ":f 7", 3, ":f is"),
        (":index 2}", ":index}", 3, "closes nothing"),
        (":index 2}", ":index 2]", 3, "keys are keywords"),
        ("{:type :ok", "{\"type\" :ok", 4, "keys are keywords"),
        ("{:type :ok", "hello {:type :ok", 4, "expected an operation"),
        ("\"5 s", "\"\\q", 5, "a string knows no"),
    ] {
        let text = EDN.replacen(from, to, 1);
        // What is not looked at is not taken apart: of such a string only the end counts.
        if words.starts_with("a string") {
            assert!(Log::read(text.as_bytes()).is_ok());
            let value = EDN.replacen(":value 1", ":value \"\\q\"", 1);
            assert_refused(&value, 1, words);
        } else {
            assert_refused(&text, line, words);
        }
    }
    for (from, to, line) in [
        (":ok\t:write", ":okay\t:write", 6),
        ("- 0\t:ok", "- x\t:ok", 6),
        (":invoke :read   nil", ":invoke", 4),
        ("INFO  jepsen.util - 1   ", "something else ", 4),
        (":write\t1\nWARN", ":write\t[1\nWARN", 1),
    ] {
        assert_refused(&ETCD.replacen(from, to, 1), line, "expected a line such as");
    }
}

#[test]
fn what_is_no_text_is_told_with_its_line() {
    assert_eq!(refused(&[0, 159, 146, 150, 10, 255]).0, 1);
    for text in [NATIVE, EDN, ETCD] {
        let line = text.lines().count() + 1;
        for garbage in [&[0u8, 1, 2, 10][..], &[255, 254, 10], b"\x7fELF\n"] {
            let bytes = [text.as_bytes(), garbage].concat();
            assert_eq!(refused(&bytes).0, line);
        }
    }
    let deep = format!("{{:value {}", "[".repeat(1_000_000));
    let (line, reason) = refused(deep.as_bytes());
    assert!(line == 1 && reason.contains("deep"), "{reason}");
    let deep = format!("{}{{\"time\":9,\"value\":{}\n", NATIVE, "[".repeat(1_000_000));
    assert_eq!(refused(deep.as_bytes()).0, 7);
    let discards = format!("{{:value {}", "#_ ".repeat(1_000_000));
    assert_eq!(refused(discards.as_bytes()).0, 1);
}

/// Reads a text in blocks of these sizes, over and over.
fn in_blocks(text: &[u8], sizes: &[usize]) -> Result<Log, checker::ReadError> {
    let mut reader = LogReader::new(None);
    let (mut rest, mut sizes) = (text, sizes.iter().cycle());
    while !rest.is_empty() {
        let (block, after) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
        reader.push(block)?;
        rest = after;
    }
    reader.finish()
}

/// A form that goes over very many lines is read in small blocks about as fast as at once.
#[test]
fn a_long_operation_is_not_read_again_at_each_of_its_lines() {
    let value = "1\n".repeat(400_000);
    let text =
        format!("{{:process 0 :type :invoke :f :add :value (\n{value})}}\n{{:process 0 :type :ok :f :add}}");
    let log = in_blocks(text.as_bytes(), &[16]).unwrap();
    assert_eq!(log.calls[0].argument.as_list().map(<[Value]>::len), Some(400_000));
    assert_eq!((log.calls[0].returned, log.calls[0].end), (400_003, End::Ok));
    let endless = "x".repeat(1 << 20);
    let header = NATIVE.lines().next().unwrap();
    let mut reader = LogReader::new(None);
    reader.push(header.as_bytes()).unwrap();
    reader.push(b"\n").unwrap();
    let refused = (0..200)
        .find_map(|_| reader.push(endless.as_bytes()).err())
        .unwrap();
    assert_eq!(refused.line, 2);
    assert!(refused.reason.contains("too long"), "{}", refused.reason);
}

/// One after the other, with their processes and times apart.
fn long(count: u64, wrong_at: Option<u64>) -> Vec<(u64, String)> {
    (0..count)
        .map(|number| {
            let kind = if wrong_at == Some(number) { "okay" } else { "ok" };
            let text = format!(
                "{{:type :invoke :f :write :value {number} :process {number} :time {}}}\n\
                 {{:type :{kind} :f :write :value \"a\n{{:b\" :process {number} :time {}}}\n",
                2 * number,
                2 * number + 1
            );
            (number, text)
        })
        .collect()
}

#[test]
fn large_files_are_read_in_pieces_as_in_one() {
    let lines: String = long(30_000, None).into_iter().map(|(_, text)| text).collect();
    let one_a_line = lines.replace("\"a\n{:b\"", "nil");
    let native: String = std::iter::once(String::from("{\"rustyraft-history\":1,\"workload\":\"x\"}\n"))
        .chain((0..30_000u64).map(|number| {
            format!(
                "{{\"time\":{number},\"process\":{number},\"type\":\"invoke\",\"f\":\"w\",\"key\":3,\"value\":{number}}}\n\
                 {{\"time\":{number},\"process\":{number},\"type\":\"ok\",\"f\":\"w\",\"key\":3,\"value\":null}}\n"
            )
        }))
        .collect();
    for text in [lines, one_a_line.clone(), format!("[{one_a_line}]"), native] {
        assert!(text.len() > 3 << 20);
        let whole = read(&text);
        assert_eq!(whole.calls.len(), 30_000);
        let last = whole.calls.last().unwrap();
        let expected = text
            .lines()
            .position(|line| line.contains(" 29999 ") || line.contains(":29999,"));
        assert_eq!(Some(last.line), expected.map(|place| place + 1));
        for sizes in [&[1 << 20][..], &[100_003, 77], &[700_000]] {
            assert!(in_blocks(text.as_bytes(), sizes).unwrap() == whole, "{sizes:?}");
        }
    }
    let wrong: String = long(30_000, Some(29_000))
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert_refused(&wrong, 29_000 * 3 + 2, ":type is");
    let wrong = wrong.replace("\"a\n{:b\"", "nil");
    assert_refused(&wrong, 29_000 * 2 + 2, ":type is");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    /// Where blocks end changes nothing, not what is said of a damaged file either.
    #[test]
    fn blocks_are_read_as_the_whole(
        text in prop::sample::select(&[NATIVE, EDN, ETCD, KV][..]),
        damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        sizes in prop::collection::vec(1..60usize, 1..5),
    ) {
        let mut bytes = text.as_bytes().to_vec();
        if let Some((place, byte)) = damage {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        prop_assert_eq!(in_blocks(&bytes, &sizes), Log::read(&bytes));
    }

    /// Whatever the bytes are, they are read or refused.
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for format in [None, Some(Format::Native), Some(Format::Jepsen), Some(Format::PorcupineEtcd), Some(Format::PorcupineKv)] {
            let _ = Log::read_as(&bytes, format);
        }
    }

    /// Neither does what looks like a history.
    #[test]
    fn no_damage_makes_a_reader_panic(
        text in prop::sample::select(&[NATIVE, EDN, ETCD, KV][..]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0..3u8, prop::sample::select(&b"{}[]()\"\\#_;:<>-0aN\n\t \xff"[..])), 1..8),
    ) {
        let mut bytes = text.as_bytes().to_vec();
        for (place, how, byte) in damage {
            let at = place.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => { bytes.remove(at); }
            }
        }
        let _ = Log::read(&bytes);
    }

    /// A history without damage has as many calls as it has invocations, in whatever format it is written.
    #[test]
    fn every_value_that_edn_can_write_is_read_back(value in edn_value()) {
        let text = format!("{{:process 0 :type :invoke :f :x :value {}}}", written(&value));
        let log = Log::read(text.as_bytes());
        prop_assert_eq!(log.map(|log| log.calls[0].argument.clone()), Ok(value), "{}", text);
    }
}

fn edn_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        "\\PC{0,5}".prop_map(|text| Value::text(&text)),
        ":[a-z][a-z0-9-]{0,5}".prop_map(|word| Value::word(&word)),
    ];
    leaf.prop_recursive(6, 30, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::list),
            prop::collection::vec((inner.clone(), inner), 0..3).prop_map(Value::map),
        ]
    })
}

fn written(value: &Value) -> String {
    match value {
        Value::Null => String::from("nil"),
        Value::Bool(_) | Value::Int(_) | Value::Word(_) => value.to_string(),
        Value::Text(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        Value::List(values) => {
            let items: Vec<String> = values.iter().map(written).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(pairs) => {
            let items: Vec<String> = pairs
                .iter()
                .map(|(key, value)| format!("{} {}", written(key), written(value)))
                .collect();
            format!("{{{}}}", items.join(" "))
        }
    }
}

#[test]
fn what_is_said_of_control_characters_stays_one_line() {
    // Found by the fuzz target `edn`.
    for bytes in [
        &b"{:process 0, :type :invoke, :f :write, :value \"\\\n\"}\n"[..],
        b"{:process 0, :type :\x07\x0b, :f :write}\n",
    ] {
        let error = Log::read(bytes).unwrap_err();
        assert!(!error.reason.contains(char::is_control), "{error}");
    }
}
