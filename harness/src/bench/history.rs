//! What was done to a sample of the keys, and whether it is linearizable.
//!
//! A measurement says nothing of a system that answers wrongly. So of some keys every request is kept, with when it was made and when its
//! answer was there, from the first write to a last read of each, and the checker judges that history as it judges any other; also where the
//! measurement came to nothing for another reason.

use super::protocol::{Answer, Question};
use crate::run::{HISTORY, JudgeError, Request, judge};
use checker::Verdict;
use checker::history::{Header, Kind, Process, Record, Value};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Of how many keys all requests are kept.
const SAMPLE_KEYS: u32 = 512;

/// How many requests are kept at most. One that has more is not judged.
const CALLS_MAX: usize = 4 << 20;

/// What a measurement's history is judged as.
const WORKLOAD: &str = "register";

/// The requests on a sample of the keys.
#[derive(Clone, Debug)]
pub(super) struct History {
    begun: Instant,
    keys: u32,
    calls: Vec<Call>,
    /// There were more requests than are kept.
    is_cut: bool,
}

/// A request that was answered, or a write that may take effect at any time.
#[derive(Clone, Copy, Debug)]
struct Call {
    key: u32,
    /// The stamp that it wrote; `None`: it read.
    wrote: Option<u64>,
    /// The stamp that it read.
    read: Option<u64>,
    /// In nanoseconds.
    invoked: u64,
    /// `None`: no definite answer came to the write.
    returned: Option<u64>,
}

/// Why a measurement does not count.
#[derive(Debug, thiserror::Error)]
pub(super) enum HistoryError {
    /// The system has answered wrongly.
    #[error("what clients saw is not linearizable: see `harness check {0}`")]
    Violation(PathBuf),
    /// Nobody can tell.
    #[error("whether what clients saw is linearizable could not be told: {0}")]
    Unknown(String),
    /// The history can't be written or read.
    #[error("the history can't be judged: {0}")]
    Judge(#[from] JudgeError),
}

impl History {
    /// The history of a system that holds nothing, of which `keys` keys will be used.
    pub(super) fn begin(keys: u32) -> History {
        History {
            begun: Instant::now(),
            keys: keys.min(SAMPLE_KEYS),
            calls: Vec::new(),
            is_cut: false,
        }
    }

    /// The keys from 0 up to this one are kept.
    pub(super) fn keys(&self) -> u32 {
        self.keys
    }

    /// A request was sent at `invoked` or later, and at `returned` its answer was there.
    pub(super) fn answered(
        &mut self,
        question: Question,
        answer: &Answer,
        (invoked, returned): (Instant, Instant),
    ) {
        match (question, answer) {
            (Question::Put { key, stamp }, Answer::Written) => {
                self.keep(key, (Some(stamp), None), (invoked, Some(returned)));
            }
            (Question::Get { key }, Answer::Value(stamp)) => {
                self.keep(key, (None, *stamp), (invoked, Some(returned)));
            }
            // Also what is refused may have been written.
            (
                Question::Put { .. } | Question::Get { .. },
                Answer::Written | Answer::Value(_) | Answer::Refused(_),
            ) => self.unanswered(question, invoked),
        }
    }

    /// A request was sent at `invoked` or later, and no definite answer came. A read says nothing then.
    pub(super) fn unanswered(&mut self, question: Question, invoked: Instant) {
        match question {
            Question::Put { key, stamp } => self.keep(key, (Some(stamp), None), (invoked, None)),
            Question::Get { .. } => {}
        }
    }

    fn keep(
        &mut self,
        key: u32,
        (wrote, read): (Option<u64>, Option<u64>),
        (invoked, returned): (Instant, Option<Instant>),
    ) {
        if key >= self.keys {
            return;
        }
        if self.calls.len() == CALLS_MAX {
            self.is_cut = true;
            return;
        }
        let since_begun = |at: Instant| {
            let nanoseconds = at.saturating_duration_since(self.begun).as_nanos();
            u64::try_from(nanoseconds).unwrap_or(u64::MAX)
        };
        self.calls.push(Call {
            key,
            wrote,
            read,
            invoked: since_begun(invoked),
            returned: returned.map(since_begun),
        });
    }

    /// Judges it, and gives back what the measurement came to, with how many requests were judged. That the system has answered wrongly
    /// outranks every other reason why the measurement does not count.
    ///
    /// # Errors
    /// Those of `measured`, and those of [`History::judge`].
    pub(super) fn judge_beside<T, E: From<HistoryError>>(
        self,
        measured: Result<T, E>,
        dir: &Path,
    ) -> Result<(T, usize), E> {
        match (measured, self.judge(dir)) {
            (_, Err(violation @ HistoryError::Violation(_))) => Err(violation.into()),
            (Err(error), Ok(_) | Err(_)) => Err(error),
            (Ok(measured), judged) => Ok((measured, judged?)),
        }
    }

    /// Judges it; how many requests were judged. The folder `dir` gets the history, as evidence.
    ///
    /// # Errors
    /// It is not linearizable, or that could not be told.
    pub(super) fn judge(self, dir: &Path) -> Result<usize, HistoryError> {
        if self.is_cut {
            let reason = format!("there were more than {CALLS_MAX} requests");
            return Err(HistoryError::Unknown(reason));
        }
        let path = dir.join(HISTORY);
        std::fs::write(&path, self.lines()).map_err(JudgeError::File)?;
        let report = judge(&path, &Request::default())?.report;
        match report.verdict {
            Verdict::Valid => Ok(report.operations),
            Verdict::Violation(_) => Err(HistoryError::Violation(path)),
            Verdict::Unknown(reason) => Err(HistoryError::Unknown(reason)),
        }
    }

    fn lines(self) -> Vec<u8> {
        let mut moments: Vec<(u64, Kind, usize)> = Vec::with_capacity(2 * self.calls.len());
        // Whoever hears nothing waits until all is over.
        let times = self
            .calls
            .iter()
            .map(|call| call.returned.unwrap_or(call.invoked));
        let end = times.max().unwrap_or_default();
        for (number, call) in self.calls.iter().enumerate() {
            moments.push((call.invoked, Kind::Invoke, number));
            let ended = call.returned.map_or((end, Kind::Info), |at| (at, Kind::Ok));
            moments.push((ended.0, ended.1, number));
        }
        // What began when something else ended may have come before its end.
        moments.sort_by_key(|(time, kind, number)| (*time, *kind != Kind::Invoke, *number));
        let mut lines = Vec::new();
        Header::new(WORKLOAD).write(&mut lines);
        for (time, kind, number) in moments {
            let call = self.calls[number];
            let stamp = match kind {
                Kind::Invoke => call.wrote,
                Kind::Ok | Kind::Fail | Kind::Info => call.wrote.or(call.read),
            };
            let integer = |number: u64| Value::Int(i64::try_from(number).expect("it was counted"));
            let record = Record {
                time,
                // Each has a process of its own: which place it took on which connection says nothing more than the times do.
                process: Process::Client(number as u64),
                kind,
                f: Cow::Borrowed(if call.wrote.is_some() { "write" } else { "read" }),
                key: Some(integer(u64::from(call.key))),
                value: stamp.map_or(Value::Null, integer),
                error: None,
                node: None,
                intended: None,
            };
            record.write(&mut lines);
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Judges calls of key 0 by when they were invoked and returned.
    fn judged(calls: &[(Question, Answer, u64, u64)]) -> Result<usize, HistoryError> {
        let dir = tempfile::tempdir().unwrap();
        let mut history = History::begin(1);
        for (question, answer, invoked, returned) in calls {
            let at = |nanoseconds: &u64| history.begun + Duration::from_nanos(*nanoseconds);
            let times = (at(invoked), at(returned));
            history.answered(*question, answer, times);
        }
        history.judge(dir.path())
    }

    fn refused() -> Answer {
        Answer::Refused(String::from("try again"))
    }

    const WRITE: Question = Question::Put { key: 0, stamp: 7 };
    const OVERWRITE: Question = Question::Put { key: 0, stamp: 8 };
    const READ: Question = Question::Get { key: 0 };

    #[test]
    fn a_read_of_what_was_written_last_is_in_order() {
        let calls = [
            (READ, Answer::Value(None), 1, 2),
            (WRITE, Answer::Written, 3, 4),
            (OVERWRITE, Answer::Written, 5, 9),
            (READ, Answer::Value(Some(7)), 6, 7),
            (READ, Answer::Value(Some(8)), 10, 11),
            // Another key, of which nothing is kept.
            (Question::Get { key: 1 }, Answer::Value(Some(1)), 10, 11),
        ];
        assert_eq!(judged(&calls).unwrap(), 5);
    }

    #[test]
    fn a_write_that_is_lost_or_forgotten_is_a_violation() {
        for read in [None, Some(7)] {
            let calls = [
                (WRITE, Answer::Written, 1, 2),
                (OVERWRITE, Answer::Written, 3, 4),
                (READ, Answer::Value(read), 5, 6),
            ];
            assert!(
                matches!(judged(&calls), Err(HistoryError::Violation(_))),
                "{read:?}"
            );
        }
    }

    #[test]
    fn a_write_that_was_refused_may_take_effect_at_any_time_and_a_refused_read_says_nothing() {
        let calls = [
            (WRITE, Answer::Written, 1, 2),
            (OVERWRITE, refused(), 3, 4),
            (READ, Answer::Value(Some(7)), 5, 6),
            (READ, refused(), 7, 8),
            (READ, Answer::Value(Some(8)), 9, 10),
        ];
        assert_eq!(judged(&calls).unwrap(), 4);
        let back = [&calls[..], &[(READ, Answer::Value(Some(7)), 11, 12)]].concat();
        assert!(matches!(judged(&back), Err(HistoryError::Violation(_))));
    }

    #[test]
    fn a_violation_outranks_why_else_a_measurement_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let with = |read| {
            let mut history = History::begin(1);
            let at = |nanoseconds| history.begun + Duration::from_nanos(nanoseconds);
            let times = [(at(1), at(2)), (at(3), at(4))];
            history.answered(WRITE, &Answer::Written, times[0]);
            history.answered(READ, &Answer::Value(read), times[1]);
            history
        };
        let other = || HistoryError::Unknown(String::from("one was refused"));
        let beside = |read, measured: Result<(), HistoryError>| with(read).judge_beside(measured, dir.path());
        assert!(matches!(
            beside(None, Err(other())),
            Err(HistoryError::Violation(_))
        ));
        assert!(matches!(beside(None, Ok(())), Err(HistoryError::Violation(_))));
        assert!(matches!(
            beside(Some(7), Err(other())),
            Err(HistoryError::Unknown(_))
        ));
        assert_eq!(beside(Some(7), Ok(())).unwrap(), ((), 2));
    }
}
