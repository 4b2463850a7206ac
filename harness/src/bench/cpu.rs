//! Processor time: of the servers, and of whoever else is on this machine.
//!
//! Linux counts in ticks, of 10 ms as a rule: over a second or more that is fine enough.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

/// The process whose children are the kernel's own threads.
const KERNEL_THREADS: u32 = 2;

/// Beyond this share of the machine, what others used makes a measurement doubtful.
const FOREIGN_SHARE_MAX: f64 = 0.05;

/// Beyond this share of one processor, the load generator may be what limits.
pub(super) const LOAD_SHARE_MAX: f64 = 0.9;

/// What was used between two instants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Used {
    /// By the servers.
    pub(super) servers: Duration,
    /// By the load generator, as a share of one processor.
    pub(super) load_share: f64,
    /// By neither the servers, nor this process, nor the kernel for itself: as a share of all processors.
    pub(super) foreign_share: f64,
}

impl Used {
    /// Whether others used so much that the measurement is doubtful.
    pub(super) fn is_busy(&self) -> bool {
        self.foreign_share > FOREIGN_SHARE_MAX
    }
}

/// Ticks since the machine started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ticks {
    /// All processors, idle or not.
    all: u64,
    /// Whatever ran in a process, and what other machines on the same host took.
    busy: u64,
    servers: u64,
    /// This process.
    own: u64,
    /// The kernel's threads.
    kernel: u64,
}

/// Measures what is used `duration` long, from `delay` on; blocks meanwhile.
pub(super) fn watch(servers: &BTreeSet<u32>, delay: Duration, duration: Duration) -> io::Result<Used> {
    std::thread::sleep(delay);
    let before = read(servers)?;
    std::thread::sleep(duration);
    let after = read(servers)?;
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    Ok(used(before, after, per_second, duration))
}

fn used(before: Ticks, after: Ticks, ticks_per_second: f64, duration: Duration) -> Used {
    let between = |of: fn(&Ticks) -> u64| of(&after).saturating_sub(of(&before));
    let (servers, own) = (between(|ticks| ticks.servers), between(|ticks| ticks.own));
    let foreign = between(|ticks| ticks.busy).saturating_sub(servers + own + between(|ticks| ticks.kernel));
    Used {
        servers: Duration::from_secs_f64(servers as f64 / ticks_per_second),
        load_share: own as f64 / ticks_per_second / duration.as_secs_f64(),
        foreign_share: foreign as f64 / between(|ticks| ticks.all).max(1) as f64,
    }
}

fn read(servers: &BTreeSet<u32>) -> io::Result<Ticks> {
    let own = std::process::id();
    let mut ticks = Ticks::default();
    for item in std::fs::read_dir("/proc")? {
        let Some(pid) = item?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process that is gone meanwhile is none of ours.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        let (parent, used) = of_process(&stat).ok_or_else(|| unreadable("/proc/PID/stat"))?;
        if servers.contains(&pid) {
            ticks.servers += used;
        } else if pid == own {
            ticks.own += used;
        } else if parent == KERNEL_THREADS {
            ticks.kernel += used;
        }
    }
    let stat = std::fs::read_to_string("/proc/stat")?;
    (ticks.all, ticks.busy) = of_machine(&stat).ok_or_else(|| unreadable("/proc/stat"))?;
    Ok(ticks)
}

fn unreadable(file: &str) -> io::Error {
    io::Error::other(format!("{file} is not as expected"))
}

/// The parent of a process, and the ticks that its threads have used, from its `stat`.
fn of_process(stat: &str) -> Option<(u32, u64)> {
    // The program's name stands in parentheses and may itself contain some; proc(5) counts the fields behind it from 3 on.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).and_then(|field| field.parse::<u64>().ok());
    let parent = u32::try_from(field(4)?).ok()?;
    Some((parent, field(14)? + field(15)?))
}

/// All ticks of all processors, and those in which something ran in a process, from the machine's `stat`.
fn of_machine(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line
        .split_whitespace()
        .map(|field| field.parse().ok())
        .collect::<Option<_>>()?;
    // Time that guests used is counted as the user's already. Interrupts belong to no process.
    let [user, nice, system, idle, wait, interrupt, soft_interrupt, stolen] = *ticks.first_chunk()?;
    let busy = user + nice + system + stolen;
    Some((busy + idle + wait + interrupt + soft_interrupt, busy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let stat = "12 (a) b (c)) S 1 12 12 0 -1 4194560 10 0 0 0 250 50 7 8 20 0 1 0 99 0 0";
        assert_eq!(of_process(stat), Some((1, 300)));
        assert_eq!(of_process("12 (a) S 1"), None);
    }

    #[test]
    fn a_machine_is_read_from_its_first_line() {
        let stat = "cpu  10 20 30 400 5 6 7 8 9 10\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(of_machine(stat), Some((486, 68)));
        assert_eq!(of_machine("cpu0 1 1 1 1 1 1 1 1\n"), None);
    }

    #[test]
    fn what_is_neither_the_servers_nor_ours_is_foreign() {
        let ticks = |all, busy, servers, own, kernel| Ticks {
            all,
            busy,
            servers,
            own,
            kernel,
        };
        let (before, after) = (ticks(1000, 500, 10, 5, 8), ticks(1200, 600, 60, 20, 13));
        let used = used(before, after, 100.0, Duration::from_secs(1));
        assert_eq!(used.servers, Duration::from_millis(500));
        assert_eq!(used.load_share, 0.15);
        assert_eq!(used.foreign_share, 30.0 / 200.0);
        assert!(used.is_busy());
    }

    #[test]
    fn this_machine_can_be_read() {
        let ticks = read(&BTreeSet::from([1])).unwrap();
        assert!(ticks.all >= ticks.busy && ticks.busy > 0, "{ticks:?}");
    }
}
