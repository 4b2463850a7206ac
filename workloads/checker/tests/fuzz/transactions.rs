//! Small random histories of transactions over lists, and what the engine for them makes of each, against a search of all orders, the
//! general engine, and stateright's `LinearizabilityTester`.

use crate::tester;
use checker::adya::{self, Isolation, Step, Transaction};
use checker::history::{End, Value};
use checker::models::{ListAppend, StoreStep};
use checker::{EngineChoice, Limits, ObjectVerdict, Operation, check_object};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::fmt;

/// Of at least so many kinds anomalies should be met.
const KINDS_MIN: usize = 17;

/// How many histories there were, and what of.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    histories: u64,
    legal: u64,
    /// Those with transactions whose outcome nobody learned.
    lost: u64,
    /// Those with transactions that failed.
    failed: u64,
    /// How often each anomaly was found, by its name.
    met: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Whether there were enough histories of each sort for it to say something that all agree.
    ///
    /// # Errors
    /// Of which there were too few.
    pub(crate) fn balance(&self) -> Result<(), String> {
        let (violations, least) = (self.histories - self.legal, self.histories / 4);
        for (what, count) in [
            ("legal", self.legal),
            ("violations", violations),
            ("with lost transactions", self.lost),
            ("with failed transactions", self.failed),
        ] {
            if count < least {
                return Err(format!("only {count} are {what}, and {least} should be"));
            }
        }
        if self.met.len() < KINDS_MIN {
            return Err(format!(
                "anomalies are of fewer than {KINDS_MIN} kinds: {:?}",
                self.met
            ));
        }
        Ok(())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let violations = self.histories - self.legal;
        write!(
            f,
            "{} histories, {violations} of them violations, {} with lost transactions, {} with failed ones; found were",
            self.histories, self.lost, self.failed
        )?;
        let mut before = ' ';
        for (name, count) in &self.met {
            write!(f, "{before}{count} {name}")?;
            before = ',';
        }
        Ok(())
    }
}

/// Makes as many histories, and judges each; history `n` comes from the seed `seed + n` alone.
///
/// # Errors
/// The first history on which not all agree, with its seed.
pub(crate) fn fuzz(histories: u64, seed: u64) -> Result<Tally, String> {
    let keys: Vec<Value> = (0..3).map(Value::Int).collect();
    let mut tally = Tally::default();
    for seed in (seed..).take(usize::try_from(histories).expect("a count that a machine gets to")) {
        let drawn = draw(&mut Random(ChaCha8Rng::seed_from_u64(seed)));
        let transactions: Vec<Transaction<'_>> = drawn.iter().map(|it| it.transaction(&keys)).collect();
        let found = match adya::check(&transactions, Limits::default()) {
            Isolation::Strict => Vec::new(),
            Isolation::Violated(anomalies) => anomalies,
            other @ (Isolation::Ambiguous(..) | Isolation::Unknown(_)) => panic!("seed {seed}: {other:?}"),
        };
        let operations = operations(&transactions);
        let says = [
            ("list-append", found.is_empty()),
            ("all orders", has_order(&transactions)),
            ("general", general(&operations)),
            (
                "stateright",
                tester::has_order(&ListAppend::default(), &operations),
            ),
        ];
        if says.iter().any(|(_, valid)| *valid != says[0].1) {
            return Err(format!("seed {seed}: {says:?}\n{transactions:#?}\n{found:#?}"));
        }
        tally.histories += 1;
        tally.legal += u64::from(found.is_empty());
        let ends = |end| transactions.iter().any(|transaction| transaction.end == end);
        tally.lost += u64::from(ends(End::Info));
        tally.failed += u64::from(ends(End::Fail));
        for anomaly in found {
            assert!(
                anomaly.is_smallest,
                "seed {seed}: there are few cycles: {transactions:#?}"
            );
            *tally.met.entry(anomaly.kind.name()).or_default() += 1;
        }
    }
    Ok(tally)
}

/// Whether some order of the transactions explains all reads, by trying all of them.
pub(crate) fn has_order(transactions: &[Transaction<'_>]) -> bool {
    let left: Vec<_> = transactions.iter().filter(|it| it.end != End::Fail).collect();
    explained(&BTreeMap::new(), &left)
}

type State<'a> = BTreeMap<&'a Value, Vec<&'a Value>>;

fn explained<'a>(state: &State<'a>, left: &[&'a Transaction<'a>]) -> bool {
    let returns = left.iter().filter(|it| it.end == End::Ok).map(|it| it.returned);
    let Some(first) = returns.min() else {
        return true;
    };
    left.iter().enumerate().any(|(place, transaction)| {
        let mut rest = left.to_vec();
        rest.remove(place);
        let after = if transaction.invoked > first {
            None
        } else {
            after(state, transaction)
        };
        after.is_some_and(|state| explained(&state, &rest))
    })
}

fn after<'a>(state: &State<'a>, transaction: &Transaction<'a>) -> Option<State<'a>> {
    let mut state = state.clone();
    for step in &transaction.steps {
        match *step {
            Step::Append(key, value) => state.entry(key).or_default().push(value),
            Step::Read(key, Some(list)) => {
                let held = state.get(key).map_or(&[][..], Vec::as_slice);
                if !held.iter().copied().eq(list) {
                    return None;
                }
            }
            Step::Read(_, None) => {}
        }
    }
    Some(state)
}

/// As calls of a store of lists, those that failed left out.
fn operations(transactions: &[Transaction<'_>]) -> Vec<Operation<ListAppend>> {
    transactions
        .iter()
        .filter(|it| it.end != End::Fail)
        .map(|it| {
            let (mut op, mut ret) = (Vec::new(), Vec::new());
            for step in &it.steps {
                match *step {
                    Step::Append(key, value) => op.push(StoreStep::Append(key.clone(), value.clone())),
                    Step::Read(key, list) => {
                        op.push(StoreStep::Read(key.clone()));
                        ret.push(list.map(|list| Value::list(list.iter().cloned())));
                    }
                }
            }
            Operation {
                process: it.process,
                node: None,
                op,
                ret: (it.end == End::Ok).then_some(ret),
                invoked: it.invoked,
                returned: it.returned,
            }
        })
        .collect()
}

/// The verdict of the general engine.
fn general(operations: &[Operation<ListAppend>]) -> bool {
    let limits = Limits {
        engine: EngineChoice::General,
        ..Limits::default()
    };
    match check_object(&ListAppend::default(), operations, limits) {
        ObjectVerdict::Valid => true,
        ObjectVerdict::Violation { .. } => false,
        other @ (ObjectVerdict::Unknown(_) | ObjectVerdict::Superseded) => {
            panic!("{other:?}")
        }
    }
}

struct Random(ChaCha8Rng);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.random_range(0..bound)
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// A small history as values: process, invoked, returned, end, and steps with a key, what was appended or else what was read.
struct Drawn {
    process: u64,
    invoked: u64,
    returned: u64,
    end: End,
    steps: Vec<(usize, Result<Value, Vec<Value>>)>,
}

impl Drawn {
    fn transaction<'a>(&'a self, keys: &'a [Value]) -> Transaction<'a> {
        let steps = self.steps.iter().map(|(key, step)| match step {
            Ok(value) => Step::Append(&keys[*key], value),
            Err(_) if self.end != End::Ok => Step::Read(&keys[*key], None),
            Err(list) => Step::Read(&keys[*key], Some(list)),
        });
        Transaction {
            process: self.process,
            node: None,
            store: None,
            invoked: self.invoked,
            end: self.end,
            returned: self.returned,
            steps: steps.collect(),
            line: 0,
        }
    }
}

/// Transactions that were executed one after the other, in an order that mostly fits their times, by a store that makes a mistake of
/// any kind now and then.
fn draw(random: &mut Random) -> Vec<Drawn> {
    let (count, keys) = (2 + random.below(5), 1 + random.below(3));
    let mistakes = [100, 5, 3][random.below(3) as usize];
    let mut next = 0;
    let mut lists: Vec<Vec<Value>> = (0..keys).map(|_| Vec::new()).collect();
    let mut history = Vec::new();
    for place in 0..count {
        let end = [End::Ok, End::Ok, End::Ok, End::Ok, End::Info, End::Fail][random.below(6) as usize];
        // It takes effect at 4 · place, or so.
        let slack = 1 + random.below(12);
        let moment = 12 + 4 * place;
        let moment = if random.one_in(mistakes) {
            random.below(30)
        } else {
            moment
        };
        let (invoked, returned) = (
            moment - random.below(slack).min(moment),
            moment + random.below(slack),
        );
        let mut store = lists.clone();
        if random.one_in(mistakes) {
            // It begins from something old.
            for list in &mut store {
                let left = random.below(list.len() as u64 + 1);
                list.truncate(left as usize);
            }
        }
        let mut steps = Vec::new();
        for _ in 0..random.below(4) + u64::from(random.one_in(2)) {
            let key = random.below(keys) as usize;
            if random.one_in(2) {
                next += 1;
                let value = Value::Int(next);
                if !random.one_in(mistakes) {
                    store[key].push(value.clone());
                }
                if random.one_in(2 * mistakes) {
                    lists[key].push(value.clone());
                }
                steps.push((key, Ok(value)));
            } else {
                let mut seen = store[key].clone();
                if random.one_in(2 * mistakes) {
                    spoil(random, &mut seen);
                }
                steps.push((key, Err(seen)));
            }
        }
        let took_effect = match end {
            End::Ok => !random.one_in(mistakes),
            End::Info => random.one_in(2),
            End::Fail => random.one_in(mistakes),
        };
        if took_effect {
            lists = store;
        }
        history.push(Drawn {
            process: random.below(4),
            invoked,
            returned,
            end,
            steps,
        });
    }
    history
}

fn spoil(random: &mut Random, list: &mut Vec<Value>) {
    let place = random.below(list.len() as u64 + 1) as usize;
    match random.below(4) {
        0 => list.insert(place, Value::Int(random.below(8) as i64)),
        1 if place < list.len() => drop(list.remove(place)),
        2 if place < list.len() => list.swap(0, place),
        _ => list.truncate(place),
    }
}
