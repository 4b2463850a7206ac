//! The unit of the write-ahead log: a batch, written at once and never changed.
//!
//! ```text
//!   0        4         8            16         24         28       32
//!  ┌────────┬─────────┬────────────┬──────────┬──────────┬────────┬──────────────┬─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─┐
//!  │ "rRbt" │ CRC-32C │ generation │ sequence │ previous │ length │ payload      │ zeros to the end of a block │
//!  └────────┴─────────┴────────────┴──────────┴──────────┴────────┴──────────────┴─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─┘
//!            covers what follows it, to the end of the payload            all numbers little-endian
//! ```
//!
//! The *generation* is the number of the segment, mixed with the log's *secret*: what an older use of the same blocks left behind has
//! another, and so has whatever a client writes into a value to look like a batch, since nobody is told the secret. The *sequence*
//! counts batches over the whole log, and *previous* is the checksum of the batch before: a batch is taken only for the
//! successor of the one that it was written behind.

use alloc::vec::Vec;

/// The unit of writing, in bytes: batches begin and end at its multiples.
pub const BLOCK_BYTES: usize = 4096;

const MAGIC: [u8; 4] = *b"rRbt";
pub(crate) const HEADER_BYTES: usize = 32;

/// Where the next batch belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// Its sequence number.
    pub(crate) sequence: u64,
    /// The checksum of the batch before it.
    pub(crate) previous: u32,
}

impl Link {
    /// The first batch of a log.
    pub(crate) const FIRST: Link = Link {
        sequence: 1,
        previous: 0,
    };
}

/// A batch as found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batch<'a> {
    pub(crate) generation: u64,
    pub(crate) link: Link,
    checksum: u32,
    pub(crate) payload: &'a [u8],
}

impl<'a> Batch<'a> {
    /// The intact batch at the beginning of `bytes`, if there is one.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Batch<'a>> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let u32_at = |at: usize| u32::from_le_bytes(core::array::from_fn(|place| header[at + place]));
        let u64_at = |at: usize| u64::from_le_bytes(core::array::from_fn(|place| header[at + place]));
        let payload = rest.get(..payload_bytes(header)?)?;
        let checksum = u32_at(4);
        let covered = &bytes[8..HEADER_BYTES + payload.len()];
        (crc32c::crc32c(covered) == checksum).then_some(Batch {
            generation: u64_at(8),
            link: Link {
                sequence: u64_at(16),
                previous: u32_at(24),
            },
            checksum,
            payload,
        })
    }

    /// Where the batch behind this one belongs.
    pub(crate) fn next_link(&self) -> Link {
        Link {
            sequence: self.link.sequence + 1,
            previous: self.checksum,
        }
    }

    /// The bytes that the batch takes, its padding included.
    pub(crate) fn padded_bytes(&self) -> usize {
        padded_bytes(self.payload.len())
    }
}

/// The length of the payload that follows `header`, if that is one.
pub(crate) fn payload_bytes(header: &[u8]) -> Option<usize> {
    let header = header
        .first_chunk::<HEADER_BYTES>()
        .filter(|header| header[..4] == MAGIC)?;
    usize::try_from(u32::from_le_bytes(core::array::from_fn(|place| {
        header[28 + place]
    })))
    .ok()
}

/// The generation that the header at the beginning of `bytes` tells, if there is one, whether its batch is intact or not.
pub(crate) fn generation(bytes: &[u8]) -> Option<u64> {
    payload_bytes(bytes)?;
    let field = bytes.get(8..16)?.first_chunk()?;
    Some(u64::from_le_bytes(*field))
}

/// The bytes that a batch with a payload of `payload` bytes takes.
pub(crate) fn padded_bytes(payload: usize) -> usize {
    (HEADER_BYTES + payload).next_multiple_of(BLOCK_BYTES)
}

/// Makes `batch`, which holds [`HEADER_BYTES`] of room and then the payload, a whole batch. Returns where the next one belongs.
///
/// # Panics
/// The payload is 4 GiB or more; the limits on messages and requests keep it far below.
pub(crate) fn seal(batch: &mut Vec<u8>, generation: u64, link: Link) -> Link {
    let payload = batch.len() - HEADER_BYTES;
    let length = u32::try_from(payload).expect("a batch is far below 4 GiB");
    batch[..4].copy_from_slice(&MAGIC);
    batch[8..16].copy_from_slice(&generation.to_le_bytes());
    batch[16..24].copy_from_slice(&link.sequence.to_le_bytes());
    batch[24..28].copy_from_slice(&link.previous.to_le_bytes());
    batch[28..32].copy_from_slice(&length.to_le_bytes());
    let checksum = crc32c::crc32c(&batch[8..]);
    batch[4..8].copy_from_slice(&checksum.to_le_bytes());
    batch.resize(padded_bytes(payload), 0);
    Link {
        sequence: link.sequence + 1,
        previous: checksum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn sealed(payload: &[u8], generation: u64, link: Link) -> (Vec<u8>, Link) {
        let mut batch = vec![0; HEADER_BYTES];
        batch.extend_from_slice(payload);
        let next = seal(&mut batch, generation, link);
        (batch, next)
    }

    #[test]
    fn a_sealed_batch_parses_as_what_it_was() {
        let (bytes, next) = sealed(
            b"payload",
            7,
            Link {
                sequence: 9,
                previous: 0xabcd,
            },
        );
        assert_eq!(bytes.len(), BLOCK_BYTES);
        let batch = Batch::parse(&bytes).expect("it is intact");
        assert_eq!(
            (batch.generation, batch.link.sequence, batch.payload),
            (7, 9, &b"payload"[..])
        );
        assert_eq!(batch.next_link(), next);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let (bytes, _) = sealed(b"some payload", 1, Link::FIRST);
        let used = HEADER_BYTES + b"some payload".len();
        for bit in 0..used * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Batch::parse(&damaged), None, "bit {bit}");
        }
        for length in 0..used {
            assert_eq!(Batch::parse(&bytes[..length]), None, "cut at {length}");
        }
    }

    #[test]
    fn the_bytes_of_a_batch_are_pinned() {
        let (bytes, _) = sealed(
            b"raft",
            2,
            Link {
                sequence: 3,
                previous: 4,
            },
        );
        let golden: [u8; 36] = [
            0x72, 0x52, 0x62, 0x74, 0xdf, 0xea, 0xa1, 0xfd, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0,
            4, 0, 0, 0, 4, 0, 0, 0, b'r', b'a', b'f', b't',
        ];
        assert_eq!(bytes[..36], golden);
    }
}
