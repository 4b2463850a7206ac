use super::*;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Longer than anything here takes, however slow the machine.
const LONG: Duration = Duration::from_secs(60);

/// A keeper below `dir` that bears silence for so many seconds, and what works in its folder.
struct Kept {
    keeper: Child,
    folder: PathBuf,
    worker: Child,
}

impl Kept {
    fn new(dir: &Path, silence: &str) -> Kept {
        let mut keeper = Command::new("/bin/sh")
            .args(["-c", KEEPER, "sh", silence])
            .env("TMPDIR", dir)
            .env("SSH_CONNECTION", "192.0.2.1 1000 192.0.2.2 22")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut greeting = String::new();
        let stdout = keeper.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut greeting).unwrap();
        let (harness, address, folder) = understood(&greeting).unwrap();
        assert_eq!(harness, IpAddr::from([192, 0, 2, 1]));
        assert_eq!(address, IpAddr::from([192, 0, 2, 2]));
        assert!(folder.starts_with(dir.canonicalize().unwrap()), "{folder:?}");
        let node = folder.join("1/nodes/1");
        std::fs::create_dir_all(&node).unwrap();
        let worker = Command::new("sleep")
            .arg("600")
            .current_dir(node)
            .spawn()
            .unwrap();
        Kept {
            keeper,
            folder,
            worker,
        }
    }

    /// Waits until nothing is left; what the keeper says of that.
    fn has_ended(mut self) -> String {
        let begun = Instant::now();
        let status = self.worker.wait().unwrap();
        assert!(!status.success(), "it was killed");
        while self.folder.exists() {
            assert!(begun.elapsed() < LONG, "{:?} is still there", self.folder);
            std::thread::sleep(Duration::from_millis(5));
        }
        self.keeper.wait().unwrap();
        let mut words = String::new();
        let mut stderr = self.keeper.stderr.take().unwrap();
        stderr.read_to_string(&mut words).unwrap();
        words
    }
}

#[test]
fn when_its_stdin_ends_what_works_in_the_folder_is_killed_and_the_folder_removed() {
    let dir = tempfile::tempdir().unwrap();
    let mut bystander = Command::new("sleep")
        .arg("600")
        .current_dir(dir.path())
        .spawn()
        .unwrap();
    let mut kept = Kept::new(dir.path(), "600");
    drop(kept.keeper.stdin.take());
    assert_eq!(kept.has_ended(), "");
    assert_eq!(bystander.try_wait().unwrap(), None, "it works elsewhere");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[test]
fn a_long_silence_ends_it_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut kept = Kept::new(dir.path(), "2");
    // Its stdin stays open.
    let stdin = kept.keeper.stdin.take();
    assert_eq!(kept.has_ended(), "it heard nothing from this machine for 2 s\n");
    drop(stdin);
}

#[test]
fn a_hangup_ends_nothing_before_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut kept = Kept::new(dir.path(), "600");
    let keeper = rustix::process::Pid::from_child(&kept.keeper);
    rustix::process::kill_process(keeper, rustix::process::Signal::HUP).unwrap();
    // It goes on to hear signs of life.
    let stdin = kept.keeper.stdin.as_mut().unwrap();
    stdin.write_all(b"\n").unwrap();
    let begun = Instant::now();
    while !kept.folder.join("heard").exists() && !kept.folder.join("quiet").exists() {
        assert!(begun.elapsed() < LONG);
    }
    assert_eq!(kept.keeper.try_wait().unwrap(), None);
    drop(kept.keeper.stdin.take());
    kept.has_ended();
}

#[test]
fn whoever_lets_himself_be_heard_is_no_silence() {
    let dir = tempfile::tempdir().unwrap();
    let mut kept = Kept::new(dir.path(), "30");
    let mut stdin = kept.keeper.stdin.take().unwrap();
    stdin.write_all(b"\n").unwrap();
    // The sign is heard, and taken down again by whoever counts the seconds.
    let sign = kept.folder.join("heard");
    for is_there in [true, false] {
        let begun = Instant::now();
        while sign.exists() != is_there {
            assert!(
                begun.elapsed() < LONG,
                "waited in vain until {sign:?} is there: {is_there}"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    assert_eq!(kept.worker.try_wait().unwrap(), None);
    drop(stdin);
    kept.has_ended();
}

#[test]
fn a_greeting_names_two_addresses_and_a_folder() {
    let (harness, address, folder) = understood("::1 5 fd00::2 22 /tmp/a b/rustyraft.x\n").unwrap();
    assert_eq!(
        (harness.to_string(), address.to_string()),
        ("::1".into(), "fd00::2".into())
    );
    assert_eq!(folder, Path::new("/tmp/a b/rustyraft.x"));
    for strange in [
        "",
        "Welcome to this host!\n",
        "UNKNOWN 65535 UNKNOWN 65535 /tmp/rustyraft.x\n",
        "::1 5 ::1 22 rustyraft.x\n",
        // There was more of it.
        "::1 5 ::1 22 /tmp/a\n",
        "::1 5 ::1 22 /tmp/rustyraft.x",
        "::1 5 ::1 22 /\n",
    ] {
        assert_eq!(understood(strange), None, "{strange}");
    }
}
