use super::*;

/// What is sent for an operation that is one command or one script.
fn sent(op: &Op) -> Vec<String> {
    match Request::of(op) {
        Ok(Request::Command(words)) => words,
        other => panic!("{op:?}: {other:?}"),
    }
}

#[test]
fn operations_are_commands() {
    let commands = [
        (Op::Read { key: 7 }, "GET 7"),
        (Op::Write { key: 7, value: 5 }, "SET 7 5"),
        (Op::Add { key: 7, amount: -3 }, "INCRBY 7 -3"),
        (Op::Count { key: 7 }, "GET 7"),
        (Op::Generate { key: 0 }, "INCRBY 0 1"),
        (Op::Insert { key: 7, element: 5 }, "SADD 7 5"),
        (Op::Elements { key: 7 }, "SMEMBERS 7"),
        (Op::Enqueue { key: 7, value: 5 }, "RPUSH 7 5"),
        (Op::Dequeue { key: 7 }, "LPOP 7"),
        (Op::Balances { key: 7 }, "HMGET 7 0 1 2 3 4"),
    ];
    for (op, command) in commands {
        assert_eq!(sent(&op).join(" "), command);
    }
    let transfer = Op::Transfer {
        key: 7,
        from: 3,
        to: 0,
        amount: 5,
    };
    assert_eq!(
        sent(&transfer)[2..],
        ["1", "7", "3", "-5", "0", "5", "5", "1000"].map(String::from)
    );
    assert_eq!(
        sent(&Op::Acquire { key: 7, owner: 9 })[2..],
        ["2", "7", "7.token", "9"].map(String::from)
    );
    let steps = vec![
        Step::ReadList { cell: 2, found: None },
        Step::Append { cell: 1, value: 3 },
    ];
    let expected = ["LRANGE 0.2 0 -1", "RPUSH 0.1 3"].map(|command| {
        let words = command.split(' ').map(str::to_owned);
        words.collect::<Vec<String>>()
    });
    assert_eq!(
        Request::of(&Op::Transaction { key: 0, steps }),
        Ok(Request::Transaction(expected.to_vec()))
    );
}

#[test]
fn replies_are_what_was_found() {
    let text = |text: &'static str| Reply::Value(Some(text.as_bytes()));
    let returned = |op: Op, reply: Reply<'_>| returned(&op, &reply).unwrap();
    assert_eq!(
        returned(Op::Dequeue { key: 1 }, Reply::Value(None)),
        Ret::Value(None)
    );
    assert_eq!(returned(Op::Count { key: 1 }, text("-4")), Ret::Count(-4));
    assert_eq!(returned(Op::Count { key: 1 }, Reply::Value(None)), Ret::Count(0));
    assert_eq!(
        returned(Op::Elements { key: 1 }, Reply::Items(vec![text("3"), text("1")])),
        Ret::Elements(vec![3, 1])
    );
    assert_eq!(
        returned(Op::Text { key: 1 }, Reply::Value(None)),
        Ret::Text(String::new())
    );
    assert_eq!(returned(Op::Generate { key: 1 }, Reply::Number(4)), Ret::Id(4));
    let acquire = Op::Acquire { key: 1, owner: 2 };
    assert_eq!(returned(acquire.clone(), Reply::Number(4)), Ret::Token(Some(4)));
    assert_eq!(returned(acquire, Reply::Number(0)), Ret::Token(None));
    let accounts = [Reply::Value(None), text("1"), text("2"), text("3"), text("-4")];
    assert_eq!(
        returned(Op::Balances { key: 1 }, Reply::Items(accounts.to_vec())),
        Ret::Balances(vec![1000, 1, 2, 3, -4])
    );
}

#[test]
fn a_transaction_of_which_one_command_went_wrong_is_in_doubt() {
    let read = |found| Step::Read { cell: 1, found };
    let write = Step::Write { cell: 2, value: 3 };
    let op = Op::Transaction {
        key: 0,
        steps: vec![read(None), write.clone()],
    };
    let items = |second| Reply::Items(vec![Reply::Value(Some(b"4")), second]);
    assert_eq!(
        returned(&op, &items(Reply::Status(b"OK"))),
        Ok(Ret::Steps(vec![read(Some(4)), write]))
    );
    for reply in [
        items(Reply::Error(b"WRONGTYPE")),
        items(Reply::Number(1)),
        Reply::Items(Vec::new()),
        Reply::Number(1),
    ] {
        let answer = returned(&op, &reply);
        assert!(matches!(answer, Err(Refusal::Indefinite(_))), "{answer:?}");
    }
    assert!(matches!(
        returned(&op, &Reply::Error(b"EXECABORT")),
        Err(Refusal::Definite(_))
    ));
}

#[test]
fn a_refusal_is_definite_and_that_of_a_replica_names_the_primary() {
    let readonly = b"READONLY You can't write against a read only replica. script: x, on @user_script:1.";
    assert!(matches!(
        refused(readonly),
        Refusal::Elsewhere { node: PRIMARY, .. }
    ));
    assert!(matches!(refused(b"LOADING it is"), Refusal::Definite(_)));
    let write = Op::Write { key: 1, value: 2 };
    assert!(matches!(
        returned(&write, &Reply::Number(1)),
        Err(Refusal::Indefinite(_))
    ));
}
