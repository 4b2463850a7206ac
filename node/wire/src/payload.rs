//! Payloads: values as postcard bytes and back.

use crate::limits::SEQUENCE_MAX;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::marker::PhantomData;
use postcard::experimental::serialized_size;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
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

/// Deserializes a sequence of at most [`SEQUENCE_MAX`] elements. An element may take one byte of a frame, and a hundred in memory: a sequence
/// that is too long is not read to its end first.
pub(crate) fn few<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct Few<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Few<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {SEQUENCE_MAX} elements")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<T>, A::Error> {
            let length = sequence.size_hint().unwrap_or(0);
            if length > SEQUENCE_MAX {
                return Err(A::Error::invalid_length(length, &self));
            }
            let mut elements = Vec::with_capacity(length);
            while let Some(element) = sequence.next_element()? {
                if elements.len() == SEQUENCE_MAX {
                    return Err(A::Error::invalid_length(elements.len() + 1, &self));
                }
                elements.push(element);
            }
            Ok(elements)
        }
    }

    deserializer.deserialize_seq(Few(PhantomData))
}
