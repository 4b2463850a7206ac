//! What is tested, and what of it can be asked for.

use super::RunArgs;
use super::values::Kinds;
use crate::cluster::unsettable;
use crate::nemesis::{Kind, Rates};
use crate::run::Options;
use crate::systems::{self, SystemName};
use std::path::Path;

/// The argument by which nodes of the project's own answer reads by leases, which rest on clocks.
const LEASE_READS: &str = "--lease-reads";

/// A system, and what is to go wrong with it.
pub(super) struct Tested {
    pub(super) system: SystemName,
    pub(super) nemesis: Vec<Kind>,
    /// Between which rates clocks run that are wrong.
    pub(super) clock_rates: Rates,
}

/// What is tested.
///
/// # Errors
/// The system is not there, or not all that was asked for means something to it; in words.
pub(super) fn tested(arguments: &RunArgs) -> Result<Tested, String> {
    let mut system = arguments.system.clone();
    if let SystemName::File(path) = &mut system {
        // A replay may begin in another folder.
        *path = std::path::absolute(&*path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let adapter = systems::find(&system).map_err(|error| error.to_string())?;
    if let Some(adapter) = &adapter {
        let known = &adapter.profile().workloads;
        if !known.contains(&arguments.workload.as_str()) {
            return Err(format!(
                "--system {system} does not know --workload {}; allowed {} {}",
                arguments.workload,
                if known.len() == 1 { "is" } else { "are" },
                known.join(", ")
            ));
        }
        let of_node = [
            ("--node-binary", arguments.node_binary.is_some()),
            ("--node-arg", !arguments.node_arg.is_empty()),
            ("--follower-reads", arguments.follower_reads),
        ];
        if let Some((flag, _)) = of_node.into_iter().find(|(_, is_given)| *is_given) {
            return Err(format!("{flag} is for --system node, and not for {system}"));
        }
    }
    let known = adapter
        .as_ref()
        .map_or(&Kind::ALL[..], |adapter| &adapter.profile().nemeses[..]);
    let program = match &adapter {
        Some(adapter) => Some(adapter.profile().program.as_path()),
        // The usual one is built by whoever built the harness, and alike.
        None => arguments.node_binary.as_deref(),
    };
    let known = with_clocks(known, program, &arguments.nemesis)?;
    let nemesis = arguments.nemesis.among(arguments.nodes, &system, &known)?;
    let clock_rates = match arguments.clock_rates {
        Some(_) if !nemesis.contains(&Kind::Clock) => {
            return Err(String::from("--clock-rates is for --nemesis clock"));
        }
        Some(rates) => rates,
        None if arguments.node_arg.iter().any(|argument| argument == LEASE_READS) => Rates::WITHIN_LEASES,
        None => Rates::default(),
    };
    Ok(Tested {
        system,
        nemesis,
        clock_rates,
    })
}

/// The kinds of faults that are known of a program, without that of its clocks if these can't be set; that is told.
///
/// # Errors
/// They can't, and that was asked for by name; in words.
fn with_clocks(known: &[Kind], program: Option<&Path>, asked: &Kinds) -> Result<Vec<Kind>, String> {
    let mut known = known.to_vec();
    if !known.contains(&Kind::Clock) {
        return Ok(known);
    }
    // A program that is not there is another mistake.
    if let Some(why) = unsettable(program) {
        match asked {
            Kinds::Named(kinds) if kinds.contains(&Kind::Clock) => {
                return Err(format!("--nemesis clock: {why}"));
            }
            Kinds::Named(_) => {}
            Kinds::All => eprintln!("harness: --nemesis all leaves clock out: {why}"),
        }
        known.retain(|kind| *kind != Kind::Clock);
    }
    Ok(known)
}

/// The options without what takes disks that can fail, if there are none here and it was not named; and what there is to say of that.
///
/// # Errors
/// It was named; in words.
pub(super) fn without_missing_disks(
    mut options: Options,
    arguments: &RunArgs,
) -> Result<(Options, Option<String>), String> {
    let taking: Vec<&str> = options
        .nemesis
        .iter()
        .filter(|kind| kind.takes_disks())
        .map(|kind| kind.name())
        .collect();
    let Some(first) = taking.first() else {
        return Ok((options, None));
    };
    let Err(why) = disk::usable() else {
        return Ok((options, None));
    };
    if arguments.replay.is_some() || arguments.nemesis != Kinds::All {
        return Err(format!("--nemesis {first} is not to be had here: {why}"));
    }
    let remark = format!("{} are left out: {why}", taking.join(", "));
    options.nemesis.retain(|kind| !kind.takes_disks());
    Ok((options, Some(remark)))
}
