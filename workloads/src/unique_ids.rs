//! The workload `unique-ids`: ids are generated, by a number that is added to, and no two are the same.
//!
//! What is added is always one, to a single key, so that the seed decides nothing: all is up to who asks when.

use crate::op::{Completion, Op};
use crate::workload::{Generator, Setting, Workload};

/// Where ids come from.
const SOURCE: u64 = 0;

/// See the module's documentation.
pub(crate) struct UniqueIds;

impl Workload for UniqueIds {
    fn name(&self) -> &'static str {
        "unique-ids"
    }

    fn about(&self) -> &'static str {
        "ids that a number gives out which is added to; no two are the same"
    }

    fn generator(&self, _: Setting) -> Box<dyn Generator> {
        Box::new(UniqueIdsGenerator)
    }

    fn needed_kinds(&self) -> &'static [&'static str] {
        &["generate"]
    }

    fn model(&self) -> &'static str {
        "unique-ids"
    }
}

struct UniqueIdsGenerator;

impl Generator for UniqueIdsGenerator {
    fn next(&mut self, _: usize) -> Option<Op> {
        Some(Op::Generate { key: SOURCE })
    }

    fn completed(&mut self, _: usize, _: &Op, _: &Completion) {}

    /// One more at each node: a source that has lost what it gave out gives out the same again.
    fn final_reads(&self) -> Vec<Op> {
        vec![Op::Generate { key: SOURCE }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge;
    use checker::{CheckOptions, Log, Verdict};

    /// A history of two ids that were given out, one after the other.
    fn verdict(first: u64, second: u64) -> Verdict {
        let mut lines = vec![String::from(r#"{"rustyraft-history":1,"workload":"unique-ids"}"#)];
        for (time, id) in [(1, first), (3, second)] {
            let line = |time: u64, kind: &str, value: &str| {
                format!(
                    r#"{{"time":{time},"process":0,"type":"{kind}","f":"generate","key":0,"value":{value}}}"#
                )
            };
            lines.extend([
                line(time, "invoke", "null"),
                line(time + 1, "ok", &id.to_string()),
            ]);
        }
        let log = Log::read(lines.join("\n").as_bytes()).unwrap();
        judge(&log, &CheckOptions::default()).unwrap().verdict
    }

    #[test]
    fn an_id_that_is_given_out_twice_is_a_violation() {
        assert_eq!(verdict(1, 2), Verdict::Valid);
        assert!(
            matches!(verdict(2, 2), Verdict::Violation(_)),
            "{:?}",
            verdict(2, 2)
        );
    }

    #[test]
    fn whatever_the_seed_and_the_thread_an_id_is_asked_for() {
        for seed in 0..3 {
            let setting = Setting {
                seed,
                nodes: 3,
                concurrency: 6,
            };
            let mut generator = UniqueIds.generator(setting);
            assert!((0..6).all(|thread| generator.next(thread) == Some(Op::Generate { key: SOURCE })));
        }
    }
}
