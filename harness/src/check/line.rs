//! The line that `harness check --json` prints for a file. Fields are only ever added, and `harness help json` says what they are.

use crate::report::Valid;
use checker::history::{Call, End, Value};
use checker::{Explanation, Log};
use serde::Serialize;
use std::path::Path;

/// See the module's documentation.
#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    pub(super) file: &'a Path,
    pub(super) format: Option<&'static str>,
    /// `None` if the file can't be read.
    pub(super) timed: Option<bool>,
    pub(super) model: Option<&'static str>,
    pub(super) valid: Valid,
    pub(super) reason: Option<String>,
    pub(super) ops: usize,
    pub(super) partitions: usize,
    pub(super) engine: Option<&'static str>,
    pub(super) parse_seconds: f64,
    pub(super) check_seconds: f64,
    pub(super) violations: Vec<ViolationOf<'a>>,
    /// How many more there are.
    pub(super) unexplained: usize,
}

/// A violation, with the smallest history that shows it.
#[derive(Debug, Serialize)]
pub(super) struct ViolationOf<'a> {
    object: &'a str,
    operation: &'a str,
    states: &'a [String],
    states_are_all: bool,
    core: Vec<OperationOf<'a>>,
}

/// An operation of a core.
#[derive(Debug, Serialize)]
struct OperationOf<'a> {
    line: usize,
    process: u64,
    node: Option<u64>,
    f: &'a str,
    key: Option<&'a Value>,
    value: &'a Value,
    #[serde(rename = "type")]
    end: &'static str,
    result: &'a Value,
    invoked: u64,
    returned: Option<u64>,
}

impl<'a> ViolationOf<'a> {
    /// What an explanation says of the calls of a history.
    pub(super) fn new(explanation: &'a Explanation, log: &'a Log) -> ViolationOf<'a> {
        let core = explanation.core.iter();
        ViolationOf {
            object: &explanation.object,
            operation: &explanation.operation,
            states: &explanation.states,
            states_are_all: explanation.states_are_all,
            core: core.map(|place| OperationOf::new(&log.calls[*place])).collect(),
        }
    }
}

impl<'a> OperationOf<'a> {
    fn new(call: &'a Call) -> OperationOf<'a> {
        OperationOf {
            line: call.line,
            process: call.process,
            node: call.node,
            f: &call.f,
            key: call.key.as_ref(),
            value: &call.argument,
            end: match call.end {
                End::Ok => "ok",
                End::Fail => "fail",
                End::Info => "info",
            },
            result: &call.result,
            invoked: call.invoked,
            returned: (call.end != End::Info).then_some(call.returned),
        }
    }
}

impl Line<'_> {
    /// The line, its end included.
    pub(super) fn text(&self) -> String {
        let text = serde_json::to_string(self).expect("its fields have string keys");
        format!("{text}\n")
    }
}
