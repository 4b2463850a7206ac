//! The clock that the replica is told.

use std::time::Duration;

/// The time since the machine was started. It does not go back, and goes on while the process is stopped or the machine sleeps.
///
/// The C library is asked for it, as it is for all other times here: whoever comes between a program and its clocks there comes between this
/// one and all of its clocks, and not between it and some.
pub(crate) fn now() -> Duration {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    #[expect(unsafe_code, reason = "there is no safe way to ask the C library")]
    // SAFETY: it writes a time to where it is told, and nothing else.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut now) };
    // Linux has had that clock for longer than anything else that is needed here.
    assert_eq!(result, 0, "there is no clock of the time since the start");
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(now.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanoseconds)
}
