//! The flags of `harness mutants`.

use super::values;
use crate::exit::Exit;
use crate::mutants::{self, Layer, MutantsOptions};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct MutantsArgs {
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
    layer: Vec<Layer>,
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

/// Does what was asked for.
pub(super) fn execute(arguments: MutantsArgs) -> Exit {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    mutants::mutants(&MutantsOptions {
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
