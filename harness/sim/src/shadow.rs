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

/// The generation of a snapshot's batches.
const SNAPSHOT_GENERATION: [u8; 8] = u64::MAX.to_le_bytes();

/// Term, vote, commit, and the term of each entry behind the snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) hard_state: HardState,
    /// The last entry that a snapshot from a leader covers.
    pub(crate) base: LogPosition,
    /// By index, from the one behind `base`.
    pub(crate) terms: Vec<Term>,
}

/// What one write makes of a state.
#[derive(Clone, Debug)]
struct Step {
    file: FileId,
    hard_state: HardState,
    /// The end of a snapshot that takes the place of everything.
    reset: Option<LogPosition>,
    /// The last entry that stays before the new ones.
    keep: Index,
    terms: Vec<Term>,
}

/// What one node's disk would keep.
#[derive(Clone, Debug)]
pub(crate) struct Shadow {
    node: NodeId,
    durable: State,
    /// Written and not synced, in order.
    pending: Vec<Step>,
    /// What the disk shows: `durable` with everything of `pending`.
    visible: State,
}

impl State {
    pub(crate) fn last(&self) -> LogPosition {
        match self.terms.last() {
            Some(term) => LogPosition {
                term: *term,
                index: self.base.index.plus(self.terms.len()),
            },
            None => self.base,
        }
    }

    /// The term of the entry at `index`, which may be the last that the snapshot covers (or 0).
    pub(crate) fn term(&self, index: Index) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        if index < self.base.index {
            return None;
        }
        self.terms.get(index.since(self.base.index.next())).copied()
    }

    /// Whether it has the entry, in the log or in the snapshot.
    pub(crate) fn holds(&self, position: LogPosition) -> bool {
        position.index < self.base.index || self.term(position.index) == Some(position.term)
    }

    fn take(&mut self, step: Step) {
        self.hard_state = step.hard_state;
        if let Some(base) = step.reset {
            self.base = base;
            self.terms.clear();
        }
        self.terms.truncate(step.keep.since(self.base.index));
        self.terms.extend(step.terms);
    }

    /// Whether a node that starts from this finds `found`: it may have compacted its own log.
    fn is_found_as(&self, found: &State) -> bool {
        let commit = self.hard_state.commit.max(found.base.index);
        let hard_state = HardState {
            commit,
            ..self.hard_state
        };
        let behind_found = || self.terms.iter().skip(found.base.index.since(self.base.index));
        hard_state == found.hard_state
            && found.base.index >= self.base.index
            && self.term(found.base.index) == Some(found.base.term)
            && behind_found().eq(&found.terms)
    }
}

/// The record in a batch of the log, if the bytes (without the zeros at their end) are one.
fn decode(batch: &[u8]) -> Option<Record> {
    let header = batch.first_chunk::<HEADER_BYTES>()?;
    if header[..4] != *b"rRbt" || header[8..16] == SNAPSHOT_GENERATION {
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
            visible: State::default(),
        }
    }

    pub(crate) fn durable(&self) -> &State {
        &self.durable
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
        let (hard_state, snapshot, first, entries) = match record {
            Record::Open { hard_state, .. } => (hard_state, None, None, Vec::new()),
            Record::Write {
                hard_state,
                snapshot,
                first_index,
                entries,
            } => (hard_state, snapshot, Some(first_index), entries),
        };
        let hard_state = HardState::from(hard_state);
        let reset = snapshot.map(|snapshot| LogPosition::from(snapshot.last));
        let visible = &self.visible;
        self.check_monotone(visible.hard_state, hard_state)?;
        let keep = match (reset, first) {
            (Some(base), _) => base.index,
            (None, Some(first)) if !entries.is_empty() => Index(first).previous(),
            (None, Some(_) | None) => visible.last().index,
        };
        let before = reset.map_or_else(|| visible.term(keep), |base| Some(base.term));
        let mut before = before.ok_or_else(|| Broken {
            invariant: Invariant::LogMatching,
            what: format!("{} writes entries behind {keep}, and has none there", self.node),
        })?;
        let mut terms = Vec::with_capacity(entries.len());
        for (place, entry) in entries.into_iter().enumerate() {
            let entry = Entry {
                term: Term(entry.term),
                index: keep.next().plus(place),
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
        let step = Step {
            file,
            hard_state,
            reset,
            keep,
            terms,
        };
        self.visible.take(step.clone());
        self.pending.push(step);
        Ok(())
    }

    fn synced(&mut self, file: FileId) {
        // The steps of one file before those of another: a log goes on in the next segment only.
        let synced = self.pending.iter().take_while(|step| step.file == file).count();
        for step in self.pending.drain(..synced) {
            self.durable.take(step);
        }
    }

    fn check_monotone(&self, old: HardState, new: HardState) -> Result<(), Broken> {
        Broken::unless(goes_forwards(old, new), Invariant::Monotonicity, || {
            format!("{} writes {new:?} after {old:?}", self.node)
        })
    }

    /// The node started again and found `found`: what was synced, and of the rest the first writes, whole ones. From here on
    /// that is what is visible; if `synced`, it is durable too.
    pub(crate) fn reopened(&mut self, found: &State, synced: bool) -> Result<(), Broken> {
        let mut state = self.durable.clone();
        let mut kept = 0;
        while !state.is_found_as(found) {
            let Some(step) = self.pending.get(kept) else {
                return Err(self.not_as_left(found));
            };
            state.take(step.clone());
            kept += 1;
        }
        self.pending.truncate(kept);
        self.visible.clone_from(&state);
        if synced {
            self.pending.clear();
            self.durable = state;
        }
        Ok(())
    }

    /// The node started again and found nothing but a snapshot: it had come whole, of committed entries, and in starting it was written
    /// into the log, durably. It takes the place of entries, and not of the term and the vote that were synced.
    pub(crate) fn installed_at_start(&mut self, found: &State, ghost: &Ghost) -> Result<(), Broken> {
        let is_committed = found.terms.is_empty() && ghost.has_committed(found.base);
        let keeps = found.base.index >= self.durable.base.index
            && goes_forwards(self.durable.hard_state, found.hard_state);
        if !(is_committed && keeps) {
            return Err(self.not_as_left(found));
        }
        self.pending.clear();
        self.visible.clone_from(found);
        self.durable.clone_from(found);
        Ok(())
    }

    fn not_as_left(&self, found: &State) -> Broken {
        Broken {
            invariant: Invariant::Recovery,
            what: format!(
                "{} starts again with {found:?}; synced was {:?}, and written after it {:?}",
                self.node, self.durable, self.pending
            ),
        }
    }
}

/// Term, vote and commit only go forwards.
fn goes_forwards(old: HardState, new: HardState) -> bool {
    let vote_stays = new.term > old.term || old.vote.is_none() || new.vote == old.vote;
    new.term >= old.term && vote_stays && new.commit >= old.commit
}

/// Whether one of these writes puts a snapshot in the place of the log.
pub(crate) fn installs_snapshot(journal: &[Done]) -> bool {
    journal.iter().any(|done| match done {
        Done::Write { bytes, .. } => matches!(
            decode(bytes),
            Some(Record::Write {
                snapshot: Some(_),
                ..
            })
        ),
        Done::Sync { .. } => false,
    })
}
