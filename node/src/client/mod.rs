//! The client for people: what they read and write, `node status`, and what operators ask.

mod ask;
mod data;
mod json;
mod members;
mod no_member;
mod status;
mod transaction;
mod value;

pub(crate) use data::{request as request_of, shown};
pub(crate) use members::{add, list, snapshot};
pub(crate) use status::status;
pub(crate) use value::Shown;

use crate::cli::{Address, Reach};
use crate::{exit, output};
use ask::{Outcome, ask};
use value::{in_one_line, line};
use wire::client::{Reply, RequestBody};
use wire::record::OperationAnswer;

/// Asks the cluster, prints what it answers, of a value what is to be shown, and returns the exit code.
pub(crate) async fn run(body: RequestBody, reach: &Reach, shown: Shown) -> u8 {
    match done(ask(body, reach).await) {
        Ok(reply) => print(reply, shown),
        Err(code) => code,
    }
}

/// The reply, or the exit code of what was not done, after it was complained about.
fn done(outcome: Outcome) -> Result<Reply, u8> {
    outcome.judged().map_err(|(code, complaint)| {
        output::complain(&complaint);
        code
    })
}

/// As [`done`], of one of several nodes that are asked for themselves.
fn done_at(endpoint: &Address, outcome: Outcome) -> Result<Reply, u8> {
    outcome.judged().map_err(|(code, complaint)| {
        output::complain(&format!("{endpoint}: {complaint}"));
        code
    })
}

impl Outcome {
    /// The reply, or the exit code and what is to be complained about.
    fn judged(self) -> Result<Reply, (u8, String)> {
        match self {
            Outcome::Done(reply) => Ok(reply),
            Outcome::NotDone(reason) => Err((exit::NOT_DONE, format!("not done: {reason}"))),
            Outcome::Unknown(reason) => Err((exit::UNKNOWN, format!("unknown whether done: {reason}"))),
        }
    }
}

fn print(reply: Reply, shown: Shown) -> u8 {
    match reply {
        Reply::Value(Some(value)) => match shown.text(&value) {
            Ok(text) => output::print(&text),
            Err(why) => nothing(&why),
        },
        Reply::Value(None) => nothing("the key has no value"),
        Reply::Length(length) => output::print(format!("{length}\n").as_bytes()),
        Reply::Sum(sum) => output::print(format!("{sum}\n").as_bytes()),
        Reply::Written
        | Reply::Swapped(true)
        | Reply::Deleted(true)
        | Reply::SessionOpened { .. }
        | Reply::SessionClosed => exit::DONE,
        Reply::Swapped(false) => nothing("not done: the key does not hold what is expected"),
        Reply::Deleted(false) => nothing("the key had no value"),
        Reply::Transaction { held, answers } => {
            let lines: Vec<u8> = answers.into_iter().flat_map(answer_line).collect();
            match output::print(&lines) {
                exit::DONE if !held => nothing("a condition does not hold"),
                code => code,
            }
        }
        Reply::Reconfigured | Reply::Transferred => exit::DONE,
        Reply::Status(_) | Reply::Stages(_) | Reply::Snapshotted { .. } | Reply::Members(_) => {
            nothing(ask::MISANSWERED)
        }
    }
}

/// What an operation of a transaction returned.
fn answer_line(answer: OperationAnswer) -> Vec<u8> {
    let text = match answer {
        OperationAnswer::Value(Some(value)) => return in_one_line(&value),
        OperationAnswer::Value(None) | OperationAnswer::Deleted(false) => "(nil)".to_string(),
        OperationAnswer::Written => "ok".to_string(),
        OperationAnswer::Deleted(true) => "deleted".to_string(),
        OperationAnswer::Length(length) => length.to_string(),
        OperationAnswer::Sum(sum) => sum.to_string(),
    };
    line(text.as_bytes())
}

fn nothing(why: &str) -> u8 {
    output::complain(why);
    exit::NOT_DONE
}
