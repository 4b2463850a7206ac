//! The files that a world leaves on request: its golden script, and its faults as a schedule.

use super::export::export;
use super::{SimulateOptions, Small};
use sim::Aspect;
use std::path::{Path, PathBuf};

/// Writes the files that were asked for; where there can't be one, the other one all the same.
pub(super) fn keep(options: &SimulateOptions, small: &Small) -> Result<(), KeepError> {
    let golden = match &options.golden {
        Some(path) => write_script(path, options, small),
        None => Ok(()),
    };
    if let Some(folder) = &options.schedule {
        export(folder, options, small.seed, &small.told.outcome, &small.reduction)?;
    }
    golden
}

fn write_script(path: &Path, options: &SimulateOptions, small: &Small) -> Result<(), KeepError> {
    let script = small.told.script.as_ref().map_err(|why| {
        let mut reduction = small.reduction.clone();
        let hint = if reduction.without.insert(Aspect::Turns) {
            format!("; with `--only {reduction}` it may")
        } else {
            String::new()
        };
        KeepError::NoScript(format!("{why}{hint}"))
    })?;
    write(path, &golden_script(options, small, script))
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

#[cfg(test)]
mod tests {
    use super::super::tests::options;
    use super::*;

    #[test]
    fn a_world_that_no_script_can_tell_leaves_its_schedule_and_the_words_for_one_that_can() {
        let folder = tempfile::tempdir().unwrap();
        let (golden, schedule) = (folder.path().join("story.txt"), folder.path().join("faults"));
        let mut options = SimulateOptions {
            golden: Some(golden.clone()),
            schedule: Some(schedule.clone()),
            ..options()
        };
        let error = keep(&options, &Small::of(17, &options)).unwrap_err();
        assert!(error.to_string().contains("--only without=turns"), "{error}");
        assert!(!golden.exists() && schedule.join(crate::run::TEST).exists());
        options.reduction = "without=turns".parse().unwrap();
        keep(&options, &Small::of(17, &options)).unwrap();
        assert!(
            std::fs::read_to_string(golden)
                .unwrap()
                .contains("breaks nothing")
        );
    }
}
