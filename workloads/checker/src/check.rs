//! From a history to a verdict, by the name of a model.

use crate::engine::{Limits, Refused};
use crate::explain::{Explanation, Setting, explain};
use crate::history::{Log, ReadError, Value, short};
use crate::object::{ObjectViolation, Operation, check_each};
use crate::verdict::{Report, Verdict};
use crate::vocabulary::{Dialect, Vocabulary};
use rustc_hash::FxHashMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

/// Which engine judges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EngineChoice {
    /// A linear-time engine where the history qualifies, else the general one.
    #[default]
    Auto,
    /// The general one.
    General,
    /// A linear-time engine; a history that does not qualify is not judged.
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
    /// Whether the violations of all objects are looked for, and not only the first.
    pub all: bool,
    /// Limits on the check; which engine judges is not taken from there.
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
    let groups = Groups::of(log, &|| false).expect("nothing stops it");
    let mut objects = Vec::new();
    let mut first: Option<ReadError> = None;
    for object in 0..groups.keys.len() {
        match groups.operations::<M>(log, object, dialect) {
            Ok(operations) if operations.is_empty() => {}
            Ok(operations) => objects.push((groups.keys[object].cloned(), operations)),
            Err(error) => keep_first(&mut first, error),
        }
    }
    first.map_or(Ok(objects), Err)
}

fn keep_first(first: &mut Option<ReadError>, error: ReadError) {
    if first.as_ref().is_none_or(|first| error.line < first.line) {
        *first = Some(error);
    }
}

/// So many calls are told apart between two looks at the limits.
const CALLS_BETWEEN_LOOKS: usize = 1 << 16;

/// The calls of a history by their keys.
struct Groups<'a> {
    /// In order.
    keys: Vec<Option<&'a Value>>,
    /// The places of calls among those of the history, those of one key together.
    calls: Vec<u32>,
    /// Where in `calls` those of each key are.
    ranges: Vec<Range<usize>>,
}

impl<'a> Groups<'a> {
    /// `None` if it was stopped.
    fn of(log: &'a Log, should_stop: &dyn Fn() -> bool) -> Option<Groups<'a>> {
        let mut places: FxHashMap<Option<&Value>, u32> = FxHashMap::default();
        let mut met: Vec<(Option<&Value>, usize)> = Vec::new();
        let mut group_of: Vec<u32> = Vec::with_capacity(log.calls.len());
        for (number, call) in log.calls.iter().enumerate() {
            if number % CALLS_BETWEEN_LOOKS == 0 && should_stop() {
                return None;
            }
            let key = call.key.as_ref();
            let group = *places.entry(key).or_insert_with(|| {
                met.push((key, 0));
                place(met.len() - 1)
            });
            met[group as usize].1 += 1;
            group_of.push(group);
        }
        let mut order: Vec<usize> = (0..met.len()).collect();
        order.sort_unstable_by_key(|group| met[*group].0);
        let mut starts: Vec<usize> = met.iter().map(|_| 0).collect();
        let mut ranges = Vec::with_capacity(met.len());
        let mut start = 0;
        for group in &order {
            starts[*group] = start;
            ranges.push(start..start + met[*group].1);
            start += met[*group].1;
        }
        let mut calls: Vec<u32> = log.calls.iter().map(|_| 0).collect();
        for (call, group) in group_of.into_iter().enumerate() {
            let next = &mut starts[group as usize];
            calls[*next] = place(call);
            *next += 1;
        }
        let keys = order.iter().map(|group| met[*group].0).collect();
        Some(Groups { keys, calls, ranges })
    }

    /// What was done to an object, as the model sees it.
    fn operations<M: Vocabulary>(
        &self,
        log: &Log,
        object: usize,
        dialect: Dialect,
    ) -> Result<Vec<Operation<M>>, ReadError> {
        let calls = &self.calls[self.ranges[object].clone()];
        let mut operations = Vec::with_capacity(calls.len());
        for call in calls {
            let call = &log.calls[*call as usize];
            let line = call.line;
            let meaning = M::call(call, dialect).map_err(|reason| ReadError::new(line, reason))?;
            let Some((op, ret)) = meaning else { continue };
            operations.push(Operation {
                process: call.process,
                node: call.node,
                op,
                ret,
                invoked: call.invoked,
                returned: call.returned,
            });
        }
        Ok(operations)
    }

    /// The places among the calls of the history of what [`Groups::operations`] makes, in its order.
    fn judged<M: Vocabulary>(&self, log: &Log, object: usize, dialect: Dialect) -> Vec<usize> {
        self.calls[self.ranges[object].clone()]
            .iter()
            .map(|call| *call as usize)
            .filter(|call| matches!(M::call(&log.calls[*call], dialect), Ok(Some(_))))
            .collect()
    }

    fn name(&self, object: usize, model: &str) -> String {
        object_name(self.keys[object], model)
    }
}

/// What an object is called in reports.
pub(crate) fn object_name(key: Option<&Value>, model: &str) -> String {
    match key {
        Some(key) => format!("{model} {}", short(key.to_string())),
        None => model.to_owned(),
    }
}

fn place(place: usize) -> u32 {
    u32::try_from(place).expect("fewer calls are in memory at once")
}

/// Holds a history against the model `M`.
pub(crate) fn check_with<M: Vocabulary>(log: &Log, options: &CheckOptions<'_>) -> Result<Report, CheckError> {
    let limits = Limits {
        engine: options.engine,
        ..options.limits
    };
    let options = &CheckOptions {
        limits,
        ..options.clone()
    };
    let init = M::initial(options.init.as_ref()).map_err(CheckError::Options)?;
    let dialect = options.dialect.unwrap_or(log.format.dialect());
    let mut report = Report {
        verdict: Verdict::Valid,
        further: Vec::new(),
        unexplained: 0,
        model: M::NAME,
        engine: "none",
        operations: 0,
        partitions: 0,
    };
    let Some(groups) = Groups::of(log, options.limits.should_stop) else {
        report.verdict = Verdict::Unknown(Refused::Stopped.to_string());
        return Ok(report);
    };
    let (operations, partitions) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let first: Mutex<Option<ReadError>> = Mutex::new(None);
    // Objects are made when their turn comes and are gone after it: together they would take as much memory as the history. Once there
    // is no time left none is made.
    let make = |object: usize| {
        if (options.limits.should_stop)() {
            return Vec::new();
        }
        match groups.operations::<M>(log, object, dialect) {
            Ok(made) => {
                operations.fetch_add(made.len(), Relaxed);
                partitions.fetch_add(usize::from(!made.is_empty()), Relaxed);
                made
            }
            Err(error) => {
                keep_first(
                    &mut first.lock().expect("nobody panics while it is locked"),
                    error,
                );
                Vec::new()
            }
        }
    };
    let found = check_each(&init, groups.keys.len(), make, options.limits, options.all);
    if let Some(error) = first.into_inner().expect("nobody panics while it is locked") {
        return Err(CheckError::History(error));
    }
    report.operations = operations.into_inner();
    report.partitions = partitions.into_inner();
    report.engine = found.judges.name::<M>();
    if report.operations == 0 && found.unknown.is_none() {
        report.verdict = Verdict::Unknown(String::from("the history has no operation to judge"));
    } else if let Some((first, others)) = found.violations.split_first() {
        let explained = |violation: &ObjectViolation<M>| explained(log, options, &init, &groups, violation);
        report.verdict = Verdict::Violation(Box::new(explained(first)?));
        for violation in others {
            if (options.limits.should_stop)() {
                break;
            }
            report.further.push(explained(violation)?);
        }
        report.unexplained = others.len() - report.further.len();
    } else if let Some((object, refused)) = found.unknown {
        if let Refused::Unqualified { .. } = refused {
            let name = groups.name(object, M::NAME);
            return Err(CheckError::Options(format!("{name}: {refused}")));
        }
        report.verdict = Verdict::Unknown(format!("{}: {refused}", groups.name(object, M::NAME)));
    }
    Ok(report)
}

/// A violation in words, its operations named by their places among the calls of the history.
fn explained<M: Vocabulary>(
    log: &Log,
    options: &CheckOptions<'_>,
    init: &M,
    groups: &Groups<'_>,
    violation: &ObjectViolation<M>,
) -> Result<Explanation, ReadError> {
    let dialect = options.dialect.unwrap_or(log.format.dialect());
    let object = violation.object;
    let name = groups.name(object, M::NAME);
    let history = groups.operations::<M>(log, object, dialect)?;
    let (rejected, states) = (violation.operation, &violation.states);
    let setting = Setting {
        remarks: &log.remarks,
        timed: log.timed,
    };
    let explanation = explain(init, &name, &history, rejected, states, setting, options.limits);
    let places = groups.judged::<M>(log, object, dialect);
    Ok(explanation.renamed(|place| places[place]))
}
