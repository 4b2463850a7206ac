//! The real disk, on the file system that the tests have.

use super::made::make_with;
use super::*;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

fn folder() -> (tempfile::TempDir, DataFolder) {
    let dir = tempfile::tempdir().unwrap();
    let folder = DataFolder::lock(&dir.path().join("a/b")).unwrap();
    (dir, folder)
}

#[test]
fn a_folder_is_used_by_one_at_a_time() {
    let (dir, folder) = folder();
    let path = dir.path().join("a/b");
    assert!(matches!(DataFolder::lock(&path), Err(LockError::Busy(_))));
    drop(folder);
    assert!(DataFolder::lock(&path).is_ok());
}

#[test]
fn a_file_in_the_way_of_the_folder_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, b"").unwrap();
    assert!(matches!(DataFolder::lock(&path), Err(LockError::Unusable(..))));
}

/// A process that makes a folder is killed when it has synced so many names; the next one goes on, and makes durable what that left.
#[test]
fn every_name_that_leads_to_a_folder_is_durable_when_it_is_used_whatever_was_killed_before() {
    let levels = ["a", "a/b", "a/b/c"];
    for killed_after in 0..=levels.len() + 1 {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let durable = RefCell::new(BTreeSet::new());
        let left = Cell::new(killed_after);
        let sync = |holder: &Path| -> io::Result<()> {
            let may = left.get().checked_sub(1).ok_or(ErrorKind::Interrupted)?;
            left.set(may);
            for item in std::fs::read_dir(holder)? {
                durable.borrow_mut().insert(item?.path());
            }
            Ok(())
        };
        let made = make_with(&path("a/b/c"), sync);
        assert_eq!(made.is_ok(), killed_after > levels.len());
        for level in levels.map(path).iter().filter(|level| level.is_dir()) {
            let holder = level.parent().unwrap();
            let is_durable = holder == dir.path() || durable.borrow().contains(holder);
            assert!(is_durable, "{} was made in a folder that may go", level.display());
        }
        left.set(usize::MAX);
        make_with(&path("a/b/c"), sync).unwrap();
        for level in levels.map(path) {
            assert!(
                durable.borrow().contains(&level),
                "killed after {killed_after} syncs, and {} is not durable",
                level.display()
            );
        }
    }
}

#[test]
fn a_folder_that_is_there_is_used_though_nobody_may_look_around_it() {
    let dir = tempfile::tempdir().unwrap();
    let refuses = |_: &Path| -> io::Result<()> { Err(io::Error::from(ErrorKind::PermissionDenied)) };
    make_with(dir.path(), refuses).unwrap();
    make_with(&dir.path().join("new"), refuses).unwrap_err();
    let fails = |_: &Path| -> io::Result<()> { Err(io::Error::other("input/output error")) };
    make_with(dir.path(), fails).unwrap_err();
}

/// Beside what is written, only what is needed to read it is made durable: not the times of the file.
#[test]
fn a_direct_write_makes_its_data_durable_and_no_times() {
    use std::os::fd::AsRawFd;
    let (dir, mut folder) = folder();
    folder.create("f", 4096).unwrap();
    let file = match direct::open_direct(&dir.path().join("a/b/f")) {
        Ok(file) => file,
        // This file system has no direct writes.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
        Err(error) => panic!("{error}"),
    };
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
    let flags = i32::from_str_radix(flags.trim(), 8).unwrap();
    assert_eq!(flags & libc::O_SYNC, libc::O_DSYNC, "{info}");
}

#[test]
fn a_created_file_is_all_zeros_and_keeps_what_is_written() {
    let (_dir, mut folder) = folder();
    let bytes = ZEROS_BYTES as u64 * 2 + 4096;
    let file = folder.create("f", bytes).unwrap();
    let mut all = vec![1; usize::try_from(bytes).unwrap()];
    folder.read(file, 0, &mut all).unwrap();
    assert!(all.iter().all(|byte| *byte == 0));
    folder.write(file, 4096, b"text").unwrap();
    folder.sync(file).unwrap();
    let (again, length) = folder.open("f").unwrap();
    assert_eq!(length, bytes);
    let mut text = [0; 4];
    folder.read(again, 4096, &mut text).unwrap();
    assert_eq!(&text, b"text");
}

#[test]
fn the_log_reads_as_it_was_written_past_the_cache_or_not() {
    for direct in [true, false] {
        let (_dir, mut folder) = folder();
        folder.direct = direct;
        let name = "wal-0000000000000001.log";
        let part = folder.create("wal.part", 0).unwrap();
        // More than is written at once.
        let zeros = vec![0; (1 << 20) + 4096];
        folder.write_durably(part, 0, &zeros).unwrap();
        folder.rename(part, name).unwrap();
        let mut expected = zeros;
        for (place, blocks) in [(0, 1), (1, 3), (4, 250)] {
            let (from, to) = (place * 4096, (place + blocks) * 4096);
            expected[from..to].fill(u8::try_from(blocks).unwrap());
            folder
                .write_durably(part, from as u64, &expected[from..to])
                .unwrap();
            let mut found = vec![1; expected.len()];
            folder.read(part, 0, &mut found).unwrap();
            assert!(found == expected, "direct: {direct}, after the write at {from}");
        }
        let (again, length) = folder.open(name).unwrap();
        assert_eq!(length, expected.len() as u64);
        folder.write_durably(again, 4096, &[9; 4096]).unwrap();
        expected[4096..8192].fill(9);
        assert!(std::fs::read(folder.path.join(name)).unwrap() == expected);
        assert!(direct || folder.file(again).direct.is_none());
    }
}

#[test]
fn what_cannot_be_written_past_the_cache_is_written_through_it() {
    let (_dir, mut folder) = folder();
    let file = folder.create("wal-1.log", 4096).unwrap();
    let was_possible = folder.direct;
    // Not whole blocks: where the log is written past the cache, that is refused.
    folder.write_durably(file, 0, b"short").unwrap();
    let mut found = [0; 5];
    folder.read(file, 0, &mut found).unwrap();
    assert_eq!(&found, b"short");
    folder.write_durably(file, 0, &[3; 4096]).unwrap();
    assert_eq!(std::fs::read(folder.path.join("wal-1.log")).unwrap(), [3; 4096]);
    assert!(!(was_possible && folder.direct), "the refusal was not noticed");
}

#[test]
fn what_is_begun_is_durable_when_the_disk_says_so() {
    let (nothing, answers) = (Meanwhile::Nothing, Meanwhile::Answers);
    for (direct, bytes, meanwhile) in [
        (true, 3 * 4096, nothing),
        (false, 3 * 4096, nothing),
        (true, 5000, nothing),
        (true, 4096, answers),
    ] {
        let (_dir, mut folder) = folder();
        folder.direct = direct;
        let (sender, written) = std::sync::mpsc::channel();
        folder.write_beside(move || sender.send(()).unwrap()).unwrap();
        let name = "wal-0000000000000001.log";
        let file = folder.create(name, 1 << 20).unwrap();
        assert_eq!(folder.is_written(), Ok(true), "nothing was begun");
        // What is no whole number of blocks is refused past the cache, and written in the other way.
        folder
            .begin_durable_write(file, 4096, vec![5; bytes], meanwhile)
            .unwrap();
        written.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(folder.is_written(), Ok(true), "direct: {direct}, {bytes} bytes");
        let mut found = vec![0; bytes];
        folder.read(file, 4096, &mut found).unwrap();
        assert!(found == vec![5; bytes], "direct: {direct}, {bytes} bytes");
        // A single block is written at once by whoever has nothing else to do.
        folder
            .begin_durable_write(file, 0, vec![6; 4096], nothing)
            .unwrap();
        assert_eq!(folder.is_written(), Ok(true));
        assert!(written.try_recv().is_err());
        assert_eq!(std::fs::read(folder.path.join(name)).unwrap()[..4096], [6; 4096]);
        drop(folder);
        assert!(written.recv().is_err(), "the thread ends with the folder");
    }
}

#[test]
fn a_file_grows_with_what_is_written_behind_its_end_and_keeps_its_contents_under_another_name() {
    let (_dir, mut folder) = folder();
    let file = folder.create("part", 0).unwrap();
    folder.write(file, 0, &[1; 4096]).unwrap();
    folder.write(file, 4096, &[2; 4096]).unwrap();
    folder.sync(file).unwrap();
    folder.rename(file, "whole").unwrap();
    assert_eq!(folder.list().unwrap(), [LOCK, "whole"]);
    let mut byte = [0];
    folder.read(file, 4096, &mut byte).unwrap();
    assert_eq!(byte, [2]);
    assert_eq!(folder.open("whole").unwrap().1, 8192);
}

#[test]
fn what_cannot_be_done_names_operation_and_file() {
    let (_dir, mut folder) = folder();
    let file = folder.create("f", 10).unwrap();
    let beyond = folder.read(file, 8, &mut [0; 4]).unwrap_err();
    assert_eq!((beyond.operation, beyond.file.as_str()), ("read", "f"));
    assert_eq!(folder.create("f", 1).unwrap_err().operation, "create");
    assert_eq!(folder.open("g").unwrap_err().operation, "open");
    assert_eq!(folder.remove("g").unwrap_err().operation, "remove");
    std::fs::write(
        folder.path.join("big"),
        vec![0; usize::try_from(SMALL_FILE_BYTES_MAX).unwrap() + 1],
    )
    .unwrap();
    assert_eq!(folder.read_file("big").unwrap_err().operation, "read");
}

#[test]
fn replaced_and_removed_files_are_listed_as_they_are() {
    let (_dir, mut folder) = folder();
    assert_eq!(folder.read_file("x"), Ok(None));
    folder.replace_file("x", b"one").unwrap();
    folder.replace_file("x", b"two").unwrap();
    assert_eq!(folder.read_file("x"), Ok(Some(b"two".to_vec())));
    folder.create("y", 1).unwrap();
    assert_eq!(folder.list().unwrap(), [LOCK, "x", "y"]);
    folder.remove("y").unwrap();
    assert_eq!(folder.list().unwrap(), [LOCK, "x"]);
}
