//! What a run recorded of itself, so that it can be repeated.

use crate::nemesis::{Schedule, ScheduledFault};
use crate::run::directory::{DirectoryError, TEST};
use crate::run::{DURATION_MAX, Options};
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
    let refused = |reason| DirectoryError::Read {
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
    test.options.within_bounds().map_err(refused)?;
    for fault in test.schedule.iter().flat_map(|schedule| &schedule.faults) {
        possible(fault, test.options.nodes).map_err(refused)?;
    }
    Ok(test)
}

/// Whether a fault can befall a cluster of so many nodes.
fn possible(fault: &ScheduledFault, nodes: u64) -> Result<(), String> {
    let ScheduledFault {
        start_ms, stop_ms, ..
    } = fault;
    let latest = DURATION_MAX.as_millis();
    if start_ms > stop_ms || u128::from(*stop_ms) > latest {
        return Err(format!(
            "a fault begins at {start_ms} ms and ends at {stop_ms}; it has to end after it began, and by {latest}"
        ));
    }
    let known = 1..=nodes;
    match fault.fault.nodes().into_iter().find(|node| !known.contains(node)) {
        Some(node) => Err(format!("a fault hits node {node} of {nodes}")),
        None => Ok(()),
    }
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
            clock_rates: crate::nemesis::Rates::WITHIN_LEASES,
            timeout: Duration::from_micros(1250),
            node_args: vec![String::from("--seed")],
            follower_reads: true,
            online: false,
            hosts: None,
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
        let changed = |from: &str, to: &str| {
            assert!(whole.contains(from), "{whole}");
            because(Some(&whole.replace(from, to)))
        };
        for nodes in ["0", "100", "18446744073709551615"] {
            let because = changed("\"nodes\":3", &format!("\"nodes\":{nodes}"));
            assert!(
                because.ends_with(&format!("nodes is {nodes}; allowed are numbers from 1 to 99")),
                "{because}"
            );
        }
        assert!(changed("\"concurrency\":6", "\"concurrency\":1000000").contains("from 1 to 10000"));
        assert!(changed("\"rate\":null", "\"rate\":0").contains("rate is 0"));
        for seconds in ["0.0", "2592001.0", "1e19"] {
            let because = changed(
                "\"time_limit_seconds\":1.5",
                &format!("\"time_limit_seconds\":{seconds}"),
            );
            assert!(
                because.contains("allowed is more than 0, up to 2592000"),
                "{because}"
            );
        }
        let at = |start: u64, stop: u64, fault: &str| {
            let fault =
                format!("{{\"start_ms\":{start},\"stop_ms\":{stop},\"aim\":\"one\",\"fault\":{fault}}}");
            format!(
                "{},\"schedule\":{{\"faults\":[{fault}]}}}}",
                whole.strip_suffix('}').unwrap()
            )
        };
        for (start, stop) in [(2, 1), (0, u64::MAX), (u64::MAX, u64::MAX)] {
            let because = because(Some(&at(start, stop, r#"{"kill":[3]}"#)));
            assert!(because.contains("it has to end after it began"), "{because}");
        }
        let hits = |fault: &str| at(0, 1, fault);
        assert!(because(Some(&hits(r#"{"kill":[4]}"#))).contains("a fault hits node 4 of 3"));
        assert!(because(Some(&hits(r#"{"partition":[[1,0]]}"#))).contains("a fault hits node 0 of 3"));
    }
}
