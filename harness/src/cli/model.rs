//! The flags of `harness model`.

use super::{usage, values};
use crate::exit::Exit;
use crate::model::{self, ModelOptions};
use crate::report::print;
use clap::Args;
use sim::model::{Limits, Subject, Tier, World, worlds};

#[derive(Debug, Args)]
pub(super) struct ModelArgs {
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

/// Does what was asked for.
pub(super) fn execute(arguments: &ModelArgs) -> Exit {
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
    model::model(&ModelOptions {
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
