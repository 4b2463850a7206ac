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
//!
//! Format 3 is format 2 with a secret behind it. In format 2 the log's secret is a part of the incarnation, which clients are told; such a
//! folder is read as ever, and keeps that secret for as long as it is there: all of its log is made with it. Who wants another removes the node
//! and adds it anew, with an empty folder. A build that knows format 2 alone refuses a folder of format 3, and says so.

use crate::disk::{Disk, DiskError};
use crate::recover::OpenError;
use alloc::string::ToString;
use wire::record::{Identity, IdentityFormat2};

pub(crate) const FILE: &str = "identity";
const MAGIC: [u8; 4] = *b"rRid";
const HEADER_BYTES: usize = 8;

/// The version of the folder's layout that this build writes.
pub(crate) const FORMAT: u16 = 3;

/// The one before, which it reads as well.
const FORMAT_BEFORE: u16 = 2;

/// The most bytes that the number of a format takes.
const FORMAT_BYTES_MAX: usize = 3;

/// The secret of a log that was begun when there was none of its own.
fn secret_of_format_2(incarnation: u128) -> u64 {
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
    let decoded = match found {
        FORMAT => wire::decode(payload),
        FORMAT_BEFORE => wire::decode(payload).map(with_secret),
        found => return Err(OpenError::Format { found, known: FORMAT }),
    };
    decoded.map_err(|error| damaged(&error.to_string()))
}

/// An identity of format 2, as it is in format 3.
fn with_secret(before: IdentityFormat2) -> Identity {
    let IdentityFormat2 {
        format: _,
        cluster_id,
        node,
        incarnation,
    } = before;
    Identity {
        format: FORMAT,
        cluster_id,
        node,
        incarnation,
        secret: secret_of_format_2(incarnation),
    }
}

/// The number with which `payload` begins.
fn format(payload: &[u8]) -> Option<u16> {
    (1..=FORMAT_BYTES_MAX).find_map(|length| wire::decode(payload.get(..length)?).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;

    fn file(payload: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&crc32c::crc32c(payload).to_le_bytes());
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn a_secret_is_its_own_and_where_there_was_none_it_is_what_it_was() {
        let mut identity = Identity {
            format: FORMAT,
            cluster_id: String::from("c"),
            node: 2,
            incarnation: (1 << 64) | 128,
            secret: 129,
        };
        let now = file(b"\x03\x01c\x02\x80\x81\x80\x80\x80\x80\x80\x80\x80\x02\x81\x01");
        assert_eq!(parse(&now), Ok(identity.clone()));
        let before = file(b"\x02\x01c\x02\x80\x81\x80\x80\x80\x80\x80\x80\x80\x02");
        identity.secret = 128;
        assert_eq!(parse(&before), Ok(identity));
    }
}
