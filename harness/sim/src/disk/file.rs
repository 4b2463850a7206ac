//! One file of a simulated disk: what is durable, what is visible, and the writes between the two.

use super::{Remainder, SECTOR_BYTES};
use bytes::{Bytes, BytesMut};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use replica::BLOCK_BYTES;

/// A block without the zeros at its end: most batches are far shorter than a block.
type Block = Bytes;

/// A write that no sync has made durable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Unsynced {
    offset: usize,
    length: usize,
    /// Without the zeros at its end.
    bytes: Bytes,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct File {
    length: u64,
    /// The length that is durable.
    durable_length: u64,
    durable: Vec<Block>,
    visible: Vec<Block>,
    /// In the order in which they were made.
    unsynced: Vec<Unsynced>,
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    let mut bytes = bytes;
    // Many zeros at once: one at a time would be a fifth of what a world costs.
    while let Some((rest, last)) = bytes.split_last_chunk::<64>()
        && last.iter().fold(0, |any, byte| any | byte) == 0
    {
        bytes = rest;
    }
    let end = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    &bytes[..end]
}

/// Puts `bytes` at `offset` into `blocks`.
fn overlay(blocks: &mut Vec<Block>, offset: usize, bytes: &[u8]) {
    let mut at = offset;
    let mut rest = bytes;
    while !rest.is_empty() {
        let (block, within) = (at / BLOCK_BYTES, at % BLOCK_BYTES);
        let (now, later) = rest.split_at(rest.len().min(BLOCK_BYTES - within));
        if blocks.len() <= block {
            blocks.resize(block + 1, Block::new());
        }
        let mut content = [0; BLOCK_BYTES];
        content[..blocks[block].len()].copy_from_slice(&blocks[block]);
        content[within..within + now.len()].copy_from_slice(now);
        blocks[block] = Block::copy_from_slice(trimmed(&content));
        at += now.len();
        rest = later;
    }
}

/// Which sectors a [`Remainder`] keeps, one after the other.
enum Keeper {
    All(bool),
    First(usize),
    Some(Box<ChaCha8Rng>),
}

impl Keeper {
    fn new(remainder: Remainder) -> Keeper {
        match remainder {
            Remainder::Nothing => Keeper::All(false),
            Remainder::Everything => Keeper::All(true),
            Remainder::Prefix { sectors } => Keeper::First(sectors),
            Remainder::Sectors { seed } => Keeper::Some(Box::new(ChaCha8Rng::seed_from_u64(seed))),
        }
    }

    fn keeps_next(&mut self) -> bool {
        match self {
            Keeper::All(keeps) => *keeps,
            Keeper::First(left) => {
                let keeps = *left > 0;
                *left = left.saturating_sub(1);
                keeps
            }
            Keeper::Some(random) => random.random(),
        }
    }
}

impl File {
    /// A file of zeros.
    pub(super) fn zeros(length: u64) -> File {
        File {
            length,
            durable_length: length,
            ..File::default()
        }
    }

    /// A file that was replaced as a whole, durably.
    pub(super) fn whole(bytes: &[u8]) -> File {
        let mut file = File::zeros(bytes.len() as u64);
        overlay(&mut file.durable, 0, bytes);
        file.visible.clone_from(&file.durable);
        file
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Fills `buffer` from `offset` on; `false` if the file ends before.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> bool {
        if offset + buffer.len() as u64 > self.length {
            return false;
        }
        buffer.fill(0);
        let mut at = usize::try_from(offset).expect("a simulated file fits in memory");
        let mut rest = buffer;
        while !rest.is_empty() {
            let (block, within) = (at / BLOCK_BYTES, at % BLOCK_BYTES);
            let here = rest.len().min(BLOCK_BYTES - within);
            let (now, later) = rest.split_at_mut(here);
            let content = self.visible.get(block).map_or(&[][..], Bytes::as_ref);
            let content = content.get(within..).unwrap_or_default();
            let known = content.len().min(here);
            now[..known].copy_from_slice(&content[..known]);
            at += here;
            rest = later;
        }
        true
    }

    /// Writes whole blocks; what comes back is what was written, without the zeros at its end.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> Bytes {
        let start = usize::try_from(offset).expect("a simulated file fits in memory");
        let kept = Bytes::copy_from_slice(trimmed(bytes));
        let first = start / BLOCK_BYTES;
        let blocks = bytes.len() / BLOCK_BYTES;
        if self.visible.len() < first + blocks {
            self.visible.resize(first + blocks, Block::new());
        }
        for place in 0..blocks {
            let from = (place * BLOCK_BYTES).min(kept.len());
            let to = ((place + 1) * BLOCK_BYTES).min(kept.len());
            let content = kept.slice(from..to);
            let end = trimmed(&content).len();
            self.visible[first + place] = content.slice(..end);
        }
        self.length = self.length.max(offset + bytes.len() as u64);
        self.unsynced.push(Unsynced {
            offset: start,
            length: bytes.len(),
            bytes: kept.clone(),
        });
        kept
    }

    /// The beginning of a write that was interrupted after `sectors` sectors.
    pub(super) fn write_part(&mut self, offset: u64, bytes: &[u8], sectors: usize) {
        let start = usize::try_from(offset).expect("a simulated file fits in memory");
        self.write_bytes(start, &bytes[..bytes.len().min(sectors * SECTOR_BYTES)]);
    }

    /// What `remainder` keeps of a write that was interrupted somewhere.
    pub(super) fn write_remainder(&mut self, offset: u64, bytes: &[u8], remainder: Remainder) {
        let start = usize::try_from(offset).expect("a simulated file fits in memory");
        let mut keeper = Keeper::new(remainder);
        for (place, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
            if keeper.keeps_next() {
                self.write_bytes(start + place * SECTOR_BYTES, sector);
            }
        }
    }

    fn write_bytes(&mut self, start: usize, bytes: &[u8]) {
        overlay(&mut self.visible, start, bytes);
        self.length = self.length.max((start + bytes.len()) as u64);
        self.unsynced.push(Unsynced {
            offset: start,
            length: bytes.len(),
            bytes: Bytes::copy_from_slice(trimmed(bytes)),
        });
    }

    pub(super) fn sync(&mut self) {
        self.durable_length = self.length;
        for write in self.unsynced.drain(..) {
            let first = write.offset / BLOCK_BYTES;
            let end = (write.offset + write.length).div_ceil(BLOCK_BYTES);
            if self.durable.len() < end {
                self.durable.resize(end, Block::new());
            }
            for block in first..end {
                self.durable[block].clone_from(&self.visible[block]);
            }
        }
    }

    pub(super) fn has_unsynced(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// Loses what no sync has made durable, but for what `remainder` keeps.
    pub(super) fn power_loss(&mut self, remainder: Remainder) {
        let mut keeper = Keeper::new(remainder);
        for write in std::mem::take(&mut self.unsynced) {
            let mut bytes = BytesMut::from(write.bytes);
            bytes.resize(write.length, 0);
            for (place, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
                if keeper.keeps_next() {
                    let end = (write.offset + place * SECTOR_BYTES + sector.len()) as u64;
                    self.durable_length = self.durable_length.max(end);
                    overlay(&mut self.durable, write.offset + place * SECTOR_BYTES, sector);
                }
            }
        }
        self.visible.clone_from(&self.durable);
        self.length = self.durable_length;
    }

    /// Flips one bit of what is durable.
    pub(super) fn rot(&mut self, offset: u64, bit: u8) {
        let mut byte = [0];
        assert!(
            self.read(offset, &mut byte),
            "a bit behind the end was to be flipped"
        );
        byte[0] ^= 1 << (bit % 8);
        let at = usize::try_from(offset).expect("a simulated file fits in memory");
        overlay(&mut self.durable, at, &byte);
        overlay(&mut self.visible, at, &byte);
    }
}
