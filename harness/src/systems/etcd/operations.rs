//! What workloads ask for, as users of etcd do it.
//!
//! What takes one request is one: etcd orders them all. Where it depends on what there is what is to be written, that is read first, and written
//! by a transaction if it was not changed since; if it was, nothing was written, and the operation has failed. It is not tried again.
//!
//! | workload | how |
//! |---|---|
//! | register | a range, a put; a compare-and-set compares the value, or that there is none |
//! | counter, bank, append | read, and put what it becomes if its revision is the same still |
//! | multi-register | one transaction |
//! | set | a key for each element, all of which one range reads |
//! | queue | a key for each item; the oldest is read, and deleted if it is there still: nothing can come before it |
//! | unique-ids | a put: its revision is its own |
//! | lock | a put where there is nothing, and its revision is the token; a delete where the value is the owner's |
//! | session | a key for each piece, put where there is none: an append that is sent again changes nothing |
//!
//! An account of a bank that nobody wrote holds its first balance. A lock has no lease: whoever took it keeps it however long he is silent, as
//! the model has it, and a lease that ran out would give it to two.

use super::answer::{Answer, Pair};
use super::request::{
    PUT, RANGE, TXN, get, is_absent, is_made_in, is_unchanged_since, is_value, oldest, put, step_delete,
    step_put, step_range, thing, things, transaction,
};
use super::session::EtcdSession;
use crate::client::{MISANSWERED, count, number, numbers};
use crate::systems::{MIXED, Refusal};
use serde_json::Value;
use std::collections::BTreeMap;
use workloads::{ACCOUNTS, FIRST_BALANCE, Op, Ret, Step, piece};

/// What is said of an operation whose transaction's comparisons did not hold.
const CHANGED: &str = "another client changed it in between, and nothing was written";

/// What a key holds at a moment.
struct Held {
    key: String,
    /// `None` where there is nothing.
    pair: Option<Pair>,
}

impl Held {
    fn value(&self) -> Option<&[u8]> {
        self.pair.as_ref().map(|pair| pair.value.as_slice())
    }
}

impl EtcdSession {
    /// Carries out an operation.
    pub(super) async fn carry_out(&mut self, op: &Op) -> Result<Ret, Refusal> {
        match op {
            Op::Read { key } => {
                let answer = self.read(RANGE, &get(&key.to_string())).await?;
                Ok(Ret::Value(answer.kvs.first().map(|pair| number(&pair.value))))
            }
            Op::Write { key, value } => {
                self.write(PUT, &put(&key.to_string(), &value.to_string()))
                    .await?;
                Ok(Ret::Written)
            }
            Op::Cas { key, expected, new } => {
                let key = key.to_string();
                let compare = match expected {
                    Some(value) => is_value(&key, &value.to_string()),
                    None => is_absent(&key),
                };
                let answer = self.write_if(compare, step_put(&key, &new.to_string())).await?;
                Ok(Ret::Swapped(answer.succeeded))
            }
            Op::Add { key, amount } => {
                let held = self.look(vec![key.to_string()]).await?;
                let sum = held[0].value().map_or(0, count).wrapping_add(*amount);
                self.replace(&held, &[step_put(&held[0].key, &sum.to_string())])
                    .await
            }
            Op::Count { key } => {
                let answer = self.read(RANGE, &get(&key.to_string())).await?;
                Ok(Ret::Count(
                    answer.kvs.first().map_or(0, |pair| count(&pair.value)),
                ))
            }
            Op::Insert { key, element } => {
                self.write(PUT, &put(&thing(*key, *element), "")).await?;
                Ok(Ret::Written)
            }
            Op::Elements { key } => {
                let answer = self.read(RANGE, &things(*key)).await?;
                Ok(Ret::Elements(answer.kvs.iter().map(name).collect()))
            }
            Op::Enqueue { key, value } => {
                self.write(PUT, &put(&thing(*key, *value), "")).await?;
                Ok(Ret::Written)
            }
            Op::Dequeue { key } => self.dequeue(*key).await,
            Op::AppendOnce { key, piece, .. } => {
                let key = thing(*key, *piece);
                // Where it is there already, it was carried out.
                self.write_if(is_absent(&key), step_put(&key, "")).await?;
                Ok(Ret::Written)
            }
            Op::Text { key } => {
                let mut pieces = self.read(RANGE, &things(*key)).await?.kvs;
                pieces.sort_by_key(|pair| pair.create_revision);
                Ok(Ret::Text(pieces.iter().map(|pair| piece(name(pair))).collect()))
            }
            Op::Transaction { key, steps } if steps.iter().all(is_of_register) => {
                self.steps_at_once(*key, steps).await
            }
            Op::Transaction { key, steps } if !steps.iter().any(is_of_register) => {
                self.steps_on_lists(*key, steps).await
            }
            Op::Transaction { .. } => Err(Refusal::Definite(MIXED.to_owned())),
            Op::Transfer {
                key,
                from,
                to,
                amount,
            } => {
                let held = self.look(vec![cell(*key, *from), cell(*key, *to)]).await?;
                let changed = held.iter().zip([-amount, *amount]).map(|(held, change)| {
                    let balance = balance(held).wrapping_add(change);
                    step_put(&held.key, &balance.to_string())
                });
                let changed: Vec<Value> = changed.collect();
                self.replace(&held, &changed).await
            }
            Op::Balances { key } => {
                let accounts = (0..ACCOUNTS).map(|account| cell(*key, account));
                let held = self.look(accounts.collect()).await?;
                Ok(Ret::Balances(held.iter().map(balance).collect()))
            }
            Op::Generate { key } => {
                let answer = self.write(PUT, &put(&key.to_string(), "")).await?;
                revision(&answer).map(Ret::Id)
            }
            Op::Acquire { key, owner } => {
                let key = key.to_string();
                let answer = self
                    .write_if(is_absent(&key), step_put(&key, &owner.to_string()))
                    .await?;
                let token = answer.succeeded.then(|| revision(&answer)).transpose()?;
                Ok(Ret::Token(token))
            }
            Op::Release { key, owner } => {
                let key = key.to_string();
                let answer = self
                    .write_if(is_value(&key, &owner.to_string()), step_delete(&key))
                    .await?;
                Ok(Ret::Released(answer.succeeded))
            }
        }
    }

    /// Takes a step if that holds.
    async fn write_if(&mut self, compare: Value, then: Value) -> Result<Answer, Refusal> {
        self.write(TXN, &transaction(&[compare], &[then])).await
    }

    /// What these keys hold, at one moment.
    async fn look(&mut self, keys: Vec<String>) -> Result<Vec<Held>, Refusal> {
        let ranges: Vec<Value> = keys.iter().map(|key| step_range(&get(key))).collect();
        let answer = self.read(TXN, &transaction(&[], &ranges)).await?;
        if answer.responses.len() != keys.len() {
            return Err(misanswered());
        }
        let held = keys.into_iter().zip(answer.responses);
        let held = held.map(|(key, response)| Held {
            key,
            pair: response.range.kvs.into_iter().next(),
        });
        Ok(held.collect())
    }

    /// Takes these steps, if what was held is held still.
    async fn replace(&mut self, held: &[Held], steps: &[Value]) -> Result<Ret, Refusal> {
        let compare: Vec<Value> = held
            .iter()
            .map(|held| {
                let revision = held.pair.as_ref().map_or(0, |pair| pair.mod_revision);
                is_unchanged_since(&held.key, revision)
            })
            .collect();
        let answer = self.write(TXN, &transaction(&compare, steps)).await?;
        if answer.succeeded {
            Ok(Ret::Written)
        } else {
            Err(Refusal::Definite(CHANGED.to_owned()))
        }
    }

    async fn dequeue(&mut self, queue: u64) -> Result<Ret, Refusal> {
        let found = self.read(RANGE, &oldest(queue)).await?;
        let Some(first) = found.kvs.first() else {
            return Ok(Ret::Value(None));
        };
        let item = name(first);
        let key = String::from_utf8_lossy(&first.key);
        let answer = self
            .write_if(is_made_in(&key, first.create_revision), step_delete(&key))
            .await?;
        if answer.succeeded {
            Ok(Ret::Value(Some(item)))
        } else {
            Err(Refusal::Definite(CHANGED.to_owned()))
        }
    }

    /// Steps that read and write registers: one transaction of as many.
    async fn steps_at_once(&mut self, store: u64, steps: &[Step]) -> Result<Ret, Refusal> {
        let asked = steps.iter().map(|step| {
            let key = cell(store, step.cell());
            if let Step::Write { value, .. } = step {
                step_put(&key, &value.to_string())
            } else {
                step_range(&get(&key))
            }
        });
        let asked = transaction(&[], &asked.collect::<Vec<Value>>());
        let answer = if steps.iter().all(Step::is_read) {
            self.read(TXN, &asked).await?
        } else {
            self.write(TXN, &asked).await?
        };
        if answer.responses.len() != steps.len() {
            return Err(misanswered());
        }
        let found = steps.iter().zip(&answer.responses).map(|(step, response)| {
            if let Step::Read { cell, .. } = step {
                let found = response.range.kvs.first().map(|pair| number(&pair.value));
                Step::Read { cell: *cell, found }
            } else {
                step.clone()
            }
        });
        Ok(Ret::Steps(found.collect()))
    }

    /// Steps that append to lists and read them: all are read at one moment, and those replaced that were appended to.
    async fn steps_on_lists(&mut self, store: u64, steps: &[Step]) -> Result<Ret, Refusal> {
        let mut cells: Vec<u64> = steps.iter().map(Step::cell).collect();
        cells.sort_unstable();
        cells.dedup();
        let held = self
            .look(cells.iter().map(|at| cell(store, *at)).collect())
            .await?;
        let lists = held
            .iter()
            .map(|held| held.value().map_or_else(Vec::new, numbers));
        let mut lists: BTreeMap<u64, Vec<u64>> = cells.iter().copied().zip(lists).collect();
        let taken: Vec<Step> = steps.iter().map(|step| taken(step, &mut lists)).collect();
        let is_appended_to = |at: &u64| steps.iter().any(|step| step.cell() == *at && !step.is_read());
        let appended = cells.iter().zip(&held).filter(|(at, _)| is_appended_to(at));
        let puts: Vec<Value> = appended
            .map(|(at, held)| {
                let list: String = lists[at].iter().map(|number| piece(*number)).collect();
                step_put(&held.key, &list)
            })
            .collect();
        if !puts.is_empty() {
            self.replace(&held, &puts).await?;
        }
        Ok(Ret::Steps(taken))
    }
}

/// Takes a step on `lists`; what it is then.
fn taken(step: &Step, lists: &mut BTreeMap<u64, Vec<u64>>) -> Step {
    let list = lists.entry(step.cell()).or_default();
    match step {
        Step::ReadList { cell, .. } => {
            return Step::ReadList {
                cell: *cell,
                found: Some(list.clone()),
            };
        }
        Step::Append { value, .. } => list.push(*value),
        Step::Read { .. } | Step::Write { .. } => {}
    }
    step.clone()
}

fn is_of_register(step: &Step) -> bool {
    matches!(step, Step::Read { .. } | Step::Write { .. })
}

/// Where a cell of a store is, or an account of a bank.
fn cell(store: u64, cell: u64) -> String {
    format!("{store}.{cell}")
}

fn balance(account: &Held) -> i64 {
    account.value().map_or(FIRST_BALANCE, count)
}

/// The name of a thing in a collection.
fn name(pair: &Pair) -> u64 {
    let name = pair.key.rsplit(|byte| *byte == b'/').next();
    number(name.unwrap_or_default())
}

/// The revision of a write that was answered so.
fn revision(answer: &Answer) -> Result<u64, Refusal> {
    Some(answer.header.revision)
        .filter(|revision| *revision > 0)
        .ok_or_else(misanswered)
}

fn misanswered() -> Refusal {
    Refusal::Indefinite(MISANSWERED.to_owned())
}
