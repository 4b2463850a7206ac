//! `harness up`, on nodes that only log.

use crate::stage::{LIVES, Stage, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::process::{Child, Command, Stdio};

/// `harness up` with two nodes.
struct Up<'stage> {
    stage: &'stage Stage,
    child: Child,
}

impl<'stage> Up<'stage> {
    fn start(stage: &'stage Stage) -> Up<'stage> {
        let child = Command::new(env!("CARGO_BIN_EXE_harness"))
            .args(["up", "--nodes", "2", "--node-binary"])
            .arg(stage.program())
            .arg("--dir")
            .arg(stage.dir())
            .stdin(Stdio::null())
            .stdout(File::create(stage.folder().join("out")).unwrap())
            .stderr(File::create(stage.folder().join("err")).unwrap())
            .spawn()
            .unwrap();
        Up { stage, child }
    }

    fn out(&self) -> String {
        fs::read_to_string(self.stage.folder().join("out")).unwrap()
    }

    fn wait_for(&self, words: &str) {
        wait_for(words, || self.out().contains(words).then_some(()));
    }

    fn signal(&self, signal: Signal) {
        let process = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(process).unwrap(), signal).unwrap();
    }
}

/// The harness's death is its nodes' too.
impl Drop for Up<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

#[test]
fn it_stops_its_nodes_when_it_is_interrupted_or_told_to_end() {
    for signal in [Signal::INT, Signal::TERM] {
        let stage = Stage::new(LIVES);
        let mut up = Up::start(&stage);
        up.wait_for("Ctrl-C stops");
        up.signal(signal);
        assert_eq!(up.child.wait().unwrap().code(), Some(0));
        assert!(
            stage.was_stopped(1) && stage.was_stopped(2),
            "they were asked, not killed"
        );
        assert!(stage.processes().is_empty());
        let stopping = format!("Stopping. Data and logs stay in {}.\n", stage.dir().display());
        assert!(up.out().ends_with(&stopping), "{}", up.out());
    }
}

#[test]
fn where_there_is_no_terminal_there_are_no_colours() {
    let stage = Stage::new(&format!("kill -9 $$; {LIVES}"));
    let up = Up::start(&stage);
    // Deaths are red.
    up.wait_for("n1 died: signal: 9 (SIGKILL)");
    assert!(!up.out().contains('\x1b'), "{}", up.out());
}

#[test]
fn what_was_logged_at_an_earlier_time_is_no_news() {
    let stage = Stage::new(&format!("echo \"T  INFO n$id is of today\" >&2; {LIVES}"));
    fs::create_dir_all(stage.dir().join("nodes/1")).unwrap();
    fs::write(stage.dir().join("nodes/1/log"), "T  INFO n1 is of yesterday\n").unwrap();
    let up = Up::start(&stage);
    up.wait_for("n1 is of today");
    assert!(!up.out().contains("yesterday"), "{}", up.out());
}

#[test]
fn who_dies_is_started_again_and_who_then_does_not_start_is_tried_again() {
    // The first start of node 1 works, the second one does not, the third one does.
    let script = format!(
        r#"echo >> "$stage/starts-$id"
starts=$(wc -l < "$stage/starts-$id")
if [ "$id" = 1 ] && [ "$starts" = 2 ]; then echo nonsense; exec sleep 600; fi
echo 'ready {{"listen":"127.0.0.1:1"}}'
if [ "$id" = 1 ] && [ "$starts" = 1 ]; then echo 'last words' >&2; exit 3; fi
{LIVES}"#
    );
    let stage = Stage::with_program(&script);
    let up = Up::start(&stage);
    up.wait_for("n1 died: exit status: 3");
    up.wait_for("  last words");
    up.wait_for("node 1 did not start: its first line is no ready line: \"nonsense\"");
    up.wait_for("n1 was started again: 127.0.0.1:1, process ");
}

#[test]
fn who_no_longer_listens_ends_it() {
    let stage = Stage::new(LIVES);
    let mut child = Command::new(env!("CARGO_BIN_EXE_harness"))
        .args(["up", "--node-binary"])
        .arg(stage.program())
        .arg("--dir")
        .arg(stage.dir())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert!(!err.contains("panicked"), "{err}");
    assert!(stage.processes().is_empty());
}
