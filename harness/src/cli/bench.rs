//! The flags of `harness bench`.

use super::values;
use super::values::Rate;
use crate::bench::{self, BenchOptions, Op, Placement, SystemName};
use crate::exit::Exit;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// The most nodes.
const NODES_MAX: u64 = 9;
/// The most clients; the node takes no more.
const CLIENTS_MAX: usize = 1000;
/// The most requests in flight on one connection; the node reads no more.
const PIPELINE_MAX: usize = 1024;
/// The most rounds.
const ROUNDS_MAX: u32 = 1000;
/// The most entries that go by while a node is away.
const ENTRIES_MAX: u64 = 1_000_000_000;
/// The most keys.
const KEYS_MAX: u32 = 10_000_000;

#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// Which systems, with commas; all others are compared with the first one.
    ///
    /// node: this project's. etcd: with GOMAXPROCS as it is by default, and with 1. redis: on one node, with `appendonly yes` and `appendfsync always`. They take turns within each round,
    /// with their data on the same file system. The first one must be installed; another one that is not is left out, and a line says so.
    #[arg(long, value_name = "NAMES", default_value = "node,etcd,redis", value_delimiter = ',', value_parser = system)]
    system: Vec<SystemName>,
    /// On which processors each system is measured: `free`, `pinned`, or both, with a comma; the first one comes first.
    ///
    /// free: wherever the operating system puts it. pinned: the server that is asked has a processor to itself, and the other servers and
    /// the load generator share the others.
    #[arg(long, value_name = "PLACEMENTS", default_value = "free", value_delimiter = ',', value_parser = placement)]
    placement: Vec<Placement>,
    /// How many nodes, from 1 to 9; redis has one.
    #[arg(long, value_name = "N", default_value = "3", value_parser = nodes)]
    nodes: u64,
    /// How many clients, each with a connection of its own to the leader; several numbers with commas are measured one after the other.
    #[arg(long, value_name = "N,…", default_value = "1,16,64,256", value_delimiter = ',', value_parser = clients)]
    clients: Vec<usize>,
    /// How many requests each client has in flight on its connection; several numbers with commas are measured one after the other.
    ///
    /// With several numbers of clients as well, those points are left out that would have more in flight altogether than the largest
    /// number says: `--clients 1,64,256 --pipeline 1,64,256` has 1, 64 and 256 in flight, on one connection and on as many. Then it is
    /// also told how the first system on one connection compares with the others on many.
    #[arg(long, value_name = "N,…", default_value = "1", value_delimiter = ',', value_parser = pipeline)]
    pipeline: Vec<usize>,
    /// How long values are, in bytes.
    #[arg(long, value_name = "BYTES", default_value = "256", value_parser = value_bytes)]
    value_size: usize,
    /// How many keys there are, all as likely.
    #[arg(long, value_name = "N", default_value = "10000", value_parser = keys)]
    keys: u32,
    /// What clients do: `put`, `get`, or `mixed`, which is either, as likely; several with commas. Every read is linearizable.
    #[arg(long, value_name = "OPS", default_value = "put", value_delimiter = ',', value_parser = op)]
    op: Vec<Op>,
    /// How many requests a second all clients together begin, or `max`.
    ///
    /// With a rate the loop is open: each request is due at its time, and its latency counts from then, whether or not the ones before
    /// it were answered. With `max` it is closed: a request begins when the one before it in its place is answered.
    #[arg(long, value_name = "HZ|max", default_value = "max", value_parser = values::rate)]
    rate: Rate,
    /// How long each measurement takes; half a second of warming up comes before it.
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = values::duration)]
    duration: Duration,
    /// How often each point is measured; what is shown are medians.
    #[arg(long, value_name = "N", default_value = "5", value_parser = rounds)]
    rounds: u32,
    /// Where systems keep their data while they are measured; results stay there, in a fresh folder.
    #[arg(long, value_name = "DIR", default_value = "store/bench")]
    data: PathBuf,
    /// Compares with an earlier result: its `results.jsonl`, or what `--json` printed.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// The node program; by default the one that belongs to this harness.
    #[arg(long, value_name = "PATH")]
    node_binary: Option<PathBuf>,
    /// A further argument for each node; may be given several times.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    node_arg: Vec<String>,
    /// Observes something else instead, of three of this project's nodes: one is away while so many entries go by, and comes back.
    ///
    /// Shown are the latencies of puts in an open loop at half of the rate that saturates the nodes: with all of them, without the one, and
    /// while it catches up by a snapshot; and the most that a node had on disk. The first number of `--clients` counts, up to 500, and
    /// `--system`, `--placement`, `--nodes`, `--op`, `--rate`, `--rounds` and `--pipeline` have no say.
    #[arg(long, value_name = "ENTRIES", value_parser = entries, conflicts_with_all = ["baseline", "stages"])]
    away: Option<u64>,
    /// Shows where the time of the node that leads went, from what it counts itself, over all rounds with their warming up.
    ///
    /// queue: a request waits for its turn. encode: what came is taken in, and appends are encoded and sent. log_write and sync: of
    /// the leader's own log. peer: from an append to its acknowledgement. apply: what is committed. reply: answers are encoded and
    /// sent. commit: a write from its arrival to its answer.
    #[arg(long)]
    stages: bool,
    /// Prints one JSON line for each system at each point to stdout; see `harness help json`.
    #[arg(long)]
    json: bool,
}

pub(super) fn execute(arguments: BenchArgs) -> Exit {
    bench::bench(&BenchOptions {
        systems: without_repetition(arguments.system),
        placements: without_repetition(arguments.placement),
        nodes: arguments.nodes,
        clients: without_repetition(arguments.clients),
        pipelines: without_repetition(arguments.pipeline),
        value_bytes: arguments.value_size,
        keys: arguments.keys,
        ops: without_repetition(arguments.op),
        rate: arguments.rate.0,
        duration: arguments.duration,
        rounds: arguments.rounds,
        data: arguments.data,
        baseline: arguments.baseline,
        node_binary: arguments.node_binary,
        node_args: arguments.node_arg,
        away: arguments.away,
        stages: arguments.stages,
        json: arguments.json,
    })
}

fn without_repetition<T: PartialEq>(list: Vec<T>) -> Vec<T> {
    let mut kept = Vec::new();
    for item in list {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    kept
}

fn system(text: &str) -> Result<SystemName, String> {
    values::named(text, &SystemName::ALL)
}

fn placement(text: &str) -> Result<Placement, String> {
    values::named(text, &Placement::ALL)
}

fn op(text: &str) -> Result<Op, String> {
    values::named(text, &Op::ALL)
}

fn nodes(text: &str) -> Result<u64, String> {
    values::within(text, 1, NODES_MAX)
}

fn clients(text: &str) -> Result<usize, String> {
    values::within(text, 1, CLIENTS_MAX)
}

fn entries(text: &str) -> Result<u64, String> {
    values::within(text, 1, ENTRIES_MAX)
}

fn pipeline(text: &str) -> Result<usize, String> {
    values::within(text, 1, PIPELINE_MAX)
}

fn value_bytes(text: &str) -> Result<usize, String> {
    values::within(text, bench::VALUE_BYTES_MIN, bench::VALUE_BYTES_MAX)
}

fn keys(text: &str) -> Result<u32, String> {
    values::within(text, 1, KEYS_MAX)
}

fn rounds(text: &str) -> Result<u32, String> {
    values::within(text, 1, ROUNDS_MAX)
}
