//! How requests of the load look on the wire of each system.
//!
//! Everything is encoded ahead: a request is a copy of a template with the key and the stamp written into it, so that the load
//! generator costs the same whatever it loads.

mod etcd;
mod http2;
mod node;
mod protobuf;
mod redis;
mod template;

pub(super) use etcd::EtcdProtocol;
pub(super) use node::NodeProtocol;
pub(super) use redis::RedisProtocol;

use template::STAMP_BYTES;

/// The shortest value: it begins with a stamp that tells which write it is of.
pub(crate) const VALUE_BYTES_MIN: usize = STAMP_BYTES;

/// The longest value. Beyond it the network and the disk would be measured, not the commit.
pub(crate) const VALUE_BYTES_MAX: usize = 32 << 10;

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Writes to a key a value that begins with the stamp.
    Put {
        /// The key's number.
        key: u32,
        /// Which write it is.
        stamp: u64,
    },
    /// Reads a key; linearizable.
    Get {
        /// The key's number.
        key: u32,
    },
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The value is written, durably.
    Written,
    /// The stamp of the value; `None` where there is no value.
    Value(Option<u64>),
    /// It was not done, or may not be.
    Refused(String),
}

/// Something that is not the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Garbled(pub(super) String);

/// Why no answers can be had on a connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoAnswers {
    /// What came is not the protocol.
    #[error("the system does not speak its protocol: {0}")]
    Garbled(#[from] Garbled),
    /// The system wants no connection, and says why.
    #[error("the system refused a connection: {0}")]
    Refused(String),
}

/// One connection's side of a protocol. Requests carry the number of the place that they take among those in flight.
pub(super) trait Protocol {
    /// Appends what opens the connection to `out`. Requests may follow at once.
    fn greet(&mut self, out: &mut Vec<u8>);

    /// Appends a request to `out`.
    fn ask(&mut self, place: usize, question: Question, out: &mut Vec<u8>);

    /// Takes whole answers from the beginning of `input`, appends each with its place to `answers`, and returns how many bytes
    /// they had. What must be said in return goes to `out`.
    ///
    /// # Errors
    /// The input is no answer, or one to a request that is not in flight, or a refusal of the connection.
    fn answers(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        answers: &mut Vec<(usize, Answer)>,
    ) -> Result<usize, NoAnswers>;
}
