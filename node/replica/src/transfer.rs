//! Snapshots on their way from a leader to a follower, in pieces.
//!
//! ```text
//!   leader                                     follower
//!     │ ── Snapshot (the core's message) ────────▶ │  keeps it until it has the file
//!     │ ◀──────────────────────── Wanted at 0 ──── │
//!     │ ── Piece at 0, Piece at 256 KiB, … ──────▶ │  writes each, durably
//!     │ ◀──────────────── Wanted at 256 KiB, … ─── │
//!     │ ◀──────────────────── Wanted at its end ── │  checks the file, then hands the message to its core
//! ```
//!
//! A follower says where it is; so pieces that are lost are sent again, and a transfer goes on where it stood when a connection
//! was made anew. What arrives is nothing but bytes before its checksums, its end and the core have been asked. It is read and checked as it
//! comes, part by part, so that a large one keeps its node from nothing when it is whole.
//!
//! A leader checks what it sends from the beginning of a snapshot on, as far as it sends it: one that has rotted would be sent again and again. What
//! is left of one that a follower has begun to have before is sent unchecked; should that be damaged, the follower begins anew.

use crate::batch::BLOCK_BYTES;
use crate::disk::{Disk, DiskError, FileId};
use crate::machine::StateMachine;
use crate::snapshot::{self, ARRIVING, Checked, ReadError, Reading, Stored};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::{vec, vec::Vec};
use bytes::Bytes;
use raft::{Envelope, LogPosition, NodeId, SnapshotMeta};
use wire::peer::Parcel;

/// How many bytes one piece has, at most.
const PIECE_BYTES: u64 = 256 << 10;

/// How far a leader sends ahead of what it knows to have arrived.
const AHEAD_BYTES: u64 = 4 * PIECE_BYTES;

/// A snapshot that is being carried over to a follower.
#[derive(Debug)]
struct Outgoing {
    stored: Stored,
    /// What the follower has; `None` before it has said so.
    arrived: Option<u64>,
    sent: u64,
    /// How much of the file was checked; `None` where the follower had its beginning before.
    checked: Option<Checked>,
    /// Ticks since it last said something.
    silent_ticks: u32,
}

/// What may be sent.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    /// To whom, and what.
    pub(crate) parcels: Vec<(NodeId, Parcel)>,
    /// A snapshot of which the next piece would not be as it was written.
    pub(crate) damaged: Option<Stored>,
}

/// What a leader carries over.
#[derive(Debug, Default)]
pub(crate) struct Carrier {
    outgoing: BTreeMap<NodeId, Outgoing>,
    /// Followers whose snapshot was given up since that was last asked.
    given_up: Vec<NodeId>,
    /// Followers that have all of theirs since that was last asked.
    delivered: Vec<NodeId>,
}

impl Carrier {
    /// The core has `stored` carried over to `to`.
    pub(crate) fn begin(&mut self, to: NodeId, stored: Stored) {
        let outgoing = Outgoing {
            stored,
            arrived: None,
            sent: 0,
            checked: None,
            silent_ticks: 0,
        };
        self.outgoing.insert(to, outgoing);
    }

    /// Whether the snapshot is still on its way to somebody.
    pub(crate) fn carries(&self, file: FileId) -> bool {
        self.outgoing
            .values()
            .any(|outgoing| outgoing.stored.file == file)
    }

    /// Only `latest` is worth being sent from here on: who gets another one is to get that.
    pub(crate) fn give_up_earlier(&mut self, latest: Option<FileId>) {
        let earlier = self
            .outgoing
            .extract_if(.., |_, outgoing| Some(outgoing.stored.file) != latest);
        self.given_up.extend(earlier.map(|(node, _)| node));
    }

    /// This node leads no more.
    pub(crate) fn stop(&mut self) {
        self.outgoing.clear();
    }

    pub(crate) fn unreachable(&mut self, node: NodeId) {
        self.outgoing.remove(&node);
    }

    /// A tick passed. What nobody answered for `resend_ticks` is sent again, and given up after four times as many.
    pub(crate) fn tick(&mut self, resend_ticks: u32) {
        let given_up = &mut self.given_up;
        self.outgoing.retain(|node, outgoing| {
            outgoing.silent_ticks += 1;
            if outgoing.silent_ticks.is_multiple_of(resend_ticks) {
                outgoing.sent = outgoing.arrived.unwrap_or_default();
            }
            let goes_on = outgoing.silent_ticks < 4 * resend_ticks;
            if !goes_on {
                given_up.push(*node);
            }
            goes_on
        });
    }

    /// `from` has everything before `offset`.
    pub(crate) fn wanted(&mut self, from: NodeId, last: LogPosition, offset: u64) {
        let Some(outgoing) = self.outgoing.get_mut(&from) else {
            return;
        };
        if outgoing.stored.meta.last != last || offset > outgoing.stored.bytes {
            return;
        }
        if offset == outgoing.stored.bytes {
            self.outgoing.remove(&from);
            self.delivered.push(from);
            return;
        }
        if offset == 0 && outgoing.arrived != Some(0) {
            outgoing.checked = Some(Checked::NOTHING);
        }
        // It may have begun anew.
        let goes_back = outgoing.arrived.is_none_or(|arrived| offset < arrived);
        if goes_back || outgoing.sent < offset {
            outgoing.sent = offset;
        }
        if outgoing.arrived != Some(offset) {
            outgoing.silent_ticks = 0;
        }
        outgoing.arrived = Some(offset);
    }

    /// Whether a piece may be sent.
    pub(crate) fn has_pieces(&self) -> bool {
        self.outgoing
            .values()
            .any(|outgoing| outgoing.next_piece().is_some())
    }

    /// The pieces that may be sent now. A snapshot that turns out to be damaged is given up.
    pub(crate) fn pieces(&mut self, disk: &impl Disk) -> Result<Pieces, DiskError> {
        let mut pieces = Pieces::default();
        for (node, outgoing) in &mut self.outgoing {
            while let Some((offset, length)) = outgoing.next_piece() {
                match outgoing.piece(disk, offset, length) {
                    Ok(piece) => pieces.parcels.push((*node, piece)),
                    Err(ReadError::Disk(error)) => return Err(error),
                    Err(ReadError::Damaged(..)) => {
                        pieces.damaged = Some(outgoing.stored.clone());
                        break;
                    }
                }
            }
        }
        if let Some(damaged) = &pieces.damaged {
            let carried = self
                .outgoing
                .extract_if(.., |_, outgoing| outgoing.stored.file == damaged.file);
            self.given_up.extend(carried.map(|(node, _)| node));
        }
        Ok(pieces)
    }

    /// Followers whose snapshot was given up, and those who have all of it, since the last time.
    pub(crate) fn take_outcomes(&mut self) -> (Vec<NodeId>, Vec<NodeId>) {
        (
            core::mem::take(&mut self.given_up),
            core::mem::take(&mut self.delivered),
        )
    }
}

impl Outgoing {
    /// Where the next piece begins and how long it is, if the window is open.
    fn next_piece(&self) -> Option<(u64, usize)> {
        let arrived = self.arrived?;
        let open = self.sent < self.stored.bytes && self.sent < arrived + AHEAD_BYTES;
        let length = PIECE_BYTES.min(self.stored.bytes.saturating_sub(self.sent));
        open.then(|| (self.sent, usize::try_from(length).expect("a piece is small")))
    }

    /// The piece at `offset`, which is sent.
    fn piece(&mut self, disk: &impl Disk, offset: u64, length: usize) -> Result<Parcel, ReadError> {
        let end = offset + length as u64;
        if let Some(checked) = &mut self.checked {
            checked.reach(disk, &self.stored, end)?;
        }
        let mut bytes = vec![0; length];
        disk.read(self.stored.file, offset, &mut bytes)
            .map_err(ReadError::Disk)?;
        self.sent = end;
        Ok(Parcel::Piece {
            last: self.stored.meta.last.into(),
            total: self.stored.bytes,
            offset,
            bytes: Bytes::from(bytes),
        })
    }
}

/// A snapshot that arrives.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// The leader's message, for the core.
    offer: Envelope<Bytes>,
    last: LogPosition,
    file: FileId,
    /// How much of it is durable.
    end: u64,
    /// What was read of that; `None` if it is no snapshot.
    reading: Option<Reading>,
}

/// A snapshot that has arrived.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) stored: Stored,
    pub(crate) machine: StateMachine,
}

impl Incoming {
    /// The leader offers the snapshot `meta`. One that has begun to arrive goes on.
    pub(crate) fn offered(
        disk: &mut impl Disk,
        current: Option<Incoming>,
        offer: Envelope<Bytes>,
        meta: &SnapshotMeta,
    ) -> Result<Incoming, DiskError> {
        match current {
            Some(incoming) if incoming.last == meta.last => Ok(Incoming { offer, ..incoming }),
            current => {
                if current.is_some() {
                    disk.remove(ARRIVING)?;
                }
                Ok(Incoming {
                    offer,
                    last: meta.last,
                    file: disk.create(ARRIVING, 0)?,
                    end: 0,
                    reading: Some(Reading::default()),
                })
            }
        }
    }

    /// What the leader is told.
    pub(crate) fn wants(&self) -> Parcel {
        Parcel::Wanted {
            last: self.last.into(),
            offset: self.end,
        }
    }

    /// The last entry that it covers.
    pub(crate) fn last(&self) -> LogPosition {
        self.last
    }

    pub(crate) fn leader(&self) -> NodeId {
        self.offer.from
    }

    /// Takes a piece in, durably. Returns whether the file is whole with that. A piece that does not come next changes nothing.
    pub(crate) fn take(
        &mut self,
        disk: &mut impl Disk,
        (last, total, offset): (LogPosition, u64, u64),
        bytes: &[u8],
    ) -> Result<bool, DiskError> {
        let whole_blocks = bytes.len().is_multiple_of(BLOCK_BYTES) && !bytes.is_empty();
        let fits = offset
            .checked_add(bytes.len() as u64)
            .is_some_and(|end| end <= total);
        if last != self.last || offset != self.end || !whole_blocks || !fits {
            return Ok(false);
        }
        disk.write(self.file, offset, bytes)?;
        disk.sync(self.file)?;
        self.end += bytes.len() as u64;
        if let Some(reading) = &mut self.reading {
            match reading.go_on(disk, self.file, self.end, total) {
                Ok(()) => {}
                Err(ReadError::Disk(error)) => return Err(error),
                Err(ReadError::Damaged(..)) => self.reading = None,
            }
        }
        Ok(self.end == total)
    }

    /// The leader's message.
    pub(crate) fn offer(&self) -> &Envelope<Bytes> {
        &self.offer
    }

    /// What is offered.
    pub(crate) fn meta(&self) -> Option<&SnapshotMeta> {
        if let raft::Message::Snapshot { snapshot } = &self.offer.message {
            Some(snapshot)
        } else {
            None
        }
    }

    /// Gives the file, which is whole and was checked as it came, its name. Where it is not what was offered, it is removed.
    ///
    /// # Errors
    /// The disk failed, or the file is no such snapshot.
    pub(crate) fn check(
        self,
        disk: &mut impl Disk,
    ) -> Result<(Envelope<Bytes>, Option<Arrived>), CheckError> {
        let meant = self.meta().cloned();
        let read = self.reading.and_then(|reading| reading.finish().ok());
        let Some((meta, machine)) = read.filter(|(meta, _)| Some(meta) == meant.as_ref()) else {
            disk.remove(ARRIVING).map_err(CheckError::Disk)?;
            return Err(CheckError::Damaged);
        };
        // From here on it counts, whatever becomes of this process.
        disk.rename(self.file, &snapshot::file_name(meta.last))
            .map_err(CheckError::Disk)?;
        let stored = Stored {
            meta: Arc::new(meta),
            file: self.file,
            bytes: self.end,
        };
        Ok((self.offer, Some(Arrived { stored, machine })))
    }

    /// The file is not needed any more: the core will say so to the leader.
    pub(crate) fn give_up(
        self,
        disk: &mut impl Disk,
    ) -> Result<(Envelope<Bytes>, Option<Arrived>), CheckError> {
        disk.remove(ARRIVING).map_err(CheckError::Disk)?;
        Ok((self.offer, None))
    }

    /// The file is not wanted any more, whatever the leader thinks.
    pub(crate) fn discard(self, disk: &mut impl Disk) -> Result<(), DiskError> {
        disk.remove(ARRIVING)
    }
}

/// Why a file that arrived is not used.
#[derive(Debug)]
pub(crate) enum CheckError {
    Disk(DiskError),
    /// It is not what was offered, and gone.
    Damaged,
}
