//! The cluster as the harness's other parts use it: links, processes, and schedules. The node program is a shell script that is
//! started and stopped as a node is; where something must answer, plain TCP servers in the test do.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod disk;
mod faulty;
mod links;
mod processes;
mod schedule;
#[path = "../../src/cluster/script.rs"]
mod script;
mod stage;
mod up;
