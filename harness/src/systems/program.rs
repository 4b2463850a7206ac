//! Programs that are installed, and what they say of themselves.

use super::SystemError;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that is not installed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{program} is not installed; {hint}")]
pub struct Missing {
    /// What was looked for.
    pub program: String,
    /// How to come by it.
    pub hint: &'static str,
}

/// How to come by etcd.
pub(crate) const ETCD_HINT: &str = "with Debian: apt-get install etcd-server";
/// How to come by redis.
pub(crate) const REDIS_HINT: &str = "with Debian: apt-get install redis-server";

/// Where a program is that the operating system finds.
///
/// # Errors
/// It finds none.
pub(crate) fn installed(program: &str, hint: &'static str) -> Result<PathBuf, Missing> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
        .ok_or_else(|| Missing {
            program: program.to_owned(),
            hint,
        })
}

/// The first line that `program --version` prints.
pub(super) fn version(program: &Path) -> Result<String, SystemError> {
    let refused = |reason: String| SystemError::Version {
        path: program.to_owned(),
        reason,
    };
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| refused(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().next() {
        Some(line) if output.status.success() => Ok(line.trim().to_owned()),
        _ => Err(refused(format!("`--version` ended with {}", output.status))),
    }
}
