//! The flags of `harness check`.

use super::{usage, values};
use crate::exit::Exit;
use crate::report::print;
use crate::{check, run};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Histories, runs, interrupted ones too, or folders of either, such as `store/register`.
    #[arg(required_unless_present = "model", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What the histories were recorded in: `native`, `jepsen`, `porcupine-etcd` or `porcupine-kv`; by default they tell themselves.
    #[arg(long, value_name = "FORMAT", value_parser = values::format)]
    format: Option<checker::formats::Format>,
    /// The model that judges, by name; `list` prints what there is. By default the operations' names tell.
    #[arg(long, value_name = "NAME", value_parser = values::model)]
    model: Option<String>,
    /// What each object is at the beginning, as JSON; what is no JSON is a text.
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    init: Option<String>,
    /// How outcomes are understood: `native`, `knossos` or `porcupine`; by default as the format has it.
    ///
    /// They differ in two things. A compare-and-set that failed did not happen in `native` (the default for this project's histories,
    /// where one that did not match is ok and returned false) and in `knossos` (the default for Jepsen's EDN); in `porcupine` (the
    /// default for the logs that Porcupine reads) it found another value than it expected. And a read of nil says nothing in `knossos`;
    /// in the others it says that nothing was there.
    #[arg(long, value_name = "NAME", value_parser = values::dialect)]
    dialect: Option<checker::Dialect>,
    /// Which engine judges: `auto`, `general`, or `linear`, which refuses histories that no engine takes in linear time.
    #[arg(long, value_name = "ENGINE", default_value = "auto", value_parser = values::engine)]
    engine: checker::EngineChoice,
    /// Looks for the violations of all objects, and not only for the first.
    #[arg(long)]
    all: bool,
    /// Writes a page about the history: the first one that is a violation, or else the first. It opens in a browser, without network.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// How long the check of one history may take; then its verdict is unknown.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = values::duration)]
    time_limit: Duration,
    /// How much memory the check of one object may take, in MiB; then the verdict is unknown.
    #[arg(long, value_name = "MIB", default_value = "1024", value_parser = values::mebibytes)]
    memory_limit: usize,
    /// Prints one JSON line for each file to stdout, and everything else to stderr; see `harness help json`.
    #[arg(long)]
    json: bool,
}

/// Does what was asked for.
pub(super) fn execute(arguments: CheckArgs) -> Exit {
    if arguments.model.as_deref() == Some(values::LIST) {
        for model in checker::registry() {
            print(&format!("{:<16} {}\n", model.name, model.about));
        }
        return Exit::Valid;
    }
    if arguments.files.is_empty() {
        return usage("a history, or a folder of them, is needed");
    }
    check::check(&check::CheckOptions {
        files: arguments.files,
        request: run::Request {
            format: arguments.format,
            dialect: arguments.dialect,
            model: arguments.model,
            init: arguments.init.as_deref().map(values::init),
            engine: arguments.engine,
            all: arguments.all,
            time_limit: arguments.time_limit,
            bytes_max: arguments.memory_limit << 20,
        },
        html: arguments.html,
        json: arguments.json,
    })
}
