//! What is to be known of a system before it runs.

use super::SystemError;
use super::program::{installed, version};
use crate::cluster::Reach;
use crate::nemesis::Kind;
use std::path::PathBuf;

/// What is to be known of another system than the project's own node.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The program of its nodes.
    pub program: PathBuf,
    /// The version of that, in its own words.
    pub version: String,
    /// The workloads whose operations its sessions carry out, by name.
    pub workloads: Vec<&'static str>,
    /// The faults that mean something to it.
    pub nemeses: Vec<Kind>,
    /// How its nodes reach each other.
    pub reach: Reach,
    /// What its sessions tell of a node.
    pub tells: Tells,
    /// Whether its nodes elect a leader, and tell in which term.
    pub elects: bool,
}

/// What sessions tell of a node, see [`Session::status`](super::Session::status).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tells {
    /// Nothing.
    Nothing,
    /// Who leads.
    Leader,
    /// That, and how much it has applied, so that it can be waited for.
    Progress,
}

/// A program that comes with a package.
pub(super) struct Packaged {
    /// Its name.
    pub(super) program: &'static str,
    /// How to come by it.
    pub(super) hint: &'static str,
    /// What stands before the version in the first line that it says of itself.
    pub(super) version_prefix: &'static str,
}

impl Packaged {
    /// Where it is, and its version.
    ///
    /// # Errors
    /// It is not installed, or does not say its version.
    pub(super) fn find(&self) -> Result<(PathBuf, String), SystemError> {
        let program = installed(self.program, self.hint)?;
        let line = version(&program)?;
        let version = line
            .split_once(self.version_prefix)
            .and_then(|(_, behind)| behind.split_whitespace().next())
            .unwrap_or(&line)
            .to_owned();
        Ok((program, version))
    }
}

/// The names of all workloads.
pub(super) fn all_workloads() -> Vec<&'static str> {
    workloads::all().iter().map(|workload| workload.name()).collect()
}
