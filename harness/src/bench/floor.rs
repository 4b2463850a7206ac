//! The floor: what this machine lets a commit cost at least, as `node probe` measures it.

use super::Op;
use super::line::Spread;
use crate::cluster::{Binary, BinaryError};
use serde::Deserialize;
use std::path::Path;
use std::process::{Command, Stdio};

/// How often `node probe` measures each way: half a second or so.
const SAMPLES: u32 = 500;

/// The program that measures.
#[derive(Clone, Debug)]
pub(super) struct Prober {
    binary: Binary,
    value_bytes: usize,
}

/// What was measured in a round.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub(super) struct Floor {
    client_round_trip: Quantiles,
    read: Quantiles,
    commit: Quantiles,
    commit_alone: Quantiles,
}

/// How long something took, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub(super) struct Quantiles {
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

/// Why there is no floor.
#[derive(Debug, thiserror::Error)]
pub(super) enum FloorError {
    /// There is no node program.
    #[error(transparent)]
    Binary(#[from] BinaryError),
    /// It can't be run.
    #[error("`node probe` can't be run: {0}")]
    Run(#[from] std::io::Error),
    /// It failed.
    #[error("`node probe` failed: {0}")]
    Failed(String),
    /// It prints something else.
    #[error("`node probe` does not print what it measured: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl Prober {
    /// # Errors
    /// There is no node program.
    pub(super) fn find(node_binary: Option<&Path>, value_bytes: usize) -> Result<Prober, FloorError> {
        Ok(Prober {
            binary: Binary::locate(node_binary)?,
            value_bytes,
        })
    }

    /// Measures on the file system of the folder `dir`.
    ///
    /// # Errors
    /// The program failed.
    pub(super) fn measure(&self, dir: &Path) -> Result<Floor, FloorError> {
        let output = Command::new(self.binary.path())
            .args(["probe", "--json"])
            .arg("--data")
            .arg(dir)
            .arg(format!("--value-size={}", self.value_bytes))
            .arg(format!("--samples={SAMPLES}"))
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            return Err(FloorError::Failed(words.trim().to_owned()));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

impl Floor {
    /// What an operation of a system on `nodes` nodes costs at least; `None` for a mixture of operations.
    fn of(&self, op: Op, nodes: u64) -> Option<Quantiles> {
        match (op, nodes) {
            (Op::Put, 1) => Some(self.commit_alone),
            (Op::Put, _) => Some(self.commit),
            (Op::Get, 1) => Some(self.client_round_trip),
            (Op::Get, _) => Some(self.read),
            (Op::Mixed, _) => None,
        }
    }
}

/// The medians over rounds.
pub(super) fn median(floors: &[Floor], op: Op, nodes: u64) -> Option<Quantiles> {
    let median = |of: fn(Quantiles) -> f64| {
        let values = floors.iter().filter_map(|floor| floor.of(op, nodes)).map(of);
        Spread::of(values).map(|spread| spread.median)
    };
    Some(Quantiles {
        p50_us: median(|quantiles| quantiles.p50_us)?,
        p99_us: median(|quantiles| quantiles.p99_us)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_the_floor_of_what_it_must_do() {
        // As `node probe` prints it, with more than is needed.
        let line = |commit: u32| -> Floor {
            let json = format!(
                r#"{{"samples":1,"sync":{{"p50_us":1,"p90_us":2,"p99_us":3,"max_us":4}},
                "client_round_trip":{{"p50_us":10,"p99_us":11}},"read":{{"p50_us":20,"p99_us":21}},
                "commit":{{"p50_us":{commit},"p99_us":31}},"commit_alone":{{"p50_us":40,"p99_us":41}}}}"#
            );
            serde_json::from_str(&json).unwrap()
        };
        let floors = [line(35), line(30), line(34)];
        let p50 = |op, nodes| median(&floors, op, nodes).map(|floor| floor.p50_us);
        assert_eq!(p50(Op::Put, 3), Some(34.0));
        assert_eq!(p50(Op::Put, 1), Some(40.0));
        assert_eq!(p50(Op::Get, 5), Some(20.0));
        assert_eq!(p50(Op::Get, 1), Some(10.0));
        assert_eq!(p50(Op::Mixed, 3), None);
        assert_eq!(median(&[], Op::Put, 3), None);
        assert_eq!(median(&floors, Op::Put, 3).unwrap().p99_us, 31.0);
    }
}
