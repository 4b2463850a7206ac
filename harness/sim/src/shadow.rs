//! What a node's disk would keep, followed from its writes and syncs, without asking the node.
//!
//! The shadow decodes each batch as it is written and knows which syncs came after it. It is what promises are held against,
//! and what a node that starts again must find.

use crate::disk::Done;
use crate::ghost::Ghost;
use crate::options::{Broken, Invariant};
use raft::{Entry, HardState, Index, LogPosition, NodeId, Term};
use replica::FileId;
use wire::record::Record;

/// A batch's header, as the node's log lays it out: the payload's length stands at its end.
const HEADER_BYTES: usize = 32;

/// Term, vote, commit, and the term of each entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) hard_state: HardState,
    /// By index, from 1.
    pub(crate) terms: Vec<Term>,
}

/// What one write makes of a state.
#[derive(Clone, Debug)]
struct Step {
    file: FileId,
    hard_state: HardState,
    /// How many entries stay before the new ones.
    keep: usize,
    terms: Vec<Term>,
}

/// What one node's disk would keep.
#[derive(Clone, Debug)]
pub(crate) struct Shadow {
    node: NodeId,
    durable: State,
    /// Written and not synced, in order.
    pending: Vec<Step>,
}

impl State {
    pub(crate) fn last(&self) -> LogPosition {
        LogPosition {
            term: self.terms.last().copied().unwrap_or_default(),
            index: Index(self.terms.len() as u64),
        }
    }

    /// The term of the entry at `index`, which may be 0.
    pub(crate) fn term(&self, index: Index) -> Option<Term> {
        if index == Index(0) {
            return Some(Term(0));
        }
        self.terms.get(index.previous().since(Index(0))).copied()
    }

    fn take(&mut self, step: Step) {
        self.hard_state = step.hard_state;
        self.terms.truncate(step.keep);
        self.terms.extend(step.terms);
    }
}

/// The record in a batch, if the bytes (without the zeros at their end) are one.
fn decode(batch: &[u8]) -> Option<Record> {
    let header = batch.first_chunk::<HEADER_BYTES>()?;
    if header[..4] != *b"rRbt" {
        return None;
    }
    let length: [u8; 4] = header[28..]
        .try_into()
        .expect("four bytes are left of the header");
    let length = usize::try_from(u32::from_le_bytes(length)).ok()?;
    let payload = &batch[HEADER_BYTES..];
    if payload.len() >= length {
        return wire::decode(&payload[..length]).ok();
    }
    let mut whole = payload.to_vec();
    whole.resize(length, 0);
    wire::decode(&whole).ok()
}

impl Shadow {
    pub(crate) fn new(node: NodeId) -> Shadow {
        Shadow {
            node,
            durable: State::default(),
            pending: Vec::new(),
        }
    }

    pub(crate) fn durable(&self) -> &State {
        &self.durable
    }

    fn visible_hard_state(&self) -> HardState {
        self.pending
            .last()
            .map_or(self.durable.hard_state, |step| step.hard_state)
    }

    fn visible_last(&self) -> usize {
        let after = |step: &Step| step.keep + step.terms.len();
        self.pending.last().map_or(self.durable.terms.len(), after)
    }

    /// The term of the entry before those that a write puts behind `keep` others.
    fn visible_term(&self, keep: usize) -> Option<Term> {
        if keep == 0 {
            return Some(Term(0));
        }
        for step in self.pending.iter().rev() {
            if keep > step.keep {
                return step.terms.get(keep - step.keep - 1).copied();
            }
        }
        self.durable.terms.get(keep - 1).copied()
    }

    /// Follows what was written and synced.
    pub(crate) fn follow(&mut self, journal: &mut Vec<Done>, ghost: &mut Ghost) -> Result<(), Broken> {
        for done in journal.drain(..) {
            match done {
                Done::Write { file, bytes } => {
                    if let Some(record) = decode(&bytes) {
                        self.written(file, record, ghost)?;
                    }
                }
                Done::Sync { file } => self.synced(file),
            }
        }
        Ok(())
    }

    fn written(&mut self, file: FileId, record: Record, ghost: &mut Ghost) -> Result<(), Broken> {
        let (hard_state, first, entries) = match record {
            Record::Open { hard_state, .. } => (hard_state, None, Vec::new()),
            Record::Write {
                hard_state,
                first_index,
                entries,
                ..
            } => (hard_state, Some(first_index), entries),
        };
        let hard_state = HardState::from(hard_state);
        self.check_monotone(self.visible_hard_state(), hard_state)?;
        let keep = match first {
            Some(first) if !entries.is_empty() => Index(first).previous().since(Index(0)),
            Some(_) | None => self.visible_last(),
        };
        let mut before = self.visible_term(keep).ok_or_else(|| Broken {
            invariant: Invariant::LogMatching,
            what: format!("{} writes entries behind {keep}, and has fewer", self.node),
        })?;
        let mut terms = Vec::with_capacity(entries.len());
        for (place, entry) in entries.into_iter().enumerate() {
            let entry = Entry {
                term: Term(entry.term),
                index: Index(keep as u64 + 1).plus(place),
                data: entry.data.try_into().map_err(|error| Broken {
                    invariant: Invariant::Assertion,
                    what: format!("{} writes an entry that can't be read: {error}", self.node),
                })?,
            };
            terms.push(entry.term);
            let term = entry.term;
            ghost.written(self.node, before, entry)?;
            before = term;
        }
        self.pending.push(Step {
            file,
            hard_state,
            keep,
            terms,
        });
        Ok(())
    }

    fn synced(&mut self, file: FileId) {
        // The steps of one file before those of another: a log goes on in the next segment only.
        let synced = self.pending.iter().take_while(|step| step.file == file).count();
        for step in self.pending.drain(..synced) {
            self.durable.take(step);
        }
    }

    /// Term, vote and commit only go forwards.
    fn check_monotone(&self, old: HardState, new: HardState) -> Result<(), Broken> {
        let vote_stays = new.term > old.term || old.vote.is_none() || new.vote == old.vote;
        let holds = new.term >= old.term && vote_stays && new.commit >= old.commit;
        Broken::unless(holds, Invariant::Monotonicity, || {
            format!("{} writes {new:?} after {old:?}", self.node)
        })
    }

    /// The node started again and found `found`: what was synced, and of the rest the first writes, whole ones. From here on
    /// that is what is visible; if `synced`, it is durable too.
    pub(crate) fn reopened(&mut self, found: &State, synced: bool) -> Result<(), Broken> {
        let mut state = self.durable.clone();
        let mut kept = 0;
        while state != *found {
            let Some(step) = self.pending.get(kept) else {
                return Err(Broken {
                    invariant: Invariant::Recovery,
                    what: format!(
                        "{} starts again with {found:?}; synced was {:?}, and written after it {:?}",
                        self.node, self.durable, self.pending
                    ),
                });
            };
            state.take(step.clone());
            kept += 1;
        }
        self.pending.truncate(kept);
        if synced {
            self.pending.clear();
            self.durable = state;
        }
        Ok(())
    }
}
