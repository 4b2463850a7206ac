//! What commands come to.

use super::*;
use alloc::vec;
use wire::limits::VALUE_BYTES_MAX;
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
