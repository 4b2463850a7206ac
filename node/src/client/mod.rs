//! The client for people: `node get`, `put`, `cas`, `delete`, `status`, and what operators ask.

mod ask;
mod members;
mod status;

pub(crate) use members::{add, list, snapshot};
pub(crate) use status::status;

use crate::cli::Reach;
use crate::{exit, output};
use ask::{Outcome, ask};
use bytes::Bytes;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use wire::client::{Reply, RequestBody};

/// The bytes of an argument.
pub(crate) fn bytes(argument: OsString) -> Bytes {
    Bytes::from(argument.into_vec())
}

/// Asks the cluster, prints what it answers, and returns the exit code.
pub(crate) async fn run(body: RequestBody, reach: &Reach) -> u8 {
    match done(ask(body, reach).await) {
        Ok(reply) => print(reply),
        Err(code) => code,
    }
}

/// The reply, or the exit code of what was not done, after it was complained about.
fn done(outcome: Outcome) -> Result<Reply, u8> {
    match outcome {
        Outcome::Done(reply) => Ok(reply),
        Outcome::NotDone(reason) => {
            output::complain(&format!("not done: {reason}"));
            Err(exit::NOT_DONE)
        }
        Outcome::Unknown(reason) => {
            output::complain(&format!("unknown whether done: {reason}"));
            Err(exit::UNKNOWN)
        }
    }
}

fn print(reply: Reply) -> u8 {
    match reply {
        Reply::Value(Some(value)) => {
            let mut line = value.to_vec();
            line.push(b'\n');
            output::print(&line)
        }
        Reply::Value(None) => nothing("the key has no value"),
        Reply::Length(length) => output::print(format!("{length}\n").as_bytes()),
        Reply::Sum(sum) => output::print(format!("{sum}\n").as_bytes()),
        Reply::Written
        | Reply::Swapped(true)
        | Reply::Deleted(true)
        | Reply::Transaction { .. }
        | Reply::SessionOpened { .. }
        | Reply::SessionClosed => exit::DONE,
        Reply::Swapped(false) => nothing("not done: the key does not hold what is expected"),
        Reply::Deleted(false) => nothing("the key had no value"),
        Reply::Reconfigured | Reply::Transferred => exit::DONE,
        Reply::Status(_) | Reply::Stages(_) | Reply::Snapshotted { .. } | Reply::Members(_) => {
            nothing(ask::MISANSWERED)
        }
    }
}

fn nothing(why: &str) -> u8 {
    output::complain(why);
    exit::NOT_DONE
}
