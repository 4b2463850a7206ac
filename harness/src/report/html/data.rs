//! What the script of a page is given: the history as columns, and what was found in it.

use super::Page;
use crate::report::faults::{Fault, faults};
use checker::Explanation;
use checker::history::{Call, End, Value};
use serde::Serialize;
use std::collections::BTreeMap;

/// How many operations a page has; those around the first violation, where there are more.
const OPERATIONS_MAX: usize = 200_000;

/// See the module's documentation.
#[derive(Serialize)]
pub(super) struct Data<'a> {
    verdict: &'a str,
    title: &'a str,
    reason: &'a str,
    facts: &'a [(String, String)],
    timed: bool,
    begin: u64,
    end: u64,
    left_out: usize,
    violations: Vec<Violation<'a>>,
    faults: Vec<Fault>,
    words: Vec<String>,
    columns: Columns,
}

/// A violation; operations are named by their places in the columns.
#[derive(Serialize)]
struct Violation<'a> {
    object: &'a str,
    text: &'a str,
    culprit: Option<usize>,
    core: Vec<usize>,
    orders: Vec<Order>,
}

/// Part of an order of operations: how many there are before, and all in all.
#[derive(Serialize)]
struct Order {
    before: usize,
    length: usize,
    operations: Vec<Option<usize>>,
}

/// The operations, in the order of their invocations. Texts are places among the words, or -1 where there is none.
#[derive(Default, Serialize)]
struct Columns {
    process: Vec<u64>,
    node: Vec<Option<u64>>,
    f: Vec<i64>,
    key: Vec<i64>,
    argument: Vec<i64>,
    result: Vec<i64>,
    /// 0: ok, 1: failed, 2: nobody knows.
    end: Vec<u8>,
    invoked: Vec<u64>,
    /// One whose outcome nobody learned may take effect at any later time.
    returned: Vec<Option<u64>>,
}

/// Each text once.
#[derive(Default)]
struct Words {
    places: BTreeMap<String, i64>,
    words: Vec<String>,
}

impl Words {
    fn place(&mut self, word: &str) -> i64 {
        if let Some(place) = self.places.get(word) {
            return *place;
        }
        let place = i64::try_from(self.words.len()).expect("fewer texts are in memory at once");
        self.places.insert(word.to_owned(), place);
        self.words.push(word.to_owned());
        place
    }

    fn value(&mut self, value: &Value) -> i64 {
        if value.is_null() {
            return -1;
        }
        self.place(&value.to_string())
    }
}

impl Columns {
    fn push(&mut self, call: &Call, words: &mut Words) {
        self.process.push(call.process);
        self.node.push(call.node);
        self.f.push(words.place(&call.f));
        self.key
            .push(call.key.as_ref().map_or(-1, |key| words.value(key)));
        self.argument.push(words.value(&call.argument));
        self.result.push(words.value(&call.result));
        self.end.push(match call.end {
            End::Ok => 0,
            End::Fail => 1,
            End::Info => 2,
        });
        self.invoked.push(call.invoked);
        self.returned
            .push((call.end != End::Info && call.returned != u64::MAX).then_some(call.returned));
    }
}

impl<'a> Data<'a> {
    /// What a page shows.
    pub(super) fn of(page: &'a Page<'_>) -> Data<'a> {
        let calls = &page.log.calls;
        let shown = shown(calls.len(), &page.violations);
        let (mut words, mut columns) = (Words::default(), Columns::default());
        for place in &shown {
            columns.push(&calls[*place], &mut words);
        }
        let last = columns
            .invoked
            .iter()
            .chain(columns.returned.iter().flatten())
            .max();
        Data {
            verdict: page.verdict,
            title: &page.title,
            reason: &page.reason,
            facts: &page.facts,
            timed: page.log.timed,
            begin: columns.invoked.first().copied().unwrap_or(0),
            end: last.copied().unwrap_or(0),
            left_out: calls.len() - shown.len(),
            violations: page
                .violations
                .iter()
                .map(|violation| Violation::of(violation, &shown))
                .collect(),
            faults: faults(&page.log.remarks),
            words: words.words,
            columns,
        }
    }
}

impl<'a> Violation<'a> {
    fn of(explanation: &'a Explanation, shown: &[usize]) -> Violation<'a> {
        let place = |call: &usize| shown.binary_search(call).ok();
        let order = |order: &Vec<usize>| {
            let before = order.iter().take_while(|call| place(call).is_none()).count();
            Order {
                before,
                length: order.len(),
                operations: order[before..].iter().map(place).collect(),
            }
        };
        Violation {
            object: &explanation.object,
            text: &explanation.text,
            culprit: explanation.culprit.as_ref().and_then(place),
            core: explanation.core.iter().filter_map(place).collect(),
            orders: explanation.prefixes.iter().map(order).collect(),
        }
    }
}

/// The places of the calls that a page shows.
fn shown(count: usize, violations: &[&Explanation]) -> Vec<usize> {
    let culprit = violations.first().and_then(|first| first.culprit);
    // What came before a violation explains more than what came after it.
    let wanted = culprit.map_or(0, |culprit| culprit.saturating_sub(OPERATIONS_MAX / 4 * 3));
    let first = wanted.min(count.saturating_sub(OPERATIONS_MAX));
    let mut shown: Vec<usize> = (first..count.min(first + OPERATIONS_MAX)).collect();
    for violation in violations {
        shown.extend(violation.core.iter().chain(&violation.culprit));
    }
    shown.sort_unstable();
    shown.dedup();
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_a_long_history_has_what_is_around_the_violation_and_the_core() {
        let count = 3 * OPERATIONS_MAX;
        let explanation = Explanation {
            culprit: Some(count - 10),
            core: vec![5, count - 10],
            ..Explanation::default()
        };
        let shown = shown(count, &[&explanation]);
        assert_eq!(
            (shown.len(), shown[0], shown[1]),
            (OPERATIONS_MAX + 1, 5, count - OPERATIONS_MAX)
        );
        assert!(shown.contains(&(count - 10)));
        assert_eq!(super::shown(3, &[]), [0, 1, 2]);
    }
}
