//! The clock that the replica is told.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// The time since the machine was started. It does not go back, and goes on while the process is stopped or the machine sleeps.
pub(crate) fn now() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(now.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanoseconds)
}
