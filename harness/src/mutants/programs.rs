//! The programs with the seeded bugs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A harness and a node that were built with the feature `mutants`.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    harness: PathBuf,
    node: PathBuf,
}

/// Why there are none.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProgramsError {
    #[error(
        "there is no program at {0}; --with names a harness that was built with the cargo feature `mutants`, with its node beside it"
    )]
    Missing(PathBuf),
    #[error(
        "programs with seeded bugs are built by cargo: run `cargo harness mutants` in the project, or name one by --with"
    )]
    NoCargo,
    #[error("cargo could not build the programs with seeded bugs")]
    Build,
    #[error("{path} has no seeded bugs: {reason}")]
    Foreign { path: PathBuf, reason: String },
}

impl Programs {
    /// Those at `given`; without that, under cargo, those that are built now, into the folder `mutants` of the target folder.
    pub(super) fn locate(given: Option<&Path>) -> Result<Programs, ProgramsError> {
        let harness = match given {
            Some(given) => given.to_owned(),
            None => build()?,
        };
        let node = harness.with_file_name("node");
        for path in [&harness, &node] {
            if !path.is_file() {
                return Err(ProgramsError::Missing(path.clone()));
            }
        }
        // A bare name would be looked for in PATH.
        let absolute = |path: PathBuf| path.canonicalize().unwrap_or(path);
        Ok(Programs {
            harness: absolute(harness),
            node: absolute(node),
        })
    }

    pub(super) fn harness(&self) -> &Path {
        &self.harness
    }

    pub(super) fn node(&self) -> &Path {
        &self.node
    }

    /// The names of the bugs.
    pub(super) fn mutants(&self) -> Result<Vec<String>, ProgramsError> {
        let foreign = |reason: String| ProgramsError::Foreign {
            path: self.harness.clone(),
            reason,
        };
        let output = Command::new(&self.harness)
            .args(["simulate", "--mutant", "list"])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| foreign(error.to_string()))?;
        if !output.status.success() {
            return Err(foreign(format!(
                "`simulate --mutant list` ended with {}",
                output.status
            )));
        }
        let names = String::from_utf8_lossy(&output.stdout);
        Ok(names.lines().map(str::to_owned).collect())
    }
}

/// Builds both with the harness's own profile; costs little when they are fresh. What they have in common with programs without bugs
/// is compiled once for all.
fn build() -> Result<PathBuf, ProgramsError> {
    let (Some(cargo), Some(package)) = (std::env::var_os("CARGO"), std::env::var_os("CARGO_MANIFEST_DIR"))
    else {
        return Err(ProgramsError::NoCargo);
    };
    let own = std::env::current_exe().map_err(|_| ProgramsError::NoCargo)?;
    let folder = own.parent().unwrap_or(Path::new("."));
    // Test programs lie one folder deeper.
    let folder = if folder.ends_with("deps") {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    };
    let name = folder
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("debug");
    let profile = if name == "debug" { "dev" } else { name };
    let shared = folder.parent().unwrap_or(folder);
    let target = shared.join("mutants");
    let status = Command::new(cargo)
        .current_dir(package)
        .args([
            "build",
            "--package",
            "rustyraft-harness",
            "--package",
            "rustyraft-node",
        ])
        .args(["--bin", "harness", "--bin", "node"])
        .args(["--features", "rustyraft-harness/mutants,rustyraft-node/mutants"])
        .args(["--profile", profile, "--target-dir"])
        .arg(&target)
        .env("CARGO_BUILD_BUILD_DIR", shared)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(|_| ProgramsError::Build)?;
    if !status.success() {
        return Err(ProgramsError::Build);
    }
    Ok(target.join(name).join("harness"))
}
