//! `node probe`: what this machine lets a commit cost at least.
//!
//! Each *way* is a part of what a commit must do, done by the code that the node does it with (its [`DataFolder`], its frames and its
//! connections, a runtime for each thread, scheduled as it is), and with nothing else:
//!
//! ```text
//!   sync                ▷ write and sync ◁
//!   client round trip   client ──▶ node ──▶ client                            a request to put a value, and its reply
//!   peer round trip     node ──▶ node ──▶ node                                an append of that value, and its acceptance
//!   read                client ──▶ leader ──▶ follower ──▶ leader ──▶ client
//!   commit              client ──▶ leader ──▶ follower ▷ write and sync ◁ ──▶ leader ──▶ client
//!                                  leader ▷ write and sync ◁
//!   commit alone        client ──▶ leader ▷ write and sync ◁ ──▶ client
//! ```
//!
//! Two of three nodes must have written a value before it is committed: a leader writes while its follower does. Here both of them share
//! one disk, as the nodes of one machine do. The ways are measured by turns: what slows the machine down
//! for a moment slows all of them.
//!
//! [`DataFolder`]: crate::disk::DataFolder

mod relay;
mod report;
mod speech;
mod writer;

use crate::cli::Scheduling;
use crate::exit::Failure;
use crate::{output, scheduling};
use relay::{Hop, Relay, Task};
use report::Report;
use speech::Speech;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::runtime::LocalRuntime;
use writer::Writer;

/// How many turns each way has.
const TURNS: usize = 10;

/// How often each way is gone before it is measured.
const WARM_UP: usize = 20;

/// What is to be measured.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// On whose file system.
    pub(crate) data: PathBuf,
    /// How long the value is.
    pub(crate) value_bytes: usize,
    /// How often each way is measured.
    pub(crate) samples: usize,
}

/// Measures, prints what came of it, and returns the exit code.
pub(crate) fn probe(plan: &Plan, as_json: bool) -> Result<u8, Failure> {
    // Where a node isn't, neither is this.
    let _ = scheduling::choose(Scheduling::default());
    let folder = Folder::make(&plan.data)?;
    let report = measure(plan, &folder).map_err(Failure::Internal)?;
    drop(folder);
    let text = if as_json { report.json() } else { report.table() };
    Ok(output::print(text.as_bytes()))
}

/// A folder for what is written, removed with all that is in it.
struct Folder(PathBuf);

impl Folder {
    fn make(data: &Path) -> Result<Folder, Failure> {
        let folder = data.join(format!("probe-{}", std::process::id()));
        match fs::create_dir_all(&folder) {
            Ok(()) => Ok(Folder(folder)),
            Err(error) => Err(Failure::Usage(format!(
                "can't write in {}: {error}",
                data.display()
            ))),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            output::complain(&format!("{} is left over: {error}", self.0.display()));
        }
    }
}

/// One way to be measured.
enum Way {
    Sync(Writer),
    Ask(Hop),
}

impl Way {
    fn go(&mut self, runtime: &LocalRuntime) -> Result<Duration, String> {
        let begun = Instant::now();
        match self {
            Way::Sync(writer) => writer.write()?,
            Way::Ask(hop) => runtime.block_on(hop.ask())?,
        }
        Ok(begun.elapsed())
    }
}

fn measure(plan: &Plan, folder: &Folder) -> Result<Report, String> {
    let runtime = runtime()?;
    let writer = |name: &str| Writer::new(&folder.0.join(name), plan.value_bytes);
    let start = |speech, task| Relay::start(speech, plan.value_bytes, task);
    let follower = start(Speech::Peer, Task::Answer)?;
    let writing_follower = start(Speech::Peer, Task::Write(writer("follower")?))?;
    let dial = |relay: Relay| -> Result<Way, String> { Ok(Way::Ask(runtime.block_on(relay.dial())?)) };
    let ask = |speech, task| dial(start(speech, task)?);
    let mut ways = [
        ("sync", Way::Sync(writer("sync")?)),
        ("client_round_trip", ask(Speech::Client, Task::Answer)?),
        ("peer_round_trip", ask(Speech::Peer, Task::Answer)?),
        ("read", ask(Speech::Client, Task::Ask(follower))?),
        (
            "commit",
            ask(
                Speech::Client,
                Task::AskAndWrite(writing_follower, writer("leader")?),
            )?,
        ),
        (
            "commit_alone",
            ask(Speech::Client, Task::Write(writer("alone")?))?,
        ),
    ];
    for (_, way) in &mut ways {
        for _ in 0..WARM_UP {
            way.go(&runtime)?;
        }
    }
    let mut times = ways.each_ref().map(|(name, _)| (*name, Vec::new()));
    for turn in 0..TURNS {
        for ((_, way), (_, times)) in ways.iter_mut().zip(&mut times) {
            // As evenly as it goes.
            while times.len() * TURNS < plan.samples * (turn + 1) {
                times.push(way.go(&runtime)?);
            }
        }
    }
    Ok(Report::new(plan, times))
}

/// A runtime such as a node has.
fn runtime() -> Result<LocalRuntime, String> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .map_err(|error| format!("the runtime can't be started: {error}"))
}
