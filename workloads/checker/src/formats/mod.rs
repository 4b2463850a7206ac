//! The formats that histories are recorded in; each is read into a [`Log`](crate::Log).

mod assemble;
mod edn;
mod etcd;
mod jepsen;
mod native;
mod pieces;
mod reader;
mod tuples;

pub(crate) use assemble::Event;
pub(crate) use native::parse as parse_native;
pub use reader::LogReader;

use crate::vocabulary::Dialect;
use memchr::{memchr, memmem};

/// A first line that is longer than this is looked at so far.
const DETECT_BYTES: usize = 64 << 10;

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
    /// All of them.
    pub const ALL: [Format; 4] = [
        Format::Native,
        Format::Jepsen,
        Format::PorcupineEtcd,
        Format::PorcupineKv,
    ];

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

/// What is wrong with a history that begins like none, and how those begin that are read.
fn of_no_format() -> String {
    let beginnings = Format::ALL.map(|format| {
        let beginning = match format {
            Format::Native => "{\"rustyraft-history\":1,\"workload\":…}",
            Format::Jepsen => "{:process 0, :type :invoke, :f …}",
            Format::PorcupineEtcd => "INFO  jepsen.util - 0 :invoke …",
            Format::PorcupineKv => "{:process 0, :type :invoke, :f :get, :key …}",
        };
        format!("{} ({beginning})", format.name())
    });
    format!(
        "this is no history in a format that is read: {}",
        beginnings.join(", ")
    )
}

/// The format of a history that begins like this; `None` while nothing tells. `whole`: there is no more of it.
fn detect(bytes: &[u8], whole: bool) -> Option<Format> {
    let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let bytes = &bytes[start..];
    let line = match memchr(b'\n', bytes) {
        Some(end) => &bytes[..end],
        None if whole || bytes.len() > DETECT_BYTES => bytes,
        None => return None,
    };
    if etcd::is_line(line) {
        return Some(Format::PorcupineEtcd);
    }
    let has = |word: &[u8]| memmem::find(line, word).is_some();
    match line[0] {
        b'{' if line[1..].trim_ascii_start().first() == Some(&b'"') => Some(Format::Native),
        // The first byte of a header that was torn right there.
        b'{' if bytes == b"{" => Some(Format::Native),
        b'{' if has(b":key ") && !has(b":time ") => Some(Format::PorcupineKv),
        b'{' | b'[' | b'(' | b'#' | b';' => Some(Format::Jepsen),
        // What it is not is said with the line.
        _ => Some(Format::Native),
    }
}
