//! What workloads ask for, as users of redis do it: one command, a script, or a transaction (`MULTI`).
//!
//! A script that only writes under a condition begins with a write that changes nothing, so that a replica refuses it, whatever it holds.
//! All scripts fail before they write anything, or not at all.
//!
//! | workload | how |
//! |---|---|
//! | register | `GET`, `SET`; a compare-and-set is a script |
//! | counter, unique-ids | `INCRBY`, `GET` |
//! | set | `SADD`, `SMEMBERS` |
//! | queue | `RPUSH`, `LPOP` |
//! | append, multi-register | `RPUSH` and `LRANGE`, `SET` and `GET`, in `MULTI` and `EXEC` |
//! | bank | a hash; a script opens it if nobody has, and transfers; `HMGET` |
//! | lock | scripts: a number is added to for the token, which is kept apart from the owner |
//! | session | a script that keeps the set of what was appended, and appends what is not in it; `GET` |

use crate::client::{MISANSWERED, count, number};
use crate::systems::resp::Reply;
use crate::systems::{MIXED, Refusal};
use workloads::{ACCOUNTS, FIRST_BALANCE, Op, Ret, Step, piece};

/// The node that takes writes.
pub(super) const PRIMARY: crate::node_number::NodeNumber = 1;

/// A compare-and-set. An empty text stands for a register that was never written.
const CAS: &str = "redis.call('DEL', '') \
    if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end \
    redis.call('SET', KEYS[1], ARGV[2]) \
    return 1";

/// A transfer from one account to another. The last two are how many accounts there are, and what they hold at first.
const TRANSFER: &str = "for account = 0, ARGV[5] - 1 do redis.call('HSETNX', KEYS[1], account, ARGV[6]) end \
    redis.call('HINCRBY', KEYS[1], ARGV[1], ARGV[2]) \
    redis.call('HINCRBY', KEYS[1], ARGV[3], ARGV[4]) \
    return 1";

/// Takes a lock for an owner, and returns the token; 0 if somebody has it.
const ACQUIRE: &str = "redis.call('DEL', '') \
    if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end \
    local token = redis.call('INCR', KEYS[2]) \
    redis.call('SET', KEYS[1], ARGV[1]) \
    return token";

/// Gives a lock back, if it is the owner's.
const RELEASE: &str = "redis.call('DEL', '') \
    if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
    redis.call('DEL', KEYS[1]) \
    return 1";

/// Appends a piece to a text, unless it was appended before.
const APPEND_ONCE: &str = "if redis.call('SADD', KEYS[2], ARGV[1]) == 1 then redis.call('APPEND', KEYS[1], ARGV[2]) end \
    return 1";

/// What is sent for an operation: one command, or what stands in a transaction.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    Command(Vec<String>),
    Transaction(Vec<Vec<String>>),
}

impl Request {
    /// # Errors
    /// There is none for `op`.
    pub(super) fn of(op: &Op) -> Result<Request, Refusal> {
        let key = op.key().to_string();
        Ok(Request::Command(match op {
            Op::Read { .. } | Op::Count { .. } | Op::Text { .. } => words(&["GET", &key]),
            Op::Write { value, .. } => words(&["SET", &key, &value.to_string()]),
            Op::Cas { expected, new, .. } => {
                let expected = expected.map_or_else(String::new, |value| value.to_string());
                script(CAS, &[&key], &[&expected, &new.to_string()])
            }
            Op::Add { amount, .. } => words(&["INCRBY", &key, &amount.to_string()]),
            Op::Generate { .. } => words(&["INCRBY", &key, "1"]),
            Op::Insert { element, .. } => words(&["SADD", &key, &element.to_string()]),
            Op::Elements { .. } => words(&["SMEMBERS", &key]),
            Op::Enqueue { value, .. } => words(&["RPUSH", &key, &value.to_string()]),
            Op::Dequeue { .. } => words(&["LPOP", &key]),
            Op::AppendOnce { piece: number, .. } => script(
                APPEND_ONCE,
                &[&key, &format!("{key}.done")],
                &[&number.to_string(), &piece(*number)],
            ),
            Op::Transfer { from, to, amount, .. } => script(
                TRANSFER,
                &[&key],
                &[
                    &from.to_string(),
                    &(-amount).to_string(),
                    &to.to_string(),
                    &amount.to_string(),
                    &ACCOUNTS.to_string(),
                    &FIRST_BALANCE.to_string(),
                ],
            ),
            Op::Balances { .. } => {
                let mut command = words(&["HMGET", &key]);
                command.extend((0..ACCOUNTS).map(|account| account.to_string()));
                command
            }
            Op::Acquire { owner, .. } => {
                script(ACQUIRE, &[&key, &format!("{key}.token")], &[&owner.to_string()])
            }
            Op::Release { owner, .. } => script(RELEASE, &[&key], &[&owner.to_string()]),
            Op::Transaction { steps, .. } => {
                let is_of_register = |step: &Step| matches!(step, Step::Read { .. } | Step::Write { .. });
                let registers = steps.iter().filter(|step| is_of_register(step)).count();
                if registers > 0 && registers < steps.len() {
                    return Err(Refusal::Definite(MIXED.to_owned()));
                }
                let commands = steps.iter().map(|step| command_of(&key, step));
                return Ok(Request::Transaction(commands.collect()));
            }
        }))
    }
}

fn command_of(store: &str, step: &Step) -> Vec<String> {
    let key = format!("{store}.{}", step.cell());
    match step {
        Step::Read { .. } => words(&["GET", &key]),
        Step::Write { value, .. } => words(&["SET", &key, &value.to_string()]),
        Step::ReadList { .. } => words(&["LRANGE", &key, "0", "-1"]),
        Step::Append { value, .. } => words(&["RPUSH", &key, &value.to_string()]),
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn script(script: &str, keys: &[&str], arguments: &[&str]) -> Vec<String> {
    let count = keys.len().to_string();
    let mut command = words(&["EVAL", script, &count]);
    command.extend(words(keys));
    command.extend(words(arguments));
    command
}

/// What an operation returned that was answered so; of a transaction, all its replies are in one.
pub(super) fn returned(op: &Op, reply: &Reply<'_>) -> Result<Ret, Refusal> {
    if let Reply::Error(words) = reply {
        return Err(refused(words));
    }
    let ret = match op {
        Op::Read { .. } | Op::Dequeue { .. } => value(reply).map(|value| Ret::Value(value.map(number))),
        Op::Write { .. } => (*reply == Reply::Status(b"OK")).then_some(Ret::Written),
        Op::Cas { .. } => as_number(reply).map(|swapped| Ret::Swapped(swapped == 1)),
        Op::Add { .. }
        | Op::Enqueue { .. }
        | Op::Insert { .. }
        | Op::AppendOnce { .. }
        | Op::Transfer { .. } => as_number(reply).map(|_| Ret::Written),
        Op::Count { .. } => value(reply).map(|value| Ret::Count(value.map_or(0, count))),
        Op::Generate { .. } => id(reply).map(Ret::Id),
        Op::Elements { .. } => numbers(reply).map(Ret::Elements),
        Op::Text { .. } => {
            value(reply).map(|text| Ret::Text(String::from_utf8_lossy(text.unwrap_or_default()).into_owned()))
        }
        Op::Balances { .. } => balances(reply).map(Ret::Balances),
        Op::Acquire { .. } => id(reply).map(|token| Ret::Token(Some(token).filter(|token| *token > 0))),
        Op::Release { .. } => as_number(reply).map(|released| Ret::Released(released == 1)),
        Op::Transaction { steps, .. } => taken(steps, reply)?.map(Ret::Steps),
    };
    ret.ok_or_else(|| Refusal::Indefinite(MISANSWERED.to_owned()))
}

/// A command that is answered with an error was not carried out. A replica refuses what writes, and the primary would do it.
pub(super) fn refused(words: &[u8]) -> Refusal {
    let reason = String::from_utf8_lossy(words).into_owned();
    if reason.contains("READONLY") {
        let node = PRIMARY;
        return Refusal::Elsewhere { node, reason };
    }
    Refusal::Definite(reason)
}

/// The steps of a transaction with what they found; `None` if that is no answer to them.
fn taken(steps: &[Step], reply: &Reply<'_>) -> Result<Option<Vec<Step>>, Refusal> {
    let Some(replies) = items(reply).filter(|replies| replies.len() == steps.len()) else {
        return Ok(None);
    };
    let error = replies.iter().find_map(|reply| {
        if let Reply::Error(words) = reply {
            Some(String::from_utf8_lossy(words).into_owned())
        } else {
            None
        }
    });
    if let Some(reason) = error {
        // The other steps were taken all the same.
        return Err(Refusal::Indefinite(reason));
    }
    let taken = steps.iter().zip(replies).map(|(step, reply)| match step {
        Step::Read { cell, .. } => value(reply).map(|value| Step::Read {
            cell: *cell,
            found: value.map(number),
        }),
        Step::ReadList { cell, .. } => numbers(reply).map(|list| Step::ReadList {
            cell: *cell,
            found: Some(list),
        }),
        Step::Write { .. } => (*reply == Reply::Status(b"OK")).then(|| step.clone()),
        Step::Append { .. } => as_number(reply).map(|_| step.clone()),
    });
    Ok(taken.collect())
}

fn as_number(reply: &Reply<'_>) -> Option<i64> {
    if let Reply::Number(number) = reply {
        Some(*number)
    } else {
        None
    }
}

fn id(reply: &Reply<'_>) -> Option<u64> {
    u64::try_from(as_number(reply)?).ok()
}

/// The value that a reply is.
pub(super) fn value<'a>(reply: &Reply<'a>) -> Option<Option<&'a [u8]>> {
    if let Reply::Value(value) = reply {
        Some(*value)
    } else {
        None
    }
}

fn items<'a, 'b>(reply: &'b Reply<'a>) -> Option<&'b [Reply<'a>]> {
    if let Reply::Items(items) = reply {
        Some(items)
    } else {
        None
    }
}

fn numbers(reply: &Reply<'_>) -> Option<Vec<u64>> {
    let numbers = items(reply)?.iter().map(|item| value(item)?.map(number));
    numbers.collect()
}

fn balances(reply: &Reply<'_>) -> Option<Vec<i64>> {
    let balances = items(reply)?
        .iter()
        .map(|item| Some(value(item)?.map_or(FIRST_BALANCE, count)));
    balances
        .collect::<Option<Vec<i64>>>()
        .filter(|balances| balances.len() as u64 == ACCOUNTS)
}

#[cfg(test)]
mod tests;
