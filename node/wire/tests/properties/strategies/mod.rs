//! Values of everything that is encoded, whether or not a node would say them.

pub(crate) mod client;
pub(crate) mod peer;
pub(crate) mod record;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use wire::record::Position;

pub(super) fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

pub(super) fn text() -> impl Strategy<Value = String> {
    "\\PC{0,20}"
}

pub(super) fn position() -> impl Strategy<Value = Position> {
    any::<(u64, u64)>().prop_map(|(term, index)| Position { term, index })
}
