//! What the tests share: a node program that is none, and waiting.

use crate::script;
use harness::cluster::{Binary, Cluster, ClusterError, ClusterSpec, Timing};
use harness::node_number::NodeNumber;
use rustix::process::{Pid, getpgid};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than anything here takes, however slow the machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Lives until it is killed. It keeps its own command line, by which it can be found; what it starts ends by itself.
pub(crate) const LIVES: &str = "while :; do sleep 0.05; done";

/// A folder with a node program, and what its nodes left behind.
pub(crate) struct Stage(TempDir);

impl Stage {
    /// A node program that, once it is ready, carries out `serve`, a shell script in which `$id` is the node's number and `$stage`
    /// this folder.
    pub(crate) fn new(serve: &str) -> Stage {
        Stage::with_program(&format!(
            r#"listen=127.0.0.1:1
if [ -e "$stage/listen-$id" ]; then listen=$(cat "$stage/listen-$id"); fi
echo "$cluster" > "$stage/cluster-$id"
trap 'echo > "$stage/stopped-$id"; exit 0' TERM
echo "ready {{\"listen\":\"$listen\"}}"
{serve}"#
        ))
    }

    /// A node program that carries out `script` and nothing else.
    pub(crate) fn with_program(script: &str) -> Stage {
        let stage = Stage(tempfile::tempdir().unwrap());
        let version = format!(
            r#"{{"version":"{}","wire_min":{},"wire_max":{}}}"#,
            env!("CARGO_PKG_VERSION"),
            wire::VERSION_MIN,
            wire::VERSION_MAX
        );
        let text = format!(
            r#"#!/bin/sh
if [ "$1" = version ]; then echo '{version}'; exit; fi
stage='{}'
for argument; do
    case "$argument" in
        --id=*) id="${{argument#--id=}}" ;;
        --cluster=*) cluster="${{argument#--cluster=}}" ;;
    esac
done
{script}
"#,
            stage.folder().display()
        );
        let program = stage.program();
        script::write(&program, &text);
        stage
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.folder().join("program")
    }

    /// Where nodes keep data and logs.
    pub(crate) fn dir(&self) -> PathBuf {
        self.folder().join("run")
    }

    /// From its next start on the node says that it listens there.
    pub(crate) fn listens(&self, node: NodeNumber, at: SocketAddr) {
        fs::write(self.folder().join(format!("listen-{node}")), at.to_string()).unwrap();
    }

    /// Where `from` was told to reach `to`: its link's address.
    pub(crate) fn link(&self, from: NodeNumber, to: NodeNumber) -> SocketAddr {
        let list = fs::read_to_string(self.folder().join(format!("cluster-{from}"))).unwrap();
        let prefix = format!("{to}=");
        let entry = list
            .trim()
            .split(',')
            .find_map(|entry| entry.strip_prefix(&prefix));
        entry.unwrap().parse().unwrap()
    }

    /// Whether the node was asked to stop, and had the time to do something about it.
    pub(crate) fn was_stopped(&self, node: NodeNumber) -> bool {
        self.folder().join(format!("stopped-{node}")).exists()
    }

    pub(crate) async fn start(&self, nodes: u64) -> Result<Cluster, ClusterError> {
        Cluster::start(self.spec(nodes)).await
    }

    /// The nodes' data lies on disks that can fail.
    pub(crate) async fn start_on_disks(&self, nodes: u64) -> Result<Cluster, ClusterError> {
        let spec = ClusterSpec {
            disks: true,
            ..self.spec(nodes)
        };
        Cluster::start(spec).await
    }

    /// What it takes to start that.
    pub(crate) fn spec(&self, nodes: u64) -> ClusterSpec {
        ClusterSpec {
            system: Binary::locate(Some(&self.program())).unwrap().into(),
            nodes,
            spares: 0,
            cluster_id: "stage".to_owned(),
            dir: self.dir(),
            seed: 1,
            timing: Timing::default(),
            extra_args: Vec::new(),
            clocks: false,
            disks: false,
            hosts: None,
        }
    }

    /// The processes of this stage's nodes. One that is dead and not yet buried has no command line. What a node's shell is about to
    /// start still has the shell's own, but only the shell leads its group.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let program = format!("{}\0serve\0", self.program().display());
        let numbers = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
            let number: u32 = entry.file_name().to_str()?.parse().ok()?;
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let is_node = String::from_utf8_lossy(&line).contains(&program);
            (is_node && leads_its_group(number)).then_some(number)
        });
        numbers.collect()
    }
}

fn leads_its_group(process: u32) -> bool {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    process.is_some_and(|process| getpgid(Some(process)) == Ok(process))
}

/// Waits until there is something.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    while begun.elapsed() < LONG {
        if let Some(found) = find() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("waited in vain for {what}");
}

/// Waits until it is so, and lets other tasks go on meanwhile.
pub(crate) async fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONG, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
