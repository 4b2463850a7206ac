//! The bound on everything that a stranger can send.

/// The largest frame payload, in bytes; a longer one ends the connection.
pub const FRAME_BYTES_MAX: usize = 8 << 20;

/// The largest first frame of a connection, in bytes.
pub const HELLO_BYTES_MAX: usize = 1 << 10;

/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 1 << 10;

/// The longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 1 << 20;

/// The longest cluster id, in bytes.
pub const CLUSTER_ID_BYTES_MAX: usize = 64;

/// The longest address (`host:port`), in bytes.
pub const ADDRESS_BYTES_MAX: usize = 261;

/// The most members that a list of a configuration names.
pub const MEMBERS_MAX: usize = 128;

/// The longest context of a member, in bytes: an address, an incarnation, and room for what is to come.
pub const CONTEXT_BYTES_MAX: usize = 512;

/// The most elements that a sequence in a request is read with. Well beyond what any of them may have, so that one that is somewhat too long
/// is told what is allowed.
pub const SEQUENCE_MAX: usize = 1024;

/// The most operations that one branch of a transaction has, and the most conditions.
pub const OPERATIONS_MAX: usize = 128;

/// How many bytes the keys and values of a transaction have together, at most.
pub const TRANSACTION_BYTES_MAX: usize = 4 << 20;

/// How many bytes the values that a transaction reads have together, at most.
pub const TRANSACTION_ANSWER_BYTES_MAX: usize = 4 << 20;

/// How many commands of a session may be ahead of those whose answers its client has.
pub const SESSION_WINDOW: u64 = 1024;
