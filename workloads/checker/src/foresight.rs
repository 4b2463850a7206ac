//! What a whole history tells of the operations to come, for models that look ahead.
//!
//! A read must still take effect in every configuration that has not done it. Between now and then the object is changed by
//! operations that overwrite, and by others. If none of the overwriting ones that may come in between leads to what was
//! read, the present state must; where the model says that it can't, the configuration is dead.

use crate::intern::Call;
use crate::model::Model;
use crate::object::Operation;

/// For a read, so many overwriting operations before its return are looked at; those before count as what may explain it.
const SOURCES_LOOKED_AT_MAX: usize = 64;
/// How many of the reads that are invoked next are looked at, and the last one that can be.
const AHEAD: usize = 3;

/// The reads of a history, and when what overwrites is invoked.
#[derive(Clone, Debug)]
pub(crate) struct Foresight {
    /// In the order of their invocations.
    reads: Vec<Read>,
    /// For each read that counts, its source, and of all with such a source or an earlier one that which returned last.
    last: Vec<(u64, usize)>,
    /// How many reads were invoked by now.
    invoked: usize,
}

#[derive(Clone, Copy, Debug)]
struct Read {
    returned: u64,
    /// When the last operation was invoked that may have overwritten what was before with something that led to what was read.
    source: u64,
    /// Whether it returns before the history is cut off.
    counts: bool,
}

/// Reads that must take effect, by their places.
pub(crate) type Ahead = [Option<usize>; AHEAD + 1];

impl Foresight {
    /// Of the `operations` in `places`, without knowing of returns after `cut`, a time and a place; and the calls of the reads, by their
    /// places.
    pub(crate) fn new<M: Model>(
        init: &M,
        operations: &[Operation<M>],
        places: &[u32],
        cut: (u64, usize),
    ) -> (Self, Vec<Call<M>>) {
        let (mut reads, mut calls): (Vec<Read>, Vec<Call<M>>) = (Vec::new(), Vec::new());
        let mut overwrites: Vec<(u64, M)> = Vec::new();
        let mut led_to = Vec::new();
        for place in places {
            let operation = &operations[*place as usize];
            let (op, ret) = (&operation.op, operation.ret.as_ref());
            if M::overwrites(op, ret) {
                init.steps(op, ret, &mut led_to);
                overwrites.extend(led_to.drain(..).map(|state| (operation.invoked, state)));
            }
            if ret.is_some_and(|ret| M::is_read_only(op, ret)) {
                let returned = operation.returned.max(operation.invoked);
                calls.push((op.clone(), ret.cloned()));
                reads.push(Read {
                    returned,
                    source: 0,
                    counts: (returned, *place as usize) <= cut,
                });
            }
        }
        for (read, call) in reads.iter_mut().zip(&calls) {
            read.source = source_among(&overwrites, call, read.returned);
        }
        let counting = reads.iter().enumerate().filter(|(_, read)| read.counts);
        let mut last: Vec<(u64, usize)> = counting.map(|(place, read)| (read.source, place)).collect();
        last.sort_unstable();
        for next in 1..last.len() {
            let before = last[next - 1].1;
            if reads[before].returned > reads[last[next].1].returned {
                last[next].1 = before;
            }
        }
        let foresight = Foresight {
            reads,
            last,
            invoked: 0,
        };
        (foresight, calls)
    }

    /// The next read is invoked; its place.
    pub(crate) fn invoke(&mut self) -> usize {
        self.invoked += 1;
        self.invoked - 1
    }

    /// The reads to look at, of those that are not invoked yet.
    pub(crate) fn ahead(&self, now: u64) -> Ahead {
        let mut ahead = [None; AHEAD + 1];
        let sources = self.last.partition_point(|(source, _)| *source <= now);
        let last = sources.checked_sub(1).map(|last| self.last[last].1);
        ahead[0] = last.filter(|last| *last >= self.invoked);
        for (place, next) in ahead[1..].iter_mut().zip(self.invoked..) {
            *place = Some(next).filter(|next| self.is_bound(*next, now));
        }
        ahead
    }

    /// Whether, after `now`, nothing is invoked any more that could have overwritten what was before with what led to a read.
    pub(crate) fn is_bound(&self, read: usize, now: u64) -> bool {
        self.reads
            .get(read)
            .is_some_and(|read| read.counts && read.source <= now)
    }
}

/// When the last operation was invoked, of those that overwrite, that may have led to what a read returned.
fn source_among<M: Model>(overwrites: &[(u64, M)], (op, ret): &Call<M>, returned: u64) -> u64 {
    let may_come_from = |state: &M| ret.as_ref().is_none_or(|ret| !state.is_dead(op, ret));
    let before = overwrites.partition_point(|(invoked, _)| *invoked <= returned);
    let mut looked_at = 0;
    for (invoked, state) in overwrites[..before].iter().rev() {
        looked_at += 1;
        if looked_at > SOURCES_LOOKED_AT_MAX || may_come_from(state) {
            return *invoked;
        }
    }
    0
}
