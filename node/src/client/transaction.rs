//! Transactions as people write them: see `node help transactions`.

use bytes::Bytes;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use wire::record::{Condition, End, Operation, Transaction};

/// What `--if`, `--then` and `--else` come to.
///
/// # Errors
/// One of them makes no sense; in words.
pub(super) fn parse(
    conditions: &[OsString],
    then: &[OsString],
    otherwise: &[OsString],
) -> Result<Transaction, String> {
    if then.is_empty() && otherwise.is_empty() {
        return Err("txn takes something to do: --then OPERATION, or --else OPERATION".to_string());
    }
    let each = |flag, texts: &[OsString]| -> Result<Vec<Operation>, String> {
        texts.iter().map(|text| operation(flag, text)).collect()
    };
    Ok(Transaction {
        conditions: conditions.iter().map(condition).collect::<Result<_, _>>()?,
        then: each("--then", then)?,
        otherwise: each("--else", otherwise)?,
    })
}

/// The words of a flag's value, quoted as in a shell.
fn words(flag: &str, text: &OsString) -> Result<Vec<Bytes>, String> {
    let words = shlex::bytes::split(text.as_bytes());
    let words = words.ok_or_else(|| format!("{flag} {text:?}: a quote is not closed"))?;
    Ok(words.into_iter().map(Bytes::from).collect())
}

fn condition(text: &OsString) -> Result<Condition, String> {
    let words = words("--if", text)?;
    let (key, value) = match &words[..] {
        [_, key] => (key.clone(), None),
        [_, key, value] => (key.clone(), Some(value.clone())),
        _ => (Bytes::new(), None),
    };
    let name: Option<&[u8]> = words.first().map(|word| &word[..]);
    match (name, words.len()) {
        (Some(b"holds"), 3) => Ok(Condition::Holds { key, value }),
        (Some(b"differs"), 3) => Ok(Condition::HoldsNot { key, value }),
        (Some(b"absent"), 2) => Ok(Condition::Holds { key, value: None }),
        (Some(b"present"), 2) => Ok(Condition::HoldsNot { key, value: None }),
        _ => Err(format!(
            "--if {text:?} is no condition; there are: holds KEY VALUE, differs KEY VALUE, absent KEY, present KEY"
        )),
    }
}

fn operation(flag: &str, text: &OsString) -> Result<Operation, String> {
    let words = words(flag, text)?;
    let arguments = words.get(1..).unwrap_or_default();
    let key = arguments.first().cloned().unwrap_or_default();
    let argument = arguments.get(1).cloned().unwrap_or_default();
    let name: Option<&[u8]> = words.first().map(|word| &word[..]);
    let (front, back) = (End::Front, End::Back);
    Ok(match (name, arguments.len()) {
        (Some(b"get"), 1) => Operation::Get { key },
        (Some(b"put"), 2) => Operation::Put { key, value: argument },
        (Some(b"delete"), 1) => Operation::Delete { key },
        (Some(b"append"), 2) => Operation::Append {
            key,
            suffix: argument,
        },
        (Some(b"incr"), 2) => {
            let amount = std::str::from_utf8(&argument)
                .ok()
                .and_then(|text| text.parse().ok());
            let amount = amount
                .ok_or_else(|| format!("{flag} {text:?}: the amount must be a whole number of 64 bits"))?;
            Operation::Add { key, amount }
        }
        (Some(b"push"), 2) => Operation::Push {
            key,
            item: argument,
            end: back,
        },
        (Some(b"push-front"), 2) => Operation::Push {
            key,
            item: argument,
            end: front,
        },
        (Some(b"pop"), 1) => Operation::Pop { key, end: front },
        (Some(b"pop-back"), 1) => Operation::Pop { key, end: back },
        _ => {
            return Err(format!(
                "{flag} {text:?} is no operation; there are: get KEY, put KEY VALUE, delete KEY, append KEY SUFFIX, \
                 incr KEY AMOUNT, push KEY ITEM, push-front KEY ITEM, pop KEY, pop-back KEY"
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(conditions: &[&str], then: &[&str], otherwise: &[&str]) -> Result<Transaction, String> {
        let texts = |texts: &[&str]| -> Vec<OsString> { texts.iter().map(OsString::from).collect() };
        parse(&texts(conditions), &texts(then), &texts(otherwise))
    }

    fn b(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    #[test]
    fn each_condition_and_operation_is_what_it_says() {
        let transaction = parsed(
            &["holds a 'x y'", "differs a z", "absent b", "present c"],
            &["get a", "put a ''", "delete b", "append c \"d e\"", "incr n -5"],
            &["push l 1", "push-front l 2", "pop l", "pop-back l"],
        )
        .unwrap();
        let value = |text: &str| Some(b(text));
        assert_eq!(
            transaction.conditions,
            [
                Condition::Holds {
                    key: b("a"),
                    value: value("x y")
                },
                Condition::HoldsNot {
                    key: b("a"),
                    value: value("z")
                },
                Condition::Holds {
                    key: b("b"),
                    value: None
                },
                Condition::HoldsNot {
                    key: b("c"),
                    value: None
                },
            ]
        );
        assert_eq!(
            transaction.then,
            [
                Operation::Get { key: b("a") },
                Operation::Put {
                    key: b("a"),
                    value: b("")
                },
                Operation::Delete { key: b("b") },
                Operation::Append {
                    key: b("c"),
                    suffix: b("d e")
                },
                Operation::Add {
                    key: b("n"),
                    amount: -5
                },
            ]
        );
        assert_eq!(
            transaction.otherwise,
            [
                Operation::Push {
                    key: b("l"),
                    item: b("1"),
                    end: End::Back
                },
                Operation::Push {
                    key: b("l"),
                    item: b("2"),
                    end: End::Front
                },
                Operation::Pop {
                    key: b("l"),
                    end: End::Front
                },
                Operation::Pop {
                    key: b("l"),
                    end: End::Back
                },
            ]
        );
    }

    #[test]
    fn what_makes_no_sense_is_named_in_one_line() {
        let cases: [(&[&str], &[&str], &str); 8] = [
            (&[], &[], "something to do"),
            (&["holds a"], &["get a"], "is no condition"),
            (&["absent a b"], &["get a"], "is no condition"),
            (&[""], &["get a"], "is no condition"),
            (&[], &["put a"], "is no operation"),
            (&[], &["get a b"], "is no operation"),
            (&[], &["put a 'b"], "a quote is not closed"),
            (&[], &["incr a much"], "a whole number of 64 bits"),
        ];
        for (conditions, then, part) in cases {
            let error = parsed(conditions, then, &[]).unwrap_err();
            assert!(error.contains(part), "{error:?} does not say {part:?}");
            assert_eq!(error.lines().count(), 1, "{error:?}");
        }
    }
}
