//! What is tested, and what of it can be asked for.

use super::run::RunArgs;
use super::values::Kinds;
use crate::cluster::{HostsSpec, KINDS_OVER_HOSTS, unsettable};
use crate::nemesis::{Kind, Rates};
use crate::run::{Options, spares};
use crate::systems::{self, SystemName};
use std::path::Path;

/// The argument by which nodes of the project's own answer reads by leases, which rest on clocks.
const LEASE_READS: &str = "--lease-reads";

/// Why kinds of faults can't be had over hosts.
const ONLY_HERE: &str = "that takes nodes on this machine, and --hosts names others";

/// A system, and what is to go wrong with it.
pub(super) struct Tested {
    pub(super) system: SystemName,
    pub(super) nemesis: Vec<Kind>,
    /// Between which rates clocks run that are wrong.
    pub(super) clock_rates: Rates,
    /// Where nodes run; `None`: here.
    pub(super) hosts: Option<HostsSpec>,
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
            ("--hosts", !arguments.hosts.is_empty()),
        ];
        if let Some((flag, _)) = of_node.into_iter().find(|(_, is_given)| *is_given) {
            return Err(format!("{flag} is for --system node, and not for {system}"));
        }
    }
    let known = adapter
        .as_ref()
        .map_or(&Kind::ALL[..], |adapter| &adapter.profile().nemeses[..]);
    let mut known = known.to_vec();
    if !arguments.hosts.is_empty() {
        let is_out = |kind: &&Kind| !KINDS_OVER_HOSTS.contains(kind);
        if let Kinds::Named(kinds) = &arguments.nemesis
            && let Some(kind) = kinds.iter().find(is_out)
        {
            return Err(format!("--nemesis {kind}: {ONLY_HERE}"));
        }
        known.retain(|kind| KINDS_OVER_HOSTS.contains(kind));
    }
    let program = match &adapter {
        Some(adapter) => Some(adapter.profile().program.as_path()),
        // The usual one is built by whoever built the harness, and alike.
        None => arguments.node_binary.as_deref(),
    };
    let known = with_clocks(&known, program, &arguments.nemesis)?;
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
        hosts: hosts(arguments, &nemesis)?,
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

/// What there is to say of the kinds of faults that `all` leaves out over hosts.
pub(super) fn left_out(arguments: &RunArgs) -> Option<String> {
    if arguments.hosts.is_empty() || arguments.nemesis != Kinds::All {
        return None;
    }
    let out = Kind::ALL
        .iter()
        .filter(|kind| !KINDS_OVER_HOSTS.contains(kind) && kind.nodes_min() <= arguments.nodes);
    let out: Vec<&str> = out.map(|kind| kind.name()).collect();
    (!out.is_empty()).then(|| format!("{} are left out: {ONLY_HERE}", out.join(", ")))
}

/// The hosts that were named, if any were.
///
/// # Errors
/// One was named twice, or they are too few; in words.
fn hosts(arguments: &RunArgs, nemesis: &[Kind]) -> Result<Option<HostsSpec>, String> {
    if arguments.hosts.is_empty() {
        return Ok(None);
    }
    let hosts = HostsSpec {
        names: arguments.hosts.clone(),
        ssh_args: arguments.ssh_arg.clone(),
        address: arguments.address,
    };
    let nodes = arguments.nodes + spares(nemesis);
    hosts.check(nodes).map_err(|error| format!("--hosts: {error}"))?;
    Ok(Some(hosts))
}
