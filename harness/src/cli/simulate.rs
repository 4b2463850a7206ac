//! The flags of `harness simulate`.

use super::{usage, values};
use crate::exit::Exit;
#[cfg(feature = "mutants")]
use crate::report::print;
use crate::simulate::{self, SimulateOptions};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// With fewer nodes, whoever loses a link hears nobody.
const CUT_LINK_NODES_MIN: u64 = 3;

#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
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

/// Does what was asked for.
pub(super) fn execute(arguments: SimulateArgs) -> Exit {
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
    let options = SimulateOptions {
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
