//! The recorder: the history, as one stream in time order, written while it happens.
//!
//! Clients stamp nothing themselves. [`Recorder::invoke`] takes the time and appends the line under one lock, and so do
//! [`Recorder::complete`] and [`Recorder::remark`]; the lines of the file are therefore in the order of their times, and every prefix of
//! it is sound: no result stands in it whose cause is missing. A thread of its own brings what was appended to the file, no later
//! than [`FLUSH_INTERVAL`] afterwards, so that the history survives the harness's own death.
//!
//! Who wants to hear what is recorded, as it happens, hears it from that thread ([`Listener`]): the very bytes, in their order.
//!
//! Under the same lock the recorder counts, so that a status line costs nothing more.

mod tally;

pub use tally::{Counts, Latency, Outcome, Tally};

use checker::history::{Header, Kind, Process, Record, Value};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use workloads::{Completion, Op};

/// How long a line stays in memory before it is written to the file.
pub const FLUSH_INTERVAL: Duration = Duration::from_millis(20);

/// How many bytes wait for the file before clients have to.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// An operation that was invoked and not completed.
#[derive(Debug)]
#[must_use = "an operation that is not completed stays open in the history"]
pub struct Invoked {
    process: u64,
    time: u64,
}

/// Hears whole lines once they are written, behind the first one. It must not block.
pub type Listener = Box<dyn FnMut(&[u8]) + Send>;

/// See the module's documentation.
pub struct Recorder {
    shared: Arc<Shared>,
    flusher: Option<JoinHandle<()>>,
}

struct Shared {
    /// Time zero of the history.
    start: Instant,
    state: Mutex<State>,
    /// Tells the flusher that it is to end, and clients that there is room again.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// How many bytes were appended so far.
    appended: u64,
    tally: Tally,
    /// When the last fault was over, in nanoseconds.
    calm_since: Option<u64>,
    /// When the first operation was ok that was invoked after that.
    served_again: Option<u64>,
    ended: bool,
    /// Why nothing more reaches the file.
    failed: Option<String>,
}

impl Recorder {
    /// Begins the history of `workload` in a new file at `path`.
    ///
    /// # Errors
    /// The file can't be made or written.
    pub fn create(path: &Path, workload: &str) -> io::Result<Recorder> {
        Recorder::create_heard(path, workload, Box::new(|_| {}))
    }

    /// The same, which `listener` hears.
    ///
    /// # Errors
    /// The file can't be made or written.
    pub fn create_heard(path: &Path, workload: &str, listener: Listener) -> io::Result<Recorder> {
        let mut file = File::create_new(path)?;
        let mut header = Vec::new();
        Header::new(workload).write(&mut header);
        file.write_all(&header)?;
        Recorder::begin(file, listener)
    }

    fn begin(file: File, listener: Listener) -> io::Result<Recorder> {
        let shared = Arc::new(Shared {
            start: Instant::now(),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let of_flusher = Arc::clone(&shared);
        let flusher = std::thread::Builder::new()
            .name(String::from("history"))
            .spawn(move || flush_until_end(&of_flusher, file, listener))?;
        Ok(Recorder {
            shared,
            flusher: Some(flusher),
        })
    }

    /// How long ago the history began.
    pub fn elapsed(&self) -> Duration {
        self.shared.start.elapsed()
    }

    /// The moment of the history that `instant` is.
    pub fn time_of(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.shared.start)
    }

    /// `process` invokes `op` on `node` now. It belongs immediately before the request is written. `intended` is when it should
    /// have been, where a rate was asked for.
    pub fn invoke(&self, process: u64, op: &Op, node: u64, intended: Option<Duration>) -> Invoked {
        let value = op.argument();
        let mut state = self.lock();
        let time = self.now();
        state.append(&Record {
            time,
            process: Process::Client(process),
            kind: Kind::Invoke,
            f: Cow::Borrowed(op.kind()),
            key: Some(op.key_value()),
            value,
            error: None,
            node: Some(node),
            intended: intended.map(nanoseconds),
        });
        state.tally.invoked();
        self.make_room(state);
        Invoked { process, time }
    }

    /// The operation ends now. It belongs immediately after the reply is read.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "what has completed can't complete again"
    )]
    pub fn complete(&self, invoked: Invoked, op: &Op, completion: &Completion) {
        let (kind, outcome, value, error) = match completion {
            Completion::Ok(ret) => (Kind::Ok, Outcome::Ok, ret.to_value(), None),
            Completion::Fail(reason) => (Kind::Fail, Outcome::Fail, Value::Null, Some(reason)),
            Completion::Info(reason) => (Kind::Info, Outcome::Info, Value::Null, Some(reason)),
        };
        let Invoked { process, time: began } = invoked;
        let mut state = self.lock();
        let time = self.now();
        state.append(&Record {
            time,
            process: Process::Client(process),
            kind,
            f: Cow::Borrowed(op.kind()),
            key: Some(op.key_value()),
            value,
            error: error.map(|reason| Cow::Borrowed(reason.as_str())),
            node: None,
            intended: None,
        });
        let latency = Duration::from_nanos(time - began);
        state.tally.completed(op.kind(), outcome, latency);
        if let Some(reason) = error {
            state.tally.reason(outcome, reason);
        }
        if outcome == Outcome::Ok && state.calm_since.is_some_and(|since| began >= since) {
            state.served_again.get_or_insert(time);
        }
        self.make_room(state);
    }

    /// The nemesis did something: `f` is what (`kill start`), `value` to whom. The time of the line.
    pub fn remark(&self, f: &str, value: &str) -> Duration {
        let mut state = self.lock();
        let time = self.now();
        state.append(&Record {
            time,
            process: Process::Nemesis,
            kind: Kind::Info,
            f: Cow::Borrowed(f),
            key: None,
            value: Value::text(value),
            error: None,
            node: None,
            intended: None,
        });
        self.make_room(state);
        Duration::from_nanos(time)
    }

    /// A fault is over since `time`. If none follows it, [`Recorder::recovery`] counts from there.
    pub fn calm_since(&self, time: Duration) {
        let mut state = self.lock();
        state.calm_since = Some(nanoseconds(time));
        state.served_again = None;
    }

    /// From the end of the last fault to the end of the first operation that was invoked after it and was ok; `None` if there was no
    /// fault, or no such operation.
    pub fn recovery(&self) -> Option<Duration> {
        let state = self.lock();
        Some(Duration::from_nanos(state.served_again? - state.calm_since?))
    }

    /// How many operations were invoked.
    pub fn invocations(&self) -> u64 {
        self.lock().tally.invocations()
    }

    /// How many operations there were, by outcome.
    pub fn counts(&self) -> Counts {
        self.lock().tally.counts()
    }

    /// Everything that was counted.
    pub fn tally(&self) -> Tally {
        self.lock().tally.clone()
    }

    /// How many bytes the listener has heard once it has heard all that is recorded so far.
    pub fn bytes(&self) -> u64 {
        self.lock().appended
    }

    /// Why nothing more reaches the file, once that is so.
    pub fn failure(&self) -> Option<String> {
        self.lock().failed.clone()
    }

    /// Brings the rest to the file, and ends.
    ///
    /// # Errors
    /// The file could not be written, in words.
    pub fn finish(mut self) -> Result<Tally, String> {
        self.end();
        let state = self.lock();
        match &state.failed {
            Some(failed) => Err(failed.clone()),
            None => Ok(state.tally.clone()),
        }
    }

    fn end(&mut self) {
        self.lock().ended = true;
        self.shared.changed.notify_all();
        if let Some(flusher) = self.flusher.take() {
            flusher
                .join()
                .expect("the flusher does not panic: it reports what fails");
        }
    }

    fn now(&self) -> u64 {
        nanoseconds(self.shared.start.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect(NO_PANIC)
    }

    /// Waits until what waits for the file is no more than allowed; nearly always it is not.
    fn make_room(&self, state: MutexGuard<'_, State>) {
        if state.waiting.len() <= WAITING_BYTES_MAX {
            return;
        }
        drop(
            self.shared
                .changed
                .wait_while(state, |state| {
                    state.waiting.len() > WAITING_BYTES_MAX && state.failed.is_none()
                })
                .expect(NO_PANIC),
        );
    }
}

/// Why a lock is never poisoned.
const NO_PANIC: &str = "nothing panics while it holds the lock";

impl Drop for Recorder {
    fn drop(&mut self) {
        self.end();
    }
}

impl State {
    fn append(&mut self, record: &Record<'_>) {
        // After the file has failed the run is lost, and memory shall not go with it.
        if self.failed.is_none() {
            let before = self.waiting.len();
            record.write(&mut self.waiting);
            self.appended += (self.waiting.len() - before) as u64;
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("a run ends before 584 years are over")
}

/// Two buffers take turns: one is appended to while the other is written.
fn flush_until_end(shared: &Shared, mut file: File, mut listener: Listener) {
    let mut writing = Vec::new();
    loop {
        let state = shared.state.lock().expect(NO_PANIC);
        let (mut state, _) = shared
            .changed
            .wait_timeout_while(state, FLUSH_INTERVAL, |state| !state.ended)
            .expect(NO_PANIC);
        std::mem::swap(&mut writing, &mut state.waiting);
        let ended = state.ended;
        drop(state);
        shared.changed.notify_all();
        let written = file.write_all(&writing);
        if written.is_ok() && !writing.is_empty() {
            listener(&writing);
        }
        writing.clear();
        if let Err(error) = written {
            let mut state = shared.state.lock().expect(NO_PANIC);
            state.failed = Some(format!("the history can't be written: {error}"));
            state.waiting = Vec::new();
            drop(state);
            shared.changed.notify_all();
            return;
        }
        if ended {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
