//! Which `node` program is run.

use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program's name.
const NAME: &str = "node";

/// A `node` program that goes with this harness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    path: PathBuf,
    version: String,
}

/// Why there is no such program.
#[derive(Debug, thiserror::Error)]
pub enum BinaryError {
    /// There is none at the place that was named.
    #[error("there is no node program at {0}; name one with --node-binary")]
    Missing(PathBuf),
    /// It can't be run, or is something else.
    #[error("{path} is not a node program of this project: {reason}")]
    Foreign {
        /// Where.
        path: PathBuf,
        /// What it did instead.
        reason: String,
    },
    /// It goes with another harness.
    #[error("{path} is version {version} (wire {wire_min} to {wire_max}), and this harness needs {}, wire {} to {}",
        env!("CARGO_PKG_VERSION"), wire::VERSION_MIN, wire::VERSION_MAX)]
    Version {
        /// Where.
        path: PathBuf,
        /// Its version.
        version: String,
        /// The oldest wire version it speaks.
        wire_min: u16,
        /// The newest wire version it speaks.
        wire_max: u16,
    },
    /// Cargo could not build it.
    #[error("cargo could not build the node program: {0}")]
    Build(String),
}

/// What `node version --json` prints, as far as it matters here.
#[derive(Deserialize)]
struct VersionLine {
    version: String,
    wire_min: u16,
    wire_max: u16,
}

impl Binary {
    /// The program at `given`. Without that: under cargo, the one that is built, now, with the harness's own profile; else the
    /// one beside the harness.
    ///
    /// # Errors
    /// There is none, it can't be built, or it doesn't go with this harness.
    pub fn locate(given: Option<&Path>) -> Result<Binary, BinaryError> {
        if let Some(given) = given {
            return inspect(given.to_owned());
        }
        let folder = own_folder()?;
        if let (Some(cargo), Some(package)) =
            (std::env::var_os("CARGO"), std::env::var_os("CARGO_MANIFEST_DIR"))
        {
            build(Path::new(&cargo), Path::new(&package), &folder)?;
        }
        inspect(folder.join(NAME))
    }

    /// The program at `recorded`, where an earlier run had it; if that is the one that [`Binary::locate`] finds by itself, it is built
    /// under cargo as it is there.
    ///
    /// # Errors
    /// As of [`Binary::locate`].
    pub fn locate_again(recorded: &Path) -> Result<Binary, BinaryError> {
        let usual = own_folder()?.join(NAME);
        let is_usual = usual.canonicalize().is_ok_and(|usual| usual == recorded);
        Binary::locate(Some(recorded).filter(|_| !is_usual))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.version
    }
}

/// Where the harness lies.
fn own_folder() -> Result<PathBuf, BinaryError> {
    let own = std::env::current_exe().map_err(|error| BinaryError::Build(error.to_string()))?;
    // Test programs lie one folder deeper.
    let folder = own.parent().unwrap_or(Path::new("."));
    let folder = if folder.ends_with("deps") {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    };
    Ok(folder.to_owned())
}

/// Builds the program into the folder that the harness lies in; costs little when it is fresh.
fn build(cargo: &Path, package: &Path, folder: &Path) -> Result<(), BinaryError> {
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let target = folder.parent().unwrap_or(folder);
    let output = Command::new(cargo)
        .current_dir(package)
        .args([
            "build",
            "--quiet",
            "--package",
            "rustyraft-node",
            "--bin",
            "node",
            "--profile",
            profile,
            "--target-dir",
        ])
        .arg(target)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| BinaryError::Build(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let first = words
        .lines()
        .find(|line| line.contains("error"))
        .unwrap_or("it says nothing");
    Err(BinaryError::Build(first.to_owned()))
}

fn inspect(path: PathBuf) -> Result<Binary, BinaryError> {
    if !path.is_file() {
        return Err(BinaryError::Missing(path));
    }
    // A bare name would be looked for in PATH.
    let path = path.canonicalize().unwrap_or(path);
    let foreign = |reason: String| BinaryError::Foreign {
        path: path.clone(),
        reason,
    };
    let output = Command::new(&path)
        .args(["version", "--json"])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| foreign(error.to_string()))?;
    if !output.status.success() {
        return Err(foreign(format!("`version --json` ended with {}", output.status)));
    }
    let line: VersionLine = serde_json::from_slice(&output.stdout)
        .map_err(|_| foreign("`version --json` does not print a version".to_owned()))?;
    let VersionLine {
        version,
        wire_min,
        wire_max,
    } = line;
    let speaks = wire_min <= wire::VERSION_MAX && wire::VERSION_MIN <= wire_max;
    if version != env!("CARGO_PKG_VERSION") || !speaks {
        return Err(BinaryError::Version {
            path,
            version,
            wire_min,
            wire_max,
        });
    }
    Ok(Binary { path, version })
}
