//! The command line: what can be asked for, and what a program that asks is told.

mod bench;
mod check;
mod help;
mod model;
mod mutants;
mod run;
mod simulate;
mod tested;
mod values;

use crate::exit::Exit;
use crate::report::{self, print};
use crate::serve;
use crate::up::{self, UpOptions};
use clap::{Args, CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
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
    Run(Box<run::RunArgs>),
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
    Model(model::ModelArgs),
    /// Runs the production node in thousands of simulated worlds: network, disks, clocks and faults, all from one seed.
    ///
    /// Every step is held against the invariants of Raft, every history goes to the checker, and at the end, without faults, all
    /// nodes must be equal and every client served. The same seed gives the same run, on every machine.
    Simulate(Box<simulate::SimulateArgs>),
    /// Hunts the seeded bugs of the bug zoo with the model, the simulation and real processes, and prints what finds what.
    ///
    /// A check that finds nothing may have looked at nothing. So each way in which real Raft systems have been wrong is built into the node,
    /// behind a cargo feature that nothing else turns on, and every layer has to find it within a budget. Exit code 1: a bug was not
    /// found, one that breaks safety by real processes only, or something in the node as it is. Exit code 2: nothing was found in the node as
    /// it is, but not all of it was looked at.
    Mutants(mutants::MutantsArgs),
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
struct ReportArgs {
    /// The folder of the run, such as `store/latest`.
    run: PathBuf,
    /// Prints the JSON line of `harness run` to stdout, and everything else to stderr; see `harness help json`.
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
        Command::Run(arguments) => run::execute(*arguments),
        Command::Check(arguments) => check::execute(arguments),
        Command::Report(arguments) => crate::run::rerender(&arguments.run, arguments.json),
        Command::Model(arguments) => model::execute(&arguments),
        Command::Simulate(arguments) => simulate::execute(*arguments),
        Command::Mutants(arguments) => mutants::execute(arguments),
        Command::Bench(arguments) => bench::execute(arguments),
        Command::Up(arguments) => execute_up(arguments),
        Command::Serve(arguments) => execute_serve(arguments),
        Command::Help { topic } => explain(topic.as_deref()),
    }
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
