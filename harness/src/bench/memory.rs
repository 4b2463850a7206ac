//! What memory a server's process takes, as `/proc` tells.

use serde::{Deserialize, Serialize};
use std::io;

/// What memory a process takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// Now.
    pub(super) resident_bytes: u64,
    /// At most since it started.
    pub(super) peak_bytes: u64,
}

/// What the process takes.
///
/// # Errors
/// It is gone, or its status is not as expected.
pub(super) fn of_process(pid: u32) -> io::Result<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    parse(&status).ok_or_else(|| io::Error::other("/proc/PID/status is not as expected"))
}

fn parse(status: &str) -> Option<Memory> {
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes << 10)
    };
    Some(Memory {
        resident_bytes: bytes("VmRSS:")?,
        peak_bytes: bytes("VmHWM:")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_tells_what_is_and_what_was_at_most() {
        let status = "Name:\tnode\nVmHWM:\t   51204 kB\nVmRSS:\t   33792 kB\nRssAnon:\t   1 kB\n";
        let memory = Memory {
            resident_bytes: 33_792 << 10,
            peak_bytes: 51_204 << 10,
        };
        assert_eq!(parse(status), Some(memory));
        assert_eq!(parse("Name:\tkthreadd\n"), None);
        let own = of_process(std::process::id()).unwrap();
        assert!(
            0 < own.resident_bytes && own.resident_bytes <= own.peak_bytes,
            "{own:?}"
        );
    }
}
