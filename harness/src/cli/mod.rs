//! The command line: what can be asked for, and what a program that asks is told.

mod bench;
mod check;
mod help;
mod tested;
mod values;

use crate::cli::values::Rate;
use crate::exit::Exit;
use crate::nemesis::Rates;
use crate::report::{self, print};
use crate::run::{Concurrency, Options, Series};
use crate::systems::SystemName;
use crate::up::UpOptions;
use crate::{model, mutants, run, serve, simulate, up};
use clap::{Args, CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use usage::NoCommand;

/// Runs a real cluster under load and under fault, and says whether what its clients saw was right.
///
/// `harness run --workload register --nodes 5` starts five processes, lets ten clients read, write and compare-and-set, kills,
/// pauses and parts the nodes meanwhile, heals them, and checks the recorded history for linearizability.
#[derive(Debug, Parser)]
#[command(
    name = "harness",
    version,
    disable_help_subcommand = true,
    max_term_width = 110
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts a cluster, loads it, breaks it, heals it, checks what clients saw, and reports.
    ///
    /// Everything about a run is kept in a folder of its own, `STORE/WORKLOAD/TIME/`; `STORE/latest` leads to the last one. The exit
    /// code says how it ended: see `harness help exit-codes`.
    Run(Box<RunArgs>),
    /// Checks histories that were recorded earlier.
    Check(check::CheckArgs),
    /// Renders what is said of an earlier run again: its results, report, page and plots.
    ///
    /// The history is judged anew, by this build. A run that was interrupted before its report was written gets one, of what its history
    /// tells.
    Report(ReportArgs),
    /// Visits every reachable state of small worlds around the production core.
    ///
    /// The servers are the node's own Raft core; time-outs, losses, doublings, crashes and slow writes come at every point where they
    /// can. A broken promise is told as the shortest story that leads to it.
    Model(ModelArgs),
    /// Runs the production node in thousands of simulated worlds: network, disks, clocks and faults, all from one seed.
    ///
    /// Every step is held against the invariants of Raft, every history goes to the checker, and at the end, without faults, all
    /// nodes must be equal and every client served. The same seed gives the same run, on every machine.
    Simulate(Box<SimulateArgs>),
    /// Hunts the seeded bugs of the bug zoo with the model, the simulation and real processes, and prints what finds what.
    ///
    /// A check that finds nothing may have looked at nothing. So each way in which real Raft systems have been wrong is built into the node,
    /// behind a cargo feature that nothing else turns on, and every layer has to find it within a budget. Exit code 1: a bug was not
    /// found, one that breaks safety by real processes only, or something in the node as it is. Exit code 2: nothing was found in the node as
    /// it is, but not all of it was looked at.
    Mutants(MutantsArgs),
    /// Measures how long commits take and how many there are, beside other systems under the same load.
    ///
    /// Systems take turns within each round and start from nothing each time. What a machine gives changes from minute to minute: only
    /// ratios within one run can be trusted. A folder below `--data` keeps `results.jsonl` and `latency.svg`.
    ///
    /// All requests on a sample of the keys go to the checker, with a last read of each: a round that is not linearizable is no result,
    /// its folder keeps the history, and the exit code is 1.
    Bench(bench::BenchArgs),
    /// Starts a cluster to play with, and tells what happens in it until Ctrl-C.
    Up(UpArgs),
    /// Serves the runs of a store as a web page, until Ctrl-C.
    ///
    /// The page lists all runs, those that go on too, and is searched, filtered and sorted in the browser. Each run has a page of its own: its
    /// report, its files and its nodes' logs, to look at and to keep, and the commands that repeat it. It follows what happens in the store,
    /// loads nothing from elsewhere, and writes nothing.
    Serve(ServeArgs),
    /// Explains a command, or a topic: `exit-codes`, `json`, `run-directory`, `systems`.
    Help {
        /// The command or topic.
        topic: Option<String>,
    },
}

#[derive(Debug, Args)]
struct RunArgs {
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
    system: SystemName,
    /// What clients do, by name; `list` prints what there is.
    #[arg(long, value_name = "NAME", default_value = "register", value_parser = values::workload)]
    workload: String,
    /// How many nodes, from 1 to 99.
    ///
    /// A cluster serves while more than half of its nodes do: 3 tolerate the loss of one, 5 of two. 2 are allowed; they tolerate
    /// the loss of none.
    #[arg(long, value_name = "N", default_value = "5", value_parser = values::nodes)]
    nodes: u64,
    /// How many clients: a number, or a multiple of the nodes such as `2n`.
    ///
    /// Client i is pinned to node i mod n. It makes one operation at a time; one that takes longer than 50 ms is left to itself, and
    /// the client goes on as another process.
    #[arg(long, value_name = "N|Kn", default_value = "2n", value_parser = values::concurrency)]
    concurrency: Concurrency,
    /// How many operations a second all clients together begin, or `max`.
    ///
    /// The default loads the nodes enough that each fault meets operations in flight, and leaves them time to breathe, so that
    /// what goes wrong is the fault's doing. With `max` each client begins an operation when the one before it has ended.
    /// Otherwise they take turns, by a timer of a millisecond; one that still waits when its turn comes is late.
    #[arg(long, value_name = "HZ|max", default_value = "1000", value_parser = values::rate)]
    rate: Rate,
    /// For how long the cluster is loaded, faults included.
    ///
    /// Healing, final reads and the check come afterwards.
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = values::duration)]
    time_limit: Duration,
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
    nemesis: values::Kinds,
    /// From the start of one fault to the start of the next, about.
    ///
    /// It shrinks where the time limit would otherwise not let each kind happen at least twice.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = values::duration)]
    nemesis_interval: Duration,
    /// At which rates clocks run that are wrong, from 0.1 to 10 times the usual one, by the nemesis clock [default: 0.25..4; where a
    /// `--node-arg` is `--lease-reads`, 0.92..1.08]
    ///
    /// Leases of the project's own node hold while clocks run apart by no more than a tenth. Whoever wants to see what becomes of them beyond
    /// that asks for other rates.
    #[arg(long, value_name = "MIN..MAX", value_parser = values::clock_rates)]
    clock_rates: Option<Rates>,
    /// How long a client waits for an answer before it gives an operation up.
    #[arg(long, value_name = "DURATION", default_value = "500ms", value_parser = values::duration)]
    timeout: Duration,
    /// Decides what is random: operations, faults, the nodes' time-outs. Drawn and reported where it is not given.
    #[arg(long, value_name = "N", value_parser = values::seed)]
    seed: Option<u64>,
    /// Repeats an earlier run: its flags, its node program, its seed and its schedule of faults.
    ///
    /// RUN is its folder, such as `store/latest`. What processes and threads do in detail is not in anybody's hand: a replay makes what
    /// was found likely, not certain.
    #[arg(
        long,
        value_name = "RUN",
        conflicts_with_all = ["system", "workload", "nodes", "concurrency", "rate", "time_limit", "nemesis", "nemesis_interval", "clock_rates", "timeout", "seed", "node_arg", "follower_reads", "no_online", "hosts"]
    )]
    replay: Option<PathBuf>,
    /// How many tests, one after the other, each with a fresh cluster and a seed of its own that follows from `--seed`.
    #[arg(long, value_name = "N", default_value = "1", value_parser = values::test_count)]
    test_count: u32,
    /// Where runs are kept.
    #[arg(long, value_name = "FOLDER", default_value = "store")]
    store: PathBuf,
    /// Runs the nodes on these machines, in turn, over ssh; by default they run on this one.
    ///
    /// Hosts are called as the configuration of ssh calls them, and nobody is asked for a password. The node program, which must run there as
    /// it does here, is copied into a private folder below the host's temporary one; at the end data and logs are fetched, and the folder is
    /// removed. When the harness or a connection dies, so do the nodes; the verdict on a run that has lost a host is unknown. Nodes listen at
    /// the address by which their host was reached, and reach each other through links on this machine: there is neither encryption nor
    /// authentication, so name hosts in a network that you trust. A host takes at most 7 nodes.
    #[arg(long, value_name = "HOST,…", value_delimiter = ',', value_parser = values::host)]
    hosts: Vec<String>,
    /// A further argument for ssh, such as `-F` and then a file; may be given several times.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true, requires = "hosts")]
    ssh_arg: Vec<String>,
    /// The address at which the hosts reach this machine; by default where they see it.
    #[arg(long, value_name = "IP", requires = "hosts", value_parser = values::ip_address)]
    address: Option<std::net::IpAddr>,
    /// Leaves the nodes running after the verdict, until Ctrl-C.
    #[arg(long, conflicts_with = "test_count")]
    keep_running: bool,
    /// The node program; by default the one that belongs to this harness.
    ///
    /// Under cargo that is built first; an installed harness takes the `node` beside itself.
    #[arg(long, value_name = "PATH")]
    node_binary: Option<PathBuf>,
    /// A further argument for each node; may be given several times.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    node_arg: Vec<String>,
    /// Has nodes answer reads while they follow, and clients read at the nodes that they are pinned to, not at the leader.
    #[arg(long)]
    follower_reads: bool,
    /// Checks the history at the end only, and not while it is recorded as well.
    ///
    /// Otherwise the first violation that is seen ends the load; the nodes are frozen and then killed as they are, without healing and
    /// final reads, and the check at the end explains it. What takes too long to be judged beside the load is left to that check.
    #[arg(long)]
    no_online: bool,
    /// Prints one JSON line for each test to stdout, and everything else to stderr; see `harness help json`.
    #[arg(long)]
    json: bool,
    /// Writes the tests' results as JUnit XML too.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ReportArgs {
    /// The folder of the run, such as `store/latest`.
    run: PathBuf,
    /// Prints the JSON line of `harness run` to stdout, and everything else to stderr; see `harness help json`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ModelArgs {
    /// One world, by name; `all` those of every change, `nightly` some of the same kind with wider bounds; `list` prints what there is.
    #[arg(long, value_name = "NAME", default_value = values::ALL, value_parser = values::world)]
    world: String,
    /// How many threads; by default as many as there are cores.
    #[arg(long, value_name = "N", value_parser = values::threads)]
    threads: Option<usize>,
    /// How many steps one world may take, in millions; one that would take more is unknown.
    #[arg(long, value_name = "MILLIONS", default_value = "100", value_parser = values::millions)]
    limit: usize,
    /// How many steps from the beginning at most; what lies behind is unknown then. Takes one thread.
    #[arg(long, value_name = "STEPS", value_parser = values::depth)]
    depth: Option<usize>,
    /// How much memory may be taken, such as 500M or 4G; by default three quarters of what is free. A world that would take more is
    /// unknown.
    #[arg(long, value_name = "BYTES", value_parser = values::memory)]
    memory: Option<u64>,
    /// Serves stateright's Explorer for one world at this address, such as 127.0.0.1:3000: a page on which states are looked at and steps
    /// are chosen.
    #[arg(long, value_name = "ADDRESS", value_parser = values::address, conflicts_with_all = ["json", "depth", "limit", "memory"])]
    explore: Option<std::net::SocketAddr>,
    /// The bug of the bug zoo that is seeded into every server.
    #[cfg(feature = "mutants")]
    #[arg(long, value_name = "NAME", value_parser = values::mutant)]
    mutant: Option<String>,
    /// Prints one JSON line for each world to stdout; see `harness help json`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct SimulateArgs {
    /// How many seeds.
    #[arg(long, value_name = "N", default_value = "1000", value_parser = values::seeds)]
    seeds: u64,
    /// The first of them.
    #[arg(long, value_name = "N", default_value = "0", value_parser = values::seed)]
    first_seed: u64,
    /// Runs this one seed, and tells everything that happens in it.
    ///
    /// With `--only` the world is smaller; with `--shrink`, if it fails, it is made as small as it goes first.
    #[arg(long, value_name = "N", value_parser = values::seed, conflicts_with_all = ["seeds", "first_seed", "shard", "until_failure", "threads", "time_limit"])]
    seed: Option<u64>,
    /// Keeps only these parts of the world of `--seed`: what a shrunk failure names.
    ///
    /// Parts are separated by commas: `clients=0+2`, `faults=3+t7+e9` (a number, what befell the leader of a term, what was asked of it
    /// at once), `ops=4` (of each client), `us=120000` (how long load and faults last), `without=late+drop` (also duplicate, drift,
    /// disk, beside, starts, values, leases, turns).
    #[arg(
        long,
        value_name = "PARTS",
        default_value = "",
        hide_default_value = true,
        requires = "seed"
    )]
    only: sim::Reduction,
    /// Makes the world of `--seed` smaller, if it fails; without `--seed` that is done with the first failure anyway.
    #[arg(long, requires = "seed")]
    shrink: bool,
    /// Leaves the first failing world as it is.
    #[arg(long, conflicts_with = "seed")]
    no_shrink: bool,
    /// Writes the replayed world, or the first failing one made smaller, as a golden script of the core, as in `node/raft/testdata`.
    ///
    /// A replayed world must go by turns of one input: `--only without=turns`, which shrinking tries by itself.
    #[arg(long, value_name = "FILE")]
    golden: Option<PathBuf>,
    /// Writes the faults of the same world into a folder, for `harness run --replay FOLDER`.
    #[arg(long, value_name = "FOLDER")]
    schedule: Option<PathBuf>,
    /// Begins no more seeds after this time. With fewer than `--seeds` says, it is unknown whether they hold.
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    time_limit: Option<Duration>,
    /// Seeds this bug into every node; `list` prints what there is.
    #[cfg(feature = "mutants")]
    #[arg(long, value_name = "NAME", value_parser = values::simulated_mutant)]
    mutant: Option<String>,
    /// Runs the K-th of N equal parts of the seeds, so that several machines share them.
    #[arg(long, value_name = "K/N", default_value = "1/1", value_parser = values::shard)]
    shard: (u64, u64),
    /// Goes on until a seed fails, however many it takes.
    #[arg(long, conflicts_with = "seeds")]
    until_failure: bool,
    /// How many threads; by default as many as there are cores.
    #[arg(long, value_name = "N", value_parser = values::threads)]
    threads: Option<usize>,
    /// How many nodes, from 1 to 9; by default each seed decides.
    #[arg(long, value_name = "N", value_parser = values::simulated_nodes)]
    nodes: Option<u64>,
    /// Under which conditions the nodes run: `swarm`, `calm` or `cut-link`.
    ///
    /// swarm: each seed draws the settings of the nodes, which faults there are, and how strongly. calm: no faults. cut-link: one link of
    /// the leader's is cut for good, and nobody may be deposed by that; it takes 3 nodes.
    #[arg(long, value_name = "NAME", default_value = "swarm", value_parser = values::conditions)]
    conditions: sim::Conditions,
    /// Prints one JSON line to stdout; see `harness help json`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct MutantsArgs {
    /// One bug, by name; may be given several times. `none` is the node as it is. By default that and all bugs.
    #[arg(long, value_name = "NAME")]
    mutant: Vec<String>,
    /// Prints the names of the bugs.
    #[arg(long)]
    list: bool,
    /// Which layers, in the order in which they are tried: `model`, `simulate`, `run`, several with commas.
    #[arg(
        long,
        value_name = "LAYERS",
        default_value = "model,simulate,run",
        value_delimiter = ','
    )]
    layer: Vec<mutants::Layer>,
    /// Sends each bug through all layers, not only until one finds it.
    ///
    /// Real processes are still not asked for a bug that was found and that they can't be hoped to show.
    #[arg(long)]
    every_layer: bool,
    /// How long one layer looks for one bug.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = values::duration)]
    budget: Duration,
    /// How many threads a model check and a simulation have; by default as many as there are cores.
    #[arg(long, value_name = "N", value_parser = values::threads)]
    threads: Option<usize>,
    /// A harness that was built with the cargo feature `mutants`, with its node beside it.
    ///
    /// Under cargo they are built first, into the folder `mutants` of the target folder.
    #[arg(long, value_name = "PATH")]
    with: Option<PathBuf>,
    /// Prints one JSON line for each bug to stdout; see `harness help json`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct UpArgs {
    /// How many nodes, from 1 to 99.
    #[arg(long, value_name = "N", default_value = "3", value_parser = values::nodes)]
    nodes: u64,
    /// Where the nodes keep data and logs; by default in a fresh folder below `store/up/`.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// The node program; by default the one that belongs to this harness.
    #[arg(long, value_name = "PATH")]
    node_binary: Option<PathBuf>,
    /// A further argument for each node; may be given several times.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    node_arg: Vec<String>,
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// The store: the folder that runs were kept in.
    #[arg(long, value_name = "FOLDER", default_value = "store")]
    store: PathBuf,
    /// The address to listen on; of port 0 the operating system says which one it is.
    ///
    /// Whoever reaches the address can read everything in the store. On an address of this machine alone, questions by any other name than
    /// localhost or such an address are refused, as they come from pages that were made to ask here.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0", value_parser = values::address)]
    listen: std::net::SocketAddr,
    /// Prints one JSON line with the address to stdout; see `harness help json`.
    #[arg(long)]
    json: bool,
}

/// What `main` does.
pub fn main() -> ExitCode {
    let exit = match parse(std::env::args_os()) {
        Ok(cli) => Exit::of(|| execute(cli.command)),
        Err(NoCommand::Shown(text)) => {
            print(&text);
            Exit::Valid
        }
        Err(NoCommand::Wrong(line)) => usage(&line),
    };
    exit.max(printed()).into()
}

/// Whether all that was to be printed is on stdout.
fn printed() -> Exit {
    match report::unprinted() {
        None => Exit::Valid,
        Some(error) => {
            eprintln!("harness: can't write to stdout: {error}");
            Exit::Internal
        }
    }
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, NoCommand> {
    usage::parse(arguments, COMMANDS)
}

/// What is said to whoever names no command, or another one.
const COMMANDS: &str = "there are run, check, report, model, simulate, mutants, bench, up, serve and help";

fn execute(command: Command) -> Exit {
    match command {
        Command::Run(arguments) => execute_run(*arguments),
        Command::Check(arguments) => check::execute(arguments),
        Command::Report(arguments) => run::rerender(&arguments.run, arguments.json),
        Command::Model(arguments) => execute_model(&arguments),
        Command::Simulate(arguments) => execute_simulate(*arguments),
        Command::Mutants(arguments) => execute_mutants(arguments),
        Command::Bench(arguments) => bench::execute(arguments),
        Command::Up(arguments) => execute_up(arguments),
        Command::Serve(arguments) => execute_serve(arguments),
        Command::Help { topic } => explain(topic.as_deref()),
    }
}

fn execute_model(arguments: &ModelArgs) -> Exit {
    use sim::model::{Limits, Subject, Tier, World, worlds};
    if arguments.world == values::LIST {
        for world in worlds() {
            let tier = match world.tier {
                Tier::Ci => "",
                Tier::Nightly => "nightly: ",
            };
            let width = model::NAME_WIDTH;
            print(&format!("{:<width$}  {tier}{}\n", world.name, world.about));
        }
        return Exit::Valid;
    }
    let chosen = |world: &World| match arguments.world.as_str() {
        values::ALL => world.tier == Tier::Ci,
        values::NIGHTLY => world.tier == Tier::Nightly,
        name => world.name == name,
    };
    let chosen: Vec<World> = worlds().into_iter().filter(chosen).collect();
    #[cfg(feature = "mutants")]
    let chosen: Vec<World> = match &arguments.mutant {
        Some(name) => chosen
            .iter()
            .filter_map(|world| world.with_mutant(name))
            .collect(),
        None => chosen,
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = arguments.threads.unwrap_or(cores);
    if let Some(address) = arguments.explore {
        return match chosen.as_slice() {
            [world] if world.subject == Subject::Cores => model::explore(world, address, threads),
            [_] | [] => usage("the Explorer shows worlds of cores, and this is one of a disk"),
            [_, _, ..] => usage("the Explorer shows one world; --world names it"),
        };
    }
    let available = || model::available_bytes().map_or(u64::MAX, |bytes| bytes / 4 * 3);
    model::model(&model::ModelOptions {
        worlds: chosen,
        limits: Limits {
            threads,
            steps_max: arguments.limit.saturating_mul(1_000_000),
            depth_max: arguments.depth,
        },
        memory_bytes_max: arguments.memory.unwrap_or_else(available),
        json: arguments.json,
    })
}

/// With fewer nodes, whoever loses a link hears nobody.
const CUT_LINK_NODES_MIN: u64 = 3;

fn execute_simulate(arguments: SimulateArgs) -> Exit {
    #[cfg(feature = "mutants")]
    if arguments.mutant.as_deref() == Some(values::LIST) {
        for (name, _) in sim::Mutant::all() {
            print(&format!("{name}\n"));
        }
        return Exit::Valid;
    }
    if arguments.conditions == sim::Conditions::CutLink
        && arguments.nodes.is_some_and(|nodes| nodes < CUT_LINK_NODES_MIN)
    {
        return usage(&format!(
            "--conditions cut-link takes {CUT_LINK_NODES_MIN} nodes or more: with fewer the leader's link is the only one"
        ));
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let options = simulate::SimulateOptions {
        first_seed: arguments.first_seed,
        seeds: (!arguments.until_failure).then_some(arguments.seeds),
        shard: arguments.shard,
        threads: arguments.threads.unwrap_or(cores),
        nodes: arguments.nodes,
        conditions: arguments.conditions,
        time_limit: arguments.time_limit,
        shrink: if arguments.seed.is_some() {
            arguments.shrink
        } else {
            !arguments.no_shrink
        },
        reduction: arguments.only,
        golden: arguments.golden,
        schedule: arguments.schedule,
        #[cfg(feature = "mutants")]
        mutant: arguments
            .mutant
            .and_then(|name| Some((name.clone(), sim::Mutant::by_name(&name)?))),
        json: arguments.json,
    };
    match arguments.seed {
        Some(seed) => simulate::replay(seed, &options),
        None => simulate::simulate(&options),
    }
}

fn execute_mutants(arguments: MutantsArgs) -> Exit {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    mutants::mutants(&mutants::MutantsOptions {
        mutants: arguments.mutant,
        layers: arguments.layer,
        every_layer: arguments.every_layer,
        budget: arguments.budget,
        with: arguments.with,
        threads: arguments.threads.unwrap_or(cores),
        list: arguments.list,
        json: arguments.json,
    })
}

fn execute_run(arguments: RunArgs) -> Exit {
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

fn execute_up(arguments: UpArgs) -> Exit {
    on_runtime(up::up(UpOptions {
        nodes: arguments.nodes,
        dir: arguments.dir,
        node_binary: arguments.node_binary,
        node_args: arguments.node_arg,
    }))
}

fn execute_serve(arguments: ServeArgs) -> Exit {
    on_runtime(serve::serve(&serve::ServeOptions {
        store: arguments.store,
        listen: arguments.listen,
        json: arguments.json,
    }))
}

fn on_runtime(task: impl Future<Output = Exit>) -> Exit {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let exit = runtime.block_on(task);
            // What still hangs about, a thread that waits for a file say, shall not delay the end.
            runtime.shutdown_background();
            exit
        }
        Err(error) => {
            eprintln!("harness: can't start threads: {error}");
            Exit::Internal
        }
    }
}

fn options(arguments: &RunArgs) -> Result<Options, String> {
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

/// Explains a command or a topic.
fn explain(topic: Option<&str>) -> Exit {
    let mut command = Cli::command();
    let Some(name) = topic else {
        print(&command.render_long_help().to_string());
        return Exit::Valid;
    };
    if let Some(text) = help::topic(name) {
        print(text);
        return Exit::Valid;
    }
    command.build();
    if let Some(subcommand) = command.find_subcommand_mut(name) {
        print(&subcommand.render_long_help().to_string());
        return Exit::Valid;
    }
    let topics = help::TOPICS.map(|(name, _)| name).join(", ");
    usage(&format!(
        "there is no help on {name:?}; there is on run, check, report, model, simulate, mutants, bench, up, serve, {topics}"
    ))
}

fn usage(line: &str) -> Exit {
    eprintln!("harness: {line}");
    Exit::Usage
}

#[cfg(test)]
mod tests;
