//! Disks as programs have them: mounted.
//!
//! Where FUSE can't be used the tests say so, and pass; with `FUSE_REQUIRED` set, as continuous integration has it, they fail.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use disk::{Disk, Done, Errors};
use rustix::fs::{FallocateFlags, FlockOperation, OFlags};
use rustix::io::Errno;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than anything here takes, however slow the machine.
const LONG: Duration = Duration::from_secs(60);
/// The folder in which the process that is to die has its disk.
const DYING: &str = "DISK_OF_A_DYING_PROCESS";

/// Whether disks can be had; if not, the test has nothing to do.
fn is_usable() -> bool {
    let Err(why) = disk::usable() else {
        return true;
    };
    assert!(
        std::env::var_os("FUSE_REQUIRED").is_none(),
        "FUSE_REQUIRED is set, and {why}"
    );
    println!("skipped: {why}");
    false
}

/// A disk, and the folder that it is in.
struct Stage {
    disk: Option<Disk>,
    folder: TempDir,
}

impl Stage {
    fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::mount(&folder.path().join("mount"), folder.path()).unwrap();
        Stage {
            disk: Some(disk),
            folder,
        }
    }

    fn disk(&self) -> &Disk {
        self.disk.as_ref().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("mount").join(name)
    }

    fn lose_everything(&self) {
        self.disk().lose_all().unwrap();
    }
}

fn is_mounted(path: &Path) -> bool {
    let path = path.to_str().unwrap();
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    mounts.lines().any(|line| line.split(' ').nth(1) == Some(path))
}

#[track_caller]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONG, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn files_and_folders_are_as_anywhere() {
    if !is_usable() {
        return;
    }
    let stage = Stage::new();
    fs::create_dir_all(stage.path("a/b")).unwrap();
    let mut file = File::create_new(stage.path("a/b/f")).unwrap();
    file.write_all(b"some text").unwrap();
    file.sync_all().unwrap();
    assert_eq!(
        File::create_new(stage.path("a/b/f")).unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    fs::rename(stage.path("a/b/f"), stage.path("a/g")).unwrap();
    // Whoever has it open has it under its new name.
    file.write_all_at(b"more", 5).unwrap();
    assert_eq!(fs::read(stage.path("a/g")).unwrap(), b"some more");
    assert_eq!(fs::metadata(stage.path("a/g")).unwrap().len(), 9);
    file.set_len(4).unwrap();
    let mut append = OpenOptions::new().append(true).open(stage.path("a/g")).unwrap();
    append.write_all(b"thing").unwrap();
    assert_eq!(fs::read_to_string(stage.path("a/g")).unwrap(), "something");
    fs::write(stage.path("a/g"), b"anew").unwrap();
    assert_eq!(fs::read(stage.path("a/g")).unwrap(), b"anew");
    for number in 0..500 {
        File::create(stage.path(&format!("a/b/{number}"))).unwrap();
    }
    assert_eq!(fs::read_dir(stage.path("a/b")).unwrap().count(), 500);
    assert_eq!(
        fs::remove_dir(stage.path("a/b")).unwrap_err().kind(),
        ErrorKind::DirectoryNotEmpty
    );
    fs::remove_dir_all(stage.path("a/b")).unwrap();
    assert!(!stage.path("a/b").exists());
    // A file that is open is there without its name.
    fs::remove_file(stage.path("a/g")).unwrap();
    let mut text = String::new();
    let mut left = append;
    assert!(left.write_all(b"!").is_ok() && left.read_to_string(&mut text).is_err());
    assert_eq!(fs::read_dir(stage.path("a")).unwrap().count(), 0);
}

#[test]
fn rooms_are_given_and_taken_and_locks_are_held() {
    if !is_usable() {
        return;
    }
    let stage = Stage::new();
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(stage.path("f"))
        .unwrap();
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, 10_000).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 10_000);
    file.write_all_at(&[7; 10_000], 0).unwrap();
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(&file, hole, 100, 200).unwrap();
    rustix::fs::fallocate(&file, FallocateFlags::KEEP_SIZE, 0, 20_000).unwrap();
    let bytes = fs::read(stage.path("f")).unwrap();
    assert!(bytes.len() == 10_000 && bytes[99] == 7 && bytes[100..300] == [0; 200] && bytes[300] == 7);

    let other = File::open(stage.path("f")).unwrap();
    file.try_lock().unwrap();
    let refused = rustix::fs::flock(&other, FlockOperation::NonBlockingLockExclusive);
    assert_eq!(refused, Err(Errno::WOULDBLOCK));
    drop(file);
    wait_until("the lock went with the file", || other.try_lock().is_ok());
}

#[test]
fn what_is_written_past_the_cache_and_durably_is_durable_at_once() {
    if !is_usable() {
        return;
    }
    let stage = Stage::new();
    fs::write(stage.path("f"), [1; 8192]).unwrap();
    stage.disk().sync_all().unwrap();
    let flags = (OFlags::DIRECT | OFlags::DSYNC).bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags)
        .open(stage.path("f"))
        .unwrap();
    #[repr(align(4096))]
    struct Block([u8; 4096]);
    let mut block = Box::new(Block([2; 4096]));
    file.write_all_at(&block.0, 4096).unwrap();
    assert!(!stage.disk().is_at_stake());
    // Both ways show the same.
    assert_eq!(fs::read(stage.path("f")).unwrap()[4095..4097], [1, 2]);
    file.read_exact_at(&mut block.0, 0).unwrap();
    assert_eq!(block.0, [1; 4096]);
    // Past the cache alone makes nothing durable.
    let flags = OFlags::DIRECT.bits().cast_signed();
    let file = OpenOptions::new()
        .write(true)
        .custom_flags(flags)
        .open(stage.path("f"))
        .unwrap();
    file.write_all_at(&block.0, 4096).unwrap();
    assert!(stage.disk().is_at_stake());
}

#[test]
fn a_file_that_is_mapped_shows_what_is_written() {
    if !is_usable() {
        return;
    }
    let stage = Stage::new();
    fs::write(stage.path("f"), [1; 4096]).unwrap();
    let script = r#"
import mmap, os, sys
f = os.open(sys.argv[1], os.O_RDWR)
m = mmap.mmap(f, 4096, mmap.MAP_SHARED, mmap.PROT_READ)
assert m[0] == 1
os.pwrite(f, b"\x02", 0)
assert m[0] == 2
"#;
    // As etcd has it. No other program here maps files.
    let mapped = Command::new("python3")
        .args(["-c", script])
        .arg(stage.path("f"))
        .status();
    match mapped {
        Ok(status) => assert!(status.success(), "{status}"),
        Err(error) => println!("skipped: python3: {error}"),
    }
}

#[test]
fn a_loss_of_power_takes_what_was_not_synced_and_nothing_else() {
    if !is_usable() {
        return;
    }
    let stage = Stage::new();
    let synced = File::create(stage.path("synced")).unwrap();
    synced.write_all_at(b"durable", 0).unwrap();
    synced.sync_data().unwrap();
    File::open(stage.path("")).unwrap().sync_all().unwrap();
    synced.write_all_at(b"volatile", 0).unwrap();
    fs::write(stage.path("new"), "volatile").unwrap();
    drop(synced);
    stage.lose_everything();
    assert_eq!(fs::read(stage.path("synced")).unwrap(), b"durable");
    assert!(!stage.path("new").exists());
    // It is a disk like any other.
    fs::write(stage.path("new"), "after").unwrap();
    assert_eq!(fs::read(stage.path("new")).unwrap(), b"after");
}

#[test]
fn without_power_nobody_is_told_that_anything_is_durable() {
    if !is_usable() {
        return;
    }
    let stage = Stage::new();
    fs::write(stage.path("f"), "before").unwrap();
    stage.disk().sync_all().unwrap();
    stage.disk().cut_power();
    let path = stage.path("f");
    let (told, answers) = channel();
    let writer = std::thread::spawn(move || {
        let file = OpenOptions::new().write(true).open(path).unwrap();
        let done = file.write_all_at(b"after!", 0).and_then(|()| file.sync_all());
        told.send(done.map_err(|error| error.raw_os_error())).unwrap();
    });
    wait_until("it waits", || stage.disk().keeps_waiting());
    assert!(answers.try_recv().is_err());
    stage.lose_everything();
    assert_eq!(
        answers.recv_timeout(LONG).unwrap(),
        Err(Some(Errno::IO.raw_os_error()))
    );
    writer.join().unwrap();
    assert_eq!(fs::read(stage.path("f")).unwrap(), b"before");
}

#[test]
fn a_full_disk_says_so_until_there_is_room_again() {
    if !is_usable() {
        return;
    }
    let stage = Stage::new();
    let mut file = File::create(stage.path("f")).unwrap();
    stage.disk().set_full(true);
    let full = |done: std::io::Result<()>| assert_eq!(done.unwrap_err().kind(), ErrorKind::StorageFull);
    full(file.write_all(b"text"));
    full(File::create(stage.path("g")).map(|_| ()));
    full(fs::create_dir(stage.path("h")));
    file.sync_all().unwrap();
    assert_eq!(stage.disk().hits(), 3);
    stage.disk().set_full(false);
    file.write_all(b"text").unwrap();
    assert_eq!(fs::read(stage.path("f")).unwrap(), b"text");
}

#[test]
fn errors_are_told_and_what_could_not_be_synced_is_lost() {
    if !is_usable() {
        return;
    }
    let stage = Stage::new();
    let file = File::create(stage.path("f")).unwrap();
    file.write_all_at(b"durable", 0).unwrap();
    stage.disk().sync_all().unwrap();
    let failed = |done: std::io::Result<()>| {
        assert_eq!(done.unwrap_err().raw_os_error(), Some(Errno::IO.raw_os_error()));
    };
    stage.disk().set_errors(Some(Errors::Writes));
    failed(file.write_all_at(b"refused", 0));
    stage.disk().set_errors(Some(Errors::Syncs));
    file.write_all_at(b"unlucky", 0).unwrap();
    failed(file.sync_all());
    stage.disk().set_errors(None);
    // It may seem well.
    file.sync_all().unwrap();
    assert_eq!(fs::read(stage.path("f")).unwrap(), b"unlucky");
    drop(file);
    stage.lose_everything();
    assert_eq!(fs::read(stage.path("f")).unwrap(), b"durable");
}

#[test]
fn syncs_wait_until_the_disk_goes_on_and_nothing_else_does() {
    if !is_usable() {
        return;
    }
    let stage = Stage::new();
    let file = File::create(stage.path("f")).unwrap();
    stage.disk().set_stalled(true);
    file.write_all_at(b"text", 0).unwrap();
    let (told, answers) = channel();
    let syncer = std::thread::spawn(move || told.send(file.sync_all().is_ok()).unwrap());
    wait_until("it waits", || stage.disk().keeps_waiting());
    assert_eq!(fs::read(stage.path("f")).unwrap(), b"text");
    assert!(answers.try_recv().is_err());
    stage.disk().set_stalled(false);
    assert!(answers.recv_timeout(LONG).unwrap());
    syncer.join().unwrap();
    assert!(!stage.disk().keeps_waiting());
}

#[test]
fn a_process_dies_at_the_operation_that_it_is_to_die_at() {
    if !is_usable() {
        return;
    }
    for (nth, done, lines) in [(1, Done::Before, 0), (3, Done::Before, 2), (3, Done::After, 3)] {
        let stage = Stage::new();
        fs::write(stage.path("f"), "").unwrap();
        let mut writer = Command::new("/bin/sh")
            .args(["-c", r#"read -r go; while :; do echo line; done >> "$0""#])
            .arg(stage.path("f"))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let process = rustix::process::Pid::from_child(&writer);
        let killer = move || rustix::process::kill_process(process, rustix::process::Signal::KILL).is_ok();
        stage.disk().arm(nth, done, Box::new(killer));
        writer.stdin.take().unwrap().write_all(b"go\n").unwrap();
        assert_eq!(writer.wait().unwrap().signal(), Some(9));
        assert!(stage.disk().disarm(), "it has come to that");
        let left = fs::read_to_string(stage.path("f")).unwrap().lines().count();
        assert_eq!(left, lines, "{nth} {done:?}");
    }
}

#[test]
fn who_is_killed_ends_though_its_sync_does_not() {
    if !is_usable() {
        return;
    }
    let stage = Stage::new();
    stage.disk().set_stalled(true);
    let mut syncer = Command::new("dd")
        .arg(format!("of={}", stage.path("f").display()))
        .args(["if=/dev/zero", "bs=1", "count=1", "conv=fsync"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("it waits", || stage.disk().keeps_waiting());
    syncer.kill().unwrap();
    stage.disk().abandon();
    assert_eq!(syncer.wait().unwrap().signal(), Some(9));
}

#[test]
fn a_disk_that_goes_leaves_no_mount_and_all_that_was_written() {
    if !is_usable() {
        return;
    }
    let mut stage = Stage::new();
    let mount = stage.path("").canonicalize().unwrap();
    assert!(is_mounted(&mount));
    fs::create_dir(stage.path("a")).unwrap();
    fs::write(stage.path("a/f"), "not synced").unwrap();
    // Neither what somebody has open keeps it, nor what waits.
    let _open = File::open(stage.path("a/f")).unwrap();
    stage.disk().set_stalled(true);
    let file = File::create(stage.path("g")).unwrap();
    let syncer = std::thread::spawn(move || file.sync_all());
    wait_until("it waits", || stage.disk().keeps_waiting());
    drop(stage.disk.take());
    let _ = syncer.join().unwrap();
    assert!(!is_mounted(&mount) && !mount.exists());
    let durable = stage.folder.path().join("durable");
    assert_eq!(fs::read(durable.join("a/f")).unwrap(), b"not synced");
    // It can be used again.
    let again = Disk::mount(&mount, stage.folder.path()).unwrap();
    assert_eq!(fs::read(mount.join("a/f")).unwrap(), b"not synced");
    drop(again);
    assert!(!is_mounted(&mount));
}

#[test]
fn a_mount_goes_however_its_process_ends() {
    if let Some(folder) = std::env::var_os(DYING) {
        let folder = PathBuf::from(folder);
        let mount = folder.join("mount");
        let _disk = Disk::mount(&mount, &folder).unwrap();
        let _open = File::create(mount.join("f")).unwrap();
        // Whoever waits for this process sees that.
        fs::write(folder.join("mounted"), "").unwrap();
        std::thread::sleep(LONG);
    }
    if !is_usable() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut dying = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_mount_goes_however_its_process_ends"])
        .env(DYING, folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("it is mounted", || folder.path().join("mounted").exists());
    let mount = folder.path().canonicalize().unwrap().join("mount");
    assert!(is_mounted(&mount));
    dying.kill().unwrap();
    dying.wait().unwrap();
    wait_until("it is gone", || !is_mounted(&mount));
}
