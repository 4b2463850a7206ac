use super::*;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;

const TEST: &str =
    r#"{"started":"TIME","seed":1,"node_binary":"/bin/node","options":{"workload":"register"}}"#;

fn add(store: &Path, path: &str, started: &str) -> PathBuf {
    let folder = store.join(path);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("test.json"), TEST.replace("TIME", started)).unwrap();
    folder
}

/// The list as it is now.
fn scan(scanner: &Scanner) -> Value {
    let mut known = scanner.known.lock().unwrap();
    serde_json::from_slice(&scanner.scan(&mut known).unwrap().json).unwrap()
}

fn paths(list: &Value, of: &str) -> Vec<String> {
    let entries = list[of].as_array().unwrap().iter();
    entries
        .map(|entry| entry["path"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_newest_run_is_the_first_and_links_are_no_runs() {
    let store = tempfile::tempdir().unwrap();
    add(store.path(), "register/2", "2026-11-24T10:00:02.000Z");
    add(store.path(), "set/1", "2026-11-24T10:00:01.000Z");
    add(store.path(), "set/3", "2026-11-24T10:00:03.000Z");
    symlink("set/3", store.path().join("latest")).unwrap();
    symlink("3", store.path().join("set/latest")).unwrap();
    fs::create_dir_all(store.path().join("bench/20261126T171403.245Z")).unwrap();
    fs::write(store.path().join("bench/20261126T171403.245Z/results.jsonl"), "").unwrap();
    fs::create_dir_all(store.path().join("empty/folder")).unwrap();
    fs::write(store.path().join("notes.txt"), "").unwrap();
    let list = scan(&Scanner::new(Store::new(store.path())));
    assert_eq!(paths(&list, "runs"), ["set/3", "register/2", "set/1"]);
    assert_eq!(list["latest"], "set/3");
    assert_eq!(paths(&list, "others"), ["bench/20261126T171403.245Z"]);
    assert_eq!(list["is_cut"], false);
}

#[test]
fn a_folder_of_one_workload_and_a_run_itself_are_stores_too() {
    let store = tempfile::tempdir().unwrap();
    add(store.path(), "register/2", "2026-11-24T10:00:02.000Z");
    let of = |path: &str| scan(&Scanner::new(Store::new(&store.path().join(path))));
    assert_eq!(paths(&of("register"), "runs"), ["2"]);
    assert_eq!(paths(&of("register/2"), "runs"), [""]);
}

#[test]
fn what_has_changed_is_seen_and_what_has_not_is_not_read_again() {
    let store = tempfile::tempdir().unwrap();
    let run = add(store.path(), "register/1", "2026-11-24T10:00:02.000Z");
    let scanner = Scanner::new(Store::new(store.path()));
    let state = || scan(&scanner)["runs"][0]["state"].clone();
    let held = fs::File::open(&run).unwrap();
    held.lock_shared().unwrap();
    assert_eq!(state(), "running");
    drop(held);
    // Its files are the same, and yet it is another one.
    assert_eq!(state(), "interrupted");
    // What looks the same from outside is not read again.
    let (path, file) = (
        run.join("test.json"),
        fs::File::open(run.join("test.json")).unwrap(),
    );
    let written = file.metadata().unwrap().modified().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("register", "REGISTER")).unwrap();
    let workload = || scan(&scanner)["runs"][0]["workload"].clone();
    file.set_modified(written).unwrap();
    assert_eq!(workload(), "register");
    file.set_modified(written + Duration::from_secs(1)).unwrap();
    assert_eq!(workload(), "REGISTER");
    fs::write(run.join("results.json"), r#"{"valid":true}"#).unwrap();
    assert_eq!(state(), "valid");
    fs::remove_dir_all(&run).unwrap();
    assert_eq!(paths(&scan(&scanner), "runs"), Vec::<String>::new());
    assert!(scanner.known.lock().unwrap().runs.is_empty());
}

#[test]
fn the_same_list_has_the_same_tag() {
    let store = tempfile::tempdir().unwrap();
    add(store.path(), "register/1", "2026-11-24T10:00:02.000Z");
    let etag = || Scanner::new(Store::new(store.path())).listing().unwrap().etag;
    let first = etag();
    assert_eq!(first, etag());
    add(store.path(), "register/2", "2026-11-24T10:00:02.000Z");
    assert_ne!(first, etag());
}

#[test]
fn a_store_that_is_gone_is_an_error_and_is_found_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let scanner = Scanner::new(Store::new(&store));
    assert!(scanner.listing().is_err());
    add(&store, "register/1", "2026-11-24T10:00:02.000Z");
    assert_eq!(paths(&scan(&scanner), "runs"), ["register/1"]);
}
