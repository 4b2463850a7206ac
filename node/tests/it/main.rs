//! The node as its users meet it: processes, sockets, exit codes.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod cluster;
mod command_line;
mod connection;
mod data;
mod durable;
mod folder;
mod hostile;
mod logs;
mod members;
mod metrics;
mod probe;
mod process;
mod relay;
mod requests;
mod start;
