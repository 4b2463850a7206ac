//! What outcomes mean, rule by rule, on histories as they are recorded: each rule with a history that it makes legal and one that it
//! makes illegal.

#![allow(clippy::unwrap_used, reason = "a test fails with the reason")]

use checker::{CheckOptions, Dialect, EngineChoice, Log, Verdict, check_log};

/// A native history of register 0; an event is `time process type f value`.
fn native(events: &str) -> Log {
    let mut history = String::from("{\"rustyraft-history\":1,\"workload\":\"register\"}\n");
    for event in events.split(';') {
        let [time, process, kind, f, value] = words(event);
        let value = if value == "nil" { "null" } else { value };
        history += &format!(
            "{{\"time\":{time},\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":0,\"value\":{value}}}\n"
        );
    }
    Log::read(history.as_bytes()).unwrap()
}

/// Jepsen's EDN; an event is `time process type f value`.
fn edn(events: &str) -> Log {
    let mut history = String::new();
    for event in events.split(';') {
        let [time, process, kind, f, value] = words(event);
        let value = value.replace(',', " ");
        history += &format!("{{:process {process}, :type :{kind}, :f :{f}, :value {value}, :time {time}}}\n");
    }
    Log::read(history.as_bytes()).unwrap()
}

/// The log of Jepsen's etcd test, as Porcupine reads it; an event is `process type f value`.
fn etcd(events: &str) -> Log {
    let mut history = String::new();
    for event in events.split(';') {
        let [process, kind, f, value] = words(event);
        let value = value.replace(',', " ");
        history += &format!("INFO  jepsen.util - {process}\t:{kind}\t:{f}\t{value}\n");
    }
    Log::read(history.as_bytes()).unwrap()
}

fn words<const N: usize>(event: &str) -> [&str; N] {
    let words: Vec<&str> = event.split_whitespace().collect();
    words.try_into().unwrap()
}

/// By the engine for the model's kind if there is one that takes it, and by the general one: they agree.
fn is_legal_by(log: &Log, dialect: Option<Dialect>) -> bool {
    let judged = [EngineChoice::Auto, EngineChoice::General].map(|engine| {
        let options = CheckOptions {
            dialect,
            engine,
            ..CheckOptions::default()
        };
        match check_log(log, &options).unwrap().verdict {
            Verdict::Valid => true,
            Verdict::Violation(_) => false,
            Verdict::Unknown(reason) => panic!("{reason}"),
        }
    });
    assert_eq!(judged[0], judged[1], "the engines differ");
    judged[0]
}

fn is_legal(log: &Log) -> bool {
    is_legal_by(log, None)
}

#[test]
fn ok_took_effect_between_invocation_and_return() {
    let during = "1 0 invoke write 1; 2 1 invoke read nil; 3 1 ok read 1; 4 0 ok write 1";
    let after = "1 0 invoke write 1; 2 0 ok write 1; 3 1 invoke read nil; 4 1 ok read 1";
    let missed = "1 0 invoke write 1; 2 0 ok write 1; 3 0 invoke write 2; 4 0 ok write 2; 5 1 invoke read nil; 6 1 ok read 1";
    let early = "1 1 invoke read nil; 2 1 ok read 1; 3 0 invoke write 1; 4 0 ok write 1";
    for read in [native, edn] {
        assert!(is_legal(&read(during)) && is_legal(&read(after)));
        assert!(!is_legal(&read(missed)) && !is_legal(&read(early)));
    }
}

#[test]
fn fail_did_not_happen() {
    let unseen = "1 0 invoke write 1; 2 0 ok write 1; 3 0 invoke write 2; 4 0 fail write 2; 5 1 invoke read nil; 6 1 ok read 1";
    let seen = "1 0 invoke write 1; 2 0 ok write 1; 3 0 invoke write 2; 4 0 fail write 2; 5 1 invoke read nil; 6 1 ok read 2";
    let during = "1 0 invoke write 2; 2 1 invoke read nil; 3 1 ok read 2; 4 0 fail write 2";
    for read in [native, edn] {
        assert!(is_legal(&read(unseen)));
        assert!(!is_legal(&read(seen)) && !is_legal(&read(during)));
    }
    let read = "0 invoke read nil; 0 fail read :timed-out; ";
    assert!(is_legal(&etcd(&format!(
        "{read}1 invoke read nil; 1 ok read nil"
    ))));
    assert!(!is_legal(&etcd(&format!("{read}1 invoke read nil; 1 ok read 1"))));
}

#[test]
fn info_may_take_effect_at_any_later_time_or_never() {
    let lost = "1 0 invoke write 1; 2 0 ok write 1; 3 0 invoke write 2; 4 0 info write 2; ";
    let read = |times: [u64; 2], value: u64| {
        format!("{} 1 invoke read nil; {} 1 ok read {value}", times[0], times[1])
    };
    let one = read([100, 101], 1);
    let two = read([102, 103], 2);
    let again = read([104, 105], 1);
    for history in [native, edn] {
        assert!(is_legal(&history(&format!("{lost}{one}"))), "never");
        assert!(is_legal(&history(&format!("{lost}{one}; {two}"))), "late");
        assert!(
            !is_legal(&history(&format!("{lost}{two}; {again}"))),
            "and undone"
        );
        // Not before it was invoked.
        let early = "1 1 invoke read nil; 2 1 ok read 2; 3 0 invoke write 2; 4 0 info write 2";
        assert!(!is_legal(&history(early)));
        // What is open at the end is as if nobody had learned of it.
        let open = format!("1 0 invoke write 2; {two}");
        assert!(is_legal(&history(&open)));
        // It takes effect once: a compare-and-set that nobody learned of explains one of two changes.
        let lost = "1 0 invoke write 1; 2 0 ok write 1; 3 0 invoke cas [1,2]; 4 0 info cas [1,2]; ";
        let back = "103 1 invoke write 1; 104 1 ok write 1; ";
        let two = read([101, 102], 2);
        let then = |value| read([105, 106], value);
        assert!(is_legal(&history(&format!("{lost}{two}; {back}{}", then(1)))));
        assert!(!is_legal(&history(&format!("{lost}{two}; {back}{}", then(2)))));
    }
    let lost = "0 invoke write 2; 0 info write :timed-out; ";
    assert!(is_legal(&etcd(&format!(
        "{lost}1 invoke read nil; 1 ok read nil; 1 invoke read nil; 1 ok read 2"
    ))));
    assert!(!is_legal(&etcd(&format!(
        "{lost}1 invoke read nil; 1 ok read 2; 1 invoke read nil; 1 ok read nil"
    ))));
}

#[test]
fn the_process_of_an_info_is_gone_for_good() {
    let log = |process: u64| {
        format!(
            "{{:process 0, :type :invoke, :f :write, :value 1}}\n{{:process 0, :type :info, :f :write, :value 1}}\n\
             {{:process {process}, :type :invoke, :f :read, :value nil}}\n"
        )
    };
    assert!(Log::read(log(1).as_bytes()).is_ok());
    let error = Log::read(log(0).as_bytes()).unwrap_err();
    assert_eq!(error.line, 3);
}

#[test]
fn a_read_that_timed_out_says_nothing() {
    // Whatever was recorded with it.
    let written = "1 0 invoke write 1; 2 0 ok write 1; ";
    for read in [native, edn] {
        assert!(is_legal(&read(&format!(
            "{written}3 1 invoke read nil; 4 1 info read 7"
        ))));
        assert!(!is_legal(&read(&format!(
            "{written}3 1 invoke read nil; 4 1 ok read 7"
        ))));
    }
}

#[test]
fn events_at_the_same_instant_are_concurrent_where_times_order_them() {
    let read_at = |time: u64, value: &str| {
        format!("1 0 invoke write 1; 5 0 ok write nil; {time} 1 invoke read nil; 9 1 ok read {value}")
    };
    assert!(is_legal(&native(&read_at(5, "nil"))));
    assert!(!is_legal(&native(&read_at(6, "nil"))));
    // In the formats of others the order of the lines counts, as in knossos and Porcupine.
    let swapped = "1 0 invoke write 1; 2 0 ok write 1; 5 0 invoke write 2; 5 0 ok write 2; 5 1 invoke read nil; 5 1 ok read 1";
    assert!(!is_legal(&edn(swapped)));
    let overlap = "1 0 invoke write 1; 2 0 ok write 1; 5 0 invoke write 2; 5 1 invoke read nil; 5 0 ok write 2; 5 1 ok read 1";
    assert!(is_legal(&edn(overlap)));
}

#[test]
fn a_failed_compare_and_set_is_what_its_dialect_says() {
    // The register holds 1, and the compare-and-set expects just that.
    let timed = "1 0 invoke write 1; 2 0 ok write 1; 3 0 invoke cas [1,2]; 4 0 fail cas [1,2]";
    let untimed = "0 invoke write 1; 0 ok write 1; 0 invoke cas [1,2]; 0 fail cas [1,2]";
    let logs = [native(timed), edn(timed), etcd(untimed)];
    // By default: where it did not happen, that is legal; where it found another value, it is not.
    assert_eq!(logs.each_ref().map(is_legal), [true, true, false]);
    for log in &logs {
        let by = Dialect::ALL.map(|dialect| is_legal_by(log, Some(dialect)));
        assert_eq!(by, [true, true, false], "{:?}", log.format);
    }
    // A value that it does not expect.
    let other = "0 invoke write 1; 0 ok write 1; 0 invoke cas [3,2]; 0 fail cas [3,2]; 0 invoke read nil; 0 ok read 1";
    assert!(is_legal(&etcd(other)));
    // The native way to say so is a compare-and-set that returned false.
    let found = |expected: u64, swapped: bool| {
        native(&format!(
            "1 0 invoke write 1; 2 0 ok write 1; 3 0 invoke cas [{expected},2]; 4 0 ok cas {swapped}"
        ))
    };
    assert!(is_legal(&found(3, false)) && is_legal(&found(1, true)));
    assert!(!is_legal(&found(1, false)) && !is_legal(&found(3, true)));
}

#[test]
fn a_read_of_nil_is_what_its_dialect_says() {
    let timed = "1 0 invoke write 1; 2 0 ok write 1; 3 0 invoke read nil; 4 0 ok read nil";
    let untimed = "0 invoke write 1; 0 ok write 1; 0 invoke read nil; 0 ok read nil";
    let logs = [native(timed), edn(timed), etcd(untimed)];
    assert_eq!(logs.each_ref().map(is_legal), [false, true, false]);
    for log in &logs {
        let by = Dialect::ALL.map(|dialect| is_legal_by(log, Some(dialect)));
        assert_eq!(by, [false, true, false], "{:?}", log.format);
    }
}

#[test]
fn keys_are_objects_of_their_own() {
    let keyed = |first: &str, second: &str| {
        let event = |process: u64, kind: &str, f: &str, key: &str, value: &str| {
            format!("{{:process {process}, :type :{kind}, :f :{f}, :value [{key} {value}]}}\n")
        };
        let text = event(0, "invoke", "write", first, "1")
            + &event(0, "ok", "write", first, "1")
            + &event(1, "invoke", "write", second, "2")
            + &event(1, "ok", "write", second, "2")
            + &event(0, "invoke", "read", first, "nil")
            + &event(0, "ok", "read", first, "1");
        Log::read(text.as_bytes()).unwrap()
    };
    assert!(is_legal(&keyed("\"a\"", "\"b\"")));
    assert!(!is_legal(&keyed("\"a\"", "\"a\"")));
}
