//! `harness mutants`: every seeded bug of the bug zoo, through the layers that look for bugs, and what finds it how fast.
//!
//! The harness that runs this has no bugs in it. Each layer is a child: a harness, or a node, that was built with the cargo feature
//! `mutants` into a target folder of its own, and is told which bug to have. So a row of the table is repeated by the command that stands
//! in it.

mod child;
mod faults;
mod layers;
mod programs;
mod search;
mod table;

pub use layers::Layer;

use crate::exit::Exit;
use child::HuntError;
use faults::Faults;
use layers::{Budget, Hunt, Quarry, hunt};
use programs::Programs;
use std::path::PathBuf;
use std::time::Duration;
use table::{Row, print_row, print_title, score};

/// The word for the nodes as they are.
pub const UNMUTATED: &str = "none";

/// The bugs that make a cluster stop, and nothing that it says wrong; all others break safety.
const LIVENESS: [&str; 8] = [
    "prevote-mixed",
    "prevote-keeps-leader",
    "learner-refuses-vote",
    "no-stickiness",
    "transfer-never-aborts",
    "inflight-leak",
    "joint-unelectable",
    "snapshot-keeps-conflict",
];

/// What is to be hunted, and how.
#[derive(Clone, Debug)]
pub struct MutantsOptions {
    /// Which bugs, by name; empty: all of them, and the nodes as they are.
    pub mutants: Vec<String>,
    /// Which layers, in the order in which they are tried.
    pub layers: Vec<Layer>,
    /// Whether each bug goes through all layers, not only until one finds it. What was found is still not sent through real processes that
    /// can't be hoped to show it.
    pub every_layer: bool,
    /// How long one layer looks for one bug.
    pub budget: Duration,
    /// A harness that was built with seeded bugs, with the node beside it; `None`: they are built.
    pub with: Option<PathBuf>,
    /// How many threads a model check and a simulation have.
    pub threads: usize,
    /// Whether only the bugs' names are printed.
    pub list: bool,
    /// Whether JSON lines are printed.
    pub json: bool,
}

/// Hunts, and tells what was found.
pub fn mutants(options: &MutantsOptions) -> Exit {
    let prepared = Programs::locate(options.with.as_deref()).and_then(|programs| {
        let known = programs.mutants()?;
        Ok((programs, known))
    });
    let (programs, known) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            eprintln!("harness: {error}");
            return Exit::Usage;
        }
    };
    if options.list {
        for name in known {
            crate::report::print(&format!("{name}\n"));
        }
        return Exit::Valid;
    }
    let is_known = |name: &String| name == UNMUTATED || known.contains(name);
    if let Some(unknown) = options.mutants.iter().find(|name| !is_known(name)) {
        eprintln!(
            "harness: there is no mutant {unknown:?}; `harness mutants --list` prints what there is, and {UNMUTATED} means no bug"
        );
        return Exit::Usage;
    }
    let names = if options.mutants.is_empty() {
        std::iter::once(UNMUTATED.to_owned()).chain(known).collect()
    } else {
        options.mutants.clone()
    };
    eprintln!("the bugs are in {}", programs.harness().display());
    let mut rows = Vec::new();
    if !options.json {
        print_title();
    }
    for name in names {
        match go_through(&programs, name, options) {
            Ok(row) => {
                print_row(&row, options.json);
                rows.push(row);
            }
            Err(error) => {
                eprintln!("harness: {error}");
                return Exit::Internal;
            }
        }
    }
    let score = score(&rows);
    if options.json {
        eprint!("{score}");
    } else {
        crate::report::print(&score);
    }
    let complete = options.layers.len() == Layer::ALL.len();
    if !rows.iter().all(|row| row.is_as_it_should(complete)) {
        Exit::Violation
    } else if rows.iter().any(|row| row.untold().is_some()) {
        Exit::Unknown
    } else {
        Exit::Valid
    }
}

/// One bug through the layers.
fn go_through(programs: &Programs, name: String, options: &MutantsOptions) -> Result<Row, HuntError> {
    let is_clean = name == UNMUTATED;
    let mut row = Row {
        breaks_safety: !LIVENESS.contains(&name.as_str()),
        is_clean,
        mutant: name,
        hunts: Vec::new(),
    };
    for layer in &options.layers {
        let budget = Budget {
            time: options.budget,
            threads: options.threads,
        };
        let quarry = Quarry {
            mutant: (!is_clean).then_some(row.mutant.as_str()),
            breaks_safety: row.breaks_safety,
        };
        if *layer == Layer::Run && row.is_found() && !Faults::may_show(quarry.mutant) {
            continue;
        }
        let hunted: Hunt = hunt(programs, *layer, quarry, &budget)?;
        let found = hunted.found.is_some();
        row.hunts.push(hunted);
        if found && !options.every_layer {
            break;
        }
    }
    Ok(row)
}
