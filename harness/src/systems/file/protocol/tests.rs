use super::*;
use crate::systems::EXAMPLE;

/// The lines of the example that explain a question, as pairs of what is asked and what is answered.
fn explained(op: &str) -> Vec<(Value, Value)> {
    let asked = format!("{{\"op\":\"{op}\"");
    let lines = EXAMPLE.lines().filter_map(|line| {
        let from = line.find(&asked)?;
        let mut values = serde_json::Deserializer::from_str(&line[from..]).into_iter::<Value>();
        Some((values.next()?.ok()?, values.next()?.ok()?))
    });
    lines.collect()
}

fn line(answer: &Value) -> Line {
    serde_json::from_value(answer.clone()).unwrap()
}

#[test]
fn questions_and_answers_are_those_of_the_example() {
    let pairs = [
        (Op::Read { key: 7 }, Ret::Value(Some(5))),
        (Op::Write { key: 7, value: 5 }, Ret::Written),
        (
            Op::Cas {
                key: 7,
                expected: Some(5),
                new: 6,
            },
            Ret::Swapped(true),
        ),
        (Op::Add { key: 7, amount: -3 }, Ret::Written),
        (Op::Count { key: 7 }, Ret::Count(12)),
        (Op::Insert { key: 7, element: 5 }, Ret::Written),
        (Op::Elements { key: 7 }, Ret::Elements(vec![5, 6])),
        (Op::Enqueue { key: 7, value: 5 }, Ret::Written),
        (Op::Dequeue { key: 7 }, Ret::Value(Some(5))),
        (
            Op::AppendOnce {
                key: 7,
                piece: 5,
                is_doubled: false,
            },
            Ret::Written,
        ),
        (Op::Text { key: 7 }, Ret::Text(String::from("5 6 "))),
        (
            Op::Transfer {
                key: 7,
                from: 0,
                to: 3,
                amount: 4,
            },
            Ret::Written,
        ),
        (
            Op::Balances { key: 7 },
            Ret::Balances(vec![996, 1000, 1000, 1004, 1000]),
        ),
        (Op::Generate { key: 0 }, Ret::Id(5)),
        (Op::Acquire { key: 7, owner: 3 }, Ret::Token(Some(9))),
        (Op::Release { key: 7, owner: 3 }, Ret::Released(true)),
    ];
    for (op, ret) in pairs {
        let question = serde_json::to_value(Question::from(&op)).unwrap();
        let name = question["op"].as_str().unwrap();
        let [(asked, answer)] = &explained(name)[..] else {
            panic!("{name} is not explained once");
        };
        assert_eq!(*asked, question);
        assert_eq!(returned(&op, line(answer)), Ok(ret), "{name}");
    }
}

#[test]
fn the_steps_of_a_transaction_are_those_of_the_example() {
    let steps = vec![
        Step::Read { cell: 1, found: None },
        Step::Write { cell: 1, value: 5 },
        Step::ReadList { cell: 1, found: None },
        Step::Append { cell: 1, value: 5 },
    ];
    for step in &steps {
        let question = serde_json::to_string(&AskedStep::from(step)).unwrap();
        assert!(EXAMPLE.contains(&format!("{question} ")), "{question}");
    }
    let op = Op::Transaction { key: 0, steps };
    let question = serde_json::to_value(Question::from(&op)).unwrap();
    assert_eq!(
        (&question["op"], &question["key"]),
        (&"transaction".into(), &0.into())
    );
    assert!(EXAMPLE.contains(r#"{"op":"transaction","key":0,"steps":[…]}"#));
    let answer = serde_json::json!({ "type": "ok", "found": [null, null, [5, 6], null] });
    let Ok(Ret::Steps(taken)) = returned(&op, line(&answer)) else {
        panic!("it is an answer");
    };
    assert_eq!(taken[0], Step::Read { cell: 1, found: None });
    assert_eq!(
        taken[2],
        Step::ReadList {
            cell: 1,
            found: Some(vec![5, 6])
        }
    );
    for wrong in [
        "[null, null, [5]]",
        "[null, null, 5, null]",
        "[null, 1, [5], null]",
    ] {
        let found: Value = serde_json::from_str(wrong).unwrap();
        let answer = returned(&op, line(&serde_json::json!({ "type": "ok", "found": found })));
        assert!(
            matches!(answer, Err(Refusal::Indefinite(_))),
            "{wrong}: {answer:?}"
        );
    }
}

#[test]
fn what_no_client_wrote_can_be_recorded_and_what_is_missing_is_no_answer() {
    let answer = |op: &Op, text: &str| returned(op, serde_json::from_str(text).unwrap());
    let read = Op::Read { key: 1 };
    for strange in ["18446744073709551615", "-1", "1.5"] {
        let found = answer(&read, &format!(r#"{{"type":"ok","value":{strange}}}"#));
        assert_eq!(found, Ok(Ret::Value(Some(UNREADABLE))), "{strange}");
    }
    assert_eq!(
        answer(&read, r#"{"type":"ok","value":null}"#),
        Ok(Ret::Value(None))
    );
    assert_eq!(
        answer(&Op::Acquire { key: 1, owner: 1 }, r#"{"type":"ok","token":null}"#),
        Ok(Ret::Token(None))
    );
    for op in [
        read,
        Op::Count { key: 1 },
        Op::Elements { key: 1 },
        Op::Acquire { key: 1, owner: 1 },
        Op::Release { key: 1, owner: 1 },
        Op::Balances { key: 1 },
    ] {
        let nothing = answer(&op, r#"{"type":"ok"}"#);
        assert!(
            matches!(nothing, Err(Refusal::Indefinite(_))),
            "{op:?}: {nothing:?}"
        );
    }
    let short = answer(&Op::Balances { key: 1 }, r#"{"type":"ok","values":[1]}"#);
    assert!(matches!(short, Err(Refusal::Indefinite(_))));
}

#[test]
fn who_leads_is_told_with_the_term_or_that_nobody_is_known_to() {
    let leader = |text: &str| {
        let Line::Ok(found) = serde_json::from_str(text).unwrap() else {
            panic!("{text} is no answer");
        };
        found.leader()
    };
    let [(asked, answer)] = &explained("leader")[..] else {
        panic!("it is explained once");
    };
    assert_eq!(*asked, serde_json::to_value(Question::Leader).unwrap());
    assert_eq!(leader(&answer.to_string()), Some((Some(2), 5)));
    assert_eq!(leader(r#"{"type":"ok","leader":null,"term":5}"#), Some((None, 5)));
    assert_eq!(leader(r#"{"type":"ok","leader":2}"#), None);
    assert_eq!(leader(r#"{"type":"ok"}"#), None);
}
