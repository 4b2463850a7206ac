//! Recorded histories of others, with known verdicts.
//!
//! They are not part of this repository: they are looked for in the folder that the variable `HISTORIES` names, else in
//! `../shared/histories` beside the workspace. Where there is none the tests say so, and pass; with `HISTORIES_REQUIRED` set, as
//! continuous integration has it, they fail.

#![allow(clippy::unwrap_used, reason = "a test fails with the reason")]
#![allow(clippy::disallowed_methods, reason = "a test reads files and its environment")]

use checker::formats::Format;
use checker::{CheckOptions, Log, Verdict, check_log};
use std::fs;
use std::path::{Path, PathBuf};

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

#[test]
fn every_recorded_verdict_is_found() {
    let Some(folder) = folder() else { return };
    let (mut registers, mut stores, mut wrong) = (0, 0, Vec::new());
    for (file, model, valid) in rows(&folder) {
        if model != "cas-register" {
            continue;
        }
        let log = Log::read(&fs::read(&file).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        match log.format {
            Format::PorcupineEtcd => registers += 1,
            Format::PorcupineKv => stores += 1,
            Format::Native | Format::Jepsen => panic!("{} is no {:?}", file.display(), log.format),
        }
        // The operations tell the model that the table names.
        let report = check_log(&log, &CheckOptions::default())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(report.model, model, "{}", file.display());
        let found = match report.verdict {
            Verdict::Valid => Some(true),
            Verdict::Violation(_) => Some(false),
            Verdict::Unknown(_) => None,
        };
        if found != Some(valid) {
            wrong.push(format!("{}: {found:?} instead of {valid}", file.display()));
        }
    }
    assert_eq!((registers, stores, wrong), (102, 0, Vec::new()));
}

#[test]
fn an_empty_log_is_unknown() {
    let Some(folder) = folder() else { return };
    let bytes = fs::read(folder.join("etcd/etcd_095.log")).unwrap();
    let log = Log::read(&bytes).unwrap();
    let report = check_log(&log, &CheckOptions::default()).unwrap();
    assert!(matches!(report.verdict, Verdict::Unknown(_)));
}
