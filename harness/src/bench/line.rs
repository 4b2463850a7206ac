//! What the rounds of one system at one point come to.

use super::measure::Round;
use super::memory::Memory;
use super::placement::Placement;
use super::stages::StageLine;
use super::system::System;
use super::{BenchOptions, Op};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};

/// One load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    /// How many clients.
    pub(super) clients: usize,
    /// How many requests each of them has in flight.
    pub(super) pipeline: usize,
    /// What they do.
    pub(super) op: Op,
}

impl Point {
    /// How many requests there are in flight, on all connections together.
    pub(super) fn in_flight(&self) -> usize {
        self.clients * self.pipeline
    }

    /// Whether the other one has as many requests in flight on one connection, where this one has a connection for each.
    pub(super) fn is_piped_by(&self, other: &Point) -> bool {
        let alike = (other.op, other.in_flight()) == (self.op, self.in_flight());
        alike && self.clients > 1 && self.pipeline == 1 && other.clients == 1
    }
}

impl Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.clients == 1 { "" } else { "s" };
        write!(f, "{}, {} client{plural}", self.op, self.clients)?;
        if self.pipeline > 1 {
            write!(f, ", {} in flight each", self.pipeline)?;
        }
        Ok(())
    }
}

/// What was measured; medians over rounds, each of them of that round's own value. The line that `--json` prints: fields are only
/// ever added, and `harness help json` says what they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    #[serde(flatten)]
    pub(super) what: What,
    pub(super) rounds: u32,
    pub(super) failed_rounds: u32,
    pub(super) busy_rounds: u32,
    pub(super) per_second: f64,
    pub(super) per_second_min: f64,
    pub(super) per_second_max: f64,
    pub(super) p50_us: f64,
    pub(super) p90_us: f64,
    pub(super) p99_us: f64,
    pub(super) p999_us: f64,
    pub(super) max_us: f64,
    pub(super) cpu_us_per_op: f64,
    pub(super) load_cpu: f64,
    pub(super) foreign_cpu: f64,
    pub(super) floor_p50_us: Option<f64>,
    pub(super) floor_p99_us: Option<f64>,
    /// How many times as many requests a second the run's first system has done, by round.
    pub(super) first_ratio: Option<Spread>,
    /// The same at another point, where the first system has as many requests in flight on one connection as this one on many.
    #[serde(default)]
    pub(super) piped_ratio: Option<Spread>,
    #[serde(default, skip_deserializing)]
    pub(super) stages: Option<Vec<StageLine>>,
    #[serde(default, skip_deserializing)]
    pub(super) baseline: Option<Compared>,
    pub(super) fsync: bool,
    /// How many requests were done in the time that was measured.
    #[serde(default)]
    pub(super) done: f64,
    /// What each server's process took of the memory, at most in any round.
    #[serde(default)]
    pub(super) memory: Vec<Memory>,
    /// How many requests the checker has judged, over all rounds, and found to be linearizable.
    #[serde(default)]
    pub(super) checked: usize,
}

/// What a line is about: lines of two results that agree in this can be compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct What {
    pub(super) system: String,
    pub(super) setting: Option<String>,
    #[serde(default)]
    pub(super) placement: Placement,
    pub(super) nodes: u64,
    pub(super) clients: usize,
    pub(super) pipeline: usize,
    pub(super) value_bytes: usize,
    pub(super) op: Op,
    pub(super) rate: Option<u64>,
}

/// A value in several rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    /// `None` if there are no values.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let (lower, upper) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Spread {
            median: (lower + upper) / 2.0,
            min,
            max,
        })
    }
}

/// This result as a multiple of an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Compared {
    pub(super) per_second: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
}

impl Line {
    /// The line of a system by its own rounds, and those of the first system if that is another one. `None` if every round failed.
    pub(super) fn new(
        options: &BenchOptions,
        system: &System,
        point: &Point,
        rounds: &[Option<Round>],
        first: Option<&[Option<Round>]>,
    ) -> Option<Line> {
        let done: Vec<&Round> = rounds.iter().flatten().collect();
        let per_second = Spread::of(done.iter().map(|round| round.per_second))?;
        let median = |of: &dyn Fn(&Round) -> f64| {
            let values = Spread::of(done.iter().map(|round| of(round)));
            values.expect("there are rounds").median
        };
        let quantile = |quantile: f64| {
            median(&|round: &Round| microseconds(round.latencies.value_at_quantile(quantile)))
        };
        let count = |number: usize| u32::try_from(number).expect("there are few rounds");
        Some(Line {
            what: What {
                system: system.name.to_string(),
                setting: system.setting(),
                placement: system.placement(),
                nodes: system.nodes(options.nodes),
                clients: point.clients,
                pipeline: point.pipeline,
                value_bytes: options.value_bytes,
                op: point.op,
                rate: options.rate,
            },
            rounds: count(rounds.len()),
            failed_rounds: count(rounds.len() - done.len()),
            busy_rounds: count(done.iter().filter(|round| round.busy).count()),
            per_second: per_second.median,
            per_second_min: per_second.min,
            per_second_max: per_second.max,
            p50_us: quantile(0.5),
            p90_us: quantile(0.9),
            p99_us: quantile(0.99),
            p999_us: quantile(0.999),
            max_us: median(&|round: &Round| microseconds(round.latencies.max())),
            cpu_us_per_op: median(&|round: &Round| 1e6 * round.cpu_per_op.as_secs_f64()),
            load_cpu: median(&|round: &Round| round.load_share),
            foreign_cpu: median(&|round: &Round| round.foreign_share),
            floor_p50_us: None,
            floor_p99_us: None,
            first_ratio: first.and_then(|first| ratio(first, rounds)),
            piped_ratio: None,
            stages: stages(&done),
            baseline: None,
            fsync: true,
            done: median(&|round: &Round| round.done as f64),
            memory: memory(&done),
            checked: done.iter().map(|round| round.checked).sum(),
        })
    }
}

/// The first system's rate by this one's, in the rounds that both have done.
pub(super) fn ratio(first: &[Option<Round>], own: &[Option<Round>]) -> Option<Spread> {
    let both = first.iter().zip(own);
    Spread::of(both.filter_map(|(first, own)| Some(first.as_ref()?.per_second / own.as_ref()?.per_second)))
}

/// The most that each server took.
fn memory(rounds: &[&Round]) -> Vec<Memory> {
    let mut most: Vec<Memory> = Vec::new();
    for round in rounds {
        most.resize(most.len().max(round.memory.len()), Memory::default());
        for (most, memory) in most.iter_mut().zip(&round.memory) {
            most.resident_bytes = most.resident_bytes.max(memory.resident_bytes);
            most.peak_bytes = most.peak_bytes.max(memory.peak_bytes);
        }
    }
    most
}

/// All rounds together.
fn stages(rounds: &[&Round]) -> Option<Vec<StageLine>> {
    let mut rounds = rounds.iter().filter_map(|round| round.stages.as_ref());
    let mut all = rounds.next()?.clone();
    for round in rounds {
        all.add(round);
    }
    Some(all.lines())
}

fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_lies_in_the_middle() {
        let spread = |values: &[f64]| Spread::of(values.iter().copied());
        let of = |median, min, max| Some(Spread { median, min, max });
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[3.0]), of(3.0, 3.0, 3.0));
        assert_eq!(spread(&[5.0, 1.0, 4.0]), of(4.0, 1.0, 5.0));
        assert_eq!(spread(&[5.0, 1.0, 4.0, 2.0]), of(3.0, 1.0, 5.0));
    }

    #[test]
    fn ratios_are_of_rounds_that_both_have_done() {
        let round = |per_second| {
            Some(Round {
                per_second,
                latencies: hdrhistogram::Histogram::new(3).unwrap(),
                cpu_per_op: std::time::Duration::ZERO,
                load_share: 0.0,
                foreign_share: 0.0,
                busy: false,
                stages: None,
                done: 0,
                memory: Vec::new(),
                checked: 0,
            })
        };
        let first = [round(10.0), None, round(30.0), round(8.0)];
        let own = [round(5.0), round(5.0), round(10.0), None];
        let expected = Spread {
            median: 2.5,
            min: 2.0,
            max: 3.0,
        };
        assert_eq!(ratio(&first, &own), Some(expected));
        assert_eq!(ratio(&[None], &[round(1.0)]), None);
    }
}
