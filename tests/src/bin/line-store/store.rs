//! What the store holds, and what it makes of questions.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// The log's name in the data folder.
const LOG: &str = "log";
/// What an account of a bank holds at first.
const FIRST_BALANCE: i64 = 1000;
/// How many accounts a bank has.
const ACCOUNTS: u64 = 5;
/// Questions that change nothing.
const READS: [&str; 5] = ["read", "count", "elements", "list", "balances"];

/// A key, and what is meant there: a cell, an account; of a lock, its owner or its last token.
type Place = (u64, u64);
const ITSELF: u64 = 0;
const TOKEN: u64 = 1;
/// A store that forgets what is old remembers so many keys.
const REMEMBERED: u64 = 8;

/// Numbers and lists, and the log of the questions that have changed them.
pub(crate) struct Store {
    numbers: BTreeMap<Place, i64>,
    lists: BTreeMap<Place, Vec<i64>>,
    log: Option<File>,
    syncs: bool,
    /// Whether it does not know any more what registers held once so many newer ones as [`REMEMBERED`] were written.
    pub(crate) forgets_old: bool,
}

/// What the store has of what it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// Nothing.
    Nothing,
    /// What a process can't lose by its death, but a machine can.
    Written,
    /// What a machine can't lose either.
    Durable,
}

impl Store {
    /// What the questions in the log in `folder` have come to, if that is kept.
    pub(crate) fn open(folder: &Path, keeps: Keeps) -> io::Result<Store> {
        let mut store = Store {
            numbers: BTreeMap::new(),
            lists: BTreeMap::new(),
            log: None,
            syncs: keeps == Keeps::Durable,
            forgets_old: false,
        };
        if keeps == Keeps::Nothing {
            return Ok(store);
        }
        let path = folder.join(LOG);
        let text = fs::read(&path).unwrap_or_default();
        let mut whole = 0;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let question = serde_json::from_slice(line)
                .ok()
                .filter(|_| line.ends_with(b"\n"));
            // What is torn, and what comes behind it, is of questions that were never answered.
            let Some(question) = question else { break };
            store.carry_out(&question);
            whole += line.len() as u64;
        }
        let log = OpenOptions::new().create(true).append(true).open(path)?;
        log.set_len(whole)?;
        if store.syncs {
            log.sync_all()?;
            File::open(folder)?.sync_all()?;
        }
        store.log = Some(log);
        Ok(store)
    }

    /// What is answered to a question, once it is in the log.
    pub(crate) fn answer(&mut self, question: &Value) -> io::Result<Value> {
        let is_read = question["op"].as_str().is_some_and(|op| READS.contains(&op));
        if let Some(log) = self.log.as_mut().filter(|_| !is_read) {
            // In one piece, so that a process that is killed leaves all of it or nothing.
            log.write_all(format!("{question}\n").as_bytes())?;
            if self.syncs {
                log.sync_data()?;
            }
        }
        let answer = self.carry_out(question);
        Ok(answer.unwrap_or_else(|| json!({ "type": "fail", "reason": "that is no question" })))
    }

    /// Carries out a question; `None` if it is none.
    fn carry_out(&mut self, question: &Value) -> Option<Value> {
        let key = question["key"].as_u64()?;
        let (value, at) = (question["value"].as_i64(), (key, ITSELF));
        let done = Some(json!({ "type": "ok" }));
        match question["op"].as_str()? {
            "read" => {
                let held = self.numbers.get(&at).filter(|_| !self.has_forgotten(key));
                Some(json!({ "type": "ok", "value": held }))
            }
            "count" => Some(json!({ "type": "ok", "value": self.numbers.get(&at).unwrap_or(&0) })),
            "elements" | "list" => Some(json!({ "type": "ok", "values": self.list(at) })),
            "write" => {
                self.numbers.insert(at, value?);
                done
            }
            "cas" => {
                let swapped = self.numbers.get(&at).copied() == question["expected"].as_i64();
                if swapped {
                    self.numbers.insert(at, value?);
                }
                Some(json!({ "type": "ok", "swapped": swapped }))
            }
            "add" => {
                self.add(at, 0, question["amount"].as_i64()?);
                done
            }
            "generate" => Some(json!({ "type": "ok", "value": self.add(at, 0, 1) })),
            "insert" | "enqueue" => {
                self.lists.entry(at).or_default().push(value?);
                done
            }
            "append-once" => {
                let list = self.lists.entry(at).or_default();
                if !list.contains(&value?) {
                    list.push(value?);
                }
                done
            }
            "dequeue" => {
                let list = self.lists.entry(at).or_default();
                let first = (!list.is_empty()).then(|| list.remove(0));
                Some(json!({ "type": "ok", "value": first }))
            }
            "transaction" => {
                let steps = question["steps"].as_array()?;
                let found: Option<Vec<Value>> = steps.iter().map(|step| self.step(key, step)).collect();
                Some(json!({ "type": "ok", "found": found? }))
            }
            "transfer" => {
                let amount = question["amount"].as_i64()?;
                let (from, to) = (question["from"].as_u64()?, question["to"].as_u64()?);
                self.add((key, from), FIRST_BALANCE, -amount);
                self.add((key, to), FIRST_BALANCE, amount);
                done
            }
            "balances" => {
                let balance = |account| self.numbers.get(&(key, account)).unwrap_or(&FIRST_BALANCE);
                let balances: Vec<&i64> = (0..ACCOUNTS).map(balance).collect();
                Some(json!({ "type": "ok", "values": balances }))
            }
            "acquire" => {
                let owner = question["owner"].as_i64()?;
                let is_free = match self.numbers.entry(at) {
                    Entry::Vacant(free) => {
                        free.insert(owner);
                        true
                    }
                    Entry::Occupied(_) => false,
                };
                let token = is_free.then(|| self.add((key, TOKEN), 0, 1));
                Some(json!({ "type": "ok", "token": token }))
            }
            "release" => {
                let released = self.numbers.get(&at).copied() == question["owner"].as_i64();
                if released {
                    self.numbers.remove(&at);
                }
                Some(json!({ "type": "ok", "released": released }))
            }
            _ => None,
        }
    }

    fn has_forgotten(&self, key: u64) -> bool {
        let newest = self.numbers.keys().next_back().map_or(0, |(newest, _)| *newest);
        self.forgets_old && key + REMEMBERED <= newest
    }

    /// Takes a step of a transaction; what it found.
    fn step(&mut self, store: u64, step: &Value) -> Option<Value> {
        let at = (store, step["cell"].as_u64()?);
        match (step["step"].as_str()?, step["value"].as_i64()) {
            ("read", _) => Some(json!(self.numbers.get(&at))),
            ("list", _) => Some(json!(self.list(at))),
            ("write", Some(value)) => {
                self.numbers.insert(at, value);
                Some(Value::Null)
            }
            ("append", Some(value)) => {
                self.lists.entry(at).or_default().push(value);
                Some(Value::Null)
            }
            _ => None,
        }
    }

    fn list(&self, at: Place) -> &[i64] {
        self.lists.get(&at).map_or(&[], Vec::as_slice)
    }

    /// Adds to a number, which is `first` at first; the sum.
    fn add(&mut self, at: Place, first: i64, amount: i64) -> i64 {
        let sum = self.numbers.entry(at).or_insert(first);
        *sum += amount;
        *sum
    }
}
