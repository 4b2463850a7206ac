//! The formats that histories are recorded in; each is read into a [`Log`](crate::Log).

mod native;

use crate::vocabulary::Dialect;

/// What a history was recorded in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// This project's own, see [`Header`](crate::history::Header).
    #[default]
    Native,
    /// Jepsen's and knossos' EDN.
    Jepsen,
    /// The log of Jepsen's etcd test, as Porcupine reads it.
    PorcupineEtcd,
    /// The log of a key-value store, as Porcupine reads it.
    PorcupineKv,
}

impl Format {
    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Format::Native => "native",
            Format::Jepsen => "jepsen",
            Format::PorcupineEtcd => "porcupine-etcd",
            Format::PorcupineKv => "porcupine-kv",
        }
    }

    /// How a history in this format is understood, where nothing else is asked for.
    pub const fn dialect(self) -> Dialect {
        match self {
            Format::Native => Dialect::Native,
            Format::Jepsen => Dialect::Knossos,
            Format::PorcupineEtcd | Format::PorcupineKv => Dialect::Porcupine,
        }
    }
}
