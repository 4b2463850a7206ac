//! How the node stands to whatever else the processors have to do.
//!
//! The nodes of a cluster and its clients wake each other all the time. Where they share processors, each that wakes may take one
//! from another that has not finished yet, and then all of them work in small pieces: a message at a time instead of all that wait, with a
//! write to the log for each. A batch thread waits for its turn instead. Where processors are free it is no later for that.

use crate::cli::Scheduling;
use std::io;

/// Has this thread, and those that it starts from here on, scheduled as `scheduling` says.
///
/// # Errors
/// The system has another opinion. Everything works all the same, and costs somewhat more.
pub(crate) fn choose(scheduling: Scheduling) -> io::Result<()> {
    match scheduling {
        Scheduling::Inherit => Ok(()),
        Scheduling::Batch => become_batch(),
    }
}

/// From the ordinary policy to the batch one: whoever started the node with another has a reason.
fn become_batch() -> io::Result<()> {
    match policy::get()? {
        libc::SCHED_OTHER => policy::set(libc::SCHED_BATCH),
        _ => Ok(()),
    }
}

/// The scheduling policy of this thread.
#[expect(unsafe_code, reason = "there is no safe way to ask for a scheduling policy")]
mod policy {
    use libc::c_int;
    use std::io;

    pub(super) fn get() -> io::Result<c_int> {
        // SAFETY: it takes no pointer.
        match unsafe { libc::sched_getscheduler(0) } {
            -1 => Err(io::Error::last_os_error()),
            policy => Ok(policy),
        }
    }

    /// Threads that it starts from here on have it too. The policy must be one without priorities.
    pub(super) fn set(policy: c_int) -> io::Result<()> {
        // SAFETY: zeros are a value of it, which is no more than a few numbers.
        let parameters: libc::sched_param = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a live value, which is only read.
        match unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libc::{SCHED_BATCH, SCHED_IDLE, SCHED_OTHER};

    /// The policies of a thread that was started with `present` and is told to be scheduled as `scheduling` says, and of one that it starts.
    fn policies(present: libc::c_int, scheduling: Scheduling) -> [libc::c_int; 2] {
        let thread = std::thread::spawn(move || {
            policy::set(present).unwrap();
            choose(scheduling).unwrap();
            let started = std::thread::spawn(policy::get);
            [policy::get(), started.join().unwrap()]
        });
        thread.join().unwrap().map(Result::unwrap)
    }

    #[test]
    fn a_node_becomes_a_batch_unless_somebody_chose_otherwise() {
        assert_eq!(policies(SCHED_OTHER, Scheduling::Batch), [SCHED_BATCH; 2]);
        assert_eq!(policies(SCHED_OTHER, Scheduling::Inherit), [SCHED_OTHER; 2]);
        assert_eq!(policies(SCHED_IDLE, Scheduling::Batch), [SCHED_IDLE; 2]);
    }
}
