//! The workload `set`: elements are added to sets, which are read whole.
//!
//! Every element is added once. One that was acknowledged is in every set that is read from then on, once; the reads at the end look for it
//! once more.

use crate::op::Op;
use crate::rotation::{Rotation, TakingTurns, Turn, Turns};
use crate::workload::{Generator, Setting, Workload};

/// See the module's documentation.
pub(crate) struct Set;

impl Workload for Set {
    fn name(&self) -> &'static str {
        "set"
    }

    fn about(&self) -> &'static str {
        "adds to sets and reads of them; what was added is there from then on"
    }

    fn generator(&self, setting: Setting) -> Box<dyn Generator> {
        Box::new(TakingTurns::<Set>::new(setting))
    }

    fn needed_kinds(&self) -> &'static [&'static str] {
        &["add", "read"]
    }

    fn model(&self) -> &'static str {
        "set"
    }
}

impl Turns for Set {
    /// Reads return all of it, so it bounds what is recorded.
    const OPERATIONS_PER_KEY_MAX: u64 = 200;

    fn op(turn: Turn, rotation: &mut Rotation) -> Op {
        let key = turn.key;
        if rotation.is_look(turn) {
            return Set::look(key);
        }
        let element = rotation.number(turn.group);
        Op::Insert { key, element }
    }

    fn look(key: u64) -> Op {
        Op::Elements { key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{judge, watch};
    use checker::{CheckOptions, Limits, Log, Verdict};
    use std::collections::{BTreeMap, BTreeSet};

    /// Whether it is a violation that, where two elements were added, these are read.
    fn is_violation(elements: &str) -> bool {
        let line = |time: u64, kind: &str, f: &str, value: &str| {
            format!(
                "{{\"time\":{time},\"process\":0,\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":0,\"value\":{value}}}\n"
            )
        };
        let lines = [
            line(1, "invoke", "add", "1"),
            line(2, "ok", "add", "null"),
            line(3, "invoke", "add", "2"),
            line(4, "ok", "add", "null"),
            line(5, "invoke", "read", "null"),
            line(6, "ok", "read", elements),
            line(7, "invoke", "read", "null"),
        ];
        let lines = lines.concat();
        let header = "{\"rustyraft-history\":1,\"workload\":\"set\"}\n";
        let log = Log::read(format!("{header}{lines}").as_bytes()).unwrap();
        let verdict = judge(&log, &CheckOptions::default()).unwrap().verdict;
        let seen = watch(&Set, Limits::default())
            .unwrap()
            .push(lines.as_bytes())
            .unwrap();
        let is_violation = match verdict {
            Verdict::Violation(explanation) => {
                let shown = elements.trim_matches(['[', ']']).replace(',', ", ");
                assert!(explanation.text.contains(&shown), "{}", explanation.text);
                true
            }
            Verdict::Valid => false,
            Verdict::Unknown(reason) => panic!("{reason}"),
        };
        assert_eq!(is_violation, seen.is_some());
        is_violation
    }

    #[test]
    fn an_element_that_is_lost_or_doubled_is_a_violation() {
        assert!(!is_violation("[1,2]"));
        assert!(!is_violation("[2,1]"));
        assert!(is_violation("[1,2,1]"));
        assert!(is_violation("[1,2,2]"));
        assert!(is_violation("[2]"));
    }

    fn operations(seed: u64, count: usize) -> Vec<Op> {
        let mut generator = Set.generator(Setting {
            seed,
            nodes: 3,
            concurrency: 12,
        });
        (0..count).filter_map(|turn| generator.next(turn % 12)).collect()
    }

    #[test]
    fn the_seed_decides_and_every_element_is_added_once() {
        let made = operations(7, 5000);
        assert_eq!(made, operations(7, 5000));
        assert_ne!(made, operations(8, 5000));
        let mut sets = BTreeMap::<u64, BTreeSet<u64>>::new();
        for op in &made {
            if let Op::Insert { key, element } = op {
                assert!(
                    sets.entry(*key).or_default().insert(*element),
                    "{op:?} comes twice"
                );
            }
        }
        assert!(sets.len() > 20, "{} sets", sets.len());
        let added: usize = sets.values().map(BTreeSet::len).sum();
        assert!((1500..2500).contains(&added), "{added} of 5000 add");
    }
}
