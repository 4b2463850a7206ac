//! An earlier result to compare with.

use super::line::{Compared, Line};
use std::fs;
use std::path::{Path, PathBuf};

/// Why there is nothing to compare with.
#[derive(Debug, thiserror::Error)]
pub(super) enum BaselineError {
    /// The file can't be read.
    #[error("can't read {0}: {1}")]
    Read(PathBuf, std::io::Error),
    /// A line of it is no result.
    #[error("{path}, line {line}, is no result of `harness bench`: {error}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        error: serde_json::Error,
    },
}

/// An earlier result.
#[derive(Clone, Debug, Default)]
pub(super) struct Baseline(Vec<Line>);

impl Baseline {
    /// Reads the lines that `--json` printed, or a `results.jsonl`.
    ///
    /// # Errors
    /// There are none.
    pub(super) fn read(path: &Path) -> Result<Baseline, BaselineError> {
        let text = fs::read_to_string(path).map_err(|error| BaselineError::Read(path.to_owned(), error))?;
        let lines = (1..).zip(text.lines()).map(|(line, text)| {
            serde_json::from_str(text).map_err(|error| BaselineError::Malformed {
                path: path.to_owned(),
                line,
                error,
            })
        });
        Ok(Baseline(lines.collect::<Result<_, _>>()?))
    }

    /// Notes in `line` how it compares with the earlier line about the same, if there is one.
    pub(super) fn compare(&self, line: &mut Line) {
        let earlier = self.0.iter().find(|earlier| earlier.what == line.what);
        line.baseline = earlier.map(|earlier| Compared {
            per_second: line.per_second / earlier.per_second,
            p50: line.p50_us / earlier.p50_us,
            p99: line.p99_us / earlier.p99_us,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::line;
    use super::*;

    #[test]
    fn lines_about_the_same_are_compared_after_a_round_through_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.jsonl");
        let earlier = line("node");
        fs::write(&path, serde_json::to_string(&earlier).unwrap() + "\n").unwrap();
        let baseline = Baseline::read(&path).unwrap();
        assert_eq!(baseline.0, std::slice::from_ref(&earlier));

        let mut faster = earlier.clone();
        faster.per_second *= 2.0;
        faster.p50_us /= 4.0;
        baseline.compare(&mut faster);
        let expected = Compared {
            per_second: 2.0,
            p50: 0.25,
            p99: 1.0,
        };
        assert_eq!(faster.baseline, Some(expected));

        let mut other = earlier;
        other.what.pipeline += 1;
        baseline.compare(&mut other);
        assert_eq!(other.baseline, None);
    }

    #[test]
    fn what_is_no_result_is_named_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.jsonl");
        fs::write(&path, serde_json::to_string(&line("node")).unwrap() + "\n{}\n").unwrap();
        let error = Baseline::read(&path).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        assert!(Baseline::read(&dir.path().join("none")).is_err());
    }
}
