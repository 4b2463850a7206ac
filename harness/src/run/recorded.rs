//! What a run recorded of itself, so that it can be repeated.

use crate::nemesis::Schedule;
use crate::run::Options;
use crate::run::directory::{DirectoryError, TEST};
use crate::systems::System;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The version of `test.json` that this build writes and reads.
const FORMAT: u32 = 1;
/// `test.json`: what it takes to repeat a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// The version of this file's format.
    #[serde(rename = "rustyraft-test")]
    format: u32,
    /// The harness's version.
    version: String,
    /// The program of the nodes.
    node_binary: PathBuf,
    /// Its version.
    node_version: String,
    /// When the run began, in UTC.
    pub(super) started: String,
    /// Decides what is random.
    pub seed: u64,
    /// The flags.
    pub options: Options,
    /// What the nemesis did; absent until the faults are over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
}

impl Test {
    /// A run that begins now.
    pub fn new(system: &System, seed: u64, options: Options) -> Test {
        Test {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            node_binary: system.program().to_owned(),
            node_version: system.version().to_owned(),
            started: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            seed,
            options,
            schedule: None,
        }
    }

    /// A run that never was: somebody thought of its faults, or a simulation came to them.
    pub fn planned(seed: u64, options: Options, schedule: Schedule) -> Test {
        Test {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            node_binary: PathBuf::from("node"),
            node_version: env!("CARGO_PKG_VERSION").to_owned(),
            started: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            seed,
            options,
            schedule: Some(schedule),
        }
    }

    /// The node program of the run and its version; `None` of a run that never was.
    pub fn node(&self) -> Option<(PathBuf, String)> {
        let is_real = self.node_binary.is_absolute();
        is_real.then(|| (self.node_binary.clone(), self.node_version.clone()))
    }

    /// A run of seed 1 that began at a fixed time.
    #[cfg(test)]
    pub(super) fn for_tests(options: Options) -> Test {
        Test {
            format: FORMAT,
            version: String::from("0.1.0"),
            node_binary: PathBuf::from("node"),
            node_version: String::from("0.1.0"),
            started: String::from("2026-11-23T10:53:51.123Z"),
            seed: 1,
            options,
            schedule: None,
        }
    }
}

/// What an earlier run recorded of itself.
///
/// # Errors
/// `run` is no folder of a run, or of another version.
pub fn recorded(run: &Path) -> Result<Test, DirectoryError> {
    let path = if run.is_dir() {
        run.join(TEST)
    } else {
        run.to_owned()
    };
    let refused = |reason: String| DirectoryError::Read {
        path: path.clone(),
        reason,
    };
    let text = fs::read(&path).map_err(|error| refused(format!("{error}; expected the folder of a run")))?;
    let test: Test = serde_json::from_slice(&text).map_err(|error| refused(error.to_string()))?;
    if test.format != FORMAT {
        return Err(refused(format!(
            "format {} is unknown; this build reads {FORMAT}",
            test.format
        )));
    }
    if workloads::by_name(&test.options.workload).is_none() {
        return Err(refused(format!(
            "the workload {:?} is unknown",
            test.options.workload
        )));
    }
    if test.options.nodes == 0 || test.options.concurrency == 0 || test.options.rate == Some(0) {
        return Err(refused(String::from(
            "nodes, concurrency and rate must be more than 0",
        )));
    }
    let known = 1..=test.options.nodes;
    let faults = test.schedule.iter().flat_map(|schedule| &schedule.faults);
    if let Some(node) = faults
        .flat_map(|fault| fault.fault.nodes())
        .find(|node| !known.contains(node))
    {
        return Err(refused(format!(
            "a fault hits node {node} of {}",
            test.options.nodes
        )));
    }
    Ok(test)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::run::directory::RunDirectory;
    use std::time::Duration;

    /// A run in which nothing is as it is by default.
    pub(in crate::run) fn test() -> Test {
        Test::for_tests(Options {
            system: crate::systems::SystemName::Node,
            workload: String::from("register"),
            nodes: 3,
            concurrency: 6,
            rate: None,
            time_limit: Duration::from_millis(1500),
            nemesis: crate::nemesis::Kind::ALL.to_vec(),
            nemesis_interval: Duration::from_secs(5),
            timeout: Duration::from_micros(1250),
            node_args: vec![String::from("--seed")],
            follower_reads: true,
            online: false,
        })
    }

    #[test]
    fn what_was_recorded_can_be_read_again_from_the_folder_and_from_the_link() {
        let store = tempfile::tempdir().unwrap();
        let mut test = test();
        let directory = RunDirectory::create(store.path(), &test).unwrap();
        assert!(directory.path().ends_with("register/20261123T105351.123Z"));
        test.schedule = Some(Schedule::default());
        directory.write_test(&test).unwrap();
        for run in [
            "latest",
            "register/latest",
            "register/20261123T105351.123Z/test.json",
        ] {
            assert_eq!(recorded(&store.path().join(run)).unwrap(), test, "{run}");
        }
    }

    #[test]
    fn what_is_no_recorded_run_is_an_error_that_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let because = |text: Option<&str>| {
            if let Some(text) = text {
                fs::write(folder.path().join(TEST), text).unwrap();
            }
            recorded(folder.path()).unwrap_err().to_string()
        };
        assert!(because(None).contains("expected the folder of a run"));
        assert!(because(Some("{")).contains("can't read"));
        let whole = serde_json::to_string(&test()).unwrap();
        assert!(
            because(Some(
                &whole.replace("\"rustyraft-test\":1", "\"rustyraft-test\":2")
            ))
            .contains("format 2")
        );
        assert!(because(Some(&whole.replace("\"register\"", "\"regster\""))).contains("regster"));
        assert!(because(Some(&whole.replace("\"nodes\":3", "\"nodes\":0"))).contains("more than 0"));
        let hits = |fault: &str| {
            let fault = format!("{{\"start_ms\":0,\"stop_ms\":1,\"aim\":\"one\",\"fault\":{fault}}}");
            format!(
                "{},\"schedule\":{{\"faults\":[{fault}]}}}}",
                whole.strip_suffix('}').unwrap()
            )
        };
        assert!(because(Some(&hits(r#"{"kill":[4]}"#))).contains("a fault hits node 4 of 3"));
        assert!(because(Some(&hits(r#"{"partition":[[1,0]]}"#))).contains("a fault hits node 0 of 3"));
    }
}
