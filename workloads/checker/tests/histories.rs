//! Recorded histories of others, with known verdicts.
//!
//! They are not part of this repository: they are looked for in the folder that the variable `HISTORIES` names, else in
//! `../shared/histories` beside the workspace. Where there is none the tests say so, and pass; with `HISTORIES_REQUIRED` set, as
//! continuous integration has it, they fail.

#![allow(clippy::unwrap_used, reason = "a test fails with the reason")]
#![allow(clippy::disallowed_methods, reason = "a test reads files and its environment")]

use checker::formats::Format;
use checker::models::{CasRegister, KvAppend};
use checker::{
    CheckOptions, Limits, Log, ObjectsVerdict, Operation, Verdict, Vocabulary, check_log, check_objects,
    objects,
};
use std::fs;
use std::path::{Path, PathBuf};

/// Violations in longer histories are not explained here: it takes too long where nothing is optimized.
const CALLS_EXPLAINED_MAX: usize = 1000;

/// The folder, if there is one.
fn folder() -> Option<PathBuf> {
    let folder = match std::env::var_os("HISTORIES") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/histories"),
    };
    if folder.join("verdicts.tsv").is_file() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("HISTORIES_REQUIRED").is_none(),
        "HISTORIES_REQUIRED is set, and there are no histories in {}",
        folder.display()
    );
    eprintln!(
        "SKIPPED: no histories in {}; name their folder by HISTORIES",
        folder.display()
    );
    None
}

/// Rows of `verdicts.tsv`: file, model, whether it is valid.
fn rows(folder: &Path) -> Vec<(PathBuf, String, bool)> {
    let table = fs::read_to_string(folder.join("verdicts.tsv")).unwrap();
    let rows = table.lines().skip(1).map(|row| {
        let [file, model, valid] = row.split('\t').collect::<Vec<_>>().try_into().unwrap();
        (folder.join(file), model.to_owned(), valid.parse().unwrap())
    });
    rows.collect()
}

/// Whether a history is linearizable, without an explanation where it is not.
fn is_valid<M: Vocabulary>(init: &M, log: &Log) -> Option<bool> {
    let objects = objects::<M>(log, log.format.dialect()).unwrap();
    let operations: Vec<&[Operation<M>]> = objects
        .iter()
        .map(|(_, operations)| operations.as_slice())
        .collect();
    match check_objects(init, &operations, Limits::default()) {
        ObjectsVerdict::Valid => Some(true),
        ObjectsVerdict::Violation { .. } => Some(false),
        ObjectsVerdict::Unknown { .. } => None,
    }
}

#[test]
fn every_recorded_verdict_is_found() {
    let Some(folder) = folder() else { return };
    let (mut registers, mut stores, mut wrong) = (0, 0, Vec::new());
    for (file, model, valid) in rows(&folder) {
        let log = Log::read(&fs::read(&file).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let found = match (log.format, &*model) {
            (Format::PorcupineEtcd, "cas-register") => {
                registers += 1;
                is_valid(&CasRegister::<u64>::default(), &log)
            }
            (Format::PorcupineKv, "kv-append") => {
                stores += 1;
                is_valid(&KvAppend::default(), &log)
            }
            (format, model) => panic!("{} is {format:?}, for {model}", file.display()),
        };
        if found != Some(valid) {
            wrong.push(format!("{}: {found:?} instead of {valid}", file.display()));
        }
    }
    assert_eq!((registers, stores, wrong), (102, 6, Vec::new()));
}

#[test]
fn the_operations_of_each_history_tell_its_model_and_violations_are_explained() {
    let Some(folder) = folder() else { return };
    let (mut violations, mut others) = (0, 0);
    for (file, model, _) in rows(&folder) {
        let log = Log::read(&fs::read(&file).unwrap()).unwrap();
        if log.calls.len() > CALLS_EXPLAINED_MAX {
            continue;
        }
        let report = check_log(&log, &CheckOptions::default()).unwrap();
        assert_eq!(report.model, model, "{}", file.display());
        match report.verdict {
            Verdict::Violation(violation) => {
                violations += 1;
                assert!(violation.core_operations > 0, "{}", file.display());
                assert!(!violation.text.is_empty());
                // What it returned is not what it could have returned.
                for state in &violation.states {
                    let returned = format!("returned {state}, ");
                    assert!(
                        !violation.operation.contains(&returned),
                        "{}: {}",
                        file.display(),
                        violation.text
                    );
                }
            }
            Verdict::Valid | Verdict::Unknown(_) => others += 1,
        }
    }
    assert!(
        violations > 70 && others > 10,
        "{violations} violations, {others} others"
    );
}

#[test]
fn an_empty_log_is_unknown() {
    let Some(folder) = folder() else { return };
    let bytes = fs::read(folder.join("etcd/etcd_095.log")).unwrap();
    let log = Log::read(&bytes).unwrap();
    let report = check_log(&log, &CheckOptions::default()).unwrap();
    assert!(matches!(report.verdict, Verdict::Unknown(_)));
}
