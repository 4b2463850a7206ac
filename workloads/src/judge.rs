//! From a history to a verdict.

use crate::workload::{Workload, all, by_name};
use checker::{CheckError, CheckOptions, Limits, Log, ReadError, Report, Watch, check_log, registry};

/// Holds a history against the model that was asked for, or else that of the workload that its first line names, whose objects begin as it has
/// them begin, or else the one that its operations tell. An empty history is unknown.
///
/// # Errors
/// The workload, an operation, an argument or a result is unknown; or what was asked for can't be.
pub fn judge(log: &Log, options: &CheckOptions<'_>) -> Result<Report, CheckError> {
    let header = log.header.as_ref().filter(|_| options.model.is_none());
    let Some(header) = header else {
        return check_log(log, options);
    };
    let Some(workload) = by_name(&header.workload) else {
        let known: Vec<&str> = all().iter().map(|workload| workload.name()).collect();
        let reason = format!(
            "the workload {:?} is unknown; known are {}",
            header.workload,
            known.join(", ")
        );
        return Err(CheckError::History(ReadError { line: 1, reason }));
    };
    let model = Some(workload.model());
    let init = options.init.clone().or_else(|| workload.initial());
    check_log(
        log,
        &CheckOptions {
            model,
            init,
            ..options.clone()
        },
    )
}

/// Holds a history of `workload` against its model while it is recorded, within the limits for each object; `None` where its model is for
/// whole histories.
///
/// # Panics
/// The workload's model is none of the [`checker::registry`], or has no object that begins as the workload says.
pub fn watch<'a>(workload: &dyn Workload, limits: Limits<'a>) -> Option<Box<dyn Watch + 'a>> {
    let mut models = registry().iter();
    let model = models.find(|model| model.name == workload.model());
    model
        .expect("a workload names a model that there is")
        .watch(workload.initial().as_ref(), limits)
}
