//! Payloads: values as postcard bytes and back.

use alloc::vec::Vec;
use bytes::Bytes;
use postcard::experimental::serialized_size;
use serde::{Deserialize, Serialize};

/// Why bytes could not be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are no value of the expected type.
    #[error("malformed payload")]
    Malformed,
    /// Bytes follow the value.
    #[error("{0} bytes follow the payload")]
    Trailing(usize),
    /// A checksum does not match its bytes.
    #[error("checksum mismatch: stored {stored:08x}, computed {computed:08x}")]
    Checksum {
        /// What the bytes claim.
        stored: u32,
        /// What they come to.
        computed: u32,
    },
    /// The bytes decode, but mean nothing that may be.
    #[error("{0}")]
    Invalid(&'static str),
}

/// The bytes of `value`.
pub fn encode<T: Serialize>(value: &T) -> Bytes {
    Bytes::from(encode_into(value, Vec::new()))
}

/// The bytes of `value` behind those already in `buffer`.
///
/// # Panics
/// Never for the types of this crate: postcard refuses only sequences of unknown length, and they have none.
pub fn encode_into<T: Serialize>(value: &T, buffer: Vec<u8>) -> Vec<u8> {
    postcard::to_extend(value, buffer).expect("the types of this crate have known lengths")
}

/// The bytes of `value` behind those of `prefix`, in memory of just that size: whoever keeps them keeps nothing else.
pub(crate) fn encode_behind<T: Serialize>(prefix: &[u8], value: &T) -> Bytes {
    let length = serialized_size(value).expect("the types of this crate have known lengths");
    let mut buffer = Vec::with_capacity(prefix.len() + length);
    buffer.extend_from_slice(prefix);
    Bytes::from(encode_into(value, buffer))
}

/// The value whose bytes are exactly `bytes`.
///
/// # Errors
/// The bytes are malformed, or more than one value.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|_| DecodeError::Malformed)?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(DecodeError::Trailing(rest.len()))
    }
}
