//! Who a data folder belongs to: the file `identity`.
//!
//! ```text
//!  0        4         8
//! ┌────────┬─────────┬───────────────────────────────┐
//! │ "rRid" │ CRC-32C │ postcard of `record::Identity`│
//! └────────┴─────────┴───────────────────────────────┘
//! ```
//!
//! It is written last when a folder is made: where it stands, the log was begun.

use crate::disk::{Disk, DiskError};
use crate::recover::OpenError;
use alloc::string::ToString;
use wire::record::Identity;

pub(crate) const FILE: &str = "identity";
const MAGIC: [u8; 4] = *b"rRid";
const HEADER_BYTES: usize = 8;

/// The version of the folder's layout that this build writes and reads.
pub(crate) const FORMAT: u16 = 2;

/// The most bytes that the number of a format takes.
const FORMAT_BYTES_MAX: usize = 3;

/// What tells the log's batches from forgeries: it is not told to clients.
pub(crate) fn secret(incarnation: u128) -> u64 {
    let [low @ .., _, _, _, _, _, _, _, _] = incarnation.to_le_bytes();
    u64::from_le_bytes(low)
}

pub(crate) fn write(disk: &mut impl Disk, identity: &Identity) -> Result<(), DiskError> {
    let mut bytes = wire::encode_into(identity, alloc::vec![0; HEADER_BYTES]);
    let checksum = crc32c::crc32c(&bytes[HEADER_BYTES..]);
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
    disk.replace_file(FILE, &bytes)
}

/// The folder's identity; `None` if it has none yet.
pub(crate) fn read(disk: &impl Disk) -> Result<Option<Identity>, OpenError> {
    disk.read_file(FILE)?.map(|bytes| parse(&bytes)).transpose()
}

/// The identity that the content of its file tells.
pub(crate) fn parse(bytes: &[u8]) -> Result<Identity, OpenError> {
    let damaged = |what: &str| OpenError::Corrupt {
        file: FILE.to_string(),
        offset: 0,
        reason: what.to_string(),
    };
    let (header, payload) = bytes
        .split_first_chunk::<HEADER_BYTES>()
        .ok_or_else(|| damaged("the file is too short"))?;
    if header[..4] != MAGIC {
        return Err(damaged("this is not a data folder's identity"));
    }
    if crc32c::crc32c(payload).to_le_bytes() != header[4..] {
        return Err(damaged("its checksum does not match"));
    }
    // The format first: what follows it in another one is not for this build to understand.
    let found = format(payload).ok_or_else(|| damaged("it says no format"))?;
    if found != FORMAT {
        return Err(OpenError::Format { found, known: FORMAT });
    }
    wire::decode(payload).map_err(|error| damaged(&error.to_string()))
}

/// The number with which `payload` begins.
fn format(payload: &[u8]) -> Option<u16> {
    (1..=FORMAT_BYTES_MAX).find_map(|length| wire::decode(payload.get(..length)?).ok())
}
