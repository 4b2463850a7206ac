//! Clocks of nodes: they run as fast as the nemesis wants, and jump.
//!
//! A node that is linked dynamically asks the C library for the time. A small library that the harness carries in itself is preloaded and
//! comes before that one (`clock/preload.rs`); how the node's clocks run it reads from a page that is shared with the harness
//! (`clock/page.rs`). Both are files in memory, so a run leaves nothing behind, and neither has a name that a loader can't take.
//!
//! A clock that has jumped ahead stays there, as it may not go back; the time of day may, and does when it is put right.

#[path = "../../clock/page.rs"]
mod page;

use super::{Cluster, ClusterError, Member, lock, system};
use crate::node_number::NodeNumber;
use page::{BOOT, CLOCKS, HOLDS, Line, MONOTONIC, RAW, SEEN, SLOT_WORDS, Setting, USUAL, WALL, WORDS};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What is preloaded; nothing on machines that it is not made for.
static LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/clock.so"));
/// The variable that names the page, for the library.
const VARIABLE: &str = "RUSTYRAFT_CLOCK";
/// The loader's variable of what comes before all else.
const PRELOAD: &str = "LD_PRELOAD";
/// How long a node that serves may take to look at one of its clocks.
const CLOCK_TIME_MAX: Duration = Duration::from_secs(5);
/// Between two looks whether it has.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);
const WORD_BYTES: usize = 8;
/// Nanoseconds of a millisecond.
const MILLISECOND: i64 = 1_000_000;

/// What goes wrong with a node's clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Skew {
    /// All of them run at so many thousandths of their usual rate.
    Rate(u32),
    /// All of them jump ahead by so many milliseconds.
    Jump(u32),
    /// The time of day jumps by so many milliseconds, back where that is less than nothing, and no other clock does.
    Wall(i32),
}

/// The clocks of a node.
pub(super) struct Clock {
    library: Arc<File>,
    page: File,
    state: Mutex<State>,
}

/// What was written to the page last.
struct State {
    number: i64,
    setting: Setting,
    /// By how many nanoseconds the time of day has jumped beside the other clocks.
    wall: i64,
}

/// The library, as nodes can load it.
pub(super) fn library() -> io::Result<Arc<File>> {
    let mut file = File::from(memfd_create("clock.so", MemfdFlags::CLOEXEC)?);
    file.write_all(LIBRARY)?;
    Ok(Arc::new(file))
}

impl Clock {
    /// Clocks like the machine's.
    pub(super) fn new(library: &Arc<File>) -> io::Result<Clock> {
        let page = File::from(memfd_create("clock", MemfdFlags::CLOEXEC)?);
        page.set_len((WORD_BYTES * WORDS) as u64)?;
        let clock = Clock {
            library: Arc::clone(library),
            page,
            state: Mutex::new(State {
                number: 0,
                setting: Setting {
                    rate: USUAL,
                    lines: [Line { since: 0, ahead: 0 }; CLOCKS],
                },
                wall: 0,
            }),
        };
        clock.renew()?;
        Ok(clock)
    }

    /// Has whatever is started by `command` go by these clocks.
    pub(super) fn lend(&self, command: &mut Command) {
        let mut preloaded = OsString::from(path_of(&self.library));
        if let Some(others) = std::env::var_os(PRELOAD) {
            preloaded.push(":");
            preloaded.push(others);
        }
        command.env(PRELOAD, preloaded).env(VARIABLE, path_of(&self.page));
    }

    /// From now on that is wrong with them.
    pub(super) fn skew(&self, skew: Skew) -> io::Result<()> {
        match skew {
            Skew::Rate(thousandths) => self.change(Some(i64::from(thousandths) * (USUAL / 1000)), 0, 0),
            Skew::Jump(ms) => self.change(None, i64::from(ms) * MILLISECOND, 0),
            Skew::Wall(ms) => self.change(None, 0, i64::from(ms) * MILLISECOND),
        }
    }

    /// They run at the usual rate again, and by how much the time of day alone has jumped is taken back.
    pub(super) fn put_right(&self) -> io::Result<()> {
        let wall = lock(&self.state).wall;
        self.change(Some(USUAL), 0, -wall)
    }

    /// They go on as they are; whether somebody looks at them is asked anew.
    pub(super) fn renew(&self) -> io::Result<()> {
        self.change(None, 0, 0)
    }

    /// Whether somebody has looked at them since the last change.
    pub(super) fn is_seen(&self) -> bool {
        let number = lock(&self.state).number;
        let mut seen = [0; WORD_BYTES];
        let read = self.page.read_exact_at(&mut seen, offset(SEEN));
        read.is_ok() && i64::from_ne_bytes(seen) >= number
    }

    /// Changes the rate, if to another one, and lets all of them jump, and the time of day once more, by nanoseconds.
    fn change(&self, rate: Option<i64>, jump: i64, wall: i64) -> io::Result<()> {
        let mut state = lock(&self.state);
        let machine = machine();
        let before = state.setting;
        let setting = Setting {
            rate: rate.unwrap_or(before.rate),
            lines: std::array::from_fn(|place| {
                let since = machine[place];
                let jump = jump + if place == WALL { wall } else { 0 };
                Line {
                    since,
                    ahead: (before.shows(place, since) - since).saturating_add(jump),
                }
            }),
        };
        let number = state.number + 1;
        let bytes: Vec<u8> = words(&setting)
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect();
        self.page.write_all_at(&bytes, offset(page::slot(number)))?;
        self.page.write_all_at(&number.to_ne_bytes(), offset(HOLDS))?;
        *state = State {
            number,
            setting,
            wall: state.wall + wall,
        };
        Ok(())
    }
}

/// As it lies in a slot.
fn words(setting: &Setting) -> [i64; SLOT_WORDS] {
    let mut words = [setting.rate; SLOT_WORDS];
    for (place, line) in setting.lines.iter().enumerate() {
        words[1 + 2 * place] = line.since;
        words[2 + 2 * place] = line.ahead;
    }
    words
}

fn offset(word: usize) -> u64 {
    (WORD_BYTES * word) as u64
}

/// Where another process finds a file that has no name.
fn path_of(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

/// What the machine's clocks show, in nanoseconds.
fn machine() -> [i64; CLOCKS] {
    let mut shown = [0; CLOCKS];
    for (place, clock) in [
        (WALL, ClockId::Realtime),
        (MONOTONIC, ClockId::Monotonic),
        (RAW, ClockId::MonotonicRaw),
        (BOOT, ClockId::Boottime),
    ] {
        let time = clock_gettime(clock);
        shown[place] = time.tv_sec * 1_000_000_000 + time.tv_nsec;
    }
    shown
}

/// Why the clocks of a program can't be set, as far as the harness and the program's file tell: `None` where nothing speaks against it. Without
/// a program, what the harness tells.
pub fn unsettable(program: Option<&Path>) -> Option<String> {
    if LIBRARY.is_empty() {
        return Some(String::from(
            "this harness was built for a machine on which it can't set clocks",
        ));
    }
    let program = program?;
    let is_static = File::open(program).and_then(|file| is_static(&file));
    is_static.unwrap_or(false).then(|| {
        format!(
            "{} is linked statically, and asks nobody for the time who could be told another one",
            program.display()
        )
    })
}

/// Whether a file is a program that no loader prepares. Scripts are none of these: whatever carries them out may be anything.
fn is_static(mut file: &File) -> io::Result<bool> {
    const MAGIC: &[u8] = b"\x7fELF";
    const CLASS_64: u8 = 2;
    const INTERPRETER: u32 = 3;
    let mut header = [0_u8; 64];
    file.read_exact(&mut header)?;
    if !header.starts_with(MAGIC) || header[4] != CLASS_64 {
        return Ok(false);
    }
    let short = |bytes: &[u8]| u16::from_le_bytes([bytes[0], bytes[1]]);
    let (size, count) = (short(&header[54..56]), short(&header[56..58]));
    let mut begins = [0; 8];
    begins.copy_from_slice(&header[32..40]);
    for place in 0..count {
        let at = u64::from_le_bytes(begins).saturating_add(u64::from(size) * u64::from(place));
        let mut kind = [0; 4];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut kind)?;
        if u32::from_le_bytes(kind) == INTERPRETER {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Member {
    /// Waits until its process has looked at a clock since that was changed; `false` if it has not in time.
    pub(super) async fn looks_at_clock(&self) -> bool {
        let begun = Instant::now();
        while self.clock.as_ref().is_some_and(|clock| !clock.is_seen()) {
            if begun.elapsed() > CLOCK_TIME_MAX {
                return false;
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        true
    }
}

impl Cluster {
    /// Lets that be wrong with a node's clocks from now on, and waits until it has looked at one of them.
    ///
    /// # Errors
    /// It is down, does not look at its clocks, or has none that can be set.
    pub async fn skew_clock(&self, node: NodeNumber, skew: Skew) -> Result<(), ClusterError> {
        let member = self.0.member(node);
        let unmoved = ClusterError::Signal {
            node,
            what: "given another time",
        };
        let Some(clock) = member.clock.as_ref().filter(|_| self.is_up(node)) else {
            return Err(unmoved);
        };
        clock
            .skew(skew)
            .map_err(|error| system("set a node's clocks", error))?;
        let is_seen = member.looks_at_clock().await;
        is_seen.then_some(()).ok_or(unmoved)
    }

    /// Lets a node's clocks run at their usual rate again, and takes back by how much its time of day has jumped.
    ///
    /// # Errors
    /// The operating system refuses it.
    pub fn put_clock_right(&self, node: NodeNumber) -> Result<(), ClusterError> {
        let clock = self.0.member(node).clock.as_ref();
        clock.map_or(Ok(()), |clock| {
            clock
                .put_right()
                .map_err(|error| system("set a node's clocks", error))
        })
    }
}

#[cfg(test)]
mod tests;
