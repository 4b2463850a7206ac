//! From a history to a verdict, by the name of a model.

use crate::engine::Limits;
use crate::explain::explain;
use crate::history::{Log, ReadError, Value};
use crate::object::{ObjectsVerdict, Operation, check_objects};
use crate::verdict::{Report, Verdict};
use crate::vocabulary::{Dialect, Vocabulary};
use rustc_hash::FxHashMap;

/// Which engine judges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EngineChoice {
    /// A linear-time engine where the history qualifies, else the general one.
    #[default]
    Auto,
    /// The general one.
    General,
    /// A linear-time engine; where the history does not qualify the verdict is unknown.
    Linear,
}

/// How a history is to be checked.
#[derive(Clone, Default)]
pub struct CheckOptions<'a> {
    /// The model that judges, one of the [`registry`](crate::registry()); `None`: what the operations' names tell.
    pub model: Option<&'a str>,
    /// What each object is at the beginning, where that is not what the model says.
    pub init: Option<Value>,
    /// How outcomes are understood; `None`: as the format has it.
    pub dialect: Option<Dialect>,
    /// Which engine judges.
    pub engine: EngineChoice,
    /// Limits on the check.
    pub limits: Limits<'a>,
}

/// Why there is no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// The history has a call that the model does not understand.
    #[error(transparent)]
    History(#[from] ReadError),
    /// What was asked for can't be.
    #[error("{0}")]
    Options(String),
}

/// An object of a history: its key, and what was done to it.
pub type Keyed<M> = (Option<Value>, Vec<Operation<M>>);

/// The objects of a history, in the order of their keys.
///
/// # Errors
/// The first call that the model does not understand.
pub fn objects<M: Vocabulary>(log: &Log, dialect: Dialect) -> Result<Vec<Keyed<M>>, ReadError> {
    let mut places: FxHashMap<Option<&Value>, usize> = FxHashMap::default();
    let mut objects: Vec<Keyed<M>> = Vec::new();
    for call in &log.calls {
        let meaning = M::call(call, dialect).map_err(|reason| ReadError {
            line: call.line,
            reason,
        })?;
        let Some((op, ret)) = meaning else { continue };
        let place = *places.entry(call.key.as_ref()).or_insert_with(|| {
            objects.push((call.key.clone(), Vec::new()));
            objects.len() - 1
        });
        objects[place].1.push(Operation {
            process: call.process,
            node: call.node,
            op,
            ret,
            invoked: call.invoked,
            returned: call.returned,
        });
    }
    objects.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(objects)
}

/// Holds a history against the model `M`.
pub(crate) fn check_with<M: Vocabulary>(log: &Log, options: &CheckOptions<'_>) -> Result<Report, CheckError> {
    let init = M::initial(options.init.as_ref()).map_err(CheckError::Options)?;
    let objects = objects::<M>(log, options.dialect.unwrap_or(log.format.dialect()))?;
    let histories: Vec<&[Operation<M>]> = objects.iter().map(|(_, history)| history.as_slice()).collect();
    let name = |object: usize| match &objects[object].0 {
        Some(key) => format!("{} {key}", M::NAME),
        None => M::NAME.to_owned(),
    };
    let limits = options.limits;
    let operations = histories.iter().map(|history| history.len()).sum();
    let verdict = match check_objects(&init, &histories, limits) {
        _ if operations == 0 => Verdict::Unknown(String::from("the history has no operation to judge")),
        ObjectsVerdict::Valid => Verdict::Valid,
        ObjectsVerdict::Violation {
            object,
            operation,
            states,
        } => {
            let name = name(object);
            let history = histories[object];
            let explanation = explain(&init, &name, history, operation, &states, &log.remarks, limits);
            Verdict::Violation(Box::new(explanation))
        }
        ObjectsVerdict::Unknown { object, refused } => {
            Verdict::Unknown(format!("{}: {refused}", name(object)))
        }
    };
    Ok(Report {
        verdict,
        model: M::NAME,
        engine: "configurations",
        operations,
        partitions: histories.len(),
    })
}
