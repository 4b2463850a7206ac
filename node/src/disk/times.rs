//! How long the disk took, for whoever keeps account of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many of each are noted one by one before somebody takes them.
const NOTED_MAX: usize = 1024;

/// What is done to files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// A batch is written to the log.
    LogWrite,
    /// The log is made durable.
    LogSync,
    /// Anything else that changes a file.
    Other,
}

/// How long everything took since it was last asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DiskTimes {
    /// One by one, each write of the log.
    pub(crate) log_writes: Vec<Duration>,
    /// One by one, each sync of the log.
    pub(crate) log_syncs: Vec<Duration>,
    /// All that changed a file, together.
    pub(crate) all: Duration,
}

/// A disk's own account, shared with whoever reads it.
#[derive(Clone, Debug, Default)]
pub(crate) struct DiskAccount(Arc<Mutex<DiskTimes>>);

impl DiskAccount {
    pub(super) fn note(&self, work: Work, took: Duration) {
        let mut times = self.lock();
        times.all += took;
        let one_by_one = match work {
            Work::LogWrite => &mut times.log_writes,
            Work::LogSync => &mut times.log_syncs,
            Work::Other => return,
        };
        if one_by_one.len() < NOTED_MAX {
            one_by_one.push(took);
        }
    }

    /// Hands `take` what was noted, and begins anew.
    pub(crate) fn settle(&self, take: impl FnOnce(&DiskTimes)) {
        let mut times = self.lock();
        take(&times);
        times.log_writes.clear();
        times.log_syncs.clear();
        times.all = Duration::ZERO;
    }

    fn lock(&self) -> MutexGuard<'_, DiskTimes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
