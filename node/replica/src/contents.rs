//! A segment that is looked through in pieces.
//!
//! Whoever looks through a log looks at all of it. So no more of it is in memory at once than a piece, or a batch, if that is larger; and
//! whoever else has something on this disk gets between.

use crate::batch::{self, Batch, HEADER_BYTES};
use crate::disk::DiskError;
use alloc::vec::Vec;

/// How many bytes are read at once.
pub(crate) const PIECE_BYTES: u64 = 256 << 10;

/// A file that holds a segment, and what reads it: fills a buffer from an offset on.
pub(crate) struct Contents<R> {
    read: R,
    /// How much of the file counts.
    length: u64,
    /// Where the piece begins that is in memory.
    offset: u64,
    piece: Vec<u8>,
}

impl<R: FnMut(u64, &mut [u8]) -> Result<(), DiskError>> Contents<R> {
    /// Of a file of so many bytes.
    pub(crate) fn new(length: u64, read: R) -> Contents<R> {
        Contents {
            read,
            length,
            offset: 0,
            piece: Vec::new(),
        }
    }

    /// How much of the file counts.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// No more of the file counts than this.
    pub(crate) fn end_at(&mut self, length: u64) {
        self.length = self.length.min(length);
    }

    /// So many bytes from `offset` on, or as many as there are.
    pub(crate) fn bytes(&mut self, offset: u64, length: u64) -> Result<&[u8], DiskError> {
        let left = self.length.saturating_sub(offset);
        let length = length.min(left);
        let there = self.offset + self.piece.len() as u64;
        if offset < self.offset || offset + length > there {
            let bytes = length.max(PIECE_BYTES.min(left));
            let mut piece = core::mem::take(&mut self.piece);
            piece.resize(in_memory(bytes), 0);
            piece.shrink_to(in_memory(PIECE_BYTES));
            (self.read)(offset, &mut piece)?;
            (self.offset, self.piece) = (offset, piece);
        }
        let from = in_memory(offset - self.offset);
        Ok(&self.piece[from..from + in_memory(length)])
    }

    /// The intact batch at `offset`, if there is one, and if it is of this generation where one is given. The rest of one that is not is not
    /// even read: its length may be anything.
    pub(crate) fn batch(
        &mut self,
        offset: u64,
        of_segment: Option<u64>,
    ) -> Result<Option<Batch<'_>>, DiskError> {
        let left = self.length.saturating_sub(offset);
        let header = self.bytes(offset, HEADER_BYTES as u64)?;
        let is_other = |generation| of_segment.is_some_and(|own| own != generation);
        let (Some(payload), Some(false)) = (
            batch::payload_bytes(header),
            batch::generation(header).map(is_other),
        ) else {
            return Ok(None);
        };
        let length = HEADER_BYTES as u64 + payload as u64;
        if length > left {
            return Ok(None);
        }
        Ok(Batch::parse(self.bytes(offset, length)?))
    }

    /// The generation that the header at the beginning tells, if there is one.
    pub(crate) fn generation(&mut self) -> Result<Option<u64>, DiskError> {
        Ok(batch::generation(self.bytes(0, HEADER_BYTES as u64)?))
    }
}

fn in_memory(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a piece of a segment fits in memory")
}
