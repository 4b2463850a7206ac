//! The flags of `harness run`.

use super::values::Rate;
use super::{on_runtime, tested, usage, values};
use crate::exit::Exit;
use crate::nemesis::Rates;
use crate::report::print;
use crate::run::{self, Concurrency, Options, Series};
use crate::systems::SystemName;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// What is tested: `node`, `etcd`, `redis`, or the system that a file PATH.toml describes.
    ///
    /// node: the project's own. etcd: started from `etcd` in PATH; its reads are linearizable ones, and a
    /// member takes up to 128 MB of the disk in each run. redis: started from `redis-server` in
    /// PATH, as one primary and replicas that follow asynchronously and answer reads: where reads are asked of replicas (all workloads but
    /// queue, lock and unique-ids) it is not linearizable, and the verdict has to say so. A file says how any other system is started, which
    /// program speaks to it, and which workloads and faults it knows: see `harness help systems`. etcd and redis know all workloads, and the
    /// faults kill, pause, partition, slow, flaky, power, crash-point, full, io-error and stall; redis clock, too. A file says which of them it
    /// knows.
    #[arg(long, value_name = "NAME|PATH", default_value = "node", value_parser = values::system)]
    pub(super) system: SystemName,
    /// What clients do, by name; `list` prints what there is.
    #[arg(long, value_name = "NAME", default_value = "register", value_parser = values::workload)]
    pub(super) workload: String,
    /// How many nodes, from 1 to 99.
    ///
    /// A cluster serves while more than half of its nodes do: 3 tolerate the loss of one, 5 of two. 2 are allowed; they tolerate
    /// the loss of none.
    #[arg(long, value_name = "N", default_value = "5", value_parser = values::nodes)]
    pub(super) nodes: u64,
    /// How many clients: a number, or a multiple of the nodes such as `2n`.
    ///
    /// Client i is pinned to node i mod n. It makes one operation at a time; one that takes longer than 50 ms is left to itself, and
    /// the client goes on as another process.
    #[arg(long, value_name = "N|Kn", default_value = "2n", value_parser = values::concurrency)]
    pub(super) concurrency: Concurrency,
    /// How many operations a second all clients together begin, or `max`.
    ///
    /// The default loads the nodes enough that each fault meets operations in flight, and leaves them time to breathe, so that
    /// what goes wrong is the fault's doing. With `max` each client begins an operation when the one before it has ended.
    /// Otherwise they take turns, by a timer of a millisecond; one that still waits when its turn comes is late.
    #[arg(long, value_name = "HZ|max", default_value = "1000", value_parser = values::rate)]
    pub(super) rate: Rate,
    /// For how long the cluster is loaded, faults included.
    ///
    /// Healing, final reads and the check come afterwards.
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = values::duration)]
    pub(super) time_limit: Duration,
    /// What goes wrong: `kill`, `pause`, `partition`, `transfer`, `member`, `wipe`, `slow`, `flaky`, `disk`, `clock`, `power`, `crash-point`,
    /// `full`, `io-error`, `stall`, several with commas, `all`, or `none`.
    ///
    /// kill: SIGKILL, later a restart on the same data. pause: SIGSTOP, later SIGCONT. partition: links between nodes are cut, as halves,
    /// around one node, in one direction only, or with a bridge. transfer: the leader hands leadership over. member: nodes are removed,
    /// demoted to learners or replaced by another one, several at once where the aim says so; who is out loses its data, and comes back
    /// later. wipe: a majority comes back without its data, and later with it. slow: links between nodes delay what they carry, or carry only
    /// so many bytes a second. flaky: connections between nodes are reset now and then, fall silent, lead nowhere, or are overtaken by newer
    /// ones. disk: a minority is killed, and a bit of its log or its snapshot flipped, which it must refuse to start on, before it joins anew
    /// without data; or the log's tail is torn, which it must mend. clock: clocks run slower or faster than they should, where it is the leader's
    /// perhaps while it is cut off from the others; or they jump ahead, or the time of day alone jumps, ahead or back. The first fault of each
    /// kind is aimed at the leader. partition, transfer, slow and flaky take two nodes at least, disk three; for fewer, `all` is the others.
    /// clock takes nodes that are linked dynamically, and is none of `all` for others.
    ///
    /// The last five have the nodes' data lie on disks of the harness's own, which are file systems in user space (FUSE): that takes /dev/fuse,
    /// and root or fusermount3; elsewhere `all` is the others. power: nodes are killed, and of what they had not synced some is lost, some
    /// torn; what they were just writing, too. crash-point: a node is killed at the n-th operation that changes its disk or syncs it, from
    /// then on or from its next start; n is enumerated from a number that the seed decides. full: nothing that takes room on the disk succeeds.
    /// io-error: writes or syncs fail, and who goes on nevertheless loses what is not durable. A node that ends because of these two, and says
    /// so, is started again. stall: syncs do not end for a while.
    #[arg(long, value_name = "KINDS", default_value = "all", value_parser = values::nemesis)]
    pub(super) nemesis: values::Kinds,
    /// From the start of one fault to the start of the next, about.
    ///
    /// It shrinks where the time limit would otherwise not let each kind happen at least twice.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = values::duration)]
    pub(super) nemesis_interval: Duration,
    /// At which rates clocks run that are wrong, from 0.1 to 10 times the usual one, by the nemesis clock [default: 0.25..4; where a
    /// `--node-arg` is `--lease-reads`, 0.92..1.08]
    ///
    /// Leases of the project's own node hold while clocks run apart by no more than a tenth. Whoever wants to see what becomes of them beyond
    /// that asks for other rates.
    #[arg(long, value_name = "MIN..MAX", value_parser = values::clock_rates)]
    pub(super) clock_rates: Option<Rates>,
    /// How long a client waits for an answer before it gives an operation up.
    #[arg(long, value_name = "DURATION", default_value = "500ms", value_parser = values::duration)]
    pub(super) timeout: Duration,
    /// Decides what is random: operations, faults, the nodes' time-outs. Drawn and reported where it is not given.
    #[arg(long, value_name = "N", value_parser = values::seed)]
    pub(super) seed: Option<u64>,
    /// Repeats an earlier run: its flags, its node program, its seed and its schedule of faults.
    ///
    /// RUN is its folder, such as `store/latest`. What processes and threads do in detail is not in anybody's hand: a replay makes what
    /// was found likely, not certain.
    #[arg(
        long,
        value_name = "RUN",
        conflicts_with_all = ["system", "workload", "nodes", "concurrency", "rate", "time_limit", "nemesis", "nemesis_interval", "clock_rates", "timeout", "seed", "node_arg", "follower_reads", "no_online", "hosts"]
    )]
    pub(super) replay: Option<PathBuf>,
    /// How many tests, one after the other, each with a fresh cluster and a seed of its own that follows from `--seed`.
    #[arg(long, value_name = "N", default_value = "1", value_parser = values::test_count)]
    pub(super) test_count: u32,
    /// Where runs are kept.
    #[arg(long, value_name = "FOLDER", default_value = "store")]
    pub(super) store: PathBuf,
    /// Runs the nodes on these machines, in turn, over ssh; by default they run on this one.
    ///
    /// Hosts are called as the configuration of ssh calls them, and nobody is asked for a password. The node program, which must run there as
    /// it does here, is copied into a private folder below the host's temporary one; at the end data and logs are fetched, and the folder is
    /// removed. When the harness or a connection dies, so do the nodes; the verdict on a run that has lost a host is unknown. Nodes listen at
    /// the address by which their host was reached, and reach each other through links on this machine: there is neither encryption nor
    /// authentication, so name hosts in a network that you trust. A host takes at most 7 nodes.
    #[arg(long, value_name = "HOST,…", value_delimiter = ',', value_parser = values::host)]
    pub(super) hosts: Vec<String>,
    /// A further argument for ssh, such as `-F` and then a file; may be given several times.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true, requires = "hosts")]
    pub(super) ssh_arg: Vec<String>,
    /// The address at which the hosts reach this machine; by default where they see it.
    #[arg(long, value_name = "IP", requires = "hosts", value_parser = values::ip_address)]
    pub(super) address: Option<std::net::IpAddr>,
    /// Leaves the nodes running after the verdict, until Ctrl-C.
    #[arg(long, conflicts_with = "test_count")]
    pub(super) keep_running: bool,
    /// The node program; by default the one that belongs to this harness.
    ///
    /// Under cargo that is built first; an installed harness takes the `node` beside itself.
    #[arg(long, value_name = "PATH")]
    pub(super) node_binary: Option<PathBuf>,
    /// A further argument for each node; may be given several times.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub(super) node_arg: Vec<String>,
    /// Has nodes answer reads while they follow, and clients read at the nodes that they are pinned to, not at the leader.
    #[arg(long)]
    pub(super) follower_reads: bool,
    /// Checks the history at the end only, and not while it is recorded as well.
    ///
    /// Otherwise the first violation that is seen ends the load; the nodes are frozen and then killed as they are, without healing and
    /// final reads, and the check at the end explains it. What takes too long to be judged beside the load is left to that check.
    #[arg(long)]
    pub(super) no_online: bool,
    /// Prints one JSON line for each test to stdout, and everything else to stderr; see `harness help json`.
    #[arg(long)]
    pub(super) json: bool,
    /// Writes the tests' results as JUnit XML too.
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
}

/// Does what was asked for.
pub(super) fn execute(arguments: RunArgs) -> Exit {
    if arguments.workload == values::LIST {
        for workload in workloads::all() {
            print(&format!("{:<15} {}\n", workload.name(), workload.about()));
        }
        return Exit::Valid;
    }
    let (options, seed, schedule, replayed_node) = match &arguments.replay {
        Some(folder) => match run::recorded(folder) {
            Ok(recorded) => {
                let node = recorded.node();
                (recorded.options, recorded.seed, recorded.schedule, node)
            }
            Err(error) => return usage(&error.to_string()),
        },
        None => match options(&arguments) {
            Ok(options) => (options, arguments.seed.unwrap_or_else(run::draw_seed), None, None),
            Err(line) => return usage(&line),
        },
    };
    let (options, remark) = match tested::without_missing_disks(options, &arguments) {
        Ok(possible) => possible,
        Err(line) => return usage(&line),
    };
    let series = Series {
        options,
        remark: remark.or_else(|| tested::left_out(&arguments)),
        seed,
        schedule,
        replay: arguments.replay.is_some(),
        replayed_node,
        test_count: arguments.test_count,
        store: arguments.store,
        keep_running: arguments.keep_running,
        node_binary: arguments.node_binary,
        json: arguments.json,
        junit: arguments.junit,
    };
    on_runtime(run::run(series))
}

pub(super) fn options(arguments: &RunArgs) -> Result<Options, String> {
    let tested = tested::tested(arguments)?;
    Ok(Options {
        system: tested.system,
        workload: arguments.workload.clone(),
        nodes: arguments.nodes,
        concurrency: arguments.concurrency.clients(arguments.nodes),
        rate: arguments.rate.0,
        time_limit: arguments.time_limit,
        nemesis: tested.nemesis,
        nemesis_interval: arguments.nemesis_interval,
        clock_rates: tested.clock_rates,
        timeout: arguments.timeout,
        node_args: arguments.node_arg.clone(),
        follower_reads: arguments.follower_reads,
        online: !arguments.no_online,
        hosts: tested.hosts,
    })
}
