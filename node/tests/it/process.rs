//! Node processes, and other runs of the binary.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long anything may take that takes milliseconds on a quiet machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const CLUSTER_ID: &str = "test";

/// A run of the binary with `args`, to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    binary().args(args).output().expect("the binary runs")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the binary prints text")
}

pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_node"));
    // Whatever the tests' caller has set must not change what is printed.
    command.env_remove("RUST_BACKTRACE").env_remove("NO_COLOR");
    command
}

/// Waits until `condition` gives something.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(result) = condition() {
            return result;
        }
        assert!(Instant::now() < deadline, "it did not come about that {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How a node is started.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) id: u64,
    pub(crate) cluster_id: String,
    /// Whom the cluster begins with; empty for one that joins.
    pub(crate) members: String,
    pub(crate) data: PathBuf,
    pub(crate) listen: String,
    /// More of the command line.
    pub(crate) flags: &'static [&'static str],
}

impl Spec {
    /// The only node of its cluster.
    pub(crate) fn single(data: &Path) -> Spec {
        Spec {
            id: 1,
            cluster_id: CLUSTER_ID.to_string(),
            // Nobody dials it.
            members: "1=127.0.0.1:1".to_string(),
            data: data.to_path_buf(),
            listen: "127.0.0.1:0".to_string(),
            flags: &[],
        }
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = binary();
        command.arg("serve");
        command.args(["--id", &self.id.to_string(), "--cluster-id", &self.cluster_id]);
        command.args(["--listen", &self.listen]);
        if self.members.is_empty() {
            command.arg("--join");
        } else {
            command.args(["--cluster", &self.members]);
        }
        command.arg("--data").arg(&self.data);
        command.args(self.flags);
        command
    }

    /// The same with no more than so many files and connections open.
    pub(crate) fn command_within(&self, descriptors: u32) -> Command {
        let command = self.command();
        let mut limited = Command::new("sh");
        limited.env_remove("RUST_BACKTRACE").env_remove("NO_COLOR");
        limited.args(["-c", &format!("ulimit -n {descriptors} && exec \"$@\""), "sh"]);
        limited.arg(command.get_program()).args(command.get_args());
        limited
    }

    /// Starts it where it must not come up; what it said and how it ended.
    pub(crate) fn fails(&self) -> (Option<i32>, String) {
        fails(self.command())
    }
}

/// Starts a node where it must not come up; what it said and how it ended.
pub(crate) fn fails(mut command: Command) -> (Option<i32>, String) {
    let output = command.output().expect("the binary runs");
    assert_eq!(text(&output.stdout), "", "it must not claim to be ready");
    (output.status.code(), text(&output.stderr))
}

/// A node that serves; killed when dropped.
#[derive(Debug)]
pub(crate) struct Node {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) ready: String,
}

impl Node {
    pub(crate) fn start(spec: &Spec) -> Node {
        Node::start_logging(spec, log_of(spec))
    }

    /// Starts it with no more than so many files and connections open.
    pub(crate) fn start_within(descriptors: u32, spec: &Spec) -> Node {
        Node::run(spec, spec.command_within(descriptors), log_of(spec))
    }

    /// Starts it with its log going to `log`.
    pub(crate) fn start_logging(spec: &Spec, log: impl Into<Stdio>) -> Node {
        Node::run(spec, spec.command(), log)
    }

    fn run(spec: &Spec, mut command: Command, log: impl Into<Stdio>) -> Node {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the binary runs");
        let stdout = child.stdout.take().expect("stdout is piped");
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let ready = match receiver.recv_timeout(PATIENCE) {
            Ok(ready) => ready,
            Err(error) => {
                let _ = child.kill();
                panic!(
                    "node {} did not become ready ({error}): {:?}",
                    spec.id,
                    child.wait()
                );
            }
        };
        let json: serde_json::Value =
            serde_json::from_str(ready.strip_prefix("ready ").expect("a ready line"))
                .expect("the ready line carries JSON");
        let address = json["listen"].as_str().expect("it says where it listens");
        let address = address.parse().expect("that is an address");
        Node {
            child,
            address,
            ready,
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the process is there");
    }

    /// Waits for the end of the process.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        eventually("the node ends", || self.child.try_wait().expect("it is a child"))
    }

    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// The most memory that it ever held, in KiB.
    pub(crate) fn memory_peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let figure = line.and_then(|line| line.trim().strip_suffix(" kB"));
        figure.expect("the kernel says so").parse().expect("a number")
    }
}

fn log_of(spec: &Spec) -> std::fs::File {
    let log = spec.data.with_extension("log");
    let log = std::fs::File::options().create(true).append(true).open(log);
    log.expect("the log can be written")
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
