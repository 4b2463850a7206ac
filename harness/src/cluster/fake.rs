//! A node program for tests: a shell script that is started and stopped as a node is, and does nothing else.

use super::{Binary, Cluster, ClusterError, ClusterSpec, Timing};
use std::path::{Path, PathBuf};

/// What a script does to serve: it says so, and then sleeps under the process number that it was started with.
pub(crate) const SERVES: &str = r#"echo 'ready {"listen":"127.0.0.1:1"}'; exec sleep 600"#;

/// A node program in `dir` that carries out `serve`, a shell script. `$starts` says how often its node was started, and `$folder` is
/// where its data lies.
pub(crate) fn program(dir: &Path, serve: &str) -> PathBuf {
    let program = dir.join("fake-node");
    let version = format!(
        r#"{{"version":"{}","wire_min":{},"wire_max":{}}}"#,
        env!("CARGO_PKG_VERSION"),
        wire::VERSION_MIN,
        wire::VERSION_MAX
    );
    let script = format!(
        r#"#!/bin/sh
if [ "$1" = version ]; then echo '{version}'; exit; fi
for argument; do case "$argument" in --data=*) folder="${{argument#--data=}}";; esac; done
mkdir -p "$folder"
echo >> "$folder/starts"
starts=$(wc -l < "$folder/starts")
{serve}
"#
    );
    super::script::write(&program, &script);
    program
}

/// A cluster of `nodes` nodes below `dir` of such a program.
pub(crate) async fn cluster(dir: &Path, nodes: u64, serve: &str) -> Result<Cluster, ClusterError> {
    Cluster::start(spec(dir, nodes, serve)).await
}

/// What it takes to start that.
pub(crate) fn spec(dir: &Path, nodes: u64, serve: &str) -> ClusterSpec {
    ClusterSpec {
        system: Binary::locate(Some(&program(dir, serve)))
            .expect("it says which version it is")
            .into(),
        nodes,
        spares: 0,
        cluster_id: String::from("fake"),
        dir: dir.to_owned(),
        seed: 1,
        timing: Timing::default(),
        extra_args: Vec::new(),
        clocks: false,
        disks: false,
        hosts: None,
    }
}
