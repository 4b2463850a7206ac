//! What reads tell of each list, and what no order of transactions could explain in them.

use super::anomaly::{Anomaly, AnomalyKind};
use super::transaction::{Step, Transaction};
use super::words::{count, element, shown};
use crate::history::{End, Value};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;

/// No append, no position.
pub(super) const NONE: u32 = u32::MAX;

/// An element that a transaction appended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Append<'a> {
    pub(super) transaction: u32,
    pub(super) value: &'a Value,
    /// Where it is in its list, or [`NONE`] where no read shows it.
    pub(super) position: u32,
    /// Whether its transaction appended nothing more to the list.
    is_last: bool,
}

/// A read of what others appended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub(super) transaction: u32,
    pub(super) key: u32,
    /// How many elements it saw.
    pub(super) seen: u32,
}

/// A list.
#[derive(Clone, Debug)]
pub(super) struct List<'a> {
    pub(super) name: &'a Value,
    /// The longest read, and whose it is.
    longest: Option<(u32, &'a [Value])>,
    /// Its elements in order, as places of appends; [`NONE`] where no transaction that took effect appended one.
    pub(super) order: Vec<u32>,
    /// Those who appended something to it that comes after all of that.
    pub(super) tail: Vec<u32>,
}

/// A step of a transaction that did not fail.
#[derive(Clone, Copy, Debug)]
struct Move {
    key: u32,
    /// Its place among the steps.
    step: u32,
    /// The place of its append, or [`NONE`] for a read.
    append: u32,
}

/// Transactions with what their reads tell.
pub(super) struct Lists<'a> {
    pub(super) transactions: &'a [Transaction<'a>],
    pub(super) lists: Vec<List<'a>>,
    pub(super) appends: Vec<Append<'a>>,
    pub(super) reads: Vec<Read>,
    /// Whether each transaction took effect, as far as is known.
    pub(super) took_effect: Vec<bool>,
    /// Steps of those that did not fail, by transaction, then by key.
    moves: Vec<Move>,
    /// Where the steps of each transaction begin in `moves`; one more for the end.
    starts: Vec<usize>,
    places: FxHashMap<(u32, &'a Value), u32>,
    found: BTreeMap<AnomalyKind, Anomaly>,
}

impl<'a> Lists<'a> {
    /// Finds the order of each list, and what is wrong with reads.
    ///
    /// # Errors
    /// Two transactions append the same value to a list.
    pub(super) fn of(
        transactions: &'a [Transaction<'a>],
        anomalies: &mut Vec<Anomaly>,
    ) -> Result<Lists<'a>, (usize, usize)> {
        let steps = transactions.iter().map(|it| it.steps.len()).sum();
        let mut lists = Lists {
            transactions,
            lists: Vec::new(),
            appends: Vec::new(),
            reads: Vec::new(),
            took_effect: Vec::new(),
            moves: Vec::with_capacity(steps),
            starts: Vec::with_capacity(transactions.len() + 1),
            places: FxHashMap::default(),
            found: BTreeMap::new(),
        };
        lists.collect()?;
        lists.order();
        lists.compare();
        lists.extend();
        lists.took_effect = (0..transactions.len())
            .map(|it| match transactions[it].end {
                End::Ok => true,
                End::Fail => false,
                End::Info => lists.moves(it).iter().any(|step| lists.is_read(step.append)),
            })
            .collect();
        for transaction in 0..transactions.len() {
            if lists.took_effect[transaction] {
                lists.follow(transaction);
            }
        }
        lists.places = FxHashMap::default();
        anomalies.extend(std::mem::take(&mut lists.found).into_values());
        Ok(lists)
    }

    fn moves(&self, transaction: usize) -> &[Move] {
        &self.moves[self.starts[transaction]..self.starts[transaction + 1]]
    }

    /// The lists that a transaction touched.
    pub(super) fn keys_of(&self, transaction: u32) -> impl Iterator<Item = u32> + '_ {
        let moves = self.moves(transaction as usize);
        moves
            .chunk_by(|one, other| one.key == other.key)
            .map(|moves| moves[0].key)
    }

    /// What a transaction appended to a list that no read shows.
    pub(super) fn unseen(&self, transaction: u32, key: u32) -> Option<u32> {
        let mut moves = self.moves(transaction as usize).iter();
        let unseen = |it: &&Move| it.key == key && it.append != NONE && !self.is_read(it.append);
        moves.find(unseen).map(|it| it.append)
    }

    fn is_read(&self, append: u32) -> bool {
        append != NONE && self.appends[append as usize].position != NONE
    }

    /// Gives numbers to lists and appends. Those of failed transactions come last, so that a retry may append the same again.
    fn collect(&mut self) -> Result<(), (usize, usize)> {
        let mut names: FxHashMap<(Option<&'a Value>, &'a Value), u32> = FxHashMap::default();
        for (place, transaction) in self.transactions.iter().enumerate() {
            let start = self.moves.len();
            self.starts.push(start);
            if transaction.end == End::Fail {
                continue;
            }
            for (step, it) in transaction.steps.iter().enumerate() {
                let (Step::Append(key, _) | Step::Read(key, _)) = *it;
                let key = *names.entry((transaction.store, key)).or_insert_with(|| {
                    self.lists.push(List {
                        name: key,
                        longest: None,
                        order: Vec::new(),
                        tail: Vec::new(),
                    });
                    count(self.lists.len() - 1)
                });
                let append = match *it {
                    Step::Append(_, value) => self.append(place, key, value)?,
                    Step::Read(_, list) => {
                        let longest = &mut self.lists[key as usize].longest;
                        if let Some(list) = list
                            && longest.is_none_or(|(_, longest)| longest.len() < list.len())
                        {
                            *longest = Some((count(place), list));
                        }
                        NONE
                    }
                };
                let step = count(step);
                self.moves.push(Move { key, step, append });
            }
            let moves = &mut self.moves[start..];
            moves.sort_by_key(|step| step.key);
            let mut key = NONE;
            for step in moves.iter().rev().filter(|step| step.append != NONE) {
                self.appends[step.append as usize].is_last = step.key != key;
                key = step.key;
            }
        }
        self.starts.push(self.moves.len());
        for (place, transaction) in self.transactions.iter().enumerate() {
            if transaction.end != End::Fail {
                continue;
            }
            for step in &transaction.steps {
                if let Step::Append(key, value) = *step
                    && let Some(key) = names.get(&(transaction.store, key))
                {
                    // Another one that appended the same is who was read.
                    let _ = self.append(place, *key, value);
                }
            }
        }
        Ok(())
    }

    fn append(&mut self, transaction: usize, key: u32, value: &'a Value) -> Result<u32, (usize, usize)> {
        let place = count(self.appends.len());
        let known = *self.places.entry((key, value)).or_insert(place);
        if known != place {
            return Err((self.appends[known as usize].transaction as usize, transaction));
        }
        self.appends.push(Append {
            transaction: count(transaction),
            value,
            position: NONE,
            is_last: false,
        });
        Ok(place)
    }

    /// Takes the order of each list from its longest read.
    fn order(&mut self) {
        for key in 0..self.lists.len() {
            let Some((reader, longest)) = self.lists[key].longest else {
                continue;
            };
            let mut order = Vec::with_capacity(longest.len());
            for value in longest {
                let mut place = self.inspect(key, reader, value);
                if place != NONE && self.appends[place as usize].position != NONE {
                    self.repeated(key, reader, value);
                    place = NONE;
                }
                if place != NONE {
                    self.appends[place as usize].position = count(order.len());
                }
                order.push(place);
            }
            self.lists[key].order = order;
        }
    }

    /// The append of an element that was read, or [`NONE`] where it should not have been.
    fn inspect(&mut self, key: usize, reader: u32, value: &Value) -> u32 {
        let name = self.lists[key].name;
        let Some(&place) = self.places.get(&(count(key), value)) else {
            let reason = format!("T1 read {value} in {name}, which nobody appended.");
            self.found(AnomalyKind::UnwrittenRead, &[reader], reason);
            return NONE;
        };
        let writer = self.appends[place as usize].transaction;
        if self.transactions[writer as usize].end == End::Fail {
            let reason = format!("T1 read {value} in {name}, which T2 appended, and T2 failed.");
            self.found(AnomalyKind::AbortedRead, &[reader, writer], reason);
            return NONE;
        }
        place
    }

    fn repeated(&mut self, key: usize, reader: u32, value: &Value) {
        let name = self.lists[key].name;
        let reason = format!("T1 read {value} twice in {name}, to which it was appended once.");
        self.found(AnomalyKind::DuplicateElements, &[reader], reason);
    }

    /// Holds every read against the longest one of its list.
    fn compare(&mut self) {
        for (place, transaction) in self.transactions.iter().enumerate() {
            for step in self.starts[place]..self.starts[place + 1] {
                let Move { key, step, .. } = self.moves[step];
                let Step::Read(_, Some(list)) = transaction.steps[step as usize] else {
                    continue;
                };
                let key = key as usize;
                let (longest_reader, longest) = self.lists[key].longest.expect("this read is one");
                if longest.starts_with(list) {
                    continue;
                }
                let differs = list.iter().zip(longest).take_while(|(one, other)| one == other);
                let differs = differs.count();
                let reader = count(place);
                let reason = format!(
                    "T1 read {} as {}, and {} as {}: their {} elements differ.",
                    self.lists[key].name,
                    shown(list),
                    if longest_reader == reader { "later" } else { "T2" },
                    shown(longest),
                    element(differs)
                );
                self.found(AnomalyKind::IncompatibleOrder, &[reader, longest_reader], reason);
                let mut met = FxHashSet::default();
                for value in list {
                    self.inspect(key, reader, value);
                    if !met.insert(value) {
                        self.repeated(key, reader, value);
                    }
                }
            }
        }
    }

    /// What the transaction that appended the last element of a list appended to it after that comes next.
    fn extend(&mut self) {
        for key in 0..self.lists.len() {
            let Some(&last) = self.lists[key].order.last() else {
                continue;
            };
            if last == NONE {
                continue;
            }
            let writer = self.appends[last as usize].transaction as usize;
            let after = self.starts[writer]..self.starts[writer + 1];
            let after = after
                .skip_while(|step| self.moves[*step].append != last)
                .skip(1)
                .take_while(|step| self.moves[*step].key as usize == key);
            for step in after {
                let append = self.moves[step].append;
                if append == NONE {
                    continue;
                }
                if self.is_read(append) {
                    break;
                }
                self.appends[append as usize].position = count(self.lists[key].order.len());
                self.lists[key].order.push(append);
            }
        }
    }

    /// Goes through what a transaction did to each of its lists.
    fn follow(&mut self, transaction: usize) {
        let end = self.starts[transaction + 1];
        let mut at = self.starts[transaction];
        while at < end {
            let key = self.moves[at].key;
            let length = self.moves[at..end]
                .iter()
                .take_while(|step| step.key == key)
                .count();
            self.follow_list(transaction, key, at..at + length);
            at += length;
        }
    }

    fn follow_list(&mut self, transaction: usize, key: u32, moves: std::ops::Range<usize>) {
        let mut own: Vec<u32> = Vec::new();
        // What others had appended, once a read told.
        let mut before: Option<&'a [Value]> = None;
        for place in moves {
            let Move { step, append, .. } = self.moves[place];
            if append != NONE {
                own.push(append);
                continue;
            }
            let Step::Read(_, Some(list)) = self.transactions[transaction].steps[step as usize] else {
                continue;
            };
            let is_first = before.is_none();
            let theirs = list.len().checked_sub(own.len()).map(|theirs| &list[..theirs]);
            let fits = theirs.is_some_and(|theirs| {
                let ours = list[theirs.len()..].iter().zip(&own);
                before.is_none_or(|before| before == theirs)
                    && ours
                        .into_iter()
                        .all(|(value, append)| value == self.appends[*append as usize].value)
            });
            if !fits {
                self.unfit(transaction, key, before, &own, list);
                continue;
            }
            before = theirs;
            if is_first && own.is_empty() {
                self.read(transaction, key, list);
            }
        }
        self.assert_whole(transaction, key, &own);
        if own.iter().any(|append| !self.is_read(*append)) {
            self.lists[key as usize].tail.push(count(transaction));
        }
    }

    fn unfit(&mut self, transaction: usize, key: u32, before: Option<&[Value]>, own: &[u32], list: &[Value]) {
        let values: Vec<Value> = own
            .iter()
            .map(|append| self.appends[*append as usize].value.clone())
            .collect();
        let expected = match (before, values.is_empty()) {
            (Some(before), _) => format!("which had to be {}", shown(&[before, &values].concat())),
            (None, _) => format!("which had to end in {}, as it had appended that", shown(&values)),
        };
        let name = self.lists[key as usize].name;
        let reason = format!("T1 read {name} as {}, {expected}.", shown(list));
        self.found(AnomalyKind::Internal, &[count(transaction)], reason);
    }

    /// A read of what others appended.
    fn read(&mut self, transaction: usize, key: u32, list: &'a [Value]) {
        let reader = count(transaction);
        let longest = self.lists[key as usize].longest.map_or(&[][..], |(_, list)| list);
        if !longest.starts_with(list) {
            return;
        }
        let name = self.lists[key as usize].name;
        let order = &self.lists[key as usize].order[..list.len()];
        let own = order
            .iter()
            .find(|it| **it != NONE && self.appends[**it as usize].transaction == reader);
        if let Some(own) = own {
            let value = self.appends[*own as usize].value;
            let reason = format!("T1 read {value} in {name} before it appended that.");
            self.found(AnomalyKind::Internal, &[reader], reason);
            return;
        }
        let last = order.last().copied().unwrap_or(NONE);
        if last != NONE && !self.appends[last as usize].is_last {
            let Append {
                transaction: writer,
                value,
                ..
            } = self.appends[last as usize];
            let reason = format!(
                "T1 read {name} up to {value}, which T2 appended, and then more: T1 saw it half done."
            );
            self.found(AnomalyKind::IntermediateRead, &[reader, writer], reason);
            return;
        }
        let seen = count(list.len());
        self.reads.push(Read {
            transaction: reader,
            key,
            seen,
        });
    }

    /// What a transaction appended to a list is there in its order, as far as the list is known; what comes between makes a cycle.
    fn assert_whole(&mut self, transaction: usize, key: u32, own: &[u32]) {
        for pair in own.windows(2) {
            let [earlier, later] = [pair[0], pair[1]].map(|it| self.appends[it as usize]);
            // Something later that is read has a position below that of what is not.
            if later.position != NONE && earlier.position > later.position {
                let reason = format!(
                    "T1 appended {} to {} and then {}, {}.",
                    earlier.value,
                    self.lists[key as usize].name,
                    later.value,
                    if earlier.position == NONE {
                        "and only that was read"
                    } else {
                        "which was read before it"
                    }
                );
                self.found(AnomalyKind::TornAppend, &[count(transaction)], reason);
            }
        }
    }

    fn found(&mut self, kind: AnomalyKind, transactions: &[u32], reason: String) {
        let known = self.found.entry(kind).or_insert_with(|| {
            let mut transactions: Vec<usize> = transactions.iter().map(|it| *it as usize).collect();
            transactions.dedup();
            Anomaly {
                kind,
                transactions,
                dependencies: Vec::new(),
                reasons: vec![reason],
                count: 0,
                is_smallest: true,
            }
        });
        known.count += 1;
    }
}
