//! What the load generator measures.

use hdrhistogram::Histogram;
use std::time::{Duration, Instant};

/// The longest latency that is told from longer ones.
const LATENCY_MAX: Duration = Duration::from_secs(60);

/// What was measured between two instants.
#[derive(Clone, Debug)]
pub(in crate::bench) struct Measured {
    begin: Instant,
    duration: Duration,
    /// Of the requests that were due in that time, in nanoseconds; those that were answered later are among them.
    latencies: Histogram<u64>,
    /// How many requests were done in that time.
    done: u64,
    /// How many were done at any time.
    all_done: u64,
    refused: u64,
    first_refusal: Option<String>,
}

impl Measured {
    pub(super) fn new(begin: Instant, duration: Duration) -> Measured {
        let latency_max = u64::try_from(LATENCY_MAX.as_nanos()).expect("a minute is a small number");
        Measured {
            begin,
            duration,
            latencies: Histogram::new_with_max(latency_max, 3)
                .expect("three digits are one of the precisions it has"),
            done: 0,
            all_done: 0,
            refused: 0,
            first_refusal: None,
        }
    }

    pub(super) fn end(&self) -> Instant {
        self.begin + self.duration
    }

    pub(super) fn done(&mut self, due: Instant, answered: Instant) {
        self.all_done += 1;
        let window = self.begin..self.end();
        if window.contains(&answered) {
            self.done += 1;
        }
        if window.contains(&due) {
            let latency = answered.saturating_duration_since(due).as_nanos();
            self.latencies
                .saturating_record(u64::try_from(latency).unwrap_or(u64::MAX));
        }
    }

    pub(super) fn refused(&mut self, reason: String) {
        self.refused += 1;
        self.first_refusal.get_or_insert(reason);
    }

    /// How many requests were done or refused, also before and after the time that is measured.
    pub(super) fn answered(&self) -> u64 {
        self.all_done + self.refused
    }

    /// How many requests were done in the time that is measured.
    pub(in crate::bench) fn count(&self) -> u64 {
        self.done
    }

    /// How many of them in each second.
    pub(in crate::bench) fn per_second(&self) -> f64 {
        self.done as f64 / self.duration.as_secs_f64()
    }

    /// Latencies in nanoseconds.
    pub(in crate::bench) fn latencies(&self) -> &Histogram<u64> {
        &self.latencies
    }

    /// How many requests were refused, and why the first one was.
    pub(in crate::bench) fn refusals(&self) -> Option<(u64, &str)> {
        let reason = self.first_refusal.as_deref()?;
        Some((self.refused, reason))
    }
}
