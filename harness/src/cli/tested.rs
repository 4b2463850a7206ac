//! What is tested, and what of it can be asked for.

use super::RunArgs;
use crate::nemesis::Kind;
use crate::systems::{self, SystemName};

/// A system, and what is to go wrong with it.
pub(super) struct Tested {
    pub(super) system: SystemName,
    pub(super) nemesis: Vec<Kind>,
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
    let nemesis = arguments.nemesis.among(arguments.nodes, &system, known)?;
    Ok(Tested { system, nemesis })
}
