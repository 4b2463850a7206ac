//! What was measured, in words and as JSON.

use super::Plan;
use super::writer::batch_bytes;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// What was measured. Fields are only ever added.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Report {
    value_bytes: usize,
    /// What a put of that value takes in the log.
    batch_bytes: usize,
    samples: usize,
    #[serde(flatten)]
    ways: BTreeMap<&'static str, Quantiles>,
}

/// How long something took, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Quantiles {
    p50_us: f64,
    p90_us: f64,
    p99_us: f64,
    max_us: f64,
}

impl Report {
    pub(super) fn new(plan: &Plan, times: impl IntoIterator<Item = (&'static str, Vec<Duration>)>) -> Report {
        let ways = times
            .into_iter()
            .map(|(name, times)| (name, Quantiles::of(times)));
        Report {
            value_bytes: plan.value_bytes,
            batch_bytes: batch_bytes(plan.value_bytes),
            samples: plan.samples,
            ways: ways.collect(),
        }
    }

    /// One line.
    pub(super) fn json(&self) -> String {
        let json = serde_json::to_string(self).expect("numbers and texts are always JSON");
        format!("{json}\n")
    }

    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "a value of {} bytes, which takes {} in the log; {} samples, in µs\n\n{:<18}{:>9}{:>9}{:>9}{:>9}\n",
            self.value_bytes, self.batch_bytes, self.samples, "", "p50", "p90", "p99", "max"
        );
        for (name, quantiles) in &self.ways {
            let Quantiles {
                p50_us,
                p90_us,
                p99_us,
                max_us,
            } = quantiles;
            let name = name.replace('_', " ");
            text.push_str(&format!(
                "{name:<18}{p50_us:>9.1}{p90_us:>9.1}{p99_us:>9.1}{max_us:>9.1}\n"
            ));
        }
        text
    }
}

impl Quantiles {
    /// # Panics
    /// There are no times.
    fn of(mut times: Vec<Duration>) -> Quantiles {
        times.sort_unstable();
        let last = times.len().checked_sub(1).expect("something was measured");
        // The least that so many of 100 do not exceed.
        let quantile = |percent: usize| microseconds(times[(times.len() * percent).div_ceil(100) - 1]);
        Quantiles {
            p50_us: quantile(50),
            p90_us: quantile(90),
            p99_us: quantile(99),
            max_us: microseconds(times[last]),
        }
    }
}

fn microseconds(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantiles(microseconds: impl Iterator<Item = u64>) -> Quantiles {
        Quantiles::of(microseconds.map(Duration::from_micros).collect())
    }

    #[test]
    fn quantiles_are_of_what_was_measured() {
        let of = |p50_us, p90_us, p99_us, max_us| Quantiles {
            p50_us,
            p90_us,
            p99_us,
            max_us,
        };
        assert_eq!(quantiles((1..=1000).rev()), of(500.0, 900.0, 990.0, 1000.0));
        assert_eq!(quantiles(std::iter::once(7)), of(7.0, 7.0, 7.0, 7.0));
        assert_eq!(quantiles([1, 2, 3].into_iter()), of(2.0, 3.0, 3.0, 3.0));
    }
}
