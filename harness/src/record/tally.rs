//! What the recorder counts.

use crate::client::accuses;
use checker::Log;
use checker::history::End;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest latency that is told from longer ones, in microseconds.
const LATENCY_MICROSECONDS_MAX: u64 = 60_000_000;
/// How many different reasons are counted apart; what comes after them counts as [`OTHER_REASONS`].
const REASONS_MAX: usize = 64;
const OTHER_REASONS: &str = "other reasons";

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It took effect.
    Ok,
    /// It did not happen.
    Fail,
    /// Nobody knows.
    Info,
}

/// Operations by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// They took effect.
    pub ok: u64,
    /// They did not happen.
    pub fail: u64,
    /// Nobody knows.
    pub info: u64,
}

impl Counts {
    /// All of them.
    pub fn total(self) -> u64 {
        self.ok + self.fail + self.info
    }
}

/// Latencies, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// How many operations.
    pub count: u64,
    /// Half of them took no longer.
    pub p50_us: u64,
    /// 99 of 100 took no longer.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// See the module's documentation.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    invoked: u64,
    by_kind: BTreeMap<(Cow<'static, str>, Outcome), Histogram<u32>>,
    reasons: BTreeMap<(Outcome, String), u64>,
    /// The first reason that [accuses] the system: however many others there are, it is not lost among them.
    accusation: Option<String>,
}

impl Tally {
    pub(super) fn invoked(&mut self) {
        self.invoked += 1;
    }

    pub(super) fn completed(
        &mut self,
        kind: impl Into<Cow<'static, str>>,
        outcome: Outcome,
        latency: Duration,
    ) {
        let histogram = self.by_kind.entry((kind.into(), outcome)).or_insert_with(|| {
            Histogram::new_with_max(LATENCY_MICROSECONDS_MAX, 2)
                .expect("two digits are one of the precisions it has")
        });
        histogram.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    pub(super) fn reason(&mut self, outcome: Outcome, reason: &str) {
        if self.accusation.is_none() && accuses(reason) {
            self.accusation = Some(reason.to_owned());
        }
        let reason = without_particulars(reason);
        if let Some(count) = self.reasons.get_mut(&(outcome, reason.clone())) {
            *count += 1;
            return;
        }
        let reason = if self.reasons.len() < REASONS_MAX {
            reason
        } else {
            OTHER_REASONS.to_owned()
        };
        *self.reasons.entry((outcome, reason)).or_default() += 1;
    }

    /// What can be counted in a history. Reasons are not kept there.
    pub fn of(log: &Log) -> Tally {
        let mut tally = Tally::default();
        for call in &log.calls {
            tally.invoked();
            let outcome = match call.end {
                End::Ok => Outcome::Ok,
                End::Fail => Outcome::Fail,
                End::Info => Outcome::Info,
            };
            // One that is open at the end of the history was not completed.
            if call.returned != u64::MAX {
                let latency = Duration::from_nanos(call.returned.saturating_sub(call.invoked));
                tally.completed(call.f.to_string(), outcome, latency);
            }
        }
        tally
    }

    /// How many operations were invoked.
    pub fn invocations(&self) -> u64 {
        self.invoked
    }

    /// How many operations there were, by outcome.
    pub fn counts(&self) -> Counts {
        let of = |outcome| {
            self.by_kind
                .iter()
                .filter(|((_, other), _)| *other == outcome)
                .map(|(_, histogram)| histogram.len())
                .sum()
        };
        Counts {
            ok: of(Outcome::Ok),
            fail: of(Outcome::Fail),
            info: of(Outcome::Info),
        }
    }

    /// How many operations of a kind were ok.
    pub fn ok_of(&self, kind: &str) -> u64 {
        self.by_kind
            .iter()
            .filter(|((other, outcome), _)| *other == kind && *outcome == Outcome::Ok)
            .map(|(_, histogram)| histogram.len())
            .sum()
    }

    /// Latencies by kind and outcome.
    pub fn latencies(&self) -> BTreeMap<(Cow<'static, str>, Outcome), Latency> {
        self.by_kind
            .iter()
            .map(|(of, histogram)| {
                let latency = Latency {
                    count: histogram.len(),
                    p50_us: histogram.value_at_quantile(0.5),
                    p99_us: histogram.value_at_quantile(0.99),
                    max_us: histogram.max(),
                };
                (of.clone(), latency)
            })
            .collect()
    }

    /// Why operations were not ok, and how often.
    pub fn reasons(&self) -> impl Iterator<Item = (Outcome, &str, u64)> {
        self.reasons
            .iter()
            .map(|((outcome, reason), count)| (*outcome, reason.as_str(), *count))
    }

    /// What the system answered that none may, if it did.
    pub fn accusation(&self) -> Option<&str> {
        self.accusation.as_deref()
    }
}

/// A reason without what differs from case to case: `not the leader; node 3 at …` and `not the leader; node 2 at …` are one, and so are
/// `redirected to node 3: …` and `redirected to node 2: …`.
fn without_particulars(reason: &str) -> String {
    let cut = reason.find(';').unwrap_or(reason.len());
    let words = reason[..cut].split(' ').map(|word| {
        let mark = if word.ends_with([':', ',']) {
            &word[word.len() - 1..]
        } else {
            ""
        };
        let number = &word[..word.len() - mark.len()];
        if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
            Cow::Owned(format!("N{mark}"))
        } else {
            Cow::Borrowed(word)
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_latencies_and_reasons_are_kept_by_kind_and_outcome() {
        let mut tally = Tally::default();
        for milliseconds in 1..=100 {
            tally.completed("read", Outcome::Ok, Duration::from_millis(milliseconds));
        }
        tally.completed("write", Outcome::Info, Duration::from_secs(600));
        tally.reason(Outcome::Fail, "not the leader; node 3 at 127.0.0.1:1 leads");
        tally.reason(Outcome::Fail, "not the leader; node 2 at 127.0.0.1:2 leads");
        tally.reason(Outcome::Fail, "node 4 is down");
        tally.reason(Outcome::Info, "redirected to node 2: refused (os error 111)");
        tally.reason(Outcome::Info, "redirected to node 3: refused (os error 111)");
        assert_eq!(
            tally.counts(),
            Counts {
                ok: 100,
                fail: 0,
                info: 1
            }
        );
        assert_eq!((tally.ok_of("read"), tally.ok_of("write")), (100, 0));
        let read = tally.latencies()[&("read".into(), Outcome::Ok)];
        assert!((49_000..=51_000).contains(&read.p50_us), "{read:?}");
        assert!((99_000..=101_000).contains(&read.p99_us), "{read:?}");
        assert!(read.max_us >= 100_000, "{read:?}");
        // What lasted longer than can be told counts as the longest.
        assert!(tally.latencies()[&("write".into(), Outcome::Info)].max_us >= LATENCY_MICROSECONDS_MAX);
        let reasons: Vec<_> = tally.reasons().collect();
        assert_eq!(
            reasons,
            [
                (Outcome::Fail, "node N is down", 1),
                (Outcome::Fail, "not the leader", 2),
                (Outcome::Info, "redirected to node N: refused (os error 111)", 2)
            ]
        );
    }

    #[test]
    fn what_no_system_may_answer_is_not_lost_among_other_reasons() {
        use crate::client::{MISANSWERED, NOT_THE_PROTOCOL};
        for said in [
            MISANSWERED,
            &format!("redirected to node 2: the node {NOT_THE_PROTOCOL}: x"),
        ] {
            let mut tally = Tally::default();
            for number in 0..2 * REASONS_MAX {
                tally.reason(Outcome::Fail, &format!("reason-{number}"));
            }
            assert_eq!(tally.accusation(), None);
            tally.reason(Outcome::Info, said);
            tally.reason(Outcome::Fail, "busy");
            assert_eq!(tally.accusation(), Some(said));
        }
    }

    #[test]
    fn reasons_are_bounded() {
        let mut tally = Tally::default();
        for number in 0..2 * REASONS_MAX {
            tally.reason(Outcome::Fail, &format!("reason-{number}"));
        }
        assert_eq!(tally.reasons().count(), REASONS_MAX + 1);
        assert_eq!(
            tally.reasons().map(|(_, _, count)| count).sum::<u64>(),
            2 * REASONS_MAX as u64
        );
    }
}
