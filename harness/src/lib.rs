//! The harness: it starts a cluster of operating-system processes, loads it, breaks it, heals it, and says whether what the
//! clients saw was right.
//!
//! # How data flows
//!
//! ```text
//! workload's generator ─▶ client ─▶ recorder ─▶ history.jsonl ─▶ checker ─▶ verdict ─▶ report
//!                           │          ▲
//!                        cluster ◀── nemesis
//! ```
//!
//! - [`cluster`]: the processes, here or on other machines, and the links between them;
//! - [`systems`]: what they are processes of: the project's own node, etcd, redis, any other;
//! - [`nemesis`]: what goes wrong with them, and when;
//! - [`client`]: connections to the nodes, and what became of each operation;
//! - [`record`]: the history, as one stream in time order;
//! - [`run`]: a test from its start to its verdict;
//! - [`report`]: the verdict in words, in `results.json` and on the terminal;
//! - [`check`]: verdicts on histories that were recorded earlier;
//! - [`model`]: the production core under a model checker;
//! - [`simulate`]: the production node in simulated worlds, by seed;
//! - [`mutants`]: seeded bugs through all of these, and what finds them;
//! - `bench`: commit latency and throughput, beside other systems;
//! - [`up`]: a cluster to play with; [`serve`]: the runs of a store in a web page;
//! - [`cli`]: the command line; [`exit`]: how a command ends.
//!
//! # Architecture invariants
//!
//! The harness never links the node: it speaks to it over its socket, its signals and its command line, and nothing in the node
//! knows that it is being tested. What decides a verdict (models, engines) lives in the crates `workloads` and `checker`, which know
//! neither clocks nor sockets.

/// As the standard library's, but what can't be told is no reason to panic: a verdict may still be to come, and the exit code says it
/// though nobody listens. The macros of this name in this crate are these.
macro_rules! eprint {
    ($($words:tt)*) => { $crate::report::tell(&format!($($words)*)) };
}
/// See `eprint`.
macro_rules! eprintln {
    ($($words:tt)*) => { $crate::report::tell(&format!("{}\n", format_args!($($words)*))) };
}

mod bench;
pub mod check;
pub mod cli;
pub mod client;
pub mod cluster;
pub mod exit;
mod interrupts;
pub mod model;
pub mod mutants;
pub mod nemesis;
pub mod node_number;
pub mod record;
pub mod report;
pub mod run;
pub mod serve;
pub mod simulate;
pub mod systems;
pub mod up;
