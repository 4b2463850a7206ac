//! What a node that starts looks for in a segment.

use crate::batch::{self, BLOCK_BYTES, Batch, HEADER_BYTES, Link};
use crate::contents::{Contents, PIECE_BYTES};
use crate::disk::DiskError;
use crate::replay::Replay;
use crate::wal::Location;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

const ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// Why a segment can't be looked through.
#[derive(Debug)]
pub(super) enum Trouble {
    Disk(DiskError),
    /// An intact batch holds what can't be.
    Unfit {
        offset: u64,
        reason: String,
    },
}

impl From<DiskError> for Trouble {
    fn from(error: DiskError) -> Trouble {
        Trouble::Disk(error)
    }
}

/// The batches of a segment.
#[derive(Debug)]
pub(super) struct Batches {
    /// Where the last one begins.
    pub(super) last: u64,
    /// The last one, as it was found to be intact: whoever reads it again may read something else.
    pub(super) last_bytes: Vec<u8>,
    /// Where they end.
    pub(super) end: u64,
    /// Where the batch behind them belongs.
    pub(super) link: Link,
}

/// What lies behind them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rest {
    /// Where an intact batch of this segment lies, which proves that what should be before it was durable.
    pub(super) later: Option<u64>,
    /// How many bytes, in whole blocks, are not all zeros: what an interrupted write has left, or an older use.
    pub(super) used: u64,
    /// How many of them an interrupted write may have left, up to where an older use of the file is seen to have left something. Of the write
    /// there may be more behind that; but its header, without which the rest is none, lies at its beginning.
    pub(super) torn: u64,
}

impl<R: FnMut(u64, &mut [u8]) -> Result<(), DiskError>> Contents<R> {
    /// If this, which is the last segment and must be of the generation `expected`, begins with an intact batch of another one, and no batch of
    /// its own was begun at its beginning, no more of it counts: an older use has left that, and had this one begun, its first batch would
    /// stand there.
    pub(super) fn look_no_further_if_not_begun(&mut self, expected: u64) -> Result<(), DiskError> {
        let beginning = self.bytes(0, PIECE_BYTES)?;
        let is_older = Batch::parse(beginning).is_some_and(|first| first.generation != expected);
        let mut blocks = beginning.chunks(BLOCK_BYTES);
        let is_begun = blocks.any(|block| batch::generation(block) == Some(expected));
        if is_older && !is_begun {
            self.end_at(PIECE_BYTES);
        }
        Ok(())
    }

    /// Has `replay` take in the intact batches at the beginning of segment `number`. Where its generation is not known, it has none.
    pub(super) fn batches(
        &mut self,
        number: u64,
        of_segment: Option<u64>,
        first: Link,
        replay: &mut Replay,
    ) -> Result<Batches, Trouble> {
        let mut batches = Batches {
            last: 0,
            last_bytes: Vec::new(),
            end: 0,
            link: first,
        };
        if of_segment.is_none() {
            return Ok(batches);
        }
        let length = self.length();
        while let Some(batch) = self.batch(batches.end, of_segment)? {
            let offset = batches.end;
            let end = offset + batch.padded_bytes() as u64;
            if batch.link != batches.link || end > length {
                break;
            }
            let (link, used) = (batch.next_link(), HEADER_BYTES + batch.payload.len());
            let unfit = |reason| Trouble::Unfit { offset, reason };
            // The checksum was right, so these bytes are what was written: a build that doesn't know them must not guess.
            let record = wire::decode(batch.payload).map_err(|error| unfit(error.to_string()))?;
            let location = Location {
                segment: number,
                offset,
            };
            replay.take_in(record, location).map_err(unfit)?;
            batches.last_bytes.clear();
            batches
                .last_bytes
                .extend_from_slice(self.bytes(offset, used as u64)?);
            (batches.last, batches.end, batches.link) = (offset, end, link);
        }
        Ok(batches)
    }

    /// What lies behind `batches`, up to an intact one of this segment. Any batch counts for one where its generation is not known.
    pub(super) fn rest(&mut self, of_segment: Option<u64>, batches: &Batches) -> Result<Rest, DiskError> {
        let (mut rest, mut older) = (Rest::default(), None);
        for offset in (batches.end..self.length()).step_by(BLOCK_BYTES) {
            let block = self.bytes(offset, BLOCK_BYTES as u64)?;
            if *block == ZEROS[..block.len()] {
                continue;
            }
            let behind = offset - batches.end;
            rest.used = behind + BLOCK_BYTES as u64;
            match batch::generation(block) {
                None => {}
                Some(found) if of_segment.is_some_and(|own| own != found) => {
                    older.get_or_insert(behind);
                }
                Some(_) => {
                    let later = self.batch(offset, of_segment)?;
                    if later.is_some_and(|later| later.link.sequence >= batches.link.sequence) {
                        rest.later = Some(offset);
                        break;
                    }
                }
            }
        }
        rest.torn = older.unwrap_or(rest.used);
        Ok(rest)
    }
}
