//! Logs: lines on stderr, written by a thread of their own.
//!
//! Whoever reads the log may be slow, stopped or gone. The node that holds still until a full pipe is read would be a node that a pager
//! can stop; so its lines wait in a bounded queue, and those that find no place in it are counted and lost.

use crate::cli::LogLevel;
use crate::exit::Failure;
use raft::{Event, Logger, NodeId, RoleKind, Term};
use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tracing::level_filters::LevelFilter;

/// How many lines wait to be written; what comes beyond is lost.
const LINES_MAX: usize = 1024;

/// How long the end of the process waits for the last lines to be written.
const FINISH_TIME_MAX: Duration = Duration::from_secs(1);

/// How often it looks whether there is a place in the queue for the very last one.
const FINISH_PAUSE: Duration = Duration::from_millis(5);

/// Set by [`begin`].
static LINES: OnceLock<Arc<Lines>> = OnceLock::new();

/// The way to the thread that writes.
#[derive(Debug)]
struct Lines {
    queue: SyncSender<Item>,
    /// Lines that found no place, and were not spoken of yet.
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Item {
    Line(Vec<u8>),
    /// Write these last words, and tell that it is done.
    Finish(String, SyncSender<()>),
}

impl Write for &Lines {
    /// Never waits and never fails. `tracing-subscriber` writes each line at once.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(Item::Line(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Begins to log. Colours are for terminals, and for those who did not ask to be spared (<https://no-color.org>).
pub(crate) fn begin(level: LogLevel) -> Result<(), Failure> {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let (queue, waiting) = sync_channel(LINES_MAX);
    let lost = Arc::new(AtomicU64::new(0));
    let also_lost = Arc::clone(&lost);
    std::thread::Builder::new()
        .name("log".to_string())
        .spawn(move || write_lines(&waiting, &also_lost))
        .map_err(|error| Failure::Internal(format!("no thread can be had to write the log: {error}")))?;
    let lines = Arc::clone(LINES.get_or_init(|| Arc::new(Lines { queue, lost })));
    let spared = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(lines)
        .with_ansi(!spared && io::stderr().is_terminal())
        .with_target(false)
        .init();
    Ok(())
}

/// Writes what comes, for as long as the process lives. A reader that is gone doesn't stop a node, so errors are nothing to it.
fn write_lines(waiting: &Receiver<Item>, lost: &AtomicU64) {
    while let Ok(item) = waiting.recv() {
        match item {
            Item::Line(line) => {
                let _ = io::stderr().write_all(&line);
            }
            Item::Finish(last_words, done) => {
                let _ = io::stderr().write_all(last_words.as_bytes());
                let _ = done.try_send(());
            }
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = writeln!(
                io::stderr(),
                "{lost} lines of the log were lost: nobody read them in time"
            );
        }
    }
}

/// Writes `last_words` behind all that was logged, and waits until that is done, but not for ever.
pub(crate) fn finish(last_words: &str) {
    let Some(lines) = LINES.get() else {
        // Not `eprint!`: that panics where nobody is left to read it.
        let _ = io::stderr().write_all(last_words.as_bytes());
        return;
    };
    let deadline = Instant::now() + FINISH_TIME_MAX;
    let (done, is_done) = sync_channel(1);
    let mut item = Item::Finish(last_words.to_string(), done);
    while let Err(TrySendError::Full(unsent)) = lines.queue.try_send(item) {
        if Instant::now() >= deadline {
            return;
        }
        item = unsent;
        std::thread::sleep(FINISH_PAUSE);
    }
    let _ = is_done.recv_timeout(deadline.saturating_duration_since(Instant::now()));
}

/// How often what happened, since the node started.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventCounts {
    pub(crate) candidacies: Rc<Cell<u64>>,
    pub(crate) elections_won: Rc<Cell<u64>>,
    pub(crate) leader_changes: Rc<Cell<u64>>,
    pub(crate) snapshots_installed: Rc<Cell<u64>>,
    pub(crate) configurations: Rc<Cell<u64>>,
}

/// Logs what happens in the protocol, and counts it.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    counts: EventCounts,
    /// The term in which it was told that this node would stand. A node that nobody hears would say so again and again, several times a second.
    stood_in: Option<Term>,
}

impl EventLog {
    /// What it counts, from here on, too.
    pub(crate) fn counts(&self) -> EventCounts {
        self.counts.clone()
    }

    fn count(&self, event: &Event) {
        let EventCounts {
            candidacies,
            elections_won,
            leader_changes,
            snapshots_installed,
            configurations,
        } = &self.counts;
        let count = match event {
            Event::RoleChanged { role, .. } => match role {
                RoleKind::Candidate => candidacies,
                RoleKind::Leader => elections_won,
                RoleKind::Follower | RoleKind::PreCandidate => return,
            },
            Event::LeaderKnown { .. } => leader_changes,
            Event::SnapshotInstalled { .. } => snapshots_installed,
            Event::ConfigurationChanged { .. } => configurations,
            Event::TermAdvanced { .. }
            | Event::Voted { .. }
            | Event::Committed { .. }
            | Event::SnapshotDamaged { .. } => return,
        };
        count.set(count.get() + 1);
    }
}

impl EventLog {
    /// Whether an event says only that this node tries once more what it has tried before, in vain.
    fn is_old_news(&mut self, event: &Event) -> bool {
        match event {
            Event::RoleChanged { term, role } => match role {
                RoleKind::PreCandidate => self.stood_in.replace(*term) == Some(*term),
                RoleKind::Follower => self.stood_in == Some(*term),
                RoleKind::Candidate | RoleKind::Leader => false,
            },
            Event::LeaderKnown { .. } => {
                self.stood_in = None;
                false
            }
            Event::TermAdvanced { .. }
            | Event::Voted { .. }
            | Event::Committed { .. }
            | Event::SnapshotInstalled { .. }
            | Event::SnapshotDamaged { .. }
            | Event::ConfigurationChanged { .. } => false,
        }
    }
}

impl Logger for EventLog {
    fn log(&mut self, id: NodeId, event: Event) {
        self.count(&event);
        if self.is_old_news(&event) {
            return tracing::debug!("{id} {event}");
        }
        match event {
            Event::TermAdvanced { .. }
            | Event::Voted { .. }
            | Event::RoleChanged { .. }
            | Event::LeaderKnown { .. }
            | Event::SnapshotInstalled { .. }
            | Event::ConfigurationChanged { .. } => tracing::info!("{id} {event}"),
            Event::SnapshotDamaged { .. } => tracing::warn!("{id} {event}"),
            Event::Committed { .. } => tracing::trace!("{id} {event}"),
        }
    }
}
