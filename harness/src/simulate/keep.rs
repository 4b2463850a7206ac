//! The files that a world leaves on request: its golden script, and its faults as a schedule.

use super::export::export;
use super::{SimulateOptions, Small};
use std::path::{Path, PathBuf};

/// Writes the files that were asked for.
pub(super) fn keep(options: &SimulateOptions, small: &Small) -> Result<(), KeepError> {
    if let Some(path) = &options.golden {
        let script = small
            .told
            .script
            .as_ref()
            .map_err(|why| KeepError::NoScript(why.clone()))?;
        let text = golden_script(options, small, script);
        write(path, &text)?;
    }
    if let Some(folder) = &options.schedule {
        export(folder, options, small.seed, &small.told.outcome, &small.reduction)?;
    }
    Ok(())
}

/// Why a file that was asked for is not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeepError {
    #[error("there is no golden script: {0}")]
    NoScript(String),
    #[error("can't write {path}: {error}")]
    Write { path: PathBuf, error: std::io::Error },
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), KeepError> {
    std::fs::write(path, text).map_err(|error| KeepError::Write {
        path: path.to_owned(),
        error,
    })
}

/// The script, with a sentence in front that says where it comes from.
fn golden_script(options: &SimulateOptions, small: &Small, script: &[String]) -> String {
    let broken = match &small.told.outcome.failure {
        Some(failure) => format!("breaks {}", failure.invariant),
        None => String::from("breaks nothing"),
    };
    format!(
        "# A simulated world {broken}: {}.\n# Kept in node/raft/testdata, `UPDATE_GOLDEN=1` fills in what the commands lead to.\n{}\n",
        options.replay(small.seed, &small.reduction),
        script.join("\n")
    )
}
