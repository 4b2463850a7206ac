//! Where the node's time went while it was measured, from what it counts itself.

use serde::Serialize;
use std::collections::BTreeMap;
use wire::client::{Stage, StageTimes, TimeCount};

/// How often each stage took how long, by nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stages(BTreeMap<Stage, BTreeMap<u64, u64>>);

/// A stage over all rounds, in microseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct StageLine {
    pub(super) stage: &'static str,
    pub(super) count: u64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

impl Stages {
    /// What was added between two answers of one node.
    pub(super) fn between(before: &[StageTimes], after: &[StageTimes]) -> Stages {
        let mut stages = Stages::default();
        stages.count(after, u64::saturating_add);
        stages.count(before, u64::saturating_sub);
        stages
    }

    /// Adds another round.
    pub(super) fn add(&mut self, other: &Stages) {
        for (stage, times) in &other.0 {
            let sums = self.0.entry(*stage).or_default();
            for (nanoseconds, count) in times {
                *sums.entry(*nanoseconds).or_default() += count;
            }
        }
    }

    fn count(&mut self, answer: &[StageTimes], apply: fn(u64, u64) -> u64) {
        for StageTimes { stage, times } in answer {
            let sums = self.0.entry(*stage).or_default();
            for time in times {
                let sum = sums.entry(time.nanoseconds).or_default();
                *sum = apply(*sum, time.count);
            }
        }
    }

    /// Those stages that there were, in the order in which a commit meets them.
    pub(super) fn lines(&self) -> Vec<StageLine> {
        let lines = self.0.iter().filter_map(|(stage, sums)| {
            let times = sums.iter().map(|(nanoseconds, count)| TimeCount {
                nanoseconds: *nanoseconds,
                count: *count,
            });
            let times = StageTimes {
                stage: *stage,
                times: times.filter(|time| time.count > 0).collect(),
            };
            Some(StageLine {
                stage: stage.name(),
                count: times.count(),
                p50_us: times.quantile(500)? as f64 / 1e3,
                p99_us: times.quantile(990)? as f64 / 1e3,
            })
        });
        lines.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(stage: Stage, times: &[(u64, u64)]) -> StageTimes {
        let time = |(nanoseconds, count): &(u64, u64)| TimeCount {
            nanoseconds: *nanoseconds,
            count: *count,
        };
        StageTimes {
            stage,
            times: times.iter().map(time).collect(),
        }
    }

    #[test]
    fn what_was_there_before_does_not_count() {
        let before = [times(Stage::Sync, &[(1000, 5)]), times(Stage::Peer, &[(7, 1)])];
        let after = [
            times(Stage::Sync, &[(1000, 7), (3000, 2)]),
            times(Stage::Peer, &[(7, 1)]),
        ];
        let mut stages = Stages::between(&before, &after);
        let line = |count, p50_us| StageLine {
            stage: "sync",
            count,
            p50_us,
            p99_us: 3.0,
        };
        assert_eq!(stages.lines(), [line(4, 1.0)]);
        stages.add(&Stages::between(&[], &[times(Stage::Sync, &[(3000, 9)])]));
        assert_eq!(stages.lines(), [line(13, 3.0)]);
    }
}
