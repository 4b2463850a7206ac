//! From a history to a verdict.

use crate::op::{Op, Ret};
use crate::workload::{all, by_name};
use checker::history::End;
use checker::{
    Limits, Log, Model, ObjectsVerdict, Operation, ReadError, Report, Verdict, check_objects, explain,
};
use std::collections::BTreeMap;

/// Holds a history against the model of the workload that its first line names. An empty one is unknown.
///
/// # Errors
/// The workload, an operation, an argument or a result is unknown.
pub fn judge(log: &Log, limits: Limits<'_>) -> Result<Report, ReadError> {
    let Some(header) = &log.header else {
        let verdict = Verdict::Unknown(String::from("the history is empty"));
        return Ok(Report {
            verdict,
            model: "none",
            engine: "none",
            operations: 0,
            partitions: 0,
        });
    };
    let Some(workload) = by_name(&header.workload) else {
        let known: Vec<&str> = all().iter().map(|workload| workload.name()).collect();
        let reason = format!(
            "the workload {:?} is unknown; known are {}",
            header.workload,
            known.join(", ")
        );
        return Err(ReadError { line: 1, reason });
    };
    workload.judge(log, limits)
}

/// Judges a history of independent objects, one for each key.
///
/// `convert` says what an operation and its result are to the model. What failed did not happen; neither did a read that
/// nobody saw the result of.
pub(crate) fn judge_by_key<M>(
    log: &Log,
    model: &'static str,
    init: &M,
    convert: impl Fn(&Op, Option<Ret>) -> (M::Op, Option<M::Ret>),
    limits: Limits<'_>,
) -> Result<Report, ReadError>
where
    M: Model<Op: Sync, Ret: Sync> + Send + Sync,
{
    let mut by_key: BTreeMap<u64, Vec<Operation<M>>> = BTreeMap::new();
    let mut operations = 0;
    for call in &log.calls {
        let at_line = |reason| ReadError {
            line: call.line,
            reason,
        };
        let op = Op::from_call(call).map_err(at_line)?;
        let ret = match call.end {
            End::Ok => Some(Ret::from_value(&op, &call.result).map_err(at_line)?),
            End::Fail => continue,
            End::Info if op.is_read() => continue,
            End::Info => None,
        };
        let (op, ret) = convert(&op, ret);
        operations += 1;
        by_key
            .entry(call.key.unwrap_or_default())
            .or_default()
            .push(Operation {
                process: call.process,
                node: call.node,
                op,
                ret,
                invoked: call.invoked,
                returned: call.returned,
            });
    }
    let (keys, histories): (Vec<u64>, Vec<Vec<Operation<M>>>) = by_key.into_iter().unzip();
    let objects: Vec<&[Operation<M>]> = histories.iter().map(Vec::as_slice).collect();
    let verdict = match check_objects(init, &objects, limits) {
        _ if operations == 0 => Verdict::Unknown(String::from("the history has no operation to judge")),
        ObjectsVerdict::Valid => Verdict::Valid,
        ObjectsVerdict::Violation {
            object,
            operation,
            states,
        } => {
            let name = format!("{model} {}", keys[object]);
            let of_object = objects[object];
            let explanation = explain(init, &name, of_object, operation, &states, &log.remarks, limits);
            Verdict::Violation(Box::new(explanation))
        }
        ObjectsVerdict::Unknown { object, refused } => {
            Verdict::Unknown(format!("{model} {}: {refused}", keys[object]))
        }
    };
    Ok(Report {
        verdict,
        model,
        engine: "configurations",
        operations,
        partitions: objects.len(),
    })
}
