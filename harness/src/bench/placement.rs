//! Which processors a system and its load run on.
//!
//! Where there are hardly more processors than processes that are busy, what the operating system decides is part of what is measured: it
//! puts whoever is woken beside whoever woke it, and the server that is asked waits for its turn while another processor is idle.
//! Pinned, that server has a processor to itself, whichever system it belongs to.

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::fs;
use std::io;

/// Who decides which processors a system and its load run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Placement {
    /// The operating system.
    #[default]
    Free,
    /// The server that is asked has a processor to itself; the other servers and the load generator share the others.
    Pinned,
}

impl Placement {
    /// All of them.
    pub(crate) const ALL: [Placement; 2] = [Placement::Free, Placement::Pinned];
}

impl Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Placement::Free => "free",
            Placement::Pinned => "pinned",
        })
    }
}

/// Why nothing can be pinned.
#[derive(Debug, thiserror::Error)]
pub(super) enum PinError {
    /// There is only one.
    #[error("to pin needs two processors, and this process may use one")]
    OneProcessor,
    /// The operating system refuses something.
    #[error("can't choose processors: {0}")]
    System(#[from] io::Error),
}

/// The processors that this thread may use, in two parts.
#[derive(Clone, Debug)]
pub(super) struct Processors {
    all: CpuSet,
    /// For the server that is asked.
    first: CpuSet,
    /// For everybody else.
    others: CpuSet,
}

impl Processors {
    /// # Errors
    /// There is only one.
    pub(super) fn of_this_thread() -> Result<Processors, PinError> {
        let all = sched_getaffinity(None).map_err(io::Error::from)?;
        let mut own = (0..CpuSet::MAX_CPU).filter(|processor| all.is_set(*processor));
        let (mut first, mut others) = (CpuSet::new(), CpuSet::new());
        first.set(own.next().ok_or(PinError::OneProcessor)?);
        own.for_each(|processor| others.set(processor));
        if others.count() == 0 {
            return Err(PinError::OneProcessor);
        }
        Ok(Processors { all, first, others })
    }

    /// Pins the processes `asked` and `others`, and this thread and those that it starts, until the value that is returned is dropped.
    ///
    /// # Errors
    /// The operating system refuses it; a process may be gone.
    pub(super) fn pin(
        &self,
        asked: u32,
        others: impl IntoIterator<Item = u32>,
    ) -> Result<PinnedThread, PinError> {
        pin_process(asked, &self.first)?;
        for process in others {
            pin_process(process, &self.others)?;
        }
        sched_setaffinity(None, &self.others).map_err(io::Error::from)?;
        Ok(PinnedThread { before: self.all })
    }
}

/// This thread is pinned.
#[derive(Debug)]
#[must_use]
pub(super) struct PinnedThread {
    before: CpuSet,
}

impl Drop for PinnedThread {
    fn drop(&mut self) {
        // These are the processors that it had; where they were taken away meanwhile, it stays where it is.
        let _ = sched_setaffinity(None, &self.before);
    }
}

/// Pins every thread of a process. Those that it starts later are where the thread is that starts them.
fn pin_process(process: u32, to: &CpuSet) -> io::Result<()> {
    let mut pinned = BTreeSet::new();
    loop {
        let mut found_one = false;
        for thread in fs::read_dir(format!("/proc/{process}/task"))? {
            let name = thread?.file_name();
            let number: Option<i32> = name.to_str().and_then(|name| name.parse().ok());
            let thread = number.and_then(Pid::from_raw);
            let thread = thread.ok_or_else(|| io::Error::other("/proc/PID/task is not as expected"))?;
            if pinned.insert(number) {
                found_one = true;
                match sched_setaffinity(Some(thread), to) {
                    // One that is gone needs no processor.
                    Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        // One that was started meanwhile may have been started by one that was not pinned yet.
        if !found_one {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// The processors of a thread, by their numbers.
    fn processors(thread: Option<u32>) -> Vec<usize> {
        let pid = thread.and_then(|thread| Pid::from_raw(i32::try_from(thread).unwrap()));
        let set = sched_getaffinity(pid).unwrap();
        (0..CpuSet::MAX_CPU)
            .filter(|number| set.is_set(*number))
            .collect()
    }

    #[test]
    fn whoever_is_asked_has_a_processor_to_itself_until_the_measurement_is_over() {
        // In a thread of its own, so that no other test is pinned.
        std::thread::spawn(|| {
            let all = processors(None);
            let Ok(own) = Processors::of_this_thread() else {
                assert_eq!(all.len(), 1);
                return;
            };
            // They end with their stdin, which is this test's.
            let cat = || {
                let mut command = Command::new("cat");
                command.stdin(Stdio::piped()).spawn().unwrap()
            };
            let (mut asked, mut other) = (cat(), cat());
            let pinned = own.pin(asked.id(), [other.id()]).unwrap();
            assert_eq!(processors(Some(asked.id())), all[..1]);
            assert_eq!(processors(Some(other.id())), all[1..]);
            assert_eq!(processors(None), all[1..]);
            drop(pinned);
            assert_eq!(processors(None), all);
            for child in [&mut asked, &mut other] {
                child.kill().unwrap();
                child.wait().unwrap();
            }
            assert!(own.pin(asked.id(), []).is_err(), "a process that is gone");
            sched_setaffinity(None, &own.first).unwrap();
            let alone = Processors::of_this_thread();
            assert!(matches!(alone, Err(PinError::OneProcessor)), "{alone:?}");
        })
        .join()
        .unwrap();
    }
}
