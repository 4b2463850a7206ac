//! Where a commit's time goes: see [`Stage`].
//!
//! It is always counted. A request costs two readings of the clock and a turn up to six, some 25 ns each, and every histogram has a
//! fixed size.

use crate::disk::DiskAccount;
use hdrhistogram::Histogram;
use raft::{Envelope, Index, Message, NodeId, Term};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use wire::client::{Stage, StageTimes, TimeCount};
use wire::peer::Packet;

/// The longest time that is told from longer ones.
const TIME_MAX: Duration = Duration::from_secs(60);

/// How many appends to one peer are waited for; those beyond are not timed.
const APPENDS_MAX: usize = 1024;

/// An append that is not acknowledged.
#[derive(Clone, Copy, Debug)]
struct Append {
    term: Term,
    last: Index,
    sent: Instant,
}

/// When the parts of a turn were over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// What came in was taken in so long.
    pub(super) taken_in: Duration,
    pub(super) begun: Instant,
    /// What leaves before the disk is touched was given to the sockets.
    pub(super) sent: Instant,
    /// The log is being written, if it is to be and there are answers to be given meanwhile.
    pub(super) write_begun: Instant,
    /// What is committed is applied.
    pub(super) applied: Instant,
    /// Answers were given to the sockets.
    pub(super) replied: Instant,
    /// Whether there were any.
    pub(super) has_replies: bool,
    /// Whether it had something to be written to the log.
    pub(super) writes: bool,
}

/// How long each stage took since the node started.
#[derive(Debug)]
pub(super) struct Stages {
    /// In the order of [`Stage::ALL`], in nanoseconds.
    histograms: [Histogram<u64>; Stage::ALL.len()],
    appends: BTreeMap<NodeId, VecDeque<Append>>,
    disk: DiskAccount,
}

impl Stages {
    pub(super) fn new(disk: DiskAccount) -> Stages {
        let time_max = u64::try_from(TIME_MAX.as_nanos()).expect("a minute is a small number");
        Stages {
            histograms: std::array::from_fn(|_| {
                Histogram::new_with_max(time_max, 2).expect("two digits are one of the precisions it has")
            }),
            appends: BTreeMap::new(),
            disk,
        }
    }

    pub(super) fn took(&mut self, stage: Stage, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.histograms[stage as usize].saturating_record(nanoseconds);
    }

    /// A turn is over.
    pub(super) fn turned(&mut self, turn: &Turn) {
        let disk = self.disk.clone();
        disk.settle(|times| {
            for time in &times.log_writes {
                self.took(Stage::LogWrite, *time);
            }
            for time in &times.log_syncs {
                self.took(Stage::Sync, *time);
            }
            if turn.writes {
                self.took(Stage::Encode, turn.taken_in + (turn.sent - turn.begun));
            }
            if turn.has_replies {
                self.took(Stage::Apply, turn.applied - turn.write_begun);
                self.took(Stage::Reply, turn.replied - turn.applied);
            }
        });
    }

    /// A packet is given to a socket.
    pub(super) fn sent(&mut self, packet: &Packet, now: Instant) {
        let Packet::Message(Envelope {
            to,
            term,
            message: Message::Append { prev, entries, .. },
            ..
        }) = packet
        else {
            return;
        };
        let appends = self.appends.entry(*to).or_default();
        if !entries.is_empty() && appends.len() < APPENDS_MAX {
            appends.push_back(Append {
                term: *term,
                last: Index(prev.index.0 + entries.len() as u64),
                sent: now,
            });
        }
    }

    /// A packet has come.
    pub(super) fn heard(&mut self, packet: &Packet, now: Instant) {
        let Packet::Message(Envelope {
            from, term, message, ..
        }) = packet
        else {
            return;
        };
        if let Message::AppendRejected { .. } = message {
            self.lost(*from);
        }
        let Message::AppendAccepted { matched } = message else {
            return;
        };
        let Some(appends) = self.appends.get_mut(from) else {
            return;
        };
        let mut acknowledged = Vec::new();
        while let Some(append) = appends.pop_front_if(|append| append.last <= *matched || append.term < *term)
        {
            if append.term == *term {
                acknowledged.push(append.sent);
            }
        }
        for sent in acknowledged {
            self.took(Stage::Peer, now.saturating_duration_since(sent));
        }
    }

    /// What was sent to `node` may never be acknowledged.
    pub(super) fn lost(&mut self, node: NodeId) {
        self.appends.remove(&node);
    }

    /// As it travels.
    pub(super) fn to_wire(&self) -> Vec<StageTimes> {
        let times = |histogram: &Histogram<u64>| {
            let counted = histogram.iter_recorded().map(|value| TimeCount {
                nanoseconds: value.value_iterated_to(),
                count: value.count_at_value(),
            });
            counted.collect()
        };
        let stages = Stage::ALL.into_iter().zip(&self.histograms);
        stages
            .map(|(stage, histogram)| StageTimes {
                stage,
                times: times(histogram),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use raft::{Entry, EntryData, LogPosition};

    fn message(from: u64, to: u64, term: u64, message: Message<Bytes>) -> Packet {
        Packet::Message(Envelope {
            from: NodeId(from),
            to: NodeId(to),
            term: Term(term),
            message,
        })
    }

    /// Appends the entry at `index`.
    fn append(to: u64, term: u64, index: u64) -> Packet {
        let prev = LogPosition {
            term: Term(term),
            index: Index(index - 1),
        };
        let entries = vec![Entry {
            term: Term(term),
            index: Index(index),
            data: EntryData::Noop,
        }];
        let commit = Index(0);
        message(
            1,
            to,
            term,
            Message::Append {
                prev,
                entries,
                commit,
            },
        )
    }

    fn accepted(from: u64, term: u64, matched: u64) -> Packet {
        let matched = Index(matched);
        message(from, 1, term, Message::AppendAccepted { matched })
    }

    fn counted(stages: &Stages, stage: Stage) -> Vec<u64> {
        let all = stages.to_wire();
        let times = all.iter().find(|times| times.stage == stage).unwrap();
        let each = times.times.iter();
        each.flat_map(|time| (0..time.count).map(|_| time.nanoseconds))
            .collect()
    }

    #[test]
    fn an_append_is_timed_until_it_is_acknowledged_by_its_receiver() {
        let mut stages = Stages::new(DiskAccount::default());
        let begun = Instant::now();
        let at = |nanoseconds| begun + Duration::from_nanos(nanoseconds);
        for index in 1..=3 {
            stages.sent(&append(2, 5, index), at(index));
        }
        stages.sent(&append(3, 5, 1), at(4));
        stages.heard(&accepted(2, 5, 2), at(12));
        assert_eq!(counted(&stages, Stage::Peer), [10, 11]);
        // What was sent in another term, or before a rejection, is not waited for.
        stages.heard(&accepted(3, 6, 9), at(20));
        let probed = Index(3);
        let hint = LogPosition::default();
        stages.heard(
            &message(2, 1, 5, Message::AppendRejected { probed, hint }),
            at(20),
        );
        stages.heard(&accepted(2, 5, 9), at(20));
        stages.heard(&accepted(4, 5, 9), at(20));
        assert_eq!(counted(&stages, Stage::Peer), [10, 11]);
    }

    #[test]
    fn what_is_sent_to_one_who_never_answers_takes_a_bounded_place() {
        let mut stages = Stages::new(DiskAccount::default());
        for index in 1..=2 * APPENDS_MAX as u64 {
            stages.sent(&append(2, 5, index), Instant::now());
        }
        assert_eq!(stages.appends[&NodeId(2)].len(), APPENDS_MAX);
        stages.lost(NodeId(2));
        assert!(stages.appends.is_empty());
    }

    #[test]
    fn a_turn_is_divided_into_its_stages() {
        let mut stages = Stages::new(DiskAccount::default());
        let begun = Instant::now();
        let at = |nanoseconds| begun + Duration::from_nanos(nanoseconds);
        let turn = Turn {
            taken_in: Duration::from_nanos(3),
            begun,
            sent: at(10),
            write_begun: at(12),
            applied: at(60),
            replied: at(80),
            has_replies: true,
            writes: false,
        };
        stages.turned(&turn);
        assert!(counted(&stages, Stage::Encode).is_empty(), "nothing was written");
        assert_eq!(counted(&stages, Stage::Apply), [48]);
        assert_eq!(counted(&stages, Stage::Reply), [20]);
        let quiet = Turn {
            has_replies: false,
            ..turn
        };
        stages.turned(&quiet);
        assert_eq!(counted(&stages, Stage::Reply), [20]);
    }
}
