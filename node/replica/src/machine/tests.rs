//! What commands come to.

use super::*;
use alloc::vec;
use proptest::prelude::*;
use wire::limits::{OPERATIONS_MAX, VALUE_BYTES_MAX};
use wire::record::{End, Operation};

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn put(key: &'static str, value: &'static str) -> Command {
    Command::Put {
        key: bytes(key),
        value: bytes(value),
    }
}

fn cas(expected: Option<&'static str>, value: &'static str) -> Command {
    Command::Cas {
        key: bytes("k"),
        expected: expected.map(bytes),
        value: bytes(value),
    }
}

#[test]
fn a_cas_writes_only_where_the_expected_value_stands() {
    let mut machine = StateMachine::default();
    assert_eq!(machine.apply(cas(Some("a"), "b")), Ok(Answer::Swapped(false)));
    assert_eq!(machine.get(b"k"), None);
    assert_eq!(machine.apply(cas(None, "a")), Ok(Answer::Swapped(true)));
    assert_eq!(machine.apply(cas(None, "c")), Ok(Answer::Swapped(false)));
    assert_eq!(machine.apply(cas(Some("a"), "b")), Ok(Answer::Swapped(true)));
    assert_eq!(machine.get(b"k"), Some(bytes("b")));
}

#[test]
fn a_delete_says_whether_there_was_anything() {
    let mut machine = StateMachine::default();
    machine.apply(put("k", "a")).unwrap();
    assert_eq!(
        machine.apply(Command::Delete { key: bytes("k") }),
        Ok(Answer::Deleted(true))
    );
    assert_eq!(
        machine.apply(Command::Delete { key: bytes("k") }),
        Ok(Answer::Deleted(false))
    );
    assert_eq!(machine, StateMachine::default());
}

#[test]
fn the_hash_tells_states_apart_and_not_the_ways_to_them() {
    let mut one = StateMachine::default();
    one.apply(put("a", "1")).unwrap();
    one.apply(put("b", "2")).unwrap();
    let mut other = StateMachine::default();
    other.apply(put("b", "3")).unwrap();
    other.apply(put("a", "1")).unwrap();
    assert_ne!(one.state_hash(), other.state_hash());
    other.apply(put("b", "2")).unwrap();
    assert_eq!(one.state_hash(), other.state_hash());
}

fn get(key: &'static str) -> Operation {
    Operation::Get { key: bytes(key) }
}

fn add(key: &'static str, amount: i64) -> Operation {
    Operation::Add {
        key: bytes(key),
        amount,
    }
}

fn append(key: &'static str, suffix: Vec<u8>) -> Operation {
    Operation::Append {
        key: bytes(key),
        suffix: Bytes::from(suffix),
    }
}

fn push(key: &'static str, item: &'static str, end: End) -> Operation {
    Operation::Push {
        key: bytes(key),
        item: bytes(item),
        end,
    }
}

fn pop(key: &'static str, end: End) -> Operation {
    Operation::Pop { key: bytes(key), end }
}

fn done(machine: &mut StateMachine, operation: Operation) -> Result<Answer, Unfit> {
    machine.apply(Command::Operation(operation))
}

#[test]
fn bytes_are_appended_up_to_the_limit_of_a_value() {
    let mut machine = StateMachine::default();
    assert_eq!(
        done(&mut machine, append("k", b"ab".to_vec())),
        Ok(Answer::Length(2))
    );
    assert_eq!(
        done(&mut machine, append("k", b"c".to_vec())),
        Ok(Answer::Length(3))
    );
    assert_eq!(machine.get(b"k"), Some(bytes("abc")));
    let rest = VALUE_BYTES_MAX - 3;
    let before = machine.clone();
    let too_much = append("k", vec![0; rest + 1]);
    assert_eq!(done(&mut machine, too_much), Err(Unfit::ValueTooLong));
    assert_eq!(machine, before);
    let longest = Ok(Answer::Length(VALUE_BYTES_MAX as u64));
    assert_eq!(done(&mut machine, append("k", vec![0; rest])), longest);
}

#[test]
fn numbers_are_decimal_and_of_64_bits() {
    let mut machine = StateMachine::default();
    assert_eq!(done(&mut machine, add("k", -5)), Ok(Answer::Sum(-5)));
    assert_eq!(machine.get(b"k"), Some(bytes("-5")));
    assert_eq!(done(&mut machine, add("k", 12)), Ok(Answer::Sum(7)));
    assert_eq!(done(&mut machine, add("k", i64::MAX)), Err(Unfit::Overflow));
    for text in ["", "+1", "1 ", "0x1", "9223372036854775808"] {
        machine.apply(put("t", text)).unwrap();
        assert_eq!(done(&mut machine, add("t", 1)), Err(Unfit::NotNumber), "{text:?}");
        assert_eq!(machine.get(b"t"), Some(bytes(text)));
    }
    assert_eq!(machine.get(b"k"), Some(bytes("7")));
}

#[test]
fn items_are_pushed_and_popped_at_both_ends() {
    let mut machine = StateMachine::default();
    for (item, end) in [("b", End::Back), ("c", End::Back), ("a", End::Front)] {
        assert_eq!(done(&mut machine, push("k", item, end)), Ok(Answer::Written));
    }
    let items = wire::list::items(&machine.get(b"k").unwrap()).unwrap();
    assert_eq!(items, [bytes("a"), bytes("b"), bytes("c")]);
    for (end, item) in [(End::Back, "c"), (End::Front, "a"), (End::Front, "b")] {
        let expected = Ok(Answer::Value(Some(bytes(item))));
        assert_eq!(done(&mut machine, pop("k", end)), expected);
    }
    assert_eq!(machine, StateMachine::default());
    assert_eq!(done(&mut machine, pop("k", End::Back)), Ok(Answer::Value(None)));
}

#[test]
fn a_value_that_is_no_list_stays_as_it_is() {
    for end in [End::Front, End::Back] {
        let mut machine = StateMachine::default();
        machine.apply(put("k", "text")).unwrap();
        let before = machine.clone();
        assert_eq!(done(&mut machine, pop("k", end)), Err(Unfit::NotList));
        assert_eq!(done(&mut machine, push("k", "a", end)), Err(Unfit::NotList));
        assert_eq!(machine, before);
    }
}

#[test]
fn nothing_is_appended_to_a_list_by_itself_or_in_a_transaction() {
    let mut machine = StateMachine::default();
    done(&mut machine, push("k", "item", End::Back)).unwrap();
    let before = machine.clone();
    let refused = done(&mut machine, append("k", b"x".to_vec()));
    assert_eq!(refused, Err(Unfit::IsList));
    // It has become a list within the transaction, and what comes before is undone.
    let pushed = vec![add("n", 1), push("new", "item", End::Back), append("new", vec![])];
    let refused = machine.apply(transaction(vec![], pushed, vec![]));
    assert_eq!(refused, Err(Unfit::IsList));
    assert_eq!(machine, before);
    assert_eq!(machine.state_hash(), before.state_hash());
    // A key whose list was emptied has no value.
    let emptied = vec![pop("k", End::Front), append("k", b"text".to_vec())];
    assert!(machine.apply(transaction(vec![], emptied, vec![])).is_ok());
    assert_eq!(machine.get(b"k"), Some(bytes("text")));
}

fn transaction(conditions: Vec<Condition>, then: Vec<Operation>, otherwise: Vec<Operation>) -> Command {
    Command::Transaction(Transaction {
        conditions,
        then,
        otherwise,
    })
}

#[test]
fn a_transaction_takes_the_branch_that_its_conditions_name() {
    let holds = |key, value: Option<&'static str>| Condition::Holds {
        key: bytes(key),
        value: value.map(bytes),
    };
    let holds_not = |key, value: Option<&'static str>| Condition::HoldsNot {
        key: bytes(key),
        value: value.map(bytes),
    };
    let cases = [
        (vec![], true),
        (vec![holds("a", Some("1")), holds("b", None)], true),
        (vec![holds("a", Some("1")), holds("b", Some("1"))], false),
        (vec![holds_not("a", None), holds_not("a", Some("2"))], true),
        (vec![holds_not("a", Some("1"))], false),
        (vec![holds_not("b", None)], false),
    ];
    for (conditions, expected) in cases {
        let mut machine = StateMachine::default();
        machine.apply(put("a", "1")).unwrap();
        let command = transaction(conditions.clone(), vec![add("n", 1)], vec![add("n", -1)]);
        let answers = vec![OperationAnswer::Sum(if expected { 1 } else { -1 })];
        let answer = Ok(Answer::Transaction {
            held: expected,
            answers,
        });
        assert_eq!(machine.apply(command), answer, "{conditions:?}");
    }
}

#[test]
fn the_operations_of_a_transaction_see_each_other_and_take_effect_together_or_not_at_all() {
    let mut machine = StateMachine::default();
    machine.apply(put("text", "x")).unwrap();
    let delete = Operation::Delete { key: bytes("n") };
    let all = vec![add("n", 1), add("n", 2), get("n"), delete, get("n"), add("m", 7)];
    let answers = vec![
        OperationAnswer::Sum(1),
        OperationAnswer::Sum(3),
        OperationAnswer::Value(Some(bytes("3"))),
        OperationAnswer::Deleted(true),
        OperationAnswer::Value(None),
        OperationAnswer::Sum(7),
    ];
    let held = true;
    assert_eq!(
        machine.apply(transaction(vec![], all, vec![])),
        Ok(Answer::Transaction { held, answers })
    );
    assert_eq!((machine.get(b"n"), machine.get(b"m")), (None, Some(bytes("7"))));
    let before = machine.clone();
    let unfit = vec![add("m", 1), add("text", 1)];
    assert_eq!(
        machine.apply(transaction(vec![], unfit, vec![])),
        Err(Unfit::NotNumber)
    );
    assert_eq!(machine, before);
}

#[test]
fn what_a_transaction_reads_fits_into_an_answer() {
    let mut machine = StateMachine::default();
    done(&mut machine, append("k", vec![0; VALUE_BYTES_MAX])).unwrap();
    let reads = |count| transaction(vec![], vec![get("k"); count], vec![]);
    let most = TRANSACTION_ANSWER_BYTES_MAX / VALUE_BYTES_MAX;
    assert!(machine.apply(reads(most)).is_ok());
    assert_eq!(machine.apply(reads(most + 1)), Err(Unfit::AnswerTooLong));
}

/// A list as long as values may be, of items without bytes.
fn with_longest_list() -> StateMachine {
    let mut machine = StateMachine::default();
    let put = Command::Put {
        key: bytes("k"),
        value: Bytes::from(vec![0; VALUE_BYTES_MAX]),
    };
    machine.apply(put).unwrap();
    machine
}

fn invoke(machine: &mut StateMachine, command: Command, work: &mut u64) -> Result<Answer, Rejection> {
    machine.invoke_counted(Index(1), Invocation::Plain(command), work)
}

#[test]
fn a_transaction_of_pops_walks_a_list_once_and_does_what_as_many_pops_do() {
    for ends in [[End::Back; 2], [End::Front; 2], [End::Back, End::Front]] {
        let pops: Vec<Operation> = (0..OPERATIONS_MAX)
            .map(|place| pop("k", ends[place % 2]))
            .collect();
        let mut single = with_longest_list();
        let (mut together, before) = (single.clone(), single.bytes());
        let mut work = 0;
        let mut answers = Vec::new();
        for pop in &pops {
            let answer = invoke(&mut single, Command::Operation(pop.clone()), &mut work).unwrap();
            assert_eq!(answer, Answer::Value(Some(Bytes::new())));
            answers.push(OperationAnswer::Value(Some(Bytes::new())));
        }
        assert!(work > 2 * (OPERATIONS_MAX - 1) as u64 * (before - 4 * OPERATIONS_MAX as u64));
        let mut work = 0;
        let answer = invoke(&mut together, transaction(vec![], pops, vec![]), &mut work);
        let held = true;
        assert_eq!(answer, Ok(Answer::Transaction { held, answers }));
        assert_eq!(together, single);
        assert_eq!(together.state_hash(), single.state_hash());
        // It was read, and written.
        assert!(work <= 2 * before, "{work}");
    }
}

#[test]
fn what_touches_little_is_little_work() {
    let mut machine = with_longest_list();
    let text = b"text".to_vec();
    for operation in [
        add("n", 7),
        append("t", text),
        push("l", "item", End::Back),
        pop("l", End::Front),
    ] {
        let mut work = 0;
        invoke(&mut machine, Command::Operation(operation), &mut work).unwrap();
        assert!(work < 64, "{work}");
    }
    let mut work = 0;
    invoke(&mut machine, put("k", "x"), &mut work).unwrap();
    assert_eq!(work, 0, "the command has it itself");
}

#[test]
fn what_is_left_of_a_list_and_what_was_taken_keep_none_of_the_whole() {
    let mut machine = StateMachine::default();
    for item in ["first", "second", "third"] {
        done(&mut machine, push("k", item, End::Back)).unwrap();
    }
    let whole = machine.get(b"k").unwrap();
    let operations = vec![pop("k", End::Front), get("k"), pop("k", End::Back), get("k")];
    let Ok(Answer::Transaction { answers, .. }) = machine.apply(transaction(vec![], operations, vec![]))
    else {
        panic!("it fits");
    };
    let left = machine.get(b"k").unwrap();
    let answered = answers.iter().filter_map(|answer| match answer {
        OperationAnswer::Value(value) => value.as_ref(),
        OperationAnswer::Written
        | OperationAnswer::Deleted(_)
        | OperationAnswer::Length(_)
        | OperationAnswer::Sum(_) => None,
    });
    let memory = whole.as_ptr_range();
    let kept: Vec<&Bytes> = answered.chain([&left]).collect();
    assert_eq!(kept.len(), 5);
    for value in kept {
        assert!(!memory.contains(&value.as_ptr()), "{value:?}");
    }
}

fn operation() -> impl Strategy<Value = Operation> {
    let key = || prop_oneof![3 => Just(bytes("k")), 1 => Just(bytes("l"))];
    let end = || prop_oneof![Just(End::Front), Just(End::Back)];
    let item = || proptest::collection::vec(0..3_u8, 0..3).prop_map(Bytes::from);
    // What may be a list, and may not.
    let value =
        proptest::collection::vec(prop_oneof![9 => Just(0), 1 => 0..3_u8], 0..40).prop_map(Bytes::from);
    prop_oneof![
        6 => (key(), end()).prop_map(|(key, end)| Operation::Pop { key, end }),
        6 => (key(), item(), end()).prop_map(|(key, item, end)| Operation::Push { key, item, end }),
        2 => key().prop_map(|key| Operation::Get { key }),
        1 => (key(), value).prop_map(|(key, value)| Operation::Put { key, value }),
        1 => key().prop_map(|key| Operation::Delete { key }),
        1 => (key(), item()).prop_map(|(key, suffix)| Operation::Append { key, suffix }),
        1 => (key(), -3..3_i64).prop_map(|(key, amount)| Operation::Add { key, amount }),
    ]
}

proptest! {
    #[test]
    fn a_transaction_does_what_its_operations_do_one_by_one_or_nothing(
        before in proptest::collection::vec(operation(), 0..20),
        operations in proptest::collection::vec(operation(), 0..20),
    ) {
        let mut single = StateMachine::default();
        for operation in before {
            let _ = done(&mut single, operation);
        }
        let mut together = single.clone();
        let untouched = single.clone();
        let one_by_one: Result<Vec<Answer>, Unfit> =
            operations.iter().map(|operation| done(&mut single, operation.clone())).collect();
        let answer = together.apply(transaction(vec![], operations, vec![]));
        match (one_by_one, answer) {
            (Ok(expected), Ok(Answer::Transaction { answers, .. })) => {
                let answers: Vec<Answer> = answers.into_iter().map(Answer::from).collect();
                prop_assert_eq!(answers, expected);
                prop_assert_eq!(&together, &single);
                prop_assert_eq!(together.state_hash(), single.state_hash());
            }
            (Err(expected), Err(unfit)) => {
                prop_assert_eq!(unfit, expected);
                prop_assert_eq!(together, untouched);
            }
            (expected, answer) => prop_assert!(false, "{expected:?}, but {answer:?}"),
        }
    }
}
