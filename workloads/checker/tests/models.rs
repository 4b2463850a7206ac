//! Each model by its name: a history that it explains beside the nearest one that it does not.

#![allow(clippy::unwrap_used, reason = "a test fails with the reason")]

use checker::history::Value;
use checker::{CheckError, CheckOptions, Dialect, Log, Report, Verdict, check_log, registry};

/// A history of calls one after the other, each `process kind f value`, in knossos' words.
fn edn(lines: &str) -> Log {
    let mut text = String::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let [process, kind, f, value] = line.splitn(4, ' ').collect::<Vec<_>>().try_into().unwrap();
        text.push_str(&format!(
            "{{:process {process}, :type :{kind}, :f :{f}, :value {value}}}\n"
        ));
    }
    Log::read(text.as_bytes()).unwrap()
}

fn check(model: &str, log: &Log) -> Result<Report, CheckError> {
    let options = CheckOptions {
        model: Some(model),
        ..CheckOptions::default()
    };
    check_log(log, &options)
}

fn is_valid(model: &str, lines: &str) -> bool {
    match check(model, &edn(lines)).unwrap().verdict {
        Verdict::Valid => true,
        Verdict::Violation(_) => false,
        Verdict::Unknown(reason) => panic!("unknown: {reason}"),
    }
}

/// `legal` is explained; and it is not once `from` in it is `to`.
fn differs(model: &str, legal: &str, from: &str, to: &str) {
    assert!(legal.contains(from), "{from:?} is not in it");
    assert!(is_valid(model, legal), "{model} should explain{legal}");
    let illegal = legal.replacen(from, to, 1);
    assert!(!is_valid(model, &illegal), "{model} should not explain{illegal}");
}

const QUEUE: &str = "
    0 invoke enqueue 1
    0 ok enqueue 1
    0 invoke enqueue 2
    0 ok enqueue 2
    1 invoke dequeue nil
    1 ok dequeue 1
    1 invoke dequeue nil
    1 ok dequeue 2
    1 invoke dequeue nil
    1 ok dequeue nil
    ";

#[test]
fn there_is_a_model_for_each_common_object() {
    let names: Vec<&str> = registry().iter().map(|model| model.name).collect();
    let wanted = "register cas-register multi-register mutex fenced-lock set unordered-queue fifo-queue stack priority-queue \
                  counter kv-append list-append bank unique-ids";
    for model in wanted.split_whitespace() {
        assert!(names.contains(&model), "{model} is not among {names:?}");
    }
}

#[test]
fn a_register_is_read_and_written_and_nothing_else() {
    let legal = "
        0 invoke write 1
        0 ok write 1
        1 invoke read nil
        1 ok read 1";
    differs("register", legal, "1 ok read 1", "1 ok read 2");
    let error = check("register", &edn("0 invoke cas [1 2]\n0 ok cas [1 2]")).unwrap_err();
    let expected = "line 1: the operation \"cas\" is unknown to the model register; known are read, write";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_fifo_queue_gives_the_first_first() {
    let swapped = QUEUE
        .replace("dequeue 1", "dequeue x")
        .replace("dequeue 2", "dequeue 1")
        .replace("dequeue x", "dequeue 2");
    assert!(is_valid("fifo-queue", QUEUE));
    assert!(!is_valid("fifo-queue", &swapped));
    assert!(is_valid("unordered-queue", &swapped));
    differs(
        "fifo-queue",
        QUEUE,
        "dequeue nil\n    1 ok dequeue nil",
        "dequeue nil\n    1 ok dequeue 1",
    );
}

#[test]
fn an_unordered_queue_gives_each_thing_once() {
    differs("unordered-queue", QUEUE, "ok dequeue 2", "ok dequeue 1");
    differs("unordered-queue", QUEUE, "ok dequeue 2", "ok dequeue 3");
    differs("unordered-queue", QUEUE, "1 ok dequeue 2", "1 ok dequeue nil");
}

#[test]
fn a_take_that_nobody_saw_the_result_of_may_have_taken_any_one_thing() {
    for (model, legal) in [("unordered-queue", true), ("fifo-queue", true)] {
        let lost = QUEUE
            .replacen("1 ok dequeue 1", "1 info dequeue nil", 1)
            .replace("    1 ", "    2 ");
        assert_eq!(
            is_valid(model, &lost.replacen("    2 ", "    1 ", 2)),
            legal,
            "{model}"
        );
    }
    // It may have taken one, but not both.
    let both = "
        0 invoke enqueue 1
        0 ok enqueue 1
        0 invoke enqueue 2
        0 ok enqueue 2
        1 invoke dequeue nil
        1 info dequeue nil
        2 invoke dequeue nil
        2 ok dequeue 2
        2 invoke dequeue nil
        2 ok dequeue nil";
    differs("unordered-queue", both, "2 ok dequeue 2", "2 ok dequeue nil");
    // A take that is put off does not take what was put after an empty answer.
    differs(
        "unordered-queue",
        both,
        "2 ok dequeue nil",
        "2 ok dequeue 1\n 2 invoke dequeue nil\n 2 ok dequeue 1",
    );
}

#[test]
fn a_stack_gives_the_last_first() {
    let stack = "
        0 invoke push 1
        0 ok push 1
        0 invoke push 2
        0 ok push 2
        0 invoke pop nil
        0 ok pop 2
        0 invoke pop nil
        0 ok pop 1";
    differs("stack", stack, "0 ok pop 2", "0 ok pop 1");
    differs("stack", stack, "0 ok pop 1", "0 ok pop nil");
}

#[test]
fn a_priority_queue_gives_the_least_first() {
    let queue = "
        0 invoke insert 7
        0 ok insert 7
        0 invoke insert -3
        0 ok insert -3
        0 invoke delete-min nil
        0 ok delete-min -3
        0 invoke delete-min nil
        0 ok delete-min 7";
    differs("priority-queue", queue, "0 ok delete-min -3", "0 ok delete-min 7");
    differs(
        "priority-queue",
        &queue.replace("-3", "3"),
        "0 ok delete-min 3",
        "0 ok delete-min 7",
    );
}

#[test]
fn a_priority_queue_takes_nothing_of_which_it_is_not_clear_what_is_less() {
    let refused = |queue: &str| {
        let error = check("priority-queue", &edn(queue)).unwrap_err();
        error.to_string()
    };
    // As texts, 10.5 is less than 2.5.
    for value in ["2.5", "1/3", "36893488147419103232", ":two", "[1 2]"] {
        let error = refused(&format!(
            "0 invoke insert 10\n0 ok insert 10\n0 invoke insert {value}\n0 ok insert {value}"
        ));
        assert!(
            error.starts_with("line 3: insert of a priority queue needs"),
            "{error}"
        );
        let error = refused(&format!("0 invoke delete-min nil\n0 ok delete-min {value}"));
        assert!(
            error.starts_with("line 1: delete-min of a priority queue needs"),
            "{error}"
        );
    }
    let error = refused("0 invoke insert 10\n0 ok insert 10\n0 invoke insert \"9\"\n0 ok insert \"9\"");
    assert!(error.starts_with("line 3: a priority queue compares"), "{error}");
    let texts = "
        0 invoke insert \"b\"
        0 ok insert \"b\"
        0 invoke insert \"a\"
        0 ok insert \"a\"
        0 invoke delete-min nil
        0 ok delete-min \"a\"";
    differs(
        "priority-queue",
        texts,
        "0 ok delete-min \"a\"",
        "0 ok delete-min \"b\"",
    );
}

#[test]
fn what_sets_answer_is_heard_in_tuples_without_a_tag_and_nonsense_is_refused() {
    let set = "
        0 invoke add [0 7]
        0 ok add [0 true]
        0 invoke add [0 7]
        0 ok add [0 false]";
    differs("set", set, "0 ok add [0 false]", "0 ok add [0 true]");
    // Without any answer, they may as well be elements.
    let pairs = "0 invoke add [0 7]\n0 ok add [0 7]\n0 invoke add [0 true]\n0 ok add [0 true]";
    let log = edn(pairs);
    assert!(log.calls.iter().all(|call| call.key.is_none()));
    assert!(is_valid("set", pairs));
    let error = check("set", &edn("0 invoke add 7\n0 ok add 8")).unwrap_err();
    assert!(error.to_string().starts_with("line 1: add returns"), "{error}");
}

#[test]
fn a_set_has_what_was_added_and_not_removed() {
    let set = "
        0 invoke add 1
        0 ok add 1
        0 invoke add \"x\"
        0 ok add true
        0 invoke read nil
        0 ok read #{\"x\" 1}
        0 invoke remove 1
        0 ok remove true
        0 invoke contains 1
        0 ok contains false
        0 invoke read nil
        0 ok read [\"x\"]";
    differs("set", set, "#{\"x\" 1}", "#{1}");
    differs("set", set, "contains false", "contains true");
    differs("set", set, "add true", "add false");
    differs("set", set, "remove true", "remove false");
    differs("set", set, "[\"x\"]", "[\"x\" 1]");
}

#[test]
fn a_counter_counts_what_was_added_and_maybe_what_was_lost() {
    let counter = "
        0 invoke add 5
        0 ok add 5
        1 invoke add 3
        1 info add 3
        2 invoke add -1
        2 fail add -1
        0 invoke read nil
        0 ok read 5
        0 invoke read nil
        0 ok read 8";
    differs("counter", counter, "ok read 5", "ok read 4");
    differs("counter", counter, "ok read 5", "ok read 3");
    differs("counter", counter, "ok read 8", "ok read 11");
}

#[test]
fn a_mutex_is_held_once() {
    let mutex = "
        0 invoke acquire nil
        0 ok acquire nil
        1 invoke acquire nil
        0 invoke release nil
        0 ok release nil
        1 ok acquire nil";
    differs(
        "mutex",
        mutex,
        "0 invoke release nil\n        0 ok release nil\n",
        "",
    );
    // What failed did not happen.
    differs("mutex", mutex, "0 ok release", "0 fail release");
    // What nobody learned the outcome of may have.
    assert!(is_valid(
        "mutex",
        &mutex.replace("0 ok release", "0 info release")
    ));
}

#[test]
fn unique_ids_are_given_out_once() {
    let ids = "
        0 invoke generate nil
        1 invoke generate nil
        0 ok generate 4
        1 ok generate 5
        1 invoke generate nil
        1 info generate nil
        2 invoke generate nil
        2 ok generate 6";
    differs("unique-ids", ids, "2 ok generate 6", "2 ok generate 4");
    differs("unique-ids", ids, "1 ok generate 5", "1 ok generate 6");
}

#[test]
fn a_fenced_lock_knows_its_owner_and_its_tokens_grow() {
    let lock = "
        0 invoke acquire nil
        0 ok acquire 3
        0 invoke release nil
        0 ok release nil
        1 invoke acquire nil
        1 ok acquire 7";
    differs("fenced-lock", lock, "1 ok acquire 7", "1 ok acquire 3");
    differs("fenced-lock", lock, "0 ok release nil", "0 fail release nil");
    differs(
        "fenced-lock",
        lock,
        "0 invoke release nil\n        0 ok release nil",
        "2 invoke release nil\n        2 ok release nil",
    );
    // Where an owner is named, it is who counts, and not the process.
    let named = "
        0 invoke acquire 5
        0 ok acquire 1
        1 invoke release 5
        1 ok release true";
    differs("fenced-lock", named, "1 invoke release 5", "1 invoke release 1");
    // An acquisition that nobody saw the token of used one up.
    let lost = "
        0 invoke acquire nil
        0 ok acquire nil
        0 invoke release nil
        0 ok release nil
        1 invoke acquire nil
        1 ok acquire 2";
    differs("fenced-lock", lost, "1 ok acquire 2", "1 ok acquire 1");
}

#[test]
fn a_key_of_a_store_holds_what_was_put_and_appended() {
    let store = "
        0 invoke put \"a\"
        0 ok put \"a\"
        0 invoke append \"b\"
        1 invoke append \"c\"
        1 ok append \"c\"
        0 ok append \"b\"
        0 invoke get nil
        0 ok get \"abc\"";
    assert!(is_valid("kv-append", &store.replace("abc", "acb")));
    differs("kv-append", store, "abc", "bac");
    differs("kv-append", store, "abc", "ab");
}

#[test]
fn a_register_holds_any_values() {
    let register = "
        0 invoke write \"a\"
        0 ok write \"a\"
        0 invoke cas [\"a\" [-1 {:x 2}]]
        0 ok cas [\"a\" [-1 {:x 2}]]
        0 invoke read nil
        0 ok read [-1 {:x 2}]";
    differs("cas-register", register, "read [-1 {:x 2}]", "read [-1 {:x 3}]");
}

/// A read of nil, and a compare-and-set that failed, as each dialect understands them.
#[test]
fn dialects_differ_in_what_nil_and_a_failed_cas_say() {
    let verdict = |lines: &str, dialect| {
        let options = CheckOptions {
            model: Some("cas-register"),
            dialect: Some(dialect),
            ..CheckOptions::default()
        };
        check_log(&edn(lines), &options).unwrap().verdict == Verdict::Valid
    };
    let nil = "
        0 invoke write 1
        0 ok write 1
        1 invoke read nil
        1 ok read nil";
    let failed = "
        0 invoke write 1
        0 ok write 1
        1 invoke cas [1 2]
        1 fail cas [1 2]";
    let verdicts = Dialect::ALL.map(|dialect| (verdict(nil, dialect), verdict(failed, dialect)));
    assert_eq!(verdicts, [(false, true), (true, true), (false, false)]);
}

#[test]
fn objects_can_begin_as_asked() {
    let begins = |model, init: &str, lines: &str| {
        let options = CheckOptions {
            model: Some(model),
            init: Some(serde_json::from_str(init).unwrap()),
            ..CheckOptions::default()
        };
        check_log(&edn(lines), &options).map(|report| report.verdict == Verdict::Valid)
    };
    let read = "0 invoke read nil\n0 ok read 4";
    assert_eq!(begins("cas-register", "4", read), Ok(true));
    assert_eq!(begins("cas-register", "5", read), Ok(false));
    assert_eq!(begins("counter", "4", read), Ok(true));
    assert_eq!(
        begins("mutex", "true", "0 invoke acquire nil\n0 ok acquire nil"),
        Ok(false)
    );
    assert_eq!(begins("stack", "[1,2]", "0 invoke pop nil\n0 ok pop 2"), Ok(true));
    assert_eq!(
        begins("set", "[1,2]", "0 invoke read nil\n0 ok read [2 1]"),
        Ok(true)
    );
    for (model, init) in [
        ("counter", "\"x\""),
        ("mutex", "3"),
        ("stack", "1"),
        ("fenced-lock", "[]"),
    ] {
        let error = begins(model, init, read).unwrap_err();
        assert!(
            matches!(&error, CheckError::Options(reason) if reason.contains("not ")),
            "{error}"
        );
    }
}

#[test]
fn operations_tell_their_model_or_the_choice_is_said() {
    let model = |lines: &str| check_log(&edn(lines), &CheckOptions::default()).map(|report| report.model);
    assert_eq!(model("0 invoke write 1\n0 ok write 1"), Ok("cas-register"));
    assert_eq!(model("0 invoke acquire nil\n0 ok acquire nil"), Ok("mutex"));
    assert_eq!(model("0 invoke push 1\n0 ok push 1"), Ok("stack"));
    assert_eq!(
        model("0 invoke add 1\n0 ok add 1\n0 invoke read nil\n0 ok read 1"),
        Ok("counter")
    );
    assert_eq!(
        model("0 invoke add 1\n0 ok add 1\n0 invoke read nil\n0 ok read #{1}"),
        Ok("set")
    );
    for ambiguous in ["0 invoke enqueue 1\n0 ok enqueue 1", "0 invoke add 1\n0 ok add 1"] {
        let error = model(ambiguous).unwrap_err().to_string();
        assert!(
            error.contains("name one of") && error.contains("fifo-queue"),
            "{error}"
        );
    }
}

#[test]
fn a_call_that_a_model_does_not_know_is_an_error_with_its_line() {
    let line = |model: &str, lines: &str| match check(model, &edn(lines)) {
        Err(CheckError::History(error)) => (error.line, error.reason),
        other => panic!("{other:?}"),
    };
    for model in registry().iter().map(|model| model.name) {
        let (at, reason) = line(model, "5 invoke frobnicate 1\n5 ok frobnicate 1");
        assert_eq!(at, 1, "{model}");
        assert!(reason.contains("frobnicate"), "{model}: {reason}");
    }
    let good = "0 invoke read nil\n0 ok read nil\n";
    for (model, bad) in [
        ("cas-register", "0 invoke write nil\n0 ok write nil"),
        ("cas-register", "0 invoke cas 3\n0 ok cas 3"),
        ("cas-register", "0 invoke cas [1 2 3]\n0 ok cas [1 2 3]"),
        ("counter", "0 invoke add \"x\"\n0 ok add \"x\""),
        ("counter", "0 invoke read nil\n0 ok read [1]"),
        ("set", "0 invoke read nil\n0 ok read 3"),
        ("set", "0 invoke contains 3\n0 ok contains 3"),
    ] {
        let (at, reason) = line(model, &format!("{good}{bad}"));
        assert_eq!(at, 3, "{model}: {reason}");
        assert!(reason.contains("not ") || reason.contains("null"), "{reason}");
    }
}

#[test]
fn an_unknown_model_is_told_with_those_that_are_known() {
    let error = check("regster", &edn("0 invoke read nil"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("regster") && error.contains("cas-register"),
        "{error}"
    );
}

#[test]
fn values_of_a_word_and_of_a_string_are_different() {
    assert_ne!(Value::word("x"), Value::text("x"));
    assert!(!is_valid(
        "cas-register",
        "0 invoke write \"x\"\n0 ok write \"x\"\n0 invoke read nil\n0 ok read :x"
    ));
}

#[test]
fn a_transaction_over_registers_takes_effect_as_one() {
    let store = "
        0 invoke txn [[:w x 1] [:w y 1]]
        0 ok txn [[:w x 1] [:w y 1]]
        0 invoke txn [[:w x 2] [:r y nil]]
        1 invoke txn [[:r x nil] [:r y nil]]
        0 ok txn [[:w x 2] [:r y 1]]
        1 ok txn [[:r x 1] [:r y 1]]
        2 invoke txn [[:w x 3] [:w y 3]]
        2 info txn nil
        1 invoke txn [[:r x nil] [:r y nil] [:w x 4] [:r x nil]]
        1 ok txn [[:r x 3] [:r y 3] [:w x 4] [:r x 4]]
        1 invoke txn [[:r x nil]]
        1 ok txn [[:r x nil]]";
    assert!(is_valid(
        "multi-register",
        &store.replace("[:r x 1] [:r y 1]", "[:r x 2] [:r y 1]")
    ));
    differs("multi-register", store, "[:r x 3] [:r y 3]", "[:r x 3] [:r y 1]");
    differs("multi-register", store, "[:r x 3] [:r y 3]", "[:r x 1] [:r y 1]");
    differs("multi-register", store, "[:w x 4] [:r x 4]", "[:w x 4] [:r x 3]");
    differs("multi-register", store, "2 info", "2 fail");
    // One of nil says nothing in Jepsen's histories.
    differs(
        "multi-register",
        store,
        "ok txn [[:r x nil]]",
        "ok txn [[:r x 3]]",
    );
}

#[test]
fn what_is_transferred_in_a_bank_neither_comes_nor_goes() {
    let bank = "
        0 invoke transfer {:from a, :to b, :amount 5}
        1 invoke read nil
        0 ok transfer {:from a, :to b, :amount 5}
        1 ok read {a 5, b 15}
        2 invoke transfer {:from b, :to a, :amount 3}
        2 info transfer nil
        1 invoke read nil
        1 ok read {a 5, b 15}
        1 invoke read nil
        1 ok read {b 12, a 8, c 0}
        0 invoke transfer {:from b, :to c, :amount 1}
        0 ok transfer nil
        1 invoke read nil
        1 ok read {a 8, b 11, c 1}";
    assert!(is_valid("bank", &bank.replacen("{a 5, b 15}", "{a 10, b 10}", 1)));
    // The first read tells what the accounts hold, but not that one began in debt.
    differs(
        "bank",
        bank,
        "1 ok read {a 5, b 15}\n        2",
        "1 ok read {a 15, b 15}\n        2",
    );
    differs("bank", bank, "{b 12, a 8, c 0}", "{b 12, a 5, c 0}");
    differs("bank", bank, "{a 8, b 11, c 1}", "{a 8, b 12}");
    differs("bank", bank, "0 ok transfer nil", "0 ok transfer false");
    let debt = "
        0 invoke transfer {:from a, :to b, :amount 5}
        0 ok transfer nil
        0 invoke read nil
        0 ok read {b 5}";
    differs("bank", debt, "{b 5}", "{b 4}");
    differs("bank", debt, "{b 5}", "{b 5, a -1}");
}
